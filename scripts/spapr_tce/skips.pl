#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# Count what was skipped in results, by class and reason. A class and a regular
# expression for its reasons are below; README.md says what each would need.

use strict;
use warnings;

my (%sum, %count, @classes);
for (<DATA>) {
	push @classes, [$1, qr/^(?:$2)$/] if /^(\w+)\t+(.*)/;
}
for (grep { /^skip / } <>) {
	my $reason = / \((.*)\)$/ ? $1 : 'no reason given';
	my ($class) = map { $$_[0] } grep { $reason =~ $$_[1] } @classes;
	$sum{$class // 'other'}++;
	$count{$class // 'other'}{$reason}++;
}
for my $class (grep { $sum{$_} } map({ $$_[0] } @classes), 'other') {
	printf "%6d  %s\n", $sum{$class}, $class;
	my $n = $count{$class};
	printf "%10d  %s\n", $$n{$_}, $_ for sort { $$n{$b} <=> $$n{$a} || $a cmp $b } keys %$n;
}
__DATA__
machine	no second window on this machine|no window but the default one|the window is the machine's|the machine places its windows elsewhere|more than two windows|no second group with a window like the first's|groups cannot share windows on this machine|no second group that can join|no dynamic DMA windows.*|no window so large|no window of any size can be made|no such IOMMU page size on this machine|the IOMMU has no .*|no larger IOMMU pages?.*|no 64K pages|no windows of .*|hypercalls always leave the run loop here|no bypass on this machine|the hypervisor's affair|the hypervisor keeps the entries|IOMMU type not supported by this machine|no VFIO_SPAPR_TCE_v2_IOMMU.*|no (?:16|64) TB of address space|booted with disable_ddw|this QEMU has newer machines only|maps a GiB in 30 s, too much for an emulator
lpar	not an LPAR|real mode is not for LPARs|an LPAR host without memory for its own window stays without
eeh	no EEH on this machine
kvm	KVM has no .*|no KVM on this machine|no guest: .*|KVM PR may lose timer interrupts on an emulated powernv|no KVM (HV|PR).*|no call came at the right moment
pages	no transparent huge pages here|no huge pages on this machine|no hugetlb pages of .*|no room for a huge page beside small ones|too big to have small pages beside it|hugetlb cannot be pinned .*
faults	no fault injection in this kernel|fault injection cannot be set up|the kernel has no place to fail at|the kernel has no dynamic debug
devices	no edu device|not an edu device|no PCI device to take: .*|no VFIO device: .*|no second group|one IOMMU group only|no device with a BAR to map|no NVMe disk with serial number .*|.* is not as disk.c writes it: left alone|.* has window 0 mapped to memory directly.*|boot powernv with iommu=nobypass to be sure|no writable disk file system.*|the disk is alone in its group|no group of two edu devices|no edu device that could show what it reaches|no edu device on powernv|no virtio entropy device
nodes	one NUMA node only|no memory can be taken offline|memory blocks cannot go offline here
modules	VFIO is built in
kernel	no /dev/iommu|no vp-vdpa driver|no debugfs.*|no tracefs|no tracepoint of hypercalls|no memfd|no vm.compact_memory here|physical addresses are not told|no CONFIG_IOMMU_DEBUGFS|.*cgroup.*
network	network: .*|no package of Debian's configuration|no Debian root.*|this is no Debian.*|no QEMU with igb
