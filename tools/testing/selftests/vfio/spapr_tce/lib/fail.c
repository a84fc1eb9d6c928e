// SPDX-License-Identifier: GPL-2.0
/*
 * Failures that the kernel injects into a thread: see lib.h.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib.h"

static int nth_fd = -1;

const char *fail_open(void)
{
	static const char * const settings[][2] = {
		{ "failslab/verbose", "0" },
		{ "failslab/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "fail_page_alloc/min-order", "0" },
		{ "fail_usercopy/verbose", "0" },
	};
	char path[128];
	unsigned int i;

	nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (nth_fd < 0)
		return "no fault injection in this kernel";
	for (i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s",
			 settings[i][0]);
		if (sys_write_file(path, settings[i][1]))
			return "fault injection cannot be set up";
	}
	return NULL;
}

void fail_close(void)
{
	close(nth_fd);
	nth_fd = -1;
}

void fail_at(int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", n);
	if (write(nth_fd, text, strlen(text)) < 0)
		perror("fail-nth");
}

bool fail_end(void)
{
	char text[16] = "";
	bool failed;

	/* Reading is a place to fail at as well: then there was none before */
	failed = pread(nth_fd, text, sizeof(text) - 1, 0) > 0 && !atoi(text);
	while (write(nth_fd, "0", 1) < 0)
		;
	return failed;
}

static void set_copies(const char *name, int n)
{
	char path[64], text[16];

	snprintf(path, sizeof(path), "/sys/kernel/debug/fail_usercopy/%s", name);
	snprintf(text, sizeof(text), "%d", n);
	if (sys_write_file(path, text))
		perror(path);
}

void fail_copies(int good, int bad)
{
	set_copies("task-filter", 1);
	set_copies("interval", 1);
	/* Each copy takes one of this, and fails when one is left */
	set_copies("space", good + 1);
	set_copies("times", bad);
	set_copies("probability", 100);
	if (sys_write_file("/proc/thread-self/make-it-fail", "1"))
		perror("make-it-fail");
}

int fail_copies_end(void)
{
	int left = 0;

	/* Asking is a copy, too */
	while (sys_write_file("/proc/thread-self/make-it-fail", "0"))
		left++;
	set_copies("probability", 0);
	return left;
}
