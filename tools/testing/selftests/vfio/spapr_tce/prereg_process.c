// SPDX-License-Identifier: GPL-2.0
/*
 * Registered memory of processes that are limited, exit, are killed or fork.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/wait.h>

#include "prereg.h"

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* ---- limits ------------------------------------------------------------- */

#define LIMIT_PAGES	8

struct child_args {
	struct tce_dev *dev;
	size_t page;
	int c;			/* container that the parent made */
	char *va;		/* memory that the parent registered */
	u64 huge;
};

static int memlock_child(void *arg)
{
	struct child_args *a = arg;
	size_t page = a->page, limit = LIMIT_PAGES * page;
	char *va = mem_alloc(2 * limit, 0, 0);
	int c = tce_open(a->dev, TCE_V2);

	CHILD_CHECK(c >= 0 && va);
	CHILD_CHECK(!drop_to_user(limit));
	CHILD_CHECK(tce_register(c, va, limit + page) == -ENOMEM);
	CHILD_CHECK(sys_vmlck() == 0);
	CHILD_CHECK(tce_register(c, va, 2 * limit) == -ENOMEM);
	CHILD_CHECK(sys_vmlck() == 0);
	CHILD_CHECK(tce_register(c, va, limit) == 0);
	CHILD_CHECK(sys_vmlck() == limit);
	CHILD_CHECK(tce_register(c, va + limit, page) == -ENOMEM);
	CHILD_CHECK(sys_vmlck() == limit);
	CHILD_CHECK(tce_unregister(c, va, limit) == 0);
	CHILD_CHECK(sys_vmlck() == 0);

	/* locked by other means counts as well */
	CHILD_CHECK(!mlock(va + limit, 2 * page));
	CHILD_CHECK(tce_register(c, va, limit) == -ENOMEM);
	CHILD_CHECK(tce_register(c, va, limit - 2 * page) == 0);
	CHILD_CHECK(sys_vmlck() == limit);
	return 0;
}

TEST_F(prereg, memlock)
{
	struct child_args args = { .dev = &self->devs[0], .page = self->page };

	tce_close(&self->devs[0], self->c);
	self->c = -1;
	EXPECT_EQ(0, run_child(memlock_child, &args));
}

static int too_much_child(void *arg)
{
	struct child_args *a = arg;
	int ret, c, fd = open("/proc/self/oom_score_adj", O_WRONLY);
	double t;
	void *va;

	/* should the kernel run out of memory, then this process goes */
	CHILD_CHECK(fd >= 0 && write(fd, "1000", 4) == 4);
	close(fd);
	c = tce_open(a->dev, TCE_V2);
	CHILD_CHECK(c >= 0);
	va = mmap(NULL, a->huge, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (va == MAP_FAILED)
		return 0;	/* not this much address space */
	t = seconds();
	ret = tce_register(c, va, a->huge);
	CHILD_CHECK(ret < 0);
	CHILD_CHECK(seconds() - t < 2);
	CHILD_CHECK(sys_vmlck() == 0);
	return 0;
}

/* No size that a process may ask for is a reason to warn. */
TEST_F(prereg, sizes_are_not_warned_of)
{
	u64 size = 64ULL << 40;
	int klog = sys_klog_open();
	void *va = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (va == MAP_FAILED)
		SKIP(return, "no 64 TB of address space");
	EXPECT_EQ(-EINVAL, tce_register(self->c, va, 0));
	EXPECT_FALSE(sys_klog_warned(klog));
	EXPECT_GT(0, tce_register(self->c, va, size));
	EXPECT_FALSE(sys_klog_warned(klog));
	munmap(va, size);
	close(klog);
}

TEST_F_TIMEOUT(prereg, more_than_memory, 120)
{
	struct child_args args = { .dev = &self->devs[0] };
	u64 ram = sysconf(_SC_PHYS_PAGES) * self->page;
	const u64 sizes[] = { 64ULL << 40, 16ULL << 40, 1ULL << 40, 2 * ram };
	int ret, klog = sys_klog_open();
	s64 free_before = sys_free_bytes();
	unsigned int i;

	tce_close(&self->devs[0], self->c);
	self->c = -1;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		args.huge = sizes[i];
		ret = run_child(too_much_child, &args);
		ASSERT_EQ(0, ret)
			TH_LOG("%llu GiB: %d", sizes[i] >> 30, ret);
		ASSERT_FALSE(sys_klog_warned(klog))
			TH_LOG("%llu GiB: the kernel warned", sizes[i] >> 30);
	}
	close(klog);
	EXPECT_LE(free_before - (s64)(64 * SZ_1M), sys_free_bytes());
}

/* ---- processes ---------------------------------------------------------- */

/* Registers, maps through two windows, and leaves all of it. */
static int leave_child(void *arg)
{
	struct child_args *a = arg;
	char *va = mem_alloc(32 * a->page, 0, 0);
	int c = tce_open(a->dev, TCE_V2);
	u64 start;

	CHILD_CHECK(c >= 0 && va);
	CHILD_CHECK(!tce_register(c, va, 16 * a->page));
	CHILD_CHECK(!tce_register(c, va + 16 * a->page, 16 * a->page));
	CHILD_CHECK(!tce_map(c, 0, va, 32 * a->page, DMA_RW));
	CHILD_CHECK(!tce_create_any(c, tce_iommu_shift(c, a->page), SZ_1G, &start));
	CHILD_CHECK(!tce_map(c, start, va, 8 * a->page, DMA_RW));
	if (a->dev->edu)
		CHILD_CHECK(!tce_dev_open(a->dev));
	return 0;
}

TEST_F(prereg, exit_dirty)
{
	struct child_args args = { .dev = &self->devs[0], .page = self->page };
	const char *leak;
	char *va;
	int i;

	tce_close(&self->devs[0], self->c);
	self->c = -1;
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, run_child(leave_child, &args));
		leak = tce_leak_check(&self->leak);
		ASSERT_EQ(NULL, leak)
			TH_LOG("after child %d: %s", i, leak);
	}

	/* the group is as good as new */
	self->c = tce_open(&self->devs[0], TCE_V2);
	ASSERT_LE(0, self->c);
	va = mem_alloc(2 * self->page, 0, 0);
	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, tce_register(self->c, va, 2 * self->page));
	ASSERT_EQ(0, tce_map(self->c, 0, va, 2 * self->page, DMA_RW));
	if (tce_can_dma(&self->devs[0])) {
		mem_fill(va, self->page, 31);
		EXPECT_EQ(0, edu_copy(&self->devs[0], 0, self->page, 4088));
		EXPECT_TRUE(mem_check(va + self->page, 4088, 31));
	}
}

/* As above, but killed while it registers and maps in a loop. */
TEST_F(prereg, killed)
{
	size_t page = self->page, size = 64 * page;
	struct tce_dev *dev = &self->devs[0];
	const char *leak;
	int i, status, c;
	char *va;
	pid_t pid;

	tce_close(dev, self->c);
	self->c = -1;
	for (i = 0; i < 4; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			va = mem_alloc(size, 0, 0);
			c = tce_open(dev, TCE_V2);
			while (c >= 0 && va) {
				tce_register(c, va, size);
				tce_map(c, 0, va, size, DMA_RW);
				tce_unmap(c, 0, size);
				tce_unregister(c, va, size);
			}
			_exit(1);
		}
		usleep(100000 + 30000 * i);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
		leak = tce_leak_check(&self->leak);
		ASSERT_EQ(NULL, leak)
			TH_LOG("after child %d: %s", i, leak);
	}
}

/* The container is not the child's, and the parent's memory is not either. */
static int fork_child(void *arg)
{
	struct child_args *a = arg;
	char *own = mem_alloc(a->page, 0, 0);

	CHILD_CHECK(own);
	CHILD_CHECK(sys_vmlck() == 0);
	CHILD_CHECK(tce_register(a->c, own, a->page) == -EPERM);
	CHILD_CHECK(tce_register(a->c, a->va, 2 * a->page) == -EPERM);
	CHILD_CHECK(tce_unregister(a->c, a->va, 2 * a->page) == -EPERM);
	CHILD_CHECK(tce_map(a->c, SZ_1M, a->va, a->page, DMA_RW) == -EPERM);
	CHILD_CHECK(tce_unmap(a->c, 0, a->page) == -EPERM);
	CHILD_CHECK(sys_vmlck() == 0);
	memset(a->va, 0xff, 2 * a->page);	/* its own copy */
	return 0;
}

TEST_F(prereg, fork)
{
	struct tce_dev *dev = &self->devs[0];
	size_t page = self->page;
	char *va = mem_alloc(2 * page, 0, 0);
	struct child_args args = { .page = page, .c = self->c, .va = va };
	u64 vmlck;
	s64 pinned;

	ASSERT_NE(NULL, va);
	mem_fill(va, page, 41);
	ASSERT_EQ(0, tce_register(self->c, va, 2 * page));
	ASSERT_EQ(0, tce_map(self->c, 0, va, 2 * page, DMA_RW));
	vmlck = sys_vmlck();
	pinned = sys_pinned();
	EXPECT_EQ(0, run_child(fork_child, &args));
	EXPECT_EQ(vmlck, sys_vmlck());
	EXPECT_EQ(pinned, sys_pinned_wait(pinned));

	/* the parent still writes to what the device reads, and sees its writes */
	if (tce_can_dma(dev)) {
		mem_fill(va, page, 42);
		memset(va + page, 0, page);
		EXPECT_EQ(0, edu_copy(dev, 0, page, 4088));
		EXPECT_TRUE(mem_check(va + page, 4088, 42));
	}
	EXPECT_EQ(-EBUSY, tce_unregister(self->c, va, 2 * page));
	ASSERT_EQ(0, tce_unmap(self->c, 0, 2 * page));
	EXPECT_EQ(0, tce_unregister(self->c, va, 2 * page));
}

/* A child with a group of its own registers the same addresses for itself. */
static int fork_own_child(void *arg)
{
	struct child_args *a = arg;
	int c = tce_open(a->dev, TCE_V2);

	CHILD_CHECK(c >= 0);
	mem_fill(a->va, 2 * a->page, 52);
	CHILD_CHECK(tce_map(c, 0, a->va, a->page, DMA_RW) == -EPERM);
	/* overlaps what the parent registered, but in another mm */
	CHILD_CHECK(!tce_register(c, a->va + a->page, a->page));
	CHILD_CHECK(sys_vmlck() == a->page);
	CHILD_CHECK(!tce_register(c, a->va, a->page));
	CHILD_CHECK(sys_vmlck() == 2 * a->page);
	CHILD_CHECK(!tce_map(c, 0, a->va, 2 * a->page, DMA_RW));
	if (tce_can_dma(a->dev)) {
		CHILD_CHECK(!edu_copy(a->dev, 0, a->page, 2048));
		CHILD_CHECK(mem_check(a->va + a->page, 2048, 52));
	}
	return 0;
}

TEST_F(prereg, fork_own)
{
	size_t page = self->page;
	char *va = mem_alloc(2 * page, 0, 0);
	struct child_args args = {
		.dev = &self->devs[1], .page = page, .va = va,
	};
	u64 vmlck;
	s64 pinned;

	if (self->ndevs < 2)
		SKIP(return, "one IOMMU group only");
	ASSERT_NE(NULL, va);
	mem_fill(va, 2 * page, 51);
	ASSERT_EQ(0, tce_register(self->c, va, 2 * page));
	vmlck = sys_vmlck();
	pinned = sys_pinned();
	EXPECT_EQ(0, run_child(fork_own_child, &args));
	EXPECT_EQ(vmlck, sys_vmlck());
	EXPECT_EQ(pinned, sys_pinned_wait(pinned));
	EXPECT_TRUE(mem_check(va, 2 * page, 51));
}

TEST_HARNESS_MAIN
