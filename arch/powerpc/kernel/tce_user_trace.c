// SPDX-License-Identifier: GPL-2.0-only
/*
 * Trace points of user tables and guests: of several layers, so in a file of their own.
 */
#include <linux/tracepoint.h>

#define CREATE_TRACE_POINTS
#include "tce_user.h"

/* What modules use */
EXPORT_TRACEPOINT_SYMBOL_GPL(kvm_tce_hcall);
EXPORT_TRACEPOINT_SYMBOL_GPL(tce_window_create);
EXPORT_TRACEPOINT_SYMBOL_GPL(tce_window_remove);
