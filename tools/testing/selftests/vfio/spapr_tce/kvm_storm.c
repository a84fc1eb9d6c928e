// SPDX-License-Identifier: GPL-2.0
/*
 * Guests that map and unmap as fast as they can while something else happens:
 * another VCPU changes the same TCEs, the list is written while KVM reads it,
 * user space maps in the same window, the window goes, the device is unplugged,
 * the process is killed, the VCPU loses its processor. Nobody says what a single
 * call should answer; but it must be an answer that it can give, and in the end
 * nothing may be left.
 */
#include <endian.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/wait.h>

#include "harness.h"
#include "kvm_guest.h"

#define ENTRIES		8		/* TCEs that all fight for */
#define LOOSE		(GUEST_LOOSE_SIZE / SZ_64K)
#define PAGE(n)		((GUEST_LOOSE + (n) * SZ_64K) | TCE_RW)
#define BURSTS		50
#define TIMES		50
/*
 * Pins and levels are counted exactly; this is for what nobody counts. Slabs take
 * some MiB now and then, but do not grow with TIMES.
 */
#define SLACK		((s64)(8 * SZ_1M))
/* What was killed is freed a while later: tenths of a second to wait */
#define PATIENCE	100

static bool memory_is_back(s64 free_before)
{
	int i;

	for (i = 0; i < PATIENCE; i++) {
		if (free_before - sys_free_bytes() < SLACK)
			return true;
		usleep(100000);
	}
	return false;
}

FIXTURE(kvm_storm)
{
	struct guest g;
};

VARIANTS_HV_PR(kvm_storm);

FIXTURE_SETUP(kvm_storm)
{
	const char *missing;

	missing = guest_open(&self->g, variant->type);
	if (missing)
		SKIP(return, "%s", missing);
	if (!self->g.hv && sys_powernv()) {
		guest_close(&self->g);
		SKIP(return, "KVM PR may lose timer interrupts on an emulated powernv");
	}
}

FIXTURE_TEARDOWN(kvm_storm)
{
	EXPECT_EQ(0, guest_lost_registers(&self->g));
	guest_close(&self->g);
	EXPECT_NO_LEAK(&self->g.leak);
}

/*
 * Where hypercalls can be taken in real mode, real mode has its part in a storm:
 * the first rounds are traced to see that.
 */
#define EVENT	"spapr_tce/kvm_tce_hcall"

static void watch_real_mode(struct __test_metadata *_metadata, struct guest *g)
{
	if (guest_takes_early(g))
		ASSERT_EQ(0, sys_trace(EVENT, true));
}

/* Calls that it has done, and such as it left to virtual mode */
static void check_real_mode(struct __test_metadata *_metadata, struct guest *g)
{
	int done, left;

	if (!guest_takes_early(g))
		return;
	done = sys_traced(" ret=0 real=1");
	left = sys_traced(" ret=0 real=0");
	sys_trace(EVENT, false);
	TH_LOG("of those traced %d calls ended in real mode, %d in virtual mode",
	       done, left);
	EXPECT_LT(0, done);
	EXPECT_LT(0, left);
}

static void pause_us(unsigned int us)
{
	struct timespec ts = { .tv_nsec = us * 1000 };

	nanosleep(&ts, NULL);
}

static void *loose(struct guest *g, unsigned int i)
{
	return g->mem + GUEST_LOOSE + i * SZ_64K;
}

/* ---- two VCPUs and the host --------------------------------------------- */

struct host {
	pthread_t thread;
	struct guest *g;
	bool maps;		/* as well as it writes lists */
	bool stop;
	int bad_answer;
	u64 done;
};

/* A TCE as a guest may write it, now and then one that it may not */
static u64 any_tce(unsigned int r)
{
	u64 tce = GUEST_LOOSE + r % LOOSE * SZ_64K;

	switch (r >> 4 & 15) {
	case 0:
		return 0;
	case 1:
		return tce;
	case 2:
		return (r & 0x1000 ? GUEST_MEM : tce + 8) | TCE_RW;
	default:
		return tce | (1 + (r >> 8) % 3);
	}
}

static void *host_work(void *arg)
{
	struct host *h = arg;
	struct guest *g = h->g;
	u64 page = BIT_ULL(g->shift);
	unsigned int seed = 1, r, i;
	int ret;

	while (!__atomic_load_n(&h->stop, __ATOMIC_RELAXED)) {
		r = rand_r(&seed);
		for (i = 0; i < GUEST_VCPUS; i++)
			__atomic_store_n(guest_list_of(g, i) + r % ENTRIES,
					 htobe64(any_tce(r >> 3)),
					 __ATOMIC_RELAXED);
		h->done++;
		if (!h->maps || r & 0x700)
			continue;
		i = (r >> 12) % ENTRIES;
		ret = r & 0x800 ?
			tce_unmap(g->c, g->start + i * page, page) :
			tce_map(g->c, g->start + i * page, loose(g, r % LOOSE),
				page, DMA_RW);
		if (ret && !h->bad_answer)
			h->bad_answer = ret;
	}
	return NULL;
}

/* Did a call answer what it should not? */
static bool bad_call(const struct guest_call *call)
{
	switch (call->other) {
	case 0:
	case H_PARAMETER:
	case H_USER:
		/* bad elements are in lists only */
		return call->other && call->args[0] != H_PUT_TCE_INDIRECT &&
			!(call->args[0] == H_GET_TCE && call->other == H_USER);
	default:
		return true;
	}
}

/*
 * What the view says is what the hardware has: a page is held when, and only
 * when, a TCE maps it.
 */
static void check_pages(struct __test_metadata *_metadata, struct guest *g,
			const u64 *view)
{
	bool mapped[LOOSE] = {};
	unsigned int i;

	for (i = 0; i < ENTRIES; i++)
		if (view[i] & TCE_RW)
			mapped[(view[i] - GUEST_LOOSE) / SZ_64K] = true;
	for (i = 0; i < LOOSE; i++) {
		EXPECT_EQ(mapped[i] ? -EBUSY : 0,
			  tce_unregister(g->c, loose(g, i), SZ_64K)) {
			TH_LOG("page %u", i);
		}
		tce_register(g->c, loose(g, i), SZ_64K);
	}
}

/* Let both VCPUs make their calls for a moment; how often they did */
static u64 burst(struct __test_metadata *_metadata, struct guest *g,
		 struct guest_call calls[][8])
{
	unsigned int i, n;
	u64 rounds = 0;

	for (i = 0; i < GUEST_VCPUS; i++)
		EXPECT_EQ(0, guest_start(g, i, calls[i], 8));
	for (i = 0; i < GUEST_VCPUS; i++)
		EXPECT_EQ(0, guest_wait(g, i, 5));
	/* both at once, so that their last calls meet */
	for (i = 0; i < GUEST_VCPUS; i++)
		guest_tell(g, i);
	for (i = 0; i < GUEST_VCPUS; i++) {
		EXPECT_EQ(0, guest_stop(g, i));
		rounds += guest_rounds(g, i);
		for (n = 0; n < 8; n++)
			EXPECT_FALSE(bad_call(&g->vcpu[i].prog->calls[n])) {
				TH_LOG("VCPU %u, call %u: %lld", i, n,
				       g->vcpu[i].prog->calls[n].other);
			}
	}
	return rounds;
}

static void hammer(struct __test_metadata *_metadata, struct guest *g, bool maps)
{
	struct host h = { .g = g, .maps = maps };
	u64 s, page, rounds = 0;
	unsigned int i;
	u64 *view;
	int fd;

	ASSERT_EQ(0, guest_window(g, SZ_1G));
	s = g->start;
	page = BIT_ULL(g->shift);
	fd = guest_plug(g, LIOBN);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, guest_boot(g));
	for (i = 0; i < LOOSE; i++)
		ASSERT_EQ(0, tce_register(g->c, loose(g, i), SZ_64K));
	view = mmap(NULL, sys_page_size(), PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, view);

	/* They end with what the other one changes, too */
	struct guest_call calls[GUEST_VCPUS][8] = {
		{
			CALL(H_PUT_TCE, LIOBN, s, PAGE(0)),
			CALL(H_PUT_TCE, LIOBN, s, PAGE(1)),
			CALL(H_GET_TCE, LIOBN, s),
			CALL(H_STUFF_TCE, LIOBN, s, 0, ENTRIES),
			CALL(H_PUT_TCE_INDIRECT, LIOBN, s + page, guest_list(0),
			     ENTRIES / 2),
			CALL(H_PUT_TCE, LIOBN, s + page, 0),
			CALL(H_PUT_TCE_INDIRECT, LIOBN, s, guest_list(0),
			     ENTRIES),
			CALL(H_PUT_TCE, LIOBN, s + 2 * page, PAGE(2)),
		}, {
			CALL(H_PUT_TCE, LIOBN, s, PAGE(3)),
			CALL(H_PUT_TCE, LIOBN, s, 0),
			CALL(H_STUFF_TCE, LIOBN, s, 0x1000, 2),
			CALL(H_PUT_TCE, LIOBN, s + 2 * page, PAGE(4)),
			CALL(H_STUFF_TCE, LIOBN, s + page, 0, 1),
			CALL(H_GET_TCE, LIOBN, s + page),
			CALL(H_PUT_TCE_INDIRECT, LIOBN, s, guest_list(1),
			     ENTRIES),
			CALL(H_PUT_TCE, LIOBN, s, PAGE(5)),
		},
	};

	ASSERT_EQ(0, pthread_create(&h.thread, NULL, host_work, &h));
	watch_real_mode(_metadata, g);
	for (i = 0; i < BURSTS; i++) {
		rounds += burst(_metadata, g, calls);
		if (i == 1)
			check_real_mode(_metadata, g);
		if (!maps)
			check_pages(_metadata, g, view);
	}
	__atomic_store_n(&h.stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(h.thread, NULL));
	EXPECT_EQ(0, h.bad_answer);
	EXPECT_LT(100, h.done);
	EXPECT_LE(BURSTS * GUEST_VCPUS * 5, rounds);

	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_STUFF_TCE, LIOBN, s, 0, ENTRIES));
	for (i = 0; i < LOOSE; i++)
		EXPECT_EQ(0, tce_unregister(g->c, loose(g, i), SZ_64K));
	EXPECT_EQ(0, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	munmap(view, sys_page_size());
	close(fd);
}

TEST_F_TIMEOUT(kvm_storm, two_vcpus, 120)
{
	hammer(_metadata, &self->g, false);
}

TEST_F_TIMEOUT(kvm_storm, two_vcpus_and_vfio, 120)
{
	hammer(_metadata, &self->g, true);
}

/* ---- a busy processor --------------------------------------------------- */

/* Takes the processor from a VCPU wherever it is, thousands of times a second */
struct taker {
	pthread_t thread;
	bool stop;
	u64 times;
};

static u64 now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* Sleep as much longer as the last wake-up was late: a slow VCPU needs time, too. */
static void *take_processor(void *arg)
{
	struct taker *t = arg;
	u64 before, pause, late = 0;

	while (!__atomic_load_n(&t->stop, __ATOMIC_RELAXED)) {
		pause = 20 + t->times++ % 4 * 50 + late;
		before = now_us();
		pause_us(pause);
		late = now_us() - before - pause;
		if (late > 10000)
			late = 10000;
	}
	return NULL;
}

/* A thread that is always preferred, where its maker is */
static int taker_start(struct taker *t)
{
	struct sched_param prefer = { .sched_priority = 1 };
	pthread_attr_t attr;
	int ret;

	pthread_attr_init(&attr);
	ret = pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED) ?:
	      pthread_attr_setschedpolicy(&attr, SCHED_FIFO) ?:
	      pthread_attr_setschedparam(&attr, &prefer) ?:
	      pthread_create(&t->thread, &attr, take_processor, t);
	pthread_attr_destroy(&attr);
	return -ret;
}

static u64 taker_times(const struct taker *t)
{
	return __atomic_load_n(&t->times, __ATOMIC_RELAXED);
}

static u64 taker_stop(struct taker *t)
{
	__atomic_store_n(&t->stop, true, __ATOMIC_RELAXED);
	pthread_join(t->thread, NULL);
	return t->times;
}

/*
 * Registers of user space make room for the guest's at every KVM_RUN. Whoever
 * loses the processor while they do must get back its own; see the teardown.
 */
TEST_F_TIMEOUT(kvm_storm, loses_its_processor, 60)
{
	const struct guest_call call = CALL(H_GET_TCE, LIOBN);
	struct guest *g = &self->g;
	struct taker taker = {};
	cpu_set_t all, here;
	int i;

	ASSERT_EQ(0, guest_boot(g));
	ASSERT_EQ(0, sched_getaffinity(0, sizeof(all), &all));
	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(here), &here));
	ASSERT_EQ(0, taker_start(&taker));
	/* nobody knows this LIOBN: each call ends a KVM_RUN */
	ASSERT_EQ(0, guest_start(g, 0, &call, 1));
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(all), &all));
	for (i = 0; i < 10 && taker_times(&taker) < 10000; i++)
		sleep(1);
	EXPECT_LT(100, taker_stop(&taker));
	EXPECT_EQ(0, guest_stop(g, 0));
	EXPECT_LT(100, g->vcpu[0].to_user);
	TH_LOG("%llu KVM_RUNs, %llu times without processor",
	       g->vcpu[0].to_user, taker.times);
}

/* ---- storms ------------------------------------------------------------- */

/* One round of a storm; makes levels near and far */
static int storm_start(struct guest *g)
{
	const u64 s = g->start, page = BIT_ULL(g->shift), half = g->size / 2;
	const struct guest_call calls[] = {
		CALL(H_PUT_TCE_INDIRECT, LIOBN, s, guest_list(0), ENTRIES),
		CALL(H_PUT_TCE, LIOBN, s + half, GUEST_PAGE | TCE_RW),
		CALL(H_PUT_TCE, LIOBN, s + page, 0),
		CALL(H_PUT_TCE_INDIRECT, LIOBN, s + half - 2 * page,
		     guest_list(0), ENTRIES),
		CALL(H_STUFF_TCE, LIOBN, s, 0, ENTRIES / 2),
		CALL(H_PUT_TCE, LIOBN, s + page, GUEST_PAGE | TCE_WRITE),
	};
	unsigned int i;

	for (i = 0; i < ENTRIES; i++)
		guest_list_of(g, 0)[i] =
			htobe64((GUEST_PAGE + i * SZ_64K) | TCE_RW);
	return guest_start(g, 0, calls, 6);
}

static bool storm_answers(struct guest *g)
{
	unsigned int i;
	bool ok = true;

	for (i = 0; i < 6; i++) {
		const struct guest_call *call = &g->vcpu[0].prog->calls[i];

		/* without the table it is ours to do */
		if (call->other && call->other != H_USER)
			ok = false;
		if (!call->good)
			ok = false;
	}
	return ok;
}

/* A moment to be somewhere in the middle */
static void moment(int i)
{
	pause_us(i * 7919 % 1500);
}

TEST_F_TIMEOUT(kvm_storm, remove_window, 120)
{
	struct guest *g = &self->g;
	s64 free_before = 0;
	u64 vmlck = 0;
	int i, j, fd;

	if (!sys_powernv())
		SKIP(return, "the window is the machine's");
	ASSERT_EQ(0, guest_window(g, SZ_1G));
	ASSERT_EQ(0, guest_boot(g));
	ASSERT_EQ(0, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_ADD));
	watch_real_mode(_metadata, g);
	ASSERT_EQ(0, storm_start(g));
	for (i = 0; i < TIMES; i++) {
		fd = guest_window_table(g, LIOBN);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, guest_attach(g, g->dev, fd));
		ASSERT_EQ(0, guest_wait(g, 0, 2));
		moment(i);
		ASSERT_EQ(0, tce_remove(g->c, g->start));
		/* a call on its way may hold a page for this moment only */
		for (j = 0; j < 1000; j++) {
			if (tce_unregister(g->c, g->mem, GUEST_LOOSE) != -EBUSY)
				break;
			pause_us(100);
		}
		ASSERT_GT(1000, j);
		ASSERT_EQ(0, tce_register(g->c, g->mem, GUEST_LOOSE));
		if (i & 1)
			ASSERT_EQ(0, guest_wait(g, 0, 2));
		close(fd);
		if (!i) {
			vmlck = sys_vmlck();
			free_before = sys_free_bytes();
		}
		EXPECT_EQ(vmlck, sys_vmlck());
		if (i == 1)
			check_real_mode(_metadata, g);
		ASSERT_EQ(0, guest_new_window(g, g->shift, g->size));
	}
	ASSERT_EQ(0, tce_remove(g->c, g->start));
	EXPECT_TRUE(memory_is_back(free_before));
	EXPECT_EQ(0, guest_stop(g, 0));
	EXPECT_TRUE(storm_answers(g));
}

TEST_F_TIMEOUT(kvm_storm, unplug, 120)
{
	struct guest *g = &self->g;
	s64 free_before = 0;
	u64 vmlck = 0;
	int i, fd;

	ASSERT_EQ(0, guest_boot(g));
	watch_real_mode(_metadata, g);
	for (i = 0; i < TIMES; i++) {
		ASSERT_EQ(0, guest_window(g, SZ_1G));
		fd = guest_plug(g, LIOBN);
		ASSERT_LE(0, fd);
		if (!i)
			ASSERT_EQ(0, storm_start(g));
		ASSERT_EQ(0, guest_wait(g, 0, 2));
		moment(i);
		/* the container before KVM knows, or behind it */
		if (i % 3 == 2) {
			close(g->c);
			g->c = -1;
		}
		ASSERT_EQ(0, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_DEL));
		guest_unplug(g);
		if (i & 1)
			ASSERT_EQ(0, guest_wait(g, 0, 2));
		close(fd);
		if (!i) {
			vmlck = sys_vmlck();
			free_before = sys_free_bytes();
		}
		EXPECT_EQ(vmlck, sys_vmlck());
		if (i == 1)
			check_real_mode(_metadata, g);
	}
	EXPECT_TRUE(memory_is_back(free_before));
	EXPECT_EQ(0, guest_stop(g, 0));
	EXPECT_TRUE(storm_answers(g));
}

/* Says that it storms, and does so until it is killed. */
static void storm_child(unsigned long type, int out)
{
	struct guest g;
	int ret;

	ret = guest_open(&g, type) ? -ENODEV : guest_window(&g, SZ_1G);
	if (!ret)
		ret = guest_boot(&g);
	if (!ret)
		ret = guest_plug(&g, LIOBN);
	if (ret >= 0)
		ret = storm_start(&g);
	if (!ret)
		ret = guest_wait(&g, 0, 2);
	if (write(out, &ret, sizeof(ret)) == sizeof(ret))
		pause();
	_exit(1);
}

TEST_F_TIMEOUT(kvm_storm, kill, 200)
{
	struct guest *g = &self->g;
	struct tce_leak leak = g->leak;
	s64 free_before = 0;
	int i, pipes[2], ret, status;
	pid_t pid;

	guest_close_vm(g);
	ASSERT_EQ(0, pipe(pipes));
	watch_real_mode(_metadata, g);
	for (i = 0; i < TIMES; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			storm_child(variant->type, pipes[1]);
		ret = -EIO;
		if (read(pipes[0], &ret, sizeof(ret)) != sizeof(ret))
			ret = -EIO;
		moment(i);
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_EQ(0, ret);
		if (i == 1)
			check_real_mode(_metadata, g);
		if (i != 4)
			continue;
		EXPECT_NO_LEAK(&leak);
		free_before = sys_free_bytes();
	}
	EXPECT_NO_LEAK(&leak);
	EXPECT_TRUE(memory_is_back(free_before));
}

TEST_HARNESS_MAIN
