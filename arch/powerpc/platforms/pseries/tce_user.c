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
#include <linux/iommu.h>
#include <linux/of.h>
#include <linux/pci.h>
#include <linux/string.h>

#include <asm/iommu.h>
#include <asm/pci-bridge.h>

#include "tce_user.h"

/**
 * pseries_find_table_group() - find the group whose windows a device uses
 * @dn: the node of the device or bus
 *
 * Unlike its windows, the group of a node does not change.
 *
 * Context: any.
 *
 * Return: the group of the nearest node from @dn upwards; NULL if there is none
 * yet.
 */
struct iommu_table_group *pseries_find_table_group(struct device_node *dn)
{
	for (; dn && PCI_DN(dn); dn = dn->parent)
		if (PCI_DN(dn)->table_group)
			return PCI_DN(dn)->table_group;

	return NULL;
}

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

static int pseries_get_first_pci_dev(struct device *dev, void *data)
{
	struct pci_dev **pdev = data;

	*pdev = pci_dev_get(to_pci_dev(dev));

	return 1;
}

/**
 * pseries_get_pci_dev() - get a device of a group, to name the group to firmware
 * @table_group: the group
 *
 * Context: process, may sleep; must not be called from a callback of the IOMMU
 * core.
 *
 * Return: any device of the group, with a reference to drop by pci_dev_put(); or
 * NULL.
 */
struct pci_dev *pseries_get_pci_dev(struct iommu_table_group *table_group)
{
	struct pci_dev *pdev = NULL;

	if (table_group->group)
		iommu_group_for_each_dev(table_group->group, &pdev,
					 pseries_get_first_pci_dev);

	return pdev;
}

/**
 * pseries_take_ownership() - iommu_table_group_ops::take_ownership
 * @table_group: the group
 * @dev: one of its devices
 *
 * Called for each device of the group, and for one that appears while a process
 * owns the group. Afterwards the group has no window and @dev has no table.
 *
 * Context: process, may sleep. The caller holds the lock of the IOMMU group.
 *
 * Return: 0 or a negative error.
 */
long pseries_take_ownership(struct iommu_table_group *table_group,
			    struct device *dev)
{
	long ret = 0;

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
 * Drop the tables of windows that could not be removed when the process was done.
 * The caller removes all windows of the PE next, these included.
 */
static void pseries_put_user_tables(struct iommu_table_group *table_group)
{
	int num;

	for (num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++) {
		if (table_group->tables[num])
			iommu_tce_table_put(table_group->tables[num]);
		table_group->tables[num] = NULL;
	}
}

/**
 * pseries_release_ownership() - iommu_table_group_ops::release_ownership
 * @table_group: the group
 * @dev: one of its devices
 *
 * Called for each device of the group, and for one that appears while the host
 * owns the group. The first call makes the default window; if that fails for lack
 * of memory, the devices have no DMA until the next hand-over.
 *
 * Context: process, may sleep. The caller holds the lock of the IOMMU group.
 */
void pseries_release_ownership(struct iommu_table_group *table_group,
			       struct device *dev)
{
	mutex_lock(&dma_win_init_mutex);
	if (table_group->user_owned) {
		pseries_put_user_tables(table_group);
		pseries_setup_default_iommu_config(table_group, dev);
		table_group->user_owned = false;
	}
	set_iommu_table_base(dev, table_group->tables[0]);
	mutex_unlock(&dma_win_init_mutex);
}

/**
 * pseries_find_dead_property() - find a property that was removed from a node
 * @np: the node
 * @name: name of the property
 * @length: length of its value
 *
 * A property that of_remove_property() has removed stays until its node is freed,
 * since there may be readers. So a property that is added and removed with each
 * hand-over must be used again, or memory would leak.
 *
 * Context: process. The caller must hold dma_win_init_mutex, and so must readers
 * of the value.
 *
 * Return: the property, for of_add_property(); NULL if there is no such property.
 */
struct property *pseries_find_dead_property(struct device_node *np,
					    const char *name, int length)
{
	struct property *prop;

	lockdep_assert_held(&dma_win_init_mutex);

	/* Others only add to the list, at its head */
	for (prop = READ_ONCE(np->deadprops); prop; prop = prop->next)
		if (!strcmp(prop->name, name) && prop->length == length)
			break;

	return prop;
}

/**
 * pseries_revive_property() - add a property again that was removed from a node
 * @np: the node
 * @name: name of the property
 * @value: its value
 * @length: length of @value
 *
 * Context: process. The caller must hold dma_win_init_mutex.
 *
 * Return: true if there was such a property, and @np has it again.
 */
bool pseries_revive_property(struct device_node *np, const char *name,
			     const void *value, int length)
{
	struct property *prop = pseries_find_dead_property(np, name, length);

	return prop && !memcmp(prop->value, value, length) &&
	       !of_add_property(np, prop);
}
