// SPDX-License-Identifier: GPL-2.0
/*
 * KVM's side of a container: a TCE table of the guest (a LIOBN) is attached to
 * a group and so to the hardware tables behind it. No guest runs here; this is
 * about who holds what, and what is left when everything has been closed.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "kselftest_harness.h"
#include "lib.h"

#define BUF_SIZE	SZ_1M
#define LIOBN		0x80000000

FIXTURE(kvm)
{
	struct tce_leak leak;
	struct tce_dev devs[TCE_MAX_DEVS];
	struct tce_dev *dev;
	int c;
	int kvm;
	int vm;
	int vfio;	/* the kvm-vfio device */
	void *buf;
	u64 start;
};

FIXTURE_SETUP(kvm)
{
	struct kvm_create_device cd = { .type = KVM_DEV_TYPE_VFIO };
	struct vfio_iommu_spapr_tce_info info;

	self->c = -1;
	self->vm = -1;
	self->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (self->kvm < 0)
		SKIP(return, "no KVM on this machine");
	if (tce_ioctl(self->kvm, KVM_CHECK_EXTENSION,
		      (void *)KVM_CAP_SPAPR_TCE_64) != 1)
		SKIP(return, "KVM has no TCE tables");
	if (!tce_find_devs(self->devs, TCE_MAX_DEVS))
		SKIP(return, "no PCI device to take: no edu, no VFIO_DEVICE");
	self->dev = &self->devs[0];
	tce_leak_start(&self->leak);
	self->vm = tce_ioctl(self->kvm, KVM_CREATE_VM, NULL);
	if (self->vm < 0)
		SKIP(return, "no virtual machine on this machine");
	self->vfio = tce_ioctl(self->vm, KVM_CREATE_DEVICE, &cd);
	if (self->vfio < 0) {
		close(self->vm);
		SKIP(return, "KVM has no VFIO device");
	}
	self->vfio = cd.fd;
	self->buf = mem_alloc(BUF_SIZE, SZ_64K, MEM_POPULATE);
	ASSERT_NE(NULL, self->buf);
	self->c = tce_open(self->dev, TCE_V2);
	ASSERT_LE(0, self->c);
	ASSERT_EQ(0, tce_get_info(self->c, &info));
	ASSERT_EQ(0, tce_remove(self->c, info.dma32_window_start));
	ASSERT_EQ(0, tce_create_any(self->c, sys_tce_shift(), SZ_1G,
				    &self->start));
	ASSERT_EQ(0, tce_register(self->c, self->buf, BUF_SIZE));
}

FIXTURE_TEARDOWN(kvm)
{
	const char *leak;

	tce_close(self->dev, self->c);
	if (self->vfio >= 0)
		close(self->vfio);
	if (self->vm >= 0)
		close(self->vm);
	close(self->kvm);
	mem_free(self->buf, BUF_SIZE);
	leak = tce_leak_check(&self->leak);
	EXPECT_EQ(NULL, leak) {
		TH_LOG("%s", leak);
	}
}

/* Answers the file of a guest's table of @pages pages. */
static int table(struct _test_data_kvm *self, u32 shift, u64 offset, u64 pages)
{
	struct kvm_create_spapr_tce_64 args = {
		.liobn = LIOBN,
		.page_shift = shift,
		.offset = offset,
		.size = pages,
	};

	return tce_ioctl(self->vm, KVM_CREATE_SPAPR_TCE_64, &args);
}

/* The same for the whole window, @by pages too high. */
static int window_table(struct _test_data_kvm *self, u64 by)
{
	u32 shift = sys_tce_shift();

	return table(self, shift, (self->start >> shift) + by, SZ_1G >> shift);
}

static int group_attr(struct _test_data_kvm *self, u64 attr)
{
	int fd = self->dev->group;
	struct kvm_device_attr da = {
		.group = KVM_DEV_VFIO_GROUP,
		.attr = attr,
		.addr = (uintptr_t)&fd,
	};

	return tce_ioctl(self->vfio, KVM_SET_DEVICE_ATTR, &da);
}

static int attach(struct _test_data_kvm *self, int tablefd)
{
	struct kvm_vfio_spapr_tce param = {
		.groupfd = self->dev->group,
		.tablefd = tablefd,
	};
	struct kvm_device_attr da = {
		.group = KVM_DEV_VFIO_GROUP,
		.attr = KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE,
		.addr = (uintptr_t)&param,
	};

	return tce_ioctl(self->vfio, KVM_SET_DEVICE_ATTR, &da);
}

TEST_F(kvm, create)
{
	u64 before = sys_vmlck();
	int fd;

	EXPECT_EQ(-EINVAL, table(self, 16, 0, 0));
	EXPECT_EQ(-EINVAL, table(self, 64, 0, 1024));
	EXPECT_EQ(before, sys_vmlck());
	fd = window_table(self, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBUSY, window_table(self, 0));
	close(fd);
	EXPECT_EQ(before, sys_vmlck());
}

/* A table of the guest that fits the window, and one that does not. */
TEST_F(kvm, attach)
{
	int fd;

	ASSERT_EQ(0, group_attr(self, KVM_DEV_VFIO_GROUP_ADD));
	fd = window_table(self, 1);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, attach(self, fd));
	close(fd);
	fd = window_table(self, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, attach(self, fd));
	/* the other direction is not disturbed */
	EXPECT_EQ(0, tce_map(self->c, self->start, self->buf, SZ_64K, DMA_RW));
	EXPECT_EQ(-EBUSY, tce_unregister(self->c, self->buf, BUF_SIZE));
	EXPECT_EQ(0, group_attr(self, KVM_DEV_VFIO_GROUP_DEL));
	close(fd);
}

/* The window is removed while KVM still has it. */
TEST_F(kvm, remove_attached)
{
	int fd;

	ASSERT_EQ(0, group_attr(self, KVM_DEV_VFIO_GROUP_ADD));
	fd = window_table(self, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, attach(self, fd));
	ASSERT_EQ(0, tce_map(self->c, self->start, self->buf, SZ_64K, DMA_RW));
	EXPECT_EQ(0, tce_remove(self->c, self->start));
	EXPECT_EQ(-ENXIO, tce_map(self->c, self->start, self->buf, SZ_64K,
				  DMA_RW));
	close(fd);
	EXPECT_EQ(0, group_attr(self, KVM_DEV_VFIO_GROUP_DEL));
	EXPECT_EQ(0, tce_unregister(self->c, self->buf, BUF_SIZE));
}

/* Closed in the order that nobody would choose. */
TEST_F(kvm, close_container_first)
{
	int fd;

	ASSERT_EQ(0, group_attr(self, KVM_DEV_VFIO_GROUP_ADD));
	fd = window_table(self, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, attach(self, fd));
	ASSERT_EQ(0, tce_map(self->c, self->start, self->buf, SZ_64K, DMA_RW));
	close(self->c);
	self->c = -1;
	tce_group_close(self->dev);
	close(self->vm);
	self->vm = -1;
	close(fd);
}

TEST_HARNESS_MAIN
