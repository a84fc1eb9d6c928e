#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# check-mutants.sh [NUMBER...]: would the tests notice?  Each record of
# tools/testing/spapr_tce/mutants breaks one of the kernel's files; of the
# programs below, in this order, one must go red.  Record 0 changes nothing, and
# everything must stay green.  After those come SAMPLE (300, another number, or all)
# of the mutants that mutants.pl makes.  Those that may survive are in
# mutants.survivors with a reason; any other that does is a failure.  NUMBERs choose
# records, PROGRAMS programs.  --fit only asks whether each record has its place.
#
# All of it happens in copies in build/host/mutant, so that neither the good
# build nor what somebody edits meanwhile comes into it.

. "$(dirname "$0")/lib.sh"

harness=$top/tools/testing/spapr_tce
work=$build/host/mutant
programs=${PROGRAMS:-fast-16/tce_tree_kunit fast-16/iommu_region_kunit fast-16/unit fast-16/domain fast-16/kvm-unit fast-16/sweep
	asan-16/unit asan-16/domain asan-16/kvm-unit asan-12/unit asan-12/kvm-unit asan-16/sweep
	tsan-16/threads tsan-16/domain fuzz-16/fuzz}
variants=$(echo "$programs" | tr -s ' \t' '\n' | sed 's|/.*||' | sort -u)
files=$(sed -n '/^OURS := /,/[^\\]$/p; /^ifeq (.*bench-base/q' "$harness/Makefile" |
	grep -o '[a-z][^ ]*\.[ch]\b' | grep -v tce_user_check.c)
headers=$(sed -n '/^COPIES := /,/[^\]$/p; /^ifeq (.*bench-base/q' "$harness/Makefile" |
	grep -o 'asm/[^ ]*\.h' | sed 's|^|arch/powerpc/include/|' | while read -r h; do
		[ ! -f "$top/$h" ] || echo "$h"
	done)
export top tree work JOBS SAMPLE="${SAMPLE:-300}" PROGRAMS="$programs" FILES="$files $headers"
[ "$*" != --fit ] || exec "$here/mutants.pl" --fit

# shellcheck disable=SC2086 # lists of words
{
	"$here/host.sh" $variants
	lock mutants
	rm -rf "$work"
	mkdir -p "$work/good" "$work/taken" "$work/corpus"
	# The good build, with sources of its own, and without programs: those would
	# be taken for new ones.
	(lock host
	cp -a "$tree/tools/testing/spapr_tce" "$work/harness"
	for v in $variants; do
		cp -aL "$build/host/$v" "$work/good/"
		find "$work/good/$v" -maxdepth 1 -type f -perm -u+x -delete
	done)
	grep -v '^#' "$harness/corpus.hex" | work=$work perl -ne 'chomp;
		open my $out, ">", "$ENV{work}/corpus/$." or die; print $out pack "H*", $_'
	began=$(date +%s)
	"$here/mutants.pl" "$@"
	say "all of it took $(($(date +%s) - began)) s"
}
