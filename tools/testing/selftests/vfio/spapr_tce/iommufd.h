/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Helpers of the tests that drive a device through /dev/iommu. As in lib.h each
 * answers 0, or a positive number that was asked for, or a negative errno.
 */
#ifndef SPAPR_TCE_IOMMUFD_H
#define SPAPR_TCE_IOMMUFD_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/iommufd.h>

#include "lib.h"

#define IOAS_RW		(IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)

static inline int fd_open(void)
{
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* The device file that belongs to no group file */
static inline int cdev_open(const char *bdf)
{
	char path[512];
	struct dirent *e;
	int fd = -1;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", bdf);
	dir = opendir(path);
	if (!dir)
		return -errno;
	errno = ENOENT;
	while (fd < 0 && (e = readdir(dir))) {
		if (strncmp(e->d_name, "vfio", 4))
			continue;
		snprintf(path, sizeof(path), "/dev/vfio/devices/%s", e->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	closedir(dir);

	return fd < 0 ? -errno : fd;
}

/*
 * To open a device resets it, and where that takes a reset of its bus it takes
 * seconds. A device without methods for a reset is not.
 */
static inline int dev_no_reset(const char *bdf)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.15s/reset_method", bdf);

	return sys_write_file(path, "\n");
}

static inline int cdev_bind(int dev, int fd, u32 *id)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = fd,
	};
	int ret = tce_ioctl(dev, VFIO_DEVICE_BIND_IOMMUFD, &bind);

	if (!ret && id)
		*id = bind.out_devid;

	return ret;
}

/* Puts the hwpt that it got in *@hwpt */
static inline int cdev_attach(int dev, u32 pt, u32 *hwpt)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = pt,
	};
	int ret = tce_ioctl(dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);

	if (!ret && hwpt)
		*hwpt = attach.pt_id;

	return ret;
}

static inline int cdev_detach(int dev)
{
	struct vfio_device_detach_iommufd_pt detach = {
		.argsz = sizeof(detach),
	};

	return tce_ioctl(dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
}

static inline int fd_ioas(int fd, u32 *id)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	int ret = tce_ioctl(fd, IOMMU_IOAS_ALLOC, &alloc);

	*id = alloc.out_ioas_id;

	return ret;
}

static inline int fd_destroy(int fd, u32 id)
{
	struct iommu_destroy destroy = { .size = sizeof(destroy), .id = id };

	return tce_ioctl(fd, IOMMU_DESTROY, &destroy);
}

static inline int fd_hwpt(int fd, u32 dev, u32 ioas, u32 *id)
{
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.dev_id = dev,
		.pt_id = ioas,
	};
	int ret = tce_ioctl(fd, IOMMU_HWPT_ALLOC, &alloc);

	*id = alloc.out_hwpt_id;

	return ret;
}

static inline int fd_map(int fd, u32 ioas, u64 iova, const void *va, u64 size,
			 u32 prot)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | prot,
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = size,
		.iova = iova,
	};

	return tce_ioctl(fd, IOMMU_IOAS_MAP, &map);
}

/* Answers how many bytes were mapped there, in a signed 64 bit number */
static inline s64 fd_unmap(int fd, u32 ioas, u64 iova, u64 size)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = ioas,
		.iova = iova,
		.length = size,
	};
	int ret = tce_ioctl(fd, IOMMU_IOAS_UNMAP, &unmap);

	return ret ? ret : (s64)unmap.length;
}

/* Is all from @first to @last allowed? Puts the end of the last range in *@end */
static inline int fd_allows(int fd, u32 ioas, u64 first, u64 last, u64 *end)
{
	struct iommu_iova_range r[16];
	struct iommu_ioas_iova_ranges ranges = {
		.size = sizeof(ranges),
		.ioas_id = ioas,
		.num_iovas = 16,
		.allowed_iovas = (uintptr_t)r,
	};
	int ret = tce_ioctl(fd, IOMMU_IOAS_IOVA_RANGES, &ranges);
	u32 i;

	if (ret)
		return ret;
	for (i = 0; i < ranges.num_iovas; i++) {
		if (end)
			*end = r[i].last;
		if (r[i].start <= first && last <= r[i].last)
			ret = 1;
	}

	return ret;
}

#endif /* SPAPR_TCE_IOMMUFD_H */
