// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a page costs in a page table of x86 as the kernel has it since 7.x for
 * iommufd on other machines (drivers/iommu/generic_pt), called as the core of the
 * IOMMU API does. Its files are compiled as they are, out of a kernel source that
 * is not this one.
 *
 * Usage: generic-pt [MS [COUNT]]
 *
 * Lines as ranges.h says, and one "aligned": 4096 pages that lie in memory as they
 * do in the domain, so that they take entries of 2 MiB.
 *
 * Levels come from a list of free pages and are cleared; nothing is flushed.
 */
#include "fmt/iommu_x86_64.c"

#include "ranges.h"

#define RAM	BIT(36)
#define POOL	8192

static struct pt_iommu_x86_64 table;
static char *pool;
static struct ioptdesc descs[POOL];
static struct list_head free_pages = LIST_HEAD_INIT(free_pages);
static unsigned long offset = RAM;

struct folio *virt_to_folio(const void *virt)
{
	return (struct folio *)&descs[((char *)virt - pool) >> PAGE_SHIFT];
}

static void put_desc(struct ioptdesc *desc)
{
	list_add_tail(&desc->iopt_freelist_elm, &free_pages);
}

/* The one that was freed last, as a cache of pages gives it */
void *iommu_alloc_pages_node_sz(int nid, gfp_t gfp, size_t size)
{
	struct list_head *last = free_pages.prev;
	struct ioptdesc *desc;

	(void)nid;
	(void)gfp;
	if (list_empty(&free_pages) || size != PAGE_SIZE)
		return NULL;
	free_pages.prev = last->prev;
	last->prev->next = &free_pages;
	desc = container_of(last, struct ioptdesc, iopt_freelist_elm);

	return memset(pool + ((desc - descs) << PAGE_SHIFT), 0, PAGE_SIZE);
}

void iommu_free_pages(void *virt)
{
	put_desc(virt_to_ioptdesc(virt));
}

void iommu_put_pages_list(struct iommu_pages_list *list)
{
	struct list_head *e, *next;

	for (e = list->pages.next; e != &list->pages; e = next) {
		next = e->next;
		put_desc(container_of(e, struct ioptdesc, iopt_freelist_elm));
	}
}

int iommu_pages_start_incoherent(void *virt, struct device *dma_dev)
{
	(void)virt;
	(void)dma_dev;
	return 0;
}

int iommu_pages_start_incoherent_list(struct iommu_pages_list *list,
				      struct device *dma_dev)
{
	(void)list;
	(void)dma_dev;
	return 0;
}

void iommu_iotlb_sync(struct iommu_domain *domain, struct iommu_iotlb_gather *gather)
{
	(void)domain;
	iommu_put_pages_list(&gather->freelist);
	iommu_iotlb_gather_init(gather);
}

static void map(unsigned long iova, unsigned long nr)
{
	size_t mapped = 0;

	if (table.iommu.ops->map_range(&table.iommu, iova, offset, nr * PAGE_SIZE,
				       IOMMU_READ | IOMMU_WRITE, GFP_KERNEL, &mapped))
		abort();
}

static void unmap(unsigned long iova, unsigned long nr)
{
	struct iommu_iotlb_gather gather;

	iommu_iotlb_gather_init(&gather);
	if (table.iommu.ops->unmap_range(&table.iommu, iova, nr * PAGE_SIZE,
					 &gather) != nr * PAGE_SIZE)
		abort();
	iommu_iotlb_sync(&table.iommu.domain, &gather);
}

int main(int argc, char **argv)
{
	struct pt_iommu_x86_64_cfg cfg = {
		.common.hw_max_vasz_lg2 = 47,
		.common.hw_max_oasz_lg2 = 52,
		.top_level = 3,
	};
	int i;

	if (argc > 1)
		ranges_ns = strtoul(argv[1], NULL, 0) * 1000000;
	pool = aligned_alloc(BIT(21), POOL * PAGE_SIZE);
	if (!pool)
		abort();
	memset(pool, 0, POOL * PAGE_SIZE);
	for (i = 0; i < POOL; i++)
		put_desc(&descs[i]);
	if (pt_iommu_x86_64_init(&table, &cfg, GFP_KERNEL))
		abort();
	ranges_lines(argc > 2);
	offset = RAM + 8 * PAGE_SIZE;
	ranges_line(4096, "aligned", 0);

	return 0;
}
