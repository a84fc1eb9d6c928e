# SPDX-License-Identifier: GPL-2.0
#
# Read what bench printed on the base kernel and on ours; print the table and
# the growth curves side by side, and leave all of it in the file CSV.
#
#   awk -v csv=bench.csv -f bench.awk bench-base bench-ours
#
# A line has what, per, x, instructions, ns, bytes and target, with tabs
# between and "-" for what is not there; see bench.c.

BEGIN {
	FS = "\t"
	print "what,per,x,kernel,instructions,ns,bytes,target" >csv
}

FNR == 1	{ kernel = kernel == "" ? "base" : "ours" }
/^#/		{ next }

function empty(v)
{
	return v == "-" ? "" : v
}

{
	key = $1 SUBSEP $3
	if (!(key in per)) {
		per[key] = $2
		if ($3 == "-")
			row[++rows] = $1
		else if (!($1 in points) || $3 > points[$1])
			points[$1] = $3 + 0
	}
	value[kernel, $1, $3] = $4 == "-" ? $6 : $4
	ns[kernel, $1, $3] = $5
	target[$1] = $7
	printf "%s,%s,%s,%s,%s,%s,%s,%s\n", $1, $2, empty($3), kernel,
		empty($4), empty($5), empty($6), empty($7) >csv
}

function get(table, kernel, what, x)
{
	return (kernel, what, x) in table ? table[kernel, what, x] : "-"
}

# A figure with three digits at least, thousands apart.
function fig(v,		s, out)
{
	if (v == "-" || v + 0 == 0)
		return v == "-" ? v : "0"
	if (v < 1000)
		return sprintf(v < 10 ? "%.2f" : "%.1f", v)
	s = sprintf("%.0f", v)
	while (length(s) > 3) {
		out = "," substr(s, length(s) - 2) out
		s = substr(s, 1, length(s) - 3)
	}
	return s out
}

function ratio(b, o)
{
	return b == "-" || o == "-" || b <= 0 || o <= 0 ? "-" : fig(b / o)
}

# A target that only ours has no figure for is not met either.
function met(b, v, t)
{
	if (t == "-" || (v == "-" && b == "-"))
		return ""
	return v != "-" && v + 0 <= t + 0 ? "met" : "NOT MET"
}

function table(		i, w, b, o, unit, head)
{
	head = "%-43s %14s %9s %8s %9s %-8s %17s %9s\n"
	printf head, "instructions, if nothing else is said", "base", "ours",
		"ratio", "target", "", "emulated ns: base", "ours"
	for (i = 1; i <= rows; i++) {
		w = row[i]
		b = get(value, "base", w, "-")
		o = get(value, "ours", w, "-")
		unit = per[w, "-"]
		if (unit == "window")
			unit = "bytes"
		else if (unit != "ratio")
			unit = "/" unit
		printf head, w ": " unit, fig(b), fig(o), ratio(b, o),
			target[w] < 1000 ? target[w] : fig(target[w]),
			met(b, o, target[w]), fig(get(ns, "base", w, "-")),
			fig(get(ns, "ours", w, "-"))
	}
}

function figures(what, x,	b, o)
{
	b = get(value, "base", what, x)
	o = get(value, "ours", what, x)
	printf "  %16s %12s %9s", fig(b), fig(o), ratio(b, o)
}

# curve TITLE, X, first and second thing at each x: every STEP-fold x, the last.
function curve(title, x, a, b, step,	i, last)
{
	last = points[a]
	if (!last)
		return
	printf "\n%s\n%12s  %16s %12s %9s  %16s %12s %9s\n", title, x,
		name[a] ": base", "ours", "ratio", name[b] ": base", "ours", "ratio"
	for (i = 1; i <= last; i *= i * step > last && i < last ? last / i : step) {
		printf "%12s", i < 1000 ? i : fig(i)
		figures(a, i)
		figures(b, i)
		print ""
	}
}

END {
	name["map range"] = name["map among regions"] = name["map sparse"] = "map"
	name["unmap range"] = name["unmap among regions"] = "unmap"
	name["unmap sparse"] = "unmap"
	name["allocated sparse"] = "allocated"
	name["charged sparse"] = "charged"

	table()
	curve("Instructions per TCE in one request of so many TCEs (4K pages)",
		"TCEs", "map range", "unmap range", 4)
	curve("Instructions per call for one page, with so many regions " \
		"(mean of up to 64 of them)",
		"regions", "map among regions", "unmap among regions", 4)
	curve("Instructions per TCE for 16 TCEs, so far apart in a new window of 2^31\n" \
		"(map: one call each, levels are made; unmap: one call for all)",
		"TCEs apart", "map sparse", "unmap sparse", 8)
	curve("Bytes per TCE for these, of the window and its levels\n" \
		"(allocated: free pages that went, 0 where that is none; charged: VmLck)",
		"TCEs apart", "allocated sparse", "charged sparse", 8)
}
