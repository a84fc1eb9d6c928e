// SPDX-License-Identifier: GPL-2.0
/*
 * Shared helpers of the SPAPR TCE VFIO selftests: see lib.h.
 */
#include <dirent.h>
#include <endian.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/pci_regs.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib.h"

#define EDU_ID		0x010000ed
#define PCI_DEVICES	"/sys/bus/pci/devices"
#define TRACING		"/sys/kernel/tracing"
#define TABLES_FILE	"/sys/kernel/debug/spapr_tce/tables"

/* ---- small files -------------------------------------------------------- */

static int file_read(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		return -errno;
	buf[n] = 0;
	return 0;
}

int sys_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;
	int ret = 0;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	if (n < 0)
		ret = -errno;
	close(fd);
	return ret;
}

static unsigned long dev_attr(const char *bdf, const char *name)
{
	char path[512], buf[32];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", bdf, name);
	return file_read(path, buf, sizeof(buf)) ? 0 : strtoul(buf, NULL, 0);
}

/* ---- devices, groups, containers --------------------------------------- */

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

/* ---- requests ----------------------------------------------------------- */

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

int tce_enable(int c)
{
	return tce_ioctl(c, VFIO_IOMMU_ENABLE, NULL);
}

int tce_disable(int c)
{
	return tce_ioctl(c, VFIO_IOMMU_DISABLE, NULL);
}

int tce_register(int c, const void *va, u64 size)
{
	struct vfio_iommu_spapr_register_memory reg = {
		.argsz = sizeof(reg),
		.vaddr = (uintptr_t)va,
		.size = size,
	};

	return tce_ioctl(c, VFIO_IOMMU_SPAPR_REGISTER_MEMORY, &reg);
}

int tce_unregister(int c, const void *va, u64 size)
{
	struct vfio_iommu_spapr_register_memory reg = {
		.argsz = sizeof(reg),
		.vaddr = (uintptr_t)va,
		.size = size,
	};

	return tce_ioctl(c, VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, &reg);
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

/* ---- the edu device ----------------------------------------------------- */

#define EDU_REG_ID	0x00
#define EDU_REG_SRC	0x80
#define EDU_REG_DST	0x88
#define EDU_REG_COUNT	0x90
#define EDU_REG_CMD	0x98
#define EDU_CMD_START	1
#define EDU_CMD_TO_RAM	2
#define EDU_BUF		0x40000

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

/* ---- memory ------------------------------------------------------------- */

void *mem_alloc(size_t size, size_t align, unsigned int flags)
{
	size_t page = sys_page_size();
	int prot = PROT_READ | (flags & MEM_RDONLY ? 0 : PROT_WRITE);
	int mflags = flags & MEM_SHARED ? MAP_SHARED : MAP_PRIVATE;
	uintptr_t base, start;
	unsigned int shift;
	void *va;

	if (flags & MEM_HUGETLB(0)) {
		shift = flags >> 8;
		page = (size_t)1 << shift;
		size = (size + page - 1) & ~(page - 1);
		va = mmap(NULL, size, prot,
			  mflags | MAP_ANONYMOUS | MAP_HUGETLB |
			  (shift << MAP_HUGE_SHIFT), -1, 0);
		if (va == MAP_FAILED)
			return NULL;
		if (flags & MEM_POPULATE)
			memset(va, 0, size);
		return va;
	}

	size = (size + page - 1) & ~(page - 1);
	if (align < page)
		align = page;
	/* Reserve more than enough, then lay the memory on the aligned part. */
	va = mmap(NULL, size + align, PROT_NONE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (va == MAP_FAILED)
		return NULL;
	base = (uintptr_t)va;
	start = (base + align - 1) & ~((uintptr_t)align - 1);
	if (start > base)
		munmap(va, start - base);
	munmap((void *)(start + size), base + align - start);

	va = mmap((void *)start, size, prot,
		  mflags | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (va == MAP_FAILED) {
		munmap((void *)start, size);
		return NULL;
	}
	madvise(va, size, flags & MEM_THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	if (flags & MEM_POPULATE) {
		char *p = va;
		size_t i;

		for (i = 0; i < size; i += page)
			if (flags & MEM_RDONLY)
				__atomic_load_n(p + i, __ATOMIC_RELAXED);
			else
				__atomic_store_n(p + i, 0, __ATOMIC_RELAXED);
	}
	return va;
}

void mem_free(void *va, size_t size)
{
	size_t page = sys_page_size();

	if (va)
		munmap(va, (size + page - 1) & ~(page - 1));
}

/* Is the kernel's memory map virtually contiguous? */
static bool sys_vmemmap(void)
{
	char line[512];
	bool found = false;
	FILE *f = fopen("/proc/kallsyms", "re");

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, " vmemmap_populate\n");
	if (f)
		fclose(f);

	return found;
}

long mem_hugetlb_reserve(unsigned int shift, long count)
{
	char path[512], buf[32];

	snprintf(path, sizeof(path),
		 "/sys/kernel/mm/hugepages/hugepages-%llukB/nr_hugepages",
		 (1ULL << shift) >> 10);
	snprintf(buf, sizeof(buf), "%ld", count);
	/*
	 * Without SPARSEMEM_VMEMMAP, which distributions have, gigantic pages can
	 * only be used when the machine was booted with some: to make them at run
	 * time crashes 6.12 on pseries (alloc_contig_range).
	 */
	if (shift < 30 || sys_vmemmap())
		sys_write_file(path, buf);
	return file_read(path, buf, sizeof(buf)) ? 0 : atol(buf);
}

/* Bytes of [@va, @va + @size) in transparent huge pages. */
static size_t mem_thp_bytes(void *va, size_t size)
{
	unsigned long start = 0, end = 0, kb;
	bool inside = false;
	size_t sum = 0;
	char line[512];
	FILE *f = fopen("/proc/self/smaps", "r");

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start < (uintptr_t)va + size &&
				 end > (uintptr_t)va;
		else if (inside &&
			 sscanf(line, "AnonHugePages: %lu kB", &kb) == 1)
			sum += kb << 10;
	}
	fclose(f);
	return sum;
}

void *mem_huge(size_t *size, unsigned int shift, unsigned int *pool)
{
	const unsigned int shifts[4] = { 21, 24, 30, 34 };
	unsigned int i;
	size_t page, len;
	char buf[32];
	void *va;

	*pool = 0;
	for (i = 0; i < 4; i++) {
		page = (size_t)1 << shifts[i];
		len = (*size + page - 1) & ~(page - 1);
		if (shifts[i] < shift || len > SZ_1G)
			continue;
		if (mem_hugetlb_reserve(shifts[i], len >> shifts[i]) <
		    (long)(len >> shifts[i])) {
			mem_hugetlb_reserve(shifts[i], 0);
			continue;
		}
		va = mem_alloc(len, 0, MEM_HUGETLB(shifts[i]) | MEM_POPULATE);
		if (va) {
			*pool = shifts[i];
			*size = len;
			return va;
		}
		mem_hugetlb_reserve(shifts[i], 0);
	}

	if (file_read("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", buf,
		      sizeof(buf)))
		return NULL;
	page = atol(buf);
	if (page < (size_t)1 << shift)
		return NULL;
	len = (*size + page - 1) & ~(page - 1);
	va = mem_alloc(len, page, MEM_THP | MEM_POPULATE);
	if (va && mem_thp_bytes(va, len) < len) {
		mem_free(va, len);
		va = NULL;
	}
	*size = len;
	return va;
}

void mem_huge_free(void *va, size_t size, unsigned int pool)
{
	if (va)
		munmap(va, size);
	if (pool)
		mem_hugetlb_reserve(pool, 0);
}

u64 mem_phys(const void *va)
{
	size_t page = sys_page_size();
	u64 entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (pread(fd, &entry, 8, (uintptr_t)va / page * 8) != 8)
		entry = 0;
	close(fd);
	if (!(entry & BIT_ULL(63)))
		return 0;
	return (entry & (BIT_ULL(55) - 1)) * page + (uintptr_t)va % page;
}

static u64 mem_word(u32 seed, size_t i)
{
	return ((u64)seed << 32 | 0x5a5a0001) * 0x9e3779b97f4a7c15ULL +
		i * 0xd1342543de82ef95ULL;
}

void mem_fill(void *va, size_t size, u32 seed)
{
	u64 *p = va;
	size_t i;

	for (i = 0; i < size / 8; i++)
		p[i] = mem_word(seed, i);
}

bool mem_check(const void *va, size_t size, u32 seed)
{
	const u64 *p = va;
	size_t i;

	for (i = 0; i < size / 8; i++)
		if (p[i] != mem_word(seed, i))
			return false;
	return true;
}

/* ---- what the kernel says ----------------------------------------------- */

size_t sys_page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

u32 sys_tce_shift(void)
{
	return sys_page_size() < SZ_64K ? 12 : 16;
}

static bool cpuinfo_has(const char *text)
{
	char line[256];
	bool found = false;
	FILE *f = fopen("/proc/cpuinfo", "r");

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = strstr(line, text);
	fclose(f);
	return found;
}

bool sys_powernv(void)
{
	return cpuinfo_has("PowerNV");
}

bool sys_radix(void)
{
	return cpuinfo_has("Radix");
}

bool sys_power8(void)
{
	return cpuinfo_has("POWER8");
}

unsigned int sys_tce_bits(void)
{
	const char *bits = getenv("TCE_BITS");

	return bits ? atoi(bits) : 31;
}

u64 sys_vmlck_of(pid_t pid)
{
	unsigned long long kb = 0;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	if (!f)
		return ~0ULL;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmLck: %llu kB", &kb) == 1)
			break;
	fclose(f);
	return kb << 10;
}

u64 sys_vmlck(void)
{
	return sys_vmlck_of(getpid());
}

/*
 * Counters are kept per CPU and folded about once a second: reading this file
 * (root only) folds them now.
 */
static void vmstat_refresh(void)
{
	int fd = open("/proc/sys/vm/stat_refresh", O_RDONLY | O_CLOEXEC);
	char byte;

	if (fd < 0)
		return;
	while (read(fd, &byte, 1) > 0)
		;
	close(fd);
}

s64 sys_vmstat(const char *name)
{
	size_t len = strlen(name);
	char line[256];
	s64 val = -1;
	FILE *f;

	vmstat_refresh();
	f = fopen("/proc/vmstat", "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, name, len) && line[len] == ' ') {
			val = strtoll(line + len, NULL, 10);
			break;
		}
	}
	fclose(f);
	return val;
}

/*
 * Slab caches keep some slabs that are empty; these are free as well. Answers
 * how many bytes of objects are in use then, -1 if that cannot be known.
 */
static s64 shrink_level_caches(void)
{
	char path[64], text[32];
	unsigned int kib;
	s64 bytes = 0;
	int ret;

	for (kib = 4; kib <= 32; kib *= 2) {
		snprintf(path, sizeof(path), "/sys/kernel/slab/tce_level_%uk/shrink", kib);
		ret = sys_write_file(path, "1");
		if (ret == -ENOENT)
			continue;	/* a level is a page */
		snprintf(path, sizeof(path), "/sys/kernel/slab/tce_level_%uk/objects", kib);
		if (ret || file_read(path, text, sizeof(text)))
			bytes = -1;
		else if (bytes >= 0)
			bytes += strtoll(text, NULL, 10) * kib * 1024;
	}
	return bytes;
}

s64 sys_level_bytes(void)
{
	s64 bytes = shrink_level_caches();
	s64 pages = sys_vmstat("nr_iommu_pages");

	return bytes < 0 || pages < 0 ? -1 : bytes + pages * (s64)sys_page_size();
}

s64 sys_free_bytes(void)
{
	char line[256];
	s64 pages;
	int count;
	FILE *f;

	shrink_level_caches();
	pages = sys_vmstat("nr_free_pages");

	/* Pages on per-CPU lists are free as well. */
	f = fopen("/proc/zoneinfo", "r");
	if (f) {
		while (fgets(line, sizeof(line), f))
			if (sscanf(line, " count: %d", &count) == 1)
				pages += count;
		fclose(f);
	}
	return pages * (s64)sys_page_size();
}

unsigned int sys_slowness(void)
{
	return access("/sys/kernel/debug/kmemleak", F_OK) ? 1 : 20;
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
		if (file_read(name, text, sizeof(text)) ||
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

int sys_compact(void)
{
	return sys_write_file("/proc/sys/vm/compact_memory", "1");
}

static void on_alarm(int sig)
{
}

/* Pages that stay make the kernel try until it is interrupted. */
int sys_mem_block(int nr, bool online, unsigned int seconds)
{
	struct sigaction old, act = { .sa_handler = on_alarm };
	char path[64];
	int ret;

	snprintf(path, sizeof(path), "/sys/devices/system/memory/memory%d/state",
		 nr);
	sigaction(SIGALRM, &act, &old);
	alarm(seconds);
	ret = sys_write_file(path, online ? "online" : "offline");
	alarm(0);
	sigaction(SIGALRM, &old, NULL);
	return ret;
}

void sys_mem_online_all(void)
{
	struct dirent *de;
	int nr;
	DIR *d = opendir("/sys/devices/system/memory");

	while (d && (de = readdir(d)))
		if (sscanf(de->d_name, "memory%d", &nr) == 1)
			sys_mem_block(nr, true, 0);
	if (d)
		closedir(d);
}

int sys_klog_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd < 0 ? -errno : fd;
}

/* The next record of the kernel's own; false when there is none */
static bool klog_next(int fd, char *rec, size_t size)
{
	ssize_t n;

	for (;;) {
		n = read(fd, rec, size - 1);
		if (n < 0 && errno == EPIPE)
			continue;	/* records were overwritten */
		if (n <= 0)
			return false;
		rec[n] = 0;
		if (!(strtoul(rec, NULL, 10) >> 3))
			return true;
	}
}

bool sys_klog_warned(int fd)
{
	static const char * const bad[] = {
		"WARNING: ", "BUG: ", "Oops", "Call Trace",
		"page allocation failure", "vmalloc error", "Out of memory",
	};
	char rec[8192];
	bool warned = false;
	unsigned int i;

	while (klog_next(fd, rec, sizeof(rec)))
		for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
			warned |= !!strstr(rec, bad[i]);
	return warned;
}

int sys_klog_said(int fd, const char *text)
{
	char rec[8192];
	int times = 0;

	while (klog_next(fd, rec, sizeof(rec)))
		times += !!strstr(rec, text);
	return times;
}

int sys_trace(const char *event, bool on)
{
	char path[256];
	int fd;

	/* It is opening the file that clears the trace, not what is written */
	fd = open(TRACING "/trace", O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	snprintf(path, sizeof(path), TRACING "/events/%s/enable", event);
	return sys_write_file(path, on ? "1" : "0");
}

int sys_traced(const char *text)
{
	char line[512];
	int n = 0;
	FILE *f = fopen(TRACING "/trace", "r");

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		n += !!strstr(line, text);
	fclose(f);
	return n;
}

bool sys_slab_debug(void)
{
	int fd = open("/sys/kernel/slab/kmalloc-4k/red_zone", O_RDONLY);
	char on = '0';

	if (fd < 0)
		return false;
	if (read(fd, &on, 1) != 1)
		on = '0';
	close(fd);
	return on == '1';
}

s64 sys_pinned(void)
{
	s64 got = sys_vmstat("nr_foll_pin_acquired");
	s64 put = sys_vmstat("nr_foll_pin_released");

	return got < 0 || put < 0 ? -1 : got - put;
}

int tce_tables(struct tce_table_stat *st, int max)
{
	struct tce_table_stat t;
	char line[512];
	int n = 0;
	FILE *f = fopen(TABLES_FILE, "r");

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line,
			   "start=%llx page_shift=%u tces=%llu levels=%u level_shift=%u hw_bytes=%llu view_bytes=%llu charged_pages=%llu",
			   &t.start, &t.page_shift, &t.tces, &t.levels,
			   &t.level_shift, &t.hw_bytes, &t.view_bytes,
			   &t.charged_pages) != 8)
			continue;
		if (n < max)
			st[n] = t;
		n++;
	}
	fclose(f);
	return n;
}

/* ---- processes ---------------------------------------------------------- */

int run_child(int (*fn)(void *arg), void *arg)
{
	int pipes[2], status, ret = -ECHILD;
	pid_t pid;

	if (pipe(pipes))
		return -errno;
	pid = fork();
	if (pid < 0) {
		ret = -errno;
		close(pipes[0]);
		close(pipes[1]);
		return ret;
	}
	if (!pid) {
		close(pipes[0]);
		ret = fn(arg);
		if (write(pipes[1], &ret, sizeof(ret)) != sizeof(ret))
			_exit(1);
		_exit(0);
	}
	close(pipes[1]);
	if (read(pipes[0], &ret, sizeof(ret)) != sizeof(ret))
		ret = -ECHILD;
	close(pipes[0]);
	waitpid(pid, &status, 0);
	return ret;
}

void child_check(bool ok, const char *what, const char *file, int line)
{
	if (ok)
		return;
	printf("# %s:%d: in a child: not so: %s\n", file, line, what);
	fflush(stdout);
	_exit(1);
}

int drop_to_user(u64 memlock)
{
	struct rlimit rl = { .rlim_cur = memlock, .rlim_max = memlock };

	if (setrlimit(RLIMIT_MEMLOCK, &rl))
		return -errno;
	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		return -errno;
	return 0;
}

int send_fd(int sock, int fd)
{
	char ctl[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ctl,
		.msg_controllen = sizeof(ctl),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -errno;
}

int recv_fd(int sock)
{
	char ctl[CMSG_SPACE(sizeof(int))] = { 0 }, byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ctl,
		.msg_controllen = sizeof(ctl),
	};
	struct cmsghdr *c;
	int fd;

	if (recvmsg(sock, &msg, 0) != 1)
		return -EIO;
	c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_type != SCM_RIGHTS)
		return -EBADF;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

void tce_leak_start_quick(struct tce_leak *l)
{
	l->vmlck = sys_vmlck();
	l->pinned = sys_pinned();
	l->tables = tce_tables(NULL, 0);
	l->levels = -1;
}

void tce_leak_start(struct tce_leak *l)
{
	tce_leak_start_quick(l);
	l->levels = sys_level_bytes();
}

static const char *leak_now(const struct tce_leak *l)
{
	static char text[128];
	struct tce_leak now;

	tce_leak_start_quick(&now);
	if (l->levels >= 0)
		now.levels = sys_level_bytes();
	if (now.vmlck != l->vmlck)
		snprintf(text, sizeof(text),
			 "VmLck was %llu and is %llu",
			 l->vmlck, now.vmlck);
	else if (now.pinned != l->pinned && now.pinned >= 0)
		snprintf(text, sizeof(text),
			 "%lld pages were pinned and %lld are",
			 l->pinned, now.pinned);
	else if (now.tables != l->tables && now.tables >= 0)
		snprintf(text, sizeof(text), "%d tables were there, now %d",
			 l->tables, now.tables);
	else if (now.levels != l->levels && now.levels >= 0)
		snprintf(text, sizeof(text),
			 "levels of tables took %lld bytes and take %lld",
			 l->levels, now.levels);
	else
		return NULL;
	return text;
}

const char *tce_leak_check(const struct tce_leak *l)
{
	struct timespec ms = { .tv_nsec = 10000000 };
	const char *text;
	int i;

	/*
	 * The last reference of a table may be given back by a worker, and
	 * /proc/vmstat lags by some seconds for who may not refresh it.
	 */
	for (i = 0; i < 500; i++) {
		text = leak_now(l);
		if (!text)
			break;
		nanosleep(&ms, NULL);
	}
	return text;
}
