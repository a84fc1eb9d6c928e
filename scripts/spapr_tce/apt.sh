# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154
#
# Sourced after lib.sh: packages of other suites than this machine's, by apt with
# lists of its own and none of the machine's changed.  It checks what it gets against
# the keys of the Debian archive, and needs no root.

# shellcheck source=/dev/null
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")

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

# debian_config FLAVOUR: sets file to Debian's configuration of this base for ppc64el,
# from SUITES of a mirror; fails where it cannot be had
debian_config() {
	package=linux-config-$(base_name)
	file=$cache/$package/config.ppc64el_none_$1.xz
	[ -f "$file" ] || (fetch_config) >"$logs/config-fetch.log" 2>&1 </dev/null || :
	[ -f "$file" ]
}
fetch_config() {
	lock config
	# shellcheck disable=SC2086 # a list of words
	set -- ${SUITES:-bookworm-backports trixie}
	own_apt "$cache/apt-ppc64el" ppc64el "$@" || return
	# A mirror may have lists that are newer than its packages.
	apt-get -q update || :
	mkdir -p "$cache/$package"
	for s in "$@"; do
		content "$package" "$s" | tar -xf - -C "$cache/$package" \
			--strip-components=4 "./usr/src/$package" && return
	done
}

# machine_sources CODENAME: this machine's own archives of Debian, for sources.list;
# CODENAME is a regular expression
machine_sources() {
	# shellcheck disable=SC2016 # these are apt's variables
	apt-get indextargets --format \
		'$(ORIGIN) $(CODENAME) deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
		'Created-By: Packages' | sed -nE "s/^Debian $1 deb/deb/p" | sort -u
}
