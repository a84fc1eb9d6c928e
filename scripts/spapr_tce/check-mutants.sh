#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# check-mutants.sh [NUMBER...]: would the tests notice?  Each record of
# tools/testing/spapr_tce/mutants breaks one of the kernel's files; of the
# programs below, in this order, one must go red.  Record 0 changes nothing, and
# everything must stay green.  After those come SAMPLE (a number, or all) of the
# mutants that mutants.pl makes: none in the check until it is known which of them
# survive.  Those that may are in mutants.survivors with a reason; any other is a
# failure.  NUMBERs choose records, PROGRAMS programs.
#
# All of it happens in copies in build/host/mutant, so that neither the good
# build nor what somebody edits meanwhile comes into it.

. "$(dirname "$0")/lib.sh"

by_hand=$top/tools/testing/spapr_tce/mutants
survivors=$by_hand.survivors
sample=${SAMPLE:-0}
work=$build/host/mutant
good=$work/good
harness=$work/harness
list=$work/list
programs=${PROGRAMS:-fast-16/tce_tree_kunit fast-16/unit fast-16/kvm-unit fast-16/sweep
	asan-16/unit asan-16/kvm-unit asan-12/unit asan-12/kvm-unit
	asan-16/sweep tsan-16/threads fuzz-16/fuzz}
variants=$(echo "$programs" | tr -s ' \t' '\n' | sed 's|/.*||' | sort -u)
files=$(sed -n '/^OURS := /,/[^\\]$/p; /^ifeq (.*bench-base/q' "${by_hand%/*}/Makefile" |
	grep -o '[a-z][^ ]*\.[ch]\b')

# record N WHAT: the line of record N that begins so, without that
record() {
	awk -v n="$1" -v what="$2" '
	/^= /	{ i++ }
	i == n && substr($0, 1, length(what)) == what {
		print substr($0, length(what) + 1)
		exit
	}' "$list"
}

# The source of record N as it is in the kernel tree
source_of() {
	record "$1" '@ '
}

# ... and where a build has it
copy_of() {
	f=$(source_of "$1")
	case $f in
	arch/powerpc/include/*) echo "include/${f#arch/powerpc/include/}" ;;
	*) echo "src/${f##*/}" ;;
	esac
}

# mutate N FILE: what FILE becomes; fails if it has no place for record N, or
# more than one.  Below a line of context, which is there once, the first counts.
mutate() {
	awk -v n="$1" '
	NR == FNR && /^= /		{ i++ }
	NR == FNR && i == n && /^>/	{ context = "\n" substr($0, 2) "\n" }
	NR == FNR && i == n && /^-/	{ old = old "\n" substr($0, 2) }
	NR == FNR && i == n && /^\+/	{ new = new "\n" substr($0, 2) }
	NR != FNR			{ text = text "\n" $0 }
	END {
		text = text "\n"
		at = 1
		if (context) {
			at = index(text, context)
			if (!at || index(substr(text, at + 1), context))
				exit 1
		}
		at += index(substr(text, at), old "\n") - 1
		rest = substr(text, at + length(old))
		if (!old || index(substr(text, at), old "\n") != 1 ||
		    (!context && index(rest, old "\n")))
			exit 1
		printf "%s", substr(substr(text, 1, at - 1) new rest, 2)
	}' "$list" "$2"
}

# The records that are tried: those made by hand, then those of the sample that
# are not listed as survivors.  How many of it are listed is in $work/listed.
make_list() {
	# shellcheck disable=SC2086 # a list of words
	"$here/mutants.pl" "$top" $files \
		arch/powerpc/include/asm/tce_tree.h arch/powerpc/include/asm/tce_user_table.h \
		>"$work/generated"
	cp "$by_hand" "$list"
	awk -v RS= -v sample="$sample" -v list="$list" -v count="$work/listed" '
	FILENAME == ARGV[1] {
		# Without the reason; what has none is a comment
		if (sub(/\n\? .*/, ""))
			listed[$0] = 1
		next
	}
	{
		chosen = sample == "all" || FNR <= sample
		if (!($0 in listed) && chosen)
			print "\n" $0 >>list
		if (($0 in listed) && chosen)
			n++
		delete listed[$0]
	}
	END {
		for (m in listed) {
			split(m, line, "\n")
			print "not ok  mutant: listed, and not made any more: " \
				substr(line[1], 3)
		}
		print n + 0 >count
	}' "$survivors" "$work/generated"
}

# Every record must have its place, before anything is run
check_list() {
	stale=
	for n in $(seq 1 "$written"); do
		f=$top/$(source_of "$n")
		if [ ! -f "$f" ] || ! mutate "$n" "$f" >"$work/try" ||
		   cmp -s "$f" "$work/try"; then
			echo "$n: $(record "$n" '= ')" >&2
			stale=1
		fi
	done
	rm -f "$work/try"
	[ -z "$stale" ] || die "these do not fit their files any more"
}

# The good build, with sources of its own, and without programs: those would be
# taken for new ones.
take_copies() {
	lock host
	mkdir "$good"
	export work
	cp -a "$tree/tools/testing/spapr_tce" "$harness"
	for v in $variants; do
		cp -aL "$build/host/$v" "$good/"
		rm -f "$good/$v/tce_tree_kunit" "$good/$v/unit" "$good/$v/kvm-unit" "$good/$v/sweep" "$good/$v/threads" \
			"$good/$v/fuzz"
	done
	mkdir "$work/corpus"
	perl -ne 'next if /^#/; chomp; open my $out, ">", "$ENV{work}/corpus/$.";
		print $out pack "H*", $_' "$harness/corpus.hex"
}

# compile N PROGRAM: PROGRAM of VARIANT-SHIFT with record N in it
compile() {
	v=${2%/*}
	if [ ! -d "$work/$1/$v" ]; then
		mkdir -p "$work/$1"
		cp -a "$good/$v" "$work/$1/"
		if [ "$1" != 0 ]; then
			f=$(copy_of "$1")
			mutate "$1" "$good/$v/$f" >"$work/$1/$v/$f" || return
			# Nobody knows who includes a header.
			[ "${f#include}" = "$f" ] || rm "$work/$1/$v"/*.o
		fi
	fi
	make -C "$harness" KERNEL="$tree" OUT="$work/$1" VARIANT="${v%-*}" \
		PAGE_SHIFT="${v#*-}" -o "$work/$1/$v/.made" "$work/$1/$2" \
		</dev/null
}

# same_code N VARIANT: has the compiler made of record N what it makes of the
# good file?  The names of a variant's directories are in none without sanitizers.
same_code() {
	case $2 in
	fast-*) ;;
	*) return 1 ;;
	esac
	find "$work/$1/$2" -name '*.o' -newer "$work/taken/$1" >"$work/$1/made"
	while read -r o; do
		strip -g -o "$o.new" "$o"
		strip -g -o "$o.old" "$good/$2/${o##*/}"
		cmp -s "$o.new" "$o.old" || return 1
	done <"$work/$1/made"
}

# run N PROGRAM: all that it says, and with what it ended
run() {
	cd "$work/$1" || return
	rc=0
	case $2 in
	*/threads)
		TSAN_OPTIONS=halt_on_error=1 timeout -k 5 100 "./$2" 100
		;;
	*/fuzz)
		mkdir new
		timeout -k 5 100 "./$2" -max_len=1024 -max_total_time=20 \
			-timeout=20 -rss_limit_mb=4096 new "$work/corpus"
		;;
	*)
		timeout -k 5 300 "./$2"
		;;
	esac </dev/null || rc=$?
	echo "ended with $rc"
}

# The first thing that went wrong in what a program said: in which test, and
# how.  Does not wait for the rest.
first_failure() {
	awk '
	/^ended with 0$/		{ exit }
	/^ended with (124|137)$/	{ $0 = "timed out" }
	/^#  RUN/			{ why = ""; next }
	/^not ok / {
		sub(/^not ok [0-9]* /, "")
		failed = 1
		said = " " $0
		exit
	}
	/^ended with|^timed out/ {
		failed = 1
		why = why ? why : $0
		exit
	}
	# What a sanitizer, the model or the harness said first
	why == "" && !/^(ok |TAP |1\.\.|=+$|INFO: |#[0-9]|#  |# (Starting|PASSED|Totals))/ {
		why = $0
		sub(/^# */, "", why)
		sub(/^==[0-9]+==/, "", why)
		gsub(/[ \t]+/, " ", why)
		gsub(/ \((pid|tid)=[0-9]+\)| on (unknown )?address.*/, "", why)
	}
	END {
		if (failed)
			print said (why ? ": " substr(why, 1, 110) : "")
	}'
}

# try N: one line of the report
try() {
	what="mutant: $(record "$1" '= ')"
	[ "$1" != 0 ] || what="mutant: none, and all tests are green"
	log=$work/$1.log
	# A mutant may name the program that is made for it
	first=$(record "$1" '! ')
	for p in $first $programs; do
		[ "$p" != "$first" ] || [ ! -e "$log" ] || continue
		if ! compile "$1" "$p" >>"$log" 2>&1; then
			[ "$1" -gt "$written" ] ||
				echo "not ok  $what (does not compile; ${log#"$top"/})"
			return
		fi
		if [ "$1" -gt "$written" ] && same_code "$1" "${p%/*}"; then
			return
		fi
		failure=$(run "$1" "$p" 2>&1 | tee -a "$log" | first_failure)
		[ -z "$failure" ] || break
	done
	caught="${p#*/}$([ "${p%/*}" != asan-12 ] || echo ' (4K pages)')"
	caught=$caught$failure
	if [ "$1" = 0 ] && [ -n "$failure" ]; then
		echo "not ok  $what ($caught; ${log#"$top"/})"
	elif [ "$1" = 0 ]; then
		echo "ok      $what"
	elif [ "$1" -gt "$written" ] && expr "$failure" : '.*\(timed out\|by timeout\)' >/dev/null
	then
		# It may hang, or the machine may be too busy: that proves nothing
		echo "skip    $what ($caught)"
	elif [ -n "$failure" ]; then
		echo "ok      $what # caught by $caught"
		echo caught >"$work/taken/$1/verdict"
	else
		echo survived >"$work/taken/$1/verdict"
		echo "not ok  $what (survived; ${log#"$top"/})"
	fi
}

# Take what nobody has taken yet
worker() {
	for n in "$@"; do
		mkdir "$work/taken/$n" 2>/dev/null || continue
		try "$n"
		: >"$work/taken/$n/done"
		rm -rf "${work:?}/$n"
	done
}

written=$(grep -c '^= ' "$by_hand")

# shellcheck disable=SC2086 # a list of words
"$here/host.sh" $variants
lock mutants
rm -rf "$work"
mkdir -p "$work/taken"
make_list
total=$(grep -c '^= ' "$list")
[ $# != 0 ] || eval "set -- $(seq -s ' ' 0 "$total")"
check_list
(take_copies)
began=$(date +%s)
# Three each: a test that waits for RCU leaves its processor idle
for _ in $(seq "$((3 * JOBS))"); do
	worker "$@" &
done
wait
caught=0 survived=0 listed=$(cat "$work/listed")
for n in "$@"; do
	[ -e "$work/taken/$n/done" ] ||
		echo "not ok  mutant: $(record "$n" '= ') (not tried to its end)"
	[ "$n" -gt "$written" ] || continue
	case $(cat "$work/taken/$n/verdict" 2>/dev/null) in
	caught) caught=$((caught + 1)) ;;
	survived) survived=$((survived + 1)) ;;
	esac
done
say "$# of them, $(($(date +%s) - began)) s"
say "of those that mutants.pl made: $caught caught, $survived survived, $listed listed;" \
	"the others do not compile, are the same code, or timed out"
[ $((95 * (caught + survived + listed))) -le $((100 * caught)) ] ||
	echo "not ok  mutants: less than 95 % of those of mutants.pl are caught"
