#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Export the overlay as patches for git am on the base kernel: one for each
# file of series/ (see series/README), in build/series.
#
#   series.sh --check   only look whether every path is in exactly one patch

. "$(dirname "$0")/lib.sh"

patches() {
	for p in "$top"/series/[0-9]*; do
		echo "${p##*/}"
	done | grep -v '^00'
}
message() { sed '/^---$/,$d' "$1"; }
paths() { sed '1,/^---$/d; /^$/d; /^#/d' "$1"; }

# A hook is carried under the name of what it changes; one that only another
# base needs has its place in the series, too.
check_paths() {
	overlay_files_any | to_paths >"$tmp/ours"
	for p in $(patches); do
		paths "$top/series/$p"
	done | sort >"$tmp/carried"
	uniq -d "$tmp/carried" | sed 's/$/: in more than one patch/' >"$tmp/wrong"
	comm -23 "$tmp/ours" "$tmp/carried" |
		sed 's/$/: in no patch of series\//' >>"$tmp/wrong"
	sort -u "$tmp/carried" | comm -13 "$tmp/ours" - |
		sed 's/$/: in series\/, but not in the repository/' >>"$tmp/wrong"
	[ ! -s "$tmp/wrong" ] || { cat "$tmp/wrong" >&2; return 1; }
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

# paths_here PATCH: those of its paths that are something on this base.
paths_here() {
	paths "$top/series/$1" | grep -xF -f "$build/overlay"
}

commit_patches() {
	for p in $(patches); do
		if ! paths_here "$p" >"$tmp/here"; then
			say "series/$p: nothing for this base"
			continue
		fi
		while read -r f; do
			mkdir -p "$repo/$(dirname "$f")"
			cp "$tree/$f" "$repo/$f"
		done <"$tmp/here"
		sgit add -A
		message "$top/series/$p" | sgit commit -q -s -F - ||
			die "series/$p: nothing to commit"
	done
}

export_patches() {
	rm -rf "$out"
	sgit config branch.series.description "$(message "$top/series/00-cover")"
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
make_base
commit_patches
export_patches
say "$(git -C "$repo" rev-list --count base-kernel..series) patches for" \
	"$(version_of "$base") in $out"
