#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# fuzz.sh [--save]: fuzz the container driver (tools/testing/spapr_tce) for TIME
# seconds with each page size, both at once, starting from the saved inputs and
# from what earlier runs have found.  One line per page size says how it went;
# an input that breaks something stays in build/host/fuzz.
#
# --save: instead keep what is worth keeping in corpus.hex, an input per line.

. "$(dirname "$0")/lib.sh"

TIME=${TIME:-600}
saved=$top/tools/testing/spapr_tce/corpus.hex
work=$build/host/fuzz
flags='-max_len=1024 -len_control=50 -timeout=60 -rss_limit_mb=4096'

# run SHIFT: fuzz, and say how it went
run() {
	log=$logs/fuzz-$1.log rc=0
	# shellcheck disable=SC2086 # flags
	"$build/host/fuzz-$1/fuzz" $flags -max_total_time="$TIME" \
		-artifact_prefix="$work/$1-" "$work/corpus" >"$log" 2>&1 || rc=$?
	ops=$(sed -n 's/^operations: //p' "$log")
	what="fuzz: pages of $((1 << ($1 - 10)))K, $TIME s"
	if [ $rc = 0 ] && [ -n "$ops" ]; then
		echo "ok      $what # $ops operations"
	else
		echo "not ok  $what ($(grep -m 1 -B 1 'ERROR: ' "$log" | head -n 1; \
			sed -n 's/.*written to //p' "$log"))"
	fi
}

mkdir -p "$logs" "$work/corpus"
"$here/host.sh" fuzz-16 fuzz-12
grep -v '^#' "$saved" | work=$work perl -ne 'chomp;
	open my $out, ">", "$ENV{work}/corpus/saved-$." or die; print $out pack "H*", $_'
if [ "${1:-}" = --save ]; then
	rm -rf "$work/least" && mkdir "$work/least"
	# shellcheck disable=SC2086 # flags
	"$build/host/fuzz-16/fuzz" -merge=1 $flags -max_len=128 "$work/least" "$work/corpus" \
		>"$logs/fuzz-save.log" 2>&1 || die "see $logs/fuzz-save.log"
	{
		echo "# SPDX-License-Identifier: GPL-2.0-only"
		perl -0777 -ne 'print unpack("H*", $_), "\n"' "$work/least"/*
	} >"$saved"
	say "$(grep -vc '^#' "$saved") inputs saved"
	exit
fi
run 12 & other=$!
run 16
wait $other
