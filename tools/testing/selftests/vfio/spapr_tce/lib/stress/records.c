// SPDX-License-Identifier: GPL-2.0
/*
 * What is known of slots, regions and transfers, while requests about them overlap.
 */
#include "lib/stress/stress.h"

void slot_begin(struct slot *s, struct before *b)
{
	s->seq++;
	b->slot = *s;
	s->busy++;
	s->must = UNKNOWN;
}

/* True if no other request about the slot overlapped */
static bool slot_alone(struct slot *s, const struct before *b)
{
	return !--s->busy && s->seq == b->slot.seq && !b->slot.busy;
}

/* What a transfer finds in its slot is in its set, but for what is not seen */
void may_land(struct device *d, u32 units)
{
	int i;

	if (!d->active || !life.groups[d->group].attached)
		return;
	for (i = 0; i < REGIONS; i++)
		if (life.regions[i].seen == AWAY)
			units &= ~region_units(&life.regions[i]);
	d->permitted |= d->slot->may & units;
}

/* A unit may be mapped in the slot from now on */
void slot_may(struct slot *s, int unit)
{
	struct device *d;

	s->may |= 1U << unit;
	for (d = life.devices; d < life.devices + life.ndevs; d++)
		if (d->slot == s)
			may_land(d, 1U << unit);
}

/* What was mapped in the slot is not any more */
static void slot_gone(struct slot *s, u32 units)
{
	u64 now = now_ms();
	struct device *d;

	for (d = life.devices; d < life.devices + life.ndevs; d++)
		if (d->active && d->slot == s && now - d->began < SURE_MS)
			d->permitted &= ~units;
}

void slot_end_map(struct slot *s, const struct before *b, int ret, int unit,
		  bool writable)
{
	if (!slot_alone(s, b))
		return;
	if (ret) {
		s->may = b->slot.may;
		s->must = b->slot.must;
		return;
	}
	s->must = unit;
	s->writable = writable;
	s->may = writable ? 1U << unit : 0;
	slot_gone(s, ~s->may);
}

void slot_end_unmap(struct slot *s, const struct before *b, int ret)
{
	if (!slot_alone(s, b))
		return;
	if (ret) {
		s->must = b->slot.must;
		return;
	}
	s->must = NOTHING;
	s->may = 0;
	slot_gone(s, ~0U);
}

void region_begin(struct region *r, struct before *b)
{
	struct device *d;

	r->seq++;
	b->region = *r;
	r->busy++;
	r->seen = UNSURE;
	for (d = life.devices; d < life.devices + life.ndevs; d++)
		may_land(d, region_units(r));
}

bool region_alone(struct region *r, const struct before *b)
{
	return !--r->busy && r->seq == b->region.seq && !b->region.busy;
}

/* Is it registered in no container for sure (0), in some (1), or UNKNOWN? */
int region_registered(const struct region *r)
{
	int i, sum = 0;

	for (i = 0; i < life.ncontainers; i++) {
		if (r->registered[i] == UNKNOWN)
			return UNKNOWN;
		sum |= r->registered[i];
	}
	return sum;
}

/* Its memory is what no device was told */
void region_away(struct region *r)
{
	struct device *d;

	r->seen = AWAY;
	for (d = life.devices; d < life.devices + life.ndevs; d++)
		d->permitted &= ~region_units(r);
}
