/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Registered memory: user memory that is pinned, charged and translated once,
 * so that to map it for a device takes a look-up and a reference.
 *
 * The lowest layer: all that it knows about TCEs is how to write one. Above it are
 * user tables (asm/tce_user_table.h), which reference and translate what a request
 * maps, and the VFIO container driver, which registers. See
 * Documentation/arch/powerpc/tce.rst.
 */
#ifndef _ASM_POWERPC_MM_IOMMU_H
#define _ASM_POWERPC_MM_IOMMU_H

#include <linux/types.h>

struct mm_struct;
struct tce_batch;
struct mm_iommu_table_group_mem_t;	/* a registered region */

/**
 * struct mm_iommu_range - IOMMU pages that follow each other in user addresses
 * @mm: whose memory
 * @hint: a region that the caller has registered, probably the one of the
 *	  range; or NULL
 * @ua: user address, aligned to the IOMMU page size
 * @npages: how many IOMMU pages; may continue from one region into the next
 * @page_shift: log2 of the IOMMU page size
 */
struct mm_iommu_range {
	struct mm_struct *mm;
	struct mm_iommu_table_group_mem_t *hint;
	unsigned long ua;
	unsigned long npages;
	unsigned int page_shift;
};

/**
 * struct mm_iommu_bounds - the user addresses of a registered region
 * @mem: the region
 * @start: its first address
 * @size: its size in bytes; 0 for no region
 */
struct mm_iommu_bounds {
	struct mm_iommu_table_group_mem_t *mem;
	unsigned long start;
	unsigned long size;
};

/**
 * struct mm_iommu_hint - the region that a table has found last, without a reference
 * @mem: the region; valid in an RCU section in which the registry's generation still
 *	 is @generation
 * @generation: how many regions had been removed when @mem was found
 */
struct mm_iommu_hint {
	struct mm_iommu_table_group_mem_t *mem;
	unsigned long generation;
};

/**
 * struct mm_iommu_region_info - what debugfs tells of a region
 * @ua: its first user address
 * @size: its size in bytes
 * @map_refs: how many IOMMU pages map it
 * @registrations: number of registrations
 * @granule_shift: log2 of the size of its smallest granule
 * @written: a device was allowed to write
 */
struct mm_iommu_region_info {
	unsigned long ua;
	unsigned long size;
	unsigned long map_refs;
	unsigned int registrations;
	unsigned int granule_shift;
	bool written;
};

#ifdef CONFIG_SPAPR_TCE_IOMMU
/* Initialize and free the registry of an mm: iommu_api.c */
void mm_iommu_init(struct mm_struct *mm);
void mm_iommu_destroy(struct mm_struct *mm);
#else
static inline void mm_iommu_init(struct mm_struct *mm) { }
static inline void mm_iommu_destroy(struct mm_struct *mm) { }
#endif

/* Register and unregister: iommu_api.c */
long mm_iommu_new(struct mm_struct *mm, unsigned long ua, unsigned long entries,
		  struct mm_iommu_table_group_mem_t **pmem);
long mm_iommu_unregister(struct mm_struct *mm,
			 struct mm_iommu_table_group_mem_t *mem, bool unmapped);
void mm_iommu_release(struct mm_struct *mm,
		      struct mm_iommu_table_group_mem_t *mem);
bool mm_iommu_next_region(struct mm_struct *mm, unsigned long ua,
			  struct mm_iommu_region_info *info);

/* References and translation: iommu_refs.c */
bool mm_iommu_covers(struct mm_iommu_table_group_mem_t *mem, unsigned long ua,
		     unsigned long size);
long mm_iommu_ref_range(const struct mm_iommu_range *range, bool write);
void mm_iommu_unref_range(const struct mm_iommu_range *range);
void mm_iommu_translate_range(const struct mm_iommu_range *range,
			      unsigned long perm, __be64 *tces);
long mm_iommu_ref_page(const struct mm_iommu_range *range, unsigned long perm,
		       unsigned long *tce);
bool mm_iommu_unref_page(struct mm_struct *mm,
			 struct mm_iommu_table_group_mem_t *hint,
			 unsigned long ua);
bool mm_iommu_find_bounds(struct mm_struct *mm,
			  struct mm_iommu_table_group_mem_t *hint,
			  unsigned long ua, struct mm_iommu_bounds *bounds);
bool mm_iommu_ref(struct mm_iommu_table_group_mem_t *mem, unsigned long nr,
		  bool write);
void mm_iommu_unref(struct mm_iommu_table_group_mem_t *mem, unsigned long nr);
bool mm_iommu_try_unref(struct mm_iommu_table_group_mem_t *mem,
			unsigned long nr);
long mm_iommu_ua_to_hpa(struct mm_iommu_table_group_mem_t *mem,
			unsigned long ua, unsigned int pageshift,
			unsigned long *hpa);
bool mm_iommu_is_pinned(struct mm_iommu_table_group_mem_t *mem);

/* References and translation of batches: iommu_batch.c */
long mm_iommu_ref_batch(struct tce_batch *batch, unsigned int page_shift);
void mm_iommu_unref_batch(const struct tce_batch *batch,
			  unsigned int page_shift);
void mm_iommu_translate_batch(const struct tce_batch *batch,
			      unsigned int page_shift, unsigned long first,
			      unsigned long nr, __be64 *tces);

/* The same for real mode, for pages of one region: iommu_batch.c */
bool mm_iommu_find_bounds_rm(struct mm_struct *mm, struct mm_iommu_hint *hint,
			     unsigned long ua, struct mm_iommu_bounds *bounds);
bool mm_iommu_resolve_batch_rm(struct mm_iommu_hint *hint,
			       struct tce_batch *batch);
bool mm_iommu_ref_page_rm(struct mm_struct *mm, struct mm_iommu_hint *hint,
			  unsigned long ua, unsigned int page_shift,
			  unsigned long *tce);
bool mm_iommu_try_unref_page_rm(struct mm_struct *mm, struct mm_iommu_hint *hint,
				unsigned long ua);

#endif /* _ASM_POWERPC_MM_IOMMU_H */
