// SPDX-License-Identifier: GPL-2.0
/*
 * Threads of one process that do everything at once to one container. Nobody
 * says what a single request should answer; but every answer must be one that
 * the request can give, and in the end nothing may be left: no pinned page, no
 * charge, no table.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/wait.h>

#include "harness.h"

#define UNIT		SZ_64K
#define REGIONS		8
#define REGION_SIZE	(4 * UNIT)
#define THREADS		4
#define SECONDS		2

FIXTURE(race)
{
	struct tce_leak leak;
	struct tce_dev devs[TCE_MAX_DEVS];
	int ndevs;
	int c;
	void *buf;
};

FIXTURE_SETUP(race)
{
	self->c = -1;
	self->ndevs = tce_find_devs(self->devs, TCE_MAX_DEVS);
	if (!self->ndevs)
		SKIP(return, "no PCI device to take: no edu, no VFIO_DEVICE");
	tce_leak_start(&self->leak);
	self->buf = mem_alloc(REGIONS * REGION_SIZE, UNIT, MEM_POPULATE);
	ASSERT_NE(NULL, self->buf);
	self->c = tce_open(&self->devs[0], TCE_V2);
	if (self->c == -EINVAL)
		SKIP(return, "no VFIO_SPAPR_TCE_v2_IOMMU on this machine");
	ASSERT_LE(0, self->c);
}

FIXTURE_TEARDOWN(race)
{
	tce_close(&self->devs[0], self->c);
	mem_free(self->buf, REGIONS * REGION_SIZE);
	EXPECT_NO_LEAK(&self->leak);
}

struct worker {
	pthread_t thread;
	int c;
	void *buf;
	struct tce_dev *second;	/* comes and goes */
	struct tce_dev *first;	/* the same, if there is no other */
	unsigned int what;	/* mask of requests */
	u64 windows;		/* which of the two they are about; 0: both */
	unsigned int rounds;	/* until as many were good; 0: for SECONDS */
	int *over;		/* or until it is */
	unsigned int seed;
	bool strict;		/* nothing but 0 will do */
	bool may_be_gone;	/* without groups -EINVAL, without an owner -EPERM */
	int bad_request;	/* and what it answered */
	int bad_answer;
	unsigned int good;	/* requests that did something */
};

enum {
	DO_MAP,
	DO_UNMAP,
	DO_REGISTER,
	DO_UNREGISTER,
	DO_CREATE,
	DO_REMOVE,
	DO_GROUP,
	DO_INFO,
	DO_LEAVE,
	DO_MAX,
};

/* The answers that each request may give, besides 0. */
static const int allowed[DO_MAX][6] = {
	[DO_MAP] = { -ENXIO, -EINVAL, -EPERM, -ENOMEM },
	[DO_UNMAP] = { -ENXIO, -EINVAL },
	[DO_REGISTER] = { -EBUSY, -EINVAL, -ENOMEM },
	[DO_UNREGISTER] = { -ENOENT, -EBUSY },
	/* pseries makes no window 0 beside a dynamic one */
	[DO_CREATE] = { -ENOSPC, -ENOMEM, -EPERM },
	[DO_REMOVE] = { -EINVAL },
	[DO_GROUP] = { -EBUSY },
	[DO_LEAVE] = { },
};

/* The container is set up, and a moment later its only group leaves. */
static int leave(struct worker *w)
{
	int ret = tce_group_set(w->first, w->c);

	if (!ret)
		ret = tce_set_iommu(w->c, TCE_V2);
	usleep(rand_r(&w->seed) % 3000);
	return tce_group_unset(w->first) ?: ret;
}

static int one(struct worker *w, int what)
{
	struct vfio_iommu_spapr_tce_info info;
	unsigned int r = rand_r(&w->seed);
	void *region = w->buf + r % REGIONS * REGION_SIZE;
	u64 start = (w->windows ?: r) & 0x100 ? TCE_WINDOW1 : 0;
	u64 iova = start + (r >> 12) % 64 * UNIT;
	u64 size = (1 + (r >> 20) % 4) * UNIT;
	int ret;

	switch (what) {
	case DO_MAP:
		/* now and then far away, where a level is missing */
		if (!(r & 0x600))
			iova += SZ_512M;
		return tce_map(w->c, iova, region, size, DMA_RW);
	case DO_UNMAP:
		return tce_unmap(w->c, iova, size);
	case DO_REGISTER:
		return tce_register(w->c, region, REGION_SIZE);
	case DO_UNREGISTER:
		return tce_unregister(w->c, region, REGION_SIZE);
	case DO_CREATE:
		return tce_create(w->c, sys_tce_shift(), SZ_1G,
				  sys_powernv() ? 2 : 1, NULL);
	case DO_REMOVE:
		return tce_remove(w->c, start);
	case DO_GROUP:
		ret = tce_group_open(w->second);
		if (ret)
			return ret;
		ret = tce_group_set(w->second, w->c);
		tce_group_close(w->second);
		return ret;
	case DO_INFO:
		return tce_get_info(w->c, &info);
	case DO_LEAVE:
		return leave(w);
	}
	return 0;
}

static bool is_over(const struct worker *w, const struct timespec *end)
{
	struct timespec now;

	if (w->rounds)
		return w->good >= w->rounds || w->bad_answer;
	if (w->over)
		return __atomic_load_n(w->over, __ATOMIC_SEQ_CST);
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > end->tv_sec || (now.tv_sec == end->tv_sec &&
					    now.tv_nsec >= end->tv_nsec);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct timespec end;
	unsigned int i;
	int what, ret;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += SECONDS * sys_slowness();
	do {
		do
			what = rand_r(&w->seed) % DO_MAX;
		while (!(w->what & 1U << what));
		ret = one(w, what);
		w->good += !ret;
		for (i = 0; ret && !w->strict && i < ARRAY_SIZE(allowed[what]); i++)
			if (ret == allowed[what][i])
				ret = 0;
		if ((ret == -EINVAL || ret == -EPERM) && w->may_be_gone)
			ret = 0;
		if (ret && !w->bad_answer) {
			w->bad_request = what;
			w->bad_answer = ret;
		}
	} while (!is_over(w, &end));
	return NULL;
}

static void hammer(struct __test_metadata *_metadata, struct _test_data_race *self,
		   unsigned int what, unsigned int last)
{
	struct worker w[THREADS] = {};
	unsigned int good = 0;
	int i;

	ASSERT_EQ(0, tce_register(self->c, self->buf, REGION_SIZE));
	for (i = 0; i < THREADS; i++) {
		w[i].c = self->c;
		w[i].buf = self->buf;
		w[i].second = &self->devs[1];
		w[i].what = i == THREADS - 1 ? last : what;
		w[i].seed = i + 1;
		ASSERT_EQ(0, pthread_create(&w[i].thread, NULL, work, &w[i]));
	}
	for (i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pthread_join(w[i].thread, NULL));
		EXPECT_EQ(0, w[i].bad_answer) {
			TH_LOG("request %d", w[i].bad_request);
		}
		good += w[i].good;
	}

	/* They did something; how much depends on what else the machine does */
	EXPECT_LT(10, good);

	/* Everything must be possible to undo by name. */
	for (i = 0; i < REGIONS; i++)
		tce_register(self->c, self->buf + i * REGION_SIZE, REGION_SIZE);
	tce_remove(self->c, 0);
	tce_remove(self->c, TCE_WINDOW1);
	for (i = 0; i < REGIONS; i++)
		EXPECT_EQ(0, tce_unregister(self->c,
					    self->buf + i * REGION_SIZE,
					    REGION_SIZE));
	EXPECT_EQ(self->leak.pinned, sys_pinned_wait(self->leak.pinned));
	EXPECT_EQ(self->leak.vmlck, sys_vmlck());
}

#define ALL(what)	(1U << (what))
#define MAPS		(ALL(DO_MAP) | ALL(DO_UNMAP))
#define REGISTERS	(ALL(DO_REGISTER) | ALL(DO_UNREGISTER))
#define WINDOWS		(ALL(DO_CREATE) | ALL(DO_REMOVE))

TEST_F(race, map_unmap)
{
	hammer(_metadata, self, MAPS, MAPS);
}

/* Defect 13: a region goes away while it is being mapped. */
TEST_F(race, map_unregister)
{
	hammer(_metadata, self, MAPS, REGISTERS);
}

/* Defect 4: a window goes away under a map. */
TEST_F(race, map_remove)
{
	hammer(_metadata, self, MAPS, WINDOWS);
}

/*
 * Threads map in a window each, at the same time, and the second window comes and
 * goes. The first thread is never told that its window is missing.
 */
TEST_F(race, maps_in_two_windows)
{
	static const struct {
		unsigned int what;
		u64 windows;
	} jobs[] = { { MAPS, 0x200 }, { MAPS, 0x100 }, { WINDOWS, 0x100 } };
	struct worker w[ARRAY_SIZE(jobs)] = {};
	int i;

	for (i = 0; i < REGIONS; i++)
		ASSERT_EQ(0, tce_register(self->c, self->buf + i * REGION_SIZE,
					  REGION_SIZE));
	/* Makes the default window */
	ASSERT_EQ(0, tce_map(self->c, 0, self->buf, UNIT, DMA_RW));
	for (i = 0; i < ARRAY_SIZE(jobs); i++) {
		w[i].c = self->c;
		w[i].buf = self->buf;
		w[i].what = jobs[i].what;
		w[i].windows = jobs[i].windows;
		w[i].strict = !i;
		w[i].seed = i + 1;
		ASSERT_EQ(0, pthread_create(&w[i].thread, NULL, work, &w[i]));
	}
	for (i = 0; i < ARRAY_SIZE(jobs); i++) {
		ASSERT_EQ(0, pthread_join(w[i].thread, NULL));
		EXPECT_EQ(0, w[i].bad_answer) {
			TH_LOG("request %d", w[i].bad_request);
		}
		EXPECT_LT(0, w[i].good);
	}
	tce_remove(self->c, TCE_WINDOW1);
	EXPECT_EQ(0, tce_remove(self->c, 0));
	for (i = 0; i < REGIONS; i++)
		EXPECT_EQ(0, tce_unregister(self->c,
					    self->buf + i * REGION_SIZE,
					    REGION_SIZE));
	EXPECT_EQ(self->leak.pinned, sys_pinned_wait(self->leak.pinned));
	EXPECT_EQ(self->leak.vmlck, sys_vmlck());
}

TEST_F(race, everything)
{
	hammer(_metadata, self, MAPS | REGISTERS | WINDOWS,
	       MAPS | REGISTERS | WINDOWS);
}

TEST_F(race, group_comes_and_goes)
{
	if (!sys_powernv())
		SKIP(return, "groups cannot share windows on this machine");
	if (self->ndevs < 2)
		SKIP(return, "no second group");
	hammer(_metadata, self, MAPS | REGISTERS | WINDOWS, ALL(DO_GROUP));
}

/*
 * The only group leaves under requests, and comes back. Each request is answered
 * by the container that it has found, or by none.
 */
TEST_F_TIMEOUT(race, last_group_leaves, 100)
{
	struct worker w[3] = {};
	int i, over = 0;

	ASSERT_EQ(0, tce_group_unset(&self->devs[0]));
	for (i = 0; i < 3; i++) {
		w[i].c = self->c;
		w[i].buf = self->buf;
		w[i].first = &self->devs[0];
		w[i].what = i ? MAPS | REGISTERS | ALL(DO_INFO) : ALL(DO_LEAVE);
		w[i].seed = i + 1;
		w[i].rounds = i ? 0 : 20;
		w[i].over = &over;
		w[i].may_be_gone = i;
		ASSERT_EQ(0, pthread_create(&w[i].thread, NULL, work, &w[i]));
	}
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, pthread_join(w[i].thread, NULL));
		__atomic_store_n(&over, 1, __ATOMIC_SEQ_CST);
		EXPECT_EQ(0, w[i].bad_answer)
			TH_LOG("request %d", w[i].bad_request);
		EXPECT_LT(0, w[i].good);
	}
	EXPECT_EQ(self->leak.pinned, sys_pinned_wait(self->leak.pinned));
	EXPECT_EQ(self->leak.vmlck, sys_vmlck());
	/* and the container is as good as new */
	ASSERT_EQ(0, tce_group_set(&self->devs[0], self->c));
	ASSERT_EQ(0, tce_set_iommu(self->c, TCE_V2));
	EXPECT_EQ(0, tce_register(self->c, self->buf, REGION_SIZE));
	EXPECT_EQ(0, tce_unregister(self->c, self->buf, REGION_SIZE));
}

/* ---- a request that takes long ------------------------------------------ */

/* Memory that is not there yet: seconds to pin, on an emulated machine */
#define LONG_SIZE	SZ_1G

/* A map of version 1, which others of its container wait for while it pins */
struct slow {
	pthread_t thread;
	int c;
	void *buf;
	u64 iova;
	int ret;
	int done;
	int waits;	/* somebody for it */
};

static void *slow_map(void *arg)
{
	struct slow *s = arg;

	s->ret = tce_map(s->c, s->iova, s->buf, LONG_SIZE / 2, DMA_RW);
	__atomic_store_n(&s->done, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static bool slow_is_over(struct slow *s)
{
	return __atomic_load_n(&s->done, __ATOMIC_SEQ_CST);
}

/* The device in a container of version 1 instead, where @s may map; 0 or why not */
static int slow_open(struct _test_data_race *self, struct slow *s)
{
	struct vfio_iommu_spapr_tce_info info;
	int ret;

	tce_close(&self->devs[0], self->c);
	self->c = tce_open(&self->devs[0], TCE_V1);
	if (self->c < 0)
		return self->c;
	ret = tce_get_info(self->c, &info) ?: tce_enable(self->c);
	*s = (struct slow){
		.c = self->c, .buf = mem_alloc(LONG_SIZE / 2, SZ_64K, 0),
		.iova = info.dma32_window_start + SZ_1M,
	};
	return ret ?: s->buf ? 0 : -ENOMEM;
}

/* ... and it has begun to pin */
static bool slow_start(struct slow *s)
{
	s64 pinned = sys_vmstat("nr_foll_pin_acquired");

	if (pthread_create(&s->thread, NULL, slow_map, s))
		return false;
	while (sys_vmstat("nr_foll_pin_acquired") == pinned && !slow_is_over(s))
		usleep(1000);
	return true;
}

static void slow_end(struct slow *s)
{
	pthread_join(s->thread, NULL);
	tce_unmap(s->c, s->iova, LONG_SIZE / 2);
	mem_free(s->buf, LONG_SIZE / 2);
}

/* What a process finds out about a container without being its owner */
static int ask(int c, int want)
{
	struct vfio_iommu_spapr_tce_info info;
	char path[64], text[4096];
	ssize_t n;
	int fd;

	if (tce_get_info(c, &info) != want)
		return 1;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", c);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 2;
	n = read(fd, text, sizeof(text));
	close(fd);
	/* What it says is in observe.c */
	return n > 0 ? 0 : 3;
}

/* A child that asks when it is told to */
static pid_t ask_later(int c, int want, int *start)
{
	int pipes[2];
	pid_t pid;
	char byte;

	if (pipe(pipes))
		return -errno;
	pid = fork();
	if (!pid) {
		close(pipes[1]);
		_exit(read(pipes[0], &byte, 1) == 1 ? ask(c, want) : 5);
	}
	close(pipes[0]);
	*start = pipes[1];
	return pid;
}

/* Another process is refused, and fdinfo answers, while the owner is at it. */
TEST_F_TIMEOUT(race, stranger_does_not_wait, 100)
{
	int start, status = -1;
	struct slow slow;
	pid_t pid;

	ASSERT_EQ(0, slow_open(self, &slow));
	pid = ask_later(self->c, -EPERM, &start);
	ASSERT_LT(0, pid);
	ASSERT_TRUE(slow_start(&slow));
	ASSERT_EQ(1, write(start, "", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_FALSE(slow_is_over(&slow))
		TH_LOG("who is not the owner waits for the owner's request");
	EXPECT_EQ(0, status);
	close(start);
	slow_end(&slow);
	EXPECT_EQ(0, slow.ret);
}

static int wait_for_slow(void *arg)
{
	struct slow *s = arg;

	__atomic_store_n(&s->waits, 1, __ATOMIC_SEQ_CST);
	tce_map(s->c, s->iova - SZ_64K, s->buf, SZ_64K, DMA_RW);
	return 0;
}

/*
 * Another request of the owner's, in a process that shares our memory and files and
 * so is killed alone: it has to wait for the first one, but it can be killed.
 */
TEST_F_TIMEOUT(race, who_waits_can_be_killed, 100)
{
	char *stack = mem_alloc(SZ_64K, 0, MEM_POPULATE);
	struct slow slow;
	int status = -1;
	pid_t pid;

	ASSERT_NE(NULL, stack);
	ASSERT_EQ(0, slow_open(self, &slow));
	ASSERT_TRUE(slow_start(&slow));
	pid = clone(wait_for_slow, stack + SZ_64K, CLONE_VM | CLONE_FILES | SIGCHLD,
		    &slow);
	ASSERT_LT(0, pid);
	while (!__atomic_load_n(&slow.waits, __ATOMIC_SEQ_CST))
		usleep(1000);
	usleep(100000 * sys_slowness());
	ASSERT_EQ(0, waitpid(pid, &status, WNOHANG))
		TH_LOG("it did not wait");
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_FALSE(slow_is_over(&slow))
		TH_LOG("who waits for another request cannot be killed");
	EXPECT_TRUE(WIFSIGNALED(status));
	slow_end(&slow);
	EXPECT_EQ(0, slow.ret);
	mem_free(stack, SZ_64K);
}

struct victim {
	int c;
	void *buf;
	u64 size;
	int over;
};

static int victim(void *arg)
{
	struct victim *v = arg;

	tce_register(v->c, v->buf, v->size);
	__atomic_store_n(&v->over, 1, __ATOMIC_SEQ_CST);
	return 0;
}

/*
 * Registers in a process that shares our memory and files, and so is killed
 * alone: what it leaves pinned or charged is still to be seen. Kills it after
 * *@usec, which are changed for the next time; answers whether that was in the
 * middle.
 */
static bool kill_in_register(struct victim *v, unsigned int *usec)
{
	s64 all = v->size / sys_page_size(), before, now;
	size_t size = SZ_64K;
	int status = -1;
	char *stack;
	pid_t pid;

	v->over = 0;
	stack = mem_alloc(size, 0, MEM_POPULATE);
	before = sys_vmstat("nr_foll_pin_acquired");
	pid = clone(victim, stack + size, CLONE_VM | CLONE_FILES | SIGCHLD, v);
	if (pid < 0)
		return false;
	usleep(*usec);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	mem_free(stack, size);
	now = sys_vmstat("nr_foll_pin_acquired") - before;
	if (now >= all) {
		tce_unregister(v->c, v->buf, v->size);
		*usec /= 2;
	} else if (!now) {
		*usec += *usec / 2;
	}
	ksft_print_msg("killed when %lld of %lld pages were pinned\n", now, all);

	return WIFSIGNALED(status) && now && now < all;
}

static void killed_in_register(struct __test_metadata *_metadata,
			       struct _test_data_race *self, void *buf, u64 size)
{
	struct victim v = { .c = self->c, .buf = buf, .size = size };
	struct tce_leak leak;
	unsigned int usec = 20000;
	int i, killed = 0;
	const char *left;

	/* whoever registers first is the owner */
	ASSERT_EQ(0, tce_register(self->c, self->buf, REGION_SIZE));
	tce_leak_start(&leak);
	for (i = 0; i < 30 && killed < 3; i++) {
		killed += kill_in_register(&v, &usec);
		left = tce_leak_check(&leak);
		ASSERT_EQ(NULL, left)
			TH_LOG("after kill %d: %s", i, left);
		ASSERT_EQ(-ENOENT, tce_unregister(self->c, buf, size));
	}
	EXPECT_EQ(3, killed)
		TH_LOG("a request goes on until all is pinned, signal or not");

	/* the range is free again, and all of it can be had */
	EXPECT_EQ(0, tce_register(self->c, buf, size));
	EXPECT_EQ(0, tce_unregister(self->c, buf, size));
	EXPECT_EQ(0, tce_unregister(self->c, self->buf, REGION_SIZE));
}

/* Killed while memory is faulted in */
TEST_F_TIMEOUT(race, killed_in_register, 100)
{
	void *buf = mem_alloc(LONG_SIZE / 2, SZ_64K, 0);

	ASSERT_NE(NULL, buf);
	killed_in_register(_metadata, self, buf, LONG_SIZE / 2);
	mem_free(buf, LONG_SIZE / 2);
}

/*
 * Killed where all is there, and nothing is left but to pin it: which takes long
 * for the same little memory over and over
 */
TEST_F_TIMEOUT(race, killed_in_register_of_present, 100)
{
	u64 piece = 256 * sys_page_size(), size = 2 * LONG_SIZE, at;
	void *buf = mmap(NULL, size, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int fd = memfd_create("present", MFD_CLOEXEC);

	ASSERT_NE(MAP_FAILED, buf);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, piece));
	for (at = 0; at < size; at += piece)
		ASSERT_EQ(buf + at, mmap(buf + at, piece, PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_FIXED | MAP_POPULATE,
					 fd, 0));
	close(fd);
	killed_in_register(_metadata, self, buf, size);
	munmap(buf, size);
}

TEST_HARNESS_MAIN
