/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A core of a POWER8 that KVM HV has split: kvmppc_run_core() (book3s_hv.c) runs
 * threads of two guests, whose hypercalls use TCE tables in real mode. What keeps
 * a table there is SRCU of its guest, which the runner holds for all of them.
 *
 * S1	no thread uses a table that has been freed
 * S7	all come to an end
 *
 * Threads 0 and 1 are of guest 0, the first of which is the runner itself; 2 and 3
 * of guest 1. BREAK_LATE is the order that the base has for its memory slots:
 * SRCU is taken when other threads may be in their guests already. BREAK_EARLY
 * gives it up when the runner is out, and others may not be; BREAK_FIRST takes
 * that of the runner's guest alone.
 */
#define GUESTS	2
#define THREADS	4
#define GUEST(t)	(t / 2)

/* Names of the rules, for what an assertion prints */
bit S1_freed;

/* SRCU of each guest; its table can be found, and is there */
byte readers[GUESTS];
bit found[GUESTS], freed[GUESTS];

/* Threads that were started, and that have come back to the host */
bit started[THREADS], done[THREADS];
byte ended;

#define USE(g)	assert(S1_freed || !freed[g])

/* Hypercalls of a thread: each looks for the table, and uses it as it goes on */
inline guest(t)
{
	do
	:: found[GUEST(t)] ->
		USE(GUEST(t));
		USE(GUEST(t))
	:: break
	od
}

inline lock_all()
{
	readers[0]++;
#ifndef BREAK_FIRST
	readers[1]++
#endif
}

inline unlock_all()
{
	readers[0]--;
#ifndef BREAK_FIRST
	readers[1]--
#endif
}

proctype thread(byte t)
{
	started[t];
	guest(t);
	done[t] = 1;
	ended++
}

/* kvmppc_run_core() */
proctype runner()
{
#ifndef BREAK_LATE
	lock_all();
#endif
	started[1] = 1;
	started[2] = 1;
	started[3] = 1;
#ifdef BREAK_LATE
	lock_all();
#endif
	guest(0);
#ifdef BREAK_EARLY
	unlock_all();
#endif
	/* kvmppc_wait_for_nap() */
	done[1] && done[2] && done[3];
#ifndef BREAK_EARLY
	unlock_all();
#endif
	ended++
}

/*
 * kvmppc_tce_release(). synchronize_srcu() waits for readers that were there when
 * it began; to wait until there are none is no more, as far as the table goes: one
 * that comes later cannot find it.
 */
proctype closer(byte g)
{
	found[g] = 0;
	readers[g] == 0;
	freed[g] = 1;
	ended++
}

init
{
	atomic {
		found[0] = 1;
		found[1] = 1;
		run runner();
		run thread(1);
		run thread(2);
		run thread(3);
		run closer(0);
		run closer(1)
	}
	ended == 6
}
