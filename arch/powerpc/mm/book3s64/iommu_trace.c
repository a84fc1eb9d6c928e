// SPDX-License-Identifier: GPL-2.0-only
/*
 * Trace points of registered memory.
 */
#define CREATE_TRACE_POINTS
#include <trace/events/mm_iommu.h>
