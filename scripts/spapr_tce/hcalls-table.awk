# SPDX-License-Identifier: GPL-2.0
#
# The table of bench-hcalls.sh, from lines "column	what	median".  POWER9 has no
# hypercalls in real mode, so there one column of ours will do.

BEGIN { FS = "\t" }
{ median[$1, $2] = $3 }
!($2 in row) { row[$2] = ++rows; name[rows] = $2 }
function fig(which, w)
{
	return (which, w) in median ? median[which, w] : "-"
}
function line(w)
{
	printf "%-32s %9s %9s   %9s %9s %9s\n", w,
		fig("powernv9-base as it is", w), fig("powernv9-ours as it is", w),
		fig("powernv8-base as it is", w),
		fig("powernv8-ours virtual mode", w),
		fig("powernv8-ours as it is", w)
}
END {
	print "Instructions from one hypercall to the next, all of the guest, the host and"
	print "firmware (median)"
	printf "\n%-32s %19s   %29s\n", "", "powernv9", "powernv8"
	printf "%-32s %9s %9s   %9s %9s %9s\n", "", "base", "ours", "base",
		"ours:virt", "ours:real"
	for (i = 1; i <= rows; i++)
		line(name[i])
}
