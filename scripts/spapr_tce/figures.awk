# SPDX-License-Identifier: GPL-2.0
#
# Compare the tables of a document with those that were made.
#
#   awk -v within=PERCENT -v doc=DOCUMENT -f figures.awk MADE DOCUMENT
#
# A table begins with a line that has the words "base" and "ours", goes on to
# the next empty line, and has two spaces or more between its columns.  A line
# is known again by its table and its first column; the document may leave out
# tables, lines, and columns at the right.  Says what is different, and when the
# document has no line of a table at all.

function squeeze(s)
{
	gsub(/^ +| +$/, "", s)
	gsub(/ +/, " ", s)
	return s
}

# The words of a heading as far as documents have them
function heading(s)
{
	s = squeeze(s)
	sub(/ emulated ns:.*/, "", s)
	return s
}

function number(s)
{
	gsub(/,/, "", s)
	return s ~ /^[0-9]+(\.[0-9]+)?$/ ? s : ""
}

function same(a, b,	x, y, d)
{
	if (a == b)
		return 1
	# A target and what became of it
	x = number(a)
	y = number(b)
	if (x == "" || y == "")
		return 0
	d = x > y ? x - y : y - x
	return d * 100 <= within * (x > y ? x : y)
}

/^$/	{ table = ""; next }
/(^|[ :])base( .*|:)[ :]?ours/ {
	table = heading($0)
	next
}
table == ""	{ next }

{
	line = $0
	sub(/^ +/, "", line)
	n = split(line, f, /  +/)
	if (n < 3)
		next
	key = table SUBSEP f[1]
}

FNR == NR {
	made[key] = n
	for (i = 2; i <= n; i++)
		figure[key, i] = f[i]
	next
}

!(key in made)	{ next }

{
	compared++
	for (i = 2; i <= n; i++)
		if (!same(f[i], figure[key, i])) {
			printf "%s:%d: %s: %s, and was %s\n", doc, FNR, f[1],
				f[i], figure[key, i] == "" ? "not there" : figure[key, i]
		}
}

END {
	if (!compared)
		print doc ": no line of " ARGV[1] " is there"
}
