// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hypercalls, good and bad, with one hardware table.
 */
#include "kvm-unit.h"

TEST_F(kvm, put)
{
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	self->mirrored = true;
	EXPECT_WORKS(PUT(LIOBN, 0, GPA(1) | TCE_RW));
	EXPECT_WORKS(PUT(LIOBN, P4, GPA(1) | TCE_PCI_READ));
	EXPECT_WORKS(PUT(LIOBN, 2 * P4, GPA(1) | TCE_PCI_WRITE));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 4);
	EXPECT_EQ(machine_dma(PHB3, P4, true), -EFAULT);
	EXPECT_REACHES(PHB3, 2 * P4, GPA(1));
	EXPECT_EQ(GET(LIOBN, 2 * P4), GPA(1) | TCE_PCI_WRITE);
	/* Over what is mapped, of the same and of another region */
	EXPECT_WORKS(PUT(LIOBN, P4, GPA(2) | TCE_RW));
	EXPECT_WORKS(PUT(LIOBN, P4, (GPA_HUGE + P4) | TCE_RW));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 3);
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 2);
	EXPECT_REACHES(PHB3, P4 + 5, GPA_HUGE + P4 + 5);
	EXPECT_EQ(req_unregister(self->c, UA(UA_HUGE), 512 * PG), -EBUSY);
	/* Away with it */
	EXPECT_WORKS(PUT(LIOBN, P4, 0));
	EXPECT_FAULTS(PHB3, P4);
	EXPECT_EQ(GET(LIOBN, P4), 0);
	EXPECT_WORKS(PUT(LIOBN, 0, 0xabc000));
	EXPECT_EQ(GET(LIOBN, 0), 0xabc000);
	EXPECT_FAULTS(PHB3, 0);
	EXPECT_WORKS(req_unregister(self->c, UA(UA_HUGE), 512 * PG));
	EXPECT_WORKS(PUT(LIOBN, (NR_TCES - 1) * P4, GPA(4) | TCE_RW));
	EXPECT_REACHES(PHB3, (NR_TCES - 1) * P4, GPA(4));
}

TEST_F(kvm, put_marks_dirty)
{
	struct page *page = self->mm->pte[3].page;

	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	EXPECT_WORKS(PUT(LIOBN, 0, GPA(3) | TCE_PCI_READ));
	EXPECT_WORKS(PUT(LIOBN, 0, 0));
	EXPECT_WORKS(req_unregister(self->c, UA(0), 256 * PG));
	EXPECT_FALSE(page->dirty);
	EXPECT_WORKS(req_register(self->c, UA(0), 256 * PG));
	EXPECT_WORKS(PUT(LIOBN, 0, GPA(3) | TCE_PCI_WRITE));
	EXPECT_WORKS(PUT(LIOBN, 0, 0));
	EXPECT_WORKS(req_unregister(self->c, UA(0), 256 * PG));
	EXPECT_TRUE(page->dirty);
}

/* Arguments are judged in the same way, with a group and without one */
TEST_F(kvm, malformed)
{
	const unsigned long end = NR_TCES * P4, list = GPA_LIST;
	int attached;

	write_list(self->kvm, list, GPA(1) | TCE_RW, P4, 512);
	self->fds[1] = create_table(self->kvm, 7, 12, 16, 16);
	self->nr_fds = 2;
	for (attached = 0; attached < 2; attached++) {
		/* No such table */
		EXPECT_FAILS(H_TOO_HARD, PUT(LIOBN + 1, 0, GPA(1) | TCE_RW));
		EXPECT_FAILS(H_TOO_HARD, LIST(LIOBN + 1, 0, list, 1));
		EXPECT_FAILS(H_TOO_HARD, STUFF(LIOBN + 1, 0, 0, 1));
		EXPECT_FAILS(H_TOO_HARD, HCALL(H_GET_TCE, LIOBN + 1, 0, 0, 0));
		EXPECT_FAILS(H_TOO_HARD, HCALL(H_GET_TCE, LIOBN | BIT(40), 0, 0, 0));
		/* Not in the window */
		EXPECT_FAILS(H_PARAMETER, PUT(LIOBN, 1, GPA(1) | TCE_RW));
		EXPECT_FAILS(H_PARAMETER, PUT(LIOBN, P4 / 2, GPA(1) | TCE_RW));
		EXPECT_FAILS(H_PARAMETER, PUT(LIOBN, end, GPA(1) | TCE_RW));
		EXPECT_FAILS(H_PARAMETER, PUT(LIOBN, ~0xfffUL, GPA(1) | TCE_RW));
		EXPECT_FAILS(H_PARAMETER, PUT(7, 15 * P4, GPA(1) | TCE_RW));
		EXPECT_FAILS(H_PARAMETER, PUT(7, 32 * P4, GPA(1) | TCE_RW));
		EXPECT_FAILS(H_PARAMETER, LIST(LIOBN, 8, list, 1));
		EXPECT_FAILS(H_PARAMETER, LIST(LIOBN, end - P4, list, 2));
		EXPECT_FAILS(H_PARAMETER, LIST(7, 24 * P4, list, 9));
		EXPECT_FAILS(H_PARAMETER, STUFF(LIOBN, 8, 0, 1));
		EXPECT_FAILS(H_PARAMETER, STUFF(LIOBN, end - P4, 0, 2));
		EXPECT_FAILS(H_PARAMETER, STUFF(LIOBN, 0, 0, ~0UL));
		EXPECT_FAILS(H_PARAMETER, STUFF(LIOBN, P4, 0, ~0UL));
		EXPECT_FAILS(H_PARAMETER, STUFF(7, 16 * P4, 0, -16UL));
		EXPECT_FAILS(H_PARAMETER, HCALL(H_GET_TCE, LIOBN, 8, 0, 0));
		EXPECT_FAILS(H_PARAMETER, HCALL(H_GET_TCE, LIOBN, end, 0, 0));
		/* Not a list */
		EXPECT_FAILS(H_PARAMETER, LIST(LIOBN, 0, list, 513));
		EXPECT_FAILS(H_PARAMETER, LIST(LIOBN, 0, list, ~0UL));
		EXPECT_FAILS(H_PARAMETER, LIST(LIOBN, 0, list + 8, 1));
		EXPECT_FAILS(H_PARAMETER, LIST(LIOBN, 0, GPA_NOTHING, 1));
		EXPECT_FAILS(H_TOO_HARD, LIST(LIOBN, 0, GPA_INVALID, 1));
		/* Not to be stuffed */
		EXPECT_FAILS(H_PARAMETER, STUFF(LIOBN, 0, GPA(1) | TCE_PCI_READ, 1));
		EXPECT_FAILS(H_PARAMETER, STUFF(LIOBN, 0, TCE_PCI_WRITE, 1));
		/* Reserved bits */
		EXPECT_FAILS(H_TOO_HARD, PUT(LIOBN, 0, (GPA(1) + 0x800) | TCE_RW));
		EXPECT_FAILS(H_TOO_HARD, PUT(LIOBN, 0, (GPA(1) + 4) | TCE_RW));
		/* Nowhere */
		EXPECT_FAILS(H_TOO_HARD, PUT(LIOBN, 0, GPA_NOTHING | TCE_RW));
		EXPECT_FAILS(H_TOO_HARD, PUT(LIOBN, 0, GPA_INVALID | TCE_RW));
		EXPECT_FAILS(H_TOO_HARD, PUT(LIOBN, 0, BIT(62) | TCE_RW));
		/* Nothing to do */
		EXPECT_FAILS(H_SUCCESS, LIST(LIOBN, 0, list, 0));
		EXPECT_FAILS(H_SUCCESS, STUFF(LIOBN, 0, 0, 0));
		EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	}
	/* Behind a group it must be registered */
	EXPECT_FAILS(H_TOO_HARD, PUT(LIOBN, 0, GPA_STRANGE | TCE_RW));
	release(self->kvm, PHB3);
	EXPECT_WORKS(PUT(LIOBN, 0, GPA_STRANGE | TCE_RW));
}

/* A list goes through as a whole or not at all */
TEST_F(kvm, list)
{
	static const struct {
		u64 tce;
		long answer;
	} wrong[] = {
		{ GPA_NOTHING | TCE_RW, H_TOO_HARD },
		{ GPA_STRANGE | TCE_RW, H_TOO_HARD },
		{ 0x801 | TCE_RW, H_TOO_HARD },
	};
	static const unsigned int places[] = { 0, 1, 255, 511 };
	unsigned int i, k;

	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	self->mirrored = true;
	write_list(self->kvm, GPA_LIST, GPA_HUGE | TCE_RW, P4, 512);
	EXPECT_WORKS(LIST(LIOBN, 8 * P4, GPA_LIST, 512));
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 513);
	EXPECT_EQ(GET(LIOBN, (8 + 511) * P4), (GPA_HUGE + 511 * P4) | TCE_RW);
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		for (k = 0; k < ARRAY_SIZE(places); k++) {
			write_list(self->kvm, GPA_LIST, GPA(2) | TCE_RW, P4, 512);
			write_one(self->kvm, GPA_LIST, places[k], wrong[i].tce);
			EXPECT_FAILS(wrong[i].answer,
				     LIST(LIOBN, 100 * P4, GPA_LIST, 512));
		}
	}
	/* Over what is there, with gaps, backwards, of two regions, one often */
	write_list(self->kvm, GPA_LIST, GPA(255) | TCE_RW, -P4, 64);
	write_list(self->kvm, GPA_LIST + 64 * 8, GPA(256) | TCE_PCI_READ, P4, 64);
	write_list(self->kvm, GPA_LIST + 128 * 8, 0, 0, 10);
	write_list(self->kvm, GPA_LIST + 138 * 8, GPA(7) | TCE_RW, 0, 10);
	write_list(self->kvm, GPA_LIST + 148 * 8, GPA(254) | TCE_RW, P4,
		   3 * PG / P4);
	EXPECT_WORKS(LIST(LIOBN, 200 * P4, GPA_LIST, 148 + 3 * PG / P4));
	EXPECT_FAULTS(PHB3, (200 + 128) * P4);
	EXPECT_WORKS(LIST(LIOBN, 3000 * P4, GPA_LIST, 148));
	EXPECT_WORKS(STUFF(LIOBN, 0, 0, NR_TCES));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 1);
	EXPECT_EQ(mapped_at(self->mm, UA(256)), 1);
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 1);
}

/* The list may be anywhere in the guest's memory */
TEST_F(kvm, list_of_strange_memory)
{
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	self->mirrored = true;
	write_list(self->kvm, GPA_STRANGE + PG - P4, GPA(2) | TCE_RW, P4, 512);
	EXPECT_WORKS(LIST(LIOBN, 0, GPA_STRANGE + PG - P4, 512));
	/* ... but must be there */
	mm_unmap(self->mm, UA_MEDIUM, 1);
	EXPECT_FAILS(H_TOO_HARD, LIST(LIOBN, 0, GPA_STRANGE, 4));
}

static struct kvm *list_owner;

/* The guest changes what was just read */
static void change_list(void)
{
	write_list(list_owner, GPA_LIST, GPA_NOTHING | TCE_RW, 0, 64);
}

TEST_F(kvm, list_is_read_once)
{
	list_owner = self->kvm;
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	self->mirrored = true;
	write_list(self->kvm, GPA_LIST, GPA(2) | TCE_RW, P4, 64);
	host_copied = change_list;
	EXPECT_WORKS(kvm_hcall(self->vcpu, KVM_VIRTUAL, H_PUT_TCE_INDIRECT,
			       LIOBN, 0, GPA_LIST, 64));
	EXPECT_EQ(GET(LIOBN, 63 * P4), (GPA(2) + 63 * P4) | TCE_RW);
	host_copied = NULL;
	/* Real mode and virtual mode each read what is there then */
	EXPECT_WORKS(STUFF(LIOBN, 0, 0, 64));
	write_list(self->kvm, GPA_LIST, GPA(2) | TCE_RW, P4, 64);
	host_preempt_rm = change_list;
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_LIST, 64));
	host_preempt_rm = NULL;
}

TEST_F(kvm, stuff)
{
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	self->mirrored = true;
	write_list(self->kvm, GPA_LIST, GPA_HUGE | TCE_RW, P4, 512);
	EXPECT_WORKS(LIST(LIOBN, 0, GPA_LIST, 512));
	EXPECT_WORKS(LIST(LIOBN, 1000 * P4, GPA_LIST, 512));
	EXPECT_WORKS(STUFF(LIOBN, 100 * P4, 0xfff000, 300));
	EXPECT_REACHES(PHB3, 99 * P4, GPA_HUGE + 99 * P4);
	EXPECT_FAULTS(PHB3, 100 * P4);
	EXPECT_EQ(GET(LIOBN, 100 * P4), 0xfff000);
	EXPECT_EQ(GET(LIOBN, 399 * P4), 0xfff000);
	EXPECT_EQ(GET(LIOBN, 400 * P4), (GPA_HUGE + 400 * P4) | TCE_RW);
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 1 + 1024 - 300);
	/* More than real mode does at once */
	EXPECT_WORKS(STUFF(LIOBN, 0, 0, NR_TCES));
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 1);
	EXPECT_WORKS(STUFF(LIOBN, 3000 * P4, 8, NR_TCES - 3000));
	EXPECT_EQ(GET(LIOBN, (NR_TCES - 1) * P4), 8);
}

/* Where a list fails that goes from one region to the next, only registrations count */
TEST_F(kvm, list_fails_behind_two_regions)
{
	write_one(self->kvm, GPA_LIST, 0, (GPA_REGION_2 - P4) | TCE_RW);
	write_one(self->kvm, GPA_LIST, 1, GPA_REGION_2 | TCE_RW);
	write_one(self->kvm, GPA_LIST, 2, GPA_STRANGE | TCE_RW);
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	EXPECT_FAILS(H_TOO_HARD, LIST(LIOBN, 0, GPA_LIST, 3));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 1);
	EXPECT_EQ(mapped_at(self->mm, UA(UA_CONTIGUOUS)), 1);
}

/* Each page of a list is looked at, in a region that does not back all of them */
TEST_F(kvm, list_of_a_mixed_region)
{
	const unsigned long at = WINDOW1 + (1UL << 36);

	EXPECT_WORKS(req_unregister(self->c, UA(UA_CONTIGUOUS), 256 * PG));
	EXPECT_WORKS(req_unregister(self->c, UA(UA_HUGE), 512 * PG));
	EXPECT_WORKS(req_register(self->c, UA(UA_CONTIGUOUS), 768 * PG));
	EXPECT_WORKS(req_create(self->c, 16, 1UL << 40, 3, NULL));
	self->fds[1] = create_table(self->kvm, 7, 16, WINDOW1 >> 16, 1UL << 24);
	self->nr_fds = 2;
	EXPECT_WORKS(attach(self->kvm, self->fds[1], PHB3));
	write_list(self->kvm, GPA_LIST, GPA_HUGE | TCE_RW, K64, 16);
	EXPECT_WORKS(LIST(7, at, GPA_LIST, 16));
	EXPECT_REACHES(PHB3, at + 15 * K64, GPA_HUGE + 15 * K64);
	/* The last one is of single pages */
	write_one(self->kvm, GPA_LIST, 15, GPA_REGION_2 | TCE_RW);
	if (PAGE_SHIFT == 12)
		EXPECT_FAILS(H_PARAMETER, LIST(7, at + (1UL << 32), GPA_LIST, 16));
	else
		EXPECT_WORKS(LIST(7, at + (1UL << 32), GPA_LIST, 16));
}

static unsigned long rescheds;

static void count_resched(void)
{
	rescheds++;
}

/* What counts is how many TCEs the hardware has, not how many the guest has */
TEST_F(kvm, clear_split_pages_in_parts)
{
	const unsigned long size = 1UL << 40;

	EXPECT_WORKS(req_create(self->c, 12, size, 3, NULL));
	self->fds[1] = create_table(self->kvm, 7, 16, WINDOW1 >> 16, size >> 16);
	self->nr_fds = 2;
	EXPECT_WORKS(attach(self->kvm, self->fds[1], PHB3));
	host_resched = count_resched;
	EXPECT_WORKS(kvm_hcall(self->vcpu, KVM_VIRTUAL, H_STUFF_TCE, 7, WINDOW1, 0,
			       size >> 16));
	host_resched = NULL;
	EXPECT_GE(rescheds, (size >> 12 >> 20) - 1);
}

/* ... and so it does for a list, whose pages are referenced in parts as well */
static struct mm_struct *referenced_mm;
static unsigned long partly;

static void count_parts(void)
{
	unsigned long refs = mapped_at(referenced_mm, UA(UA_HUGE)) - 1;

	partly += refs && refs < 512UL * 512;
}

TEST_F(kvm, map_split_pages_in_parts)
{
	EXPECT_WORKS(req_create(self->c, 12, SZ_1G, 1, NULL));
	self->fds[1] = create_table(self->kvm, 7, 21, WINDOW1 >> 21, 512);
	self->nr_fds = 2;
	EXPECT_WORKS(attach(self->kvm, self->fds[1], PHB3));
	write_list(self->kvm, GPA_LIST, GPA_HUGE | TCE_RW, 0, 512);
	referenced_mm = self->mm;
	partly = 0;
	host_resched = count_parts;
	EXPECT_WORKS(LIST(7, WINDOW1, GPA_LIST, 512));
	host_resched = NULL;
	EXPECT_EQ(partly, 3);
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 1 + 512 * 512);
	EXPECT_REACHES(PHB3, WINDOW1 + 511UL * SZ_2M + 511 * P4, GPA_HUGE + 511 * P4);
	/* One of the last part is bad: the other parts are given back */
	write_one(self->kvm, GPA_LIST, 511, (GPA_HUGE + P4) | TCE_RW);
	EXPECT_FAILS(H_TOO_HARD, LIST(7, WINDOW1, GPA_LIST, 512));
	EXPECT_WORKS(STUFF(7, WINDOW1, 0, 512));
}

/* To clear what is not there takes no memory */
TEST_F(kvm, clear_nothing)
{
	long levels;

	EXPECT_WORKS(req_create(self->c, 16, 1UL << 40, 3, NULL));
	self->fds[1] = create_table(self->kvm, 7, 16, WINDOW1 >> 16, 1UL << 24);
	self->nr_fds = 2;
	EXPECT_WORKS(attach(self->kvm, self->fds[1], PHB3));
	levels = host_usage.level_bytes;
	EXPECT_WORKS(STUFF(7, WINDOW1, 0, 1UL << 24));
	EXPECT_WORKS(STUFF(7, WINDOW1 + K64, 0, 5));
	EXPECT_WORKS(PUT(7, WINDOW1 + 7 * K64, 0));
	EXPECT_EQ(GET(7, WINDOW1 + 9 * K64), 0);
	EXPECT_EQ(host_usage.level_bytes, levels);
}

/* A page of the guest may be several of the bridge's */
TEST_F(kvm, split_pages)
{
	struct page *page = self->mm->pte[UA_HUGE].page;

	self->fds[1] = create_table(self->kvm, 7, BIG_SHIFT, 0,
				    NR_TCES * P4 >> BIG_SHIFT);
	self->nr_fds = 2;
	EXPECT_WORKS(attach(self->kvm, self->fds[1], PHB3));
	self->mirrored = true;
	EXPECT_WORKS(PUT(7, K64, (GPA_HUGE + K64) | TCE_RW));
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 17);
	EXPECT_REACHES(PHB3, K64 + 15 * P4 + 9, GPA_HUGE + K64 + 15 * P4 + 9);
	/* Scattered memory serves as well: each part is translated */
	EXPECT_WORKS(PUT(7, 2 * K64, GPA(16) | TCE_RW));
	EXPECT_REACHES(PHB3, 2 * K64 + 15 * P4, GPA(16) + 15 * P4);
	write_list(self->kvm, GPA_LIST, (GPA_HUGE + K64) | TCE_RW, K64, 30);
	write_one(self->kvm, GPA_LIST, 17, 0);
	EXPECT_WORKS(LIST(7, 4 * K64, GPA_LIST, 20));
	EXPECT_WORKS(LIST(7, 40 * K64, GPA_LIST, 30));
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 1 + 16 + 19 * 16 + 29 * 16);
	EXPECT_WORKS(STUFF(7, 4 * K64, 0x10000, 3));
	EXPECT_FAULTS(PHB3, 6 * K64 + 15 * P4);
	EXPECT_REACHES(PHB3, 7 * K64, GPA_HUGE + 4 * K64);
	EXPECT_FAILS(H_TOO_HARD, PUT(7, K64, (GPA_HUGE + P4) | TCE_RW));
	EXPECT_FAILS(H_PARAMETER, PUT(7, P4, GPA_HUGE | TCE_RW));
	/* The last page of a region that ends in the middle of one of 64K */
	EXPECT_WORKS(STUFF(7, 0, 0, 256));
	EXPECT_WORKS(req_unregister(self->c, UA(0), 256 * PG));
	EXPECT_WORKS(req_register(self->c, UA(0), 17 * PG));
	if (PAGE_SHIFT == 12)
		EXPECT_FAILS(H_TOO_HARD, PUT(7, K64, GPA(16) | TCE_RW));
	EXPECT_FALSE(page->dirty);
}

/* A page of the bridge must be backed by one as large */
TEST_F(kvm, page_larger_than_its_backing)
{
	unsigned int shift = PAGE_SHIFT + 4;

	EXPECT_WORKS(vfio_attach(self->c + 1, PHB4));
	EXPECT_WORKS(vfio_set_iommu(self->c + 1, VFIO_SPAPR_TCE_v2_IOMMU));
	shift = PAGE_SHIFT == 12 ? 16 : 21;
	EXPECT_WORKS(req_create(self->c + 1, shift, 1UL << 32, 1, NULL));
	self->fds[1] = create_table(self->kvm, 7, shift, WINDOW1 >> shift, 16);
	self->nr_fds = 2;
	EXPECT_WORKS(attach(self->kvm, self->fds[1], PHB4));
	self->mirrored = true;
	EXPECT_FAILS(H_PARAMETER, PUT(7, WINDOW1, TCE_RW));
	EXPECT_FAILS(H_PARAMETER, PUT(7, WINDOW1, GPA_REGION_2 | TCE_RW));
	EXPECT_WORKS(PUT(7, WINDOW1, GPA_HUGE | TCE_RW));
	EXPECT_REACHES(PHB4, WINDOW1 + 5 * P4, GPA_HUGE + 5 * P4);
	/* The guest's address may be aligned and the process's not */
	kvm_set_slot(self->kvm, 3, BIT(40), UA(UA_HUGE + 1), 64);
	EXPECT_FAILS(H_PARAMETER, PUT(7, WINDOW1, BIT(40) | TCE_RW));
}
