// SPDX-License-Identifier: GPL-2.0-only
/*
 * What debugfs and fdinfo tell of tables, and messages.
 */
#include "unit.h"

TEST_F(world, debugfs)
{
	struct seq_file m = { };
	u64 start;

	glue_tables_show(&m);
	EXPECT_EQ(m.len, 0);
	EXPECT_WORKS(req_create(self->c, 16, 1UL << 32, 1, &start));
	glue_tables_show(&m);
	EXPECT_NE(strstr(m.text, "start=0x800000000000000 page_shift=16 tces=65536 levels=2"),
		  NULL);
	EXPECT_NE(strstr(m.text, "start=0 page_shift=12 tces=262144"), NULL);
}

static struct host_container *maker;
static struct mm_struct *makers_mm;

static void *make_window(void *arg)
{
	u64 start;

	rcu_register_thread();
	current->mm = makers_mm;
	WARN_ON(req_create(maker, 16, 1UL << 32, 1, &start));
	rcu_unregister_thread();

	return arg;
}

/* Nothing comes into the list of tables while somebody goes through it */
TEST_F(world, tables_are_listed_under_their_lock)
{
	unsigned int tries, before;
	pthread_t thread;

	maker = self->c;
	makers_mm = self->mm;
	glue_tables_lock();
	before = glue_tables();
	pthread_create(&thread, NULL, make_window, NULL);
	for (tries = 0; tries < 300 && glue_tables() == before; tries++)
		usleep(1000);
	EXPECT_EQ(glue_tables(), before);
	glue_tables_unlock();
	pthread_join(thread, NULL);
	glue_tables_lock();
	EXPECT_GT(glue_tables(), before);
	glue_tables_unlock();
}

/* The table of window 0 */
static struct iommu_table *table0(void)
{
	return host_pes[0].pe.table_group.tables[0];
}

/* How often there is @what in a file of it */
static int shown(const char *file, bool lines, const char *what)
{
	struct seq_file m;
	char *at = m.text;
	int n = 0;

	glue_table_show(table0(), file, lines, &m);
	while ((at = strstr(at, what))) {
		at += strlen(what);
		n++;
	}

	return n;
}

TEST_F(world, debugfs_table)
{
	char want[64];

	EXPECT_WORKS(req_register(self->c, UA(0), 600 * PG));
	EXPECT_DONE(req_map(self->c, 5 * 4096, UA(0), 7 * PG, RW));
	snprintf(want, sizeof(want), "used\t\t%lu\n", 7 * PG / 4096);
	EXPECT_EQ(shown("info", false, want), 1);
	EXPECT_EQ(shown("info", false, "start\t\t0\n"), 1);
	EXPECT_EQ(shown("info", false, "page_shift\t12\n"), 1);
	EXPECT_EQ(shown("info", false, "tces\t\t262144\n"), 1);
	EXPECT_EQ(shown("info", false, "leaves\t\t1\n"), 1);
	snprintf(want, sizeof(want), "view_bytes\t%lu\n",
		 1UL << table0()->it_tree.level_shift);
	EXPECT_EQ(shown("info", false, want), 1);
	EXPECT_EQ(shown("info", false, "in_memory\t1\n"), 1);
	EXPECT_EQ(shown("info", false, "closed\t\t0\n"), 1);
	EXPECT_EQ(shown("holders", false, "container pid=1 group=0\n"), 1);
	EXPECT_EQ(shown("holders", false, "\n"), 1);

	EXPECT_WORKS(vfio_attach(self->c, host_pes + 1));
	EXPECT_EQ(shown("holders", false, "container pid=1 group=1\n"), 1);
	EXPECT_EQ(shown("holders", false, "\n"), 2);
	vfio_detach(self->c, host_pes + 1);
	EXPECT_EQ(shown("holders", false, "container pid=1 group=0\n"), 1);
	EXPECT_EQ(shown("holders", false, "\n"), 1);
}

TEST_F(world, debugfs_map)
{
	bool lines;

	EXPECT_WORKS(req_register(self->c, UA(0), 600 * PG));
	EXPECT_DONE(req_map(self->c, 0, UA(0), PG, RW));
	EXPECT_DONE(req_unmap(self->c, 0, PG));
	EXPECT_DONE(req_map(self->c, 64 << 12, UA(0), PG, RW));
	EXPECT_DONE(req_map(self->c, 512 << 12, UA(0), PG, RW));
	EXPECT_DONE(req_map(self->c, 0x3fff0 << 12, UA(0), PG, RW));
	for (lines = false;; lines = true) {
		EXPECT_EQ(shown("map", lines, "table="), 1);
		EXPECT_EQ(shown("map", lines, PG == 4096 ? "\n0 1 40+1\n" :
							   "\n0 10 40+10\n"), 1);
		EXPECT_EQ(shown("map", lines, PG == 4096 ? "\n200 1 0+1\n" :
							   "\n200 10 0+10\n"), 1);
		EXPECT_EQ(shown("map", lines, PG == 4096 ?
				"\n3fe00 1 1f0+1\n" : "\n3fe00 10 1f0+10\n"), 1);
		EXPECT_EQ(shown("map", lines, "\n"),
			  1 + (atomic_long_read(&table0()->it_tree.leaves) <<
			       (table0()->it_tree.level_shift - 12)));
		if (lines)
			break;
	}
}

/* For the tests of tce-map: with TCE_MAP_DUMP=FILE in the environment a file */
TEST_F(world, debugfs_map_to_file)
{
	const char *name = getenv("TCE_MAP_DUMP");
	struct seq_file m;
	FILE *f;
	int i;

	EXPECT_WORKS(req_register(self->c, UA(0), 600 * PG));
	for (i = 0; i < 40; i++)
		EXPECT_DONE(req_map(self->c, i * i * 10 * PG, UA(0),
				    (1 + i * 7 % 90) * PG, RW));
	glue_table_show(table0(), "map", true, &m);
	f = name ? fopen(name, "w") : NULL;
	if (f) {
		fputs(m.text, f);
		fclose(f);
	}
}

TEST_F(world, debugfs_regions)
{
	char want[64];
	bool lines;

	EXPECT_WORKS(req_register(self->c, UA(0), 600 * PG));
	EXPECT_WORKS(req_register(self->c, UA(700), 2 * PG));
	EXPECT_DONE(req_map(self->c, 0, UA(0), 3 * PG, VFIO_DMA_MAP_FLAG_READ));
	for (lines = false;; lines = true) {
		EXPECT_EQ(shown("regions", lines, "\n"), 2);
		EXPECT_EQ(shown("regions", lines, " mapped=0 "), 1);
		EXPECT_EQ(shown("regions", lines, " written=0\n"), 2);
		snprintf(want, sizeof(want), "ua=%#lx size=%#lx used=1 mapped=%lu ",
			 UA(0), 600 * PG, 3 * PG / 4096);
		EXPECT_EQ(shown("regions", lines, want), 1);
		snprintf(want, sizeof(want), "ua=%#lx size=%#lx ", UA(700),
			 2 * PG);
		EXPECT_EQ(shown("regions", lines, want), 1);
		if (lines)
			break;
	}
	EXPECT_DONE(req_map(self->c, 0, UA(0), 3 * PG, RW));
	EXPECT_EQ(shown("regions", false, " written=1\n"), 1);
}

static struct host_container *owner;

static void unregister_first(void)
{
	host_before_show = NULL;
	WARN_ON(req_unregister(owner, UA(0), PG));
}

/* A region that goes between two looks is not shown, and not the next one twice */
TEST_F(world, debugfs_region_that_goes)
{
	owner = self->c;
	EXPECT_WORKS(req_register(self->c, UA(0), PG));
	EXPECT_WORKS(req_register(self->c, UA(700), 2 * PG));
	/* That makes the table */
	EXPECT_WORKS(req_map(self->c, 0, UA(700), PG, RW));
	host_before_show = unregister_first;
	EXPECT_EQ(shown("regions", false, "\n"), 1);
	EXPECT_EQ(host_before_show, NULL);
}

TEST_F(world, fdinfo)
{
	struct seq_file m = { };
	char want[64];

	EXPECT_WORKS(req_register(self->c, UA(0), 600 * PG));
	EXPECT_WORKS(req_register(self->c, UA(700), 2 * PG));
	EXPECT_DONE(req_map(self->c, 0, UA(0), 3 * PG, RW));
	EXPECT_WORKS(req_unregister(self->c, UA(700), 2 * PG));
	glue_container_fdinfo(self->c->data, &m);
	EXPECT_NE(strstr(m.text, "tce_version:\t2\n"), NULL);
	EXPECT_NE(strstr(m.text, "tce_enabled:\t0\n"), NULL);
	snprintf(want, sizeof(want), "tce_registered:\t%lu\n", 600 * PG);
	EXPECT_NE(strstr(m.text, want), NULL);
	snprintf(want, sizeof(want), "tce_locked:\t%lu\n",
		 self->mm->locked_vm << PAGE_SHIFT);
	EXPECT_NE(strstr(m.text, want), NULL);
	EXPECT_NE(strstr(m.text, " start=0 size=0x40000000 page_shift=12 "),
		  NULL);
	snprintf(want, sizeof(want), " charged=%lu\n",
		 (self->mm->locked_vm - 600) << PAGE_SHIFT);
	EXPECT_NE(strstr(m.text, want), NULL);
}

/* A 32-bit window need not begin at 0 */
TEST_F(world, info_of_a_window_elsewhere)
{
	struct vfio_iommu_spapr_tce_info info = { .argsz = sizeof(info) };

	host_pes[0].pe.table_group.tce32_start = SZ_2G;
	EXPECT_EQ(vfio_ioctl(self->c, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info), 0);
	EXPECT_EQ(info.dma32_window_start, SZ_2G);
	host_pes[0].pe.table_group.tce32_start = 0;
}

/* A window beside the default one, which comes first and fails at each step */
TEST_F(world, create_without_the_default_window)
{
	unsigned int nth;
	u64 start;

	for (nth = 1;; nth++) {
		vfio_attach(self->c + 1, host_pes + 5);
		vfio_set_iommu(self->c + 1, VFIO_SPAPR_TCE_v2_IOMMU);
		fail_arm(nth);
		start = 0;
		if (!req_create(self->c + 1, 16, SZ_1G, 1, &start))
			EXPECT_EQ(start, BIT(59));
		if (!fail_fired())
			break;
		fail_arm(0);
		vfio_close(self->c + 1);
		world_check();
	}
	fail_arm(0);
	vfio_close(self->c + 1);
	EXPECT_GT(nth, 4);
}
