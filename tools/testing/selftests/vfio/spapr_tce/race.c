// SPDX-License-Identifier: GPL-2.0
/*
 * Threads of one process that do everything at once to one container. Nobody
 * says what a single request should answer; but every answer must be one that
 * the request can give, and in the end nothing may be left: no pinned page, no
 * charge, no table.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib.h"

#define UNIT		SZ_64K
#define REGIONS		8
#define REGION_SIZE	(4 * UNIT)
#define THREADS		4
#define SECONDS		2

FIXTURE(race)
{
	struct tce_leak leak;
	struct tce_dev devs[TCE_MAX_DEVS];
	int ndevs;
	int c;
	void *buf;
};

FIXTURE_SETUP(race)
{
	self->c = -1;
	self->ndevs = tce_find_devs(self->devs, TCE_MAX_DEVS);
	if (!self->ndevs)
		SKIP(return, "no PCI device to take: no edu, no VFIO_DEVICE");
	tce_leak_start(&self->leak);
	self->buf = mem_alloc(REGIONS * REGION_SIZE, UNIT, MEM_POPULATE);
	ASSERT_NE(NULL, self->buf);
	self->c = tce_open(&self->devs[0], TCE_V2);
	if (self->c == -EINVAL)
		SKIP(return, "no VFIO_SPAPR_TCE_v2_IOMMU on this machine");
	ASSERT_LE(0, self->c);
}

FIXTURE_TEARDOWN(race)
{
	const char *leak;

	tce_close(&self->devs[0], self->c);
	mem_free(self->buf, REGIONS * REGION_SIZE);
	leak = tce_leak_check(&self->leak);
	EXPECT_EQ(NULL, leak) {
		TH_LOG("%s", leak);
	}
}

struct worker {
	pthread_t thread;
	int c;
	void *buf;
	struct tce_dev *second;	/* comes and goes */
	unsigned int what;	/* mask of requests */
	unsigned int seed;
	int bad_request;	/* and what it answered */
	int bad_answer;
	unsigned int good;	/* requests that did something */
};

enum {
	DO_MAP,
	DO_UNMAP,
	DO_REGISTER,
	DO_UNREGISTER,
	DO_CREATE,
	DO_REMOVE,
	DO_GROUP,
	DO_MAX,
};

/* The answers that each request may give, besides 0. */
static const int allowed[DO_MAX][6] = {
	[DO_MAP] = { -ENXIO, -EINVAL, -EPERM, -ENOMEM },
	[DO_UNMAP] = { -ENXIO, -EINVAL },
	[DO_REGISTER] = { -EBUSY, -EINVAL, -ENOMEM },
	[DO_UNREGISTER] = { -ENOENT, -EBUSY },
	/* pseries makes no window 0 beside a dynamic one */
	[DO_CREATE] = { -ENOSPC, -ENOMEM, -EPERM },
	[DO_REMOVE] = { -EINVAL },
	[DO_GROUP] = { -EBUSY },
};

static int one(struct worker *w, int what)
{
	unsigned int r = rand_r(&w->seed);
	void *region = w->buf + r % REGIONS * REGION_SIZE;
	u64 start = r & 0x100 ? TCE_WINDOW1 : 0;
	u64 iova = start + (r >> 12) % 64 * UNIT;
	u64 size = (1 + (r >> 20) % 4) * UNIT;
	int ret;

	switch (what) {
	case DO_MAP:
		/* now and then far away, where a level is missing */
		if (!(r & 0x600))
			iova += SZ_512M;
		return tce_map(w->c, iova, region, size, DMA_RW);
	case DO_UNMAP:
		return tce_unmap(w->c, iova, size);
	case DO_REGISTER:
		return tce_register(w->c, region, REGION_SIZE);
	case DO_UNREGISTER:
		return tce_unregister(w->c, region, REGION_SIZE);
	case DO_CREATE:
		return tce_create(w->c, sys_tce_shift(), SZ_1G,
				  sys_powernv() ? 2 : 1, NULL);
	case DO_REMOVE:
		return tce_remove(w->c, start);
	case DO_GROUP:
		ret = tce_group_open(w->second);
		if (ret)
			return ret;
		ret = tce_group_set(w->second, w->c);
		tce_group_close(w->second);
		return ret;
	}
	return 0;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct timespec now, end;
	unsigned int i;
	int what, ret;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += SECONDS * sys_slowness();
	do {
		do
			what = rand_r(&w->seed) % DO_MAX;
		while (!(w->what & 1U << what));
		ret = one(w, what);
		w->good += !ret;
		for (i = 0; ret && i < ARRAY_SIZE(allowed[what]); i++)
			if (ret == allowed[what][i])
				ret = 0;
		if (ret && !w->bad_answer) {
			w->bad_request = what;
			w->bad_answer = ret;
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec &&
					     now.tv_nsec < end.tv_nsec));
	return NULL;
}

static void hammer(struct __test_metadata *_metadata, struct _test_data_race *self,
		   unsigned int what, unsigned int last)
{
	struct worker w[THREADS] = {};
	unsigned int good = 0;
	int i;

	ASSERT_EQ(0, tce_register(self->c, self->buf, REGION_SIZE));
	for (i = 0; i < THREADS; i++) {
		w[i].c = self->c;
		w[i].buf = self->buf;
		w[i].second = &self->devs[1];
		w[i].what = i == THREADS - 1 ? last : what;
		w[i].seed = i + 1;
		ASSERT_EQ(0, pthread_create(&w[i].thread, NULL, work, &w[i]));
	}
	for (i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pthread_join(w[i].thread, NULL));
		EXPECT_EQ(0, w[i].bad_answer) {
			TH_LOG("request %d", w[i].bad_request);
		}
		good += w[i].good;
	}

	EXPECT_LT(100, good);

	/* Everything must be possible to undo by name. */
	for (i = 0; i < REGIONS; i++)
		tce_register(self->c, self->buf + i * REGION_SIZE, REGION_SIZE);
	tce_remove(self->c, 0);
	tce_remove(self->c, TCE_WINDOW1);
	for (i = 0; i < REGIONS; i++)
		EXPECT_EQ(0, tce_unregister(self->c,
					    self->buf + i * REGION_SIZE,
					    REGION_SIZE));
	EXPECT_EQ(self->leak.pinned, sys_pinned());
	EXPECT_EQ(self->leak.vmlck, sys_vmlck());
}

#define ALL(what)	(1U << (what))
#define MAPS		(ALL(DO_MAP) | ALL(DO_UNMAP))
#define REGISTERS	(ALL(DO_REGISTER) | ALL(DO_UNREGISTER))
#define WINDOWS		(ALL(DO_CREATE) | ALL(DO_REMOVE))

TEST_F(race, map_unmap)
{
	hammer(_metadata, self, MAPS, MAPS);
}

/* Defect 13: a region goes away while it is being mapped. */
TEST_F(race, map_unregister)
{
	hammer(_metadata, self, MAPS, REGISTERS);
}

/* Defect 4: a window goes away under a map. */
TEST_F(race, map_remove)
{
	hammer(_metadata, self, MAPS, WINDOWS);
}

TEST_F(race, everything)
{
	hammer(_metadata, self, MAPS | REGISTERS | WINDOWS,
	       MAPS | REGISTERS | WINDOWS);
}

TEST_F(race, group_comes_and_goes)
{
	if (!sys_powernv())
		SKIP(return, "groups cannot share windows on this machine");
	if (self->ndevs < 2)
		SKIP(return, "no second group");
	hammer(_metadata, self, MAPS | REGISTERS | WINDOWS, ALL(DO_GROUP));
}

TEST_HARNESS_MAIN
