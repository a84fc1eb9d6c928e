// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hand-over of a PE's DMA windows between the host's DMA API and a process, on
 * an LPAR.
 *
 * The windows belong to the group, and several devices use them. The IOMMU core
 * hands over each device of a group in turn: the first call changes the windows,
 * and each call sets the table of its device, or none. While a process owns the
 * group, the device nodes do not describe the group's windows. Other code of this
 * platform relies on device nodes, so for a device that appears meanwhile it must
 * check iommu_table_group::user_owned.
 */
#include <linux/device.h>
#include <linux/errno.h>
#include <linux/iommu.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/of.h>
#include <linux/pci.h>

#include <asm/iommu.h>
#include <asm/pci-bridge.h>

#include "tce_handover.h"
#include "tce_window.h"

/**
 * pseries_user_owned() - test if a process owns the windows that a device would use
 * @dn: the node of the device or bus
 *
 * Context: process. The caller must hold dma_win_init_mutex.
 *
 * Return: true if a process owns them; the device nodes describe no windows for the
 * host then.
 */
bool pseries_user_owned(struct device_node *dn)
{
	lockdep_assert_held(&dma_win_init_mutex);

	for (; dn && PCI_DN(dn); dn = dn->parent) {
		if (PCI_DN(dn)->table_group)
			return PCI_DN(dn)->table_group->user_owned;
		/* The node has a window of its own, and no group yet */
		if (of_property_present(dn, "ibm,dma-window"))
			return false;
	}

	return false;
}

/**
 * pseries_dma_bus_setup() - pci_controller_ops::dma_bus_setup
 * @bus: a bus that appears
 *
 * Context: process, may sleep.
 */
void pseries_dma_bus_setup(struct pci_bus *bus)
{
	mutex_lock(&dma_win_init_mutex);
	if (!pseries_user_owned(pci_bus_to_OF_node(bus)))
		pseries_host_bus_setup(bus);
	mutex_unlock(&dma_win_init_mutex);
}

/**
 * pseries_dma_dev_setup() - pci_controller_ops::dma_dev_setup
 * @dev: a device that appears
 *
 * Context: process, may sleep.
 */
void pseries_dma_dev_setup(struct pci_dev *dev)
{
	struct device_node *dn = pci_device_to_OF_node(dev);
	struct device_node *pe;

	mutex_lock(&dma_win_init_mutex);
	if (!pseries_user_owned(dn))
		pseries_host_dev_setup(dev);
	mutex_unlock(&dma_win_init_mutex);

	pe = pseries_find_pe(dn);
	if (pe)
		iommu_add_device(PCI_DN(pe)->table_group, &dev->dev);
}

/*
 * Called for each device of the group, and for one that appears while a process
 * owns the group. Afterwards the group has no window and @dev has no table. The
 * caller holds the lock of the IOMMU group.
 */
static long pseries_take_ownership(struct iommu_table_group *table_group,
				   struct device *dev)
{
	long ret = 0;

	iommu_group_mutex_assert(dev);
	mutex_lock(&dma_win_init_mutex);
	if (!table_group->user_owned)
		ret = pseries_remove_host_windows(table_group, to_pci_dev(dev));
	if (!ret) {
		table_group->user_owned = true;
		set_iommu_table_base(dev, NULL);
	}
	mutex_unlock(&dma_win_init_mutex);

	return ret;
}

/*
 * Called for each device of the group, and for one that appears while the host
 * owns the group. The first call makes the default window; if that fails for lack
 * of memory, the devices have no DMA until the next hand-over. The caller holds the
 * lock of the IOMMU group.
 */
static void pseries_release_ownership(struct iommu_table_group *table_group,
				      struct device *dev)
{
	struct iommu_table *left[IOMMU_TABLE_GROUP_MAX_TABLES] = { };
	int num;

	iommu_group_mutex_assert(dev);
	mutex_lock(&dma_win_init_mutex);
	if (table_group->user_owned) {
		/* Windows that could not be removed, the reset removes */
		for (num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++) {
			left[num] = table_group->tables[num];
			WRITE_ONCE(table_group->tables[num], NULL);
		}
		pseries_make_host_window(table_group, to_pci_dev(dev));
		table_group->user_owned = false;
	}
	set_iommu_table_base(dev, table_group->tables[0]);
	mutex_unlock(&dma_win_init_mutex);

	/* To free one may take long, so not with the mutex */
	for (num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++)
		if (left[num])
			iommu_tce_table_put(left[num]);
}

/* A table is made with its window, and cannot be another one's */
static long pseries_set_window(struct iommu_table_group *table_group, int num,
			       struct iommu_table *tbl)
{
	return table_group->tables[num] == tbl ? 0 : -EPERM;
}

struct iommu_table_group_ops pseries_table_group_ops = {
	.create_user_table = pseries_create_user_table,
	.set_window = pseries_set_window,
	.unset_window = pseries_unset_window,
	.take_ownership = pseries_take_ownership,
	.release_ownership = pseries_release_ownership,
};
