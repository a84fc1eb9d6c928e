#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# host.sh TEST: what an emulated POWER host does with Debian's QEMU and an NVMe
# disk, as one program of our /init: nested KTAP on standard output, the
# console of the guest on lines that begin with "# guest: ".
#
#   passthrough	a Linux guest makes a huge window and uses the disk
#   io		the same in the default window, each I/O mapped and unmapped
#   trace	the same, watched by perf and trace-cmd
#   user	as an ordinary user, with memory for 2 TiB of window to come
#   user64	the same with 128 TiB, by a QEMU before 10
#   memlock	as an ordinary user without a device, who may lock little or much
#   fill	a guest maps a page all over its window until nothing is left
#   pull	the disk is pulled while a guest reads it
#   kill	QEMU is killed in a mapping storm, ROUNDS times
#   lpar	as passthrough, on an LPAR and without KVM: all goes through VFIO
#   unplug	the device is unplugged and plugged in a mapping storm, ROUNDS times
#   shell	no test: a shell on the console
#
# and those of iommufd.sh.

# Functions are called by name, and counts are read from a file.
# shellcheck disable=SC2317,SC2154

test=$1
ROUNDS=50
# A kernel with its own checkers on takes its time
slow=1
[ ! -e /sys/kernel/debug/kmemleak ] || slow=10 ROUNDS=5
ram=512				# MiB of a guest
slack=64			# MiB above that an ordinary user may lock
uid=1000
: "${gid:=}"
tmp=/tmp/clients
log=$tmp/guest.log
tracing=/sys/kernel/tracing
event=$tracing/events/spapr_tce/kvm_tce_hcall
tables=/sys/kernel/debug/spapr_tce/tables

n=0
bad=0

say() { echo "# $*"; }

# is NAME WHY COMMAND...: a test, which passes if COMMAND succeeds.
is() {
	name=$1 why=$2
	shift 2
	n=$((n + 1))
	if "$@"; then
		echo "ok $n $name"
	else
		[ -z "$why" ] || say "why: $why"
		echo "not ok $n $name"
		bad=1
	fi
}
skip() {
	n=$((n + 1))
	echo "ok $n $1 # SKIP $2"
}
finish() {
	echo "1..$n"
	exit $bad
}

# die WHY: the rest of the tests make no sense.
die() {
	is "$1" "" false
	show_guest
	finish
}

# soon SECONDS COMMAND...: wait until COMMAND succeeds; fail if it does not.
soon() {
	left=$(($1 * 5 * slow))
	shift
	until "$@"; do
		left=$((left - 1))
		[ $left -gt 0 ] || return 1
		sleep 0.2
	done
}

# ---- the device ------------------------------------------------------------

find_disk() {
	for d in /sys/bus/pci/devices/*; do
		[ "$(cat "$d/class")" != 0x010802 ] || disk=${d##*/}
	done
	[ -n "$disk" ] || die "no NVMe disk"
	group=$(basename "$(readlink "/sys/bus/pci/devices/$disk/iommu_group")")
}

# The host's own reading comes first, and is remembered for later programs.
take_disk() {
	dev=/sys/bus/pci/devices/$disk
	if [ ! -f $tmp/cksum ]; then
		head -c $((32 << 20)) /dev/nvme0n1 | cksum | cut -d ' ' -f 1 >$tmp/cksum
		head -c $((8 << 20)) /dev/zero | dd of=/dev/nvme0n1 bs=1M \
			seek=40 oflag=direct 2>/dev/null
	fi
	# What the others read must stay as it was summed.
	[ "$test" != q35 ] || dd if=/clients/boot.bin \
		of=/dev/nvme0n1 conv=notrunc,fsync 2>/dev/null
	echo vfio-pci >"$dev/driver_override"
	[ ! -e "$dev/driver" ] || echo "$disk" >"$dev/driver/unbind"
	echo "$disk" >/sys/bus/pci/drivers_probe
	[ -e "/dev/vfio/$group" ] || die "vfio-pci does not take the disk"
}

# give_disk: back to the host's driver
give_disk() {
	dev=/sys/bus/pci/devices/$disk
	echo >"$dev/driver_override"
	echo "$disk" >"$dev/driver/unbind"
	echo "$disk" >/sys/bus/pci/drivers_probe
	soon 10 test -b /dev/nvme0n1
}

# ---- QEMU ------------------------------------------------------------------

machine=pseries
accel=kvm
options=

# start_qemu OPTION...: in the background, its console in $log; sets pid.
start_qemu() {
	: >$log
	chmod 666 $log
	# What the host has no firmware for, it cannot offer
	m=$machine,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken
	[ $accel != kvm ] || m=$m,kvm-type=HV
	# Pages of a guest with a hash table may be no larger than the host's.
	[ "$(getconf PAGESIZE)" != 4096 ] || m=$m,cap-hpt-max-page-size=4k
	# shellcheck disable=SC2086 # lists of words
	$as_user qemu-system-ppc64 -M $m,cap-ccf-assist=off \
		-accel $accel -nodefaults -display none -serial stdio \
		-device "vfio-pci,host=$disk,id=disk" $options "$@" \
		</dev/null >>$log 2>&1 &
	pid=$!
}

# As uid, who may lock the guest's memory and a little more.
be_user() {
	chown $uid "/dev/vfio/$group"
	# Where udev has given it to a group, he is in that.
	[ -n "$gid" ] || chown $uid /dev/kvm
	# shellcheck disable=SC3045 # dash has it
	ulimit -l $(((ram + slack) << 10))
	as_user="setpriv --reuid=$uid --regid=${gid:-$uid} --clear-groups"
}

linux="-kernel /clients/vmlinux -initrd /clients/guest.cpio"
append="console=hvc0 panic=-1"
# A guest of 7.3 loses the interrupts of a device that it gave new vectors, if
# QEMU and KVM offer it XIVE: so does the base kernel's.
case $(uname -r) in
6.*)	;;
*)	append="$append xive=off" ;;
esac

said() { grep -aq "$1" $log; }
gone() { ! kill -0 "$pid" 2>/dev/null; }
said_or_gone() { said "$1" || gone; }

show_guest() {
	tr -d '\r\033' <$log | cut -c 1-200 | sed 's/^/# guest: /'
}

vmlck() { sed -n 's/^VmLck:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$pid/status"; }

# What the tables of the guest are charged with, in bytes
show_charge() {
	locked=$(vmlck)
	charge=$(((locked - (ram << 10)) << 10))
	if [ -f $tables ]; then
		while read -r t; do
			say "table: $t"
		done <$tables
	fi
	say "charged: $charge bytes beyond $ram MiB of guest memory"
}

# ---- what is left ----------------------------------------------------------

pinned() {
	# else it lags by seconds
	cat /proc/sys/vm/stat_refresh
	mawk '$1 == "nr_foll_pin_acquired" { n += $2 }
	$1 == "nr_foll_pin_released" { n -= $2 }
	END { print n + 0 }' /proc/vmstat
}

# KiB that are free when no cache keeps any; on lists of CPUs, too, which may
# keep hundreds of MiB of a process that died, and give them back little by little.
free_kb() {
	echo 3 >/proc/sys/vm/drop_caches
	mawk '$1 == "KernelPageSize:" { kb = $2 }
	$1 == "pages" && $2 == "free" { n += $3 }
	$1 == "count:" { n += $2 }
	END { printf "%d\n", n * kb }' /proc/self/smaps /proc/zoneinfo
}

remember() {
	pinned_before=$(pinned)
	free_before=$(free_kb)
}
no_tables() { [ ! -f "$tables" ] || [ ! -s "$tables" ]; }
no_pins() { [ "$(pinned)" = "$pinned_before" ]; }

memory_lost() { lost=$((free_before - $(free_kb))); }
less_is_lost() {
	memory_lost
	[ "$lost" -lt "$1" ]
}

# nothing_left [MIB]: since remember(); that much less memory may be free
nothing_left() {
	is "no table is left" "$(cat $tables 2>/dev/null)" soon 5 no_tables
	is "no page is left pinned" "$pinned_before were" soon 10 no_pins
	# Some of it is freed late, by a worker.
	[ -z "$1" ] || soon 10 less_is_lost $(($1 << 10))
	memory_lost
	say "memory: $lost KiB less are free"
	[ -z "$1" ] ||
		is "no memory is lost" "$lost KiB" test "$lost" -lt $(($1 << 10))
}

# ---- counting hypercalls ---------------------------------------------------

trace_start() {
	[ -d $event ] || return 0
	echo 0 >$tracing/tracing_on
	echo 32768 >$tracing/buffer_size_kb
	echo >$tracing/trace
	echo 1 >$event/enable
	echo 1 >$tracing/tracing_on
}

trace_stop() {
	[ -d $event ] || return 0
	echo 0 >$tracing/tracing_on
	grep kvm_tce_hcall $tracing/trace >$tmp/trace
	echo 0 >$event/enable
	echo >$tracing/trace
	# Calls, and how they ended; a page of the window here is one of 4 KiB,
	# and a level of the table, which the first map allocates, holds 512.
	mawk -v leaf=512 '
	function hex(s,    i, v) {
		for (i = 1; i <= length(s); i++)
			v = v * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1
		return v
	}
	{
		for (i = 1; i <= NF; i++)
			if (split($i, kv, "=") == 2)
				f[kv[1]] = kv[2]
		if (f["hcall"] == "H_GET_TCE")
			next
		hard = f["ret"] == 9999
		how = f["real"] == 1 ? (hard ? "hard" : "real") : (hard ? "user" : "virt")
		count[how]++
		if (!hard)
			calls[f["hcall"]]++
		if (f["ret"] == 0 && f["hcall"] != "H_STUFF_TCE")
			mapped += f["npages"]
		if (f["ret"] < 0)
			count["failed"]++
		at = hex(f["ioba"]) / 4096
		first = 0
		for (l = int(at / leaf); l <= int((at + f["npages"] - 1) / leaf); l++) {
			key = f["liobn"] " " l
			if (!(key in seen))
				first = 1
			if (f["ret"] == 0 && f["hcall"] != "H_STUFF_TCE")
				seen[key]
		}
		if (how == "hard" && !first)
			count["again"]++
	}
	END {
		split("real hard virt user failed again", k, " ")
		for (i = 1; i in k; i++)
			printf "%s=%d\n", k[i], count[k[i]]
		printf "mapped=%d\n", mapped
		for (c in calls)
			printf "%s=%d\n", c, calls[c]
	}' $tmp/trace >$tmp/counts
	# shellcheck source=/dev/null
	. $tmp/counts
	say "hypercalls: $(tr '\n' ' ' <$tmp/counts)"
	[ -z "$(sed -n 's/^entries overrun: *0*//p;s/^overrun: *0*//p' \
		$tracing/per_cpu/cpu*/stats)" ] || say "hypercalls: some were lost"
}

# ---- a Linux guest ---------------------------------------------------------

# run_linux: start it, look at it when it has done its work, wait for its end
run_linux() {
	# shellcheck disable=SC2086 # a list of words
	start_qemu $linux -append "$append" "$@"
	began=$(date +%s)
	soon 100 said_or_gone 'guest: wrote\|guest: failed'
	gone || show_charge
	ended=yes
	soon 30 gone || { ended=; kill -9 $pid; }
	wait $pid
	status=$?
	say "took: $(($(date +%s) - began)) s"
}

check_linux() {
	show_guest
	is "guest runs to its end" "QEMU ended with $status: $(grep -a qemu $log | tail -n 1)" \
		test "$ended$status" = yes0
	is "checksum" "host has $(cat $tmp/cksum), $(grep -a 'guest: read' $log)" \
		said "guest: read 33554432 bytes, cksum $(cat $tmp/cksum)"
	is "written and read back" "$(grep -a 'guest: wrote' $log)" \
		said 'guest: wrote .*: same'
}

# Beyond the guest's memory.  On a host with pages of 4K a TCE, which costs 16 bytes,
# maps 4K: 2 MiB for a guest of 512.
charge_is_small() {
	most=4
	[ "$(getconf PAGESIZE)" != 4096 ] || most=$((4 + ram / 256))
	is "charge is less than $most MiB" "$charge bytes" test "$charge" -lt $((most << 20))
}

# window_is SHIFT: the guest made a window of so many bytes.
window_is() {
	is "window of 1 << $1 bytes" "$(grep -a create-pe-dma-window $log)" \
		said "create-pe-dma-window.* $(printf %x "$1") returned 0"
}

check_in_kernel() {
	if [ -d $event ]; then
		is "mapped in the kernel" "" test "$((mapped > 0))" = 1
		is "no hypercall goes to QEMU" "$user did" test "$user" = 0
		is "no hypercall fails" "$failed did" test "$failed" = 0
	else
		is "mapped in the kernel" "no tracepoint kvm_tce_hcall" false
	fi
}

test_passthrough() {
	remember
	trace_start
	run_linux -m ${ram}M,slots=4,maxmem=1G
	trace_stop
	check_linux
	window_is 31
	check_in_kernel
	nothing_left
	# The host sees what the guest wrote.
	give_disk
	want=$(sed -n 's/.*guest: wrote .*cksum \([0-9]*\):.*/\1/p' $log)
	got=$(dd if=/dev/nvme0n1 bs=1M skip=40 count=8 2>/dev/null |
		cksum | cut -d ' ' -f 1)
	is "host reads what the guest wrote" "$got, not $want" test "$got" = "$want"
}

# An emulated processor emulates another one: this takes its time. The hypervisor
# of the host makes a window for the guest's; QEMU asks it for two levels.
test_lpar() {
	slow=$((slow * 12))
	accel=tcg
	remember
	run_linux -m ${ram}M,slots=4,maxmem=1G
	check_linux
	window_is 31
	slow=$((slow / 12))
	nothing_left
	give_disk
	is "the host has its disk again" "" test "$(cat $tmp/cksum)" = \
		"$(head -c $((32 << 20)) /dev/nvme0n1 | cksum | cut -d ' ' -f 1)"
}

test_io() {
	remember
	trace_start
	append="$append disable_ddw"
	run_linux -m ${ram}M
	trace_stop
	check_linux
	check_in_kernel
	if [ -d $event ]; then
		all=$((real + virt))
		is "90 % do not leave the run loop" "$real of $all" \
			test $((real * 100)) -ge $((all * 90))
		is "too hard only where a level is mapped first" "$again were not" \
			test "$again" = 0
	fi
	nothing_left
}

# trace-cmd prints what it cannot make sense of as it is, and says so.
test_trace() {
	remember
	append="$append disable_ddw"
	# It counts for as long as its child lives.
	: >$tmp/tracing
	perf stat -a -x , -o $tmp/perf -e spapr_tce:kvm_tce_hcall \
		-e spapr_tce:tce_window_create \
		sh -c "while [ -e $tmp/tracing ]; do sleep 0.2; done" & perf=$!
	trace-cmd start -b 32768 -e spapr_tce >$tmp/trace-cmd 2>&1
	started=$?
	is "trace-cmd starts" "$(tail -n 1 $tmp/trace-cmd)" test $started = 0
	run_linux -m ${ram}M
	trace-cmd stop
	rm $tmp/tracing
	wait $perf
	trace-cmd extract -o $tmp/trace.dat >$tmp/trace-cmd 2>&1
	trace-cmd report -i $tmp/trace.dat >$tmp/report 2>>$tmp/trace-cmd
	trace-cmd reset
	check_linux
	is "trace-cmd understands all events" "$(grep -m 1 -i fail $tmp/report)" \
		test -z "$(grep -m 1 -i 'fail\|unknown' $tmp/report $tmp/trace-cmd)"
	for e in tce_region_register tce_window_create tce_list tce_level_alloc \
		'kvm_tce_hcall.*H_PUT_TCE' tce_region_unregister; do
		is "trace-cmd reports $e" "$(tail -n 1 $tmp/trace-cmd)" \
			grep -q "$e" $tmp/report
	done
	for e in kvm_tce_hcall tce_window_create; do
		seen=$(grep -c "$e:" $tmp/report)
		count=$(sed -n "s/^\([0-9]*\),.*:$e,.*/\1/p" $tmp/perf)
		is "perf counts $e" "${count:-none}, trace-cmd has $seen" \
			test "${count:-0}" -ge "$seen"
	done
	nothing_left
	rm -f $tmp/trace.dat $tmp/report
}

test_user() {
	remember
	be_user
	run_linux -m ${ram}M,slots=4,maxmem=1T
	check_linux
	window_is 41
	charge_is_small
	nothing_left
}

# With a newer machine, QEMU has an object for each block of memory that may be
# plugged in, and has not made 262144 of them here after two minutes.
test_user64() {
	if ! qemu-system-ppc64 -M help | grep -q '^pseries-2\.4 '; then
		skip "a guest that may get 64 TiB" "this QEMU has newer machines only"
		return
	fi
	remember
	be_user
	machine=pseries-2.4,cap-htm=off,resize-hpt=enabled
	options="-global spapr-pci-host-bridge.ddw=on"
	run_linux -m ${ram}M,slots=4,maxmem=64T
	check_linux
	window_is 47
	charge_is_small
	nothing_left
}

# What KVM has no table for, for it would cost more than may be locked, QEMU does
# itself, and says so. What KVM has must not fail QEMU later.
test_memlock() {
	m=$machine,kvm-type=HV,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken
	chown $uid /dev/kvm
	remember
	for limit in 64 1024 8192 unlimited; do
		: >$log
		# shellcheck disable=SC3045 # dash has it
		(
			ulimit -l $limit
			{
				sleep $((8 * slow))
				echo info status
				sleep 1
				echo quit
			} | setpriv --reuid=$uid --regid=$uid --clear-groups \
				qemu-system-ppc64 -M "$m,cap-ccf-assist=off" \
				-accel kvm -m 256M -vga none -display none \
				-serial none -monitor stdio
		) >$log 2>&1
		status=$?
		tables_refused=$(grep -ac 'Failed to create TCE' $log)
		say "with $limit KiB: QEMU ended with $status, $tables_refused tables refused"
		is "QEMU runs with $limit KiB" "$(tail -n 1 $log)" test $status = 0
		is "so does its guest with $limit KiB" "$(tail -n 1 $log)" \
			said 'status: running'
	done
	# 2 MiB for the default window, and some for others
	is "no table is refused without a limit" "" test "$tables_refused" = 0
	nothing_left
}

unbound() { [ ! -e "/sys/bus/pci/devices/$disk/driver" ]; }

# From the host's side: vfio-pci asks QEMU for it.
test_pull() {
	remember
	append="$append disable_ddw guest.pull=1"
	# shellcheck disable=SC2086 # a list of words
	start_qemu $linux -append "$append" -m ${ram}M
	soon 100 said_or_gone 'guest: reading on\|guest: failed'
	is "the guest reads" "" said 'guest: reading on'
	sleep 1
	echo "$disk" >/sys/bus/pci/drivers/vfio-pci/unbind & unbind=$!
	is "the disk is given back" "" soon 30 unbound
	# QEMU may touch a BAR of the device that has gone, and get SIGBUS (135).
	if kill -0 $pid 2>/dev/null; then
		is "QEMU goes on" "" true
		kill -9 $pid
		wait $pid
	else
		wait $pid
		skip "QEMU goes on" "it ended with $?"
	fi
	wait $unbind 2>/dev/null
	# The guest complains about its disk, and has a right to.
	tr -d '\r\033' <$log | tail -n 20 | cut -c 1-200 | sed 's/^/# pulled: /'
	nothing_left
}

# ---- a bare guest ----------------------------------------------------------

# bare MODE: see bare.c
bare() {
	mode=$1
	shift
	machine=pseries,host-serial=$mode
	start_qemu -m ${ram}M -bios /clients/bare.bin "$@"
}

answer() { sed -n "s/^bare: $1: \(-*[0-9]*\).*/\1/p" $log; }
is_answer() {
	is "$1 gives $2" "$(answer "$1")" test "$(answer "$1")" = "$2"
}

test_fill() {
	remember
	be_user
	bare fill:41
	soon 15 said_or_gone 'bare: then'
	gone || show_charge
	soon 15 gone || kill -9 $pid
	wait $pid
	status=$?
	show_guest
	is "QEMU goes on" "it ended with $status" test $status = 0
	mapped=$(answer mapped)
	is "many pages were mapped" "$mapped" test "${mapped:-0}" -gt 100
	is_answer "then" -44
	is_answer "mapped over itself" 0
	is_answer unmapped 0
	is_answer "mapped again" "$mapped"
	is_answer "default window" 0
	is_answer "remove window" 0
	is_answer "create window again" 0
	is_answer "mapped half of it" 0
	nothing_left
}

storming() {
	soon 20 said_or_gone 'bare: storming'
	said 'bare: storming'
}

test_kill() {
	ram=256
	began=$(date +%s)
	round=0
	while [ $round -lt $ROUNDS ]; do
		# The first one fills the caches.
		[ $round != 1 ] || remember
		bare storm:41
		storming || die "no storm in round $round"
		[ $((round % 3)) = 0 ] || sleep 0.$((round % 7 + 1))
		kill -9 $pid
		wait $pid 2>/dev/null
		round=$((round + 1))
	done
	say "took: $(($(date +%s) - began)) s for $round rounds"
	is "killed $ROUNDS times" "" test $round = $ROUNDS
	nothing_left 64
}

monitor() { echo "$*" >&3; }
no_device() { ! readlink "/proc/$pid/fd/"* | grep -q vfio-device; }
has_device() { ! no_device; }

test_unplug() {
	ram=256
	began=$(date +%s)
	mkfifo $tmp/monitor.in $tmp/monitor.out
	remember
	exec 3<>$tmp/monitor.in 4<>$tmp/monitor.out
	cat <&4 >$tmp/monitor & reader=$!
	# QEMU looks through all of the windows at each device_add.
	options="-global spapr-pci-host-bridge.dma_win_size=0x1000000"
	bare unplug:28 -chardev pipe,id=monitor,path=$tmp/monitor -mon monitor
	storming || die "no storm"
	round=0
	while [ $round -lt $ROUNDS ]; do
		monitor device_del disk
		soon 10 no_device || break
		monitor "device_add vfio-pci,host=$disk,id=disk"
		soon 10 has_device || break
		round=$((round + 1))
	done
	say "took: $(($(date +%s) - began)) s for $round rounds"
	is "unplugged $ROUNDS times" "$round times" test $round = $ROUNDS
	is "QEMU goes on" "" kill -0 $pid
	kill -9 $pid
	wait $pid 2>/dev/null
	kill $reader
	grep -a Error $tmp/monitor | tr -d '\r\033' | head -n 3 | sed 's/^/# monitor: /'
	show_guest
	nothing_left
}

test_shell() {
	exec </dev/hvc0 >/dev/hvc0 2>&1
	cat <<-EOF

	Here is a host with QEMU, perf and trace-cmd. Its disk $disk, group $group, is
	taken by vfio-pci. A guest that may grow to 1 TiB, with the disk passed through:

	    qemu-system-ppc64 -M pseries,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off,kvm-type=HV \\
	        -accel kvm -m 512M,slots=2,maxmem=1T -nodefaults -nographic -serial stdio \\
	        -device vfio-pci,host=$disk -kernel /clients/vmlinux -initrd /clients/guest.cpio &
	    cat $tables
	    trace-cmd stream -e spapr_tce

	exit ends it.

	EOF
	PS1='host# ' setsid -w -c sh -i
	exit
}

# shellcheck source=/dev/null
[ ! -f /clients/iommufd.sh ] || . /clients/iommufd.sh
mkdir -p $tmp
chmod 777 $tmp
as_user=
find_disk
take_disk
case $test in
passthrough)	test_passthrough ;;
io)		test_io ;;
trace)		test_trace ;;
user)		test_user ;;
user64)		test_user64 ;;
memlock)	test_memlock ;;
fill)		test_fill ;;
kill)		test_kill ;;
lpar)		test_lpar ;;
unplug)		test_unplug ;;
pull)		test_pull ;;
q35)		test_q35 ;;
q35_linux)	test_q35_linux ;;
testpmd)	test_testpmd ;;
shell)		test_shell ;;
*)		die "there is no such test" ;;
esac
finish
