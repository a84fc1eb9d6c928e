#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Export the overlay as patches for git am on the base kernel: one for each
# file of series/ (see series/README), in build/series.
#
#   series.sh --check   only look whether every path is carried as it should be
#   series.sh --fixes   export series/fixes/ to build/fixes instead

. "$(dirname "$0")/lib.sh"

message() { sed '/^---$/,$d' "$1"; }

# carried: each patch and path, in order, and whether it is an interim state
carried() {
	for p in "$top"/series/[0-9]*; do
		case ${p##*/} in
		00* | *.d) continue ;;
		esac
		sed '1,/^---$/d; /^$/d; /^#/d; s/^- //' "$p" | while read -r f; do
			state=final
			[ ! -f "$p.d/$f" ] && [ ! -f "$p.d/$f.diff" ] || state=interim
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
		sed 's|^\./\(.*\)\.d/|\1 |' | to_paths >"$tmp/states"
	awk '
	FILENAME ~ /ours$/	{ ours[$1]; next }
	FILENAME ~ /states$/	{ state[$1 " " $2]; next }
	$2 in last	{ print $2 ": in " $1 " after its final state in " last[$2] }
	$3 == "final"	{ last[$2] = $1; if (!($2 in ours) && !($2 in interim)) lost[$2] }
	$3 == "interim"	{ interim[$2] = $1; delete state[$1 " " $2] }
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
	elif [ -f "$d/$2.diff" ]; then
		cp -p "$top/$2" "$3" 2>/dev/null || cp -p "$base/$2" "$3"
		apply_hook "$d/$2.diff" "$2" "$3"
		for i in "$d/$2.$(base_name).diff" "$top/$2.$(base_name).diff"; do
			[ ! -f "$i" ] || { [ ! -s "$i" ] || apply_hook "$i" "$2" "$3"; break; }
		done
	elif [ -f "$tree/$2" ]; then
		# What nobody changes in the end is in the tree as the base has it.
		cp "$tree/$2" "$3"
	fi
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

commit_patches() {
	cut -d ' ' -f 1 "$tmp/carried" | uniq | while read -r p; do
		sed -n "s/^$p \(.*\) [a-z]*$/\1/p" "$tmp/carried" | while read -r f; do
			mkdir -p "$(dirname "$repo/$f")"
			state "$p" "$f" "$repo/$f"
		done
		commit "series/$p"
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
		printf '  %-6s %s\n' "$(awk -v nr="${nr%%-*}" '$1 == nr { print $2; exit }' \
			"$top/series/fixes/tests")" "$(head -n 1 "$top/$p")" >>"$tmp/cover"
	done
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
if [ "${1:-}" = --check ]; then
	check_paths
	awk '$3 == "interim"' "$tmp/carried" | while read -r p f _; do
		state "$p" "$f" "$tmp/state"
	done
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
kind=series repo=$tmp/repo
if [ "${1:-}" = --fixes ]; then
	kind=fixes
	sed -n 's|^+++ b/||p' "$top"/series/fixes/[0-9]* | sort -u >"$tmp/ours"
fi

# A repository of only the files that the series touches, as in the base
git init -q -b base "$repo"
while read -r f; do
	mkdir -p "$(dirname "$repo/$f")"
	[ ! -f "$base/$f" ] || cp "$base/$f" "$repo/$f"
done <"$tmp/ours"
sgit add -A
sgit commit -q --allow-empty -m base
sgit tag base-kernel
sgit checkout -q -b series
if [ $kind = fixes ]; then
	commit_fixes
else
	message "$top/series/00-cover" >"$tmp/cover"
	commit_patches
fi
out=$build/$kind
rm -rf "$out"
sgit config branch.series.description "$(cat "$tmp/cover")"
sgit format-patch -q -o "$out" --cover-letter --cover-from-description=subject \
	base-kernel..series
mv "$tmp/order" "$out/order"
# What git am makes of them must be what is in the tree.
sgit checkout -q -b again base-kernel
set -- "$out"/*.patch
shift	# the cover letter
sgit am -q "$@"
sgit diff --quiet series again || die "git am does not give the same tree"
say "$(sgit rev-list --count base-kernel..series) patches for $(version_of "$base") in $out"
