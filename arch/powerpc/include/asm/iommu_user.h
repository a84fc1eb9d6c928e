/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * User-owned TCE tables: tables that map memory of a process for a device
 * that the process, or a guest of it, drives.
 */
#ifndef _ASM_POWERPC_IOMMU_USER_H
#define _ASM_POWERPC_IOMMU_USER_H

#include <linux/list.h>
#include <linux/workqueue_types.h>

#include <asm/iommu.h>
#include <asm/tce_tree.h>

/*
 * An entry of the user view says what the TCE of the same index holds on to,
 * so that it can be given back when the TCE goes. Zero: nothing. Otherwise an
 * address, at least 4K aligned, and these bits.
 */
#define IOMMU_VIEW_UA		0x1UL	/* a count of the region at this user address */
#define IOMMU_VIEW_PIN		0x2UL	/* a pin of the page at this real address */
#define IOMMU_VIEW_WRITE	0x4UL	/* with IOMMU_VIEW_PIN: writable by the device */
#define IOMMU_VIEW_FLAGS	0xfffUL

/**
 * struct iommu_table_user - the part of an iommu_table that a process owns
 * @tbl: the table that this belongs to
 * @mm: where counts, pins and charges are taken and given back; referenced
 * @account: what the levels of the table cost @mm
 * @node: in the list of all user-owned tables
 * @destroy: frees the table in process context
 * @free_table: how @destroy frees the table itself
 */
struct iommu_table_user {
	struct iommu_table *tbl;
	struct mm_struct *mm;
	struct tce_account account;
	struct list_head node;
	struct work_struct destroy;
	void (*free_table)(struct iommu_table *tbl);
};

struct mm_iommu_table_group_mem_t;

#ifdef CONFIG_SPAPR_TCE_IOMMU
int iommu_user_init_table(struct iommu_table *tbl, struct mm_struct *mm,
			  unsigned int levels, unsigned int max_levels,
			  bool in_memory);
void iommu_user_destroy_table(struct iommu_table *tbl,
			      void (*free_table)(struct iommu_table *tbl));
void iommu_user_flush(void);

long iommu_user_map(struct iommu_table *tbl, unsigned long entry,
		    unsigned long npages,
		    struct mm_iommu_table_group_mem_t *mem, unsigned long ua,
		    enum dma_data_direction direction);
long iommu_user_map_pinned(struct iommu_table *tbl, unsigned long entry,
			   unsigned long npages, const __be64 *tces);
void iommu_user_unmap(struct iommu_table *tbl, unsigned long entry,
		      unsigned long npages,
		      struct mm_iommu_table_group_mem_t *mem);
bool iommu_user_maps(struct iommu_table *tbl, unsigned long ua,
		     unsigned long size);
__be64 *iommu_user_view_entry(struct iommu_table *tbl, long entry, bool alloc);
#else
static inline int iommu_user_init_table(struct iommu_table *tbl,
					struct mm_struct *mm,
					unsigned int levels,
					unsigned int max_levels, bool in_memory)
{
	return -ENODEV;
}

static inline void
iommu_user_destroy_table(struct iommu_table *tbl,
			 void (*free_table)(struct iommu_table *tbl))
{
}

static inline __be64 *iommu_user_view_entry(struct iommu_table *tbl, long entry,
					    bool alloc)
{
	return NULL;
}
#endif /* CONFIG_SPAPR_TCE_IOMMU */

#endif /* _ASM_POWERPC_IOMMU_USER_H */
