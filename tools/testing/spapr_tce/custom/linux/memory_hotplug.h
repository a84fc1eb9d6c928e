/* SPDX-License-Identifier: GPL-2.0-only */
/* For iommu_domain.c: which addresses are RAM (glue-domain.c) */
#ifndef _SPAPR_TCE_SHIM_LINUX_MEMORY_HOTPLUG_H
#define _SPAPR_TCE_SHIM_LINUX_MEMORY_HOTPLUG_H

struct page *pfn_to_online_page(unsigned long pfn);

#endif
