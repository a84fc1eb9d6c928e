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
	pseries-hash	pseries  default edu  kvm.* disable_radix
	pseries-nested	pseries  default edu+nested unplug -
	pseries-single	pseries  default edu  lpar|abi.* multitce=off
	powernv9-nvme	powernv9 default nvme nvme|prereg.*|handover iommu=nobypass
	powernv8-nvme	powernv8 default nvme nvme|prereg.*|handover iommu=nobypass
	powernv9-bypass-nvme powernv9 default nvme handover -
	pseries-nvme	pseries  default nvme+mem nvme|prereg.*|handover -
	pseries-256m-nvme pseries default nvme+256m nvme -
	pseries-noddw-nvme pseries default nvme handover disable_ddw
	powernv9-edus	powernv9 default edus stress|unplug -
	powernv9-hash-edus powernv9 default edus stress disable_radix
	powernv8-edus	powernv8 default edus stress|unplug -
	pseries-edus	pseries  default edus stress|unplug -
	powernv9-nodes	powernv9 default nodes pressure -
	EOF
	# These kernels are slow, and boot only when asked for.  Poison is looked
	# for where KASAN, which needs radix, is not at work: it would prepare a
	# report of each eight bytes of a free page and then not give it, for which
	# a test that eats memory had too little time on pseries.  The devices of
	# stress write all the time, though, and KASAN sees no DMA.
	case $CONFIG in
	debug)	cat <<-EOF
		powernv9-debug	powernv9 debug edu all -
		powernv8-debug	powernv8 debug edu all page_poison=1
		powernv9-debug-hash powernv9 debug edu all disable_radix page_poison=1
		pseries-debug	pseries  debug edu all -
		powernv9-debug-edus powernv9 debug edus stress page_poison=1
		EOF
		;;
	debian)	cat <<-EOF
		powernv9-debian	powernv9 debian edu all -
		powernv9-hash-debian powernv9 debian edu modules|abi.*|dma|faults|kvm|kvm_(attach|tables)|prereg.* disable_radix
		powernv8-debian	powernv8 debian edu all -
		pseries-debian	pseries  debian edu all -
		EOF
		;;
	kcsan)	cat <<-EOF
		powernv9-kcsan	powernv9 kcsan edu race|kvm.* -
		pseries-kcsan	pseries  kcsan edu race|kvm.* -
		powernv9-kcsan-edus powernv9 kcsan edus stress -
		EOF
		;;
	esac
}

chosen() {
	matrix | awk -v m="$MACHINE" -v c="$CONFIG" \
		'(m == "" || $2 == m) && (c == "" || $3 == c)'
}

# The programs for one boot, with commas between.  What needs the disk, or more
# devices, has boots of its own.
tests_of() {
	case $1 in
	all) grep -vxE 'nvme|handover|stress|unplug' "$initrd/tests.list" ;;
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
	[ "$config" != debug ] || limit=2400
	if [ -n "$TIME" ]; then
		limit=$((limit + 3 * TIME))
		append="$append spapr_tce.stress=$TIME"
	fi
	MACHINE=$machine DEVICES=$devices TIMEOUT=$((6 * limit)) \
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
