# SPDX-License-Identifier: GPL-2.0
#
# Print the profile of requests for one page.
#
#   awk -v where=TEXT -f profile.awk OURS COUNTS BENCH
#
# OURS has lines "file function", COUNTS is what profile.c writes, and BENCH is
# what bench printed in the same run.

BEGIN {
	# In this order; functions are told by patterns, or by our file.
	group("system call entry and exit, with mitigations",
		"^exc_.*system_call|^system_call|^syscall_|" \
		"^interrupt_exit_user|^check_return_regs|" \
		"^(entry|scv_entry|rfi|rfscv)_flush_fallback")
	group("user copy and its barriers",
		"copy_(to|from|tofrom)_user|^do_uaccess_flush")
	group("ioctl and VFIO core",
		"^(sys|__se_sys|do_vfs|vfs)_ioctl|^fdget|^fput|^vfio_|" \
		"^security_file")
	group("TCE container driver", "^drivers/vfio/")
	group("user table and its tree",
		"/tce_user_table[.]c|/tce_tree[.]c|^iommu_direction_to_tce|" \
		"^iommu_tce_(check|direction)")
	group("registered memory", "/iommu_api[.]c")
	group("invalidation (hypercalls, in an LPAR): kernel",
		"opal_|^iommu_tce_kill|tce_invalidate|/pci-ioda-tce[.]c|" \
		"pSeries|pseries|hcall")
	group("invalidation: firmware", "^[(]firmware[)]")
	group("program", "^[(]user[)]")
	group("other: locks, rescheduling, interrupt flag", ".")
	line = "%-48s %9s %9s  %9s %9s\n"
	target = 1300
}

function group(name, pattern)
{
	title[++groups] = name
	belongs[groups] = pattern
}

FNR == 1	{ part++ }

part == 1	{ file[$2] = $1; next }

part == 2 && $1 == "requests" {
	requests[1] = requests[3] = $2
	requests[2] = requests[4] = $3
	next
}
part == 2 && $1 == "interrupted" {
	interrupted = $2 + $3
	next
}

part == 2 {
	# What was made of a function has its name and more.
	name = $1
	key = name in file ? file[name] : name
	for (g = 1; g < groups && key !~ belongs[g]; g++)
		;
	of[name] = g
	for (c = 1; c <= 4; c++) {
		v = requests[c] ? $(c + 1) / requests[c] : 0
		cost[name, c] += v
		in_group[g, c] += v
		sum[c] += v
		if (name in file)
			ours[c] += v
		if (name ~ /_flush(_fallback)?$/)
			flushes[c] += v
	}
	next
}

part == 3 && split($0, f, "\t") == 7 {
	if (f[1] == "map one page")
		bench[1] = f[4]
	else if (f[1] == "unmap one page")
		bench[2] = f[4]
}

function fig(v)
{
	return v ? sprintf("%.0f", v) : "-"
}

function put(name, a, b, c, d)
{
	printf line, name, fig(a), fig(b), fig(c), fig(d)
}

# The function of a group that costs most and was not printed yet
function next_of(g,	name, best)
{
	for (name in of) {
		if (of[name] != g || name in printed)
			continue
		if (best == "" || weight(name) > weight(best) ||
		    (weight(name) == weight(best) && name < best))
			best = name
	}
	return best
}

function weight(name)
{
	return cost[name, 1] + cost[name, 2]
}

END {
	if (!requests[1] || !requests[2]) {
		print "no request was counted"
		exit 1
	}
	printf "Instructions of a request for one page, one TCE (%s)\n\n", where
	printf line, "", "executed:", "", "by PMU:", ""
	printf line, "* in a file of ours", "map", "unmap", "map", "unmap"
	for (g = 1; g <= groups; g++) {
		print ""
		put(title[g], in_group[g, 1], in_group[g, 2],
			in_group[g, 3], in_group[g, 4])
		while ((name = next_of(g)) != "") {
			printed[name]
			if (name !~ /^[(]/)
				put("    " name (name in file ? " *" : ""),
					cost[name, 1], cost[name, 2],
					cost[name, 3], cost[name, 4])
		}
	}
	print ""
	put("sum", sum[1], sum[2], sum[3], sum[4])
	put("of that, files of ours (*)", ours[1], ours[2], ours[3], ours[4])
	put("the floor: all else", sum[1] - ours[1], sum[2] - ours[2],
		sum[3] - ours[3], sum[4] - ours[4])
	put("    of that, flushes against speculation",
		flushes[1], flushes[2], flushes[3], flushes[4])
	put("target", target, target, target, target)
	printf line, "bench in this run, by the PMU itself", "", "",
		fig(bench[1]), fig(bench[2])
	printf "\nMeans of %d requests to map and %d to unmap; %d with interrupts left out.\n",
		requests[1], requests[2], interrupted
	print "\"by PMU\" is without what the PMU of QEMU 7.2 misses: code up to an indirect"
	print "branch, to one that leaves a page of 4 KiB, or to a hint of priority."
}
