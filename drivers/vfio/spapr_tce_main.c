// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO container driver for the SPAPR TCE IOMMU of POWER, version 1 and 2.
 *
 * A container belongs to the process whose request is the first one that
 * changes it and succeeds, and owns
 * - tables: at most one per DMA window; every group of the container uses all
 *   of them, so all devices of a container see the same memory;
 * - registrations (v2): what may be mapped. A container maps only what it
 *   registered itself, though regions of memory are shared between the
 *   containers of a process.
 *
 * One lock covers all of it while a request runs. Unmap and map of version 2
 * take it shared, since tables have locks of their own; what changes windows,
 * registrations or groups takes it exclusively. fdinfo does not take it, nor
 * does a process that is not the owner, which is refused. EEH drops it while it
 * works on a group: EEH locks devices, and an unbind takes the container's lock
 * with its device locked.
 *
 * The owner can make a page fault take any time, which may hold its mmap_lock, and an
 * unbind would wait for that. So no request waits for either with the lock held:
 * arguments are copied and memory to be registered, or mapped by version 1, is pinned
 * before, answers are copied without a fault, and what cannot be charged at once is
 * repeated.
 *
 * VFIO's core lets requests run on when the last group has left. They find a
 * container without groups, and fail as before VFIO_SET_IOMMU. The last of them
 * releases the container, and may be that of a process that is not the owner: all that
 * the owner is charged for, or has pinned, went with the last group.
 *
 * Version 1 charges the whole 32-bit window when it is enabled, and pins pages
 * as they are mapped. Version 2 pins and charges memory when it is registered,
 * can make windows, and makes the default 32-bit window when a map or another
 * window first needs it to be there.
 *
 * This file opens and releases containers, and passes requests to
 * spapr_tce_map.c, spapr_tce_windows.c, spapr_tce_regions.c (v2), spapr_tce_v1.c
 * or spapr_tce_eeh.c. Groups join and leave in spapr_tce_groups.c.
 *
 * Where an error can have many reasons, the reason is logged at debug level only:
 * a user could fill the log with it.
 */
#define pr_fmt(fmt) "spapr_tce: " fmt

#include <linux/err.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <asm/eeh.h>
#include <asm/tce_charge.h>

#include "spapr_tce.h"

#define TCE_V1		BIT(0)
#define TCE_V2		BIT(1)
/* Does not make the caller the owner */
#define TCE_LOOKS	BIT(2)
/* Runs without the container's lock, copies its arguments and looks for groups itself */
#define TCE_UNLOCKED	BIT(3)
/* Shares the container's lock with others of its kind */
#define TCE_SHARED	BIT(4)
/* Copies something to the user, with the lock */
#define TCE_ANSWERS	BIT(5)

/* Size of the user's structure up to @last, which is copied to the union of tce_param */
#define TCE_SIZE(last) \
	(offsetofend(struct tce_param, last) - offsetof(struct tce_param, map))

static const struct tce_request {
	unsigned int cmd;
	unsigned int flags;
	unsigned int size;
	long (*handle)(struct tce_container *c, struct tce_param *param);
	/* Called without the lock: before @handle, and after it with what it returned */
	int (*prepare)(struct tce_container *c, struct tce_param *param);
	void (*finish)(struct tce_container *c, struct tce_param *param,
		       long ret);
} tce_requests[] = {
	{ VFIO_IOMMU_MAP_DMA, TCE_V2 | TCE_SHARED,
	  TCE_SIZE(map.size), tce_map },
	{ VFIO_IOMMU_UNMAP_DMA, TCE_V1 | TCE_V2 | TCE_SHARED,
	  TCE_SIZE(unmap.size), tce_unmap },
	{ VFIO_IOMMU_SPAPR_TCE_GET_INFO,
	  TCE_V1 | TCE_V2 | TCE_LOOKS | TCE_ANSWERS,
	  TCE_SIZE(info.dma32_window_size), tce_get_info },
	{ VFIO_EEH_PE_OP, TCE_V1 | TCE_V2 | TCE_UNLOCKED, 0, tce_eeh },
	{ VFIO_IOMMU_MAP_DMA, TCE_V1, TCE_SIZE(map.size), tce_map,
	  tce_prepare_map_v1, tce_finish_map_v1 },
	{ VFIO_IOMMU_ENABLE, TCE_V1, 0, tce_enable_v1 },
	{ VFIO_IOMMU_DISABLE, TCE_V1, 0, tce_disable_v1,
	  tce_prepare_disable_v1, tce_finish_disable_v1 },
	{ VFIO_IOMMU_SPAPR_REGISTER_MEMORY, TCE_V2,
	  TCE_SIZE(memory.size), tce_register,
	  tce_prepare_region, tce_finish_region },
	{ VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, TCE_V2,
	  TCE_SIZE(memory.size), tce_unregister },
	{ VFIO_IOMMU_SPAPR_TCE_CREATE, TCE_V2 | TCE_ANSWERS,
	  TCE_SIZE(create.start_addr), tce_create },
	{ VFIO_IOMMU_SPAPR_TCE_REMOVE, TCE_V2,
	  TCE_SIZE(remove.start_addr), tce_remove },
};

static const struct tce_request *tce_find_request(struct tce_container *c,
						  unsigned int cmd)
{
	const struct tce_request *end = tce_requests + ARRAY_SIZE(tce_requests);
	unsigned int version = c->v2 ? TCE_V2 : TCE_V1;
	const struct tce_request *request;

	for (request = tce_requests; request < end; request++)
		if (request->cmd == cmd && (request->flags & version))
			return request;

	return NULL;
}

static noinline long tce_not_owner(unsigned int cmd)
{
	pr_debug_ratelimited("request %#x of a process that is not the owner\n",
			     cmd);

	return -EPERM;
}

/*
 * Undo the request that would have made its process the owner, and failed. All
 * that it may have left is the default window.
 */
static void tce_disown(struct tce_container *c)
{
	if (c->tables[0]) {
		tce_remove_window(c, 0);
		c->default_pending = true;
	}
	mmdrop(c->mm);
	c->mm = NULL;
}

/* For the process that is going to be the owner if the request succeeds */
static long tce_handle_first(struct tce_container *c,
			     const struct tce_request *request,
			     struct tce_param *param)
{
	long ret;

	lockdep_assert_held_write(&c->lock);
	c->mm = current->mm;
	mmgrab(c->mm);
	ret = request->handle(c, param);
	if (ret)
		tce_disown(c);
	else
		WRITE_ONCE(c->owner, c->mm);

	return ret;
}

/* Inlined, as to map one page should not cost more than it must */
static __always_inline long tce_handle(struct tce_container *c,
				       const struct tce_request *request,
				       struct tce_param *param)
{
	lockdep_assert_held(&c->lock);
	/* The last group has left since VFIO's core found the container */
	if (list_empty(&c->groups))
		return -EINVAL;
	/* Somebody may have become the owner meanwhile */
	if (c->owner && c->owner != current->mm)
		return tce_not_owner(request->cmd);
	if (!c->owner && !(request->flags & TCE_LOOKS))
		return tce_handle_first(c, request, param);

	return request->handle(c, param);
}

/*
 * While the default window is pending, a request may have to make it, and to make its
 * process the owner: that needs the lock alone. Returns false then, nothing was done.
 */
static __always_inline bool tce_handle_shared(struct tce_container *c,
					      const struct tce_request *request,
					      struct tce_param *param,
					      long *ret)
{
	bool shared;

	*ret = down_read_killable(&c->lock);
	if (*ret)
		return true;
	shared = !c->default_pending;
	if (likely(shared))
		*ret = tce_handle(c, request, param);
	up_read(&c->lock);

	return shared;
}

static noinline long tce_handle_alone(struct tce_container *c,
				      const struct tce_request *request,
				      struct tce_param *param)
{
	long ret;

	if (down_write_killable(&c->lock))
		return -EINTR;
	ret = tce_handle(c, request, param);
	up_write(&c->lock);

	return ret;
}

/* Repeat a request that could not be charged at once: wait for that without the lock */
static noinline long tce_handle_charged(struct tce_container *c,
					const struct tce_request *request,
					struct tce_param *param)
{
	struct tce_credit credit;
	long ret;

	tce_credit_begin(&credit, current->mm);
	do {
		ret = tce_handle_alone(c, request, param);
		if (ret != -EAGAIN)
			break;
		ret = tce_credit_wait(&credit);
	} while (!ret);
	tce_credit_end(&credit);

	return ret;
}

static long tce_handle_uncontended(struct tce_container *c,
				   const struct tce_request *request,
				   struct tce_param *param)
{
	long ret = tce_handle_alone(c, request, param);

	return likely(ret != -EAGAIN) ? ret :
	       tce_handle_charged(c, request, param);
}

/*
 * Repeat a request that has undone all because its answer could not be copied without
 * a page fault: take the fault first, without the lock. That the page is gone again
 * each time happens only if the process wants it to, so give up after a few times.
 */
static noinline long tce_handle_again(struct tce_container *c,
				      const struct tce_request *request,
				      struct tce_param *param)
{
	u32 size = min_t(u32, param->info.argsz, sizeof(param->info));
	int tries = 8;
	long ret;

	/* The answer of GET_INFO is longer where the user has room for it */
	size = max(size, request->size);
	do {
		if (fault_in_safe_writeable(param->user, size))
			return -EFAULT;
		ret = tce_handle_uncontended(c, request, param);
	} while (ret == -EFAULT && --tries);

	return ret;
}

/* A request that has the lock alone */
static noinline long tce_request_alone(struct tce_container *c,
				       const struct tce_request *request,
				       struct tce_param *param)
{
	long ret;

	if (request->prepare) {
		ret = request->prepare(c, param);
		if (ret)
			return ret;
	}

	ret = tce_handle_uncontended(c, request, param);
	if (ret == -EFAULT && (request->flags & TCE_ANSWERS))
		ret = tce_handle_again(c, request, param);
	if (request->finish)
		request->finish(c, param, ret);

	return ret;
}

static long tce_request(struct tce_container *c, unsigned int cmd,
			void __user *arg)
{
	struct mm_struct *owner = READ_ONCE(c->owner);
	struct tce_param param;
	const struct tce_request *request;
	long ret;

	/* Does not wait for what the owner does */
	if (unlikely(owner && owner != current->mm))
		return tce_not_owner(cmd);

	request = tce_find_request(c, cmd);
	if (!request)
		return -ENOTTY;
	param.user = arg;
	if (request->size && copy_from_user(&param.map, arg, request->size))
		return -EFAULT;
	if (request->flags & TCE_UNLOCKED)
		return request->handle(c, &param);

	if (!(request->flags & TCE_SHARED) ||
	    unlikely(!tce_handle_shared(c, request, &param, &ret)) ||
	    unlikely(ret == -EAGAIN))
		ret = tce_request_alone(c, request, &param);
	tce_charge_settle(current->mm);

	return ret;
}

static long tce_check_extension(unsigned long extension)
{
	switch (extension) {
	case VFIO_SPAPR_TCE_IOMMU:
	case VFIO_SPAPR_TCE_v2_IOMMU:
		return 1;
	case VFIO_EEH:
		return eeh_enabled();
	default:
		return 0;
	}
}

static long tce_container_ioctl(void *iommu_data, unsigned int cmd,
				unsigned long arg)
{
	/* Asked without a container, too */
	if (cmd == VFIO_CHECK_EXTENSION)
		return tce_check_extension(arg);

	return tce_request(iommu_data, cmd, (void __user *)arg);
}

static void *tce_container_open(unsigned long arg)
{
	struct tce_container *c;

	if (arg != VFIO_SPAPR_TCE_IOMMU && arg != VFIO_SPAPR_TCE_v2_IOMMU)
		return ERR_PTR(-EINVAL);

	c = kzalloc(sizeof(*c), GFP_KERNEL_ACCOUNT);
	if (!c)
		return ERR_PTR(-ENOMEM);

	init_rwsem(&c->lock);
	mutex_init(&c->show_lock);
	mutex_init(&c->eeh_lock);
	mutex_init(&c->pin_lock);
	INIT_LIST_HEAD(&c->groups);
	c->regions = RB_ROOT;
	c->v2 = arg == VFIO_SPAPR_TCE_v2_IOMMU;

	return c;
}

static void tce_container_release(void *iommu_data)
{
	struct tce_container *c = iommu_data;

	WARN_ON_ONCE(!list_empty(&c->groups));
	if (c->mm)
		mmdrop(c->mm);
	mutex_destroy(&c->pin_lock);
	mutex_destroy(&c->eeh_lock);
	mutex_destroy(&c->show_lock);
	kfree(c);
}

/*
 * fdinfo: what the container costs its owner, in bytes. A region that two containers
 * have registered is charged once and shown by both.
 */
static void tce_show_window(struct seq_file *m, struct iommu_table *tbl,
			    const struct user_table_stat *stat)
{
	seq_printf(m, "tce_window:\ttable=%lu start=%#llx size=%#llx page_shift=%lu levels=%u level_shift=%u bytes=%lu charged=%lu\n",
		   stat->id, tce_window_start(tbl), tce_window_size(tbl),
		   tbl->it_page_shift, stat->levels, stat->level_shift,
		   stat->bytes, stat->charged_pages << PAGE_SHIFT);
}

static unsigned long tce_show_windows(struct seq_file *m,
				      struct tce_container *c)
{
	struct user_table_stat stat;
	unsigned long pages = 0;
	int num;

	/* Not the container's lock: the owner's request may take long with it */
	mutex_lock(&c->show_lock);
	for (num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++) {
		if (!c->tables[num])
			continue;
		user_table_get_stat(c->tables[num], &stat);
		tce_show_window(m, c->tables[num], &stat);
		pages += stat.charged_pages;
	}
	mutex_unlock(&c->show_lock);

	return pages;
}

static void tce_container_show_fdinfo(void *iommu_data, struct seq_file *m)
{
	struct tce_container *c = iommu_data;
	unsigned long enabled = READ_ONCE(c->enabled_pages);
	unsigned long registered = READ_ONCE(c->registered_pages);
	unsigned long pages = enabled + registered;

	seq_printf(m, "tce_version:\t%d\n", c->v2 ? 2 : 1);
	seq_printf(m, "tce_enabled:\t%lu\n", enabled << PAGE_SHIFT);
	seq_printf(m, "tce_registered:\t%lu\n", registered << PAGE_SHIFT);
	pages += tce_show_windows(m, c);
	seq_printf(m, "tce_locked:\t%lu\n", pages << PAGE_SHIFT);
}

static const struct vfio_iommu_driver_ops tce_driver_ops = {
	.name = "iommu-vfio-powerpc",
	.owner = THIS_MODULE,
	.open = tce_container_open,
	.attach_group = tce_container_attach,
	.ioctl = tce_container_ioctl,
	.detach_group = tce_container_detach,
	.release = tce_container_release,
	.show_fdinfo = tce_container_show_fdinfo,
};

static int __init tce_init(void)
{
	return vfio_register_iommu_driver(&tce_driver_ops);
}

static void __exit tce_exit(void)
{
	vfio_unregister_iommu_driver(&tce_driver_ops);
}

module_init(tce_init);
module_exit(tce_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VFIO container driver for the SPAPR TCE IOMMU");
