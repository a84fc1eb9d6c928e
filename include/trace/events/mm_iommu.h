/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Trace events of registered memory: see Documentation/arch/powerpc/tce.rst.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM spapr_tce
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE mm_iommu

#if !defined(_TRACE_MM_IOMMU_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_MM_IOMMU_H

#include <linux/tracepoint.h>

/* A request to (un)register memory has ended; used: registrations afterwards */
DECLARE_EVENT_CLASS(tce_region,

	TP_PROTO(unsigned long ua, unsigned long size, unsigned int used,
		 long ret),

	TP_ARGS(ua, size, used, ret),

	TP_STRUCT__entry(
		__field(unsigned long,	ua)
		__field(unsigned long,	size)
		__field(unsigned int,	used)
		__field(long,		ret)
	),

	TP_fast_assign(
		__entry->ua	= ua;
		__entry->size	= size;
		__entry->used	= used;
		__entry->ret	= ret;
	),

	TP_printk("ua=0x%lx size=0x%lx used=%u ret=%ld",
		  __entry->ua, __entry->size, __entry->used, __entry->ret)
);

DEFINE_EVENT(tce_region, tce_region_register,
	TP_PROTO(unsigned long ua, unsigned long size, unsigned int used,
		 long ret),
	TP_ARGS(ua, size, used, ret)
);

DEFINE_EVENT(tce_region, tce_region_unregister,
	TP_PROTO(unsigned long ua, unsigned long size, unsigned int used,
		 long ret),
	TP_ARGS(ua, size, used, ret)
);

#endif /* _TRACE_MM_IOMMU_H */

#include <trace/define_trace.h>
