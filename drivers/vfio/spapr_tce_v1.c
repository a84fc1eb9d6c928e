// SPDX-License-Identifier: GPL-2.0-only
/*
 * Version 1: the window is charged at once, and pages are pinned as they are mapped.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include <asm/tce.h>
#include <asm/tce_charge.h>

#include "spapr_tce.h"

/**
 * tce_enable_v1() - VFIO_IOMMU_ENABLE
 * @c: the container
 * @param: not used
 *
 * Charges all that could ever be mapped at once.
 *
 * Context: process, may sleep. The caller must hold tce_container::lock.
 *
 * Return: 0; -EBUSY when it is enabled already; -ENOMEM when RLIMIT_MEMLOCK would be
 * exceeded; -EAGAIN as tce_charge_nowait().
 */
long tce_enable_v1(struct tce_container *c, struct tce_param *param)
{
	struct iommu_table_group *table_group = tce_any_group(c);
	unsigned long npages;
	int ret;

	lockdep_assert_held_write(&c->lock);
	if (c->enabled)
		return -EBUSY;

	/* All that could ever be mapped at once, whatever the page size */
	npages = table_group->tce32_size >> PAGE_SHIFT;
	ret = tce_charge_nowait(c->mm, npages);
	if (ret)
		return ret;

	WRITE_ONCE(c->enabled_pages, npages);
	c->enabled = true;

	return 0;
}

/**
 * tce_uncharge_enabled() - give back what enabling has charged, if it has
 * @c: the container
 *
 * Context: process. The caller must hold tce_container::lock.
 */
void tce_uncharge_enabled(struct tce_container *c)
{
	lockdep_assert_held(&c->lock);
	if (c->enabled_pages)
		tce_uncharge(c->mm, c->enabled_pages);
	WRITE_ONCE(c->enabled_pages, 0);
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
				       tce_hint(c, num));
		if (err)
			ret = err;
	}

	return ret;
}

/**
 * tce_disable_v1() - VFIO_IOMMU_DISABLE
 * @c: the container
 * @param: not used
 *
 * Unmaps all: pages must not stay pinned without the charge that pays for them.
 *
 * Context: process, may sleep. The caller must hold tce_container::lock.
 *
 * Return: 0; -EIO as user_table_unmap(): the container stays enabled.
 */
long tce_disable_v1(struct tce_container *c, struct tce_param *param)
{
	int ret;

	lockdep_assert_held_write(&c->lock);
	if (!c->enabled)
		return 0;

	ret = tce_unmap_all(c);
	if (ret)
		return ret;
	tce_uncharge_enabled(c);
	c->enabled = false;

	return 0;
}

/**
 * tce_prepare_disable_v1() - wait until no map has pages pinned
 * @c: the container
 * @param: not used
 *
 * Context: process, may sleep. Takes tce_container::pin_lock.
 *
 * Return: 0, and tce_finish_disable_v1() must follow; -EINTR when the process is killed
 * while it waits.
 */
int tce_prepare_disable_v1(struct tce_container *c, struct tce_param *param)
{
	return mutex_lock_killable(&c->pin_lock);
}

/**
 * tce_finish_disable_v1() - let maps pin pages again
 * @c: the container
 * @param: not used
 * @ret: not used
 *
 * Context: as tce_prepare_disable_v1(), in the same thread.
 */
void tce_finish_disable_v1(struct tce_container *c, struct tce_param *param,
			   long ret)
{
	mutex_unlock(&c->pin_lock);
}

static void tce_unpin_tces(const __be64 *tces, unsigned long npages)
{
	struct page *page;

	for (; npages; npages--, tces++) {
		page = pfn_to_page(be64_to_cpu(*tces) >> PAGE_SHIFT);
		unpin_user_page(page);
	}
}

/* The window is of pages of 4K. Each TCE holds a pin, also when several share a page */
static long tce_pin_tces(struct tce_param *param)
{
	unsigned long npages = param->map.size >> IOMMU_PAGE_SHIFT_4K, i;
	unsigned int flags = FOLL_LONGTERM;
	unsigned long ua = param->map.vaddr;
	struct page *page;

	if (param->map.flags & VFIO_DMA_MAP_FLAG_WRITE)
		flags |= FOLL_WRITE;

	param->tces = kvmalloc_array(npages, sizeof(*param->tces),
				     GFP_KERNEL_ACCOUNT);
	if (!param->tces)
		return -ENOMEM;

	for (i = 0; i < npages; i++, ua += BIT(IOMMU_PAGE_SHIFT_4K)) {
		if (fatal_signal_pending(current) ||
		    pin_user_pages_fast(ua, 1, flags, &page) != 1)
			return -EFAULT;
		param->tces[i] = cpu_to_be64(page_to_phys(page) |
					     offset_in_page(ua));
		param->pinned++;
		cond_resched();
	}

	return 0;
}

/* Test if it makes sense to pin: if not, tce_map() returns the error */
static bool tce_may_map(struct tce_container *c,
			const struct vfio_iommu_type1_dma_map *map)
{
	struct iommu_table_group *table_group = tce_any_group(c);

	return table_group && c->enabled && c->owner == current->mm &&
		map->size <= table_group->tce32_size &&
		!tce_bad_range(map->vaddr, map->size) &&
		IS_ALIGNED(map->vaddr | map->size, BIT(IOMMU_PAGE_SHIFT_4K));
}

/**
 * tce_prepare_map_v1() - pin what is to be mapped
 * @c: the container
 * @param: has a struct vfio_iommu_type1_dma_map; gets the TCEs, or why there are none,
 *	   which tce_map_v1() returns
 *
 * Called without tce_container::lock: to pin waits for page faults, which the process
 * can make take any time, and detaching a group waits for the lock. Other maps wait, so
 * that several do not pin more than the window has charged, and so does disabling.
 *
 * Context: process, may sleep; takes the mmap_lock. Takes tce_container::pin_lock.
 *
 * Return: 0, and tce_finish_map_v1() must follow; -EINTR when the process is killed
 * while it waits.
 */
int tce_prepare_map_v1(struct tce_container *c, struct tce_param *param)
{
	if (mutex_lock_killable(&c->pin_lock))
		return -EINTR;
	if (down_read_killable(&c->lock)) {
		mutex_unlock(&c->pin_lock);
		return -EINTR;
	}
	c->pinning = tce_may_map(c, &param->map);
	up_read(&c->lock);

	param->tces = NULL;
	param->pinned = 0;
	param->pin_error = c->pinning ? tce_pin_tces(param) : -EPERM;

	return 0;
}

/**
 * tce_finish_map_v1() - give back what tce_prepare_map_v1() took
 * @c: the container
 * @param: as tce_prepare_map_v1()
 * @ret: not used
 *
 * Context: as tce_prepare_map_v1(), in the same thread. Takes tce_container::lock.
 */
void tce_finish_map_v1(struct tce_container *c, struct tce_param *param,
		       long ret)
{
	tce_unpin_tces(param->tces, param->pinned);
	kvfree(param->tces);

	down_write(&c->lock);
	c->pinning = false;
	/* The last group has left meanwhile, and left this to be given back */
	if (list_empty(&c->groups))
		tce_uncharge_enabled(c);
	up_write(&c->lock);
	mutex_unlock(&c->pin_lock);
}

/**
 * tce_map_v1() - map what tce_prepare_map_v1() has pinned
 * @tbl: the table
 * @entry: first TCE, counted from PCI address 0; all TCEs are inside @tbl
 * @npages: how many
 * @param: has their pages
 * @direction: what the device may do
 *
 * Context: process, may sleep. The caller must hold tce_container::lock.
 *
 * Return: 0; -EFAULT when some of the range cannot be pinned, or the process is being
 * killed; -EPERM when the container was not enabled yet; -ENOMEM, -EINTR, -EAGAIN or
 * -EIO as user_table_map_pinned(). Nothing is pinned after an error, except what the
 * hypervisor may still use (R13).
 */
long tce_map_v1(struct iommu_table *tbl, unsigned long entry,
		unsigned long npages, struct tce_param *param,
		enum dma_data_direction direction)
{
	__be64 perm = cpu_to_be64(user_table_perm(tbl, direction));
	unsigned long i;
	long ret;

	if (param->pin_error)
		return param->pin_error;

	for (i = 0; i < npages; i++)
		param->tces[i] |= perm;

	ret = user_table_map_pinned(tbl, entry, npages, param->tces);
	if (!ret || ret == -EUCLEAN)
		param->pinned = 0;

	return ret == -EUCLEAN ? -EIO : ret;
}
