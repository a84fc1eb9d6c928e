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
 *
 * The parts are in lib/stress/.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/wait.h>

#include "harness.h"
#include "lib/stress/stress.h"

#define DEFAULT_SECONDS	8

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
	u64 end = now_ms() + seconds * 1000, late = end + 3 * seconds * 1000;
	u64 began;
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
		/* A machine that is busy elsewhere gets more time to show something */
	} while (!r->bad && _metadata->exit_code == KSFT_PASS &&
		 now_ms() < (r->landed ? end : late));

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
