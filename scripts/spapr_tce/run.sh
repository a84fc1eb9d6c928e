#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Boot MACHINE with the demo program and show what it prints.

. "$(dirname "$0")/lib.sh"

CONFIG=${CONFIG:-run} MACHINE=${MACHINE:-powernv9} TESTS=demo
export CONFIG MACHINE TESTS
"$here/kernel.sh"
"$here/initrd.sh"

log=$logs/run${BASE:+-base}-$MACHINE.log rc=0
case ${BASE:+base}-$MACHINE in
base-pseries)	seconds=90 ;;
*)		seconds=10 ;;
esac
say "booting an emulated $MACHINE; about $seconds seconds (console: $log)"
TIMEOUT=${TIMEOUT:-300} "$here/boot.sh" "$build/vmlinux$(kernel_name "$CONFIG")" \
	"$build/$(initrd_name).cpio" oops=panic >"$log" 2>&1 || rc=$?
# What the demo says, without the time stamps and marks that the console has
sed -n 's/\r$//; s/^\[ *[0-9.]*\] tce:   //p' "$log" |
	sed -n '/^=== demo begin ===/,/^=== demo end ===/p' >"$log.demo"
sed '/^=== map begin ===/,/^=== map end ===/d; /^=== demo/d' "$log.demo"
if grep -q '^table=' "$log.demo"; then
	echo "      The window with its TCEs, as tools/spapr_tce/tce-map draws it:"
	"$top/tools/spapr_tce/tce-map" "$log.demo" | sed -n '/^0x/q; s/^/      /p'
fi
"$here/results.pl" "$MACHINE" "$rc" "$log" >"$log.results"
if ! grep -q '=== demo end ===' "$log.demo"; then
	# On an LPAR, for one, the base does without memory that it could not get.
	crash=
	[ -z "$BASE" ] || crash=$(sed -n 's/\r$//; s/^\[ *[0-9.]*\] BUG: //p' "$log")
	[ -n "$crash" ] || die "FAILED: the console is in $log"
	echo "The host crashed: $crash"
fi
if [ -n "$BASE" ]; then
	echo "This was the kernel without the series; what it does otherwise is marked FAILED."
	exit
fi
if grep '^not ok' "$log.results"; then
	die "FAILED: the console is in $log"
fi
echo "SUCCESS: the device moved the data through tables allocated on demand"
say "make run BASE=1: the same without the series; make shell: such a host to try things on"
