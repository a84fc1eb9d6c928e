#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Make build/clients.ext4, a disk with a Debian root for ppc64el and Debian's
# QEMU, perf and trace-cmd in it, from the mirrors that this machine's apt uses.
# It is kept in the cache, under a name made of all that it depends on.
#
# clients-root.sh iommufd: build/clients-iommufd.ext4 instead, with what knows
# /dev/iommu: QEMU for PCs from the backports, since it has to be 9 or newer, a Linux
# to run there (/pc), and DPDK's testpmd with a driver for QEMU's e1000e.  Fails where
# no mirror has them, with 77 where this is no Debian, which has no mirror of it.

. "$(dirname "$0")/lib.sh"
. "$here/apt.sh"

# In Debian 13 it is base-files that has /bin and /lib.
basic="base-files,coreutils,dash,grep,libc-bin,mawk,mount,sed,util-linux"
packages=$basic,qemu-system-ppc,linux-perf,trace-cmd

"$here/setup.sh" clients
lock clients-root
mkdir -p "$cache" "$logs"
suite=$codename
# shellcheck source=/dev/null
distribution=$(. /etc/os-release && echo "$ID")

# Debian's own archive of this release, without its updates: nobody logs in there.
sources() { machine_sources "$suite"; }
if [ -z "$(sources)" ]; then
	# A third party's archive may fail; what is there then will do.
	$as_root apt-get -q update >"$logs/clients-root.log" 2>&1 </dev/null || :
	if [ -z "$(sources)" ]; then
		say "apt knows no archive of Debian $suite; see $logs/clients-root.log"
		[ "$distribution" = debian ] || exit 77
		exit 1
	fi
fi

kind=${1:-}
name=clients${kind:+-$kind}
key=$({
	cat "$here/clients-root.sh"
	sources
	[ -n "$kind" ] || apt-cache policy qemu-system-ppc | grep Candidate:
} | sha256sum | cut -c 1-16)
image=$cache/$name-$key.ext4

tmp=$(mktemp -d)
trap '$as_root rm -rf "$tmp"' EXIT

extract() {
	$as_root rm -rf "$tmp/root"
	sources | $as_root mmdebstrap --variant=extract --architectures=ppc64el \
		--include="$packages" --aptopt="$tmp/apt.conf" "$suite" "$tmp/root" -
}
# What testpmd is linked with, and the plugins that it needs here; its own package
# wants everything that a developer would.
dpdk_packages() {
	apt-cache depends --no-recommends --no-suggests "dpdk-dev/$suite" |
		sed -n 's/^ *Depends: //p' | grep -vxE 'libdpdk-dev|python3'
	apt-cache pkgnames librte- | grep -xE 'librte-(net-e1000|mempool-ring)-?[0-9]+'
}
# Debian's kernel for clouds, which has the driver of the disk built in, and busybox
get_pc() (
	own_apt "$cache/apt-pc" amd64 "$suite" && apt-get -q update || return
	kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: //p')
	mkdir -p "$tmp/pc/bin" "$tmp/pc/dev" "$tmp/pc/proc"
	ln -s busybox "$tmp/pc/bin/sh"
	content "$kernel" "$suite" | tar -xf - -C "$tmp/pc" --wildcards \
		--transform 's|.*/vmlinuz-.*|vmlinuz|' './boot/vmlinuz-*' &&
	content busybox-static "$suite" | tar -xf - -C "$tmp/pc/bin" --wildcards \
		--transform 's|.*/||' '*/bin/busybox'
)
get_iommufd() {
	get_pc || return
	own_apt "$cache/apt-clients" ppc64el "$suite" "$suite-backports" &&
	apt-get -q update || return
	cp "$apt/sources.list" "$tmp/sources.list"
	packages=$basic,cpio,qemu-system-x86,$(dpdk_packages | paste -sd ,)
	content dpdk-dev "$suite" >"$tmp/testpmd.tar" || return
	unset APT_CONFIG
	echo "APT::Default-Release \"$suite-backports\";" >>"$tmp/apt.conf"
	# shellcheck disable=SC2317 # called later
	sources() { cat "$tmp/sources.list"; }
}
make_root() {
	# How to get through to a mirror is in this machine's apt, too.
	apt-config dump | grep -E '^Acquire::(https?::|Retries)' >"$tmp/apt.conf" || :
	echo 'Acquire::Retries "3";' >>"$tmp/apt.conf"
	[ -z "$kind" ] || "get_$kind" || return
	extract || extract || return
	[ -z "$kind" ] || $as_root tar -C "$tmp/root" -xf "$tmp/testpmd.tar" \
		./usr/bin/dpdk-testpmd || return
	[ -z "$kind" ] || $as_root cp -r "$tmp/pc" "$tmp/root" || return
	(cd "$tmp/root" && $as_root rm -rf etc/apt usr/share/doc usr/share/man \
		usr/share/locale usr/lib/*/gconv usr/bin/qemu-system-i386 var/cache \
		var/lib/apt &&
	$as_root mkdir -p clients dev proc run sys tmp && $as_root ln -sfn ../run var/run) ||
		return
	$as_root mke2fs -q -F -t ext4 -d "$tmp/root" "$tmp/image" 400M &&
	$as_root chown "$(id -u):$(id -g)" "$tmp/image"
}
if [ ! -f "$image" ]; then
	long "Debian root${kind:+ with $kind}" "$logs/clients-root.log" make_root
	rm -f "$cache/$name"-[0-9a-f]*.ext4
	cp --sparse=always "$tmp/image" "$image.new"
	mv "$image.new" "$image"
fi
ln -sfn "$image" "$build/$name.ext4"
