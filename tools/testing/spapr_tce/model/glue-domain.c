// SPDX-License-Identifier: GPL-2.0-only
/* Paging domains as they are, and what they ask the rest of the kernel */
#pragma weak spapr_tce_domain_attach_dev
#include "iommu_domain.c"

#include "host.h"

struct page *pfn_to_online_page(unsigned long pfn)
{
	unsigned long addr = pfn << PAGE_SHIFT;

	return addr >= HOST_RAM && addr < HOST_RAM_END ? host_mem_map : NULL;
}

struct iommu_resv_region *iommu_alloc_resv_region(phys_addr_t start,
						  size_t length, int prot,
						  enum iommu_resv_type type,
						  gfp_t gfp)
{
	struct iommu_resv_region *region = kzalloc(sizeof(*region), gfp);

	if (!region)
		return NULL;
	region->start = start;
	region->length = length;
	region->type = type;

	return region;
}

struct iommu_group *iommu_group_get(struct device *dev)
{
	return dev->iommu_group ? iommu_group_ref_get(dev->iommu_group) : NULL;
}

/* For tests: the table of a domain */
struct iommu_table *glue_domain_table(struct iommu_domain *domain)
{
	return to_tce_domain(domain)->tbl;
}

/* ... and how many levels were taken out since the last flush */
unsigned long glue_domain_taken(struct iommu_domain *domain)
{
	struct tce_spares *taken = &to_tce_domain(domain)->taken;

	return taken->nr[TCE_INNER] + taken->nr[TCE_LEAF];
}

/* As an unmap of a range does it */
void glue_domain_take(struct iommu_domain *domain, unsigned long index, unsigned long nr)
{
	tce_domain_levels_take(to_tce_domain(domain), index, nr);
}
