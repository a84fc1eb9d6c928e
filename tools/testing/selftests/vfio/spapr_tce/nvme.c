// SPDX-License-Identifier: GPL-2.0
/*
 * The DMA API's use of the TCE tables: I/O of an NVMe disk, booted with
 * iommu=nobypass so that every buffer is mapped for as long as the I/O lasts.
 * Only for a disk made for it (serial number "spapr-tce", content as made by
 * scripts/spapr_tce/disk.c): it is written to.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "harness.h"

#define SECTOR		512ULL
#define MAX_DISK	(256 * SZ_1M)
#define MAX_IO		(2 * SZ_1M)
#define THREADS		8
#define ROUNDS		40

/* ---- content ------------------------------------------------------------ */

/* Word @i of the disk, or with a @salt one that it never has. */
static u64 word(u64 i, u64 salt)
{
	u64 z = (i + 1) * 0x9e3779b97f4a7c15ULL + salt;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* Words are little-endian on the disk, and so is whoever runs this. */
static void fill(void *buf, u64 off, u64 len, u64 salt)
{
	u64 i, *p = buf;

	for (i = 0; i < len / 8; i++)
		p[i] = word(off / 8 + i, salt);
}

/* Offset on the disk of the first word that is wrong, or -1. */
static s64 wrong_at(const void *buf, u64 off, u64 len, u64 salt)
{
	const u64 *p = buf;
	u64 i;

	for (i = 0; i < len / 8; i++)
		if (p[i] != word(off / 8 + i, salt))
			return off + i * 8;
	return -1;
}

/* ---- the disk ----------------------------------------------------------- */

static bool read_line(const char *path, char *buf, size_t size)
{
	FILE *f = fopen(path, "r");
	bool ok;

	if (!f)
		return false;
	ok = fgets(buf, size, f);
	fclose(f);
	if (ok)
		buf[strcspn(buf, "\n ")] = 0;
	return ok;
}

FIXTURE(nvme)
{
	char path[48];
	char bdf[16];
	u64 size;
	int fd;			/* O_DIRECT */
	char *buf;		/* of MAX_IO and two pages */
	bool written;
};

FIXTURE_SETUP(nvme)
{
	u64 bytes = 0;

	self->fd = -1;
	if (!sys_test_disk(self->path, sizeof(self->path), self->bdf,
			   sizeof(self->bdf)))
		SKIP(return, "no NVMe disk with serial number " TEST_DISK_SERIAL);
	self->fd = open(self->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ioctl(self->fd, BLKGETSIZE64, &bytes));
	self->size = bytes < MAX_DISK ? bytes : MAX_DISK;
	self->size &= ~(SZ_1M - 1);
	ASSERT_LE(THREADS * MAX_IO, self->size);
	self->buf = mem_alloc(MAX_IO + 2 * sys_page_size(), 0, MEM_POPULATE);
	ASSERT_NE(NULL, self->buf);
	ASSERT_EQ(SZ_4K, pread(self->fd, self->buf, SZ_4K, 0));
	if (wrong_at(self->buf, 0, SZ_4K, 0) >= 0)
		SKIP(return, "%s is not as disk.c writes it: left alone",
		     self->path);
}

FIXTURE_TEARDOWN(nvme)
{
	u64 off;

	/* the next test, or the next boot, finds what it expects */
	for (off = 0; self->written && off < self->size; off += SZ_1M) {
		fill(self->buf, off, SZ_1M, 0);
		EXPECT_EQ(SZ_1M, pwrite(self->fd, self->buf, SZ_1M, off));
	}
	close(self->fd);
}

/* ---- does the device use a table at all? --------------------------------- */

/* Sum of the entries in use in all tables of the DMA API, -1 when not told. */
static s64 table_weight(void)
{
	const char *dir = "/sys/kernel/debug/iommu";
	char path[512], text[32];
	struct dirent *de;
	s64 sum = -1;
	DIR *d = opendir(dir);

	while (d && (de = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s/weight", dir, de->d_name);
		if (de->d_name[0] == '.' ||
		    !read_line(path, text, sizeof(text)))
			continue;
		sum = (sum < 0 ? 0 : sum) + strtoll(text, NULL, 10);
	}
	if (d)
		closedir(d);
	return sum;
}

static bool bypass_is_off(void)
{
	char text[4096] = "";
	FILE *f = fopen("/proc/cmdline", "r");
	bool yes;

	if (!f)
		return false;
	yes = fgets(text, sizeof(text), f) && strstr(text, "iommu=nobypass");
	fclose(f);
	return yes;
}

/* Does a line of the kernel log have both texts? */
static bool log_has(const char *a, const char *b)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	bool found = false;
	char rec[8192];
	ssize_t n;

	while (fd >= 0 && !found) {
		n = read(fd, rec, sizeof(rec) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			break;
		rec[n] = 0;
		/* lines of the kernel only: facility 0 */
		found = strtoul(rec, NULL, 10) < 8 && strstr(rec, a) &&
			strstr(rec, b);
	}
	if (fd >= 0)
		close(fd);
	return found;
}

TEST_F(nvme, uses_tces)
{
	s64 weight = table_weight();
	char bus[16];

	if (!bypass_is_off() || !sys_powernv())
		SKIP(return, "boot powernv with iommu=nobypass to be sure");
	EXPECT_TRUE(log_has("IOMMU bypass window disabled", ""));
	/* "pci 0000:01     : [PE# 1fd] Enabling 64-bit DMA bypass" */
	snprintf(bus, sizeof(bus), "pci %.7s", self->bdf);
	/* PHB3 does this for a device that is alone in its PE, asked or not */
	if (log_has("iommu bypass (through TVE#0)", bus))
		SKIP(return, "%s has window 0 mapped to memory directly: give it a second function",
		     self->bdf);
	EXPECT_FALSE(log_has("Enabling 64-bit DMA bypass", bus));
	/* without CONFIG_IOMMU_DEBUGFS the log has to do */
	EXPECT_NE(0, weight)
		TH_LOG("no entry of any table is in use");
}

/*
 * An LPAR maps all of its memory for the disk in a window of its own, if firmware
 * makes one, whether memory could be added or not.
 */
TEST_F(nvme, window_of_all_memory)
{
	static const char prop[] = "linux,direct64-ddr-window-info";
	u64 bytes = sysconf(_SC_PHYS_PAGES) * sys_page_size();
	unsigned char window[24];
	char path[512], text[4096] = "";
	struct dirent *de;
	int found = 0;
	FILE *f;
	DIR *d;

	if (sys_powernv())
		SKIP(return, "not an LPAR");
	f = fopen("/proc/cmdline", "r");
	if (f && fgets(text, sizeof(text), f) && strstr(text, "disable_ddw")) {
		fclose(f);
		SKIP(return, "booted with disable_ddw");
	}
	d = opendir("/proc/device-tree");
	ASSERT_NE(NULL, d);
	while ((de = readdir(d))) {
		snprintf(path, sizeof(path), "/proc/device-tree/%s/%s",
			 de->d_name, prop);
		f = fopen(path, "r");
		if (!f)
			continue;
		ASSERT_EQ(sizeof(window), fread(window, 1, sizeof(window), f));
		fclose(f);
		found++;
		/* the last of four words and a long: log2 of the size */
		EXPECT_EQ(0, window[20] | window[21] | window[22]);
		EXPECT_LE(bytes, 1ULL << window[23]);
	}
	closedir(d);
	EXPECT_EQ(1, found);
}

/* What I/O mapped it unmaps: no entry stays in use. */
TEST_F(nvme, no_leak)
{
	s64 before, after = 0;
	int i;

	before = table_weight();
	if (before < 0)
		SKIP(return, "no CONFIG_IOMMU_DEBUGFS");
	for (i = 0; i < 200; i++)
		ASSERT_EQ(SZ_64K, pread(self->fd, self->buf, SZ_64K,
					i * SZ_64K));
	for (i = 0; i < 50; i++) {
		after = table_weight();
		if (after <= before)
			break;
		usleep(20000);
	}
	EXPECT_GE(before, after);
}

/* ---- reading ------------------------------------------------------------ */

static void read_all(struct __test_metadata *_metadata,
		     struct _test_data_nvme *self, int fd, u64 step)
{
	u64 off;

	for (off = 0; off < self->size; off += step) {
		ASSERT_EQ(step, pread(fd, self->buf, step, off));
		ASSERT_EQ(-1, wrong_at(self->buf, off, step, 0))
			TH_LOG("wrong at %#llx",
			       wrong_at(self->buf, off, step, 0));
	}
}

TEST_F_TIMEOUT(nvme, read_direct, 60)
{
	read_all(_metadata, self, self->fd, SZ_1M);
}

TEST_F_TIMEOUT(nvme, read_buffered, 60)
{
	int fd = open(self->path, O_RDONLY | O_CLOEXEC);

	ASSERT_LE(0, fd);
	ioctl(fd, BLKFLSBUF, 0);
	read_all(_metadata, self, fd, SZ_1M / 4);
	close(fd);
}

/* Every length, and buffers that start anywhere in a page. */
TEST_F(nvme, sizes)
{
	u64 len, off, shift, i = 0;
	char *buf;

	for (len = SECTOR; len <= MAX_IO; len = len < SZ_4K ? len + SECTOR :
					  len + len / 4 / SECTOR * SECTOR) {
		for (shift = 0; shift < sys_page_size();
		     shift = shift ? shift * 5 : SECTOR) {
			buf = self->buf + shift / SECTOR * SECTOR;
			off = ++i * 7919 * SECTOR % (self->size - len);
			off &= ~(SECTOR - 1);
			memset(buf, 0, len);
			ASSERT_EQ(len, pread(self->fd, buf, len, off));
			ASSERT_EQ(-1, wrong_at(buf, off, len, 0))
				TH_LOG("%llu bytes at %#llx to %p", len, off,
				       buf);
		}
	}
}

/* ---- writing ------------------------------------------------------------ */

TEST_F_TIMEOUT(nvme, write, 60)
{
	u64 off, step;

	self->written = true;
	/* lengths that divide neither a page nor a megabyte */
	for (off = 0; off < 16 * SZ_1M; off += step) {
		step = (off / SECTOR * 31 % 700 + 1) * SECTOR;
		fill(self->buf, off, step, 1);
		ASSERT_EQ(step, pwrite(self->fd, self->buf, step, off));
	}
	for (off = 0; off < 16 * SZ_1M; off += SZ_1M) {
		memset(self->buf, 0, SZ_1M);
		ASSERT_EQ(SZ_1M, pread(self->fd, self->buf, SZ_1M, off));
		ASSERT_EQ(-1, wrong_at(self->buf, off, SZ_1M, 1));
	}
	ASSERT_EQ(0, fdatasync(self->fd));
}

TEST_F_TIMEOUT(nvme, write_buffered, 60)
{
	int fd = open(self->path, O_RDWR | O_CLOEXEC);
	u64 off;

	ASSERT_LE(0, fd);
	self->written = true;
	for (off = 0; off < 8 * SZ_1M; off += SZ_1M) {
		fill(self->buf, off, SZ_1M, 2);
		ASSERT_EQ(SZ_1M, pwrite(fd, self->buf, SZ_1M, off));
	}
	ASSERT_EQ(0, fsync(fd));
	close(fd);
	for (off = 0; off < 8 * SZ_1M; off += SZ_1M) {
		ASSERT_EQ(SZ_1M, pread(self->fd, self->buf, SZ_1M, off));
		ASSERT_EQ(-1, wrong_at(self->buf, off, SZ_1M, 2));
	}
}

/* ---- many at once ------------------------------------------------------- */

struct worker {
	struct _test_data_nvme *self;
	unsigned int nr;
	u64 state;
	int error;		/* errno, or -1 for wrong data */
	u64 at;
	u64 bytes;
};

static u64 next_random(struct worker *w)
{
	w->state ^= w->state << 13;
	w->state ^= w->state >> 7;
	w->state ^= w->state << 17;
	return w->state;
}

/* Writes to its own part of the disk and reads that back, all lengths. */
static void *work(void *arg)
{
	struct worker *w = arg;
	u64 part = w->self->size / THREADS, first = w->nr * part;
	char *buf = mem_alloc(MAX_IO + SZ_4K, 0, MEM_POPULATE), *p;
	u64 off, len, salt;
	int i;

	for (i = 0; buf && i < ROUNDS && !w->error; i++) {
		len = (next_random(w) % (i % 4 ? 128 : MAX_IO / SECTOR) + 1) *
		      SECTOR;
		off = first + next_random(w) % (part - len) / SECTOR * SECTOR;
		p = buf + next_random(w) % 8 * SECTOR;
		salt = 16 + w->nr + (u64)i * THREADS;
		fill(p, off, len, salt);
		w->at = off;
		if (pwrite(w->self->fd, p, len, off) != (ssize_t)len)
			w->error = errno ?: EIO;
		memset(p, 0, len);
		if (!w->error &&
		    pread(w->self->fd, p, len, off) != (ssize_t)len)
			w->error = errno ?: EIO;
		if (!w->error && wrong_at(p, off, len, salt) >= 0)
			w->error = -1;
		w->bytes += 2 * len;
	}
	if (!buf)
		w->error = ENOMEM;
	mem_free(buf, MAX_IO + SZ_4K);
	return NULL;
}

TEST_F_TIMEOUT(nvme, parallel, 100)
{
	struct worker w[THREADS] = { 0 };
	pthread_t thread[THREADS];
	int klog = sys_klog_open();
	unsigned int i;

	self->written = true;
	for (i = 0; i < THREADS; i++) {
		w[i].self = self;
		w[i].nr = i;
		w[i].state = i + 1;
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, work, &w[i]));
	}
	for (i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pthread_join(thread[i], NULL));
		EXPECT_EQ(0, w[i].error)
			TH_LOG("thread %u at %#llx: %s", i, w[i].at,
			       w[i].error < 0 ? "wrong data" :
						strerror(w[i].error));
	}
	EXPECT_FALSE(sys_klog_warned(klog));
	close(klog);
}

TEST_HARNESS_MAIN
