// SPDX-License-Identifier: GPL-2.0
/*
 * A test program of the initramfs that goes on as a shell script in a Debian
 * root: mount the disk /dev/vda read-only, put what a root needs over it, and
 * run host.sh there with the name that this was called by.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOT	"/tmp/root"
#define SHELL	"/bin/sh"

static void check(int ret, const char *what)
{
	if (!ret || errno == EBUSY)
		return;
	printf("# %s: %s\n", what, strerror(errno));
	exit(1);
}

static void bind(const char *dir)
{
	char to[64];

	snprintf(to, sizeof(to), ROOT "%s", dir);
	check(mount(dir, to, NULL, MS_BIND | MS_REC, NULL), to);
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/');

	name = name ? name + 1 : argv[0];
	if (argc != 1)
		return 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	mkdir(ROOT, 0755);
	/* The programs before this one have done it already, or not. */
	if (access(ROOT "/clients/host.sh", F_OK)) {
		check(mount("/dev/vda", ROOT, "ext4", MS_RDONLY, "noload"), "/dev/vda");
		bind("/dev");
		bind("/proc");
		bind("/sys");
		bind("/clients");
		check(mount("tmpfs", ROOT "/tmp", "tmpfs", 0, "mode=1777"), "/tmp");
	}
	check(chroot(ROOT), "chroot");
	check(chdir("/tmp"), "/tmp");
	check(setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin:/clients", 1), "PATH");
	execl(SHELL, SHELL, "/clients/host.sh", name, NULL);
	check(-1, SHELL);
	return 1;
}
