/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel tells of TCE tables to who looks from outside: how the tests
 * read it, and the window that they look at.
 */
#ifndef SPAPR_TCE_OBSERVE_H
#define SPAPR_TCE_OBSERVE_H

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

#define DEBUGFS		"/sys/kernel/debug/spapr_tce"
#define PAGES		32	/* registered, of 64K */
#define TEXT_MAX	65536

#define NO_FILE		(~0ULL)

/* ---- reading ------------------------------------------------------------ */

static char text[TEXT_MAX];

/* All of a file, or as much as there is room for; its length or -errno */
static inline long read_into(const char *path, char *buf, size_t size)
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
static inline long read_table(u64 table, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUGFS "/table-%llu/%s", table, name);
	return read_into(path, text, sizeof(text));
}

static inline long read_fdinfo(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return read_into(path, text, sizeof(text));
}

/* The number behind @name at the beginning of a line of @text */
static inline u64 number(const char *name)
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

static inline u64 info(u64 table, const char *name)
{
	return read_table(table, "info") < 0 ? NO_FILE : number(name);
}

static inline u64 fdinfo(int fd, const char *name)
{
	return read_fdinfo(fd) < 0 ? NO_FILE : number(name);
}

/* How often there is @what in a file of a table; -1 without the file */
static inline int times(u64 table, const char *name, const char *what)
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
static inline u64 table_of(u64 start)
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
static inline int directories(void)
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

static inline int make_window(struct _test_data_observe *self)
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
static inline int map(struct _test_data_observe *self, u64 index, u64 nr)
{
	return tce_map(self->c, self->start + index * self->page, self->va,
		       nr * self->page, DMA_RW);
}

static inline int unmap(struct _test_data_observe *self, u64 index, u64 nr)
{
	return tce_unmap(self->c, self->start + index * self->page,
			 nr * self->page);
}

static inline u64 round_up_page(u64 bytes)
{
	u64 mask = sys_page_size() - 1;

	return (bytes + mask) & ~mask;
}

/* What the table is charged with as VmLck has it */
static inline u64 locked(struct _test_data_observe *self)
{
	return sys_vmlck() - self->base - PAGES * SZ_64K;
}

/* The window again that the fixture has made */
static inline int make_again(struct _test_data_observe *self)
{
	return tce_create_any(self->c, self->shift, self->size, &self->start);
}

/* Lines with @event and what the format says */
static inline int traced(const char *event, const char *format, ...)
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

static inline int trace_all(bool on)
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

#endif /* SPAPR_TCE_OBSERVE_H */
