/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For pci-ioda-tce.c: the members of platforms/powernv/pci.h that it uses, and
 * what pci-ioda.c and firmware do for it (machine.c).
 */
#ifndef _SPAPR_TCE_SHIM_PCI_H
#define _SPAPR_TCE_SHIM_PCI_H

#include <asm/iommu.h>

#define PNV_IODA_PE_BUS_ALL		2
#define POWERNV_IOMMU_DEFAULT_LEVELS	2
#define POWERNV_IOMMU_MAX_LEVELS	5

struct pci_bus;

struct pci_controller {
	struct device_node *dn;
	int node;
	struct pci_bus *bus;
};

enum pnv_phb_model {
	PNV_PHB_MODEL_UNKNOWN,
	PNV_PHB_MODEL_PHB3,
};

struct pnv_phb {
	enum pnv_phb_model model;
	phys_addr_t regs_phys;
	struct pci_controller *hose;
	u64 opal_id;
	struct {
		unsigned int m32_pci_base;
		unsigned long m64_size;
		unsigned long m64_base;
	} ioda;
};

enum pnv_pe_owner {
	PNV_PE_HOST,
	PNV_PE_BLOCKED,
	PNV_PE_DOMAIN,
};

struct pnv_ioda_pe {
	unsigned long flags;
	struct pnv_phb *phb;
	unsigned int pe_number;
	struct iommu_table_group table_group;
	bool tce_bypass_enabled;
	uint64_t tce_bypass_base;
	enum pnv_pe_owner owner;
	struct iommu_table *host_table;
	bool host_bypass;
	bool window0_bypass;
	bool window_stuck;
	bool dma_setup_done;
};

void __attribute__((format(printf, 2, 3)))
host_pe_printk(struct pnv_ioda_pe *pe, const char *fmt, ...);
#define pe_info(pe, fmt, ...)	host_pe_printk(pe, fmt, ##__VA_ARGS__)
#define pe_err(pe, fmt, ...)	host_pe_printk(pe, fmt, ##__VA_ARGS__)

s64 opal_pci_map_pe_dma_window(u64 phb_id, u16 pe_number, u16 window_id,
			       u16 levels, u64 table, u64 level_size,
			       u64 page_size);
int opal_error_code(int rc);
void __raw_rm_writeq_be(u64 value, void __iomem *reg);

void pnv_pci_ioda2_tce_invalidate_pe(struct pnv_ioda_pe *pe);
int pnv_pci_ioda2_set_bypass(struct pnv_ioda_pe *pe, bool enable);
long pnv_pci_ioda2_setup_default_config(struct pnv_ioda_pe *pe);
long pnv_pci_ioda2_create_table(struct iommu_table_group *table_group, int num,
				__u32 page_shift, __u64 window_size,
				__u32 levels, struct mm_struct *mm,
				struct iommu_table **ptbl);

unsigned long pnv_ioda_parse_tce_sizes(struct pnv_phb *phb);
int pnv_tce_build(struct iommu_table *tbl, long index, long npages,
		  unsigned long uaddr, enum dma_data_direction direction,
		  unsigned long attrs);
void pnv_tce_free(struct iommu_table *tbl, long index, long npages);
unsigned long pnv_tce_get(struct iommu_table *tbl, long index);
long pnv_pci_ioda2_table_alloc_pages(int nid, __u64 bus_offset,
				     __u32 page_shift, __u64 window_size,
				     __u32 levels, struct mm_struct *mm,
				     struct iommu_table *tbl);
void pnv_pci_ioda2_table_free_pages(struct iommu_table *tbl);
void pnv_pci_ioda2_tce_invalidate(struct iommu_table *tbl, unsigned long index,
				  unsigned long npages);
void pnv_pci_ioda2_tce_invalidate_pages(struct pnv_ioda_pe *pe,
					unsigned int shift, unsigned long index,
					unsigned int npages);
bool pnv_pci_ioda2_tce_kill_rm(struct iommu_table *tbl, unsigned long index,
			       unsigned long npages);
long pnv_pci_ioda2_set_window(struct iommu_table_group *table_group, int num,
			      struct iommu_table *tbl);
long pnv_pci_ioda2_unset_window(struct iommu_table_group *table_group, int num);
void pnv_pci_ioda2_release_pe_dma(struct pnv_ioda_pe *pe);
extern struct iommu_table_group_ops pnv_pci_ioda2_ops;

#endif
