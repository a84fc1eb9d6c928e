// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel tells of TCE tables to who looks from outside: debugfs and fdinfo
 * of the container. All that is told is compared with what was requested, and with
 * VmLck. Trace events are in observe_trace.c, guests in observe_guest.c.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "observe.h"

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
	ASSERT_EQ(0, unmap(self, 0, 6));
	ASSERT_EQ(0, unmap(self, 510, 4));
	EXPECT_EQ(1, times(t, "map", "\n0 0\n"));
	EXPECT_EQ(1, times(t, "map", "\n200 0\n"));
	/* leaves go with the window */
	ASSERT_EQ(0, unmap(self, 0, tces));
	EXPECT_EQ(1, times(t, "map", "\n"));
	EXPECT_EQ(0, info(t, "leaves"));
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

/* ---- readers ------------------------------------------------------------ */

#define READERS		2
#define SECONDS		4

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
