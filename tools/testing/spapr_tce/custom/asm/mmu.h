/* SPDX-License-Identifier: GPL-2.0-only */
/* Of the kernel's header, what registered memory has in an mm */
#ifndef _SPAPR_TCE_SHIM_MMU_H
#define _SPAPR_TCE_SHIM_MMU_H

struct mm_iommu_registry;

struct host_mm_context {
	struct mm_iommu_registry *iommu_registry;
};

#endif
