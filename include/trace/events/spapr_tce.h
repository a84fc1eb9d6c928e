/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Trace events of SPAPR TCE tables.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM spapr_tce

#if !defined(_TRACE_SPAPR_TCE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_SPAPR_TCE_H

#include <linux/tracepoint.h>
#include <asm/hvcall.h>

#define spapr_tce_hcalls				\
	{ H_GET_TCE, "H_GET_TCE" },			\
	{ H_PUT_TCE, "H_PUT_TCE" },			\
	{ H_PUT_TCE_INDIRECT, "H_PUT_TCE_INDIRECT" },	\
	{ H_STUFF_TCE, "H_STUFF_TCE" }

/*
 * A hypercall of a guest. One that real mode could not finish (H_TOO_HARD) is
 * followed by the same one in virtual mode. What real mode did is reported when
 * the VCPU leaves the guest next.
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

#endif /* _TRACE_SPAPR_TCE_H */

#include <trace/define_trace.h>
