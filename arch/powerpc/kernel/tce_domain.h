/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Private to the files of paging domains (iommu_domain.c, tce_domain_levels.c)
 */
#ifndef _TCE_DOMAIN_H
#define _TCE_DOMAIN_H

#include <linux/atomic.h>
#include <linux/iommu.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include <asm/tce_tree.h>

struct iommu_table;

/**
 * struct tce_domain - a paging domain
 * @domain: what the IOMMU API knows of it
 * @tbl: the table, with a reference
 * @busy: number of TCEs and of requests that may change some; negative while
 *	  all levels are taken out
 * @lock: protects @levels, @taken, @first and @last, and changes of @stale
 * @levels: number of levels in the table below the root
 * @taken: levels that were taken out since the last flush
 * @stale: number of levels that were taken out and that bridges may still walk: those
 *	   in @taken, and those of flushes under way
 * @first: the first entry of all requests that have made levels; ULONG_MAX: none has
 * @last: the last entry of these requests
 * @empty: takes out levels when no TCE is left and there are many
 */
struct tce_domain {
	struct iommu_domain domain;
	struct iommu_table *tbl;
	atomic_long_t busy;
	spinlock_t lock;	/* levels, taken, stale, first, last */
	unsigned long levels;
	struct tce_spares taken;
	unsigned long stale;
	unsigned long first;
	unsigned long last;
	struct work_struct empty;
};

void tce_domain_levels_init(struct tce_domain *d);
void tce_domain_levels_exit(struct tce_domain *d);
void tce_domain_enter(struct tce_domain *d, unsigned long nr);
bool tce_domain_leave(struct tce_domain *d, unsigned long nr);
void tce_domain_levels_made(struct tce_domain *d, unsigned long index, unsigned long nr,
			    unsigned long made);
void tce_domain_levels_take(struct tce_domain *d, unsigned long index, unsigned long nr);
void tce_domain_flush(struct tce_domain *d, unsigned long index, unsigned long nr);

#endif /* _TCE_DOMAIN_H */
