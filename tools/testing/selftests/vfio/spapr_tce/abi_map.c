// SPDX-License-Identifier: GPL-2.0
/*
 * MAP_DMA, UNMAP_DMA, ENABLE and DISABLE: what they answer to every kind of bad
 * argument and when they come too early.
 */
#include "abi.h"

/* What holds for both types */
FIXTURE_STATE_V1_V2(abi)

FIXTURE_STATE(v1, setup, TCE_V1)

FIXTURE_STATE(v2, setup, TCE_V2)

FIXTURE_STATE(ddw, setup_ddw)

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
	if (self->s.leak.tables >= 0)
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

TEST_HARNESS_MAIN
