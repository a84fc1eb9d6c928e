/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One registered region and all that goes on around it at once: requests of
 * its container, hypercalls of two VCPUs, a device that caches translations,
 * workers and RCU. region.rst says what stands for what.
 *
 * A step of the model is one access to something that others see. Rules are
 * assertions whose text begins with the rule's name. Each BREAK_* breaks one.
 *
 * There are two configurations: one container whose table KVM uses, too; and,
 * with TWO, two containers with a table each, without KVM.
 */

#define NREG	2	/* lives of the region: registered, gone, registered */
#define NONE	NREG

/* Containers, and tables of one TCE: the first ones use the second */
#ifdef TWO
#define NT	2
#else
#define NT	1
#endif
/* Who has counts in hand: containers, from NT on VCPUs, at last freer() */
#define NP	4
#define FREER	(NP - 1)

/* Names of rules for assert(), always 0 */
byte S1_freed, S2_reached, S3_answer, S4_count, S5_once, S6_left,
	S7_stuck, S8_shared;

/* The region: struct mm_iommu_table_group_mem_t, one element for each life */
#define NEW	0
#define LIVE	1
#define FREED	2
byte state[NREG];
short mapped[NREG];
byte used[NREG];
bit work[NREG];		/* the release work is queued or runs */
bit removed[NREG];
byte pins[NREG], charge[NREG];
/* What only the rules look at */
bit own[NREG];		/* the count for being registered at all is there */
bit over[NREG];		/* the last count has gone */
byte next;

/*
 * The registry: its mutex, the maple tree, and the list of those that are being
 * made or taken apart. There is one range, so at most one is on that list.
 */
bit reg_locked;
byte tree = NONE;
byte changing = NONE;
bit reaped[NREG];	/* whoever takes it apart is to retire it */

/* RCU: who is in a section, and whom a callback still waits for */
byte readers;
byte waits[NREG];
bit rcu[NREG];

/* Tables */
byte tce[NT] = NONE;
byte cache[NT] = NONE;	/* the device's translation */
byte view[NT] = NONE;	/* whose count the TCE holds */
bit window[NT] = 1;	/* the device walks the table */
bit tce_lock[NT];		/* somebody changes the TCE */
bit closed[NT];		/* the container is done with the table */
bit guest;		/* a hypercall changes the guest's table */
byte refs[NT];
bit destroy[NT];	/* the table's destroy work is queued or runs */

/* Counts on the way to a view, and taken out of one */
byte hand[NP] = NONE;
byte old[NP] = NONE;

byte containers, vcpus;	/* that have ended */
bit kvm_gone;

#ifdef TWO
#define VIEWS(r)	((view[0] == r) + (view[1] == r))
#define TCES(r)		(tce[0] == r || tce[1] == r)
#define LIVE_TCES(r)	((window[0] && tce[0] == r) || \
			 (window[1] && tce[1] == r))
#define CACHED(r)	(cache[0] == r || cache[1] == r)
#define TABLE_LOCKED		(tce_lock[0] || tce_lock[1])
#else
#define VIEWS(r)	(view[0] == r)
#define TCES(r)		(tce[0] == r)
#define LIVE_TCES(r)	(window[0] && tce[0] == r)
#define CACHED(r)	(cache[0] == r)
#define TABLE_LOCKED		(tce_lock[0])
#endif
#define MOVING(r)	((hand[0] == r) + (hand[1] == r) + (hand[2] == r) + \
			 (old[0] == r) + (old[1] == r) + (old[2] == r) + \
			 (old[3] == r))
#define COUNTS(r)	(VIEWS(r) + MOVING(r))
#define EXACT(r)	(mapped[r] >= 0 && mapped[r] == own[r] + COUNTS(r))

/* Counts are there, and: their TCE is, or a request has not ended */
#define BUSY(r)		(COUNTS(r) > 0 && (TCES(r) || TABLE_LOCKED || MOVING(r) > 0))

/* Something that must be seen to happen, or the model proves too little */
#define did(what)	printf(what)

#define HELD(r)		assert(S1_freed || state[r] == LIVE)
#define CHECK(r)	assert(S4_count || EXACT(r))

#include "registry.pml"

/* registry_reap_work(), region_reap() */
active proctype worker()
{
	byte r;
	bit mine = 1;

end:	do
	:: atomic {
		if
		:: work[0] -> r = 0
		:: work[1] -> r = 1
		fi
	   }
#ifdef BREAK_REQUEUE
	   if
	   :: tree == r -> goto end		/* queue_work() once more */
	   :: else
	   fi;
#endif
	   lock();
	   atomic {
		HELD(r);
#ifndef BREAK_HANDOVER
		mine = !(removed[r] && changing == r);
		reaped[r] = !mine
#endif
	   }
	   if
	   :: removed[r]
	   :: else -> remove(r); take_apart(r)
	   fi;
	   unlock();
	   if
	   :: mine -> retire(r)
	   :: else -> did("abandoned, and somebody else retires it\n")
	   fi;
	   atomic { work[r] = 0; r = 0; mine = 1 }
	od
}

/* The grace period, and region_free_work() */
active proctype grace()
{
end:	do
	:: atomic { rcu[0] && !waits[0] && state[0] == LIVE -> state[0] = FREED }
	:: atomic { rcu[1] && !waits[1] && state[1] == LIVE -> state[1] = FREED }
	od
}

inline rcu_enter(bitmask) { readers = readers | (bitmask) }
inline rcu_exit(bitmask)
{
	atomic {
		readers = readers & ~(bitmask);
		waits[0] = waits[0] & ~(bitmask);
		waits[1] = waits[1] & ~(bitmask)
	}
}

/*
 * A table
 */

active proctype device()
{
end:	do
	:: atomic { window[0] && tce[0] != NONE && cache[0] != tce[0] ->
		assert(S2_reached || pins[tce[0]] == 1);
		cache[0] = tce[0] }
#ifdef TWO
	:: atomic { window[1] && tce[1] != NONE && cache[1] != tce[1] ->
		assert(S2_reached || pins[tce[1]] == 1);
		cache[1] = tce[1] }
#endif
	od
}

/* One change of an entry at a time. Real mode tries, the others wait */
inline lock_table(t)	{ atomic { !tce_lock[t] -> tce_lock[t] = 1 } }
inline unlock_table(t)	{ tce_lock[t] = 0 }
#ifdef BREAK_OVERLAP
/* The container has its mutex, KVM something else */
#define lock_mine(t)	skip
#define unlock_by(p, t)	if :: p >= NT -> unlock_table(t) :: else fi
#else
#define lock_mine(t)	lock_table(t)
#define unlock_by(p, t)	unlock_table(t)
#endif

inline write_tce(t, r)
{
	atomic {
		assert(S3_answer || !over[r]);
		tce[t] = r
	}
}

/* iommu_tce_kill() */
inline kill_tce(t)	{ cache[t] = NONE }

/* Under a lock, so that load and store of the view are one step */
inline exchange(p, t)
{
	atomic {
		old[p] = view[t];
		view[t] = hand[p];
		hand[p] = NONE
	}
}

/* Write a TCE whose count is in hand: user_table_map() from its commit on */
inline commit(p, t, last)
{
	write_tce(t, hand[p]);
	kill_tce(t);
	exchange(p, t);
	put(p, last);
	unlock_by(p, t)
}

/* user_table_unmap() */
inline unmap(p, t, last)
{
	tce[t] = NONE;
#ifdef BREAK_KILL
	exchange(p, t);
	put(p, last);
	kill_tce(t);
	unlock_by(p, t)
#else
	kill_tce(t);
	exchange(p, t);
	put(p, last);
	unlock_by(p, t)
#endif
}

/* iommu_tce_table_put() */
inline put_table(t)
{
	atomic {
		refs[t]--;
		if
		:: refs[t] == 0 -> destroy[t] = 1
		:: else
		fi
	}
}

/* user_table_destroy(), for whoever had the last reference */
active proctype freer()
{
	byte last = NONE, t;

end:	do
	:: atomic {
		if
		:: destroy[0] -> t = 0
#ifdef TWO
		:: destroy[1] -> t = 1
#endif
		fi;
		assert(S2_reached || !window[t]);
		exchange(FREER, t)
	   }
	   put(FREER, last);
	   atomic { tce[t] = NONE; destroy[t] = 0 }
	od
}

/*
 * Those who make requests
 */

/* Requests of one container: its mutex is held from start to end of each */
proctype container(byte c)
{
	byte mem = NONE, r = NONE, last = NONE;
	bit flag;

	do
	:: mem == NONE -> register(mem, r)
	:: mem != NONE && window[c] ->
		/* tce_map(), user_table_map() */
		get(c, mem);
		assert(S4_count || hand[c] == mem);
		if
		:: did("map: no memory for a level\n");
#ifdef BREAK_RESERVE
			hand[c] = NONE;
			CHECK(mem)
#else
			atomic { old[c] = hand[c]; hand[c] = NONE }
			put(c, last)
#endif
		:: lock_mine(c);
		   commit(c, c, last)
		fi
	:: window[c] ->
		/* tce_unmap() */
		lock_mine(c);
		unmap(c, c, last)
	:: mem != NONE -> unregister(c, mem, flag)
#ifndef TWO
	:: mem == 0 ->
		/* It was another container's, which goes, and has no table */
		release(mem, flag)
#endif
	:: true ->
		/* tce_container_release(), then perhaps another container */
		if
		:: window[c] ->
			/* tce_remove_window(), user_table_revoke() */
			lock_mine(c);
#ifndef BREAK_WINDOW
			closed[c] = 1;
#endif
			unlock_by(c, c);
			lock_mine(c);
			unmap(c, c, last);
			window[c] = 0;
#ifndef BREAK_WINDOW
			kill_tce(c);
#endif
			put_table(c);
			!destroy[c]			/* if it was the last */
		:: else
		fi;
		if
		:: mem != NONE -> release(mem, flag)
		:: else
		fi
	:: mem == NONE && !window[c] -> break
	od;
	containers++
}

#ifndef TWO
#ifdef BREAK_GUEST_RCU
#define RM_MASK(p)	0
#else
#define RM_MASK(p)	(1 << (p))
#endif

inline lock_guest()	{ atomic { !guest -> guest = 1 } }

/* Hypercalls, also in real mode; virtual mode then ends what was too hard */
proctype vcpu(byte p)
{
	byte mem = NONE, last = NONE;
	bit done;

	do
	:: true ->
		/* H_PUT_TCE, virtual mode */
put_virtual:
		lock_guest();
		/* user_table_prepare_batch() */
		rcu_enter(1 << p);
		mem = tree;
#ifdef BREAK_SECTION
		rcu_exit(1 << p);
#endif
		if
		:: mem != NONE -> get(p, mem)
		:: else
		fi;
#ifndef BREAK_SECTION
		rcu_exit(1 << p);
#endif
		mem = NONE;
		/* user_table_commit_batch() */
		if
		:: hand[p] != NONE ->
			lock_table(0);
			if
			:: !closed[0] -> commit(p, 0, last)
			:: closed[0] ->
				did("put: the table is closed\n");
				unlock_table(0);
				atomic { old[p] = hand[p]; hand[p] = NONE }
				put(p, last)
			fi
		:: else -> did("put: user space may know\n")
		fi;
		guest = 0
	:: true ->
		/* H_PUT_TCE, real mode: only where no TCE is, and none was */
		rcu_enter(RM_MASK(p));
#ifdef BREAK_CMPXCHG
		/* No lock: cmpxchg() of the TCE, then the view */
		mem = tree;
		if
		:: mem != NONE -> get(p, mem)
		:: else
		fi;
		if
		:: atomic { hand[p] != NONE && tce[0] == NONE ->
			write_tce(0, mem) }
		   exchange(p, 0)
		:: else -> atomic { old[p] = hand[p]; hand[p] = NONE }
		fi;
		put(p, last);
		rcu_exit(RM_MASK(p));
		mem = NONE
#else
#ifdef BREAK_LAST_RM
		/* The count before the lock, so it may have to go back */
		mem = tree;
		if
		:: mem != NONE -> get(p, mem)
		:: else
		fi;
		if
		:: atomic { hand[p] != NONE && !tce_lock[0] && view[0] == NONE ->
			tce_lock[0] = 1 }
		   write_tce(0, mem);
		   exchange(p, 0);
		   unlock_table(0)
		:: else ->
		   if
		   :: atomic { hand[p] != NONE ->
			mapped[mem]--;		/* nobody can queue work */
			hand[p] = NONE;
			CHECK(mem) }
		   :: else
		   fi
		fi;
		rcu_exit(RM_MASK(p));
		mem = NONE
#else
		if
		:: atomic { !guest -> guest = 1 }
		   if
		   :: atomic { !tce_lock[0] -> tce_lock[0] = 1 }
			if
#ifdef BREAK_HELD
			:: tce[0] == NONE && !closed[0] ->
#else
			:: tce[0] == NONE && view[0] == NONE && !closed[0] ->
#endif
				mem = tree
			:: else
			fi;
			if
			:: mem != NONE -> get(p, mem)
			:: else
			fi;
			if
			:: hand[p] != NONE ->
				write_tce(0, hand[p]);
				exchange(p, 0);
#ifdef BREAK_HELD
				old[p] = NONE;		/* overwritten */
#endif
				kill_tce(0);
				done = 1
			:: else -> did("put: H_TOO_HARD\n")
			fi;
			unlock_table(0)
		   :: else -> did("put: H_TOO_HARD, the table is locked\n")
		   fi;
		   guest = 0
		:: else -> did("put: H_TOO_HARD, the guest's table is locked\n")
		fi;
		mem = NONE;
		rcu_exit(RM_MASK(p));
		if
		:: done -> done = 0
		:: else -> goto put_virtual
		fi
#endif
#endif
	:: true ->
		/* H_STUFF_TCE or H_PUT_TCE of nothing, virtual mode */
clear_virtual:
		lock_guest();
		lock_table(0);
		unmap(p, 0, last);
		guest = 0
	:: true ->
		/*
		 * The same in real mode, which cannot give the last count back:
		 * that stays in the view, and the TCE is gone
		 */
		if
		:: atomic { !guest -> guest = 1 }
		   if
		   :: atomic { !tce_lock[0] -> tce_lock[0] = 1 }
			tce[0] = NONE;
			kill_tce(0);
			/* mm_iommu_try_unref(), and the view, which is ours */
			atomic {
				mem = view[0];
				if
				:: mem == NONE -> done = 1
				:: mem != NONE && mapped[mem] > 1 ->
					HELD(mem);
					mapped[mem]--;
					view[0] = NONE;
					CHECK(mem);
					done = 1
				:: mem != NONE && mapped[mem] <= 1 ->
#ifdef BREAK_FORGET
					view[0] = NONE;
#endif
					did("clear: H_TOO_HARD, the last count\n")
				fi;
				mem = NONE
			}
			unlock_table(0)
		   :: else -> did("clear: H_TOO_HARD, the table is locked\n")
		   fi;
		   guest = 0
		:: else -> did("clear: H_TOO_HARD, the guest's table is locked\n")
		fi;
		if
		:: done -> done = 0
		:: else -> goto clear_virtual
		fi
	:: break
	od;
	vcpus++
}

/* The end of the guest: KVM's reference of the table goes after hypercalls */
proctype kvm()
{
	vcpus == 2;
	put_table(0);
	kvm_gone = 1
}
#endif

#define FREE(r)		(state[r] != LIVE && pins[r] + charge[r] == 0 && \
			 !work[r] && mapped[r] == 0)
#define GONE		(tree == NONE && FREE(0) && FREE(1))
#ifdef TWO
#define ENDED		(containers == NT)
#else
#define ENDED		(containers == NT && kvm_gone)
#endif

init {
	atomic {
#ifdef TWO
		refs[0] = 1;
		refs[1] = 1;
		run container(0);
		run container(1)
#else
		refs[0] = 2;
		run container(0);
		run vcpu(1);
		run vcpu(2);
		run kvm()
#endif
	}
	timeout;
	assert(S7_stuck || ENDED);
	assert(S6_left || GONE)
}

ltl S7_goes { [] (ENDED -> <> GONE) }
