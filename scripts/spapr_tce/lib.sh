# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034
#
# Sourced by the scripts of this directory: where things are, and how to say
# what is being done.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
# The tests of these scripts point them at a repository and a build of their own.
top=${SPAPR_TCE_TOP:-${here%/scripts/spapr_tce}}
build=${SPAPR_TCE_BUILD:-$top/build}
case $build in /*) ;; *) build=$PWD/$build ;; esac
base=$build/base		# the base kernel as it came
tree=$build/tree		# the base with our files and hooks over it
logs=$build/log
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/spapr-tce
# Where there is no home, or it cannot be written to
mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] || cache=$build/cache

: "${CONFIG:=}" "${RFC:=}" "${ONLY:=}" "${STEPS:=}" "${MACHINE:=}" "${V:=}" "${BASE:=}" "${KSRC:=}" "${TESTS:=}" "${TIME:=}" "${LONG:=}"
: "${JOBS:=$(nproc)}" "${part:=}"

export ARCH=powerpc CROSS_COMPILE=powerpc64le-linux-gnu-
# The compiler says what it has included, so ccache need not run the preprocessor, too:
# a first build takes a quarter less time.
export CCACHE_DIR="$cache/ccache" CCACHE_DEPEND=1 LC_ALL=C
# A kernel make must see neither the variables of our own nor its job server.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL GNUMAKEFLAGS KBUILD_OUTPUT O

as_root=
[ "$(id -u)" = 0 ] || as_root=sudo

say() { printf '== %s\n' "$*" >&2; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# Ctrl-C runs the EXIT traps, too, which a shell that is killed does not.
trap 'exit 130' INT
trap 'exit 143' TERM HUP

case $top$build in
*[[:space:]]* | *:* | *%* | *\$*)
	die "neither make nor the kernel can do with white space, ':', '$' or '%' in a path: $top, $build" ;;
esac
if ! { mkdir -p "$build" 2>/dev/null && [ -w "$build" ]; }; then
	die "$build cannot be written to: SPAPR_TCE_BUILD=DIR takes another directory"
fi
case $JOBS in
*[!0-9]* | 0*) die "JOBS=$JOBS: not a number of jobs" ;;
esac
# They are asked whether they are empty, so 0 would be a yes.
for option in BASE LONG SMALL V; do
	eval "[ \"\${$option:-}\" != 0 ] || $option="
done
case $MACHINE in
''|powernv8|powernv9|powernv10|pseries) ;;
*) die "MACHINE=$MACHINE: not powernv8, powernv9, powernv10 or pseries" ;;
esac

# verdict NAME WHAT COMMAND...: the line of one check, of the part that $part
# names.  COMMAND must succeed and have nothing to say.  CHECKS=a,b makes only those.
verdict() {
	case ,${CHECKS:-$1}, in *",$1,"*) ;; *) return 0 ;; esac
	title=$part:\ $2 report=$part-$1.log
	shift 2
	if "$@" >"$logs/$report" 2>&1 </dev/null && [ ! -s "$logs/$report" ]; then
		echo "ok      $title"
	else
		echo "not ok  $title (build/log/$report)"
		head -n 40 "$logs/$report" >&2
	fi
}

# kernel_name CONFIG: what tells its kernel from the others.
kernel_name() {
	name=${BASE:+-base}-$1
	echo "${name%-default}"
}

# initrd_name: the initramfs holds all test programs, or those of TESTS.
initrd_name() { echo "initrd${TESTS:+-$TESTS}"; }

# repo_files: the files of the repository, committed or about to be.  Under sudo
# the checkout is somebody else's, which git refuses.
repo_files() {
	git -C "$top" -c safe.directory='*' ls-files -co --exclude-standard |
	while read -r f; do
		[ ! -f "$top/$f" ] || printf '%s\n' "$f"
	done | sort -u
}

# The kernels that there are hooks for.  PATH.diff is for all of them, and
# PATH.6.12.diff or PATH.7.diff what only one of them needs, applied after it.
bases='6\.12|7'

# version_of DIR: the version of the kernel there
version_of() {
	sed -n 's/^\(VERSION\|PATCHLEVEL\|SUBLEVEL\) = //p' "$1/Makefile" |
		head -n 3 | paste -sd .
}

# base_name: which of them build/base is; nothing if it is none.
base_name() { version_of "$base" | sed -nE "s/^($bases)\..*/\1/p"; }

# overlay_files_any: our files that go into some kernel tree ...
overlay_files_any() {
	repo_files | grep -Ev '^(\.|configs/|scripts/spapr_tce/|series/)' |
		grep -E '/|\.diff$' || :
}
# ... and into this one.
overlay_files() {
	overlay_files_any |
		sed -E "/\.$(base_name)\.diff$/b; /\.($bases)\.diff$/d"
}
# to_paths: what such files change, each path once.
to_paths() { sed -E "s/(\.($bases))?\.diff$//" | sort -u; }

# removed_files: files of the base that are taken out ("- PATH" in series/)
removed_files() {
	find "$top"/series/[0-9]* -prune -type f -exec sed -ns '1,/^---$/d; s/^- //p' {} + 2>/dev/null || :
}

# overlaid: what is ours or hooked in build/tree
overlaid() {
	while read -r f; do
		[ ! -f "$tree/$f" ] || echo "$f"
	done <"$build/overlay"
}

# fragments CONFIG: its kernel configuration.  A later line wins over an earlier
# one; as with hooks, NAME.config is for every base, NAME.7.config for one.
# NAME.ours.config is what BASE=1 cannot have.  "#with NAME" takes NAME.config as well,
# before this one.
fragments() {
	{
		echo default
		sed -n 's/^#with //p' "$top/configs/$1.config"
		echo "$1"
	} | uniq | while read -r c; do
		for f in "$c" "$c.$(base_name)" $([ -n "$BASE" ] || echo "$c.ours"); do
			[ ! -f "$top/configs/$f.config" ] || cat "$top/configs/$f.config"
		done
	done
}

# put SRC DST: make DST the same as SRC; touch nothing if it is.  The old file
# is replaced, not written to: it may be a hard link into the pristine base, or
# be booting.
put() {
	if ! cmp -s "$1" "$2" || { [ -x "$1" ] && [ ! -x "$2" ]; }; then
		mkdir -p "${2%/*}"
		cp "$1" "$2.new"
		mv -f "$2.new" "$2"
	fi
}

# apply_hook HOOK PATH FILE: apply HOOK, a diff of PATH, to FILE.
apply_hook() {
	hook_name=${1#"$top/"}
	[ "$(sed -n 's/^+++ \([^[:space:]]*\).*/\1/p' "$1")" = "b/$2" ] ||
		die "$hook_name: must be a diff of b/$2 and of nothing else"
	# One line of context either side; none of it may differ.
	patch -F0 -N -r "$3.rej" "$3" "$1" >"$3.log" 2>&1 || {
		echo "$hook_name does not apply to this base kernel, $(version_of "$base"):" >&2
		cat "$3.log" "$3.rej" >&2
		die "$hook_name: hunk does not apply"
	}
	rm -f "$3.orig" "$3.log"
}

# lock NAME: hold build/lock/NAME until this shell ends, so that two runs in
# one checkout wait for each other.
lock() {
	mkdir -p "$build/lock"
	exec 9>"$build/lock/$1"
	flock -n 9 || { say "waiting for another run ($1)"; flock 9; }
}

# progress WHAT LOG COMMAND...: run COMMAND with its output in LOG, and say
# every 15 seconds how far it is, of as many steps as it had when it was done
# from nothing.  With V=1 the output is shown as well.
progress() {
	what=$1 log=$2 began=$(date +%s) known=$cache/steps/$1 rc=0
	shift 2
	mkdir -p "${log%/*}" "${known%/*}"
	# Few steps are what was left to do then, and no measure.
	total=$(grep -xE '[0-9]{3,}' "$known" 2>/dev/null) || total=
	steps='^(  [A-Z]|Get:|Setting up|I: )'
	: >"$log"
	if [ "$V" = 1 ]; then
		tail -n +1 -f --pid=$$ "$log" 9>&- & ticker=$!
	else
		# Neither outlive this shell, were it killed, nor hold its lock.
		while sleep 15 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
			say "$what: $(grep -cE "$steps" "$log")${total:+ of at most $total} steps," \
				"$(($(date +%s) - began)) s"
		done 9>&- & ticker=$!
	fi
	"$@" >>"$log" 2>&1 </dev/null || rc=$?
	[ "$V" != 1 ] || sleep 1
	# A shell that has just been forked may lose a TERM for which its parent has a trap.
	kill -KILL $ticker 2>/dev/null || :
	wait $ticker 2>/dev/null || :
	[ $rc = 0 ] || return $rc
	say "$what: done, $(($(date +%s) - began)) s"
	done_now=$(grep -cE "$steps" "$log") || :
	[ "$done_now" -le "${total:-0}" ] || echo "$done_now" >"$known"
}

# long: progress, or die with what went wrong.
long() {
	if ! progress "$@"; then
		grep -nE 'error|Error|undefined|\*\*\*|^E:' "$2" | head -n 30 >&2 || :
		die "$1 failed; all of it is in $2"
	fi
}

# initramfs NAME INIT DIR...: NAME.cpio, with INIT as /init, empty directories of
# these names, and what standard input lists for usr/gen_init_cpio
initramfs() {
	archive=$1
	gcc -O2 -o "$archive.gen" "$tree/usr/gen_init_cpio.c"
	{
		echo "file /init $2 0755 0 0"
		shift 2
		printf 'dir /%s 0755 0 0\n' dev proc sys tmp tests "$@"
		echo "nod /dev/console 0600 0 0 c 5 1"
		cat
	} >"$archive.spec"
	"$archive.gen" "$archive.spec" >"$archive.new"
	mv "$archive.new" "$archive.cpio"
}

qemu_version() { "$1" --version | sed -n 's/.* version \([0-9]*\).*/\1/p'; }

# emulated NAME COMMAND...: have COMMAND boot a machine, with its console in
# log/NAME.log; it is given QEMU's accelerator and sets $rc.  QEMU 7.2 crashes where
# one thread looks for registers of a device while another moves them.  From 9 on it
# waits for a lock between looking up a translation and using it: if that was replaced
# meanwhile, a good access to a register ends in a machine check.  In both cases it
# boots once more, with one thread for all processors.
emulated() {
	crashed=$1
	shift
	"$@" tcg
	if [ "$rc" != 139 ]; then
		[ "$(qemu_version "${QEMU:-qemu-system-ppc64}")" -ge 9 ] || return 0
		grep -q 'machine check (Severe)  Unknown' "$logs/$crashed.log" || return 0
	fi
	say "$crashed: the emulator failed; once more with one thread"
	mv "$logs/$crashed.log" "$logs/$crashed.log.crashed"
	"$@" tcg,thread=single
}

# plugin EMULATOR: build/count.so, which counts instructions in it
plugin() {
	version=1
	[ "$(qemu_version "$1")" -lt 9 ] || version=3
	gcc -O2 -Wall -Wextra -Werror -shared -fPIC -DPLUGIN_VERSION=$version \
		-o "$build/count.so" "$here/count.c"
}

# wanted FRAGMENT CONFIG: the options of which CONFIG has another value than the
# last one in FRAGMENT, as "NAME is x, not y".
wanted() {
	awk '
	match($0, /^# CONFIG_[A-Z0-9_]+ is not set/) { $0 = $2 "=n" }
	!/^CONFIG_/ { next }
	{ eq = index($0, "="); key = substr($0, 8, eq - 8); val = substr($0, eq + 1) }
	NR == FNR { want[key] = val; next }
	{ got[key] = val }
	END {
		for (k in want)
			if ((k in got ? got[k] : "n") != want[k])
				print k " is " (k in got ? got[k] : "n") ", not " want[k]
	}' "$1" "$2" | sort
}
