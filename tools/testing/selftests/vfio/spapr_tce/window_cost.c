// SPDX-License-Identifier: GPL-2.0
/*
 * What DMA windows cost: as much as is allocated, and that is little.
 */
#include <unistd.h>
#include <sys/resource.h>

#include "window.h"

/* The charge of all tables in user hands, which are all of this process. */
static u64 charged(void)
{
	struct tce_table_stat all[16];
	int i, n = tce_tables(all, 16);
	u64 pages = 0;

	for (i = 0; i < n && i < 16; i++)
		pages += all[i].charged_pages;
	return pages * sys_page_size();
}

/* 2^31 entries: 128 TiB of 64K pages. */
TEST_F(window, huge)
{
	unsigned int shift = page_shift(self);
	u64 base, size = huge_size(self), start = 1;
	struct tce_table_stat st;
	s64 free_before, cost;

	ASSERT_EQ(0, tce_create_any(self->c, shift, SZ_1G, &start));
	ASSERT_EQ(0, tce_remove(self->c, start));	/* the default stays */
	free_before = sys_free_bytes();
	base = sys_vmlck();
	ASSERT_EQ(0, tce_create_any(self->c, shift, size, &start));
	EXPECT_EQ(TCE_WINDOW1, start);
	EXPECT_LT(base, sys_vmlck());
	EXPECT_GT(SZ_1M, sys_vmlck() - base)
		TH_LOG("an empty window is charged %llu bytes",
		       (sys_vmlck() - base));
	cost = free_before - sys_free_bytes();
	EXPECT_GE((s64)SZ_1M + SLACK, cost)
		TH_LOG("it took %lld bytes", cost);
	if (table_at(start, &st)) {
		EXPECT_EQ(size >> shift, st.tces);
		EXPECT_EQ(st.charged_pages * self->page, sys_vmlck() - base);
	}
	EXPECT_EQ(0, tce_remove(self->c, start));
	EXPECT_EQ(base, sys_vmlck());
}

/* ---- cost --------------------------------------------------------------- */

/* VmLck, what debugfs says, and the memory that is gone, at every step. */
TEST_F(window, charge_is_allocation)
{
	unsigned int i, shift = page_shift(self);
	u64 size, base, created, mapped, least, start;
	u64 chunk = 256 << shift;	/* 16M of 64K pages */
	s64 before, between, full;
	char *va;

	if (!told())
		SKIP(return, "no debugfs file spapr_tce/tables");
	va = mem_alloc(chunk, 0, MEM_POPULATE);
	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, tce_register(self->c, va, chunk));
	ASSERT_EQ(0, tce_remove(self->c, 0));
	base = sys_vmlck();
	before = sys_free_bytes();

	size = huge_size(self);
	ASSERT_EQ(0, tce_create_any(self->c, shift, size, &start));
	created = sys_vmlck();
	between = sys_free_bytes();
	EXPECT_TRUE(charge_exact(start));
	EXPECT_EQ(charged(), created - base);

	/*
	 * 2^19 entries: 4 MB of hardware levels, which a hypervisor keeps for
	 * its guests, and as much of shadows.
	 */
	for (i = 0; i < 2048; i++)
		ASSERT_EQ(0, tce_map(self->c, start + i * chunk, va, chunk,
				     DMA_RW));
	mapped = sys_vmlck();
	full = sys_free_bytes();
	EXPECT_TRUE(charge_exact(start));
	EXPECT_EQ(charged(), mapped - base);
	least = sys_powernv() ? 8 * SZ_1M : 4 * SZ_1M;
	EXPECT_LE(least, mapped - created);
	EXPECT_GE(least + SZ_1M, mapped - created);
	EXPECT_LE((s64)(mapped - created) - SLACK, between - full);
	if (!sys_slab_debug())
		EXPECT_GE((s64)(mapped - created) + SLACK, between - full);

	/* levels may stay or go with their entries; the charge follows */
	ASSERT_EQ(0, tce_unmap(self->c, start, 2048 * chunk));
	EXPECT_TRUE(charge_exact(start));
	EXPECT_EQ(charged(), sys_vmlck() - base);
	/* with the window they go */
	ASSERT_EQ(0, tce_unmap(self->c, start, size));
	EXPECT_EQ(created, sys_vmlck());
	EXPECT_LE(between - SLACK, sys_free_bytes());
	ASSERT_EQ(0, tce_unregister(self->c, va, chunk));

	ASSERT_EQ(0, tce_remove(self->c, start));
	EXPECT_EQ(base - chunk, sys_vmlck());
	EXPECT_LE(before - SLACK, sys_free_bytes());
}

/* Mapping over what is mapped, or the same again, costs nothing more. */
TEST_F(window, charge_once)
{
	unsigned int shift = page_shift(self);
	u64 huge = huge_size(self);
	char *va = memory(self);
	u64 start, vmlck;
	int i;

	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, tce_create_any(self->c, shift, huge, &start));
	ASSERT_EQ(0, tce_map(self->c, start + SZ_1G, va, self->page, DMA_RW));
	vmlck = sys_vmlck();
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, tce_map(self->c, start + SZ_1G, va, self->page,
				     DMA_R));
		ASSERT_EQ(0, tce_unmap(self->c, start + SZ_1G, self->page));
		ASSERT_EQ(0, tce_map(self->c, start + SZ_1G, va, self->page,
				     DMA_RW));
	}
	EXPECT_EQ(vmlck, sys_vmlck());
	/* unmapping what never was mapped allocates nothing */
	EXPECT_EQ(0, tce_unmap(self->c, start, huge));
	EXPECT_GE(vmlck, sys_vmlck());
	ASSERT_EQ(0, tce_unregister(self->c, va, self->page));
	vmlck = sys_vmlck();
	EXPECT_EQ(0, tce_unmap(self->c, start, huge));
	EXPECT_EQ(vmlck, sys_vmlck());
}

/*
 * The case that on-demand levels exist for: 16 GB of RAM at 0 and 16 GB of a
 * GPU's memory far up. In one window of 64K pages that is 4 MB of entries; a
 * table that covers all between them has 4656 MB.
 */
TEST_F_TIMEOUT(window, ram_and_gpu, 120)
{
	const u64 gpu = 0x244000000000ULL, chunk = 64 * SZ_1M;
	struct tce_table_stat st;
	u64 base, cost, start, off;
	s64 before, gone;
	char *va;

	if (!has_shift(self, 16) || self->page < SZ_64K)
		SKIP(return, "no 64K pages");
	if (!sys_powernv())
		SKIP(return, "the hypervisor keeps the entries");
	va = mem_alloc(chunk, 0, MEM_POPULATE);
	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, tce_register(self->c, va, chunk));
	ASSERT_EQ(0, tce_remove(self->c, 0));
	base = sys_vmlck();
	before = sys_free_bytes();
	ASSERT_EQ(0, tce_create(self->c, 16, SZ_64T, self->levels, &start));
	ASSERT_EQ(0, start);
	for (off = 0; off < SZ_16G; off += chunk) {
		ASSERT_EQ(0, tce_map(self->c, start + off, va, chunk, DMA_RW));
		ASSERT_EQ(0, tce_map(self->c, start + gpu + off, va, chunk,
				     DMA_RW));
	}

	cost = sys_vmlck() - base;
	gone = before - sys_free_bytes();
	TH_LOG("charged %llu KiB, %lld KiB less memory free",
	       cost >> 10, gone >> 10);
	/* entries, as much for the user's addresses, and a few levels */
	EXPECT_LE(4 * SZ_1M, cost);
	EXPECT_GE(9 * SZ_1M, cost);
	if (!sys_slab_debug())
		EXPECT_GE((s64)(9 * SZ_1M) + SLACK, gone);
	if (table_at(start, &st)) {
		EXPECT_LE(4 * SZ_1M, st.hw_bytes);
		EXPECT_GE(4 * SZ_1M + SZ_256M / 1024, st.hw_bytes);
		EXPECT_EQ(cost, st.charged_pages * self->page);
	}

	if (tce_can_dma(&self->dev)) {
		/* one of the first, one of the last */
		off = SZ_16G - chunk;
		mem_fill(va, SZ_4K, 71);
		ASSERT_EQ(0, edu_read_ram(&self->dev, start, 0, 2048));
		ASSERT_EQ(0, edu_write_ram(&self->dev, start + gpu + SZ_16G -
					   SZ_64K, 0, 2048));
		EXPECT_TRUE(mem_check(va + chunk - SZ_64K, 2048, 71));
	}

	ASSERT_EQ(0, tce_unmap(self->c, start, SZ_64T));
	ASSERT_EQ(0, tce_unregister(self->c, va, chunk));
	ASSERT_EQ(0, tce_remove(self->c, start));
	EXPECT_EQ(base - chunk, sys_vmlck());
}

/* 16 entries spread over 128 TiB cost less than 1 MB, charged and taken. */
TEST_F(window, sparse)
{
	unsigned int i, shift = page_shift(self);
	u64 base, empty, size, cost, start, step;
	struct tce_table_stat st;
	s64 before, gone;
	char *va = memory(self);

	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, tce_remove(self->c, 0));
	size = huge_size(self);
	step = size / 16;
	base = sys_vmlck();
	before = sys_free_bytes();
	ASSERT_EQ(0, tce_create(self->c, shift, size, self->levels, &start));
	empty = sys_vmlck();
	for (i = 0; i < 16; i++)
		ASSERT_EQ(0, tce_map(self->c, start + i * step, va,
				     BIT_ULL(shift), DMA_RW));
	cost = sys_vmlck() - base;
	gone = before - sys_free_bytes();
	TH_LOG("charged %llu KiB, %lld KiB less memory free",
	       cost >> 10, gone >> 10);
	EXPECT_GT(SZ_1M, cost);
	EXPECT_GT((s64)SZ_1M + SLACK, gone);
	EXPECT_TRUE(charge_exact(start));
	if (table_at(start, &st)) {
		EXPECT_GT(SZ_1M, st.hw_bytes + st.view_bytes);
		EXPECT_LE(self->levels, st.levels);
	}

	/* they go with one request, that costs what they cost; the root stays */
	ASSERT_EQ(0, tce_unmap(self->c, start, size));
	EXPECT_EQ(empty, sys_vmlck());
	ASSERT_EQ(0, tce_unregister(self->c, va, self->page));
	ASSERT_EQ(0, tce_remove(self->c, start));
	EXPECT_EQ(base - self->page, sys_vmlck());
}

/* ---- over the limit ----------------------------------------------------- */

static bool set_memlock(u64 soft)
{
	struct rlimit rl = { .rlim_cur = soft, .rlim_max = RLIM_INFINITY };

	return !setrlimit(RLIMIT_MEMLOCK, &rl);
}

/* Without CAP_IPC_LOCK, but with a limit that can be set again */
static void become_nobody(void)
{
	CHILD_CHECK(set_memlock(RLIM_INFINITY));
	CHILD_CHECK(!setresgid(65534, 65534, 65534));
	CHILD_CHECK(!setresuid(65534, 65534, 65534));
}

struct limit_args {
	struct _test_data_window *self;
	int mapped;
};

static void expect_child(struct __test_metadata *_metadata,
			 struct _test_data_window *self, int (*child)(void *arg))
{
	struct limit_args args = { .self = self };
	int ret;

	tce_close(&self->dev, self->c);
	self->c = -1;
	ret = run_child(child, &args);
	EXPECT_EQ(0, ret)
		TH_LOG("line %d", ret);
}

/*
 * A user without CAP_IPC_LOCK maps page after page in parts of the window that
 * have no levels yet, with no more memory to lock than he has locked.
 */
static int limit_child(void *arg)
{
	struct limit_args *a = arg;
	struct _test_data_window *self = a->self;
	unsigned int shift = page_shift(self);
	u64 huge = huge_size(self);
	int c, n, ret = 0;
	u64 start = 1, step, vmlck;
	char *va;

	c = tce_open(&self->dev, TCE_V2);
	self->c = c;
	va = c < 0 ? NULL : memory(self);
	if (!va)
		return __LINE__;
	CHILD_CHECK(!tce_remove(c, 0));
	CHILD_CHECK(!tce_create_any(c, shift, huge, &start));
	CHILD_CHECK(!tce_map(c, start, va, BIT_ULL(shift), DMA_RW));
	become_nobody();
	CHILD_CHECK(set_memlock(sys_vmlck()));

	/* one more level may fit the last page that is charged */
	step = huge / 64;
	for (n = 1; n < 64; n++) {
		vmlck = sys_vmlck();
		ret = tce_map(c, start + n * step, va, BIT_ULL(shift), DMA_RW);
		if (ret)
			break;
	}
	CHILD_CHECK(ret == -ENOMEM);
	CHILD_CHECK(sys_vmlck() == vmlck);
	/* a second window is over the limit as well */
	if (sys_powernv())
		CHILD_CHECK(tce_create(c, shift, SZ_1G, 1, NULL) == -ENOMEM);
	CHILD_CHECK(sys_vmlck() == vmlck);
	/* what was mapped can be mapped over: its levels are there */
	CHILD_CHECK(!tce_map(c, start, va, BIT_ULL(shift), DMA_R));

	/* with more to lock it goes on where it failed */
	CHILD_CHECK(set_memlock(vmlck + 64 * self->page));
	CHILD_CHECK(!tce_map(c, start + n * step, va, BIT_ULL(shift), DMA_RW));
	/* and every count is given back, once */
	CHILD_CHECK(tce_unregister(c, va, self->page) == -EBUSY);
	CHILD_CHECK(!tce_unmap(c, start, (n + 1) * step));
	CHILD_CHECK(!tce_unregister(c, va, self->page));
	CHILD_CHECK(!tce_remove(c, start));
	CHILD_CHECK(!sys_vmlck());
	return 0;
}

TEST_F(window, level_over_memlock)
{
	expect_child(_metadata, self, limit_child);
}

/* A range of many levels that does not fit: none of it, and none is kept. */
static int range_child(void *arg)
{
	struct limit_args *a = arg;
	struct _test_data_window *self = a->self;
	unsigned int shift = page_shift(self);
	u64 huge = huge_size(self);
	u64 start = 1, size, vmlck;
	int c;
	char *va;

	c = tce_open(&self->dev, TCE_V2);
	self->c = c;
	if (c < 0)
		return __LINE__;
	/* 64 KiB of levels, or twice 32: more than the page that is charged */
	size = (sys_powernv() ? 4096ULL : 8192ULL) << shift;
	va = mem_alloc(size, 0, 0);
	CHILD_CHECK(va);
	CHILD_CHECK(!tce_remove(c, 0));
	CHILD_CHECK(!tce_register(c, va, size));
	CHILD_CHECK(!tce_create_any(c, shift, huge, &start));
	become_nobody();
	vmlck = sys_vmlck();
	CHILD_CHECK(set_memlock(vmlck));
	CHILD_CHECK(tce_map(c, start + SZ_1G, va, size, DMA_RW) == -ENOMEM);
	CHILD_CHECK(sys_vmlck() == vmlck);
	CHILD_CHECK(!tce_unregister(c, va, size));
	CHILD_CHECK(sys_vmlck() == vmlck - size);
	/* now there is room */
	CHILD_CHECK(!tce_register(c, va, size / 2));
	CHILD_CHECK(!tce_map(c, start + SZ_1G, va, size / 2, DMA_RW));
	CHILD_CHECK(tce_unregister(c, va, size / 2) == -EBUSY);
	return 0;
}

TEST_F(window, range_over_memlock)
{
	expect_child(_metadata, self, range_child);
}

/* The device reads at @from and writes at @to, both of which are @va */
static bool dma_moves(struct tce_dev *dev, u64 from, u64 to, char *va, int seed)
{
	mem_fill(va, SZ_4K, seed);
	if (edu_read_ram(dev, from, 0, 2048))
		return false;
	mem_fill(va, SZ_4K, seed + 1);

	return !edu_write_ram(dev, to, 0, 2048) && mem_check(va, 2048, seed);
}

/*
 * All over the window a page at a time is mapped and unmapped, and the limit has
 * room for some of the levels. Those of before have to go for the next, while the
 * device uses what is mapped.
 */
static int walk_child(void *arg)
{
	struct limit_args *a = arg;
	struct _test_data_window *self = a->self;
	unsigned int shift = page_shift(self), n;
	u64 huge = huge_size(self), page = BIT_ULL(shift);
	u64 start = 1, empty, kept, iova;
	char *va;
	int c;

	c = tce_open(&self->dev, TCE_V2);
	self->c = c;
	va = c < 0 ? NULL : memory(self);
	if (!va)
		return __LINE__;
	CHILD_CHECK(!tce_remove(c, 0));
	CHILD_CHECK(!tce_create_any(c, shift, huge, &start));
	empty = sys_vmlck();
	kept = start + huge - page;
	CHILD_CHECK(!tce_map(c, kept, va, page, DMA_RW));
	become_nobody();
	CHILD_CHECK(set_memlock(empty + 4 * SZ_1M));
	for (n = 0; n < 2048; n++) {
		iova = start + n * (huge / 2048);
		CHILD_CHECK(!tce_map(c, iova, va, page, DMA_RW));
		if (!(n % 256) && tce_can_dma(&self->dev))
			CHILD_CHECK(dma_moves(&self->dev, kept, iova, va, n + 1));
		CHILD_CHECK(!tce_unmap(c, iova, page));
	}
	CHILD_CHECK(sys_vmlck() > empty);
	CHILD_CHECK(!tce_unmap(c, start, huge));
	CHILD_CHECK(sys_vmlck() == empty);
	return 0;
}

TEST_F_TIMEOUT(window, walk_under_memlock, 120)
{
	expect_child(_metadata, self, walk_child);
}

TEST_HARNESS_MAIN
