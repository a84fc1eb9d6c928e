/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of the interface start from: a container with one group, of
 * either type, and nothing in it.
 */
#ifndef SPAPR_TCE_ABI_H
#define SPAPR_TCE_ABI_H

#include "harness.h"

#define BUF_SIZE	SZ_1M
#define UNIT		SZ_64K	/* aligned to any small IOMMU page */

/* What every test starts from: a container with one group, and nothing in it. */
struct state {
	struct tce_leak leak;
	struct tce_dev devs[TCE_MAX_DEVS];
	struct tce_dev *dev;
	struct vfio_iommu_spapr_tce_info info;
	int ndevs;
	int c;
	void *buf;
	u64 base;	/* some address well inside the first window */
	u64 end;	/* of that window */
};

static inline void setup(struct __test_metadata *_metadata, struct state *s,
			 unsigned long type)
{
	s->c = -1;
	s->ndevs = tce_find_devs(s->devs, TCE_MAX_DEVS);
	if (!s->ndevs)
		SKIP(return, "no PCI device to take: no edu, no VFIO_DEVICE");
	s->dev = &s->devs[0];
	tce_leak_start(&s->leak);
	s->buf = mem_alloc(BUF_SIZE, SZ_64K, MEM_POPULATE);
	ASSERT_NE(NULL, s->buf);

	s->c = tce_open(s->dev, type);
	if (s->c == -EINVAL)
		SKIP(return, "IOMMU type not supported by this machine");
	ASSERT_LE(0, s->c);
	ASSERT_EQ(0, tce_get_info(s->c, &s->info));
	s->base = s->info.dma32_window_start + SZ_1M;
	s->end = (u64)s->info.dma32_window_start + s->info.dma32_window_size;
}

static inline void teardown(struct __test_metadata *_metadata, struct state *s)
{
	tce_close(s->dev, s->c);
	mem_free(s->buf, BUF_SIZE);
	EXPECT_NO_LEAK(&s->leak);
}

/* Whatever must come before the first map. */
static inline int ready(struct state *s, unsigned long type)
{
	if (type == TCE_V1)
		return tce_enable(s->c);
	return tce_register(s->c, s->buf, BUF_SIZE);
}

/* v2, on a machine that makes windows on demand */
static inline void setup_ddw(struct __test_metadata *_metadata, struct state *s)
{
	setup(_metadata, s, TCE_V2);
	if (s->c >= 0 && !(s->info.flags & VFIO_IOMMU_SPAPR_INFO_DDW)) {
		tce_close(s->dev, s->c);
		SKIP(return, "no dynamic DMA windows on this machine");
	}
}

/* A fixture of one such state, with the variants v1 and v2 */
#define FIXTURE_STATE_V1_V2(name)					\
	FIXTURE(name) { struct state s; };				\
	VARIANTS_V1_V2(name);						\
	FIXTURE_SETUP(name) { setup(_metadata, &self->s, variant->type); } \
	FIXTURE_TEARDOWN(name) { teardown(_metadata, &self->s); }

/* The same of type v1 or v2, or of v2 where windows are made on demand */
#define FIXTURE_STATE(name, setup, ...)					\
	FIXTURE(name) { struct state s; };				\
	FIXTURE_SETUP(name) { setup(_metadata, &self->s, ##__VA_ARGS__); } \
	FIXTURE_TEARDOWN(name) { teardown(_metadata, &self->s); }

#endif /* SPAPR_TCE_ABI_H */
