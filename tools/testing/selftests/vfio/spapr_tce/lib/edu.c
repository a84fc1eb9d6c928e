// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU's edu device, which does DMA when it is asked to: see lib.h.
 */
#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/pci_regs.h>
#include <sys/stat.h>

#include "lib.h"

#define EDU_ID		0x010000ed
#define EDU_REG_ID	0x00
#define EDU_REG_SRC	0x80
#define EDU_REG_DST	0x88
#define EDU_REG_COUNT	0x90
#define EDU_REG_CMD	0x98
#define EDU_CMD_START	1
#define EDU_CMD_TO_RAM	2
#define EDU_BUF		0x40000

/* Memory decoding on, bus mastering @on, through a file of config space. */
static int dev_master(int fd, u64 config, bool on)
{
	u16 cmd;

	if (pread(fd, &cmd, 2, config + PCI_COMMAND) != 2)
		return -EIO;
	cmd = le16toh(cmd) & ~PCI_COMMAND_MASTER;
	cmd = htole16(cmd | PCI_COMMAND_MEMORY | (on ? PCI_COMMAND_MASTER : 0));
	return pwrite(fd, &cmd, 2, config + PCI_COMMAND) == 2 ? 0 : -EIO;
}

static int dev_master_sysfs(struct tce_dev *dev, bool on)
{
	char path[512];
	int fd, ret;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/config", dev->bdf);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = dev_master(fd, 0, on);
	close(fd);
	return ret;
}

static int dev_map(struct tce_dev *dev, int fd, u64 offset, size_t size)
{
	void *bar = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			 offset);

	if (bar == MAP_FAILED)
		return -errno;
	dev->bar0 = bar;
	dev->bar0_size = size;
	return edu_id(dev) == EDU_ID ? 0 : -ENXIO;
}

int tce_dev_open_vfio(struct tce_dev *dev)
{
	struct vfio_region_info region = { .argsz = sizeof(region) };
	int fd, ret;

	fd = tce_ioctl(dev->group, VFIO_GROUP_GET_DEVICE_FD, dev->bdf);
	if (fd < 0)
		return fd;
	dev->device = fd;
	if (!dev->edu)
		return 0;

	region.index = VFIO_PCI_CONFIG_REGION_INDEX;
	ret = tce_ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &region);
	if (!ret)
		ret = dev_master(fd, region.offset, true);
	if (!ret) {
		memset(&region, 0, sizeof(region));
		region.argsz = sizeof(region);
		region.index = VFIO_PCI_BAR0_REGION_INDEX;
		ret = tce_ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &region);
	}
	if (!ret)
		ret = dev_map(dev, fd, region.offset, region.size);
	if (ret)
		tce_dev_close(dev);
	return ret;
}

int tce_dev_open(struct tce_dev *dev)
{
	struct stat st;
	char path[512];
	int fd, ret;

	if (!dev->edu)
		return -ENODEV;

	ret = dev_master_sysfs(dev, true);
	if (ret)
		return ret;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/resource0", dev->bdf);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = fstat(fd, &st) ? -errno : dev_map(dev, fd, 0, st.st_size);
	close(fd);
	if (ret)
		tce_dev_close(dev);
	return ret;
}

bool tce_can_dma(struct tce_dev *dev)
{
	return dev->edu && (dev->bar0 || !tce_dev_open(dev));
}

void tce_dev_close(struct tce_dev *dev)
{
	if (dev->bar0) {
		munmap(dev->bar0, dev->bar0_size);
		if (dev->device < 0)
			dev_master_sysfs(dev, false);
	}
	dev->bar0 = NULL;
	if (dev->device >= 0)
		close(dev->device);
	dev->device = -1;
}

/*
 * The device is of its target's endianness, which QEMU takes to be big for
 * ppc64 whatever the guest runs in.
 */
static u32 edu_readl(struct tce_dev *dev, unsigned int reg)
{
	return be32toh(__atomic_load_n((u32 *)(dev->bar0 + reg),
				       __ATOMIC_SEQ_CST));
}

static u64 edu_readq(struct tce_dev *dev, unsigned int reg)
{
	return be64toh(__atomic_load_n((u64 *)(dev->bar0 + reg),
				       __ATOMIC_SEQ_CST));
}

static void edu_writeq(struct tce_dev *dev, unsigned int reg, u64 val)
{
	__atomic_store_n((u64 *)(dev->bar0 + reg), htobe64(val),
			 __ATOMIC_SEQ_CST);
}

u32 edu_id(struct tce_dev *dev)
{
	return edu_readl(dev, EDU_REG_ID);
}

int edu_start(struct tce_dev *dev, bool to_ram, u64 iova, u32 off,
	      u32 len)
{
	/* QEMU ends itself when a transfer reaches the end of the buffer. */
	if (!len || off >= EDU_BUF_SIZE || len >= EDU_BUF_SIZE - off)
		return -EINVAL;
	if (!dev->bar0)
		return -ENODEV;

	edu_writeq(dev, EDU_REG_SRC, to_ram ? EDU_BUF + off : iova);
	edu_writeq(dev, EDU_REG_DST, to_ram ? iova : EDU_BUF + off);
	edu_writeq(dev, EDU_REG_COUNT, len);
	edu_writeq(dev, EDU_REG_CMD,
		   EDU_CMD_START | (to_ram ? EDU_CMD_TO_RAM : 0));
	return 0;
}

int edu_wait(struct tce_dev *dev)
{
	struct timespec ms = { .tv_nsec = 2000000 };
	u64 cmd;
	int i;

	for (i = 0; i < 5000; i++) {
		cmd = edu_readq(dev, EDU_REG_CMD);
		if (cmd == ~0ULL)
			return -EIO;	/* frozen */
		if (!(cmd & EDU_CMD_START)) {
			__sync_synchronize();
			return 0;
		}
		nanosleep(&ms, NULL);
	}
	return -ETIMEDOUT;
}

int edu_read_ram(struct tce_dev *dev, u64 iova, u32 off, u32 len)
{
	int ret = edu_start(dev, false, iova, off, len);

	return ret ?: edu_wait(dev);
}

int edu_write_ram(struct tce_dev *dev, u64 iova, u32 off, u32 len)
{
	int ret = edu_start(dev, true, iova, off, len);

	return ret ?: edu_wait(dev);
}

int edu_copy(struct tce_dev *dev, u64 src, u64 dst, u32 len)
{
	int ret = edu_read_ram(dev, src, 0, len);

	return ret ?: edu_write_ram(dev, dst, 0, len);
}

int edu_recover(struct tce_dev *dev, int container)
{
	int state = tce_eeh(container, VFIO_EEH_PE_GET_STATE);

	if (state > 0 && state != VFIO_EEH_PE_STATE_NORMAL) {
		tce_eeh(container, VFIO_EEH_PE_RESET_HOT);
		tce_eeh(container, VFIO_EEH_PE_RESET_DEACTIVATE);
		tce_eeh(container, VFIO_EEH_PE_CONFIGURE);
	}
	return edu_id(dev) == EDU_ID ? 0 : -EIO;
}
