// SPDX-License-Identifier: GPL-2.0-only
/*
 * An LPAR with one PE, whose TCEs its hypervisor has. A device uses a TCE as
 * soon as it is stored: the page behind it is taken for one whose translation
 * is remembered, so it may not be unpinned. Its windows are made by firmware.c.
 */
#include "tce_handover.h"
#include "lpar.h"

struct lpar lpar;
struct host_pe lpar_pe;

bool firmware_has_feature(unsigned long feature)
{
	return lpar.features & feature;
}

void msleep(unsigned int ms)
{
	lpar.slept += ms;
}

/* Whichever of the group's tables it is */
static struct iommu_table *lpar_table(unsigned long liobn)
{
	struct iommu_table **tables = lpar_pe.pe.table_group.tables;
	int num;

	for (num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++)
		if (tables[num] && tables[num]->it_index == liobn)
			return tables[num];

	return NULL;
}

static void lpar_use(unsigned long tce, int n)
{
	if (tce & (TCE_PCI_READ | TCE_PCI_WRITE))
		pfn_to_page(tce >> PAGE_SHIFT)->cached += n;
}

/* What is said instead of storing one more TCE, 0 for nothing */
static long lpar_refuses(bool clear)
{
	struct lpar_plan *plan = lpar.plans;

	while (plan < lpar.plans + LPAR_PLANS && !plan->times)
		plan++;
	if (plan == lpar.plans + LPAR_PLANS || plan->clears != clear)
		return 0;
	if (plan->at) {
		plan->at--;
		return 0;
	}
	plan->times--;

	return plan->rc;
}

static long lpar_store(unsigned long liobn, unsigned long ioba,
		       unsigned long tce, bool clear)
{
	struct iommu_table *tbl = lpar_table(liobn);
	unsigned long index;
	long rc;

	if (!tbl || (ioba & (IOMMU_PAGE_SIZE(tbl) - 1)))
		host_die("no TCE is at %#lx of LIOBN %lu\n", ioba, liobn);
	index = (ioba >> tbl->it_page_shift) - tbl->it_offset;
	if (index >= tbl->it_size)
		host_die("TCE %#lx lies beyond its window\n", index);
	rc = lpar_refuses(clear);
	if (rc)
		return rc;
	lpar_use(lpar.tces[liobn][index], -1);
	lpar.tces[liobn][index] = tce;
	lpar_use(tce, 1);

	return H_SUCCESS;
}

long plpar_tce_put(unsigned long liobn, unsigned long ioba, unsigned long tce)
{
	lpar.puts++;

	return lpar_store(liobn, ioba, tce, !tce);
}

long plpar_tce_put_indirect(unsigned long liobn, unsigned long ioba,
			    unsigned long list, unsigned long nr)
{
	unsigned long size = IOMMU_PAGE_SIZE(lpar_table(liobn));
	__be64 *tces = __va(list);
	unsigned long i;
	long rc = 0;

	if (!(lpar.features & FW_FEATURE_PUT_TCE_IND))
		host_die("the firmware has no lists\n");
	if (list & 0xfff || !nr || nr > 512)
		host_die("%lu TCEs at %#lx are no list\n", nr, list);
	lpar.lists++;
	for (i = 0; i < nr && !rc; i++)
		rc = lpar_store(liobn, ioba + i * size, tce_load(tces + i), false);

	return rc;
}

long plpar_tce_stuff(unsigned long liobn, unsigned long ioba, unsigned long tce,
		     unsigned long nr)
{
	unsigned long size = IOMMU_PAGE_SIZE(lpar_table(liobn));
	unsigned long i;
	long rc = 0;

	if (!(lpar.features & FW_FEATURE_STUFF_TCE))
		host_die("the firmware clears no ranges\n");
	if (tce || !nr || nr > 512)
		host_die("%lu TCEs cannot be %#lx at once\n", nr, tce);
	lpar.stuffs++;
	for (i = 0; i < nr && !rc; i++)
		rc = lpar_store(liobn, ioba + i * size, 0, true);

	return rc;
}

static unsigned long lpar_expected(struct iommu_table *tbl, unsigned long held)
{
	struct mm_iommu_range page = {
		.mm = tbl->it_user->mm,
		.ua = held & ~TCE_SHADOW_FLAGS,
		.npages = 1,
		.page_shift = tbl->it_page_shift,
	};
	unsigned long perm = 0;
	__be64 tce = 0;

	if (held & TCE_SHADOW_READ)
		perm |= TCE_PCI_READ;
	if (held & TCE_SHADOW_WRITE)
		perm |= TCE_PCI_WRITE;
	if (held & TCE_SHADOW_PIN)
		return page.ua | perm;
	if (held)
		mm_iommu_translate_range(&page, perm, &tce);

	return tce_load(&tce);
}

/**
 * lpar_check() - the hypervisor has the TCEs that the views tell of
 */
void lpar_check(void)
{
	struct iommu_table *tbl;
	unsigned long i, held;
	__be64 *view;
	int num;

	for (num = 0; num < 2; num++) {
		tbl = lpar_table(num);
		for (i = 0; i < LPAR_TCES; i++) {
			view = tbl && tbl->it_user && i < tbl->it_size ?
				tce_tree_walk(&tbl->it_tree, i) : NULL;
			held = view ? tce_load(view) : 0;
			if (lpar.tces[num][i] != (held ? lpar_expected(tbl, held) : 0))
				host_die("TCE %#lx of window %d is %#lx, the view says %#lx\n",
					 i, num, lpar.tces[num][i], held);
		}
	}
}

/* TCEs that are there still go with their window */
void lpar_clear(unsigned long liobn)
{
	unsigned long i;

	for (i = 0; i < LPAR_TCES; i++) {
		lpar_use(lpar.tces[liobn][i], -1);
		lpar.tces[liobn][i] = 0;
	}
}

/**
 * lpar_init() - the LPAR boots
 * @features: what its hypervisor has
 */
void lpar_init(unsigned long features)
{
	lpar_boot(features, FIRMWARE_RESETS);
}

/**
 * lpar_boot() - an LPAR boots
 * @features: what its hypervisor has
 * @kind: what its firmware can do
 */
void lpar_boot(unsigned long features, enum firmware_kind kind)
{
	firmware_exit();
	lpar = (struct lpar) { .features = features };
	lpar_pe = (struct host_pe) {
		.pe.table_group = {
			.tce32_size = LPAR_TCES << IOMMU_PAGE_SHIFT_4K,
			.pgsizes = SZ_4K | SZ_64K,
			.max_dynamic_windows_supported = 2,
			.max_levels = 1,
			.ops = &pseries_table_group_ops,
			.group = host_group(&lpar_pe),
		},
		.devs = { &lpar_devs[0].dev, &lpar_devs[1].dev },
	};
	firmware_init(kind);
}
