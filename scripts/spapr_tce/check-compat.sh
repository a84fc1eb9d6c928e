#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Run the selftest compat on the base kernel and on ours, on each MACHINE, and
# compare answer by answer with compat.differences: one line for each that
# differs.  Fails on a difference that is not listed, and on a listed one that
# does not occur.  COMPAT_LOGS=DIR takes DIR/base-MACHINE and DIR/ours-MACHINE,
# consoles of before, and boots nothing.

. "$(dirname "$0")/lib.sh"

list=$top/tools/testing/selftests/vfio/spapr_tce/compat.differences
machines=${MACHINE:-powernv9 powernv8 pseries}
out=${COMPAT_LOGS:-$logs/compat}
CONFIG=${CONFIG:-default} TESTS=compat
export CONFIG TESTS

# boot WHICH: the console of each machine with the base kernel, or ours
boot() {
	BASE=
	[ "$1" = ours ] || BASE=1
	export BASE
	"$here/kernel.sh"
	for m in $machines; do
		say "booting $m, $1 kernel (console: $out/$1-$m)"
		MACHINE=$m TIMEOUT=600 "$here/boot.sh" \
			"$build/vmlinux$(kernel_name "$CONFIG")" \
			"$build/$(initrd_name).cpio" spapr_tce.timeout=500 \
			>"$out/$1-$m" 2>&1 || :
	done
}

# Name and answer; the second request of a name is NAME (2)
answers() {
	sed -n 's/\r$//; s/.*# compat: \(.*\) = \([^ ]*\)$/\1\t\2/p' "$1" |
		awk -F '\t' -v OFS='\t' 'n[$1]++ { $1 = $1 " (" n[$1] ")" } { print }'
}

# shellcheck disable=SC2086 # a list of words
if [ -z "${COMPAT_LOGS:-}" ]; then
	mkdir -p "$out"
	"$here/initrd.sh"
	boot base
	boot ours
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
for m in $machines; do
	answers "$out/base-$m" >"$tmp/base"
	answers "$out/ours-$m" >"$tmp/ours"
	awk -F '\t' -v m="$m" '
	FILENAME == ARGV[1] {
		if (/^[^#?\t]/ && ($1 == "all" || index(" " $1 " ", " " m " ")))
			listed[$2 "\t" $3 "\t" $4] = 1
		next
	}
	FILENAME == ARGV[2]	{ base[$1] = $2; next }
	{
		ours[$1] = $2
		n++
		if (!($1 in base))
			fail("no answer of the base: " $1)
		else if (base[$1] != $2 && !((d = $1 "\t" base[$1] "\t" $2) in listed))
			fail("not listed: " $1 ": " base[$1] " -> " $2)
		else if (base[$1] != $2)
			print "ok      compat " m ": " $1 ": " base[$1] " -> " $2
		delete listed[$1 "\t" base[$1] "\t" $2]
	}
	function fail(what) { print "not ok  compat " m ": " what }
	END {
		for (d in listed)
			fail("listed, and not so: " d)
		for (name in base)
			if (!(name in ours))
				fail("no answer of ours: " name)
		if (n)
			print "ok      compat " m ": " n " answers compared"
		else
			fail("no answers")
	}' "$list" "$tmp/base" "$tmp/ours"
done
