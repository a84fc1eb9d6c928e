// SPDX-License-Identifier: GPL-2.0
/*
 * Preregistered memory of VFIO_SPAPR_TCE_v2_IOMMU: what is pinned and charged,
 * when, and that all of it comes back.
 */
#include <fcntl.h>
#include <mntent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/wait.h>

#include "harness.h"

#define REGIONS		2000

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

/*
 * A second container of this process; -errno, or -ENODEV where the machine
 * has one group only.
 */
static int open_second(struct _test_data_prereg *self)
{
	if (self->ndevs < 2)
		return -ENODEV;
	self->c2 = tce_open(&self->devs[1], TCE_V2);
	return self->c2;
}

/*
 * What sys_pinned() says, after waiting a moment for it to be @want: pages may
 * be given back after an RCU grace period.
 */
static s64 pinned_wait(s64 want)
{
	s64 pinned = sys_pinned();
	int i;

	for (i = 0; i < 100 && pinned >= 0 && pinned != want; i++) {
		usleep(10000);
		pinned = sys_pinned();
	}
	return pinned < 0 ? want : pinned;
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

TEST_F(prereg, identity)
{
	size_t page = self->page, size = 8 * page;
	u64 vmlck = sys_vmlck();
	s64 pinned = sys_pinned();
	char *va = mem_alloc(size, 0, 0);

	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, tce_register(self->c, va, size));
	EXPECT_EQ(vmlck + size, sys_vmlck());
	EXPECT_EQ(pinned + 8, pinned_wait(pinned + 8));

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
	EXPECT_EQ(pinned, pinned_wait(pinned));
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
	EXPECT_EQ(pinned, pinned_wait(pinned));
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
	EXPECT_EQ(pinned, pinned_wait(pinned));

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
	EXPECT_EQ(before, pinned_wait(before));
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
	EXPECT_EQ(pinned, pinned_wait(pinned));
}

TEST_F(prereg, two_containers)
{
	size_t page = self->page, size = 4 * page;
	char *va = mem_alloc(2 * size, 0, MEM_POPULATE);
	s64 acquired, pinned = sys_pinned();
	u64 vmlck, base = sys_vmlck();
	int ret;

	ASSERT_NE(NULL, va);
	ret = open_second(self);
	if (ret == -ENODEV)
		SKIP(return, "one IOMMU group only");
	ASSERT_LE(0, ret);

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
	EXPECT_EQ(pinned, pinned_wait(pinned));
}

/* Closing a container leaves alone what another one registered and mapped. */
TEST_F(prereg, close_shared)
{
	size_t page = self->page, size = 4 * page;
	char *va = mem_alloc(size, 0, MEM_POPULATE);
	u64 base = sys_vmlck(), vmlck;
	s64 pinned = sys_pinned();
	int ret, klog = sys_klog_open();

	ASSERT_NE(NULL, va);
	ret = open_second(self);
	if (ret == -ENODEV)
		SKIP(return, "one IOMMU group only");
	ASSERT_LE(0, ret);

	ASSERT_EQ(0, tce_register(self->c, va, size));
	ASSERT_EQ(0, tce_map(self->c, 0, va, size, DMA_RW));
	ASSERT_EQ(0, tce_register(self->c2, va, size));
	ASSERT_EQ(0, tce_map(self->c2, 0, va, size, DMA_RW));
	vmlck = sys_vmlck();

	tce_close(&self->devs[0], self->c);
	self->c = -1;
	EXPECT_GT(vmlck, sys_vmlck());		/* the table of c */
	EXPECT_LE(base + size, sys_vmlck());
	EXPECT_EQ(pinned + 4, pinned_wait(pinned + 4));
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
	EXPECT_EQ(pinned, pinned_wait(pinned));
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
	ret = open_second(self);
	if (ret == -ENODEV)
		SKIP(return, "one IOMMU group only");
	ASSERT_LE(0, ret);

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
	EXPECT_EQ(pinned, pinned_wait(pinned));
	EXPECT_FALSE(sys_klog_warned(klog));
	close(klog);
}

/* Every second page of an area is a region of its own. */
TEST_F_TIMEOUT(prereg, many_regions, 120)
{
	size_t page = self->page, area = 2 * REGIONS * page;
	s64 pinned = sys_pinned();
	u64 vmlck = sys_vmlck(), table;
	char *va = mem_alloc(area, 0, 0);
	unsigned int i, j;

	ASSERT_NE(NULL, va);
	for (i = 0; i < REGIONS; i++)
		ASSERT_EQ(0, tce_register(self->c, va + 2 * i * page, page));
	EXPECT_EQ(vmlck + REGIONS * page, sys_vmlck());
	EXPECT_EQ(pinned + REGIONS, pinned_wait(pinned + REGIONS));

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
	/* 7 and 2000 have no common divisor: every region, in no order */
	for (i = 0, j = 0; i < REGIONS; i++, j = (j + 7) % REGIONS)
		ASSERT_EQ(0, tce_unregister(self->c, va + 2 * j * page, page));
	EXPECT_EQ(vmlck + table, sys_vmlck());
	EXPECT_EQ(pinned, pinned_wait(pinned));
	mem_free(va, area);
}

/* ---- huge pages --------------------------------------------------------- */

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

/* The biggest IOMMU page that the machine has and that is not over @max. */
static unsigned int iommu_shift(int c, size_t max)
{
	struct vfio_iommu_spapr_tce_info info;
	unsigned int shift;

	if (tce_get_info(c, &info) || !(info.flags & VFIO_IOMMU_SPAPR_INFO_DDW))
		return 0;
	for (shift = 63; shift; shift--)
		if (info.ddw.pgsizes & BIT_ULL(shift) && BIT_ULL(shift) <= max)
			return shift;
	return 0;
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
	unsigned int shift = iommu_shift(self->c, size / 2);
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
	EXPECT_EQ(want, pinned_wait(want));
	ASSERT_EQ(0, tce_map(self->c, start, va, size, DMA_RW));
	if (tce_can_dma(&self->devs[0]))
		EXPECT_TRUE(huge_dma(&self->devs[0], va, size, start));
	EXPECT_EQ(size, mem_thp_bytes(va, size));
	EXPECT_EQ(-EBUSY, tce_unregister(self->c, va, size));
	ASSERT_EQ(0, tce_unmap(self->c, start, size));
	ASSERT_EQ(0, tce_unregister(self->c, va, size));
	EXPECT_EQ(pinned, pinned_wait(pinned));
	mem_free(va, size);
}

/* Two regions that share one huge page: each pins its own part. */
TEST_F(prereg, thp_parts)
{
	size_t huge = mem_thp_size(), page = self->page;
	char *va = huge ? thp_alloc(huge, 0) : NULL;
	unsigned int shift = iommu_shift(self->c, huge / 2);
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
	EXPECT_EQ(want, pinned_wait(want));
	ASSERT_EQ(0, tce_unregister(self->c, va + huge / 2, huge / 2));
	EXPECT_EQ(pinned, pinned_wait(pinned));
	mem_free(va, huge);
}

/* One region, huge pages first and then small ones. */
static void mixed(struct __test_metadata *_metadata,
		  struct _test_data_prereg *self, char *va, size_t huge,
		  size_t small)
{
	unsigned int shift = iommu_shift(self->c, huge);
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
	EXPECT_EQ(pinned, pinned_wait(pinned));
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
	unsigned int shift = iommu_shift(self->c, SZ_16M);
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
	shift = iommu_shift(c, huge);
	if (shift <= 16)
		SKIP(return, "the IOMMU has no pages over 64K that fit");
	ASSERT_EQ(0, huge_window(c, shift, size >> shift, &start));
	vmlck = sys_vmlck();
	ASSERT_EQ(0, tce_register(c, va, size));
	EXPECT_EQ(vmlck + size, sys_vmlck());
	want = pinned + size / self->p.page;
	EXPECT_EQ(want, pinned_wait(want));
	ASSERT_EQ(0, tce_map(c, start, va, size, DMA_RW));
	if (tce_can_dma(&self->p.devs[0]))
		EXPECT_TRUE(huge_dma(&self->p.devs[0], va, size, start));
	EXPECT_EQ(-EBUSY, tce_unregister(c, va, size));
	ASSERT_EQ(0, tce_unmap(c, start, size));
	ASSERT_EQ(0, tce_unregister(c, va, size));
	EXPECT_EQ(pinned, pinned_wait(pinned));
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

/* ---- memory that cannot be registered ----------------------------------- */

/* @what must be refused with @want, and nothing be pinned or charged. */
static void refused(struct __test_metadata *_metadata, int c, const void *va,
		    size_t size, int want, const char *what)
{
	s64 pinned = sys_pinned();
	u64 vmlck = sys_vmlck();
	int ret = tce_register(c, va, size);

	EXPECT_EQ(want, ret)
		TH_LOG("%s: %d", what, ret);
	EXPECT_EQ(vmlck, sys_vmlck())
		TH_LOG("%s: VmLck changed", what);
	EXPECT_EQ(pinned, pinned_wait(pinned))
		TH_LOG("%s: pages stay pinned", what);
	EXPECT_EQ(-ENOENT, tce_unregister(c, va, size))
		TH_LOG("%s: but it is registered", what);
}

TEST_F(prereg, read_only)
{
	size_t page = self->page;
	char *va = mem_alloc(4 * page, 0, MEM_POPULATE);
	char *ro = mem_alloc(4 * page, 0, MEM_RDONLY);

	ASSERT_NE(NULL, va);
	ASSERT_NE(NULL, ro);
	refused(_metadata, self->c, ro, 4 * page, -EFAULT, "never written");
	ASSERT_EQ(0, mprotect(va + 2 * page, page, PROT_READ));
	refused(_metadata, self->c, va, 4 * page, -EFAULT, "one page of four");
	refused(_metadata, self->c, va + 2 * page, page, -EFAULT, "one page");
	ASSERT_EQ(0, mprotect(va + 2 * page, page, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, tce_register(self->c, va, 4 * page));
}

TEST_F(prereg, hole)
{
	/* more than one batch of pages by any reckoning */
	size_t page = self->page, n = 1200, size = n * page;
	const size_t at[] = { 0, 1, n / 2, n - 2, n - 1 };
	char *va = mem_alloc(size, 0, 0);
	char what[32];
	unsigned int i;

	ASSERT_NE(NULL, va);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		snprintf(what, sizeof(what), "hole at page %zu", at[i]);
		ASSERT_EQ(0, munmap(va + at[i] * page, page));
		refused(_metadata, self->c, va, size, -EFAULT, what);
		ASSERT_NE(MAP_FAILED, mmap(va + at[i] * page, page,
					   PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS |
					   MAP_FIXED, -1, 0));
	}
	ASSERT_EQ(0, mprotect(va + 3 * page, page, PROT_NONE));
	refused(_metadata, self->c, va, size, -EFAULT, "PROT_NONE page");
	ASSERT_EQ(0, munmap(va, size));
	refused(_metadata, self->c, va, size, -EFAULT, "nothing there at all");
	refused(_metadata, self->c, NULL, size, -EFAULT, "address 0");
}

TEST_F(prereg, device_memory)
{
	struct tce_dev *dev = &self->devs[0];

	if (!tce_can_dma(dev))
		SKIP(return, "no device with a BAR to map");
	refused(_metadata, self->c, (void *)dev->bar0, self->page, -EFAULT,
		"a BAR of the device");
}

TEST_F(prereg, memfd)
{
	size_t page = self->page, size = 16 * page;
	int fd = memfd_create("spapr_tce", MFD_CLOEXEC);
	u64 word, vmlck = sys_vmlck();
	char *va;

	if (fd < 0)
		SKIP(return, "no memfd");
	ASSERT_EQ(0, ftruncate(fd, size));
	va = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, va);
	ASSERT_EQ(0, tce_register(self->c, va, size));
	EXPECT_EQ(vmlck + size, sys_vmlck());
	ASSERT_EQ(0, tce_map(self->c, 0, va, size, DMA_RW));
	if (tce_can_dma(&self->devs[0])) {
		mem_fill(va, page, 5);
		EXPECT_EQ(0, edu_copy(&self->devs[0], 0, 9 * page, 4088));
		/* what the device wrote is in the file */
		EXPECT_EQ(8, pread(fd, &word, 8, 9 * page));
		EXPECT_EQ(*(u64 *)va, word);
	}
	ASSERT_EQ(0, tce_unmap(self->c, 0, size));
	ASSERT_EQ(0, tce_unregister(self->c, va, size));

	/* past the end of the file there is nothing to pin */
	ASSERT_EQ(0, ftruncate(fd, size - page));
	refused(_metadata, self->c, va, size, -EFAULT, "past the end of file");
	munmap(va, size);
	close(fd);
}

/* A private mapping of a file is copied when written, and so when pinned. */
TEST_F(prereg, private_file)
{
	size_t page = self->page;
	int fd = memfd_create("spapr_tce", MFD_CLOEXEC);
	u64 word = 0, one = 1;
	char *va;

	if (fd < 0)
		SKIP(return, "no memfd");
	ASSERT_EQ(0, ftruncate(fd, 2 * page));
	ASSERT_EQ(8, pwrite(fd, &one, 8, page));
	va = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, va);
	ASSERT_EQ(0, tce_register(self->c, va, 2 * page));
	ASSERT_EQ(0, tce_map(self->c, 0, va, 2 * page, DMA_RW));
	mem_fill(va, page, 6);
	if (tce_can_dma(&self->devs[0])) {
		EXPECT_EQ(0, edu_copy(&self->devs[0], 0, page, 4088));
		EXPECT_TRUE(mem_check(va + page, 4088, 6));
	}
	EXPECT_EQ(8, pread(fd, &word, 8, page));
	EXPECT_EQ(one, word);
	close(fd);
}

/* A directory on a file system that writes pages back to a disk. */
static bool disk_dir(char *dir, size_t size)
{
	static const char * const types[] = { "ext4", "ext3", "ext2", "xfs",
					      "btrfs", "f2fs" };
	const char *named = getenv("SPAPR_TCE_DISK_DIR");
	struct mntent *m;
	bool found = false;
	unsigned int i;
	FILE *f;

	if (named) {
		snprintf(dir, size, "%s", named);
		return true;
	}
	f = setmntent("/proc/mounts", "r");
	while (f && !found && (m = getmntent(f))) {
		for (i = 0; i < ARRAY_SIZE(types); i++)
			found |= !strcmp(m->mnt_type, types[i]) &&
				 hasmntopt(m, "rw") && !access(m->mnt_dir, W_OK);
		if (found)
			snprintf(dir, size, "%s", m->mnt_dir);
	}
	if (f)
		endmntent(f);
	return found;
}

/*
 * A shared writable file on such a file system cannot be pinned for long: the
 * device would write behind the back of its dirty tracking.
 */
TEST_F(prereg, disk_file)
{
	size_t page = self->page, size = 4 * page;
	char path[4096], bdf[16];
	bool file = disk_dir(path, sizeof(path) - 32);
	char *va;
	int fd;

	if (file) {
		strcat(path, "/spapr_tce.XXXXXX");
		fd = mkstemp(path);
		ASSERT_LE(0, fd);
		unlink(path);
		ASSERT_EQ(0, ftruncate(fd, size));
	} else {
		/* a disk is a file of such a kind, too */
		if (!sys_test_disk(path, sizeof(path), bdf, sizeof(bdf)))
			SKIP(return, "no writable disk file system: set SPAPR_TCE_DISK_DIR");
		fd = open(path, O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, fd);
	}
	va = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, va);
	refused(_metadata, self->c, va, size, -EFAULT, "untouched file");
	if (file) {
		memset(va, 1, size);
		refused(_metadata, self->c, va, size, -EFAULT, "written file");
	}
	munmap(va, size);

	va = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, va);
	EXPECT_EQ(0, tce_register(self->c, va, size));
	close(fd);
}

/* ---- limits ------------------------------------------------------------- */

#define LIMIT_PAGES	8

struct child_args {
	struct tce_dev *dev;
	size_t page;
	int c;			/* container that the parent made */
	char *va;		/* memory that the parent registered */
	u64 huge;
};

static int memlock_child(void *arg)
{
	struct child_args *a = arg;
	size_t page = a->page, limit = LIMIT_PAGES * page;
	char *va = mem_alloc(2 * limit, 0, 0);
	int c = tce_open(a->dev, TCE_V2);

	CHILD_CHECK(c >= 0 && va);
	CHILD_CHECK(!drop_to_user(limit));
	CHILD_CHECK(tce_register(c, va, limit + page) == -ENOMEM);
	CHILD_CHECK(sys_vmlck() == 0);
	CHILD_CHECK(tce_register(c, va, 2 * limit) == -ENOMEM);
	CHILD_CHECK(sys_vmlck() == 0);
	CHILD_CHECK(tce_register(c, va, limit) == 0);
	CHILD_CHECK(sys_vmlck() == limit);
	CHILD_CHECK(tce_register(c, va + limit, page) == -ENOMEM);
	CHILD_CHECK(sys_vmlck() == limit);
	CHILD_CHECK(tce_unregister(c, va, limit) == 0);
	CHILD_CHECK(sys_vmlck() == 0);

	/* locked by other means counts as well */
	CHILD_CHECK(!mlock(va + limit, 2 * page));
	CHILD_CHECK(tce_register(c, va, limit) == -ENOMEM);
	CHILD_CHECK(tce_register(c, va, limit - 2 * page) == 0);
	CHILD_CHECK(sys_vmlck() == limit);
	return 0;
}

TEST_F(prereg, memlock)
{
	struct child_args args = { .dev = &self->devs[0], .page = self->page };

	tce_close(&self->devs[0], self->c);
	self->c = -1;
	EXPECT_EQ(0, run_child(memlock_child, &args));
}

static int too_much_child(void *arg)
{
	struct child_args *a = arg;
	int ret, c, fd = open("/proc/self/oom_score_adj", O_WRONLY);
	double t;
	void *va;

	/* should the kernel run out of memory, then this process goes */
	CHILD_CHECK(fd >= 0 && write(fd, "1000", 4) == 4);
	close(fd);
	c = tce_open(a->dev, TCE_V2);
	CHILD_CHECK(c >= 0);
	va = mmap(NULL, a->huge, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (va == MAP_FAILED)
		return 0;	/* not this much address space */
	t = seconds();
	ret = tce_register(c, va, a->huge);
	CHILD_CHECK(ret < 0);
	CHILD_CHECK(seconds() - t < 2);
	CHILD_CHECK(sys_vmlck() == 0);
	return 0;
}

TEST_F_TIMEOUT(prereg, more_than_memory, 120)
{
	struct child_args args = { .dev = &self->devs[0] };
	u64 ram = sysconf(_SC_PHYS_PAGES) * self->page;
	const u64 sizes[] = { 64ULL << 40, 16ULL << 40, 1ULL << 40, 2 * ram };
	int ret, klog = sys_klog_open();
	s64 free_before = sys_free_bytes();
	unsigned int i;

	tce_close(&self->devs[0], self->c);
	self->c = -1;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		args.huge = sizes[i];
		ret = run_child(too_much_child, &args);
		ASSERT_EQ(0, ret)
			TH_LOG("%llu GiB: %d", sizes[i] >> 30, ret);
		ASSERT_FALSE(sys_klog_warned(klog))
			TH_LOG("%llu GiB: the kernel warned", sizes[i] >> 30);
	}
	close(klog);
	EXPECT_LE(free_before - (s64)(64 * SZ_1M), sys_free_bytes());
}

/* ---- processes ---------------------------------------------------------- */

/* Registers, maps through two windows, and leaves all of it. */
static int leave_child(void *arg)
{
	struct child_args *a = arg;
	char *va = mem_alloc(32 * a->page, 0, 0);
	int c = tce_open(a->dev, TCE_V2);
	u64 start;

	CHILD_CHECK(c >= 0 && va);
	CHILD_CHECK(!tce_register(c, va, 16 * a->page));
	CHILD_CHECK(!tce_register(c, va + 16 * a->page, 16 * a->page));
	CHILD_CHECK(!tce_map(c, 0, va, 32 * a->page, DMA_RW));
	CHILD_CHECK(!tce_create_any(c, iommu_shift(c, a->page), SZ_1G, &start));
	CHILD_CHECK(!tce_map(c, start, va, 8 * a->page, DMA_RW));
	if (a->dev->edu)
		CHILD_CHECK(!tce_dev_open(a->dev));
	return 0;
}

TEST_F(prereg, exit_dirty)
{
	struct child_args args = { .dev = &self->devs[0], .page = self->page };
	const char *leak;
	char *va;
	int i;

	tce_close(&self->devs[0], self->c);
	self->c = -1;
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, run_child(leave_child, &args));
		leak = tce_leak_check(&self->leak);
		ASSERT_EQ(NULL, leak)
			TH_LOG("after child %d: %s", i, leak);
	}

	/* the group is as good as new */
	self->c = tce_open(&self->devs[0], TCE_V2);
	ASSERT_LE(0, self->c);
	va = mem_alloc(2 * self->page, 0, 0);
	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, tce_register(self->c, va, 2 * self->page));
	ASSERT_EQ(0, tce_map(self->c, 0, va, 2 * self->page, DMA_RW));
	if (tce_can_dma(&self->devs[0])) {
		mem_fill(va, self->page, 31);
		EXPECT_EQ(0, edu_copy(&self->devs[0], 0, self->page, 4088));
		EXPECT_TRUE(mem_check(va + self->page, 4088, 31));
	}
}

/* As above, but killed while it registers and maps in a loop. */
TEST_F(prereg, killed)
{
	size_t page = self->page, size = 64 * page;
	struct tce_dev *dev = &self->devs[0];
	const char *leak;
	int i, status, c;
	char *va;
	pid_t pid;

	tce_close(dev, self->c);
	self->c = -1;
	for (i = 0; i < 4; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			va = mem_alloc(size, 0, 0);
			c = tce_open(dev, TCE_V2);
			while (c >= 0 && va) {
				tce_register(c, va, size);
				tce_map(c, 0, va, size, DMA_RW);
				tce_unmap(c, 0, size);
				tce_unregister(c, va, size);
			}
			_exit(1);
		}
		usleep(100000 + 30000 * i);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
		leak = tce_leak_check(&self->leak);
		ASSERT_EQ(NULL, leak)
			TH_LOG("after child %d: %s", i, leak);
	}
}

/* The container is not the child's, and the parent's memory is not either. */
static int fork_child(void *arg)
{
	struct child_args *a = arg;
	char *own = mem_alloc(a->page, 0, 0);

	CHILD_CHECK(own);
	CHILD_CHECK(sys_vmlck() == 0);
	CHILD_CHECK(tce_register(a->c, own, a->page) == -EPERM);
	CHILD_CHECK(tce_register(a->c, a->va, 2 * a->page) == -EPERM);
	CHILD_CHECK(tce_unregister(a->c, a->va, 2 * a->page) == -EPERM);
	CHILD_CHECK(tce_map(a->c, SZ_1M, a->va, a->page, DMA_RW) == -EPERM);
	CHILD_CHECK(tce_unmap(a->c, 0, a->page) == -EPERM);
	CHILD_CHECK(sys_vmlck() == 0);
	memset(a->va, 0xff, 2 * a->page);	/* its own copy */
	return 0;
}

TEST_F(prereg, fork)
{
	struct tce_dev *dev = &self->devs[0];
	size_t page = self->page;
	char *va = mem_alloc(2 * page, 0, 0);
	struct child_args args = { .page = page, .c = self->c, .va = va };
	u64 vmlck;
	s64 pinned;

	ASSERT_NE(NULL, va);
	mem_fill(va, page, 41);
	ASSERT_EQ(0, tce_register(self->c, va, 2 * page));
	ASSERT_EQ(0, tce_map(self->c, 0, va, 2 * page, DMA_RW));
	vmlck = sys_vmlck();
	pinned = sys_pinned();
	EXPECT_EQ(0, run_child(fork_child, &args));
	EXPECT_EQ(vmlck, sys_vmlck());
	EXPECT_EQ(pinned, pinned_wait(pinned));

	/* the parent still writes to what the device reads, and sees its writes */
	if (tce_can_dma(dev)) {
		mem_fill(va, page, 42);
		memset(va + page, 0, page);
		EXPECT_EQ(0, edu_copy(dev, 0, page, 4088));
		EXPECT_TRUE(mem_check(va + page, 4088, 42));
	}
	EXPECT_EQ(-EBUSY, tce_unregister(self->c, va, 2 * page));
	ASSERT_EQ(0, tce_unmap(self->c, 0, 2 * page));
	EXPECT_EQ(0, tce_unregister(self->c, va, 2 * page));
}

/* A child with a group of its own registers the same addresses for itself. */
static int fork_own_child(void *arg)
{
	struct child_args *a = arg;
	int c = tce_open(a->dev, TCE_V2);

	CHILD_CHECK(c >= 0);
	mem_fill(a->va, 2 * a->page, 52);
	CHILD_CHECK(tce_map(c, 0, a->va, a->page, DMA_RW) == -EPERM);
	/* overlaps what the parent registered, but in another mm */
	CHILD_CHECK(!tce_register(c, a->va + a->page, a->page));
	CHILD_CHECK(sys_vmlck() == a->page);
	CHILD_CHECK(!tce_register(c, a->va, a->page));
	CHILD_CHECK(sys_vmlck() == 2 * a->page);
	CHILD_CHECK(!tce_map(c, 0, a->va, 2 * a->page, DMA_RW));
	if (tce_can_dma(a->dev)) {
		CHILD_CHECK(!edu_copy(a->dev, 0, a->page, 2048));
		CHILD_CHECK(mem_check(a->va + a->page, 2048, 52));
	}
	return 0;
}

TEST_F(prereg, fork_own)
{
	size_t page = self->page;
	char *va = mem_alloc(2 * page, 0, 0);
	struct child_args args = {
		.dev = &self->devs[1], .page = page, .va = va,
	};
	u64 vmlck;
	s64 pinned;

	if (self->ndevs < 2)
		SKIP(return, "one IOMMU group only");
	ASSERT_NE(NULL, va);
	mem_fill(va, 2 * page, 51);
	ASSERT_EQ(0, tce_register(self->c, va, 2 * page));
	vmlck = sys_vmlck();
	pinned = sys_pinned();
	EXPECT_EQ(0, run_child(fork_own_child, &args));
	EXPECT_EQ(vmlck, sys_vmlck());
	EXPECT_EQ(pinned, pinned_wait(pinned));
	EXPECT_TRUE(mem_check(va, 2 * page, 51));
}

TEST_HARNESS_MAIN
