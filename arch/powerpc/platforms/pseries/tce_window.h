/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DMA windows of a PE of an LPAR, for the host and for processes.
 */
#ifndef _PSERIES_TCE_WINDOW_H
#define _PSERIES_TCE_WINDOW_H

#include <linux/mutex.h>
#include <linux/types.h>

struct device_node;
struct iommu_table;
struct iommu_table_group;
struct mm_struct;
struct pci_dev;
struct property;

/**
 * struct ddw_query_response - what firmware says of windows that a PE may get
 * @windows_available: how many more
 * @largest_available_block: size of the largest, in TCEs
 * @page_size: bit mask of the sizes of IOMMU pages
 * @migration_capable: such a mask for pages that may be migrated
 */
struct ddw_query_response {
	u32 windows_available;
	u64 largest_available_block;
	u32 page_size;
	u32 migration_capable;
};

/**
 * struct ddw_create_response - a window that firmware made
 * @liobn: its number for hypercalls
 * @addr_hi: upper half of its first address on the bus
 * @addr_lo: lower half
 */
struct ddw_create_response {
	u32 liobn;
	u32 addr_hi, addr_lo;
};

/* iommu.c */
extern struct mutex dma_win_init_mutex;
struct iommu_table *iommu_pseries_alloc_table(int node);
int query_ddw(struct pci_dev *dev, const u32 *ddw_avail,
	      struct ddw_query_response *query, struct device_node *parent);
int create_ddw(struct pci_dev *dev, const u32 *ddw_avail,
	       struct ddw_create_response *create, int page_shift,
	       int window_shift);
struct property *ddw_property_create(const char *propname, u32 liobn, u64 dma_addr,
				     u32 page_shift, u32 window_shift);
void __remove_dma_window(struct device_node *np, u32 *ddw_avail, u64 liobn);
int remove_dma_window_named(struct device_node *np, bool remove_prop,
			    const char *win_name, bool cleanup);
long remove_dynamic_dma_windows(struct pci_dev *pdev, struct device_node *pdn);
void reset_dma_window(struct pci_dev *dev, struct device_node *par_dn);

/* tce_window.c */
struct device_node *pseries_find_pe(struct device_node *dn);
struct property *pseries_reuse_property(struct device_node *np,
					struct property *fresh);
void pseries_copy_property(struct device_node *np, const char *from,
			   const char *to);
void pseries_make_host_window(struct iommu_table_group *table_group,
			      struct pci_dev *pdev);
long pseries_remove_host_windows(struct iommu_table_group *table_group,
				 struct pci_dev *pdev);
long pseries_create_user_table(struct iommu_table_group *table_group,
			       const struct tce_window_config *window,
			       struct mm_struct *mm, struct iommu_table **ptbl);
long pseries_unset_window(struct iommu_table_group *table_group, int num);

#endif /* _PSERIES_TCE_WINDOW_H */
