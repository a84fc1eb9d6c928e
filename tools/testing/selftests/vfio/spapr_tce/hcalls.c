// SPDX-License-Identifier: GPL-2.0
/*
 * A guest that makes one hypercall after the other, for who counts from
 * outside what each costs: on its way out of the guest, in the host, and back.
 *
 * A turn is the list of works[]. Half of the turns are taken as the kernel is,
 * then as many with hypercalls in real mode turned off, where it knows them.
 * Between two "===" lines is a line "turns N", and one for each call with what
 * it does. With hcalls_turns=N in the environment it takes so many.
 * Reports only: there is nothing here that can fail for being slow.
 */
#include <endian.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kvm_guest.h"

#define SKIP_CODE	4
#define TURNS		400
#define LIST_PAGES	32	/* of 64K, in the memory of the guest */

struct work {
	const char *what;
	u64 hcall;
	u64 npages;
	bool map;
};

static const struct work works[] = {
	{ "H_PUT_TCE, map", H_PUT_TCE, 1, true },
	{ "H_GET_TCE", H_GET_TCE, 1 },
	{ "H_PUT_TCE, unmap", H_PUT_TCE, 1 },
	{ "H_PUT_TCE_INDIRECT, 1 page", H_PUT_TCE_INDIRECT, 1 },
	{ "H_STUFF_TCE, 1 page", H_STUFF_TCE, 1 },
	{ "H_PUT_TCE_INDIRECT, 16 pages", H_PUT_TCE_INDIRECT, 16 },
	{ "H_STUFF_TCE, 16 pages", H_STUFF_TCE, 16 },
	{ "H_PUT_TCE_INDIRECT, 512 pages", H_PUT_TCE_INDIRECT, 512 },
	{ "H_STUFF_TCE, 512 pages", H_STUFF_TCE, 512 },
};

enum { NR_WORKS = sizeof(works) / sizeof(*works) };

static void check(const char *what, int ret)
{
	if (ret >= 0)
		return;
	printf("# %s: %s\n", what, strerror(-ret));
	exit(1);
}

static u64 argument(const struct work *w)
{
	if (w->hcall == H_PUT_TCE_INDIRECT)
		return guest_list(0);
	return w->map ? GUEST_PAGE | TCE_RW : 0;
}

static void take_turn(struct guest *g)
{
	struct guest_call calls[NR_WORKS] = {};
	const struct work *w;
	int i;

	for (i = 0; i < NR_WORKS; i++) {
		w = &works[i];
		calls[i].args[0] = w->hcall;
		calls[i].args[1] = LIOBN;
		calls[i].args[2] = g->start;
		calls[i].args[3] = argument(w);
		calls[i].args[4] = w->npages;
	}
	check("run", guest_run(g, calls, NR_WORKS));
	for (i = 0; i < NR_WORKS; i++) {
		if (calls[i].answer == H_SUCCESS)
			continue;
		printf("# %s: the answer was %lld\n", works[i].what,
		       (long long)calls[i].answer);
		exit(1);
	}
}

/* Neighbours in the list are not neighbours in memory. */
static void write_list(struct guest *g)
{
	u64 *list = guest_list_of(g, 0);
	int i;

	for (i = 0; i < GUEST_LIST_MAX; i++)
		list[i] = htobe64((GUEST_PAGE + i * 7 % LIST_PAGES * SZ_64K) |
				  TCE_RW);
}

/* False where the kernel has no such choice */
static bool set_real_mode(const char *value)
{
	int fd = open(GUEST_REAL_MODE, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, value, 1) == 1;

	if (fd >= 0)
		close(fd);
	return ok;
}

int main(void)
{
	const char *env = getenv("hcalls_turns");
	int turns = env ? atoi(env) : TURNS, i;
	struct guest g;
	const char *why;
	cpu_set_t cpu;

	setvbuf(stdout, NULL, _IOLBF, 0);
	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	sched_setaffinity(0, sizeof(cpu), &cpu);

	why = guest_open(&g, KVM_VM_PPC_HV);
	if (why) {
		printf("# SKIP %s\n", why);
		return SKIP_CODE;
	}
	check("window", guest_window(&g, SZ_1G));
	check("table", guest_plug(&g, LIOBN));
	check("guest", guest_boot(&g));
	write_list(&g);

	printf("=== hcalls begin ===\nturns %d\n", turns);
	for (i = 0; i < NR_WORKS; i++)
		printf("%s\n", works[i].what);
	for (i = 0; i < turns; i++)
		take_turn(&g);
	if (set_real_mode("0")) {
		for (i = 0; i < turns; i++)
			take_turn(&g);
		set_real_mode("1");
	}
	printf("=== hcalls end ===\n");

	guest_close(&g);
	return 0;
}
