// SPDX-License-Identifier: GPL-2.0-only
/*
 * User-owned TCE tables: map, unmap and give back.
 *
 * Who owns what: the table's TCEs own counts of registered regions (or, for
 * memory that was not registered, pins of single pages); the user view records
 * which. The table owns its levels and their charge. All of it was taken from
 * one mm and goes back there, at the latest when the last reference to the
 * table goes.
 *
 * Where it is kept: iommu_table::it_tree holds the TCEs where the hardware
 * walks them in memory, and the user view right behind each leaf of them: one
 * walk finds both, one reservation makes both. Where the hypervisor has the
 * TCEs and takes them in lists, the tree holds nothing but the user view.
 *
 * The principle: a commit cannot fail, and nothing outlives its count. A map
 * request first takes all that it needs: counts, then levels. Then it writes
 * TCEs, invalidates once what the hardware may have cached of the old ones,
 * and only then swaps the view and gives back what the old TCEs held. The view
 * itself thus remembers, without another allocation, what is to be given back
 * behind the invalidation.
 *
 * The exception is a hypervisor, which may refuse a TCE in the middle of a
 * commit. Until the view is swapped it says all that the TCEs were, so these are
 * put back.
 *
 * Who changes TCEs and view has the claim of the table. The container and KVM
 * write one table without any other lock in common. Taking counts and levels
 * needs no claim, so a request over several tables prepares all, and then
 * commits one after the other.
 *
 * A request mostly stays in one leaf and often is a single page. So all steps
 * share a cursor, and are inlined into the request: that spares a page more
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
#include <asm/iommu_user.h>
#include <asm/mmu_context.h>
#include <asm/tce.h>

#include <trace/events/spapr_tce.h>

/* Covers the list and iommu_table_user::holders; nobody waits with it */
DEFINE_MUTEX(iommu_user_lock);
LIST_HEAD(iommu_user_tables);
static unsigned long iommu_user_last_id;

/**
 * iommu_user_init_table() - make a table a user-owned one
 * @tbl: a new table, its size, offset, page size and node are set
 * @mm: the process that pays for the table and whose memory it will map
 * @levels: least number of levels
 * @max_levels: largest number of levels
 * @in_memory: the hardware walks @tbl->it_tree; otherwise that has no TCEs, and
 *	       iommu_table_ops::put_list and iommu_table_ops::stuff write them
 *
 * Context: process, may sleep.
 *
 * Return: 0; -ENOMEM when there is no memory; or the error of tce_tree_init().
 */
int iommu_user_init_table(struct iommu_table *tbl, struct mm_struct *mm,
			  unsigned int levels, unsigned int max_levels,
			  bool in_memory)
{
	struct iommu_table_user *user;
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
		user->tces = kmalloc_array(IOMMU_USER_LIST, sizeof(__be64),
					   GFP_KERNEL_ACCOUNT);
	if (!in_memory && !user->tces) {
		tce_tree_destroy(&tbl->it_tree);
		ret = -ENOMEM;
		goto free;
	}

	mmgrab(mm);
	tce_claim_init(&user->claim);
	user->mm = mm;
	user->tbl = tbl;
	tbl->it_user = user;
	INIT_LIST_HEAD(&user->holders);
	mutex_lock(&iommu_user_lock);
	user->id = ++iommu_user_last_id;
	list_add_tail(&user->node, &iommu_user_tables);
	mutex_unlock(&iommu_user_lock);
	tce_debugfs_add_table(user);

	return 0;
free:
	kfree(user);

	return ret;
}

static bool iommu_user_in_memory(struct iommu_table *tbl)
{
	return tbl->it_tree.view;
}

static void iommu_user_claim(struct iommu_table *tbl)
{
	tce_claim(&tbl->it_user->claim);
}

static void iommu_user_unclaim(struct iommu_table *tbl)
{
	tce_unclaim(&tbl->it_user->claim);
}

static noinline void iommu_user_trace_kill(struct iommu_table *tbl,
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
iommu_user_kill(struct iommu_table *tbl, unsigned long entry,
		unsigned long npages)
{
	rcu_read_lock();
	iommu_tce_kill(tbl, entry, npages);
	rcu_read_unlock();
	if (trace_tce_kill_enabled())
		iommu_user_trace_kill(tbl, entry, npages);
}

/*
 * Giving back what TCEs held: counts are collected as long as they are of one
 * region. Lives in registers, and inside an RCU section.
 */
struct iommu_user_run {
	struct mm_iommu_span span;
	unsigned long nr;
};

static __always_inline void iommu_user_end_run(struct iommu_user_run *run)
{
	if (run->nr)
		mm_iommu_put_pages(run->span.mem, run->nr);
	run->nr = 0;
	run->span.size = 0;
}

/* On to the region of @held, which is @mem if the caller guessed right */
static noinline void iommu_user_next_run(struct iommu_table *tbl,
					 struct mm_iommu_table_group_mem_t *mem,
					 struct iommu_user_run *run,
					 unsigned long held)
{
	iommu_user_end_run(run);
	WARN_ON_ONCE(!mm_iommu_find_span(tbl->it_user->mm, mem,
					 held & ~IOMMU_VIEW_FLAGS, &run->span));
}

static noinline void iommu_user_unpin(struct iommu_user_run *run,
				      unsigned long held)
{
	struct page *page = pfn_to_page(held >> PAGE_SHIFT);

	iommu_user_end_run(run);
	rcu_read_unlock();
	unpin_user_pages_dirty_lock(&page, 1, held & IOMMU_VIEW_WRITE);
	rcu_read_lock();
}

static __always_inline void iommu_user_release(struct iommu_table *tbl,
					       struct mm_iommu_table_group_mem_t *mem,
					       struct iommu_user_run *run,
					       unsigned long held)
{
	struct iommu_user_run copy;

	if (unlikely(held & IOMMU_VIEW_PIN)) {
		copy = *run;
		iommu_user_unpin(&copy, held);
		*run = copy;
		return;
	}
	if (unlikely(held - run->span.start >= run->span.size)) {
		copy = *run;
		iommu_user_next_run(tbl, mem, &copy, held);
		*run = copy;
	}
	run->nr++;
}

/* What is to be mapped: registered memory from @ua on, or @tces, or @list */
struct iommu_user_source {
	struct mm_iommu_table_group_mem_t *mem;
	unsigned long ua;
	unsigned long perm;
	const __be64 *tces;
	const struct iommu_user_list *list;
};

static unsigned long iommu_user_perm(unsigned long held)
{
	return (held >> IOMMU_VIEW_PERM_SHIFT) & (TCE_PCI_READ | TCE_PCI_WRITE);
}

/* What a TCE holds that maps this address, which has its permissions with it */
static unsigned long iommu_user_hold(unsigned long addr, unsigned long what)
{
	unsigned long perm = addr & (TCE_PCI_READ | TCE_PCI_WRITE);

	return (addr - perm) | perm << IOMMU_VIEW_PERM_SHIFT | what;
}

/* What a TCE that maps a page of a list holds */
static unsigned long iommu_user_list_hold(struct iommu_table *tbl,
					  const struct iommu_user_list *list,
					  unsigned long page)
{
	unsigned long ua = iommu_user_list_page(list, tbl->it_page_shift, page);

	return ua ? iommu_user_hold(ua, IOMMU_VIEW_UA) : 0;
}

/*
 * Make the view of a range say what its new TCEs hold, and give back what the
 * old ones did. Comes behind the kill of the range.
 */
static __always_inline void
iommu_user_exchange(struct iommu_table *tbl, struct tce_cursor *cur,
		    unsigned long index, unsigned long npages,
		    const struct iommu_user_source *src)
{
	unsigned long end = index + npages, step = IOMMU_PAGE_SIZE(tbl);
	unsigned long new = iommu_user_hold(src->ua | src->perm, IOMMU_VIEW_UA);
	unsigned long page = 0, nr, held;
	const __be64 *tces = src->tces;
	struct iommu_user_run run = { };
	__be64 *leaf, *view, *stop;

	while ((leaf = tce_cursor_next(cur, &index, end, &nr))) {
		view = tce_tree_view(&tbl->it_tree, leaf);
		rcu_read_lock();
		for (stop = view + nr; view < stop; view++, new += step) {
			held = tce_load(view);
			if (unlikely(tces))
				new = iommu_user_hold(tce_load(tces++),
						      IOMMU_VIEW_PIN);
			if (unlikely(src->list))
				new = iommu_user_list_hold(tbl, src->list, page++);
			tce_store(view, new);
			if (held)
				iommu_user_release(tbl, src->mem, &run, held);
		}
		iommu_user_end_run(&run);
		rcu_read_unlock();
		index += nr;
		if (index < end)
			cond_resched();
	}
}

/* The same for TCEs that were cleared */
static __always_inline void
iommu_user_drop(struct iommu_table *tbl, struct tce_cursor *cur,
		unsigned long index, unsigned long npages,
		struct mm_iommu_table_group_mem_t *mem)
{
	unsigned long end = index + npages, nr, held;
	struct iommu_user_run run = { };
	__be64 *leaf, *view, *stop;

	while ((leaf = tce_cursor_next(cur, &index, end, &nr))) {
		view = tce_tree_view(&tbl->it_tree, leaf);
		rcu_read_lock();
		for (stop = view + nr; view < stop; view++) {
			if (!*view)
				continue;
			held = tce_load(view);
			*view = 0;
			iommu_user_release(tbl, mem, &run, held);
		}
		iommu_user_end_run(&run);
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
iommu_user_fill(struct iommu_table *tbl, const struct iommu_user_source *src,
		unsigned long done, unsigned long nr, __be64 *tces)
{
	unsigned int shift = tbl->it_page_shift;
	unsigned long i;

	if (unlikely(src->list)) {
		mm_iommu_fill_list(tbl->it_user->mm, src->list, shift, done, nr,
				   tces);
		return;
	}
	if (likely(!src->tces)) {
		mm_iommu_fill_tces(tbl->it_user->mm, src->mem,
				   src->ua + (done << shift), nr, shift,
				   src->perm, tces);
		return;
	}
	for (i = 0; i < nr; i++)
		WRITE_ONCE(tces[i], src->tces[done + i]);
}

static __always_inline void
iommu_user_put_levels(struct iommu_table *tbl, struct tce_cursor *cur,
		      unsigned long index, unsigned long npages,
		      const struct iommu_user_source *src)
{
	unsigned long first = index, end = index + npages, nr;
	__be64 *leaf;

	while ((leaf = tce_cursor_next(cur, &index, end, &nr))) {
		iommu_user_fill(tbl, src, index - first, nr, leaf);
		index += nr;
		if (index < end)
			cond_resched();
	}
}

/* The TCE that holds this */
static __be64 iommu_user_old_tce(struct iommu_table *tbl, unsigned long held)
{
	unsigned long addr = held & ~IOMMU_VIEW_FLAGS;
	__be64 tce = cpu_to_be64(addr | iommu_user_perm(held));

	if (held & IOMMU_VIEW_UA)
		mm_iommu_fill_tces(tbl->it_user->mm, NULL, addr, 1,
				   tbl->it_page_shift, iommu_user_perm(held),
				   &tce);

	return tce;
}

/* Nothing is given back of TCEs that may be there still; 0 or -EIO */
static int iommu_user_unmap_lists(struct iommu_table *tbl, unsigned long index,
				  unsigned long npages,
				  struct mm_iommu_table_group_mem_t *mem)
{
	struct tce_cursor cur = { .tree = &tbl->it_tree };
	unsigned long end = index + npages, entry, nr;
	int ret = 0;

	while (tce_cursor_next(&cur, &index, end, &nr)) {
		entry = tbl->it_offset + index;
		if (tbl->it_ops->stuff(tbl, entry, nr)) {
			pr_warn_ratelimited("LIOBN %lx: the hypervisor does not clear %lu TCEs at %#lx\n",
					    tbl->it_index, nr,
					    entry << tbl->it_page_shift);
			ret = -EIO;
		} else {
			iommu_user_kill(tbl, entry, nr);
			iommu_user_drop(tbl, &cur, index, nr, mem);
		}
		index += nr;
		if (index < end)
			cond_resched();
	}

	return ret;
}

/*
 * Make TCEs again what the view says that they were. Where the hypervisor does
 * not take these either, nothing is mapped any more.
 *
 * Return: @why; -EIO when something that was mapped is not; 1 when not even
 * that can be had.
 */
static int iommu_user_undo_lists(struct iommu_table *tbl, unsigned long index,
				 unsigned long npages, int why)
{
	struct tce_cursor cur = { .tree = &tbl->it_tree };
	unsigned long end = index + npages, nr, i;
	__be64 *view, *tces = tbl->it_user->tces;
	int ret = why;

	while ((view = tce_cursor_next(&cur, &index, end, &nr))) {
		nr = min_t(unsigned long, nr, IOMMU_USER_LIST);
		for (i = 0; i < nr; i++)
			tces[i] = iommu_user_old_tce(tbl, tce_load(view + i));
		if (tbl->it_ops->put_list(tbl, tbl->it_offset + index, nr,
					  tces)) {
			if (ret < 0)
				ret = -EIO;
			if (iommu_user_unmap_lists(tbl, index, nr, NULL))
				ret = 1;
		}
		index += nr;
		cond_resched();
	}
	WARN_ON_ONCE(ret > 0);

	return ret;
}

static noinline int iommu_user_put_lists(struct iommu_table *tbl,
					 unsigned long index,
					 unsigned long npages,
					 struct iommu_user_source src)
{
	unsigned long entry = tbl->it_offset + index, done, nr;
	__be64 *tces = tbl->it_user->tces;
	int ret = 0;

	for (done = 0; done < npages && !ret; done += nr) {
		nr = min_t(unsigned long, npages - done, IOMMU_USER_LIST);
		iommu_user_fill(tbl, &src, done, nr, tces);
		ret = tbl->it_ops->put_list(tbl, entry + done, nr, tces);
		cond_resched();
	}
	if (ret) {
		pr_debug_ratelimited("LIOBN %lx: the hypervisor refuses TCEs at %#lx: error %d\n",
				     tbl->it_index,
				     (entry + done - nr) << tbl->it_page_shift,
				     ret);
		/* Of the last list, too, some may be there */
		ret = iommu_user_undo_lists(tbl, index, done, ret);
		iommu_user_kill(tbl, entry, done);
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
iommu_user_put(struct iommu_table *tbl, struct tce_cursor *cur,
	       unsigned long index, unsigned long npages,
	       const struct iommu_user_source *src)
{
	if (unlikely(!iommu_user_in_memory(tbl)))
		return iommu_user_put_lists(tbl, index, npages, *src);

	iommu_user_put_levels(tbl, cur, index, npages, src);

	return 0;
}

/* Clear TCEs where there are leaves; true if there were any */
static bool iommu_user_clear(struct iommu_table *tbl, struct tce_cursor *cur,
			     unsigned long index, unsigned long npages)
{
	unsigned long end = index + npages, nr;
	__be64 *leaf, *stop;
	bool any = false;

	while ((leaf = tce_cursor_next(cur, &index, end, &nr))) {
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
iommu_user_do_map(struct iommu_table *tbl, unsigned long entry,
		  unsigned long npages, struct mm_iommu_table_group_mem_t *mem,
		  unsigned long ua, enum dma_data_direction direction,
		  unsigned long *made)
{
	struct iommu_user_source src = {
		.mem = mem,
		.ua = ua,
		.perm = iommu_user_tce_perm(tbl, direction),
	};
	unsigned long index = entry - tbl->it_offset;
	struct tce_cursor cur = { .tree = &tbl->it_tree };
	struct mm_struct *mm = tbl->it_user->mm;
	unsigned int shift = tbl->it_page_shift;
	long ret;

	ret = mm_iommu_get_range(mm, mem, ua, npages, shift,
				 src.perm & TCE_PCI_WRITE);
	if (ret)
		return ret;

	ret = tce_cursor_reserve(&cur, index, npages, GFP_KERNEL);
	if (ret) {
		mm_iommu_put_range(mm, mem, ua, npages, shift);
		return ret;
	}
	if (unlikely(made))
		*made = cur.made;

	iommu_user_claim(tbl);
	ret = iommu_user_put(tbl, &cur, index, npages, &src);
	if (likely(!ret)) {
		iommu_user_kill(tbl, entry, npages);
		iommu_user_exchange(tbl, &cur, index, npages, &src);
	}
	iommu_user_unclaim(tbl);
	if (ret < 0)
		mm_iommu_put_range(mm, mem, ua, npages, shift);

	return ret > 0 ? -EIO : ret;
}

static noinline long
iommu_user_trace_map(struct iommu_table *tbl, unsigned long entry,
		     unsigned long npages,
		     struct mm_iommu_table_group_mem_t *mem, unsigned long ua,
		     enum dma_data_direction direction)
{
	unsigned long made = 0;
	long ret = iommu_user_do_map(tbl, entry, npages, mem, ua, direction,
				     &made);

	trace_tce_map(tbl, entry, npages, ua, made, ret);

	return ret;
}

/**
 * iommu_user_map() - map registered memory
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
long iommu_user_map(struct iommu_table *tbl, unsigned long entry,
		    unsigned long npages,
		    struct mm_iommu_table_group_mem_t *mem, unsigned long ua,
		    enum dma_data_direction direction)
{
	if (trace_tce_map_enabled())
		return iommu_user_trace_map(tbl, entry, npages, mem, ua,
					    direction);

	return iommu_user_do_map(tbl, entry, npages, mem, ua, direction, NULL);
}
EXPORT_SYMBOL_GPL(iommu_user_map);

/**
 * iommu_user_map_pinned() - map pages that were pinned for this
 * @tbl: a user-owned table
 * @entry: first TCE, counted from PCI address 0; the range is inside @tbl
 * @npages: how many IOMMU pages
 * @tces: the TCEs; each holds one pin (pin_user_pages()) of its page, which
 *	  @tbl takes over
 *
 * Replaces what was mapped in the range. Context: process, may sleep.
 *
 * Return: 0; -ENOMEM, -EINTR or -EIO as iommu_user_map(), and the pins are the
 * caller's; 1 when the hypervisor neither takes the TCEs nor gives them up, and
 * the pins must stay for good.
 */
long iommu_user_map_pinned(struct iommu_table *tbl, unsigned long entry,
			   unsigned long npages, const __be64 *tces)
{
	unsigned long index = entry - tbl->it_offset;
	struct tce_cursor cur = { .tree = &tbl->it_tree };
	struct iommu_user_source src = { .tces = tces };
	long ret;

	ret = tce_cursor_reserve(&cur, index, npages, GFP_KERNEL);
	if (ret)
		goto out;

	iommu_user_claim(tbl);
	ret = iommu_user_put(tbl, &cur, index, npages, &src);
	if (!ret) {
		iommu_user_kill(tbl, entry, npages);
		iommu_user_exchange(tbl, &cur, index, npages, &src);
	}
	iommu_user_unclaim(tbl);
out:
	trace_tce_map(tbl, entry, npages, 0, cur.made, ret > 0 ? -EIO : ret);

	return ret;
}
EXPORT_SYMBOL_GPL(iommu_user_map_pinned);

static noinline int
iommu_user_do_unmap(struct iommu_table *tbl, unsigned long entry,
		    unsigned long npages,
		    struct mm_iommu_table_group_mem_t *mem)
{
	struct tce_cursor cur = { .tree = &tbl->it_tree };
	unsigned long index = entry - tbl->it_offset;
	int ret = 0;

	iommu_user_claim(tbl);
	if (unlikely(!iommu_user_in_memory(tbl))) {
		ret = iommu_user_unmap_lists(tbl, index, npages, mem);
	} else if (iommu_user_clear(tbl, &cur, index, npages)) {
		iommu_user_kill(tbl, entry, npages);
		iommu_user_drop(tbl, &cur, index, npages, mem);
	}
	iommu_user_unclaim(tbl);

	return ret;
}

static noinline int
iommu_user_trace_unmap(struct iommu_table *tbl, unsigned long entry,
		       unsigned long npages,
		       struct mm_iommu_table_group_mem_t *mem)
{
	int ret = iommu_user_do_unmap(tbl, entry, npages, mem);

	trace_tce_unmap(tbl, entry, npages, ret);

	return ret;
}

/**
 * iommu_user_unmap() - unmap a range
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
int iommu_user_unmap(struct iommu_table *tbl, unsigned long entry,
		     unsigned long npages,
		     struct mm_iommu_table_group_mem_t *mem)
{
	if (trace_tce_unmap_enabled())
		return iommu_user_trace_unmap(tbl, entry, npages, mem);

	return iommu_user_do_unmap(tbl, entry, npages, mem);
}
EXPORT_SYMBOL_GPL(iommu_user_unmap);

/**
 * iommu_user_close_table() - unmap all, for good
 * @tbl: a user-owned table that the container is about to drop
 * @mem: as for iommu_user_unmap()
 *
 * For others who have the table still it maps nothing any more, and what they
 * want to map goes nowhere. Context: process, may sleep.
 */
void iommu_user_close_table(struct iommu_table *tbl,
			    struct mm_iommu_table_group_mem_t *mem)
{
	iommu_user_claim(tbl);
	WRITE_ONCE(tbl->it_user->closed, true);
	iommu_user_unclaim(tbl);

	iommu_user_unmap(tbl, tbl->it_offset, tbl->it_size, mem);
}
EXPORT_SYMBOL_GPL(iommu_user_close_table);

/**
 * iommu_user_maps() - does a table map any of this memory?
 * @tbl: a user-owned table
 * @ua: start of a range of user addresses
 * @size: its size in bytes
 *
 * Context: process, may sleep. The caller keeps maps of its own away.
 *
 * Return: true if a TCE of @tbl holds a count of memory in the range.
 */
bool iommu_user_maps(struct iommu_table *tbl, unsigned long ua,
		     unsigned long size)
{
	struct tce_cursor cur = { .tree = &tbl->it_tree };
	unsigned long index = 0, nr, held;
	__be64 *leaf, *view, *stop;

	/* Without the claim: whatever KVM maps meanwhile it may map later, too */
	while ((leaf = tce_cursor_next(&cur, &index, tbl->it_size, &nr))) {
		view = tce_tree_view(&tbl->it_tree, leaf);
		for (stop = view + nr; view < stop; view++) {
			held = tce_load(view);
			if (held && !(held & IOMMU_VIEW_PIN) &&
			    (held & ~IOMMU_VIEW_FLAGS) - ua < size)
				return true;
		}
		index += nr;
		cond_resched();
	}

	return false;
}
EXPORT_SYMBOL_GPL(iommu_user_maps);

/*
 * Does a PE of this group translate by the table? The table's own list of
 * groups is kept by powernv only.
 */
static bool iommu_user_serves(struct iommu_table *tbl,
			      struct iommu_table_group *table_group)
{
	unsigned int i;

	for (i = 0; i < IOMMU_TABLE_GROUP_MAX_TABLES; i++)
		if (READ_ONCE(table_group->tables[i]) == tbl)
			return true;

	return false;
}

/**
 * iommu_user_get_table() - find the table behind a window of a PE
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
struct iommu_table *iommu_user_get_table(struct iommu_table_group *table_group,
					 struct mm_struct *mm,
					 unsigned int page_shift, u64 start,
					 u64 size)
{
	struct iommu_table *found = ERR_PTR(-EINVAL), *tbl;
	struct iommu_table_user *user;

	/* A table leaves the list before it goes */
	mutex_lock(&iommu_user_lock);
	list_for_each_entry(user, &iommu_user_tables, node) {
		tbl = user->tbl;
		if (READ_ONCE(user->closed) || tbl->it_page_shift > page_shift ||
		    tbl->it_offset << tbl->it_page_shift != start ||
		    tbl->it_size << tbl->it_page_shift < size ||
		    !iommu_user_serves(tbl, table_group))
			continue;
		if (user->mm != mm)
			found = ERR_PTR(-EPERM);
		else if (iommu_tce_table_get(tbl))
			found = tbl;
		break;
	}
	mutex_unlock(&iommu_user_lock);

	return found;
}
EXPORT_SYMBOL_GPL(iommu_user_get_table);

/*
 * Lists: what a guest asks for.
 */

static unsigned long iommu_user_list_pages(struct iommu_table *tbl,
					   const struct iommu_user_list *list)
{
	return list->nr << (list->page_shift - tbl->it_page_shift);
}

/**
 * iommu_user_prepare_list() - take all that a list will need
 * @tbl: a user-owned table
 * @entry: first TCE, counted from PCI address 0; all of the list is inside @tbl
 * @list: what is to be mapped and unmapped
 *
 * Context: process, may sleep; without the claim.
 *
 * Return: 0, then either iommu_user_commit_list() or iommu_user_cancel_list()
 * follows; or the error of iommu_user_map(), with nothing changed.
 */
int iommu_user_prepare_list(struct iommu_table *tbl, unsigned long entry,
			    struct iommu_user_list *list)
{
	struct tce_cursor cur = { .tree = &tbl->it_tree };
	int ret;

	ret = mm_iommu_get_list(tbl->it_user->mm, list, tbl->it_page_shift);
	if (ret)
		return ret;

	ret = tce_cursor_reserve(&cur, entry - tbl->it_offset,
				 iommu_user_list_pages(tbl, list), GFP_KERNEL);
	if (ret)
		iommu_user_cancel_list(tbl, list);

	return ret;
}
EXPORT_SYMBOL_GPL(iommu_user_prepare_list);

/**
 * iommu_user_cancel_list() - give back what was taken for a list
 * @tbl: as iommu_user_prepare_list()
 * @list: as iommu_user_prepare_list()
 *
 * Levels stay. Context: process.
 */
void iommu_user_cancel_list(struct iommu_table *tbl,
			    const struct iommu_user_list *list)
{
	mm_iommu_put_list(tbl->it_user->mm, list, tbl->it_page_shift);
}
EXPORT_SYMBOL_GPL(iommu_user_cancel_list);

/**
 * iommu_user_commit_list() - make a table what a list says
 * @tbl: as iommu_user_prepare_list()
 * @entry: as iommu_user_prepare_list()
 * @list: what has been prepared
 *
 * When this returns the device reaches nothing any more of what was mapped
 * there. A table that the container has dropped stays empty. Context: process,
 * may sleep; takes the claim.
 *
 * Return: 0; or -ENOMEM or -EIO as iommu_user_map().
 */
int iommu_user_commit_list(struct iommu_table *tbl, unsigned long entry,
			   const struct iommu_user_list *list)
{
	unsigned long npages = iommu_user_list_pages(tbl, list);
	unsigned long index = entry - tbl->it_offset;
	struct iommu_user_list granted = *list;
	struct iommu_user_source src = { .list = &granted, .mem = list->mem };
	struct tce_cursor cur = { .tree = &tbl->it_tree };
	int ret = 0;
	bool closed;

	granted.write_reads = iommu_user_write_reads(tbl);

	iommu_user_claim(tbl);
	closed = tbl->it_user->closed;
	if (!closed)
		ret = iommu_user_put(tbl, &cur, index, npages, &src);
	if (!closed && !ret) {
		iommu_user_kill(tbl, entry, npages);
		iommu_user_exchange(tbl, &cur, index, npages, &src);
	}
	iommu_user_unclaim(tbl);
	if (closed || ret < 0)
		iommu_user_cancel_list(tbl, list);
	trace_tce_list(tbl, entry, npages, ret > 0 ? -EIO : ret);

	return ret > 0 ? -EIO : ret;
}
EXPORT_SYMBOL_GPL(iommu_user_commit_list);

/*
 * Real mode: interrupts are off and stay off, so nothing here may take long;
 * nothing sleeps, allocates or looks beyond the linear mapping. The caller has
 * tried for the claim, and got it.
 */

static bool iommu_user_kill_rm(struct iommu_table *tbl, unsigned long entry,
			       unsigned long npages)
{
	return tbl->it_ops->tce_kill_rm &&
		tbl->it_ops->tce_kill_rm(tbl, entry, npages);
}

/**
 * iommu_user_can_put_rm() - can real mode map here?
 * @tbl: a user-owned table
 * @entry: first TCE, counted from PCI address 0; the range is inside @tbl
 * @npages: how many IOMMU pages
 *
 * It can where levels are there and nothing is mapped: it has no way to give
 * back a last count, and no time to undo what it began.
 * Context: real mode, with the claim.
 *
 * Return: true if iommu_user_put_list_rm() may follow.
 */
bool iommu_user_can_put_rm(struct iommu_table *tbl, unsigned long entry,
			   unsigned long npages)
{
	unsigned long index = entry - tbl->it_offset, end = index + npages;
	struct tce_cursor cur = { .tree = &tbl->it_tree };
	unsigned long next = index, nr;
	__be64 *leaf, *stop;

	if (tbl->it_user->closed || !iommu_user_in_memory(tbl) ||
	    !iommu_user_kill_rm(tbl, entry, 0))
		return false;

	while ((leaf = tce_cursor_next(&cur, &index, end, &nr))) {
		if (index != next)
			return false;
		for (stop = leaf + nr; leaf < stop; leaf++)
			if (*leaf || *tce_tree_view(&tbl->it_tree, leaf))
				return false;
		index += nr;
		next = index;
	}

	return next == end;
}

/**
 * iommu_user_put_list_rm() - map a list where nothing is mapped
 * @tbl: a table of which iommu_user_can_put_rm() said true
 * @entry: first TCE, counted from PCI address 0
 * @list: what to map; the caller has taken a count for each IOMMU page
 *
 * Context: real mode, with the claim.
 */
void iommu_user_put_list_rm(struct iommu_table *tbl, unsigned long entry,
			    const struct iommu_user_list *list)
{
	unsigned long index = entry - tbl->it_offset, page = 0, nr;
	unsigned long npages = iommu_user_list_pages(tbl, list);
	unsigned long end = index + npages;
	struct tce_cursor cur = { .tree = &tbl->it_tree };
	struct iommu_user_list granted = *list;
	__be64 *leaf, *view, *stop;

	granted.write_reads = iommu_user_write_reads(tbl);
	while ((leaf = tce_cursor_next(&cur, &index, end, &nr))) {
		mm_iommu_fill_list(tbl->it_user->mm, &granted,
				   tbl->it_page_shift, page, nr, leaf);
		view = tce_tree_view(&tbl->it_tree, leaf);
		for (stop = view + nr; view < stop; view++)
			tce_store(view, iommu_user_list_hold(tbl, &granted,
							     page++));
		index += nr;
	}
	iommu_user_kill_rm(tbl, entry, npages);
}

/* Clear the entries of a view that hold memory of @span */
static void iommu_user_clear_span(const struct mm_iommu_span *span,
				  __be64 *view, __be64 *stop)
{
	for (; view < stop; view++)
		if (*view && tce_load(view) - span->start < span->size)
			*view = 0;
}

/*
 * Give back what a leaf's view holds, from @view on as far as that is of one
 * region; where it ended. What could not be given back stays in the view.
 */
static __be64 *iommu_user_drop_run_rm(struct iommu_table *tbl, __be64 *view,
				      __be64 *stop, bool *all)
{
	struct mm_iommu_span span = { };
	unsigned long held, nr = 0;
	__be64 *first = view;

	for (; view < stop; view++) {
		held = tce_load(view);
		if (!held)
			continue;
		if (!nr && !mm_iommu_find_span(tbl->it_user->mm, NULL,
					       held & ~IOMMU_VIEW_FLAGS, &span)) {
			*all = false;
			return stop;
		}
		if (held - span.start >= span.size)
			break;
		nr++;
	}
	if (nr && mm_iommu_try_put_pages(span.mem, nr))
		iommu_user_clear_span(&span, first, view);
	else if (nr)
		*all = false;

	return view;
}

static bool iommu_user_drop_leaf_rm(struct iommu_table *tbl, __be64 *view,
				    unsigned long nr)
{
	__be64 *stop = view + nr;
	bool all = true;

	while (view < stop)
		view = iommu_user_drop_run_rm(tbl, view, stop, &all);

	return all;
}

/* Clear TCEs of a leaf; false if one of them holds more than a count */
static bool iommu_user_clear_leaf_rm(struct iommu_table *tbl, __be64 *leaf,
				     unsigned long nr)
{
	__be64 *stop = leaf + nr, *entry;

	for (entry = leaf; entry < stop; entry++)
		if (tce_load(tce_tree_view(&tbl->it_tree, entry)) &
		    IOMMU_VIEW_PIN)
			return false;
	for (entry = leaf; entry < stop; entry++)
		WRITE_ONCE(*entry, 0);

	return true;
}

/**
 * iommu_user_unmap_rm() - unmap a range
 * @tbl: a user-owned table
 * @entry: first TCE, counted from PCI address 0; the range is inside @tbl
 * @npages: how many IOMMU pages
 *
 * Context: real mode, with the claim.
 *
 * Return: true; or false when something is left to iommu_user_unmap(), for
 * which the view keeps what it has to know.
 */
bool iommu_user_unmap_rm(struct iommu_table *tbl, unsigned long entry,
			 unsigned long npages)
{
	unsigned long index = entry - tbl->it_offset, end = index + npages, nr;
	struct tce_cursor cur = { .tree = &tbl->it_tree };
	unsigned long first = index;
	bool any = false, all = true;
	__be64 *leaf;

	if (!iommu_user_in_memory(tbl) || !iommu_user_kill_rm(tbl, entry, 0))
		return false;

	while ((leaf = tce_cursor_next(&cur, &index, end, &nr))) {
		any = true;
		if (!iommu_user_clear_leaf_rm(tbl, leaf, nr))
			return false;
		index += nr;
	}
	if (!any)
		return true;
	iommu_user_kill_rm(tbl, entry, npages);

	for (index = first; (leaf = tce_cursor_next(&cur, &index, end, &nr));
	     index += nr)
		all &= iommu_user_drop_leaf_rm(tbl,
					       tce_tree_view(&tbl->it_tree, leaf),
					       nr);

	return all;
}

/**
 * iommu_user_destroy_table() - free all that a user-owned table has
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
void iommu_user_destroy_table(struct iommu_table *tbl)
{
	struct iommu_table_user *user = tbl->it_user;
	struct tce_cursor cur = { .tree = &tbl->it_tree };

	might_sleep();

	/* Waits for readers, who look at what follows */
	tce_debugfs_remove_table(user);

	/* No window leads to the table any more, so there is nothing to clear */
	iommu_user_drop(tbl, &cur, 0, tbl->it_size, NULL);

	mutex_lock(&iommu_user_lock);
	list_del(&user->node);
	mutex_unlock(&iommu_user_lock);

	tce_tree_destroy(&tbl->it_tree);
	tbl->it_user = NULL;
	mmdrop(user->mm);
	kfree(user->tces);
	kfree(user);
}
