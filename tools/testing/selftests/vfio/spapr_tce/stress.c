// SPDX-License-Identifier: GPL-2.0
/*
 * Processes, containers, groups and threads that do everything at once, at
 * random and for as long as wanted, while devices write to memory all the time.
 * Each process proves that its devices wrote nothing but what, and where, it
 * had mapped.
 *
 * A process lives for a second or two. It has memory in regions of a few units
 * (64 KiB), containers with groups in them, and places ("slots") in the windows
 * of these where it maps units. All memory is filled with canaries. What devices
 * write are stamps: 56 bytes that tell which transfer of which device they are
 * from. Each device has some rows of each unit to itself, and one transfer on
 * its way.
 *
 * What is known is kept in three kinds of records, all under one lock that
 * nobody holds during a request:
 *
 * - A slot knows which units may be mapped there for writing (@may), and, when
 *   no two requests about it overlapped, which one is (@must). A request adds to
 *   @may before it starts, and decides when it is over, if it was alone.
 * - A region knows in which containers it is registered, and whether the memory
 *   that the process sees there is what was pinned: after MADV_DONTNEED or the
 *   like it is not, and no write may be seen in it until it is registered anew.
 * - A transfer has the set of units where it may land: what its slot may map
 *   when it starts, and what is mapped there until it ends. An edu copies at
 *   the end of 100 ms. So, when an unmap, a removal or a detach has returned and
 *   the transfer is younger than that, nothing mapped there before is in the set
 *   any more.
 *
 * At the end of a transfer its stamp must be in no other unit than those, and
 * be there if the same writable mapping was there all the time. Now and then all
 * memory is looked through. A process that holds no device looks at memory that
 * it takes and gives back all the time; whatever is there, nobody else wrote it.
 *
 * Also: a request answers what it can answer; what is mapped is not
 * unregistered; a child of fork() sees its copy of the memory unchanged; and in
 * the end, however the process ended, no pin, charge or table is left.
 *
 * SPAPR_TCE_STRESS_SECONDS in the environment says how long each test takes;
 * SPAPR_TCE_STRESS_SEED gives again the random numbers of a run that failed,
 * though not its timing.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/wait.h>

#include "harness.h"

#define UNIT		SZ_64K
#define REGION_UNITS	4
#define REGION_SIZE	(REGION_UNITS * UNIT)
#define REGIONS		8
#define UNITS		(REGIONS * REGION_UNITS)	/* bits of a u32 */
#define SLOTS		32		/* of a window, half of them far away */
#define WINDOWS		2
#define MAX_DEVS	8
#define CELL		64
#define STAMP		56
#define STAMPS		(EDU_BUF_SIZE / CELL)
#define CELLS		(UNIT / CELL)
#define REQUESTERS	2
#define SURE_MS		80	/* a younger transfer has not been copied */
#define DEFAULT_SECONDS	8

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif

#define EXEC_ENV	"SPAPR_TCE_STRESS_EXEC"

enum seen { SAME, AWAY, UNSURE };
enum kind { SMALL, SHARED, THP, HUGETLB };
enum end { ORDERLY, CLOSE, EXIT, EXEC, KILLED, ENDS };

/* @must of a slot: a unit, or one of these */
#define NOTHING		(-1)
#define UNKNOWN		(-2)

struct slot {
	unsigned int seq;	/* requests so far */
	unsigned int busy;	/* requests now */
	u32 may;
	int must;
	bool writable;		/* @must is */
};

struct container {
	int fd;
	u64 base;		/* of window 0 */
	u64 pgsizes;
	struct slot slots[WINDOWS][SLOTS];
};

struct region {
	void *va;
	void *whole;		/* the mapping that it is a part of */
	size_t size;
	enum kind kind;
	unsigned int seq;
	unsigned int busy;
	unsigned int shaken;	/* how often other pages came to be seen */
	int registered[TCE_MAX_DEVS];	/* in a container: 0, 1 or UNKNOWN */
	enum seen seen;
};

struct device {
	struct tce_dev *dev;
	pthread_t thread;
	int group;
	unsigned int seed;
	/* the transfer on its way */
	bool active;
	struct slot *slot;
	unsigned int off;
	unsigned int stamp;
	u32 permitted;
	u64 began;
};

struct group {
	struct tce_dev *dev;
	int container;
	bool moves;		/* may be taken out and put in again */
	unsigned int seq;
	int attached;		/* 0, 1 or UNKNOWN */
};

/* What processes tell the test */
struct report {
	int bad;
	char text[400];
	u64 requests;
	u64 done;
	u64 transfers;
	u64 landed;
	u64 had_to;		/* transfers that had to land */
	u64 refused;		/* transfers that could land nowhere */
	u64 busy;		/* unregistrations that had to be refused */
};

/* ---- the parent's view of the machine ----------------------------------- */

FIXTURE(stress)
{
	struct tce_leak leak;
	struct tce_dev groups[TCE_MAX_DEVS];
	struct tce_dev devs[MAX_DEVS];
	int group_of[MAX_DEVS];
	int ngroups;
	int ndevs;
	struct report *report;
	int klog;
	pid_t helpers[2];
};

FIXTURE_VARIANT(stress)
{
	bool processes;		/* one for each group */
	bool containers;	/* one for each group */
};

VARIANT(stress, processes, .processes = true);
VARIANT(stress, containers, .containers = true);
VARIANT(stress, groups);

/* ---- one process --------------------------------------------------------- */

static struct {
	pthread_mutex_t lock;	/* all below */
	struct container containers[TCE_MAX_DEVS];
	struct group groups[TCE_MAX_DEVS];
	struct device devices[MAX_DEVS];
	struct region regions[REGIONS];
	int ncontainers;
	int ngroups;
	int ndevs;
	bool stop;
	bool fragile;		/* may end any time: no window 1 */
	unsigned int seed;
	struct report *report;
} life = { .lock = PTHREAD_MUTEX_INITIALIZER };

static u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

static void lock(void)
{
	pthread_mutex_lock(&life.lock);
}

static void unlock(void)
{
	pthread_mutex_unlock(&life.lock);
}

static bool stopped(void)
{
	return __atomic_load_n(&life.stop, __ATOMIC_RELAXED);
}

static void count(u64 *what)
{
	__atomic_fetch_add(what, 1, __ATOMIC_RELAXED);
}

/* The first one to complain is heard */
static void bad(const char *fmt, ...)
{
	struct report *r = life.report;
	va_list ap;
	int n;

	if (__atomic_exchange_n(&r->bad, 1, __ATOMIC_SEQ_CST))
		return;
	n = snprintf(r->text, sizeof(r->text), "life %u: ", life.seed);
	va_start(ap, fmt);
	vsnprintf(r->text + n, sizeof(r->text) - n, fmt, ap);
	va_end(ap);
}

static unsigned int rnd(unsigned int *seed, unsigned int below)
{
	return (rand_r(seed) >> 4) % below;
}

/* ---- memory ------------------------------------------------------------- */

static void *unit_va(int unit)
{
	return life.regions[unit / REGION_UNITS].va + unit % REGION_UNITS * UNIT;
}

static u32 region_units(const struct region *r)
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

static u64 stamp(const struct device *d, unsigned int nr, unsigned int i)
{
	return word(~(u64)life.seed,
		    (u64)(d - life.devices) << 48 | (u64)nr << 16 | i);
}

static void fill_cell(int unit, unsigned int cell)
{
	u64 *p = unit_va(unit) + cell * CELL;
	unsigned int i;

	for (i = 0; i < CELL / 8; i++)
		p[i] = canary(unit, cell, i);
}

static void fill_region(struct region *r)
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

static bool has_stamp(int unit, unsigned int cell, const struct device *d,
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

static void check_cell(int unit, unsigned int cell)
{
	if (!has_canary(unit, cell))
		check_odd_cell(unit, cell);
}

static void check_all(void)
{
	unsigned int cell;
	int unit;

	for (unit = 0; unit < UNITS; unit++)
		for (cell = 0; cell < CELLS; cell++)
			check_cell(unit, cell);
}

/* ---- records ------------------------------------------------------------ */

/* What a request finds, to be left so if it fails */
struct before {
	struct slot slot;
	struct region region;
};

static void slot_begin(struct slot *s, struct before *b)
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
static void may_land(struct device *d, u32 units)
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
static void slot_may(struct slot *s, int unit)
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

static void slot_end_map(struct slot *s, const struct before *b, int ret,
			 int unit, bool writable)
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

static void slot_end_unmap(struct slot *s, const struct before *b, int ret)
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

static void region_begin(struct region *r, struct before *b)
{
	struct device *d;

	r->seq++;
	b->region = *r;
	r->busy++;
	r->seen = UNSURE;
	for (d = life.devices; d < life.devices + life.ndevs; d++)
		may_land(d, region_units(r));
}

static bool region_alone(struct region *r, const struct before *b)
{
	return !--r->busy && r->seq == b->region.seq && !b->region.busy;
}

/* Is it registered in no container for sure (0), in some (1), or UNKNOWN? */
static int region_registered(const struct region *r)
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
static void region_away(struct region *r)
{
	struct device *d;

	r->seen = AWAY;
	for (d = life.devices; d < life.devices + life.ndevs; d++)
		d->permitted &= ~region_units(r);
}

/* ---- requests ----------------------------------------------------------- */

enum {
	DO_MAP,
	DO_UNMAP,
	DO_REGISTER,
	DO_UNREGISTER,
	DO_CREATE,
	DO_REMOVE,
	DO_ATTACH,
	DO_DETACH,
	DO_MAX,
};

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

static void answered(int what, int ret)
{
	unsigned int i;

	count(&life.report->requests);
	if (!ret) {
		count(&life.report->done);
		return;
	}
	for (i = 0; i < ARRAY_SIZE(allowed[what]); i++)
		if (ret == allowed[what][i])
			return;
	bad("%s gave %d", names[what], ret);
}

static u64 slot_iova(const struct container *c, int window, int slot)
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

static void *request(void *arg)
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

/* ---- groups come and go ------------------------------------------------- */

static void do_attach(struct group *g)
{
	struct device *d;
	int ret;

	lock();
	g->seq++;
	g->attached = UNKNOWN;
	for (d = life.devices; d < life.devices + life.ndevs; d++)
		if (d->group == g - life.groups)
			may_land(d, ~0U);
	unlock();
	ret = tce_group_set(g->dev, life.containers[g->container].fd);
	lock();
	g->attached = !ret;
	unlock();
	answered(DO_ATTACH, ret);
}

static void do_detach(struct group *g)
{
	struct device *d;
	u64 now;
	int ret;

	lock();
	g->seq++;
	g->attached = UNKNOWN;
	unlock();
	ret = tce_group_unset(g->dev);
	lock();
	g->attached = !!ret;
	now = now_ms();
	for (d = life.devices; d < life.devices + life.ndevs && !ret; d++)
		if (d->group == g - life.groups && now - d->began < SURE_MS)
			d->permitted = 0;
	unlock();
	answered(DO_DETACH, ret);
}

/* ---- what happens to memory --------------------------------------------- */

/* Other pages than before are seen there, or the same */
static bool shake(struct region *r, unsigned int what)
{
	size_t page = sys_page_size();
	void *away;

	switch (r->kind) {
	case SHARED:
		return !madvise(r->va, REGION_SIZE,
				what ? MADV_DONTNEED : MADV_REMOVE) && !what;
	case HUGETLB:
		return false;
	case THP:
		switch (what) {
		case 2:
			madvise(r->whole, r->size, MADV_COLLAPSE);
			return false;
		case 3:	/* in two, and one again */
			mprotect(r->va + page, page, PROT_READ);
			mprotect(r->va + page, page, PROT_READ | PROT_WRITE);
			return false;
		}
		break;
	case SMALL:
		break;
	}

	switch (what) {
	case 0:
		return !madvise(r->va, REGION_SIZE, MADV_DONTNEED);
	case 1:	/* as munmap(), but nobody else gets in between */
		return mmap(r->va, REGION_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
		       MAP_FAILED;
	case 4:
	case 5:
		away = mremap(r->va, REGION_SIZE, REGION_SIZE,
			      MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
		if (away == MAP_FAILED)
			return false;
		if (mremap(away, REGION_SIZE, REGION_SIZE,
			   MREMAP_MAYMOVE | MREMAP_FIXED, r->va) != r->va)
			bad("no way back for memory: %s", strerror(errno));
		return false;
	default:
		madvise(r->va, REGION_SIZE, MADV_HUGEPAGE);
		madvise(r->va, REGION_SIZE, MADV_COLD);
		madvise(r->va, REGION_SIZE, MADV_PAGEOUT);
		return false;
	}
}

static void do_shake(unsigned int *seed)
{
	struct region *r = &life.regions[rnd(seed, REGIONS)];
	struct before b;
	bool alone;

	lock();
	region_begin(r, &b);
	/* other pages now and then only: then nothing is seen of transfers */
	if (shake(r, rnd(seed, 12))) {
		r->shaken++;
		fill_region(r);
		alone = region_alone(r, &b);
		if (alone)
			region_away(r);
	} else if (region_alone(r, &b)) {
		r->seen = b.region.seen;
	}
	unlock();
}

static u64 checksum(void)
{
	u64 sum = 0, *p;
	int i;

	for (i = 0; i < REGIONS; i++) {
		p = life.regions[i].va;
		/* a child may have no huge page of its own (SIGBUS) */
		if (life.regions[i].kind == SHARED ||
		    life.regions[i].kind == HUGETLB)
			continue;
		for (; (void *)p < life.regions[i].va + REGION_SIZE; p++)
			sum = sum * 31 + *p;
	}
	return sum;
}

/* In the child nothing changes, whatever devices write in the parent. */
static pid_t do_fork(void)
{
	struct timespec ts = { .tv_nsec = 150000000 };
	pid_t pid;
	u64 sum;

	lock();
	pid = fork();
	unlock();
	if (pid)
		return pid > 0 ? pid : 0;
	/* it must not be the one that holds the container */
	close_range(3, ~0U, 0);
	sum = checksum();
	nanosleep(&ts, NULL);
	_exit(checksum() != sum);
}

static void reap(pid_t *pid, int flags)
{
	int status;

	if (*pid > 0 && waitpid(*pid, &status, flags) == *pid) {
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			bad("memory of a forked child has changed: %x", status);
		*pid = 0;
	}
}

static void *shaker(void *arg)
{
	unsigned int seed = (uintptr_t)arg;
	pid_t child = 0;
	struct group *g;

	while (!stopped()) {
		switch (rnd(&seed, 4)) {
		case 0:
			reap(&child, WNOHANG);
			if (!child && !rnd(&seed, 4))
				child = do_fork();
			break;
		case 1:
			g = &life.groups[rnd(&seed, life.ngroups)];
			if (!g->moves)
				break;
			if (g->attached)
				do_detach(g);
			else
				do_attach(g);
			break;
		default:
			do_shake(&seed);
		}
		usleep(5000 + rnd(&seed, 40000));
	}
	reap(&child, 0);
	return NULL;
}

/* ---- transfers ---------------------------------------------------------- */

/* What must come of a transfer, if all stays as it was at its start */
struct prospect {
	int unit;
	unsigned int slot_seq;
	unsigned int shaken;
	unsigned int group_seq;
};

static bool start_transfer(struct device *d, struct container *c, int window,
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

static void end_transfer(struct device *d, const struct prospect *p)
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

static void *transfers(void *arg)
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

/* ---- a life from start to end ------------------------------------------- */

static bool make_region(struct region *r, enum kind kind)
{
	size_t huge = sys_radix() ? SZ_2M : SZ_16M;
	unsigned int flags = 0;

	memset(r, 0, sizeof(*r));
	r->size = huge;
	if (kind == HUGETLB) {
		r->whole = mem_alloc(huge, 0,
				     MEM_HUGETLB(__builtin_ctzll(huge)));
		if (!r->whole)
			kind = SMALL;
	}
	r->kind = kind;
	if (kind == THP)
		flags = MEM_THP;
	else if (kind == SHARED)
		flags = MEM_SHARED;
	if (kind == SMALL || kind == SHARED)
		r->size = REGION_SIZE;
	if (!r->whole)
		r->whole = mem_alloc(r->size, r->size, MEM_POPULATE | flags);
	r->va = r->whole;
	if (r->size > REGION_SIZE && r->whole)
		r->va += 3 * REGION_SIZE;
	return r->whole;
}

/* Who had the device before may take a moment to be gone */
static int open_patiently(struct tce_dev *dev)
{
	int i, c = -EBUSY;

	for (i = 0; i < 500 && c == -EBUSY; i++) {
		c = tce_open(dev, TCE_V2);
		if (c == -EBUSY)
			usleep(20000);
	}
	return c;
}

static int open_container(struct container *c, struct tce_dev *dev)
{
	struct vfio_iommu_spapr_tce_info info;
	struct slot *s = &c->slots[0][0];
	int i;

	for (i = 0; i < WINDOWS * SLOTS; i++)
		s[i].must = NOTHING;
	c->fd = open_patiently(dev);
	if (c->fd < 0)
		return c->fd;
	i = tce_get_info(c->fd, &info);
	c->base = info.dma32_window_start;
	c->pgsizes = info.ddw.pgsizes;
	return i;
}

/* Memory cannot be pinned for a moment while its block is tried to go offline. */
static int register_patiently(int c, void *va, size_t size)
{
	int i, ret = -ENOMEM;

	for (i = 0; i < 500 && ret == -ENOMEM; i++) {
		ret = tce_register(c, va, size);
		if (ret == -ENOMEM)
			usleep(20000);
	}
	return ret;
}

/* The device reads its stamps into its buffer; nothing else goes on yet. */
static int load_stamps(struct device *d)
{
	struct container *c = &life.containers[life.groups[d->group].container];
	u64 *src = mem_alloc(UNIT, UNIT, MEM_POPULATE);
	unsigned int nr, i;
	int ret;

	if (!src)
		return -ENOMEM;
	for (nr = 0; nr < STAMPS; nr++)
		for (i = 0; i < CELL / 8; i++)
			src[nr * CELL / 8 + i] = stamp(d, nr, i);
	/* whatever was on its way when the last owner ended */
	ret = edu_wait(d->dev);
	if (!ret)
		ret = register_patiently(c->fd, src, UNIT);
	if (!ret)
		ret = tce_map(c->fd, c->base, src, UNIT, DMA_R);
	if (!ret)
		ret = edu_read_ram(d->dev, c->base, 0, EDU_MAX_LEN);
	if (!ret)
		ret = tce_unmap(c->fd, c->base, UNIT);
	if (!ret)
		ret = tce_unregister(c->fd, src, UNIT);
	mem_free(src, UNIT);
	return ret;
}

static int set_up(bool containers)
{
	struct group *g;
	int i, ret = 0;

	for (i = 0; i < REGIONS; i++) {
		if (!make_region(&life.regions[i], i < 4 ? SMALL : i - 4))
			return -ENOMEM;
		fill_region(&life.regions[i]);
	}
	for (g = life.groups; g < life.groups + life.ngroups && !ret; g++) {
		g->attached = 1;
		/* groups of an LPAR cannot share windows */
		if (g == life.groups || containers || !sys_powernv()) {
			g->container = life.ncontainers++;
			ret = open_container(&life.containers[g->container],
					     g->dev);
			continue;
		}
		g->moves = true;
		for (i = 0, ret = -EBUSY; i < 500 && ret == -EBUSY; i++) {
			ret = tce_group_open(g->dev);
			if (ret == -EBUSY)
				usleep(20000);
		}
		if (!ret)
			ret = tce_group_set(g->dev, life.containers[0].fd);
	}
	for (i = 0; i < life.ndevs && !ret; i++)
		ret = tce_dev_open(life.devices[i].dev);
	for (i = 0; i < life.ndevs && !ret; i++)
		ret = load_stamps(&life.devices[i]);
	return ret;
}

/* All can be undone by name, and then nothing is left. */
static void undo(void)
{
	struct container *c;
	int i, ret;

	for (c = life.containers; c < life.containers + life.ncontainers; c++) {
		for (i = 0; i < WINDOWS * 2; i++) {
			ret = tce_unmap(c->fd, slot_iova(c, i / 2, i % 2 * SLOTS / 2),
					SLOTS / 2 * UNIT);
			if (ret && ret != -ENXIO)
				bad("unmapping all answered %d", ret);
		}
		for (i = 0; i < REGIONS; i++) {
			ret = tce_unregister(c->fd, life.regions[i].va,
					     REGION_SIZE);
			if (ret && ret != -ENOENT)
				bad("unregistering in the end answered %d", ret);
		}
		if (sys_powernv()) {
			tce_remove(c->fd, c->base);
			tce_remove(c->fd, TCE_WINDOW1);
		}
	}
	if (sys_powernv() && sys_vmlck())
		bad("%llu bytes are still charged", sys_vmlck());
}

static void close_all(void)
{
	int i;

	for (i = 0; i < life.ngroups; i++) {
		close(life.groups[i].dev->group);
		life.groups[i].attached = 0;
	}
	for (i = 0; i < life.ncontainers; i++)
		close(life.containers[i].fd);
}

/* The devices go on, but there is no place for them. */
static void write_nowhere(void)
{
	struct device *d;
	struct prospect p;
	int i;

	for (i = 0; i < 2; i++) {
		for (d = life.devices; d < life.devices + life.ndevs; d++) {
			d->stamp = STAMPS - 1;
			start_transfer(d, &life.containers[life.groups[d->group].container],
				       0, rnd(&d->seed, SLOTS), &p);
			d->permitted = 0;
		}
		for (d = life.devices; d < life.devices + life.ndevs; d++) {
			if (edu_wait(d->dev))
				bad("device %s does not end", d->dev->bdf);
			p.unit = UNKNOWN;
			end_transfer(d, &p);
		}
	}
}

static void live(enum end end, unsigned int ms, bool containers)
{
	pthread_t threads[REQUESTERS + 1];
	int i, ret;

	life.fragile = end != ORDERLY && end != CLOSE;
	ret = set_up(containers);
	if (ret) {
		bad("cannot start: %d", ret);
		_exit(1);
	}
	for (i = 0; i < life.ndevs; i++) {
		life.devices[i].seed = life.seed * 31 + i;
		pthread_create(&life.devices[i].thread, NULL, transfers,
			       &life.devices[i]);
	}
	for (i = 0; i < REQUESTERS + 1; i++)
		pthread_create(&threads[i], NULL, i ? request : shaker,
			       (void *)((uintptr_t)life.seed * 37 + i));
	usleep(ms * 1000);
	if (end == EXIT)
		_exit(0);
	if (end == EXEC) {
		setenv(EXEC_ENV, "1", 1);
		execl("/proc/self/exe", "stress", NULL);
		_exit(1);
	}
	if (end == KILLED)
		pause();

	__atomic_store_n(&life.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < REQUESTERS + 1; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < life.ndevs; i++)
		pthread_join(life.devices[i].thread, NULL);
	if (end == ORDERLY)
		undo();
	else
		close_all();
	write_nowhere();
	check_all();
	_exit(0);
}

/* The end of a process that execs: no main(), and no memory of it. */
__attribute__((constructor))
static void maybe_exec(void)
{
	if (getenv(EXEC_ENV))
		_exit(0);
}

/* ---- what happens to the machine ---------------------------------------- */

/* Memory that comes and goes: others must not write there. */
static void bystander(struct report *report)
{
	enum { BLOCKS = 32 };
	void *blocks[BLOCKS] = {};
	unsigned int seed = 1, i;

	life.report = report;
	for (;;) {
		i = rnd(&seed, BLOCKS);
		if (blocks[i] && !mem_check(blocks[i], SZ_1M, i))
			bad("memory of a process without a device was written");
		mem_free(blocks[i], SZ_1M);
		blocks[i] = mem_alloc(SZ_1M, 0, rnd(&seed, 2) ? MEM_THP : 0);
		if (blocks[i])
			mem_fill(blocks[i], SZ_1M, i);
		usleep(2000);
	}
}

static void machine(unsigned int seed)
{
	unsigned int shift = sys_radix() ? 21 : 24;
	int block;

	for (;;) {
		switch (rnd(&seed, 4)) {
		case 0:
			mem_hugetlb_reserve(shift, rnd(&seed, 8));
			break;
		case 1:
			block = rnd(&seed, 8);
			if (!sys_mem_block(block, false, 1))
				sys_mem_block(block, true, 0);
			break;
		default:
			sys_compact();
		}
		usleep(100000 + rnd(&seed, 300000));
	}
}

/* ---- the tests ---------------------------------------------------------- */

FIXTURE_SETUP(stress)
{
	int i, n;

	self->ngroups = tce_find_devs(self->groups, TCE_MAX_DEVS);
	if (!self->ngroups || !self->groups[0].edu)
		SKIP(return, "no edu device");
	for (i = 0; i < self->ngroups; i++) {
		n = tce_group_devs(&self->groups[i], self->devs + self->ndevs,
				   MAX_DEVS - self->ndevs);
		while (n-- > 0)
			self->group_of[self->ndevs++] = i;
	}
	n = tce_open(&self->groups[0], TCE_V2);
	if (n == -EINVAL)
		SKIP(return, "no VFIO_SPAPR_TCE_v2_IOMMU on this machine");
	ASSERT_LE(0, n);
	tce_close(&self->groups[0], n);
	self->report = mmap(NULL, sizeof(*self->report), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->report);
	self->klog = sys_klog_open();
	tce_leak_start(&self->leak);
}

FIXTURE_TEARDOWN(stress)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(self->helpers); i++) {
		if (self->helpers[i] > 0) {
			kill(self->helpers[i], SIGKILL);
			waitpid(self->helpers[i], NULL, 0);
		}
	}
	sys_mem_online_all();
	mem_hugetlb_reserve(sys_radix() ? 21 : 24, 0);
	EXPECT_NO_LEAK(&self->leak);
	EXPECT_FALSE(sys_klog_warned(self->klog));
}

/* In a new process: the groups from @first on, @n of them */
static pid_t start_life(struct _test_data_stress *self, int first, int n,
			unsigned int seed, enum end end, bool containers)
{
	pid_t pid = fork();
	int i;

	if (pid)
		return pid;
	life.report = self->report;
	life.seed = seed;
	for (i = first; i < first + n; i++)
		life.groups[life.ngroups++].dev = &self->groups[i];
	for (i = 0; i < self->ndevs; i++) {
		if (self->group_of[i] < first || self->group_of[i] >= first + n)
			continue;
		life.devices[life.ndevs].dev = &self->devs[i];
		life.devices[life.ndevs++].group = self->group_of[i] - first;
	}
	live(end, 800 + seed % 1700, containers);
	_exit(1);
}

static void end_life(struct report *report, pid_t pid, enum end end, u64 began,
		     unsigned int seed)
{
	s64 left = began + 500 + seed % 2000 - now_ms();
	int status;

	if (end == KILLED) {
		if (left > 0)
			usleep(left * 1000);
		kill(pid, SIGKILL);
	}
	waitpid(pid, &status, 0);
	life.report = report;
	life.seed = seed;
	if (end == KILLED ? !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL :
	    status)
		bad("a process that should end by %d ended with status %x", end,
		    status);
}

static unsigned int env_number(const char *name, unsigned int otherwise)
{
	const char *val = getenv(name);

	return val && atoi(val) > 0 ? atoi(val) : otherwise;
}

TEST_F_TIMEOUT(stress, all, 86400)
{
	unsigned int seconds = env_number("SPAPR_TCE_STRESS_SECONDS",
					  DEFAULT_SECONDS * sys_slowness());
	unsigned int first_seed = env_number("SPAPR_TCE_STRESS_SEED", now_ms());
	int i, n = variant->processes ? self->ngroups : 1, lives = 0;
	u64 end = now_ms() + seconds * 1000, began;
	struct report *r = self->report;
	unsigned int seed = first_seed, seeds[TCE_MAX_DEVS];
	enum end ends[TCE_MAX_DEVS];
	pid_t pids[TCE_MAX_DEVS];

	if (!variant->processes && self->ngroups < 2)
		SKIP(return, "no second group");
	if (!variant->processes && !variant->containers && !sys_powernv())
		SKIP(return, "groups cannot share windows on this machine");

	for (i = 0; i < 2; i++) {
		self->helpers[i] = fork();
		ASSERT_LE(0, self->helpers[i]);
		if (!self->helpers[i] && i)
			machine(seed);
		else if (!self->helpers[i])
			bystander(r);
	}
	do {
		began = now_ms();
		for (i = 0; i < n; i++, lives++) {
			seeds[i] = rand_r(&seed);
			/* each kind of end has its turn */
			ends[i] = (lives + first_seed) % ENDS;
			pids[i] = start_life(self, variant->processes ? i : 0,
					     variant->processes ? 1 : self->ngroups,
					     seeds[i], ends[i],
					     variant->containers);
			ASSERT_LE(0, pids[i]);
		}
		for (i = 0; i < n; i++)
			end_life(r, pids[i], ends[i], began, seeds[i]);
		EXPECT_NO_LEAK(&self->leak);
	} while (!r->bad && _metadata->exit_code == KSFT_PASS && now_ms() < end);

	TH_LOG("%d lives; %llu of %llu requests done; %llu unregistrations refused",
	       lives, r->done, r->requests, r->busy);
	TH_LOG("%llu of %llu transfers landed; %llu had to, %llu must not",
	       r->landed, r->transfers, r->had_to, r->refused);
	EXPECT_EQ(0, r->bad) {
		printf("# why: %s; SPAPR_TCE_STRESS_SEED=%u\n", r->text,
		       first_seed);
		fflush(stdout);
	}
	EXPECT_LT(0, r->done);
	EXPECT_LT(0, r->landed);
	EXPECT_LT(0, r->refused);
}

TEST_HARNESS_MAIN
