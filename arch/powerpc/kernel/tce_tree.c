// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCE tree: multilevel tables of TCEs whose levels are allocated on demand.
 *
 * The tree knows nothing of host bridges, hypercalls or VFIO. Two rules carry
 * the rest:
 *
 * - A level is complete (zeroed) before its address is published, and it is
 *   published with cmpxchg(), so concurrent callers and the hardware see
 *   either no level or a whole one.
 * - Everything that may be needed is in hand and paid for before anything is
 *   published. What cannot be had is reported with the tree as it was; what a
 *   concurrent caller made superfluous is given back.
 */
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#include <asm/tce.h>
#include <asm/tce_tree.h>

/* Both bits set make the hardware follow the address to the next level */
#define TCE_TREE_LINK	(TCE_PCI_READ | TCE_PCI_WRITE)

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
		/* The hardware wants a level naturally aligned */
		tce_level_cache[i] = kmem_cache_create(names[i], size, size,
						       SLAB_PANIC, NULL);
	}

	return 0;
}
core_initcall(tce_tree_caches_init);

static __be64 *tce_level_alloc(struct tce_tree *tree, gfp_t gfp)
{
	unsigned int shift = tree->level_shift;
	struct page *page;

	gfp |= __GFP_ZERO | __GFP_NOWARN;
	if (tree->account)
		gfp |= __GFP_ACCOUNT;

	if (shift < PAGE_SHIFT)
		return kmem_cache_alloc_node(tce_level_cache[shift - TCE_LEVEL_SHIFT_MIN],
					     gfp, tree->nid);

	page = alloc_pages_node(tree->nid, gfp, shift - PAGE_SHIFT);

	return page ? page_address(page) : NULL;
}

static void tce_level_free(struct tce_tree *tree, __be64 *level)
{
	unsigned int shift = tree->level_shift;

	if (shift < PAGE_SHIFT)
		kmem_cache_free(tce_level_cache[shift - TCE_LEVEL_SHIFT_MIN],
				level);
	else
		free_pages((unsigned long)level, shift - PAGE_SHIFT);
}

/**
 * tce_account_init() - prepare to charge levels to a process
 * @account: what to initialize
 * @mm: whose locked_vm pays; the caller holds a reference (mmgrab()) for as
 *	long as @account is used
 */
void tce_account_init(struct tce_account *account, struct mm_struct *mm)
{
	mutex_init(&account->lock);
	account->mm = mm;
	account->bytes = 0;
}

/**
 * tce_account_pages() - how much is charged now
 * @account: the account
 *
 * Return: the charge in system pages.
 */
unsigned long tce_account_pages(struct tce_account *account)
{
	return DIV_ROUND_UP(READ_ONCE(account->bytes), PAGE_SIZE);
}

static int tce_account_set(struct tce_account *account, unsigned long bytes)
{
	unsigned long old = tce_account_pages(account);
	unsigned long new = DIV_ROUND_UP(bytes, PAGE_SIZE);
	int ret = 0;

	if (new > old)
		ret = account_locked_vm(account->mm, new - old, true);
	else if (new < old)
		account_locked_vm(account->mm, old - new, false);
	if (!ret)
		WRITE_ONCE(account->bytes, bytes);

	return ret;
}

static int tce_tree_charge(struct tce_tree *tree, unsigned long levels)
{
	unsigned long bytes = levels << tree->level_shift;
	int ret = 0;

	if (tree->account) {
		mutex_lock(&tree->account->lock);
		ret = tce_account_set(tree->account,
				      tree->account->bytes + bytes);
		mutex_unlock(&tree->account->lock);
	}
	if (!ret)
		atomic_long_add(bytes, &tree->bytes);

	return ret;
}

static void tce_tree_uncharge(struct tce_tree *tree, unsigned long levels)
{
	unsigned long bytes = levels << tree->level_shift;

	atomic_long_sub(bytes, &tree->bytes);
	if (tree->account) {
		mutex_lock(&tree->account->lock);
		tce_account_set(tree->account, tree->account->bytes - bytes);
		mutex_unlock(&tree->account->lock);
	}
}

static __be64 *tce_spares_pop(struct tce_spares *spares)
{
	__be64 *level = spares->head;

	spares->head = (__be64 *)*(unsigned long *)level;
	spares->nr--;
	*level = 0;

	return level;
}

static void tce_spares_push(struct tce_spares *spares, __be64 *level)
{
	*(unsigned long *)level = (unsigned long)spares->head;
	spares->head = level;
	spares->nr++;
}

/**
 * tce_tree_cancel() - give back what tce_tree_prepare() took
 * @tree: the tree
 * @spares: what is left of it
 *
 * Context: process, may sleep when @tree is charged to someone.
 */
void tce_tree_cancel(struct tce_tree *tree, struct tce_spares *spares)
{
	unsigned long nr = spares->nr;

	if (!nr)
		return;
	while (spares->nr)
		tce_level_free(tree, tce_spares_pop(spares));
	tce_tree_uncharge(tree, nr);
}

static int tce_spares_fill(struct tce_tree *tree, struct tce_spares *spares,
			   unsigned long nr, gfp_t gfp)
{
	unsigned long done;
	__be64 *level;

	if (tce_tree_charge(tree, nr))
		return -ENOMEM;

	for (done = 0; done < nr; done++) {
		level = tce_level_alloc(tree, gfp);
		if (!level) {
			tce_tree_uncharge(tree, nr - done);
			tce_tree_cancel(tree, spares);
			return -ENOMEM;
		}
		tce_spares_push(spares, level);
	}

	return 0;
}

static __be64 *tce_link_level(unsigned long link)
{
	return __va(link & ~(unsigned long)TCE_TREE_LINK);
}

/* Link @level from @slot unless another is there; returns the link */
static unsigned long tce_publish(__be64 *slot, __be64 *level)
{
	unsigned long link = __pa(level) | TCE_TREE_LINK;
	u64 new = (__force u64)cpu_to_be64(link);

	/* Full barrier: zeroes are visible before the link */
	if (cmpxchg((__force u64 *)slot, 0, new))
		return tce_load(slot);

	return link;
}

/*
 * The one walk: from the root towards the leaf of @index, filling holes from
 * @spares when there are any. Stops at the first level where the way ends;
 * @shift then tells how many index bits lie below the entry that was reached.
 */
static __always_inline __be64 *tce_tree_descend(struct tce_tree *tree,
						unsigned long index,
						struct tce_spares *spares,
						unsigned int *shift)
{
	unsigned int bits = tce_tree_level_bits(tree);
	unsigned long mask = (1UL << bits) - 1;
	__be64 *level = tree->root, *slot, *new;
	unsigned long link;

	*shift = (tree->levels - 1) * bits;
	while (*shift) {
		slot = level + ((index >> *shift) & mask);
		link = tce_load(slot);
		if (!link) {
			if (!spares || !spares->nr)
				return NULL;
			new = tce_spares_pop(spares);
			link = tce_publish(slot, new);
			if (tce_link_level(link) != new)
				tce_spares_push(spares, new);
		}
		level = tce_link_level(link);
		*shift -= bits;
	}

	return level + (index & mask);
}

/**
 * tce_tree_walk() - find an entry
 * @tree: the tree
 * @index: index of the entry, below @tree->entries
 *
 * Never allocates, sleeps or takes a lock; touches linear mapping only.
 *
 * Return: the entry, or NULL when no leaf is present at @index.
 */
__be64 *tce_tree_walk(struct tce_tree *tree, unsigned long index)
{
	unsigned int shift;

	return tce_tree_descend(tree, index, NULL, &shift);
}

/* Eight slots at once: where there are holes, they are large */
#define TCE_SLOTS	8

static bool tce_slots_empty(const __be64 *slot)
{
	return !(slot[0] | slot[1] | slot[2] | slot[3] |
		 slot[4] | slot[5] | slot[6] | slot[7]);
}

/*
 * The way to @index ended at an empty slot that stands for 1 << @shift
 * entries. Returns the index behind it and the empty slots that follow in the
 * same level, so that a hole costs one look per slot and not one walk.
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

/**
 * __tce_tree_next() - find the next part of a range that is there
 * @tree: the tree
 * @index: where the range starts; the index of what was found on return
 * @end: where the range ends, at most @tree->entries; above @index
 * @nr: how many entries, in one leaf and in the range, begin at @index
 *
 * See tce_tree_next(). Absent parts cost next to nothing.
 * Context: as tce_tree_walk().
 *
 * Return: the entry at @index, or NULL when nothing of the range is left.
 */
__be64 *__tce_tree_next(struct tce_tree *tree, unsigned long *index,
			unsigned long end, unsigned long *nr)
{
	unsigned long size = 1UL << tce_tree_level_bits(tree);
	unsigned int shift;
	__be64 *entry;

	do {
		entry = tce_tree_descend(tree, *index, NULL, &shift);
		if (entry) {
			*nr = min(size - (*index & (size - 1)), end - *index);
			return entry;
		}
		*index = tce_tree_skip(tree, *index, shift);
	} while (*index < end);

	return NULL;
}

/* How many levels @nr entries from @index on need that are not there yet */
static unsigned long tce_tree_missing(struct tce_tree *tree,
				      unsigned long index, unsigned long nr)
{
	unsigned int bits = tce_tree_level_bits(tree), shift;
	unsigned long missing = 0, end = index + nr, next;

	for (; index < end; index = next) {
		if (tce_tree_descend(tree, index, NULL, &shift)) {
			next = (index | ((1UL << bits) - 1)) + 1;
			continue;
		}
		/* Nothing below a slot that stands for 1 << shift entries */
		next = min((index | ((1UL << shift) - 1)) + 1, end);
		for (; shift; shift -= bits)
			missing += ((next - 1) >> shift) - (index >> shift) + 1;
	}

	return missing;
}

/**
 * tce_tree_prepare() - have the levels for some entries in hand
 * @tree: the tree
 * @index: first entry
 * @nr: how many; @index + @nr does not exceed @tree->entries
 * @gfp: how to allocate; must allow sleeping when @tree is charged to someone
 * @spares: empty; where to put the levels
 *
 * tce_tree_commit() or tce_tree_cancel() must follow. What is prepared in one
 * tree is given back as it came when the next one cannot follow.
 *
 * Return: 0, or -ENOMEM when memory or the account's RLIMIT_MEMLOCK does not
 * suffice; then the charge has not changed.
 */
int tce_tree_prepare(struct tce_tree *tree, unsigned long index,
		     unsigned long nr, gfp_t gfp, struct tce_spares *spares)
{
	unsigned long missing = tce_tree_missing(tree, index, nr);

	return missing ? tce_spares_fill(tree, spares, missing, gfp) : 0;
}

/**
 * tce_tree_commit() - make entries writable
 * @tree: the tree
 * @index: as for tce_tree_prepare()
 * @nr: as for tce_tree_prepare()
 * @spares: what that filled
 *
 * Cannot fail. Gives back what somebody else has made meanwhile.
 * Context: as tce_tree_cancel().
 */
void tce_tree_commit(struct tce_tree *tree, unsigned long index,
		     unsigned long nr, struct tce_spares *spares)
{
	unsigned long bits = tce_tree_level_bits(tree), end = index + nr;
	unsigned int shift;

	/* Levels never go away, so the spares suffice; without, all is there */
	if (!spares->nr)
		return;
	for (; index < end; index = (index | ((1UL << bits) - 1)) + 1)
		tce_tree_descend(tree, index, spares, &shift);

	tce_tree_cancel(tree, spares);
}

/**
 * tce_tree_reserve() - prepare and commit
 * @tree: as for tce_tree_prepare()
 * @index: as for tce_tree_prepare()
 * @nr: as for tce_tree_prepare()
 * @gfp: as for tce_tree_prepare()
 *
 * Afterwards tce_tree_walk() finds a leaf for each of the entries. May run at
 * the same time as any other use of the tree but tce_tree_destroy().
 *
 * Return: 0, or -ENOMEM; then neither the tree nor the charge has changed.
 */
int tce_tree_reserve(struct tce_tree *tree, unsigned long index,
		     unsigned long nr, gfp_t gfp)
{
	struct tce_spares spares = { };
	int ret;

	ret = tce_tree_prepare(tree, index, nr, gfp, &spares);
	if (ret)
		return ret;

	tce_tree_commit(tree, index, nr, &spares);

	return 0;
}

/*
 * Of the geometries that the hardware accepts take the least deep one with
 * levels of at most TCE_LEVEL_SHIFT_GOAL, else the one with smallest levels.
 */
static int tce_tree_geometry(struct tce_tree *tree, unsigned int levels,
			     unsigned int max_levels, unsigned int page_shift)
{
	unsigned int bits = order_base_2(tree->entries), shift;

	tree->levels = 0;
	for (; levels <= min(max_levels, TCE_TREE_MAX_LEVELS); levels++) {
		shift = max(DIV_ROUND_UP(bits, levels) + 3, TCE_LEVEL_SHIFT_MIN);
		if (shift > PAGE_SHIFT + MAX_PAGE_ORDER ||
		    (shift - 3) * levels + page_shift > TCE_TREE_ADDRESS_BITS)
			continue;
		tree->levels = levels;
		tree->level_shift = shift;
		if (shift <= TCE_LEVEL_SHIFT_GOAL)
			break;
	}

	return tree->levels ? 0 : -EINVAL;
}

/**
 * tce_tree_init() - make an empty tree
 * @tree: what to initialize
 * @entries: number of entries, at least 1
 * @levels: least number of levels, at least 1
 * @max_levels: largest number of levels that the walker of the tree can do
 * @page_shift: log2 of the size of the page that an entry maps
 * @nid: NUMA node for the levels
 * @account: who pays for levels, NULL for nobody
 *
 * Allocates the first level. Context: process, may sleep.
 *
 * Return: 0; -EINVAL when no geometry fits; -ENOMEM when memory or the
 * account's RLIMIT_MEMLOCK does not suffice.
 */
int tce_tree_init(struct tce_tree *tree, unsigned long entries,
		  unsigned int levels, unsigned int max_levels,
		  unsigned int page_shift, int nid,
		  struct tce_account *account)
{
	struct tce_spares spares = { };
	int ret;

	tree->entries = entries;
	tree->nid = nid;
	tree->account = account;
	atomic_long_set(&tree->bytes, 0);

	ret = tce_tree_geometry(tree, levels, max_levels, page_shift);
	if (ret)
		return ret;

	ret = tce_spares_fill(tree, &spares, 1, GFP_KERNEL);
	if (ret)
		return ret;
	tree->root = tce_spares_pop(&spares);

	return 0;
}

static unsigned long tce_level_destroy(struct tce_tree *tree, __be64 *level,
				       unsigned int depth)
{
	unsigned long i, freed = 1;

	if (depth > 1) {
		for (i = 0; i < 1UL << tce_tree_level_bits(tree); i++)
			if (level[i])
				freed += tce_level_destroy(tree,
							   tce_link_level(tce_load(level + i)),
							   depth - 1);
	}
	tce_level_free(tree, level);

	return freed;
}

/**
 * tce_tree_destroy() - free all levels and what was charged for them
 * @tree: a tree that tce_tree_init() made, which nobody uses any more: neither
 *	  a thread nor the hardware
 *
 * Context: process, may sleep when the tree is charged to someone.
 */
void tce_tree_destroy(struct tce_tree *tree)
{
	/* As deep as there are levels, so at most TCE_TREE_MAX_LEVELS */
	tce_tree_uncharge(tree, tce_level_destroy(tree, tree->root,
						  tree->levels));
	tree->root = NULL;
}
