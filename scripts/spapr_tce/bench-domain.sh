#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What a page of a paging domain costs: ours beside the page table that iommufd has
# on x86 since 7.x (drivers/iommu/generic_pt), both compiled for this machine, called
# with the same ranges, one after the other in rounds. The latter's files come out of
# the source package that source.sh fetches, whatever kernel is tested; they stay in
# build/ and are no part of this.
#
# Then the instructions for POWER, counted in an emulator, and the bytes of a table
# with few pages. tools/testing/spapr_tce/bench/ has the programs.

. "$(dirname "$0")/lib.sh"

ROUNDS=${ROUNDS:-9}
MS=${MS:-15}		# for each line of each round
LAYOUTS='16-1 64-1 64-32'	# as in bench-host.sh

pt=$build/generic-pt
# Headers that generic-pt.h makes superfluous
stubs='args atomic bitfield bitops bits bug build_bug cacheflush cleanup container_of
	dma-mapping export iommu kconfig log2 mem_encrypt mm_types stringify'
align() { echo "-falign-functions=${1%-*} -falign-loops=${1#*-}"; }

fetch() {
	rm -rf "$pt"
	mkdir -p "$pt/src" "$pt/include/linux"
	tar -C "$pt/src" --strip-components=1 --wildcards -xf "$source" \
		'*/drivers/iommu/generic_pt' '*/drivers/iommu/iommu-pages.h' \
		'*/include/linux/generic_pt' &&
	mv "$pt/src/include/linux/generic_pt" "$pt/include/linux/" &&
	for h in $stubs; do
		: >"$pt/include/linux/$h.h"
	done &&
	echo "$source" >"$pt/id"
}

compile() {
	t=$tree/tools/testing/spapr_tce
	for layout in $LAYOUTS; do
		# shellcheck disable=SC2046 # a list of words
		gcc -std=gnu11 -O2 -fno-tree-vectorize -fomit-frame-pointer -fno-strict-aliasing \
			$(align "$layout") -I"$pt/include" -I"$pt/src/drivers/iommu/generic_pt" \
			-I"$t/bench" -include generic-pt.h -o "$pt/bench-$layout" \
			"$t/bench/generic-pt.c" &&
		make -C "$t" -j "$JOBS" VARIANT=bench PAGE_SHIFT=12 \
			OUT="$build/host/layout-$layout" LAYOUT="$(align "$layout")" || return
	done
	for shift in 12 16; do
		make -C "$t" -j "$JOBS" VARIANT=bench-ppc PAGE_SHIFT=$shift OUT="$build/host" ||
			return
	done
	version=1
	[ "$(qemu-ppc64le --version | sed -n 's/.* version \([0-9]*\).*/\1/p')" -lt 9 ] || version=3
	gcc -O2 -Wall -Wextra -Werror -shared -fPIC -DPLUGIN_VERSION=$version \
		-o "$build/count.so" "$here/count.c"
}

# staged SHIFT STAGE: how many instructions there were by the end of it
staged() {
	qemu-ppc64le -plugin "$build/count.so,out=$build/bench-domain.count,total=1" \
		"$build/host/bench-ppc-$1/bench-domain" stage "$2" >/dev/null &&
	cat "$build/bench-domain.count"
}

source=$(SUITE='' KSRC='' "$here/source.sh")
"$here/setup.sh" host
"$here/tree.sh"
lock bench-domain
mkdir -p "$logs"
[ "$(cat "$pt/id" 2>/dev/null)" = "$source" ] ||
	long "generic_pt" "$logs/bench-domain.log" fetch
long "compiling the benchmark of domains" "$logs/bench-domain.log" compile
: >"$build/bench-domain.new"
round=0 count=count
while [ "$round" -lt "$ROUNDS" ]; do
	for layout in $LAYOUTS; do
		[ "$round" -lt "$ROUNDS" ] || break
		round=$((round + 1))
		say "domains: round $round of $ROUNDS"
		for which in x86 ours; do
			program=$pt/bench-$layout
			[ $which = x86 ] || program=$build/host/layout-$layout/bench-12/bench-domain
			GLIBC_TUNABLES=glibc.malloc.hugetlb=1 "$program" "$MS" $count |
				sed "s/^/$which	/" >>"$build/bench-domain.new"
		done
		count=
	done
done
for shift in 12 16; do
	echo "power	$shift	$(staged $shift 0)	$(staged $shift 1)	$(staged $shift 2)"
done >>"$build/bench-domain.new"
mv "$build/bench-domain.new" "$build/bench-domain"
"$here/bench.pl" domain "$build/bench-domain.csv" "$build/bench-domain" |
	tee "$build/bench-domain.txt"
