#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# setup.sh [static] [host] [bench] [clients] [docs] [series] [deb]: install the Debian packages
# that are missing, for kernels and emulated machines, and for what is named.
# Fast when none is.

. "$(dirname "$0")/lib.sh"

packages='gcc libc6-dev make git patch perl xz-utils rsync flex bison bc
	libelf-dev libssl-dev ccache gcc-powerpc64le-linux-gnu
	libc6-dev-ppc64el-cross qemu-system-ppc python3'
for group in "$@"; do
	case $group in
	static)	packages="$packages sparse shellcheck" ;;
	host)	packages="$packages clang libclang-rt-dev liburcu-dev spin
			gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user" ;;
	clients) packages="$packages mmdebstrap e2fsprogs binutils-x86-64-linux-gnu" ;;
	deb)	packages="$packages debhelper dpkg-dev kmod cpio openssl zstd" ;;
	bench)	packages="$packages gnuplot-nox" ;;
	docs)	packages="$packages python3-sphinx codespell" ;;
	series)	packages="$packages coccinelle ocaml-nox codespell" ;;
	*)	die "no such group of packages: $group" ;;
	esac
done
source=linux-source-6.12	# which only Debian has
[ -n "$KSRC" ] || packages="$packages $source"

# shellcheck disable=SC2086 # a list of words
missing=$({
	dpkg-query -W -f '${Package} ${db:Status-Status}\n' $packages 2>/dev/null || :
	printf '%s wanted\n' $packages
} | awk '$2 == "installed" { have[$1] }
	$2 == "wanted" && !($1 in have) { printf " %s", $1 }')
[ -n "$missing" ] || exit 0

# Without lists apt knows nothing, and that says nothing.
source_known() {
	case $missing in *" $source"*) ;; *) return 0 ;; esac
	[ -n "$(apt-get indextargets 'Created-By: Packages')" ] || return 0
	apt-cache show "$source" >/dev/null 2>&1 ||
		die "apt knows no $source: please say KSRC=PATH, a tarball or directory of Linux 6.12 or 7.x"
}
[ -z "$as_root" ] || { command -v sudo >/dev/null && sudo true; } || {
	source_known
	die "as root, please: apt-get install --no-install-recommends$missing"
}
say "installing$missing"
apt() {
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
		-o DPkg::Lock::Timeout=300 "$@" </dev/null
}
# The package lists may be missing (a fresh image) or too old to fetch from.
# shellcheck disable=SC2086 # a list of words
if ! progress "apt-get install" "$logs/setup.log" apt install --no-install-recommends $missing; then
	progress "apt-get update" "$logs/setup.log" apt update --error-on=any ||
		say "apt-get update: not all lists came: $(grep -m 1 '^[EW]: ' "$logs/setup.log")"
	source_known
	long "apt-get install" "$logs/setup.log" apt install --no-install-recommends $missing
fi
