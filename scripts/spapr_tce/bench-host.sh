#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What requests cost on this processor; tools/testing/spapr_tce/bench/ has the
# programs.
#
#   bench-host.sh            a TCE: the base kernel's files and ours, each compiled
#                            into the same harness; build/bench-host.csv has all
#   bench-host.sh domain     a page of a paging domain: ours beside the page table
#                            that iommufd has on x86 since 7.x (drivers/iommu/
#                            generic_pt).  Its files come out of the source package
#                            that source.sh fetches, whatever kernel is tested; they
#                            stay in build/ and are no part of this.  Then the
#                            instructions for POWER, counted in an emulator, and the
#                            bytes of a table with few pages; build/bench-domain.csv
#
# A loop that falls badly into the lines of the processor's caches costs up to
# a quarter more, and any change elsewhere may move it. So all are compiled with
# the code in several places, and the rounds take turns.

. "$(dirname "$0")/lib.sh"

kind=${1:-host}
case $kind in host | domain) ;; *) die "bench-host.sh: there is no \"$kind\"" ;; esac
ROUNDS=${ROUNDS:-9}
MS=${MS:-15}		# for each line of each round
LAYOUTS='16-1 64-1 64-32'	# alignment of functions and of loops
out=$build/bench-$kind
harness=$tree/tools/testing/spapr_tce
align() { echo "-falign-functions=${1%-*} -falign-loops=${1#*-}"; }

# rounds WHICH...: run them in turn, with the code in each place; instructions are
# counted in the first round alone, since single steps are slow, and always the same
rounds() {
	: >"$out.new"
	round=0 first=1
	while [ "$round" -lt "$ROUNDS" ]; do
		for layout in $LAYOUTS; do
			[ "$round" -lt "$ROUNDS" ] || break
			round=$((round + 1))
			say "$kind: round $round of $ROUNDS"
			for which in "$@"; do
				# Kernel memory is mapped by large pages; let that of these be, too.
				GLIBC_TUNABLES=glibc.malloc.hugetlb=1 "run_$kind" >"$out.one" ||
					die "the benchmark of $which failed"
				sed "s/^/$which	/" "$out.one" >>"$out.new"
			done
			first=
		done
	done
	mv "$out.new" "$out"
}
compiled() {
	lock "bench-$kind"
	long "compiling the benchmark ($kind)" "$logs/bench-$kind.log" "compile_$kind"
}

variant() { [ "$1" = ours ] && echo bench || echo bench-base; }
compile_host() {
	for layout in $LAYOUTS; do
		for which in base ours; do
			make -C "$harness" -j"$JOBS" VARIANT="$(variant $which)" \
				BASE_TREE="$base" OUT="$build/host/layout-$layout" \
				LAYOUT="$(align "$layout")" || return
		done
	done
}
run_host() {
	"$build/host/layout-$layout/$(variant "$which")-16/bench" "$MS" $((256 * ${first:-0}))
}

# busy: processor time since boot, of all processors, in 1/100 s.
busy() { awk '/^cpu / { print $2 + $3 + $4 + $7 + $8 + $9 }' /proc/stat; }

# threads: two of them against one, in one container
threads() {
	echo "Two threads that map and unmap in one container, against one: million TCEs in a"
	echo "second, counted while each had a processor of its own"
	echo
	printf '%-38s %23s %23s\n' '' base ours
	echo "containers windows regions TCEs each request; two against one: at least 1.8 is the goal"
	for which in base ours; do
		"$build/host/layout-16-1/$(variant $which)-16/bench-threads" >"$build/bench-threads-$which" ||
			die "the benchmark of $which with threads failed"
	done
	paste "$build/bench-threads-base" "$build/bench-threads-ours" |
		awk '{ printf "%10s %7s %7s %4s %7s %7s %7s %7s %7s %7s %7s %s\n",
			$2, $3, $4, $5, "", $6, $7, $8, $14, $15, $16,
			($16 == "-" ? "" : $16 >= 1.8 ? "met" : "NOT MET") }'
}

pt=$build/generic-pt
# Headers that generic-pt.h makes superfluous
stubs='args atomic bitfield bitops bits bug build_bug cacheflush cleanup container_of
	dma-mapping export iommu kconfig log2 mem_encrypt mm_types stringify'
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
compile_domain() {
	for layout in $LAYOUTS; do
		# shellcheck disable=SC2046 # a list of words
		gcc -std=gnu11 -O2 -fno-tree-vectorize -fomit-frame-pointer -fno-strict-aliasing \
			$(align "$layout") -I"$pt/include" -I"$pt/src/drivers/iommu/generic_pt" \
			-I"$harness/bench" -include generic-pt.h -o "$pt/bench-$layout" \
			"$harness/bench/generic-pt.c" &&
		make -C "$harness" -j "$JOBS" VARIANT=bench PAGE_SHIFT=12 \
			OUT="$build/host/layout-$layout" LAYOUT="$(align "$layout")" || return
	done
	for shift in 12 16; do
		make -C "$harness" -j "$JOBS" VARIANT=bench-ppc PAGE_SHIFT=$shift OUT="$build/host" ||
			return
	done
	plugin qemu-ppc64le
}
run_domain() {
	program=$pt/bench-$layout
	[ "$which" = x86 ] || program=$build/host/layout-$layout/bench-12/bench-domain
	"$program" "$MS" ${first:+count}
}
# staged SHIFT PAGES: how many instructions there were by the end of each stage
staged() {
	for stage in 0 1 2 3; do
		qemu-ppc64le -plugin "$build/count.so,out=$out.count,total=1" \
			"$build/host/bench-ppc-$1/bench-domain" stage $stage "$2" >/dev/null &&
		cat "$out.count"
	done | paste -s
}

if [ "$kind" = domain ]; then
	source=$(SUITE='' KSRC='' "$here/source.sh")
	"$here/setup.sh" host
	"$here/tree.sh"
	[ "$(cat "$pt/id" 2>/dev/null)" = "$source" ] || long "generic_pt" "$logs/bench-domain.log" fetch
	compiled
	rounds x86 ours
	for shift in 12 16; do
		for pages in 1 $((1 << 20 - shift)); do
			echo "power	$shift	$pages	$(staged $shift $pages)"
		done
	done >>"$out"
	"$here/bench.pl" domain "$out.csv" "$out" | tee "$out.txt"
	exit
fi

"$here/tree.sh"
compiled
was_busy=$(busy) began=$(date +%s)
rounds base ours
took=$(($(date +%s) - began)) was_busy=$(($(busy) - was_busy))
# The goal is in ns per TCE.
"$here/bench.pl" host "$out.csv" 1.5 "$out"
echo "On: $(lscpu | sed -n 's/^Model name: *//p'); $(gcc --version | head -n 1)"
echo "Of $(nproc) processors, $((was_busy / took / 100)).$((was_busy * 10 / took / 100 % 10)) were busy on average, with this and all else."
echo "All figures: build/bench-host.csv"
echo
threads | tee "$build/bench-threads.txt"
