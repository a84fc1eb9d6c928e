// SPDX-License-Identifier: GPL-2.0-only
/*
 * H_PUT_TCE and its like without sleeping: in real mode, for guests of POWER8
 * (kvmppc_rm_h_*()); before the VCPU leaves its run loop, on later processors
 * (kvmppc_tce_hcall_early()); and as the first step of virtual mode
 * (kvmppc_tce_try_*()).
 *
 * In real mode translation is off: only the linear mapping can be reached, so the
 * code is built in and the data are slab objects or pages. Interrupts are off:
 * nothing here sleeps, allocates, prints or waits for an owner that may sleep, and
 * a call does little. For all else the answer is H_TOO_HARD. Virtual mode then
 * repeats the hypercall from its start, which is possible because of these rules:
 *
 * - Map only where nothing is mapped, so that no reference must be dropped; and
 *   only memory of one region, so that one reference count is all that is taken,
 *   when nothing else can fail any more.
 * - Never drop the last reference to a region. The TCEs are cleared then, but
 *   their shadows keep the references for virtual mode to drop.
 * - Spin for a lock only if its owner cannot sleep.
 *
 * Objects that are found without a reference stay while the CPU is in the guest:
 * RCU waits for it, since interrupts are off and it has not reported an idle
 * state, and so does SRCU of the guest.
 */
#include <linux/context_tracking_state.h>
#include <linux/kvm_host.h>
#include <linux/lockdep.h>
#include <linux/moduleparam.h>

#include <asm/mm_iommu.h>
#include <asm/reg.h>

#include <trace/events/spapr_tce.h>

#include "book3s_64_vio.h"

static bool kvmppc_tce_real_mode __read_mostly = true;
module_param_named(tce_real_mode, kvmppc_tce_real_mode, bool, 0644);
MODULE_PARM_DESC(tce_real_mode, "try H_PUT_TCE and its like in real mode");

/* TCEs of a hardware table that one hypercall may change here */
#define KVMPPC_TCE_RM_MAX	512

/*
 * Not where RCU does not wait for a CPU in the guest (context tracking), nor in real
 * mode with preemptible RCU, whose read-side unlock may have to do more than real mode
 * can. A hypercall that is to be traced needs room for its record.
 */
static bool kvmppc_rm_may_run(struct kvm_vcpu *vcpu)
{
	if (!READ_ONCE(kvmppc_tce_real_mode) || context_tracking_enabled() ||
	    (IS_ENABLED(CONFIG_PREEMPT_RCU) && tce_in_real_mode()))
		return false;

	return !trace_kvm_tce_hcall_enabled() ||
		(vcpu->arch.tce &&
		 vcpu->arch.nr_tce_calls < KVMPPC_TCE_LOG_MAX);
}

/*
 * Interrupts are off, so this is an RCU reader (see the top of this file). lockdep does
 * not know that, and cannot run in real mode: turn it off.
 */
static bool kvmppc_rm_begin(struct kvm_vcpu *vcpu)
{
	lockdep_off();

	return kvmppc_rm_may_run(vcpu);
}

/*
 * Undo kvmppc_rm_begin(), and record the hypercall to be traced. Returns its answer.
 * Inlined: without a trace nothing is stored in @call.
 */
static __always_inline long kvmppc_rm_end(struct kvm_vcpu *vcpu,
					  const struct kvmppc_tce_call *call)
{
	struct kvmppc_tce_vcpu *tce = vcpu->arch.tce;

	lockdep_on();
	if (trace_kvm_tce_hcall_enabled() && tce &&
	    vcpu->arch.nr_tce_calls < KVMPPC_TCE_LOG_MAX)
		tce->calls[vcpu->arch.nr_tce_calls++] = *call;

	return call->ret;
}

static void kvmppc_rm_unlock(struct kvmppc_spapr_tce_table *stt,
			     struct kvmppc_tce_link *end)
{
	struct kvmppc_tce_link *link = NULL;

	while ((link = kvmppc_tce_next_table(stt, link))) {
		if (link == end)
			break;
		user_table_unlock_rm(link->tbl);
	}
	tce_unlock_rm(&stt->lock);
}

/*
 * Lock the guest's table and all tables behind it, or none. Another LIOBN may have the
 * same tables in another order, so do not spin with the lock of one of them held.
 */
static bool kvmppc_rm_trylock(struct kvmppc_spapr_tce_table *stt)
{
	struct kvmppc_tce_link *link;

	if (!tce_lock_spin_rm(&stt->lock))
		return false;
	link = kvmppc_tce_next_table(stt, NULL);
	if (!link)
		return true;
	if (!user_table_lock_rm(link->tbl)) {
		kvmppc_rm_unlock(stt, link);
		return false;
	}
	while ((link = kvmppc_tce_next_table(stt, link))) {
		if (!user_table_trylock_rm(link->tbl)) {
			kvmppc_rm_unlock(stt, link);
			return false;
		}
	}

	return true;
}

/* Test if guest_tces has all leaves that @nr TCEs need */
static bool kvmppc_rm_has_guest_tces(struct tce_iter *iter, unsigned long index,
				     unsigned long nr)
{
	unsigned long found = 0;

	for_each_tce_leaf(iter, index, nr)
		found += iter->nr;

	return found == nr;
}

/* Put a batch in all hardware tables or in none. The caller must hold all locks */
static bool kvmppc_rm_put_tables(struct kvmppc_spapr_tce_table *stt,
				 unsigned long ioba,
				 struct tce_batch *batch)
{
	struct kvmppc_tce_link *link = NULL;
	struct iommu_table *tbl;
	unsigned long refs = 0, nr;

	tce_lock_assert_owned(&stt->lock);
	while ((link = kvmppc_tce_next_table(stt, link))) {
		tbl = link->tbl;
		nr = batch->nr << kvmppc_tce_split(stt, tbl);
		if (nr > KVMPPC_TCE_RM_MAX ||
		    !user_table_can_store_rm(tbl, &link->iter,
					   ioba >> tbl->it_page_shift, nr) ||
		    (!refs && !user_table_resolve_rm(tbl, batch)))
			return false;
		refs += batch->nr_mapped << kvmppc_tce_split(stt, tbl);
	}
	if (refs && !mm_iommu_ref(batch->mem, refs, batch->write))
		return false;

	while ((link = kvmppc_tce_next_table(stt, link)))
		user_table_store_batch_rm(link->tbl, &link->iter,
					  ioba >> link->tbl->it_page_shift, batch);

	return true;
}

static long kvmppc_rm_put(struct kvmppc_spapr_tce_table *stt,
			  unsigned long ioba, const u64 *tces,
			  struct tce_batch *batch)
{
	unsigned long index = kvmppc_tce_index(stt, ioba);
	struct tce_iter iter = { .tree = &stt->guest_tces };
	long ret = H_TOO_HARD;

	batch->mm = stt->kvm->mm;
	batch->page_shift = stt->page_shift;
	if (!kvmppc_rm_trylock(stt))
		return H_TOO_HARD;
	if (kvmppc_rm_has_guest_tces(&iter, index, batch->nr) &&
	    kvmppc_rm_put_tables(stt, ioba, batch)) {
		kvmppc_tce_store(&iter, index, batch->nr, tces);
		ret = H_SUCCESS;
	}
	kvmppc_rm_unlock(stt, NULL);

	return ret;
}

/*
 * Unmap pages in the hardware tables. Returns false if virtual mode must repeat it. The
 * caller must hold all locks.
 */
static bool kvmppc_rm_clear_tables(struct kvmppc_spapr_tce_table *stt,
				   unsigned long ioba, unsigned long npages)
{
	struct kvmppc_tce_link *link = NULL;
	bool all = true;
	unsigned long nr;

	tce_lock_assert_owned(&stt->lock);
	while ((link = kvmppc_tce_next_table(stt, link))) {
		nr = npages << kvmppc_tce_split(stt, link->tbl);
		all &= nr <= KVMPPC_TCE_RM_MAX &&
			user_table_unmap_rm(link->tbl,
					    ioba >> link->tbl->it_page_shift,
					    nr);
	}

	return all;
}

static long kvmppc_rm_stuff(struct kvmppc_spapr_tce_table *stt,
			    unsigned long ioba, u64 tce, unsigned long npages)
{
	unsigned long index = kvmppc_tce_index(stt, ioba);
	struct tce_iter iter = { .tree = &stt->guest_tces };
	long ret = H_TOO_HARD;

	if (npages > KVMPPC_TCE_RM_MAX || !kvmppc_rm_trylock(stt))
		return H_TOO_HARD;
	if ((!tce || kvmppc_rm_has_guest_tces(&iter, index, npages)) &&
	    kvmppc_rm_clear_tables(stt, ioba, npages)) {
		kvmppc_tce_set(&iter, index, npages, tce);
		ret = H_SUCCESS;
	}
	kvmppc_rm_unlock(stt, NULL);

	return ret;
}

/*
 * A single page, where there is one hardware table: the same without loops. @only
 * changes under the lock of the guest's table.
 */

static struct iommu_table *kvmppc_rm_lock_only(struct kvmppc_spapr_tce_table *stt)
{
	if (!tce_lock_spin_rm(&stt->lock))
		return NULL;
	if (likely(stt->only && user_table_lock_rm(stt->only)))
		return stt->only;
	tce_unlock_rm(&stt->lock);

	return NULL;
}

static void kvmppc_rm_unlock_only(struct kvmppc_spapr_tce_table *stt,
				  struct iommu_table *tbl)
{
	user_table_unlock_rm(tbl);
	tce_unlock_rm(&stt->lock);
}

/* Map @ua, or unmap if @ua is 0, and store @tce in guest_tces */
static long kvmppc_rm_put_page(struct kvmppc_spapr_tce_table *stt,
			       unsigned long ioba, u64 tce, unsigned long ua)
{
	struct iommu_table *tbl = kvmppc_rm_lock_only(stt);
	unsigned long entry = ioba >> stt->page_shift;
	bool done = false;
	u64 *guest_tce;

	if (!tbl)
		return H_TOO_HARD;
	guest_tce = (__force u64 *)tce_tree_walk(&stt->guest_tces,
						 entry - stt->offset);
	/* Where a leaf is absent H_GET_TCE returns 0 */
	if (guest_tce || !tce)
		done = ua ? user_table_map_page_rm(tbl, entry, ua) :
			    user_table_unmap_page_rm(tbl, entry);
	if (done && guest_tce)
		WRITE_ONCE(*guest_tce, tce);
	kvmppc_rm_unlock_only(stt, tbl);

	return done ? H_SUCCESS : H_TOO_HARD;
}

static long kvmppc_rm_put_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
			      unsigned long ioba, u64 tce)
{
	struct kvmppc_spapr_tce_table *stt = kvmppc_tce_find(vcpu->kvm, liobn);
	unsigned long ua, hpa;
	struct tce_batch batch = { .uas = &ua, .hpas = &hpa, .nr = 1 };
	long ret;

	if (!stt)
		return H_TOO_HARD;

	ret = kvmppc_tce_check_page(stt, ioba);
	if (ret)
		return ret;
	ret = kvmppc_tce_to_ua(stt, kvm_memslots_raw(vcpu->kvm), tce, &ua);
	if (ret)
		return ret;
	if (likely(READ_ONCE(stt->only)))
		return kvmppc_rm_put_page(stt, ioba, tce, ua);
	if (!ua)
		return kvmppc_rm_stuff(stt, ioba, tce, 1);

	return kvmppc_rm_put(stt, ioba, &tce, &batch);
}

/*
 * Find the guest's list, in registered memory. NULL: leave it to virtual mode. The VCPU
 * must have kvm_vcpu_arch::tce.
 */
static const __be64 *kvmppc_rm_find_list(struct kvm_vcpu *vcpu,
					 unsigned long tce_list,
					 struct mm_iommu_table_group_mem_t **pmem)
{
	struct kvm_memory_slot *slot;
	struct mm_iommu_bounds bounds;
	unsigned long ua, hpa;

	slot = __gfn_to_memslot(kvm_memslots_raw(vcpu->kvm),
				tce_list >> PAGE_SHIFT);
	if (!slot || (slot->flags & KVM_MEMSLOT_INVALID))
		return NULL;
	ua = __gfn_to_hva_memslot(slot, tce_list >> PAGE_SHIFT) +
		offset_in_page(tce_list);
	if (!mm_iommu_find_bounds_rm(vcpu->kvm->mm, &vcpu->arch.tce->hint, ua, &bounds) ||
	    !mm_iommu_is_pinned(bounds.mem) ||
	    mm_iommu_ua_to_hpa(bounds.mem, ua, ilog2(SZ_4K), &hpa))
		return NULL;
	*pmem = bounds.mem;

	return __va(hpa);
}

static bool kvmppc_rm_read_list(struct kvm_vcpu *vcpu, unsigned long tce_list,
				unsigned long nr, u64 *tces)
{
	struct mm_iommu_table_group_mem_t *mem;
	const __be64 *list = kvmppc_rm_find_list(vcpu, tce_list, &mem);
	unsigned long i;

	if (!list)
		return false;
	/* Once: the guest may change it at any moment */
	for (i = 0; i < nr; i++)
		tces[i] = tce_load(list + i);

	/* Recheck that the region is still pinned */
	return mm_iommu_is_pinned(mem);
}

static long kvmppc_rm_put_tce_indirect(struct kvm_vcpu *vcpu,
				       unsigned long liobn, unsigned long ioba,
				       unsigned long tce_list,
				       unsigned long npages)
{
	struct kvmppc_spapr_tce_table *stt = kvmppc_tce_find(vcpu->kvm, liobn);
	struct kvmppc_tce_vcpu *tce = vcpu->arch.tce;
	struct tce_batch batch = { .nr = npages };
	long ret;

	if (!tce)
		return H_TOO_HARD;

	ret = kvmppc_tce_check_list(stt, ioba, tce_list, npages);
	if (ret || !npages)
		return ret;
	if (!kvmppc_rm_read_list(vcpu, tce_list, npages, tce->tces))
		return H_TOO_HARD;
	ret = kvmppc_tce_to_uas(stt, kvm_memslots_raw(vcpu->kvm), tce->tces,
				npages, tce->uas);
	if (ret)
		return ret;
	batch.uas = tce->uas;
	batch.hpas = tce->hpas;

	return kvmppc_rm_put(stt, ioba, tce->tces, &batch);
}

static long kvmppc_rm_stuff_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
				unsigned long ioba, u64 tce_value,
				unsigned long npages)
{
	struct kvmppc_spapr_tce_table *stt = kvmppc_tce_find(vcpu->kvm, liobn);
	long ret;

	ret = kvmppc_tce_check_stuff(stt, ioba, tce_value, npages);
	if (ret || !npages)
		return ret;
	if (npages == 1 && READ_ONCE(stt->only))
		return kvmppc_rm_put_page(stt, ioba, tce_value, 0);

	return kvmppc_rm_stuff(stt, ioba, tce_value, npages);
}

/**
 * kvmppc_rm_h_put_tce() - H_PUT_TCE in real mode
 * @vcpu: the VCPU
 * @liobn: as kvmppc_h_put_tce()
 * @ioba: as kvmppc_h_put_tce()
 * @tce: as kvmppc_h_put_tce()
 *
 * Context: real mode, on the CPU of the VCPU, interrupts off.
 *
 * Return: the answer for the guest; or H_TOO_HARD: let virtual mode answer.
 */
long kvmppc_rm_h_put_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
			 unsigned long ioba, unsigned long tce)
{
	long ret = H_TOO_HARD;

	if (kvmppc_rm_begin(vcpu))
		ret = kvmppc_rm_put_tce(vcpu, liobn, ioba, tce);

	return kvmppc_rm_end(vcpu, &(struct kvmppc_tce_call){
		.hcall = H_PUT_TCE,
		.liobn = liobn,
		.ioba = ioba,
		.npages = 1,
		.ret = ret,
	});
}

/**
 * kvmppc_rm_h_put_tce_indirect() - H_PUT_TCE_INDIRECT in real mode
 * @vcpu: the VCPU
 * @liobn: as kvmppc_h_put_tce_indirect()
 * @ioba: as kvmppc_h_put_tce_indirect()
 * @tce_list: as kvmppc_h_put_tce_indirect()
 * @npages: as kvmppc_h_put_tce_indirect()
 *
 * Context: as kvmppc_rm_h_put_tce().
 *
 * Return: as kvmppc_rm_h_put_tce().
 */
long kvmppc_rm_h_put_tce_indirect(struct kvm_vcpu *vcpu, unsigned long liobn,
				  unsigned long ioba, unsigned long tce_list,
				  unsigned long npages)
{
	long ret = H_TOO_HARD;

	if (kvmppc_rm_begin(vcpu))
		ret = kvmppc_rm_put_tce_indirect(vcpu, liobn, ioba, tce_list, npages);

	return kvmppc_rm_end(vcpu, &(struct kvmppc_tce_call){
		.hcall = H_PUT_TCE_INDIRECT,
		.liobn = liobn,
		.ioba = ioba,
		.npages = npages,
		.ret = ret,
	});
}

/**
 * kvmppc_rm_h_stuff_tce() - H_STUFF_TCE in real mode
 * @vcpu: the VCPU
 * @liobn: as kvmppc_h_stuff_tce()
 * @ioba: as kvmppc_h_stuff_tce()
 * @tce_value: as kvmppc_h_stuff_tce()
 * @npages: as kvmppc_h_stuff_tce()
 *
 * Context: as kvmppc_rm_h_put_tce().
 *
 * Return: as kvmppc_rm_h_put_tce().
 */
long kvmppc_rm_h_stuff_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
			   unsigned long ioba, unsigned long tce_value,
			   unsigned long npages)
{
	long ret = H_TOO_HARD;

	if (kvmppc_rm_begin(vcpu))
		ret = kvmppc_rm_stuff_tce(vcpu, liobn, ioba, tce_value, npages);

	return kvmppc_rm_end(vcpu, &(struct kvmppc_tce_call){
		.hcall = H_STUFF_TCE,
		.liobn = liobn,
		.ioba = ioba,
		.npages = npages,
		.ret = ret,
	});
}

/**
 * kvmppc_rm_h_get_tce() - H_GET_TCE in real mode
 * @vcpu: the VCPU; gets the TCE in its register 4
 * @liobn: as kvmppc_h_get_tce()
 * @ioba: as kvmppc_h_get_tce()
 *
 * Context: as kvmppc_rm_h_put_tce().
 *
 * Return: as kvmppc_rm_h_put_tce().
 */
long kvmppc_rm_h_get_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
			 unsigned long ioba)
{
	long ret = H_TOO_HARD;

	/* Where real mode is off this is an extra step of each hypercall: be quick */
	if (unlikely(!READ_ONCE(kvmppc_tce_real_mode)))
		return H_TOO_HARD;
	if (kvmppc_rm_begin(vcpu))
		ret = kvmppc_get_tce(vcpu, liobn, ioba);

	return kvmppc_rm_end(vcpu, &(struct kvmppc_tce_call){
		.hcall = H_GET_TCE,
		.liobn = liobn,
		.ioba = ioba,
		.npages = 1,
		.ret = ret,
	});
}

/* Test if events of tables are traced: these are not recorded, as hypercalls are */
static bool kvmppc_tce_traced(void)
{
	return trace_tce_list_enabled() || trace_tce_unmap_enabled() ||
		trace_tce_kill_enabled();
}

/* Answer the hypercall in the guest's registers. H_TOO_HARD if it is not of TCEs */
static long kvmppc_rm_hcall(struct kvm_vcpu *vcpu)
{
	unsigned long liobn = kvmppc_get_gpr(vcpu, 4);
	unsigned long ioba = kvmppc_get_gpr(vcpu, 5);
	unsigned long arg = kvmppc_get_gpr(vcpu, 6);
	unsigned long npages = kvmppc_get_gpr(vcpu, 7);

	switch (kvmppc_get_gpr(vcpu, 3)) {
	case H_PUT_TCE:
		return kvmppc_rm_h_put_tce(vcpu, liobn, ioba, arg);
	case H_STUFF_TCE:
		return kvmppc_rm_h_stuff_tce(vcpu, liobn, ioba, arg, npages);
	case H_PUT_TCE_INDIRECT:
		return kvmppc_rm_h_put_tce_indirect(vcpu, liobn, ioba, arg,
						    npages);
	case H_GET_TCE:
		return kvmppc_rm_h_get_tce(vcpu, liobn, ioba);
	default:
		return H_TOO_HARD;
	}
}

/*
 * Test for a hypercall of TCEs that the guest's kernel made. Not in a transaction,
 * which the way out of the guest has to end.
 */
static bool kvmppc_tce_is_hcall(struct kvm_vcpu *vcpu)
{
	unsigned long req = kvmppc_get_gpr(vcpu, 3);

	return (req == H_PUT_TCE || req == H_STUFF_TCE || req == H_GET_TCE ||
		req == H_PUT_TCE_INDIRECT) &&
		!(vcpu->arch.shregs.msr & (MSR_PR | MSR_TS_MASK)) &&
		test_bit(req / 4, vcpu->kvm->arch.enabled_hcalls);
}

/**
 * kvmppc_tce_hcall_early() - answer before the VCPU leaves its run loop
 * @vcpu: the VCPU, just out of the guest by a system call
 *
 * POWER9 and later have no hypercalls in real mode. Called when the host's MMU and
 * timebase are restored, so all code and data can be used and firmware can be called;
 * but before the guest's floating-point, vector and other registers that the kernel
 * does not use are saved, which takes most of the time of leaving the run loop.
 *
 * Context: kvmhv_vcpu_entry_p9(), interrupts hard-disabled; a reader of RCU and of the
 * guest's SRCU as in real mode. An interrupt that cannot be disabled returns here, not
 * to the guest.
 *
 * Return: true, the answer is in the guest's registers and the guest can go on; or
 * false: the hypercall is left to virtual mode.
 */
bool kvmppc_tce_hcall_early(struct kvm_vcpu *vcpu)
{
	unsigned long amr = 0;
	long ret;

	if (!kvmppc_tce_is_hcall(vcpu) || kvmppc_tce_traced())
		return false;

	/* A host with the hash MMU must not run with the guest's protection keys */
	if (!radix_enabled()) {
		amr = mfspr(SPRN_AMR);
		mtspr(SPRN_AMR, 0);
		isync();
	}
	WRITE_ONCE(local_paca->kvm_hstate.in_guest, KVM_GUEST_MODE_NONE);
	barrier();
	ret = kvmppc_rm_hcall(vcpu);
	barrier();
	WRITE_ONCE(local_paca->kvm_hstate.in_guest, KVM_GUEST_MODE_HV_P9);
	if (!radix_enabled()) {
		mtspr(SPRN_AMR, amr);
		isync();
	}
	if (ret == H_TOO_HARD)
		return false;
	kvmppc_set_gpr(vcpu, 3, ret);

	return true;
}

/*
 * The first step of virtual mode.
 */

/**
 * kvmppc_tce_try_put() - try H_PUT_TCE without sleeping
 * @vcpu: the VCPU
 * @liobn: as kvmppc_h_put_tce()
 * @ioba: as kvmppc_h_put_tce()
 * @tce: as kvmppc_h_put_tce()
 *
 * Context: virtual mode. The caller must be in an SRCU section of the guest, for its
 * memory slots.
 *
 * Return: the answer for the guest, or H_TOO_HARD.
 */
long kvmppc_tce_try_put(struct kvm_vcpu *vcpu, unsigned long liobn,
			unsigned long ioba, u64 tce)
{
	lockdep_assert(srcu_read_lock_held(&vcpu->kvm->srcu));
	if (kvmppc_tce_traced())
		return H_TOO_HARD;
	guard(irqsave)();
	guard(rcu)();

	return kvmppc_rm_put_tce(vcpu, liobn, ioba, tce);
}
EXPORT_SYMBOL_GPL(kvmppc_tce_try_put);

/**
 * kvmppc_tce_try_put_indirect() - try H_PUT_TCE_INDIRECT without sleeping
 * @vcpu: the VCPU
 * @liobn: as kvmppc_h_put_tce_indirect()
 * @ioba: as kvmppc_h_put_tce_indirect()
 * @tce_list: as kvmppc_h_put_tce_indirect()
 * @npages: as kvmppc_h_put_tce_indirect()
 *
 * Context: as kvmppc_tce_try_put().
 *
 * Return: as kvmppc_tce_try_put().
 */
long kvmppc_tce_try_put_indirect(struct kvm_vcpu *vcpu, unsigned long liobn,
				 unsigned long ioba, unsigned long tce_list,
				 unsigned long npages)
{
	lockdep_assert(srcu_read_lock_held(&vcpu->kvm->srcu));
	if (kvmppc_tce_traced())
		return H_TOO_HARD;
	guard(irqsave)();
	guard(rcu)();

	return kvmppc_rm_put_tce_indirect(vcpu, liobn, ioba, tce_list, npages);
}
EXPORT_SYMBOL_GPL(kvmppc_tce_try_put_indirect);

/**
 * kvmppc_tce_try_stuff() - try H_STUFF_TCE without sleeping
 * @vcpu: the VCPU
 * @liobn: as kvmppc_h_stuff_tce()
 * @ioba: as kvmppc_h_stuff_tce()
 * @tce_value: as kvmppc_h_stuff_tce()
 * @npages: as kvmppc_h_stuff_tce()
 *
 * Context: virtual mode.
 *
 * Return: as kvmppc_tce_try_put().
 */
long kvmppc_tce_try_stuff(struct kvm_vcpu *vcpu, unsigned long liobn,
			  unsigned long ioba, u64 tce_value,
			  unsigned long npages)
{
	if (kvmppc_tce_traced())
		return H_TOO_HARD;
	guard(irqsave)();
	guard(rcu)();

	return kvmppc_rm_stuff_tce(vcpu, liobn, ioba, tce_value, npages);
}
EXPORT_SYMBOL_GPL(kvmppc_tce_try_stuff);
