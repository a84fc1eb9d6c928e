// SPDX-License-Identifier: GPL-2.0-only
/*
 * Batches of TCEs, as KVM stores them. What KVM itself does is in kvm-unit.c.
 */
#include "unit.h"

TEST_F(world, list)
{
	unsigned long uas[] = {
		UA(UA_HUGE) + 3, UA(UA_HUGE) + K64 + 3, 0, UA(UA_HUGE) + 1,
		UA(UA_HUGE) + K64 + 3, UA(UA_HUGE) + 2 * K64 + 3,
	};
	struct tce_batch list = {
		.mm = self->mm,
		.uas = uas,
		.nr = ARRAY_SIZE(uas),
		.page_shift = 16,
	};
	struct tce_iter iter = { };
	struct iommu_table *tbl;
	unsigned long first;
	u64 start, before;

	EXPECT_WORKS(req_create(self->c, 16, 1UL << 32, 1, &start));
	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), 64 * PG));
	tbl = table_of(self->c, 1);
	first = tbl->it_offset + 7;
	EXPECT_WORKS(req_map(self->c, start + 9 * K64, UA(UA_HUGE), K64, RW));
	EXPECT_WORKS(put_list(tbl, first, uas, ARRAY_SIZE(uas), 16));
	EXPECT_REACHES(host_pes, start + 7 * K64, UA(UA_HUGE));
	EXPECT_REACHES(host_pes, start + 8 * K64, UA(UA_HUGE) + K64);
	EXPECT_FAULTS(host_pes, start + 9 * K64);
	EXPECT_REACHES(host_pes, start + 10 * K64, UA(UA_HUGE));
	EXPECT_EQ(machine_dma(host_pes, start + 10 * K64, true), -EFAULT);
	EXPECT_REACHES(host_pes, start + 12 * K64, UA(UA_HUGE) + 2 * K64);
	/* Cancelled, it has changed nothing */
	before = world_digest(self->mm);
	EXPECT_EQ(user_table_prepare_batch(tbl, &iter, first, &list), 0);
	user_table_cancel_batch(tbl, &iter, &list);
	EXPECT_EQ(world_digest(self->mm), before);
	/* All or none: the last one is not registered, or not aligned */
	uas[5] = UA(0) + 3;
	EXPECT_FAILS(-EINVAL, put_list(tbl, first, uas, ARRAY_SIZE(uas), 16));
	uas[5] = UA(UA_HUGE) + SZ_4K + 3;
	EXPECT_FAILS(-EPERM, put_list(tbl, first, uas, ARRAY_SIZE(uas), 16));
	memset(uas, 0, sizeof(uas));
	EXPECT_WORKS(put_list(tbl, first, uas, ARRAY_SIZE(uas), 16));
	EXPECT_FAULTS(host_pes, start + 7 * K64);
	EXPECT_WORKS(req_unregister(self->c, UA(UA_HUGE), 64 * PG));
}

/* A guest's page may be several IOMMU pages */
TEST_F(world, list_of_larger_pages)
{
	unsigned long uas[] = { UA(UA_HUGE) + 3, 0, UA(UA_HUGE) + 2 * K64 + 2 };
	struct host_region region;
	struct iommu_table *tbl;
	int i;

	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), 64 * PG));
	EXPECT_WORKS(req_map(self->c, 0, UA(UA_HUGE), K64, RW));
	tbl = table_of(self->c, 0);
	EXPECT_WORKS(put_list(tbl, 32, uas, ARRAY_SIZE(uas), 16));
	for (i = 0; i < 16; i++) {
		EXPECT_REACHES(host_pes, 2 * K64 + i * SZ_4K,
			       UA(UA_HUGE) + i * SZ_4K);
		EXPECT_FAULTS(host_pes, 3 * K64 + i * SZ_4K);
		EXPECT_EQ(machine_dma(host_pes, 4 * K64 + i * SZ_4K, true),
			  (long)hpa_of(self->mm, UA(UA_HUGE) + 2 * K64 + i * SZ_4K));
	}
	EXPECT_FAULTS(host_pes, 5 * K64);
	glue_region_at(self->mm, UA(UA_HUGE), &region);
	EXPECT_EQ(region.mapped, 1 + 3 * 16);
}

/* Whoever keeps a table that its container has dropped maps nothing in it */
TEST_F(world, list_for_a_closed_table)
{
	unsigned long uas[] = { UA(UA_HUGE) + 3, 0, UA(UA_HUGE) + 3 };
	struct iommu_table *tbl;
	u64 start;

	EXPECT_WORKS(req_create(self->c, 16, 1UL << 32, 1, &start));
	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), 64 * PG));
	tbl = iommu_tce_table_get(table_of(self->c, 1));
	EXPECT_WORKS(put_list(tbl, tbl->it_offset + 7, uas, 3, 16));
	EXPECT_WORKS(req_remove(self->c, start));
	EXPECT_EQ(pnv_tce_get(tbl, tbl->it_offset + 7), 0);
	EXPECT_WORKS(put_list(tbl, tbl->it_offset + 8, uas, 3, 16));
	EXPECT_EQ(pnv_tce_get(tbl, tbl->it_offset + 8), 0);
	EXPECT_WORKS(req_unregister(self->c, UA(UA_HUGE), 64 * PG));
	vfio_close(self->c);
	host_settle();
	EXPECT_NE(self->mm->locked_vm, 0);
	/* The last one frees it, then and there */
	iommu_tce_table_put(tbl);
	EXPECT_EQ(self->mm->locked_vm, 0);
	EXPECT_EQ(host_usage.tables, HOST_PES);
}

TEST_F(world, list_out_of_memory)
{
	unsigned long uas[] = { UA(UA_HUGE) + 3, UA(UA_HUGE) + K64 + 3 };
	struct iommu_table *tbl;
	unsigned long n;
	u64 start;
	int ret;

	EXPECT_WORKS(req_create(self->c, 16, 1UL << 40, 3, &start));
	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), 64 * PG));
	tbl = table_of(self->c, 1);
	for (n = 1, ret = -ENOMEM; ret; n++) {
		self->digest = world_digest(self->mm);
		/* It is tried twice */
		fail_arm_from(n);
		ret = put_list(tbl, tbl->it_offset + (1 << 20) - 1, uas, 2, 16);
		fail_arm(0);
		world_check();
		if (!ret)
			break;
		EXPECT_EQ(ret, -ENOMEM);
		EXPECT_EQ(world_digest(self->mm), self->digest);
	}
	EXPECT_GE(n, 3);
	EXPECT_REACHES(host_pes, start + (1UL << 36), UA(UA_HUGE) + K64);
}

TEST_F(world, table_behind_a_window)
{
	struct iommu_group *group = host_group(host_pes);
	struct iommu_table *tbl;
	u64 start;

	EXPECT_EQ(PTR_ERR(user_table_get(group, self->mm, 16, WINDOW1, MB)),
		  -EINVAL);
	EXPECT_WORKS(req_create(self->c, 16, MB, 1, &start));
	EXPECT_EQ(PTR_ERR(user_table_get(group, self->mm, 12, start, MB)),
		  -EINVAL);
	EXPECT_EQ(PTR_ERR(user_table_get(group, self->mm, 16, start + MB, MB)),
		  -EINVAL);
	EXPECT_EQ(PTR_ERR(user_table_get(group, self->mm, 16, start, 2 * MB)),
		  -EINVAL);
	EXPECT_EQ(PTR_ERR(user_table_get(group, self->other, 16, start, MB)),
		  -EPERM);
	EXPECT_EQ(PTR_ERR(user_table_get(host_group(host_pes + 1), self->mm, 16,
					 start, MB)),
		  -EINVAL);
	tbl = user_table_get(group, self->mm, 21, start, K64);
	ASSERT_EQ(tbl, table_of(self->c, 1));
	/* Dropped by the container, it is not found any more */
	EXPECT_WORKS(req_remove(self->c, start));
	EXPECT_EQ(PTR_ERR(user_table_get(group, self->mm, 16, start, MB)),
		  -EINVAL);
	iommu_tce_table_put(tbl);
	host_pes[0].no_iommudata = true;
	EXPECT_EQ(PTR_ERR(user_table_get(group, self->mm, 16, start, MB)),
		  -ENODEV);
	host_pes[0].no_iommudata = false;
}
