// SPDX-License-Identifier: GPL-2.0
/*
 * VFIO_SPAPR_TCE_v2_IOMMU from beginning to end: a process registers memory,
 * makes a DMA window, maps memory there, lets a PCI device read and write,
 * brings the device back after an error, and takes the memory back.
 *
 *	example_v2 [0000:01:00.0]
 */
#include "example.h"

#define BUF_SIZE	(16 << 20)

/* The group of a device is a file by the number that its link ends in. */
static int open_group(const char *bdf)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[300], link[256];
	ssize_t n;
	int group;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/iommu_group", bdf);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return -1;
	link[n] = 0;
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	group = open(path, O_RDWR | O_CLOEXEC);
	if (group < 0 || ioctl(group, VFIO_GROUP_GET_STATUS, &status))
		return -1;
	if (status.flags & VFIO_GROUP_FLAGS_VIABLE)
		return group;
	/* A device of it has a driver of the host's. */
	errno = EBUSY;
	return -1;
}

/*
 * The largest pages that all of the groups' bridges have and that any memory
 * can back. For larger ones the memory has to be of huge pages; a map of
 * smaller ones is EPERM then.
 */
static unsigned int page_shift(uint64_t pgsizes)
{
	unsigned int shift = 63;

	/* All of them have 4K. */
	while (shift > 12 && (!(pgsizes & (1ULL << shift)) ||
			      1ULL << shift > (uint64_t)sysconf(_SC_PAGESIZE)))
		shift--;
	return shift;
}

/*
 * A window costs what is mapped in it, not its size. A kernel that allocates
 * all of a level at once may want more levels for a large one: so ask again.
 */
static int create_window(int container, unsigned int shift, uint32_t max_levels,
			 uint64_t size, uint64_t *start)
{
	struct vfio_iommu_spapr_tce_create create = { .argsz = sizeof(create) };
	uint32_t levels;

	for (levels = 1; levels <= (max_levels ?: 1); levels++) {
		create.page_shift = shift;
		create.window_size = size;	/* a power of two */
		create.levels = levels;
		if (!ioctl(container, VFIO_IOMMU_SPAPR_TCE_CREATE, &create)) {
			*start = create.start_addr;
			return 0;
		}
	}
	return -1;
}

static int eeh(int container, uint32_t what)
{
	struct vfio_eeh_pe_op op = { .argsz = sizeof(op), .op = what };

	return ioctl(container, VFIO_EEH_PE_OP, &op);
}

/*
 * After an error the bridge stops the device, and its registers read as all
 * ones. A reset brings it back, as it was when it was opened but for its
 * settings: windows and what is mapped stay.
 */
static int recover(int container)
{
	if (eeh(container, VFIO_EEH_PE_RESET_HOT) ||
	    eeh(container, VFIO_EEH_PE_RESET_DEACTIVATE) ||
	    eeh(container, VFIO_EEH_PE_CONFIGURE))
		return -1;
	return eeh(container, VFIO_EEH_PE_GET_STATE) ==
		VFIO_EEH_PE_STATE_NORMAL ? 0 : -1;
}

int main(int argc, char **argv)
{
	const char *bdf = pick_device(argc, argv, 16);
	struct vfio_iommu_spapr_tce_info info = { .argsz = sizeof(info) };
	struct vfio_iommu_spapr_register_memory reg = { .argsz = sizeof(reg) };
	struct vfio_iommu_spapr_tce_remove rem = { .argsz = sizeof(rem) };
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map) };
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap) };
	void *regs = NULL;
	int container, group, device;
	unsigned int shift;
	uint64_t start = 0;
	uint8_t *buf;

	/* A container, with the group in it, of version 2. */
	container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	step("open the container", container);
	step("version 2 is there",
	     ioctl(container, VFIO_CHECK_EXTENSION, VFIO_SPAPR_TCE_v2_IOMMU) - 1);
	group = open_group(bdf);
	step("open the group", group);
	step("add the group", ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
	step("set the IOMMU",
	     ioctl(container, VFIO_SET_IOMMU, VFIO_SPAPR_TCE_v2_IOMMU));
	/* More groups go into the container here. They see the same memory. */

	step("get page sizes",
	     ioctl(container, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info));
	shift = page_shift(info.ddw.pgsizes);

	/*
	 * Pins the memory and charges it to RLIMIT_MEMLOCK. Slow, so it is done
	 * once for all that may ever be mapped.
	 */
	buf = mmap(NULL, BUF_SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.vaddr = (uintptr_t)buf;
	reg.size = BUF_SIZE;
	step("register memory", buf == MAP_FAILED ? -1 :
	     ioctl(container, VFIO_IOMMU_SPAPR_REGISTER_MEMORY, &reg));

	/* Beside the default window below 4G. The kernel says where it is. */
	step("make a window",
	     create_window(container, shift, info.ddw.levels, 1ULL << (shift + 20),
			   &start));
	printf("# DMA window at %#llx, pages of %llu\n",
	       (unsigned long long)start, 1ULL << shift);

	/* Fast: all of the memory or any part of it, in pages of the window. */
	map.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
	map.vaddr = (uintptr_t)buf;
	map.iova = start;
	map.size = BUF_SIZE;
	step("map", ioctl(container, VFIO_IOMMU_MAP_DMA, &map));

	/* What is mapped cannot be unregistered: EBUSY, and it stays mapped. */
	step("mapped memory stays registered",
	     ioctl(container, VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, &reg) < 0 &&
	     errno == EBUSY ? 0 : -1);

	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
	step("open the device", device);
	if (is_edu(bdf))
		regs = device_registers(device);
	/* The device copies the first half of the memory to the second one. */
	if (regs)
		step("DMA", device_check(device, regs, map.iova, buf, BUF_SIZE,
					 0x5a));
	else
		skip("DMA", "not an edu device");

	if (!regs || ioctl(container, VFIO_CHECK_EXTENSION, VFIO_EEH) != 1)
		skip("DMA after a reset", "no EEH on this machine");
	else
		step("DMA after a reset", eeh(container, VFIO_EEH_PE_ENABLE) ||
		     recover(container) ||
		     device_check(device, regs, map.iova, buf, BUF_SIZE,
				  0xa5) ? -1 : 0);

	/* Stop the device; then the memory can be taken from it. */
	if (regs)
		device_master(device, false);
	unmap.iova = map.iova;
	unmap.size = map.size;
	step("unmap", ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap));

	/* Optional: closing the container does these, too. */
	rem.start_addr = start;
	step("remove the window",
	     ioctl(container, VFIO_IOMMU_SPAPR_TCE_REMOVE, &rem));
	step("unregister",
	     ioctl(container, VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, &reg));

	close(device);
	close(group);
	close(container);
	return 0;
}
