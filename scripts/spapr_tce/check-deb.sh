#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Install the package of make deb in a Debian for ppc64el, on emulated MACHINE
# (powernv9): from the distribution's kernel to ours and back, each step a boot of
# its own with systemd.  tools/testing/spapr_tce/clients/deb.sh says what each does.
#
# build/deb/root-KEY.ext4 is that Debian, as the machine itself has configured it.

. "$(dirname "$0")/lib.sh"
. "$here/apt.sh"

: "${MACHINE:=powernv9}" "${SMALL:=1}"
export SMALL MACHINE
deb=$build/deb
disk=$deb/disk.ext4

# The packages, by apt, and an image with all of them unpacked and none configured
packages='?essential apt systemd-sysv udev initramfs-tools kmod linux-image-powerpc64le
	qemu-system-ppc python3'
fetch() {
	# shellcheck disable=SC2086 # a list of words
	own_apt "$deb/apt" ppc64el "$codename" && apt-get -q update &&
	apt-get -q -y --no-install-recommends --download-only install $packages </dev/null
}
# unpacked FILE: as dpkg --unpack, which would run scripts of another architecture
unpacked() {
	info=$deb/root/var/lib/dpkg/info/$(dpkg-deb -f "$1" Package)
	[ "$(dpkg-deb -f "$1" Multi-Arch)" != same ] || info=$info:ppc64el
	rm -rf "$deb/control"
	dpkg-deb -e "$1" "$deb/control"
	for f in "$deb"/control/*; do
		cp "$f" "$info.${f##*/}"
	done
	rm -f "$info.control"
	dpkg-deb --fsys-tarfile "$1" | tar -t | sed 's/^\.//; s|/$||; s|^$|/.|' >"$info.list"
	{ sed '1a Status: install ok unpacked' "$deb/control/control"; echo; } \
		>>"$deb/root/var/lib/dpkg/status"
	dpkg-deb --fsys-tarfile "$1" |
		$as_root tar -C "$deb/root" --keep-directory-symlink -xpf -
}
unpack() {
	$as_root rm -rf "$deb/root"
	mkdir -p "$deb/root/clients" "$deb/root/root" "$deb/root/var/lib/dpkg/info"
	for d in bin sbin lib lib64; do
		mkdir -p "$deb/root/usr/$d"
		ln -s "usr/$d" "$deb/root/$d"
	done
	for d in "$deb"/apt/archives/*.deb; do
		unpacked "$d" || return
	done
	for f in passwd group; do
		$as_root cp "$deb/root/usr/share/base-passwd/$f.master" "$deb/root/etc/$f"
	done
	$as_root chown -R 0:0 "$deb/root/var/lib/dpkg" "$deb/root/root" "$deb/root/clients"
	rm -f "$disk"
	$as_root mke2fs -q -F -t ext4 -d "$deb/root" "$disk" 3G &&
	$as_root chown "$(id -u):$(id -g)" "$disk" && $as_root rm -rf "$deb/root"
}

# into FILE...: copy files to /clients of the disk
into() {
	printf 'cd /clients\n' >"$deb/commands"
	for f in "$@"; do
		printf 'rm %s\nwrite %s %s\nsif %s mode 0100755\n' "${f##*/}" "$f" "${f##*/}" "${f##*/}"
	done >>"$deb/commands"
	debugfs -w -f "$deb/commands" "$disk"
}
# boot STEP KERNEL INITRD APPEND
boot() {
	rc=0 log=$logs/deb-$1.log
	say "booting deb $1 (console: $log)"
	DEVICES=deb TIMEOUT=${TIME:-1500} "$here/boot.sh" "$2" "$3" \
		"root=/dev/vda rw spapr_tce.step=$1 $4" >"$log" 2>&1 || rc=$?
	"$here/results.pl" "deb $1" "$rc" "$log"
}
# installed STEP RELEASE: with the kernel of this release that is on the disk
installed() {
	for f in vmlinux initrd.img; do
		rm -f "$deb/$f"
		debugfs -R "dump /boot/$f-$2 $deb/$f" "$disk" 2>/dev/null
		[ -s "$deb/$f" ] || { echo "not ok  deb $1: there is a $f-$2"; return; }
	done
	boot "$1" "$deb/vmlinux" "$deb/initrd.img" \
		"systemd.wants=spapr_tce.service systemd.mask=serial-getty@hvc0.service"
}
releases() {
	debugfs -R 'ls -p /boot' "$disk" 2>/dev/null | sed -n 's|.*/vmlinux-\([^/]*\)/.*|\1|p' |
		grep "$@"
}

"$here/setup.sh" clients deb
"$here/deb.sh" >&2
"$here/check-clients.sh" --build >&2
TESTS=demo "$here/initrd.sh" >&2
lock check-deb
src=$top/tools/testing/spapr_tce/clients
new=$(find "$deb" -name '*-small_*.deb' | sort -V | tail -n 1)
key=$({ cat "$0" "$src/deb.sh"; date +%Y%m; } | sha256sum | cut -c 1-16)
if [ ! -f "$deb/root-$key.ext4" ]; then
	long "Debian packages" "$logs/deb-root.log" fetch
	long "Debian root" "$logs/deb-root.log" unpack
	into "$src/deb.sh" >"$logs/deb-root.log" 2>&1
	boot setup "$build/vmlinux" '' "init=/clients/deb.sh"
	grep -q 'tce: ok' "$logs/deb-setup.log" || exit 1
	mv "$disk" "$deb/root-$key.ext4"
fi
cp --sparse=always "$deb/root-$key.ext4" "$disk"
into "$src/deb.sh" "$src/host.sh" "$build/clients/vmlinux" "$build/clients/guest.cpio" \
	"$build/selftests/demo" "$top/tools/spapr_tce/tce-map" >"$logs/deb-root.log" 2>&1
cp "$new" "$deb/new.deb"
into "$deb/new.deb" >>"$logs/deb-root.log" 2>&1
theirs=$(releases -v tce)
installed install "$theirs"
ours=$(releases tce) || :
installed use "$ours"
installed back "$theirs"
[ -z "$(releases tce)" ] || echo "not ok  deb back: nothing is left in /boot"
