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
 * The principle: a commit cannot fail, and nothing outlives its count. A map
 * request first takes all that it needs: counts, then levels. Then it writes
 * TCEs, invalidates once what the hardware may have cached of the old ones,
 * and only then swaps the view and gives back what the old TCEs held. The view
 * itself thus remembers, without another allocation, what is to be given back
 * behind the invalidation.
 *
 * The caller serializes requests that overlap in one table.
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
 * iommu_user_alloc() - make the user-owned part of a table
 * @mm: the process that pays for the table and whose memory it will map
 *
 * Context: process, may sleep.
 *
 * Return: the new object or NULL when there is no memory. The caller stores it
 * in iommu_table::it_user or frees it with iommu_user_free().
 */
struct iommu_table_user *iommu_user_alloc(struct mm_struct *mm)
{
	struct iommu_table_user *user;

	user = kzalloc(sizeof(*user), GFP_KERNEL_ACCOUNT);
	if (!user)
		return NULL;

	mmgrab(mm);
	user->mm = mm;
	tce_account_init(&user->account, mm);
	INIT_LIST_HEAD(&user->node);

	return user;
}

static void iommu_user_unlist(struct iommu_table_user *user)
{
	mutex_lock(&iommu_user_lock);
	list_del_init(&user->node);
	mutex_unlock(&iommu_user_lock);
}

/**
 * iommu_user_free() - undo iommu_user_alloc() and iommu_user_init_view()
 * @user: what to free; its view holds nothing any more
 *
 * Context: process, may sleep.
 */
void iommu_user_free(struct iommu_table_user *user)
{
	iommu_user_unlist(user);
	if (user->view.root)
		tce_tree_destroy(&user->view);
	mmdrop(user->mm);
	kfree(user);
}

/**
 * iommu_user_init_view() - give a table its user view
 * @tbl: the table, its size, page size and node are set
 * @user: from iommu_user_alloc(); @tbl owns it when this succeeds
 * @levels: least number of levels of the view
 * @max_levels: largest number of levels of the view
 *
 * Context: process, may sleep.
 *
 * Return: 0 or the error of tce_tree_init().
 */
int iommu_user_init_view(struct iommu_table *tbl, struct iommu_table_user *user,
			 unsigned int levels, unsigned int max_levels)
{
	int ret;

	ret = tce_tree_init(&user->view, tbl->it_size, levels, max_levels,
			    tbl->it_page_shift, tbl->it_nid, &user->account);
	if (ret)
		return ret;

	user->tbl = tbl;
	tbl->it_user = user;
	mutex_lock(&iommu_user_lock);
	list_add_tail(&user->node, &iommu_user_list);
	mutex_unlock(&iommu_user_lock);

	return 0;
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
					struct iommu_user_run run)
{
	unsigned int shift = tbl->it_page_shift;

	if (run.nr)
		mm_iommu_put_range(tbl->it_user->mm, NULL,
				   (run.next - (run.nr << shift)) &
				   ~IOMMU_VIEW_FLAGS, run.nr, shift);
}

static noinline void iommu_user_unpin(unsigned long held)
{
	struct page *page = pfn_to_page(held >> PAGE_SHIFT);

	unpin_user_pages_dirty_lock(&page, 1, held & IOMMU_VIEW_WRITE);
}

static __always_inline void iommu_user_release(struct iommu_table *tbl,
					       struct iommu_user_run *run,
					       unsigned long held,
					       unsigned long step)
{
	if (unlikely(held & IOMMU_VIEW_PIN)) {
		iommu_user_unpin(held);
		return;
	}
	if (unlikely(held != run->next)) {
		iommu_user_put_run(tbl, *run);
		run->next = held;
		run->nr = 0;
	}
	run->next += step;
	run->nr++;
}

/* What new TCEs hold: the n-th one @first + n * @step, or what a list says */
struct iommu_user_hold {
	unsigned long first;
	unsigned long step;
	const __be64 *tces;
};

static unsigned long iommu_user_pin_hold(unsigned long addr)
{
	unsigned long held = IOMMU_VIEW_PIN;

	if (addr & TCE_PCI_WRITE)
		held |= IOMMU_VIEW_WRITE;

	return (addr & ~(TCE_PCI_READ | TCE_PCI_WRITE)) | held;
}

static __always_inline unsigned long
iommu_user_hold_next(struct iommu_user_hold *hold)
{
	unsigned long held = hold->first;

	if (unlikely(hold->tces))
		return iommu_user_pin_hold(tce_load(hold->tces++));
	hold->first += hold->step;

	return held;
}

/*
 * Make the view of a range say what its new TCEs hold, and give back what the
 * old ones did. Comes behind the kill of the range.
 */
static void iommu_user_exchange(struct iommu_table *tbl, unsigned long entry,
				unsigned long npages,
				struct iommu_user_hold hold)
{
	unsigned long index = entry - tbl->it_offset, end = index + npages;
	unsigned long step = IOMMU_PAGE_SIZE(tbl), nr, held;
	struct iommu_user_run run = { };
	__be64 *view, *stop;

	while ((view = tce_tree_next(&tbl->it_user->view, &index, end, &nr))) {
		for (stop = view + nr; view < stop; view++) {
			held = tce_load(view);
			tce_store(view, iommu_user_hold_next(&hold));
			if (held)
				iommu_user_release(tbl, &run, held, step);
		}
		index += nr;
		if (index < end)
			cond_resched();
	}
	iommu_user_put_run(tbl, run);
}

/* The same for TCEs that were cleared */
static void iommu_user_drop(struct iommu_table *tbl, unsigned long entry,
			    unsigned long npages)
{
	unsigned long index = entry - tbl->it_offset, end = index + npages;
	unsigned long step = IOMMU_PAGE_SIZE(tbl), nr, held;
	struct iommu_user_run run = { };
	__be64 *view, *stop;

	while ((view = tce_tree_next(&tbl->it_user->view, &index, end, &nr))) {
		for (stop = view + nr; view < stop; view++) {
			if (!*view)
				continue;
			held = tce_load(view);
			*view = 0;
			iommu_user_release(tbl, &run, held, step);
		}
		index += nr;
		if (index < end)
			cond_resched();
	}
	iommu_user_put_run(tbl, run);
}

/*
 * The TCEs themselves: in levels that the hardware walks where the table has
 * them (tce_tree::root), else in the hypervisor's hands, which takes lists.
 */

static int iommu_user_reserve(struct iommu_table *tbl, unsigned long entry,
			      unsigned long npages)
{
	struct tce_tree *tree = &tbl->it_tree, *view = &tbl->it_user->view;
	struct tce_spares tree_spares = { }, view_spares = { };
	unsigned long index = entry - tbl->it_offset;
	int ret;

	ret = tce_tree_prepare(view, index, npages, GFP_KERNEL, &view_spares);
	if (ret)
		return ret;

	if (tree->root) {
		ret = tce_tree_prepare(tree, index, npages, GFP_KERNEL,
				       &tree_spares);
		if (ret) {
			tce_tree_cancel(view, &view_spares);
			return ret;
		}
		tce_tree_commit(tree, index, npages, &tree_spares);
	}
	tce_tree_commit(view, index, npages, &view_spares);

	return 0;
}

/* What is to be mapped: registered memory from @ua on, or the TCEs of a list */
struct iommu_user_source {
	struct mm_struct *mm;
	struct mm_iommu_table_group_mem_t *mem;
	unsigned long ua;
	unsigned int page_shift;
	unsigned long perm;
	const __be64 *tces;
};

static void iommu_user_fill(struct iommu_user_source *src, unsigned long nr,
			    __be64 *tces)
{
	unsigned long i;

	if (src->tces) {
		for (i = 0; i < nr; i++)
			WRITE_ONCE(tces[i], src->tces[i]);
		src->tces += nr;
	} else {
		mm_iommu_fill_tces(src->mm, src->mem, src->ua, nr,
				   src->page_shift, src->perm, tces);
		src->ua += nr << src->page_shift;
	}
}

static unsigned long iommu_user_put_levels(struct iommu_table *tbl,
					   unsigned long entry,
					   unsigned long npages,
					   struct iommu_user_source *src)
{
	unsigned long index = entry - tbl->it_offset, end = index + npages, nr;
	__be64 *leaf;

	while ((leaf = tce_tree_next(&tbl->it_tree, &index, end, &nr))) {
		iommu_user_fill(src, nr, leaf);
		index += nr;
		if (index < end)
			cond_resched();
	}

	return npages;
}

static noinline unsigned long iommu_user_put_lists(struct iommu_table *tbl,
						   unsigned long entry,
						   unsigned long npages,
						   struct iommu_user_source *src)
{
	__be64 tces[IOMMU_USER_BATCH];
	unsigned long done = 0, nr, put;

	while (done < npages) {
		nr = min_t(unsigned long, npages - done, IOMMU_USER_BATCH);
		iommu_user_fill(src, nr, tces);
		put = tbl->it_ops->put_list(tbl, entry + done, nr, tces);
		done += put;
		if (put < nr)
			break;
		cond_resched();
	}

	return done;
}

/* Write TCEs; returns how many, fewer only if the hypervisor refuses one */
static unsigned long iommu_user_put(struct iommu_table *tbl,
				    unsigned long entry, unsigned long npages,
				    struct iommu_user_source *src)
{
	if (tbl->it_tree.root)
		return iommu_user_put_levels(tbl, entry, npages, src);

	return iommu_user_put_lists(tbl, entry, npages, src);
}

static void iommu_user_stuff(struct iommu_table *tbl, unsigned long index,
			     unsigned long npages)
{
	unsigned long end = index + npages, nr;
	__be64 *leaf, *stop;

	if (!tbl->it_tree.root) {
		tbl->it_ops->stuff(tbl, tbl->it_offset + index, npages);
		return;
	}

	while ((leaf = tce_tree_next(&tbl->it_tree, &index, end, &nr))) {
		for (stop = leaf + nr; leaf < stop; leaf++)
			WRITE_ONCE(*leaf, 0);
		index += nr;
	}
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
	unsigned int shift = tbl->it_page_shift;
	struct iommu_user_source src = {
		.mm = tbl->it_user->mm,
		.mem = mem,
		.ua = ua,
		.page_shift = shift,
		.perm = iommu_direction_to_tce_perm(direction),
	};
	struct iommu_user_hold hold = {
		.first = ua | IOMMU_VIEW_UA,
		.step = 1UL << shift,
	};
	unsigned long done;
	long ret;

	ret = mm_iommu_get_range(src.mm, mem, ua, npages, shift,
				 src.perm & TCE_PCI_WRITE);
	if (ret)
		return ret;

	ret = iommu_user_reserve(tbl, entry, npages);
	if (ret) {
		mm_iommu_put_range(src.mm, mem, ua, npages, shift);
		return ret;
	}

	done = iommu_user_put(tbl, entry, npages, &src);
	iommu_tce_kill(tbl, entry, done);
	iommu_user_exchange(tbl, entry, done, hold);
	if (done == npages)
		return 0;

	mm_iommu_put_range(src.mm, mem, ua + (done << shift), npages - done,
			   shift);

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
	struct iommu_user_source src = { .tces = tces };
	struct iommu_user_hold hold = { .tces = tces };
	unsigned long done;
	long ret;

	ret = iommu_user_reserve(tbl, entry, npages);
	if (ret)
		return ret;

	done = iommu_user_put(tbl, entry, npages, &src);
	iommu_tce_kill(tbl, entry, done);
	iommu_user_exchange(tbl, entry, done, hold);

	return done;
}
EXPORT_SYMBOL_GPL(iommu_user_map_pinned);

/* Clear TCEs where the view has leaves; true if there were any */
static bool iommu_user_clear_tces(struct iommu_table *tbl, unsigned long entry,
				  unsigned long npages)
{
	unsigned long index = entry - tbl->it_offset, end = index + npages, nr;
	struct tce_tree *view = &tbl->it_user->view;
	bool any = false;

	while (tce_tree_next(view, &index, end, &nr)) {
		iommu_user_stuff(tbl, index, nr);
		any = true;
		index += nr;
		if (index < end)
			cond_resched();
	}

	return any;
}

/**
 * iommu_user_unmap() - unmap a range
 * @tbl: a user-owned table
 * @entry: first TCE, counted from PCI address 0; the range is inside @tbl
 * @npages: how many IOMMU pages
 *
 * When this returns the device reaches none of the pages through the range
 * any more, and what its TCEs held has been given back. Costs what is mapped,
 * not the size of the range. Context: process, may sleep.
 */
void iommu_user_unmap(struct iommu_table *tbl, unsigned long entry,
		      unsigned long npages)
{
	if (!iommu_user_clear_tces(tbl, entry, npages))
		return;
	iommu_tce_kill(tbl, entry, npages);
	iommu_user_drop(tbl, entry, npages);
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
	unsigned long index = 0, nr, held;
	__be64 *view, *stop;

	while ((view = tce_tree_next(&tbl->it_user->view, &index, tbl->it_size,
				     &nr))) {
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

	if (!tbl->it_user)
		return NULL;
	if (alloc && tce_tree_reserve(&tbl->it_user->view, index, 1, GFP_KERNEL))
		return NULL;

	return tce_tree_walk(&tbl->it_user->view, index);
}

static void iommu_user_destroy_work(struct work_struct *work)
{
	struct iommu_table_user *user = container_of(work,
						     struct iommu_table_user,
						     destroy);
	struct iommu_table *tbl = user->tbl;

	/* No window leads to the table any more, so there is nothing to clear */
	iommu_user_drop(tbl, tbl->it_offset, tbl->it_size);
	iommu_user_unlist(user);
	/* Freeing levels uncharges, so @user goes last */
	user->free_table(tbl);
	iommu_user_free(user);
}

/**
 * iommu_user_destroy_table() - free a user-owned table
 * @tbl: a table without references, windows and callers
 * @free_table: frees what is not @tbl->it_user, and @tbl itself
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
	struct iommu_table *tbl;
	struct tce_tree *view;

	mutex_lock(&iommu_user_lock);
	list_for_each_entry(user, &iommu_user_list, node) {
		tbl = user->tbl;
		view = &user->view;
		seq_printf(m, "start=%#lx page_shift=%lu tces=%lu levels=%u level_shift=%u hw_bytes=%ld view_bytes=%ld charged_pages=%lu\n",
			   tbl->it_offset << tbl->it_page_shift,
			   tbl->it_page_shift, tbl->it_size,
			   view->levels, view->level_shift,
			   atomic_long_read(&tbl->it_tree.bytes),
			   atomic_long_read(&view->bytes),
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
