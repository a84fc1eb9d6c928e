// SPDX-License-Identifier: GPL-2.0-only
/*
 * Groups share windows; a PE is handed to a process and back to the host.
 */
#include "unit.h"

TEST_F(world, groups_share_windows)
{
	u64 start;

	EXPECT_WORKS(req_create(self->c, 16, 1UL << 32, 1, &start));
	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), 64 * PG));
	EXPECT_WORKS(req_map(self->c, start, UA(UA_HUGE), 4 * K64, RW));
	EXPECT_WORKS(vfio_attach(self->c, host_pes + 1));
	EXPECT_WORKS(vfio_attach(self->c, host_pes + 3));
	EXPECT_REACHES(host_pes + 3, start, UA(UA_HUGE));
	EXPECT_WORKS(req_map(self->c, 0, UA(UA_HUGE), 4 * K64, RW));
	EXPECT_REACHES(host_pes + 1, 0, UA(UA_HUGE));
	vfio_detach(self->c, host_pes);
	world_check();
	EXPECT_REACHES(host_pes + 1, start, UA(UA_HUGE));
	EXPECT_WORKS(req_unmap(self->c, start, K64));
	EXPECT_FAULTS(host_pes + 3, start);
	vfio_detach(self->c, host_pes + 3);
	vfio_detach(self->c, host_pes + 1);
	world_check();
	EXPECT_EQ(self->mm->locked_vm, 0);
}

/* A PE whose bridge cannot do the page size of a window */
TEST_F(world, group_page_sizes)
{
	EXPECT_WORKS(req_create(self->c, 21, 1UL << 32, 1, NULL));
	EXPECT_FAILS(-EPERM, vfio_attach(self->c, host_pes + 3));
	EXPECT_WORKS(vfio_attach(self->c, host_pes + 2));
	EXPECT_WORKS(req_remove(self->c, WINDOW1));
	EXPECT_WORKS(vfio_attach(self->c, host_pes + 3));
	EXPECT_FAILS(-EINVAL, req_create(self->c, 21, 1UL << 32, 1, NULL));
}

TEST_F(world, group_checks)
{
	struct iommu_table_group *group = &host_pes[1].pe.table_group;
	struct iommu_table_group_ops ops = *group->ops, *real = group->ops;
	struct host_container *old = version1(self->c);

	EXPECT_FAILS(-EBUSY, vfio_attach(old, host_pes + 1));
	EXPECT_EQ(host_driver->attach_group(self->c->data, host_group(host_pes + 1),
					    VFIO_EMULATED_IOMMU), -EINVAL);
	group->max_dynamic_windows_supported = 0;
	EXPECT_FAILS(-EINVAL, vfio_attach(self->c, host_pes + 1));
	group->max_dynamic_windows_supported = 2;
	group->ops = &ops;
	EXPECT_FAILS(-EPERM, vfio_attach(self->c, host_pes + 1));
	group->ops = NULL;
	EXPECT_EQ(host_driver->attach_group(self->c->data, host_group(host_pes + 1),
					    VFIO_IOMMU), -EFAULT);
	group->ops = real;
}

/* Firmware refuses a window for one of two groups: neither has it */
TEST_F(world, window_refused_for_one)
{
	unsigned long n;
	long ret;

	EXPECT_WORKS(vfio_attach(self->c, host_pes + 1));
	EXPECT_WORKS(make_default(self->c));
	self->digest = world_digest(self->mm);
	for (n = 1;; n++) {
		fail_arm(n);
		ret = req_create(self->c, 16, MB, 1, NULL);
		if (!fail_fired())
			break;
		world_check();
		EXPECT_LT(ret, 0);
		EXPECT_EQ(world_digest(self->mm), self->digest);
		EXPECT_EQ(host_pes[0].tve[1].levels, 0);
		EXPECT_EQ(host_pes[1].tve[1].levels, 0);
	}
	fail_arm(0);
	EXPECT_EQ(ret, 0);
	EXPECT_NE(host_pes[1].tve[1].levels, 0);
}

/* Firmware does not remove a window: its table must never go */
TEST_F(world, window_not_removed)
{
	u64 start;

	EXPECT_WORKS(req_create(self->c, 16, MB, 1, &start));
	EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), 64 * PG));
	EXPECT_WORKS(req_map(self->c, start, UA(UA_HUGE), 4 * K64, RW));
	machine_removal_fails = true;
	fail_arm(2);	/* the first step copies the request */
	EXPECT_EQ(req_remove(self->c, start), 0);
	EXPECT_TRUE(fail_fired());
	EXPECT_TRUE(host_pes[0].stuck);
	EXPECT_FAULTS(host_pes, start);
	EXPECT_EQ(host_usage.tables, HOST_PES + 2);
	EXPECT_TRUE(host_pes[0].pe.window_stuck);
	EXPECT_WORKS(req_unregister(self->c, UA(UA_HUGE), 64 * PG));
	/* As if firmware had thought better of it, to end clean */
	host_pes[0].tve[1].levels = 0;
	{
		struct host_table *table, *stuck = NULL;

		list_for_each_entry(table, &host_tables, node)
			if (table->tbl.it_offset)
				stuck = table;
		ASSERT_NE(stuck, NULL);
		EXPECT_EQ(stuck->tbl.it_kref.count, 1);
		kfree(list_first_entry(&stuck->tbl.it_group_list,
				       struct iommu_table_group_link, next));
		INIT_LIST_HEAD(&stuck->tbl.it_group_list);
		iommu_tce_table_put(&stuck->tbl);
	}
	host_pes[0].pe.window_stuck = false;
	host_pes[0].stuck = false;
}

TEST_F(world, ownership_ends_bypass)
{
	EXPECT_EQ(machine_dma(host_pes + 1, WINDOW1 + 0x1000, true), 0x1000);
	EXPECT_WORKS(vfio_attach(self->c, host_pes + 1));
	EXPECT_FAULTS(host_pes + 1, WINDOW1 + 0x1000);
	EXPECT_EQ(host_pes[1].pe.table_group.tables[0], NULL);
	vfio_detach(self->c, host_pes + 1);
	EXPECT_EQ(machine_dma(host_pes + 1, WINDOW1 + 0x1000, true), 0x1000);
	EXPECT_NE(host_pes[1].pe.table_group.tables[0], NULL);
	world_check();
}

/* Whatever fails, and wherever the host left the PE, no bypass remains */
TEST_F(world, ownership_without_a_window)
{
	struct iommu_table_group *group = &host_pes[1].pe.table_group;
	unsigned long n, m;
	long ret;

	machine_removal_fails = true;
	for (n = 1; n < 20; n++) {
		EXPECT_EQ(group->ops->take_ownership(group, &host_device), 0);
		EXPECT_EQ(group->ops->take_ownership(group, &host_device), 0);
		fail_arm(n);
		group->ops->release_ownership(group, &host_device);
		for (m = 1; m < 4; m++) {
			fail_arm(m);
			ret = group->ops->take_ownership(group, &host_device);
			EXPECT_EQ(host_pes[1].pe.owner, ret ? PNV_PE_HOST :
				  PNV_PE_BLOCKED);
			fail_arm(0);
			host_pes[1].stuck = false;
			world_check();
			EXPECT_TRUE(host_pes[1].pe.owner == PNV_PE_HOST ||
				    faults(host_pes + 1, WINDOW1 + 0x1000));
			EXPECT_EQ(group->ops->take_ownership(group, &host_device), 0);
			EXPECT_FAULTS(host_pes + 1, WINDOW1 + 0x1000);
			group->ops->release_ownership(group, &host_device);
			EXPECT_EQ(machine_dma(host_pes + 1, WINDOW1, true), 0);
		}
	}
	/* Not taken: nothing to release */
	group->ops->release_ownership(group, &host_device);
	world_check();
}

/* A PE whose last device was pulled out, whoever has it */
TEST_F(world, unplug)
{
	static const struct tce_window_config windows[] = {
		{ .num = 0, .page_shift = 16, .size = SZ_1G, .levels = 1 },
		{ .num = 1, .page_shift = 16, .size = SZ_1G, .levels = 1 },
	};
	struct host_pe *hpe = host_pes + 1;
	struct iommu_table_group *group = &hpe->pe.table_group;
	struct iommu_table *tbl, *used[2];
	long tables = host_usage.tables;
	int num;

	/* the host: its table goes as well */
	pnv_pci_ioda2_release_pe_dma(&hpe->pe);
	EXPECT_EQ(host_usage.tables, tables - 1);
	EXPECT_TRUE(hpe->no_iommudata);
	EXPECT_FAULTS(hpe, WINDOW1 + 0x1000);
	EXPECT_FAULTS(hpe, 0);
	hpe->no_iommudata = false;
	EXPECT_EQ(pnv_pci_ioda2_setup_default_config(&hpe->pe), 0);
	EXPECT_EQ(host_usage.tables, tables);

	/* a process: whoever else has a reference keeps its tables */
	EXPECT_EQ(group->ops->take_ownership(group, &host_device), 0);
	for (num = 0; num < 2; num++) {
		EXPECT_EQ(group->ops->create_user_table(group, &windows[num],
							current->mm, &tbl), 0);
		EXPECT_EQ(group->ops->set_window(group, num, tbl), 0);
		used[num] = tbl;
	}
	pnv_pci_ioda2_release_pe_dma(&hpe->pe);
	for (num = 0; num < 2; num++) {
		EXPECT_EQ(group->tables[num], NULL);
		EXPECT_TRUE(list_empty(&used[num]->it_group_list));
		EXPECT_EQ(used[num]->it_kref.count, 1);
		iommu_tce_table_put(used[num]);
	}
	hpe->no_iommudata = false;
	group->ops->release_ownership(group, &host_device);
	world_check();
}

/* Who does not give up a window keeps the bypass beside it */
TEST_F(world, ownership_refused)
{
	struct iommu_table_group *group = &host_pes[1].pe.table_group;

	machine_removal_fails = true;
	fail_arm(2);	/* the first ends the bypass */
	EXPECT_EQ(group->ops->take_ownership(group, &host_device), -EIO);
	EXPECT_TRUE(fail_fired());
	host_pes[1].stuck = false;
	world_check();
	EXPECT_EQ(host_pes[1].pe.owner, PNV_PE_HOST);
	EXPECT_NE(group->tables[0], NULL);
	EXPECT_EQ(machine_dma(host_pes + 1, WINDOW1 + 0x1000, true), 0x1000);
}

/* The DMA API is told about the table that its devices have */
TEST_F(world, ownership_and_the_dma_api)
{
	struct iommu_table_group *group = &host_pes[1].pe.table_group;
	struct iommu_table *tbl = group->tables[0];
	struct device dev = { }, sibling = { };

	EXPECT_EQ(group->ops->take_ownership(group, &dev), 0);
	EXPECT_EQ(group->ops->take_ownership(group, &sibling), 0);
	group->ops->release_ownership(group, &dev);
	EXPECT_EQ(dev.archdata.iommu_table_base, tbl);
	EXPECT_EQ(dev.archdata.dma_offset, WINDOW1);
	EXPECT_EQ(sibling.archdata.iommu_table_base, NULL);
	group->ops->release_ownership(group, &sibling);
	EXPECT_EQ(sibling.archdata.iommu_table_base, tbl);
}

TEST_F(world, page_sizes_of_bridges)
{
	EXPECT_EQ(pnv_ioda_parse_tce_sizes(host_pes[0].pe.phb),
		  SZ_4K | SZ_64K | SZ_2M | SZ_1G);
	EXPECT_EQ(pnv_ioda_parse_tce_sizes(host_pes[3].pe.phb),
		  SZ_4K | SZ_64K | SZ_16M | SZ_256M);
	/* A later bridge whose firmware says nothing */
	host_pes[0].pe.phb->hose->dn->nr_tce_sizes = 0;
	EXPECT_EQ(pnv_ioda_parse_tce_sizes(host_pes[0].pe.phb), SZ_4K | SZ_64K);
	host_pes[0].pe.phb->hose->dn->nr_tce_sizes = 4;
}

TEST_F(world, dma_api)
{
	struct iommu_table *tbl = host_pes[1].pe.table_group.tables[0];
	char *mem = aligned_alloc(PG, 4 * PG);
	unsigned long n;

	EXPECT_EQ(pnv_tce_get(tbl, 5), 0);
	EXPECT_EQ(pnv_tce_build(tbl, 1000, 4, (unsigned long)mem, DMA_TO_DEVICE, 0), 0);
	EXPECT_EQ(machine_dma(host_pes + 1, 1002 * PG + 5, false), (long)__pa(mem) + 2 * PG + 5);
	EXPECT_EQ(machine_dma(host_pes + 1, 1002 * PG + 5, true), -EFAULT);
	EXPECT_EQ(pnv_tce_get(tbl, 1003), (__pa(mem) + 3 * PG) | TCE_PCI_READ);
	pnv_tce_free(tbl, 1000, 4);
	pnv_pci_ioda2_tce_invalidate_pe(&host_pes[1].pe);
	EXPECT_EQ(pnv_tce_get(tbl, 1003), 0);
	EXPECT_FAULTS(host_pes + 1, 1002 * PG);
	/* Devices may have to read what they write */
	EXPECT_EQ(pnv_tce_build(tbl, 0, 1, (unsigned long)mem, DMA_FROM_DEVICE, 0), 0);
	EXPECT_EQ(pnv_tce_get(tbl, 0), __pa(mem) | TCE_PCI_READ | TCE_PCI_WRITE);
	/* Clearing makes no levels */
	n = host_usage.level_bytes;
	pnv_tce_free(tbl, 0, tbl->it_size);
	EXPECT_EQ(host_usage.level_bytes, n);
	pnv_pci_ioda2_tce_invalidate_pe(&host_pes[1].pe);
	fail_arm(1);
	n = pnv_tce_build(tbl, tbl->it_size - 1, 1, (unsigned long)mem, DMA_TO_DEVICE, 0);
	if (fail_fired())
		EXPECT_EQ(n, -ENOMEM);
	fail_arm(0);
	EXPECT_EQ(pnv_tce_get(tbl, tbl->it_size - 1), n ? 0 : __pa(mem) | TCE_PCI_READ);
	pnv_tce_free(tbl, tbl->it_size - 1, 1);
	pnv_pci_ioda2_tce_invalidate_pe(&host_pes[1].pe);
	EXPECT_EQ(self->mm->locked_vm, 0);
	free(mem);
}
