// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process whose mm is stuck waits, and others do not.
 */
#include "unit.h"

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

/* What another thread can do with the container that a map waits with */
static struct host_container *beside;
static bool beside_ran;

static void map_beside(void)
{
	WARN_ON(req_map(beside, PG, UA(UA_HUGE + 1), PG, RW));
	WARN_ON(req_map(beside, WINDOW1 + K64, UA(UA_HUGE), K64, RW));
	WARN_ON(req_map(beside, WINDOW1 + 2 * K64, UA(UA_HUGE), K64, RW));
	WARN_ON(req_unmap(beside, WINDOW1 + K64, K64));
	beside_ran = true;
}

TEST_F(world, map_beside_a_map_that_waits)
{
	u64 far = WINDOW1 + BIT(46);

	beside = self->c;
	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), 64 * PG));
	EXPECT_WORKS(req_map(self->c, 0, UA(UA_HUGE), PG, RW));
	EXPECT_WORKS(req_create(self->c, 16, BIT(47), 1, NULL));
	EXPECT_WORKS(req_map(self->c, WINDOW1, UA(UA_HUGE), K64, RW));
	host_stuck = map_beside;
	self->mm->stuck = true;
	/* The one that has to pay for another page of levels waits */
	for (; self->mm->stuck && far < WINDOW1 + BIT(47); far += BIT(40))
		EXPECT_WORKS(req_map(self->c, far, UA(UA_HUGE), K64, RW));
	EXPECT_TRUE(beside_ran);
	EXPECT_FALSE(self->mm->stuck);
	host_stuck = NULL;
	EXPECT_REACHES(host_pes, PG, UA(UA_HUGE + 1));
	EXPECT_FAULTS(host_pes, WINDOW1 + K64);
	EXPECT_REACHES(host_pes, WINDOW1 + 2 * K64, UA(UA_HUGE));
	EXPECT_REACHES(host_pes, far - BIT(40), UA(UA_HUGE));
}

/* In place of a thread that allocates or wants one more lock, and has the container's */
static void map_beside_levels(void)
{
	if (!host_mutexes)
		return;
	host_preempt = NULL;
	host_stuck_wait = true;
	map_beside();
	host_stuck_wait = false;
}

TEST_F(world, map_beside_a_map_that_makes_levels)
{
	u64 far = WINDOW1 + BIT(46);

	beside = self->c;
	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), 64 * PG));
	EXPECT_WORKS(req_create(self->c, 16, BIT(47), 1, NULL));
	host_preempt = map_beside_levels;
	EXPECT_WORKS(req_map(self->c, far, UA(UA_HUGE), K64, RW));
	EXPECT_TRUE(beside_ran);
	EXPECT_REACHES(host_pes, PG, UA(UA_HUGE + 1));
	EXPECT_FAULTS(host_pes, WINDOW1 + K64);
	EXPECT_REACHES(host_pes, WINDOW1 + 2 * K64, UA(UA_HUGE));
	EXPECT_REACHES(host_pes, far, UA(UA_HUGE));
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
	WARN_ON(host_lookup(sibling_mm, ua, PG));
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

/* In place of a thread that allocates, and may have the registry's lock */
static void sibling_is_killed(void)
{
	if (!host_mutexes)
		return;
	host_preempt = NULL;
	host_stuck_wait = true;
	current->killed = true;
	if (req_unregister(sibling, UA(UA_HUGE), PG) == -EINTR) {
		/* Who is killed does not wait for that lock */
		WARN_ON(req_register(sibling, UA(UA_HUGE), PG) != -EINTR);
		sibling_ran++;
	} else {
		current->killed = false;
		WARN_ON(req_register(sibling, UA(UA_HUGE), PG));
		host_preempt = sibling_is_killed;
	}
	current->killed = false;
	host_stuck_wait = false;
}

TEST_F(world, killed_while_the_registry_is_locked)
{
	sibling = self->c + 1;
	sibling_ran = 0;
	EXPECT_WORKS(vfio_attach(sibling, host_pes + 1));
	EXPECT_WORKS(vfio_set_iommu(sibling, VFIO_SPAPR_TCE_v2_IOMMU));
	EXPECT_WORKS(req_register(sibling, UA(UA_HUGE), PG));
	host_preempt = sibling_is_killed;
	EXPECT_WORKS(req_register(self->c, UA(0), 16 * PG));
	EXPECT_EQ(host_preempt, NULL);
	EXPECT_EQ(sibling_ran, 1);
	vfio_close(sibling);
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
	/* What is next to it is not */
	WARN_ON(req_register(sibling, ua - 8 * PG, 8 * PG));
	WARN_ON(req_register(sibling, ua + 16 * PG, 8 * PG));
	WARN_ON(req_unregister(sibling, ua - 8 * PG, 8 * PG));
	WARN_ON(req_unregister(sibling, ua + 16 * PG, 8 * PG));
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

/* What others do, once, between the removal of a region and its unpinning */
static void (*when_removed)(void);

static void somebody_unlocked(void)
{
	struct mm_struct *mine = current->mm;
	void (*fn)(void) = when_removed;

	if (!fn || host_lookup(sibling_mm, UA(sibling_page), PG))
		return;
	when_removed = NULL;
	fn();
	current->mm = mine;
}

TEST_F(world, register_beside_one_being_unpinned)
{
	sibling = second(self->c);
	sibling_mm = self->mm;
	sibling_page = 16;
	EXPECT_WORKS(req_register(self->c, UA(16), 16 * PG));
	when_removed = sibling_does_all;
	host_unlocked = somebody_unlocked;
	EXPECT_WORKS(req_unregister(self->c, UA(16), 16 * PG));
	host_unlocked = NULL;
	EXPECT_EQ(sibling_ran, 1);
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
	unsigned long charges = self->mm->charges;
	int fault;

	for (fault = 0; fault < 2; fault++) {
		self->digest = world_digest(self->mm);
		host_stuck = be_killed;
		self->mm->stuck = !fault;
		self->mm->stuck_fault = fault;
		EXPECT_EQ(req_register(self->c, UA(16), 16 * PG), -EINTR);
		EXPECT_EQ(self->mm->charges, charges + fault);
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

/*
 * A fault in the owner's memory does not end, and an administrator takes the device
 * away, who has locked the group: the request has nothing that he waits for.
 */
static struct host_container *left;
static struct mm_struct *left_by;
static unsigned long unbound;

static void unbind(void)
{
	current->mm = left_by;
	vfio_unbind(left, host_pes);
	unbound++;
}

static void come_back(struct host_container *c)
{
	vfio_attach(c, host_pes);
	WARN_ON(vfio_set_iommu(c, VFIO_SPAPR_TCE_v2_IOMMU));
	WARN_ON(req_create(c, 16, MB, 1, NULL));
}

TEST_F(world, unbind_while_arguments_are_copied)
{
	static const unsigned int cmds[] = {
		VFIO_IOMMU_MAP_DMA, VFIO_IOMMU_UNMAP_DMA,
		VFIO_IOMMU_SPAPR_TCE_GET_INFO, VFIO_IOMMU_SPAPR_REGISTER_MEMORY,
		VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, VFIO_IOMMU_SPAPR_TCE_CREATE,
		VFIO_IOMMU_SPAPR_TCE_REMOVE, VFIO_EEH_PE_OP,
	};
	u32 *arg = host_user_data(self->mm, UA(16));
	unsigned int i;

	left = self->c;
	left_by = self->other;
	host_stuck = unbind;
	vfio_close(self->c);
	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		come_back(self->c);
		memset(arg, 0, 64);
		*arg = 64;
		self->mm->stuck_fault = true;
		EXPECT_EQ(vfio_ioctl(self->c, cmds[i], (void *)UA(16)), -EINVAL);
		EXPECT_EQ(unbound, i + 1);
		EXPECT_FALSE(self->mm->stuck_fault);
		EXPECT_EQ(self->mm->locked_vm, 0);
		world_check();
	}
	host_stuck = NULL;
}

/* ... nor does he wait for the owner's mmap_lock to take back all that was charged */
TEST_F(world, unbind_beside_a_stuck_mm)
{
	int i;

	left = self->c;
	left_by = self->other;
	for (i = 0; i < 2; i++) {
		if (i) {
			vfio_attach(left, host_pes);
			WARN_ON(vfio_set_iommu(left, VFIO_SPAPR_TCE_IOMMU));
			ASSERT_EQ(vfio_ioctl(left, VFIO_IOMMU_ENABLE, NULL), 0);
		} else {
			EXPECT_WORKS(req_register(left, UA(UA_HUGE), 16 * PG));
			EXPECT_WORKS(req_create(left, 16, MB, 1, NULL));
			EXPECT_WORKS(req_map(left, 0, UA(UA_HUGE), PG, RW));
		}
		self->mm->stuck = true;
		unbind();
		current->mm = self->mm;
		EXPECT_TRUE(self->mm->stuck);
		EXPECT_NE(self->mm->locked_vm, 0);
		EXPECT_EQ(host_usage.pins, 0);
		self->mm->stuck = false;
		host_settle();
		EXPECT_EQ(self->mm->locked_vm, 0);
		world_check();
	}
}

/* What is owed does not count for the limit of a process */
TEST_F(world, charge_pays_what_is_owed)
{
	EXPECT_WORKS(req_register(self->c, UA(16), 16 * PG));
	left = self->c;
	left_by = self->other;
	self->mm->stuck = true;
	unbind();
	current->mm = self->mm;
	self->mm->stuck = false;
	EXPECT_EQ(self->mm->locked_vm, 16);
	self->mm->limit = 20;
	vfio_attach(self->c, host_pes);
	ASSERT_EQ(vfio_set_iommu(self->c, VFIO_SPAPR_TCE_v2_IOMMU), 0);
	EXPECT_WORKS(req_register(self->c, UA(16), 16 * PG));
	EXPECT_EQ(self->mm->locked_vm, 16);
	/* The worker comes too late, and has nothing to do */
	host_settle();
	EXPECT_EQ(self->mm->locked_vm, 16);
	world_check();
}

/* The process itself waits at the end of its request, when that has no lock */
static void unbind_and_look(void)
{
	unbind();
	others_ran = left_by != sibling_mm && sibling_mm->locked_vm == 16;
}

TEST_F(world, unbind_while_a_request_uncharges)
{
	EXPECT_WORKS(req_register(self->c, UA(16), 16 * PG));
	left = self->c;
	left_by = self->other;
	sibling_mm = self->mm;
	host_stuck = unbind_and_look;
	self->mm->stuck = true;
	EXPECT_EQ(req_unregister(self->c, UA(16), 16 * PG), 0);
	EXPECT_TRUE(others_ran);
	EXPECT_EQ(self->mm->locked_vm, 0);
	host_stuck = NULL;
	world_check();
}

TEST_F(world, unbind_while_memory_is_pinned)
{
	int fault;

	left = self->c;
	left_by = self->other;
	host_stuck = unbind;
	for (fault = 0; fault < 2; fault++) {
		self->mm->stuck = !fault;
		self->mm->stuck_fault = fault;
		EXPECT_EQ(req_register(self->c, UA(16), 16 * PG), -EINVAL);
		EXPECT_EQ(unbound, fault + 1);
		EXPECT_EQ(self->mm->locked_vm, 0);
		EXPECT_EQ(host_usage.pins, 0);
		world_check();
		vfio_attach(self->c, host_pes);
		ASSERT_EQ(vfio_set_iommu(self->c, VFIO_SPAPR_TCE_v2_IOMMU), 0);
	}
	host_stuck = NULL;
	EXPECT_WORKS(req_register(self->c, UA(16), 16 * PG));
}

/* ... or mapped by version 1, which is paid for as long as it is pinned */
static void unbind_while_pinning(void)
{
	struct mm_struct *mm = current->mm;

	unbind();
	WARN_ON(mm->locked_vm < SZ_1G >> PAGE_SHIFT);
}

static void attach_v1(struct host_container *c)
{
	vfio_attach(c, host_pes);
	WARN_ON(vfio_set_iommu(c, VFIO_SPAPR_TCE_IOMMU));
	WARN_ON(vfio_ioctl(c, VFIO_IOMMU_ENABLE, NULL));
}

TEST_F(world, unbind_while_version1_pins)
{
	int fault;

	left = self->c;
	left_by = self->other;
	host_stuck = unbind_while_pinning;
	vfio_close(self->c);
	for (fault = 0; fault < 2; fault++) {
		attach_v1(self->c);
		EXPECT_WORKS(req_map(self->c, 16 * PG, UA(0), PG, RW));
		self->mm->stuck = !fault;
		self->mm->stuck_fault = fault;
		EXPECT_EQ(req_map(self->c, 0, UA(16), 16 * PG, RW), -EINVAL);
		EXPECT_EQ(unbound, fault + 1);
		EXPECT_EQ(self->mm->locked_vm, 0);
		EXPECT_EQ(host_usage.pins, 0);
		world_check();
	}
	host_stuck = NULL;
	attach_v1(self->c);
	EXPECT_WORKS(req_map(self->c, 0, UA(16), 16 * PG, RW));
	EXPECT_REACHES(host_pes, PG, UA(17));
}

/* One map at a time pins, and none while disabling; what pins nothing does not wait */
static void map_is_in_the_way(void)
{
	struct mm_struct *mm = current->mm;

	mm->stuck = false;
	mm->stuck_fault = false;
	current->killed = true;
	WARN_ON(req_map(beside, PG, UA(0), PG, RW) != -EINTR);
	WARN_ON(vfio_ioctl(beside, VFIO_IOMMU_DISABLE, NULL) != -EINTR);
	current->killed = false;
	WARN_ON(req_unmap(beside, 16 * PG, PG));
	WARN_ON(vfio_ioctl(beside, VFIO_IOMMU_ENABLE, NULL) != -EBUSY);
	current->mm = left_by;
	WARN_ON(req_map(beside, PG, UA(0), PG, RW) != -EPERM);
	WARN_ON(vfio_ioctl(beside, VFIO_IOMMU_DISABLE, NULL) != -EPERM);
	beside_ran = true;
}

TEST_F(world, version1_pins_for_one_map_at_a_time)
{
	beside = self->c;
	left_by = self->other;
	vfio_close(self->c);
	attach_v1(self->c);
	EXPECT_WORKS(req_map(self->c, 16 * PG, UA(0), PG, RW));
	host_stuck = map_is_in_the_way;
	self->mm->stuck_fault = true;
	EXPECT_WORKS(req_map(self->c, 0, UA(16), 16 * PG, RW));
	host_stuck = NULL;
	EXPECT_TRUE(beside_ran);
	EXPECT_FAULTS(host_pes, 16 * PG);
	EXPECT_REACHES(host_pes, 0, UA(16));
	/* Nobody waits for who has been killed */
	current->killed = true;
	EXPECT_FAILS(-EFAULT, req_map(self->c, PG, UA(0), PG, RW));
	current->killed = false;
	EXPECT_WORKS(req_map(self->c, PG, UA(0), PG, RW));
	EXPECT_WORKS(vfio_ioctl(self->c, VFIO_IOMMU_DISABLE, NULL));
	EXPECT_EQ(host_usage.pins, 0);
	EXPECT_EQ(self->mm->locked_vm, 1);	/* the table */
}

/* What will be refused is not pinned, whatever it is refused for */
static void pinned_in_vain(void)
{
	WARN_ON(1);
}

TEST_F(world, version1_does_not_pin_in_vain)
{
	struct host_container *c = version1(self->c);

	host_stuck = pinned_in_vain;
	self->mm->stuck_fault = true;
	EXPECT_EQ(req_map(c, 0, UA(0), PG, RW), -EPERM);
	EXPECT_EQ(vfio_ioctl(c, VFIO_IOMMU_ENABLE, NULL), 0);
	EXPECT_EQ(req_map(c, 0, UA(0), SZ_2G, RW), -EINVAL);
	EXPECT_EQ(req_map(c, 0, UA(0), 0, RW), -EINVAL);
	EXPECT_EQ(req_map(c, 0, UA(0) + 1, PG, RW), -EINVAL);
	EXPECT_EQ(req_map(c, 0, -PG, 2 * PG, RW), -EINVAL);
	current->mm = self->other;
	EXPECT_EQ(req_map(c, 0, UA(0), PG, RW), -EPERM);
	current->mm = self->mm;
	self->mm->stuck_fault = false;
	host_stuck = NULL;
}

/* The page was there when arguments were copied, and is not when the answer is */
static void answer_gets_stuck(void)
{
	host_copied = NULL;
	current->mm->stuck_fault = true;
}

static void nothing(void)
{
	unbound++;
}

TEST_F(world, unbind_while_an_answer_is_copied)
{
	struct vfio_iommu_spapr_tce_create *create = host_user_data(self->mm, UA(16));
	struct vfio_iommu_spapr_tce_info *info = (void *)create;
	int gone;

	left = self->c;
	left_by = self->other;
	for (gone = 0; gone < 2; gone++) {
		host_stuck = gone ? unbind : nothing;
		*create = (struct vfio_iommu_spapr_tce_create) {
			.argsz = sizeof(*create), .page_shift = 16,
			.window_size = MB, .levels = 1,
		};
		host_copied = answer_gets_stuck;
		EXPECT_EQ(vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_CREATE,
				     (void *)UA(16)), gone ? -EINVAL : 0);
		EXPECT_EQ(unbound, 1 + gone * 2);
		EXPECT_EQ(create->start_addr, gone ? 0 : WINDOW1);
		world_check();
		if (gone)
			come_back(self->c);

		*info = (struct vfio_iommu_spapr_tce_info) { .argsz = sizeof(*info) };
		host_copied = answer_gets_stuck;
		EXPECT_EQ(vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_GET_INFO,
				     (void *)UA(16)), gone ? -EINVAL : 0);
		EXPECT_EQ(unbound, 2 + gone * 2);
		EXPECT_EQ(info->dma32_window_size, gone ? 0 : 1U << 30);
		world_check();
		if (!gone)
			EXPECT_WORKS(req_remove(self->c, WINDOW1));
	}
	EXPECT_EQ(self->mm->locked_vm, 0);
	host_stuck = NULL;
}

/*
 * A container without an owner answers everybody. Who has got in by then, and waits for
 * a fault of his own, has nothing that the owner waits for later,
 */
static struct host_container *shared;
static struct mm_struct *owner_mm;

static void owner_injects(void)
{
	current->mm = owner_mm;
	WARN_ON(make_default(shared));
	WARN_ON(eeh_op(shared, VFIO_EEH_PE_INJECT_ERR));
	others_ran = true;
}

TEST_F(world, stuck_stranger_injects_an_error)
{
	struct vfio_eeh_pe_op *op = host_user_data(self->other, UA(16));

	shared = self->c;
	owner_mm = self->mm;
	*op = (struct vfio_eeh_pe_op) {
		.argsz = sizeof(*op), .op = VFIO_EEH_PE_INJECT_ERR,
	};
	current->mm = self->other;
	host_copied = answer_gets_stuck;
	host_stuck = owner_injects;
	EXPECT_EQ(vfio_ioctl(self->c, VFIO_EEH_PE_OP, (void *)UA(16)), -EPERM);
	EXPECT_TRUE(others_ran);
	host_stuck = NULL;
	current->mm = self->mm;
	world_check();
}

/* ... nor does anything to the owner's devices then, */
static void owner_comes(void)
{
	current->mm = owner_mm;
	WARN_ON(make_default(shared));
	others_ran = true;
}

TEST_F(world, stuck_stranger_resets)
{
	struct vfio_eeh_pe_op *op = host_user_data(self->other, UA(16));

	shared = self->c;
	owner_mm = self->mm;
	*op = (struct vfio_eeh_pe_op) {
		.argsz = sizeof(*op), .op = VFIO_EEH_PE_RESET_HOT,
	};
	current->mm = self->other;
	self->other->stuck_fault = true;
	host_stuck = owner_comes;
	EXPECT_EQ(vfio_ioctl(self->c, VFIO_EEH_PE_OP, (void *)UA(16)), -EPERM);
	EXPECT_TRUE(others_ran);
	EXPECT_EQ(host_pes[0].eeh_calls, 0);
	host_stuck = NULL;
	current->mm = self->mm;
	world_check();
}

/* ... nor what the owner has registered, and wants back */
static void owner_leaves(void)
{
	current->mm = owner_mm;
	WARN_ON(req_register(shared, UA(16), 16 * PG));
	WARN_ON(req_map(shared, 0, UA(16), PG, RW));
	vfio_close(shared);
	others_ran = !owner_mm->locked_vm && !host_usage.pins;
}

TEST_F(world, stuck_stranger_registers)
{
	shared = self->c;
	owner_mm = self->mm;
	current->mm = self->other;
	host_stuck = owner_leaves;
	self->other->stuck_fault = true;
	EXPECT_EQ(req_register(self->c, UA(16), 16 * PG), -EINVAL);
	EXPECT_TRUE(others_ran);
	host_stuck = NULL;
	current->mm = self->mm;
	EXPECT_EQ(self->other->locked_vm, 0);
	world_check();
}

/* Two threads register the same for one container: one does */
TEST_F(world, register_by_two_threads)
{
	long ret;

	sibling = self->c;
	sibling_mm = self->mm;
	host_stuck = let_sibling_wait;
	self->mm->stuck_fault = true;
	ret = req_register(self->c, UA(16), 16 * PG);
	pthread_join(waiter, NULL);
	host_stuck = NULL;
	EXPECT_EQ(sibling_ran, 1);
	EXPECT_EQ(ret + waiter_ret, -EBUSY);
	EXPECT_EQ(self->mm->locked_vm, 16);
	world_check();
	EXPECT_WORKS(req_unregister(self->c, UA(16), 16 * PG));
	EXPECT_EQ(host_usage.pins, 0);
}

/* Each thread that maps (version 1) has pinned what no charge pays for twice */
static void map_in_vain(void)
{
	current->killed = true;
	others_ran = req_map(left, K64, UA(32), K64, RW) == -EINTR;
	current->killed = false;
}

TEST_F(world, maps_of_version_1_pin_one_after_the_other)
{
	left = version1(self->c);
	ASSERT_EQ(vfio_ioctl(left, VFIO_IOMMU_ENABLE, NULL), 0);
	EXPECT_WORKS(req_map(left, 0, UA(16), PG, RW));
	host_stuck = map_in_vain;
	self->mm->stuck_fault = true;
	EXPECT_WORKS(req_map(left, 0, UA(17), PG, RW));
	host_stuck = NULL;
	EXPECT_TRUE(others_ran);
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
	unsigned long charges = 0;
	u64 start, far;
	int ret = 0;

	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), 64 * PG));
	EXPECT_WORKS(req_create(self->c, 16, BIT(46), 1, &start));
	host_stuck = others_kill_me;
	self->mm->stuck = true;
	/* The one that has to pay for another page of levels waits */
	for (far = start; !ret && far < start + BIT(46); far += BIT(40)) {
		charges = self->mm->charges;
		self->digest = world_digest(self->mm);
		ret = req_map(self->c, far, UA(UA_HUGE), K64, RW);
	}
	EXPECT_EQ(ret, -EINTR);
	EXPECT_TRUE(others_ran);
	EXPECT_EQ(self->mm->charges, charges);
	EXPECT_EQ(world_digest(self->mm), self->digest);
	/* What is not to be made can be done still, and all can be given back */
	EXPECT_WORKS(req_unmap(self->c, start, BIT(46)));
	EXPECT_WORKS(req_unregister(self->c, UA(UA_HUGE), 64 * PG));
	EXPECT_WORKS(req_remove(self->c, start));
	current->killed = false;
	host_stuck = NULL;
}

/* Whoever takes the device away does not wait for what waits to be charged */
TEST_F(world, unbind_while_levels_are_to_be_charged)
{
	int ret = 0;
	u64 start, far;

	left = self->c;
	left_by = self->other;
	host_stuck = unbind;
	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), 64 * PG));
	EXPECT_WORKS(req_create(self->c, 16, BIT(46), 1, &start));
	self->mm->stuck = true;
	for (far = start; !ret && far < start + BIT(46); far += BIT(40))
		ret = req_map(self->c, far, UA(UA_HUGE), K64, RW);
	EXPECT_EQ(ret, -EINVAL);
	EXPECT_EQ(unbound, 1);
	EXPECT_EQ(self->mm->locked_vm, 0);
	world_check();

	vfio_attach(self->c, host_pes);
	ASSERT_EQ(vfio_set_iommu(self->c, VFIO_SPAPR_TCE_v2_IOMMU), 0);
	self->mm->stuck = true;
	EXPECT_EQ(req_create(self->c, 16, BIT(46), 1, &start), -EINVAL);
	EXPECT_EQ(unbound, 2);
	world_check();

	vfio_attach(self->c, host_pes);
	ASSERT_EQ(vfio_set_iommu(self->c, VFIO_SPAPR_TCE_IOMMU), 0);
	self->mm->stuck = true;
	EXPECT_EQ(vfio_ioctl(self->c, VFIO_IOMMU_ENABLE, NULL), -EINVAL);
	EXPECT_EQ(unbound, 3);
	EXPECT_EQ(self->mm->locked_vm, 0);
	host_stuck = NULL;
	world_check();
}

TEST_F(world, stuck_mm_is_seen)
{
	others_mm = self->other;
	self->other->stuck = true;
	EXPECT_TRUE(dies(wait_for_others_mm));
	EXPECT_TRUE(dies(wait_with_a_lock));
	self->other->stuck = false;
}
