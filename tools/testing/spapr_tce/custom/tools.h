/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Before tools/testing/shared and lib/maple_tree.c: declarations that they do
 * without, which GCC 14 and clang 16 do not accept any more.
 */
#ifndef _SPAPR_TCE_SHIM_TOOLS_H
#define _SPAPR_TCE_SHIM_TOOLS_H

struct kmem_cache;

int lockdep_is_held(const void *lock);
void kmem_cache_shrink(struct kmem_cache *cache);
unsigned long find_next_bit(const unsigned long *map, unsigned long bits,
			    unsigned long bit);

#endif
