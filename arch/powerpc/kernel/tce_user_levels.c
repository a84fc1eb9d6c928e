// SPDX-License-Identifier: GPL-2.0-only
/*
 * User tables: the levels that a request needs, and those that no TCE needs any
 * more.
 *
 * A process could map and unmap a page in each leaf of a window that is larger than
 * its memory. So levels in which nothing is mapped are freed and uncharged:
 *
 * - those of a sparse range when it is unmapped (tce_user_table.c);
 * - all of them when unmaps have covered half as many leaves as the table has;
 * - all of them when a request has no memory for its own levels, or would exceed
 *   RLIMIT_MEMLOCK.
 *
 * A page, or a range that covers no leaf, is probably mapped again: to unmap it keeps
 * its levels.
 */
#include <linux/align.h>
#include <linux/export.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>

#include "tce_user.h"

/* Free all levels in which nothing is mapped. The caller must hold @trimming */
static void user_table_trim(struct iommu_table *tbl)
{
	struct user_table *user = tbl->it_user;
	struct tce_spares taken = { };

	lockdep_assert_held(&user->trimming);
	user_table_lock(tbl);
	user->covered = 0;
	user_table_take_levels(tbl, 0, tbl->it_size, true, &taken);
	/* A bridge may remember links as it remembers TCEs (R9) */
	if (tce_spares_any(&taken))
		user_table_kill(tbl, tbl->it_offset, tbl->it_size);
	user_table_unlock(tbl);
	/* May sleep, so not with the table's lock */
	tce_spares_return(&tbl->it_tree, &taken);
}

/**
 * user_table_covered() - count the leaves of a range that was unmapped
 * @tbl: a user table
 * @index: first TCE
 * @npages: how many
 *
 * Context: any. The caller must hold the lock of @tbl.
 */
void user_table_covered(struct iommu_table *tbl, unsigned long index,
			unsigned long npages)
{
	unsigned int bits = tce_tree_level_bits(&tbl->it_tree);
	unsigned long leaf = 1UL << bits, first, end;

	tce_lock_assert_held(&tbl->it_user->lock);
	first = ALIGN(index, leaf);
	end = ALIGN_DOWN(index + npages, leaf);
	if (first < end)
		tbl->it_user->covered += (end - first) >> bits;
}

/**
 * user_table_trim_covered() - free levels after an unmap, if it is worth the search
 * @tbl: a user table
 *
 * The search looks at every leaf of the table. It is done when unmaps have covered half
 * as many leaves, so that it costs a part of what these unmaps have cost. Not for
 * hypercalls: real mode cannot make levels, so those of a guest stay.
 *
 * Context: process, may sleep. Takes the table's lock.
 */
void user_table_trim_covered(struct iommu_table *tbl)
{
	struct user_table *user = tbl->it_user;
	unsigned long covered = READ_ONCE(user->covered);

	if (likely(!covered) || tbl->it_tree.levels == 1 ||
	    covered < atomic_long_read(&tbl->it_tree.leaves) / 2)
		return;
	/* If another thread has the mutex, it frees the same levels */
	if (mutex_trylock(&user->trimming)) {
		user_table_trim(tbl);
		mutex_unlock(&user->trimming);
	}
}
EXPORT_SYMBOL_GPL(user_table_trim_covered);

static int user_table_try_levels(struct iommu_table *tbl,
				 struct tce_iter *iter, unsigned long index,
				 unsigned long npages)
{
	int ret = tce_iter_reserve(iter, index, npages, GFP_KERNEL);

	if (likely(ret != -ENOMEM))
		return ret;

	/* Wait for other threads: what they free may be enough for this request */
	ret = mutex_lock_killable(&tbl->it_user->trimming);
	if (ret)
		return ret;
	user_table_trim(tbl);
	mutex_unlock(&tbl->it_user->trimming);

	return tce_iter_reserve(iter, index, npages, GFP_KERNEL);
}

/**
 * user_table_make_levels() - make the levels of a range that has a hold
 * @tbl: a user table
 * @iter: has the hold
 * @index: first TCE
 * @npages: how many
 *
 * Context: process, may sleep. The caller must hold the lock of @tbl, which is
 * dropped meanwhile.
 *
 * Return: 0; or an error as tce_iter_reserve(), and the hold has ended.
 */
int user_table_make_levels(struct iommu_table *tbl, struct tce_iter *iter,
			   unsigned long index, unsigned long npages)
{
	int ret;

	tce_lock_assert_held(&tbl->it_user->lock);
	user_table_unlock(tbl);
	ret = user_table_try_levels(tbl, iter, index, npages);
	user_table_lock(tbl);
	if (ret)
		tce_iter_release(iter);

	return ret;
}

/**
 * user_table_lock_range() - lock a table, with the levels of a range there
 * @tbl: a user table
 * @iter: an iterator of its tree
 * @index: first TCE
 * @npages: how many
 *
 * Most ranges are in one leaf that is there, and lock once. For others the levels
 * are made without the lock.
 *
 * Context: process, may sleep. The caller must not hold the table's lock.
 *
 * Return: 0, and the caller must call user_table_unlock_range(); or an error as
 * tce_iter_reserve(), with nothing locked.
 */
int user_table_lock_range(struct iommu_table *tbl, struct tce_iter *iter,
			  unsigned long index, unsigned long npages)
{
	int ret;

	user_table_lock(tbl);
	tce_iter_hold(iter, index, npages);
	if (likely(tce_iter_has(iter, index, npages)))
		return 0;
	ret = user_table_make_levels(tbl, iter, index, npages);
	if (ret)
		user_table_unlock(tbl);

	return ret;
}

/**
 * user_table_unlock_range() - unlock a table, and end a hold on levels
 * @tbl: a user table
 * @iter: as user_table_lock_range(), or user_table_reserve()
 *
 * Context: process. The caller must hold the lock of @tbl.
 */
void user_table_unlock_range(struct iommu_table *tbl, struct tce_iter *iter)
{
	tce_lock_assert_held(&tbl->it_user->lock);
	tce_iter_release(iter);
	user_table_unlock(tbl);
}

/**
 * user_table_reserve() - make levels for a request that comes later
 * @tbl: a user table
 * @iter: an iterator of its tree
 * @index: first TCE
 * @npages: how many
 *
 * The levels stay until user_table_unlock_range(), before which the caller locks the
 * table.
 *
 * Context: as user_table_lock_range().
 *
 * Return: 0; or an error as tce_iter_reserve(), with nothing to end.
 */
int user_table_reserve(struct iommu_table *tbl, struct tce_iter *iter,
		       unsigned long index, unsigned long npages)
{
	int ret = user_table_lock_range(tbl, iter, index, npages);

	if (!ret)
		user_table_unlock(tbl);

	return ret;
}
