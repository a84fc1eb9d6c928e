#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# Make mutants, and see which program goes red: check-mutants.sh says how. Those made
# here break each line of the kernel's files in every way that is listed below. They
# are sorted by a hash of their text, so that the first ones are a sample that is the
# same for as long as those lines are, wherever in a file they stand.

use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use POSIX ();

my ($top, $tree, $work) = @ENV{'top', 'tree', 'work'};
my @programs = split ' ', $ENV{PROGRAMS};
my (%made, @records);

# What a mutant is called, what is searched in a line, what it becomes.  Each
# match on a line is a mutant of its own.
my @operators = (
	['condition negated', qr/\b(if|while) \((?!!?\()(.*)\)(?= \{$|$)/, '"$1 (!($2))"'],
	['condition negated', qr/(\breturn |= )([^=?]+?)(?= \?)/, '"$1!($2)"'],
	['negation dropped', qr/(?<=[ (])!(?=[\w(])/, '""'],
	['and made or', qr/&&/, '"||"'],
	['or made and', qr/\|\|/, '"&&"'],
	['= made ==', qr/ == /, '" != "'],
	['!= made ==', qr/ != /, '" == "'],
	['off by one', qr/(?<=\w) (<|>)(?= \w)/, '" $1="'],
	['off by one', qr/ (<|>)= /, '" $1 "'],
	['off by one', qr/ [-+] 1\b/, '""'],
	['+ made -', qr/ \+ (?!1\b)/, '" - "'],
	['- made +', qr/(?<!return)(?<!=) - (?!1\b)/, '" + "'],
	['operands swapped', qr/(\b[\w>.-]+) - ([\w>.-]+\b)/, '"$2 - $1"'],
	['operands swapped', qr/\((\w+), (\w+)\)/, '"($2, $1)"'],
	['shift turned', qr/ << /, '" >> "'],
	['shift turned', qr/ >> /, '" << "'],
	['mask dropped', qr/ & ~?[\w(][^;,)]*\)?(?=[;,)])/, '""'],
	['bits replaced, not added', qr/ [|&]= /, '" = "'],
	['sign turned', qr/ \+= /, '" -= "'],
	['sign turned', qr/ -= /, '" += "'],
	['min made max', qr/\bmin\(/, '"max("'],
	['max made min', qr/\bmax\(/, '"min("'],
	['constant changed', qr/\breturn true;/, '"return false;"'],
	['constant changed', qr/\breturn false;/, '"return true;"'],
	['error lost', qr/\breturn -E\w+;/, '"return 0;"'],
	['error lost', qr/\breturn (ret|err|H_(?!SUCCESS)\w+);/, '"return 0;"'],
	['error lost', qr/ = -E\w+;/, '" = 0;"'],
	['constant changed', qr/(?<=[ (,=])0(?=[;,)])/, '"1"'],
	['constant changed', qr/(?<=[ (,=])1(?=[;,)])/, '"2"'],
);

# Of no effect that a test should see, or not for this machine to judge
my $boring = qr/^\s*(?:[\/ ]?\*|\#|$)|\b(?:WARN_ON\w*|RCU_LOCKDEP_WARN|pr_\w+|trace_\w+|lockdep_\w+|
	\w*assert\w*|user_table_check|cond_resched|MODULE_\w+|EXPORT_\w+|
	module_param\w*|seq_\w+|BUILD_BUG_ON|cpu_relax|might_sleep|__maybe_unused)\b|"/x;
my $declaration = qr/^\t+(?:const|static|struct|unsigned|union|enum|bool|int|long|
	void|u8|u32|u64|__be64|size_t|gfn_t|phys_addr_t|s64|__u32|__u64|[A-Z]\w*_HEAD\()\b/x;

sub generate {
	for my $file (split ' ', $ENV{FILES}) {
		open my $in, '<', "$ENV{top}/$file" or die "$file: $!\n";
		chomp(my @lines = <$in>);
		my %times;
		$times{$_}++ for @lines;
		my ($function, $inside, $dull) = ('', 0, 0);

		for (my $i = 0; $i < @lines; $i++) {
			$function = $1 if $lines[$i] =~ /^(?=[a-z]).*?(\w+)\(/;
			$inside = 1 if $lines[$i] eq '{';
			$inside = 0 if $lines[$i] eq '}';
			# So is the rest of the statement, and the condition of one
			$dull = $lines[$i] =~ $boring || $dull && $lines[$i - 1] !~ /[;{}:]$|\*\/$|^$/;
			next if !$inside || $dull || $lines[$i] =~ /\)$/ && $lines[$i + 1] =~ $boring;

			# The whole of a statement that begins here
			my $last = $i;
			$last++ while $lines[$last] !~ /[;{}:]$/ && $last < $#lines;
			my ($indent) = $lines[$i] =~ /^(\t*)/;
			if ($lines[$i] =~ /^\t+(?:(?:goto|return|break|continue)\b|[a-z_*(]\S*(?:\(|;| [-+|&]?= ))/ &&
			    $lines[$i] !~ /^\t+(?:if|for|while|switch|\w+_for_each\w*|hash_for_each\w*)\b/ &&
			    $lines[$i] !~ $declaration && $lines[$last] =~ /;$/ &&
			    $lines[$i - 1] =~ /[;{})]$|else$|\*\/$|^$|:$/ &&
			    ($lines[$i] !~ /^\treturn/ || $lines[$last + 1] ne '}')) {
				my $what = "@lines[$i .. $last]" =~ /lock|barrier|smp_|claim|srcu|rcu/ ?
					'lock or barrier dropped' : 'statement deleted';
				made($file, $function, $what, \@lines, \%times, $i, $last, "$indent;");
			}

			my $line = $lines[$i];
			for my $op (@operators) {
				my ($what, $from, $to) = @$op;
				while ($line =~ /$from/g) {
					my $new = substr($line, 0, $-[0]) . eval($to) . substr($line, $+[0]);
					made($file, $function, $what, \@lines, \%times, $i, $i, $new);
				}
			}
		}
	}
	return map { $made{$_} } sort keys %made;
}

# Lines that are in a file more than once are named by one above that is not
sub made {
	my ($file, $function, $what, $lines, $times, $first, $last, $new) = @_;
	my ($old, $context) = (join("\n-", @$lines[$first .. $last]), '');

	if ($$times{$$lines[$first]} > 1 || $first != $last) {
		my $at = $first - 1;
		$at-- while $at >= 0 && ($$times{$$lines[$at]} > 1 || !length $$lines[$at]) &&
			$$lines[$at] ne $$lines[$first];
		return if $at < 0 || $$lines[$at] eq $$lines[$first];
		$context = ">$$lines[$at]\n";
	}
	my $place = "\@ $file\n" . ($file =~ /kvm/ ? "! fast-16/kvm-unit\n" : '') .
		"$context-$old\n+$new\n\n";
	$made{md5_hex("$what\n$place")} = "= $function(): $what\n$place";
}

sub slurp {
	open my $in, '<', $_[0] or return;
	local $/;
	return scalar <$in>;
}

# What tools/testing/spapr_tce/mutants tells of its records
sub records {
	my @r;
	for (split /\n/, $_[0]) {
		my ($mark, $text) = /^([=@!>+?-]) ?(.*)/ or next;
		$text = substr $_, 1 if $mark =~ /[>+-]/;
		push @r, { map { $_ => '' } '>', '-', '+', '!', '?' } if $mark eq '=';
		next unless @r;
		if ($mark =~ /[+?-]/) { $r[-1]{$mark} .= "$text\n" } else { $r[-1]{$mark} = $text }
	}
	return @r;
}
sub key { my ($r) = @_; return join "\0", map { $$r{$_} } '=', '@', '!', '>', '-', '+' }

# mutate RECORD TEXT: nothing if TEXT has no place for it, or more than one. Below a
# line of context, which is there once, the first counts.
sub mutate {
	my ($r, $text) = ($_[0], "\n$_[1]");
	my ($at, $context, $old) = (0, "\n$$r{'>'}\n", "\n$$r{'-'}");
	if ($$r{'>'} ne '') {
		$at = index $text, $context;
		return if $at < 0 || index($text, $context, $at + 1) >= 0;
	}
	my $place = index $text, $old, $at;
	return if $$r{'-'} eq '' || $place < 0;
	return if $$r{'>'} eq '' && index($text, $old, $place + length($old) - 1) >= 0;
	substr($text, $place + 1, length $$r{'-'}) = $$r{'+'};
	return substr $text, 1;
}

# compile N PROGRAM LOG: PROGRAM is VARIANT-SHIFT/NAME
sub compile {
	my ($n, $program, $log) = @_;
	my ($dir, $variant, $shift) = $program =~ m{^((.*)-(.*))/};
	my ($own, $good) = ("$work/$n/$dir", "$work/good/$dir");
	if (!-d $own) {
		system("mkdir -p $work/$n && cp -a $good $work/$n/") and return 0;
		if ($n) {
			my $file = $records[$n]{'@'};
			my $header = $file =~ s{^arch/powerpc/include/}{include/};
			$file =~ s{.*/}{src/} unless $header;
			my $new = mutate($records[$n], slurp("$good/$file") // '') // return 0;
			unlink "$own/$file";
			open my $out, '>', "$own/$file" or return 0;
			print $out $new;
			# Nobody knows who includes a header.
			unlink glob "$own/*.o" if $header;
		}
	}
	return !system("make -C $work/harness KERNEL=$tree OUT=$work/$n VARIANT=$variant " .
		"PAGE_SHIFT=$shift -o $own/.made $work/$n/$program >>$log 2>&1 </dev/null");
}

# same_code N DIR: has the compiler made of it what it makes of the good file? The
# names of a variant's directories are in none without sanitizers.
sub same_code {
	my ($n, $dir) = @_;
	return 0 if $dir !~ /^fast-/;
	for my $o (grep { -M $_ < -M "$work/taken/$n" } glob "$work/$n/$dir/*.o") {
		my ($good) = $o =~ m{([^/]*)$};
		system("strip -g -o $o.new $o; strip -g -o $o.old $work/good/$dir/$good; " .
			"cmp -s $o.new $o.old") and return 0;
	}
	return 1;
}

# Kill all that is left of a session. A test is a process group of its own, and may
# hang when the program that has started it is gone.
sub kill_session {
	my ($session) = @_;
	for my $stat (map { slurp($_) // '' } glob '/proc/[0-9]*/stat') {
		my ($pid, $its) = $stat =~ /^(\d+) \(.*\) \S \d+ \d+ (\d+) /s or next;
		kill KILL => $pid if $its == $session;
	}
}

# run N PROGRAM LOG: the first thing that went wrong, in which test and how
sub run {
	my ($n, $program, $log) = @_;
	my $command = "./$program";
	$command = "TSAN_OPTIONS=halt_on_error=1 ./$program 100" if $program =~ /threads$/;
	$command = "mkdir new; ./$program -max_len=1024 -max_total_time=20 " .
		"-timeout=20 -rss_limit_mb=4096 new $work/corpus" if $program =~ /fuzz$/;
	open my $out, '>>', $log or die;
	my $session = open(my $in, '-|') // die;
	if (!$session) {
		POSIX::setsid();
		exec 'sh', '-c', "cd $work/$n && { $command; } 2>&1 </dev/null" or die;
	}
	my ($why, $test, $late) = ('', undef, 0);
	local $SIG{ALRM} = sub { $late = 1; kill_session($session) };
	alarm 100;
	while (<$in>) {
		print $out $_;
		chomp;
		if (/^#  RUN/) { $why = ''; next }
		if (/^not ok \d* ?(.*)/) { $test = " $1"; last }
		# What a sanitizer, the model or the harness said first
		next if $why ne '' || /^(?:ok |TAP |1\.\.|=+$|INFO: |#[0-9]|#  |# (?:Starting|PASSED|Totals))/;
		s/^# *//;
		s/^==\d+==//;
		s/[ \t]+/ /g;
		s/ \((?:pid|tid)=\d+\)| on (?:unknown )?address.*//g;
		$why = $_;
	}
	# One failure is enough: no other test need run
	kill_session($session) if defined $test;
	close $in;
	my $ended = $? >> 8 || $? & 127;
	alarm 0;
	kill_session($session);
	return '' if !defined $test && !$ended && !$late;
	$why = 'timed out' if $late && !defined $test;
	$why = "ended with $ended" if $why eq '' && !defined $test;
	return ($test // '') . ($why ne '' ? ': ' . substr($why, 0, 110) : '');
}

sub report {
	my ($how, $what, $verdict, $n) = @_;
	syswrite STDOUT, sprintf "%-7s mutant: %s\n", $how, $what;
	open my $out, '>>', "$work/verdicts" or die;
	syswrite $out, "$n $verdict\n";
}

# try N: one line of the report
sub try {
	my ($n, $written) = @_;
	my $what = $n ? $records[$n]{'='} : 'none, and all tests are green';
	my ($log, $failure, $caught) = ("$work/$n.log", '', '');
	my $where = $log =~ s{^\Q$top/}{}r;
	my $first = $n ? $records[$n]{'!'} : '';
	my @order = (grep({ $_ ne '' } $first), grep { $_ ne $first } @programs);
	# What threads and the fuzzer find is a matter of luck: whoever survives is tried
	# again.
	@order = (@order, @order) if $n;
	for my $p (@order) {
		if (!compile($n, $p, $log)) {
			return $n > $written || report('not ok', "$what (does not compile; $where)", 'broken', $n);
		}
		my ($dir, $name) = split m{/}, $p;
		return if $n > $written && same_code($n, $dir);
		$failure = run($n, $p, $log);
		$caught = $name . ($dir eq 'asan-12' ? ' (4K pages)' : '') . $failure;
		last if $failure ne '';
	}
	if (!$n) {
		$failure eq '' ? report('ok', $what, 'green', 0) : report('not ok', "$what ($caught; $where)", 'red', 0);
	} elsif ($n > $written && $failure =~ /timed out|by timeout/) {
		# It may hang, or the machine may be too busy: that proves nothing
		report('skip', "$what ($caught)", 'timeout', $n);
	} elsif ($failure ne '') {
		report('ok', "$what # caught by $caught", 'caught', $n);
	} else {
		report('not ok', "$what (survived; $where)", 'survived', $n);
	}
}

# The records that are tried: those made by hand, then those of the sample that are
# not listed as survivors with a reason. A reason that begins with "Same:" says that
# nothing but speed differs, so no test can tell.
my $by_hand = "$top/tools/testing/spapr_tce/mutants";
@records = ({}, records(slurp($by_hand)));
my $written = $#records;
my %listed = map { key($_) => $_ } grep { $$_{'?'} ne '' } records(slurp("$by_hand.survivors"));
my @generated = map { records($_) } generate();
my $sample = $ENV{SAMPLE} eq 'all' ? @generated : $ENV{SAMPLE};
$sample = @generated if $sample > @generated;
my ($excused, $same) = (0, 0);
for my $i (0 .. $#generated) {
	my $known = delete $listed{key($generated[$i])};
	next if $i >= $sample;
	push @records, $generated[$i] if !defined $known;
	$excused++ if defined $known;
	$same++ if defined $known && $$known{'?'} =~ /^Same:/;
}
print "not ok  mutant: listed, and not made any more: $_\n" for sort map { $$_{'='} } values %listed;

# Every record must have its place, before anything is run
my @stale = grep {
	my $text = slurp("$top/$records[$_]{'@'}") // '';
	my $new = mutate($records[$_], $text);
	!defined $new || $new eq $text;
} 1 .. $written;
die map({ "$_: $records[$_]{'='}\n" } @stale), "these do not fit their files any more\n" if @stale;
exit if "@ARGV" eq '--fit';

my @chosen = @ARGV ? @ARGV : 0 .. $#records;
die "there are $#records records\n" if grep { $_ > $#records } @chosen;
$| = 1;
# Three each: a test that waits for RCU leaves its processor idle
for (1 .. 3 * $ENV{JOBS}) {
	next if fork;
	for my $n (@chosen) {
		next unless mkdir "$work/taken/$n";
		try($n, $written);
		open my $done, '>', "$work/taken/$n/done";
		system("rm -rf $work/$n");
	}
	exit;
}
1 while wait > 0;
-e "$work/taken/$_/done" or print "not ok  mutant: $records[$_]{'='} (not tried to its end)\n"
	for grep { $_ } @chosen;
my %count = (caught => 0, survived => 0);
/^(\d+) (\w+)/ && $1 > $written && $count{$2}++ for split /^/, slurp("$work/verdicts") // '';
my $all = $count{caught} + $count{survived} + $excused - $same;
printf STDERR "== of those that mutants.pl made: %d caught, %d survived, %d listed" .
	" (%d make no difference); the others do not compile, are the same code, or timed out\n",
	@count{'caught', 'survived'}, $excused, $same;
print "not ok  mutants: less than 95 % of those of mutants.pl are caught\n" if 95 * $all > 100 * $count{caught};
