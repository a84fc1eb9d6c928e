// SPDX-License-Identifier: GPL-2.0
/*
 * What kind of machine this is, and what the kernel says of it: see lib.h.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib.h"

int sys_read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		return -errno;
	buf[n] = 0;
	return 0;
}

int sys_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;
	int ret = 0;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	if (n < 0)
		ret = -errno;
	close(fd);
	return ret;
}

size_t sys_page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

u32 sys_tce_shift(void)
{
	return sys_page_size() < SZ_64K ? 12 : 16;
}

static bool cpuinfo_has(const char *text)
{
	char line[256];
	bool found = false;
	FILE *f = fopen("/proc/cpuinfo", "r");

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = strstr(line, text);
	fclose(f);
	return found;
}

bool sys_powernv(void)
{
	return cpuinfo_has("PowerNV");
}

bool sys_radix(void)
{
	return cpuinfo_has("Radix");
}

bool sys_power8(void)
{
	return cpuinfo_has("POWER8");
}

unsigned int sys_tce_bits(void)
{
	const char *bits = getenv("TCE_BITS");

	return bits ? atoi(bits) : 31;
}

u64 sys_vmlck_of(pid_t pid)
{
	unsigned long long kb = 0;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	if (!f)
		return ~0ULL;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmLck: %llu kB", &kb) == 1)
			break;
	fclose(f);
	return kb << 10;
}

u64 sys_vmlck(void)
{
	return sys_vmlck_of(getpid());
}

/*
 * Counters are kept per CPU and folded about once a second: reading this file
 * (root only) folds them now.
 */
static void vmstat_refresh(void)
{
	int fd = open("/proc/sys/vm/stat_refresh", O_RDONLY | O_CLOEXEC);
	char byte;

	if (fd < 0)
		return;
	while (read(fd, &byte, 1) > 0)
		;
	close(fd);
}

s64 sys_vmstat(const char *name)
{
	size_t len = strlen(name);
	char line[256];
	s64 val = -1;
	FILE *f;

	vmstat_refresh();
	f = fopen("/proc/vmstat", "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, name, len) && line[len] == ' ') {
			val = strtoll(line + len, NULL, 10);
			break;
		}
	}
	fclose(f);
	return val;
}

unsigned int sys_slowness(void)
{
	return access("/sys/kernel/debug/kmemleak", F_OK) ? 1 : 20;
}

int sys_compact(void)
{
	return sys_write_file("/proc/sys/vm/compact_memory", "1");
}

static void on_alarm(int sig)
{
}

/* Pages that stay make the kernel try until it is interrupted. */
int sys_mem_block(int nr, bool online, unsigned int seconds)
{
	struct sigaction old, act = { .sa_handler = on_alarm };
	char path[64];
	int ret;

	snprintf(path, sizeof(path), "/sys/devices/system/memory/memory%d/state",
		 nr);
	sigaction(SIGALRM, &act, &old);
	alarm(seconds);
	ret = sys_write_file(path, online ? "online" : "offline");
	alarm(0);
	sigaction(SIGALRM, &old, NULL);
	return ret;
}

void sys_mem_online_all(void)
{
	struct dirent *de;
	int nr;
	DIR *d = opendir("/sys/devices/system/memory");

	while (d && (de = readdir(d)))
		if (sscanf(de->d_name, "memory%d", &nr) == 1)
			sys_mem_block(nr, true, 0);
	if (d)
		closedir(d);
}

bool sys_slab_debug(void)
{
	int fd = open("/sys/kernel/slab/kmalloc-4k/red_zone", O_RDONLY);
	char on = '0';

	if (fd < 0)
		return false;
	if (read(fd, &on, 1) != 1)
		on = '0';
	close(fd);
	return on == '1';
}
