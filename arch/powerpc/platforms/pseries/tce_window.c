// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA windows of a PE of an LPAR.
 *
 * Firmware gives a PE its default window, of 4K pages below 4 GiB, and makes
 * dynamic windows when asked. The nodes of the device tree describe the windows
 * that there are; a kernel that is booted by kexec reads them there. A PE has one
 * dynamic window at a time: its node has one property for it.
 *
 * Once removed, the default window comes back only by a reset of the PE's
 * windows, which removes the dynamic ones. Meanwhile a property of another name
 * describes it.
 * Where it could not come back it is not removed: it passes from owner to owner,
 * empty.
 */
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/of.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <asm/iommu.h>
#include <asm/pci-bridge.h>
#include <asm/prom.h>
#include <asm/tce.h>
#include <asm/tce_user_table.h>

#include "tce_batch.h"
#include "tce_window.h"

static const char default_name[] = "ibm,dma-window";
static const char saved_name[] = "ibm,dma-window-saved";
static const char dynamic_name[] = "linux,dma64-ddr-window-info";

/**
 * pseries_find_pe() - find the PE that a device or bus belongs to
 * @dn: the node of the device or bus
 *
 * Unlike its windows, the PE of a node does not change.
 *
 * Context: any.
 *
 * Return: the nearest node from @dn upwards that has a table group; NULL if there
 * is none yet.
 */
struct device_node *pseries_find_pe(struct device_node *dn)
{
	while (dn && PCI_DN(dn) && !PCI_DN(dn)->table_group)
		dn = dn->parent;

	return dn && PCI_DN(dn) ? dn : NULL;
}

/*
 * A property that of_remove_property() has removed stays until its node is freed,
 * since there may be readers. So a property that is added and removed with each
 * hand-over must be used again, or memory would leak.
 */
static struct property *find_dead_property(struct device_node *np,
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

static void free_property(struct property *prop)
{
	if (prop) {
		kfree(prop->name);
		kfree(prop->value);
		kfree(prop);
	}
}

/**
 * pseries_reuse_property() - prefer a property that was removed to a new one
 * @np: the node that it is for
 * @fresh: the new one, or NULL
 *
 * Context: process. The caller must hold dma_win_init_mutex, and so must readers
 * of the value.
 *
 * Return: the property to give to of_add_property(), which has the value of
 * @fresh: a removed one, then @fresh is freed, or @fresh.
 */
struct property *pseries_reuse_property(struct device_node *np,
					struct property *fresh)
{
	struct property *dead;

	lockdep_assert_held(&dma_win_init_mutex);
	dead = fresh ? find_dead_property(np, fresh->name, fresh->length) : NULL;
	if (!dead)
		return fresh;
	memcpy(dead->value, fresh->value, fresh->length);
	free_property(fresh);

	return dead;
}

/**
 * pseries_copy_property() - give a node a second property with the value of one
 * @np: the node
 * @from: name of the property that there is, if it is there
 * @to: name of the other
 *
 * Uses a removed property again only if it has the value already: anybody may
 * still read it. Without memory there is no second property afterwards.
 *
 * Context: process, may sleep. The caller must hold dma_win_init_mutex.
 */
void pseries_copy_property(struct device_node *np, const char *from,
			   const char *to)
{
	struct property *src = of_find_property(np, from, NULL);
	struct property *copy;

	lockdep_assert_held(&dma_win_init_mutex);
	if (!src || of_property_present(np, to))
		return;

	copy = find_dead_property(np, to, src->length);
	if (copy && !memcmp(copy->value, src->value, src->length)) {
		of_add_property(np, copy);
		return;
	}

	copy = kzalloc(sizeof(*copy), GFP_KERNEL);
	if (!copy)
		return;
	copy->length = src->length;
	copy->value = kmemdup(src->value, src->length, GFP_KERNEL);
	copy->name = kstrdup(to, GFP_KERNEL);
	if (!copy->value || !copy->name || of_add_property(np, copy))
		free_property(copy);
}

/* Drop the group's reference to the table of a window, if there is one */
static void put_table(struct iommu_table_group *table_group, int num)
{
	if (table_group->tables[num])
		iommu_tce_table_put(table_group->tables[num]);
	WRITE_ONCE(table_group->tables[num], NULL);
}

static void describe_window(struct iommu_table *tbl, struct pci_controller *phb,
			    u64 start, u64 size, u32 page_shift)
{
	tbl->it_ops = &iommu_table_lpar_multi_ops;
	tbl->it_type = TCE_PCI;
	tbl->it_nid = phb->node;
	tbl->it_busno = phb->bus->number;
	tbl->it_page_shift = page_shift;
	tbl->it_offset = start >> page_shift;
	tbl->it_size = size >> page_shift;
	/* The host allocates from it by such blocks */
	tbl->it_blocksize = 16;
}

/* Make a table for the default window that the node describes */
static struct iommu_table *make_default_table(struct device_node *pe,
					      unsigned long limit)
{
	const __be32 *window = of_get_property(pe, default_name, NULL);
	struct pci_controller *phb = PCI_DN(pe)->phb;
	unsigned long start, size;
	struct iommu_table *tbl;

	/* Without memory for the property, the node does not describe the window */
	tbl = window ? iommu_pseries_alloc_table(phb->node) : NULL;
	if (!tbl)
		return NULL;

	of_parse_dma_window(pe, window, &tbl->it_index, &start, &size);
	describe_window(tbl, phb, start, min(size, limit), IOMMU_PAGE_SHIFT_4K);
	if (!iommu_init_table(tbl, phb->node, 0, 0)) {
		iommu_tce_table_put(tbl);
		return NULL;
	}

	return tbl;
}

/* May the default window be removed: can firmware and the node have it again? */
static bool can_restore(struct device_node *pe)
{
	u32 ext[2];	/* how many extensions there are, and the first one: reset */

	if (of_property_read_u32_array(pe, "ibm,ddw-extensions", ext,
				       ARRAY_SIZE(ext)) || !ext[0])
		return false;
	pseries_copy_property(pe, default_name, saved_name);

	return of_property_present(pe, saved_name);
}

/* A default window that stays is left to the next owner */
static int remove_default_window(struct device_node *pe)
{
	if (!can_restore(pe))
		return 0;

	return remove_dma_window_named(pe, true, default_name, false);
}

/*
 * Have firmware make the default window, and the node describe it. If it could not be
 * removed it is there, and described.
 */
static void restore_default_window(struct pci_dev *pdev, struct device_node *pe)
{
	reset_dma_window(pdev, pe);
	pseries_copy_property(pe, saved_name, default_name);
}

/**
 * pseries_make_host_window() - make the default window again, for the host
 * @table_group: the group, which has no window
 * @pdev: one of its devices
 *
 * Without memory for its table the group has none afterwards.
 *
 * Context: process, may sleep. The caller must hold dma_win_init_mutex.
 */
void pseries_make_host_window(struct iommu_table_group *table_group,
			      struct pci_dev *pdev)
{
	struct device_node *pe = pseries_find_pe(pci_device_to_OF_node(pdev));

	lockdep_assert_held(&dma_win_init_mutex);
	if (!pe)
		return;

	restore_default_window(pdev, pe);
	WRITE_ONCE(table_group->tables[0], make_default_table(pe, ULONG_MAX));
}

/**
 * pseries_remove_host_windows() - take the host's windows from a PE
 * @table_group: the group
 * @pdev: one of its devices
 *
 * Context: process, may sleep. The caller must hold dma_win_init_mutex.
 *
 * Return: 0, the group has no table then; or -ENODEV if the device has no PE.
 */
long pseries_remove_host_windows(struct iommu_table_group *table_group,
				 struct pci_dev *pdev)
{
	struct device_node *pe = pseries_find_pe(pci_device_to_OF_node(pdev));
	struct iommu_table *tbl;

	lockdep_assert_held(&dma_win_init_mutex);
	if (!pe)
		return -ENODEV;

	/*
	 * Clear the dynamic window first: a PE that may have only one window gets
	 * its default window in the same TCEs, and a reset does not clear them.
	 */
	remove_dynamic_dma_windows(pdev, pe);
	tbl = table_group->tables[0];
	if (can_restore(pe))
		remove_dma_window_named(pe, true, default_name, true);
	else if (tbl)
		tbl->it_ops->clear(tbl, tbl->it_offset, tbl->it_size);
	put_table(table_group, 0);

	return 0;
}

/* The default window is the one that is number 0, of 4K pages and no larger */
static bool is_default(struct iommu_table_group *table_group, int num,
		       u32 page_shift, u64 size)
{
	return num == 0 && page_shift == IOMMU_PAGE_SHIFT_4K &&
	       size <= table_group->tce32_size;
}

static struct iommu_table *make_default_window(struct pci_dev *pdev,
					       struct device_node *pe, u64 size)
{
	struct iommu_table *tbl;

	restore_default_window(pdev, pe);
	tbl = make_default_table(pe, size);
	if (tbl)
		return tbl;
	remove_default_window(pe);

	return ERR_PTR(-ENOMEM);
}

static u64 window_start(const struct ddw_create_response *window)
{
	return (u64)window->addr_hi << 32 | window->addr_lo;
}

/* Describe a new window in the node of its PE */
static int add_dynamic_property(struct device_node *pe,
				const struct ddw_create_response *window,
				u32 page_shift, u32 window_shift)
{
	struct property *prop;
	int ret;

	prop = ddw_property_create(dynamic_name, window->liobn,
				   window_start(window), page_shift,
				   window_shift);
	prop = pseries_reuse_property(pe, prop);
	if (!prop)
		return -ENOMEM;
	ret = of_add_property(pe, prop);
	if (ret)
		free_property(prop);

	return ret;
}

/*
 * The TCEs of a dynamic window are clear when firmware has made it, and no driver
 * of the host will allocate from it: it needs no iommu_init_table().
 */
static struct iommu_table *make_dynamic_window(struct pci_dev *pdev,
					       struct device_node *pe,
					       u32 page_shift, u32 window_shift)
{
	struct pci_controller *phb = PCI_DN(pe)->phb;
	struct ddw_create_response window;
	struct ddw_query_response query;
	struct iommu_table *tbl;
	u32 tokens[3];	/* query, create, remove */
	int ret;

	ret = of_property_read_u32_array(pe, "ibm,ddw-applicable", tokens,
					 ARRAY_SIZE(tokens));
	if (ret)
		return ERR_PTR(ret);
	if (query_ddw(pdev, tokens, &query, pe))
		return ERR_PTR(-ENODEV);
	if (!query.windows_available)
		return ERR_PTR(-ENOSPC);
	/* The process may try again with a smaller one */
	if (!(query.largest_available_block >> (window_shift - page_shift)))
		return ERR_PTR(-EINVAL);

	tbl = iommu_pseries_alloc_table(phb->node);
	if (!tbl)
		return ERR_PTR(-ENOMEM);
	tbl->it_ops = &iommu_table_lpar_multi_ops;
	ret = -ENODEV;
	if (create_ddw(pdev, tokens, &window, page_shift, window_shift))
		goto free_table;
	ret = add_dynamic_property(pe, &window, page_shift, window_shift);
	if (ret)
		goto remove_window;
	tbl->it_index = window.liobn;
	describe_window(tbl, phb, window_start(&window), BIT(window_shift),
			page_shift);

	return tbl;

remove_window:
	__remove_dma_window(pe, tokens, window.liobn);
free_table:
	iommu_tce_table_put(tbl);

	return ERR_PTR(ret);
}

/* Make the window that a process asks for, and its table */
static struct iommu_table *make_window(struct iommu_table_group *table_group,
				       struct pci_dev *pdev,
				       const struct tce_window_config *window)
{
	struct device_node *pe = pseries_find_pe(pci_device_to_OF_node(pdev));

	lockdep_assert_held(&dma_win_init_mutex);
	if (!pe)
		return ERR_PTR(-ENODEV);

	/* There can be one dynamic window, and a reset would remove it */
	if (of_property_present(pe, dynamic_name))
		return ERR_PTR(window->num == 0 ? -EPERM : -ENOSPC);
	if (is_default(table_group, window->num, window->page_shift,
		       window->size))
		return make_default_window(pdev, pe, window->size);

	return make_dynamic_window(pdev, pe, window->page_shift,
				   ilog2(window->size));
}

/* Firmware is told of a PE by any of its devices: take the first of the group */
static int get_first_pci_dev(struct device *dev, void *data)
{
	struct pci_dev **pdev = data;

	*pdev = pci_dev_get(to_pci_dev(dev));

	return 1;
}

static struct pci_dev *get_pci_dev(struct iommu_table_group *table_group)
{
	struct pci_dev *pdev = NULL;

	if (table_group->group)
		iommu_group_for_each_dev(table_group->group, &pdev,
					 get_first_pci_dev);

	return pdev;
}

/**
 * pseries_create_user_table() - iommu_table_group_ops::create_user_table
 * @table_group: the group
 * @window: the window; its levels are ignored, they are the hypervisor's business
 * @mm: the process that is charged for the table and whose memory it will map
 * @ptbl: where to put the table, with a reference
 *
 * Makes the window, too.
 *
 * Context: process, may sleep; not from a callback of the IOMMU core.
 *
 * Return: 0; -EINVAL if firmware may make a smaller window; -ENOSPC if the PE has
 * all its windows; -EPERM if there is a window that this one would remove; -ENOMEM,
 * also when RLIMIT_MEMLOCK would be exceeded; or -ENODEV. After an error there is
 * no window.
 */
long pseries_create_user_table(struct iommu_table_group *table_group,
			       const struct tce_window_config *window,
			       struct mm_struct *mm, struct iommu_table **ptbl)
{
	struct pci_dev *pdev __free(pci_dev_put) = get_pci_dev(table_group);
	struct iommu_table *tbl;
	int ret;

	if (!pdev)
		return -ENODEV;
	if (!is_power_of_2(window->size))
		return -EINVAL;

	mutex_lock(&dma_win_init_mutex);
	tbl = make_window(table_group, pdev, window);
	if (!IS_ERR(tbl))
		WRITE_ONCE(table_group->tables[window->num], tbl);
	mutex_unlock(&dma_win_init_mutex);
	if (IS_ERR(tbl))
		return PTR_ERR(tbl);

	/* The hypervisor has the TCEs; the tree has their shadows only */
	ret = pseries_tce_init_table(tbl, mm);
	if (ret) {
		pseries_unset_window(table_group, window->num);
		return ret;
	}
	*ptbl = iommu_tce_table_get(tbl);

	return 0;
}

static int remove_window(struct iommu_table_group *table_group,
			 struct device_node *pe, int num)
{
	struct iommu_table *tbl = table_group->tables[num];

	if (is_default(table_group, num, tbl->it_page_shift,
		       tbl->it_size << tbl->it_page_shift))
		return remove_default_window(pe);

	return remove_dma_window_named(pe, true, dynamic_name, false);
}

/**
 * pseries_unset_window() - iommu_table_group_ops::unset_window
 * @table_group: the group
 * @num: number of the window
 *
 * TCEs that are still set in the window are gone with it.
 *
 * Context: process, may sleep; not from a callback of the IOMMU core.
 *
 * Return: 0, also if there is no such window; -ENODEV if it cannot be found.
 */
long pseries_unset_window(struct iommu_table_group *table_group, int num)
{
	struct pci_dev *pdev __free(pci_dev_put) = get_pci_dev(table_group);
	struct iommu_table *tbl = table_group->tables[num];
	struct device_node *pe;
	long ret = -ENODEV;

	if (!pdev)
		return -ENODEV;
	if (!tbl)
		return 0;

	mutex_lock(&dma_win_init_mutex);
	pe = pseries_find_pe(pci_device_to_OF_node(pdev));
	if (pe && !remove_window(table_group, pe, num))
		ret = 0;
	if (!ret)
		put_table(table_group, num);
	mutex_unlock(&dma_win_init_mutex);

	return ret;
}
