// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each operation and each error path, on the model of the machine.
 */
#include <sys/wait.h>

#include "lpar.h"

#undef __used
#undef __packed
#undef __maybe_unused
#undef is_signed_type
#include "kselftest_harness.h"

#define K64		0x10000UL
#define MB		0x100000UL
#define WINDOW1		BIT(59)
#define PG		PAGE_SIZE
#define UA(page)	host_ua(page)

static unsigned long reached(struct host_pe *hpe, unsigned long addr)
{
	return machine_dma(hpe, addr, false);
}

static bool faults(struct host_pe *hpe, unsigned long addr)
{
	return machine_dma(hpe, addr, false) == -EFAULT &&
		machine_dma(hpe, addr, true) == -EFAULT;
}

/* Where memory of a process is */
static unsigned long hpa_of(struct mm_struct *mm, unsigned long ua)
{
	unsigned long i = (ua - HOST_UA_BASE) >> PAGE_SHIFT;

	return page_to_phys(mm->pte[i].page) + offset_in_page(ua);
}

static struct iommu_table *table_of(struct host_container *c, unsigned int num);

FIXTURE(world)
{
	struct mm_struct *mm;
	struct mm_struct *other;
	struct host_container c[3];
	u64 digest;
};

FIXTURE_SETUP(world)
{
	machine_init();
	self->mm = mm_create(1UL << 40);
	self->other = mm_create(1UL << 40);
	current->mm = self->mm;
	memset(self->c, 0, sizeof(self->c));
	world_check_containers(self->c, 3);
	vfio_attach(self->c, host_pes);
	ASSERT_EQ(vfio_set_iommu(self->c, VFIO_SPAPR_TCE_v2_IOMMU), 0);
	world_check();
}

FIXTURE_TEARDOWN(world)
{
	int i;

	for (i = 0; i < 3; i++)
		vfio_close(self->c + i);
	world_check();
	host_settle();
	mm_destroy(self->mm);
	mm_destroy(self->other);
	machine_reset();
	world_check_empty();
	host_test_ends();
}

/* The second container of the process, with a PE of its own */
static struct host_container *second(struct host_container *c)
{
	vfio_attach(c + 1, host_pes + 1);
	vfio_set_iommu(c + 1, VFIO_SPAPR_TCE_v2_IOMMU);

	return c + 1;
}

static struct host_container *version1(struct host_container *c)
{
	vfio_attach(c + 2, host_pes + 2);
	vfio_set_iommu(c + 2, VFIO_SPAPR_TCE_IOMMU);

	return c + 2;
}

/* The default window, with nothing in it */
static long make_default(struct host_container *c)
{
	long ret = req_register(c, UA(0), PG);

	ret = ret ?: req_map(c, 0, UA(0), PG, RW);
	ret = ret ?: req_unmap(c, 0, PG);

	return ret ?: req_unregister(c, UA(0), PG);
}

static long eeh_op(struct host_container *c, u32 op)
{
	struct vfio_eeh_pe_op arg = { .argsz = sizeof(arg), .op = op };

	arg.err.type = 1;
	arg.err.func = 2;

	return vfio_ioctl(c, VFIO_EEH_PE_OP, &arg);
}

/* What fails changes nothing */
#define EXPECT_FAILS(error, call) do {				\
	self->digest = world_digest(self->mm);			\
	EXPECT_EQ(call, error);					\
	EXPECT_EQ(world_digest(self->mm), self->digest);	\
	world_check();						\
} while (0)

#define EXPECT_WORKS(call) do {		\
	EXPECT_EQ(call, 0);		\
	world_check();			\
} while (0)

#define EXPECT_REACHES(hpe, addr, ua) \
	EXPECT_EQ(machine_dma(hpe, addr, false), (long)hpa_of(self->mm, ua))
#define EXPECT_FAULTS(hpe, addr)	EXPECT_TRUE(faults(hpe, addr))

/*
 * Registering.
 */

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

/*
 * A process whose mm is stuck waits, and others do not.
 */

static struct host_container *others;
static struct mm_struct *others_mm;
static bool others_ran;

static void others_do_all(void)
{
	struct host_container *c = others;

	current->mm = others_mm;
	WARN_ON(vfio_attach(c, host_pes + 1));
	WARN_ON(vfio_set_iommu(c, VFIO_SPAPR_TCE_v2_IOMMU));
	WARN_ON(req_register(c, UA(UA_HUGE), 32 * PG));
	WARN_ON(req_map(c, 0, UA(UA_HUGE), 4 * PG, RW));
	WARN_ON(req_create(c, 16, MB, 1, NULL));
	WARN_ON(req_unmap(c, 0, PG));
	WARN_ON(req_remove(c, WINDOW1));
	WARN_ON(req_unregister(c, UA(UA_HUGE), 32 * PG) != -EBUSY);
	vfio_close(c);
	others_ran = true;
}

TEST_F(world, stuck_mm_register)
{
	others = self->c + 1;
	others_mm = self->other;
	host_stuck = others_do_all;
	self->mm->stuck = true;
	EXPECT_WORKS(req_register(self->c, UA(0), 16 * PG));
	EXPECT_TRUE(others_ran);
	EXPECT_EQ(current->mm, self->mm);
	EXPECT_FALSE(self->mm->stuck);
	host_stuck = NULL;
}

/* What the other container of the same process can do, and what it waits for */
static struct host_container *sibling;
static struct mm_struct *sibling_mm;
static unsigned long sibling_ran, sibling_page;
static struct mm_iommu_region_info sibling_info;

static void sibling_does_all(void)
{
	struct host_container *c = sibling;
	unsigned long ua = UA(sibling_page);

	current->mm = sibling_mm;
	sibling_mm->stuck = false;
	sibling_mm->stuck_fault = false;
	/* Nobody sees a region that is not complete, or not any more */
	WARN_ON(mm_iommu_lookup(sibling_mm, ua, PG));
	WARN_ON(mm_iommu_next_region(sibling_mm, 0, &sibling_info));
	WARN_ON(req_register(c, UA(UA_HUGE), 32 * PG));
	WARN_ON(req_map(c, 0, UA(UA_HUGE), 4 * PG, RW));
	WARN_ON(req_map(c, 0, ua, PG, RW) != -EINVAL);
	WARN_ON(req_unmap(c, 0, 4 * PG));
	WARN_ON(req_unregister(c, UA(UA_HUGE), 32 * PG));
	/* Who waits for it can be killed */
	current->killed = true;
	WARN_ON(req_register(c, ua, 16 * PG) != -EINTR);
	current->killed = false;
	sibling_ran++;
}

static void sibling_does_all_beside_a_new_region(void)
{
	unsigned long ua = UA(sibling_page);

	sibling_does_all();
	/* There is nothing to wait for when it is in the way */
	WARN_ON(req_register(sibling, ua + 8 * PG, 16 * PG) != -EINVAL);
	WARN_ON(req_register(sibling, ua - 8 * PG, 16 * PG) != -EINVAL);
	WARN_ON(req_register(sibling, ua, 8 * PG) != -EINVAL);
	WARN_ON(req_register(sibling, ua - 8 * PG, 32 * PG) != -EINVAL);
}

TEST_F(world, register_beside_one_being_made)
{
	int fault;

	sibling = second(self->c);
	sibling_mm = self->mm;
	sibling_page = 16;
	for (fault = 0; fault < 2; fault++) {
		host_stuck = sibling_does_all_beside_a_new_region;
		self->mm->stuck = !fault;
		self->mm->stuck_fault = fault;
		EXPECT_WORKS(req_register(self->c, UA(16), 16 * PG));
		EXPECT_EQ(sibling_ran, fault + 1);
		host_stuck = NULL;
		EXPECT_WORKS(req_register(sibling, UA(16), 16 * PG));
		EXPECT_EQ(host_usage.pins, 16);
		EXPECT_WORKS(req_unregister(sibling, UA(16), 16 * PG));
		EXPECT_WORKS(req_unregister(self->c, UA(16), 16 * PG));
	}
}

TEST_F(world, register_beside_one_being_unpinned)
{
	sibling = second(self->c);
	sibling_mm = self->mm;
	sibling_page = 16;
	EXPECT_WORKS(req_register(self->c, UA(16), 16 * PG));
	host_stuck = sibling_does_all;
	self->mm->stuck = true;
	EXPECT_WORKS(req_unregister(self->c, UA(16), 16 * PG));
	EXPECT_EQ(sibling_ran, 1);
	host_stuck = NULL;
	EXPECT_WORKS(req_register(sibling, UA(8), 16 * PG));
}

static void be_killed(void)
{
	current->killed = true;
	sibling_ran++;
}

/* Charging and pinning end when the process is killed, however stuck it is */
TEST_F(world, register_stuck_and_killed)
{
	int fault;

	for (fault = 0; fault < 2; fault++) {
		self->digest = world_digest(self->mm);
		host_stuck = be_killed;
		self->mm->stuck = !fault;
		self->mm->stuck_fault = fault;
		EXPECT_EQ(req_register(self->c, UA(16), 16 * PG), -EINTR);
		current->killed = false;
		EXPECT_EQ(sibling_ran, fault + 1);
		EXPECT_EQ(world_digest(self->mm), self->digest);
		world_check();
	}
	EXPECT_WORKS(req_register(self->c, UA(16), 16 * PG));
}

/* Another thread wants the same, and gets it */
static pthread_t waiter;
static long waiter_ret;

static void *wait_for_region(void *arg)
{
	rcu_register_thread();
	current->mm = sibling_mm;
	waiter_ret = req_register(sibling, UA(16), 16 * PG);
	rcu_unregister_thread();

	return arg;
}

static void let_sibling_wait(void)
{
	unsigned long slept = READ_ONCE(host_sleeps);

	sibling_mm->stuck = false;
	sibling_mm->stuck_fault = false;
	pthread_create(&waiter, NULL, wait_for_region, NULL);
	while (READ_ONCE(host_sleeps) == slept)
		sched_yield();
	sibling_ran++;
}

TEST_F(world, register_waits_for_the_same)
{
	struct host_region region;

	sibling = second(self->c);
	sibling_mm = self->mm;
	host_stuck = let_sibling_wait;
	self->mm->stuck_fault = true;
	EXPECT_EQ(req_register(self->c, UA(16), 16 * PG), 0);
	pthread_join(waiter, NULL);
	EXPECT_EQ(sibling_ran, 1);
	EXPECT_EQ(waiter_ret, 0);
	ASSERT_TRUE(glue_region_at(self->mm, UA(16), &region));
	EXPECT_EQ(region.used, 2);
	EXPECT_EQ(self->mm->locked_vm, 16);
	world_check();

	/* The first one fails: the second one makes it */
	EXPECT_WORKS(req_unregister(self->c, UA(16), 16 * PG));
	EXPECT_WORKS(req_unregister(sibling, UA(16), 16 * PG));
	self->mm->pte[31].readonly = true;
	self->mm->stuck_fault = true;
	EXPECT_EQ(req_register(self->c, UA(16), 16 * PG), -EFAULT);
	pthread_join(waiter, NULL);
	EXPECT_EQ(sibling_ran, 2);
	EXPECT_EQ(waiter_ret, -EFAULT);
	self->mm->pte[31].readonly = false;
	world_check();
}

/* Registers @nr regions of a page, maps each and closes the container */
static void leave_mapped(struct mm_struct *mm, struct host_container *c,
			 unsigned long first, unsigned long nr)
{
	unsigned long i;

	for (i = first; i < first + nr; i++) {
		WARN_ON(req_register(c, UA(i), PG));
		WARN_ON(!mm_iommu_ref(mm_iommu_lookup(mm, UA(i), PG), 1, true));
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
		mm_iommu_unref_range(self->mm, NULL, UA(i), 1, PAGE_SHIFT);
	EXPECT_EQ(host_works(), 1);
	EXPECT_EQ(self->mm->locked_vm, 32);

	/* The worker may wait for the process, the others do not wait for him */
	others = self->c + 1;
	others_mm = self->other;
	others_ran = false;
	host_stuck = others_do_all;
	self->mm->stuck = true;
	host_run_works();
	EXPECT_TRUE(others_ran);
	host_stuck = NULL;
	EXPECT_EQ(self->mm->locked_vm, 0);
	EXPECT_EQ(host_usage.pins, 0);
	world_check();
}

static void run_works(void)
{
	sibling_mm->stuck = false;
	host_run_works();
	sibling_ran++;
}

/* The worker finds a region that somebody else is taking apart, */
TEST_F(world, abandoned_region_is_taken_apart)
{
	sibling = second(self->c);
	sibling_mm = self->mm;
	leave_mapped(self->mm, self->c, 16, 1);
	mm_iommu_unref_range(self->mm, NULL, UA(16), 1, PAGE_SHIFT);
	host_stuck = run_works;
	self->mm->stuck = true;
	EXPECT_EQ(host_works(), 1);
	EXPECT_EQ(req_register(sibling, UA(16), PG), 0);
	EXPECT_EQ(sibling_ran, 1);
	/* What frees regions comes when readers have gone, at any moment */
	host_settle();
	EXPECT_EQ(host_works(), 0);
	EXPECT_EQ(self->mm->locked_vm, 1);
	host_stuck = NULL;
}

/* ... or is at it himself, */
TEST_F(world, abandoned_region_is_reaped)
{
	sibling = second(self->c);
	sibling_mm = self->mm;
	sibling_page = 16;
	leave_mapped(self->mm, self->c, 16, 1);
	mm_iommu_unref_range(self->mm, NULL, UA(16), 1, PAGE_SHIFT);
	host_stuck = sibling_does_all;
	self->mm->stuck = true;
	host_run_works();
	EXPECT_EQ(sibling_ran, 1);
	host_stuck = NULL;
	EXPECT_WORKS(req_register(sibling, UA(16), PG));
	EXPECT_EQ(host_usage.pins, 1);
}

/* ... or comes last, when all of it is done and the range is another's */
TEST_F(world, abandoned_region_is_replaced)
{
	sibling = second(self->c);
	leave_mapped(self->mm, self->c, 16, 1);
	mm_iommu_unref_range(self->mm, NULL, UA(16), 1, PAGE_SHIFT);
	EXPECT_EQ(req_register(sibling, UA(8), 16 * PG), 0);
	/* ... and one that frees it, if readers have gone */
	EXPECT_GE(host_works(), 1);
	host_run_works();
	EXPECT_EQ(self->mm->locked_vm, 16);
	EXPECT_NE(mm_iommu_lookup(self->mm, UA(8), 16 * PG), NULL);
	world_check();
}

/* The model does see when another process waits, */
static void wait_for_others_mm(void)
{
	host_stuck = others_do_all;
	account_locked_vm(others_mm, 1, true);
}

static DEFINE_MUTEX(stuck_lock);

static void others_lock(void)
{
	current->mm = others_mm;
	mutex_lock(&stuck_lock);
}

/* ... or wants a lock of who waits */
static void wait_with_a_lock(void)
{
	host_stuck = others_lock;
	mutex_lock(&stuck_lock);
	current->mm->stuck = true;
	account_locked_vm(current->mm, 1, true);
}

static bool dies(void (*what)(void))
{
	pid_t pid = fork();
	int status = 0;

	if (!pid) {
		what();
		_exit(0);
	}

	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
		WTERMSIG(status) == SIGABRT;
}

/* To wait for the own mm ends when the process is killed; nothing has changed */
static void others_kill_me(void)
{
	others_ran = true;
	current->killed = true;
}

TEST_F(world, stuck_mm_map_is_killed)
{
	struct tce_iter cur = { };
	unsigned long charges;
	u64 start;

	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), 64 * PG));
	EXPECT_WORKS(req_create(self->c, 16, 1UL << 40, 1, &start));
	charges = self->mm->charges;
	self->digest = world_digest(self->mm);
	host_stuck = others_kill_me;
	self->mm->stuck = true;
	/* levels of more than a page */
	cur.tree = &table_of(self->c, 1)->it_tree;
	EXPECT_EQ(tce_iter_reserve(&cur, 0, 1UL << 16, GFP_KERNEL), -EINTR);
	EXPECT_TRUE(others_ran);
	EXPECT_EQ(self->mm->charges, charges);
	EXPECT_EQ(world_digest(self->mm), self->digest);
	/* What is not to be made can be done still, and all can be given back */
	EXPECT_WORKS(req_unmap(self->c, start, 64 * PG));
	EXPECT_WORKS(req_unregister(self->c, UA(UA_HUGE), 64 * PG));
	EXPECT_WORKS(req_remove(self->c, start));
	current->killed = false;
	host_stuck = NULL;
}

TEST_F(world, stuck_mm_is_seen)
{
	others_mm = self->other;
	self->other->stuck = true;
	EXPECT_TRUE(dies(wait_for_others_mm));
	EXPECT_TRUE(dies(wait_with_a_lock));
	self->other->stuck = false;
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

/*
 * Registered memory as KVM sees it.
 */

TEST_F(world, region_lookup)
{
	struct mm_iommu_table_group_mem_t *mem;
	struct host_region region;

	EXPECT_EQ(mm_iommu_lookup(self->mm, UA(0), PG), NULL);
	EXPECT_WORKS(req_register(self->c, UA(8), 8 * PG));
	mem = mm_iommu_lookup(self->mm, UA(8), PG);
	ASSERT_NE(mem, NULL);
	EXPECT_EQ(mm_iommu_lookup(self->mm, UA(8), 8 * PG), mem);
	EXPECT_EQ(mm_iommu_lookup(self->mm, UA(8) + 1, 8 * PG - 1), mem);
	EXPECT_EQ(mm_iommu_lookup(self->mm, UA(8) + 1, 8 * PG), NULL);
	EXPECT_EQ(mm_iommu_lookup(self->mm, UA(15), PG), mem);
	EXPECT_EQ(mm_iommu_lookup(self->mm, UA(15), PG + 1), NULL);
	EXPECT_EQ(mm_iommu_lookup(self->mm, UA(7), PG), NULL);
	EXPECT_EQ(mm_iommu_lookup(self->mm, UA(16), PG), NULL);
	EXPECT_EQ(mm_iommu_lookup(self->other, UA(8), PG), NULL);

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

	EXPECT_WORKS(req_register(self->c, UA(8), 8 * PG));
	mem = mm_iommu_lookup(self->mm, UA(8), PG);
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
	EXPECT_TRUE(mm_iommu_is_ram(mem));
	mm_iommu_unref_range(self->mm, NULL, UA(8), 1, PAGE_SHIFT);
	EXPECT_FALSE(mm_iommu_is_ram(mem));
	EXPECT_FALSE(mm_iommu_ref(mem, 1, true));
	EXPECT_EQ(mm_iommu_ref_range(self->mm, NULL, UA(8), 1, PAGE_SHIFT, true), -EINVAL);
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
	mem = mm_iommu_lookup(self->mm, UA(8), PG);
	EXPECT_EQ(req_unregister(self->c, UA(8), 8 * PG), 0);
	EXPECT_EQ(mm_iommu_ua_to_hpa(mem, UA(8), PAGE_SHIFT, &hpa), 0);
	EXPECT_FALSE(mm_iommu_ref(mem, 1, true));
	EXPECT_FALSE(mm_iommu_is_ram(mem));
	EXPECT_EQ(mm_iommu_lookup(self->mm, UA(8), PG), NULL);
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
		mem = mm_iommu_lookup(self->mm, UA(8), PG);
		EXPECT_TRUE(mm_iommu_ref(mem, 1, write));
		mm_iommu_unref_range(self->mm, NULL, UA(8), 1, PAGE_SHIFT);
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
	a = mm_iommu_lookup(self->mm, UA(8), PG);
	b = mm_iommu_lookup(self->mm, UA(16), PG);
	EXPECT_TRUE(mm_iommu_ref(a, 1, true));
	EXPECT_TRUE(mm_iommu_ref(b, 1, true));
	vfio_close(self->c);
	mm_iommu_unref_range(self->mm, NULL, UA(8), 1, PAGE_SHIFT);
	EXPECT_EQ(req_register(other, UA(4), 16 * PG), -EINVAL);
	EXPECT_EQ(req_register(other, UA(8), 8 * PG), 0);
	EXPECT_EQ(req_register(other, UA(16), 8 * PG), -EBUSY);
	EXPECT_EQ(req_unregister(other, UA(8), 8 * PG), 0);
	mm_iommu_unref_range(self->mm, NULL, UA(16), 1, PAGE_SHIFT);
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
	EXPECT_EQ(mm_iommu_ref_range(self->mm, NULL, UA(4), 13, PAGE_SHIFT, true), -EINVAL);
	world_check();
	EXPECT_EQ(mm_iommu_ref_range(self->mm, NULL, UA(4), 12, PAGE_SHIFT, true), 0);
	glue_region_at(self->mm, UA(0), &region);
	EXPECT_EQ(region.mapped, 5);
	glue_region_at(self->mm, UA(8), &region);
	EXPECT_EQ(region.mapped, 9);
	mm_iommu_translate_range(self->mm, NULL, UA(4), 12, PAGE_SHIFT, 3, tces);
	for (i = 0; i < 12; i++)
		EXPECT_EQ(tce_load(tces + i), hpa_of(self->mm, UA(4 + i)) + 3);
	mm_iommu_unref_range(self->mm, NULL, UA(4), 12, PAGE_SHIFT);
	world_check();
}

TEST_F(world, region_bad_ranges)
{
	struct mm_iommu_table_group_mem_t *mem;

	EXPECT_EQ(mm_iommu_new(self->mm, UA(0), 0, &mem), -EINVAL);
	EXPECT_EQ(mm_iommu_new(self->mm, UA(0) + 1, 1, &mem), -EINVAL);
	EXPECT_EQ(mm_iommu_new(self->mm, UA(0), ~0UL, &mem), -EINVAL);
	EXPECT_EQ(mm_iommu_new(self->mm, -PG, 2, &mem), -EINVAL);
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
	mem = mm_iommu_lookup(self->mm, UA(100), PG);
	ASSERT_NE(mem, NULL);
	EXPECT_EQ(mm_iommu_unregister(self->mm, mem, false), 0);
}

TEST_F(world, device_memory)
{
	struct mm_iommu_table_group_mem_t *mem;
	unsigned long hpa, n;

	EXPECT_EQ(mm_iommu_newdev(self->mm, UA(0), 8, (5UL << 40) + 1, &mem), -EINVAL);
	/* The list of regions, then the region, its unit, its place in the list */
	for (n = 0; n < 4; n++) {
		fail_arm_from(max(n, 1UL));
		EXPECT_EQ(mm_iommu_newdev(self->mm, UA(0), 8, 5UL << 40, &mem), -ENOMEM);
		fail_arm(0);
		EXPECT_EQ(mm_iommu_lookup(self->mm, UA(0), PG), NULL);
	}
	EXPECT_EQ(mm_iommu_newdev(self->mm, UA(0), 8, 5UL << 40, &mem), 0);
	EXPECT_EQ(self->mm->locked_vm, 0);
	EXPECT_EQ(mm_iommu_ua_to_hpa(mem, UA(3) + 4, PAGE_SHIFT, &hpa), 0);
	EXPECT_EQ(hpa, (5UL << 40) + 3 * PG + 4);
	EXPECT_FALSE(mm_iommu_is_ram(mem));
	/* Neither is ordinary memory device memory nor the other way round */
	EXPECT_EQ(req_register(self->c, UA(0), 8 * PG), -EINVAL);
	EXPECT_EQ(mm_iommu_unregister(self->mm, mem, true), 0);
	EXPECT_WORKS(req_register(self->c, UA(0), 8 * PG));
	EXPECT_EQ(mm_iommu_newdev(self->mm, UA(0), 8, 5UL << 40, &mem), -EINVAL);
	EXPECT_TRUE(mm_iommu_is_ram(mm_iommu_lookup(self->mm, UA(0), PG)));
}

/* An IOMMU page is backed when user and real address are alike enough */
TEST_F(world, device_memory_alignment)
{
	struct mm_iommu_table_group_mem_t *mem;

	EXPECT_EQ(mm_iommu_newdev(self->mm, UA(0), 2 * HOST_2M_PAGES,
				  (5UL << 40) + MB, &mem), 0);
	EXPECT_EQ(mm_iommu_ref_range(self->mm, mem, UA(0), 1, 20, true), 0);
	mm_iommu_unref_range(self->mm, NULL, UA(0), 1, 20);
	EXPECT_EQ(mm_iommu_ref_range(self->mm, mem, UA(0), 1, 21, true), -EPERM);
	EXPECT_EQ(mm_iommu_unregister(self->mm, mem, true), 0);
}

/*
 * Mapping.
 */

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
	EXPECT_WORKS(req_register(self->c, UA(8), 8 * PG));
	EXPECT_WORKS(req_map(self->c, 0, UA(7), 2 * PG, RW));
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

/*
 * Windows.
 */

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
	EXPECT_EQ(self->mm->locked_vm - 64,
		  DIV_ROUND_UP(host_usage.level_bytes -
			       (HOST_PES - 1) * host->it_tree.bytes.counter, PG));
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
	static const struct {
		u32 page_shift;
		u64 size;
		u32 levels;
	} bad[] = {
		{ 16, MB, 0 },
		{ 16, MB, 6 },
		{ 64, MB, 1 },
		{ 16, MB + K64, 1 },
		{ 16, 0, 1 },
		{ 16, K64 / 2, 1 },
	};
	struct iommu_table *tbl;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_FAILS(-EINVAL,
			     group->ops->create_user_table(group, 1,
							   bad[i].page_shift,
							   bad[i].size,
							   bad[i].levels,
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

/* The first who changes something owns it, the first who looks does not */
TEST_F(world, owner)
{
	struct vfio_iommu_spapr_tce_info info = { .argsz = sizeof(info) };

	current->mm = self->other;
	EXPECT_WORKS(vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info));
	current->mm = self->mm;
	EXPECT_WORKS(req_register(self->c, UA(0), PG));
	current->mm = self->other;
	EXPECT_FAILS(-EPERM, req_register(self->c, UA(1), PG));
	EXPECT_FAILS(-EPERM, req_map(self->c, 0, UA(0), PG, RW));
	EXPECT_FAILS(-EPERM, req_unmap(self->c, 0, PG));
	EXPECT_FAILS(-EPERM, vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info));
	EXPECT_FAILS(-EPERM, vfio_ioctl(self->c, 12345, &info));
	/* Closed by somebody else, it goes all the same */
	vfio_close(self->c);
	world_check();
	EXPECT_EQ(self->mm->locked_vm, 0);
	current->mm = self->mm;
}

/* What a request that fails has made goes with it, and nobody is the owner */
TEST_F(world, owner_of_a_failure)
{
	struct host_container *old = version1(self->c);
	struct glue_container state;
	char arg[16] = { 0 };
	unsigned long n;

	current->mm = self->other;
	EXPECT_FAILS(-EPERM, req_map(self->c, 0, UA(0), PG, RW));
	EXPECT_FAILS(-EINVAL, req_unmap(self->c, 0, 100));
	EXPECT_FAILS(-EFAULT, req_register(self->c, UA(UA_END), PG));
	EXPECT_FAILS(-ENOENT, req_unregister(self->c, UA(0), PG));
	EXPECT_FAILS(-EINVAL, req_remove(self->c, MB));
	EXPECT_FAILS(-EPERM, req_map(old, 0, UA(0), PG, RW));
	EXPECT_FAILS(-EPERM, req_unmap(old, 0, PG));
	self->other->limit = 1;
	EXPECT_FAILS(-ENOMEM, vfio_ioctl(old, VFIO_IOMMU_ENABLE, arg));
	self->other->limit = 1UL << 40;
	EXPECT_EQ(self->other->count, 1);
	/* The default window is made, and then the other one is not */
	for (n = 1; n < 100; n++) {
		fail_arm(n);
		if (!req_create(self->c, 16, MB, 1, NULL))
			break;
		EXPECT_TRUE(fail_fired());
		glue_container_get(self->c->data, &state);
		EXPECT_EQ(state.mm, NULL);
		EXPECT_TRUE(state.default_pending);
		EXPECT_EQ(state.tables[0], NULL);
		EXPECT_EQ(self->other->count, 1);
		EXPECT_EQ(self->other->locked_vm, 0);
		world_check();
	}
	fail_arm(0);
	EXPECT_GT(n, 10);
	current->mm = self->mm;
	EXPECT_FAILS(-EPERM, req_register(self->c, UA(0), PG));
	EXPECT_WORKS(vfio_ioctl(old, VFIO_IOMMU_ENABLE, arg));
	EXPECT_WORKS(req_map(old, 0, UA(0), PG, RW));
}

/*
 * Another process asks, and asks the owner's requests, while one of them takes
 * its time, with the container's lock.
 */
static struct slow {
	struct host_container *c;
	struct mm_struct *mm;
	pthread_barrier_t barrier;
	long ret;
} slow;
static __thread bool slow_here;

static void slow_copied(void)
{
	if (!slow_here)
		return;
	slow_here = false;
	pthread_barrier_wait(&slow.barrier);
	pthread_barrier_wait(&slow.barrier);
}

static void *slow_thread(void *arg)
{
	rcu_register_thread();
	current->mm = slow.mm;
	slow_here = true;
	slow.ret = req_register(slow.c, UA(100), PG);
	rcu_unregister_thread();

	return arg;
}

static pthread_t slow_begins(struct host_container *c, struct mm_struct *mm)
{
	pthread_t thread;

	slow.c = c;
	slow.mm = mm;
	pthread_barrier_init(&slow.barrier, NULL, 2);
	host_copied = slow_copied;
	pthread_create(&thread, NULL, slow_thread, NULL);
	pthread_barrier_wait(&slow.barrier);

	return thread;
}

static long slow_ends(pthread_t thread)
{
	pthread_barrier_wait(&slow.barrier);
	pthread_join(thread, NULL);
	host_copied = NULL;

	return slow.ret;
}

static bool shows(struct host_container *c, const char *text)
{
	struct seq_file m = { };

	glue_container_fdinfo(c->data, &m);

	return strstr(m.text, text);
}

TEST_F(world, who_waits_for_the_owner)
{
	struct vfio_iommu_spapr_tce_info info = { .argsz = sizeof(info) };
	pthread_t thread;

	EXPECT_WORKS(req_create(self->c, 16, MB, 1, NULL));
	thread = slow_begins(self->c, self->mm);
	EXPECT_TRUE(shows(self->c, " start=0x800000000000000 "));
	current->mm = self->other;
	EXPECT_EQ(req_map(self->c, 0, UA(0), PG, RW), -EPERM);
	EXPECT_EQ(vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info), -EPERM);
	EXPECT_EQ(vfio_ioctl(self->c, VFIO_EEH_PE_OP, &info), -EPERM);
	EXPECT_EQ(vfio_ioctl(self->c, 12345, &info), -EPERM);
	current->mm = self->mm;
	current->killed = true;
	EXPECT_EQ(req_map(self->c, 0, UA(0), PG, RW), -EINTR);
	EXPECT_EQ(vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info), -EINTR);
	EXPECT_EQ(eeh_op(self->c, VFIO_EEH_PE_GET_STATE), -EINTR);
	EXPECT_EQ(vfio_attach(self->c, host_pes + 1), -EINTR);
	current->killed = false;
	EXPECT_EQ(slow_ends(thread), 0);
	world_check();
}

/* As long as it is open who will be the owner, nobody is refused */
TEST_F(world, who_waits_for_nobodys_first_request)
{
	struct vfio_iommu_spapr_tce_info info = { .argsz = sizeof(info) };
	pthread_t thread;

	thread = slow_begins(self->c, self->other);
	EXPECT_TRUE(shows(self->c, "tce_registered:\t0\n"));
	current->killed = true;
	EXPECT_EQ(vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info), -EINTR);
	EXPECT_EQ(req_register(self->c, UA(0), PG), -EINTR);
	current->killed = false;
	/* The other one fails, and this one is the first */
	mm_unmap(self->other, 100, 1);
	EXPECT_EQ(slow_ends(thread), -EFAULT);
	EXPECT_WORKS(req_register(self->c, UA(0), PG));
}

/* Two who are about to make their first request: one of them is the owner */
static struct host_container *wanted;
static struct mm_struct *wanted_by;

static void want(void)
{
	struct mm_struct *mm = current->mm;

	host_preempt = NULL;
	current->mm = wanted_by;
	req_register(wanted, UA(1), PG);
	current->mm = mm;
}

TEST_F(world, owner_of_two_at_once)
{
	wanted = self->c;
	wanted_by = self->other;
	host_preempt = want;
	EXPECT_EQ(req_register(self->c, UA(0), PG), -EPERM);
	EXPECT_EQ(host_preempt, NULL);
	world_check();
	EXPECT_EQ(self->mm->locked_vm, 0);
	EXPECT_EQ(self->other->locked_vm, 1);
}

/*
 * The last group leaves while a request is about to take the container's lock.
 */
static struct host_container *left;

static void leave(void)
{
	host_preempt = NULL;
	vfio_close(left);
}

static void leave_and_come_back(void)
{
	leave();
	vfio_attach(left, host_pes);
	vfio_set_iommu(left, VFIO_SPAPR_TCE_v2_IOMMU);
	req_register(left, UA(0), 4 * PG);
}

static void (* const leave_hooks[])(void) = { leave, leave_and_come_back };

TEST_F(world, last_group_leaves)
{
	struct vfio_iommu_spapr_tce_info info = { .argsz = sizeof(info) };
	unsigned int i, k;
	long ret;

	left = self->c;
	for (i = 0; i < 10; i++) {
		for (k = 0; k < 2; k++) {
			EXPECT_WORKS(req_register(self->c, UA(16), PG));
			EXPECT_WORKS(req_map(self->c, 0, UA(16), PG, RW));
			host_preempt = leave_hooks[k];
			switch (i) {
			case 0:
				ret = req_map(self->c, 0, UA(16), PG, RW);
				break;
			case 1:
				ret = req_unmap(self->c, 0, PG);
				break;
			case 2:
				ret = req_register(self->c, UA(0), 4 * PG);
				break;
			case 3:
				ret = req_unregister(self->c, UA(16), PG);
				break;
			case 4:
				ret = req_create(self->c, 16, MB, 1, NULL);
				break;
			case 5:
				ret = req_remove(self->c, 0);
				break;
			case 6:
				ret = eeh_op(self->c, VFIO_EEH_PE_GET_STATE);
				break;
			default:
				ret = vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info);
				break;
			}
			EXPECT_EQ(ret, -EINVAL);
			EXPECT_EQ(host_preempt, NULL);
			EXPECT_EQ(self->mm->locked_vm, k ? 4 : 0);
			world_check();
			vfio_close(self->c);
			EXPECT_WORKS(vfio_attach(self->c, host_pes));
			EXPECT_WORKS(vfio_set_iommu(self->c, VFIO_SPAPR_TCE_v2_IOMMU));
		}
	}
}

/* ... or in the middle of an operation of EEH, which has no lock then */
static unsigned long leave_at;

static void leave_when_it_is_time(void)
{
	if (!leave_at--)
		leave();
}

TEST_F(world, last_group_leaves_in_a_reset)
{
	unsigned long n;

	for (n = 0; n < 8; n++) {
		left = self->c;
		leave_at = n;
		host_preempt = leave_when_it_is_time;
		eeh_op(self->c, VFIO_EEH_PE_RESET_HOT);
		if (host_preempt)
			break;
		world_check();
		EXPECT_EQ(host_pes[0].group_refs, 0);
		EXPECT_WORKS(vfio_attach(self->c, host_pes));
		EXPECT_WORKS(vfio_set_iommu(self->c, VFIO_SPAPR_TCE_v2_IOMMU));
	}
	host_preempt = NULL;
	EXPECT_GT(n, 1);
}

/* Who unbinds a device has its lock, for which a reset waits */
TEST_F(world, unbind_and_reset)
{
	EXPECT_EQ(eeh_op(self->c, VFIO_EEH_PE_RESET_HOT), 0);
	vfio_unbind(self->c, host_pes);
	world_check();
	EXPECT_WORKS(vfio_attach(self->c, host_pes));
	EXPECT_WORKS(vfio_set_iommu(self->c, VFIO_SPAPR_TCE_v2_IOMMU));
	EXPECT_WORKS(vfio_attach(self->c, host_pes + 1));
	EXPECT_EQ(eeh_op(self->c, VFIO_EEH_PE_RESET_HOT), 0);
	EXPECT_EQ(eeh_op(self->c, VFIO_EEH_PE_RESET_DEACTIVATE), 0);
	vfio_unbind(self->c, host_pes + 1);
	vfio_unbind(self->c, host_pes);
}

/*
 * Groups.
 */

TEST_F(world, groups_share_windows)
{
	u64 start;

	EXPECT_WORKS(req_create(self->c, 16, 1UL << 32, 1, &start));
	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), 64 * PG));
	EXPECT_WORKS(req_map(self->c, start, UA(UA_HUGE), 4 * K64, RW));
	EXPECT_WORKS(vfio_attach(self->c, host_pes + 1));
	EXPECT_WORKS(vfio_attach(self->c, host_pes + 3));
	EXPECT_REACHES(host_pes + 3, start, UA(UA_HUGE));
	EXPECT_WORKS(req_map(self->c, 0, UA(UA_HUGE), 4 * K64, RW));
	EXPECT_REACHES(host_pes + 1, 0, UA(UA_HUGE));
	vfio_detach(self->c, host_pes);
	world_check();
	EXPECT_REACHES(host_pes + 1, start, UA(UA_HUGE));
	EXPECT_WORKS(req_unmap(self->c, start, K64));
	EXPECT_FAULTS(host_pes + 3, start);
	vfio_detach(self->c, host_pes + 3);
	vfio_detach(self->c, host_pes + 1);
	world_check();
	EXPECT_EQ(self->mm->locked_vm, 0);
}

/* A PE whose bridge cannot do the page size of a window */
TEST_F(world, group_page_sizes)
{
	EXPECT_WORKS(req_create(self->c, 21, 1UL << 32, 1, NULL));
	EXPECT_FAILS(-EPERM, vfio_attach(self->c, host_pes + 3));
	EXPECT_WORKS(vfio_attach(self->c, host_pes + 2));
	EXPECT_WORKS(req_remove(self->c, WINDOW1));
	EXPECT_WORKS(vfio_attach(self->c, host_pes + 3));
	EXPECT_FAILS(-EINVAL, req_create(self->c, 21, 1UL << 32, 1, NULL));
}

TEST_F(world, group_checks)
{
	struct iommu_table_group *group = &host_pes[1].pe.table_group;
	struct iommu_table_group_ops ops = *group->ops, *real = group->ops;
	struct host_container *old = version1(self->c);

	EXPECT_FAILS(-EBUSY, vfio_attach(old, host_pes + 1));
	EXPECT_EQ(host_driver->attach_group(self->c->data, host_group(host_pes + 1),
					    VFIO_EMULATED_IOMMU), -EINVAL);
	group->max_dynamic_windows_supported = 0;
	EXPECT_FAILS(-EINVAL, vfio_attach(self->c, host_pes + 1));
	group->max_dynamic_windows_supported = 2;
	group->ops = &ops;
	EXPECT_FAILS(-EPERM, vfio_attach(self->c, host_pes + 1));
	group->ops = NULL;
	EXPECT_EQ(host_driver->attach_group(self->c->data, host_group(host_pes + 1),
					    VFIO_IOMMU), -EFAULT);
	group->ops = real;
}

/* Firmware refuses a window for one of two groups: neither has it */
TEST_F(world, window_refused_for_one)
{
	unsigned long n;
	long ret;

	EXPECT_WORKS(vfio_attach(self->c, host_pes + 1));
	EXPECT_WORKS(make_default(self->c));
	self->digest = world_digest(self->mm);
	for (n = 1;; n++) {
		fail_arm(n);
		ret = req_create(self->c, 16, MB, 1, NULL);
		if (!fail_fired())
			break;
		world_check();
		EXPECT_LT(ret, 0);
		EXPECT_EQ(world_digest(self->mm), self->digest);
		EXPECT_EQ(host_pes[0].tve[1].levels, 0);
		EXPECT_EQ(host_pes[1].tve[1].levels, 0);
	}
	fail_arm(0);
	EXPECT_EQ(ret, 0);
	EXPECT_NE(host_pes[1].tve[1].levels, 0);
}

/* Firmware does not remove a window: its table must never go */
TEST_F(world, window_not_removed)
{
	u64 start;

	EXPECT_WORKS(req_create(self->c, 16, MB, 1, &start));
	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), 64 * PG));
	EXPECT_WORKS(req_map(self->c, start, UA(UA_HUGE), 4 * K64, RW));
	machine_removal_fails = true;
	fail_arm(2);	/* the first step copies the request */
	EXPECT_EQ(req_remove(self->c, start), 0);
	EXPECT_TRUE(fail_fired());
	EXPECT_TRUE(host_pes[0].stuck);
	EXPECT_FAULTS(host_pes, start);
	EXPECT_EQ(host_usage.tables, HOST_PES - 1 + 2);
	EXPECT_WORKS(req_unregister(self->c, UA(UA_HUGE), 64 * PG));
	/* As if firmware had thought better of it, to end clean */
	host_pes[0].tve[1].levels = 0;
	{
		struct host_table *table, *stuck = NULL;

		list_for_each_entry(table, &host_tables, node)
			if (table->tbl.it_offset)
				stuck = table;
		ASSERT_NE(stuck, NULL);
		EXPECT_EQ(stuck->tbl.it_kref.count, 1);
		kfree(list_first_entry(&stuck->tbl.it_group_list,
				       struct iommu_table_group_link, next));
		INIT_LIST_HEAD(&stuck->tbl.it_group_list);
		iommu_tce_table_put(&stuck->tbl);
	}
	host_pes[0].stuck = false;
}

/*
 * Ownership.
 */

TEST_F(world, ownership_ends_bypass)
{
	EXPECT_EQ(machine_dma(host_pes + 1, WINDOW1 + 0x1000, true), 0x1000);
	EXPECT_WORKS(vfio_attach(self->c, host_pes + 1));
	EXPECT_FAULTS(host_pes + 1, WINDOW1 + 0x1000);
	EXPECT_EQ(host_pes[1].pe.table_group.tables[0], NULL);
	vfio_detach(self->c, host_pes + 1);
	EXPECT_EQ(machine_dma(host_pes + 1, WINDOW1 + 0x1000, true), 0x1000);
	EXPECT_NE(host_pes[1].pe.table_group.tables[0], NULL);
	world_check();
}

/* Whatever fails, and wherever the host left the PE, no bypass remains */
TEST_F(world, ownership_without_a_window)
{
	struct iommu_table_group *group = &host_pes[1].pe.table_group;
	unsigned long n, m;
	long ret;

	machine_removal_fails = true;
	for (n = 1; n < 20; n++) {
		EXPECT_EQ(group->ops->take_ownership(group, NULL), 0);
		EXPECT_EQ(group->ops->take_ownership(group, NULL), 0);
		fail_arm(n);
		group->ops->release_ownership(group, NULL);
		for (m = 1; m < 4; m++) {
			fail_arm(m);
			ret = group->ops->take_ownership(group, NULL);
			EXPECT_EQ(host_pes[1].pe.user_owned, !ret);
			fail_arm(0);
			host_pes[1].stuck = false;
			world_check();
			EXPECT_TRUE(!host_pes[1].pe.user_owned ||
				    faults(host_pes + 1, WINDOW1 + 0x1000));
			EXPECT_EQ(group->ops->take_ownership(group, NULL), 0);
			EXPECT_FAULTS(host_pes + 1, WINDOW1 + 0x1000);
			group->ops->release_ownership(group, NULL);
			EXPECT_EQ(machine_dma(host_pes + 1, WINDOW1, true), 0);
		}
	}
	/* Not taken: nothing to release */
	group->ops->release_ownership(group, NULL);
	world_check();
}

/* A PE whose last device was pulled out, whoever has it */
TEST_F(world, unplug)
{
	struct host_pe *hpe = host_pes + 1;
	struct iommu_table_group *group = &hpe->pe.table_group;
	struct iommu_table *tbl, *used[2];
	long tables = host_usage.tables;
	int num;

	/* the host: its table goes as well */
	pnv_pci_ioda2_release_pe_dma(&hpe->pe);
	EXPECT_EQ(host_usage.tables, tables - 1);
	EXPECT_TRUE(hpe->no_iommudata);
	EXPECT_FAULTS(hpe, WINDOW1 + 0x1000);
	EXPECT_FAULTS(hpe, 0);
	hpe->no_iommudata = false;
	EXPECT_EQ(pnv_pci_ioda2_setup_default_config(&hpe->pe), 0);
	EXPECT_EQ(host_usage.tables, tables);

	/* a process: whoever else has a reference keeps its tables */
	EXPECT_EQ(group->ops->take_ownership(group, NULL), 0);
	for (num = 0; num < 2; num++) {
		EXPECT_EQ(group->ops->create_user_table(group, num, 16, SZ_1G, 1,
							current->mm, &tbl), 0);
		EXPECT_EQ(group->ops->set_window(group, num, tbl), 0);
		used[num] = tbl;
	}
	pnv_pci_ioda2_release_pe_dma(&hpe->pe);
	for (num = 0; num < 2; num++) {
		EXPECT_EQ(group->tables[num], NULL);
		EXPECT_TRUE(list_empty(&used[num]->it_group_list));
		EXPECT_EQ(used[num]->it_kref.count, 1);
		iommu_tce_table_put(used[num]);
	}
	hpe->no_iommudata = false;
	group->ops->release_ownership(group, NULL);
	world_check();
}

/* Who does not give up a window keeps the bypass beside it */
TEST_F(world, ownership_refused)
{
	struct iommu_table_group *group = &host_pes[1].pe.table_group;

	machine_removal_fails = true;
	fail_arm(2);	/* the first ends the bypass */
	EXPECT_EQ(group->ops->take_ownership(group, NULL), -EIO);
	EXPECT_TRUE(fail_fired());
	host_pes[1].stuck = false;
	world_check();
	EXPECT_FALSE(host_pes[1].pe.user_owned);
	EXPECT_NE(group->tables[0], NULL);
	EXPECT_EQ(machine_dma(host_pes + 1, WINDOW1 + 0x1000, true), 0x1000);
}

/* The DMA API is told about the table that its devices have */
TEST_F(world, ownership_and_the_dma_api)
{
	struct iommu_table_group *group = &host_pes[1].pe.table_group;
	struct pci_bus bus = { LIST_HEAD_INIT(bus.devices) };
	struct pci_bus below = { LIST_HEAD_INIT(below.devices) };
	struct pci_dev bridge = { .subordinate = &below }, dev = { };

	list_add(&bridge.bus_list, &bus.devices);
	list_add(&dev.bus_list, &below.devices);
	host_pes[1].pe.pbus = &bus;
	host_pes[1].pe.flags = PNV_IODA_PE_BUS_ALL;
	EXPECT_EQ(group->ops->take_ownership(group, NULL), 0);
	group->ops->release_ownership(group, NULL);
	EXPECT_EQ(bridge.dev.archdata.iommu_table_base, group->tables[0]);
	EXPECT_EQ(dev.dev.archdata.iommu_table_base, group->tables[0]);
	EXPECT_EQ(dev.dev.archdata.dma_offset, WINDOW1);
	EXPECT_EQ(group->ops->take_ownership(group, NULL), 0);
	EXPECT_EQ(dev.dev.archdata.iommu_table_base, NULL);
	group->ops->release_ownership(group, NULL);
	host_pes[1].pe.pbus = NULL;
	host_pes[1].pe.pdev = &dev;
	EXPECT_EQ(group->ops->take_ownership(group, NULL), 0);
	EXPECT_EQ(dev.dev.archdata.iommu_table_base, NULL);
	group->ops->release_ownership(group, NULL);
	EXPECT_EQ(dev.dev.archdata.iommu_table_base, group->tables[0]);
	host_pes[1].pe.pdev = NULL;
}

TEST_F(world, page_sizes_of_bridges)
{
	EXPECT_EQ(pnv_ioda_parse_tce_sizes(host_pes[0].pe.phb),
		  SZ_4K | SZ_64K | SZ_2M | SZ_1G);
	EXPECT_EQ(pnv_ioda_parse_tce_sizes(host_pes[3].pe.phb),
		  SZ_4K | SZ_64K | SZ_16M | SZ_256M);
	/* A later bridge whose firmware says nothing */
	host_pes[0].pe.phb->hose->dn->nr_tce_sizes = 0;
	EXPECT_EQ(pnv_ioda_parse_tce_sizes(host_pes[0].pe.phb), SZ_4K | SZ_64K);
	host_pes[0].pe.phb->hose->dn->nr_tce_sizes = 4;
}

/*
 * The host's own tables.
 */

TEST_F(world, dma_api)
{
	struct iommu_table *tbl = host_pes[1].pe.table_group.tables[0];
	char *mem = aligned_alloc(PG, 4 * PG);
	unsigned long n;

	EXPECT_EQ(pnv_tce_get(tbl, 5), 0);
	EXPECT_EQ(pnv_tce_build(tbl, 1000, 4, (unsigned long)mem, DMA_TO_DEVICE, 0), 0);
	EXPECT_EQ(machine_dma(host_pes + 1, 1002 * PG + 5, false), (long)__pa(mem) + 2 * PG + 5);
	EXPECT_EQ(machine_dma(host_pes + 1, 1002 * PG + 5, true), -EFAULT);
	EXPECT_EQ(pnv_tce_get(tbl, 1003), (__pa(mem) + 3 * PG) | TCE_PCI_READ);
	pnv_tce_free(tbl, 1000, 4);
	pnv_pci_ioda2_tce_invalidate_pe(&host_pes[1].pe);
	EXPECT_EQ(pnv_tce_get(tbl, 1003), 0);
	EXPECT_FAULTS(host_pes + 1, 1002 * PG);
	/* Devices may have to read what they write */
	EXPECT_EQ(pnv_tce_build(tbl, 0, 1, (unsigned long)mem, DMA_FROM_DEVICE, 0), 0);
	EXPECT_EQ(pnv_tce_get(tbl, 0), __pa(mem) | TCE_PCI_READ | TCE_PCI_WRITE);
	/* Clearing makes no levels */
	n = host_usage.level_bytes;
	pnv_tce_free(tbl, 0, tbl->it_size);
	EXPECT_EQ(host_usage.level_bytes, n);
	pnv_pci_ioda2_tce_invalidate_pe(&host_pes[1].pe);
	fail_arm(1);
	n = pnv_tce_build(tbl, tbl->it_size - 1, 1, (unsigned long)mem, DMA_TO_DEVICE, 0);
	if (fail_fired())
		EXPECT_EQ(n, -ENOMEM);
	fail_arm(0);
	EXPECT_EQ(pnv_tce_get(tbl, tbl->it_size - 1), n ? 0 : __pa(mem) | TCE_PCI_READ);
	pnv_tce_free(tbl, tbl->it_size - 1, 1);
	pnv_pci_ioda2_tce_invalidate_pe(&host_pes[1].pe);
	EXPECT_EQ(self->mm->locked_vm, 0);
	free(mem);
}

/*
 * Lists, as KVM puts them. What KVM itself does is in kvm-unit.c.
 */

static int put_list(struct iommu_table *tbl, unsigned long entry,
		    const unsigned long *uas, unsigned long nr,
		    unsigned int page_shift)
{
	struct tce_batch list = {
		.uas = uas,
		.nr = nr,
		.page_shift = page_shift,
	};
	int ret = user_table_prepare_batch(tbl, entry, &list);

	return ret ? ret : user_table_commit_batch(tbl, entry, &list);
}

static struct iommu_table *table_of(struct host_container *c, unsigned int num)
{
	struct glue_container state;

	glue_container_get(c->data, &state);

	return state.tables[num];
}

TEST_F(world, list)
{
	unsigned long uas[] = {
		UA(UA_HUGE) + 3, UA(UA_HUGE) + K64 + 3, 0, UA(UA_HUGE) + 1,
		UA(UA_HUGE) + K64 + 3, UA(UA_HUGE) + 2 * K64 + 3,
	};
	struct tce_batch list = {
		.uas = uas,
		.nr = ARRAY_SIZE(uas),
		.page_shift = 16,
	};
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
	EXPECT_EQ(user_table_prepare_batch(tbl, first, &list), 0);
	user_table_cancel_batch(tbl, &list);
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
		fail_arm(n);
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
	struct iommu_table_group *group = &host_pes[0].pe.table_group;
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
	EXPECT_EQ(PTR_ERR(user_table_get(&host_pes[1].pe.table_group,
					 self->mm, 16, start, MB)),
		  -EINVAL);
	tbl = user_table_get(group, self->mm, 21, start, K64);
	ASSERT_EQ(tbl, table_of(self->c, 1));
	/* Dropped by the container, it is not found any more */
	EXPECT_WORKS(req_remove(self->c, start));
	EXPECT_EQ(PTR_ERR(user_table_get(group, self->mm, 16, start, MB)),
		  -EINVAL);
	iommu_tce_table_put(tbl);
}

/*
 * Kills.
 */

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
	hpe->pe.table_group.ops->take_ownership(&hpe->pe.table_group, NULL);
}

static void joiner_leaves(void)
{
	struct iommu_table_group *group = &joins.hpe->pe.table_group;

	group->ops->release_ownership(group, NULL);
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
	joins.tbl->it_ops->tce_kill(joins.tbl, joins.index, 1);
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

/*
 * Version 1.
 */

TEST_F(world, version1)
{
	struct host_container *c = version1(self->c);
	char arg[16] = { 0 };
	unsigned long i;

	EXPECT_FAILS(-EPERM, req_map(c, 0, UA(0), PG, RW));
	EXPECT_WORKS(vfio_ioctl(c, VFIO_IOMMU_DISABLE, arg));
	EXPECT_WORKS(vfio_ioctl(c, VFIO_IOMMU_ENABLE, arg));
	EXPECT_FAILS(-EBUSY, vfio_ioctl(c, VFIO_IOMMU_ENABLE, arg));
	EXPECT_EQ(self->mm->locked_vm, SZ_1G >> PAGE_SHIFT);
	EXPECT_WORKS(req_map(c, 0, UA(0), 64 * PG, RW));
	for (i = 0; i < 64; i++)
		EXPECT_REACHES(host_pes + 2, i * PG + PG - 5, UA(i) + PG - 5);
	EXPECT_WORKS(req_map(c, 8 * PG, UA(100), 4 * PG, VFIO_DMA_MAP_FLAG_READ));
	EXPECT_REACHES(host_pes + 2, 9 * PG, UA(101));
	EXPECT_EQ(machine_dma(host_pes + 2, 9 * PG, true), -EFAULT);
	/* Read-only memory may be read */
	EXPECT_FAILS(-EFAULT, req_map(c, 0, UA(UA_HOLES), 8 * PG, RW));
	EXPECT_WORKS(req_map(c, 0, UA(UA_HOLES), 8 * PG, VFIO_DMA_MAP_FLAG_READ));
	EXPECT_FAILS(-EFAULT, req_map(c, 0, UA(UA_HOLES), 16 * PG, RW));
	EXPECT_FAILS(-EINVAL, req_map(c, SZ_1G - PG, UA(0), 2 * PG, RW));
	EXPECT_WORKS(req_unmap(c, 4 * PG, PG));
	EXPECT_WORKS(vfio_ioctl(c, VFIO_IOMMU_DISABLE, arg));
	EXPECT_FAULTS(host_pes + 2, 0);
	EXPECT_EQ(host_usage.pins, 0);
	EXPECT_FAILS(-EPERM, req_map(c, 0, UA(0), PG, RW));
	EXPECT_WORKS(vfio_ioctl(c, VFIO_IOMMU_ENABLE, arg));
	EXPECT_WORKS(req_map(c, 0, UA(0), PG, RW));
}

TEST_F(world, version1_dirty)
{
	struct host_container *c = version1(self->c);
	struct page *page = self->mm->pte[0].page;
	char arg[16] = { 0 };

	EXPECT_WORKS(vfio_ioctl(c, VFIO_IOMMU_ENABLE, arg));
	EXPECT_WORKS(req_map(c, 0, UA(0), PG, VFIO_DMA_MAP_FLAG_READ));
	EXPECT_WORKS(req_unmap(c, 0, PG));
	EXPECT_FALSE(page->dirty);
	EXPECT_WORKS(req_map(c, 0, UA(0), PG, VFIO_DMA_MAP_FLAG_WRITE));
	EXPECT_REACHES(host_pes + 2, 0, UA(0));
	EXPECT_WORKS(req_unmap(c, 0, PG));
	EXPECT_TRUE(page->dirty);
}

TEST_F(world, version1_limit)
{
	struct host_container *c = version1(self->c);
	char arg[16] = { 0 };

	self->mm->limit = (SZ_1G >> PAGE_SHIFT) - 1;
	EXPECT_FAILS(-ENOMEM, vfio_ioctl(c, VFIO_IOMMU_ENABLE, arg));
	self->mm->limit++;
	EXPECT_WORKS(vfio_ioctl(c, VFIO_IOMMU_ENABLE, arg));
	EXPECT_FAILS(-ENOMEM, req_map(c, 0, UA(0), PG, RW));
	self->mm->limit += 16;
	EXPECT_WORKS(req_map(c, 0, UA(0), PG, RW));
	current->killed = true;
	EXPECT_FAILS(-EFAULT, req_map(c, 0, UA(0), PG, RW));
	current->killed = false;
}

/*
 * EEH.
 */

TEST_F(world, eeh)
{
	static const struct {
		u32 op;
		int call;
	} ops[] = {
		{ VFIO_EEH_PE_DISABLE, 100 + EEH_OPT_DISABLE },
		{ VFIO_EEH_PE_ENABLE, 100 + EEH_OPT_ENABLE },
		{ VFIO_EEH_PE_UNFREEZE_IO, 100 + EEH_OPT_THAW_MMIO },
		{ VFIO_EEH_PE_UNFREEZE_DMA, 100 + EEH_OPT_THAW_DMA },
		{ VFIO_EEH_PE_GET_STATE, 200 },
		{ VFIO_EEH_PE_RESET_DEACTIVATE, 300 + EEH_RESET_DEACTIVATE },
		{ VFIO_EEH_PE_RESET_HOT, 300 + EEH_RESET_HOT },
		{ VFIO_EEH_PE_RESET_FUNDAMENTAL, 300 + EEH_RESET_FUNDAMENTAL },
		{ VFIO_EEH_PE_CONFIGURE, 400 },
		{ VFIO_EEH_PE_INJECT_ERR, 512 },
	};
	struct vfio_eeh_pe_op arg = { .argsz = 4 };
	unsigned int i;

	EXPECT_WORKS(vfio_attach(self->c, host_pes + 1));
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		EXPECT_EQ(eeh_op(self->c, ops[i].op), 0);
		EXPECT_EQ(host_pes[0].eeh_last, ops[i].call);
		EXPECT_EQ(host_pes[1].eeh_last, ops[i].call);
	}
	EXPECT_EQ(eeh_op(self->c, 11), -EINVAL);
	host_pes[0].eeh_answer = VFIO_EEH_PE_STATE_STOPPED_DMA;
	i = host_pes[1].eeh_calls;
	EXPECT_EQ(eeh_op(self->c, VFIO_EEH_PE_GET_STATE), VFIO_EEH_PE_STATE_STOPPED_DMA);
	EXPECT_EQ(host_pes[1].eeh_calls, i);
	EXPECT_EQ(vfio_ioctl(self->c, VFIO_EEH_PE_OP, &arg), -EINVAL);
	arg.argsz = sizeof(arg);
	arg.flags = 1;
	EXPECT_EQ(vfio_ioctl(self->c, VFIO_EEH_PE_OP, &arg), -EINVAL);
	EXPECT_EQ(vfio_ioctl(self->c, VFIO_EEH_PE_OP, NULL), -EFAULT);
	/* Too short for an error to inject */
	host_pes[0].eeh_answer = 0;
	arg.flags = 0;
	arg.op = VFIO_EEH_PE_INJECT_ERR;
	arg.argsz = offsetofend(struct vfio_eeh_pe_op, op);
	EXPECT_EQ(vfio_ioctl(self->c, VFIO_EEH_PE_OP, &arg), -EINVAL);
}

/*
 * Tables in a hypervisor's hands.
 */

#define LPAR_MAP	1100UL	/* three lists */

FIXTURE(lpar)
{
	struct mm_struct *mm;
	struct host_container c;
	struct lpar before;
	u64 digest;
};

FIXTURE_VARIANT(lpar)
{
	unsigned long features;
};

FIXTURE_VARIANT_ADD(lpar, lists)
{
	.features = LPAR_ALL,
};

FIXTURE_VARIANT_ADD(lpar, lists_but_no_ranges)
{
	.features = FW_FEATURE_PUT_TCE_IND,
};

FIXTURE_VARIANT_ADD(lpar, one_by_one)
{
	.features = 0,
};

FIXTURE_SETUP(lpar)
{
	machine_init();
	lpar_init(variant->features);
	self->mm = mm_create(1UL << 40);
	current->mm = self->mm;
	memset(&self->c, 0, sizeof(self->c));
	world_check_containers(&self->c, 1);
	vfio_attach(&self->c, &lpar_pe);
	ASSERT_EQ(vfio_set_iommu(&self->c, VFIO_SPAPR_TCE_v2_IOMMU), 0);
}

static void check_all(void)
{
	world_check();
	lpar_check();
}

FIXTURE_TEARDOWN(lpar)
{
	vfio_close(&self->c);
	check_all();
	host_settle();
	mm_destroy(self->mm);
	machine_reset();
	world_check_empty();
	host_test_ends();
}

static struct lpar_plan refuse(unsigned long at, long rc)
{
	return (struct lpar_plan) { .at = at, .times = 1, .rc = rc };
}

static struct lpar_plan refuse_clear(unsigned long at, unsigned long times)
{
	return (struct lpar_plan) {
		.at = at, .times = times, .clears = true, .rc = H_HARDWARE,
	};
}

/* The request is refused, and all that there was is there */
#define EXPECT_UNDONE(error, call) do {					\
	self->digest = world_digest(self->mm);				\
	memcpy(&self->before, &lpar, sizeof(lpar));			\
	EXPECT_EQ(call, error);						\
	EXPECT_EQ(lpar.plans[0].times, 0);				\
	EXPECT_EQ(world_digest(self->mm), self->digest);		\
	EXPECT_EQ(memcmp(lpar.tces, self->before.tces,			\
			 sizeof(lpar.tces)), 0);			\
	check_all();							\
} while (0)

#define EXPECT_DONE(call) do {						\
	EXPECT_EQ(call, 0);						\
	EXPECT_EQ(lpar.plans[0].times, 0);				\
	check_all();							\
} while (0)

/* Levels are there before: those that a request made stay when it is refused */
#define MAKE_LEVELS() do {						\
	EXPECT_DONE(req_map(&self->c, 0, UA(0), LPAR_MAP * 4096, RW));	\
	EXPECT_DONE(req_unmap(&self->c, 0, LPAR_MAP * 4096));		\
} while (0)

/* In the middle, and where one list ends and the next begins */
static const unsigned long lpar_at[] = { 0, 1, 300, 511, 512, 513, 1024, 1099 };

static void refuse_map(struct __test_metadata *_metadata,
		       struct _test_data_lpar *self)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lpar_at); i++) {
		lpar.plans[0] = refuse(lpar_at[i], H_NOT_ENOUGH_RESOURCES);
		EXPECT_UNDONE(-ENOMEM, req_map(&self->c, 0, UA(0), LPAR_MAP * 4096, RW));
		lpar.plans[0] = refuse(lpar_at[i], H_PARAMETER);
		EXPECT_UNDONE(-EIO, req_map(&self->c, 0, UA(0), LPAR_MAP * 4096, RW));
	}
}

/* What a map would have replaced is there again, with the permissions it had */
static void refuse_over_map(struct __test_metadata *_metadata,
			    struct _test_data_lpar *self)
{
	MAKE_LEVELS();
	EXPECT_DONE(req_map(&self->c, 0, UA(UA_HUGE), 400 * 4096, RW));
	EXPECT_DONE(req_map(&self->c, 450 * 4096, UA(UA_MEDIUM), 200 * 4096,
			    VFIO_DMA_MAP_FLAG_READ));
	EXPECT_DONE(req_map(&self->c, 700 * 4096, UA(UA_MEDIUM) + 4096, 4096,
			    VFIO_DMA_MAP_FLAG_WRITE));
	refuse_map(_metadata, self);
}

TEST_F(lpar, map_refused)
{
	EXPECT_DONE(req_register(&self->c, UA(0), 1700 * PG));
	EXPECT_DONE(req_map(&self->c, 5000 * 4096, UA(0), 4096, RW));
	MAKE_LEVELS();
	refuse_map(_metadata, self);
	EXPECT_DONE(req_unmap(&self->c, 5000 * 4096, 4096));
	EXPECT_DONE(req_unregister(&self->c, UA(0), 1700 * PG));
}

TEST_F(lpar, over_map_refused)
{
	EXPECT_DONE(req_register(&self->c, UA(0), 1700 * PG));
	refuse_over_map(_metadata, self);
	EXPECT_EQ(req_unregister(&self->c, UA(0), 1700 * PG), -EBUSY);
	EXPECT_DONE(req_unmap(&self->c, 0, LPAR_TCES * 4096));
	EXPECT_DONE(req_unregister(&self->c, UA(0), 1700 * PG));
}

static void lpar_version1(struct __test_metadata *_metadata,
			  struct _test_data_lpar *self)
{
	vfio_close(&self->c);
	vfio_attach(&self->c, &lpar_pe);
	ASSERT_EQ(vfio_set_iommu(&self->c, VFIO_SPAPR_TCE_IOMMU), 0);
	ASSERT_EQ(vfio_ioctl(&self->c, VFIO_IOMMU_ENABLE, NULL), 0);
}

TEST_F(lpar, refused_v1)
{
	lpar_version1(_metadata, self);
	EXPECT_DONE(req_map(&self->c, 5000 * 4096, UA(0), 4096, RW));
	MAKE_LEVELS();
	refuse_map(_metadata, self);
	refuse_over_map(_metadata, self);
	EXPECT_DONE(req_unmap(&self->c, 0, LPAR_TCES * 4096));
	EXPECT_EQ(host_usage.pins, 0);
}

/* A part of a list, or none yet: all of it is done in the end */
TEST_F(lpar, partial_and_busy)
{
	static const long rcs[] = { H_BUSY, H_LONG_BUSY_ORDER_10_MSEC, H_PARTIAL };
	unsigned int i, j;

	EXPECT_DONE(req_register(&self->c, UA(0), 1700 * PG));
	/* A single TCE cannot be done in part */
	for (i = 0; i < ARRAY_SIZE(rcs) - !variant->features; i++) {
		for (j = 0; j < ARRAY_SIZE(lpar_at); j++) {
			lpar.plans[0] = refuse(lpar_at[j], rcs[i]);
			EXPECT_DONE(req_map(&self->c, 0, UA(j), LPAR_MAP * 4096, RW));
			EXPECT_EQ(lpar.tces[0][LPAR_MAP - 1],
				  hpa_of(self->mm, UA(j) + (LPAR_MAP - 1) * 4096) + 3);
		}
	}
	EXPECT_EQ(lpar.slept, 10 * ARRAY_SIZE(lpar_at));
	for (i = 0; i < 2 + !!(variant->features & FW_FEATURE_STUFF_TCE); i++) {
		EXPECT_DONE(req_map(&self->c, 0, UA(0), LPAR_MAP * 4096, RW));
		lpar.plans[0] = refuse_clear(700, 1);
		lpar.plans[0].rc = rcs[i];
		EXPECT_DONE(req_unmap(&self->c, 0, LPAR_MAP * 4096));
		EXPECT_EQ(lpar.tces[0][LPAR_MAP - 1], 0);
	}
	EXPECT_EQ(lpar.slept, 10 * ARRAY_SIZE(lpar_at) + 10);
}

/* Nothing is ever mapped that is not held: what cannot be put back is not */
TEST_F(lpar, undo_refused)
{
	unsigned long i, n;

	EXPECT_DONE(req_register(&self->c, UA(0), 1700 * PG));
	EXPECT_DONE(req_map(&self->c, 0, UA(UA_HUGE), LPAR_MAP * 4096, RW));
	EXPECT_DONE(req_map(&self->c, 2000 * 4096, UA(UA_HUGE), 4096, RW));
	lpar.plans[0] = refuse(700, H_NOT_ENOUGH_RESOURCES);
	/* The second list of those that are put back */
	lpar.plans[1] = refuse(600, H_NOT_ENOUGH_RESOURCES);
	EXPECT_EQ(req_map(&self->c, 0, UA(0), LPAR_MAP * 4096, RW), -EIO);
	EXPECT_EQ(lpar.plans[1].times, 0);
	check_all();
	for (i = 0, n = 0; i < LPAR_TCES; i++)
		n += !!lpar.tces[0][i];
	EXPECT_EQ(n, LPAR_MAP - 512 + 1);
	EXPECT_EQ(lpar.tces[0][511], hpa_of(self->mm, UA(UA_HUGE) + 511 * 4096) + 3);
	EXPECT_EQ(lpar.tces[0][512], 0);
	EXPECT_EQ(lpar.tces[0][1024], hpa_of(self->mm, UA(UA_HUGE) + 1024 * 4096) + 3);
	EXPECT_DONE(req_unmap(&self->c, 0, LPAR_TCES * 4096));
	EXPECT_DONE(req_unregister(&self->c, UA(0), 1700 * PG));
}

/* What the hypervisor does not clear stays held, and the rest is given back */
TEST_F(lpar, unmap_refused)
{
	struct host_region region;
	unsigned long i, left;

	EXPECT_DONE(req_register(&self->c, UA(0), 1700 * PG));
	EXPECT_DONE(req_map(&self->c, 0, UA(0), LPAR_MAP * 4096, RW));
	lpar.plans[0] = refuse_clear(600, 1);
	EXPECT_EQ(req_unmap(&self->c, 0, LPAR_MAP * 4096), -EIO);
	world_check();
	glue_region_at(self->mm, UA(0), &region);
	left = region.mapped - 1;
	EXPECT_GE(left, LPAR_MAP - 600);
	for (i = 0; i < LPAR_MAP; i++)
		if (lpar.tces[0][i])
			left--;
	/* What comes behind is cleared, whatever was refused before */
	EXPECT_EQ(lpar.tces[0][LPAR_MAP - 1], 0);
	/* Some of the 512 that were to be cleared at once are, but held */
	EXPECT_LE(left, 512);
	EXPECT_EQ(req_unregister(&self->c, UA(0), 1700 * PG), -EBUSY);
	EXPECT_DONE(req_unmap(&self->c, 0, LPAR_MAP * 4096));
	EXPECT_DONE(req_unregister(&self->c, UA(0), 1700 * PG));
}

TEST_F(lpar, unmap_refused_v1)
{
	lpar_version1(_metadata, self);
	EXPECT_DONE(req_map(&self->c, 0, UA(0), 1000 * 4096, RW));
	lpar.plans[0] = refuse_clear(600, 1);
	EXPECT_EQ(vfio_ioctl(&self->c, VFIO_IOMMU_DISABLE, NULL), -EIO);
	EXPECT_NE(host_usage.pins, 0);
	world_check();
	EXPECT_DONE(vfio_ioctl(&self->c, VFIO_IOMMU_DISABLE, NULL));
	EXPECT_EQ(host_usage.pins, 0);
}

/* It refuses to the end: the window goes, and then nothing leads to the pages */
TEST_F(lpar, close_refused)
{
	EXPECT_DONE(req_register(&self->c, UA(0), 1700 * PG));
	EXPECT_DONE(req_map(&self->c, 0, UA(0), LPAR_MAP * 4096, RW));
	lpar.plans[0] = refuse_clear(0, 10000);
	vfio_close(&self->c);
	lpar.plans[0].times = 0;
	check_all();
	EXPECT_EQ(host_usage.pins, 0);
	EXPECT_EQ(self->mm->locked_vm, 0);
}

/* A guest's list, of which some is to be unmapped */
TEST_F(lpar, list_refused)
{
	unsigned long uas[LPAR_MAP], i;
	struct iommu_table *tbl;

	EXPECT_DONE(req_register(&self->c, UA(0), 1700 * PG));
	MAKE_LEVELS();
	EXPECT_DONE(req_map(&self->c, 0, UA(UA_HUGE), 1000 * 4096, RW));
	tbl = table_of(&self->c, 0);
	for (i = 0; i < LPAR_MAP; i++)
		uas[i] = i % 3 ? (UA(0) + i * 4096) | TCE_PCI_READ : 0;
	for (i = 0; i < ARRAY_SIZE(lpar_at); i++) {
		lpar.plans[0] = refuse(lpar_at[i] / 2, H_NOT_ENOUGH_RESOURCES);
		EXPECT_UNDONE(-ENOMEM, put_list(tbl, 0, uas, LPAR_MAP, 12));
	}
	EXPECT_DONE(put_list(tbl, 0, uas, LPAR_MAP, 12));
	EXPECT_EQ(lpar.tces[0][0], 0);
	EXPECT_EQ(lpar.tces[0][1], hpa_of(self->mm, UA(0) + 4096) | TCE_PCI_READ);
}

/* A hypervisor is asked for what the process asked for, and for no more */
TEST_F(lpar, permissions)
{
	static const unsigned long perm[] = {
		[VFIO_DMA_MAP_FLAG_READ] = TCE_PCI_READ,
		[VFIO_DMA_MAP_FLAG_WRITE] = TCE_PCI_WRITE,
		[RW] = TCE_PCI_READ | TCE_PCI_WRITE,
	};
	unsigned long ua = UA(0);
	struct iommu_table *tbl;
	unsigned int flags;

	EXPECT_DONE(req_register(&self->c, UA(0), 1700 * PG));
	for (flags = VFIO_DMA_MAP_FLAG_READ; flags <= RW; flags++) {
		EXPECT_DONE(req_map(&self->c, 0, UA(0), 600 * 4096, flags));
		EXPECT_EQ(lpar.tces[0][0], hpa_of(self->mm, UA(0)) | perm[flags]);
		EXPECT_EQ(lpar.tces[0][599],
			  hpa_of(self->mm, UA(0) + 599 * 4096) | perm[flags]);
	}
	/* A guest, too */
	tbl = table_of(&self->c, 0);
	EXPECT_DONE(put_list(tbl, 0, (unsigned long[]) { ua | TCE_PCI_WRITE }, 1, 12));
	EXPECT_EQ(lpar.tces[0][0], hpa_of(self->mm, ua) | TCE_PCI_WRITE);
	EXPECT_DONE(req_unmap(&self->c, 0, 600 * 4096));
	EXPECT_DONE(req_unregister(&self->c, UA(0), 1700 * PG));
}

/* No more hypercalls than it takes */
TEST_F(lpar, hypercalls)
{
	EXPECT_DONE(req_register(&self->c, UA(0), 1700 * PG));
	EXPECT_DONE(req_map(&self->c, 0, UA(0), LPAR_MAP * 4096, RW));
	if (variant->features) {
		EXPECT_EQ(lpar.lists, 3);
		EXPECT_EQ(lpar.puts, 0);
		/* A list of one is none */
		EXPECT_DONE(req_map(&self->c, 0, UA(0), 4096, RW));
		EXPECT_EQ(lpar.lists, 3);
	} else {
		EXPECT_EQ(lpar.puts, LPAR_MAP);
	}
	lpar.puts = 0;
	EXPECT_DONE(req_unmap(&self->c, 0, LPAR_MAP * 4096));
	EXPECT_EQ(lpar.puts, variant->features == LPAR_ALL ? 0 : LPAR_MAP);
	EXPECT_EQ(lpar.stuffs, variant->features == LPAR_ALL ? 3 : 0);
	/* Nothing was ever mapped there */
	EXPECT_DONE(req_unmap(&self->c, 3000 * 4096, 5000 * 4096));
	EXPECT_EQ(lpar.puts, variant->features == LPAR_ALL ? 0 : LPAR_MAP);
	EXPECT_EQ(lpar.stuffs, variant->features == LPAR_ALL ? 3 : 0);
}

/* Neither the table nor where its lists are made can be had */
TEST_F(lpar, no_memory)
{
	unsigned long n;

	EXPECT_DONE(req_register(&self->c, UA(0), 1700 * PG));
	for (n = 1;; n++) {
		fail_arm(n);
		self->digest = world_digest(self->mm);
		if (!req_map(&self->c, 0, UA(0), LPAR_MAP * 4096, RW))
			break;
		EXPECT_TRUE(fail_fired());
		fail_arm(0);
		check_all();
	}
	fail_arm(0);
	EXPECT_GT(n, 3);
	check_all();
}

TEST_F(world, debugfs)
{
	struct seq_file m = { };
	u64 start;

	glue_tables_show(&m);
	EXPECT_EQ(m.len, 0);
	EXPECT_WORKS(req_create(self->c, 16, 1UL << 32, 1, &start));
	glue_tables_show(&m);
	EXPECT_NE(strstr(m.text, "start=0x800000000000000 page_shift=16 tces=65536 levels=2"),
		  NULL);
	EXPECT_NE(strstr(m.text, "start=0 page_shift=12 tces=262144"), NULL);
}

/* The table of window 0 */
static struct iommu_table *table0(void)
{
	return host_pes[0].pe.table_group.tables[0];
}

/* How often there is @what in a file of it */
static int shown(const char *file, bool lines, const char *what)
{
	struct seq_file m;
	char *at = m.text;
	int n = 0;

	glue_table_show(table0(), file, lines, &m);
	while ((at = strstr(at, what))) {
		at += strlen(what);
		n++;
	}

	return n;
}

TEST_F(world, debugfs_table)
{
	char want[64];

	EXPECT_WORKS(req_register(self->c, UA(0), 600 * PG));
	EXPECT_DONE(req_map(self->c, 5 * 4096, UA(0), 7 * PG, RW));
	snprintf(want, sizeof(want), "used\t\t%lu\n", 7 * PG / 4096);
	EXPECT_EQ(shown("info", false, want), 1);
	EXPECT_EQ(shown("info", false, "start\t\t0\n"), 1);
	EXPECT_EQ(shown("info", false, "page_shift\t12\n"), 1);
	EXPECT_EQ(shown("info", false, "tces\t\t262144\n"), 1);
	EXPECT_EQ(shown("info", false, "leaves\t\t1\n"), 1);
	EXPECT_EQ(shown("info", false, "in_memory\t1\n"), 1);
	EXPECT_EQ(shown("info", false, "closed\t\t0\n"), 1);
	EXPECT_EQ(shown("holders", false, "container pid=1 group=0\n"), 1);
	EXPECT_EQ(shown("holders", false, "\n"), 1);

	EXPECT_WORKS(vfio_attach(self->c, host_pes + 1));
	EXPECT_EQ(shown("holders", false, "container pid=1 group=1\n"), 1);
	EXPECT_EQ(shown("holders", false, "\n"), 2);
	vfio_detach(self->c, host_pes + 1);
	EXPECT_EQ(shown("holders", false, "container pid=1 group=0\n"), 1);
	EXPECT_EQ(shown("holders", false, "\n"), 1);
}

TEST_F(world, debugfs_map)
{
	bool lines;

	EXPECT_WORKS(req_register(self->c, UA(0), 600 * PG));
	EXPECT_DONE(req_map(self->c, 0, UA(0), PG, RW));
	EXPECT_DONE(req_unmap(self->c, 0, PG));
	EXPECT_DONE(req_map(self->c, 64 << 12, UA(0), PG, RW));
	EXPECT_DONE(req_map(self->c, 512 << 12, UA(0), PG, RW));
	EXPECT_DONE(req_map(self->c, 0x3fff0 << 12, UA(0), PG, RW));
	for (lines = false;; lines = true) {
		EXPECT_EQ(shown("map", lines, "table="), 1);
		EXPECT_EQ(shown("map", lines, PG == 4096 ? "\n0 1 40+1\n" :
							   "\n0 10 40+10\n"), 1);
		EXPECT_EQ(shown("map", lines, PG == 4096 ? "\n200 1 0+1\n" :
							   "\n200 10 0+10\n"), 1);
		EXPECT_EQ(shown("map", lines, PG == 4096 ?
				"\n3fe00 1 1f0+1\n" : "\n3fe00 10 1f0+10\n"), 1);
		EXPECT_EQ(shown("map", lines, "\n"),
			  1 + (atomic_long_read(&table0()->it_tree.leaves) <<
			       (table0()->it_tree.level_shift - 12)));
		if (lines)
			break;
	}
}

/* For the tests of tce-map: with TCE_MAP_DUMP=FILE in the environment a file */
TEST_F(world, debugfs_map_to_file)
{
	const char *name = getenv("TCE_MAP_DUMP");
	struct seq_file m;
	FILE *f;
	int i;

	EXPECT_WORKS(req_register(self->c, UA(0), 600 * PG));
	for (i = 0; i < 40; i++)
		EXPECT_DONE(req_map(self->c, i * i * 10 * PG, UA(0),
				    (1 + i * 7 % 90) * PG, RW));
	glue_table_show(table0(), "map", true, &m);
	f = name ? fopen(name, "w") : NULL;
	if (f) {
		fputs(m.text, f);
		fclose(f);
	}
}

TEST_F(world, debugfs_regions)
{
	char want[64];
	bool lines;

	EXPECT_WORKS(req_register(self->c, UA(0), 600 * PG));
	EXPECT_WORKS(req_register(self->c, UA(700), 2 * PG));
	EXPECT_DONE(req_map(self->c, 0, UA(0), 3 * PG, VFIO_DMA_MAP_FLAG_READ));
	for (lines = false;; lines = true) {
		EXPECT_EQ(shown("regions", lines, "\n"), 2);
		EXPECT_EQ(shown("regions", lines, " mapped=0 "), 1);
		EXPECT_EQ(shown("regions", lines, " written=0\n"), 2);
		snprintf(want, sizeof(want), "ua=%#lx size=%#lx used=1 mapped=%lu ",
			 UA(0), 600 * PG, 3 * PG / 4096);
		EXPECT_EQ(shown("regions", lines, want), 1);
		snprintf(want, sizeof(want), "ua=%#lx size=%#lx ", UA(700),
			 2 * PG);
		EXPECT_EQ(shown("regions", lines, want), 1);
		if (lines)
			break;
	}
	EXPECT_DONE(req_map(self->c, 0, UA(0), 3 * PG, RW));
	EXPECT_EQ(shown("regions", false, " written=1\n"), 1);
}

TEST_F(world, fdinfo)
{
	struct seq_file m = { };
	char want[64];

	EXPECT_WORKS(req_register(self->c, UA(0), 600 * PG));
	EXPECT_WORKS(req_register(self->c, UA(700), 2 * PG));
	EXPECT_DONE(req_map(self->c, 0, UA(0), 3 * PG, RW));
	EXPECT_WORKS(req_unregister(self->c, UA(700), 2 * PG));
	glue_container_fdinfo(self->c->data, &m);
	EXPECT_NE(strstr(m.text, "tce_version:\t2\n"), NULL);
	EXPECT_NE(strstr(m.text, "tce_enabled:\t0\n"), NULL);
	snprintf(want, sizeof(want), "tce_registered:\t%lu\n", 600 * PG);
	EXPECT_NE(strstr(m.text, want), NULL);
	snprintf(want, sizeof(want), "tce_locked:\t%lu\n",
		 self->mm->locked_vm << PAGE_SHIFT);
	EXPECT_NE(strstr(m.text, want), NULL);
	EXPECT_NE(strstr(m.text, " start=0 size=0x40000000 page_shift=12 "),
		  NULL);
	snprintf(want, sizeof(want), " charged=%lu\n",
		 (self->mm->locked_vm - 600) << PAGE_SHIFT);
	EXPECT_NE(strstr(m.text, want), NULL);
}

/* A 32-bit window need not begin at 0 */
TEST_F(world, info_of_a_window_elsewhere)
{
	struct vfio_iommu_spapr_tce_info info = { .argsz = sizeof(info) };

	host_pes[0].pe.table_group.tce32_start = SZ_2G;
	EXPECT_EQ(vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info), 0);
	EXPECT_EQ(info.dma32_window_start, SZ_2G);
	host_pes[0].pe.table_group.tce32_start = 0;
}

/* A window beside the default one, which comes first and fails at each step */
TEST_F(world, create_without_the_default_window)
{
	unsigned int nth;
	u64 start;

	for (nth = 1;; nth++) {
		vfio_attach(self->c + 1, host_pes + 5);
		vfio_set_iommu(self->c + 1, VFIO_SPAPR_TCE_v2_IOMMU);
		fail_arm(nth);
		start = 0;
		if (!req_create(self->c + 1, 16, SZ_1G, 1, &start))
			EXPECT_EQ(start, BIT(59));
		if (!fail_fired())
			break;
		fail_arm(0);
		vfio_close(self->c + 1);
		world_check();
	}
	fail_arm(0);
	vfio_close(self->c + 1);
	EXPECT_GT(nth, 4);
}

/*
 * The tree by itself.
 */

/* All levels or none, and none that is charged and not there */
TEST(tree_reserve)
{
	struct mm_struct *mm = mm_create(1000);
	struct tce_account account;
	unsigned long n, bytes;
	struct tce_iter cur = { };
	struct tce_tree tree;

	tce_account_init(&account, mm);
	ASSERT_EQ(tce_tree_init(&tree, 1UL << 27, 1, 5, 16, 0, &account, true), 0);
	cur.tree = &tree;
	bytes = account.bytes;
	EXPECT_EQ(mm->locked_vm, tce_account_pages(&account));
	for (n = 1;; n++) {
		fail_arm(n);
		if (!tce_iter_reserve(&cur, 1000, 5000, GFP_KERNEL))
			break;
		EXPECT_TRUE(fail_fired());
		EXPECT_EQ(account.bytes, bytes);
		EXPECT_EQ(mm->locked_vm, DIV_ROUND_UP(bytes, PG));
		EXPECT_EQ((unsigned long)host_usage.level_bytes, bytes);
		EXPECT_EQ(tce_tree_walk(&tree, 1000), NULL);
	}
	fail_arm(0);
	EXPECT_GT(n, 5);
	bytes = account.bytes;
	EXPECT_EQ((unsigned long)host_usage.level_bytes, bytes);
	EXPECT_EQ(mm->locked_vm, DIV_ROUND_UP(bytes, PG));
	for (n = 1000; n < 6000; n++)
		EXPECT_NE(tce_tree_walk(&tree, n), NULL);
	EXPECT_EQ(tce_iter_reserve(&cur, 1000, 5000, GFP_KERNEL), 0);
	EXPECT_EQ(account.bytes, bytes);
	tce_tree_destroy(&tree);
	EXPECT_EQ(mm->locked_vm, 0);
	EXPECT_EQ(host_usage.level_bytes, 0);
	mm_destroy(mm);
}

/* Pages charged for @nr entries from the first on, with the first levels */
static unsigned long charge_of(struct __test_metadata *_metadata, bool paged,
			       unsigned int page_shift, unsigned int bits,
			       unsigned long nr)
{
	struct mm_struct *mm = mm_create(100000);
	struct tce_account account;
	struct tce_iter cur = { };
	struct tce_tree tree;
	unsigned long pages;
	int ret;

	tce_account_init(&account, mm);
	ret = paged ? tce_tree_init_paged(&tree, 1UL << bits, &account, false) :
		tce_tree_init(&tree, 1UL << bits, 1, 5, page_shift, 0, &account, true);
	ASSERT_EQ(ret, 0);
	cur.tree = &tree;
	EXPECT_EQ(tce_iter_reserve(&cur, 0, nr, GFP_KERNEL), 0);
	pages = mm->locked_vm;
	tce_tree_destroy(&tree);
	EXPECT_EQ(mm->locked_vm, 0);
	mm_destroy(mm);

	return pages;
}

/*
 * The limit that Documentation/admin-guide/spapr-tce.rst recommends is enough for
 * a guest that maps all of its memory, in a window of any size.
 */
TEST(tree_limit)
{
	unsigned int shift, bits, window;
	unsigned long nr, t, pages;

	for (shift = 12; shift <= 16; shift += 4) {
		for (bits = 5; bits <= 20; bits += 3) {
			for (window = bits; window <= 31; window += 2) {
				nr = (1UL << bits) - bits;
				pages = charge_of(_metadata, false, shift, window, nr) +
					charge_of(_metadata, true, shift, window, nr);
				t = 16 * nr + 8 * nr;
				EXPECT_LE(pages, (t + t / 256) / PG + 2 * 8);
				EXPECT_GE(pages, t / PG);
			}
		}
	}
}

static struct tce_tree *raced_tree;
static __be64 *raced_leaf;

/* Reserves before the other has, who counted already what is missing */
static void reserve_first(void)
{
	struct tce_iter cur = { .tree = raced_tree };

	host_preempt = NULL;
	tce_iter_reserve(&cur, 1000, 4000, GFP_KERNEL);
	raced_leaf = tce_tree_walk(raced_tree, 2000);
}

/* Somebody else was faster: what is superfluous goes back */
/*
 * Who is being killed makes no more levels, wherever it is by then, and leaves
 * none of those that it has made for this. To free takes its time, too.
 */
static unsigned long rescheds, kill_after;

static void kill_myself(void)
{
	if (++rescheds == kill_after)
		current->killed = true;
}

TEST(tree_killed)
{
	struct mm_struct *mm = mm_create(1UL << 40);
	const unsigned long leaves = 40;
	struct tce_account account;
	struct tce_iter cur = { };
	struct tce_tree tree;
	unsigned long bytes, pages, n;
	int ret;

	tce_account_init(&account, mm);
	ASSERT_EQ(tce_tree_init(&tree, 1UL << 31, 1, 5, 16, 0, &account, true), 0);
	cur.tree = &tree;
	bytes = account.bytes;
	pages = mm->locked_vm;
	for (n = 1;; n++) {
		rescheds = 0;
		kill_after = n;
		host_resched = kill_myself;
		ret = tce_iter_reserve(&cur, 1000, leaves << tce_tree_level_bits(&tree),
				       GFP_KERNEL);
		host_resched = NULL;
		current->killed = false;
		if (!ret)
			break;
		EXPECT_EQ(ret, -EINTR);
		EXPECT_EQ(account.bytes, bytes);
		EXPECT_EQ(mm->locked_vm, pages);
		EXPECT_EQ((unsigned long)host_usage.level_bytes, bytes);
		EXPECT_EQ(tce_tree_walk(&tree, 1000), NULL);
	}
	EXPECT_GT(n, leaves);
	/* What is there is found by anybody */
	current->killed = true;
	EXPECT_EQ(tce_iter_reserve(&cur, 1000, 10, GFP_KERNEL), 0);
	rescheds = 0;
	host_resched = kill_myself;
	tce_tree_destroy(&tree);
	host_resched = NULL;
	EXPECT_GE(rescheds, leaves);
	current->killed = false;
	EXPECT_EQ(mm->locked_vm, 0);
	mm_destroy(mm);
}

TEST(tree_race)
{
	struct mm_struct *mm = mm_create(1000);
	struct tce_account account;
	struct tce_iter cur = { };
	struct tce_tree tree;
	unsigned long bytes;

	tce_account_init(&account, mm);
	ASSERT_EQ(tce_tree_init(&tree, 1UL << 27, 1, 5, 16, 0, &account, true), 0);
	raced_tree = &tree;
	cur.tree = &tree;
	host_preempt = reserve_first;
	EXPECT_EQ(tce_iter_reserve(&cur, 0, 3000, GFP_KERNEL), 0);
	EXPECT_NE(raced_leaf, NULL);
	EXPECT_EQ(tce_tree_walk(&tree, 2000), raced_leaf);
	bytes = account.bytes;
	EXPECT_EQ((unsigned long)host_usage.level_bytes, bytes);
	EXPECT_EQ(mm->locked_vm, DIV_ROUND_UP(bytes, PG));
	EXPECT_EQ(tce_iter_reserve(&cur, 0, 5000, GFP_KERNEL), 0);
	EXPECT_EQ(account.bytes, bytes);
	tce_tree_destroy(&tree);
	mm_destroy(mm);
}

/* Whoever is about to link the level comes too late: it is there then */
static void add_first(int sig)
{
	(void)sig;
	mprotect(raced_tree->root, 1UL << raced_tree->level_shift,
		 PROT_READ | PROT_WRITE);
	raced_leaf = tce_tree_make(raced_tree, 0, GFP_KERNEL);
}

/* Found empty, and no longer so when the new level is to be linked */
TEST(tree_race_for_a_slot)
{
	struct sigaction action = { .sa_handler = add_first };
	struct tce_tree tree;
	__be64 *leaf;

	/* Levels of 64K, whole pages on every host: they can be read only */
	ASSERT_EQ(tce_tree_init(&tree, 1UL << 26, 2, 2, 16, 0, NULL, false), 0);
	raced_tree = &tree;
	raced_leaf = NULL;
	sigaction(SIGSEGV, &action, NULL);
	ASSERT_EQ(mprotect(tree.root, 1UL << tree.level_shift, PROT_READ), 0);
	leaf = tce_tree_make(&tree, 0, GFP_KERNEL);
	EXPECT_NE(leaf, NULL);
	EXPECT_EQ(leaf, raced_leaf);
	EXPECT_EQ(atomic_long_read(&tree.leaves), 1);
	EXPECT_EQ(atomic_long_read(&tree.bytes), host_usage.level_bytes);
	tce_tree_destroy(&tree);
	EXPECT_EQ(host_usage.level_bytes, 0);
}

#define RACE_LEAVES	10000UL

static unsigned long race_arrived;

/* Makes one leaf after the other, each at the same time as the other thread */
static void *race_for_leaves(void *tree)
{
	unsigned long i;

	for (i = 0; i < RACE_LEAVES; i++) {
		__atomic_add_fetch(&race_arrived, 1, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(&race_arrived, __ATOMIC_SEQ_CST) < 2 * (i + 1))
			sched_yield();
		if (!tce_tree_make(tree, i * 512, GFP_KERNEL))
			return ERR_PTR(-ENOMEM);
	}

	return NULL;
}

/* Two add the same levels: each is there once, and none is lost */
TEST(tree_threads)
{
	struct tce_tree tree;
	pthread_t other;
	void *ret;

	ASSERT_EQ(tce_tree_init(&tree, 1UL << 27, 1, 5, 16, 0, NULL, false), 0);
	pthread_create(&other, NULL, race_for_leaves, &tree);
	EXPECT_EQ(race_for_leaves(&tree), NULL);
	pthread_join(other, &ret);
	EXPECT_EQ(ret, NULL);
	EXPECT_EQ(atomic_long_read(&tree.leaves), RACE_LEAVES);
	EXPECT_EQ(atomic_long_read(&tree.bytes), host_usage.level_bytes);
	tce_tree_destroy(&tree);
	EXPECT_EQ(atomic_long_read(&tree.bytes), 0);
	EXPECT_EQ(host_usage.level_bytes, 0);
}

TEST_HARNESS_MAIN
