// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registered memory as KVM sees it, and what outlives a container.
 */
#include "unit.h"

TEST_F(world, region_lookup)
{
	struct mm_iommu_table_group_mem_t *mem;
	struct host_region region;

	EXPECT_EQ(host_lookup(self->mm, UA(0), PG), NULL);
	EXPECT_WORKS(req_register(self->c, UA(8), 8 * PG));
	mem = host_lookup(self->mm, UA(8), PG);
	ASSERT_NE(mem, NULL);
	EXPECT_EQ(host_lookup(self->mm, UA(8), 8 * PG), mem);
	EXPECT_EQ(host_lookup(self->mm, UA(8) + 1, 8 * PG - 1), mem);
	EXPECT_EQ(host_lookup(self->mm, UA(8) + 1, 8 * PG), NULL);
	EXPECT_EQ(host_lookup(self->mm, UA(15), PG), mem);
	EXPECT_EQ(host_lookup(self->mm, UA(15), PG + 1), NULL);
	EXPECT_EQ(host_lookup(self->mm, UA(7), PG), NULL);
	EXPECT_EQ(host_lookup(self->mm, UA(16), PG), NULL);
	EXPECT_EQ(host_lookup(self->other, UA(8), PG), NULL);

	EXPECT_TRUE(mm_iommu_ref(mem, 3, false));
	EXPECT_EQ(req_unregister(self->c, UA(8), 8 * PG), -EBUSY);
	glue_region_at(self->mm, UA(8), &region);
	EXPECT_EQ(region.mapped, 4);
	EXPECT_FALSE(mm_iommu_try_unref(mem, 4));
	EXPECT_TRUE(mm_iommu_try_unref(mem, 3));
	EXPECT_WORKS(req_unregister(self->c, UA(8), 8 * PG));
}

/* Counted by somebody else when its container goes: it goes with the count */
TEST_F(world, region_outlives_its_container)
{
	struct host_container *b = second(self->c);
	struct mm_iommu_table_group_mem_t *mem;
	struct host_region region;
	unsigned long tce = 0;

	EXPECT_WORKS(req_register(self->c, UA(8), 8 * PG));
	mem = host_lookup(self->mm, UA(8), PG);
	EXPECT_TRUE(mm_iommu_ref(mem, 2, true));
	vfio_close(self->c);
	host_settle();
	EXPECT_EQ(self->mm->locked_vm, 8);
	EXPECT_EQ(host_usage.pins, 8);
	EXPECT_EQ(req_register(b, UA(8), 8 * PG), -EBUSY);
	EXPECT_EQ(req_register(b, UA(8), PG), -EINVAL);
	EXPECT_EQ(req_unregister(b, UA(8), 8 * PG), -ENOENT);
	EXPECT_FALSE(mm_iommu_try_unref(mem, 2));
	EXPECT_TRUE(mm_iommu_try_unref(mem, 1));
	EXPECT_FALSE(mm_iommu_try_unref(mem, 1));
	host_settle();
	EXPECT_TRUE(glue_region_at(self->mm, UA(8), &region));
	/* The last count cannot be raised again */
	rcu_read_lock();
	EXPECT_TRUE(mm_iommu_is_pinned(mem));
	host_unref_range(self->mm, NULL, UA(8), 1, PAGE_SHIFT);
	EXPECT_FALSE(mm_iommu_is_pinned(mem));
	EXPECT_FALSE(mm_iommu_ref(mem, 1, true));
	EXPECT_EQ(host_ref_range(self->mm, NULL, UA(8), 1, PAGE_SHIFT, true), -EINVAL);
	EXPECT_EQ(host_ref_page(self->mm, NULL, UA(8), PAGE_SHIFT, TCE_PCI_WRITE, &tce), -EINVAL);
	EXPECT_EQ(tce, 0);
	rcu_read_unlock();
	host_settle();
	EXPECT_FALSE(glue_region_at(self->mm, UA(8), &region));
	EXPECT_EQ(self->mm->locked_vm, 0);
	EXPECT_WORKS(req_register(b, UA(8), 8 * PG));
}

/* Who found a region before it went may still look at it, and no more */
TEST_F(world, region_goes_under_a_reader)
{
	struct mm_iommu_table_group_mem_t *mem;
	unsigned long hpa;

	EXPECT_WORKS(req_register(self->c, UA(8), 8 * PG));
	rcu_read_lock();
	mem = host_lookup(self->mm, UA(8), PG);
	EXPECT_EQ(req_unregister(self->c, UA(8), 8 * PG), 0);
	EXPECT_EQ(mm_iommu_ua_to_hpa(mem, UA(8), PAGE_SHIFT, &hpa), 0);
	EXPECT_FALSE(mm_iommu_ref(mem, 1, true));
	EXPECT_FALSE(mm_iommu_is_pinned(mem));
	EXPECT_EQ(host_lookup(self->mm, UA(8), PG), NULL);
	rcu_read_unlock();
	world_check();
}

/* What real mode maps may be written if it says so */
TEST_F(world, region_counted_is_dirty)
{
	struct mm_iommu_table_group_mem_t *mem;
	int write;

	for (write = 0; write < 2; write++) {
		EXPECT_WORKS(req_register(self->c, UA(8), 8 * PG));
		mem = host_lookup(self->mm, UA(8), PG);
		EXPECT_TRUE(mm_iommu_ref(mem, 1, write));
		host_unref_range(self->mm, NULL, UA(8), 1, PAGE_SHIFT);
		EXPECT_WORKS(req_unregister(self->c, UA(8), 8 * PG));
		EXPECT_EQ(self->mm->pte[8].page->dirty, write);
	}
}

/* What has lost its last count is in nobody's way, though not yet freed */
TEST_F(world, region_abandoned)
{
	struct mm_iommu_table_group_mem_t *a, *b;
	struct host_container *other = second(self->c);

	EXPECT_WORKS(req_register(self->c, UA(8), 8 * PG));
	EXPECT_WORKS(req_register(self->c, UA(16), 8 * PG));
	a = host_lookup(self->mm, UA(8), PG);
	b = host_lookup(self->mm, UA(16), PG);
	EXPECT_TRUE(mm_iommu_ref(a, 1, true));
	EXPECT_TRUE(mm_iommu_ref(b, 1, true));
	vfio_close(self->c);
	host_unref_range(self->mm, NULL, UA(8), 1, PAGE_SHIFT);
	EXPECT_EQ(req_register(other, UA(4), 16 * PG), -EINVAL);
	EXPECT_EQ(req_register(other, UA(8), 8 * PG), 0);
	EXPECT_EQ(req_register(other, UA(16), 8 * PG), -EBUSY);
	EXPECT_EQ(req_unregister(other, UA(8), 8 * PG), 0);
	host_unref_range(self->mm, NULL, UA(16), 1, PAGE_SHIFT);
	EXPECT_EQ(req_register(other, UA(4), 16 * PG), 0);
	EXPECT_EQ(self->mm->locked_vm, 16);
	EXPECT_EQ(host_usage.pins, 16);
	world_check();
	EXPECT_EQ(self->mm->locked_vm, 16);
}

TEST_F(world, range_over_regions)
{
	struct host_region region;
	__be64 tces[24];
	int i;

	EXPECT_WORKS(req_register(self->c, UA(0), 8 * PG));
	EXPECT_WORKS(req_register(self->c, UA(8), 8 * PG));
	EXPECT_EQ(host_ref_range(self->mm, NULL, UA(4), 13, PAGE_SHIFT, true), -EINVAL);
	world_check();
	EXPECT_EQ(host_ref_range(self->mm, NULL, UA(4), 12, PAGE_SHIFT, true), 0);
	glue_region_at(self->mm, UA(0), &region);
	EXPECT_EQ(region.mapped, 5);
	glue_region_at(self->mm, UA(8), &region);
	EXPECT_EQ(region.mapped, 9);
	host_translate_range(self->mm, NULL, UA(4), 12, PAGE_SHIFT, 3, tces);
	for (i = 0; i < 12; i++)
		EXPECT_EQ(tce_load(tces + i), hpa_of(self->mm, UA(4 + i)) + 3);
	host_unref_range(self->mm, NULL, UA(4), 12, PAGE_SHIFT);
	world_check();
}

TEST_F(world, region_bad_ranges)
{
	struct mm_iommu_table_group_mem_t *mem;

	EXPECT_EQ(mm_iommu_new(self->mm, UA(0), 0, &mem), -EINVAL);
	EXPECT_EQ(mm_iommu_new(self->mm, UA(0) + 1, 1, &mem), -EINVAL);
	EXPECT_EQ(mm_iommu_new(self->mm, UA(0), ~0UL, &mem), -EINVAL);
	EXPECT_EQ(mm_iommu_new(self->mm, -PG, 2, &mem), -EINVAL);
	EXPECT_EQ(host_ref_range(self->mm, NULL, UA(0), 1, PAGE_SHIFT, true), -EINVAL);
	world_check();
}

static struct mm_struct *raced_mm;

/* Registers its own memory first, and with it makes the list of regions */
static void register_first(void)
{
	struct mm_iommu_table_group_mem_t *mem;

	host_preempt = NULL;
	mm_iommu_new(raced_mm, UA(100), 1, &mem);
}

TEST_F(world, region_first_two)
{
	struct mm_iommu_table_group_mem_t *mem;

	raced_mm = self->mm;
	host_preempt = register_first;
	EXPECT_EQ(mm_iommu_new(self->mm, UA(0), 4, &mem), 0);
	EXPECT_EQ(self->mm->locked_vm, 5);
	EXPECT_EQ(mm_iommu_unregister(self->mm, mem, false), 0);
	mem = host_lookup(self->mm, UA(100), PG);
	ASSERT_NE(mem, NULL);
	EXPECT_EQ(mm_iommu_unregister(self->mm, mem, false), 0);
}
