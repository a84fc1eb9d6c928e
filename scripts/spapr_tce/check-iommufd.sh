#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The selftests that the kernel has for vfio since 7.x, on emulated powernv8 and 9:
# what others expect of iommufd, and of type1 containers that are files of
# /dev/iommu.  They come from the source package that source.sh fetches, whatever
# kernel is tested, and are built as they are; on POWER their Makefile builds nothing,
# so it is told another architecture.
#
# Their modes vfio_type1_iommu and vfio_type1v2_iommu want containers that are not
# offered here, on purpose, and are left out.
#
# A second boot has an igb, which has MSI-X, unlike edu.  QEMU has it from 8.0 on:
# where this machine's has none, that of the backports is unpacked in the cache, and
# run from there; where they cannot be had, that boot is skipped.  Its kernel has
# pages of 4K: with 64K the selftests' library gives up at a BAR that is smaller than
# a page, and igb has one of 16K.
#
# vfio_pci_driver_test, which has a driver for igb, is skipped: each of its tests pins
# and maps a GiB, and with pages of 4K an emulator does not end that in the 30 s that
# a test may take; the next ones find the device busy.

. "$(dirname "$0")/lib.sh"
. "$here/apt.sh"

up=$build/upstream
tests='vfio_dma_mapping_test vfio_dma_mapping_mmio_test vfio_iommufd_setup_test
	vfio_pci_device_test vfio_pci_driver_test'

# In a shell of its own: what is installed later is for this machine
fetch() (
	rm -rf "$up/src"
	mkdir -p "$up/src" "$up/uuid"
	tar -C "$up/src" --strip-components=1 --wildcards -xf "$source" '*/Makefile' \
		'*/scripts' '*.h' '*.mk' '*/Kbuild' '*/arch/powerpc' '*/usr/include' \
		'*/tools/testing/selftests/vfio' &&
	own_apt "$up/apt" ppc64el "$codename" &&
	apt-get -q update && content uuid-dev "$codename" | tar -C "$up/uuid" -xf - &&
	echo "$source" >"$up/id"
)

# shellcheck disable=SC2086 # a list of words
compile() {
	mkdir -p "$up/bin" "$up/root"
	make -s -C "$up/src" O="$up/headers" headers &&
	make -C "$up/src/tools/testing/selftests/vfio" ARCH=arm64 OUTPUT="$up/bin" \
		KHDR_INCLUDES="-isystem $up/headers/usr/include" \
		LDFLAGS="-static -L$up/uuid/usr/lib/powerpc64le-linux-gnu" \
		EXTRA_CFLAGS="-I$up/uuid/usr/include -D__SANE_USERSPACE_TYPES__" \
		-j "$JOBS" &&
	"${CROSS_COMPILE}gcc" -O2 -Wall -Wextra -static -o "$up/root/device" \
		"$top/tools/testing/spapr_tce/upstream.c" &&
	"${CROSS_COMPILE}gcc" -O2 -Wall -Wextra -static -o "$up/root/init" \
		"$top/tools/testing/spapr_tce/init.c"
}

in_initramfs() {
	echo "file /tests.list $up/root/tests.list 0644 0 0"
	for t in $tests; do
		echo "file /tests/$t $up/root/device 0755 0 0"
		echo "file /upstream/$t $up/bin/$t 0755 0 0"
	done
}

# An emulator with igb: sets QEMU, or fails
# ("-device help" would load modules of the one that is installed, and end)
has_igb() { "$1" -device igb,help 2>/dev/null | grep -q '^igb options'; }
find_qemu() {
	QEMU=qemu-system-ppc64
	! has_igb $QEMU || return 0
	QEMU=$cache/qemu/run
	! has_igb "$QEMU" || return 0
	progress "QEMU of the backports" "$logs/upstream-qemu.log" fetch_qemu && has_igb "$QEMU"
}
fetch_qemu() (
	lock qemu
	dir=$cache/qemu
	own_apt "$cache/apt-qemu" "$(dpkg --print-architecture)" "$codename" "$codename-backports" &&
	apt-get -q update || return
	cp "$apt/sources.list" "$dir.list"
	unset APT_CONFIG
	apt-config dump | grep -E '^Acquire::(https?::|Retries)' >"$dir.conf" || :
	echo "APT::Default-Release \"$codename-backports\";" >>"$dir.conf"
	rm -rf "$dir" "$dir.new"
	mmdebstrap --variant=extract --include=qemu-system-ppc --aptopt="$dir.conf" \
		"$codename" "$dir.new" - <"$dir.list" || return
	# shellcheck disable=SC2016 # it is a script
	printf '%s\n' '#!/bin/sh' 'root=$(dirname "$0")' \
		'LD_LIBRARY_PATH=$(echo "$root"/usr/lib/*-linux-gnu):$(echo "$root"/lib/*-linux-gnu)' \
		'QEMU_MODULE_DIR=$(echo "$root"/usr/lib/*-linux-gnu/qemu)' \
		'export LD_LIBRARY_PATH QEMU_MODULE_DIR' \
		'exec "$root/usr/bin/qemu-system-ppc64" -L "$root/usr/share/qemu" "$@"' >"$dir.new/run"
	chmod +x "$dir.new/run"
	mv "$dir.new" "$dir"
)

# boot MACHINE DEVICE KERNEL PROGRAM...
boot() {
	name=$1-upstream-$2
	m=$1 devices=$2 kernel=$build/$3
	shift 3
	programs=$(echo "$*" | tr ' ' ,)
	say "booting $name (console: $logs/$name.log)"
	emulated "$name" boot_with
	"$here/results.pl" "$name" "$rc" "$logs/$name.log" | grep -vE '[._]vfio_type1(v2)?_iommu'
}
# boot_with ACCELERATOR
boot_with() {
	rc=0
	MACHINE=$m DEVICES=$devices TIMEOUT=1800 ACCEL=$1 QEMU=$QEMU "$here/boot.sh" \
		"$kernel" "$up/initrd.cpio" \
		"spapr_tce.tests=$programs spapr_tce.timeout=600" >"$logs/$name.log" 2>&1 || rc=$?
}

source=$(SUITE='' KSRC='' "$here/source.sh")
CONFIG=default "$here/kernel.sh" >&2
lock upstream
mkdir -p "$up"
[ "$(cat "$up/id" 2>/dev/null)" = "$source" ] ||
	long "upstream's selftests" "$logs/upstream.log" fetch
long "upstream's selftests, compiled" "$logs/upstream.log" compile
echo "$tests" | xargs -n 1 >"$up/root/tests.list"
in_initramfs | initramfs "$up/initrd" "$up/root/init" upstream
"$here/setup.sh" clients
! find_qemu || CONFIG=4k "$here/kernel.sh" >&2
for m in ${MACHINE:-powernv9 powernv8}; do
	# shellcheck disable=SC2046 # a list of words
	QEMU='' boot "$m" edu vmlinux $(echo "$tests" | xargs -n 1 | grep -v driver)
	if find_qemu; then
		boot "$m" igb vmlinux-4k vfio_pci_device_test
	else
		echo "skip    $m-upstream-igb (no QEMU with igb)"
	fi
	echo "skip    $m-upstream-igb: vfio_pci_driver_test (maps a GiB in 30 s, too much for an emulator)"
done
