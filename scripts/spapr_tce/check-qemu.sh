#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Boot the matrix of machines and kernels below, run the kselftests in each,
# and write one line per test.  MACHINE, CONFIG and TESTS narrow it down;
# BASE=1 takes the base kernel, which is there to be seen failing.  TIME is the
# seconds for each test of stress.

. "$(dirname "$0")/lib.sh"

# name, machine, configuration, devices, tests, kernel command line
matrix() {
	cat <<-EOF
	powernv9	powernv9 default edu  all  -
	powernv9-hash	powernv9 default edu  all  disable_radix
	powernv8	powernv8 default edu  all  -
	powernv10	powernv10 default edu all  -
	powernv9-4k	powernv9 4k      edu  all  -
	pseries		pseries  default edu  all  -
	pseries-4k	pseries  4k      edu  all  -
	pseries-hash	pseries  default edu  kvm|kvm_storm disable_radix
	powernv9-edus	powernv9 default edus stress -
	powernv9-hash-edus powernv9 default edus stress disable_radix
	powernv8-edus	powernv8 default edus stress -
	powernv9-4k-edus powernv9 4k     edus stress -
	pseries-edus	pseries  default edus stress -
	powernv9-nodes	powernv9 default nodes pressure -
	powernv9-nvme	powernv9 default nvme nvme|prereg iommu=nobypass
	powernv8-nvme	powernv8 default nvme nvme|prereg iommu=nobypass
	EOF
	# The debug kernel is slow, and boots only when asked for.
	[ "$CONFIG" != debug ] || cat <<-EOF
	powernv9-debug	powernv9 debug   edu  all  -
	powernv9-debug-hash powernv9 debug edu all disable_radix
	powernv8-debug	powernv8 debug   edu  all  -
	powernv9-debug-edus powernv9 debug edus stress -
	EOF
}

chosen() {
	matrix | awk -v m="$MACHINE" -v c="$CONFIG" \
		'(m == "" || $2 == m) && (c == "" || $3 == c)'
}

# The programs for one boot, with commas between.  nvme needs the disk, stress
# more devices: they have boots of their own.
tests_of() {
	case $1 in
	all) grep -vxE 'nvme|stress' "$initrd/tests.list" ;;
	*) grep -xE "$1" "$initrd/tests.list" ;;
	esac | paste -sd , -
}

boot_one() {
	name=${BASE:+base-}$1 machine=$2 config=$3 devices=$4 tests=$(tests_of "$5") append=$6
	[ "$append" != - ] || append=
	[ -n "$tests" ] || return 0
	log=$logs/$name.log
	rc=0
	limit=240
	[ "$config" != debug ] || limit=1200
	if [ -n "$TIME" ]; then
		limit=$((limit + 3 * TIME))
		append="$append spapr_tce.stress=$TIME"
	fi
	MACHINE=$machine DEVICES=$devices TIMEOUT=$((1500 + 3 * ${TIME:-0})) \
		"$here/boot.sh" "$build/vmlinux$(kernel_name "$config")" "$initrd.cpio" \
		"$append spapr_tce.tests=$tests spapr_tce.timeout=$limit" \
		>"$log" 2>&1 || rc=$?
	awk -v name="$name" -v status="$rc" -f "$here/ktap.awk" "$log"
}

initrd=$build/$(initrd_name)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

chosen >"$tmp/matrix"
[ -s "$tmp/matrix" ] ||
	die "no boot of the matrix has MACHINE=$MACHINE CONFIG=$CONFIG"
awk '{ print $3 }' "$tmp/matrix" | sort -u | while read -r c; do
	CONFIG=$c "$here/kernel.sh" >&2
done
"$here/initrd.sh" >&2
"$here/disk.sh" >&2

# Two at a time, because an emulated machine keeps one processor busy; what
# they say comes out one after the other.
slots=2
[ "$JOBS" -gt 1 ] || slots=1
started=
finish() {
	wait
	for s in $started; do
		cat "$tmp/$s"
	done
	started=
}
while read -r name machine config devices tests append; do
	say "booting $name (console: $logs/${BASE:+base-}$name.log)"
	boot_one "$name" "$machine" "$config" "$devices" "$tests" "$append" \
		>"$tmp/$name" </dev/null &
	started="$started $name"
	[ "$(echo "$started" | wc -w)" -lt $slots ] || finish
done <"$tmp/matrix"
finish
