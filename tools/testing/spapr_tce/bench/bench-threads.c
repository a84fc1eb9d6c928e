// SPDX-License-Identifier: GPL-2.0-only
/*
 * How much more two threads map and unmap in one container than one thread does:
 * requests as in bench.c, by one thread and by two, in turns. In a container each they
 * share nothing but the registry of memory: the rest of 2.00 is the machine's.
 *
 * Usage: bench-threads [MS [ROUNDS]]: each thread runs for MS (3) milliseconds in each
 * of ROUNDS (20). A line for each kind, with tabs between:
 *
 *   threads	containers	1: both use one, 2: one each
 *   windows	1: both map in ranges of one window, 2: in one each
 *   regions	of memory; each thread maps its own, or both the same
 *   x		how many TCEs one request is for
 *   one	million TCEs mapped and unmapped in a second by one thread
 *   two	the same by two, together
 *   ratio	"-" where two threads never ran at the same time
 *
 * Others may need the processors. So a round counts only if each thread had one for
 * nearly all of it, as processor time and time say; and of those, the median.
 */
#include <pthread.h>
#include <time.h>

#include "host.h"

#define PAGES		4096UL
#define SHIFT		16
#define TURN		16	/* requests between two looks at the clock's flag */

static struct host_container containers[2];
static struct mm_struct *mm;
static u64 starts[2];	/* of the windows, in either container */
static bool begin, stop;

struct job {
	void *container;
	u64 iova;
	u64 ua;
	unsigned long nr;
	unsigned long done;	/* TCEs */
	u64 taken;
	u64 had;		/* of that, with a processor */
	pthread_t thread;
} __aligned(256);

static u64 now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);

	return ts.tv_sec * 1000000000UL + ts.tv_nsec;
}

static void map_and_unmap(const struct job *job)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = RW,
		.vaddr = job->ua,
		.iova = job->iova,
		.size = job->nr << SHIFT,
	};
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = job->iova,
		.size = job->nr << SHIFT,
	};

	if (host_driver->ioctl(job->container, VFIO_IOMMU_MAP_DMA,
			       (unsigned long)&map) ||
	    host_driver->ioctl(job->container, VFIO_IOMMU_UNMAP_DMA,
			       (unsigned long)&unmap))
		host_die("a request has failed\n");
}

static void *work(void *arg)
{
	struct job *job = arg;
	unsigned long done = 0;
	int i;

	current->mm = mm;
	while (!__atomic_load_n(&begin, __ATOMIC_ACQUIRE))
		;
	job->taken = now(CLOCK_MONOTONIC);
	job->had = now(CLOCK_THREAD_CPUTIME_ID);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		for (i = 0; i < TURN; i++)
			map_and_unmap(job);
		done += TURN * job->nr;
	}
	job->had = now(CLOCK_THREAD_CPUTIME_ID) - job->had;
	job->taken = now(CLOCK_MONOTONIC) - job->taken;
	job->done = done;

	return NULL;
}

/* TCEs in a nanosecond of @nr threads together; 0 if the round does not count */
static double run(struct job *jobs, int nr, unsigned long ms)
{
	struct timespec ts = { .tv_nsec = ms * 1000000 };
	double rate = 0;
	bool all = true;
	int i;

	begin = false;
	stop = false;
	for (i = 0; i < nr; i++)
		pthread_create(&jobs[i].thread, NULL, work, jobs + i);
	__atomic_store_n(&begin, true, __ATOMIC_RELEASE);
	nanosleep(&ts, NULL);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < nr; i++) {
		pthread_join(jobs[i].thread, NULL);
		rate += (double)jobs[i].done / jobs[i].taken;
		all &= jobs[i].had > jobs[i].taken - jobs[i].taken / 16 &&
			jobs[i].taken < 2 * ms * 1000000;
	}

	return all ? rate : 0;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Of up to MOST rounds, those of two threads that ran at the same time may be few */
#define MOST		400

static double median(struct job *jobs, int nr, unsigned long ms, unsigned long rounds)
{
	static double rates[MOST];
	unsigned long i, n = 0;

	for (i = 0; i < MOST && n < rounds; i++) {
		rates[n] = run(jobs, nr, ms);
		n += rates[n] > 0;
	}
	qsort(rates, n, sizeof(double), compare);

	return n ? rates[n / 2] : 0;
}

static void open_container(struct host_container *c, struct host_pe *hpe)
{
	if (vfio_attach(c, hpe) ||
	    vfio_set_iommu(c, VFIO_SPAPR_TCE_v2_IOMMU) || req_remove(c, 0) ||
	    req_create(c, SHIFT, 1UL << 32, 1, starts) ||
	    req_create(c, SHIFT, 1UL << 32, 1, starts + 1) ||
	    req_register(c, host_ua(UA_END), PAGES << SHIFT) ||
	    req_register(c, host_ua(UA_END + PAGES), PAGES << SHIFT))
		host_die("no windows\n");
}

static void close_container(struct host_container *c)
{
	req_remove(c, starts[1]);
	req_remove(c, starts[0]);
	vfio_close(c);
}

static void compare_threads(int nr_containers, int windows, int regions,
			    unsigned long nr, unsigned long ms, unsigned long rounds)
{
	struct job jobs[2] = {
		{
			.container = containers[0].data,
			.iova = starts[0],
			.ua = host_ua(UA_END),
			.nr = nr,
		}, {
			.container = containers[nr_containers - 1].data,
			.iova = windows == 2 ? starts[1] : starts[0] + (PAGES << SHIFT),
			.ua = host_ua(UA_END + (regions == 2 ? PAGES : 0)),
			.nr = nr,
		},
	};
	double one = median(jobs, 1, ms, rounds), two = median(jobs, 2, ms, rounds);

	printf("threads\t%d\t%d\t%d\t%lu\t%.2f\t%.2f\t", nr_containers, windows,
	       regions, nr, one * 1000, two * 1000);
	printf(one && two ? "%.2f\n" : "-\n", two / one);
}

int main(int argc, char **argv)
{
	unsigned long ms = argc > 1 ? strtoul(argv[1], NULL, 0) : 3;
	unsigned long rounds = argc > 2 ? strtoul(argv[2], NULL, 0) : 20;
	int windows, regions;
	unsigned long nr;

	machine_init();
	mm = mm_create(1UL << 40);
	mm_fill(mm, UA_END, 2 * PAGES, 0);
	current->mm = mm;
	open_container(containers, host_pes);
	open_container(containers + 1, host_pes + 1);

	for (nr = 1; nr <= PAGES; nr *= 16)
		compare_threads(2, 2, 2, nr, ms, rounds);
	for (windows = 2; windows; windows--)
		for (regions = 2; regions; regions--)
			for (nr = 1; nr <= PAGES; nr *= 16)
				compare_threads(1, windows, regions, nr, ms, rounds);

	close_container(containers + 1);
	close_container(containers);
	host_settle();
	mm_destroy(mm);
	machine_reset();

	return 0;
}
