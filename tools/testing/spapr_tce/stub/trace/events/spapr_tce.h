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

/* The others: counted by nobody, but not in real mode */
#define trace_tce_window_create(...)		host_traced_event(__VA_ARGS__)
#define trace_tce_window_remove(...)		host_traced_event(__VA_ARGS__)
#define trace_tce_map(...)			host_traced_event(__VA_ARGS__)
#define trace_tce_unmap(...)			host_traced_event(__VA_ARGS__)
#define trace_tce_list(...)			host_traced_event(__VA_ARGS__)
#define trace_tce_kill(...)			host_traced_event(__VA_ARGS__)

/* Then nothing is done without an event for each step */
extern bool host_tables_traced;
#define trace_tce_list_enabled()	READ_ONCE(host_tables_traced)
#define trace_tce_map_enabled()		READ_ONCE(host_trace_enabled)
#define trace_tce_unmap_enabled()	READ_ONCE(host_tables_traced)
#define trace_tce_kill_enabled()	READ_ONCE(host_tables_traced)

void host_no_event(unsigned long first, ...);

/* Arguments are used, and that is all */
#define host_traced_event(first, ...) do {				\
	if (0)								\
		host_no_event((unsigned long)(first), __VA_ARGS__);	\
	virtual_only("a trace event");					\
} while (0)

#endif
