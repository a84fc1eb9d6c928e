// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of TCE trees: which geometry is chosen, which levels are made for
 * a range, and what a visit of a range finds.
 *
 * Also compiled for the host, with sanitizers: see tools/testing/spapr_tce.
 */
#include <kunit/test.h>
#include <linux/bits.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/numa.h>

#include <asm/tce_tree.h>

#define ENTRIES		BIT(27)		/* three levels of 512 entries */
#define LEAF		512UL

static int new_tree(struct tce_tree *tree, unsigned long entries, bool shadow)
{
	const struct tce_tree_config config = {
		.entries = entries,
		.levels = 1,
		.max_levels = TCE_TREE_MAX_LEVELS,
		.page_shift = 16,
		.nid = NUMA_NO_NODE,
		.shadow = shadow,
	};

	return tce_tree_init(tree, &config, NULL);
}

/* ---- geometry ------------------------------------------------------------ */

struct geometry {
	unsigned int page_shift;
	unsigned int bits;
	unsigned int levels;		/* asked for, at least */
	unsigned int want_levels;	/* 0: there is none that fits */
	unsigned int want_shift;
};

static const struct geometry geometries[] = {
	/* levels of 4K as long as one is enough, of 8K where that saves one */
	{ 16, 0, 1, 1, 12 },
	{ 16, 9, 1, 1, 12 },
	{ 16, 10, 1, 1, 13 },
	{ 16, 11, 1, 2, 12 },
	{ 16, 18, 1, 2, 12 },
	{ 16, 20, 1, 2, 13 },
	{ 16, 21, 1, 3, 12 },
	{ 12, 40, 1, 4, 13 },
	/* as many levels as asked for, or more */
	{ 16, 9, 3, 3, 12 },
	{ 16, 31, 2, 4, 12 },
	/* the bits that levels translate and those of a page are at most 55 */
	{ 12, 18, 4, 4, 12 },
	{ 12, 18, 5, 0, 0 },
	{ 12, 43, 1, 0, 0 },
	{ 16, 50, 1, 0, 0 },
	/* more levels than there can be */
	{ 16, 31, 6, 0, 0 },
};

static void geometry_of(const struct geometry *g, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "2^%u pages of 2^%u, levels >= %u",
		 g->bits, g->page_shift, g->levels);
}

KUNIT_ARRAY_PARAM(geometry, geometries, geometry_of);

static void tree_geometry(struct kunit *test)
{
	const struct geometry *g = test->param_value;
	const struct tce_tree_config config = {
		.entries = 1UL << g->bits,
		.levels = g->levels,
		.max_levels = TCE_TREE_MAX_LEVELS,
		.page_shift = g->page_shift,
		.nid = NUMA_NO_NODE,
	};
	struct tce_tree tree;
	int ret;

	ret = tce_tree_init(&tree, &config, NULL);
	if (!g->want_levels) {
		KUNIT_EXPECT_EQ(test, ret, -EINVAL);
		return;
	}
	KUNIT_ASSERT_EQ(test, ret, 0);
	KUNIT_EXPECT_EQ(test, tree.levels, g->want_levels);
	KUNIT_EXPECT_EQ(test, tree.level_shift, g->want_shift);
	KUNIT_EXPECT_EQ(test, tree.entries, 1UL << g->bits);
	/* the first level, and nothing below it */
	KUNIT_EXPECT_EQ(test, atomic_long_read(&tree.bytes),
			1L << tree.level_shift);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&tree.leaves), tree.levels == 1);
	tce_tree_destroy(&tree);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&tree.bytes), 0);
}

/* Levels of system pages: as few as there can be, and no more than a tree can have */
static void tree_paged(struct kunit *test)
{
	unsigned int per_level = PAGE_SHIFT - 3, bits, levels;
	struct tce_tree tree;
	int ret;

	for (bits = 0; bits < BITS_PER_LONG; bits++) {
		levels = max(1U, DIV_ROUND_UP(bits, per_level));
		ret = tce_tree_init_paged(&tree, BIT(bits), NULL, false);
		if (levels > TCE_TREE_MAX_LEVELS) {
			KUNIT_EXPECT_EQ(test, ret, -EINVAL);
			continue;
		}
		KUNIT_ASSERT_EQ(test, ret, 0);
		KUNIT_EXPECT_EQ(test, tree.levels, levels);
		KUNIT_EXPECT_EQ(test, atomic_long_read(&tree.bytes), PAGE_SIZE);
		tce_tree_destroy(&tree);
	}
}

/* No more levels than the walker of the hardware can do */
static void tree_max_levels(struct kunit *test)
{
	struct tce_tree_config config = {
		.entries = 1UL << 21,
		.levels = 1,
		.max_levels = 2,
		.page_shift = 16,
		.nid = NUMA_NO_NODE,
	};
	struct tce_tree tree;

	KUNIT_ASSERT_EQ(test, tce_tree_init(&tree, &config, NULL), 0);
	KUNIT_EXPECT_EQ(test, tree.levels, 2);
	KUNIT_EXPECT_EQ(test, tree.level_shift, 14);
	tce_tree_destroy(&tree);
	config.levels = 3;
	KUNIT_EXPECT_EQ(test, tce_tree_init(&tree, &config, NULL), -EINVAL);
}

/* Shadows lie behind the entries of a leaf, in the same allocation */
static void tree_shadow(struct kunit *test)
{
	struct tce_tree tree;
	__be64 *entry;

	KUNIT_ASSERT_EQ(test, new_tree(&tree, LEAF, true), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&tree.bytes), 2 * 8 * LEAF);
	entry = tce_tree_walk(&tree, 7);
	KUNIT_ASSERT_NOT_NULL(test, entry);
	KUNIT_EXPECT_PTR_EQ(test, tce_tree_shadow(&tree, entry), entry + LEAF);
	tce_tree_destroy(&tree);
}

/* ---- which levels are made ----------------------------------------------- */

/* Ranges one after the other, and the levels that each of them makes */
static const struct {
	unsigned long index;
	unsigned long nr;
	unsigned long made;
} ranges[] = {
	{ 0, 1, 2 },			/* a leaf, and the level above it */
	{ 1, LEAF - 1, 0 },		/* the rest of that leaf */
	{ LEAF - 1, 2, 1 },		/* over its end */
	{ 0, 2 * LEAF, 0 },		/* both */
	{ 5 * LEAF, 3 * LEAF, 3 },	/* not beside them */
	{ 4 * LEAF + 9, 5 * LEAF, 3 },	/* around these three */
	{ 511 * LEAF, 2 * LEAF, 3 },	/* over the end of the level above */
	{ 2 * LEAF, LEAF * LEAF, 504 },	/* all that is missing so far */
	{ ENTRIES - 1, 1, 2 },		/* the very last one */
};

static void tree_reserve(struct kunit *test)
{
	unsigned long bytes, index, i, total = 0;
	struct tce_iter iter = { };
	struct tce_tree tree;
	int ret;

	KUNIT_ASSERT_EQ(test, new_tree(&tree, ENTRIES, false), 0);
	bytes = atomic_long_read(&tree.bytes);
	KUNIT_EXPECT_EQ(test, bytes, 8 * LEAF);
	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		/* afterwards the iterator need not be where the range ends */
		iter = (struct tce_iter){ .tree = &tree };
		ret = tce_iter_reserve(&iter, ranges[i].index, ranges[i].nr,
				       GFP_KERNEL);
		KUNIT_ASSERT_EQ(test, ret, 0);
		KUNIT_EXPECT_EQ_MSG(test, iter.made, ranges[i].made,
				    "%lu entries at %lu", ranges[i].nr,
				    ranges[i].index);
		total += ranges[i].made;
		KUNIT_EXPECT_EQ(test, atomic_long_read(&tree.bytes),
				bytes + total * 8 * LEAF);
		for (index = ranges[i].index;
		     index < ranges[i].index + ranges[i].nr; index += LEAF)
			KUNIT_EXPECT_NOT_NULL(test, tce_tree_walk(&tree, index));
		KUNIT_EXPECT_NOT_NULL(test,
				      tce_tree_walk(&tree, ranges[i].index +
						    ranges[i].nr - 1));
	}
	/* and nothing has been made beside them */
	KUNIT_EXPECT_NULL(test, tce_tree_walk(&tree, (LEAF + 2) * LEAF));
	KUNIT_EXPECT_NULL(test, tce_tree_walk(&tree, ENTRIES - LEAF - 1));
	tce_tree_destroy(&tree);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&tree.bytes), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&tree.leaves), 0);
}

/* ---- what is found ------------------------------------------------------- */

static const unsigned long stored[] = {
	0, 1, 511, 512, 1023, 1024, 5000, 1UL << 18, ENTRIES - 1,
};

static void store_all(struct kunit *test, struct tce_tree *tree)
{
	unsigned int i;
	__be64 *entry;

	for (i = 0; i < ARRAY_SIZE(stored); i++) {
		entry = tce_tree_make(tree, stored[i], GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, entry);
		KUNIT_EXPECT_PTR_EQ(test, tce_tree_walk(tree, stored[i]), entry);
		tce_store(entry, i + 1);
		if (tree->shadow)
			tce_store(tce_tree_shadow(tree, entry), 100 + i);
	}
}

static void visit_all(struct kunit *test, struct tce_tree *tree)
{
	struct tce_iter iter = { .tree = tree };
	unsigned long found = 0, i;
	long leaves = 0;
	__be64 *entry;

	for_each_tce_leaf(&iter, 0, ENTRIES) {
		leaves++;
		for (i = 0; i < iter.nr; i++) {
			entry = iter.entry + i;
			if (!*entry)
				continue;
			KUNIT_ASSERT_LT(test, found, ARRAY_SIZE(stored));
			KUNIT_EXPECT_EQ(test, iter.index + i, stored[found]);
			KUNIT_EXPECT_EQ(test, tce_load(entry), found + 1);
			if (tree->shadow)
				KUNIT_EXPECT_EQ(test,
						tce_load(tce_tree_shadow(tree, entry)),
						100 + found);
			found++;
		}
	}
	KUNIT_EXPECT_EQ(test, found, ARRAY_SIZE(stored));
	KUNIT_EXPECT_EQ(test, leaves, atomic_long_read(&tree->leaves));
}

/* The first leaf of a range, or none */
static bool visit_first(struct tce_iter *iter, unsigned long first,
			unsigned long end)
{
	tce_iter_start(iter, first, end - first);

	return tce_iter_next(iter);
}

static void tree_visit(struct kunit *test)
{
	struct tce_iter iter = { };
	struct tce_tree tree;
	int shadow;

	for (shadow = 0; shadow < 2; shadow++) {
		KUNIT_ASSERT_EQ(test, new_tree(&tree, ENTRIES, shadow), 0);
		iter = (struct tce_iter){ .tree = &tree };
		KUNIT_EXPECT_NULL(test, tce_tree_walk(&tree, 7));
		KUNIT_EXPECT_FALSE(test, visit_first(&iter, 0, ENTRIES));
		store_all(test, &tree);
		visit_all(test, &tree);
		tce_tree_destroy(&tree);
	}
}

/* Parts of ranges that begin, end or lie inside leaves, or where there is none */
static void tree_skip(struct kunit *test)
{
	struct tce_iter iter = { };
	unsigned long seen = 0;
	struct tce_tree tree;

	KUNIT_ASSERT_EQ(test, new_tree(&tree, ENTRIES, false), 0);
	store_all(test, &tree);
	iter.tree = &tree;
	for_each_tce_leaf(&iter, 5000, 10)
		seen += iter.nr;
	KUNIT_EXPECT_EQ(test, seen, 10);
	/* A loop that does a part comes back for the rest */
	seen = 0;
	for_each_tce_leaf(&iter, 0, LEAF) {
		KUNIT_EXPECT_EQ(test, iter.index, seen);
		iter.nr = min(iter.nr, 100UL);
		seen += iter.nr;
	}
	KUNIT_EXPECT_EQ(test, seen, LEAF);

	/* from a hole to the next leaf: over slots of the leaf's level ... */
	KUNIT_EXPECT_TRUE(test, visit_first(&iter, 3 * LEAF + 5, ENTRIES));
	KUNIT_EXPECT_PTR_EQ(test, iter.entry, tce_tree_walk(&tree, 9 * LEAF));
	KUNIT_EXPECT_EQ(test, iter.index, 9 * LEAF);
	KUNIT_EXPECT_EQ(test, iter.nr, LEAF);
	KUNIT_EXPECT_TRUE(test, tce_iter_more(&iter));
	/* ... to the next level, and over whole ones */
	KUNIT_EXPECT_TRUE(test, visit_first(&iter, 10 * LEAF, ENTRIES));
	KUNIT_EXPECT_EQ(test, iter.index, 1UL << 18);
	KUNIT_EXPECT_TRUE(test, tce_iter_next(&iter));
	KUNIT_EXPECT_EQ(test, iter.index, ENTRIES - LEAF);
	KUNIT_EXPECT_FALSE(test, tce_iter_more(&iter));

	/* no further than the range */
	KUNIT_EXPECT_FALSE(test, visit_first(&iter, 10 * LEAF, 1UL << 18));
	KUNIT_EXPECT_FALSE(test, visit_first(&iter, 6000000, 7000000));
	/* and back */
	KUNIT_EXPECT_TRUE(test, visit_first(&iter, 511, 512));
	KUNIT_EXPECT_PTR_EQ(test, iter.entry, tce_tree_walk(&tree, 511));
	KUNIT_EXPECT_EQ(test, iter.nr, 1);
	tce_tree_destroy(&tree);
}

/* A leaf at each distance from a hole, as slots are skipped by eight */
static void tree_skip_each(struct kunit *test)
{
	struct tce_iter iter = { };
	struct tce_tree tree;
	unsigned long i;

	for (i = 1; i < 40; i++) {
		KUNIT_ASSERT_EQ(test, new_tree(&tree, ENTRIES, false), 0);
		KUNIT_ASSERT_NOT_NULL(test, tce_tree_make(&tree, 0, GFP_KERNEL));
		KUNIT_ASSERT_NOT_NULL(test, tce_tree_make(&tree, i * LEAF,
							  GFP_KERNEL));
		iter = (struct tce_iter){ .tree = &tree };
		KUNIT_EXPECT_TRUE(test, visit_first(&iter, LEAF, ENTRIES));
		KUNIT_EXPECT_EQ(test, iter.index, i * LEAF);
		tce_tree_destroy(&tree);
	}
}

static struct kunit_case tce_tree_cases[] = {
	KUNIT_CASE_PARAM(tree_geometry, geometry_gen_params),
	KUNIT_CASE(tree_paged),
	KUNIT_CASE(tree_max_levels),
	KUNIT_CASE(tree_shadow),
	KUNIT_CASE(tree_reserve),
	KUNIT_CASE(tree_visit),
	KUNIT_CASE(tree_skip),
	KUNIT_CASE(tree_skip_each),
	{}
};

static struct kunit_suite tce_tree_suite = {
	.name = "tce_tree",
	.test_cases = tce_tree_cases,
};

kunit_test_suite(tce_tree_suite);

MODULE_DESCRIPTION("KUnit tests of TCE trees");
MODULE_LICENSE("GPL");
