// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows: made, removed, and what they cost.
 */
#include "unit.h"

TEST_F(world, window_default)
{
	struct glue_container state;

	glue_container_get(self->c->data, &state);
	EXPECT_TRUE(state.default_pending);
	EXPECT_EQ(state.tables[0], NULL);
	/* Nothing is mapped there, and for that it need not be made */
	EXPECT_WORKS(req_unmap(self->c, 0, PG));
	EXPECT_WORKS(req_unmap(self->c, 0, SZ_1G));
	EXPECT_WORKS(req_unmap(self->c, SZ_1G - SZ_4K, SZ_4K));
	EXPECT_FAILS(-EINVAL, req_unmap(self->c, SZ_1G - SZ_4K, 2 * SZ_4K));
	EXPECT_FAILS(-EINVAL, req_unmap(self->c, 0, 100));
	EXPECT_FAILS(-EINVAL, req_unmap(self->c, 100, SZ_4K));
	EXPECT_FAILS(-ENXIO, req_unmap(self->c, SZ_1G, SZ_4K));
	EXPECT_FAILS(-ENXIO, req_unmap(self->c, WINDOW1, SZ_4K));
	glue_container_get(self->c->data, &state);
	EXPECT_TRUE(state.default_pending);
	EXPECT_EQ(self->mm->locked_vm, 0);
	EXPECT_WORKS(make_default(self->c));
	glue_container_get(self->c->data, &state);
	EXPECT_FALSE(state.default_pending);
	ASSERT_NE(state.tables[0], NULL);
	EXPECT_EQ(state.tables[0]->it_page_shift, 12);
	EXPECT_EQ(state.tables[0]->it_size, SZ_1G >> 12);
	EXPECT_WORKS(req_remove(self->c, 0));
	EXPECT_FAILS(-EINVAL, req_remove(self->c, 0));
	EXPECT_FAILS(-ENXIO, req_unmap(self->c, 0, PG));
}

/* However often a process makes windows, the log does not grow */
TEST_F(world, window_is_not_logged)
{
	u64 start;

	EXPECT_WORKS(make_default(self->c));
	host_pe_messages = 0;
	EXPECT_WORKS(req_create(self->c, 16, MB, 1, &start));
	EXPECT_WORKS(req_remove(self->c, start));
	EXPECT_WORKS(req_remove(self->c, 0));
	EXPECT_EQ(host_pe_messages, 0);
}

TEST_F(world, window_remove_arguments)
{
	struct vfio_iommu_spapr_tce_remove remove = {
		.argsz = sizeof(remove), .flags = 1,
	};

	EXPECT_FAILS(-EINVAL, vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_REMOVE, &remove));
	remove.flags = 0;
	remove.argsz--;
	EXPECT_FAILS(-EINVAL, vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_REMOVE, &remove));
}

TEST_F(world, window_default_cancelled)
{
	u64 start;

	EXPECT_WORKS(req_remove(self->c, 0));
	EXPECT_FAILS(-EINVAL, req_remove(self->c, 0));
	EXPECT_WORKS(req_create(self->c, 16, MB, 1, &start));
	EXPECT_EQ(start, 0);
	EXPECT_WORKS(req_create(self->c, 16, MB, 1, &start));
	EXPECT_EQ(start, WINDOW1);
	EXPECT_FAILS(-ENOSPC, req_create(self->c, 16, MB, 1, &start));
	EXPECT_WORKS(req_remove(self->c, 0));
	EXPECT_WORKS(req_create(self->c, 12, MB, 3, &start));
	EXPECT_EQ(start, 0);
}

/* In an LPAR it need not start at 0 */
TEST_F(world, window_default_elsewhere)
{
	struct iommu_table_group *group = &host_pes[0].pe.table_group;
	struct glue_container state;

	group->tce32_start = SZ_256M;
	EXPECT_FAILS(-ENXIO, req_unmap(self->c, 0, PG));
	EXPECT_WORKS(req_unmap(self->c, SZ_256M, SZ_1G));
	EXPECT_FAILS(-ENXIO, req_unmap(self->c, SZ_256M + SZ_1G, PG));
	EXPECT_FAILS(-EINVAL, req_remove(self->c, SZ_256M + PG));
	EXPECT_WORKS(req_remove(self->c, SZ_256M));
	glue_container_get(self->c->data, &state);
	EXPECT_FALSE(state.default_pending);
	EXPECT_FAILS(-EINVAL, req_remove(self->c, SZ_256M));
	EXPECT_FAILS(-EINVAL, req_remove(self->c, 0));
	EXPECT_FAILS(-ENXIO, req_unmap(self->c, SZ_256M, PG));
	group->tce32_start = 0;
	/* 0 stands for it all the same */
	group = &host_pes[1].pe.table_group;
	group->tce32_start = SZ_256M;
	EXPECT_WORKS(req_remove(second(self->c), 0));
	EXPECT_FAILS(-EINVAL, req_remove(self->c + 1, SZ_256M));
	group->tce32_start = 0;
}

TEST_F(world, window_is_as_large_as_asked)
{
	u64 start;

	EXPECT_WORKS(req_remove(self->c, 0));
	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), 64 * PG));
	EXPECT_WORKS(req_create(self->c, 16, K64, 1, &start));
	EXPECT_FAILS(-EINVAL, req_map(self->c, 0, UA(UA_HUGE), 2 * K64, RW));
	EXPECT_FAILS(-ENXIO, req_map(self->c, K64, UA(UA_HUGE), K64, RW));
	EXPECT_WORKS(req_map(self->c, 0, UA(UA_HUGE), K64, RW));
	EXPECT_FAULTS(host_pes, K64);
	EXPECT_FAILS(-EINVAL, req_remove(self->c, K64 / 2));
	EXPECT_FAILS(-EINVAL, req_remove(self->c, K64));
}

/* Is there a geometry of at least @levels that a bridge can walk? */
static bool can_walk(unsigned int bits, unsigned int levels)
{
	unsigned int per;

	for (; levels <= 5; levels++) {
		per = max(DIV_ROUND_UP(bits, levels), 9U);
		if (per + 3 <= PAGE_SHIFT + MAX_PAGE_ORDER &&
		    per * levels + 16 <= 55)
			return true;
	}

	return false;
}

TEST_F(world, window_sizes)
{
	unsigned int shift, levels;
	u64 start;

	EXPECT_WORKS(req_unmap(self->c, 0, PG));
	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), 64 * PG));
	for (shift = 16; shift < 55; shift++) {
		for (levels = 1; levels <= 5; levels++) {
			if (!can_walk(shift - 16, levels)) {
				EXPECT_FAILS(-EINVAL, req_create(self->c, 16, 1UL << shift,
								 levels, &start));
				continue;
			}
			EXPECT_WORKS(req_create(self->c, 16, 1UL << shift, levels, &start));
			EXPECT_WORKS(req_map(self->c, start + (1UL << shift) - K64,
					     UA(UA_HUGE), K64, RW));
			EXPECT_REACHES(host_pes, start + (1UL << shift) - 1,
				       UA(UA_HUGE) + K64 - 1);
			EXPECT_WORKS(req_remove(self->c, start));
		}
	}
}

TEST_F(world, window_bad_arguments)
{
	struct vfio_iommu_spapr_tce_create create = {
		.argsz = sizeof(create), .page_shift = 16,
		.window_size = MB, .levels = 1,
	};

	EXPECT_FAILS(-EINVAL, req_create(self->c, 13, MB, 1, NULL));
	EXPECT_FAILS(-EINVAL, req_create(self->c, 64, MB, 1, NULL));
	EXPECT_FAILS(-EINVAL, req_create(self->c, 64 + 12, MB, 1, NULL));
	EXPECT_FAILS(-EINVAL, req_create(self->c, 144, MB, 1, NULL));
	EXPECT_FAILS(-EINVAL, req_create(self->c, ~0U, MB, 1, NULL));
	EXPECT_FAILS(-EINVAL, req_create(self->c, 24, 1UL << 32, 1, NULL));
	EXPECT_FAILS(-EINVAL, req_create(self->c, 12, 0, 1, NULL));
	EXPECT_FAILS(-EINVAL, req_create(self->c, 12, MB + 4096, 1, NULL));
	EXPECT_FAILS(-EINVAL, req_create(self->c, 16, 4096, 1, NULL));
	EXPECT_FAILS(-EINVAL, req_create(self->c, 12, MB, 0, NULL));
	EXPECT_FAILS(-EINVAL, req_create(self->c, 12, MB, 6, NULL));
	create.flags = 1;
	EXPECT_FAILS(-EINVAL, vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_CREATE, &create));
	create.flags = 0;
	create.argsz -= 8;
	create.argsz -= 8;
	EXPECT_FAILS(-EINVAL, vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_CREATE, &create));
	EXPECT_FAILS(-EFAULT, vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_CREATE, NULL));
	EXPECT_FAILS(-EFAULT, vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_REMOVE, NULL));
	/* More address bits than a bridge translates */
	EXPECT_WORKS(make_default(self->c));
	EXPECT_FAILS(-EINVAL, req_create(self->c, 16, 1UL << 63, 5, NULL));
}

/* Levels take and cost what they are */
TEST_F(world, window_charge)
{
	struct iommu_table *host = host_pes[1].pe.table_group.tables[0];
	unsigned long one, i;
	u64 start;

	EXPECT_WORKS(req_remove(self->c, 0));
	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), 64 * PG));
	EXPECT_WORKS(req_create(self->c, 16, 1UL << 47, 2, &start));
	/* The host's tables stay, those of PEs that are away as well */
	EXPECT_EQ(self->mm->locked_vm - 64,
		  DIV_ROUND_UP(host_usage.level_bytes -
			       HOST_PES * host->it_tree.bytes.counter, PG));
	one = host_usage.level_bytes;
	EXPECT_WORKS(req_map(self->c, 0, UA(UA_HUGE), K64, RW));
	one = host_usage.level_bytes - one;
	EXPECT_LE(one, 2 * 4 * 8192);
	for (i = 1; i < 16; i++)
		EXPECT_WORKS(req_map(self->c, i << 43, UA(UA_HUGE), K64, RW));
	EXPECT_LE(host_usage.level_bytes, 16 * one + 4 * SZ_64K);
	EXPECT_WORKS(req_remove(self->c, start));
	EXPECT_EQ(self->mm->locked_vm, 64);
}

TEST_F(world, window_beyond_the_limit)
{
	EXPECT_WORKS(req_remove(self->c, 0));
	self->mm->limit = 0;
	EXPECT_FAILS(-ENOMEM, req_create(self->c, 16, 1UL << 30, 1, NULL));
	/* The first level of a window of 2^14 TCEs is one page of 4K */
	self->mm->limit = 1;
	EXPECT_WORKS(req_create(self->c, 16, 1UL << 30, 1, NULL));
	EXPECT_EQ(self->mm->locked_vm, 1);
}

/* Copying out fails: no window is left behind */
TEST_F(world, window_copy_out)
{
	struct vfio_iommu_spapr_tce_create create = {
		.argsz = sizeof(create), .page_shift = 16,
		.window_size = MB, .levels = 1,
	};
	unsigned long n;
	long ret = 0;

	EXPECT_WORKS(make_default(self->c));
	self->digest = world_digest(self->mm);
	for (n = 1; n < 100; n++) {
		fail_arm(n);
		ret = vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_CREATE, &create);
		if (!fail_fired())
			break;
		world_check();
		ASSERT_LT(ret, 0);
		EXPECT_EQ(world_digest(self->mm), self->digest);
	}
	EXPECT_EQ(ret, 0);
	EXPECT_GT(n, 5);
	fail_arm(0);
}

TEST_F(world, window_remove_drops_maps)
{
	u64 start;

	EXPECT_WORKS(req_create(self->c, 16, 1UL << 32, 1, &start));
	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), 64 * PG));
	EXPECT_WORKS(req_map(self->c, start + MB, UA(UA_HUGE), 4 * K64, RW));
	EXPECT_WORKS(req_map(self->c, MB, UA(UA_HUGE), 4 * K64, RW));
	EXPECT_WORKS(req_remove(self->c, start));
	EXPECT_FAULTS(host_pes, start + MB);
	EXPECT_REACHES(host_pes, MB, UA(UA_HUGE));
	EXPECT_FAILS(-EBUSY, req_unregister(self->c, UA(UA_HUGE), 64 * PG));
	EXPECT_WORKS(req_remove(self->c, 0));
	EXPECT_WORKS(req_unregister(self->c, UA(UA_HUGE), 64 * PG));
}

/* Who removes a window has what it cost */
TEST_F(world, window_remove_gives_back)
{
	u64 start;

	EXPECT_WORKS(req_remove(self->c, 0));
	/* One leaf and its view */
	self->mm->limit = DIV_ROUND_UP(2 * SZ_4K, PG);
	EXPECT_EQ(req_create(self->c, 16, MB, 1, &start), 0);
	EXPECT_EQ(req_create(self->c, 16, MB, 1, NULL), -ENOMEM);
	EXPECT_EQ(req_remove(self->c, start), 0);
	EXPECT_EQ(self->mm->locked_vm, 0);
	EXPECT_EQ(req_create(self->c, 16, MB, 1, NULL), 0);
}

/*
 * One process removes a window and waits for its mmap_lock, which a fault of its
 * has, maybe for ever. Whoever else removes a window meanwhile does not wait.
 */
static struct {
	struct mm_struct *mm;
	struct host_container *c;
	u64 start;
	int ret;
} stalled;

static void remove_while_stalled(void)
{
	current->mm = stalled.mm;
	stalled.ret = req_remove(stalled.c, stalled.start);
	vfio_close(stalled.c);
}

TEST_F(world, window_remove_waits_for_no_other)
{
	struct host_container *c;
	u64 start;

	stalled.mm = self->mm;
	stalled.c = self->c;
	EXPECT_WORKS(req_create(self->c, 16, MB, 1, &stalled.start));
	current->mm = self->other;
	c = second(self->c);
	EXPECT_WORKS(req_create(c, 16, MB, 1, &start));
	self->other->stuck = true;
	host_stuck = remove_while_stalled;
	EXPECT_WORKS(req_remove(c, start));
	EXPECT_FALSE(self->other->stuck);
	EXPECT_EQ(stalled.ret, 0);
	EXPECT_EQ(self->mm->locked_vm, 0);
}

TEST_F(world, table_bad_arguments)
{
	struct iommu_table_group *group = &host_pes[0].pe.table_group;
	static const struct tce_window_config bad[] = {
		{ 1, 16, MB, 0 },
		{ 1, 16, MB, 6 },
		{ 1, 64, MB, 1 },
		{ 1, 16, MB + K64, 1 },
		{ 1, 16, 0, 1 },
		{ 1, 16, K64 / 2, 1 },
	};
	struct iommu_table *tbl;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_FAILS(-EINVAL,
			     group->ops->create_user_table(group, &bad[i],
							   self->mm, &tbl));
}

TEST_F(world, info)
{
	struct vfio_iommu_spapr_tce_info info = { .argsz = sizeof(info) };

	EXPECT_WORKS(vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info));
	EXPECT_EQ(info.flags, VFIO_IOMMU_SPAPR_INFO_DDW);
	EXPECT_EQ(info.dma32_window_start, 0);
	EXPECT_EQ(info.dma32_window_size, SZ_1G);
	EXPECT_EQ(info.ddw.pgsizes, SZ_4K | SZ_64K | SZ_2M | SZ_1G);
	EXPECT_EQ(info.ddw.max_dynamic_windows_supported, 2);
	EXPECT_EQ(info.ddw.levels, 5);
	/* No more than there are places, whatever firmware has */
	host_pes[0].pe.table_group.max_dynamic_windows_supported = 7;
	EXPECT_WORKS(vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info));
	EXPECT_EQ(info.ddw.max_dynamic_windows_supported, 2);
	/* An LPAR whose firmware cannot make any has the default one */
	host_pes[0].pe.table_group.max_dynamic_windows_supported = -1;
	EXPECT_WORKS(vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info));
	EXPECT_EQ(info.ddw.max_dynamic_windows_supported, 1);
	EXPECT_WORKS(make_default(self->c));
	EXPECT_FAILS(-ENOSPC, req_create(self->c, 16, MB, 1, NULL));
	host_pes[0].pe.table_group.max_dynamic_windows_supported = 2;
	info = (struct vfio_iommu_spapr_tce_info) {
		.argsz = offsetof(struct vfio_iommu_spapr_tce_info, ddw),
	};
	info.ddw.levels = 77;
	EXPECT_WORKS(vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info));
	EXPECT_EQ(info.ddw.levels, 77);
	info.argsz--;
	EXPECT_FAILS(-EINVAL, vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info));
	EXPECT_FAILS(-EFAULT, vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_GET_INFO, NULL));
	info.argsz = sizeof(info);
	EXPECT_WORKS(vfio_attach(self->c, host_pes + 3));
	EXPECT_WORKS(vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info));
	EXPECT_EQ(info.ddw.pgsizes, SZ_4K | SZ_64K);
	EXPECT_WORKS(vfio_ioctl(version1(self->c), VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info));
	EXPECT_EQ(info.flags, 0);
}

TEST_F(world, requests_of_the_other_version)
{
	struct host_container *old = version1(self->c);
	char arg[64] = { sizeof(arg) };

	EXPECT_FAILS(-ENOTTY, vfio_ioctl(self->c, VFIO_IOMMU_ENABLE, arg));
	EXPECT_FAILS(-ENOTTY, vfio_ioctl(self->c, VFIO_IOMMU_DISABLE, arg));
	EXPECT_FAILS(-ENOTTY, req_register(old, UA(0), PG));
	EXPECT_FAILS(-ENOTTY, req_unregister(old, UA(0), PG));
	EXPECT_FAILS(-ENOTTY, req_create(old, 16, MB, 1, NULL));
	EXPECT_FAILS(-ENOTTY, req_remove(old, 0));
	EXPECT_EQ(vfio_ioctl(old, VFIO_CHECK_EXTENSION, (void *)VFIO_SPAPR_TCE_IOMMU), 1);
	EXPECT_EQ(vfio_ioctl(old, VFIO_CHECK_EXTENSION, (void *)VFIO_SPAPR_TCE_v2_IOMMU), 1);
	EXPECT_EQ(vfio_ioctl(old, VFIO_CHECK_EXTENSION, (void *)VFIO_EEH), 1);
	EXPECT_EQ(vfio_ioctl(old, VFIO_CHECK_EXTENSION, (void *)VFIO_TYPE1_IOMMU), 0);
	EXPECT_EQ(PTR_ERR(host_driver->open(VFIO_TYPE1_IOMMU)), -EINVAL);
}
