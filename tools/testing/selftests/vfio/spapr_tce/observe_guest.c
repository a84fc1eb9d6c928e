// SPDX-License-Identifier: GPL-2.0
/*
 * What a guest (KVM) holds and maps is told as what the container does is.
 */
#include <stdio.h>
#include <unistd.h>

#include "observe.h"
#include "kvm_guest.h"

FIXTURE(guest)
{
	struct guest g;
	int dirs;
};

FIXTURE_SETUP(guest)
{
	const char *why;

	self->dirs = directories();
	if (self->dirs < 0)
		SKIP(return, "no debugfs");
	why = guest_open(&self->g, KVM_VM_PPC_HV);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, guest_window(&self->g, SZ_1G));
}

FIXTURE_TEARDOWN(guest)
{
	guest_close(&self->g);
	EXPECT_NO_LEAK(&self->g.leak);
	EXPECT_EQ(self->dirs, directories());
}

/* A guest keeps the table of a window that the container has dropped. */
TEST_F(guest, holds_a_table)
{
	struct guest *g = &self->g;
	u64 t = table_of(g->start);
	char want[80];
	int fd;

	ASSERT_NE(0, t);
	EXPECT_EQ(1, times(t, "holders", "\n"));
	fd = guest_plug(g, LIOBN);
	ASSERT_LE(0, fd);
	snprintf(want, sizeof(want), "kvm pid=%d group=%d liobn=%#llx\n",
		 getpid(), g->dev->group_id, LIOBN);
	EXPECT_EQ(1, times(t, "holders", want));
	EXPECT_EQ(1, times(t, "holders", "container "));
	EXPECT_EQ(0, info(t, "closed"));

	ASSERT_EQ(0, tce_remove(g->c, g->start));
	EXPECT_EQ(1, info(t, "closed"));
	EXPECT_EQ(1, times(t, "holders", want));
	EXPECT_EQ(0, times(t, "holders", "container "));
	ASSERT_EQ(0, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_DEL));
	EXPECT_EQ(-1, times(t, "holders", ""));
	close(fd);
}

/* What a guest maps is in use as what the container maps is. */
TEST_F(guest, maps)
{
	struct guest *g = &self->g;
	u64 t = table_of(g->start), page = BIT_ULL(g->shift), used;
	int fd = guest_plug(g, LIOBN), traces;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, guest_boot(g));
	traces = trace_all(true);
	used = info(t, "used");
	ASSERT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, g->start + page,
					 GUEST_PAGE | TCE_RW, 0));
	EXPECT_EQ(used + 1, info(t, "used"));
	ASSERT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, g->start + page,
					 0, 0));
	EXPECT_EQ(used, info(t, "used"));
	/* real mode does not trace what it has done by itself */
	if (!traces && !sys_power8()) {
		EXPECT_EQ(1, traced("tce_list",
				    "table=%llu ioba=0x%llx npages=1 ret=0", t,
				    g->start + page));
		EXPECT_EQ(1, traced("tce_unmap",
				    "table=%llu ioba=0x%llx npages=1 ret=0", t,
				    g->start + page));
	}
	trace_all(false);
	close(fd);
}

TEST_HARNESS_MAIN
