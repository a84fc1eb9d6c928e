// SPDX-License-Identifier: GPL-2.0-only
/*
 * Several hardware tables behind one LIOBN; limits, and what is traced.
 */
#include "kvm-unit.h"

TEST_F(kvm, two_tables)
{
	unsigned long charged;

	furnish(self->c + 1, PHB3_OTHER);
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3_OTHER));
	self->mirrored = true;
	write_list(self->kvm, GPA_LIST, GPA_HUGE | TCE_RW, P4, 300);
	EXPECT_WORKS(PUT(LIOBN, 0, GPA_HUGE | TCE_RW));
	EXPECT_WORKS(LIST(LIOBN, P4, GPA_LIST, 300));
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 1 + 2 * 301);
	EXPECT_REACHES(PHB3, P4, GPA_HUGE);
	EXPECT_REACHES(PHB3_OTHER, P4, GPA_HUGE);
	EXPECT_WORKS(STUFF(LIOBN, 0, 0, 100));
	EXPECT_FAULTS(PHB3, P4);
	EXPECT_FAULTS(PHB3_OTHER, P4);
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 1 + 2 * 201);
	/* No memory for the second: the first has nothing either */
	charged = self->mm->locked_vm;
	EXPECT_FAILS(H_TOO_HARD, PUT(LIOBN, 0, GPA_STRANGE | TCE_RW));
	EXPECT_EQ(self->mm->locked_vm, charged);
	/* One of them has something there by VFIO */
	EXPECT_EQ(req_map(self->c, 0, UA(2), P4, RW), 0);
	EXPECT_WORKS(PUT(LIOBN, 0, GPA(1) | TCE_RW));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 3);
}

/* A second table with larger pages refuses what the first one would take */
TEST_F(kvm, two_tables_all_or_none)
{
	/* Which may be of more than one region, besides */
	const long refused = PAGE_SHIFT == 12 ? H_TOO_HARD : H_PARAMETER;
	int fd = create_table(self->kvm, 7, 21, WINDOW1 >> 21, 4);

	self->fds[1] = fd;
	self->nr_fds = 2;
	EXPECT_WORKS(req_create(self->c, 12, SZ_2M * 4, 1, NULL));
	vfio_attach(self->c + 1, PHB4);
	vfio_set_iommu(self->c + 1, VFIO_SPAPR_TCE_v2_IOMMU);
	EXPECT_WORKS(req_create(self->c + 1, 21, SZ_2M * 4, 1, NULL));
	EXPECT_WORKS(attach(self->kvm, fd, PHB4));
	EXPECT_WORKS(attach(self->kvm, fd, PHB3));
	self->mirrored = true;
	kvm_set_slot(self->kvm, 3, BIT(40), UA(0), 512);
	EXPECT_FAILS(refused, PUT(7, WINDOW1, BIT(40) | TCE_RW));
	EXPECT_WORKS(PUT(7, WINDOW1 + SZ_2M, GPA_HUGE | TCE_RW));
	EXPECT_REACHES(PHB3, WINDOW1 + SZ_2M + 511 * P4, GPA_HUGE + 511 * P4);
	EXPECT_REACHES(PHB4, WINDOW1 + SZ_2M + 511 * P4, GPA_HUGE + 511 * P4);
	EXPECT_WORKS(STUFF(7, WINDOW1, 0, 4));
	/* The same the other way round */
	release(self->kvm, PHB4);
	EXPECT_WORKS(attach(self->kvm, fd, PHB4));
	EXPECT_FAILS(refused, PUT(7, WINDOW1, BIT(40) | TCE_RW));
}

TEST_F(kvm, limit)
{
	unsigned long charged, n;
	long ret = -1;

	EXPECT_WORKS(req_create(self->c, 16, 1UL << 40, 3, NULL));
	self->fds[1] = create_table(self->kvm, 7, 16, WINDOW1 >> 16, 1UL << 24);
	self->nr_fds = 2;
	EXPECT_WORKS(attach(self->kvm, self->fds[1], PHB3));
	self->mirrored = false;
	write_list(self->kvm, GPA_LIST, GPA_HUGE | TCE_RW, K64, 16);
	/* Each time there is a page more, until it suffices */
	for (n = 0; ret && n < 64; n++) {
		charged = self->mm->locked_vm;
		self->mm->limit = charged + n;
		self->digest = state(self->mm);
		ret = LIST(7, WINDOW1 + (1UL << 36) - 5 * K64, GPA_LIST, 16);
		CHECK();
		if (!ret)
			break;
		EXPECT_EQ(ret, H_NOT_ENOUGH_RESOURCES);
		EXPECT_EQ(state(self->mm), self->digest);
	}
	EXPECT_GE(n, 2);
	EXPECT_REACHES(PHB3, WINDOW1 + (1UL << 36), GPA_HUGE + 5 * K64);
	self->mm->limit = self->mm->locked_vm;
	EXPECT_FAILS(H_NOT_ENOUGH_RESOURCES, PUT(7, WINDOW1, GPA_HUGE | TCE_RW));
	EXPECT_WORKS(STUFF(7, WINDOW1, 0, 1UL << 24));
}

/* To unmap does not fail for want of memory: it is the mark that is lost */
TEST_F(kvm, limit_of_marks)
{
	const unsigned long there = WINDOW1 + (1UL << 36), absent = WINDOW1 + (1UL << 38);
	long levels;

	EXPECT_WORKS(req_create(self->c, 16, 1UL << 40, 3, NULL));
	self->fds[1] = create_table(self->kvm, 7, 16, WINDOW1 >> 16, 1UL << 24);
	self->nr_fds = 2;
	EXPECT_WORKS(attach(self->kvm, self->fds[1], PHB3));
	EXPECT_WORKS(PUT(7, there, GPA_HUGE | TCE_RW));
	EXPECT_WORKS(PUT(7, there + K64, GPA_HUGE | TCE_RW));
	/* Mapped by VFIO, where the view has nothing */
	EXPECT_EQ(req_map(self->c, absent, UA(UA_HUGE), 16 * K64, RW), 0);
	self->mm->limit = self->mm->locked_vm;
	EXPECT_WORKS(STUFF(7, absent, 8, 1));
	EXPECT_EQ(GET(7, absent), 0);
	EXPECT_FAULTS(PHB3, absent);
	EXPECT_WORKS(PUT(7, absent + K64, 0xabc000));
	EXPECT_EQ(GET(7, absent + K64), 0);
	EXPECT_FAULTS(PHB3, absent + K64);
	write_list(self->kvm, GPA_LIST, 0x10000, K64, 8);
	EXPECT_WORKS(LIST(7, absent + 2 * K64, GPA_LIST, 8));
	EXPECT_EQ(GET(7, absent + 3 * K64), 0);
	EXPECT_FAULTS(PHB3, absent + 9 * K64);
	/* Where there is something, it is kept */
	EXPECT_WORKS(STUFF(7, there, 0x50000, 1));
	EXPECT_EQ(GET(7, there), 0x50000);
	EXPECT_WORKS(STUFF(7, WINDOW1, 8, 1UL << 24));
	EXPECT_EQ(GET(7, there + K64), 8);
	EXPECT_FAULTS(PHB3, there + K64);
	EXPECT_FAULTS(PHB3, absent + 15 * K64);
	/* With something to map in it, a list does fail; levels went just now */
	self->mm->limit = self->mm->locked_vm;
	write_one(self->kvm, GPA_LIST, 3, GPA_HUGE | TCE_RW);
	EXPECT_FAILS(H_NOT_ENOUGH_RESOURCES, LIST(7, absent, GPA_LIST, 8));
	/* The same without memory as such */
	self->mm->limit += 64;
	EXPECT_EQ(req_map(self->c, absent, UA(UA_HUGE), 16 * K64, RW), 0);
	fail_arm(1);
	EXPECT_WORKS(PUT(7, absent, 0x10000));
	EXPECT_TRUE(fail_fired());
	fail_arm(0);
	EXPECT_EQ(GET(7, absent), 0);
	EXPECT_FAULTS(PHB3, absent);
	EXPECT_REACHES(PHB3, absent + K64, GPA_HUGE + K64);
	/* A list of nothing makes nothing */
	levels = host_usage.level_bytes;
	write_list(self->kvm, GPA_LIST, 0, 0, 8);
	EXPECT_WORKS(LIST(7, absent, GPA_LIST, 8));
	EXPECT_FAULTS(PHB3, absent + 7 * K64);
	EXPECT_EQ(host_usage.level_bytes, levels);
}

/*
 * Who is killed while a huge range is unmapped ends soon, and has a view that
 * says what is mapped still.
 */
TEST_F(kvm, stuff_while_being_killed)
{
	const unsigned long part = 1UL << 20;

	EXPECT_WORKS(req_create(self->c, 12, 4 * part * P4, 1, NULL));
	self->fds[1] = create_table(self->kvm, 7, 12, WINDOW1 >> 12, 4 * part);
	self->nr_fds = 2;
	EXPECT_WORKS(attach(self->kvm, self->fds[1], PHB3));
	EXPECT_WORKS(PUT(7, WINDOW1, GPA_HUGE | TCE_RW));
	EXPECT_WORKS(PUT(7, WINDOW1 + 3 * part * P4, GPA_HUGE | TCE_RW));
	current->killed = true;
	EXPECT_EQ(STUFF(7, WINDOW1, 0, 4 * part), H_TOO_HARD);
	/* A single page is not worth looking for a signal */
	EXPECT_WORKS(PUT(7, WINDOW1 + P4, 0));
	current->killed = false;
	world_check();
	EXPECT_EQ(GET(7, WINDOW1), 0);
	EXPECT_FAULTS(PHB3, WINDOW1);
	EXPECT_EQ(GET(7, WINDOW1 + 3 * part * P4), GPA_HUGE | TCE_RW);
	EXPECT_REACHES(PHB3, WINDOW1 + 3 * part * P4, GPA_HUGE);
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 2);
	EXPECT_WORKS(STUFF(7, WINDOW1, 0, 4 * part));
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 1);
}

/* Where lists are kept is for a VCPU to have when it needs it */
TEST_F(kvm, vcpu_without_memory)
{
	struct kvm_vcpu *vcpu = kvm_vcpu_create(self->kvm);

	/* A mark, for which there is a level then */
	write_one(self->kvm, GPA_LIST, 0, 0x1000);
	EXPECT_EQ(kvm_hcall(vcpu, KVM_REAL, H_PUT_TCE_INDIRECT, LIOBN, 0,
			    GPA_LIST, 1), H_TOO_HARD);
	fail_arm(1);
	EXPECT_EQ(kvm_hcall(vcpu, KVM_BOTH, H_PUT_TCE_INDIRECT, LIOBN, 0,
			    GPA_LIST, 1), H_NOT_ENOUGH_RESOURCES);
	fail_arm(0);
	EXPECT_EQ(kvm_hcall(vcpu, KVM_BOTH, H_PUT_TCE_INDIRECT, LIOBN, 0,
			    GPA_LIST, 1), H_SUCCESS);
	EXPECT_EQ(kvm_hcall(vcpu, KVM_REAL, H_PUT_TCE_INDIRECT, LIOBN, 0,
			    GPA_LIST, 1), H_SUCCESS);
	kvm_vcpu_destroy(vcpu);
}

TEST_F(kvm, trace)
{
	struct kvm_vcpu *vcpu = kvm_vcpu_create(self->kvm);
	unsigned long real = in_the_guest(variant->mode);

	host_trace_enabled = true;
	host_traced[0] = 0;
	host_traced[1] = 0;
	/* Real mode has nowhere to remember it, the first time */
	EXPECT_EQ(kvm_hcall(vcpu, variant->mode, H_GET_TCE, LIOBN, 0, 0, 0), 0);
	EXPECT_EQ(host_traced[0], 1);
	EXPECT_EQ(host_traced[1], 0);
	EXPECT_EQ(kvm_hcall(vcpu, variant->mode, H_GET_TCE, LIOBN, 0, 0, 0), 0);
	EXPECT_EQ(host_traced[real], 2 - real);
	host_trace_enabled = false;
	EXPECT_EQ(kvm_hcall(vcpu, variant->mode, H_GET_TCE, LIOBN, 0, 0, 0), 0);
	EXPECT_EQ(host_traced[0] + host_traced[1], 2);
	kvm_vcpu_destroy(vcpu);
}

/* A guest that does not leave for long fills what is remembered */
TEST_F(kvm, trace_is_full)
{
	int idx, n;

	host_trace_enabled = true;
	idx = srcu_read_lock(&self->kvm->srcu);
	host_enter_real_mode();
	for (n = 0; n < 1000; n++)
		if (kvmppc_rm_h_get_tce(self->vcpu, LIOBN, 0))
			break;
	host_leave_real_mode();
	srcu_read_unlock(&self->kvm->srcu, idx);
	EXPECT_EQ(n, 96);
	host_traced[1] = 0;
	kvmppc_tce_trace_flush(self->vcpu);
	EXPECT_EQ(host_traced[1], 96);
	EXPECT_EQ(IN_REAL_MODE(H_GET_TCE, LIOBN, 0, 0, 0), H_SUCCESS);
	host_trace_enabled = false;
}
