// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registered memory: user memory that is pinned, charged and translated once,
 * so that mapping it for a device is a look-up and a count.
 *
 * An mm has regions, which never overlap, in a maple tree. A region comes into
 * the tree complete and leaves it when its last count is gone. Pinning and
 * unpinning may take minutes, or wait for a page fault that does not end, so
 * neither is done under the registry's lock: a region that is being made, or
 * taken apart, is on a list instead, where only other registrations see it.
 * Whoever wants the range of such a region waits until it has left the list.
 *
 *
 * - @registrations counts registrations (one per container) and changes under the
 *   registry's lock.
 * - @map_refs is one for being registered at all, plus one for every IOMMU page
 *   that maps memory of the region. It only rises from a value above zero, and
 *   only where the region stays: inside the RCU section in which it was looked
 *   up, or by a caller that has registered it and keeps it so. No other pointer
 *   without a count leaves such a section. Unregistering moves it from 1 to 0,
 *   or fails with the region as it was.
 *
 * A region whose registrations were dropped for good (the container was
 * closed) while something else still maps it, for example a table that KVM
 * holds, stays pinned, charged and in the tree until the last count goes. Then
 * the registry's worker removes it, or whoever wants to register there before;
 * it is freed when both are done with it.
 *
 * Pages are pinned for writing. Whether they are marked dirty when they are
 * unpinned depends on whether any map ever allowed a device to write.
 */
#include <linux/bits.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/log2.h>
#include <linux/maple_tree.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "iommu_region.h"

#include <trace/events/spapr_tce.h>

/* Instead of a real address: the region is ordinary memory */
#define MM_IOMMU_NO_DEVICE	(~0UL)

/* Frees regions, and removes those that were abandoned */
static struct workqueue_struct *mm_iommu_wq;

static struct mm_iommu_table_group_mem_t *
region_alloc(struct mm_struct *mm, unsigned long ua, unsigned long npages)
{
	struct mm_iommu_table_group_mem_t *mem;

	mem = kzalloc(sizeof(*mem), GFP_KERNEL_ACCOUNT);
	if (!mem)
		return NULL;

	mmgrab(mm);
	mem->mm = mm;
	mem->ua = ua;
	mem->npages = npages;
	mem->registrations = 1;
	mem->granule_shift = GRANULE_SHIFT_ANY;
	mem->pieces = &mem->one;
	mem->nr_pieces = 1;
	atomic64_set(&mem->map_refs, 1);
	INIT_LIST_HEAD(&mem->changing);

	return mem;
}

/* The memory of a region; its mm, which it had a reference of, may be gone */
static void region_free(struct mm_iommu_table_group_mem_t *mem)
{
	region_free_pieces(mem);
	kfree(mem);
}

static void region_free_work(struct work_struct *work)
{
	region_free(container_of(to_rcu_work(work),
				 struct mm_iommu_table_group_mem_t, free));
}

/*
 * Frees a region that was removed. With its reference the mm may go, and the
 * registry with it.
 */
static void region_retire(struct mm_iommu_table_group_mem_t *mem)
{
	struct mm_struct *mm = mem->mm;

	/*
	 * Readers may still look at it, but find no count to take. Not in a
	 * callback of RCU: a large region has many arrays.
	 */
	INIT_RCU_WORK(&mem->free, region_free_work);
	queue_rcu_work(mm_iommu_wq, &mem->free);
	mmdrop(mm);
}

/* Charges a region; -ENOMEM, or -EINTR if the process is killed meanwhile */
static int region_charge(struct mm_iommu_table_group_mem_t *mem)
{
	struct mm_struct *mm = mem->mm;
	int ret;

	if (mmap_write_lock_killable(mm))
		return -EINTR;
	ret = __account_locked_vm(mm, mem->npages, true, current,
				  capable(CAP_IPC_LOCK));
	mmap_write_unlock(mm);

	return ret;
}

/* Gives back what a region has, outside of the registry's lock */
static void region_unpin_all(struct mm_iommu_table_group_mem_t *mem)
{
	if (mem->device)
		return;
	region_unpin(mem, mem->npages);
	account_locked_vm(mem->mm, mem->npages, false);
}

/*
 * A region that is being made or taken apart: from here until region_changed()
 * others cannot have its range.
 */
static void region_changing(struct mm_iommu_registry *reg,
			    struct mm_iommu_table_group_mem_t *mem)
{
	lockdep_assert_held(&reg->lock);
	list_add(&mem->changing, &reg->changing);
}

static void region_changed(struct mm_iommu_registry *reg,
			   struct mm_iommu_table_group_mem_t *mem)
{
	lockdep_assert_held(&reg->lock);
	list_del_init(&mem->changing);
	WRITE_ONCE(reg->left, reg->left + 1);
	wake_up_all(&reg->wait);
}

/* Takes a region without counts out of the tree; region_take_apart() is next */
static void region_remove(struct mm_iommu_registry *reg,
			  struct mm_iommu_table_group_mem_t *mem)
{
	MA_STATE(mas, &reg->regions, mem->ua, region_last(mem));

	lockdep_assert_held(&reg->lock);

	/* Destruction cannot fail, and the tree may need a node for it */
	mas_store_gfp(&mas, NULL, GFP_KERNEL | __GFP_NOFAIL);
	mem->removed = true;
	region_changing(reg, mem);
}

/*
 * Gives back what a removed region has. Drops the lock meanwhile and has it again
 * then. Returns whether the caller is to retire the region, if it was abandoned;
 * else the worker will.
 */
static bool region_take_apart(struct mm_iommu_registry *reg,
			      struct mm_iommu_table_group_mem_t *mem)
{
	mutex_unlock(&reg->lock);
	region_unpin_all(mem);
	mutex_lock(&reg->lock);
	region_changed(reg, mem);

	return mem->reaped;
}

/* Removes an abandoned region, unless somebody else does; retires it if need be */
static void region_reap(struct mm_iommu_registry *reg,
			struct mm_iommu_table_group_mem_t *mem)
{
	mutex_lock(&reg->lock);
	mem->reaped = true;
	if (!mem->removed) {
		region_remove(reg, mem);
		region_take_apart(reg, mem);
	} else if (!list_empty(&mem->changing)) {
		/* Who takes it apart will see that it is his now */
		mem = NULL;
	}
	mutex_unlock(&reg->lock);
	if (mem)
		region_retire(mem);
}

/*
 * A region keeps the registry, so it is gone with the last one of the list. What
 * is abandoned meanwhile finds the list empty and queues the work once more.
 */
static void registry_reap_work(struct work_struct *work)
{
	struct mm_iommu_registry *reg;
	struct mm_iommu_table_group_mem_t *mem, *next;
	struct llist_node *list;

	reg = container_of(work, struct mm_iommu_registry, reap);
	list = llist_del_all(&reg->abandoned);
	llist_for_each_entry_safe(mem, next, list, abandoned) {
		region_reap(reg, mem);
		cond_resched();
	}
}

/*
 * The last count went, and no registration is left. One work for all regions of
 * the mm; until it is queued nobody takes the region off the list, and with the
 * region the registry stays.
 */
void region_abandon(struct mm_iommu_table_group_mem_t *mem)
{
	struct mm_iommu_registry *reg = mem->mm->context.iommu_registry;

	if (llist_add(&mem->abandoned, &reg->abandoned))
		queue_work(mm_iommu_wq, &reg->reap);
}

static struct mm_iommu_registry *registry_get(struct mm_struct *mm)
{
	struct mm_iommu_registry *reg = READ_ONCE(mm->context.iommu_registry);
	struct mm_iommu_registry *old;

	if (reg || !mm_iommu_wq)
		return reg;

	reg = kzalloc(sizeof(*reg), GFP_KERNEL_ACCOUNT);
	if (!reg)
		return NULL;
	mutex_init(&reg->lock);
	mt_init_flags(&reg->regions, MT_FLAGS_USE_RCU | MT_FLAGS_LOCK_EXTERN);
	mt_set_external_lock(&reg->regions, &reg->lock);
	INIT_LIST_HEAD(&reg->changing);
	init_waitqueue_head(&reg->wait);
	init_llist_head(&reg->abandoned);
	INIT_WORK(&reg->reap, registry_reap_work);

	old = cmpxchg(&mm->context.iommu_registry, NULL, reg);
	if (old) {
		kfree(reg);
		reg = old;
	}

	return reg;
}

/* Nobody has a count of it any more, only the worker has not come to it yet */
static bool region_abandoned(const struct mm_iommu_table_group_mem_t *mem)
{
	return !mem->registrations && !atomic64_read(&mem->map_refs);
}

static bool region_is(const struct mm_iommu_table_group_mem_t *mem,
		      unsigned long ua, unsigned long npages, bool device)
{
	return mem->ua == ua && mem->npages == npages && mem->device == device;
}

/* The first region in the list that shares an address with the range */
static struct mm_iommu_table_group_mem_t *
registry_find_changing(struct mm_iommu_registry *reg, unsigned long ua,
		       unsigned long last)
{
	struct mm_iommu_table_group_mem_t *mem;

	lockdep_assert_held(&reg->lock);
	list_for_each_entry(mem, &reg->changing, changing)
		if (mem->ua <= last && region_last(mem) >= ua)
			return mem;

	return NULL;
}

/* Waits until a region has left the list, without the lock meanwhile */
static int registry_wait(struct mm_iommu_registry *reg)
{
	unsigned long left = reg->left;
	int ret;

	lockdep_assert_held(&reg->lock);
	mutex_unlock(&reg->lock);
	ret = wait_event_killable(reg->wait, READ_ONCE(reg->left) != left);
	mutex_lock(&reg->lock);

	return ret ? -EINTR : 0;
}

/*
 * Sees to it that nothing is about to change in the range, which what the caller
 * finds then is good for until he drops the lock. A region that is being made
 * there and is not the very same can only be in the way.
 */
static int registry_settle(struct mm_iommu_registry *reg, unsigned long ua,
			   unsigned long npages, bool device)
{
	unsigned long start, last = ua + (npages << PAGE_SHIFT) - 1;
	struct mm_iommu_table_group_mem_t *mem;
	int ret = 0;

	while (!ret) {
		start = ua;
		mem = mt_find(&reg->regions, &start, last);
		if (mem && region_abandoned(mem)) {
			region_remove(reg, mem);
			if (region_take_apart(reg, mem))
				region_retire(mem);
			continue;
		}
		mem = registry_find_changing(reg, ua, last);
		if (!mem)
			return 0;
		if (!mem->removed && !region_is(mem, ua, npages, device))
			return -EINVAL;
		ret = registry_wait(reg);
	}

	return ret;
}

/*
 * One more registration of the very same range, NULL when nothing is in the
 * way of a new region, else an error.
 */
static struct mm_iommu_table_group_mem_t *
region_reuse(struct mm_iommu_registry *reg, unsigned long ua,
	     unsigned long npages, bool device)
{
	unsigned long start = ua, last = ua + (npages << PAGE_SHIFT) - 1;
	struct mm_iommu_table_group_mem_t *mem;
	int ret;

	ret = registry_settle(reg, ua, npages, device);
	if (ret)
		return ERR_PTR(ret);

	mem = mt_find(&reg->regions, &start, last);
	if (!mem)
		return NULL;
	if (!region_is(mem, ua, npages, device))
		return ERR_PTR(-EINVAL);
	/* Unregistered, but something still maps it */
	if (!mem->registrations)
		return ERR_PTR(-EBUSY);
	mem->registrations++;

	return mem;
}

/*
 * A request that cannot be met had better not start to fault memory in. What
 * is not RAM in the first place (device DAX) does not count.
 */
static int region_check_size(struct mm_iommu_table_group_mem_t *mem)
{
	struct vm_area_struct *vma;
	bool dax;

	if (mem->npages <= totalram_pages())
		return 0;

	if (mmap_read_lock_killable(mem->mm))
		return -EINTR;
	vma = find_vma(mem->mm, mem->ua);
	dax = vma && vma_is_dax(vma);
	mmap_read_unlock(mem->mm);

	return dax ? 0 : -ENOMEM;
}

/* Charges and pins a region, without the registry's lock */
static int region_make(struct mm_iommu_table_group_mem_t *mem)
{
	int ret;

	ret = region_check_size(mem);
	if (ret)
		return ret;
	ret = region_charge(mem);
	if (ret)
		return ret;

	ret = region_alloc_pieces(mem);
	if (!ret)
		ret = region_pin(mem);
	if (ret)
		account_locked_vm(mem->mm, mem->npages, false);

	return ret;
}

static int region_publish(struct mm_iommu_registry *reg,
			  struct mm_iommu_table_group_mem_t *mem)
{
	MA_STATE(mas, &reg->regions, mem->ua, region_last(mem));

	lockdep_assert_held(&reg->lock);

	return mas_store_gfp(&mas, mem, GFP_KERNEL);
}

/*
 * Makes a region. Nobody sees it before it is complete, and nobody else may have
 * its range meanwhile. The caller has the lock, which is dropped in between.
 */
static int region_make_known(struct mm_iommu_registry *reg,
			     struct mm_iommu_table_group_mem_t *mem,
			     unsigned long dev_hpa)
{
	int ret;

	if (dev_hpa != MM_IOMMU_NO_DEVICE) {
		ret = region_set_device(mem, dev_hpa);
		return ret ? ret : region_publish(reg, mem);
	}

	region_changing(reg, mem);
	mutex_unlock(&reg->lock);
	ret = region_make(mem);
	mutex_lock(&reg->lock);
	if (!ret) {
		ret = region_publish(reg, mem);
		if (ret) {
			mutex_unlock(&reg->lock);
			region_unpin_all(mem);
			mutex_lock(&reg->lock);
		}
	}
	region_changed(reg, mem);

	return ret;
}

/* One more registration of a region, or a new one; the caller has the lock */
static struct mm_iommu_table_group_mem_t *
region_reuse_or_make(struct mm_iommu_registry *reg, struct mm_struct *mm,
		     unsigned long ua, unsigned long npages,
		     unsigned long dev_hpa)
{
	struct mm_iommu_table_group_mem_t *mem;
	int ret;

	mem = region_reuse(reg, ua, npages, dev_hpa != MM_IOMMU_NO_DEVICE);
	if (mem)
		return mem;

	mem = region_alloc(mm, ua, npages);
	if (!mem)
		return ERR_PTR(-ENOMEM);
	ret = region_make_known(reg, mem, dev_hpa);
	if (ret) {
		region_free(mem);
		/* Not the last one: the caller has another */
		mmdrop(mm);
		return ERR_PTR(ret);
	}

	return mem;
}

static long region_register(struct mm_struct *mm, unsigned long ua,
			    unsigned long npages, unsigned long dev_hpa,
			    struct mm_iommu_table_group_mem_t **pmem)
{
	struct mm_iommu_table_group_mem_t *mem;
	struct mm_iommu_registry *reg;
	unsigned long size, end;
	long ret;

	if (!npages || !PAGE_ALIGNED(ua) ||
	    check_shl_overflow(npages, PAGE_SHIFT, &size) ||
	    check_add_overflow(ua, size - 1, &end))
		return -EINVAL;

	reg = registry_get(mm);
	if (!reg)
		return -ENOMEM;

	if (mutex_lock_killable(&reg->lock))
		return -EINTR;
	mem = region_reuse_or_make(reg, mm, ua, npages, dev_hpa);
	ret = PTR_ERR_OR_ZERO(mem);
	trace_tce_region_register(ua, size, ret ? 0 : mem->registrations, ret);
	mutex_unlock(&reg->lock);
	if (!ret)
		*pmem = mem;

	return ret;
}

/**
 * mm_iommu_new() - register memory
 * @mm: whose memory, the current process's
 * @ua: user address, aligned to the system page size
 * @entries: size in system pages
 * @pmem: where to put the region
 *
 * A range that is registered already, with the same start and size, is
 * registered once more without further pins or charge. If another thread is just
 * registering it, wait for that one, and if the range is just being unpinned, for
 * the end of that.
 * Context: process, may sleep; takes the mmap_lock. A process that is being
 * killed does not wait.
 *
 * Return: 0; -EINVAL for a bad or partly registered range; -EBUSY when the
 * range was unregistered for good and is still mapped; -EFAULT when not
 * all of it can be pinned for writing; -ENOMEM when memory or RLIMIT_MEMLOCK
 * does not suffice; -EINTR when the process is being killed. Nothing is
 * pinned or charged after an error.
 */
long mm_iommu_new(struct mm_struct *mm, unsigned long ua, unsigned long entries,
		  struct mm_iommu_table_group_mem_t **pmem)
{
	return region_register(mm, ua, entries, MM_IOMMU_NO_DEVICE,
			       pmem);
}
EXPORT_SYMBOL_GPL(mm_iommu_new);

/**
 * mm_iommu_newdev() - register memory of a device that the process has mapped
 * @mm: the process's mm
 * @ua: user address, aligned to the system page size
 * @entries: size in system pages
 * @dev_hpa: its real address; the memory is contiguous and stays there
 * @pmem: where to put the region
 *
 * Neither pins nor charges. Context: process, may sleep.
 *
 * Return: 0, or -EINVAL, -EBUSY, -ENOMEM as mm_iommu_new().
 */
long mm_iommu_newdev(struct mm_struct *mm, unsigned long ua,
		     unsigned long entries, unsigned long dev_hpa,
		     struct mm_iommu_table_group_mem_t **pmem)
{
	if (!PAGE_ALIGNED(dev_hpa))
		return -EINVAL;

	return region_register(mm, ua, entries, dev_hpa, pmem);
}
EXPORT_SYMBOL_GPL(mm_iommu_newdev);

/**
 * mm_iommu_unregister() - unregister memory unless it is mapped
 * @mm: as registered
 * @mem: what mm_iommu_new() or mm_iommu_newdev() gave
 * @unmapped: the caller has looked: no table of its own maps the region
 *
 * Context: process, may sleep; takes the mmap_lock.
 *
 * Return: 0; -EBUSY when this is the last registration and some of the region
 * is mapped; -EAGAIN when it is not the last and the caller has not looked,
 * since counts do not tell its maps from those of others; -EINTR when the process
 * is being killed. After an error the region stays registered.
 */
long mm_iommu_unregister(struct mm_struct *mm,
			 struct mm_iommu_table_group_mem_t *mem, bool unmapped)
{
	struct mm_iommu_registry *reg = mm->context.iommu_registry;
	unsigned long ua = mem->ua, size = mem->npages << PAGE_SHIFT;
	bool last = false;
	unsigned int registrations;
	long ret = 0;

	if (mutex_lock_killable(&reg->lock))
		return -EINTR;
	registrations = mem->registrations - 1;
	if (mem->registrations > 1) {
		if (unmapped)
			mem->registrations--;
		else
			ret = -EAGAIN;
	} else if (atomic64_cmpxchg(&mem->map_refs, 1, 0) == 1) {
		mem->registrations = 0;
		last = true;
		region_remove(reg, mem);
		region_take_apart(reg, mem);
	} else {
		ret = -EBUSY;
	}
	trace_tce_region_unregister(ua, size, ret ? registrations + 1 : registrations, ret);
	mutex_unlock(&reg->lock);
	if (last)
		region_retire(mem);

	return ret;
}
EXPORT_SYMBOL_GPL(mm_iommu_unregister);

/**
 * mm_iommu_release() - unregister memory for good
 * @mm: as registered
 * @mem: what mm_iommu_new() or mm_iommu_newdev() gave
 *
 * For a container that goes away. When this is the last registration and
 * something still maps the region, the region goes with its last count.
 * Context: process, may sleep; takes the mmap_lock.
 */
void mm_iommu_release(struct mm_struct *mm,
		      struct mm_iommu_table_group_mem_t *mem)
{
	struct mm_iommu_registry *reg = mm->context.iommu_registry;
	bool last;

	mutex_lock(&reg->lock);
	trace_tce_region_unregister(mem->ua, mem->npages << PAGE_SHIFT,
				    mem->registrations - 1, 0);
	last = !--mem->registrations && atomic64_dec_and_test(&mem->map_refs);
	if (last) {
		region_remove(reg, mem);
		region_take_apart(reg, mem);
	}
	mutex_unlock(&reg->lock);
	if (last)
		region_retire(mem);
}
EXPORT_SYMBOL_GPL(mm_iommu_release);

/**
 * mm_iommu_next_region() - for who shows what is registered
 * @mm: whose memory; the caller has a reference (mmgrab())
 * @ua: where to begin to look
 * @info: where to put the answer
 *
 * Regions may come and go meanwhile: what is told of one was so at some moment
 * of the call. Nobody waits for the caller. Context: process.
 *
 * Return: true; false when no region begins at @ua or behind it.
 */
bool mm_iommu_next_region(struct mm_struct *mm, unsigned long ua,
			  struct mm_iommu_region_info *info)
{
	struct mm_iommu_registry *reg = READ_ONCE(mm->context.iommu_registry);
	struct mm_iommu_table_group_mem_t *mem;
	unsigned long start = ua, map_refs;

	if (!reg)
		return false;

	rcu_read_lock();
	do
		mem = mt_find(&reg->regions, &start, ULONG_MAX);
	while (mem && mem->ua < ua);
	if (mem) {
		info->ua = mem->ua;
		info->size = mem->npages << PAGE_SHIFT;
		info->registrations = READ_ONCE(mem->registrations);
		map_refs = atomic64_read(&mem->map_refs);
		/* One of them stands for being registered */
		info->map_refs = map_refs - (map_refs && info->registrations);
		info->granule_shift = mem->granule_shift;
		info->device = mem->device;
		info->written = READ_ONCE(mem->written);
	}
	rcu_read_unlock();

	return mem;
}

static int __init mm_iommu_start(void)
{
	mm_iommu_wq = alloc_workqueue("mm_iommu", WQ_UNBOUND, 0);

	return mm_iommu_wq ? 0 : -ENOMEM;
}
core_initcall(mm_iommu_start);

/**
 * mm_iommu_init() - prepare a new mm
 * @mm: the mm; a forked one starts without regions
 */
void mm_iommu_init(struct mm_struct *mm)
{
	mm->context.iommu_registry = NULL;
}

/**
 * mm_iommu_destroy() - the end of an mm
 * @mm: the mm; its regions hold references, so it has none
 */
void mm_iommu_destroy(struct mm_struct *mm)
{
	struct mm_iommu_registry *reg = mm->context.iommu_registry;

	if (!reg)
		return;

	WARN_ON_ONCE(!mtree_empty(&reg->regions));
	WARN_ON_ONCE(!list_empty(&reg->changing));
	kfree(reg);
	mm->context.iommu_registry = NULL;
}
