// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCE tables of IODA2 and later host bridges (PHB3, PHB4, PHB5): the entries
 * that the hardware walks, the windows that make a PE use a table, and the
 * hand-over of a PE between the host's DMA API and a process.
 *
 * R1, R2, ... are the invariants in Documentation/arch/powerpc/tce.rst.
 */
#include <linux/dma-direction.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/of.h>
#include <linux/rculist.h>
#include <linux/slab.h>

#include <asm/iommu.h>
#include <asm/tce_user_table.h>
#include <asm/opal.h>
#include <asm/tce.h>
#include <asm/tce_tree.h>

#include "pci.h"

/**
 * pnv_ioda_parse_tce_sizes() - IOMMU page sizes of a host bridge
 * @phb: the host bridge
 *
 * Context: any.
 *
 * Return: a mask with bit n set for pages of 1 << n bytes, from the device tree;
 * where firmware does not say it, the sizes of all bridges of that model.
 */
unsigned long pnv_ioda_parse_tce_sizes(struct pnv_phb *phb)
{
	struct device_node *dn = phb->hose->dn;
	unsigned long mask = 0;
	u32 shift;
	int i;

	for (i = 0; !of_property_read_u32_index(dn, "ibm,supported-tce-sizes",
						i, &shift); i++)
		mask |= BIT(shift);

	if (mask)
		return mask;

	mask = SZ_4K | SZ_64K;
	if (phb->model == PNV_PHB_MODEL_PHB3)
		mask |= SZ_16M | SZ_256M;

	return mask;
}

/*
 * Entries. Callers must prevent concurrent writes to one entry: the DMA API by its
 * allocator. Levels may be added at any time.
 */

/* Store TCEs @tce, @tce + @step, ... wherever leaves are present */
static void pnv_tce_store(struct tce_iter *iter, unsigned long index,
			  unsigned long npages, unsigned long tce,
			  unsigned long step)
{
	__be64 *entry, *end;

	for_each_tce_leaf(iter, index, npages) {
		entry = iter->entry;
		for (end = entry + iter->nr; entry < end; entry++, tce += step)
			tce_store(entry, tce);
	}
}

/**
 * pnv_tce_build() - map kernel memory for the DMA API
 * @tbl: the table
 * @index: first TCE
 * @npages: how many
 * @uaddr: address in the linear mapping
 * @direction: what the device may do
 * @attrs: not used
 *
 * Does not kill.
 *
 * Context: any in virtual mode, does not sleep.
 *
 * Return: 0, or -ENOMEM when a level could not be allocated.
 */
int pnv_tce_build(struct iommu_table *tbl, long index, long npages,
		  unsigned long uaddr, enum dma_data_direction direction,
		  unsigned long attrs)
{
	unsigned long perm = iommu_direction_to_tce_perm(direction);
	struct tce_iter iter = { .tree = &tbl->it_tree };
	int ret;

	ret = tce_iter_reserve(&iter, index - tbl->it_offset, npages,
			       GFP_ATOMIC);
	if (ret)
		return ret;

	/* Drivers may have a device read back what it wrote */
	if (perm & TCE_PCI_WRITE)
		perm |= TCE_PCI_READ;

	pnv_tce_store(&iter, index - tbl->it_offset, npages,
		      __pa(uaddr) | perm, IOMMU_PAGE_SIZE(tbl));

	return 0;
}

/**
 * pnv_tce_free() - clear TCEs
 * @tbl: the table
 * @index: first TCE
 * @npages: how many
 *
 * Does not kill. Skips absent levels.
 *
 * Context: any in virtual mode, does not sleep.
 */
void pnv_tce_free(struct iommu_table *tbl, long index, long npages)
{
	struct tce_iter iter = { .tree = &tbl->it_tree };

	pnv_tce_store(&iter, index - tbl->it_offset, npages, 0, 0);
}

/**
 * pnv_tce_get() - read a TCE
 * @tbl: the table
 * @index: index of the TCE
 *
 * Context: any, does not sleep.
 *
 * Return: the TCE; 0 if there is none.
 */
unsigned long pnv_tce_get(struct iommu_table *tbl, long index)
{
	__be64 *entry = tce_tree_walk(&tbl->it_tree, index - tbl->it_offset);

	return entry ? tce_load(entry) : 0;
}

/*
 * Tables.
 */

/**
 * pnv_pci_ioda2_table_alloc_pages() - set up a table with its first level
 * @nid: NUMA node of the host bridge
 * @bus_offset: PCI address at which the window starts
 * @page_shift: log2 of the IOMMU page size
 * @window_size: size of the window in bytes, a power of two
 * @levels: least number of levels
 * @mm: the process that owns the table and is charged; NULL for the host
 * @tbl: the table
 *
 * Context: process, may sleep.
 *
 * Return: 0; -EINVAL for a geometry that the hardware does not support; else as
 * user_table_init() or tce_tree_init().
 */
long pnv_pci_ioda2_table_alloc_pages(int nid, __u64 bus_offset,
				     __u32 page_shift, __u64 window_size,
				     __u32 levels, struct mm_struct *mm,
				     struct iommu_table *tbl)
{
	const struct user_table_config user = {
		.mm = mm,
		.levels = levels,
		.max_levels = POWERNV_IOMMU_MAX_LEVELS,
		.in_memory = true,
	};
	struct tce_tree_config host = {
		.levels = levels,
		.max_levels = POWERNV_IOMMU_MAX_LEVELS,
		.page_shift = page_shift,
		.nid = nid,
	};
	struct tce_tree *tree = &tbl->it_tree;
	int ret;

	if (!levels || levels > POWERNV_IOMMU_MAX_LEVELS ||
	    page_shift >= BITS_PER_LONG || !is_power_of_2(window_size) ||
	    !(window_size >> page_shift))
		return -EINVAL;

	tbl->it_type = TCE_PCI;
	tbl->it_blocksize = 16;
	tbl->it_nid = nid;
	tbl->it_page_shift = page_shift;
	tbl->it_offset = bus_offset >> page_shift;
	tbl->it_size = window_size >> page_shift;

	host.entries = tbl->it_size;
	if (mm)
		ret = user_table_init(tbl, &user);
	else
		ret = tce_tree_init(tree, &host, NULL);
	if (ret)
		return ret;

	tbl->it_base = (unsigned long)tree->root;
	tbl->it_indirect_levels = tree->levels - 1;
	tbl->it_level_size = 1UL << tce_tree_level_bits(tree);

	return 0;
}

/**
 * pnv_pci_ioda2_table_free_pages() - iommu_table_ops::free
 * @tbl: a table that no PE uses (R9); a user table has no levels any more
 *
 * Context: any that may free memory.
 */
void pnv_pci_ioda2_table_free_pages(struct iommu_table *tbl)
{
	if (tbl->it_tree.root)
		tce_tree_destroy(&tbl->it_tree);
}

/*
 * Windows.
 */

static int pnv_pci_link_table_and_group(int nid, int num,
					struct iommu_table *tbl,
					struct iommu_table_group *table_group)
{
	struct iommu_table_group_link *tgl;

	tgl = kzalloc_node(sizeof(*tgl), GFP_KERNEL, nid);
	if (!tgl)
		return -ENOMEM;

	tgl->table_group = table_group;
	table_group->tables[num] = iommu_tce_table_get(tbl);
	list_add_rcu(&tgl->next, &tbl->it_group_list);
	/*
	 * Pairs with the barrier of a kill: either the kill finds the PE on the
	 * list, or the PE finds the TCEs stored before the kill (R17).
	 */
	mb();

	return 0;
}

static void pnv_pci_unlink_table_and_group(int num,
					   struct iommu_table_group *table_group)
{
	struct iommu_table *tbl = table_group->tables[num];
	struct iommu_table_group_link *tgl;

	list_for_each_entry(tgl, &tbl->it_group_list, next) {
		if (tgl->table_group == table_group) {
			list_del_rcu(&tgl->next);
			kfree_rcu(tgl, rcu);
			break;
		}
	}
	table_group->tables[num] = NULL;
	iommu_tce_table_put(tbl);
}

static struct pnv_ioda_pe *pnv_group_pe(struct iommu_table_group *table_group)
{
	return container_of(table_group, struct pnv_ioda_pe, table_group);
}

/* Set the PE's window @num to @tbl, or clear it, and kill all of the PE (R18) */
static long pnv_pe_map_window(struct pnv_ioda_pe *pe, int num,
			      struct iommu_table *tbl)
{
	s64 rc;

	if (tbl)
		rc = opal_pci_map_pe_dma_window(pe->phb->opal_id, pe->pe_number,
						(pe->pe_number << 1) + num,
						tbl->it_tree.levels,
						__pa(tbl->it_tree.root),
						1UL << tbl->it_tree.level_shift,
						IOMMU_PAGE_SIZE(tbl));
	else
		rc = opal_pci_map_pe_dma_window(pe->phb->opal_id, pe->pe_number,
						(pe->pe_number << 1) + num,
						0, 0, 0, 0);
	if (!rc)
		pnv_pci_ioda2_tce_invalidate_pe(pe);

	return opal_error_code(rc);
}

/**
 * pnv_pci_ioda2_set_window() - make a PE use a table
 * @table_group: the PE's
 * @num: which window, 0 or 1 (selected by address bit 59)
 * @tbl: the table
 *
 * Context: process, may sleep. The caller must prevent other changes of the PE's
 * windows.
 *
 * Return: 0 or a negative error. After an error nothing has changed.
 */
long pnv_pci_ioda2_set_window(struct iommu_table_group *table_group, int num,
			      struct iommu_table *tbl)
{
	struct pnv_ioda_pe *pe = pnv_group_pe(table_group);
	const u64 start = (u64)tbl->it_offset << tbl->it_page_shift;
	const u64 size = (u64)tbl->it_size << tbl->it_page_shift;
	long ret;

	pe_info(pe, "DMA window#%d %llx..%llx, pages of %lx, levels %u\n", num,
		start, start + size - 1, IOMMU_PAGE_SIZE(tbl),
		tbl->it_tree.levels);

	/* A kill must find the PE from its first translation on (R17) */
	ret = pnv_pci_link_table_and_group(pe->phb->hose->node, num, tbl,
					   table_group);
	if (ret)
		return ret;

	ret = pnv_pe_map_window(pe, num, tbl);
	if (ret) {
		pe_err(pe, "Failed to set DMA window#%d, err %ld\n", num, ret);
		pnv_pci_unlink_table_and_group(num, table_group);
	}

	return ret;
}

/**
 * pnv_pci_ioda2_unset_window() - end a PE's use of a table
 * @table_group: the PE's
 * @num: which window
 *
 * Context: as pnv_pci_ioda2_set_window().
 *
 * Return: 0, or the error of firmware. After an error the PE keeps its reference
 * of the table and stays on the table's list, so that kills reach it (R17).
 */
long pnv_pci_ioda2_unset_window(struct iommu_table_group *table_group, int num)
{
	struct pnv_ioda_pe *pe = pnv_group_pe(table_group);
	long ret;

	pe_info(pe, "Removing DMA window #%d\n", num);

	ret = pnv_pe_map_window(pe, num, NULL);
	if (ret) {
		/* The PE may still use the table, so never free it (R9) */
		pe_err(pe, "Failed to remove DMA window#%d, err %ld\n", num,
		       ret);
		table_group->tables[num] = NULL;
		return ret;
	}

	if (table_group->tables[num])
		pnv_pci_unlink_table_and_group(num, table_group);

	return 0;
}

/**
 * pnv_pci_ioda2_release_pe_dma() - end all DMA of a PE whose last device is gone
 * @pe: the PE
 *
 * VFIO or KVM may keep the PE's IOMMU group, and the tables of its windows.
 * Neither must lead to the PE any more: another device may get the PE next.
 *
 * Context: process, may sleep.
 */
void pnv_pci_ioda2_release_pe_dma(struct pnv_ioda_pe *pe)
{
	struct iommu_table_group *table_group = &pe->table_group;
	struct iommu_table *host = NULL;
	int num;

	if (!pe->dma_setup_done)
		return;

	if (!pe->user_owned)
		host = table_group->tables[0];
	for (num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++)
		if (table_group->tables[num])
			pnv_pci_ioda2_unset_window(table_group, num);
	pnv_pci_ioda2_set_bypass(pe, false);

	iommu_unregister_group(table_group);
	if (host)
		iommu_tce_table_put(host);
}

/*
 * Kills: make bridges forget TCEs that were changed.
 */

/*
 * For more pages than this a kill of the whole PE costs less. Firmware takes the
 * number and the size of pages as 32 bits.
 */
#define PNV_TCE_KILL_PAGES_MAX		16

static bool pnv_tce_kills_pe(struct iommu_table *tbl, unsigned long npages)
{
	return npages > PNV_TCE_KILL_PAGES_MAX || tbl->it_page_shift >= 32;
}

/**
 * pnv_pci_ioda2_tce_invalidate() - iommu_table_ops::tce_kill
 * @tbl: the table
 * @index: first TCE that was changed
 * @npages: how many
 *
 * When this returns no PE uses the old TCEs any more.
 *
 * Context: any in virtual mode, does not sleep. The caller must be in an RCU
 * section if PEs may leave the table meanwhile.
 */
void pnv_pci_ioda2_tce_invalidate(struct iommu_table *tbl, unsigned long index,
				  unsigned long npages)
{
	struct iommu_table_group_link *tgl;
	struct pnv_ioda_pe *pe;

	/*
	 * Order the stores of TCEs before the loads of the list: bridges on the
	 * list see the TCEs, and so does a PE that joins later (R17). Pairs with
	 * pnv_pci_link_table_and_group().
	 */
	mb();
	list_for_each_entry_lockless(tgl, &tbl->it_group_list, next) {
		pe = pnv_group_pe(tgl->table_group);
		if (pnv_tce_kills_pe(tbl, npages))
			pnv_pci_ioda2_tce_invalidate_pe(pe);
		else
			pnv_pci_ioda2_tce_invalidate_pages(pe,
							   tbl->it_page_shift,
							   index, npages);
	}
}

#ifdef CONFIG_IOMMU_API
/*
 * Kills in real mode. PHB3 has a register for them; later bridges need firmware,
 * which real mode cannot call.
 */

#define PHB3_TCE_KILL			0x210
#define PHB3_TCE_KILL_PE		PPC_BIT(1)
#define PHB3_TCE_KILL_ONE		PPC_BIT(2)

static void pnv_phb3_tce_kill_rm(struct pnv_ioda_pe *pe,
				 struct iommu_table *tbl, unsigned long index,
				 unsigned long npages)
{
	/* The real address: the mapping for virtual mode is not usable (R19) */
	void __iomem *reg = (void __iomem *)(pe->phb->regs_phys + PHB3_TCE_KILL);
	u64 pe_number = pe->pe_number & 0xff;

	if (pnv_tce_kills_pe(tbl, npages)) {
		__raw_rm_writeq_be(PHB3_TCE_KILL_PE | pe_number, reg);
		return;
	}
	for (; npages; npages--, index++)
		__raw_rm_writeq_be(PHB3_TCE_KILL_ONE |
				   (index << tbl->it_page_shift) | pe_number,
				   reg);
}

static bool pnv_tce_has_kill_rm(struct iommu_table *tbl)
{
	struct iommu_table_group_link *tgl;
	struct pnv_phb *phb;

	list_for_each_entry_lockless(tgl, &tbl->it_group_list, next) {
		phb = pnv_group_pe(tgl->table_group)->phb;
		if (phb->model != PNV_PHB_MODEL_PHB3 || !phb->regs_phys)
			return false;
	}

	return true;
}

/**
 * pnv_pci_ioda2_tce_kill_rm() - iommu_table_ops::tce_kill_rm
 * @tbl: the table
 * @index: first TCE
 * @npages: how many; 0 only tests if real mode can kill
 *
 * A PE that joins the table meanwhile has no cached translations of the old TCEs
 * (R18).
 *
 * Context: real mode.
 *
 * Return: true if it was done; false, with nothing done, when a bridge needs
 * firmware for it.
 */
bool pnv_pci_ioda2_tce_kill_rm(struct iommu_table *tbl, unsigned long index,
			       unsigned long npages)
{
	struct iommu_table_group_link *tgl;

	if (!pnv_tce_has_kill_rm(tbl))
		return false;
	if (!npages)
		return true;
	/* As in pnv_pci_ioda2_tce_invalidate() */
	mb();
	list_for_each_entry_lockless(tgl, &tbl->it_group_list, next)
		pnv_phb3_tce_kill_rm(pnv_group_pe(tgl->table_group), tbl,
				     index, npages);

	return true;
}

/*
 * Ownership.
 */

static void pnv_pe_set_bus_dma(struct pnv_ioda_pe *pe, struct pci_bus *bus)
{
	struct pci_dev *dev;

	list_for_each_entry(dev, &bus->devices, bus_list) {
		set_iommu_table_base(&dev->dev, pe->table_group.tables[0]);
		dev->dev.archdata.dma_offset = pe->tce_bypass_base;

		if ((pe->flags & PNV_IODA_PE_BUS_ALL) && dev->subordinate)
			pnv_pe_set_bus_dma(pe, dev->subordinate);
	}
}

/* Tell the DMA API which table the PE's devices use now */
static void pnv_pe_set_dma(struct pnv_ioda_pe *pe)
{
	if (pe->pbus)
		pnv_pe_set_bus_dma(pe, pe->pbus);
	else if (pe->pdev)
		set_iommu_table_base(&pe->pdev->dev, pe->table_group.tables[0]);
}

/*
 * Called for each device of the group; the first call takes the PE from the host.
 * Whatever the host had set up (a default window or none, both kinds of bypass),
 * the PE has no translation afterwards, or the call fails.
 */
static long pnv_ioda2_take_ownership(struct iommu_table_group *table_group,
				     struct device *dev __maybe_unused)
{
	struct pnv_ioda_pe *pe = pnv_group_pe(table_group);
	struct iommu_table *tbl = table_group->tables[0];
	bool bypass = pe->tce_bypass_enabled;
	long ret;

	if (pe->user_owned)
		return 0;

	ret = pnv_pci_ioda2_set_bypass(pe, false);
	if (ret)
		return ret;

	/* The host may use window 0 as a bypass: clear it in any case */
	ret = pnv_pe_map_window(pe, 0, NULL);
	if (ret) {
		if (bypass)
			pnv_pci_ioda2_set_bypass(pe, true);
		return ret;
	}

	if (tbl) {
		pnv_pci_unlink_table_and_group(0, table_group);
		pnv_pe_set_dma(pe);
		iommu_tce_table_put(tbl);
	}
	pe->user_owned = true;

	return 0;
}

static void pnv_ioda2_release_ownership(struct iommu_table_group *table_group,
					struct device *dev __maybe_unused)
{
	struct pnv_ioda_pe *pe = pnv_group_pe(table_group);

	if (!pe->user_owned)
		return;

	pe->user_owned = false;
	pnv_pci_ioda2_setup_default_config(pe);
	pnv_pe_set_dma(pe);
}

static long pnv_ioda2_create_user_table(struct iommu_table_group *table_group,
					int num, __u32 page_shift,
					__u64 window_size, __u32 levels,
					struct mm_struct *mm,
					struct iommu_table **ptbl)
{
	return pnv_pci_ioda2_create_table(table_group, num, page_shift,
					  window_size, levels, mm, ptbl);
}

struct iommu_table_group_ops pnv_pci_ioda2_ops = {
	.create_user_table = pnv_ioda2_create_user_table,
	.set_window = pnv_pci_ioda2_set_window,
	.unset_window = pnv_pci_ioda2_unset_window,
	.take_ownership = pnv_ioda2_take_ownership,
	.release_ownership = pnv_ioda2_release_ownership,
};
#endif /* CONFIG_IOMMU_API */
