/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hand-over of DMA windows between the host and a process, on an LPAR.
 */
#ifndef _PSERIES_TCE_HANDOVER_H
#define _PSERIES_TCE_HANDOVER_H

#include <linux/types.h>

struct device_node;
struct iommu_table_group_ops;
struct pci_bus;
struct pci_dev;

extern struct iommu_table_group_ops pseries_table_group_ops;

/* iommu.c */
void pseries_host_bus_setup(struct pci_bus *bus);
void pseries_host_dev_setup(struct pci_dev *dev);

/* tce_handover.c */
bool pseries_user_owned(struct device_node *dn);
void pseries_dma_bus_setup(struct pci_bus *bus);
void pseries_dma_dev_setup(struct pci_dev *dev);

#endif
