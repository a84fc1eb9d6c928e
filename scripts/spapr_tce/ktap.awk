# SPDX-License-Identifier: GPL-2.0
#
# Read the console of one boot, write one line per test.
#
#   awk -v name=powernv9-default -v status=0 -f ktap.awk console.log
#
# What our /init and its programs say is marked "tce: "; all else after a time
# stamp is the kernel's own.  status is that of QEMU (124: killed for time).
# A test is one line
#
#   ok      NAME
#   not ok  NAME (why)
#   skip    NAME (why)

function result(how, what, why)
{
	printf "%-7s %s: %s%s\n", how, name, what, why == "" ? "" : " (" why ")"
}

# The description of a result line, without number and directive.
function description(s)
{
	sub(/^(not )?ok +[0-9]* *(- )?/, "", s)
	sub(/ *# *(SKIP|TODO|XFAIL).*$/, "", s)
	return s
}

function directive(s)
{
	if (!match(s, / *# *(SKIP|XFAIL)/))
		return ""
	s = substr(s, RSTART + RLENGTH)
	gsub(/^[ :]+|[ \r]+$/, "", s)
	return s == "" ? "no reason given" : s
}

# The two helpers of kselftest differ: "ok 1 NAME # SKIP why", "ok 1 # SKIP NAME".
function skipped(test, why)
{
	if (test == "")
		result("skip", program ": " why)
	else
		result("skip", program ": " test, why)
}

function end_program(line,    why)
{
	if (line ~ /^not ok/) {
		why = line
		if (!sub(/^[^#]*# */, "", why))
			why = "failed"
		# Its own lines say what failed, unless it never got there.
		if (!failed || why !~ /^exit /)
			result("not ok", program, why)
	} else if (planned != "" && planned != seen) {
		result("not ok", program, "planned " planned " tests, ran " seen)
	} else if (!seen) {
		result(line ~ /# SKIP/ ? "skip" : "ok", program, last)
	}
	program = ""
	programs_seen++
}

# What a guest of this machine has on its console
function guest(line)
{
	if (sub(/^\[ *[0-9]+\.[0-9]+\] /, "", line) && sick(line) && guest_lines++ < 5)
		result("not ok", program ": guest", line)
}

# One line of a program: nested KTAP, or anything else.
function nested(line)
{
	if (sub(/^# guest: /, "", line)) {
		guest(line)
		return
	}
	if (line ~ /^1\.\.[0-9]+/) {
		planned = substr(line, 4) + 0
		if (line ~ /# *SKIP/)
			last = directive(line)
	} else if (line ~ /^not ok /) {
		seen++
		failed++
		result("not ok", program ": " description(line), last)
	} else if (line ~ /^ok /) {
		seen++
		if (line ~ /# *(SKIP|XFAIL)/)
			skipped(description(line), directive(line))
		else
			result("ok", program ": " description(line))
	}
	# The harness says why just before it says "not ok".
	if (line ~ /^# +RUN|^ok |^not ok /)
		last = ""
	else if (line ~ /^# .*:[0-9]+:|Expected/ && last == "")
		last = substr(line, 3)
	else if (sub(/^# why: /, "", line))
		last = line
}

# Lines that a kernel in good health never prints.
function sick(line)
{
	return line ~ /WARNING:|BUG:|Oops|Call Trace|soft lockup|hard LOCKUP|INFO: (possible|task|rcu|trying)|UBSAN:|Kernel panic|page allocation failure|printk messages dropped|rcu_sched.*stall|Unable to handle/
}

function kernel_bad(line)
{
	if (sick_lines++ < 5)
		result("not ok", program == "" ? "kernel" : program ": kernel", line)
}

# What the kernel says of itself.  pressure runs out of memory on purpose: the
# one trace of such a report is kept back until its end tells whether the
# process was one that is there to be killed.  While it dies it may be refused
# memory.
function kernel(line)
{
	if (line ~ /invoked oom-killer:/) {
		end_report(oom)
		oom = line
	} else if (line ~ /Killed process [0-9]+ /) {
		if (program == "pressure" && line ~ /Killed process [0-9]+ \(tce-victim\)/)
			trace = ""
		else
			kernel_bad(line)
		end_report(oom)
	} else if (line ~ /^Out of memory and no killable processes/) {
		if (program == "pressure" && oom ~ /^tce-victim invoked /)
			trace = ""
		end_report(oom)
	} else if (program == "pressure" && line ~ /^tce-victim: page allocation failure:/) {
		end_report(oom)
		dying = 1
	} else if (program == "faults" && line ~ /^faults: (vmalloc error|page allocation failure):/) {
		# There memory is refused on purpose.
		dying = 1
	} else if (dying && line ~ /^Call Trace:/) {
		dying = 0
	} else if (oom != "" && trace == "" && line ~ /^Call Trace:/) {
		trace = line
	} else if (sick(line)) {
		kernel_bad(line)
	}
}

function end_report(why)
{
	if (trace != "")
		kernel_bad(why)
	oom = trace = ""
}

BEGIN { planned = ""; programs_planned = -1 }

{ sub(/\r$/, "") }

/^\[ *[0-9]+\.[0-9]+\] tce: / {
	sub(/^\[ *[0-9]+\.[0-9]+\] tce: /, "")
	if (/^=== end of tests ===/) {
		ended = 1
	} else if (/^# Subtest: /) {
		program = substr($0, 12)
		planned = last = ""
		seen = failed = 0
	} else if (/^  /) {
		nested(substr($0, 3))
	} else if (/^(not )?ok /) {
		end_program($0)
	} else if (/^1\.\./) {
		programs_planned = substr($0, 4) + 0
	}
	next
}

# Another layer of the machine (firmware) may say such words before the kernel.
/^\[ *[0-9]+\.[0-9]+\] / {
	sub(/^\[ *[0-9]+\.[0-9]+\] /, "")
	kernel($0)
}

END {
	end_report(oom)
	if (program != "")
		result("not ok", program, "did not end")
	if (!ended)
		result("not ok", "boot", status == 124 ? "out of time" : "no end of tests on the console")
	else if (status != 0)
		result("not ok", "boot", "QEMU ended with " status)
	else if (programs_seen != programs_planned || !programs_seen)
		result("not ok", "boot", "planned " programs_planned " programs, ran " programs_seen + 0)
	else if (!sick_lines && !guest_lines)
		result("ok", "boot and clean console")
}
