/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Private to the files of user tables (tce_user_*.c, tce_debugfs.c): the table,
 * the shadow, and the steps of a request.
 *
 * A range mostly stays in one leaf, so the steps of a request share an iterator
 * and are inlined: for few pages, calls would cost more than the work. A single
 * page has a way of its own (user_table_map_one()).
 *
 * R1, R2, ... are the invariants in Documentation/arch/powerpc/tce.rst.
 */
#ifndef _TCE_USER_H
#define _TCE_USER_H

#include <linux/irqflags.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include <asm/iommu.h>
#include <asm/mm_iommu.h>
#include <asm/tce.h>
#include <asm/tce_lock.h>
#include <asm/tce_tree.h>
#include <asm/tce_user_table.h>

/*
 * The shadow of a TCE says what the TCE refers to, so that the reference can be
 * dropped when the TCE goes. Zero: nothing. Otherwise an address, at least 4K
 * aligned, and these bits.
 */
#define TCE_SHADOW_UA		0x1UL	/* refers to the region at this user address */
#define TCE_SHADOW_PIN		0x2UL	/* has a pin of the page at this real address */
#define TCE_SHADOW_READ		0x4UL	/* the device may read there */
#define TCE_SHADOW_WRITE	0x8UL	/* the device may write there */
#define TCE_SHADOW_FLAGS	0xfffUL

/* A shadow has the permissions of its TCE, shifted by this */
#define TCE_SHADOW_PERM_SHIFT	2

struct dentry;

/**
 * struct user_table - the part of an iommu_table that a process owns
 * @tbl: the table that this belongs to
 * @id: a number that no other table has had since the kernel was started
 * @mm: whose memory is referenced, pinned and charged; has a reference
 * @lock: protects TCEs and shadows (R11)
 * @revoked: the container has dropped the table: what others map is discarded.
 *	     Changes under @lock
 * @emptied: revoked, and all was unmapped: no shadow refers to anything
 * @pinned: a page was mapped that is not registered. Never cleared; under @lock
 * @hint: the region that was mapped or unmapped last without sleeping; under
 *	  @lock
 * @place: the leaf in which a single page was mapped or unmapped last, if it is still
 *	   there; under @lock
 * @covered: number of leaves covered by unmaps since the last trim; under @lock
 * @trimming: one search for empty levels at a time, until they are freed;
 *	      outside of @lock
 * @account: what the levels of the table cost @mm
 * @tces: where a batch for the hypervisor is put together, under @lock; NULL
 *	  where the hardware walks the table in memory
 * @node: in user_tables
 * @debug_refs: list of struct tce_debug_ref, under user_tables_mutex
 * @dir: directory in debugfs; removed, with all readers, before the table is freed
 */
struct user_table {
	struct iommu_table *tbl;
	unsigned long id;
	struct mm_struct *mm;
	struct tce_lock lock;
	bool revoked;
	bool emptied;
	bool pinned;
	struct mm_iommu_hint hint;
	struct tce_iter place;
	unsigned long covered;
	struct mutex trimming;		/* of requests that lack a level */
	struct tce_account account;
	__be64 *tces;
	struct list_head node;
	struct list_head debug_refs;
	struct dentry *dir;
};

/* Needs struct user_table */
#include <trace/events/spapr_tce.h>

/* All user tables, and their debug refs; nothing waits with the mutex held */
extern struct mutex user_tables_mutex;
extern struct list_head user_tables;

#ifdef CONFIG_DEBUG_FS
void tce_debugfs_add_table(struct user_table *user);
void tce_debugfs_remove_table(struct user_table *user);
#else
static inline void tce_debugfs_add_table(struct user_table *user)
{
}

static inline void tce_debugfs_remove_table(struct user_table *user)
{
}
#endif

static inline bool user_table_in_memory(const struct iommu_table *tbl)
{
	return tbl->it_tree.shadow;
}

/*
 * Test if a device may read whatever it may write, as in the tables of the host: a
 * device that does an atomic operation, or reads back to flush its writes, needs
 * both. A hypervisor gets the permissions as requested, and decides.
 */
static inline bool user_table_write_reads(const struct iommu_table *tbl)
{
	return user_table_in_memory(tbl);
}

static inline void user_table_lock(struct iommu_table *tbl)
{
	tce_lock(&tbl->it_user->lock);
}

static inline void user_table_unlock(struct iommu_table *tbl)
{
	tce_unlock(&tbl->it_user->lock);
}

/*
 * The same for requests that do not sleep, with interrupts off until they unlock.
 * Returns false when the owner of the lock may sleep.
 */
static __always_inline bool user_table_lock_irq(struct iommu_table *tbl,
						unsigned long *flags)
{
	local_irq_save(*flags);
	if (likely(tce_lock_spin_rm(&tbl->it_user->lock)))
		return true;
	local_irq_restore(*flags);

	return false;
}

static __always_inline void user_table_unlock_irq(struct iommu_table *tbl,
						  unsigned long flags)
{
	tce_unlock_rm(&tbl->it_user->lock);
	local_irq_restore(flags);
}

/*
 * The TCE at @index, or NULL. Most pages are in the leaf of the page before. The caller
 * must hold the lock.
 */
static __always_inline __be64 *user_table_tce(struct iommu_table *tbl,
					      unsigned long index)
{
	struct tce_iter *place = &tbl->it_user->place;

	tce_lock_assert_owned(&tbl->it_user->lock);
	if (likely(index - place->start < place->size) ||
	    tce_iter_has(place, index, 1))
		return place->leaf + (index - place->start);

	return NULL;
}

/* Take levels out, as tce_tree_trim(). The caller must hold the lock */
static inline void user_table_take_levels(struct iommu_table *tbl,
					  unsigned long index,
					  unsigned long npages, bool look,
					  struct tce_spares *taken)
{
	tce_lock_assert_held(&tbl->it_user->lock);
	tbl->it_user->place.size = 0;
	tce_tree_trim(&tbl->it_tree, index, npages, look, taken);
}

/* Permissions of the TCE that has this shadow */
static inline unsigned long tce_shadow_perm(unsigned long shadow)
{
	return (shadow >> TCE_SHADOW_PERM_SHIFT) &
		(TCE_PCI_READ | TCE_PCI_WRITE);
}

/* Shadow of a TCE that maps @addr, which has its permissions with it */
static inline unsigned long tce_shadow_make(unsigned long addr,
					    unsigned long what)
{
	unsigned long perm = addr & (TCE_PCI_READ | TCE_PCI_WRITE);

	return (addr - perm) | perm << TCE_SHADOW_PERM_SHIFT | what;
}

/* Shadow of a TCE that maps a page of a batch */
static inline unsigned long tce_batch_shadow(struct iommu_table *tbl,
					     const struct tce_batch *batch,
					     unsigned long page)
{
	unsigned long ua = tce_batch_page(batch, tbl->it_page_shift, page);

	return ua ? tce_shadow_make(ua, TCE_SHADOW_UA) : 0;
}

void user_table_trace_kill(struct iommu_table *tbl, unsigned long entry,
			   unsigned long npages);

/*
 * Kill a range. PEs may come and go meanwhile: the platform orders the stores of
 * TCEs before its look at the list of PEs, so a PE that joins later sees them
 * (R17). What iommu_tce_kill() does, without its call: each page comes by here.
 */
static __always_inline void
user_table_kill(struct iommu_table *tbl, unsigned long entry,
		unsigned long npages)
{
	rcu_read_lock();
	if (likely(tbl->it_ops->tce_kill))
		tbl->it_ops->tce_kill(tbl, entry, npages);
	rcu_read_unlock();
	if (trace_tce_kill_enabled())
		user_table_trace_kill(tbl, entry, npages);
}

/*
 * References to be dropped, collected as long as they are of one region. Use it
 * inside one RCU section only (R3). Kept in registers: pass copies to functions
 * that are not inlined.
 */
struct shadow_refs {
	struct mm_iommu_bounds bounds;
	unsigned long nr;
};

void shadow_refs_next(struct iommu_table *tbl,
		      struct mm_iommu_table_group_mem_t *hint,
		      struct shadow_refs *refs, unsigned long shadow);
void shadow_unpin(struct shadow_refs *refs, unsigned long shadow);

static __always_inline void shadow_refs_drop(struct shadow_refs *refs)
{
	if (refs->nr)
		mm_iommu_unref(refs->bounds.mem, refs->nr);
	refs->nr = 0;
	refs->bounds.size = 0;
}

/* Drop what the TCE with this shadow referred to. The TCE must have been killed (R1) */
static __always_inline void
shadow_unref(struct iommu_table *tbl, struct mm_iommu_table_group_mem_t *hint,
	     struct shadow_refs *refs, unsigned long shadow)
{
	struct shadow_refs copy;

	if (unlikely(shadow & TCE_SHADOW_PIN)) {
		copy = *refs;
		shadow_unpin(&copy, shadow);
		*refs = copy;
		return;
	}
	if (unlikely(shadow - refs->bounds.start >= refs->bounds.size)) {
		copy = *refs;
		shadow_refs_next(tbl, hint, &copy, shadow);
		*refs = copy;
	}
	refs->nr++;
}

/**
 * struct tce_source - what to map: one of @range, @tces and @batch
 * @range: registered memory
 * @perm: permissions of TCEs of @range
 * @tces: TCEs that have one pin each
 * @batch: pages of a guest
 */
struct tce_source {
	const struct mm_iommu_range *range;
	unsigned long perm;
	const __be64 *tces;
	const struct tce_batch *batch;
};

static __always_inline struct mm_iommu_table_group_mem_t *
tce_source_hint(const struct tce_source *src)
{
	if (src->range)
		return src->range->hint;

	return src->batch ? src->batch->mem : NULL;
}

/* Translate @nr IOMMU pages of @src, behind the first @done */
static __always_inline void
tce_source_translate(struct iommu_table *tbl, const struct tce_source *src,
		     unsigned long done, unsigned long nr, __be64 *tces)
{
	struct mm_iommu_range part;
	unsigned long i;

	if (src->range) {
		part = *src->range;
		part.ua += done << part.page_shift;
		part.npages = nr;
		mm_iommu_translate_range(&part, src->perm, tces);
	} else if (src->batch) {
		mm_iommu_translate_batch(src->batch, tbl->it_page_shift, done,
					 nr, tces);
	} else {
		for (i = 0; i < nr; i++)
			WRITE_ONCE(tces[i], src->tces[done + i]);
	}
}

/*
 * Store the shadows of new TCEs, and drop what the old TCEs referred to. The range
 * must have been killed (R1).
 */
static __always_inline void
user_table_swap_shadow(struct iommu_table *tbl, struct tce_iter *iter,
		       unsigned long index, unsigned long npages,
		       const struct tce_source *src)
{
	struct mm_iommu_table_group_mem_t *hint = tce_source_hint(src);
	unsigned long step = IOMMU_PAGE_SIZE(tbl), page = 0, new = 0, old;
	const __be64 *tces = src->tces;
	struct shadow_refs refs = { };
	__be64 *shadow, *end;

	if (src->range)
		new = tce_shadow_make(src->range->ua | src->perm, TCE_SHADOW_UA);
	for_each_tce_leaf(iter, index, npages) {
		shadow = tce_tree_shadow(&tbl->it_tree, iter->entry);
		rcu_read_lock();
		for (end = shadow + iter->nr; shadow < end; shadow++) {
			old = tce_load(shadow);
			if (tces)
				new = tce_shadow_make(tce_load(tces++),
						      TCE_SHADOW_PIN);
			if (src->batch)
				new = tce_batch_shadow(tbl, src->batch, page++);
			tce_store(shadow, new);
			new += step;
			if (old)
				shadow_unref(tbl, hint, &refs, old);
		}
		shadow_refs_drop(&refs);
		rcu_read_unlock();
		if (tce_iter_more(iter))
			cond_resched();
	}
}

/*
 * Clear @nr shadows of TCEs that were cleared and killed, and drop what they
 * referred to
 */
static __always_inline void
shadow_drop(struct iommu_table *tbl, __be64 *shadow, unsigned long nr,
	    struct mm_iommu_table_group_mem_t *hint)
{
	struct shadow_refs refs = { };
	__be64 *end = shadow + nr;
	unsigned long old;

	rcu_read_lock();
	for (; shadow < end; shadow++) {
		if (!*shadow)
			continue;
		old = tce_load(shadow);
		WRITE_ONCE(*shadow, 0);
		shadow_unref(tbl, hint, &refs, old);
	}
	shadow_refs_drop(&refs);
	rcu_read_unlock();
}

/* Clear the shadows in the present leaves of a range, and drop their references */
static __always_inline void
user_table_drop_refs(struct iommu_table *tbl, struct tce_iter *iter,
		     unsigned long index, unsigned long npages,
		     struct mm_iommu_table_group_mem_t *hint)
{
	for_each_tce_leaf(iter, index, npages) {
		shadow_drop(tbl, tce_tree_shadow(&tbl->it_tree, iter->entry),
			    iter->nr, hint);
		if (tce_iter_more(iter))
			cond_resched();
	}
}

/*
 * tce_iter_next() without the tce_lock and without a hold: if it returns true,
 * the leaf stays until tce_iter_unlock(), which must follow (R6).
 */
static inline bool tce_iter_next_locked(struct tce_iter *iter)
{
	spin_lock(&iter->tree->lock);
	iter->size = 0;
	if (tce_iter_next(iter))
		return true;
	spin_unlock(&iter->tree->lock);

	return false;
}

static inline void tce_iter_unlock(struct tce_iter *iter)
{
	spin_unlock(&iter->tree->lock);
	cond_resched();
}

/* tce_user_levels.c */
int user_table_make_levels(struct iommu_table *tbl, struct tce_iter *iter,
			   unsigned long index, unsigned long npages);
int user_table_reserve(struct iommu_table *tbl, struct tce_iter *iter,
		       unsigned long index, unsigned long npages);
int user_table_lock_range(struct iommu_table *tbl, struct tce_iter *iter,
			  unsigned long index, unsigned long npages);
void user_table_unlock_range(struct iommu_table *tbl, struct tce_iter *iter);
void user_table_covered(struct iommu_table *tbl, unsigned long index,
			unsigned long npages);

/* tce_user_check.c */
void user_table_do_check(struct iommu_table *tbl, unsigned long index,
			 unsigned long npages);

static inline void user_table_check(struct iommu_table *tbl,
				    unsigned long index, unsigned long npages)
{
	if (IS_ENABLED(CONFIG_SPAPR_TCE_DEBUG))
		user_table_do_check(tbl, index, npages);
}

/* The same for a page, behind a request that did not sleep: the check may */
static inline void user_table_check_one(struct iommu_table *tbl,
					unsigned long entry)
{
	if (!IS_ENABLED(CONFIG_SPAPR_TCE_DEBUG))
		return;
	user_table_lock(tbl);
	user_table_do_check(tbl, entry - tbl->it_offset, 1);
	user_table_unlock(tbl);
}

/* tce_user_lpar.c */
__be64 shadow_to_tce(struct iommu_table *tbl, unsigned long shadow);
int user_table_unmap_batches(struct iommu_table *tbl, unsigned long index,
			     unsigned long npages,
			     struct mm_iommu_table_group_mem_t *hint);
int user_table_store_batches(struct iommu_table *tbl, unsigned long index,
			     unsigned long npages, const struct tce_source *src);

/*
 * Write TCEs. Returns 0, or the error of user_table_store_batches().
 */
static __always_inline int
user_table_store(struct iommu_table *tbl, struct tce_iter *iter,
		 unsigned long index, unsigned long npages,
		 const struct tce_source *src)
{
	struct tce_source copy;

	if (unlikely(!user_table_in_memory(tbl))) {
		copy = *src;
		return user_table_store_batches(tbl, index, npages, &copy);
	}

	for_each_tce_leaf(iter, index, npages) {
		tce_source_translate(tbl, src, iter->index - index, iter->nr,
				     iter->entry);
		if (tce_iter_more(iter))
			cond_resched();
	}

	return 0;
}

/*
 * Commit a request: store TCEs, kill cached translations of the old ones, then swap
 * the shadow and drop what the old TCEs referred to. Between store and kill the
 * shadow still describes the old TCEs, so nothing needs to be allocated to remember
 * them (R12). The caller must hold the lock.
 */
static __always_inline int
user_table_commit(struct iommu_table *tbl, struct tce_iter *iter,
		  unsigned long index, unsigned long npages,
		  const struct tce_source *src)
{
	int ret;

	tce_lock_assert_held(&tbl->it_user->lock);
	ret = user_table_store(tbl, iter, index, npages, src);
	if (unlikely(ret))
		return ret;
	user_table_kill(tbl, index + tbl->it_offset, npages);
	user_table_swap_shadow(tbl, iter, index, npages, src);

	return 0;
}

#endif /* _TCE_USER_H */
