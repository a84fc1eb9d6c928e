// SPDX-License-Identifier: GPL-2.0
/*
 * DMA windows of VFIO_SPAPR_TCE_v2_IOMMU: their sizes, pages and levels, and
 * what they cost: as much as is allocated, and that is little.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/resource.h>

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

static bool has_shift(struct _test_data_window *self, unsigned int shift)
{
	return shift < 64 && self->info.ddw.pgsizes & BIT_ULL(shift);
}

/* 64K, or the system's pages where the IOMMU does not have those. */
static unsigned int page_shift(struct _test_data_window *self)
{
	return has_shift(self, 16) && self->page >= SZ_64K ? 16 : 12;
}

/*
 * 2^31 entries where the machine allows them: 128 TiB of 64K pages. In full
 * they would take 16 GB, and as much for the user's addresses.
 */
static u64 huge_size(struct _test_data_window *self)
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
}

/* One registered page: whatever a test maps, it maps this. */
static char *memory(struct _test_data_window *self)
{
	char *va = mem_alloc(self->page, 0, MEM_POPULATE);

	if (!va || tce_register(self->c, va, self->page))
		return NULL;
	self->va = va;
	return va;
}

/* The table of the window at @start; false when the kernel does not tell. */
static bool table_at(u64 start, struct tce_table_stat *st)
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

static bool told(void)
{
	return tce_tables(NULL, 0) >= 0;
}

static u64 pages_of(u64 bytes)
{
	return (bytes + sys_page_size() - 1) / sys_page_size();
}

/*
 * Is what the table at @start is charged for what was allocated for it? Full
 * pages, of the whole or of hardware levels and user view each.
 */
static bool charge_exact(u64 start)
{
	struct tce_table_stat st;

	if (!told())
		return true;
	if (!table_at(start, &st))
		return false;
	return st.charged_pages == pages_of(st.hw_bytes + st.view_bytes) ||
	       st.charged_pages == pages_of(st.hw_bytes) +
				   pages_of(st.view_bytes);
}

/* The charge of all tables in user hands, which are all of this process. */
static u64 charged(void)
{
	struct tce_table_stat all[16];
	int i, n = tce_tables(all, 16);
	u64 pages = 0;

	for (i = 0; i < n && i < 16; i++)
		pages += all[i].charged_pages;
	return pages * sys_page_size();
}

/* ---- pages -------------------------------------------------------------- */

TEST_F(window, page_sizes)
{
	unsigned int shift, seen = 0;
	u64 start, size;
	int ret;

	EXPECT_TRUE(has_shift(self, 12));
	for (shift = 12; shift < 40; shift++) {
		/* no smaller than a table of one 64K page, to be fair to all */
		size = 8192ULL << shift;
		start = 1;
		ret = tce_create_any(self->c, shift, size, &start);
		if (!has_shift(self, shift)) {
			EXPECT_EQ(-EINVAL, ret)
				TH_LOG("page_shift %u: %d", shift, ret);
			continue;
		}
		seen++;
		EXPECT_EQ(0, ret)
			TH_LOG("page_shift %u: %d", shift, ret);
		if (ret)
			continue;
		EXPECT_EQ(TCE_WINDOW1, start);
		EXPECT_TRUE(charge_exact(start))
			TH_LOG("page_shift %u: wrong charge", shift);
		EXPECT_EQ(0, tce_remove(self->c, start));
	}
	EXPECT_LE(1, seen);
	if (sys_powernv()) {
		/* PHB3 has 16M and 256M, later ones have 2M and 1G */
		EXPECT_TRUE(has_shift(self, 16));
		EXPECT_TRUE((has_shift(self, 24) && has_shift(self, 28)) ||
			    (has_shift(self, 21) && has_shift(self, 30)));
	}
}

TEST_F(window, page_sizes_wrong)
{
	static const u32 bad[] = {
		0, 1, 8, 11, 13, 15, 17, 20, 22, 31, 32, 33, 40, 63, 64,
		64 + 12, 64 + 16, 128 + 12, 128 + 16, 192 + 21, 256 + 16,
		0x10010, 0x80000010, 0xffffffff,
	};
	u64 start, vmlck;
	unsigned int i;
	int ret;

	ASSERT_EQ(0, tce_create_any(self->c, 12, SZ_1G, &start));
	ASSERT_EQ(0, tce_remove(self->c, start));
	vmlck = sys_vmlck();
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ret = tce_create(self->c, bad[i], SZ_16G, 2, &start);
		EXPECT_EQ(-EINVAL, ret)
			TH_LOG("page_shift %u: %d", bad[i], ret);
		if (!ret)
			tce_remove(self->c, start);
	}
	EXPECT_EQ(vmlck, sys_vmlck());
}

/* 144 = 128 + 16: a shift that is taken modulo 64 or 128 makes 64K of it. */
TEST_F(window, page_shift_144)
{
	static const u32 shifts[] = { 144, 64 + 16, 256 + 16, 128 + 12 };
	static const u64 sizes[] = { SZ_64K, SZ_1M, SZ_512M, SZ_1G, SZ_64T };
	u32 levels, i, j;
	u64 start;
	int ret;

	for (i = 0; i < 4; i++) {
		for (j = 0; j < 5; j++) {
			for (levels = 1; levels <= 3; levels++) {
				ret = tce_create(self->c, shifts[i], sizes[j],
						 levels, &start);
				ASSERT_EQ(-EINVAL, ret)
					TH_LOG("%u, size %#llx, levels %u: %d",
					       shifts[i], sizes[j], levels,
					       ret);
			}
		}
	}
}

/* The page of the request must be one of the window. */
TEST_F(window, alignment)
{
	char *va = memory(self);
	u64 start;

	ASSERT_NE(NULL, va);
	if (!has_shift(self, 16))
		SKIP(return, "the IOMMU has no 64K pages");
	ASSERT_EQ(0, tce_create_any(self->c, 16, SZ_1G, &start));
	EXPECT_EQ(-EINVAL, tce_map(self->c, start + SZ_4K, va, SZ_64K, DMA_RW));
	EXPECT_EQ(-EINVAL, tce_map(self->c, start, va + SZ_4K, SZ_64K, DMA_RW));
	EXPECT_EQ(-EINVAL, tce_map(self->c, start, va, SZ_4K, DMA_RW));
	EXPECT_EQ(-EINVAL, tce_unmap(self->c, start, SZ_4K));
	EXPECT_EQ(-EINVAL, tce_unmap(self->c, start + SZ_4K, SZ_64K));
	EXPECT_EQ(0, tce_unmap(self->c, start, SZ_64K));
}

/* ---- levels ------------------------------------------------------------- */

TEST_F(window, levels)
{
	unsigned int shift = page_shift(self);
	u64 huge = huge_size(self);
	struct tce_table_stat st;
	char *va = memory(self);
	u64 last = huge - BIT_ULL(shift);
	u64 start, vmlck;
	unsigned int levels, made = 0;
	int ret;

	ASSERT_NE(NULL, va);
	ASSERT_LE(1, self->info.ddw.levels);
	/* the default window is made by the way: not to be counted below */
	ASSERT_EQ(0, tce_map(self->c, 0, va, SZ_4K, DMA_R));
	vmlck = sys_vmlck();
	for (levels = 1; levels <= 5; levels++) {
		ret = tce_create(self->c, shift, huge, levels, &start);
		/* an LPAR says one, and takes any: QEMU asks for two there */
		if (self->info.ddw.levels > 1 &&
		    levels > self->info.ddw.levels) {
			EXPECT_EQ(-EINVAL, ret);
			continue;
		}
		/* as many levels may have more bits than an address */
		if (ret == -EINVAL &&
		    (shift + 9 * levels > 55 || !told()))
			continue;
		if (ret == -ENOMEM && levels == 1 && !told())
			continue;	/* 16 GB in one piece */
		EXPECT_EQ(0, ret)
			TH_LOG("levels=%u: %d", levels, ret);
		if (ret)
			continue;
		made++;
		if (table_at(start, &st)) {
			EXPECT_EQ(huge >> shift, st.tces);
			EXPECT_EQ(shift, st.page_shift);
			EXPECT_LE(self->info.ddw.levels > 1 ? levels : 1,
				  st.levels);
			EXPECT_GE(5, st.levels);
		}
		EXPECT_TRUE(charge_exact(start));

		/* the first entry, one in the middle, the last one */
		EXPECT_EQ(0, tce_map(self->c, start, va, self->page, DMA_RW));
		EXPECT_EQ(0, tce_map(self->c, start + huge / 2, va,
				     self->page, DMA_RW));
		EXPECT_EQ(0, tce_map(self->c, start + last, va,
				     BIT_ULL(shift), DMA_RW));
		EXPECT_TRUE(charge_exact(start))
			TH_LOG("levels=%u: wrong charge", levels);
		if (tce_can_dma(&self->dev)) {
			mem_fill(va, SZ_4K, levels);
			memset(va + 2048, 0, 1024);
			EXPECT_EQ(0, edu_read_ram(&self->dev,
						  start + huge / 2, 0, 1024));
			EXPECT_EQ(0, edu_write_ram(&self->dev,
						   start + last + 2048, 0,
						   1024));
			EXPECT_TRUE(mem_check(va + 2048, 1024, levels))
				TH_LOG("levels=%u: DMA failed", levels);
		}
		EXPECT_EQ(0, tce_remove(self->c, start));
		EXPECT_EQ(vmlck, sys_vmlck());
	}
	EXPECT_LE(1, made);
	EXPECT_EQ(-EINVAL, tce_create(self->c, shift, SZ_1G, 0, &start));
	EXPECT_EQ(-EINVAL, tce_create(self->c, shift, SZ_1G, 6, &start));
	EXPECT_EQ(-EINVAL, tce_create(self->c, shift, SZ_1G, 64, &start));
	EXPECT_EQ(-EINVAL, tce_create(self->c, shift, SZ_1G, ~0U, &start));
	EXPECT_EQ(vmlck, sys_vmlck());
}

/* QEMU's way: one level, then one more until it works. */
TEST_F(window, create_any)
{
	unsigned int shift, bits, max;
	u64 start;
	int ret;

	for (shift = 12; shift <= 30; shift++) {
		if (!has_shift(self, shift))
			continue;
		max = shift + self->huge_bits;
		for (bits = shift + 13; bits <= max && bits <= 47; bits++) {
			ret = tce_create_any(self->c, shift, BIT_ULL(bits),
					     &start);
			ASSERT_EQ(0, ret)
				TH_LOG("2^%u of 2^%u: %d", bits, shift, ret);
			EXPECT_TRUE(charge_exact(start));
			ASSERT_EQ(0, tce_remove(self->c, start));
		}
	}
}

/* ---- how many, and where ------------------------------------------------ */

TEST_F(window, third)
{
	unsigned int shift = page_shift(self);
	u64 huge = huge_size(self);
	u64 first = 1, second = 1, third = 1, vmlck;

	ASSERT_EQ(2, self->info.ddw.max_dynamic_windows_supported);
	/* the default window is the first one */
	ASSERT_EQ(0, tce_create_any(self->c, shift, SZ_1G, &second));
	EXPECT_EQ(TCE_WINDOW1, second);
	vmlck = sys_vmlck();
	EXPECT_EQ(-ENOSPC, tce_create(self->c, shift, SZ_1G, 1, &third));
	EXPECT_EQ(-ENOSPC, tce_create(self->c, shift, huge, self->levels,
				      &third));
	EXPECT_EQ(vmlck, sys_vmlck());

	/* what is removed can be made again, where it was */
	ASSERT_EQ(0, tce_remove(self->c, second));
	ASSERT_EQ(0, tce_create_any(self->c, shift, 2 * SZ_1G, &second));
	EXPECT_EQ(TCE_WINDOW1, second);
	if (!sys_powernv())
		return;		/* only the default window is at 0 there */
	ASSERT_EQ(0, tce_remove(self->c, 0));
	ASSERT_EQ(0, tce_create_any(self->c, shift, SZ_1G, &first));
	EXPECT_EQ(0, first);
	EXPECT_EQ(-ENOSPC, tce_create(self->c, shift, SZ_1G, 1, &third));

	ASSERT_EQ(0, tce_remove(self->c, second));
	ASSERT_EQ(0, tce_remove(self->c, first));
	EXPECT_EQ(-EINVAL, tce_remove(self->c, first));
	EXPECT_EQ(-EINVAL, tce_remove(self->c, second));
	ASSERT_EQ(0, tce_create_any(self->c, shift, SZ_1G, &first));
	EXPECT_EQ(0, first);
	ASSERT_EQ(0, tce_create_any(self->c, shift, SZ_1G, &second));
	EXPECT_EQ(TCE_WINDOW1, second);
}

/* A window made again is empty, and holds other memory than the former. */
TEST_F(window, again)
{
	unsigned int shift = page_shift(self);
	u64 huge = huge_size(self);
	char *va = memory(self), *old;
	u64 start, vmlck, second;
	int i;

	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, tce_map(self->c, 0, va, self->page, DMA_RW));
	vmlck = sys_vmlck();
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, tce_create_any(self->c, shift, huge, &start));
		ASSERT_EQ(TCE_WINDOW1, start);
		ASSERT_EQ(0, tce_map(self->c, start + i * SZ_512M, va,
				     self->page, DMA_RW));
		ASSERT_EQ(0, tce_remove(self->c, start));
		ASSERT_EQ(vmlck, sys_vmlck());
	}
	/* nothing of them counts any more */
	ASSERT_EQ(0, tce_unmap(self->c, 0, self->page));
	ASSERT_EQ(0, tce_unregister(self->c, va, self->page));

	if (!tce_can_dma(&self->dev))
		return;
	old = va;
	va = memory(self);
	ASSERT_NE(NULL, va);
	mem_fill(old, SZ_4K, 61);
	mem_fill(va, SZ_4K, 62);
	ASSERT_EQ(0, tce_create_any(self->c, shift, huge, &second));
	ASSERT_EQ(0, tce_map(self->c, second, va, self->page, DMA_RW));
	ASSERT_EQ(0, edu_read_ram(&self->dev, second, 0, 2048));
	memset(va, 0, SZ_4K);
	ASSERT_EQ(0, edu_write_ram(&self->dev, second, 0, 2048));
	EXPECT_TRUE(mem_check(va, 2048, 62));
	/* this address belonged to one of the windows above */
	edu_write_ram(&self->dev, second + 3 * SZ_512M, 0, 2048);
	EXPECT_TRUE(mem_check(old, SZ_4K, 61));
	edu_recover(&self->dev, self->c);
}

TEST_F(window, remove_wrong)
{
	unsigned int shift = page_shift(self);
	char *va = memory(self);
	u64 start;

	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, tce_create_any(self->c, shift, SZ_1G, &start));
	ASSERT_EQ(0, tce_map(self->c, start, va, self->page, DMA_RW));
	ASSERT_EQ(0, tce_map(self->c, 0, va, self->page, DMA_RW));

	EXPECT_EQ(-EINVAL, tce_remove(self->c, start + self->page));
	EXPECT_EQ(-EINVAL, tce_remove(self->c, start + SZ_1G / 2));
	EXPECT_EQ(-EINVAL, tce_remove(self->c, start + SZ_1G - self->page));
	EXPECT_EQ(-EINVAL, tce_remove(self->c, start + SZ_1G));
	EXPECT_EQ(-EINVAL, tce_remove(self->c, start + 1));
	EXPECT_EQ(-EINVAL, tce_remove(self->c, start - self->page));
	EXPECT_EQ(-EINVAL, tce_remove(self->c, SZ_4K));
	EXPECT_EQ(-EINVAL, tce_remove(self->c, SZ_512M));
	EXPECT_EQ(-EINVAL, tce_remove(self->c, ~0ULL));

	/* both are there, with what is mapped in them */
	EXPECT_EQ(0, tce_map(self->c, start + self->page, va, self->page,
			     DMA_RW));
	EXPECT_EQ(0, tce_map(self->c, self->page, va, self->page, DMA_RW));
	EXPECT_EQ(-EBUSY, tce_unregister(self->c, va, self->page));
	EXPECT_EQ(0, tce_remove(self->c, start));
	EXPECT_EQ(-EBUSY, tce_unregister(self->c, va, self->page));
	EXPECT_EQ(0, tce_remove(self->c, 0));
	EXPECT_EQ(0, tce_unregister(self->c, va, self->page));
}

/* ---- the default window ------------------------------------------------- */

TEST_F(window, default_lazy_map)
{
	u64 base = sys_vmlck(), size = self->info.dma32_window_size;
	struct tce_table_stat st;
	char *va;

	EXPECT_EQ(0, self->info.dma32_window_start);
	EXPECT_LE(SZ_1G, size);
	/* neither the container nor GET_INFO nor REGISTER makes it */
	EXPECT_EQ(self->leak.vmlck, base);
	va = memory(self);
	ASSERT_NE(NULL, va);
	EXPECT_EQ(self->page, sys_vmlck());
	if (told())
		EXPECT_EQ(0, tce_tables(NULL, 0));

	/* the first map does, with 4K pages */
	ASSERT_EQ(0, tce_map(self->c, size - SZ_4K, va, SZ_4K, DMA_RW));
	EXPECT_LT(base + self->page, sys_vmlck());
	if (told()) {
		EXPECT_EQ(1, tce_tables(NULL, 0));
		ASSERT_TRUE(table_at(0, &st));
		EXPECT_EQ(12, st.page_shift);
		EXPECT_EQ(size >> 12, st.tces);
		EXPECT_EQ(self->page + st.charged_pages * self->page,
			  sys_vmlck());
	}
	EXPECT_GT(0, tce_map(self->c, size, va, SZ_4K, DMA_RW));
	EXPECT_EQ(0, tce_unmap(self->c, size - SZ_4K, SZ_4K));
	ASSERT_EQ(0, tce_remove(self->c, 0));
	EXPECT_EQ(self->page, sys_vmlck());
	/* removed is removed: it does not come back by itself */
	EXPECT_EQ(-ENXIO, tce_map(self->c, 0, va, SZ_4K, DMA_RW));
	EXPECT_EQ(-EINVAL, tce_remove(self->c, 0));
}

TEST_F(window, default_lazy_create)
{
	unsigned int shift = page_shift(self);
	char *va = memory(self);
	u64 start = 1;

	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, tce_create_any(self->c, shift, SZ_1G, &start));
	EXPECT_EQ(TCE_WINDOW1, start);
	if (told())
		EXPECT_EQ(2, tce_tables(NULL, 0));
	EXPECT_EQ(0, tce_map(self->c, SZ_1M, va, SZ_4K, DMA_RW));
	ASSERT_EQ(0, tce_remove(self->c, start));
	EXPECT_EQ(0, tce_map(self->c, 0, va, SZ_4K, DMA_RW));
}

TEST_F(window, default_cancelled)
{
	unsigned int shift = page_shift(self);
	u64 huge = huge_size(self);
	char *va = memory(self);
	u64 start = 1;

	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, tce_remove(self->c, 0));
	EXPECT_EQ(self->page, sys_vmlck());
	EXPECT_EQ(-ENXIO, tce_map(self->c, 0, va, SZ_4K, DMA_RW));
	EXPECT_EQ(-EINVAL, tce_remove(self->c, 0));
	ASSERT_EQ(0, tce_create_any(self->c, shift, huge, &start));
	EXPECT_EQ(0, tce_map(self->c, start + huge - self->page, va, self->page,
			     DMA_RW));
	if (!sys_powernv())
		return;		/* the hypervisor says where */
	EXPECT_EQ(0, start);
	ASSERT_EQ(0, tce_create_any(self->c, shift, SZ_1G, &start));
	EXPECT_EQ(TCE_WINDOW1, start);
}

/* ---- size --------------------------------------------------------------- */

/* A table smaller than a page, and than the smallest level, is not rounded. */
TEST_F(window, exact_size)
{
	static const u64 tces[] = { 1, 2, 16, 256, 512, 1024, 8192 };
	unsigned int i, shift = page_shift(self);
	char *va = mem_alloc(4 * self->page, 0, 0);
	u64 start, size, iommu = BIT_ULL(shift);
	int ret;

	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, tce_register(self->c, va, 4 * self->page));
	for (i = 0; i < ARRAY_SIZE(tces); i++) {
		size = tces[i] << shift;
		ret = tce_create(self->c, shift, size, 1, &start);
		/* a kernel may have a least size, but must say so */
		if (ret == -EINVAL)
			continue;
		ASSERT_EQ(0, ret)
			TH_LOG("%llu TCEs: %d", tces[i], ret);
		EXPECT_EQ(0, tce_map(self->c, start, va, iommu, DMA_RW));
		EXPECT_EQ(0, tce_map(self->c, start + size - iommu, va, iommu,
				     DMA_RW));
		ret = tce_map(self->c, start + size, va, iommu, DMA_RW);
		EXPECT_EQ(-ENXIO, ret)
			TH_LOG("mapped behind a window of %llu: %d",
			       tces[i], ret);
		ret = tce_map(self->c, start + size - iommu, va, 2 * iommu,
			      DMA_RW);
		EXPECT_EQ(-EINVAL, ret)
			TH_LOG("mapped over the end of %llu: %d",
			       tces[i], ret);
		EXPECT_GT(0, tce_unmap(self->c, start + size, iommu));
		EXPECT_GT(0, tce_unmap(self->c, start + size - iommu,
				       2 * iommu));
		EXPECT_TRUE(charge_exact(start));
		ASSERT_EQ(0, tce_remove(self->c, start));
	}
	EXPECT_EQ(0, tce_unregister(self->c, va, 4 * self->page));
}

/* 2^31 entries: 128 TiB of 64K pages. */
TEST_F(window, huge)
{
	unsigned int shift = page_shift(self);
	u64 base, size = huge_size(self), start = 1;
	struct tce_table_stat st;
	s64 free_before, cost;

	ASSERT_EQ(0, tce_create_any(self->c, shift, SZ_1G, &start));
	ASSERT_EQ(0, tce_remove(self->c, start));	/* the default stays */
	free_before = sys_free_bytes();
	base = sys_vmlck();
	ASSERT_EQ(0, tce_create_any(self->c, shift, size, &start));
	EXPECT_EQ(TCE_WINDOW1, start);
	EXPECT_LT(base, sys_vmlck());
	EXPECT_GT(SZ_1M, sys_vmlck() - base)
		TH_LOG("an empty window is charged %llu bytes",
		       (sys_vmlck() - base));
	cost = free_before - sys_free_bytes();
	EXPECT_GE((s64)SZ_1M + SLACK, cost)
		TH_LOG("it took %lld bytes", cost);
	if (table_at(start, &st)) {
		EXPECT_EQ(size >> shift, st.tces);
		EXPECT_EQ(st.charged_pages * self->page, sys_vmlck() - base);
	}
	EXPECT_EQ(0, tce_remove(self->c, start));
	EXPECT_EQ(base, sys_vmlck());
}

/* ---- cost --------------------------------------------------------------- */

/* VmLck, what debugfs says, and the memory that is gone, at every step. */
TEST_F(window, charge_is_allocation)
{
	unsigned int i, shift = page_shift(self);
	u64 size, base, created, mapped, least, start;
	u64 chunk = 256 << shift;	/* 16M of 64K pages */
	s64 before, between, full;
	char *va;

	if (!told())
		SKIP(return, "no debugfs file spapr_tce/tables");
	va = mem_alloc(chunk, 0, MEM_POPULATE);
	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, tce_register(self->c, va, chunk));
	ASSERT_EQ(0, tce_remove(self->c, 0));
	base = sys_vmlck();
	before = sys_free_bytes();

	size = huge_size(self);
	ASSERT_EQ(0, tce_create_any(self->c, shift, size, &start));
	created = sys_vmlck();
	between = sys_free_bytes();
	EXPECT_TRUE(charge_exact(start));
	EXPECT_EQ(charged(), created - base);

	/*
	 * 2^19 entries: 4 MB of hardware levels, which a hypervisor keeps for
	 * its guests, and as much of user view.
	 */
	for (i = 0; i < 2048; i++)
		ASSERT_EQ(0, tce_map(self->c, start + i * chunk, va, chunk,
				     DMA_RW));
	mapped = sys_vmlck();
	full = sys_free_bytes();
	EXPECT_TRUE(charge_exact(start));
	EXPECT_EQ(charged(), mapped - base);
	least = sys_powernv() ? 8 * SZ_1M : 4 * SZ_1M;
	EXPECT_LE(least, mapped - created);
	EXPECT_GE(least + SZ_1M, mapped - created);
	EXPECT_LE((s64)(mapped - created) - SLACK, between - full);
	if (!sys_slab_debug())
		EXPECT_GE((s64)(mapped - created) + SLACK, between - full);

	/* levels may stay or go with their entries; the charge follows */
	ASSERT_EQ(0, tce_unmap(self->c, start, 2048 * chunk));
	EXPECT_TRUE(charge_exact(start));
	EXPECT_EQ(charged(), sys_vmlck() - base);
	ASSERT_EQ(0, tce_unregister(self->c, va, chunk));

	ASSERT_EQ(0, tce_remove(self->c, start));
	EXPECT_EQ(base - chunk, sys_vmlck());
	EXPECT_LE(before - SLACK, sys_free_bytes());
}

/* Mapping over what is mapped, or the same again, costs nothing more. */
TEST_F(window, charge_once)
{
	unsigned int shift = page_shift(self);
	u64 huge = huge_size(self);
	char *va = memory(self);
	u64 start, vmlck;
	int i;

	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, tce_create_any(self->c, shift, huge, &start));
	ASSERT_EQ(0, tce_map(self->c, start + SZ_1G, va, self->page, DMA_RW));
	vmlck = sys_vmlck();
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, tce_map(self->c, start + SZ_1G, va, self->page,
				     DMA_R));
		ASSERT_EQ(0, tce_unmap(self->c, start + SZ_1G, self->page));
		ASSERT_EQ(0, tce_map(self->c, start + SZ_1G, va, self->page,
				     DMA_RW));
	}
	EXPECT_EQ(vmlck, sys_vmlck());
	/* unmapping what never was mapped allocates nothing */
	EXPECT_EQ(0, tce_unmap(self->c, start, huge));
	EXPECT_GE(vmlck, sys_vmlck());
	ASSERT_EQ(0, tce_unregister(self->c, va, self->page));
	vmlck = sys_vmlck();
	EXPECT_EQ(0, tce_unmap(self->c, start, huge));
	EXPECT_EQ(vmlck, sys_vmlck());
}

/*
 * The case that on-demand levels exist for: 16 GB of RAM at 0 and 16 GB of a
 * GPU's memory far up. In one window of 64K pages that is 4 MB of entries; a
 * table that covers all between them has 4656 MB.
 */
TEST_F_TIMEOUT(window, ram_and_gpu, 120)
{
	const u64 gpu = 0x244000000000ULL, chunk = 64 * SZ_1M;
	struct tce_table_stat st;
	u64 base, cost, start, off;
	s64 before, gone;
	char *va;

	if (!has_shift(self, 16) || self->page < SZ_64K)
		SKIP(return, "no 64K pages");
	if (!sys_powernv())
		SKIP(return, "the hypervisor keeps the entries");
	va = mem_alloc(chunk, 0, MEM_POPULATE);
	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, tce_register(self->c, va, chunk));
	ASSERT_EQ(0, tce_remove(self->c, 0));
	base = sys_vmlck();
	before = sys_free_bytes();
	ASSERT_EQ(0, tce_create(self->c, 16, SZ_64T, self->levels, &start));
	ASSERT_EQ(0, start);
	for (off = 0; off < SZ_16G; off += chunk) {
		ASSERT_EQ(0, tce_map(self->c, start + off, va, chunk, DMA_RW));
		ASSERT_EQ(0, tce_map(self->c, start + gpu + off, va, chunk,
				     DMA_RW));
	}

	cost = sys_vmlck() - base;
	gone = before - sys_free_bytes();
	TH_LOG("charged %llu KiB, %lld KiB less memory free",
	       cost >> 10, gone >> 10);
	/* entries, as much for the user's addresses, and a few levels */
	EXPECT_LE(4 * SZ_1M, cost);
	EXPECT_GE(9 * SZ_1M, cost);
	if (!sys_slab_debug())
		EXPECT_GE((s64)(9 * SZ_1M) + SLACK, gone);
	if (table_at(start, &st)) {
		EXPECT_LE(4 * SZ_1M, st.hw_bytes);
		EXPECT_GE(4 * SZ_1M + SZ_256M / 1024, st.hw_bytes);
		EXPECT_EQ(cost, st.charged_pages * self->page);
	}

	if (tce_can_dma(&self->dev)) {
		/* one of the first, one of the last */
		off = SZ_16G - chunk;
		mem_fill(va, SZ_4K, 71);
		ASSERT_EQ(0, edu_read_ram(&self->dev, start, 0, 2048));
		ASSERT_EQ(0, edu_write_ram(&self->dev, start + gpu + SZ_16G -
					   SZ_64K, 0, 2048));
		EXPECT_TRUE(mem_check(va + chunk - SZ_64K, 2048, 71));
	}

	ASSERT_EQ(0, tce_unmap(self->c, start, SZ_64T));
	ASSERT_EQ(0, tce_unregister(self->c, va, chunk));
	ASSERT_EQ(0, tce_remove(self->c, start));
	EXPECT_EQ(base - chunk, sys_vmlck());
}

/* 16 entries spread over 128 TiB cost less than 1 MB, charged and taken. */
TEST_F(window, sparse)
{
	unsigned int i, shift = page_shift(self);
	u64 base, size, cost, start, step;
	struct tce_table_stat st;
	s64 before, gone;
	char *va = memory(self);

	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, tce_remove(self->c, 0));
	size = huge_size(self);
	step = size / 16;
	base = sys_vmlck();
	before = sys_free_bytes();
	ASSERT_EQ(0, tce_create(self->c, shift, size, self->levels, &start));
	for (i = 0; i < 16; i++)
		ASSERT_EQ(0, tce_map(self->c, start + i * step, va,
				     BIT_ULL(shift), DMA_RW));
	cost = sys_vmlck() - base;
	gone = before - sys_free_bytes();
	TH_LOG("charged %llu KiB, %lld KiB less memory free",
	       cost >> 10, gone >> 10);
	EXPECT_GT(SZ_1M, cost);
	EXPECT_GT((s64)SZ_1M + SLACK, gone);
	EXPECT_TRUE(charge_exact(start));
	if (table_at(start, &st)) {
		EXPECT_GT(SZ_1M, st.hw_bytes + st.view_bytes);
		EXPECT_LE(self->levels, st.levels);
	}

	/* they go with one request, that costs what they cost */
	ASSERT_EQ(0, tce_unmap(self->c, start, size));
	ASSERT_EQ(0, tce_unregister(self->c, va, self->page));
	ASSERT_EQ(0, tce_remove(self->c, start));
	EXPECT_EQ(base - self->page, sys_vmlck());
}

/* ---- over the limit ----------------------------------------------------- */

static bool set_memlock(u64 soft)
{
	struct rlimit rl = { .rlim_cur = soft, .rlim_max = RLIM_INFINITY };

	return !setrlimit(RLIMIT_MEMLOCK, &rl);
}

struct limit_args {
	struct _test_data_window *self;
	int mapped;
};

/*
 * A user without CAP_IPC_LOCK maps page after page in parts of the window that
 * have no levels yet, with no more memory to lock than he has locked.
 */
static int limit_child(void *arg)
{
	struct limit_args *a = arg;
	struct _test_data_window *self = a->self;
	unsigned int shift = page_shift(self);
	u64 huge = huge_size(self);
	int c, n, ret = 0;
	u64 start = 1, step, vmlck;
	char *va;

	c = tce_open(&self->dev, TCE_V2);
	self->c = c;
	va = c < 0 ? NULL : memory(self);
	if (!va)
		return __LINE__;
	CHILD_CHECK(!tce_remove(c, 0));
	CHILD_CHECK(!tce_create_any(c, shift, huge, &start));
	CHILD_CHECK(!tce_map(c, start, va, BIT_ULL(shift), DMA_RW));
	CHILD_CHECK(set_memlock(RLIM_INFINITY));
	CHILD_CHECK(!setresgid(65534, 65534, 65534));
	CHILD_CHECK(!setresuid(65534, 65534, 65534));
	CHILD_CHECK(set_memlock(sys_vmlck()));

	/* one more level may fit the last page that is charged */
	step = huge / 64;
	for (n = 1; n < 64; n++) {
		vmlck = sys_vmlck();
		ret = tce_map(c, start + n * step, va, BIT_ULL(shift), DMA_RW);
		if (ret)
			break;
	}
	CHILD_CHECK(ret == -ENOMEM);
	CHILD_CHECK(sys_vmlck() == vmlck);
	/* a second window is over the limit as well */
	if (sys_powernv())
		CHILD_CHECK(tce_create(c, shift, SZ_1G, 1, NULL) == -ENOMEM);
	CHILD_CHECK(sys_vmlck() == vmlck);
	/* what was mapped can be mapped over: its levels are there */
	CHILD_CHECK(!tce_map(c, start, va, BIT_ULL(shift), DMA_R));

	/* with more to lock it goes on where it failed */
	CHILD_CHECK(set_memlock(vmlck + 64 * self->page));
	CHILD_CHECK(!tce_map(c, start + n * step, va, BIT_ULL(shift), DMA_RW));
	/* and every count is given back, once */
	CHILD_CHECK(tce_unregister(c, va, self->page) == -EBUSY);
	CHILD_CHECK(!tce_unmap(c, start, (n + 1) * step));
	CHILD_CHECK(!tce_unregister(c, va, self->page));
	CHILD_CHECK(!tce_remove(c, start));
	CHILD_CHECK(!sys_vmlck());
	return 0;
}

TEST_F(window, level_over_memlock)
{
	struct limit_args args = { .self = self };
	int ret;

	tce_close(&self->dev, self->c);
	self->c = -1;
	ret = run_child(limit_child, &args);
	EXPECT_EQ(0, ret)
		TH_LOG("line %d", ret);
}

/* A range of many levels that does not fit: none of it, and none is kept. */
static int range_child(void *arg)
{
	struct limit_args *a = arg;
	struct _test_data_window *self = a->self;
	unsigned int shift = page_shift(self);
	u64 huge = huge_size(self);
	u64 start = 1, size, vmlck;
	int c;
	char *va;

	c = tce_open(&self->dev, TCE_V2);
	self->c = c;
	if (c < 0)
		return __LINE__;
	/* 64 KiB of levels, or twice 32: more than the page that is charged */
	size = (sys_powernv() ? 4096ULL : 8192ULL) << shift;
	va = mem_alloc(size, 0, 0);
	CHILD_CHECK(va);
	CHILD_CHECK(!tce_remove(c, 0));
	CHILD_CHECK(!tce_register(c, va, size));
	CHILD_CHECK(!tce_create_any(c, shift, huge, &start));
	CHILD_CHECK(set_memlock(RLIM_INFINITY));
	CHILD_CHECK(!setresgid(65534, 65534, 65534));
	CHILD_CHECK(!setresuid(65534, 65534, 65534));
	vmlck = sys_vmlck();
	CHILD_CHECK(set_memlock(vmlck));
	CHILD_CHECK(tce_map(c, start + SZ_1G, va, size, DMA_RW) == -ENOMEM);
	CHILD_CHECK(sys_vmlck() == vmlck);
	CHILD_CHECK(!tce_unregister(c, va, size));
	CHILD_CHECK(sys_vmlck() == vmlck - size);
	/* now there is room */
	CHILD_CHECK(!tce_register(c, va, size / 2));
	CHILD_CHECK(!tce_map(c, start + SZ_1G, va, size / 2, DMA_RW));
	CHILD_CHECK(tce_unregister(c, va, size / 2) == -EBUSY);
	return 0;
}

TEST_F(window, range_over_memlock)
{
	struct limit_args args = { .self = self };
	int ret;

	tce_close(&self->dev, self->c);
	self->c = -1;
	ret = run_child(range_child, &args);
	EXPECT_EQ(0, ret)
		TH_LOG("line %d", ret);
}

TEST_HARNESS_MAIN
