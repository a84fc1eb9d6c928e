#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What a TCE costs on this processor: the base kernel's files and ours, each
# compiled for this machine into the same harness, one after the other in
# rounds. What they print is told at the top of tools/testing/spapr_tce/bench.c.
#
# A loop that falls badly into the lines of the processor's caches costs up to
# a quarter more, and any change elsewhere may move it. So both are compiled with
# the code in several places, and the rounds take turns.
#
#   build/bench-host.csv	all figures

. "$(dirname "$0")/lib.sh"

ROUNDS=${ROUNDS:-9}
MS=${MS:-15}		# for each line of each round
LAYOUTS='16-1 64-1 64-32'	# alignment of functions and of loops

variant() { [ "$1" = ours ] && echo bench || echo bench-base; }

compile_all() {
	for layout in $LAYOUTS; do
		for which in base ours; do
			make -C "$tree/tools/testing/spapr_tce" -j"$JOBS" \
				VARIANT="$(variant $which)" BASE_TREE="$base" \
				OUT="$build/host/layout-$layout" \
				LAYOUT="-falign-functions=${layout%-*} -falign-loops=${layout#*-}" ||
				return
		done
	done
}

# busy: processor time since boot, of all processors, in 1/100 s.
busy() { awk '/^cpu / { print $2 + $3 + $4 + $7 + $8 + $9 }' /proc/stat; }

# threads: two of them against one, in one container
threads() {
	echo "Two threads that map and unmap in one container, against one: million TCEs in a"
	echo "second, counted while each had a processor of its own"
	echo
	printf '%-42s %23s %23s\n' '' base ours
	printf '%8s %8s %10s' windows regions 'TCEs' |
		sed 's/$/ each request; two against one: at least 1.8 is the goal/'
	for which in base ours; do
		"$build/host/layout-16-1/$(variant $which)-16/bench-threads" >"$build/bench-threads-$which" ||
			die "the benchmark of $which with threads failed"
	done
	paste "$build/bench-threads-base" "$build/bench-threads-ours" |
		awk '{ printf "%8s %8s %10s %14s %7s %7s %7s %7s %7s %7s %s\n",
			$2, $3, $4, "", $5, $6, $7, $12, $13, $14,
			$14 == "-" ? "" : $14 >= 1.8 ? "met" : "NOT MET" }'
}

"$here/tree.sh"
lock bench-host
long "compiling the host benchmark" "$logs/bench-host-build.log" compile_all
: >"$build/bench-host"
was_busy=$(busy) began=$(date +%s) round=0
# Single steps, where they are needed, are slow, and always the same.
stepped=256
while [ "$round" -lt "$ROUNDS" ]; do
	for layout in $LAYOUTS; do
		[ "$round" -lt "$ROUNDS" ] || break
		round=$((round + 1))
		say "round $round of $ROUNDS"
		for which in base ours; do
			# Kernel memory is mapped by large pages; let that of the harness be, too.
			GLIBC_TUNABLES=glibc.malloc.hugetlb=1 \
				"$build/host/layout-$layout/$(variant $which)-16/bench" "$MS" $stepped \
				>"$build/bench-host.new" || die "the benchmark of $which failed"
			sed "s/^/$which	/" "$build/bench-host.new" >>"$build/bench-host"
		done
		stepped=0
	done
done
took=$(($(date +%s) - began)) was_busy=$(($(busy) - was_busy))
# The goal is in ns per TCE.
"$here/bench.pl" host "$build/bench-host.csv" 1.5 "$build/bench-host"
echo "On: $(lscpu | sed -n 's/^Model name: *//p'); $(gcc --version | head -n 1)"
echo "Of $(nproc) processors, $((was_busy / took / 100)).$((was_busy * 10 / took / 100 % 10)) were busy on average, with this and all else."
echo "All figures: build/bench-host.csv"
echo
threads | tee "$build/bench-threads.txt"
