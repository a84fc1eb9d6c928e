/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For the files of platforms/pseries: PCI devices, and the device tree they are in
 * (firmware.c).
 */
#ifndef _SPAPR_TCE_SHIM_PCI_DEV_H
#define _SPAPR_TCE_SHIM_PCI_DEV_H

#include <asm/iommu.h>

#include <pci.h>

struct property {
	char *name;
	int length;
	void *value;
	struct property *next;
};

struct pci_bus {
	struct device_node *dn;
	int number;
};

struct pci_dn {
	struct pci_controller *phb;
	struct iommu_table_group *table_group;
};

struct pci_dev {
	struct device dev;
	struct device_node *dn;
	int refs;
};

#define PCI_DN(node)			((node)->data)
#define to_pci_dev(d)			container_of(d, struct pci_dev, dev)
#define pci_device_to_OF_node(pdev)	((pdev)->dn)
#define pci_bus_to_OF_node(bus)		((bus)->dn)

static inline struct pci_dev *pci_dev_get(struct pci_dev *pdev)
{
	__atomic_add_fetch(&pdev->refs, 1, __ATOMIC_SEQ_CST);

	return pdev;
}

static inline void pci_dev_put(struct pci_dev *pdev)
{
	if (pdev)
		WARN_ON(__atomic_sub_fetch(&pdev->refs, 1, __ATOMIC_SEQ_CST) < 0);
}

/* Of the kernel's __free() */
static inline void host_pci_dev_put(struct pci_dev **pdev)
{
	pci_dev_put(*pdev);
}

#define __free(fn)	__attribute__((cleanup(host_##fn)))

struct property *of_find_property(const struct device_node *np, const char *name,
				  int *length);
const void *of_get_property(const struct device_node *np, const char *name,
			    int *length);
bool of_property_present(const struct device_node *np, const char *name);
int of_property_read_u32_array(const struct device_node *np, const char *name,
			       u32 *values, unsigned long nr);
int of_add_property(struct device_node *np, struct property *prop);
int of_remove_property(struct device_node *np, struct property *prop);
void of_parse_dma_window(struct device_node *dn, const __be32 *window,
			 unsigned long *liobn, unsigned long *start,
			 unsigned long *size);
struct iommu_table *iommu_init_table(struct iommu_table *tbl, int nid,
				     unsigned long first, unsigned long end);
int iommu_add_device(struct iommu_table_group *table_group, struct device *dev);
typedef int (*host_dev_fn)(struct device *dev, void *data);
int host_each_dev(struct iommu_group *group, void *data, host_dev_fn fn);
#define iommu_group_for_each_dev	host_each_dev
void *kmemdup(const void *from, unsigned long size, unsigned int gfp);
char *kstrdup(const char *from, unsigned int gfp);

extern struct iommu_table_ops iommu_table_lpar_multi_ops;

#endif
