#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tests of these scripts themselves, on a repository and a base kernel of a few
# lines.  One line per test; what went wrong is in build/log/host.log.

. "$(dirname "$0")/lib.sh"

w=$(mktemp -d)
trap 'rm -rf "$w"' EXIT
mkdir -p "$logs"
: >"$logs/host.log"

# A test is a function that fails; -e is of no use inside one, so && it is.
t() {
	what=$1
	shift
	if (set -x; "$@") >"$w/log" 2>&1; then
		echo "ok      host: $what"
	else
		echo "not ok  host: $what (build/log/host.log)"
		{ echo "--- $what"; cat "$w/log"; } >>"$logs/host.log"
		tail -n 5 "$w/log" >&2
	fi
}

#
# Tree assembly
#

new_base() {
	mkdir -p "$1/mm" "$1/drivers"
	printf 'VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = %s\n' "$2" >"$1/Makefile"
	printf 'one\ntwo\nthree\nfour\nfive\n' >"$1/mm/hooked.c"
	echo "base" >"$1/drivers/whole.c"
	echo "base" >"$1/mm/other.c"
}

# A fresh repository with one file of ours, one new one and one hook.
new_repo() {
	rm -rf "$w/repo" "$w/base"
	mkdir -p "$w/repo/mm" "$w/repo/drivers" "$w/repo/series"
	git init -q "$w/repo"
	new_base "$w/base" 1
	echo /build/ >"$w/repo/.gitignore"
	echo "top" >"$w/repo/Makefile"
	echo "note" >"$w/repo/series/x"
	echo "ours" >"$w/repo/drivers/whole.c"
	echo "new" >"$w/repo/mm/new.c"
	cat >"$w/repo/mm/hooked.c.diff" <<-EOF2
	--- a/mm/hooked.c
	+++ b/mm/hooked.c
	@@ -2,3 +2,3 @@
	 two
	-three
	+3
	 four
	EOF2
}

# hook BASE WHAT: one more hook, of line five, that only BASE needs
hook() {
	printf -- '--- a/mm/hooked.c\n+++ b/mm/hooked.c\n@@ -4,2 +4,2 @@\n four\n-five\n+%s\n' \
		"$2" >"$w/repo/mm/hooked.c.$1.diff"
}

assemble_from() {
	SPAPR_TCE_TOP=$w/repo SPAPR_TCE_BUILD=$w/repo/build "$@" "$here/tree.sh"
}
assemble() { KSRC=$w/base assemble_from; }

T=$w/repo/build/tree

tree_is_laid() {
	new_repo && assemble &&
	[ "$(cat "$T/drivers/whole.c")" = ours ] &&
	[ "$(cat "$T/mm/new.c")" = new ] &&
	[ "$(paste -sd ' ' "$T/mm/hooked.c")" = "one two 3 four five" ] &&
	[ "$(cat "$T/mm/other.c")" = base ] &&
	grep -q PATCHLEVEL "$T/Makefile" && [ ! -e "$T/series" ]
}

base_stays_pristine() {
	new_repo && assemble && diff -r "$w/base" "$w/repo/build/base"
}

# Nothing under build/tree may be newer than a mark set between two runs.
second_run_writes_nothing() {
	new_repo && assemble && touch "$w/mark" && sleep 0.1 &&
	assemble && [ -z "$(find "$T" -newer "$w/mark")" ]
}

one_change_writes_one_file() {
	new_repo && assemble && touch "$w/mark" && sleep 0.1 &&
	echo "ours, better" >"$w/repo/drivers/whole.c" && assemble &&
	[ "$(find "$T" -newer "$w/mark" -type f)" = "$T/drivers/whole.c" ]
}

removed_files_come_back() {
	new_repo && assemble && touch "$w/mark" && sleep 0.1 &&
	rm "$w/repo/drivers/whole.c" "$w/repo/mm/new.c" \
		"$w/repo/mm/hooked.c.diff" && assemble &&
	diff -r "$w/base" "$T" &&
	# ... and look new, or make would keep what it compiled from ours.
	[ "$T/drivers/whole.c" = "$(find "$T/drivers/whole.c" -newer "$w/mark")" ]
}

stale_hook_is_named() {
	new_repo &&
	printf 'one\ntwo\nTHREE\nfour\nfive\n' >"$w/base/mm/hooked.c" &&
	! assemble >"$w/out" 2>&1 && cat "$w/out" &&
	grep -q 'mm/hooked.c.diff' "$w/out" && grep -q 'Hunk #1' "$w/out" &&
	grep -q '^@@ -2,3' "$w/out"
}

# One line of context is all there is, so none of it may be waived.
no_fuzz() {
	new_repo && printf 'one\nTWO\nthree\nfour\nfive\n' >"$w/base/mm/hooked.c" &&
	! assemble
}

hook_may_move() {
	new_repo &&
	printf 'zero\none\ntwo\nthree\nfour\n' >"$w/base/mm/hooked.c" && assemble &&
	[ "$(paste -sd ' ' "$T/mm/hooked.c")" = "zero one two 3 four" ]
}

hook_of_nothing() {
	new_repo && rm "$w/base/mm/hooked.c" && ! assemble >"$w/out" 2>&1 &&
	grep -q 'mm/hooked.c.diff' "$w/out"
}

whole_and_hook() {
	new_repo && echo >"$w/repo/mm/hooked.c" && ! assemble >"$w/out" 2>&1 &&
	grep -q 'mm/hooked.c' "$w/out"
}

each_base_has_its_hooks() {
	new_repo && hook 6.12 LTS && hook 7 new && assemble &&
	[ "$(paste -sd ' ' "$T/mm/hooked.c")" = "one two 3 four LTS" ] &&
	sed -i 's/= 6/= 7/; s/= 12/= 3/' "$w/base/Makefile" && assemble &&
	[ "$(paste -sd ' ' "$T/mm/hooked.c")" = "one two 3 four new" ] &&
	rm "$w/repo/mm/hooked.c.diff" && assemble &&
	[ "$(paste -sd ' ' "$T/mm/hooked.c")" = "one two three four new" ] &&
	rm "$w/repo/mm/hooked.c.7.diff" && assemble &&
	cmp "$T/mm/hooked.c" "$w/base/mm/hooked.c"
}

whole_and_one_hook() {
	new_repo && rm "$w/repo/mm/hooked.c.diff" && hook 6.12 LTS &&
	echo >"$w/repo/mm/hooked.c" && ! assemble >"$w/out" 2>&1 &&
	grep -q 'mm/hooked.c: both' "$w/out"
}

changed_base_is_noticed() {
	new_repo && assemble && echo "newer base" >"$w/base/mm/other.c" &&
	assemble && grep -q newer "$T/mm/other.c" &&
	[ "$(cat "$T/drivers/whole.c")" = ours ]
}

tarball_base() {
	new_repo && tar -C "$w" -cJf "$w/a.tar.xz" base &&
	new_base "$w/base" 2 && tar -C "$w" -cJf "$w/b.tar.xz" base &&
	rm -rf "$w/repo/build" &&
	for k in a b; do
		KSRC=$w/$k.tar.xz assemble_from || return
	done &&
	grep -q 'SUBLEVEL = 2' "$T/Makefile"
}

other_version_is_refused() {
	new_repo && sed -i 's/= 12/= 13/' "$w/base/Makefile" &&
	! assemble >"$w/out" 2>&1 &&
	grep -q '6.13.1; there are hooks for 6.12 and 7$' "$w/out"
}

# What is refused, is refused before anything is touched.
refused_source() {
	new_repo && assemble && find "$w/repo/build" | sort >"$w/before" &&
	! KSRC=$1 assemble_from >"$w/out" 2>&1 &&
	cat "$w/out" && [ "$(grep -vc '^+' "$w/out")" = 1 ] && grep -q "$2" "$w/out" &&
	find "$w/repo/build" | sort | diff "$w/before" - && assemble &&
	[ "$(cat "$T/drivers/whole.c")" = ours ]
}
other_directory_is_refused() {
	mkdir -p "$w/private" && echo secret >"$w/private/key" &&
	refused_source "$w/private" 'not a kernel source'
}
no_tarball_is_refused() {
	echo text >"$w/text.tar.xz" && refused_source "$w/text.tar.xz" 'not a tarball'
}
# Interrupted while the base is laid: the next run starts anew.
interrupted_unpack() {
	# shellcheck disable=SC2016 # perl's variables
	new_repo && tar -C "$w" -cJf "$w/a.tar.xz" base && cp -a "$w/base" "$w/other" &&
	echo later >"$w/other/mm/other.c" && KSRC=$w/a.tar.xz assemble_from &&
	mkdir -p "$w/bin" &&
	printf '#!/bin/sh\n%s "$@"\nkill -INT 0\n' "$(command -v rsync)" >"$w/bin/rsync" &&
	chmod +x "$w/bin/rsync" &&
	! KSRC=$w/other PATH=$w/bin:$PATH assemble_from \
		perl -e '$SIG{INT} = "DEFAULT"; exec @ARGV' setsid -w &&
	KSRC=$w/a.tar.xz assemble_from &&
	[ "$(cat "$T/mm/other.c" "$w/repo/build/base/mm/other.c" | uniq)" = base ]
}

t "tree: a directory that is no kernel is refused"	other_directory_is_refused
t "tree: a file that is no tarball is refused"	no_tarball_is_refused
t "tree: an interrupted run"			interrupted_unpack
t "tree: ours, new and hooked files are laid"	tree_is_laid
t "tree: the base stays as it came"		base_stays_pristine
t "tree: a second run writes nothing"		second_run_writes_nothing
t "tree: a change writes one file"		one_change_writes_one_file
t "tree: what is removed comes back"		removed_files_come_back
t "tree: a stale hook is named, with its hunk"	stale_hook_is_named
t "tree: no fuzz"				no_fuzz
t "tree: a hook may move"			hook_may_move
t "tree: a hook of nothing is refused"		hook_of_nothing
t "tree: whole and hook at once is refused"	whole_and_hook
t "tree: hooks that one base needs"		each_base_has_its_hooks
t "tree: whole and one base's hook is refused"	whole_and_one_hook
t "tree: a changed base is noticed"		changed_base_is_noticed
t "tree: another tarball is noticed"		tarball_base
t "tree: another version is refused"		other_version_is_refused

#
# Hooks that no host test can run: what they must keep in order
#

# SRCU of all guests of a core before the first thread starts, and until the last
# is out: see tools/testing/spapr_tce/spin/core.pml.
core_is_in_order() {
	"$here/tree.sh" && core_order "$tree"
}
core_order() {
	awk '
	/^static noinline void kvmppc_run_core\(/ { inside = 1 }
	!inside			{ next }
	/^}/			{ exit }
	/^\t\tsrcu_idx\[sub\] = srcu_read_lock\(&core_info\.vc\[sub\]/ { lock = NR }
	/^\t+kvmppc_start_thread\(/ && !start { start = NR }
	/^\tkvmppc_wait_for_nap\(/ { out = NR }
	/^\t\tsrcu_read_unlock\(&core_info\.vc\[sub\]/ { unlock = NR }
	END { exit !(lock && lock < start && start < out && out < unlock) }
	' "$1/arch/powerpc/kvm/book3s_hv.c"
}
# ... and it is noticed when they are not
base_core_is_not() { ! core_order "$base"; }

t "hooks: SRCU is held for all threads of a core" core_is_in_order
t "hooks: ... which the base does not do"	base_core_is_not

#
# The series
#

# patch NAME PATH...: one that carries these
patch_of() {
	p=$w/repo/series/$1
	shift
	{ printf 'subject %s\n\nwhy\n---\n' "${p##*/}"; printf '%s\n' "$@"; } >"$p"
}

# Two patches; the first has the hook in another state, and a file that goes.
new_series() {
	new_repo && rm "$w/repo/series/x" &&
	git -C "$w/repo" config user.name n && git -C "$w/repo" config user.email e &&
	printf 'cover\n\nletter\n' >"$w/repo/series/00-cover" &&
	mkdir -p "$w/repo/series/01-a.d/mm" &&
	sed 's/+3/+interim/' "$w/repo/mm/hooked.c.diff" \
		>"$w/repo/series/01-a.d/mm/hooked.c.diff" &&
	echo "for now" >"$w/repo/series/01-a.d/mm/compat.c" &&
	patch_of 01-a mm/new.c mm/hooked.c mm/compat.c &&
	patch_of 02-b drivers/whole.c mm/hooked.c mm/compat.c
}

series() {
	SPAPR_TCE_TOP=$w/repo SPAPR_TCE_BUILD=$w/repo/build KSRC=$w/base \
		"$here/series.sh" "$@"
}

P=$w/repo/build/series

series_states() {
	new_series && series && ls "$P" &&
	grep -qx '+interim' "$P"/0001-* && grep -qx '+for now' "$P"/0001-* &&
	grep -qx '+new' "$P"/0001-* && ! grep -q ours "$P"/0001-* &&
	grep -qx -- '-interim' "$P"/0002-* && grep -qx '+3' "$P"/0002-* &&
	grep -qx -- '-for now' "$P"/0002-* && grep -qx '+ours' "$P"/0002-*
}

# refused WHAT: the check must say so.
series_refused() {
	! series --check >"$w/out" 2>&1 && cat "$w/out" && grep -qF "$1" "$w/out"
}
series_missing() {
	new_series && patch_of 02-b drivers/whole.c mm/compat.c mm/hooked.c &&
	sed -i '/whole/d' "$w/repo/series/02-b" &&
	series_refused "drivers/whole.c: in no patch"
}
series_twice() {
	new_series && patch_of 03-c mm/new.c && series_refused "mm/new.c: in 03-c after"
}
series_not_final() {
	new_series && sed -i '/hooked/d' "$w/repo/series/02-b" &&
	series_refused "mm/hooked.c: no final state after 01-a"
}
series_stray() {
	new_series && sed -i '/compat/d' "$w/repo/series/01-a" &&
	series_refused "series/01-a.d/mm/compat.c: not carried"
}
series_unknown() {
	new_series && patch_of 03-c mm/nothing.c &&
	series_refused "mm/nothing.c: in series/"
}
series_stale() {
	new_series && assemble &&
	sed -i 's/^-three/-THREE/' "$w/repo/series/01-a.d/mm/hooked.c.diff" &&
	series_refused "hunk does not apply"
}

t "series: files in several states, and one that goes" series_states
t "series: a path that no patch carries"	series_missing
t "series: a path after its final state"	series_twice
t "series: a path without a final state"	series_not_final
t "series: a state that no patch carries"	series_stray
t "series: a path that is nowhere"		series_unknown
t "series: a state that does not apply"		series_stale

#
# Reading a console
#

# console STATUS WANT...: reading standard input must give the lines WANT.
console() {
	status=$1
	shift
	awk -v name=m -v status="$status" -f "$here/ktap.awk" >"$w/got"
	printf '%s\n' "$@" | diff - "$w/got"
}

good='[    1.0] tce: KTAP version 1
[    1.0] tce: 1..1
[    1.1] tce: # Subtest: abi
[    1.1] tce:   TAP version 13
[    1.1] tce:   1..2
[    1.1] tce:   ok 1 abi.one
[    1.1] tce:   ok 2 abi.two # SKIP no device
[    1.2] tce: ok 1 abi # 0.1 s
[    1.2] tce: === end of tests ==='

one='ok      m: abi: abi.one' two='skip    m: abi: abi.two (no device)'
clean='ok      m: boot and clean console'

ktap_good() { echo "$good" | console 0 "$one" "$two" "$clean"; }
ktap_firmware() {
	{ echo '[    0.123456789,3] OPAL: WARNING: Oops'; echo "$good"; } |
	console 0 "$one" "$two" "$clean"
}
# What a test says about a WARNING is not one.
ktap_quoted() {
	echo "$good" | sed '/1\.\.2/a [    1.1] tce:   # no WARNING: here' |
	console 0 "$one" "$two" "$clean"
}
ktap_warning() {
	echo "$good" | sed '/one/a [    1.1] WARNING: CPU: 0 PID: 1 at x.c:1' |
	console 0 "$one" "not ok  m: abi: kernel (WARNING: CPU: 0 PID: 1 at x.c:1)" "$two"
}
# One program runs out of memory on purpose, and has processes for that.
oom() {
	sed "/# Subtest/a [    1.1] $1 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0
		/# Subtest/a [    1.1] Call Trace:
		/# Subtest/a [    1.1] Out of memory: Killed process 9 ($2) total-vm:1kB"
}
ktap_oom() {
	echo "$good" | sed 's/abi/pressure/' | oom other tce-victim |
	console 0 'ok      m: pressure: pressure.one' 'skip    m: pressure: pressure.two (no device)' "$clean"
}
ktap_oom_other() {
	echo "$good" | sed 's/abi/pressure/' | oom tce-victim other |
	console 0 'not ok  m: pressure: kernel (Out of memory: Killed process 9 (other) total-vm:1kB)' \
		'not ok  m: pressure: kernel (tce-victim invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0)' \
		'ok      m: pressure: pressure.one' 'skip    m: pressure: pressure.two (no device)'
}
ktap_oom_elsewhere() {
	echo "$good" | oom other tce-victim |
	console 0 'not ok  m: abi: kernel (Out of memory: Killed process 9 (tce-victim) total-vm:1kB)' \
		'not ok  m: abi: kernel (other invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0)' \
		"$one" "$two"
}
ktap_oom_and_bug() {
	echo "$good" | sed 's/abi/pressure/' | oom other tce-victim |
	sed '/^\[    1.1\] Call Trace/a [    1.1] BUG: x' |
	console 0 'not ok  m: pressure: kernel (BUG: x)' 'ok      m: pressure: pressure.one' \
		'skip    m: pressure: pressure.two (no device)'
}
# In faults, memory is refused on purpose: to faults, and with one trace each.
refused() {
	sed "/# Subtest/a [    1.1] $1: page allocation failure: order:0\n[    1.1] Call Trace:${2-}"
}
ktap_refused() {
	echo "$good" | sed 's/abi/faults/' | refused faults |
	console 0 'ok      m: faults: faults.one' 'skip    m: faults: faults.two (no device)' "$clean"
}
ktap_refused_elsewhere() {
	echo "$good" | refused faults |
	console 0 'not ok  m: abi: kernel (faults: page allocation failure: order:0)' \
		'not ok  m: abi: kernel (Call Trace:)' "$one" "$two"
}
ktap_refused_and_bug() {
	echo "$good" | sed 's/abi/faults/' | refused faults "\\n[    1.1] BUG: x" |
	console 0 'not ok  m: faults: kernel (BUG: x)' 'ok      m: faults: faults.one' \
		'skip    m: faults: faults.two (no device)'
}
# What a guest has on its console is said on by its host.
ktap_guest() {
	echo "$good" | sed '/one/a [    1.1] tce:   # guest: [    0.1] BUG: x:1:
		/one/a [    1.1] tce:   # guest: BUG: not by the kernel' |
	console 0 "$one" "not ok  m: abi: guest (BUG: x:1:)" "$two"
}
ktap_why() {
	echo "$good" | sed 's/ok 1 abi.one/not ok 1 abi.one/; s/ok 1 abi #.*/not ok 1 abi # exit 1/
		/one/i [    1.1] tce:   # why: 1, not 2' |
	console 0 'not ok  m: abi: abi.one (1, not 2)' "$two" "$clean"
}
ktap_not_ok() {
	echo "$good" | sed 's/ok 1 abi.one/not ok 1 abi.one/; s/ok 1 abi #.*/not ok 1 abi # exit 1/' |
	console 0 'not ok  m: abi: abi.one' "$two" "$clean"
}
ktap_unended() {
	echo "$good" | sed '$d' |
	console 124 "$one" "$two" 'not ok  m: boot (out of time)'
}
ktap_no_program() {
	echo "$good" | sed '/Subtest/,/ok 1 abi #/d' |
	console 0 'not ok  m: boot (planned 1 programs, ran 0)'
}
ktap_died() {
	echo "$good" | sed 's/ok 1 abi #.*/not ok 1 abi # signal 11/' |
	console 0 "$one" "$two" 'not ok  m: abi (signal 11)' "$clean"
}
ktap_plan() {
	echo "$good" | sed 's/1\.\.2/1..3/' |
	console 0 "$one" "$two" 'not ok  m: abi (planned 3 tests, ran 2)' "$clean"
}
ktap_empty() {
	console 1 'not ok  m: boot (no end of tests on the console)' </dev/null
}

t "console: a good one"				ktap_good
t "console: a warning in a guest"		ktap_guest
t "console: why a test failed"			ktap_why
t "console: firmware may say what it likes"	ktap_firmware
t "console: a test may name a WARNING"		ktap_quoted
t "console: a kernel WARNING is a failure"	ktap_warning
t "console: memory runs out on purpose"		ktap_oom
t "console: another process is killed"		ktap_oom_other
t "console: memory runs out by mistake"		ktap_oom_elsewhere
t "console: a BUG while memory runs out"		ktap_oom_and_bug
t "console: memory is refused on purpose"		ktap_refused
t "console: memory is refused by mistake"	ktap_refused_elsewhere
t "console: a BUG where memory is refused"	ktap_refused_and_bug
t "console: not ok is a failure, once"		ktap_not_ok
t "console: no end of tests is a failure"	ktap_unended
t "console: no program run is a failure"	ktap_no_program
t "console: a program that dies is a failure"	ktap_died
t "console: too few tests is a failure"		ktap_plan
t "console: an empty one is a failure"		ktap_empty

#
# The total
#

total() {
	mkdir -p "$w/parts" && cp "$here/check.sh" "$here/lib.sh" "$here"/skips* "$w/parts" &&
	printf '#!/bin/sh\n%s\n' "$1" >"$w/parts/check-x.sh" &&
	chmod +x "$w/parts/check-x.sh" || return
	rc=0
	SPAPR_TCE_TOP=$w SPAPR_TCE_BUILD=$w/b "$w/parts/check.sh" x >"$w/out" || rc=$?
	cat "$w/out"
	[ "$(tail -n 1 "$w/out")" = "$2" ] && [ "$rc" = "$3" ]
}
total_good() { total 'echo "ok  a"; echo "ok  b"' "2 passed, 0 failed" 0; }
total_skip() { total 'echo "ok  a"; echo "skip  b"' "1 passed, 0 failed, 1 skipped" 0; }
total_classes() {
	total 'echo "ok  a"; echo "skip  m: b (no edu device)"; echo "skip  m: c (no such thing)"; echo "skip  m: d (no edu device)"' \
		"1 passed, 0 failed, 3 skipped" 0 2>"$w/said" &&
	! grep '^skip' "$w/out" && grep -qxE ' +2  devices' "$w/said" &&
	grep -qxE ' +2  no edu device' "$w/said" && grep -qxE ' +1  other' "$w/said" &&
	[ "$(grep -c . "$w/b/log/skipped")" = 3 ]
}
total_bad() { total 'echo "ok  a"; echo "not ok  b"' "1 passed, 1 failed" 1; }
total_broken() { total 'echo "ok  a"; exit 3' "1 passed, 1 failed" 1; }
total_nothing() { total ':' "0 passed, 0 failed" 1; }

t "total: passed"				total_good
t "total: skipped ones are told apart"		total_skip
t "total: skipped ones are counted by class"	total_classes
t "total: one failure fails it"			total_bad
t "total: a part that breaks off fails it"	total_broken
t "total: nothing run is no success"		total_nothing

#
# What stands in a user's way
#

# says WHAT COMMAND...: it fails with one line, of WHAT.
says() {
	what=$1
	shift
	! "$@" >"$w/out" 2>&1 && cat "$w/out" && [ "$(wc -l <"$w/out")" = 1 ] &&
		grep -q "$what" "$w/out"
}
empty_ksrc() {
	! make -C "$top" check KSRC= >"$w/out" 2>&1 && cat "$w/out" &&
		grep -q 'KSRC is empty' "$w/out" && ! grep -q == "$w/out"
}
unknown_machine() { says 'MACHINE=nonsense' env MACHINE=nonsense "$here/run.sh"; }
path_with_space() {
	mkdir -p "$w/a b" && says 'white space' env SPAPR_TCE_BUILD="$w/a b" "$here/tree.sh"
}
no_home() {
	# shellcheck disable=SC2016 # lib.sh's variable
	HOME=/proc/none XDG_CACHE_HOME='' sh -c '. "$0" && mkdir -p "$CCACHE_DIR"' \
		"$here/lib.sh"
}
# An emulator that takes its time, and Ctrl-C: INT to the whole group.
ctrl_c() {
	mkdir -p "$w/bin" "$w/tmp" &&
	printf '#!/bin/sh\necho $$ >"%s"\nexec sleep 60\n' "$w/pid" >"$w/bin/qemu-system-ppc64" &&
	chmod +x "$w/bin/qemu-system-ppc64" && rm -f "$w/pid" || return
	PATH=$w/bin:$PATH TMPDIR=$w/tmp TIMEOUT=60 \
		perl -e 'setpgrp; $SIG{INT} = "DEFAULT"; exec @ARGV' \
		sh -c '"$0" k i; exit' "$here/boot.sh" & group=$!
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		[ -s "$w/pid" ] && break
		sleep 0.5
	done
	kill -INT -$group
	sleep 2
	rm -r "${w:?}/bin"
	[ -s "$w/pid" ] && ! kill "$(cat "$w/pid")"
}
nothing_in_tmp() {
	rm -rf "$w/tmp" && mkdir "$w/tmp" || return
	# shellcheck disable=SC2016 # the other shell's variables
	TMPDIR=$w/tmp perl -e 'setpgrp; $SIG{INT} = "DEFAULT"; exec @ARGV' sh -c \
		'. "$0" && tmp=$(mktemp -d) && trap "rm -rf $tmp" EXIT && sleep 9' \
		"$here/lib.sh" & group=$!
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		[ -z "$(ls -A "$w/tmp")" ] || break
		sleep 0.2
	done
	kill -TERM -$group || return
	wait $group
	[ -z "$(ls -A "$w/tmp")" ]
}
help_lists_all() {
	make -s -C "$top" help >"$w/out" &&
	sed -n 's/^\.PHONY://p; /^\.PHONY/,$p' "$top/Makefile" | grep -oE '[a-z][a-z-]+' | sort -u | while read -r target; do
		grep -q "^  $target " "$w/out" || { echo "$target"; exit 1; }
	done
}

t "user: KSRC= of a failed make source"		empty_ksrc
t "user: a machine that there is not"		unknown_machine
t "user: a path with a space"			path_with_space
t "user: no home"				no_home
t "user: Ctrl-C ends the emulator"		ctrl_c
t "user: nothing is left in /tmp by who is killed" nothing_in_tmp
t "user: make help has every target"		help_lists_all

#
# The kernel's files on this machine (tools/testing/spapr_tce)
#

harness="asan-16 asan-12 tsan-16 arm64-16"

# ktap NAME PROGRAM...: one line per test of a program that speaks TAP.
ktap() {
	name=$1
	shift
	log=$logs/host-$name.log
	rc=0
	"$@" >"$log" 2>&1 || rc=$?
	sed -n "s/^ok [0-9]* \\(.*\\)/ok      $name: \\1/p
		s/^not ok [0-9]* \\(.*\\)/not ok  $name: \\1 (build\\/log\\/host-$name.log)/p" \
		"$log"
	# Nothing may be missing: the plan, and the exit status
	[ "$(sed -n 's/^1\.\.//p' "$log")" = "$(grep -c '^ok ' "$log")" ] &&
		[ $rc = 0 ] || echo "not ok  $name (ended with $rc; build/log/host-$name.log)"
}

run_harness() {
	for v in asan-16 asan-12; do
		for p in tce_tree_kunit unit kvm-unit sweep; do
			ktap "$v-$p" "$build/host/$v/$p"
		done
	done
	for p in tce_tree_kunit unit kvm-unit sweep; do
		ktap "arm64-16-$p" qemu-aarch64 "$build/host/arm64-16/$p"
	done
	for v in asan-16 tsan-16; do
		t "$v: threads" "$build/host/$v/threads" 300
	done
}

# tce-map, with what the kernel's code says of a table
tce_map() {
	TCE_MAP_DUMP=$w/dump "$build/host/asan-16/unit" -t debugfs_map_to_file &&
	python3 "$top/tools/spapr_tce/test_tce_map.py" "$w/dump"
}

# shellcheck disable=SC2086 # a list of words
if "$here/host.sh" $harness fuzz-16 fuzz-12; then
	t "tce-map: its own tests, and a dump of the model" tce_map
	TIME=60 "$here/fuzz.sh" >"$w/fuzz" & fuzz=$!
	run_harness
	"$top/tools/testing/spapr_tce/spin/check.sh" >"$w/spin" ||
		echo "not ok  spin (ended with $?)"
	grep -v '^#' "$w/spin"
	wait $fuzz || echo "not ok  fuzz (ended with $?)"
	cat "$w/fuzz"
else
	echo "not ok  host: the kernel's files compile for this machine"
fi
