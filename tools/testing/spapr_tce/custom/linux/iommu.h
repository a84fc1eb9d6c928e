/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For iommu_domain.c and pci-ioda-tce.c: what they use of the IOMMU API, of which
 * the tests are the other side.
 */
#ifndef _SPAPR_TCE_SHIM_LINUX_IOMMU_H
#define _SPAPR_TCE_SHIM_LINUX_IOMMU_H

#include <linux/list.h>
#include <linux/types.h>

#define IOMMU_READ	BIT(0)
#define IOMMU_WRITE	BIT(1)
#define IOMMU_CACHE	BIT(2)
#define IOMMU_NOEXEC	BIT(3)
#define IOMMU_MMIO	BIT(4)

struct iommu_domain;

struct iommu_iotlb_gather {
	unsigned long start;
	unsigned long end;
};

/* Which arguments attach_dev() has depends on the kernel; nobody calls it here */
struct iommu_domain_ops {
	int (*attach_dev)(struct iommu_domain *domain, struct device *dev);
	int (*map_pages)(struct iommu_domain *domain, unsigned long iova,
			 phys_addr_t paddr, size_t pgsize, size_t pgcount,
			 int prot, gfp_t gfp, size_t *mapped);
	size_t (*unmap_pages)(struct iommu_domain *domain, unsigned long iova,
			      size_t pgsize, size_t pgcount,
			      struct iommu_iotlb_gather *gather);
	int (*iotlb_sync_map)(struct iommu_domain *domain, unsigned long iova,
			      size_t size);
	void (*iotlb_sync)(struct iommu_domain *domain,
			   struct iommu_iotlb_gather *gather);
	void (*flush_iotlb_all)(struct iommu_domain *domain);
	phys_addr_t (*iova_to_phys)(struct iommu_domain *domain,
				    dma_addr_t iova);
	void (*free)(struct iommu_domain *domain);
};

struct iommu_domain {
	const struct iommu_domain_ops *ops;
	unsigned long pgsize_bitmap;
	struct {
		dma_addr_t aperture_start;
		dma_addr_t aperture_end;
		bool force_aperture;
	} geometry;
};

static inline void iommu_iotlb_gather_add_range(struct iommu_iotlb_gather *gather,
						unsigned long iova, size_t size)
{
	if (iova < gather->start)
		gather->start = iova;
	if (iova + size - 1 > gather->end)
		gather->end = iova + size - 1;
}

enum iommu_resv_type { IOMMU_RESV_RESERVED, IOMMU_RESV_MSI };

struct iommu_resv_region {
	struct list_head list;
	phys_addr_t start;
	size_t length;
	enum iommu_resv_type type;
};

struct iommu_resv_region *iommu_alloc_resv_region(phys_addr_t start,
						  size_t length, int prot,
						  enum iommu_resv_type type,
						  gfp_t gfp);
struct iommu_group *iommu_group_get(struct device *dev);

static inline void iommu_group_mutex_assert(struct device *dev)
{
}

#endif
