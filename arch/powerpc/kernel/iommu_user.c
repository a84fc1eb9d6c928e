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
 * The caller serializes requests that overlap in one table.
 *
 * A request mostly stays in one leaf and often is a single page. So all steps
 * share a cursor, and are inlined into the request: that spares a page more
 * than what is done for it, and gives each kind of request loops of its own.
 */
#include <linux/debugfs.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include <asm/iommu.h>
#include <asm/iommu_user.h>
#include <asm/mmu_context.h>
#include <asm/tce.h>

/* TCEs handed to the platform at once; they live on the stack */
#define IOMMU_USER_BATCH	128

static DEFINE_MUTEX(iommu_user_lock);
static LIST_HEAD(iommu_user_list);
static struct workqueue_struct *iommu_user_wq;

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
	if (ret) {
		kfree(user);
		return ret;
	}

	mmgrab(mm);
	user->mm = mm;
	user->tbl = tbl;
	tbl->it_user = user;
	mutex_lock(&iommu_user_lock);
	list_add_tail(&user->node, &iommu_user_list);
	mutex_unlock(&iommu_user_lock);

	return 0;
}

static bool iommu_user_in_memory(struct iommu_table *tbl)
{
	return tbl->it_tree.view;
}

/*
 * Giving back what TCEs held. Neighbours mostly hold neighbouring memory, so
 * counts are collected while view entries go on where the last one ended:
 * @nr of them, and the next would be @next. Lives in registers.
 */
struct iommu_user_run {
	unsigned long next;
	unsigned long nr;
};

static noinline void iommu_user_put_run(struct iommu_table *tbl,
					struct mm_iommu_table_group_mem_t *mem,
					struct iommu_user_run run)
{
	unsigned int shift = tbl->it_page_shift;

	mm_iommu_put_range(tbl->it_user->mm, mem,
			   (run.next - (run.nr << shift)) & ~IOMMU_VIEW_FLAGS,
			   run.nr, shift);
}

static noinline void iommu_user_unpin(unsigned long held)
{
	struct page *page = pfn_to_page(held >> PAGE_SHIFT);

	unpin_user_pages_dirty_lock(&page, 1, held & IOMMU_VIEW_WRITE);
}

static __always_inline void iommu_user_release(struct iommu_table *tbl,
					       struct mm_iommu_table_group_mem_t *mem,
					       struct iommu_user_run *run,
					       unsigned long held,
					       unsigned long step)
{
	if (unlikely(held & IOMMU_VIEW_PIN)) {
		iommu_user_unpin(held);
		return;
	}
	if (unlikely(held != run->next)) {
		if (run->nr)
			iommu_user_put_run(tbl, mem, *run);
		run->next = held;
		run->nr = 0;
	}
	run->next += step;
	run->nr++;
}

/* What is to be mapped: registered memory from @ua on, or the TCEs of a list */
struct iommu_user_source {
	struct mm_iommu_table_group_mem_t *mem;
	unsigned long ua;
	unsigned long perm;
	const __be64 *tces;
};

/* What the TCE of a list holds */
static unsigned long iommu_user_pin_hold(unsigned long tce)
{
	unsigned long held = IOMMU_VIEW_PIN;

	if (tce & TCE_PCI_WRITE)
		held |= IOMMU_VIEW_WRITE;

	return (tce & ~(TCE_PCI_READ | TCE_PCI_WRITE)) | held;
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
	unsigned long new = src->ua | IOMMU_VIEW_UA, nr, held;
	struct mm_iommu_table_group_mem_t *mem = src->mem;
	const __be64 *tces = src->tces;
	struct iommu_user_run run = { };
	__be64 *leaf, *view, *stop;

	while ((leaf = tce_cursor_next(cur, &index, end, &nr))) {
		view = tce_tree_view(&tbl->it_tree, leaf);
		for (stop = view + nr; view < stop; view++, new += step) {
			held = tce_load(view);
			if (unlikely(tces))
				new = iommu_user_pin_hold(tce_load(tces++));
			tce_store(view, new);
			if (held)
				iommu_user_release(tbl, mem, &run, held, step);
		}
		index += nr;
		if (index < end)
			cond_resched();
	}
	if (run.nr)
		iommu_user_put_run(tbl, mem, run);
}

/* The same for TCEs that were cleared */
static __always_inline void
iommu_user_drop(struct iommu_table *tbl, struct tce_cursor *cur,
		unsigned long index, unsigned long npages,
		struct mm_iommu_table_group_mem_t *mem)
{
	unsigned long end = index + npages, step = IOMMU_PAGE_SIZE(tbl);
	struct iommu_user_run run = { };
	__be64 *leaf, *view, *stop;
	unsigned long nr, held;

	while ((leaf = tce_cursor_next(cur, &index, end, &nr))) {
		view = tce_tree_view(&tbl->it_tree, leaf);
		for (stop = view + nr; view < stop; view++) {
			if (!*view)
				continue;
			held = tce_load(view);
			*view = 0;
			iommu_user_release(tbl, mem, &run, held, step);
		}
		index += nr;
		if (index < end)
			cond_resched();
	}
	if (run.nr)
		iommu_user_put_run(tbl, mem, run);
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

	if (likely(!src->tces)) {
		mm_iommu_fill_tces(tbl->it_user->mm, src->mem,
				   src->ua + (done << shift), nr, shift,
				   src->perm, tces);
		return;
	}
	for (i = 0; i < nr; i++)
		WRITE_ONCE(tces[i], src->tces[done + i]);
}

static __always_inline unsigned long
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

	return npages;
}

static noinline unsigned long iommu_user_put_lists(struct iommu_table *tbl,
						   unsigned long index,
						   unsigned long npages,
						   struct iommu_user_source src)
{
	unsigned long entry = tbl->it_offset + index, done = 0, nr, put;
	__be64 tces[IOMMU_USER_BATCH];

	while (done < npages) {
		nr = min_t(unsigned long, npages - done, IOMMU_USER_BATCH);
		iommu_user_fill(tbl, &src, done, nr, tces);
		put = tbl->it_ops->put_list(tbl, entry + done, nr, tces);
		done += put;
		if (put < nr)
			break;
		cond_resched();
	}

	return done;
}

/* Write TCEs; returns how many, fewer only if the hypervisor refuses one */
static __always_inline unsigned long
iommu_user_put(struct iommu_table *tbl, struct tce_cursor *cur,
	       unsigned long index, unsigned long npages,
	       const struct iommu_user_source *src)
{
	if (likely(iommu_user_in_memory(tbl)))
		return iommu_user_put_levels(tbl, cur, index, npages, src);

	return iommu_user_put_lists(tbl, index, npages, *src);
}

/* Clear TCEs where there are leaves; true if there were any */
static bool iommu_user_clear(struct iommu_table *tbl, struct tce_cursor *cur,
			     unsigned long index, unsigned long npages)
{
	unsigned long end = index + npages, nr;
	__be64 *leaf, *stop;
	bool any = false;

	while ((leaf = tce_cursor_next(cur, &index, end, &nr))) {
		if (iommu_user_in_memory(tbl))
			for (stop = leaf + nr; leaf < stop; leaf++)
				WRITE_ONCE(*leaf, 0);
		else
			tbl->it_ops->stuff(tbl, tbl->it_offset + index, nr);
		any = true;
		index += nr;
		if (index < end)
			cond_resched();
	}

	return any;
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
 * allocated or charged: in these cases nothing has changed. -EIO when
 * the hypervisor refused to write a TCE: TCEs before that one are mapped.
 */
long iommu_user_map(struct iommu_table *tbl, unsigned long entry,
		    unsigned long npages,
		    struct mm_iommu_table_group_mem_t *mem, unsigned long ua,
		    enum dma_data_direction direction)
{
	struct iommu_user_source src = {
		.mem = mem,
		.ua = ua,
		.perm = iommu_direction_to_tce_perm(direction),
	};
	unsigned long index = entry - tbl->it_offset, done;
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

	done = iommu_user_put(tbl, &cur, index, npages, &src);
	iommu_tce_kill(tbl, entry, done);
	iommu_user_exchange(tbl, &cur, index, done, &src);
	if (done == npages)
		return 0;

	mm_iommu_put_range(mm, mem, ua + (done << shift), npages - done, shift);

	return -EIO;
}
EXPORT_SYMBOL_GPL(iommu_user_map);

/**
 * iommu_user_map_pinned() - map pages that were pinned for this
 * @tbl: a user-owned table
 * @entry: first TCE, counted from PCI address 0; the range is inside @tbl
 * @npages: how many IOMMU pages
 * @tces: the TCEs; each holds one pin (pin_user_pages()) of its page, which
 *	  @tbl takes over for those that it maps
 *
 * Replaces what was mapped in the range. Context: process, may sleep.
 *
 * Return: the number of TCEs mapped, less than @npages only when the
 * hypervisor refused to write one; or -ENOMEM when a level could not be
 * allocated or charged, then nothing has changed.
 */
long iommu_user_map_pinned(struct iommu_table *tbl, unsigned long entry,
			   unsigned long npages, const __be64 *tces)
{
	unsigned long index = entry - tbl->it_offset, done;
	struct tce_cursor cur = { .tree = &tbl->it_tree };
	struct iommu_user_source src = { .tces = tces };
	long ret;

	ret = tce_cursor_reserve(&cur, index, npages, GFP_KERNEL);
	if (ret)
		return ret;

	done = iommu_user_put(tbl, &cur, index, npages, &src);
	iommu_tce_kill(tbl, entry, done);
	iommu_user_exchange(tbl, &cur, index, done, &src);

	return done;
}
EXPORT_SYMBOL_GPL(iommu_user_map_pinned);

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
 */
void iommu_user_unmap(struct iommu_table *tbl, unsigned long entry,
		      unsigned long npages,
		      struct mm_iommu_table_group_mem_t *mem)
{
	struct tce_cursor cur = { .tree = &tbl->it_tree };
	unsigned long index = entry - tbl->it_offset;

	if (!iommu_user_clear(tbl, &cur, index, npages))
		return;
	iommu_tce_kill(tbl, entry, npages);
	iommu_user_drop(tbl, &cur, index, npages, mem);
}
EXPORT_SYMBOL_GPL(iommu_user_unmap);

/**
 * iommu_user_maps() - does a table map any of this memory?
 * @tbl: a user-owned table
 * @ua: start of a range of user addresses
 * @size: its size in bytes
 *
 * Context: process, may sleep. The caller keeps maps away.
 *
 * Return: true if a TCE of @tbl holds a count of memory in the range.
 */
bool iommu_user_maps(struct iommu_table *tbl, unsigned long ua,
		     unsigned long size)
{
	struct tce_cursor cur = { .tree = &tbl->it_tree };
	unsigned long index = 0, nr, held;
	__be64 *leaf, *view, *stop;

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

/**
 * iommu_user_view_entry() - the view of one TCE
 * @tbl: the table
 * @entry: the TCE, counted from PCI address 0
 * @alloc: make the levels on the way when they are not there; may sleep then
 *
 * For KVM, which keeps one entry at a time: iommu_table_ops::useraddrptr.
 *
 * Return: the entry, or NULL when the table has no view, no level there, or
 * none could be allocated.
 */
__be64 *iommu_user_view_entry(struct iommu_table *tbl, long entry, bool alloc)
{
	unsigned long index = entry - tbl->it_offset;
	__be64 *leaf;

	if (!tbl->it_user)
		return NULL;
	leaf = alloc ? tce_tree_make(&tbl->it_tree, index, GFP_KERNEL) :
		       tce_tree_walk(&tbl->it_tree, index);

	return leaf ? tce_tree_view(&tbl->it_tree, leaf) : NULL;
}

static void iommu_user_destroy_work(struct work_struct *work)
{
	struct iommu_table_user *user = container_of(work,
						     struct iommu_table_user,
						     destroy);
	struct iommu_table *tbl = user->tbl;
	struct tce_cursor cur = { .tree = &tbl->it_tree };

	/* No window leads to the table any more, so there is nothing to clear */
	iommu_user_drop(tbl, &cur, 0, tbl->it_size, NULL);

	mutex_lock(&iommu_user_lock);
	list_del(&user->node);
	mutex_unlock(&iommu_user_lock);

	tce_tree_destroy(&tbl->it_tree);
	user->free_table(tbl);
	mmdrop(user->mm);
	kfree(user);
}

/**
 * iommu_user_destroy_table() - free a user-owned table
 * @tbl: a table without references, windows and callers
 * @free_table: frees @tbl itself, when its levels have gone
 *
 * Gives back what the TCEs hold. All of this sleeps, so it is left to a
 * worker: the last reference may go anywhere, in an RCU callback for one.
 * iommu_user_flush() waits for it.
 */
void iommu_user_destroy_table(struct iommu_table *tbl,
			      void (*free_table)(struct iommu_table *tbl))
{
	struct iommu_table_user *user = tbl->it_user;

	user->free_table = free_table;
	INIT_WORK(&user->destroy, iommu_user_destroy_work);
	queue_work(iommu_user_wq, &user->destroy);
}

/**
 * iommu_user_flush() - wait until tables whose last reference went are freed
 *
 * Context: process, may sleep; without the mmap_lock.
 */
void iommu_user_flush(void)
{
	flush_workqueue(iommu_user_wq);
}
EXPORT_SYMBOL_GPL(iommu_user_flush);

static int iommu_user_tables_show(struct seq_file *m, void *unused)
{
	struct iommu_table_user *user;
	unsigned long bytes, view;
	struct iommu_table *tbl;
	struct tce_tree *tree;

	mutex_lock(&iommu_user_lock);
	list_for_each_entry(user, &iommu_user_list, node) {
		tbl = user->tbl;
		tree = &tbl->it_tree;
		bytes = atomic_long_read(&tree->bytes);
		view = bytes;
		if (iommu_user_in_memory(tbl))
			view = atomic_long_read(&tree->leaves) << tree->level_shift;
		seq_printf(m, "start=%#lx page_shift=%lu tces=%lu levels=%u level_shift=%u hw_bytes=%lu view_bytes=%lu charged_pages=%lu\n",
			   tbl->it_offset << tbl->it_page_shift,
			   tbl->it_page_shift, tbl->it_size,
			   tree->levels, tree->level_shift, bytes - view, view,
			   tce_account_pages(&user->account));
	}
	mutex_unlock(&iommu_user_lock);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(iommu_user_tables);

static int __init iommu_user_init(void)
{
	iommu_user_wq = alloc_workqueue("iommu_user", WQ_UNBOUND, 0);

	return iommu_user_wq ? 0 : -ENOMEM;
}
core_initcall(iommu_user_init);

static int __init iommu_user_debugfs_init(void)
{
	struct dentry *dir = debugfs_create_dir("spapr_tce", NULL);

	debugfs_create_file("tables", 0400, dir, NULL, &iommu_user_tables_fops);

	return 0;
}
device_initcall(iommu_user_debugfs_init);
