/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the examples need besides the interface that they show: a device, a
 * driver for it, and a line of KTAP for each step.
 *
 * The driver is for QEMU's "edu" device, which copies memory when it is told
 * to. With another device the examples do all but DMA.
 */
#ifndef SPAPR_TCE_EXAMPLE_H
#define SPAPR_TCE_EXAMPLE_H

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define EDU_SRC		0x80
#define EDU_DST		0x88
#define EDU_COUNT	0x90
#define EDU_CMD		0x98
#define EDU_START	1
#define EDU_TO_RAM	2
#define EDU_BUF		0x40000
#define EDU_MAX		4088	/* must be less than its buffer */

#define PCI_DEVICES	"/sys/bus/pci/devices"

static int steps_done;

/* A step that failed ends the program: the kernel gives all of it back. */
static inline void step(const char *what, int ret)
{
	if (ret < 0)
		printf("# why: %s\n", strerror(errno));
	printf("%sok %d %s\n", ret < 0 ? "not " : "", ++steps_done, what);
	fflush(stdout);
	if (ret < 0)
		exit(1);
}

static inline void skip(const char *what, const char *why)
{
	printf("ok %d %s # SKIP %s\n", ++steps_done, what, why);
}

static inline void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		printf("# %s: %s\n", path, strerror(errno));
	close(fd);
}

static inline long pci_number(const char *bdf, const char *name)
{
	char path[300], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", bdf, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(fd);
	return strtol(text, NULL, 0);
}

static inline bool is_edu(const char *bdf)
{
	return pci_number(bdf, "vendor") == 0x1234 &&
	       pci_number(bdf, "device") == 0x11e8;
}

/* What an administrator does with driverctl or a rule of udev */
static inline void bind_to_vfio(const char *bdf)
{
	char path[300];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver_override", bdf);
	write_file(path, "vfio-pci");
	write_file("/sys/bus/pci/drivers_probe", bdf);
}

/*
 * The address of the device: that of the command line or of VFIO_DEVICE in the
 * environment, which is bound to vfio-pci; else the first edu device.
 */
static inline const char *pick_device(int argc, char **argv, int steps)
{
	const char *name = argc > 1 ? argv[1] : getenv("VFIO_DEVICE");
	static char bdf[16];
	struct dirent *de;
	DIR *dir = NULL;

	puts("TAP version 13");
	if (name)
		snprintf(bdf, sizeof(bdf), "%.*s", (int)strcspn(name, ","), name);
	else
		dir = opendir(PCI_DEVICES);
	while (dir && (de = readdir(dir)))
		if (de->d_name[0] != '.' && is_edu(de->d_name) &&
		    (!bdf[0] || strcmp(de->d_name, bdf) < 0))
			snprintf(bdf, sizeof(bdf), "%.15s", de->d_name);
	if (dir)
		closedir(dir);
	if (!bdf[0]) {
		puts("1..0 # SKIP no device: name one that is bound to vfio-pci");
		exit(4);
	}
	if (!name)
		bind_to_vfio(bdf);
	printf("1..%d\n# device %s\n", steps, bdf);
	return bdf;
}

/* Memory decoding on, bus mastering as said */
static inline int device_master(int device, bool on)
{
	struct vfio_region_info config = {
		.argsz = sizeof(config),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	uint16_t cmd;

	if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &config) ||
	    pread(device, &cmd, 2, config.offset + PCI_COMMAND) != 2)
		return -1;
	cmd = le16toh(cmd) & ~PCI_COMMAND_MASTER;
	cmd = htole16(cmd | PCI_COMMAND_MEMORY | (on ? PCI_COMMAND_MASTER : 0));
	return pwrite(device, &cmd, 2, config.offset + PCI_COMMAND) == 2 ? 0 : -1;
}

/* The registers of BAR 0 */
static inline void *device_registers(int device)
{
	struct vfio_region_info bar = {
		.argsz = sizeof(bar),
		.index = VFIO_PCI_BAR0_REGION_INDEX,
	};
	void *regs;

	if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &bar))
		return NULL;
	regs = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, device,
		    bar.offset);
	return regs == MAP_FAILED ? NULL : regs;
}

static inline uint64_t edu_read(void *regs, unsigned int reg)
{
	return be64toh(__atomic_load_n((uint64_t *)(regs + reg),
				       __ATOMIC_SEQ_CST));
}

static inline void edu_write(void *regs, unsigned int reg, uint64_t value)
{
	__atomic_store_n((uint64_t *)(regs + reg), htobe64(value),
			 __ATOMIC_SEQ_CST);
}

static inline int edu_transfer(void *regs, uint64_t src, uint64_t dst,
			       uint64_t len, uint64_t cmd)
{
	uint64_t busy;
	int ms;

	edu_write(regs, EDU_SRC, src);
	edu_write(regs, EDU_DST, dst);
	edu_write(regs, EDU_COUNT, len);
	edu_write(regs, EDU_CMD, cmd | EDU_START);
	for (ms = 0; ms < 10000; ms += 10) {
		busy = edu_read(regs, EDU_CMD);
		if (busy == ~0ULL)
			break;		/* the PE is frozen: see EEH */
		if (!(busy & EDU_START)) {
			__sync_synchronize();
			return 0;
		}
		usleep(10000);
	}
	errno = EIO;
	return -1;
}

/* The device copies @len bytes from one PCI address to another */
static inline int device_copy(void *regs, uint64_t from, uint64_t to,
			      uint64_t len)
{
	if (edu_transfer(regs, from, EDU_BUF, len, 0))
		return -1;
	return edu_transfer(regs, EDU_BUF, to, len, EDU_TO_RAM);
}

/* It copies the first half of @size bytes at @iova, which are @buf, to the second */
static inline int device_check(int device, void *regs, uint64_t iova,
			       uint8_t *buf, uint64_t size, uint8_t value)
{
	memset(buf, value, EDU_MAX);
	if (device_master(device, true) ||
	    device_copy(regs, iova, iova + size / 2, EDU_MAX))
		return -1;
	errno = EIO;
	return memcmp(buf, buf + size / 2, EDU_MAX) ? -1 : 0;
}

#endif /* SPAPR_TCE_EXAMPLE_H */
