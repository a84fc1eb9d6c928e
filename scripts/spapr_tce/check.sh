#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# check.sh PART...: run the parts of the check (static, host, qemu, ...), each of
# which writes "ok", "not ok" or "skip" lines, and end with the total.

. "$(dirname "$0")/lib.sh"

mkdir -p "$build" "$logs"
results=$(mktemp "$build/check.XXXXXX")
trap 'rm -f "$results"' EXIT

for part in "$@"; do
	say "check-$part"
	rc=0
	{ "$here/check-$part.sh" || echo $? >"$results.rc"; } |
		tee -a "$results" | grep --line-buffered -v '^skip ' || :
	if [ -f "$results.rc" ]; then
		rc=$(cat "$results.rc")
		rm -f "$results.rc"
	fi
	# A part reports its failures as lines; if it could not even do that...
	if [ "$rc" != 0 ]; then
		echo "not ok  check-$part (ended with $rc)" | tee -a "$results"
	fi
done

if grep '^skip ' "$results" >"$logs/skipped"; then
	say "skipped (each is in build/log/skipped):"
	awk -f "$here/skips.awk" "$here/skips" "$logs/skipped" >&2
fi
say "failures:"
grep '^not ok ' "$results" >&2 || say "none"
awk '
/^ok /		{ passed++ }
/^not ok /	{ failed++ }
/^skip /	{ skipped++ }
END {
	printf "%d passed, %d failed", passed, failed
	if (skipped)
		printf ", %d skipped", skipped
	print ""
	exit failed > 0 || !passed
}' "$results"
