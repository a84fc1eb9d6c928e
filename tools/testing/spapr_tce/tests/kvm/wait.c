// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that is not done for long stalls no other; what others do while a
 * hypercall waits for the mmap_lock of its process.
 */
#include "kvm-unit.h"

struct background {
	pthread_t thread;
	struct mm_struct *mm;
	struct kvm *kvm;
	struct host_pe *hpe;
	int fd;
};

static void *release_it(void *arg)
{
	struct background *b = arg;

	rcu_register_thread();
	current->mm = b->mm;
	release(b->kvm, b->hpe);
	rcu_unregister_thread();

	return NULL;
}

static void *create_and_close(void *arg)
{
	struct background *b = arg;

	rcu_register_thread();
	current->mm = b->mm;
	b->fd = create_table(b->kvm, LIOBN, 12, 0, NR_TCES);
	release(b->kvm, b->hpe);
	if (b->fd >= 0)
		kvm_close(b->fd);
	rcu_unregister_thread();

	return NULL;
}

static bool ends_soon(pthread_t thread)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 2;

	return !pthread_timedjoin_np(thread, NULL, &until);
}

TEST_F(kvm, guests_do_not_wait_for_each_other)
{
	struct background slow = { .mm = self->mm, .kvm = self->kvm, .hpe = PHB3 };
	struct background quick = { .mm = self->other, .hpe = PHB4 };
	struct tce_lock *lock;
	bool done;
	int srcu;

	srcu = srcu_read_lock(&self->kvm->srcu);
	lock = glue_kvm_lock(self->kvm, LIOBN);
	srcu_read_unlock(&self->kvm->srcu, srcu);
	current->mm = self->other;
	quick.kvm = kvm_create();
	current->mm = self->mm;
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	/* A hypercall of the first guest takes its time; a group leaves meanwhile */
	tce_lock(lock);
	pthread_create(&slow.thread, NULL, release_it, &slow);
	usleep(20000);
	pthread_create(&quick.thread, NULL, create_and_close, &quick);
	done = ends_soon(quick.thread);
	EXPECT_TRUE(done);
	EXPECT_EQ(pthread_tryjoin_np(slow.thread, NULL), EBUSY);
	tce_unlock(lock);
	pthread_join(slow.thread, NULL);
	if (!done)
		pthread_join(quick.thread, NULL);
	EXPECT_GE(quick.fd, 0);
	kvm_put_kvm(quick.kvm);
	CHECK();
}

static struct {
	struct mm_struct *other;
	struct kvm_vcpu *vcpu;
	long answers[3];
	int done;
} stuck;

/* Another process has a guest, and lets it go */
static void run_another_guest(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm *kvm;
	int fd;

	current->mm = stuck.other;
	kvm = kvm_create();
	set_up_guest(kvm);
	vcpu = kvm_vcpu_create(kvm);
	fd = create_table(kvm, 7, 16, WINDOW1 >> 16, 1UL << 24);
	WARN_ON(fd < 0);
	WARN_ON(kvm_hcall(vcpu, KVM_BOTH, H_PUT_TCE, 7, WINDOW1, GPA_HUGE | TCE_RW, 0));
	WARN_ON(kvm_hcall(vcpu, KVM_BOTH, H_STUFF_TCE, 7, WINDOW1, 0, 1UL << 24));
	release(kvm, PHB4);
	kvm_close(fd);
	kvm_vcpu_destroy(vcpu);
	kvm_put_kvm(kvm);
	stuck.done++;
}

/* @meanwhile: comes when the hypercall waits to be charged */
static void put_when_stuck(struct __test_metadata *_metadata, struct kvm *kvm,
			   struct kvm_vcpu *vcpu, struct host_container *c,
			   int fd, void (*meanwhile)(void))
{
	unsigned int i;
	u64 *page;

	ASSERT_EQ(req_create(c, 16, 1UL << 40, 3, NULL), 0);
	ASSERT_EQ(attach(kvm, fd, PHB3), 0);
	/* The view is there, so it is the hardware's levels that are paid for */
	ASSERT_EQ(kvm_fault(fd, 0, AGAIN, &page), VM_FAULT_RETRY);
	stuck.done = 0;
	kvm->mm->stuck = true;
	host_stuck = meanwhile;
	/* Levels may be less than a page, of which some are paid for already */
	for (i = 0; i < 8 && kvm->mm->stuck; i++) {
		EXPECT_EQ(kvm_hcall(vcpu, KVM_BOTH, H_PUT_TCE, 7,
				    WINDOW1 + (1024 * i + 3) * K64,
				    GPA_HUGE | TCE_RW, 0), 0);
		EXPECT_EQ(machine_dma(PHB3, WINDOW1 + (1024 * i + 3) * K64, false),
			  hpa_of(kvm, GPA_HUGE));
	}
	host_stuck = NULL;
	EXPECT_FALSE(kvm->mm->stuck);
	EXPECT_EQ(stuck.done, 1);
	world_check();
}

TEST_F(kvm, stuck_guest_stalls_no_other)
{
	self->fds[1] = create_table(self->kvm, 7, 16, WINDOW1 >> 16, 1UL << 24);
	self->nr_fds = 2;
	stuck.other = self->other;
	put_when_stuck(_metadata, self->kvm, self->vcpu, self->c, self->fds[1],
		       run_another_guest);
}

/* The process is killed, and each of its threads wants a table that is in use */
static void *be_killed_waiting(void *arg)
{
	struct background *b = arg;

	rcu_register_thread();
	current->mm = b->mm;
	current->killed = true;
	stuck.answers[0] = kvm_hcall(stuck.vcpu, KVM_VIRTUAL, H_PUT_TCE, 7, WINDOW1,
				     GPA_HUGE | TCE_RW, 0);
	stuck.answers[1] = kvm_hcall(stuck.vcpu, KVM_VIRTUAL, H_STUFF_TCE, 7,
				     WINDOW1, 0, 5);
	stuck.answers[2] = attach(b->kvm, b->fd, b->hpe);
	rcu_unregister_thread();

	return NULL;
}

TEST_F(kvm, killed_while_the_table_is_changed)
{
	struct background b = { .mm = self->mm, .kvm = self->kvm, .hpe = PHB3 };
	struct tce_lock *lock;
	int srcu, i;

	self->fds[1] = create_table(self->kvm, 7, 16, WINDOW1 >> 16, 1UL << 24);
	self->nr_fds = 2;
	b.fd = self->fds[1];
	ASSERT_EQ(req_create(self->c, 16, 1UL << 40, 3, NULL), 0);
	ASSERT_EQ(attach(self->kvm, b.fd, PHB3), 0);
	stuck.vcpu = kvm_vcpu_create(self->kvm);
	srcu = srcu_read_lock(&self->kvm->srcu);
	lock = glue_kvm_lock(self->kvm, 7);
	srcu_read_unlock(&self->kvm->srcu, srcu);
	tce_lock(lock);
	pthread_create(&b.thread, NULL, be_killed_waiting, &b);
	pthread_join(b.thread, NULL);
	tce_unlock(lock);
	kvm_vcpu_destroy(stuck.vcpu);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(stuck.answers[i], H_TOO_HARD);
	EXPECT_EQ(stuck.answers[2], -EINTR);
	EXPECT_FAULTS(PHB3, WINDOW1);
	EXPECT_EQ(links_of(self->kvm, 7), 1);
	world_check();
}

/* Who drops the last reference, and does not wait for a hypercall */
static void *close_by_another(void *arg)
{
	struct background *b = arg;

	rcu_register_thread();
	current->mm = b->mm;
	kvm_close(b->fd);
	rcu_unregister_thread();

	return NULL;
}

static void close_beside_a_reader(struct __test_metadata *_metadata,
				  FIXTURE_DATA(kvm) * self,
				  struct mm_struct *closer)
{
	struct background b = { .mm = closer };
	unsigned long charged = self->mm->locked_vm, liobn = 7;
	struct host_kvm_table table;
	bool done;
	int srcu;

	b.fd = create_table(self->kvm, 7, 12, 0, NR_TCES);
	ASSERT_GE(b.fd, 0);
	EXPECT_GT(self->mm->locked_vm, charged);
	srcu = srcu_read_lock(&self->kvm->srcu);
	pthread_create(&b.thread, NULL, close_by_another, &b);
	done = ends_soon(b.thread);
	EXPECT_TRUE(done);
	/* Nobody finds it any more, but who had found it has it still */
	EXPECT_TRUE(!glue_kvm_next(self->kvm, &liobn, &table) || liobn != 7);
	rcu_barrier();
	host_run_works();
	EXPECT_GT(self->mm->locked_vm, charged);
	srcu_read_unlock(&self->kvm->srcu, srcu);
	if (!done)
		pthread_join(b.thread, NULL);
	host_settle();
	EXPECT_EQ(self->mm->locked_vm, charged);
}

TEST_F(kvm, others_do_not_wait_for_readers)
{
	struct mm_struct *other = mm_create(ULONG_MAX);

	close_beside_a_reader(_metadata, self, other);
	CHECK();
	mm_destroy(other);
}

/* Not yet joined, though it had time */
static bool still_runs(pthread_t thread)
{
	usleep(50000);

	return pthread_tryjoin_np(thread, NULL) == EBUSY;
}

/* Hypercalls that do not sleep are readers of RCU alone */
TEST_F(kvm, who_closes_waits_for_rcu)
{
	struct background b = { .mm = self->mm };
	unsigned long charged = self->mm->locked_vm;

	b.fd = create_table(self->kvm, 7, 12, 0, NR_TCES);
	ASSERT_GE(b.fd, 0);
	rcu_register_thread();
	rcu_read_lock();
	pthread_create(&b.thread, NULL, close_by_another, &b);
	EXPECT_TRUE(still_runs(b.thread));
	EXPECT_GT(self->mm->locked_vm, charged);
	rcu_read_unlock();
	pthread_join(b.thread, NULL);
	rcu_unregister_thread();
	EXPECT_EQ(self->mm->locked_vm, charged);
	CHECK();
}

TEST_F(kvm, kernel_threads_let_rcu_wait)
{
	unsigned long charged = self->mm->locked_vm;
	int fd = create_table(self->kvm, 7, 12, 0, NR_TCES);

	ASSERT_GE(fd, 0);
	current->mm = NULL;
	rcu_register_thread();
	rcu_read_lock();
	kvm_close(fd);
	host_srcu_barrier();
	usleep(50000);
	host_run_works();
	EXPECT_GT(self->mm->locked_vm, charged);
	rcu_read_unlock();
	rcu_unregister_thread();
	host_settle();
	EXPECT_EQ(self->mm->locked_vm, charged);
	current->mm = self->mm;
	CHECK();
}

/* A kernel thread has no mm, nor has a child that ends when it closes what it inherited */
TEST_F(kvm, who_has_no_mm_does_not_wait_for_readers)
{
	close_beside_a_reader(_metadata, self, NULL);
	CHECK();
}

/* The process itself ends: nobody has its mm, so its hypercalls have ended */
TEST_F(kvm, who_exits_finds_its_table_freed)
{
	unsigned long charged = self->mm->locked_vm;
	int fd = create_table(self->kvm, 7, 12, 0, NR_TCES);

	ASSERT_GE(fd, 0);
	EXPECT_GT(self->mm->locked_vm, charged);
	current->mm = NULL;
	atomic_set(&self->mm->mm_users, 0);
	kvm_close(fd);
	EXPECT_EQ(self->mm->locked_vm, charged);
	atomic_set(&self->mm->mm_users, 1);
	current->mm = self->mm;
	CHECK();
}

/* Nothing else has the guest any more, so it ends with the table */
static int last_table_of_a_guest(struct mm_struct *mm)
{
	struct kvm *kvm = kvm_create();
	int fd = create_table(kvm, 7, 12, 0, NR_TCES);

	kvm_put_kvm(kvm);
	current->mm = NULL;
	kvm_close(fd);
	current->mm = mm;

	return fd;
}

TEST_F(kvm, kernel_threads_close_the_last_of_a_guest)
{
	unsigned long charged = self->mm->locked_vm;

	ASSERT_GE(last_table_of_a_guest(self->mm), 0);
	EXPECT_GT(self->mm->locked_vm, charged);
	host_settle();
	EXPECT_EQ(self->mm->locked_vm, charged);
	CHECK();
}

/* The module goes as soon as no guest keeps it, and takes no work along */
TEST_F(kvm, unload_behind_the_last_of_a_guest)
{
	unsigned long charged = self->mm->locked_vm;

	ASSERT_GE(last_table_of_a_guest(self->mm), 0);
	host_srcu_barrier();
	rcu_barrier();
	EXPECT_GT(self->mm->locked_vm, charged);
	kvmppc_tce_exit();
	EXPECT_EQ(self->mm->locked_vm, charged);
	ASSERT_EQ(kvmppc_tce_init(), 0);
	CHECK();
}

static struct kvm *watched_kvm;
static unsigned int watched, watched_locks;

/* This thread is about to wait, or might be: with a lock? */
static void watch_locks(void)
{
	struct host_kvm_table table;
	unsigned long liobn;

	watched++;
	for (liobn = 0; glue_kvm_next(watched_kvm, &liobn, &table); liobn++)
		watched_locks += table.locked;
}

/* To pay for the view waits for memory of the process, and nobody for that */
TEST_F(kvm, view_grows_without_the_lock)
{
	self->fds[1] = create_table(self->kvm, 7, 12, 0, MANY);
	self->nr_fds = 2;
	watched_kvm = self->kvm;
	watched = 0;
	watched_locks = 0;
	write_list(self->kvm, GPA_LIST, GPA(1) | TCE_RW, P4, 16);
	host_preempt = watch_locks;
	EXPECT_EQ(PUT(7, 0, GPA(1) | TCE_RW), 0);
	EXPECT_EQ(LIST(7, MANY / 2 * P4, GPA_LIST, 16), 0);
	EXPECT_EQ(STUFF(7, MANY / 4 * P4, 8, 16), 0);
	host_preempt = NULL;
	EXPECT_GE(watched, 3);
	EXPECT_EQ(watched_locks, 0);
}
