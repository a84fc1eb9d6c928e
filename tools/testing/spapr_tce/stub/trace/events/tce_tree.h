/* SPDX-License-Identifier: GPL-2.0-only */
/* Trace events of trees: counted by nobody, but not in real mode */
#ifndef _SPAPR_TCE_SHIM_TRACE_TREE_H
#define _SPAPR_TCE_SHIM_TRACE_TREE_H

static inline void trace_tce_level_alloc(struct tce_tree *tree, void *level,
					 bool leaf, unsigned long bytes)
{
	virtual_only("a trace event");
}

static inline void trace_tce_level_free(struct tce_tree *tree, void *level,
					bool leaf, unsigned long bytes)
{
	virtual_only("a trace event");
}

#endif
