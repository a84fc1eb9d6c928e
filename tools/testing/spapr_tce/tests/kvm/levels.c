// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that maps and unmaps pages all over its window costs its process no more
 * than a few levels.
 */
#include "kvm-unit.h"

/* In two tables, of which one may have levels that the other lacks */
TEST_F(kvm, levels_go_before_the_limit)
{
	const unsigned long size = BIT(19);	/* paid for when it is made */
	unsigned long i, fails = 0, charged;

	EXPECT_WORKS(req_create(self->c, 16, size << 16, 3, NULL));
	vfio_attach(self->c + 1, PHB3_OTHER);
	vfio_set_iommu(self->c + 1, VFIO_SPAPR_TCE_v2_IOMMU);
	EXPECT_WORKS(req_create(self->c + 1, 16, size << 16, 2, NULL));
	self->fds[1] = create_table(self->kvm, 7, 16, WINDOW1 >> 16, size);
	self->nr_fds = 2;
	EXPECT_WORKS(attach(self->kvm, self->fds[1], PHB3));
	EXPECT_WORKS(attach(self->kvm, self->fds[1], PHB3_OTHER));
	self->mirrored = false;
	/* All over a page of a list, to reach into two leaves */
	write_list(self->kvm, GPA_LIST, GPA_HUGE | TCE_RW, K64, 16);
	charged = self->mm->locked_vm;
	self->mm->limit = charged + (MB >> PAGE_SHIFT);
	for (i = 0; i < size; i += 512) {
		fails += !!PUT(7, WINDOW1 + i * K64, GPA_HUGE | TCE_RW);
		fails += machine_dma(PHB3, WINDOW1 + i * K64, true) !=
			hpa_of(self->kvm, GPA_HUGE);
		fails += machine_dma(PHB3_OTHER, WINDOW1 + i * K64, true) !=
			hpa_of(self->kvm, GPA_HUGE);
		fails += !!STUFF(7, WINDOW1 + i * K64, 0, 1);
		if (i % 8192)
			continue;
		fails += !!LIST(7, WINDOW1 + (i + 500) * K64, GPA_LIST, 16);
		world_check();
		fails += !!STUFF(7, WINDOW1 + (i + 500) * K64, 0, 16);
	}
	EXPECT_EQ(fails, 0);
	/* In one request */
	EXPECT_WORKS(STUFF(7, WINDOW1, 0, size));
	EXPECT_EQ(kvm_hcall(self->vcpu, KVM_VIRTUAL, H_STUFF_TCE, 7, WINDOW1, 0,
			    size), 0);
	EXPECT_EQ(self->mm->locked_vm, charged);
	EXPECT_WORKS(LIST(7, WINDOW1 + 500 * K64, GPA_LIST, 16));
	EXPECT_REACHES(PHB3_OTHER, WINDOW1 + 515 * K64, GPA_HUGE + 15 * K64);
}
