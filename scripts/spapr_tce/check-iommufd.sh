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
# offered here, on purpose, and are left out.  vfio_pci_driver_test wants an igb,
# which QEMU has from 8.0 on: skipped where this machine's has none.

. "$(dirname "$0")/lib.sh"
. "$here/apt.sh"

up=$build/upstream
tests='vfio_dma_mapping_test vfio_dma_mapping_mmio_test vfio_iommufd_setup_test
	vfio_pci_device_test vfio_pci_driver_test'

fetch() {
	rm -rf "$up/src"
	mkdir -p "$up/src" "$up/uuid"
	tar -C "$up/src" --strip-components=1 --wildcards -xf "$source" '*/Makefile' \
		'*/scripts' '*.h' '*.mk' '*/Kbuild' '*/arch/powerpc' '*/usr/include' \
		'*/tools/testing/selftests/vfio' &&
	suite=$(. /etc/os-release && echo "$VERSION_CODENAME") &&
	own_apt "$up/apt" ppc64el "$suite" &&
	apt-get -q update && content uuid-dev "$suite" | tar -C "$up/uuid" -xf - &&
	echo "$source" >"$up/id"
}

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
		"$top/tools/testing/spapr_tce/init.c" &&
	gcc -O2 -o "$up/gen_init_cpio" "$tree/usr/gen_init_cpio.c"
}

spec() {
	echo "dir /dev 0755 0 0"
	echo "nod /dev/console 0600 0 0 c 5 1"
	for d in proc sys tmp tests upstream; do
		echo "dir /$d 0755 0 0"
	done
	echo "file /init $up/root/init 0755 0 0"
	echo "file /tests.list $up/root/tests.list 0644 0 0"
	for t in $tests; do
		echo "file /tests/$t $up/root/device 0755 0 0"
		echo "file /upstream/$t $up/bin/$t 0755 0 0"
	done
}

boot() {
	rc=0
	log=$logs/$1-upstream.log
	say "booting $1-upstream (console: $log)"
	MACHINE=$1 DEVICES=edu TIMEOUT=1800 "$here/boot.sh" "$build/vmlinux" "$up/initrd.cpio" \
		"spapr_tce.tests=$(paste -sd , "$up/root/tests.list") spapr_tce.timeout=600" \
		>"$log" 2>&1 || rc=$?
	"$here/results.pl" "$1-upstream" "$rc" "$log" |
		grep -vE '[._]vfio_type1(v2)?_iommu'
}

source=$(SUITE='' KSRC='' "$here/source.sh")
CONFIG=default "$here/kernel.sh" >&2
lock upstream
mkdir -p "$up"
[ "$(cat "$up/id" 2>/dev/null)" = "$source" ] ||
	long "upstream's selftests" "$logs/upstream.log" fetch
long "upstream's selftests, compiled" "$logs/upstream.log" compile
echo "$tests" | xargs -n 1 >"$up/root/tests.list"
spec >"$up/spec"
"$up/gen_init_cpio" "$up/spec" >"$up/initrd.cpio"
for m in ${MACHINE:-powernv9 powernv8}; do
	boot "$m"
done
