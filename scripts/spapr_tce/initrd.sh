#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Build the kselftests, or with TESTS=a,b those, and put them with our /init
# into build/initrd.cpio (build/initrd-a,b.cpio).  All are static programs for
# ppc64le; nothing foreign is in it.

. "$(dirname "$0")/lib.sh"

tests=$tree/tools/testing/selftests/vfio/spapr_tce
out=$build/selftests
root=$build/$(initrd_name)

"$here/setup.sh"
"$here/tree.sh"
lock initrd
mkdir -p "$out" "$root" "$logs" "$CCACHE_DIR"

# What of the selftest Makefile to make.
targets=all
if [ -n "$TESTS" ]; then
	targets=$(echo "$TESTS" | tr , '\n' | sed "s|^|$out/|")
fi

# shellcheck disable=SC2086 # targets is a list of words
build_all() {
	make -C "$tree" O="$build/headers" -j "$JOBS" headers &&
	make -C "$tests" OUTPUT="$out" TOP="$tree" \
		KHDR_INCLUDES="-isystem $build/headers/usr/include" \
		USERLDFLAGS=-static -j "$JOBS" $targets &&
	"${CROSS_COMPILE}gcc" -O2 -Wall -Wextra -static \
		-o "$root/init" "$top/tools/testing/spapr_tce/init.c" &&
	gcc -O2 -o "$root/gen_init_cpio" "$tree/usr/gen_init_cpio.c"
}
long "test programs" "$logs/selftests.log" build_all

# demo is what `make run` shows, and not a test.
list_tests() {
	if [ -n "$TESTS" ]; then
		echo "$TESTS" | tr , '\n'
	else
		make -s -C "$tests" OUTPUT="$out" TOP="$tree" COLLECTION=t \
			emit_tests | sed -n 's/^t://p' | grep -vxE "bench|demo|hcalls"
	fi | sort
}
list_tests >"$root/tests.list"

spec() {
	echo "dir /dev 0755 0 0"
	echo "nod /dev/console 0600 0 0 c 5 1"
	for d in proc sys tmp tests; do
		echo "dir /$d 0755 0 0"
	done
	echo "file /init $root/init 0755 0 0"
	echo "file /tests.list $root/tests.list 0644 0 0"
	while read -r t; do
		echo "file /tests/$t $out/$t 0755 0 0"
	done <"$root/tests.list"
}
spec >"$root/spec"
"$root/gen_init_cpio" "$root/spec" >"$root/new.cpio"
mv "$root/new.cpio" "$root.cpio"
