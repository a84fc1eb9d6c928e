/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a container driver keeps for one container: its instance.
 *
 * The container has a reference from VFIO_SET_IOMMU until its last group
 * leaves. A call into the driver has another one for as long as it runs, since
 * the last group may leave meanwhile. The last reference releases the
 * instance: nobody waits for a call to return, and the container may have a new
 * instance before the old one is gone.
 *
 * fdinfo takes none, only tries for the container's group_lock: a reader from
 * another process must not release the instance.
 */
#ifndef _VFIO_INSTANCE_H
#define _VFIO_INSTANCE_H

#include <linux/err.h>
#include <linux/kref.h>
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/slab.h>

#include "vfio.h"

/**
 * struct vfio_instance - a driver's instance for one container
 * @driver: the driver, whose module is held
 * @data: what its open() returned
 * @rcu: frees it when no vfio_instance_get() can look at it any more
 * @kref: of the container, and of calls into the driver
 */
struct vfio_instance {
	struct vfio_iommu_driver *driver;
	void *data;
	struct rcu_head rcu;
	struct kref kref;
};

/**
 * vfio_instance_open() - make an instance of a driver
 * @driver: the driver; the caller holds its module
 * @arg: which IOMMU type
 *
 * Context: process, may sleep.
 *
 * Return: the instance with one reference, which from now on holds the module;
 * or -ENOMEM or the error of the driver, and the module is still the caller's.
 */
static inline struct vfio_instance *
vfio_instance_open(struct vfio_iommu_driver *driver, unsigned long arg)
{
	struct vfio_instance *instance;
	void *data;

	instance = kzalloc(sizeof(*instance), GFP_KERNEL_ACCOUNT);
	if (!instance)
		return ERR_PTR(-ENOMEM);

	data = driver->ops->open(arg);
	if (IS_ERR(data)) {
		kfree(instance);
		return ERR_CAST(data);
	}
	kref_init(&instance->kref);
	instance->driver = driver;
	instance->data = data;

	return instance;
}

static inline void vfio_instance_release(struct kref *kref)
{
	struct vfio_instance *instance;
	struct module *owner;

	instance = container_of(kref, struct vfio_instance, kref);
	owner = instance->driver->ops->owner;
	instance->driver->ops->release(instance->data);
	module_put(owner);
	kfree_rcu(instance, rcu);
}

/**
 * vfio_instance_put() - give back a reference
 * @instance: the instance; the last reference releases it and its module
 *
 * Context: process, may sleep.
 */
static inline void vfio_instance_put(struct vfio_instance *instance)
{
	kref_put(&instance->kref, vfio_instance_release);
}

/**
 * vfio_instance_drop() - drop the container's reference
 * @slot: the container's pointer to its instance, not NULL; set to NULL
 * @group_lock: the container's group_lock, which the caller must hold
 *
 * Context: process, may sleep.
 */
static inline void vfio_instance_drop(struct vfio_instance __rcu **slot,
				      struct rw_semaphore *group_lock)
{
	vfio_instance_put(rcu_replace_pointer(*slot, NULL,
					      lockdep_is_held(group_lock)));
}

/**
 * vfio_instance_get() - get the instance of a container, for a call into the driver
 * @slot: the container's pointer to its instance
 *
 * Takes no lock: a thread that holds one of the container's may wait for the driver.
 *
 * Context: any.
 *
 * Return: the instance, with a reference for the caller; NULL if there is none.
 */
static inline struct vfio_instance *
vfio_instance_get(struct vfio_instance __rcu **slot)
{
	struct vfio_instance *instance;

	rcu_read_lock();
	instance = rcu_dereference(*slot);
	if (instance && !kref_get_unless_zero(&instance->kref))
		instance = NULL;
	rcu_read_unlock();

	return instance;
}

#endif /* _VFIO_INSTANCE_H */
