/* SPDX-License-Identifier: GPL-2.0-only */
/* The names that tools/testing/shared uses, where liburcu is not */
#ifndef _SPAPR_TCE_SHIM_UATOMIC_H
#define _SPAPR_TCE_SHIM_UATOMIC_H

#ifdef HOST_URCU
#include_next <urcu/uatomic.h>
#else
#define uatomic_inc(p)		((void)__atomic_fetch_add(p, 1, __ATOMIC_RELAXED))
#define uatomic_dec(p)		((void)__atomic_fetch_sub(p, 1, __ATOMIC_RELAXED))
#define uatomic_read(p)		__atomic_load_n(p, __ATOMIC_RELAXED)
#define uatomic_set(p, v)	__atomic_store_n(p, v, __ATOMIC_RELAXED)
#endif

#endif
