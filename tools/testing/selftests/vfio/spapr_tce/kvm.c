// SPDX-License-Identifier: GPL-2.0
/*
 * KVM's side of a container: a TCE table of the guest (a LIOBN) is attached to
 * a group and so to the hardware tables behind it. Who holds what, what is left
 * when everything has been closed, and what a guest's own requests do, be they
 * good or bad. What happens when all of it is done at once is in kvm_storm.c.
 */
#include <endian.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "harness.h"
#include "kvm_guest.h"

#define LEN	EDU_MAX_LEN

/*
 * Only an edu does what it is asked to. Where a test had to go on without one, it
 * is skipped in the end. Each test is a process of its own.
 */
static bool unasked;

static bool can_ask(const struct tce_dev *dev)
{
	unasked |= !dev->edu;
	return dev->edu;
}

FIXTURE(kvm)
{
	struct guest g;
};

VARIANTS_HV_PR(kvm);

FIXTURE_SETUP(kvm)
{
	const char *missing = guest_open(&self->g, variant->type);

	if (missing)
		SKIP(return, "%s", missing);
	ASSERT_EQ(0, guest_window(&self->g, SZ_1G));
}

FIXTURE_TEARDOWN(kvm)
{
	EXPECT_EQ(0, guest_lost_registers(&self->g));
	guest_close(&self->g);
	EXPECT_NO_LEAK(&self->g.leak);
	/* All else was as it should be, but that is not what the test is named for */
	if (unasked && _metadata->exit_code == KSFT_PASS)
		SKIP(return, "no edu device that could show what it reaches");
}

/* The guest's view, mapped; NULL if it cannot be */
static u64 *view_map(int fd, u64 tces)
{
	void *va = mmap(NULL, tces * sizeof(u64), PROT_READ | PROT_WRITE,
			MAP_SHARED, fd, 0);

	return va == MAP_FAILED ? NULL : va;
}

/* The TCEs of a view that are not 0 */
static u64 view_count(const u64 *view, u64 tces)
{
	u64 i, n = 0;

	for (i = 0; i < tces; i++)
		n += !!view[i];
	return n;
}

/* Does a device carry data from @a to @b, which are @mem_a and @mem_b? */
static bool carries(struct tce_dev *dev, u64 a, void *mem_a, u64 b,
		    void *mem_b, u32 seed)
{
	bool ok;

	if (!can_ask(dev))
		return true;
	if (tce_dev_open(dev))
		return false;
	mem_fill(mem_a, LEN, seed);
	mem_fill(mem_b, LEN, ~seed);
	ok = !edu_copy(dev, a, b, LEN) && mem_check(mem_b, LEN, seed);
	tce_dev_close(dev);
	return ok;
}

/* Does a write of the device to @iova leave @mem alone? */
static bool refused(struct guest *g, u64 iova, void *mem, u32 seed)
{
	bool ok;

	if (!can_ask(g->dev))
		return true;
	if (tce_dev_open(g->dev))
		return false;
	mem_fill(mem, LEN, seed);
	ok = !edu_write_ram(g->dev, iova, 0, LEN) &&
	     !edu_recover(g->dev, g->c) && mem_check(mem, LEN, seed);
	tce_dev_close(g->dev);
	return ok;
}

/* ---- tables of the guest ------------------------------------------------ */

TEST_F(kvm, create)
{
	static const struct {
		u32 shift;
		u64 offset;
		u64 pages;
	} bad[] = {
		{ 16, 0, 0 },
		{ 0, 0, 1024 },
		{ 11, 0, 1024 },
		{ 35, 0, 1024 },
		{ 63, 0, 1 },
		{ 64, 0, 1024 },
		{ 76, 0, 1024 },	/* 64 + 12 */
		{ ~0U, 0, 1024 },
		{ 16, 0, ~0ULL },
		{ 16, 1, ~0ULL },
		{ 16, ~0ULL, 1 },
		{ 16, ~0ULL, 2 },
		{ 16, ~0ULL - 1023, 1024 },
		{ 16, ~0ULL >> 16, 1 },
		{ 16, 0, (~0ULL >> 16) + 1 },
		{ 12, BIT_ULL(52), 1 },
		{ 34, BIT_ULL(30), 1 },
	};
	struct kvm_create_spapr_tce_64 flags = {
		.liobn = LIOBN,
		.page_shift = 16,
		.size = 1024,
		.flags = 1,
	};
	struct guest *g = &self->g;
	u64 before = sys_vmlck();
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(-EINVAL, guest_table(g, LIOBN, bad[i].shift,
					       bad[i].offset, bad[i].pages)) {
			TH_LOG("arguments %u", i);
		}
	EXPECT_EQ(-EINVAL, tce_ioctl(g->vm, KVM_CREATE_SPAPR_TCE_64, &flags));
	EXPECT_EQ(-EFAULT, tce_ioctl(g->vm, KVM_CREATE_SPAPR_TCE_64, NULL));
	EXPECT_EQ(before, sys_vmlck());

	fd = guest_window_table(g, LIOBN);
	ASSERT_LE(0, fd);
	EXPECT_LT(before, sys_vmlck());
	EXPECT_EQ(-EBUSY, guest_window_table(g, LIOBN));
	EXPECT_EQ(-EBUSY, guest_table(g, LIOBN, 12, 0, 1));
	close(fd);
	EXPECT_EQ(before, sys_vmlck());
	fd = guest_table(g, LIOBN, 12, 0, 1);
	EXPECT_LE(0, fd);
	close(fd);
	/* the very last page of all, and nearly all of them */
	fd = guest_table(g, LIOBN, 34, BIT_ULL(30) - 2, 1);
	EXPECT_LE(0, fd);
	close(fd);
	fd = guest_table(g, LIOBN, 16, 0, BIT_ULL(40));
	EXPECT_LE(0, fd);
	EXPECT_GT(SZ_1M, sys_vmlck() - before);
	close(fd);
	EXPECT_EQ(before, sys_vmlck());
}

/* The older request has 32 bits for the size of a window of 4K pages at 0 */
TEST_F(kvm, create_32)
{
	struct kvm_create_spapr_tce args = { .liobn = LIOBN };
	struct guest *g = &self->g;
	u64 page = sys_page_size();
	u64 *view;
	int fd;

	EXPECT_EQ(-EINVAL, tce_ioctl(g->vm, KVM_CREATE_SPAPR_TCE, &args));
	args.window_size = 0xfff;
	EXPECT_EQ(-EINVAL, tce_ioctl(g->vm, KVM_CREATE_SPAPR_TCE, &args));
	args.window_size = ~0U;
	fd = tce_ioctl(g->vm, KVM_CREATE_SPAPR_TCE, &args);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, guest_boot(g));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, 0xffffe000,
					 GUEST_PAGE | TCE_RW, 0));
	EXPECT_EQ(H_PARAMETER, guest_hcall(g, H_PUT_TCE, LIOBN, 0xfffff000,
					   GUEST_PAGE | TCE_RW, 0));
	view = view_map(fd, 0xffffe + page / 8);
	ASSERT_NE(NULL, view);
	EXPECT_EQ(GUEST_PAGE | TCE_RW, view[0xffffe]);
	munmap(view, (0xffffe + page / 8) * 8);
	close(fd);
}

/* A VM with more tables than anyone has */
TEST_F(kvm, create_many)
{
	enum { N = 300 };
	static struct guest_call calls[N];
	struct guest *g = &self->g;
	u64 before = sys_vmlck();
	int fd[N], i;

	ASSERT_EQ(0, guest_boot(g));
	for (i = 0; i < N; i++) {
		/* and neighbours of them that are none */
		fd[i] = guest_table(g, LIOBN + 2 * i, 12, 0, 1 + i);
		ASSERT_LE(0, fd[i]);
		calls[i] = (struct guest_call)CALL(H_PUT_TCE, LIOBN + i,
						   i / 2 << 12, i << 12);
	}
	ASSERT_EQ(0, guest_run(g, calls, N));
	for (i = 0; i < N; i++)
		EXPECT_EQ(i & 1 ? H_USER : H_SUCCESS, calls[i].answer);
	for (i = 0; i < N; i += 2)
		close(fd[i]);
	ASSERT_EQ(0, guest_run(g, calls, N));
	for (i = 0; i < N; i++)
		EXPECT_EQ(i % 4 != 2 ? H_USER : H_SUCCESS, calls[i].answer);
	for (i = 1; i < N; i += 2)
		close(fd[i]);
	EXPECT_EQ(before, sys_vmlck());
}

/* Without a file there is no table either. */
TEST_F(kvm, create_without_files)
{
	struct guest *g = &self->g;
	u64 before = sys_vmlck();
	struct rlimit old, none;
	int fd;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	none = old;
	none.rlim_cur = 3;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	fd = guest_window_table(g, LIOBN);
	setrlimit(RLIMIT_NOFILE, &old);
	EXPECT_EQ(-EMFILE, fd);
	EXPECT_EQ(before, sys_vmlck());
	fd = guest_window_table(g, LIOBN);
	EXPECT_LE(0, fd);
	close(fd);
}

/* Views up to this size are paid for when they are made */
#define PREPAID		(4 * SZ_1M)

/* Pages of a view of @tces, with the levels that lead to them */
static u64 view_pages(u64 tces)
{
	const u64 per_page = sys_page_size() / sizeof(u64);
	u64 pages = 0;

	do {
		tces = (tces + per_page - 1) / per_page;
		pages += tces;
	} while (tces > 1);
	return pages;
}

/* A large view costs what of it is used, by the guest or by us. */
TEST_F(kvm, view)
{
	const u64 per_page = sys_page_size() / sizeof(u64), pages = 20;
	const u64 tces = pages * per_page;
	/* one more than is paid for; only the first of them are used */
	const u64 all = PREPAID / sizeof(u64) + 1;
	struct guest *g = &self->g;
	u64 before = sys_vmlck(), root, used;
	u64 *view, i;
	int fd;

	ASSERT_EQ(0, guest_boot(g));
	fd = guest_table(g, LIOBN, 12, 0, all);
	ASSERT_LE(0, fd);
	/* the levels that lead to all of these pages, and the last of them */
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN,
					 (19 * per_page) << 12, 0x1000, 0));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN,
					 (19 * per_page) << 12, 0, 0));
	root = sys_vmlck();
	view = view_map(fd, tces);
	ASSERT_NE(NULL, view);
	EXPECT_EQ(root, sys_vmlck());

	/* the guest's are ours */
	for (i = 0; i < 10; i += 2)
		EXPECT_EQ(H_SUCCESS,
			  guest_hcall(g, H_PUT_TCE, LIOBN, (i * per_page) << 12,
				      (i + 1) << 12, 0));
	used = sys_vmlck();
	EXPECT_EQ(root + 5 * sys_page_size(), used);
	for (i = 0; i < 10; i += 2)
		EXPECT_EQ((i + 1) << 12, view[i * per_page]);
	EXPECT_EQ(used, sys_vmlck());

	/* to unmap what was never mapped takes nothing, by any call */
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN,
					 (18 * per_page) << 12, 0, 0));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_STUFF_TCE, LIOBN,
					 (16 * per_page) << 12, 0, 2));
	EXPECT_EQ(used, sys_vmlck());

	/* ours are the guest's */
	for (i = 1; i < pages; i += 2) {
		EXPECT_EQ(0, view[i * per_page + 1]);
		view[i * per_page + 1] = ~i;
	}
	EXPECT_EQ(used + 9 * sys_page_size(), sys_vmlck());
	for (i = 1; g->hv && i < pages; i += 2)
		EXPECT_EQ(~i, guest_get(g, LIOBN, (i * per_page + 1) << 12));
	/* what was not written reads as 0, and stays nothing */
	if (g->hv)
		EXPECT_EQ(0, guest_get(g, LIOBN, (18 * per_page) << 12));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_STUFF_TCE, LIOBN, 0, 0, tces));
	EXPECT_EQ(used + 9 * sys_page_size(), sys_vmlck());
	EXPECT_EQ(0, view_count(view + per_page, per_page));

	/* the mapping keeps the table, but the guest's name for it as well */
	close(fd);
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, 0, 0x5000, 0));
	EXPECT_EQ(0x5000, view[0]);
	munmap(view, tces * sizeof(u64));
	EXPECT_EQ(H_USER, guest_hcall(g, H_PUT_TCE, LIOBN, 0, 0x5000, 0));
	EXPECT_EQ(before, sys_vmlck());
}

static sigjmp_buf bus_jump;

static void on_sigbus(int sig)
{
	siglongjmp(bus_jump, 1);
}

static bool is_sigbus(const u64 *p)
{
	struct sigaction act = { .sa_handler = on_sigbus }, old;
	bool bus = true;

	sigaction(SIGBUS, &act, &old);
	if (!sigsetjmp(bus_jump, 1)) {
		__atomic_load_n(p, __ATOMIC_RELAXED);
		bus = false;
	}
	sigaction(SIGBUS, &old, NULL);
	return bus;
}

/*
 * What an ordinary user makes he can use all over, or it is not made. No device
 * is needed for that.
 */
static int touch_views(void *arg)
{
	static const u64 limits[] = { SZ_64K, SZ_1M, 8 * SZ_1M, ~0ULL };
	static const u64 tces[] = { 1, 512, 0x1234, SZ_64K, SZ_1M / 4, SZ_1M / 2 };
	unsigned long type = *(unsigned long *)arg;
	const u64 page = sys_page_size();
	struct guest guest = {}, *g = &guest;
	u64 limit, cost, before, i, at;
	unsigned int l, made = 0;
	u64 *view;
	int fd;

	g->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	CHILD_CHECK(g->kvm >= 0);
	g->vm = tce_ioctl(g->kvm, KVM_CREATE_VM, (void *)type);
	CHILD_CHECK(g->vm >= 0);
	/* The largest first, for a limit cannot be raised again */
	for (l = ARRAY_SIZE(limits); l--;) {
		limit = limits[l];
		CHILD_CHECK(!drop_to_user(limit));
		before = sys_vmlck();
		CHILD_CHECK(!before);
		for (i = 0; i < ARRAY_SIZE(tces); i++) {
			cost = view_pages(tces[i]) * page;
			fd = guest_table(g, LIOBN, 12, 0, tces[i]);
			CHILD_CHECK(fd == -ENOMEM || fd >= 0);
			CHILD_CHECK((fd >= 0) == (cost <= limit));
			CHILD_CHECK(sys_vmlck() == (fd >= 0 ? cost : 0));
			if (fd < 0)
				continue;
			made++;
			view = view_map(fd, tces[i]);
			CHILD_CHECK(view);
			for (at = 0; at < tces[i]; at += page / sizeof(u64)) {
				CHILD_CHECK(!is_sigbus(view + at));
				CHILD_CHECK(!view[at]);
				view[at] = at;
			}
			CHILD_CHECK(sys_vmlck() == cost);
			munmap(view, tces[i] * sizeof(u64));
			close(fd);
			CHILD_CHECK(!sys_vmlck());
		}
	}
	/* all but at the lowest limits */
	CHILD_CHECK(made > 2 * ARRAY_SIZE(tces));
	return 0;
}

TEST_F(kvm, view_of_a_user)
{
	EXPECT_EQ(0, run_child(touch_views, (void *)&variant->type));
}

/* A view of 16 MiB is made with little to spare, and used as far as that goes */
static int touch_large_view(void *arg)
{
	const u64 tces = 2 * SZ_1M, page = sys_page_size(), limit = SZ_1M;
	unsigned long type = *(unsigned long *)arg;
	struct guest guest = {}, *g = &guest;
	u64 at, touched = 0;
	u64 *view;
	int fd;

	g->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	CHILD_CHECK(g->kvm >= 0);
	g->vm = tce_ioctl(g->kvm, KVM_CREATE_VM, (void *)type);
	CHILD_CHECK(g->vm >= 0);
	CHILD_CHECK(!drop_to_user(limit));
	fd = guest_table(g, LIOBN, 12, 0, tces);
	CHILD_CHECK(fd >= 0);
	CHILD_CHECK(sys_vmlck() == page);
	view = view_map(fd, tces);
	CHILD_CHECK(view);
	for (at = 0; at < tces && !is_sigbus(view + at);
	     at += page / sizeof(u64))
		touched++;
	CHILD_CHECK(touched >= limit / page - 3);
	CHILD_CHECK(touched < limit / page);
	CHILD_CHECK(sys_vmlck() <= limit);
	CHILD_CHECK(sys_vmlck() > touched * page);
	/* the guest's process goes on with what it has */
	CHILD_CHECK(!is_sigbus(view));
	munmap(view, tces * sizeof(u64));
	close(fd);
	CHILD_CHECK(!sys_vmlck());
	return 0;
}

TEST_F(kvm, view_of_a_user_large)
{
	EXPECT_EQ(0, run_child(touch_large_view, (void *)&variant->type));
}

TEST_F(kvm, view_ends)
{
	const u64 per_page = sys_page_size() / sizeof(u64);
	struct guest *g = &self->g;
	u64 before;
	u64 *view;
	int fd;

	/* two pages and one TCE */
	fd = guest_table(g, LIOBN, 12, 0, 2 * per_page + 1);
	ASSERT_LE(0, fd);
	before = sys_vmlck();
	view = view_map(fd, 5 * per_page);
	ASSERT_NE(NULL, view);
	EXPECT_FALSE(is_sigbus(view + 2 * per_page));
	EXPECT_TRUE(is_sigbus(view + 3 * per_page));
	EXPECT_TRUE(is_sigbus(view + 4 * per_page));
	EXPECT_EQ(before, sys_vmlck());
	munmap(view, 5 * sys_page_size());
	/* far behind the end */
	view = mmap(NULL, sys_page_size(), PROT_READ, MAP_SHARED, fd,
		    BIT_ULL(50));
	ASSERT_NE(MAP_FAILED, view);
	EXPECT_TRUE(is_sigbus(view));
	munmap(view, sys_page_size());
	/* a private copy is nothing that the guest sees */
	view = mmap(NULL, sys_page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE,
		    fd, 0);
	ASSERT_NE(MAP_FAILED, view);
	view[0] = 0x1000;
	munmap(view, sys_page_size());
	view = view_map(fd, 1);
	ASSERT_NE(NULL, view);
	EXPECT_EQ(0, view[0]);
	munmap(view, sys_page_size());
	close(fd);
}

/* Pages of a view are registered, mapped for DMA, and outlive the table. */
TEST_F(kvm, view_pinned)
{
	const u64 size = 4 * SZ_64K;
	struct guest *g = &self->g;
	u64 *view;
	int fd;

	fd = guest_table(g, LIOBN, 12, 0, size / sizeof(u64));
	ASSERT_LE(0, fd);
	view = view_map(fd, size / sizeof(u64));
	ASSERT_NE(NULL, view);
	ASSERT_EQ(0, tce_register(g->c, view, size));
	EXPECT_EQ(0, tce_map(g->c, g->start, view, BIT_ULL(g->shift), DMA_RW));
	munmap(view, size);
	close(fd);
	EXPECT_EQ(-EBUSY, tce_unregister(g->c, view, size));
	EXPECT_EQ(0, tce_unmap(g->c, g->start, BIT_ULL(g->shift)));
	EXPECT_EQ(0, tce_unregister(g->c, view, size));
}

/* ---- hardware tables behind them ---------------------------------------- */

/* A table of the guest that fits the window, and some that do not. */
TEST_F(kvm, attach)
{
	struct guest *g = &self->g;
	u64 first = g->start >> g->shift, pages = g->size >> g->shift;
	const struct {
		u32 shift;
		u64 offset;
		u64 pages;
	} bad[] = {
		{ g->shift, first + 1, pages },
		{ g->shift, first + 1, pages - 1 },
		{ g->shift, first, pages + 1 },
		{ g->shift, first, BIT_ULL(30) },
		/* a guest's page must not be smaller than the hardware's */
		{ g->shift == 12 ? 13 : 12, g->start >> 12, pages * 1024 },
	};
	int fd, null = open("/dev/null", O_RDWR);
	unsigned int i;

	fd = guest_window_table(g, LIOBN);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOENT, guest_attach(g, g->dev, fd));
	ASSERT_EQ(0, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_ADD));
	EXPECT_EQ(-EINVAL, guest_attach(g, g->dev, null));
	EXPECT_EQ(-EBADF, guest_attach(g, g->dev, 12345));
	EXPECT_EQ(0, guest_attach(g, g->dev, fd));
	EXPECT_EQ(0, guest_attach(g, g->dev, fd));
	close(fd);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		fd = guest_table(g, LIOBN, bad[i].shift, bad[i].offset,
				 bad[i].pages);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-EINVAL, guest_attach(g, g->dev, fd)) {
			TH_LOG("arguments %u", i);
		}
		close(fd);
	}
	fd = guest_table(g, LIOBN, g->shift, first, pages / 2);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, guest_attach(g, g->dev, fd));
	/* the other direction is not disturbed */
	EXPECT_EQ(0, tce_map(g->c, g->start, g->mem, SZ_64K, DMA_RW));
	EXPECT_EQ(-EBUSY, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	EXPECT_EQ(0, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_DEL));
	EXPECT_EQ(-ENOENT, guest_attach(g, g->dev, fd));
	close(fd);
	close(null);
}

/* A group may come and go, or stay to the end, without a table */
TEST_F(kvm, group_without_table)
{
	struct guest *g = &self->g;

	ASSERT_EQ(0, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_ADD));
	ASSERT_EQ(-EEXIST, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_ADD));
	ASSERT_EQ(0, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_DEL));
	ASSERT_EQ(-ENOENT, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_DEL));
	ASSERT_EQ(0, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_ADD));
}

/* Another guest's table is no table of this one. */
TEST_F(kvm, attach_foreign)
{
	struct guest *g = &self->g, other = *g;
	int fd;

	other.vm = tce_ioctl(g->kvm, KVM_CREATE_VM, (void *)variant->type);
	ASSERT_LE(0, other.vm);
	ASSERT_EQ(0, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_ADD));
	fd = guest_window_table(&other, LIOBN);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, guest_attach(g, g->dev, fd));
	close(other.vm);
	EXPECT_EQ(-EINVAL, guest_attach(g, g->dev, fd));
	close(fd);
}

/* The window is removed while KVM still has it. */
TEST_F(kvm, remove_attached)
{
	struct guest *g = &self->g;
	int fd;

	if (!sys_powernv())
		SKIP(return, "the window is the machine's");
	fd = guest_plug(g, LIOBN);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, tce_map(g->c, g->start, g->mem, SZ_64K, DMA_RW));
	EXPECT_EQ(0, tce_remove(g->c, g->start));
	EXPECT_EQ(-ENXIO, tce_map(g->c, g->start, g->mem, SZ_64K, DMA_RW));
	close(fd);
	EXPECT_EQ(0, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_DEL));
	EXPECT_EQ(0, tce_unregister(g->c, g->mem, GUEST_LOOSE));
}

/* Closed in the order that nobody would choose. */
TEST_F(kvm, close_container_first)
{
	struct guest *g = &self->g;
	int fd = guest_plug(g, LIOBN);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, tce_map(g->c, g->start, g->mem, SZ_64K, DMA_RW));
	close(g->c);
	g->c = -1;
	tce_group_close(g->dev);
	close(g->vm);
	g->vm = -1;
	close(fd);
}

/* ---- hypercalls --------------------------------------------------------- */

/* The guest maps, the device moves data, the guest unmaps. */
TEST_F(kvm, guest_maps)
{
	struct guest *g = &self->g;
	u64 page = BIT_ULL(g->shift), last = g->start + g->size - page;
	u64 *list = guest_list_of(g, 0);
	int fd;

	/* 0xffff0000 of a window at 0 is for interrupts */
	fd = guest_plug(g, LIOBN);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, guest_boot(g));

	EXPECT_EQ(H_PARAMETER, guest_hcall(g, H_PUT_TCE, LIOBN, last + page,
					   GUEST_PAGE | TCE_RW, 0));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, g->start,
					 GUEST_PAGE | TCE_RW, 0));
	list[0] = htobe64((GUEST_PAGE + page) | TCE_RW);
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE_INDIRECT, LIOBN, last,
					 guest_list(0), 1));
	EXPECT_EQ(-EBUSY, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	EXPECT_TRUE(carries(g->dev, g->start, g->mem + GUEST_PAGE, last,
			    g->mem + GUEST_PAGE + page, 7));

	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, g->start, 0, 0));
	EXPECT_EQ(-EBUSY, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_STUFF_TCE, LIOBN, last, 0, 1));
	EXPECT_TRUE(refused(g, last, g->mem + GUEST_PAGE + page, 8));
	EXPECT_EQ(0, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	EXPECT_EQ(0, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_DEL));
	close(fd);
}

/* A window that was removed maps nothing, whatever the guest asks for. */
TEST_F(kvm, guest_maps_removed_window)
{
	struct guest *g = &self->g;
	int fd;

	if (!sys_powernv())
		SKIP(return, "the window is the machine's");
	fd = guest_plug(g, LIOBN);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, guest_boot(g));
	ASSERT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, g->start,
					 GUEST_PAGE | TCE_RW, 0));
	EXPECT_EQ(-EBUSY, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	ASSERT_EQ(0, tce_remove(g->c, g->start));
	/* KVM has the table still, but no device sees it any more */
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, g->start,
					 GUEST_PAGE | TCE_RW, 0));
	EXPECT_EQ(0, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	close(fd);
}

/* What was mapped stays the container's when the group is released. */
TEST_F(kvm, guest_maps_released_group)
{
	struct guest *g = &self->g;
	u64 page = BIT_ULL(g->shift);
	int fd = guest_plug(g, LIOBN);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, guest_boot(g));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, g->start,
					 GUEST_PAGE | TCE_RW, 0));
	EXPECT_EQ(0, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_DEL));
	/* the view only */
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, g->start, 0, 0));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, g->start + page,
					 GUEST_PAGE | TCE_RW, 0));
	EXPECT_EQ(-EBUSY, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	EXPECT_EQ(0, tce_unmap(g->c, g->start, page));
	EXPECT_EQ(0, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	close(fd);
}

/* A slot of the guest that nobody can read */
#define GUEST_HOLE	SZ_1G

/*
 * Everything that a guest can get wrong, around TCEs that must stay as they
 * are. The guest has the first half of the window; the other half is behind
 * its end and in the same hardware table.
 */
TEST_F(kvm, malformed)
{
	struct guest *g = &self->g;
	const u64 s = g->start, page = BIT_ULL(g->shift), half = g->size / 2;
	const u64 end = s + half, tces = half >> g->shift, last = end - page;
	const u64 good = GUEST_PAGE | TCE_RW, list = guest_list(0);
	const struct {
		u64 nr, liobn, ioba, arg, npages;
		s64 answer;
	} bad[] = {
		/* where */
		{ H_PUT_TCE, LIOBN, s + 1, good, 0, H_PARAMETER },
		{ H_PUT_TCE, LIOBN, s + page - 1, good, 0, H_PARAMETER },
		{ H_PUT_TCE, LIOBN, s + page / 2, good, 0, H_PARAMETER },
		{ H_PUT_TCE, LIOBN, s - page, good, 0, H_PARAMETER },
		{ H_PUT_TCE, LIOBN, end, good, 0, H_PARAMETER },
		{ H_PUT_TCE, LIOBN, end + half, good, 0, H_PARAMETER },
		{ H_PUT_TCE, LIOBN, BIT_ULL(63) + s, good, 0, H_PARAMETER },
		{ H_PUT_TCE, LIOBN, -page, good, 0, H_PARAMETER },
		{ H_PUT_TCE, LIOBN, ~0ULL, good, 0, H_PARAMETER },
		{ H_PUT_TCE, LIOBN, end, 0, 0, H_PARAMETER },
		/* what */
		{ H_PUT_TCE, LIOBN, s, good + page / 2, 0, H_USER },
		{ H_PUT_TCE, LIOBN, s, good + 4, 0, H_USER },
		{ H_PUT_TCE, LIOBN, s, ~0ULL, 0, H_USER },
		{ H_PUT_TCE, LIOBN, s, SZ_256M | TCE_RW, 0, H_USER },
		{ H_PUT_TCE, LIOBN, s, -page | TCE_READ, 0, H_USER },
		{ H_PUT_TCE, LIOBN, s, BIT_ULL(63) | TCE_RW, 0, H_USER },
		{ H_PUT_TCE, LIOBN, s, BIT_ULL(52) | TCE_WRITE, 0, H_USER },
		{ H_PUT_TCE, LIOBN, s, GUEST_MEM | TCE_RW, 0, H_USER },
		{ H_PUT_TCE, LIOBN, s, GUEST_LOOSE | TCE_RW, 0, H_USER },
		{ H_PUT_TCE, LIOBN, s, GUEST_HOLE | TCE_RW, 0, H_USER },
		/* in which table */
		{ H_PUT_TCE, LIOBN + 1, s, good, 0, H_USER },
		{ H_PUT_TCE, 0, s, good, 0, H_USER },
		{ H_PUT_TCE, ~0ULL, s, good, 0, H_USER },
		{ H_PUT_TCE, LIOBN | BIT_ULL(32), s, good, 0, H_USER },
		{ H_PUT_TCE_INDIRECT, LIOBN + 1, s, list, 1, H_USER },
		{ H_STUFF_TCE, LIOBN + 1, s, 0, 1, H_USER },
		{ H_GET_TCE, LIOBN + 1, s, 0, 0, H_USER },
		/* lists */
		{ H_PUT_TCE_INDIRECT, LIOBN, s, list, 513, H_PARAMETER },
		{ H_PUT_TCE_INDIRECT, LIOBN, s, list, ~0ULL, H_PARAMETER },
		{ H_PUT_TCE_INDIRECT, LIOBN, s, list, BIT_ULL(61), H_PARAMETER },
		{ H_PUT_TCE_INDIRECT, LIOBN, s, list, BIT_ULL(63), H_PARAMETER },
		{ H_PUT_TCE_INDIRECT, LIOBN, s, list + 8, 1, H_PARAMETER },
		{ H_PUT_TCE_INDIRECT, LIOBN, s, list + 4088, 2, H_PARAMETER },
		{ H_PUT_TCE_INDIRECT, LIOBN, s, list + 1, 512, H_PARAMETER },
		{ H_PUT_TCE_INDIRECT, LIOBN, s, ~0ULL, 1, H_PARAMETER },
		{ H_PUT_TCE_INDIRECT, LIOBN, s, -SZ_4K, 512, H_PARAMETER },
		{ H_PUT_TCE_INDIRECT, LIOBN, s, GUEST_MEM, 1, H_PARAMETER },
		{ H_PUT_TCE_INDIRECT, LIOBN, s, BIT_ULL(60), 1, H_PARAMETER },
		{ H_PUT_TCE_INDIRECT, LIOBN, s, GUEST_HOLE, 1, H_USER },
		{ H_PUT_TCE_INDIRECT, LIOBN, end, list, 1, H_PARAMETER },
		{ H_PUT_TCE_INDIRECT, LIOBN, last, list, 2, H_PARAMETER },
		{ H_PUT_TCE_INDIRECT, LIOBN, s + 1, list, 1, H_PARAMETER },
		{ H_PUT_TCE_INDIRECT, LIOBN, s - page, list, 2, H_PARAMETER },
		{ H_PUT_TCE_INDIRECT, LIOBN, s, list, 0, H_SUCCESS },
		/* ranges */
		{ H_STUFF_TCE, LIOBN, s, TCE_READ, 1, H_PARAMETER },
		{ H_STUFF_TCE, LIOBN, s, TCE_WRITE, 1, H_PARAMETER },
		{ H_STUFF_TCE, LIOBN, s, good, 1, H_PARAMETER },
		{ H_STUFF_TCE, LIOBN, s, ~0ULL, tces, H_PARAMETER },
		{ H_STUFF_TCE, LIOBN, s, 0, tces + 1, H_PARAMETER },
		{ H_STUFF_TCE, LIOBN, s, 0, ~0ULL, H_PARAMETER },
		{ H_STUFF_TCE, LIOBN, s + page, 0, ~0ULL, H_PARAMETER },
		{ H_STUFF_TCE, LIOBN, s + page, 0, -(s >> g->shift) - 1,
		  H_PARAMETER },
		{ H_STUFF_TCE, LIOBN, last, 0, BIT_ULL(63), H_PARAMETER },
		{ H_STUFF_TCE, LIOBN, last, 0, 2, H_PARAMETER },
		{ H_STUFF_TCE, LIOBN, end, 0, 1, H_PARAMETER },
		{ H_STUFF_TCE, LIOBN, s + 1, 0, 1, H_PARAMETER },
		{ H_STUFF_TCE, LIOBN, s, 0, 0, H_SUCCESS },
		{ H_GET_TCE, LIOBN, end, 0, 0, H_PARAMETER },
		{ H_GET_TCE, LIOBN, s + 1, 0, 0, H_PARAMETER },
		{ H_GET_TCE, LIOBN, ~0ULL, 0, 0, H_PARAMETER },
	};
	static struct guest_call calls[ARRAY_SIZE(bad)];
	void *hole = mem_alloc(SZ_64K, SZ_64K, MEM_POPULATE);
	u64 users = 0, vmlck, *view;
	unsigned int i, round;
	int fd;

	ASSERT_NE(NULL, hole);
	ASSERT_EQ(0, guest_slot(g, 1, GUEST_HOLE, hole, SZ_64K));
	ASSERT_EQ(0, mprotect(hole, SZ_64K, PROT_NONE));
	ASSERT_EQ(0, guest_boot(g));
	ASSERT_EQ(0, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_ADD));
	fd = guest_table(g, LIOBN, g->shift, s >> g->shift, tces);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, guest_attach(g, g->dev, fd));
	guest_list_of(g, 0)[0] = htobe64(good);
	guest_list_of(g, 0)[1] = htobe64(good);
	ASSERT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE_INDIRECT, LIOBN, s, list,
					 2));
	ASSERT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, last, good, 0));
	ASSERT_EQ(0, tce_map(g->c, end, g->mem, SZ_64K, DMA_RW));
	view = view_map(fd, tces);
	ASSERT_NE(NULL, view);
	ASSERT_EQ(3, view_count(view, tces));
	vmlck = sys_vmlck();

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		calls[i] = (struct guest_call)CALL(bad[i].nr, bad[i].liobn,
						   bad[i].ioba, bad[i].arg,
						   bad[i].npages);
		users += bad[i].answer == H_USER ||
			 (!g->hv && bad[i].nr == H_GET_TCE);
	}
	for (round = 1; round <= 2; round++) {
		ASSERT_EQ(0, guest_run(g, calls, ARRAY_SIZE(bad)));
		for (i = 0; i < ARRAY_SIZE(bad); i++) {
			/* KVM PR leaves this one to us */
			if (!g->hv && bad[i].nr == H_GET_TCE)
				continue;
			EXPECT_EQ(bad[i].answer, calls[i].answer) {
				TH_LOG("call %u: %llx(%llx, %llx, %llx, %llx)",
				       i, bad[i].nr, bad[i].liobn, bad[i].ioba,
				       bad[i].arg, bad[i].npages);
			}
		}
		EXPECT_EQ(round * users, g->vcpu[0].to_user);
	}
	/* the one with all that userspace needs to go on */
	EXPECT_EQ(H_USER, guest_hcall(g, H_STUFF_TCE, 77, s, 5 << 12, 9));
	EXPECT_EQ(H_STUFF_TCE, g->vcpu[0].user_call[0]);
	EXPECT_EQ(77, g->vcpu[0].user_call[1]);
	EXPECT_EQ(s, g->vcpu[0].user_call[2]);
	EXPECT_EQ(5 << 12, g->vcpu[0].user_call[3]);
	EXPECT_EQ(9, g->vcpu[0].user_call[4]);

	EXPECT_EQ(3, view_count(view, tces));
	EXPECT_EQ(good, view[0]);
	EXPECT_EQ(good, view[1]);
	EXPECT_EQ(good, view[tces - 1]);
	EXPECT_EQ(vmlck, sys_vmlck());
	/* the same in hardware: without these, nothing is mapped */
	EXPECT_EQ(-EBUSY, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	EXPECT_EQ(0, tce_unmap(g->c, s, 2 * page));
	EXPECT_EQ(-EBUSY, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	EXPECT_EQ(0, tce_unmap(g->c, last, page));
	EXPECT_EQ(-EBUSY, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	EXPECT_EQ(0, tce_unmap(g->c, end, SZ_64K));
	EXPECT_EQ(0, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	munmap(view, tces * sizeof(u64));
	mem_free(hole, SZ_64K);
	close(fd);
}

/* To unmap is to write what has no permissions, and it can be read. */
TEST_F(kvm, marks)
{
	struct guest *g = &self->g;
	u64 page = BIT_ULL(g->shift), *view;
	int fd = guest_plug(g, LIOBN);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, guest_boot(g));
	view = view_map(fd, 1024);
	ASSERT_NE(NULL, view);
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, g->start,
					 GUEST_PAGE | TCE_READ, 0));
	EXPECT_EQ(GUEST_PAGE | TCE_READ, view[0]);
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, g->start,
					 0xdead000, 0));
	EXPECT_EQ(0xdead000, view[0]);
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, g->start + page,
					 GUEST_PAGE | TCE_RW, 0));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_STUFF_TCE, LIOBN, g->start,
					 ~3ULL, 600));
	EXPECT_EQ(~3ULL, view[0]);
	EXPECT_EQ(~3ULL, view[1]);
	EXPECT_EQ(~3ULL, view[599]);
	EXPECT_EQ(0, view[600]);
	EXPECT_EQ(0, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	munmap(view, 1024 * sizeof(u64));
	close(fd);
}

/*
 * On powernv the device may read what it may write, whichever hypercall said so
 * and in whichever mode; the guest finds what it has put.
 */
TEST_F(kvm, write_only)
{
	struct guest *g = &self->g;
	u64 page = BIT_ULL(g->shift), *list = guest_list_of(g, 0);
	void *from = g->mem + GUEST_PAGE, *to = from + SZ_64K;
	int fd;

	if (!g->dev->edu || !sys_powernv())
		SKIP(return, "no edu device on powernv");
	fd = guest_plug(g, LIOBN);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, guest_boot(g));
	/* twice: the second time all levels are there, as real mode wants it */
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_STUFF_TCE, LIOBN, g->start,
						 0, 2));
		EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, g->start,
						 GUEST_PAGE | TCE_WRITE, 0));
		EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN,
						 g->start + page,
						 (GUEST_PAGE + SZ_64K) | TCE_RW,
						 0));
		if (g->hv)
			EXPECT_EQ(GUEST_PAGE | TCE_WRITE,
				  guest_get(g, LIOBN, g->start));
		EXPECT_TRUE(carries(g->dev, g->start, from, g->start + page, to,
				    1 + i));

		EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_STUFF_TCE, LIOBN, g->start,
						 0, 2));
		list[0] = htobe64(GUEST_PAGE | TCE_WRITE);
		list[1] = htobe64((GUEST_PAGE + SZ_64K) | TCE_WRITE);
		EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE_INDIRECT, LIOBN,
						 g->start, guest_list(0), 2));
		EXPECT_TRUE(carries(g->dev, g->start, from, g->start + page, to,
				    3 + i));
	}
	close(fd);
}

/* One bad TCE in a list, and nothing of the list is written. */
TEST_F(kvm, list_all_or_nothing)
{
	static const struct {
		u64 tce;
		s64 answer;
	} bad[] = {
		{ (GUEST_PAGE + 8) | TCE_RW, H_USER },	/* reserved bits */
		{ SZ_256M | TCE_RW, H_USER },		/* no RAM */
		{ GUEST_LOOSE | TCE_RW, H_USER },	/* not registered */
	};
	static const int where[] = { 0, 255, 511 };
	struct guest *g = &self->g;
	u64 page = BIT_ULL(g->shift), good[GUEST_LIST_MAX], *view;
	u64 sentinel = GUEST_PAGE | TCE_READ;
	u64 *list = guest_list_of(g, 0);
	unsigned int i, b, w;
	int fd = guest_plug(g, LIOBN);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, guest_boot(g));
	view = view_map(fd, GUEST_LIST_MAX + 1);
	ASSERT_NE(NULL, view);
	for (i = 0; i < GUEST_LIST_MAX; i++)
		good[i] = (GUEST_PAGE + (i * 7) % 16 * SZ_64K) | (1 + i % 3);
	ASSERT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN,
					 g->start + 100 * page, sentinel, 0));
	for (b = 0; b < ARRAY_SIZE(bad); b++) {
		for (w = 0; w < ARRAY_SIZE(where); w++) {
			for (i = 0; i < GUEST_LIST_MAX; i++)
				list[i] = htobe64(good[i]);
			list[where[w]] = htobe64(bad[b].tce);
			EXPECT_EQ(bad[b].answer,
				  guest_hcall(g, H_PUT_TCE_INDIRECT, LIOBN,
					      g->start, guest_list(0),
					      GUEST_LIST_MAX));
			EXPECT_EQ(1, view_count(view, GUEST_LIST_MAX + 1));
			EXPECT_EQ(sentinel, view[100]);
		}
	}
	EXPECT_EQ(-EBUSY, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	EXPECT_EQ(0, tce_unmap(g->c, g->start + 100 * page, page));
	EXPECT_EQ(0, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	ASSERT_EQ(0, tce_register(g->c, g->mem, GUEST_LOOSE));

	/* and a good one is written up to its end, over what is there, twice */
	list[511] = htobe64(good[511]);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE_INDIRECT, LIOBN,
						 g->start, guest_list(0),
						 GUEST_LIST_MAX));
	for (i = 0; i < GUEST_LIST_MAX && view[i] == good[i]; i++)
		;
	EXPECT_EQ(GUEST_LIST_MAX, i) {
		TH_LOG("%llx instead of %llx", view[i], good[i]);
	}
	EXPECT_EQ(0, view[GUEST_LIST_MAX]);
	/* these can be read and written, respectively */
	EXPECT_TRUE(carries(g->dev, g->start + 492 * page,
			    g->mem + (good[492] & ~(u64)TCE_RW),
			    g->start + 511 * page,
			    g->mem + (good[511] & ~(u64)TCE_RW), 3));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_STUFF_TCE, LIOBN, g->start, 0,
					 GUEST_LIST_MAX));
	EXPECT_EQ(0, view_count(view, GUEST_LIST_MAX));
	EXPECT_EQ(0, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	munmap(view, (GUEST_LIST_MAX + 1) * sizeof(u64));
	close(fd);
}

/*
 * While a guest makes hypercalls, its thread has to leave the processor to
 * another one from time to time. The fixture looks whether registers of user
 * space, and of the guest, outlive that, as in all tests.
 */
TEST_F(kvm, user_registers)
{
	struct guest_call calls[GUEST_CALLS_MAX];
	struct guest *g = &self->g;
	int fd = guest_plug(g, LIOBN);
	unsigned int i;
	cpu_set_t old, one;
	pid_t rival;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, guest_boot(g));
	for (i = 0; i < GUEST_CALLS_MAX; i++)
		calls[i] = (struct guest_call)CALL(H_STUFF_TCE, LIOBN, g->start,
						   0, 1);

	ASSERT_EQ(0, sched_getaffinity(0, sizeof(old), &old));
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(one), &one));
	rival = fork();
	ASSERT_LE(0, rival);
	while (!rival)
		;
	for (i = 0; i < 20; i++)
		EXPECT_EQ(0, guest_run(g, calls, GUEST_CALLS_MAX));
	kill(rival, SIGKILL);
	waitpid(rival, NULL, 0);
	sched_setaffinity(0, sizeof(old), &old);
	close(fd);
}

/*
 * The list's memory moves to and fro in the guest, where it is in both places. It
 * is nowhere for moments: then user space has to tell, and never the guest is
 * wrong.
 */
#define GUEST_MOVING	SZ_1G

TEST_F(kvm, list_in_a_slot_that_moves)
{
	const struct guest_call call = CALL(H_PUT_TCE_INDIRECT, LIOBN,
					    self->g.start,
					    GUEST_MOVING + 2 * SZ_64K, 8);
	struct guest *g = &self->g;
	struct guest_call seen = {};
	int fd = guest_plug(g, LIOBN), i;
	char *mem;

	ASSERT_LE(0, fd);
	mem = mem_alloc(4 * SZ_64K, SZ_64K, MEM_POPULATE);
	ASSERT_NE(NULL, mem);
	/* zeros, to unmap */
	memset(mem, 0, 4 * SZ_64K);
	ASSERT_EQ(0, guest_slot(g, 1, GUEST_MOVING, mem, 4 * SZ_64K));
	ASSERT_EQ(0, guest_boot(g));
	ASSERT_EQ(0, guest_start(g, 0, &call, 1));
	ASSERT_EQ(0, guest_wait(g, 0, 1));
	for (i = 0; i < 600 && !g->vcpu[0].to_user; i++) {
		ASSERT_EQ(0, guest_slot(g, 1, GUEST_MOVING + !(i & 1) * SZ_64K,
					mem, 4 * SZ_64K));
		/* HV throws all translations away at each move */
		if (!(i % 16))
			ASSERT_EQ(0, guest_wait(g, 0, 1));
	}
	ASSERT_EQ(0, guest_stop(g, 0));
	seen = g->vcpu[0].prog->calls[0];
	TH_LOG("%d moves: %llu calls were done, %llu went to user space", i,
	       seen.good, g->vcpu[0].to_user);
	EXPECT_LT(0, seen.good);
	EXPECT_EQ(seen.other, g->vcpu[0].to_user ? H_USER : 0);
	EXPECT_EQ(guest_rounds(g, 0), seen.good + g->vcpu[0].to_user);
	mem_free(mem, 4 * SZ_64K);
	close(fd);
	if (!g->vcpu[0].to_user && _metadata->exit_code == KSFT_PASS)
		SKIP(return, "no call came at the right moment");
}

/* Two names of one window: one table, two views. */
TEST_F(kvm, two_liobns)
{
	struct guest *g = &self->g;
	u64 *view[2];
	int fd[2];

	fd[0] = guest_plug(g, LIOBN);
	ASSERT_LE(0, fd[0]);
	fd[1] = guest_window_table(g, LIOBN + 1);
	ASSERT_LE(0, fd[1]);
	ASSERT_EQ(0, guest_attach(g, g->dev, fd[1]));
	ASSERT_EQ(0, guest_boot(g));
	view[0] = view_map(fd[0], 1);
	view[1] = view_map(fd[1], 1);
	ASSERT_NE(NULL, view[0]);
	ASSERT_NE(NULL, view[1]);

	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, g->start,
					 GUEST_PAGE | TCE_RW, 0));
	EXPECT_EQ(0, view[1][0]);
	/* over it */
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN + 1, g->start,
					 (GUEST_PAGE + SZ_64K) | TCE_RW, 0));
	EXPECT_EQ(GUEST_PAGE | TCE_RW, view[0][0]);
	EXPECT_EQ(-EBUSY, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	/* the name that is left goes on */
	munmap(view[1], 8);
	close(fd[1]);
	EXPECT_EQ(H_USER, guest_hcall(g, H_PUT_TCE, LIOBN + 1, g->start, 0, 0));
	EXPECT_EQ(-EBUSY, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_STUFF_TCE, LIOBN, g->start, 0,
					 1));
	EXPECT_EQ(0, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	munmap(view[0], 8);
	close(fd[0]);
}

/* ---- pages larger than the hardware's ----------------------------------- */

#define GUEST_LARGE	SZ_256M
#define LARGE_SIZE	(2 * SZ_16M)

TEST_F(kvm, large_pages)
{
	struct guest *g = &self->g;
	const u64 big = SZ_16M, m = SZ_1M, s = g->start;
	const u64 a = s + 3 * big, b = s + 5 * big;
	u64 *list = guest_list_of(g, 0), i;
	char *mem;
	int fd;

	/* aligned as badly as it may be */
	mem = mem_alloc(LARGE_SIZE + SZ_64K, SZ_16M, MEM_POPULATE);
	ASSERT_NE(NULL, mem);
	mem += SZ_64K;
	ASSERT_EQ(0, guest_slot(g, 1, GUEST_LARGE, mem, LARGE_SIZE));
	ASSERT_EQ(0, guest_slot(g, 2, SZ_512M, mem, m + m / 2));
	ASSERT_EQ(0, tce_register(g->c, mem, LARGE_SIZE));
	ASSERT_EQ(0, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_ADD));
	ASSERT_EQ(0, guest_boot(g));

	fd = guest_table(g, LIOBN, 24, s >> 24, g->size >> 24);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, guest_attach(g, g->dev, fd));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, a,
					 GUEST_LARGE | TCE_RW, 0));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, b,
					 (GUEST_LARGE + big) | TCE_RW, 0));
	EXPECT_EQ(H_PARAMETER, guest_hcall(g, H_PUT_TCE, LIOBN, a + m,
					   GUEST_LARGE | TCE_RW, 0));
	EXPECT_EQ(H_USER, guest_hcall(g, H_PUT_TCE, LIOBN, a,
				      (GUEST_LARGE + m) | TCE_RW, 0));
	EXPECT_TRUE(carries(g->dev, a, mem, b + big - SZ_4K,
			    mem + 2 * big - SZ_4K, 1));
	EXPECT_TRUE(carries(g->dev, a + big - SZ_4K, mem + big - SZ_4K, b,
			    mem + big, 2));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, a, 0, 0));
	EXPECT_EQ(-EBUSY, tce_unregister(g->c, mem, LARGE_SIZE));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_STUFF_TCE, LIOBN, s, 0,
					 g->size >> 24));
	EXPECT_TRUE(refused(g, b + big - SZ_64K, mem + 2 * big - SZ_64K, 3));
	EXPECT_EQ(0, tce_unregister(g->c, mem, LARGE_SIZE));
	ASSERT_EQ(0, tce_register(g->c, mem, LARGE_SIZE));
	close(fd);

	fd = guest_table(g, LIOBN, 20, s >> 20, g->size >> 20);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, guest_attach(g, g->dev, fd));
	/* a page that leaves its slot in the middle */
	EXPECT_EQ(H_USER, guest_hcall(g, H_PUT_TCE, LIOBN, s,
				      (SZ_512M + m) | TCE_RW, 0));
	/* 32 pages, backwards */
	for (i = 0; i < 32; i++)
		list[i] = htobe64((GUEST_LARGE + (31 - i) * m) | TCE_RW);
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE_INDIRECT, LIOBN, s,
					 guest_list(0), 32));
	EXPECT_TRUE(carries(g->dev, s, mem + 31 * m, s + 32 * m - SZ_4K,
			    mem + m - SZ_4K, 4));
	for (i = 0; i < 32; i++)
		EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, s + i * m,
						 0, 0));
	EXPECT_EQ(0, tce_unregister(g->c, mem, LARGE_SIZE));
	close(fd);
	mem_free(mem - SZ_64K, LARGE_SIZE + SZ_64K);
}

/* ---- several tables ----------------------------------------------------- */

/* A second container with a window as large, at the same address */
static int second_window(struct guest *g, u32 shift)
{
	struct vfio_iommu_spapr_tce_info info;
	u64 start;
	int c, ret;

	c = tce_open(&g->devs[1], TCE_V2);
	if (c < 0)
		return c;
	ret = tce_get_info(c, &info);
	if (!ret)
		ret = tce_remove(c, info.dma32_window_start);
	if (!ret)
		ret = tce_create_any(c, shift, g->size, &start);
	if (!ret && start != g->start)
		ret = -ENXIO;
	if (!ret)
		return c;
	tce_close(&g->devs[1], c);
	return ret;
}

/* One call of the guest, and two devices see it. */
TEST_F(kvm, two_tables)
{
	struct guest *g = &self->g;
	u64 page = BIT_ULL(g->shift), s = g->start;
	char *a = g->mem + GUEST_PAGE, *b = a + SZ_64K;
	int fd, c;

	if (g->ndevs < 2 || !sys_powernv())
		SKIP(return, "no second group with a window like the first's");
	c = second_window(g, g->shift);
	ASSERT_LE(0, c);
	fd = guest_plug(g, LIOBN);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, guest_group(g, &g->devs[1], KVM_DEV_VFIO_GROUP_ADD));
	ASSERT_EQ(0, guest_attach(g, &g->devs[1], fd));
	ASSERT_EQ(0, guest_boot(g));
	guest_list_of(g, 0)[0] = htobe64(GUEST_PAGE | TCE_RW);
	guest_list_of(g, 0)[1] = htobe64((GUEST_PAGE + SZ_64K) | TCE_RW);
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE_INDIRECT, LIOBN, s,
					 guest_list(0), 2));
	EXPECT_TRUE(carries(&g->devs[0], s, a, s + page, b, 1));
	EXPECT_TRUE(carries(&g->devs[1], s, a, s + page, b, 2));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, s, 0, 0));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_STUFF_TCE, LIOBN, s, 0, 2));
	EXPECT_EQ(0, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	ASSERT_EQ(0, tce_register(g->c, g->mem, GUEST_LOOSE));

	/* one of them goes; what it had mapped goes with it */
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, s,
					 GUEST_PAGE | TCE_RW, 0));
	tce_close(&g->devs[1], c);
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, s, 0, 0));
	EXPECT_EQ(0, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	close(fd);
}

/*
 * The second table has larger pages than the memory has: what it refuses is
 * not in the first one either, whichever of them is asked first.
 */
TEST_F(kvm, two_tables_all_or_none)
{
	struct vfio_iommu_spapr_tce_info info;
	struct guest *g = &self->g;
	struct tce_dev *first, *second;
	u32 shift = g->shift + 1;
	int fd, c, order;
	u64 big, *list;
	char *mem;

	if (g->ndevs < 2 || !sys_powernv())
		SKIP(return, "no second group with a window like the first's");
	ASSERT_EQ(0, tce_get_info(g->c, &info));
	while (shift < 26 && !(info.ddw.pgsizes & BIT_ULL(shift)))
		shift++;
	if (shift >= 26)
		SKIP(return, "no larger IOMMU pages");
	big = BIT_ULL(shift);
	c = second_window(g, shift);
	ASSERT_LE(0, c);
	mem = mem_alloc(LARGE_SIZE, big, MEM_POPULATE);
	ASSERT_NE(NULL, mem);
	ASSERT_EQ(0, guest_slot(g, 1, GUEST_LARGE, mem, LARGE_SIZE));
	ASSERT_EQ(0, tce_register(g->c, mem, LARGE_SIZE));
	ASSERT_EQ(0, guest_boot(g));
	ASSERT_EQ(0, guest_group(g, &g->devs[0], KVM_DEV_VFIO_GROUP_ADD));
	ASSERT_EQ(0, guest_group(g, &g->devs[1], KVM_DEV_VFIO_GROUP_ADD));
	list = guest_list_of(g, 0);
	list[0] = htobe64((GUEST_LARGE + big) | TCE_RW);
	list[1] = htobe64(GUEST_LARGE | TCE_RW);
	for (order = 0; order < 2; order++) {
		first = &g->devs[order];
		second = &g->devs[!order];
		fd = guest_table(g, LIOBN, shift, g->start >> shift,
				 g->size >> shift);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, guest_attach(g, first, fd));
		ASSERT_EQ(0, guest_attach(g, second, fd));
		EXPECT_EQ(H_PARAMETER, guest_hcall(g, H_PUT_TCE, LIOBN,
						   g->start,
						   GUEST_LARGE | TCE_RW, 0));
		EXPECT_EQ(H_PARAMETER, guest_hcall(g, H_PUT_TCE_INDIRECT, LIOBN,
						   g->start, guest_list(0), 2));
		if (g->hv)
			EXPECT_EQ(0, guest_get(g, LIOBN, g->start));
		EXPECT_EQ(0, tce_unregister(g->c, mem, LARGE_SIZE));
		ASSERT_EQ(0, tce_register(g->c, mem, LARGE_SIZE));
		close(fd);
	}
	/* without the second one it is fine */
	fd = guest_table(g, LIOBN, shift, g->start >> shift, g->size >> shift);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, guest_attach(g, &g->devs[0], fd));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE_INDIRECT, LIOBN, g->start,
					 guest_list(0), 2));
	EXPECT_EQ(-EBUSY, tce_unregister(g->c, mem, LARGE_SIZE));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_STUFF_TCE, LIOBN, g->start, 0,
					 2));
	EXPECT_EQ(0, tce_unregister(g->c, mem, LARGE_SIZE));
	close(fd);
	tce_close(&g->devs[1], c);
	mem_free(mem, LARGE_SIZE);
}

/* ---- limits ------------------------------------------------------------- */

#define MANY_TCES	BIT_ULL(31)
#define ROOM		SZ_1M		/* to lock more */

/*
 * Whether a mark of 0x1000 is there depends on which level had no room: that of
 * the view, or one of the hardware's behind it.
 */
static bool marked_or_not(u64 tce)
{
	return !tce || tce == 0x1000;
}

/*
 * The guest spreads a page over a huge window until its process may not lock
 * more memory for levels; and goes on where there are some.
 */
static int spread(void *arg)
{
	unsigned long type = *(unsigned long *)arg;
	struct guest guest, *g = &guest;
	u64 i, ioba = 0, limit;
	s64 ret = H_SUCCESS;
	int fd;

	CHILD_CHECK(!guest_open(g, type));
	CHILD_CHECK(!guest_window(g, SZ_1G));
	CHILD_CHECK(!tce_remove(g->c, g->start));
	CHILD_CHECK(!guest_new_window(g, g->shift, MANY_TCES << g->shift));
	fd = guest_plug(g, LIOBN);
	CHILD_CHECK(fd >= 0);
	CHILD_CHECK(!guest_boot(g));
	limit = sys_vmlck() + ROOM;
	CHILD_CHECK(!drop_to_user(limit));

	for (i = 0; i < 128 && ret == H_SUCCESS; i++) {
		ioba = g->start + (i << (24 + g->shift));
		ret = guest_hcall(g, H_PUT_TCE, LIOBN, ioba,
				  GUEST_PAGE | TCE_RW, 0);
	}
	CHILD_CHECK(i > 2);
	CHILD_CHECK(ret == H_NOT_ENOUGH_RESOURCES);
	CHILD_CHECK(!g->hv || guest_get(g, LIOBN, ioba) == 0);
	CHILD_CHECK(sys_vmlck() <= limit);
	/*
	 * To mark all of it would take more levels still. It is unmapped all the
	 * same, and marked where there are some.
	 */
	CHILD_CHECK(guest_hcall(g, H_STUFF_TCE, LIOBN, g->start, 0x1000,
				MANY_TCES) == H_SUCCESS);
	CHILD_CHECK(!g->hv || guest_get(g, LIOBN, g->start) == 0x1000);
	CHILD_CHECK(!g->hv || marked_or_not(guest_get(g, LIOBN, ioba)));
	CHILD_CHECK(guest_hcall(g, H_PUT_TCE, LIOBN, ioba, 0x1000, 0) ==
		    H_SUCCESS);
	CHILD_CHECK(!g->hv || marked_or_not(guest_get(g, LIOBN, ioba)));
	CHILD_CHECK(!tce_unregister(g->c, g->mem, GUEST_LOOSE));
	CHILD_CHECK(!tce_register(g->c, g->mem, GUEST_LOOSE));
	guest_list_of(g, 0)[0] = htobe64(GUEST_PAGE | TCE_RW);
	CHILD_CHECK(guest_hcall(g, H_PUT_TCE_INDIRECT, LIOBN, ioba,
				guest_list(0), 1) == H_NOT_ENOUGH_RESOURCES);

	CHILD_CHECK(guest_hcall(g, H_PUT_TCE, LIOBN, ioba, 0, 0) == H_SUCCESS);
	CHILD_CHECK(guest_hcall(g, H_PUT_TCE, LIOBN, g->start, 0, 0) ==
		    H_SUCCESS);
	CHILD_CHECK(guest_hcall(g, H_PUT_TCE, LIOBN,
				g->start + (5 << g->shift),
				GUEST_PAGE | TCE_RW, 0) == H_SUCCESS);
	CHILD_CHECK(tce_unregister(g->c, g->mem, GUEST_LOOSE) == -EBUSY);
	CHILD_CHECK(guest_hcall(g, H_STUFF_TCE, LIOBN, g->start, 0,
				MANY_TCES) == H_SUCCESS);
	CHILD_CHECK(!tce_unregister(g->c, g->mem, GUEST_LOOSE));
	CHILD_CHECK(!tce_register(g->c, g->mem, GUEST_LOOSE));
	CHILD_CHECK(guest_hcall(g, H_PUT_TCE, LIOBN, g->start,
				GUEST_PAGE | TCE_RW, 0) == H_SUCCESS);
	close(fd);
	guest_close(g);
	CHILD_CHECK(!sys_vmlck());
	return 0;
}

TEST_F(kvm, memlock)
{
	if (!sys_powernv())
		SKIP(return, "no window so large");
	/* The child has a container of its own. */
	guest_unplug(&self->g);
	EXPECT_EQ(0, run_child(spread, (void *)&variant->type));
}

/* ---- real mode ---------------------------------------------------------- */

#define EVENT	"spapr_tce/kvm_tce_hcall"

/* Which calls were finished in real mode: the tracepoint tells. */
TEST_F(kvm, real_mode)
{
	struct guest *g = &self->g;
	const u64 s = g->start, page = BIT_ULL(g->shift);
	const u64 list = guest_list(0), good = GUEST_PAGE | TCE_RW;
	struct guest_call calls[] = {
		/* makes the levels, and room for lists and for the trace */
		CALL(H_PUT_TCE_INDIRECT, LIOBN, s, list, 8),
		CALL(H_STUFF_TCE, LIOBN, s, 0, 8),
		/* a page is mapped by them, so that no count is the last one */
		CALL(H_PUT_TCE, LIOBN, s, good),
		/* from here on real mode can */
		CALL(H_PUT_TCE, LIOBN, s + page, good),
		CALL(H_GET_TCE, LIOBN, s + page),
		CALL(H_PUT_TCE, LIOBN, s + page, 0),
		CALL(H_PUT_TCE_INDIRECT, LIOBN, s + page, list, 4),
		CALL(H_STUFF_TCE, LIOBN, s + page, 0, 4),
		CALL(H_PUT_TCE, LIOBN, s + 1, good),
		/* and here it cannot: over what is mapped, a level, too many */
		CALL(H_PUT_TCE, LIOBN, s, good),
		CALL(H_PUT_TCE, LIOBN, s + g->size - page, good),
		CALL(H_STUFF_TCE, LIOBN, s, 0, 513),
	};
	char text[128];
	int fd, i;

	if (sys_trace(EVENT, true))
		SKIP(return, "no tracefs");
	if (!g->hv || !sys_power8()) {
		sys_trace(EVENT, false);
		SKIP(return, "no hypercalls in real mode on this machine");
	}
	fd = guest_plug(g, LIOBN);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, guest_boot(g));
	for (i = 0; i < 8; i++)
		guest_list_of(g, 0)[i] = htobe64(good);
	/* real mode remembers for the trace once virtual mode has traced */
	ASSERT_EQ(0, guest_run(g, calls, ARRAY_SIZE(calls)));
	snprintf(text, sizeof(text), "liobn=%llx", LIOBN);
	EXPECT_LE((int)ARRAY_SIZE(calls), sys_traced(text));

#define REAL(hcall, ioba, n, ret, real) ({				\
	snprintf(text, sizeof(text),					\
		 "hcall=" #hcall " liobn=%llx ioba=%llx npages=%d ret=%d real=%d", \
		 LIOBN, (u64)(ioba), n, ret, real);			\
	sys_traced(text);						\
})
	EXPECT_EQ(2, REAL(H_PUT_TCE, s + page, 1, 0, 1));
	EXPECT_EQ(0, REAL(H_PUT_TCE, s + page, 1, 0, 0));
	EXPECT_EQ(1, REAL(H_GET_TCE, s + page, 1, 0, 1));
	EXPECT_EQ(1, REAL(H_PUT_TCE_INDIRECT, s + page, 4, 0, 1));
	EXPECT_EQ(1, REAL(H_STUFF_TCE, s + page, 4, 0, 1));
	EXPECT_EQ(1, REAL(H_PUT_TCE, s + 1, 1, H_PARAMETER, 1));
	EXPECT_EQ(1, REAL(H_PUT_TCE, s, 1, H_USER, 1));
	EXPECT_EQ(1, REAL(H_PUT_TCE, s + g->size - page, 1, H_USER, 1));
	EXPECT_EQ(1, REAL(H_PUT_TCE, s + g->size - page, 1, 0, 0));
	EXPECT_EQ(1, REAL(H_STUFF_TCE, s, 513, H_USER, 1));
	EXPECT_EQ(1, REAL(H_STUFF_TCE, s, 513, 0, 0));
	sys_trace(EVENT, false);
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_STUFF_TCE, LIOBN,
					 s + g->size - page, 0, 1));
	EXPECT_EQ(0, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	close(fd);
}

TEST_HARNESS_MAIN
