// SPDX-License-Identifier: GPL-2.0
/*
 * A life from start to end: memory, containers and threads are made, and all is
 * undone, closed or left.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/stress/stress.h"

struct life life = { .lock = PTHREAD_MUTEX_INITIALIZER };

#define EXEC_ENV	"SPAPR_TCE_STRESS_EXEC"

u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

void lock(void)
{
	pthread_mutex_lock(&life.lock);
}

void unlock(void)
{
	pthread_mutex_unlock(&life.lock);
}

bool stopped(void)
{
	return __atomic_load_n(&life.stop, __ATOMIC_RELAXED);
}

void count(u64 *what)
{
	__atomic_fetch_add(what, 1, __ATOMIC_RELAXED);
}

/* The first one to complain is heard */
void bad(const char *fmt, ...)
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

unsigned int rnd(unsigned int *seed, unsigned int below)
{
	return (rand_r(seed) >> 4) % below;
}

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

void live(enum end end, unsigned int ms, bool containers)
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
