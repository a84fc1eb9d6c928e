// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_CREATE_SPAPR_TCE_64, and what user space maps of a table.
 */
#include "kvm-unit.h"

TEST_F(kvm, create_arguments)
{
	static const struct {
		u32 page_shift;
		u64 offset, size;
	} bad[] = {
		{ 12, 0, 0 },
		{ 11, 0, 1 },
		{ 35, 0, 1 },
		{ 144, 0, 1 },
		{ 12, ~0ULL, 1 },
		{ 12, 1, ~0ULL },
		{ 12, 1ULL << 51, 1ULL << 51 },
		{ 12, 0, 1ULL << 52 },
		{ 34, 0, 1ULL << 30 },
	};
	unsigned long charged = self->mm->locked_vm;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_FAILS(-EINVAL, create_table(self->kvm, 7, bad[i].page_shift,
						   bad[i].offset, bad[i].size));
	EXPECT_EQ(self->mm->locked_vm, charged);
	self->fds[1] = create_table(self->kvm, 7, 34, 0, (1ULL << 30) - 1);
	EXPECT_GE(self->fds[1], 0);
	self->fds[2] = create_table(self->kvm, 8, 12, (1ULL << 52) - 2, 1);
	EXPECT_GE(self->fds[2], 0);
	self->nr_fds = 3;
	CHECK();
	/* Of each there is but the first level */
	EXPECT_EQ(self->mm->locked_vm, charged + 2);
}

TEST_F(kvm, create_twice)
{
	unsigned long charged = self->mm->locked_vm;

	EXPECT_FAILS(-EBUSY, create_table(self->kvm, LIOBN, 16, 0, 1));
	EXPECT_EQ(self->mm->locked_vm, charged);
	EXPECT_WORKS(PUT(LIOBN, 0, GPA(1) | TCE_RW));
	kvm_close(self->fds[0]);
	EXPECT_EQ(PUT(LIOBN, 0, GPA(1) | TCE_RW), H_TOO_HARD);
	self->fds[0] = create_table(self->kvm, LIOBN, 16, 0, 1);
	EXPECT_GE(self->fds[0], 0);
	EXPECT_EQ(GET(LIOBN, 0), 0);
}

TEST_F(kvm, create_without_descriptors)
{
	int others[64], nr = 0;

	while ((others[nr] = kvm_open_other()) >= 0)
		nr++;
	EXPECT_FAILS(-EMFILE, create_table(self->kvm, 7, 12, 0, 1));
	kvm_close(others[--nr]);
	self->fds[1] = create_table(self->kvm, 7, 12, 0, 1);
	EXPECT_GE(self->fds[1], 0);
	self->nr_fds = 2;
	while (nr)
		kvm_close(others[--nr]);
}

TEST_F(kvm, create_beyond_the_limit)
{
	self->mm->limit = self->mm->locked_vm;
	EXPECT_FAILS(-ENOMEM, create_table(self->kvm, 7, 12, 0, 1));
	self->mm->limit++;
	self->fds[1] = create_table(self->kvm, 7, 12, 0, 1);
	EXPECT_GE(self->fds[1], 0);
	self->nr_fds = 2;
	CHECK();
}

static void the_device_goes(void)
{
	host_preempt = NULL;
	PHB3->no_iommudata = true;
}

/* A PE is freed with its last device, while KVM waits for the tables */
TEST_F(kvm, attach_while_the_device_goes)
{
	host_preempt = the_device_goes;
	EXPECT_FAILS(-ENODEV, attach(self->kvm, self->fds[0], PHB3));
	EXPECT_EQ(host_preempt, NULL);
	PHB3->no_iommudata = false;
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
}

/* A descriptor may outlive its guest, and the other way round */
TEST_F(kvm, release_in_any_order)
{
	struct kvm *second = kvm_create();
	int fd = create_table(second, LIOBN, 12, 0, NR_TCES);

	set_up_guest(second);
	ASSERT_GE(fd, 0);
	EXPECT_WORKS(attach(second, fd, PHB3));
	kvm_put_kvm(second);
	world_check();
	kvm_close(fd);
	world_check();
	/* With the container gone before the tables */
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	EXPECT_WORKS(PUT(LIOBN, 0, GPA(1) | TCE_RW));
	vfio_close(self->c);
	world_check();
	EXPECT_GT(self->mm->locked_vm, 1);
	kvm_close(self->fds[0]);
	self->nr_fds = 0;
	EXPECT_EQ(self->mm->locked_vm, 0);
}

static pthread_t closer;
static int closer_fd;

static void *close_it(void *mm)
{
	rcu_register_thread();
	current->mm = mm;
	kvm_close(closer_fd);
	rcu_unregister_thread();

	return NULL;
}

/* On another CPU; it must not come to its end before this hypercall does */
static void begin_to_close(void)
{
	host_preempt = NULL;
	host_preempt_rm = NULL;
	pthread_create(&closer, NULL, close_it, current->mm);
	usleep(20000);
}

TEST_F(kvm, close_under_a_hypercall)
{
	/* The others do not sleep, and let nobody in */
	if (variant->mode != KVM_VIRTUAL && variant->mode != KVM_BOTH)
		return;
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	EXPECT_WORKS(PUT(LIOBN, 0, GPA(1) | TCE_RW));
	closer_fd = self->fds[0];
	self->nr_fds = 0;
	if (variant->mode == KVM_VIRTUAL)
		host_preempt = begin_to_close;
	else
		host_preempt_rm = begin_to_close;
	EXPECT_EQ(PUT(LIOBN, 0, 0), 0);
	pthread_join(closer, NULL);
	EXPECT_EQ(PUT(LIOBN, 0, 0), H_TOO_HARD);
	CHECK();
	EXPECT_FAULTS(PHB3, 0);
}

TEST_F(kvm, fault_on_demand)
{
	const u64 per_page = PG / 8;
	unsigned long charged;
	u64 *page = NULL;
	int fd;

	fd = create_table(self->kvm, 7, 12, 0, MANY - 1);
	ASSERT_GE(fd, 0);
	self->fds[1] = fd;
	self->nr_fds = 2;
	charged = self->mm->locked_vm;
	EXPECT_EQ(kvm_fault(fd, MANY / per_page, AGAIN, &page), VM_FAULT_SIGBUS);
	EXPECT_EQ(kvm_fault(fd, ~0UL, AGAIN, &page), VM_FAULT_SIGBUS);
	/* Not where nobody may wait; who does not want to comes again */
	EXPECT_EQ(kvm_fault(fd, 2, 0, &page), VM_FAULT_OOM);
	EXPECT_EQ(kvm_fault(fd, 2, NOWAIT, &page), VM_FAULT_RETRY);
	EXPECT_EQ(kvm_fault(fd, 2, TRIED, &page), VM_FAULT_OOM);
	EXPECT_EQ(self->mm->locked_vm, charged);
	/* Nor by a child, whatever its own limit */
	current->mm = self->other;
	EXPECT_EQ(kvm_fault(fd, 2, AGAIN, &page), VM_FAULT_SIGBUS);
	current->mm = self->mm;
	EXPECT_EQ(self->mm->locked_vm, charged);
	EXPECT_EQ(kvm_fault(fd, 2, AGAIN, &page), VM_FAULT_RETRY);
	EXPECT_EQ(self->mm->locked_vm, charged + STEP);
	CHECK();
	EXPECT_EQ(kvm_fault(fd, 2, TRIED, &page), 0);
	ASSERT_NE(page, NULL);
	EXPECT_EQ(self->mm->locked_vm, charged + STEP);
	/* It is what the guest has put, and what it gets */
	EXPECT_WORKS(PUT(7, (2 * per_page + 5) * P4, GPA(3) | TCE_PCI_READ));
	EXPECT_EQ(page[5], GPA(3) | TCE_PCI_READ);
	page[6] = GPA(9) | TCE_RW;
	EXPECT_EQ(GET(7, (2 * per_page + 6) * P4), GPA(9) | TCE_RW);
	/* What the guest made is there without another charge */
	EXPECT_WORKS(PUT(7, 0, GPA(3) | TCE_PCI_READ));
	EXPECT_EQ(kvm_fault(fd, 0, 0, &page), 0);
	EXPECT_EQ(page[0], GPA(3) | TCE_PCI_READ);
}

/* A limit is hit for good; memory may be there the next time */
TEST_F(kvm, fault_without_memory)
{
	int fd = create_table(self->kvm, 7, 12, 0, MANY);
	u64 *page;

	ASSERT_GE(fd, 0);
	self->fds[1] = fd;
	self->nr_fds = 2;
	/* A level that leads to the leaf is not enough either */
	self->mm->limit = self->mm->locked_vm + STEP - 1;
	EXPECT_EQ(kvm_fault(fd, 2, AGAIN, &page), VM_FAULT_RETRY);
	EXPECT_EQ(kvm_fault(fd, 2, TRIED, &page), VM_FAULT_SIGBUS);
	EXPECT_EQ(kvm_fault(fd, 2, 0, &page), VM_FAULT_SIGBUS);
	CHECK();
	self->mm->limit++;
	fail_arm(1);
	EXPECT_EQ(kvm_fault(fd, 2, AGAIN, &page), VM_FAULT_RETRY);
	EXPECT_TRUE(fail_fired());
	fail_arm(0);
	EXPECT_EQ(kvm_fault(fd, 2, TRIED, &page), VM_FAULT_OOM);
	CHECK();
	EXPECT_EQ(kvm_fault(fd, 2, AGAIN, &page), VM_FAULT_RETRY);
	EXPECT_EQ(kvm_fault(fd, 2, TRIED, &page), 0);
}

/* A view up to 4 MiB is paid for whole, and can be touched all over */
TEST_F(kvm, fault_prepaid)
{
	const u64 sizes[] = { 1, PG / 8, PG / 8 + 1, 3 * PG / 8 - 1, MANY / 2 };
	unsigned long before = self->mm->locked_vm, pages, n;
	unsigned int i;
	u64 *page;
	int fd;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (pages = 0, n = sizes[i]; n > 1 || !pages; pages += n)
			n = DIV_ROUND_UP(n, PG / 8);
		self->mm->limit = before + pages - 1;
		EXPECT_FAILS(-ENOMEM, create_table(self->kvm, 7, 12, 0, sizes[i]));
		EXPECT_EQ(self->mm->locked_vm, before);
		self->mm->limit++;
		fd = create_table(self->kvm, 7, 12, 0, sizes[i]);
		ASSERT_GE(fd, 0);
		EXPECT_EQ(self->mm->locked_vm, before + pages);
		for (n = 0; n < DIV_ROUND_UP(sizes[i] * 8, PG); n++)
			EXPECT_EQ(kvm_fault(fd, n, n & 1 ? 0 : NOWAIT, &page), 0);
		EXPECT_EQ(kvm_fault(fd, n, AGAIN, &page), VM_FAULT_SIGBUS);
		CHECK();
		/* The guest needs no more either */
		EXPECT_WORKS(PUT(7, (sizes[i] - 1) * P4, GPA(1) | TCE_RW));
		EXPECT_EQ(self->mm->locked_vm, before + pages);
		kvm_close(fd);
		EXPECT_EQ(self->mm->locked_vm, before);
	}
	/* Memory itself is another matter */
	fd = create_table(self->kvm, 7, 12, 0, 100);
	kvm_close(fd);
	fail_arm(1);
	EXPECT_LT(create_table(self->kvm, 7, 12, 0, 100), 0);
	for (n = 2; fail_fired(); n++) {
		EXPECT_EQ(self->mm->locked_vm, before);
		fail_arm(n);
		fd = create_table(self->kvm, 7, 12, 0, 100);
	}
	fail_arm(0);
	EXPECT_GT(n, 4);
	kvm_close(fd);
	self->mm->limit = 1UL << 40;
	fd = create_table(self->kvm, 7, 12, 0, PG / 4);
	self->fds[1] = fd;
	self->nr_fds = 2;
	fail_arm(1);
	EXPECT_EQ(kvm_fault(fd, 1, AGAIN, &page), VM_FAULT_OOM);
	fail_arm(0);
	EXPECT_EQ(kvm_fault(fd, 1, AGAIN, &page), 0);
}

/* A table of one page has no level but the first */
TEST_F(kvm, fault_of_a_small_table)
{
	u64 *page = NULL;

	self->fds[1] = create_table(self->kvm, 7, 12, 5, 1);
	self->nr_fds = 2;
	EXPECT_EQ(kvm_fault(self->fds[1], 0, 0, &page), 0);
	ASSERT_NE(page, NULL);
	EXPECT_WORKS(PUT(7, 5 * P4, GPA(1) | TCE_RW));
	EXPECT_EQ(page[0], GPA(1) | TCE_RW);
	EXPECT_EQ(kvm_fault(self->fds[1], 1, FAULT_FLAG_ALLOW_RETRY, &page),
		  VM_FAULT_SIGBUS);
}
