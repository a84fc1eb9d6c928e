#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The /init of a Linux in a PC that has an NVMe disk passed through, by busybox,
# which has all commands.  It reads a part of the disk, writes that to another
# place, and says a checksum of it, and of what it reads there afterwards.
#
# Each line of it on the console begins with "pc: ".

disk=/dev/nvme0n1
from=16				# in pieces of 256 KiB, as in iommufd.sh
to=176

say() { echo "pc: $*"; }
# part WHERE: what is on the disk there, in no cache
part() { dd if=$disk iflag=direct bs=256k skip="$1" count=16 2>/dev/null; }
md5() { md5sum | cut -d ' ' -f 1; }

# It runs itself for a command, by the name that it has there.
/bin/busybox mount -t proc proc /proc
mount -t devtmpfs dev /dev
say "started"
n=0
until [ -b $disk ] || [ $n = 30 ]; do
	n=$((n + 1))
	sleep 1
done
say "read $(part $from | md5)"
part $from | dd of=$disk oflag=direct bs=256k seek=$to 2>/dev/null
say "wrote $(part $to | md5)"
say "interrupts $(awk '/nvme/ { n += $2 } END { print n }' /proc/interrupts)"
poweroff -f
