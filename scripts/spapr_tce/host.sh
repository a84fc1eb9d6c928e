#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# host.sh VARIANT-SHIFT...: compile the kernel's files for this machine, in
# build/host/VARIANT-SHIFT, as tools/testing/spapr_tce/Makefile describes it.

. "$(dirname "$0")/lib.sh"

"$here/setup.sh" host
lock host
"$here/tree.sh"
mkdir -p "$logs"
for v in "$@"; do
	# The log grows: a run of several variants has one.
	if ! make -C "$tree/tools/testing/spapr_tce" -s -j "$JOBS" \
		OUT="$build/host" VARIANT="${v%-*}" PAGE_SHIFT="${v#*-}" \
		>"$logs/host-$v.log" 2>&1 </dev/null; then
		grep -nE 'error|undefined|\*\*\*' "$logs/host-$v.log" | head -n 20 >&2
		die "host-$v does not build; see $logs/host-$v.log"
	fi
done
