// SPDX-License-Identifier: GPL-2.0
/*
 * Containers of VFIO_SPAPR_TCE_IOMMU (v1) and VFIO_SPAPR_TCE_v2_IOMMU: what they
 * say of themselves, and what they answer to a wrong order of calls and to the
 * wrong process. The arguments of requests are in abi_map.c, abi_v2.c and
 * abi_extremes.c.
 */
#include <sched.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "abi.h"

/* What holds for both types */
FIXTURE_STATE_V1_V2(abi)

/* ---- what a container is ------------------------------------------------ */

TEST_F(abi, check_extension)
{
	int eeh;

	EXPECT_EQ(1, tce_check_extension(self->s.c, VFIO_SPAPR_TCE_IOMMU));
	EXPECT_EQ(1, tce_check_extension(self->s.c, VFIO_SPAPR_TCE_v2_IOMMU));
	EXPECT_EQ(0, tce_check_extension(self->s.c, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(0, tce_check_extension(self->s.c, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, tce_check_extension(self->s.c, 0x7777));
	eeh = tce_check_extension(self->s.c, VFIO_EEH);
	EXPECT_TRUE(eeh == 0 || eeh == 1);
}

TEST_F(abi, unknown_request)
{
	EXPECT_EQ(-ENOTTY, tce_ioctl(self->s.c, _IO(VFIO_TYPE, VFIO_BASE + 90),
				     NULL));
}

TEST_F(abi, get_info)
{
	const size_t small = offsetof(struct vfio_iommu_spapr_tce_info, ddw);
	struct vfio_iommu_spapr_tce_info info;
	u32 argsz;

	for (argsz = 0; argsz < small; argsz++) {
		info.argsz = argsz;
		EXPECT_EQ(-EINVAL, tce_ioctl(self->s.c,
					     VFIO_IOMMU_SPAPR_TCE_GET_INFO,
					     &info));
	}

	memset(&info, 0xa5, sizeof(info));
	info.argsz = small;
	EXPECT_EQ(0, tce_ioctl(self->s.c, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info));
	EXPECT_EQ(self->s.info.dma32_window_start, info.dma32_window_start);
	EXPECT_EQ(self->s.info.dma32_window_size, info.dma32_window_size);
	EXPECT_EQ(0xa5a5a5a5, info.ddw.levels);

	EXPECT_NE(0, self->s.info.dma32_window_size);
	if (variant->type == TCE_V1)
		EXPECT_EQ(0, self->s.info.flags);
	if (self->s.info.flags & VFIO_IOMMU_SPAPR_INFO_DDW) {
		EXPECT_NE(0, self->s.info.ddw.pgsizes & SZ_4K);
		EXPECT_LE(1, self->s.info.ddw.max_dynamic_windows_supported);
		EXPECT_LE(1, self->s.info.ddw.levels);
	}

	EXPECT_EQ(-EFAULT, tce_ioctl(self->s.c, VFIO_IOMMU_SPAPR_TCE_GET_INFO,
				     NULL));
}

/* Requests of the other type are unknown here. */
TEST_F(abi, other_type)
{
	u64 start;

	if (variant->type == TCE_V2) {
		EXPECT_EQ(-ENOTTY, tce_enable(self->s.c));
		EXPECT_EQ(-ENOTTY, tce_disable(self->s.c));
		return;
	}
	EXPECT_EQ(-ENOTTY, tce_register(self->s.c, self->s.buf, BUF_SIZE));
	EXPECT_EQ(-ENOTTY, tce_unregister(self->s.c, self->s.buf, BUF_SIZE));
	EXPECT_EQ(-ENOTTY, tce_create(self->s.c, 16, SZ_1G, 1, &start));
	EXPECT_EQ(-ENOTTY, tce_remove(self->s.c, 0));
	/* nor does it matter what is asked */
	EXPECT_EQ(-ENOTTY, tce_register(self->s.c, NULL, 0));
	EXPECT_EQ(-ENOTTY, tce_create(self->s.c, 0, 0, 0, NULL));
}

/* ---- EEH ---------------------------------------------------------------- */

TEST_F(abi, eeh)
{
	const u32 full = offsetof(struct vfio_eeh_pe_op, op) + sizeof(u32);
	struct vfio_eeh_pe_op op = { .op = VFIO_EEH_PE_ENABLE };
	unsigned int bit;

	if (tce_check_extension(self->s.c, VFIO_EEH) != 1)
		SKIP(return, "no EEH on this machine");
	for (op.argsz = 0; op.argsz < full; op.argsz++)
		EXPECT_EQ(-EINVAL, tce_ioctl(self->s.c, VFIO_EEH_PE_OP, &op));
	for (bit = 0; bit < 32; bit++) {
		op.flags = 1U << bit;
		EXPECT_EQ(-EINVAL, tce_ioctl(self->s.c, VFIO_EEH_PE_OP, &op));
	}
	EXPECT_EQ(-EFAULT, tce_ioctl(self->s.c, VFIO_EEH_PE_OP, NULL));
	EXPECT_EQ(-EINVAL, tce_eeh(self->s.c, 4711));
	EXPECT_EQ(-EINVAL, tce_eeh(self->s.c, ~0U));
	EXPECT_EQ(0, tce_eeh(self->s.c, VFIO_EEH_PE_ENABLE));
	EXPECT_EQ(VFIO_EEH_PE_STATE_NORMAL,
		  tce_eeh(self->s.c, VFIO_EEH_PE_GET_STATE));
	EXPECT_EQ(0, tce_eeh(self->s.c, VFIO_EEH_PE_DISABLE));
}

/* ---- order -------------------------------------------------------------- */

TEST_F(abi, no_group)
{
	int c = tce_container();

	ASSERT_LE(0, c);
	EXPECT_EQ(-EINVAL, tce_set_iommu(c, variant->type));
	EXPECT_EQ(-EINVAL, tce_map(c, self->s.base, self->s.buf, UNIT, DMA_RW));
	EXPECT_EQ(1, tce_check_extension(c, variant->type));
	close(c);
}

TEST_F(abi, group_leaves)
{
	ASSERT_EQ(0, ready(&self->s, variant->type));
	ASSERT_EQ(0, tce_map(self->s.c, self->s.base, self->s.buf, UNIT, DMA_RW));
	ASSERT_EQ(0, tce_group_unset(self->s.dev));
	/* the last group takes the driver with it */
	EXPECT_EQ(-EINVAL, tce_unmap(self->s.c, self->s.base, UNIT));
	EXPECT_EQ(self->s.leak.vmlck, sys_vmlck());
	EXPECT_EQ(self->s.leak.pinned, sys_pinned_wait(self->s.leak.pinned));
	/* and the group is free for the next container, of any type */
	ASSERT_EQ(0, tce_group_set(self->s.dev, self->s.c));
	ASSERT_EQ(0, tce_set_iommu(self->s.c, variant->type == TCE_V1 ?
				   TCE_V2 : TCE_V1));
}

TEST_F(abi, second_group)
{
	ASSERT_EQ(0, ready(&self->s, variant->type));
	if (self->s.ndevs < 2)
		SKIP(return, "no second group");
	if (!sys_powernv() && variant->type == TCE_V2)
		SKIP(return, "groups cannot share windows on this machine");
	ASSERT_EQ(0, tce_group_open(&self->s.devs[1]));
	if (variant->type == TCE_V1) {
		EXPECT_EQ(-EBUSY, tce_group_set(&self->s.devs[1], self->s.c));
	} else {
		EXPECT_EQ(0, tce_group_set(&self->s.devs[1], self->s.c));
		EXPECT_EQ(0, tce_group_unset(&self->s.devs[1]));
	}
	EXPECT_EQ(0, tce_map(self->s.c, self->s.base, self->s.buf, UNIT, DMA_RW));
	tce_group_close(&self->s.devs[1]);
}

TEST_F(abi, close_order)
{
	ASSERT_EQ(0, ready(&self->s, variant->type));
	ASSERT_EQ(0, tce_map(self->s.c, self->s.base, self->s.buf, UNIT, DMA_RW));
	ASSERT_EQ(0, tce_dev_open_vfio(self->s.dev));
	/* the container's file goes first, then the group's, then the device */
	close(self->s.c);
	self->s.c = -1;
	close(self->s.dev->group);
	self->s.dev->group = -1;
	tce_dev_close(self->s.dev);
}

/* ---- whose container it is ---------------------------------------------- */

struct stranger {
	int c;
	void *buf;
	u64 base;
	unsigned long type;
	int sock;
};

/* Answers the number of the first request that was not refused. */
static int stranger_tries(void *arg)
{
	struct stranger *s = arg;
	struct vfio_iommu_spapr_tce_info info;
	u64 start;

	if (tce_check_extension(s->c, s->type) != 1)
		return 1;
	if (tce_get_info(s->c, &info) != -EPERM)
		return 2;
	if (tce_map(s->c, s->base, s->buf, UNIT, DMA_RW) != -EPERM)
		return 3;
	if (tce_unmap(s->c, s->base, UNIT) != -EPERM)
		return 4;
	if (s->type == TCE_V1) {
		if (tce_enable(s->c) != -EPERM)
			return 5;
		if (tce_disable(s->c) != -EPERM)
			return 6;
	} else {
		if (tce_register(s->c, s->buf, BUF_SIZE) != -EPERM)
			return 7;
		if (tce_unregister(s->c, s->buf, BUF_SIZE) != -EPERM)
			return 8;
		if (tce_create(s->c, 16, SZ_1G, 1, &start) != -EPERM)
			return 9;
		if (tce_remove(s->c, 0) != -EPERM)
			return 10;
	}
	if (tce_eeh(s->c, VFIO_EEH_PE_GET_STATE) != -EPERM)
		return 11;
	/* refused even when nothing of it makes sense */
	if (tce_map(s->c, 1, NULL, 0, ~0) != -EPERM)
		return 12;
	return 0;
}

/* Requests that fail; answers the number of the first one that did not. */
static int fail_all(void *arg)
{
	struct stranger *s = arg;
	u64 start;

	if (tce_map(s->c, s->base, s->buf, UNIT, 0) != -EINVAL)
		return 1;
	if (tce_map(s->c, s->base, s->buf, UNIT, DMA_RW) != -EPERM)
		return 2;
	if (tce_unmap(s->c, s->base, 1) !=
	    (s->type == TCE_V1 ? -EPERM : -EINVAL))
		return 3;
	if (s->type == TCE_V1)
		return 0;
	if (tce_register(s->c, s->buf, 0) != -EINVAL)
		return 4;
	if (tce_unregister(s->c, s->buf, UNIT) != -ENOENT)
		return 5;
	if (tce_create(s->c, 144, SZ_1G, 1, &start) != -EINVAL)
		return 6;
	if (tce_remove(s->c, s->base) != -EINVAL)
		return 7;
	return 0;
}

/* A request that fails does not make its caller the owner, nor leave a trace. */
TEST_F(abi, who_fails_is_not_the_owner)
{
	struct stranger s = { self->s.c, self->s.buf, self->s.base, variant->type };

	ASSERT_EQ(0, run_child(fail_all, &s));
	EXPECT_EQ(self->s.leak.tables, tce_tables(NULL, 0));
	EXPECT_EQ(0, ready(&self->s, variant->type));
	EXPECT_EQ(0, tce_map(self->s.c, self->s.base, self->s.buf, UNIT, DMA_RW));
	/* now there is one */
	EXPECT_EQ(0, run_child(stranger_tries, &s));
}

TEST_F(abi, forked_child)
{
	struct stranger s = { self->s.c, self->s.buf, self->s.base, variant->type };

	ASSERT_EQ(0, ready(&self->s, variant->type));
	ASSERT_EQ(0, tce_map(self->s.c, self->s.base, self->s.buf, UNIT, DMA_RW));
	EXPECT_EQ(0, run_child(stranger_tries, &s));
	/* and the owner still can */
	EXPECT_EQ(0, tce_unmap(self->s.c, self->s.base, UNIT));
}

static int stranger_waits(void *arg)
{
	struct stranger *s = arg;

	s->c = recv_fd(s->sock);
	return s->c < 0 ? s->c : stranger_tries(s);
}

TEST_F(abi, second_process)
{
	struct stranger s = { -1, self->s.buf, self->s.base, variant->type };
	int socks[2], status;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	s.sock = socks[1];
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* the descriptor comes by message, not by birth */
		close(self->s.c);
		_exit(stranger_waits(&s) & 0xff);
	}
	EXPECT_EQ(0, ready(&self->s, variant->type));
	EXPECT_EQ(0, send_fd(socks[0], self->s.c));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
	close(socks[0]);
	close(socks[1]);
}

static int child_owns(void *arg)
{
	struct stranger *s = arg;

	if (s->type == TCE_V1)
		return tce_enable(s->c);
	return tce_register(s->c, s->buf, BUF_SIZE);
}

/* It is the first to do something who owns it, not who opened it. */
TEST_F(abi, child_sets_up)
{
	struct stranger s = { self->s.c, self->s.buf, self->s.base, variant->type };

	ASSERT_EQ(0, run_child(child_owns, &s));
	EXPECT_EQ(0, stranger_tries(&s));
}

struct racers {
	struct stranger s;
	int *go;
};

static int racer(void *arg)
{
	struct racers *r = arg;

	__atomic_sub_fetch(r->go, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(r->go, __ATOMIC_SEQ_CST) > 0)
		sched_yield();
	return child_owns(&r->s);
}

/* Two processes want it at once: one gets it. */
TEST_F(abi, owner_race)
{
	struct racers r = {
		.s = { self->s.c, self->s.buf, self->s.base, variant->type },
	};
	int i, round, status, won, lost;
	pid_t pids[2];

	r.go = mem_alloc(SZ_64K, 0, MEM_SHARED);
	ASSERT_NE(NULL, r.go);
	for (round = 0; round < 10; round++) {
		*r.go = 2;
		won = 0;
		lost = 0;
		for (i = 0; i < 2; i++) {
			pids[i] = fork();
			ASSERT_LE(0, pids[i]);
			if (!pids[i])
				_exit(-racer(&r));
		}
		for (i = 0; i < 2; i++) {
			ASSERT_EQ(pids[i], waitpid(pids[i], &status, 0));
			ASSERT_TRUE(WIFEXITED(status));
			won += WEXITSTATUS(status) == 0;
			lost += WEXITSTATUS(status) == EPERM;
		}
		EXPECT_EQ(1, won);
		EXPECT_EQ(1, lost);
		tce_close(self->s.dev, self->s.c);
		self->s.c = tce_open(self->s.dev, variant->type);
		ASSERT_LE(0, self->s.c);
		r.s.c = self->s.c;
	}
	mem_free(r.go, SZ_64K);
}

TEST_HARNESS_MAIN
