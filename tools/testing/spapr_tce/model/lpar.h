/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A PE of an LPAR, and its hypervisor, which can be told when to refuse.
 */
#ifndef _SPAPR_TCE_LPAR_H
#define _SPAPR_TCE_LPAR_H

#include "host.h"

#include <asm/hvcall.h>
#include <asm/plpar_wrappers.h>

#define LPAR_TCES	8192UL
#define LPAR_ALL	(FW_FEATURE_PUT_TCE_IND | FW_FEATURE_STUFF_TCE)

/**
 * struct lpar_plan - something that the hypervisor will say
 * @at: this many TCEs are stored before
 * @times: how often it is said
 * @clears: of TCEs that are cleared, not of others
 * @rc: what is said
 */
struct lpar_plan {
	unsigned long at;
	unsigned long times;
	bool clears;
	long rc;
};

#define LPAR_PLANS	2

/**
 * struct lpar - what the hypervisor has, and did
 * @features: what firmware_has_feature() says
 * @plans: first the one, when that is through the other
 * @tces: of the windows
 * @puts: hypercalls for one TCE
 * @lists: hypercalls for a list
 * @stuffs: hypercalls that clear a range
 * @slept: milliseconds that it let its partition wait
 */
struct lpar {
	unsigned long features;
	struct lpar_plan plans[LPAR_PLANS];
	unsigned long tces[2][LPAR_TCES];
	unsigned long puts;
	unsigned long lists;
	unsigned long stuffs;
	unsigned long slept;
};

extern struct lpar lpar;
extern struct host_pe lpar_pe;

void lpar_init(unsigned long features);
void lpar_check(void);

#endif
