/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCE tree: a radix tree of 8-byte big-endian entries in the format that
 * POWER PCI host bridges walk.
 *
 * Every level has the same size, 1 << level_shift bytes. An entry of a
 * non-leaf level holds the real address of the level below with both
 * permission bits set, or zero when that subtree is absent. What a leaf holds
 * is up to the user of the tree.
 *
 * A tree can have shadows: then each leaf has as many entries again directly
 * behind it, in the same allocation, where the hardware does not read. They say
 * what each TCE refers to. A TCE and its shadow are adjacent; one walk finds both.
 *
 * Most trees only gain levels (tce_iter_reserve()) until the whole tree goes
 * (tce_tree_destroy()), so a leaf that was found stays valid for as long as
 * the tree does and readers need no lock. But tce_tree_trim() takes empty levels
 * out of a tree with records, unless the reader excludes it, has a hold on the
 * range (tce_iter_hold()), or has tce_tree::lock.
 * And tce_tree_take() takes out the levels that a range covers wholly, of a tree
 * without records whose users keep their ranges apart.
 */
#ifndef _ASM_POWERPC_TCE_TREE_H
#define _ASM_POWERPC_TCE_TREE_H

#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/gfp_types.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/mutex_types.h>
#include <linux/spinlock_types.h>
#include <linux/types.h>

#include <asm/byteorder.h>
#include <asm/page.h>

#define TCE_TREE_MAX_LEVELS	5

/* The smallest level that the hardware accepts */
#define TCE_LEVEL_SHIFT_MIN	12

/*
 * Make a tree deeper rather than levels larger than this: small enough to keep a
 * sparse window cheap, large enough for range operations to spend their time in
 * leaves.
 */
#define TCE_LEVEL_SHIFT_GOAL	13

/* Bits of a PCI address that are translated; higher ones select the window */
#define TCE_TREE_ADDRESS_BITS	55

struct mm_struct;

/**
 * struct tce_account - the charge for the levels of a table
 * @lock: serializes changes of @bytes and of the charge
 * @mm: whose locked_vm is charged
 * @bytes: size of all levels that are charged here
 * @pages: the charge in system pages: @bytes, rounded up (R10)
 * @nowait: who charges has locks that others wait for: use tce_charge_nowait()
 */
struct tce_account {
	struct mutex lock;	/* bytes and the charge for them */
	struct mm_struct *mm;
	unsigned long bytes;
	unsigned long pages;
	bool nowait;
};

/* Levels come in two sizes: a leaf has the shadow behind it, if there is one */
enum tce_kind { TCE_INNER, TCE_LEAF, TCE_KINDS };

/**
 * struct tce_record - where a level of a tree with records is
 * @node: in tce_tree::records or tce_spares::records
 * @entries: the level
 * @start: index of the first TCE in it or below it
 * @shift: log2 of the number of TCEs in it or below it
 * @kind: what kind of level it is
 * @first: only during an unmap, under the tce_lock of the table: the first TCE in
 *	   use of a leaf, counted from the start of the leaf
 * @nr: with @first: number of TCEs from there to the last one in use
 */
struct tce_record {
	struct hlist_node node;
	__be64 *entries;
	unsigned long start;
	unsigned int shift;
	enum tce_kind kind;
	unsigned int first;
	unsigned int nr;
};

/**
 * struct tce_tree - a radix tree of TCE-sized entries
 * @root: the first level, always present
 * @entries: valid indices are 0 to @entries - 1
 * @levels: number of levels, 1 to TCE_TREE_MAX_LEVELS
 * @level_shift: log2 of the size of a level in bytes
 * @shadow: distance from a TCE to its shadow, in entries; 0: no shadows
 * @nid: NUMA node to allocate from
 * @account: who is charged; NULL for the kernel's own tables
 * @prepaid: @account was charged for all possible levels when the tree was made
 * @recorded: each level but the root has a record
 * @bytes: memory held by levels, shadows included
 * @leaves: how many of the levels are leaves
 * @lock: levels of a tree with records are linked and recorded, and taken out,
 *	  under it
 * @records: of all levels but the root, newest first: a level is before the one
 *	     that links it
 * @holds: ranges whose levels stay; does not change during tce_tree_trim()
 */
struct tce_tree {
	__be64 *root;
	unsigned long entries;
	unsigned int levels;
	unsigned int level_shift;
	unsigned int shadow;
	int nid;
	struct tce_account *account;
	bool prepaid;
	bool recorded;
	atomic_long_t bytes;
	atomic_long_t leaves;
	spinlock_t lock;	/* links and records of levels */
	struct hlist_head records;
	struct list_head holds;
};

/**
 * struct tce_tree_config - properties of a tree for the hardware
 * @entries: number of entries, at least 1
 * @levels: least number of levels, at least 1
 * @max_levels: largest number of levels that the hardware can walk
 * @page_shift: log2 of the size of the page that an entry maps
 * @nid: NUMA node for the levels
 * @shadow: each leaf has shadows behind it
 */
struct tce_tree_config {
	unsigned long entries;
	unsigned int levels;
	unsigned int max_levels;
	unsigned int page_shift;
	int nid;
	bool shadow;
};

/**
 * struct tce_hold - a range of entries whose levels stay in the tree
 * @node: in tce_tree::holds
 * @first: index of the first entry
 * @last: index of the last entry
 */
struct tce_hold {
	struct list_head node;
	unsigned long first;
	unsigned long last;
};

/**
 * struct tce_iter - a place in a tree, and a range of entries to visit
 * @tree: the tree
 * @index: index of @entry
 * @nr: how many entries from @entry on are in the range and in one leaf. The body
 *	of a loop may lower it to visit the rest next
 * @entry: the current entry
 * @end: index where the range ends
 * @leaf: the leaf that was found last
 * @start: index of the first entry of @leaf
 * @size: number of entries of @leaf; 0 before the first is found
 * @made: number of levels that tce_iter_reserve() has made
 * @hold: from tce_iter_hold() to tce_iter_release()
 *
 * An iterator is valid for as long as the leaf stays (R6): a request inside one
 * leaf walks once, however many steps it has. Set @tree and zero the rest.
 */
struct tce_iter {
	struct tce_tree *tree;
	unsigned long index;
	unsigned long nr;
	__be64 *entry;
	unsigned long end;
	__be64 *leaf;
	unsigned long start;
	unsigned long size;
	unsigned long made;
	struct tce_hold hold;
};

/**
 * struct tce_spares - levels that are allocated, but in no tree
 * @head: the first one of each kind
 * @nr: how many of each kind
 * @records: for a tree with records: as many as there are levels
 */
struct tce_spares {
	__be64 *head[TCE_KINDS];
	unsigned long nr[TCE_KINDS];
	struct hlist_head records;
};

void tce_account_init(struct tce_account *account, struct mm_struct *mm);
unsigned long tce_account_pages(struct tce_account *account);

int tce_tree_init(struct tce_tree *tree, const struct tce_tree_config *config,
		  struct tce_account *account);
int tce_tree_init_paged(struct tce_tree *tree, unsigned long entries,
			struct tce_account *account, bool prepay);
void tce_tree_destroy(struct tce_tree *tree);
struct tce_record *tce_tree_records(struct tce_tree *tree);
__be64 *tce_tree_walk(struct tce_tree *tree, unsigned long index);
__be64 *tce_tree_make(struct tce_tree *tree, unsigned long index, gfp_t gfp);
bool tce_iter_has(struct tce_iter *iter, unsigned long index, unsigned long nr);
int tce_iter_reserve(struct tce_iter *iter, unsigned long index,
		     unsigned long nr, gfp_t gfp);
void tce_tree_trim(struct tce_tree *tree, unsigned long index, unsigned long nr,
		   bool look, struct tce_spares *taken);
void tce_tree_take(struct tce_tree *tree, unsigned long index, unsigned long nr,
		   bool all, struct tce_spares *taken);
void tce_spares_return(struct tce_tree *tree, struct tce_spares *spares);
unsigned long tce_iter_move(struct tce_iter *iter, unsigned long index,
			    unsigned long end);

/*
 * Load and store an entry, as strong as READ_ONCE() and WRITE_ONCE(). Before
 * POWER10 a byte swap between registers takes ten instructions, in the innermost
 * loops; a load or store that swaps bytes costs nothing extra.
 */
static inline unsigned long tce_load(const __be64 *entry)
{
#if defined(CONFIG_PPC64) && defined(CONFIG_CPU_LITTLE_ENDIAN)
	unsigned long value;

	asm volatile("ldbrx %0,%y1" : "=r" (value) : "Z" (*entry));

	return value;
#else
	return be64_to_cpu(READ_ONCE(*entry));
#endif
}

static inline void tce_store(__be64 *entry, unsigned long value)
{
#if defined(CONFIG_PPC64) && defined(CONFIG_CPU_LITTLE_ENDIAN)
	asm volatile("stdbrx %1,%y0" : "=Z" (*entry) : "r" (value));
#else
	WRITE_ONCE(*entry, cpu_to_be64(value));
#endif
}

static inline unsigned int tce_tree_levels(const struct tce_tree *tree)
{
	return tree->levels;
}

/* Are all levels charged, whether they are there or not? */
static inline bool tce_tree_is_prepaid(const struct tce_tree *tree)
{
	return tree->prepaid;
}

/* log2 of the number of entries in one level */
static inline unsigned int tce_tree_level_bits(const struct tce_tree *tree)
{
	return tree->level_shift - 3;
}

/* Both permission bits make the hardware follow the address to the next level */
#define TCE_TREE_LINK	0x3UL

static inline __be64 *tce_link_level(unsigned long link)
{
	return __va(link & ~TCE_TREE_LINK);
}

/*
 * tce_tree_walk() without a call. Where it returns NULL, *@shift is log2 of the number
 * of entries that the empty slot stands for.
 */
static __always_inline __be64 *
tce_tree_find_slot(const struct tce_tree *tree, unsigned long index,
		   unsigned int *shift)
{
	unsigned int bits = tce_tree_level_bits(tree);
	unsigned long mask = (1UL << bits) - 1, link;
	__be64 *level = tree->root;

	for (*shift = (tree->levels - 1) * bits; *shift; *shift -= bits) {
		link = tce_load(level + ((index >> *shift) & mask));
		if (!link)
			return NULL;
		level = tce_link_level(link);
	}

	return level + (index & mask);
}

static __always_inline __be64 *tce_tree_find(const struct tce_tree *tree,
					     unsigned long index)
{
	unsigned int shift;

	return tce_tree_find_slot(tree, index, &shift);
}

/* The shadow of an entry of a leaf */
static inline __be64 *tce_tree_shadow(const struct tce_tree *tree, __be64 *entry)
{
	return entry + tree->shadow;
}

static inline struct tce_record *tce_record_next(struct tce_record *record)
{
	return hlist_entry_safe(record->node.next, struct tce_record, node);
}

static inline struct tce_record *tce_spares_records(struct tce_spares *spares)
{
	return hlist_entry_safe(spares->records.first, struct tce_record, node);
}

static inline bool tce_spares_any(const struct tce_spares *spares)
{
	return spares->nr[TCE_LEAF] || spares->nr[TCE_INNER];
}

/*
 * Keep the levels of a range in the tree until tce_iter_release(), those that
 * are there and those made later.
 * Callers of both must exclude tce_tree_trim(). What @iter has found before may
 * be gone.
 */
static inline void tce_iter_hold(struct tce_iter *iter, unsigned long index,
				 unsigned long nr)
{
	iter->size = 0;
	iter->hold.first = index;
	iter->hold.last = index + nr - 1;
	list_add(&iter->hold.node, &iter->tree->holds);
}

static inline void tce_iter_release(struct tce_iter *iter)
{
	list_del(&iter->hold.node);
}

/* Slots to test at once: holes are mostly large */
#define TCE_SLOTS	8

/* A level that is inserted concurrently may be missed */
static inline bool tce_slots_empty(const __be64 *slot)
{
	return !(READ_ONCE(slot[0]) | READ_ONCE(slot[1]) |
		 READ_ONCE(slot[2]) | READ_ONCE(slot[3]) |
		 READ_ONCE(slot[4]) | READ_ONCE(slot[5]) |
		 READ_ONCE(slot[6]) | READ_ONCE(slot[7]));
}

/*
 * Visit the present leaves of a range of entries. In the body iter->nr entries
 * start at iter->entry, and the first of them has index iter->index.
 */
#define for_each_tce_leaf(iter, first, npages) \
	for (tce_iter_start(iter, first, npages); tce_iter_next(iter); )

static __always_inline void tce_iter_start(struct tce_iter *iter,
					   unsigned long first,
					   unsigned long npages)
{
	iter->index = first;
	iter->end = first + npages;
	iter->nr = 0;
}

static __always_inline bool tce_iter_next(struct tce_iter *iter)
{
	unsigned long index = iter->index + iter->nr, offset;

	if (index - iter->start >= iter->size && index < iter->end)
		index = tce_iter_move(iter, index, iter->end);
	iter->index = index;
	if (index >= iter->end)
		return false;

	offset = index - iter->start;
	iter->entry = iter->leaf + offset;
	iter->nr = min(iter->size - offset, iter->end - index);

	return true;
}

/* Test if there is more to visit. Loops that may sleep reschedule then */
static __always_inline bool tce_iter_more(const struct tce_iter *iter)
{
	return iter->index + iter->nr < iter->end;
}

#endif /* _ASM_POWERPC_TCE_TREE_H */
