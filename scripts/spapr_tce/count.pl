#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# The tables of count.sh: count.pl hcalls BUILD, count.pl profile BUILD WHERE

use strict;
use warnings;
no warnings 'portable';	# addresses have 64 bits

my ($what, $build, $where) = @ARGV;

sub lines {
	open my $in, '<', "$build/$_[0]" or die "$build/$_[0]: $!\n";
	chomp(my @lines = <$in>);
	return @lines;
}
sub median { my @v = sort { $a <=> $b } @_; return @v ? $v[$#v / 2] : '-' }

# What the program prints between its marks: "turns N", and a name for each call of
# a turn. What was counted has a line for each call; the address that is there most
# is that of the calls, another one the end of a turn. Behind N turns the mode
# changes from "as it is" to virtual.
sub hcalls {
	my (%median, @names);
	for my $machine ('powernv9', 'powernv8') {
		for my $kernel ('base', 'ours') {
			my ($turns, %seen, %sample);
			@names = ();
			for (lines("hcalls-$machine-$kernel.names")) {
				next unless /^=== hcalls begin/ .. /^=== hcalls end/;
				if (/^turns (\d+)/) { $turns = $1 } elsif (!/^[=#]/) { push @names, $_ }
			}
			my @calls = map { [split] } lines("hcalls-$machine-$kernel");
			$seen{$$_[0]}++ for @calls;
			my ($most) = sort { $seen{$b} <=> $seen{$a} } keys %seen;
			my ($turn, $call) = (0, 0);
			for (@calls) {
				($turn, $call) = ($turn + 1, 0), next if $$_[0] ne $most;
				push @{$sample{$turn >= $turns}{$call++}}, $$_[1];
			}
			for my $i (0 .. $#names) {
				$median{"$machine-$kernel", 'as it is', $i} = median(@{$sample{''}{$i} || []});
				$median{"$machine-$kernel", 'virtual', $i} = median(@{$sample{1}{$i} || []});
			}
		}
	}
	print "Instructions from one hypercall to the next, all of the guest, the host and\n",
		"firmware (median)\n\n";
	printf "%-32s %19s   %29s\n", '', 'powernv9', 'powernv8';
	# POWER9 has no hypercalls in real mode, so there one column of ours will do.
	my $line = "%-32s %9s %9s   %9s %9s %9s\n";
	printf $line, '', 'base', 'ours', 'base', 'ours:virt', 'ours:real';
	for my $i (0 .. $#names) {
		printf $line, $names[$i], $median{'powernv9-base', 'as it is', $i},
			map { $median{$$_[0], $$_[1] // 'as it is', $i} } ['powernv9-ours'],
			['powernv8-base'], ['powernv8-ours', 'virtual'], ['powernv8-ours'];
	}

	# What each is to be, at most
	my $figure = sub { my ($kernel, $mode, $i) = @_; $median{$kernel, $mode // 'as it is', $i} };
	my $goal = sub {
		my ($i, $where, $of, $most) = @_;
		my $met = $of eq '-' || $most eq '-' ? 'NOT MEASURED' : $of <= $most ? 'met' : 'NOT MET';
		printf "%-32s %-18s %9s %9.0f %s\n", $names[$i], $where, $of, $most eq '-' ? 0 : $most, $met;
	};
	print "\n";
	printf "%-32s %-18s %9s %9s\n", 'Goals', '', 'ours', 'at most';
	for my $i (0 .. $#names) {
		my ($base9, $base8) = map { $figure->("$_-base", undef, $i) } 'powernv9', 'powernv8';
		my ($ours9, $virt, $real) = map { $figure->(@$_, $i) } ['powernv9-ours', undef],
			['powernv8-ours', 'virtual'], ['powernv8-ours', undef];
		my $one = $names[$i] =~ /^H_PUT_TCE,|^H_STUFF_TCE, 1 page/;
		$goal->($i, 'powernv9', $ours9, $base9 eq '-' ? '-' : $one ? 0.6 * $base9 : $base9);
		$goal->($i, 'powernv8, virtual', $virt, $base8);
		if ($names[$i] =~ /INDIRECT, 512/) {
			$goal->($i, 'powernv9', $ours9, 45000);
			$goal->($i, 'powernv8, virtual', $virt, 45000);
			$goal->($i, 'powernv8, real', $real, 45000);
		}
		$goal->($i, 'powernv8, real', $real, 10000) if $names[$i] =~ /STUFF_TCE, 512/;
	}
}

# In this order; functions are told by patterns, or by our file.
my @groups = (
	['system call entry and exit, with mitigations', qr/^exc_.*system_call|^system_call|
		^syscall_|^interrupt_exit_user|^check_return_regs|^(?:entry|scv_entry|rfi|rfscv)_flush_fallback/x],
	['user copy and its barriers', qr/copy_(?:to|from|tofrom)_user|^do_uaccess_flush/],
	['ioctl and VFIO core', qr/^(?:sys|__se_sys|do_vfs|vfs)_ioctl|^fdget|^fput|^vfio_|^security_file/],
	['TCE container driver', qr{^drivers/vfio/}],
	['user table and its tree', qr{/kernel/tce_|^iommu_direction_to_tce|^iommu_tce_(?:check|direction)}],
	['registered memory', qr{/mm/book3s64/}],
	['invalidation (hypercalls, in an LPAR): kernel', qr{opal_|^iommu_tce_kill|tce_invalidate|/pci-ioda-tce[.]c|pSeries|pseries|hcall}],
	['invalidation: firmware', qr/^\(firmware\)/],
	['program', qr/^\(user\)/],
	['other: locks, rescheduling, interrupt flag', qr/./],
);

sub profile {
	my @syms = map { /(\S+) (\S+)/; { va => hex $1, name => $2 } } lines('profile.syms');
	my %file = map { reverse split } lines('profile.ours');
	my ($requests, @counts) = lines('profile');
	my @requests = (split ' ', $requests)[1, 2];
	my (%cost, @group, @sum, @ours, @flushes);
	my $kernel = $syms[0]{va};

	die "no request was counted\n" if grep { !$_ } @requests;
	for (@counts) {
		my ($va, @insns) = split;
		my ($name, $low, $high) = ('(user)', 0, scalar @syms);
		$va = hex $va;
		# The kernel runs some of its code without translation.
		$va += $kernel if $va < $syms[-1]{va} - $kernel;
		if ($va >= $kernel) {
			while ($low < $high) {
				my $mid = int(($low + $high) / 2);
				if ($syms[$mid]{va} <= $va) { $low = $mid + 1 } else { $high = $mid }
			}
			$low-- while $low > 1 && $syms[$low - 2]{va} == $syms[$low - 1]{va};
			$name = $syms[$low - 1]{name};
		} elsif ($va >= 0x30000000 && $va < 0x40000000) {
			$name = '(firmware)';	# where skiboot has moved itself
		}
		$cost{$name}[$_] += $insns[$_] / $requests[$_] for 0, 1;
	}
	for my $name (sort { $cost{$b}[0] + $cost{$b}[1] <=> $cost{$a}[0] + $cost{$a}[1] } keys %cost) {
		my ($g) = grep { ($file{$name} // $name) =~ $groups[$_][1] } 0 .. $#groups;
		push @{$group[$g]{names}}, $name;
		for my $c (0, 1) {
			my $v = $cost{$name}[$c];
			$group[$g]{cost}[$c] += $v;
			$sum[$c] += $v;
			$ours[$c] += $v if $file{$name};
			$flushes[$c] += $v if $name =~ /_flush(?:_fallback)?$/;
		}
	}
	my $put = sub {
		my $name = shift;
		printf "%-48s %9s %9s\n", $name, map { $_ ? sprintf '%.0f', $_ : '-' } @_[0, 1];
	};
	print "Instructions executed by a request for one page, one TCE ($where)\n\n";
	printf "%-48s %9s %9s\n", '* in a file of ours', 'map', 'unmap';
	for my $g (0 .. $#groups) {
		print "\n";
		$put->($groups[$g][0], @{$group[$g]{cost} || []});
		$put->('    ' . $_ . ($file{$_} ? ' *' : ''), @{$cost{$_}})
			for grep { !/^\(/ } @{$group[$g]{names} || []};
	}
	print "\n";
	$put->('sum', @sum);
	$put->('of that, files of ours (*)', @ours);
	$put->('the floor: all else', map { $sum[$_] - $ours[$_] } 0, 1);
	$put->('    of that, flushes against speculation', @flushes);
	my %bench = map { /^((?:un)?map one page|a request that fails)/ ? ($1 => (split /\t/)[3]) : () }
		lines('profile.bench');
	my @pages = @bench{'map one page', 'unmap one page'};
	$put->('bench in this run, by the PMU', @pages);
	$put->('    less a request that fails on its argsz', map { $_ - $bench{'a request that fails'} } @pages);
	print "\nMeans of $requests[0] requests to map and $requests[1] to unmap.\n";
}

$what eq 'hcalls' ? hcalls() : profile();
