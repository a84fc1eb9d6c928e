// SPDX-License-Identifier: GPL-2.0-only
/*
 * What real mode does, and what it does not. These end in real mode.
 */
#include "kvm-unit.h"

TEST_F(kvm, real_mode_puts)
{
	unsigned long charged;

	PREPARE();
	charged = self->mm->locked_vm;
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA(1) | TCE_RW, 0));
	EXPECT_REACHES(PHB3, 7, GPA(1) + 7);
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, P4, GPA(1) | TCE_PCI_READ, 0));
	EXPECT_EQ(machine_dma(PHB3, P4, true), -EFAULT);
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 3);
	EXPECT_EQ(get_tce(self->vcpu, KVM_REAL, LIOBN, P4), GPA(1) | TCE_PCI_READ);
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 2 * P4, GPA(1) | TCE_PCI_WRITE, 0));
	EXPECT_REACHES(PHB3, 2 * P4, GPA(1));
	EXPECT_EQ(get_tce(self->vcpu, KVM_REAL, LIOBN, 2 * P4), GPA(1) | TCE_PCI_WRITE);
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 2 * P4, 0, 0));
	/* What is there is for virtual mode to replace */
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA(2) | TCE_RW, 0));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA(1) | TCE_RW, 0));
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, 0x1000, 0));
	EXPECT_FAULTS(PHB3, 0);
	EXPECT_EQ(get_tce(self->vcpu, KVM_REAL, LIOBN, 0), 0x1000);
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 2);
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, P4, 0, 0));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 1);
	/* What one array of granules translates, and what the next does */
	if (PAGE_SHIFT == 16) {
		write_list(self->kvm, GPA_LIST, (GPA_HUGE + SZ_2M - 2 * P4) | TCE_RW, P4, 4);
		EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 4 * P4, GPA_LIST, 4));
		EXPECT_REACHES(PHB3, 5 * P4, GPA_HUGE + SZ_2M - P4);
		EXPECT_REACHES(PHB3, 6 * P4, GPA_HUGE + SZ_2M);
		EXPECT_WORKS(IN_REAL_MODE(H_STUFF_TCE, LIOBN, 4 * P4, 0, 4));
	}
	/* The last page of a region */
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, (GPA(256) - P4) | TCE_RW, 0));
	EXPECT_REACHES(PHB3, 0, GPA(256) - P4);
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, 0, 0));
	EXPECT_EQ(self->mm->locked_vm, charged);
}

TEST_F(kvm, real_mode_puts_lists)
{
	PREPARE();
	write_list(self->kvm, GPA_LIST, GPA_HUGE | TCE_RW, P4, 512);
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 5 * P4, GPA_LIST, 512));
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 513);
	EXPECT_REACHES(PHB3, (5 + 511) * P4, GPA_HUGE + 511 * P4);
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 516 * P4,
					      GPA_LIST, 2));
	EXPECT_WORKS(IN_REAL_MODE(H_STUFF_TCE, LIOBN, 5 * P4, 0, 512));
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 1);
	/* With gaps, backwards, some more than once */
	write_list(self->kvm, GPA_LIST, GPA(100) | TCE_PCI_READ, -P4, 20);
	write_list(self->kvm, GPA_LIST + 20 * 8, 0x5000, 0, 20);
	write_list(self->kvm, GPA_LIST + 40 * 8, GPA(9) | TCE_PCI_WRITE, 0, 20);
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 500 * P4, GPA_LIST, 60));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 41);
	EXPECT_REACHES(PHB3, 540 * P4, GPA(9));
	EXPECT_WORKS(IN_REAL_MODE(H_STUFF_TCE, LIOBN, 500 * P4, 0, 10));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 31);
	/* Zeros alone */
	write_list(self->kvm, GPA_LIST, 0, 0, 20);
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_LIST, 20));
}

TEST_F(kvm, real_mode_marks_dirty)
{
	struct page *page = self->mm->pte[3].page;

	PREPARE();
	/* The list that prepared it was for writing */
	EXPECT_WORKS(req_unregister(self->c, UA(0), 256 * PG));
	EXPECT_WORKS(req_register(self->c, UA(0), 256 * PG));
	page->dirty = false;
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA(3) | TCE_PCI_READ, 0));
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, 0, 0));
	EXPECT_WORKS(req_unregister(self->c, UA(0), 256 * PG));
	EXPECT_FALSE(page->dirty);
	EXPECT_WORKS(req_register(self->c, UA(0), 256 * PG));
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA(3) | TCE_PCI_WRITE, 0));
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, 0, 0));
	EXPECT_WORKS(req_unregister(self->c, UA(0), 256 * PG));
	EXPECT_TRUE(page->dirty);
}

TEST_F(kvm, too_hard_for_real_mode)
{
	PREPARE();
	/* Of two regions, of none, of one that is none of the guest's */
	write_list(self->kvm, GPA_LIST, GPA(1) | TCE_RW, P4, 20);
	write_one(self->kvm, GPA_LIST, 19, GPA_HUGE | TCE_RW);
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_LIST, 20));
	write_one(self->kvm, GPA_LIST, 19, GPA_STRANGE | TCE_RW);
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_LIST, 20));
	write_one(self->kvm, GPA_LIST, 0, GPA_STRANGE | TCE_RW);
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_LIST, 20));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA_STRANGE | TCE_RW, 0));
	/* A list that is not registered */
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_STRANGE, 20));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_NOTHING, 20));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_INVALID, 20));
	/* Where levels are missing */
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE, LIOBN, 4000 * P4, GPA(1) | TCE_RW, 0));
	write_list(self->kvm, GPA_LIST, GPA(1) | TCE_RW, P4, 512);
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 1020 * P4,
					      GPA_LIST, 5));
	/* Too much at once */
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_STUFF_TCE, LIOBN, 0, 0, 513));
	/* What keeps RCU from knowing of this CPU */
	host_context_tracking = true;
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA(1) | TCE_RW, 0));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_LIST, 5));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_STUFF_TCE, LIOBN, 0, 0, 1));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_GET_TCE, LIOBN, 0, 0, 0));
	host_context_tracking = false;
}

/* Where the view has a leaf and the table has none, and the other way round */
TEST_F(kvm, real_mode_misses_levels)
{
	int fd = create_table(self->kvm, 7, 16, WINDOW1 >> 16, 1UL << 24);
	const unsigned long far = WINDOW1 + (1UL << 36);

	self->fds[1] = fd;
	self->nr_fds = 2;
	EXPECT_WORKS(req_create(self->c, 16, 1UL << 40, 3, NULL));
	EXPECT_WORKS(kvm_hcall(self->vcpu, KVM_VIRTUAL, H_PUT_TCE, 7, far, 8, 0));
	EXPECT_WORKS(attach(self->kvm, fd, PHB3));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE, 7, far, GPA_HUGE | TCE_RW, 0));
	EXPECT_WORKS(req_map(self->c, WINDOW1, UA(UA_HUGE), K64, RW));
	EXPECT_WORKS(req_unmap(self->c, WINDOW1, K64));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE, 7, WINDOW1, GPA_HUGE | TCE_RW, 0));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_STUFF_TCE, 7, WINDOW1, 8, 1));
	/* Nothing is there to clear */
	EXPECT_WORKS(IN_REAL_MODE(H_STUFF_TCE, 7, WINDOW1 + (1UL << 38), 0, 500));
	EXPECT_WORKS(IN_REAL_MODE(H_GET_TCE, 7, WINDOW1 + (1UL << 38), 0, 0));
}

/* Bridges whose kills take firmware: nothing is written before that is known */
TEST_F(kvm, real_mode_and_phb4)
{
	PREPARE();
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, P4, GPA(1) | TCE_RW, 0));
	/* A PE of one of them joins */
	EXPECT_WORKS(vfio_attach(self->c, PHB4));
	write_list(self->kvm, GPA_LIST, GPA(1) | TCE_RW, P4, 20);
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA(2) | TCE_RW, 0));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 9 * P4, GPA_LIST, 20));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_STUFF_TCE, LIOBN, P4, 0, 1));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE, LIOBN, P4, 0, 0));
	EXPECT_REACHES(PHB4, P4, GPA(1));
	EXPECT_WORKS(STUFF(LIOBN, P4, 0, 1));
	EXPECT_FAULTS(PHB4, P4);
	vfio_detach(self->c, PHB4);
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, P4, GPA(1) | TCE_RW, 0));
}

TEST_F(kvm, real_mode_two_tables)
{
	PREPARE();
	furnish(self->c + 1, PHB3_OTHER);
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3_OTHER));
	/* The second has no levels, so the first gets nothing */
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA(1) | TCE_RW, 0));
	EXPECT_WORKS(PUT(LIOBN, 0, GPA(1) | TCE_RW));
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, 0, 0));
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA(2) | TCE_RW, 0));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 3);
	EXPECT_REACHES(PHB3, 0, GPA(2));
	EXPECT_REACHES(PHB3_OTHER, 0, GPA(2));
	/* Something is in the way in one of them */
	EXPECT_WORKS(req_register(self->c + 1, UA(0), 256 * PG));
	EXPECT_WORKS(IN_REAL_MODE(H_STUFF_TCE, LIOBN, 0, 0, 8));
	self->mirrored = false;
	EXPECT_WORKS(req_map(self->c + 1, P4, UA(0), P4, RW));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE, LIOBN, P4, GPA(1) | TCE_RW, 0));
	EXPECT_WORKS(IN_REAL_MODE(H_STUFF_TCE, LIOBN, 0, 0, 8));
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, P4, GPA(1) | TCE_RW, 0));
}

/* Two groups of one table: it is locked and written once, and killed for both */
TEST_F(kvm, real_mode_shared_table)
{
	PREPARE();
	EXPECT_WORKS(vfio_attach(self->c, PHB3_SAME));
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3_SAME));
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA(1) | TCE_RW, 0));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 2);
	EXPECT_REACHES(PHB3, 0, GPA(1));
	EXPECT_REACHES(PHB3_SAME, 0, GPA(1));
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, 0, 0));
	EXPECT_FAULTS(PHB3, 0);
	EXPECT_FAULTS(PHB3_SAME, 0);
}

/* A third group comes whose table is the first one's */
TEST_F(kvm, real_mode_three_groups)
{
	PREPARE();
	furnish(self->c + 1, PHB3_OTHER);
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3_OTHER));
	EXPECT_WORKS(vfio_attach(self->c, PHB3_SAME));
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3_SAME));
	EXPECT_EQ(links_of(self->kvm, LIOBN), 3);
	EXPECT_WORKS(PUT(LIOBN, 0, GPA(1) | TCE_RW));
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, 0, 0));
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA(1) | TCE_RW, 0));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 3);
}

TEST_F(kvm, real_mode_splits_pages)
{
	int fd = create_table(self->kvm, 7, 21, 0, NR_TCES * P4 >> 21);
	int big = create_table(self->kvm, 8, 24, 0, NR_TCES * P4 >> 24);

	self->fds[1] = fd;
	self->fds[2] = big;
	self->nr_fds = 3;
	EXPECT_WORKS(attach(self->kvm, fd, PHB3));
	EXPECT_WORKS(attach(self->kvm, big, PHB3));
	EXPECT_WORKS(kvm_hcall(self->vcpu, KVM_VIRTUAL, H_PUT_TCE, 7, SZ_2M,
			       GPA_HUGE | TCE_RW, 0));
	EXPECT_WORKS(IN_REAL_MODE(H_STUFF_TCE, 7, SZ_2M, 0, 1));
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 1);
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, 7, SZ_2M, GPA_HUGE | TCE_RW, 0));
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 513);
	EXPECT_REACHES(PHB3, SZ_2M + 511 * P4 + 1, GPA_HUGE + 511 * P4 + 1);
	/* A page that ends behind its slot */
	kvm_set_slot(self->kvm, 3, BIT(40), UA(UA_HUGE), 8);
	EXPECT_FAILS(H_TOO_HARD, PUT(7, 2 * SZ_2M, BIT(40) | TCE_RW));
	/* Two of them are too many at once */
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_STUFF_TCE, 7, SZ_2M, 0, 2));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_STUFF_TCE, 8, 0, 0, 1));
	EXPECT_WORKS(IN_REAL_MODE(H_STUFF_TCE, 7, SZ_2M, 0, 1));
}

/*
 * The last count of a region is for virtual mode to give back: the TCE goes,
 * and the view says so until then.
 */
TEST_F(kvm, real_mode_leaves_the_last_count)
{
	struct host_region region;

	PREPARE();
	furnish(self->c + 1, PHB3_OTHER);
	EXPECT_WORKS(req_register(self->c + 1, UA(UA_MEDIUM), 16 * PG));
	write_list(self->kvm, GPA_LIST, GPA_STRANGE | TCE_RW, P4, 5);
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_LIST, 5));
	vfio_close(self->c + 1);
	CHECK();
	EXPECT_EQ(mapped_at(self->mm, UA(UA_MEDIUM)), 5);
	/* It is going, and may be mapped as long as it has not gone */
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 5 * P4, GPA_STRANGE | TCE_RW, 0));
	EXPECT_WORKS(IN_REAL_MODE(H_STUFF_TCE, LIOBN, 0, 0, 4));
	EXPECT_EQ(mapped_at(self->mm, UA(UA_MEDIUM)), 2);
	EXPECT_EQ(IN_REAL_MODE(H_STUFF_TCE, LIOBN, 0, 0, 8), H_TOO_HARD);
	EXPECT_FAULTS(PHB3, 4 * P4);
	EXPECT_FAULTS(PHB3, 5 * P4);
	/* The one that would take the region with it; no other */
	EXPECT_EQ(machine_shadow(window_of(self->c), 4), (UA(UA_MEDIUM) + 4 * P4) | HELD_RW);
	EXPECT_EQ(machine_shadow(window_of(self->c), 5), 0);
	EXPECT_EQ(mapped_at(self->mm, UA(UA_MEDIUM)), 1);
	/* Nothing can be mapped over what is held */
	EXPECT_EQ(IN_REAL_MODE(H_PUT_TCE, LIOBN, 4 * P4, GPA(1) | TCE_RW, 0), H_TOO_HARD);
	EXPECT_WORKS(kvm_hcall(self->vcpu, KVM_VIRTUAL, H_STUFF_TCE, LIOBN, 0, 0, 8));
	host_settle();
	EXPECT_FALSE(glue_region_at(self->mm, UA(UA_MEDIUM), &region));
	CHECK();
}

/* The same, with both modes together, and over the container's end */
TEST_F(kvm, last_count)
{
	struct host_region region;

	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	self->mirrored = true;
	furnish(self->c + 1, PHB3_OTHER);
	EXPECT_WORKS(req_register(self->c + 1, UA(UA_MEDIUM), 16 * PG));
	EXPECT_WORKS(PUT(LIOBN, 0, GPA_STRANGE | TCE_RW));
	EXPECT_WORKS(PUT(LIOBN, P4, GPA_STRANGE | TCE_RW));
	vfio_close(self->c + 1);
	CHECK();
	EXPECT_WORKS(PUT(LIOBN, 0, 0));
	EXPECT_WORKS(PUT(LIOBN, P4, GPA(1) | TCE_RW));
	host_settle();
	EXPECT_FALSE(glue_region_at(self->mm, UA(UA_MEDIUM), &region));
	EXPECT_FAILS(H_TOO_HARD, PUT(LIOBN, 0, GPA_STRANGE | TCE_RW));
}

static unsigned long raced_ua;
static long raced_unregister;

/* On another CPU, while this one is in real mode */
static void unregister_it(void)
{
	host_preempt_rm = NULL;
	raced_unregister = req_unregister(raced_container, raced_ua, 512 * PG);
}

/* Memory goes while real mode is about to map it, or to read a list from it */
TEST_F(kvm, real_mode_and_memory_that_goes)
{
	raced_container = self->c;
	PREPARE();
	write_list(self->kvm, GPA_HUGE, GPA(1) | TCE_RW, P4, 20);
	raced_ua = UA(UA_HUGE);
	host_preempt_rm = unregister_it;
	EXPECT_EQ(IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_HUGE, 20), H_TOO_HARD);
	EXPECT_EQ(host_preempt_rm, NULL);
	EXPECT_EQ(raced_unregister, 0);
	CHECK();
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 0);
}

TEST_F(kvm, real_mode_and_memory_that_would_go)
{
	long ret;

	raced_container = self->c;
	PREPARE();
	raced_ua = UA(UA_HUGE);
	host_preempt_rm = unregister_it;
	ret = IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA_HUGE | TCE_RW, 0);
	EXPECT_EQ(host_preempt_rm, NULL);
	/* It goes before there is a count, or not at all */
	if (ret)
		EXPECT_EQ(ret, H_TOO_HARD);
	EXPECT_EQ(raced_unregister, ret ? 0 : -EBUSY);
	CHECK();
}

/* Other memory comes to where real mode has just looked */
static void replace_memory(void)
{
	const unsigned long size = 512 * PG;

	if (locks_before--)
		return;
	host_preempt_rm = NULL;
	if (req_unregister(raced_container, UA(UA_HUGE), size))
		return;
	if (!req_unregister(raced_container + 1, UA(UA_HUGE), size)) {
		mm_remap(current->mm, UA_HUGE, 512);
		req_register(raced_container + 1, UA(UA_HUGE), size);
	}
	req_register(raced_container, UA(UA_HUGE), size);
}

TEST_F(kvm, real_mode_and_memory_that_is_replaced)
{
	int fd = create_table(self->kvm, 7, 16, WINDOW1 >> 16, 64), n;
	long ret;

	self->fds[1] = fd;
	self->nr_fds = 2;
	raced_container = self->c;
	furnish(self->c + 1, PHB3_OTHER);
	EXPECT_WORKS(req_register(self->c + 1, UA(UA_HUGE), 512 * PG));
	EXPECT_WORKS(req_create(self->c, 12, 64 * K64, 1, NULL));
	EXPECT_WORKS(req_create(self->c + 1, 16, 64 * K64, 1, NULL));
	/* The one with larger pages comes first */
	EXPECT_WORKS(attach(self->kvm, fd, PHB3));
	EXPECT_WORKS(attach(self->kvm, fd, PHB3_OTHER));
	for (n = 0; !host_preempt_rm; n++) {
		EXPECT_WORKS(STUFF(7, WINDOW1, 0, 64));
		EXPECT_WORKS(req_unregister(self->c, UA(UA_HUGE), 512 * PG));
		EXPECT_WORKS(req_unregister(self->c + 1, UA(UA_HUGE), 512 * PG));
		mm_unmap(self->mm, UA_HUGE, 512);
		mm_fill(self->mm, UA_HUGE, 512, ilog2(HOST_2M_PAGES));
		EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), 512 * PG));
		EXPECT_WORKS(req_register(self->c + 1, UA(UA_HUGE), 512 * PG));
		EXPECT_WORKS(kvm_hcall(self->vcpu, KVM_VIRTUAL, H_PUT_TCE, 7,
				       WINDOW1, GPA_HUGE | TCE_RW, 0));
		EXPECT_WORKS(STUFF(7, WINDOW1, 0, 1));
		locks_before = n;
		host_preempt_rm = replace_memory;
		ret = IN_REAL_MODE(H_PUT_TCE, 7, WINDOW1, GPA_HUGE | TCE_RW, 0);
		if (ret == H_SUCCESS) {
			EXPECT_REACHES(PHB3, WINDOW1, GPA_HUGE);
			EXPECT_REACHES(PHB3_OTHER, WINDOW1, GPA_HUGE);
		}
		CHECK();
	}
	host_preempt_rm = NULL;
	EXPECT_GT(n, 2);
}
