// SPDX-License-Identifier: GPL-2.0-only
/* The files of debugfs as they are, read by hand */
#include "tce_debugfs.c"

#include "host.h"

/* Has this thread the lock of a table? */
bool glue_table_is_mine(struct iommu_table *tbl)
{
	return mutex_is_mine(&tbl->it_user->lock.lock);
}

/* What others do before a line is shown */
void (*host_before_show)(void);

static int glue_show(const struct seq_operations *ops, struct seq_file *m, void *v)
{
	if (host_before_show)
		host_before_show();

	return ops->show(m, v);
}

static void glue_read_all(const struct seq_operations *ops, struct seq_file *m)
{
	loff_t pos = 0;
	size_t len;
	void *v;

	for (v = ops->start(m, &pos); v; v = ops->next(m, v, &pos)) {
		len = m->len;
		if (glue_show(ops, m, v) == SEQ_SKIP)
			m->len = len;
	}
	ops->stop(m, v);
}

/* ... so that each line is a read of its own */
static void glue_read_lines(const struct seq_operations *ops, struct seq_file *m)
{
	loff_t pos = 0;
	void *v;

	while ((v = ops->start(m, &pos))) {
		glue_show(ops, m, v);
		v = ops->next(m, v, &pos);
		ops->stop(m, v);
	}
}

void glue_tables_lock(void)
{
	mutex_lock(&user_tables_mutex);
}

void glue_tables_unlock(void)
{
	mutex_unlock(&user_tables_mutex);
}

/* How many tables there are; the caller has them locked */
unsigned int glue_tables(void)
{
	struct user_table *user;
	unsigned int nr = 0;

	list_for_each_entry(user, &user_tables, node)
		nr++;

	return nr;
}

void glue_tables_show(struct seq_file *m)
{
	tce_debugfs_tables_fops.show(m, NULL);
}

/* What a reader of the file of a table gets, in one read or in one per line */
void glue_table_show(struct iommu_table *tbl, const char *file, bool lines,
		     struct seq_file *m)
{
	const struct file_operations *fops;

	*m = (struct seq_file) { .private = tbl->it_user };
	if (!strcmp(file, "info"))
		fops = &tce_debugfs_info_fops;
	else if (!strcmp(file, "holders"))
		fops = &tce_debugfs_refs_fops;
	else if (!strcmp(file, "map"))
		fops = &tce_debugfs_map_fops;
	else
		fops = &tce_debugfs_regions_fops;

	if (!fops->seq)
		fops->show(m, NULL);
	else if (lines)
		glue_read_lines(fops->seq, m);
	else
		glue_read_all(fops->seq, m);
}
