/* SPDX-License-Identifier: GPL-2.0-only */
/* The part of the kernel's header that is ours */
#ifndef _SPAPR_TCE_SHIM_MMU_CONTEXT_H
#define _SPAPR_TCE_SHIM_MMU_CONTEXT_H

struct mm_iommu_table_group_mem_t;

long mm_iommu_new(struct mm_struct *mm, unsigned long ua, unsigned long entries,
		  struct mm_iommu_table_group_mem_t **pmem);
long mm_iommu_newdev(struct mm_struct *mm, unsigned long ua,
		     unsigned long entries, unsigned long dev_hpa,
		     struct mm_iommu_table_group_mem_t **pmem);
long mm_iommu_unregister(struct mm_struct *mm,
			 struct mm_iommu_table_group_mem_t *mem, bool unmapped);
void mm_iommu_release(struct mm_struct *mm,
		      struct mm_iommu_table_group_mem_t *mem);
bool mm_iommu_covers(struct mm_iommu_table_group_mem_t *mem, unsigned long ua,
		     unsigned long size);
long mm_iommu_ref_range(struct mm_struct *mm,
			struct mm_iommu_table_group_mem_t *guess,
			unsigned long ua, unsigned long npages,
			unsigned int page_shift, bool write);
void mm_iommu_unref_range(struct mm_struct *mm,
			  struct mm_iommu_table_group_mem_t *guess,
			unsigned long ua, unsigned long npages,
			unsigned int page_shift);
void mm_iommu_translate_range(struct mm_struct *mm,
			      struct mm_iommu_table_group_mem_t *guess,
			unsigned long ua, unsigned long npages,
			unsigned int page_shift, unsigned long perm,
			__be64 *tces);
void mm_iommu_init(struct mm_struct *mm);
void mm_iommu_destroy(struct mm_struct *mm);
struct mm_iommu_table_group_mem_t *mm_iommu_lookup(struct mm_struct *mm,
						   unsigned long ua,
						   unsigned long size);
long mm_iommu_ua_to_hpa(struct mm_iommu_table_group_mem_t *mem,
			unsigned long ua, unsigned int pageshift,
			unsigned long *hpa);
bool mm_iommu_is_ram(struct mm_iommu_table_group_mem_t *mem);
bool mm_iommu_ref(struct mm_iommu_table_group_mem_t *mem,
		  unsigned long nr, bool write);

#endif
