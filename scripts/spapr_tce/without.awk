# SPDX-License-Identifier: GPL-2.0
#
# awk -f without.awk NAMES FILE: C code without what NAMES lists, one per line: a
# function, structure or trace event with its comment and EXPORT_SYMBOL, or the
# lines that fit /PATTERN/.  Each must leave out something.

FNR == NR {
	if ($0 ~ /^\/.*\/$/)
		pattern[substr($0, 2, length($0) - 2)]
	else if (NF && $1 !~ /^(from|#.*)$/)
		name[$1]
	next
}

# What is left out leaves no two empty lines, and none at the end.
function emit(text, n, i, line) {
	n = split(text, line, "\n")
	for (i = 1; i < n; i++) {
		if (line[i] != "") {
			printf "%s%s\n", empty, line[i]
			empty = cut = ""
		} else if (!cut || empty == "") {
			empty = empty "\n"
		}
	}
}

function leave_out(n, found) {
	for (n in name)
		if (head ~ ("(^|[^A-Za-z0-9_])" n "([^A-Za-z0-9_]|$)")) {
			left[n]
			found = cut = 1
		}
	return found
}

# A comment above one of several prototypes is of those that stay, too.
function done() {
	if (!leave_out())
		emit(comment decl)
	else if (!braces)
		emit(comment)
	comment = decl = head = ""
}

{
	for (p in pattern)
		if ($0 ~ p) {
			left[p]
			cut = 1
			next
		}
}

in_comment || (decl == "" && /^\/\*/) {
	comment = comment $0 "\n"
	in_comment = !/\*\//
	next
}

decl == "" && !/^[A-Za-z_]/ {
	emit(comment $0 "\n")
	comment = ""
	next
}

decl == "" {
	event = /^(TRACE_EVENT|DECLARE_EVENT_CLASS|DEFINE_EVENT)\(/
	braces = event
	heading = 1
}

{
	decl = decl $0 "\n"
	if (heading)
		head = head " " $0
	if (event)
		heading = 0
	else if (heading && /[{;]/) {
		heading = 0
		braces = /\{/
		if (braces && /\};?$/) {
			done()
			next
		}
	}
	if (event ? /^\)/ : braces ? /^\}/ : /;$/)
		done()
}

END {
	emit(comment decl)
	if (!cut)
		printf "%s", empty
	for (n in name)
		if (!(n in left)) {
			print FILENAME ": there is no " n " to leave out" >"/dev/stderr"
			rc = 1
		}
	for (p in pattern)
		if (!(p in left)) {
			print FILENAME ": no line fits /" p "/" >"/dev/stderr"
			rc = 1
		}
	exit rc
}
