#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Our documents: built by the kernel tree's own Sphinx set-up, spelled, and
# with the figures that the benchmarks printed last.  The details of what
# failed are in build/log/docs-NAME.log, the pages in build/docs.

. "$(dirname "$0")/lib.sh"

# verdict NAME WHAT COMMAND...: COMMAND must have nothing to say and succeed.
verdict() {
	name=$1 what=$2
	shift 2
	log=$logs/docs-$name.log
	if "$@" >"$log" 2>&1 </dev/null && [ ! -s "$log" ]; then
		echo "ok      docs: $what"
	else
		echo "not ok  docs: $what (build/log/docs-$name.log)"
		head -n 40 "$log" >&2
	fi
}

# What people read: under the name that it has in the repository.
texts() {
	repo_files | grep -E '\.(rst|md)$'
}
rst_in_tree() {
	overlay_files | to_paths | grep '^Documentation/.*\.rst$'
}

# Sphinx reads the pages that have anything of ours, and all of powerpc, so
# that it takes seconds; then it misses others, which nobody of ours names.
pages() {
	echo "index.rst,arch/index.rst,arch/powerpc/**.rst"
	rst_in_tree | sed 's|^Documentation/||'
}
built=$logs/docs-sphinx.log
sphinx() {
	mkdir -p "$build/docs"
	rm -rf "$build/docs/Documentation/output"
	# YNL_INDEX would make more pages, in the tree.
	make -C "$tree" O="$build/docs" htmldocs SPHINXDIRS=. YNL_INDEX= \
		SPHINXOPTS="-D include_patterns=$(pages | paste -sd , -)" \
		>"$built" 2>&1
}
builds() {
	if ! sphinx; then
		tail -n 20 "$built"
		return 1
	fi
	rst_in_tree | while read -r f; do
		html=$build/docs/Documentation/output/${f#Documentation/}
		[ -f "${html%.rst}.html" ] || echo "$f: no page was made"
	done
}
# Pages have kernel-doc of our code in them, too.
warnings() {
	overlay_files | to_paths | grep / | grep -F -f - "$built" |
		grep -E 'WARNING|ERROR|SEVERE|warning:' |
		grep -v 'toctree contains reference to nonexisting document' || :
}
# Pages that were left out are missed in tables of contents, but they are there.
contents() {
	sed -n "s/.*nonexisting document '\(.*\)'.*/\1/p" "$built" | sort -u |
	while read -r page; do
		[ -f "$tree/Documentation/$page.rst" ] ||
			echo "a table of contents names $page, which is not there"
	done
}

spelled() {
	cd "$tree" || return
	texts | sed "s|^|$top/|" | xargs perl scripts/checkpatch.pl -q --no-tree \
		--no-summary --types TYPO_SPELLING,REPEATED_WORD -f || return
	texts | sed "s|^|$top/|" | xargs codespell
}

# Files that a document names are there; one in build/ is to be made.
missing_files() {
	texts | while read -r f; do
		grep -oE '\b(Documentation|arch|drivers|include|scripts|tools|virt)/[A-Za-z0-9_./-]*[A-Za-z0-9_]' \
			"$top/$f" | sort -u | while read -r name; do
			[ -e "$tree/$name" ] || [ -e "$top/$name" ] ||
				echo "$f: there is no $name"
		done
	done
}

# What a document shows as a program is compiled and run as a test.
shown() {
	tests=tools/testing/selftests/vfio/spapr_tce
	texts | while read -r f; do
		sed -n 's|^.. literalinclude:: .*/\(.*\)\.c$|\1|p' "$top/$f" |
		while read -r program; do
			grep -q "^TEST_GEN_PROGS += $program\$" "$top/$tests/Makefile" ||
				echo "$f: $program is no test"
		done
	done
}

# figures EXACT MADE DOCUMENT: each figure of DOCUMENT is that of the same line
# of MADE, or differs by EXACT percent at most.
figures() {
	awk -v within="$1" -v doc="$3" -f "$here/figures.awk" "$2" "$3"
}
cost=$top/Documentation/arch/powerpc/tce-cost.rst
bench_figures() {
	awk -v csv=/dev/null -f "$here/bench.awk" "$build/bench-base" \
		"$build/bench-ours" >"$build/bench.txt" &&
	figures 2 "$build/bench.txt" "$cost"
}
hcall_figures() {
	awk -f "$here/hcalls-table.awk" "$build/hcalls" >"$build/hcalls.txt" &&
	figures 2 "$build/hcalls.txt" "$cost"
}

# The picture of a window: 16 TCEs that have 2^27 - 1 others between them
sparse_map() {
	awk 'BEGIN {
		print "table=7 start=0x0 page_shift=16 tces=2147483648 levels=4 level_shift=12 view=1"
		for (i = 0; i < 16; i++)
			printf "%x 1 0+1\n", i * 2^27
	}'
}
shown_map() {
	awk '/^    table 7: /		{ on = 1 }
	on && /^[^ ]/		{ exit }
	on			{ sub(/^    /, ""); print }' \
		"$top/Documentation/arch/powerpc/tce-observe.rst" |
		sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'
}
picture() {
	shown_map >"$build/docs-shown"
	sparse_map | "$top/tools/spapr_tce/tce-map" --ascii --width 72 --rows 26 - |
		diff "$build/docs-shown" -
}

# printed FILE NAME WHAT COMMAND: nobody has to run a benchmark for documents.
printed() {
	if [ -f "$1" ]; then
		verdict "$2" "$3" "$4"
	else
		echo "skip    docs: $3 (make $5 was not run here)"
	fi
}

mkdir -p "$logs"
"$here/setup.sh" docs
"$here/tree.sh"

verdict build		"make htmldocs builds our pages"	builds
verdict warnings	"Sphinx has no warnings of them"	warnings
verdict contents	"tables of contents name what is there"	contents
verdict spelling	"spelling"				spelled
verdict files		"files that documents name are there"	missing_files
verdict shown		"programs that documents show are tests" shown
verdict picture		"the picture of a window is tce-map's"	picture
verdict readme		"README has the figures of tce-cost.rst" \
	figures 0 "$cost" "$top/README.md"
verdict cover		"so has the cover letter" \
	figures 0 "$cost" "$top/series/00-cover"
printed "$build/bench-ours" bench "figures are those that make bench printed" \
	bench_figures bench
printed "$build/hcalls" hcalls "those of hypercalls are, too" \
	hcall_figures bench-hcalls
