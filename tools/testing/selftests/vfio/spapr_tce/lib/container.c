// SPDX-License-Identifier: GPL-2.0
/*
 * Containers, and the requests that they take: see lib.h.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>

#include "lib.h"

int tce_container(void)
{
	int fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int tce_group_open(struct tce_dev *dev)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[64];
	int fd, ret;

	snprintf(path, sizeof(path), "/dev/vfio/%d", dev->group_id);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = tce_ioctl(fd, VFIO_GROUP_GET_STATUS, &status);
	if (!ret && !(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		ret = -EPERM;
	if (ret < 0) {
		close(fd);
		return ret;
	}
	dev->group = fd;
	return 0;
}

void tce_group_close(struct tce_dev *dev)
{
	tce_dev_close(dev);
	if (dev->group >= 0)
		close(dev->group);
	dev->group = -1;
}

int tce_group_set(struct tce_dev *dev, int container)
{
	return tce_ioctl(dev->group, VFIO_GROUP_SET_CONTAINER, &container);
}

int tce_group_unset(struct tce_dev *dev)
{
	return tce_ioctl(dev->group, VFIO_GROUP_UNSET_CONTAINER, NULL);
}

int tce_set_iommu(int container, unsigned long type)
{
	return tce_ioctl(container, VFIO_SET_IOMMU, (void *)type);
}

int tce_open(struct tce_dev *dev, unsigned long type)
{
	int c = tce_container();
	int ret;

	if (c < 0)
		return c;
	ret = tce_group_open(dev);
	if (!ret)
		ret = tce_group_set(dev, c);
	if (!ret)
		ret = tce_set_iommu(c, type);
	if (ret < 0) {
		tce_group_close(dev);
		close(c);
		return ret;
	}
	return c;
}

void tce_close(struct tce_dev *dev, int container)
{
	tce_group_close(dev);
	if (container >= 0)
		close(container);
}

int tce_ioctl(int fd, unsigned long req, void *arg)
{
	int ret = ioctl(fd, req, arg);

	return ret < 0 ? -errno : ret;
}

int tce_check_extension(int c, unsigned long ext)
{
	return tce_ioctl(c, VFIO_CHECK_EXTENSION, (void *)ext);
}

int tce_get_info(int c, struct vfio_iommu_spapr_tce_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	return tce_ioctl(c, VFIO_IOMMU_SPAPR_TCE_GET_INFO, info);
}

unsigned int tce_iommu_shift(int c, size_t max)
{
	struct vfio_iommu_spapr_tce_info info;
	unsigned int shift;

	if (tce_get_info(c, &info) || !(info.flags & VFIO_IOMMU_SPAPR_INFO_DDW))
		return 0;
	for (shift = 63; shift; shift--)
		if (info.ddw.pgsizes & BIT_ULL(shift) && BIT_ULL(shift) <= max)
			return shift;
	return 0;
}

int tce_enable(int c)
{
	return tce_ioctl(c, VFIO_IOMMU_ENABLE, NULL);
}

int tce_disable(int c)
{
	return tce_ioctl(c, VFIO_IOMMU_DISABLE, NULL);
}

static int registration(int c, unsigned long req, const void *va, u64 size)
{
	struct vfio_iommu_spapr_register_memory reg = {
		.argsz = sizeof(reg),
		.vaddr = (uintptr_t)va,
		.size = size,
	};

	return tce_ioctl(c, req, &reg);
}

int tce_register(int c, const void *va, u64 size)
{
	return registration(c, VFIO_IOMMU_SPAPR_REGISTER_MEMORY, va, size);
}

int tce_unregister(int c, const void *va, u64 size)
{
	return registration(c, VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, va, size);
}

int tce_map(int c, u64 iova, const void *va, u64 size, u32 prot)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = prot,
		.vaddr = (uintptr_t)va,
		.iova = iova,
		.size = size,
	};

	return tce_ioctl(c, VFIO_IOMMU_MAP_DMA, &map);
}

int tce_unmap(int c, u64 iova, u64 size)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = iova,
		.size = size,
	};

	return tce_ioctl(c, VFIO_IOMMU_UNMAP_DMA, &unmap);
}

int tce_create(int c, u32 page_shift, u64 size, u32 levels,
	       u64 *start)
{
	struct vfio_iommu_spapr_tce_create create = {
		.argsz = sizeof(create),
		.page_shift = page_shift,
		.window_size = size,
		.levels = levels,
		.start_addr = ~0ULL,
	};
	int ret = tce_ioctl(c, VFIO_IOMMU_SPAPR_TCE_CREATE, &create);

	if (start)
		*start = create.start_addr;
	return ret;
}

int tce_create_any(int c, u32 page_shift, u64 size, u64 *start)
{
	u32 levels;
	int ret = -EINVAL;

	for (levels = 1; levels <= 5; levels++) {
		ret = tce_create(c, page_shift, size, levels, start);
		if (!ret)
			break;
	}
	return ret;
}

int tce_remove(int c, u64 start)
{
	struct vfio_iommu_spapr_tce_remove rem = {
		.argsz = sizeof(rem),
		.start_addr = start,
	};

	return tce_ioctl(c, VFIO_IOMMU_SPAPR_TCE_REMOVE, &rem);
}

int tce_eeh(int c, u32 op)
{
	struct vfio_eeh_pe_op arg = {
		.argsz = sizeof(arg),
		.op = op,
	};

	return tce_ioctl(c, VFIO_EEH_PE_OP, &arg);
}
