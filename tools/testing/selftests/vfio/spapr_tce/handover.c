// SPDX-License-Identifier: GPL-2.0
/*
 * A disk goes from the host's driver to a process and back, many times, and the
 * process leaves it in every state that there is: the host finds its windows
 * again, the disk works, and nothing is lost. Only for the disk made for tests
 * (serial number "spapr-tce", content as made by scripts/spapr_tce/disk.c),
 * which is read and not written to.
 *
 * The device file is not opened: that resets the bus, which takes seconds.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>

#include "harness.h"

#define ROUNDS	100
#define WARM	20	/* rounds until the host has allocated what it keeps */
#define BUF	SZ_1M

/* Memory that caches of the host may keep */
#define SLACK	(2 * (s64)SZ_1M)

FIXTURE(handover)
{
	struct tce_leak leak;
	struct tce_dev dev;
	char path[48];
	char bdf[16];
	char *buf;
	u32 crc;
	int klog;
};

/* Of the first MiB; the disk is there some time after its driver is. */
static s64 disk_sum(char *path, size_t size, char *bdf, size_t bdf_size,
		    char *buf)
{
	u64 sum = 0, i;
	ssize_t n = -1;
	int fd, tries;

	for (tries = 0; tries < 1000; tries++) {
		fd = -1;
		if (sys_test_disk(path, size, bdf, bdf_size))
			fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
		if (fd >= 0) {
			memset(buf, 0, BUF);
			n = pread(fd, buf, BUF, 0);
			close(fd);
		}
		if (n == (ssize_t)BUF)
			break;
		usleep(10000);
	}
	if (n != (ssize_t)BUF)
		return -1;
	for (i = 0; i < BUF / 8; i++)
		sum = (sum ^ ((u64 *)buf)[i]) * 0x100000001b3ULL;
	return sum >> 33;
}

/*
 * The disk's driver makes levels of the host's table, and which depends on the
 * processors that it ran on. When a container gives the device back to an LPAR's
 * host the table is as new: levels are compared then. On powernv it is the one that
 * was set aside, with its levels: they may be a few more.
 */
static int host_table_anew(struct _test_data_handover *self)
{
	int c, ret = tce_bind(self->bdf, "vfio-pci");

	if (ret)
		return ret;
	c = tce_open(&self->dev, TCE_V2);
	if (c < 0)
		return c;
	tce_close(&self->dev, c);
	return 0;
}

FIXTURE_SETUP(handover)
{
	s64 sum;

	self->klog = -1;
	if (!sys_test_disk(self->path, sizeof(self->path), self->bdf,
			   sizeof(self->bdf)))
		SKIP(return, "no NVMe disk with serial number " TEST_DISK_SERIAL);
	self->buf = mem_alloc(BUF, SZ_64K, MEM_POPULATE);
	ASSERT_NE(NULL, self->buf);
	sum = disk_sum(self->path, sizeof(self->path), self->bdf,
		       sizeof(self->bdf), self->buf);
	ASSERT_LE(0, sum);
	self->crc = sum;
	ASSERT_EQ(0, tce_dev_at(&self->dev, self->bdf));
	ASSERT_EQ(0, host_table_anew(self));
	self->klog = sys_klog_open();
	tce_leak_start(&self->leak);
}

FIXTURE_TEARDOWN(handover)
{
	if (self->klog < 0)
		return;
	EXPECT_EQ(0, host_table_anew(self));
	if (sys_powernv() && self->leak.levels >= 0) {
		EXPECT_GE(self->leak.levels + (s64)SZ_1M, sys_level_bytes());
		self->leak.levels = -1;
	}
	EXPECT_NO_LEAK(&self->leak);
	EXPECT_EQ(0, tce_bind(self->bdf, "nvme"));
	EXPECT_EQ(self->crc, disk_sum(self->path, sizeof(self->path), self->bdf,
				      sizeof(self->bdf), self->buf));
	EXPECT_FALSE(sys_klog_warned(self->klog));
	close(self->klog);
}

/* ---- what the process does with it ---------------------------------------- */

/* How it leaves: bits, so that each round is another mixture */
#define LEAVE_MAPPED	1
#define LEAVE_WINDOW	2
#define LEAVE_DEFAULT	4	/* else the default window is removed first */
#define LEAVE_KILLED	8
#define LEAVE_ALL	16

static int use_v1(struct tce_dev *dev, unsigned int how, char *buf)
{
	int c = tce_open(dev, TCE_V1);

	CHILD_CHECK(c >= 0);
	CHILD_CHECK(!tce_enable(c));
	CHILD_CHECK(!tce_map(c, SZ_1M, buf, SZ_64K, DMA_RW));
	CHILD_CHECK(!tce_map(c, SZ_512M, buf + SZ_64K, SZ_512M / 1024, DMA_R));
	if (!(how & LEAVE_MAPPED)) {
		CHILD_CHECK(!tce_unmap(c, 0, SZ_1G));
		CHILD_CHECK(!tce_disable(c));
	}
	return c;
}

/* Firmware has no other window than the default one: it is removed and made again */
static int use_default(int c, unsigned int how, char *buf)
{
	u64 start = 0;

	CHILD_CHECK(!tce_map(c, SZ_1M, buf, SZ_64K, DMA_RW));
	if (!(how & LEAVE_DEFAULT)) {
		CHILD_CHECK(!tce_remove(c, 0));
		CHILD_CHECK(!tce_create_any(c, 12, SZ_512M, &start));
		CHILD_CHECK(!start);
		CHILD_CHECK(!tce_map(c, SZ_1M, buf, BUF, DMA_R));
	}
	if (!(how & LEAVE_MAPPED)) {
		CHILD_CHECK(!tce_unmap(c, 0, SZ_512M));
		CHILD_CHECK(!tce_unregister(c, buf, BUF));
	}
	if (!(how & LEAVE_WINDOW))
		CHILD_CHECK(!tce_remove(c, 0));
	return c;
}

static int use_v2(struct tce_dev *dev, unsigned int how, char *buf)
{
	struct vfio_iommu_spapr_tce_info info;
	u32 shift = sys_tce_shift();
	int c = tce_open(dev, TCE_V2);
	u64 start;

	CHILD_CHECK(c >= 0);
	CHILD_CHECK(!tce_get_info(c, &info));
	CHILD_CHECK(!tce_register(c, buf, BUF));
	if (info.ddw.max_dynamic_windows_supported < 2)
		return use_default(c, how, buf);
	if (how & LEAVE_DEFAULT)
		CHILD_CHECK(!tce_map(c, SZ_1M, buf, SZ_64K, DMA_RW));
	else
		CHILD_CHECK(!tce_remove(c, 0));
	CHILD_CHECK(!tce_create_any(c, shift, SZ_1G, &start));
	CHILD_CHECK(!tce_map(c, start, buf, BUF, DMA_RW));
	CHILD_CHECK(!tce_map(c, start + SZ_512M, buf, SZ_64K, DMA_R));
	if (!(how & LEAVE_MAPPED)) {
		CHILD_CHECK(!tce_unmap(c, start, SZ_1G));
		if (how & LEAVE_DEFAULT)
			CHILD_CHECK(!tce_unmap(c, 0, SZ_1G));
		CHILD_CHECK(!tce_unregister(c, buf, BUF));
	}
	if (!(how & LEAVE_WINDOW))
		CHILD_CHECK(!tce_remove(c, start));
	return c;
}

struct use {
	struct tce_dev *dev;
	unsigned int how;
	bool v1;
	int ready;
};

static int use(struct use *u)
{
	char *buf = mem_alloc(BUF, SZ_64K, MEM_POPULATE), byte = 0;
	int c;

	CHILD_CHECK(buf);
	if (u->v1)
		c = use_v1(u->dev, u->how, buf);
	else
		c = use_v2(u->dev, u->how, buf);
	if (u->how & LEAVE_KILLED) {
		CHILD_CHECK(write(u->ready, &byte, 1) == 1);
		pause();
	}
	/* every other time it is the kernel that closes */
	if (!(u->how & LEAVE_WINDOW))
		tce_close(u->dev, c);
	return 0;
}

/* A process takes the device; 0 if all of its requests had their answer. */
static int process(struct tce_dev *dev, unsigned int how, bool v1)
{
	struct use u = { .dev = dev, .how = how, .v1 = v1 };
	int pipes[2], status;
	pid_t pid;
	char byte;

	if (pipe(pipes))
		return -errno;
	u.ready = pipes[1];
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		close(pipes[0]);
		_exit(use(&u));
	}
	close(pipes[1]);
	if (how & LEAVE_KILLED && read(pipes[0], &byte, 1) == 1)
		kill(pid, SIGKILL);
	close(pipes[0]);
	if (waitpid(pid, &status, 0) != pid)
		return -ECHILD;
	if (WIFSIGNALED(status) && how & LEAVE_KILLED)
		return 0;
	return status;
}

/* Once, after a process that did nothing with it */
TEST_F_TIMEOUT(handover, once, 100)
{
	ASSERT_EQ(0, tce_bind(self->bdf, "nvme"));
	EXPECT_EQ(self->crc, disk_sum(self->path, sizeof(self->path), self->bdf,
				      sizeof(self->bdf), self->buf));
}

/*
 * v1 and v2 in turn. Half of the rounds end with the disk read by the host;
 * in the others a second process takes it before.
 */
TEST_F_TIMEOUT(handover, back_and_forth, 200)
{
	s64 free_before = 0, free_after = 0, now, lost, sum;
	unsigned int i, how;

	for (i = 0; i < ROUNDS; i++) {
		how = i / 2 % LEAVE_ALL;
		ASSERT_EQ(0, tce_bind(self->bdf, "vfio-pci"));
		ASSERT_EQ(0, process(&self->dev, how, i & 1))
			TH_LOG("round %u: v%d, how %#x", i, 2 - (i & 1), how);
		if (i % 10 == 9)
			ASSERT_EQ(0, process(&self->dev, how ^ LEAVE_MAPPED,
					     !(i & 1)));
		ASSERT_EQ(0, tce_bind(self->bdf, "nvme"));
		sum = disk_sum(self->path, sizeof(self->path), self->bdf,
			       sizeof(self->bdf), self->buf);
		ASSERT_EQ(self->crc, sum)
			TH_LOG("round %u: v%d, how %#x: the disk reads wrong",
			       i, 2 - (i & 1), how);
		/*
		 * What others keep for a moment comes and goes by megabytes:
		 * the most that was free in as many rounds does not.
		 */
		now = sys_free_bytes();
		if (i >= WARM && i < 2 * WARM && now > free_before)
			free_before = now;
		if (i >= ROUNDS - WARM && now > free_after)
			free_after = now;
	}
	lost = free_before - free_after;
	EXPECT_GT(SLACK, lost)
		TH_LOG("%lld bytes of memory are gone", lost);
}

/* ---- with another device in the group ------------------------------------- */

/* An edu in the disk's group, bound to vfio-pci; false if there is none */
static bool find_other(struct _test_data_handover *self, struct tce_dev *other)
{
	return tce_group_devs(&self->dev, other, 1) == 1 &&
	       !tce_bind(other->bdf, "vfio-pci");
}

/*
 * The disk is pulled out and found again while a process has its group, with
 * windows of all kinds: the process has the disk as well, and afterwards the
 * host's driver.
 */
TEST_F_TIMEOUT(handover, found_meanwhile, 100)
{
	struct vfio_iommu_spapr_tce_info info;
	struct tce_dev other;
	u64 start;
	int c, i;

	if (!find_other(self, &other))
		SKIP(return, "the disk is alone in its group");
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, tce_bind(self->bdf, "vfio-pci"));
		c = tce_open(&self->dev, TCE_V2);
		ASSERT_LE(0, c);
		ASSERT_EQ(0, tce_get_info(c, &info));
		ASSERT_EQ(0, tce_register(c, self->buf, BUF));
		if (i & 1) {
			ASSERT_EQ(0, tce_map(c, info.dma32_window_start + SZ_1M,
					     self->buf, SZ_64K, DMA_RW));
		} else {
			ASSERT_EQ(0, tce_remove(c, info.dma32_window_start));
		}
		if (i & 2 && info.ddw.max_dynamic_windows_supported > 1)
			ASSERT_EQ(0, tce_create_any(c, sys_tce_shift(), SZ_1G,
						    &start));
		ASSERT_EQ(0, tce_unplug(self->bdf));
		ASSERT_EQ(0, tce_replug(self->bdf));
		/* not the host's as long as the process has the group */
		EXPECT_NE(0, tce_bind(self->bdf, "nvme"));
		tce_close(&self->dev, c);
		ASSERT_EQ(0, tce_bind(self->bdf, "nvme"));
		ASSERT_EQ(self->crc, disk_sum(self->path, sizeof(self->path),
					      self->bdf, sizeof(self->bdf),
					      self->buf))
			TH_LOG("round %d: the disk reads wrong", i);
	}
}

/* ---- memory that goes and comes ------------------------------------------- */

/* The last block of memory that can be taken offline, and is; -1 if none can */
static int take_offline(void)
{
	char path[64];
	int nr, last = -1;

	for (nr = 0; nr < 4096; nr++) {
		snprintf(path, sizeof(path),
			 "/sys/devices/system/memory/memory%d", nr);
		if (!access(path, F_OK))
			last = nr;
	}
	for (nr = last; nr > 0 && nr > last - 8; nr--)
		if (!sys_mem_block(nr, false, 10))
			return nr;
	return -1;
}

/*
 * The host maps memory for the disk as it is added, in its own window only: a
 * process that has the disk then sees nothing of it, and the host's next window
 * has all of the memory.
 */
TEST_F_TIMEOUT(handover, memory_comes, 100)
{
	struct vfio_iommu_spapr_tce_info info;
	struct tce_dev other;
	u64 start = 0;
	bool dma;
	int c, i, nr;

	dma = find_other(self, &other);
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, tce_bind(self->bdf, i & 1 ? "vfio-pci" : "nvme"));
		c = i & 1 ? tce_open(&self->dev, TCE_V2) : -1;
		if (i & 1) {
			ASSERT_LE(0, c);
			ASSERT_EQ(0, tce_get_info(c, &info));
			if (info.ddw.max_dynamic_windows_supported < 2) {
				tce_close(&self->dev, c);
				SKIP(return, "no window but the default one");
			}
			ASSERT_EQ(0, tce_register(c, self->buf, BUF));
			ASSERT_EQ(0, tce_create_any(c, sys_tce_shift(), SZ_1G,
						    &start));
			ASSERT_EQ(0, tce_map(c, start, self->buf, BUF, DMA_RW));
		}
		nr = take_offline();
		if (nr < 0) {
			if (c >= 0)
				tce_close(&self->dev, c);
			SKIP(return, "no memory can be taken offline");
		}
		EXPECT_EQ(0, sys_mem_block(nr, true, 10));
		if (c >= 0) {
			/* what is mapped still is */
			if (dma) {
				mem_fill(self->buf, 1024, i);
				EXPECT_EQ(0, tce_dev_open(&other));
				EXPECT_EQ(0, edu_read_ram(&other, start, 0,
							  1024));
				EXPECT_EQ(0, edu_write_ram(&other,
							   start + SZ_64K, 0,
							   1024));
				EXPECT_TRUE(mem_check(self->buf + SZ_64K, 1024,
						      i));
				tce_dev_close(&other);
			}
			tce_close(&self->dev, c);
			ASSERT_EQ(0, tce_bind(self->bdf, "nvme"));
		}
		ASSERT_EQ(self->crc, disk_sum(self->path, sizeof(self->path),
					      self->bdf, sizeof(self->bdf),
					      self->buf));
	}
}

TEST_HARNESS_MAIN
