// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registering memory: what is one region and what is not, what is pinned and
 * charged, and by which granules it is translated.
 */
#include "unit.h"

TEST_F(world, register_and_unregister)
{
	EXPECT_WORKS(req_register(self->c, UA(0), 100 * PG));
	EXPECT_EQ(self->mm->locked_vm, 100);
	EXPECT_EQ(host_usage.pins, 100);
	EXPECT_FAILS(-EBUSY, req_register(self->c, UA(0), 100 * PG));
	EXPECT_FAILS(-ENOENT, req_unregister(self->c, UA(0), 99 * PG));
	EXPECT_FAILS(-ENOENT, req_unregister(self->c, UA(1), 99 * PG));
	EXPECT_WORKS(req_unregister(self->c, UA(0), 100 * PG));
	EXPECT_FAILS(-ENOENT, req_unregister(self->c, UA(0), 100 * PG));
	EXPECT_EQ(self->mm->locked_vm, 0);
	EXPECT_EQ(host_usage.pins, 0);
}

TEST_F(world, register_what_overlaps)
{
	EXPECT_WORKS(req_register(self->c, UA(10), 10 * PG));
	EXPECT_FAILS(-EINVAL, req_register(self->c, UA(10), 9 * PG));
	EXPECT_FAILS(-EINVAL, req_register(self->c, UA(10), 11 * PG));
	EXPECT_FAILS(-EINVAL, req_register(self->c, UA(5), 6 * PG));
	EXPECT_FAILS(-EINVAL, req_register(self->c, UA(19), 10 * PG));
	EXPECT_FAILS(-EINVAL, req_register(self->c, UA(0), 100 * PG));
	EXPECT_FAILS(-EINVAL, req_register(self->c, UA(12), 2 * PG));
	EXPECT_WORKS(req_register(self->c, UA(5), 5 * PG));
	EXPECT_WORKS(req_register(self->c, UA(20), PG));
}

TEST_F(world, register_what_is_no_range)
{
	EXPECT_FAILS(-EINVAL, req_register(self->c, UA(0), 0));
	EXPECT_FAILS(-EINVAL, req_register(self->c, UA(0) + 1, PG));
	EXPECT_FAILS(-EINVAL, req_register(self->c, UA(0), PG + 1));
	EXPECT_FAILS(-EINVAL, req_register(self->c, -PG, PG));
	EXPECT_FAILS(-EINVAL, req_register(self->c, PG, -PG));
	EXPECT_FAILS(-EINVAL, req_unregister(self->c, UA(0), 0));
	EXPECT_FAILS(-EINVAL, req_unregister(self->c, UA(0) + 8, PG));
	EXPECT_FAILS(-EFAULT, vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_REGISTER_MEMORY, NULL));
	EXPECT_FAILS(-EFAULT, vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, NULL));
}

TEST_F(world, register_arguments)
{
	static const unsigned int cmds[] = {
		VFIO_IOMMU_SPAPR_REGISTER_MEMORY, VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY,
	};
	struct vfio_iommu_spapr_register_memory reg = {
		.argsz = sizeof(reg), .vaddr = UA(0), .size = PG,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		reg.argsz--;
		EXPECT_FAILS(-EINVAL, vfio_ioctl(self->c, cmds[i], &reg));
		reg.argsz++;
		reg.flags = 1;
		EXPECT_FAILS(-EINVAL, vfio_ioctl(self->c, cmds[i], &reg));
		reg.flags = 0;
		EXPECT_WORKS(vfio_ioctl(self->c, cmds[i], &reg));
	}
}

TEST_F(world, register_what_cannot_be_pinned)
{
	EXPECT_FAILS(-EFAULT, req_register(self->c, UA(UA_HOLES), 16 * PG));
	EXPECT_FAILS(-EFAULT, req_register(self->c, UA(UA_HOLES + 15), PG));
	EXPECT_FAILS(-EFAULT, req_register(self->c, UA(UA_HOLES + 4), 4 * PG));
	EXPECT_WORKS(req_register(self->c, UA(UA_HOLES), 7 * PG));
	EXPECT_FAILS(-EFAULT, req_register(self->c, UA(HOST_UA_PAGES - 1), 2 * PG));
}

TEST_F(world, register_more_than_all_ram)
{
	unsigned long size = (totalram_pages() + 1) * PG;

	EXPECT_FAILS(-ENOMEM, req_register(self->c, UA(0), size));
	/* Of a device there may be more; here it has holes */
	host_dax = true;
	EXPECT_FAILS(-EFAULT, req_register(self->c, UA(0), size));
	host_dax = false;
}

TEST_F(world, register_too_much)
{
	self->mm->limit = 20;
	EXPECT_FAILS(-ENOMEM, req_register(self->c, UA(0), 21 * PG));
	EXPECT_WORKS(req_register(self->c, UA(0), 20 * PG));
	EXPECT_FAILS(-ENOMEM, req_register(self->c, UA(20), PG));
	self->mm->limit = 1UL << 40;
	EXPECT_FAILS(-ENOMEM, req_register(self->c, 1UL << 50, (HOST_PAGES + 1) * PG));
}

TEST_F(world, register_while_being_killed)
{
	current->killed = true;
	EXPECT_FAILS(-EINTR, req_register(self->c, UA(UA_HOLES), 16 * PG));
	/* ... though all of it is there */
	EXPECT_FAILS(-EINTR, req_register(self->c, UA(0), 16 * PG));
	current->killed = false;
	EXPECT_WORKS(req_register(self->c, UA(0), 16 * PG));
}

static unsigned long kill_at;

static void kill_in_a_moment(void)
{
	if (!--kill_at)
		current->killed = true;
}

/* Wherever the signal comes, it is either too late, or all is given back */
TEST_F(world, register_killed_anywhere)
{
	unsigned long i, nr = 512 + UA_MEDIUM - UA_HUGE, interrupted = 0;
	long ret = -EINTR;

	for (i = 1; ret; i++) {
		self->digest = world_digest(self->mm);
		kill_at = i;
		host_preempt = kill_in_a_moment;
		ret = req_register(self->c, UA(UA_HUGE), nr * PG);
		host_preempt = NULL;
		if (current->killed && ret) {
			EXPECT_EQ(ret, -EINTR);
			EXPECT_EQ(world_digest(self->mm), self->digest);
			interrupted++;
		} else {
			EXPECT_EQ(ret, 0);
			/* It came when all was pinned, or there are no more places */
			if (current->killed) {
				EXPECT_WORKS(req_unregister(self->c, UA(UA_HUGE), nr * PG));
				ret = -EINTR;
			}
		}
		world_check();
		if (!current->killed)
			break;
		current->killed = false;
	}
	EXPECT_GE(interrupted, 3);
}

TEST_F(world, register_in_two_containers)
{
	struct host_container *b = second(self->c);

	EXPECT_WORKS(req_register(self->c, UA(0), 16 * PG));
	EXPECT_WORKS(req_register(b, UA(0), 16 * PG));
	EXPECT_EQ(self->mm->locked_vm, 16);
	EXPECT_FAILS(-EINVAL, req_register(b, UA(4), 16 * PG));
	EXPECT_WORKS(req_map(b, 0, UA(0), 16 * PG, RW));
	/* Mapped by the other container only */
	EXPECT_WORKS(req_unregister(self->c, UA(0), 16 * PG));
	EXPECT_FAILS(-EBUSY, req_unregister(b, UA(0), 16 * PG));
	EXPECT_WORKS(req_register(self->c, UA(0), 16 * PG));
	EXPECT_FAILS(-EBUSY, req_unregister(b, UA(0), 16 * PG));
	EXPECT_WORKS(req_unmap(b, 0, 16 * PG));
	EXPECT_WORKS(req_unregister(b, UA(0), 16 * PG));
	/* What the other one has registered is not mine to map */
	EXPECT_FAILS(-EINVAL, req_map(b, 0, UA(0), PG, RW));
	EXPECT_WORKS(req_unregister(self->c, UA(0), 16 * PG));
}

TEST_F(world, unregister_beside_what_is_mapped)
{
	struct host_container *b = second(self->c);
	int i;

	for (i = 0; i < 3; i++) {
		EXPECT_WORKS(req_register(self->c, UA(8 * i), 8 * PG));
		EXPECT_WORKS(req_register(b, UA(8 * i), 8 * PG));
	}
	EXPECT_WORKS(req_map(self->c, 0, UA(8), 8 * PG, RW));
	EXPECT_FAILS(-EBUSY, req_unregister(self->c, UA(8), 8 * PG));
	EXPECT_WORKS(req_unregister(self->c, UA(0), 8 * PG));
	EXPECT_WORKS(req_unregister(self->c, UA(16), 8 * PG));
}

TEST_F(world, unregister_what_is_mapped)
{
	EXPECT_WORKS(req_register(self->c, UA(0), 16 * PG));
	EXPECT_WORKS(req_map(self->c, 0, UA(3), PG, RW));
	EXPECT_FAILS(-EBUSY, req_unregister(self->c, UA(0), 16 * PG));
	EXPECT_REACHES(host_pes, 0, UA(3));
	EXPECT_WORKS(req_map(self->c, PG, UA(4), PG, RW));
	EXPECT_WORKS(req_unmap(self->c, 0, PG));
	EXPECT_FAILS(-EBUSY, req_unregister(self->c, UA(0), 16 * PG));
	EXPECT_WORKS(req_unmap(self->c, PG, PG));
	EXPECT_WORKS(req_unregister(self->c, UA(0), 16 * PG));
	EXPECT_FAULTS(host_pes, PG);
}

static struct host_container *intruder;
static int locks_before;

/* Registers the same in another container, just before the n-th lock is taken */
static void intrude(void)
{
	if (locks_before--)
		return;
	host_preempt = NULL;
	req_register(intruder, UA(0), 16 * PG);
}

TEST_F(world, unregister_what_becomes_shared)
{
	int n;

	intruder = second(self->c);
	EXPECT_WORKS(req_register(self->c, UA(0), 16 * PG));
	EXPECT_WORKS(req_map(self->c, 0, UA(3), PG, RW));
	/* Its owner is known, so that nothing but the registration intrudes */
	EXPECT_WORKS(req_unmap(intruder, 0, PG));
	for (n = 0; !host_preempt; n++) {
		locks_before = n;
		host_preempt = intrude;
		EXPECT_EQ(req_unregister(self->c, UA(0), 16 * PG), -EBUSY);
		if (!host_preempt)
			EXPECT_WORKS(req_unregister(intruder, UA(0), 16 * PG));
	}
	host_preempt = NULL;
	EXPECT_GT(n, 2);
}

/* Units: as large as the memory behind allows */
TEST_F(world, register_all_kinds)
{
	static const struct {
		unsigned long page, nr;
		unsigned int shift;
	} kinds[] = {
		{ UA_SCATTERED, 256, PAGE_SHIFT },
		{ UA_CONTIGUOUS, 256, PAGE_SHIFT },
		{ UA_HUGE, UA_MEDIUM - UA_HUGE, 21 },
		{ UA_MEDIUM, 512, PAGE_SHIFT + 4 },
		{ UA_SHIFTED, 255, PAGE_SHIFT },
		{ UA_ALIAS, 128, PAGE_SHIFT },
	};
	struct host_region region;
	unsigned long i, k, ua, hpa;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		ASSERT_EQ(req_register(self->c, UA(kinds[i].page),
				       kinds[i].nr * PG), 0);
		ASSERT_TRUE(glue_region_at(self->mm, UA(kinds[i].page), &region));
		EXPECT_EQ(region.granule_shift, kinds[i].shift);
		for (k = 0; k < kinds[i].nr; k++) {
			ua = UA(kinds[i].page + k) + 8;
			EXPECT_EQ(mm_iommu_ua_to_hpa(region.mem, ua, PAGE_SHIFT, &hpa), 0);
			EXPECT_EQ(hpa, hpa_of(self->mm, ua));
		}
		world_check();
	}
	/* One that goes from kind to kind takes the least */
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		ASSERT_EQ(req_unregister(self->c, UA(kinds[i].page),
					 kinds[i].nr * PG), 0);
	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE + HOST_2M_PAGES),
				  1000 * PG - HOST_2M_PAGES * PG));
	for (k = 0; k < 1000 - HOST_2M_PAGES; k++) {
		ua = UA(UA_HUGE + HOST_2M_PAGES + k);
		ASSERT_TRUE(glue_region_at(self->mm, ua, &region));
		EXPECT_EQ(mm_iommu_ua_to_hpa(region.mem, ua, PAGE_SHIFT, &hpa), 0);
		EXPECT_EQ(hpa, hpa_of(self->mm, ua));
	}
}

/*
 * One small page in a large region: what is known of the rest stays as short as it
 * was, and no array grows with the region (an array over 2 GiB cannot be had, that
 * of a region of 1 TiB with pages of 4K, one outside of the linear mapping cannot be
 * read in real mode). Pieces are 2 MiB here, and blocks 16 units.
 */
TEST_F(world, register_one_small_page)
{
	unsigned long hpa, k, ua, nr = UA_SHIFTED - UA_HUGE, small = UA_MEDIUM + 5;
	/* Of many units each, where one of the piece is a small page */
	const unsigned int shift = PAGE_SHIFT == 16 ? 21 : 16;
	const unsigned long many = PAGE_SHIFT == 16 ? UA_HUGE : UA_MEDIUM + 16;
	struct host_region region;
	long objects;
	u64 start;

	mm_remap(self->mm, small, 1);
	host_usage.largest = 0;
	objects = host_usage.slab;
	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), nr * PG));
	EXPECT_GT(host_usage.largest, 0);
	EXPECT_LE(host_usage.largest, 1024);
	/*
	 * An array for each piece of 2M, blocks of 16 units for the one with a
	 * small page, and some that do not depend on the size
	 */
	EXPECT_LE(host_usage.slab - objects,
		  (nr * PG >> 21) + HOST_2M_PAGES / 16 + 8);
	ASSERT_TRUE(glue_region_at(self->mm, UA(UA_HUGE), &region));
	EXPECT_EQ(region.granule_shift, PAGE_SHIFT);
	for (k = UA_HUGE; k < UA_SHIFTED; k++) {
		ua = UA(k) + 8;
		EXPECT_EQ(mm_iommu_ua_to_hpa(region.mem, ua, PAGE_SHIFT, &hpa), 0);
		EXPECT_EQ(hpa, hpa_of(self->mm, ua));
	}
	/* Large IOMMU pages are still backed where they were */
	for (k = UA_HUGE; k < UA_MEDIUM; k += HOST_2M_PAGES)
		EXPECT_EQ(mm_iommu_ua_to_hpa(region.mem, UA(k), 21, &hpa), 0);
	for (k = UA_MEDIUM; k < UA_SHIFTED; k += 16)
		EXPECT_EQ(mm_iommu_ua_to_hpa(region.mem, UA(k), PAGE_SHIFT + 4, &hpa),
			  k == UA_MEDIUM ? -EFAULT : 0);
	EXPECT_EQ(mm_iommu_ua_to_hpa(region.mem, UA(UA_MEDIUM), 21, &hpa), -EFAULT);
	/* Also when it is mapped as a whole */
	EXPECT_WORKS(req_map(self->c, 0, UA(UA_HUGE + 1), (nr - 2) * PG, RW));
	for (k = 1; k < nr - 1; k++)
		EXPECT_REACHES(host_pes, (k - 1) * PG, UA(UA_HUGE + k));

	/* ... and several IOMMU pages, each of many units */
	EXPECT_WORKS(req_create(self->c, shift, 16UL << shift, 1, &start));
	EXPECT_WORKS(req_map(self->c, start, UA(many), 4UL << shift, RW));
	for (k = 0; k < 4; k++)
		EXPECT_REACHES(host_pes, start + (k << shift),
			       UA(many) + (k << shift));
}

/* A region begins and ends somewhere in a piece, and in a block */
TEST_F(world, register_pieces)
{
	unsigned long first, nr, k, hpa;
	struct host_region region;

	for (first = 0; first < 64; first += 7) {
		for (nr = 1; nr < 600; nr = nr * 2 + 1) {
			/* Scattered or not, and larger ones behind */
			EXPECT_WORKS(req_register(self->c, UA(first), nr * PG));
			ASSERT_TRUE(glue_region_at(self->mm, UA(first), &region));
			for (k = first; k < first + nr; k++) {
				EXPECT_EQ(mm_iommu_ua_to_hpa(region.mem, UA(k), PAGE_SHIFT,
							     &hpa), 0);
				EXPECT_EQ(hpa, hpa_of(self->mm, UA(k)));
			}
			EXPECT_WORKS(req_map(self->c, 0, UA(first), nr * PG, RW));
			for (k = 0; k < nr; k++)
				EXPECT_REACHES(host_pes, k * PG, UA(first + k));
			EXPECT_WORKS(req_unmap(self->c, 0, nr * PG));
			EXPECT_WORKS(req_unregister(self->c, UA(first), nr * PG));
		}
	}
}

/* A region may begin and end inside folios */
TEST_F(world, register_part_of_a_folio)
{
	struct host_region region;
	unsigned long hpa, k, nr = UA_MEDIUM - UA_HUGE - 7;

	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE + 3), nr * PG));
	ASSERT_TRUE(glue_region_at(self->mm, UA(UA_HUGE + 3), &region));
	EXPECT_EQ(region.granule_shift, 21);
	for (k = 3; k < nr + 3; k++) {
		EXPECT_EQ(mm_iommu_ua_to_hpa(region.mem, UA(UA_HUGE + k), PAGE_SHIFT,
					     &hpa), 0);
		EXPECT_EQ(hpa, hpa_of(self->mm, UA(UA_HUGE + k)));
	}
	EXPECT_EQ(mm_iommu_ua_to_hpa(region.mem, UA(UA_HUGE + 2), PAGE_SHIFT,
				     &hpa), -EFAULT);
	EXPECT_EQ(mm_iommu_ua_to_hpa(region.mem, UA(UA_HUGE + 3 + nr), PAGE_SHIFT,
				     &hpa), -EFAULT);
	/* The 2M page is whole, but the region has only a part of it */
	EXPECT_EQ(mm_iommu_ua_to_hpa(region.mem, UA(UA_HUGE + 3), 21, &hpa), -EFAULT);
}

/* ... and go on behind the folio, in pages that are elsewhere */
TEST_F(world, register_from_within_a_folio)
{
	struct host_region region;
	unsigned long hpa, k;

	EXPECT_WORKS(req_register(self->c, UA(UA_SHIFTED - 8), 24 * PG));
	ASSERT_TRUE(glue_region_at(self->mm, UA(UA_SHIFTED), &region));
	for (k = UA_SHIFTED - 8; k < UA_SHIFTED + 16; k++) {
		EXPECT_EQ(mm_iommu_ua_to_hpa(region.mem, UA(k), PAGE_SHIFT, &hpa), 0);
		EXPECT_EQ(hpa, hpa_of(self->mm, UA(k)));
	}
}

static void swap_pages(struct mm_struct *mm, unsigned long a, unsigned long b)
{
	struct page *page = mm->pte[a].page;

	mm->pte[a].page = mm->pte[b].page;
	mm->pte[b].page = page;
}

/* The pages of a folio need not follow each other */
TEST_F(world, register_shuffled_folio)
{
	struct host_region region;
	unsigned long hpa, k;
	u64 start;

	EXPECT_WORKS(req_create(self->c, 16, 1UL << 32, 1, &start));
	swap_pages(self->mm, UA_MEDIUM + 5, UA_MEDIUM + 7);
	EXPECT_WORKS(req_register(self->c, UA(UA_MEDIUM), 64 * PG));
	ASSERT_TRUE(glue_region_at(self->mm, UA(UA_MEDIUM), &region));
	EXPECT_EQ(region.granule_shift, PAGE_SHIFT);
	for (k = 0; k < 64; k++) {
		EXPECT_EQ(mm_iommu_ua_to_hpa(region.mem, UA(UA_MEDIUM + k), PAGE_SHIFT,
					     &hpa), 0);
		EXPECT_EQ(hpa, hpa_of(self->mm, UA(UA_MEDIUM + k)));
	}
	if (PAGE_SHIFT == 12)
		EXPECT_FAILS(-EPERM, req_map(self->c, start, UA(UA_MEDIUM), K64, RW));
	EXPECT_WORKS(req_map(self->c, start, UA(UA_MEDIUM + 16), K64, RW));
}

/* Pages come in parts, and what is next to a break begins a unit */
TEST_F(world, register_in_parts)
{
	unsigned long hpa, k, n, parts = 0;
	struct host_region region;

	for (k = UA_MEDIUM + 8; k < UA_MEDIUM + 16; k++)
		swap_pages(self->mm, k, k + 16);
	for (n = 1; n < 40; n++) {
		/* A page that is not there in time ends a part */
		fail_arm(n);
		if (req_register(self->c, UA(UA_MEDIUM), 20 * PG))
			continue;
		parts += fail_fired();
		fail_arm(0);
		ASSERT_TRUE(glue_region_at(self->mm, UA(UA_MEDIUM), &region));
		EXPECT_EQ(region.granule_shift, PAGE_SHIFT + 3);
		for (k = 0; k < 20; k++) {
			EXPECT_EQ(mm_iommu_ua_to_hpa(region.mem, UA(UA_MEDIUM + k),
						     PAGE_SHIFT, &hpa), 0);
			EXPECT_EQ(hpa, hpa_of(self->mm, UA(UA_MEDIUM + k)));
		}
		EXPECT_WORKS(req_unregister(self->c, UA(UA_MEDIUM), 20 * PG));
	}
	fail_arm(0);
	EXPECT_GE(parts, 19);
}

TEST_F(world, pages_written_are_dirty)
{
	struct page *page = self->mm->pte[3].page;

	EXPECT_WORKS(req_register(self->c, UA(0), 8 * PG));
	EXPECT_WORKS(req_map(self->c, 0, UA(3), PG, VFIO_DMA_MAP_FLAG_READ));
	EXPECT_WORKS(req_unmap(self->c, 0, PG));
	EXPECT_WORKS(req_unregister(self->c, UA(0), 8 * PG));
	EXPECT_FALSE(page->dirty);
	EXPECT_WORKS(req_register(self->c, UA(0), 8 * PG));
	EXPECT_WORKS(req_map(self->c, 0, UA(3), PG, RW));
	EXPECT_WORKS(req_unmap(self->c, 0, PG));
	EXPECT_WORKS(req_unregister(self->c, UA(0), 8 * PG));
	EXPECT_TRUE(page->dirty);
}

/* The memory may go from under a registration */
TEST_F(world, registered_memory_is_unmapped)
{
	unsigned long old = hpa_of(self->mm, UA(5));

	EXPECT_WORKS(req_register(self->c, UA(0), 8 * PG));
	EXPECT_WORKS(req_map(self->c, 0, UA(0), 8 * PG, RW));
	mm_remap(self->mm, 4, 4);
	world_check();
	EXPECT_EQ(reached(host_pes, 5 * PG), old);
	EXPECT_NE(hpa_of(self->mm, UA(5)), old);
	EXPECT_WORKS(req_unmap(self->c, 0, 8 * PG));
	EXPECT_WORKS(req_unregister(self->c, UA(0), 8 * PG));
}
