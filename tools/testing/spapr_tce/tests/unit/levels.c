// SPDX-License-Identifier: GPL-2.0-only
/*
 * Levels that no TCE needs any more go back, and those that one needs stay.
 */
#include "unit.h"

#define FAR	BIT(43)		/* TCEs so far apart share the root only */
#define MEMORY	(8 * K64)	/* large enough for all that is mapped here */

/* The large window, with nothing in it, of the process's only table */
static u64 large_window(struct host_container *c)
{
	u64 start = 0;

	if (req_remove(c, 0) || req_create(c, 16, BIT(47), 1, &start) ||
	    req_register(c, UA(UA_HUGE), MEMORY))
		host_die("no window\n");

	return start;
}

/* Whatever was mapped, a window in which nothing is costs its root */
TEST_F(world, levels_go_with_all_of_a_window)
{
	u64 start = large_window(self->c);
	unsigned long charged = self->mm->locked_vm;
	long bytes = host_usage.level_bytes;
	unsigned int i, round;

	vfio_attach(self->c, host_pes + 1);
	for (round = 0; round < 2; round++) {
		for (i = 0; i < 16; i++)
			EXPECT_WORKS(req_map(self->c, start + i * FAR,
					     UA(UA_HUGE), K64 << (round * 3), RW));
		EXPECT_GT(self->mm->locked_vm, charged);
		EXPECT_REACHES(host_pes + 1, start + 15 * FAR, UA(UA_HUGE));
		EXPECT_WORKS(req_unmap(self->c, start, BIT(47)));
		EXPECT_EQ(self->mm->locked_vm, charged);
		EXPECT_EQ(host_usage.level_bytes, bytes);
		EXPECT_FAULTS(host_pes + 1, start + 15 * FAR);
	}
	/* Also of pages that were unmapped before */
	EXPECT_WORKS(req_map(self->c, start, UA(UA_HUGE), K64, RW));
	EXPECT_WORKS(req_unmap(self->c, start, K64));
	EXPECT_GT(host_usage.level_bytes, bytes);
	EXPECT_WORKS(req_unmap(self->c, start, BIT(47)));
	EXPECT_EQ(host_usage.level_bytes, bytes);
}

/* Of a range what it covers wholly, and nothing beside it */
TEST_F(world, levels_go_with_a_range)
{
	u64 start = large_window(self->c), at;
	long before, bytes;
	unsigned int i;

	for (i = 1; i < 4; i++)
		EXPECT_WORKS(req_map(self->c, start + i * FAR, UA(UA_HUGE), K64, RW));
	/* The last TCE of a level at each depth */
	EXPECT_WORKS(req_map(self->c, start + 3 * FAR - K64, UA(UA_HUGE) + K64,
			     K64, RW));
	before = host_usage.level_bytes;
	/* The first and the last TCE of neighbouring levels */
	at = start + 2 * FAR + BIT(39);
	EXPECT_WORKS(req_map(self->c, at - K64, UA(UA_HUGE), 2 * K64, RW));
	bytes = host_usage.level_bytes;
	EXPECT_WORKS(req_unmap(self->c, at, FAR - BIT(39) - K64));
	EXPECT_LT(host_usage.level_bytes, bytes);
	EXPECT_GT(host_usage.level_bytes, before);
	EXPECT_REACHES(host_pes, at - K64, UA(UA_HUGE));
	EXPECT_FAULTS(host_pes, at);
	EXPECT_WORKS(req_unmap(self->c, start + 2 * FAR + K64, FAR - 2 * K64));
	EXPECT_EQ(host_usage.level_bytes, before);
	EXPECT_REACHES(host_pes, start + 3 * FAR - K64, UA(UA_HUGE) + K64);
	for (i = 1; i < 4; i++)
		EXPECT_REACHES(host_pes, start + i * FAR, UA(UA_HUGE));
}

/*
 * Of ranges that cover leaves and no more: those that a driver of its own maps, and
 * has mapped before. Levels of what is mapped stay.
 */
TEST_F(world, levels_go_with_ranges_as_they_were_mapped)
{
	u64 start = 0, leaf = 512 * 4096, far;
	unsigned long charged, i;
	long bytes, one, all;

	EXPECT_WORKS(req_remove(self->c, 0));
	EXPECT_WORKS(req_create(self->c, 12, BIT(43), 1, &start));
	EXPECT_WORKS(req_register(self->c, UA(UA_MEDIUM), leaf));
	charged = self->mm->locked_vm;
	bytes = host_usage.level_bytes;
	far = start + BIT(42);
	EXPECT_WORKS(req_map(self->c, start, UA(UA_MEDIUM), leaf, RW));
	EXPECT_GT(host_usage.level_bytes, bytes);
	EXPECT_WORKS(req_unmap(self->c, start, leaf));
	EXPECT_EQ(host_usage.level_bytes, bytes);

	EXPECT_WORKS(req_map(self->c, far, UA(UA_MEDIUM), 4096, RW));
	one = host_usage.level_bytes;
	for (i = 0; i < 16; i++)
		EXPECT_WORKS(req_map(self->c, start + i * leaf, UA(UA_MEDIUM),
				     leaf, RW));
	all = host_usage.level_bytes;
	/* One of many is probably mapped again: no search for what is empty */
	EXPECT_WORKS(req_unmap(self->c, start + 15 * leaf, leaf));
	EXPECT_EQ(host_usage.level_bytes, all);
	for (i = 0; i < 15; i++)
		EXPECT_WORKS(req_unmap(self->c, start + i * leaf, leaf));
	EXPECT_EQ(host_usage.level_bytes, one);
	EXPECT_REACHES(host_pes, far, UA(UA_MEDIUM));
	EXPECT_WORKS(req_unmap(self->c, far, leaf));
	EXPECT_EQ(host_usage.level_bytes, bytes);
	EXPECT_EQ(self->mm->locked_vm, charged);
}

/* A page at a time anywhere in a window, and all the time no more than 1 MiB */
TEST_F(world, levels_go_before_the_limit)
{
	u64 start = large_window(self->c), iova;
	unsigned long i, fails = 0;

	vfio_attach(self->c, host_pes + 1);
	EXPECT_WORKS(req_map(self->c, start + 3 * FAR, UA(UA_HUGE) + K64, K64, RW));
	/* 16 KiB each */
	self->mm->limit = self->mm->locked_vm + (MB >> PAGE_SHIFT);
	for (i = 0; i < 256; i++) {
		iova = start + i * (BIT(47) / 256) + K64;
		fails += !!req_map(self->c, iova, UA(UA_HUGE), K64, RW);
		fails += machine_dma(host_pes + 1, iova, true) !=
			(long)hpa_of(self->mm, UA(UA_HUGE));
		fails += !!req_unmap(self->c, iova, K64);
		if (!(i % 32))
			world_check();
	}
	EXPECT_EQ(fails, 0);
	EXPECT_REACHES(host_pes + 1, start + 3 * FAR, UA(UA_HUGE) + K64);
	/* What is in use does not go, and the request fails with it unchanged */
	for (i = 0; !req_map(self->c, start + i * BIT(36), UA(UA_HUGE), K64, RW); i++)
		;
	EXPECT_GT(i, 50);
	EXPECT_FAILS(-ENOMEM, req_map(self->c, start + i * BIT(36), UA(UA_HUGE), K64, RW));
	while (i--)
		fails += machine_dma(host_pes + 1, start + i * BIT(36), true) !=
			(long)hpa_of(self->mm, UA(UA_HUGE));
	EXPECT_EQ(fails, 0);
}

/* The same for want of memory */
TEST_F(world, levels_go_before_there_is_no_memory)
{
	u64 start = large_window(self->c);
	unsigned int nth, taken = 0;
	bool fired = true;
	long bytes;

	/* The first step is the one that copies the request */
	for (nth = 2; fired; nth++) {
		EXPECT_WORKS(req_map(self->c, start, UA(UA_HUGE), K64, RW));
		EXPECT_WORKS(req_unmap(self->c, start, K64));
		EXPECT_WORKS(req_map(self->c, start + FAR, UA(UA_HUGE), K64, RW));
		bytes = host_usage.level_bytes;
		fail_arm(nth);
		EXPECT_EQ(req_map(self->c, start + 2 * FAR, UA(UA_HUGE), K64, RW), 0);
		fired = fail_fired();
		fail_arm(0);
		world_check();
		taken += host_usage.level_bytes == bytes;
		EXPECT_REACHES(host_pes, start + FAR, UA(UA_HUGE));
		EXPECT_REACHES(host_pes, start + 2 * FAR, UA(UA_HUGE));
		EXPECT_WORKS(req_unmap(self->c, start, BIT(47)));
	}
	EXPECT_EQ(taken, nth - 3);
	EXPECT_GT(taken, 3);
}

static struct iommu_table *preempt_table;
static unsigned int preempts, preempt_at;

/* Another thread takes all that it can get, at one of the moments when it may */
static void preempt_takes_levels(void)
{
	/* Not while this one has what is needed for that */
	if (preempt_table->it_user->lock.word ||
	    mutex_is_mine(&preempt_table->it_user->lock.lock) ||
	    mutex_is_mine(&preempt_table->it_user->account.lock) ||
	    preempts++ != preempt_at)
		return;
	user_table_unmap(preempt_table, preempt_table->it_offset,
			 preempt_table->it_size, NULL);
}

/* Whenever levels go, a request has those that it needs */
TEST_F(world, levels_stay_for_a_request)
{
	/* In one leaf, in two, and in three where there is so much memory */
	unsigned long sizes[] = { K64, 3 * K64, (PAGE_SHIFT == 16 ? 600 : 32) * K64 };
	unsigned int i, was_empty;
	u64 start, at;

	start = large_window(self->c);
	EXPECT_WORKS(req_register(self->c, UA(UA_MEDIUM), sizes[2]));
	preempt_table = table_of(self->c, 0);
	for (i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
		was_empty = i & 1;
		for (preempt_at = 0; ; preempt_at++) {
			at = start + FAR + K64 * 510;
			if (was_empty) {
				EXPECT_WORKS(req_map(self->c, at, UA(UA_MEDIUM), sizes[i / 2], RW));
				EXPECT_WORKS(req_unmap(self->c, at, sizes[i / 2]));
			}
			preempts = 0;
			host_preempt = preempt_takes_levels;
			EXPECT_EQ(req_map(self->c, at, UA(UA_MEDIUM), sizes[i / 2], RW), 0);
			host_preempt = NULL;
			world_check();
			if (preempt_at >= preempts)
				break;
			/* All of it is there, or all was unmapped at last */
			EXPECT_EQ(machine_dma(host_pes, at, false) < 0,
				  machine_dma(host_pes, at + sizes[i / 2] - K64, false) < 0);
			EXPECT_WORKS(req_unmap(self->c, start, BIT(47)));
		}
		EXPECT_REACHES(host_pes, at + sizes[i / 2] - K64,
			       UA(UA_MEDIUM) + sizes[i / 2] - K64);
		EXPECT_WORKS(req_unmap(self->c, start, BIT(47)));
	}
}

/* ... also to unmap what is gone by then */
TEST_F(world, levels_go_before_a_page_is_unmapped)
{
	u64 start = large_window(self->c);

	preempt_table = table_of(self->c, 0);
	for (preempt_at = 0; ; preempt_at++) {
		EXPECT_WORKS(req_map(self->c, start + FAR, UA(UA_HUGE), K64, RW));
		preempts = 0;
		host_preempt = preempt_takes_levels;
		EXPECT_EQ(req_unmap(self->c, start + FAR, K64), 0);
		host_preempt = NULL;
		world_check();
		EXPECT_FAULTS(host_pes, start + FAR);
		if (preempt_at >= preempts)
			break;
	}
}

static struct mutex *trimming;
static bool trims;

/* What a request does before it looks for levels to give back */
static void preempt_counts(void)
{
	trims |= mutex_is_mine(trimming);
	preempts += !trims;
}

static void preempt_kills(void)
{
	if (preempts++ == preempt_at)
		current->killed = true;
}

/* Another thread gives levels back, and may wait for the process's memory */
TEST_F(world, levels_are_not_waited_for_by_the_killed)
{
	u64 start = large_window(self->c);
	unsigned int nr;
	long bytes;

	trimming = &table_of(self->c, 0)->it_user->trimming;
	fail_arm(2);
	host_preempt = preempt_counts;
	EXPECT_EQ(req_map(self->c, start, UA(UA_HUGE), K64, RW), 0);
	host_preempt = NULL;
	fail_arm(0);
	EXPECT_TRUE(trims);
	nr = preempts;
	EXPECT_GT(nr, 2);
	bytes = host_usage.level_bytes;
	pthread_mutex_lock(&trimming->lock);
	for (preempt_at = 0; preempt_at < nr; preempt_at++) {
		preempts = 0;
		fail_arm(2);
		host_preempt = preempt_kills;
		EXPECT_EQ(req_map(self->c, start + FAR, UA(UA_HUGE), K64, RW),
			  -EINTR);
		host_preempt = NULL;
		fail_arm(0);
		current->killed = false;
		EXPECT_EQ(host_usage.level_bytes, bytes);
		world_check();
	}
	pthread_mutex_unlock(&trimming->lock);
	EXPECT_WORKS(req_map(self->c, start + FAR, UA(UA_HUGE), K64, RW));
}

/* A guest's batch is prepared, and committed later */
TEST_F(world, levels_stay_for_a_batch)
{
	unsigned long uas[] = { UA(UA_HUGE) + 3, UA(UA_HUGE) + K64 + 3 };
	u64 start = large_window(self->c);
	struct tce_batch batch = {
		.mm = self->mm,
		.uas = uas,
		.nr = ARRAY_SIZE(uas),
		.page_shift = 16,
	};
	struct iommu_table *tbl = table_of(self->c, 0);
	unsigned long entry = tbl->it_offset + (FAR >> 16) - 1;
	struct tce_iter iter = { }, other = { };
	long bytes = host_usage.level_bytes;

	EXPECT_EQ(user_table_prepare_batch(tbl, &iter, entry, &batch), 0);
	EXPECT_EQ(user_table_prepare_batch(tbl, &other, entry + 5000, &batch), 0);
	EXPECT_EQ(req_unmap(self->c, start, BIT(47)), 0);
	fail_arm_from(2);
	EXPECT_EQ(req_map(self->c, start + 4 * FAR, UA(UA_HUGE), K64, RW), -ENOMEM);
	fail_arm(0);
	user_table_cancel_batch(tbl, &other, &batch);
	EXPECT_EQ(req_unmap(self->c, start + FAR + K64, 4 * FAR), 0);
	EXPECT_EQ(user_table_commit_batch(tbl, &iter, entry, &batch), 0);
	world_check();
	EXPECT_REACHES(host_pes, start + FAR - K64, UA(UA_HUGE));
	EXPECT_REACHES(host_pes, start + FAR, UA(UA_HUGE) + K64);
	EXPECT_WORKS(req_unmap(self->c, start, BIT(47)));
	EXPECT_EQ(host_usage.level_bytes, bytes);
}

/* Readers of debugfs come to a leaf that has gone meanwhile */
TEST_F(world, levels_go_under_a_reader)
{
	static const char * const files[] = { "map", "info" };
	u64 start = large_window(self->c);
	struct seq_file m;
	unsigned int i;

	preempt_table = table_of(self->c, 0);
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		for (preempt_at = 0; ; preempt_at++) {
			EXPECT_WORKS(req_map(self->c, start, UA(UA_HUGE), K64, RW));
			EXPECT_WORKS(req_map(self->c, start + FAR, UA(UA_HUGE), K64, RW));
			preempts = 0;
			host_preempt = preempt_takes_levels;
			glue_table_show(preempt_table, files[i], false, &m);
			host_preempt = NULL;
			world_check();
			if (preempt_at >= preempts)
				break;
		}
		EXPECT_GT(preempts, 1);
	}
}

/* ... and so does who looks if memory is mapped */
TEST_F(world, levels_go_while_memory_is_unregistered)
{
	struct host_container *c = second(self->c);
	u64 start = large_window(self->c);

	preempt_table = table_of(self->c, 0);
	EXPECT_WORKS(req_register(c, UA(UA_HUGE), MEMORY));
	EXPECT_WORKS(req_map(self->c, start, UA(UA_HUGE), K64, RW));
	EXPECT_WORKS(req_map(self->c, start + FAR, UA(UA_HUGE), K64, RW));
	EXPECT_FAILS(-EBUSY, req_unregister(self->c, UA(UA_HUGE), MEMORY));
	preempts = 0;
	preempt_at = 1;
	host_preempt = preempt_takes_levels;
	EXPECT_EQ(user_table_maps(preempt_table, UA(UA_HUGE) + K64, K64), false);
	host_preempt = NULL;
	world_check();
	EXPECT_FALSE(user_table_maps(preempt_table, UA(UA_HUGE), K64));
	EXPECT_WORKS(req_unregister(self->c, UA(UA_HUGE), MEMORY));
}

/* A hypervisor has the TCEs, and levels cost the same */
TEST_F(lpar, levels_go)
{
	unsigned long charged;
	unsigned int i;

	EXPECT_DONE(req_register(&self->c, UA(0), 1700 * PG));
	EXPECT_DONE(req_map(&self->c, 0, UA(0), 4096, RW));
	EXPECT_DONE(req_unmap(&self->c, 0, LPAR_TCES * 4096));
	charged = self->mm->locked_vm;
	for (i = 0; i < LPAR_TCES / 512; i++)
		EXPECT_DONE(req_map(&self->c, i * 512 * 4096, UA(0), 4096, RW));
	EXPECT_GT(self->mm->locked_vm, charged);
	/* What is not cleared keeps its level */
	lpar.plans[0] = refuse_clear(0, 1);
	EXPECT_EQ(req_unmap(&self->c, 0, LPAR_TCES * 4096), -EIO);
	check_all();
	EXPECT_DONE(req_unmap(&self->c, 0, LPAR_TCES * 4096));
	EXPECT_EQ(self->mm->locked_vm, charged);
	/* With ranges as they were mapped */
	for (i = 0; i < LPAR_TCES; i += 512)
		EXPECT_DONE(req_map(&self->c, i * 4096, UA(0), 512 * 4096, RW));
	for (i = 0; i < LPAR_TCES; i += 512)
		EXPECT_DONE(req_unmap(&self->c, i * 4096, 512 * 4096));
	EXPECT_EQ(self->mm->locked_vm, charged);
	/* Before the limit */
	self->mm->limit = charged + 2;
	for (i = 0; i < LPAR_TCES / 512; i++) {
		EXPECT_DONE(req_map(&self->c, i * 512 * 4096, UA(0), 4096, RW));
		EXPECT_DONE(req_unmap(&self->c, i * 512 * 4096, 4096));
	}
}
