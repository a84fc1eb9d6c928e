#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Export the overlay as patches for git am on the base kernel: one for each
# file of series/ (see series/README), in build/series.
#
#   series.sh --check   only look whether every path is carried as it should be,
#                       by patches that can be reviewed
#   series.sh --fixes   export series/fixes/ to build/fixes instead
#
# RFC=fixes is the same as --fixes; RFC=domain exports the patches of the paging
# domain alone, which say what they want below them; RFC=all, all but the fixes.

. "$(dirname "$0")/lib.sh"

# Added lines of kernel code that somebody can review at a time
most=600

message() { sed '/^---$/,$d' "$1"; }

# carried: each patch and path, in order, and whether it is an interim state
carried() {
	for p in "$top"/series/[0-9]*; do
		case ${p##*/} in
		*-cover | *.d) continue ;;
		esac
		sed '1,/^---$/d; /^$/d; /^#/d; s/^- //' "$p" | while read -r f to new; do
			state=final
			[ ! -f "$p.d/$f" ] && [ ! -f "$p.d/$f.diff" ] &&
				[ ! -f "$p.d/$f.without" ] || state=interim
			[ "$to" != '->' ] || {
				echo "${p##*/} $new from:$f"
				state=moved
			}
			echo "${p##*/} $f $state"
		done
	done
}

# Each path ends in one final state, after which nothing carries it; a hook is
# carried under the name of what it changes, one that only another base needs, too.
check_paths() {
	{ overlay_files_any | to_paths; removed_files; } >"$tmp/ours"
	carried >"$tmp/carried"
	(cd "$top/series" && find . -path "./*.d/*" -type f) |
		sed 's|^\./\(.*\)\.d/|\1 |; s/\.without$//' | to_paths >"$tmp/states"
	awk '
	FILENAME ~ /ours$/	{ ours[$1]; next }
	FILENAME ~ /states$/	{ state[$1 " " $2]; next }
	$2 in last	{ print $2 ": in " $1 " after its final state in " last[$2] }
	$3 == "final"	{ last[$2] = $1; if (!($2 in ours) && !($2 in interim)) lost[$2] }
	$3 != "final"	{ interim[$2] = $1; delete state[$1 " " $2] }
	END {
		for (f in ours) if (!(f in last) && !(f in interim)) print f ": in no patch of series/"
		for (f in interim) if (!(f in last)) print f ": no final state after " interim[f]
		for (f in lost) print f ": in series/, but not in the repository"
		for (s in state) {
			split(s, w, " ")
			print "series/" w[1] ".d/" w[2] ": not carried by series/" w[1]
		}
	}' "$tmp/ours" "$tmp/states" "$tmp/carried" >"$tmp/wrong"
	[ ! -s "$tmp/wrong" ] || { cat "$tmp/wrong" >&2; return 1; }
}

# state PATCH PATH OUT: the file as it is after the patch; none if it is gone.  The
# hook that only this base needs is that of the repository, unless there is another.
state() {
	d=$top/series/$1.d
	rm -f "$3"
	if [ -f "$d/$2" ]; then
		cp "$d/$2" "$3"
	elif [ -f "$d/$2.without" ]; then
		from=$(sed -n 's/^from //p' "$d/$2.without")
		if [ -n "$from" ]; then
			state "$from" "$2" "$3"
			d=$top/series/$1.d
		else
			cp "$tree/$2" "$3"
		fi
		awk -f "$here/without.awk" "$d/$2.without" "$3" >"$3.new" ||
			die "series/$1.d/$2.without does not fit"
		mv "$3.new" "$3"
		[ ! -f "$d/$2.diff" ] || apply_hook "$d/$2.diff" "$2" "$3"
	elif [ -f "$d/$2.diff" ]; then
		cp -p "$top/$2" "$3" 2>/dev/null || cp -p "$base/$2" "$3"
		apply_hook "$d/$2.diff" "$2" "$3"
		for i in "$d/$2.$(base_name).diff" "$top/$2.$(base_name).diff"; do
			[ ! -f "$i" ] || { [ ! -s "$i" ] || apply_hook "$i" "$2" "$3"; break; }
		done
	elif [ -f "$tree/$2" ]; then
		# What nobody changes in the end is in the tree as the base has it.
		cp "$tree/$2" "$3"
		[ "$2" != MAINTAINERS ] || answers "$3"
	fi
}

# answers FILE: who sends the patches answers for what they bring.
answers() {
	sed -i "s/^VFIO SPAPR TCE DRIVER.*/&\nM:\t$user <$email>/" "$1"
}

sgit() { git -C "$repo" -c commit.gpgsign=false -c user.name="$user" -c user.email="$email" "$@"; }

# commit PATCH: what is in the repository now, with its message.
commit() {
	sgit add -A
	if sgit diff --cached --quiet; then
		say "$1: nothing for this base"
	else
		message "$top/$1" | sgit commit -q -s -F - || die "$1: no commit"
		echo "$1" >>"$tmp/order"
	fi
}

# New lines of a kernel's own code in the last commit; a file that moved has none.
kernel_lines() {
	sgit show --numstat -M --format= -- arch drivers include virt |
		awk '{ n += $1 } END { print n + 0 }'
}

commit_patches() {
	cut -d ' ' -f 1 "$tmp/carried" | uniq | while read -r p; do
		sed -n "s/^$p \([^ ]* [^ ]*\)$/\1/p" "$tmp/carried" | while read -r f state; do
			mkdir -p "$(dirname "$repo/$f")"
			case $state in
			from:*)	cp "$repo/${state#from:}" "$repo/$f" ;;
			moved)	rm "$repo/$f" ;;
			*)	state "$p" "$f" "$repo/$f" ;;
			esac
		done
		commit "series/$p"
		lines=$(kernel_lines)
		[ "$lines" -le $most ] || echo "$p: $lines lines of kernel code, more than $most" >&2
	done
}

# A fix carries a diff of the base's files.  As with hooks, NAME is for every base,
# and NAME.7 has what only that one needs.  Below the letter, what reaches whom.
commit_fixes() {
	message "$top/series/fixes/00-cover" >"$tmp/cover"
	echo >>"$tmp/cover"
	for p in "$top"/series/fixes/[0-9]*; do
		p=${p#"$top/"}
		echo "$p" | grep -qvE "/00|\.($bases)\$" || continue
		for d in "$top/$p" "$top/$p.$(base_name)"; do
			grep -qs '^diff ' "$d" || continue
			sgit apply "$d" || die "$p does not apply to $(version_of "$base")"
		done
		lines=$(sgit diff --numstat | awk '{ n += $1 + $2 } END { print n + 0 }')
		[ "$lines" -le 60 ] || die "$p: $lines lines are no minimal fix"
		commit "$p"
		nr=${p##*/}
		printf '  %-6s %s\n' "$(awk -v nr="${nr%%-*}" 'int($1) == nr + 0 && /^[0-9]/ { print $2; exit }' \
			"$top/series/fixes/tests")" "$(head -n 1 "$top/$p")" >>"$tmp/cover"
	done
}

# A repository of only the files that the series touches, as in the base
base_repo() {
	git init -q -b base "$repo"
	while read -r f; do
		mkdir -p "$(dirname "$repo/$f")"
		[ ! -f "$base/$f" ] || cp "$base/$f" "$repo/$f"
	done <"$tmp/ours"
	sgit add -A
	sgit commit -q --allow-empty -m base
	sgit tag base-kernel
	sgit checkout -q -b series
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
repo=$tmp/repo user=nobody email=nobody@localhost
if [ "${1:-}" = --check ]; then
	check_paths
	base_repo
	commit_patches >&2
	exit
fi

identity() {
	git -C "$top" -c safe.directory='*' config "user.$1" ||
		die "set git's user.name and user.email: the patches are signed off by you"
}
user=$(identity name)
email=$(identity email)
case ${1:-$RFC} in
'' | all | --series)	kind=series ;;
domain)			kind=domain ;;
fixes | --fixes)	kind=fixes ;;
*)			die "RFC=$RFC: not fixes, domain or all" ;;
esac
"$here/tree.sh"
check_paths || die "series/ does not fit the repository"
[ $kind != fixes ] ||
	sed -n 's|^+++ b/||p' "$top"/series/fixes/[0-9]* | sort -u >"$tmp/ours"
base_repo
if [ $kind = fixes ]; then
	commit_fixes
else
	message "$top/series/00-cover" >"$tmp/cover"
	commit_patches
fi
out=$build/$kind from=base-kernel to=series
if [ $kind = domain ]; then
	message "$top/series/90-cover" >"$tmp/cover"
	# nth N: the commit of the Nth patch
	nth() { sgit rev-list --reverse base-kernel..series | sed -n "$1p"; }
	from=$(nth $(($(grep -n '^series/9[1-5]' "$tmp/order" | sed 's/:.*//; q') - 1)))
	to=$(nth "$(grep -n '^series/9[1-5]' "$tmp/order" | sed -n '$s/:.*//p')")
fi
rm -rf "$out"
sgit checkout -q -b out "$to"
sgit config branch.out.description "$(cat "$tmp/cover")"
case $RFC in
all | domain)	rfc=--rfc ;;
*)		rfc= ;;
esac
sgit format-patch $rfc -q -o "$out" --cover-letter --cover-from-description=subject \
	--base=base-kernel "$from..out"
# What it applies to has no number in anybody's repository.
sed -i "s/^base-commit: .*/base-version: $(version_of "$base")/" "$out"/0000-*.patch
mv "$tmp/order" "$out/order"
# What git am makes of them must be what is in the tree.
sgit checkout -q -b again "$from"
set -- "$out"/*.patch
shift	# the cover letter
sgit am -q "$@"
sgit diff --quiet out again || die "git am does not give the same tree"
say "$(sgit rev-list --count "$from..out") patches for $(version_of "$base") in $out"
