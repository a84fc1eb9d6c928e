#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The series as somebody gets it who applies it patch by patch: each has to
# pass checkpatch, and where it changes the kernel, to build with pages of 64K
# and 4K and to boot.  After the last one the files of ours compile in
# allmodconfig, coccinelle has nothing to say of them, and it is known who gets
# the patches.  Details are in build/log/series-NAME.log.

. "$(dirname "$0")/lib.sh"

kind=${kind:-series}	# or fixes, whose check begins with what is here
work=$build/$kind-tree
patches=$build/$kind

# verdict NAME WHAT COMMAND...: COMMAND must have nothing to say and succeed.
verdict() {
	report=$kind-$1.log title=$2
	shift 2
	if "$@" >"$logs/$report" 2>&1 </dev/null && [ ! -s "$logs/$report" ]; then
		echo "ok      $kind: $title"
	else
		echo "not ok  $kind: $title (build/log/$report)"
		tail -n 40 "$logs/$report" >&2
	fi
}

# Whole files have their own verdict in check-static; some are no kernel code.
# Code of an architecture may include its headers.
not_code='^(tools/testing/spapr_tce/((custom|dup|stub|bench/base)/|tests/fuzz\.c)|include/trace/)'
checkpatch() {
	cd "$tree" || return
	ignore=FILE_PATH_CHANGES,EMBEDDED_FILENAME,EXECUTE_PERMISSIONS
	# There is no history here, and of some defects none that is known
	ignore=$ignore,UNKNOWN_COMMIT_ID,MISSING_FIXES_TAG
	perl scripts/checkpatch.pl --strict -q --terse --showfile --no-summary \
		--ignore "$ignore,ARCH_INCLUDE_LINUX" "$1" |
		grep -vE "$not_code" || :
}

# kmake CONFIG ARGUMENT...
kmake() {
	objects_of=$work/obj-$1
	shift
	make -C "$work" O="$objects_of" CC="ccache ${CROSS_COMPILE}gcc" \
		-j "$JOBS" "$@"
}
configure() {
	mkdir -p "$work/obj-$1"
	fragments "$1" >"$work/obj-$1/fragment"
	kmake "$1" -s KCONFIG_ALLCONFIG="$work/obj-$1/fragment" allnoconfig
}

# Progress is for who waits, not for a verdict.
exec 3>&2
watched() { progress "$@" 2>&3; }

# builds CONFIG LOG: a warning is as bad as an error.
builds() {
	if ! watched "${p##*/} ($1)" "$2" kmake "$1" vmlinux modules; then
		tail -n 30 "$2"
		return 1
	fi
	grep -E 'warning:|WARNING:' "$2" || :
}

# What works with any driver, also between two patches
always=example_v1
# boots TESTS
boots() {
	console=$logs/series-console.log
	rc=0
	MACHINE=powernv9 TIMEOUT=600 "$here/boot.sh" "$work/obj-default/vmlinux" \
		"$build/initrd.cpio" "spapr_tce.timeout=240 spapr_tce.tests=$1" \
		>"$console" 2>&1 || rc=$?
	awk -v name=series -v status="$rc" -f "$here/ktap.awk" "$console" |
		grep '^not ok' || :
}

touches_kernel() {
	sed -n 's|^+++ b/||p' "$1" | grep -qE '^(arch|drivers|include|virt)/'
}

apply_patch() {
	verdict "$nr-checkpatch" "$nr checkpatch" checkpatch "$p"
	patch -d "$work" -p1 -F0 -N -s <"$p" ||
		die "${p##*/} does not apply"
	touches_kernel "$p" || return 0
	for config in default 4k; do
		verdict "$nr-$config" "$nr builds ($config)" \
			builds "$config" "$logs/$kind-make.log"
	done
}

check_patch() {
	apply_patch
	! touches_kernel "$p" ||
		verdict "$nr-boot" "$nr boots, and devices do DMA" boots "$always"
}

same_as_tree() {
	while read -r f; do
		cmp "$tree/$f" "$work/$f"
	done <"$build/overlay"
}

# Of ours in the kernel proper: whole files, and objects with anything of ours
whole_files() {
	grep -Ev '^(tools|scripts|Documentation)/' "$build/overlay" |
	while read -r f; do
		[ ! -f "$top/$f" ] || echo "$f"
	done
}
objects() {
	sed -n 's/\.c$/.o/p' "$build/overlay" | grep -Ev '^(tools|scripts)/'
}

# Objects of ours for a kernel with everything that can be configured.
allmodconfig() {
	obj=$work/obj-allmod
	mkdir -p "$obj"
	make -C "$work" O="$obj" -s allmodconfig
	make -C "$work" O="$obj" -s -j "$JOBS" CC="ccache ${CROSS_COMPILE}gcc" prepare
	objects | xargs make -C "$work" O="$obj" \
		-j "$JOBS" CC="ccache ${CROSS_COMPILE}gcc" W=1
}
allmodconfig_quiet() {
	out=$logs/series-allmodconfig-make.log
	if ! watched "allmodconfig" "$out" allmodconfig; then
		tail -n 30 "$out"
		return 1
	fi
	grep -E 'warning:|error:' "$out" | grep -F "$(whole_files)" || :
}

# As a checker of single files, so that the base's are left alone
coccicheck() {
	out=$logs/series-coccinelle.log
	whole=$(whole_files | sed -n 's/\.c$/.o/p')
	# shellcheck disable=SC2086 # a list of names without spaces
	if ! watched coccinelle "$out" kmake default C=2 MODE=report \
		CHECK="$work/scripts/coccicheck" $whole; then
		tail -n 30 "$out"
		return 1
	fi
	grep -E '^[^ ]+:[0-9]+:[0-9-]+:' "$out" | grep -F "$(whole_files)" || :
}

# Each patch must find its way to a list, and what is ours to our entry.
recipients() (
	cd "$tree" || exit
	for p in "$patches"/00[0-9][1-9]*.patch "$patches"/00[1-9]0*.patch; do
		to=$(perl scripts/get_maintainer.pl --no-git --no-git-fallback \
			--no-rolestats "$p") || exit
		echo "$to" | grep -q 'linux-kernel@' || echo "${p##*/}: for nobody"
		echo "$to" | grep -qE 'linuxppc-dev|kvm@|kselftest' ||
			echo "${p##*/}: no list of a subsystem"
	done
	in_entry
)

# All files that are ours whole are in our entry, and it names nothing else.
in_entry() (
	entry=$(sed -n '/^+VFIO SPAPR TCE/,/^+$/s/^+F:\t//p' "$top/MAINTAINERS.diff")
	for pattern in $entry; do
		[ -e "$pattern" ] || echo "MAINTAINERS: there is no $pattern"
	done
	set -f
	overlay_files | grep -v '\.diff$' | while read -r f; do
		for pattern in $entry; do
			# shellcheck disable=SC2254 # it is a pattern
			case $f in
			$pattern | ${pattern%/}/*) continue 2 ;;
			esac
		done
		echo "$f: not in MAINTAINERS"
	done
)

spelling() {
	sed -n '1,/^---$/p' "$patches"/*.patch | codespell -
	whole_files | sed "s|^|$top/|" | xargs codespell
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$logs"
"$here/setup.sh" docs series
"$here/series.sh" "--$kind"
"$here/initrd.sh" >&2
"$here/disk.sh" >&2

rm -rf "$work"
cp -al "$base" "$work"
rm -rf "$work"/obj-*
for config in default 4k; do
	configure "$config"
done
[ "$kind" = series ] || return 0
for p in "$patches"/0*.patch; do
	nr=${p##*/}
	nr=${nr%%-*}
	[ "$nr" = 0000 ] || check_patch
done
verdict same	"all of them are what is in the tree"	same_as_tree
verdict last	"the tests pass after the last"		boots dma,prereg,window,kvm
verdict allmod	"our files in allmodconfig, W=1"	allmodconfig_quiet
verdict cocci	"coccinelle"				coccicheck
verdict who	"get_maintainer finds who gets them"	recipients
verdict spelling "spelling"				spelling
