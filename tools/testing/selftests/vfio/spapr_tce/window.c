// SPDX-License-Identifier: GPL-2.0
/*
 * DMA windows of VFIO_SPAPR_TCE_v2_IOMMU: their sizes, pages and levels, how many
 * there are and where. What they cost is in window_cost.c.
 */
#include <string.h>

#include "window.h"

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
		/* as large as asked whether or not the kernel says what it costs */
		EXPECT_TRUE(!told() || charge_exact(start));
		ASSERT_EQ(0, tce_remove(self->c, start));
	}
	EXPECT_EQ(0, tce_unregister(self->c, va, 4 * self->page));
}

TEST_HARNESS_MAIN
