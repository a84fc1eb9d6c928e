// SPDX-License-Identifier: GPL-2.0
/*
 * What requests cost, in instructions of this processor (user and kernel),
 * counted by the PMU. Prints one line per work: what it is, a tab, the figure,
 * a tab, and the figure to stay under ("-" where there is none).
 * Reports only: there is nothing here that can fail for being slow.
 */
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
#define RANGE		SZ_256M
#define REGIONS		2048
#define SPARSE		16
#define HUGE_TCES	BIT_ULL(31)

static struct tce_dev dev;
static int container;
static int counter = -1;

static void die(const char *what, int err)
{
	printf("# %s: %s\n", what, strerror(-err));
	exit(1);
}

static void check(const char *what, int ret)
{
	if (ret < 0)
		die(what, ret);
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

/* Reading the counter costs something itself; take that off a difference */
static u64 overhead;

static u64 count(void)
{
	u64 value;

	if (read(counter, &value, sizeof(value)) != sizeof(value))
		die("reading the counter", -errno);
	return value;
}

static void report(const char *what, u64 n, u64 units, const char *target)
{
	printf("%s\t%.1f\t%s\n", what, (double)n / units, target);
}

static void measure_overhead(void)
{
	u64 t[2], least = ~0ULL;
	int i;

	for (i = 0; i < 64; i++) {
		t[0] = count();
		t[1] = count();
		if (t[1] - t[0] < least)
			least = t[1] - t[0];
	}
	overhead = least;
}

/* Map, map again and unmap the whole of @buf at @iova. */
static void bench_range(const char *pages, void *buf, u64 iova,
			unsigned int page_shift, const char * const targets[3])
{
	static const char * const works[] = {
		"map a range", "map it over itself", "unmap it"
	};
	u64 n = RANGE >> page_shift, t[4];
	char what[64];
	int i;

	/* Levels are there from the second time on */
	check("map", tce_map(container, iova, buf, RANGE, DMA_RW));
	check("unmap", tce_unmap(container, iova, RANGE));

	t[0] = count();
	check("map", tce_map(container, iova, buf, RANGE, DMA_RW));
	t[1] = count();
	check("map again", tce_map(container, iova, buf, RANGE, DMA_RW));
	t[2] = count();
	check("unmap", tce_unmap(container, iova, RANGE));
	t[3] = count();

	for (i = 0; i < 3; i++) {
		snprintf(what, sizeof(what), "%s, %s pages: /TCE", works[i],
			 pages);
		report(what, t[i + 1] - t[i], n, targets[i]);
	}
}

/* The cost of mapping one page, @times over */
static u64 bench_single(void *buf, u64 iova, u64 *unmap, int times)
{
	u64 map = 0, t[3];
	int i;

	*unmap = 0;
	for (i = 0; i < times + 16; i++) {
		t[0] = count();
		check("map one", tce_map(container, iova, buf, SZ_64K, DMA_RW));
		t[1] = count();
		check("unmap one", tce_unmap(container, iova, SZ_64K));
		t[2] = count();
		/* Not the first ones, they fill caches */
		if (i < 16)
			continue;
		map += t[1] - t[0] - overhead;
		*unmap += t[2] - t[1] - overhead;
	}
	return map / times;
}

/* What any request costs: into the driver and out again with an error */
static void bench_failing(void)
{
	struct vfio_iommu_spapr_tce_info info = { .argsz = 1 };
	u64 before;

	tce_ioctl(container, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info);
	before = count();
	tce_ioctl(container, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info);
	report("a request that fails on its argsz: /call",
	       count() - before - overhead, 1, "-");
}

static void bench_regions(void *buf, u64 iova)
{
	char *many = mem_alloc(REGIONS * SZ_64K * 2, SZ_64K, 0);
	u64 one, all, unmap;
	int i;

	one = bench_single(buf, iova, &unmap, 256);
	report("map one page: /call", one, 1, "1300");
	report("unmap one page: /call", unmap, 256, "1300");

	for (i = 0; i < REGIONS; i++)
		check("register many",
		      tce_register(container, many + i * SZ_64K * 2, SZ_64K));
	all = bench_single(buf, iova, &unmap, 256);
	report("map one page, 2048 regions against 1: ratio", all, one, "1.15");
	for (i = 0; i < REGIONS; i++)
		check("unregister many",
		      tce_unregister(container, many + i * SZ_64K * 2, SZ_64K));
	mem_free(many, REGIONS * SZ_64K * 2);
}

static s64 free_before;

static u64 bench_window(void)
{
	u64 start, before;

	free_before = sys_free_bytes();
	before = count();

	check("create",
	      tce_create_any(container, 16, HUGE_TCES * SZ_64K, &start));
	report("create a window of 2^31 TCEs: /call", count() - before, 1,
	       "200000");
	return start;
}

static void bench_sparse(void *buf, u64 start, u64 vmlck)
{
	u64 before;
	u64 step = HUGE_TCES / SPARSE * SZ_64K;
	int i;

	for (i = 0; i < SPARSE; i++)
		check("map sparse",
		      tce_map(container, start + i * step, buf, SZ_64K, DMA_RW));
	report("16 TCEs spread in it: bytes of memory",
	       free_before - sys_free_bytes(), 1, "1048576");
	report("16 TCEs spread in it: bytes charged", sys_vmlck() - vmlck, 1,
	       "1048576");

	before = count();
	check("unmap all", tce_unmap(container, start, HUGE_TCES * SZ_64K));
	report("unmap all of it: /call", count() - before, 1, "200000");
}

int main(void)
{
	static const char * const targets_4k[] = { "30", "-", "30" };
	static const char * const targets_64k[] = { "35", "60", "35" };
	u64 t[2], start, vmlck;
	cpu_set_t cpu;
	void *buf;

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

	measure_overhead();
	container = tce_open(&dev, TCE_V2);
	check("container", container);
	buf = mem_alloc(RANGE, SZ_16M, MEM_POPULATE);

	printf("=== bench begin ===\n");
	t[0] = count();
	check("register", tce_register(container, buf, RANGE));
	t[1] = count();
	report("register 256 MiB: /page", t[1] - t[0], RANGE / sys_page_size(),
	       sys_radix() ? "583" : "87");

	/* The default window, of 4K pages */
	bench_range("4K", buf, 0, 12, targets_4k);
	check("remove", tce_remove(container, 0));

	vmlck = sys_vmlck();
	start = bench_window();
	bench_sparse(buf, start, vmlck);
	bench_range("64K", buf, start, 16, targets_64k);
	bench_failing();
	bench_regions(buf, start);

	check("unregister", tce_unregister(container, buf, RANGE));
	printf("=== bench end ===\n");
	mem_free(buf, RANGE);
	tce_close(&dev, container);
	return 0;
}
