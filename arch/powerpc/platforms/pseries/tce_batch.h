/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * User tables of an LPAR: make one (pseries_tce_init_table()), and store and clear its
 * TCEs by hypercalls (iommu_table_ops::store_batch and clear_batch).
 */
#ifndef _PSERIES_TCE_BATCH_H
#define _PSERIES_TCE_BATCH_H

#include <linux/types.h>

struct iommu_table;
struct mm_struct;

int pseries_tce_init_table(struct iommu_table *tbl, struct mm_struct *mm);
int pseries_tce_store_batch(struct iommu_table *tbl, unsigned long entry,
			    unsigned long npages, const __be64 *tces);
int pseries_tce_clear_batch(struct iommu_table *tbl, unsigned long entry,
			    unsigned long npages);

#endif /* _PSERIES_TCE_BATCH_H */
