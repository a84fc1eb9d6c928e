#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Make build/nvme.img, the disk of the DMA API test: 64 MiB of what disk.c says.

. "$(dirname "$0")/lib.sh"

lock disk
gcc -O2 -Wall -o "$build/disk" "$here/disk.c"
"$build/disk" $((64 << 20)) >"$build/nvme.img.new"
mv "$build/nvme.img.new" "$build/nvme.img"
