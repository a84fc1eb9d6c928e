/* SPDX-License-Identifier: GPL-2.0-only */
/* For iommu_domain.c: which addresses are RAM (glue-domain.c) */
#ifndef _SPAPR_TCE_SHIM_LINUX_MEMBLOCK_H
#define _SPAPR_TCE_SHIM_LINUX_MEMBLOCK_H

#include <linux/types.h>

bool memblock_is_region_memory(phys_addr_t base, phys_addr_t size);
bool memblock_is_memory(phys_addr_t addr);

#endif
