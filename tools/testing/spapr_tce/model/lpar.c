// SPDX-License-Identifier: GPL-2.0-only
/*
 * An LPAR with one PE, whose TCEs its hypervisor has. A device uses a TCE as
 * soon as it is stored: the page behind it is taken for one whose translation
 * is remembered, so it may not be unpinned. What pseries/tce_window.c does for
 * the files under test is done here.
 */
#include "tce_batch.h"
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
	struct iommu_table *tbl = lpar_pe.pe.table_group.tables[liobn];
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
	unsigned long size = IOMMU_PAGE_SIZE(lpar_pe.pe.table_group.tables[liobn]);
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
	unsigned long size = IOMMU_PAGE_SIZE(lpar_pe.pe.table_group.tables[liobn]);
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
		tbl = lpar_pe.pe.table_group.tables[num];
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

/*
 * What pseries/tce_window.c does.
 */

static void lpar_table_free(struct iommu_table *tbl)
{
	(void)tbl;
}

static struct iommu_table_ops lpar_table_ops = {
	.store_batch = pseries_tce_store_batch,
	.clear_batch = pseries_tce_clear_batch,
	.free = lpar_table_free,
};

static long lpar_create_table(struct iommu_table_group *table_group, int num,
			      __u32 page_shift, __u64 window_size,
			      __u32 levels, struct mm_struct *mm,
			      struct iommu_table **ptbl)
{
	struct iommu_table *tbl;
	int ret;

	(void)levels;
	tbl = machine_new_table(&lpar_table_ops);
	if (!tbl)
		return -ENOMEM;
	tbl->it_index = num;
	tbl->it_page_shift = page_shift;
	tbl->it_size = min_t(unsigned long, window_size >> page_shift, LPAR_TCES);
	tbl->it_offset = num ? BIT(59) >> page_shift : 0;
	ret = pseries_tce_init_table(tbl, mm);
	if (ret) {
		iommu_tce_table_put(tbl);
		return ret;
	}
	/* One reference is the window's */
	table_group->tables[num] = tbl;
	*ptbl = iommu_tce_table_get(tbl);

	return 0;
}

static long lpar_set_window(struct iommu_table_group *table_group, int num,
			    struct iommu_table *tbl)
{
	return table_group->tables[num] == tbl ? 0 : -EPERM;
}

/* TCEs that are there still go with it */
static long lpar_unset_window(struct iommu_table_group *table_group, int num)
{
	unsigned long i;

	for (i = 0; i < LPAR_TCES; i++) {
		lpar_use(lpar.tces[num][i], -1);
		lpar.tces[num][i] = 0;
	}
	iommu_tce_table_put(table_group->tables[num]);
	table_group->tables[num] = NULL;

	return 0;
}

static long lpar_take_ownership(struct iommu_table_group *table_group,
				struct device *dev)
{
	(void)table_group;
	(void)dev;

	return 0;
}

static void lpar_release_ownership(struct iommu_table_group *table_group,
				   struct device *dev)
{
	(void)table_group;
	(void)dev;
}

static struct iommu_table_group_ops lpar_group_ops = {
	.create_user_table = lpar_create_table,
	.set_window = lpar_set_window,
	.unset_window = lpar_unset_window,
	.take_ownership = lpar_take_ownership,
	.release_ownership = lpar_release_ownership,
};

/**
 * lpar_init() - the LPAR boots
 * @features: what its firmware has
 */
void lpar_init(unsigned long features)
{
	lpar = (struct lpar) { .features = features };
	lpar_pe = (struct host_pe) {
		.pe.table_group = {
			.tce32_size = LPAR_TCES << IOMMU_PAGE_SHIFT_4K,
			.pgsizes = SZ_4K | SZ_64K,
			.max_dynamic_windows_supported = 2,
			.max_levels = 1,
			.ops = &lpar_group_ops,
		},
	};
}
