// SPDX-License-Identifier: GPL-2.0-only
/*
 * What bridges remember of levels: the addresses of all that they could walk through
 * since the last kill of the whole PE; a kill of pages adds to it. None of them may be
 * freed. Where another level has taken the place of one that is remembered, they
 * still walk through the old one.
 */
#include "host.h"

#ifdef HOST_BENCH
void links_kill(struct host_pe *hpe, unsigned int window, unsigned long first,
		unsigned long nr)
{
}

void links_freed(struct host_pe *hpe, unsigned long level)
{
}

void links_follow(const struct host_pe *hpe, unsigned int window,
		  unsigned long index, unsigned long *level, unsigned int *depth)
{
}
#else
static bool link_in(const struct host_link *link, unsigned int window,
		    unsigned long first, unsigned long nr)
{
	return link->window == window && link->first < first + nr &&
		link->first + link->nr > first;
}

static void links_add(struct host_pe *hpe, struct host_link new)
{
	if (hpe->nr_links == hpe->max_links) {
		hpe->max_links = hpe->max_links * 2 ?: 64;
		hpe->links = realloc(hpe->links, hpe->max_links * sizeof(new));
	}
	hpe->links[hpe->nr_links++] = new;
}

/* What is below @level, whose slots stand for 1 << @shift TCEs each */
static void links_scan(struct host_pe *hpe, unsigned int window,
		       unsigned long level, unsigned int shift,
		       unsigned long index)
{
	const struct tve *tve = hpe->tve + window;
	unsigned int bits = ilog2(tve->level_size / 8);
	const u64 *slot = __va(level), *end = slot + tve->level_size / 8;
	struct host_link link = { .window = window, .nr = 1UL << shift };
	unsigned long entry;

	for (; shift && slot < end; slot++, index += link.nr) {
		entry = be64_to_cpu(__atomic_load_n(slot, __ATOMIC_ACQUIRE));
		if (!(entry & (TCE_PCI_READ | TCE_PCI_WRITE)))
			continue;
		link.level = entry & ~0xfffUL;
		link.first = index;
		links_add(hpe, link);
		links_scan(hpe, window, link.level, shift - bits, index);
	}
}

/* Test if a level is remembered, or another one in its place, among the first @known */
static bool links_have(struct host_pe *hpe, unsigned int known,
		       const struct host_link *new)
{
	struct host_link *link;

	for (link = hpe->links; link < hpe->links + known; link++) {
		if (link->window != new->window || link->first != new->first ||
		    link->nr != new->nr)
			continue;
		if (link->level != new->level) {
			link->stale = true;
			hpe->stale_links = true;
		}
		return true;
	}

	return false;
}

/**
 * links_kill() - a bridge forgets, and remembers what it finds at once
 * @hpe: the PE
 * @window: the window that is killed; all that the bridge remembers of the others
 *	    stays
 * @first: the first TCE that is killed
 * @nr: how many; LONG_MAX: all of the PE. Else the bridge forgets no level
 */
void links_kill(struct host_pe *hpe, unsigned int window, unsigned long first,
		unsigned long nr)
{
	const struct tve *tve = hpe->tve + window;
	unsigned int i, kept = 0, known;

	for (i = 0; i < hpe->nr_links; i++)
		if (nr != LONG_MAX || hpe->links[i].window != window)
			hpe->links[kept++] = hpe->links[i];
	known = kept;
	if (nr == LONG_MAX)
		hpe->stale_links = false;
	hpe->nr_links = kept;
	if (!tve->levels || tve->bypass)
		return;
	links_scan(hpe, window, tve->table,
		   ilog2(tve->level_size / 8) * (tve->levels - 1), 0);
	for (i = kept = known; i < hpe->nr_links; i++)
		if (link_in(hpe->links + i, window, first, nr) &&
		    !links_have(hpe, known, hpe->links + i))
			hpe->links[kept++] = hpe->links[i];
	hpe->nr_links = kept;
}

/**
 * links_follow() - where a bridge begins to walk
 * @hpe: the PE
 * @window: the window
 * @index: the TCE that it wants
 * @level: the root; becomes the lowest level that it remembers, if that is not the one
 *	   that is in the table
 * @depth: how many levels there are from @level on
 */
void links_follow(const struct host_pe *hpe, unsigned int window,
		  unsigned long index, unsigned long *level, unsigned int *depth)
{
	unsigned int bits = ilog2(hpe->tve[window].level_size / 8);
	const struct host_link *link;

	if (!hpe->stale_links)
		return;
	for (link = hpe->links; link < hpe->links + hpe->nr_links; link++)
		if (link->stale && link_in(link, window, index, 1) &&
		    ilog2(link->nr) / bits < *depth) {
			*level = link->level;
			*depth = ilog2(link->nr) / bits;
		}
}

/* A level is about to be freed */
void links_freed(struct host_pe *hpe, unsigned long level)
{
	unsigned int i;

	for (i = 0; i < hpe->nr_links; i++)
		if (hpe->links[i].level == level)
			host_die("a level is freed, and pe %u may still walk through it\n",
				 hpe->pe.pe_number);
}
#endif
