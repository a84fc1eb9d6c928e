// SPDX-License-Identifier: GPL-2.0
/*
 * The requests of VFIO_SPAPR_TCE_IOMMU (v1) and VFIO_SPAPR_TCE_v2_IOMMU: what
 * each answers to every kind of bad argument, to a wrong order of calls and to
 * the wrong process.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

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

static void setup(struct __test_metadata *_metadata, struct state *s,
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

static void teardown(struct __test_metadata *_metadata, struct state *s)
{
	tce_close(s->dev, s->c);
	mem_free(s->buf, BUF_SIZE);
	EXPECT_NO_LEAK(&s->leak);
}

/* Whatever must come before the first map. */
static int ready(struct state *s, unsigned long type)
{
	if (type == TCE_V1)
		return tce_enable(s->c);
	return tce_register(s->c, s->buf, BUF_SIZE);
}

/* What holds for both types. */
FIXTURE(abi)
{
	struct state s;
};

VARIANTS_V1_V2(abi);

FIXTURE_SETUP(abi)
{
	setup(_metadata, &self->s, variant->type);
}

FIXTURE_TEARDOWN(abi)
{
	teardown(_metadata, &self->s);
}

FIXTURE(v1)
{
	struct state s;
};

FIXTURE_SETUP(v1)
{
	setup(_metadata, &self->s, TCE_V1);
}

FIXTURE_TEARDOWN(v1)
{
	teardown(_metadata, &self->s);
}

FIXTURE(v2)
{
	struct state s;
};

FIXTURE_SETUP(v2)
{
	setup(_metadata, &self->s, TCE_V2);
}

FIXTURE_TEARDOWN(v2)
{
	teardown(_metadata, &self->s);
}

/* v2, on a machine that makes windows on demand */
FIXTURE(ddw)
{
	struct state s;
};

FIXTURE_SETUP(ddw)
{
	setup(_metadata, &self->s, TCE_V2);
	if (self->s.c >= 0 &&
	    !(self->s.info.flags & VFIO_IOMMU_SPAPR_INFO_DDW)) {
		tce_close(self->s.dev, self->s.c);
		SKIP(return, "no dynamic DMA windows on this machine");
	}
}

FIXTURE_TEARDOWN(ddw)
{
	teardown(_metadata, &self->s);
}

/* ---- what a container is ------------------------------------------------ */

TEST_F(abi, check_extension)
{
	int eeh;

	EXPECT_EQ(1, tce_check_extension(self->s.c, VFIO_SPAPR_TCE_IOMMU));
	EXPECT_EQ(1, tce_check_extension(self->s.c, VFIO_SPAPR_TCE_v2_IOMMU));
	EXPECT_EQ(0, tce_check_extension(self->s.c, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(0, tce_check_extension(self->s.c, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, tce_check_extension(self->s.c, 0x7777));
	eeh = tce_check_extension(self->s.c, VFIO_EEH);
	EXPECT_TRUE(eeh == 0 || eeh == 1);
}

TEST_F(abi, unknown_request)
{
	EXPECT_EQ(-ENOTTY, tce_ioctl(self->s.c, _IO(VFIO_TYPE, VFIO_BASE + 90),
				     NULL));
}

TEST_F(abi, get_info)
{
	const size_t small = offsetof(struct vfio_iommu_spapr_tce_info, ddw);
	struct vfio_iommu_spapr_tce_info info;
	u32 argsz;

	for (argsz = 0; argsz < small; argsz++) {
		info.argsz = argsz;
		EXPECT_EQ(-EINVAL, tce_ioctl(self->s.c,
					     VFIO_IOMMU_SPAPR_TCE_GET_INFO,
					     &info));
	}

	memset(&info, 0xa5, sizeof(info));
	info.argsz = small;
	EXPECT_EQ(0, tce_ioctl(self->s.c, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info));
	EXPECT_EQ(self->s.info.dma32_window_start, info.dma32_window_start);
	EXPECT_EQ(self->s.info.dma32_window_size, info.dma32_window_size);
	EXPECT_EQ(0xa5a5a5a5, info.ddw.levels);

	EXPECT_NE(0, self->s.info.dma32_window_size);
	if (variant->type == TCE_V1)
		EXPECT_EQ(0, self->s.info.flags);
	if (self->s.info.flags & VFIO_IOMMU_SPAPR_INFO_DDW) {
		EXPECT_NE(0, self->s.info.ddw.pgsizes & SZ_4K);
		EXPECT_LE(1, self->s.info.ddw.max_dynamic_windows_supported);
		EXPECT_LE(1, self->s.info.ddw.levels);
	}

	EXPECT_EQ(-EFAULT, tce_ioctl(self->s.c, VFIO_IOMMU_SPAPR_TCE_GET_INFO,
				     NULL));
}

/* Requests of the other type are unknown here. */
TEST_F(abi, other_type)
{
	u64 start;

	if (variant->type == TCE_V2) {
		EXPECT_EQ(-ENOTTY, tce_enable(self->s.c));
		EXPECT_EQ(-ENOTTY, tce_disable(self->s.c));
		return;
	}
	EXPECT_EQ(-ENOTTY, tce_register(self->s.c, self->s.buf, BUF_SIZE));
	EXPECT_EQ(-ENOTTY, tce_unregister(self->s.c, self->s.buf, BUF_SIZE));
	EXPECT_EQ(-ENOTTY, tce_create(self->s.c, 16, SZ_1G, 1, &start));
	EXPECT_EQ(-ENOTTY, tce_remove(self->s.c, 0));
	/* nor does it matter what is asked */
	EXPECT_EQ(-ENOTTY, tce_register(self->s.c, NULL, 0));
	EXPECT_EQ(-ENOTTY, tce_create(self->s.c, 0, 0, 0, NULL));
}

/* ---- MAP_DMA ------------------------------------------------------------ */

TEST_F(abi, map_before_ready)
{
	EXPECT_EQ(-EPERM, tce_map(self->s.c, self->s.base, self->s.buf, UNIT,
				  DMA_RW));
	/* what is wrong by itself is wrong at any time */
	EXPECT_EQ(-EINVAL, tce_map(self->s.c, self->s.base, self->s.buf, UNIT, 0));
	EXPECT_EQ(0, ready(&self->s, variant->type));
	EXPECT_EQ(0, tce_map(self->s.c, self->s.base, self->s.buf, UNIT, DMA_RW));
}

TEST_F(abi, map_argsz)
{
	struct vfio_iommu_type1_dma_map map = {
		.flags = DMA_RW,
		.vaddr = (uintptr_t)self->s.buf,
		.iova = self->s.base,
		.size = UNIT,
	};

	ASSERT_EQ(0, ready(&self->s, variant->type));
	for (map.argsz = 0; map.argsz < sizeof(map); map.argsz++)
		EXPECT_EQ(-EINVAL,
			  tce_ioctl(self->s.c, VFIO_IOMMU_MAP_DMA, &map));
	EXPECT_EQ(0, tce_ioctl(self->s.c, VFIO_IOMMU_MAP_DMA, &map));
	map.argsz = 4096;
	EXPECT_EQ(0, tce_ioctl(self->s.c, VFIO_IOMMU_MAP_DMA, &map));
	EXPECT_EQ(-EFAULT, tce_ioctl(self->s.c, VFIO_IOMMU_MAP_DMA, NULL));
}

TEST_F(abi, map_flags)
{
	unsigned int bit;

	ASSERT_EQ(0, ready(&self->s, variant->type));
	EXPECT_EQ(-EINVAL, tce_map(self->s.c, self->s.base, self->s.buf, UNIT, 0));
	for (bit = 2; bit < 32; bit++)
		EXPECT_EQ(-EINVAL, tce_map(self->s.c, self->s.base, self->s.buf, UNIT,
					   DMA_RW | 1U << bit));
	EXPECT_EQ(0, tce_map(self->s.c, self->s.base, self->s.buf, UNIT, DMA_R));
	EXPECT_EQ(0, tce_map(self->s.c, self->s.base, self->s.buf, UNIT, DMA_W));
	EXPECT_EQ(0, tce_map(self->s.c, self->s.base, self->s.buf, UNIT, DMA_RW));
}

TEST_F(abi, map_alignment)
{
	const u64 off[] = { 1, 8, 0x200, 0x800, 0xfff };
	unsigned int i;

	ASSERT_EQ(0, ready(&self->s, variant->type));
	for (i = 0; i < ARRAY_SIZE(off); i++) {
		EXPECT_EQ(-EINVAL, tce_map(self->s.c, self->s.base + off[i],
					   self->s.buf, UNIT, DMA_RW));
		EXPECT_EQ(-EINVAL, tce_map(self->s.c, self->s.base,
					   self->s.buf + off[i], UNIT, DMA_RW));
		EXPECT_EQ(-EINVAL, tce_map(self->s.c, self->s.base,
					   self->s.buf, UNIT + off[i], DMA_RW));
		EXPECT_EQ(-EINVAL, tce_map(self->s.c, self->s.base,
					   self->s.buf, off[i], DMA_RW));
		/* the three errors must not cancel out */
		EXPECT_EQ(-EINVAL, tce_map(self->s.c, self->s.base + off[i],
					   self->s.buf + off[i], UNIT - off[i],
					   DMA_RW));
	}
}

TEST_F(abi, map_size)
{
	ASSERT_EQ(0, ready(&self->s, variant->type));
	EXPECT_EQ(-EINVAL, tce_map(self->s.c, self->s.base, self->s.buf, 0, DMA_RW));
	/* the bus address wraps */
	EXPECT_EQ(-EINVAL, tce_map(self->s.c, self->s.base, self->s.buf, -UNIT,
				   DMA_RW));
	EXPECT_EQ(-EINVAL, tce_map(self->s.c, -UNIT, self->s.buf, 2 * UNIT,
				   DMA_RW));
	EXPECT_EQ(-EINVAL, tce_map(self->s.c, self->s.base, self->s.buf,
				   -self->s.base, DMA_RW));
	/* the user address wraps */
	EXPECT_EQ(-EINVAL, tce_map(self->s.c, self->s.base, (void *)-UNIT,
				   2 * UNIT, DMA_RW));
}

TEST_F(abi, map_no_window)
{
	ASSERT_EQ(0, ready(&self->s, variant->type));
	EXPECT_EQ(-ENXIO, tce_map(self->s.c, self->s.end, self->s.buf, UNIT, DMA_RW));
	EXPECT_EQ(-ENXIO, tce_map(self->s.c, TCE_WINDOW1, self->s.buf, UNIT,
				  DMA_RW));
	EXPECT_EQ(-ENXIO, tce_map(self->s.c, 1ULL << 48, self->s.buf, UNIT,
				  DMA_RW));
	EXPECT_EQ(-ENXIO, tce_map(self->s.c, -2 * UNIT, self->s.buf, UNIT, DMA_RW));
}

TEST_F(abi, map_leaves_window)
{
	ASSERT_EQ(0, ready(&self->s, variant->type));
	EXPECT_EQ(-EINVAL, tce_map(self->s.c, self->s.end - UNIT, self->s.buf,
				   2 * UNIT, DMA_RW));
	EXPECT_EQ(0, tce_map(self->s.c, self->s.end - UNIT, self->s.buf, UNIT,
			     DMA_RW));
}

TEST_F(abi, map_unmappable)
{
	void *hole = mem_alloc(UNIT, UNIT, 0);

	ASSERT_NE(NULL, hole);
	mem_free(hole, UNIT);
	ASSERT_EQ(0, ready(&self->s, variant->type));
	/* v1 pins as it maps: it says that it could not */
	EXPECT_EQ(variant->type == TCE_V1 ? -EFAULT : -EINVAL,
		  tce_map(self->s.c, self->s.base, hole, UNIT, DMA_RW));
}

TEST_F(v2, map_not_registered)
{
	void *buf = self->s.buf;

	ASSERT_EQ(0, tce_register(self->s.c, buf + 4 * UNIT, 4 * UNIT));
	EXPECT_EQ(-EINVAL, tce_map(self->s.c, self->s.base, buf, UNIT, DMA_RW));
	EXPECT_EQ(-EINVAL, tce_map(self->s.c, self->s.base, buf + 3 * UNIT,
				   2 * UNIT, DMA_RW));
	EXPECT_EQ(-EINVAL, tce_map(self->s.c, self->s.base, buf + 7 * UNIT,
				   2 * UNIT, DMA_RW));
	EXPECT_EQ(-EINVAL, tce_map(self->s.c, self->s.base, buf + 3 * UNIT,
				   6 * UNIT, DMA_RW));
	EXPECT_EQ(0, tce_map(self->s.c, self->s.base, buf + 4 * UNIT, 4 * UNIT,
			     DMA_RW));
}

/* Two registered ranges side by side are mapped by two requests or by one. */
TEST_F(v2, map_across_registrations)
{
	void *buf = self->s.buf;
	int ret;

	ASSERT_EQ(0, tce_register(self->s.c, buf, 4 * UNIT));
	ASSERT_EQ(0, tce_register(self->s.c, buf + 4 * UNIT, 4 * UNIT));
	ret = tce_map(self->s.c, self->s.base, buf + 3 * UNIT, 2 * UNIT, DMA_RW);
	EXPECT_TRUE(ret == 0 || ret == -EINVAL);
	EXPECT_EQ(0, tce_map(self->s.c, self->s.base, buf + 3 * UNIT, UNIT,
			     DMA_RW));
	EXPECT_EQ(0, tce_map(self->s.c, self->s.base + UNIT, buf + 4 * UNIT, UNIT,
			     DMA_RW));
}

/* A container maps only what it registered itself. */
TEST_F(v2, map_registered_elsewhere)
{
	void *other;
	int c2;

	if (self->s.ndevs < 2)
		SKIP(return, "no second group");
	c2 = tce_open(&self->s.devs[1], TCE_V2);
	ASSERT_LE(0, c2);
	ASSERT_EQ(0, tce_register(c2, self->s.buf, BUF_SIZE));
	ASSERT_EQ(0, tce_register(self->s.c, self->s.buf, BUF_SIZE));
	EXPECT_EQ(0, tce_unregister(self->s.c, self->s.buf, BUF_SIZE));
	/* something else of its own, so that it may map at all */
	other = mem_alloc(UNIT, 0, MEM_POPULATE);
	ASSERT_NE(NULL, other);
	ASSERT_EQ(0, tce_register(self->s.c, other, UNIT));
	EXPECT_EQ(-EINVAL, tce_map(self->s.c, self->s.base, self->s.buf, UNIT,
				   DMA_RW));
	EXPECT_EQ(0, tce_map(self->s.c, self->s.base, other, UNIT, DMA_RW));
	EXPECT_EQ(0, tce_map(c2, self->s.base, self->s.buf, UNIT, DMA_RW));
	tce_close(&self->s.devs[1], c2);
	mem_free(other, UNIT);
}

TEST_F(abi, map_over_itself)
{
	int i;

	ASSERT_EQ(0, ready(&self->s, variant->type));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, tce_map(self->s.c, self->s.base, self->s.buf, 4 * UNIT,
				     DMA_RW));
	EXPECT_EQ(0, tce_map(self->s.c, self->s.base + UNIT, self->s.buf, 4 * UNIT,
			     DMA_R));
	EXPECT_EQ(0, tce_unmap(self->s.c, self->s.base, 5 * UNIT));
	if (variant->type == TCE_V2)
		EXPECT_EQ(0, tce_unregister(self->s.c, self->s.buf, BUF_SIZE));
}

/* An IOMMU page must be backed by a page at least as large. */
TEST_F(ddw, map_page_too_big)
{
	void *buf;
	unsigned int shift;
	u64 start, page;

	for (shift = 17; shift < 32; shift++)
		if (self->s.info.ddw.pgsizes & BIT_ULL(shift))
			break;
	if (shift == 32 || shift > 24)
		SKIP(return, "no larger IOMMU page of 16M or less");
	page = BIT_ULL(shift);
	buf = mem_alloc(2 * page, page, MEM_POPULATE);
	ASSERT_NE(NULL, buf);
	ASSERT_EQ(0, tce_register(self->s.c, buf, 2 * page));
	ASSERT_EQ(0, tce_remove(self->s.c, self->s.info.dma32_window_start));
	ASSERT_EQ(0, tce_create_any(self->s.c, shift, SZ_1G, &start));
	EXPECT_EQ(-EPERM, tce_map(self->s.c, start, buf, page, DMA_RW));
	EXPECT_EQ(-EPERM, tce_map(self->s.c, start, buf, 2 * page, DMA_RW));
	/* aligned to the window's page, not to the system's */
	EXPECT_EQ(-EINVAL, tce_map(self->s.c, start, buf, UNIT, DMA_RW));
	EXPECT_EQ(-EINVAL, tce_map(self->s.c, start + UNIT, buf, page, DMA_RW));
	EXPECT_EQ(-EINVAL, tce_map(self->s.c, start, buf + UNIT, page, DMA_RW));
	EXPECT_EQ(0, tce_unregister(self->s.c, buf, 2 * page));
	mem_free(buf, 2 * page);
}

/* ---- UNMAP_DMA ---------------------------------------------------------- */

TEST_F(abi, unmap_argsz)
{
	const u32 full = offsetof(struct vfio_iommu_type1_dma_unmap, data);
	struct vfio_iommu_type1_dma_unmap unmap = {
		.iova = self->s.base,
		.size = UNIT,
	};

	ASSERT_EQ(0, ready(&self->s, variant->type));
	for (unmap.argsz = 0; unmap.argsz < full; unmap.argsz++)
		EXPECT_EQ(-EINVAL,
			  tce_ioctl(self->s.c, VFIO_IOMMU_UNMAP_DMA, &unmap));
	EXPECT_EQ(0, tce_ioctl(self->s.c, VFIO_IOMMU_UNMAP_DMA, &unmap));
	EXPECT_EQ(-EFAULT, tce_ioctl(self->s.c, VFIO_IOMMU_UNMAP_DMA, NULL));
}

TEST_F(abi, unmap_flags)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = self->s.base,
		.size = UNIT,
	};
	unsigned int bit;

	ASSERT_EQ(0, ready(&self->s, variant->type));
	for (bit = 0; bit < 32; bit++) {
		unmap.flags = 1U << bit;
		EXPECT_EQ(-EINVAL,
			  tce_ioctl(self->s.c, VFIO_IOMMU_UNMAP_DMA, &unmap));
	}
}

TEST_F(abi, unmap_range)
{
	const u64 off[] = { 1, 8, 0x200, 0x800, 0xfff };
	unsigned int i;

	ASSERT_EQ(0, ready(&self->s, variant->type));
	for (i = 0; i < ARRAY_SIZE(off); i++) {
		EXPECT_EQ(-EINVAL, tce_unmap(self->s.c, self->s.base + off[i],
					     UNIT));
		EXPECT_EQ(-EINVAL, tce_unmap(self->s.c, self->s.base,
					     UNIT + off[i]));
		EXPECT_EQ(-EINVAL, tce_unmap(self->s.c, self->s.base + off[i],
					     UNIT - off[i]));
	}
	EXPECT_EQ(-EINVAL, tce_unmap(self->s.c, self->s.base, 0));
	EXPECT_EQ(-EINVAL, tce_unmap(self->s.c, self->s.base, -UNIT));
	EXPECT_EQ(-EINVAL, tce_unmap(self->s.c, self->s.base, -self->s.base));
	EXPECT_EQ(-EINVAL, tce_unmap(self->s.c, -UNIT, 2 * UNIT));
	EXPECT_EQ(-ENXIO, tce_unmap(self->s.c, self->s.end, UNIT));
	EXPECT_EQ(-ENXIO, tce_unmap(self->s.c, TCE_WINDOW1, UNIT));
	EXPECT_EQ(-EINVAL, tce_unmap(self->s.c, self->s.end - UNIT, 2 * UNIT));
}

TEST_F(abi, unmap_of_nothing)
{
	ASSERT_EQ(0, ready(&self->s, variant->type));
	EXPECT_EQ(0, tce_unmap(self->s.c, self->s.base, UNIT));
	EXPECT_EQ(0, tce_map(self->s.c, self->s.base, self->s.buf, UNIT, DMA_RW));
	EXPECT_EQ(0, tce_unmap(self->s.c, self->s.base, UNIT));
	EXPECT_EQ(0, tce_unmap(self->s.c, self->s.base, UNIT));
	/* partly mapped, and the whole window */
	EXPECT_EQ(0, tce_map(self->s.c, self->s.base, self->s.buf, UNIT, DMA_RW));
	EXPECT_EQ(0, tce_unmap(self->s.c, self->s.base - UNIT, 4 * UNIT));
	EXPECT_EQ(0, tce_unmap(self->s.c, self->s.info.dma32_window_start,
			       self->s.info.dma32_window_size));
}

/* ... for which no window is made */
TEST_F(abi, unmap_makes_no_window)
{
	u64 vmlck;

	ASSERT_EQ(0, ready(&self->s, variant->type));
	vmlck = sys_vmlck();
	EXPECT_EQ(0, tce_unmap(self->s.c, self->s.base, UNIT));
	EXPECT_EQ(0, tce_unmap(self->s.c, self->s.info.dma32_window_start,
			       self->s.info.dma32_window_size));
	EXPECT_EQ(-EINVAL, tce_unmap(self->s.c, self->s.end - UNIT, 2 * UNIT));
	EXPECT_EQ(-EINVAL, tce_unmap(self->s.c, self->s.base + 1, UNIT));
	EXPECT_EQ(-ENXIO, tce_unmap(self->s.c, self->s.end, UNIT));
	EXPECT_EQ(vmlck, sys_vmlck());
	EXPECT_EQ(self->s.leak.tables, tce_tables(NULL, 0));
	EXPECT_EQ(0, tce_map(self->s.c, self->s.base, self->s.buf, UNIT, DMA_RW));
	EXPECT_EQ(self->s.leak.tables + 1, tce_tables(NULL, 0));
}

/* ---- ENABLE, DISABLE ---------------------------------------------------- */

TEST_F(v1, unmap_before_enable)
{
	EXPECT_EQ(-EPERM, tce_unmap(self->s.c, self->s.base, UNIT));
	EXPECT_EQ(-EPERM, tce_unmap(self->s.c, self->s.end, UNIT));
	EXPECT_EQ(-EINVAL, tce_unmap(self->s.c, self->s.base, 0));
	EXPECT_EQ(self->s.leak.vmlck, sys_vmlck());
	EXPECT_EQ(self->s.leak.tables, tce_tables(NULL, 0));
	ASSERT_EQ(0, tce_enable(self->s.c));
	EXPECT_EQ(0, tce_unmap(self->s.c, self->s.base, UNIT));
	ASSERT_EQ(0, tce_disable(self->s.c));
	EXPECT_EQ(-EPERM, tce_unmap(self->s.c, self->s.base, UNIT));
}

TEST_F(v1, enable)
{
	u64 before = sys_vmlck();

	EXPECT_EQ(0, tce_disable(self->s.c));
	EXPECT_EQ(before, sys_vmlck());
	EXPECT_EQ(0, tce_enable(self->s.c));
	EXPECT_EQ(before + self->s.info.dma32_window_size, sys_vmlck());
	EXPECT_EQ(-EBUSY, tce_enable(self->s.c));
	EXPECT_EQ(before + self->s.info.dma32_window_size, sys_vmlck());
	EXPECT_EQ(0, tce_disable(self->s.c));
	EXPECT_EQ(before, sys_vmlck());
	EXPECT_EQ(0, tce_disable(self->s.c));
	EXPECT_EQ(before, sys_vmlck());
	EXPECT_EQ(-EPERM, tce_map(self->s.c, self->s.base, self->s.buf, UNIT,
				  DMA_RW));
	EXPECT_EQ(0, tce_enable(self->s.c));
	EXPECT_EQ(0, tce_map(self->s.c, self->s.base, self->s.buf, UNIT, DMA_RW));
}

TEST_F(v1, enable_over_limit)
{
	u64 before = sys_vmlck();

	ASSERT_EQ(0, drop_to_user(SZ_1M));
	EXPECT_EQ(-ENOMEM, tce_enable(self->s.c));
	EXPECT_EQ(before, sys_vmlck());
	EXPECT_EQ(-EPERM, tce_map(self->s.c, self->s.base, self->s.buf, UNIT,
				  DMA_RW));
}

/* ---- REGISTER, UNREGISTER ----------------------------------------------- */

TEST_F(v2, register_args)
{
	struct vfio_iommu_spapr_register_memory reg = {
		.vaddr = (uintptr_t)self->s.buf,
		.size = BUF_SIZE,
	};
	const unsigned long req[] = {
		VFIO_IOMMU_SPAPR_REGISTER_MEMORY,
		VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY,
	};
	u64 page = sys_page_size();
	void *buf = self->s.buf;
	unsigned int i, bit;

	for (i = 0; i < ARRAY_SIZE(req); i++) {
		for (reg.argsz = 0; reg.argsz < sizeof(reg); reg.argsz++)
			EXPECT_EQ(-EINVAL, tce_ioctl(self->s.c, req[i], &reg));
		for (bit = 0; bit < 32; bit++) {
			reg.flags = 1U << bit;
			EXPECT_EQ(-EINVAL, tce_ioctl(self->s.c, req[i], &reg));
		}
		reg.flags = 0;
		EXPECT_EQ(-EFAULT, tce_ioctl(self->s.c, req[i], NULL));
	}

	EXPECT_EQ(-EINVAL, tce_register(self->s.c, buf, 0));
	EXPECT_EQ(-EINVAL, tce_register(self->s.c, buf + 1, page));
	EXPECT_EQ(-EINVAL, tce_register(self->s.c, buf + page / 2, page));
	EXPECT_EQ(-EINVAL, tce_register(self->s.c, buf, page + 1));
	EXPECT_EQ(-EINVAL, tce_register(self->s.c, buf, page / 2));
	EXPECT_EQ(-EINVAL, tce_register(self->s.c, buf, -page));
	EXPECT_EQ(-EINVAL, tce_register(self->s.c, buf,
					-(u64)(uintptr_t)buf));
	EXPECT_EQ(-EINVAL, tce_register(self->s.c, (void *)-page, 2 * page));
	EXPECT_EQ(self->s.leak.vmlck, sys_vmlck());

	EXPECT_EQ(0, tce_register(self->s.c, buf, BUF_SIZE));
	EXPECT_EQ(-EINVAL, tce_unregister(self->s.c, buf, 0));
	EXPECT_EQ(-EINVAL, tce_unregister(self->s.c, buf + 1, BUF_SIZE));
	EXPECT_EQ(-EINVAL, tce_unregister(self->s.c, buf, BUF_SIZE + 1));
	EXPECT_EQ(-EINVAL, tce_unregister(self->s.c, buf, -page));
	EXPECT_EQ(BUF_SIZE, sys_vmlck() - self->s.leak.vmlck);
	EXPECT_EQ(0, tce_unregister(self->s.c, buf, BUF_SIZE));
}

TEST_F(v2, register_twice)
{
	void *buf = self->s.buf;

	EXPECT_EQ(0, tce_register(self->s.c, buf + UNIT, 4 * UNIT));
	EXPECT_EQ(-EBUSY, tce_register(self->s.c, buf + UNIT, 4 * UNIT));
	EXPECT_EQ(-EINVAL, tce_register(self->s.c, buf + UNIT, 2 * UNIT));
	EXPECT_EQ(-EINVAL, tce_register(self->s.c, buf + 2 * UNIT, 2 * UNIT));
	EXPECT_EQ(-EINVAL, tce_register(self->s.c, buf, 2 * UNIT));
	EXPECT_EQ(-EINVAL, tce_register(self->s.c, buf + 4 * UNIT, 2 * UNIT));
	EXPECT_EQ(-EINVAL, tce_register(self->s.c, buf, 8 * UNIT));
	EXPECT_EQ(4 * UNIT, sys_vmlck() - self->s.leak.vmlck);
	EXPECT_EQ(0, tce_register(self->s.c, buf, UNIT));
	EXPECT_EQ(0, tce_register(self->s.c, buf + 5 * UNIT, UNIT));
	EXPECT_EQ(0, tce_unregister(self->s.c, buf + UNIT, 4 * UNIT));
	EXPECT_EQ(-ENOENT, tce_unregister(self->s.c, buf + UNIT, 4 * UNIT));
	EXPECT_EQ(0, tce_register(self->s.c, buf + UNIT, 4 * UNIT));
}

TEST_F(v2, register_unpinnable)
{
	u64 page = sys_page_size();
	void *mem;

	mem = mem_alloc(8 * page, 0, MEM_POPULATE);
	ASSERT_NE(NULL, mem);
	ASSERT_EQ(0, munmap(mem + 4 * page, page));
	EXPECT_EQ(-EFAULT, tce_register(self->s.c, mem + 4 * page, page));
	EXPECT_EQ(-EFAULT, tce_register(self->s.c, mem, 8 * page));
	EXPECT_EQ(-EFAULT, tce_register(self->s.c, mem + 4 * page, 4 * page));
	EXPECT_EQ(-EFAULT, tce_register(self->s.c, mem, 5 * page));
	EXPECT_EQ(self->s.leak.vmlck, sys_vmlck());
	EXPECT_EQ(self->s.leak.pinned, sys_pinned());
	EXPECT_EQ(0, tce_register(self->s.c, mem, 4 * page));
	EXPECT_EQ(0, tce_unregister(self->s.c, mem, 4 * page));
	mem_free(mem, 4 * page);
	mem_free(mem + 5 * page, 3 * page);
}

TEST_F(v2, register_over_limit)
{
	ASSERT_EQ(0, drop_to_user(4 * UNIT));
	EXPECT_EQ(-ENOMEM, tce_register(self->s.c, self->s.buf, BUF_SIZE));
	EXPECT_EQ(self->s.leak.vmlck, sys_vmlck());
	EXPECT_EQ(self->s.leak.pinned, sys_pinned());
	EXPECT_EQ(0, tce_register(self->s.c, self->s.buf, 2 * UNIT));
}

TEST_F(v2, unregister)
{
	void *buf = self->s.buf;

	EXPECT_EQ(-ENOENT, tce_unregister(self->s.c, buf, BUF_SIZE));
	EXPECT_EQ(0, tce_register(self->s.c, buf, BUF_SIZE));
	EXPECT_EQ(-ENOENT, tce_unregister(self->s.c, buf, UNIT));
	EXPECT_EQ(-ENOENT, tce_unregister(self->s.c, buf + UNIT,
					  BUF_SIZE - UNIT));
	EXPECT_EQ(-ENOENT, tce_unregister(self->s.c, buf, 2 * BUF_SIZE));
	EXPECT_EQ(0, tce_unregister(self->s.c, buf, BUF_SIZE));
	EXPECT_EQ(-ENOENT, tce_unregister(self->s.c, buf, BUF_SIZE));
}

TEST_F(v2, unregister_mapped)
{
	ASSERT_EQ(0, tce_register(self->s.c, self->s.buf, BUF_SIZE));
	ASSERT_EQ(0, tce_map(self->s.c, self->s.base, self->s.buf, UNIT, DMA_RW));
	EXPECT_EQ(-EBUSY, tce_unregister(self->s.c, self->s.buf, BUF_SIZE));
	EXPECT_EQ(-EBUSY, tce_unregister(self->s.c, self->s.buf, BUF_SIZE));
	/* and it stays usable */
	EXPECT_EQ(-EBUSY, tce_register(self->s.c, self->s.buf, BUF_SIZE));
	EXPECT_EQ(0, tce_map(self->s.c, self->s.base + UNIT, self->s.buf + UNIT, UNIT,
			     DMA_RW));
	EXPECT_EQ(0, tce_unmap(self->s.c, self->s.base, UNIT));
	EXPECT_EQ(-EBUSY, tce_unregister(self->s.c, self->s.buf, BUF_SIZE));
	EXPECT_EQ(0, tce_unmap(self->s.c, self->s.base + UNIT, UNIT));
	EXPECT_EQ(0, tce_unregister(self->s.c, self->s.buf, BUF_SIZE));
	EXPECT_EQ(-ENOENT, tce_unregister(self->s.c, self->s.buf, BUF_SIZE));
}

/* ---- TCE_CREATE, TCE_REMOVE --------------------------------------------- */

TEST_F(ddw, create_argsz_flags)
{
	const u32 full = sizeof(struct vfio_iommu_spapr_tce_create);
	struct vfio_iommu_spapr_tce_create create = {
		.page_shift = 16,
		.window_size = SZ_1G,
		.levels = 1,
	};
	unsigned int bit;

	for (create.argsz = 0; create.argsz < full; create.argsz++)
		EXPECT_EQ(-EINVAL, tce_ioctl(self->s.c,
					     VFIO_IOMMU_SPAPR_TCE_CREATE,
					     &create));
	for (bit = 0; bit < 32; bit++) {
		create.flags = 1U << bit;
		EXPECT_EQ(-EINVAL, tce_ioctl(self->s.c,
					     VFIO_IOMMU_SPAPR_TCE_CREATE,
					     &create));
	}
	EXPECT_EQ(-EFAULT, tce_ioctl(self->s.c, VFIO_IOMMU_SPAPR_TCE_CREATE,
				     NULL));
}

TEST_F(ddw, create_page_shift)
{
	const u32 shifts[] = { 64 + 12, 64 + 16, 128 + 12, 128 + 16, 256 + 16,
			       0x10000 + 16, 0x80000000 + 16, 0xffffffff };
	u32 shift;
	unsigned int i;

	for (shift = 0; shift < 64; shift++)
		if (!(self->s.info.ddw.pgsizes & BIT_ULL(shift)))
			EXPECT_EQ(-EINVAL, tce_create(self->s.c, shift, SZ_1G, 1,
						      NULL));
	for (i = 0; i < ARRAY_SIZE(shifts); i++)
		EXPECT_EQ(-EINVAL, tce_create(self->s.c, shifts[i], SZ_1G, 1,
					      NULL));
}

TEST_F(ddw, create_size_levels)
{
	u32 most = self->s.info.ddw.levels > 1 ? self->s.info.ddw.levels : 5;
	u32 levels[] = { 0, most + 1, 64, 0x80000000, 0xffffffff };
	unsigned int i;

	EXPECT_EQ(-EINVAL, tce_create(self->s.c, 16, 0, 1, NULL));
	EXPECT_EQ(-EINVAL, tce_create(self->s.c, 16, SZ_64K / 2, 1, NULL));
	EXPECT_EQ(-EINVAL, tce_create(self->s.c, 16, SZ_4K, 1, NULL));
	EXPECT_EQ(-EINVAL, tce_create(self->s.c, 16, 3 * SZ_1G, 1, NULL));
	EXPECT_EQ(-EINVAL, tce_create(self->s.c, 16, SZ_1G + SZ_64K, 1, NULL));
	EXPECT_EQ(-EINVAL, tce_create(self->s.c, 16, SZ_1G - 1, 1, NULL));
	EXPECT_EQ(-EINVAL, tce_create(self->s.c, 16, ~0ULL, 1, NULL));
	/* more than a bus address can say */
	EXPECT_EQ(-EINVAL, tce_create(self->s.c, 16, BIT_ULL(63), 5, NULL));
	EXPECT_EQ(-EINVAL, tce_create(self->s.c, 12, BIT_ULL(60), 5, NULL));
	for (i = 0; i < ARRAY_SIZE(levels); i++)
		EXPECT_EQ(-EINVAL, tce_create(self->s.c, 16, SZ_1G, levels[i],
					      NULL));
}

/* The address cannot be told: then there must be no window. */
TEST_F(ddw, create_copy_out_fails)
{
	struct vfio_iommu_spapr_tce_create *create;
	int i;

	create = mem_alloc(SZ_64K, SZ_64K, 0);
	ASSERT_NE(NULL, create);
	create->argsz = sizeof(*create);
	create->page_shift = 16;
	create->window_size = SZ_1G;
	create->levels = 1;
	ASSERT_EQ(0, mprotect(create, SZ_64K, PROT_READ));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-EFAULT, tce_ioctl(self->s.c,
					     VFIO_IOMMU_SPAPR_TCE_CREATE,
					     create));
	ASSERT_EQ(0, mprotect(create, SZ_64K, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, tce_ioctl(self->s.c, VFIO_IOMMU_SPAPR_TCE_CREATE, create));
	EXPECT_EQ(0, tce_remove(self->s.c, create->start_addr));
	mem_free(create, SZ_64K);
}

TEST_F(ddw, create_no_space)
{
	u64 start[2] = { 1, 1 };
	unsigned int i, n;
	u64 charge;

	/* pseries: once refused a window, a device is never given one again */
	if (!sys_powernv())
		SKIP(return, "no second window on this machine");
	n = self->s.info.ddw.max_dynamic_windows_supported;
	if (n > ARRAY_SIZE(start))
		SKIP(return, "more than two windows");
	ASSERT_EQ(0, tce_remove(self->s.c, self->s.info.dma32_window_start));
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, tce_create_any(self->s.c, 16, SZ_1G, &start[i]));
	EXPECT_EQ(0, start[0]);
	EXPECT_EQ(TCE_WINDOW1, start[1]);
	charge = sys_vmlck();
	EXPECT_EQ(-ENOSPC, tce_create(self->s.c, 16, SZ_1G, 1, NULL));
	EXPECT_EQ(-ENOSPC, tce_create(self->s.c, 16, SZ_64K, 1, NULL));
	/* what is wrong is wrong, with or without space */
	EXPECT_EQ(-EINVAL, tce_create(self->s.c, 144, SZ_1G, 1, NULL));
	EXPECT_EQ(-EINVAL, tce_create(self->s.c, 16, SZ_1G, 0, NULL));
	EXPECT_EQ(charge, sys_vmlck());
	while (n--)
		EXPECT_EQ(0, tce_remove(self->s.c, start[n]));
}

/* The default window is there when it is wanted first. */
TEST_F(ddw, create_after_default)
{
	u64 start = 1;

	if (self->s.info.ddw.max_dynamic_windows_supported < 2 ||
	    !sys_powernv())
		SKIP(return, "the machine places its windows elsewhere");
	ASSERT_EQ(0, ready(&self->s, TCE_V2));
	EXPECT_EQ(0, tce_create_any(self->s.c, sys_tce_shift(), SZ_1G, &start));
	EXPECT_EQ(TCE_WINDOW1, start);
	EXPECT_EQ(0, tce_map(self->s.c, self->s.base, self->s.buf, UNIT, DMA_RW));
	EXPECT_EQ(0, tce_map(self->s.c, start, self->s.buf, UNIT, DMA_RW));
	EXPECT_EQ(-ENOSPC, tce_create(self->s.c, 16, SZ_1G, 1, NULL));
	EXPECT_EQ(0, tce_remove(self->s.c, 0));
	EXPECT_EQ(-ENXIO, tce_map(self->s.c, self->s.base, self->s.buf, UNIT,
				  DMA_RW));
	EXPECT_EQ(0, tce_create_any(self->s.c, sys_tce_shift(), SZ_1G, &start));
	EXPECT_EQ(0, start);
}

TEST_F(ddw, remove_args)
{
	const u32 full = sizeof(struct vfio_iommu_spapr_tce_remove);
	struct vfio_iommu_spapr_tce_remove rem = {};
	unsigned int bit;

	for (rem.argsz = 0; rem.argsz < full; rem.argsz++)
		EXPECT_EQ(-EINVAL, tce_ioctl(self->s.c,
					     VFIO_IOMMU_SPAPR_TCE_REMOVE,
					     &rem));
	for (bit = 0; bit < 32; bit++) {
		rem.flags = 1U << bit;
		EXPECT_EQ(-EINVAL, tce_ioctl(self->s.c,
					     VFIO_IOMMU_SPAPR_TCE_REMOVE,
					     &rem));
	}
	EXPECT_EQ(-EFAULT, tce_ioctl(self->s.c, VFIO_IOMMU_SPAPR_TCE_REMOVE,
				     NULL));
}

/* Only the very start of a window names it. */
TEST_F(ddw, remove_start)
{
	u64 start = 1;

	ASSERT_EQ(0, ready(&self->s, TCE_V2));
	ASSERT_EQ(0, tce_remove(self->s.c, self->s.info.dma32_window_start));
	ASSERT_EQ(0, tce_create_any(self->s.c, sys_tce_shift(), SZ_1G, &start));
	EXPECT_EQ(-EINVAL, tce_remove(self->s.c, start + SZ_64K));
	EXPECT_EQ(-EINVAL, tce_remove(self->s.c, start + 1));
	EXPECT_EQ(-EINVAL, tce_remove(self->s.c, start + SZ_1G - 1));
	EXPECT_EQ(-EINVAL, tce_remove(self->s.c, start + SZ_1G));
	EXPECT_EQ(-EINVAL, tce_remove(self->s.c, ~0ULL));
	if (start != TCE_WINDOW1)
		EXPECT_EQ(-EINVAL, tce_remove(self->s.c, TCE_WINDOW1));
	EXPECT_EQ(0, tce_map(self->s.c, start, self->s.buf, UNIT, DMA_RW));
	EXPECT_EQ(0, tce_remove(self->s.c, start));
	EXPECT_EQ(-EINVAL, tce_remove(self->s.c, start));
	/* nothing holds the memory any more */
	EXPECT_EQ(0, tce_unregister(self->s.c, self->s.buf, BUF_SIZE));
}

TEST_F(ddw, remove_default_first)
{
	ASSERT_EQ(0, ready(&self->s, TCE_V2));
	EXPECT_EQ(0, tce_remove(self->s.c, self->s.info.dma32_window_start));
	EXPECT_EQ(-EINVAL, tce_remove(self->s.c, self->s.info.dma32_window_start));
	EXPECT_EQ(-ENXIO, tce_map(self->s.c, self->s.base, self->s.buf, UNIT,
				  DMA_RW));
	EXPECT_EQ(-ENXIO, tce_unmap(self->s.c, self->s.base, UNIT));
}

/* A window is exactly as large as asked. */
TEST_F(ddw, window_is_exact)
{
	u64 start, size;

	ASSERT_EQ(0, ready(&self->s, TCE_V2));
	ASSERT_EQ(0, tce_remove(self->s.c, self->s.info.dma32_window_start));
	for (size = SZ_64K; size <= SZ_1G; size <<= 2) {
		ASSERT_EQ(0, tce_create_any(self->s.c, sys_tce_shift(), size, &start));
		EXPECT_EQ(0, tce_map(self->s.c, start + size - SZ_64K, self->s.buf,
				     SZ_64K, DMA_RW));
		EXPECT_EQ(-ENXIO, tce_map(self->s.c, start + size, self->s.buf,
					  SZ_64K, DMA_RW)) {
			TH_LOG("window of %llu", size);
		}
		EXPECT_EQ(-EINVAL, tce_map(self->s.c, start + size - SZ_64K,
					   self->s.buf, 2 * SZ_64K, DMA_RW));
		EXPECT_EQ(0, tce_remove(self->s.c, start));
	}
}

/* ---- the ends of all numbers --------------------------------------------- */

static const u64 extremes[] = {
	0, 1, 2, 0xfff, 0x1000, 0x10001, 0x7fffffff, 0x80000000, 0xffff0000,
	0xffffffff, BIT_ULL(32), BIT_ULL(47), BIT_ULL(52), BIT_ULL(55),
	BIT_ULL(59), BIT_ULL(59) - 1, BIT_ULL(63) - 1, BIT_ULL(63), -SZ_64K,
	-1ULL,
};

/* A request whose @field numbers, from @offset on, are to be replaced */
struct extreme {
	unsigned long request;
	const void *good;
	size_t size;
	struct {
		unsigned char offset;
		unsigned char size;
	} field[6];
};

#define FIELD32(type, name) { offsetof(type, name), sizeof(u32) }
#define FIELD64(type, name) { offsetof(type, name), sizeof(u64) }

static void undo(int c, unsigned long request, const void *arg)
{
	const struct vfio_iommu_spapr_register_memory *reg = arg;
	const struct vfio_iommu_spapr_tce_create *create = arg;
	const struct vfio_iommu_type1_dma_map *map = arg;

	if (request == VFIO_IOMMU_MAP_DMA)
		tce_unmap(c, map->iova, map->size);
	else if (request == VFIO_IOMMU_SPAPR_REGISTER_MEMORY)
		tce_unregister(c, (void *)(uintptr_t)reg->vaddr, reg->size);
	else if (request == VFIO_IOMMU_SPAPR_TCE_CREATE)
		tce_remove(c, create->start_addr);
}

static void put_extreme(void *arg, const struct extreme *x, unsigned int field, u64 val)
{
	/* the lower half comes first */
	memcpy(arg + x->field[field].offset, &val, x->field[field].size);
}

/* Any two fields at once; the answers that are known are tested elsewhere */
static void try_extremes(struct __test_metadata *_metadata, struct state *s,
			 const struct extreme *x)
{
	char arg[64];
	unsigned int f, g, i, j;
	int ret;

	for (f = 0; x->field[f].size; f++)
		for (g = f; x->field[g].size; g++)
			for (i = 0; i < ARRAY_SIZE(extremes); i++)
				for (j = 0; j < ARRAY_SIZE(extremes); j++) {
					if (f == g && i != j)
						continue;
					memcpy(arg, x->good, x->size);
					put_extreme(arg, x, f, extremes[i]);
					put_extreme(arg, x, g, extremes[j]);
					ret = tce_ioctl(s->c, x->request, arg);
					ASSERT_GE(0, ret);
					if (!ret)
						undo(s->c, x->request, arg);
				}
}

TEST_F_TIMEOUT(abi, extremes, 120)
{
	struct state *s = &self->s;
	const struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = DMA_RW,
		.vaddr = (uintptr_t)s->buf,
		.iova = s->base,
		.size = UNIT,
	};
	const struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = s->base,
		.size = UNIT,
	};
	const struct vfio_iommu_spapr_register_memory reg = {
		.argsz = sizeof(reg),
		.vaddr = (uintptr_t)s->buf,
		.size = BUF_SIZE,
	};
	const struct vfio_iommu_spapr_tce_create create = {
		.argsz = sizeof(create),
		.page_shift = 16,
		.window_size = SZ_1G,
		.levels = 1,
	};
	const struct vfio_iommu_spapr_tce_remove rem = {
		.argsz = sizeof(rem),
		.start_addr = TCE_WINDOW1,
	};
	const struct vfio_eeh_pe_op eeh = {
		.argsz = sizeof(eeh),
		.op = VFIO_EEH_PE_ENABLE,
	};
	const struct extreme requests[] = {
		{ VFIO_IOMMU_MAP_DMA, &map, sizeof(map), {
			FIELD32(typeof(map), argsz), FIELD32(typeof(map), flags),
			FIELD64(typeof(map), vaddr), FIELD64(typeof(map), iova),
			FIELD64(typeof(map), size) } },
		{ VFIO_IOMMU_UNMAP_DMA, &unmap, sizeof(unmap), {
			FIELD32(typeof(unmap), argsz), FIELD32(typeof(unmap), flags),
			FIELD64(typeof(unmap), iova), FIELD64(typeof(unmap), size) } },
		{ VFIO_IOMMU_SPAPR_REGISTER_MEMORY, &reg, sizeof(reg), {
			FIELD32(typeof(reg), argsz), FIELD32(typeof(reg), flags),
			FIELD64(typeof(reg), vaddr), FIELD64(typeof(reg), size) } },
		{ VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, &reg, sizeof(reg), {
			FIELD32(typeof(reg), argsz), FIELD32(typeof(reg), flags),
			FIELD64(typeof(reg), vaddr), FIELD64(typeof(reg), size) } },
		{ VFIO_IOMMU_SPAPR_TCE_CREATE, &create, sizeof(create), {
			FIELD32(typeof(create), argsz), FIELD32(typeof(create), flags),
			FIELD32(typeof(create), page_shift),
			FIELD64(typeof(create), window_size),
			FIELD32(typeof(create), levels) } },
		{ VFIO_EEH_PE_OP, &eeh, sizeof(eeh), {
			FIELD32(typeof(eeh), argsz), FIELD32(typeof(eeh), flags),
			FIELD32(typeof(eeh), op) } },
		/* comes last: it finds the window that is there */
		{ VFIO_IOMMU_SPAPR_TCE_REMOVE, &rem, sizeof(rem), {
			FIELD32(typeof(rem), argsz), FIELD32(typeof(rem), flags),
			FIELD64(typeof(rem), start_addr) } },
	};
	unsigned int i;
	u64 vmlck;

	ASSERT_EQ(0, ready(s, variant->type));
	/* the window that there is on the first map */
	ASSERT_EQ(0, tce_map(s->c, s->base, s->buf, UNIT, DMA_RW));
	ASSERT_EQ(0, tce_unmap(s->c, s->base, UNIT));
	vmlck = sys_vmlck();
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		/* as a hypervisor QEMU would take memory for all of a window */
		if (!sys_powernv() &&
		    (requests[i].request == VFIO_IOMMU_SPAPR_TCE_CREATE ||
		     requests[i].request == VFIO_IOMMU_SPAPR_TCE_REMOVE))
			continue;
		try_extremes(_metadata, s, &requests[i]);
		/* v1 does not charge by the page, and has no regions */
		ready(s, variant->type);
		if (requests[i].request == VFIO_IOMMU_SPAPR_TCE_REMOVE)
			continue;
		EXPECT_EQ(vmlck, sys_vmlck()) {
			TH_LOG("request %u", i);
		}
		EXPECT_EQ(0, tce_map(s->c, s->base, s->buf, UNIT, DMA_RW));
		EXPECT_EQ(0, tce_unmap(s->c, s->base, UNIT));
	}
}

/* ---- EEH ---------------------------------------------------------------- */

TEST_F(abi, eeh)
{
	const u32 full = offsetof(struct vfio_eeh_pe_op, op) + sizeof(u32);
	struct vfio_eeh_pe_op op = { .op = VFIO_EEH_PE_ENABLE };
	unsigned int bit;

	if (tce_check_extension(self->s.c, VFIO_EEH) != 1)
		SKIP(return, "no EEH on this machine");
	for (op.argsz = 0; op.argsz < full; op.argsz++)
		EXPECT_EQ(-EINVAL, tce_ioctl(self->s.c, VFIO_EEH_PE_OP, &op));
	for (bit = 0; bit < 32; bit++) {
		op.flags = 1U << bit;
		EXPECT_EQ(-EINVAL, tce_ioctl(self->s.c, VFIO_EEH_PE_OP, &op));
	}
	EXPECT_EQ(-EFAULT, tce_ioctl(self->s.c, VFIO_EEH_PE_OP, NULL));
	EXPECT_EQ(-EINVAL, tce_eeh(self->s.c, 4711));
	EXPECT_EQ(-EINVAL, tce_eeh(self->s.c, ~0U));
	EXPECT_EQ(0, tce_eeh(self->s.c, VFIO_EEH_PE_ENABLE));
	EXPECT_EQ(VFIO_EEH_PE_STATE_NORMAL,
		  tce_eeh(self->s.c, VFIO_EEH_PE_GET_STATE));
	EXPECT_EQ(0, tce_eeh(self->s.c, VFIO_EEH_PE_DISABLE));
}

/* ---- order -------------------------------------------------------------- */

TEST_F(abi, no_group)
{
	int c = tce_container();

	ASSERT_LE(0, c);
	EXPECT_EQ(-EINVAL, tce_set_iommu(c, variant->type));
	EXPECT_EQ(-EINVAL, tce_map(c, self->s.base, self->s.buf, UNIT, DMA_RW));
	EXPECT_EQ(1, tce_check_extension(c, variant->type));
	close(c);
}

TEST_F(abi, group_leaves)
{
	ASSERT_EQ(0, ready(&self->s, variant->type));
	ASSERT_EQ(0, tce_map(self->s.c, self->s.base, self->s.buf, UNIT, DMA_RW));
	ASSERT_EQ(0, tce_group_unset(self->s.dev));
	/* the last group takes the driver with it */
	EXPECT_EQ(-EINVAL, tce_unmap(self->s.c, self->s.base, UNIT));
	EXPECT_EQ(self->s.leak.vmlck, sys_vmlck());
	EXPECT_EQ(self->s.leak.pinned, sys_pinned());
	/* and the group is free for the next container, of any type */
	ASSERT_EQ(0, tce_group_set(self->s.dev, self->s.c));
	ASSERT_EQ(0, tce_set_iommu(self->s.c, variant->type == TCE_V1 ?
				   TCE_V2 : TCE_V1));
}

TEST_F(abi, second_group)
{
	ASSERT_EQ(0, ready(&self->s, variant->type));
	if (self->s.ndevs < 2)
		SKIP(return, "no second group");
	if (!sys_powernv() && variant->type == TCE_V2)
		SKIP(return, "groups cannot share windows on this machine");
	ASSERT_EQ(0, tce_group_open(&self->s.devs[1]));
	if (variant->type == TCE_V1) {
		EXPECT_EQ(-EBUSY, tce_group_set(&self->s.devs[1], self->s.c));
	} else {
		EXPECT_EQ(0, tce_group_set(&self->s.devs[1], self->s.c));
		EXPECT_EQ(0, tce_group_unset(&self->s.devs[1]));
	}
	EXPECT_EQ(0, tce_map(self->s.c, self->s.base, self->s.buf, UNIT, DMA_RW));
	tce_group_close(&self->s.devs[1]);
}

TEST_F(abi, close_order)
{
	ASSERT_EQ(0, ready(&self->s, variant->type));
	ASSERT_EQ(0, tce_map(self->s.c, self->s.base, self->s.buf, UNIT, DMA_RW));
	ASSERT_EQ(0, tce_dev_open_vfio(self->s.dev));
	/* the container's file goes first, then the group's, then the device */
	close(self->s.c);
	self->s.c = -1;
	close(self->s.dev->group);
	self->s.dev->group = -1;
	tce_dev_close(self->s.dev);
}

/* ---- whose container it is ---------------------------------------------- */

struct stranger {
	int c;
	void *buf;
	u64 base;
	unsigned long type;
	int sock;
};

/* Answers the number of the first request that was not refused. */
static int stranger_tries(void *arg)
{
	struct stranger *s = arg;
	struct vfio_iommu_spapr_tce_info info;
	u64 start;

	if (tce_check_extension(s->c, s->type) != 1)
		return 1;
	if (tce_get_info(s->c, &info) != -EPERM)
		return 2;
	if (tce_map(s->c, s->base, s->buf, UNIT, DMA_RW) != -EPERM)
		return 3;
	if (tce_unmap(s->c, s->base, UNIT) != -EPERM)
		return 4;
	if (s->type == TCE_V1) {
		if (tce_enable(s->c) != -EPERM)
			return 5;
		if (tce_disable(s->c) != -EPERM)
			return 6;
	} else {
		if (tce_register(s->c, s->buf, BUF_SIZE) != -EPERM)
			return 7;
		if (tce_unregister(s->c, s->buf, BUF_SIZE) != -EPERM)
			return 8;
		if (tce_create(s->c, 16, SZ_1G, 1, &start) != -EPERM)
			return 9;
		if (tce_remove(s->c, 0) != -EPERM)
			return 10;
	}
	if (tce_eeh(s->c, VFIO_EEH_PE_GET_STATE) != -EPERM)
		return 11;
	/* refused even when nothing of it makes sense */
	if (tce_map(s->c, 1, NULL, 0, ~0) != -EPERM)
		return 12;
	return 0;
}

/* Requests that fail; answers the number of the first one that did not. */
static int fail_all(void *arg)
{
	struct stranger *s = arg;
	u64 start;

	if (tce_map(s->c, s->base, s->buf, UNIT, 0) != -EINVAL)
		return 1;
	if (tce_map(s->c, s->base, s->buf, UNIT, DMA_RW) != -EPERM)
		return 2;
	if (tce_unmap(s->c, s->base, 1) !=
	    (s->type == TCE_V1 ? -EPERM : -EINVAL))
		return 3;
	if (s->type == TCE_V1)
		return 0;
	if (tce_register(s->c, s->buf, 0) != -EINVAL)
		return 4;
	if (tce_unregister(s->c, s->buf, UNIT) != -ENOENT)
		return 5;
	if (tce_create(s->c, 144, SZ_1G, 1, &start) != -EINVAL)
		return 6;
	if (tce_remove(s->c, s->base) != -EINVAL)
		return 7;
	return 0;
}

/* A request that fails does not make its caller the owner, nor leave a trace. */
TEST_F(abi, who_fails_is_not_the_owner)
{
	struct stranger s = { self->s.c, self->s.buf, self->s.base, variant->type };

	ASSERT_EQ(0, run_child(fail_all, &s));
	EXPECT_EQ(self->s.leak.tables, tce_tables(NULL, 0));
	EXPECT_EQ(0, ready(&self->s, variant->type));
	EXPECT_EQ(0, tce_map(self->s.c, self->s.base, self->s.buf, UNIT, DMA_RW));
	/* now there is one */
	EXPECT_EQ(0, run_child(stranger_tries, &s));
}

TEST_F(abi, forked_child)
{
	struct stranger s = { self->s.c, self->s.buf, self->s.base, variant->type };

	ASSERT_EQ(0, ready(&self->s, variant->type));
	ASSERT_EQ(0, tce_map(self->s.c, self->s.base, self->s.buf, UNIT, DMA_RW));
	EXPECT_EQ(0, run_child(stranger_tries, &s));
	/* and the owner still can */
	EXPECT_EQ(0, tce_unmap(self->s.c, self->s.base, UNIT));
}

static int stranger_waits(void *arg)
{
	struct stranger *s = arg;

	s->c = recv_fd(s->sock);
	return s->c < 0 ? s->c : stranger_tries(s);
}

TEST_F(abi, second_process)
{
	struct stranger s = { -1, self->s.buf, self->s.base, variant->type };
	int socks[2], status;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	s.sock = socks[1];
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* the descriptor comes by message, not by birth */
		close(self->s.c);
		_exit(stranger_waits(&s) & 0xff);
	}
	EXPECT_EQ(0, ready(&self->s, variant->type));
	EXPECT_EQ(0, send_fd(socks[0], self->s.c));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
	close(socks[0]);
	close(socks[1]);
}

static int child_owns(void *arg)
{
	struct stranger *s = arg;

	if (s->type == TCE_V1)
		return tce_enable(s->c);
	return tce_register(s->c, s->buf, BUF_SIZE);
}

/* It is the first to do something who owns it, not who opened it. */
TEST_F(abi, child_sets_up)
{
	struct stranger s = { self->s.c, self->s.buf, self->s.base, variant->type };

	ASSERT_EQ(0, run_child(child_owns, &s));
	EXPECT_EQ(0, stranger_tries(&s));
}

struct racers {
	struct stranger s;
	int *go;
};

static int racer(void *arg)
{
	struct racers *r = arg;

	__atomic_sub_fetch(r->go, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(r->go, __ATOMIC_SEQ_CST) > 0)
		sched_yield();
	return child_owns(&r->s);
}

/* Two processes want it at once: one gets it. */
TEST_F(abi, owner_race)
{
	struct racers r = {
		.s = { self->s.c, self->s.buf, self->s.base, variant->type },
	};
	int i, round, status, won, lost;
	pid_t pids[2];

	r.go = mem_alloc(SZ_64K, 0, MEM_SHARED);
	ASSERT_NE(NULL, r.go);
	for (round = 0; round < 10; round++) {
		*r.go = 2;
		won = 0;
		lost = 0;
		for (i = 0; i < 2; i++) {
			pids[i] = fork();
			ASSERT_LE(0, pids[i]);
			if (!pids[i])
				_exit(-racer(&r));
		}
		for (i = 0; i < 2; i++) {
			ASSERT_EQ(pids[i], waitpid(pids[i], &status, 0));
			ASSERT_TRUE(WIFEXITED(status));
			won += WEXITSTATUS(status) == 0;
			lost += WEXITSTATUS(status) == EPERM;
		}
		EXPECT_EQ(1, won);
		EXPECT_EQ(1, lost);
		tce_close(self->s.dev, self->s.c);
		self->s.c = tce_open(self->s.dev, variant->type);
		ASSERT_LE(0, self->s.c);
		r.s.c = self->s.c;
	}
	mem_free(r.go, SZ_64K);
}

TEST_HARNESS_MAIN
