/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the maple tree of 7.x counts itself with; that of 6.12 brings its own
 * after this. See ../kernel.h for the others.
 */
#ifndef _SPAPR_TCE_SHIM_LINUX_ATOMIC_H
#define _SPAPR_TCE_SHIM_LINUX_ATOMIC_H

#include <linux/types.h>

static inline int atomic_read(const atomic_t *v)
{
	return __atomic_load_n(&v->counter, __ATOMIC_RELAXED);
}

static inline void atomic_set(atomic_t *v, int n)
{
	__atomic_store_n(&v->counter, n, __ATOMIC_RELAXED);
}

static inline void atomic_inc(atomic_t *v)
{
	__atomic_fetch_add(&v->counter, 1, __ATOMIC_RELAXED);
}

#endif
