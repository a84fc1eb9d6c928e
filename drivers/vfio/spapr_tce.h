/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A container of SPAPR TCE, for the files of its driver. spapr_tce_main.c says how
 * they work together.
 *
 * Functions with a struct tce_param are requests of user space, or steps of
 * them: tce_requests[] in spapr_tce_main.c has their ioctls. Below are user
 * tables (asm/tce_user_table.h), registered memory (asm/mm_iommu.h), and the
 * windows of the platform (struct iommu_table_group_ops).
 */
#ifndef _VFIO_SPAPR_TCE_H
#define _VFIO_SPAPR_TCE_H

#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/rbtree.h>
#include <linux/rwsem.h>
#include <linux/vfio.h>

#include <asm/iommu.h>
#include <asm/mm_iommu.h>
#include <asm/tce_user_table.h>

#include "vfio.h"

/**
 * struct tce_group - a group of the container
 * @node: in tce_container::groups
 * @seq: rises from group to group of the list
 * @iommu_group: the group
 * @debug_refs: say that the container has a table on behalf of the group
 */
struct tce_group {
	struct list_head node;
	u64 seq;
	struct iommu_group *iommu_group;
	struct tce_debug_ref debug_refs[IOMMU_TABLE_GROUP_MAX_TABLES];
};

/**
 * struct tce_region - memory that a container has registered (v2)
 * @node: in tce_container::regions
 * @start: its first user address
 * @last: its last user address
 * @mem: the region, which other containers may have registered as well
 */
struct tce_region {
	struct rb_node node;
	unsigned long start;
	unsigned long last;
	struct mm_iommu_table_group_mem_t *mem;
};

/**
 * struct tce_container - a container
 * @lock: covers everything here; shared by requests that change nothing of it, but
 *	  the TCEs of @tables, and @recent
 * @show_lock: protects changes of @tables against readers of fdinfo. Inside @lock;
 *	       nothing waits with it held
 * @eeh_lock: one EEH operation at a time. Outside of @lock; not taken with a device
 *	      locked
 * @pin_lock: v1: serializes maps and disabling, so that only one map has pins
 *	      for pages not mapped yet. Outside of @lock and of the mmap_lock
 * @mm: the process that is charged, referenced: the owner; or, during a request that
 *	may make its process the owner, that process; else NULL
 * @owner: @mm once a request has made it the owner, else NULL; also read without @lock
 * @v2: version 2
 * @enabled: v1: enabled; v2: something has been registered
 * @default_pending: the default window is still to be made
 * @enabled_pages: v1: what enabling has charged, in system pages
 * @pinning: v1: a map has pinned pages, or is going to, that @enabled_pages pays for. May
 *	     be changed with @lock shared and @pin_lock
 * @tables: the windows
 * @groups: of struct tce_group
 * @last_seq: tce_group::seq of the group that came last
 * @registered_pages: v2: size of all of @regions, in system pages
 * @regions: v2: of struct tce_region, in the order of their addresses
 * @recent: v2: for each of @tables, the one of @regions that was mapped there
 *	    last, or NULL: the next request mostly uses the same. May be set to
 *	    any of @regions with @lock shared. One per table, so that threads
 *	    with a window each do not overwrite each other's
 */
struct tce_container {
	struct rw_semaphore lock;	/* everything here */
	struct mutex show_lock;	/* changes of tables */
	struct mutex eeh_lock;	/* EEH operations */
	struct mutex pin_lock;	/* maps of version 1 */
	struct mm_struct *mm;
	struct mm_struct *owner;
	bool v2;
	bool enabled;
	bool default_pending;
	bool pinning;
	unsigned long enabled_pages;
	unsigned long registered_pages;
	struct iommu_table *tables[IOMMU_TABLE_GROUP_MAX_TABLES];
	struct list_head groups;
	u64 last_seq;
	struct rb_root regions;
	struct tce_region *recent[IOMMU_TABLE_GROUP_MAX_TABLES];
};

/**
 * struct tce_param - arguments of a request
 * @user: the user's structure, to which an answer is copied
 * @region: REGISTER_MEMORY only: the region, registered before the lock is taken
 * @tces: MAP_DMA of v1 only: TCEs of pages that are pinned before the lock is taken
 * @pinned: likewise: how many pins are still the request's
 * @pin_error: likewise: why there are no @tces, or 0
 * @map: a copy of the user's structure, and so are all below
 * @unmap: likewise
 * @info: likewise
 * @memory: likewise
 * @create: likewise
 * @remove: likewise
 */
struct tce_param {
	void __user *user;
	struct tce_region *region;
	__be64 *tces;
	unsigned long pinned;
	long pin_error;
	union {
		struct vfio_iommu_type1_dma_map map;
		struct vfio_iommu_type1_dma_unmap unmap;
		struct vfio_iommu_spapr_tce_info info;
		struct vfio_iommu_spapr_register_memory memory;
		struct vfio_iommu_spapr_tce_create create;
		struct vfio_iommu_spapr_tce_remove remove;
	};
};

static inline struct iommu_table_group *tce_table_group(struct tce_group *grp)
{
	return iommu_group_get_iommudata(grp->iommu_group);
}

/*
 * Any group of the container, as all have the same windows. NULL while there is none,
 * which only the first group that joins sees: requests are refused then.
 */
static inline struct iommu_table_group *tce_any_group(struct tce_container *c)
{
	struct tce_group *grp;

	lockdep_assert_held(&c->lock);
	grp = list_first_entry_or_null(&c->groups, struct tce_group, node);

	return grp ? tce_table_group(grp) : NULL;
}

static inline u64 tce_window_start(struct iommu_table *tbl)
{
	return (u64)tbl->it_offset << tbl->it_page_shift;
}

static inline u64 tce_window_size(struct iommu_table *tbl)
{
	return (u64)tbl->it_size << tbl->it_page_shift;
}

static inline bool tce_bad_range(u64 start, u64 size)
{
	u64 end;

	return !size || check_add_overflow(start, size, &end);
}

/* The region that an unmap is probably about: the one mapped last, or NULL */
static inline struct mm_iommu_table_group_mem_t *tce_hint(struct tce_container *c, int num)
{
	struct tce_region *recent = READ_ONCE(c->recent[num]);

	return recent ? recent->mem : NULL;
}

/* spapr_tce_windows.c */
long tce_group_set_window(struct tce_group *grp, int num,
			  struct iommu_table *tbl);
void tce_group_unset_window(struct tce_group *grp, int num);
void tce_remove_window(struct tce_container *c, int num);
void tce_remove_windows(struct tce_container *c);
int tce_make_default(struct tce_container *c);
long tce_get_info(struct tce_container *c, struct tce_param *param);
long tce_create(struct tce_container *c, struct tce_param *param);
long tce_remove(struct tce_container *c, struct tce_param *param);

/* Make the default window if it is still pending */
static inline int tce_create_default(struct tce_container *c)
{
	return unlikely(c->default_pending) ? tce_make_default(c) : 0;
}

/* spapr_tce_groups.c */
int tce_container_attach(void *iommu_data, struct iommu_group *iommu_group,
			 enum vfio_group_type type);
void tce_container_detach(void *iommu_data, struct iommu_group *iommu_group);
void tce_detach(struct tce_container *c, struct tce_group *grp);

/* spapr_tce_regions.c */
struct tce_region *tce_find_region(struct tce_container *c, unsigned long ua);
int tce_prepare_region(struct tce_container *c, struct tce_param *param);
void tce_finish_region(struct tce_container *c, struct tce_param *param,
		       long ret);
long tce_register(struct tce_container *c, struct tce_param *param);
long tce_unregister(struct tce_container *c, struct tce_param *param);
void tce_release_regions(struct tce_container *c);

/* spapr_tce_map.c */
long tce_map(struct tce_container *c, struct tce_param *param);
long tce_unmap(struct tce_container *c, struct tce_param *param);

/* spapr_tce_v1.c */
long tce_enable_v1(struct tce_container *c, struct tce_param *param);
long tce_disable_v1(struct tce_container *c, struct tce_param *param);
int tce_prepare_disable_v1(struct tce_container *c, struct tce_param *param);
void tce_finish_disable_v1(struct tce_container *c, struct tce_param *param,
			   long ret);
int tce_prepare_map_v1(struct tce_container *c, struct tce_param *param);
void tce_finish_map_v1(struct tce_container *c, struct tce_param *param,
		       long ret);
long tce_map_v1(struct iommu_table *tbl, unsigned long entry,
		unsigned long npages, struct tce_param *param,
		enum dma_data_direction direction);
void tce_uncharge_enabled(struct tce_container *c);

/* spapr_tce_eeh.c */
#ifdef CONFIG_EEH
long tce_eeh(struct tce_container *c, struct tce_param *param);
#else
static inline long tce_eeh(struct tce_container *c, struct tce_param *param)
{
	return -ENODEV;
}
#endif

#endif
