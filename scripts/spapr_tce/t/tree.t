#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2016,SC2034,SC2154,SC2317 # what t is given is evaluated there
#
# Assembly of a kernel tree

. "$(dirname "$0")/lib.sh"

patch_of() {
	p=$w/repo/series/$1
	shift
	{ printf 'subject %s\n\nwhy\n---\n' "${p##*/}"; printf '%s\n' "$@"; } >"$p"
}

t "tree: ours, new and hooked files are laid" '
	new_repo && assemble && [ "$(cat $T/drivers/whole.c)" = ours ] &&
	[ "$(cat $T/mm/new.c)" = new ] && [ "$(cat $T/mm/other.c)" = base ] &&
	hooked "one two 3 four five" && grep PATCHLEVEL $T/Makefile && [ ! -e $T/series ]'
t "tree: the base stays as it came" 'new_repo && assemble && diff -r $w/base $w/repo/build/base'
t "tree: a second run writes nothing, and a change one file" '
	new_repo && assemble && touch $w/mark && sleep 0.1 && assemble &&
	[ -z "$(find $T -newer $w/mark)" ] && echo better >$w/repo/drivers/whole.c && assemble &&
	[ "$(find $T -newer $w/mark -type f)" = $T/drivers/whole.c ]'
# ... and look new, or make would keep what it compiled from ours.
t "tree: what is removed comes back" '
	new_repo && assemble && touch $w/mark && sleep 0.1 && rm $w/repo/drivers/whole.c \
		$w/repo/mm/new.c $w/repo/mm/hooked.c.diff && assemble && diff -r $w/base $T &&
	[ -n "$(find $T/drivers/whole.c -newer $w/mark)" ]'
t "tree: a stale hook is named, with its hunk" '
	new_repo && sed -i s/three/THREE/ $w/base/mm/hooked.c &&
	fails mm/hooked.c.diff assemble && grep "Hunk #1" $w/out && grep "^@@ -2,3" $w/out'
t "tree: no fuzz" 'new_repo && sed -i s/two/TWO/ $w/base/mm/hooked.c && fails hooked.c.diff assemble'
t "tree: a hook may move" '
	new_repo && sed -i "1i zero" $w/base/mm/hooked.c && assemble &&
	hooked "zero one two 3 four five"'
t "tree: a hook of nothing is refused" '
	new_repo && rm $w/base/mm/hooked.c && fails mm/hooked.c.diff assemble'
t "tree: a hook of another file is refused" '
	new_repo && sed -i s/hooked/other/ $w/repo/mm/hooked.c.diff && fails "must be a diff of" assemble'
t "tree: whole and hook at once is refused" '
	new_repo && echo >$w/repo/mm/hooked.c && fails "mm/hooked.c: both" assemble &&
	mv $w/repo/mm/hooked.c.diff $w/repo/mm/hooked.c.6.12.diff && fails "mm/hooked.c: both" assemble'
t "tree: a file is taken out, and comes back" '
	new_repo && patch_of 01-a "- mm/other.c" && assemble && [ ! -e $T/mm/other.c ] && assemble &&
	[ ! -e $T/mm/other.c ] && rm $w/repo/series/01-a && assemble && cmp $w/base/mm/other.c $T/mm/other.c'
t "tree: ours and taken out at once is refused" '
	new_repo && patch_of 01-a "- mm/hooked.c" && fails "mm/hooked.c: both" assemble'
t "tree: a file that is not there cannot be taken out" '
	new_repo && patch_of 01-a "- mm/none.c" && fails "no mm/none.c to take out" assemble'
t "tree: hooks that one base needs" '
	new_repo && hook .6.12 five LTS && hook .7 five new && assemble &&
	hooked "one two 3 four LTS" && sed -i "s/= 6/= 7/; s/= 12/= 3/" $w/base/Makefile &&
	assemble && hooked "one two 3 four new" && rm $w/repo/mm/hooked.c.diff && assemble &&
	hooked "one two three four new" && rm $w/repo/mm/hooked.c.7.diff && assemble &&
	cmp $T/mm/hooked.c $w/base/mm/hooked.c'
t "tree: a changed base is noticed" '
	new_repo && assemble && echo newer >$w/base/mm/other.c && assemble &&
	grep newer $T/mm/other.c && [ "$(cat $T/drivers/whole.c)" = ours ]'
t "tree: another tarball is noticed" '
	new_repo && tar -C $w -cJf $w/a.tar.xz base && new_base $w/base 2 &&
	tar -C $w -cJf $w/b.tar.xz base && assemble_from $w/a.tar.xz &&
	assemble_from $w/b.tar.xz && grep "SUBLEVEL = 2" $T/Makefile'

# What is refused, is refused before anything is touched: refused SOURCE WHY
refused() {
	new_repo && assemble && find "$w/repo/build" | sort >"$w/before" &&
	fails_shortly "$2" assemble_from "$1" &&
	find "$w/repo/build" | sort | diff "$w/before" - && assemble &&
	[ "$(cat "$T/drivers/whole.c")" = ours ]
}
t "tree: a directory that is no kernel is refused" 'mkdir $w/private && echo secret >$w/private/key &&
	refused $w/private "not a kernel source"'
t "tree: a file that is no tarball is refused" 'echo text >$w/text && refused $w/text "not a tarball"'
t "tree: a source that is not there is refused" 'refused $w/none "no such kernel source"'
t "tree: another version is refused" 'new_base $w/later 9 && sed -i s/12/13/ $w/later/Makefile &&
	refused $w/later "6.13.9; there are hooks for 6.12 and 7$"'
t "tree: a disk that is too full is told at once" '
	new_repo && tar -C $w -cJf $w/a.tar.xz base && mkdir -p $w/full && printf "#!/bin/sh
		echo Filesystem; echo tmpfs 100 95 5 95%% /x\n" >$w/full/df && chmod +x $w/full/df &&
	PATH=$w/full:$PATH fails_shortly "5 MB are free, 13 MB are needed" assemble_from $w/a.tar.xz &&
	head -c 9M /dev/zero >$w/base/mm/image &&
	PATH=$w/full:$PATH fails_shortly "5 MB are free, 1[0-9] MB are needed" assemble && [ ! -e $w/repo/build/base ]'
# While the base is laid; the next run starts anew.
t "tree: an interrupted run" '
	new_repo && tar -C $w -cJf $w/a.tar.xz base && cp -a $w/base $w/changed &&
	echo later >$w/changed/mm/other.c && assemble_from $w/a.tar.xz && mkdir $w/bin &&
	printf "#!/bin/sh\n$(command -v rsync) \"\$@\"\nkill -INT 0\n" >$w/bin/rsync && chmod +x $w/bin/rsync &&
	! PATH=$w/bin:$PATH KSRC=$w/changed on_repo \
		perl -e "\$SIG{INT} = q(DEFAULT); exec @ARGV" setsid -w $here/tree.sh &&
	assemble_from $w/a.tar.xz &&
	[ "$(cat $T/mm/other.c $w/repo/build/base/mm/other.c | uniq)" = base ]'

# Two patches; the first has the hook in another state, and a file that goes.
P=$w/repo/build/series
new_series() {
	new_repo && git -C "$w/repo" config user.name n && git -C "$w/repo" config user.email e &&
	printf 'cover\n\nletter\n' >"$w/repo/series/00-cover" &&
	mkdir -p "$w/repo/series/01-a.d/mm" &&
	sed 's/+3/+interim/' "$w/repo/mm/hooked.c.diff" >"$w/repo/series/01-a.d/mm/hooked.c.diff" &&
	echo "for now" >"$w/repo/series/01-a.d/mm/compat.c" &&
	patch_of 01-a mm/new.c mm/hooked.c mm/compat.c &&
	patch_of 02-b drivers/whole.c mm/hooked.c mm/compat.c
}
series() { KSRC=$w/base on_repo "$here/series.sh" "$@"; }

t "series: files in several states, and one that goes" '
	new_series && series && grep -x +interim $P/0001-* && grep -x "+for now" $P/0001-* &&
	grep -x +new $P/0001-* && ! grep ours $P/0001-* && grep -x -e -interim $P/0002-* &&
	grep -x +3 $P/0002-* && grep -x -e "-for now" $P/0002-* && grep -x +ours $P/0002-*'
t "series: a file that is taken out" '
	new_series && echo "- mm/other.c" >>$w/repo/series/02-b && series && series --check &&
	grep -x "+++ /dev/null" $P/0002-* && grep -x -e -base $P/0002-* && [ ! -e $T/mm/other.c ]'
t "series: a path that no patch carries" '
	new_series && sed -i /whole/d $w/repo/series/02-b && fails "drivers/whole.c: in no patch" series --check'
t "series: a path after its final state" '
	new_series && patch_of 03-c mm/new.c && fails "mm/new.c: in 03-c after" series --check'
t "series: a path without a final state" '
	new_series && sed -i /hooked/d $w/repo/series/02-b &&
	fails "mm/hooked.c: no final state after 01-a" series --check'
t "series: a state that no patch carries" '
	new_series && sed -i /compat/d $w/repo/series/01-a &&
	fails "series/01-a.d/mm/compat.c: not carried" series --check'
t "series: a path that is nowhere" '
	new_series && patch_of 03-c mm/nothing.c && fails "mm/nothing.c: in series/" series --check'
t "series: a state that does not apply" '
	new_series && assemble && sed -i s/^-three/-THREE/ $w/repo/series/01-a.d/mm/hooked.c.diff &&
	fails "hunk does not apply" series --check'
t "series: a file that moves out of the way, and goes" '
	new_series && echo "mm/other.c -> mm/old.c" >>$w/repo/series/01-a &&
	echo ours >$w/repo/mm/other.c && printf "%s\n" mm/other.c mm/old.c >>$w/repo/series/02-b &&
	series && series --check && grep -x "rename to mm/old.c" $P/0001-* &&
	grep -x -e "--- a/mm/old.c" $P/0002-* && grep -x "+++ b/mm/other.c" $P/0002-*'
# Code of ours in two steps: the first is without what the arguments say
without() {
	new_series && printf "%s\n" "#include <a.h>" "" "/* One */" "static int one(void)" "{" \
		"	return 1;" "}" "" "/**" " * two() - two" " */" "int two(void)" "{" "	return 2;" \
		"}" "EXPORT_SYMBOL(two);" "" "int three(void);" >"$w/repo/mm/new.c" &&
	mkdir -p "$w/repo/series/01-a.d/mm" && printf "%s\n" "$@" >"$w/repo/series/01-a.d/mm/new.c.without" &&
	echo mm/new.c >>"$w/repo/series/02-b"
}
t "series: a function that comes later" '
	without two /include/ && series && grep "int one" $P/0001-* && grep "int three" $P/0001-* &&
	! grep -E "^[+].*(two|include)" $P/0001-* && grep -x "+EXPORT_SYMBOL(two);" $P/0002-*'
t "series: a function that is not there to come later" '
	without two four && assemble && fails "there is no four" series --check'
t "series: a patch of more than 600 lines of kernel code" '
	new_series && mkdir $w/repo/virt && seq 601 >$w/repo/virt/new.c && patch_of 03-c virt/new.c &&
	assemble && series --check 2>&1 | grep "03-c: 601 lines"'
t "series: a patch of more than 600 lines of tests" '
	new_series && mkdir $w/repo/tools && seq 601 >$w/repo/tools/new.c && patch_of 03-c tools/new.c &&
	assemble && series --check >$w/out 2>&1 && ! grep lines $w/out'
t "series: RFC=domain is a series of its own" '
	new_series && printf "part\n\nletter\n" >$w/repo/series/90-cover && echo x >$w/repo/mm/x.c &&
	patch_of 91-c mm/x.c && RFC=domain series && D=$w/repo/build/domain && [ $(ls $D/0*.patch | wc -l) = 2 ] &&
	grep "Subject: .RFC.*0/1. part" $D/0000-* && [ $(grep -c ^prereq $D/0000-*) = 2 ]'
t "series: who sends it answers for it" '
	new_series && printf "%s\n" A B >$w/base/MAINTAINERS &&
	printf "%s\n" A "VFIO SPAPR TCE DRIVER" B | diff -U1 --label a/MAINTAINERS --label b/MAINTAINERS \
		$w/base/MAINTAINERS - >$w/repo/MAINTAINERS.diff; patch_of 03-c MAINTAINERS && series &&
	grep -x "+M:	n <e>" $P/0003-*'
end
