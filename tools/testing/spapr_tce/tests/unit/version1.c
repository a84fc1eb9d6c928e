// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO_SPAPR_TCE_IOMMU, and EEH.
 */
#include "unit.h"

TEST_F(world, version1)
{
	struct host_container *c = version1(self->c);
	char arg[16] = { 0 };
	unsigned long i;

	EXPECT_FAILS(-EPERM, req_map(c, 0, UA(0), PG, RW));
	EXPECT_WORKS(vfio_ioctl(c, VFIO_IOMMU_DISABLE, arg));
	EXPECT_WORKS(vfio_ioctl(c, VFIO_IOMMU_ENABLE, arg));
	EXPECT_FAILS(-EBUSY, vfio_ioctl(c, VFIO_IOMMU_ENABLE, arg));
	EXPECT_EQ(self->mm->locked_vm, SZ_1G >> PAGE_SHIFT);
	EXPECT_WORKS(req_map(c, 0, UA(0), 64 * PG, RW));
	for (i = 0; i < 64; i++)
		EXPECT_REACHES(host_pes + 2, i * PG + PG - 5, UA(i) + PG - 5);
	EXPECT_WORKS(req_map(c, 8 * PG, UA(100), 4 * PG, VFIO_DMA_MAP_FLAG_READ));
	EXPECT_REACHES(host_pes + 2, 9 * PG, UA(101));
	EXPECT_EQ(machine_dma(host_pes + 2, 9 * PG, true), -EFAULT);
	/* Read-only memory may be read */
	EXPECT_FAILS(-EFAULT, req_map(c, 0, UA(UA_HOLES), 8 * PG, RW));
	EXPECT_WORKS(req_map(c, 0, UA(UA_HOLES), 8 * PG, VFIO_DMA_MAP_FLAG_READ));
	EXPECT_FAILS(-EFAULT, req_map(c, 0, UA(UA_HOLES), 16 * PG, RW));
	EXPECT_FAILS(-EINVAL, req_map(c, SZ_1G - PG, UA(0), 2 * PG, RW));
	EXPECT_WORKS(req_unmap(c, 4 * PG, PG));
	EXPECT_WORKS(vfio_ioctl(c, VFIO_IOMMU_DISABLE, arg));
	EXPECT_FAULTS(host_pes + 2, 0);
	EXPECT_EQ(host_usage.pins, 0);
	EXPECT_FAILS(-EPERM, req_map(c, 0, UA(0), PG, RW));
	EXPECT_WORKS(vfio_ioctl(c, VFIO_IOMMU_ENABLE, arg));
	EXPECT_WORKS(req_map(c, 0, UA(0), PG, RW));
}

TEST_F(world, version1_dirty)
{
	struct host_container *c = version1(self->c);
	struct page *page = self->mm->pte[0].page;
	char arg[16] = { 0 };

	EXPECT_WORKS(vfio_ioctl(c, VFIO_IOMMU_ENABLE, arg));
	EXPECT_WORKS(req_map(c, 0, UA(0), PG, VFIO_DMA_MAP_FLAG_READ));
	EXPECT_WORKS(req_unmap(c, 0, PG));
	EXPECT_FALSE(page->dirty);
	EXPECT_WORKS(req_map(c, 0, UA(0), PG, VFIO_DMA_MAP_FLAG_WRITE));
	EXPECT_REACHES(host_pes + 2, 0, UA(0));
	EXPECT_WORKS(req_unmap(c, 0, PG));
	EXPECT_TRUE(page->dirty);
}

TEST_F(world, version1_limit)
{
	struct host_container *c = version1(self->c);
	char arg[16] = { 0 };

	self->mm->limit = (SZ_1G >> PAGE_SHIFT) - 1;
	EXPECT_FAILS(-ENOMEM, vfio_ioctl(c, VFIO_IOMMU_ENABLE, arg));
	self->mm->limit++;
	EXPECT_WORKS(vfio_ioctl(c, VFIO_IOMMU_ENABLE, arg));
	EXPECT_FAILS(-ENOMEM, req_map(c, 0, UA(0), PG, RW));
	self->mm->limit += 16;
	EXPECT_WORKS(req_map(c, 0, UA(0), PG, RW));
	current->killed = true;
	EXPECT_FAILS(-EFAULT, req_map(c, 0, UA(0), PG, RW));
	current->killed = false;
}

TEST_F(world, eeh)
{
	static const struct {
		u32 op;
		int call;
	} ops[] = {
		{ VFIO_EEH_PE_DISABLE, 100 + EEH_OPT_DISABLE },
		{ VFIO_EEH_PE_ENABLE, 100 + EEH_OPT_ENABLE },
		{ VFIO_EEH_PE_UNFREEZE_IO, 100 + EEH_OPT_THAW_MMIO },
		{ VFIO_EEH_PE_UNFREEZE_DMA, 100 + EEH_OPT_THAW_DMA },
		{ VFIO_EEH_PE_GET_STATE, 200 },
		{ VFIO_EEH_PE_RESET_DEACTIVATE, 300 + EEH_RESET_DEACTIVATE },
		{ VFIO_EEH_PE_RESET_HOT, 300 + EEH_RESET_HOT },
		{ VFIO_EEH_PE_RESET_FUNDAMENTAL, 300 + EEH_RESET_FUNDAMENTAL },
		{ VFIO_EEH_PE_CONFIGURE, 400 },
		{ VFIO_EEH_PE_INJECT_ERR, 512 },
	};
	struct vfio_eeh_pe_op arg = { .argsz = 4 };
	unsigned int i;

	EXPECT_WORKS(vfio_attach(self->c, host_pes + 1));
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		EXPECT_EQ(eeh_op(self->c, ops[i].op), 0);
		EXPECT_EQ(host_pes[0].eeh_last, ops[i].call);
		EXPECT_EQ(host_pes[1].eeh_last, ops[i].call);
	}
	EXPECT_EQ(eeh_op(self->c, 11), -EINVAL);
	host_pes[0].eeh_answer = VFIO_EEH_PE_STATE_STOPPED_DMA;
	i = host_pes[1].eeh_calls;
	EXPECT_EQ(eeh_op(self->c, VFIO_EEH_PE_GET_STATE), VFIO_EEH_PE_STATE_STOPPED_DMA);
	EXPECT_EQ(host_pes[1].eeh_calls, i);
	EXPECT_EQ(vfio_ioctl(self->c, VFIO_EEH_PE_OP, &arg), -EINVAL);
	arg.argsz = sizeof(arg);
	arg.flags = 1;
	EXPECT_EQ(vfio_ioctl(self->c, VFIO_EEH_PE_OP, &arg), -EINVAL);
	EXPECT_EQ(vfio_ioctl(self->c, VFIO_EEH_PE_OP, NULL), -EFAULT);
	/* Too short for an error to inject */
	host_pes[0].eeh_answer = 0;
	arg.flags = 0;
	arg.op = VFIO_EEH_PE_INJECT_ERR;
	arg.argsz = offsetofend(struct vfio_eeh_pe_op, op);
	EXPECT_EQ(vfio_ioctl(self->c, VFIO_EEH_PE_OP, &arg), -EINVAL);
}
