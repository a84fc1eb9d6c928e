// SPDX-License-Identifier: GPL-2.0-only
/*
 * User tables for KVM: find the table of a group, and put batches of a guest into
 * it. A batch is prepared for all tables behind a table of the guest, then committed
 * to each, so that a hypercall changes all of them or none.
 */
#include <linux/err.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/mutex.h>

#include "tce_user.h"

/*
 * Test if the PE of a group translates by the table. Ask the group: only powernv
 * keeps a list of groups in the table.
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
 * user_tables_forget() - separate a group from its PE, which is going to be freed
 * @grp: the group; VFIO and KVM may keep references of it
 *
 * When this returns, user_table_get() finds no PE by the group any more.
 *
 * Context: process, may sleep.
 */
void user_tables_forget(struct iommu_group *grp)
{
	mutex_lock(&user_tables_mutex);
	iommu_group_set_iommudata(grp, NULL, NULL);
	mutex_unlock(&user_tables_mutex);
}

/**
 * user_table_get() - find the table behind a window of a PE
 * @grp: the PE's group, referenced
 * @mm: the mm that must own the table
 * @page_shift: log2 of the largest acceptable IOMMU page size
 * @start: PCI address where the window starts
 * @size: the least size of the window in bytes
 *
 * Context: process, may sleep.
 *
 * Return: the table with a reference; ERR_PTR(-EINVAL) when the PE has no such
 * table; ERR_PTR(-EPERM) when another process owns it; ERR_PTR(-ENODEV) when the
 * group has no PE any more.
 */
struct iommu_table *user_table_get(struct iommu_group *grp,
				   struct mm_struct *mm,
				   unsigned int page_shift, u64 start, u64 size)
{
	struct iommu_table *found = ERR_PTR(-EINVAL), *tbl;
	struct iommu_table_group *table_group;
	struct user_table *user;

	/* A table is removed from the list, and a PE from its group, before it goes */
	mutex_lock(&user_tables_mutex);
	table_group = iommu_group_get_iommudata(grp);
	if (!table_group) {
		found = ERR_PTR(-ENODEV);
		goto unlock;
	}
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
unlock:
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
 * user_table_prepare_batch() - take references and levels for a batch
 * @tbl: a user table
 * @iter: has a hold on the levels until the batch is committed or cancelled
 * @entry: first TCE, counted from PCI address 0; all of the batch is inside @tbl
 * @batch: what to map and unmap
 *
 * Context: process, may sleep. The caller must not hold the table's lock.
 *
 * Return: 0; the caller must call user_table_commit_batch() or
 * user_table_cancel_batch() then. Else an error as user_table_map(), and nothing
 * has changed (R8).
 */
int user_table_prepare_batch(struct iommu_table *tbl, struct tce_iter *iter,
			     unsigned long entry, struct tce_batch *batch)
{
	int ret;

	ret = mm_iommu_ref_batch(batch, tbl->it_page_shift);
	if (ret)
		return ret;

	iter->tree = &tbl->it_tree;
	ret = user_table_reserve(tbl, iter, entry - tbl->it_offset,
				 user_table_batch_pages(tbl, batch));
	if (ret)
		mm_iommu_unref_batch(batch, tbl->it_page_shift);

	return ret;
}
EXPORT_SYMBOL_GPL(user_table_prepare_batch);

/**
 * user_table_cancel_batch() - drop the references of a batch
 * @tbl: as user_table_prepare_batch()
 * @iter: as user_table_prepare_batch()
 * @batch: as user_table_prepare_batch()
 *
 * Levels may go from now on.
 *
 * Context: process, may sleep. Takes the table's lock.
 */
void user_table_cancel_batch(struct iommu_table *tbl, struct tce_iter *iter,
			     const struct tce_batch *batch)
{
	user_table_lock(tbl);
	user_table_unlock_range(tbl, iter);
	mm_iommu_unref_batch(batch, tbl->it_page_shift);
}
EXPORT_SYMBOL_GPL(user_table_cancel_batch);

/**
 * user_table_commit_batch() - map and unmap what a batch says
 * @tbl: as user_table_prepare_batch()
 * @iter: as user_table_prepare_batch()
 * @entry: as user_table_prepare_batch()
 * @batch: a batch from user_table_prepare_batch()
 *
 * When this returns the device can no longer reach what was mapped there. A revoked
 * table stays empty.
 *
 * Context: process, may sleep. Takes the table's lock.
 *
 * Return: 0; -ENOMEM or -EIO as user_table_map().
 */
int user_table_commit_batch(struct iommu_table *tbl, struct tce_iter *iter,
			    unsigned long entry, const struct tce_batch *batch)
{
	unsigned long npages = user_table_batch_pages(tbl, batch);
	struct tce_batch granted = *batch;
	struct tce_source src = { .batch = &granted };
	bool revoked;
	int ret = 0;

	granted.write_reads = user_table_write_reads(tbl);

	user_table_lock(tbl);
	revoked = tbl->it_user->revoked;
	if (!revoked)
		ret = user_table_commit(tbl, iter, entry - tbl->it_offset,
					npages, &src);
	if (!ret && !revoked)
		user_table_check(tbl, entry - tbl->it_offset, npages);
	user_table_unlock_range(tbl, iter);

	/* Keep the references of TCEs that could not be cleared (R13) */
	if (ret == -EUCLEAN)
		ret = -EIO;
	else if (revoked || ret)
		mm_iommu_unref_batch(batch, tbl->it_page_shift);
	trace_tce_list(tbl, entry, npages, ret);

	return ret;
}
EXPORT_SYMBOL_GPL(user_table_commit_batch);
