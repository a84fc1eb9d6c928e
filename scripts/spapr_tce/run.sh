#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Boot MACHINE with the demo program and show what it prints.

. "$(dirname "$0")/lib.sh"

CONFIG=${CONFIG:-default} MACHINE=${MACHINE:-powernv9} TESTS=demo
export CONFIG MACHINE TESTS
"$here/kernel.sh"
"$here/initrd.sh"

log=$logs/run-$MACHINE.log rc=0
say "booting an emulated $MACHINE; about 10 seconds (console: $log)"
TIMEOUT=${TIMEOUT:-300} "$here/boot.sh" "$build/vmlinux$(kernel_name "$CONFIG")" \
	"$build/$(initrd_name).cpio" >"$log" 2>&1 || rc=$?
# The table, without the time stamps and marks that the console has.
sed -n 's/\r$//; s/^\[ *[0-9.]*\] tce:   //p' "$log" |
	sed -n '/^=== demo begin ===/,/^=== demo end ===/{/^=== demo/!p}'
"$here/results.pl" "$MACHINE" "$rc" "$log" >"$log.results"
if grep '^not ok' "$log.results" || ! grep -q '=== demo end ===' "$log"; then
	echo "FAILED: the console is in $log"
	exit 1
fi
echo "SUCCESS: the device moved the data through tables allocated on demand"
