/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCE tables of guests. A hypercall that changes one, such as H_PUT_TCE, is answered
 * in one of these ways:
 *
 * - without sleeping, by kvmppc_rm_h_put_tce() in real mode (POWER8) or
 *   kvmppc_tce_hcall_early() before the VCPU leaves its run loop (later processors),
 *   and by kvmppc_tce_try_put() as the first step of virtual mode: all of them in
 *   book3s_64_vio_hv.c, by functions of user tables that end in _rm;
 * - in virtual mode, by kvmppc_h_put_tce() in book3s_64_vio.c: it prepares and commits
 *   a batch, user_table_prepare_batch() and user_table_commit_batch();
 * - by user space, after H_TOO_HARD from virtual mode.
 *
 * book3s_64_vio_table.c makes these tables and attaches groups to them.
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

/* The most TCEs in a list of H_PUT_TCE_INDIRECT, a page of 4K */
#define KVMPPC_TCE_LIST_MAX	(SZ_4K / sizeof(u64))

/*
 * Hypercalls that are recorded in real mode until they can be traced: as many as fit
 * when struct kvmppc_tce_vcpu takes 16K
 */
#define KVMPPC_TCE_LOG_MAX	96

#define KVMPPC_TCE_PERMS	(TCE_PCI_READ | TCE_PCI_WRITE)

/**
 * struct kvmppc_tce_link - a hardware table behind a table of the guest
 * @node: in kvmppc_spapr_tce_table::links
 * @grp: the group that was attached
 * @tbl: the table; referenced
 * @debug_ref: shows the link in debugfs
 * @iter: a place in @tbl, kept between the steps of a hypercall; in virtual mode with
 *	 a hold on the levels there. Under the lock of the guest's table
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
 * @lock: held by a hypercall that changes the table; protects @links and @only
 * @links: the hardware tables behind it
 * @only: the hardware table, if there is one only and its pages are of the same size;
 *	  else NULL
 * @account: what @guest_tces costs the process
 * @guest_tces: what the guest has put, in the byte order of the host; user space
 *	  maps its leaves, no hardware reads them
 * @rcu: waits for readers that may sleep, when another process has closed the table
 * @free: waits for the other readers then, and frees the table
 *
 * A table found in kvm_arch::spapr_tce_tables is valid in an SRCU section of the guest
 * (kvm::srcu), in which a hypercall may sleep, and in an RCU section. Real mode is in
 * both: the code that enters the guest has the former, and interrupts are off.
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
	struct rcu_head rcu;
	struct rcu_work free;
};

/**
 * struct kvmppc_tce_call - a hypercall that was answered, to be traced
 * @hcall: which hypercall, such as H_PUT_TCE
 * @liobn: argument: the table
 * @ioba: argument: PCI address of the first page
 * @npages: argument: number of pages, or 1
 * @ret: the answer
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
 * @tces: the guest's list, in the byte order of the host
 * @uas: the list as tce_batch::uas
 * @hpas: room for tce_batch::hpas
 * @hint: the region of the last list; used with interrupts off
 * @calls: what real mode has answered since the VCPU entered the guest, to be traced;
 *	   kvm_vcpu_arch::nr_tce_calls of them
 *
 * Allocated in virtual mode, when first needed.
 */
struct kvmppc_tce_vcpu {
	u64 tces[KVMPPC_TCE_LIST_MAX];
	unsigned long uas[KVMPPC_TCE_LIST_MAX];
	unsigned long hpas[KVMPPC_TCE_LIST_MAX];
	struct mm_iommu_hint hint;
	struct kvmppc_tce_call calls[KVMPPC_TCE_LOG_MAX];
};

/*
 * Iterate over the hardware tables, each of which may have several links. Begins with
 * a @link of NULL; returns NULL at the end. The caller must hold the lock of @stt.
 */
static inline struct kvmppc_tce_link *
kvmppc_tce_next_table(struct kvmppc_spapr_tce_table *stt,
		      struct kvmppc_tce_link *link)
{
	struct iommu_table *tbl = link ? link->tbl : NULL;

	tce_lock_assert_owned(&stt->lock);
	link = list_prepare_entry(link, &stt->links, node);
	list_for_each_entry_continue(link, &stt->links, node)
		if (link->tbl != tbl)
			return link;

	return NULL;
}

/*
 * The caller must be in an SRCU section of the guest, in an RCU section or in real mode;
 * or hold kvm_arch::spapr_tce_lock.
 */
static inline struct kvmppc_spapr_tce_table *
kvmppc_tce_find(struct kvm *kvm, unsigned long liobn)
{
	unsigned int bits = HASH_BITS(kvm->arch.spapr_tce_tables);
	struct kvmppc_spapr_tce_table *stt;
	struct hlist_head *head;

	RCU_LOCKDEP_WARN(!srcu_read_lock_held(&kvm->srcu) && !rcu_read_lock_held() &&
			 !lockdep_is_held(&kvm->arch.spapr_tce_lock),
			 "look for a TCE table that may go");
	/* A LIOBN has 32 bits */
	head = &kvm->arch.spapr_tce_tables[hash_32(liobn, bits)];
	hlist_for_each_entry_srcu(stt, head, node, true)
		if (stt->liobn == liobn)
			return stt;

	return NULL;
}

/*
 * Index in the guest's table of the TCE for a PCI address. Of one below the window it
 * wraps, to more than kvmppc_spapr_tce_table::size
 */
static inline unsigned long
kvmppc_tce_index(struct kvmppc_spapr_tce_table *stt, unsigned long ioba)
{
	return (ioba >> stt->page_shift) - stt->offset;
}

/* kvmppc_ioba_validate() of a page: a call would take as long as what it does */
static inline long kvmppc_tce_check_page(struct kvmppc_spapr_tce_table *stt,
					 unsigned long ioba)
{
	unsigned long mask = (1UL << stt->page_shift) - 1;

	if ((ioba & mask) || kvmppc_tce_index(stt, ioba) >= stt->size)
		return H_PARAMETER;

	return H_SUCCESS;
}

/* log2 of how many TCEs of a hardware table one of the guest's stands for */
static inline unsigned int kvmppc_tce_split(struct kvmppc_spapr_tce_table *stt,
					    struct iommu_table *tbl)
{
	return stt->page_shift - tbl->it_page_shift;
}

/* The part of a memory slot in which a page of a guest's table may begin */
struct kvmppc_tce_slot {
	unsigned long gpa;	/* guest real address of the slot */
	unsigned long room;	/* bytes in which a page may begin */
	unsigned long ua;	/* user address of the slot */
};

/* Returns false if no slot has all of the page at @gpa */
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
	/* Slots are multiples of system pages, so a smaller page never leaves one */
	part->room = slot->npages << PAGE_SHIFT;
	if (part->room < size)
		return false;
	part->room -= size - 1;

	return gpa - part->gpa < part->room;
}

/*
 * Translate TCEs of a guest to elements of tce_batch::uas. H_TOO_HARD: user space may
 * know memory that is in no slot, or bits that are reserved here.
 *
 * The user addresses are looked up, never dereferenced, so speculation past the check
 * of a slot discloses nothing.
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
		/* It unmaps, whatever its address is */
		if (!perm) {
			uas[i] = 0;
			continue;
		}
		/* Reserved bits */
		if (gpa & mask)
			return H_TOO_HARD;
		/* Copy it, so that the compiler keeps it in registers */
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

/* Check the arguments of H_PUT_TCE_INDIRECT, without its list; @stt may be NULL */
static inline long kvmppc_tce_check_list(struct kvmppc_spapr_tce_table *stt,
					 unsigned long ioba,
					 unsigned long tce_list,
					 unsigned long npages)
{
	if (!stt)
		return H_TOO_HARD;
	if (npages > KVMPPC_TCE_LIST_MAX || !IS_ALIGNED(tce_list, SZ_4K))
		return H_PARAMETER;

	return kvmppc_ioba_validate(stt, ioba, npages);
}

/* Check the arguments of H_STUFF_TCE; @stt may be NULL */
static inline long kvmppc_tce_check_stuff(struct kvmppc_spapr_tce_table *stt,
					  unsigned long ioba,
					  unsigned long tce_value,
					  unsigned long npages)
{
	if (!stt)
		return H_TOO_HARD;
	/* It may store any value that does not map */
	if (tce_value & KVMPPC_TCE_PERMS)
		return H_PARAMETER;

	return kvmppc_ioba_validate(stt, ioba, npages);
}

/* Store @nr TCEs in guest_tces, where leaves are present */
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
static inline void kvmppc_tce_set(struct tce_iter *iter, unsigned long index,
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
	u64 *entry = (__force u64 *)tce_tree_find(&stt->guest_tces, index);

	return entry ? READ_ONCE(*entry) : 0;
}

/* H_GET_TCE in both modes. The caller as of kvmppc_tce_find() */
static inline long kvmppc_get_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
				  unsigned long ioba)
{
	struct kvmppc_spapr_tce_table *stt = kvmppc_tce_find(vcpu->kvm, liobn);
	long ret;

	if (!stt)
		return H_TOO_HARD;

	ret = kvmppc_tce_check_page(stt, ioba);
	if (!ret)
		kvmppc_set_gpr(vcpu, 4,
			       kvmppc_tce_load(stt, kvmppc_tce_index(stt, ioba)));

	return ret;
}

/* First step of virtual mode: try without sleeping. In book3s_64_vio_hv.c */
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
