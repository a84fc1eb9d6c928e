// SPDX-License-Identifier: GPL-2.0
/*
 * Error handling of a PE that a process owns, in the middle of DMA: errors
 * injected, the PE reset. Afterwards everything is as it was: windows, what is
 * mapped, and who may reach it.
 *
 * An emulated bridge takes an injected error and does nothing, so there the
 * resets have to show it.
 */
#include <endian.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <asm/eeh.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "harness.h"

#define LEN	EDU_MAX_LEN
#define UNIT	SZ_64K
#define UNITS	8

FIXTURE(eeh)
{
	struct tce_leak leak;
	struct tce_dev devs[TCE_MAX_DEVS];
	struct tce_dev *dev;
	u64 start;
	void *buf;
	int c;
};

/* Everything but the last unit is mapped: at its offset in the window. */
FIXTURE_SETUP(eeh)
{
	struct vfio_iommu_spapr_tce_info info;

	self->c = -1;
	self->dev = &self->devs[0];
	if (!tce_find_devs(self->devs, TCE_MAX_DEVS) || !self->dev->edu)
		SKIP(return, "no edu device");
	tce_leak_start(&self->leak);
	self->buf = mem_alloc(UNITS * UNIT, UNIT, MEM_POPULATE);
	ASSERT_NE(NULL, self->buf);
	self->c = tce_open(self->dev, TCE_V2);
	if (self->c == -EINVAL)
		SKIP(return, "no VFIO_SPAPR_TCE_v2_IOMMU on this machine");
	ASSERT_LE(0, self->c);
	if (tce_check_extension(self->c, VFIO_EEH) != 1) {
		tce_close(self->dev, self->c);
		SKIP(return, "no EEH on this machine");
	}
	ASSERT_EQ(0, tce_get_info(self->c, &info));
	self->start = info.dma32_window_start + SZ_1M;
	ASSERT_EQ(0, tce_register(self->c, self->buf, UNITS * UNIT));
	ASSERT_EQ(0, tce_map(self->c, self->start, self->buf, (UNITS - 1) * UNIT,
			     DMA_RW));
	ASSERT_EQ(0, tce_dev_open(self->dev));
	ASSERT_EQ(0, tce_eeh(self->c, VFIO_EEH_PE_ENABLE));
	ASSERT_EQ(VFIO_EEH_PE_STATE_NORMAL, tce_eeh(self->c, VFIO_EEH_PE_GET_STATE));
}

FIXTURE_TEARDOWN(eeh)
{
	tce_close(self->dev, self->c);
	mem_free(self->buf, UNITS * UNIT);
	EXPECT_NO_LEAK(&self->leak);
}

/* A reset has taken bus mastering and BARs from the device. */
static int reopen(struct _test_data_eeh *self)
{
	tce_dev_close(self->dev);
	return tce_dev_open(self->dev);
}

/* The first number of config space, which nobody reads during a reset */
static u16 vendor(struct tce_dev *dev)
{
	char path[128];
	u16 id = 0;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", dev->bdf);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pread(fd, &id, 2, PCI_VENDOR_ID) != 2)
		id = 0;
	close(fd);
	return le16toh(id);
}

/* Data goes through the mappings, and nowhere else. */
static void check_works(struct __test_metadata *_metadata, struct _test_data_eeh *self,
			u32 seed)
{
	void *last = self->buf + (UNITS - 1) * UNIT;

	EXPECT_EQ(VFIO_EEH_PE_STATE_NORMAL, tce_eeh(self->c, VFIO_EEH_PE_GET_STATE));
	mem_fill(last, LEN, ~seed);
	mem_fill(self->buf, LEN, seed);
	EXPECT_EQ(0, edu_copy(self->dev, self->start, self->start + 3 * UNIT, LEN));
	EXPECT_TRUE(mem_check(self->buf + 3 * UNIT, LEN, seed));
	EXPECT_EQ(0, edu_write_ram(self->dev, self->start + (UNITS - 1) * UNIT, 0, LEN));
	EXPECT_EQ(0, edu_recover(self->dev, self->c));
	EXPECT_TRUE(mem_check(last, LEN, ~seed));

	/* requests do what they did, too */
	EXPECT_EQ(-EBUSY, tce_unregister(self->c, self->buf, UNITS * UNIT));
	EXPECT_EQ(0, tce_unmap(self->c, self->start + UNIT, UNIT));
	EXPECT_EQ(0, tce_map(self->c, self->start + UNIT, self->buf + UNIT, UNIT, DMA_RW));
}

static void reset(struct __test_metadata *_metadata, struct _test_data_eeh *self, u32 op)
{
	EXPECT_EQ(0x1234, vendor(self->dev));
	EXPECT_EQ(0, tce_eeh(self->c, op));
	EXPECT_EQ(0xffff, vendor(self->dev));
	/* meanwhile mappings come and go */
	EXPECT_EQ(0, tce_unmap(self->c, self->start + 2 * UNIT, UNIT));
	EXPECT_EQ(0, tce_map(self->c, self->start + 2 * UNIT, self->buf + 2 * UNIT,
			     UNIT, DMA_RW));
	EXPECT_EQ(0, tce_eeh(self->c, VFIO_EEH_PE_RESET_DEACTIVATE));
	EXPECT_EQ(0, tce_eeh(self->c, VFIO_EEH_PE_CONFIGURE));
	EXPECT_EQ(0, reopen(self));
}

TEST_F_TIMEOUT(eeh, reset_during_dma, 120)
{
	static const u32 ops[] = { VFIO_EEH_PE_RESET_HOT, VFIO_EEH_PE_RESET_FUNDAMENTAL };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		ASSERT_EQ(0, edu_start(self->dev, true, self->start + 5 * UNIT, 0, LEN));
		reset(_metadata, self, ops[i]);
		check_works(_metadata, self, i);
	}
}

/* Thaw what is not frozen, and what may be */
TEST_F(eeh, unfreeze)
{
	EXPECT_GE(0, tce_eeh(self->c, VFIO_EEH_PE_UNFREEZE_IO));
	EXPECT_GE(0, tce_eeh(self->c, VFIO_EEH_PE_UNFREEZE_DMA));
	check_works(_metadata, self, 1);
}

static int inject(int c, u32 type, u32 func, u64 addr)
{
	struct vfio_eeh_pe_op op = {
		.argsz = sizeof(op),
		.op = VFIO_EEH_PE_INJECT_ERR,
		.err = { .type = type, .func = func, .addr = addr, .mask = ~0ULL },
	};

	return tce_ioctl(c, VFIO_EEH_PE_OP, &op);
}

/* Every kind of error, DMA, and back to work */
TEST_F_TIMEOUT(eeh, inject, 200)
{
	unsigned int frozen = 0, taken = 0;
	u32 func, type;
	int state, ret;

	for (func = 0; func <= EEH_ERR_FUNC_MAX; func++)
		for (type = EEH_ERR_TYPE_32; type <= EEH_ERR_TYPE_64; type++) {
			ret = inject(self->c, type, func, self->start);
			ASSERT_GE(0, ret);
			taken += !ret;
			edu_write_ram(self->dev, self->start + UNIT, 0, LEN);
			edu_id(self->dev);
			state = tce_eeh(self->c, VFIO_EEH_PE_GET_STATE);
			ASSERT_LE(0, state);
			if (state == VFIO_EEH_PE_STATE_NORMAL)
				continue;
			frozen++;
			reset(_metadata, self, VFIO_EEH_PE_RESET_HOT);
			check_works(_metadata, self, func);
		}
	EXPECT_GT(0, inject(self->c, EEH_ERR_TYPE_64 + 1, 0, 0));
	EXPECT_GT(0, inject(self->c, EEH_ERR_TYPE_64, EEH_ERR_FUNC_MAX + 1, 0));
	check_works(_metadata, self, 99);
	TH_LOG("%u errors injected, the PE froze %u times", taken, frozen);
}

/*
 * The device is taken from vfio-pci and given back, while a thread of the process
 * that has the group resets it: a reset waits for the lock of the device, which
 * has whoever unbinds it.
 */
struct resetter {
	pthread_t thread;
	int c;
	int stop;
	unsigned int resets;
	int bad_answer;
};

static void *keep_resetting(void *arg)
{
	static const u32 ops[] = {
		VFIO_EEH_PE_RESET_HOT, VFIO_EEH_PE_RESET_DEACTIVATE,
	};
	struct resetter *r = arg;
	unsigned int i;
	int ret;

	for (i = 0; !__atomic_load_n(&r->stop, __ATOMIC_SEQ_CST); i++) {
		ret = tce_eeh(r->c, ops[i % 2]);
		__atomic_fetch_add(&r->resets, !ret, __ATOMIC_SEQ_CST);
		/* Without a group there is no driver, and not yet or no more a PE */
		if (ret && ret != -EINVAL && ret != -ENODEV)
			r->bad_answer = ret;
	}
	return NULL;
}

TEST_F_TIMEOUT(eeh, unbind_during_reset, 200)
{
	struct resetter r = { .c = -1 };
	unsigned int round;

	tce_close(self->dev, self->c);
	for (round = 0; round < 2; round++) {
		self->c = tce_open(self->dev, TCE_V2);
		ASSERT_LE(0, self->c);
		ASSERT_EQ(0, tce_eeh(self->c, VFIO_EEH_PE_ENABLE));
		r = (struct resetter){ .c = self->c };
		ASSERT_EQ(0, pthread_create(&r.thread, NULL, keep_resetting, &r));
		/* in the middle of either operation */
		while (__atomic_load_n(&r.resets, __ATOMIC_SEQ_CST) < 1 + round)
			usleep(1000);
		EXPECT_EQ(0, tce_unbind(self->dev->bdf));
		__atomic_store_n(&r.stop, 1, __ATOMIC_SEQ_CST);
		ASSERT_EQ(0, pthread_join(r.thread, NULL));
		EXPECT_EQ(0, r.bad_answer);
		tce_close(self->dev, self->c);
		self->c = -1;
		ASSERT_EQ(0, tce_bind(self->dev->bdf, "vfio-pci"));
	}
	/* it ends in the middle of a reset, maybe */
	self->c = tce_open(self->dev, TCE_V2);
	ASSERT_LE(0, self->c);
	EXPECT_EQ(0, tce_eeh(self->c, VFIO_EEH_PE_ENABLE));
	EXPECT_EQ(0, tce_eeh(self->c, VFIO_EEH_PE_RESET_HOT));
	EXPECT_EQ(0, tce_eeh(self->c, VFIO_EEH_PE_RESET_DEACTIVATE));
	EXPECT_EQ(0, tce_eeh(self->c, VFIO_EEH_PE_CONFIGURE));
	EXPECT_EQ(VFIO_EEH_PE_STATE_NORMAL, tce_eeh(self->c, VFIO_EEH_PE_GET_STATE));
}

TEST_HARNESS_MAIN
