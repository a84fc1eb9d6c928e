// SPDX-License-Identifier: GPL-2.0-only
/*
 * Version 2: what a container has registered, and thus may map.
 */
#include <linux/uaccess.h>

#include "spapr_tce.h"

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

/**
 * tce_register() - VFIO_IOMMU_SPAPR_REGISTER_MEMORY
 * @c: the container
 * @arg: the user's struct vfio_iommu_spapr_register_memory
 *
 * Context: process, may sleep. The caller must hold tce_container::lock.
 *
 * Return: 0; -EFAULT, also for memory that cannot be pinned; -EINVAL for bad
 * arguments; -EBUSY when this container has registered the range; -ENOMEM, -EINTR
 * and the rest as mm_iommu_new(). After an error nothing is pinned or charged.
 */
long tce_register(struct tce_container *c, void __user *arg)
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

/**
 * tce_unregister() - VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY
 * @c: the container
 * @arg: the user's struct vfio_iommu_spapr_register_memory
 *
 * Context: process, may sleep. The caller must hold tce_container::lock.
 *
 * Return: 0; -EFAULT; -EINVAL for bad arguments; -ENOENT when the container has not
 * registered exactly this range; -EBUSY when it is mapped; -EINTR.
 */
long tce_unregister(struct tce_container *c, void __user *arg)
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

/**
 * tce_release_regions() - unregister all memory of a container
 * @c: the container, without tables: it maps nothing any more
 *
 * Context: process, may sleep. The caller must hold tce_container::lock.
 */
void tce_release_regions(struct tce_container *c)
{
	MA_STATE(mas, &c->regions, 0, 0);
	struct mm_iommu_table_group_mem_t *mem;

	mas_for_each(&mas, mem, ULONG_MAX)
		mm_iommu_release(c->mm, mem);
	__mt_destroy(&c->regions);
}
