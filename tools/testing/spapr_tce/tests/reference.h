/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every request must answer and where every DMA must go, by the simplest
 * means: lists, and no table at all.
 */
#ifndef _SPAPR_TCE_REFERENCE_H
#define _SPAPR_TCE_REFERENCE_H

#include "host.h"

#define REF_CONTAINERS	3
#define REF_REGIONS	64

/* A registered range, with the pages that it had then */
struct ref_region {
	struct mm_struct *mm;
	u64 ua;
	unsigned long npages;
	unsigned int used;
	struct page **pages;
};

/* TCEs that follow each other and map what follows each other */
struct ref_extent {
	unsigned int window;
	u64 index;
	u64 nr;
	u64 ua;
	unsigned int perm;
	struct page *page;	/* v1: what the one TCE maps */
};

struct ref_window {
	bool there;
	u64 start;
	u64 size;
	unsigned int shift;
};

struct ref_container {
	struct host_container *host;
	struct mm_struct *mm;
	bool open, v2, enabled, default_pending;
	struct ref_window windows[2];
	struct ref_region *regions[REF_REGIONS];
	unsigned int nr_regions;
	struct ref_extent *extents;
	unsigned int nr_extents, max_extents;
};

void ref_reset(struct host_container *containers);
void ref_open(struct ref_container *c, bool v2);
void ref_close(struct ref_container *c);
long ref_ioctl(struct ref_container *c, unsigned int cmd, const void *arg);
long ref_dma(struct host_pe *hpe, u64 addr, bool write);
void ref_commit(long ret);
void ref_check(void);

extern struct ref_container ref_containers[REF_CONTAINERS];

#endif
