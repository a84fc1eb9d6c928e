/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of registered memory start from: a v2 container, and a second
 * device where the machine has one.
 */
#ifndef SPAPR_TCE_PREREG_H
#define SPAPR_TCE_PREREG_H

#include <string.h>
#include <unistd.h>

#include "harness.h"

/*
 * Two devices in groups of their own where the machine has them. The first is
 * in container @c, made by the setup; the second in @c2, made by the tests
 * that want it.
 */
FIXTURE(prereg)
{
	struct tce_dev devs[2];
	int ndevs;
	int c;
	int c2;
	size_t page;
	struct tce_leak leak;
};

FIXTURE_SETUP(prereg)
{
	self->c = -1;
	self->c2 = -1;
	self->page = sys_page_size();
	self->ndevs = tce_find_devs(self->devs, 2);
	if (!self->ndevs)
		SKIP(return, "no VFIO device: set VFIO_DEVICE or VFIO_GROUP");
	tce_leak_start(&self->leak);
	self->c = tce_open(&self->devs[0], TCE_V2);
	if (self->c < 0)
		SKIP(return, "no VFIO_SPAPR_TCE_v2_IOMMU container: %s",
		     strerror(-self->c));
}

FIXTURE_TEARDOWN(prereg)
{
	if (self->c2 >= 0)
		tce_close(&self->devs[1], self->c2);
	tce_close(&self->devs[0], self->c);
	EXPECT_NO_LEAK(&self->leak);
}

/* A second container of this process, or -errno */
static inline int open_second(struct _test_data_prereg *self)
{
	self->c2 = tce_open(&self->devs[1], TCE_V2);
	return self->c2;
}

#endif /* SPAPR_TCE_PREREG_H */
