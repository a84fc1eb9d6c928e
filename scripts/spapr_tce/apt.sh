# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# Sourced after lib.sh: packages of other suites than this machine's, by apt with
# lists of its own and none of the machine's changed.  It checks what it gets against
# the keys of the Debian archive, and needs no root.

# own_apt DIR ARCHITECTURE SUITE...: fails where there are no keys or no mirror
own_apt() {
	apt=$1 arch=$2
	shift 2
	keys=/usr/share/keyrings/debian-archive-keyring.gpg
	mirror=$(apt-get --print-uris update 2>/dev/null |
		sed -n "s|^'\(.*\)/dists/.*|\1|p" | grep -v security | head -n 1)
	[ -f "$keys" ] && [ -n "$mirror" ] || return
	mkdir -p "$apt/lists/partial" "$apt/archives/partial"
	: >"$apt/status"
	printf "deb [signed-by=$keys] $mirror %s main\n" "$@" >"$apt/sources.list"
	cat >"$apt/apt.conf" <<-END
		APT::Architecture "$arch";
		APT::Architectures { "$arch"; };
		Dir::State "$apt";
		Dir::State::lists "$apt/lists";
		Dir::State::status "$apt/status";
		Dir::Cache "$apt";
		Dir::Etc::sourcelist "$apt/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		APT::Sandbox::User "root";
	END
	export APT_CONFIG="$apt/apt.conf"
}

# content PACKAGE SUITE: what is in it, as a tar archive on standard output
content() (
	cd "$apt" && rm -f ./*.deb &&
	apt-get -q -t "$2" download "$1" >&2 </dev/null &&
	dpkg-deb --fsys-tarfile ./*.deb && rm -f ./*.deb
)
