#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Our documents: built by the kernel tree's own Sphinx set-up, spelled, and
# with the figures that the benchmarks printed last.  The details of what
# failed are in build/log/docs-NAME.log, the pages in build/docs.

. "$(dirname "$0")/lib.sh"

part=docs
tests=tools/testing/selftests/vfio/spapr_tce
cost=$top/scripts/spapr_tce/cost.rst
built=$logs/docs-sphinx.log

# What people read: under the name that it has in the repository.
texts() { repo_files | grep -E '\.(rst|md)$'; }
rst_in_tree() { overlay_files | to_paths | grep '^Documentation/.*\.rst$'; }

# Sphinx reads the pages that have anything of ours, and all of powerpc, so
# that it takes seconds; then it misses others, which nobody of ours names.
builds() {
	mkdir -p "$build/docs"
	rm -rf "$build/docs/Documentation/output"
	pages="index.rst,arch/index.rst,arch/powerpc/**.rst"
	pages=$pages,$(rst_in_tree | sed 's|^Documentation/||' | paste -sd , -)
	# YNL_INDEX would make more pages, in the tree.
	make -C "$tree" O="$build/docs" htmldocs SPHINXDIRS=. YNL_INDEX= \
		SPHINXOPTS="-D include_patterns=$pages" >"$built" 2>&1 ||
		{ tail -n 20 "$built"; return 1; }
	rst_in_tree | sed 's|^Documentation/\(.*\)\.rst$|\1|' | while read -r f; do
		[ -f "$build/docs/Documentation/output/$f.html" ] || echo "$f: no page was made"
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
		--no-summary --types TYPO_SPELLING,REPEATED_WORD -f
	texts | sed "s|^|$top/|" | xargs codespell
}

# Files that a document names are there; one in build/ is to be made.
missing_files() {
	cd "$top" || return
	texts | xargs grep -oE \
		'\b(Documentation|arch|drivers|include|scripts|tools|virt)/[A-Za-z0-9_./-]*[A-Za-z0-9_]' |
	sort -u | while IFS=: read -r f name; do
		[ -e "$tree/$name" ] || [ -e "$name" ] || echo "$f: there is no $name"
	done
}

# What a document shows as a program is compiled and run as a test.
shown() {
	cd "$top" || return
	texts | xargs sed -n 's|^.. literalinclude:: .*/\(.*\)\.c$|\1|p' | while read -r program; do
		grep -q "^TEST_GEN_PROGS += $program\$" "$tests/Makefile" || echo "$program is no test"
	done
}

# figures PERCENT MADE DOCUMENT: each line of DOCUMENT that begins like one of MADE
# in a table has its figures, or as many of them, with that difference at most; and
# some line does.
figures() {
	perl -e '
	my ($within, $made, $doc) = @ARGV;
	my (%figures, $compared);
	# A line of a table: two spaces between columns, and figures behind the first.
	# It is known again by that column and what the heading has before "base".
	sub rows {
		my ($table, @rows) = "";
		open my $in, "<", $_[0] or die "$_[0]: $!\n";
		while (<$in>) {
			$table = "" if /^\s*$/;
			($table = $1) =~ s/\s+/ /g, next if /^(.*?(?:^|[ :]))base\b.*ours\b/;
			next if $table eq "";
			my ($first, $rest) = split /\s{2,}/, s/^\s+//r, 2;
			my @f = split " ", $rest // "";
			push @rows, [$., "$table: $first", @f] if @f > 1;
		}
		return @rows;
	}
	$figures{$$_[1]} = [@$_[2 .. $#$_]] for rows($made);
	for (rows($doc)) {
		my ($line, $what, @f) = @$_;
		my $want = $figures{$what} or next;
		$compared++;
		for my $i (0 .. $#f) {
			my ($is, $was) = map { s/,//gr } $f[$i], $$want[$i] // "not there";
			next if $is eq $was;
			my $number = qr/^[0-9.]+$/;
			print "$doc:$line: $what: $is, and was $was\n" if $is !~ $number || $was !~ $number ||
				abs($is - $was) * 100 > $within * ($is > $was ? $is : $was);
		}
	}
	print "$doc: no line of $made is there\n" unless $compared;' "$@"
}

# The picture of a window: 16 TCEs that have 2^27 - 1 others between them
picture() {
	awk 'BEGIN {
		print "table=7 start=0x0 page_shift=16 tces=2147483648 levels=4 level_shift=12 view=1"
		for (i = 0; i < 16; i++)
			printf "%x 1 0+1\n", i * 2^27
	}' | "$top/tools/spapr_tce/tce-map" --ascii --width 72 --rows 26 - |
		grep . >"$build/docs-picture"
	sed -n '/^    table 7: /,/^[^ ]/{s/^    //p;}' "$top/Documentation/admin-guide/spapr-tce.rst" |
		grep . | diff "$build/docs-picture" -
}

# What make run prints of its steps, but for the time that they take
steps() {
	sed -nE 's/ +[0-9.]+ ms//; s/^ +([0-9]+  .* B|[0-9]+  .*iB)( .*)$/\1\2/p' "$1" | tr -s ' '
}
demo() {
	steps "$top/README.md" >"$build/docs-steps"
	grep -q . "$build/docs-steps" || echo "README.md: no steps"
	steps "$1" | grep -vxF -f - "$build/docs-steps" || :
}

# printed FILE NAME WHAT TARGET CHECK...: nobody has to make TARGET, which leaves FILE,
# for documents.
printed() {
	file=$1 name=$2 title=$3 target=$4
	shift 4
	if [ -f "$file" ]; then
		verdict "$name" "$title" "$@"
	else
		echo "skip    docs: $title (make $target was not run here)"
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
verdict readme		"README has the figures of cost.rst" figures 0 "$cost" "$top/README.md"
verdict cover		"so has the cover letter"		figures 0 "$cost" "$top/series/00-cover"
ran=$logs/run-powernv9.log.demo made=$build/bench.txt hcalls=$build/hcalls.txt
printed "$ran" demo "README has the steps as make run prints them" run demo "$ran"
printed "$made" bench "figures are those that make bench printed" bench \
	figures 2 "$made" "$cost"
printed "$hcalls" hcalls "those of hypercalls are, too" bench-hcalls \
	figures 2 "$hcalls" "$cost"
