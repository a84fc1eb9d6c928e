# SPDX-License-Identifier: GPL-2.0
#
# Count what was skipped, by class and reason.
#
#   awk -f skips.awk skips build/log/skipped

/^#|^$/ && NR == FNR	{ next }
NR == FNR {
	class[++nr] = $1
	pattern[nr] = $0
	sub(/^[^\t]*\t/, "", pattern[nr])
	pattern[nr] = "^(" pattern[nr] ")$"
	next
}
{
	reason = "no reason given"
	if (match($0, / \(.*\)$/))
		reason = substr($0, RSTART + 2, RLENGTH - 3)
	count[reason]++
}
END {
	for (reason in count) {
		c = "other"
		for (i = 1; i <= nr && c == "other"; i++)
			if (reason ~ pattern[i])
				c = class[i]
		sum[c] += count[reason]
		lines[c] = lines[c] sprintf("%10d  %s\n", count[reason], reason)
	}
	class[++nr] = "other"
	for (i = 1; i <= nr; i++)
		if (class[i] in sum) {
			printf "%6d  %s\n", sum[class[i]], class[i]
			printf "%s", lines[class[i]] | "sort -rn"
			close("sort -rn")
		}
}
