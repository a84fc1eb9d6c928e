// SPDX-License-Identifier: GPL-2.0
/*
 * What is in memory: canaries, and the stamps that devices write.
 */
#include "lib/stress/stress.h"

void *unit_va(int unit)
{
	return life.regions[unit / REGION_UNITS].va + unit % REGION_UNITS * UNIT;
}

u32 region_units(const struct region *r)
{
	return ((1U << REGION_UNITS) - 1) << (r - life.regions) * REGION_UNITS;
}

static u64 word(u64 a, u64 b)
{
	return (a + 1) * 0x9e3779b97f4a7c15ULL ^ (b + 1) * 0xd1342543de82ef95ULL;
}

static u64 canary(int unit, unsigned int cell, unsigned int i)
{
	return word(life.seed, (u64)unit << 32 | cell << 4 | i);
}

u64 stamp(const struct device *d, unsigned int nr, unsigned int i)
{
	return word(~(u64)life.seed,
		    (u64)(d - life.devices) << 48 | (u64)nr << 16 | i);
}

void fill_cell(int unit, unsigned int cell)
{
	u64 *p = unit_va(unit) + cell * CELL;
	unsigned int i;

	for (i = 0; i < CELL / 8; i++)
		p[i] = canary(unit, cell, i);
}

void fill_region(struct region *r)
{
	int unit = (r - life.regions) * REGION_UNITS, end = unit + REGION_UNITS;
	unsigned int cell;

	for (; unit < end; unit++)
		for (cell = 0; cell < CELLS; cell++)
			fill_cell(unit, cell);
}

/* A device may write there now */
static u64 peek(const u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static bool has_canary(int unit, unsigned int cell)
{
	const u64 *p = unit_va(unit) + cell * CELL;
	unsigned int i;

	for (i = 0; i < CELL / 8; i++)
		if (peek(p + i) != canary(unit, cell, i))
			return false;
	return true;
}

bool has_stamp(int unit, unsigned int cell, const struct device *d,
	       unsigned int nr)
{
	const u64 *p = unit_va(unit) + cell * CELL;
	unsigned int i;

	for (i = 0; i < STAMP / 8; i++)
		if (peek(p + i) != stamp(d, nr, i))
			return false;
	return peek(p + i) == canary(unit, cell, i);
}

/* A cell without its canary: is it one that a transfer on its way may write? */
static void check_odd_cell(int unit, unsigned int cell)
{
	struct device *d;
	const u64 *p = unit_va(unit) + cell * CELL;
	int i;

	for (d = life.devices; d < life.devices + life.ndevs; d++)
		if (d->active && d->off == cell && d->permitted & 1U << unit)
			return;
	for (d = life.devices; d < life.devices + life.ndevs; d++)
		for (i = 0; i < STAMPS; i++)
			if (p[0] == stamp(d, i, 0)) {
				bad("%s: stamp %d in unit %d, cell %u; now: %u, cell %u, units %x",
				    d->dev->bdf, i, unit, cell, d->stamp,
				    d->off, d->permitted);
				return;
			}
	bad("unit %d, cell %u was overwritten: %llx", unit, cell, p[0]);
}

void check_cell(int unit, unsigned int cell)
{
	if (!has_canary(unit, cell))
		check_odd_cell(unit, cell);
}

void check_all(void)
{
	unsigned int cell;
	int unit;

	for (unit = 0; unit < UNITS; unit++)
		for (cell = 0; cell < CELLS; cell++)
			check_cell(unit, cell);
}
