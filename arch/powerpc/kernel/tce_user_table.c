// SPDX-License-Identifier: GPL-2.0-only
/*
 * User tables: TCE tables that a process owns.
 *
 * Ownership: TCEs own references to registered regions (or, for memory that was
 * not registered, pins of single pages); the shadow of a TCE records which (R1).
 * The table owns its levels and their charge. All of it belongs to one mm, and is
 * released at the latest when the last reference of the table is dropped.
 *
 * Storage: where the hardware walks TCEs in memory, iommu_table::it_tree has the
 * TCEs, and their shadows behind each leaf: one walk finds both, one reservation
 * makes both. Where the hypervisor has the TCEs the tree has shadows only.
 *
 * A map request first takes all that it needs: references, then levels (R8). Then
 * it commits (user_table_commit()), which cannot fail. Only a hypervisor may refuse
 * a TCE in the middle of a commit; the old TCEs are restored from the shadow then
 * (R12).
 *
 * Locking: TCEs and shadows change under the lock of the table (R11), the only
 * one that the container and KVM share. Ranges and batches take references and
 * make levels without it, so a hypercall prepares all tables, then commits them
 * one by one (R15); meanwhile a hold keeps the levels (R6). A single page whose
 * leaf is there takes its reference under the lock, with interrupts off, and so
 * do hypercalls in tce_user_rm.c; all others may sleep.
 *
 * R1, R2, ... are the invariants in Documentation/arch/powerpc/tce.rst.
 */
#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "tce_user.h"

DEFINE_MUTEX(user_tables_mutex);	/* user_tables, user_table::debug_refs */
LIST_HEAD(user_tables);
static unsigned long user_table_last_id;

static int user_table_init_tree(struct iommu_table *tbl,
				struct user_table *user,
				const struct user_table_config *config)
{
	struct tce_tree_config tree = {
		.entries = tbl->it_size,
		.levels = config->levels,
		.max_levels = config->max_levels,
		.page_shift = tbl->it_page_shift,
		.nid = tbl->it_nid,
		.shadow = config->in_memory,
	};
	int ret;

	tce_account_init(&user->account, config->mm);
	user->account.nowait = true;
	ret = tce_tree_init(&tbl->it_tree, &tree, &user->account);
	if (ret || config->in_memory)
		return ret;

	/* A power of two, so it is aligned to its size */
	user->tces = kmalloc_array(TCE_BATCH_MAX, sizeof(__be64),
				   GFP_KERNEL_ACCOUNT);
	if (!user->tces) {
		tce_tree_destroy(&tbl->it_tree);
		return -ENOMEM;
	}

	return 0;
}

/**
 * user_table_init() - make a table a user table
 * @tbl: a new table; its size, offset, page size and node are set
 * @config: its owner, and the properties of its tree
 *
 * Context: process, may sleep.
 *
 * Return: 0; -ENOMEM; -EAGAIN as tce_charge_nowait(); else as tce_tree_init().
 */
int user_table_init(struct iommu_table *tbl,
		    const struct user_table_config *config)
{
	struct user_table *user;
	int ret;

	user = kzalloc(sizeof(*user), GFP_KERNEL_ACCOUNT);
	if (!user)
		return -ENOMEM;

	ret = user_table_init_tree(tbl, user, config);
	if (ret) {
		kfree(user);
		return ret;
	}

	mmgrab(config->mm);
	tce_lock_init(&user->lock);
	mutex_init(&user->trimming);
	user->mm = config->mm;
	user->tbl = tbl;
	user->place.tree = &tbl->it_tree;
	tbl->it_user = user;
	INIT_LIST_HEAD(&user->debug_refs);
	mutex_lock(&user_tables_mutex);
	user->id = ++user_table_last_id;
	list_add_tail(&user->node, &user_tables);
	mutex_unlock(&user_tables_mutex);
	tce_debugfs_add_table(user);

	return 0;
}

/**
 * user_table_destroy() - release all that a user table has
 * @tbl: a table without references, windows and users
 *
 * Drops what the TCEs refer to, and frees and uncharges the levels. The caller
 * frees @tbl itself. All is released on return (R14).
 *
 * Context: process, may sleep. Does not wait for another process.
 */
void user_table_destroy(struct iommu_table *tbl)
{
	struct user_table *user = tbl->it_user;
	struct tce_iter iter = { .tree = &tbl->it_tree };

	might_sleep();

	/* Waits for readers, which use what is freed next */
	tce_debugfs_remove_table(user);

	/* No window leads to the table any more (R9): TCEs need not be cleared */
	if (!user->emptied)
		user_table_drop_refs(tbl, &iter, 0, tbl->it_size, NULL);

	mutex_lock(&user_tables_mutex);
	list_del(&user->node);
	mutex_unlock(&user_tables_mutex);

	tce_tree_destroy(&tbl->it_tree);
	tbl->it_user = NULL;
	mmdrop(user->mm);
	kfree(user->tces);
	kfree(user);
}

/**
 * user_table_get_stat() - get geometry and cost of a table
 * @tbl: a user table
 * @stat: set to them
 *
 * Context: any. The caller must have a reference of @tbl.
 */
void user_table_get_stat(struct iommu_table *tbl, struct user_table_stat *stat)
{
	stat->id = tbl->it_user->id;
	stat->levels = tbl->it_tree.levels;
	stat->level_shift = tbl->it_tree.level_shift;
	stat->bytes = atomic_long_read(&tbl->it_tree.bytes);
	stat->charged_pages = tce_account_pages(&tbl->it_user->account);
}
EXPORT_SYMBOL_GPL(user_table_get_stat);

/**
 * user_table_perm() - get the permissions of TCEs
 * @tbl: a user table
 * @direction: what the device may do
 *
 * Context: any.
 *
 * Return: permission bits of a TCE of @tbl.
 */
unsigned long user_table_perm(const struct iommu_table *tbl,
			      enum dma_data_direction direction)
{
	if (likely(direction == DMA_BIDIRECTIONAL))
		return TCE_PCI_READ | TCE_PCI_WRITE;
	if (direction == DMA_TO_DEVICE)
		return TCE_PCI_READ;
	if (direction == DMA_NONE)
		return 0;

	return user_table_write_reads(tbl) ? TCE_PCI_READ | TCE_PCI_WRITE :
					     TCE_PCI_WRITE;
}
EXPORT_SYMBOL_GPL(user_table_perm);

/**
 * user_table_trace_kill() - trace a kill
 * @tbl: a user table
 * @entry: first TCE, counted from PCI address 0
 * @npages: how many
 *
 * Out of line, since trace points are large.
 *
 * Context: any in virtual mode, does not sleep.
 */
noinline void user_table_trace_kill(struct iommu_table *tbl,
				    unsigned long entry, unsigned long npages)
{
	trace_tce_kill(tbl, entry, npages, 0);
}

/**
 * shadow_refs_next() - start to collect references of the region of a shadow
 * @tbl: a user table
 * @hint: a region that the caller has registered, probably that of @shadow; or NULL
 * @refs: references collected so far; they are dropped
 * @shadow: the shadow
 *
 * Context: does not sleep. The caller must be in an RCU section.
 */
noinline void shadow_refs_next(struct iommu_table *tbl,
			       struct mm_iommu_table_group_mem_t *hint,
			       struct shadow_refs *refs, unsigned long shadow)
{
	RCU_LOCKDEP_WARN(!rcu_read_lock_held(), "references of a region without RCU");
	shadow_refs_drop(refs);
	WARN_ON_ONCE(!mm_iommu_find_bounds(tbl->it_user->mm, hint,
					   shadow & ~TCE_SHADOW_FLAGS,
					   &refs->bounds));
}

static noinline void shadow_put_pin(unsigned long shadow)
{
	struct page *page = pfn_to_page(shadow >> PAGE_SHIFT);

	unpin_user_pages_dirty_lock(&page, 1, shadow & TCE_SHADOW_WRITE);
}

/**
 * shadow_unpin() - drop the pin of a TCE
 * @refs: references collected so far; they are dropped
 * @shadow: shadow of the TCE
 *
 * Context: process, may sleep. The caller must be in an RCU section, which is left
 * and entered again.
 */
noinline void shadow_unpin(struct shadow_refs *refs, unsigned long shadow)
{
	RCU_LOCKDEP_WARN(!rcu_read_lock_held(), "references of a region without RCU");
	shadow_refs_drop(refs);
	rcu_read_unlock();
	shadow_put_pin(shadow);
	rcu_read_lock();
}

/*
 * A single page, the request that guests and drivers make most often. It does not
 * sleep, so it spins for the lock with interrupts off, as real mode does: no mutex,
 * no iterator, and nothing that is kept from step to step. Where that is not possible
 * nothing has changed, and it is done again by who may sleep: to make levels, to drop a
 * pin, and to wait for an owner of the lock that may sleep.
 */

static __always_inline bool user_table_is_one(struct iommu_table *tbl,
					      unsigned long npages)
{
	return npages == 1 && likely(user_table_in_memory(tbl));
}

/* Clear or replace a shadow, and drop what it referred to. The TCE must be killed (R1) */
static __always_inline void
shadow_replace(struct iommu_table *tbl, __be64 *shadow, unsigned long old,
	       unsigned long new, struct mm_iommu_table_group_mem_t *hint)
{
	tce_store(shadow, new);
	if (old)
		WARN_ON_ONCE(!mm_iommu_unref_page(tbl->it_user->mm, hint,
						  old & ~TCE_SHADOW_FLAGS));
}

static noinline long
user_table_map_range(struct iommu_table *tbl, unsigned long entry,
		     const struct mm_iommu_range *range, unsigned long perm,
		     unsigned long *made)
{
	struct tce_source src = {
		.range = range,
		.perm = perm,
	};
	struct tce_iter iter = { .tree = &tbl->it_tree };
	unsigned long index = entry - tbl->it_offset;
	long ret;

	ret = mm_iommu_ref_range(range, src.perm & TCE_PCI_WRITE);
	if (ret)
		return ret;

	ret = user_table_lock_range(tbl, &iter, index, range->npages);
	if (ret)
		goto unref;
	if (unlikely(made))
		*made = iter.made;

	ret = user_table_commit(tbl, &iter, index, range->npages, &src);
	if (!ret)
		user_table_check(tbl, index, range->npages);
	user_table_unlock_range(tbl, &iter);
	if (likely(!ret))
		return 0;
	/* Keep the references of TCEs that could not be cleared (R13) */
	if (ret == -EUCLEAN)
		return -EIO;
unref:
	mm_iommu_unref_range(range);

	return ret;
}

/*
 * Store @new, which has a reference, and drop what was mapped before. That is no pin:
 * those are of tables of version 1, whose pages are mapped by user_table_map_pinned()
 * only. The caller must hold the lock.
 */
static __always_inline void
user_table_set_tce(struct iommu_table *tbl, unsigned long entry,
		   const struct mm_iommu_range *range, __be64 *tce,
		   unsigned long new)
{
	unsigned long perm = new & (TCE_PCI_READ | TCE_PCI_WRITE);
	__be64 *shadow = tce_tree_shadow(&tbl->it_tree, tce);
	unsigned long old = tce_load(shadow);

	tce_lock_assert_owned(&tbl->it_user->lock);
	tce_store(tce, new);
	user_table_kill(tbl, entry, 1);
	shadow_replace(tbl, shadow, old,
		       tce_shadow_make(range->ua | perm, TCE_SHADOW_UA),
		       range->hint);
}

/*
 * Map a page that could not be mapped without sleeping: its leaf is mostly missing. The
 * reference first: if it cannot be had, no level must have been made (R8).
 */
static noinline long user_table_map_slowly(struct iommu_table *tbl,
					   unsigned long entry,
					   const struct mm_iommu_range *range,
					   unsigned long perm)
{
	struct tce_iter iter = { .tree = &tbl->it_tree };
	unsigned long index = entry - tbl->it_offset, new;
	long ret;

	ret = mm_iommu_ref_page(range, perm, &new);
	if (ret)
		return ret;
	ret = user_table_lock_range(tbl, &iter, index, 1);
	if (ret) {
		mm_iommu_unref_range(range);
		return ret;
	}
	user_table_set_tce(tbl, entry, range, user_table_tce(tbl, index), new);
	user_table_check(tbl, index, 1);
	user_table_unlock_range(tbl, &iter);

	return 0;
}

static noinline long user_table_map_one(struct iommu_table *tbl,
					unsigned long entry,
					const struct mm_iommu_range *range,
					unsigned long perm)
{
	unsigned long flags, new;
	__be64 *tce;
	long ret;

	if (unlikely(!user_table_lock_irq(tbl, &flags)))
		goto slowly;
	tce = user_table_tce(tbl, entry - tbl->it_offset);
	if (unlikely(!tce))
		goto unlock;
	ret = mm_iommu_ref_page(range, perm, &new);
	if (likely(!ret))
		user_table_set_tce(tbl, entry, range, tce, new);
	user_table_unlock_irq(tbl, flags);
	user_table_check_one(tbl, entry);

	return ret;

unlock:
	user_table_unlock_irq(tbl, flags);
slowly:
	return user_table_map_slowly(tbl, entry, range, perm);
}

/* A traced request is a range, so that others need not count levels for the event */
static noinline long user_table_trace_map(struct iommu_table *tbl,
					  unsigned long entry,
					  const struct mm_iommu_range *range,
					  unsigned long perm)
{
	unsigned long made = 0;
	long ret = user_table_map_range(tbl, entry, range, perm, &made);

	trace_tce_map(tbl, entry, range->npages, range->ua, made, ret);

	return ret;
}

/**
 * user_table_map() - map registered memory
 * @tbl: a user table
 * @entry: first TCE, counted from PCI address 0; all TCEs are inside @tbl
 * @range: what to map: memory of the table's mm, in IOMMU pages of the table
 * @direction: what the device may do
 *
 * Replaces what was mapped there.
 *
 * Context: process, may sleep. Takes the table's lock.
 *
 * Return: 0; -EINVAL when some of the memory is not registered; -EPERM when an
 * IOMMU page is larger than what backs it; -ENOMEM when a level could not be
 * allocated or charged, or the hypervisor has no memory for the TCEs; -EINTR
 * when levels are missing and the current process is being killed; -EAGAIN when a level
 * could not be charged at once: see struct tce_credit; -EIO when the hypervisor refused
 * a TCE for another reason. After an error nothing has changed;
 * but after -EIO some of what was mapped may be unmapped, if the hypervisor refused
 * to restore it.
 */
long user_table_map(struct iommu_table *tbl, unsigned long entry,
		    const struct mm_iommu_range *range,
		    enum dma_data_direction direction)
{
	unsigned long perm = user_table_perm(tbl, direction);

	if (trace_tce_map_enabled())
		return user_table_trace_map(tbl, entry, range, perm);
	if (user_table_is_one(tbl, range->npages))
		return user_table_map_one(tbl, entry, range, perm);

	return user_table_map_range(tbl, entry, range, perm, NULL);
}
EXPORT_SYMBOL_GPL(user_table_map);

/**
 * user_table_map_pinned() - map pages that were pinned for this
 * @tbl: a user table
 * @entry: first TCE, counted from PCI address 0; all TCEs are inside @tbl
 * @npages: how many IOMMU pages
 * @tces: the TCEs; each has one pin (pin_user_pages()) of its page, which
 *	  @tbl takes over
 *
 * Replaces what was mapped there.
 *
 * Context: process, may sleep. Takes the table's lock.
 *
 * Return: 0; -ENOMEM, -EINTR, -EAGAIN or -EIO as user_table_map(): the caller must drop
 * the pins; -EUCLEAN when the hypervisor could neither store nor clear the TCEs: the
 * caller must never drop the pins (R13).
 */
long user_table_map_pinned(struct iommu_table *tbl, unsigned long entry,
			   unsigned long npages, const __be64 *tces)
{
	struct tce_iter iter = { .tree = &tbl->it_tree };
	unsigned long index = entry - tbl->it_offset;
	struct tce_source src = { .tces = tces };
	long ret;

	ret = user_table_lock_range(tbl, &iter, index, npages);
	if (!ret) {
		tbl->it_user->pinned = true;
		ret = user_table_commit(tbl, &iter, index, npages, &src);
		if (!ret)
			user_table_check(tbl, index, npages);
		user_table_unlock_range(tbl, &iter);
	}
	trace_tce_map(tbl, entry, npages, 0, iter.made,
		      ret == -EUCLEAN ? -EIO : ret);

	return ret;
}
EXPORT_SYMBOL_GPL(user_table_map_pinned);

/* Clear the TCEs of present leaves. Returns true if there were any */
static bool user_table_clear(struct tce_iter *iter, unsigned long index,
			     unsigned long npages)
{
	__be64 *tce, *end;
	bool any = false;

	for_each_tce_leaf(iter, index, npages) {
		tce = iter->entry;
		for (end = tce + iter->nr; tce < end; tce++)
			WRITE_ONCE(*tce, 0);
		any = true;
		if (tce_iter_more(iter))
			cond_resched();
	}

	return any;
}

/*
 * Sparse ranges, such as all of a large window: the table has fewer leaves than the
 * range could have, so visit the leaves by their records instead of searching the
 * range. What a leaf has in use is found in its shadows: all that is mapped has one.
 *
 * To unmap a whole window frees its levels at once, and so does to unmap a range with
 * room for more leaves than there are. For others see tce_user_levels.c.
 */

/* As many leaves as the range has room for */
static unsigned long user_table_room(struct iommu_table *tbl,
				     unsigned long npages)
{
	if (npages == tbl->it_size)
		return ULONG_MAX;

	return npages >> tce_tree_level_bits(&tbl->it_tree);
}

static bool user_table_sparse(struct iommu_table *tbl, unsigned long npages)
{
	const struct tce_tree *tree = &tbl->it_tree;
	unsigned long room = user_table_room(tbl, npages);

	return unlikely(room) && tree->levels > 1 &&
		atomic_long_read(&tree->leaves) <= room;
}

static bool user_table_gives_back(struct iommu_table *tbl, unsigned long npages)
{
	return atomic_long_read(&tbl->it_tree.leaves) <
		user_table_room(tbl, npages);
}

/* Find the first and last TCE in use of [@first, @end) of a leaf */
static void user_table_find_used(struct iommu_table *tbl,
				 struct tce_record *leaf, unsigned long first,
				 unsigned long end)
{
	const __be64 *shadow = tce_tree_shadow(&tbl->it_tree, leaf->entries);

	while (first + TCE_SLOTS <= end && tce_slots_empty(shadow + first))
		first += TCE_SLOTS;
	while (first < end && !READ_ONCE(shadow[first]))
		first++;
	while (first + TCE_SLOTS <= end &&
	       tce_slots_empty(shadow + end - TCE_SLOTS))
		end -= TCE_SLOTS;
	while (first < end && !READ_ONCE(shadow[end - 1]))
		end--;
	leaf->first = first;
	leaf->nr = end - first;
}

/* Clear the TCEs of the range that are in the leaf. Returns true if any was in use */
static bool user_table_clear_leaf(struct iommu_table *tbl,
				  struct tce_record *leaf, unsigned long index,
				  unsigned long npages)
{
	unsigned long start = leaf->start, end = index + npages;
	__be64 *tce, *stop;

	end = min(end, start + (1UL << tce_tree_level_bits(&tbl->it_tree)));
	index = max(index, start);
	leaf->nr = 0;
	if (leaf->kind != TCE_LEAF || index >= end)
		return false;

	user_table_find_used(tbl, leaf, index - start, end - start);
	tce = leaf->entries + leaf->first;
	for (stop = tce + leaf->nr; tce < stop; tce++)
		WRITE_ONCE(*tce, 0);

	return leaf->nr;
}

/* Drop what the cleared TCEs of @leaf and of those behind it referred to */
static void user_table_drop_leaves(struct iommu_table *tbl,
				   struct tce_record *leaf,
				   struct mm_iommu_table_group_mem_t *hint)
{
	__be64 *shadow;

	for (; leaf; leaf = tce_record_next(leaf)) {
		shadow = tce_tree_shadow(&tbl->it_tree, leaf->entries);
		if (leaf->nr)
			shadow_drop(tbl, shadow + leaf->first, leaf->nr, hint);
		cond_resched();
	}
}

/* Levels are taken out before the kill, which is then for both; see tce_trim.c */
static noinline void
user_table_unmap_sparse(struct iommu_table *tbl, unsigned long index,
			unsigned long npages,
			struct mm_iommu_table_group_mem_t *hint,
			struct tce_spares *taken)
{
	struct tce_tree *tree = &tbl->it_tree;
	struct tce_record *leaf;
	bool any = false;

	for (leaf = tce_tree_records(tree); leaf; leaf = tce_record_next(leaf)) {
		any |= user_table_clear_leaf(tbl, leaf, index, npages);
		cond_resched();
	}
	if (taken)
		user_table_take_levels(tbl, index, npages, false, taken);
	if (!any && !(taken && tce_spares_any(taken)))
		return;

	user_table_kill(tbl, index + tbl->it_offset, npages);
	user_table_drop_leaves(tbl, tce_tree_records(tree), hint);
	if (taken)
		user_table_drop_leaves(tbl, tce_spares_records(taken), hint);
}

/* Levels go to @taken, or stay if that is NULL. The caller must hold the lock */
static noinline int
user_table_unmap_locked(struct iommu_table *tbl, unsigned long entry,
			unsigned long npages,
			struct mm_iommu_table_group_mem_t *hint,
			struct tce_spares *taken)
{
	struct tce_iter iter = { .tree = &tbl->it_tree };
	unsigned long index = entry - tbl->it_offset;
	bool sparse = user_table_sparse(tbl, npages);
	int ret = 0;

	tce_lock_assert_held(&tbl->it_user->lock);
	if (!sparse || !user_table_gives_back(tbl, npages))
		taken = NULL;
	if (unlikely(!user_table_in_memory(tbl))) {
		ret = user_table_unmap_batches(tbl, index, npages, hint);
		if (taken && !ret)
			user_table_take_levels(tbl, index, npages, false,
					       taken);
	} else if (unlikely(sparse)) {
		user_table_unmap_sparse(tbl, index, npages, hint, taken);
	} else if (user_table_clear(&iter, index, npages)) {
		user_table_kill(tbl, entry, npages);
		user_table_drop_refs(tbl, &iter, index, npages, hint);
	}
	if (!taken)
		user_table_covered(tbl, index, npages);
	user_table_check(tbl, index, npages);

	return ret;
}

/*
 * Nothing is to be unmapped in a revoked table, and a hypervisor must not be asked:
 * the LIOBN may be another table's by now.
 */
static noinline int
user_table_unmap_range(struct iommu_table *tbl, unsigned long entry,
		       unsigned long npages,
		       struct mm_iommu_table_group_mem_t *hint)
{
	struct tce_spares taken = { };
	int ret = 0;

	user_table_lock(tbl);
	if (likely(!tbl->it_user->revoked))
		ret = user_table_unmap_locked(tbl, entry, npages, hint, &taken);
	user_table_unlock(tbl);
	/* May sleep, so not with the table's lock */
	tce_spares_return(&tbl->it_tree, &taken);

	return ret;
}

static noinline int user_table_unmap_one(struct iommu_table *tbl,
					 unsigned long entry,
					 struct mm_iommu_table_group_mem_t *hint)
{
	unsigned long flags, old;
	__be64 *tce, *shadow;

	if (unlikely(!user_table_lock_irq(tbl, &flags)))
		goto range;
	tce = user_table_tce(tbl, entry - tbl->it_offset);
	if (unlikely(!tce))
		goto unlock;
	shadow = tce_tree_shadow(&tbl->it_tree, tce);
	old = tce_load(shadow);
	if (unlikely(old & TCE_SHADOW_PIN))
		goto unlock;

	WRITE_ONCE(*tce, 0);
	user_table_kill(tbl, entry, 1);
	shadow_replace(tbl, shadow, old, 0, hint);
	user_table_unlock_irq(tbl, flags);
	user_table_check_one(tbl, entry);

	return 0;

unlock:
	user_table_unlock_irq(tbl, flags);
range:
	return user_table_unmap_range(tbl, entry, 1, hint);
}

/* A wrapper of its own, so that others need not keep the arguments of the event */
static noinline int
user_table_trace_unmap(struct iommu_table *tbl, unsigned long entry,
		       unsigned long npages,
		       struct mm_iommu_table_group_mem_t *hint)
{
	int ret = user_table_unmap_range(tbl, entry, npages, hint);

	trace_tce_unmap(tbl, entry, npages, ret);

	return ret;
}

/**
 * user_table_unmap() - unmap a range
 * @tbl: a user table
 * @entry: first TCE, counted from PCI address 0; all TCEs are inside @tbl
 * @npages: how many IOMMU pages
 * @hint: a region that the caller has registered, probably the one that the
 *	  range maps; or NULL
 *
 * When this returns the device can no longer reach the pages through the range, and
 * what its TCEs referred to has been dropped. The cost depends on what is mapped,
 * not on the size of the range.
 *
 * Levels in which nothing is mapped any more are freed and uncharged when the range is
 * all of the window, or had room for more leaves than there were.
 *
 * Context: process, may sleep. Takes the table's lock.
 *
 * Return: 0; -EIO when the hypervisor refused to clear some of the TCEs: their
 * references are kept until a later unmap, or until the table is destroyed (R13).
 */
int user_table_unmap(struct iommu_table *tbl, unsigned long entry,
		     unsigned long npages,
		     struct mm_iommu_table_group_mem_t *hint)
{
	if (trace_tce_unmap_enabled())
		return user_table_trace_unmap(tbl, entry, npages, hint);

	if (user_table_is_one(tbl, npages))
		return user_table_unmap_one(tbl, entry, hint);

	return user_table_unmap_range(tbl, entry, npages, hint);
}
EXPORT_SYMBOL_GPL(user_table_unmap);

/**
 * user_table_revoke() - unmap all, for good
 * @tbl: a user table that the container is about to drop
 * @hint: as for user_table_unmap()
 *
 * Others may keep references of the table, but change nothing in it any more: batches
 * that they commit are discarded, and what they unmap is unmapped already.
 *
 * Context: process, may sleep. Takes the table's lock.
 */
void user_table_revoke(struct iommu_table *tbl,
		       struct mm_iommu_table_group_mem_t *hint)
{
	int ret;

	user_table_lock(tbl);
	WRITE_ONCE(tbl->it_user->revoked, true);
	/* Levels go with the table: to uncharge them may take time */
	ret = user_table_unmap_locked(tbl, tbl->it_offset, tbl->it_size, hint,
				      NULL);
	tbl->it_user->emptied = !ret;
	user_table_unlock(tbl);

	trace_tce_unmap(tbl, tbl->it_offset, tbl->it_size, ret);
}
EXPORT_SYMBOL_GPL(user_table_revoke);

/**
 * user_table_is_revoked() - test if the container has dropped a table
 * @tbl: a user table
 *
 * Context: any. The caller must have a reference of @tbl.
 *
 * Return: true if the table is revoked.
 */
bool user_table_is_revoked(struct iommu_table *tbl)
{
	return READ_ONCE(tbl->it_user->revoked);
}
EXPORT_SYMBOL_GPL(user_table_is_revoked);

static bool shadow_in_range(unsigned long shadow, unsigned long ua,
			    unsigned long size)
{
	return shadow && !(shadow & TCE_SHADOW_PIN) &&
		(shadow & ~TCE_SHADOW_FLAGS) - ua < size;
}

/**
 * user_table_maps() - test if a table maps any of a range of memory
 * @tbl: a user table
 * @ua: start of a range of user addresses
 * @size: its size in bytes
 *
 * Context: process, may sleep. The caller must prevent maps of its own.
 *
 * Return: true if a TCE of @tbl refers to memory in the range.
 */
bool user_table_maps(struct iommu_table *tbl, unsigned long ua,
		     unsigned long size)
{
	struct tce_iter iter = { .tree = &tbl->it_tree };
	bool maps = false;
	__be64 *shadow, *end;

	/* Without the tce_lock: what KVM maps meanwhile it could as well map later */
	tce_iter_start(&iter, 0, tbl->it_size);
	while (!maps && tce_iter_next_locked(&iter)) {
		shadow = tce_tree_shadow(&tbl->it_tree, iter.entry);
		for (end = shadow + iter.nr; shadow < end && !maps; shadow++)
			maps = shadow_in_range(tce_load(shadow), ua, size);
		tce_iter_unlock(&iter);
	}

	return maps;
}
EXPORT_SYMBOL_GPL(user_table_maps);
