/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Paging domains on TCE tables: what iommu.c gives to the IOMMU core.
 */
#ifndef _ASM_POWERPC_IOMMU_DOMAIN_H
#define _ASM_POWERPC_IOMMU_DOMAIN_H

#include <linux/iommu.h>

struct iommu_domain *tce_domain_alloc(struct device *dev);
int tce_domain_attach(struct iommu_domain *domain, struct device *dev);
void tce_domain_get_resv_regions(struct device *dev, struct list_head *head);

/* In iommu.c, where those of the other domains are */
extern typeof(*((struct iommu_domain_ops *)NULL)->attach_dev) spapr_tce_domain_attach_dev;

#endif /* _ASM_POWERPC_IOMMU_DOMAIN_H */
