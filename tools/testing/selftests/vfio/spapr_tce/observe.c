// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel tells of TCE tables to who looks from outside: debugfs, fdinfo
 * of the container, trace events. All that is told is compared with what was
 * requested, and with VmLck.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "kvm_guest.h"

#define DEBUGFS		"/sys/kernel/debug/spapr_tce"
#define PAGES		32
#define TEXT_MAX	65536
#define READERS		2
#define SECONDS		4

#define NO_FILE		(~0ULL)

/* ---- reading ------------------------------------------------------------ */

static char text[TEXT_MAX];

/* All of a file, or as much as there is room for; its length or -errno */
static long read_into(const char *path, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n = 1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	while (len < size - 1 && n > 0) {
		n = read(fd, buf + len, size - 1 - len);
		if (n > 0)
			len += n;
	}
	n = n < 0 ? -errno : (ssize_t)len;
	close(fd);
	buf[len] = 0;
	return n;
}

/* A file of a table, in @text */
static long read_table(u64 table, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUGFS "/table-%llu/%s", table, name);
	return read_into(path, text, sizeof(text));
}

static long read_fdinfo(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return read_into(path, text, sizeof(text));
}

/* The number behind @name at the beginning of a line of @text */
static u64 number(const char *name)
{
	size_t len = strlen(name);
	char *line;

	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, len) && strchr("\t:", line[len]))
			return strtoull(line + len + strspn(line + len, ":\t"),
					NULL, 0);
	}
	return NO_FILE;
}

static u64 info(u64 table, const char *name)
{
	return read_table(table, "info") < 0 ? NO_FILE : number(name);
}

static u64 fdinfo(int fd, const char *name)
{
	return read_fdinfo(fd) < 0 ? NO_FILE : number(name);
}

/* How often there is @what in a file of a table; -1 without the file */
static int times(u64 table, const char *name, const char *what)
{
	char *at = text;
	int n = 0;

	if (read_table(table, name) < 0)
		return -1;
	while ((at = strstr(at, what))) {
		at += strlen(what);
		n++;
	}
	return n;
}

/* The number of the table of the window at @start, 0 if there is none */
static u64 table_of(u64 start)
{
	char want[64], *line, *id;

	snprintf(want, sizeof(want), "start=0x%llx ", start);
	if (read_into(DEBUGFS "/tables", text, sizeof(text)) < 0)
		return 0;
	line = strstr(text, want);
	id = line ? strstr(line, " table=") : NULL;
	return id ? strtoull(id + 7, NULL, 10) : 0;
}

/* How many directories of tables there are */
static int directories(void)
{
	struct dirent *e;
	DIR *dir = opendir(DEBUGFS);
	int n = 0;

	if (!dir)
		return -errno;
	while ((e = readdir(dir)))
		n += !strncmp(e->d_name, "table-", 6);
	closedir(dir);
	return n;
}

/* ---- a container -------------------------------------------------------- */

FIXTURE(observe)
{
	struct tce_leak leak;
	struct tce_dev devs[TCE_MAX_DEVS];
	int ndevs;
	int c;
	int dirs;
	u32 shift;
	u64 page;	/* of the IOMMU */
	u64 size;	/* of the largest window, which is at ... */
	u64 start;
	u64 table;	/* number of its table */
	u64 base;	/* VmLck without anything */
	char *va;
};

static int make_window(struct _test_data_observe *self)
{
	unsigned int bits;
	int ret = -EINVAL;

	self->shift = sys_tce_shift();
	self->page = BIT_ULL(self->shift);
	for (bits = sys_tce_bits(); ret && bits > 13; bits--) {
		self->size = BIT_ULL(bits + self->shift);
		ret = tce_create_any(self->c, self->shift, self->size,
				     &self->start);
	}
	self->table = table_of(self->start);
	return ret;
}

FIXTURE_SETUP(observe)
{
	struct vfio_iommu_spapr_tce_info info;

	self->c = -1;
	self->dirs = directories();
	if (self->dirs < 0)
		SKIP(return, "no debugfs");
	self->ndevs = tce_find_devs(self->devs, TCE_MAX_DEVS);
	if (!self->ndevs)
		SKIP(return, "no PCI device to take: no edu, no VFIO_DEVICE");
	tce_leak_start(&self->leak);
	self->base = sys_vmlck();
	self->va = mem_alloc(PAGES * SZ_64K, SZ_64K, MEM_POPULATE);
	ASSERT_NE(NULL, self->va);
	self->c = tce_open(&self->devs[0], TCE_V2);
	if (self->c == -EINVAL)
		SKIP(return, "no VFIO_SPAPR_TCE_v2_IOMMU on this machine");
	ASSERT_LE(0, self->c);
	ASSERT_EQ(0, tce_get_info(self->c, &info));
	if (!(info.flags & VFIO_IOMMU_SPAPR_INFO_DDW))
		SKIP(return, "no dynamic DMA windows here");
	ASSERT_EQ(0, tce_remove(self->c, info.dma32_window_start));
	ASSERT_EQ(0, tce_register(self->c, self->va, PAGES * SZ_64K));
	ASSERT_EQ(0, make_window(self));
	ASSERT_NE(0, self->table);
}

FIXTURE_TEARDOWN(observe)
{
	if (self->c >= 0)
		tce_close(&self->devs[0], self->c);
	if (!self->va)
		return;
	mem_free(self->va, PAGES * SZ_64K);
	EXPECT_NO_LEAK(&self->leak);
	EXPECT_EQ(self->dirs, directories());
}

/* Map @nr pages from TCE @index on */
static int map(struct _test_data_observe *self, u64 index, u64 nr)
{
	return tce_map(self->c, self->start + index * self->page, self->va,
		       nr * self->page, DMA_RW);
}

static int unmap(struct _test_data_observe *self, u64 index, u64 nr)
{
	return tce_unmap(self->c, self->start + index * self->page,
			 nr * self->page);
}

static u64 round_up_page(u64 bytes)
{
	u64 mask = sys_page_size() - 1;

	return (bytes + mask) & ~mask;
}

/* What the table is charged with as VmLck has it */
static u64 locked(struct _test_data_observe *self)
{
	return sys_vmlck() - self->base - PAGES * SZ_64K;
}

/* ---- debugfs ------------------------------------------------------------ */

TEST_F(observe, info)
{
	u64 t = self->table, tces = self->size >> self->shift;

	EXPECT_EQ(t, info(t, "table"));
	EXPECT_EQ(self->start, info(t, "start"));
	EXPECT_EQ(self->shift, info(t, "page_shift"));
	EXPECT_EQ(tces, info(t, "tces"));
	EXPECT_LE(12, info(t, "level_shift"));
	EXPECT_LE(tces, BIT_ULL(info(t, "levels") *
				(info(t, "level_shift") - 3)));
	EXPECT_EQ(sys_powernv(), info(t, "in_memory"));
	EXPECT_EQ(0, info(t, "closed"));

	EXPECT_EQ(0, info(t, "used"));
	EXPECT_EQ(0, info(t, "leaves"));
	EXPECT_EQ(BIT_ULL(info(t, "level_shift")), info(t, "bytes"));
	EXPECT_EQ(locked(self), info(t, "charged"));

	ASSERT_EQ(0, map(self, 5, 7));
	EXPECT_EQ(7, info(t, "used"));
	EXPECT_EQ(1, info(t, "leaves"));
	if (sys_powernv())
		EXPECT_EQ(BIT_ULL(info(t, "level_shift")),
			  info(t, "view_bytes"));
	EXPECT_EQ(locked(self), info(t, "charged"));
	EXPECT_EQ(round_up_page(info(t, "bytes")), info(t, "charged"));
	ASSERT_EQ(0, map(self, tces - 3, 3));
	EXPECT_EQ(10, info(t, "used"));
	EXPECT_EQ(2, info(t, "leaves"));
	EXPECT_EQ(locked(self), info(t, "charged"));

	/* over what was mapped, and what was not */
	ASSERT_EQ(0, map(self, 10, 4));
	EXPECT_EQ(12, info(t, "used"));
	ASSERT_EQ(0, unmap(self, 6, 4));
	EXPECT_EQ(8, info(t, "used"));
	ASSERT_EQ(0, unmap(self, 0, tces));
	EXPECT_EQ(0, info(t, "used"));
	EXPECT_EQ(locked(self), info(t, "charged"));

	ASSERT_EQ(0, tce_remove(self->c, self->start));
	EXPECT_EQ(NO_FILE, info(t, "used"));
	EXPECT_EQ(self->dirs, directories());
	EXPECT_EQ(0, locked(self));
}

TEST_F(observe, numbers_are_not_used_again)
{
	u64 first = self->table;

	ASSERT_EQ(0, tce_remove(self->c, self->start));
	ASSERT_EQ(0, make_window(self));
	EXPECT_LT(first, self->table);
	EXPECT_EQ(-1, times(first, "info", "used"));
	EXPECT_EQ(1, times(self->table, "info", "used"));
}

TEST_F(observe, map_file)
{
	u64 t = self->table, tces = self->size >> self->shift;
	char want[64];

	/* the line with the geometry, and nothing for what is not there */
	EXPECT_EQ(1, times(t, "map", "\n"));
	EXPECT_EQ(1, times(t, "map", " levels="));

	ASSERT_EQ(0, map(self, 0, 3));
	ASSERT_EQ(0, map(self, 5, 1));
	ASSERT_EQ(0, map(self, 510, 4));
	EXPECT_EQ(1, times(t, "map", "\n0 6 0+3 5+1 1fe+2\n"));
	EXPECT_EQ(1, times(t, "map", "\n200 2 0+2\n"));
	ASSERT_EQ(0, map(self, tces - 1, 1));
	snprintf(want, sizeof(want), "\n%llx 1 1ff+1\n", tces - 512);
	EXPECT_EQ(1, times(t, "map", want));
	/* as many lines as leaves have, not as the window */
	EXPECT_EQ(1 + info(t, "leaves") *
		  BIT_ULL(info(t, "level_shift") - 12),
		  times(t, "map", "\n"));

	ASSERT_EQ(0, unmap(self, 1, 1));
	EXPECT_EQ(1, times(t, "map", "\n0 5 0+1 2+1 5+1 1fe+2\n"));
	ASSERT_EQ(0, unmap(self, 0, tces));
	EXPECT_EQ(1, times(t, "map", "\n0 0\n"));
	EXPECT_EQ(1, times(t, "map", "\n200 0\n"));
}

/* Read in small pieces a file is what it is at once. */
TEST_F(observe, in_pieces)
{
	char path[128], whole[TEXT_MAX], pieces[TEXT_MAX];
	size_t len = 0;
	ssize_t n;
	int fd, i;

	for (i = 0; i < 64; i++)
		ASSERT_EQ(0, map(self, (u64)i * 1024, 1 + i % PAGES));
	snprintf(path, sizeof(path), DEBUGFS "/table-%llu/map", self->table);
	ASSERT_LT(700, read_into(path, whole, sizeof(whole)));

	fd = open(path, O_RDONLY);
	ASSERT_LE(0, fd);
	while ((n = read(fd, pieces + len, 7)) > 0)
		len += n;
	close(fd);
	EXPECT_EQ(0, n);
	pieces[len] = 0;
	EXPECT_STREQ(whole, pieces);
}

TEST_F(observe, regions)
{
	u64 t = self->table;
	char want[128], *va = mem_alloc(SZ_64K, SZ_64K, MEM_POPULATE);

	ASSERT_NE(NULL, va);
	snprintf(want, sizeof(want), "ua=%p size=%#llx used=1 mapped=0 ",
		 self->va, PAGES * SZ_64K);
	EXPECT_EQ(1, times(t, "regions", want));
	EXPECT_EQ(1, times(t, "regions", "\n"));
	EXPECT_EQ(1, times(t, "regions", " written=0\n"));

	ASSERT_EQ(0, tce_register(self->c, va, SZ_64K));
	EXPECT_EQ(2, times(t, "regions", "\n"));
	ASSERT_EQ(0, map(self, 100, 9));
	snprintf(want, sizeof(want), "ua=%p size=%#llx used=1 mapped=9 ",
		 self->va, PAGES * SZ_64K);
	EXPECT_EQ(1, times(t, "regions", want));
	EXPECT_EQ(1, times(t, "regions", " mapped=0 "));
	EXPECT_EQ(1, times(t, "regions", " written=1\n"));

	ASSERT_EQ(0, unmap(self, 100, 4));
	EXPECT_EQ(1, times(t, "regions", " mapped=5 "));
	ASSERT_EQ(0, tce_unregister(self->c, va, SZ_64K));
	EXPECT_EQ(1, times(t, "regions", "\n"));
	mem_free(va, SZ_64K);
}

TEST_F(observe, holders)
{
	char want[64];

	snprintf(want, sizeof(want), "container pid=%d group=%d\n", getpid(),
		 self->devs[0].group_id);
	EXPECT_EQ(1, times(self->table, "holders", want));
	EXPECT_EQ(1, times(self->table, "holders", "\n"));

	if (!sys_powernv() || self->ndevs < 2)
		SKIP(return, "no second group that can join");
	ASSERT_LE(0, tce_group_open(&self->devs[1]));
	ASSERT_EQ(0, tce_group_set(&self->devs[1], self->c));
	EXPECT_EQ(1, times(self->table, "holders", want));
	snprintf(want, sizeof(want), "container pid=%d group=%d\n", getpid(),
		 self->devs[1].group_id);
	EXPECT_EQ(1, times(self->table, "holders", want));
	EXPECT_EQ(2, times(self->table, "holders", "\n"));
	ASSERT_EQ(0, tce_group_unset(&self->devs[1]));
	tce_group_close(&self->devs[1]);
	EXPECT_EQ(0, times(self->table, "holders", want));
	EXPECT_EQ(1, times(self->table, "holders", "\n"));
}

/* Who has a file open has not the table. */
TEST_F(observe, open_file_of_a_table_that_goes)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), DEBUGFS "/table-%llu/info", self->table);
	fd = open(path, O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_LT(0, read(fd, text, 10));
	ASSERT_EQ(0, tce_remove(self->c, self->start));
	EXPECT_EQ(0, locked(self));
	EXPECT_EQ(self->dirs, directories());
	ASSERT_EQ(0, lseek(fd, 0, SEEK_SET) > 0);
	EXPECT_EQ(-1, read(fd, text, 10));
	close(fd);
}

/* ---- fdinfo ------------------------------------------------------------- */

/* Does fdinfo say what VmLck does? Leaves it in @text. */
static bool agrees(struct _test_data_observe *self)
{
	return fdinfo(self->c, "tce_locked") == sys_vmlck() - self->base;
}

TEST_F(observe, fdinfo)
{
	u64 tces = self->size >> self->shift;
	char want[64], *va = mem_alloc(SZ_64K, SZ_64K, MEM_POPULATE);
	int i;

	ASSERT_NE(NULL, va);
	EXPECT_EQ(2, fdinfo(self->c, "tce_version"));
	EXPECT_EQ(0, fdinfo(self->c, "tce_enabled"));
	EXPECT_EQ(PAGES * SZ_64K, fdinfo(self->c, "tce_registered"));
	EXPECT_TRUE(agrees(self));
	snprintf(want, sizeof(want), "tce_window:\ttable=%llu ", self->table);
	EXPECT_NE(NULL, strstr(text, want));
	snprintf(want, sizeof(want), " size=%#llx page_shift=%u ", self->size,
		 self->shift);
	EXPECT_NE(NULL, strstr(text, want));

	ASSERT_EQ(0, tce_register(self->c, va, SZ_64K));
	EXPECT_EQ((PAGES + 1) * SZ_64K, fdinfo(self->c, "tce_registered"));
	EXPECT_TRUE(agrees(self));
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, map(self, i * (tces / 8), 1));
		EXPECT_TRUE(agrees(self));
	}
	ASSERT_EQ(0, unmap(self, 0, tces));
	EXPECT_TRUE(agrees(self));
	ASSERT_EQ(0, tce_unregister(self->c, va, SZ_64K));
	EXPECT_TRUE(agrees(self));
	ASSERT_EQ(0, tce_remove(self->c, self->start));
	EXPECT_EQ(PAGES * SZ_64K, fdinfo(self->c, "tce_locked"));
	EXPECT_TRUE(agrees(self));
	EXPECT_EQ(NO_FILE, number("tce_window"));
	ASSERT_EQ(0, tce_unregister(self->c, self->va, PAGES * SZ_64K));
	EXPECT_EQ(0, fdinfo(self->c, "tce_locked"));
	mem_free(va, SZ_64K);
}

TEST_F(observe, fdinfo_v1)
{
	struct vfio_iommu_spapr_tce_info info;
	u64 empty;
	int c;

	tce_close(&self->devs[0], self->c);
	self->c = tce_container();
	ASSERT_LE(0, self->c);
	/* a container that has no driver yet has nothing to say */
	EXPECT_EQ(NO_FILE, fdinfo(self->c, "tce_version"));
	close(self->c);
	self->c = -1;

	c = tce_open(&self->devs[0], TCE_V1);
	ASSERT_LE(0, c);
	self->c = c;
	EXPECT_EQ(1, fdinfo(c, "tce_version"));
	EXPECT_EQ(0, fdinfo(c, "tce_locked"));
	ASSERT_EQ(0, tce_get_info(c, &info));
	ASSERT_EQ(0, tce_enable(c));
	EXPECT_EQ(info.dma32_window_size, fdinfo(c, "tce_enabled"));
	empty = fdinfo(c, "tce_locked");
	EXPECT_EQ(info.dma32_window_size, empty);
	EXPECT_TRUE(agrees(self));
	ASSERT_EQ(0, tce_map(c, info.dma32_window_start, self->va, SZ_64K,
			     DMA_RW));
	EXPECT_LT(empty, fdinfo(c, "tce_locked"));
	EXPECT_TRUE(agrees(self));
	ASSERT_EQ(0, tce_unmap(c, info.dma32_window_start, SZ_64K));
	ASSERT_EQ(0, tce_disable(c));
	EXPECT_TRUE(agrees(self));
}

/* ---- trace events ------------------------------------------------------- */

/* Lines with @event and what the format says */
static int traced(const char *event, const char *format, ...)
{
	char want[256];
	va_list args;
	int n;

	n = snprintf(want, sizeof(want), " %s: ", event);
	va_start(args, format);
	vsnprintf(want + n, sizeof(want) - n, format, args);
	va_end(args);
	return sys_traced(want);
}

static int trace_all(bool on)
{
	static const char * const events[] = {
		"tce_region_register", "tce_region_unregister",
		"tce_window_create", "tce_window_remove", "tce_map",
		"tce_unmap", "tce_list", "tce_kill", "tce_level_alloc",
		"tce_level_free",
	};
	char name[64];
	unsigned int i;
	int ret = 0;

	for (i = 0; i < ARRAY_SIZE(events) && !ret; i++) {
		snprintf(name, sizeof(name), "spapr_tce/%s", events[i]);
		ret = sys_trace(name, on);
	}
	return ret;
}

/* The window again that the fixture has made */
static int make_again(struct _test_data_observe *self)
{
	return tce_create_any(self->c, self->shift, self->size, &self->start);
}

TEST_F(observe, trace)
{
	u64 t = self->table, p = self->page, s = self->start;
	u64 last = (self->size >> self->shift) - 1;
	int made = info(t, "levels") - 1;
	char want[128], *va = mem_alloc(SZ_64K, SZ_64K, MEM_POPULATE);

	ASSERT_NE(NULL, va);
	if (trace_all(true)) {
		mem_free(va, SZ_64K);
		SKIP(return, "no tracefs");
	}
	ASSERT_EQ(0, tce_register(self->c, va, SZ_64K));
	ASSERT_EQ(0, map(self, 1, 3));
	ASSERT_EQ(0, map(self, 2, 3));
	ASSERT_EQ(0, map(self, last, 1));
	ASSERT_EQ(-EBUSY, tce_unregister(self->c, self->va, PAGES * SZ_64K));
	ASSERT_EQ(0, unmap(self, 1, 2));
	ASSERT_EQ(0, unmap(self, 0, last + 1));
	ASSERT_EQ(0, tce_unregister(self->c, va, SZ_64K));
	ASSERT_EQ(0, tce_remove(self->c, s));
	ASSERT_EQ(0, make_again(self));

	EXPECT_EQ(1, traced("tce_region_register",
			    "ua=%p size=0x10000 used=1 ret=0", va));
	EXPECT_EQ(1, traced("tce_region_unregister",
			    "ua=%p size=0x10000 used=0 ret=0", va));
	EXPECT_EQ(1, traced("tce_region_unregister",
			    "ua=%p size=%#llx used=1 ret=-16", self->va,
			    PAGES * SZ_64K));
	EXPECT_EQ(3, traced("tce_map", "table=%llu ", t));
	EXPECT_EQ(1, traced("tce_map",
			    "table=%llu ioba=0x%llx npages=3 ua=%p levels=%d ret=0",
			    t, s + p, self->va, made));
	EXPECT_EQ(1, traced("tce_map",
			    "table=%llu ioba=0x%llx npages=3 ua=%p levels=0 ret=0",
			    t, s + 2 * p, self->va));
	EXPECT_EQ(1, traced("tce_map",
			    "table=%llu ioba=0x%llx npages=1 ua=%p levels=%d ret=0",
			    t, s + last * p, self->va, made));
	/* the container unmaps all before it drops the window */
	EXPECT_EQ(3, traced("tce_unmap", "table=%llu ", t));
	EXPECT_EQ(1, traced("tce_unmap",
			    "table=%llu ioba=0x%llx npages=2 ret=0", t, s + p));
	EXPECT_EQ(2, traced("tce_unmap",
			    "table=%llu ioba=0x%llx npages=%llu ret=0", t, s,
			    last + 1));
	EXPECT_EQ(1, traced("tce_kill", "table=%llu ioba=0x%llx npages=3 ret=0",
			    t, s + p));
	EXPECT_EQ(1, traced("tce_kill", "table=%llu ioba=0x%llx npages=3 ret=0",
			    t, s + 2 * p));
	EXPECT_EQ(1, traced("tce_kill", "table=%llu ioba=0x%llx npages=2 ret=0",
			    t, s + p));
	EXPECT_EQ(1, traced("tce_window_remove",
			    "table=%llu window=0 start=0x%llx", t, s));
	EXPECT_EQ(1, traced("tce_window_create", "table=%llu ", table_of(s)));
	snprintf(want, sizeof(want),
		 " window=0 start=0x%llx page_shift=%u size=0x%llx asked=1 levels=%d level_shift=",
		 s, self->shift, self->size, made + 1);
	EXPECT_EQ(1, sys_traced(want));
	/* two ways down, and the root of the new window */
	EXPECT_EQ(2 * made + 1, traced("tce_level_alloc", "tree="));
	EXPECT_EQ(2 * made + 1, traced("tce_level_free", "tree="));
	trace_all(false);

	ASSERT_EQ(0, map(self, 1, 3));
	EXPECT_EQ(0, sys_traced("tce_"));
	mem_free(va, SZ_64K);
}

TEST_F(observe, trace_failure)
{
	if (trace_all(true))
		SKIP(return, "no tracefs");
	ASSERT_EQ(-EFAULT, tce_register(self->c, (void *)SZ_64K, SZ_64K));
	ASSERT_EQ(-EINVAL, tce_register(self->c, self->va, 2 * SZ_64K));
	EXPECT_EQ(1, traced("tce_region_register",
			    "ua=0x10000 size=0x10000 used=0 ret=-14"));
	EXPECT_EQ(1, traced("tce_region_register",
			    "ua=%p size=0x20000 used=0 ret=-22", self->va));
	/* the last page of the first, and what follows is not registered */
	ASSERT_EQ(-EINVAL, tce_map(self->c, self->start,
				   self->va + PAGES * SZ_64K, SZ_64K, DMA_RW));
	EXPECT_EQ(0, traced("tce_map", ""));
	trace_all(false);
}

/* ---- messages ------------------------------------------------------------ */

#define DYNAMIC_DEBUG	"/sys/kernel/debug/dynamic_debug/control"

static int messages(bool on)
{
	return sys_write_file(DYNAMIC_DEBUG, on ? "format \"spapr_tce: \" +p" :
						  "format \"spapr_tce: \" -p");
}

/* How many messages since had this */
__printf(2, 3)
static int said(int klog, const char *fmt, ...)
{
	char want[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(want, sizeof(want), fmt, ap);
	va_end(ap);
	return sys_klog_said(klog, want);
}

TEST_F(observe, messages)
{
	char *end = self->va + PAGES * SZ_64K;
	int klog = sys_klog_open();
	u64 start;

	if (klog < 0 || messages(true))
		SKIP(return, "the kernel has no dynamic debug");

	ASSERT_EQ(-EINVAL, tce_map(self->c, self->start, end, SZ_64K, DMA_RW));
	EXPECT_EQ(1, said(klog, "spapr_tce: 0x10000 bytes at %p are not all registered",
			  end));
	ASSERT_EQ(-ENXIO, unmap(self, self->size >> self->shift, 1));
	EXPECT_EQ(1, said(klog, "spapr_tce: %#llx bytes at %#llx are not in one window",
			  self->page, self->start + self->size));
	ASSERT_EQ(-EINVAL, tce_create(self->c, 13, SZ_64K, 1, &start));
	EXPECT_EQ(1, said(klog, "spapr_tce: no window of 0x10000 bytes with pages of 1 << 13 "));

	/* None when nobody has asked, and none of what succeeds */
	ASSERT_EQ(0, map(self, 0, 1));
	EXPECT_EQ(0, said(klog, "spapr_tce: "));
	ASSERT_EQ(0, messages(false));
	ASSERT_EQ(-EINVAL, tce_map(self->c, self->start, end, SZ_64K, DMA_RW));
	EXPECT_EQ(0, said(klog, "spapr_tce: "));
	close(klog);
}

/* ---- guests ------------------------------------------------------------- */

FIXTURE(guest)
{
	struct guest g;
	int dirs;
};

FIXTURE_SETUP(guest)
{
	const char *why;

	self->dirs = directories();
	if (self->dirs < 0)
		SKIP(return, "no debugfs");
	why = guest_open(&self->g, KVM_VM_PPC_HV);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, guest_window(&self->g, SZ_1G));
}

FIXTURE_TEARDOWN(guest)
{
	guest_close(&self->g);
	EXPECT_NO_LEAK(&self->g.leak);
	EXPECT_EQ(self->dirs, directories());
}

/* A guest keeps the table of a window that the container has dropped. */
TEST_F(guest, holds_a_table)
{
	struct guest *g = &self->g;
	u64 t = table_of(g->start);
	char want[80];
	int fd;

	ASSERT_NE(0, t);
	EXPECT_EQ(1, times(t, "holders", "\n"));
	fd = guest_plug(g, LIOBN);
	ASSERT_LE(0, fd);
	snprintf(want, sizeof(want), "kvm pid=%d group=%d liobn=%#llx\n",
		 getpid(), g->dev->group_id, LIOBN);
	EXPECT_EQ(1, times(t, "holders", want));
	EXPECT_EQ(1, times(t, "holders", "container "));
	EXPECT_EQ(0, info(t, "closed"));

	ASSERT_EQ(0, tce_remove(g->c, g->start));
	EXPECT_EQ(1, info(t, "closed"));
	EXPECT_EQ(1, times(t, "holders", want));
	EXPECT_EQ(0, times(t, "holders", "container "));
	ASSERT_EQ(0, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_DEL));
	EXPECT_EQ(-1, times(t, "holders", ""));
	close(fd);
}

/* What a guest maps is in use as what the container maps is. */
TEST_F(guest, maps)
{
	struct guest *g = &self->g;
	u64 t = table_of(g->start), page = BIT_ULL(g->shift), used;
	int fd = guest_plug(g, LIOBN), traces;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, guest_boot(g));
	traces = trace_all(true);
	used = info(t, "used");
	ASSERT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, g->start + page,
					 GUEST_PAGE | TCE_RW, 0));
	EXPECT_EQ(used + 1, info(t, "used"));
	ASSERT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, g->start + page,
					 0, 0));
	EXPECT_EQ(used, info(t, "used"));
	/* real mode does not trace what it has done by itself */
	if (!traces && !sys_power8()) {
		EXPECT_EQ(1, traced("tce_list",
				    "table=%llu ioba=0x%llx npages=1 ret=0", t,
				    g->start + page));
		EXPECT_EQ(1, traced("tce_unmap",
				    "table=%llu ioba=0x%llx npages=1 ret=0", t,
				    g->start + page));
	}
	trace_all(false);
	close(fd);
}

/* ---- readers ------------------------------------------------------------ */

struct reader {
	pthread_t thread;
	int c;
	bool stop;
	int bad;		/* what a file answered that it may not */
	unsigned long good;	/* files that were read */
};

static void read_one(struct reader *r, const char *path, char *buf)
{
	long n = read_into(path, buf, TEXT_MAX);

	if (n > 0)
		__atomic_fetch_add(&r->good, 1, __ATOMIC_RELAXED);
	/* gone before it was open, or after */
	if (n < 0 && n != -ENOENT && n != -EIO && n != -ENODEV)
		r->bad = n;
}

static void read_table_dir(struct reader *r, const char *name, char *buf)
{
	static const char * const files[] = {
		"info", "holders", "map", "regions",
	};
	char path[320];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), DEBUGFS "/%s/%s", name, files[i]);
		read_one(r, path, buf);
	}
}

static void *read_all(void *arg)
{
	struct reader *r = arg;
	char *buf = malloc(TEXT_MAX), path[64];
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", r->c);
	while (buf && !__atomic_load_n(&r->stop, __ATOMIC_RELAXED)) {
		read_one(r, DEBUGFS "/tables", buf);
		read_one(r, path, buf);
		dir = opendir(DEBUGFS);
		while (dir && (e = readdir(dir)))
			if (!strncmp(e->d_name, "table-", 6))
				read_table_dir(r, e->d_name, buf);
		if (dir)
			closedir(dir);
	}
	free(buf);
	return NULL;
}

/* All that changes what is read, once */
static int change(struct _test_data_observe *self, char *more, unsigned int i)
{
	u64 tces = self->size >> self->shift;
	int ret = 0, j;

	for (j = 0; j < 16 && !ret; j++)
		ret = map(self, (i * 7919ULL + j * 104729) % (tces - PAGES),
			  1 + j);
	ret = ret ?: tce_register(self->c, more, SZ_64K);
	ret = ret ?: unmap(self, 0, tces);
	ret = ret ?: tce_unregister(self->c, more, SZ_64K);
	ret = ret ?: tce_remove(self->c, self->start);
	return ret ?: make_again(self);
}

/* On a busy machine it may take them longer than SECONDS */
static bool all_read(const struct reader *r)
{
	int i;

	for (i = 0; i < READERS; i++)
		if (__atomic_load_n(&r[i].good, __ATOMIC_RELAXED) < 20)
			return false;
	return true;
}

TEST_F(observe, readers)
{
	struct reader r[READERS] = {};
	struct timespec now, end;
	char *more = mem_alloc(SZ_64K, SZ_64K, MEM_POPULATE);
	unsigned int turns = 0;
	int klog = sys_klog_open(), i;

	ASSERT_NE(NULL, more);
	for (i = 0; i < READERS; i++) {
		r[i].c = self->c;
		ASSERT_EQ(0, pthread_create(&r[i].thread, NULL, read_all,
					    &r[i]));
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += SECONDS;
	do {
		ASSERT_EQ(0, change(self, more, turns++));
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec || turns < 10 || !all_read(r));
	for (i = 0; i < READERS; i++) {
		__atomic_store_n(&r[i].stop, true, __ATOMIC_RELAXED);
		ASSERT_EQ(0, pthread_join(r[i].thread, NULL));
		EXPECT_EQ(0, r[i].bad);
	}
	EXPECT_FALSE(sys_klog_warned(klog));
	close(klog);
	mem_free(more, SZ_64K);
}

/* ---- for tce-map -------------------------------------------------------- */

/* The window of the documents: 16 TCEs, as far apart as can be */
TEST_F(observe, sparse_window)
{
	u64 tces = self->size >> self->shift;
	char *line, *next = text;
	int i;

	for (i = 0; i < 16; i++)
		ASSERT_EQ(0, map(self, i * (tces / 16), 1));
	EXPECT_EQ(16, info(self->table, "used"));
	ASSERT_LT(0, read_table(self->table, "map"));
	TH_LOG("=== map begin ===");
	while ((line = strsep(&next, "\n")) && *line)
		TH_LOG("| %s", line);
	TH_LOG("=== map end ===");
}

TEST_HARNESS_MAIN
