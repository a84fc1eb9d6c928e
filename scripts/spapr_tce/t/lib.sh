# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034
#
# Sourced by the tests of the scripts, which speak TAP: prove scripts/spapr_tce/t/*.t

set -u
here=$(cd "$(dirname "$0")/.." && pwd)
w=$(mktemp -d)
trap 'rm -rf "$w"' EXIT
trap 'exit 1' INT TERM HUP
n=0
export LC_ALL=C
# What the check may be narrowed down by is not for these.
unset BASE CHECKS CONFIG JOBS LONG MACHINE SMALL TESTS TIME V
T=$w/repo/build/tree

# t WHAT COMMANDS: one test; what the commands said only if they fail
t() {
	n=$((n + 1))
	if (set -x && eval "$2") >"$w/log" 2>&1; then
		echo "ok $n $1"
	else
		sed 's/^/# /' "$w/log" | tail -n 40
		echo "not ok $n $1"
		failed=1
	fi
}
# The plan, and how it ends
end() {
	echo "1..$n"
	exit "${failed:-0}"
}

# fails WITH COMMAND...: it ends with a failure, and says something like WITH.
fails() {
	with=$1
	shift
	! "$@" >"$w/out" 2>&1 && cat "$w/out" && grep -q -e "$with" "$w/out"
}
# With one line of its own
fails_shortly() { fails "$@" && [ "$(grep -vc '^+' "$w/out")" = 1 ]; }

# A base kernel of a few lines: new_base DIR SUBLEVEL
new_base() {
	mkdir -p "$1/mm" "$1/drivers"
	printf 'VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = %s\n' "$2" >"$1/Makefile"
	printf '%s\n' one two three four five >"$1/mm/hooked.c"
	echo base | tee "$1/drivers/whole.c" >"$1/mm/other.c"
}
# hook BASE FROM TO: mm/hooked.c[.BASE].diff of one line; BASE has a dot in front
hook() {
	sed "s/^$2\$/$3/" "$w/base/mm/hooked.c" | diff -U1 --label a/mm/hooked.c \
		--label b/mm/hooked.c "$w/base/mm/hooked.c" - >"$w/repo/mm/hooked.c$1.diff" || :
}
# A fresh repository with one file of ours, one new one and one hook
new_repo() {
	rm -rf "$w/repo" "$w/base"
	mkdir -p "$w/repo/mm" "$w/repo/drivers" "$w/repo/series"
	git init -q "$w/repo"
	new_base "$w/base" 1
	echo /build/ >"$w/repo/.gitignore"
	echo top >"$w/repo/Makefile"
	echo ours >"$w/repo/drivers/whole.c"
	echo new >"$w/repo/mm/new.c"
	hook '' three 3
}
# on_repo COMMAND...: a script on that repository
on_repo() { SPAPR_TCE_TOP=$w/repo SPAPR_TCE_BUILD=$w/repo/build "$@"; }
assemble_from() { KSRC=$1 on_repo "$here/tree.sh"; }
assemble() { assemble_from "$w/base"; }
hooked() { [ "$(paste -sd ' ' "$T/mm/hooked.c")" = "$1" ]; }
