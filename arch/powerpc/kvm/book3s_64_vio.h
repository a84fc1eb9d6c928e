/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCE tables of guests: what virtual mode (book3s_64_vio.c) and real mode
 * (book3s_64_vio_hv.c) have in common.
 */
#ifndef _BOOK3S_64_VIO_H
#define _BOOK3S_64_VIO_H

#include <linux/hashtable.h>
#include <linux/kvm_host.h>
#include <linux/list.h>
#include <linux/rculist.h>
#include <linux/sizes.h>

#include <asm/hvcall.h>
#include <asm/iommu.h>
#include <asm/kvm_ppc.h>
#include <asm/mm_iommu.h>
#include <asm/tce.h>
#include <asm/tce_lock.h>
#include <asm/tce_tree.h>
#include <asm/tce_user_table.h>

/* As many as a list of H_PUT_TCE_INDIRECT can have: a page of 4K */
#define KVMPPC_TCE_LIST_MAX	(SZ_4K / sizeof(u64))

/*
 * Calls in real mode that are remembered until they can be traced; so many that
 * struct kvmppc_tce_vcpu fits 16K
 */
#define KVMPPC_TCE_LOG_MAX	96

#define KVMPPC_TCE_PERMS	(TCE_PCI_READ | TCE_PCI_WRITE)

/**
 * struct kvmppc_tce_link - a hardware table behind a table of the guest
 * @node: in kvmppc_spapr_tce_table::links
 * @grp: the group on whose behalf it is there
 * @tbl: the table; referenced
 * @debug_ref: says so in debugfs
 * @iter: a place in @tbl, from one step of a hypercall to the next; with the
 *	 locks
 *
 * Groups of one container share a table; their links are next to each other.
 */
struct kvmppc_tce_link {
	struct list_head node;
	struct iommu_group *grp;
	struct iommu_table *tbl;
	struct tce_debug_ref debug_ref;
	struct tce_iter iter;
};

/**
 * struct kvmppc_spapr_tce_table - a TCE table as the guest sees it
 * @node: in kvm_arch::spapr_tce_tables
 * @kvm: the guest; referenced
 * @liobn: the guest's name of it
 * @page_shift: log2 of the size of the page that a TCE maps
 * @offset: PCI address where the window starts, in such pages
 * @size: size of the window in such pages
 * @lock: one hypercall that changes it at a time; and @links
 * @links: the hardware tables behind it
 * @only: the table, if there is one, and its pages are of the same size
 * @account: what @guest_tces costs the process
 * @guest_tces: what the guest has put, in the byte order of the host; user space
 *	  maps its leaves. The hardware does not look there
 *
 * Found through kvm_arch::spapr_tce_tables by who reads kvm::srcu; for real mode
 * the virtual-mode code around the guest does.
 */
struct kvmppc_spapr_tce_table {
	struct hlist_node node;
	struct kvm *kvm;
	u64 liobn;
	u32 page_shift;
	u64 offset;
	u64 size;
	struct tce_lock lock;
	struct list_head links;
	struct iommu_table *only;
	struct tce_account account;
	struct tce_tree guest_tces;
};

/**
 * struct kvmppc_tce_call - a hypercall that real mode has done
 * @hcall: which
 * @liobn: an argument of it
 * @ioba: an argument of it
 * @npages: an argument of it, or 1
 * @ret: its answer
 */
struct kvmppc_tce_call {
	unsigned int hcall;
	unsigned long liobn;
	unsigned long ioba;
	unsigned long npages;
	long ret;
};

/**
 * struct kvmppc_tce_vcpu - what a VCPU keeps for these hypercalls
 * @tces: a list as the guest wrote it, in the byte order of the host
 * @uas: the same as tce_batch::uas
 * @hpas: room for tce_batch::hpas
 * @nr_calls: how many of @calls
 * @calls: to be traced
 *
 * Made in virtual mode, when first needed.
 */
struct kvmppc_tce_vcpu {
	u64 tces[KVMPPC_TCE_LIST_MAX];
	unsigned long uas[KVMPPC_TCE_LIST_MAX];
	unsigned long hpas[KVMPPC_TCE_LIST_MAX];
	unsigned int nr_calls;
	struct kvmppc_tce_call calls[KVMPPC_TCE_LOG_MAX];
};

/* To visit each hardware table once; begins with NULL, ends so; with the lock */
static inline struct kvmppc_tce_link *
kvmppc_tce_next_table(struct kvmppc_spapr_tce_table *stt,
		      struct kvmppc_tce_link *link)
{
	struct iommu_table *tbl = link ? link->tbl : NULL;

	link = list_prepare_entry(link, &stt->links, node);
	list_for_each_entry_continue(link, &stt->links, node)
		if (link->tbl != tbl)
			return link;

	return NULL;
}

/* The caller, or who runs the guest for it, is in an SRCU section of the guest */
static inline struct kvmppc_spapr_tce_table *
kvmppc_tce_find(struct kvm *kvm, unsigned long liobn)
{
	unsigned int bits = HASH_BITS(kvm->arch.spapr_tce_tables);
	struct kvmppc_spapr_tce_table *stt;
	struct hlist_head *head;

	head = &kvm->arch.spapr_tce_tables[hash_long(liobn, bits)];
	hlist_for_each_entry_srcu(stt, head, node, true)
		if (stt->liobn == liobn)
			return stt;

	return NULL;
}

/* Where in the guest's table */
static inline unsigned long
kvmppc_tce_index(struct kvmppc_spapr_tce_table *stt, unsigned long ioba)
{
	return (ioba >> stt->page_shift) - stt->offset;
}

/* How many TCEs of a hardware table one of the guest's stands for, as a log2 */
static inline unsigned int kvmppc_tce_split(struct kvmppc_spapr_tce_table *stt,
					    struct iommu_table *tbl)
{
	return stt->page_shift - tbl->it_page_shift;
}

/* The part of a memory slot where a page of a guest's table may begin */
struct kvmppc_tce_slot {
	unsigned long gpa;
	unsigned long room;
	unsigned long ua;
};

/* Memory that is in no slot may be known to user space all the same */
static inline bool kvmppc_tce_find_slot(struct kvmppc_spapr_tce_table *stt,
					struct kvm_memslots *slots,
					unsigned long gpa,
					struct kvmppc_tce_slot *part)
{
	unsigned long size = 1UL << stt->page_shift;
	struct kvm_memory_slot *slot;

	slot = __gfn_to_memslot(slots, gpa >> PAGE_SHIFT);
	if (!slot || (slot->flags & KVM_MEMSLOT_INVALID))
		return false;
	part->gpa = slot->base_gfn << PAGE_SHIFT;
	part->ua = slot->userspace_addr;
	/* Pages that are smaller than those of the host lie in one of these */
	part->room = slot->npages << PAGE_SHIFT;
	if (part->room < size)
		return false;
	part->room -= size - 1;

	return gpa - part->gpa < part->room;
}

/*
 * Guests' TCEs as elements of tce_batch::uas. These are looked up and never read
 * through, so there is nothing to be had from a processor that runs ahead of the
 * check.
 */
static inline long kvmppc_tce_to_uas(struct kvmppc_spapr_tce_table *stt,
				     struct kvm_memslots *slots,
				     const u64 *tces, unsigned long nr,
				     unsigned long *uas)
{
	unsigned long mask = (1UL << stt->page_shift) - 1, i, gpa, perm;
	struct kvmppc_tce_slot part = { }, found;

	for (i = 0; i < nr; i++) {
		perm = tces[i] & KVMPPC_TCE_PERMS;
		gpa = tces[i] - perm;
		/* Without permissions anything may stand there */
		if (!perm) {
			uas[i] = 0;
			continue;
		}
		/* Bits that are reserved here may be known to user space */
		if (gpa & mask)
			return H_TOO_HARD;
		/* What is the same for many pages is in registers */
		if (gpa - part.gpa >= part.room) {
			if (!kvmppc_tce_find_slot(stt, slots, gpa, &found))
				return H_TOO_HARD;
			part = found;
		}
		uas[i] = (part.ua + gpa - part.gpa) | perm;
	}

	return H_SUCCESS;
}

static inline long kvmppc_tce_to_ua(struct kvmppc_spapr_tce_table *stt,
				    struct kvm_memslots *slots, u64 tce,
				    unsigned long *ua)
{
	return kvmppc_tce_to_uas(stt, slots, &tce, 1, ua);
}

/* What of H_PUT_TCE_INDIRECT can be judged by its arguments */
static inline long kvmppc_tce_check_list(struct kvmppc_spapr_tce_table *stt,
					 unsigned long ioba,
					 unsigned long tce_list,
					 unsigned long npages)
{
	if (npages > KVMPPC_TCE_LIST_MAX || !IS_ALIGNED(tce_list, SZ_4K))
		return H_PARAMETER;

	return kvmppc_ioba_validate(stt, ioba, npages);
}

static inline long kvmppc_tce_check_stuff(struct kvmppc_spapr_tce_table *stt,
					  unsigned long ioba,
					  unsigned long tce_value,
					  unsigned long npages)
{
	/* To mark what is not mapped is fine, to map is not */
	if (tce_value & KVMPPC_TCE_PERMS)
		return H_PARAMETER;

	return kvmppc_ioba_validate(stt, ioba, npages);
}

/* Let the guest's table of @nr TCEs, where it has leaves, be @tces */
static inline void kvmppc_tce_store(struct tce_iter *iter, unsigned long index,
				    unsigned long nr, const u64 *tces)
{
	const u64 *from;
	u64 *leaf, *end;

	for_each_tce_leaf(iter, index, nr) {
		from = tces + (iter->index - index);
		leaf = (__force u64 *)iter->entry;
		for (end = leaf + iter->nr; leaf < end; leaf++)
			WRITE_ONCE(*leaf, *from++);
	}
}

/* The same with one value for all of them */
static inline void kvmppc_tce_fill(struct tce_iter *iter, unsigned long index,
				   unsigned long nr, u64 tce)
{
	u64 *leaf, *end;

	for_each_tce_leaf(iter, index, nr) {
		leaf = (__force u64 *)iter->entry;
		for (end = leaf + iter->nr; leaf < end; leaf++)
			WRITE_ONCE(*leaf, tce);
	}
}

static inline u64 kvmppc_tce_load(struct kvmppc_spapr_tce_table *stt,
				  unsigned long index)
{
	u64 *entry = (__force u64 *)tce_tree_walk(&stt->guest_tces, index);

	return entry ? READ_ONCE(*entry) : 0;
}

/* H_GET_TCE in both modes; the caller is in an SRCU section of the guest */
static inline long kvmppc_get_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
				  unsigned long ioba)
{
	struct kvmppc_spapr_tce_table *stt = kvmppc_tce_find(vcpu->kvm, liobn);
	long ret;

	if (!stt)
		return H_TOO_HARD;

	ret = kvmppc_ioba_validate(stt, ioba, 1);
	if (!ret)
		kvmppc_set_gpr(vcpu, 4,
			       kvmppc_tce_load(stt, kvmppc_tce_index(stt, ioba)));

	return ret;
}

/* book3s_64_vio_hv.c */
#ifdef CONFIG_KVM_BOOK3S_HV_POSSIBLE
long kvmppc_tce_try_put(struct kvm_vcpu *vcpu, unsigned long liobn,
			unsigned long ioba, u64 tce);
long kvmppc_tce_try_put_indirect(struct kvm_vcpu *vcpu, unsigned long liobn,
				 unsigned long ioba, unsigned long tce_list,
				 unsigned long npages);
long kvmppc_tce_try_stuff(struct kvm_vcpu *vcpu, unsigned long liobn,
			  unsigned long ioba, u64 tce_value,
			  unsigned long npages);
#else
static inline long kvmppc_tce_try_put(struct kvm_vcpu *vcpu,
				      unsigned long liobn, unsigned long ioba,
				      u64 tce)
{
	return H_TOO_HARD;
}

static inline long kvmppc_tce_try_put_indirect(struct kvm_vcpu *vcpu,
					       unsigned long liobn,
					       unsigned long ioba,
					       unsigned long tce_list,
					       unsigned long npages)
{
	return H_TOO_HARD;
}

static inline long kvmppc_tce_try_stuff(struct kvm_vcpu *vcpu,
					unsigned long liobn, unsigned long ioba,
					u64 tce_value, unsigned long npages)
{
	return H_TOO_HARD;
}
#endif

#endif /* _BOOK3S_64_VIO_H */
