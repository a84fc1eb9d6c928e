// SPDX-License-Identifier: GPL-2.0-only
/*
 * Paging domains on the model of the machine: the states of a PE, each of them
 * with a failure at every step; operations against a reference; threads.
 */
#include <asm/iommu_domain.h>

#include "harness.h"

#define MAP_RW		(IOMMU_READ | IOMMU_WRITE)
#define RAM		(HOST_RAM + BIT(36))	/* somewhere in it */
#define LEAF		512UL		/* TCEs of a level */
#define NR_DEVS		3

struct iommu_table *glue_domain_table(struct iommu_domain *domain);

FIXTURE(domain)
{
	struct mm_struct *mm;
	struct device dev[NR_DEVS];
	struct iommu_domain *d;
	struct iommu_domain *other;
	long tables;
	long level_bytes;
};

static struct iommu_table_group *group_of(struct device *dev)
{
	return iommu_group_get_iommudata(dev->iommu_group);
}

static struct host_pe *pe_of(struct device *dev)
{
	return (struct host_pe *)dev->iommu_group;
}

static long block(struct device *dev)
{
	return group_of(dev)->ops->take_ownership(group_of(dev), dev);
}

static void give_back(struct device *dev)
{
	group_of(dev)->ops->release_ownership(group_of(dev), dev);
}

FIXTURE_SETUP(domain)
{
	int i;

	machine_init();
	self->mm = mm_create(1UL << 40);
	current->mm = self->mm;
	for (i = 0; i < NR_DEVS; i++)
		self->dev[i].iommu_group = host_group(host_pes + i);
	self->tables = host_usage.tables;
	self->level_bytes = host_usage.level_bytes;
	self->d = tce_domain_alloc(self->dev);
	self->other = tce_domain_alloc(self->dev + 1);
	ASSERT_FALSE(IS_ERR(self->d));
	ASSERT_FALSE(IS_ERR(self->other));
}

FIXTURE_TEARDOWN(domain)
{
	int i;

	for (i = 0; i < NR_DEVS; i++)
		give_back(self->dev + i);
	if (self->d)
		self->d->ops->free(self->d);
	if (self->other)
		self->other->ops->free(self->other);
	host_settle();
	EXPECT_EQ(host_usage.tables, self->tables);
	EXPECT_EQ(host_usage.level_bytes, self->level_bytes);
	world_check();
	mm_destroy(self->mm);
	machine_reset();
	host_test_ends();
}

static int map(struct iommu_domain *d, unsigned long index, unsigned long pa,
	       unsigned long nr, unsigned long *done)
{
	size_t mapped = 0;
	int ret;

	ret = d->ops->map_pages(d, index * PG, pa, PG, nr, MAP_RW, GFP_KERNEL,
				&mapped);
	if (mapped)
		d->ops->iotlb_sync_map(d, index * PG, mapped);
	if (done)
		*done = mapped / PG;

	return ret;
}

static unsigned long unmap(struct iommu_domain *d, unsigned long index,
			   unsigned long nr)
{
	struct iommu_iotlb_gather gather = { .start = ULONG_MAX };
	size_t size = d->ops->unmap_pages(d, index * PG, PG, nr, &gather);

	/* As 7.x does: what is empty is not flushed */
	if (gather.start < gather.end)
		d->ops->iotlb_sync(d, &gather);

	return size / PG;
}

static bool reaches(struct device *dev, unsigned long addr, long pa)
{
	return machine_dma(pe_of(dev), addr, false) == pa &&
		machine_dma(pe_of(dev), addr, true) == pa;
}

static bool dead(struct device *dev, unsigned long addr)
{
	return faults(pe_of(dev), addr);
}

/* Test if the bridge has cached the TCE of an address in window 0 */
static bool remembers(struct device *dev, unsigned long addr)
{
	struct host_pe *hpe = pe_of(dev);
	unsigned int i;

	for (i = 0; i < hpe->nr_tlb; i++)
		if (!hpe->tlb[i].window && hpe->tlb[i].index == addr / PG)
			return true;

	return false;
}

static long bytes_of(struct iommu_domain *d)
{
	return atomic_long_read(&glue_domain_table(d)->it_tree.bytes);
}

/*
 * Operations.
 */

TEST_F(domain, map_and_unmap)
{
	struct iommu_domain *d = self->d;
	unsigned long last = (d->geometry.aperture_end + 1) / PG - 1;
	unsigned long at[] = { 0, 1, LEAF - 3, LEAF * LEAF - 3, last - 7 };
	unsigned int i;

	EXPECT_EQ(d->pgsize_bitmap, PG);
	EXPECT_TRUE(d->geometry.force_aperture);
	EXPECT_EQ(d->geometry.aperture_start, 0);
	EXPECT_EQ(last, (1UL << 36) - 1);
	ASSERT_EQ(tce_domain_attach(d, self->dev), 0);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		EXPECT_TRUE(dead(self->dev, at[i] * PG));
		EXPECT_EQ(map(d, at[i], RAM, 8, NULL), 0);
		EXPECT_TRUE(reaches(self->dev, at[i] * PG, RAM));
		EXPECT_TRUE(reaches(self->dev, (at[i] + 7) * PG, RAM + 7 * PG));
		EXPECT_EQ(d->ops->iova_to_phys(d, (at[i] + 7) * PG + 5),
			  RAM + 7 * PG + 5);
		EXPECT_EQ(unmap(d, at[i], 8), 8);
		EXPECT_TRUE(dead(self->dev, at[i] * PG));
		EXPECT_TRUE(dead(self->dev, (at[i] + 7) * PG));
		EXPECT_EQ(d->ops->iova_to_phys(d, at[i] * PG), 0);
		EXPECT_EQ(unmap(d, at[i], 8), 0);
	}
	EXPECT_EQ(d->ops->iova_to_phys(d, (last + 1) * PG), 0);
	EXPECT_EQ(unmap(d, last, 2), 0);
}

TEST_F(domain, what_cannot_be_mapped)
{
	struct iommu_domain *d = self->d;
	unsigned long last = (d->geometry.aperture_end + 1) / PG - 1, done;
	size_t mapped = 0;

	EXPECT_EQ(map(d, last, RAM, 2, &done), -ERANGE);
	EXPECT_EQ(map(d, last + 1, RAM, 1, &done), -ERANGE);
	EXPECT_EQ(map(d, WINDOW1 / PG, RAM, 1, &done), -ERANGE);
	EXPECT_EQ(map(d, 1, RAM, ULONG_MAX / PG, &done), -ERANGE);
	EXPECT_EQ(map(d, 0, HOST_RAM_END, 1, &done), -EINVAL);
	EXPECT_EQ(map(d, 0, HOST_RAM_END - PG, 2, &done), -EINVAL);
	EXPECT_EQ(done, 0);
	EXPECT_EQ(d->ops->map_pages(d, 0, RAM, PG, 1, MAP_RW | IOMMU_MMIO,
				    GFP_KERNEL, &mapped), -EINVAL);
	EXPECT_EQ(d->ops->map_pages(d, 0, RAM, PG, 1, IOMMU_CACHE, GFP_KERNEL,
				    &mapped), -EINVAL);
	EXPECT_EQ(mapped, 0);
	/* From one node to the next */
	EXPECT_EQ(map(d, 0, HOST_RAM_NODE - PG, 2, &done), 0);
	EXPECT_EQ(done, 2);
	EXPECT_EQ(unmap(d, 0, 2), 2);
	EXPECT_EQ(bytes_of(d), 4096);
}

TEST_F(domain, permissions)
{
	struct iommu_domain *d = self->d;
	struct host_pe *hpe = pe_of(self->dev);
	size_t mapped = 0;

	ASSERT_EQ(tce_domain_attach(d, self->dev), 0);
	EXPECT_EQ(d->ops->map_pages(d, 0, RAM, PG, 1, IOMMU_READ, GFP_KERNEL,
				    &mapped), 0);
	EXPECT_EQ(d->ops->map_pages(d, PG, RAM, PG, 1, IOMMU_WRITE, GFP_KERNEL,
				    &mapped), 0);
	EXPECT_EQ(mapped, 2 * PG);
	EXPECT_EQ(machine_dma(hpe, 0, false), (long)RAM);
	EXPECT_EQ(machine_dma(hpe, 0, true), -EFAULT);
	EXPECT_TRUE(reaches(self->dev, PG, RAM));
	EXPECT_EQ(unmap(d, 0, 2), 2);
}

/* All before what is there is mapped, told, and can be unmapped */
TEST_F(domain, over_what_is_mapped)
{
	struct iommu_domain *d = self->d;
	unsigned long done, at;

	for (at = LEAF - 4; at < LEAF + 4; at++) {
		EXPECT_EQ(map(d, at, RAM, 1, NULL), 0);
		EXPECT_EQ(map(d, LEAF - 4, RAM + SZ_1G, 8, &done), -EADDRINUSE);
		EXPECT_EQ(done, at - (LEAF - 4));
		EXPECT_EQ(unmap(d, LEAF - 4, done), done);
		EXPECT_EQ(d->ops->iova_to_phys(d, at * PG), RAM);
		EXPECT_EQ(unmap(d, LEAF - 4, 8), at == LEAF - 4);
		EXPECT_EQ(unmap(d, at, LEAF + 4 - at), at != LEAF - 4);
		EXPECT_EQ(bytes_of(d), 4096);
	}
}

/* An unmap ends where something is not mapped: in a leaf, and between two */
TEST_F(domain, unmap_with_holes)
{
	struct iommu_domain *d = self->d;

	EXPECT_EQ(map(d, LEAF - 2, RAM, 4, NULL), 0);
	EXPECT_EQ(unmap(d, LEAF - 1, 1), 1);
	EXPECT_EQ(unmap(d, LEAF - 2, 4), 1);
	EXPECT_EQ(unmap(d, LEAF - 2, 4), 0);
	EXPECT_EQ(map(d, 3 * LEAF - 1, RAM, 1, NULL), 0);
	EXPECT_EQ(unmap(d, LEAF, 2 * LEAF), 2);
	EXPECT_EQ(unmap(d, 3 * LEAF - 1, 3 * LEAF), 1);
	EXPECT_EQ(bytes_of(d), 4096);
}

TEST_F(domain, map_without_memory)
{
	struct iommu_domain *d = self->d;
	unsigned long n, done;
	int ret;

	EXPECT_EQ(map(d, LEAF * LEAF * LEAF - 1, RAM, 1, NULL), 0);
	for (n = 1; n < 100; n++) {
		fail_arm(n);
		ret = map(d, LEAF * LEAF - 600, RAM, 1200, &done);
		fail_arm(0);
		if (!ret)
			break;
		EXPECT_EQ(ret, -ENOMEM);
		EXPECT_EQ(done, 0);
		EXPECT_EQ(unmap(d, LEAF * LEAF - 600, 1200), 0);
		EXPECT_EQ(bytes_of(d), 4 * 4096);
	}
	EXPECT_GT(n, 5);
	EXPECT_EQ(done, 1200);
	/* To give back takes no memory */
	fail_arm_from(1);
	EXPECT_EQ(unmap(d, LEAF * LEAF - 600, 1200), 1200);
	fail_arm(0);
	EXPECT_EQ(unmap(d, LEAF * LEAF * LEAF - 1, 1), 1);
	EXPECT_EQ(bytes_of(d), 4096);
}

TEST_F(domain, sparse)
{
	struct iommu_domain *d = self->d;
	unsigned long step = (1UL << 47) / 16 / PG, i;

	ASSERT_EQ(tce_domain_attach(d, self->dev), 0);
	for (i = 0; i < 16; i++)
		EXPECT_EQ(map(d, i * step, RAM + i * PG, 1, NULL), 0);
	EXPECT_LE(bytes_of(d), 200 * 1024);
	for (i = 0; i < 16; i++)
		EXPECT_TRUE(reaches(self->dev, i * step * PG, RAM + i * PG));
	for (i = 0; i < 16; i++)
		EXPECT_EQ(unmap(d, i * step, 1), 1);
	EXPECT_EQ(bytes_of(d), 4096);
	for (i = 0; i < 16; i++)
		EXPECT_TRUE(dead(self->dev, i * step * PG));
}

/* Levels go that a range covers wholly, those beside it stay */
TEST_F(domain, levels_go)
{
	struct iommu_domain *d = self->d;
	unsigned long span = LEAF * LEAF, start = span - 4 * LEAF;

	ASSERT_EQ(tce_domain_attach(d, self->dev), 0);
	EXPECT_EQ(map(d, 0, RAM, 1, NULL), 0);
	EXPECT_EQ(bytes_of(d), 4 * 4096);
	/* The root, a level, three of the third kind, and their leaves */
	EXPECT_EQ(map(d, start - 1, RAM, span + 8 * LEAF + 2, NULL), 0);
	EXPECT_EQ(bytes_of(d), (1 + 1 + 3 + 1 + LEAF + 8 + 2) * 4096);
	EXPECT_EQ(unmap(d, start - 1, 1), 1);
	EXPECT_EQ(bytes_of(d), (1 + 1 + 3 + 1 + LEAF + 8 + 2) * 4096);
	/* All leaves but those of the first and the last page, and one parent */
	EXPECT_EQ(unmap(d, start, span + 8 * LEAF), span + 8 * LEAF);
	EXPECT_EQ(bytes_of(d), (1 + 1 + 2 + 1 + 2) * 4096);
	EXPECT_TRUE(reaches(self->dev, 0, RAM));
	EXPECT_TRUE(dead(self->dev, start * PG));
	EXPECT_TRUE(reaches(self->dev, (start + span + 8 * LEAF) * PG,
			    RAM + (span + 8 * LEAF + 1) * PG));
	EXPECT_EQ(unmap(d, 0, 1), 1);
	EXPECT_EQ(unmap(d, start + span + 8 * LEAF, 1), 1);
	EXPECT_EQ(bytes_of(d), 4096);
}

static struct iommu_domain *beside;
static unsigned long most_taken, taken_before;

static void look_at_taken(void)
{
	unsigned long now = glue_domain_taken(beside);

	most_taken = max(most_taken, now > taken_before ? now - taken_before : now);
	taken_before = now;
}

/* One unmap of many leaves takes them out piece by piece, so that others get in */
TEST_F(domain, a_huge_unmap_takes_levels_by_pieces)
{
	struct iommu_iotlb_gather gather = { .start = ULONG_MAX };
	unsigned long nr = 3 * LEAF * LEAF + 5 * LEAF, start = LEAF * LEAF - LEAF;
	struct iommu_domain *d = self->d;

	ASSERT_EQ(map(d, 0, RAM, 1, NULL), 0);
	ASSERT_EQ(map(d, start, RAM, nr, NULL), 0);
	beside = d;
	most_taken = 0;
	taken_before = 0;
	host_preempt = look_at_taken;
	EXPECT_EQ(d->ops->unmap_pages(d, start * PG, PG, nr, &gather), nr * PG);
	host_preempt = NULL;
	look_at_taken();
	EXPECT_LE(most_taken, LEAF + 1);
	EXPECT_EQ(taken_before, 3 + nr / LEAF);
	d->ops->iotlb_sync(d, &gather);
	/* What is left: the way to the first page, and what the end covers in part */
	EXPECT_EQ(bytes_of(d), 5 * 4096);
	EXPECT_EQ(unmap(d, 0, 1), 1);
	EXPECT_EQ(bytes_of(d), 4096);
}

/* A range that covers what is above a piece, which no test has the memory to fill */
TEST_F(domain, levels_above_the_pieces_go)
{
	unsigned long span = LEAF * LEAF * LEAF;
	struct iommu_domain *d = self->d;

	ASSERT_EQ(map(d, 0, RAM, 1, NULL), 0);
	ASSERT_EQ(map(d, span + 7, RAM, 1, NULL), 0);
	EXPECT_EQ(unmap(d, span + 7, 1), 1);
	EXPECT_EQ(bytes_of(d), 7 * 4096);
	glue_domain_take(d, span, span);
	EXPECT_EQ(glue_domain_taken(d), 3);
	d->ops->flush_iotlb_all(d);
	EXPECT_EQ(bytes_of(d), 4 * 4096);
	EXPECT_EQ(unmap(d, 0, 1), 1);
}

/* Nothing is freed of which a bridge may have the address */
TEST_F(domain, levels_go_after_the_flush)
{
	struct iommu_iotlb_gather gather = { .start = ULONG_MAX };
	struct iommu_domain *d = self->d;
	unsigned long kills;

	ASSERT_EQ(tce_domain_attach(d, self->dev), 0);
	EXPECT_EQ(map(d, 0, RAM, 4 * LEAF, NULL), 0);
	EXPECT_EQ(d->ops->unmap_pages(d, 0, PG, 4 * LEAF, &gather),
		  4 * LEAF * PG);
	EXPECT_EQ(bytes_of(d), (1 + 2 + 4) * 4096);
	EXPECT_EQ(gather.start, 0);
	EXPECT_EQ(gather.end, 4 * LEAF * PG - 1);
	kills = pe_of(self->dev)->kills;
	d->ops->iotlb_sync(d, &gather);
	EXPECT_EQ(pe_of(self->dev)->kills, kills + 1);
	EXPECT_EQ(bytes_of(d), 4096);
	d->ops->flush_iotlb_all(d);
	EXPECT_EQ(pe_of(self->dev)->kills, kills + 2);
	/* One page, and levels: the bridge forgets everything */
	EXPECT_EQ(map(d, 0, RAM, 1, NULL), 0);
	EXPECT_TRUE(dead(self->dev, BIT(45)));
	EXPECT_NE(pe_of(self->dev)->nr_tlb, 0);
	EXPECT_EQ(unmap(d, 0, 1), 1);
	EXPECT_EQ(pe_of(self->dev)->nr_tlb, 0);
}

/* Another thread has taken all levels out, and has not flushed them yet */
TEST_F(domain, map_before_a_late_flush)
{
	struct iommu_iotlb_gather gather = { .start = ULONG_MAX };
	struct iommu_domain *d = self->d;

	ASSERT_EQ(tce_domain_attach(d, self->dev), 0);
	EXPECT_EQ(map(d, 0, RAM, 1, NULL), 0);
	EXPECT_EQ(d->ops->unmap_pages(d, 0, PG, 1, &gather), PG);
	EXPECT_EQ(map(d, 1, RAM, 1, NULL), 0);
	EXPECT_TRUE(reaches(self->dev, PG, RAM));
	d->ops->iotlb_sync(d, &gather);
	/* Afterwards a map kills its pages only: what was read beside them stays */
	EXPECT_TRUE(dead(self->dev, BIT(40)));
	EXPECT_EQ(map(d, 2, RAM, 1, NULL), 0);
	EXPECT_TRUE(remembers(self->dev, BIT(40)));
	EXPECT_EQ(unmap(d, 1, 2), 2);
}

static struct device *dev_beside;
static unsigned int steps_before;

static void map_beside(void)
{
	if (steps_before--)
		return;
	host_preempt = NULL;
	if (map(beside, 1, RAM, 1, NULL) || !reaches(dev_beside, PG, RAM))
		host_die("a device does not reach what was mapped beside a flush\n");
}

/* ... or is in the middle of it */
TEST_F(domain, map_beside_a_flush)
{
	struct iommu_iotlb_gather gather;
	struct iommu_domain *d = self->d;
	unsigned int step;

	ASSERT_EQ(tce_domain_attach(d, self->dev), 0);
	beside = d;
	dev_beside = self->dev;
	for (step = 0; step < 100; step++) {
		gather = (struct iommu_iotlb_gather) { .start = ULONG_MAX };
		EXPECT_EQ(map(d, 0, RAM, 1, NULL), 0);
		EXPECT_EQ(d->ops->unmap_pages(d, 0, PG, 1, &gather), PG);
		steps_before = step;
		host_preempt = map_beside;
		d->ops->iotlb_sync(d, &gather);
		if (host_preempt)
			break;
		EXPECT_TRUE(reaches(self->dev, PG, RAM));
		EXPECT_EQ(unmap(d, 1, 1), 1);
	}
	host_preempt = NULL;
	EXPECT_GT(step, 2);
	EXPECT_LT(step, 100);
	EXPECT_EQ(bytes_of(d), 4096);
}

/* However often a program attaches and detaches, the log does not grow */
TEST_F(domain, is_not_logged)
{
	host_pe_messages = 0;
	EXPECT_EQ(tce_domain_attach(self->d, self->dev), 0);
	EXPECT_EQ(tce_domain_attach(self->other, self->dev), 0);
	EXPECT_EQ(block(self->dev), 0);
	EXPECT_EQ(tce_domain_attach(self->d, self->dev), 0);
	give_back(self->dev);
	EXPECT_EQ(host_pe_messages, 0);
}

static void unmap_a_leaf_beside(void)
{
	host_preempt = NULL;
	if (unmap(beside, 0, LEAF) != LEAF)
		host_die("the leaf was not mapped\n");
}

/* A map fails, and what was there when it began has gone meanwhile */
TEST_F(domain, inner_levels_go_alone)
{
	struct iommu_domain *d = self->d;

	ASSERT_EQ(tce_domain_attach(d, self->dev), 0);
	EXPECT_EQ(map(d, 0, RAM, LEAF, NULL), 0);
	beside = d;
	host_preempt = unmap_a_leaf_beside;
	fail_arm(1);
	EXPECT_EQ(map(d, BIT(30), RAM, 1, NULL), -ENOMEM);
	EXPECT_TRUE(fail_fired());
	EXPECT_EQ(glue_domain_taken(d), 0);
	EXPECT_EQ(bytes_of(d), 4096);
}

/*
 * The last page goes. Before its levels are taken out, somebody else comes and goes who
 * changes nothing, so that it is he who takes them out, and nobody flushes for him.
 */
static unsigned long taken_and_left;

static void look_up_beside(void)
{
	host_preempt = NULL;
	beside->ops->iova_to_phys(beside, 9 * PG);
	taken_and_left = glue_domain_taken(beside);
}

static void unmap_nothing_beside(void)
{
	host_preempt = NULL;
	unmap(beside, 9, 1);
	taken_and_left = glue_domain_taken(beside);
}

TEST_F(domain, who_changes_nothing_is_the_last)
{
	static void (*const what[])(void) = { look_up_beside, unmap_nothing_beside };
	struct iommu_domain *d = self->d;
	unsigned int i;

	ASSERT_EQ(tce_domain_attach(d, self->dev), 0);
	beside = d;
	for (i = 0; i < ARRAY_SIZE(what); i++) {
		EXPECT_EQ(map(d, 0, RAM, 1, NULL), 0);
		taken_and_left = 1;
		host_preempt = what[i];
		EXPECT_EQ(unmap(d, 0, 1), 1);
		EXPECT_EQ(taken_and_left, 0);
		EXPECT_EQ(bytes_of(d), 4096);
	}
}

/*
 * All TCEs go, one by one, and leave many levels: more than others are to wait for.
 * They go piece by piece, and others get in between.
 */
#define MANY		2500UL

static unsigned long rests;
static bool comes_between;

static void rest(void)
{
	look_at_taken();
	if (++rests == 3 && comes_between)
		WARN_ON(map(beside, 1, RAM, 1, NULL));
}

static void fill_and_empty(struct iommu_domain *d)
{
	struct iommu_iotlb_gather gather = { .start = ULONG_MAX };
	size_t mapped = 0;
	unsigned long i;

	/* Not flushed one by one: the model's bridge looks at all of the table then */
	for (i = 0; i < MANY; i++)
		WARN_ON(d->ops->map_pages(d, i * LEAF * PG, RAM, PG, 1, MAP_RW,
					  GFP_KERNEL, &mapped));
	d->ops->flush_iotlb_all(d);
	WARN_ON(bytes_of(d) < MANY * 4096);
	most_taken = 0;
	taken_before = 0;
	rests = 0;
	host_resched = rest;
	for (i = 0; i < MANY; i++)
		WARN_ON(d->ops->unmap_pages(d, i * LEAF * PG, PG, 1, &gather) != PG);
	rest();
	d->ops->iotlb_sync(d, &gather);
}

TEST_F(domain, many_levels_go_piece_by_piece)
{
	struct iommu_domain *d = self->d;

	ASSERT_EQ(tce_domain_attach(d, self->dev), 0);
	beside = d;
	comes_between = false;
	fill_and_empty(d);
	host_run_works();
	EXPECT_LE(MANY / LEAF, rests);
	EXPECT_LE(most_taken, LEAF + 1);
	EXPECT_EQ(bytes_of(d), 4096);

	/* The worker stops for who comes between, and the rest goes when he does */
	comes_between = true;
	fill_and_empty(d);
	host_run_works();
	EXPECT_LT(1000 * 4096, bytes_of(d));
	EXPECT_TRUE(reaches(self->dev, PG, RAM));
	EXPECT_EQ(unmap(d, 1, 1), 1);
	host_run_works();
	EXPECT_LE(most_taken, LEAF + 1);
	EXPECT_EQ(bytes_of(d), 4096);
	EXPECT_TRUE(dead(self->dev, PG));

	/* Its end does not wait for the worker */
	comes_between = false;
	fill_and_empty(d);
	give_back(self->dev);
	d->ops->free(d);
	self->d = NULL;
	host_resched = NULL;
}

/*
 * States of a PE.
 */

/* Whatever failed: nobody but the host has its bypass, and only as the host */
static bool state_is_sound(struct device *dev)
{
	struct host_pe *hpe = pe_of(dev);

	world_check();

	return hpe->pe.owner == PNV_PE_HOST || dead(dev, WINDOW1 + 0x1000);
}

static bool host_is_back(struct device *dev)
{
	struct host_pe *hpe = pe_of(dev);

	return hpe->pe.owner == PNV_PE_HOST &&
		reaches(dev, WINDOW1 + 0x1000, 0x1000) && hpe->tve[0].levels &&
		hpe->pe.table_group.tables[0] == hpe->pe.host_table;
}

enum { TO_HOST, TO_BLOCKED, TO_DOMAIN, TO_OTHER, TO_STATES };

static long go(struct _test_data_domain *self, int to)
{
	switch (to) {
	case TO_HOST:
		give_back(self->dev);
		return 0;
	case TO_BLOCKED:
		return block(self->dev);
	case TO_DOMAIN:
		return tce_domain_attach(self->d, self->dev);
	default:
		return tce_domain_attach(self->other, self->dev);
	}
}

/* What is to be dead, or back, in the state that the PE is in, whatever failed */
static bool state_is_right(struct _test_data_domain *self, bool failed)
{
	struct iommu_table_group *group = group_of(self->dev);
	struct host_pe *hpe = pe_of(self->dev);
	struct device *dev = self->dev;

	switch (hpe->pe.owner) {
	case PNV_PE_HOST:
		return dead(dev, 7 * PG) && dead(dev, 9 * PG) &&
			(failed || host_is_back(dev));
	case PNV_PE_BLOCKED:
		return dead(dev, WINDOW1 + 0x1000) && dead(dev, 7 * PG) &&
			dead(dev, 9 * PG) && dead(dev, 5 * PG);
	default:
		return dead(dev, WINDOW1 + 0x1000) && dead(dev, 5 * PG) &&
			(group->tables[0] == glue_domain_table(self->d) ?
			 reaches(dev, 7 * PG, RAM) && dead(dev, 9 * PG) :
			 reaches(dev, 9 * PG, RAM) && dead(dev, 7 * PG));
	}
}

/* One failure on the way, or all from a step on. Returns how many ways to fail */
static unsigned long transit(struct _test_data_domain *self, int from, int to,
			     void (*arm)(unsigned long nth))
{
	struct device *dev = self->dev;
	unsigned long n;
	bool fired;
	long ret;

	for (n = 1, fired = true; fired && n < 20; n++) {
		/* As if it had not been away before */
		pe_of(dev)->pe.host_bypass = false;
		if (go(self, from))
			return 0;
		arm(n);
		ret = go(self, to);
		fired = fail_fired();
		fail_arm(0);
		if (!state_is_sound(dev) || !state_is_right(self, fired) ||
		    (ret && !fired))
			return 0;
		/* Nothing is in the way of who tries again */
		if (go(self, to) || !state_is_sound(dev) ||
		    !state_is_right(self, fired))
			return 0;
		/* One more round finds what failed on the way to the host */
		give_back(dev);
		if (block(dev) || !state_is_right(self, false))
			return 0;
		give_back(dev);
		if (!state_is_right(self, false))
			return 0;
	}

	return n < 20 ? n - 1 : 0;
}

/* Each way from each state, with memory or firmware failing at each step */
TEST_F(domain, transitions)
{
	struct iommu_table *tbl = pe_of(self->dev)->pe.host_table;
	struct tce_spares taken = { };
	unsigned long ways = 0, n;
	int from, to;

	EXPECT_EQ(map(self->d, 7, RAM, 1, NULL), 0);
	EXPECT_EQ(map(self->other, 9, RAM, 1, NULL), 0);
	EXPECT_EQ(pnv_tce_build(tbl, 5, 1, (unsigned long)__va(RAM),
				DMA_BIDIRECTIONAL, 0), 0);
	tbl->it_ops->tce_kill(tbl, 5, 1);
	for (from = 0; from < TO_STATES; from++) {
		for (to = 0; to < TO_STATES; to++) {
			n = transit(self, from, to, fail_arm);
			EXPECT_GE(n, 1);
			ways += n;
			EXPECT_EQ(transit(self, from, to, fail_arm_from), n);
		}
	}
	/* Each step that can fail was one that did */
	EXPECT_GE(ways, 16 + 10);
	EXPECT_TRUE(reaches(self->dev, 5 * PG, RAM));
	pnv_tce_free(tbl, 5, 1);
	tce_tree_take(&tbl->it_tree, 0, tbl->it_size, true, &taken);
	tbl->it_ops->tce_kill(tbl, tbl->it_offset, tbl->it_size);
	tce_spares_return(&tbl->it_tree, &taken);
	EXPECT_EQ(unmap(self->d, 7, 1), 1);
	EXPECT_EQ(unmap(self->other, 9, 1), 1);
}

/* Two functions in one PE: the core hands them over one after the other */
TEST_F(domain, two_devices_of_a_group)
{
	struct device second = { .iommu_group = self->dev->iommu_group };
	struct iommu_domain *d = self->d;
	struct iommu_table *tbl = pe_of(self->dev)->pe.host_table;
	unsigned long kills, n;
	bool fired;
	long ret;

	EXPECT_EQ(map(d, 7, RAM, 1, NULL), 0);
	EXPECT_EQ(block(self->dev), 0);
	EXPECT_EQ(block(&second), 0);
	EXPECT_TRUE(dead(&second, WINDOW1 + 0x1000));
	EXPECT_EQ(tce_domain_attach(d, self->dev), 0);
	kills = pe_of(self->dev)->kills;
	/* It is there already, with one link and one reference */
	EXPECT_EQ(tce_domain_attach(d, &second), 0);
	EXPECT_EQ(pe_of(self->dev)->kills, kills);
	EXPECT_EQ(glue_domain_table(d)->it_kref.count, 2);
	EXPECT_TRUE(reaches(&second, 7 * PG, RAM));
	EXPECT_EQ(block(self->dev), 0);
	EXPECT_TRUE(dead(&second, 7 * PG));
	EXPECT_EQ(block(&second), 0);
	give_back(self->dev);
	EXPECT_TRUE(host_is_back(&second));
	EXPECT_EQ(second.archdata.iommu_table_base, NULL);
	give_back(&second);
	EXPECT_EQ(second.archdata.iommu_table_base, tbl);
	EXPECT_TRUE(host_is_back(self->dev));

	/* Where one cannot be attached the core puts both back */
	for (n = 1, fired = true; fired && n < 20; n++) {
		EXPECT_EQ(block(self->dev), 0);
		EXPECT_EQ(block(&second), 0);
		fail_arm(n);
		ret = tce_domain_attach(d, self->dev) ?:
			tce_domain_attach(d, &second);
		fired = fail_fired();
		fail_arm(0);
		EXPECT_EQ(fired, !!ret);
		if (ret) {
			EXPECT_EQ(block(self->dev), 0);
			EXPECT_EQ(block(&second), 0);
		}
		EXPECT_TRUE(dead(&second, WINDOW1 + 0x1000));
		EXPECT_EQ(dead(&second, 7 * PG), fired);
		give_back(self->dev);
		give_back(&second);
		EXPECT_TRUE(host_is_back(&second));
	}
	EXPECT_EQ(unmap(d, 7, 1), 1);
}

/* A device of the host that is reset was not away: it keeps a bypass by window 0 */
TEST_F(domain, a_reset_keeps_the_offset)
{
	struct device *dev = self->dev, sibling = *dev;

	/* As pci-ioda.c does when a driver asks for such a bypass */
	pe_of(dev)->pe.window0_bypass = true;
	dev->archdata.dma_offset = BIT(32);
	sibling.archdata.dma_offset = BIT(32);
	give_back(dev);
	EXPECT_EQ(dev->archdata.dma_offset, BIT(32));
	EXPECT_EQ(block(dev), 0);
	EXPECT_EQ(block(&sibling), 0);
	give_back(dev);
	give_back(&sibling);
	EXPECT_EQ(dev->archdata.dma_offset, WINDOW1);
	EXPECT_EQ(sibling.archdata.dma_offset, WINDOW1);
}

/* Firmware refuses to hand the PE over, and to give the host its bypass again */
TEST_F(domain, the_bypass_outlasts_two_refusals)
{
	struct device *dev = self->dev;
	unsigned long n;
	bool fired;

	for (n = 1, fired = true; fired && n < 20; n++) {
		/* As if it had not been away before */
		pe_of(dev)->pe.host_bypass = false;
		fail_arm_from(n);
		tce_domain_attach(self->d, dev);
		fired = fail_fired();
		fail_arm(0);
		give_back(dev);
		EXPECT_EQ(block(dev), 0);
		give_back(dev);
		EXPECT_TRUE(host_is_back(dev));
	}
	EXPECT_LT(n, 20);
	EXPECT_GT(n, 3);
}

/* The way back does not allocate, and finds the host's mappings */
TEST_F(domain, the_host_s_table_is_parked)
{
	struct device *dev = self->dev;
	struct iommu_table *tbl = pe_of(dev)->pe.host_table;
	struct tce_spares taken = { };

	EXPECT_EQ(pnv_tce_build(tbl, 5, 1, (unsigned long)__va(RAM),
				DMA_BIDIRECTIONAL, 0), 0);
	tbl->it_ops->tce_kill(tbl, 5, 1);
	EXPECT_TRUE(reaches(dev, 5 * PG, RAM));
	EXPECT_EQ(block(dev), 0);
	EXPECT_TRUE(dead(dev, 5 * PG));
	/* Its user does not know: what it unmaps meanwhile is not there later */
	EXPECT_EQ(pnv_tce_build(tbl, 6, 1, (unsigned long)__va(RAM),
				DMA_BIDIRECTIONAL, 0), 0);
	fail_arm_from(1);
	give_back(dev);
	fail_arm(0);
	EXPECT_EQ(pe_of(dev)->pe.host_table, tbl);
	EXPECT_EQ(tce_domain_attach(self->d, dev), 0);
	EXPECT_TRUE(dead(dev, 5 * PG));
	give_back(dev);
	EXPECT_TRUE(host_is_back(dev));
	EXPECT_EQ(pe_of(dev)->pe.host_table, tbl);
	EXPECT_TRUE(reaches(dev, 5 * PG, RAM));
	EXPECT_TRUE(reaches(dev, 6 * PG, RAM));
	pnv_tce_free(tbl, 5, 2);
	tbl->it_ops->tce_kill(tbl, 5, 2);
	EXPECT_TRUE(dead(dev, 5 * PG));
	tce_tree_take(&tbl->it_tree, 0, tbl->it_size, true, &taken);
	tbl->it_ops->tce_kill(tbl, tbl->it_offset, tbl->it_size);
	tce_spares_return(&tbl->it_tree, &taken);
}

TEST_F(domain, several_groups)
{
	struct iommu_domain *d = self->d;
	int i;

	for (i = 0; i < NR_DEVS; i++)
		EXPECT_EQ(tce_domain_attach(d, self->dev + i), 0);
	EXPECT_EQ(map(d, 3, RAM, 2, NULL), 0);
	for (i = 0; i < NR_DEVS; i++)
		EXPECT_TRUE(reaches(self->dev + i, 3 * PG, RAM));
	EXPECT_EQ(unmap(d, 3, 1), 1);
	for (i = 0; i < NR_DEVS; i++)
		EXPECT_TRUE(dead(self->dev + i, 3 * PG));
	EXPECT_EQ(block(self->dev), 0);
	EXPECT_TRUE(dead(self->dev, 4 * PG));
	EXPECT_TRUE(reaches(self->dev + 1, 4 * PG, RAM + PG));
	EXPECT_EQ(unmap(d, 4, 1), 1);
	EXPECT_TRUE(dead(self->dev + 1, 4 * PG));
}

/* A container has windows there, or a domain is */
TEST_F(domain, windows_of_a_container)
{
	struct iommu_table_group *group = group_of(self->dev);
	struct iommu_table *tbl;
	int num;

	for (num = 0; num < 2; num++) {
		EXPECT_EQ(block(self->dev), 0);
		EXPECT_EQ(group->ops->create_user_table(group, num, 16, SZ_1G, 1,
							self->mm, &tbl), 0);
		EXPECT_EQ(group->ops->set_window(group, num, tbl), 0);
		EXPECT_EQ(tce_domain_attach(self->d, self->dev), -EBUSY);
		EXPECT_EQ(group->ops->unset_window(group, num), 0);
		EXPECT_EQ(tce_domain_attach(self->d, self->dev), 0);
		EXPECT_EQ(group->ops->set_window(group, 0, tbl), -EBUSY);
		EXPECT_EQ(group->ops->set_window(group, 1, tbl), -EBUSY);
		iommu_tce_table_put(tbl);
	}
}

/* A PE goes with its last device, whatever its state is */
TEST_F(domain, unplug)
{
	struct host_pe *hpe = pe_of(self->dev);
	struct iommu_domain *d = self->d;
	int to;

	for (to = 0; to < TO_OTHER; to++) {
		EXPECT_EQ(go(self, to), 0);
		pnv_pci_ioda2_release_pe_dma(&hpe->pe);
		EXPECT_TRUE(hpe->no_iommudata);
		EXPECT_TRUE(dead(self->dev, WINDOW1 + 0x1000));
		EXPECT_TRUE(dead(self->dev, 0));
		EXPECT_TRUE(list_empty(&glue_domain_table(d)->it_group_list));
		EXPECT_EQ(tce_domain_attach(d, self->dev), -EINVAL);
		EXPECT_TRUE(IS_ERR(tce_domain_alloc(self->dev)));
		hpe->no_iommudata = false;
		hpe->pe.owner = PNV_PE_HOST;
		EXPECT_EQ(pnv_pci_ioda2_setup_default_config(&hpe->pe), 0);
		EXPECT_TRUE(host_is_back(self->dev));
	}
}

static int firmware_keeps(struct _test_data_domain *self, int to)
{
	struct host_pe *hpe = pe_of(self->dev);
	struct iommu_table *tbl = glue_domain_table(self->d);

	if (tce_domain_attach(self->d, self->dev) ||
	    map(self->d, 5, RAM, 1, NULL))
		return 1;
	machine_removal_fails = true;
	fail_arm_from(1);
	if (to == TO_HOST)
		give_back(self->dev);
	else if (block(self->dev))
		return 2;
	fail_arm(0);
	machine_removal_fails = false;
	if (!hpe->pe.window_stuck)
		return 3;
	/* The domain goes, and its table stays */
	if (unmap(self->d, 5, 1) != 1 || !dead(self->dev, 5 * PG))
		return 4;
	self->d->ops->free(self->d);
	self->d = NULL;
	if (tbl->it_kref.count != 1 || list_empty(&tbl->it_group_list))
		return 5;
	give_back(self->dev);
	if (block(self->dev) != -EIO ||
	    tce_domain_attach(self->other, self->dev) != -EIO)
		return 6;
	/* As if firmware had thought better of it, to end clean */
	kfree(list_first_entry(&tbl->it_group_list,
			       struct iommu_table_group_link, next));
	INIT_LIST_HEAD(&tbl->it_group_list);
	hpe->pe.window_stuck = false;
	hpe->stuck = false;
	if (to == TO_HOST)
		hpe->tve[0].levels = 0;
	iommu_tce_table_put(tbl);

	return 0;
}

TEST_F(domain, firmware_keeps_a_window_from_nobody)
{
	EXPECT_EQ(firmware_keeps(self, TO_BLOCKED), 0);
}

TEST_F(domain, firmware_keeps_a_window_from_the_host)
{
	EXPECT_EQ(firmware_keeps(self, TO_HOST), 0);
}

TEST_F(domain, reserved_regions)
{
	struct iommu_resv_region *r, *next;
	struct pnv_phb *phb = pe_of(self->dev)->pe.phb;
	u64 end[3] = { };
	LIST_HEAD(list);
	int n = 0;

	phb->ioda.m32_pci_base = 0x80000000;
	phb->ioda.m64_base = BIT(49);
	phb->ioda.m64_size = SZ_1G;
	fail_arm_from(1);
	tce_domain_get_resv_regions(self->dev, &list);
	fail_arm(0);
	list_for_each_entry_safe(r, next, &list, list) {
		if (n < 3)
			end[n] = r->start + r->length;
		if (r->type == IOMMU_RESV_MSI)
			EXPECT_EQ(r->start, 0xffff0000);
		n++;
		kfree(r);
	}
	EXPECT_EQ(n, 3);
	EXPECT_EQ(end[0], BIT(32));
	EXPECT_EQ(end[1], 0xffff0000);
	EXPECT_EQ(end[2], BIT(49) + SZ_1G);
	phb->ioda.m32_pci_base = 0;
	phb->ioda.m64_size = 0;
}

/* Who asks for a domain on 6.12 need not say for which device */
TEST_F(domain, alloc_for_no_device)
{
	EXPECT_EQ(PTR_ERR(tce_domain_alloc(NULL)), -EOPNOTSUPP);
}

/* After a reset the core cannot tell anybody that there was no memory */
TEST_F(domain, attach_needs_no_memory)
{
	unsigned long n;
	bool fired;

	for (n = 1, fired = true; fired && n < 20; n++) {
		EXPECT_EQ(block(self->dev), 0);
		fail_arm(n);
		EXPECT_NE(tce_domain_attach(self->d, self->dev), -ENOMEM);
		fired = fail_fired();
		fail_arm(0);
	}
	EXPECT_EQ(n, 3);
}

TEST_F(domain, alloc_fails)
{
	struct iommu_domain *d;
	unsigned long n;
	bool fired = true;

	for (n = 1; fired; n++) {
		fail_arm(n);
		d = tce_domain_alloc(self->dev);
		fired = fail_fired();
		fail_arm(0);
		EXPECT_EQ(fired, IS_ERR(d));
		if (!IS_ERR(d))
			d->ops->free(d);
		EXPECT_LT(n, 20);
	}
	EXPECT_GT(n, 3);
}

/*
 * At random, against a reference.
 */

#define FUZZ_PAGES	(3 * LEAF)
#ifdef __SANITIZE_THREAD__	/* slow, and looks for what one thread does not have */
#define FUZZ_STEPS	300
#define FUZZ_SEEDS	1
#else
#define FUZZ_STEPS	1500
#define FUZZ_SEEDS	4
#endif

static unsigned int pick(unsigned int *state, unsigned int below)
{
	*state = *state * 1103515245 + 12345;

	return (*state >> 12) % below;
}

/* Around where a level ends, and one that is higher */
static const unsigned long fuzz_at[] = {
	0, LEAF * LEAF - LEAF - 11, 7 * LEAF * LEAF * LEAF - 2 * LEAF,
};

/* What was unmapped and not flushed; nobody maps there until it is */
static struct {
	struct iommu_domain *d;		/* NULL: there is nothing */
	struct iommu_iotlb_gather gather;
} late;

static bool is_late(unsigned long index, unsigned long nr)
{
	return late.d && index * PG <= late.gather.end &&
		(index + nr) * PG > late.gather.start;
}

static void flush_late(void)
{
	struct iommu_domain *d = late.d;

	host_preempt = NULL;
	late.d = NULL;
	if (d)
		d->ops->iotlb_sync(d, &late.gather);
}

/* Leave the flush to another thread, which comes at any step of a later request */
static unsigned long unmap_late(struct iommu_domain *d, unsigned long index,
				unsigned long nr)
{
	size_t size;

	flush_late();
	late.gather = (struct iommu_iotlb_gather) { .start = ULONG_MAX };
	size = d->ops->unmap_pages(d, index * PG, PG, nr, &late.gather);
	if (size)
		late.d = d;

	return size / PG;
}

static int fuzz_step(struct iommu_domain *d, unsigned long *pages, int area,
		     unsigned int *state)
{
	unsigned long nr = pick(state, 4) ? 1 + pick(state, 40) :
					    1 + pick(state, FUZZ_PAGES);
	unsigned long first = pick(state, FUZZ_PAGES), pa, done, want, i;
	int ret;

	nr = min(nr, FUZZ_PAGES - first);
	if (pick(state, 2)) {
		if (is_late(fuzz_at[area] + first, nr))
			flush_late();
		pa = RAM + pick(state, 1 << 20) * PG;
		for (want = 0; want < nr && !pages[first + want]; want++)
			pages[first + want] = pa + want * PG;
		ret = map(d, fuzz_at[area] + first, pa, nr, &done);
		if (ret != (want == nr ? 0 : -EADDRINUSE))
			return 1;
	} else {
		for (want = 0; want < nr && pages[first + want]; want++)
			pages[first + want] = 0;
		done = pick(state, 3) ?
			unmap(d, fuzz_at[area] + first, nr) :
			unmap_late(d, fuzz_at[area] + first, nr);
	}
	if (done != want)
		return 2;
	i = pick(state, FUZZ_PAGES);

	return d->ops->iova_to_phys(d, (fuzz_at[area] + i) * PG) == pages[i] ?
		0 : 3;
}

/* Answers 0, or in which step something was wrong */
static unsigned int fuzz(struct _test_data_domain *self, unsigned int state)
{
	static unsigned long pages[3][FUZZ_PAGES];
	unsigned int step, area;
	unsigned long i;

	for (step = 1; step < FUZZ_STEPS; step++) {
		if (late.d && !pick(&state, 4))
			host_preempt = flush_late;
		area = pick(&state, 3);
		if (tce_domain_attach(self->d, self->dev) ||
		    fuzz_step(self->d, pages[area], area, &state))
			return step;
		i = pick(&state, FUZZ_PAGES);
		if (!is_late(fuzz_at[area] + i, 1) &&
		    !reaches(self->dev, (fuzz_at[area] + i) * PG,
			     pages[area][i] ? (long)pages[area][i] : -EFAULT))
			return step;
		/* Now and then all goes, so that levels do */
		if (!pick(&state, 100)) {
			for (area = 0; area < 3; area++)
				for (i = 0; i < FUZZ_PAGES; i++)
					if (pages[area][i] &&
					    unmap(self->d, fuzz_at[area] + i, 1) != 1)
						return step;
			memset(pages, 0, sizeof(pages));
		}
		if (!pick(&state, 500) && pick(&state, 2) && block(self->dev))
			return step;
	}
	for (area = 0; area < 3; area++)
		for (i = 0; i < FUZZ_PAGES; i++)
			if (pages[area][i] &&
			    unmap(self->d, fuzz_at[area] + i, 1) != 1)
				return step;
	memset(pages, 0, sizeof(pages));
	flush_late();

	return bytes_of(self->d) == 4096 ? 0 : step;
}

TEST_F_TIMEOUT(domain, at_random, 60)
{
	unsigned int seed;

	for (seed = 1; seed <= FUZZ_SEEDS; seed++)
		ASSERT_EQ(fuzz(self, seed * 7919), 0);
}

/*
 * Threads: each has ranges of its own, next to those of the others.
 */

#define NR_THREADS	4
#define THREAD_STEPS	3000

struct mapper {
	pthread_t thread;
	struct iommu_domain *d;
	struct device *dev;
	unsigned int nr;
	int failed;
};

static void *mapper(void *arg)
{
	struct mapper *m = arg;
	unsigned int state = m->nr + 1, step;
	unsigned long at, nr;

	rcu_register_thread();
	for (step = 0; step < THREAD_STEPS && !m->failed; step++) {
		nr = 1 + pick(&state, pick(&state, 8) ? 8 : 2 * LEAF);
		at = (m->nr * 3 * LEAF) + LEAF / 2 + pick(&state, 16);
		if (map(m->d, at, RAM, nr, NULL))
			m->failed = 1;
		machine_dma(pe_of(m->dev), at * PG, true);
		if (unmap(m->d, at, nr) != nr)
			m->failed = 2;
		/* A range that nobody ever maps */
		if (unmap(m->d, at + BIT(30), nr))
			m->failed = 3;
	}
	rcu_unregister_thread();

	return NULL;
}

TEST_F(domain, threads)
{
	struct mapper m[NR_THREADS] = { };
	unsigned int i, n;

	machine_threads = true;
	for (i = 0; i < NR_THREADS; i++) {
		m[i] = (struct mapper) { .d = self->d, .nr = i,
					 .dev = self->dev + i % NR_DEVS };
		pthread_create(&m[i].thread, NULL, mapper, m + i);
	}
	/* Groups come and go meanwhile */
	for (n = 0; n < 200; n++) {
		EXPECT_EQ(tce_domain_attach(self->d, self->dev + n % NR_DEVS), 0);
		EXPECT_EQ(block(self->dev + (n + 1) % NR_DEVS), 0);
	}
	for (i = 0; i < NR_THREADS; i++) {
		pthread_join(m[i].thread, NULL);
		EXPECT_EQ(m[i].failed, 0);
	}
	machine_threads = false;
	EXPECT_EQ(bytes_of(self->d), 4096);
}

/*
 * More levels than are taken out at once: a worker takes them out, and stops for who
 * comes between. One thread fills and empties the domain, another one is the worker,
 * and mappers have the domain for moments only, so that it is unused now and then.
 */
#define NR_FILLS	6

static bool filled_enough;
static unsigned long worker_ran;

static void *filler(void *arg)
{
	struct iommu_domain *d = arg;
	struct iommu_iotlb_gather gather;
	size_t mapped = 0;
	unsigned long i, n;

	rcu_register_thread();
	for (n = 0; n < NR_FILLS; n++) {
		gather = (struct iommu_iotlb_gather) { .start = ULONG_MAX };
		/* Far from the mappers; nothing is done by DMA there */
		for (i = 0; i < MANY; i++)
			WARN_ON(d->ops->map_pages(d, (BIT(30) + i * LEAF) * PG, RAM,
						  PG, 1, MAP_RW, GFP_KERNEL, &mapped));
		for (i = 0; i < MANY; i++)
			WARN_ON(d->ops->unmap_pages(d, (BIT(30) + i * LEAF) * PG, PG,
						    1, &gather) != PG);
		d->ops->iotlb_sync(d, &gather);
		while (bytes_of(d) > 1000 * 4096 && !READ_ONCE(filled_enough))
			sched_yield();
	}
	WRITE_ONCE(filled_enough, true);
	rcu_unregister_thread();

	return NULL;
}

static void *worker(void *d)
{
	rcu_register_thread();
	while (!READ_ONCE(filled_enough)) {
		worker_ran += host_works();
		host_run_works();
		sched_yield();
	}
	rcu_unregister_thread();

	return NULL;
}

static void *short_mapper(void *arg)
{
	struct mapper *m = arg;
	unsigned int state = m->nr + 1;
	unsigned long at;

	rcu_register_thread();
	while (!READ_ONCE(filled_enough) && !m->failed) {
		at = m->nr * 3 * LEAF + pick(&state, 2 * LEAF);
		if (map(m->d, at, RAM, 1, NULL))
			m->failed = 1;
		else if (!reaches(m->dev, at * PG, RAM))
			m->failed = 2;
		if (unmap(m->d, at, 1) != 1)
			m->failed = 3;
		usleep(200);
	}
	rcu_unregister_thread();

	return NULL;
}

TEST_F(domain, the_worker_beside_mappers)
{
	struct mapper m[2] = { };
	pthread_t fill, work;
	unsigned int i;

	ASSERT_EQ(tce_domain_attach(self->d, self->dev), 0);
	machine_threads = true;
	filled_enough = false;
	pthread_create(&work, NULL, worker, NULL);
	pthread_create(&fill, NULL, filler, self->d);
	for (i = 0; i < ARRAY_SIZE(m); i++) {
		m[i] = (struct mapper) { .d = self->d, .nr = i, .dev = self->dev };
		pthread_create(&m[i].thread, NULL, short_mapper, m + i);
	}
	pthread_join(fill, NULL);
	pthread_join(work, NULL);
	for (i = 0; i < ARRAY_SIZE(m); i++) {
		pthread_join(m[i].thread, NULL);
		EXPECT_EQ(m[i].failed, 0);
	}
	machine_threads = false;
	EXPECT_GT(worker_ran, 0);
	/* The last one may have left it to the worker */
	host_run_works();
	EXPECT_EQ(bytes_of(self->d), 4096);
}

static bool looked_enough;

/* Looks at a page that is never mapped, beside one that comes and goes */
static void *looker(void *d)
{
	unsigned long found = 0;

	rcu_register_thread();
	while (!READ_ONCE(looked_enough))
		found |= ((struct iommu_domain *)d)->ops->iova_to_phys(d, 7 * PG);
	rcu_unregister_thread();

	return (void *)found;
}

/* The level that a look-up reads stays until it has read */
TEST_F(domain, look_up_beside_the_last_page)
{
	pthread_t thread;
	void *found;
	int i;

	machine_threads = true;
	looked_enough = false;
	pthread_create(&thread, NULL, looker, self->d);
	for (i = 0; i < 20000; i++) {
		ASSERT_EQ(map(self->d, 0, RAM, 1, NULL), 0);
		ASSERT_EQ(unmap(self->d, 0, 1), 1);
	}
	WRITE_ONCE(looked_enough, true);
	pthread_join(thread, &found);
	machine_threads = false;
	EXPECT_EQ(found, NULL);
}

TEST_HARNESS_MAIN
