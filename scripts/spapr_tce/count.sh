#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Instructions, counted by a plugin in the emulator (count.c), whatever mode the
# processor is in: the PMU stops where a guest begins and ends, and misses some.
#
#   count.sh hcalls     what H_PUT_TCE and its like cost, from one hypercall of the
#                       guest to the next: base beside ours, powernv9 and 8.  The
#                       program hcalls.c makes them.  build/hcalls-MACHINE-KERNEL
#                       has them one by one
#   count.sh profile    which functions the instructions of a request to map one
#                       page, and to unmap it, go to; bench.c makes PAIRS (4000) of
#                       them on MACHINE.  MITIGATIONS=off: without the kernel's
#                       against speculation.  APART=512: each page so many TCEs behind
#                       the one before, so that a map makes a leaf

. "$(dirname "$0")/lib.sh"

what=$1
CONFIG=${CONFIG:-default} MACHINE=${MACHINE:-powernv9} TESTS=bench
[ "$what" = profile ] || TESTS=hcalls
export CONFIG MACHINE TESTS

# counted NAME PLUGIN-ARGUMENTS APPEND: boot MACHINE; what the plugin counted is
# in build/NAME, and what the program printed comes out.
counted() {
	log=$logs/$1.log rc=0
	say "running $TESTS in an emulator that counts (console: $log)"
	rm -f "$build/$1"
	TIMEOUT=600 PLUGIN="$build/count.so,out=$build/$1,$2" "$here/boot.sh" \
		"$build/vmlinux$(kernel_name "$CONFIG")" "$build/$(initrd_name).cpio" "$3" \
		>"$log" 2>&1 </dev/null || rc=$?
	if [ "$rc" != 0 ] || [ ! -s "$build/$1" ] || ! grep -q "tce: ok 1 $TESTS" "$log"; then
		die "$TESTS did not finish; see $log"
	fi
	sed -n 's/\r$//; s/^\[ *[0-9.]*\] tce:   //p' "$log"
}

"$here/setup.sh"
"$here/initrd.sh"
plugin qemu-system-ppc64

if [ "$what" = hcalls ]; then
	for b in 1 ''; do
		BASE=$b "$here/kernel.sh"
	done
	for MACHINE in powernv9 powernv8; do
		for BASE in 1 ''; do
			name=hcalls-$MACHINE-$([ -n "$BASE" ] && echo base || echo ours)
			counted "$name" below=0x10000 '' >"$build/$name.names"
		done
	done
	"$here/count.pl" hcalls "$build" | tee "$build/hcalls.txt"
	exit
fi

# text_symbols NM-ARGUMENT...: labels around an area hide the names of what is in it.
text_symbols() {
	"${CROSS_COMPILE}nm" "$@" |
		awk 'NF == 3 && $2 ~ /^[tTwW]$/ && $3 !~ /^(start|end)_/ { print $1, $3 }'
}
BASE=''
"$here/kernel.sh"
text_symbols -n "$build/vmlinux$(kernel_name "$CONFIG")" >"$build/profile.syms"
overlay_files | sed -n 's/\.c$//p' | grep -Ev '^(tools|scripts)/' | while read -r f; do
	o=$tree/obj-$CONFIG/$f.o
	[ ! -f "$o" ] || text_symbols "$o" | sed "s|^[^ ]*|$f.c|"
done >"$build/profile.ours"
address() { sed -n "s/ $1\$//p" "$build/profile.syms"; }
# The first requests fill caches, and 64 are those that bench measures.
counted profile "map=0x$(address tce_map),unmap=0x$(address tce_unmap),skip=100" \
	"bench_pairs=${PAIRS:-4000}${APART:+ bench_apart=$APART}${MITIGATIONS:+ mitigations=$MITIGATIONS}" >"$build/profile.bench"
"$here/count.pl" profile "$build" \
	"$MACHINE, $CONFIG configuration${APART:+, pages $APART TCEs apart}${MITIGATIONS:+, mitigations=$MITIGATIONS}"
