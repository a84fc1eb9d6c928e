/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCE tree: a radix tree of 8-byte big-endian entries in the format that
 * POWER PCI host bridges walk.
 *
 * Every level has the same size, 1 << level_shift bytes. An entry of a
 * non-leaf level holds the real address of the level below with both
 * permission bits set, or zero when that subtree is absent. What a leaf holds
 * is up to the user of the tree: the table that the hardware walks keeps TCEs
 * there, the user view of such a table keeps user addresses.
 *
 * Levels only ever appear (tce_tree_reserve()) until the whole tree goes
 * (tce_tree_destroy()), so a leaf that was found stays valid for as long as
 * the tree does and readers need no lock.
 */
#ifndef _ASM_POWERPC_TCE_TREE_H
#define _ASM_POWERPC_TCE_TREE_H

#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/gfp_types.h>
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
 *
 * The charge is @bytes rounded up to whole system pages, so several trees of
 * one table share the rounding.
 */
struct tce_account {
	struct mutex lock;	/* bytes and the charge for them */
	struct mm_struct *mm;
	unsigned long bytes;
};

/**
 * struct tce_tree - a radix tree of TCE-sized entries
 * @root: the first level, always present
 * @entries: valid indices are 0 to @entries - 1
 * @levels: number of levels, 1 to TCE_TREE_MAX_LEVELS
 * @level_shift: log2 of the size of a level in bytes
 * @nid: NUMA node to allocate from
 * @account: who is charged, NULL for the kernel's own tables
 * @bytes: memory held by levels
 */
struct tce_tree {
	__be64 *root;
	unsigned long entries;
	unsigned int levels;
	unsigned int level_shift;
	int nid;
	struct tce_account *account;
	atomic_long_t bytes;
};

/**
 * struct tce_spares - levels that are allocated and charged, but in no tree yet
 * @head: the first, linked through their first word
 * @nr: how many
 */
struct tce_spares {
	__be64 *head;
	unsigned long nr;
};

void tce_account_init(struct tce_account *account, struct mm_struct *mm);
unsigned long tce_account_pages(struct tce_account *account);

int tce_tree_init(struct tce_tree *tree, unsigned long entries,
		  unsigned int levels, unsigned int max_levels,
		  unsigned int page_shift, int nid,
		  struct tce_account *account);
void tce_tree_destroy(struct tce_tree *tree);
__be64 *tce_tree_walk(struct tce_tree *tree, unsigned long index);
__be64 *__tce_tree_next(struct tce_tree *tree, unsigned long *index,
			unsigned long end, unsigned long *nr);
int tce_tree_prepare(struct tce_tree *tree, unsigned long index,
		     unsigned long nr, gfp_t gfp, struct tce_spares *spares);
void tce_tree_commit(struct tce_tree *tree, unsigned long index,
		     unsigned long nr, struct tce_spares *spares);
void tce_tree_cancel(struct tce_tree *tree, struct tce_spares *spares);
int tce_tree_reserve(struct tce_tree *tree, unsigned long index,
		     unsigned long nr, gfp_t gfp);

/*
 * Load and store an entry. Compilers for POWER8 and 9 make ten instructions of
 * a byte swap between registers, on the hottest lines that there are; the
 * memory access can do it for nothing.
 */
static inline unsigned long tce_load(const __be64 *entry)
{
#if defined(CONFIG_PPC64) && defined(CONFIG_CPU_LITTLE_ENDIAN)
	unsigned long value;

	asm("ldbrx %0,%y1" : "=r" (value) : "Z" (*entry));

	return value;
#else
	return be64_to_cpu(READ_ONCE(*entry));
#endif
}

static inline void tce_store(__be64 *entry, unsigned long value)
{
#if defined(CONFIG_PPC64) && defined(CONFIG_CPU_LITTLE_ENDIAN)
	asm("stdbrx %1,%y0" : "=Z" (*entry) : "r" (value));
#else
	WRITE_ONCE(*entry, cpu_to_be64(value));
#endif
}

/*
 * To visit what is present of a range, begin with its start in @index and
 * after each part add the @nr entries of it, until there is NULL.
 */
static inline __be64 *tce_tree_next(struct tce_tree *tree, unsigned long *index,
				    unsigned long end, unsigned long *nr)
{
	return *index < end ? __tce_tree_next(tree, index, end, nr) : NULL;
}

/* log2 of the number of entries in one level */
static inline unsigned int tce_tree_level_bits(const struct tce_tree *tree)
{
	return tree->level_shift - 3;
}

#endif /* _ASM_POWERPC_TCE_TREE_H */
