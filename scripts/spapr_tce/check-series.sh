#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The series as somebody gets it who applies it patch by patch: each has to pass
# checkpatch, and where it changes the kernel, to build and boot with pages of 64K,
# pass the tests that it brings (LONG=1: and all before), and compile with pages of
# 4K what patches touch.  After the last one all is built for both, the files of
# ours compile in allmodconfig, coccinelle has nothing to say of them, and it is
# known who gets the patches.  Details are in build/log/series-NAME.log.
#
# What has passed is not done again, so a run that was stopped goes on where it was.
#
# ONLY=objects compiles what the patches touch, and boots nothing.  STEPS="38 39"
# checks only these patches, on top of those before.
#
# check-fixes.sh begins with what is here.

. "$(dirname "$0")/lib.sh"

part=${part:-series}
targets=${targets:-vmlinux modules}	# what each patch must build
touched="arch/powerpc/ drivers/vfio/"	# and what for the other configurations
work=$build/$part-tree
selftests=tools/testing/selftests/vfio/spapr_tce
patches=$build/$part
make_log=$logs/$part-make.log

# Whole files have their own verdict in check-static; some are no kernel code.
# Code of an architecture may include its headers; there is no history here, and of
# some defects no commit is known. kzalloc_obj(), which 7.x asks for, is not in 6.12.
checkpatch() {
	cd "$tree" || return
	ignore=FILE_PATH_CHANGES,EMBEDDED_FILENAME,EXECUTE_PERMISSIONS
	ignore=$ignore,UNKNOWN_COMMIT_ID,MISSING_FIXES_TAG,ARCH_INCLUDE_LINUX,MACRO_ARG_REUSE,ALLOC_WITH_SIZEOF
	perl scripts/checkpatch.pl --strict -q --terse --showfile --no-summary \
		--ignore "$ignore" "$1" |
		grep -vE '^(tools/testing/spapr_tce/((custom|dup|stub|bench/base|clients)/|bench/generic-pt\.h|tests/fuzz\.c)|include/trace/|[^:]*/(harness|abi)\.h)' || :
}

# kmake CONFIG ARGUMENT...
kmake() {
	objects_of=$work/obj-$1
	shift
	make -C "$work" O="$objects_of" CC="ccache ${CROSS_COMPILE}gcc" -j "$JOBS" "$@"
}

# quiet WHAT PATTERN COMMAND...: with progress for who waits, not for a verdict;
# what then fits PATTERN in its log is said.
exec 3>&2
quiet() {
	pattern=$2 waiting=$1
	shift 2
	progress "$waiting" "$make_log" "$@" 2>&3 || { tail -n 30 "$make_log"; return 1; }
	grep -E "$pattern" "$make_log" || :
}

# boots CONFIG TESTS
boots() {
	rc=0
	MACHINE=powernv9 TIMEOUT=600 "$here/boot.sh" "$work/obj-$1/vmlinux" \
		"$build/initrd.cpio" "spapr_tce.timeout=240 spapr_tce.tests=$2" \
		>"$logs/series-console.log" 2>&1 || rc=$?
	"$here/results.pl" series "$rc" "$logs/series-console.log" | grep '^not ok' || :
}

# programs: the test programs that the tree has now
programs() { sed -n 's/^TEST_GEN_PROGS [:+]= //p' "$work/$selftests/Makefile" 2>/dev/null || :; }

# What works with any driver, also between two patches, and what this one brings
tests_of_step() {
	{ echo example_v1; programs; } | sort -u | comm -23 - "$tmp/before" >"$tmp/new"
	[ -z "$LONG" ] || programs >"$tmp/new"
	{ echo example_v1; cat "$tmp/new"; } | sort -u | paste -sd , -
}

# The objects of the series that this tree has, also those that are not built yet.
# New KVM files are no use to the old ones' headers, which go with the old files.
objects() {
	sed -n 's|^+++ b/\(.*\)\.c$|\1|p' "$patches"/0*.patch | sort -u |
		grep -E '^(arch|drivers)/' | while read -r f; do
		[ -f "$work/$f.c" ] || continue
		case $f in
		*kvm/book3s_64_vio_list) ;;
		*kvm/book3s_64_vio*) [ ! -f "$work/arch/powerpc/kvm/book3s_64_vio_list.c" ] || continue ;;
		esac
		echo "$f.o"
	done
}

# Warnings of the base's files are the base's.
compile_objects() {
	objects | xargs make -C "$work" O="$work/obj-$1" W=1 -k -j "$JOBS" \
		CC="ccache ${CROSS_COMPILE}gcc" >"$make_log" 2>&1 </dev/null ||
		tail -n 30 "$make_log"
	grep -E 'warning:' "$make_log" | grep -F "$(whole_files)" || :
}

touches_kernel() {
	sed -n 's|^+++ b/||p' "$1" | grep -qE '^(arch|drivers|include|virt)/'
}

# configure CONFIG: with what there is to be configured by now
configure() {
	[ -n "$(find "$tmp/configured-$1" -newer "$tmp/kconfig" 2>/dev/null)" ] ||
		kmake "$1" -s KCONFIG_ALLCONFIG="$work/obj-$1/fragment" allnoconfig
	touch "$tmp/configured-$1"
}

# builds TARGETS CONFIG...: patch $p, of number $nr
builds() {
	goals=$1
	shift
	for config; do
		configure "$config" >"$logs/$part-configure.log" 2>&1
		[ -z "$ONLY" ] || {
			verdict "$nr-$config" "$nr: its objects compile ($config, W=1)" compile_objects "$config"
			continue
		}
		# shellcheck disable=SC2086 # a list of words
		verdict "$nr-$config" "$nr builds ($config)" \
			quiet "${p##*/} ($config)" 'warning:|WARNING:' kmake "$config" $goals
	done
}

apply_patch() {
	verdict "$nr-checkpatch" "$nr checkpatch" checkpatch "$p"
	patch -d "$work" -p1 -F0 -N -s <"$p" || die "${p##*/} does not apply"
}

# But for who answers for them
same_as_tree() {
	overlaid | while read -r f; do
		[ "$f" = MAINTAINERS ] || cmp "$tree/$f" "$work/$f"
	done
	removed_files | while read -r f; do
		[ ! -e "$work/$f" ] || echo "$f: still there"
	done
}

# Of ours in the kernel proper: whole files, and objects with anything of ours
in_kernel() { overlaid | grep -Ev '^(tools|scripts|Documentation)/'; }
whole_files() { in_kernel | while read -r f; do [ ! -f "$top/$f" ] || echo "$f"; done; }

# For a kernel with everything that can be configured
allmodconfig() {
	mkdir -p "$work/obj-allmod"
	kmake allmod -s allmodconfig && kmake allmod -s prepare &&
	in_kernel | sed -n 's/\.c$/.o/p' | xargs make -C "$work" O="$work/obj-allmod" \
		-j "$JOBS" CC="ccache ${CROSS_COMPILE}gcc" W=1
}
of_ours() { "$@" | grep -F "$(whole_files)" || :; }

# As a checker of single files, so that the base's are left alone
coccicheck() {
	# shellcheck disable=SC2046 # a list of names without spaces
	kmake default C=2 MODE=report CHECK="$work/scripts/coccicheck" \
		$(whole_files | sed -n 's/\.c$/.o/p')
}

# Each patch must find its way to a list, and what is ours whole to our entry, which
# names nothing else.
recipients() (
	cd "$tree" || exit
	set -- "$patches"/0*.patch
	shift
	for mail in "$@"; do
		to=$(perl scripts/get_maintainer.pl --no-git --no-git-fallback \
			--no-rolestats "$mail") || exit
		echo "$to" | grep -q 'linux-kernel@' || echo "${mail##*/}: for nobody"
		echo "$to" | grep -qE 'linuxppc-dev|kvm@|kselftest' ||
			echo "${mail##*/}: no list of a subsystem"
	done
	sed -n '/^+VFIO SPAPR TCE/,/^+$/s/^+F:\t//p' "$top/MAINTAINERS.diff" >"$tmp/entry"
	while read -r pattern; do
		# shellcheck disable=SC2086 # it is a pattern
		set -- $pattern
		[ -e "$1" ] || echo "MAINTAINERS: there is no $pattern"
	done <"$tmp/entry"
	# A directory is all that is in it.
	sed 's/[.]/\\&/g; s/[*]/[^\/]*/g; s/$/$/; s/\/\$$/\//; s/^/^/' "$tmp/entry" >"$tmp/patterns"
	overlay_files | grep -v '\.diff$' | grep -v -f "$tmp/patterns" |
		sed 's/$/: not in MAINTAINERS/'
)

spelling() {
	sed -n '1,/^---$/p' "$patches"/*.patch | codespell -
	whole_files | sed "s|^|$top/|" | xargs codespell
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$logs"
"$here/setup.sh" docs series
"$here/series.sh" "--$part"
if [ -n "$ONLY" ]; then "$here/tree.sh"; else "$here/initrd.sh"; fi >&2
rm -rf "$work"
cp -al "$base" "$work"
rm -rf "$work"/obj-*
configs=${CONFIG:-default 4k}
touch "$tmp/kconfig"
for config in $configs; do
	mkdir -p "$work/obj-$config"
	fragments "$config" >"$work/obj-$config/fragment"
	configure "$config"
done
[ "$part" = series ] || return 0
# step: one kernel boots while the others are built
step() {
	apply_patch
	touches_kernel "$p" || return 0
	# shellcheck disable=SC2086 # a list of words
	set -- $configs
	builds "$targets" "$1"
	[ -n "$ONLY" ] ||
		verdict "$nr-boot" "$nr boots, and its tests pass" boots "$1" "$(tests_of_step)" &
	shift
	builds "$touched" "$@"
	wait
}

# A step that has passed is not done again while nothing changes that it depends on:
# the base, the patches up to it, its tests, and what builds and boots them.
sum() { sha256sum | cut -c 1-40; }
ingredients() {
	cat "$build/base.id"
	echo "$configs $ONLY $LONG"
	"${CROSS_COMPILE}gcc" --version
	qemu-system-ppc64 --version
	cd "$top" || exit
	repo_files | grep -E "^(scripts/spapr_tce/($builders)\.|configs/|$selftests/|tools/testing/spapr_tce/init\.c)" |
		xargs cat
}
builders="lib|check-series|initrd|boot|results"
passed=$cache/series
mkdir -p "$passed"
key=$(ingredients | sum)
# is_to_do NR: STEPS says which, whether they have passed or not
is_to_do() {
	if [ -n "$STEPS" ]; then
		echo " $STEPS " | grep -q " ${1#"${1%%[1-9]*}"} "
	else
		[ ! -s "$passed/$key" ]
	fi
}
for p in "$patches"/0*.patch; do
	nr=${p##*/}
	nr=${nr%%-*}
	[ "$nr" != 0000 ] || continue
	# But for when it was made, and its commit
	! grep -q '^+++ b/.*/Kconfig' "$p" || touch "$tmp/kconfig"
	key=$({ echo "$key"; sed '/^From [0-9a-f]* /d; /^Date: /d' "$p"; } | sum)
	programs | sort >"$tmp/before"
	if ! is_to_do "$nr"; then
		[ -n "$STEPS" ] || sed 's/$/ # before/' "$passed/$key"
		patch -d "$work" -p1 -F0 -N -s <"$p" || die "${p##*/} does not apply"
		continue
	fi
	{ (step) || echo "not ok  series: $nr (ended with $?)"; } | tee "$tmp/step"
	grep -q '^not ok' "$tmp/step" || cp "$tmp/step" "$passed/$key"
done
[ -z "$STEPS" ] || exit 0
verdict same	"all of them are what is in the tree"	same_as_tree
[ -z "$ONLY" ] || exit 0
for config in ${configs#* }; do
	verdict "last-$config"	"all of it builds ($config)" \
		quiet "everything ($config)" 'warning:|WARNING:' kmake "$config" vmlinux modules
done
verdict last	"the tests pass after the last"		boots "${configs%% *}" dma,prereg,window,kvm
verdict allmod	"our files in allmodconfig, W=1" \
	of_ours quiet allmodconfig 'warning:|error:' allmodconfig
verdict cocci	"coccinelle" of_ours quiet coccinelle '^[^ ]+:[0-9]+:[0-9-]+:' coccicheck
verdict who	"get_maintainer finds who gets them"	recipients
verdict spelling "spelling"				spelling
