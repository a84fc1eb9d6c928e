// SPDX-License-Identifier: GPL-2.0-only
/*
 * User tables of an LPAR: the hypervisor has the TCEs, and takes them in batches
 * if firmware supports that.
 *
 * A hypercall returns one status for a whole batch. How much of a batch was done
 * that ended in the middle is unknown, but it is safe to do a part again. So
 * repeat a batch when the hypervisor was busy, and store its TCEs one by one when
 * the hypervisor did only a part (H_PARTIAL).
 */
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/sched.h>

#include <asm/firmware.h>
#include <asm/hvcall.h>
#include <asm/page.h>
#include <asm/iommu.h>
#include <asm/plpar_wrappers.h>
#include <asm/tce_user_table.h>

#include "tce_batch.h"

/**
 * pseries_tce_init_table() - make a table of an LPAR a user table
 * @tbl: a new table; its size, offset, page size and node are set
 * @mm: the process that is charged for the table and whose memory it will map
 *
 * No hardware walks the tree, so its depth is not limited by a bridge.
 *
 * Context: process, may sleep.
 *
 * Return: as user_table_init().
 */
int pseries_tce_init_table(struct iommu_table *tbl, struct mm_struct *mm)
{
	const struct user_table_config config = {
		.mm = mm,
		.levels = 1,
		.max_levels = TCE_TREE_MAX_LEVELS,
	};

	return user_table_init(tbl, &config);
}

/* Wait if the hypervisor was busy. Returns true if the hypercall must be repeated */
static bool pseries_tce_busy(long rc)
{
	if (H_IS_LONG_BUSY(rc))
		msleep(get_longbusy_msecs(rc));
	else if (rc == H_BUSY)
		cond_resched();
	else
		return false;

	return true;
}

static int pseries_tce_error(long rc)
{
	switch (rc) {
	case H_SUCCESS:
		return 0;
	case H_NOT_ENOUGH_RESOURCES:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

/* Store TCEs one by one; clear them if @tces is NULL */
static int pseries_tce_store_each(struct iommu_table *tbl, unsigned long entry,
				  unsigned long npages, const __be64 *tces)
{
	unsigned long i;
	long rc;

	for (i = 0; i < npages; i++) {
		do {
			rc = plpar_tce_put(tbl->it_index,
					   (entry + i) << tbl->it_page_shift,
					   tces ? be64_to_cpu(tces[i]) : 0);
		} while (pseries_tce_busy(rc));
		if (rc)
			return pseries_tce_error(rc);
	}

	return 0;
}

/**
 * pseries_tce_store_batch() - iommu_table_ops::store_batch
 * @tbl: a user table
 * @entry: first TCE, counted from PCI address 0
 * @npages: how many, at most TCE_BATCH_MAX
 * @tces: the TCEs, aligned to the size of a full batch
 *
 * Context: process, may sleep. The caller must hold the table's tce_lock (R11).
 *
 * Return: 0; -ENOMEM or -EIO when the hypervisor refused one. Any of the TCEs may
 * be stored after an error.
 */
int pseries_tce_store_batch(struct iommu_table *tbl, unsigned long entry,
			    unsigned long npages, const __be64 *tces)
{
	long rc = H_PARTIAL;

	user_table_assert_locked(tbl);
	if (npages > 1 && firmware_has_feature(FW_FEATURE_PUT_TCE_IND)) {
		do {
			rc = plpar_tce_put_indirect(tbl->it_index,
						    entry << tbl->it_page_shift,
						    __pa(tces), npages);
		} while (pseries_tce_busy(rc));
	}
	if (rc == H_PARTIAL)
		return pseries_tce_store_each(tbl, entry, npages, tces);

	return pseries_tce_error(rc);
}

/**
 * pseries_tce_clear_batch() - iommu_table_ops::clear_batch
 * @tbl: a user table
 * @entry: first TCE, counted from PCI address 0
 * @npages: how many
 *
 * Context: process, may sleep. The caller must hold the table's tce_lock (R11).
 *
 * Return: 0; -ENOMEM or -EIO when the hypervisor refused. Any of the TCEs may
 * still be stored after an error.
 */
int pseries_tce_clear_batch(struct iommu_table *tbl, unsigned long entry,
			    unsigned long npages)
{
	unsigned long nr;
	int ret = 0;
	long rc;

	user_table_assert_locked(tbl);
	for (; npages && !ret; npages -= nr, entry += nr) {
		nr = min_t(unsigned long, npages, TCE_BATCH_MAX);
		rc = H_PARTIAL;
		if (nr > 1 && firmware_has_feature(FW_FEATURE_STUFF_TCE)) {
			do {
				rc = plpar_tce_stuff(tbl->it_index,
						     entry << tbl->it_page_shift,
						     0, nr);
			} while (pseries_tce_busy(rc));
		}
		ret = rc == H_PARTIAL ?
			pseries_tce_store_each(tbl, entry, nr, NULL) :
			pseries_tce_error(rc);
		cond_resched();
	}

	return ret;
}
