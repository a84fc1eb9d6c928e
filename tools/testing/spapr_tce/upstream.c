// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run a program of tools/testing/selftests/vfio, which wants to be told the
 * device, inside the initramfs of check-iommufd: the program /upstream/NAME when
 * this is called /tests/NAME. The device is an igb for NAME that has "driver" in
 * it, else an edu, or an igb where there is none; it is given to vfio-pci.
 */
#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PCI	"/sys/bus/pci/devices"

static unsigned long attr(const char *bdf, const char *name)
{
	char path[PATH_MAX];
	unsigned long value = 0;
	FILE *f;

	snprintf(path, sizeof(path), PCI "/%s/%s", bdf, name);
	f = fopen(path, "r");
	if (!f)
		return 0;
	if (fscanf(f, "%lx", &value) != 1)
		value = 0;
	fclose(f);

	return value;
}

static int put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return -errno;
	fputs(text, f);

	return fclose(f) ? -errno : 0;
}

static int give_to_vfio(const char *bdf)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), PCI "/%s/driver_override", bdf);
	if (put(path, "vfio-pci"))
		return -1;
	snprintf(path, sizeof(path), PCI "/%s/driver/unbind", bdf);
	put(path, bdf);

	return put("/sys/bus/pci/drivers_probe", bdf);
}

static int find(unsigned long vendor, unsigned long device, char bdf[256])
{
	DIR *dir = opendir(PCI);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		if (attr(e->d_name, "vendor") != vendor ||
		    attr(e->d_name, "device") != device)
			continue;
		snprintf(bdf, 256, "%s", e->d_name);
		closedir(dir);
		return 0;
	}
	if (dir)
		closedir(dir);

	return -ENODEV;
}

int main(int argc, char **argv)
{
	const char *name = basename(argv[0]);
	unsigned long vendor = 0x1234, device = 0x11e8;
	char path[PATH_MAX], bdf[256];

	(void)argc;
	if (strstr(name, "driver")) {
		vendor = 0x8086;
		device = 0x10c9;
	}
	if (find(vendor, device, bdf) && find(0x8086, 0x10c9, bdf)) {
		printf("TAP version 13\n1..0 # SKIP no device %04lx:%04lx\n",
		       vendor, device);
		return 4;
	}
	give_to_vfio(bdf);
	setenv("VFIO_SELFTESTS_BDF", bdf, 1);
	snprintf(path, sizeof(path), "/upstream/%s", name);
	execv(path, argv);
	perror(path);

	return 1;
}
