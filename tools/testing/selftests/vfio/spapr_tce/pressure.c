// SPDX-License-Identifier: GPL-2.0
/*
 * Too little memory, and memory that the kernel would like to move: a full
 * cgroup, a full machine, limits that change, compaction, memory that is taken
 * offline. A request fails or its process is killed; nothing is left behind
 * then, and memory that a device was given stays where it is.
 *
 * Levels are charged to the cgroup of the process as any kernel memory that is
 * accounted (GFP_KERNEL_ACCOUNT). When that is full the kernel kills the process
 * in it that it likes least, and the request gets -ENOMEM only if there is none
 * to kill: as Documentation/admin-guide/cgroup-v2.rst says of memory.max.
 *
 * The kernel reports each such kill on the console. Who reads that (results.pl)
 * accepts reports of processes with the name that is VICTIM here.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "harness.h"

#define VICTIM		"tce-victim"
#define CGROOT		"/sys/fs/cgroup"
#define CGROUP		CGROOT "/spapr_tce_test"
#define LEN		EDU_MAX_LEN
#define UNIT		SZ_64K
#define TCES		BIT_ULL(sys_tce_bits())	/* of a sparse window */
#define FAR		4096		/* places in it that share no leaf */
#define BUF_SIZE	SZ_1M
#define SLACK		SZ_1M		/* of memory that others use meanwhile */

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif

FIXTURE(pressure)
{
	struct tce_leak leak;
	struct tce_dev devs[TCE_MAX_DEVS];
	struct tce_dev *dev;
	int ndevs;
	int c;
	u64 start;	/* of a window of TCES, or of 1 GB */
	u64 size;
	void *buf;	/* registered */
};

/* The container of a test, or of a child of it */
static int open_window(struct _test_data_pressure *self)
{
	struct vfio_iommu_spapr_tce_info info;
	int ret;

	self->c = tce_open(self->dev, TCE_V2);
	if (self->c < 0)
		return self->c;
	ret = tce_get_info(self->c, &info);
	if (!ret)
		ret = tce_register(self->c, self->buf, BUF_SIZE);
	if (ret)
		return ret;

	self->start = info.dma32_window_start;
	self->size = info.dma32_window_size;
	if (!(info.flags & VFIO_IOMMU_SPAPR_INFO_DDW))
		return 0;
	self->size = TCES << sys_tce_shift();
	ret = tce_remove(self->c, info.dma32_window_start);
	return ret ?: tce_create(self->c, sys_tce_shift(), self->size,
				 info.ddw.levels < 2 ? 1 : 2, &self->start);
}

/* Map a page at the @nr-th of FAR places */
static int map_far(struct _test_data_pressure *self, int nr)
{
	return tce_map(self->c, self->start + self->size / FAR * nr, self->buf,
		       UNIT, DMA_RW);
}

FIXTURE_SETUP(pressure)
{
	int c;

	self->c = -1;
	self->ndevs = tce_find_devs(self->devs, TCE_MAX_DEVS);
	if (!self->ndevs)
		SKIP(return, "no PCI device to take: no edu, no VFIO_DEVICE");
	self->dev = &self->devs[0];
	c = tce_open(self->dev, TCE_V2);
	if (c == -EINVAL)
		SKIP(return, "no VFIO_SPAPR_TCE_v2_IOMMU on this machine");
	ASSERT_LE(0, c);
	tce_close(self->dev, c);
	tce_leak_start(&self->leak);
	self->buf = mem_alloc(BUF_SIZE, UNIT, MEM_POPULATE);
	ASSERT_NE(NULL, self->buf);
}

FIXTURE_TEARDOWN(pressure)
{
	tce_close(self->dev, self->c);
	mem_free(self->buf, BUF_SIZE);
	rmdir(CGROUP);
	EXPECT_NO_LEAK(&self->leak);
	SKIP_UNASKED();
}

/* ---- cgroups ------------------------------------------------------------ */

static int write_number(const char *path, s64 number)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", number);
	return sys_write_file(path, text);
}

/* The number behind @name in a file, or the first one; -1 if it is not there */
static s64 read_number(const char *path, const char *name)
{
	char line[256];
	s64 val = -1;
	FILE *f = fopen(path, "r");
	size_t len = name ? strlen(name) : 0;

	if (!f)
		return -1;
	while (val < 0 && fgets(line, sizeof(line), f))
		if (!name || (!strncmp(line, name, len) && line[len] == ' '))
			val = strtoll(line + len, NULL, 10);
	fclose(f);
	return val;
}

/* NULL, or what is missing */
static const char *make_cgroup(void)
{
	if (access(CGROOT "/cgroup.controllers", R_OK) &&
	    mount("cgroup2", CGROOT, "cgroup2", 0, NULL))
		return "no cgroup2 here";
	if (sys_write_file(CGROOT "/cgroup.subtree_control", "+memory"))
		return "cgroup2 has no memory controller here";
	rmdir(CGROUP);
	if (mkdir(CGROUP, 0755))
		return "no cgroup can be made here";
	return NULL;
}

static int join_cgroup(void)
{
	return write_number(CGROUP "/cgroup.procs", getpid());
}

/* Kernel memory of the cgroup. Statistics may be 2 seconds behind. */
static s64 cgroup_kernel(void)
{
	sleep(3);
	return read_number(CGROUP "/memory.stat", "kernel");
}

/*
 * What levels cost the cgroup is what VmLck says that they cost, and it gets
 * back all of it.
 */
static int levels_child(void *arg)
{
	struct _test_data_pressure *self = arg;
	s64 kernel, current, grown;
	u64 vmlck, charged;
	int i;

	CHILD_CHECK(!join_cgroup());
	CHILD_CHECK(!open_window(self));
	kernel = cgroup_kernel();
	current = read_number(CGROUP "/memory.current", NULL);
	CHILD_CHECK(kernel >= 0 && current > 0);
	vmlck = sys_vmlck();
	for (i = 0; i < FAR; i++)
		CHILD_CHECK(!map_far(self, i));
	charged = sys_vmlck() - vmlck;
	CHILD_CHECK(charged >= FAR * SZ_4K);

	grown = cgroup_kernel() - kernel;
	printf("# VmLck rose by %llu, kernel memory of the cgroup by %lld\n",
	       charged, grown);
	fflush(stdout);
	CHILD_CHECK(grown > (s64)(charged - SLACK));
	if (!sys_slab_debug())
		CHILD_CHECK(grown < (s64)(charged + charged / 4 + SLACK));
	CHILD_CHECK(read_number(CGROUP "/memory.current", NULL) - current >
		    (s64)(charged - 8 * SLACK));

	CHILD_CHECK(!tce_remove(self->c, self->start));
	CHILD_CHECK(sys_vmlck() < vmlck);
	grown = cgroup_kernel() - kernel;
	printf("# without the window it is %lld more than before\n", grown);
	fflush(stdout);
	CHILD_CHECK(grown < (s64)SLACK);
	return 0;
}

TEST_F_TIMEOUT(pressure, memcg_charge, 120)
{
	const char *missing = make_cgroup();

	if (missing)
		SKIP(return, "%s", missing);
	EXPECT_EQ(0, run_child(levels_child, self));
}

/* Maps all over its window until the cgroup is full, and then is killed. */
static int full_child(void *arg)
{
	struct _test_data_pressure *self = arg;
	int i, ret = 0;

	prctl(PR_SET_NAME, VICTIM);
	CHILD_CHECK(!join_cgroup());
	CHILD_CHECK(!open_window(self));
	CHILD_CHECK(!write_number(CGROUP "/memory.max",
				  read_number(CGROUP "/memory.current", NULL) +
				  (s64)SZ_16M));
	for (i = 0; i < FAR && !ret; i++)
		ret = map_far(self, i);
	return ret ?: 1;
}

TEST_F_TIMEOUT(pressure, memcg_full_killed, 120)
{
	const char *missing = make_cgroup();
	int i;

	if (missing)
		SKIP(return, "%s", missing);
	for (i = 1; i <= 3; i++) {
		EXPECT_EQ(-ECHILD, run_child(full_child, self));
		EXPECT_EQ(i, read_number(CGROUP "/memory.events", "oom_kill"));
		EXPECT_EQ(NULL, tce_leak_check(&self->leak));
		EXPECT_EQ(0, sys_write_file(CGROUP "/memory.max", "max"));
	}
}

/*
 * Where nobody may be killed a map answers -ENOMEM, charges nothing and leaves
 * the rest as it was; and it goes on as soon as the limit is raised.
 */
static int spared_child(void *arg)
{
	struct _test_data_pressure *self = arg;
	int i, fd, n, ret = 0;
	u64 vmlck, before = 0;

	prctl(PR_SET_NAME, VICTIM);
	CHILD_CHECK(!join_cgroup());
	CHILD_CHECK(!open_window(self));
	CHILD_CHECK(!sys_write_file("/proc/self/oom_score_adj", "-1000"));
	fd = open(CGROUP "/memory.max", O_WRONLY | O_CLOEXEC);
	CHILD_CHECK(fd >= 0);
	vmlck = sys_vmlck();
	CHILD_CHECK(!write_number(CGROUP "/memory.max",
				  read_number(CGROUP "/memory.current", NULL) +
				  (s64)SZ_16M));
	for (i = 0; i < FAR && !ret; i++) {
		/* nothing may be allocated where nothing is left */
		ret = map_far(self, i);
	}
	/* before this process needs memory of its own */
	n = pwrite(fd, "max", 3, 0);
	CHILD_CHECK(ret == -ENOMEM);
	CHILD_CHECK(n == 3);
	before = sys_vmlck();
	CHILD_CHECK(before > vmlck);
	/* all that was mapped is, and nothing of the last one */
	CHILD_CHECK(tce_unregister(self->c, self->buf, BUF_SIZE) == -EBUSY);
	CHILD_CHECK(!map_far(self, i - 1));
	CHILD_CHECK(sys_vmlck() >= before);
	CHILD_CHECK(sys_vmlck() < before + 4 * UNIT);
	CHILD_CHECK(!tce_unmap(self->c, self->start, self->size));
	CHILD_CHECK(!tce_unregister(self->c, self->buf, BUF_SIZE));
	CHILD_CHECK(!tce_remove(self->c, self->start));
	CHILD_CHECK(!sys_vmlck());
	return 0;
}

TEST_F_TIMEOUT(pressure, memcg_full_enomem, 120)
{
	const char *missing = make_cgroup();

	if (missing)
		SKIP(return, "%s", missing);
	EXPECT_EQ(0, run_child(spared_child, self));
	EXPECT_EQ(0, read_number(CGROUP "/memory.events", "oom_kill"));
	EXPECT_LT(0, read_number(CGROUP "/memory.events", "oom"));
}

/* ---- a full machine ----------------------------------------------------- */

static s64 available(void)
{
	char line[128];
	s64 kb = -1;
	FILE *f = fopen("/proc/meminfo", "r");

	while (f && kb < 0 && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %lld kB", &kb) != 1)
			kb = -1;
	if (f)
		fclose(f);
	return kb << 10;
}

/* Take memory until no more than @left is */
static void eat(s64 left)
{
	const size_t huge = sys_radix() ? SZ_2M : SZ_16M;

	s64 now;

	/* in the end the kernel would try hard to make huge pages of the rest */
	while ((now = available()) > left)
		if (!mem_alloc(SZ_16M, huge, MEM_POPULATE |
			       (now > (s64)SZ_512M ? MEM_THP : 0)))
			usleep(1000);
}

static void become_victim(void)
{
	prctl(PR_SET_NAME, VICTIM);
	sys_write_file("/proc/self/oom_score_adj", "1000");
}

/*
 * While a victim gives back what it had, the kernel may already look for another
 * one: better one of these than a test.
 */
#define SPARES	3

static void spares_start(pid_t *pids)
{
	int i;

	for (i = 0; i < SPARES; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			become_victim();
			pause();
			_exit(0);
		}
	}
}

static void spares_end(const pid_t *pids)
{
	int i;

	for (i = 0; i < SPARES; i++) {
		if (pids[i] > 0) {
			kill(pids[i], SIGKILL);
			waitpid(pids[i], NULL, 0);
		}
	}
}

/* Levels are what is one too many. */
static int oom_levels_child(void *arg)
{
	struct _test_data_pressure *self = arg;
	int i, ret = 0;

	become_victim();
	CHILD_CHECK(!open_window(self));
	eat(SZ_16M);
	for (i = 0; i < FAR && !ret; i++)
		ret = map_far(self, i);
	CHILD_CHECK(!ret || ret == -ENOMEM);
	eat(-1);
	return 0;
}

TEST_F_TIMEOUT(pressure, oom_levels, 600)
{
	pid_t spares[SPARES];

	spares_start(spares);
	EXPECT_EQ(-ECHILD, run_child(oom_levels_child, self));
	spares_end(spares);
}

/* Somebody else eats all memory; what this process asks for is answered. */
TEST_F_TIMEOUT(pressure, oom_bystander, 600)
{
	u64 done = 0, failed = 0;
	pid_t pid, spares[SPARES];
	int i, ret, status = 0;
	void *mem;

	spares_start(spares);
	ASSERT_EQ(0, open_window(self));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(self->c);
		close(self->dev->group);
		become_victim();
		eat(-1);
		_exit(0);
	}
	mem = mem_alloc(SZ_16M, SZ_16M, MEM_THP);
	ASSERT_NE(NULL, mem);
	for (i = 0; !waitpid(pid, &status, WNOHANG); i++) {
		ret = tce_register(self->c, mem, SZ_16M);
		EXPECT_TRUE(!ret || ret == -ENOMEM) {
			TH_LOG("register: %d", ret);
		}
		done += !ret;
		failed += !!ret;
		if (!ret)
			EXPECT_EQ(0, tce_unregister(self->c, mem, SZ_16M));
		madvise(mem, SZ_16M, MADV_DONTNEED);
		ret = map_far(self, i % FAR);
		EXPECT_TRUE(!ret || ret == -ENOMEM) {
			TH_LOG("map: %d", ret);
		}
		/* levels stay until the window goes */
		if (!(i % 64))
			EXPECT_EQ(0, tce_unmap(self->c, self->start,
					       self->size));
	}
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	spares_end(spares);
	TH_LOG("%llu registrations, %llu refused", done, failed);
	EXPECT_LT(0, done);
	mem_free(mem, SZ_16M);
}

/* ---- registrations ------------------------------------------------------- */

#define FILE_PAGES	64	/* mapped again and again: an area each */

/* SPAPR_TCE_STRESS_SECONDS says that there is time for 2^20 */
static unsigned int how_many(void)
{
	return getenv("SPAPR_TCE_STRESS_SECONDS") ? 1U << 20 : 1U << 14;
}

/* The same few pages at @n addresses; NULL if that cannot be had */
static void *map_file(unsigned int n)
{
	const size_t page = sys_page_size(), area = FILE_PAGES * page;
	int fd = memfd_create("spapr_tce", MFD_CLOEXEC);
	char *va = MAP_FAILED;
	unsigned int i;

	if (!ftruncate(fd, area))
		va = mmap(NULL, n * page, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	for (i = 0; va != MAP_FAILED && i < n / FILE_PAGES; i++)
		if (mmap(va + i * area, area, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
			munmap(va, n * page);
			va = MAP_FAILED;
		}
	close(fd);
	return va == MAP_FAILED ? NULL : va;
}

/*
 * As many registrations as there are addresses: each is charged, costs the
 * kernel no more than it must, is found, and goes with the container.
 */
TEST_F_TIMEOUT(pressure, registrations, 1200)
{
	const unsigned int n = how_many(), last = n - 1;
	const size_t page = sys_page_size();
	s64 free_before, pinned;
	unsigned int i, bytes;
	u64 vmlck;
	char *va;

	va = map_file(n);
	ASSERT_NE(NULL, va);
	for (i = 0; i < n; i++)
		memset(va + i * page, 1, 1);
	ASSERT_EQ(0, open_window(self));
	ASSERT_EQ(0, map_far(self, 0));
	ASSERT_EQ(0, tce_unmap(self->c, self->start, UNIT));
	vmlck = sys_vmlck();
	pinned = sys_pinned();
	free_before = sys_free_bytes();
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, tce_register(self->c, va + i * page, page)) {
			TH_LOG("registration %u", i);
		}
	bytes = (free_before - sys_free_bytes()) / n;
	TH_LOG("%u registrations, %u bytes of kernel memory for each", n, bytes);
	if (!sys_slab_debug())
		EXPECT_GT(1024, bytes);
	EXPECT_EQ(vmlck + (u64)n * page, sys_vmlck());
	EXPECT_EQ(pinned + n, sys_pinned());

	/* none of them is in the way of another one */
	for (i = 0; i < n; i += n / 64) {
		ASSERT_EQ(0, tce_map(self->c, self->start, va + i * page, page, DMA_RW));
		ASSERT_EQ(-EBUSY, tce_unregister(self->c, va + i * page, page));
		ASSERT_EQ(-EBUSY, tce_register(self->c, va + i * page, page));
		ASSERT_EQ(-EINVAL, tce_register(self->c, va + i * page, 2 * page));
	}
	ASSERT_EQ(0, tce_unmap(self->c, self->start, page));
	EXPECT_EQ(0, tce_unregister(self->c, va + last * page, page));
	EXPECT_EQ(-ENOENT, tce_unregister(self->c, va + last * page, page));
	EXPECT_EQ(0, tce_unregister(self->c, va, page));

	tce_close(self->dev, self->c);
	self->c = -1;
	EXPECT_EQ(self->leak.vmlck, sys_vmlck());
	EXPECT_EQ(self->leak.pinned, sys_pinned());
	munmap(va, n * page);
}

/* ---- limits that change ------------------------------------------------- */

/* Who may raise the limits of process @of: tell it by @sock what to set. */
static void limiter(pid_t of, int sock)
{
	struct rlimit rl = { .rlim_max = BIT_ULL(40) };
	u64 limit;
	int ret;

	while (read(sock, &limit, sizeof(limit)) == sizeof(limit)) {
		rl.rlim_cur = limit;
		ret = prlimit(of, RLIMIT_MEMLOCK, &rl, NULL) ? -errno : 0;
		if (write(sock, &ret, sizeof(ret)) != sizeof(ret))
			break;
	}
	_exit(0);
}

static int set_limit(int sock, u64 limit)
{
	int ret = -EIO;

	if (write(sock, &limit, sizeof(limit)) != sizeof(limit) ||
	    read(sock, &ret, sizeof(ret)) != sizeof(ret))
		return -EIO;
	return ret;
}

TEST_F(pressure, memlock_changes)
{
	void *more = mem_alloc(2 * BUF_SIZE, UNIT, MEM_POPULATE);
	int socks[2], i, round, ret;
	u64 vmlck;
	pid_t pid;

	ASSERT_NE(NULL, more);
	ASSERT_EQ(0, open_window(self));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(self->c);
		close(self->dev->group);
		close(socks[0]);
		limiter(getppid(), socks[1]);
	}
	close(socks[1]);
	ASSERT_EQ(0, drop_to_user(BIT_ULL(40)));
	for (i = 0, round = 0; round < 4; round++) {
		/* room for all; then for nothing more, also far below */
		ASSERT_EQ(0, set_limit(socks[0], BIT_ULL(40)));
		ASSERT_EQ(0, tce_register(self->c, more, BUF_SIZE));
		EXPECT_EQ(0, map_far(self, i++));
		vmlck = sys_vmlck();
		ASSERT_EQ(0, set_limit(socks[0], round & 1 ? 0 : vmlck));
		EXPECT_EQ(-ENOMEM, tce_register(self->c, more + BUF_SIZE,
						BUF_SIZE));
		for (ret = 0; sys_powernv() && i < FAR && !ret; i++)
			ret = map_far(self, i);
		if (sys_powernv())
			EXPECT_EQ(-ENOMEM, ret);
		EXPECT_EQ(vmlck, sys_vmlck());
		/* what gives back needs no limit */
		EXPECT_EQ(0, tce_unregister(self->c, more, BUF_SIZE));
		EXPECT_EQ(vmlck - BUF_SIZE, sys_vmlck());
		/* to the byte what it needs */
		ASSERT_EQ(0, set_limit(socks[0], vmlck - 1));
		EXPECT_EQ(-ENOMEM, tce_register(self->c, more, BUF_SIZE));
		ASSERT_EQ(0, set_limit(socks[0], vmlck));
		EXPECT_EQ(0, tce_register(self->c, more, BUF_SIZE));
		EXPECT_EQ(0, tce_unregister(self->c, more, BUF_SIZE));
		/* and what was refused is possible at once */
		ASSERT_EQ(0, set_limit(socks[0], vmlck + BUF_SIZE));
		EXPECT_EQ(0, map_far(self, i - 1));
	}
	ASSERT_EQ(0, set_limit(socks[0], 0));
	EXPECT_EQ(0, tce_unmap(self->c, self->start, self->size));
	EXPECT_EQ(0, tce_unregister(self->c, self->buf, BUF_SIZE));
	close(socks[0]);
	waitpid(pid, NULL, 0);
	mem_free(more, 2 * BUF_SIZE);
}

/* ---- memory that the kernel would like to move -------------------------- */

/* Does the device carry data from the first page at @iova to the second? */
static bool carries(struct _test_data_pressure *self, u64 iova, void *mem,
		    u32 seed)
{
	if (!can_ask(self->dev))
		return true;
	mem_fill(mem, LEN, seed);
	mem_fill(mem + UNIT, LEN, ~seed);
	return !edu_copy(self->dev, iova, iova + UNIT, LEN) &&
	       mem_check(mem + UNIT, LEN, seed);
}

/* Memory with holes, so that there is something to do for compaction */
static void *swiss_cheese(size_t size)
{
	const size_t page = sys_page_size();
	void *mem = mem_alloc(size, 0, MEM_POPULATE);
	size_t i;

	for (i = 0; mem && i < size; i += 2 * page)
		madvise(mem + i, page, MADV_DONTNEED);
	return mem;
}

TEST_F_TIMEOUT(pressure, compaction, 120)
{
	const size_t huge = sys_radix() ? SZ_2M : SZ_16M, page = sys_page_size();
	const size_t len = huge, cheese_size = SZ_512M;
	void *thp = mem_alloc(len, huge, MEM_THP | MEM_POPULATE);
	void *cheese = swiss_cheese(cheese_size);
	u64 *phys = calloc(BUF_SIZE / page + len / page, sizeof(*phys));
	unsigned int i, n, round, moved = 0;
	u64 *was = calloc(cheese_size / page, sizeof(*was));
	s64 scanned;

	ASSERT_TRUE(thp && cheese && phys && was);
	if (sys_compact())
		SKIP(return, "no vm.compact_memory here");
	if (!mem_phys(self->buf))
		SKIP(return, "physical addresses are not told");
	ASSERT_EQ(0, open_window(self));
	if (self->dev->edu)
		ASSERT_EQ(0, tce_dev_open(self->dev));
	ASSERT_EQ(0, tce_register(self->c, thp, len));
	ASSERT_EQ(0, tce_map(self->c, self->start, self->buf, 2 * UNIT, DMA_RW));
	ASSERT_EQ(0, tce_map(self->c, self->start + SZ_1M, thp, 2 * UNIT,
			     DMA_RW));
	for (i = 0, n = 0; i < BUF_SIZE / page; i++)
		phys[n++] = mem_phys(self->buf + i * page);
	for (i = 0; i < len / page; i++)
		phys[n++] = mem_phys(thp + i * page);
	for (i = 1; i < cheese_size / page; i += 2)
		was[i] = mem_phys(cheese + i * page);

	scanned = sys_vmstat("compact_migrate_scanned");
	for (round = 0; round < 5; round++) {
		EXPECT_EQ(0, sys_compact());
		for (i = 0, n = 0; i < BUF_SIZE / page; i++)
			EXPECT_EQ(phys[n++], mem_phys(self->buf + i * page));
		for (i = 0; i < len / page; i++)
			EXPECT_EQ(phys[n++], mem_phys(thp + i * page));
		EXPECT_TRUE(carries(self, self->start, self->buf, round));
		EXPECT_TRUE(carries(self, self->start + SZ_1M, thp, round));
	}
	for (i = 1; i < cheese_size / page; i += 2)
		moved += was[i] != mem_phys(cheese + i * page);
	scanned = sys_vmstat("compact_migrate_scanned") - scanned;
	TH_LOG("%lld pages looked at; %u of %llu that nobody holds were moved",
	       scanned, moved, (u64)cheese_size / page / 2);
	EXPECT_LT(0, scanned);
	mem_free(thp, len);
	mem_free(cheese, cheese_size);
	free(phys);
	free(was);
}

/*
 * The process lets go of memory that a device has. What the device writes goes
 * to the page that was pinned, whoever sees that, and nowhere else.
 */
enum { LET_GO_DONTNEED, LET_GO_THP_PART, LET_GO_REPLACE, LET_GO_MREMAP };

static void let_go(struct __test_metadata *_metadata,
		   struct _test_data_pressure *self, int how)
{
	const size_t huge = sys_radix() ? SZ_2M : SZ_16M, others = SZ_16M;
	void *whole, *mem, *away = NULL, *other, *src = self->buf;
	u64 io = self->start + SZ_1M;

	whole = mem_alloc(huge, huge, MEM_POPULATE |
			  (how == LET_GO_THP_PART ? MEM_THP : 0));
	ASSERT_NE(NULL, whole);
	mem = whole + UNIT;
	ASSERT_EQ(0, tce_register(self->c, mem, 4 * UNIT));
	ASSERT_EQ(0, tce_map(self->c, io, mem, 2 * UNIT, DMA_RW));
	mem_fill(mem, 4 * UNIT, 1);

	switch (how) {
	case LET_GO_DONTNEED:
	case LET_GO_THP_PART:
		ASSERT_EQ(0, madvise(mem, 2 * UNIT, MADV_DONTNEED));
		break;
	case LET_GO_REPLACE:
		ASSERT_EQ(mem, mmap(mem, 2 * UNIT, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
				    0));
		break;
	case LET_GO_MREMAP:
		away = mremap(mem, 2 * UNIT, 2 * UNIT,
			      MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
		ASSERT_NE(MAP_FAILED, away);
		break;
	}
	/* whoever comes next takes what is free */
	other = mem_alloc(others, UNIT, MEM_POPULATE);
	ASSERT_NE(NULL, other);
	mem_fill(other, others, 2);
	mem_fill(mem, 2 * UNIT, 3);

	/* the device carries src to the page that it has ... */
	mem_fill(src, LEN, 4);
	ASSERT_EQ(0, edu_copy(self->dev, self->start, io + UNIT, LEN));
	EXPECT_TRUE(mem_check(mem, 2 * UNIT, 3));
	EXPECT_TRUE(mem_check(other, others, 2));
	if (away)
		EXPECT_TRUE(mem_check(away + UNIT, LEN, 4));
	/* ... where it finds it again, beside what was there before */
	mem_fill(src + UNIT, LEN, 5);
	ASSERT_EQ(0, edu_copy(self->dev, io + UNIT, self->start + UNIT, LEN));
	EXPECT_TRUE(mem_check(src + UNIT, LEN, 4));
	mem_fill(src, LEN, 1);
	ASSERT_EQ(0, edu_copy(self->dev, io, self->start + UNIT, LEN));
	EXPECT_EQ(0, memcmp(src, src + UNIT, LEN));

	/* anew, it is what the process sees */
	EXPECT_EQ(-EBUSY, tce_unregister(self->c, mem, 4 * UNIT));
	EXPECT_EQ(0, tce_unmap(self->c, io, 2 * UNIT));
	EXPECT_EQ(0, tce_unregister(self->c, mem, 4 * UNIT));
	EXPECT_EQ(0, tce_register(self->c, mem, 4 * UNIT));
	EXPECT_EQ(0, tce_map(self->c, io, mem, 2 * UNIT, DMA_RW));
	EXPECT_TRUE(carries(self, io, mem, 6));
	EXPECT_TRUE(mem_check(other, others, 2));
	EXPECT_EQ(0, tce_unmap(self->c, io, 2 * UNIT));
	EXPECT_EQ(0, tce_unregister(self->c, mem, 4 * UNIT));
	mem_free(other, others);
	mem_free(whole, huge);
	mem_free(away, 2 * UNIT);
}

TEST_F(pressure, let_go)
{
	int how;

	if (!self->dev->edu)
		SKIP(return, "no edu device");
	ASSERT_EQ(0, open_window(self));
	ASSERT_EQ(0, tce_dev_open(self->dev));
	ASSERT_EQ(0, tce_map(self->c, self->start, self->buf, 2 * UNIT, DMA_RW));
	for (how = LET_GO_DONTNEED; how <= LET_GO_MREMAP; how++) {
		TH_LOG("way %d", how);
		let_go(_metadata, self, how);
	}
}

/*
 * A block of memory with a pinned page does not go offline; others may. The
 * kernel tries for ever to move a pinned page, until it is interrupted.
 */
TEST_F_TIMEOUT(pressure, offline, 120)
{
	u64 phys, block = 0, n;
	char text[32] = "";
	int fd, ret, gone = 0, kept = 0;

	fd = open("/sys/devices/system/memory/block_size_bytes", O_RDONLY);
	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0)
		block = strtoull(text, NULL, 16);
	close(fd);
	if (!block || access("/sys/devices/system/memory/memory0/removable", R_OK))
		SKIP(return, "memory blocks cannot go offline here");
	ASSERT_EQ(0, open_window(self));
	/* Registered, it stays; before, it may have lain where nothing stays */
	phys = mem_phys(self->buf);
	if (!phys)
		SKIP(return, "physical addresses are not told");
	if (self->dev->edu)
		ASSERT_EQ(0, tce_dev_open(self->dev));
	ASSERT_EQ(0, tce_map(self->c, self->start, self->buf, 2 * UNIT, DMA_RW));

	for (n = 0; n < 64; n++) {
		ret = sys_mem_block(n, false, 2);
		if (ret == -ENOENT)
			break;
		if (n == phys / block)
			EXPECT_NE(0, ret);
		EXPECT_TRUE(!ret || ret == -EBUSY || ret == -EINTR) {
			TH_LOG("block %llu: %d", n, ret);
		}
		gone += !ret;
		kept += !!ret;
		EXPECT_EQ(phys, mem_phys(self->buf));
		EXPECT_TRUE(carries(self, self->start, self->buf, n));
		/* the container works on with what is left */
		EXPECT_EQ(0, map_far(self, 8 + n));
		if (!ret)
			EXPECT_EQ(0, sys_mem_block(n, true, 0));
	}
	sys_mem_online_all();
	TH_LOG("%d blocks went offline and came back, %d did not", gone, kept);
	EXPECT_LT(0, kept);
}

/* ---- nodes -------------------------------------------------------------- */

/* With lists of processors, and without empty slabs of levels; -1: no such node */
static s64 node_free(int node)
{
	char line[256];
	s64 pages = -1, n;
	int of = -1;
	FILE *f;

	sys_free_bytes();
	f = fopen("/proc/zoneinfo", "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Node %d, zone", &of) == 1 && of == node &&
		    pages < 0)
			pages = 0;
		else if (of == node && (sscanf(line, " pages free %lld", &n) == 1 ||
					sscanf(line, " count: %lld", &n) == 1))
			pages += n;
	}
	if (f)
		fclose(f);
	return pages < 0 ? -1 : pages * (s64)sys_page_size();
}

/*
 * Levels come from the node of the device, wherever the process runs: the other
 * one has as much as before.
 */
TEST_F(pressure, node)
{
	s64 before, used, charged;
	char path[96];
	int i, d, node, other;

	if (node_free(1) < 0)
		SKIP(return, "one NUMA node only");
	for (d = 0; d < self->ndevs; d++) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/numa_node",
			 self->devs[d].bdf);
		node = read_number(path, NULL);
		ASSERT_LE(0, node);
		self->dev = &self->devs[d];
		ASSERT_EQ(0, open_window(self));
		other = !node;
		before = node_free(other);
		charged = sys_vmlck();
		for (i = 0; i < FAR; i++)
			ASSERT_EQ(0, map_far(self, i));
		charged = sys_vmlck() - charged;
		used = before - node_free(other);
		TH_LOG("device %s, node %d: %lld bytes charged, %lld of node %d",
		       self->dev->bdf, node, charged, used, other);
		EXPECT_LT(used, charged / 4);
		tce_close(self->dev, self->c);
		self->c = -1;
	}
}

TEST_HARNESS_MAIN
