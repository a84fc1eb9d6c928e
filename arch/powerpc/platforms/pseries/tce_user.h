/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hand-over of DMA windows between the host and a process, on an LPAR.
 */
#ifndef _PSERIES_TCE_USER_H
#define _PSERIES_TCE_USER_H

#include <linux/mutex.h>
#include <linux/types.h>

struct device;
struct device_node;
struct iommu_table_group;
struct pci_dev;
struct property;

/* iommu.c */
extern struct mutex dma_win_init_mutex;
int pseries_remove_host_windows(struct iommu_table_group *table_group,
				struct pci_dev *pdev);
long pseries_setup_default_iommu_config(struct iommu_table_group *table_group,
					struct device *dev);

/* tce_user.c */
struct iommu_table_group *pseries_find_table_group(struct device_node *dn);
bool pseries_user_owned(struct device_node *dn);
struct pci_dev *pseries_get_pci_dev(struct iommu_table_group *table_group);
long pseries_take_ownership(struct iommu_table_group *table_group,
			    struct device *dev);
void pseries_release_ownership(struct iommu_table_group *table_group,
			       struct device *dev);
struct property *pseries_find_dead_property(struct device_node *np,
					    const char *name, int length);
bool pseries_revive_property(struct device_node *np, const char *name,
			     const void *value, int length);

#endif
