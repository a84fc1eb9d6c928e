/* SPDX-License-Identifier: GPL-2.0-only */
/* Of the base's header, what registered memory has in an mm */
#ifndef _SPAPR_TCE_SHIM_BASE_MMU_H
#define _SPAPR_TCE_SHIM_BASE_MMU_H

struct host_mm_context {
	struct list_head iommu_group_mem_list;
};

#endif
