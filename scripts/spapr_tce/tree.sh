#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Assemble build/tree: the base kernel with our files and hooks over it.
#
#   build/base   the base (KSRC=, or Debian's 6.12) as it came, never written to
#   build/tree   hard links to it, except where a file is ours or hooked
#
# In each, obj-CONFIG is where kernel.sh builds: right below the sources the
# kernel names them by relative paths, and ccache then knows a file again in
# the other tree and in another checkout.
#
# A file of the tree is written only when its content changes, so make
# recompiles what depends on it and nothing else.

. "$(dirname "$0")/lib.sh"

# check_source: nothing is touched before the version of $src is known.
check_source() {
	from=$src
	if [ ! -d "$src" ]; then
		from=$tmp
		tar -xOf "$src" --wildcards --no-wildcards-match-slash --occurrence=1 \
			'*/Makefile' >"$tmp/Makefile" 2>/dev/null ||
			die "$src: not a tarball of a kernel"
	fi
	version=$(version_of "$from" 2>/dev/null) || :
	[ -n "$version" ] || die "$src: not a kernel source"
	echo "$version" | grep -qE "^($bases)\." ||
		die "$src is kernel $version; there are hooks for $(echo "$bases" | sed 's/\\//g; s/|/ and /g')"
}

# room_for MIB: the base, and the kernel of make run built in the tree
room_for() {
	left=$(df -Pm "$build" | awk 'NR == 2 { print $4 }')
	[ "$left" -ge "$1" ] || die "$build: $left MB are free, $1 MB are needed"
}

# start_over: nothing made from another base may be taken for made from this.
start_over() {
	rm -rf "$tree" "$build/overlay" "$base"/obj-* "$build/headers"
}

# base.id goes before the base is changed and comes back after it, so that an
# interrupted run leaves nothing that passes for a whole base.
unpack_base() {
	if [ -d "$src" ]; then
		[ -d "$base" ] || room_for $((13 * $(cd "$src" && du -sm --exclude=.git \
			--exclude='obj-*' --exclude='*.[ao]' . | cut -f 1) / 10))
		rm -f "$build/base.id"
		mkdir -p "$base"
		changed=$(rsync -a --delete --out-format=%n \
			--exclude '/obj-*' --exclude /.git --exclude /.config --exclude '*.o' \
			--exclude '*.a' --exclude '.*.cmd' \
			--exclude /include/config --exclude /include/generated \
			--exclude '/arch/*/include/generated' "$src/" "$base/")
		if [ -n "$changed" ] || [ "$have" != "$id" ]; then
			start_over
		fi
	elif [ "$have" != "$id" ]; then
		rm -rf "$base.new"
		room_for $((13 * $(du -m "$src" | cut -f 1)))	# 145 MiB make 1.9 GB
		say "unpacking $src"
		mkdir -p "$base.new"
		tar -C "$base.new" --strip-components=1 -xf "$src"
		rm -rf "$build/base.id" "$base"
		start_over
		mv "$base.new" "$base"
	else
		return 0
	fi
	printf '%s\n' "$id" >"$build/base.id"
	say "base kernel $(version_of "$base")"
}

# What was overlaid and no longer is goes back to the base's.  A copy, not a
# link: it must look newer than what was compiled from the other.
restore_dropped() {
	comm -23 "$build/overlay" "$tmp/overlay" 2>/dev/null | while read -r f; do
		rm -f "$tree/$f"
		if [ -f "$base/$f" ]; then
			cp "$base/$f" "$tree/$f"
		else
			rmdir -p --ignore-fail-on-non-empty "$(dirname "$tree/$f")"
		fi
	done
}

# lay PATH: our file, or the base's with our hooks, the one for every base first,
# or no file if the base's is taken out
lay() {
	if grep -qxF "$1" "$tmp/removed"; then
		[ -f "$base/$1" ] || die "series/: the base kernel has no $1 to take out"
		rm -f "$tree/$1"
		return
	fi
	if grep -qxF "$1" "$tmp/files"; then
		put "$top/$1" "$tree/$1"
		return
	fi
	for hook in "$1.diff" "$1.$(base_name).diff"; do
		grep -qxF "$hook" "$tmp/files" || continue
		[ -f "$base/$1" ] || die "$hook: the base kernel has no $1"
		[ -f "$tmp/out" ] || cp -p "$base/$1" "$tmp/out"
		apply_hook "$top/$hook" "$1" "$tmp/out"
	done
	put "$tmp/out" "$tree/$1"
	rm -f "$tmp/out"
}

"$here/setup.sh"
lock tree
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
src=${KSRC:-/usr/src/linux-source-6.12.tar.xz}
[ -e "$src" ] || die "$src: no such kernel source"
src=$(realpath "$src")
# What tells it from any other
id="$src $([ -d "$src" ] || stat -c '%s %Y' "$src")"
have=$(cat "$build/base.id" 2>/dev/null) || have=
[ "$have" = "$id" ] || check_source
unpack_base
if [ ! -d "$tree" ]; then
	rm -rf "$tree.new" "$build/overlay"
	cp -al "$base" "$tree.new"
	rm -rf "$tree.new"/obj-*
	mv "$tree.new" "$tree"
fi
overlay_files >"$tmp/files"
removed_files >"$tmp/removed"
to_paths <"$tmp/files" | sort -u - "$tmp/removed" >"$tmp/overlay"
twice=$(grep '\.diff$' "$tmp/files" | to_paths | grep -xF -f "$tmp/files" || :)
[ -z "$twice" ] || die "$twice: both ours whole and a hook"
twice=$(to_paths <"$tmp/files" | grep -xF -f "$tmp/removed" || :)
[ -z "$twice" ] || die "$twice: both ours and taken out"
restore_dropped
# Before the files, so that an interrupted run leaves none that is not listed.
put "$tmp/overlay" "$build/overlay"
while read -r f; do
	lay "$f"
done <"$tmp/overlay"
