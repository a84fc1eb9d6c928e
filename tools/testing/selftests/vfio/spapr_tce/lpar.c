// SPDX-License-Identifier: GPL-2.0
/*
 * pseries hosts: the TCEs are the hypervisor's, and what a request costs is
 * hypercalls. They are counted by a tracepoint.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

#define H_GET_TCE		0x1c
#define H_PUT_TCE		0x20
#define H_STUFF_TCE		0x138
#define H_PUT_TCE_INDIRECT	0x13c

#define PAGES	1536ULL			/* of 4K: three lists */
#define SIZE	(PAGES * SZ_4K)

FIXTURE(lpar)
{
	struct tce_leak leak;
	struct tce_dev dev;
	struct vfio_iommu_spapr_tce_info info;
	bool lists;
	int c;
	char *buf;
};

static bool file_has(const char *path, const char *text)
{
	char buf[4096];
	size_t n, len = strlen(text), i;
	FILE *f = fopen(path, "r");

	if (!f)
		return false;
	/* strings with zeros between */
	n = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	for (i = 0; i + len <= n; i++)
		if (!memcmp(buf + i, text, len))
			return true;
	return false;
}

FIXTURE_SETUP(lpar)
{
	self->c = -1;
	if (sys_powernv())
		SKIP(return, "not an LPAR");
	if (!tce_find_devs(&self->dev, 1))
		SKIP(return, "no VFIO device: set VFIO_DEVICE or VFIO_GROUP");
	self->lists = !file_has("/proc/cmdline", "multitce=off") &&
		file_has("/proc/device-tree/rtas/ibm,hypertas-functions",
			 "hcall-multi-tce");
	tce_leak_start(&self->leak);
	self->c = tce_open(&self->dev, TCE_V2);
	ASSERT_LE(0, self->c);
	ASSERT_EQ(0, tce_get_info(self->c, &self->info));
	self->buf = mem_alloc(SIZE, SZ_64K, MEM_POPULATE);
	ASSERT_NE(NULL, self->buf);
	ASSERT_EQ(0, tce_register(self->c, self->buf, SIZE));
	/* makes the default window, whose pages are of 4K */
	ASSERT_EQ(0, tce_map(self->c, 0, self->buf, SZ_4K, DMA_R));
	ASSERT_EQ(0, tce_unmap(self->c, 0, SZ_4K));
	if (sys_trace("powerpc/hcall_entry", true))
		SKIP(return, "no tracepoint of hypercalls");
}

FIXTURE_TEARDOWN(lpar)
{
	if (self->c < 0)
		return;
	sys_trace("powerpc/hcall_entry", false);
	tce_close(&self->dev, self->c);
	EXPECT_NO_LEAK(&self->leak);
}

static int hcalls(unsigned int opcode)
{
	char text[32];

	snprintf(text, sizeof(text), "opcode=%u\n", opcode);
	return sys_traced(text);
}

static void count_anew(void)
{
	sys_trace("powerpc/hcall_entry", true);
}

#define EXPECT_HCALLS(put, indirect, stuff) do {		\
	EXPECT_EQ(put, hcalls(H_PUT_TCE));			\
	EXPECT_EQ(indirect, hcalls(H_PUT_TCE_INDIRECT));	\
	EXPECT_EQ(stuff, hcalls(H_STUFF_TCE));			\
	EXPECT_EQ(0, hcalls(H_GET_TCE));			\
} while (0)

static void map_and_unmap(struct __test_metadata *_metadata,
			  struct _test_data_lpar *self)
{
	int round;

	/* where nothing is mapped, and over itself */
	for (round = 0; round < 2; round++) {
		count_anew();
		ASSERT_EQ(0, tce_map(self->c, 0, self->buf, SIZE, DMA_RW));
		if (self->lists)
			EXPECT_HCALLS(0, (int)PAGES / 512, 0);
		else
			EXPECT_HCALLS((int)PAGES, 0, 0);
	}
	count_anew();
	ASSERT_EQ(0, tce_unmap(self->c, 0, SIZE));
	if (self->lists)
		EXPECT_HCALLS(0, 0, (int)PAGES / 512);
	else
		EXPECT_HCALLS((int)PAGES, 0, 0);
}

/* 512 TCEs with each hypercall, where the firmware takes as many. */
TEST_F(lpar, lists)
{
	map_and_unmap(_metadata, self);
}

/* A single page is no list, and what was never mapped is not cleared. */
TEST_F(lpar, singles)
{
	count_anew();
	ASSERT_EQ(0, tce_map(self->c, SZ_4K, self->buf, SZ_4K, DMA_RW));
	ASSERT_EQ(0, tce_unmap(self->c, SZ_4K, SZ_4K));
	EXPECT_HCALLS(2, 0, 0);
	count_anew();
	ASSERT_EQ(0, tce_unmap(self->c, SZ_512M, SZ_16M));
	EXPECT_HCALLS(0, 0, 0);
}

TEST_F(lpar, lists_v1)
{
	tce_close(&self->dev, self->c);
	self->c = tce_open(&self->dev, TCE_V1);
	ASSERT_LE(0, self->c);
	ASSERT_EQ(0, tce_enable(self->c));
	/* makes the default window */
	ASSERT_EQ(0, tce_map(self->c, 0, self->buf, SZ_4K, DMA_R));
	ASSERT_EQ(0, tce_unmap(self->c, 0, SZ_4K));
	map_and_unmap(_metadata, self);
}

static s64 ms_since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - then->tv_sec) * 1000LL +
		(now.tv_nsec - then->tv_nsec) / 1000000;
}

/*
 * A new window is clear: neither to make the largest one that the hypervisor
 * has nor to remove it takes a hypercall for its TCEs, but for those mapped.
 */
TEST_F(lpar, large_window)
{
	u32 shift = sys_tce_shift();
	struct timespec start;
	u64 at, size, vmlck;
	s64 made, mapped, gone;
	int bits, ret = -1;

	if (!(self->info.ddw.pgsizes & BIT_ULL(shift)))
		SKIP(return, "no windows of %u-bit pages", shift);
	vmlck = sys_vmlck();
	for (bits = sys_tce_bits(); bits >= 16 && ret; bits--) {
		size = BIT_ULL(bits + shift);
		clock_gettime(CLOCK_MONOTONIC, &start);
		count_anew();
		ret = tce_create(self->c, shift, size, 1, &at);
		made = ms_since(&start);
	}
	ASSERT_EQ(0, ret);
	EXPECT_HCALLS(0, 0, 0);
	EXPECT_GE(SZ_64K, sys_vmlck() - vmlck);
	clock_gettime(CLOCK_MONOTONIC, &start);
	ASSERT_EQ(0, tce_map(self->c, at, self->buf, SZ_64K, DMA_RW));
	ASSERT_EQ(0, tce_map(self->c, at + size / 2, self->buf, SZ_64K, DMA_RW));
	ASSERT_EQ(0, tce_map(self->c, at + size - SZ_64K, self->buf, SZ_64K,
			     DMA_RW));
	EXPECT_GE(SZ_1M, sys_vmlck() - vmlck);
	mapped = ms_since(&start);
	count_anew();
	clock_gettime(CLOCK_MONOTONIC, &start);
	ASSERT_EQ(0, tce_remove(self->c, at));
	gone = ms_since(&start);
	/* three leaves */
	EXPECT_GE(3, hcalls(H_STUFF_TCE));
	EXPECT_GE(self->lists ? 3 : 3 * 4096, hcalls(H_PUT_TCE));
	EXPECT_EQ(vmlck, sys_vmlck());
	TH_LOG("2^%d TCEs: made in %lld ms, three mapped in %lld, removed in %lld",
	       bits + 1, made, mapped, gone);
	/* The hypervisor of a real machine has to find memory for it */
	EXPECT_GT(5000, made);
	EXPECT_GT(5000, gone);
}

/*
 * A window that is not refused can be mapped in, even if there is less memory than
 * all of its TCEs would need at once; one that is refused costs nothing. Each try is
 * for far fewer TCEs, since kernels without on-demand tables need minutes to remove
 * a window of many.
 */
TEST_F(lpar, window_larger_than_memory)
{
	u64 at, size = 0, vmlck = sys_vmlck();
	u32 shift = sys_tce_shift();
	int bits, ret = -1;

	if (!(self->info.ddw.pgsizes & BIT_ULL(shift)))
		SKIP(return, "no windows of %u-bit pages", shift);
	for (bits = sys_tce_bits(); bits >= 15 && ret; bits -= 8) {
		size = BIT_ULL(bits + shift);
		ret = tce_create(self->c, shift, size, 1, &at);
	}
	ASSERT_EQ(0, ret);
	EXPECT_EQ(0, tce_map(self->c, at + size / 2, self->buf, SZ_64K, DMA_RW));
	EXPECT_EQ(0, tce_remove(self->c, at));
	EXPECT_EQ(vmlck, sys_vmlck());
}

/* A process that makes windows all the time does not fill the log. */
TEST_F(lpar, log_is_not_filled)
{
	u32 shift = sys_tce_shift();
	int log = sys_klog_open();
	int i;
	u64 at;

	if (!(self->info.ddw.pgsizes & BIT_ULL(shift)))
		SKIP(return, "no windows of %u-bit pages", shift);
	ASSERT_LE(0, log);
	for (i = 0; i < 64; i++) {
		ASSERT_EQ(0, tce_create(self->c, shift, SZ_512M, 1, &at));
		ASSERT_EQ(0, tce_remove(self->c, at));
	}
	/* Firmware is asked what it has, and to make a window */
	EXPECT_GT(64, sys_klog_said(log, "-pe-dma-window"));
	close(log);
}

TEST_HARNESS_MAIN
