// SPDX-License-Identifier: GPL-2.0-only
/*
 * Paging domains: levels come with what is mapped, and go.
 */

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

#define FAR		BIT(30)

static void unmap_the_last_beside(void)
{
	if (steps_before--)
		return;
	host_preempt = NULL;
	if (unmap(beside, FAR, 1) != 1)
		host_die("the last page was not mapped\n");
	host_run_works();
}

/* The last page goes while a flush has more levels than others are to wait for */
TEST_F(domain, the_last_goes_beside_a_large_flush)
{
	unsigned long nr = 1100 * LEAF;
	struct iommu_iotlb_gather gather;
	struct iommu_domain *d = self->d;
	unsigned int step;

	beside = d;
	/* Before the kill, after it, and while levels are freed */
	for (step = 0; step < 10; step++) {
		gather = (struct iommu_iotlb_gather) { .start = ULONG_MAX };
		ASSERT_EQ(map(d, 0, RAM, nr, NULL), 0);
		ASSERT_EQ(map(d, FAR, RAM, 1, NULL), 0);
		EXPECT_EQ(d->ops->unmap_pages(d, 0, PG, nr, &gather), nr * PG);
		steps_before = step;
		host_preempt = unmap_the_last_beside;
		d->ops->iotlb_sync(d, &gather);
		EXPECT_EQ(host_preempt, NULL);
		EXPECT_EQ(bytes_of(d), 4096);
	}
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
	/* It takes long: works of others would wait for it */
	WARN_ON(host_work_of_system());
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
