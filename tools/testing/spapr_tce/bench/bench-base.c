// SPDX-License-Identifier: GPL-2.0-only
/*
 * For the benchmark: what the base's files call in arch/powerpc/kernel/iommu.c
 * and in pci-ioda.c, around two PEs of a PHB4. Nothing here translates; that the
 * tables are right is for bench.c to see.
 */
#include "host.h"

struct host_pe host_pes[HOST_PES];
__thread unsigned long machine_kills;

/*
 * arch/powerpc/kernel/iommu.c
 */

/* Of each direction, the bits of a TCE; and the other way round */
static const unsigned long tce_perms[] = {
	[DMA_BIDIRECTIONAL] = TCE_PCI_READ | TCE_PCI_WRITE,
	[DMA_TO_DEVICE] = TCE_PCI_READ,
	[DMA_FROM_DEVICE] = TCE_PCI_WRITE,
	[DMA_NONE] = 0,
};

static const enum dma_data_direction tce_directions[] = {
	[0] = DMA_NONE,
	[TCE_PCI_READ] = DMA_TO_DEVICE,
	[TCE_PCI_WRITE] = DMA_FROM_DEVICE,
	[TCE_PCI_READ | TCE_PCI_WRITE] = DMA_BIDIRECTIONAL,
};

unsigned long iommu_direction_to_tce_perm(enum dma_data_direction dir)
{
	return tce_perms[dir];
}

enum dma_data_direction iommu_tce_direction(unsigned long tce)
{
	return tce_directions[tce & (TCE_PCI_READ | TCE_PCI_WRITE)];
}

int iommu_tce_check_gpa(unsigned long page_shift, unsigned long gpa)
{
	return gpa & ((1UL << page_shift) - 1) ? -EINVAL : 0;
}

int iommu_tce_check_ioba(unsigned long page_shift, unsigned long offset,
			 unsigned long size, unsigned long ioba,
			 unsigned long npages)
{
	unsigned long first = (ioba >> page_shift) - offset;

	if (iommu_tce_check_gpa(page_shift, ioba) || ioba >> page_shift < offset ||
	    first + npages < first || first + npages > size)
		return -EINVAL;

	return 0;
}

/* What was replaced, and could be written to, is dirty */
long iommu_tce_xchg_no_kill(struct mm_struct *mm, struct iommu_table *tbl,
			    unsigned long entry, unsigned long *hpa,
			    enum dma_data_direction *direction)
{
	unsigned long size = 0;
	long ret;

	ret = tbl->it_ops->xchg_no_kill(tbl, entry, hpa, direction);
	if (ret || !(tce_perms[*direction] & TCE_PCI_WRITE))
		return ret;
	if (!mm_iommu_is_devmem(mm, *hpa, tbl->it_page_shift, &size))
		SetPageDirty(host_mem_map + ((*hpa - HOST_PHYS_BASE) >> PAGE_SHIFT));

	return 0;
}

void iommu_tce_kill(struct iommu_table *tbl, unsigned long entry,
		    unsigned long pages)
{
	tbl->it_ops->tce_kill(tbl, entry, pages);
}

void iommu_flush_tce(struct iommu_table *tbl)
{
	__sync_synchronize();
}

struct iommu_table *iommu_tce_table_get(struct iommu_table *tbl)
{
	__atomic_fetch_add(&tbl->it_kref.count, 1, __ATOMIC_SEQ_CST);

	return tbl;
}

int iommu_tce_table_put(struct iommu_table *tbl)
{
	if (__atomic_sub_fetch(&tbl->it_kref.count, 1, __ATOMIC_SEQ_CST))
		return 0;
	tbl->it_ops->free(tbl);
	host_usage.tables--;
	free(tbl);

	return 1;
}

/*
 * Firmware, and pci-ioda.c
 */

static const u32 sizes_phb4[] = { 12, 16, 21, 30 };
static struct device_node dn = { sizes_phb4, ARRAY_SIZE(sizes_phb4) };
static struct pci_controller hose = { .dn = &dn };
static struct pnv_phb phb = { .hose = &hose };

int of_property_count_u32_elems(const struct device_node *np, const char *name)
{
	return np->nr_tce_sizes;
}

int of_property_read_u32_index(const struct device_node *np, const char *name,
			       u32 index, u32 *value)
{
	*value = np->tce_sizes[index];

	return 0;
}

static struct pnv_ioda_pe *to_pe(struct iommu_table_group *group)
{
	return container_of(group, struct pnv_ioda_pe, table_group);
}

/* A kill takes no time */
static void tce_kill(struct iommu_table *tbl, unsigned long index,
		     unsigned long pages)
{
	struct iommu_table_group_link *tgl;

	list_for_each_entry_lockless(tgl, &tbl->it_group_list, next)
		machine_kills++;
}

static struct iommu_table_ops table_ops = {
	.xchg_no_kill = pnv_tce_xchg,
	.tce_kill = tce_kill,
	.useraddrptr = pnv_tce_useraddrptr,
	.get = pnv_tce_get,
	.free = pnv_pci_ioda2_table_free_pages,
};

/* For the charge, which need not be right here */
static unsigned long get_table_size(__u32 page_shift, __u64 window_size,
				    __u32 levels)
{
	return 16 * (window_size >> page_shift);
}

static long create_table(struct iommu_table_group *group, int num,
			 __u32 page_shift, __u64 window_size, __u32 levels,
			 struct iommu_table **ptbl)
{
	struct pnv_ioda_pe *pe = to_pe(group);
	struct iommu_table *tbl = calloc(1, sizeof(*tbl));
	long ret;

	INIT_LIST_HEAD(&tbl->it_group_list);
	tbl->it_kref.count = 1;
	tbl->it_ops = &table_ops;
	ret = pnv_pci_ioda2_table_alloc_pages(0, num ? pe->tce_bypass_base : 0,
					      page_shift, window_size, levels,
					      true, tbl);
	if (ret) {
		free(tbl);
		return ret;
	}
	tbl->it_allocated_size = get_table_size(page_shift, window_size, levels);
	host_usage.tables++;
	*ptbl = tbl;

	return 0;
}

static long set_window(struct iommu_table_group *group, int num,
		       struct iommu_table *tbl)
{
	return pnv_pci_link_table_and_group(0, num, tbl, group);
}

static long unset_window(struct iommu_table_group *group, int num)
{
	pnv_pci_unlink_table_and_group(group->tables[num], group);

	return 0;
}

static long take_ownership(struct iommu_table_group *group, struct device *dev)
{
	return 0;
}

static void release_ownership(struct iommu_table_group *group,
			      struct device *dev)
{
}

static struct iommu_table_group_ops group_ops = {
	.get_table_size = get_table_size,
	.create_table = create_table,
	.set_window = set_window,
	.unset_window = unset_window,
	.take_ownership = take_ownership,
	.release_ownership = release_ownership,
};

struct iommu_group *host_group(struct host_pe *hpe)
{
	return (struct iommu_group *)hpe;
}

void *iommu_group_get_iommudata(struct iommu_group *group)
{
	return &((struct host_pe *)group)->pe.table_group;
}

int iommu_group_id(struct iommu_group *group)
{
	return 0;
}

void machine_level_freed(const void *level)
{
}

void machine_init(void)
{
	struct pnv_ioda_pe *pe;
	int i;

	for (i = 0; i < 2; i++) {
		pe = &host_pes[i].pe;
		*pe = (struct pnv_ioda_pe) {
			.phb = &phb,
			.tce_bypass_base = 1UL << 59,
			.table_group = {
				.tce32_size = SZ_1G,
				.max_dynamic_windows_supported = 2,
				.max_levels = POWERNV_IOMMU_MAX_LEVELS,
				.ops = &group_ops,
			},
		};
		pe->table_group.pgsizes = pnv_ioda_parse_tce_sizes(&phb);
	}
}

void machine_reset(void)
{
}

/* In the base, nothing is left to be given back */
void mm_iommu_destroy(struct mm_struct *mm)
{
}

/*
 * EEH: not asked for
 */

bool eeh_enabled(void)
{
	return false;
}

struct eeh_pe *eeh_iommu_group_to_pe(struct iommu_group *group)
{
	return NULL;
}

int eeh_pe_set_option(struct eeh_pe *pe, int option)
{
	return -ENODEV;
}

int eeh_pe_get_state(struct eeh_pe *pe)
{
	return -ENODEV;
}

int eeh_pe_reset(struct eeh_pe *pe, int option, bool include_passed)
{
	return -ENODEV;
}

int eeh_pe_configure(struct eeh_pe *pe)
{
	return -ENODEV;
}

int eeh_pe_inject_err(struct eeh_pe *pe, int type, int func,
		      unsigned long addr, unsigned long mask)
{
	return -ENODEV;
}
