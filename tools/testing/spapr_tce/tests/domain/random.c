// SPDX-License-Identifier: GPL-2.0-only
/*
 * Paging domains: requests at random against a reference, and threads.
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

TEST_F_TIMEOUT(domain, at_random, 300)
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

TEST_F_TIMEOUT(domain, threads, 120)
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
