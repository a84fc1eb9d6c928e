// SPDX-License-Identifier: GPL-2.0-only
/*
 * User tables of an LPAR: the hypervisor has the TCEs and takes them in
 * batches. It may refuse one in the middle of a request, which is then undone.
 */
#define pr_fmt(fmt) "spapr_tce: " fmt

#include <linux/minmax.h>
#include <linux/printk.h>

#include "tce_user.h"

/**
 * shadow_to_tce() - get the TCE that has a shadow
 * @tbl: a user table
 * @shadow: the shadow; its reference keeps what it refers to
 *
 * Context: any in virtual mode, does not sleep.
 *
 * Return: the TCE.
 */
__be64 shadow_to_tce(struct iommu_table *tbl, unsigned long shadow)
{
	struct mm_iommu_range page = {
		.mm = tbl->it_user->mm,
		.ua = shadow & ~TCE_SHADOW_FLAGS,
		.npages = 1,
		.page_shift = tbl->it_page_shift,
	};
	__be64 tce = cpu_to_be64(page.ua | tce_shadow_perm(shadow));

	if (shadow & TCE_SHADOW_UA)
		mm_iommu_translate_range(&page, tce_shadow_perm(shadow), &tce);

	return tce;
}

#ifdef CONFIG_PROVE_LOCKING
/**
 * user_table_assert_locked() - assert that the caller may change the TCEs of a table
 * @tbl: a user table
 *
 * For platforms, to which struct user_table is not known.
 *
 * Context: process. The caller must hold the lock of @tbl.
 */
void user_table_assert_locked(struct iommu_table *tbl)
{
	tce_lock_assert_held(&tbl->it_user->lock);
}
#endif

/**
 * user_table_unmap_batches() - unmap a range
 * @tbl: a user table that is not in memory
 * @index: first TCE
 * @npages: how many IOMMU pages
 * @hint: as for user_table_unmap()
 *
 * Context: process, may sleep. The caller must hold the lock of @tbl.
 *
 * Return: 0; -EIO when the hypervisor refused to clear TCEs: their references are
 * kept (R13).
 */
int user_table_unmap_batches(struct iommu_table *tbl, unsigned long index,
			     unsigned long npages,
			     struct mm_iommu_table_group_mem_t *hint)
{
	struct tce_iter iter = { .tree = &tbl->it_tree }, leaf = iter;
	unsigned long entry;
	int ret = 0;

	tce_lock_assert_held(&tbl->it_user->lock);
	for_each_tce_leaf(&iter, index, npages) {
		entry = tbl->it_offset + iter.index;
		if (tbl->it_ops->clear_batch(tbl, entry, iter.nr)) {
			pr_warn_ratelimited("LIOBN %lx: the hypervisor does not clear %lu TCEs at %#lx\n",
					    tbl->it_index, iter.nr,
					    entry << tbl->it_page_shift);
			ret = -EIO;
		} else {
			user_table_kill(tbl, entry, iter.nr);
			user_table_drop_refs(tbl, &leaf, iter.index, iter.nr,
					     hint);
		}
		if (tce_iter_more(&iter))
			cond_resched();
	}

	return ret;
}

/*
 * Restore the old TCEs from the shadow (R12). Unmap those that the hypervisor
 * refuses to store.
 *
 * Returns @why if all are restored; -EIO if some are unmapped instead; -EUCLEAN if
 * some could not even be cleared.
 */
static int user_table_restore(struct iommu_table *tbl, unsigned long index,
			      unsigned long npages, int why)
{
	struct tce_iter iter = { .tree = &tbl->it_tree };
	__be64 *tces = tbl->it_user->tces;
	int ret = why;
	unsigned long i;

	for_each_tce_leaf(&iter, index, npages) {
		iter.nr = min_t(unsigned long, iter.nr, TCE_BATCH_MAX);
		for (i = 0; i < iter.nr; i++)
			tces[i] = shadow_to_tce(tbl, tce_load(iter.entry + i));
		if (tbl->it_ops->store_batch(tbl, tbl->it_offset + iter.index,
					     iter.nr, tces)) {
			if (ret != -EUCLEAN)
				ret = -EIO;
			if (user_table_unmap_batches(tbl, iter.index, iter.nr,
						     NULL))
				ret = -EUCLEAN;
		}
		cond_resched();
	}
	WARN_ON_ONCE(ret == -EUCLEAN);

	return ret;
}

/**
 * user_table_store_batches() - write TCEs
 * @tbl: a user table that is not in memory
 * @index: first TCE
 * @npages: how many
 * @src: what to write
 *
 * Context: process, may sleep. The caller must hold the lock of @tbl.
 *
 * Return: 0; -ENOMEM or -EIO when the hypervisor refused a TCE, and the old TCEs
 * are restored; -EIO also when some of them could not be restored and are unmapped;
 * -EUCLEAN when some of the new TCEs could not be cleared, and stay.
 */
int user_table_store_batches(struct iommu_table *tbl, unsigned long index,
			     unsigned long npages, const struct tce_source *src)
{
	unsigned long entry = tbl->it_offset + index, done, nr;
	__be64 *tces = tbl->it_user->tces;
	int ret = 0;

	tce_lock_assert_held(&tbl->it_user->lock);
	for (done = 0; done < npages && !ret; done += nr) {
		nr = min_t(unsigned long, npages - done, TCE_BATCH_MAX);
		tce_source_translate(tbl, src, done, nr, tces);
		ret = tbl->it_ops->store_batch(tbl, entry + done, nr, tces);
		cond_resched();
	}
	if (!ret)
		return 0;

	pr_debug_ratelimited("LIOBN %lx: the hypervisor refuses TCEs at %#lx: error %d\n",
			     tbl->it_index,
			     (entry + done - nr) << tbl->it_page_shift, ret);
	/* Some of the last batch may be stored as well */
	ret = user_table_restore(tbl, index, done, ret);
	user_table_kill(tbl, entry, done);

	return ret;
}
