// SPDX-License-Identifier: GPL-2.0-only
/* User-owned tables as they are, and their debugfs file */
#include "iommu_user.c"

#include "host.h"

void glue_tables_show(struct seq_file *m)
{
	iommu_user_tables_fops.show(m, NULL);
}
