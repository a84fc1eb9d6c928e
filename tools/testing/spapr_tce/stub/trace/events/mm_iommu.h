/* SPDX-License-Identifier: GPL-2.0-only */
/* Trace events of registered memory: counted by nobody, but not in real mode */
#ifndef _SPAPR_TCE_SHIM_TRACE_MM_H
#define _SPAPR_TCE_SHIM_TRACE_MM_H

static inline void trace_tce_region_register(unsigned long ua, unsigned long size,
					     unsigned int used, long ret)
{
	virtual_only("a trace event");
}

static inline void trace_tce_region_unregister(unsigned long ua, unsigned long size,
					       unsigned int used, long ret)
{
	virtual_only("a trace event");
}

#endif
