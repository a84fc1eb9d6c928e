// SPDX-License-Identifier: GPL-2.0
/*
 * What requests cost: instructions of this processor (user and kernel) as its
 * PMU counts them, and time. Of each piece of work the least of several runs
 * is taken, after one that is not counted. Between two "===" lines is one line
 * per figure, with tabs between
 *
 *	what, per, x, instructions, ns, bytes, target
 *
 * x is a point of a growth curve, target the figure to stay under, and "-" is
 * written where there is none. A line that starts with # says why a figure is
 * missing.
 * Reports only: there is nothing here that can fail for being slow.
 *
 * With bench_pairs=N in the environment (for an init, the kernel's command line
 * does) it only measures one page, and then maps and unmaps it N times, for who
 * counts from outside. With bench_apart=M each time is M pages behind the time before,
 * so that levels are made.
 */
#include <glob.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib.h"

#define SKIP_CODE	4
#define RUNS		4		/* counted */
#define CALLS		64		/* the same for short requests */
#define LOOKS		3		/* at the memory that a table takes */
#define NONE		(~0ULL)		/* no figure */

#define RANGE		SZ_256M
#define RANGE_TCES	BIT_ULL(20)	/* of 4K, where the curve ends */
#define AREA		(RANGE_TCES * SZ_4K)
#define ALIASED		(64 * SZ_1M)	/* memory behind it, over and over */
#define REGIONS		4096
#define REGIONS_ROW	2048		/* the one that has a target */
#define PROBES		64		/* regions that are tried */
#define REGION_RUNS	16
#define HUGE_TCES	BIT_ULL(31)
#define SPARSE		16

struct cost {
	u64 insns;
	u64 ns;
};

enum work { MAP, AGAIN, UNMAP, WORKS };

static const struct cost no_cost = { NONE, NONE };
static struct cost failing = { NONE, NONE };	/* a request that fails */

static struct tce_dev dev;
static int container;
static int counter = -1;
static char *buf;		/* registered, RANGE bytes */

/* IOMMU pages of huge windows: the most that any memory can back */
static u32 page_shift;
static u64 page;

/* ---- counting ----------------------------------------------------------- */

/* To measure costs something itself; that is taken off */
static struct cost overhead;

static void check(const char *what, int ret)
{
	if (ret >= 0)
		return;
	printf("# %s: %s\n", what, strerror(-ret));
	exit(1);
}

static void missing(const char *what, int ret)
{
	printf("# no figure, %s: %s\n", what, strerror(-ret));
}

static int count_open(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_INSTRUCTIONS,
	};
	int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);

	return fd < 0 ? -errno : fd;
}

static u64 count(void)
{
	u64 value;

	if (read(counter, &value, sizeof(value)) != sizeof(value))
		check("reading the counter", -errno);
	return value;
}

static u64 nanoseconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void begin(struct cost *from)
{
	from->ns = nanoseconds();
	from->insns = count();
}

static void keep_least(u64 *least, u64 used, u64 off)
{
	used = used > off ? used - off : 0;
	if (used < *least)
		*least = used;
}

static void end(const struct cost *from, struct cost *least)
{
	u64 insns = count() - from->insns;
	u64 ns = nanoseconds() - from->ns;

	keep_least(&least->insns, insns, overhead.insns);
	keep_least(&least->ns, ns, overhead.ns);
}

static void measure_overhead(void)
{
	struct cost from, least = no_cost;
	int i;

	for (i = 0; i < CALLS; i++) {
		begin(&from);
		end(&from, &least);
	}
	overhead = least;
}

/* ---- reporting ---------------------------------------------------------- */

static void put_figure(u64 value, double units)
{
	if (value == NONE)
		printf("\t-");
	else
		printf("\t%.2f", value / units);
}

static void put_line(const char *what, const char *per, u64 x,
		     const struct cost *cost, u64 bytes, double units,
		     const char *target)
{
	printf("%s\t%s\t", what, per);
	if (x)
		printf("%llu", x);
	else
		printf("-");
	put_figure(cost->insns, units);
	put_figure(cost->ns, units);
	put_figure(bytes, units);
	printf("\t%s\n", target);
}

/* A line of the table */
static void report(const char *what, const char *per, const struct cost *cost,
		   double units, const char *target)
{
	put_line(what, per, 0, cost, NONE, units, target);
}

/* What a request costs more than one that fails on its argsz */
static void report_more(const char *what, const struct cost *cost,
			const char *target)
{
	struct cost more = no_cost;

	if (cost->insns != NONE && failing.insns != NONE)
		more.insns = cost->insns - failing.insns;
	report(what, "call", &more, 1, target);
}

static void report_bytes(const char *what, u64 bytes, const char *target)
{
	put_line(what, "window", 0, &no_cost, bytes, 1, target);
}

/* A point of a curve */
static void report_at(u64 x, const char *what, const char *per,
		      const struct cost *cost, double units)
{
	put_line(what, per, x, cost, NONE, units, "-");
}

static void report_bytes_at(u64 x, const char *what, u64 bytes)
{
	put_line(what, "TCE", x, &no_cost, bytes, SPARSE, "-");
}

/* ---- requests ----------------------------------------------------------- */

static int do_work(enum work work, void *va, u64 iova, u64 size,
		   struct cost *least)
{
	struct cost from;
	int ret;

	begin(&from);
	ret = work == UNMAP ? tce_unmap(container, iova, size) :
			      tce_map(container, iova, va, size, DMA_RW);
	end(&from, least);
	return ret;
}

/* Map, map over itself and unmap; an error of one of them ends it. */
static int do_works(void *va, u64 iova, u64 size, struct cost least[WORKS])
{
	int work, ret = 0;

	for (work = MAP; work < WORKS && ret >= 0; work++)
		ret = do_work(work, va, iova, size, &least[work]);
	if (ret < 0)
		missing(work > UNMAP ? "unmap" : "map", ret);
	return ret;
}

static void forget(struct cost cost[WORKS])
{
	int work;

	for (work = MAP; work < WORKS; work++)
		cost[work] = no_cost;
}

static void measure_works(void *va, u64 iova, u64 size, int runs,
			  struct cost cost[WORKS])
{
	int run;

	for (run = 0; run <= runs; run++) {
		/* The first run allocates levels and fills caches */
		if (run <= 1)
			forget(cost);
		if (do_works(va, iova, size, cost) < 0) {
			forget(cost);
			return;
		}
	}
}

static void bench_register(void)
{
	struct cost from, least = no_cost;
	int run;

	for (run = 0; run <= RUNS; run++) {
		if (run <= 1)
			least = no_cost;
		if (run)
			check("unregister",
			      tce_unregister(container, buf, RANGE));
		begin(&from);
		check("register", tce_register(container, buf, RANGE));
		end(&from, &least);
	}
	report("register 256 MiB", "page", &least, RANGE / sys_page_size(),
	       sys_radix() ? "583" : "87");
}

static void bench_range(u64 iova, u64 iommu_page,
			const char * const what[WORKS],
			const char * const targets[WORKS])
{
	struct cost cost[WORKS];
	int work;

	measure_works(buf, iova, RANGE, RUNS, cost);
	for (work = MAP; work < WORKS; work++)
		report(what[work], "TCE", &cost[work], RANGE / iommu_page,
		       targets[work]);
}

/* What any request costs: into the driver and out again with an error */
static void bench_failing(void)
{
	struct vfio_iommu_spapr_tce_info info = { .argsz = 1 };
	struct cost from;
	int i;

	for (i = 0; i < CALLS; i++) {
		begin(&from);
		tce_ioctl(container, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info);
		end(&from, &failing);
	}
	report("a request that fails on its argsz", "call", &failing, 1, "-");
}

/* ---- windows of 2^31 TCEs ----------------------------------------------- */

/* Two levels where the kernel can, as QEMU would ask. */
static int create_huge(u64 *start)
{
	u32 levels;
	int ret = -EINVAL;

	for (levels = 2; ret && levels <= 5; levels++)
		ret = tce_create(container, page_shift, HUGE_TCES * page,
				 levels, start);
	return ret;
}

/* Where the kernel has no such window, a small one */
static u64 create_some(void)
{
	u64 start;

	if (create_huge(&start))
		check("create",
		      tce_create_any(container, page_shift, SZ_1G, &start));
	return start;
}

static void bench_create(void)
{
	struct cost from, least = no_cost;
	int run, ret;
	u64 start;

	for (run = 0; run <= RUNS; run++) {
		if (run <= 1)
			least = no_cost;
		begin(&from);
		ret = create_huge(&start);
		end(&from, &least);
		if (ret) {
			missing("create", ret);
			least = no_cost;
			break;
		}
		check("remove", tce_remove(container, start));
	}
	report("create a window of 2^31 TCEs", "call", &least, 1, "20000");
}

/*
 * Levels may come from slabs, which keep some that are free: give them back, so
 * that what a table takes shows in the count of free pages.
 */
static void slabs_shrink(void)
{
	struct timespec settle = { .tv_nsec = 20000000 };
	glob_t g;
	size_t i;
	FILE *f;

	if (!glob("/sys/kernel/slab/*/shrink", 0, NULL, &g)) {
		for (i = 0; i < g.gl_pathc; i++) {
			f = fopen(g.gl_pathv[i], "w");
			if (!f)
				continue;
			fputs("1", f);
			fclose(f);
		}
		globfree(&g);
	}
	nanosleep(&settle, NULL);
}

struct sparse {
	struct cost map;
	struct cost unmap;
	s64 taken[LOOKS];
	u64 root;	/* charged for the window with nothing in it */
	u64 charged;
	u64 kept;	/* charged when all is unmapped again */
};

static int map_sparse(u64 start, u64 stride)
{
	int i, ret = 0;

	for (i = 0; !ret && i < SPARSE; i++)
		ret = tce_map(container, start + i * stride * page, buf, page,
			      DMA_RW);
	return ret;
}

/* A window is removed with all that is mapped in it */
static void bench_remove(void)
{
	struct cost from, least = no_cost;
	int run, ret;
	u64 start;

	for (run = 0; run <= RUNS; run++) {
		if (run <= 1)
			least = no_cost;
		ret = create_huge(&start);
		if (!ret)
			ret = map_sparse(start, HUGE_TCES / SPARSE);
		if (ret) {
			missing("remove", ret);
			least = no_cost;
			break;
		}
		begin(&from);
		check("remove", tce_remove(container, start));
		end(&from, &least);
	}
	report("remove it with 16 TCEs in it", "call", &least, 1, "60000");
}

/*
 * SPARSE TCEs, @stride TCEs apart, in a window of their own. The first runs
 * look at the memory; those after them are counted.
 */
static int sparse_run(u64 stride, int run, struct sparse *s)
{
	bool look = run < LOOKS;
	u64 start, vmlck = 0;
	struct cost from;
	s64 before = 0;
	int ret, err;

	if (run <= LOOKS) {
		s->map = no_cost;
		s->unmap = no_cost;
	}
	if (look) {
		slabs_shrink();
		before = sys_free_bytes();
		vmlck = sys_vmlck();
	}
	ret = create_huge(&start);
	if (ret)
		return ret;
	if (look)
		s->root = sys_vmlck() - vmlck;

	begin(&from);
	ret = map_sparse(start, stride);
	end(&from, &s->map);

	if (look) {
		s->charged = sys_vmlck() - vmlck;
		s->taken[run] = before - sys_free_bytes();
	}

	begin(&from);
	err = tce_unmap(container, start, SPARSE * stride * page);
	end(&from, &s->unmap);
	if (look)
		s->kept = sys_vmlck() - vmlck;

	check("remove", tce_remove(container, start));
	return ret ?: err;
}

/* Anybody may take or give back a page meanwhile. */
static u64 median(const s64 v[LOOKS])
{
	s64 low = v[0] < v[1] ? v[0] : v[1];
	s64 high = v[0] < v[1] ? v[1] : v[0];
	s64 mid = v[2] < low ? low : v[2] > high ? high : v[2];

	return mid < 0 ? 0 : mid;
}

/* The last one is spread over all of the window. */
static void curve_sparse(void)
{
	u64 stride, taken = NONE;
	struct sparse s = {};
	char root[24];
	int run, ret = 0;

	/* What is made once is there after this */
	sparse_run(HUGE_TCES / SPARSE, 0, &s);

	for (stride = 1; !ret && stride <= HUGE_TCES / SPARSE; stride *= 2) {
		for (run = 0; !ret && run < LOOKS + RUNS; run++)
			ret = sparse_run(stride, run, &s);
		taken = median(s.taken);
		if (ret) {
			missing("sparse", ret);
			s.map = no_cost;
			s.unmap = no_cost;
			s.charged = NONE;
			s.kept = NONE;
			taken = NONE;
		}
		report_at(stride, "map sparse", "TCE", &s.map, SPARSE);
		report_at(stride, "unmap sparse", "TCE", &s.unmap, SPARSE);
		report_bytes_at(stride, "allocated sparse", taken);
		report_bytes_at(stride, "charged sparse", s.charged);
	}

	report("unmap all of it with 16 TCEs in it", "call", &s.unmap, 1,
	       "60000");
	bench_remove();
	report_bytes("memory for 16 TCEs spread in it", taken, "1048576");
	report_bytes("charged for them and the window", s.charged, "1048576");
	/* Nothing but the root should be left */
	snprintf(root, sizeof(root), "%llu", s.root);
	report_bytes("charged when they are unmapped again", s.kept, root);
}

/* ---- number of regions -------------------------------------------------- */

static char *region(char *area, u64 i)
{
	return area + i * 2 * page;
}

/*
 * One page of regions from all over the first @n, in turn, so that no map is of
 * the same region as the one before; the mean.
 */
static void measure_regions(char *area, u64 iova, u64 n, struct cost sum[WORKS])
{
	static struct cost cost[PROBES][WORKS];
	u64 i, probes = n < PROBES ? n : PROBES;
	int work, run;

	forget(sum);
	for (run = 0; run <= REGION_RUNS; run++) {
		for (i = 0; i < probes; i++) {
			if (run <= 1)
				forget(cost[i]);
			if (do_works(region(area, i * n / probes), iova, page,
				     cost[i]) < 0)
				return;
		}
	}
	memset(sum, 0, WORKS * sizeof(*sum));
	for (i = 0; i < probes; i++) {
		for (work = MAP; work < WORKS; work++) {
			sum[work].insns += cost[i][work].insns;
			sum[work].ns += cost[i][work].ns;
		}
	}
	for (work = MAP; work < WORKS; work++) {
		sum[work].insns /= probes;
		sum[work].ns /= probes;
	}
}

static void report_growth(const char *what, const struct cost *one,
			  const struct cost *many, const char *target)
{
	printf("%s\tratio\t-", what);
	if (one->insns == NONE || many->insns == NONE)
		printf("\t-\t-");
	else
		printf("\t%.3f\t%.3f", (double)many->insns / one->insns,
		       (double)many->ns / one->ns);
	printf("\t-\t%s\n", target);
}

/* No region but these may be registered. */
static void curve_regions(char *area, u64 iova)
{
	struct cost one[WORKS] = { no_cost, no_cost, no_cost };
	struct cost row[WORKS] = { no_cost, no_cost, no_cost };
	struct cost cost[WORKS];
	u64 n, done = 0;
	int ret = 0;

	for (n = 1; n <= REGIONS; n *= 2) {
		for (; !ret && done < n; done++)
			ret = tce_register(container, region(area, done), page);
		if (ret) {
			missing("register many", ret);
			break;
		}
		measure_regions(area, iova, n, cost);
		report_at(n, "map among regions", "call", &cost[MAP], 1);
		report_at(n, "unmap among regions", "call", &cost[UNMAP], 1);
		if (n == 1)
			memcpy(one, cost, sizeof(one));
		if (n == REGIONS_ROW)
			memcpy(row, cost, sizeof(row));
	}
	if (ret)
		done--;
	while (done--)
		check("unregister many",
		      tce_unregister(container, region(area, done), page));

	report("map one page", "call", &one[MAP], 1, "-");
	report("unmap one page", "call", &one[UNMAP], 1, "-");
	report_more("map one page, less the failing one", &one[MAP], "450");
	report_more("unmap one page, less the failing one", &one[UNMAP], "400");
	report_growth("map one page: 2048 regions against 1", &one[MAP],
		      &row[MAP], "1.05");
}

/* ---- length of a range -------------------------------------------------- */

static void curve_range(char *area, u64 iova)
{
	struct cost cost[WORKS];
	int runs;
	u64 n;

	for (n = 1; n <= RANGE_TCES; n *= 2) {
		runs = n < 4096 ? CALLS : RUNS;
		measure_works(area, iova, n * SZ_4K, runs, cost);
		report_at(n, "map range", "TCE", &cost[MAP], n);
		report_at(n, "unmap range", "TCE", &cost[UNMAP], n);
	}
}

/* Many user addresses, a few pages of memory */
static char *alias_area(void)
{
	char *area = mem_alloc(AREA, SZ_16M, 0);
	int fd = memfd_create("bench", 0);
	void *va;
	u64 i;

	if (!area || fd < 0 || ftruncate(fd, ALIASED))
		check("memory for the curves", -ENOMEM);
	for (i = 0; i < AREA; i += ALIASED) {
		va = mmap(area + i, ALIASED, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0);
		if (va == MAP_FAILED)
			check("memory for the curves", -errno);
	}
	close(fd);
	return area;
}

/* ---- one page, for a profile -------------------------------------------- */

static void bench_pairs(unsigned long pairs, unsigned long apart)
{
	char *area = mem_alloc(page, page, MEM_POPULATE);
	struct cost map = no_cost, unmap = no_cost;
	u64 start = create_some();
	int run;

	if (!area)
		check("memory", -ENOMEM);
	check("register", tce_register(container, area, page));
	for (run = 0; run < CALLS; run++) {
		check("map", do_work(MAP, area, start, page, &map));
		check("unmap", do_work(UNMAP, area, start, page, &unmap));
	}
	bench_failing();
	report("map one page", "call", &map, 1, "-");
	report("unmap one page", "call", &unmap, 1, "-");

	/* No system calls but these */
	while (pairs--) {
		check("map", tce_map(container, start, area, page, DMA_RW));
		check("unmap", tce_unmap(container, start, page));
		start += apart * page;
	}
}

/* ---- all of it ---------------------------------------------------------- */

/* The default window, of 4K pages */
static void bench_default(void)
{
	static const char * const works[WORKS] = {
		"map 256 MiB by 4K pages", "map it over itself", "unmap it",
	};
	static const char * const targets[WORKS] = { "30", "-", "30" };

	bench_range(0, SZ_4K, works, targets);
	check("remove", tce_remove(container, 0));
}

static void bench_huge(void)
{
	const char * const works[WORKS] = {
		page == SZ_64K ? "map 256 MiB there by 64K pages" :
				 "map 256 MiB there by 4K pages",
		"map it over itself there", "unmap it there",
	};
	static const char * const targets[WORKS] = { "35", "60", "35" };
	int ret;
	u64 start;

	ret = create_huge(&start);
	if (ret) {
		missing("create", ret);
		return;
	}
	bench_range(start, page, works, targets);
	check("remove", tce_remove(container, start));
}

static void bench_regions(char *area)
{
	u64 start = create_some();

	curve_regions(area, start);
	check("remove", tce_remove(container, start));
}

static void bench_lengths(char *area)
{
	u64 start;
	int ret;

	check("create", tce_create_any(container, 12, AREA, &start));
	ret = tce_register(container, area, AREA);
	if (ret) {
		missing("register 4 GiB", ret);
	} else {
		curve_range(area, start);
		check("unregister", tce_unregister(container, area, AREA));
	}
	check("remove", tce_remove(container, start));
}

int main(void)
{
	const char *pairs = getenv("bench_pairs"), *apart = getenv("bench_apart");
	cpu_set_t cpu;
	char *area;

	setvbuf(stdout, NULL, _IOLBF, 0);
	counter = count_open();
	if (counter < 0) {
		printf("# SKIP no instruction counter: %s\n",
		       strerror(-counter));
		return SKIP_CODE;
	}
	if (tce_find_devs(&dev, 1) < 1) {
		printf("# SKIP no device for VFIO\n");
		return SKIP_CODE;
	}
	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	sched_setaffinity(0, sizeof(cpu), &cpu);

	page_shift = sys_tce_shift();
	page = BIT_ULL(page_shift);
	measure_overhead();
	container = tce_open(&dev, TCE_V2);
	check("container", container);
	if (pairs) {
		bench_pairs(strtoul(pairs, NULL, 0),
			    apart ? strtoul(apart, NULL, 0) : 0);
		tce_close(&dev, container);
		return 0;
	}
	buf = mem_alloc(RANGE, SZ_16M, MEM_POPULATE);
	if (!buf)
		check("memory", -ENOMEM);

	printf("=== bench begin ===\n");
	bench_register();
	bench_default();
	bench_create();
	bench_huge();
	curve_sparse();
	bench_failing();
	check("unregister", tce_unregister(container, buf, RANGE));
	mem_free(buf, RANGE);

	area = alias_area();
	bench_regions(area);
	bench_lengths(area);
	mem_free(area, AREA);
	printf("=== bench end ===\n");

	tce_close(&dev, container);
	return 0;
}
