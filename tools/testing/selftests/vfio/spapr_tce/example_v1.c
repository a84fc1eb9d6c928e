// SPDX-License-Identifier: GPL-2.0
/*
 * VFIO_SPAPR_TCE_IOMMU from beginning to end: a process gives memory to a PCI
 * device, lets it read and write there, and takes it back.
 *
 *	example_v1 [0000:01:00.0]
 */
#include "example.h"

#define BUF_SIZE	0x20000		/* a multiple of all page sizes */

/* The group of a device is a file by the number that its link ends in. */
static int open_group(const char *bdf)
{
	char path[300], link[256];
	ssize_t n;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/iommu_group", bdf);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return -1;
	link[n] = 0;
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	return open(path, O_RDWR | O_CLOEXEC);
}

/* A group is viable when no device of it has a driver of the host's. */
static int group_viable(int group)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };

	if (ioctl(group, VFIO_GROUP_GET_STATUS, &status))
		return -1;
	if (status.flags & VFIO_GROUP_FLAGS_VIABLE)
		return 0;
	errno = EBUSY;
	return -1;
}

int main(int argc, char **argv)
{
	const char *bdf = pick_device(argc, argv, 12);
	struct vfio_iommu_spapr_tce_info info = { .argsz = sizeof(info) };
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map) };
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap) };
	int container, group, device;
	void *regs;
	uint8_t *buf;

	/* A container, with the group in it, of version 1. */
	container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	step("open the container", container);
	step("version 1 is there",
	     ioctl(container, VFIO_CHECK_EXTENSION, VFIO_SPAPR_TCE_IOMMU) - 1);
	group = open_group(bdf);
	step("open the group", group);
	step("the group is viable", group_viable(group));
	step("add the group", ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
	step("set the IOMMU",
	     ioctl(container, VFIO_SET_IOMMU, VFIO_SPAPR_TCE_IOMMU));

	/* Where the device will see memory: only addresses of this window. */
	step("get the window",
	     ioctl(container, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info));
	printf("# DMA window at %#x, %#x bytes\n", info.dma32_window_start,
	       info.dma32_window_size);

	/*
	 * Charges the size of the window to RLIMIT_MEMLOCK: ENOMEM tells that
	 * it is too low. Nothing is pinned yet.
	 */
	step("enable", ioctl(container, VFIO_IOMMU_ENABLE));

	/* Pins the memory. All of address, size and iova are multiples of 4K. */
	buf = mmap(NULL, BUF_SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	map.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
	map.vaddr = (uintptr_t)buf;
	map.iova = info.dma32_window_start;
	map.size = BUF_SIZE;
	step("map", buf == MAP_FAILED ? -1 :
	     ioctl(container, VFIO_IOMMU_MAP_DMA, &map));

	/* The device copies the first half of the memory to the second one. */
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
	if (device >= 0 && is_edu(bdf)) {
		regs = device_registers(device);
		step("DMA", regs ? device_check(device, regs, map.iova, buf,
						BUF_SIZE, 0x5a) : -1);
		/* Stop the device before its memory goes. */
		device_master(device, false);
	} else {
		skip("DMA", "not an edu device");
	}

	/* When this returns the device reaches none of the memory any more. */
	unmap.iova = map.iova;
	unmap.size = map.size;
	step("unmap", ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap));

	/* Would unmap what is mapped still, and gives the charge back. */
	step("disable", ioctl(container, VFIO_IOMMU_DISABLE));

	close(device);
	close(group);
	close(container);
	return 0;
}
