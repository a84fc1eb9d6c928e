// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registered memory: the life of a region. Registered memory is pinned, charged
 * and translated once, so that to map it for a device takes a look-up and a
 * reference.
 *
 * The regions of an mm never overlap; a maple tree has them. A region is inserted
 * complete, and removed when its last reference is dropped. To pin and unpin may
 * take minutes, or wait for a page fault that does not end, so neither is done
 * under the registry's lock (R5): a region that is being made or taken apart is
 * on a list instead, where only other registrations see it. A registration of the
 * same range waits until the region has left the list.
 *
 * - @registrations is the number of registrations, one per container. It changes
 *   under the registry's lock.
 * - @map_refs is 1 for being registered, plus 1 for every IOMMU page that maps
 *   memory of the region. It never rises from 0 (R2). Take a reference inside the
 *   RCU section in which the region was looked up, or while the region is
 *   registered by the caller (R3). To unregister moves it from 1 to 0, or fails
 *   and changes nothing (R4).
 *
 * A region is abandoned when its registrations were dropped for good (the
 * container was closed) while something else still maps it, for example a table
 * of which KVM has a reference. It stays pinned, charged and in the tree until
 * the last reference is dropped. Then the registry's worker removes it, or an
 * earlier registration of an overlapping range; it is freed when both are done.
 *
 * Pages are pinned for writing. They are marked dirty when they are unpinned if
 * any map has allowed a device to write.
 *
 * R1, R2, ... are the invariants in Documentation/arch/powerpc/tce.rst.
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

#include <asm/tce_charge.h>

#include "iommu_region.h"

#include <trace/events/mm_iommu.h>

/* Frees removed regions, and removes abandoned ones */
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

/* Free the memory of a region. The reference of its mm was dropped before */
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
 * Free a region that was removed, after a grace period (R3). Drops the region's
 * reference of the mm, which may free the mm and the registry.
 */
static void region_retire(struct mm_iommu_table_group_mem_t *mem)
{
	struct mm_struct *mm = mem->mm;

	/*
	 * Readers may still see the region, but cannot take a reference (R2). Use
	 * a worker, not an RCU callback: a large region has many arrays to free.
	 */
	INIT_RCU_WORK(&mem->free, region_free_work);
	queue_rcu_work(mm_iommu_wq, &mem->free);
	mmdrop(mm);
}

/* Unpin and uncharge a region. Without the registry's lock (R5) */
static void region_unpin_all(struct mm_iommu_table_group_mem_t *mem)
{
	lockdep_assert_not_held(&mem->mm->context.iommu_registry->lock);
	region_unpin(mem, mem->npages);
	tce_uncharge(mem->mm, mem->npages);
}

/*
 * Start to make a region or to take it apart: until region_changed() nobody else
 * can register its range (R5).
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

/* Remove a region without references from the tree; region_take_apart() must follow */
static void region_remove(struct mm_iommu_registry *reg,
			  struct mm_iommu_table_group_mem_t *mem)
{
	MA_STATE(mas, &reg->regions, mem->ua, region_last(mem));

	lockdep_assert_held(&reg->lock);

	/* Destruction cannot fail, and the tree may need a node for it */
	mas_store_gfp(&mas, NULL, GFP_KERNEL | __GFP_NOFAIL);
	/* After the store, and before the grace period: see region_hinted_at() */
	smp_store_release(&reg->generation, reg->generation + 1);
	mem->removed = true;
	region_changing(reg, mem);
}

/*
 * Unpin and uncharge a removed region. The caller must hold the registry's lock,
 * which is dropped meanwhile.
 *
 * Return: for an abandoned region, true if the caller must retire it; false if
 * the worker will.
 */
static bool region_take_apart(struct mm_iommu_registry *reg,
			      struct mm_iommu_table_group_mem_t *mem)
{
	lockdep_assert_held(&reg->lock);
	mutex_unlock(&reg->lock);
	region_unpin_all(mem);
	mutex_lock(&reg->lock);
	region_changed(reg, mem);

	return mem->reaped;
}

/*
 * Remove and retire an abandoned region. If another thread is taking it apart
 * already, leave both to that thread.
 */
static void region_reap(struct mm_iommu_registry *reg,
			struct mm_iommu_table_group_mem_t *mem)
{
	struct mm_struct *mm = mem->mm;

	/*
	 * As soon as the lock is free another thread may drop the region and the last
	 * reference of the mm. The registry, with this lock, is freed with the mm.
	 */
	mmgrab(mm);
	mutex_lock(&reg->lock);
	mem->reaped = true;
	if (!mem->removed) {
		region_remove(reg, mem);
		region_take_apart(reg, mem);
	} else if (!list_empty(&mem->changing)) {
		/* The thread that takes it apart sees ->reaped and retires it */
		mem = NULL;
	}
	mutex_unlock(&reg->lock);
	if (mem)
		region_retire(mem);
	mmdrop(mm);
}

/*
 * Regions keep the registry: it may be freed with the last region of the list, so
 * do not use it behind the loop. A region that is abandoned meanwhile finds the
 * list empty and queues the work again.
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

/**
 * region_abandon() - leave a region to the worker of its registry
 * @mem: the region; its last reference was dropped, and it has no registrations
 *
 * One work removes all abandoned regions of the mm. Until that is queued nobody
 * takes the region off the list, and the region keeps the registry.
 *
 * Context: any in virtual mode, does not sleep. The caller must be in an RCU
 * section that began before the reference was dropped.
 */
void region_abandon(struct mm_iommu_table_group_mem_t *mem)
{
	struct mm_iommu_registry *reg = mem->mm->context.iommu_registry;

	region_assert_rcu();
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

/* Test if the last reference was dropped, and the worker has not come to it yet */
static bool region_abandoned(const struct mm_iommu_table_group_mem_t *mem)
{
	return !mem->registrations && !atomic64_read(&mem->map_refs);
}

static bool region_is(const struct mm_iommu_table_group_mem_t *mem,
		      unsigned long ua, unsigned long npages)
{
	return mem->ua == ua && mem->npages == npages;
}

/* The first region that is being made or taken apart and overlaps the range */
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

/* Wait until a region has left the list. Drops the lock meanwhile */
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
 * Wait until no region is being made or taken apart in the range, and remove
 * abandoned ones. What the caller finds in the tree afterwards stays until it
 * drops the lock. Fail at once if a different region is being made there: it
 * would be in the way.
 */
static int registry_settle(struct mm_iommu_registry *reg, unsigned long ua,
			   unsigned long npages)
{
	unsigned long start, last = ua + (npages << PAGE_SHIFT) - 1;
	struct mm_iommu_table_group_mem_t *mem;
	int ret = 0;

	lockdep_assert_held(&reg->lock);
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
		if (!mem->removed && !region_is(mem, ua, npages))
			return -EINVAL;
		ret = registry_wait(reg);
	}

	return ret;
}

/*
 * Register an existing region of the same range once more. Returns 0 with @pmem set to
 * the region, or to NULL when the range is free for a new one; or an error. The caller
 * must hold the registry's lock.
 */
static int region_reuse(struct mm_iommu_registry *reg, unsigned long ua,
			unsigned long npages,
			struct mm_iommu_table_group_mem_t **pmem)
{
	unsigned long start = ua, last = ua + (npages << PAGE_SHIFT) - 1;
	struct mm_iommu_table_group_mem_t *mem;
	int ret;

	lockdep_assert_held(&reg->lock);
	ret = registry_settle(reg, ua, npages);
	if (ret)
		return ret;

	mem = mt_find(&reg->regions, &start, last);
	if (mem && !region_is(mem, ua, npages))
		return -EINVAL;
	/* Abandoned: something still maps it */
	if (mem && !mem->registrations)
		return -EBUSY;
	if (mem)
		mem->registrations++;
	*pmem = mem;

	return 0;
}

/*
 * Refuse more memory than there is before any of it is faulted in. Memory that is
 * not RAM in the first place (device DAX) is exempt.
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

/* Charge and pin a region. Without the registry's lock (R5) */
static int region_make(struct mm_iommu_table_group_mem_t *mem)
{
	int ret;

	lockdep_assert_not_held(&mem->mm->context.iommu_registry->lock);
	ret = region_check_size(mem);
	if (ret)
		return ret;
	ret = tce_charge(mem->mm, mem->npages);
	if (ret)
		return ret;

	ret = region_alloc_pieces(mem);
	if (!ret)
		ret = region_pin(mem);
	if (ret)
		tce_uncharge(mem->mm, mem->npages);

	return ret;
}

/* Insert a complete region into the tree. Returns 0 or -ENOMEM */
static int region_publish(struct mm_iommu_registry *reg,
			  struct mm_iommu_table_group_mem_t *mem)
{
	MA_STATE(mas, &reg->regions, mem->ua, region_last(mem));

	lockdep_assert_held(&reg->lock);

	return mas_store_gfp(&mas, mem, GFP_KERNEL);
}

/*
 * Charge, pin and insert a region. It is not visible before it is complete, and
 * nobody else can register its range meanwhile (R5). The caller must hold the
 * lock, which is dropped in between.
 */
static int region_make_known(struct mm_iommu_registry *reg,
			     struct mm_iommu_table_group_mem_t *mem)
{
	int ret;

	lockdep_assert_held(&reg->lock);
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

/*
 * Register an existing region once more, or make a new one. The caller must hold
 * the lock, which may be dropped in between.
 */
static struct mm_iommu_table_group_mem_t *
region_reuse_or_make(struct mm_iommu_registry *reg, struct mm_struct *mm,
		     unsigned long ua, unsigned long npages)
{
	struct mm_iommu_table_group_mem_t *mem;
	int ret;

	lockdep_assert_held(&reg->lock);
	ret = region_reuse(reg, ua, npages, &mem);
	if (ret)
		return ERR_PTR(ret);
	if (mem)
		return mem;

	mem = region_alloc(mm, ua, npages);
	if (!mem)
		return ERR_PTR(-ENOMEM);
	ret = region_make_known(reg, mem);
	if (ret) {
		region_free(mem);
		/* Not the last reference: the caller has one */
		mmdrop(mm);
		return ERR_PTR(ret);
	}

	return mem;
}

/**
 * mm_iommu_new() - register memory
 * @mm: whose memory, the current process's
 * @ua: user address, aligned to the system page size
 * @entries: size in system pages
 * @pmem: set to the region
 *
 * A range that is registered already, with the same start and size, is
 * registered once more without further pins or charge. Waits while another thread
 * registers the same range, and while the range is being unpinned.
 *
 * Context: process, may sleep; takes the mmap_lock. Does not wait when the process
 * is being killed.
 *
 * Return: 0; -EINVAL for a bad or partly registered range; -EBUSY when the
 * range was abandoned and is still mapped; -EFAULT when some of it cannot be
 * pinned for writing; -ENOMEM when there is not enough memory or
 * RLIMIT_MEMLOCK would be exceeded; -EINTR when the process is being killed.
 * Nothing is pinned or charged after an error.
 */
long mm_iommu_new(struct mm_struct *mm, unsigned long ua, unsigned long entries,
		  struct mm_iommu_table_group_mem_t **pmem)
{
	struct mm_iommu_table_group_mem_t *mem;
	struct mm_iommu_registry *reg;
	unsigned long size, end;
	long ret;

	if (!entries || !PAGE_ALIGNED(ua) ||
	    check_shl_overflow(entries, PAGE_SHIFT, &size) ||
	    check_add_overflow(ua, size - 1, &end))
		return -EINVAL;

	reg = registry_get(mm);
	if (!reg)
		return -ENOMEM;

	if (mutex_lock_killable(&reg->lock))
		return -EINTR;
	mem = region_reuse_or_make(reg, mm, ua, entries);
	ret = PTR_ERR_OR_ZERO(mem);
	trace_tce_region_register(ua, size, ret ? 0 : mem->registrations, ret);
	mutex_unlock(&reg->lock);
	if (!ret)
		*pmem = mem;

	return ret;
}
EXPORT_SYMBOL_GPL(mm_iommu_new);

/**
 * mm_iommu_unregister() - unregister memory unless it is mapped
 * @mm: as registered
 * @mem: the region, from mm_iommu_new()
 * @unmapped: the caller has checked that no table of its own maps the region
 *
 * Context: process, may sleep.
 *
 * Return: 0; -EBUSY when this is the last registration and some of the region
 * is mapped; -EAGAIN when it is not the last and @unmapped is false: references
 * do not tell maps of the caller from those of others, so it must check and call
 * again; -EINTR when the process is being killed. After an error the region
 * stays registered.
 */
long mm_iommu_unregister(struct mm_struct *mm,
			 struct mm_iommu_table_group_mem_t *mem, bool unmapped)
{
	struct mm_iommu_registry *reg = mm->context.iommu_registry;
	unsigned long ua = mem->ua, size = mem->npages << PAGE_SHIFT;
	bool last = false;
	long ret = 0;

	if (mutex_lock_killable(&reg->lock))
		return -EINTR;
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
	trace_tce_region_unregister(ua, size, mem->registrations, ret);
	mutex_unlock(&reg->lock);
	if (last)
		region_retire(mem);

	return ret;
}
EXPORT_SYMBOL_GPL(mm_iommu_unregister);

/**
 * mm_iommu_release() - unregister memory for good
 * @mm: as registered
 * @mem: the region, from mm_iommu_new()
 *
 * For a container that is closed. When this is the last registration and
 * something still maps the region, the region is removed with its last reference.
 *
 * Context: process, may sleep.
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
 * mm_iommu_next_region() - describe the next registered region, for debugfs
 * @mm: whose memory; the caller must have a reference (mmgrab())
 * @ua: user address from which to search
 * @info: set to a description of the region
 *
 * Regions may come and go meanwhile: each value was right at some moment of the
 * call. Takes no lock.
 *
 * Context: process.
 *
 * Return: true; false when no region starts at @ua or above.
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
		/* One of them is for being registered */
		info->map_refs = map_refs - (map_refs && info->registrations);
		info->granule_shift = mem->granule_shift;
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
 * mm_iommu_init() - initialize the registry of a new mm
 * @mm: the mm; a forked one starts without regions
 *
 * Context: any.
 */
void mm_iommu_init(struct mm_struct *mm)
{
	mm->context.iommu_registry = NULL;
}

/**
 * mm_iommu_destroy() - free the registry of an mm
 * @mm: the mm; it has no regions, since each has a reference of the mm
 *
 * Context: any that may free memory.
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
