// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel counts of tables, levels and pins: the same after a test: see lib.h.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "lib.h"

#define TABLES_FILE	"/sys/kernel/debug/spapr_tce/tables"

/*
 * Slab caches keep some slabs that are empty; these are free as well. Answers
 * how many bytes of objects are in use then, -1 if that cannot be known.
 */
static s64 shrink_level_caches(void)
{
	char path[64], text[32];
	unsigned int kib;
	s64 bytes = 0;
	int ret;

	for (kib = 4; kib <= 32; kib *= 2) {
		snprintf(path, sizeof(path), "/sys/kernel/slab/tce_level_%uk/shrink", kib);
		ret = sys_write_file(path, "1");
		if (ret == -ENOENT)
			continue;	/* a level is a page */
		snprintf(path, sizeof(path), "/sys/kernel/slab/tce_level_%uk/objects", kib);
		if (ret || sys_read_file(path, text, sizeof(text)))
			bytes = -1;
		else if (bytes >= 0)
			bytes += strtoll(text, NULL, 10) * kib * 1024;
	}
	return bytes;
}

s64 sys_level_bytes(void)
{
	s64 bytes = shrink_level_caches();
	s64 pages = sys_vmstat("nr_iommu_pages");

	return bytes < 0 || pages < 0 ? -1 : bytes + pages * (s64)sys_page_size();
}

s64 sys_free_bytes(void)
{
	char line[256];
	s64 pages;
	int count;
	FILE *f;

	shrink_level_caches();
	pages = sys_vmstat("nr_free_pages");

	/* Pages on per-CPU lists are free as well. */
	f = fopen("/proc/zoneinfo", "r");
	if (f) {
		while (fgets(line, sizeof(line), f))
			if (sscanf(line, " count: %d", &count) == 1)
				pages += count;
		fclose(f);
	}
	return pages * (s64)sys_page_size();
}

s64 sys_pinned(void)
{
	s64 got = sys_vmstat("nr_foll_pin_acquired");
	s64 put = sys_vmstat("nr_foll_pin_released");

	return got < 0 || put < 0 ? -1 : got - put;
}

s64 sys_pinned_wait(s64 want)
{
	struct timespec ms = { .tv_nsec = 10000000 };
	s64 pinned = sys_pinned();
	int i;

	for (i = 0; i < 200 && pinned >= 0 && pinned != want; i++) {
		nanosleep(&ms, NULL);
		pinned = sys_pinned();
	}
	return pinned < 0 ? want : pinned;
}

int tce_tables(struct tce_table_stat *st, int max)
{
	struct tce_table_stat t;
	char line[512];
	int n = 0;
	FILE *f = fopen(TABLES_FILE, "r");

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line,
			   "start=%llx page_shift=%u tces=%llu levels=%u level_shift=%u hw_bytes=%llu view_bytes=%llu charged_pages=%llu",
			   &t.start, &t.page_shift, &t.tces, &t.levels,
			   &t.level_shift, &t.hw_bytes, &t.view_bytes,
			   &t.charged_pages) != 8)
			continue;
		if (n < max)
			st[n] = t;
		n++;
	}
	fclose(f);
	return n;
}

void tce_leak_start_quick(struct tce_leak *l)
{
	l->vmlck = sys_vmlck();
	l->pinned = sys_pinned();
	l->tables = tce_tables(NULL, 0);
	l->levels = -1;
}

/* What a test before this one has unregistered may still be on its way out */
static void pins_settle(void)
{
	struct timespec wait = { .tv_nsec = 200000000 };
	s64 pinned = sys_pinned(), before = 0;
	int i;

	for (i = 0; i < 50 && pinned > 0 && pinned != before; i++) {
		before = pinned;
		nanosleep(&wait, NULL);
		pinned = sys_pinned();
	}
}

void tce_leak_start(struct tce_leak *l)
{
	pins_settle();
	tce_leak_start_quick(l);
	l->levels = sys_level_bytes();
}

static const char *leak_now(const struct tce_leak *l)
{
	static char text[128];
	struct tce_leak now;

	tce_leak_start_quick(&now);
	if (l->levels >= 0)
		now.levels = sys_level_bytes();
	if (now.vmlck != l->vmlck)
		snprintf(text, sizeof(text),
			 "VmLck was %llu and is %llu",
			 l->vmlck, now.vmlck);
	else if (now.pinned != l->pinned && now.pinned >= 0)
		snprintf(text, sizeof(text),
			 "%lld pages were pinned and %lld are",
			 l->pinned, now.pinned);
	else if (now.tables != l->tables && now.tables >= 0)
		snprintf(text, sizeof(text), "%d tables were there, now %d",
			 l->tables, now.tables);
	else if (now.levels != l->levels && now.levels >= 0)
		snprintf(text, sizeof(text),
			 "levels of tables took %lld bytes and take %lld",
			 l->levels, now.levels);
	else
		return NULL;
	return text;
}

const char *tce_leak_check(const struct tce_leak *l)
{
	struct timespec ms = { .tv_nsec = 10000000 };
	const char *text;
	int i;

	/*
	 * The last reference of a table may be given back by a worker, and
	 * /proc/vmstat lags by some seconds for who may not refresh it.
	 */
	for (i = 0; i < 500; i++) {
		text = leak_now(l);
		if (!text)
			break;
		nanosleep(&ms, NULL);
	}
	return text;
}
