// SPDX-License-Identifier: GPL-2.0-only
/*
 * Groups join and leave a container.
 */
#define pr_fmt(fmt) "spapr_tce: " fmt

#include <linux/slab.h>

#include "spapr_tce.h"

/* Test if a group can share the windows of the container, also those made later */
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

	lockdep_assert_held_write(&c->lock);
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

/**
 * tce_container_attach() - vfio_iommu_driver_ops::attach_group: let a group join
 * @iommu_data: the container
 * @iommu_group: the group, of which VFIO's core has taken ownership
 * @type: what kind of group
 *
 * Context: process, may sleep. Takes tce_container::lock.
 *
 * Return: 0; -EINVAL or -ENODEV for a group without TCE tables; -EBUSY or -EPERM when
 * it cannot share the container; -ENOMEM; -EINTR when the process is killed while it
 * waits; or an error of the platform.
 */
int tce_container_attach(void *iommu_data, struct iommu_group *iommu_group,
			 enum vfio_group_type type)
{
	struct tce_container *c = iommu_data;
	int ret;

	if (type == VFIO_EMULATED_IOMMU)
		return -EINVAL;

	if (down_write_killable(&c->lock))
		return -EINTR;
	ret = tce_attach(c, iommu_group);
	up_write(&c->lock);

	return ret;
}

/* The tables of the groups went before, so nothing maps the regions */
static void tce_last_group_left(struct tce_container *c)
{
	c->default_pending = false;
	tce_release_regions(c);
	/* What a map has pinned still has to be paid for */
	if (!c->pinning)
		tce_uncharge_enabled(c);
}

/**
 * tce_detach() - let a group leave
 * @c: the container
 * @grp: the group; freed
 *
 * With the last group all windows go, and all that was registered or enabled: no group
 * joins any more, and the container itself stays for requests that still run, which may
 * be those of another process.
 *
 * Context: process, may sleep. The caller must hold tce_container::lock.
 */
void tce_detach(struct tce_container *c, struct tce_group *grp)
{
	lockdep_assert_held_write(&c->lock);
	/* Nobody is left to use the windows */
	if (list_is_singular(&c->groups))
		tce_remove_windows(c);
	tce_unset_windows(grp, IOMMU_TABLE_GROUP_MAX_TABLES);

	list_del(&grp->node);
	kfree(grp);
	if (list_empty(&c->groups))
		tce_last_group_left(c);
}

/**
 * tce_container_detach() - vfio_iommu_driver_ops::detach_group: let a group leave
 * @iommu_data: the container
 * @iommu_group: the group
 *
 * Context: process, may sleep. Takes tce_container::lock; cannot fail, so it does not
 * look for signals while it waits.
 */
void tce_container_detach(void *iommu_data, struct iommu_group *iommu_group)
{
	struct tce_container *c = iommu_data;
	struct tce_group *grp;

	down_write(&c->lock);
	list_for_each_entry(grp, &c->groups, node) {
		if (grp->iommu_group == iommu_group) {
			tce_detach(c, grp);
			break;
		}
	}
	up_write(&c->lock);
}
