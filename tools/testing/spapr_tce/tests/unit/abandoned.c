// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions that a container leaves behind mapped, and who takes them apart.
 */
#include "unit.h"

/* Registers @nr regions of a page, maps each and closes the container */
static void leave_mapped(struct mm_struct *mm, struct host_container *c,
			 unsigned long first, unsigned long nr)
{
	unsigned long i;

	for (i = first; i < first + nr; i++) {
		WARN_ON(req_register(c, UA(i), PG));
		WARN_ON(!mm_iommu_ref(host_lookup(mm, UA(i), PG), 1, true));
	}
	vfio_close(c);
}

/* However many regions a guest abandons at once, they are one work for one worker */
TEST_F(world, abandoned_regions_are_one_work)
{
	unsigned long i;

	leave_mapped(self->mm, self->c, 16, 32);
	host_settle();
	for (i = 16; i < 48; i++)
		host_unref_range(self->mm, NULL, UA(i), 1, PAGE_SHIFT);
	EXPECT_EQ(host_works(), 1);
	EXPECT_EQ(self->mm->locked_vm, 32);

	/* What the process is owed is one work, too, and waits for it; nobody else does */
	others = self->c + 1;
	others_mm = self->other;
	others_ran = false;
	self->mm->stuck = true;
	host_run_works();
	EXPECT_TRUE(self->mm->stuck);
	EXPECT_EQ(host_usage.pins, 0);
	EXPECT_EQ(self->mm->locked_vm, 32);
	host_stuck = others_do_all;
	host_run_works();
	EXPECT_TRUE(others_ran);
	host_stuck = NULL;
	EXPECT_EQ(self->mm->locked_vm, 0);
	EXPECT_EQ(host_usage.pins, 0);
	world_check();
}

static void run_works(void)
{
	host_run_works();
	sibling_ran++;
}

/* The worker finds a region that somebody else is taking apart, */
TEST_F(world, abandoned_region_is_taken_apart)
{
	sibling = second(self->c);
	sibling_mm = self->mm;
	sibling_page = 16;
	leave_mapped(self->mm, self->c, 16, 1);
	host_unref_range(self->mm, NULL, UA(16), 1, PAGE_SHIFT);
	when_removed = run_works;
	host_unlocked = somebody_unlocked;
	EXPECT_EQ(host_works(), 1);
	EXPECT_EQ(req_register(sibling, UA(16), PG), 0);
	host_unlocked = NULL;
	EXPECT_EQ(sibling_ran, 1);
	/* What frees regions comes when readers have gone, at any moment */
	host_settle();
	EXPECT_EQ(host_works(), 0);
	EXPECT_EQ(self->mm->locked_vm, 1);
}

/* ... or is at it himself, */
TEST_F(world, abandoned_region_is_reaped)
{
	sibling = second(self->c);
	sibling_mm = self->mm;
	sibling_page = 16;
	leave_mapped(self->mm, self->c, 16, 1);
	host_unref_range(self->mm, NULL, UA(16), 1, PAGE_SHIFT);
	when_removed = sibling_does_all;
	host_unlocked = somebody_unlocked;
	host_run_works();
	host_unlocked = NULL;
	EXPECT_EQ(sibling_ran, 1);
	EXPECT_WORKS(req_register(sibling, UA(16), PG));
	EXPECT_EQ(host_usage.pins, 1);
}

/*
 * ... and leaves it to him, who may be done, and the process gone, before the worker
 * has got out of mutex_unlock()
 */
static pthread_barrier_t reaped;
static __thread bool reaper;
static int reaped_mm_count;

static void reaped_and_unlocked(void)
{
	if (!reaper) {
		somebody_unlocked();
		return;
	}
	reaper = false;
	pthread_barrier_wait(&reaped);
	pthread_barrier_wait(&reaped);
	reaped_mm_count = sibling_mm->count;
}

static void *reap(void *arg)
{
	rcu_register_thread();
	reaper = true;
	host_run_works();
	rcu_unregister_thread();

	return arg;
}

static void let_worker_reap(void)
{
	pthread_create(&waiter, NULL, reap, NULL);
	pthread_barrier_wait(&reaped);
	sibling_ran++;
}

TEST_F(world, abandoned_region_keeps_the_mm_for_the_worker)
{
	int count;

	sibling = second(self->c);
	sibling_mm = self->mm;
	sibling_page = 16;
	pthread_barrier_init(&reaped, NULL, 2);
	leave_mapped(self->mm, self->c, 16, 1);
	host_unref_range(self->mm, NULL, UA(16), 1, PAGE_SHIFT);
	count = self->mm->count;
	when_removed = let_worker_reap;
	host_unlocked = reaped_and_unlocked;
	EXPECT_EQ(req_register(sibling, UA(16), PG), 0);
	EXPECT_EQ(sibling_ran, 1);
	EXPECT_EQ(req_unregister(sibling, UA(16), PG), 0);
	/* The region's has gone, that of its new owner has come, and the worker has one */
	pthread_barrier_wait(&reaped);
	pthread_join(waiter, NULL);
	EXPECT_EQ(reaped_mm_count, count + 1);
	host_unlocked = NULL;
}

/* ... or comes last, when all of it is done and the range is another's */
TEST_F(world, abandoned_region_is_replaced)
{
	sibling = second(self->c);
	leave_mapped(self->mm, self->c, 16, 1);
	host_unref_range(self->mm, NULL, UA(16), 1, PAGE_SHIFT);
	EXPECT_EQ(req_register(sibling, UA(8), 16 * PG), 0);
	/* ... and one that frees it, if readers have gone */
	EXPECT_GE(host_works(), 1);
	host_run_works();
	EXPECT_EQ(self->mm->locked_vm, 16);
	EXPECT_NE(host_lookup(self->mm, UA(8), 16 * PG), NULL);
	world_check();
}
