// SPDX-License-Identifier: GPL-2.0
/*
 * Threads of devices: each starts transfers, and proves where they landed.
 */
#include "lib/stress/stress.h"

bool start_transfer(struct device *d, struct container *c, int window,
		    int slot, struct prospect *p)
{
	struct group *g = &life.groups[d->group];
	struct region *r;

	d->slot = &c->slots[window][slot];
	d->off = rnd(&d->seed, CELLS / MAX_DEVS) * MAX_DEVS +
		 (d - life.devices);
	d->permitted = 0;
	d->active = true;
	may_land(d, ~0U);

	p->unit = d->slot->must;
	p->slot_seq = d->slot->seq;
	p->group_seq = g->seq;
	if (!g->attached || (p->unit >= 0 && !d->slot->writable))
		p->unit = NOTHING;
	if (p->unit >= 0) {
		r = &life.regions[p->unit / REGION_UNITS];
		p->shaken = r->shaken;
		if (r->seen != SAME || g->attached != 1)
			p->unit = UNKNOWN;
	}

	d->began = now_ms();
	return !edu_start(d->dev, true, slot_iova(c, window, slot) +
			  d->off * CELL, d->stamp * CELL, STAMP);
}

void end_transfer(struct device *d, const struct prospect *p)
{
	bool steady = d->slot->seq == p->slot_seq && !d->slot->busy &&
		      life.groups[d->group].seq == p->group_seq;
	struct container *c = &life.containers[life.groups[d->group].container];
	u32 found = 0;
	int unit;

	for (unit = 0; unit < UNITS; unit++) {
		if (has_stamp(unit, d->off, d, d->stamp))
			found |= 1U << unit;
		else
			check_cell(unit, d->off);
	}
	if (found & ~d->permitted) {
		bad("device %s: stamp %u in units %x, allowed are %x; slot %d",
		    d->dev->bdf, d->stamp, found, d->permitted,
		    (int)(d->slot - &c->slots[0][0]));
	} else if (steady && p->unit >= 0 &&
		   life.regions[p->unit / REGION_UNITS].shaken == p->shaken) {
		count(&life.report->had_to);
		if (found != 1U << p->unit)
			bad("device %s: stamp %u in units %x, not in unit %d",
			    d->dev->bdf, d->stamp, found, p->unit);
	}
	count(&life.report->transfers);
	if (found)
		count(&life.report->landed);
	if (!d->permitted)
		count(&life.report->refused);
	for (unit = 0; unit < UNITS; unit++)
		if (found & 1U << unit)
			fill_cell(unit, d->off);
	d->active = false;
}

/* Most of the time a slot where something may be mapped, if there is one */
static int target(struct device *d, const struct slot *slots)
{
	int i, slot = rnd(&d->seed, SLOTS);

	if (rnd(&d->seed, 4))
		for (i = 0; i < SLOTS && !slots[slot].may; i++)
			slot = (slot + 1) % SLOTS;
	return slot;
}

void *transfers(void *arg)
{
	struct device *d = arg;
	struct group *g = &life.groups[d->group];
	struct container *c = &life.containers[g->container];
	struct prospect p;
	int window, slot;

	for (d->stamp = 0; d->stamp < STAMPS - 1 && !stopped(); d->stamp++) {
		/*
		 * While the host has the device, window 1 is all of memory
		 * (the bypass): nothing may be on its way there when the group
		 * is given back.
		 */
		window = !life.fragile && !g->moves && rnd(&d->seed, 3) == 0;
		lock();
		slot = target(d, c->slots[window]);
		if (!start_transfer(d, c, window, slot, &p))
			bad("device %s does not start", d->dev->bdf);
		unlock();
		if (edu_wait(d->dev)) {
			bad("device %s does not end", d->dev->bdf);
			break;
		}
		lock();
		end_transfer(d, &p);
		if (!rnd(&d->seed, 4))
			check_all();
		unlock();
	}
	return NULL;
}
