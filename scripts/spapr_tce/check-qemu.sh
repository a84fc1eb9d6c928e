#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Boot the machines and kernels that the file matrix lists, run the kselftests in
# each, and write one line per test.  MACHINE, CONFIG and TESTS narrow it down;
# BASE=1 takes the base kernel, which is there to be seen failing.  TIME is the
# seconds for each test of stress.

. "$(dirname "$0")/lib.sh"

# TESTS may be meant for other parts of the check.
asked=$TESTS
TESTS=$(echo "$asked" | tr , '\n' | while read -r t; do
	[ ! -f "$top/tools/testing/selftests/vfio/spapr_tce/$t.c" ] || echo "$t"
done | paste -sd , -)
if [ "$asked" != "$TESTS" ]; then
	say "of $asked these are kselftests: ${TESTS:-none}"
	[ -n "$TESTS" ] || exit 0
fi
initrd=$build/$(initrd_name)

# The programs for one boot, with commas between; "all!x": but x
tests_of() {
	case $1 in
	all*) grep -vxE "demo|nvme|handover|stress|unplug|vdpa|${1#all!}" "$initrd/tests.list" ;;
	*) grep -xE "$1" "$initrd/tests.list" ;;
	esac | paste -sd , -
}

# with_kernel ACCEL: with the variables of boot()
with_kernel() {
	rc=0
	MACHINE=$machine DEVICES=$devices TIMEOUT=$((6 * limit)) ACCEL=$1 \
		"$here/boot.sh" "$build/vmlinux$(kernel_name "$config")" "$initrd.cpio" \
		"${append#-} spapr_tce.tests=$tests spapr_tce.timeout=$limit" \
		>"$logs/$name.log" 2>&1 || rc=$?
}

# boot ROW: what one line of the matrix says
boot() {
	name=${BASE:+base-}$1 machine=$2 config=$3 devices=$4 tests=$(tests_of "$5")
	shift 5
	append=$*
	[ -n "$tests" ] || return 0
	limit=480
	if [ "$config" = debug ] || [ -n "$LONG" ]; then
		limit=2400
	fi
	if [ -n "$TIME" ]; then
		limit=$((limit + 3 * TIME))
		append="$append spapr_tce.stress=$TIME"
	fi
	say "booting $name (console: $logs/$name.log)"
	emulated "$name" with_kernel
	"$here/results.pl" "$name" "$rc" "$logs/$name.log" >"$logs/$name.results"
	# Two that end at once do not mix their lines.
	flock "$logs" cat "$logs/$name.results"
}
if [ "${1:-}" = --boot ]; then
	shift
	boot "$@"
	exit
fi

rows=$build/matrix
awk -v m="$MACHINE" -v c="$CONFIG" '/^[^#]/ && (m == "" || $2 == m) &&
	(c == "" ? $3 ~ /^(default|4k)$/ : $3 == c) { $1 = $1; print }' "$here/matrix" >"$rows"
[ -s "$rows" ] || die "no boot of the matrix has MACHINE=$MACHINE CONFIG=$CONFIG"
awk '{ print $3 }' "$rows" | sort -u | while read -r c; do
	CONFIG=$c "$here/kernel.sh" >&2
done
"$here/initrd.sh" >&2
# Two per processor, because half of the time a machine waits: for resets, above
# all.  Each may use 5 GB.
slots=$((2 * JOBS)) room=$(awk '/^MemAvailable:/ { print int($2 / 5000000) }' /proc/meminfo)
[ "$room" -ge "$slots" ] || slots=$room
[ "$slots" -gt 0 ] || slots=1
xargs -a "$rows" -L 1 -P "$slots" "$0" --boot
