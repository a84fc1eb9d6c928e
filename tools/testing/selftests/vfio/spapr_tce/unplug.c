// SPDX-License-Identifier: GPL-2.0
/*
 * Devices that go and come while a process owns their group: one of two, all of
 * them, and while a guest (KVM) has the group as well. The process keeps the
 * windows that it has and gets no other; a device that comes is the process's;
 * what is gone answers errors, and whoever has the device next finds it usable.
 * No hand-over leaves anything behind.
 *
 * Needs edu devices, which nobody misses: they are removed and found again.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "kvm_guest.h"

#define BUF	(2 * SZ_64K)

/* What may be gone after any number of rounds */
#define SLACK	SZ_64K

FIXTURE(unplug)
{
	struct tce_leak leak;
	struct tce_dev devs[TCE_MAX_DEVS];
	struct tce_dev *dev;	/* the first of the group */
	int ndevs;
	int c;
	int klog;
	u64 iova;		/* where @buf is mapped */
	char *buf;
};

/* The windows that the process has */
FIXTURE_VARIANT(unplug)
{
	bool first;		/* the default window */
	bool second;		/* one that was asked for */
};

VARIANT(unplug, none, .first = false);
VARIANT(unplug, default_window, .first = true);
VARIANT(unplug, own_window, .second = true);
VARIANT(unplug, both_windows, .first = true, .second = true);

static int bind_all(const struct tce_dev *devs, int n)
{
	int i, ret = 0;

	for (i = 0; i < n && !ret; i++)
		ret = tce_bind(devs[i].bdf, "vfio-pci");
	return ret;
}

/* The devices of a group of two, else of another one. Answers how many. */
static int find_group(struct tce_dev *devs)
{
	struct tce_dev groups[TCE_MAX_DEVS];
	int i, ndevs = 0, n = tce_find_devs(groups, TCE_MAX_DEVS);

	for (i = 0; i < n && ndevs < 2; i++)
		ndevs = tce_group_devs(&groups[i], devs, TCE_MAX_DEVS);
	return bind_all(devs, ndevs) ? 0 : ndevs;
}

/* The windows of the variant, with @buf mapped in the last one */
static int make_windows(struct _test_data_unplug *self,
			const struct _fixture_variant_unplug *variant)
{
	struct vfio_iommu_spapr_tce_info info;
	int ret;

	ret = tce_get_info(self->c, &info) ?:
	      tce_register(self->c, self->buf, BUF);
	self->iova = 0;
	if (!ret && variant->first) {
		self->iova = info.dma32_window_start + SZ_1M;
		ret = tce_map(self->c, self->iova, self->buf, BUF, DMA_RW);
	} else if (!ret && variant->second) {
		ret = tce_remove(self->c, info.dma32_window_start);
	}
	if (!ret && variant->second) {
		ret = tce_create_any(self->c, sys_tce_shift(), SZ_1G,
				     &self->iova) ?:
		      tce_map(self->c, self->iova, self->buf, BUF, DMA_RW);
	}
	return ret;
}

/* Does DMA of a device arrive where @buf is mapped? */
static int dma(struct _test_data_unplug *self, struct tce_dev *dev)
{
	static u32 seed;
	int ret;

	mem_fill(self->buf, 1024, ++seed);
	memset(self->buf + SZ_64K, 0, 1024);
	ret = tce_dev_open(dev) ?:
	      edu_read_ram(dev, self->iova, 0, 1024) ?:
	      edu_write_ram(dev, self->iova + SZ_64K, 0, 1024);
	tce_dev_close(dev);
	if (!ret && !mem_check(self->buf + SZ_64K, 1024, seed))
		ret = -EIO;
	return ret;
}

FIXTURE_SETUP(unplug)
{
	self->c = -1;
	self->klog = -1;
	self->ndevs = find_group(self->devs);
	if (!self->ndevs)
		SKIP(return, "no edu device");
	self->dev = &self->devs[0];
	self->buf = mem_alloc(BUF, SZ_64K, MEM_POPULATE);
	ASSERT_NE(NULL, self->buf);
	self->klog = sys_klog_open();
	tce_leak_start(&self->leak);
	self->c = tce_open(self->dev, TCE_V2);
	ASSERT_LE(0, self->c);
	ASSERT_EQ(0, make_windows(self, variant));
}

FIXTURE_TEARDOWN(unplug)
{
	if (self->klog < 0)
		return;
	tce_close(self->dev, self->c);
	EXPECT_NO_LEAK(&self->leak);
	mem_free(self->buf, BUF);
	EXPECT_FALSE(sys_klog_warned(self->klog));
	close(self->klog);
}

/* In the group that it was in? */
static bool back_in_group(const struct tce_dev *dev)
{
	struct tce_dev now;

	return !tce_dev_at(&now, dev->bdf) && now.group_id == dev->group_id;
}

/* One of two, while the other one and the windows stay the process's */
TEST_F_TIMEOUT(unplug, one_of_two, 60)
{
	struct tce_dev *other = &self->devs[1];
	int round;

	if (self->ndevs < 2)
		SKIP(return, "no group of two edu devices");
	for (round = 0; round < 3; round++) {
		ASSERT_EQ(0, tce_unplug(other->bdf));
		if (self->iova)
			ASSERT_EQ(0, dma(self, self->dev));
		ASSERT_EQ(0, tce_replug(other->bdf));
		ASSERT_TRUE(back_in_group(other));
		/* the host's drivers do not get it meanwhile */
		ASSERT_EQ(0, tce_bind(other->bdf, "vfio-pci"));
		if (!self->iova)
			continue;
		/* nothing has changed in the windows */
		ASSERT_EQ(0, dma(self, self->dev));
		ASSERT_EQ(0, dma(self, other));
	}
	if (!self->iova) {
		ASSERT_EQ(0, tce_create_any(self->c, sys_tce_shift(), SZ_1G,
					    &self->iova));
		ASSERT_EQ(0, tce_map(self->c, self->iova, self->buf, BUF,
				     DMA_RW));
		EXPECT_EQ(0, dma(self, self->dev));
		EXPECT_EQ(0, dma(self, other));
	}
}

static int remove_all(const struct tce_dev *devs, int n)
{
	int i, ret = 0;

	for (i = 0; i < n && !ret; i++)
		ret = tce_unplug(devs[i].bdf);
	return ret;
}

static int find_all(struct tce_dev *devs, int n)
{
	int i, ret = 0;

	for (i = 0; i < n && !ret; i++)
		ret = tce_replug(devs[i].bdf) ?:
		      tce_dev_at(&devs[i], devs[i].bdf);
	return ret ?: bind_all(devs, n);
}

/* A container after the devices came back; they can be used as ever. */
static void use_anew(struct __test_metadata *_metadata,
		     struct _test_data_unplug *self,
		     const struct _fixture_variant_unplug *variant)
{
	int i;

	self->c = tce_open(self->dev, TCE_V2);
	ASSERT_LE(0, self->c);
	ASSERT_EQ(0, make_windows(self, variant));
	for (i = 0; self->iova && i < self->ndevs; i++)
		EXPECT_EQ(0, dma(self, &self->devs[i]));
}

/*
 * All of the group: the container has no group any more. Its files stay open
 * until another process, here another container, has the device.
 */
TEST_F_TIMEOUT(unplug, all, 60)
{
	int old_c = self->c, old_group = self->dev->group;
	u64 start;

	self->dev->group = -1;
	ASSERT_EQ(0, remove_all(self->devs, self->ndevs));
	EXPECT_GT(0, tce_map(old_c, self->iova, self->buf, SZ_64K, DMA_RW));
	EXPECT_GT(0, tce_unmap(old_c, self->iova, SZ_64K));
	EXPECT_GT(0, tce_create_any(old_c, sys_tce_shift(), SZ_1G, &start));
	EXPECT_GT(0, tce_remove(old_c, self->iova));
	EXPECT_GT(0, tce_ioctl(old_group, VFIO_GROUP_GET_DEVICE_FD,
			       self->dev->bdf));
	ASSERT_EQ(0, find_all(self->devs, self->ndevs));
	use_anew(_metadata, self, variant);
	close(old_group);
	close(old_c);
	/* they had nothing to do with it */
	if (self->iova)
		EXPECT_EQ(0, dma(self, self->dev));
}

/* ---- while KVM has the group --------------------------------------------- */

FIXTURE(unplug_kvm)
{
	struct guest g;
	struct tce_dev devs[TCE_MAX_DEVS];
	int ndevs;
	int klog;
};

FIXTURE_SETUP(unplug_kvm)
{
	const char *missing;

	self->klog = -1;
	missing = guest_open(&self->g, KVM_VM_PPC_HV);
	if (missing && guest_open(&self->g, KVM_VM_PPC_PR))
		SKIP(return, "%s", missing);
	self->klog = sys_klog_open();
	self->ndevs = tce_group_devs(self->g.dev, self->devs, TCE_MAX_DEVS);
	ASSERT_EQ(0, guest_window(&self->g, SZ_1G));
}

FIXTURE_TEARDOWN(unplug_kvm)
{
	if (self->klog < 0)
		return;
	guest_close(&self->g);
	EXPECT_NO_LEAK(&self->g.leak);
	EXPECT_FALSE(sys_klog_warned(self->klog));
	close(self->klog);
}

/*
 * The guest keeps the group that is gone, and lets go of it when the device is
 * another process's, or is gone again.
 */
TEST_F_TIMEOUT(unplug_kvm, all, 100)
{
	struct guest *g = &self->g;
	struct tce_dev again;
	int i, fd, c, old_group;

	ASSERT_LT(0, self->ndevs);
	fd = guest_plug(g, LIOBN);
	ASSERT_LE(0, fd);
	old_group = g->dev->group;
	ASSERT_EQ(0, remove_all(self->devs, self->ndevs));
	EXPECT_GT(0, tce_map(g->c, g->start, g->mem, SZ_64K, DMA_RW));
	/* there is no window that a table could be attached to */
	EXPECT_GT(0, guest_attach(g, g->dev, fd));
	ASSERT_EQ(0, find_all(self->devs, self->ndevs));
	ASSERT_EQ(0, tce_dev_at(&again, g->dev->bdf));
	c = tce_open(&again, TCE_V2);
	ASSERT_LE(0, c);
	/* to close it here ends the group of before */
	EXPECT_EQ(0, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_DEL));
	close(fd);
	guest_close_vm(g);
	close(old_group);
	g->dev->group = -1;
	EXPECT_EQ(0, tce_register(c, g->mem, SZ_64K));
	EXPECT_EQ(0, tce_map(c, g->start, g->mem, SZ_64K, DMA_RW));
	if (again.edu) {
		mem_fill(g->mem, 1024, 1);
		EXPECT_EQ(0, tce_dev_open(&again));
		EXPECT_EQ(0, edu_read_ram(&again, g->start, 0, 1024));
		EXPECT_EQ(0, edu_write_ram(&again, g->start + SZ_4K, 0, 1024));
		EXPECT_TRUE(mem_check(g->mem + SZ_4K, 1024, 1));
		tce_dev_close(&again);
	}
	/* A function that is found now belongs to the group of now */
	for (i = 0; i < self->ndevs; i++) {
		if (!strcmp(self->devs[i].bdf, again.bdf))
			continue;
		ASSERT_EQ(0, tce_unplug(self->devs[i].bdf));
		ASSERT_EQ(0, tce_replug(self->devs[i].bdf));
		EXPECT_EQ(0, tce_dev_at(&self->devs[i], self->devs[i].bdf));
		EXPECT_EQ(again.group_id, self->devs[i].group_id);
	}
	tce_close(&again, c);
	EXPECT_EQ(0, bind_all(self->devs, self->ndevs));
}

/* ---- many times ----------------------------------------------------------- */

FIXTURE(unplug_leak)
{
	struct tce_dev devs[TCE_MAX_DEVS];
	int ndevs;
	char *buf;
	int rounds;
};

FIXTURE_SETUP(unplug_leak)
{
	const char *seconds = getenv("SPAPR_TCE_STRESS_SECONDS");

	self->ndevs = find_group(self->devs);
	if (!self->ndevs)
		SKIP(return, "no edu device");
	self->buf = mem_alloc(BUF, SZ_64K, MEM_POPULATE);
	ASSERT_NE(NULL, self->buf);
	/* as many as tell a leak of 200 bytes each from none */
	self->rounds = 600 * (1 + (seconds ? atoi(seconds) / 60 : 0));
}

FIXTURE_TEARDOWN(unplug_leak)
{
	mem_free(self->buf, BUF);
}

/* The most that is free for a while: others come and go */
static s64 free_now(void)
{
	s64 now, most = 0;
	int i;

	sys_write_file("/proc/sys/vm/drop_caches", "3");
	for (i = 0; i < 10; i++) {
		usleep(50000);
		now = sys_free_bytes();
		if (now > most)
			most = now;
	}
	return most;
}

/*
 * A leak is there each time, what others allocate meanwhile is not: the least
 * that is missing after @rounds, of some such tries. Negative: a round failed.
 */
static s64 lost(struct _test_data_unplug_leak *self, int rounds,
		int (*round)(struct _test_data_unplug_leak *self, int i))
{
	s64 before, missing, least = SZ_1G;
	int try, i;

	for (i = 0; i < 32; i++)
		if (round(self, i))
			return -1;
	for (try = 0; try < 3 && least > (s64)SLACK; try++) {
		before = free_now();
		for (i = 0; i < rounds; i++)
			if (round(self, i))
				return -1;
		missing = before - free_now();
		if (missing < least)
			least = missing < 0 ? 0 : missing;
	}
	return least;
}

/* From the host to a process and back, which has made windows or not */
static int own(struct _test_data_unplug_leak *self, int i)
{
	struct vfio_iommu_spapr_tce_info info;
	int ret, c = tce_open(&self->devs[0], TCE_V2);
	u64 start;

	if (c < 0)
		return c;
	ret = tce_get_info(c, &info) ?: tce_register(c, self->buf, BUF);
	if (!ret && i & 1)
		ret = tce_map(c, info.dma32_window_start + SZ_1M, self->buf,
			      BUF, DMA_RW);
	else if (!ret && i & 2)
		ret = tce_remove(c, info.dma32_window_start);
	if (!ret && i & 2)
		ret = tce_create_any(c, sys_tce_shift(), SZ_1G, &start) ?:
		      tce_map(c, start, self->buf, BUF, DMA_RW);
	tce_close(&self->devs[0], c);
	return ret;
}

static void expect_no_loss(struct __test_metadata *_metadata,
			   struct _test_data_unplug_leak *self, int rounds,
			   int (*round)(struct _test_data_unplug_leak *self, int i))
{
	s64 bytes = lost(self, rounds, round);

	ASSERT_LE(0, bytes);
	EXPECT_GE(SLACK, bytes)
		TH_LOG("%lld bytes are gone after %d rounds", bytes, rounds);
}

TEST_F_TIMEOUT(unplug_leak, own, 200)
{
	expect_no_loss(_metadata, self, self->rounds, own);
}

static int bind_and_own(struct _test_data_unplug_leak *self, int i)
{
	return tce_unbind(self->devs[0].bdf) ?:
	       tce_bind(self->devs[0].bdf, "vfio-pci") ?:
	       own(self, i);
}

TEST_F_TIMEOUT(unplug_leak, bind, 200)
{
	expect_no_loss(_metadata, self, self->rounds / 2, bind_and_own);
}

static int replug(struct _test_data_unplug_leak *self, int i)
{
	return remove_all(self->devs, self->ndevs) ?:
	       find_all(self->devs, self->ndevs);
}

/* What the kernel keeps of a device that it finds anew is not much. */
TEST_F_TIMEOUT(unplug_leak, replug, 200)
{
	expect_no_loss(_metadata, self, self->rounds / 4, replug);
}

TEST_HARNESS_MAIN
