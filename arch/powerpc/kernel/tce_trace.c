// SPDX-License-Identifier: GPL-2.0-only
/*
 * Trace points of TCE trees.
 */
#include <asm/tce_tree.h>

#define CREATE_TRACE_POINTS
#include <trace/events/tce_tree.h>
