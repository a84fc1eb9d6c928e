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
GOAL=1.5		# ns per TCE
LAYOUTS='16-1 64-1 64-32'	# alignment of functions and of loops

# compile WHICH LAYOUT
compile() {
	variant=bench
	[ "$1" = ours ] || variant=bench-base
	make -C "$tree/tools/testing/spapr_tce" -j"$JOBS" VARIANT=$variant \
		OUT="$build/host/layout-$2" BASE_TREE="$base" \
		LAYOUT="-falign-functions=${2%-*} -falign-loops=${2#*-}"
}

compile_all() {
	for layout in $LAYOUTS; do
		compile base "$layout" && compile ours "$layout" || return
	done
}

# run WHICH LAYOUT STEPPED: its lines, each with WHICH in front.
run() {
	variant=bench
	[ "$1" = ours ] || variant=bench-base
	# Kernel memory is mapped by large pages; let that of the harness be, too.
	GLIBC_TUNABLES=glibc.malloc.hugetlb=1 \
		"$build/host/layout-$2/$variant-16/bench" "$MS" "$3" \
		>"$build/bench-host.new" || die "the benchmark of $1 failed"
	sed "s/^/$1	/" "$build/bench-host.new" >>"$build/bench-host"
	rm -f "$build/bench-host.new"
}

# busy: processor time since boot, of all processors, in 1/100 s.
busy() { awk '/^cpu / { print $2 + $3 + $4 + $7 + $8 + $9 }' /proc/stat; }

"$here/tree.sh"
lock bench-host
long "compiling the host benchmark" "$logs/bench-host-build.log" compile_all

: >"$build/bench-host"
was_busy=$(busy)
began=$(date +%s)
round=0
while [ "$round" -lt "$ROUNDS" ]; do
	for layout in $LAYOUTS; do
		[ "$round" -lt "$ROUNDS" ] || break
		round=$((round + 1))
		say "round $round of $ROUNDS"
		# Single steps, where they are needed, are slow, and always the same.
		run base "$layout" $((round == 1 ? 256 : 0))
		run ours "$layout" $((round == 1 ? 256 : 0))
	done
done
was_busy=$(($(busy) - was_busy))
took=$(($(date +%s) - began))

awk -v csv="$build/bench-host.csv" -v goal="$GOAL" -f "$here/bench-host.awk" \
	"$build/bench-host"
echo "On: $(lscpu | sed -n 's/^Model name: *//p'); $(gcc --version | head -n 1)"
awk -v busy=$was_busy -v took=$took -v nproc="$(nproc)" 'BEGIN {
	printf "Of %d processors, %.1f were busy on average, with this and all else.\n",
		nproc, busy / took / 100
}'
echo "All figures: build/bench-host.csv"
