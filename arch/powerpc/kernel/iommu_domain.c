// SPDX-License-Identifier: GPL-2.0-only
/*
 * Paging domains on TCE trees: what iommufd, VFIO type1 and other users of the
 * IOMMU API map for devices of a host that walks its tables itself.
 *
 * A domain is a table that no process owns and whose TCEs hold nothing: its user
 * keeps the pages. Users keep the ranges of their requests apart from each other,
 * as the IOMMU API asks for, so that requests need no lock:
 *
 * - A map stores TCEs where there is none. It may make levels on its way.
 * - An unmap clears TCEs, and takes out levels that its range covers wholly, and all
 *   levels but the root when these were the last TCEs (tce_domain_levels.c).
 * - A flush makes every bridge forget the range, and frees levels that were taken out.
 *
 * All run in process context, and none but a map sleeps, if its gfp allows that: these
 * domains do not serve the DMA API, whose requests may come from interrupts.
 */
#include <linux/err.h>
#include <linux/memory_hotplug.h>
#include <linux/pfn.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include <asm/iommu.h>
#include <asm/iommu_domain.h>
#include <asm/tce.h>
#include <asm/tce_tree.h>

#include "tce_domain.h"

static struct tce_domain *to_tce_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct tce_domain, domain);
}

/* Memory is present and online in blocks of at least so many pages */
#define TCE_DOMAIN_RAM_STEP	(SZ_2M >> PAGE_SHIFT)

/*
 * A domain maps memory only: no MMIO of another device, and no hole. The user of the
 * domain has pinned the pages, so they do not go offline meanwhile.
 */
static bool tce_domain_is_ram(phys_addr_t start, size_t size)
{
	unsigned long pfn = PHYS_PFN(start), end = PHYS_PFN(start + size - 1);

	do {
		if (!pfn_to_online_page(pfn))
			return false;
		pfn = ALIGN(pfn + 1, TCE_DOMAIN_RAM_STEP);
	} while (pfn <= end);

	return true;
}

/* A device that may write may read: for atomics, and to read back its writes */
static unsigned long tce_domain_perm(int prot)
{
	if (prot & IOMMU_WRITE)
		return TCE_PCI_READ | TCE_PCI_WRITE;

	return prot & IOMMU_READ ? TCE_PCI_READ : 0;
}

static bool tce_domain_has(struct tce_domain *d, unsigned long index,
			   unsigned long nr)
{
	return index < d->tbl->it_size && nr <= d->tbl->it_size - index;
}

/* Store TCEs up to the first that is there already. Returns how many */
static unsigned long tce_domain_store(__be64 *entry, unsigned long nr,
				      unsigned long tce, unsigned long step)
{
	__be64 *at, *stop = entry + nr;

	for (at = entry; at < stop; at++, tce += step) {
		if (READ_ONCE(*at))
			break;
		tce_store(at, tce);
	}

	return at - entry;
}

/* Clear TCEs up to the first that is 0. Returns how many */
static unsigned long tce_domain_clear(__be64 *entry, unsigned long nr)
{
	__be64 *at, *stop = entry + nr;

	for (at = entry; at < stop; at++) {
		if (!READ_ONCE(*at))
			break;
		tce_store(at, 0);
	}

	return at - entry;
}

/* Most requests are small: find entries that are all in one leaf, and it is there */
static __be64 *tce_domain_find(struct tce_domain *d, unsigned long index,
			       unsigned long nr)
{
	unsigned long leaf = 1UL << tce_tree_level_bits(&d->tbl->it_tree);

	if (nr > leaf - (index & (leaf - 1)))
		return NULL;

	return tce_tree_walk(&d->tbl->it_tree, index);
}

/* TCEs to store: @nr from @index on, the first is @tce, and each is larger by @step */
struct tce_domain_range {
	unsigned long index;
	unsigned long nr;
	unsigned long tce;
	unsigned long step;
};

/* Make the leaves and store there. Adds to *@done how many it has stored */
static noinline int tce_domain_store_leaves(struct tce_domain *d,
					    const struct tce_domain_range *range,
					    gfp_t gfp, unsigned long *done)
{
	struct tce_iter iter = { .tree = &d->tbl->it_tree };
	unsigned long stored;
	int ret;

	ret = tce_iter_reserve(&iter, range->index, range->nr, gfp);
	if (iter.made)
		tce_domain_levels_made(d, range->index, range->nr, iter.made);
	if (ret)
		return ret;

	for_each_tce_leaf(&iter, range->index, range->nr) {
		stored = tce_domain_store(iter.entry, iter.nr,
					  range->tce + *done * range->step,
					  range->step);
		*done += stored;
		if (stored != iter.nr)
			break;
	}

	return 0;
}

/* Clear up to the first that is 0 or has no leaf. Returns how many */
static noinline unsigned long tce_domain_clear_leaves(struct tce_domain *d,
						      unsigned long index,
						      unsigned long nr)
{
	struct tce_iter iter = { .tree = &d->tbl->it_tree };
	unsigned long done = 0, cleared;

	for_each_tce_leaf(&iter, index, nr) {
		if (iter.index != index + done)
			break;
		cleared = tce_domain_clear(iter.entry, iter.nr);
		done += cleared;
		if (cleared != iter.nr)
			break;
	}

	return done;
}

/*
 * Returns 0; -ERANGE outside of the aperture; -EINVAL for what is not memory; -ENOMEM;
 * -EADDRINUSE when something is mapped in the range. Adds to *@mapped the size of what
 * was mapped, which with -EADDRINUSE is all before that.
 */
static int tce_domain_map_pages(struct iommu_domain *domain, unsigned long iova,
				phys_addr_t paddr, size_t pgsize,
				size_t pgcount, int prot, gfp_t gfp,
				size_t *mapped)
{
	struct tce_domain *d = to_tce_domain(domain);
	unsigned long index = iova >> PAGE_SHIFT, perm = tce_domain_perm(prot);
	unsigned long done = 0;
	__be64 *entry;
	int ret = 0;

	if (!tce_domain_has(d, index, pgcount))
		return -ERANGE;
	if (!perm || (prot & IOMMU_MMIO) ||
	    !tce_domain_is_ram(paddr, pgsize * pgcount))
		return -EINVAL;

	tce_domain_enter(d, pgcount);
	entry = tce_domain_find(d, index, pgcount);
	if (entry)
		done = tce_domain_store(entry, pgcount, paddr | perm, pgsize);
	else
		ret = tce_domain_store_leaves(d, &(struct tce_domain_range){
			.index = index,
			.nr = pgcount,
			.tce = paddr | perm,
			.step = pgsize,
		}, gfp, &done);
	/* A failure may leave nothing mapped, and then nobody unmaps and flushes */
	if (done != pgcount && tce_domain_leave(d, pgcount - done))
		tce_domain_flush(d, 0, 0);
	if (!ret && done != pgcount)
		ret = -EADDRINUSE;
	*mapped += done * pgsize;

	return ret;
}

/* Unmap up to the first page that is not mapped. Never allocates, so it cannot fail */
static size_t tce_domain_unmap_pages(struct iommu_domain *domain,
				     unsigned long iova, size_t pgsize,
				     size_t pgcount,
				     struct iommu_iotlb_gather *gather)
{
	struct tce_domain *d = to_tce_domain(domain);
	unsigned long index = iova >> PAGE_SHIFT, done;
	__be64 *entry;

	if (!tce_domain_has(d, index, pgcount))
		return 0;

	tce_domain_enter(d, 1);
	entry = tce_domain_find(d, index, pgcount);
	if (entry)
		done = tce_domain_clear(entry, pgcount);
	else
		done = tce_domain_clear_leaves(d, index, pgcount);
	if (done) {
		iommu_iotlb_gather_add_range(gather, iova, done * pgsize);
		/* A smaller range covers no leaf wholly */
		if (done >> tce_tree_level_bits(&d->tbl->it_tree))
			tce_domain_levels_take(d, index, done);
	}
	/* The core of 7.x does not flush after an unmap of nothing */
	if (tce_domain_leave(d, done + 1) && !done)
		tce_domain_flush(d, 0, 0);

	return done * pgsize;
}

/*
 * A bridge reads several entries at a time: it may have cached entries that were 0
 * together with one beside them. And until a kill of the PE it may walk a level that
 * was taken out, in place of the one that was made now. None is taken out while these
 * pages are mapped.
 */
static int tce_domain_sync_map(struct iommu_domain *domain, unsigned long iova,
			       size_t size)
{
	struct tce_domain *d = to_tce_domain(domain);
	unsigned long nr = size >> PAGE_SHIFT;

	if (READ_ONCE(d->stale))
		nr = ULONG_MAX;
	rcu_read_lock();
	iommu_tce_kill(d->tbl, iova >> PAGE_SHIFT, nr);
	rcu_read_unlock();

	return 0;
}

static void tce_domain_sync(struct iommu_domain *domain,
			    struct iommu_iotlb_gather *gather)
{
	unsigned long nr = 0;

	if (gather->start <= gather->end)
		nr = ((gather->end - gather->start) >> PAGE_SHIFT) + 1;
	tce_domain_flush(to_tce_domain(domain), gather->start >> PAGE_SHIFT, nr);
}

static void tce_domain_flush_all(struct iommu_domain *domain)
{
	tce_domain_flush(to_tce_domain(domain), 0, ULONG_MAX);
}

/* Caller must exclude an unmap of the page. Counts as a request, so levels stay */
static phys_addr_t tce_domain_iova_to_phys(struct iommu_domain *domain,
					   dma_addr_t iova)
{
	struct tce_domain *d = to_tce_domain(domain);
	unsigned long tce;
	__be64 *entry;

	if (!tce_domain_has(d, iova >> PAGE_SHIFT, 1))
		return 0;

	tce_domain_enter(d, 1);
	entry = tce_tree_walk(&d->tbl->it_tree, iova >> PAGE_SHIFT);
	tce = entry ? tce_load(entry) : 0;
	if (tce_domain_leave(d, 1))
		tce_domain_flush(d, 0, 0);

	return tce ? (tce & PAGE_MASK) | (iova & ~PAGE_MASK) : 0;
}

/* If firmware refused to clear a window, the PE keeps a reference of the table */
static void tce_domain_free(struct iommu_domain *domain)
{
	struct tce_domain *d = to_tce_domain(domain);

	tce_domain_levels_exit(d);
	iommu_tce_table_put(d->tbl);
	kfree(d);
}

static const struct iommu_domain_ops tce_domain_ops = {
	.attach_dev = spapr_tce_domain_attach_dev,
	.map_pages = tce_domain_map_pages,
	.unmap_pages = tce_domain_unmap_pages,
	.iotlb_sync_map = tce_domain_sync_map,
	.iotlb_sync = tce_domain_sync,
	.flush_iotlb_all = tce_domain_flush_all,
	.iova_to_phys = tce_domain_iova_to_phys,
	.free = tce_domain_free,
};

static struct iommu_table_group *tce_domain_group(struct device *dev)
{
	struct iommu_group *group = dev ? iommu_group_get(dev) : NULL;
	struct iommu_table_group *table_group;

	table_group = group ? iommu_group_get_iommudata(group) : NULL;
	iommu_group_put(group);

	return table_group;
}

/**
 * tce_domain_attach() - attach the group of a device to a domain
 * @domain: the domain
 * @dev: the device
 *
 * Context: process, may sleep. Caller must hold the group's mutex.
 *
 * Return: 0; -EINVAL when the group cannot use the table; -EBUSY when a container
 * has windows there; -EIO when firmware refuses or has refused; -ENOMEM.
 */
int tce_domain_attach(struct iommu_domain *domain, struct device *dev)
{
	struct iommu_table_group *table_group = tce_domain_group(dev);

	iommu_group_mutex_assert(dev);
	if (!table_group || !table_group->ops->set_domain)
		return -EINVAL;

	return table_group->ops->set_domain(table_group,
					    to_tce_domain(domain)->tbl);
}

/**
 * tce_domain_alloc() - make a paging domain
 * @dev: a device that is to be attached to it; NULL when the caller, on 6.12, does
 *	 not say
 *
 * Context: process, may sleep.
 *
 * Return: the domain; ERR_PTR(-EOPNOTSUPP) where the platform has none, or for NULL;
 * ERR_PTR(-ENOMEM); or an error of the platform.
 */
struct iommu_domain *tce_domain_alloc(struct device *dev)
{
	struct iommu_table_group *table_group = tce_domain_group(dev);
	struct tce_domain *d;
	long ret;

	if (!table_group || !table_group->ops->create_domain_table)
		return ERR_PTR(-EOPNOTSUPP);

	d = kzalloc(sizeof(*d), GFP_KERNEL_ACCOUNT);
	if (!d)
		return ERR_PTR(-ENOMEM);
	ret = table_group->ops->create_domain_table(table_group, &d->tbl);
	if (ret) {
		kfree(d);
		return ERR_PTR(ret);
	}

	tce_domain_levels_init(d);
	d->domain.ops = &tce_domain_ops;
	d->domain.pgsize_bitmap = PAGE_SIZE;
	d->domain.geometry.aperture_end = (d->tbl->it_size << PAGE_SHIFT) - 1;
	d->domain.geometry.force_aperture = true;

	return &d->domain;
}

/**
 * tce_domain_get_resv_regions() - list the addresses where a device cannot do DMA
 * @dev: the device
 * @head: list of struct iommu_resv_region to add to
 *
 * Context: process, may sleep.
 */
void tce_domain_get_resv_regions(struct device *dev, struct list_head *head)
{
	struct iommu_table_group *table_group = tce_domain_group(dev);

	if (table_group && table_group->ops->get_resv_regions)
		table_group->ops->get_resv_regions(table_group, head);
}
