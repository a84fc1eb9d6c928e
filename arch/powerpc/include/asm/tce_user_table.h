/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * User tables: TCE tables that a process owns. They map memory of the process
 * for a device that the process, or a guest of it, drives.
 *
 * Above: VFIO, KVM and platforms, which see no more of user tables. Below:
 * registered memory (asm/mm_iommu.h) and the tree of TCEs (asm/tce_tree.h). See
 * Documentation/arch/powerpc/tce.rst.
 */
#ifndef _ASM_POWERPC_TCE_USER_TABLE_H
#define _ASM_POWERPC_TCE_USER_TABLE_H

#include <linux/dma-direction.h>
#include <linux/errno.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/types.h>

#include <asm/mm_iommu.h>
#include <asm/reg.h>
#include <asm/tce_batch.h>

struct iommu_table;
struct tce_iter;

/* The most TCEs that a hypervisor takes in one batch, a page of 4K */
#define TCE_BATCH_MAX		512

/**
 * struct user_table_config - properties of a user table
 * @mm: the process that is charged for the table and whose memory it will map
 * @levels: least number of levels
 * @max_levels: largest number of levels
 * @in_memory: the hardware walks iommu_table::it_tree. Otherwise the tree has
 *	       shadows only, and iommu_table_ops::store_batch and
 *	       iommu_table_ops::clear_batch write the TCEs
 */
struct user_table_config {
	struct mm_struct *mm;
	unsigned int levels;
	unsigned int max_levels;
	bool in_memory;
};

/**
 * struct tce_window_config - a DMA window to be made for a process
 * @num: number of the window
 * @page_shift: log2 of the size of IOMMU pages
 * @size: its size in bytes
 * @levels: least number of levels
 */
struct tce_window_config {
	int num;
	u32 page_shift;
	u64 size;
	u32 levels;
};

/**
 * struct user_table_stat - geometry and cost of a table
 * @id: a number that no other table has had since the kernel was started
 * @levels: number of levels
 * @level_shift: log2 of the size of a level in bytes
 * @bytes: memory of all levels
 * @charged_pages: the charge to its process, in system pages
 */
struct user_table_stat {
	unsigned long id;
	unsigned int levels;
	unsigned int level_shift;
	unsigned long bytes;
	unsigned long charged_pages;
};

/**
 * struct tce_debug_ref - a container or guest that can reach a table, for debugfs
 * @node: in user_table::debug_refs
 * @who: "container" or "kvm"
 * @pid: thread group of the thread that added it
 * @group: number of the IOMMU group on whose behalf
 * @liobn: the guest's name of the table; 0 for a container
 *
 * Embedded in the structure that has the reference of the table. It is no
 * reference itself.
 */
struct tce_debug_ref {
	struct list_head node;
	const char *who;
	pid_t pid;
	int group;
	u64 liobn;
};

/* Is translation off? Then firmware and most of memory are out of reach */
static inline bool tce_in_real_mode(void)
{
	return !(mfmsr() & MSR_DR);
}

#ifdef CONFIG_SPAPR_TCE_IOMMU
/* Life of a table, and requests of a container: tce_user_table.c */
int user_table_init(struct iommu_table *tbl,
		    const struct user_table_config *config);
void user_table_destroy(struct iommu_table *tbl);
void user_table_revoke(struct iommu_table *tbl,
		       struct mm_iommu_table_group_mem_t *hint);
bool user_table_is_revoked(struct iommu_table *tbl);
void user_table_get_stat(struct iommu_table *tbl, struct user_table_stat *stat);
unsigned long user_table_perm(const struct iommu_table *tbl,
			      enum dma_data_direction direction);
long user_table_map(struct iommu_table *tbl, unsigned long entry,
		    const struct mm_iommu_range *range,
		    enum dma_data_direction direction);
long user_table_map_pinned(struct iommu_table *tbl, unsigned long entry,
			   unsigned long npages, const __be64 *tces);
int user_table_unmap(struct iommu_table *tbl, unsigned long entry,
		     unsigned long npages,
		     struct mm_iommu_table_group_mem_t *hint);
void user_table_trim_covered(struct iommu_table *tbl);
bool user_table_maps(struct iommu_table *tbl, unsigned long ua,
		     unsigned long size);

/* Find the table of a group, and put a guest's batches into it: tce_user_batch.c */
void user_tables_forget(struct iommu_group *grp);
struct iommu_table *user_table_get(struct iommu_group *grp,
				   struct mm_struct *mm,
				   unsigned int page_shift, u64 start,
				   u64 size);
int user_table_prepare_batch(struct iommu_table *tbl, struct tce_iter *iter,
			     unsigned long entry, struct tce_batch *batch);
void user_table_cancel_batch(struct iommu_table *tbl, struct tce_iter *iter,
			     const struct tce_batch *batch);
int user_table_commit_batch(struct iommu_table *tbl, struct tce_iter *iter,
			    unsigned long entry, const struct tce_batch *batch);

/* Requests of a guest without sleeping, real mode included: tce_user_rm.c */
bool user_table_lock_rm(struct iommu_table *tbl);
bool user_table_trylock_rm(struct iommu_table *tbl);
void user_table_unlock_rm(struct iommu_table *tbl);
bool user_table_can_store_rm(struct iommu_table *tbl, struct tce_iter *iter,
			     unsigned long entry, unsigned long npages);
bool user_table_resolve_rm(struct iommu_table *tbl, struct tce_batch *batch);
void user_table_store_batch_rm(struct iommu_table *tbl, struct tce_iter *iter,
			       unsigned long entry,
			       const struct tce_batch *batch);
bool user_table_unmap_rm(struct iommu_table *tbl, unsigned long entry,
			 unsigned long npages);
bool user_table_map_page_rm(struct iommu_table *tbl, unsigned long entry,
			    unsigned long ua);
bool user_table_unmap_page_rm(struct iommu_table *tbl, unsigned long entry);
#else
static inline int user_table_init(struct iommu_table *tbl,
				  const struct user_table_config *config)
{
	return -ENODEV;
}

static inline void user_table_destroy(struct iommu_table *tbl)
{
}

static inline void user_tables_forget(struct iommu_group *grp)
{
	iommu_group_set_iommudata(grp, NULL, NULL);
}
#endif /* CONFIG_SPAPR_TCE_IOMMU */

/* Assert that the caller may change TCEs, and sleep: tce_user_lpar.c */
#if defined(CONFIG_SPAPR_TCE_IOMMU) && defined(CONFIG_PROVE_LOCKING)
void user_table_assert_locked(struct iommu_table *tbl);
#else
static inline void user_table_assert_locked(struct iommu_table *tbl)
{
}
#endif

/* Show in debugfs who can reach a table: tce_debugfs.c */
#if defined(CONFIG_SPAPR_TCE_IOMMU) && defined(CONFIG_DEBUG_FS)
void tce_debug_ref_add(struct iommu_table *tbl, struct tce_debug_ref *ref,
		       const char *who, int group, u64 liobn);
void tce_debug_ref_remove(struct tce_debug_ref *ref);
#else
static inline void tce_debug_ref_add(struct iommu_table *tbl,
				     struct tce_debug_ref *ref,
				     const char *who, int group, u64 liobn)
{
}

static inline void tce_debug_ref_remove(struct tce_debug_ref *ref)
{
}
#endif

#endif /* _ASM_POWERPC_TCE_USER_TABLE_H */
