// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO container driver for the SPAPR TCE IOMMU of POWER, version 1 and 2.
 *
 * A container belongs to the process whose request is the first one that
 * changes it and succeeds, and owns
 * - tables: at most one per DMA window; every group of the container uses all
 *   of them, so all devices of a container see the same memory;
 * - registrations (v2): what may be mapped. A container maps only what it
 *   registered itself, though regions of memory are shared between the
 *   containers of a process.
 *
 * One mutex covers all of it, from the first look at a request's arguments to
 * the end of its effects. Three do not wait for it: a request of a process that
 * is not the owner, which is refused; fdinfo; and EEH, whose operations lock
 * devices. Who unbinds a device has locked it when the group leaves, which
 * takes the container's mutex.
 *
 * VFIO's core lets requests run on when the last group has left. They find a
 * container without groups, and answer as if there were none.
 *
 * Version 1 charges the whole 32-bit window when it is enabled, and pins pages
 * as they are mapped. Version 2 pins and charges memory when it is registered,
 * can make windows, and makes the default 32-bit window when a map or another
 * window first needs it to be there.
 *
 * Why a request was refused is said at debug level, where many things can be
 * the reason: a user could fill the log with it.
 */
#define pr_fmt(fmt) "spapr_tce: " fmt

#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/io.h>
#include <linux/log2.h>
#include <linux/maple_tree.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include <asm/eeh.h>
#include <asm/iommu.h>
#include <asm/mm_iommu.h>
#include <asm/tce.h>
#include <asm/tce_user_table.h>

#include <trace/events/spapr_tce.h>

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
 * struct tce_container - a container
 * @lock: covers everything here
 * @show_lock: @tables change, and fdinfo looks at them, under it; inside @lock,
 *	       and nobody waits for anything with it
 * @eeh_lock: one EEH operation at a time; outside of @lock, and nobody waits for
 *	      it who has locked a device
 * @mm: who pays, referenced: the owner, or during the first request that may
 *	make its process the owner, that one; NULL as long as there is neither
 * @owner: the owner once it is one, also read without @lock; @mm or NULL
 * @v2: version 2
 * @enabled: v1: enabled; v2: something has been registered
 * @default_pending: the default window is still to be made
 * @enabled_pages: v1: what enabling has charged, in system pages
 * @tables: the windows
 * @groups: of struct tce_group
 * @last_seq: tce_group::seq of the group that came last
 * @registered_pages: v2: size of all of @regions, in system pages
 * @regions: v2: registrations, user address range to region
 * @recent: v2: the one of @regions that was mapped last, NULL if none was; a
 *	    request is mostly about the same memory as the one before
 */
struct tce_container {
	struct mutex lock;	/* everything here */
	struct mutex show_lock;	/* changes of tables */
	struct mutex eeh_lock;	/* EEH operations */
	struct mm_struct *mm;
	struct mm_struct *owner;
	bool v2;
	bool enabled;
	bool default_pending;
	unsigned long enabled_pages;
	unsigned long registered_pages;
	struct iommu_table *tables[IOMMU_TABLE_GROUP_MAX_TABLES];
	struct list_head groups;
	u64 last_seq;
	struct maple_tree regions;
	struct mm_iommu_table_group_mem_t *recent;
};

static struct iommu_table_group *tce_table_group(struct tce_group *grp)
{
	return iommu_group_get_iommudata(grp->iommu_group);
}

/*
 * All groups are alike; each request but EEH's has seen that there is one. NULL
 * for the first one that joins.
 */
static struct iommu_table_group *tce_any_group(struct tce_container *c)
{
	struct tce_group *grp;

	lockdep_assert_held(&c->lock);
	grp = list_first_entry_or_null(&c->groups, struct tce_group, node);

	return grp ? tce_table_group(grp) : NULL;
}

/*
 * Windows.
 */

static u64 tce_window_start(struct iommu_table *tbl)
{
	return (u64)tbl->it_offset << tbl->it_page_shift;
}

static u64 tce_window_size(struct iommu_table *tbl)
{
	return (u64)tbl->it_size << tbl->it_page_shift;
}

static long tce_group_set_window(struct tce_group *grp, int num,
				 struct iommu_table *tbl)
{
	struct iommu_table_group *table_group = tce_table_group(grp);
	long ret = table_group->ops->set_window(table_group, num, tbl);

	if (!ret)
		tce_debug_ref_add(tbl, grp->debug_refs + num, "container",
				  iommu_group_id(grp->iommu_group), 0);

	return ret;
}

static void tce_group_unset_window(struct tce_group *grp, int num)
{
	struct iommu_table_group *table_group = tce_table_group(grp);

	tce_debug_ref_remove(grp->debug_refs + num);
	if (table_group->tables[num])
		table_group->ops->unset_window(table_group, num);
}

/* Undo tce_set_window() for the groups before @end */
static void tce_unset_window(struct tce_container *c, int num,
			     struct tce_group *end)
{
	struct tce_group *grp;

	list_for_each_entry(grp, &c->groups, node) {
		if (grp == end)
			break;
		tce_group_unset_window(grp, num);
	}
}

static int tce_set_window(struct tce_container *c, int num,
			  struct iommu_table *tbl)
{
	struct tce_group *grp;
	long ret;

	list_for_each_entry(grp, &c->groups, node) {
		ret = tce_group_set_window(grp, num, tbl);
		if (ret) {
			tce_unset_window(c, num, grp);
			return ret;
		}
	}

	return 0;
}

/* Have @tbl, or none, as a window; not before it works and not after it does */
static void tce_set_table(struct tce_container *c, int num,
			  struct iommu_table *tbl)
{
	lockdep_assert_held(&c->lock);
	mutex_lock(&c->show_lock);
	c->tables[num] = tbl;
	mutex_unlock(&c->show_lock);
}

/*
 * Clear first: an LPAR's TCEs can be reached only while the window is there,
 * and other holders of the table (KVM) must not keep its maps alive.
 */
static void tce_remove_window(struct tce_container *c, int num)
{
	struct iommu_table *tbl = c->tables[num];

	trace_tce_window_remove(tbl, num);
	user_table_revoke(tbl, c->recent);
	tce_unset_window(c, num, NULL);
	tce_set_table(c, num, NULL);
	iommu_tce_table_put(tbl);
}

static void tce_remove_windows(struct tce_container *c)
{
	int num;

	for (num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++)
		if (c->tables[num])
			tce_remove_window(c, num);
}

/* How many windows there can be at a time, the default one among them */
static u32 tce_max_windows(struct tce_container *c)
{
	return min_t(u32, tce_any_group(c)->max_dynamic_windows_supported,
		     IOMMU_TABLE_GROUP_MAX_TABLES);
}

static int tce_free_window(struct tce_container *c)
{
	u32 max = tce_max_windows(c);
	int num;

	for (num = 0; num < max; num++)
		if (!c->tables[num])
			return num;
	pr_debug_ratelimited("all %u windows are in use\n", max);

	return -ENOSPC;
}

/* Page sizes that all groups can do */
static u64 tce_page_sizes(struct tce_container *c)
{
	struct tce_group *grp;
	u64 sizes = ~0ULL;

	list_for_each_entry(grp, &c->groups, node)
		sizes &= tce_table_group(grp)->pgsizes;

	return sizes;
}

static int tce_make_table(struct tce_container *c, int num, u32 page_shift,
			  u64 size, u32 levels)
{
	struct iommu_table_group *table_group = tce_any_group(c);
	struct iommu_table *tbl = NULL;
	long ret;

	ret = table_group->ops->create_user_table(table_group, num, page_shift,
						  size, levels, c->mm, &tbl);
	if (ret) {
		pr_debug_ratelimited("no table of %#llx bytes with pages of 1 << %u: error %ld\n",
				     size, page_shift, ret);
		/* Platform code may hand on what firmware said */
		return ret < 0 ? ret : -EIO;
	}

	ret = tce_set_window(c, num, tbl);
	if (ret) {
		iommu_tce_table_put(tbl);
		return ret;
	}
	tce_set_table(c, num, tbl);

	return 0;
}

static int tce_create_table(struct tce_container *c, int num, u32 page_shift,
			    u64 size, u32 levels)
{
	int ret = tce_make_table(c, num, page_shift, size, levels);

	trace_tce_window_create(c->tables[num], num, page_shift, size, levels,
				ret);

	return ret;
}

static noinline int tce_make_default(struct tce_container *c)
{
	struct iommu_table_group *table_group = tce_any_group(c);
	int ret;

	ret = tce_create_table(c, 0, IOMMU_PAGE_SHIFT_4K,
			       table_group->tce32_size, 1);
	if (!ret)
		c->default_pending = false;

	return ret;
}

/* Have the default window, unless it was made or removed before */
static int tce_create_default(struct tce_container *c)
{
	return unlikely(c->default_pending) ? tce_make_default(c) : 0;
}

static noinline struct iommu_table *tce_no_table(u64 iova, u64 size, int err)
{
	pr_debug_ratelimited("%#llx bytes at %#llx are not in one window: error %d\n",
			     size, iova, err);

	return ERR_PTR(err);
}

/* The table of [@iova, @iova + @size), which is neither empty nor wraps */
static __always_inline struct iommu_table *
tce_find_table(struct tce_container *c, u64 iova, u64 size)
{
	struct iommu_table *tbl;
	u64 offset;
	int num;

	for (num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++) {
		tbl = c->tables[num];
		if (!tbl)
			continue;
		offset = iova - tce_window_start(tbl);
		if (offset >= tce_window_size(tbl))
			continue;
		if (size > tce_window_size(tbl) - offset)
			return tce_no_table(iova, size, -EINVAL);
		return tbl;
	}

	return tce_no_table(iova, size, -ENXIO);
}

/*
 * Requests. Each handler runs under the lock and for the owner.
 */

static bool tce_bad_range(u64 start, u64 size)
{
	u64 end;

	return !size || check_add_overflow(start, size, &end);
}

static long tce_get_info(struct tce_container *c, void __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_iommu_spapr_tce_info,
					  dma32_window_size);
	struct iommu_table_group *table_group = tce_any_group(c);
	struct vfio_iommu_spapr_tce_info info = { };
	u32 argsz;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;

	argsz = info.argsz;
	if (argsz < minsz)
		return -EINVAL;

	info.flags = 0;
	info.dma32_window_start = table_group->tce32_start;
	info.dma32_window_size = table_group->tce32_size;
	if (c->v2 && table_group->max_dynamic_windows_supported) {
		info.flags |= VFIO_IOMMU_SPAPR_INFO_DDW;
		info.ddw.pgsizes = tce_page_sizes(c);
		info.ddw.max_dynamic_windows_supported = tce_max_windows(c);
		info.ddw.levels = table_group->max_levels;
	}
	if (argsz >= offsetofend(struct vfio_iommu_spapr_tce_info, ddw))
		minsz = offsetofend(struct vfio_iommu_spapr_tce_info, ddw);

	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static long tce_enable_v1(struct tce_container *c, void __user *arg)
{
	struct iommu_table_group *table_group = tce_any_group(c);
	unsigned long npages;
	int ret;

	if (c->enabled)
		return -EBUSY;

	/* All that could ever be mapped at once, whatever the page size */
	npages = table_group->tce32_size >> PAGE_SHIFT;
	ret = account_locked_vm(c->mm, npages, true);
	if (ret)
		return ret;

	WRITE_ONCE(c->enabled_pages, npages);
	c->enabled = true;

	return 0;
}

static int tce_unmap_all(struct tce_container *c)
{
	struct iommu_table *tbl;
	int num, err, ret = 0;

	for (num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++) {
		tbl = c->tables[num];
		if (!tbl)
			continue;
		err = user_table_unmap(tbl, tbl->it_offset, tbl->it_size,
				       c->recent);
		if (err)
			ret = err;
	}

	return ret;
}

/* Pages must not stay pinned without the charge that pays for them */
static long tce_disable_v1(struct tce_container *c, void __user *arg)
{
	int ret;

	if (!c->enabled)
		return 0;

	ret = tce_unmap_all(c);
	if (ret)
		return ret;
	account_locked_vm(c->mm, c->enabled_pages, false);
	WRITE_ONCE(c->enabled_pages, 0);
	c->enabled = false;

	return 0;
}

/* From region to region, where one does not have it all */
static noinline struct mm_iommu_table_group_mem_t *
tce_registered_range(struct tce_container *c, unsigned long ua,
		     unsigned long size)
{
	MA_STATE(mas, &c->regions, ua, ua);
	struct mm_iommu_table_group_mem_t *mem = mas_walk(&mas), *first = mem;

	while (mem && mas.last < ua + size - 1) {
		mas_set(&mas, mas.last + 1);
		mem = mas_walk(&mas);
	}

	return mem ? first : NULL;
}

/*
 * Is all of [@ua, @ua + @size) registered in this container? Returns the first
 * region of it, or NULL.
 */
static struct mm_iommu_table_group_mem_t *
tce_registered(struct tce_container *c, unsigned long ua, unsigned long size)
{
	struct mm_iommu_table_group_mem_t *mem = c->recent;

	if (mem && mm_iommu_covers(mem, ua, size))
		return mem;

	mem = mtree_load(&c->regions, ua);
	if (!mem || !mm_iommu_covers(mem, ua, size))
		return tce_registered_range(c, ua, size);
	c->recent = mem;

	return mem;
}

static noinline long tce_not_registered(u64 ua, u64 size)
{
	pr_debug_ratelimited("%#llx bytes at %#llx are not all registered\n",
			     size, ua);

	return -EINVAL;
}

static void tce_unpin_tces(const __be64 *tces, unsigned long npages)
{
	struct page *page;

	for (; npages; npages--, tces++) {
		page = pfn_to_page(be64_to_cpu(*tces) >> PAGE_SHIFT);
		unpin_user_page(page);
	}
}

static long tce_pin_tces(const struct mm_iommu_range *range,
			 unsigned long perm, __be64 *tces)
{
	unsigned long ua = range->ua, i;
	unsigned int flags = FOLL_LONGTERM;
	struct page *page;

	if (perm & TCE_PCI_WRITE)
		flags |= FOLL_WRITE;

	for (i = 0; i < range->npages; i++, ua += 1UL << range->page_shift) {
		/* Each TCE holds a pin, also when several share a page */
		if (fatal_signal_pending(current) ||
		    pin_user_pages_fast(ua & PAGE_MASK, 1, flags, &page) != 1) {
			tce_unpin_tces(tces, i);
			return -EFAULT;
		}
		tces[i] = cpu_to_be64(page_to_phys(page) | perm |
				      offset_in_page(ua));
		cond_resched();
	}

	return 0;
}

static long tce_map_v1(struct iommu_table *tbl, unsigned long entry,
		       const struct mm_iommu_range *range,
		       enum dma_data_direction direction)
{
	__be64 *tces;
	long ret;

	/* Only single system pages are pinned here */
	if (range->page_shift > PAGE_SHIFT)
		return -EPERM;

	tces = kvmalloc_array(range->npages, sizeof(*tces), GFP_KERNEL_ACCOUNT);
	if (!tces)
		return -ENOMEM;

	ret = tce_pin_tces(range, user_table_perm(tbl, direction), tces);
	if (ret)
		goto free;

	ret = user_table_map_pinned(tbl, entry, range->npages, tces);
	if (ret == -EUCLEAN)
		ret = -EIO;
	else if (ret)
		tce_unpin_tces(tces, range->npages);
free:
	kvfree(tces);

	return ret;
}

static enum dma_data_direction tce_map_direction(u32 flags)
{
	switch (flags) {
	case VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE:
		return DMA_BIDIRECTIONAL;
	case VFIO_DMA_MAP_FLAG_READ:
		return DMA_TO_DEVICE;
	case VFIO_DMA_MAP_FLAG_WRITE:
		return DMA_FROM_DEVICE;
	default:
		return DMA_NONE;
	}
}

static long tce_map(struct tce_container *c, void __user *arg)
{
	struct vfio_iommu_type1_dma_map param;
	enum dma_data_direction direction;
	struct mm_iommu_range range;
	struct iommu_table *tbl;
	unsigned long entry;
	int ret;

	if (copy_from_user(&param, arg, sizeof(param)))
		return -EFAULT;
	direction = tce_map_direction(param.flags);
	if (param.argsz < sizeof(param) || direction == DMA_NONE ||
	    tce_bad_range(param.iova, param.size) ||
	    tce_bad_range(param.vaddr, param.size))
		return -EINVAL;

	if (!c->enabled)
		return -EPERM;

	ret = tce_create_default(c);
	if (ret)
		return ret;

	tbl = tce_find_table(c, param.iova, param.size);
	if (IS_ERR(tbl))
		return PTR_ERR(tbl);
	if (!IS_ALIGNED(param.iova | param.vaddr | param.size,
			IOMMU_PAGE_SIZE(tbl)))
		return -EINVAL;

	range.mm = c->mm;
	range.ua = param.vaddr;
	range.page_shift = tbl->it_page_shift;
	range.npages = param.size >> range.page_shift;
	entry = param.iova >> range.page_shift;
	if (!c->v2)
		return tce_map_v1(tbl, entry, &range, direction);

	range.hint = tce_registered(c, param.vaddr, param.size);
	if (!range.hint)
		return tce_not_registered(param.vaddr, param.size);

	return user_table_map(tbl, entry, &range, direction);
}

/*
 * While the default window is still to be made there is no other one, and nothing
 * is mapped in it. An unmap answers as if it were there, and does not make it.
 */
static int tce_unmap_pending(struct tce_container *c, u64 iova, u64 size)
{
	struct iommu_table_group *table_group = tce_any_group(c);
	u64 offset = iova - table_group->tce32_start;

	if (offset >= table_group->tce32_size)
		return -ENXIO;
	if (size > table_group->tce32_size - offset ||
	    !IS_ALIGNED(iova | size, SZ_4K))
		return -EINVAL;

	return 0;
}

static long tce_unmap(struct tce_container *c, void __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_iommu_type1_dma_unmap,
					  size);
	struct vfio_iommu_type1_dma_unmap param;
	struct iommu_table *tbl;

	if (copy_from_user(&param, arg, minsz))
		return -EFAULT;
	if (param.argsz < minsz || param.flags ||
	    tce_bad_range(param.iova, param.size))
		return -EINVAL;

	if (!c->v2 && !c->enabled)
		return -EPERM;
	if (unlikely(c->default_pending))
		return tce_unmap_pending(c, param.iova, param.size);

	tbl = tce_find_table(c, param.iova, param.size);
	if (IS_ERR(tbl))
		return PTR_ERR(tbl);
	if (!IS_ALIGNED(param.iova | param.size, IOMMU_PAGE_SIZE(tbl)))
		return -EINVAL;

	return user_table_unmap(tbl, param.iova >> tbl->it_page_shift,
				param.size >> tbl->it_page_shift, c->recent);
}

static int tce_copy_region(struct vfio_iommu_spapr_register_memory *param,
			   void __user *arg)
{
	if (copy_from_user(param, arg, sizeof(*param)))
		return -EFAULT;
	if (param->argsz < sizeof(*param) || param->flags ||
	    !PAGE_ALIGNED(param->vaddr | param->size) ||
	    tce_bad_range(param->vaddr, param->size))
		return -EINVAL;

	return 0;
}

/* The registration of exactly this range, NULL if there is none */
static struct mm_iommu_table_group_mem_t *
tce_find_region(struct ma_state *mas, u64 ua, u64 size)
{
	struct mm_iommu_table_group_mem_t *mem;

	mas_set(mas, ua);
	mem = mas_walk(mas);
	if (!mem || mas->index != ua || mas->last != ua + size - 1)
		return NULL;

	return mem;
}

static long tce_register(struct tce_container *c, void __user *arg)
{
	MA_STATE(mas, &c->regions, 0, 0);
	struct vfio_iommu_spapr_register_memory param;
	struct mm_iommu_table_group_mem_t *mem;
	int ret;

	ret = tce_copy_region(&param, arg);
	if (ret)
		return ret;
	if (tce_find_region(&mas, param.vaddr, param.size))
		return -EBUSY;

	ret = mm_iommu_new(c->mm, param.vaddr, param.size >> PAGE_SHIFT, &mem);
	if (ret)
		return ret;

	mas_set_range(&mas, param.vaddr, param.vaddr + param.size - 1);
	ret = mas_store_gfp(&mas, mem, GFP_KERNEL);
	if (ret) {
		mm_iommu_release(c->mm, mem);
		return ret;
	}
	WRITE_ONCE(c->registered_pages,
		   c->registered_pages + (param.size >> PAGE_SHIFT));
	c->enabled = true;

	return 0;
}

/* Does any table of this container map memory of the range? */
static bool tce_maps(struct tce_container *c, u64 ua, u64 size)
{
	int num;

	for (num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++)
		if (c->tables[num] &&
		    user_table_maps(c->tables[num], ua, size))
			return true;

	return false;
}

static long tce_unregister(struct tce_container *c, void __user *arg)
{
	MA_STATE(mas, &c->regions, 0, 0);
	struct vfio_iommu_spapr_register_memory param;
	struct mm_iommu_table_group_mem_t *mem;
	int ret;

	ret = tce_copy_region(&param, arg);
	if (ret)
		return ret;

	mem = tce_find_region(&mas, param.vaddr, param.size);
	if (!mem)
		return -ENOENT;

	ret = mm_iommu_unregister(c->mm, mem, false);
	if (ret == -EAGAIN) {
		/* Registered elsewhere, too: look at this container's tables */
		if (tce_maps(c, param.vaddr, param.size))
			return -EBUSY;
		ret = mm_iommu_unregister(c->mm, mem, true);
	}
	if (ret)
		return ret;

	if (c->recent == mem)
		c->recent = NULL;
	WRITE_ONCE(c->registered_pages,
		   c->registered_pages - (param.size >> PAGE_SHIFT));
	mas_set_range(&mas, param.vaddr, param.vaddr + param.size - 1);
	mas_store_gfp(&mas, NULL, GFP_KERNEL | __GFP_NOFAIL);

	return 0;
}

static long tce_create(struct tce_container *c, void __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_iommu_spapr_tce_create,
					  start_addr);
	struct vfio_iommu_spapr_tce_create create;
	u32 max_levels;
	int num, ret;

	if (copy_from_user(&create, arg, minsz))
		return -EFAULT;
	if (create.argsz < minsz || create.flags)
		return -EINVAL;

	/* On an LPAR the hypervisor makes the table, by as many as it likes */
	max_levels = tce_any_group(c)->max_levels;
	if (max_levels <= 1)
		max_levels = TCE_TREE_MAX_LEVELS;
	if (create.page_shift >= BITS_PER_LONG_LONG ||
	    !(tce_page_sizes(c) & BIT_ULL(create.page_shift)) ||
	    !is_power_of_2(create.window_size) ||
	    create.window_size < BIT_ULL(create.page_shift) ||
	    !create.levels || create.levels > max_levels) {
		pr_debug_ratelimited("no window of %#llx bytes with pages of 1 << %u and %u levels; there are page sizes %#llx and %u levels\n",
				     create.window_size, create.page_shift,
				     create.levels, tce_page_sizes(c),
				     max_levels);
		return -EINVAL;
	}

	ret = tce_create_default(c);
	if (ret)
		return ret;

	num = tce_free_window(c);
	if (num < 0)
		return num;

	ret = tce_create_table(c, num, create.page_shift, create.window_size,
			       create.levels);
	if (ret)
		return ret;

	create.start_addr = tce_window_start(c->tables[num]);
	if (copy_to_user(arg, &create, minsz)) {
		tce_remove_window(c, num);
		return -EFAULT;
	}

	return 0;
}

static long tce_remove(struct tce_container *c, void __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_iommu_spapr_tce_remove,
					  start_addr);
	struct vfio_iommu_spapr_tce_remove remove;
	int num;

	if (copy_from_user(&remove, arg, minsz))
		return -EFAULT;
	if (remove.argsz < minsz || remove.flags)
		return -EINVAL;

	/* 0 stands for the default window wherever that is going to be */
	if (c->default_pending &&
	    (!remove.start_addr ||
	     remove.start_addr == tce_any_group(c)->tce32_start)) {
		c->default_pending = false;
		return 0;
	}

	for (num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++) {
		if (c->tables[num] &&
		    tce_window_start(c->tables[num]) == remove.start_addr) {
			tce_remove_window(c, num);
			return 0;
		}
	}

	return -EINVAL;
}

/*
 * EEH: each operation goes to every group. A state that is not normal is an
 * answer, not an error, and ends the round as an error does.
 */
#ifdef CONFIG_EEH
static long tce_eeh_inject(struct eeh_pe *pe, void __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_eeh_pe_op, err.mask);
	struct vfio_eeh_pe_op op;

	if (copy_from_user(&op, arg, minsz))
		return -EFAULT;
	if (op.argsz < minsz)
		return -EINVAL;

	return eeh_pe_inject_err(pe, op.err.type, op.err.func, op.err.addr,
				 op.err.mask);
}

static long tce_eeh_pe_op(struct eeh_pe *pe, u32 op, void __user *arg)
{
	static const int options[] = {
		[VFIO_EEH_PE_DISABLE] = EEH_OPT_DISABLE,
		[VFIO_EEH_PE_ENABLE] = EEH_OPT_ENABLE,
		[VFIO_EEH_PE_UNFREEZE_IO] = EEH_OPT_THAW_MMIO,
		[VFIO_EEH_PE_UNFREEZE_DMA] = EEH_OPT_THAW_DMA,
	};
	static const int resets[] = {
		[VFIO_EEH_PE_RESET_DEACTIVATE] = EEH_RESET_DEACTIVATE,
		[VFIO_EEH_PE_RESET_HOT] = EEH_RESET_HOT,
		[VFIO_EEH_PE_RESET_FUNDAMENTAL] = EEH_RESET_FUNDAMENTAL,
	};

	switch (op) {
	case VFIO_EEH_PE_DISABLE ... VFIO_EEH_PE_UNFREEZE_DMA:
		return eeh_pe_set_option(pe, options[op]);
	case VFIO_EEH_PE_RESET_DEACTIVATE ... VFIO_EEH_PE_RESET_FUNDAMENTAL:
		return eeh_pe_reset(pe, resets[op], true);
	case VFIO_EEH_PE_GET_STATE:
		return eeh_pe_get_state(pe);
	case VFIO_EEH_PE_CONFIGURE:
		return eeh_pe_configure(pe);
	case VFIO_EEH_PE_INJECT_ERR:
		return tce_eeh_inject(pe, arg);
	default:
		return -EINVAL;
	}
}

/*
 * The group that joined next after @seq, with a reference. NULL if there is
 * none, and an error if the caller is being killed.
 */
static struct iommu_group *tce_next_group(struct tce_container *c, u64 *seq)
{
	struct iommu_group *iommu_group = NULL;
	struct tce_group *grp;

	if (mutex_lock_killable(&c->lock))
		return ERR_PTR(-EINTR);
	list_for_each_entry(grp, &c->groups, node) {
		if (grp->seq > *seq) {
			*seq = grp->seq;
			iommu_group = iommu_group_ref_get(grp->iommu_group);
			break;
		}
	}
	mutex_unlock(&c->lock);

	return iommu_group;
}

static long tce_eeh_group(struct iommu_group *iommu_group, u32 op,
			  void __user *arg)
{
	struct eeh_pe *pe = eeh_iommu_group_to_pe(iommu_group);

	return pe ? tce_eeh_pe_op(pe, op, arg) : -ENODEV;
}

static long tce_eeh_groups(struct tce_container *c, u32 op, void __user *arg)
{
	struct iommu_group *iommu_group;
	long ret = -EINVAL;
	u64 seq = 0;

	lockdep_assert_held(&c->eeh_lock);
	while ((iommu_group = tce_next_group(c, &seq))) {
		if (IS_ERR(iommu_group))
			return PTR_ERR(iommu_group);
		ret = tce_eeh_group(iommu_group, op, arg);
		iommu_group_put(iommu_group);
		if (ret)
			break;
	}

	return ret;
}

/*
 * Without the container's lock, see above. A group may leave in the middle of an
 * operation, as a device may be unplugged in the middle of one.
 */
static long tce_eeh(struct tce_container *c, void __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_eeh_pe_op, op);
	struct vfio_eeh_pe_op op;
	long ret;

	if (copy_from_user(&op, arg, minsz))
		return -EFAULT;
	if (op.argsz < minsz || op.flags)
		return -EINVAL;

	if (mutex_lock_killable(&c->eeh_lock))
		return -EINTR;
	ret = tce_eeh_groups(c, op.op, arg);
	mutex_unlock(&c->eeh_lock);

	return ret;
}
#else
static long tce_eeh(struct tce_container *c, void __user *arg)
{
	return -ENODEV;
}
#endif /* CONFIG_EEH */

#define TCE_V1		BIT(0)
#define TCE_V2		BIT(1)
/* Does not make the caller the owner */
#define TCE_LOOKS	BIT(2)
/* Runs without the container's lock, and looks for groups itself */
#define TCE_UNLOCKED	BIT(3)

static const struct tce_request {
	unsigned int cmd;
	unsigned int flags;
	long (*handle)(struct tce_container *c, void __user *arg);
} tce_requests[] = {
	{ VFIO_IOMMU_MAP_DMA, TCE_V1 | TCE_V2, tce_map },
	{ VFIO_IOMMU_UNMAP_DMA, TCE_V1 | TCE_V2, tce_unmap },
	{ VFIO_IOMMU_SPAPR_TCE_GET_INFO, TCE_V1 | TCE_V2 | TCE_LOOKS,
	  tce_get_info },
	{ VFIO_EEH_PE_OP, TCE_V1 | TCE_V2 | TCE_UNLOCKED, tce_eeh },
	{ VFIO_IOMMU_ENABLE, TCE_V1, tce_enable_v1 },
	{ VFIO_IOMMU_DISABLE, TCE_V1, tce_disable_v1 },
	{ VFIO_IOMMU_SPAPR_REGISTER_MEMORY, TCE_V2, tce_register },
	{ VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, TCE_V2, tce_unregister },
	{ VFIO_IOMMU_SPAPR_TCE_CREATE, TCE_V2, tce_create },
	{ VFIO_IOMMU_SPAPR_TCE_REMOVE, TCE_V2, tce_remove },
};

static const struct tce_request *tce_find_request(struct tce_container *c,
						  unsigned int cmd)
{
	unsigned int version = c->v2 ? TCE_V2 : TCE_V1, i;

	for (i = 0; i < ARRAY_SIZE(tce_requests); i++)
		if (tce_requests[i].cmd == cmd &&
		    (tce_requests[i].flags & version))
			return &tce_requests[i];

	return NULL;
}

static noinline long tce_not_owner(unsigned int cmd)
{
	pr_debug_ratelimited("request %#x of a process that is not the owner\n",
			     cmd);

	return -EPERM;
}

/*
 * A request of a process that may become the owner has failed. It was the first
 * one to change anything, so all that is there is what it made.
 */
static void tce_disown(struct tce_container *c)
{
	if (c->tables[0]) {
		tce_remove_window(c, 0);
		c->default_pending = true;
	}
	mmdrop(c->mm);
	c->mm = NULL;
}

/* For the process that is going to be the owner if the request succeeds */
static long tce_handle_first(struct tce_container *c,
			     const struct tce_request *request,
			     void __user *arg)
{
	long ret;

	c->mm = current->mm;
	mmgrab(c->mm);
	ret = request->handle(c, arg);
	if (ret)
		tce_disown(c);
	else
		WRITE_ONCE(c->owner, c->mm);

	return ret;
}

static long tce_handle(struct tce_container *c,
		       const struct tce_request *request, void __user *arg)
{
	lockdep_assert_held(&c->lock);
	/* The last group has left since VFIO's core found the container */
	if (list_empty(&c->groups))
		return -EINVAL;
	/* Somebody may have become the owner meanwhile */
	if (c->owner && c->owner != current->mm)
		return tce_not_owner(request->cmd);
	if (!c->owner && !(request->flags & TCE_LOOKS))
		return tce_handle_first(c, request, arg);

	return request->handle(c, arg);
}

static long tce_request(struct tce_container *c, unsigned int cmd,
			void __user *arg)
{
	struct mm_struct *owner = READ_ONCE(c->owner);
	const struct tce_request *request;
	long ret;

	/* Does not wait for what the owner does */
	if (owner && owner != current->mm)
		return tce_not_owner(cmd);

	request = tce_find_request(c, cmd);
	if (!request)
		return -ENOTTY;
	if (request->flags & TCE_UNLOCKED)
		return request->handle(c, arg);

	if (mutex_lock_killable(&c->lock))
		return -EINTR;
	ret = tce_handle(c, request, arg);
	mutex_unlock(&c->lock);

	return ret;
}

static long tce_check_extension(unsigned long extension)
{
	switch (extension) {
	case VFIO_SPAPR_TCE_IOMMU:
	case VFIO_SPAPR_TCE_v2_IOMMU:
		return 1;
	case VFIO_EEH:
		return eeh_enabled();
	default:
		return 0;
	}
}

static long tce_container_ioctl(void *iommu_data, unsigned int cmd,
				unsigned long arg)
{
	/* Asked without a container, too */
	if (cmd == VFIO_CHECK_EXTENSION)
		return tce_check_extension(arg);

	return tce_request(iommu_data, cmd, (void __user *)arg);
}

/*
 * Containers and groups.
 */

static void *tce_container_open(unsigned long arg)
{
	struct tce_container *c;

	if (arg != VFIO_SPAPR_TCE_IOMMU && arg != VFIO_SPAPR_TCE_v2_IOMMU)
		return ERR_PTR(-EINVAL);

	c = kzalloc(sizeof(*c), GFP_KERNEL_ACCOUNT);
	if (!c)
		return ERR_PTR(-ENOMEM);

	mutex_init(&c->lock);
	mutex_init(&c->show_lock);
	mutex_init(&c->eeh_lock);
	INIT_LIST_HEAD(&c->groups);
	mt_init_flags(&c->regions, MT_FLAGS_LOCK_EXTERN);
	mt_set_external_lock(&c->regions, &c->lock);
	c->v2 = arg == VFIO_SPAPR_TCE_v2_IOMMU;

	return c;
}

static void tce_release_regions(struct tce_container *c)
{
	MA_STATE(mas, &c->regions, 0, 0);
	struct mm_iommu_table_group_mem_t *mem;

	mas_for_each(&mas, mem, ULONG_MAX)
		mm_iommu_release(c->mm, mem);
	__mt_destroy(&c->regions);
}

static void tce_detach(struct tce_container *c, struct tce_group *grp);

static void tce_container_release(void *iommu_data)
{
	struct tce_container *c = iommu_data;
	struct tce_group *grp, *next;

	mutex_lock(&c->lock);
	list_for_each_entry_safe(grp, next, &c->groups, node)
		tce_detach(c, grp);
	/* Tables went with the last group, so nothing maps the regions */
	tce_release_regions(c);
	if (c->enabled_pages)
		account_locked_vm(c->mm, c->enabled_pages, false);
	mutex_unlock(&c->lock);

	if (c->mm)
		mmdrop(c->mm);
	mutex_destroy(&c->eeh_lock);
	mutex_destroy(&c->show_lock);
	mutex_destroy(&c->lock);
	kfree(c);
}

/* May a group share the windows that are there, now and later? */
static int tce_check_group(struct tce_container *c,
			   struct iommu_table_group *table_group)
{
	struct iommu_table_group *other = tce_any_group(c);
	int num;

	if (!table_group)
		return -ENODEV;
	if (!table_group->ops || !table_group->ops->take_ownership ||
	    !table_group->ops->release_ownership)
		return -EFAULT;
	if (c->v2 && !table_group->max_dynamic_windows_supported)
		return -EINVAL;
	if (!other)
		return 0;
	if (!c->v2)
		return -EBUSY;
	if (other->ops != table_group->ops)
		return -EPERM;
	for (num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++)
		if (c->tables[num] && !(table_group->pgsizes &
					IOMMU_PAGE_SIZE(c->tables[num])))
			return -EPERM;

	return 0;
}

/* Unset the windows of one group from @num - 1 down */
static void tce_unset_windows(struct tce_group *grp, int num)
{
	while (num--)
		tce_group_unset_window(grp, num);
}

static int tce_set_windows(struct tce_container *c, struct tce_group *grp)
{
	long ret;
	int num;

	for (num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++) {
		if (!c->tables[num])
			continue;
		ret = tce_group_set_window(grp, num, c->tables[num]);
		if (ret) {
			tce_unset_windows(grp, num);
			return ret;
		}
	}

	return 0;
}

static int tce_attach(struct tce_container *c, struct iommu_group *iommu_group)
{
	struct iommu_table_group *table_group;
	struct tce_group *grp;
	int ret;

	table_group = iommu_group_get_iommudata(iommu_group);
	ret = tce_check_group(c, table_group);
	if (ret) {
		pr_debug_ratelimited("group %d cannot join: error %d\n",
				     iommu_group_id(iommu_group), ret);
		return ret;
	}

	grp = kzalloc(sizeof(*grp), GFP_KERNEL_ACCOUNT);
	if (!grp)
		return -ENOMEM;

	grp->iommu_group = iommu_group;
	ret = tce_set_windows(c, grp);
	if (ret) {
		pr_warn_ratelimited("group %d cannot have the container's windows: error %d\n",
				    iommu_group_id(iommu_group), ret);
		kfree(grp);
		return ret;
	}

	if (list_empty(&c->groups))
		c->default_pending = true;
	grp->seq = ++c->last_seq;
	list_add_tail(&grp->node, &c->groups);

	return 0;
}

/* The group is the host's already, or VFIO's core has taken it from there */
static int tce_container_attach(void *iommu_data,
				struct iommu_group *iommu_group,
				enum vfio_group_type type)
{
	struct tce_container *c = iommu_data;
	int ret;

	if (type == VFIO_EMULATED_IOMMU)
		return -EINVAL;

	if (mutex_lock_killable(&c->lock))
		return -EINTR;
	ret = tce_attach(c, iommu_group);
	mutex_unlock(&c->lock);

	return ret;
}

static void tce_detach(struct tce_container *c, struct tce_group *grp)
{
	/* Nobody is left to use the windows */
	if (list_is_singular(&c->groups))
		tce_remove_windows(c);
	tce_unset_windows(grp, IOMMU_TABLE_GROUP_MAX_TABLES);

	list_del(&grp->node);
	kfree(grp);
	if (list_empty(&c->groups))
		c->default_pending = false;
}

static void tce_container_detach(void *iommu_data,
				 struct iommu_group *iommu_group)
{
	struct tce_container *c = iommu_data;
	struct tce_group *grp;

	mutex_lock(&c->lock);
	list_for_each_entry(grp, &c->groups, node) {
		if (grp->iommu_group == iommu_group) {
			tce_detach(c, grp);
			break;
		}
	}
	mutex_unlock(&c->lock);
}

/*
 * fdinfo: what the container costs its owner, in bytes. A region that another
 * container has registered, too, is charged once and told of by both.
 */
static void tce_show_window(struct seq_file *m, struct iommu_table *tbl,
			    const struct user_table_stat *stat)
{
	seq_printf(m, "tce_window:\ttable=%lu start=%#llx size=%#llx page_shift=%lu levels=%u level_shift=%u bytes=%lu charged=%lu\n",
		   stat->id, tce_window_start(tbl), tce_window_size(tbl),
		   tbl->it_page_shift, stat->levels, stat->level_shift,
		   stat->bytes, stat->charged_pages << PAGE_SHIFT);
}

static unsigned long tce_show_windows(struct seq_file *m,
				      struct tce_container *c)
{
	struct user_table_stat stat;
	unsigned long pages = 0;
	int num;

	/* Not the container's lock: the owner's request may take long with it */
	mutex_lock(&c->show_lock);
	for (num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++) {
		if (!c->tables[num])
			continue;
		user_table_get_stat(c->tables[num], &stat);
		tce_show_window(m, c->tables[num], &stat);
		pages += stat.charged_pages;
	}
	mutex_unlock(&c->show_lock);

	return pages;
}

static void tce_container_show_fdinfo(void *iommu_data, struct seq_file *m)
{
	struct tce_container *c = iommu_data;
	unsigned long enabled = READ_ONCE(c->enabled_pages);
	unsigned long registered = READ_ONCE(c->registered_pages);
	unsigned long pages = enabled + registered;

	seq_printf(m, "tce_version:\t%d\n", c->v2 ? 2 : 1);
	seq_printf(m, "tce_enabled:\t%lu\n", enabled << PAGE_SHIFT);
	seq_printf(m, "tce_registered:\t%lu\n", registered << PAGE_SHIFT);
	pages += tce_show_windows(m, c);
	seq_printf(m, "tce_locked:\t%lu\n", pages << PAGE_SHIFT);
}

static const struct vfio_iommu_driver_ops tce_driver_ops = {
	.name = "iommu-vfio-powerpc",
	.owner = THIS_MODULE,
	.open = tce_container_open,
	.attach_group = tce_container_attach,
	.ioctl = tce_container_ioctl,
	.detach_group = tce_container_detach,
	.release = tce_container_release,
	.show_fdinfo = tce_container_show_fdinfo,
};

static int __init tce_init(void)
{
	return vfio_register_iommu_driver(&tce_driver_ops);
}

static void __exit tce_exit(void)
{
	vfio_unregister_iommu_driver(&tce_driver_ops);
}

module_init(tce_init);
module_exit(tce_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VFIO container driver for the SPAPR TCE IOMMU");
