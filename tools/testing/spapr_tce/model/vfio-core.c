// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO's core, as far as a container driver can tell, and requests to it.
 */
#include "host.h"
#include "instance.h"

struct device host_device;

const struct vfio_iommu_driver_ops *host_driver;
static struct vfio_iommu_driver driver;

int vfio_register_iommu_driver(const struct vfio_iommu_driver_ops *ops)
{
	host_driver = ops;
	driver.ops = ops;

	return 0;
}

void vfio_unregister_iommu_driver(const struct vfio_iommu_driver_ops *ops)
{
	(void)ops;
	host_driver = NULL;
}

/*
 * The locks of VFIO's core, in its order: of a device, of its group, of a
 * container. A container begins as zeros.
 */
static void container_lock(struct host_container *c)
{
	c->lock.name = "container->group_lock";
	quiet_lock(&c->lock);
}

static void group_lock(struct host_container *c, struct host_pe *hpe)
{
	quiet_lock(&hpe->group_lock);
	container_lock(c);
}

static void group_unlock(struct host_container *c, struct host_pe *hpe)
{
	mutex_unlock(&c->lock);
	mutex_unlock(&hpe->group_lock);
}

static void group_remove(struct host_container *c, int i)
{
	c->groups[i] = c->groups[--c->nr_groups];
}

static int attach_groups(struct host_container *c, void *data)
{
	int i, ret = 0;

	for (i = 0; i < c->nr_groups && !ret; i++)
		ret = host_driver->attach_group(data, host_group(c->groups[i]),
						VFIO_IOMMU);
	if (!ret)
		return 0;
	for (i -= 2; i >= 0; i--)
		host_driver->detach_group(data, host_group(c->groups[i]));

	return ret;
}

static int set_iommu(struct host_container *c, unsigned long type)
{
	struct vfio_instance *instance;
	int ret;

	if (!c->nr_groups || c->data)
		return -EINVAL;
	instance = vfio_instance_open(&driver, type);
	if (IS_ERR(instance))
		return PTR_ERR(instance);
	ret = attach_groups(c, instance->data);
	if (ret) {
		vfio_instance_put(instance);
		return ret;
	}
	c->data = instance->data;
	rcu_assign_pointer(c->instance, instance);

	return 0;
}

/* VFIO_SET_IOMMU; needs a group */
int vfio_set_iommu(struct host_container *c, unsigned long type)
{
	int ret;

	container_lock(c);
	ret = set_iommu(c, type);
	mutex_unlock(&c->lock);

	return ret;
}

/* Each device of a group is handed over */
static struct device *pe_device(struct host_pe *hpe, int i)
{
	return i ? hpe->devs[i] : hpe->devs[0] ?: &host_device;
}

static void release_ownership(struct host_pe *hpe, int nr)
{
	struct iommu_table_group *group = &hpe->pe.table_group;
	int i;

	for (i = 0; i < nr && pe_device(hpe, i); i++)
		group->ops->release_ownership(group, pe_device(hpe, i));
}

static int take_ownership(struct host_pe *hpe)
{
	struct iommu_table_group *group = &hpe->pe.table_group;
	int i, ret;

	for (i = 0; i < 2 && pe_device(hpe, i); i++) {
		ret = group->ops->take_ownership(group, pe_device(hpe, i));
		if (ret) {
			release_ownership(hpe, i);
			return ret;
		}
	}

	return 0;
}

static int attach(struct host_container *c, struct host_pe *hpe)
{
	int ret = take_ownership(hpe);

	if (ret)
		return ret;
	if (c->data) {
		ret = host_driver->attach_group(c->data, host_group(hpe),
						VFIO_IOMMU);
		if (ret) {
			release_ownership(hpe, 2);
			return ret;
		}
	}
	c->groups[c->nr_groups++] = hpe;

	return 0;
}

/* VFIO_GROUP_SET_CONTAINER */
int vfio_attach(struct host_container *c, struct host_pe *hpe)
{
	int ret;

	group_lock(c, hpe);
	ret = attach(c, hpe);
	group_unlock(c, hpe);

	return ret;
}

static void detach(struct host_container *c, struct host_pe *hpe)
{
	struct vfio_instance *instance = c->instance;
	int i = 0;

	while (c->groups[i] != hpe)
		i++;
	if (c->data)
		host_driver->detach_group(c->data, host_group(hpe));
	release_ownership(hpe, 2);
	group_remove(c, i);
	if (!c->nr_groups && c->data) {
		rcu_assign_pointer(c->instance, NULL);
		vfio_instance_put(instance);
		c->data = NULL;
	}
}

/* VFIO_GROUP_UNSET_CONTAINER */
void vfio_detach(struct host_container *c, struct host_pe *hpe)
{
	group_lock(c, hpe);
	detach(c, hpe);
	group_unlock(c, hpe);
}

/**
 * vfio_unbind() - a device is taken from vfio-pci, the last one of its group
 * @c: the container that has the group
 * @hpe: the PE of the device
 */
void vfio_unbind(struct host_container *c, struct host_pe *hpe)
{
	quiet_lock(&hpe->device_lock);
	vfio_detach(c, hpe);
	mutex_unlock(&hpe->device_lock);
}

void vfio_close(struct host_container *c)
{
	while (c->nr_groups)
		vfio_detach(c, c->groups[c->nr_groups - 1]);
}

long vfio_ioctl(struct host_container *c, unsigned int cmd, const void *arg)
{
	struct vfio_instance *instance = vfio_instance_get(&c->instance);
	long ret;

	if (!instance)
		return -EINVAL;
	ret = host_driver->ioctl(instance->data, cmd, (unsigned long)arg);
	vfio_instance_put(instance);

	return ret;
}

/*
 * Requests.
 */

long req_map(struct host_container *c, u64 iova, u64 ua, u64 size, u32 flags)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = flags,
		.vaddr = ua,
		.iova = iova,
		.size = size,
	};

	return vfio_ioctl(c, VFIO_IOMMU_MAP_DMA, &map);
}

long req_unmap(struct host_container *c, u64 iova, u64 size)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = iova,
		.size = size,
	};

	return vfio_ioctl(c, VFIO_IOMMU_UNMAP_DMA, &unmap);
}

static long req_region(struct host_container *c, unsigned int cmd, u64 ua,
		       u64 size)
{
	struct vfio_iommu_spapr_register_memory reg = {
		.argsz = sizeof(reg),
		.vaddr = ua,
		.size = size,
	};

	return vfio_ioctl(c, cmd, &reg);
}

long req_register(struct host_container *c, u64 ua, u64 size)
{
	return req_region(c, VFIO_IOMMU_SPAPR_REGISTER_MEMORY, ua, size);
}

long req_unregister(struct host_container *c, u64 ua, u64 size)
{
	return req_region(c, VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, ua, size);
}

long req_create(struct host_container *c, u32 page_shift, u64 size, u32 levels,
		u64 *start)
{
	struct vfio_iommu_spapr_tce_create create = {
		.argsz = sizeof(create),
		.page_shift = page_shift,
		.window_size = size,
		.levels = levels,
	};
	long ret = vfio_ioctl(c, VFIO_IOMMU_SPAPR_TCE_CREATE, &create);

	if (!ret && start)
		*start = create.start_addr;

	return ret;
}

long req_remove(struct host_container *c, u64 start)
{
	struct vfio_iommu_spapr_tce_remove remove = {
		.argsz = sizeof(remove),
		.start_addr = start,
	};

	return vfio_ioctl(c, VFIO_IOMMU_SPAPR_TCE_REMOVE, &remove);
}
