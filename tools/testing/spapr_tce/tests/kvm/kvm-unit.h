/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of kvm-unit start from: a guest with one VCPU and one table, its
 * containers, and what is looked at after each request.
 */
#ifndef _SPAPR_TCE_KVM_UNIT_H
#define _SPAPR_TCE_KVM_UNIT_H

#include <unistd.h>

#include "harness.h"

#define P4		SZ_4K
#define HELD_RW		(TCE_SHADOW_UA | TCE_SHADOW_READ | TCE_SHADOW_WRITE)
#define TCE_RW		(TCE_PCI_READ | TCE_PCI_WRITE)

/* Guest real addresses: of memory that is registered, in three regions */
#define GPA(page)	((unsigned long)(page) << PAGE_SHIFT)
#define GPA_REGION_2	GPA(UA_CONTIGUOUS)
#define GPA_HUGE	GPA(UA_HUGE)
/* ... of memory that is not, of a slot that goes, of nothing */
#define GPA_STRANGE	GPA(UA_MEDIUM)
#define GPA_INVALID	GPA(UA_SHIFTED)
#define GPA_NOTHING	GPA(UA_END)
/* Where guests have their lists */
#define GPA_LIST	GPA(300)

#define LIOBN		0x80000001UL
/* A page of 64K is more than one of 4K, and so is one of 2M of 64K */
#define BIG_SHIFT	16
#define NR_TCES		4096UL

/* PEs: what real mode can do is for bridges like PHB3 */
#define PHB3		(host_pes + 3)
#define PHB3_SAME	(host_pes + 4)
#define PHB3_OTHER	(host_pes + 5)
#define PHB4		host_pes

FIXTURE(kvm)
{
	struct mm_struct *mm;
	struct mm_struct *other;
	struct host_container c[3];
	struct kvm *kvm;
	struct kvm_vcpu *vcpu;
	int fds[8];
	int nr_fds;
	bool mirrored;
	u64 digest;
};

VARIANTS(kvm, enum kvm_mode, mode, virtual, KVM_VIRTUAL, real, KVM_BOTH);
FIXTURE_VARIANT_ADD(kvm, tried) { .mode = KVM_TRIED };
FIXTURE_VARIANT_ADD(kvm, early) { .mode = KVM_EARLY };

/* Are calls answered while the VCPU runs? */
static inline bool in_the_guest(enum kvm_mode mode)
{
	return mode == KVM_BOTH || mode == KVM_EARLY;
}

/* A container with a window of 4K pages at 0 */
static void furnish(struct host_container *c, struct host_pe *hpe)
{
	vfio_attach(c, hpe);
	vfio_set_iommu(c, VFIO_SPAPR_TCE_v2_IOMMU);
	req_remove(c, 0);
	if (req_create(c, 12, NR_TCES * P4, 1, NULL))
		host_die("no window\n");
}

static void set_up_guest(struct kvm *kvm)
{
	kvm_set_slot(kvm, 0, 0, UA(0), UA_MEDIUM);
	kvm_set_slot(kvm, 1, GPA_STRANGE, UA(UA_MEDIUM), 512);
	kvm_set_slot(kvm, 2, GPA_INVALID, UA(0), 16);
	kvm->memslots.slots[2].flags = KVM_MEMSLOT_INVALID;
}

static int create_table(struct kvm *kvm, u64 liobn, u32 page_shift, u64 offset,
			u64 size)
{
	struct kvm_create_spapr_tce_64 args = {
		.liobn = liobn,
		.page_shift = page_shift,
		.offset = offset,
		.size = size,
	};

	return kvm_vm_ioctl_create_spapr_tce(kvm, &args);
}

static long attach(struct kvm *kvm, int fd, struct host_pe *hpe)
{
	return kvm_spapr_tce_attach_iommu_group(kvm, fd, host_group(hpe));
}

static void release(struct kvm *kvm, struct host_pe *hpe)
{
	kvm_spapr_tce_release_iommu_group(kvm, host_group(hpe));
}

FIXTURE_SETUP(kvm)
{
	machine_init();
	self->mm = mm_create(1UL << 40);
	self->other = mm_create(1UL << 40);
	current->mm = self->mm;
	memset(self->c, 0, sizeof(self->c));
	world_check_containers(self->c, 3);
	furnish(self->c, PHB3);
	ASSERT_EQ(req_register(self->c, UA(0), 256 * PG), 0);
	ASSERT_EQ(req_register(self->c, UA(UA_CONTIGUOUS), 256 * PG), 0);
	ASSERT_EQ(req_register(self->c, UA(UA_HUGE), 512 * PG), 0);
	self->kvm = kvm_create();
	set_up_guest(self->kvm);
	self->vcpu = kvm_vcpu_create(self->kvm);
	self->fds[0] = create_table(self->kvm, LIOBN, 12, 0, NR_TCES);
	ASSERT_GE(self->fds[0], 0);
	self->nr_fds = 1;
	/* So that real mode has something to put lists in */
	kvm_hcall(self->vcpu, KVM_VIRTUAL, H_PUT_TCE_INDIRECT, LIOBN, 0,
		  GPA_LIST, 1);
	world_check();
}

FIXTURE_TEARDOWN(kvm)
{
	int i;

	host_preempt = NULL;
	host_preempt_rm = NULL;
	host_waits = NULL;
	host_copied = NULL;
	host_stuck = NULL;
	kvm_vcpu_destroy(self->vcpu);
	for (i = 0; i < self->nr_fds; i++)
		kvm_close(self->fds[i]);
	kvm_put_kvm(self->kvm);
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

/* Where memory of a guest is; -1 if it is nowhere */
static long hpa_of(struct kvm *kvm, unsigned long gpa)
{
	struct kvm_memory_slot *slot;
	unsigned long ua, i;

	slot = __gfn_to_memslot(&kvm->memslots, gpa >> PAGE_SHIFT);
	if (!slot)
		return -1;
	ua = __gfn_to_hva_memslot(slot, gpa >> PAGE_SHIFT);
	i = (ua - HOST_UA_BASE) >> PAGE_SHIFT;

	return page_to_phys(kvm->mm->pte[i].page) + offset_in_page(gpa);
}

/* One TCE of the guest against all that it stands for in a hardware table */
static void check_mirror_of(struct kvm *kvm, const struct host_kvm_table *table,
			    struct iommu_table *tbl, unsigned long i)
{
	unsigned int split = table->page_shift - tbl->it_page_shift;
	u64 tce = glue_kvm_load(table, i), want, got;
	unsigned long k;

	for (k = 0; k < 1UL << split; k++) {
		want = tce & TCE_RW ? hpa_of(kvm, (tce & ~(u64)TCE_RW) +
					     (k << tbl->it_page_shift)) |
			(tce & TCE_PCI_WRITE ? TCE_RW : TCE_PCI_READ) : 0;
		got = pnv_tce_get(tbl, ((table->offset + i) << split) + k);
		if (got != want)
			host_die("%#lx is put at %#lx, and there is %#lx instead of %#lx\n",
				 tce, i, got, want);
	}
}

/* What the guest has put is what the hardware has, everywhere */
static void check_mirrors(struct kvm *kvm)
{
	struct host_kvm_table table;
	unsigned long liobn, i;
	unsigned int link;

	for (liobn = 0; glue_kvm_next(kvm, &liobn, &table); liobn++)
		for (link = 0; link < table.nr_links; link++)
			for (i = 0; i < table.size; i++)
				check_mirror_of(kvm, &table, table.links[link], i);
}

#define CHECK() do {				\
	world_check();				\
	if (self->mirrored)			\
		check_mirrors(self->kvm);	\
} while (0)

/* What fails changes nothing, except that levels may have been added */
#define EXPECT_FAILS(error, call) do {				\
	self->digest = state(self->mm);				\
	EXPECT_EQ(call, error);					\
	EXPECT_EQ(state(self->mm), self->digest);		\
	CHECK();						\
} while (0)

#define EXPECT_WORKS(call) do {		\
	EXPECT_EQ(call, 0);		\
	CHECK();			\
} while (0)

/* All that a request can change, but for charges */
static u64 state(struct mm_struct *mm)
{
	unsigned long charged = mm->locked_vm;
	u64 digest;

	mm->locked_vm = 0;
	digest = world_digest(mm);
	mm->locked_vm = charged;

	return digest;
}

#define EXPECT_REACHES(hpe, addr, gpa) \
	EXPECT_EQ(machine_dma(hpe, addr, false), hpa_of(self->kvm, gpa))
#define EXPECT_FAULTS(hpe, addr)	EXPECT_TRUE(faults(hpe, addr))

#define HCALL(...)	kvm_hcall(self->vcpu, variant->mode, __VA_ARGS__)
#define PUT(liobn, ioba, tce)	HCALL(H_PUT_TCE, liobn, ioba, tce, 0)
#define STUFF(liobn, ioba, tce, nr)	HCALL(H_STUFF_TCE, liobn, ioba, tce, nr)
#define LIST(liobn, ioba, list, nr) \
	HCALL(H_PUT_TCE_INDIRECT, liobn, ioba, list, nr)
#define IN_REAL_MODE(hcall, a, b, c, d) \
	kvm_hcall(self->vcpu, KVM_REAL, hcall, a, b, c, d)

/* What H_GET_TCE gives, in either mode */
static u64 get_tce(struct kvm_vcpu *vcpu, enum kvm_mode mode,
		   unsigned long liobn, unsigned long ioba)
{
	vcpu->arch.gpr[4] = ~0UL;
	if (kvm_hcall(vcpu, mode, H_GET_TCE, liobn, ioba, 0, 0))
		return ~0UL;

	return vcpu->arch.gpr[4];
}

#define GET(liobn, ioba)	get_tce(self->vcpu, variant->mode, liobn, ioba)

/* The guest writes a list; TCEs that rise by a page */
static void write_list(struct kvm *kvm, unsigned long gpa, u64 tce,
		       unsigned long step, unsigned int nr)
{
	u64 *list = kvm_guest_data(kvm, gpa);

	for (; nr--; tce += step)
		*list++ = cpu_to_be64(tce);
}

static void write_one(struct kvm *kvm, unsigned long gpa, unsigned int i, u64 tce)
{
	((u64 *)kvm_guest_data(kvm, gpa))[i] = cpu_to_be64(tce);
}

static long mapped_at(struct mm_struct *mm, unsigned long ua)
{
	struct host_region region;

	return glue_region_at(mm, ua, &region) ? region.mapped : 0;
}

/* Entries of a view that is too large to be paid for when it is made */
#define MANY	BIT(20)
/* Levels that its first leaf needs */
#define STEP	(PAGE_SHIFT == 12 ? 2 : 1)
#define AGAIN	FAULT_FLAG_ALLOW_RETRY
#define TRIED	(FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_TRIED)
#define NOWAIT	(FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_RETRY_NOWAIT)

static unsigned int links_of(struct kvm *kvm, unsigned long liobn)
{
	struct host_kvm_table table = { };

	glue_kvm_next(kvm, &liobn, &table);

	return table.nr_links;
}

static struct host_container *raced_container;
static struct kvm_vcpu *raced_vcpu;
static int locks_before;
static long raced_answer;
static void (*raced_action)(void);

static void intrude(void);

/* At the n-th place where this thread could be preempted, and once */
static void intrude(void)
{
	if (locks_before--)
		return;
	host_preempt = NULL;
	locks_before = 0;
	raced_action();
}

static struct iommu_table *window_of(struct host_container *c)
{
	struct glue_container state;

	glue_container_get(c->data, &state);

	return state.tables[0];
}

/* Attached, with all levels that the first TCEs need */
static void prepare_for_real_mode(struct kvm *kvm, struct kvm_vcpu *vcpu, int fd,
				  struct host_pe *hpe)
{
	attach(kvm, fd, hpe);
	write_list(kvm, GPA_LIST, GPA(1) | TCE_RW, 0, 512);
	kvm_hcall(vcpu, KVM_VIRTUAL, H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_LIST, 512);
	kvm_hcall(vcpu, KVM_VIRTUAL, H_PUT_TCE_INDIRECT, LIOBN, 512 * P4,
		  GPA_LIST, 512);
	kvm_hcall(vcpu, KVM_VIRTUAL, H_STUFF_TCE, LIOBN, 0, 0, 1024);
}

#define PREPARE() do {							\
	prepare_for_real_mode(self->kvm, self->vcpu, self->fds[0], PHB3); \
	self->mirrored = true;						\
	CHECK();							\
} while (0)

#endif /* _SPAPR_TCE_KVM_UNIT_H */
