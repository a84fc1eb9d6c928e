#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Boot emulated POWER hosts whose Debian runs QEMU with a disk passed through,
# and write one line per test.  tools/testing/spapr_tce/clients/host.sh says
# what is tested.  MACHINE and TESTS (names of its tests, with commas) narrow it
# down; BASE=1 takes the base kernel, which is there to be seen failing.  LONG=1
# adds an LPAR as a host, where the guest is emulated by what is emulated itself.
#
# check-clients.sh --shell: instead, a shell on such a host (MACHINE, powernv9)
# check-clients.sh --build: only what they consist of, in build/clients

. "$(dirname "$0")/lib.sh"

iommufd=q35,q35_linux,testpmd
all=passthrough,io,trace,user,user64,memlock,fill,pull,unplug,kill${LONG:+,lpar}
case ${LONG:+long},$TESTS, in
*,q35,*|*,q35_linux,*|*,testpmd,*|long*) all=$all,$iommufd ;;
esac
# MACHINE, CONFIG and TESTS may be meant for other parts of the check.
machines=$(printf '%s\n' powernv9 powernv8 ${LONG:+pseries} powernv9-iommufd powernv8-iommufd |
	grep -xE "${MACHINE:-.*}(-iommufd)?" || :)
tests=$(echo "$all" | tr , '\n' | grep -xE "$(echo "${TESTS:-.*}" | tr , '|')" || :)
limit=900
case ${CONFIG:=default} in
debug)		limit=7200 ;;
default)	;;
*)		tests= ;;
esac
if [ -z "$machines" ] || [ -z "$tests" ]; then
	say "no clients with MACHINE=$MACHINE CONFIG=$CONFIG TESTS=$TESTS"
	exit
fi
[ "${1:-}" != --shell ] || machines=${MACHINE:-powernv9} tests=shell
TESTS=''
export TESTS CONFIG

src=$top/tools/testing/spapr_tce/clients
out=$build/clients
initrd=$build/$(initrd_name)

# Big-endian as its machine begins, without floating point or a library.
bare_flags='-mbig-endian -mabi=elfv2 -mcpu=power8 -msoft-float -mno-altivec
	-mno-vsx -ffreestanding -fno-pic -no-pie -fno-stack-protector -nostdlib
	-fno-tree-loop-distribute-patterns -Wl,-EB,-m,elf64ppc,--build-id=none,--no-warn-rwx-segments'

build_programs() {
	for p in enter guest; do
		"${CROSS_COMPILE}gcc" -O2 -Wall -Wextra -Werror -static \
			-o "$out/$p" "$src/$p.c" || return
	done
	# shellcheck disable=SC2086 # a list of words
	"${CROSS_COMPILE}gcc" -O2 -Wall -Wextra -Werror -static $bare_flags \
		-T "$src/bare.lds" -o "$out/bare.elf" "$src/bare.S" "$src/bare.c" &&
	"${CROSS_COMPILE}objcopy" -O binary "$out/bare.elf" "$out/bare.bin" &&
	x86_64-linux-gnu-as --32 -o "$out/boot.o" "$src/boot.S" &&
	x86_64-linux-gnu-ld -m elf_i386 -Ttext 0x7c00 -e _start --oformat binary \
		-o "$out/boot.bin" "$out/boot.o" &&
	"${CROSS_COMPILE}strip" -o "$out/vmlinux" "$build/vmlinux$(kernel_name default)"
}

# tests_on MACHINE: an LPAR has KVM for nothing, but for QEMU as it is without
tests_on() {
	case $1 in
	pseries) echo "$tests" | grep -x lpar ;;
	*-iommufd) echo "$tests" | grep -xE "$(echo $iommufd | tr , '|')" ;;
	*) echo "$tests" | grep -vxE "$(echo lpar,$iommufd | tr , '|')" ;;
	esac | paste -sd , -
}

# KVM moves the time base as a guest comes and goes; the processors of an emulated
# POWER9 drift apart by that, and its watchdogs see seconds that never were.  A
# processor that is really stuck ends a test by its limit.  The first program
# mounts the root, which stays.
append="nosoftlockup rcupdate.rcu_cpu_stall_suppress=1 spapr_tce.warmup=1"
boot() {
	rc=0
	MACHINE=${1%-*} DEVICES=clients${iommu:+-$iommu} TIMEOUT=$((4 * limit)) ACCEL=$2 \
		"$here/boot.sh" "$build/vmlinux$(kernel_name "$CONFIG")" "$out/host.cpio" \
		"$append spapr_tce.tests=$(tests_on "$1") spapr_tce.timeout=$limit" \
		>"$logs/$name.log" 2>&1 || rc=$?
}

# QEMU 7.2 crashed with a POWER9 each time that a device was unplugged from a
# guest in a storm of hypercalls, so that one has one thread at once.
boot_one() {
	name=clients-${BASE:+base-}$1$suffix iommu=
	case $1 in
	powernv9) boot "$1" tcg,thread=single ;;
	*-iommufd) iommu=iommufd; emulated "$name" boot "$1" ;;
	*)	emulated "$name" boot "$1" ;;
	esac
	"$here/results.pl" "clients ${name#clients-}" "$rc" "$logs/$name.log"
	case $iommu,$(tests_on "$1") in
	iommufd,*testpmd*)
		"$here/wire.pl" "clients ${name#clients-}" "$out/wire-${1%-*}" "$logs/$name.log"
		rm -f "$out/wire-${1%-*}"
		;;
	esac
}

# What a mirror may not have comes before what takes minutes to build.
rows=$machines machines=
for m in $rows; do
	[ "$tests" = shell ] || [ -n "$(tests_on "$m")" ] || continue
	case $m in *-iommufd) root=iommufd ;; *) root= ;; esac
	rc=0
	"$here/clients-root.sh" $root >&2 || rc=$?
	[ $rc = 0 ] || [ -z "${1:-}" ] || exit 1
	case $rc,$root in
	0,*)	machines=${machines:+$machines }$m ;;
	77,*)	echo "skip    clients $m (this is no Debian: apt has no packages for ppc64el)" ;;
	*,)	exit 1 ;;
	*)	echo "skip    clients $m (no Debian root with QEMU 9 and DPDK)" ;;
	esac
done
[ -n "$machines" ] || exit 0
suffix=
if [ "$CONFIG" != default ]; then
	suffix=-$CONFIG
	"$here/kernel.sh" >&2
fi
CONFIG=default "$here/kernel.sh" >&2
"$here/initrd.sh" >&2
mkdir -p "$out"
long "clients" "$logs/clients.log" build_programs
initramfs "$out/guest" "$out/guest" clients </dev/null
initramfs "$out/host" "$initrd/init" clients <<EOF2
$(echo "$tests" | sed "s|.*|file /tests/& $out/enter 0755 0 0|")
file /clients/host.sh $src/host.sh 0755 0 0
file /clients/iommufd.sh $src/iommufd.sh 0644 0 0
file /clients/pc.sh $src/pc.sh 0755 0 0
$(printf "file /clients/%s $out/%s 0644 0 0\n" vmlinux vmlinux guest.cpio guest.cpio bare.bin bare.bin boot.bin boot.bin)
EOF2

[ "${1:-}" != --build ] || exit 0
if [ "$tests" = shell ]; then
	say "booting $machines; what the kernel says is in dmesg"
	MACHINE=$machines DEVICES=clients TIMEOUT=0 SERIAL=mon:stdio exec "$here/boot.sh" \
		"$build/vmlinux$(kernel_name "$CONFIG")" "$out/host.cpio" \
		"$append quiet spapr_tce.tests=shell spapr_tce.timeout=1000000"
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
for m in $machines; do
	# Other emulators within emulators would be too much
	case $m in *-iommufd) wait ;; esac
	say "booting clients $m (console: $logs/clients-${BASE:+base-}$m$suffix.log)"
	boot_one "$m" >"$tmp/$m" &
	[ "$JOBS" -gt 1 ] || wait
done
wait
for m in $machines; do
	[ ! -f "$tmp/$m" ] || cat "$tmp/$m"
done
