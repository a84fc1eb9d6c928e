#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What can be said of the sources without running them, one line per check.
# The details of a failed one are in build/log/static-NAME.log.

. "$(dirname "$0")/lib.sh"

# verdict NAME WHAT COMMAND...: COMMAND must succeed and its output says why not.
verdict() {
	name=$1 what=$2
	shift 2
	if "$@" >"$logs/static-$name.log" 2>&1 </dev/null; then
		echo "ok      static: $what"
	else
		echo "not ok  static: $what (build/log/static-$name.log)"
		head -n 40 "$logs/static-$name.log" >&2
	fi
}

# none COMMAND...: COMMAND must have nothing to say.
none() {
	! "$@" | grep .
}

shell_clean() {
	scripts=$(repo_files | while read -r f; do
		! head -n 1 "$top/$f" | grep -q '^#!.*sh$' || echo "$f"
	done)
	# shellcheck disable=SC2086 # a list of names without spaces
	(cd "$top" && shellcheck -x -P SCRIPTDIR \
		scripts/spapr_tce/lib.sh $scripts)
}

# Our C, under the names that it has in the tree.
whole_c() { overlay_files | grep '\.[chS]$' || :; }
# Kernel objects with anything of ours in them.
objects() {
	sed -n 's/\.c$/.o/p' "$build/overlay" |
		grep -Ev '^(tools|scripts|samples|Documentation)/' || :
}

# checkpatch leaves a file in the current directory when that is a repository,
# and knows what a file is by its path: run it in the tree.
checkpatch_files() {
	cd "$tree" || return
	ignore=FILE_PATH_CHANGES,EMBEDDED_FILENAME
	# kzalloc_obj(), which 7.x asks for, is not in 6.12.
	ignore=$ignore,ALLOC_WITH_SIZEOF
	whole_c | grep -Ev "$shims|$traces" | checkpatch $ignore || return
	# Trace events and a harness's declarations are languages of their own.
	own=$ignore,COMPLEX_MACRO,PARENTHESIS_ALIGNMENT,OPEN_ENDED_LINE
	own=$own,MULTISTATEMENT_MACRO_USE_DO_WHILE,MACRO_ARG_REUSE
	whole_c | grep -E "$traces" | checkpatch "$own" || return
	# Stand-ins for the kernel's own macros cannot be better than those are.
	ignore=$ignore,MACRO_ARG_REUSE,MACRO_ARG_UNUSED,MACRO_ARG_PRECEDENCE
	ignore=$ignore,PREFER_DEFINED_ATTRIBUTE_MACRO,NEW_TYPEDEFS,BIT_MACRO
	ignore=$ignore,SINGLE_STATEMENT_DO_WHILE_MACRO,UNCOMMENTED_DEFINITION
	ignore=$ignore,CAMELCASE
	whole_c | grep -E "$shims" | checkpatch "$ignore"
}
checkpatch() {
	xargs -r -n 4 -P "$JOBS" perl scripts/checkpatch.pl --strict -q \
		--no-tree --no-summary --ignore "$1" -f
}
# ... and libFuzzer's names are not ours.
shims='^tools/testing/spapr_tce/((custom|dup|stub|bench/base)/|tests/fuzz\.c)'
traces='^include/trace/events/|/(harness|abi)\.h$'

checkpatch_hooks() {
	cd "$tree" || return
	overlay_files | grep '\.diff$' | sed "s|^|$top/|" |
		xargs -r -n 4 -P "$JOBS" perl scripts/checkpatch.pl --strict -q \
		--no-tree --no-summary --no-signoff \
		--ignore FILE_PATH_CHANGES,COMMIT_MESSAGE,MISSING_SIGN_OFF
}

# A hook is a -U1 diff; one that has grown belongs in a file of ours.  What it
# takes out may have moved there already, so only new lines count.  One has grown
# and is to be cut: the hand-over of an LPAR's windows.
small_hooks() {
	cd "$top" || return
	overlay_files | grep '\.diff$' | to_paths | while read -r f; do
		set --
		for hook in "$f.diff" "$f.$(base_name).diff"; do
			[ ! -f "$hook" ] || set -- "$@" "$hook"
		done
		awk -v f="$f" -v grown=pseries/iommu.c '
		/^(---|\+\+\+) /	{ next }
		/^@@/			{ ctx = 0; next }
		/^-/			{ ctx = 0 }
		/^\+/			{ n++; ctx = 0 }
		/^ /			{ if (++ctx == 3) print FILENAME ":" FNR ": more than one line of context" }
		END			{ if (n > (f ~ grown ? 110 : 40)) print f ": " n " new lines" }
		' "$@"
	done
}

# A hunk that serves both bases belongs in the hook for every base.
twice_hooked() {
	cd "$top" || return
	overlay_files | sed -n "s/\\.$(base_name)\\.diff$//p" | while read -r f; do
		for hook in $(overlay_files_any | grep -xE "$f\.($bases)\.diff"); do
			[ "$hook" != "$f.$(base_name).diff" ] || continue
			cp "$base/$f" "$build/twice"
			[ ! -f "$f.diff" ] ||
				patch -s -F0 -r - "$build/twice" "$f.diff"
			! patch -s -f -F0 --dry-run -r - "$build/twice" "$hook" \
				>/dev/null || echo "$hook: applies to this base, too"
		done
	done
	rm -f "$build/twice" "$build/twice.orig"
}

kernel_docs() {
	cd "$tree" || return
	docs=$(whole_c | xargs -r grep -l '^/\*\*$' || :)
	# shellcheck disable=SC2086 # a list of names without spaces
	[ -z "$docs" ] || scripts/kernel-doc -none -Wreturn -Werror $docs
}

# new_lines PATH: the numbers of its lines that are not the base's.
new_lines() {
	if [ -f "$base/$1" ] && [ ! -f "$top/$1" ]; then
		diff --unchanged-line-format= --old-line-format= \
			--new-line-format="$1:%dn
" "$base/$1" "$tree/$1" || :
	else
		awk -v f="$1" '{ print f ":" FNR }' "$tree/$1"
	fi
}

# compile with every warning and sparse; what they say about a line of ours is
# a failure.  In a build directory of its own, not to spoil the kernel's.
compile_log=$logs/static-compile.log
compile() {
	obj=$tree/obj-check
	mkdir -p "$obj" "$CCACHE_DIR"
	kmake() {
		make -C "$tree" O="$obj" CC="ccache ${CROSS_COMPILE}gcc" -j "$JOBS" "$@"
	}
	fragments default >"$obj/fragment"
	kmake -s KCONFIG_ALLCONFIG="$obj/fragment" allnoconfig
	kmake -s prepare
	# What is not built anew says nothing.
	(cd "$obj" && objects | xargs -r rm -f)
	objects | xargs -r make -C "$tree" O="$obj" C=2 W=1 -k -j "$JOBS" \
		CC="ccache ${CROSS_COMPILE}gcc" CF="-include $here/sparse.h"
}
about_ours() {
	while read -r f; do
		new_lines "$f"
	done <"$build/overlay" >"$build/our-lines"
	sed -n 's|^\(\.\{1,2\}/\)*||; s|^\([^ :]*:[0-9]*\):.*|\1 &|p' "$compile_log" |
	awk 'NR == FNR { ours[$1]; next }
	$1 in ours && /warning:|error:/ {
		$1 = ""
		if (!said[$0]++)
			print
	}' "$build/our-lines" -
}
compiles() {
	tail -n 30 "$compile_log"
	# A sparse that make finds too old it leaves out.
	! grep 'specified, but sparse' "$compile_log" && [ "$compiled" = 0 ]
}

programs() {
	w=$build/check-programs
	rm -rf "$w"
	mkdir -p "$w"
	make -C "$tree" O="$build/headers" -s headers &&
	make -s -C "$tree/tools/testing/selftests/vfio/spapr_tce" OUTPUT="$w" \
		TOP="$tree" USERCFLAGS="-Wextra -Werror" USERLDFLAGS=-static \
		KHDR_INCLUDES="-isystem $build/headers/usr/include" -j "$JOBS" all &&
	"${CROSS_COMPILE}gcc" -O2 -Wall -Wextra -Werror -o "$w/init" -static \
		"$top/tools/testing/spapr_tce/init.c"
}

no_spdx() {
	repo_files | grep -Ev '(\.diff|\.md|\.config|^COPYING|^MAINTAINERS|^series/.*|^Documentation/ABI/.*|/config|/settings)$' |
	while read -r f; do
		head -n 3 "$top/$f" | grep -q 'SPDX-License-Identifier: .*GPL-2.0' ||
			echo "$f: no SPDX line"
	done
}

# The dots are in brackets so that this file names no registry either.
registries='debian[.]org|ubuntu[.]com|pypi[.]org|pythonhosted[.]|npmjs[.]|crates[.]io|rubygems[.]|proxy[.]golang'
registry_names() {
	repo_files | sed "s|^|$top/|" | xargs grep -nE "$registries" || :
}

generated() {
	repo_files | grep -E '(^build/|\.(o|a|ko|cpio|img|gz|xz|log|orig|rej|patch)$)' || :
	repo_files | while read -r f; do
		[ "$(wc -c <"$top/$f")" -lt 300000 ] || echo "$f: generated?"
	done
}

# Documents name tests as "program: fixture.test".
missing_tests() {
	tests=$top/tools/testing/selftests/vfio/spapr_tce
	programs=$(sed -n 's/^TEST_GEN_PROGS [:+]= //p' "$tests/Makefile" | paste -sd '|' -)
	repo_files | grep '^Documentation/.*rst$' | while read -r f; do
		grep -oE "\\b($programs): [a-z0-9_]+\\.[a-z0-9_]+" "$top/$f" |
		while IFS=': .' read -r program fixture test; do
			grep -qE "^TEST_F(_TIMEOUT)?\\($fixture, ${test}[,)]" \
				"$tests/$program.c" ||
				echo "$f: there is no $program: $fixture.$test"
		done
	done
}

# Each reason to skip a test is in a class, and README.md says what that needs.
skip_classes() {
	sed -n 's/^\([a-z]*\)\t.*/\1/p' "$here/skips" | while read -r class; do
		grep -q "^| $class |" "$top/README.md" ||
			echo "README.md: nothing of the class $class of scripts/spapr_tce/skips"
	done
	cat "$top"/tools/testing/selftests/vfio/spapr_tce/*.[ch] | tr '\n\t' '  ' |
		grep -oE 'SKIP\([a-z ]+[0-9]?, *"[^"]*"' |
		sed 's/.*"\(.*\)"$/\1/; /^%s$/d; s/%[a-z]*/1/g; s/.*/skip x (&)/' |
		awk -f "$here/skips.awk" "$here/skips" - |
		sed -n '/^ *[0-9]* *other$/,$s/^ /no class: /p'
}

# Configurations against Debian's; both want no compiler but for its version.
like_distribution() {
	obj=$tree/obj-config
	mkdir -p "$obj"
	fragments debian >"$obj/fragment"
	make -C "$tree" O="$obj" -s KCONFIG_ALLCONFIG="$obj/fragment" \
		allnoconfig >"$logs/static-allnoconfig.log" 2>&1 || return 1
	"$here/check-config.sh" debian "$obj/.config"
}
config() {
	what="configurations differ from Debian's only where it is explained"
	rc=0
	"$here/check-config.sh" debian /dev/null >/dev/null 2>&1 || rc=$?
	if [ $rc = 4 ]; then
		echo "skip    static: $what (no package of Debian's configuration)"
	else
		verdict config "$what" none like_distribution
	fi
}

mkdir -p "$logs"
"$here/tree.sh"

verdict shellcheck	"shellcheck"				shell_clean
verdict checkpatch	"checkpatch --strict, our files"	checkpatch_files
verdict hooks		"checkpatch --strict, hooks"		checkpatch_hooks
verdict small		"hooks are small, with -U1 context"	none small_hooks
verdict twice		"hooks for one base serve no other"	none twice_hooked
verdict kernel-doc	"kernel-doc"				kernel_docs
say "compiling what is ours with W=1 and sparse"
compiled=0
compile >"$compile_log" 2>&1 </dev/null || compiled=$?
verdict objects		"every object of ours compiles alone"	compiles
verdict warnings	"W=1 and sparse have nothing to say"	none about_ours
verdict programs	"test programs compile with -Werror"	programs
verdict spdx		"SPDX lines"				none no_spdx
verdict registries	"no registry host names"		none registry_names
config
verdict skips		"what skipped tests need is told"	none skip_classes
verdict generated	"no generated files"			none generated
verdict tests		"tests that documents name are there"	none missing_tests
verdict series		"patches carry every path as they should"		"$here/series.sh" --check
