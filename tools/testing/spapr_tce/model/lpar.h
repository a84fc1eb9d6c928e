/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A PE of an LPAR, and its hypervisor, which can be told when to refuse.
 */
#ifndef _SPAPR_TCE_LPAR_H
#define _SPAPR_TCE_LPAR_H

#include "host.h"

#include <linux/pci.h>

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

#define LPAR_DEVS	2

/**
 * enum firmware_kind - what firmware can do
 * @FIRMWARE_RESETS: make and remove windows, and make the default one again
 * @FIRMWARE_NO_RESET: all but the last: what removes the default window loses it
 * @FIRMWARE_ONE_WINDOW: none of it
 */
enum firmware_kind {
	FIRMWARE_RESETS,
	FIRMWARE_NO_RESET,
	FIRMWARE_ONE_WINDOW,
};

/**
 * struct firmware - what firmware has made, and what the host did
 * @has_default: there is a default window, of LIOBN 0
 * @dynamic: there is a dynamic window, of LIOBN 1
 * @windows: how many there can be
 * @mute: it does not say what there can be
 * @keeps: the node does not describe what is to be removed, which stays
 * @resets: how often it was asked to make the default window again
 * @cleared: how often the host cleared a table of its own
 * @set_up: buses and devices for which the host looked at the windows
 * @added: devices that joined the group
 */
struct firmware {
	bool has_default;
	bool dynamic;
	unsigned int windows;
	bool mute;
	bool keeps;
	unsigned int resets;
	unsigned int cleared;
	unsigned int set_up;
	unsigned int added;
};

extern struct lpar lpar;
extern struct host_pe lpar_pe;
extern struct firmware firmware;
extern struct pci_dev lpar_devs[LPAR_DEVS];

void firmware_init(enum firmware_kind kind);
void firmware_exit(void);
unsigned int firmware_dead_properties(void);
bool firmware_described(const char *name);
u32 firmware_described_shift(void);
void firmware_stray(int dev, bool stray);
void lpar_clear(unsigned long liobn);
void lpar_boot(unsigned long features, enum firmware_kind kind);
void lpar_init(unsigned long features);
void lpar_check(void);

#endif
