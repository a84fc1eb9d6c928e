#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# results.pl NAME STATUS LOG: read what tests said, and write one line per test.
#
#   ok      NAME: WHAT
#   not ok  NAME: WHAT (why)
#   skip    NAME: WHAT (why)
#
# LOG is the console of a machine, or the TAP of one program. On a console, what
# our /init and its programs say is marked "tce: ", and all else after a time
# stamp is the kernel's own; STATUS is that of QEMU (124: killed for time).

use strict;
use warnings;

my ($name, $status, $log) = @ARGV;
my ($programs, $planned, $ended, $sick) = (0, -1, 0, 0);

# Lines that a kernel in good health never prints
my $sick_line = qr/WARNING:|BUG:|Oops|Call Trace|soft lockup|hard LOCKUP|UBSAN:|INFO: (?:possible|task|rcu|trying)|Kernel panic|page allocation failure|Killed process|printk messages dropped|rcu_sched.*stall|Unable to handle/;

# Two programs run out of memory on purpose, one with a process that is there to
# be killed. Such a report has a first line, one trace, and perhaps a last line.
my $victim = 'tce-victim';
my %on_purpose = (
	pressure => [
		[qr/.*invoked oom-killer:.*\n/, qr/.*Killed process \d+ \($victim\).*\n/],
		[qr/$victim invoked oom-killer:.*\n/, qr/Out of memory and no killable.*\n/],
		[qr/$victim: page allocation failure:.*\n/, qr//],
	],
	faults => [[qr/faults: (?:vmalloc error|page allocation failure):.*\n/, qr//]],
);

sub result {
	my ($how, $what, $why) = @_;
	printf "%-7s %s%s%s\n", $how, $name, $what ne '' ? ": $what" : '',
		defined $why && $why ne '' ? " ($why)" : '';
}

# health WHOSE PROGRAM LINE...: what is wrong with a kernel
sub health {
	my ($whose, $program, @lines) = @_;
	my $text = join '', map { "$_\n" } @lines;
	my $rest = qr/(?:(?!.*(?:Call Trace:|oom-killer:)).*\n)*?/;

	for (@{$on_purpose{$program // ''} || []}) {
		my ($first, $last) = @$_;
		$text =~ s/^$first($rest).*Call Trace:.*\n($rest)$last/$1$2/mg;
	}
	my @wrong = grep { /$sick_line/ } split /\n/, $text;
	$sick += @wrong;
	result('not ok', defined $program ? "$program: $whose" : $whose, $_)
		for splice @wrong, 0, 5;
}

# program WHAT END LINE...: what one has said, and how it ended
sub program {
	my ($what, $end, @lines) = @_;
	my ($plan, $seen, $failed, $why, @guest) = (undef, 0, 0, '');
	my $prefix = $what ne '' ? "$what: " : '';

	for (@lines) {
		if (s/^# guest: //) {
			push @guest, $_ if s/^\[ *\d+\.\d+\] //;
		} elsif (/^1\.\.(\d+)(?:.*# *SKIP[ :]*(.*))?/) {
			($plan, $why) = ($1, $2 // '');
		} elsif (my ($not, $test, $how, $reason) = m{^(not[ ])?ok(?:[ ]\d+)?[ ]?(?:-[ ])?
				(.*?)(?:[ ]*[#][ ]*(SKIP|XFAIL|TODO)[ :]*(.*?))?[ ]*$}x) {
			$seen++;
			$failed++ if $not;
			# kselftest has "ok 1 NAME # SKIP why" and "ok 1 # SKIP NAME"
			($test, $reason) = ($reason, '') if $how && $test eq '';
			if ($not) {
				result('not ok', $prefix . $test, $why);
			} elsif ($how && $how ne 'TODO') {
				result('skip', $prefix . $test, $test eq '' ? 'no reason given' : $reason);
			} else {
				result('ok', $prefix . $test);
			}
		}
		# The harness says why just before it says "not ok".
		if (/^# +RUN|^(?:not )?ok /) {
			$why = '';
		} elsif (/^# why: (.*)/ || ($why eq '' && /^# (.*(?:\S:\d+:|Expected).*)/)) {
			$why = $1;
		}
	}
	health('guest', $what, @guest);
	if ($end =~ /^not ok(?:[^#]*# *(.*))?/) {
		my $how = $1 // 'failed';
		# Its own lines say what failed, unless it never got there.
		result('not ok', $what, $how) if !$failed || $how !~ /^exit /;
	} elsif ($seen && !defined $plan || defined $plan && $plan != $seen) {
		result('not ok', $what, 'planned ' . ($plan // 'no') . " tests, ran $seen");
	} elsif (!$seen) {
		result($end =~ /# SKIP/ ? 'skip' : 'ok', $what, $why);
	}
}

open my $in, '<', $log or die "$log: $!\n";
chomp(my @all = <$in>);
s/\r$// for @all;
if (($all[0] // "") =~ /^(?:TAP version|(?:not )?ok\b|#|1\.\.\d)/) {
	program('', !$status ? 'ok' : 'not ok # ' . ($status == 1 ? 'exit' : 'ended with') . " $status", @all);
	exit;
}

# What KUnit says before there is an /init: suites, and a line for each test below
my ($suite, @cases);
sub kunit {
	if (/^    # Subtest: (.*)/) {
		($suite, @cases) = ($1);
	} elsif (defined $suite && /^    (.*)/) {
		push @cases, $1;
	} elsif (defined $suite && /^(?:not )?ok \d+ \Q$suite\E/) {
		program("kunit $suite", $_, @cases);
		$suite = undef;
	}
}

my ($current, @tap, @kernel);
for (@all) {
	# Another layer of the machine (firmware) has other time stamps.
	next unless s/^\[ *\d+\.\d+\] //;
	if (!s/^tce: //) {
		push @kernel, $_;
		kunit();
	} elsif (s/^  //) {
		push @tap, $_;
	} elsif (/^# Subtest: (.*)/) {
		health('kernel', undef, splice @kernel);
		($current, @tap) = ($1);
	} elsif (/^(?:not )?ok /) {
		program($current // '', $_, @tap);
		health('kernel', $current, splice @kernel);
		$current = undef;
		$programs++;
	} elsif (/^1\.\.(\d+)/) {
		$planned = $1;
	} elsif (/^=== end of tests ===/) {
		$ended = 1;
	}
}
program("kunit $suite", 'not ok # did not end', @cases) if defined $suite;
program($current, 'not ok # did not end', @tap) if defined $current;
health('kernel', $current, @kernel);
if (!$ended) {
	result('not ok', 'boot', $status == 124 ? 'out of time' :
		'no end of tests on the console' . ($status ? ", QEMU ended with $status" : ''));
} elsif ($status) {
	result('not ok', 'boot', "QEMU ended with $status");
} elsif ($programs != $planned || !$programs) {
	result('not ok', 'boot', "planned $planned programs, ran $programs");
} elsif (!$sick) {
	result('ok', 'boot and clean console');
}
