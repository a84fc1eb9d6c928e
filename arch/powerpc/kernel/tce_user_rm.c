// SPDX-License-Identifier: GPL-2.0-only
/*
 * User tables in real mode: interrupts are off and stay off, so nothing here
 * may take long; nothing sleeps, allocates or looks beyond the linear mapping.
 * The caller has tried for the lock, and got it.
 */
#include <linux/export.h>
#include <linux/rcupdate.h>

#include "tce_user.h"

/**
 * user_table_trylock_rm() - try for the lock of a table
 * @tbl: a user table
 *
 * Context: real mode.
 *
 * Return: true if the caller has it, until user_table_unlock_rm().
 */
bool user_table_trylock_rm(struct iommu_table *tbl)
{
	return tce_trylock_rm(&tbl->it_user->lock);
}

/**
 * user_table_unlock_rm() - give the lock of a table back
 * @tbl: a user table
 *
 * Context: real mode.
 */
void user_table_unlock_rm(struct iommu_table *tbl)
{
	tce_unlock_rm(&tbl->it_user->lock);
}

static bool user_table_kill_rm(struct iommu_table *tbl, unsigned long entry,
			       unsigned long npages)
{
	return tbl->it_ops->tce_kill_rm &&
		tbl->it_ops->tce_kill_rm(tbl, entry, npages);
}

/* Is nothing mapped by these TCEs of a leaf? */
static bool leaf_is_empty_rm(struct tce_tree *tree, __be64 *leaf,
			     unsigned long nr)
{
	__be64 *end = leaf + nr;

	for (; leaf < end; leaf++)
		if (READ_ONCE(*leaf) || READ_ONCE(*tce_tree_shadow(tree, leaf)))
			return false;

	return true;
}

/**
 * user_table_can_store_rm() - can real mode map here?
 * @tbl: a user table
 * @entry: first TCE, counted from PCI address 0; all TCEs are inside @tbl
 * @npages: how many IOMMU pages
 *
 * It can where levels are there and nothing is mapped: it has no way to drop a
 * last reference, and no time to undo what it began.
 * Context: real mode, with the lock.
 *
 * Return: true if user_table_store_batch_rm() may follow.
 */
bool user_table_can_store_rm(struct iommu_table *tbl, unsigned long entry,
			     unsigned long npages)
{
	unsigned long next = entry - tbl->it_offset, end = next + npages;
	struct tce_iter iter = { .tree = &tbl->it_tree };

	if (tbl->it_user->revoked || !user_table_in_memory(tbl) ||
	    !user_table_kill_rm(tbl, entry, 0))
		return false;

	for_each_tce_leaf(&iter, next, npages) {
		if (iter.index != next ||
		    !leaf_is_empty_rm(&tbl->it_tree, iter.entry, iter.nr))
			return false;
		next += iter.nr;
	}

	return next == end;
}

/**
 * user_table_store_batch_rm() - map a batch where nothing is mapped
 * @tbl: a table of which user_table_can_store_rm() said true
 * @entry: first TCE, counted from PCI address 0
 * @batch: what to map; the caller has a reference for each IOMMU page
 *
 * Context: real mode, with the lock.
 */
void user_table_store_batch_rm(struct iommu_table *tbl, unsigned long entry,
			       const struct tce_batch *batch)
{
	unsigned long npages = batch->nr << (batch->page_shift - tbl->it_page_shift);
	struct tce_iter iter = { .tree = &tbl->it_tree };
	struct tce_batch granted = *batch;
	__be64 *shadow, *end;
	unsigned long page = 0;

	granted.write_reads = user_table_write_reads(tbl);
	for_each_tce_leaf(&iter, entry - tbl->it_offset, npages) {
		mm_iommu_translate_batch(&granted, tbl->it_page_shift, page,
					 iter.nr, iter.entry);
		shadow = tce_tree_shadow(&tbl->it_tree, iter.entry);
		for (end = shadow + iter.nr; shadow < end; shadow++)
			tce_store(shadow,
				  tce_batch_shadow(tbl, &granted, page++));
	}
	user_table_kill_rm(tbl, entry, npages);
}

/* Clear shadows that refer to memory within @bounds */
static void shadow_clear_bounds(const struct mm_iommu_bounds *bounds,
				__be64 *shadow, __be64 *end)
{
	for (; shadow < end; shadow++)
		if (READ_ONCE(*shadow) &&
		    tce_load(shadow) - bounds->start < bounds->size)
			WRITE_ONCE(*shadow, 0);
}

/*
 * Drop what shadows of a leaf refer to, from @shadow on as far as that is one
 * region. Returns where that ended. What could not be dropped stays in the
 * shadow.
 */
static __be64 *shadow_drop_region_rm(struct iommu_table *tbl, __be64 *shadow,
				     __be64 *end, bool *all)
{
	struct mm_iommu_bounds bounds = { };
	unsigned long old, nr = 0;
	__be64 *first = shadow;

	for (; shadow < end; shadow++) {
		old = tce_load(shadow);
		if (!old)
			continue;
		if (!nr && !mm_iommu_find_bounds(tbl->it_user->mm, NULL,
						 old & ~TCE_SHADOW_FLAGS,
						 &bounds)) {
			*all = false;
			return end;
		}
		if (old - bounds.start >= bounds.size)
			break;
		nr++;
	}
	if (nr && mm_iommu_try_unref(bounds.mem, nr))
		shadow_clear_bounds(&bounds, first, shadow);
	else if (nr)
		*all = false;

	return shadow;
}

static bool shadow_drop_leaf_rm(struct iommu_table *tbl, __be64 *shadow,
				unsigned long nr)
{
	__be64 *end = shadow + nr;
	bool all = true;

	while (shadow < end)
		shadow = shadow_drop_region_rm(tbl, shadow, end, &all);

	return all;
}

/* Clear TCEs of a leaf; false if one of them has a pin */
static bool user_table_clear_leaf_rm(struct iommu_table *tbl, __be64 *leaf,
				     unsigned long nr)
{
	__be64 *end = leaf + nr, *entry;

	for (entry = leaf; entry < end; entry++)
		if (tce_load(tce_tree_shadow(&tbl->it_tree, entry)) &
		    TCE_SHADOW_PIN)
			return false;
	for (entry = leaf; entry < end; entry++)
		WRITE_ONCE(*entry, 0);

	return true;
}

/**
 * user_table_unmap_rm() - unmap a range
 * @tbl: a user table
 * @entry: first TCE, counted from PCI address 0; all TCEs are inside @tbl
 * @npages: how many IOMMU pages
 *
 * Context: real mode, with the lock.
 *
 * Return: true; or false when something is left to user_table_unmap(), for
 * which the shadow keeps what it has to know.
 */
bool user_table_unmap_rm(struct iommu_table *tbl, unsigned long entry,
			 unsigned long npages)
{
	struct tce_iter iter = { .tree = &tbl->it_tree };
	unsigned long index = entry - tbl->it_offset;
	bool any = false, all = true;

	if (!user_table_in_memory(tbl) || !user_table_kill_rm(tbl, entry, 0))
		return false;

	for_each_tce_leaf(&iter, index, npages) {
		any = true;
		if (!user_table_clear_leaf_rm(tbl, iter.entry, iter.nr))
			return false;
	}
	if (!any)
		return true;
	user_table_kill_rm(tbl, entry, npages);

	for_each_tce_leaf(&iter, index, npages)
		all &= shadow_drop_leaf_rm(tbl, tce_tree_shadow(&tbl->it_tree,
								iter.entry),
					   iter.nr);

	return all;
}
