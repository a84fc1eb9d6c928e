// SPDX-License-Identifier: GPL-2.0-only
/*
 * User tables: CONFIG_SPAPR_TCE_DEBUG checks after each request that TCEs, shadows,
 * references and charge agree (R1, R2, R10):
 *
 * - a TCE is the translation of its shadow, with its permissions, and there is
 *   none without a shadow;
 * - a region that shadows refer to counts them;
 * - the process is charged for the levels of the table.
 *
 * A difference is a warning, once.
 */
#include <linux/bug.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>

#include "tce_user.h"

/* The most TCEs to look at after a request, at either end of its range */
#define USER_TABLE_CHECK_MAX	64UL

/* The hypervisor of an LPAR does not show its TCEs cheaply */
static bool check_tce(struct iommu_table *tbl, const __be64 *entry,
		      unsigned long shadow)
{
	if (!user_table_in_memory(tbl))
		return true;
	if (!shadow)
		return !tce_load(entry);

	return *entry == shadow_to_tce(tbl, shadow);
}

/* Does the region count the @refs that were found? */
static bool check_refs(struct iommu_table *tbl, const struct shadow_refs *refs)
{
	struct mm_iommu_region_info info;
	unsigned int tries;

	/* Try twice: an unregistration may come between reading the two counts */
	for (tries = 0; refs->nr && tries < 2; tries++)
		if (mm_iommu_next_region(tbl->it_user->mm, refs->bounds.start,
					 &info) &&
		    info.ua == refs->bounds.start && info.map_refs >= refs->nr)
			return true;

	return !refs->nr;
}

static bool check_shadow(struct iommu_table *tbl, unsigned long shadow,
			 struct shadow_refs *refs)
{
	unsigned long ua = shadow & ~TCE_SHADOW_FLAGS;

	if (!(shadow & TCE_SHADOW_UA))
		return true;
	if (ua - refs->bounds.start >= refs->bounds.size) {
		if (!check_refs(tbl, refs))
			return false;
		refs->nr = 0;
		if (!mm_iommu_find_bounds(tbl->it_user->mm, NULL, ua,
					  &refs->bounds))
			return false;
	}
	refs->nr++;

	return true;
}

static bool check_range(struct iommu_table *tbl, unsigned long index,
			unsigned long npages)
{
	struct tce_iter iter = { .tree = &tbl->it_tree };
	struct shadow_refs refs = { };
	unsigned long i, shadow;
	bool good = true;
	__be64 *entry;

	rcu_read_lock();
	for_each_tce_leaf(&iter, index, npages) {
		for (i = 0; good && i < iter.nr; i++) {
			entry = iter.entry + i;
			shadow = tce_load(tce_tree_shadow(&tbl->it_tree, entry));
			good = check_tce(tbl, entry, shadow) &&
				check_shadow(tbl, shadow, &refs);
		}
	}
	good = good && check_refs(tbl, &refs);
	rcu_read_unlock();

	return good;
}

static bool check_charge(struct iommu_table *tbl)
{
	struct tce_account *account = &tbl->it_user->account;
	bool good;

	/* Locked: bytes and charge are being changed */
	if (!mutex_trylock(&account->lock))
		return true;
	good = account->pages == DIV_ROUND_UP(account->bytes, PAGE_SIZE) &&
		atomic_long_read(&tbl->it_tree.bytes) <= account->bytes;
	mutex_unlock(&account->lock);

	return good;
}

/**
 * user_table_do_check() - check a table after a request
 * @tbl: a user table
 * @index: first TCE of the request, counted from the start of the table
 * @npages: number of TCEs of the request
 *
 * Context: process. The caller must hold the lock of @tbl.
 */
void user_table_do_check(struct iommu_table *tbl, unsigned long index,
			 unsigned long npages)
{
	unsigned long nr = min(npages, USER_TABLE_CHECK_MAX);

	tce_lock_assert_held(&tbl->it_user->lock);
	WARN_ON_ONCE(!check_range(tbl, index, nr));
	WARN_ON_ONCE(!check_range(tbl, index + npages - nr, nr));
	WARN_ON_ONCE(!check_charge(tbl));
}
