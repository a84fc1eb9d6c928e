// SPDX-License-Identifier: GPL-2.0
/*
 * The /init of a guest that has an NVMe disk passed through.  It reads the
 * first part of the disk and says a checksum (that of POSIX cksum), writes
 * another part, reads that back, and powers off.
 *
 * Each line on the console begins with "guest: ".
 *
 * Kernel command line:
 *   guest.pull=1	then give the disk's slot up, so that the disk can be pulled,
 *			and go on reading all the same
 */
#define _GNU_SOURCE
#include <errno.h>
#include <endian.h>
#include <fcntl.h>
#include <glob.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MIB		1048576UL
#define READ_LEN	(32 * MIB)
#define WRITE_AT	(40 * MIB)
#define WRITE_LEN	(8 * MIB)
#define ISOLATION_STATE	9001

static const char disk[] = "/dev/nvme0n1";

static void say(const char *fmt, ...)
{
	va_list ap;

	printf("guest: ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

static void power_off(void)
{
	sync();
	say("power off");
	reboot(RB_POWER_OFF);
	exit(1);
}

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	say("failed: %s: %s", what, strerror(errno));
	power_off();
}

/* CRC-32 of POSIX cksum, from the highest bit; the length goes in last. */
static uint32_t cksum_table[256];

static void cksum_init(void)
{
	uint32_t i, crc;
	int bit;

	for (i = 0; i < 256; i++) {
		crc = i << 24;
		for (bit = 0; bit < 8; bit++)
			crc = crc << 1 ^ (crc >> 31 ? 0x04c11db7 : 0);
		cksum_table[i] = crc;
	}
}

static uint32_t cksum(const uint8_t *p, size_t len)
{
	uint32_t crc = 0;
	size_t n;

	for (n = 0; n < len; n++)
		crc = crc << 8 ^ cksum_table[crc >> 24 ^ p[n]];
	for (; n; n >>= 8)
		crc = crc << 8 ^ cksum_table[crc >> 24 ^ (n & 0xff)];
	return ~crc;
}

static bool read_disk(int fd, void *buf, size_t len, off_t at)
{
	size_t done;
	ssize_t n;

	for (done = 0; done < len; done += n) {
		n = pread(fd, (char *)buf + done, len - done, at + done);
		if (n <= 0)
			return false;
	}
	return true;
}

static bool on_command_line(const char *word)
{
	char line[4096];
	FILE *f = fopen("/proc/cmdline", "r");
	bool found;

	found = f && fgets(line, sizeof(line), f) && strstr(line, word);
	if (f)
		fclose(f);
	return found;
}

/* A cell of the device tree; @pattern may match several files. */
static bool read_cell(const char *pattern, uint32_t *cell)
{
	glob_t found;
	bool ok;
	int fd;

	if (glob(pattern, 0, NULL, &found))
		return false;
	fd = open(found.gl_pathv[0], O_RDONLY);
	ok = fd >= 0 && read(fd, cell, sizeof(*cell)) == sizeof(*cell);
	if (fd >= 0)
		close(fd);
	globfree(&found);
	return ok;
}

/* Firmware then takes the disk away as soon as it is asked to. */
static bool isolate_disk(void)
{
	static struct {
		uint32_t token, nargs, nret, args[16];
		uint64_t internal;
	} rtas;

	rtas.nargs = htobe32(3);
	rtas.nret = htobe32(1);
	rtas.args[0] = htobe32(ISOLATION_STATE);
	return read_cell("/proc/device-tree/rtas/set-indicator", &rtas.token) &&
		read_cell("/proc/device-tree/pci@*/*/ibm,my-drc-index", &rtas.args[1]) &&
		!syscall(SYS_rtas, &rtas) && !rtas.args[3];
}

int main(void)
{
	unsigned char *buf, *back;
	struct stat st;
	unsigned int i;
	size_t n;
	int fd;

	mkdir("/dev", 0755);
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	say("up");
	/* Drivers that are built in may still be looking at the disk. */
	for (i = 0; i < 100 && stat(disk, &st); i++)
		usleep(100000);
	fd = open(disk, O_RDWR | O_DIRECT);
	check(fd >= 0, disk);
	buf = aligned_alloc(MIB, READ_LEN);
	back = aligned_alloc(MIB, WRITE_LEN);
	check(buf && back, "memory");

	cksum_init();
	check(read_disk(fd, buf, READ_LEN, 0), "read");
	say("read %lu bytes, cksum %u", READ_LEN, cksum(buf, READ_LEN));

	for (n = 0; n < WRITE_LEN; n++)
		buf[n] = n ^ n >> 8 ^ n >> 16 ^ 0x5a;
	check(pwrite(fd, buf, WRITE_LEN, WRITE_AT) == WRITE_LEN, "write");
	check(read_disk(fd, back, WRITE_LEN, WRITE_AT), "read back");
	say("wrote %lu bytes at %lu, cksum %u: %s", WRITE_LEN, WRITE_AT,
	    cksum(back, WRITE_LEN),
	    memcmp(buf, back, WRITE_LEN) ? "differs" : "same");

	if (on_command_line("guest.pull=1")) {
		check(isolate_disk(), "set-indicator");
		say("reading on");
		while (read_disk(fd, buf, READ_LEN, 0))
			;
		say("read: %s", strerror(errno));
	}
	close(fd);
	/* Time for the host to look at the tables. */
	sleep(2);
	power_off();
	return 0;
}
