/* SPDX-License-Identifier: GPL-2.0-only */
/* For tce_debugfs.c: one bit after the other is good enough here */
#ifndef _SPAPR_TCE_SHIM_BITMAP_H
#define _SPAPR_TCE_SHIM_BITMAP_H

#define DECLARE_BITMAP(name, bits) \
	unsigned long name[DIV_ROUND_UP(bits, BITS_PER_LONG)]

static inline void bitmap_zero(unsigned long *map, unsigned int bits)
{
	memset(map, 0, DIV_ROUND_UP(bits, BITS_PER_LONG) * sizeof(*map));
}

static inline bool host_bit(const unsigned long *map, unsigned int bit)
{
	return map[bit / BITS_PER_LONG] >> bit % BITS_PER_LONG & 1;
}

static inline unsigned int bitmap_weight(const unsigned long *map,
					 unsigned int bits)
{
	unsigned int bit, weight = 0;

	for (bit = 0; bit < bits; bit++)
		weight += host_bit(map, bit);

	return weight;
}

/* The first bit from @bit on that is @what */
static inline unsigned int host_find(const unsigned long *map, unsigned int bits,
				     unsigned int bit, bool what)
{
	while (bit < bits && host_bit(map, bit) != what)
		bit++;

	return bit;
}

#define for_each_set_bitrange(first, end, map, bits)			\
	for (first = host_find(map, bits, 0, true);			\
	     first < (bits) &&						\
	     (end = host_find(map, bits, first, false), true);		\
	     first = host_find(map, bits, end, true))

#endif
