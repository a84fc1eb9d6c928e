#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Fetch the newest kernel source that SUITE of this machine's Debian mirror has
# (default trixie-backports), and say on standard output where it is: what
# KSRC= wants.
#
# apt does it, with lists of its own and none of the machine's changed.  It
# checks what it gets against the keys of the Debian archive, and needs no root.

. "$(dirname "$0")/lib.sh"

SUITE=${SUITE:-trixie-backports}
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -f "$keys" ] || die "$keys is missing: install debian-archive-keyring"

mirror=$(apt-get --print-uris update 2>/dev/null |
	sed -n "s|^'\(.*\)/dists/.*|\1|p" | grep -v security | head -n 1)
[ -n "$mirror" ] || die "this machine's apt has no mirror"

lock source
apt=$cache/apt
mkdir -p "$apt/lists/partial" "$apt/archives/partial"
: >"$apt/status"
echo "deb [signed-by=$keys] $mirror $SUITE main" >"$apt/sources.list"
cat >"$apt/apt.conf" <<-EOF
	Dir::State "$apt";
	Dir::State::lists "$apt/lists";
	Dir::State::status "$apt/status";
	Dir::Cache "$apt";
	Dir::Etc::sourcelist "$apt/sources.list";
	Dir::Etc::sourceparts "/dev/null";
	APT::Sandbox::User "root";
EOF
export APT_CONFIG="$apt/apt.conf"

long "apt-get update" "$logs/source.log" apt-get -q update --error-on=any
package=$(apt-cache search --names-only '^linux-source-[0-9.]+$' |
	sed 's/ .*//' | sort -V | tail -n 1)
[ -n "$package" ] || die "$SUITE has no linux-source package"
version=$(apt-cache show --no-all-versions "$package" | sed -n 's/^Version: //p')

src=$cache/${package}_$version.tar.xz
if [ ! -f "$src" ]; then
	cd "$apt"
	rm -f ./*.deb
	long "$package $version" "$logs/source.log" apt-get -q download "$package"
	dpkg-deb --fsys-tarfile ./*.deb |
		tar -xOf - "./usr/src/$package.tar.xz" >"$src.new"
	mv "$src.new" "$src"
	rm -f ./*.deb
fi
echo "$src"
