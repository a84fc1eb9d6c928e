#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# check.sh PART...: run the parts of the check (static, host, qemu, ...), each of
# which writes "ok", "not ok" or "skip" lines, and end with the total.  A part may
# have a configuration in front: debug:qemu.

. "$(dirname "$0")/lib.sh"

mkdir -p "$build" "$logs"
results=$(mktemp "$build/check.XXXXXX")
trap 'rm -f "$results"' EXIT

for part in "$@"; do
	say "check-$part"
	# A part reports its failures as lines; if it could not even do that...
	config=$CONFIG
	[ "${part#*:}" = "$part" ] || config=${part%:*}
	{ CONFIG=$config "$here/check-${part#*:}.sh" || echo "not ok  check-$part (ended with $?)"; } |
		tee -a "$results" | grep --line-buffered -v '^skip ' || :
done

if grep '^skip ' "$results" >"$logs/skipped"; then
	say "skipped (each is in build/log/skipped):"
	"$here/skips.pl" "$logs/skipped" >&2
fi
say "failures:"
grep '^not ok ' "$results" >&2 || say "none"
count() { grep -c "^$1 " "$results" || :; }
passed=$(count ok) failed=$(count 'not ok') skipped=$(count skip)
[ "$passed$failed$skipped" != 000 ] || say "nothing was run: CHECKS=, TESTS= or MACHINE= names nothing that is here"
[ "$skipped" = 0 ] && skipped='' || skipped=", $skipped skipped"
echo "$passed passed, $failed failed$skipped"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
