// SPDX-License-Identifier: GPL-2.0-only
/* What is answered before the VCPU leaves its run loop, and what is not */
#include "kvm-unit.h"

#define EARLY(...)	kvm_hcall(self->vcpu, KVM_EARLY_ONLY, __VA_ARGS__)
#define FIRST_TRY(...)	kvm_hcall(self->vcpu, KVM_TRIED, __VA_ARGS__)

/* LIOBN 7 is for the bridge whose translations firmware kills */
static void prepare_for_firmware(struct __test_metadata *_metadata,
				 FIXTURE_DATA(kvm) * self)
{
	prepare_for_real_mode(self->kvm, self->vcpu, self->fds[0], PHB3);
	vfio_attach(self->c + 1, PHB4);
	vfio_set_iommu(self->c + 1, VFIO_SPAPR_TCE_v2_IOMMU);
	EXPECT_WORKS(req_create(self->c + 1, 12, NR_TCES * P4, 1, NULL));
	self->fds[1] = create_table(self->kvm, 7, 12, WINDOW1 >> 12, NR_TCES);
	self->nr_fds = 2;
	EXPECT_WORKS(attach(self->kvm, self->fds[1], PHB4));
}

TEST_F(kvm, early_by_firmware)
{
	prepare_for_firmware(_metadata, self);
	/* Levels are not for here */
	EXPECT_EQ(EARLY(H_PUT_TCE, 7, WINDOW1, GPA(1) | TCE_RW, 0), H_TOO_HARD);
	EXPECT_WORKS(PUT(7, WINDOW1, GPA(1) | TCE_RW));
	EXPECT_WORKS(EARLY(H_PUT_TCE, 7, WINDOW1 + P4, GPA(2) | TCE_RW, 0));
	EXPECT_REACHES(PHB4, WINDOW1 + P4, GPA(2));
	EXPECT_WORKS(EARLY(H_GET_TCE, 7, WINDOW1 + P4, 0, 0));
	EXPECT_EQ(self->vcpu->arch.gpr[4], GPA(2) | TCE_RW);
	EXPECT_WORKS(EARLY(H_STUFF_TCE, 7, WINDOW1, 0, 2));
	EXPECT_FAULTS(PHB4, WINDOW1);
	EXPECT_FAULTS(PHB4, WINDOW1 + P4);
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 1);
	write_list(self->kvm, GPA_LIST, GPA(3) | TCE_RW, P4, 20);
	EXPECT_WORKS(EARLY(H_PUT_TCE_INDIRECT, 7, WINDOW1 + 8 * P4, GPA_LIST, 20));
	EXPECT_REACHES(PHB4, WINDOW1 + 27 * P4, GPA(3) + 19 * P4);
	EXPECT_WORKS(EARLY(H_STUFF_TCE, 7, WINDOW1, 0, 512));
	EXPECT_FAULTS(PHB4, WINDOW1 + 27 * P4);
}

static unsigned int looks;
static bool irqs_were_on;

static void look_at_irqs(void)
{
	looks++;
	irqs_were_on |= !host_irqs_off;
}

/*
 * Virtual mode first tries without sleeping. Others spin until it has done with a TCE,
 * so no interrupt may come in between.
 */
TEST_F(kvm, tries_with_interrupts_off)
{
	prepare_for_firmware(_metadata, self);
	write_list(self->kvm, GPA_LIST, GPA(3) | TCE_RW, P4, 20);
	EXPECT_WORKS(FIRST_TRY(H_PUT_TCE_INDIRECT, 7, WINDOW1, GPA_LIST, 20));
	host_barrier = look_at_irqs;
	EXPECT_WORKS(FIRST_TRY(H_PUT_TCE, 7, WINDOW1, 0, 0));
	EXPECT_EQ(looks, 1);
	EXPECT_WORKS(FIRST_TRY(H_STUFF_TCE, 7, WINDOW1, 0, 20));
	EXPECT_EQ(looks, 2);
	EXPECT_WORKS(FIRST_TRY(H_PUT_TCE_INDIRECT, 7, WINDOW1, GPA_LIST, 20));
	EXPECT_EQ(looks, 3);
	host_barrier = NULL;
	EXPECT_FALSE(irqs_were_on);
}

/* Not for what a guest's user space says, nor in a transaction */
TEST_F(kvm, early_for_whom)
{
	unsigned long *enabled = self->kvm->arch.enabled_hcalls;

	PREPARE();
	self->vcpu->arch.shregs.msr = MSR_PR;
	EXPECT_EQ(EARLY(H_GET_TCE, LIOBN, 0, 0, 0), H_TOO_HARD);
	self->vcpu->arch.shregs.msr = BIT(33);
	EXPECT_EQ(EARLY(H_GET_TCE, LIOBN, 0, 0, 0), H_TOO_HARD);
	self->vcpu->arch.shregs.msr = 0;
	EXPECT_WORKS(EARLY(H_GET_TCE, LIOBN, 0, 0, 0));
	enabled[0] &= ~BIT(H_GET_TCE / 4);
	EXPECT_EQ(EARLY(H_GET_TCE, LIOBN, 0, 0, 0), H_TOO_HARD);
	enabled[0] = ~0UL;
	EXPECT_EQ(EARLY(H_PUT_TCE + 4, LIOBN, 0, 0, 0), H_TOO_HARD);
	host_tables_traced = true;
	EXPECT_EQ(EARLY(H_GET_TCE, LIOBN, 0, 0, 0), H_TOO_HARD);
	host_tables_traced = false;
	host_context_tracking = true;
	EXPECT_EQ(EARLY(H_GET_TCE, LIOBN, 0, 0, 0), H_TOO_HARD);
	host_context_tracking = false;
}

/* The region that was mapped last may have gone, and another may have come */
TEST_F(kvm, early_and_a_region_that_goes)
{
	struct host_container *c = self->c + 1;
	unsigned int i;

	PREPARE();
	furnish(c, PHB3_OTHER);
	for (i = 0; i < 3; i++) {
		EXPECT_WORKS(req_register(c, UA(UA_MEDIUM), (16 + i) * PG));
		EXPECT_WORKS(EARLY(H_PUT_TCE, LIOBN, 0, GPA_STRANGE | TCE_RW, 0));
		EXPECT_WORKS(EARLY(H_PUT_TCE, LIOBN, P4, GPA_STRANGE | TCE_RW, 0));
		EXPECT_EQ(mapped_at(self->mm, UA(UA_MEDIUM)), 3);
		EXPECT_WORKS(EARLY(H_STUFF_TCE, LIOBN, 0, 0, 2));
		EXPECT_WORKS(req_unregister(c, UA(UA_MEDIUM), (16 + i) * PG));
		host_settle();
		EXPECT_EQ(EARLY(H_PUT_TCE, LIOBN, 0, GPA_STRANGE | TCE_RW, 0),
			  H_TOO_HARD);
		CHECK();
	}
}

/* Each page of a list may be in another slot, and each slot anywhere */
TEST_F(kvm, list_of_slots)
{
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	kvm_set_slot(self->kvm, 3, BIT(40), UA(64), 2);
	write_list(self->kvm, GPA_LIST, GPA(5) | TCE_RW, 0, 8);
	write_one(self->kvm, GPA_LIST, 1, BIT(40) | TCE_RW);
	write_one(self->kvm, GPA_LIST, 2, (BIT(40) + PG) | TCE_RW);
	write_one(self->kvm, GPA_LIST, 4, (BIT(40) + PG) | TCE_RW);
	EXPECT_WORKS(LIST(LIOBN, 0, GPA_LIST, 8));
	/* The same again, now that all levels are there */
	EXPECT_WORKS(STUFF(LIOBN, 0, 0, 8));
	EXPECT_WORKS(LIST(LIOBN, 0, GPA_LIST, 8));
	EXPECT_REACHES(PHB3, 0, GPA(5));
	EXPECT_REACHES(PHB3, P4, BIT(40));
	EXPECT_REACHES(PHB3, 2 * P4, BIT(40) + PG);
	EXPECT_REACHES(PHB3, 3 * P4, GPA(5));
	EXPECT_REACHES(PHB3, 4 * P4, BIT(40) + PG);
	EXPECT_REACHES(PHB3, 7 * P4, GPA(5));
	EXPECT_WORKS(STUFF(LIOBN, 0, 0, 8));
	/* Behind the slot, and in none */
	write_one(self->kvm, GPA_LIST, 4, (BIT(40) + 2 * PG) | TCE_RW);
	EXPECT_EQ(LIST(LIOBN, 0, GPA_LIST, 8), H_TOO_HARD);
	CHECK();
}

/* A page of the guest that begins in a slot and does not end there */
TEST_F(kvm, page_behind_its_slot)
{
	const unsigned int shift = PAGE_SHIFT == 12 ? 16 : 21;
	const unsigned long size = BIT(shift);

	vfio_attach(self->c + 1, PHB4);
	EXPECT_WORKS(vfio_set_iommu(self->c + 1, VFIO_SPAPR_TCE_v2_IOMMU));
	EXPECT_WORKS(req_create(self->c + 1, shift, 16 * size, 1, NULL));
	self->fds[1] = create_table(self->kvm, 7, shift, WINDOW1 >> shift, 16);
	self->nr_fds = 2;
	EXPECT_WORKS(attach(self->kvm, self->fds[1], PHB4));
	self->mirrored = true;
	kvm_set_slot(self->kvm, 3, BIT(40), UA(UA_HUGE), 2 * size / PG - 1);
	EXPECT_WORKS(PUT(7, WINDOW1, BIT(40) | TCE_RW));
	EXPECT_REACHES(PHB4, WINDOW1, BIT(40));
	EXPECT_EQ(PUT(7, WINDOW1 + size, (BIT(40) + size) | TCE_RW), H_TOO_HARD);
	EXPECT_FAULTS(PHB4, WINDOW1 + size);
}

/* A list that starts, or ends, where there is no level, or where a table was */
TEST_F(kvm, list_without_levels)
{
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	write_list(self->kvm, GPA_LIST, GPA(1) | TCE_RW, 0, 8);
	EXPECT_WORKS(kvm_hcall(self->vcpu, KVM_VIRTUAL, H_PUT_TCE, LIOBN,
			       600 * P4, GPA(1) | TCE_RW, 0));
	EXPECT_EQ(IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 508 * P4, GPA_LIST, 8),
		  H_TOO_HARD);
	EXPECT_EQ(IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 1020 * P4, GPA_LIST, 8),
		  H_TOO_HARD);
	EXPECT_FAULTS(PHB3, 513 * P4);
	EXPECT_FAULTS(PHB3, 1021 * P4);
	EXPECT_EQ(IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 596 * P4, GPA_LIST, 8),
		  H_TOO_HARD);
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 601 * P4, GPA_LIST, 8));
	EXPECT_REACHES(PHB3, 608 * P4, GPA(1));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 1 + 9);
	EXPECT_WORKS(req_remove(self->c, 0));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 1);
	EXPECT_EQ(IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 700 * P4, GPA_LIST, 8),
		  H_TOO_HARD);
	EXPECT_EQ(IN_REAL_MODE(H_PUT_TCE, LIOBN, 710 * P4, GPA(1) | TCE_RW, 0),
		  H_TOO_HARD);
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 1);
}

/* Pins of version 1 are given back where one may sleep, and nothing before */
TEST_F(kvm, pins)
{
	struct host_container *c = self->c + 1;
	long pins = host_usage.pins;
	char arg[16] = { 0 };

	vfio_attach(c, PHB3_OTHER);
	EXPECT_WORKS(vfio_set_iommu(c, VFIO_SPAPR_TCE_IOMMU));
	EXPECT_WORKS(vfio_ioctl(c, VFIO_IOMMU_ENABLE, arg));
	EXPECT_WORKS(req_map(c, 0, UA(0), PG, RW));
	self->fds[1] = create_table(self->kvm, 7, 12, 0, SZ_1G / P4);
	self->nr_fds = 2;
	EXPECT_WORKS(attach(self->kvm, self->fds[1], PHB3_OTHER));
	EXPECT_EQ(IN_REAL_MODE(H_STUFF_TCE, 7, 0, 0, 1), H_TOO_HARD);
	EXPECT_EQ(IN_REAL_MODE(H_STUFF_TCE, 7, 0, 0, 2), H_TOO_HARD);
	EXPECT_EQ(EARLY(H_PUT_TCE, 7, 0, 0, 0), H_TOO_HARD);
	EXPECT_REACHES(PHB3_OTHER, 0, GPA(0));
	EXPECT_WORKS(STUFF(7, 0, 0, PG / P4));
	EXPECT_FAULTS(PHB3_OTHER, 0);
	EXPECT_EQ(host_usage.pins, pins);
}

/*
 * What has a page of the guest must have all of it, as one. These are for where
 * it may sleep: that has the answer.
 */

static void furnish_large(struct host_container *c, struct kvm *kvm, int *fd,
			  unsigned int shift)
{
	vfio_attach(c, PHB4);
	vfio_set_iommu(c, VFIO_SPAPR_TCE_v2_IOMMU);
	if (req_create(c, shift, 16UL << shift, 1, NULL))
		host_die("no window\n");
	*fd = create_table(kvm, 7, shift, WINDOW1 >> shift, 16);
	if (attach(kvm, *fd, PHB4))
		host_die("no table\n");
}

TEST_F(kvm, large_pages_and_regions)
{
	const unsigned int shift = PAGE_SHIFT == 12 ? 16 : 21;
	const unsigned long size = BIT(shift), per = size / PG;
	struct host_container *c = self->c + 1;

	furnish_large(c, self->kvm, self->fds + 1, shift);
	self->nr_fds = 2;
	write_list(self->kvm, GPA_LIST, GPA_HUGE | TCE_RW, size, 2);
	EXPECT_WORKS(LIST(7, WINDOW1, GPA_LIST, 2));
	EXPECT_WORKS(STUFF(7, WINDOW1, 0, 16));
	EXPECT_WORKS(EARLY(H_PUT_TCE_INDIRECT, 7, WINDOW1, GPA_LIST, 2));
	EXPECT_REACHES(PHB4, WINDOW1 + size, GPA_HUGE + size);
	EXPECT_WORKS(EARLY(H_STUFF_TCE, 7, WINDOW1, 0, 2));
	/* Pages of the system, here and there */
	EXPECT_EQ(EARLY(H_PUT_TCE, 7, WINDOW1, TCE_RW, 0), H_TOO_HARD);
	write_list(self->kvm, GPA_LIST, TCE_RW, 0, 2);
	EXPECT_EQ(EARLY(H_PUT_TCE_INDIRECT, 7, WINDOW1, GPA_LIST, 2), H_TOO_HARD);
	EXPECT_FAULTS(PHB4, WINDOW1);
	write_list(self->kvm, GPA_LIST, GPA_HUGE | TCE_RW, size, 2);
	/* A page and a half */
	EXPECT_WORKS(req_unregister(self->c, UA(UA_HUGE), 512 * PG));
	EXPECT_WORKS(req_register(c, UA(UA_HUGE), (per + per / 2) * PG));
	EXPECT_WORKS(EARLY(H_PUT_TCE, 7, WINDOW1, GPA_HUGE | TCE_RW, 0));
	EXPECT_WORKS(EARLY(H_PUT_TCE, 7, WINDOW1, 0, 0));
	EXPECT_EQ(EARLY(H_PUT_TCE, 7, WINDOW1, (GPA_HUGE + size) | TCE_RW, 0),
		  H_TOO_HARD);
	EXPECT_EQ(EARLY(H_PUT_TCE_INDIRECT, 7, WINDOW1, GPA_LIST, 2), H_TOO_HARD);
	EXPECT_FAULTS(PHB4, WINDOW1);
	EXPECT_FAULTS(PHB4, WINDOW1 + size);
	EXPECT_WORKS(req_unregister(c, UA(UA_HUGE), (per + per / 2) * PG));
	/* Half a page */
	EXPECT_WORKS(req_register(c, UA(UA_HUGE), per / 2 * PG));
	EXPECT_EQ(EARLY(H_PUT_TCE, 7, WINDOW1, GPA_HUGE | TCE_RW, 0), H_TOO_HARD);
	EXPECT_EQ(EARLY(H_PUT_TCE_INDIRECT, 7, WINDOW1, GPA_LIST, 1), H_TOO_HARD);
	EXPECT_WORKS(req_unregister(c, UA(UA_HUGE), per / 2 * PG));
	/* All but the first half */
	EXPECT_WORKS(req_register(c, UA(UA_HUGE + per / 2), 2 * per * PG));
	write_list(self->kvm, GPA_LIST, (GPA_HUGE + size) | TCE_RW, -size, 2);
	EXPECT_EQ(EARLY(H_PUT_TCE_INDIRECT, 7, WINDOW1, GPA_LIST, 2), H_TOO_HARD);
	EXPECT_FAULTS(PHB4, WINDOW1);
	/* As the guest has aligned it, and not the process */
	kvm_set_slot(self->kvm, 3, BIT(40), UA(UA_HUGE + per - 1), per);
	EXPECT_EQ(EARLY(H_PUT_TCE, 7, WINDOW1, BIT(40) | TCE_RW, 0), H_TOO_HARD);
	write_list(self->kvm, GPA_LIST, BIT(40) | TCE_RW, 0, 2);
	EXPECT_EQ(EARLY(H_PUT_TCE_INDIRECT, 7, WINDOW1, GPA_LIST, 2), H_TOO_HARD);
	EXPECT_FAULTS(PHB4, WINDOW1);
}

/* A list goes to and fro between blocks of granules */
TEST_F(kvm, list_of_blocks)
{
	unsigned int i;

	PREPARE();
	for (i = 0; i < 64; i++)
		write_one(self->kvm, GPA_LIST, i, GPA(i * 9 % 32) | TCE_RW);
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_LIST, 64));
	for (i = 0; i < 64; i++)
		EXPECT_REACHES(PHB3, i * P4, GPA(i * 9 % 32));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 1 + 64);
	EXPECT_WORKS(IN_REAL_MODE(H_STUFF_TCE, LIOBN, 0, 0, 64));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 1);
}

/* The same for pages that are several granules, or of which there are several */
TEST_F(kvm, medium_pages_and_regions)
{
	const unsigned int shift = PAGE_SHIFT + 4;
	const unsigned long size = BIT(shift), at = GPA_STRANGE;
	struct host_container *c = self->c + 1;
	struct {
		unsigned long first, nr;
		u64 tces[2];
	} cases[] = {
		/* before the region, behind it, in several places */
		{ 8, 40, { at + size, at } },
		{ 0, 24, { at, at + size } },
		{ 0, 16, { at, 0 } },
		/* not as the process has it */
		{ 0, 48, { BIT(40), BIT(40) } },
	};
	unsigned int i;

	vfio_attach(c, PHB4);
	vfio_set_iommu(c, VFIO_SPAPR_TCE_v2_IOMMU);
	EXPECT_WORKS(req_create(c, PAGE_SHIFT, 16 * size, 1, NULL));
	self->fds[1] = create_table(self->kvm, 7, shift, WINDOW1 >> shift, 16);
	self->nr_fds = 2;
	EXPECT_WORKS(attach(self->kvm, self->fds[1], PHB4));
	kvm_set_slot(self->kvm, 3, BIT(40), UA(UA_MEDIUM + 8), 32);
	EXPECT_WORKS(req_register(c, UA(UA_MEDIUM), 48 * PG));
	write_list(self->kvm, GPA_LIST, at | TCE_RW, size, 2);
	EXPECT_WORKS(LIST(7, WINDOW1, GPA_LIST, 2));
	EXPECT_WORKS(STUFF(7, WINDOW1, 0, 16));
	EXPECT_WORKS(EARLY(H_PUT_TCE_INDIRECT, 7, WINDOW1, GPA_LIST, 2));
	EXPECT_REACHES(PHB4, WINDOW1 + size, at + size);
	EXPECT_WORKS(EARLY(H_STUFF_TCE, 7, WINDOW1, 0, 2));
	EXPECT_WORKS(req_unregister(c, UA(UA_MEDIUM), 48 * PG));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		EXPECT_WORKS(req_register(c, UA(UA_MEDIUM + cases[i].first),
					  cases[i].nr * PG));
		write_one(self->kvm, GPA_LIST, 0, cases[i].tces[0] | TCE_RW);
		write_one(self->kvm, GPA_LIST, 1, cases[i].tces[1] | TCE_RW);
		EXPECT_EQ(EARLY(H_PUT_TCE_INDIRECT, 7, WINDOW1, GPA_LIST, 2),
			  H_TOO_HARD);
		EXPECT_WORKS(req_unregister(c, UA(UA_MEDIUM + cases[i].first),
					    cases[i].nr * PG));
	}
	/* Small pages that fill a block */
	write_list(self->kvm, GPA_LIST, TCE_RW, size, 2);
	EXPECT_EQ(EARLY(H_PUT_TCE_INDIRECT, 7, WINDOW1, GPA_LIST, 2), H_TOO_HARD);
	EXPECT_FAULTS(PHB4, WINDOW1);
}
