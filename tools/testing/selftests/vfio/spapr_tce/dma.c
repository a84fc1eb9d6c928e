// SPDX-License-Identifier: GPL-2.0
/*
 * What a device really reaches. QEMU's edu device reads RAM into its buffer and
 * writes its buffer to RAM at any bus address it is given; so a test fills
 * memory, lets the device carry it through two mappings and looks where it
 * came out. A refused transfer ends like any other one: it just moves nothing.
 */
#include <string.h>
#include <unistd.h>

#include "harness.h"

#define LEN	EDU_MAX_LEN	/* of a transfer */
#define HALF	2048

/* ---- one window --------------------------------------------------------- */

FIXTURE(dma)
{
	struct tce_leak leak;
	struct tce_dev devs[TCE_MAX_DEVS];
	struct tce_dev *dev;
	struct vfio_iommu_spapr_tce_info info;
	int c;
	u64 page;	/* IOMMU page */
	u64 start;	/* of the window */
	u64 size;
	void *buf;	/* registered: BUF_PAGES IOMMU pages */
	size_t len;
	unsigned int pool;
};

#define BUF_PAGES	4

FIXTURE_VARIANT(dma)
{
	unsigned int window;
	unsigned int shift;	/* 0: the smallest of 2M and more */
};

VARIANT(dma, window0_4k, .window = 0, .shift = 12);
VARIANT(dma, window0_64k, .window = 0, .shift = 16);
VARIANT(dma, window0_huge, .window = 0, .shift = 0);
VARIANT(dma, window1_4k, .window = 1, .shift = 12);
VARIANT(dma, window1_64k, .window = 1, .shift = 16);
VARIANT(dma, window1_huge, .window = 1, .shift = 0);

FIXTURE_SETUP(dma)
{
	unsigned int shift = variant->shift;
	u64 other;

	self->c = -1;
	if (!tce_find_devs(self->devs, TCE_MAX_DEVS) || !self->devs[0].edu)
		SKIP(return, "no edu device");
	/* before the device is opened, which resets it and so takes seconds */
	if (!shift && !mem_has_huge())
		SKIP(return, "no huge pages on this machine");
	self->dev = &self->devs[0];
	tce_leak_start(&self->leak);

	self->c = tce_open(self->dev, TCE_V2);
	if (self->c == -EINVAL)
		SKIP(return, "no VFIO_SPAPR_TCE_v2_IOMMU on this machine");
	ASSERT_LE(0, self->c);
	ASSERT_EQ(0, tce_get_info(self->c, &self->info));
	if (!(self->info.flags & VFIO_IOMMU_SPAPR_INFO_DDW))
		SKIP(goto out, "no dynamic DMA windows on this machine");
	if (variant->window >= self->info.ddw.max_dynamic_windows_supported ||
	    (variant->window && !sys_powernv()))
		SKIP(goto out, "no second window on this machine");

	if (!shift)
		for (shift = 21; shift < 31; shift++)
			if (self->info.ddw.pgsizes & BIT_ULL(shift))
				break;
	if (!(self->info.ddw.pgsizes & BIT_ULL(shift)))
		SKIP(goto out, "no such IOMMU page size on this machine");
	self->page = BIT_ULL(shift);
	self->len = BUF_PAGES * self->page;
	if (self->len < sys_page_size())
		self->len = sys_page_size();
	if (self->page > sys_page_size()) {
		if (sys_page_size() == SZ_4K && !sys_radix())
			SKIP(goto out, "hugetlb cannot be pinned on hash with 4K pages");
		self->buf = mem_huge(&self->len, shift, &self->pool);
		if (!self->buf)
			SKIP(goto out, "no huge pages on this machine");
	} else {
		self->buf = mem_alloc(self->len, SZ_64K, MEM_POPULATE);
	}
	ASSERT_NE(NULL, self->buf);

	/* Not 4G in all: the MSI range is the end of that. */
	self->size = self->page << 12;
	ASSERT_EQ(0, tce_remove(self->c, self->info.dma32_window_start));
	if (variant->window)
		ASSERT_EQ(0, tce_create_any(self->c, 12, SZ_16M, &other));
	ASSERT_EQ(0, tce_create(self->c, shift, self->size,
				self->info.ddw.levels < 2 ? 1 : 2,
				&self->start));
	if (sys_powernv())
		ASSERT_EQ(variant->window ? TCE_WINDOW1 : 0, self->start);
	ASSERT_EQ(0, tce_register(self->c, self->buf, self->len));
	ASSERT_EQ(0, tce_dev_open(self->dev));
	return;
out:
	tce_close(self->dev, self->c);
}

FIXTURE_TEARDOWN(dma)
{
	tce_close(self->dev, self->c);
	mem_huge_free(self->buf, self->len, self->pool);
	EXPECT_NO_LEAK(&self->leak);
}

/* Pages of the window in an order that is not that of the memory. */
TEST_F(dma, read_write)
{
	u64 p = self->page, io = self->start + 16 * p;
	void *a = self->buf + 2 * p, *b = self->buf;
	void *c = self->buf + 3 * p, *d = self->buf + p;

	ASSERT_EQ(0, tce_map(self->c, io, a, p, DMA_R));
	ASSERT_EQ(0, tce_map(self->c, io + p, b, p, DMA_R));
	ASSERT_EQ(0, tce_map(self->c, io + 2 * p, c, p, DMA_W));
	ASSERT_EQ(0, tce_map(self->c, io + 3 * p, d, p, DMA_W));
	mem_fill(self->buf, BUF_PAGES * p < SZ_1M ? BUF_PAGES * p : SZ_1M, 9);
	mem_fill(a + p - HALF, HALF, 1);
	mem_fill(b, LEN - HALF, 2);
	mem_fill(c + p - 2 * HALF, 2 * HALF, 3);
	mem_fill(d, 2 * HALF, 4);

	/* The transfer crosses from one page to the next, and so out again. */
	ASSERT_EQ(0, edu_copy(self->dev, io + p - HALF, io + 3 * p - HALF,
			      LEN));
	EXPECT_TRUE(mem_check(c + p - HALF, HALF, 1));
	EXPECT_TRUE(mem_check(d, LEN - HALF, 2));
	/* and touches nothing before or behind */
	EXPECT_TRUE(mem_check(c + p - 2 * HALF, HALF, 3));
	mem_fill(c, LEN, 4);
	EXPECT_EQ(0, memcmp(c + LEN - HALF, d + LEN - HALF, 8));
	EXPECT_TRUE(mem_check(a + p - HALF, HALF, 1));
	EXPECT_TRUE(mem_check(b, LEN - HALF, 2));
}

TEST_F(dma, first_and_last)
{
	u64 p = self->page, last = self->start + self->size - p;
	void *a = self->buf, *b = self->buf + p;

	ASSERT_EQ(0, tce_map(self->c, self->start, a, p, DMA_RW));
	ASSERT_EQ(0, tce_map(self->c, last, b, p, DMA_RW));
	mem_fill(a, LEN, 1);
	mem_fill(b + p - LEN, LEN, 2);
	ASSERT_EQ(0, edu_copy(self->dev, self->start, last, LEN));
	EXPECT_TRUE(mem_check(b, LEN, 1) || p < 2 * LEN);
	EXPECT_EQ(0, memcmp(b, a, p < 2 * LEN ? p - LEN : LEN));
	mem_fill(b + p - LEN, LEN, 3);
	ASSERT_EQ(0, edu_copy(self->dev, last + p - LEN, self->start, LEN));
	EXPECT_TRUE(mem_check(a, LEN, 3));
}

TEST_F(dma, remap)
{
	u64 p = self->page, io = self->start + 7 * p, out = io + p;
	void *a = self->buf, *b = self->buf + p, *c = self->buf + 2 * p;

	ASSERT_EQ(0, tce_map(self->c, io, a, p, DMA_RW));
	ASSERT_EQ(0, tce_map(self->c, out, c, p, DMA_RW));
	mem_fill(a, LEN, 1);
	mem_fill(b, LEN, 2);
	ASSERT_EQ(0, edu_copy(self->dev, io, out, LEN));
	EXPECT_TRUE(mem_check(c, LEN, 1));

	ASSERT_EQ(0, tce_map(self->c, io, b, p, DMA_RW));
	ASSERT_EQ(0, edu_copy(self->dev, io, out, LEN));
	EXPECT_TRUE(mem_check(c, LEN, 2));
	/* and what is written goes there too, and no longer to the old */
	mem_fill(c, LEN, 5);
	ASSERT_EQ(0, edu_copy(self->dev, out, io, LEN));
	EXPECT_TRUE(mem_check(b, LEN, 5));
	EXPECT_TRUE(mem_check(a, LEN, 1));
}

TEST_F(dma, permissions)
{
	u64 p = self->page, ro = self->start, wo = ro + p, rw = wo + p;
	void *a = self->buf, *b = self->buf + p, *c = self->buf + 2 * p;

	ASSERT_EQ(0, tce_map(self->c, ro, a, p, DMA_R));
	ASSERT_EQ(0, tce_map(self->c, wo, b, p, DMA_W));
	ASSERT_EQ(0, tce_map(self->c, rw, c, p, DMA_RW));
	mem_fill(a, LEN, 1);
	mem_fill(b, LEN, 2);
	mem_fill(c, LEN, 3);

	/* a read-only page refuses the device's write */
	EXPECT_EQ(0, edu_copy(self->dev, rw, ro, LEN));
	ASSERT_EQ(0, edu_recover(self->dev, self->c));
	EXPECT_TRUE(mem_check(a, LEN, 1));
	mem_fill(b, LEN, 2);
	ASSERT_EQ(0, edu_copy(self->dev, ro, wo, LEN));
	EXPECT_TRUE(mem_check(b, LEN, 1));
	/*
	 * Whether a page that may be written is read is the platform's affair:
	 * powernv grants both, for the sake of atomic operations. A hypervisor
	 * gets what was asked for.
	 */
	if (!sys_powernv())
		return;
	mem_fill(c, LEN, 3);
	ASSERT_EQ(0, edu_copy(self->dev, wo, rw, LEN));
	ASSERT_EQ(0, edu_recover(self->dev, self->c));
	EXPECT_TRUE(mem_check(c, LEN, 1));
}

/* Refused before, between and behind what is mapped; data stays. */
TEST_F(dma, unmapped)
{
	u64 p = self->page, io = self->start + 3 * p;
	u64 bad[] = { io - p, io + p, self->start + self->size - p,
		      self->start + self->size };
	void *a = self->buf, *b = self->buf + p;
	unsigned int i;

	ASSERT_EQ(0, tce_map(self->c, io, a, p, DMA_RW));
	ASSERT_EQ(0, tce_map(self->c, io + 2 * p, b, p, DMA_RW));
	mem_fill(a, LEN, 1);
	ASSERT_EQ(0, edu_read_ram(self->dev, io, 0, LEN));
	mem_fill(a, LEN, 2);
	mem_fill(b, LEN, 3);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(0, edu_write_ram(self->dev, bad[i], 0, LEN));
		ASSERT_EQ(0, edu_recover(self->dev, self->c));
		EXPECT_TRUE(mem_check(a, LEN, 2));
		EXPECT_TRUE(mem_check(b, LEN, 3));
	}
	/* a good transfer after all the bad ones */
	ASSERT_EQ(0, edu_copy(self->dev, io, io + 2 * p, LEN));
	EXPECT_TRUE(mem_check(b, LEN, 2));
}

/*
 * Put a pattern into the device, take the mapping away by @how, and let the
 * device write and read where it was: neither may reach @mem.
 */
enum how { BY_UNMAP, BY_UNREGISTER, BY_REMOVE };

static void taken_away(struct __test_metadata *_metadata,
		       struct _test_data_dma *self, enum how how)
{
	u64 p = self->page, io = self->start + 5 * p, out;
	void *mem = self->buf;
	void *buf;

	ASSERT_EQ(0, tce_map(self->c, io, mem, 2 * p, DMA_RW));
	mem_fill(mem, LEN, 1);
	ASSERT_EQ(0, edu_read_ram(self->dev, io, 0, LEN));
	ASSERT_EQ(0, edu_write_ram(self->dev, io + p, 0, LEN));
	EXPECT_TRUE(mem_check(mem + p, LEN, 1));
	mem_fill(mem, LEN, 2);
	mem_fill(mem + p, LEN, 3);

	ASSERT_EQ(0, how == BY_REMOVE ? tce_remove(self->c, self->start) :
					tce_unmap(self->c, io, 2 * p));
	if (how == BY_UNREGISTER)
		ASSERT_EQ(0, tce_unregister(self->c, self->buf, self->len));

	EXPECT_EQ(0, edu_write_ram(self->dev, io, 0, LEN));
	EXPECT_EQ(0, edu_write_ram(self->dev, io + p, 0, LEN));
	EXPECT_EQ(0, edu_read_ram(self->dev, io, 0, LEN));
	ASSERT_EQ(0, edu_recover(self->dev, self->c));
	EXPECT_TRUE(mem_check(mem, LEN, 2));
	EXPECT_TRUE(mem_check(mem + p, LEN, 3));

	/* What did the device see? Let it tell through a window made anew. */
	out = self->start;
	if (how == BY_REMOVE)
		ASSERT_EQ(0, tce_create_any(self->c, ffsll(p) - 1, self->size,
					    &out));
	if (how == BY_UNREGISTER)
		ASSERT_EQ(0, tce_register(self->c, self->buf, self->len));
	buf = mem + 2 * p;
	mem_fill(buf, LEN, 4);
	ASSERT_EQ(0, tce_map(self->c, out, buf, p, DMA_RW));
	ASSERT_EQ(0, edu_write_ram(self->dev, out, 0, LEN));
	EXPECT_FALSE(mem_check(buf, LEN, 4));
	EXPECT_FALSE(mem_check(buf, LEN, 2));
}

TEST_F(dma, after_unmap)
{
	taken_away(_metadata, self, BY_UNMAP);
}

TEST_F(dma, after_unregister)
{
	taken_away(_metadata, self, BY_UNREGISTER);
}

TEST_F(dma, after_remove)
{
	taken_away(_metadata, self, BY_REMOVE);
}

/* A window made in the place of another shows nothing of it. */
TEST_F(dma, window_made_again)
{
	u64 p = self->page, io = self->start + 5 * p, start;
	void *mem = self->buf;

	ASSERT_EQ(0, tce_map(self->c, io, mem, p, DMA_RW));
	mem_fill(mem, LEN, 1);
	ASSERT_EQ(0, edu_read_ram(self->dev, io, 0, LEN));
	mem_fill(mem, LEN, 2);
	ASSERT_EQ(0, tce_remove(self->c, self->start));
	ASSERT_EQ(0, tce_create_any(self->c, ffsll(p) - 1, self->size, &start));
	ASSERT_EQ(self->start, start);
	EXPECT_EQ(0, edu_write_ram(self->dev, io, 0, LEN));
	ASSERT_EQ(0, edu_recover(self->dev, self->c));
	EXPECT_TRUE(mem_check(mem, LEN, 2));
	EXPECT_EQ(0, tce_unregister(self->c, self->buf, self->len));
	EXPECT_EQ(0, tce_register(self->c, self->buf, self->len));
}

/*
 * Everything is closed while a transfer is under way, and opened again by the
 * next one to own the device.
 */
TEST_F(dma, after_close)
{
	u64 p = self->page, io = self->start + 5 * p, start;
	void *mem = self->buf;

	ASSERT_EQ(0, tce_map(self->c, io, mem, p, DMA_RW));
	mem_fill(mem, LEN, 1);
	ASSERT_EQ(0, edu_read_ram(self->dev, io, 0, LEN));
	mem_fill(mem, LEN, 2);
	ASSERT_EQ(0, edu_start(self->dev, true, io, 0, LEN));
	/*
	 * The device itself is left running where that does no harm: the host
	 * has the whole of its memory in the place of window 1.
	 */
	if (variant->window)
		tce_dev_close(self->dev);
	close(self->dev->group);
	self->dev->group = -1;
	close(self->c);
	/* on a slow machine it has ended before */
	mem_fill(mem, LEN, 2);
	if (!variant->window) {
		EXPECT_EQ(0, edu_wait(self->dev));
		EXPECT_EQ(0, edu_write_ram(self->dev, io, 0, LEN));
	}
	EXPECT_TRUE(mem_check(mem, LEN, 2));

	/* The next owner of the device does not get at it either. */
	self->c = tce_open(self->dev, TCE_V2);
	ASSERT_LE(0, self->c);
	if (variant->window) {
		ASSERT_EQ(0, tce_dev_open(self->dev));
		ASSERT_EQ(0, edu_wait(self->dev));
	}
	EXPECT_EQ(0, edu_write_ram(self->dev, io, 0, LEN));
	ASSERT_EQ(0, edu_recover(self->dev, self->c));
	EXPECT_TRUE(mem_check(mem, LEN, 2));
	ASSERT_EQ(0, tce_remove(self->c, self->info.dma32_window_start));
	ASSERT_EQ(0, tce_create_any(self->c, ffsll(p) - 1, self->size, &start));
	EXPECT_EQ(0, edu_write_ram(self->dev, start + 5 * p, 0, LEN));
	ASSERT_EQ(0, edu_recover(self->dev, self->c));
	EXPECT_TRUE(mem_check(mem, LEN, 2));
}

/* ---- the way around all windows ----------------------------------------- */

FIXTURE(bypass)
{
	struct tce_leak leak;
	struct tce_dev devs[TCE_MAX_DEVS];
	struct tce_dev *dev;
	int c;
	void *buf;
	u64 pa;
};

VARIANTS_V1_V2(bypass);

FIXTURE_SETUP(bypass)
{
	self->c = -1;
	if (!tce_find_devs(self->devs, TCE_MAX_DEVS) || !self->devs[0].edu)
		SKIP(return, "no edu device");
	if (!sys_powernv())
		SKIP(return, "no bypass on this machine");
	self->dev = &self->devs[0];
	tce_leak_start(&self->leak);
	self->buf = mem_alloc(SZ_64K, SZ_64K, MEM_POPULATE);
	ASSERT_NE(NULL, self->buf);
	self->pa = mem_phys(self->buf);
	if (!self->pa)
		SKIP(return, "physical addresses are not told");
	self->c = tce_open(self->dev, variant->type);
	ASSERT_LE(0, self->c);
	ASSERT_EQ(0, tce_dev_open(self->dev));
}

FIXTURE_TEARDOWN(bypass)
{
	tce_close(self->dev, self->c);
	mem_free(self->buf, SZ_64K);
	EXPECT_NO_LEAK(&self->leak);
}

static bool reaches(struct _test_data_bypass *self)
{
	bool reached;

	mem_fill(self->buf, LEN, 77);
	reached = edu_write_ram(self->dev, TCE_WINDOW1 + self->pa, 0, LEN) ||
		  edu_write_ram(self->dev, self->pa, 0, LEN) ||
		  edu_recover(self->dev, self->c);
	return reached || !mem_check(self->buf, LEN, 77);
}

TEST_F(bypass, off)
{
	u64 start;

	EXPECT_FALSE(reaches(self));
	if (variant->type == TCE_V1) {
		EXPECT_EQ(0, tce_enable(self->c));
		EXPECT_FALSE(reaches(self));
		return;
	}
	EXPECT_EQ(0, tce_create_any(self->c, 16, SZ_1G, &start));
	EXPECT_FALSE(reaches(self));
	EXPECT_EQ(0, tce_remove(self->c, start));
	EXPECT_FALSE(reaches(self));
	EXPECT_EQ(0, tce_remove(self->c, 0));
	EXPECT_FALSE(reaches(self));
}

/* ---- v1 ----------------------------------------------------------------- */

FIXTURE(dma_v1)
{
	struct tce_leak leak;
	struct tce_dev devs[TCE_MAX_DEVS];
	struct tce_dev *dev;
	struct vfio_iommu_spapr_tce_info info;
	int c;
	void *buf;
};

FIXTURE_SETUP(dma_v1)
{
	self->c = -1;
	if (!tce_find_devs(self->devs, TCE_MAX_DEVS) || !self->devs[0].edu)
		SKIP(return, "no edu device");
	self->dev = &self->devs[0];
	tce_leak_start(&self->leak);
	self->buf = mem_alloc(SZ_1M, SZ_64K, MEM_POPULATE);
	ASSERT_NE(NULL, self->buf);
	self->c = tce_open(self->dev, TCE_V1);
	ASSERT_LE(0, self->c);
	ASSERT_EQ(0, tce_get_info(self->c, &self->info));
	ASSERT_EQ(0, tce_enable(self->c));
	ASSERT_EQ(0, tce_dev_open(self->dev));
}

FIXTURE_TEARDOWN(dma_v1)
{
	tce_close(self->dev, self->c);
	mem_free(self->buf, SZ_1M);
	EXPECT_NO_LEAK(&self->leak);
}

TEST_F(dma_v1, read_write)
{
	u64 io = self->info.dma32_window_start + SZ_1M;
	u64 last = self->info.dma32_window_start - SZ_64K +
		   self->info.dma32_window_size;
	void *a = self->buf, *b = self->buf + SZ_64K, *c = b + SZ_64K;

	ASSERT_EQ(0, tce_map(self->c, io, a, SZ_64K, DMA_R));
	ASSERT_EQ(0, tce_map(self->c, last, b, SZ_64K, DMA_RW));
	mem_fill(a + SZ_64K - LEN, LEN, 1);
	mem_fill(b, SZ_64K, 2);
	ASSERT_EQ(0, edu_copy(self->dev, io + SZ_64K - LEN,
			      last + SZ_64K - LEN, LEN));
	EXPECT_TRUE(mem_check(b + SZ_64K - LEN, LEN, 1));
	EXPECT_TRUE(mem_check(b, SZ_64K - LEN - 8, 2));

	/* read-only */
	EXPECT_EQ(0, edu_write_ram(self->dev, io + SZ_64K - LEN, 8, LEN - 8));
	ASSERT_EQ(0, edu_recover(self->dev, self->c));
	EXPECT_TRUE(mem_check(a + SZ_64K - LEN, LEN, 1));

	/* mapped anew, then not at all */
	mem_fill(c, LEN, 3);
	ASSERT_EQ(0, tce_map(self->c, last, c, SZ_64K, DMA_RW));
	ASSERT_EQ(0, edu_write_ram(self->dev, last, 0, LEN));
	EXPECT_TRUE(mem_check(c, LEN, 1));
	mem_fill(c, LEN, 3);
	ASSERT_EQ(0, tce_unmap(self->c, last, SZ_64K));
	EXPECT_EQ(0, edu_write_ram(self->dev, last, 0, LEN));
	ASSERT_EQ(0, edu_recover(self->dev, self->c));
	EXPECT_TRUE(mem_check(c, LEN, 3));
	EXPECT_TRUE(mem_check(b, SZ_64K - LEN - 8, 2));

	/* what may be written may be read, on powernv */
	if (!sys_powernv())
		return;
	ASSERT_EQ(0, tce_map(self->c, last, b, SZ_64K, DMA_W));
	ASSERT_EQ(0, tce_map(self->c, io, c, SZ_64K, DMA_RW));
	mem_fill(b, LEN, 4);
	ASSERT_EQ(0, edu_copy(self->dev, last, io, LEN));
	ASSERT_EQ(0, edu_recover(self->dev, self->c));
	EXPECT_TRUE(mem_check(c, LEN, 4));
}

/* Once through the device file of VFIO, and closed with a transfer running. */
TEST_F(dma_v1, device_file)
{
	u64 io = self->info.dma32_window_start + SZ_1M;
	void *a = self->buf, *b = self->buf + SZ_64K;

	tce_dev_close(self->dev);
	ASSERT_EQ(0, tce_dev_open_vfio(self->dev));
	ASSERT_EQ(0, tce_map(self->c, io, self->buf, SZ_1M, DMA_RW));
	mem_fill(a, LEN, 1);
	ASSERT_EQ(0, edu_copy(self->dev, io, io + SZ_64K, LEN));
	EXPECT_TRUE(mem_check(b, LEN, 1));
	mem_fill(b, LEN, 2);
	ASSERT_EQ(0, edu_start(self->dev, true, io + SZ_64K, 0, LEN));
	tce_close(self->dev, self->c);
	self->c = -1;
	EXPECT_TRUE(mem_check(b, LEN, 2));
}

/* ---- two groups in one container ---------------------------------------- */

FIXTURE(groups)
{
	struct tce_leak leak;
	struct tce_dev devs[TCE_MAX_DEVS];
	struct tce_dev *one, *two;
	int c;
	void *buf;
	u64 start[2];
};

FIXTURE_SETUP(groups)
{
	int n;

	self->c = -1;
	n = tce_find_devs(self->devs, TCE_MAX_DEVS);
	if (!n || !self->devs[0].edu)
		SKIP(return, "no edu device");
	if (n < 2 || !self->devs[1].edu)
		SKIP(return, "no second group");
	self->one = &self->devs[0];
	self->two = &self->devs[1];
	tce_leak_start(&self->leak);
	self->buf = mem_alloc(SZ_1M, SZ_64K, MEM_POPULATE);
	ASSERT_NE(NULL, self->buf);
	self->c = tce_open(self->one, TCE_V2);
	if (self->c == -EINVAL)
		SKIP(return, "no VFIO_SPAPR_TCE_v2_IOMMU on this machine");
	ASSERT_LE(0, self->c);
	ASSERT_EQ(0, tce_group_open(self->two));
	ASSERT_EQ(0, tce_register(self->c, self->buf, SZ_1M));
	ASSERT_EQ(0, tce_dev_open(self->one));
}

FIXTURE_TEARDOWN(groups)
{
	tce_group_close(self->two);
	tce_close(self->one, self->c);
	mem_free(self->buf, SZ_1M);
	EXPECT_NO_LEAK(&self->leak);
}

/* The same memory mapped in two windows. */
static int two_windows(struct _test_data_groups *self)
{
	int i, ret;

	ret = tce_remove(self->c, 0);
	for (i = 0; !ret && i < 2; i++) {
		ret = tce_create_any(self->c, i ? 12 : sys_tce_shift(), SZ_1G,
				     &self->start[i]);
		if (!ret)
			ret = tce_map(self->c, self->start[i] + SZ_1M,
				      self->buf, SZ_1M, DMA_RW);
	}
	return ret;
}

/* Does the device carry data through both windows? */
static bool carries(struct _test_data_groups *self, struct tce_dev *dev, u32 seed)
{
	u64 off = SZ_1M + 5 * SZ_64K;

	mem_fill(self->buf, SZ_1M, seed + 1);
	mem_fill(self->buf + 5 * SZ_64K, LEN, seed);
	if (edu_copy(dev, self->start[0] + off, self->start[1] + off + SZ_64K,
		     LEN))
		return false;
	return mem_check(self->buf + 6 * SZ_64K, LEN, seed);
}

/* The same, as it must be where the windows are not the device's. */
static bool cannot(struct _test_data_groups *self, struct tce_dev *dev, int c,
		   u32 seed)
{
	u64 off = SZ_1M + 5 * SZ_64K;

	mem_fill(self->buf, SZ_1M, seed);
	if (edu_write_ram(dev, self->start[0] + off, 0, LEN) ||
	    edu_write_ram(dev, self->start[1] + off, 0, LEN) ||
	    edu_recover(dev, c))
		return false;
	return mem_check(self->buf, SZ_1M, seed);
}

TEST_F(groups, share)
{
	if (!sys_powernv())
		SKIP(return, "groups cannot share windows on this machine");
	ASSERT_EQ(0, tce_group_set(self->two, self->c));
	ASSERT_EQ(0, tce_dev_open(self->two));
	ASSERT_EQ(0, two_windows(self));
	EXPECT_TRUE(carries(self, self->one, 10));
	EXPECT_TRUE(carries(self, self->two, 20));
	ASSERT_EQ(0, tce_unmap(self->c, self->start[0] + SZ_1M, SZ_1M));
	ASSERT_EQ(0, tce_unmap(self->c, self->start[1] + SZ_1M, SZ_1M));
	EXPECT_TRUE(cannot(self, self->one, self->c, 30));
	EXPECT_TRUE(cannot(self, self->two, self->c, 40));
}

TEST_F(groups, attached_later)
{
	if (!sys_powernv())
		SKIP(return, "groups cannot share windows on this machine");
	ASSERT_EQ(0, two_windows(self));
	EXPECT_TRUE(carries(self, self->one, 10));
	ASSERT_EQ(0, tce_group_set(self->two, self->c));
	ASSERT_EQ(0, tce_dev_open(self->two));
	EXPECT_TRUE(carries(self, self->two, 20));
	/* a window is taken from both */
	ASSERT_EQ(0, tce_remove(self->c, self->start[0]));
	ASSERT_EQ(0, tce_remove(self->c, self->start[1]));
	EXPECT_TRUE(cannot(self, self->one, self->c, 30));
	EXPECT_TRUE(cannot(self, self->two, self->c, 40));
}

TEST_F(groups, one_leaves)
{
	struct tce_table_stat before[2], after[2];
	u64 vmlck;
	int n, c2;

	if (!sys_powernv())
		SKIP(return, "groups cannot share windows on this machine");
	ASSERT_EQ(0, tce_group_set(self->two, self->c));
	ASSERT_EQ(0, tce_dev_open(self->two));
	ASSERT_EQ(0, two_windows(self));
	EXPECT_TRUE(carries(self, self->two, 10));
	vmlck = sys_vmlck();
	n = tce_tables(before, 2);
	tce_dev_close(self->two);
	ASSERT_EQ(0, tce_group_unset(self->two));
	EXPECT_EQ(vmlck, sys_vmlck());
	EXPECT_EQ(n, tce_tables(after, 2));
	EXPECT_TRUE(carries(self, self->one, 20));

	/* who left has nothing of it, wherever it goes */
	c2 = tce_container();
	ASSERT_LE(0, c2);
	ASSERT_EQ(0, tce_group_set(self->two, c2));
	ASSERT_EQ(0, tce_set_iommu(c2, TCE_V2));
	ASSERT_EQ(0, tce_dev_open(self->two));
	EXPECT_TRUE(cannot(self, self->two, c2, 30));
	EXPECT_TRUE(carries(self, self->one, 40));
	tce_group_close(self->two);
	close(c2);
	EXPECT_EQ(0, tce_unmap(self->c, self->start[0] + SZ_1M, SZ_1M));
}

/* It is the first group that leaves, the one that the windows came with. */
TEST_F(groups, first_leaves)
{
	if (!sys_powernv())
		SKIP(return, "groups cannot share windows on this machine");
	ASSERT_EQ(0, tce_group_set(self->two, self->c));
	ASSERT_EQ(0, two_windows(self));
	ASSERT_EQ(0, tce_dev_open(self->two));
	tce_dev_close(self->one);
	ASSERT_EQ(0, tce_group_unset(self->one));
	EXPECT_TRUE(carries(self, self->two, 10));
	/* a new window goes to whom is there */
	ASSERT_EQ(0, tce_remove(self->c, self->start[0]));
	ASSERT_EQ(0, tce_create_any(self->c, sys_tce_shift(), SZ_1G, &self->start[0]));
	ASSERT_EQ(0, tce_map(self->c, self->start[0] + SZ_1M, self->buf,
			     SZ_1M, DMA_RW));
	EXPECT_TRUE(carries(self, self->two, 20));
}

/* Separate containers, one bus address, two memories. */
TEST_F(groups, apart)
{
	void *other = mem_alloc(SZ_1M, SZ_64K, MEM_POPULATE);
	u64 io = SZ_1M, out = 2 * SZ_1M;
	int c2;

	ASSERT_NE(NULL, other);
	c2 = tce_container();
	ASSERT_LE(0, c2);
	ASSERT_EQ(0, tce_group_set(self->two, c2));
	ASSERT_EQ(0, tce_set_iommu(c2, TCE_V2));
	ASSERT_EQ(0, tce_dev_open(self->two));
	ASSERT_EQ(0, tce_register(c2, other, SZ_1M));
	ASSERT_EQ(0, tce_map(self->c, io, self->buf, SZ_64K, DMA_RW));
	ASSERT_EQ(0, tce_map(self->c, out, self->buf + SZ_64K, SZ_64K, DMA_RW));
	ASSERT_EQ(0, tce_map(c2, io, other, SZ_64K, DMA_RW));
	ASSERT_EQ(0, tce_map(c2, out, other + SZ_64K, SZ_64K, DMA_RW));
	mem_fill(self->buf, LEN, 1);
	mem_fill(other, LEN, 2);
	ASSERT_EQ(0, edu_copy(self->one, io, out, LEN));
	ASSERT_EQ(0, edu_copy(self->two, io, out, LEN));
	EXPECT_TRUE(mem_check(self->buf + SZ_64K, LEN, 1));
	EXPECT_TRUE(mem_check(other + SZ_64K, LEN, 2));
	tce_group_close(self->two);
	close(c2);
	/* the other one is not disturbed */
	mem_fill(self->buf, LEN, 3);
	ASSERT_EQ(0, edu_copy(self->one, io, out, LEN));
	EXPECT_TRUE(mem_check(self->buf + SZ_64K, LEN, 3));
	mem_free(other, SZ_1M);
}

TEST_HARNESS_MAIN
