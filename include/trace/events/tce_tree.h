/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Trace events of TCE trees: see Documentation/arch/powerpc/tce.rst.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM spapr_tce
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE tce_tree

#if !defined(_TRACE_TCE_TREE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_TCE_TREE_H

#include <linux/tracepoint.h>
#include <asm/tce_tree.h>

/*
 * A level of a tree: of a user table, of one of the host's own tables, or of a
 * guest's guest_tces. tce_window_create has the tree of a user table.
 */
DECLARE_EVENT_CLASS(tce_level,

	TP_PROTO(struct tce_tree *tree, void *level, bool leaf,
		 unsigned long bytes),

	TP_ARGS(tree, level, leaf, bytes),

	TP_STRUCT__entry(
		__field(void *,		tree)
		__field(void *,		level)
		__field(bool,		leaf)
		__field(unsigned long,	bytes)
		__field(int,		nid)
	),

	TP_fast_assign(
		__entry->tree	= tree;
		__entry->level	= level;
		__entry->leaf	= leaf;
		__entry->bytes	= bytes;
		__entry->nid	= tree->nid;
	),

	TP_printk("tree=%p level=%p leaf=%d bytes=%lu nid=%d",
		  __entry->tree, __entry->level, __entry->leaf, __entry->bytes,
		  __entry->nid)
);

/* level is NULL when the allocation failed */
DEFINE_EVENT(tce_level, tce_level_alloc,
	TP_PROTO(struct tce_tree *tree, void *level, bool leaf,
		 unsigned long bytes),
	TP_ARGS(tree, level, leaf, bytes)
);

DEFINE_EVENT(tce_level, tce_level_free,
	TP_PROTO(struct tce_tree *tree, void *level, bool leaf,
		 unsigned long bytes),
	TP_ARGS(tree, level, leaf, bytes)
);

#endif /* _TRACE_TCE_TREE_H */

#include <trace/define_trace.h>
