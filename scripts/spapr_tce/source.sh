#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Fetch the newest kernel source that SUITE of this machine's Debian mirror has
# (default trixie-backports), and say on standard output where it is: what
# KSRC= wants.

. "$(dirname "$0")/lib.sh"
. "$here/apt.sh"

SUITE=${SUITE:-trixie-backports}
lock source
own_apt "$cache/apt" "$(dpkg --print-architecture)" "$SUITE" ||
	die "this machine's apt has no mirror, or debian-archive-keyring is missing"
long "apt-get update" "$logs/source.log" apt-get -q update --error-on=any
package=$(apt-cache search --names-only '^linux-source-[0-9.]+$' |
	sed 's/ .*//' | sort -V | tail -n 1)
[ -n "$package" ] || die "$SUITE has no linux-source package"
version=$(apt-cache show --no-all-versions "$package" | sed -n 's/^Version: //p')
src=$cache/${package}_$version.tar.xz
fetch() {
	content "$package" "$SUITE" | tar -xOf - "./usr/src/$package.tar.xz" >"$src.new"
}
if [ ! -f "$src" ]; then
	long "$package $version" "$logs/source.log" fetch
	mv "$src.new" "$src"
fi
echo "$src"
