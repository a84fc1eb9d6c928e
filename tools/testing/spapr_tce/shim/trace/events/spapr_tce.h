/* SPDX-License-Identifier: GPL-2.0-only */
/* Trace events: whether they are wanted, and how many there were (kvm-core.c) */
#ifndef _SPAPR_TCE_SHIM_TRACE_H
#define _SPAPR_TCE_SHIM_TRACE_H

#define EXPORT_TRACEPOINT_SYMBOL_GPL(name)

extern bool host_trace_enabled;
#define trace_kvm_tce_hcall_enabled()	READ_ONCE(host_trace_enabled)
void trace_kvm_tce_hcall(unsigned int hcall, unsigned long liobn,
			 unsigned long ioba, unsigned long npages, long ret,
			 bool real);

#endif
