// SPDX-License-Identifier: GPL-2.0-only
/*
 * Version 2: what a container has registered, and thus may map.
 */
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "spapr_tce.h"

static bool tce_bad_region(const struct vfio_iommu_spapr_register_memory *memory)
{
	return memory->argsz < sizeof(*memory) || memory->flags ||
	       !PAGE_ALIGNED(memory->vaddr | memory->size) ||
	       tce_bad_range(memory->vaddr, memory->size);
}

/**
 * tce_find_region() - find what was registered at an address
 * @c: the container
 * @ua: user address
 *
 * Context: any. The caller must hold tce_container::lock, shared.
 *
 * Return: the region that has @ua in it, or NULL.
 */
struct tce_region *tce_find_region(struct tce_container *c, unsigned long ua)
{
	struct rb_node *node = c->regions.rb_node;
	struct tce_region *region;

	lockdep_assert_held(&c->lock);
	while (node) {
		region = rb_entry(node, struct tce_region, node);
		if (ua < region->start)
			node = node->rb_left;
		else if (ua > region->last)
			node = node->rb_right;
		else
			return region;
	}

	return NULL;
}

/* The registration of exactly this range, NULL if there is none */
static struct tce_region *tce_find_exactly(struct tce_container *c,
					   u64 ua, u64 size)
{
	struct tce_region *region = tce_find_region(c, ua);

	if (!region || region->start != ua || region->last != ua + size - 1)
		return NULL;

	return region;
}

static bool tce_region_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct tce_region, node)->start <
		rb_entry(b, struct tce_region, node)->start;
}

/**
 * tce_prepare_region() - pin and charge what is to be registered
 * @c: the container
 * @param: has a struct vfio_iommu_spapr_register_memory; gets a region
 *
 * Called without tce_container::lock: to pin waits for page faults, which the process
 * can make take any time, and detaching a group waits for the lock.
 *
 * Context: process, may sleep; takes the mmap_lock.
 *
 * Return: 0, and tce_finish_region() must follow; -EINVAL for bad arguments; -EFAULT
 * for memory that cannot be pinned; -ENOMEM, -EINTR and the rest as mm_iommu_new().
 * After an error nothing is pinned or charged.
 */
int tce_prepare_region(struct tce_container *c, struct tce_param *param)
{
	const struct vfio_iommu_spapr_register_memory *memory = &param->memory;
	struct tce_region *region;
	int ret;

	if (tce_bad_region(memory))
		return -EINVAL;

	region = kzalloc(sizeof(*region), GFP_KERNEL_ACCOUNT);
	if (!region)
		return -ENOMEM;
	region->start = memory->vaddr;
	region->last = memory->vaddr + memory->size - 1;
	/* Refuses what overlaps with anything that the process has registered */
	ret = mm_iommu_new(current->mm, memory->vaddr,
			   memory->size >> PAGE_SHIFT, &region->mem);
	if (ret) {
		kfree(region);
		return ret;
	}
	param->region = region;

	return 0;
}

/**
 * tce_finish_region() - undo tce_prepare_region() if tce_register() has failed
 * @c: the container
 * @param: has the region
 * @ret: what tce_register() returned, or why it was not called
 *
 * Context: as tce_prepare_region(), in the same process.
 */
void tce_finish_region(struct tce_container *c, struct tce_param *param,
		       long ret)
{
	if (!ret)
		return;
	mm_iommu_release(current->mm, param->region->mem);
	kfree(param->region);
}

/**
 * tce_register() - VFIO_IOMMU_SPAPR_REGISTER_MEMORY
 * @c: the container
 * @param: has a struct vfio_iommu_spapr_register_memory, and its region
 *
 * Context: process. The caller must hold tce_container::lock.
 *
 * Return: 0, and the region is the container's; -EBUSY when this container has
 * registered the range.
 */
long tce_register(struct tce_container *c, struct tce_param *param)
{
	const struct vfio_iommu_spapr_register_memory *memory = &param->memory;

	lockdep_assert_held_write(&c->lock);
	if (tce_find_exactly(c, memory->vaddr, memory->size))
		return -EBUSY;

	rb_add(&param->region->node, &c->regions, tce_region_less);
	WRITE_ONCE(c->registered_pages,
		   c->registered_pages + (memory->size >> PAGE_SHIFT));
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

/**
 * tce_unregister() - VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY
 * @c: the container
 * @param: has a struct vfio_iommu_spapr_register_memory
 *
 * Context: process, may sleep. The caller must hold tce_container::lock.
 *
 * Return: 0; -EINVAL for bad arguments; -ENOENT when the container has not
 * registered exactly this range; -EBUSY when it is mapped; -EINTR.
 */
long tce_unregister(struct tce_container *c, struct tce_param *param)
{
	const struct vfio_iommu_spapr_register_memory *memory = &param->memory;
	struct tce_region *region;
	int ret;

	lockdep_assert_held_write(&c->lock);
	if (tce_bad_region(memory))
		return -EINVAL;

	region = tce_find_exactly(c, memory->vaddr, memory->size);
	if (!region)
		return -ENOENT;

	ret = mm_iommu_unregister(c->mm, region->mem, false);
	if (ret == -EAGAIN) {
		/* Registered elsewhere, too: look at this container's tables */
		if (tce_maps(c, memory->vaddr, memory->size))
			return -EBUSY;
		ret = mm_iommu_unregister(c->mm, region->mem, true);
	}
	if (ret)
		return ret;

	memset(c->recent, 0, sizeof(c->recent));
	WRITE_ONCE(c->registered_pages,
		   c->registered_pages - (memory->size >> PAGE_SHIFT));
	rb_erase(&region->node, &c->regions);
	kfree(region);

	return 0;
}

/**
 * tce_release_regions() - unregister all memory of a container
 * @c: the container, without tables: it maps nothing any more
 *
 * Context: process, may sleep. The caller must hold tce_container::lock.
 */
void tce_release_regions(struct tce_container *c)
{
	struct tce_region *region, *next;

	lockdep_assert_held_write(&c->lock);
	rbtree_postorder_for_each_entry_safe(region, next, &c->regions, node) {
		mm_iommu_release(c->mm, region->mem);
		kfree(region);
	}
	WRITE_ONCE(c->registered_pages, 0);
	c->regions = RB_ROOT;
	memset(c->recent, 0, sizeof(c->recent));
}
