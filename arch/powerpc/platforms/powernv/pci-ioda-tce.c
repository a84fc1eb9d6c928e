// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCE tables of IODA2 and later host bridges (PHB3, PHB4, PHB5): the entries
 * that the hardware walks, the windows that make a PE use a table, and the
 * hand-over of a PE between the host's DMA API and a process.
 *
 * R1, R2, ... are the invariants in Documentation/arch/powerpc/tce.rst.
 */
#include <linux/dma-direction.h>
#include <linux/iommu.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/of.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

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

/* Groups of different containers and mutexes may come to, and leave, one table */
static DEFINE_SPINLOCK(pnv_link_lock);

/*
 * Cannot fail: the core of 7.x cannot report that a domain was not attached again after
 * a reset. Safe with __GFP_NOFAIL: a link is small, and a PE has at most three.
 */
static void pnv_pci_link_table(struct iommu_table_group *table_group,
			       struct iommu_table *tbl, int nid)
{
	struct iommu_table_group_link *tgl;

	tgl = kzalloc_node(sizeof(*tgl), GFP_KERNEL_ACCOUNT | __GFP_NOFAIL, nid);
	tgl->table_group = table_group;
	iommu_tce_table_get(tbl);
	spin_lock(&pnv_link_lock);
	list_add_rcu(&tgl->next, &tbl->it_group_list);
	spin_unlock(&pnv_link_lock);
	/*
	 * Pairs with the barrier of a kill: either the kill finds the PE on the
	 * list, or the PE finds the TCEs stored before the kill (R17).
	 */
	mb();
}

static void pnv_pci_unlink_table(struct iommu_table_group *table_group,
				 struct iommu_table *tbl)
{
	struct iommu_table_group_link *tgl;

	spin_lock(&pnv_link_lock);
	list_for_each_entry(tgl, &tbl->it_group_list, next) {
		if (tgl->table_group == table_group) {
			list_del_rcu(&tgl->next);
			kfree_rcu(tgl, rcu);
			break;
		}
	}
	spin_unlock(&pnv_link_lock);
	iommu_tce_table_put(tbl);
}

static struct pnv_ioda_pe *pnv_group_pe(struct iommu_table_group *table_group)
{
	return container_of(table_group, struct pnv_ioda_pe, table_group);
}

/* Set or clear entry 2 * PE + @num of the bridge's windows, and kill the PE (R18) */
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
	if (!rc) {
		pnv_pci_ioda2_tce_invalidate_pe(pe);
		if (!num)
			pe->window0_bypass = false;
	}

	return opal_error_code(rc);
}

/*
 * Test if windows of a PE are logged. Not those of a process, which may make and remove
 * them at any rate: it could fill the log, and to print a line takes longer than to
 * make a window. Trace events show them.
 */
static bool pnv_window_is_told(const struct pnv_ioda_pe *pe)
{
	return pe->owner == PNV_PE_HOST;
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
 * Return: 0 or a negative error, then nothing has changed; -EBUSY when a table
 * is there, or a paging domain has the PE.
 */
long pnv_pci_ioda2_set_window(struct iommu_table_group *table_group, int num,
			      struct iommu_table *tbl)
{
	struct pnv_ioda_pe *pe = pnv_group_pe(table_group);
	const u64 start = (u64)tbl->it_offset << tbl->it_page_shift;
	const u64 size = (u64)tbl->it_size << tbl->it_page_shift;
	long ret;

	if (table_group->tables[num] || pe->owner == PNV_PE_DOMAIN)
		return -EBUSY;

	if (pnv_window_is_told(pe))
		pe_info(pe, "DMA window#%d %llx..%llx, pages of %lx, levels %u\n",
			num, start, start + size - 1, IOMMU_PAGE_SIZE(tbl),
			tbl->it_tree.levels);

	/* A kill must find the PE from its first translation on (R17) */
	pnv_pci_link_table(table_group, tbl, pe->phb->hose->node);
	WRITE_ONCE(table_group->tables[num], tbl);

	ret = pnv_pe_map_window(pe, num, tbl);
	if (ret) {
		pe_err(pe, "Failed to set DMA window#%d, err %ld\n", num, ret);
		WRITE_ONCE(table_group->tables[num], NULL);
		pnv_pci_unlink_table(table_group, tbl);
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
 * Return: 0, or the error of the firmware; then the PE keeps its reference of
 * the table, stays on the list of those whose translations are killed, and is
 * not handed to anybody again.
 */
long pnv_pci_ioda2_unset_window(struct iommu_table_group *table_group, int num)
{
	struct pnv_ioda_pe *pe = pnv_group_pe(table_group);
	struct iommu_table *tbl = table_group->tables[num];
	long ret;

	if (pnv_window_is_told(pe))
		pe_info(pe, "Removing DMA window #%d\n", num);

	ret = pnv_pe_map_window(pe, num, NULL);
	WRITE_ONCE(table_group->tables[num], NULL);
	if (ret) {
		/* The PE may still use the table, so never free it (R9) */
		pe_err(pe, "Failed to remove DMA window#%d, err %ld\n", num,
		       ret);
		pe->window_stuck = true;
		return ret;
	}

	if (tbl)
		pnv_pci_unlink_table(table_group, tbl);

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
	struct iommu_table *host = pe->host_table;
	/* While it is set aside, the link and the reference of its window are kept */
	bool aside = host && table_group->tables[0] != host;
	int num;

	if (!pe->dma_setup_done)
		return;

	for (num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++)
		if (table_group->tables[num])
			pnv_pci_ioda2_unset_window(table_group, num);
	pnv_pci_ioda2_set_bypass(pe, false);

	iommu_unregister_group(table_group);
	if (aside)
		pnv_pci_unlink_table(table_group, host);
	pe->host_table = NULL;
	if (host)
		iommu_tce_table_put(host);
	/* Wait for kills that have found the PE by a link that is gone now */
	synchronize_rcu();
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

	RCU_LOCKDEP_WARN(tbl->it_user && !rcu_read_lock_held(),
			 "kill TCEs of PEs that may leave");
	/*
	 * The stores of TCEs must be visible before the list is read: to the bridges
	 * that are on it, and to a PE that is added after the list was read. Pairs
	 * with pnv_pci_link_table().
	 */
	mb();
	if (pnv_tce_kills_pe(tbl, npages)) {
		list_for_each_entry_lockless(tgl, &tbl->it_group_list, next)
			pnv_pci_ioda2_tce_invalidate_pe(pnv_group_pe(tgl->table_group));
		return;
	}
	list_for_each_entry_lockless(tgl, &tbl->it_group_list, next)
		pnv_pci_ioda2_tce_invalidate_pages(pnv_group_pe(tgl->table_group),
						   tbl->it_page_shift, index,
						   npages);
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
 * Ownership. The first device of a group for which the core asks changes the
 * state of the PE; for the others it is as it should be.
 *
 * While anybody else has the PE, the host's table is set aside: it keeps its
 * mappings, the reference of its window and its link to the PE, so that the host
 * gets it back without an allocation that could fail.
 */

/*
 * Set the host's table aside, and set window 0 to @tbl, or clear it. Whatever state
 * the host left the PE in (a window or none, both kinds of bypass), no translation of
 * the host remains; or an error is returned, and the PE must not be handed over.
 */
static long pnv_pe_park(struct pnv_ioda_pe *pe, struct iommu_table *tbl)
{
	bool bypass = pe->tce_bypass_enabled;
	long ret;

	/*
	 * Never cleared, and set before a step can fail: the bypass may be off because
	 * firmware refused to enable it again.
	 */
	pe->host_bypass |= bypass;

	ret = pnv_pci_ioda2_set_bypass(pe, false);
	if (ret)
		return ret;

	ret = pnv_pe_map_window(pe, 0, tbl);
	if (ret) {
		if (bypass)
			pnv_pci_ioda2_set_bypass(pe, true);
		return ret;
	}

	WRITE_ONCE(pe->table_group.tables[0], NULL);

	return 0;
}

/* Set window 0 to the host's table again, in place of none or of a domain's table */
static void pnv_pe_unpark(struct pnv_ioda_pe *pe)
{
	struct iommu_table_group *table_group = &pe->table_group;
	struct iommu_table *old = table_group->tables[0];
	long ret;

	ret = pnv_pe_map_window(pe, 0, pe->host_table);
	if (ret) {
		/* The next release of the PE tries again */
		pe_err(pe, "No DMA window for the host, err %ld\n", ret);
		if (old)
			pnv_pci_ioda2_unset_window(table_group, 0);
	} else {
		WRITE_ONCE(table_group->tables[0], pe->host_table);
		if (old)
			pnv_pci_unlink_table(table_group, old);
	}
	if (pe->host_bypass)
		pnv_pci_ioda2_set_bypass(pe, true);
}

static long pnv_ioda2_take_ownership(struct iommu_table_group *table_group,
				     struct device *dev)
{
	struct pnv_ioda_pe *pe = pnv_group_pe(table_group);
	enum pnv_pe_owner was = pe->owner;
	long ret = 0;

	iommu_group_mutex_assert(dev);
	pe->owner = PNV_PE_BLOCKED;
	if (was == PNV_PE_HOST)
		ret = pe->window_stuck ? -EIO : pnv_pe_park(pe, NULL);
	else if (was == PNV_PE_DOMAIN)
		/* Firmware may refuse: then nobody gets the PE, the table stays */
		pnv_pci_ioda2_unset_window(table_group, 0);
	if (ret)
		pe->owner = was;

	return ret;
}

/* Set up @dev only: other devices on its bus may belong to other PEs */
static void pnv_ioda2_release_ownership(struct iommu_table_group *table_group,
					struct device *dev)
{
	struct pnv_ioda_pe *pe = pnv_group_pe(table_group);

	iommu_group_mutex_assert(dev);
	if (pe->owner != PNV_PE_HOST) {
		if (pe->host_table) {
			pnv_pe_unpark(pe);
		} else {
			/* There was no memory for a table when the PE was set up */
			if (table_group->tables[0])
				pnv_pci_ioda2_unset_window(table_group, 0);
			pnv_pci_ioda2_setup_default_config(pe);
		}
		pe->owner = PNV_PE_HOST;
	}
	set_iommu_table_base(dev, pe->host_table);
	/* A device that was only reset keeps the offset of a bypass by window 0 */
	if (!pe->window0_bypass)
		dev->archdata.dma_offset = pe->tce_bypass_base;
}

/*
 * Paging domains.
 */

/* Four levels of 4 KiB: all bridges can walk them */
#define PNV_DOMAIN_LEVELS		4
#define PNV_DOMAIN_BITS			(PNV_DOMAIN_LEVELS * (12 - 3))

static long pnv_ioda2_create_domain_table(struct iommu_table_group *table_group,
					  struct iommu_table **ptbl)
{
	return pnv_pci_ioda2_create_table(table_group, 0, PAGE_SHIFT,
					  1UL << (PNV_DOMAIN_BITS + PAGE_SHIFT),
					  PNV_DOMAIN_LEVELS, NULL, ptbl);
}

/* A window is one register: the PE goes from the old table to the new one at once */
static long pnv_ioda2_set_domain(struct iommu_table_group *table_group,
				 struct iommu_table *tbl)
{
	struct pnv_ioda_pe *pe = pnv_group_pe(table_group);
	struct iommu_table *old = table_group->tables[0];
	enum pnv_pe_owner was = pe->owner;
	long ret;

	if (was == PNV_PE_DOMAIN && old == tbl)
		return 0;
	if (pe->window_stuck)
		return -EIO;
	if (was == PNV_PE_BLOCKED && (old || table_group->tables[1]))
		return -EBUSY;

	pnv_pci_link_table(table_group, tbl, pe->phb->hose->node);
	pe->owner = PNV_PE_DOMAIN;
	if (was == PNV_PE_HOST)
		ret = pnv_pe_park(pe, tbl);
	else
		ret = pnv_pe_map_window(pe, 0, tbl);
	if (ret) {
		pe->owner = was;
		pnv_pci_unlink_table(table_group, tbl);
		return ret;
	}

	WRITE_ONCE(table_group->tables[0], tbl);
	if (was == PNV_PE_DOMAIN)
		pnv_pci_unlink_table(table_group, old);

	return 0;
}

/* Must not fail: the IOMMU API sees no error, and would map in that region */
static void pnv_add_resv_region(struct list_head *head, u64 start, u64 size,
				enum iommu_resv_type type)
{
	struct iommu_resv_region *region;

	region = iommu_alloc_resv_region(start, size, 0, type,
					 GFP_KERNEL | __GFP_NOFAIL);
	list_add_tail(&region->list, head);
}

/* Addresses that never reach memory: interrupts, and the bridge's own MMIO windows */
static void pnv_ioda2_get_resv_regions(struct iommu_table_group *table_group,
				       struct list_head *head)
{
	struct pnv_phb *phb = pnv_group_pe(table_group)->phb;
	const u64 msi = SZ_4G - SZ_64K, m32 = phb->ioda.m32_pci_base;

	pnv_add_resv_region(head, msi, SZ_64K, IOMMU_RESV_MSI);
	if (m32 < msi)
		pnv_add_resv_region(head, m32, msi - m32, IOMMU_RESV_RESERVED);
	if (phb->ioda.m64_size)
		pnv_add_resv_region(head, phb->ioda.m64_base,
				    phb->ioda.m64_size, IOMMU_RESV_RESERVED);
}

static long pnv_ioda2_create_user_table(struct iommu_table_group *table_group,
					const struct tce_window_config *window,
					struct mm_struct *mm,
					struct iommu_table **ptbl)
{
	return pnv_pci_ioda2_create_table(table_group, window->num,
					  window->page_shift, window->size,
					  window->levels, mm, ptbl);
}

struct iommu_table_group_ops pnv_pci_ioda2_ops = {
	.create_user_table = pnv_ioda2_create_user_table,
	.set_window = pnv_pci_ioda2_set_window,
	.unset_window = pnv_pci_ioda2_unset_window,
	.take_ownership = pnv_ioda2_take_ownership,
	.release_ownership = pnv_ioda2_release_ownership,
	.create_domain_table = pnv_ioda2_create_domain_table,
	.set_domain = pnv_ioda2_set_domain,
	.get_resv_regions = pnv_ioda2_get_resv_regions,
};
#endif /* CONFIG_IOMMU_API */
