#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The fixes of series/fixes/ on the base kernel.  Patch by patch: checkpatch, what
# it touches compiles with pages of 64K and 4K, and the base's files compiled for
# this machine fail its test before it and no longer.  Then the kselftests that
# series/fixes/tests names: red on the base, in a boot of their own that an Oops
# ends, green with all the fixes, and nothing else red that was not.
#
# CONFIG=default is for the kernel with pages of 64K alone.  LONG=1 builds a kernel
# before and after each patch and boots both for its tests, STEPS="20 25" does only
# that, for these patches.  ONLY=objects boots nothing and compiles with W=1.

part=fixes targets="arch/powerpc/ drivers/vfio/"
. "$(dirname "$0")/check-series.sh"

# data: what series/fixes/tests says for this base
data() {
	sed -nE "s/^([0-9]+)\.$(base_name) /\1 /; /^[0-9]+ /p" "$top/series/fixes/tests"
}

# wanted_tests: the lines of that for the configurations that are built
wanted_tests() {
	data | awk -v configs=" $configs " '$3 != "-" && index(configs, " " $4 " ")'
}

# boots WHEN APPEND <MACHINE CONFIG DEVICES APPEND TESTS...: as many at a time as
# there are processors
boots() {
	sort >"$tmp/boots"
	for i in $(seq "$JOBS"); do
		awk -v n="$JOBS" -v i="$i" 'NR % n == i % n' "$tmp/boots" |
		while read -r name machine config devices append programs; do
			out=$logs/fixes-$1-$name rc=0
			say "$1: booting $name ($programs)"
			MACHINE=$machine DEVICES=$devices TIMEOUT=1800 "$here/boot.sh" \
				"$work/obj-$config/vmlinux" "$build/initrd.cpio" \
				"$(echo "${append#-}" | tr , ' ') ${2:-} spapr_tce.timeout=600 spapr_tce.tests=$programs" \
				>"$out.log" 2>&1 </dev/null || rc=$?
			"$here/results.pl" "$name" "$rc" "$out.log" >"$out.results"
		done &
	done
	wait
}

# whole: one boot for each machine that the data ask for, with all the programs that
# are wanted there
whole() {
	wanted_tests | awk '{
		key = $3 " " $4 " " $5 " " $6
		n = split($7, p, ",")
		for (i = 1; i <= n; i++)
			if (!seen[key, p[i]]++)
				all[key] = all[key] "," p[i]
	}
	END {
		for (key in all) {
			name = key
			gsub(" ", "-", name)
			gsub(/[+=,]/, "", name)
			print name, key, substr(all[key], 2)
		}
	}'
}

# Of a line of the data: its patch and programs, then what whole() calls the machine
# shellcheck disable=SC2016 # awk's own
name_of_boot='function name_of_boot(name) {
	name = $1 "." $7 "-" $3 "-" $4 "-" $5 "-" $6
	gsub(/[+=,]/, "", name)
	return name
}
'

# alone [NR]: a boot for each line of the data, or of patch NR, with its tests alone
alone() {
	wanted_tests | awk -v nr="${1:-}" "$name_of_boot"'nr == "" || $1 == nr {
		tests = ""
		for (i = 8; i <= NF; i++)
			if ($i != "console")
				tests = tests ":" $i
		name = name_of_boot()
		gsub(",", tests ",", $7)
		print name, $3, $4, $5, $6, $7 tests
	}'
}

# passed HOW FILE...: MACHINE TEST of all that ended like that; HOW is a pattern
passed() {
	how=$1
	shift
	cat "$@" |
		sed -nE "s/boot and clean console/console/
			s/^($how) *([^:]*): ([^(]*: )?([^(]*[^( ]).*/\\2 \\4/p" | sort -u
}

# red NR WHEN: the tests of this patch that pass, or that were not even begun: a
# machine that has not come up would be red for any reason
red() {
	wanted_tests | awk -v nr="$1" "$name_of_boot"'$1 == nr {
		name = name_of_boot()
		for (i = 8; i <= NF; i++)
			print name, $i
	}' | while read -r name test; do
		run="#  RUN  *$test "
		[ "$test" != console ] || run="# Subtest: "
		grep -q "$run" "$logs/fixes-$2-$name.log" || echo "$name $test: not begun"
		! passed 'ok|skip' "$logs/fixes-$2-$name.results" | grep -qxF "$name $test" ||
			echo "$name $test: passes without the fix"
	done
}

# green NR FILE...: those that do not pass, on whichever machine of that kind
green() {
	nr=$1
	shift
	passed ok "$@" | sed 's/^[0-9.a-z_]*-p/p/' >"$tmp/passed"
	wanted_tests | awk -v nr="$nr" '$1 == nr {
		name = $3 "-" $4 "-" $5 "-" $6
		gsub(/[+=,]/, "", name)
		for (i = 8; i <= NF; i++)
			print name, $i
	}' | grep -vxF -f "$tmp/passed" | sed 's/$/: fails with the fix/'
}
red_and_green() {
	red "$1" red
	green "$1" "$logs"/fixes-all-*.results
}
alone_red_and_green() {
	red "$1" before
	green "$1" "$logs/fixes-after-$1".*.results
}
no_worse() {
	passed ok "$logs"/fixes-base-*.results >"$tmp/passed"
	passed 'ok|skip' "$logs"/fixes-all-*.results | comm -23 "$tmp/passed" - |
		sed 's/$/: passed before/'
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

apply_and_compile() {
	apply_patch
	# shellcheck disable=SC2086 # a list of words
	! touches_kernel "$p" || builds "$targets" $configs
}

# alone_step NR: patch $p, with a kernel before it and one after
alone_step() {
	alone "$1" >"$tmp/alone"
	[ ! -s "$tmp/alone" ] || kernels "before $1"
	boots before oops=panic <"$tmp/alone"
	apply_and_compile
	[ -s "$tmp/alone" ] || return 0
	kernels "after $1"
	boots after oops=panic <"$tmp/alone"
	verdict "$1-alone" "$1 alone: red before, green after" alone_red_and_green "$1"
}

part_only=$STEPS$ONLY
[ -n "$part_only" ] || {
	rm -f "$logs"/fixes-[0-9abrw]*
	kernels "base kernel"
	alone | boots red oops=panic
	whole | boots base
	host "$tmp/before" || die "the base's files do not compile for this machine"
}
set -- "$patches"/0*.patch
while read -r name; do
	shift	# the cover letter before the first
	p=$1 nr=${name##*/}
	nr=${nr%%-*}
	case $LONG:" $STEPS " in
	*" $nr "* | 1:"  ") alone_step "$nr" ;;
	:"  ")	apply_and_compile ;;
	*)	patch -d "$work" -p1 -F0 -N -s <"$p" || die "${p##*/} does not apply" ;;
	esac
	[ -n "$part_only" ] || ! grep -q "{ ${nr#0}, " "$tree/tools/testing/spapr_tce/bench/fixes.c" ||
		verdict "$nr-host" "$nr on this machine: red before, green after" \
			host_red_and_green "$nr"
done <"$patches/order"
[ -z "$part_only" ] || exit 0
kernels "with all fixes"
whole | boots all
while read -r name; do
	nr=${name##*/}
	nr=${nr%%-*}
	title="$nr $(head -n 1 "$top/$name")" why=$(data | sed -n "s/^$nr [a-z]* -[- ]*//p")
	if [ -z "$why" ] && ! wanted_tests | grep -q "^$nr "; then
		why="tested with CONFIG=4k"
	fi
	if [ -n "$why" ]; then
		echo "skip    fixes: $title ($why)"
	else
		verdict "$nr-tests" "$title: red before, green after" red_and_green "$nr"
	fi
done <"$patches/order"
verdict worse "with all fixes nothing is red that was not" no_worse
