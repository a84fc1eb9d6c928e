// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests that cannot be charged at once, because the mmap_lock is taken.
 */
#include "unit.h"

static void nobody(void)
{
}

/* How many leaves a process can use with what it has, of which some is to be given back */
static unsigned int leaves_under_limit(struct __test_metadata *_metadata,
				       struct host_container *c,
				       struct mm_struct *mm)
{
	unsigned long before, n = 0;
	u64 start;
	int i, ret = 0;

	EXPECT_WORKS(req_create(c, 16, BIT(46), 1, &start));
	for (i = 0; i < 12; i++)
		EXPECT_WORKS(req_map(c, start + i * BIT(40), UA(UA_HUGE), K64, RW));
	mm->limit = mm->locked_vm;
	for (i = 0; i < 12; i++)
		EXPECT_WORKS(req_unmap(c, start + i * BIT(40), K64));
	for (; !ret; n++) {
		before = mm->locked_vm;
		ret = req_map(c, start + (12 + n) * BIT(40), UA(UA_HUGE), K64, RW);
	}
	EXPECT_EQ(ret, -ENOMEM);
	EXPECT_LE(mm->locked_vm, before);
	world_check();
	mm->limit = ~0UL;
	EXPECT_WORKS(req_remove(c, start));

	return n;
}

TEST_F(world, levels_go_back_beside_a_contended_mm)
{
	unsigned int n;

	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), 64 * PG));
	n = leaves_under_limit(_metadata, self->c, self->mm);
	EXPECT_GE(n, 12);
	self->mm->contended = true;
	EXPECT_EQ(leaves_under_limit(_metadata, self->c, self->mm), n);
	self->mm->contended = false;
}

/* Others have the mmap_lock whenever a request looks: it works, and is as exact */
TEST_F(world, requests_beside_a_contended_mm)
{
	unsigned long before;
	u64 start, far;

	self->mm->contended = true;
	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), 64 * PG));
	EXPECT_WORKS(req_create(self->c, 16, BIT(46), 1, &start));
	for (far = start; far < start + BIT(45); far += BIT(40))
		EXPECT_WORKS(req_map(self->c, far, UA(UA_HUGE), K64, RW));
	EXPECT_WORKS(req_unmap(self->c, start, BIT(46)));

	EXPECT_WORKS(req_remove(self->c, start));
	EXPECT_WORKS(req_unregister(self->c, UA(UA_HUGE), 64 * PG));
	/* A registration that fails has charged nothing when it is back */
	before = self->mm->locked_vm;
	self->mm->pte[31].readonly = true;
	EXPECT_EQ(req_register(self->c, UA(16), 16 * PG), -EFAULT);
	self->mm->pte[31].readonly = false;
	EXPECT_EQ(self->mm->locked_vm, before);
	vfio_close(self->c);
	host_settle();
	EXPECT_EQ(self->mm->locked_vm, 0);

	vfio_attach(self->c, host_pes);
	ASSERT_EQ(vfio_set_iommu(self->c, VFIO_SPAPR_TCE_IOMMU), 0);
	ASSERT_EQ(vfio_ioctl(self->c, VFIO_IOMMU_ENABLE, NULL), 0);
	EXPECT_WORKS(req_map(self->c, 0, UA(16), PG, RW));
	ASSERT_EQ(vfio_ioctl(self->c, VFIO_IOMMU_DISABLE, NULL), 0);
	EXPECT_EQ(self->mm->locked_vm, table_of(self->c, 0) ?
		  tce_account_pages(table_of(self->c, 0)->it_tree.account) : 0);
	self->mm->contended = false;
}

/* The first request needs two tables; if it fails, neither stays */
TEST_F(world, first_request_beside_a_contended_mm)
{
	u64 start;

	self->mm->contended = true;
	EXPECT_WORKS(req_create(self->c, 16, BIT(46), 1, &start));
	EXPECT_WORKS(req_remove(self->c, start));
	vfio_close(self->c);
	host_settle();
	EXPECT_EQ(self->mm->locked_vm, 0);
	self->mm->contended = false;
}

/*
 * How much more than before a map may cost for which empty levels have to go. Its
 * process waits once for the mmap_lock if @stuck.
 */
static unsigned long limit_of_map(struct __test_metadata *_metadata,
				  struct host_container *c, struct mm_struct *mm,
				  bool stuck)
{
	unsigned long extra = 0;
	int i, ret = -ENOMEM;
	u64 start;

	for (; ret == -ENOMEM && extra < 16; extra++) {
		EXPECT_WORKS(req_create(c, 12, BIT(42), 1, &start));
		for (i = 0; i < 4; i++)
			EXPECT_WORKS(req_map(c, start + i * BIT(38),
					     UA(UA_HUGE), PG, RW));
		for (i = 0; i < 4; i++)
			EXPECT_WORKS(req_unmap(c, start + i * BIT(38), PG));
		mm->limit = mm->locked_vm + extra;
		mm->stuck = stuck;
		ret = req_map(c, start + BIT(41), UA(UA_HUGE), 512 * PG, RW);
		EXPECT_FALSE(mm->stuck);
		mm->limit = ~0UL;
		world_check();
		EXPECT_WORKS(req_remove(c, start));
	}
	EXPECT_EQ(ret, 0);

	return extra - 1;
}

TEST_F(world, map_for_which_levels_go_beside_a_stuck_mm)
{
	unsigned long extra;

	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), 512 * PG));
	extra = limit_of_map(_metadata, self->c, self->mm, false);
	/* With pages of 4K the levels that go are enough */
	EXPECT_GE(extra, PAGE_SHIFT == 12 ? 0 : 1);
	host_stuck = nobody;
	EXPECT_EQ(limit_of_map(_metadata, self->c, self->mm, true), extra);
	host_stuck = NULL;
}

static struct host_container *passer;
static struct mm_struct *passer_mm;

static void *charge_passer(void *arg)
{
	rcu_register_thread();
	current->mm = passer_mm;
	WARN_ON(vfio_attach(passer, host_pes + 1));
	WARN_ON(vfio_set_iommu(passer, VFIO_SPAPR_TCE_v2_IOMMU));
	WARN_ON(req_create(passer, 16, MB, 1, NULL));
	vfio_close(passer);
	rcu_unregister_thread();

	return arg;
}

static void let_another_be_charged(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, charge_passer, NULL);
	pthread_join(thread, NULL);
}

/* Who waits is charged in advance, and nobody else */
TEST_F(world, another_process_is_charged_beside_a_stuck_mm)
{
	unsigned long charged;
	u64 start;

	EXPECT_WORKS(req_create(self->c, 16, BIT(46), 1, &start));
	charged = self->mm->locked_vm;
	EXPECT_WORKS(req_remove(self->c, start));
	passer = self->c + 1;
	passer_mm = self->other;
	host_stuck = let_another_be_charged;
	self->mm->stuck = true;
	EXPECT_WORKS(req_create(self->c, 16, BIT(46), 1, &start));
	host_stuck = NULL;
	EXPECT_EQ(self->mm->locked_vm, charged);
	EXPECT_EQ(self->other->locked_vm, 0);
}
