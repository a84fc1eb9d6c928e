// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tables in a hypervisor's hands.
 */
#include "unit.h"

#define LPAR_MAP	1100UL	/* three lists */

FIXTURE(lpar)
{
	struct mm_struct *mm;
	struct host_container c;
	struct lpar before;
	u64 digest;
};

FIXTURE_VARIANT(lpar)
{
	unsigned long features;
};

VARIANT(lpar, lists, .features = LPAR_ALL);
VARIANT(lpar, lists_but_no_ranges, .features = FW_FEATURE_PUT_TCE_IND);
VARIANT(lpar, one_by_one, .features = 0);

FIXTURE_SETUP(lpar)
{
	machine_init();
	lpar_init(variant->features);
	self->mm = mm_create(1UL << 40);
	current->mm = self->mm;
	memset(&self->c, 0, sizeof(self->c));
	world_check_containers(&self->c, 1);
	vfio_attach(&self->c, &lpar_pe);
	ASSERT_EQ(vfio_set_iommu(&self->c, VFIO_SPAPR_TCE_v2_IOMMU), 0);
}

static void check_all(void)
{
	world_check();
	lpar_check();
}

FIXTURE_TEARDOWN(lpar)
{
	vfio_close(&self->c);
	check_all();
	host_settle();
	mm_destroy(self->mm);
	machine_reset();
	world_check_empty();
	host_test_ends();
}

static struct lpar_plan refuse(unsigned long at, long rc)
{
	return (struct lpar_plan) { .at = at, .times = 1, .rc = rc };
}

static struct lpar_plan refuse_clear(unsigned long at, unsigned long times)
{
	return (struct lpar_plan) {
		.at = at, .times = times, .clears = true, .rc = H_HARDWARE,
	};
}

/* The request is refused, and all that there was is there */
#define EXPECT_UNDONE(error, call) do {					\
	self->digest = world_digest(self->mm);				\
	memcpy(&self->before, &lpar, sizeof(lpar));			\
	EXPECT_EQ(call, error);						\
	EXPECT_EQ(lpar.plans[0].times, 0);				\
	EXPECT_EQ(world_digest(self->mm), self->digest);		\
	EXPECT_EQ(memcmp(lpar.tces, self->before.tces,			\
			 sizeof(lpar.tces)), 0);			\
	check_all();							\
} while (0)

/*
 * Levels are there before: those that a request made stay when it is refused, as do
 * those of which no unmap covers a leaf.
 */
#define MAKE_LEVELS() do {						\
	EXPECT_DONE(req_map(&self->c, 0, UA(0), LPAR_MAP * 4096, RW));	\
	for (unsigned int at = 0; at < LPAR_MAP; at += 100)		\
		EXPECT_DONE(req_unmap(&self->c, at * 4096, 100 * 4096)); \
} while (0)

/* In the middle, and where one list ends and the next begins */
static const unsigned long lpar_at[] = { 0, 1, 300, 511, 512, 513, 1024, 1099 };

static void refuse_map(struct __test_metadata *_metadata,
		       struct _test_data_lpar *self)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lpar_at); i++) {
		lpar.plans[0] = refuse(lpar_at[i], H_NOT_ENOUGH_RESOURCES);
		EXPECT_UNDONE(-ENOMEM, req_map(&self->c, 0, UA(0), LPAR_MAP * 4096, RW));
		lpar.plans[0] = refuse(lpar_at[i], H_PARAMETER);
		EXPECT_UNDONE(-EIO, req_map(&self->c, 0, UA(0), LPAR_MAP * 4096, RW));
	}
}

/* What a map would have replaced is there again, with the permissions it had */
static void refuse_over_map(struct __test_metadata *_metadata,
			    struct _test_data_lpar *self)
{
	MAKE_LEVELS();
	EXPECT_DONE(req_map(&self->c, 0, UA(UA_HUGE), 400 * 4096, RW));
	EXPECT_DONE(req_map(&self->c, 450 * 4096, UA(UA_MEDIUM), 200 * 4096,
			    VFIO_DMA_MAP_FLAG_READ));
	EXPECT_DONE(req_map(&self->c, 700 * 4096, UA(UA_MEDIUM) + 4096, 4096,
			    VFIO_DMA_MAP_FLAG_WRITE));
	refuse_map(_metadata, self);
}

TEST_F(lpar, map_refused)
{
	EXPECT_DONE(req_register(&self->c, UA(0), 1700 * PG));
	EXPECT_DONE(req_map(&self->c, 5000 * 4096, UA(0), 4096, RW));
	MAKE_LEVELS();
	refuse_map(_metadata, self);
	EXPECT_DONE(req_unmap(&self->c, 5000 * 4096, 4096));
	EXPECT_DONE(req_unregister(&self->c, UA(0), 1700 * PG));
}

TEST_F(lpar, over_map_refused)
{
	EXPECT_DONE(req_register(&self->c, UA(0), 1700 * PG));
	refuse_over_map(_metadata, self);
	EXPECT_EQ(req_unregister(&self->c, UA(0), 1700 * PG), -EBUSY);
	EXPECT_DONE(req_unmap(&self->c, 0, LPAR_TCES * 4096));
	EXPECT_DONE(req_unregister(&self->c, UA(0), 1700 * PG));
}

static void lpar_version1(struct __test_metadata *_metadata,
			  struct _test_data_lpar *self)
{
	vfio_close(&self->c);
	vfio_attach(&self->c, &lpar_pe);
	ASSERT_EQ(vfio_set_iommu(&self->c, VFIO_SPAPR_TCE_IOMMU), 0);
	ASSERT_EQ(vfio_ioctl(&self->c, VFIO_IOMMU_ENABLE, NULL), 0);
}

TEST_F(lpar, refused_v1)
{
	lpar_version1(_metadata, self);
	EXPECT_DONE(req_map(&self->c, 5000 * 4096, UA(0), 4096, RW));
	MAKE_LEVELS();
	refuse_map(_metadata, self);
	refuse_over_map(_metadata, self);
	EXPECT_DONE(req_unmap(&self->c, 0, LPAR_TCES * 4096));
	EXPECT_EQ(host_usage.pins, 0);
}

/* A part of a list, or none yet: all of it is done in the end */
TEST_F(lpar, partial_and_busy)
{
	static const long rcs[] = { H_BUSY, H_LONG_BUSY_ORDER_10_MSEC, H_PARTIAL };
	unsigned int i, j;

	EXPECT_DONE(req_register(&self->c, UA(0), 1700 * PG));
	/* A single TCE cannot be done in part */
	for (i = 0; i < ARRAY_SIZE(rcs) - !variant->features; i++) {
		for (j = 0; j < ARRAY_SIZE(lpar_at); j++) {
			lpar.plans[0] = refuse(lpar_at[j], rcs[i]);
			EXPECT_DONE(req_map(&self->c, 0, UA(j), LPAR_MAP * 4096, RW));
			EXPECT_EQ(lpar.tces[0][LPAR_MAP - 1],
				  hpa_of(self->mm, UA(j) + (LPAR_MAP - 1) * 4096) + 3);
		}
	}
	EXPECT_EQ(lpar.slept, 10 * ARRAY_SIZE(lpar_at));
	for (i = 0; i < 2 + !!(variant->features & FW_FEATURE_STUFF_TCE); i++) {
		EXPECT_DONE(req_map(&self->c, 0, UA(0), LPAR_MAP * 4096, RW));
		lpar.plans[0] = refuse_clear(700, 1);
		lpar.plans[0].rc = rcs[i];
		EXPECT_DONE(req_unmap(&self->c, 0, LPAR_MAP * 4096));
		EXPECT_EQ(lpar.tces[0][LPAR_MAP - 1], 0);
	}
	EXPECT_EQ(lpar.slept, 10 * ARRAY_SIZE(lpar_at) + 10);
}

/* Nothing is ever mapped that is not held: what cannot be put back is not */
TEST_F(lpar, undo_refused)
{
	unsigned long i, n;

	EXPECT_DONE(req_register(&self->c, UA(0), 1700 * PG));
	EXPECT_DONE(req_map(&self->c, 0, UA(UA_HUGE), LPAR_MAP * 4096, RW));
	EXPECT_DONE(req_map(&self->c, 2000 * 4096, UA(UA_HUGE), 4096, RW));
	lpar.plans[0] = refuse(700, H_NOT_ENOUGH_RESOURCES);
	/* The second list of those that are put back */
	lpar.plans[1] = refuse(600, H_NOT_ENOUGH_RESOURCES);
	EXPECT_EQ(req_map(&self->c, 0, UA(0), LPAR_MAP * 4096, RW), -EIO);
	EXPECT_EQ(lpar.plans[1].times, 0);
	check_all();
	for (i = 0, n = 0; i < LPAR_TCES; i++)
		n += !!lpar.tces[0][i];
	EXPECT_EQ(n, LPAR_MAP - 512 + 1);
	EXPECT_EQ(lpar.tces[0][511], hpa_of(self->mm, UA(UA_HUGE) + 511 * 4096) + 3);
	EXPECT_EQ(lpar.tces[0][512], 0);
	EXPECT_EQ(lpar.tces[0][1024], hpa_of(self->mm, UA(UA_HUGE) + 1024 * 4096) + 3);
	EXPECT_DONE(req_unmap(&self->c, 0, LPAR_TCES * 4096));
	EXPECT_DONE(req_unregister(&self->c, UA(0), 1700 * PG));
}

/* What the hypervisor does not clear stays held, and the rest is given back */
TEST_F(lpar, unmap_refused)
{
	struct host_region region;
	unsigned long i, left;

	EXPECT_DONE(req_register(&self->c, UA(0), 1700 * PG));
	EXPECT_DONE(req_map(&self->c, 0, UA(0), LPAR_MAP * 4096, RW));
	lpar.plans[0] = refuse_clear(600, 1);
	EXPECT_EQ(req_unmap(&self->c, 0, LPAR_MAP * 4096), -EIO);
	world_check();
	glue_region_at(self->mm, UA(0), &region);
	left = region.mapped - 1;
	EXPECT_GE(left, LPAR_MAP - 600);
	for (i = 0; i < LPAR_MAP; i++)
		if (lpar.tces[0][i])
			left--;
	/* What comes behind is cleared, whatever was refused before */
	EXPECT_EQ(lpar.tces[0][LPAR_MAP - 1], 0);
	/* Some of the 512 that were to be cleared at once are, but held */
	EXPECT_LE(left, 512);
	EXPECT_EQ(req_unregister(&self->c, UA(0), 1700 * PG), -EBUSY);
	EXPECT_DONE(req_unmap(&self->c, 0, LPAR_MAP * 4096));
	EXPECT_DONE(req_unregister(&self->c, UA(0), 1700 * PG));
}

TEST_F(lpar, unmap_refused_v1)
{
	lpar_version1(_metadata, self);
	EXPECT_DONE(req_map(&self->c, 0, UA(0), 1000 * 4096, RW));
	lpar.plans[0] = refuse_clear(600, 1);
	EXPECT_EQ(vfio_ioctl(&self->c, VFIO_IOMMU_DISABLE, NULL), -EIO);
	EXPECT_NE(host_usage.pins, 0);
	world_check();
	EXPECT_DONE(vfio_ioctl(&self->c, VFIO_IOMMU_DISABLE, NULL));
	EXPECT_EQ(host_usage.pins, 0);
}

/* It refuses to the end: the window goes, and then nothing leads to the pages */
TEST_F(lpar, close_refused)
{
	EXPECT_DONE(req_register(&self->c, UA(0), 1700 * PG));
	EXPECT_DONE(req_map(&self->c, 0, UA(0), LPAR_MAP * 4096, RW));
	lpar.plans[0] = refuse_clear(0, 10000);
	vfio_close(&self->c);
	lpar.plans[0].times = 0;
	check_all();
	EXPECT_EQ(host_usage.pins, 0);
	EXPECT_EQ(self->mm->locked_vm, 0);
}

/*
 * Somebody (KVM) keeps a table whose container has gone. The LIOBN is that of another
 * container by now, and what is unmapped in the old table is not asked for there.
 */
TEST_F(lpar, revoked_table_is_silent)
{
	struct iommu_table *old;

	EXPECT_DONE(req_register(&self->c, UA(0), 1700 * PG));
	EXPECT_DONE(req_map(&self->c, 0, UA(0), LPAR_MAP * 4096, RW));
	old = iommu_tce_table_get(table_of(&self->c, 0));
	vfio_close(&self->c);
	check_all();
	/* Nobody has it */
	EXPECT_DONE(user_table_unmap(old, 0, LPAR_MAP, NULL));

	vfio_attach(&self->c, &lpar_pe);
	ASSERT_EQ(vfio_set_iommu(&self->c, VFIO_SPAPR_TCE_v2_IOMMU), 0);
	EXPECT_DONE(req_register(&self->c, UA(0), 1700 * PG));
	EXPECT_DONE(req_map(&self->c, 0, UA(0), LPAR_MAP * 4096, RW));
	EXPECT_DONE(user_table_unmap(old, 0, LPAR_MAP, NULL));
	EXPECT_DONE(user_table_unmap(old, 0, 1, NULL));
	EXPECT_DONE(put_list(old, 0, (unsigned long[]) { 0, 0 }, 2, 12));
	EXPECT_EQ(lpar.tces[0][0], hpa_of(self->mm, UA(0)) + 3);
	iommu_tce_table_put(old);
	check_all();
}

/* The hypervisor did not clear all: nobody tries again when the window has gone */
TEST_F(lpar, revoked_table_that_was_not_emptied)
{
	struct iommu_table *old;

	EXPECT_DONE(req_register(&self->c, UA(0), 1700 * PG));
	EXPECT_DONE(req_map(&self->c, 0, UA(0), LPAR_MAP * 4096, RW));
	old = iommu_tce_table_get(table_of(&self->c, 0));
	lpar.plans[0] = refuse_clear(0, 10000);
	vfio_close(&self->c);
	lpar.plans[0].times = 0;
	EXPECT_DONE(user_table_unmap(old, 0, LPAR_MAP, NULL));
	/* What its shadows refer to goes with it */
	EXPECT_NE(host_usage.pins, 0);
	iommu_tce_table_put(old);
	check_all();
	EXPECT_EQ(host_usage.pins, 0);
}

/* A guest's list, of which some is to be unmapped */
TEST_F(lpar, list_refused)
{
	unsigned long uas[LPAR_MAP], i;
	struct iommu_table *tbl;

	EXPECT_DONE(req_register(&self->c, UA(0), 1700 * PG));
	MAKE_LEVELS();
	EXPECT_DONE(req_map(&self->c, 0, UA(UA_HUGE), 1000 * 4096, RW));
	tbl = table_of(&self->c, 0);
	for (i = 0; i < LPAR_MAP; i++)
		uas[i] = i % 3 ? (UA(0) + i * 4096) | TCE_PCI_READ : 0;
	for (i = 0; i < ARRAY_SIZE(lpar_at); i++) {
		lpar.plans[0] = refuse(lpar_at[i] / 2, H_NOT_ENOUGH_RESOURCES);
		EXPECT_UNDONE(-ENOMEM, put_list(tbl, 0, uas, LPAR_MAP, 12));
	}
	EXPECT_DONE(put_list(tbl, 0, uas, LPAR_MAP, 12));
	EXPECT_EQ(lpar.tces[0][0], 0);
	EXPECT_EQ(lpar.tces[0][1], hpa_of(self->mm, UA(0) + 4096) | TCE_PCI_READ);
}

/* A hypervisor is asked for what the process asked for, and for no more */
TEST_F(lpar, permissions)
{
	static const unsigned long perm[] = {
		[VFIO_DMA_MAP_FLAG_READ] = TCE_PCI_READ,
		[VFIO_DMA_MAP_FLAG_WRITE] = TCE_PCI_WRITE,
		[RW] = TCE_PCI_READ | TCE_PCI_WRITE,
	};
	unsigned long ua = UA(0);
	struct iommu_table *tbl;
	unsigned int flags;

	EXPECT_DONE(req_register(&self->c, UA(0), 1700 * PG));
	for (flags = VFIO_DMA_MAP_FLAG_READ; flags <= RW; flags++) {
		EXPECT_DONE(req_map(&self->c, 0, UA(0), 600 * 4096, flags));
		EXPECT_EQ(lpar.tces[0][0], hpa_of(self->mm, UA(0)) | perm[flags]);
		EXPECT_EQ(lpar.tces[0][599],
			  hpa_of(self->mm, UA(0) + 599 * 4096) | perm[flags]);
	}
	/* A guest, too */
	tbl = table_of(&self->c, 0);
	EXPECT_DONE(put_list(tbl, 0, (unsigned long[]) { ua | TCE_PCI_WRITE }, 1, 12));
	EXPECT_EQ(lpar.tces[0][0], hpa_of(self->mm, ua) | TCE_PCI_WRITE);
	EXPECT_DONE(req_unmap(&self->c, 0, 600 * 4096));
	EXPECT_DONE(req_unregister(&self->c, UA(0), 1700 * PG));
}

/* No more hypercalls than it takes */
TEST_F(lpar, hypercalls)
{
	EXPECT_DONE(req_register(&self->c, UA(0), 1700 * PG));
	EXPECT_DONE(req_map(&self->c, 0, UA(0), LPAR_MAP * 4096, RW));
	if (variant->features) {
		EXPECT_EQ(lpar.lists, 3);
		EXPECT_EQ(lpar.puts, 0);
		/* A list of one is none */
		EXPECT_DONE(req_map(&self->c, 0, UA(0), 4096, RW));
		EXPECT_EQ(lpar.lists, 3);
	} else {
		EXPECT_EQ(lpar.puts, LPAR_MAP);
	}
	lpar.puts = 0;
	EXPECT_DONE(req_unmap(&self->c, 0, LPAR_MAP * 4096));
	EXPECT_EQ(lpar.puts, variant->features == LPAR_ALL ? 0 : LPAR_MAP);
	EXPECT_EQ(lpar.stuffs, variant->features == LPAR_ALL ? 3 : 0);
	/* Nothing was ever mapped there */
	EXPECT_DONE(req_unmap(&self->c, 3000 * 4096, 5000 * 4096));
	EXPECT_EQ(lpar.puts, variant->features == LPAR_ALL ? 0 : LPAR_MAP);
	EXPECT_EQ(lpar.stuffs, variant->features == LPAR_ALL ? 3 : 0);
}

/* Neither the table nor where its lists are made can be had */
TEST_F(lpar, no_memory)
{
	unsigned long n;

	EXPECT_DONE(req_register(&self->c, UA(0), 1700 * PG));
	for (n = 1;; n++) {
		fail_arm(n);
		self->digest = world_digest(self->mm);
		if (!req_map(&self->c, 0, UA(0), LPAR_MAP * 4096, RW))
			break;
		EXPECT_TRUE(fail_fired());
		fail_arm(0);
		check_all();
	}
	fail_arm(0);
	EXPECT_GT(n, 3);
	check_all();
}
