#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Make build/clients.ext4, a disk with a Debian root for ppc64el and Debian's
# QEMU, perf and trace-cmd in it, from the mirrors that this machine's apt uses.
# It is kept in the cache, under a name made of all that it depends on.

. "$(dirname "$0")/lib.sh"
. "$here/apt.sh"

packages=coreutils,dash,grep,mawk,mount,qemu-system-ppc,sed,util-linux
packages=$packages,linux-perf,trace-cmd

"$here/setup.sh" clients
lock clients-root
mkdir -p "$cache" "$logs"
as_root=
[ "$(id -u)" = 0 ] || as_root=sudo
# shellcheck source=/dev/null
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")

# Debian's own archive of this release, without its updates: nobody logs in there.
sources() { machine_sources "$suite"; }
if [ -z "$(sources)" ]; then
	# A third party's archive may fail; what is there then will do.
	$as_root apt-get -q update >"$logs/clients-root.log" 2>&1 </dev/null || :
	[ -n "$(sources)" ] ||
		die "apt knows no archive of Debian $suite; see $logs/clients-root.log"
fi

key=$({
	cat "$here/clients-root.sh"
	sources
	apt-cache policy qemu-system-ppc | grep Candidate:
} | sha256sum | cut -c 1-16)
image=$cache/clients-$key.ext4

tmp=$(mktemp -d)
trap '$as_root rm -rf "$tmp"' EXIT

extract() {
	$as_root rm -rf "$tmp/root"
	sources | $as_root mmdebstrap --variant=extract --architectures=ppc64el \
		--include="$packages" --aptopt="$tmp/apt.conf" "$suite" "$tmp/root" -
}
make_root() {
	# How to get through to a mirror is in this machine's apt, too.
	apt-config dump | grep -E '^Acquire::(https?::|Retries)' >"$tmp/apt.conf" || :
	echo 'Acquire::Retries "3";' >>"$tmp/apt.conf"
	extract || extract || return
	(cd "$tmp/root" && $as_root rm -rf etc/apt usr/share/doc usr/share/man \
		usr/share/locale usr/lib/*/gconv var/cache var/lib/apt &&
	$as_root mkdir -p clients dev proc sys tmp) || return
	$as_root mke2fs -q -F -t ext4 -d "$tmp/root" "$tmp/image" 400M &&
	$as_root chown "$(id -u):$(id -g)" "$tmp/image"
}
if [ ! -f "$image" ]; then
	long "Debian root" "$logs/clients-root.log" make_root
	rm -f "$cache"/clients-*.ext4
	cp --sparse=always "$tmp/image" "$image.new"
	mv "$image.new" "$image"
fi
ln -sfn "$image" "$build/clients.ext4"
