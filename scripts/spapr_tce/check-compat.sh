#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Run the selftest compat on the base kernel and on ours, on each MACHINE, and
# compare answer by answer with compat.differences: one line for each that
# differs.  Fails on a difference that is not listed, and on a listed one that
# does not occur.  COMPAT_LOGS=DIR takes DIR/base-MACHINE and DIR/ours-MACHINE,
# consoles of before, and boots nothing.

. "$(dirname "$0")/lib.sh"

machines=${MACHINE:-powernv9 powernv8 pseries}
out=${COMPAT_LOGS:-$logs/compat}
CONFIG=${CONFIG:-default} TESTS=compat
export CONFIG TESTS BASE

if [ -z "${COMPAT_LOGS:-}" ]; then
	mkdir -p "$out"
	"$here/initrd.sh"
	for which in base ours; do
		BASE=$([ $which = ours ] || echo 1)
		"$here/kernel.sh"
		for m in $machines; do
			say "booting $m, $which kernel (console: $out/$which-$m)"
			MACHINE=$m TIMEOUT=600 "$here/boot.sh" \
				"$build/vmlinux$(kernel_name "$CONFIG")" \
				"$build/$(initrd_name).cpio" spapr_tce.timeout=500 \
				>"$out/$which-$m" 2>&1 || :
		done
	done
fi
for m in $machines; do
	# The second request of a name is NAME (2).
	M=$m perl -e '
	my ($list, @kernels) = @ARGV;
	my (%listed, %answer, %names, $n);
	sub fail { print "not ok  compat $ENV{M}: @_\n" }
	open my $in, "<", $list or die "$list: $!\n";
	while (<$in>) {
		chomp;
		my ($machines, @difference) = split /\t/;
		$listed{join "\t", @difference} = 1
			if @difference && !/^[#?]/ && $machines =~ /\b(?:all|$ENV{M})\b/;
	}
	for my $k (0, 1) {
		my %times;
		open my $in, "<", $kernels[$k] or die "$kernels[$k]: $!\n";
		while (<$in>) {
			my ($name, $is) = /# compat: (.*) = (\S+)\r?$/ or next;
			$name .= " ($times{$name})" if ++$times{$name} > 1;
			$answer{$name}[$k] = $is;
		}
	}
	for my $name (sort keys %answer) {
		my ($base, $ours) = @{$answer{$name}};
		$n++ if defined $ours;
		if (!defined $base) {
			fail("no answer of the base: $name");
		} elsif (!defined $ours) {
			fail("no answer of ours: $name");
		} elsif ($base ne $ours) {
			if (delete $listed{"$name\t$base\t$ours"}) {
				print "ok      compat $ENV{M}: $name: $base -> $ours\n";
			} else {
				fail("not listed: $name: $base -> $ours");
			}
		}
	}
	fail("listed, and not so: $_") for sort keys %listed;
	if ($n) { print "ok      compat $ENV{M}: $n answers compared\n" } else { fail("no answers") }
	' "$top/tools/testing/selftests/vfio/spapr_tce/compat.differences" "$out/base-$m" "$out/ours-$m"
done
