// SPDX-License-Identifier: GPL-2.0-only
/*
 * Levels of TCE trees: their memory, who is charged for it, and spares, which are
 * levels that are in no tree yet, or no more.
 */
#include <linux/export.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/vmstat.h>

#include <asm/tce.h>
#include <asm/tce_charge.h>

#include <trace/events/tce_tree.h>

#include "tce_level.h"

/* Levels smaller than a system page */
static struct kmem_cache *tce_level_cache[PAGE_SHIFT - TCE_LEVEL_SHIFT_MIN + 1];

static int __init tce_tree_caches_init(void)
{
	static const char * const names[] = {
		"tce_level_4k", "tce_level_8k", "tce_level_16k",
		"tce_level_32k",
	};
	unsigned int i, size;

	for (i = 0; i < PAGE_SHIFT - TCE_LEVEL_SHIFT_MIN; i++) {
		size = 1U << (TCE_LEVEL_SHIFT_MIN + i);
		/*
		 * The hardware requires natural alignment. kmemleak cannot follow
		 * links, which are real addresses with permission bits.
		 */
		tce_level_cache[i] = kmem_cache_create(names[i], size, size,
						       SLAB_PANIC |
						       SLAB_NOLEAKTRACE, NULL);
	}

	return 0;
}
core_initcall(tce_tree_caches_init);

static unsigned int tce_kind_shift(const struct tce_tree *tree,
				   enum tce_kind kind)
{
	return tree->level_shift + (kind == TCE_LEAF && tree->shadow);
}

static unsigned long tce_kinds_bytes(const struct tce_tree *tree,
				     const unsigned long *nr)
{
	return (nr[TCE_INNER] << tce_kind_shift(tree, TCE_INNER)) +
	       (nr[TCE_LEAF] << tce_kind_shift(tree, TCE_LEAF));
}

/* Update SecPageTables in /proc/meminfo and in the memory cgroup */
static void tce_pages_count(struct page *page, long nr)
{
	mod_node_page_state(page_pgdat(page), NR_IOMMU_PAGES, nr);
	mod_lruvec_page_state(page, NR_SECONDARY_PAGETABLE, nr);
}

/* As clear_page(): a line of the cache at a time. For __GFP_ZERO slab stores each word */
static __be64 *tce_level_alloc_small(unsigned int i, gfp_t gfp, int nid)
{
	void *level = kmem_cache_alloc_node(tce_level_cache[i], gfp, nid), *line;
	unsigned long size = 1UL << (TCE_LEVEL_SHIFT_MIN + i);

	for (line = level; level && line < level + size; line += l1_dcache_bytes())
		dcbz(line);

	return level;
}

static __be64 *__tce_level_alloc(struct tce_tree *tree, enum tce_kind kind,
				 gfp_t gfp)
{
	unsigned int shift = tce_kind_shift(tree, kind);
	struct page *page;

	gfp |= __GFP_NOWARN | (tree->account ? __GFP_ACCOUNT : 0);
	if (shift < PAGE_SHIFT)
		return tce_level_alloc_small(shift - TCE_LEVEL_SHIFT_MIN, gfp, tree->nid);

	page = alloc_pages_node(tree->nid, gfp | __GFP_ZERO, shift - PAGE_SHIFT);
	if (!page)
		return NULL;
	tce_pages_count(page, 1L << (shift - PAGE_SHIFT));

	return page_address(page);
}

static __be64 *tce_level_alloc(struct tce_tree *tree, enum tce_kind kind,
			       gfp_t gfp)
{
	__be64 *level = __tce_level_alloc(tree, kind, gfp);

	trace_tce_level_alloc(tree, level, kind == TCE_LEAF,
			      1UL << tce_kind_shift(tree, kind));

	return level;
}

/**
 * tce_level_free() - free a level
 * @tree: the tree that it was allocated for
 * @kind: what kind of level it is
 * @level: the level, which neither a thread nor the hardware uses any more
 *
 * Does not uncharge it.
 *
 * Context: any that may free memory.
 */
void tce_level_free(struct tce_tree *tree, enum tce_kind kind, __be64 *level)
{
	unsigned int shift = tce_kind_shift(tree, kind);

	trace_tce_level_free(tree, level, kind == TCE_LEAF, 1UL << shift);

	if (shift < PAGE_SHIFT) {
		kmem_cache_free(tce_level_cache[shift - TCE_LEVEL_SHIFT_MIN],
				level);
		return;
	}

	tce_pages_count(virt_to_page(level), -(1L << (shift - PAGE_SHIFT)));
	free_pages((unsigned long)level, shift - PAGE_SHIFT);
}

/**
 * tce_account_init() - initialize an account
 * @account: the account
 * @mm: whose locked_vm is charged; the caller must have a reference (mmgrab()) for
 *	as long as @account is used
 *
 * Context: any.
 */
void tce_account_init(struct tce_account *account, struct mm_struct *mm)
{
	mutex_init(&account->lock);
	account->mm = mm;
	account->bytes = 0;
	account->pages = 0;
	account->nowait = false;
}
EXPORT_SYMBOL_GPL(tce_account_init);

/**
 * tce_account_pages() - read the charge
 * @account: the account
 *
 * Context: any.
 *
 * Return: the current charge in system pages.
 */
unsigned long tce_account_pages(struct tce_account *account)
{
	return READ_ONCE(account->pages);
}
EXPORT_SYMBOL_GPL(tce_account_pages);

/* The charge with @bytes more, in system pages */
static unsigned long tce_account_need(struct tce_account *account,
				      unsigned long bytes)
{
	return DIV_ROUND_UP(account->bytes + bytes, PAGE_SIZE);
}

static int tce_account_add(struct tce_account *account, unsigned long pages)
{
	if (account->nowait)
		return tce_charge_nowait(account->mm, pages);

	return tce_charge(account->mm, pages);
}

/* Set the charge to @pages. A smaller one cannot fail */
static int tce_account_set(struct tce_account *account, unsigned long pages)
{
	int ret = 0;

	lockdep_assert_held(&account->lock);
	if (pages > account->pages)
		ret = tce_account_add(account, pages - account->pages);
	else if (pages < account->pages)
		tce_uncharge(account->mm, account->pages - pages);
	if (!ret)
		WRITE_ONCE(account->pages, pages);

	return ret;
}

static int tce_account_charge(struct tce_account *account, unsigned long bytes)
{
	int ret;

	ret = mutex_lock_killable(&account->lock);
	if (ret)
		return ret;
	ret = tce_account_set(account, tce_account_need(account, bytes));
	if (!ret)
		account->bytes += bytes;
	mutex_unlock(&account->lock);

	return ret;
}

static void tce_account_uncharge(struct tce_account *account,
				 unsigned long bytes)
{
	mutex_lock(&account->lock);
	account->bytes -= bytes;
	tce_account_set(account, tce_account_need(account, 0));
	mutex_unlock(&account->lock);
}

/**
 * tce_tree_pause() - reschedule, and look if the process is being killed
 * @tree: the tree that is worked on
 *
 * Call between two steps of a loop whose length a process chooses. Does nothing for
 * the kernel's own trees, which are small, may be used in atomic context, and are
 * not made for the current process.
 *
 * Context: process, may sleep, when the tree has an account; else any.
 *
 * Return: 0; -EINTR when the process is being killed.
 */
int tce_tree_pause(struct tce_tree *tree)
{
	if (!tree->account)
		return 0;
	cond_resched();

	return fatal_signal_pending(current) ? -EINTR : 0;
}

/* Charge for @nr levels of each kind */
static int tce_tree_charge(struct tce_tree *tree, const unsigned long *nr)
{
	unsigned long bytes = tce_kinds_bytes(tree, nr);
	int ret = 0;

	if (tree->account && !tree->prepaid)
		ret = tce_account_charge(tree->account, bytes);
	if (!ret) {
		atomic_long_add(bytes, &tree->bytes);
		atomic_long_add(nr[TCE_LEAF], &tree->leaves);
	}

	return ret;
}

/**
 * tce_tree_uncharge() - uncharge levels
 * @tree: the tree
 * @nr: how many of each kind
 *
 * Context: as tce_tree_destroy().
 */
void tce_tree_uncharge(struct tce_tree *tree, const unsigned long *nr)
{
	unsigned long bytes = tce_kinds_bytes(tree, nr);

	atomic_long_sub(bytes, &tree->bytes);
	atomic_long_sub(nr[TCE_LEAF], &tree->leaves);
	if (tree->account && !tree->prepaid)
		tce_account_uncharge(tree->account, bytes);
}

/* Size of all levels that a tree can have, in bytes */
static unsigned long tce_tree_full_bytes(const struct tce_tree *tree)
{
	unsigned long nr[TCE_KINDS] = { }, below = tree->entries;
	unsigned int level;

	for (level = 0; level < tree->levels; level++) {
		below = ((below - 1) >> tce_tree_level_bits(tree)) + 1;
		nr[level ? TCE_INNER : TCE_LEAF] += below;
	}

	return tce_kinds_bytes(tree, nr);
}

/**
 * tce_tree_prepay() - charge for all levels that a tree can have
 * @tree: the tree, which has an account and no level yet
 *
 * Context: process, may sleep.
 *
 * Return: 0; -ENOMEM when RLIMIT_MEMLOCK would be exceeded; -EINTR when the process
 * is being killed.
 */
int tce_tree_prepay(struct tce_tree *tree)
{
	int ret = tce_account_charge(tree->account, tce_tree_full_bytes(tree));

	tree->prepaid = !ret;

	return ret;
}

/**
 * tce_tree_refund() - uncharge what tce_tree_prepay() has charged, if it was called
 * @tree: the tree
 *
 * Context: as tce_tree_destroy().
 */
void tce_tree_refund(struct tce_tree *tree)
{
	if (tree->prepaid)
		tce_account_uncharge(tree->account, tce_tree_full_bytes(tree));
	tree->prepaid = false;
}

/**
 * tce_spares_pop() - take a spare level
 * @spares: the spares
 * @kind: which kind; there is one
 *
 * Spares are linked through their first entry, by real addresses without
 * permissions: a bridge may still walk what was taken out of a tree, and finds
 * nothing there.
 *
 * Context: any.
 *
 * Return: the level, zeroed.
 */
__be64 *tce_spares_pop(struct tce_spares *spares, enum tce_kind kind)
{
	__be64 *level = spares->head[kind];
	unsigned long next = tce_load(level);

	spares->head[kind] = next ? __va(next) : NULL;
	spares->nr[kind]--;
	tce_store(level, 0);

	return level;
}

/**
 * tce_spares_push() - add a spare level
 * @spares: the spares
 * @kind: what kind of level it is
 * @level: the level, all of whose entries are 0
 *
 * Context: any.
 */
void tce_spares_push(struct tce_spares *spares, enum tce_kind kind,
		     __be64 *level)
{
	__be64 *next = spares->head[kind];

	tce_store(level, next ? __pa(next) : 0);
	spares->head[kind] = level;
	spares->nr[kind]++;
}

/**
 * tce_records_free() - free records
 * @tree: the tree that they were made for
 * @head: the list, empty afterwards
 *
 * Context: as tce_tree_destroy().
 */
void tce_records_free(struct tce_tree *tree, struct hlist_head *head)
{
	struct tce_record *record;

	while (!hlist_empty(head)) {
		record = hlist_entry(head->first, struct tce_record, node);
		hlist_del(&record->node);
		kfree(record);
		tce_tree_pause(tree);
	}
}

/* Allocate a record for each of @nr levels; the root comes before and has none */
static int tce_records_alloc(struct tce_tree *tree, struct tce_spares *spares,
			     unsigned long nr, gfp_t gfp)
{
	struct tce_record *record;
	int ret = 0;

	if (!tree->recorded)
		return 0;

	/* As small as they are, the memory cgroup counts them but no charge does */
	if (tree->account)
		gfp |= __GFP_ACCOUNT;
	for (; nr && !ret; nr--) {
		record = kmalloc(sizeof(*record), gfp | __GFP_NOWARN);
		if (!record)
			return -ENOMEM;
		hlist_add_head(&record->node, &spares->records);
		if (nr > 1)
			ret = tce_tree_pause(tree);
	}

	return ret;
}

static void tce_spares_free(struct tce_tree *tree, struct tce_spares *spares)
{
	enum tce_kind kind;

	for (kind = 0; kind < TCE_KINDS; kind++) {
		while (spares->nr[kind]) {
			tce_level_free(tree, kind, tce_spares_pop(spares, kind));
			tce_tree_pause(tree);
		}
	}
	tce_records_free(tree, &spares->records);
}

/* Stop when the process is killed: an OOM victim may use up the last memory */
static int tce_spares_alloc(struct tce_tree *tree, struct tce_spares *spares,
			    enum tce_kind kind, unsigned long nr, gfp_t gfp)
{
	__be64 *level;
	int ret = 0;

	while (!ret && spares->nr[kind] < nr) {
		level = tce_level_alloc(tree, kind, gfp);
		if (!level)
			return -ENOMEM;
		tce_spares_push(spares, kind, level);
		if (spares->nr[kind] < nr)
			ret = tce_tree_pause(tree);
	}

	return ret;
}

/**
 * tce_spares_reserve() - charge and allocate spare levels (R10)
 * @tree: the tree that they are for
 * @spares: where to put them
 * @nr: how many of each kind there shall be
 * @gfp: how to allocate them
 *
 * Context: as @gfp says; process, and may sleep, when the tree has an account.
 *
 * Return: 0; -ENOMEM when there is not enough memory or RLIMIT_MEMLOCK would be
 * exceeded; -EAGAIN as tce_charge_nowait(), for an account that must not wait; -EINTR
 * when the process is being killed. After an error there are no spares, and nothing
 * more is charged.
 */
int tce_spares_reserve(struct tce_tree *tree, struct tce_spares *spares,
		       const unsigned long *nr, gfp_t gfp)
{
	enum tce_kind kind;
	int ret;

	ret = tce_tree_charge(tree, nr);
	if (ret)
		return ret;

	for (kind = 0; kind < TCE_KINDS && !ret; kind++)
		ret = tce_spares_alloc(tree, spares, kind, nr[kind], gfp);
	if (!ret)
		ret = tce_records_alloc(tree, spares,
					nr[TCE_INNER] + nr[TCE_LEAF], gfp);
	if (ret) {
		tce_spares_free(tree, spares);
		tce_tree_uncharge(tree, nr);
	}

	return ret;
}

/**
 * tce_spares_return() - free levels that are in no tree
 * @tree: the tree that they were made for, or taken out of
 * @spares: the levels, which no bridge may find any more; none afterwards
 *
 * Context: as tce_tree_destroy().
 */
void tce_spares_return(struct tce_tree *tree, struct tce_spares *spares)
{
	unsigned long nr[TCE_KINDS] = {
		spares->nr[TCE_INNER], spares->nr[TCE_LEAF]
	};

	if (!tce_spares_any(spares))
		return;
	tce_spares_free(tree, spares);
	tce_tree_uncharge(tree, nr);
}
