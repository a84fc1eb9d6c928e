#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# wire.pl NAME DUMP LOG: compare what testpmd counted (LOG, a console) with the
# frames that the emulator saw on the wire (DUMP, as libpcap writes it). Writes lines
# as results.pl does.

use strict;
use warnings;

my ($name, $dump, $log) = @ARGV;
my (%sent, %seen, $port, $strange);

open my $in, '<', $log or die "$log: $!\n";
while (<$in>) {
	$port = $1 if /testpmd: .*Forward statistics for port (\d)/;
	undef $port if /Accumulated/;
	$sent{$port} = $1 if defined $port && /TX-packets: (\d+)/;
}

open my $frames, '<:raw', $dump or die "$dump: $!\n";
read $frames, my $header, 24;
while (read($frames, $header, 16) == 16) {
	my (undef, undef, $have) = unpack 'V3', $header;
	last if read($frames, my $frame, $have) != $have;
	# To 02:00:00:00:00:PORT; UDP from 198.18.0.1, port 9, to 198.18.0.2; nothing in it
	if (unpack('H*', $frame) =~ /^02000000000([01])525400\w{6}0800450000320{8}4011ee93
			c6120001c612000200090009001e0{48}$/x) {
		# The peer of port 0 is what port 0 is told to send to
		$seen{$1}++;
	} else {
		$strange //= unpack 'H*', $frame;
	}
}

sub result {
	my ($ok, $what, $why) = @_;
	printf "%-7s %s: wire: %s%s\n", $ok ? 'ok' : 'not ok', $name, $what, $ok ? '' : " ($why)";
}

result(!defined $strange, 'every frame is as testpmd makes them', $strange // '');
for my $p (0, 1) {
	my ($a, $b) = ($sent{$p} // 0, $seen{$p} // 0);
	result($a && $a == $b, "as many frames as port $p sent", "$b, not $a");
}
