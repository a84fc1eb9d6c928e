#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# check.sh: prove region.pml, core.pml and hint.pml, and have each of their broken variants
# refuted by the rule that it breaks; one line each. The verifiers and all that they said are
# in build/host/spin/.
#
# check.sh VARIANT: the shortest way to break that variant, step by step.

spin_dir=$(cd "$(dirname "$0")" && pwd)
SPAPR_TCE_TOP=${SPAPR_TCE_TOP:-${spin_dir%/tools/testing/spapr_tce/spin}}
# shellcheck source=../../../../scripts/spapr_tce/lib.sh
. "$SPAPR_TCE_TOP/scripts/spapr_tce/lib.sh"

model=region.pml
w=$build/host/spin

# VARIANT RULE CONFIGURATION WHAT: what is broken, and what must find it.
variants() {
	cat <<-EOF2
	SECTION    S1 KVM counted after the RCU section of the look-up
	GRACE      S1 KVM freed without a grace period
	GUEST_RCU  S1 KVM real mode is no RCU section
	TWICE      S1 KVM two see the last count go
	EARLY      S1 KVM a region is in the tree before it is pinned
	HANDOVER   S1 KVM the worker frees what somebody else takes apart
	KILL       S2 KVM count given back before the kill
	WINDOW     S2 KVM window removed without a kill, table not closed
	ADD        S3 KVM add instead of add_unless
	CHECK      S3 KVM unregister looks, then acts
	FORCE      S3 KVM unregister of what is mapped answers 0
	TRYLOCK    S3 TWO unregister answers busy for a lock
	CMPXCHG    S3 KVM real mode has no lock, only cmpxchg of the TCE
	OVERLAP    S3 KVM container and KVM do not exclude each other
	RESERVE    S4 KVM a map that fails keeps its count
	PUT_TWICE  S4 KVM two counts given back for one
	HELD       S4 KVM real mode maps over what is still held
	FORGET     S4 KVM real mode forgets the last count
	ERROR      S5 KVM a registration that fails keeps its charge
	MAKING     S1 TWO a region being made is in nobody's way
	NOWAIT     S1 KVM a region being taken apart is in nobody's way
	CLOSE      S6 KVM close forgets its count
	LAST_RM    S6 KVM real mode gives back what may be the last count
	FLUSH      S7 KVM close flushes the release work under the lock
	REQUEUE    S7 KVM the release work waits by queueing itself
	SHARED     S8 TWO unregister asks "shared?" outside the lock
	LATE       S1 CORE threads of a split core start before SRCU is held
	EARLY      S1 CORE SRCU is given up before all threads are out
	FIRST      S1 CORE SRCU is held for the runner's guest alone
	COMPARE    S1 HINT a region that was found last is not asked for again
	BEHIND     S1 HINT the generation is read behind the search
	BEFORE     S1 HINT the generation changes before the region leaves the tree
	NOGRACE    S1 HINT a region is freed when the generation has changed
	EOF2
}

# verifier NAME CFLAGS SPINFLAGS...: build $w/NAME/pan.
verifier() {
	name=$1 cflags=$2
	shift 2
	rm -rf "${w:?}/$name"
	mkdir -p "$w/$name"
	# shellcheck disable=SC2086 # flags
	(cd "$w/$name" && cp "$spin_dir"/*.pml . && spin -a "$@" $model &&
	 gcc -w $cflags pan.c -o pan) >"$w/$name/build.log" 2>&1
}

# search NAME PANFLAGS...: run it; what it says is in $w/NAME/log. It exits with
# 0 also when it has found an error.
search() {
	name=$1
	shift
	(cd "$w/$name" && timeout 1200 ./pan "$@") >"$w/$name/log" 2>&1
}

# finding NAME: the rule that the search found broken, if any.
finding() {
	sed -n 's/^pan:1: assertion violated (*\(S[0-9]*\)_.*/\1/p
		s/^pan:1: acceptance cycle.*/S7/p
		s/^pan:1: invalid end state.*/deadlock/p
		s/^pan:1: .*/error/p' "$w/$1/log" | head -n 1
}

verdict() {
	what=$1 why=$2
	if [ -z "$why" ]; then
		echo "ok      spin: $what"
	else
		echo "not ok  spin: $what ($why)"
	fi
}

# prove NAME WHAT SPINFLAGS...: no error, and nothing left out. One search is
# for all: S7's automaton follows any run, so assertions are checked on each.
prove() {
	name=$1 what=$2 why=
	shift 2
	if ! verifier "$name" "-O1 -DNOFAIR" "$@"; then
		why="not built: build/host/spin/$name/build.log"
	elif ! search "$name" -a -m200000; then
		why="the search broke off: build/host/spin/$name/log"
	elif [ -n "$(finding "$name")" ]; then
		why="$(finding "$name") is broken: build/host/spin/$name/log"
	elif grep -qE 'depth too small|not completed|out of memory' "$w/$name/log" ||
	     ! grep -q 'errors: 0$' "$w/$name/log"; then
		why="not all was searched: build/host/spin/$name/log"
	fi
	verdict "$what" "$why"
	awk -v name="$name" '
	/depth reached/		{ depth = $6 + 0 }
	/states, stored/	{ states = $1 }
	/transitions \(/	{ trans = $1 }
	/elapsed time/		{ time = $4 }
	END { printf "# spin: %s: %d states, %d transitions, depth %d, %.1f s\n",
		name, states, trans, depth, time }' "$w/$name/log" 2>/dev/null || :
}

# never LOG...: the statements that no search reached of those that had the
# process. That a daemon does not end goes without saying.
never() {
	awk '
	/^unreached in proctype/ { proc = $4; runs[proc]++ }
	/^unreached in (init|claim)/ { proc = "" }
	proc && match($0, /reg(ion|istry)\.pml:[0-9]+, state [0-9]+, /) && !/"-end-"/ {
		key = proc " " substr($0, RSTART, RLENGTH)
		text[key] = proc " " substr($0, RSTART + RLENGTH)
		of[key] = proc
		# A choice is listed once for each of its options
		if (!(FILENAME " " key in had))
			seen[key]++
		had[FILENAME " " key]
	}
	END {
		for (key in seen)
			if (seen[key] == runs[of[key]])
				print text[key]
	}' "$@" | sort -u
}

# A container holds a registration while it maps, so it finds a count to take.
# Who maps has a count of the only region that there can be, so what it replaces
# is no last one. All else must have happened.
all_reached() {
	never "$w/kvm/log" "$w/two/log" >"$w/unreached" 2>&1
	cmp -s - "$w/unreached" <<-EOF2 || echo "build/host/spin/unreached"
	container "last = 2"
	container "printf('found, but no count to take\n')"
	container "printf('last count, from a TCE\n')"
	container "work[last] = 1"
	vcpu "last = 2"
	vcpu "printf('last count, from a TCE\n')"
	vcpu "work[last] = 1"
	EOF2
}

config_flags() {
	[ "$1" != TWO ] || echo -DTWO
}

# model_of CONFIGURATION: sets $model
model_of() {
	model=region.pml
	[ "$1" != CORE ] || model=core.pml
	[ "$1" != HINT ] || model=hint.pml
}

# refute VARIANT RULE CONFIGURATION WHAT. To refute, compact states will do, and
# a verifier of which compiling is most of the work.
refute() {
	rule=$2 dir=break-$1 what="$1, $4: refuted by $2" why=
	model_of "$3"
	case $1 in
	# Several rules fall; the one that falls after the fewest steps counts
	OVERLAP | CMPXCHG | ADD) cflags="-DSAFETY -DNOCLAIM -DBFS" flags= ;;
	*)		cflags=-DNOFAIR flags="-a -m200000" ;;
	esac
	# shellcheck disable=SC2046,SC2086 # flags
	if ! verifier "$dir" "-O0 -DHC4 $cflags" "-DBREAK_$1" $(config_flags "$3"); then
		why="not built: build/host/spin/$dir/build.log"
	elif ! search "$dir" -w18 $flags; then
		why="the search broke off: build/host/spin/$dir/log"
	elif [ "$(finding "$dir")" != "$rule" ]; then
		why="found: $(finding "$dir" | grep . || echo nothing)"
	fi
	verdict "$what" "$why"
}

# trace VARIANT: by breadth-first search, so REQUEUE, a cycle, has none.
trace() {
	line=$(variants | grep "^$1 ") || die "no variant $1"
	# shellcheck disable=SC2086 # words
	set -- $line
	model_of "$3"
	# shellcheck disable=SC2046 # flags
	if ! verifier trace "-O1 -DSAFETY -DNOCLAIM -DBFS" $(config_flags "$3") \
			"-DBREAK_$1" || ! search trace; then
		die "see $w/trace"
	fi
	grep -m 1 '^pan:1:' "$w/trace/log" || die "nothing found"
	# shellcheck disable=SC2046 # flags
	(cd "$w/trace" && spin $(config_flags "$3") "-DBREAK_$1" -t -p $model) |
	awk '/^ *[0-9]+:\tproc.*\[/ && !/:init:/ && !/assert|goto/ {
		split($4, name, /[(:]/)
		split($5, line, ":")
		who = name[2] " " $3
		sub(/^[^[]*\[/, "")
		sub(/\]$/, "")
		printf "%-12s %4d  %s\n", who, line[2], $0
	}'
}

command -v spin >/dev/null || {
	echo "not ok  spin: registered regions (spin is not installed)"
	exit 0
}
mkdir -p "$w"
lock spin

if [ $# -gt 0 ]; then
	trace "$1"
	exit
fi

prove kvm "a container and KVM: S1 to S7 hold"
prove two "two containers: S1 to S8 hold" -DTWO
verdict "every statement of the model was reached" "$(all_reached)"
model_of CORE
prove core "threads of a split core and KVM's tables: S1 holds"
model_of HINT
prove hint "the region that was found last: S1 holds"

variants | while read -r variant rule config what; do
	refute "$variant" "$rule" "$config" "$what"
done
