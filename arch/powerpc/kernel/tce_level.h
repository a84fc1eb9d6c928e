/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Levels of TCE trees, for tce_tree.c and tce_trim.c.
 */
#ifndef _POWERPC_KERNEL_TCE_LEVEL_H
#define _POWERPC_KERNEL_TCE_LEVEL_H

#include <asm/tce_tree.h>

void tce_level_free(struct tce_tree *tree, enum tce_kind kind, __be64 *level);
int tce_tree_pause(struct tce_tree *tree);
void tce_tree_uncharge(struct tce_tree *tree, const unsigned long *nr);
int tce_tree_prepay(struct tce_tree *tree);
void tce_tree_refund(struct tce_tree *tree);
__be64 *tce_spares_pop(struct tce_spares *spares, enum tce_kind kind);
void tce_spares_push(struct tce_spares *spares, enum tce_kind kind,
		     __be64 *level);
int tce_spares_reserve(struct tce_tree *tree, struct tce_spares *spares,
		       const unsigned long *nr, gfp_t gfp);
void tce_records_free(struct tce_tree *tree, struct hlist_head *head);

#endif /* _POWERPC_KERNEL_TCE_LEVEL_H */
