// SPDX-License-Identifier: GPL-2.0
/*
 * KVM's side of a container: a TCE table of the guest (a LIOBN) is attached to
 * a group and so to the hardware tables behind it. Who holds what, what is left
 * when everything has been closed, and what a guest's own requests do: a bare
 * one of a dozen instructions makes the hypercalls that it finds in a list.
 */
#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

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
	int vcpu;
	void *buf;
	u64 start;
};

FIXTURE_SETUP(kvm)
{
	struct kvm_create_device cd = { .type = KVM_DEV_TYPE_VFIO };
	struct vfio_iommu_spapr_tce_info info;

	self->c = -1;
	self->vm = -1;
	self->vcpu = -1;
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
	if (self->vcpu >= 0)
		close(self->vcpu);
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

/* ---- a guest ------------------------------------------------------------ */

#define H_SUCCESS		0
#define H_PARAMETER		(-4)
#define H_PUT_TCE		0x20
#define H_STUFF_TCE		0x138
#define H_PUT_TCE_INDIRECT	0x13c
#define HCALL_DONE		0xf000	/* RTAS: KVM hands it to us */

#define GUEST_CODE		0x1000
#define GUEST_HCALLS		0x8000
#define GUEST_PAGE		0x20000
#define GUEST_LIST		0x40000

/* What the guest does, in its memory */
struct hcall {
	u64 args[5];	/* r3 to r7; r3 is 0 behind the last one */
	s64 answer;
	u64 pad[2];
};

static const u32 guest_code[] = {
	0x3be04000,	/* li r31, 0x4000 */
	0x3bff4000,	/* addi r31, r31, 0x4000: GUEST_HCALLS */
	0xe87f0000,	/* next: ld r3, 0(r31) */
	0x2c230000,	/* cmpdi r3, 0 */
	0x41820024,	/* beq done */
	0xe89f0008,	/* ld r4, 8(r31) */
	0xe8bf0010,	/* ld r5, 16(r31) */
	0xe8df0018,	/* ld r6, 24(r31) */
	0xe8ff0020,	/* ld r7, 32(r31) */
	0x44000022,	/* sc 1 */
	0xf87f0028,	/* std r3, 40(r31): answer */
	0x3bff0040,	/* addi r31, r31, 64 */
	0x4bffffd8,	/* b next */
	0x38600000,	/* done: li r3, 0 */
	0x6063f000,	/* ori r3, r3, 0xf000: HCALL_DONE */
	0x44000022,	/* sc 1 */
	0x4bfffff4,	/* b done */
};

/* The multi-TCE calls go to userspace unless it says otherwise */
static int guest_enable_hcall(struct _test_data_kvm *self, u64 nr)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_PPC_ENABLE_HCALL,
		.args = { nr, 1 },
	};

	return tce_ioctl(self->vm, KVM_ENABLE_CAP, &cap);
}

/* A guest whose memory is @self->buf; answers 0 or -errno. */
static int guest_create(struct _test_data_kvm *self)
{
	struct kvm_userspace_memory_region slot = {
		.memory_size = BUF_SIZE,
		.userspace_addr = (uintptr_t)self->buf,
	};
	struct kvm_enable_cap papr = { .cap = KVM_CAP_PPC_PAPR };
	int ret;

	ret = tce_ioctl(self->vm, KVM_SET_USER_MEMORY_REGION, &slot);
	if (!ret)
		ret = guest_enable_hcall(self, H_PUT_TCE_INDIRECT);
	if (!ret)
		ret = guest_enable_hcall(self, H_STUFF_TCE);
	if (ret)
		return ret;
	self->vcpu = tce_ioctl(self->vm, KVM_CREATE_VCPU, NULL);
	if (self->vcpu < 0)
		return self->vcpu;
	memcpy((char *)self->buf + GUEST_CODE, guest_code, sizeof(guest_code));
	return tce_ioctl(self->vcpu, KVM_ENABLE_CAP, &papr);
}

/* Let the guest make @n hypercalls; their answers are in @calls then. */
static int guest_run(struct _test_data_kvm *self, struct hcall *calls, int n)
{
	struct hcall *list = (void *)((char *)self->buf + GUEST_HCALLS);
	struct kvm_regs regs = {
		.pc = GUEST_CODE,
		/* 64 bits, and the byte order of this program */
		.msr = BIT_ULL(63) | (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__),
	};
	size_t size = tce_ioctl(self->kvm, KVM_GET_VCPU_MMAP_SIZE, NULL);
	struct kvm_run *run;
	int ret;

	memset(list, 0, (n + 1) * sizeof(*list));
	memcpy(list, calls, n * sizeof(*list));
	run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, self->vcpu, 0);
	if (run == MAP_FAILED)
		return -errno;
	ret = tce_ioctl(self->vcpu, KVM_SET_REGS, &regs);
	do {
		if (!ret)
			ret = tce_ioctl(self->vcpu, KVM_RUN, NULL);
	} while (ret == -EINTR);
	if (!ret && (run->exit_reason != KVM_EXIT_PAPR_HCALL ||
		     run->papr_hcall.nr != HCALL_DONE)) {
		printf("# the guest ended with exit %u, hypercall %llx\n",
		       run->exit_reason, (u64)run->papr_hcall.nr);
		ret = -EPROTO;
	}
	munmap(run, size);
	memcpy(calls, list, n * sizeof(*list));
	return ret;
}

/* One hypercall */
static s64 guest_hcall(struct _test_data_kvm *self, u64 nr, u64 ioba, u64 arg,
		       u64 npages)
{
	struct hcall call = { { nr, LIOBN, ioba, arg, npages } };
	int ret = guest_run(self, &call, 1);

	return ret ? ret : call.answer;
}

/* The guest maps, the device moves data, the guest unmaps. */
TEST_F(kvm, guest_maps)
{
	u64 page = BIT_ULL(sys_tce_shift()), last = self->start + SZ_1G - page;
	char *mem = self->buf;
	__be64 *list = (void *)(mem + GUEST_LIST);
	int fd;

	ASSERT_EQ(0, group_attr(self, KVM_DEV_VFIO_GROUP_ADD));
	fd = window_table(self, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, attach(self, fd));
	ASSERT_EQ(0, guest_create(self));

	EXPECT_EQ(H_PARAMETER, guest_hcall(self, H_PUT_TCE, last + page,
					   GUEST_PAGE | 3, 0));
	EXPECT_EQ(H_SUCCESS, guest_hcall(self, H_PUT_TCE, self->start,
					 GUEST_PAGE | 3, 0));
	list[0] = htobe64((GUEST_PAGE + page) | 3);
	EXPECT_EQ(H_SUCCESS, guest_hcall(self, H_PUT_TCE_INDIRECT, last,
					 GUEST_LIST, 1));
	EXPECT_EQ(-EBUSY, tce_unregister(self->c, mem, BUF_SIZE));

	if (self->dev->edu) {
		ASSERT_EQ(0, tce_dev_open(self->dev));
		mem_fill(mem + GUEST_PAGE, EDU_MAX_LEN, 7);
		ASSERT_EQ(0, edu_copy(self->dev, self->start, last,
				      EDU_MAX_LEN));
		EXPECT_TRUE(mem_check(mem + GUEST_PAGE + page, EDU_MAX_LEN, 7));
		tce_dev_close(self->dev);
	}

	EXPECT_EQ(H_SUCCESS, guest_hcall(self, H_PUT_TCE, self->start, 0, 0));
	EXPECT_EQ(-EBUSY, tce_unregister(self->c, mem, BUF_SIZE));
	EXPECT_EQ(H_SUCCESS, guest_hcall(self, H_STUFF_TCE, last, 0, 1));
	EXPECT_EQ(0, tce_unregister(self->c, mem, BUF_SIZE));
	EXPECT_EQ(0, group_attr(self, KVM_DEV_VFIO_GROUP_DEL));
	close(fd);
}

/* What a guest mapped goes with the last of KVM, behind the container. */
TEST_F(kvm, guest_maps_removed_window)
{
	int fd;

	ASSERT_EQ(0, group_attr(self, KVM_DEV_VFIO_GROUP_ADD));
	fd = window_table(self, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, attach(self, fd));
	ASSERT_EQ(0, guest_create(self));
	ASSERT_EQ(0, tce_remove(self->c, self->start));
	/* KVM has the table still, and writes to it */
	EXPECT_EQ(H_SUCCESS, guest_hcall(self, H_PUT_TCE, self->start,
					 GUEST_PAGE | 3, 0));
	EXPECT_EQ(-EBUSY, tce_unregister(self->c, self->buf, BUF_SIZE));
	close(self->c);
	self->c = -1;
	tce_group_close(self->dev);
	close(fd);
}

TEST_HARNESS_MAIN
