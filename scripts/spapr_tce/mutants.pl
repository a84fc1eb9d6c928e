#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# mutants.pl TREE FILE...: break each line of the kernel's files in every way
# that is listed below, and write the mutants as records of the form that
# tools/testing/spapr_tce/mutants explains, sorted by a hash of their text. The
# first 300 are a sample that is the same for as long as those lines are: it does
# not depend on where in a file they stand.

use strict;
use warnings;
use Digest::MD5 qw(md5_hex);

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
my $boring = qr/^\s*(?:[\/ ]?\*|#|$)|\b(?:WARN_ON\w*|pr_\w+|trace_\w+|lockdep_\w+|
	cond_resched|MODULE_\w+|EXPORT_\w+|module_param\w*|seq_\w+|likely|BUILD_BUG_ON|
	cpu_relax|might_sleep|unlikely|__maybe_unused)\b|"/x;
my $declaration = qr/^\t+(?:const|static|struct|unsigned|union|enum|bool|int|long|
	void|u8|u32|u64|__be64|size_t|gfn_t|phys_addr_t|s64|__u32|__u64|[A-Z]\w*_HEAD\()\b/x;

my ($tree, @files) = @ARGV;
my %mutants;

for my $file (@files) {
	open my $in, '<', "$tree/$file" or die "$file: $!\n";
	chomp(my @lines = <$in>);
	my %times;
	$times{$_}++ for @lines;
	my ($function, $inside) = ('', 0);

	for (my $i = 0; $i < @lines; $i++) {
		$function = $1 if $lines[$i] =~ /^(?=[a-z]).*?(\w+)\(/;
		$inside = 1 if $lines[$i] eq '{';
		$inside = 0 if $lines[$i] eq '}';
		next if !$inside || $lines[$i] =~ $boring;

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
			record($file, $function, $what, \@lines, \%times, $i, $last, "$indent;");
		}

		my $line = $lines[$i];
		for my $op (@operators) {
			my ($what, $from, $to) = @$op;
			while ($line =~ /$from/g) {
				my $new = substr($line, 0, $-[0]) . eval($to) . substr($line, $+[0]);
				record($file, $function, $what, \@lines, \%times, $i, $i, $new);
			}
		}
	}
}
print $mutants{$_} for sort keys %mutants;

# Lines that are in a file more than once are named by one above that is not
sub record {
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
	$mutants{md5_hex("$what\n$place")} = "= $function(): $what\n$place";
}
