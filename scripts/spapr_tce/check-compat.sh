#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Run the selftest compat on the base kernel and on ours, on each MACHINE, and
# compare answer by answer with compat.differences: one line for each that
# differs.  Fails on a difference that is not listed, and on a listed one that
# does not occur.  COMPAT_LOGS=DIR takes DIR/base-MACHINE and DIR/ours-MACHINE,
# consoles of before, and boots nothing.

. "$(dirname "$0")/lib.sh"

machines=${MACHINE:-powernv9 powernv8 pseries}
out=${COMPAT_LOGS:-$logs/compat}
CONFIG=${CONFIG:-default} TESTS=compat
export CONFIG TESTS BASE

if [ -z "${COMPAT_LOGS:-}" ]; then
	mkdir -p "$out"
	"$here/initrd.sh"
	for which in base ours; do
		BASE=$([ $which = ours ] || echo 1)
		"$here/kernel.sh"
		for m in $machines; do
			say "booting $m, $which kernel (console: $out/$which-$m)"
			MACHINE=$m TIMEOUT=600 "$here/boot.sh" \
				"$build/vmlinux$(kernel_name "$CONFIG")" \
				"$build/$(initrd_name).cpio" spapr_tce.timeout=500 \
				>"$out/$which-$m" 2>&1 || :
		done
	done
fi
# Name and answer, sorted; the second request of a name is NAME (2).
answers() {
	perl -ne '/# compat: (.*) = (\S+)\r?$/ or next; $n{$1}++;
		print $n{$1} > 1 ? "$1 ($n{$1})" : $1, "\t$2\n"' "$1" | sort
}
tab=$(printf '\t')
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
for m in $machines; do
	answers "$out/base-$m" >"$tmp/base"
	answers "$out/ours-$m" >"$tmp/ours"
	# Name, base and ours
	join -t "$tab" -a 1 -a 2 -e none -o 0,1.2,2.2 "$tmp/base" "$tmp/ours" |
		awk -F '\t' '$2 != $3' | sort >"$tmp/differ"
	sed -nE "/^[#?]/d; s/^([^\t]* )?(all|$m)( [^\t]*)?\t//p" \
		"$top/tools/testing/selftests/vfio/spapr_tce/compat.differences" | sort >"$tmp/listed"
	comm -12 "$tmp/listed" "$tmp/differ" | sed "s/^/ok      compat $m: /; s/$tab/: /; s/$tab/ -> /"
	comm -13 "$tmp/listed" "$tmp/differ" |
		sed "s/^/not ok  compat $m: not listed: /; s/$tab/: /; s/$tab/ -> /"
	comm -23 "$tmp/listed" "$tmp/differ" | sed "s/^/not ok  compat $m: listed, and not so: /"
	[ -s "$tmp/ours" ] && how='ok    ' || how='not ok'
	echo "$how  compat $m: $(wc -l <"$tmp/ours") answers compared"
done
