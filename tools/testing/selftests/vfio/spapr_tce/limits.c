// SPDX-License-Identifier: GPL-2.0
/*
 * Where requests must end: at the end of a window, at the limit of locked
 * memory, at an error in the middle. A request that fails changes nothing, and
 * where there is an edu device it is asked whether that is so.
 */
#include <string.h>
#include <unistd.h>
#include <sys/resource.h>

#include "harness.h"

#define LEN		EDU_MAX_LEN
#define BUF_SIZE	SZ_1M
#define UNIT		SZ_64K
#define TCES		BIT_ULL(sys_tce_bits())	/* of a large window */

FIXTURE(limits)
{
	struct tce_leak leak;
	struct tce_dev devs[TCE_MAX_DEVS];
	struct tce_dev *dev;
	struct vfio_iommu_spapr_tce_info info;
	int ndevs;
	int c;
	void *buf;
};

/* v2 without a window, with BUF_SIZE of registered memory. */
FIXTURE_SETUP(limits)
{
	self->c = -1;
	self->ndevs = tce_find_devs(self->devs, TCE_MAX_DEVS);
	if (!self->ndevs)
		SKIP(return, "no PCI device to take: no edu, no VFIO_DEVICE");
	self->dev = &self->devs[0];
	tce_leak_start(&self->leak);
	self->buf = mem_alloc(BUF_SIZE, SZ_64K, MEM_POPULATE);
	ASSERT_NE(NULL, self->buf);
	self->c = tce_open(self->dev, TCE_V2);
	if (self->c == -EINVAL)
		SKIP(return, "no VFIO_SPAPR_TCE_v2_IOMMU on this machine");
	ASSERT_LE(0, self->c);
	ASSERT_EQ(0, tce_get_info(self->c, &self->info));
	if (!(self->info.flags & VFIO_IOMMU_SPAPR_INFO_DDW)) {
		tce_close(self->dev, self->c);
		SKIP(return, "no dynamic DMA windows on this machine");
	}
	ASSERT_EQ(0, tce_register(self->c, self->buf, BUF_SIZE));
	ASSERT_EQ(0, tce_remove(self->c, self->info.dma32_window_start));
	if (self->dev->edu)
		ASSERT_EQ(0, tce_dev_open(self->dev));
}

FIXTURE_TEARDOWN(limits)
{
	tce_close(self->dev, self->c);
	mem_free(self->buf, BUF_SIZE);
	EXPECT_NO_LEAK(&self->leak);
	SKIP_UNASKED();
}

/* Does data still go from @iova_a to @iova_b, which are mapped to @a and @b? */
static bool carries(struct _test_data_limits *self, u64 iova_a, void *a,
		    u64 iova_b, void *b, u32 seed)
{
	if (!can_ask(self->dev))
		return true;
	mem_fill(a, LEN, seed);
	mem_fill(b, LEN, ~seed);
	return !edu_copy(self->dev, iova_a, iova_b, LEN) &&
	       mem_check(b, LEN, seed);
}

/* Does a write of the device to @iova leave @mem alone? */
static bool refused(struct _test_data_limits *self, u64 iova, void *mem, u32 seed)
{
	if (!can_ask(self->dev))
		return true;
	mem_fill(mem, LEN, seed);
	return !edu_write_ram(self->dev, iova, 0, LEN) &&
	       !edu_recover(self->dev, self->c) && mem_check(mem, LEN, seed);
}

static struct tce_table_stat table_at(u64 start)
{
	struct tce_table_stat st[8] = {}, none = {};
	int i, n = tce_tables(st, 8);

	for (i = 0; i < n && i < 8; i++)
		if (st[i].start == start)
			return st[i];
	return none;
}

/* ---- the end of a window ------------------------------------------------ */

/*
 * Defect 1. Two windows of one size, so that their tables are neighbours with
 * some luck; a map that begins inside the first and is twice as large as it is
 * would go through the end of that table and over the other one.
 */
TEST_F(limits, map_past_end)
{
	const u64 size = 8192ULL << sys_tce_shift(); /* a table of 64K */
	const u64 big = 2 * size;
	u64 start[2], i;
	u64 vmlck;
	void *area;

	if (self->info.ddw.max_dynamic_windows_supported < 2 || !sys_powernv())
		SKIP(return, "no second window on this machine");
	/* lots of bus addresses, all of them backed by the same page */
	ASSERT_EQ(0, tce_create_any(self->c, sys_tce_shift(), size, &start[0]));
	ASSERT_EQ(0, tce_create_any(self->c, sys_tce_shift(), size, &start[1]));
	for (i = 0; i < size; i += 16 * UNIT)
		ASSERT_EQ(0, tce_map(self->c, start[1] + i, self->buf,
				     16 * UNIT, DMA_RW));
	ASSERT_EQ(0, tce_map(self->c, start[0] + size - UNIT, self->buf, UNIT,
			     DMA_RW));
	ASSERT_TRUE(carries(self, start[1], self->buf,
			    start[1] + size - UNIT, self->buf + 15 * UNIT, 1));

	area = mem_alloc(big, UNIT, 0);
	ASSERT_NE(NULL, area);
	ASSERT_EQ(0, tce_register(self->c, area, big));
	vmlck = sys_vmlck();
	EXPECT_EQ(-EINVAL, tce_map(self->c, start[0], area, big, DMA_RW));
	EXPECT_EQ(-EINVAL, tce_map(self->c, start[0] + size - UNIT, area,
				   2 * UNIT, DMA_RW));
	EXPECT_EQ(-EINVAL, tce_map(self->c, start[0], area, size + UNIT,
				   DMA_RW));
	EXPECT_EQ(-EINVAL, tce_unmap(self->c, start[0], size + UNIT));
	EXPECT_EQ(-EINVAL, tce_unmap(self->c, start[0] + size - UNIT,
				     2 * UNIT));
	EXPECT_EQ(vmlck, sys_vmlck());
	/* not one page of the area is held */
	EXPECT_EQ(0, tce_unregister(self->c, area, big));
	mem_free(area, big);

	/* all that was mapped is mapped still, and to what it was */
	EXPECT_TRUE(carries(self, start[1], self->buf, start[1] + 33 * UNIT,
			    self->buf + UNIT, 2));
	EXPECT_TRUE(carries(self, start[1] + size / 2, self->buf,
			    start[1] + size - UNIT, self->buf + 15 * UNIT, 3));
	EXPECT_TRUE(carries(self, start[0] + size - UNIT, self->buf,
			    start[1] + 5 * UNIT, self->buf + 5 * UNIT, 4));
	EXPECT_TRUE(refused(self, start[0], self->buf, 5));
}

/*
 * The last 64K of the first 4G of bus addresses are interrupts to the bridge.
 * What is written there reaches no memory, mapped or not.
 */
TEST_F(limits, msi_range)
{
	const u64 msi = 4 * SZ_1G - UNIT;
	u64 start;

	if (!sys_powernv())
		SKIP(return, "the hypervisor's affair");
	ASSERT_EQ(0, tce_create(self->c, sys_tce_shift(), 8 * SZ_1G, 2, &start));
	ASSERT_EQ(0, start);
	ASSERT_EQ(0, tce_map(self->c, msi - UNIT, self->buf, 3 * UNIT, DMA_RW));
	EXPECT_TRUE(refused(self, msi, self->buf + UNIT, 1));
	EXPECT_TRUE(carries(self, msi - UNIT, self->buf, msi + UNIT,
			    self->buf + 2 * UNIT, 2));
}

/* To ask for; pseries hosts have one. */
static u32 levels(struct _test_data_limits *self)
{
	return self->info.ddw.levels < 2 ? 1 : 2;
}

/* ---- what is charged ---------------------------------------------------- */

/* Defect 2. A window that cannot be made costs nothing. */
TEST_F(limits, failed_create_charges_nothing)
{
	const u64 vmlck = sys_vmlck();
	const s64 pinned = sys_pinned();
	int i, ret;
	u64 start;

	for (i = 0; i < 3; i++) {
		/* one level of 16 GB */
		ret = tce_create(self->c, sys_tce_shift(), TCES << sys_tce_shift(), 1,
				 &start);
		if (!ret) {
			/* the kernel knew better, and made more levels */
			EXPECT_GT(SZ_16M, sys_vmlck() - vmlck);
			EXPECT_EQ(0, tce_remove(self->c, start));
		} else {
			EXPECT_TRUE(ret == -ENOMEM || ret == -EINVAL);
		}
		EXPECT_EQ(vmlck, sys_vmlck());
		EXPECT_NE(0, tce_create(self->c, 16, BIT_ULL(62), 1, NULL));
		EXPECT_EQ(-EINVAL, tce_create(self->c, 16, SZ_1G, 99, NULL));
		EXPECT_EQ(-EINVAL, tce_create(self->c, 13, SZ_1G, 1, NULL));
		EXPECT_EQ(vmlck, sys_vmlck());
	}
	EXPECT_EQ(pinned, sys_pinned_wait(pinned));
}

/* Defect 3. What a table costs is what is allocated for it. */
TEST_F(limits, charge_is_allocation)
{
	const u64 size = TCES << sys_tce_shift(), before = sys_vmlck();
	const u64 sys = sys_page_size();
	struct tce_table_stat st;
	s64 free_before, used;
	u64 start, empty;
	int i;

	free_before = sys_free_bytes();
	ASSERT_EQ(0, tce_create(self->c, sys_tce_shift(), size, levels(self), &start));
	empty = sys_vmlck() - before;
	EXPECT_GE(SZ_1M, empty);
	for (i = 0; i < 16; i++)
		ASSERT_EQ(0, tce_map(self->c, start + size / 16 * i,
				     self->buf + i * UNIT, UNIT, DMA_RW));
	EXPECT_GE(SZ_1M, sys_vmlck() - before);
	used = free_before - sys_free_bytes();
	if (!sys_slab_debug())
		EXPECT_GT((s64)SZ_2M, used);

	if (tce_tables(NULL, 0) >= 0) {
		st = table_at(start);
		EXPECT_EQ(sys_vmlck() - before, st.charged_pages * sys);
		EXPECT_LE(st.hw_bytes + st.view_bytes, st.charged_pages * sys);
		EXPECT_GT(st.hw_bytes + st.view_bytes + 2 * sys,
			  st.charged_pages * sys);
		EXPECT_GE(SZ_1M, st.hw_bytes + st.view_bytes);
		EXPECT_EQ(TCES, st.tces);
		EXPECT_EQ(sys_tce_shift(), st.page_shift);
		EXPECT_LE(2, (int)st.levels);
	}
	EXPECT_TRUE(carries(self, start, self->buf, start + size / 16 * 15,
			    self->buf + 15 * UNIT, 1));
	EXPECT_EQ(0, tce_unmap(self->c, start, size));
	EXPECT_EQ(0, tce_remove(self->c, start));
	EXPECT_EQ(before, sys_vmlck());
}

/*
 * The limit of locked memory is met by a level in the middle of a map: the
 * request fails as a whole.
 */
TEST_F(limits, level_over_limit)
{
	const u64 size = TCES << sys_tce_shift();
	u64 start, at, vmlck = 0, step;
	int i, ret = 0;

	ASSERT_EQ(0, tce_create(self->c, sys_tce_shift(), size, levels(self), &start));
	ASSERT_EQ(0, tce_map(self->c, start, self->buf, UNIT, DMA_RW));
	ASSERT_EQ(0, tce_map(self->c, start + 9 * UNIT, self->buf + 9 * UNIT,
			     UNIT, DMA_RW));
	ASSERT_EQ(0, drop_to_user(sys_vmlck()));

	step = size / 512;
	for (i = 1; i < 512 && !ret; i++) {
		vmlck = sys_vmlck();
		at = start + i * step;
		ret = tce_map(self->c, at, self->buf, UNIT, DMA_RW);
	}
	/* how many levels go into a page is the kernel's affair */
	ASSERT_EQ(-ENOMEM, ret);
	EXPECT_EQ(vmlck, sys_vmlck());
	EXPECT_EQ(-ENOMEM, tce_map(self->c, at, self->buf, UNIT, DMA_RW));
	EXPECT_EQ(vmlck, sys_vmlck());

	/* what needs no memory goes on */
	EXPECT_EQ(0, tce_map(self->c, start + UNIT, self->buf + UNIT, UNIT,
			     DMA_RW));
	EXPECT_EQ(0, tce_unmap(self->c, at, UNIT));
	EXPECT_EQ(vmlck, sys_vmlck());
	EXPECT_TRUE(carries(self, start, self->buf, start + 9 * UNIT,
			    self->buf + 9 * UNIT, 1));
	EXPECT_EQ(-EBUSY, tce_unregister(self->c, self->buf, BUF_SIZE));
	EXPECT_EQ(0, tce_unmap(self->c, start, size));
	EXPECT_EQ(0, tce_unregister(self->c, self->buf, BUF_SIZE));
}

/*
 * A map needs several levels, for TCEs and for what they hold. Whichever of
 * them the limit stops, none is charged.
 */
TEST_F(limits, level_over_any_limit)
{
	const u64 size = TCES << sys_tce_shift(), sys = sys_page_size();
	struct rlimit lim;
	u64 start, vmlck;
	int i, ret = -ENOMEM;

	ASSERT_EQ(0, tce_create(self->c, sys_tce_shift(), size, levels(self), &start));
	vmlck = sys_vmlck();
	ASSERT_EQ(0, drop_to_user(vmlck + SZ_1M));
	ASSERT_EQ(0, getrlimit(RLIMIT_MEMLOCK, &lim));

	for (i = 0; ret == -ENOMEM && i < 16; i++) {
		lim.rlim_cur = vmlck + i * sys;
		ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &lim));
		ret = tce_map(self->c, start, self->buf, UNIT, DMA_RW);
		if (ret)
			EXPECT_EQ(vmlck, sys_vmlck());
	}
	ASSERT_EQ(0, ret);
	EXPECT_GE(vmlck + (i - 1) * sys, sys_vmlck());
}

/*
 * The same, with a range that starts on a level that is there and ends on one
 * that would have to be made. The mappings under its first part stay.
 */
TEST_F(limits, range_over_limit)
{
	const u64 size = TCES << sys_tce_shift();
	u64 start, at, edge, vmlck;
	int i, ret = 0;

	ASSERT_EQ(0, tce_create(self->c, sys_tce_shift(), size, levels(self), &start));
	/* whatever the size of a leaf is, it ends at a power of two */
	edge = start + size / 2;
	ASSERT_EQ(0, tce_map(self->c, edge - 4 * UNIT, self->buf, 4 * UNIT,
			     DMA_RW));
	ASSERT_EQ(0, drop_to_user(sys_vmlck()));
	for (i = 1; i < 512 && !ret; i++) {
		/* use up what is left of the last charged page */
		at = start + i * (size / 1024);
		ret = tce_map(self->c, at, self->buf, UNIT, DMA_RW);
	}
	ASSERT_EQ(-ENOMEM, ret);
	vmlck = sys_vmlck();

	ret = tce_map(self->c, edge - 4 * UNIT, self->buf + 4 * UNIT, 8 * UNIT,
		      DMA_RW);
	EXPECT_EQ(-ENOMEM, ret);
	EXPECT_EQ(vmlck, sys_vmlck());
	EXPECT_TRUE(carries(self, edge - 4 * UNIT, self->buf, edge - UNIT,
			    self->buf + 3 * UNIT, 1));
	EXPECT_TRUE(refused(self, edge, self->buf + 8 * UNIT, 2));
}

/* A window that the limit does not allow leaves nothing behind. */
TEST_F(limits, create_over_limit)
{
	u64 before, start;
	int i;

	ASSERT_EQ(0, drop_to_user(BUF_SIZE + UNIT));
	before = sys_vmlck();
	for (i = 0; i < 3; i++) {
		/* one level of 8 MB, or several levels of which one is small */
		if (!tce_create(self->c, 12, 4 * SZ_1G, 1, &start))
			EXPECT_EQ(0, tce_remove(self->c, start));
		EXPECT_EQ(before, sys_vmlck());
	}
	EXPECT_EQ(-ENOMEM, tce_register(self->c, self->buf - SZ_16M, SZ_16M));
	EXPECT_EQ(before, sys_vmlck());
}

/* ---- a map that fails --------------------------------------------------- */

/* Defect 8. It leaves alone what it would have replaced. */
TEST_F(limits, failed_map_keeps_old)
{
	void *buf = self->buf, *far, *hole;
	u64 start;

	ASSERT_EQ(0, tce_create_any(self->c, sys_tce_shift(), SZ_1G, &start));
	ASSERT_EQ(0, tce_map(self->c, start, buf, 8 * UNIT, DMA_RW));
	far = mem_alloc(8 * UNIT, UNIT, MEM_POPULATE);
	ASSERT_NE(NULL, far);
	ASSERT_EQ(0, tce_register(self->c, far, 4 * UNIT));
	hole = mem_alloc(8 * UNIT, UNIT, 0);
	ASSERT_NE(NULL, hole);

	/* registered at first, then no more */
	EXPECT_EQ(-EINVAL, tce_map(self->c, start, far, 8 * UNIT, DMA_RW));
	EXPECT_EQ(-EINVAL, tce_map(self->c, start + 2 * UNIT, far + 3 * UNIT,
				   2 * UNIT, DMA_RW));
	EXPECT_EQ(-EINVAL, tce_map(self->c, start, hole, 8 * UNIT, DMA_RW));
	/* wrong in the end only */
	EXPECT_EQ(-EINVAL, tce_map(self->c, start, far, SZ_1G + UNIT, DMA_RW));

	EXPECT_TRUE(carries(self, start, buf, start + 3 * UNIT, buf + 3 * UNIT,
			    1));
	EXPECT_TRUE(carries(self, start + 7 * UNIT, buf + 7 * UNIT,
			    start + 4 * UNIT, buf + 4 * UNIT, 2));
	EXPECT_TRUE(refused(self, start + 8 * UNIT, far, 3));
	/* and it took no count of what it could have mapped */
	EXPECT_EQ(0, tce_unregister(self->c, far, 4 * UNIT));
	EXPECT_EQ(-EBUSY, tce_unregister(self->c, buf, BUF_SIZE));
	EXPECT_EQ(0, tce_unmap(self->c, start, 8 * UNIT));
	EXPECT_EQ(0, tce_unregister(self->c, buf, BUF_SIZE));
	mem_free(far, 8 * UNIT);
	mem_free(hole, 8 * UNIT);
}

/* The same in v1, which pins as it goes. */
TEST_F(limits, failed_map_keeps_old_v1)
{
	struct vfio_iommu_spapr_tce_info info;
	void *buf = self->buf, *mem;
	s64 pinned;
	u64 io;

	tce_close(self->dev, self->c);
	/* what v2 had registered is not in what is counted below */
	ASSERT_EQ(self->leak.pinned, sys_pinned_wait(self->leak.pinned));
	self->c = tce_open(self->dev, TCE_V1);
	ASSERT_LE(0, self->c);
	ASSERT_EQ(0, tce_get_info(self->c, &info));
	ASSERT_EQ(0, tce_enable(self->c));
	if (self->dev->edu)
		ASSERT_EQ(0, tce_dev_open(self->dev));
	io = info.dma32_window_start + SZ_1M;
	ASSERT_EQ(0, tce_map(self->c, io, buf, 8 * UNIT, DMA_RW));

	mem = mem_alloc(8 * UNIT, UNIT, MEM_POPULATE);
	ASSERT_NE(NULL, mem);
	ASSERT_EQ(0, munmap(mem + 5 * UNIT, UNIT));
	pinned = sys_pinned();
	EXPECT_EQ(-EFAULT, tce_map(self->c, io, mem, 8 * UNIT, DMA_RW));
	EXPECT_EQ(pinned, sys_pinned_wait(pinned));
	EXPECT_TRUE(carries(self, io, buf, io + 3 * UNIT, buf + 3 * UNIT, 1));
	EXPECT_TRUE(carries(self, io + 7 * UNIT, buf + 7 * UNIT, io + 4 * UNIT,
			    buf + 4 * UNIT, 2));
	mem_free(mem, 5 * UNIT);
	mem_free(mem + 6 * UNIT, 2 * UNIT);
}

/* ---- registrations ------------------------------------------------------ */

/* Defect 10. */
TEST_F(limits, unregister_mapped)
{
	const u64 vmlck = sys_vmlck();
	const s64 pinned = sys_pinned();
	u64 start, window;

	ASSERT_EQ(0, tce_create_any(self->c, sys_tce_shift(), SZ_1G, &start));
	window = sys_vmlck() - vmlck;
	ASSERT_EQ(0, tce_map(self->c, start, self->buf, 2 * UNIT, DMA_RW));
	EXPECT_EQ(-EBUSY, tce_unregister(self->c, self->buf, BUF_SIZE));
	EXPECT_LE(vmlck, sys_vmlck());
	EXPECT_EQ(pinned, sys_pinned_wait(pinned));
	EXPECT_TRUE(carries(self, start, self->buf, start + UNIT,
			    self->buf + UNIT, 1));
	EXPECT_EQ(0, tce_unmap(self->c, start, 2 * UNIT));
	EXPECT_EQ(0, tce_unregister(self->c, self->buf, BUF_SIZE));
	EXPECT_GE(window + SZ_64K, sys_vmlck());
	if (pinned >= 0)
		EXPECT_EQ(self->leak.pinned, sys_pinned_wait(self->leak.pinned));
}

/* Defect 10. One container closes, the other has the same memory mapped. */
TEST_F(limits, close_of_other_container)
{
	u64 start;
	int c2;

	if (self->ndevs < 2)
		SKIP(return, "no second group");
	c2 = tce_open(&self->devs[1], TCE_V2);
	ASSERT_LE(0, c2);
	ASSERT_EQ(0, tce_register(c2, self->buf, BUF_SIZE));
	ASSERT_EQ(0, tce_create_any(self->c, sys_tce_shift(), SZ_1G, &start));
	ASSERT_EQ(0, tce_map(self->c, start, self->buf, 2 * UNIT, DMA_RW));
	tce_close(&self->devs[1], c2);
	EXPECT_TRUE(carries(self, start, self->buf, start + UNIT,
			    self->buf + UNIT, 1));
	EXPECT_EQ(-EBUSY, tce_unregister(self->c, self->buf, BUF_SIZE));
	EXPECT_EQ(0, tce_unmap(self->c, start, 2 * UNIT));
	EXPECT_EQ(0, tce_unregister(self->c, self->buf, BUF_SIZE));
}

/* Defect 11. Each of what was taken for something else. */
TEST_F(limits, strange_windows)
{
	struct vfio_iommu_spapr_tce_create *create;
	const u64 vmlck = sys_vmlck();
	u64 start, size;
	int n;

	for (size = SZ_64K; size <= BIT_ULL(47); size <<= 1) {
		EXPECT_EQ(-EINVAL, tce_create(self->c, 128 + 16, size, 1,
					      NULL));
		EXPECT_EQ(-EINVAL, tce_create(self->c, 64 + 16, size, 1, NULL));
		EXPECT_EQ(-EINVAL, tce_create(self->c, 128 + 16, size, 2,
					      NULL));
	}
	n = tce_tables(NULL, 0);
	create = mem_alloc(SZ_64K, SZ_64K, 0);
	ASSERT_NE(NULL, create);
	create->argsz = sizeof(*create);
	create->page_shift = 16;
	create->window_size = SZ_1G;
	create->levels = 1;
	ASSERT_EQ(0, mprotect(create, SZ_64K, PROT_READ));
	EXPECT_EQ(-EFAULT, tce_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_CREATE,
				     create));
	mem_free(create, SZ_64K);
	EXPECT_EQ(n, tce_tables(NULL, 0));
	EXPECT_EQ(vmlck, sys_vmlck());

	/* 256 entries, less than a page of them */
	ASSERT_EQ(0, tce_create_any(self->c, 12, SZ_1M, &start));
	EXPECT_EQ(0, tce_map(self->c, start, self->buf, SZ_1M, DMA_RW));
	EXPECT_EQ(-ENXIO, tce_map(self->c, start + SZ_1M, self->buf, UNIT,
				  DMA_RW));
	EXPECT_EQ(-EINVAL, tce_remove(self->c, start + UNIT));
	EXPECT_TRUE(carries(self, start, self->buf, start + SZ_1M - UNIT,
			    self->buf + SZ_1M - UNIT, 1));
	EXPECT_TRUE(refused(self, start + SZ_1M, self->buf, 2));
	EXPECT_EQ(0, tce_remove(self->c, start));
	EXPECT_EQ(vmlck, sys_vmlck());
}

/* Defect 12. The container has one group less, and nothing else changes. */
TEST_F(limits, detach_one_group)
{
	u64 start, vmlck;
	s64 pinned;

	if (self->ndevs < 2)
		SKIP(return, "no second group");
	if (!sys_powernv())
		SKIP(return, "groups cannot share windows on this machine");
	ASSERT_EQ(0, tce_group_open(&self->devs[1]));
	ASSERT_EQ(0, tce_group_set(&self->devs[1], self->c));
	ASSERT_EQ(0, tce_create_any(self->c, sys_tce_shift(), SZ_1G, &start));
	ASSERT_EQ(0, tce_map(self->c, start, self->buf, 2 * UNIT, DMA_RW));
	vmlck = sys_vmlck();
	pinned = sys_pinned();
	tce_group_close(&self->devs[1]);
	EXPECT_EQ(vmlck, sys_vmlck());
	EXPECT_EQ(pinned, sys_pinned_wait(pinned));
	EXPECT_TRUE(carries(self, start, self->buf, start + UNIT,
			    self->buf + UNIT, 1));
	EXPECT_EQ(-EBUSY, tce_unregister(self->c, self->buf, BUF_SIZE));
}

/* Defect 12. Nothing is pinned of a range with a hole. */
TEST_F(limits, register_over_hole)
{
	const u64 vmlck = sys_vmlck(), page = sys_page_size();
	const s64 pinned = sys_pinned();
	void *mem = mem_alloc(64 * page, 0, MEM_POPULATE);
	int i;

	ASSERT_NE(NULL, mem);
	ASSERT_EQ(0, munmap(mem + 63 * page, page));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-EFAULT, tce_register(self->c, mem, 64 * page));
	ASSERT_EQ(0, munmap(mem, page));
	EXPECT_EQ(-EFAULT, tce_register(self->c, mem, 63 * page));
	EXPECT_EQ(vmlck, sys_vmlck());
	EXPECT_EQ(pinned, sys_pinned_wait(pinned));
	EXPECT_EQ(0, tce_register(self->c, mem + page, 62 * page));
	EXPECT_EQ(0, tce_unregister(self->c, mem + page, 62 * page));
	mem_free(mem + page, 62 * page);
}

/* More than there is memory: an error, at once, and no warning. */
TEST_F(limits, register_too_much)
{
	const u64 vmlck = sys_vmlck();
	const u64 size = BIT_ULL(44);
	void *mem;

	mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED)
		SKIP(return, "no 16 TB of address space");
	EXPECT_GT(0, tce_register(self->c, mem, size));
	EXPECT_EQ(vmlck, sys_vmlck());
	munmap(mem, size);
}

/* The whole of a sparse window is undone in a moment. */
TEST_F(limits, unmap_all_of_a_large_window)
{
	const u64 size = TCES << sys_tce_shift();
	u64 start;
	int i;

	ASSERT_EQ(0, tce_create(self->c, sys_tce_shift(), size, levels(self), &start));
	for (i = 0; i < 16; i++)
		ASSERT_EQ(0, tce_map(self->c, start + size / 16 * i, self->buf,
				     UNIT, DMA_RW));
	EXPECT_EQ(-EBUSY, tce_unregister(self->c, self->buf, BUF_SIZE));
	EXPECT_EQ(0, tce_unmap(self->c, start, size));
	EXPECT_TRUE(refused(self, start, self->buf, 1));
	EXPECT_TRUE(refused(self, start + size / 16 * 15, self->buf, 2));
	EXPECT_EQ(0, tce_unregister(self->c, self->buf, BUF_SIZE));
}

TEST_HARNESS_MAIN
