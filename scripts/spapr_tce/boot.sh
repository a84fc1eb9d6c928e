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
#             nvme+mem: more memory could be added, too
#             nvme+256m: the host bridge of the disk has IOMMU pages of 256 MiB
#                  (pseries)
#             edu+nested: pseries lets its guest be a hypervisor (KVM HV)
#             clients: the two disks build/nvme.img and build/clients.ext4
#   TIMEOUT   seconds until the machine is turned off (default 600)
#   MEM       default 4G
#   ACCEL     what follows QEMU's -accel
#   PLUGIN    a TCG plugin to run with, and its arguments

. "$(dirname "$0")/lib.sh"

kernel=$1 initrd=$2 append=${3:-}
MACHINE=${MACHINE:-powernv9} DEVICES=${DEVICES:-edu}

nested=
pgsz=
case $DEVICES in
*+mem)
	DEVICES=${DEVICES%+mem} MEM=4G,slots=2,maxmem=8G
	;;
*+nested)
	DEVICES=${DEVICES%+nested} nested=,cap-nested-hv=on
	;;
*+256m)
	DEVICES=${DEVICES%+256m} pgsz=,pgsz=0x10011000
	;;
esac

# Its 28 address bits would leave it out of most of a window.
edu=edu,dma_mask=0xffffffffffffffff

case $MACHINE in
powernv*)
	set -- -M "$MACHINE" -device "$edu,bus=pcie.0" -device "$edu,bus=pcie.1"
	disk=bus=pcie.2,addr=0.0,multifunction=on
	;;
pseries)
	set -- -M pseries,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken$nested \
		-device "$edu" \
		-device spapr-pci-host-bridge,index=1,id=phb1 \
		-device "$edu,bus=phb1.0" \
		-device "spapr-pci-host-bridge,index=2,id=phb2$pgsz"
	disk=bus=phb2.0
	# As a hypervisor QEMU asks for the memory of all TCEs of a window, of
	# which it uses little: 16 GiB for 2^31.
	[ "$(awk '/^MemTotal:/ { print $2 }' /proc/meminfo)" -gt 17000000 ] ||
		append="$append TCE_BITS=27"
	;;
esac

if [ "$DEVICES" = nvme ]; then
	# One more function in the disk's group, which the kernel finds first: what
	# is done for the first device alone is not done for the disk.
	[ "$MACHINE" != pseries ] || set -- "$@" -device "$edu,bus=phb2.0"
	# Every boot finds the same disk: what it writes is forgotten.
	set -- "$@" -drive "file=$build/nvme.img,if=none,id=d0,format=raw,snapshot=on" \
		-device "nvme,drive=d0,serial=spapr-tce,$disk"
	# On PHB3 a device alone in its PE is given a bypass even with
	# iommu=nobypass; one more keeps the disk's DMA in the tables.
	[ "$MACHINE" = pseries ] ||
		set -- "$@" -device "$edu,bus=pcie.2,addr=0.1"
fi

if [ "$DEVICES" = edus ]; then
	case $MACHINE in
	powernv*)
		set -- -M "$MACHINE" \
			-device "$edu,bus=pcie.0,addr=0.0,multifunction=on" \
			-device "$edu,bus=pcie.0,addr=0.1" \
			-device "$edu,bus=pcie.1" \
			-device x3130-upstream,bus=pcie.2,id=up \
			-device xio3130-downstream,bus=up,id=down1,chassis=11,slot=1 \
			-device xio3130-downstream,bus=up,id=down2,chassis=12,slot=2 \
			-device "$edu,bus=down1" -device "$edu,bus=down2"
		;;
	pseries)
		# A host bridge is one group here.
		set -- "$@" -device "$edu" \
			-device "$edu,bus=phb2.0" -device "$edu,bus=phb2.0"
		;;
	esac
fi

# A driver that is bound and unbound frees interrupts. Once, on a busy machine,
# irq_chip_eoi_parent() followed a NULL pointer there: as it seems, the emulator
# had held up one processor between finding an interrupt and handling it, and
# another freed it meanwhile. One processor alone cannot.
smp=2
[ "$DEVICES" != nvme ] || smp=1
# Each chip has six host bridges and half of the memory.
if [ "$DEVICES" = nodes ]; then
	smp=2,sockets=2,cores=1,threads=1
	set -- -M "$MACHINE" -device "$edu,bus=pcie.0" -device "$edu,bus=pcie.6"
fi

if [ "$DEVICES" = clients ]; then
	root=bus=pcie.1
	case $MACHINE in
	powernv*)	set -- -M "$MACHINE"; disk=bus=pcie.0 ;;
	pseries)	root=bus=phb1.0 ;;
	esac
	set -- "$@" \
		-drive "file=$build/nvme.img,if=none,id=d0,format=raw,snapshot=on" \
		-device "nvme,drive=d0,serial=spapr-tce,$disk" \
		-drive "file=$build/clients.ext4,if=none,id=d1,format=raw,readonly=on" \
		-device "virtio-blk-pci,drive=d1,$root"
fi

modules=$(echo "$kernel" | sed 's|vmlinux\([^/]*\)$|modules\1.cpio|')
if [ -f "$modules" ]; then
	# The kernel unpacks one archive after the other.
	both=${initrd%.cpio}-$(basename "$modules")
	cat "$initrd" "$modules" >"$both.$$"
	mv "$both.$$" "$both"
	initrd=$both
fi

[ -z "${ACCEL:-}" ] || set -- "$@" -accel "$ACCEL"
[ -z "${PLUGIN:-}" ] || set -- "$@" -plugin "$PLUGIN"

# The log buffer is large so that no line of a test gets lost, and devkmsg=on
# because init writes there.
# In the foreground, so that Ctrl-C reaches it.
exec timeout --foreground "${TIMEOUT:-600}" qemu-system-ppc64 "$@" \
	-m "${MEM:-4G}" -smp "$smp" -no-reboot -display none -vga none \
	-serial stdio -monitor none -kernel "$kernel" -initrd "$initrd" \
	-append "console=hvc0 panic=-1 log_buf_len=4M printk.devkmsg=on $append" \
	</dev/null
