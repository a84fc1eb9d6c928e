// SPDX-License-Identifier: GPL-2.0-only
/*
 * Batches: what a guest maps and unmaps through KVM, in two steps, so that
 * several tables are all changed or none.
 */
#include <linux/err.h>
#include <linux/export.h>
#include <linux/mutex.h>

#include "tce_user.h"

/*
 * Does a PE of this group translate by the table? The table's own list of
 * groups is kept by powernv only.
 */
static bool user_table_serves(struct iommu_table *tbl,
			      struct iommu_table_group *table_group)
{
	unsigned int i;

	for (i = 0; i < IOMMU_TABLE_GROUP_MAX_TABLES; i++)
		if (READ_ONCE(table_group->tables[i]) == tbl)
			return true;

	return false;
}

/**
 * user_table_get() - find the table behind a window of a PE
 * @table_group: the PE's
 * @mm: whose table it must be
 * @page_shift: log2 of the largest IOMMU page size that will do
 * @start: PCI address where the window starts
 * @size: the least size of the window in bytes
 *
 * Context: process, may sleep.
 *
 * Return: the table with a reference; ERR_PTR(-EINVAL) when the PE has none
 * like that, ERR_PTR(-EPERM) when it is another process's.
 */
struct iommu_table *user_table_get(struct iommu_table_group *table_group,
				   struct mm_struct *mm,
					 unsigned int page_shift, u64 start,
					 u64 size)
{
	struct iommu_table *found = ERR_PTR(-EINVAL), *tbl;
	struct user_table *user;

	/* A table leaves the list before it goes */
	mutex_lock(&user_tables_mutex);
	list_for_each_entry(user, &user_tables, node) {
		tbl = user->tbl;
		if (READ_ONCE(user->revoked) || tbl->it_page_shift > page_shift ||
		    tbl->it_offset << tbl->it_page_shift != start ||
		    tbl->it_size << tbl->it_page_shift < size ||
		    !user_table_serves(tbl, table_group))
			continue;
		if (user->mm != mm)
			found = ERR_PTR(-EPERM);
		else if (iommu_tce_table_get(tbl))
			found = tbl;
		break;
	}
	mutex_unlock(&user_tables_mutex);

	return found;
}
EXPORT_SYMBOL_GPL(user_table_get);

static unsigned long user_table_batch_pages(struct iommu_table *tbl,
					    const struct tce_batch *batch)
{
	return batch->nr << (batch->page_shift - tbl->it_page_shift);
}

/**
 * user_table_prepare_batch() - take all that a batch will need
 * @tbl: a user table
 * @entry: first TCE, counted from PCI address 0; all of the batch is inside @tbl
 * @batch: what is to be mapped and unmapped
 *
 * Context: process, may sleep; without the lock.
 *
 * Return: 0, then either user_table_commit_batch() or user_table_cancel_batch()
 * follows; or the error of user_table_map(), with nothing changed.
 */
int user_table_prepare_batch(struct iommu_table *tbl, unsigned long entry,
			     struct tce_batch *batch)
{
	struct tce_iter iter = { .tree = &tbl->it_tree };
	int ret;

	ret = mm_iommu_ref_batch(batch, tbl->it_page_shift);
	if (ret)
		return ret;

	ret = tce_iter_reserve(&iter, entry - tbl->it_offset,
			       user_table_batch_pages(tbl, batch), GFP_KERNEL);
	if (ret)
		user_table_cancel_batch(tbl, batch);

	return ret;
}
EXPORT_SYMBOL_GPL(user_table_prepare_batch);

/**
 * user_table_cancel_batch() - drop the references of a batch
 * @tbl: as user_table_prepare_batch()
 * @batch: as user_table_prepare_batch()
 *
 * Levels stay. Context: process.
 */
void user_table_cancel_batch(struct iommu_table *tbl,
			     const struct tce_batch *batch)
{
	mm_iommu_unref_batch(batch, tbl->it_page_shift);
}
EXPORT_SYMBOL_GPL(user_table_cancel_batch);

/**
 * user_table_commit_batch() - make a table what a batch says
 * @tbl: as user_table_prepare_batch()
 * @entry: as user_table_prepare_batch()
 * @batch: what has been prepared
 *
 * When this returns the device reaches nothing any more of what was mapped
 * there. A table that the container has dropped stays empty. Context: process,
 * may sleep; takes the lock.
 *
 * Return: 0; or -ENOMEM or -EIO as user_table_map().
 */
int user_table_commit_batch(struct iommu_table *tbl, unsigned long entry,
			    const struct tce_batch *batch)
{
	unsigned long npages = user_table_batch_pages(tbl, batch);
	struct tce_iter iter = { .tree = &tbl->it_tree };
	struct tce_batch granted = *batch;
	struct tce_source src = { .batch = &granted };
	bool revoked;
	int ret = 0;

	granted.write_reads = user_table_write_reads(tbl);

	user_table_lock(tbl);
	revoked = tbl->it_user->revoked;
	if (!revoked)
		ret = user_table_commit(tbl, &iter, entry - tbl->it_offset,
					npages, &src);
	user_table_unlock(tbl);

	/* What TCEs may refer to that could not be cleared stays */
	if (ret == -EUCLEAN)
		ret = -EIO;
	else if (revoked || ret)
		user_table_cancel_batch(tbl, batch);
	trace_tce_list(tbl, entry, npages, ret);

	return ret;
}
EXPORT_SYMBOL_GPL(user_table_commit_batch);
