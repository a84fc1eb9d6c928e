// SPDX-License-Identifier: GPL-2.0
/*
 * Trace events and messages: one for each request, with what was requested and what
 * came of it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "observe.h"

TEST_F(observe, trace)
{
	u64 t = self->table, p = self->page, s = self->start;
	u64 last = (self->size >> self->shift) - 1;
	int made = info(t, "levels") - 1;
	char want[128], *va = mem_alloc(SZ_64K, SZ_64K, MEM_POPULATE);

	ASSERT_NE(NULL, va);
	if (trace_all(true)) {
		mem_free(va, SZ_64K);
		SKIP(return, "no tracefs");
	}
	ASSERT_EQ(0, tce_register(self->c, va, SZ_64K));
	ASSERT_EQ(0, map(self, 1, 3));
	ASSERT_EQ(0, map(self, 2, 3));
	ASSERT_EQ(0, map(self, last, 1));
	ASSERT_EQ(-EBUSY, tce_unregister(self->c, self->va, PAGES * SZ_64K));
	ASSERT_EQ(0, unmap(self, 1, 2));
	ASSERT_EQ(0, unmap(self, 0, last + 1));
	ASSERT_EQ(0, tce_unregister(self->c, va, SZ_64K));
	ASSERT_EQ(0, tce_remove(self->c, s));
	ASSERT_EQ(0, make_again(self));

	EXPECT_EQ(1, traced("tce_region_register",
			    "ua=%p size=0x10000 used=1 ret=0", va));
	EXPECT_EQ(1, traced("tce_region_unregister",
			    "ua=%p size=0x10000 used=0 ret=0", va));
	EXPECT_EQ(1, traced("tce_region_unregister",
			    "ua=%p size=%#llx used=1 ret=-16", self->va,
			    PAGES * SZ_64K));
	EXPECT_EQ(3, traced("tce_map", "table=%llu ", t));
	EXPECT_EQ(1, traced("tce_map",
			    "table=%llu ioba=0x%llx npages=3 ua=%p levels=%d ret=0",
			    t, s + p, self->va, made));
	EXPECT_EQ(1, traced("tce_map",
			    "table=%llu ioba=0x%llx npages=3 ua=%p levels=0 ret=0",
			    t, s + 2 * p, self->va));
	EXPECT_EQ(1, traced("tce_map",
			    "table=%llu ioba=0x%llx npages=1 ua=%p levels=%d ret=0",
			    t, s + last * p, self->va, made));
	/* the container unmaps all before it drops the window */
	EXPECT_EQ(3, traced("tce_unmap", "table=%llu ", t));
	EXPECT_EQ(1, traced("tce_unmap",
			    "table=%llu ioba=0x%llx npages=2 ret=0", t, s + p));
	EXPECT_EQ(2, traced("tce_unmap",
			    "table=%llu ioba=0x%llx npages=%llu ret=0", t, s,
			    last + 1));
	EXPECT_EQ(1, traced("tce_kill", "table=%llu ioba=0x%llx npages=3 ret=0",
			    t, s + p));
	EXPECT_EQ(1, traced("tce_kill", "table=%llu ioba=0x%llx npages=3 ret=0",
			    t, s + 2 * p));
	EXPECT_EQ(1, traced("tce_kill", "table=%llu ioba=0x%llx npages=2 ret=0",
			    t, s + p));
	EXPECT_EQ(1, traced("tce_window_remove",
			    "table=%llu window=0 start=0x%llx", t, s));
	EXPECT_EQ(1, traced("tce_window_create", "table=%llu ", table_of(s)));
	snprintf(want, sizeof(want),
		 " window=0 start=0x%llx page_shift=%u size=0x%llx asked=1 levels=%d level_shift=",
		 s, self->shift, self->size, made + 1);
	EXPECT_EQ(1, sys_traced(want));
	/* two ways down, and the root of the new window */
	EXPECT_EQ(2 * made + 1, traced("tce_level_alloc", "tree="));
	EXPECT_EQ(2 * made + 1, traced("tce_level_free", "tree="));
	trace_all(false);

	ASSERT_EQ(0, map(self, 1, 3));
	EXPECT_EQ(0, sys_traced("tce_"));
	mem_free(va, SZ_64K);
}

TEST_F(observe, trace_failure)
{
	if (trace_all(true))
		SKIP(return, "no tracefs");
	ASSERT_EQ(-EFAULT, tce_register(self->c, (void *)SZ_64K, SZ_64K));
	ASSERT_EQ(-EINVAL, tce_register(self->c, self->va, 2 * SZ_64K));
	EXPECT_EQ(1, traced("tce_region_register",
			    "ua=0x10000 size=0x10000 used=0 ret=-14"));
	EXPECT_EQ(1, traced("tce_region_register",
			    "ua=%p size=0x20000 used=0 ret=-22", self->va));
	/* the last page of the first, and what follows is not registered */
	ASSERT_EQ(-EINVAL, tce_map(self->c, self->start,
				   self->va + PAGES * SZ_64K, SZ_64K, DMA_RW));
	EXPECT_EQ(0, traced("tce_map", ""));
	trace_all(false);
}

/* ---- messages ------------------------------------------------------------ */

#define DYNAMIC_DEBUG	"/sys/kernel/debug/dynamic_debug/control"

static int messages(bool on)
{
	return sys_write_file(DYNAMIC_DEBUG, on ? "format \"spapr_tce: \" +p" :
						  "format \"spapr_tce: \" -p");
}

/* How many messages since had this */
__printf(2, 3)
static int said(int klog, const char *fmt, ...)
{
	char want[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(want, sizeof(want), fmt, ap);
	va_end(ap);
	return sys_klog_said(klog, want);
}

TEST_F(observe, messages)
{
	char *end = self->va + PAGES * SZ_64K;
	int klog = sys_klog_open();
	u64 start;

	if (klog < 0 || messages(true))
		SKIP(return, "the kernel has no dynamic debug");

	ASSERT_EQ(-EINVAL, tce_map(self->c, self->start, end, SZ_64K, DMA_RW));
	EXPECT_EQ(1, said(klog, "spapr_tce: 0x10000 bytes at %p are not all registered",
			  end));
	ASSERT_EQ(-ENXIO, unmap(self, self->size >> self->shift, 1));
	EXPECT_EQ(1, said(klog, "spapr_tce: %#llx bytes at %#llx are not in one window",
			  self->page, self->start + self->size));
	ASSERT_EQ(-EINVAL, tce_create(self->c, 13, SZ_64K, 1, &start));
	EXPECT_EQ(1, said(klog, "spapr_tce: no window of 0x10000 bytes with pages of 1 << 13 "));

	/* None when nobody has asked, and none of what succeeds */
	ASSERT_EQ(0, map(self, 0, 1));
	EXPECT_EQ(0, said(klog, "spapr_tce: "));
	ASSERT_EQ(0, messages(false));
	ASSERT_EQ(-EINVAL, tce_map(self->c, self->start, end, SZ_64K, DMA_RW));
	EXPECT_EQ(0, said(klog, "spapr_tce: "));
	close(klog);
}

TEST_HARNESS_MAIN
