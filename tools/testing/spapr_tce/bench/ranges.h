/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a page costs to map and to unmap in ranges of memory, by ops of a paging
 * domain as the IOMMU API calls them: for bench-domain.c and generic-pt.c, which
 * have map() and unmap().
 *
 * A line for each size of range, with tabs between: pages, what, ns for each of
 * them to map and to unmap (median), instructions for each of them to map and to unmap ("-"
 * where they were not counted; by single steps where the processor does not count).
 */
#ifndef BENCH_RANGES_H
#define BENCH_RANGES_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "steps.h"

/* A range begins in a leaf; where it lies in memory is aligned otherwise */
#define AT	((1UL << 30) + 8 * PAGE_SIZE)

static void map(unsigned long iova, unsigned long nr);
static void unmap(unsigned long iova, unsigned long nr);

static unsigned long ranges_ns = 50000000;	/* for each line */

static unsigned long ranges_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);

	return t.tv_sec * 1000000000UL + t.tv_nsec;
}

/* Instructions of a child that calls @fn */
static long ranges_steps(void (*fn)(unsigned long, unsigned long),
			 unsigned long nr)
{
	pid_t pid = steps_begin();

	if (!pid) {
		if (fn)
			fn(AT, nr);
		steps_end();
	}

	return steps_count(pid);
}

static int ranges_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double ranges_median(double *samples, unsigned long n)
{
	qsort(samples, n, sizeof(*samples), ranges_compare);

	return samples[n / 2];
}

static void ranges_line(unsigned long nr, const char *what, int count)
{
	static double t[3][20000];
	/* The clock is too coarse for a few pages */
	unsigned long times = nr < 64 ? 64 / nr : 1, i;
	unsigned long began = ranges_now(), a, b, c, d, n = 0;
	double idle, median[2];
	long none, steps[2];

	/* Caches of levels are filled, too */
	map(AT, nr);
	unmap(AT, nr);
	do {
		a = ranges_now();
		for (i = 0; i < times; i++)
			map(AT + i * nr * PAGE_SIZE, nr);
		b = ranges_now();
		for (i = 0; i < times; i++)
			unmap(AT + i * nr * PAGE_SIZE, nr);
		c = ranges_now();
		d = ranges_now();
		t[0][n] = b - a;
		t[1][n] = c - b;
		t[2][n] = d - c;
	} while (++n < 20000 && d - began < ranges_ns);
	idle = ranges_median(t[2], n);
	median[0] = (ranges_median(t[0], n) - idle) / nr / times;
	median[1] = (ranges_median(t[1], n) - idle) / nr / times;
	printf("%lu\t%s\t%.3f\t%.3f\t", nr, what, median[0], median[1]);
	if (!count) {
		printf("-\t-\n");
		return;
	}
	none = ranges_steps(NULL, 0);
	steps[0] = ranges_steps(map, nr);
	map(AT, nr);
	steps[1] = ranges_steps(unmap, nr);
	unmap(AT, nr);
	printf("%.2f\t%.2f\n", (double)(steps[0] - none) / nr,
	       (double)(steps[1] - none) / nr);
}

/* The domain is never empty meanwhile, as that of a guest is not */
static void ranges_lines(int count)
{
	unsigned long nr;

	map(AT - PAGE_SIZE, 1);
	for (nr = 1; nr <= 4096; nr *= 4)
		ranges_line(nr, "range", count && nr <= 256);
	unmap(AT - PAGE_SIZE, 1);
}

#endif
