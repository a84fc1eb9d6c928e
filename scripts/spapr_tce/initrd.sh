#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Build the kselftests, or with TESTS=a,b those, and put them with our /init
# into build/initrd.cpio (build/initrd-a,b.cpio).  All are static programs for
# ppc64le; nothing foreign is in it.  And make build/nvme.img, 64 MiB of what
# disk.c says.

. "$(dirname "$0")/lib.sh"

tests=$tree/tools/testing/selftests/vfio/spapr_tce
out=$build/selftests
root=$build/$(initrd_name)

"$here/setup.sh"
"$here/tree.sh"
lock initrd
mkdir -p "$out" "$root" "$logs" "$CCACHE_DIR"

build_all() {
	# shellcheck disable=SC2046 # a list of words
	make -C "$tree" O="$build/headers" -j "$JOBS" headers &&
	make -C "$tests" OUTPUT="$out" TOP="$tree" \
		KHDR_INCLUDES="-isystem $build/headers/usr/include" \
		USERLDFLAGS=-static -j "$JOBS" \
		$(echo "${TESTS:-all}" | tr , '\n' | sed "/^all$/!s|^|$out/|") &&
	"${CROSS_COMPILE}gcc" -O2 -Wall -Wextra -static \
		-o "$root/init" "$top/tools/testing/spapr_tce/init.c" &&
	gcc -O2 -Wall -o "$build/disk" "$here/disk.c" &&
	"$build/disk" $((64 << 20)) >"$build/nvme.img.new" &&
	mv "$build/nvme.img.new" "$build/nvme.img"
}
long "test programs" "$logs/selftests.log" build_all

# What measures is not a test.
if [ -n "$TESTS" ]; then
	echo "$TESTS" | tr , '\n'
else
	make -s -C "$tests" OUTPUT="$out" TOP="$tree" COLLECTION=t emit_tests |
		sed -n 's/^t://p' | grep -vxE "bench|hcalls"
fi | sort >"$root/tests.list"

{
	echo "file /tests.list $root/tests.list 0644 0 0"
	sed "s|.*|file /tests/& $out/& 0755 0 0|" "$root/tests.list"
} | initramfs "$root" "$root/init"
