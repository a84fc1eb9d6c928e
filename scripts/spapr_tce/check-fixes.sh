#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The fixes of series/fixes/, patch by patch on the base kernel: each passes
# checkpatch and builds with pages of 64K and 4K; the kselftests that
# series/fixes/tests names fail before it and pass with it, and no other test of
# their programs fails that passed before.

# shellcheck disable=SC2034 # what follows uses it
kind=fixes
. "$(dirname "$0")/check-series.sh"

# passed RESULTS HOW: their tests that ended like that; HOW is a pattern
passed() {
	sed -nE "s/boot and clean console/console/; s/^($2) *fixes: ([^(]*[^( ]).*/\\2/p" "$1" |
		sort -u
}

# boot OUT: what the tests of this boot say
boot() {
	[ "$append" != - ] || append=
	rc=0
	MACHINE=$machine DEVICES=$devices TIMEOUT=1800 "$here/boot.sh" \
		"$work/obj-$config/vmlinux" "$build/initrd.cpio" \
		"$append spapr_tce.timeout=240 spapr_tce.tests=$programs" \
		>"$1.log" 2>&1 </dev/null || rc=$?
	awk -v name=fixes -v status="$rc" -f "$here/ktap.awk" "$1.log" >"$1"
}

# Each line of the data for this patch is a boot before and one after it.
boots_of() {
	awk -v nr="$1" '$1 == nr && $3 != "-"' "$top/series/fixes/tests" |
	while read -r _ _ machine config devices append programs tests; do
		row=$((${row:-0} + 1)) out=$logs/fixes-$1-$row-$2
		say "$1: booting $machine ($2)"
		boot "$out"
		echo "$tests" | tr ' ' '\n' | sort -u >"$logs/fixes-$1-$row.tests"
	done
}

red_and_green() {
	for t in "$logs/fixes-$1"-*.tests; do
		o=${t%.tests}
		[ -f "$t" ] || break
		passed "$o-before" 'ok|skip' | sed 's/.*: //' | sort |
			comm -12 - "$t" | sed 's/$/: passes without the fix/'
		passed "$o-after" ok | sed 's/.*: //' | sort |
			comm -13 - "$t" | sed 's/$/: fails with the fix/'
		passed "$o-before" ok >"$tmp/before"
		passed "$o-after" 'ok|skip' | comm -23 "$tmp/before" - |
			sed 's/$/: passed before/'
	done
}

# host OUT: the base's files as they are now, compiled for this machine
host() {
	make -s -C "$tree/tools/testing/spapr_tce" VARIANT=bench-base \
		OUT="$tmp/host" BASE_TREE="$work" >"$1.log" 2>&1 &&
		"$tmp/host/bench-base-16/fixes" 2>>"$1.log" |
		sed -n 's/^ok //p' >"$1"
}
# Of the tests there, this patch's alone passes that did not.
host_red_and_green() {
	host "$tmp/after" || cat "$tmp/after.log"
	diff "$tmp/before" "$tmp/after" | sed -n 's/^> //p' | grep -vxF "$1"
	diff "$tmp/before" "$tmp/after" | sed -n 's/^< //p' | sed 's/$/: passed before/'
	! grep -qxF "$1" "$tmp/before" || echo "$1 passes without the fix"
	grep -qxF "$1" "$tmp/after" || echo "$1 fails with the fix"
	mv "$tmp/after" "$tmp/before"
}

rm -f "$logs"/fixes-[0-9]*
for config in default 4k; do
	long "fixes: base kernel ($config)" "$logs/fixes-make.log" \
		kmake "$config" vmlinux
done
host "$tmp/before" || die "the base's files do not compile for this machine"
set -- "$patches"/0*.patch
while read -r name; do
	shift	# the cover letter before the first
	p=$1
	nr=${name##*/}
	nr=${nr%%-*}
	boots_of "$nr" before
	apply_patch
	! grep -q "{ ${nr#0}, " "$tree/tools/testing/spapr_tce/bench/fixes.c" ||
		verdict "$nr-host" "$nr on this machine: red before, green after" \
			host_red_and_green "$nr"
	boots_of "$nr" after
	title="$nr $(head -n 1 "$top/$name")"
	if grep -q "^$nr [a-z]* -" "$top/series/fixes/tests"; then
		echo "skip    fixes: $title" \
			"($(sed -n "s/^$nr [a-z]*[- ]*//p" "$top/series/fixes/tests"))"
	else
		verdict "$nr-tests" "$title: red before, green after" \
			red_and_green "$nr"
	fi
done <"$patches/order"
