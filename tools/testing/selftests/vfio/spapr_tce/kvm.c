// SPDX-License-Identifier: GPL-2.0
/*
 * A guest's own requests to map and unmap, be they good or bad, through a TCE table
 * that is attached to a group. The tables are in kvm_tables.c, what is behind them
 * in kvm_attach.c, and what happens when all of it is done at once in kvm_storm.c.
 */
#include <endian.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>

#include "kvm.h"

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
 * What has no permission clears, in a list, too, wherever it points; the memory that
 * was mapped is free again.
 */
TEST_F(kvm, list_that_clears)
{
	static const u64 tces[] = { 0, 0x800, GUEST_PAGE, GUEST_PAGE + 0x800,
				    GUEST_LOOSE, SZ_256M, BIT_ULL(52) + 0x100 };
	struct guest *g = &self->g;
	u64 *list = guest_list_of(g, 0), *view;
	int fd = guest_plug(g, LIOBN);
	unsigned int i;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, guest_boot(g));
	view = view_map(fd, ARRAY_SIZE(tces) + 1);
	ASSERT_NE(NULL, view);
	for (i = 0; i <= ARRAY_SIZE(tces); i++)
		ASSERT_EQ(H_SUCCESS,
			  guest_hcall(g, H_PUT_TCE, LIOBN,
				      g->start + (u64)i * BIT_ULL(g->shift),
				      GUEST_PAGE | TCE_RW, 0));
	for (i = 0; i < ARRAY_SIZE(tces); i++)
		list[i] = htobe64(tces[i]);
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE_INDIRECT, LIOBN, g->start,
					 guest_list(0), ARRAY_SIZE(tces)));
	/* what a guest has written it reads, though nothing is mapped there */
	for (i = 0; i < ARRAY_SIZE(tces); i++)
		EXPECT_EQ(tces[i], view[i]);
	EXPECT_EQ(GUEST_PAGE | TCE_RW, view[i]);
	EXPECT_EQ(-EBUSY, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	EXPECT_EQ(0, tce_unmap(g->c, g->start + (u64)i * BIT_ULL(g->shift),
			       BIT_ULL(g->shift)));
	EXPECT_EQ(0, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	munmap(view, (ARRAY_SIZE(tces) + 1) * sizeof(u64));
	close(fd);
}

/*
 * While a guest makes hypercalls, its thread has to leave the processor to
 * another one from time to time. The fixture looks whether registers of user
 * space, and of the guest, outlive that, as in all tests.
 */
TEST_F_TIMEOUT(kvm, user_registers, 100)
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

/* ---- real mode ---------------------------------------------------------- */

#define EVENT	"spapr_tce/kvm_tce_hcall"

/*
 * Which calls were finished before the VCPU left its run loop, in real mode or
 * right behind the guest: the tracepoint tells.
 */
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
	if (!guest_takes_early(g)) {
		sys_trace(EVENT, false);
		SKIP(return, "hypercalls always leave the run loop here");
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

/* A guest that maps and unmaps a page at a time hardly ever leaves for it. */
TEST_F(kvm, stays)
{
	struct guest *g = &self->g;
	const u64 s = g->start, page = BIT_ULL(g->shift);
	const u64 list = guest_list(0), good = GUEST_PAGE | TCE_RW;
	/* makes the levels, and room for the trace; maps a page */
	struct guest_call first[] = {
		CALL(H_PUT_TCE_INDIRECT, LIOBN, s, list, 1),
		CALL(H_PUT_TCE, LIOBN, s, good),
	};
	struct guest_call calls[400];
	int fd, i, early, late;

	if (sys_trace(EVENT, true))
		SKIP(return, "no tracefs");
	if (!guest_takes_early(g)) {
		sys_trace(EVENT, false);
		SKIP(return, "hypercalls always leave the run loop here");
	}
	fd = guest_plug(g, LIOBN);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, guest_boot(g));
	guest_list_of(g, 0)[0] = htobe64(good);
	for (i = 0; i < 400; i++)
		calls[i] = (struct guest_call)CALL(H_PUT_TCE, LIOBN,
						   s + (1 + i / 2 % 8) * page,
						   i % 2 ? 0 : good);
	ASSERT_EQ(0, guest_run(g, first, ARRAY_SIZE(first)));
	sys_trace(EVENT, true);
	ASSERT_EQ(0, guest_run(g, calls, ARRAY_SIZE(calls)));
	for (i = 0; i < 400; i++)
		EXPECT_EQ(H_SUCCESS, calls[i].answer);
	early = sys_traced(" ret=0 real=1");
	late = sys_traced(" ret=0 real=0");
	sys_trace(EVENT, false);
	EXPECT_EQ(400, early + late);
	EXPECT_LE(360, early);
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_STUFF_TCE, LIOBN, s, 0, 1));
	EXPECT_EQ(0, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	close(fd);
}

TEST_HARNESS_MAIN
