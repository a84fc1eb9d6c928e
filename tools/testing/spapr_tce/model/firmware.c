// SPDX-License-Identifier: GPL-2.0-only
/*
 * The nodes of an LPAR's device tree, and firmware that makes windows. What
 * pseries/iommu.c does for tce_window.c and tce_handover.c is done here as it is done
 * there.
 */
#include <linux/pci.h>

#include "tce_batch.h"
#include "tce_handover.h"
#include "tce_window.h"
#include "lpar.h"

/* What the nodes say of windows */
struct mutex dma_win_init_mutex;
struct firmware firmware;
struct pci_dev lpar_devs[LPAR_DEVS];

static struct device_node node_phb, node_pe, node_devs[LPAR_DEVS];
static struct pci_dn dn_phb, dn_pe, dn_devs[LPAR_DEVS];
static struct pci_bus lpar_bus = { .dn = &node_pe };
static struct pci_controller lpar_phb = { .dn = &node_phb, .bus = &lpar_bus };

/*
 * The device tree.
 */

struct property *of_find_property(const struct device_node *np, const char *name,
				  int *length)
{
	struct property *prop;

	for (prop = np->properties; prop; prop = prop->next)
		if (!strcmp(prop->name, name))
			break;
	if (prop && length)
		*length = prop->length;

	return prop;
}

const void *of_get_property(const struct device_node *np, const char *name,
			    int *length)
{
	struct property *prop = of_find_property(np, name, length);

	return prop ? prop->value : NULL;
}

bool of_property_present(const struct device_node *np, const char *name)
{
	return of_find_property(np, name, NULL);
}

int of_property_read_u32_array(const struct device_node *np, const char *name,
			       u32 *values, unsigned long nr)
{
	int length;
	const __be32 *cells = of_get_property(np, name, &length);

	if (!cells)
		return -EINVAL;
	if (length < (int)(nr * sizeof(*cells)))
		return -EOVERFLOW;
	while (nr--)
		*values++ = be32_to_cpu(*cells++);

	return 0;
}

static void unlink_property(struct property **list, struct property *prop)
{
	while (*list && *list != prop)
		list = &(*list)->next;
	if (*list)
		*list = prop->next;
}

int of_add_property(struct device_node *np, struct property *prop)
{
	unlink_property(&np->deadprops, prop);
	if (of_find_property(np, prop->name, NULL))
		return -EEXIST;
	prop->next = np->properties;
	np->properties = prop;

	return 0;
}

int of_remove_property(struct device_node *np, struct property *prop)
{
	unlink_property(&np->properties, prop);
	prop->next = np->deadprops;
	np->deadprops = prop;

	return 0;
}

void *kmemdup(const void *from, unsigned long size, unsigned int gfp)
{
	void *to = kmalloc(size, gfp);

	return to ? memcpy(to, from, size) : NULL;
}

char *kstrdup(const char *from, unsigned int gfp)
{
	return kmemdup(from, strlen(from) + 1, gfp);
}

static struct property *new_property(const char *name, const u32 *cells,
				     unsigned int nr)
{
	struct property *prop = kzalloc(sizeof(*prop), GFP_KERNEL);
	__be32 *value = kmalloc(nr * sizeof(*value), GFP_KERNEL);
	char *copy = kstrdup(name, GFP_KERNEL);

	if (!prop || !value || !copy) {
		kfree(prop);
		kfree(value);
		kfree(copy);
		return NULL;
	}
	prop->name = copy;
	prop->value = value;
	prop->length = nr * sizeof(*value);
	while (nr--)
		*value++ = cpu_to_be32(*cells++);

	return prop;
}

static void free_properties(struct property **list)
{
	struct property *prop;

	while ((prop = *list)) {
		*list = prop->next;
		kfree(prop->name);
		kfree(prop->value);
		kfree(prop);
	}
}

/* How many properties of the PE were removed and stay */
unsigned int firmware_dead_properties(void)
{
	struct property *prop;
	unsigned int n = 0;

	for (prop = node_pe.deadprops; prop; prop = prop->next)
		n++;

	return n;
}

bool firmware_described(const char *name)
{
	return of_property_present(&node_pe, name);
}

/* log2 of the size of the dynamic window that the node describes */
u32 firmware_described_shift(void)
{
	const char *name = "linux,dma64-ddr-window-info";
	u32 cells[5] = { };

	of_property_read_u32_array(&node_pe, name, cells, ARRAY_SIZE(cells));

	return cells[4];
}

void of_parse_dma_window(struct device_node *dn, const __be32 *window,
			 unsigned long *liobn, unsigned long *start,
			 unsigned long *size)
{
	*liobn = be32_to_cpu(window[0]);
	*start = (u64)be32_to_cpu(window[1]) << 32 | be32_to_cpu(window[2]);
	*size = (u64)be32_to_cpu(window[3]) << 32 | be32_to_cpu(window[4]);
}

/*
 * Firmware.
 */

/* Does not pay attention to what is in its properties */
static bool firmware_can(const char *name)
{
	return of_property_present(&node_pe, name);
}

static void firmware_remove(u32 liobn)
{
	if (!firmware_can("ibm,ddw-applicable"))
		host_die("firmware that cannot remove windows is to do so\n");
	if (liobn ? !firmware.dynamic : !firmware.has_default)
		host_die("window %u is removed, which is not there\n", liobn);
	if (liobn)
		firmware.dynamic = false;
	else
		firmware.has_default = false;
	lpar_clear(liobn);
}

void __remove_dma_window(struct device_node *np, u32 *ddw_avail, u64 liobn)
{
	lockdep_assert_held(&dma_win_init_mutex);
	firmware_remove(liobn);
}

int remove_dma_window_named(struct device_node *np, bool remove_prop,
			    const char *name, bool cleanup)
{
	struct property *win = of_find_property(np, name, NULL);

	lockdep_assert_held(&dma_win_init_mutex);
	if (win && firmware.keeps)
		of_remove_property(np, win);
	if (!win || firmware.keeps)
		return -EINVAL;
	if (!firmware_can("ibm,ddw-applicable"))
		return 0;
	firmware_remove(be32_to_cpu(*(__be32 *)win->value));
	if (!remove_prop)
		return 0;
	if (!strcmp(name, "ibm,dma-window"))
		pseries_copy_property(np, name, "ibm,dma-window-saved");
	of_remove_property(np, win);

	return 0;
}

/* The host has none here */
long remove_dynamic_dma_windows(struct pci_dev *pdev, struct device_node *pdn)
{
	lockdep_assert_held(&dma_win_init_mutex);

	return 0;
}

void reset_dma_window(struct pci_dev *dev, struct device_node *par_dn)
{
	lockdep_assert_held(&dma_win_init_mutex);
	if (!firmware_can("ibm,ddw-extensions"))
		return;
	firmware.resets++;
	firmware.has_default = true;
	if (firmware.dynamic) {
		firmware.dynamic = false;
		lpar_clear(1);
	}
}

int query_ddw(struct pci_dev *dev, const u32 *ddw_avail,
	      struct ddw_query_response *query, struct device_node *parent)
{
	*query = (struct ddw_query_response) {
		.windows_available = firmware.windows - firmware.has_default -
			firmware.dynamic,
		.largest_available_block = LPAR_TCES,
		.page_size = ~0U,
	};

	/* Whatever it says then */
	return fail_step() || firmware.mute ? -1 : 0;
}

int create_ddw(struct pci_dev *dev, const u32 *ddw_avail,
	       struct ddw_create_response *create, int page_shift,
	       int window_shift)
{
	if (firmware.dynamic)
		host_die("firmware has one dynamic window already\n");
	if (fail_step())
		return -1;
	firmware.dynamic = true;
	*create = (struct ddw_create_response) {
		.liobn = 1,
		.addr_hi = BIT(59) >> 32,
	};

	return 0;
}

struct property *ddw_property_create(const char *propname, u32 liobn, u64 dma_addr,
				     u32 page_shift, u32 window_shift)
{
	u32 cells[] = { liobn, dma_addr >> 32, dma_addr, page_shift, window_shift };

	return new_property(propname, cells, ARRAY_SIZE(cells));
}

/*
 * Tables and devices.
 */

struct iommu_table *iommu_pseries_alloc_table(int node)
{
	return machine_new_table(NULL);
}

static void lpar_table_free(struct iommu_table *tbl)
{
	(void)tbl;
}

static void lpar_table_clear(struct iommu_table *tbl, long index, long npages)
{
	if (index != (long)tbl->it_offset || npages != (long)tbl->it_size)
		host_die("a part of a table is cleared\n");
	firmware.cleared++;
}

struct iommu_table_ops iommu_table_lpar_multi_ops = {
	.store_batch = pseries_tce_store_batch,
	.clear_batch = pseries_tce_clear_batch,
	.clear = lpar_table_clear,
	.free = lpar_table_free,
};

struct iommu_table *iommu_init_table(struct iommu_table *tbl, int nid,
				     unsigned long first, unsigned long end)
{
	if (!firmware.has_default || first || end)
		host_die("a table is made for a window that is not there\n");

	return fail_step() ? NULL : tbl;
}

int host_each_dev(struct iommu_group *group, void *data, host_dev_fn fn)
{
	int i, ret = 0;

	for (i = 0; i < LPAR_DEVS && !ret; i++)
		ret = fn(&lpar_devs[i].dev, data);

	return ret;
}

int iommu_add_device(struct iommu_table_group *table_group, struct device *dev)
{
	if (table_group != &lpar_pe.pe.table_group)
		host_die("a device is added to another PE\n");
	firmware.added++;

	return 0;
}

/* What the host does with a bus or device: it reads which windows there are */
void pseries_host_bus_setup(struct pci_bus *bus)
{
	lockdep_assert_held(&dma_win_init_mutex);
	firmware.set_up++;
}

void pseries_host_dev_setup(struct pci_dev *dev)
{
	lockdep_assert_held(&dma_win_init_mutex);
	set_iommu_table_base(&dev->dev, lpar_pe.pe.table_group.tables[0]);
	firmware.set_up++;
}

/**
 * firmware_init() - an LPAR boots, and its host has the default window
 * @kind: what its firmware can do
 */
void firmware_init(enum firmware_kind kind)
{
	static const u32 window[] = { 0, 0, 0, 0, LPAR_TCES << IOMMU_PAGE_SHIFT_4K };
	static const u32 cells[] = { 3, 11, 12, 13 };
	struct iommu_table *tbl;
	int i;

	firmware_exit();
	mutex_init(&dma_win_init_mutex);
	firmware = (struct firmware) { .has_default = true, .windows = 2 };
	dn_phb = (struct pci_dn) { .phb = &lpar_phb };
	dn_pe = (struct pci_dn) { &lpar_phb, &lpar_pe.pe.table_group };
	node_phb = (struct device_node) { .data = &dn_phb };
	node_pe = (struct device_node) { .data = &dn_pe, .parent = &node_phb };
	of_add_property(&node_pe, new_property("ibm,dma-window", window, 5));
	if (kind != FIRMWARE_ONE_WINDOW)
		of_add_property(&node_pe, new_property("ibm,ddw-applicable", cells + 1, 3));
	if (kind == FIRMWARE_RESETS)
		of_add_property(&node_pe, new_property("ibm,ddw-extensions", cells, 4));

	tbl = machine_new_table(&iommu_table_lpar_multi_ops);
	tbl->it_page_shift = IOMMU_PAGE_SHIFT_4K;
	tbl->it_size = LPAR_TCES;
	lpar_pe.pe.table_group.tables[0] = tbl;
	for (i = 0; i < LPAR_DEVS; i++) {
		dn_devs[i] = (struct pci_dn) { .phb = &lpar_phb };
		node_devs[i] = (struct device_node) { .data = dn_devs + i, .parent = &node_pe };
		lpar_devs[i] = (struct pci_dev) { .dn = node_devs + i };
		set_iommu_table_base(&lpar_devs[i].dev, tbl);
	}
}

/* A device that is in no PE, or in one again */
void firmware_stray(int dev, bool stray)
{
	lpar_devs[dev].dn = stray ? &node_phb : node_devs + dev;
}

/**
 * firmware_exit() - the LPAR is gone
 */
void firmware_exit(void)
{
	struct iommu_table **tbl = lpar_pe.pe.table_group.tables;
	int i;

	for (i = 0; i < LPAR_DEVS; i++)
		if (lpar_devs[i].refs)
			host_die("device %d is still held\n", i);
	if (*tbl)
		iommu_tce_table_put(*tbl);
	*tbl = NULL;
	free_properties(&node_pe.properties);
	free_properties(&node_pe.deadprops);
}
