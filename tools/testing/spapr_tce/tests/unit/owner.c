// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whose a container is, who waits for its first request, and what is left when its
 * last group leaves.
 */
#include "unit.h"

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
	long (*request)(struct host_container *c);
	pthread_barrier_t barrier;
	long ret;
} slow;
static __thread bool slow_here;

static void slow_with_lock(void)
{
	if (!slow_here || !glue_container_is_mine(slow.c->data))
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
	slow.ret = slow.request(slow.c);
	rcu_unregister_thread();

	return arg;
}

static long slow_unregister(struct host_container *c)
{
	return req_unregister(c, UA(100), PG);
}

static long slow_create(struct host_container *c)
{
	return req_create(c, 16, MB, 1, NULL);
}

static pthread_t slow_begins(struct host_container *c, struct mm_struct *mm,
			     long (*request)(struct host_container *c))
{
	pthread_t thread;

	slow.c = c;
	slow.mm = mm;
	slow.request = request;
	pthread_barrier_init(&slow.barrier, NULL, 2);
	host_preempt = slow_with_lock;
	pthread_create(&thread, NULL, slow_thread, NULL);
	pthread_barrier_wait(&slow.barrier);

	return thread;
}

static long slow_ends(pthread_t thread)
{
	pthread_barrier_wait(&slow.barrier);
	pthread_join(thread, NULL);
	host_preempt = NULL;

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
	EXPECT_WORKS(req_register(self->c, UA(100), PG));
	thread = slow_begins(self->c, self->mm, slow_unregister);
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

	self->other->limit = 0;
	thread = slow_begins(self->c, self->other, slow_create);
	EXPECT_TRUE(shows(self->c, "tce_registered:\t0\n"));
	current->killed = true;
	EXPECT_EQ(vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info), -EINTR);
	EXPECT_EQ(req_register(self->c, UA(0), PG), -EINTR);
	current->killed = false;
	/* The other one fails, and this one is the first */
	EXPECT_EQ(slow_ends(thread), -ENOMEM);
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
