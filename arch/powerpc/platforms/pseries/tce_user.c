// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hand-over of a PE's DMA windows between the host's DMA API and a process, on
 * an LPAR.
 *
 * The windows belong to the group, and several devices use them. The IOMMU core
 * hands over each device of a group in turn: the first one changes the windows,
 * and each one is told its table, or that it has none. In between nothing of
 * what the group's windows are is to be found at its device node, which other
 * code of this platform goes by: a device that appears then is told by the
 * group's user_owned.
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
 * Return: the nearest group on the way up, NULL if there is none yet.
 */
struct iommu_table_group *pseries_find_table_group(struct device_node *dn)
{
	for (; dn && PCI_DN(dn); dn = dn->parent)
		if (PCI_DN(dn)->table_group)
			return PCI_DN(dn)->table_group;

	return NULL;
}

/**
 * pseries_user_owned() - does a process own the windows that a device would use?
 * @dn: the node of the device or bus
 *
 * Context: process, with dma_win_init_mutex held.
 *
 * Return: true if so; then the device nodes say nothing of windows for the host.
 */
bool pseries_user_owned(struct device_node *dn)
{
	lockdep_assert_held(&dma_win_init_mutex);

	for (; dn && PCI_DN(dn); dn = dn->parent) {
		if (PCI_DN(dn)->table_group)
			return PCI_DN(dn)->table_group->user_owned;
		/* A window of its own, for which there is no group yet */
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
 * pseries_get_pci_dev() - find a device by which firmware knows a group
 * @table_group: the group
 *
 * Context: process, may sleep; not from a callback of the IOMMU core.
 *
 * Return: any device of the group, to be given back by pci_dev_put(), or NULL.
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
 * Called for each device of the group, and for one that is found while a
 * process owns the group. Ends with no window and @dev without a table.
 *
 * Context: process, may sleep; under the lock of the IOMMU group.
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
 * Windows of the process that could not be removed. Removing all of a PE's
 * windows, as comes next, removes them, too. The last reference of a table
 * clears it by itself.
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
 * Called for each device of the group, and for one that is found while the host
 * has the group. The first one makes the default window; where there is no
 * memory for that, devices have no DMA until the next hand-over.
 *
 * Context: process, may sleep; under the lock of the IOMMU group.
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
 * What of_remove_property() removes stays until the node goes, since there may
 * be readers. A property that comes and goes with each hand-over is therefore
 * to be used again, or memory runs out.
 *
 * Context: process, with dma_win_init_mutex held, as whoever reads values.
 *
 * Return: the property, for of_add_property(); NULL if there is none like that.
 */
struct property *pseries_find_dead_property(struct device_node *np,
					    const char *name, int length)
{
	struct property *prop;

	lockdep_assert_held(&dma_win_init_mutex);

	/* Others only add to it, at its head */
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
 * Context: process, with dma_win_init_mutex held.
 *
 * Return: true if there was one like that, and @np has it again.
 */
bool pseries_revive_property(struct device_node *np, const char *name,
			     const void *value, int length)
{
	struct property *prop = pseries_find_dead_property(np, name, length);

	return prop && !memcmp(prop->value, value, length) &&
	       !of_add_property(np, prop);
}
