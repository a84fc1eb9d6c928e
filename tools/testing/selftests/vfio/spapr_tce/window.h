/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of windows start from: a v2 container on a machine that makes
 * windows on demand, and how large these can be.
 */
#ifndef SPAPR_TCE_WINDOW_H
#define SPAPR_TCE_WINDOW_H

#include <string.h>

#include "harness.h"

#define SZ_16G		(16 * SZ_1G)
#define SZ_64T		(65536 * SZ_1G)

/* Memory that a slab or a list may keep: it is free, but cannot be seen. */
#define SLACK		(2 * (s64)SZ_1M)

FIXTURE(window)
{
	struct vfio_iommu_spapr_tce_info info;
	struct tce_dev dev;
	int c;
	size_t page;
	unsigned int huge_bits;	/* of a window of as many entries as can be */
	unsigned int levels;	/* to ask for; pseries hosts have one */
	char *va;		/* of one system page, registered; see memory() */
	struct tce_leak leak;
};

static inline bool has_shift(struct _test_data_window *self, unsigned int shift)
{
	return shift < 64 && self->info.ddw.pgsizes & BIT_ULL(shift);
}

/* 64K, or the system's pages where the IOMMU does not have those. */
static inline unsigned int page_shift(struct _test_data_window *self)
{
	return has_shift(self, 16) && self->page >= SZ_64K ? 16 : 12;
}

/*
 * 2^31 entries where the machine allows them: 128 TiB of 64K pages. In full
 * they would take 16 GB, and as much for the user's addresses.
 */
static inline u64 huge_size(struct _test_data_window *self)
{
	return BIT_ULL(self->huge_bits + page_shift(self));
}

FIXTURE_SETUP(window)
{
	u64 start;
	int ret;

	self->page = sys_page_size();
	if (!tce_find_devs(&self->dev, 1))
		SKIP(return, "no VFIO device: set VFIO_DEVICE or VFIO_GROUP");
	self->c = tce_open(&self->dev, TCE_V2);
	if (self->c < 0)
		SKIP(return, "no VFIO_SPAPR_TCE_v2_IOMMU container: %s",
		     strerror(-self->c));
	ret = tce_get_info(self->c, &self->info);
	ASSERT_EQ(0, ret);
	if (!(self->info.flags & VFIO_IOMMU_SPAPR_INFO_DDW)) {
		tce_close(&self->dev, self->c);
		SKIP(return, "no dynamic DMA windows here");
	}
	self->levels = self->info.ddw.levels < 2 ? 1 : 2;

	/* how large, on a container that the test does not get */
	self->huge_bits = sys_tce_bits();
	for (; self->huge_bits > 13; self->huge_bits--) {
		ret = tce_create(self->c, page_shift(self), huge_size(self),
				 self->levels, &start);
		if (!ret)
			break;
	}
	tce_close(&self->dev, self->c);
	if (ret)
		SKIP(return, "no window of any size can be made");
	tce_leak_start(&self->leak);
	self->c = tce_open(&self->dev, TCE_V2);
	ASSERT_LE(0, self->c);
}

FIXTURE_TEARDOWN(window)
{
	tce_close(&self->dev, self->c);
	EXPECT_NO_LEAK(&self->leak);
	SKIP_UNASKED();
}

/* One registered page: whatever a test maps, it maps this. */
static inline char *memory(struct _test_data_window *self)
{
	char *va = mem_alloc(self->page, 0, MEM_POPULATE);

	if (!va || tce_register(self->c, va, self->page))
		return NULL;
	self->va = va;
	return va;
}

/* The table of the window at @start; false when the kernel does not tell. */
static inline bool table_at(u64 start, struct tce_table_stat *st)
{
	struct tce_table_stat all[16];
	int i, n = tce_tables(all, 16);

	for (i = 0; i < n && i < 16; i++) {
		if (all[i].start == start) {
			*st = all[i];
			return true;
		}
	}
	return false;
}

static inline bool told(void)
{
	return tce_tables(NULL, 0) >= 0;
}

static inline u64 pages_of(u64 bytes)
{
	return (bytes + sys_page_size() - 1) / sys_page_size();
}

/*
 * Is what the table at @start is charged for what was allocated for it? Full
 * pages, of the whole or of hardware levels and shadows each.
 */
static inline bool charge_exact(u64 start)
{
	struct tce_table_stat st;

	if (!told()) {
		unasked = "no debugfs that says what tables cost";
		return true;
	}
	if (!table_at(start, &st))
		return false;
	return st.charged_pages == pages_of(st.hw_bytes + st.view_bytes) ||
	       st.charged_pages == pages_of(st.hw_bytes) +
				   pages_of(st.view_bytes);
}

#endif /* SPAPR_TCE_WINDOW_H */
