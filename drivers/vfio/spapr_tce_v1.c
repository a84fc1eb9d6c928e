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

static int tce_unmap_all(struct tce_container *c)
{
	struct iommu_table *tbl;
	int num, err, ret = 0;

	for (num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++) {
		tbl = c->tables[num];
		if (!tbl)
			continue;
		err = user_table_unmap(tbl, tbl->it_offset, tbl->it_size,
				       tce_hint(c));
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
	tce_uncharge(c->mm, c->enabled_pages);
	WRITE_ONCE(c->enabled_pages, 0);
	c->enabled = false;

	return 0;
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

/**
 * tce_map_v1() - pin and map
 * @tbl: the table
 * @entry: first TCE, counted from PCI address 0; all TCEs are inside @tbl
 * @range: what to map
 * @direction: what the device may do
 *
 * Context: process, may sleep; takes the mmap_lock. The caller must hold
 * tce_container::lock.
 *
 * Return: 0; -EPERM when IOMMU pages are larger than system pages; -EFAULT when some
 * of the range cannot be pinned, or the process is being killed; -ENOMEM, -EINTR,
 * -EAGAIN or -EIO as user_table_map_pinned(). Nothing is pinned after an error, except
 * what the hypervisor may still use (R13).
 */
long tce_map_v1(struct iommu_table *tbl, unsigned long entry,
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
