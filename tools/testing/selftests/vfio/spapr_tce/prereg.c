// SPDX-License-Identifier: GPL-2.0
/*
 * Registered memory of VFIO_SPAPR_TCE_v2_IOMMU: what is one region and what is
 * not, what is pinned and charged, when, and that all of it comes back.
 */
#include <string.h>
#include <unistd.h>

#include "prereg.h"

#define REGIONS		2000

TEST_F(prereg, identity)
{
	size_t page = self->page, size = 8 * page;
	u64 vmlck = sys_vmlck();
	s64 pinned = sys_pinned();
	char *va = mem_alloc(size, 0, 0);

	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, tce_register(self->c, va, size));
	EXPECT_EQ(vmlck + size, sys_vmlck());
	EXPECT_EQ(pinned + 8, sys_pinned_wait(pinned + 8));

	/* the same again, and others that it is not */
	EXPECT_EQ(-EBUSY, tce_register(self->c, va, size));
	EXPECT_EQ(vmlck + size, sys_vmlck());
	EXPECT_EQ(-ENOENT, tce_unregister(self->c, va, size - page));
	EXPECT_EQ(-ENOENT, tce_unregister(self->c, va, size + page));
	EXPECT_EQ(-ENOENT, tce_unregister(self->c, va + page, size - page));
	EXPECT_EQ(-ENOENT, tce_unregister(self->c, va + page, size));
	EXPECT_EQ(vmlck + size, sys_vmlck());

	ASSERT_EQ(0, tce_unregister(self->c, va, size));
	EXPECT_EQ(vmlck, sys_vmlck());
	EXPECT_EQ(pinned, sys_pinned_wait(pinned));
	EXPECT_EQ(-ENOENT, tce_unregister(self->c, va, size));

	/* and once more, the whole and then a part of it */
	ASSERT_EQ(0, tce_register(self->c, va, size));
	ASSERT_EQ(0, tce_unregister(self->c, va, size));
	ASSERT_EQ(0, tce_register(self->c, va + page, page));
	EXPECT_EQ(vmlck + page, sys_vmlck());
	ASSERT_EQ(0, tce_unregister(self->c, va + page, page));
	EXPECT_EQ(vmlck, sys_vmlck());
	mem_free(va, size);
}

/* Every way in which a range can overlap the pages 8 to 15 of 24. */
TEST_F(prereg, overlap)
{
	static const struct {
		int first, count;
		const char *what;
	} bad[] = {
		{ 9, 4, "inside" },
		{ 8, 4, "inside, same start" },
		{ 12, 4, "inside, same end" },
		{ 8, 1, "the first page" },
		{ 15, 1, "the last page" },
		{ 4, 8, "over the start" },
		{ 7, 2, "over the start by one page" },
		{ 12, 8, "over the end" },
		{ 15, 2, "over the end by one page" },
		{ 4, 12, "from before to the same end" },
		{ 8, 12, "from the same start to behind" },
		{ 4, 16, "around" },
		{ 0, 24, "around, and everything else" },
	};
	size_t page = self->page;
	s64 acquired, pinned;
	char *va = mem_alloc(24 * page, 0, MEM_POPULATE);
	unsigned int i;
	u64 vmlck;
	int ret;

	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, tce_register(self->c, va + 8 * page, 8 * page));
	vmlck = sys_vmlck();
	pinned = sys_pinned();
	acquired = sys_vmstat("nr_foll_pin_acquired");

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ret = tce_register(self->c, va + bad[i].first * page,
				   bad[i].count * page);
		EXPECT_EQ(-EINVAL, ret)
			TH_LOG("%s: %d", bad[i].what, ret);
	}
	EXPECT_EQ(vmlck, sys_vmlck());
	EXPECT_EQ(pinned, sys_pinned_wait(pinned));
	EXPECT_EQ(acquired, sys_vmstat("nr_foll_pin_acquired"))
		TH_LOG("pages were pinned before the overlap was seen");

	/* neighbours do not overlap */
	EXPECT_EQ(0, tce_register(self->c, va + 7 * page, page));
	EXPECT_EQ(0, tce_register(self->c, va + 16 * page, 8 * page));
	EXPECT_EQ(0, tce_register(self->c, va, 7 * page));
	EXPECT_EQ(-EINVAL, tce_register(self->c, va, 24 * page));
	EXPECT_EQ(-EINVAL, tce_register(self->c, va + 15 * page, 2 * page));

	/* a gap takes what fits it */
	ASSERT_EQ(0, tce_unregister(self->c, va + 8 * page, 8 * page));
	EXPECT_EQ(-EINVAL, tce_register(self->c, va + 8 * page, 9 * page));
	EXPECT_EQ(0, tce_register(self->c, va + 8 * page, 4 * page));
	EXPECT_EQ(-EINVAL, tce_register(self->c, va + 8 * page, 8 * page));
	EXPECT_EQ(0, tce_register(self->c, va + 12 * page, 4 * page));
	EXPECT_EQ(vmlck + 16 * page, sys_vmlck());
}

/* A mapping may run over regions that touch; it counts in each of them. */
TEST_F(prereg, adjacent)
{
	size_t page = self->page;
	char *va = mem_alloc(6 * page, 0, 0);

	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, tce_register(self->c, va, 2 * page));
	ASSERT_EQ(0, tce_register(self->c, va + 2 * page, page));
	ASSERT_EQ(0, tce_register(self->c, va + 4 * page, 2 * page));

	EXPECT_EQ(0, tce_map(self->c, 0, va, 3 * page, DMA_RW));
	EXPECT_EQ(-EBUSY, tce_unregister(self->c, va, 2 * page));
	EXPECT_EQ(-EBUSY, tce_unregister(self->c, va + 2 * page, page));

	/* page 3 is in no region: nothing of this is mapped */
	EXPECT_EQ(-EINVAL, tce_map(self->c, SZ_16M, va, 6 * page, DMA_RW));
	EXPECT_EQ(-EINVAL, tce_map(self->c, SZ_16M, va + 2 * page, 2 * page,
				   DMA_RW));
	EXPECT_EQ(0, tce_unregister(self->c, va + 4 * page, 2 * page));

	ASSERT_EQ(0, tce_unmap(self->c, 0, 2 * page));
	EXPECT_EQ(0, tce_unregister(self->c, va, 2 * page));
	EXPECT_EQ(-EBUSY, tce_unregister(self->c, va + 2 * page, page));
	ASSERT_EQ(0, tce_unmap(self->c, 2 * page, page));
	EXPECT_EQ(0, tce_unregister(self->c, va + 2 * page, page));
}

TEST_F(prereg, unregister_mapped)
{
	struct tce_dev *dev = &self->devs[0];
	size_t page = self->page;
	char *va = mem_alloc(4 * page, 0, 0);
	u64 base = sys_vmlck(), vmlck;
	s64 pinned, before = sys_pinned();
	int i;

	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, tce_register(self->c, va, 4 * page));
	EXPECT_EQ(base + 4 * page, sys_vmlck());
	ASSERT_EQ(0, tce_map(self->c, 0, va, 2 * page, DMA_RW));
	vmlck = sys_vmlck();
	pinned = sys_pinned();

	for (i = 0; i < 3; i++)
		EXPECT_EQ(-EBUSY, tce_unregister(self->c, va, 4 * page));
	EXPECT_EQ(vmlck, sys_vmlck());
	EXPECT_EQ(pinned, sys_pinned_wait(pinned));

	/* the region is still one: known, mappable and used */
	EXPECT_EQ(-EBUSY, tce_register(self->c, va, 4 * page));
	EXPECT_EQ(0, tce_map(self->c, 2 * page, va + 2 * page, page, DMA_RW));
	if (tce_can_dma(dev)) {
		mem_fill(va, SZ_4K, 1);
		memset(va + 2 * page, 0, page);
		EXPECT_EQ(0, edu_copy(dev, 0, 2 * page, 2048));
		EXPECT_TRUE(mem_check(va + 2 * page, 2048, 1));
	}

	/* one mapped page is enough */
	ASSERT_EQ(0, tce_unmap(self->c, 0, 2 * page));
	EXPECT_EQ(-EBUSY, tce_unregister(self->c, va, 4 * page));
	ASSERT_EQ(0, tce_unmap(self->c, 2 * page, page));
	EXPECT_EQ(0, tce_unregister(self->c, va, 4 * page));
	EXPECT_EQ(before, sys_pinned_wait(before));
	EXPECT_GT(0, tce_map(self->c, 0, va, page, DMA_RW));
}

/* A page mapped many times counts as often. */
TEST_F(prereg, map_many_times)
{
	size_t page = self->page;
	char *va = mem_alloc(page, 0, 0);
	int i, n = 64;

	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, tce_register(self->c, va, page));
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, tce_map(self->c, i * SZ_1M, va, page, DMA_R));
	/* over itself, too: the former count comes back */
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, tce_map(self->c, 0, va, page, DMA_RW));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(-EBUSY, tce_unregister(self->c, va, page));
		ASSERT_EQ(0, tce_unmap(self->c, i * SZ_1M, page));
	}
	EXPECT_EQ(0, tce_unregister(self->c, va, page));
}

/* The last reference to a window gives back what its entries counted. */
TEST_F(prereg, remove_window_gives_back)
{
	size_t page = self->page;
	char *va = mem_alloc(4 * page, 0, 0);

	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, tce_register(self->c, va, 4 * page));
	ASSERT_EQ(0, tce_map(self->c, 0, va, 4 * page, DMA_RW));
	EXPECT_EQ(-EBUSY, tce_unregister(self->c, va, 4 * page));
	ASSERT_EQ(0, tce_remove(self->c, 0));
	EXPECT_EQ(0, tce_unregister(self->c, va, 4 * page));
}

/* Unmapped from the process: pinned and charged until unregistered. */
TEST_F(prereg, munmap_first)
{
	struct tce_dev *dev = &self->devs[0];
	size_t page = self->page;
	char *va = mem_alloc(2 * page, 0, 0), *again;
	u64 vmlck = sys_vmlck();
	s64 pinned = sys_pinned();

	ASSERT_NE(NULL, va);
	mem_fill(va, page, 3);
	ASSERT_EQ(0, tce_register(self->c, va, 2 * page));
	ASSERT_EQ(0, munmap(va, 2 * page));
	EXPECT_EQ(vmlck + 2 * page, sys_vmlck());
	again = mmap(va, 2 * page, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	ASSERT_EQ(va, again);
	memset(again, 0, 2 * page);

	/* the device sees the memory that was registered */
	EXPECT_EQ(0, tce_map(self->c, 0, va, 2 * page, DMA_RW));
	if (tce_can_dma(dev)) {
		EXPECT_EQ(0, edu_copy(dev, 0, page, 1024));
		EXPECT_EQ(0, again[0]);
		EXPECT_EQ(0, again[page]);
	}
	EXPECT_EQ(0, tce_unmap(self->c, 0, 2 * page));
	EXPECT_EQ(0, tce_unregister(self->c, va, 2 * page));
	EXPECT_EQ(0, tce_remove(self->c, 0));
	EXPECT_EQ(vmlck, sys_vmlck());
	EXPECT_EQ(pinned, sys_pinned_wait(pinned));
}

TEST_F(prereg, two_containers)
{
	size_t page = self->page, size = 4 * page;
	char *va = mem_alloc(2 * size, 0, MEM_POPULATE);
	s64 acquired, pinned = sys_pinned();
	u64 vmlck, base = sys_vmlck();
	int ret;

	ASSERT_NE(NULL, va);
	if (self->ndevs < 2)
		SKIP(return, "one IOMMU group only");
	ASSERT_LE(0, open_second(self));

	/* one region: pinned once and charged once */
	ASSERT_EQ(0, tce_register(self->c, va, size));
	EXPECT_EQ(base + size, sys_vmlck());
	acquired = sys_vmstat("nr_foll_pin_acquired");
	ASSERT_EQ(0, tce_register(self->c2, va, size));
	EXPECT_EQ(base + size, sys_vmlck());
	EXPECT_EQ(acquired, sys_vmstat("nr_foll_pin_acquired"))
		TH_LOG("the second container pinned what was pinned");
	EXPECT_EQ(-EBUSY, tce_register(self->c2, va, size));
	EXPECT_EQ(-EINVAL, tce_register(self->c2, va + page, size));
	EXPECT_EQ(base + size, sys_vmlck());

	/* a container maps only what it registered itself */
	ASSERT_EQ(0, tce_register(self->c, va + size, size));
	EXPECT_EQ(-EINVAL, tce_map(self->c2, 0, va + size, page, DMA_RW));
	EXPECT_EQ(-ENOENT, tce_unregister(self->c2, va + size, size));
	EXPECT_EQ(0, tce_unregister(self->c, va + size, size));

	/* both map it, one gives it up */
	ASSERT_EQ(0, tce_map(self->c, 0, va, size, DMA_RW));
	ASSERT_EQ(0, tce_map(self->c2, 0, va, size, DMA_RW));
	vmlck = sys_vmlck();
	EXPECT_EQ(-EBUSY, tce_unregister(self->c, va, size));
	EXPECT_EQ(-EBUSY, tce_unregister(self->c2, va, size));
	ASSERT_EQ(0, tce_unmap(self->c, 0, size));
	ret = tce_unregister(self->c, va, size);
	EXPECT_EQ(0, ret)
		TH_LOG("only the other one has it mapped: %d", ret);
	EXPECT_EQ(vmlck, sys_vmlck());
	EXPECT_EQ(-ENOENT, tce_unregister(self->c, va, size));
	EXPECT_GT(0, tce_map(self->c, 0, va, page, DMA_RW));

	if (tce_can_dma(&self->devs[1])) {
		mem_fill(va, page, 7);
		EXPECT_EQ(0, edu_copy(&self->devs[1], 0, page, 4088));
		EXPECT_TRUE(mem_check(va + page, 4088, 7));
	}
	EXPECT_EQ(-EBUSY, tce_unregister(self->c2, va, size));
	ASSERT_EQ(0, tce_unmap(self->c2, 0, size));
	EXPECT_EQ(0, tce_unregister(self->c2, va, size));
	EXPECT_EQ(pinned, sys_pinned_wait(pinned));
}

/* Closing a container leaves alone what another one registered and mapped. */
TEST_F(prereg, close_shared)
{
	size_t page = self->page, size = 4 * page;
	char *va = mem_alloc(size, 0, MEM_POPULATE);
	u64 base = sys_vmlck(), vmlck;
	s64 pinned = sys_pinned();
	int klog = sys_klog_open();

	ASSERT_NE(NULL, va);
	if (self->ndevs < 2)
		SKIP(return, "one IOMMU group only");
	ASSERT_LE(0, open_second(self));

	ASSERT_EQ(0, tce_register(self->c, va, size));
	ASSERT_EQ(0, tce_map(self->c, 0, va, size, DMA_RW));
	ASSERT_EQ(0, tce_register(self->c2, va, size));
	ASSERT_EQ(0, tce_map(self->c2, 0, va, size, DMA_RW));
	vmlck = sys_vmlck();

	tce_close(&self->devs[0], self->c);
	self->c = -1;
	EXPECT_GT(vmlck, sys_vmlck());		/* the table of c */
	EXPECT_LE(base + size, sys_vmlck());
	EXPECT_EQ(pinned + 4, sys_pinned_wait(pinned + 4));
	if (tce_can_dma(&self->devs[1])) {
		mem_fill(va, page, 9);
		EXPECT_EQ(0, edu_copy(&self->devs[1], 0, 2 * page, 4088));
		EXPECT_TRUE(mem_check(va + 2 * page, 4088, 9));
	}
	EXPECT_EQ(-EBUSY, tce_unregister(self->c2, va, size));

	/* now the last one, mapped and registered as it is */
	tce_close(&self->devs[1], self->c2);
	self->c2 = -1;
	EXPECT_EQ(base, sys_vmlck());
	EXPECT_EQ(pinned, sys_pinned_wait(pinned));
	EXPECT_FALSE(sys_klog_warned(klog));
	close(klog);
}

/*
 * Memory that one container registered and the other tried to map: whatever
 * the kernel answers, the first one can be closed and nothing stays behind.
 */
TEST_F(prereg, close_mapped_by_other)
{
	size_t page = self->page;
	char *va = mem_alloc(2 * page, 0, MEM_POPULATE);
	u64 base = sys_vmlck();
	s64 pinned = sys_pinned();
	int ret, klog = sys_klog_open();

	ASSERT_NE(NULL, va);
	if (self->ndevs < 2)
		SKIP(return, "one IOMMU group only");
	ASSERT_LE(0, open_second(self));

	ASSERT_EQ(0, tce_register(self->c, va, page));
	ASSERT_EQ(0, tce_register(self->c2, va + page, page));
	ret = tce_map(self->c2, 0, va, page, DMA_RW);
	EXPECT_EQ(-EINVAL, ret);
	tce_close(&self->devs[0], self->c);
	self->c = -1;
	tce_unmap(self->c2, 0, page);
	EXPECT_EQ(0, tce_unregister(self->c2, va + page, page));
	tce_close(&self->devs[1], self->c2);
	self->c2 = -1;
	EXPECT_EQ(base, sys_vmlck());
	EXPECT_EQ(pinned, sys_pinned_wait(pinned));
	EXPECT_FALSE(sys_klog_warned(klog));
	close(klog);
}

/* Every second page of an area is a region of its own. */
TEST_F_TIMEOUT(prereg, many_regions, 120)
{
	size_t page = self->page, area = 2 * REGIONS * page;
	s64 pinned = sys_pinned();
	u64 vmlck = sys_vmlck(), table, root;
	char *va = mem_alloc(area, 0, 0);
	unsigned int i, j;

	ASSERT_NE(NULL, va);
	for (i = 0; i < REGIONS; i++)
		ASSERT_EQ(0, tce_register(self->c, va + 2 * i * page, page));
	EXPECT_EQ(vmlck + REGIONS * page, sys_vmlck());
	EXPECT_EQ(pinned + REGIONS, sys_pinned_wait(pinned + REGIONS));

	for (i = 0; i < REGIONS; i++)
		ASSERT_EQ(0, tce_map(self->c, i * page, va + 2 * i * page,
				     page, DMA_RW));
	table = sys_vmlck() - vmlck - REGIONS * page;
	/* what is between them is in none of them */
	for (i = 0; i < REGIONS; i += 97) {
		EXPECT_EQ(-EINVAL, tce_map(self->c, SZ_512M,
					   va + (2 * i + 1) * page, page,
					   DMA_RW));
		EXPECT_EQ(-EINVAL, tce_map(self->c, SZ_512M, va + 2 * i * page,
					   2 * page, DMA_RW));
		ASSERT_EQ(-EBUSY, tce_unregister(self->c, va + 2 * i * page,
						 page));
	}

	if (tce_can_dma(&self->devs[0])) {
		mem_fill(va, 4096, 11);
		EXPECT_EQ(0, edu_copy(&self->devs[0], 0, (REGIONS - 1) * page,
				      4088));
		EXPECT_TRUE(mem_check(va + 2 * (REGIONS - 1) * page, 4088, 11));
	}

	ASSERT_EQ(0, tce_unmap(self->c, 0, REGIONS * page));
	/* The leaves that were covered have gone back */
	root = sys_vmlck() - vmlck - REGIONS * page;
	EXPECT_GT(table, root);
	/* 7 and 2000 have no common divisor: every region, in no order */
	for (i = 0, j = 0; i < REGIONS; i++, j = (j + 7) % REGIONS)
		ASSERT_EQ(0, tce_unregister(self->c, va + 2 * j * page, page));
	EXPECT_EQ(vmlck + root, sys_vmlck());
	EXPECT_EQ(pinned, sys_pinned_wait(pinned));
	mem_free(va, area);
}

TEST_HARNESS_MAIN
