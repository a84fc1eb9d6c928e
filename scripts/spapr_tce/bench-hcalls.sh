#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What do H_PUT_TCE and its like cost, in instructions from one hypercall of the
# guest to the next?  The program hcalls.c makes them on the emulated machines,
# and a plugin in the emulator (hcalls.c here) counts, whatever mode the
# processor is in: the PMU stops where the guest begins and ends.
#
#   build/hcalls-MACHINE-KERNEL	address and instructions, call by call

. "$(dirname "$0")/lib.sh"

CONFIG=${CONFIG:-default} TESTS=hcalls
export CONFIG TESTS

# measure MACHINE BASE: lines "column	what	median", in the order of a turn.
measure() {
	MACHINE=$1 BASE=$2
	which=${BASE:+base}
	which=$MACHINE-${which:-ours}
	log=$logs/hcalls-$which.log
	say "running hcalls on $which in an emulator that counts (console: $log)"
	rm -f "$build/hcalls-$which"
	rc=0
	MACHINE=$MACHINE TIMEOUT=600 \
		PLUGIN="$build/hcalls.so,below=0x10000,out=$build/hcalls-$which" \
		"$here/boot.sh" "$build/vmlinux$(kernel_name "$CONFIG")" \
		"$build/$(initrd_name).cpio" >"$log" 2>&1 </dev/null || rc=$?
	if [ "$rc" != 0 ] || ! grep -q 'tce:   === hcalls end' "$log"; then
		die "hcalls did not finish on $which; see $log"
	fi
	sed -n 's/\r$//; s/^\[ *[0-9.]*\] tce:   //p' "$log" |
		sed -n '/^=== hcalls begin/,/^=== hcalls end/{/^===/!p}' |
		awk -v which="$which" -f "$here/hcalls.awk" \
		- "$build/hcalls-$which"
}

"$here/setup.sh"
"$here/initrd.sh"
gcc -O2 -Wall -Wextra -Werror -shared -fPIC -o "$build/hcalls.so" \
	"$here/hcalls.c"
for b in 1 ''; do
	BASE=$b "$here/kernel.sh"
done
for m in powernv9 powernv8; do
	for b in 1 ''; do
		measure "$m" "$b"
	done
done >"$build/hcalls"

awk -f "$here/hcalls-table.awk" "$build/hcalls"
