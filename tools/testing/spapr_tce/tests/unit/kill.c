// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kills of what bridges have cached, beside others who do the same.
 */
#include "unit.h"

/* Firmware counts the pages of a kill by 32 bits */
TEST_F(world, kill_of_very_many)
{
	static const unsigned long npages[] = {
		BIT(32), BIT(32) + 1, BIT(33) - 1, BIT(33),
	};
	unsigned int i;
	u64 start;

	EXPECT_WORKS(req_create(self->c, 12, BIT(33) << 12, 1, &start));
	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), 64 * PG));
	for (i = 0; i < ARRAY_SIZE(npages); i++) {
		EXPECT_WORKS(req_map(self->c, start + 5 * 4096, UA(UA_HUGE),
				     4096, RW));
		EXPECT_REACHES(host_pes, start + 5 * 4096, UA(UA_HUGE));
		EXPECT_WORKS(req_unmap(self->c, start, npages[i] << 12));
		EXPECT_FAULTS(host_pes, start + 5 * 4096);
	}
}

/*
 * A PE joins while TCEs are changed: at the barrier that has to be between the
 * last TCE and the look who is to be told.
 */
static struct {
	struct iommu_table *tbl;
	struct host_pe *hpe;
	unsigned long index;
	unsigned long tce;
	unsigned long kills;
	int calls;
} joins;

static void join_at_barrier(void)
{
	struct iommu_table_group *group = &joins.hpe->pe.table_group;
	bool real = host_real_mode;

	host_barrier = NULL;
	if (real)
		host_leave_real_mode();
	joins.calls++;
	joins.tce = pnv_tce_get(joins.tbl, joins.index);
	if (group->ops->set_window(group, 1, joins.tbl))
		host_die("a PE cannot join\n");
	joins.kills = joins.hpe->kills;
	if (real)
		host_enter_real_mode();
}

/* Its owner gives it back what it has, less what it got at the barrier */
#define EXPECT_JOINED() do {						\
	EXPECT_EQ(joins.calls, 1);					\
	EXPECT_EQ(joins.tce, pnv_tce_get(joins.tbl, joins.index));	\
	EXPECT_EQ(joins.hpe->kills, joins.kills + 1);			\
	joins.hpe->pe.table_group.ops->unset_window(			\
		&joins.hpe->pe.table_group, 1);				\
	joins.calls = 0;						\
	world_check();							\
} while (0)

static void prepare_to_join(struct host_container *c, struct host_pe *hpe)
{
	joins.tbl = table_of(c, 1);
	joins.index = joins.tbl->it_offset + 3;
	joins.hpe = hpe;
	hpe->pe.table_group.ops->take_ownership(&hpe->pe.table_group, &host_device);
}

static void joiner_leaves(void)
{
	struct iommu_table_group *group = &joins.hpe->pe.table_group;

	group->ops->release_ownership(group, &host_device);
}

TEST_F(world, joins_while_tces_change)
{
	u64 start;

	EXPECT_WORKS(req_create(self->c, 16, MB, 1, &start));
	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), 64 * PG));
	EXPECT_WORKS(req_map(self->c, start + 3 * K64, UA(UA_HUGE), K64, RW));
	prepare_to_join(self->c, host_pes + 1);
	host_barrier = join_at_barrier;
	EXPECT_EQ(req_map(self->c, start + 3 * K64, UA(UA_HUGE) + K64, K64, RW), 0);
	EXPECT_JOINED();
	host_barrier = join_at_barrier;
	EXPECT_EQ(req_unmap(self->c, start + 3 * K64, K64), 0);
	EXPECT_JOINED();
	joiner_leaves();
}

TEST_F(world, joins_while_real_mode_unmaps)
{
	struct host_container *c = self->c + 1;
	u64 start;

	EXPECT_WORKS(vfio_attach(c, host_pes + 3));
	EXPECT_WORKS(vfio_set_iommu(c, VFIO_SPAPR_TCE_v2_IOMMU));
	EXPECT_WORKS(req_create(c, 16, MB, 1, &start));
	EXPECT_WORKS(req_register(c, UA(UA_HUGE), 64 * PG));
	EXPECT_WORKS(req_map(c, start + 3 * K64, UA(UA_HUGE), K64, RW));
	prepare_to_join(c, host_pes + 4);
	host_barrier = join_at_barrier;
	host_enter_real_mode();
	EXPECT_TRUE(tce_trylock_rm(&joins.tbl->it_user->lock));
	EXPECT_TRUE(user_table_unmap_rm(joins.tbl, joins.index, 1));
	tce_unlock_rm(&joins.tbl->it_user->lock);
	host_leave_real_mode();
	EXPECT_JOINED();
	joiner_leaves();
}

/* Who joins has a barrier as well, before its bridge can look at a TCE */
static void kill_at_barrier(void)
{
	host_barrier = NULL;
	joins.calls++;
	joins.kills = joins.hpe->kills;
	/* another thread has changed a TCE, and looks who is there */
	rcu_read_lock();
	joins.tbl->it_ops->tce_kill(joins.tbl, joins.index, 1);
	rcu_read_unlock();
}

TEST_F(world, killed_while_it_joins)
{
	struct iommu_table_group *group = &host_pes[1].pe.table_group;
	u64 start;

	EXPECT_WORKS(req_create(self->c, 16, MB, 1, &start));
	prepare_to_join(self->c, host_pes + 1);
	host_barrier = kill_at_barrier;
	EXPECT_EQ(group->ops->set_window(group, 1, joins.tbl), 0);
	EXPECT_EQ(joins.calls, 1);
	/* by that thread, and when its window was made */
	EXPECT_EQ(joins.hpe->kills, joins.kills + 2);
	group->ops->unset_window(group, 1);
	joiner_leaves();
}
