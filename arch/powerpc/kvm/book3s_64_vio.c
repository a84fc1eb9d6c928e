// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCE tables of guests: the hypercalls H_PUT_TCE, H_PUT_TCE_INDIRECT,
 * H_STUFF_TCE and H_GET_TCE in virtual mode. book3s_64_vio_table.c makes the tables.
 *
 * A guest names a table by its LIOBN. Behind it are hardware tables: the user tables
 * of the groups that were attached, or none when the device is an emulated one. What
 * the guest puts is kept in guest_tces, which user space maps and H_GET_TCE reads;
 * the hardware tables get its translation.
 *
 * A hypercall first validates its arguments and list, then prepares what it needs
 * (levels of guest_tces; references and levels of each hardware table), and then
 * commits, which only the hypervisor of an LPAR can refuse: what is committed by then is
 * taken back. So all tables behind one LIOBN are changed, or none.
 * Answers:
 *
 * H_PARAMETER			an error of the guest
 * H_TOO_HARD			user space gets the hypercall: the LIOBN is
 *				unknown, memory is in no slot or not registered,
 *				a TCE has reserved bits; or the process is being
 *				killed, and the guest gets no answer any more
 * H_NOT_ENOUGH_RESOURCES	no memory, or RLIMIT_MEMLOCK, for a level
 * H_HARDWARE			the hypervisor of an LPAR refused a TCE
 *
 * Locks: kvm::srcu keeps a table that was found by its LIOBN, and so does RCU for a
 * hypercall that does not sleep;
 * kvm_arch::spapr_tce_lock protects the set of tables; a hypercall holds
 * kvmppc_spapr_tce_table::lock while it changes a table, and inside it the locks of
 * the hardware tables, one after the other. All of them belong to one guest. Nobody
 * waits for the mmap_lock with one of them held.
 */
#include <linux/err.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/srcu.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <asm/tce_charge.h>

#include <trace/events/spapr_tce.h>

#include "book3s_64_vio.h"

static long kvmppc_tce_answer(int ret)
{
	switch (ret) {
	case 0:
		return H_SUCCESS;
	case -ENOMEM:
		return H_NOT_ENOUGH_RESOURCES;
	case -EPERM:	/* a page that is not backed by one as large */
		return H_PARAMETER;
	case -EINTR:	/* the process is being killed */
	case -EINVAL:	/* not registered; a container of v1 may still map it */
		return H_TOO_HARD;
	default:
		return H_HARDWARE;
	}
}

static void kvmppc_tce_cancel(struct kvmppc_spapr_tce_table *stt,
			      const struct tce_batch *batch,
			      struct kvmppc_tce_link *end)
{
	struct kvmppc_tce_link *link = NULL;

	while ((link = kvmppc_tce_next_table(stt, link))) {
		if (link == end)
			break;
		user_table_cancel_batch(link->tbl, &link->iter, batch);
	}
}

static int kvmppc_tce_prepare(struct kvmppc_spapr_tce_table *stt,
			      unsigned long ioba,
			      struct tce_batch *batch)
{
	struct kvmppc_tce_link *link = NULL;
	int ret;

	tce_lock_assert_held(&stt->lock);
	while ((link = kvmppc_tce_next_table(stt, link))) {
		ret = user_table_prepare_batch(link->tbl, &link->iter,
					       ioba >> link->tbl->it_page_shift,
					      batch);
		if (ret) {
			kvmppc_tce_cancel(stt, batch, link);
			return ret;
		}
	}

	return 0;
}

/* Map at @ioba in one table what the guest had there; unmap it if that cannot be done */
static void kvmppc_tce_put_back(struct kvmppc_spapr_tce_table *stt,
				struct kvmppc_tce_link *link,
				unsigned long ioba, unsigned long ua)
{
	unsigned long entry = ioba >> link->tbl->it_page_shift;
	struct tce_batch batch = {
		.mm = stt->kvm->mm,
		.uas = &ua,
		.nr = 1,
		.page_shift = stt->page_shift,
	};

	if (ua && !user_table_prepare_batch(link->tbl, &link->iter, entry, &batch) &&
	    !user_table_commit_batch(link->tbl, &link->iter, entry, &batch))
		return;
	user_table_unmap(link->tbl, entry,
			 1UL << kvmppc_tce_split(stt, link->tbl), NULL);
}

/*
 * A table has refused a batch. Take it back from the tables before that one, page by
 * page: no memory is needed then.
 */
static noinline void kvmppc_tce_take_back(struct kvmppc_spapr_tce_table *stt,
					  unsigned long ioba, unsigned long nr,
					  struct kvmppc_tce_link *end)
{
	unsigned long index = kvmppc_tce_index(stt, ioba), ua;
	struct kvmppc_tce_link *link;

	for (; nr; nr--, index++, ioba += 1UL << stt->page_shift) {
		if (kvmppc_tce_to_ua(stt, kvm_memslots(stt->kvm),
				     kvmppc_tce_load(stt, index), &ua))
			ua = 0;
		link = NULL;
		while ((link = kvmppc_tce_next_table(stt, link)) != end)
			kvmppc_tce_put_back(stt, link, ioba, ua);
		cond_resched();
	}
}

static int kvmppc_tce_commit(struct kvmppc_spapr_tce_table *stt,
			     unsigned long ioba,
			     const struct tce_batch *batch)
{
	struct kvmppc_tce_link *link = NULL, *refused;
	int ret = 0;

	tce_lock_assert_held(&stt->lock);
	while (!ret && (link = kvmppc_tce_next_table(stt, link)))
		ret = user_table_commit_batch(link->tbl, &link->iter,
					      ioba >> link->tbl->it_page_shift,
					     batch);
	if (likely(!ret))
		return 0;

	refused = link;
	while ((link = kvmppc_tce_next_table(stt, link)))
		user_table_cancel_batch(link->tbl, &link->iter, batch);
	kvmppc_tce_take_back(stt, ioba, batch->nr, refused);

	return ret;
}

/* Put @nr TCEs: @tces in guest_tces, and @uas in the hardware tables; all or nothing */
static int kvmppc_tce_put_once(struct kvmppc_spapr_tce_table *stt,
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
	int ret;

	/* May wait for the mmap_lock to be charged, so without the lock */
	ret = tce_iter_reserve(&iter, index, nr, GFP_KERNEL);
	if (!ret)
		ret = tce_lock_killable(&stt->lock);
	if (ret)
		return ret;

	ret = kvmppc_tce_prepare(stt, ioba, &batch);
	if (!ret)
		ret = kvmppc_tce_commit(stt, ioba, &batch);
	if (!ret)
		kvmppc_tce_store(&iter, index, nr, tces);
	tce_unlock(&stt->lock);

	return ret;
}

/* The same again when levels of a hardware table could not be charged at once */
static noinline int kvmppc_tce_put_charged(struct kvmppc_spapr_tce_table *stt,
					   unsigned long ioba, const u64 *tces,
					   const unsigned long *uas,
					   unsigned long nr)
{
	struct tce_credit credit;
	int ret;

	tce_credit_begin(&credit, stt->kvm->mm);
	do {
		ret = kvmppc_tce_put_once(stt, ioba, tces, uas, nr);
		if (ret != -EAGAIN)
			break;
		ret = tce_credit_wait(&credit);
	} while (!ret);
	tce_credit_end(&credit);

	return ret;
}

static long kvmppc_tce_put(struct kvmppc_spapr_tce_table *stt,
			   unsigned long ioba, const u64 *tces,
			   const unsigned long *uas, unsigned long nr)
{
	int ret = kvmppc_tce_put_once(stt, ioba, tces, uas, nr);

	if (unlikely(ret == -EAGAIN))
		ret = kvmppc_tce_put_charged(stt, ioba, tces, uas, nr);

	return kvmppc_tce_answer(ret);
}

/* Entries of a hardware table that H_STUFF_TCE unmaps before it reschedules */
#define KVMPPC_TCE_PART		BIT(20)

/* How many of @nr TCEs to unmap at once. The caller must hold the lock of @stt */
static unsigned long kvmppc_tce_part(struct kvmppc_spapr_tce_table *stt,
				     unsigned long nr)
{
	struct kvmppc_tce_link *link = NULL;
	unsigned int split = 0;

	tce_lock_assert_held(&stt->lock);
	if (nr == 1)
		return 1;
	while ((link = kvmppc_tce_next_table(stt, link)))
		split = max(split, kvmppc_tce_split(stt, link->tbl));

	return min(nr, max(KVMPPC_TCE_PART >> split, 1UL));
}

/* Reschedule between two parts. Returns -EINTR when the process is being killed */
static int kvmppc_tce_pause(void)
{
	cond_resched();

	return fatal_signal_pending(current) ? -EINTR : 0;
}

/* Unmap TCEs in all hardware tables. The caller must hold the lock of @stt */
static int kvmppc_tce_unmap(struct kvmppc_spapr_tce_table *stt,
			    unsigned long ioba, unsigned long nr)
{
	struct kvmppc_tce_link *link = NULL;
	int ret = 0;

	tce_lock_assert_held(&stt->lock);
	while (!ret && (link = kvmppc_tce_next_table(stt, link)))
		ret = user_table_unmap(link->tbl,
				       ioba >> link->tbl->it_page_shift,
				       nr << kvmppc_tce_split(stt, link->tbl),
				       NULL);

	return ret;
}

/*
 * Unmap @nr pages, and store @tce for each of them in guest_tces. Part by part, so that
 * between two parts guest_tces and the hardware tables agree.
 */
static long kvmppc_tce_stuff(struct kvmppc_spapr_tce_table *stt,
			     unsigned long ioba, u64 tce, unsigned long nr)
{
	unsigned long index = kvmppc_tce_index(stt, ioba), part;
	struct tce_iter iter = { .tree = &stt->guest_tces };
	int ret;

	/*
	 * Where a leaf is absent H_GET_TCE returns 0. If there is no memory for the
	 * leaf, @tce is lost: to unmap must not fail for that.
	 */
	if (tce)
		tce_iter_reserve(&iter, index, nr, GFP_KERNEL);

	ret = tce_lock_killable(&stt->lock);
	if (ret)
		return kvmppc_tce_answer(ret);
	do {
		part = kvmppc_tce_part(stt, nr);
		ret = kvmppc_tce_unmap(stt, ioba, part);
		if (ret)
			break;
		kvmppc_tce_set(&iter, index, part, tce);
		ioba += part << stt->page_shift;
		index += part;
		nr -= part;
	} while (nr && !(ret = kvmppc_tce_pause()));
	tce_unlock(&stt->lock);

	return kvmppc_tce_answer(ret);
}

/* The same for a list whose TCEs all unmap, each with a value of its own */
static long kvmppc_tce_stuff_list(struct kvmppc_spapr_tce_table *stt,
				  unsigned long ioba, const u64 *tces,
				  unsigned long nr)
{
	unsigned long index = kvmppc_tce_index(stt, ioba);
	struct tce_iter iter = { .tree = &stt->guest_tces };
	int ret;

	if (memchr_inv(tces, 0, nr * sizeof(*tces)))
		tce_iter_reserve(&iter, index, nr, GFP_KERNEL);

	ret = tce_lock_killable(&stt->lock);
	if (ret)
		return kvmppc_tce_answer(ret);
	ret = kvmppc_tce_unmap(stt, ioba, nr);
	if (!ret)
		kvmppc_tce_store(&iter, index, nr, tces);
	tce_unlock(&stt->lock);

	return kvmppc_tce_answer(ret);
}

static long kvmppc_put_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
			   unsigned long ioba, u64 tce)
{
	struct kvmppc_spapr_tce_table *stt = kvmppc_tce_find(vcpu->kvm, liobn);
	unsigned long ua;
	long ret;

	if (!stt)
		return H_TOO_HARD;

	ret = kvmppc_tce_check_page(stt, ioba);
	if (ret)
		return ret;
	ret = kvmppc_tce_to_ua(stt, kvm_memslots(vcpu->kvm), tce, &ua);
	if (ret)
		return ret;
	if (!ua)
		return kvmppc_tce_stuff(stt, ioba, tce, 1);

	return kvmppc_tce_put(stt, ioba, &tce, &ua, 1);
}

static struct kvmppc_tce_vcpu *kvmppc_tce_vcpu(struct kvm_vcpu *vcpu)
{
	if (!vcpu->arch.tce)
		vcpu->arch.tce = kzalloc(sizeof(*vcpu->arch.tce),
					 GFP_KERNEL_ACCOUNT);

	return vcpu->arch.tce;
}

/* Read the guest's list. Once only: the guest may change it at any moment */
static long kvmppc_tce_read_list(struct kvm_vcpu *vcpu, unsigned long tce_list,
				 unsigned long nr, u64 *tces)
{
	gfn_t gfn = tce_list >> PAGE_SHIFT;
	struct kvm_memory_slot *slot;
	unsigned long hva, i;

	slot = __gfn_to_memslot(kvm_memslots(vcpu->kvm), gfn);
	if (!slot)
		return H_PARAMETER;
	/* User space is moving or removing the slot, so let it answer */
	if (slot->flags & KVM_MEMSLOT_INVALID)
		return H_TOO_HARD;

	hva = __gfn_to_hva_memslot(slot, gfn);
	if (copy_from_user(tces, (void __user *)(hva + offset_in_page(tce_list)),
			   nr * sizeof(*tces)))
		return H_TOO_HARD;

	for (i = 0; i < nr; i++)
		tces[i] = be64_to_cpu((__force __be64)tces[i]);

	return H_SUCCESS;
}

static long kvmppc_put_tce_indirect(struct kvm_vcpu *vcpu, unsigned long liobn,
				    unsigned long ioba, unsigned long tce_list,
				    unsigned long npages)
{
	struct kvmppc_spapr_tce_table *stt = kvmppc_tce_find(vcpu->kvm, liobn);
	struct kvmppc_tce_vcpu *tce;
	long ret;

	ret = kvmppc_tce_check_list(stt, ioba, tce_list, npages);
	if (ret || !npages)
		return ret;

	tce = kvmppc_tce_vcpu(vcpu);
	if (!tce)
		return H_NOT_ENOUGH_RESOURCES;

	ret = kvmppc_tce_read_list(vcpu, tce_list, npages, tce->tces);
	if (ret)
		return ret;
	ret = kvmppc_tce_to_uas(stt, kvm_memslots(vcpu->kvm), tce->tces, npages,
				tce->uas);
	if (ret)
		return ret;
	if (!memchr_inv(tce->uas, 0, npages * sizeof(*tce->uas)))
		return kvmppc_tce_stuff_list(stt, ioba, tce->tces, npages);

	return kvmppc_tce_put(stt, ioba, tce->tces, tce->uas, npages);
}

static long kvmppc_stuff_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
			     unsigned long ioba, u64 tce_value,
			     unsigned long npages)
{
	struct kvmppc_spapr_tce_table *stt = kvmppc_tce_find(vcpu->kvm, liobn);
	long ret;

	ret = kvmppc_tce_check_stuff(stt, ioba, tce_value, npages);
	if (ret || !npages)
		return ret;

	return kvmppc_tce_stuff(stt, ioba, tce_value, npages);
}

/**
 * kvmppc_tce_trace_calls() - trace the hypercalls that real mode has answered
 * @vcpu: the VCPU, which has left the guest; there are such hypercalls
 *
 * Context: process; the VCPU's thread.
 */
void kvmppc_tce_trace_calls(struct kvm_vcpu *vcpu)
{
	struct kvmppc_tce_call *call = vcpu->arch.tce->calls;
	struct kvmppc_tce_call *end = call + vcpu->arch.nr_tce_calls;

	for (; call < end; call++)
		trace_kvm_tce_hcall(call->hcall, call->liobn, call->ioba,
				    call->npages, call->ret, true);
	vcpu->arch.nr_tce_calls = 0;
}
EXPORT_SYMBOL_GPL(kvmppc_tce_trace_calls);

/*
 * Trace a hypercall. Allocates where real mode records the next ones. Inlined: without a
 * trace nothing is stored in @call.
 */
static __always_inline void kvmppc_tce_trace(struct kvm_vcpu *vcpu,
					     const struct kvmppc_tce_call *call)
{
	if (!trace_kvm_tce_hcall_enabled())
		return;
	kvmppc_tce_vcpu(vcpu);
	trace_kvm_tce_hcall(call->hcall, call->liobn, call->ioba, call->npages,
			    call->ret, false);
}

/**
 * kvmppc_h_put_tce() - H_PUT_TCE
 * @vcpu: the VCPU
 * @liobn: which table
 * @ioba: PCI address of a page in its window
 * @tce: guest real address of the page to map there, and permissions; without
 *	 permissions it unmaps
 *
 * Context: process, may sleep; the VCPU's thread.
 *
 * Return: the answer for the guest; or H_TOO_HARD: let user space answer.
 */
long kvmppc_h_put_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
		      unsigned long ioba, unsigned long tce)
{
	int idx = srcu_read_lock(&vcpu->kvm->srcu);
	long ret = kvmppc_tce_try_put(vcpu, liobn, ioba, tce);

	if (ret == H_TOO_HARD)
		ret = kvmppc_put_tce(vcpu, liobn, ioba, tce);

	srcu_read_unlock(&vcpu->kvm->srcu, idx);
	kvmppc_tce_trace(vcpu, &(struct kvmppc_tce_call){
		.hcall = H_PUT_TCE,
		.liobn = liobn,
		.ioba = ioba,
		.npages = 1,
		.ret = ret,
	});

	return ret;
}
EXPORT_SYMBOL_GPL(kvmppc_h_put_tce);

/**
 * kvmppc_h_put_tce_indirect() - H_PUT_TCE_INDIRECT
 * @vcpu: the VCPU
 * @liobn: which table
 * @ioba: PCI address of the first page
 * @tce_list: guest real address of TCEs as for H_PUT_TCE, aligned to 4K
 * @npages: how many, 512 at most
 *
 * Context: process, may sleep; the VCPU's thread.
 *
 * Return: as kvmppc_h_put_tce().
 */
long kvmppc_h_put_tce_indirect(struct kvm_vcpu *vcpu, unsigned long liobn,
			       unsigned long ioba, unsigned long tce_list,
			       unsigned long npages)
{
	int idx = srcu_read_lock(&vcpu->kvm->srcu);
	long ret = kvmppc_tce_try_put_indirect(vcpu, liobn, ioba, tce_list,
					       npages);

	if (ret == H_TOO_HARD)
		ret = kvmppc_put_tce_indirect(vcpu, liobn, ioba, tce_list,
					      npages);

	srcu_read_unlock(&vcpu->kvm->srcu, idx);
	kvmppc_tce_trace(vcpu, &(struct kvmppc_tce_call){
		.hcall = H_PUT_TCE_INDIRECT,
		.liobn = liobn,
		.ioba = ioba,
		.npages = npages,
		.ret = ret,
	});

	return ret;
}
EXPORT_SYMBOL_GPL(kvmppc_h_put_tce_indirect);

/**
 * kvmppc_h_stuff_tce() - H_STUFF_TCE
 * @vcpu: the VCPU
 * @liobn: which table
 * @ioba: PCI address of the first page
 * @tce_value: what H_GET_TCE returns for these pages afterwards; without permissions
 * @npages: how many pages to unmap
 *
 * Context: process, may sleep; the VCPU's thread.
 *
 * Return: as kvmppc_h_put_tce().
 */
long kvmppc_h_stuff_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
			unsigned long ioba, unsigned long tce_value,
			unsigned long npages)
{
	long ret = kvmppc_tce_try_stuff(vcpu, liobn, ioba, tce_value, npages);
	int idx;

	if (ret == H_TOO_HARD) {
		idx = srcu_read_lock(&vcpu->kvm->srcu);
		ret = kvmppc_stuff_tce(vcpu, liobn, ioba, tce_value, npages);
		srcu_read_unlock(&vcpu->kvm->srcu, idx);
	}
	kvmppc_tce_trace(vcpu, &(struct kvmppc_tce_call){
		.hcall = H_STUFF_TCE,
		.liobn = liobn,
		.ioba = ioba,
		.npages = npages,
		.ret = ret,
	});

	return ret;
}
EXPORT_SYMBOL_GPL(kvmppc_h_stuff_tce);

/* A traced one: an untraced hypercall need not keep its arguments */
static noinline long kvmppc_tce_get_traced(struct kvm_vcpu *vcpu,
					   unsigned long liobn,
					   unsigned long ioba)
{
	long ret;

	rcu_read_lock();
	ret = kvmppc_get_tce(vcpu, liobn, ioba);
	rcu_read_unlock();
	kvmppc_tce_trace(vcpu, &(struct kvmppc_tce_call){
		.hcall = H_GET_TCE,
		.liobn = liobn,
		.ioba = ioba,
		.npages = 1,
		.ret = ret,
	});

	return ret;
}

/**
 * kvmppc_h_get_tce() - H_GET_TCE
 * @vcpu: the VCPU; gets the TCE in its register 4
 * @liobn: which table
 * @ioba: PCI address of a page in its window
 *
 * Context: process, may sleep; the VCPU's thread.
 *
 * Return: as kvmppc_h_put_tce().
 */
long kvmppc_h_get_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
		      unsigned long ioba)
{
	if (trace_kvm_tce_hcall_enabled())
		return kvmppc_tce_get_traced(vcpu, liobn, ioba);
	guard(rcu)();

	return kvmppc_get_tce(vcpu, liobn, ioba);
}
EXPORT_SYMBOL_GPL(kvmppc_h_get_tce);
