/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of unit start from: a process with three containers, and what is
 * looked at after each request.
 */
#ifndef _SPAPR_TCE_UNIT_H
#define _SPAPR_TCE_UNIT_H

#include <sys/wait.h>

#include "harness.h"

static unsigned long reached(struct host_pe *hpe, unsigned long addr)
{
	return machine_dma(hpe, addr, false);
}

/* Where memory of a process is */
static unsigned long hpa_of(struct mm_struct *mm, unsigned long ua)
{
	unsigned long i = (ua - HOST_UA_BASE) >> PAGE_SHIFT;

	return page_to_phys(mm->pte[i].page) + offset_in_page(ua);
}

FIXTURE(world)
{
	struct mm_struct *mm;
	struct mm_struct *other;
	struct host_container c[3];
	u64 digest;
};

FIXTURE_SETUP(world)
{
	machine_init();
	self->mm = mm_create(1UL << 40);
	self->other = mm_create(1UL << 40);
	current->mm = self->mm;
	memset(self->c, 0, sizeof(self->c));
	world_check_containers(self->c, 3);
	vfio_attach(self->c, host_pes);
	ASSERT_EQ(vfio_set_iommu(self->c, VFIO_SPAPR_TCE_v2_IOMMU), 0);
	world_check();
}

FIXTURE_TEARDOWN(world)
{
	int i;

	for (i = 0; i < 3; i++)
		vfio_close(self->c + i);
	world_check();
	host_settle();
	mm_destroy(self->mm);
	mm_destroy(self->other);
	machine_reset();
	world_check_empty();
	host_test_ends();
}

/* The second container of the process, with a PE of its own */
static struct host_container *second(struct host_container *c)
{
	vfio_attach(c + 1, host_pes + 1);
	vfio_set_iommu(c + 1, VFIO_SPAPR_TCE_v2_IOMMU);

	return c + 1;
}

static struct host_container *version1(struct host_container *c)
{
	vfio_attach(c + 2, host_pes + 2);
	vfio_set_iommu(c + 2, VFIO_SPAPR_TCE_IOMMU);

	return c + 2;
}

/* The default window, with nothing in it */
static long make_default(struct host_container *c)
{
	long ret = req_register(c, UA(0), PG);

	ret = ret ?: req_map(c, 0, UA(0), PG, RW);
	ret = ret ?: req_unmap(c, 0, PG);

	return ret ?: req_unregister(c, UA(0), PG);
}

static long eeh_op(struct host_container *c, u32 op)
{
	struct vfio_eeh_pe_op arg = { .argsz = sizeof(arg), .op = op };

	arg.err.type = 1;
	arg.err.func = 2;

	return vfio_ioctl(c, VFIO_EEH_PE_OP, &arg);
}

/* What fails changes nothing */
#define EXPECT_FAILS(error, call) do {				\
	self->digest = world_digest(self->mm);			\
	EXPECT_EQ(call, error);					\
	EXPECT_EQ(world_digest(self->mm), self->digest);	\
	world_check();						\
} while (0)

#define EXPECT_WORKS(call) do {		\
	EXPECT_EQ(call, 0);		\
	world_check();			\
} while (0)

#define EXPECT_REACHES(hpe, addr, ua) \
	EXPECT_EQ(machine_dma(hpe, addr, false), (long)hpa_of(self->mm, ua))
#define EXPECT_FAULTS(hpe, addr)	EXPECT_TRUE(faults(hpe, addr))

static int put_list(struct iommu_table *tbl, unsigned long entry,
		    const unsigned long *uas, unsigned long nr,
		    unsigned int page_shift)
{
	struct tce_batch list = {
		.mm = tbl->it_user->mm,
		.uas = uas,
		.nr = nr,
		.page_shift = page_shift,
	};
	struct tce_iter iter = { };
	int ret = user_table_prepare_batch(tbl, &iter, entry, &list);

	return ret ? ret : user_table_commit_batch(tbl, &iter, entry, &list);
}

static struct iommu_table *table_of(struct host_container *c, unsigned int num)
{
	struct glue_container state;

	glue_container_get(c->data, &state);

	return state.tables[num];
}

#define EXPECT_DONE(call) do {						\
	EXPECT_EQ(call, 0);						\
	EXPECT_EQ(lpar.plans[0].times, 0);				\
	check_all();							\
} while (0)

/* The region in which all of the range lies, or NULL */
static inline struct mm_iommu_table_group_mem_t *
host_lookup(struct mm_struct *mm, unsigned long ua, unsigned long size)
{
	struct host_region region;

	return glue_region_at(mm, ua, &region) &&
		mm_iommu_covers(region.mem, ua, size) ? region.mem : NULL;
}

#endif /* _SPAPR_TCE_UNIT_H */
