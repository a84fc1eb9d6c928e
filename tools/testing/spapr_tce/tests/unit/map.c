// SPDX-License-Identifier: GPL-2.0-only
/*
 * MAP_DMA and UNMAP_DMA.
 */
#include "unit.h"

TEST_F(world, map_every_page)
{
	unsigned long i;

	EXPECT_WORKS(req_register(self->c, UA(0), UA_HOLES * PG));
	EXPECT_WORKS(req_map(self->c, 0, UA(0), 1024 * PG, RW));
	for (i = 0; i < 1024; i++)
		EXPECT_REACHES(host_pes, i * PG + 17, UA(i) + 17);
	EXPECT_FAULTS(host_pes, 1024 * PG);
	EXPECT_WORKS(req_unmap(self->c, 0, 1024 * PG));
	for (i = 0; i < 1024; i++)
		EXPECT_FAULTS(host_pes, i * PG);
}

TEST_F(world, map_over_what_is_mapped)
{
	struct host_region region;

	EXPECT_WORKS(req_register(self->c, UA(0), 64 * PG));
	EXPECT_WORKS(req_register(self->c, UA(64), 64 * PG));
	EXPECT_WORKS(req_map(self->c, 0, UA(0), 32 * PG, RW));
	EXPECT_WORKS(req_map(self->c, 0, UA(0), 32 * PG, RW));
	EXPECT_WORKS(req_map(self->c, 8 * PG, UA(64), 8 * PG, RW));
	EXPECT_REACHES(host_pes, 7 * PG, UA(7));
	EXPECT_REACHES(host_pes, 8 * PG, UA(64));
	EXPECT_REACHES(host_pes, 15 * PG, UA(71));
	EXPECT_REACHES(host_pes, 16 * PG, UA(16));
	glue_region_at(self->mm, UA(64), &region);
	EXPECT_EQ(region.mapped, 1 + (8 * PG >> 12));
	/* Over a hole, one page and the hole again */
	EXPECT_WORKS(req_unmap(self->c, 0, 32 * PG));
	EXPECT_WORKS(req_map(self->c, 2 * PG, UA(2), PG, RW));
	EXPECT_WORKS(req_map(self->c, 0, UA(64), 8 * PG, RW));
	EXPECT_REACHES(host_pes, 2 * PG, UA(66));
	EXPECT_WORKS(req_unregister(self->c, UA(0), 64 * PG));
}

/* The last page that maps a region goes when another takes its place */
TEST_F(world, map_one_page_over_another)
{
	struct host_region region;

	EXPECT_WORKS(req_register(self->c, UA(0), 64 * PG));
	EXPECT_WORKS(req_register(self->c, UA(64), 64 * PG));
	EXPECT_WORKS(req_map(self->c, 0, UA(0), SZ_4K, RW));
	EXPECT_REACHES(host_pes, 0, UA(0));
	EXPECT_WORKS(req_map(self->c, 0, UA(64), SZ_4K, RW));
	EXPECT_REACHES(host_pes, 0, UA(64));
	EXPECT_WORKS(req_unregister(self->c, UA(0), 64 * PG));
	glue_region_at(self->mm, UA(64), &region);
	EXPECT_EQ(region.mapped, 2);
	EXPECT_WORKS(req_unmap(self->c, 0, SZ_4K));
	EXPECT_FAULTS(host_pes, 0);
	EXPECT_WORKS(req_unregister(self->c, UA(64), 64 * PG));
}

TEST_F(world, map_permissions)
{
	static const struct {
		u32 flags;
		bool read, write;
	} kinds[] = {
		{ VFIO_DMA_MAP_FLAG_READ, true, false },
		/* as the host's own tables have it */
		{ VFIO_DMA_MAP_FLAG_WRITE, true, true },
		{ RW, true, true },
	};
	unsigned int i;

	EXPECT_WORKS(req_register(self->c, UA(0), 8 * PG));
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		EXPECT_WORKS(req_map(self->c, 0, UA(0), PG, kinds[i].flags));
		EXPECT_EQ(machine_dma(host_pes, 0, false) >= 0, kinds[i].read);
		EXPECT_EQ(machine_dma(host_pes, 0, true) >= 0, kinds[i].write);
	}
	EXPECT_FAILS(-EINVAL, req_map(self->c, 0, UA(0), PG, 0));
	EXPECT_FAILS(-EINVAL, req_map(self->c, 0, UA(0), PG, RW | 4));
	EXPECT_FAILS(-EINVAL, req_map(self->c, 0, UA(0), PG, RW | 1U << 31));
}

TEST_F(world, map_what_is_no_range)
{
	EXPECT_WORKS(req_register(self->c, UA(0), 16 * PG));
	EXPECT_WORKS(req_map(self->c, 0, UA(0), PG, RW));
	EXPECT_FAILS(-EINVAL, req_map(self->c, 0, UA(0), 0, RW));
	EXPECT_FAILS(-EINVAL, req_map(self->c, 1, UA(0), PG, RW));
	EXPECT_FAILS(-EINVAL, req_map(self->c, 0, UA(0) + 1, PG, RW));
	EXPECT_FAILS(-EINVAL, req_map(self->c, 0, UA(0), PG + 1, RW));
	EXPECT_FAILS(-EINVAL, req_map(self->c, -PG, UA(0), PG, RW));
	EXPECT_FAILS(-EINVAL, req_map(self->c, 0, -PG, PG, RW));
	EXPECT_FAILS(-EINVAL, req_map(self->c, PG, UA(0), -PG, RW));
	EXPECT_FAILS(-EINVAL, req_map(self->c, SZ_1G - PG, UA(0), 2 * PG, RW));
	EXPECT_FAILS(-ENXIO, req_map(self->c, SZ_1G, UA(0), PG, RW));
	EXPECT_FAILS(-ENXIO, req_map(self->c, WINDOW1, UA(0), PG, RW));
	EXPECT_FAILS(-EINVAL, req_map(self->c, 0, UA(16), PG, RW));
	EXPECT_FAILS(-EINVAL, req_map(self->c, 0, UA(15), 2 * PG, RW));
	EXPECT_FAILS(-EINVAL, req_map(self->c, 0, UA(0) - PG, 2 * PG, RW));
	EXPECT_FAILS(-EFAULT, vfio_ioctl(self->c, VFIO_IOMMU_MAP_DMA, NULL));
	EXPECT_WORKS(req_map(self->c, SZ_1G - PG, UA(0), PG, RW));
	EXPECT_REACHES(host_pes, SZ_1G - PG, UA(0));
}

TEST_F(world, map_across_regions)
{
	unsigned long i;

	for (i = 0; i < 16; i++)
		EXPECT_WORKS(req_register(self->c, UA(4 * i), 4 * PG));
	EXPECT_WORKS(req_map(self->c, 0, UA(1), 62 * PG, RW));
	for (i = 0; i < 62; i++)
		EXPECT_REACHES(host_pes, i * PG, UA(1 + i));
	EXPECT_WORKS(req_unmap(self->c, 30 * PG, PG));
	EXPECT_FAILS(-EBUSY, req_unregister(self->c, UA(28), 4 * PG));
	EXPECT_WORKS(req_unmap(self->c, 27 * PG, 4 * PG));
	EXPECT_WORKS(req_unregister(self->c, UA(28), 4 * PG));
	EXPECT_FAILS(-EINVAL, req_map(self->c, 0, UA(1), 62 * PG, RW));
}

/* What the other container has registered does not complete a range */
TEST_F(world, map_into_regions_of_others)
{
	struct host_container *b = second(self->c);

	EXPECT_WORKS(req_register(self->c, UA(0), 8 * PG));
	EXPECT_WORKS(req_register(b, UA(8), 8 * PG));
	EXPECT_WORKS(req_map(self->c, 0, UA(7), PG, RW));
	EXPECT_WORKS(req_map(b, 0, UA(8), PG, RW));
	EXPECT_FAILS(-EINVAL, req_map(self->c, 0, UA(7), 2 * PG, RW));
	EXPECT_FAILS(-EINVAL, req_map(b, 0, UA(7), 2 * PG, RW));
	/* Nor does it fill a hole */
	EXPECT_WORKS(req_register(self->c, UA(16), 8 * PG));
	EXPECT_FAILS(-EINVAL, req_map(self->c, 0, UA(7), 10 * PG, RW));
	EXPECT_WORKS(req_register(self->c, UA(8), 8 * PG));
	EXPECT_WORKS(req_map(self->c, 0, UA(7), 10 * PG, RW));
	EXPECT_WORKS(req_map(self->c, 0, UA(7), 2 * PG, RW));
}

/* Each has a half of the folio, so neither may map the IOMMU page */
TEST_F(world, map_page_of_two_regions)
{
	u64 start;

	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), MB));
	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE) + MB, MB));
	EXPECT_WORKS(make_default(self->c));
	EXPECT_WORKS(req_create(self->c, 21, 64 * MB, 1, &start));
	EXPECT_FAILS(-EINVAL, req_map(self->c, start, UA(UA_HUGE), 2 * MB, RW));
	EXPECT_FAILS(-EINVAL, req_map(self->c, start, UA(UA_HUGE), 4 * MB, RW));
	EXPECT_WORKS(req_unregister(self->c, UA(UA_HUGE), MB));
	EXPECT_WORKS(req_unregister(self->c, UA(UA_HUGE) + MB, MB));
}

TEST_F(world, map_arguments)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map) - 1, .flags = RW, .vaddr = UA(0), .size = PG,
	};

	EXPECT_WORKS(req_register(self->c, UA(0), PG));
	EXPECT_FAILS(-EINVAL, vfio_ioctl(self->c, VFIO_IOMMU_MAP_DMA, &map));
	map.argsz++;
	EXPECT_WORKS(vfio_ioctl(self->c, VFIO_IOMMU_MAP_DMA, &map));
}

TEST_F(world, map_before_registering)
{
	EXPECT_FAILS(-EPERM, req_map(self->c, 0, UA(0), PG, RW));
	EXPECT_WORKS(req_unmap(self->c, 0, PG));
}

TEST_F(world, map_large_pages)
{
	u64 start;

	EXPECT_WORKS(req_create(self->c, 21, 1UL << 32, 1, &start));
	EXPECT_EQ(start, WINDOW1);
	EXPECT_WORKS(req_register(self->c, UA(0), UA_HOLES * PG));
	EXPECT_WORKS(req_map(self->c, start, UA(UA_HUGE), SZ_2M, RW));
	EXPECT_REACHES(host_pes, start + MB, UA(UA_HUGE) + MB);
	EXPECT_FAILS(-EINVAL, req_map(self->c, start, UA(UA_HUGE), MB, RW));
	EXPECT_FAILS(-EINVAL, req_map(self->c, start, UA(UA_HUGE) + MB, SZ_2M, RW));
	if (PAGE_SHIFT == 16) {
		EXPECT_FAILS(-EPERM, req_map(self->c, start, UA(UA_SCATTERED), SZ_2M, RW));
		EXPECT_FAILS(-EPERM, req_map(self->c, start, UA(UA_MEDIUM), SZ_2M, RW));
		EXPECT_FAILS(-EPERM, req_map(self->c, start, UA(UA_SHIFTED), SZ_2M, RW));
	}
	/* The first is large, the next is not */
	EXPECT_FAILS(-EPERM, req_map(self->c, start, UA(UA_MEDIUM) - SZ_2M,
				     2 * SZ_2M, RW));
	EXPECT_WORKS(req_map(self->c, start + SZ_2M, UA(UA_HUGE),
			     (UA_MEDIUM - UA_HUGE) * PG, RW));
	EXPECT_WORKS(req_unmap(self->c, start, 1UL << 32));
}

/* 64K pages of the IOMMU over 4K ones of the host, and the other way round */
TEST_F(world, map_other_page_sizes)
{
	u64 start;

	EXPECT_WORKS(req_create(self->c, 28 - PAGE_SHIFT, 1UL << 34, 2, &start));
	EXPECT_WORKS(req_register(self->c, UA(0), UA_HOLES * PG));
	EXPECT_WORKS(req_map(self->c, start, UA(UA_MEDIUM), K64, RW));
	EXPECT_REACHES(host_pes, start + 0x5678, UA(UA_MEDIUM) + 0x5678);
	if (PAGE_SHIFT == 12) {
		EXPECT_FAILS(-EPERM, req_map(self->c, start, UA(UA_SCATTERED), K64, RW));
		EXPECT_FAILS(-EPERM, req_map(self->c, start, UA(UA_CONTIGUOUS), K64, RW));
		EXPECT_FAILS(-EPERM, req_map(self->c, start, UA(UA_SHIFTED), K64, RW));
	} else {
		EXPECT_WORKS(req_map(self->c, start, UA(UA_SCATTERED) + 0x3000, 0x1000, RW));
		EXPECT_REACHES(host_pes, start + 8, UA(UA_SCATTERED) + 0x3008);
		EXPECT_FAULTS(host_pes, start + K64);
	}
	EXPECT_WORKS(req_unmap(self->c, start, K64));
}

TEST_F(world, unmap_what_is_no_range)
{
	EXPECT_WORKS(req_register(self->c, UA(0), 16 * PG));
	EXPECT_WORKS(req_map(self->c, 0, UA(0), 16 * PG, RW));
	EXPECT_FAILS(-EINVAL, req_unmap(self->c, 0, 0));
	EXPECT_FAILS(-EINVAL, req_unmap(self->c, 1, PG));
	EXPECT_FAILS(-EINVAL, req_unmap(self->c, 0, PG + 1));
	EXPECT_FAILS(-EINVAL, req_unmap(self->c, -PG, PG));
	EXPECT_FAILS(-EINVAL, req_unmap(self->c, PG, -PG));
	EXPECT_FAILS(-EINVAL, req_unmap(self->c, 0, SZ_1G + PG));
	EXPECT_FAILS(-ENXIO, req_unmap(self->c, SZ_1G, PG));
	EXPECT_FAILS(-EFAULT, vfio_ioctl(self->c, VFIO_IOMMU_UNMAP_DMA, NULL));
	/* Holes are no error */
	EXPECT_WORKS(req_unmap(self->c, 4 * PG, 4 * PG));
	EXPECT_WORKS(req_unmap(self->c, 2 * PG, 8 * PG));
	EXPECT_REACHES(host_pes, PG, UA(1));
	EXPECT_FAULTS(host_pes, 2 * PG);
	EXPECT_FAULTS(host_pes, 9 * PG);
	EXPECT_REACHES(host_pes, 10 * PG, UA(10));
	EXPECT_WORKS(req_unmap(self->c, 0, SZ_1G));
	EXPECT_FAULTS(host_pes, 10 * PG);
}

TEST_F(world, unmap_flags)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .flags = 1, .size = PG,
	};

	EXPECT_FAILS(-EINVAL, vfio_ioctl(self->c, VFIO_IOMMU_UNMAP_DMA, &unmap));
	unmap.flags = 0;
	unmap.argsz--;
	unmap.argsz -= 8;
	EXPECT_FAILS(-EINVAL, vfio_ioctl(self->c, VFIO_IOMMU_UNMAP_DMA, &unmap));
}

/* A map that a limit stops leaves everything as it was */
TEST_F(world, map_beyond_the_limit)
{
	unsigned long levels;
	u64 start;

	EXPECT_WORKS(req_remove(self->c, 0));
	EXPECT_WORKS(req_create(self->c, 16, 1UL << 40, 1, &start));
	EXPECT_WORKS(req_register(self->c, UA(UA_MEDIUM), 128 * PG));
	EXPECT_WORKS(req_map(self->c, 0, UA(UA_MEDIUM + 16), K64, RW));
	levels = host_usage.level_bytes;
	self->mm->limit = self->mm->locked_vm;
	/* Levels below a page may still fit in what has been paid for */
	while (!req_map(self->c, (1UL << 30) * (levels++ & 0xff), UA(UA_MEDIUM), K64, RW))
		world_check();
	levels = host_usage.level_bytes;
	EXPECT_FAILS(-ENOMEM, req_map(self->c, (1UL << 39) + (1UL << 38),
				      UA(UA_MEDIUM), K64, RW));
	EXPECT_EQ(host_usage.level_bytes, levels);
	self->mm->limit += 100;
	EXPECT_WORKS(req_map(self->c, (1UL << 39) + (1UL << 38), UA(UA_MEDIUM), K64, RW));
	EXPECT_REACHES(host_pes, (1UL << 39) + (1UL << 38), UA(UA_MEDIUM));
}

/* One page each, far apart, in a window with few leaves */
static const unsigned long sparse[] = {
	0, 5, 511, 512, 600, BIT(20), BIT(20) + 7, BIT(20) + 300, BIT(30), BIT(31) - 1,
};

static void map_sparse(struct __test_metadata *_metadata,
		       struct _test_data_world *self, u64 start)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sparse); i++)
		EXPECT_WORKS(req_map(self->c, start + sparse[i] * K64,
				     UA(UA_HUGE) + i * K64, K64, RW));
}

/* Nothing of @first to before @end is mapped, and all the rest */
static void check_sparse(struct __test_metadata *_metadata,
			 struct _test_data_world *self, u64 start,
			 unsigned long first, unsigned long end)
{
	unsigned int i;
	u64 iova;

	for (i = 0; i < ARRAY_SIZE(sparse); i++) {
		iova = start + sparse[i] * K64;
		if (sparse[i] >= first && sparse[i] < end) {
			EXPECT_FAULTS(host_pes, iova);
			continue;
		}
		EXPECT_REACHES(host_pes, iova, UA(UA_HUGE) + i * K64);
	}
}

TEST_F(world, unmap_sparse)
{
	static const unsigned long ranges[][2] = {
		{ 0, BIT(31) }, { 1, BIT(20) + 1 }, { 6, BIT(20) + 300 },
		{ 511, BIT(20) }, { 512, BIT(20) + 301 }, { 513, BIT(30) + 1 },
		{ BIT(20) + 1, BIT(31) }, { BIT(20) + 8, BIT(31) - 1 },
		{ BIT(29), BIT(31) },
	};
	unsigned long kills, first, end;
	unsigned int i;
	u64 start;

	EXPECT_WORKS(req_create(self->c, 16, BIT(47), 1, &start));
	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE),
				  ARRAY_SIZE(sparse) * K64));
	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		first = ranges[i][0];
		end = ranges[i][1];
		map_sparse(_metadata, self, start);
		kills = host_pes[0].kills;
		EXPECT_WORKS(req_unmap(self->c, start + first * K64,
				       (end - first) * K64));
		EXPECT_EQ(host_pes[0].kills, kills + 1);
		check_sparse(_metadata, self, start, first, end);
		/* Every other time, so that leaves may know what they had */
		if (i & 1)
			continue;
		/* There is nothing to be forgotten any more */
		EXPECT_WORKS(req_unmap(self->c, start + first * K64,
				       (end - first) * K64));
		EXPECT_EQ(host_pes[0].kills, kills + 1);
	}
	map_sparse(_metadata, self, start);
	EXPECT_WORKS(req_remove(self->c, start));
}
