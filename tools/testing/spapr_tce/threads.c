// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that make random requests on the same containers, with DMA all the
 * time; between rounds all of them stop and the invariants are checked. Meant
 * for ThreadSanitizer.
 *
 * threads [ROUNDS [SEED]]
 */
#include <unistd.h>

#include "host.h"

#define NR_THREADS	4
#define REQUESTS	300
#define MAX_PAGES	32

static struct host_container c[2];
static struct mm_struct *mm;
static pthread_barrier_t barrier;
static unsigned long rounds, requests;
static bool done;

static unsigned int seed;

static unsigned int pick(unsigned int *state, unsigned int below)
{
	*state = *state * 1103515245 + 12345;

	return (*state >> 12) % below;
}

static u64 pick_region(unsigned int *state)
{
	static const u16 starts[] = { UA_SCATTERED, UA_HUGE, UA_MEDIUM };

	return host_ua(starts[pick(state, 3)] + MAX_PAGES * pick(state, 2));
}

static u64 pick_iova(unsigned int *state)
{
	u64 window = pick(state, 3) ? 0 : 1UL << 59;

	return window + (pick(state, 64) << PAGE_SHIFT) + (pick(state, 4) << 28);
}

static void request(unsigned int *state)
{
	struct host_container *who = c + pick(state, 2);
	u64 size = (u64)(pick(state, MAX_PAGES) + 1) << PAGE_SHIFT;

	switch (pick(state, 16)) {
	case 0 ... 4:
		req_map(who, pick_iova(state), pick_region(state), size, RW);
		break;
	case 5 ... 6:
		req_unmap(who, pick_iova(state), size);
		break;
	case 7:
		req_unmap(who, 0, SZ_1G);
		break;
	case 8 ... 9:
		req_register(who, pick_region(state), MAX_PAGES * PAGE_SIZE);
		break;
	case 10 ... 11:
		req_unregister(who, pick_region(state), MAX_PAGES * PAGE_SIZE);
		break;
	case 12:
		req_create(who, 16, 1UL << (30 + pick(state, 16)), 1, NULL);
		break;
	case 13:
		req_remove(who, pick(state, 4) ? 1UL << 59 : 0);
		break;
	default:
		machine_dma(host_pes + pick(state, 3), pick_iova(state), true);
		break;
	}
	if (!pick(state, 16))
		host_run_works();
}

static void *thread(void *arg)
{
	unsigned int state = seed + (unsigned long)arg, i;

	rcu_register_thread();
	current->mm = mm;
	for (;;) {
		pthread_barrier_wait(&barrier);
		if (done)
			break;
		for (i = 0; i < REQUESTS; i++)
			request(&state);
		pthread_barrier_wait(&barrier);
	}
	rcu_unregister_thread();

	return NULL;
}

/* Both containers again, whatever the last round left of them */
static void furnish(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		vfio_attach(c + i, host_pes + i);
		if (vfio_set_iommu(c + i, VFIO_SPAPR_TCE_v2_IOMMU))
			host_die("no container\n");
	}
	/* Two PEs that share the tables of the first */
	vfio_attach(c, host_pes + 2);
}

int main(int argc, char **argv)
{
	unsigned long nr = argc > 1 ? strtoul(argv[1], NULL, 0) : 100;
	pthread_t threads[NR_THREADS];
	unsigned long i;

	seed = argc > 2 ? strtoul(argv[2], NULL, 0) : 1;
	machine_threads = true;
	machine_init();
	mm = mm_create(1UL << 40);
	current->mm = mm;
	world_check_containers(c, 2);
	pthread_barrier_init(&barrier, NULL, NR_THREADS + 1);
	for (i = 0; i < NR_THREADS; i++)
		pthread_create(threads + i, NULL, thread, (void *)i);

	for (rounds = 0; rounds < nr; rounds++) {
		if (!(rounds % 16))
			furnish();
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		world_check();
		requests += NR_THREADS * REQUESTS;
		if (rounds % 16 == 15) {
			vfio_close(c);
			vfio_close(c + 1);
			world_check();
		}
	}
	done = true;
	pthread_barrier_wait(&barrier);
	for (i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);

	vfio_close(c);
	vfio_close(c + 1);
	world_check();
	host_settle();
	mm_destroy(mm);
	machine_reset();
	world_check_empty();
	host_test_ends();
	printf("%lu rounds, %lu requests and DMAs of %d threads\n", rounds,
	       requests, NR_THREADS);

	return 0;
}
