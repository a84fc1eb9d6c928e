#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# What results.pl makes of a console.

use strict;
use warnings;
use Test::More;
use File::Temp 'tempdir';
use FindBin '$Bin';

my $dir = tempdir(CLEANUP => 1);
my $good = <<'END';
[    0.123456789,3] OPAL: WARNING: Oops
[    1.0] tce: KTAP version 1
[    1.0] tce: 1..1
[    1.1] tce: # Subtest: abi
[    1.1] tce:   TAP version 13
[    1.1] tce:   1..2
[    1.1] tce:   # no WARNING: here
[    1.1] tce:   ok 1 abi.one
[    1.1] tce:   ok 2 abi.two # SKIP no device
[    1.2] tce: ok 1 abi # 0.1 s
[    1.2] tce: === end of tests ===
END
my ($one, $two) = ('ok      m: abi: abi.one', 'skip    m: abi: abi.two (no device)');
my $clean = 'ok      m: boot and clean console';

# after PATTERN TEXT: those lines behind the line with PATTERN
sub after {
	my ($pattern, @text) = @_;
	return sub { s/^(.*$pattern.*\n)/$1 . join '', map { "[    1.1] $_\n" } @text/me };
}
sub replaced { my ($from, $to) = @_; return sub { s/$from/$to/g } }
sub oom {
	my ($who, $killed) = @_;
	return after('Subtest', "$who invoked oom-killer: order=0", 'Mem-Info:', 'Call Trace:',
		"Out of memory: Killed process 9 ($killed) total-vm:1kB");
}
sub refused { after('Subtest', "$_[0]: page allocation failure: order:0", 'Call Trace:', @_[1 .. $#_]) }
my @suite = ('KTAP version 1', '1..1', '    KTAP version 1', '    # Subtest: tree', '    1..2', '    ok 1 a',
	'        KTAP version 1', '        # Subtest: b', '        not ok 1 of b', '    ok 2 b', '# tree: pass:2', 'ok 1 tree');
# kunit PATTERN LINE: with LINE for what matches
sub kunit { my ($p, $l) = @_; return after('OPAL', map { $p && /$p/ ? $l // () : $_ } @suite) }
my @kunit = map { "ok      m: kunit tree: $_" } 'a', 'b';
my $failed = sub { s/ok 1 abi.one/not $&/; s/ok 1 abi # .*/not ok 1 abi # exit 1/ };
sub as { my ($p) = @_; return (replaced('abi', $p), map { s/abi/$p/gr } $one, $two) }
my ($pressure, @pressure) = as('pressure');
my ($faults, @faults) = as('faults');

# What, status of QEMU, edits of the good console, and its lines
my @cases = (
	['a good one, where firmware and tests say WARNING', 0, [], $one, $two, $clean],
	['a kernel WARNING', 0, [after('one', 'WARNING: CPU: 0 at x.c:1')],
		$one, $two, 'not ok  m: abi: kernel (WARNING: CPU: 0 at x.c:1)'],
	['a warning before the first program', 0, [after('1\.\.1', 'BUG: x')],
		'not ok  m: kernel (BUG: x)', $one, $two],
	['a warning in a guest', 0, [after('one', 'tce:   # guest: [    0.1] BUG: x:1:',
			'tce:   # guest: BUG: not by the kernel')],
		$one, $two, 'not ok  m: abi: guest (BUG: x:1:)'],
	['memory runs out on purpose', 0, [$pressure, oom('other', 'tce-victim')], @pressure, $clean],
	['the victim finds none to kill', 0, [$pressure, after('Subtest', 'tce-victim invoked oom-killer: x',
			'Call Trace:', 'Out of memory and no killable processes...')], @pressure, $clean],
	['another process is killed', 0, [$pressure, oom('tce-victim', 'other')], @pressure,
		'not ok  m: pressure: kernel (Call Trace:)',
		'not ok  m: pressure: kernel (Out of memory: Killed process 9 (other) total-vm:1kB)'],
	['memory runs out by mistake', 0, [oom('other', 'tce-victim')], $one, $two,
		'not ok  m: abi: kernel (Call Trace:)',
		'not ok  m: abi: kernel (Out of memory: Killed process 9 (tce-victim) total-vm:1kB)'],
	['a BUG while memory runs out', 0, [$pressure, oom('other', 'tce-victim'),
			after('Mem-Info', 'BUG: x')], @pressure, 'not ok  m: pressure: kernel (BUG: x)'],
	['memory is refused on purpose', 0, [$faults, refused('faults')], @faults, $clean],
	['memory is refused by mistake', 0, [refused('faults')], $one, $two,
		'not ok  m: abi: kernel (faults: page allocation failure: order:0)',
		'not ok  m: abi: kernel (Call Trace:)'],
	['a BUG where memory is refused', 0, [$faults, refused('faults', 'BUG: x')], @faults,
		'not ok  m: faults: kernel (BUG: x)'],
	['a second trace', 0, [$faults, refused('faults', 'Call Trace:')], @faults,
		'not ok  m: faults: kernel (Call Trace:)'],
	['not ok is a failure, once', 0, [$failed], 'not ok  m: abi: abi.one', $two, $clean],
	['why a test failed', 0, [$failed, after('no WARNING', 'tce:   # why: 1, not 2')],
		'not ok  m: abi: abi.one (1, not 2)', $two, $clean],
	['why the harness says that it failed', 0, [$failed, after('no WARNING', 'tce:   # x.c:1:one:no')],
		'not ok  m: abi: abi.one (x.c:1:one:no)', $two, $clean],
	['a program that dies', 0, [replaced('ok 1 abi #.*', 'not ok 1 abi # signal 11')],
		$one, $two, 'not ok  m: abi (signal 11)', $clean],
	['too few tests', 0, [replaced('1\.\.2', '1..3')],
		$one, $two, 'not ok  m: abi (planned 3 tests, ran 2)', $clean],
	['no plan', 0, [replaced('.*1\.\.2\n', '')],
		$one, $two, 'not ok  m: abi (planned no tests, ran 2)', $clean],
	['a program without tests', 0, [replaced('.*(1\.\.2|abi\.).*\n', '')], 'ok      m: abi', $clean],
	['a program that cannot run', 0, [replaced('1\.\.2', '1..0 # SKIP no disk'), replaced('.*abi\..*\n', ''),
			replaced('# 0.1 s', '# SKIP')], 'skip    m: abi (no disk)', $clean],
	['no end of tests', 124, [replaced('.*end of tests.*\n', '')], $one, $two, 'not ok  m: boot (out of time)'],
	['a program that does not end', 0, [replaced('.*ok 1 abi #.*\n.*\n', '')], $one, $two,
		'not ok  m: abi (did not end)', 'not ok  m: boot (no end of tests on the console)'],
	['no program run', 0, [sub { s/.*Subtest(.*\n)*?.*abi #.*\n// }], 'not ok  m: boot (planned 1 programs, ran 0)'],
	['an emulator that fails', 1, [], $one, $two, 'not ok  m: boot (QEMU ended with 1)'],
	['KUnit', 0, [kunit()], @kunit, $one, $two, $clean],
	['KUnit, one failed', 0, [kunit('  ok 1 a', '    not ok 1 a')], 'not ok  m: kunit tree: a', $kunit[1], $one, $two, $clean],
	['KUnit, too few', 0, [kunit('  ok 2 b')], $kunit[0],
		'not ok  m: kunit tree (planned 2 tests, ran 1)', $one, $two, $clean],
	['KUnit, a suite without an end', 0, [kunit('^ok 1')], $one, $two, @kunit,
		'not ok  m: kunit tree (did not end)', $clean],
	['an empty one', 0, [sub { $_ = '' }], 'not ok  m: boot (no end of tests on the console)'],
	['an emulator killed', 137, [sub { $_ = '' }], 'not ok  m: boot (no end of tests on the console, QEMU ended with 137)'],
	['the TAP of a program', 0, [sub { $_ = "TAP version 13\n1..2\nok 1 one\nok 2 two\n" }], 'ok      m: one', 'ok      m: two'],
	['... that fails', 1, [sub { $_ = "TAP version 13\n1..1\n# x: y:1: no\nnot ok 1 one\n" }], 'not ok  m: one (x: y:1: no)'],
	['... that dies', 139, [sub { $_ = "TAP version 13\n1..2\nok 1 one\n" }], 'ok      m: one', 'not ok  m (ended with 139)'],
	['... that says nothing', 0, [sub { $_ = "TAP version 13\n1..2\n" }], 'not ok  m (planned 2 tests, ran 0)'],
);

for (@cases) {
	my ($what, $status, $edits, @want) = @$_;
	local $_ = $good;
	for my $edit (@$edits) {
		$edit->();
	}
	open my $out, '>', "$dir/log" or die;
	print $out $_;
	close $out;
	chomp(my @got = `$Bin/../results.pl m $status $dir/log 2>&1`);
	is_deeply(\@got, \@want, "console: $what") or diag explain \@got;
}
done_testing();
