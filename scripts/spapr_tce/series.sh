#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Export the overlay as patches for git am on the base kernel: one for each
# file of series/ (see series/README), in build/series.
#
#   series.sh --check   only look whether every path is carried as it should be
#   series.sh --fixes   export series/fixes/ to build/fixes instead

. "$(dirname "$0")/lib.sh"

patches() {
	for p in "$top"/series/[0-9]*; do
		[ -d "$p" ] || echo "${p##*/}"
	done | grep -v '^00'
}
message() { sed '/^---$/,$d' "$1"; }
paths() { sed '1,/^---$/d; /^$/d; /^#/d' "$1"; }

# interim PATCH PATH: the files of a state that does not last.  The hook that
# only this base needs is that of the repository, unless there is another.
interim() {
	d=$top/series/$1.d
	if [ -f "$d/$2" ]; then
		echo "$d/$2"
	elif [ -f "$d/$2.diff" ]; then
		echo "$d/$2.diff"
		for f in "$d/$2.$(base_name).diff" "$top/$2.$(base_name).diff"; do
			[ ! -f "$f" ] || { echo "$f"; break; }
		done
	fi
}

# What is carried, in order: path, patch, "interim" or "final".
carried() {
	for p in $(patches); do
		paths "$top/series/$p" | while read -r f; do
			echo "$f $p $([ -n "$(interim "$p" "$f")" ] &&
				echo interim || echo final)"
		done
	done
}

# Each path ends in one final state, after which nothing carries it.
wrong_order() {
	awk '
	$1 in last	{ print $1 ": in " $2 " after its final state in " last[$1] }
	$3 == "final"	{ last[$1] = $2 }
	$3 == "interim"	{ interim[$1] = $2 }
	END {
		for (f in interim)
			if (!(f in last))
				print f ": no final state after " interim[f]
	}' "$tmp/carried"
}

stray_interim() {
	(cd "$top/series" && find . -path "./*.d/*" -type f) |
	sed 's|^\./\(.*\)\.d/|\1 |' | to_paths | while read -r p f; do
		grep -qxF "$f $p interim" "$tmp/carried" ||
			echo "series/$p.d/$f: not carried by series/$p"
	done
}

# A hook is carried under the name of what it changes; one that only another
# base needs has its place in the series, too.
check_paths() {
	overlay_files_any | to_paths >"$tmp/ours"
	carried >"$tmp/carried"
	cut -d ' ' -f 1 "$tmp/carried" | sort -u >"$tmp/names"
	{
		wrong_order
		comm -23 "$tmp/ours" "$tmp/names" |
			sed 's/$/: in no patch of series\//'
		awk '$3 == "interim" { print $1 }' "$tmp/carried" |
			sort -u - "$tmp/ours" | comm -13 - "$tmp/names" |
			sed 's/$/: in series\/, but not in the repository/'
		stray_interim
	} >"$tmp/wrong"
	[ ! -s "$tmp/wrong" ] || { cat "$tmp/wrong" >&2; return 1; }
}

# state PATCH PATH OUT: the file as it is after the patch; none if it is gone.
state() {
	rm -f "$3"
	# What nobody changes in the end is in the tree as the base has it.
	if [ -z "$(interim "$1" "$2")" ]; then
		[ ! -f "$tree/$2" ] || cp "$tree/$2" "$3"
		return
	fi
	interim "$1" "$2" | while read -r i; do
		case $i in
		*.diff)
			from=$base/$2
			[ ! -f "$top/$2" ] || from=$top/$2
			[ -f "$3" ] || cp -p "$from" "$3"
			apply_hook "$i" "$2" "$3"
			;;
		*)
			cp "$i" "$3"
			;;
		esac
	done
}

check_interim() {
	awk '$3 == "interim"' "$tmp/carried" | while read -r f p _; do
		state "$p" "$f" "$tmp/state"
	done
}

sgit() { git -C "$repo" -c commit.gpgsign=false -c user.name="$user" -c user.email="$email" "$@"; }

# A repository of only the files that the series touches, as in the base.
make_base() {
	git init -q -b base "$repo"
	while read -r f; do
		mkdir -p "$repo/$(dirname "$f")"
		[ ! -f "$base/$f" ] || cp "$base/$f" "$repo/$f"
	done <"$tmp/ours"
	sgit add -A
	sgit commit -q --allow-empty -m base
	sgit tag base-kernel
	sgit checkout -q -b series
}

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

commit_patches() {
	for p in $(patches); do
		paths "$top/series/$p" | while read -r f; do
			mkdir -p "$repo/$(dirname "$f")"
			state "$p" "$f" "$repo/$f"
		done
		commit "series/$p"
	done
}

# A fix carries a diff of the base's files.  As with hooks, NAME is for every
# base, and NAME.7 has what only that one needs.
fixes() {
	for p in "$top"/series/fixes/[0-9]*; do
		echo "${p#"$top/"}"
	done | grep -vE "/00|\.($bases)\$"
}
fixed_paths() { sed -n 's|^+++ b/||p' "$top"/series/fixes/[0-9]* | sort -u; }
commit_fixes() {
	for p in $(fixes); do
		for d in "$top/$p" "$top/$p.$(base_name)"; do
			grep -qs '^diff ' "$d" || continue
			sgit apply "$d" || die "$p does not apply to $(version_of "$base")"
		done
		lines=$(sgit diff --numstat | awk '{ n += $1 + $2 } END { print n + 0 }')
		[ "$lines" -le 60 ] || die "$p: $lines lines are no minimal fix"
		commit "$p"
	done
}

# The letter, and below it what reaches whom, by subject
fixes_cover() {
	message "$top/series/fixes/00-cover"
	echo
	for p in $(fixes); do
		nr=${p##*/}
		printf '  %-6s %s\n' "$(awk -v nr="${nr%%-*}" '$1 == nr { print $2; exit }' \
			"$top/series/fixes/tests")" "$(head -n 1 "$top/$p")"
	done
}

export_patches() {
	rm -rf "$out"
	sgit config branch.series.description "$1"
	sgit format-patch -q -o "$out" --cover-letter \
		--cover-from-description=subject base-kernel..series
	# What git am makes of them must be what is in the tree.
	sgit checkout -q -b again base-kernel
	set -- "$out"/*.patch
	shift	# the cover letter
	sgit am -q "$@"
	sgit diff --quiet series again || die "git am does not give the same tree"
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
if [ "${1:-}" = --check ]; then
	check_paths
	check_interim
	exit
fi

identity() {
	git -C "$top" -c safe.directory='*' config "user.$1" ||
		die "set git's user.$1: the patches are signed off by you"
}
user=$(identity name)
email=$(identity email)
"$here/tree.sh"
check_paths || die "series/ does not fit the repository"
repo=$tmp/repo out=$build/series
if [ "${1:-}" = --fixes ]; then
	out=$build/fixes
	fixed_paths >"$tmp/ours"
	make_base
	commit_fixes
	export_patches "$(fixes_cover)"
	mv "$tmp/order" "$out/order"
else
	make_base
	commit_patches
	export_patches "$(message "$top/series/00-cover")"
fi
say "$(git -C "$repo" rev-list --count base-kernel..series) patches for" \
	"$(version_of "$base") in $out"
