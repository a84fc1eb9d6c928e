// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tree with a process that pays: failures, limits, kills and races. What is
 * pure logic is in arch/powerpc/kernel/tce_tree_kunit.c.
 */
#include "unit.h"

#define TREE(bits, levels_, max, shift, has_shadow)	\
	(&(struct tce_tree_config) {			\
		.entries = 1UL << (bits),		\
		.levels = levels_,			\
		.max_levels = max,			\
		.page_shift = shift,			\
		.shadow = has_shadow,			\
	})

/* All levels or none, and none that is charged and not there */
TEST(tree_reserve)
{
	struct mm_struct *mm = mm_create(1000);
	struct tce_account account;
	unsigned long n, bytes;
	struct tce_iter cur = { };
	struct tce_tree tree;

	tce_account_init(&account, mm);
	ASSERT_EQ(tce_tree_init(&tree, TREE(27, 1, 5, 16, true), &account), 0);
	cur.tree = &tree;
	bytes = account.bytes;
	EXPECT_EQ(mm->locked_vm, tce_account_pages(&account));
	for (n = 1;; n++) {
		fail_arm(n);
		if (!tce_iter_reserve(&cur, 1000, 5000, GFP_KERNEL))
			break;
		EXPECT_TRUE(fail_fired());
		EXPECT_EQ(account.bytes, bytes);
		EXPECT_EQ(mm->locked_vm, DIV_ROUND_UP(bytes, PG));
		EXPECT_EQ((unsigned long)host_usage.level_bytes, bytes);
		EXPECT_EQ(tce_tree_walk(&tree, 1000), NULL);
	}
	fail_arm(0);
	EXPECT_GT(n, 5);
	bytes = account.bytes;
	EXPECT_EQ((unsigned long)host_usage.level_bytes, bytes);
	EXPECT_EQ(mm->locked_vm, DIV_ROUND_UP(bytes, PG));
	for (n = 1000; n < 6000; n++)
		EXPECT_NE(tce_tree_walk(&tree, n), NULL);
	EXPECT_EQ(tce_iter_reserve(&cur, 1000, 5000, GFP_KERNEL), 0);
	EXPECT_EQ(account.bytes, bytes);
	tce_tree_destroy(&tree);
	EXPECT_EQ(mm->locked_vm, 0);
	EXPECT_EQ(host_usage.level_bytes, 0);
	mm_destroy(mm);
}

/* Pages charged for @nr entries from the first on, with the first levels */
static unsigned long charge_of(struct __test_metadata *_metadata, bool paged,
			       unsigned int page_shift, unsigned int bits,
			       unsigned long nr)
{
	struct mm_struct *mm = mm_create(100000);
	struct tce_account account;
	struct tce_iter cur = { };
	struct tce_tree tree;
	unsigned long pages;
	int ret;

	tce_account_init(&account, mm);
	ret = paged ? tce_tree_init_paged(&tree, 1UL << bits, &account, false) :
		tce_tree_init(&tree, TREE(bits, 1, 5, page_shift, true), &account);
	ASSERT_EQ(ret, 0);
	cur.tree = &tree;
	EXPECT_EQ(tce_iter_reserve(&cur, 0, nr, GFP_KERNEL), 0);
	pages = mm->locked_vm;
	tce_tree_destroy(&tree);
	EXPECT_EQ(mm->locked_vm, 0);
	mm_destroy(mm);

	return pages;
}

/*
 * The limit that Documentation/admin-guide/spapr-tce.rst recommends is enough for
 * a guest that maps all of its memory, in a window of any size.
 */
TEST(tree_limit)
{
	unsigned int shift, bits, window;
	unsigned long nr, t, pages;

	for (shift = 12; shift <= 16; shift += 4) {
		for (bits = 5; bits <= 20; bits += 3) {
			for (window = bits; window <= 31; window += 2) {
				nr = (1UL << bits) - bits;
				pages = charge_of(_metadata, false, shift, window, nr) +
					charge_of(_metadata, true, shift, window, nr);
				t = 16 * nr + 8 * nr;
				EXPECT_LE(pages, (t + t / 256) / PG + 2 * 8);
				EXPECT_GE(pages, t / PG);
			}
		}
	}
}

static struct tce_tree *raced_tree;
static __be64 *raced_leaf;

/* Reserves before the other has, who counted already what is missing */
static void reserve_first(void)
{
	struct tce_iter cur = { .tree = raced_tree };

	host_preempt = NULL;
	tce_iter_reserve(&cur, 1000, 4000, GFP_KERNEL);
	raced_leaf = tce_tree_walk(raced_tree, 2000);
}

/* Somebody else was faster: what is superfluous goes back */
/*
 * Who is being killed makes no more levels, wherever it is by then, and leaves
 * none of those that it has made for this. To free takes its time, too.
 */
static unsigned long rescheds, kill_after;

static void kill_myself(void)
{
	if (++rescheds == kill_after)
		current->killed = true;
}

TEST(tree_killed)
{
	struct mm_struct *mm = mm_create(1UL << 40);
	const unsigned long leaves = 40;
	struct tce_account account;
	struct tce_iter cur = { };
	struct tce_tree tree;
	unsigned long bytes, pages, n;
	int ret;

	tce_account_init(&account, mm);
	ASSERT_EQ(tce_tree_init(&tree, TREE(31, 1, 5, 16, true), &account), 0);
	cur.tree = &tree;
	bytes = account.bytes;
	pages = mm->locked_vm;
	for (n = 1;; n++) {
		rescheds = 0;
		kill_after = n;
		host_resched = kill_myself;
		ret = tce_iter_reserve(&cur, 1000, leaves << tce_tree_level_bits(&tree),
				       GFP_KERNEL);
		host_resched = NULL;
		current->killed = false;
		if (!ret)
			break;
		EXPECT_EQ(ret, -EINTR);
		EXPECT_EQ(account.bytes, bytes);
		EXPECT_EQ(mm->locked_vm, pages);
		EXPECT_EQ((unsigned long)host_usage.level_bytes, bytes);
		EXPECT_EQ(tce_tree_walk(&tree, 1000), NULL);
	}
	/* Once for each level and once for its record */
	EXPECT_GT(n, 2 * leaves);
	/* What is there is found by anybody */
	current->killed = true;
	EXPECT_EQ(tce_iter_reserve(&cur, 1000, 10, GFP_KERNEL), 0);
	rescheds = 0;
	host_resched = kill_myself;
	tce_tree_destroy(&tree);
	host_resched = NULL;
	EXPECT_GE(rescheds, 2 * leaves);
	current->killed = false;
	EXPECT_EQ(mm->locked_vm, 0);
	mm_destroy(mm);
}

TEST(tree_race)
{
	struct mm_struct *mm = mm_create(1000);
	struct tce_account account;
	struct tce_iter cur = { };
	struct tce_tree tree;
	unsigned long bytes;

	tce_account_init(&account, mm);
	ASSERT_EQ(tce_tree_init(&tree, TREE(27, 1, 5, 16, true), &account), 0);
	raced_tree = &tree;
	cur.tree = &tree;
	host_preempt = reserve_first;
	EXPECT_EQ(tce_iter_reserve(&cur, 0, 3000, GFP_KERNEL), 0);
	EXPECT_NE(raced_leaf, NULL);
	EXPECT_EQ(tce_tree_walk(&tree, 2000), raced_leaf);
	bytes = account.bytes;
	EXPECT_EQ((unsigned long)host_usage.level_bytes, bytes);
	EXPECT_EQ(mm->locked_vm, DIV_ROUND_UP(bytes, PG));
	EXPECT_EQ(tce_iter_reserve(&cur, 0, 5000, GFP_KERNEL), 0);
	EXPECT_EQ(account.bytes, bytes);
	tce_tree_destroy(&tree);
	mm_destroy(mm);
}

/* Whoever is about to link the level comes too late: it is there then */
static void add_first(int sig)
{
	(void)sig;
	mprotect(raced_tree->root, 1UL << raced_tree->level_shift,
		 PROT_READ | PROT_WRITE);
	raced_leaf = tce_tree_make(raced_tree, 0, GFP_KERNEL);
}

/* Found empty, and no longer so when the new level is to be linked */
TEST(tree_race_for_a_slot)
{
	struct sigaction action = { .sa_handler = add_first };
	struct tce_tree tree;
	__be64 *leaf;

	/* Levels of 64K, whole pages on every host: they can be read only */
	ASSERT_EQ(tce_tree_init(&tree, TREE(26, 2, 2, 16, false), NULL), 0);
	raced_tree = &tree;
	raced_leaf = NULL;
	sigaction(SIGSEGV, &action, NULL);
	ASSERT_EQ(mprotect(tree.root, 1UL << tree.level_shift, PROT_READ), 0);
	leaf = tce_tree_make(&tree, 0, GFP_KERNEL);
	EXPECT_NE(leaf, NULL);
	EXPECT_EQ(leaf, raced_leaf);
	EXPECT_EQ(atomic_long_read(&tree.leaves), 1);
	EXPECT_EQ(atomic_long_read(&tree.bytes), host_usage.level_bytes);
	tce_tree_destroy(&tree);
	EXPECT_EQ(host_usage.level_bytes, 0);
}

static void preempt_adds(void)
{
	host_preempt = NULL;
	raced_leaf = tce_tree_make(raced_tree, 0, GFP_KERNEL);
}

/* The same, where levels are recorded: just before the lock is taken for it */
TEST(tree_race_for_a_recorded_slot)
{
	struct tce_tree tree;
	__be64 *leaf;

	ASSERT_EQ(tce_tree_init(&tree, TREE(26, 2, 2, 16, true), NULL), 0);
	raced_tree = &tree;
	raced_leaf = NULL;
	host_preempt = preempt_adds;
	leaf = tce_tree_make(&tree, 0, GFP_KERNEL);
	EXPECT_NE(leaf, NULL);
	EXPECT_EQ(leaf, raced_leaf);
	EXPECT_EQ(atomic_long_read(&tree.leaves), 1);
	EXPECT_EQ(tce_tree_records(&tree)->entries, leaf);
	EXPECT_EQ(tce_record_next(tce_tree_records(&tree)), NULL);
	tce_tree_destroy(&tree);
	EXPECT_EQ(host_usage.level_bytes, 0);
}

#define RACE_LEAVES	10000UL

static unsigned long race_arrived;

/* Makes one leaf after the other, each at the same time as the other thread */
static void *race_for_leaves(void *tree)
{
	unsigned long i;

	for (i = 0; i < RACE_LEAVES; i++) {
		__atomic_add_fetch(&race_arrived, 1, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(&race_arrived, __ATOMIC_SEQ_CST) < 2 * (i + 1))
			sched_yield();
		if (!tce_tree_make(tree, i * 512, GFP_KERNEL))
			return ERR_PTR(-ENOMEM);
	}

	return NULL;
}

/* Two add the same levels: each is there once, and none is lost */
TEST(tree_threads)
{
	struct tce_tree tree;
	pthread_t other;
	void *ret;

	ASSERT_EQ(tce_tree_init(&tree, TREE(27, 1, 5, 16, false), NULL), 0);
	pthread_create(&other, NULL, race_for_leaves, &tree);
	EXPECT_EQ(race_for_leaves(&tree), NULL);
	pthread_join(other, &ret);
	EXPECT_EQ(ret, NULL);
	EXPECT_EQ(atomic_long_read(&tree.leaves), RACE_LEAVES);
	EXPECT_EQ(atomic_long_read(&tree.bytes), host_usage.level_bytes);
	tce_tree_destroy(&tree);
	EXPECT_EQ(atomic_long_read(&tree.bytes), 0);
	EXPECT_EQ(host_usage.level_bytes, 0);
}
