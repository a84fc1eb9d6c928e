/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The region that was found last (struct mm_iommu_hint): regions come to an
 * address and go, one after the other, while readers look the address up and
 * remember what they have found for their next RCU section.
 *
 * S1	no reader looks at a region that has been freed
 * S7	all come to an end
 *
 * BREAK_COMPARE looks at what is remembered whatever the generation is.
 * BREAK_BEHIND remembers the generation as it is behind the search, BREAK_BEFORE
 * changes it before the region leaves the tree; BREAK_NOGRACE frees a region at
 * once.
 */
#define READERS	2
#define REGIONS	3
#define TURNS	3

/* Names of the rules, for what an assertion prints */
bit S1_freed;

/* Numbers of regions begin with 1; 0 is none */
byte tree, generation;
bit freed[REGIONS + 1];

/* RCU: a grace period waits for the sections that have begun, for no other */
bit section[READERS];

byte ended;

#define USE(m)	assert(S1_freed || !freed[m])

/* region_hinted_at(), again and again; @mem and @seen are the hint */
proctype reader(byte r)
{
	byte mem, seen, turns;

	do
	:: turns < TURNS ->
		turns++;
		section[r] = 1;
		if
#ifdef BREAK_COMPARE
		:: mem != 0 -> skip
		:: mem == 0 ->
#else
		:: mem != 0 && seen == generation -> skip
		:: mem == 0 || seen != generation ->
#endif
#ifndef BREAK_BEHIND
			seen = generation;
#endif
			mem = tree;
#ifdef BREAK_BEHIND
			seen = generation
#endif
		fi;
		if
		:: mem != 0 ->
			USE(mem);
			USE(mem)
		:: mem == 0 -> skip
		fi;
		section[r] = 0
	:: turns == TURNS -> break
	od;
	ended++
}

/* region_remove(), and what follows it */
proctype owner()
{
	byte m, r;

	for (m : 1 .. REGIONS) {
		tree = m;
#ifdef BREAK_BEFORE
		generation++;
		tree = 0;
#else
		tree = 0;
		generation++;
#endif
#ifndef BREAK_NOGRACE
		for (r : 0 .. READERS - 1) {
			section[r] == 0
		}
#endif
		freed[m] = 1
	}
	ended++
}

init
{
	atomic {
		run reader(0);
		run reader(1);
		run owner()
	}
	ended == 3
}
