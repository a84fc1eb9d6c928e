#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# The tables of bench.sh, all figures of which go into a file CSV.
#
#   bench.pl bench CSV BASE OURS     what bench printed on each kernel: what, per, x,
#                                    instructions, ns, bytes and target, with tabs
#                                    between and "-" for what is not there
#   bench.pl host CSV GOAL FILE      what the host benchmark printed in all rounds,
#                                    with "base" or "ours" and a tab before each line
#   bench.pl domain CSV FILE         what bench-domain and generic-pt printed in all
#                                    rounds, with "ours" or "x86" before each line

use strict;
use warnings;

my ($what, $csv, @files) = @ARGV;
open my $out, '>', $csv or die "$csv: $!\n";

sub lines {
	open my $in, '<', $_[0] or die "$_[0]: $!\n";
	chomp(my @lines = <$in>);
	return map { [split /\t/] } grep { !/^#/ } @lines;
}

# A figure with three digits at least, thousands apart
sub fig {
	my ($v) = @_;
	return '-' if !defined $v || $v eq '-';
	return $v == 0 ? '0' : sprintf $v < 10 ? '%.2f' : '%.1f', $v if $v < 1000;
	$v = sprintf '%.0f', $v;
	1 while $v =~ s/^(\d+)(\d{3})/$1,$2/;
	return $v;
}
sub ratio {
	my ($b, $o) = @_;
	return (grep { !defined || $_ eq '-' || $_ <= 0 } $b, $o) ? '-' : fig($b / $o);
}

sub bench {
	my (%value, %ns, %per, %target, %points, @rows);
	print $out "what,per,x,kernel,instructions,ns,bytes,target\n";
	for my $kernel ('base', 'ours') {
		for (lines($files[$kernel eq 'ours'])) {
			my ($what, $per, $x, $insns, $ns, $bytes, $target) = @$_;
			if (!exists $per{$what, $x}) {
				$per{$what, $x} = $per;
				if ($x eq '-') { push @rows, $what } else { $points{$what}{$x}++ }
			}
			$value{$kernel, $what, $x} = $insns eq '-' ? $bytes : $insns;
			$ns{$kernel, $what, $x} = $ns;
			$target{$what} = $target;
			print $out join(',', map { $_ eq '-' ? '' : $_ } $what, $per, $x, $kernel,
				$insns, $ns, $bytes, $target), "\n";
		}
	}
	my $row = "%-43s %14s %9s %8s %9s %-8s %17s %9s\n";
	printf $row, 'instructions, if nothing else is said', 'base', 'ours', 'ratio', 'target',
		'', 'emulated ns: base', 'ours';
	for my $w (@rows) {
		my ($b, $o) = @value{map { join $;, $_, $w, '-' } 'base', 'ours'};
		my ($per, $t) = ($per{$w, '-'}, $target{$w});
		my $unit = $per eq 'window' ? 'bytes' : $per eq 'ratio' ? $per : "/$per";
		# A target that only ours has no figure for is not met either.
		my $met = $t eq '-' || fig($b) eq '-' && fig($o) eq '-' ? '' :
			fig($o) ne '-' && $o <= $t ? 'met' : 'NOT MET';
		printf $row, "$w: $unit", fig($b), fig($o), ratio($b, $o), $t ne '-' && $t >= 1000 ? fig($t) : $t,
			$met, map { fig($ns{$_, $w, '-'}) } 'base', 'ours';
	}
	# curve TITLE, X, what, of which things at each x: every STEP-fold x, and the last
	my $curve = sub {
		my ($title, $x, $of, $step, @names) = @_;
		my ($last) = sort { $b <=> $a } keys %{$points{"$names[0] $of"} || {}};
		return unless $last;
		printf "\n%s\n%12s", $title, $x;
		printf '  %16s %12s %9s', "$_: base", 'ours', 'ratio' for @names;
		print "\n";
		for (my $i = 1; $i <= $last; $i *= $i * $step > $last && $i < $last ? $last / $i : $step) {
			printf '%12s', $i < 1000 ? $i : fig($i);
			for my $name (@names) {
				my ($b, $o) = @value{map { join $;, $_, "$name $of", $i } 'base', 'ours'};
				printf '  %16s %12s %9s', fig($b), fig($o), ratio($b, $o);
			}
			print "\n";
		}
	};
	$curve->('Instructions per TCE in one request of so many TCEs (4K pages)',
		'TCEs', 'range', 4, 'map', 'unmap');
	$curve->('Instructions per call for one page, with so many regions (mean of up to 64 of them)',
		'regions', 'among regions', 4, 'map', 'unmap');
	$curve->("Instructions per TCE for 16 TCEs, so far apart in a new window of 2^31\n" .
		'(map: one call each, levels are made; unmap: one call for all)',
		'TCEs apart', 'sparse', 8, 'map', 'unmap');
	$curve->("Bytes per TCE for these, of the window and its levels\n" .
		'(allocated: free pages that went, 0 where that is none; charged: VmLck)',
		'TCEs apart', 'sparse', 8, 'allocated', 'charged');
}

sub host {
	my ($goal, $file) = @files;
	my (@where, %kills, %ns, %least, %count, $most, $note, $worst, $worst_least);
	print $out "what,where,TCEs per request,kernel,ns,least ns,instructions\n";
	for (lines($file)) {
		my ($kernel, $what, $where, $x, $ns, $least, $insns) = @$_;
		if ($what =~ /^#(.*)/) {
			$note //= $1 =~ s/^ //r;
		} elsif ($what eq 'where') {
			$where[$where] = $x;
		} elsif ($what eq 'kills') {
			$kills{$kernel} = $ns if $ns > ($kills{$kernel} // 0);
		} else {
			my $key = join $;, $kernel, $what, $where, $x;
			push @{$ns{$key}}, $ns;
			$least{$key} = $least if !defined $least{$key} || $least < $least{$key};
			$count{$key} = $insns if $insns ne '-';
			$most = $x if $x > ($most // 0);
		}
	}
	# The median of all rounds and the least, and the line into the CSV
	my $get = sub {
		my ($kernel, $what, $w, $x) = @_;
		my $key = join $;, @_;
		my @sorted = sort { $a <=> $b } @{$ns{$key}};
		my @r = ($sorted[$#sorted / 2], $least{$key}, $count{$key} // '');
		print $out join(',', $what, $where[$w], $x, $kernel, @r), "\n";
		$r[2] = $r[2] eq '' ? '-' : sprintf '%.1f', $r[2];
		return @r;
	};
	printf "%-19s %17s %17s %8s %7s %25s\n", '', 'base, ns/TCE', 'ours, ns/TCE', 'ratio',
		'store', 'instructions/TCE';
	printf "%-19s %8s %8s %9s %7s %8s %7s %9s %7s %7s\n", 'TCEs per request', 'median', 'least',
		'median', 'least', '', 'loop', 'base', 'ours', 'store';
	for my $w (0 .. $#where) {
		print "$where[$w]\n";
		for my $what ('map', 'over', 'unmap') {
			for (my $x = 1; $x <= $most; $x *= 4) {
				my @b = $get->('base', $what, $w, $x);
				my @o = $get->('ours', $what, $w, $x);
				my @s = $get->('ours', 'store', $w, $x);
				if ($x >= 256) {
					$worst = $o[0] if $o[0] > ($worst // 0);
					$worst_least = $o[1] if $o[1] > ($worst_least // 0);
				}
				# What the table has; all sizes are in the CSV
				printf "  %-10s %6d %8.2f %8.2f %9.2f %7.2f %8.1f %7.2f %9s %7s %7s\n",
					$what eq 'over' ? 'map over' : $what, $x, @b[0, 1], @o[0, 1], $b[0] / $o[0],
					$s[0], $b[2], $o[2], $s[2] if grep { $x == 16 ** $_ } 0 .. 4;
			}
		}
	}
	my $met = $worst < $goal ? 'met' : $worst_least < $goal ? 'met by the least only' : 'NOT MET';
	printf "\nRequests of ours for 256 TCEs and more take at most %.2f ns per TCE, %.2f at their\n" .
		"least; the goal is less than %s: %s.\n", $worst, $worst_least, $goal, $met;
	printf "Measured through the ioctl, translation and counting included. Not in it: the\n" .
		"kill (%d for each request of the base, %d of ours), and the way into the kernel.\n",
		$kills{base} // 0, $kills{ours} // 0;
	print "$note\n" if $note;
}

# Targets are those of the IOMMU API: instructions for POWER, and bytes.
sub domain {
	my (%ns, %insns, %sizes, @sparse, @power, @slower);
	print $out "pages,kernel,map ns,unmap ns,map instructions,unmap instructions\n";
	for (lines($files[0])) {
		my ($which, @f) = @$_;
		if ($which eq 'power') {
			push @power, \@f;
		} elsif ($f[0] eq 'sparse') {
			@sparse = @f[1 .. 3];
		} else {
			my ($x, $line) = @f;
			$sizes{$x} = 1 if $line eq 'range';
			for my $i (0, 1) {
				push @{$ns{$which, $line, $x, $i}}, $f[2 + $i];
				$insns{$which, $line, $x, $i} = $f[4 + $i] if $f[4 + $i] ne '-';
			}
		}
	}
	my $median = sub {
		my @sorted = sort { $a <=> $b } @{$ns{join $;, @_}};
		return $sorted[$#sorted / 2];
	};
	printf "%-17s %19s %19s %19s %19s\n", 'A page costs', 'x86, ns', 'ours, ns',
		'x86, instructions', 'ours, instructions';
	printf "%-17s %9s %9s %9s %9s %9s %9s %9s %9s\n", 'pages per request', ('map', 'unmap') x 4;
	for my $x (sort { $a <=> $b } keys %sizes) {
		my (@t, @n);
		for my $which ('x86', 'ours') {
			my @here = map { $median->($which, 'range', $x, $_) } 0, 1;
			my @count = map { $insns{$which, 'range', $x, $_} // '-' } 0, 1;
			print $out join(',', $x, $which, @here, map { $_ eq '-' ? '' : $_ } @count), "\n";
			push @t, @here;
			push @n, @count;
		}
		printf "%17d %9.2f %9.2f %9.2f %9.2f %9s %9s %9s %9s\n", $x, @t, @n;
		for my $i (0, 1) {
			push @slower, sprintf '%s of %d', $i ? 'unmap' : 'map', $x if $t[2 + $i] > $t[$i];
		}
	}
	printf "Ours not slower per page: %s.\n", @slower ? 'NOT MET (' . join(', ', @slower) . ')' : 'met';
	printf "Of 4096 pages that are aligned in memory as there, x86 makes entries of 2 MiB: %.2f and\n" .
		"%.2f ns; a table of TCEs has pages of one size.\n\n", map { $median->('x86', 'aligned', 4096, $_) } 0, 1;
	my %one;	# instructions of a request for one page
	for (@power) {
		my ($shift, $nr, @at) = @$_;
		my ($map, $unmap, $kill) = map { ($at[$_ + 1] - $at[$_]) / 16 } 0 .. 2;
		if ($nr == 1) {
			$one{$shift} = [$map, $unmap];
			next;
		}
		my @per = ($map / $nr, $unmap / $nr);
		printf "POWER, a MiB by pages of %dK: %.1f instructions per TCE to map (10: %s), %.1f to unmap (8: %s)\n",
			1 << $shift - 10, $per[0], $per[0] <= 10 ? 'met' : 'NOT MET',
			$per[1], $per[1] <= 8 ? 'met' : 'NOT MET';
		my @more = (($map - $one{$shift}[0]) / ($nr - 1), ($unmap - $one{$shift}[1]) / ($nr - 1));
		printf "    %.0f and %.0f are the request of one page, each page more takes %.1f and %.1f; the goal leaves\n" .
			"    %.0f and %.0f to that request, whose invalidation alone takes %.0f without firmware\n",
			@{$one{$shift}}, @more, 10 * $nr - $more[0] * ($nr - 1), 8 * $nr - $more[1] * ($nr - 1), $kill;
	}
	printf "16 TCEs over 128 TiB: %s bytes (204,800: %s); %s when they are unmapped, the root has %s (%s)\n",
		fig($sparse[0]), $sparse[0] <= 204800 ? 'met' : 'NOT MET', fig($sparse[1]), fig($sparse[2]),
		$sparse[1] == $sparse[2] ? 'met' : 'NOT MET';
}

my %modes = (bench => \&bench, host => \&host, domain => \&domain);
$modes{$what}->();
