# SPDX-License-Identifier: GPL-2.0
#
# Medians of what the plugin counted, for each call of a turn: "which mode",
# name and median, with tabs between.
#
#   awk -v which=powernv9-ours -f hcalls.awk NAMES COUNTED
#
# NAMES has "turns N" and a line for each call of a turn; COUNTED a line for
# each hypercall, address and instructions. The address that is seen most is
# that of the calls; another one is the end of a turn. Behind N turns mode
# changes from "as it is" to "virtual mode".

NR == FNR && /^turns /	{ turns = $2; next }
NR == FNR && !/^#/	{ name[++names] = $0; next }
NR == FNR		{ next }

{ va[++n] = $1; insns[n] = $2; seen[$1]++ }

function median(mode, call,	nr, i, j, v, list)
{
	nr = times[mode, call]
	for (i = 1; i <= nr; i++) {
		v = sample[mode, call, i]
		for (j = i - 1; j && list[j] > v; j--)
			list[j + 1] = list[j]
		list[j + 1] = v
	}
	return nr ? list[int((nr + 1) / 2)] : "-"
}

END {
	for (a in seen)
		if (seen[a] > seen[most])
			most = a
	mode = "as it is"
	for (i = 1; i <= n; i++) {
		if (va[i] != most) {
			call = 0
			if (++turn == turns)
				mode = "virtual mode"
			continue
		}
		call++
		sample[mode, call, ++times[mode, call]] = insns[i]
	}
	for (call = 1; call <= names; call++) {
		print which " as it is\t" name[call] "\t" median("as it is", call)
		if (times["virtual mode", call])
			print which " virtual mode\t" name[call] "\t" \
				median("virtual mode", call)
	}
}
