/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Instructions by single steps, where a processor's counters cannot be had: those
 * of a child between steps_begin(), which is 0 there, and steps_end().
 */
#ifndef BENCH_STEPS_H
#define BENCH_STEPS_H

#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t steps_begin(void)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(1);
		raise(SIGSTOP);
	}

	return pid;
}

static void steps_end(void)
{
	raise(SIGSTOP);
	_exit(0);
}

/* How many the child took, or -1 when they cannot be counted; it is gone then */
static long steps_count(pid_t pid)
{
	int status;
	long n = 0;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return -1;
	do {
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) ||
		    waitpid(pid, &status, 0) != pid)
			return -1;
		n++;
	} while (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);

	return n;
}

#endif /* BENCH_STEPS_H */
