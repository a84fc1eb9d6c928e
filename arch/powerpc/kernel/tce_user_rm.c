// SPDX-License-Identifier: GPL-2.0-only
/*
 * User tables: what can be done without sleeping.
 *
 * KVM tries this first for the hypercalls of a guest, with interrupts off: in
 * real mode on POWER8, before the VCPU has left its run loop on later
 * processors, and before anything else in virtual mode. So nothing here sleeps,
 * allocates, prints or looks beyond the linear mapping (R19), and a call does
 * little. A function returns false when something is left to virtual mode.
 *
 * Two rules keep it short:
 *
 * - Map only where nothing is mapped, and only memory of one region: no reference
 *   must be dropped, and one atomic takes all of them when nothing else can fail.
 * - Never drop the last reference of a region (R20): clear the TCE, and keep its
 *   shadow for user_table_unmap().
 *
 * R1, R2, ... are the invariants in Documentation/arch/powerpc/tce.rst.
 */
#include <linux/export.h>
#include <linux/rcupdate.h>

#include "tce_user.h"

/**
 * user_table_lock_rm() - spin for the lock of a table
 * @tbl: a user table
 *
 * Context: interrupts off. The caller must not hold the lock of another user table.
 *
 * Return: true if the caller holds it, until user_table_unlock_rm(); false when its
 * owner may sleep.
 */
bool user_table_lock_rm(struct iommu_table *tbl)
{
	return tce_lock_spin_rm(&tbl->it_user->lock);
}

/**
 * user_table_trylock_rm() - try for the lock of a table
 * @tbl: a user table
 *
 * Context: interrupts off.
 *
 * Return: true if the caller holds it, until user_table_unlock_rm().
 */
bool user_table_trylock_rm(struct iommu_table *tbl)
{
	return tce_trylock_rm(&tbl->it_user->lock);
}

/**
 * user_table_unlock_rm() - unlock a table
 * @tbl: a user table
 *
 * Context: interrupts off.
 */
void user_table_unlock_rm(struct iommu_table *tbl)
{
	tce_lock_assert_owned(&tbl->it_user->lock);
	tce_unlock_rm(&tbl->it_user->lock);
}

/*
 * Kill a range, or with 0 pages test if that is possible. Returns false, with nothing
 * done, in real mode where a bridge needs firmware for it.
 */
static bool user_table_kill_rm(struct iommu_table *tbl, unsigned long entry,
			       unsigned long npages)
{
	if (tce_in_real_mode())
		return tbl->it_ops->tce_kill_rm &&
			tbl->it_ops->tce_kill_rm(tbl, entry, npages);
	if (npages)
		tbl->it_ops->tce_kill(tbl, entry, npages);

	return true;
}

static bool user_table_usable_rm(struct iommu_table *tbl)
{
	struct user_table *user = tbl->it_user;

	return user_table_in_memory(tbl) && !user->pinned &&
		user_table_kill_rm(tbl, 0, 0);
}

/*
 * Test if nothing is mapped by @nr TCEs of a leaf. Look at the shadows, since one may
 * outlive its TCE; at all of them, since nearly always all are empty.
 */
static bool user_table_empty(struct iommu_table *tbl, __be64 *leaf,
			     unsigned long nr)
{
	const __be64 *shadow = tce_tree_shadow(&tbl->it_tree, leaf);
	const __be64 *stop = shadow + nr;
	__be64 any = 0;

	for (; shadow < stop; shadow++)
		any |= READ_ONCE(*shadow);

	return !any;
}

/**
 * user_table_can_store_rm() - test if a batch can be stored without sleeping
 * @tbl: a user table
 * @iter: moved to the place of the batch
 * @entry: first TCE, counted from PCI address 0; the batch is inside @tbl
 * @npages: how many IOMMU pages
 *
 * That is so where all levels are present and nothing is mapped.
 *
 * Context: any, real mode included. The caller must hold the lock of @tbl.
 *
 * Return: true if user_table_store_batch_rm() may follow.
 */
bool user_table_can_store_rm(struct iommu_table *tbl, struct tce_iter *iter,
			     unsigned long entry, unsigned long npages)
{
	unsigned long found = 0;

	tce_lock_assert_owned(&tbl->it_user->lock);
	if (tbl->it_user->revoked || !user_table_usable_rm(tbl))
		return false;

	iter->tree = &tbl->it_tree;
	iter->size = 0;
	for_each_tce_leaf(iter, entry - tbl->it_offset, npages) {
		if (!user_table_empty(tbl, iter->entry, iter->nr))
			return false;
		found += iter->nr;
	}

	return found == npages;
}

/**
 * user_table_resolve_rm() - translate a batch, with the table's hint
 * @tbl: a user table
 * @batch: the batch
 *
 * Context: any, real mode included. The caller must hold the lock of @tbl.
 *
 * Return: as mm_iommu_resolve_batch_rm().
 */
bool user_table_resolve_rm(struct iommu_table *tbl, struct tce_batch *batch)
{
	tce_lock_assert_owned(&tbl->it_user->lock);

	return mm_iommu_resolve_batch_rm(&tbl->it_user->hint, batch);
}

/*
 * Let a device read what it may write, as user_table_write_reads() says. The division
 * moves the one bit to the other, without a branch.
 */
static unsigned long tce_write_reads(unsigned long tce)
{
	return tce | (tce & TCE_PCI_WRITE) / (TCE_PCI_WRITE / TCE_PCI_READ);
}

static __always_inline void tce_store_page(struct iommu_table *tbl,
					   __be64 *leaf, unsigned long tce,
					   unsigned long ua)
{
	tce = tce_write_reads(tce);
	ua |= tce & TCE_PCI_READ;
	tce_store(leaf, tce);
	tce_store(tce_tree_shadow(&tbl->it_tree, leaf),
		  tce_shadow_make(ua, TCE_SHADOW_UA));
}

/* Store TCEs and shadows in one leaf. Each page of the batch is one IOMMU page */
static void user_table_store_pages_rm(struct iommu_table *tbl, __be64 *leaf,
				      unsigned long nr, const unsigned long *hpas,
				      const unsigned long *uas)
{
	unsigned long i;

	for (i = 0; i < nr; i++)
		if (hpas[i])
			tce_store_page(tbl, leaf + i, hpas[i], uas[i]);
}

/* The same where a page is several IOMMU pages; @page is the first IOMMU page */
static void user_table_store_parts_rm(struct iommu_table *tbl, __be64 *leaf,
				      unsigned long nr, unsigned long page,
				      const struct tce_batch *batch)
{
	unsigned int split = batch->page_shift - tbl->it_page_shift;
	unsigned long mask = (1UL << split) - 1, offset, i;

	for (; nr; nr--, leaf++, page++) {
		i = page >> split;
		offset = (page & mask) << tbl->it_page_shift;
		if (batch->hpas[i])
			tce_store_page(tbl, leaf, batch->hpas[i] + offset,
				       batch->uas[i] + offset);
	}
}

/**
 * user_table_store_batch_rm() - store a batch where nothing is mapped
 * @tbl: a user table for which user_table_can_store_rm() returned true
 * @iter: as user_table_can_store_rm() left it
 * @entry: first TCE, counted from PCI address 0
 * @batch: what to map, resolved by mm_iommu_resolve_batch_rm(); the caller has taken
 *	  a reference for each IOMMU page
 *
 * Context: as user_table_can_store_rm().
 */
void user_table_store_batch_rm(struct iommu_table *tbl, struct tce_iter *iter,
			       unsigned long entry,
			       const struct tce_batch *batch)
{
	unsigned int split = batch->page_shift - tbl->it_page_shift;
	unsigned long npages = batch->nr << split, page = 0;

	tce_lock_assert_owned(&tbl->it_user->lock);
	for_each_tce_leaf(iter, entry - tbl->it_offset, npages) {
		if (split)
			user_table_store_parts_rm(tbl, iter->entry, iter->nr,
						  page, batch);
		else
			user_table_store_pages_rm(tbl, iter->entry, iter->nr,
						  batch->hpas + page,
						  batch->uas + page);
		page += iter->nr;
	}
	user_table_kill_rm(tbl, entry, npages);
}

/*
 * Clear shadows that refer to one region, and add their number to *@nr. Returns the
 * first shadow that refers to another region, or @stop.
 */
static __be64 *shadow_clear_region_rm(__be64 *shadow, __be64 *stop,
				      const struct mm_iommu_bounds *bounds,
				      unsigned long *nr)
{
	unsigned long start = bounds->start, size = bounds->size, old;

	for (; shadow < stop; shadow++) {
		old = tce_load(shadow);
		if (unlikely(old - start >= size)) {
			if (old)
				break;
			continue;
		}
		WRITE_ONCE(*shadow, 0);
		++*nr;
	}

	return shadow;
}

/*
 * Drop the references of the shadows from *@pshadow on that are of one region, and set
 * *@pshadow to where the next region begins. The first shadow is cleared last: it
 * stays if the region's last reference is among them.
 */
static bool shadow_drop_region_rm(struct iommu_table *tbl, __be64 **pshadow,
				  __be64 *stop)
{
	struct user_table *user = tbl->it_user;
	struct mm_iommu_bounds bounds;
	__be64 *first = *pshadow;
	unsigned long nr = 1;

	while (first < stop && !*first)
		first++;
	*pshadow = first;
	if (first == stop)
		return true;
	if (!mm_iommu_find_bounds_rm(user->mm, &user->hint,
				     tce_load(first) & ~TCE_SHADOW_FLAGS, &bounds))
		return false;

	*pshadow = shadow_clear_region_rm(first + 1, stop, &bounds, &nr);
	if (likely(mm_iommu_try_unref(bounds.mem, nr))) {
		WRITE_ONCE(*first, 0);
		return true;
	}
	/* One is the last (R20): keep it for the first shadow, drop the rest */
	if (nr > 1)
		mm_iommu_try_unref(bounds.mem, nr - 1);

	return false;
}

static bool shadow_drop_leaf_rm(struct iommu_table *tbl, __be64 *shadow,
				unsigned long nr)
{
	__be64 *stop = shadow + nr;
	bool all = true;

	while (all && shadow < stop)
		all = shadow_drop_region_rm(tbl, &shadow, stop);

	return all;
}

/* Four at a time: with one, half of the instructions would be the loop itself */
static void user_table_clear_leaf_rm(__be64 *leaf, unsigned long nr)
{
	__be64 *stop = leaf + nr;

	for (; leaf + 4 <= stop; leaf += 4) {
		WRITE_ONCE(leaf[0], 0);
		WRITE_ONCE(leaf[1], 0);
		WRITE_ONCE(leaf[2], 0);
		WRITE_ONCE(leaf[3], 0);
	}
	for (; leaf < stop; leaf++)
		WRITE_ONCE(*leaf, 0);
}

/**
 * user_table_unmap_rm() - unmap a range without sleeping
 * @tbl: a user table
 * @entry: first TCE, counted from PCI address 0; the range is inside @tbl
 * @npages: how many IOMMU pages
 *
 * Context: any, real mode included. The caller must hold the lock of @tbl.
 *
 * Return: true; or false when user_table_unmap() must be called for the range: shadows
 * of references that were not dropped are kept (R21).
 */
bool user_table_unmap_rm(struct iommu_table *tbl, unsigned long entry,
			 unsigned long npages)
{
	struct tce_iter iter = { .tree = &tbl->it_tree };
	unsigned long index = entry - tbl->it_offset;
	bool any = false;

	tce_lock_assert_owned(&tbl->it_user->lock);
	if (!user_table_usable_rm(tbl))
		return false;

	for_each_tce_leaf(&iter, index, npages) {
		user_table_clear_leaf_rm(iter.entry, iter.nr);
		any = true;
	}
	if (!any)
		return true;
	user_table_kill_rm(tbl, entry, npages);

	for_each_tce_leaf(&iter, index, npages)
		if (!shadow_drop_leaf_rm(tbl, tce_tree_shadow(&tbl->it_tree,
							      iter.entry),
					 iter.nr))
			return false;

	return true;
}

/*
 * A single IOMMU page, the hypercall that is made most often: the same without loops.
 */

/**
 * user_table_map_page_rm() - map an IOMMU page where nothing is mapped
 * @tbl: a user table
 * @entry: its TCE, counted from PCI address 0
 * @ua: user address of the page, and TCE_PCI_READ, TCE_PCI_WRITE
 *
 * Context: any, real mode included. The caller must hold the lock of @tbl.
 *
 * Return: true; or false with nothing changed.
 */
bool user_table_map_page_rm(struct iommu_table *tbl, unsigned long entry,
			    unsigned long ua)
{
	struct user_table *user = tbl->it_user;
	__be64 *leaf, *shadow;
	unsigned long tce;

	tce_lock_assert_owned(&user->lock);
	if (user->revoked || !user_table_usable_rm(tbl))
		return false;
	leaf = user_table_tce(tbl, entry - tbl->it_offset);
	if (!leaf)
		return false;
	shadow = tce_tree_shadow(&tbl->it_tree, leaf);
	if (*shadow ||
	    !mm_iommu_ref_page_rm(user->mm, &user->hint, ua, tbl->it_page_shift,
				  &tce))
		return false;

	tce_store_page(tbl, leaf, tce, ua);
	user_table_kill_rm(tbl, entry, 1);

	return true;
}

/**
 * user_table_unmap_page_rm() - unmap an IOMMU page without sleeping
 * @tbl: a user table
 * @entry: its TCE, counted from PCI address 0
 *
 * Context: as user_table_map_page_rm().
 *
 * Return: as user_table_unmap_rm().
 */
bool user_table_unmap_page_rm(struct iommu_table *tbl, unsigned long entry)
{
	struct user_table *user = tbl->it_user;
	__be64 *leaf, *shadow;
	unsigned long old;

	tce_lock_assert_owned(&user->lock);
	if (!user_table_usable_rm(tbl))
		return false;
	leaf = user_table_tce(tbl, entry - tbl->it_offset);
	if (!leaf)
		return true;
	WRITE_ONCE(*leaf, 0);
	user_table_kill_rm(tbl, entry, 1);

	shadow = tce_tree_shadow(&tbl->it_tree, leaf);
	old = tce_load(shadow);
	if (!old)
		return true;
	if (!mm_iommu_try_unref_page_rm(user->mm, &user->hint,
					old & ~TCE_SHADOW_FLAGS))
		return false;
	WRITE_ONCE(*shadow, 0);

	return true;
}
