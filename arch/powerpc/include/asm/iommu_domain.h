/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Paging domains on TCE tables, for iommufd and VFIO type1. The IOMMU core calls
 * these functions through iommu.c, and the domain's own operations (map, unmap,
 * flush) through the struct iommu_domain_ops in iommu_domain.c.
 *
 * A domain's table is a tree without shadows (asm/tce_tree.h), made by
 * iommu_table_group_ops::create_domain_table.
 */
#ifndef _ASM_POWERPC_IOMMU_DOMAIN_H
#define _ASM_POWERPC_IOMMU_DOMAIN_H

#include <linux/iommu.h>

struct iommu_domain *tce_domain_alloc(struct device *dev);
int tce_domain_attach(struct iommu_domain *domain, struct device *dev);
void tce_domain_get_resv_regions(struct device *dev, struct list_head *head);

/* Defined in iommu.c, beside the attach functions of the other domains */
extern typeof(*((struct iommu_domain_ops *)NULL)->attach_dev) spapr_tce_domain_attach_dev;

#endif /* _ASM_POWERPC_IOMMU_DOMAIN_H */
