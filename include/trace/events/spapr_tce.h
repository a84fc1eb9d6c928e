/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Trace events of SPAPR TCE tables: Documentation/arch/powerpc/tce.rst lists
 * them. A table has the number of its directory in debugfs. Real mode must not
 * use any of them (R19).
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM spapr_tce

#if !defined(_TRACE_SPAPR_TCE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_SPAPR_TCE_H

#include <linux/tracepoint.h>
#include <asm/hvcall.h>
#include <asm/iommu.h>

#define spapr_tce_hcalls				\
	{ H_GET_TCE, "H_GET_TCE" },			\
	{ H_PUT_TCE, "H_PUT_TCE" },			\
	{ H_PUT_TCE_INDIRECT, "H_PUT_TCE_INDIRECT" },	\
	{ H_STUFF_TCE, "H_STUFF_TCE" }

/*
 * A hypercall of a guest has ended. real: tried before the VCPU left its run loop, and
 * traced when the VCPU next leaves the guest. If that ended with H_TOO_HARD, the same
 * hypercall follows from virtual mode.
 */
TRACE_EVENT(kvm_tce_hcall,

	TP_PROTO(unsigned int hcall, unsigned long liobn, unsigned long ioba,
		 unsigned long npages, long ret, bool real),

	TP_ARGS(hcall, liobn, ioba, npages, ret, real),

	TP_STRUCT__entry(
		__field(unsigned int,	hcall)
		__field(unsigned long,	liobn)
		__field(unsigned long,	ioba)
		__field(unsigned long,	npages)
		__field(long,		ret)
		__field(bool,		real)
	),

	TP_fast_assign(
		__entry->hcall	= hcall;
		__entry->liobn	= liobn;
		__entry->ioba	= ioba;
		__entry->npages	= npages;
		__entry->ret	= ret;
		__entry->real	= real;
	),

	TP_printk("hcall=%s liobn=%lx ioba=%lx npages=%lu ret=%ld real=%d",
		  __print_symbolic(__entry->hcall, spapr_tce_hcalls),
		  __entry->liobn, __entry->ioba, __entry->npages,
		  __entry->ret, __entry->real)
);

/* A container has made a window, or failed to (tbl is NULL) */
TRACE_EVENT(tce_window_create,

	TP_PROTO(struct iommu_table *tbl,
		 const struct tce_window_config *window, long ret),

	TP_ARGS(tbl, window, ret),

	TP_STRUCT__entry(
		__field(unsigned long,	table)
		__field(void *,		tree)
		__field(int,		num)
		__field(u64,		start)
		__field(unsigned int,	page_shift)
		__field(u64,		size)
		__field(unsigned int,	asked)
		__field(unsigned int,	levels)
		__field(unsigned int,	level_shift)
		__field(long,		ret)
	),

	TP_fast_assign(
		__entry->table	= tbl ? tbl->it_user->id : 0;
		__entry->tree	= tbl ? &tbl->it_tree : NULL;
		__entry->num	= window->num;
		__entry->start	= tbl ? (u64)tbl->it_offset << window->page_shift : 0;
		__entry->page_shift = window->page_shift;
		__entry->size	= window->size;
		__entry->asked	= window->levels;
		__entry->levels	= tbl ? tbl->it_tree.levels : 0;
		__entry->level_shift = tbl ? tbl->it_tree.level_shift : 0;
		__entry->ret	= ret;
	),

	TP_printk("table=%lu tree=%p window=%d start=0x%llx page_shift=%u size=0x%llx asked=%u levels=%u level_shift=%u ret=%ld",
		  __entry->table, __entry->tree, __entry->num, __entry->start,
		  __entry->page_shift, __entry->size, __entry->asked,
		  __entry->levels, __entry->level_shift, __entry->ret)
);

/* A container removes a window; others may still have references of the table */
TRACE_EVENT(tce_window_remove,

	TP_PROTO(struct iommu_table *tbl, int num),

	TP_ARGS(tbl, num),

	TP_STRUCT__entry(
		__field(unsigned long,	table)
		__field(int,		num)
		__field(u64,		start)
	),

	TP_fast_assign(
		__entry->table	= tbl->it_user->id;
		__entry->num	= num;
		__entry->start	= (u64)tbl->it_offset << tbl->it_page_shift;
	),

	TP_printk("table=%lu window=%d start=0x%llx",
		  __entry->table, __entry->num, __entry->start)
);

/* A map has ended; ua is 0 for pages that were pinned for it (version 1) */
TRACE_EVENT(tce_map,

	TP_PROTO(struct iommu_table *tbl, unsigned long first,
		 unsigned long npages, unsigned long ua, unsigned long levels,
		 long ret),

	TP_ARGS(tbl, first, npages, ua, levels, ret),

	TP_STRUCT__entry(
		__field(unsigned long,	table)
		__field(u64,		ioba)
		__field(unsigned long,	npages)
		__field(unsigned long,	ua)
		__field(unsigned long,	levels)
		__field(long,		ret)
	),

	TP_fast_assign(
		__entry->table	= tbl->it_user->id;
		__entry->ioba	= (u64)first << tbl->it_page_shift;
		__entry->npages	= npages;
		__entry->ua	= ua;
		__entry->levels	= levels;
		__entry->ret	= ret;
	),

	TP_printk("table=%lu ioba=0x%llx npages=%lu ua=0x%lx levels=%lu ret=%ld",
		  __entry->table, __entry->ioba, __entry->npages, __entry->ua,
		  __entry->levels, __entry->ret)
);

/* A range of TCEs was to be changed or killed; ret is 0 or the error */
DECLARE_EVENT_CLASS(tce_range,

	TP_PROTO(struct iommu_table *tbl, unsigned long first,
		 unsigned long npages, long ret),

	TP_ARGS(tbl, first, npages, ret),

	TP_STRUCT__entry(
		__field(unsigned long,	table)
		__field(u64,		ioba)
		__field(unsigned long,	npages)
		__field(long,		ret)
	),

	TP_fast_assign(
		__entry->table	= tbl->it_user->id;
		__entry->ioba	= (u64)first << tbl->it_page_shift;
		__entry->npages	= npages;
		__entry->ret	= ret;
	),

	TP_printk("table=%lu ioba=0x%llx npages=%lu ret=%ld",
		  __entry->table, __entry->ioba, __entry->npages, __entry->ret)
);

DEFINE_EVENT(tce_range, tce_unmap,
	TP_PROTO(struct iommu_table *tbl, unsigned long first,
		 unsigned long npages, long ret),
	TP_ARGS(tbl, first, npages, ret)
);

/* A batch of a guest was committed to a table; elements that are 0 unmap */
DEFINE_EVENT(tce_range, tce_list,
	TP_PROTO(struct iommu_table *tbl, unsigned long first,
		 unsigned long npages, long ret),
	TP_ARGS(tbl, first, npages, ret)
);

/* Bridges have dropped their cached translations of a range */
DEFINE_EVENT(tce_range, tce_kill,
	TP_PROTO(struct iommu_table *tbl, unsigned long first,
		 unsigned long npages, long ret),
	TP_ARGS(tbl, first, npages, ret)
);

#endif /* _TRACE_SPAPR_TCE_H */

#include <trace/define_trace.h>
