// SPDX-License-Identifier: GPL-2.0
/*
 * A thread that takes groups out and puts them in again, and lets the kernel and
 * fork() change memory.
 */
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/wait.h>

#include "lib/stress/stress.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif

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

void *shaker(void *arg)
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
