// SPDX-License-Identifier: GPL-2.0
/*
 * Threads that make requests at random, and what these may answer.
 */
#include <unistd.h>

#include "lib/stress/stress.h"

static const char * const names[DO_MAX] = {
	"map", "unmap", "register", "unregister", "create", "remove", "attach",
	"detach",
};

/* The answers that each may give, besides 0 */
static const int allowed[DO_MAX][5] = {
	[DO_MAP] = { -ENXIO, -EINVAL, -EPERM, -ENOMEM },
	[DO_UNMAP] = { -ENXIO, -EINVAL, -ENOMEM },
	[DO_REGISTER] = { -EBUSY, -ENOMEM },
	[DO_UNREGISTER] = { -ENOENT, -EBUSY },
	[DO_CREATE] = { -ENOSPC, -ENOMEM },
	[DO_REMOVE] = { -EINVAL },
	/* no memory for the windows of the container, or of the host */
	[DO_ATTACH] = { -ENOMEM },
	[DO_DETACH] = { },
};

void answered(int what, int ret)
{
	unsigned int i;

	count(&life.report->requests);
	if (!ret) {
		count(&life.report->done);
		return;
	}
	for (i = 0; i < sizeof(allowed[what]) / sizeof(int); i++)
		if (ret == allowed[what][i])
			return;
	bad("%s gave %d", names[what], ret);
}

u64 slot_iova(const struct container *c, int window, int slot)
{
	return (window ? TCE_WINDOW1 : c->base) + slot % (SLOTS / 2) * UNIT +
		(slot < SLOTS / 2 ? 0 : SZ_512M);
}

/*
 * Some slots are seldom touched, so that transfers find mappings that stay.
 * Answers the first of @n.
 */
static int any_slot(unsigned int *seed, int *n)
{
	int half = SLOTS / 2, slot = rnd(seed, 8) ? rnd(seed, half / 2) :
						     rnd(seed, half);

	*n = 1 + rnd(seed, 3);
	if (slot + *n > half / 2)
		*n = 1;
	return slot + rnd(seed, 2) * half;
}

static void do_map(struct container *c, unsigned int *seed)
{
	int n, i, window = rnd(seed, 3) == 0, slot = any_slot(seed, &n);
	struct slot *s = &c->slots[window][slot];
	int unit = rnd(seed, UNITS), left = REGION_UNITS - unit % REGION_UNITS;
	struct before b[3];
	u32 prot = 1 + rnd(seed, 4);
	int ret;

	if (prot > DMA_RW)
		prot = DMA_RW;
	n = n > left ? left : n;
	lock();
	for (i = 0; i < n; i++) {
		slot_begin(s + i, &b[i]);
		if (prot & DMA_W)
			slot_may(s + i, unit + i);
	}
	unlock();
	ret = tce_map(c->fd, slot_iova(c, window, slot), unit_va(unit), n * UNIT,
		      prot);
	lock();
	for (i = 0; i < n; i++)
		slot_end_map(s + i, &b[i], ret, unit + i, prot & DMA_W);
	unlock();
	answered(DO_MAP, ret);
}

static void do_unmap(struct container *c, unsigned int *seed)
{
	int n, i, window = rnd(seed, 3) == 0, slot = any_slot(seed, &n);
	struct slot *s = &c->slots[window][slot];
	struct before b[3];
	int ret;

	lock();
	for (i = 0; i < n; i++)
		slot_begin(s + i, &b[i]);
	unlock();
	ret = tce_unmap(c->fd, slot_iova(c, window, slot), n * UNIT);
	lock();
	for (i = 0; i < n; i++)
		slot_end_unmap(s + i, &b[i], ret);
	unlock();
	answered(DO_UNMAP, ret);
}

static void do_register(struct container *c, unsigned int *seed)
{
	struct region *r = &life.regions[rnd(seed, REGIONS)];
	int *registered = &r->registered[c - life.containers];
	struct before b;
	int ret, before;

	lock();
	before = region_registered(r);
	region_begin(r, &b);
	*registered = UNKNOWN;
	unlock();
	ret = tce_register(c->fd, r->va, REGION_SIZE);
	lock();
	if (region_alone(r, &b)) {
		r->seen = b.region.seen;
		if (!ret)
			r->seen = !before ? SAME :
				  before == UNKNOWN ? UNSURE : r->seen;
		*registered = !ret || ret == -EBUSY;
	}
	unlock();
	answered(DO_REGISTER, ret);
}

/* A slot that for sure maps memory of the region */
static struct slot *slot_with(struct container *c, const struct region *r)
{
	int i, first = (r - life.regions) * REGION_UNITS;
	struct slot *s = &c->slots[0][0];

	for (i = 0; i < WINDOWS * SLOTS; i++, s++)
		if (s->must >= first && s->must < first + REGION_UNITS)
			return s;
	return NULL;
}

static void do_unregister(struct container *c, unsigned int *seed)
{
	struct region *r = &life.regions[rnd(seed, REGIONS)];
	int *registered = &r->registered[c - life.containers];
	unsigned int seq = 0;
	struct slot *s;
	struct before b;
	int ret;

	lock();
	s = slot_with(c, r);
	if (s)
		seq = s->seq;
	region_begin(r, &b);
	*registered = UNKNOWN;
	unlock();
	ret = tce_unregister(c->fd, r->va, REGION_SIZE);
	lock();
	/* nobody was about the slot meanwhile */
	if (s && s->seq == seq) {
		count(&life.report->busy);
		if (ret != -EBUSY)
			bad("unregistering region %d, mapped by slot %d, answered %d",
			    (int)(r - life.regions), (int)(s - &c->slots[0][0]),
			    ret);
	}
	if (region_alone(r, &b)) {
		r->seen = b.region.seen;
		*registered = ret == -EBUSY;
	}
	unlock();
	answered(DO_UNREGISTER, ret);
}

static void do_create(struct container *c, unsigned int *seed)
{
	u32 shift = sys_tce_shift();

	if (c->pgsizes & BIT_ULL(12) && rnd(seed, 2))
		shift = 12;
	answered(DO_CREATE, tce_create(c->fd, shift, SZ_1G, 1 + rnd(seed, 3),
				       NULL));
}

static void do_remove(struct container *c, unsigned int *seed)
{
	struct before b[SLOTS];
	int window = rnd(seed, 2), i, ret;
	struct slot *s = c->slots[window];

	lock();
	for (i = 0; i < SLOTS; i++)
		slot_begin(s + i, &b[i]);
	unlock();
	ret = tce_remove(c->fd, window ? TCE_WINDOW1 : c->base);
	lock();
	for (i = 0; i < SLOTS; i++)
		slot_end_unmap(s + i, &b[i], ret);
	unlock();
	answered(DO_REMOVE, ret);
}

void *request(void *arg)
{
	unsigned int seed = (uintptr_t)arg, r;
	struct container *c;

	while (!stopped()) {
		c = &life.containers[rnd(&seed, life.ncontainers)];
		r = rnd(&seed, 128);
		if (r < 64)
			do_map(c, &seed);
		else if (r < 100)
			do_unmap(c, &seed);
		else if (r < 116)
			do_register(c, &seed);
		else if (r < 125)
			do_unregister(c, &seed);
		else if (!sys_powernv())
			continue;	/* a refused window is the last one */
		else if (r < 127)
			do_create(c, &seed);
		else if (!rnd(&seed, 4))
			do_remove(c, &seed);
		usleep(rnd(&seed, 3000));
	}
	return NULL;
}
