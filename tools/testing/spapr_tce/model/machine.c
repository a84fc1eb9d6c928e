// SPDX-License-Identifier: GPL-2.0-only
/*
 * Host bridges: two windows per PE that translate as the hardware does, from
 * the very bytes of the tables, and remember what they translated until it is
 * killed. They read whole lines of a table, and remember entries that are empty
 * as well: a map that kills nothing is not seen by the device. The device is as
 * eager as a device can be: whatever it may fetch, it has fetched already, and
 * what is killed it fetches again at once. What
 * firmware and pci-ioda.c do for the files under test is done here.
 */
#include <stdarg.h>

#include "lpar.h"

#define OPAL_SUCCESS	0
#define OPAL_PARAMETER	-1
#define OPAL_HARDWARE	-6

#define WINDOW_SHIFT	59

struct host_pe host_pes[HOST_PES];
/* To remove a window is a step that can fail; its table then never goes */
bool machine_removal_fails;
/* Several threads: what a TCE holds can be told only when they rest */
bool machine_threads;
LIST_HEAD(host_tables);
static DEFINE_MUTEX(tables_lock);

/* Two bridges like PHB4, two like PHB3 */
static const u32 sizes_phb4[] = { 12, 16, 21, 30 };
static struct device_node dn_phb4 = { sizes_phb4, ARRAY_SIZE(sizes_phb4) };
static struct device_node dn_phb3;
static struct pci_controller hose_phb4 = { .dn = &dn_phb4 };
static struct pci_controller hose_phb3 = { .dn = &dn_phb3 };
static struct pnv_phb phbs[] = {
	{ .hose = &hose_phb4, .opal_id = 0 },
	{ .hose = &hose_phb4, .opal_id = 1 },
	{
		.hose = &hose_phb3,
		.opal_id = 2,
		.model = PNV_PHB_MODEL_PHB3,
		.regs_phys = 0x3fff000000000,
	}, {
		.hose = &hose_phb3,
		.opal_id = 3,
		.model = PNV_PHB_MODEL_PHB3,
		.regs_phys = 0x3fff800000000,
	},
};

/* PEs 0 and 1 share a bridge, and so do 3 and 4 */
static struct pnv_phb * const phb_of_pe[HOST_PES] = {
	phbs, phbs, phbs + 1, phbs + 2, phbs + 2, phbs + 3,
};

int of_property_read_u32_index(const struct device_node *np, const char *name,
			       u32 index, u32 *value)
{
	WARN_ON(strcmp(name, "ibm,supported-tce-sizes"));
	if (index >= (u32)np->nr_tce_sizes)
		return -EOVERFLOW;
	*value = np->tce_sizes[index];

	return 0;
}

/* How many lines the kernel's log would have */
unsigned int host_pe_messages;

void host_pe_printk(struct pnv_ioda_pe *pe, const char *fmt, ...)
{
	static int verbose = -1;
	va_list args;

	host_pe_messages++;
	if (verbose < 0)
		verbose = getenv("V") && *getenv("V");
	if (!verbose)
		return;
	fprintf(stderr, "pe %u: ", pe->pe_number);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
}

struct iommu_group *host_group(struct host_pe *hpe)
{
	return (struct iommu_group *)hpe;
}

int iommu_group_id(struct iommu_group *group)
{
	return (struct host_pe *)group - host_pes;
}

void *iommu_group_get_iommudata(struct iommu_group *group)
{
	struct host_pe *hpe = (struct host_pe *)group;

	return hpe->no_iommudata ? NULL : &hpe->pe.table_group;
}

void iommu_group_set_iommudata(struct iommu_group *group, void *data,
			       void (*release)(void *data))
{
	((struct host_pe *)group)->no_iommudata = !data;
}

static struct host_pe *group_pe(struct iommu_group *group)
{
	return (struct host_pe *)group;
}

struct iommu_group *iommu_group_ref_get(struct iommu_group *group)
{
	__atomic_fetch_add(&group_pe(group)->group_refs, 1, __ATOMIC_SEQ_CST);

	return group;
}

void iommu_group_put(struct iommu_group *group)
{
	if (!group)
		return;
	WARN_ON(__atomic_sub_fetch(&group_pe(group)->group_refs, 1,
				   __ATOMIC_SEQ_CST) < 0);
}

static struct host_pe *to_host_pe(struct pnv_ioda_pe *pe)
{
	return container_of(pe, struct host_pe, pe);
}

/*
 * Translation.
 */

static unsigned int tve_bits(const struct tve *tve)
{
	return ilog2(tve->level_size / 8);
}

static unsigned int tve_shift(const struct tve *tve)
{
	return ilog2(tve->page_size);
}

static u64 *level_at(unsigned long level)
{
	if (level < HOST_LINEAR_OFFSET)
		host_die("%#lx is no address of kernel memory\n", level);

	return __va(level);
}

static unsigned long tve_read(unsigned long level, unsigned long slot)
{
	u64 *entry = level_at(level) + slot;

	/* The next level is read through this one, hence in order */
	return be64_to_cpu(__atomic_load_n(entry, __ATOMIC_ACQUIRE));
}

/* The TCE of @index, 0 where the way ends; by what the bridge remembers of levels */
static unsigned long tve_walk(const struct host_pe *hpe, unsigned int window,
			      unsigned long index, bool remembered)
{
	const struct tve *tve = hpe->tve + window;
	unsigned int bits = tve_bits(tve), depth = tve->levels;
	unsigned long entry = tve->table;

	if (!depth || index >> (bits * depth))
		return 0;
	if (remembered)
		links_follow(hpe, window, index, &entry, &depth);
	while (depth--) {
		entry = tve_read(entry & ~0xfffUL,
				 (index >> (depth * bits)) & ((1UL << bits) - 1));
		if (!(entry & (TCE_PCI_READ | TCE_PCI_WRITE)))
			return 0;
	}

	return entry;
}

struct scan {
	struct host_pe *hpe;
	unsigned int window;
	tce_visit fn;
	void *priv;
};

static void tve_scan(const struct scan *scan, unsigned long level,
		     unsigned int depth, unsigned long index)
{
	const struct tve *tve = scan->hpe->tve + scan->window;
	unsigned long slot, entry;

	for (slot = 0; slot < tve->level_size / 8; slot++) {
		entry = tve_read(level, slot);
		if (!entry)
			continue;
		/* A level that is being taken out of a domain's table */
		if (!(entry & (TCE_PCI_READ | TCE_PCI_WRITE)) && machine_threads)
			continue;
		if (!(entry & (TCE_PCI_READ | TCE_PCI_WRITE)))
			host_die("an entry without permissions is not zero: %#lx\n",
				 entry);
		if (depth > 1)
			tve_scan(scan, entry & ~0xfffUL, depth - 1,
				 (index | slot) << tve_bits(tve));
		else
			scan->fn(scan->hpe, scan->window, tve_shift(tve),
				 index | slot, entry, scan->priv);
	}
}

/**
 * machine_visit_tces() - all valid TCEs that a PE can reach
 * @hpe: the PE
 * @fn: what to call
 * @priv: for @fn
 */
void machine_visit_tces(struct host_pe *hpe, tce_visit fn, void *priv)
{
	struct scan scan = { .hpe = hpe, .fn = fn, .priv = priv };

	for (scan.window = 0; scan.window < 2; scan.window++)
		if (hpe->tve[scan.window].levels)
			tve_scan(&scan, hpe->tve[scan.window].table,
				 hpe->tve[scan.window].levels, 0);
}

/*
 * What the bridge remembers.
 */

/**
 * machine_shadow() - what a TCE of a user-owned table holds on to
 * @tbl: the table
 * @index: which TCE, counted from the start of the table
 *
 * Return: the entry of the view, 0 if there is none.
 */
unsigned long machine_shadow(struct iommu_table *tbl, unsigned long index)
{
	__be64 *entry = tce_tree_walk(&tbl->it_tree, index);

	return entry ? tce_load(tce_tree_shadow(&tbl->it_tree, entry)) : 0;
}

/* The same as the bridge sees it, 0 when that is the host's */
static unsigned long tlb_held(struct host_pe *hpe, unsigned int window,
			      unsigned long index)
{
	struct iommu_table *tbl;

	if (machine_threads)
		return 0;
	tbl = hpe->pe.table_group.tables[window];
	if (!tbl || !tbl->it_user)
		return 0;

	return machine_shadow(tbl, index);
}

static void tlb_count(const struct host_tlb *tlb, int n)
{
	unsigned long hpa = tlb->tce & ~0xfffUL, i;

	if (!tlb->tce || hpa >= HOST_LINEAR_OFFSET)
		return;
	for (i = 0; i < max(1UL << tlb->shift >> PAGE_SHIFT, 1UL); i++)
		__atomic_fetch_add(&pfn_to_page((hpa >> PAGE_SHIFT) + i)->cached,
				   n, __ATOMIC_RELAXED);
}

static void tlb_add(struct host_pe *hpe, struct host_tlb new)
{
	if (hpe->nr_tlb == hpe->max_tlb) {
		hpe->max_tlb = hpe->max_tlb * 2 ?: 64;
		hpe->tlb = realloc(hpe->tlb, hpe->max_tlb * sizeof(new));
	}
	hpe->tlb[hpe->nr_tlb++] = new;
	tlb_count(&new, 1);
}

/* A range of one window, for a kill */
struct range {
	unsigned int window;
	unsigned long first, nr;
};

static bool in_range(const struct range *range, unsigned int window,
		     unsigned long index)
{
	return !range || (window == range->window && index - range->first < range->nr);
}

/* TCEs of a line: 128 bytes */
#define LINE_TCES	16UL

/*
 * Fetch what is in @range, or all, of the line of a valid TCE. Others of that
 * line may have been visited just before.
 */
static void tlb_fill(struct host_pe *hpe, unsigned int window,
		     unsigned int shift, unsigned long index, unsigned long tce,
		     void *range)
{
	const struct host_tlb *last = hpe->nr_tlb ? hpe->tlb + hpe->nr_tlb - 1 : NULL;
	unsigned long i = index & ~(LINE_TCES - 1), end = i + LINE_TCES;

	if (last && last->fetched && last->window == window && last->index >= i &&
	    last->index < end)
		return;
	for (; i < end; i++)
		if (in_range(range, window, i))
			tlb_add(hpe, (struct host_tlb) {
				.window = window,
				.shift = shift,
				.index = i,
				.tce = i == index && !hpe->stale_links ? tce :
					tve_walk(hpe, window, i, true),
				.held = tlb_held(hpe, window, i),
				.fetched = true,
			});
}

/*
 * What is about to be killed could be used until now, so it must be held until
 * now: pinned, and its region counted.
 */
static void tlb_check_held(struct host_pe *hpe, const struct host_tlb *tlb)
{
	struct host_region region;
	struct iommu_table *tbl;
	struct page *page;

	if (!tlb->tce || tlb->tce >= HOST_LINEAR_OFFSET)
		return;
	page = pfn_to_page(tlb->tce >> PAGE_SHIFT);
	if (READ_ONCE(page->pins) < 1)
		host_die("a device reached page %#lx after it was given back\n",
			 page_to_phys(page));
	if (!(tlb->held & TCE_SHADOW_UA))
		return;
	tbl = hpe->pe.table_group.tables[tlb->window];
	if (!glue_region_at(tbl->it_user->mm, tlb->held & ~TCE_SHADOW_FLAGS,
			    &region) ||
	    region.mapped < 1 + !!region.used)
		host_die("a TCE was uncounted before it was killed\n");
}

#ifdef HOST_BENCH
/* Nothing is remembered, and a kill takes no time */
__thread unsigned long machine_kills;

static void tlb_kill(struct host_pe *hpe, const struct range *range)
{
	machine_kills++;
}
#else
static void tlb_kill(struct host_pe *hpe, const struct range *range)
{
	struct iommu_table *tbl;
	unsigned int i, kept = 0;

	model_lock(&hpe->lock);
	tbl = range && !machine_threads ? hpe->pe.table_group.tables[range->window] : NULL;
	if (tbl && range->first + range->nr > tbl->it_size)
		host_die("%lu TCEs are killed at %#lx of %#lx\n", range->nr,
			 range->first, tbl->it_size);
	hpe->kills++;
	for (i = 0; i < hpe->nr_tlb; i++) {
		hpe->tlb[i].fetched = false;
		if (!in_range(range, hpe->tlb[i].window, hpe->tlb[i].index)) {
			hpe->tlb[kept++] = hpe->tlb[i];
			continue;
		}
		tlb_check_held(hpe, hpe->tlb + i);
		tlb_count(hpe->tlb + i, -1);
	}
	hpe->nr_tlb = kept;
	for (i = 0; i < 2; i++)
		if (!range)
			links_kill(hpe, i, 0, LONG_MAX);
		else if (range->window == i)
			links_kill(hpe, i, range->first, range->nr);
	machine_visit_tces(hpe, tlb_fill, (void *)range);
	model_unlock(&hpe->lock);
}
#endif

/**
 * machine_check() - no bridge remembers what is no longer so
 *
 * Afterwards each remembers everything that there is.
 */
void machine_check(void)
{
	struct host_pe *hpe;
	struct host_tlb *tlb;
	unsigned int i;

	for (hpe = host_pes; hpe < host_pes + HOST_PES; hpe++) {
		for (i = 0; i < hpe->nr_tlb; i++) {
			tlb = hpe->tlb + i;
			if (tve_walk(hpe, tlb->window, tlb->index, false) != tlb->tce)
				host_die("pe %u still translates TCE %#lx of window %u as %#lx\n",
					 hpe->pe.pe_number, tlb->index,
					 tlb->window, tlb->tce);
			tlb_count(tlb, -1);
		}
		hpe->nr_tlb = 0;
		for (i = 0; i < 2; i++)
			links_kill(hpe, i, 0, LONG_MAX);
		machine_visit_tces(hpe, tlb_fill, NULL);
	}
}

/* No bridge may start at a level that is freed, or walk through it */
void machine_level_freed(const void *level)
{
	struct host_pe *hpe;
	unsigned int i;

	for (hpe = host_pes; hpe < host_pes + HOST_PES; hpe++) {
		model_lock(&hpe->lock);
		links_freed(hpe, __pa(level));
		for (i = 0; i < 2; i++)
			if (hpe->tve[i].levels && hpe->tve[i].table == __pa(level))
				host_die("a table is freed while pe %u uses it\n",
					 hpe->pe.pe_number);
		model_unlock(&hpe->lock);
	}
}

/**
 * machine_dma() - a device reads or writes
 * @hpe: its PE
 * @addr: PCI address
 * @write: it writes
 *
 * Return: the real address that it reaches, or -EFAULT.
 */
long machine_dma(struct host_pe *hpe, unsigned long addr, bool write)
{
	unsigned int window = (addr >> WINDOW_SHIFT) & 1, i;
	unsigned long perm = write ? TCE_PCI_WRITE : TCE_PCI_READ;
	unsigned long offset = addr & ((1UL << WINDOW_SHIFT) - 1), index, tce;
	struct tve *tve = hpe->tve + window;
	long ret = -EFAULT;

	if (addr >> (WINDOW_SHIFT + 1))
		return -EFAULT;

	model_lock(&hpe->lock);
	if (tve->bypass) {
		ret = offset;
		goto out;
	}
	if (!tve->levels)
		goto out;
	index = offset >> tve_shift(tve);
	for (i = 0; i < hpe->nr_tlb; i++)
		if (hpe->tlb[i].window == window && hpe->tlb[i].index == index)
			break;
	/* What it holds is for those to look at who keep the table */
	if (i == hpe->nr_tlb)
		tlb_add(hpe, (struct host_tlb) {
			.window = window,
			.shift = tve_shift(tve),
			.index = index,
			.tce = tve_walk(hpe, window, index, true),
		});
	tce = hpe->tlb[i].tce;
	if (tce & perm)
		ret = (tce & ~(tve->page_size - 1)) | (offset & (tve->page_size - 1));
out:
	model_unlock(&hpe->lock);

	return ret;
}

/*
 * Firmware.
 */

int opal_error_code(int rc)
{
	return rc ? -EIO : 0;
}

static bool tve_good(const struct tve *tve, struct host_pe *hpe)
{
	return tve->levels <= 5 && tve->level_size >= SZ_4K &&
		is_power_of_2(tve->level_size) &&
		is_power_of_2(tve->page_size) &&
		(pnv_ioda_parse_tce_sizes(hpe->pe.phb) & tve->page_size) &&
		IS_ALIGNED(tve->table, tve->level_size) &&
		tve_bits(tve) * tve->levels + tve_shift(tve) <= 55;
}

s64 opal_pci_map_pe_dma_window(u64 phb_id, u16 pe_number, u16 window_id,
			       u16 levels, u64 table, u64 level_size,
			       u64 page_size)
{
	struct host_pe *hpe = host_pes + pe_number;
	struct tve tve = { levels, table, level_size, page_size, false };

	if (pe_number >= HOST_PES || hpe->pe.phb->opal_id != phb_id ||
	    window_id >> 1 != pe_number)
		return OPAL_PARAMETER;
	if ((level_size || machine_removal_fails) && fail_step()) {
		hpe->stuck |= !level_size;
		return OPAL_HARDWARE;
	}
	/* No size: no window */
	if (level_size && !tve_good(&tve, hpe))
		return OPAL_PARAMETER;

	model_lock(&hpe->lock);
	hpe->tve[window_id & 1] = tve;
	model_unlock(&hpe->lock);

	return OPAL_SUCCESS;
}

/*
 * What pci-ioda.c does.
 */

void pnv_pci_ioda2_tce_invalidate_pe(struct pnv_ioda_pe *pe)
{
	host_check_state("firmware is called");
	tlb_kill(to_host_pe(pe), NULL);
}

/* Firmware counts pages by 32 bits, too, and has no larger ones than 2G */
void pnv_pci_ioda2_tce_invalidate_pages(struct pnv_ioda_pe *pe,
					unsigned int shift, unsigned long index,
					unsigned int npages)
{
	unsigned long mask = (1UL << (WINDOW_SHIFT - shift)) - 1;
	struct range range = {
		.window = index > mask,
		.first = index & mask,
		.nr = npages,
	};

	host_check_state("firmware is called");
	if (shift >= 32)
		host_die("firmware is told of pages of 1 << %u\n", shift);
	tlb_kill(to_host_pe(pe), &range);
}

void iommu_tce_kill(struct iommu_table *tbl, unsigned long entry,
		    unsigned long pages)
{
	if (tbl->it_ops->tce_kill)
		tbl->it_ops->tce_kill(tbl, entry, pages);
}

/* What PHB3 does when its kill register is written, as real mode does it */
#define KILL_REG	0x210
#define KILL_PE		BIT(62)
#define KILL_ONE	BIT(61)

void __raw_rm_writeq_be(u64 value, void __iomem *reg)
{
	unsigned long addr = value & ~(KILL_ONE | 0xfffUL);
	struct host_pe *hpe = host_pes + (value & 0xff);
	struct pnv_phb *phb = hpe->pe.phb;
	struct range range = { .window = addr >> WINDOW_SHIFT, .nr = 1 };
	struct tve tve;

	if (!host_real_mode)
		host_die("a register is written by its real address\n");
	host_preempt_real();
	if (hpe >= host_pes + HOST_PES || phb->model != PNV_PHB_MODEL_PHB3 ||
	    phb->regs_phys + KILL_REG != (unsigned long)reg || (value & 0xf00))
		host_die("%#lx is written to %p\n", (unsigned long)value, reg);
	if (value & KILL_PE) {
		tlb_kill(hpe, NULL);
		return;
	}
	if (!(value & KILL_ONE) || addr >> WINDOW_SHIFT > 1)
		host_die("what is killed by %#lx?\n", (unsigned long)value);
	addr &= (1UL << WINDOW_SHIFT) - 1;
	model_lock(&hpe->lock);
	tve = hpe->tve[range.window];
	model_unlock(&hpe->lock);
	/* Without a window nothing is remembered */
	if (!tve.levels)
		return;
	/* A VCPU may be late, and the PE has another window by now */
	if (addr & (tve.page_size - 1) && !machine_threads)
		host_die("no page begins at %#lx\n", addr);
	range.first = addr >> tve_shift(&tve);
	tlb_kill(hpe, &range);
}

int iommu_tce_check_ioba(unsigned long page_shift, unsigned long offset,
			 unsigned long size, unsigned long ioba,
			 unsigned long npages)
{
	unsigned long index = ioba >> page_shift;

	if (ioba & ((1UL << page_shift) - 1) || index < offset ||
	    index + npages < index || index - offset + npages > size)
		return -EINVAL;

	return 0;
}

static struct iommu_table_ops machine_table_ops = {
	.tce_kill = pnv_pci_ioda2_tce_invalidate,
	.tce_kill_rm = pnv_pci_ioda2_tce_kill_rm,
	.get = pnv_tce_get,
	.free = pnv_pci_ioda2_table_free_pages,
};

static void table_destroy(struct iommu_table *tbl)
{
	struct host_table *table = container_of(tbl, struct host_table, tbl);

	WARN_ON(!list_empty(&tbl->it_group_list));
	tbl->it_ops->free(tbl);
	model_lock(&tables_lock);
	list_del(&table->node);
	host_usage.tables--;
	model_unlock(&tables_lock);
	free(table);
}

struct iommu_table *iommu_tce_table_get(struct iommu_table *tbl)
{
	__atomic_fetch_add(&tbl->it_kref.count, 1, __ATOMIC_SEQ_CST);

	return tbl;
}

int iommu_tce_table_put(struct iommu_table *tbl)
{
	int left = __atomic_sub_fetch(&tbl->it_kref.count, 1, __ATOMIC_SEQ_CST);

	WARN_ON(left < 0);
	if (left)
		return 0;
	if (tbl->it_user)
		user_table_destroy(tbl);
	table_destroy(tbl);

	return 1;
}

/**
 * machine_new_table() - make a table, which is to be initialized
 * @ops: of the table
 *
 * Return: the table, NULL if there is no memory.
 */
struct iommu_table *machine_new_table(struct iommu_table_ops *ops)
{
	struct host_table *table;

	table = fail_step() ? NULL : calloc(1, sizeof(*table));
	if (!table)
		return NULL;
	INIT_LIST_HEAD(&table->tbl.it_group_list);
	table->tbl.it_kref.count = 1;
	table->tbl.it_ops = ops;
	model_lock(&tables_lock);
	list_add_tail(&table->node, &host_tables);
	host_usage.tables++;
	model_unlock(&tables_lock);

	return &table->tbl;
}

long pnv_pci_ioda2_create_table(struct iommu_table_group *table_group, int num,
				__u32 page_shift, __u64 window_size,
				__u32 levels, struct mm_struct *mm,
				struct iommu_table **ptbl)
{
	struct pnv_ioda_pe *pe = container_of(table_group, struct pnv_ioda_pe,
					      table_group);
	struct iommu_table *tbl;
	long ret;

	tbl = machine_new_table(&machine_table_ops);
	if (!tbl)
		return -ENOMEM;

	ret = pnv_pci_ioda2_table_alloc_pages(pe->phb->hose->node,
					      num ? pe->tce_bypass_base :
					      table_group->tce32_start,
					      page_shift, window_size, levels,
					      mm, tbl);
	if (ret) {
		iommu_tce_table_put(tbl);
		return ret;
	}
	*ptbl = tbl;

	return 0;
}

int pnv_pci_ioda2_set_bypass(struct pnv_ioda_pe *pe, bool enable)
{
	struct host_pe *hpe = to_host_pe(pe);

	if (fail_step())
		return -EIO;
	model_lock(&hpe->lock);
	hpe->tve[1] = (struct tve) { .bypass = enable };
	model_unlock(&hpe->lock);
	pe->tce_bypass_enabled = enable;

	return 0;
}

/* As far as others see it: the group has no PE any more */
void iommu_unregister_group(struct iommu_table_group *table_group)
{
	struct pnv_ioda_pe *pe = container_of(table_group, struct pnv_ioda_pe,
					      table_group);

	user_tables_forget(host_group(to_host_pe(pe)));
}

long pnv_pci_ioda2_setup_default_config(struct pnv_ioda_pe *pe)
{
	struct iommu_table *tbl;
	long ret;

	ret = pnv_pci_ioda2_create_table(&pe->table_group, 0, PAGE_SHIFT, SZ_2G,
					 POWERNV_IOMMU_DEFAULT_LEVELS, NULL, &tbl);
	if (ret)
		return ret;
	if (pnv_pci_ioda2_set_window(&pe->table_group, 0, tbl)) {
		iommu_tce_table_put(tbl);
		tbl = NULL;
	}
	pe->host_table = tbl;

	return pnv_pci_ioda2_set_bypass(pe, true);
}

unsigned long iommu_direction_to_tce_perm(enum dma_data_direction dir)
{
	static const unsigned long perms[] = {
		[DMA_BIDIRECTIONAL] = TCE_PCI_READ | TCE_PCI_WRITE,
		[DMA_TO_DEVICE] = TCE_PCI_READ,
		[DMA_FROM_DEVICE] = TCE_PCI_WRITE,
		[DMA_NONE] = 0,
	};

	return perms[dir];
}

enum dma_data_direction iommu_tce_direction(unsigned long tce)
{
	static const enum dma_data_direction dirs[] = {
		DMA_NONE, DMA_TO_DEVICE, DMA_FROM_DEVICE, DMA_BIDIRECTIONAL,
	};

	return dirs[tce & (TCE_PCI_READ | TCE_PCI_WRITE)];
}

/*
 * EEH: what was asked last, and an answer that the test chooses. Who asks has a
 * reference of the group. A reset locks the devices.
 */

static int eeh_call(struct eeh_pe *pe, int what)
{
	struct host_pe *hpe = (struct host_pe *)pe;

	WARN_ON(!__atomic_load_n(&hpe->group_refs, __ATOMIC_RELAXED));
	hpe->eeh_calls++;
	hpe->eeh_last = what;

	return hpe->eeh_answer;
}

bool eeh_enabled(void)
{
	return true;
}

struct eeh_pe *eeh_iommu_group_to_pe(struct iommu_group *group)
{
	return (struct eeh_pe *)group;
}

int eeh_pe_set_option(struct eeh_pe *pe, int option)
{
	return eeh_call(pe, 100 + option);
}

int eeh_pe_get_state(struct eeh_pe *pe)
{
	return eeh_call(pe, 200);
}

int eeh_pe_reset(struct eeh_pe *pe, int option, bool include_passed)
{
	struct host_pe *hpe = (struct host_pe *)pe;
	int ret;

	WARN_ON(!include_passed);
	model_lock(&hpe->device_lock);
	ret = eeh_call(pe, 300 + option);
	model_unlock(&hpe->device_lock);

	return ret;
}

int eeh_pe_configure(struct eeh_pe *pe)
{
	return eeh_call(pe, 400);
}

int eeh_pe_inject_err(struct eeh_pe *pe, int type, int func,
		      unsigned long addr, unsigned long mask)
{
	(void)addr;
	(void)mask;

	return eeh_call(pe, 500 + 10 * type + func);
}

/*
 * Power.
 */

/**
 * machine_init() - the host boots
 *
 * Every PE has the host's default window and bypass.
 */
void machine_init(void)
{
	struct host_pe *hpe;
	unsigned int i;

	for (i = 0; i < HOST_PES; i++) {
		hpe = host_pes + i;
		free(hpe->tlb);
		free(hpe->links);
		*hpe = (struct host_pe) {
			.pe = {
				.phb = phb_of_pe[i],
				.pe_number = i,
				.tce_bypass_base = 1UL << WINDOW_SHIFT,
				.dma_setup_done = true,
				.table_group = {
					.tce32_size = SZ_1G,
					.max_dynamic_windows_supported = 2,
					.max_levels = POWERNV_IOMMU_MAX_LEVELS,
					.ops = &pnv_pci_ioda2_ops,
				},
			},
		};
		hpe->pe.table_group.pgsizes =
			pnv_ioda_parse_tce_sizes(hpe->pe.phb);
		mutex_init(&hpe->lock);
		mutex_init(&hpe->device_lock);
		mutex_init(&hpe->group_lock);
		if (pnv_pci_ioda2_setup_default_config(&hpe->pe))
			host_die("pe %u has no default window\n", i);
	}
}

/**
 * machine_reset() - the host gives up its windows
 */
void machine_reset(void)
{
	struct iommu_table_group *group;
	unsigned int i;

	firmware_exit();
	for (i = 0; i < HOST_PES; i++) {
		group = &host_pes[i].pe.table_group;
		if (group->ops->take_ownership(group, &host_device))
			host_die("pe %u is not given up\n", i);
		pnv_pci_ioda2_release_pe_dma(&host_pes[i].pe);
	}
}
