/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For the container driver: what drivers/vfio/vfio.h has of it, and EEH.
 */
#ifndef _SPAPR_TCE_SHIM_VFIO_H
#define _SPAPR_TCE_SHIM_VFIO_H

#include <uapi/linux/vfio.h>

enum vfio_group_type {
	VFIO_IOMMU,
	VFIO_EMULATED_IOMMU,
	VFIO_NO_IOMMU,
};

struct vfio_iommu_driver_ops {
	char *name;
	void *owner;
	void *(*open)(unsigned long arg);
	void (*release)(void *iommu_data);
	long (*ioctl)(void *iommu_data, unsigned int cmd, unsigned long arg);
	int (*attach_group)(void *iommu_data, struct iommu_group *group,
			    enum vfio_group_type type);
	void (*detach_group)(void *iommu_data, struct iommu_group *group);
	void (*show_fdinfo)(void *iommu_data, struct seq_file *m);
};

struct vfio_iommu_driver {
	const struct vfio_iommu_driver_ops *ops;
};

int vfio_register_iommu_driver(const struct vfio_iommu_driver_ops *ops);
void vfio_unregister_iommu_driver(const struct vfio_iommu_driver_ops *ops);

#define EEH_OPT_DISABLE		0
#define EEH_OPT_ENABLE		1
#define EEH_OPT_THAW_MMIO	2
#define EEH_OPT_THAW_DMA	3
#define EEH_RESET_DEACTIVATE	0
#define EEH_RESET_HOT		1
#define EEH_RESET_FUNDAMENTAL	3

struct eeh_pe;

bool eeh_enabled(void);
struct eeh_pe *eeh_iommu_group_to_pe(struct iommu_group *group);
int eeh_pe_set_option(struct eeh_pe *pe, int option);
int eeh_pe_get_state(struct eeh_pe *pe);
int eeh_pe_reset(struct eeh_pe *pe, int option, bool include_passed);
int eeh_pe_configure(struct eeh_pe *pe);
int eeh_pe_inject_err(struct eeh_pe *pe, int type, int func,
		      unsigned long addr, unsigned long mask);

#endif
