// SPDX-License-Identifier: GPL-2.0-only
/*
 * Levels of a TCE tree with records go back when nothing is in them.
 *
 * Levels that a request is about to need, or has just made, are empty as well. They
 * stay because the request has a hold on its range: with a level all levels above
 * it stay, since their ranges contain its range.
 */
#include <linux/list.h>
#include <linux/spinlock.h>

#include "tce_level.h"

/* Test if a level has entries in a range that somebody has a hold on */
static bool tce_record_held(struct tce_tree *tree,
			    const struct tce_record *record)
{
	unsigned long last = record->start + (1UL << record->shift) - 1;
	struct tce_hold *hold;

	list_for_each_entry(hold, &tree->holds, node)
		if (hold->first <= last && hold->last >= record->start)
			return true;

	return false;
}

/* Of a leaf the shadows tell: all that is mapped has one */
static bool tce_record_empty(struct tce_tree *tree,
			     const struct tce_record *record)
{
	const __be64 *slot = record->entries, *end;

	if (record->kind == TCE_LEAF)
		slot = tce_tree_shadow(tree, record->entries);
	for (end = slot + (1UL << tce_tree_level_bits(tree)); slot < end;
	     slot += TCE_SLOTS)
		if (!tce_slots_empty(slot))
			return false;

	return true;
}

/* The slot that links a level */
static __be64 *tce_record_slot(struct tce_tree *tree,
			       const struct tce_record *record)
{
	unsigned int bits = tce_tree_level_bits(tree);
	unsigned int shift = (tree->levels - 1) * bits;
	unsigned long mask = (1UL << bits) - 1;
	__be64 *slot = tree->root + (record->start >> shift);

	while (shift > record->shift) {
		shift -= bits;
		slot = tce_link_level(tce_load(slot)) +
			((record->start >> shift) & mask);
	}

	return slot;
}

/* tce_tree::lock makes unlinking and removing the record one step */
static bool tce_record_take(struct tce_tree *tree, struct tce_record *record,
			    bool look)
{
	bool empty;

	if (tce_record_held(tree, record))
		return false;

	spin_lock(&tree->lock);
	empty = !look || tce_record_empty(tree, record);
	if (empty) {
		tce_store(tce_record_slot(tree, record), 0);
		hlist_del(&record->node);
	}
	spin_unlock(&tree->lock);

	return empty;
}

/**
 * tce_tree_trim() - take out levels that have nothing in them
 * @tree: a tree with records
 * @index: first entry of a range
 * @nr: how many, at least 1
 * @look: skip levels in use
 * @taken: where to put the levels
 *
 * Takes those that lie in the range wholly and that nobody has a hold on. They are
 * to be given back with tce_spares_return() when no bridge can have their addresses
 * any more.
 *
 * Context: process, may sleep. Caller must exclude changes of entries, calls of
 * tce_iter_hold() and tce_iter_release(), and all who look at entries without a
 * hold or tce_tree::lock.
 */
void tce_tree_trim(struct tce_tree *tree, unsigned long index, unsigned long nr,
		   bool look, struct tce_spares *taken)
{
	unsigned long last = index + nr - 1;
	struct tce_record *record, *next;

	/* The last levels may have room for more than the tree has */
	if (last == tree->entries - 1)
		last = ULONG_MAX;

	/* A level comes before the one above it, so that is empty in its turn */
	for (record = tce_tree_records(tree); record; record = next) {
		next = tce_record_next(record);
		if (record->start >= index &&
		    record->start + (1UL << record->shift) - 1 <= last &&
		    tce_record_take(tree, record, look)) {
			hlist_add_head(&record->node, &taken->records);
			tce_spares_push(taken, record->kind, record->entries);
		}
		tce_tree_pause(tree);
	}
}
