// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel logs and traces: see lib.h.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib.h"

#define TRACING	"/sys/kernel/tracing"

int sys_klog_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd < 0 ? -errno : fd;
}

/* The next record of the kernel's own; false when there is none */
static bool klog_next(int fd, char *rec, size_t size)
{
	ssize_t n;

	for (;;) {
		n = read(fd, rec, size - 1);
		if (n < 0 && errno == EPIPE)
			continue;	/* records were overwritten */
		if (n <= 0)
			return false;
		rec[n] = 0;
		if (!(strtoul(rec, NULL, 10) >> 3))
			return true;
	}
}

bool sys_klog_warned(int fd)
{
	static const char * const bad[] = {
		"WARNING: ", "BUG: ", "Oops", "Call Trace",
		"page allocation failure", "vmalloc error", "Out of memory",
	};
	char rec[8192];
	bool warned = false;
	unsigned int i;

	while (klog_next(fd, rec, sizeof(rec)))
		for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
			warned |= !!strstr(rec, bad[i]);
	return warned;
}

int sys_klog_said(int fd, const char *text)
{
	char rec[8192];
	int times = 0;

	while (klog_next(fd, rec, sizeof(rec)))
		times += !!strstr(rec, text);
	return times;
}

int sys_trace(const char *event, bool on)
{
	char path[256];
	int fd;

	/* It is opening the file that clears the trace, not what is written */
	fd = open(TRACING "/trace", O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	snprintf(path, sizeof(path), TRACING "/events/%s/enable", event);
	return sys_write_file(path, on ? "1" : "0");
}

int sys_traced(const char *text)
{
	char line[512];
	int n = 0;
	FILE *f = fopen(TRACING "/trace", "r");

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		n += !!strstr(line, text);
	fclose(f);
	return n;
}
