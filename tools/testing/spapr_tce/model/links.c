// SPDX-License-Identifier: GPL-2.0-only
/*
 * What bridges remember of levels: the addresses of all that they could walk through
 * since the last kill. None of them may be freed.
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

/**
 * links_kill() - a bridge forgets, and remembers what it finds at once
 * @hpe: the PE
 * @window: the window that is killed; all that the bridge remembers of the others
 *	    stays
 * @first: the first TCE that is killed
 * @nr: how many
 */
void links_kill(struct host_pe *hpe, unsigned int window, unsigned long first,
		unsigned long nr)
{
	const struct tve *tve = hpe->tve + window;
	unsigned int i, kept = 0, known;

	for (i = 0; i < hpe->nr_links; i++)
		if (!link_in(hpe->links + i, window, first, nr))
			hpe->links[kept++] = hpe->links[i];
	known = kept;
	hpe->nr_links = kept;
	if (!tve->levels || tve->bypass)
		return;
	links_scan(hpe, window, tve->table,
		   ilog2(tve->level_size / 8) * (tve->levels - 1), 0);
	/* Those of other ranges are known already */
	for (i = kept = known; i < hpe->nr_links; i++)
		if (link_in(hpe->links + i, window, first, nr))
			hpe->links[kept++] = hpe->links[i];
	hpe->nr_links = kept;
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
