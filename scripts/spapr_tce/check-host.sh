#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tests of these scripts, and the kernel's files compiled for this machine
# (tools/testing/spapr_tce). All of them speak TAP; what a test said is in
# build/log/host-NAME.log, and prove runs them, too.

. "$(dirname "$0")/lib.sh"

# tap NAME LOG PROGRAM...: one line per test
tap() {
	name=$1 log=$logs/host-$2.log rc=0
	shift 2
	"$@" >"$log" 2>&1 || rc=$?
	"$here/results.pl" "$name" $rc "$log"
}

# tce-map, with what the kernel's code says of a table
tce_map() {
	TCE_MAP_DUMP=$build/tce-map-dump "$build/host/asan-16/unit" -t debugfs_map_to_file &&
	python3 "$top/tools/spapr_tce/test_tce_map.py" "$build/tce-map-dump"
}
# quiet COMMAND...: what it says only if it fails
quiet() {
	if ! "$@" >"$logs/quiet" 2>&1; then
		cat "$logs/quiet"
		return 1
	fi
}

part=host
mkdir -p "$logs"
for test in "$here"/t/*.t; do
	tap host "$(basename "$test" .t)" "$test"
done
if ! "$here/host.sh" asan-16 asan-12 tsan-16 arm64-16 fuzz-16 fuzz-12; then
	echo "not ok  host: the kernel's files compile for this machine"
	exit
fi
verdict tce-map "tce-map: its own tests, and a dump of the model" quiet tce_map
# Each of these and of the programs below keeps one processor busy, or two.
TIME=60 "$here/fuzz.sh" >"$build/fuzz" & fuzz=$!
"$top/tools/testing/spapr_tce/spin/check.sh" >"$build/spin" & spin=$!
for v in asan-16 asan-12 arm64-16; do
	for p in tce_tree_kunit iommu_region_kunit unit domain kvm-unit sweep; do
		# shellcheck disable=SC2046 # nothing, or an emulator
		tap "$v-$p" "$v-$p" $([ $v != arm64-16 ] || echo qemu-aarch64) \
			"$build/host/$v/$p"
	done
done
for v in asan-16 tsan-16; do
	verdict "$v-threads" "$v: threads" quiet "$build/host/$v/threads" 300
done
wait $fuzz || echo "not ok  fuzz (ended with $?)"
wait $spin || echo "not ok  spin (ended with $?)"
grep -hv '^#' "$build/fuzz" "$build/spin"
