// SPDX-License-Identifier: GPL-2.0
/*
 * Devices on PCI, their drivers and groups: see lib.h.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib.h"

static unsigned long dev_attr(const char *bdf, const char *name)
{
	char path[512], buf[32];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", bdf, name);
	return sys_read_file(path, buf, sizeof(buf)) ? 0 : strtoul(buf, NULL, 0);
}

static int dev_group(const char *bdf)
{
	char path[512], link[256], *base;
	ssize_t n;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/iommu_group", bdf);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return -errno;
	link[n] = 0;
	base = strrchr(link, '/');
	return atoi(base ? base + 1 : link);
}

static bool dev_driver_is(const char *bdf, const char *driver)
{
	char path[512], link[256], *base;
	ssize_t n;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver", bdf);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return !driver;
	link[n] = 0;
	base = strrchr(link, '/');
	return driver && base && !strcmp(base + 1, driver);
}

int tce_unbind(const char *bdf)
{
	char path[512];

	if (dev_driver_is(bdf, NULL))
		return 0;
	snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver/unbind", bdf);
	sys_write_file(path, bdf);

	return dev_driver_is(bdf, NULL) ? 0 : -EBUSY;
}

int tce_bind(const char *bdf, const char *driver)
{
	char path[512];
	int ret;

	if (dev_driver_is(bdf, driver))
		return 0;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver_override", bdf);
	ret = sys_write_file(path, driver);
	if (ret)
		return ret;
	tce_unbind(bdf);
	sys_write_file("/sys/bus/pci/drivers_probe", bdf);
	return dev_driver_is(bdf, driver) ? 0 : -ENODEV;
}

static bool dev_there(const char *bdf)
{
	char path[512];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s", bdf);
	return !access(path, F_OK);
}

int tce_unplug(const char *bdf)
{
	char path[512];
	int ret;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/remove", bdf);
	ret = sys_write_file(path, "1");
	if (!ret && dev_there(bdf))
		ret = -EBUSY;
	return ret;
}

int tce_replug(const char *bdf)
{
	int ret = sys_write_file("/sys/bus/pci/rescan", "1");

	if (!ret && !dev_there(bdf))
		ret = -ENODEV;
	return ret;
}

static bool dev_is_edu(const char *bdf)
{
	return dev_attr(bdf, "vendor") == 0x1234 &&
	       dev_attr(bdf, "device") == 0x11e8;
}

/*
 * Can a process have the group of a device? Not while a driver of the host's has
 * another one in it.
 */
static bool group_is_free(const char *bdf)
{
	char path[512];
	struct dirent *de;
	bool ok = true;
	DIR *d;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/iommu_group/devices", bdf);
	d = opendir(path);
	while (d && ok && (de = readdir(d)))
		ok = de->d_name[0] == '.' || !strcmp(de->d_name, bdf) ||
		     dev_driver_is(de->d_name, NULL) ||
		     dev_driver_is(de->d_name, "vfio-pci") ||
		     dev_driver_is(de->d_name, "pcieport");
	if (d)
		closedir(d);
	return ok;
}

/* One more device, unless its group is there already. */
static int dev_add(struct tce_dev *devs, int n, const char *bdf)
{
	struct tce_dev *dev = &devs[n];
	int i, group = dev_group(bdf);

	if (group < 0)
		return n;
	for (i = 0; i < n; i++)
		if (devs[i].group_id == group)
			return n;

	memset(dev, 0, sizeof(*dev));
	snprintf(dev->bdf, sizeof(dev->bdf), "%s", bdf);
	dev->group_id = group;
	dev->group = -1;
	dev->device = -1;
	dev->edu = dev_is_edu(bdf);
	return n + 1;
}

int tce_dev_at(struct tce_dev *dev, const char *bdf)
{
	char copy[sizeof(dev->bdf)];

	/* It may be the device's own */
	snprintf(copy, sizeof(copy), "%s", bdf);
	return dev_add(dev, 0, copy) ? 0 : -ENODEV;
}

static int dev_cmp(const void *a, const void *b)
{
	return strcmp(((const struct tce_dev *)a)->bdf,
		      ((const struct tce_dev *)b)->bdf);
}

/* Can the tests have a device that their user has named? If not, why. */
static bool dev_can_be_had(const char *bdf)
{
	int group = dev_group(bdf);
	char path[64];

	if (!dev_there(bdf)) {
		fprintf(stderr, "# VFIO_DEVICE: there is no device %s\n", bdf);
		return false;
	}
	if (group < 0) {
		fprintf(stderr, "# VFIO_DEVICE: %s is in no IOMMU group\n", bdf);
		return false;
	}
	snprintf(path, sizeof(path), "/dev/vfio/%d", group);
	if (access(path, F_OK)) {
		fprintf(stderr, "# VFIO_DEVICE: %s: its group is not bound to vfio-pci: no %s\n",
			bdf, path);
		return false;
	}
	return true;
}

int tce_find_devs(struct tce_dev *devs, int max)
{
	const char *names = getenv("VFIO_DEVICE");
	const char *group = getenv("VFIO_GROUP");
	char copy[256], dir[128], *bdf, *save;
	struct dirent *de;
	int n = 0;
	DIR *d;

	if (names) {
		snprintf(copy, sizeof(copy), "%s", names);
		for (bdf = strtok_r(copy, ",", &save); bdf && n < max;
		     bdf = strtok_r(NULL, ",", &save))
			if (dev_can_be_had(bdf))
				n = dev_add(devs, n, bdf);
		return n;
	}

	if (group)
		snprintf(dir, sizeof(dir),
			 "/sys/kernel/iommu_groups/%s/devices", group);
	else
		snprintf(dir, sizeof(dir), PCI_DEVICES);
	d = opendir(dir);
	if (!d)
		return 0;
	while (n < max && (de = readdir(d))) {
		if (de->d_name[0] == '.')
			continue;
		if (group) {
			/* skip bridges */
			if (dev_attr(de->d_name, "class") >> 16 != 0x06)
				n = dev_add(devs, n, de->d_name);
			continue;
		}
		if (dev_is_edu(de->d_name) && group_is_free(de->d_name) &&
		    !tce_bind(de->d_name, "vfio-pci"))
			n = dev_add(devs, n, de->d_name);
	}
	closedir(d);
	qsort(devs, n, sizeof(*devs), dev_cmp);
	return n;
}

int tce_group_devs(const struct tce_dev *dev, struct tce_dev *devs, int max)
{
	char dir[128];
	struct dirent *de;
	int n = 0;
	DIR *d;

	snprintf(dir, sizeof(dir), "/sys/kernel/iommu_groups/%d/devices",
		 dev->group_id);
	d = opendir(dir);
	while (d && n < max && (de = readdir(d)))
		if (de->d_name[0] != '.')
			n += dev_is_edu(de->d_name) &&
			     dev_add(&devs[n], 0, de->d_name);
	if (d)
		closedir(d);
	qsort(devs, n, sizeof(*devs), dev_cmp);
	return n;
}

bool sys_test_disk(char *path, size_t size, char *bdf, size_t bdf_size)
{
	char name[512], text[256], *base;
	struct dirent *de;
	bool found = false;
	ssize_t n;
	DIR *d = opendir("/sys/block");

	while (d && !found && (de = readdir(d))) {
		if (strncmp(de->d_name, "nvme", 4))
			continue;
		snprintf(name, sizeof(name), "/sys/block/%.64s/device/serial",
			 de->d_name);
		if (sys_read_file(name, text, sizeof(text)) ||
		    strncmp(text, TEST_DISK_SERIAL, strlen(TEST_DISK_SERIAL)))
			continue;
		snprintf(name, sizeof(name), "/sys/block/%.64s/device/device",
			 de->d_name);
		n = readlink(name, text, sizeof(text) - 1);
		if (n < 0)
			continue;
		text[n] = 0;
		base = strrchr(text, '/');
		snprintf(bdf, bdf_size, "%s", base ? base + 1 : text);
		snprintf(path, size, "/dev/%.64s", de->d_name);
		found = true;
	}
	if (d)
		closedir(d);
	return found;
}
