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
 * A tree can have a shadow: then as many entries again lie directly behind each
 * leaf, in the same allocation, where the hardware does not look. There the
 * owner of the table keeps what must be known of each entry; whoever has found
 * the one has found the other.
 *
 * Levels only ever appear (tce_iter_reserve()) until the whole tree goes
 * (tce_tree_destroy()), so a leaf that was found stays valid for as long as
 * the tree does and readers need no lock.
 */
#ifndef _ASM_POWERPC_TCE_TREE_H
#define _ASM_POWERPC_TCE_TREE_H

#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/gfp_types.h>
#include <linux/minmax.h>
#include <linux/mutex_types.h>
#include <linux/types.h>

#include <asm/byteorder.h>

#define TCE_TREE_MAX_LEVELS	5

/* The least that the hardware accepts */
#define TCE_LEVEL_SHIFT_MIN	12

/*
 * Trees deepen rather than have levels above this size: small enough to keep
 * a sparse window cheap, large enough for range operations to spend their
 * time in leaves.
 */
#define TCE_LEVEL_SHIFT_GOAL	13

/* PCI addresses above these select the window and are not translated */
#define TCE_TREE_ADDRESS_BITS	55

struct mm_struct;

/**
 * struct tce_account - who pays for the levels of a table
 * @lock: serializes changes of @bytes and the charge that follows from it
 * @mm: whose locked_vm is charged
 * @bytes: size of all levels that are charged here
 * @pages: what is charged, in system pages
 *
 * The charge is @bytes rounded up to whole system pages.
 */
struct tce_account {
	struct mutex lock;	/* bytes and the charge for them */
	struct mm_struct *mm;
	unsigned long bytes;
	unsigned long pages;
};

/**
 * struct tce_tree - a radix tree of TCE-sized entries
 * @root: the first level, always present
 * @entries: valid indices are 0 to @entries - 1
 * @levels: number of levels, 1 to TCE_TREE_MAX_LEVELS
 * @level_shift: log2 of the size of a level in bytes
 * @shadow: how many entries behind an entry of a leaf its shadow is, 0: has none
 * @nid: NUMA node to allocate from
 * @account: who is charged, NULL for the kernel's own tables
 * @prepaid: @account was charged for all levels when the tree was made
 * @bytes: memory held by levels, shadows included
 * @leaves: how many of the levels are leaves
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
	atomic_long_t bytes;
	atomic_long_t leaves;
};

/**
 * struct tce_tree_config - what a tree for the hardware shall be like
 * @entries: number of entries, at least 1
 * @levels: least number of levels, at least 1
 * @max_levels: largest number of levels that the hardware can walk
 * @page_shift: log2 of the size of the page that an entry maps
 * @nid: NUMA node for the levels
 * @shadow: each leaf has its shadow behind it
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
 * struct tce_iter - a place in a tree, and a range of entries to visit
 * @tree: the tree
 * @index: index of @entry
 * @nr: how many entries from @entry on belong to the range and to one leaf; a
 *	loop may lower it, and comes back for the rest
 * @entry: what to look at
 * @end: index where the range ends
 * @leaf: the leaf that was found last
 * @start: index of its first entry
 * @size: how many entries it has, 0 before the first is found
 * @made: how many levels tce_iter_reserve() has made
 *
 * Leaves stay, so an iterator stays good: a request inside one leaf walks once,
 * however many steps it takes. Set @tree, zero the rest.
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
};

void tce_account_init(struct tce_account *account, struct mm_struct *mm);
unsigned long tce_account_pages(struct tce_account *account);

int tce_tree_init(struct tce_tree *tree, const struct tce_tree_config *config,
		  struct tce_account *account);
int tce_tree_init_paged(struct tce_tree *tree, unsigned long entries,
			struct tce_account *account, bool prepay);
void tce_tree_destroy(struct tce_tree *tree);
__be64 *tce_tree_walk(struct tce_tree *tree, unsigned long index);
__be64 *tce_tree_make(struct tce_tree *tree, unsigned long index, gfp_t gfp);
int tce_iter_reserve(struct tce_iter *iter, unsigned long index,
		     unsigned long nr, gfp_t gfp);
unsigned long tce_iter_move(struct tce_iter *iter, unsigned long index,
			    unsigned long end);

/*
 * Load and store an entry, as READ_ONCE() and WRITE_ONCE() do. Before POWER10
 * a byte swap between registers takes ten instructions, on the hottest lines
 * there are; the memory access swaps for free.
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

/* log2 of the number of entries in one level */
static inline unsigned int tce_tree_level_bits(const struct tce_tree *tree)
{
	return tree->level_shift - 3;
}

/* What the owner of the table keeps of an entry of a leaf */
static inline __be64 *tce_tree_shadow(const struct tce_tree *tree, __be64 *entry)
{
	return entry + tree->shadow;
}

/*
 * Visit what is present of a range of entries, leaf by leaf: in the body
 * iter->nr entries start at iter->entry, the first has index iter->index.
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

/* Is there more to visit? Loops that may sleep reschedule then */
static __always_inline bool tce_iter_more(const struct tce_iter *iter)
{
	return iter->index + iter->nr < iter->end;
}

#endif /* _ASM_POWERPC_TCE_TREE_H */
