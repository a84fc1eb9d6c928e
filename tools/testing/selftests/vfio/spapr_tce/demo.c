// SPDX-License-Identifier: GPL-2.0
/*
 * What "make run" shows: memory is registered, a DMA window of 2^31 entries
 * made, 16 of them spread over it, and a device moves data through them.
 * Every figure is what the kernel reports at that moment. Exits 0 only when
 * everything was as it must be, 4 where the machine cannot show it.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib.h"

#define TCES		16
#define LEN		EDU_MAX_LEN
#define SKIP_CODE	4

static struct tce_dev dev;
static int container = -1;
static int failures;

/* ---- how it looks ------------------------------------------------------- */

/* "12.5 MiB"; whole numbers without a fraction. Good for a few calls. */
static const char *human(u64 bytes)
{
	static const char * const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	static char ring[8][16];
	static unsigned int next;
	char *text = ring[next++ % 8];
	double v = bytes;
	int u = 0;

	while (v >= 1024 && u < 4) {
		v /= 1024;
		u++;
	}
	snprintf(text, sizeof(ring[0]), v == (u64)v ? "%.0f %s" : "%.1f %s", v,
		 units[u]);
	return text;
}

/* "1,234,567" */
static const char *exact(u64 n)
{
	static char ring[8][32];
	static unsigned int next;
	char *text = ring[next++ % 8], *p = text + sizeof(ring[0]) - 1;
	int digits = 0;

	*p = 0;
	do {
		if (digits && digits % 3 == 0)
			*--p = ',';
		*--p = '0' + n % 10;
		digits++;
		n /= 10;
	} while (n);
	return p;
}

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

static void rule(void)
{
	static const char dashes[] = "--------------------------------";

	printf("  --  %.32s  %.10s  %.21s  %.23s\n", dashes, dashes, dashes, dashes);
}

static void head(void)
{
	printf("  %2s  %-32s  %10s  %21s  %23s\n", "", "", "",
	       "TCE tables allocated", "charged (VmLck)");
	printf("  %2s  %-32s  %10s  %9s  %10s  %9s  %12s\n", "", "step", "time",
	       "", "bytes", "", "bytes");
	rule();
}

/* Bytes of all tables in user hands: what the device walks, and the view. */
static bool table_bytes(u64 *hw, u64 *view, struct tce_table_stat *st)
{
	struct tce_table_stat all[8];
	int i, n = tce_tables(all, 8);

	*hw = 0;
	*view = 0;
	if (n < 0)
		return false;
	for (i = 0; i < n && i < 8; i++) {
		*hw += all[i].hw_bytes;
		*view += all[i].view_bytes;
		*st = all[i];
	}
	return true;
}

/* One line: what was done, how long it took (@ms, if any), what is used now. */
static void row(const char *step, double ms)
{
	struct tce_table_stat st;
	static int nr;
	char took[32] = "", t1[16] = "?", t2[32] = "?";
	u64 hw, view, vmlck = sys_vmlck();

	if (ms >= 0)
		snprintf(took, sizeof(took), "%.2f ms", ms);
	if (table_bytes(&hw, &view, &st)) {
		snprintf(t1, sizeof(t1), "%s", human(hw + view));
		snprintf(t2, sizeof(t2), "%s", exact(hw + view));
	}
	printf("  %2d  %-32s  %10s  %9s  %10s  %9s  %12s\n", ++nr, step, took,
	       t1, t2, human(vmlck), exact(vmlck));
	fflush(stdout);
}

static void note(const char *name, const char *text)
{
	printf("      %-9s %s\n", name, text);
}

/* Say what is wrong, where it is; the rest is shown all the same. */
static bool must(bool ok, const char *what)
{
	if (!ok) {
		failures++;
		printf("      FAILED    %s\n", what);
	}
	return ok;
}

static int done(int code)
{
	tce_close(&dev, container);
	puts("=== demo end ===");
	fflush(stdout);
	return code;
}

/* What tce-map draws a picture of, where the kernel has it. */
static void map_files(void)
{
	glob_t found;
	size_t i;

	if (glob("/sys/kernel/debug/spapr_tce/table-*/map", 0, NULL, &found))
		return;
	puts("=== map begin ===");
	for (i = 0; i < found.gl_pathc; i++) {
		FILE *map = fopen(found.gl_pathv[i], "r");
		char line[256];

		while (map && fgets(line, sizeof(line), map))
			fputs(line, stdout);
		if (map)
			fclose(map);
	}
	globfree(&found);
	puts("=== map end ===");
}

/* ---- the data ----------------------------------------------------------- */

static u32 crc32(const void *data, size_t len)
{
	const unsigned char *p = data;
	u32 crc = ~0U;
	int bit;

	while (len--) {
		crc ^= *p++;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

/* Through entry @a of the window the device reads, through @b it writes. */
static void move(char *mem, size_t page, u64 start, u64 step, int a, int b)
{
	char *from = mem + a * page, *to = mem + b * page;
	u32 sum_from, sum_to;
	bool ok;
	int ret;

	mem_fill(from, page, a + 1);
	memset(to, 0, page);
	ret = edu_read_ram(&dev, start + a * step, 0, LEN);
	if (!ret)
		ret = edu_write_ram(&dev, start + b * step, 0, LEN);
	sum_from = crc32(from, LEN);
	sum_to = crc32(to, LEN);
	ok = !ret && sum_from == sum_to && mem_check(to, LEN, a + 1) &&
	     mem_check(from, page, a + 1) && !to[LEN] && !to[page - 1];
	printf("      0x%015llx  %08x   ->   0x%015llx  %08x   %s\n",
	       start + a * step, sum_from, start + b * step, sum_to,
	       ok ? "same" : "DIFFERENT");
	fflush(stdout);
	if (!ok)
		failures++;
}

/*
 * Entry @gone is unmapped, @live is not. The device has to write to @gone, and
 * to read from there; neither may reach the memory that was mapped there.
 */
static void refused(char *mem, size_t page, u64 start, u64 step, int gone,
		    int live)
{
	char *secret = mem + gone * page, *out = mem + live * page;
	u32 before, after, seen;

	mem_fill(secret, page, 100);
	mem_fill(out, page, 200);
	before = crc32(secret, page);
	/* the device has other data; then it is told to write it there */
	must(!edu_read_ram(&dev, start + live * step, 0, LEN),
	     "the mapped entry can no longer be read");
	edu_write_ram(&dev, start + gone * step, 0, LEN);
	edu_recover(&dev, container);
	after = crc32(secret, page);
	printf("      write to  %#llx: memory was %08x and is %08x: %s\n",
	       start + gone * step, before, after,
	       before == after ? "refused" : "REACHED MEMORY");
	if (before != after)
		failures++;

	/* read from there; what the device got goes where we can see it */
	edu_read_ram(&dev, start + gone * step, 0, LEN);
	edu_recover(&dev, container);
	memset(out, 0, page);
	must(!edu_write_ram(&dev, start + live * step, 0, LEN),
	     "the mapped entry can no longer be written");
	seen = crc32(out, LEN);
	before = crc32(secret, LEN);
	printf("      read from %#llx: memory is %08x, device has %08x: %s\n",
	       start + gone * step, before, seen,
	       before != seen ? "refused" : "READ MEMORY");
	if (before == seen)
		failures++;
}

int main(void)
{
	struct vfio_iommu_spapr_tce_info info;
	struct tce_table_stat st = { 0 };
	size_t page = sys_page_size(), size = 64 * SZ_1M;
	u64 hw, view, start = 0, window, step, base, empty, full;
	s64 pinned;
	unsigned int shift, levels, i;
	char text[160];
	bool told;
	char *mem;
	double t;
	int ret = 0;

	puts("=== demo begin ===");
	if (!tce_find_devs(&dev, 1) || !dev.edu) {
		puts("There is no edu device: nothing to do DMA with.");
		return done(SKIP_CODE);
	}
	base = sys_vmlck();
	pinned = sys_pinned();
	container = tce_open(&dev, TCE_V2);
	if (container < 0 || tce_get_info(container, &info) ||
	    !(info.flags & VFIO_IOMMU_SPAPR_INFO_DDW)) {
		puts("There are no dynamic DMA windows here.");
		return done(SKIP_CODE);
	}
	levels = info.ddw.levels < 2 ? 1 : 2;
	shift = page >= SZ_64K && info.ddw.pgsizes & SZ_64K ? 16 : 12;
	window = BIT_ULL(sys_tce_bits() + shift);

	printf("Device %s (QEMU's edu), IOMMU group %d; %s, %s MMU, system pages of %s\n\n",
	       dev.bdf, dev.group_id, sys_powernv() ? "PowerNV" : "pSeries",
	       sys_radix() ? "radix" : "hash", human(page));
	head();
	row("start", -1);

	/* memory */
	mem = mem_alloc(size, 0, 0);
	t = now_ms();
	if (mem)
		ret = tce_register(container, mem, size);
	t = now_ms() - t;
	if (!must(mem && !ret, "REGISTER_MEMORY"))
		return done(1);
	snprintf(text, sizeof(text), "register %s of memory", human(size));
	row(text, t);
	must(sys_vmlck() == base + size, "charged other than what is pinned");

	/* the window; the default one, that nobody asked for, must not count */
	must(!tce_remove(container, 0), "TCE_REMOVE of the default window");
	do {
		t = now_ms();
		ret = tce_create(container, shift, window, levels, &start);
		t = now_ms() - t;
	} while (ret && (window /= 2) >= SZ_512M);
	step = window / TCES;
	if (!must(!ret, "TCE_CREATE"))
		return done(1);
	snprintf(text, sizeof(text), "make a window of %s", human(window));
	row(text, t);
	empty = sys_vmlck() - base - size;
	told = table_bytes(&hw, &view, &st);

	/* 16 entries */
	t = now_ms();
	for (i = 0; i < TCES && !ret; i++)
		ret = tce_map(container, start + i * step, mem + i * page,
			      BIT_ULL(shift), DMA_RW);
	t = now_ms() - t;
	if (!must(!ret, "MAP_DMA"))
		return done(1);
	snprintf(text, sizeof(text), "map %u TCEs, %s apart", TCES, human(step));
	row(text, t);
	map_files();
	full = sys_vmlck() - base - size;
	must(full < SZ_1M, "16 TCEs cost 1 MiB and more");
	if (told) {
		table_bytes(&hw, &view, &st);
		must(st.charged_pages * page == full,
		     "debugfs and VmLck tell different charges");
		must(full >= hw + view && full < hw + view + 2 * page,
		     "charged other than what is allocated");
	}

	/* data */
	t = now_ms();
	puts("\n      the device reads at   CRC-32           and writes at      CRC-32");
	if (must(!tce_dev_open(&dev), "registers of the device")) {
		for (i = 0; i < TCES / 2; i++)
			move(mem, page, start, step, i, TCES - 1 - i);
	}
	puts("");
	snprintf(text, sizeof(text), "%u DMA transfers of %s bytes", TCES,
		 exact(LEN));
	row(text, now_ms() - t);

	/* and none */
	t = now_ms();
	ret = tce_unmap(container, start + step, (TCES - 1) * step);
	t = now_ms() - t;
	must(!ret, "UNMAP_DMA");
	snprintf(text, sizeof(text), "unmap %u of the TCEs", TCES - 1);
	row(text, t);
	puts("");
	if (dev.bar0) {
		t = now_ms();
		refused(mem, page, start, step, 3, 0);
		puts("");
		row("DMA where nothing is mapped", now_ms() - t);
	}
	must(tce_unregister(container, mem, size) == -EBUSY,
	     "memory that is mapped could be unregistered");

	t = now_ms();
	ret = tce_remove(container, start);
	t = now_ms() - t;
	must(!ret, "TCE_REMOVE");
	row("remove the window", t);
	t = now_ms();
	ret = tce_unregister(container, mem, size);
	t = now_ms() - t;
	must(!ret, "UNREGISTER_MEMORY");
	row("unregister the memory", t);
	tce_close(&dev, container);
	container = -1;
	row("close the container", -1);
	rule();
	must(sys_vmlck() == base, "VmLck is not where it was");
	must(sys_pinned() == pinned, "pages stay pinned");
	if (told)
		must(!tce_tables(NULL, 0), "a table stays behind");

	puts("");
	snprintf(text, sizeof(text), "%s = %s bytes at %#llx, pages of %s",
		 human(window), exact(window), start, human(BIT_ULL(shift)));
	note("window", text);
	snprintf(text, sizeof(text), "%s possible: %s of entries if they were all there",
		 exact(window >> shift), human((window >> shift) * 8));
	note("TCEs", text);
	if (told) {
		snprintf(text, sizeof(text), "%u (asked for %u), of %s each",
			 st.levels, levels, human(BIT_ULL(st.level_shift)));
		note("levels", text);
		snprintf(text, sizeof(text),
			 "%s of TCE levels and %s of user addresses with %u TCEs",
			 human(hw), human(view), TCES);
		note("allocated", text);
	}
	snprintf(text, sizeof(text), "%s bytes for the window, %s with %u TCEs in it",
		 exact(empty), exact(full), TCES);
	note("charged", text);
	if (failures)
		snprintf(text, sizeof(text), "%d FAILED", failures);
	else
		snprintf(text, sizeof(text),
			 "data moved, the rest refused, memory back to where it was");
	note("result", text);
	return done(failures ? 1 : 0);
}
