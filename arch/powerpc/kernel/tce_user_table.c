// SPDX-License-Identifier: GPL-2.0-only
/*
 * User-owned TCE tables: map, unmap and give back.
 *
 * Who owns what: the table's TCEs own counts of registered regions (or, for
 * memory that was not registered, pins of single pages); the user shadow records
 * which. The table owns its levels and their charge. All of it was taken from
 * one mm and goes back there, at the latest when the last reference to the
 * table goes.
 *
 * Where it is kept: iommu_table::it_tree holds the TCEs where the hardware
 * walks them in memory, and the user shadow right behind each leaf of them: one
 * walk finds both, one reservation makes both. Where the hypervisor has the
 * TCEs and takes them in lists, the tree holds nothing but the user shadow.
 *
 * The principle: a commit cannot fail, and nothing outlives its count. A map
 * request first takes all that it needs: counts, then levels. Then it writes
 * TCEs, invalidates once what the hardware may have cached of the old ones,
 * and only then swaps the shadow and gives back what the old TCEs held. The shadow
 * itself thus remembers, without another allocation, what is to be given back
 * behind the invalidation.
 *
 * The exception is a hypervisor, which may refuse a TCE in the middle of a
 * commit. Until the shadow is swapped it says all that the TCEs were, so these are
 * put back.
 *
 * Who changes TCEs and shadow has the lock of the table. The container and KVM
 * write one table without any other lock in common. Taking counts and levels
 * needs no lock, so a request over several tables prepares all, and then
 * commits one after the other.
 *
 * A request mostly stays in one leaf and often is a single page. So all steps
 * share a iterator, and are inlined into the request: that spares a page more
 * than what is done for it, and gives each kind of request loops of its own.
 */
#define pr_fmt(fmt) "spapr_tce: " fmt

#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include <asm/iommu.h>
#include <asm/tce_user_table.h>
#include <asm/mmu_context.h>
#include <asm/tce.h>

#include <trace/events/spapr_tce.h>

/* Covers the list and user_table::debug_refs; nobody waits with it */
DEFINE_MUTEX(user_tables_mutex);
LIST_HEAD(user_tables);
static unsigned long user_table_last_id;

/**
 * user_table_init() - make a table a user-owned one
 * @tbl: a new table, its size, offset, page size and node are set
 * @mm: the process that pays for the table and whose memory it will map
 * @levels: least number of levels
 * @max_levels: largest number of levels
 * @in_memory: the hardware walks @tbl->it_tree; otherwise that has no TCEs, and
 *	       iommu_table_ops::store_batch and iommu_table_ops::clear_batch write them
 *
 * Context: process, may sleep.
 *
 * Return: 0; -ENOMEM when there is no memory; or the error of tce_tree_init().
 */
int user_table_init(struct iommu_table *tbl, struct mm_struct *mm,
		    unsigned int levels, unsigned int max_levels,
			  bool in_memory)
{
	struct user_table *user;
	int ret;

	user = kzalloc(sizeof(*user), GFP_KERNEL_ACCOUNT);
	if (!user)
		return -ENOMEM;

	tce_account_init(&user->account, mm);
	ret = tce_tree_init(&tbl->it_tree, tbl->it_size, levels, max_levels,
			    tbl->it_page_shift, tbl->it_nid, &user->account,
			    in_memory);
	if (ret)
		goto free;

	/* Aligned to its size, as all that has a power of two for it */
	if (!in_memory)
		user->tces = kmalloc_array(TCE_BATCH_MAX, sizeof(__be64),
					   GFP_KERNEL_ACCOUNT);
	if (!in_memory && !user->tces) {
		tce_tree_destroy(&tbl->it_tree);
		ret = -ENOMEM;
		goto free;
	}

	mmgrab(mm);
	tce_lock_init(&user->lock);
	user->mm = mm;
	user->tbl = tbl;
	tbl->it_user = user;
	INIT_LIST_HEAD(&user->debug_refs);
	mutex_lock(&user_tables_mutex);
	user->id = ++user_table_last_id;
	list_add_tail(&user->node, &user_tables);
	mutex_unlock(&user_tables_mutex);
	tce_debugfs_add_table(user);

	return 0;
free:
	kfree(user);

	return ret;
}

static bool user_table_in_memory(struct iommu_table *tbl)
{
	return tbl->it_tree.shadow;
}

static void user_table_lock(struct iommu_table *tbl)
{
	tce_lock(&tbl->it_user->lock);
}

static void user_table_unlock(struct iommu_table *tbl)
{
	tce_unlock(&tbl->it_user->lock);
}

static noinline void user_table_trace_kill(struct iommu_table *tbl,
					   unsigned long entry,
					   unsigned long npages)
{
	trace_tce_kill(tbl, entry, npages, 0);
}

/*
 * PEs may come and go meanwhile. The platform orders the TCEs, as they were
 * written, before its look at who is there: a new one sees them.
 */
static __always_inline void
user_table_kill(struct iommu_table *tbl, unsigned long entry,
		unsigned long npages)
{
	rcu_read_lock();
	iommu_tce_kill(tbl, entry, npages);
	rcu_read_unlock();
	if (trace_tce_kill_enabled())
		user_table_trace_kill(tbl, entry, npages);
}

/*
 * Giving back what TCEs held: counts are collected as long as they are of one
 * region. Lives in registers, and inside an RCU section.
 */
struct shadow_refs {
	struct mm_iommu_bounds bounds;
	unsigned long nr;
};

static __always_inline void shadow_refs_drop(struct shadow_refs *refs)
{
	if (refs->nr)
		mm_iommu_unref(refs->bounds.mem, refs->nr);
	refs->nr = 0;
	refs->bounds.size = 0;
}

/* On to the region of @old, which is @mem if the caller guessed right */
static noinline void shadow_refs_next(struct iommu_table *tbl,
				      struct mm_iommu_table_group_mem_t *mem,
					 struct shadow_refs *refs,
					 unsigned long old)
{
	shadow_refs_drop(refs);
	WARN_ON_ONCE(!mm_iommu_find_bounds(tbl->it_user->mm, mem,
					   old & ~TCE_SHADOW_FLAGS, &refs->bounds));
}

static noinline void shadow_unpin(struct shadow_refs *refs,
				  unsigned long old)
{
	struct page *page = pfn_to_page(old >> PAGE_SHIFT);

	shadow_refs_drop(refs);
	rcu_read_unlock();
	unpin_user_pages_dirty_lock(&page, 1, old & TCE_SHADOW_WRITE);
	rcu_read_lock();
}

static __always_inline void shadow_unref(struct iommu_table *tbl,
					 struct mm_iommu_table_group_mem_t *mem,
					       struct shadow_refs *refs,
					       unsigned long old)
{
	struct shadow_refs copy;

	if (unlikely(old & TCE_SHADOW_PIN)) {
		copy = *refs;
		shadow_unpin(&copy, old);
		*refs = copy;
		return;
	}
	if (unlikely(old - refs->bounds.start >= refs->bounds.size)) {
		copy = *refs;
		shadow_refs_next(tbl, mem, &copy, old);
		*refs = copy;
	}
	refs->nr++;
}

/* What is to be mapped: registered memory from @ua on, or @tces, or @batch */
struct user_table_source {
	struct mm_iommu_table_group_mem_t *mem;
	unsigned long ua;
	unsigned long perm;
	const __be64 *tces;
	const struct tce_batch *batch;
};

static unsigned long tce_shadow_perm(unsigned long old)
{
	return (old >> TCE_SHADOW_PERM_SHIFT) & (TCE_PCI_READ | TCE_PCI_WRITE);
}

/* What a TCE holds that maps this address, which has its permissions with it */
static unsigned long tce_shadow_make(unsigned long addr, unsigned long what)
{
	unsigned long perm = addr & (TCE_PCI_READ | TCE_PCI_WRITE);

	return (addr - perm) | perm << TCE_SHADOW_PERM_SHIFT | what;
}

/* What a TCE that maps a page of a list holds */
static unsigned long tce_batch_shadow(struct iommu_table *tbl,
				      const struct tce_batch *batch,
					  unsigned long page)
{
	unsigned long ua = tce_batch_page(batch, tbl->it_page_shift, page);

	return ua ? tce_shadow_make(ua, TCE_SHADOW_UA) : 0;
}

/*
 * Make the shadow of a range say what its new TCEs hold, and give back what the
 * old ones did. Comes behind the kill of the range.
 */
static __always_inline void
user_table_swap_shadow(struct iommu_table *tbl, struct tce_iter *iter,
		       unsigned long index, unsigned long npages,
		    const struct user_table_source *src)
{
	unsigned long end = index + npages, step = IOMMU_PAGE_SIZE(tbl);
	unsigned long new = tce_shadow_make(src->ua | src->perm, TCE_SHADOW_UA);
	unsigned long page = 0, nr, old;
	const __be64 *tces = src->tces;
	struct shadow_refs refs = { };
	__be64 *leaf, *shadow, *stop;

	while ((leaf = tce_iter_next(iter, &index, end, &nr))) {
		shadow = tce_tree_shadow(&tbl->it_tree, leaf);
		rcu_read_lock();
		for (stop = shadow + nr; shadow < stop; shadow++, new += step) {
			old = tce_load(shadow);
			if (unlikely(tces))
				new = tce_shadow_make(tce_load(tces++),
						      TCE_SHADOW_PIN);
			if (unlikely(src->batch))
				new = tce_batch_shadow(tbl, src->batch, page++);
			tce_store(shadow, new);
			if (old)
				shadow_unref(tbl, src->mem, &refs, old);
		}
		shadow_refs_drop(&refs);
		rcu_read_unlock();
		index += nr;
		if (index < end)
			cond_resched();
	}
}

/* The same for TCEs that were cleared */
static __always_inline void
user_table_drop_refs(struct iommu_table *tbl, struct tce_iter *iter,
		     unsigned long index, unsigned long npages,
		struct mm_iommu_table_group_mem_t *mem)
{
	unsigned long end = index + npages, nr, old;
	struct shadow_refs refs = { };
	__be64 *leaf, *shadow, *stop;

	while ((leaf = tce_iter_next(iter, &index, end, &nr))) {
		shadow = tce_tree_shadow(&tbl->it_tree, leaf);
		rcu_read_lock();
		for (stop = shadow + nr; shadow < stop; shadow++) {
			if (!*shadow)
				continue;
			old = tce_load(shadow);
			*shadow = 0;
			shadow_unref(tbl, mem, &refs, old);
		}
		shadow_refs_drop(&refs);
		rcu_read_unlock();
		index += nr;
		if (index < end)
			cond_resched();
	}
}

/*
 * The TCEs themselves.
 */

/* @nr TCEs of @src, behind the first @done */
static __always_inline void
user_table_set_tces(struct iommu_table *tbl, const struct user_table_source *src,
		    unsigned long done, unsigned long nr, __be64 *tces)
{
	unsigned int shift = tbl->it_page_shift;
	unsigned long i;

	if (unlikely(src->batch)) {
		mm_iommu_translate_batch(tbl->it_user->mm, src->batch, shift, done, nr,
					 tces);
		return;
	}
	if (likely(!src->tces)) {
		mm_iommu_translate_range(tbl->it_user->mm, src->mem,
					 src->ua + (done << shift), nr, shift,
				   src->perm, tces);
		return;
	}
	for (i = 0; i < nr; i++)
		WRITE_ONCE(tces[i], src->tces[done + i]);
}

static __always_inline void
user_table_store_leaves(struct iommu_table *tbl, struct tce_iter *iter,
			unsigned long index, unsigned long npages,
		      const struct user_table_source *src)
{
	unsigned long first = index, end = index + npages, nr;
	__be64 *leaf;

	while ((leaf = tce_iter_next(iter, &index, end, &nr))) {
		user_table_set_tces(tbl, src, index - first, nr, leaf);
		index += nr;
		if (index < end)
			cond_resched();
	}
}

/* The TCE that holds this */
static __be64 user_table_old_tce(struct iommu_table *tbl, unsigned long old)
{
	unsigned long addr = old & ~TCE_SHADOW_FLAGS;
	__be64 tce = cpu_to_be64(addr | tce_shadow_perm(old));

	if (old & TCE_SHADOW_UA)
		mm_iommu_translate_range(tbl->it_user->mm, NULL, addr, 1,
					 tbl->it_page_shift, tce_shadow_perm(old),
				   &tce);

	return tce;
}

/* Nothing is given back of TCEs that may be there still; 0 or -EIO */
static int user_table_unmap_batches(struct iommu_table *tbl, unsigned long index,
				    unsigned long npages,
				  struct mm_iommu_table_group_mem_t *mem)
{
	struct tce_iter iter = { .tree = &tbl->it_tree };
	unsigned long end = index + npages, entry, nr;
	int ret = 0;

	while (tce_iter_next(&iter, &index, end, &nr)) {
		entry = tbl->it_offset + index;
		if (tbl->it_ops->clear_batch(tbl, entry, nr)) {
			pr_warn_ratelimited("LIOBN %lx: the hypervisor does not clear %lu TCEs at %#lx\n",
					    tbl->it_index, nr,
					    entry << tbl->it_page_shift);
			ret = -EIO;
		} else {
			user_table_kill(tbl, entry, nr);
			user_table_drop_refs(tbl, &iter, index, nr, mem);
		}
		index += nr;
		if (index < end)
			cond_resched();
	}

	return ret;
}

/*
 * Make TCEs again what the shadow says that they were. Where the hypervisor does
 * not take these either, nothing is mapped any more.
 *
 * Return: @why; -EIO when something that was mapped is not; 1 when not even
 * that can be had.
 */
static int user_table_restore(struct iommu_table *tbl, unsigned long index,
			      unsigned long npages, int why)
{
	struct tce_iter iter = { .tree = &tbl->it_tree };
	unsigned long end = index + npages, nr, i;
	__be64 *shadow, *tces = tbl->it_user->tces;
	int ret = why;

	while ((shadow = tce_iter_next(&iter, &index, end, &nr))) {
		nr = min_t(unsigned long, nr, TCE_BATCH_MAX);
		for (i = 0; i < nr; i++)
			tces[i] = user_table_old_tce(tbl, tce_load(shadow + i));
		if (tbl->it_ops->store_batch(tbl, tbl->it_offset + index, nr,
					     tces)) {
			if (ret < 0)
				ret = -EIO;
			if (user_table_unmap_batches(tbl, index, nr, NULL))
				ret = 1;
		}
		index += nr;
		cond_resched();
	}
	WARN_ON_ONCE(ret > 0);

	return ret;
}

static noinline int user_table_store_batches(struct iommu_table *tbl,
					     unsigned long index,
					 unsigned long npages,
					 struct user_table_source src)
{
	unsigned long entry = tbl->it_offset + index, done, nr;
	__be64 *tces = tbl->it_user->tces;
	int ret = 0;

	for (done = 0; done < npages && !ret; done += nr) {
		nr = min_t(unsigned long, npages - done, TCE_BATCH_MAX);
		user_table_set_tces(tbl, &src, done, nr, tces);
		ret = tbl->it_ops->store_batch(tbl, entry + done, nr, tces);
		cond_resched();
	}
	if (ret) {
		pr_debug_ratelimited("LIOBN %lx: the hypervisor refuses TCEs at %#lx: error %d\n",
				     tbl->it_index,
				     (entry + done - nr) << tbl->it_page_shift,
				     ret);
		/* Of the last list, too, some may be there */
		ret = user_table_restore(tbl, index, done, ret);
		user_table_kill(tbl, entry, done);
	}

	return ret;
}

/*
 * Write TCEs.
 *
 * Return: 0; -ENOMEM or -EIO when the hypervisor refuses one, and all is as it
 * was before; -EIO also when that could not be had, and some of what was mapped
 * is not; 1 when it does not take back what it has, so that new TCEs may stay.
 */
static __always_inline int
user_table_store(struct iommu_table *tbl, struct tce_iter *iter,
		 unsigned long index, unsigned long npages,
	       const struct user_table_source *src)
{
	if (unlikely(!user_table_in_memory(tbl)))
		return user_table_store_batches(tbl, index, npages, *src);

	user_table_store_leaves(tbl, iter, index, npages, src);

	return 0;
}

/* Clear TCEs where there are leaves; true if there were any */
static bool user_table_clear(struct iommu_table *tbl, struct tce_iter *iter,
			     unsigned long index, unsigned long npages)
{
	unsigned long end = index + npages, nr;
	__be64 *leaf, *stop;
	bool any = false;

	while ((leaf = tce_iter_next(iter, &index, end, &nr))) {
		for (stop = leaf + nr; leaf < stop; leaf++)
			WRITE_ONCE(*leaf, 0);
		any = true;
		index += nr;
		if (index < end)
			cond_resched();
	}

	return any;
}

/*
 * Requests are traced from outside of the functions that do them: what an event
 * is to say when all is over need not be kept while no event is wanted.
 */

static noinline long
user_table_do_map(struct iommu_table *tbl, unsigned long entry,
		  unsigned long npages, struct mm_iommu_table_group_mem_t *mem,
		  unsigned long ua, enum dma_data_direction direction,
		  unsigned long *made)
{
	struct user_table_source src = {
		.mem = mem,
		.ua = ua,
		.perm = user_table_perm(tbl, direction),
	};
	unsigned long index = entry - tbl->it_offset;
	struct tce_iter iter = { .tree = &tbl->it_tree };
	struct mm_struct *mm = tbl->it_user->mm;
	unsigned int shift = tbl->it_page_shift;
	long ret;

	ret = mm_iommu_ref_range(mm, mem, ua, npages, shift,
				 src.perm & TCE_PCI_WRITE);
	if (ret)
		return ret;

	ret = tce_iter_reserve(&iter, index, npages, GFP_KERNEL);
	if (ret) {
		mm_iommu_unref_range(mm, mem, ua, npages, shift);
		return ret;
	}
	if (unlikely(made))
		*made = iter.made;

	user_table_lock(tbl);
	ret = user_table_store(tbl, &iter, index, npages, &src);
	if (likely(!ret)) {
		user_table_kill(tbl, entry, npages);
		user_table_swap_shadow(tbl, &iter, index, npages, &src);
	}
	user_table_unlock(tbl);
	if (ret < 0)
		mm_iommu_unref_range(mm, mem, ua, npages, shift);

	return ret > 0 ? -EIO : ret;
}

static noinline long
user_table_trace_map(struct iommu_table *tbl, unsigned long entry,
		     unsigned long npages,
		     struct mm_iommu_table_group_mem_t *mem, unsigned long ua,
		     enum dma_data_direction direction)
{
	unsigned long made = 0;
	long ret = user_table_do_map(tbl, entry, npages, mem, ua, direction,
				     &made);

	trace_tce_map(tbl, entry, npages, ua, made, ret);

	return ret;
}

/**
 * user_table_map() - map registered memory
 * @tbl: a user-owned table
 * @entry: first TCE, counted from PCI address 0; the range is inside @tbl
 * @npages: how many IOMMU pages
 * @mem: a region, probably the one of @ua, that the caller has registered; or
 *	 NULL
 * @ua: user address in the mm of the table, aligned to the IOMMU page size
 * @direction: what the device may do
 *
 * Replaces what was mapped in the range. Context: process, may sleep.
 *
 * Return: 0; -EINVAL when not all of the memory is registered; -EPERM when an
 * IOMMU page is larger than what backs it; -ENOMEM when a level could not be
 * allocated or charged, or the hypervisor has no memory for the TCEs; -EINTR
 * when levels are missing and the current process is being killed: in these
 * cases nothing has changed. -EIO when the hypervisor refused a TCE for another
 * reason, or to have back what was mapped: then some of that may be unmapped.
 */
long user_table_map(struct iommu_table *tbl, unsigned long entry,
		    unsigned long npages,
		    struct mm_iommu_table_group_mem_t *mem, unsigned long ua,
		    enum dma_data_direction direction)
{
	if (trace_tce_map_enabled())
		return user_table_trace_map(tbl, entry, npages, mem, ua,
					    direction);

	return user_table_do_map(tbl, entry, npages, mem, ua, direction, NULL);
}
EXPORT_SYMBOL_GPL(user_table_map);

/**
 * user_table_map_pinned() - map pages that were pinned for this
 * @tbl: a user-owned table
 * @entry: first TCE, counted from PCI address 0; the range is inside @tbl
 * @npages: how many IOMMU pages
 * @tces: the TCEs; each holds one pin (pin_user_pages()) of its page, which
 *	  @tbl takes over
 *
 * Replaces what was mapped in the range. Context: process, may sleep.
 *
 * Return: 0; -ENOMEM, -EINTR or -EIO as user_table_map(), and the pins are the
 * caller's; 1 when the hypervisor neither takes the TCEs nor gives them up, and
 * the pins must stay for good.
 */
long user_table_map_pinned(struct iommu_table *tbl, unsigned long entry,
			   unsigned long npages, const __be64 *tces)
{
	unsigned long index = entry - tbl->it_offset;
	struct tce_iter iter = { .tree = &tbl->it_tree };
	struct user_table_source src = { .tces = tces };
	long ret;

	ret = tce_iter_reserve(&iter, index, npages, GFP_KERNEL);
	if (ret)
		goto out;

	user_table_lock(tbl);
	ret = user_table_store(tbl, &iter, index, npages, &src);
	if (!ret) {
		user_table_kill(tbl, entry, npages);
		user_table_swap_shadow(tbl, &iter, index, npages, &src);
	}
	user_table_unlock(tbl);
out:
	trace_tce_map(tbl, entry, npages, 0, iter.made, ret > 0 ? -EIO : ret);

	return ret;
}
EXPORT_SYMBOL_GPL(user_table_map_pinned);

static noinline int
user_table_do_unmap(struct iommu_table *tbl, unsigned long entry,
		    unsigned long npages,
		    struct mm_iommu_table_group_mem_t *mem)
{
	struct tce_iter iter = { .tree = &tbl->it_tree };
	unsigned long index = entry - tbl->it_offset;
	int ret = 0;

	user_table_lock(tbl);
	if (unlikely(!user_table_in_memory(tbl))) {
		ret = user_table_unmap_batches(tbl, index, npages, mem);
	} else if (user_table_clear(tbl, &iter, index, npages)) {
		user_table_kill(tbl, entry, npages);
		user_table_drop_refs(tbl, &iter, index, npages, mem);
	}
	user_table_unlock(tbl);

	return ret;
}

static noinline int
user_table_trace_unmap(struct iommu_table *tbl, unsigned long entry,
		       unsigned long npages,
		       struct mm_iommu_table_group_mem_t *mem)
{
	int ret = user_table_do_unmap(tbl, entry, npages, mem);

	trace_tce_unmap(tbl, entry, npages, ret);

	return ret;
}

/**
 * user_table_unmap() - unmap a range
 * @tbl: a user-owned table
 * @entry: first TCE, counted from PCI address 0; the range is inside @tbl
 * @npages: how many IOMMU pages
 * @mem: a region, probably the one that the range maps, that the caller has
 *	 registered; or NULL
 *
 * When this returns the device reaches none of the pages through the range
 * any more, and what its TCEs held has been given back. Costs what is mapped,
 * not the size of the range. Context: process, may sleep.
 *
 * Return: 0; -EIO when the hypervisor refused to clear some of the TCEs: what
 * these hold is given back when the table goes, if not before.
 */
int user_table_unmap(struct iommu_table *tbl, unsigned long entry,
		     unsigned long npages,
		     struct mm_iommu_table_group_mem_t *mem)
{
	if (trace_tce_unmap_enabled())
		return user_table_trace_unmap(tbl, entry, npages, mem);

	return user_table_do_unmap(tbl, entry, npages, mem);
}
EXPORT_SYMBOL_GPL(user_table_unmap);

/**
 * user_table_revoke() - unmap all, for good
 * @tbl: a user-owned table that the container is about to drop
 * @mem: as for user_table_unmap()
 *
 * For others who have the table still it maps nothing any more, and what they
 * want to map goes nowhere. Context: process, may sleep.
 */
void user_table_revoke(struct iommu_table *tbl,
		       struct mm_iommu_table_group_mem_t *mem)
{
	user_table_lock(tbl);
	WRITE_ONCE(tbl->it_user->revoked, true);
	user_table_unlock(tbl);

	user_table_unmap(tbl, tbl->it_offset, tbl->it_size, mem);
}
EXPORT_SYMBOL_GPL(user_table_revoke);

/**
 * user_table_maps() - does a table map any of this memory?
 * @tbl: a user-owned table
 * @ua: start of a range of user addresses
 * @size: its size in bytes
 *
 * Context: process, may sleep. The caller keeps maps of its own away.
 *
 * Return: true if a TCE of @tbl holds a count of memory in the range.
 */
bool user_table_maps(struct iommu_table *tbl, unsigned long ua,
		     unsigned long size)
{
	struct tce_iter iter = { .tree = &tbl->it_tree };
	unsigned long index = 0, nr, old;
	__be64 *leaf, *shadow, *stop;

	/* Without the lock: whatever KVM maps meanwhile it may map later, too */
	while ((leaf = tce_iter_next(&iter, &index, tbl->it_size, &nr))) {
		shadow = tce_tree_shadow(&tbl->it_tree, leaf);
		for (stop = shadow + nr; shadow < stop; shadow++) {
			old = tce_load(shadow);
			if (old && !(old & TCE_SHADOW_PIN) &&
			    (old & ~TCE_SHADOW_FLAGS) - ua < size)
				return true;
		}
		index += nr;
		cond_resched();
	}

	return false;
}
EXPORT_SYMBOL_GPL(user_table_maps);

/*
 * Does a PE of this group translate by the table? The table's own list of
 * groups is kept by powernv only.
 */
static bool user_table_serves(struct iommu_table *tbl,
			      struct iommu_table_group *table_group)
{
	unsigned int i;

	for (i = 0; i < IOMMU_TABLE_GROUP_MAX_TABLES; i++)
		if (READ_ONCE(table_group->tables[i]) == tbl)
			return true;

	return false;
}

/**
 * user_table_get() - find the table behind a window of a PE
 * @table_group: the PE's
 * @mm: whose table it must be
 * @page_shift: log2 of the largest IOMMU page size that will do
 * @start: PCI address where the window starts
 * @size: the least size of the window in bytes
 *
 * Context: process, may sleep.
 *
 * Return: the table with a reference; ERR_PTR(-EINVAL) when the PE has none
 * like that, ERR_PTR(-EPERM) when it is another process's.
 */
struct iommu_table *user_table_get(struct iommu_table_group *table_group,
				   struct mm_struct *mm,
					 unsigned int page_shift, u64 start,
					 u64 size)
{
	struct iommu_table *found = ERR_PTR(-EINVAL), *tbl;
	struct user_table *user;

	/* A table leaves the list before it goes */
	mutex_lock(&user_tables_mutex);
	list_for_each_entry(user, &user_tables, node) {
		tbl = user->tbl;
		if (READ_ONCE(user->revoked) || tbl->it_page_shift > page_shift ||
		    tbl->it_offset << tbl->it_page_shift != start ||
		    tbl->it_size << tbl->it_page_shift < size ||
		    !user_table_serves(tbl, table_group))
			continue;
		if (user->mm != mm)
			found = ERR_PTR(-EPERM);
		else if (iommu_tce_table_get(tbl))
			found = tbl;
		break;
	}
	mutex_unlock(&user_tables_mutex);

	return found;
}
EXPORT_SYMBOL_GPL(user_table_get);

/*
 * Lists: what a guest asks for.
 */

static unsigned long user_table_batch_pages(struct iommu_table *tbl,
					    const struct tce_batch *batch)
{
	return batch->nr << (batch->page_shift - tbl->it_page_shift);
}

/**
 * user_table_prepare_batch() - take all that a list will need
 * @tbl: a user-owned table
 * @entry: first TCE, counted from PCI address 0; all of the list is inside @tbl
 * @batch: what is to be mapped and unmapped
 *
 * Context: process, may sleep; without the lock.
 *
 * Return: 0, then either user_table_commit_batch() or user_table_cancel_batch()
 * follows; or the error of user_table_map(), with nothing changed.
 */
int user_table_prepare_batch(struct iommu_table *tbl, unsigned long entry,
			     struct tce_batch *batch)
{
	struct tce_iter iter = { .tree = &tbl->it_tree };
	int ret;

	ret = mm_iommu_ref_batch(tbl->it_user->mm, batch, tbl->it_page_shift);
	if (ret)
		return ret;

	ret = tce_iter_reserve(&iter, entry - tbl->it_offset,
			       user_table_batch_pages(tbl, batch), GFP_KERNEL);
	if (ret)
		user_table_cancel_batch(tbl, batch);

	return ret;
}
EXPORT_SYMBOL_GPL(user_table_prepare_batch);

/**
 * user_table_cancel_batch() - give back what was taken for a list
 * @tbl: as user_table_prepare_batch()
 * @batch: as user_table_prepare_batch()
 *
 * Levels stay. Context: process.
 */
void user_table_cancel_batch(struct iommu_table *tbl,
			     const struct tce_batch *batch)
{
	mm_iommu_unref_batch(tbl->it_user->mm, batch, tbl->it_page_shift);
}
EXPORT_SYMBOL_GPL(user_table_cancel_batch);

/**
 * user_table_commit_batch() - make a table what a list says
 * @tbl: as user_table_prepare_batch()
 * @entry: as user_table_prepare_batch()
 * @batch: what has been prepared
 *
 * When this returns the device reaches nothing any more of what was mapped
 * there. A table that the container has dropped stays empty. Context: process,
 * may sleep; takes the lock.
 *
 * Return: 0; or -ENOMEM or -EIO as user_table_map().
 */
int user_table_commit_batch(struct iommu_table *tbl, unsigned long entry,
			    const struct tce_batch *batch)
{
	unsigned long npages = user_table_batch_pages(tbl, batch);
	unsigned long index = entry - tbl->it_offset;
	struct tce_batch granted = *batch;
	struct user_table_source src = { .batch = &granted, .mem = batch->mem };
	struct tce_iter iter = { .tree = &tbl->it_tree };
	int ret = 0;
	bool revoked;

	granted.write_reads = user_table_write_reads(tbl);

	user_table_lock(tbl);
	revoked = tbl->it_user->revoked;
	if (!revoked)
		ret = user_table_store(tbl, &iter, index, npages, &src);
	if (!revoked && !ret) {
		user_table_kill(tbl, entry, npages);
		user_table_swap_shadow(tbl, &iter, index, npages, &src);
	}
	user_table_unlock(tbl);
	if (revoked || ret < 0)
		user_table_cancel_batch(tbl, batch);
	trace_tce_list(tbl, entry, npages, ret > 0 ? -EIO : ret);

	return ret > 0 ? -EIO : ret;
}
EXPORT_SYMBOL_GPL(user_table_commit_batch);

/*
 * Real mode: interrupts are off and stay off, so nothing here may take long;
 * nothing sleeps, allocates or looks beyond the linear mapping. The caller has
 * tried for the lock, and got it.
 */

static bool user_table_kill_rm(struct iommu_table *tbl, unsigned long entry,
			       unsigned long npages)
{
	return tbl->it_ops->tce_kill_rm &&
		tbl->it_ops->tce_kill_rm(tbl, entry, npages);
}

/**
 * user_table_can_store_rm() - can real mode map here?
 * @tbl: a user-owned table
 * @entry: first TCE, counted from PCI address 0; the range is inside @tbl
 * @npages: how many IOMMU pages
 *
 * It can where levels are there and nothing is mapped: it has no way to give
 * back a last count, and no time to undo what it began.
 * Context: real mode, with the lock.
 *
 * Return: true if user_table_store_batch_rm() may follow.
 */
bool user_table_can_store_rm(struct iommu_table *tbl, unsigned long entry,
			     unsigned long npages)
{
	unsigned long index = entry - tbl->it_offset, end = index + npages;
	struct tce_iter iter = { .tree = &tbl->it_tree };
	unsigned long next = index, nr;
	__be64 *leaf, *stop;

	if (tbl->it_user->revoked || !user_table_in_memory(tbl) ||
	    !user_table_kill_rm(tbl, entry, 0))
		return false;

	while ((leaf = tce_iter_next(&iter, &index, end, &nr))) {
		if (index != next)
			return false;
		for (stop = leaf + nr; leaf < stop; leaf++)
			if (*leaf || *tce_tree_shadow(&tbl->it_tree, leaf))
				return false;
		index += nr;
		next = index;
	}

	return next == end;
}

/**
 * user_table_store_batch_rm() - map a list where nothing is mapped
 * @tbl: a table of which user_table_can_store_rm() said true
 * @entry: first TCE, counted from PCI address 0
 * @batch: what to map; the caller has taken a count for each IOMMU page
 *
 * Context: real mode, with the lock.
 */
void user_table_store_batch_rm(struct iommu_table *tbl, unsigned long entry,
			       const struct tce_batch *batch)
{
	unsigned long index = entry - tbl->it_offset, page = 0, nr;
	unsigned long npages = user_table_batch_pages(tbl, batch);
	unsigned long end = index + npages;
	struct tce_iter iter = { .tree = &tbl->it_tree };
	struct tce_batch granted = *batch;
	__be64 *leaf, *shadow, *stop;

	granted.write_reads = user_table_write_reads(tbl);
	while ((leaf = tce_iter_next(&iter, &index, end, &nr))) {
		mm_iommu_translate_batch(tbl->it_user->mm, &granted,
					 tbl->it_page_shift, page, nr, leaf);
		shadow = tce_tree_shadow(&tbl->it_tree, leaf);
		for (stop = shadow + nr; shadow < stop; shadow++)
			tce_store(shadow, tce_batch_shadow(tbl, &granted,
							   page++));
		index += nr;
	}
	user_table_kill_rm(tbl, entry, npages);
}

/* Clear the entries of a shadow that hold memory of @bounds */
static void shadow_clear_bounds(const struct mm_iommu_bounds *bounds,
				__be64 *shadow, __be64 *stop)
{
	for (; shadow < stop; shadow++)
		if (*shadow && tce_load(shadow) - bounds->start < bounds->size)
			*shadow = 0;
}

/*
 * Give back what a leaf's shadow holds, from @shadow on as far as that is of one
 * region; where it ended. What could not be given back stays in the shadow.
 */
static __be64 *shadow_drop_region_rm(struct iommu_table *tbl, __be64 *shadow,
				     __be64 *stop, bool *all)
{
	struct mm_iommu_bounds bounds = { };
	unsigned long old, nr = 0;
	__be64 *first = shadow;

	for (; shadow < stop; shadow++) {
		old = tce_load(shadow);
		if (!old)
			continue;
		if (!nr && !mm_iommu_find_bounds(tbl->it_user->mm, NULL,
						 old & ~TCE_SHADOW_FLAGS, &bounds)) {
			*all = false;
			return stop;
		}
		if (old - bounds.start >= bounds.size)
			break;
		nr++;
	}
	if (nr && mm_iommu_try_unref(bounds.mem, nr))
		shadow_clear_bounds(&bounds, first, shadow);
	else if (nr)
		*all = false;

	return shadow;
}

static bool shadow_drop_leaf_rm(struct iommu_table *tbl, __be64 *shadow,
				unsigned long nr)
{
	__be64 *stop = shadow + nr;
	bool all = true;

	while (shadow < stop)
		shadow = shadow_drop_region_rm(tbl, shadow, stop, &all);

	return all;
}

/* Clear TCEs of a leaf; false if one of them holds more than a count */
static bool user_table_clear_leaf_rm(struct iommu_table *tbl, __be64 *leaf,
				     unsigned long nr)
{
	__be64 *stop = leaf + nr, *entry;

	for (entry = leaf; entry < stop; entry++)
		if (tce_load(tce_tree_shadow(&tbl->it_tree, entry)) &
		    TCE_SHADOW_PIN)
			return false;
	for (entry = leaf; entry < stop; entry++)
		WRITE_ONCE(*entry, 0);

	return true;
}

/**
 * user_table_unmap_rm() - unmap a range
 * @tbl: a user-owned table
 * @entry: first TCE, counted from PCI address 0; the range is inside @tbl
 * @npages: how many IOMMU pages
 *
 * Context: real mode, with the lock.
 *
 * Return: true; or false when something is left to user_table_unmap(), for
 * which the shadow keeps what it has to know.
 */
bool user_table_unmap_rm(struct iommu_table *tbl, unsigned long entry,
			 unsigned long npages)
{
	unsigned long index = entry - tbl->it_offset, end = index + npages, nr;
	struct tce_iter iter = { .tree = &tbl->it_tree };
	unsigned long first = index;
	bool any = false, all = true;
	__be64 *leaf;

	if (!user_table_in_memory(tbl) || !user_table_kill_rm(tbl, entry, 0))
		return false;

	while ((leaf = tce_iter_next(&iter, &index, end, &nr))) {
		any = true;
		if (!user_table_clear_leaf_rm(tbl, leaf, nr))
			return false;
		index += nr;
	}
	if (!any)
		return true;
	user_table_kill_rm(tbl, entry, npages);

	for (index = first; (leaf = tce_iter_next(&iter, &index, end, &nr));
	     index += nr)
		all &= shadow_drop_leaf_rm(tbl,
					       tce_tree_shadow(&tbl->it_tree, leaf),
					       nr);

	return all;
}

/**
 * user_table_destroy() - free all that a user-owned table has
 * @tbl: a table without references, windows and callers
 *
 * Gives back what the TCEs hold, and frees the levels; @tbl itself is left to
 * the caller. All is back in the owner's mm on return: nothing of one process
 * is queued where another one would wait for it.
 *
 * Context: process, may sleep. Takes the mmap_lock of the table's mm, which may
 * take that process as long as it likes: the caller holds no lock that another
 * process waits for.
 */
void user_table_destroy(struct iommu_table *tbl)
{
	struct user_table *user = tbl->it_user;
	struct tce_iter iter = { .tree = &tbl->it_tree };

	might_sleep();

	/* Waits for readers, who look at what follows */
	tce_debugfs_remove_table(user);

	/* No window leads to the table any more, so there is nothing to clear */
	user_table_drop_refs(tbl, &iter, 0, tbl->it_size, NULL);

	mutex_lock(&user_tables_mutex);
	list_del(&user->node);
	mutex_unlock(&user_tables_mutex);

	tce_tree_destroy(&tbl->it_tree);
	tbl->it_user = NULL;
	mmdrop(user->mm);
	kfree(user->tces);
	kfree(user);
}
