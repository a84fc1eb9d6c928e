// SPDX-License-Identifier: GPL-2.0
/*
 * Registered memory in huge pages, transparent and of hugetlbfs: larger IOMMU
 * pages can map it, and nothing else.
 */
#include <string.h>

#include "prereg.h"

/* @size bytes that are in transparent huge pages, all of them; or NULL. */
static char *thp_alloc(size_t size, size_t extra)
{
	size_t huge = mem_thp_size();
	char *va;

	if (!huge || size % huge)
		return NULL;
	va = mem_alloc(size + extra, huge, 0);
	if (!va)
		return NULL;
	if (madvise(va, size, MADV_HUGEPAGE))
		goto fail;
	memset(va, 0, size + extra);
	if (mem_thp_bytes(va, size) != size)
		goto fail;
	return va;
fail:
	mem_free(va, size + extra);
	return NULL;
}

/*
 * A window of pages of 1 << @shift that holds @pages of them. Makes the
 * request as a user of any kernel would.
 */
static int huge_window(int c, unsigned int shift, u64 pages, u64 *start)
{
	u64 count = 16;

	while (count < pages)
		count *= 2;
	return tce_create_any(c, shift, count << shift, start);
}

/* The first 4K of huge page 0 to the last 4K of the last, and back. */
static bool huge_dma(struct tce_dev *dev, char *va, size_t size, u64 iova)
{
	mem_fill(va, SZ_4K, 21);
	memset(va + size - SZ_4K, 0, SZ_4K);
	if (edu_copy(dev, iova, iova + size - SZ_4K, 4088))
		return false;
	return mem_check(va + size - SZ_4K, 4088, 21);
}

TEST_F(prereg, thp)
{
	size_t size = 2 * mem_thp_size();
	char *va = size ? thp_alloc(size, 0) : NULL;
	unsigned int shift = tce_iommu_shift(self->c, size / 2);
	s64 want, pinned = sys_pinned();
	u64 vmlck, start;

	if (!va)
		SKIP(return, "no transparent huge pages here");
	if (shift <= 16)
		SKIP(return, "the IOMMU has no pages over 64K up to %zuM",
		     size >> 21);
	ASSERT_EQ(0, huge_window(self->c, shift, size >> shift, &start));
	vmlck = sys_vmlck();

	ASSERT_EQ(0, tce_register(self->c, va, size));
	EXPECT_EQ(vmlck + size, sys_vmlck());
	want = pinned + size / self->page;
	EXPECT_EQ(want, sys_pinned_wait(want));
	ASSERT_EQ(0, tce_map(self->c, start, va, size, DMA_RW));
	if (tce_can_dma(&self->devs[0]))
		EXPECT_TRUE(huge_dma(&self->devs[0], va, size, start));
	EXPECT_EQ(size, mem_thp_bytes(va, size));
	EXPECT_EQ(-EBUSY, tce_unregister(self->c, va, size));
	ASSERT_EQ(0, tce_unmap(self->c, start, size));
	ASSERT_EQ(0, tce_unregister(self->c, va, size));
	EXPECT_EQ(pinned, sys_pinned_wait(pinned));
	mem_free(va, size);
}

/* Two regions that share one huge page: each pins its own part. */
TEST_F(prereg, thp_parts)
{
	size_t huge = mem_thp_size(), page = self->page;
	char *va = huge ? thp_alloc(huge, 0) : NULL;
	unsigned int shift = tce_iommu_shift(self->c, huge / 2);
	s64 want, pinned = sys_pinned();
	u64 vmlck = sys_vmlck(), start;

	if (!va)
		SKIP(return, "no transparent huge pages here");
	/* one page short at the start; the split is in the middle */
	ASSERT_EQ(0, tce_register(self->c, va + page, huge / 2 - page));
	ASSERT_EQ(0, tce_register(self->c, va + huge / 2, huge / 2));
	EXPECT_EQ(vmlck + huge - page, sys_vmlck());

	if (shift > 16) {
		ASSERT_EQ(0, huge_window(self->c, shift, huge >> shift, &start));
		/* its first page is not registered */
		EXPECT_EQ(-EINVAL, tce_map(self->c, start, va, BIT_ULL(shift),
					   DMA_RW));
		EXPECT_EQ(0, tce_map(self->c, start, va + huge / 2,
				     BIT_ULL(shift), DMA_RW));
		EXPECT_EQ(0, tce_unmap(self->c, start, BIT_ULL(shift)));
		ASSERT_EQ(0, tce_remove(self->c, start));
		ASSERT_EQ(0, tce_remove(self->c, 0));
	}
	ASSERT_EQ(0, tce_unregister(self->c, va + page, huge / 2 - page));
	EXPECT_EQ(vmlck + huge / 2, sys_vmlck());
	want = pinned + huge / 2 / page;
	EXPECT_EQ(want, sys_pinned_wait(want));
	ASSERT_EQ(0, tce_unregister(self->c, va + huge / 2, huge / 2));
	EXPECT_EQ(pinned, sys_pinned_wait(pinned));
	mem_free(va, huge);
}

/* One region, huge pages first and then small ones. */
static void mixed(struct __test_metadata *_metadata,
		  struct _test_data_prereg *self, char *va, size_t huge,
		  size_t small)
{
	unsigned int shift = tce_iommu_shift(self->c, huge);
	size_t size = huge + small;
	u64 start, iommu = BIT_ULL(shift);
	s64 pinned = sys_pinned();
	int ret;

	if (shift <= 16)
		SKIP(return, "the IOMMU has no pages over 64K that fit");
	ASSERT_LE(iommu, small);
	ASSERT_EQ(0, huge_window(self->c, shift, size >> shift, &start));
	ASSERT_EQ(0, tce_register(self->c, va, size));

	ret = tce_map(self->c, start, va, huge, DMA_RW);
	EXPECT_EQ(0, ret)
		TH_LOG("the part in huge pages can be mapped by such: %d", ret);
	ret = tce_map(self->c, start + huge, va + huge, iommu, DMA_RW);
	EXPECT_EQ(-EPERM, ret)
		TH_LOG("the part in small pages cannot: %d", ret);
	ret = tce_map(self->c, start + huge, va, size, DMA_RW);
	EXPECT_GT(0, ret)
		TH_LOG("nor both in one request: %d", ret);
	if (tce_can_dma(&self->devs[0]))
		EXPECT_TRUE(huge_dma(&self->devs[0], va, huge, start));
	EXPECT_EQ(0, tce_unmap(self->c, start, huge));
	/* small IOMMU pages fit everywhere */
	EXPECT_EQ(0, tce_map(self->c, 0, va, size, DMA_RW));
	EXPECT_EQ(0, tce_unmap(self->c, 0, size));
	EXPECT_EQ(0, tce_unregister(self->c, va, size));
	EXPECT_EQ(pinned, sys_pinned_wait(pinned));
}

TEST_F(prereg, thp_mixed)
{
	size_t huge = mem_thp_size();
	char *va = huge ? thp_alloc(huge, huge) : NULL;

	if (!va)
		SKIP(return, "no transparent huge pages here");
	mixed(_metadata, self, va, huge, huge);
	mem_free(va, 2 * huge);
}

/* Scattered system pages cannot back a bigger IOMMU page. */
TEST_F(prereg, small_pages)
{
	unsigned int shift = tce_iommu_shift(self->c, SZ_16M);
	size_t size = BIT_ULL(shift);
	u64 start, vmlck;
	char *va;

	if (size <= self->page)
		SKIP(return, "the IOMMU has no pages over the system's");
	va = mem_alloc(2 * size, size, MEM_POPULATE);
	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, tce_create_any(self->c, shift, 16 * size, &start));
	ASSERT_EQ(0, tce_register(self->c, va, 2 * size));
	vmlck = sys_vmlck();
	EXPECT_EQ(-EPERM, tce_map(self->c, start, va, size, DMA_RW));
	EXPECT_EQ(-EPERM, tce_map(self->c, start + size, va + size, size,
				  DMA_R));
	EXPECT_EQ(-EPERM, tce_map(self->c, start, va, 2 * size, DMA_RW));
	EXPECT_EQ(vmlck, sys_vmlck());
	EXPECT_EQ(0, tce_unregister(self->c, va, 2 * size));
}

FIXTURE(hugetlb)
{
	FIXTURE_DATA(prereg) p;
	long reserved;
};

FIXTURE_VARIANT(hugetlb)
{
	unsigned int shift;
};

VARIANT(hugetlb, 2M, .shift = 21);
VARIANT(hugetlb, 16M, .shift = 24);
VARIANT(hugetlb, 1G, .shift = 30);

FIXTURE_SETUP(hugetlb)
{
	/* __get_user_pages() of 6.12 never finds the page it faulted in there */
	if (sys_page_size() == SZ_4K && !sys_radix())
		SKIP(return, "hugetlb cannot be pinned on hash with 4K pages");
	self->reserved = mem_hugetlb_reserve(variant->shift, 2);
	if (self->reserved < 1)
		SKIP(return, "no hugetlb pages of %lluM",
		     BIT_ULL(variant->shift) >> 20);
	prereg_setup(_metadata, &self->p, NULL);
	if (_metadata->exit_code == KSFT_SKIP)
		mem_hugetlb_reserve(variant->shift, 0);
}

FIXTURE_TEARDOWN(hugetlb)
{
	prereg_teardown(_metadata, &self->p, NULL);
	mem_hugetlb_reserve(variant->shift, 0);
}

TEST_F(hugetlb, map)
{
	unsigned int shift, flags = MEM_HUGETLB(variant->shift) | MEM_POPULATE;
	size_t huge = BIT_ULL(variant->shift);
	size_t size = self->reserved >= 2 ? 2 * huge : huge;
	s64 want, pinned = sys_pinned();
	u64 vmlck, start;
	int c = self->p.c;
	char *va;

	va = mem_alloc(size, 0, flags);
	ASSERT_NE(NULL, va);
	shift = tce_iommu_shift(c, huge);
	if (shift <= 16)
		SKIP(return, "the IOMMU has no pages over 64K that fit");
	ASSERT_EQ(0, huge_window(c, shift, size >> shift, &start));
	vmlck = sys_vmlck();
	ASSERT_EQ(0, tce_register(c, va, size));
	EXPECT_EQ(vmlck + size, sys_vmlck());
	want = pinned + size / self->p.page;
	EXPECT_EQ(want, sys_pinned_wait(want));
	ASSERT_EQ(0, tce_map(c, start, va, size, DMA_RW));
	if (tce_can_dma(&self->p.devs[0]))
		EXPECT_TRUE(huge_dma(&self->p.devs[0], va, size, start));
	EXPECT_EQ(-EBUSY, tce_unregister(c, va, size));
	ASSERT_EQ(0, tce_unmap(c, start, size));
	ASSERT_EQ(0, tce_unregister(c, va, size));
	EXPECT_EQ(pinned, sys_pinned_wait(pinned));
	munmap(va, size);
}

/*
 * A huge page and small pages right behind it. The hash MMU has one page size
 * per segment, so there the border must be that of a segment: below 4 GB these
 * have 256 MB.
 */
static char *mixed_alloc(size_t huge, size_t small, unsigned int shift)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
	int huge_flags = flags | MAP_HUGETLB | shift << MAP_HUGE_SHIFT;
	int prot = PROT_READ | PROT_WRITE;
	u64 border;
	char *va, *end;

	for (border = SZ_1G; border < 4 * SZ_1G; border += SZ_256M) {
		va = (char *)(uintptr_t)(border - huge);
		end = (char *)(uintptr_t)border;
		if (mmap(va, huge, prot, huge_flags, -1, 0) != va)
			continue;
		if (mmap(end, small, prot, flags, -1, 0) == end)
			return va;
		munmap(va, huge);
	}
	return NULL;
}

TEST_F(hugetlb, mixed)
{
	size_t huge = BIT_ULL(variant->shift), small = SZ_16M;
	char *va;

	if (huge > SZ_512M)
		SKIP(return, "too big to have small pages beside it");
	va = mixed_alloc(huge, small, variant->shift);
	if (!va)
		SKIP(return, "no room for a huge page beside small ones");
	madvise(va + huge, small, MADV_NOHUGEPAGE);
	memset(va, 0, huge + small);
	mixed(_metadata, &self->p, va, huge, small);
	munmap(va, huge);
	munmap(va + huge, small);
}

TEST_HARNESS_MAIN
