/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of the test stress share: see stress.c.
 */
#ifndef SPAPR_TCE_STRESS_H
#define SPAPR_TCE_STRESS_H

#include <errno.h>
#include <pthread.h>

#include "lib.h"

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

struct life {
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
};

extern struct life life;

/* What a request finds, to be left so if it fails */
struct before {
	struct slot slot;
	struct region region;
};

/* Requests */
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

/* life.c */
u64 now_ms(void);
void lock(void);
void unlock(void);
bool stopped(void);
void count(u64 *what);
void bad(const char *fmt, ...);
unsigned int rnd(unsigned int *seed, unsigned int below);
void live(enum end end, unsigned int ms, bool containers);

/* cells.c */
void *unit_va(int unit);
u32 region_units(const struct region *r);
u64 stamp(const struct device *d, unsigned int nr, unsigned int i);
void fill_cell(int unit, unsigned int cell);
void fill_region(struct region *r);
bool has_stamp(int unit, unsigned int cell, const struct device *d,
	       unsigned int nr);
void check_cell(int unit, unsigned int cell);
void check_all(void);

/* records.c */
void slot_begin(struct slot *s, struct before *b);
void may_land(struct device *d, u32 units);
void slot_may(struct slot *s, int unit);
void slot_end_map(struct slot *s, const struct before *b, int ret, int unit,
		  bool writable);
void slot_end_unmap(struct slot *s, const struct before *b, int ret);
void region_begin(struct region *r, struct before *b);
bool region_alone(struct region *r, const struct before *b);
int region_registered(const struct region *r);
void region_away(struct region *r);

/* requests.c */
void answered(int what, int ret);
u64 slot_iova(const struct container *c, int window, int slot);
void *request(void *arg);

/* shaker.c */
void *shaker(void *arg);

/* What must come of a transfer, if all stays as it was at its start */
struct prospect {
	int unit;
	unsigned int slot_seq;
	unsigned int shaken;
	unsigned int group_seq;
};

/* transfers.c */
bool start_transfer(struct device *d, struct container *c, int window,
		    int slot, struct prospect *p);
void end_transfer(struct device *d, const struct prospect *p);
void *transfers(void *arg);

#endif /* SPAPR_TCE_STRESS_H */
