#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Which functions do the instructions of a request to map one page, and to unmap
# it, go to?  The bench program does both over and over on the emulated MACHINE,
# and a plugin in the emulator (profile.c) counts.
#
#   PAIRS             how often (default 4000)
#   MITIGATIONS=off   without the kernel's against speculation
#
#   build/profile	what the plugin counted in all requests together

. "$(dirname "$0")/lib.sh"

CONFIG=${CONFIG:-default} MACHINE=${MACHINE:-powernv9} TESTS=bench
PAIRS=${PAIRS:-4000} MITIGATIONS=${MITIGATIONS:-}
BASE=
export BASE CONFIG MACHINE TESTS

vmlinux=$build/vmlinux$(kernel_name "$CONFIG")
obj=$tree/obj-$CONFIG
log=$logs/profile.log

# text_symbols NM-ARGUMENT...
text_symbols() {
	# Labels around an area hide the names of what is in it.
	"${CROSS_COMPILE}nm" "$@" |
		awk 'NF == 3 && $2 ~ /^[tTwW]$/ && $3 !~ /^(start|end)_/'
}

# our_functions: each function of a file that is all ours, after that file.
our_functions() {
	overlay_files | sed -n 's/\.c$//p' | grep -Ev '^(tools|scripts)/' |
	while read -r f; do
		[ ! -f "$obj/$f.o" ] ||
			text_symbols "$obj/$f.o" | awk -v f="$f.c" '{ print f, $3 }'
	done
}

"$here/setup.sh"
"$here/initrd.sh"
"$here/kernel.sh"
lock profile
gcc -O2 -Wall -Wextra -Werror -shared -fPIC -o "$build/profile.so" \
	"$here/profile.c"
text_symbols -n "$vmlinux" >"$build/profile.syms"
our_functions >"$build/profile.ours"
rm -f "$build/profile"

say "running bench in an emulator that counts (console: $log)"
plugin=$build/profile.so,syms=$build/profile.syms,out=$build/profile
# The first requests fill caches, and 64 are those that bench measures.
plugin=$plugin,map=tce_map,unmap=tce_unmap,skip=100
append="bench_pairs=$PAIRS"
[ -z "$MITIGATIONS" ] || append="$append mitigations=$MITIGATIONS"
rc=0
TIMEOUT=600 PLUGIN=$plugin "$here/boot.sh" "$vmlinux" \
	"$build/$(initrd_name).cpio" "$append" >"$log" 2>&1 || rc=$?
if [ "$rc" != 0 ] || [ ! -s "$build/profile" ] ||
	! grep -q 'tce: ok 1 bench' "$log"; then
	die "no profile was made; see $log"
fi

where="$MACHINE, $CONFIG configuration${MITIGATIONS:+, mitigations=$MITIGATIONS}"
sed -n 's/\r$//; s/^\[ *[0-9.]*\] tce:   //p' "$log" |
	awk -v where="$where" -f "$here/profile.awk" \
	"$build/profile.ours" "$build/profile" -
