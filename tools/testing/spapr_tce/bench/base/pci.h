/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For the base's pci-ioda-tce.c: the members of platforms/powernv/pci.h that it
 * uses, and what pci-ioda.c and firmware do for it (bench-base.c).
 */
#ifndef _SPAPR_TCE_SHIM_BASE_PCI_H
#define _SPAPR_TCE_SHIM_BASE_PCI_H

#include <asm/iommu.h>

#define POWERNV_IOMMU_DEFAULT_LEVELS	2
#define POWERNV_IOMMU_MAX_LEVELS	5

struct pci_controller {
	struct device_node *dn;
	int node;
};

struct pnv_phb {
	struct pci_controller *hose;
	u64 opal_id;
};

struct pnv_ioda_pe {
	struct pnv_phb *phb;
	unsigned int pe_number;
	struct iommu_table_group table_group;
	uint64_t tce_bypass_base;
};

unsigned long pnv_ioda_parse_tce_sizes(struct pnv_phb *phb);
int pnv_tce_build(struct iommu_table *tbl, long index, long npages,
		  unsigned long uaddr, enum dma_data_direction direction,
		  unsigned long attrs);
void pnv_tce_free(struct iommu_table *tbl, long index, long npages);
int pnv_tce_xchg(struct iommu_table *tbl, long index, unsigned long *hpa,
		 enum dma_data_direction *direction);
__be64 *pnv_tce_useraddrptr(struct iommu_table *tbl, long index, bool alloc);
unsigned long pnv_tce_get(struct iommu_table *tbl, long index);
long pnv_pci_ioda2_table_alloc_pages(int nid, __u64 bus_offset,
				     __u32 page_shift, __u64 window_size,
				     __u32 levels, bool alloc_userspace_copy,
				     struct iommu_table *tbl);
void pnv_pci_ioda2_table_free_pages(struct iommu_table *tbl);
long pnv_pci_link_table_and_group(int node, int num, struct iommu_table *tbl,
				  struct iommu_table_group *table_group);
void pnv_pci_unlink_table_and_group(struct iommu_table *tbl,
				    struct iommu_table_group *table_group);

#endif
