// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCE tree: multilevel tables of TCEs whose levels are allocated on demand.
 *
 * The tree knows nothing of host bridges, hypercalls or VFIO; tce_level.c allocates
 * levels and charges for them. It keeps these invariants
 * (Documentation/arch/powerpc/tce.rst):
 *
 * - Levels only appear, until tce_tree_destroy(); only tce_tree_trim() removes
 *   levels earlier, and tce_tree_take() from trees without records (R6).
 * - A level is zeroed before its address is published, by cmpxchg(): other
 *   threads and the hardware see no level or a whole one (R7).
 * - All levels that a request may need are allocated and charged before the first
 *   is published. On failure the tree and the charge are unchanged (R8, R10). The
 *   loser of a race for a slot frees its level.
 *
 * The tree of a user table has a record of each level below its root, since it
 * can be very large and have few of them.
 *
 * A process chooses how large its requests are. So where a process pays for the
 * tree, loops over levels reschedule, and a request that makes levels ends when
 * the process is killed. The search for the next leaf does neither, since real
 * mode uses it. It is short: each level has a leaf below it, so between two leaves
 * it looks at one level on the way up and one on the way down, for each depth.
 */
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/spinlock.h>

#include <asm/tce.h>

#include "tce_level.h"

static_assert(TCE_TREE_LINK == (TCE_PCI_READ | TCE_PCI_WRITE));

/* Link @level from @slot unless another is linked there. Returns the link (R7) */
static unsigned long tce_publish(__be64 *slot, __be64 *level)
{
	unsigned long link = __pa(level) | TCE_TREE_LINK;
	u64 new = (__force u64)cpu_to_be64(link);

	/* Full barrier: the zeroes are visible before the link */
	if (cmpxchg((__force u64 *)slot, 0, new))
		return tce_load(slot);

	return link;
}

/*
 * The same in a tree with records. The lock makes one step of both for
 * tce_tree_records(): whoever has found a level in the tree finds its record there.
 */
static noinline unsigned long tce_publish_record(struct tce_tree *tree,
						 __be64 *slot,
						 struct tce_record *record)
{
	unsigned long link;

	spin_lock(&tree->lock);
	link = tce_publish(slot, record->entries);
	if (tce_link_level(link) == record->entries) {
		hlist_del(&record->node);
		hlist_add_head(&record->node, &tree->records);
	}
	spin_unlock(&tree->lock);

	return link;
}

/*
 * Link a spare level from @slot, the slot for entry @index, which covers 1 << @shift
 * entries. Returns the link, or 0 if there is no spare.
 */
static unsigned long tce_link_spare(struct tce_tree *tree, __be64 *slot,
				    unsigned long index, unsigned int shift,
				    struct tce_spares *spares)
{
	enum tce_kind kind = shift == tce_tree_level_bits(tree) ? TCE_LEAF :
								  TCE_INNER;
	struct tce_record *record;
	unsigned long link;
	__be64 *new;

	if (!spares->nr[kind])
		return 0;
	new = tce_spares_pop(spares, kind);
	record = tce_spares_records(spares);
	if (record) {
		record->entries = new;
		record->start = index >> shift << shift;
		record->shift = shift;
		record->kind = kind;
		record->nr = 0;
		link = tce_publish_record(tree, slot, record);
	} else {
		link = tce_publish(slot, new);
	}
	if (tce_link_level(link) != new)
		tce_spares_push(spares, kind, new);

	return link;
}

/*
 * Walk from the root to the leaf of @index, and link missing levels from @spares until
 * one is missing there
 */
static void tce_tree_link(struct tce_tree *tree, unsigned long index,
			  struct tce_spares *spares)
{
	unsigned int bits = tce_tree_level_bits(tree), shift;
	unsigned long mask = (1UL << bits) - 1, link;
	__be64 *level = tree->root, *slot;

	for (shift = (tree->levels - 1) * bits; shift; shift -= bits) {
		slot = level + ((index >> shift) & mask);
		link = tce_load(slot);
		if (!link)
			link = tce_link_spare(tree, slot, index, shift, spares);
		if (!link)
			return;
		level = tce_link_level(link);
	}
}

/**
 * tce_tree_walk() - find an entry
 * @tree: the tree
 * @index: index of the entry, below @tree->entries
 *
 * Does not allocate, sleep or take a lock, and touches the linear mapping only
 * (R19). R6 says how long the entry stays valid.
 *
 * Context: any, real mode included.
 *
 * Return: the entry, or NULL when no leaf is present at @index.
 */
__be64 *tce_tree_walk(struct tce_tree *tree, unsigned long index)
{
	return tce_tree_find(tree, index);
}
EXPORT_SYMBOL_GPL(tce_tree_walk);

/*
 * The walk to @index has ended at an empty slot that stands for 1 << @shift
 * entries. Return the first index behind it and behind the empty slots that follow
 * in the same level: a hole costs a load per slot, not a walk.
 */
static unsigned long tce_tree_skip(struct tce_tree *tree, unsigned long index,
				   unsigned int shift)
{
	unsigned int bits = tce_tree_level_bits(tree);
	unsigned long mask = (1UL << bits) - 1, slot;
	unsigned int depth = (tree->levels - 1) * bits;
	__be64 *level = tree->root;

	for (; depth > shift; depth -= bits)
		level = tce_link_level(tce_load(level + ((index >> depth) & mask)));

	slot = (index >> shift) + 1;
	while (slot & mask) {
		if (IS_ALIGNED(slot, TCE_SLOTS) &&
		    tce_slots_empty(level + (slot & mask)))
			slot += TCE_SLOTS;
		else if (!READ_ONCE(level[slot & mask]))
			slot++;
		else
			break;
	}

	return slot << shift;
}

/* Move @iter to the leaf of @index. Returns false and sets *@shift when there is none */
static __always_inline bool tce_iter_find(struct tce_iter *iter,
					  unsigned long index,
					    unsigned int *shift)
{
	unsigned long size = 1UL << tce_tree_level_bits(iter->tree);
	unsigned long offset = index & (size - 1);
	__be64 *entry;

	entry = tce_tree_find_slot(iter->tree, index, shift);
	if (!entry)
		return false;

	iter->leaf = entry - offset;
	iter->start = index - offset;
	iter->size = size;

	return true;
}

static noinline unsigned long tce_iter_search(struct tce_iter *iter,
					      unsigned long index,
						unsigned long end)
{
	unsigned int shift;

	while (index < end && !tce_iter_find(iter, index, &shift))
		index = tce_tree_skip(iter->tree, index, shift);

	return index;
}

/**
 * tce_iter_move() - find the next leaf of a range
 * @iter: the iterator, moved to the leaf
 * @index: where the range starts
 * @end: where the range ends, at most the number of entries
 *
 * Use for_each_tce_leaf() instead. A hole costs a load per empty slot.
 *
 * Context: any, real mode included.
 *
 * Return: the first index from @index on whose leaf is present; @end or more when
 * there is none in the range.
 */
unsigned long tce_iter_move(struct tce_iter *iter, unsigned long index,
			    unsigned long end)
{
	unsigned int shift;

	if (likely(tce_iter_find(iter, index, &shift)))
		return index;

	return tce_iter_search(iter, index, end);
}
EXPORT_SYMBOL_GPL(tce_iter_move);

/* Count the levels that are missing for @nr entries from @index on */
static int tce_tree_missing(struct tce_tree *tree, unsigned long index,
			    unsigned long nr, unsigned long *missing)
{
	unsigned int bits = tce_tree_level_bits(tree), shift;
	unsigned long end = index + nr, next;
	int ret = 0;

	for (; index < end && !ret; index = next) {
		/*
		 * Everything below an empty slot for 1 << shift entries is missing;
		 * 0: nothing is, the leaf is there.
		 */
		tce_tree_find_slot(tree, index, &shift);
		next = min((index | ((1UL << (shift ?: bits)) - 1)) + 1, end);
		for (; shift; shift -= bits)
			missing[shift == bits ? TCE_LEAF : TCE_INNER] +=
				((next - 1) >> shift) - (index >> shift) + 1;
		if (next < end)
			ret = tce_tree_pause(tree);
	}

	return ret;
}

/*
 * Link the missing levels. Levels of a range that is being mapped do not go away, so
 * @spares for what was missing suffice. Nothing can fail any more, so finish even if
 * the process is being killed.
 */
static void tce_tree_add(struct tce_tree *tree, unsigned long index,
			 unsigned long nr, struct tce_spares *spares)
{
	unsigned long bits = tce_tree_level_bits(tree), end = index + nr, next;

	for (; index < end; index = next) {
		tce_tree_link(tree, index, spares);
		next = (index | ((1UL << bits) - 1)) + 1;
		if (next < end)
			tce_tree_pause(tree);
	}
}

/* Returns the number of levels that were linked, or an error */
static long tce_tree_reserve(struct tce_tree *tree, unsigned long index,
			     unsigned long nr, gfp_t gfp)
{
	unsigned long missing[TCE_KINDS] = { }, made;
	struct tce_spares spares = { };
	int ret;

	ret = tce_tree_missing(tree, index, nr, missing);
	if (ret || !missing[TCE_LEAF])
		return ret;

	ret = tce_spares_reserve(tree, &spares, missing, gfp);
	if (ret)
		return ret;

	tce_tree_add(tree, index, nr, &spares);
	/* Other threads may have linked some meanwhile */
	made = missing[TCE_INNER] - spares.nr[TCE_INNER] +
		missing[TCE_LEAF] - spares.nr[TCE_LEAF];
	tce_spares_return(tree, &spares);

	return made;
}

static noinline int tce_iter_make(struct tce_iter *iter, unsigned long index,
				  unsigned long nr, gfp_t gfp)
{
	long made = tce_tree_reserve(iter->tree, index, nr, gfp);

	if (made < 0)
		return made;
	iter->made += made;

	return 0;
}

/**
 * tce_iter_has() - find entries that are all in one leaf
 * @iter: the iterator, moved to the leaf
 * @index: first entry
 * @nr: how many, at least 1
 *
 * Context: as tce_tree_walk().
 *
 * Return: true if one leaf has all of the entries, and is there.
 */
bool tce_iter_has(struct tce_iter *iter, unsigned long index, unsigned long nr)
{
	unsigned int shift;

	return tce_iter_find(iter, index, &shift) &&
		nr <= iter->start + iter->size - index;
}

/**
 * tce_iter_reserve() - make entries writable
 * @iter: an iterator of the tree
 * @index: first entry
 * @nr: how many, at least 1; @index + @nr must not exceed the tree's entries
 * @gfp: how to allocate; must allow sleeping when the tree has an account
 *
 * Afterwards there is a leaf for each of the entries. It stays (R6), in a tree with
 * records for as long as the caller has a hold on the entries. May run at the same
 * time as any other use of the tree but tce_tree_destroy().
 *
 * Context: any in virtual mode; may sleep when the tree has an account, and takes
 * the mmap_lock then.
 *
 * Return: 0; -EAGAIN as tce_charge_nowait(), for an account that must not wait;
 * -ENOMEM when there is not enough memory or the account's
 * RLIMIT_MEMLOCK would be exceeded; -EINTR when the tree has an account and the
 * current process is being killed. After an error tree and charge are unchanged
 * (R8).
 */
int tce_iter_reserve(struct tce_iter *iter, unsigned long index,
		     unsigned long nr, gfp_t gfp)
{
	/* Most requests find all in one leaf, which the iterator keeps */
	if (likely(tce_iter_has(iter, index, nr)))
		return 0;

	return tce_iter_make(iter, index, nr, gfp);
}
EXPORT_SYMBOL_GPL(tce_iter_reserve);

/**
 * tce_tree_make() - find an entry, and make its leaf if there is none
 * @tree: the tree
 * @index: index of the entry, below @tree->entries
 * @gfp: as for tce_iter_reserve()
 *
 * Context: as tce_iter_reserve().
 *
 * Return: the entry, or NULL when tce_iter_reserve() would fail.
 */
__be64 *tce_tree_make(struct tce_tree *tree, unsigned long index, gfp_t gfp)
{
	__be64 *entry = tce_tree_walk(tree, index);

	if (entry || tce_tree_reserve(tree, index, 1, gfp) < 0)
		return entry;

	return tce_tree_walk(tree, index);
}
EXPORT_SYMBOL_GPL(tce_tree_make);

struct tce_taking {
	struct tce_tree *tree;
	struct tce_spares *taken;
	bool all;
};

/*
 * Take out what is below @level, whose slots stand for 1 << @shift entries each,
 * of its entries @first to @last.
 */
static void tce_level_take(struct tce_taking *t, __be64 *level,
			   unsigned int shift, unsigned long first,
			   unsigned long last)
{
	unsigned int bits = tce_tree_level_bits(t->tree);
	unsigned long mask = (1UL << shift) - 1, i, lo, hi;
	__be64 *below;

	for (i = first >> shift; i <= last >> shift; i++) {
		if (!READ_ONCE(level[i]))
			continue;
		below = tce_link_level(tce_load(level + i));
		lo = max(first, i << shift) & mask;
		hi = min(last, (i << shift) | mask) & mask;
		if (shift > bits)
			tce_level_take(t, below, shift - bits, lo, hi);
		if (!t->all && (lo || hi != mask))
			continue;
		tce_store(level + i, 0);
		tce_spares_push(t->taken, shift == bits ? TCE_LEAF : TCE_INNER,
				below);
	}
}

/**
 * tce_tree_take() - take out levels below the root
 * @tree: a tree without records
 * @index: first entry of a range
 * @nr: how many, at least 1; all of them are 0
 * @all: all other entries of the tree are 0, too, and nobody uses it: take
 *	 every level that has an entry in the range, and not only what the range
 *	 covers wholly
 * @taken: where to put the levels
 *
 * They are to be given back with tce_spares_return() when no bridge can have
 * their addresses any more.
 *
 * Context: any, does not sleep. Caller must exclude all other use of the range;
 * the rest of the tree may be in use unless @all is set.
 */
void tce_tree_take(struct tce_tree *tree, unsigned long index, unsigned long nr,
		   bool all, struct tce_spares *taken)
{
	struct tce_taking t = { .tree = tree, .taken = taken, .all = all };
	unsigned int bits = tce_tree_level_bits(tree);
	unsigned long leaf = 1UL << bits;

	if (tree->levels == 1 ||
	    (!all && ALIGN(index, leaf) + leaf > index + nr))
		return;
	tce_level_take(&t, tree->root, (tree->levels - 1) * bits, index,
		       index + nr - 1);
}
EXPORT_SYMBOL_GPL(tce_tree_take);

/*
 * Choose the least depth that the hardware accepts whose levels are no larger than
 * TCE_LEVEL_SHIFT_GOAL; else the depth with the smallest levels.
 */
static int tce_tree_geometry(struct tce_tree *tree,
			     const struct tce_tree_config *config)
{
	unsigned int max_levels = min(config->max_levels, TCE_TREE_MAX_LEVELS);
	unsigned int bits = order_base_2(config->entries), levels, shift;

	tree->levels = 0;
	for (levels = config->levels; levels <= max_levels; levels++) {
		shift = max(DIV_ROUND_UP(bits, levels) + 3, TCE_LEVEL_SHIFT_MIN);
		if (shift + config->shadow > PAGE_SHIFT + MAX_PAGE_ORDER ||
		    (shift - 3) * levels + config->page_shift >
		    TCE_TREE_ADDRESS_BITS)
			continue;
		tree->levels = levels;
		tree->level_shift = shift;
		if (shift <= TCE_LEVEL_SHIFT_GOAL)
			break;
	}

	if (!tree->levels)
		return -EINVAL;
	tree->shadow = config->shadow ? 1U << tce_tree_level_bits(tree) : 0;

	return 0;
}

static int tce_tree_make_root(struct tce_tree *tree)
{
	enum tce_kind kind = tree->levels == 1 ? TCE_LEAF : TCE_INNER;
	unsigned long nr[TCE_KINDS] = { };
	struct tce_spares spares = { };
	int ret;

	nr[kind] = 1;
	ret = tce_spares_reserve(tree, &spares, nr, GFP_KERNEL_ACCOUNT);
	if (!ret)
		tree->root = tce_spares_pop(&spares, kind);

	return ret;
}

static void tce_tree_set(struct tce_tree *tree, unsigned long entries, int nid,
			 struct tce_account *account)
{
	tree->entries = entries;
	tree->nid = nid;
	tree->account = account;
	tree->prepaid = false;
	tree->recorded = false;
	tree->root = NULL;
	spin_lock_init(&tree->lock);
	INIT_HLIST_HEAD(&tree->records);
	INIT_LIST_HEAD(&tree->holds);
	atomic_long_set(&tree->bytes, 0);
	atomic_long_set(&tree->leaves, 0);
}

/**
 * tce_tree_init() - make an empty tree for the hardware
 * @tree: the tree to initialize
 * @config: its properties
 * @account: who is charged for levels, NULL for nobody
 *
 * Allocates the first level.
 *
 * Context: process, may sleep.
 *
 * Return: 0; -EINVAL when no geometry fits; -ENOMEM, -EAGAIN or -EINTR as
 * tce_iter_reserve().
 */
int tce_tree_init(struct tce_tree *tree, const struct tce_tree_config *config,
		  struct tce_account *account)
{
	int ret;

	tce_tree_set(tree, config->entries, config->nid, account);
	ret = tce_tree_geometry(tree, config);
	if (!ret)
		ret = tce_tree_make_root(tree);
	/* Not for tables of the host and of paging domains */
	tree->recorded = account || config->shadow;

	return ret;
}

/**
 * tce_tree_init_paged() - make an empty tree whose levels are system pages
 * @tree: the tree to initialize
 * @entries: number of entries, at least 1
 * @account: who is charged for levels
 * @prepay: charge now for all levels that the tree can have, instead of for each
 *	    when it is allocated
 *
 * For a tree that no hardware walks and whose leaves are mapped to user space:
 * each is a page of its own. To allocate a level of a prepaid tree takes no lock.
 *
 * Context: process, may sleep.
 *
 * Return: as tce_tree_init().
 */
int tce_tree_init_paged(struct tce_tree *tree, unsigned long entries,
			struct tce_account *account, bool prepay)
{
	int ret;

	tce_tree_set(tree, entries, NUMA_NO_NODE, account);
	tree->level_shift = PAGE_SHIFT;
	tree->levels = max_t(unsigned int, 1,
			     DIV_ROUND_UP(order_base_2(entries),
					  tce_tree_level_bits(tree)));
	tree->shadow = 0;
	if (tree->levels > TCE_TREE_MAX_LEVELS)
		return -EINVAL;

	ret = prepay ? tce_tree_prepay(tree) : 0;
	if (ret)
		return ret;
	ret = tce_tree_make_root(tree);
	if (ret)
		tce_tree_refund(tree);

	return ret;
}
EXPORT_SYMBOL_GPL(tce_tree_init_paged);

/**
 * tce_tree_records() - find all levels of a tree
 * @tree: a tree with records
 *
 * Where a tree has few levels this is less to visit than its range. The list has
 * all levels but the root that were linked before the call, each before the one
 * above it. It is for who excludes tce_tree_trim() (R6).
 *
 * Context: any in virtual mode, does not sleep.
 *
 * Return: the first record, or NULL.
 */
struct tce_record *tce_tree_records(struct tce_tree *tree)
{
	struct tce_record *record;

	spin_lock(&tree->lock);
	record = hlist_entry_safe(tree->records.first, struct tce_record, node);
	spin_unlock(&tree->lock);

	return record;
}

/* Free all levels of a tree with records but the root */
static void tce_records_destroy(struct tce_tree *tree, unsigned long *freed)
{
	struct tce_record *record;

	hlist_for_each_entry(record, &tree->records, node) {
		tce_level_free(tree, record->kind, record->entries);
		freed[record->kind]++;
		tce_tree_pause(tree);
	}
	tce_records_free(tree, &tree->records);
}

static void tce_level_destroy(struct tce_tree *tree, __be64 *level,
			      unsigned int depth, unsigned long *freed)
{
	enum tce_kind kind = depth == 1 ? TCE_LEAF : TCE_INNER;
	unsigned long i;

	/* Those of a tree with records are free already */
	if (kind == TCE_INNER && !tree->recorded) {
		for (i = 0; i < 1UL << tce_tree_level_bits(tree); i++)
			if (level[i])
				tce_level_destroy(tree,
						  tce_link_level(tce_load(level + i)),
						  depth - 1, freed);
	}
	tce_level_free(tree, kind, level);
	freed[kind]++;
	tce_tree_pause(tree);
}

/**
 * tce_tree_destroy() - free and uncharge all levels
 * @tree: a tree from tce_tree_init() or tce_tree_init_paged(). Neither a thread nor
 *	  the hardware may use it any more (R9)
 *
 * Context: any that may free memory; process, and may sleep, when the tree has an
 * account.
 */
void tce_tree_destroy(struct tce_tree *tree)
{
	unsigned long freed[TCE_KINDS] = { };

	tce_records_destroy(tree, freed);
	/* Recurses at most TCE_TREE_MAX_LEVELS deep */
	tce_level_destroy(tree, tree->root, tree->levels, freed);
	tree->root = NULL;
	tce_tree_uncharge(tree, freed);
	tce_tree_refund(tree);
}
EXPORT_SYMBOL_GPL(tce_tree_destroy);
