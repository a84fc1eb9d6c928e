// SPDX-License-Identifier: GPL-2.0-only
/* The container driver as it is, and a look into a container */
#include "spapr_tce_main.c"

#include "host.h"

void glue_container_get(void *data, struct glue_container *state)
{
	struct tce_container *c = data;
	struct rb_node *node;

	*state = (struct glue_container) {
		.mm = c->mm,
		.v2 = c->v2,
		.enabled = c->enabled,
		.default_pending = c->default_pending,
		.enabled_pages = c->enabled_pages,
		.tables = { c->tables[0], c->tables[1] },
	};
	for (node = rb_first(&c->regions); node; node = rb_next(node))
		state->nr_regions++;
}

#ifndef HOST_BENCH	/* whose locks are of nobody */
bool glue_container_is_mine(void *data)
{
	return lock_is_mine(&((struct tce_container *)data)->lock);
}
#endif

void glue_container_fdinfo(void *data, struct seq_file *m)
{
	tce_driver_ops.show_fdinfo(data, m);
}
