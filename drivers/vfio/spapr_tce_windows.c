// SPDX-License-Identifier: GPL-2.0-only
/*
 * The windows of a container: each has a table, which all groups use.
 */
#define pr_fmt(fmt) "spapr_tce: " fmt

#include <linux/err.h>
#include <linux/log2.h>
#include <linux/uaccess.h>

#include <asm/tce.h>

#include <trace/events/spapr_tce.h>

#include "spapr_tce.h"

/**
 * tce_group_set_window() - make a group's devices use a table
 * @grp: the group
 * @num: number of the window
 * @tbl: the table
 *
 * Context: process, may sleep. The caller must hold tce_container::lock.
 *
 * Return: 0, or an error of the platform.
 */
long tce_group_set_window(struct tce_group *grp, int num,
			  struct iommu_table *tbl)
{
	struct iommu_table_group *table_group = tce_table_group(grp);
	long ret = table_group->ops->set_window(table_group, num, tbl);

	if (!ret)
		tce_debug_ref_add(tbl, grp->debug_refs + num, "container",
				  iommu_group_id(grp->iommu_group), 0);

	return ret;
}

/**
 * tce_group_unset_window() - end a group's use of a table
 * @grp: the group
 * @num: number of the window; nothing happens if the group has none there
 *
 * Context: process, may sleep. The caller must hold tce_container::lock.
 */
void tce_group_unset_window(struct tce_group *grp, int num)
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

	lockdep_assert_held_write(&c->lock);
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

	lockdep_assert_held_write(&c->lock);
	list_for_each_entry(grp, &c->groups, node) {
		ret = tce_group_set_window(grp, num, tbl);
		if (ret) {
			tce_unset_window(c, num, grp);
			return ret;
		}
	}

	return 0;
}

/*
 * Set the table of window @num; NULL: none. Requests read it with the container's
 * lock, fdinfo with show_lock.
 */
static void tce_set_table(struct tce_container *c, int num,
			  struct iommu_table *tbl)
{
	lockdep_assert_held_write(&c->lock);
	mutex_lock(&c->show_lock);
	c->tables[num] = tbl;
	mutex_unlock(&c->show_lock);
}

/**
 * tce_remove_window() - take a window from all groups, and put its table
 * @c: the container
 * @num: number of the window, which is there
 *
 * Revokes the table first: TCEs of an LPAR can be cleared only while the window is
 * there, and what KVM has mapped must go even if KVM keeps a reference of the table.
 *
 * Context: process, may sleep. The caller must hold tce_container::lock.
 */
void tce_remove_window(struct tce_container *c, int num)
{
	struct iommu_table *tbl = c->tables[num];

	lockdep_assert_held_write(&c->lock);
	trace_tce_window_remove(tbl, num);
	user_table_revoke(tbl, tce_hint(c, num));
	tce_unset_window(c, num, NULL);
	tce_set_table(c, num, NULL);
	iommu_tce_table_put(tbl);
}

/**
 * tce_remove_windows() - take all windows from all groups
 * @c: the container
 *
 * Context: process, may sleep. The caller must hold tce_container::lock.
 */
void tce_remove_windows(struct tce_container *c)
{
	int num;

	lockdep_assert_held_write(&c->lock);
	for (num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++)
		if (c->tables[num])
			tce_remove_window(c, num);
}

/* How many windows there can be at a time, the default one among them */
static u32 tce_max_windows(struct tce_container *c)
{
	u32 max = tce_any_group(c)->max_dynamic_windows_supported;

	/* -1: firmware of an LPAR that cannot make any has the default one */
	if (max == (u32)-1)
		return 1;

	return min_t(u32, max, IOMMU_TABLE_GROUP_MAX_TABLES);
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

static int tce_make_table(struct tce_container *c,
			  const struct tce_window_config *window)
{
	struct iommu_table_group *table_group = tce_any_group(c);
	struct iommu_table *tbl = NULL;
	long ret;

	ret = table_group->ops->create_user_table(table_group, window, c->mm,
						  &tbl);
	if (ret) {
		pr_debug_ratelimited("no table of %#llx bytes with pages of 1 << %u: error %ld\n",
				     window->size, window->page_shift, ret);
		/* Platform code may hand on what firmware said */
		return ret < 0 ? ret : -EIO;
	}

	ret = tce_set_window(c, window->num, tbl);
	if (ret) {
		iommu_tce_table_put(tbl);
		return ret;
	}
	tce_set_table(c, window->num, tbl);

	return 0;
}

static int tce_create_table(struct tce_container *c,
			    const struct tce_window_config *window)
{
	int ret = tce_make_table(c, window);

	trace_tce_window_create(c->tables[window->num], window, ret);

	return ret;
}

/**
 * tce_make_default() - make the default window, which is still pending
 * @c: the container
 *
 * Context: process, may sleep. The caller must hold tce_container::lock.
 *
 * Return: 0; -ENOMEM when there is not enough memory or RLIMIT_MEMLOCK would be
 * exceeded; -EAGAIN as tce_charge_nowait(); or an error of the platform. After an error
 * the window is still pending.
 */
noinline int tce_make_default(struct tce_container *c)
{
	const struct tce_window_config window = {
		.page_shift = IOMMU_PAGE_SHIFT_4K,
		.size = tce_any_group(c)->tce32_size,
		.levels = 1,
	};
	int ret;

	lockdep_assert_held_write(&c->lock);
	ret = tce_create_table(c, &window);
	if (!ret)
		c->default_pending = false;

	return ret;
}

/* No page fault here: it may take any time, and detaching a group waits for the lock */
static int tce_answer(struct tce_param *param, const void *answer,
		      unsigned long size)
{
	return copy_to_user_nofault(param->user, answer, size) ? -EFAULT : 0;
}

/**
 * tce_get_info() - VFIO_IOMMU_SPAPR_TCE_GET_INFO
 * @c: the container
 * @param: has a struct vfio_iommu_spapr_tce_info
 *
 * Context: process, may sleep. The caller must hold tce_container::lock.
 *
 * Return: 0; -EFAULT; -EINVAL for a short structure.
 */
long tce_get_info(struct tce_container *c, struct tce_param *param)
{
	unsigned long minsz = offsetofend(struct vfio_iommu_spapr_tce_info,
					  dma32_window_size);
	struct iommu_table_group *table_group = tce_any_group(c);
	struct vfio_iommu_spapr_tce_info info = { };
	u32 argsz = param->info.argsz;

	lockdep_assert_held(&c->lock);
	if (argsz < minsz)
		return -EINVAL;

	info.argsz = argsz;
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

	return tce_answer(param, &info, minsz);
}

/**
 * tce_create() - VFIO_IOMMU_SPAPR_TCE_CREATE
 * @c: the container
 * @param: has a struct vfio_iommu_spapr_tce_create
 *
 * Context: process, may sleep. The caller must hold tce_container::lock.
 *
 * Return: 0; -EFAULT; -EINVAL for a window that the machine does not have; -ENOSPC
 * when all windows are in use; -ENOMEM when there is not enough memory or
 * RLIMIT_MEMLOCK would be exceeded; -EAGAIN as tce_charge_nowait(); or an error of the
 * platform. After an error there is no new window and nothing more is charged, but for
 * the default one, which is made first.
 */
long tce_create(struct tce_container *c, struct tce_param *param)
{
	unsigned long minsz = offsetofend(struct vfio_iommu_spapr_tce_create,
					  start_addr);
	struct vfio_iommu_spapr_tce_create create = param->create;
	u32 max_levels;
	int num, ret;

	lockdep_assert_held_write(&c->lock);
	if (create.argsz < minsz || create.flags)
		return -EINVAL;

	/* On an LPAR the hypervisor has the table, and any number of levels will do */
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

	ret = tce_create_table(c, &(struct tce_window_config){
		.num = num,
		.page_shift = create.page_shift,
		.size = create.window_size,
		.levels = create.levels,
	});
	if (ret)
		return ret;

	create.start_addr = tce_window_start(c->tables[num]);
	ret = tce_answer(param, &create, minsz);
	if (ret)
		tce_remove_window(c, num);

	return ret;
}

/**
 * tce_remove() - VFIO_IOMMU_SPAPR_TCE_REMOVE
 * @c: the container
 * @param: has a struct vfio_iommu_spapr_tce_remove
 *
 * Context: process, may sleep. The caller must hold tce_container::lock.
 *
 * Return: 0; -EINVAL for bad arguments or when no window starts there.
 */
long tce_remove(struct tce_container *c, struct tce_param *param)
{
	unsigned long minsz = offsetofend(struct vfio_iommu_spapr_tce_remove,
					  start_addr);
	const struct vfio_iommu_spapr_tce_remove *remove = &param->remove;
	int num;

	lockdep_assert_held_write(&c->lock);
	if (remove->argsz < minsz || remove->flags)
		return -EINVAL;

	/* Until the default window is made, 0 names it as well as its start does */
	if (c->default_pending &&
	    (!remove->start_addr ||
	     remove->start_addr == tce_any_group(c)->tce32_start)) {
		c->default_pending = false;
		return 0;
	}

	for (num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++) {
		if (c->tables[num] &&
		    tce_window_start(c->tables[num]) == remove->start_addr) {
			tce_remove_window(c, num);
			return 0;
		}
	}

	return -EINVAL;
}
