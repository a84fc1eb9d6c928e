#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# boot.sh KERNEL INITRD [APPEND]: boot KERNEL on an emulated MACHINE until it
# powers off; the console is standard output.  The modules that kernel.sh left
# beside KERNEL are appended to INITRD.
#
#   MACHINE   powernv8, powernv9, powernv10 or pseries
#   DEVICES   edu: two of the teaching device, behind different host bridges
#             edus: five, in four groups: two functions of a card, one alone, and
#                   two behind a switch
#             nodes: two, each with a processor and a node of its own (powernv)
#             nvme: those of edu, and the disk build/nvme.img in a group with
#                  one more edu
#             igb: a network device with MSI-X and functions to come, for a QEMU that
#                  has it
#             clients: the two disks build/nvme.img and build/clients.ext4
#             clients-iommufd: the same with build/clients-iommufd.ext4, and two network
#                  devices on one wire; what is there goes to build/clients/wire-MACHINE
#             +rng: a virtio entropy device alone in its group (powernv)
#             deb: an edu, the disks build/nvme.img and build/deb/disk.ext4, which is
#                  written to
#             +mem: more memory could be added, too
#             +256m: the host bridge of the disk has IOMMU pages of 256 MiB (pseries)
#             +noddw: firmware makes no DMA windows but the default one (pseries)
#             +nested: pseries lets its guest be a hypervisor (KVM HV)
#   TIMEOUT   seconds until the machine is turned off (default 600)
#   MEM       default 4G
#   ACCEL     what follows QEMU's -accel
#   QEMU      the emulator, default qemu-system-ppc64
#   PLUGIN    a TCG plugin to run with, and its arguments
#   SERIAL    default stdio, with no input; else standard input is the console's

. "$(dirname "$0")/lib.sh"

kernel=$1 initrd=$2 append=${3:-}
MACHINE=${MACHINE:-powernv9} DEVICES=${DEVICES:-edu}
smp=2 nested='' pgsz='' rng='' noddw=''
case $DEVICES in
*+mem)	MEM=4G,slots=2,maxmem=8G ;;
*+nested) nested=,cap-nested-hv=on ;;
*+rng)	rng=virtio-rng-pci,disable-legacy=on,iommu_platform=on,bus=pcie.2 ;;
*+256m)	pgsz=,pgsz=0x10011000 ;;
*+noddw) noddw=' -global spapr-pci-host-bridge.ddw=off' ;;
esac
DEVICES=${DEVICES%+*}

# Its 28 address bits would leave it out of most of a window.
edu=edu,dma_mask=0xffffffffffffffff
# What comes to $qemu: device WHAT... adds some devices.
qemu="-M $MACHINE"
device() {
	for d in "$@"; do
		qemu="$qemu -device $d"
	done
}
drive() { qemu="$qemu -drive file=$build/$1,format=raw,if=none,id=$2"; }
nvme=nvme,drive=d0,serial=spapr-tce

# domain.c of the selftests hands a device round so many times
[ -z "$LONG" ] || append="$append DOMAIN_ROUNDS=200"

case $MACHINE in
pseries)
	qemu="-M pseries,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken$nested$noddw"
	device "$edu" spapr-pci-host-bridge,index=1,id=phb1 "$edu,bus=phb1.0" \
		"spapr-pci-host-bridge,index=2,id=phb2$pgsz"
	# As a hypervisor QEMU asks for the memory of all TCEs of a window, of
	# which it uses little: 16 GiB for 2^31.
	[ "$(awk '/^MemTotal:/ { print $2 }' /proc/meminfo)" -gt 17000000 ] ||
		append="$append TCE_BITS=27"
	;;
esac
case $MACHINE-$DEVICES in
powernv*-igb) device "igb,bus=pcie.0,romfile=" ;;
powernv*-edu | powernv*-nvme) device "$edu,bus=pcie.0" "$edu,bus=pcie.1" ;;
# Each chip has six host bridges and half of the memory.
powernv*-nodes)
	smp=2,sockets=2,cores=1,threads=1
	device "$edu,bus=pcie.0" "$edu,bus=pcie.6"
	;;
powernv*-edus)
	device "$edu,bus=pcie.0,addr=0.0,multifunction=on" "$edu,bus=pcie.0,addr=0.1" \
		"$edu,bus=pcie.1" x3130-upstream,bus=pcie.2,id=up \
		xio3130-downstream,bus=up,id=down1,chassis=11,slot=1 \
		xio3130-downstream,bus=up,id=down2,chassis=12,slot=2 \
		"$edu,bus=down1" "$edu,bus=down2"
	;;
# A host bridge is one group here.
pseries-edus) device "$edu" "$edu,bus=phb2.0" "$edu,bus=phb2.0" ;;
esac
case $DEVICES in
nvme)
	# Every boot finds the same disk: what it writes is forgotten.
	drive nvme.img d0,snapshot=on
	# One more function in the disk's group, which the kernel finds first: what
	# is done for the first device alone is not done for the disk.  On PHB3 a
	# device alone in its PE is given a bypass even with iommu=nobypass; one
	# more keeps the disk's DMA in the tables.
	case $MACHINE in
	pseries) device "$edu,bus=phb2.0" "$nvme,bus=phb2.0" ;;
	*)	device "$nvme,bus=pcie.2,addr=0.0,multifunction=on" "$edu,bus=pcie.2,addr=0.1" ;;
	esac
	# A driver that is bound and unbound frees interrupts.  Once, on a busy
	# machine, irq_chip_eoi_parent() followed a NULL pointer there: as it seems,
	# the emulator had held up one processor between finding an interrupt and
	# handling it, and another freed it meanwhile.  One processor alone cannot.
	smp=1
	;;
deb)
	drive nvme.img d0,snapshot=on
	drive deb/disk.ext4 d1,cache=unsafe
	device "$nvme,bus=pcie.0" virtio-blk-pci,drive=d1,bus=pcie.1 "$edu,bus=pcie.2"
	;;
clients | clients-iommufd)
	drive nvme.img d0,snapshot=on
	drive "$DEVICES.ext4" d1,readonly=on
	case $MACHINE in
	pseries) device "$nvme,bus=phb2.0" virtio-blk-pci,drive=d1,bus=phb1.0 ;;
	*)	device "$nvme,bus=pcie.0" virtio-blk-pci,drive=d1,bus=pcie.1 ;;
	esac
	;;
esac
case $DEVICES in
clients-iommufd)
	for i in 1 2; do
		qemu="$qemu -netdev hubport,id=wire$i,hubid=0"
	done
	qemu="$qemu -object filter-dump,id=dump,netdev=wire1,file=$build/clients/wire-$MACHINE"
	# powernv8 has three host bridges
	device x3130-upstream,bus=pcie.2,id=up
	for i in 1 2; do
		device "xio3130-downstream,bus=up,id=down$i,chassis=1$i,slot=$i" \
			"e1000e,netdev=wire$i,bus=down$i,romfile="
	done
	;;
esac

[ -z "$rng" ] || device "$rng"

modules=$(echo "$kernel" | sed 's|vmlinux\([^/]*\)$|modules\1.cpio|')
if [ -f "$modules" ]; then
	# The kernel unpacks one archive after the other.
	both=${initrd%.cpio}-$(basename "$modules")
	cat "$initrd" "$modules" >"$both.$$"
	mv "$both.$$" "$both"
	initrd=$both
fi

[ -n "${SERIAL:-}" ] || exec </dev/null
# The log buffer is large so that no line of a test gets lost, and devkmsg=on
# because init writes there.  In the foreground, so that Ctrl-C reaches it.
# shellcheck disable=SC2086 # a list of words
exec timeout --foreground "${TIMEOUT:-600}" "${QEMU:-qemu-system-ppc64}" $qemu \
	${ACCEL:+-accel "$ACCEL"} ${PLUGIN:+-plugin "$PLUGIN"} \
	-m "${MEM:-4G}" -smp "$smp" -no-reboot -display none -vga none \
	-serial "${SERIAL:-stdio}" -monitor none -kernel "$kernel" ${initrd:+-initrd "$initrd"} \
	-append "console=hvc0 panic=-1 log_buf_len=4M printk.devkmsg=on $append"
