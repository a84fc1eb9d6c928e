#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# host.sh VARIANT-SHIFT...: compile the kernel's files for this machine, in
# build/host/VARIANT-SHIFT, as tools/testing/spapr_tce/Makefile describes it.

. "$(dirname "$0")/lib.sh"

"$here/setup.sh" host
lock host
"$here/tree.sh"
for v in "$@"; do
	long "host-$v" "$logs/host-$v.log" make -C "$tree/tools/testing/spapr_tce" -s -j "$JOBS" \
		OUT="$build/host" VARIANT="${v%-*}" PAGE_SHIFT="${v#*-}"
done
