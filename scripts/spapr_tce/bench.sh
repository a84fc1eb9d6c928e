#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Run the bench program on the base kernel and on ours, and show what it counts
# side by side.  What it prints between "=== bench begin ===" and "=== bench
# end ===" is told at the top of bench.c.
#
#   build/bench.csv	all figures
#   build/bench.svg	the growth curves
#
# Behind it, the same on this machine's processor (bench-host.sh), and what a
# guest's hypercalls cost (count.sh hcalls).

. "$(dirname "$0")/lib.sh"

CONFIG=${CONFIG:-default} MACHINE=${MACHINE:-powernv9} TESTS=bench
# A region of 4 GiB must fit; few of its pages are real.
MEM=${MEM:-5G}
export CONFIG MACHINE TESTS MEM BASE

# measure WHICH: run it, and leave its lines in build/bench-ours or -base.
measure() {
	BASE=$([ "$1" = ours ] || echo 1) log=$logs/bench-$1.log rc=0
	"$here/kernel.sh"
	say "running bench on the $1 kernel (console: $log)"
	TIMEOUT=1800 "$here/boot.sh" "$build/vmlinux$(kernel_name "$CONFIG")" \
		"$build/$(initrd_name).cpio" spapr_tce.timeout=1500 >"$log" 2>&1 || rc=$?
	sed -n 's/\r$//; s/^\[ *[0-9.]*\] tce:   //p' "$log" |
		sed -n '/^=== bench begin/,/^=== bench end/{/^===/!p}' >"$build/bench-$1"
	grep '^#' "$build/bench-$1" >&2 || :
	[ "$rc" = 0 ] && grep -q 'tce:   === bench end' "$log" && return
	die "bench did not finish on the $1 kernel; see $log"
}

"$here/setup.sh" bench
"$here/initrd.sh"
measure base
measure ours
"$here/bench.pl" bench "$build/bench.csv" "$build/bench-base" "$build/bench-ours" |
	tee "$build/bench.txt"
echo
echo "Counted by the PMU of $MACHINE ($CONFIG configuration). Its ns are those of the"
echo "emulator on this machine, and say nothing of a processor."
gnuplot -e "csv='$build/bench.csv'; svg='$build/bench.svg'" \
	-e "where='$MACHINE, $CONFIG configuration'" "$here/bench.gp" </dev/null
echo "All figures: build/bench.csv; the curves: build/bench.svg"
echo
TESTS='' MACHINE='' "$here/bench-host.sh"
echo
"$here/count.sh" hcalls
