// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of registered memory: by which granules a region is translated,
 * whatever folios its pages are of and in whatever batches they come.
 *
 * The user addresses need not exist: nothing is pinned here.
 */
#include <kunit/test.h>
#include <linux/gfp.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sizes.h>

#include "iommu_region.h"

#define UA		BIT(40)
#define ORDER		4
#define NR		BIT(ORDER)		/* pages of a folio */
#define FOLIO_SHIFT	(PAGE_SHIFT + ORDER)
#define FOLIO_SIZE	BIT(FOLIO_SHIFT)

static void free_folio(void *folio)
{
	folio_put(folio);
}

/* Appends the pages of a new folio to @pages; returns how many */
static unsigned long new_folio(struct kunit *test, struct page **pages,
			       unsigned int order)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_COMP, order);
	unsigned long i;

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_folio,
							page_folio(page)), 0);
	for (i = 0; i < 1UL << order; i++)
		pages[i] = page + i;

	return i;
}

static void free_pieces(void *mem)
{
	region_free_pieces(mem);
}

static struct mm_iommu_table_group_mem_t *
new_region(struct kunit *test, unsigned long ua, unsigned long npages)
{
	struct mm_iommu_table_group_mem_t *mem;

	mem = kunit_kzalloc(test, sizeof(*mem), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mem);
	mem->ua = ua;
	mem->npages = npages;
	mem->granule_shift = GRANULE_SHIFT_ANY;
	mem->pieces = &mem->one;
	mem->nr_pieces = 1;
	KUNIT_ASSERT_EQ(test, region_alloc_pieces(mem), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_pieces, mem), 0);

	return mem;
}

/* A region of these pages, which come @batch at a time */
static struct mm_iommu_table_group_mem_t *
region_of(struct kunit *test, unsigned long ua, struct page **pages,
	  unsigned long nr, unsigned long batch)
{
	struct mm_iommu_table_group_mem_t *mem = new_region(test, ua, nr);
	unsigned long i, some;
	int ret;

	for (i = 0; i < nr; i += some) {
		some = min(batch, nr - i);
		ret = region_add_pages(mem, ua + (i << PAGE_SHIFT), pages + i,
				       some);
		KUNIT_ASSERT_EQ(test, ret, 0);
	}
	mem->whole_shift = mem->granule_shift;

	return mem;
}

/* Each page is translated to what it is, at its start and inside of it */
static void check_pages(struct kunit *test,
			const struct mm_iommu_table_group_mem_t *mem,
			struct page **pages)
{
	unsigned long i, ua, hpa;

	for (i = 0; i < mem->npages; i++) {
		ua = mem->ua + (i << PAGE_SHIFT);
		hpa = page_to_phys(pages[i]);
		KUNIT_EXPECT_EQ(test, region_hpa(mem, ua), hpa);
		KUNIT_EXPECT_EQ(test, region_hpa(mem, ua + 0x234), hpa + 0x234);
	}
}

/* A folio at an address as aligned as it is, and at others */
static void granule_of_a_folio(struct kunit *test)
{
	struct mm_iommu_table_group_mem_t *mem;
	struct page *pages[NR];
	unsigned long off;
	unsigned int want;

	new_folio(test, pages, ORDER);
	for (off = 0; off < NR; off++) {
		mem = region_of(test, UA + (off << PAGE_SHIFT), pages, NR, NR);
		want = off ? PAGE_SHIFT + __ffs(off) : FOLIO_SHIFT;
		KUNIT_EXPECT_EQ(test, mem->granule_shift, want);
		check_pages(test, mem, pages);
	}
}

/* Only a part of a folio, from each page to each other one */
static void granule_of_a_part(struct kunit *test)
{
	struct mm_iommu_table_group_mem_t *mem;
	unsigned long first, nr;
	struct page *pages[NR];

	new_folio(test, pages, ORDER);
	for (first = 0; first < NR; first++) {
		for (nr = 1; nr <= NR - first; nr++) {
			mem = region_of(test, UA + (first << PAGE_SHIFT),
					pages + first, nr, nr);
			KUNIT_EXPECT_EQ(test, mem->granule_shift, FOLIO_SHIFT);
			check_pages(test, mem, pages + first);
		}
	}
}

/* Pages in another order than in memory: what is still contiguous counts */
static void granule_of_shuffled_pages(struct kunit *test)
{
	struct mm_iommu_table_group_mem_t *mem;
	struct page *folio[NR], *pages[NR];
	unsigned long flip, i;

	new_folio(test, folio, ORDER);
	for (flip = 1; flip < NR; flip++) {
		for (i = 0; i < NR; i++)
			pages[i] = folio[i ^ flip];
		mem = region_of(test, UA, pages, NR, NR);
		KUNIT_EXPECT_EQ(test, mem->granule_shift,
				PAGE_SHIFT + __ffs(flip));
		check_pages(test, mem, pages);
	}
	/* two of them only */
	memcpy(pages, folio, sizeof(pages));
	swap(pages[5], pages[7]);
	mem = region_of(test, UA, pages, NR, NR);
	KUNIT_EXPECT_EQ(test, mem->granule_shift, PAGE_SHIFT);
	check_pages(test, mem, pages);
}

/* Several folios, in batches of any size that end anywhere */
static void granules_in_batches(struct kunit *test)
{
	struct mm_iommu_table_group_mem_t *mem;
	struct page *pages[4 * NR];
	unsigned long i, batch;

	for (i = 0; i < ARRAY_SIZE(pages);)
		i += new_folio(test, pages + i, ORDER);
	for (batch = 1; batch <= ARRAY_SIZE(pages); batch++) {
		mem = region_of(test, UA, pages, ARRAY_SIZE(pages), batch);
		KUNIT_EXPECT_EQ(test, mem->granule_shift, FOLIO_SHIFT);
		check_pages(test, mem, pages);
	}
}

/*
 * A small page makes small granules of its piece. Large IOMMU pages are backed
 * where they were, and nowhere else.
 */
static void one_small_page(struct kunit *test)
{
	struct mm_iommu_table_group_mem_t *mem;
	struct page *pages[3 * NR];

	new_folio(test, pages, ORDER);
	new_folio(test, pages + NR, ORDER);
	new_folio(test, pages + 2 * NR, ORDER);
	new_folio(test, pages + NR + 3, 0);
	mem = region_of(test, UA, pages, ARRAY_SIZE(pages), 7);
	KUNIT_EXPECT_EQ(test, mem->granule_shift, PAGE_SHIFT);
	check_pages(test, mem, pages);
	KUNIT_EXPECT_TRUE(test, region_backs(mem, UA, 1, FOLIO_SHIFT));
	KUNIT_EXPECT_FALSE(test, region_backs(mem, UA + FOLIO_SIZE, 1,
					      FOLIO_SHIFT));
	KUNIT_EXPECT_TRUE(test, region_backs(mem, UA + 2 * FOLIO_SIZE, 1,
					     FOLIO_SHIFT));
	KUNIT_EXPECT_FALSE(test, region_backs(mem, UA, 3, FOLIO_SHIFT));
	KUNIT_EXPECT_FALSE(test, region_backs(mem, UA, 1, FOLIO_SHIFT + 1));
	KUNIT_EXPECT_TRUE(test, region_backs(mem, UA + FOLIO_SIZE, NR,
					     PAGE_SHIFT));
}

/*
 * More granules than a block has, in more than one piece: all pages of a folio
 * again and again, each one page from where it would be aligned.
 */
static void pieces_and_blocks(struct kunit *test)
{
	unsigned long nr = 2UL << (MM_IOMMU_PIECE_SHIFT - PAGE_SHIFT), i, k, bad = 0;
	struct mm_iommu_table_group_mem_t *mem;
	struct page *folio[NR], *pages[8 * NR];
	unsigned long ua = UA + 5 * PAGE_SIZE;

	new_folio(test, folio, ORDER);
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		pages[i] = folio[(i + 6) % NR];
	mem = new_region(test, ua, nr);
	KUNIT_EXPECT_EQ(test, mem->nr_pieces, 3);
	for (i = 0; i < nr; i += k) {
		k = min(nr - i, ARRAY_SIZE(pages));
		KUNIT_ASSERT_EQ(test, region_add_pages(mem, ua + (i << PAGE_SHIFT),
						       pages, k), 0);
	}
	KUNIT_EXPECT_EQ(test, mem->granule_shift, PAGE_SHIFT);
	KUNIT_EXPECT_FALSE(test, mem->pieces[2].in_blocks);
	KUNIT_EXPECT_TRUE(test, mem->pieces[0].in_blocks);
	KUNIT_EXPECT_TRUE(test, mem->pieces[1].in_blocks);
	for (i = 0; i < nr; i++)
		bad += region_hpa(mem, ua + (i << PAGE_SHIFT)) !=
		       page_to_phys(pages[i % ARRAY_SIZE(pages)]);
	KUNIT_EXPECT_EQ(test, bad, 0);
}

static struct kunit_case iommu_region_cases[] = {
	KUNIT_CASE(granule_of_a_folio),
	KUNIT_CASE(granule_of_a_part),
	KUNIT_CASE(granule_of_shuffled_pages),
	KUNIT_CASE(granules_in_batches),
	KUNIT_CASE(one_small_page),
	KUNIT_CASE(pieces_and_blocks),
	{}
};

static struct kunit_suite iommu_region_suite = {
	.name = "iommu_region",
	.test_cases = iommu_region_cases,
};

kunit_test_suite(iommu_region_suite);

MODULE_DESCRIPTION("KUnit tests of registered memory");
MODULE_LICENSE("GPL");
