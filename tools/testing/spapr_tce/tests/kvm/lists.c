// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCE tables of guests: where a guest's list lies, how much of one is taken at once,
 * and what becomes of several hardware tables when one of them differs: the first or
 * the last, in virtual and in real mode, on an LPAR as well.
 */
#include "kvm-unit.h"

#define LIST_AT		GPA(64)
/* A page that is registered by a container of its own */
#define OTHER		512

FIXTURE(lists)
{
	struct mm_struct *mm;
	struct host_container c[3];
	struct kvm *kvm;
	struct kvm_vcpu *vcpu;
	int fd;
};

VARIANTS(lists, enum kvm_mode, mode, virtual, KVM_VIRTUAL, real, KVM_REAL);

#define VIRTUAL(...)	kvm_hcall(self->vcpu, KVM_VIRTUAL, __VA_ARGS__)

/* All levels are there, so that real mode has no reason to refuse */
static void make_levels(struct kvm_vcpu *vcpu)
{
	unsigned long i;

	write_list(vcpu->kvm, LIST_AT, GPA(1) | TCE_RW, 0, 512);
	for (i = 0; i < NR_TCES; i += 512)
		if (kvm_hcall(vcpu, KVM_VIRTUAL, H_PUT_TCE_INDIRECT, LIOBN,
			      i * P4, LIST_AT, 512))
			host_die("no levels\n");
	/* At once they would go */
	for (i = 0; i < NR_TCES; i += NR_TCES / 2)
		if (kvm_hcall(vcpu, KVM_VIRTUAL, H_STUFF_TCE, LIOBN, i * P4, 0,
			      NR_TCES / 2))
			host_die("nothing is cleared\n");
}

FIXTURE_SETUP(lists)
{
	struct kvm_create_spapr_tce_64 args = {
		.liobn = LIOBN, .page_shift = 12, .size = NR_TCES,
	};

	machine_init();
	self->mm = mm_create(1UL << 40);
	current->mm = self->mm;
	memset(self->c, 0, sizeof(self->c));
	world_check_containers(self->c, 3);
	furnish(self->c, host_pes + 3);
	ASSERT_EQ(req_register(self->c, UA(0), 128 * PG), 0);
	self->kvm = kvm_create();
	kvm_set_slot(self->kvm, 0, 0, UA(0), 1024);
	self->vcpu = kvm_vcpu_create(self->kvm);
	self->fd = kvm_vm_ioctl_create_spapr_tce(self->kvm, &args);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(attach(self->kvm, self->fd, host_pes + 3), 0);
	make_levels(self->vcpu);
}

FIXTURE_TEARDOWN(lists)
{
	int i;

	host_preempt = NULL;
	kvm_vcpu_destroy(self->vcpu);
	kvm_close(self->fd);
	kvm_put_kvm(self->kvm);
	for (i = 0; i < 3; i++)
		vfio_close(self->c + i);
	world_check();
	host_settle();
	mm_destroy(self->mm);
	machine_reset();
	world_check_empty();
	host_test_ends();
}

/* With 64K pages there are 16 places for a list in each */
TEST_F(lists, in_the_middle_of_a_page)
{
	unsigned long at;

	for (at = 0; at < PG; at += P4)
		write_list(self->kvm, LIST_AT + at, GPA(2 + at / P4) | TCE_RW, P4, 512);
	for (at = 0; at < PG; at += P4) {
		EXPECT_EQ(HCALL(H_PUT_TCE_INDIRECT, LIOBN, at, LIST_AT + at, 1), 0);
		EXPECT_EQ(get_tce(self->vcpu, KVM_VIRTUAL, LIOBN, at), GPA(2 + at / P4) | TCE_RW);
	}
}

TEST_F(lists, longest)
{
	write_list(self->kvm, LIST_AT, GPA(1) | TCE_RW, 0, 512);
	write_list(self->kvm, LIST_AT + P4, GPA(1) | TCE_RW, 0, 1);
	EXPECT_EQ(HCALL(H_PUT_TCE_INDIRECT, LIOBN, 0, LIST_AT, 513), H_PARAMETER);
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 1);
	EXPECT_EQ(HCALL(H_PUT_TCE_INDIRECT, LIOBN, 0, LIST_AT, ~0UL), H_PARAMETER);
	EXPECT_EQ(HCALL(H_PUT_TCE_INDIRECT, LIOBN, 0, LIST_AT, 512), 0);
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 513);
	/* As much can be cleared in real mode, and no more */
	EXPECT_EQ(HCALL(H_STUFF_TCE, LIOBN, 0, 0, 513),
		  variant->mode == KVM_REAL ? H_TOO_HARD : H_SUCCESS);
	EXPECT_EQ(mapped_at(self->mm, UA(0)), variant->mode == KVM_REAL ? 513 : 1);
	EXPECT_EQ(HCALL(H_STUFF_TCE, LIOBN, 0, 0, 512), 0);
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 1);
	/* Nothing is a list as well, where there could be one */
	EXPECT_EQ(HCALL(H_PUT_TCE_INDIRECT, LIOBN, 0, GPA(2048), 0), 0);
	EXPECT_EQ(HCALL(H_PUT_TCE_INDIRECT, LIOBN, NR_TCES * P4, LIST_AT, 0), H_SUCCESS);
	EXPECT_EQ(HCALL(H_PUT_TCE_INDIRECT, LIOBN, (NR_TCES + 1) * P4, LIST_AT, 0),
		  H_PARAMETER);
	EXPECT_EQ(HCALL(H_STUFF_TCE, LIOBN, (NR_TCES - 1) * P4, 0, 2), H_PARAMETER);
	EXPECT_EQ(HCALL(H_STUFF_TCE, LIOBN, (NR_TCES - 1) * P4, 0, 1), 0);
	/* Nor in a table that has no hardware's behind it */
	kvm_spapr_tce_release_iommu_group(self->kvm, host_group(host_pes + 3));
	EXPECT_EQ(HCALL(H_STUFF_TCE, LIOBN, 0, 0, 513),
		  variant->mode == KVM_REAL ? H_TOO_HARD : H_SUCCESS);
	EXPECT_EQ(HCALL(H_STUFF_TCE, LIOBN, 0, 0, 512), 0);
}

/* One page of many that may be written is enough, wherever it is in the list */
TEST_F(lists, mark_dirty)
{
	struct page *page = self->mm->pte[3].page;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		/* What was registered before was mapped for writing */
		EXPECT_EQ(req_unregister(self->c, UA(0), 128 * PG), 0);
		EXPECT_EQ(req_register(self->c, UA(0), 128 * PG), 0);
		page->dirty = false;
		write_list(self->kvm, LIST_AT, GPA(3) | TCE_PCI_READ, 0, 3);
		write_list(self->kvm, LIST_AT + i * 8, GPA(3) | TCE_PCI_WRITE, 0, 1);
		EXPECT_EQ(HCALL(H_PUT_TCE_INDIRECT, LIOBN, 0, LIST_AT, 3), 0);
		EXPECT_EQ(HCALL(H_STUFF_TCE, LIOBN, 0, 0, 3), 0);
		EXPECT_EQ(req_unregister(self->c, UA(0), 128 * PG), 0);
		EXPECT_TRUE(page->dirty);
		EXPECT_EQ(req_register(self->c, UA(0), 128 * PG), 0);
	}
}

/* The first table that is visited is the one that was attached last */
TEST_F(lists, something_in_the_way)
{
	unsigned int i;

	furnish(self->c + 1, host_pes + 5);
	EXPECT_EQ(attach(self->kvm, self->fd, host_pes + 5), 0);
	make_levels(self->vcpu);
	EXPECT_EQ(req_register(self->c + 1, UA(0), 128 * PG), 0);
	write_list(self->kvm, LIST_AT, GPA(1) | TCE_RW, 0, 4);
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(req_map(self->c + i, P4, UA(2), P4, RW), 0);
		EXPECT_EQ(mapped_at(self->mm, UA(0)), 2);
		/* Real mode maps only where there is nothing, in any table */
		EXPECT_EQ(HCALL(H_PUT_TCE_INDIRECT, LIOBN, 0, LIST_AT, 4),
			  variant->mode == KVM_REAL ? H_TOO_HARD : H_SUCCESS);
		EXPECT_EQ(mapped_at(self->mm, UA(0)),
			  variant->mode == KVM_REAL ? 2 : 9);
		world_check();
		EXPECT_EQ(HCALL(H_STUFF_TCE, LIOBN, 0, 0, 4), 0);
		EXPECT_EQ(mapped_at(self->mm, UA(0)), 1);
	}
}

/*
 * A region's last count, in the first or in the last table: all of the unmapping
 * is left to virtual mode then.
 */
TEST_F(lists, last_count)
{
	struct host_region region;
	unsigned int i;

	furnish(self->c + 1, host_pes + 5);
	EXPECT_EQ(attach(self->kvm, self->fd, host_pes + 5), 0);
	make_levels(self->vcpu);
	for (i = 0; i < 2; i++) {
		furnish(self->c + 2, host_pes);
		EXPECT_EQ(req_register(self->c + 2, UA(OTHER), 16 * PG), 0);
		EXPECT_EQ(VIRTUAL(H_PUT_TCE, LIOBN, 0, GPA(OTHER) | TCE_RW, 0), 0);
		EXPECT_EQ(req_unmap(self->c + i, 0, P4), 0);
		vfio_close(self->c + 2);
		EXPECT_EQ(mapped_at(self->mm, UA(OTHER)), 1);
		if (variant->mode == KVM_REAL)
			EXPECT_EQ(HCALL(H_STUFF_TCE, LIOBN, 0, 0, 4), H_TOO_HARD);
		EXPECT_EQ(VIRTUAL(H_STUFF_TCE, LIOBN, 0, 0, 4), 0);
		host_settle();
		EXPECT_FALSE(glue_region_at(self->mm, UA(OTHER), &region));
		world_check();
	}
}

/* As many levels as there may be; pages of a table are as large as the system's */
TEST_F(lists, deepest_table)
{
	struct kvm_create_spapr_tce_64 args = { .liobn = 7, .page_shift = 12 };
	const unsigned int bits = 5 * (PAGE_SHIFT - 3);
	int fd;

	args.size = BIT(min(bits, 51U));
	fd = kvm_vm_ioctl_create_spapr_tce(self->kvm, &args);
	EXPECT_GE(fd, 0);
	kvm_close(fd);
	args.size = BIT(min(bits + 1, 52U));
	EXPECT_EQ(kvm_vm_ioctl_create_spapr_tce(self->kvm, &args), -EINVAL);
}

static struct kvm_vcpu *list_intruder;
static struct iommu_table *list_table;
static int list_locks;
static long list_intrusion;

/* On another CPU, the guest maps; it would wait for the lock of the table */
static void intrude_in_removal(void)
{
	if (glue_table_is_mine(list_table) || list_locks--)
		return;
	host_preempt = NULL;
	list_intrusion = kvm_hcall(list_intruder, KVM_BOTH, H_PUT_TCE, LIOBN,
				   5 * P4, GPA(3) | TCE_RW, 0);
}

/* Whenever the guest maps while a window goes, nothing of it stays mapped */
TEST_F(lists, put_into_a_window_that_goes)
{
	int n;

	list_intruder = self->vcpu;
	for (n = 0; !host_preempt; n++) {
		list_locks = n;
		/* KVM keeps it until it attaches the next one */
		list_table = window_of(self->c);
		host_preempt = intrude_in_removal;
		EXPECT_EQ(req_remove(self->c, 0), 0);
		if (host_preempt)
			break;
		EXPECT_EQ(list_intrusion, 0);
		EXPECT_EQ(mapped_at(self->mm, UA(0)), 1);
		world_check();
		EXPECT_EQ(req_create(self->c, 12, NR_TCES * P4, 1, NULL), 0);
		EXPECT_EQ(attach(self->kvm, self->fd, host_pes + 3), 0);
	}
	EXPECT_GT(n, 3);
}

#define HPA(n)	page_to_phys(self->mm->pte[n].page)
#define MAPS(ioba, n) do {						\
	EXPECT_EQ(machine_dma(host_pes + 3, ioba, false), (long)HPA(n)); \
	EXPECT_EQ(lpar.tces[0][(ioba) / P4] & ~TCE_RW, HPA(n));	\
} while (0)

/* A hypervisor that refuses a TCE, asked before another table or after it */
TEST_F(lists, refused)
{
	u64 old = GPA(1) | TCE_RW;
	unsigned int i;

	if (variant->mode == KVM_REAL)
		SKIP(return, "real mode is not for LPARs");
	lpar_init(LPAR_ALL);
	vfio_attach(self->c + 1, &lpar_pe);
	vfio_set_iommu(self->c + 1, VFIO_SPAPR_TCE_v2_IOMMU);
	EXPECT_EQ(req_register(self->c + 1, UA(0), 128 * PG), 0);
	EXPECT_EQ(req_map(self->c + 1, 0, UA(0), P4, RW), 0);
	for (i = 0; i < 2; i++) {
		kvm_spapr_tce_release_iommu_group(self->kvm, host_group(host_pes + 3));
		kvm_spapr_tce_release_iommu_group(self->kvm, host_group(&lpar_pe));
		EXPECT_EQ(attach(self->kvm, self->fd, i ? &lpar_pe : host_pes + 3), 0);
		EXPECT_EQ(attach(self->kvm, self->fd, i ? host_pes + 3 : &lpar_pe), 0);
		EXPECT_EQ(HCALL(H_PUT_TCE, LIOBN, 0, old, 0), 0);
		lpar.plans[0] = (struct lpar_plan){ .times = 1, .rc = H_PARAMETER };
		EXPECT_EQ(HCALL(H_PUT_TCE, LIOBN, 0, GPA(2) | TCE_RW, 0), H_HARDWARE);
		EXPECT_EQ(lpar.plans[0].times, 0);
		EXPECT_EQ(get_tce(self->vcpu, KVM_VIRTUAL, LIOBN, 0), old);
		MAPS(0, 1);
		/* A list where one is mapped, one not, and one by VFIO */
		EXPECT_EQ(HCALL(H_PUT_TCE, LIOBN, P4, GPA(3) | TCE_PCI_READ, 0), 0);
		EXPECT_EQ(req_map(self->c, 3 * P4, UA(4), P4, RW), 0);
		write_list(self->kvm, LIST_AT, GPA(5) | TCE_RW, PG, 4);
		lpar.plans[0] = (struct lpar_plan){ .at = 2, .times = 1, .rc = H_PARAMETER };
		EXPECT_EQ(HCALL(H_PUT_TCE_INDIRECT, LIOBN, 0, LIST_AT, 4), H_HARDWARE);
		EXPECT_EQ(lpar.plans[0].times, 0);
		world_check();
		MAPS(0, 1);
		MAPS(P4, 3);
		EXPECT_EQ(machine_dma(host_pes + 3, P4, true), -EFAULT);
		EXPECT_TRUE(faults(host_pes + 3, 2 * P4));
		EXPECT_EQ(lpar.tces[0][2] | lpar.tces[0][3], 0);
		EXPECT_EQ(mapped_at(self->mm, UA(0)),
			  1 + 4 + !faults(host_pes + 3, 3 * P4));
		/* What cannot be put back is unmapped, not left */
		kvm_set_slot(self->kvm, 0, GPA(5), UA(5), 1000);
		write_list(self->kvm, LIST_AT, GPA(5) | TCE_RW, PG, 4);
		lpar.plans[0] = (struct lpar_plan){ .at = 2, .times = 1, .rc = H_PARAMETER };
		EXPECT_EQ(HCALL(H_PUT_TCE_INDIRECT, LIOBN, 0, LIST_AT, 4), H_HARDWARE);
		EXPECT_EQ(faults(host_pes + 3, 0), i == 1);
		kvm_set_slot(self->kvm, 0, 0, UA(0), 1024);
		EXPECT_EQ(HCALL(H_STUFF_TCE, LIOBN, P4, 0, 3), 0);
		EXPECT_EQ(HCALL(H_PUT_TCE, LIOBN, 0, old, 0), 0);
		lpar.plans[0] = (struct lpar_plan){ .times = 1, .clears = true,
						    .rc = H_HARDWARE };
		EXPECT_EQ(HCALL(H_STUFF_TCE, LIOBN, 0, 0, 1), H_HARDWARE);
		EXPECT_EQ(lpar.plans[0].times, 0);
		EXPECT_EQ(get_tce(self->vcpu, KVM_VIRTUAL, LIOBN, 0), old);
		EXPECT_EQ(HCALL(H_STUFF_TCE, LIOBN, 0, 0, 1), 0);
		EXPECT_EQ(get_tce(self->vcpu, KVM_VIRTUAL, LIOBN, 0), 0);
		EXPECT_EQ(mapped_at(self->mm, UA(0)), 1);
	}
}
