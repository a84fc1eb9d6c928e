#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Boot the machines and kernels that the file matrix lists, run the kselftests in
# each, and write one line per test.  MACHINE, CONFIG and TESTS narrow it down;
# BASE=1 takes the base kernel, which is there to be seen failing.  TIME is the
# seconds for each test of stress.

. "$(dirname "$0")/lib.sh"

initrd=$build/$(initrd_name)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# The programs for one boot, with commas between
tests_of() {
	case $1 in
	all) grep -vxE 'nvme|handover|stress|unplug' "$initrd/tests.list" ;;
	*) grep -xE "$1" "$initrd/tests.list" ;;
	esac | paste -sd , -
}

boot_one() {
	name=${BASE:+base-}$1 machine=$2 config=$3 devices=$4 tests=$(tests_of "$5") append=${6#-}
	[ -n "$tests" ] || return 0
	rc=0 limit=240
	[ "$config" != debug ] || limit=2400
	if [ -n "$TIME" ]; then
		limit=$((limit + 3 * TIME))
		append="$append spapr_tce.stress=$TIME"
	fi
	MACHINE=$machine DEVICES=$devices TIMEOUT=$((6 * limit)) \
		"$here/boot.sh" "$build/vmlinux$(kernel_name "$config")" "$initrd.cpio" \
		"$append spapr_tce.tests=$tests spapr_tce.timeout=$limit" \
		>"$logs/$name.log" 2>&1 || rc=$?
	"$here/results.pl" "$name" "$rc" "$logs/$name.log"
}

awk -v m="$MACHINE" -v c="$CONFIG" '/^[^#]/ && (m == "" || $2 == m) &&
	(c == "" ? $3 ~ /^(default|4k)$/ : $3 == c)' "$here/matrix" >"$tmp/matrix"
[ -s "$tmp/matrix" ] || die "no boot of the matrix has MACHINE=$MACHINE CONFIG=$CONFIG"
awk '{ print $3 }' "$tmp/matrix" | sort -u | while read -r c; do
	CONFIG=$c "$here/kernel.sh" >&2
done
"$here/initrd.sh" >&2

# Two at a time, because an emulated machine keeps one processor busy; what
# they say comes out one after the other.
finish() {
	wait
	for s in $started; do
		cat "$tmp/$s"
	done
	started=
}
slots=2 started=
[ "$JOBS" -gt 1 ] || slots=1
while read -r name machine config devices tests append; do
	say "booting $name (console: $logs/${BASE:+base-}$name.log)"
	boot_one "$name" "$machine" "$config" "$devices" "$tests" "$append" \
		>"$tmp/$name" </dev/null &
	started="$started $name"
	[ "$(echo "$started" | wc -w)" -lt $slots ] || finish
done <"$tmp/matrix"
finish
