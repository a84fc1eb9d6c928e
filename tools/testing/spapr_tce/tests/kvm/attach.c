// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tables of groups that are attached to a table of the guest, and released.
 */
#include "kvm-unit.h"

TEST_F(kvm, attach_arguments)
{
	int other = kvm_open_other();
	struct kvm *second;
	int fd;

	EXPECT_FAILS(-EBADF, attach(self->kvm, 31, PHB3));
	EXPECT_FAILS(-EINVAL, attach(self->kvm, other, PHB3));
	kvm_close(other);
	/* A group that no container has, and one whose windows are elsewhere */
	EXPECT_FAILS(-EINVAL, attach(self->kvm, self->fds[0], PHB4));
	self->fds[1] = create_table(self->kvm, 1, 12, 1, NR_TCES - 1);
	EXPECT_FAILS(-EINVAL, attach(self->kvm, self->fds[1], PHB3));
	self->fds[2] = create_table(self->kvm, 2, 12, 0, NR_TCES + 1);
	EXPECT_FAILS(-EINVAL, attach(self->kvm, self->fds[2], PHB3));
	self->nr_fds = 3;
	PHB3->no_iommudata = true;
	EXPECT_FAILS(-ENODEV, attach(self->kvm, self->fds[0], PHB3));
	PHB3->no_iommudata = false;
	/* A table of another guest; another process's group */
	second = kvm_create();
	EXPECT_FAILS(-EINVAL, attach(second, self->fds[0], PHB3));
	kvm_put_kvm(second);
	current->mm = self->other;
	second = kvm_create();
	fd = create_table(second, LIOBN, 12, 0, NR_TCES);
	EXPECT_FAILS(-EPERM, attach(second, fd, PHB3));
	kvm_close(fd);
	kvm_put_kvm(second);
	current->mm = self->mm;
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
}

TEST_F(kvm, attach_page_sizes)
{
	/* Pages of the guest may be larger than those of the bridge, no smaller */
	EXPECT_WORKS(req_create(self->c, 16, 1UL << 30, 1, NULL));
	self->fds[1] = create_table(self->kvm, 1, 12, WINDOW1 >> 12, 16);
	self->fds[2] = create_table(self->kvm, 2, 16, WINDOW1 >> 16, 16);
	self->fds[3] = create_table(self->kvm, 3, 21, WINDOW1 >> 21, 16);
	self->fds[4] = create_table(self->kvm, 4, 16, 0, NR_TCES / 16);
	self->nr_fds = 5;
	EXPECT_FAILS(-EINVAL, attach(self->kvm, self->fds[1], PHB3));
	EXPECT_WORKS(attach(self->kvm, self->fds[2], PHB3));
	EXPECT_WORKS(attach(self->kvm, self->fds[4], PHB3));
	self->mirrored = true;
	EXPECT_WORKS(PUT(2, WINDOW1 + 3 * K64, GPA_HUGE | TCE_RW));
	EXPECT_REACHES(PHB3, WINDOW1 + 3 * K64 + 77, GPA_HUGE + 77);
	EXPECT_WORKS(PUT(2, WINDOW1 + 3 * K64, 0));
	EXPECT_FAULTS(PHB3, WINDOW1 + 3 * K64);
	EXPECT_WORKS(PUT(2, WINDOW1 + 3 * K64, GPA_HUGE | TCE_RW));
	EXPECT_WORKS(PUT(4, 3 * K64, (GPA_HUGE + K64) | TCE_PCI_READ));
	EXPECT_REACHES(PHB3, 3 * K64 + 5 * P4, GPA_HUGE + K64 + 5 * P4);
	EXPECT_EQ(machine_dma(PHB3, 3 * K64, true), -EFAULT);
	self->mirrored = false;
	/* The same window by another LIOBN */
	EXPECT_WORKS(attach(self->kvm, self->fds[3], PHB3));
	EXPECT_WORKS(PUT(3, WINDOW1 + SZ_2M, GPA_HUGE | TCE_RW));
	EXPECT_REACHES(PHB3, WINDOW1 + SZ_2M + 9 * K64, GPA_HUGE + 9 * K64);
	EXPECT_WORKS(STUFF(3, WINDOW1, 0, 2));
	EXPECT_FAULTS(PHB3, WINDOW1 + 3 * K64);
	EXPECT_FAULTS(PHB3, WINDOW1 + SZ_2M);
}

TEST_F(kvm, attach_twice_and_release)
{
	EXPECT_WORKS(vfio_attach(self->c, PHB3_SAME));
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	EXPECT_EQ(links_of(self->kvm, LIOBN), 1);
	/* The same table for another group: it is written once */
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3_SAME));
	EXPECT_EQ(links_of(self->kvm, LIOBN), 2);
	EXPECT_WORKS(PUT(LIOBN, P4, GPA(1) | TCE_RW));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 2);
	EXPECT_REACHES(PHB3, P4, GPA(1));
	EXPECT_REACHES(PHB3_SAME, P4, GPA(1));
	release(self->kvm, PHB3);
	EXPECT_EQ(links_of(self->kvm, LIOBN), 1);
	EXPECT_WORKS(PUT(LIOBN, 2 * P4, GPA(2) | TCE_RW));
	EXPECT_REACHES(PHB3, 2 * P4, GPA(2));
	release(self->kvm, PHB3_SAME);
	EXPECT_EQ(links_of(self->kvm, LIOBN), 0);
	release(self->kvm, PHB3_SAME);
	/* What is mapped is the container's; what comes is the guest's alone */
	EXPECT_WORKS(PUT(LIOBN, 2 * P4, 0));
	EXPECT_WORKS(PUT(LIOBN, 3 * P4, GPA(3) | TCE_RW));
	EXPECT_REACHES(PHB3, 2 * P4, GPA(2));
	EXPECT_FAULTS(PHB3, 3 * P4);
	EXPECT_EQ(GET(LIOBN, 3 * P4), GPA(3) | TCE_RW);
}

/* A window that was removed takes nothing, and goes with the next attach */
TEST_F(kvm, attach_behind_a_removed_window)
{
	long tables = host_usage.tables;

	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	EXPECT_WORKS(PUT(LIOBN, P4, GPA(1) | TCE_RW));
	EXPECT_WORKS(req_remove(self->c, 0));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 1);
	EXPECT_WORKS(PUT(LIOBN, 2 * P4, GPA(2) | TCE_RW));
	EXPECT_EQ(GET(LIOBN, 2 * P4), GPA(2) | TCE_RW);
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 1);
	EXPECT_EQ(host_usage.tables, tables);
	EXPECT_FAILS(-EINVAL, attach(self->kvm, self->fds[0], PHB3));
	EXPECT_WORKS(req_create(self->c, 12, NR_TCES * P4, 1, NULL));
	EXPECT_EQ(host_usage.tables, tables + 1);
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	EXPECT_EQ(host_usage.tables, tables);
	EXPECT_EQ(links_of(self->kvm, LIOBN), 1);
	EXPECT_WORKS(PUT(LIOBN, 3 * P4, GPA(3) | TCE_RW));
	EXPECT_REACHES(PHB3, 3 * P4, GPA(3));
	/* Or when some other group leaves */
	EXPECT_WORKS(req_remove(self->c, 0));
	release(self->kvm, PHB4);
	EXPECT_EQ(host_usage.tables, tables - 1);
}

/* Who has to wait for the lock comes later */
static void remove_window(void)
{
	if (window_of(raced_container)->it_user->lock.word)
		host_preempt = intrude;
	else
		req_remove(raced_container, 0);
}

TEST_F(kvm, attach_while_the_window_is_removed)
{
	int n;

	raced_container = self->c;
	raced_action = remove_window;
	for (n = 0; !host_preempt; n++) {
		locks_before = n;
		host_preempt = intrude;
		attach(self->kvm, self->fds[0], PHB3);
		if (host_preempt)
			break;
		CHECK();
		EXPECT_WORKS(PUT(LIOBN, 3 * P4, GPA(3) | TCE_RW));
		EXPECT_FAULTS(PHB3, 3 * P4);
		EXPECT_EQ(mapped_at(self->mm, UA(0)), 1);
		EXPECT_WORKS(req_create(self->c, 12, NR_TCES * P4, 1, NULL));
		release(self->kvm, PHB3);
	}
	host_preempt = NULL;
	EXPECT_GT(n, 2);
}

TEST_F(kvm, put_while_the_window_is_removed)
{
	int n;

	raced_container = self->c;
	raced_action = remove_window;
	write_list(self->kvm, GPA_LIST, GPA(1) | TCE_RW, P4, 16);
	for (n = 0; !host_preempt; n++) {
		EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
		locks_before = n;
		host_preempt = intrude;
		EXPECT_EQ(kvm_hcall(self->vcpu, KVM_VIRTUAL, H_PUT_TCE_INDIRECT,
				    LIOBN, 0, GPA_LIST, 16), 0);
		if (host_preempt)
			break;
		CHECK();
		EXPECT_EQ(mapped_at(self->mm, UA(0)), 1);
		EXPECT_WORKS(req_create(self->c, 12, NR_TCES * P4, 1, NULL));
	}
	host_preempt = NULL;
	EXPECT_GT(n, 2);
}
