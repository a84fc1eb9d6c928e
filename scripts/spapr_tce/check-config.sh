#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# check-config.sh FILE: print how FILE, the .config of CONFIG=debian, differs
# from Debian's kernel of the same page size in ways that configs/distribution
# does not explain. Ends with 4 where there is no package for this base, or it
# cannot be had.

. "$(dirname "$0")/lib.sh"
. "$here/apt.sh"

debian_config powerpc64le-64k || {
	say "there is no $package to compare with (build/log/config-fetch.log)"
	exit 4
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
sed -n 's/^\([^#\t][^\t]*\)\t.*/^(\1) is /p' "$top/configs/distribution" >"$tmp/explained"
# Modules have no heading, and end where CONFIG_BLOCK begins.
xz -dc "$file" | awk '
/^# (General setup|Kernel options|Memory Management options|Security options|General architecture-dependent options)$/ { on = 1 }
/^# end of (General setup|Kernel options|Memory Management options|Security options)$/ || /^CONFIG_BLOCK=/ { on = 0 }
on' >"$tmp/theirs"
wanted "$tmp/theirs" "$1" | sed 's/, not \(.*\)/, \1 in Debian/' | grep -vE -f "$tmp/explained" || :
