// SPDX-License-Identifier: GPL-2.0-only
/*
 * What series/fixes/ mends in the base's files, by the number of the patch: each
 * test fails before its patch and passes with it. A process of its own for
 * each, because the base may crash. Built with VARIANT=bench-base; BASE_TREE is
 * the base with none, some or all of the fixes.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"

#define PG	PAGE_SIZE
#define TCES	8192UL		/* a table of one page of 64K */
#define BUF	(64 * PG)	/* at UA_SCATTERED, registered */

static struct mm_struct *mm;
static struct host_container c;
static u64 start;		/* of a window at which nothing is mapped */
static int failed;

#define EXPECT(what) do {						\
	if (!(what)) {							\
		printf("# line %d: %s\n", __LINE__, #what);		\
		failed = 1;						\
	}								\
} while (0)

/* The TCE at a bus address of the first PE; 0 if there is none */
static unsigned long tce_at(u64 iova)
{
	struct iommu_table *tbl;
	unsigned long index;
	int i;

	for (i = 0; i < IOMMU_TABLE_GROUP_MAX_TABLES; i++) {
		tbl = host_pes[0].pe.table_group.tables[i];
		if (!tbl)
			continue;
		index = iova >> tbl->it_page_shift;
		if (index >= tbl->it_offset && index < tbl->it_offset + tbl->it_size)
			return tbl->it_ops->get(tbl, index);
	}

	return 0;
}

static unsigned long was[8];

static void remember(u64 iova)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(was); i++)
		was[i] = tce_at(iova + i * PG);
}

static void expect_unchanged(u64 iova)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(was); i++)
		EXPECT(was[i] && was[i] == tce_at(iova + i * PG));
}

static void map_past_end(void)
{
	u64 last = start + (TCES - 1) * PG;

	EXPECT(req_map(&c, last, host_ua(0), 2 * PG, RW) == -EINVAL);
	EXPECT(req_unmap(&c, last, 2 * PG) == -EINVAL);
}

static void page_shift_of_144(void)
{
	req_remove(&c, start);
	EXPECT(req_create(&c, 144, SZ_1G, 1, &start) == -EINVAL);
	EXPECT(req_create(&c, 80, SZ_1G, 2, &start) == -EINVAL);
	EXPECT(req_create(&c, 16, SZ_4K, 1, &start) == -EINVAL);
}

/* Failures of every kind; @answer is the one that is looked at. */
static void create_fails(long answer)
{
	long charged, ret;
	int n;

	req_remove(&c, start);
	for (n = 1; n < 30; n++) {
		/* A failure of the other kind may have left something */
		charged = mm->locked_vm;
		fail_arm(n);
		ret = req_create(&c, 16, SZ_1G, 1, &start);
		fail_arm(0);
		if (ret == answer)
			EXPECT(mm->locked_vm == charged);
		/* Made, and perhaps not told: memory was enough */
		if (!ret || (n > 1 && ret == -EFAULT))
			break;
	}
	EXPECT(n > 3 && n < 30);
}

static void create_without_memory(void)
{
	create_fails(-ENOMEM);
}

static void create_copy_out_fails(void)
{
	create_fails(-EFAULT);
}

static void remove_inside(void)
{
	EXPECT(req_remove(&c, start + PG) == -EINVAL);
	EXPECT(req_remove(&c, start) == 0);
}

static void map_without_levels(void)
{
	u64 iova;
	long ret;
	int n;

	req_remove(&c, start);
	if (req_create(&c, 16, BIT(47), 2, &start))
		host_die("no large window\n");
	for (n = 1; n < 40; n++) {
		iova = start + ((u64)n << 40);
		fail_arm(n);
		ret = req_map(&c, iova, host_ua(0), 4 * PG, RW);
		fail_arm(0);
		if (!ret)
			break;
	}
	EXPECT(n > 2 && n < 40);
	req_unmap(&c, iova, 4 * PG);
	EXPECT(req_unregister(&c, host_ua(0), BUF) == 0);
}

static void unregister_mapped(void)
{
	req_map(&c, start, host_ua(0), PG, RW);
	EXPECT(req_unregister(&c, host_ua(0), BUF) == -EBUSY);
	req_unmap(&c, start, PG);
	EXPECT(req_unregister(&c, host_ua(0), BUF) == 0);
	EXPECT(req_unregister(&c, host_ua(0), BUF) == -ENOENT);
}

static void register_hole(void)
{
	long charged = mm->locked_vm;

	EXPECT(req_register(&c, host_ua(UA_HOLES), 32 * PG) == -EFAULT);
	EXPECT(req_register(&c, host_ua(UA_END - 64), 128 * PG) == -EFAULT);
	EXPECT(mm->locked_vm == charged);
}

static void register_nothing(void)
{
	EXPECT(req_register(&c, host_ua(UA_CONTIGUOUS), 0) == -EINVAL);
}

static void map_of_other_container(void)
{
	struct host_container other = { 0 };

	vfio_attach(&other, &host_pes[1]);
	vfio_set_iommu(&other, VFIO_SPAPR_TCE_v2_IOMMU);
	req_register(&other, host_ua(UA_CONTIGUOUS), PG);
	EXPECT(req_map(&c, start, host_ua(UA_CONTIGUOUS), PG, RW) == -EINVAL);
	EXPECT(req_map(&c, start, host_ua(0), PG, RW) == 0);
	vfio_close(&other);
}

static void failed_map_keeps_old(void)
{
	EXPECT(req_map(&c, start, host_ua(0), 8 * PG, RW) == 0);
	remember(start);
	EXPECT(req_map(&c, start, host_ua(60), 8 * PG, RW) == -EINVAL);
	expect_unchanged(start);
	EXPECT(req_unmap(&c, start, 8 * PG) == 0);
	EXPECT(req_unregister(&c, host_ua(0), BUF) == 0);
}

static void failed_map_keeps_old_v1(void)
{
	const u64 iova = SZ_1M;
	long pins;

	vfio_close(&c);
	memset(&c, 0, sizeof(c));
	vfio_attach(&c, &host_pes[0]);
	vfio_set_iommu(&c, VFIO_SPAPR_TCE_IOMMU);
	EXPECT(vfio_ioctl(&c, VFIO_IOMMU_ENABLE, NULL) == 0);
	EXPECT(req_map(&c, iova, host_ua(0), 8 * PG, RW) == 0);
	remember(iova);
	pins = host_usage.pins;
	EXPECT(req_map(&c, iova, host_ua(UA_END - 4), 8 * PG, RW) == -EFAULT);
	expect_unchanged(iova);
	EXPECT(host_usage.pins == pins);
	EXPECT(req_map(&c, iova, host_ua(8), 8 * PG, RW) == 0);
	EXPECT(host_usage.pins == pins);
	EXPECT(req_unmap(&c, iova, 8 * PG) == 0);
}

static void group_leaves(void)
{
	vfio_attach(&c, &host_pes[1]);
	req_map(&c, start, host_ua(0), 8 * PG, RW);
	remember(start);
	vfio_detach(&c, &host_pes[1]);
	expect_unchanged(start);
}

static void window_is_exact(void)
{
	req_remove(&c, start);
	EXPECT(req_create(&c, 16, SZ_1M, 1, &start) == 0);
	EXPECT(req_map(&c, start + SZ_1M - PG, host_ua(0), PG, RW) == 0);
	EXPECT(req_map(&c, start + SZ_1M, host_ua(0), PG, RW) == -ENXIO);
	EXPECT(req_remove(&c, start) == 0);
}

static const struct {
	int patch;
	void (*run)(void);
} tests[] = {
	{ 3, map_past_end },
	{ 4, page_shift_of_144 },
	{ 5, create_without_memory },
	{ 6, create_copy_out_fails },
	{ 7, remove_inside },
	{ 8, map_without_levels },
	{ 9, unregister_mapped },
	{ 10, register_hole },
	{ 11, register_nothing },
	{ 14, map_of_other_container },
	{ 15, failed_map_keeps_old },
	{ 16, failed_map_keeps_old_v1 },
	{ 17, group_leaves },
	{ 18, window_is_exact },
};

static void run(unsigned int i)
{
	alarm(20);
	machine_init();
	mm = mm_create(BIT(40));
	current->mm = mm;
	vfio_attach(&c, &host_pes[0]);
	vfio_set_iommu(&c, VFIO_SPAPR_TCE_v2_IOMMU);
	if (req_register(&c, host_ua(0), BUF) ||
	    req_create(&c, 16, TCES * PG, 1, &start))
		host_die("no window\n");
	tests[i].run();
	/* What failed may have left anything behind */
	if (!failed) {
		vfio_close(&c);
		host_settle();
		EXPECT(!mm->locked_vm);
		EXPECT(!host_usage.pins);
	}
	_exit(failed);
}

int main(void)
{
	unsigned int i;
	int status;

	setbuf(stdout, NULL);
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		if (!fork())
			run(i);
		wait(&status);
		printf("%s %02d\n", status ? "not ok" : "ok", tests[i].patch);
	}

	return 0;
}
