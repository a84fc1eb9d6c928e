#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The fixes of series/fixes/ on the base kernel.  Patch by patch: checkpatch, what
# it touches compiles with pages of 64K and 4K, and the base's files compiled for
# this machine fail its test before it and no longer.  Then the kselftests that
# series/fixes/tests names: red on the base, green with all the fixes, and nothing
# else red that was not.  LONG=1 boots before and after every single patch as well.
# CONFIG=default is for the kernel with pages of 64K alone.

part=fixes targets="arch/powerpc/ drivers/vfio/"
. "$(dirname "$0")/check-series.sh"

data=$top/series/fixes/tests

# wanted_tests: the lines of the data for the configurations that are built
wanted_tests() {
	awk -v configs=" $configs " '/^[0-9]/ && $3 != "-" && index(configs, " " $4 " ")' "$data"
}

# boots_of WHEN [NR]: one boot for each machine that the data ask for, or that they
# ask for because of patch NR, with all the programs that are wanted there
boots_of() {
	wanted_tests | awk -v nr="${2:-}" 'nr == "" || $1 == nr {
		key = $3 " " $4 " " $5 " " $6
		all[key] = all[key] "," $7
	}
	END { for (key in all) print key, substr(all[key], 2) }' | sort |
	while read -r machine config devices append programs; do
		out=$logs/fixes-$1-$(echo "$machine-$config-$devices-$append" | tr -d +=)
		programs=$(echo "$programs" | tr , '\n' | sort -u | paste -sd , -)
		rc=0
		say "$1: booting $machine ($config, $devices, $append)"
		MACHINE=$machine DEVICES=$devices TIMEOUT=1800 "$here/boot.sh" \
			"$work/obj-$config/vmlinux" "$build/initrd.cpio" \
			"${append#-} spapr_tce.timeout=240 spapr_tce.tests=$programs" \
			>"$out.log" 2>&1 </dev/null || rc=$?
		"$here/results.pl" "$(echo "$machine-$config-$devices-$append" | tr -d +=)" \
			"$rc" "$out.log" >"$out.results"
	done
}

# passed WHEN HOW: MACHINE TEST of all that ended like that; HOW is a pattern
passed() {
	cat "$logs/fixes-$1-"*.results |
		sed -nE "s/boot and clean console/console/
			s/^($2) *([^:]*): ([^(]*: )?([^(]*[^( ]).*/\\2 \\4/p" | sort -u
}

# red_and_green NR FROM TO: the tests of this patch
red_and_green() {
	wanted_tests | awk -v nr="$1" '$1 == nr {
		key = $3 "-" $4 "-" $5 "-" $6
		gsub(/[+=]/, "", key)
		for (i = 8; i <= NF; i++) print key, $i
	}' | sort -u >"$tmp/tests"
	# A machine that has not come up would be red for any reason.
	cut -d' ' -f1 "$tmp/tests" | sort -u | while read -r m; do
		passed "$2" ok | grep -q "^$m " || echo "$m: nothing passes without the fix"
	done
	passed "$2" 'ok|skip' | comm -12 - "$tmp/tests" | sed 's/$/: passes without the fix/'
	passed "$3" ok | comm -13 - "$tmp/tests" | sed 's/$/: fails with the fix/'
}
no_worse() {
	passed "$1" ok >"$tmp/passed"
	passed "$2" 'ok|skip' | comm -23 "$tmp/passed" - | sed 's/$/: passed before/'
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

kernels() {
	for config in $configs; do
		long "fixes: $1 ($config)" "$make_log" kmake "$config" vmlinux
	done
}

rm -f "$logs"/fixes-[0-9abw]*
kernels "base kernel"
boots_of base
host "$tmp/before" || die "the base's files do not compile for this machine"
set -- "$patches"/0*.patch
while read -r name; do
	shift	# the cover letter before the first
	p=$1 nr=${name##*/}
	nr=${nr%%-*}
	[ -z "$LONG" ] || boots_of "before$nr" "$nr"
	apply_patch
	! grep -q "{ ${nr#0}, " "$tree/tools/testing/spapr_tce/bench/fixes.c" ||
		verdict "$nr-host" "$nr on this machine: red before, green after" \
			host_red_and_green "$nr"
	[ -z "$LONG" ] || {
		boots_of "after$nr" "$nr"
		verdict "$nr-alone" "$nr alone: nothing else is red" no_worse "before$nr" "after$nr"
	}
done <"$patches/order"
kernels "with all fixes"
boots_of all
while read -r name; do
	nr=${name##*/}
	nr=${nr%%-*}
	title="$nr $(head -n 1 "$top/$name")" why=$(sed -n "s/^$nr [a-z]* -[- ]*//p" "$data")
	if [ -z "$why" ] && ! wanted_tests | grep -q "^$nr "; then
		why="tested with CONFIG=4k"
	fi
	if [ -n "$why" ]; then
		echo "skip    fixes: $title ($why)"
	else
		verdict "$nr-tests" "$title: red before, green after" red_and_green "$nr" base all
	fi
done <"$patches/order"
verdict worse "with all fixes nothing is red that was not" no_worse base all
