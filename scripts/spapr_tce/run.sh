#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Boot MACHINE with the demo program and show what it prints.

. "$(dirname "$0")/lib.sh"

CONFIG=${CONFIG:-default} MACHINE=${MACHINE:-powernv9}
TESTS=demo
export CONFIG MACHINE TESTS

"$here/kernel.sh"
"$here/initrd.sh"

kernel=$build/vmlinux$(kernel_name "$CONFIG")
log=$logs/run-$MACHINE.log

say "booting an emulated $MACHINE; about 10 seconds (console: $log)"
rc=0
TIMEOUT=${TIMEOUT:-300} "$here/boot.sh" "$kernel" "$build/$(initrd_name).cpio" >"$log" 2>&1 || rc=$?

# The table, without the time stamps and marks that the console has.
sed -n 's/\r$//; s/^\[ *[0-9.]*\] tce:   //p' "$log" |
	sed -n '/^=== demo begin ===/,/^=== demo end ===/{/^=== demo/!p}'

awk -v name="$MACHINE" -v status="$rc" -f "$here/ktap.awk" "$log" >"$log.results"
if grep '^not ok' "$log.results" || ! grep -q '=== demo end ===' "$log"; then
	echo "FAILED: the console is in $log"
	exit 1
fi
echo "SUCCESS: the device moved the data through tables allocated on demand"
