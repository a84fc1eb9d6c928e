#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What can be said of the sources without running them, one line per check.
# The details of a failed one are in build/log/static-NAME.log.

. "$(dirname "$0")/lib.sh"

part=static
tests=tools/testing/selftests/vfio/spapr_tce

shell_clean() (
	cd "$top" || exit
	# shellcheck disable=SC2046 # a list of names without spaces
	shellcheck -x -P SCRIPTDIR -P scripts/spapr_tce scripts/spapr_tce/lib.sh \
		$(repo_files | xargs grep -lE '^#!.*/(ba)?sh$' -m 1)
)

# Our C, under the names that it has in the tree.
whole_c() { overlay_files | grep '\.[chS]$'; }

# checkpatch leaves a file in the current directory when that is a repository,
# and knows what a file is by its path: run it in the tree.
checkpatch() {
	types=$1
	shift
	# Without a tree it says that it misses one.
	xargs -r -n 4 -P "$JOBS" perl scripts/checkpatch.pl --strict -q \
		--no-tree --no-summary --ignore "$types" "$@" 2>&1 |
		grep -vE "^(Use of uninitialized value .root|find: '/include')" || :
}
# Stand-ins for the kernel's own macros cannot be better than those are; libFuzzer's
# names are not ours; trace events and a harness's declarations are languages of
# their own.
shims='^tools/testing/spapr_tce/((custom|dup|stub|bench/base)/|bench/generic-pt\.h|tests/fuzz\.c)'
traces='^include/trace/events/|/(harness|abi)\.h$'
checkpatch_files() {
	cd "$tree" || return
	# kzalloc_obj(), which 7.x asks for, is not in 6.12. A for_each macro uses
	# its arguments again, as those of the kernel do.
	ignore=FILE_PATH_CHANGES,EMBEDDED_FILENAME,ALLOC_WITH_SIZEOF,MACRO_ARG_REUSE
	whole_c | grep -Ev "$shims|$traces" | checkpatch $ignore -f
	own=$ignore,COMPLEX_MACRO,PARENTHESIS_ALIGNMENT,OPEN_ENDED_LINE
	own=$own,MULTISTATEMENT_MACRO_USE_DO_WHILE
	whole_c | grep -E "$traces" | checkpatch "$own" -f
	ignore=$ignore,MACRO_ARG_UNUSED,MACRO_ARG_PRECEDENCE
	ignore=$ignore,PREFER_DEFINED_ATTRIBUTE_MACRO,NEW_TYPEDEFS,BIT_MACRO
	ignore=$ignore,SINGLE_STATEMENT_DO_WHILE_MACRO,UNCOMMENTED_DEFINITION
	whole_c | grep -E "$shims" | checkpatch "$ignore,CAMELCASE" -f
}
checkpatch_hooks() {
	cd "$tree" || return
	overlay_files | sed -n "/\.diff$/s|^|$top/|p" |
		checkpatch FILE_PATH_CHANGES,COMMIT_MESSAGE,MISSING_SIGN_OFF --no-signoff
}

# A hook is a -U1 diff, with more context only where that tells one base from the
# other.  One that has grown belongs in a file of ours.  What it takes out may have
# moved there already, so only new lines count.
small_hooks() {
	cd "$top" || return
	for f in $(overlay_files | grep '\.diff$' | to_paths); do
		[ ! -f "$f.diff" ] || awk -v f="$f" '
		/^(---|\+\+\+|@@)|^[-+]/	{ ctx = 0 }
		/^ /		{ if (++ctx == 3) print f ": more than one line of context: " $0 }' "$f.diff"
		for hook in "$f.diff" "$f.$(base_name).diff"; do
			[ ! -f "$hook" ] || awk -v f="$hook" '
			/^\+/ && !/^\+\+\+ /	{ n++ }
			END	{ if (n > 40) print f ": " n " new lines" }' "$hook"
		done
	done
}

# Lower layers know nothing of upper ones, and upper ones see no field of lower ones.
layers() {
	cd "$tree" || return
	upper='vfio|kvm'
	users="tce_user|$upper"
	included "$users|mm_iommu|asm/iommu[.]h" arch/powerpc/include/asm/tce_tree.h \
		arch/powerpc/kernel/tce_tree.c arch/powerpc/kernel/tce_trim.c \
		arch/powerpc/kernel/tce_level.* \
		arch/powerpc/include/asm/tce_lock.h
	included "$users|spapr_tce" arch/powerpc/include/asm/mm_iommu.h \
		include/trace/events/mm_iommu.h arch/powerpc/mm/book3s64/iommu_*
	included "$users|mm_iommu|asm/iommu[.]h|tce_tree" \
		arch/powerpc/include/asm/tce_charge.h arch/powerpc/kernel/tce_charge.c
	# Domains stand beside tables of users, and platforms above both.
	included "$users|mm_iommu" arch/powerpc/include/asm/iommu_domain.h \
		arch/powerpc/kernel/iommu_domain.c arch/powerpc/kernel/tce_domain*
	included "$upper|tce_user[.]h" arch/powerpc/platforms/powernv/pci-ioda-tce.c \
		arch/powerpc/platforms/pseries/tce_*
	included "$upper" arch/powerpc/include/asm/tce_user_table.h arch/powerpc/kernel/tce_*
	fields='->it_(tree|user)|(guest_tces|account)[.][a-z]|"tce_user|"iommu_region'
	grep -nE -- "$fields" drivers/vfio/spapr_tce* \
		arch/powerpc/kvm/book3s_64_vio* || :
}
included() {
	what=$1
	shift
	grep -nE "^#include .*($what)" "$@" || :
}

# A hunk that serves both bases belongs in the hook for every base.
twice_hooked() {
	cd "$top" || return
	for f in $(overlay_files | sed -n "s/\\.$(base_name)\\.diff$//p"); do
		for hook in $(overlay_files_any | grep -xE "$f\.($bases)\.diff"); do
			[ "$hook" != "$f.$(base_name).diff" ] || continue
			cp "$base/$f" "$build/twice"
			[ ! -f "$f.diff" ] || patch -s -F0 -r - "$build/twice" "$f.diff"
			! patch -s -f -F0 --dry-run -r - "$build/twice" "$hook" >/dev/null ||
				echo "$hook: applies to this base, too"
		done
	done
	rm -f "$build/twice" "$build/twice.orig"
}

kernel_docs() {
	cd "$tree" || return
	# shellcheck disable=SC2046 # a list of names without spaces
	scripts/kernel-doc -none -Wreturn -Werror $(whole_c | xargs grep -l '^/\*\*$')
}

# Compile with every warning and sparse, in a build directory of its own, not to
# spoil the kernel's.  What is said about a line of ours is a failure.
compile_log=$logs/static-compile.log
compile() {
	obj=$tree/obj-check
	mkdir -p "$obj" "$CCACHE_DIR"
	fragments default >"$obj/fragment"
	overlaid | sed -n 's/\.c$/.o/p' |
		grep -Ev '^(tools|scripts|samples|Documentation)/' >"$obj/ours"
	# What is not built anew says nothing.
	(cd "$obj" && xargs rm -f <ours)
	set -- make -C "$tree" O="$obj" CC="ccache ${CROSS_COMPILE}gcc" -j "$JOBS"
	"$@" -s KCONFIG_ALLCONFIG="$obj/fragment" allnoconfig && "$@" -s prepare &&
		xargs "$@" C=2 W=1 -k CF="-include $here/sparse.h" <"$obj/ours"
}
compiles() {
	say "compiling what is ours with W=1 and sparse" 2>&3
	compile >"$compile_log" 2>&1 || tail -n 30 "$compile_log"
	# A sparse that make finds too old it leaves out.
	grep 'specified, but sparse' "$compile_log" || :
}
about_ours() {
	overlaid | while read -r f; do
		from=$base/$f
		[ -f "$from" ] && [ ! -f "$top/$f" ] || from=/dev/null
		diff --unchanged-line-format= --old-line-format= --new-line-format="$f:%dn
" "$from" "$tree/$f" || :
	done >"$build/our-lines"
	sed -nE 's|^(\.{1,2}/)*||; /warning:\|error:/s|^([^ :]*:[0-9]*):.*|\1 &|p' "$compile_log" |
		awk 'NR == FNR { ours[$1]; next } $1 in ours { $1 = ""; print }' "$build/our-lines" - |
		sort -u
}

programs() {
	w=$build/check-programs
	rm -rf "$w"
	mkdir -p "$w"
	make -C "$tree" O="$build/headers" -s headers &&
	make -s -C "$tree/$tests" OUTPUT="$w" \
		TOP="$tree" USERCFLAGS="-Wextra -Werror" USERLDFLAGS=-static \
		KHDR_INCLUDES="-isystem $build/headers/usr/include" -j "$JOBS" all >"$w/log" &&
	"${CROSS_COMPILE}gcc" -O2 -Wall -Wextra -Werror -o "$w/init" -static \
		"$top/tools/testing/spapr_tce/init.c"
}

no_spdx() (
	cd "$top" || exit
	repo_files | grep -Ev '(\.diff|\.md|\.config|^COPYING|^MAINTAINERS|^series/.*|^Documentation/ABI/.*|/config|/settings|/\.kunitconfig)$' |
	while read -r f; do
		head -n 3 "$f" | grep -q 'SPDX-License-Identifier: .*GPL-2.0' || echo "$f: no SPDX line"
	done
)

# The dots are in brackets so that this file names no registry either.
registries='debian[.]org|ubuntu[.]com|pypi[.]org|pythonhosted[.]|npmjs[.]|crates[.]io|rubygems[.]|proxy[.]golang'
registry_names() {
	repo_files | sed "s|^|$top/|" | xargs grep -nE "$registries" || :
}

generated() {
	repo_files | grep -E '(^build/|\.(o|a|ko|cpio|img|gz|xz|log|orig|rej|patch)$)' || :
	repo_files | sed "s|^|$top/|" | xargs -I{} find {} -size +300000c
}

# Documents name tests as "program: fixture.test".
missing_tests() {
	programs=$(sed -n 's/^TEST_GEN_PROGS [:+]= //p' "$top/$tests/Makefile" | paste -sd '|' -)
	repo_files | sed -n "s|^Documentation/.*rst$|$top/&|p" |
		xargs grep -ohE "\\b($programs): [a-z0-9_]+\\.[a-z0-9_]+" | sort -u |
	while IFS=': .' read -r program fixture test; do
		has_test "$program" "$fixture" "$test" ||
			echo "there is no $program: $fixture.$test"
	done
	# What shows a fix: "NR who machine config devices append programs tests..."
	sed -n '/^[0-9.]* [a-z]* -/d; /^[0-9]/p' "$top/series/fixes/tests" |
	while read -r nr _ _ _ _ _ programs shown; do
		for t in $shown; do
			[ "$t" = console ] || for p in $(echo "$programs" | tr , ' '); do
				has_test "$p" "${t%%.*}" "${t##*.}" && break
			done || echo "fix $nr: no program of $programs has $t"
		done
	done
}
# has_test PROGRAM FIXTURE TEST
has_test() { grep -qE "^TEST_F(_TIMEOUT)?\\($2, $3[,)]" "$top/$tests/$1.c"; }

mutants_fit() { "$here/check-mutants.sh" --fit 2>&1; }

# Each reason to skip a test is in a class, and a document says what that needs.
skip_classes() {
	sed '1,/^__DATA__/d; s/\t.*//' "$here/skips.pl" | while read -r class; do
		grep -qrE "^(\| )?$class( \||$)" "$top/README.md" "$here/README.rst" ||
			echo "nothing is told of the class $class of scripts/spapr_tce/skips.pl"
	done
	cat "$top/$tests"/*.[ch] | tr '\n\t' '  ' | grep -oE 'SKIP\([a-z ]+[0-9]?, *"[^"]*"' |
		sed 's/.*"\(.*\)"$/\1/; /^%s$/d; s/%[a-z]*/1/g; s/.*/skip x (&)/' |
		"$here/skips.pl" | sed -n '/^ *[0-9]* *other$/,$s/^ /no class: /p'
}

# Debian's configuration against ours, which wants no compiler but for its version
config() {
	what="configurations differ from Debian's only where it is explained"
	obj=$tree/obj-config rc=0
	mkdir -p "$obj"
	fragments debian >"$obj/fragment"
	make -C "$tree" O="$obj" -s KCONFIG_ALLCONFIG="$obj/fragment" allnoconfig \
		>"$logs/static-allnoconfig.log" 2>&1 </dev/null || :
	"$here/check-config.sh" "$obj/.config" >"$obj/differences" || rc=$?
	if [ $rc = 4 ]; then
		echo "skip    static: $what (no package of Debian's configuration)"
	else
		verdict config "$what" cat "$obj/differences"
	fi
}

# BASE=1 must not ask for what only our files give.
base_config() {
	obj=$build/obj-config-base
	mkdir -p "$obj"
	(BASE=1; fragments default) >"$obj/fragment"
	make -C "$base" O="$obj" -s KCONFIG_ALLCONFIG="$obj/fragment" allnoconfig &&
		wanted "$obj/fragment" "$obj/.config"
}

exec 3>&2	# for who waits, not for a verdict
mkdir -p "$logs"
"$here/setup.sh" static
"$here/tree.sh"
verdict shellcheck	"shellcheck"				shell_clean
verdict checkpatch	"checkpatch --strict, our files"	checkpatch_files
verdict hooks		"checkpatch --strict, hooks"		checkpatch_hooks
verdict small		"hooks are small, with -U1 context"	small_hooks
verdict layers		"lower layers know nothing of upper ones"	layers
verdict twice		"hooks for one base serve no other"	twice_hooked
verdict kernel-doc	"kernel-doc"				kernel_docs
verdict objects		"every object of ours compiles alone"	compiles
verdict warnings	"W=1 and sparse have nothing to say"	about_ours
verdict programs	"test programs compile with -Werror"	programs
verdict spdx		"SPDX lines"				no_spdx
verdict registries	"no registry host names"		registry_names
config
verdict base-config	"the base kernel gives what BASE=1 asks for"	base_config
verdict skips		"what skipped tests need is told"	skip_classes
verdict generated	"no generated files"			generated
verdict tests		"tests that documents name are there"	missing_tests
verdict mutants		"mutants fit the files that they break"	mutants_fit
verdict series		"patches carry every path as they should" "$here/series.sh" --check
