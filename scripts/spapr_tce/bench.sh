#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Run the bench program on the base kernel and on ours, and show what it counts
# side by side.  It prints, between "=== bench begin ===" and "=== bench end
# ===", one line for each piece of work: its name, the figure, the target, with
# tabs between.

. "$(dirname "$0")/lib.sh"

CONFIG=${CONFIG:-default} MACHINE=${MACHINE:-powernv9} TESTS=bench
export CONFIG MACHINE TESTS

# measure BASE: run it, and leave its lines in build/bench-ours or -base.
measure() {
	BASE=$1
	which=${BASE:+base}
	which=${which:-ours}
	log=$logs/bench-$which.log
	BASE=$BASE "$here/kernel.sh"
	say "running bench on the $which kernel (console: $log)"
	rc=0
	TIMEOUT=1800 "$here/boot.sh" "$build/vmlinux$(kernel_name "$CONFIG")" \
		"$build/$(initrd_name).cpio" spapr_tce.timeout=1500 >"$log" 2>&1 || rc=$?
	sed -n 's/\r$//; s/^\[ *[0-9.]*\] tce:   //p' "$log" |
		sed -n '/^=== bench begin/,/^=== bench end/{/^===/!p}' \
		>"$build/bench-$which"
	[ "$rc" != 0 ] || [ ! -s "$build/bench-$which" ] || return 0
	die "bench did not finish on the $which kernel; see $log"
}

"$here/initrd.sh"
measure 1
measure ''
awk -F '\t' '
function ratio(b, o)
{
	return b > 0 && o > 0 ? sprintf("%.1f", b / o) : "-"
}
NR == FNR	{ base[$1] = $2; next }
FNR == 1	{ printf "%-46s %13s %13s %8s %9s\n", "", "base", "ours", "ratio", "target" }
{
	b = $1 in base ? base[$1] : "-"
	met = $3 == "-" ? "" : $2 + 0 <= $3 + 0 ? "met" : "NOT MET"
	printf "%-46s %13s %13s %8s %9s %s\n", $1, b, $2, ratio(b, $2), $3, met
}' "$build/bench-base" "$build/bench-ours"
