// SPDX-License-Identifier: GPL-2.0-only
/*
 * User tables in debugfs: /sys/kernel/debug/spapr_tce/tables, and for each table a
 * directory table-N with
 *
 * info		geometry, bytes, charge, TCEs in use
 * holders	who can reach it
 * map		which TCEs are in use
 * regions	registered memory of the process that owns it
 *
 * Readers need no reference: the directory is removed before anything that its
 * files look at is freed, and debugfs waits for readers. So readers delay the end
 * of a table and must be quick. They take no lock but user_tables_mutex and
 * tce_tree::lock, under which nothing waits, the latter for a leaf at a time so that
 * it stays (R6): TCEs are read while others change them. A file without a
 * bound is shown in parts (map, regions), or its reader stops when the table is
 * revoked (info), since nothing is mapped there any more.
 *
 * Names of files and fields are ABI, and older than the glossary: "holders" lists
 * debug refs, "closed" means revoked, "view" the shadows.
 */
#include <linux/bitmap.h>
#include <linux/debugfs.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/seq_file.h>

#include "tce_user.h"

/* Largest number of TCEs in a line of "map" */
#define TCE_MAP_LINE	512UL

static struct dentry *tce_debugfs_root;

/* Bytes of shadows: all of the tree where the hypervisor has the TCEs */
static unsigned long tce_debugfs_shadow_bytes(struct tce_tree *tree)
{
	if (!tree->shadow)
		return atomic_long_read(&tree->bytes);

	return atomic_long_read(&tree->leaves) << tree->level_shift;
}

static void tce_debugfs_geometry(struct seq_file *m, struct iommu_table *tbl)
{
	seq_printf(m, "start=%#lx page_shift=%lu tces=%lu levels=%u level_shift=%u",
		   tbl->it_offset << tbl->it_page_shift, tbl->it_page_shift,
		   tbl->it_size, tbl->it_tree.levels, tbl->it_tree.level_shift);
}

static int tce_debugfs_tables_show(struct seq_file *m, void *unused)
{
	struct user_table *user;
	unsigned long shadow, bytes;
	struct tce_tree *tree;

	mutex_lock(&user_tables_mutex);
	list_for_each_entry(user, &user_tables, node) {
		tree = &user->tbl->it_tree;
		shadow = tce_debugfs_shadow_bytes(tree);
		/* Levels may go between two looks */
		bytes = max_t(unsigned long, atomic_long_read(&tree->bytes),
			      shadow);
		tce_debugfs_geometry(m, user->tbl);
		seq_printf(m, " hw_bytes=%lu view_bytes=%lu charged_pages=%lu table=%lu\n",
			   bytes - shadow, shadow,
			   tce_account_pages(&user->account), user->id);
	}
	mutex_unlock(&user_tables_mutex);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(tce_debugfs_tables);

/*
 * info
 */

static unsigned long tce_debugfs_used(struct user_table *user)
{
	struct tce_tree *tree = &user->tbl->it_tree;
	struct tce_iter iter = { .tree = tree };
	__be64 *shadow, *end;
	unsigned long used = 0;

	tce_iter_start(&iter, 0, tree->entries);
	while (!READ_ONCE(user->revoked) && tce_iter_next_locked(&iter)) {
		shadow = tce_tree_shadow(tree, iter.entry);
		for (end = shadow + iter.nr; shadow < end; shadow++)
			used += !!tce_load(shadow);
		tce_iter_unlock(&iter);
	}

	return READ_ONCE(user->revoked) ? 0 : used;
}

static int tce_debugfs_info_show(struct seq_file *m, void *unused)
{
	struct user_table *user = m->private;
	struct iommu_table *tbl = user->tbl;
	struct tce_tree *tree = &tbl->it_tree;

	seq_printf(m, "table\t\t%lu\n", user->id);
	seq_printf(m, "start\t\t%#lx\n", tbl->it_offset << tbl->it_page_shift);
	seq_printf(m, "page_shift\t%lu\n", tbl->it_page_shift);
	seq_printf(m, "tces\t\t%lu\n", tbl->it_size);
	seq_printf(m, "levels\t\t%u\n", tree->levels);
	seq_printf(m, "level_shift\t%u\n", tree->level_shift);
	seq_printf(m, "in_memory\t%d\n", !!tree->shadow);
	seq_printf(m, "node\t\t%d\n", tree->nid);
	seq_printf(m, "leaves\t\t%ld\n", atomic_long_read(&tree->leaves));
	seq_printf(m, "bytes\t\t%ld\n", atomic_long_read(&tree->bytes));
	seq_printf(m, "view_bytes\t%lu\n", tce_debugfs_shadow_bytes(tree));
	seq_printf(m, "charged\t\t%lu\n",
		   tce_account_pages(&user->account) << PAGE_SHIFT);
	seq_printf(m, "used\t\t%lu\n", tce_debugfs_used(user));
	seq_printf(m, "closed\t\t%d\n", READ_ONCE(user->revoked));

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(tce_debugfs_info);

/*
 * holders
 */

static int tce_debugfs_refs_show(struct seq_file *m, void *unused)
{
	struct user_table *user = m->private;
	struct tce_debug_ref *ref;

	mutex_lock(&user_tables_mutex);
	list_for_each_entry(ref, &user->debug_refs, node) {
		seq_printf(m, "%s pid=%d group=%d", ref->who, ref->pid,
			   ref->group);
		if (ref->liobn)
			seq_printf(m, " liobn=%#llx", ref->liobn);
		seq_putc(m, '\n');
	}
	mutex_unlock(&user_tables_mutex);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(tce_debugfs_refs);

/*
 * map: a line with the geometry, then one for each 512 TCEs whose leaf is present:
 * "INDEX USED", then "FIRST+COUNT" for each sequence in use, FIRST counted from
 * INDEX; all hexadecimal. The position in the file is the index plus one.
 */

static void *tce_debugfs_map_find(struct seq_file *m, loff_t *pos)
{
	struct user_table *user = m->private;
	struct tce_tree *tree = &user->tbl->it_tree;
	struct tce_iter iter = { .tree = tree };
	unsigned long index = *pos - 1;
	bool found;

	tce_iter_start(&iter, index, tree->entries - index);
	spin_lock(&tree->lock);
	found = tce_iter_next(&iter);
	spin_unlock(&tree->lock);
	*pos = iter.index + 1;

	return found ? pos : NULL;
}

static void *tce_debugfs_map_start(struct seq_file *m, loff_t *pos)
{
	return *pos ? tce_debugfs_map_find(m, pos) : SEQ_START_TOKEN;
}

/* The smallest leaf has as many TCEs as a line */
static void *tce_debugfs_map_next(struct seq_file *m, void *v, loff_t *pos)
{
	cond_resched();
	if (v == SEQ_START_TOKEN)
		*pos = 1;
	else
		*pos = ((*pos - 1) | (TCE_MAP_LINE - 1)) + 2;

	return tce_debugfs_map_find(m, pos);
}

static void tce_debugfs_map_stop(struct seq_file *m, void *v)
{
}

/*
 * Take a copy first: the TCEs may change between counting and printing. Returns
 * false if there is no leaf.
 */
static bool tce_debugfs_map_copy(struct tce_tree *tree, unsigned long index,
				 unsigned long nr, unsigned long *map)
{
	__be64 *shadow;
	unsigned long i;

	bitmap_zero(map, TCE_MAP_LINE);
	spin_lock(&tree->lock);
	shadow = tce_tree_walk(tree, index);
	if (shadow)
		shadow = tce_tree_shadow(tree, shadow);
	for (i = 0; shadow && i < nr; i++)
		if (tce_load(shadow + i))
			__set_bit(i, map);
	spin_unlock(&tree->lock);

	return shadow;
}

static void tce_debugfs_map_line(struct seq_file *m, unsigned long index,
				 const unsigned long *map)
{
	unsigned int first, end;

	seq_printf(m, "%lx %x", index, bitmap_weight(map, TCE_MAP_LINE));
	for_each_set_bitrange(first, end, map, TCE_MAP_LINE)
		seq_printf(m, " %x+%x", first, end - first);
	seq_putc(m, '\n');
}

static int tce_debugfs_map_show(struct seq_file *m, void *v)
{
	struct user_table *user = m->private;
	struct tce_tree *tree = &user->tbl->it_tree;
	DECLARE_BITMAP(map, TCE_MAP_LINE);
	unsigned long index, nr;

	if (v == SEQ_START_TOKEN) {
		seq_printf(m, "table=%lu ", user->id);
		tce_debugfs_geometry(m, user->tbl);
		seq_printf(m, " view=%d\n", !!tree->shadow);
		return 0;
	}

	index = *(loff_t *)v - 1;
	nr = min(TCE_MAP_LINE - index % TCE_MAP_LINE, tree->entries - index);
	/* The leaf was there when it was found, and may have gone since */
	if (!tce_debugfs_map_copy(tree, index, nr, map))
		return SEQ_SKIP;
	tce_debugfs_map_line(m, index, map);

	return 0;
}

static const struct seq_operations tce_debugfs_map_sops = {
	.start = tce_debugfs_map_start,
	.next = tce_debugfs_map_next,
	.stop = tce_debugfs_map_stop,
	.show = tce_debugfs_map_show,
};
DEFINE_SEQ_ATTRIBUTE(tce_debugfs_map);

/*
 * regions: a line for each. The position in the file is its first address.
 */

static void *tce_debugfs_regions_find(struct seq_file *m, loff_t *pos)
{
	struct user_table *user = m->private;
	struct mm_iommu_region_info info;

	if (!mm_iommu_next_region(user->mm, *pos, &info))
		return NULL;
	*pos = info.ua;

	return pos;
}

static void *tce_debugfs_regions_start(struct seq_file *m, loff_t *pos)
{
	return tce_debugfs_regions_find(m, pos);
}

static void *tce_debugfs_regions_next(struct seq_file *m, void *v, loff_t *pos)
{
	cond_resched();
	++*pos;

	return tce_debugfs_regions_find(m, pos);
}

static void tce_debugfs_regions_stop(struct seq_file *m, void *v)
{
}

static int tce_debugfs_regions_show(struct seq_file *m, void *v)
{
	struct user_table *user = m->private;
	unsigned long ua = *(loff_t *)v;
	struct mm_iommu_region_info info;

	/* The region was removed meanwhile */
	if (!mm_iommu_next_region(user->mm, ua, &info) || info.ua != ua)
		return SEQ_SKIP;

	seq_printf(m, "ua=%#lx size=%#lx used=%u mapped=%lu granule_shift=%u written=%d\n",
		   info.ua, info.size, info.registrations, info.map_refs, info.granule_shift,
		   info.written);

	return 0;
}

static const struct seq_operations tce_debugfs_regions_sops = {
	.start = tce_debugfs_regions_start,
	.next = tce_debugfs_regions_next,
	.stop = tce_debugfs_regions_stop,
	.show = tce_debugfs_regions_show,
};
DEFINE_SEQ_ATTRIBUTE(tce_debugfs_regions);

/*
 * Adding and removing tables and debug refs.
 */

/**
 * tce_debugfs_add_table() - make the directory of a table
 * @user: the table, complete
 *
 * On failure the table has no directory.
 *
 * Context: process, may sleep. The caller must not hold user_tables_mutex.
 */
void tce_debugfs_add_table(struct user_table *user)
{
	char name[32];

	lockdep_assert_not_held(&user_tables_mutex);
	snprintf(name, sizeof(name), "table-%lu", user->id);
	user->dir = debugfs_create_dir(name, tce_debugfs_root);
	debugfs_create_file("info", 0400, user->dir, user,
			    &tce_debugfs_info_fops);
	debugfs_create_file("holders", 0400, user->dir, user,
			    &tce_debugfs_refs_fops);
	debugfs_create_file("map", 0400, user->dir, user,
			    &tce_debugfs_map_fops);
	debugfs_create_file("regions", 0400, user->dir, user,
			    &tce_debugfs_regions_fops);
}

/**
 * tce_debugfs_remove_table() - remove the directory of a table
 * @user: the table, still complete
 *
 * When this returns nobody reads the table any more.
 *
 * Context: process, may sleep. The caller must hold no lock that a reader takes.
 */
void tce_debugfs_remove_table(struct user_table *user)
{
	lockdep_assert_not_held(&user_tables_mutex);
	debugfs_remove(user->dir);
}

/**
 * tce_debug_ref_add() - show that a container or guest can reach a table
 * @tbl: a user table, of which the caller has a reference
 * @ref: zeroed; must stay until tce_debug_ref_remove()
 * @who: "container" or "kvm"; must stay as well
 * @group: number of the IOMMU group on whose behalf
 * @liobn: the guest's name of the table, or 0
 *
 * Context: process, may sleep.
 */
void tce_debug_ref_add(struct iommu_table *tbl,
		       struct tce_debug_ref *ref, const char *who,
			   int group, u64 liobn)
{
	ref->who = who;
	ref->pid = task_tgid_nr(current);
	ref->group = group;
	ref->liobn = liobn;
	mutex_lock(&user_tables_mutex);
	list_add_tail(&ref->node, &tbl->it_user->debug_refs);
	mutex_unlock(&user_tables_mutex);
}
EXPORT_SYMBOL_GPL(tce_debug_ref_add);

/**
 * tce_debug_ref_remove() - undo tce_debug_ref_add()
 * @ref: as for tce_debug_ref_add(); nothing is done if it is zeroed
 *
 * Call it before the reference of the table is dropped.
 *
 * Context: process, may sleep.
 */
void tce_debug_ref_remove(struct tce_debug_ref *ref)
{
	if (!ref->who)
		return;

	mutex_lock(&user_tables_mutex);
	list_del(&ref->node);
	mutex_unlock(&user_tables_mutex);
	ref->who = NULL;
}
EXPORT_SYMBOL_GPL(tce_debug_ref_remove);

/* Runs after debugfs is ready, and before the first table can be made */
static int __init tce_debugfs_init(void)
{
	tce_debugfs_root = debugfs_create_dir("spapr_tce", NULL);
	debugfs_create_file("tables", 0400, tce_debugfs_root, NULL,
			    &tce_debugfs_tables_fops);

	return 0;
}
device_initcall(tce_debugfs_init);
