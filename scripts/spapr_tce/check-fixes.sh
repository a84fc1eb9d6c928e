#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The fixes of series/fixes/, patch by patch on the base kernel: each passes
# checkpatch and builds with pages of 64K and 4K; the kselftests that
# series/fixes/tests names fail before it and pass with it, and no other test of
# their programs fails that passed before.

part=fixes
. "$(dirname "$0")/check-series.sh"

# passed RESULTS HOW: their tests that ended like that; HOW is a pattern
passed() {
	sed -nE "s/boot and clean console/console/; s/^($2) *fixes: ([^(]*: )?([^(]*[^( ]).*/\\3/p" "$1" |
		sort -u
}

# boots_of NR WHEN: each line of the data for this patch is a boot.
boots_of() {
	row=0
	awk -v nr="$1" '$1 == nr && $3 != "-"' "$top/series/fixes/tests" |
	while read -r _ _ machine config devices append programs tests; do
		row=$((row + 1)) rc=0
		out=$logs/fixes-$1-$row-$2
		say "$1: booting $machine ($2)"
		MACHINE=$machine DEVICES=$devices TIMEOUT=1800 "$here/boot.sh" \
			"$work/obj-$config/vmlinux" "$build/initrd.cpio" \
			"${append#-} spapr_tce.timeout=240 spapr_tce.tests=$programs" \
			>"$out.log" 2>&1 </dev/null || rc=$?
		"$here/results.pl" fixes "$rc" "$out.log" >"$out"
		echo "$tests" | tr ' ' '\n' | sort -u >"$logs/fixes-$1-$row.tests"
	done
}

red_and_green() {
	for t in "$logs/fixes-$1"-*.tests; do
		o=${t%.tests}
		passed "$o-before" 'ok|skip' | comm -12 - "$t" | sed 's/$/: passes without the fix/'
		passed "$o-after" ok | comm -13 - "$t" | sed 's/$/: fails with the fix/'
		passed "$o-before" ok >"$tmp/passed"
		passed "$o-after" 'ok|skip' | comm -23 "$tmp/passed" - | sed 's/$/: passed before/'
	done
}

# host OUT: the base's files as they are now, compiled for this machine
host() {
	make -s -C "$tree/tools/testing/spapr_tce" VARIANT=bench-base \
		OUT="$tmp/host" BASE_TREE="$work" >"$1.log" 2>&1 &&
		"$tmp/host/bench-base-16/fixes" 2>>"$1.log" | sed -n 's/^ok //p' | sort >"$1"
}
# Of the tests there, this patch's alone passes that did not.
host_red_and_green() {
	host "$tmp/after" || cat "$tmp/after.log"
	comm -23 "$tmp/before" "$tmp/after" | sed 's/$/: passed before/'
	[ "$(comm -13 "$tmp/before" "$tmp/after")" = "$1" ] ||
		comm -13 "$tmp/before" "$tmp/after" | sed "s/^/passes with the fix, and should be $1: /"
	grep -qxF "$1" "$tmp/after" || echo "$1 fails with the fix"
	! grep -qxF "$1" "$tmp/before" || echo "$1 passes without the fix"
	mv "$tmp/after" "$tmp/before"
}

rm -f "$logs"/fixes-[0-9]*
for config in default 4k; do
	long "fixes: base kernel ($config)" "$make_log" kmake "$config" vmlinux
done
host "$tmp/before" || die "the base's files do not compile for this machine"
set -- "$patches"/0*.patch
while read -r name; do
	shift	# the cover letter before the first
	p=$1 nr=${name##*/}
	nr=${nr%%-*}
	boots_of "$nr" before
	apply_patch
	! grep -q "{ ${nr#0}, " "$tree/tools/testing/spapr_tce/bench/fixes.c" ||
		verdict "$nr-host" "$nr on this machine: red before, green after" \
			host_red_and_green "$nr"
	boots_of "$nr" after
	title="$nr $(head -n 1 "$top/$name")" why=$(sed -n "s/^$nr [a-z]* -[- ]*//p" "$top/series/fixes/tests")
	if [ -n "$why" ]; then
		echo "skip    fixes: $title ($why)"
	else
		verdict "$nr-tests" "$title: red before, green after" red_and_green "$nr"
	fi
done <"$patches/order"
