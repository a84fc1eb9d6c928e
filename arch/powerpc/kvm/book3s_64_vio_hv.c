// SPDX-License-Identifier: GPL-2.0-only
/*
 * H_PUT_TCE and its like in real mode, for guests of processors that take
 * hypercalls there (POWER8).
 *
 * Translation is off: what is reached is the linear mapping, so the code is
 * built in and the data are slab objects or pages. Interrupts are off as well:
 * nothing sleeps, allocates, prints or waits, and little is done at once.
 * Whatever is not simple is H_TOO_HARD: virtual mode then does the hypercall
 * from its start, and nothing that was done here is in its way:
 *
 * - Real mode maps only where nothing is mapped, so that it has nothing to give
 *   back; and only memory of one region, so that a single count, taken when
 *   nothing else can fail any more, is all that it takes.
 * - What it unmaps is given back unless it is a region's last count. Then TCEs
 *   are gone and the table still knows the counts, which virtual mode gives back.
 * - Claims are only tried: an owner in virtual mode may sleep with one.
 *
 * Objects that are found without a count stay for as long as the CPU is in the
 * guest: RCU waits for it, since it runs with interrupts off and has not said
 * that it would be idle, and so does SRCU of the guest.
 */
#include <linux/context_tracking_state.h>
#include <linux/kvm_host.h>
#include <linux/lockdep.h>
#include <linux/moduleparam.h>

#include <asm/mm_iommu.h>

#include <trace/events/spapr_tce.h>

#include "book3s_64_vio.h"

static bool kvmppc_tce_real_mode __read_mostly = true;
module_param_named(tce_real_mode, kvmppc_tce_real_mode, bool, 0644);
MODULE_PARM_DESC(tce_real_mode, "try H_PUT_TCE and its like in real mode");

/* TCEs of a hardware table that one hypercall may change here */
#define KVMPPC_TCE_RM_MAX	512

/*
 * RCU may not know of this CPU when it can be idle in the guest; and a reader
 * of preemptible RCU may have something to do when it ends. A hypercall that is
 * to be traced must find room.
 */
static bool kvmppc_rm_may_run(struct kvm_vcpu *vcpu)
{
	struct kvmppc_tce_vcpu *tce = vcpu->arch.tce;

	if (!READ_ONCE(kvmppc_tce_real_mode) ||
	    IS_ENABLED(CONFIG_PREEMPT_RCU) || context_tracking_enabled())
		return false;

	return !trace_kvm_tce_hcall_enabled() ||
		(tce && tce->nr_calls < KVMPPC_TCE_LOG_MAX);
}

/* The guest's table, if it can be used here */
static struct kvmppc_spapr_tce_table *kvmppc_rm_find(struct kvm_vcpu *vcpu,
						     unsigned long liobn)
{
	return kvmppc_rm_may_run(vcpu) ? kvmppc_tce_find(vcpu->kvm, liobn) :
					 NULL;
}

/*
 * With interrupts off this is a reader of RCU, as the head of this file says,
 * of which lockdep knows nothing; nor is its own code made for real mode.
 */
static void kvmppc_rm_begin(void)
{
	lockdep_off();
}

/* ... and remember the call for the trace */
static long kvmppc_rm_end(struct kvm_vcpu *vcpu, unsigned int hcall,
			  unsigned long liobn, unsigned long ioba,
			  unsigned long npages, long ret)
{
	struct kvmppc_tce_vcpu *tce = vcpu->arch.tce;

	lockdep_on();
	if (trace_kvm_tce_hcall_enabled() && tce &&
	    tce->nr_calls < KVMPPC_TCE_LOG_MAX)
		tce->calls[tce->nr_calls++] = (struct kvmppc_tce_call){
			.hcall = hcall,
			.liobn = liobn,
			.ioba = ioba,
			.npages = npages,
			.ret = ret,
		};

	return ret;
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

/* The locks of the guest's table and of all behind it, or none */
static bool kvmppc_rm_trylock(struct kvmppc_spapr_tce_table *stt)
{
	struct kvmppc_tce_link *link = NULL;

	if (!tce_trylock_rm(&stt->lock))
		return false;
	while ((link = kvmppc_tce_next_table(stt, link))) {
		if (!user_table_trylock_rm(link->tbl)) {
			kvmppc_rm_unlock(stt, link);
			return false;
		}
	}

	return true;
}

/* Has the guest's table all leaves that @nr TCEs need? */
static bool kvmppc_rm_has_guest_tces(struct tce_iter *iter, unsigned long index,
				     unsigned long nr)
{
	unsigned long next = index;

	for_each_tce_leaf(iter, index, nr) {
		if (iter->index != next)
			break;
		next += iter->nr;
	}

	return next == index + nr;
}

/* What a list will hold of a region, over all tables */
struct kvmppc_rm_hold {
	struct mm_iommu_table_group_mem_t *mem;
	unsigned long nr;
	bool write;
};

/* How much of a list is to be mapped; the guest's pages */
static unsigned long kvmppc_rm_count(const struct tce_batch *batch,
				     bool *write)
{
	unsigned long i, nr = 0;

	for (i = 0; i < batch->nr; i++) {
		nr += !!batch->uas[i];
		*write |= batch->uas[i] & TCE_PCI_WRITE;
	}

	return nr;
}

/* Can this table be made what the list says, here and now? */
static bool kvmppc_rm_check_table(struct iommu_table *tbl, unsigned long ioba,
				  const struct tce_batch *batch,
				  unsigned long mapped,
				  struct kvmppc_rm_hold *hold)
{
	unsigned int split = batch->page_shift - tbl->it_page_shift;
	struct mm_iommu_table_group_mem_t *mem;

	if (batch->nr << split > KVMPPC_TCE_RM_MAX ||
	    !user_table_can_store_rm(tbl, ioba >> tbl->it_page_shift,
				   batch->nr << split))
		return false;
	if (!mapped)
		return true;
	mem = mm_iommu_batch_region(batch, tbl->it_page_shift);
	/* Another one by now? It was not checked for the tables before */
	if (!mem || (hold->mem && hold->mem != mem))
		return false;
	hold->mem = mem;
	hold->nr += mapped << split;

	return true;
}

/* With all locks: the hardware tables, all or none */
static bool kvmppc_rm_put_tables(struct kvmppc_spapr_tce_table *stt,
				 unsigned long ioba,
				 struct tce_batch *batch)
{
	struct kvmppc_tce_link *link = NULL;
	struct kvmppc_rm_hold hold = { };
	unsigned long mapped = kvmppc_rm_count(batch, &hold.write);

	while ((link = kvmppc_tce_next_table(stt, link)))
		if (!kvmppc_rm_check_table(link->tbl, ioba, batch, mapped, &hold))
			return false;
	if (hold.nr && !mm_iommu_ref(hold.mem, hold.nr, hold.write))
		return false;
	batch->mem = hold.mem;

	while ((link = kvmppc_tce_next_table(stt, link)))
		user_table_store_batch_rm(link->tbl,
					  ioba >> link->tbl->it_page_shift, batch);

	return true;
}

static long kvmppc_rm_put(struct kvmppc_spapr_tce_table *stt,
			  unsigned long ioba, const u64 *tces,
			  const unsigned long *uas, unsigned long nr)
{
	struct tce_batch batch = {
		.mm = stt->kvm->mm,
		.uas = uas,
		.nr = nr,
		.page_shift = stt->page_shift,
	};
	unsigned long index = kvmppc_tce_index(stt, ioba);
	struct tce_iter iter = { .tree = &stt->guest_tces };
	long ret = H_TOO_HARD;

	if (!kvmppc_rm_trylock(stt))
		return H_TOO_HARD;
	if (kvmppc_rm_has_guest_tces(&iter, index, nr) &&
	    kvmppc_rm_put_tables(stt, ioba, &batch)) {
		kvmppc_tce_store(&iter, index, nr, tces);
		ret = H_SUCCESS;
	}
	kvmppc_rm_unlock(stt, NULL);

	return ret;
}

/* With all locks: clear the hardware tables, or leave some to virtual mode */
static bool kvmppc_rm_clear_tables(struct kvmppc_spapr_tce_table *stt,
				   unsigned long ioba, unsigned long npages)
{
	struct kvmppc_tce_link *link = NULL;
	bool all = true;
	unsigned long nr;

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
		kvmppc_tce_fill(&iter, index, npages, tce);
		ret = H_SUCCESS;
	}
	kvmppc_rm_unlock(stt, NULL);

	return ret;
}

static long kvmppc_rm_do_put_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
				 unsigned long ioba, u64 tce)
{
	struct kvmppc_spapr_tce_table *stt;
	unsigned long ua;
	long ret;

	stt = kvmppc_rm_find(vcpu, liobn);
	if (!stt)
		return H_TOO_HARD;

	ret = kvmppc_ioba_validate(stt, ioba, 1);
	if (ret)
		return ret;
	ret = kvmppc_tce_to_ua(stt, kvm_memslots_raw(vcpu->kvm), tce, &ua);
	if (ret)
		return ret;
	if (!ua)
		return kvmppc_rm_stuff(stt, ioba, tce, 1);

	return kvmppc_rm_put(stt, ioba, &tce, &ua, 1);
}

/* The memory of the mm that holds the list; NULL when real mode cannot tell */
static const __be64 *kvmppc_rm_find_list(struct kvm_vcpu *vcpu,
					 unsigned long tce_list,
					 struct mm_iommu_table_group_mem_t **pmem)
{
	struct mm_iommu_table_group_mem_t *mem;
	struct kvm_memory_slot *slot;
	unsigned long ua, hpa;

	slot = __gfn_to_memslot(kvm_memslots_raw(vcpu->kvm),
				tce_list >> PAGE_SHIFT);
	if (!slot || (slot->flags & KVM_MEMSLOT_INVALID))
		return NULL;
	ua = __gfn_to_hva_memslot(slot, tce_list >> PAGE_SHIFT) +
		offset_in_page(tce_list);
	mem = mm_iommu_lookup(vcpu->kvm->mm, ua, SZ_4K);
	if (!mem || !mm_iommu_is_ram(mem) ||
	    mm_iommu_ua_to_hpa(mem, ua, ilog2(SZ_4K), &hpa))
		return NULL;
	*pmem = mem;

	return __va(hpa);
}

static bool kvmppc_rm_read_list(struct kvm_vcpu *vcpu, unsigned long tce_list,
				unsigned long nr, u64 *tces)
{
	struct mm_iommu_table_group_mem_t *mem;
	const __be64 *batch = kvmppc_rm_find_list(vcpu, tce_list, &mem);
	unsigned long i;

	if (!batch)
		return false;
	/* Once: the guest may change it at any moment */
	for (i = 0; i < nr; i++)
		tces[i] = tce_load(batch + i);

	/* It was the guest's memory all the time */
	return mm_iommu_is_ram(mem);
}

static long kvmppc_rm_do_put_tce_indirect(struct kvm_vcpu *vcpu,
					  unsigned long liobn,
					  unsigned long ioba,
					  unsigned long tce_list,
					  unsigned long npages)
{
	struct kvmppc_tce_vcpu *tce = vcpu->arch.tce;
	struct kvmppc_spapr_tce_table *stt;
	long ret;

	stt = tce ? kvmppc_rm_find(vcpu, liobn) : NULL;
	if (!stt)
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

	return kvmppc_rm_put(stt, ioba, tce->tces, tce->uas, npages);
}

static long kvmppc_rm_do_stuff_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
				   unsigned long ioba, u64 tce_value,
				   unsigned long npages)
{
	struct kvmppc_spapr_tce_table *stt;
	long ret;

	stt = kvmppc_rm_find(vcpu, liobn);
	if (!stt)
		return H_TOO_HARD;

	ret = kvmppc_tce_check_stuff(stt, ioba, tce_value, npages);
	if (ret || !npages)
		return ret;

	return kvmppc_rm_stuff(stt, ioba, tce_value, npages);
}

static long kvmppc_rm_do_get_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
				 unsigned long ioba)
{
	struct kvmppc_spapr_tce_table *stt;
	long ret;

	stt = kvmppc_rm_find(vcpu, liobn);
	if (!stt)
		return H_TOO_HARD;

	ret = kvmppc_ioba_validate(stt, ioba, 1);
	if (!ret)
		kvmppc_set_gpr(vcpu, 4,
			       kvmppc_tce_load(stt, kvmppc_tce_index(stt, ioba)));

	return ret;
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
 * Return: the answer for the guest; H_TOO_HARD: virtual mode shall give it.
 */
long kvmppc_rm_h_put_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
			 unsigned long ioba, unsigned long tce)
{
	long ret;

	kvmppc_rm_begin();
	ret = kvmppc_rm_do_put_tce(vcpu, liobn, ioba, tce);

	return kvmppc_rm_end(vcpu, H_PUT_TCE, liobn, ioba, 1, ret);
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
	long ret;

	kvmppc_rm_begin();
	ret = kvmppc_rm_do_put_tce_indirect(vcpu, liobn, ioba, tce_list, npages);

	return kvmppc_rm_end(vcpu, H_PUT_TCE_INDIRECT, liobn, ioba, npages, ret);
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
	long ret;

	kvmppc_rm_begin();
	ret = kvmppc_rm_do_stuff_tce(vcpu, liobn, ioba, tce_value, npages);

	return kvmppc_rm_end(vcpu, H_STUFF_TCE, liobn, ioba, npages, ret);
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
	long ret;

	kvmppc_rm_begin();
	ret = kvmppc_rm_do_get_tce(vcpu, liobn, ioba);

	return kvmppc_rm_end(vcpu, H_GET_TCE, liobn, ioba, 1, ret);
}
