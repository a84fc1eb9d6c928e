// SPDX-License-Identifier: GPL-2.0
/*
 * TCE tables of a guest (LIOBNs): what can be made of them, who sees what in them,
 * and what they cost.
 */
#include <endian.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <unistd.h>
#include <sys/resource.h>

#include "kvm.h"

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

/* A VM that has no container, in a child */
static struct guest *bare_guest(unsigned long type)
{
	static struct guest g;

	g.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	CHILD_CHECK(g.kvm >= 0);
	g.vm = tce_ioctl(g.kvm, KVM_CREATE_VM, (void *)type);
	CHILD_CHECK(g.vm >= 0);
	return &g;
}

/*
 * What an ordinary user makes he can use all over, or it is not made. No device
 * is needed for that.
 */
static int touch_views(void *arg)
{
	static const u64 limits[] = { SZ_64K, SZ_1M, 8 * SZ_1M, ~0ULL };
	static const u64 tces[] = { 1, 512, 0x1234, SZ_64K, SZ_1M / 4, SZ_1M / 2 };
	struct guest *g = bare_guest(*(unsigned long *)arg);
	const u64 page = sys_page_size();
	u64 limit, cost, before, i, at;
	unsigned int l, made = 0;
	u64 *view;
	int fd;

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
	struct guest *g = bare_guest(*(unsigned long *)arg);
	u64 at, touched = 0;
	u64 *view;
	int fd;

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
	/* Levels of the hardware's table went with what was mapped */
	CHILD_CHECK(guest_hcall(g, H_PUT_TCE_INDIRECT, LIOBN, ioba,
				guest_list(0), 1) == H_SUCCESS);

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

TEST_HARNESS_MAIN
