// SPDX-License-Identifier: GPL-2.0
/*
 * Devices driven through /dev/iommu: paging domains on TCE tables. Where the
 * device reads and writes is seen by real DMA of QEMU's edu device.
 */

#include "harness.h"
#include "iommufd.h"
#include "kvm_guest.h"

#define BUF_SIZE	(16 * SZ_64K)
#define LEN		EDU_MAX_LEN
/* Memory that caches of the kernel may keep in a few rounds, and in each of many */
#define SLACK		(2 * (s64)SZ_1M)
#define SLACK_PER_ROUND	(2 * (s64)SZ_4K)
#define MANY_ROUNDS	100
#define PLACES		2000
#define MAX_RESERVED	16

/*
 * Each change of hands takes a bridge of the emulator some time; on real
 * hardware, and when asked to, there are more.
 */
static int rounds(void)
{
	const char *s = getenv("DOMAIN_ROUNDS");

	return s ? atoi(s) : 6;
}

FIXTURE(domain)
{
	struct tce_leak leak;
	struct tce_dev devs[TCE_MAX_DEVS];
	struct tce_dev *dev;
	int ndevs;
	int fd;		/* of /dev/iommu */
	int cdev[2];
	u32 id[2];
	u32 ioas;
	char *buf;
	int klog;
};

FIXTURE_SETUP(domain)
{
	int i, fd;

	self->fd = -1;
	self->cdev[0] = -1;
	self->cdev[1] = -1;
	self->klog = -1;
	self->ndevs = tce_find_devs(self->devs, TCE_MAX_DEVS);
	if (!self->ndevs || !self->devs[0].edu)
		SKIP(return, "no edu device");
	self->dev = &self->devs[0];
	fd = fd_open();
	if (fd < 0)
		SKIP(return, "no /dev/iommu");
	close(fd);
	if (!sys_powernv())
		SKIP(return, "the IOMMU has no paging domains");
	for (i = 0; i < self->ndevs; i++)
		ASSERT_EQ(0, dev_no_reset(self->devs[i].bdf));
	self->buf = mem_alloc(BUF_SIZE, SZ_64K, MEM_POPULATE);
	ASSERT_NE(NULL, self->buf);
	self->klog = sys_klog_open();
	tce_leak_start(&self->leak);
}

static void close_all(struct _test_data_domain *self)
{
	int i;

	for (i = 0; i < self->ndevs; i++)
		tce_dev_close(&self->devs[i]);
	for (i = 0; i < 2; i++) {
		if (self->cdev[i] >= 0)
			close(self->cdev[i]);
		self->cdev[i] = -1;
	}
	if (self->fd >= 0)
		close(self->fd);
	self->fd = -1;
}

FIXTURE_TEARDOWN(domain)
{
	if (self->klog < 0)
		return;
	close_all(self);
	EXPECT_NO_LEAK(&self->leak);
	EXPECT_FALSE(sys_klog_warned(self->klog));
	close(self->klog);
	mem_free(self->buf, BUF_SIZE);
}

/* Bind device @n to a context, the first time with an address space in it */
static int bind_dev(struct _test_data_domain *self, int n)
{
	int ret;

	if (self->fd < 0) {
		self->fd = fd_open();
		if (self->fd < 0)
			return self->fd;
		ret = fd_ioas(self->fd, &self->ioas);
		if (ret)
			return ret;
	}
	self->cdev[n] = cdev_open(self->devs[n].bdf);
	if (self->cdev[n] < 0)
		return self->cdev[n];
	ret = cdev_bind(self->cdev[n], self->fd, &self->id[n]);

	return ret ? ret : tce_dev_open(&self->devs[n]);
}

static int attach_dev(struct _test_data_domain *self, int n)
{
	int ret = bind_dev(self, n);

	return ret ? ret : cdev_attach(self->cdev[n], self->ioas, NULL);
}

/* Does what the device reads at @iova come from @va, and does it write there? */
static bool dma_works(struct tce_dev *dev, u64 iova, char *va)
{
	static u32 seed = 1;

	mem_fill(va, LEN, ++seed);
	if (edu_read_ram(dev, iova, 0, LEN))
		return false;
	memset(va, 0, LEN);

	return !edu_write_ram(dev, iova, 0, LEN) && mem_check(va, LEN, seed);
}

/* Neither reaches memory at @va, which @iova stands for or once stood for */
static bool dma_dead(struct tce_dev *dev, u64 iova, char *va)
{
	static u32 seed = 0x100;
	bool dead;

	mem_fill(va, LEN, ++seed);
	edu_write_ram(dev, iova, 0, LEN);
	dead = mem_check(va, LEN, seed);
	edu_recover(dev, -1);

	return dead;
}

/* All of the host's memory, as long as the host has the device */
static u64 bypass(const char *va)
{
	return TCE_WINDOW1 | mem_phys(va);
}

#define EXPECT_HOST(device) do {					\
	struct tce_dev *dev_ = (device);				\
									\
	ASSERT_EQ(0, tce_dev_open(dev_));				\
	EXPECT_TRUE(dma_works(dev_, bypass(self->buf), self->buf));	\
	tce_dev_close(dev_);						\
} while (0)

#define EXPECT_NO_BYPASS(dev)						\
	EXPECT_TRUE(dma_dead(dev, bypass(self->buf), self->buf))

/* Fills @r with the ranges that the host reserves for a group. Answers how many */
static int reserved_ranges(int group, struct iommu_iova_range *r, int max,
			   bool *msi)
{
	char path[96], type[32];
	int n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/reserved_regions",
		 group);
	f = fopen(path, "r");
	if (!f)
		return -errno;
	while (n < max && fscanf(f, "%lli %lli %31s", (s64 *)&r[n].start,
				 (s64 *)&r[n].last, type) == 3) {
		msi[n] = !strcmp(type, "msi");
		n++;
	}
	fclose(f);

	return n;
}

/* ---- what a program does --------------------------------------------------- */

TEST_F(domain, map_and_dma)
{
	u64 at[] = { 0, SZ_1M, 1ULL << 32, 1ULL << 40, 1ULL << 45, 0 };
	u64 page = sys_page_size(), end;
	unsigned int i;

	EXPECT_HOST(self->dev);
	ASSERT_EQ(0, bind_dev(self, 0));
	EXPECT_NO_BYPASS(self->dev);
	ASSERT_EQ(0, cdev_attach(self->cdev[0], self->ioas, NULL));
	EXPECT_NO_BYPASS(self->dev);
	EXPECT_TRUE(dma_dead(self->dev, 0, self->buf));

	ASSERT_LE(0, fd_allows(self->fd, self->ioas, 0, 0, &end));
	EXPECT_EQ((page << 36) - 1, end);
	at[5] = end + 1 - BUF_SIZE;
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		ASSERT_EQ(0, fd_map(self->fd, self->ioas, at[i], self->buf,
				    BUF_SIZE, IOAS_RW));
		EXPECT_TRUE(dma_works(self->dev, at[i], self->buf));
		EXPECT_TRUE(dma_works(self->dev, at[i] + BUF_SIZE - page,
				      self->buf + BUF_SIZE - page));
		ASSERT_EQ(BUF_SIZE, fd_unmap(self->fd, self->ioas, at[i],
					     BUF_SIZE));
		EXPECT_TRUE(dma_dead(self->dev, at[i], self->buf));
	}
	EXPECT_NO_BYPASS(self->dev);
	ASSERT_EQ(0, cdev_detach(self->cdev[0]));
	EXPECT_NO_BYPASS(self->dev);
	close_all(self);
	EXPECT_HOST(self->dev);
}

TEST_F(domain, permissions)
{
	u32 seed = 77;

	ASSERT_EQ(0, attach_dev(self, 0));
	mem_fill(self->buf, BUF_SIZE, seed);
	ASSERT_EQ(0, fd_map(self->fd, self->ioas, 0, self->buf, SZ_64K,
			    IOMMU_IOAS_MAP_READABLE));
	EXPECT_TRUE(dma_dead(self->dev, 0, self->buf));
	mem_fill(self->buf, LEN, seed);
	EXPECT_EQ(0, edu_read_ram(self->dev, 0, 0, LEN));
	ASSERT_EQ(0, fd_map(self->fd, self->ioas, SZ_1M, self->buf, SZ_64K,
			    IOAS_RW));
	memset(self->buf, 0, LEN);
	EXPECT_EQ(0, edu_write_ram(self->dev, SZ_1M, 0, LEN));
	EXPECT_TRUE(mem_check(self->buf, LEN, seed));
}

TEST_F(domain, reserved_and_beyond)
{
	const u64 msi = (1ULL << 32) - SZ_64K;
	u64 end;

	ASSERT_EQ(0, attach_dev(self, 0));
	ASSERT_LE(0, fd_allows(self->fd, self->ioas, 0, 0, &end));
	EXPECT_EQ(1, fd_allows(self->fd, self->ioas, 0, SZ_1G, NULL));
	EXPECT_EQ(1, fd_allows(self->fd, self->ioas, 1ULL << 32, 1ULL << 47,
			       NULL));
	EXPECT_EQ(0, fd_allows(self->fd, self->ioas, msi, msi, NULL));
	EXPECT_EQ(0, fd_allows(self->fd, self->ioas, msi - 1, msi - 1, NULL));

	EXPECT_EQ(-EINVAL, fd_map(self->fd, self->ioas, msi, self->buf, SZ_64K,
				  IOAS_RW));
	EXPECT_EQ(-EINVAL, fd_map(self->fd, self->ioas, msi - SZ_64K, self->buf,
				  2 * SZ_64K, IOAS_RW));
	EXPECT_EQ(-EINVAL, fd_map(self->fd, self->ioas, end + 1, self->buf,
				  SZ_64K, IOAS_RW));
	EXPECT_EQ(-EINVAL, fd_map(self->fd, self->ioas, TCE_WINDOW1, self->buf,
				  SZ_64K, IOAS_RW));
	/* Below a page, and not aligned to one */
	EXPECT_EQ(-EINVAL, fd_map(self->fd, self->ioas, 512, self->buf, SZ_64K,
				  IOAS_RW));
	EXPECT_EQ(-ENOENT, fd_unmap(self->fd, self->ioas, 0, SZ_64K));
}

/* Interrupts, and what the bridge has of MMIO (M32, M64), with both of their ends */
TEST_F(domain, each_reserved_range)
{
	struct iommu_iova_range r[MAX_RESERVED];
	int i, j, n, interrupts = 0, others = 0;
	bool msi[MAX_RESERVED];
	u64 at[3];

	ASSERT_EQ(0, attach_dev(self, 0));
	n = reserved_ranges(self->dev->group_id, r, MAX_RESERVED, msi);
	ASSERT_LE(2, n);
	for (i = 0; i < n; i++) {
		TH_LOG("%llx to %llx%s", (u64)r[i].start, (u64)r[i].last,
		       msi[i] ? ", interrupts" : "");
		interrupts += msi[i];
		others += !msi[i];
		at[0] = r[i].start;
		at[1] = r[i].last + 1 - SZ_64K;
		/* All of it, by a range that begins before it */
		at[2] = r[i].start - SZ_64K;
		for (j = 0; j < 3; j++)
			EXPECT_EQ(-EINVAL, fd_map(self->fd, self->ioas, at[j],
						  self->buf, 2 * SZ_64K, IOAS_RW));
		EXPECT_EQ(-EINVAL, fd_map(self->fd, self->ioas, at[0], self->buf,
					  SZ_64K, IOAS_RW));
		EXPECT_EQ(0, fd_allows(self->fd, self->ioas, r[i].start,
				       r[i].start, NULL));
		EXPECT_EQ(0, fd_allows(self->fd, self->ioas, r[i].last, r[i].last,
				       NULL));
	}
	EXPECT_EQ(1, interrupts);
	EXPECT_LE(1, others);
}

TEST_F(domain, over_what_is_mapped)
{
	ASSERT_EQ(0, attach_dev(self, 0));
	ASSERT_EQ(0, fd_map(self->fd, self->ioas, SZ_1M, self->buf, SZ_64K,
			    IOAS_RW));
	EXPECT_EQ(-EEXIST, fd_map(self->fd, self->ioas, SZ_1M - SZ_64K,
				  self->buf, 4 * SZ_64K, IOAS_RW));
	EXPECT_TRUE(dma_works(self->dev, SZ_1M, self->buf));
	EXPECT_TRUE(dma_dead(self->dev, SZ_1M - SZ_64K, self->buf));
	EXPECT_EQ(SZ_64K, fd_unmap(self->fd, self->ioas, 0, ~0ULL));
}

/* A device does not reach another one's registers, nor its own */
TEST_F(domain, registers_are_not_memory)
{
	ASSERT_EQ(0, attach_dev(self, 0));
	EXPECT_EQ(-EFAULT, fd_map(self->fd, self->ioas, SZ_1M, self->dev->bar0,
				  sys_page_size(), IOAS_RW));
	EXPECT_EQ(-ENOENT, fd_unmap(self->fd, self->ioas, SZ_1M, sys_page_size()));
	ASSERT_EQ(0, fd_map(self->fd, self->ioas, SZ_1M, self->buf, SZ_64K,
			    IOAS_RW));
}

/* ---- several ---------------------------------------------------------------- */

TEST_F(domain, two_devices_one_space)
{
	if (self->ndevs < 2 || !self->devs[1].edu)
		SKIP(return, "no second group");
	ASSERT_EQ(0, attach_dev(self, 0));
	ASSERT_EQ(0, fd_map(self->fd, self->ioas, SZ_1G, self->buf, BUF_SIZE,
			    IOAS_RW));
	/* The space is filled before the second one comes */
	ASSERT_EQ(0, attach_dev(self, 1));
	EXPECT_TRUE(dma_works(&self->devs[1], SZ_1G, self->buf));
	EXPECT_TRUE(dma_works(self->dev, SZ_1G + SZ_64K, self->buf + SZ_64K));
	EXPECT_NO_BYPASS(&self->devs[1]);
	/* What is unmapped is so for both; the first one leaves */
	ASSERT_EQ(0, fd_map(self->fd, self->ioas, 0, self->buf, SZ_64K, IOAS_RW));
	EXPECT_TRUE(dma_works(&self->devs[1], 0, self->buf));
	ASSERT_EQ(SZ_64K, fd_unmap(self->fd, self->ioas, 0, SZ_64K));
	EXPECT_TRUE(dma_dead(self->dev, 0, self->buf));
	EXPECT_TRUE(dma_dead(&self->devs[1], 0, self->buf));
	ASSERT_EQ(0, cdev_detach(self->cdev[0]));
	EXPECT_TRUE(dma_dead(self->dev, SZ_1G, self->buf));
	EXPECT_NO_BYPASS(self->dev);
	EXPECT_TRUE(dma_works(&self->devs[1], SZ_1G, self->buf));
}

/* A device goes on working while it changes from one table to another */
TEST_F(domain, replace_under_dma)
{
	struct tce_dev *dev = self->dev;
	u32 ioas, hwpt[2];
	int i;

	ASSERT_EQ(0, bind_dev(self, 0));
	ASSERT_EQ(0, fd_ioas(self->fd, &ioas));
	ASSERT_EQ(0, fd_map(self->fd, self->ioas, 0, self->buf, BUF_SIZE,
			    IOAS_RW));
	ASSERT_EQ(0, fd_map(self->fd, ioas, 0, self->buf, BUF_SIZE, IOAS_RW));
	ASSERT_EQ(0, fd_map(self->fd, ioas, SZ_1G, self->buf, SZ_64K, IOAS_RW));
	ASSERT_EQ(0, fd_hwpt(self->fd, self->id[0], self->ioas, &hwpt[0]));
	ASSERT_EQ(0, fd_hwpt(self->fd, self->id[0], ioas, &hwpt[1]));
	ASSERT_EQ(0, cdev_attach(self->cdev[0], hwpt[0], NULL));

	for (i = 0; i < 10; i++) {
		mem_fill(self->buf, LEN, i);
		ASSERT_EQ(0, edu_read_ram(dev, 0, 0, LEN));
		memset(self->buf, 0, LEN);
		ASSERT_EQ(0, edu_start(dev, true, 0, 0, LEN));
		ASSERT_EQ(0, cdev_attach(self->cdev[0], hwpt[(i + 1) & 1],
					 NULL));
		ASSERT_EQ(0, edu_wait(dev));
		EXPECT_TRUE(mem_check(self->buf, LEN, i));
	}
	EXPECT_TRUE(dma_dead(dev, SZ_1G, self->buf));
	ASSERT_EQ(0, cdev_attach(self->cdev[0], hwpt[1], NULL));
	EXPECT_TRUE(dma_works(dev, SZ_1G, self->buf));
	EXPECT_NO_BYPASS(dev);
	/* In use; the other one is not */
	EXPECT_EQ(-EBUSY, fd_destroy(self->fd, hwpt[1]));
	EXPECT_EQ(0, fd_destroy(self->fd, hwpt[0]));
}

/* One at a time: a container, a context of iommufd */
TEST_F(domain, who_comes_second)
{
	int c, fd, cdev;

	c = tce_open(self->dev, TCE_V2);
	ASSERT_LE(0, c);
	EXPECT_GT(0, bind_dev(self, 0));
	close_all(self);
	tce_close(self->dev, c);

	ASSERT_EQ(0, attach_dev(self, 0));
	EXPECT_EQ(-EBUSY, tce_open(self->dev, TCE_V2));
	fd = fd_open();
	ASSERT_LE(0, fd);
	cdev = cdev_open(self->dev->bdf);
	ASSERT_LE(0, cdev);
	EXPECT_GT(0, cdev_bind(cdev, fd, NULL));
	close(cdev);
	close(fd);
	/* What failed closed the registers, too */
	ASSERT_EQ(0, tce_dev_open(self->dev));
	ASSERT_EQ(0, fd_map(self->fd, self->ioas, 0, self->buf, SZ_64K, IOAS_RW));
	EXPECT_TRUE(dma_works(self->dev, 0, self->buf));
}

/* Programs that take type1 where it is offered must not get it by chance */
TEST_F(domain, no_type1_containers)
{
	int c = tce_container();

	ASSERT_LE(0, c);
	EXPECT_EQ(0, tce_check_extension(c, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(0, tce_check_extension(c, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(1, tce_check_extension(c, TCE_V1));
	EXPECT_EQ(1, tce_check_extension(c, TCE_V2));
	close(c);
}

/* ---- type1 programs, by a file of /dev/iommu -------------------------------- */

static int type1_map(int c, u64 iova, const void *va, u64 size)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = DMA_RW,
		.vaddr = (uintptr_t)va,
		.iova = iova,
		.size = size,
	};

	return tce_ioctl(c, VFIO_IOMMU_MAP_DMA, &map);
}

static int type1_unmap(int c, u64 iova, u64 size)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = iova,
		.size = size,
	};

	return tce_ioctl(c, VFIO_IOMMU_UNMAP_DMA, &unmap);
}

/* Answers a context of iommufd that is the container of the device's group */
static int type1_open(struct tce_dev *dev, unsigned long type)
{
	int fd = fd_open(), ret;

	if (fd < 0)
		return fd;
	ret = tce_group_open(dev);
	if (!ret)
		ret = tce_group_set(dev, fd);
	if (!ret)
		ret = tce_set_iommu(fd, type);
	if (!ret)
		ret = tce_dev_open_vfio(dev);
	if (!ret)
		return fd;
	tce_close(dev, fd);

	return ret;
}

TEST_F(domain, type1_programs)
{
	static const unsigned long types[] = {
		VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU,
	};
	unsigned int i;
	int c;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		c = type1_open(self->dev, types[i]);
		ASSERT_LE(0, c);
		ASSERT_EQ(0, type1_map(c, SZ_1M, self->buf, BUF_SIZE));
		EXPECT_TRUE(dma_works(self->dev, SZ_1M, self->buf));
		EXPECT_NO_BYPASS(self->dev);
		/* Registers of a device: refused, and no harm done */
		EXPECT_EQ(-EFAULT, type1_map(c, SZ_1G, self->dev->bar0,
					     sys_page_size()));
		EXPECT_EQ(0, type1_unmap(c, SZ_1M, BUF_SIZE));
		EXPECT_TRUE(dma_dead(self->dev, SZ_1M, self->buf));
		tce_close(self->dev, c);
		EXPECT_HOST(self->dev);
	}
}

/* ---- KVM ---------------------------------------------------------------------- */

/* A device that was opened without its group has no table to attach */
TEST_F(domain, kvm_wants_a_group)
{
	struct kvm_vfio_spapr_tce arg = { };
	struct kvm_create_device dev = { .type = KVM_DEV_TYPE_VFIO };
	struct kvm_create_spapr_tce_64 table = {
		.liobn = 0x80000001,
		.page_shift = 16,
		.size = 16,
	};
	struct kvm_device_attr attr = {
		.group = KVM_DEV_VFIO_FILE,
		.attr = KVM_DEV_VFIO_FILE_ADD,
	};
	int file;
	int kvm, vm;

	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		SKIP(return, "no KVM on this machine");
	vm = tce_ioctl(kvm, KVM_CREATE_VM, (void *)1);
	if (vm < 0)
		vm = tce_ioctl(kvm, KVM_CREATE_VM, (void *)0);
	close(kvm);
	if (vm < 0)
		SKIP(return, "no KVM HV on this machine");
	ASSERT_EQ(0, attach_dev(self, 0));
	ASSERT_EQ(0, tce_ioctl(vm, KVM_CREATE_DEVICE, &dev));
	file = self->cdev[0];
	attr.addr = (uintptr_t)&file;
	EXPECT_EQ(0, tce_ioctl(dev.fd, KVM_SET_DEVICE_ATTR, &attr));
	arg.groupfd = file;
	arg.tablefd = tce_ioctl(vm, KVM_CREATE_SPAPR_TCE_64, &table);
	EXPECT_LE(0, arg.tablefd);
	attr.attr = KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE;
	attr.addr = (uintptr_t)&arg;
	EXPECT_EQ(-EINVAL, tce_ioctl(dev.fd, KVM_SET_DEVICE_ATTR, &attr));
	close(arg.tablefd);
	close(dev.fd);
	close(vm);
}

/* ---- from hand to hand ---------------------------------------------------------- */

static int use_v2(struct tce_dev *dev, char *buf, bool dma)
{
	u64 start = 0;
	int c = tce_open(dev, TCE_V2), ret;

	if (c < 0)
		return c;
	ret = tce_register(c, buf, BUF_SIZE);
	if (!ret)
		ret = tce_create_any(c, sys_tce_shift(), 1ULL << 40, &start);
	if (ret > 0)
		ret = 0;
	if (!ret)
		ret = tce_map(c, start, buf, SZ_64K, DMA_RW);
	if (!ret && dma) {
		ret = tce_dev_open(dev);
		if (!ret && !dma_works(dev, start, buf))
			ret = -EIO;
	}
	tce_close(dev, c);

	return ret;
}

static int use_type1(struct tce_dev *dev, char *buf, bool dma)
{
	int c = type1_open(dev, VFIO_TYPE1v2_IOMMU), ret;

	if (c < 0)
		return c;
	ret = type1_map(c, SZ_1G, buf, BUF_SIZE);
	if (!ret && dma && !dma_works(dev, SZ_1G, buf))
		ret = -EIO;
	tce_close(dev, c);

	return ret;
}

/* Without what the kernel may drop, and at its best of some moments */
static s64 free_at_rest(void)
{
	struct timespec ms = { .tv_nsec = 20000000 };
	s64 most = 0, now;
	int i;

	for (i = 0; i < 5; i++) {
		sys_write_file("/proc/sys/vm/drop_caches", "3");
		now = sys_free_bytes();
		if (now > most)
			most = now;
		nanosleep(&ms, NULL);
	}

	return most;
}

/* What leaks does so in each quarter; what else takes memory does not. Not in the first */
TEST_F_TIMEOUT(domain, ring, 3600)
{
	int i, n = rounds(), quarter = n / 4 ? n / 4 : 1;
	s64 was = 0, now, least = INT64_MAX;
	bool dma;

	for (i = 0; i < n; i++) {
		dma = !(i % 10);
		if (i && !(i % quarter)) {
			now = free_at_rest();
			if (i > quarter && was - now < least)
				least = was - now;
			was = now;
		}
		ASSERT_EQ(0, use_v2(self->dev, self->buf, dma));
		ASSERT_EQ(0, attach_dev(self, 0));
		ASSERT_EQ(0, fd_map(self->fd, self->ioas, (u64)i << 36,
				    self->buf, BUF_SIZE, IOAS_RW));
		if (dma)
			EXPECT_TRUE(dma_works(self->dev, (u64)i << 36,
					      self->buf));
		if (i & 1)
			ASSERT_EQ(0, cdev_detach(self->cdev[0]));
		close_all(self);
		ASSERT_EQ(0, use_type1(self->dev, self->buf, dma));
		if (dma)
			EXPECT_HOST(self->dev);
	}
	now = free_at_rest();
	if (was - now < least)
		least = was - now;
	EXPECT_GE(n < MANY_ROUNDS ? SLACK : quarter * SLACK_PER_ROUND, least);
	TH_LOG("%d rounds, %lld bytes less after %d of them", i, least, quarter);
}

/* ---- with failures --------------------------------------------------------------- */

/*
 * @expr until it has no more places to fail at; answers what it did at last. One
 * that fails may have done all but tell of it, so @back undoes it each time.
 */
#define EACH_FAILURE(expr, back) ({					\
	int __n, __ret = -1;						\
	bool __failed = true;						\
									\
	for (__n = 1; __failed && __n < PLACES; __n++) {		\
		fail_at(__n);						\
		__ret = (expr);						\
		__failed = fail_end();					\
		if (__failed)						\
			(void)(back);					\
		after_failure(_metadata, self);				\
	}								\
	EXPECT_FALSE(__failed);						\
	TH_LOG("%s: %d places", #expr, __n - 2);			\
	__ret;								\
})

/* Whatever failed, the device reaches nothing of the host's. Every tenth time */
static void after_failure(struct __test_metadata *_metadata,
			  struct _test_data_domain *self)
{
	static unsigned int calls;

	if (self->dev->bar0 && !(calls++ % 10))
		EXPECT_NO_BYPASS(self->dev);
}

TEST_F_TIMEOUT(domain, failures, 300)
{
	const char *why = fail_open();
	u32 ioas, hwpt = 0;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, bind_dev(self, 0));

	/* BLOCKED -> DOMAIN -> BLOCKED */
	ASSERT_EQ(0, EACH_FAILURE(cdev_attach(self->cdev[0], self->ioas, NULL),
				  cdev_detach(self->cdev[0])));
	ASSERT_EQ(0, EACH_FAILURE(fd_map(self->fd, self->ioas, SZ_1G, self->buf,
					 BUF_SIZE, IOAS_RW),
				  fd_unmap(self->fd, self->ioas, SZ_1G,
					   BUF_SIZE)));
	EXPECT_TRUE(dma_works(self->dev, SZ_1G, self->buf));

	/* DOMAIN -> DOMAIN */
	ASSERT_EQ(0, fd_ioas(self->fd, &ioas));
	ASSERT_EQ(0, fd_map(self->fd, ioas, SZ_1M, self->buf, BUF_SIZE, IOAS_RW));
	ASSERT_EQ(0, EACH_FAILURE(fd_hwpt(self->fd, self->id[0], ioas, &hwpt),
				  fd_destroy(self->fd, hwpt)));
	ASSERT_EQ(0, EACH_FAILURE(cdev_attach(self->cdev[0], hwpt, NULL),
				  cdev_attach(self->cdev[0], self->ioas, NULL)));
	EXPECT_TRUE(dma_works(self->dev, SZ_1M, self->buf));
	EXPECT_NO_BYPASS(self->dev);

	/* What gives back cannot fail */
	ASSERT_EQ(BUF_SIZE, EACH_FAILURE(fd_unmap(self->fd, ioas, SZ_1M,
						  BUF_SIZE),
					 fd_map(self->fd, ioas, SZ_1M, self->buf,
						BUF_SIZE, IOAS_RW)));
	ASSERT_EQ(0, EACH_FAILURE(cdev_detach(self->cdev[0]), 0));
	EXPECT_NO_BYPASS(self->dev);
	tce_dev_close(self->dev);
	fail_at(1);
	close(self->cdev[0]);
	fail_end();
	self->cdev[0] = -1;
	EXPECT_HOST(self->dev);
	fail_close();
}

/* Undo what a request to bind the device may have done */
static int cdev_reopen(struct _test_data_domain *self)
{
	close(self->cdev[0]);
	self->cdev[0] = cdev_open(self->devs[0].bdf);

	return self->cdev[0];
}

/* From the host's hands, and back to them */
TEST_F_TIMEOUT(domain, failures_of_the_host, 600)
{
	const char *why = fail_open();
	bool failed = true;
	int n;

	if (why)
		SKIP(return, "%s", why);

	/* HOST -> BLOCKED: nobody has opened the registers, so nothing is looked at */
	self->fd = fd_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, fd_ioas(self->fd, &self->ioas));
	self->cdev[0] = cdev_open(self->dev->bdf);
	ASSERT_LE(0, self->cdev[0]);
	ASSERT_EQ(0, EACH_FAILURE(cdev_bind(self->cdev[0], self->fd, &self->id[0]),
				  cdev_reopen(self)));
	ASSERT_EQ(0, tce_dev_open(self->dev));
	EXPECT_NO_BYPASS(self->dev);
	close_all(self);
	EXPECT_HOST(self->dev);
	if (!getenv("DOMAIN_ROUNDS")) {
		/* Each try below resets the device, for seconds */
		TH_LOG("the rest only with DOMAIN_ROUNDS");
		fail_close();
		return;
	}

	/* HOST -> DOMAIN in one request of a type1 program, and all that it does */
	ASSERT_EQ(0, EACH_FAILURE(use_type1(self->dev, self->buf, false), 0));
	EXPECT_HOST(self->dev);

	/* DOMAIN -> HOST cannot fail */
	for (n = 1; failed && n < PLACES; n++) {
		ASSERT_EQ(0, attach_dev(self, 0));
		tce_dev_close(self->dev);
		fail_at(n);
		close(self->cdev[0]);
		failed = fail_end();
		self->cdev[0] = -1;
		close_all(self);
		if (!failed || !(n % 10))
			EXPECT_HOST(self->dev);
	}
	EXPECT_FALSE(failed);
	TH_LOG("close: %d places", n - 2);
	fail_close();
}

TEST_HARNESS_MAIN
