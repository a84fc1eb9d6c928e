// SPDX-License-Identifier: GPL-2.0-only
/*
 * Paging domains: the levels of a domain, from the first map below them until the
 * bridges have forgotten them.
 *
 * An unmap takes out the levels that its range covers wholly. When the last TCE of
 * all goes, all levels but the root are taken out. Levels that were taken out are
 * freed by the next flush, which makes every bridge forget them.
 *
 * To take out all levels could take one from a request on another range. So a domain
 * counts its TCEs and the requests under way, takes out all levels only when that
 * count is 0, and makes new requests wait meanwhile. They must not wait long: many
 * levels are left to a worker, which takes them out piece by piece, and stops when
 * there is a new request.
 *
 * Nothing here may be called from an interrupt: locks are taken with interrupts on.
 */
#include <linux/align.h>
#include <linux/init.h>
#include <linux/minmax.h>
#include <linux/panic.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

#include <asm/iommu.h>
#include <asm/tce.h>

#include "tce_domain.h"

/* How many levels may be taken out while others wait */
#define TCE_DOMAIN_AT_ONCE	1024

/* Unbound: a worker may have many levels to free */
static struct workqueue_struct *tce_domain_wq;

/**
 * tce_domain_enter() - count TCEs that are to be stored, or one request
 * @d: the domain
 * @nr: how many
 *
 * Context: process, does not sleep. Spins while all levels are taken out.
 */
void tce_domain_enter(struct tce_domain *d, unsigned long nr)
{
	long busy;

	do
		busy = atomic_long_cond_read_relaxed(&d->busy, VAL >= 0);
	while (!atomic_long_try_cmpxchg(&d->busy, &busy, busy + nr));
}

static unsigned long tce_domain_taken(struct tce_domain *d)
{
	return d->taken.nr[TCE_INNER] + d->taken.nr[TCE_LEAF];
}

static void tce_domain_take(struct tce_domain *d, unsigned long index,
			    unsigned long nr, bool all)
{
	unsigned long levels = tce_domain_taken(d);

	assert_spin_locked(&d->lock);
	tce_tree_take(&d->tbl->it_tree, index, nr, all, &d->taken);
	levels = tce_domain_taken(d) - levels;
	d->levels -= levels;
	WRITE_ONCE(d->stale, d->stale + levels);
}

/*
 * Take out the levels that a range covers wholly; with @all every level below the
 * root. Returns false if somebody uses the domain: nothing was done.
 */
static bool tce_domain_take_unused(struct tce_domain *d, unsigned long index,
				   unsigned long nr, bool all)
{
	assert_spin_locked(&d->lock);
	if (atomic_long_cmpxchg(&d->busy, 0, LONG_MIN))
		return false;
	tce_domain_take(d, index, nr, all);
	if (all) {
		d->first = ULONG_MAX;
		d->last = 0;
	}
	atomic_long_set_release(&d->busy, 0);

	return true;
}

/**
 * tce_domain_leave() - stop to count TCEs or requests
 * @d: the domain
 * @nr: how many
 *
 * When nothing is left that counts, all levels are taken out.
 *
 * Context: process, does not sleep.
 *
 * Return: true if this took levels out: the caller must see to a flush.
 */
bool tce_domain_leave(struct tce_domain *d, unsigned long nr)
{
	bool taken = false;

	if (atomic_long_sub_return(nr, &d->busy))
		return false;

	spin_lock(&d->lock);
	if (d->first <= d->last) {
		if (d->levels > TCE_DOMAIN_AT_ONCE)
			queue_work(tce_domain_wq, &d->empty);
		else
			taken = tce_domain_take_unused(d, d->first,
						       d->last - d->first + 1,
						       true);
	}
	spin_unlock(&d->lock);

	return taken;
}

/**
 * tce_domain_levels_made() - note where a request has made levels
 * @d: the domain
 * @index: first entry of the request
 * @nr: how many
 * @made: how many levels it has made, at least 1
 *
 * Context: process, does not sleep. The caller must be counted.
 */
void tce_domain_levels_made(struct tce_domain *d, unsigned long index,
			    unsigned long nr, unsigned long made)
{
	lockdep_assert(atomic_long_read(&d->busy) > 0);
	spin_lock(&d->lock);
	d->levels += made;
	d->first = min(d->first, index);
	d->last = max(d->last, index + nr - 1);
	spin_unlock(&d->lock);
}

/**
 * tce_domain_levels_take() - take out the levels that a range covers wholly
 * @d: the domain
 * @index: first entry
 * @nr: how many; no TCE is left in them
 *
 * Context: process, does not sleep. The caller must be counted, and excludes others
 * from the range.
 */
void tce_domain_levels_take(struct tce_domain *d, unsigned long index,
			    unsigned long nr)
{
	unsigned int bits = tce_tree_level_bits(&d->tbl->it_tree);
	unsigned long piece = 1UL << 2 * bits, end = index + nr, at, next;

	lockdep_assert(atomic_long_read(&d->busy) > 0);
	/* Others wait for the lock: hold it for one level and its leaves at a time */
	for (at = index; at < end; at = next) {
		next = min(ALIGN(at + 1, piece), end);
		spin_lock(&d->lock);
		tce_domain_take(d, at, next - at, false);
		spin_unlock(&d->lock);
	}

	/* The levels above are few */
	if (nr >> 3 * bits) {
		spin_lock(&d->lock);
		tce_domain_take(d, index, nr, false);
		spin_unlock(&d->lock);
	}
}

/**
 * tce_domain_flush() - make bridges forget a range and levels that were taken out
 * @d: the domain
 * @index: first entry
 * @nr: how many; 0: only the levels, if there are any
 *
 * The levels are freed.
 *
 * Context: process, does not sleep.
 */
void tce_domain_flush(struct tce_domain *d, unsigned long index,
		      unsigned long nr)
{
	struct tce_spares taken;
	unsigned long levels = 0;

	/* Mostly nothing was taken out: no need for the lock */
	if (READ_ONCE(d->stale)) {
		spin_lock(&d->lock);
		levels = tce_domain_taken(d);
		taken = d->taken;
		d->taken = (struct tce_spares) { };
		spin_unlock(&d->lock);
	}

	/* Bridges cache the addresses of levels as well: kill all of the PEs */
	if (levels)
		nr = ULONG_MAX;
	if (!nr)
		return;

	rcu_read_lock();
	iommu_tce_kill(d->tbl, index, nr);
	rcu_read_unlock();
	if (!levels)
		return;

	spin_lock(&d->lock);
	WRITE_ONCE(d->stale, d->stale - levels);
	spin_unlock(&d->lock);
	tce_spares_return(&d->tbl->it_tree, &taken);
}

/*
 * Take out the levels of @nr entries from *@index, which are one level and its leaves,
 * and advance *@index. After the last piece, take out the levels above: they are few.
 * Returns false when all is done, or when the domain is in use: its last user queues
 * the work again.
 */
static bool tce_domain_empty_piece(struct tce_domain *d, unsigned long *index,
				   unsigned long nr)
{
	bool more = false;

	spin_lock(&d->lock);
	*index = max(*index, ALIGN_DOWN(d->first, nr));
	if (*index <= d->last) {
		more = tce_domain_take_unused(d, *index, nr, false);
		*index += nr;
	} else if (d->first <= d->last && d->levels <= TCE_DOMAIN_AT_ONCE) {
		tce_domain_take_unused(d, d->first, d->last - d->first + 1,
				       true);
	}
	spin_unlock(&d->lock);

	return more;
}

static void tce_domain_empty(struct work_struct *work)
{
	struct tce_domain *d = container_of(work, struct tce_domain, empty);
	unsigned int bits = tce_tree_level_bits(&d->tbl->it_tree);
	unsigned long index = 0;

	while (tce_domain_empty_piece(d, &index, 1UL << 2 * bits)) {
		if (READ_ONCE(d->stale) >= TCE_DOMAIN_AT_ONCE)
			tce_domain_flush(d, 0, 0);
		cond_resched();
	}
	tce_domain_flush(d, 0, 0);
}

/**
 * tce_domain_levels_init() - prepare to count and to take out levels
 * @d: the domain, zeroed, with a table that has no level but the root
 *
 * Context: process, does not sleep.
 */
void tce_domain_levels_init(struct tce_domain *d)
{
	spin_lock_init(&d->lock);
	INIT_WORK(&d->empty, tce_domain_empty);
	d->first = ULONG_MAX;
}

/**
 * tce_domain_levels_exit() - free levels that nothing uses
 * @d: the domain, which no request uses any more
 *
 * Levels with TCEs stay for the table's last reference.
 *
 * Context: process, may sleep.
 */
void tce_domain_levels_exit(struct tce_domain *d)
{
	cancel_work_sync(&d->empty);
	tce_domain_empty(&d->empty);
}

static int __init tce_domain_start(void)
{
	tce_domain_wq = alloc_workqueue("tce_domain", WQ_UNBOUND, 0);
	if (!tce_domain_wq)
		panic("no memory for the work of paging domains\n");

	return 0;
}
core_initcall(tce_domain_start);
