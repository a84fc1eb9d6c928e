# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154
#
# Sourced by host.sh: programs that others wrote and that drive devices through
# /dev/iommu, in a root of their own.
#
#   q35		QEMU as a PC whose firmware reads and writes the disk (boot.S)
#   q35_linux	the same where a Linux does it (pc.sh)
#   testpmd	DPDK's, which knows type1 only: packets between two network devices

# ---- what is mapped --------------------------------------------------------

iommu_events="iommu/map iommu/unmap spapr_tce/tce_level_alloc spapr_tce/tce_level_free"

iommu_trace() {
	echo 0 >"$tracing/tracing_on"
	echo 8192 >"$tracing/buffer_size_kb"
	echo >"$tracing/trace"
	for e in $iommu_events; do
		echo 1 >"$tracing/events/$e/enable"
	done
	echo 1 >"$tracing/tracing_on"
}

# What the core of the IOMMU API was asked for, and what our tables were made of
iommu_traced() {
	echo 0 >"$tracing/tracing_on"
	for e in $iommu_events; do
		echo 0 >"$tracing/events/$e/enable"
	done
	mawk '
	/ map: IOMMU/ { sub(/.* size=/, ""); maps++; mapped += $1 }
	/ unmap: IOMMU/ { sub(/.* unmapped_size=/, ""); unmapped += $1 }
	/ tce_level_alloc:/ { made++ }
	/ tce_level_free:/ { freed++ }
	END { printf "maps=%d mapped=%.0f unmapped=%.0f made=%d freed=%d\n",
		maps, mapped, unmapped, made, freed }' "$tracing/trace" >"$tmp/counts"
	echo >"$tracing/trace"
	say "mapped: $(cat "$tmp/counts")"
	# shellcheck source=/dev/null
	. "$tmp/counts"
}

# nothing_mapped MIB: so much was mapped at least, and nothing of it is left
nothing_mapped() {
	is "mapped by the IOMMU API" "$mapped bytes" test "$mapped" -ge $(($1 << 20))
	is "all of it was unmapped" "$unmapped of $mapped bytes" \
		test "$unmapped" = "$mapped"
	is "all levels were freed" "$freed of $made" test "$freed" = "$made"
	nothing_left 16
}

# ---- a PC ------------------------------------------------------------------

# cksum_of SECTOR: of the 256 KiB there, as boot.S says it
cksum_of() {
	sum=$(dd if=/dev/nvme0n1 bs=512 skip=$(($1)) count=512 2>/dev/null |
		cksum | cut -d ' ' -f 1)
	printf '%08x' "$sum"
}

# run_pc SECONDS OPTION...: until it turns itself off.  Firmware in flash memory is not
# mapped for devices; as a ROM, with -bios, it ends at 4 GiB, where interrupts are, and
# QEMU gives up.
run_pc() {
	limit=$1
	shift
	iommu_trace
	remember
	: >"$log"
	began=$(date +%s)
	qemu-system-x86_64 -M q35 -accel tcg -nodefaults -display none \
		-vga none -serial stdio -no-reboot -object iommufd,id=iommufd \
		-device "vfio-pci,host=$disk,iommufd=iommufd" \
		-drive if=pflash,format=raw,readonly=on,file=/usr/share/seabios/bios-256k.bin \
		"$@" </dev/null >"$log" 2>"$tmp/warnings" & pid=$!
	soon "$limit" gone || kill -9 "$pid"
	wait "$pid"
	status=$?
	# Not in the middle of a line of the guest
	cat "$tmp/warnings" >>"$log"
	say "took: $(($(date +%s) - began)) s"
	iommu_traced
	show_guest
	is "QEMU runs to its end" "it ended with $status" test $status = 0
}

test_q35() {
	run_pc 150 -m 64M
	is "the firmware boots from the disk" "" said 'boot: started'
	nothing_mapped 64
	give_disk
	from=$(cksum_of 0x8000)
	to=$(cksum_of 0x14000)
	is "checksum" "host has $from, $(grep -a '^boot: read' "$log")" \
		said "boot: read $from"
	is "written and read back" "host has $from, $(grep -a '^boot: read' "$log")" \
		said "boot: .* wrote $from"
	is "host reads what the firmware wrote" "$to, not $from" test "$to" = "$from"
}

# md5_of PIECE: of the 4 MiB there, as pc.sh says it
md5_of() {
	dd if=/dev/nvme0n1 bs=256k skip="$1" count=16 2>/dev/null | md5sum | cut -d ' ' -f 1
}

# Its firmware only loads it.  Where it writes take_disk() has left zeros.
test_q35_linux() {
	cp -r /pc "$tmp"
	cp /clients/pc.sh "$tmp/pc/init"
	(cd "$tmp/pc" && printf '%s\n' dev proc bin bin/busybox bin/sh init | cpio -o -H newc) \
		>"$tmp/pc.cpio" 2>/dev/null
	run_pc 600 -m 192M -kernel /pc/vmlinuz -initrd "$tmp/pc.cpio" \
		-append "console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable lsm="
	is "Linux starts" "" said 'pc: started'
	nothing_mapped 192
	give_disk
	from=$(md5_of 16)
	to=$(md5_of 176)
	is "checksum" "host has $from, $(grep -a '^pc: read' "$log")" said "pc: read $from"
	is "written and read back" "host has $from, $(grep -a '^pc: wrote' "$log")" \
		said "pc: wrote $from"
	is "interrupts arrive" "$(grep -a '^pc: interrupts' "$log")" \
		said 'pc: interrupts [1-9][0-9]'
	is "host reads what Linux wrote" "$to, not $from" test "$to" = "$from"
}

# ---- DPDK ------------------------------------------------------------------

take_nics() {
	nics=
	for d in /sys/bus/pci/devices/*; do
		[ "$(cat "$d/class")" = 0x020000 ] || continue
		echo vfio-pci >"$d/driver_override"
		echo "${d##*/}" >/sys/bus/pci/drivers_probe
		nics="$nics -a ${d##*/}"
	done
}

# forwarded PORT RX|TX: how many packets, by its own count
forwarded() {
	mawk -v port="$1" -v what="$2-packets:" '
	/Forward statistics for port/ { here = $6 == port }
	/Accumulated/ { here = 0 }
	here { for (i = 1; i < NF; i++) if ($i == what) n = $(i + 1) }
	END { print n + 0 }' "$log"
}

# near COUNT COUNT: but for what rings hold when it stops
near() { [ $(($1 - $2)) -lt 2048 ] && [ $(($2 - $1)) -lt 2048 ]; }

# It knows /dev/vfio/vfio, so it finds /dev/iommu there, as with
# CONFIG_IOMMUFD_VFIO_CONTAINER. It begins with some packets and sends on through the
# other device what comes in by one; both are on one wire.
test_testpmd() {
	take_nics
	[ -d /run/dpdk ] || mount -t tmpfs tmpfs /run
	mount --bind /dev/iommu /dev/vfio/vfio
	mkfifo "$tmp/keys"
	iommu_trace
	remember
	: >"$log"
	# shellcheck disable=SC2086 # a list of words
	stdbuf -oL dpdk-testpmd --no-huge -m 64 --no-telemetry -l 0,1 $nics -- --auto-start \
		--tx-first --total-num-mbufs=4096 --no-lsc-interrupt \
		<"$tmp/keys" >"$log" 2>&1 & pid=$!
	exec 3>"$tmp/keys"
	soon 60 said_or_gone 'Press enter to exit'
	sleep 5
	echo >&3
	soon 60 gone || kill -9 "$pid"
	wait "$pid"
	status=$?
	exec 3>&-
	rm "$tmp/keys"
	umount /dev/vfio/vfio
	iommu_traced
	tr -d '\r\033' <"$log" | cut -c 1-120 | sed 's/^/# testpmd: /'
	is "testpmd runs to its end" "it ended with $status" test $status = 0
	for port in 0 1; do
		rx=$(forwarded $port RX)
		tx=$(forwarded $((1 - port)) TX)
		is "port $port receives" "$rx packets" test "$rx" -gt 5000
		is "what the other one sent" "$rx of $tx" near "$rx" "$tx"
	done
	say "received: $rx packets"
	nothing_mapped 64
}
