// SPDX-License-Identifier: GPL-2.0-only
/*
 * Map and unmap: find the window and the registration, then have its table do it.
 */
#define pr_fmt(fmt) "spapr_tce: " fmt

#include <linux/err.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>

#include "spapr_tce.h"

static noinline int tce_no_window(u64 iova, u64 size, int err)
{
	pr_debug_ratelimited("%#llx bytes at %#llx are not in one window: error %d\n",
			     size, iova, err);

	return err;
}

/* The number of the window of [@iova, @iova + @size), which is not empty nor wraps */
static __always_inline int
tce_find_window(struct tce_container *c, u64 iova, u64 size)
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
			return tce_no_window(iova, size, -EINVAL);
		return num;
	}

	return tce_no_window(iova, size, -ENXIO);
}

/*
 * Is all of [@ua, @ua + @size) registered in this container? Returns the first
 * region of it, or NULL. Several must leave no hole.
 */
static noinline struct tce_region *tce_find_regions(struct tce_container *c,
						    unsigned long ua,
						    unsigned long size)
{
	struct tce_region *first = tce_find_region(c, ua), *region = first;
	unsigned long last = ua + size - 1, end;

	while (region && region->last < last) {
		end = region->last + 1;
		region = rb_entry_safe(rb_next(&region->node),
				       struct tce_region, node);
		if (region && region->start != end)
			return NULL;
	}

	return region ? first : NULL;
}

/*
 * The same, but try the region that was mapped last in this window first, and remember
 * this one.
 */
static struct tce_region *tce_registered(struct tce_container *c, int num,
					 unsigned long ua, unsigned long size)
{
	struct tce_region *region = READ_ONCE(c->recent[num]);

	if (region && ua >= region->start && ua + size - 1 <= region->last)
		return region;

	region = tce_find_regions(c, ua, size);
	if (region)
		WRITE_ONCE(c->recent[num], region);

	return region;
}

static noinline long tce_not_registered(u64 ua, u64 size)
{
	pr_debug_ratelimited("%#llx bytes at %#llx are not all registered\n",
			     size, ua);

	return -EINVAL;
}

static enum dma_data_direction tce_map_direction(u32 flags)
{
	if (flags == (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE))
		return DMA_BIDIRECTIONAL;
	if (flags == VFIO_DMA_MAP_FLAG_READ)
		return DMA_TO_DEVICE;

	return flags == VFIO_DMA_MAP_FLAG_WRITE ? DMA_FROM_DEVICE : DMA_NONE;
}

/* @hint: the region, or the first of them */
static __always_inline long
tce_map_pages(struct tce_container *c, struct iommu_table *tbl,
	      const struct vfio_iommu_type1_dma_map *map,
	      enum dma_data_direction direction,
	      struct mm_iommu_table_group_mem_t *hint)
{
	const struct mm_iommu_range range = {
		.mm = c->mm,
		.hint = hint,
		.ua = map->vaddr,
		.npages = map->size >> tbl->it_page_shift,
		.page_shift = tbl->it_page_shift,
	};

	return user_table_map(tbl, map->iova >> tbl->it_page_shift, &range,
			      direction);
}

/**
 * tce_map() - VFIO_IOMMU_MAP_DMA
 * @c: the container
 * @param: has a struct vfio_iommu_type1_dma_map
 *
 * Context: process, may sleep. The caller must hold tce_container::lock, shared.
 *
 * Return: 0; -EINVAL for bad arguments, memory that is not registered (v2)
 * or a range that leaves its window; -ENXIO when no window is there; -EPERM when the
 * container is not enabled; what tce_make_default(), user_table_map() or
 * tce_map_v1() answers.
 */
long tce_map(struct tce_container *c, struct tce_param *param)
{
	const struct vfio_iommu_type1_dma_map *map = &param->map;
	enum dma_data_direction direction;
	struct tce_region *region;
	struct iommu_table *tbl;
	int num, ret;

	lockdep_assert_held(&c->lock);
	direction = tce_map_direction(map->flags);
	if (map->argsz < sizeof(*map) || direction == DMA_NONE ||
	    tce_bad_range(map->iova, map->size) ||
	    tce_bad_range(map->vaddr, map->size))
		return -EINVAL;

	if (!c->enabled)
		return -EPERM;

	ret = tce_create_default(c);
	if (ret)
		return ret;

	num = tce_find_window(c, map->iova, map->size);
	if (num < 0)
		return num;
	tbl = c->tables[num];
	if (!IS_ALIGNED(map->iova | map->vaddr | map->size,
			IOMMU_PAGE_SIZE(tbl)))
		return -EINVAL;

	if (!c->v2)
		return tce_map_v1(tbl, map->iova >> tbl->it_page_shift,
				  map->size >> tbl->it_page_shift, param,
				  direction);

	region = tce_registered(c, num, map->vaddr, map->size);
	if (!region)
		return tce_not_registered(map->vaddr, map->size);

	return tce_map_pages(c, tbl, map, direction, region->mem);
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

/**
 * tce_unmap() - VFIO_IOMMU_UNMAP_DMA
 * @c: the container
 * @param: has a struct vfio_iommu_type1_dma_unmap
 *
 * Context: process, may sleep. The caller must hold tce_container::lock, shared.
 *
 * Return: 0; -EINVAL for bad arguments or a range that leaves its window;
 * -ENXIO when no window is there; -EPERM when a v1 container is not enabled; -EIO
 * as user_table_unmap().
 */
long tce_unmap(struct tce_container *c, struct tce_param *param)
{
	unsigned long minsz = offsetofend(struct vfio_iommu_type1_dma_unmap,
					  size);
	const struct vfio_iommu_type1_dma_unmap *unmap = &param->unmap;
	struct iommu_table *tbl;
	unsigned long npages;
	int num, ret;

	lockdep_assert_held(&c->lock);
	if (unmap->argsz < minsz || unmap->flags ||
	    tce_bad_range(unmap->iova, unmap->size))
		return -EINVAL;

	if (!c->v2 && !c->enabled)
		return -EPERM;
	if (unlikely(c->default_pending))
		return tce_unmap_pending(c, unmap->iova, unmap->size);

	num = tce_find_window(c, unmap->iova, unmap->size);
	if (num < 0)
		return num;
	tbl = c->tables[num];
	if (!IS_ALIGNED(unmap->iova | unmap->size, IOMMU_PAGE_SIZE(tbl)))
		return -EINVAL;

	npages = unmap->size >> tbl->it_page_shift;
	ret = user_table_unmap(tbl, unmap->iova >> tbl->it_page_shift, npages,
			       tce_hint(c, num));
	/* A page covers no leaf */
	if (npages > 1)
		user_table_trim_covered(tbl);

	return ret;
}
