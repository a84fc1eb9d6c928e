// SPDX-License-Identifier: GPL-2.0
/*
 * What this kernel answers to the programs that are in use, and to single
 * requests: one line for each, "compat: NAME = ANSWER". It is for two kernels to
 * be compared: run on both, the lines that differ are what a program could
 * notice. Nothing is judged here, except that every sequence came to its end.
 *
 * The sequences are those of QEMU 2.7 to 10 (hw/vfio: container and groups, the
 * listener of registered memory, windows, maps, hot-unplug) and of DPDK 18.11 to
 * 24.11 (EAL: one window from 0 that grows, memory registered and mapped piece
 * by piece). What a program decides by an answer, it decides here as well.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"
#include "lib.h"

#define BUF_SIZE	SZ_1M

static struct tce_dev dev;
static struct vfio_iommu_spapr_tce_info info;
static void *buf;
static int c;
/* A page that any window can have, and that any memory can back */
static u32 shift;
static u64 page, base;
static const char *sequence;

/* Errors by name, addresses and counts as they are */
static long long answer(long long ret, const char *fmt, ...)
{
	char name[128];
	va_list args;

	va_start(args, fmt);
	vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);
	if (ret < 0 && ret > -4096)
		ksft_print_msg("compat: %s: %s = -%s\n", sequence, name,
			       strerrorname_np(-ret));
	else
		ksft_print_msg("compat: %s: %s = %#llx\n", sequence, name, ret);

	return ret;
}

static bool begin(const char *name, unsigned long type)
{
	sequence = name;
	c = tce_open(&dev, type);
	if (c < 0) {
		answer(c, "open");
		return false;
	}
	tce_get_info(c, &info);
	base = info.dma32_window_start;

	return true;
}

static void end(void)
{
	tce_close(&dev, c);
}

/* ---- requests with arguments that the library would not give --------------- */

static int map(u32 argsz, u32 flags, u64 vaddr, u64 iova, u64 size)
{
	struct vfio_iommu_type1_dma_map arg = {
		.argsz = argsz, .flags = flags, .vaddr = vaddr, .iova = iova,
		.size = size,
	};

	return tce_ioctl(c, VFIO_IOMMU_MAP_DMA, &arg);
}

static int unmap(u32 argsz, u32 flags, u64 iova, u64 size)
{
	struct vfio_iommu_type1_dma_unmap arg = {
		.argsz = argsz, .flags = flags, .iova = iova, .size = size,
	};

	return tce_ioctl(c, VFIO_IOMMU_UNMAP_DMA, &arg);
}

static int memory(unsigned long req, u32 argsz, u32 flags, u64 vaddr, u64 size)
{
	struct vfio_iommu_spapr_register_memory arg = {
		.argsz = argsz, .flags = flags, .vaddr = vaddr, .size = size,
	};

	return tce_ioctl(c, req, &arg);
}

static long long create(u32 argsz, u32 flags, u32 page_shift, u64 size, u32 levels)
{
	struct vfio_iommu_spapr_tce_create arg = {
		.argsz = argsz, .flags = flags, .page_shift = page_shift,
		.window_size = size, .levels = levels,
	};
	int ret = tce_ioctl(c, VFIO_IOMMU_SPAPR_TCE_CREATE, &arg);

	return ret ? ret : (long long)arg.start_addr;
}

static int remove_window(u32 argsz, u32 flags, u64 start)
{
	struct vfio_iommu_spapr_tce_remove arg = {
		.argsz = argsz, .flags = flags, .start_addr = start,
	};

	return tce_ioctl(c, VFIO_IOMMU_SPAPR_TCE_REMOVE, &arg);
}

static int eeh(u32 argsz, u32 flags, u32 op)
{
	struct vfio_eeh_pe_op arg = { .argsz = argsz, .flags = flags, .op = op };

	return tce_ioctl(c, VFIO_EEH_PE_OP, &arg);
}

#define SZ_MAP		sizeof(struct vfio_iommu_type1_dma_map)
#define SZ_UNMAP	sizeof(struct vfio_iommu_type1_dma_unmap)
#define SZ_REGISTER	sizeof(struct vfio_iommu_spapr_register_memory)
#define SZ_CREATE	sizeof(struct vfio_iommu_spapr_tce_create)
#define SZ_REMOVE	sizeof(struct vfio_iommu_spapr_tce_remove)
#define REGISTER	VFIO_IOMMU_SPAPR_REGISTER_MEMORY
#define UNREGISTER	VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY
#define VA		((u64)(uintptr_t)buf)

/* ---- programs -------------------------------------------------------------- */

/* The container is opened anew by each; levels is how the program counts them */
static void qemu_open(void)
{
	unsigned long ext;

	c = tce_container();
	answer(tce_ioctl(c, VFIO_GET_API_VERSION, NULL), "api version");
	answer(tce_group_open(&dev), "group");
	for (ext = VFIO_TYPE1_IOMMU; ext <= VFIO_NOIOMMU_IOMMU + 4; ext++)
		answer(tce_check_extension(c, ext), "extension %lu", ext);
	answer(tce_group_set(&dev, c), "set container");
	for (ext = VFIO_TYPE1_IOMMU; ext <= VFIO_NOIOMMU_IOMMU + 4; ext++)
		answer(tce_check_extension(c, ext), "extension %lu with a group", ext);
}

static void say_info(void)
{
	int ret = tce_get_info(c, &info);

	answer(ret, "info");
	answer(info.flags, "info: flags");
	answer(info.dma32_window_start, "info: window");
	answer(info.dma32_window_size, "info: window size");
	answer(info.ddw.pgsizes, "info: page sizes");
	answer(info.ddw.max_dynamic_windows_supported, "info: windows");
	answer(info.ddw.levels, "info: levels");
	base = info.dma32_window_start;
}

/* QEMU up to 2.6, and later ones where v2 is refused */
static void qemu_v1(void)
{
	sequence = "qemu v1";
	qemu_open();
	answer(tce_set_iommu(c, TCE_V1), "set iommu");
	answer(tce_enable(c), "enable");
	say_info();
	answer(tce_map(c, base, buf, page, DMA_RW), "map");
	answer(tce_map(c, base, buf, page, DMA_RW), "map over it");
	answer(tce_map(c, base + page, buf, page, DMA_R), "map, read");
	answer(tce_unmap(c, base, page), "unmap");
	answer(tce_unmap(c, base, info.dma32_window_size), "unmap the window");
	answer(tce_disable(c), "disable");
	answer(tce_group_unset(&dev), "unset container");
	end();
}

/* How many levels QEMU asks for first: from 2.7 on, and from 4.0 on */
static u32 qemu_levels(u64 size, u32 page_shift, bool old)
{
	u64 bytes = (size >> page_shift) * 8, pages = bytes / sys_page_size();
	u32 bits = 0, per_level = __builtin_ctzl(sys_page_size()) + 8;

	if (old) {
		while (1ULL << bits < pages)
			bits++;
		return (bits ? bits - 1 : 0) / 6 + 1;
	}
	bits = 63 - __builtin_clzll(size >> page_shift) + 3;

	return (bits + per_level - 1) / per_level;
}

static long long qemu_create(u32 page_shift, u64 size, bool old)
{
	u32 levels = qemu_levels(size, page_shift, old);
	u32 max = old ? levels : (64 - page_shift) / __builtin_ctzl(sys_page_size());
	long long ret;

	do {
		ret = create(SZ_CREATE, 0, page_shift, size, levels);
		answer(ret, "create, pages of 1 << %u, %#llx bytes, %u levels",
		       page_shift, size, levels);
	} while (ret < 0 && ret > -4096 && ++levels <= max);

	return ret;
}

static void qemu_v2(bool old)
{
	long long start;

	sequence = old ? "qemu 2.7" : "qemu 4.0";
	qemu_open();
	answer(tce_set_iommu(c, TCE_V2), "set iommu");
	answer(tce_register(c, buf, BUF_SIZE / 2), "register");
	say_info();
	answer(tce_remove(c, base), "remove the default window");
	start = qemu_create(shift, SZ_1G, old);
	if (start < 0 && start > -4096)
		start = qemu_create(12, SZ_1G, old);
	answer(tce_register(c, buf + BUF_SIZE / 2, BUF_SIZE / 2), "register more");
	answer(tce_map(c, start, buf, page, DMA_RW), "map");
	answer(tce_map(c, start, buf, page, DMA_RW), "map over it");
	answer(tce_map(c, start + page, buf + BUF_SIZE / 2, page, DMA_R), "map, read");
	answer(tce_unmap(c, start + page, page), "unmap");
	answer(tce_unmap(c, start + page, page), "unmap again");
	/* A guest that makes a window of its own */
	start = qemu_create(shift, 1ULL << (shift + 18), old);
	if (start >= 0 || start < -4095) {
		answer(tce_map(c, start, buf, page, DMA_RW), "map in the second");
		answer(tce_remove(c, start), "remove the second");
	}
	/* A guest that resets, and ends */
	answer(tce_unmap(c, base, SZ_1G), "unmap the window");
	answer(tce_remove(c, base), "remove the first");
	answer(tce_unregister(c, buf + BUF_SIZE / 2, BUF_SIZE / 2), "unregister more");
	answer(tce_unregister(c, buf, BUF_SIZE / 2), "unregister");
	answer(tce_group_unset(&dev), "unset container");
	end();
}

/* One window from 0; where it cannot be made, with more levels */
static long long dpdk_window(u64 size, bool retry)
{
	u32 levels = 1;
	long long ret;

	do {
		ret = create(SZ_CREATE, 0, shift, size, levels);
		answer(ret, "create, %#llx bytes, %u levels", size, levels);
	} while (retry && ret < 0 && ret > -4096 && ++levels <= info.ddw.levels);

	return ret;
}

static void run_dpdk(bool old)
{
	long long start;

	sequence = old ? "dpdk 18.11" : "dpdk 20.11";
	qemu_open();
	answer(tce_set_iommu(c, VFIO_TYPE1_IOMMU), "set iommu, type 1");
	answer(tce_set_iommu(c, TCE_V2), "set iommu");
	say_info();
	answer(tce_remove(c, base), "remove the default window");
	start = dpdk_window(old ? SZ_16M : SZ_256M, !old);
	answer(tce_register(c, buf, BUF_SIZE / 2), "register");
	answer(tce_map(c, start, buf, BUF_SIZE / 2, DMA_RW), "map");
	if (old) {
		/* More memory: the window is made again, and larger */
		answer(tce_unmap(c, start, BUF_SIZE / 2), "unmap");
		answer(tce_remove(c, start), "remove");
		start = dpdk_window(SZ_256M, true);
		answer(tce_map(c, start, buf, BUF_SIZE / 2, DMA_RW), "map again");
	}
	answer(tce_register(c, buf + BUF_SIZE / 2, BUF_SIZE / 2), "register more");
	answer(tce_map(c, start + BUF_SIZE / 2, buf + BUF_SIZE / 2, BUF_SIZE / 2, DMA_RW),
	       "map more");
	if (old)
		answer(tce_unregister(c, buf, BUF_SIZE / 2), "unregister what is mapped");
	answer(tce_unmap(c, start, BUF_SIZE / 2), "unmap");
	answer(tce_unregister(c, buf, BUF_SIZE / 2), "unregister");
	/* It ends without more ado */
	end();
}

/* ---- single requests -------------------------------------------------------- */

static void no_iommu(void)
{
	unsigned long type;

	sequence = "no iommu";
	c = tce_container();
	answer(tce_set_iommu(c, TCE_V2), "set iommu without a group");
	answer(tce_get_info(c, &info), "info without a group");
	answer(tce_map(c, 0, buf, page, DMA_RW), "map without a group");
	tce_group_open(&dev);
	answer(tce_group_unset(&dev), "unset what is not set");
	tce_group_set(&dev, c);
	answer(tce_group_set(&dev, c), "set twice");
	for (type = 0; type <= VFIO_NOIOMMU_IOMMU + 4; type++)
		if (type != TCE_V1 && type != TCE_V2)
			answer(tce_set_iommu(c, type), "set iommu %lu", type);
	answer(tce_set_iommu(c, TCE_V2), "set iommu");
	answer(tce_set_iommu(c, TCE_V1), "set iommu v1 then");
	answer(tce_set_iommu(c, TCE_V2), "set iommu twice");
	answer(tce_ioctl(c, VFIO_IOMMU_GET_INFO, &info), "info of type 1");
	answer(tce_ioctl(c, _IO(VFIO_TYPE, VFIO_BASE + 99), NULL), "unknown request");
	info.argsz = 8;
	answer(tce_ioctl(c, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info), "info, 8 bytes");
	answer(tce_ioctl(c, VFIO_IOMMU_SPAPR_TCE_GET_INFO, NULL), "info, nowhere");
	end();
}

/* With something to map: bad arguments of both versions' maps and unmaps */
static void bad_maps(void)
{
	u64 last = base + info.dma32_window_size;
	void *ro = mem_alloc(SZ_64K, SZ_64K, MEM_RDONLY);

	answer(map(8, DMA_RW, VA, base, page), "map, argsz");
	answer(map(SZ_MAP, 0, VA, base, page), "map, no direction");
	answer(map(SZ_MAP, DMA_RW | 8, VA, base, page), "map, unknown flag");
	answer(map(SZ_MAP, DMA_RW, VA, base + 1, page), "map, iova");
	answer(map(SZ_MAP, DMA_RW, VA + 1, base, page), "map, vaddr");
	answer(map(SZ_MAP, DMA_RW, VA, base, page + 1), "map, size");
	answer(map(SZ_MAP, DMA_RW, VA, base, 512), "map, small size");
	answer(map(SZ_MAP, DMA_RW, VA, -page, 2 * page), "map, iova wraps");
	answer(map(SZ_MAP, DMA_RW, VA, last, page), "map behind the window");
	answer(map(SZ_MAP, DMA_RW, VA, 1ULL << 58, page), "map far from any window");
	answer(map(SZ_MAP, DMA_R, VA, base, page), "map, read");
	answer(map(SZ_MAP, DMA_W, VA, base, page), "map over it, write");
	answer(map(SZ_MAP, DMA_RW, VA, base, BUF_SIZE), "map all");
	answer(unmap(8, 0, base, page), "unmap, argsz");
	answer(unmap(SZ_UNMAP, 1, base, page), "unmap, flag");
	answer(unmap(SZ_UNMAP, 0, base + 1, page), "unmap, iova");
	answer(unmap(SZ_UNMAP, 0, base, page + 1), "unmap, size");
	answer(unmap(SZ_UNMAP, 0, -page, 2 * page), "unmap, wraps");
	answer(unmap(SZ_UNMAP, 0, last, page), "unmap behind the window");
	answer(unmap(SZ_UNMAP, 0, last - page, 2 * page), "unmap over the end");
	answer(unmap(SZ_UNMAP, 0, base + BUF_SIZE, page), "unmap what is not mapped");
	answer(unmap(SZ_UNMAP, 0, base, 2 * BUF_SIZE), "unmap more than is mapped");
	answer(tce_ioctl(c, VFIO_IOMMU_MAP_DMA, NULL), "map, from nowhere");
	answer(tce_ioctl(c, VFIO_IOMMU_UNMAP_DMA, NULL), "unmap, from nowhere");
	/*
	 * Without this series a request that changed no TCE invalidates 2^64 of
	 * them on POWER8, and never answers.
	 */
	if (!sys_power8()) {
		answer(map(SZ_MAP, DMA_RW, -page, base, 2 * page), "map, vaddr wraps");
		answer(map(SZ_MAP, DMA_RW, 0, base, page), "map address 0");
		answer(map(SZ_MAP, DMA_RW, (uintptr_t)ro, base, page),
		       "map read-only memory");
		answer(map(SZ_MAP, DMA_RW, VA, base, 0), "map nothing");
		answer(unmap(SZ_UNMAP, 0, base, 0), "unmap nothing");
	}
	mem_free(ro, SZ_64K);
}

static void bad_eeh(void)
{
	u32 op;

	answer(eeh(4, 0, VFIO_EEH_PE_GET_STATE), "eeh, argsz");
	answer(eeh(sizeof(struct vfio_eeh_pe_op), 1, VFIO_EEH_PE_GET_STATE), "eeh, flag");
	for (op = VFIO_EEH_PE_DISABLE; op <= VFIO_EEH_PE_GET_STATE; op++)
		answer(eeh(sizeof(struct vfio_eeh_pe_op), 0, op), "eeh %u", op);
	answer(eeh(sizeof(struct vfio_eeh_pe_op), 0, 77), "eeh 77");
}

/* All that another process may try with the container */
static int other_process(void *arg)
{
	(void)arg;
	answer(tce_get_info(c, &info), "child: info");
	answer(tce_check_extension(c, TCE_V2), "child: extension");
	answer(tce_map(c, base, buf, page, DMA_RW), "child: map");
	answer(tce_unmap(c, base, page), "child: unmap");
	answer(tce_enable(c), "child: enable");
	answer(tce_disable(c), "child: disable");
	answer(tce_register(c, buf, BUF_SIZE), "child: register");
	answer(tce_unregister(c, buf, BUF_SIZE), "child: unregister");
	answer(create(SZ_CREATE, 0, shift, SZ_16M, 1), "child: create");
	answer(tce_remove(c, base), "child: remove");
	answer(tce_eeh(c, VFIO_EEH_PE_GET_STATE), "child: eeh");
	fflush(stdout);

	return 0;
}

static void v1(void)
{
	void *shared;

	if (!begin("v1", TCE_V1))
		return;
	answer(tce_unmap(c, base, page), "unmap before enable");
	answer(tce_map(c, base, buf, page, DMA_RW), "map before enable");
	answer(tce_disable(c), "disable before enable");
	answer(tce_enable(c), "enable");
	answer(tce_enable(c), "enable twice");
	answer(tce_register(c, buf, BUF_SIZE), "register");
	answer(tce_unregister(c, buf, BUF_SIZE), "unregister");
	answer(create(SZ_CREATE, 0, shift, SZ_16M, 1), "create");
	answer(tce_remove(c, base), "remove");
	bad_maps();
	bad_eeh();
	shared = mem_alloc(SZ_64K, SZ_64K, MEM_SHARED | MEM_POPULATE);
	answer(tce_map(c, base, shared, SZ_64K, DMA_RW), "map shared memory");
	run_child(other_process, NULL);
	answer(tce_disable(c), "disable with maps");
	answer(tce_disable(c), "disable twice");
	answer(tce_enable(c), "enable again");
	mem_free(shared, SZ_64K);
	end();
}

static void v2_memory(void)
{
	void *hole = mem_alloc(4 * SZ_64K, SZ_64K, MEM_POPULATE);

	if (!begin("v2 memory", TCE_V2))
		return;
	answer(tce_enable(c), "enable");
	answer(tce_disable(c), "disable");
	answer(tce_unmap(c, base, page), "unmap before register");
	answer(tce_map(c, base, buf, page, DMA_RW), "map before register");
	answer(tce_unregister(c, buf, BUF_SIZE), "unregister before register");
	answer(memory(REGISTER, 8, 0, VA, BUF_SIZE), "register, argsz");
	answer(memory(REGISTER, SZ_REGISTER, 1, VA, BUF_SIZE), "register, flag");
	answer(memory(REGISTER, SZ_REGISTER, 0, VA + 1, BUF_SIZE), "register, vaddr");
	answer(memory(REGISTER, SZ_REGISTER, 0, VA, BUF_SIZE + 1), "register, size");
	answer(memory(REGISTER, SZ_REGISTER, 0, VA, 0), "register nothing");
	answer(memory(REGISTER, SZ_REGISTER, 0, -SZ_64K, 2 * SZ_64K), "register, wraps");
	answer(memory(REGISTER, SZ_REGISTER, 0, 1ULL << 60, SZ_64K), "register no memory");
	munmap(hole + SZ_64K, SZ_64K);
	answer(tce_register(c, hole, 4 * SZ_64K), "register over a hole");
	answer(tce_register(c, buf, BUF_SIZE), "register");
	answer(tce_register(c, buf, BUF_SIZE), "register again");
	answer(tce_register(c, buf, BUF_SIZE / 2), "register a part again");
	answer(tce_unregister(c, buf, BUF_SIZE / 2), "unregister a part");
	answer(memory(UNREGISTER, 8, 0, VA, BUF_SIZE), "unregister, argsz");
	answer(memory(UNREGISTER, SZ_REGISTER, 1, VA, BUF_SIZE), "unregister, flag");
	answer(memory(UNREGISTER, SZ_REGISTER, 0, VA + 1, BUF_SIZE), "unregister, vaddr");
	answer(tce_ioctl(c, REGISTER, NULL), "register, from nowhere");
	answer(map(SZ_MAP, DMA_RW, VA + BUF_SIZE - page, base, 2 * page),
	       "map more than is registered");
	bad_maps();
	run_child(other_process, NULL);
	answer(tce_map(c, base, buf, page, DMA_RW), "map");
	answer(tce_unregister(c, buf, BUF_SIZE), "unregister what is mapped");
	answer(tce_unmap(c, base, page), "unmap");
	answer(tce_unregister(c, buf, BUF_SIZE), "unregister");
	answer(tce_unregister(c, buf, BUF_SIZE), "unregister again");
	mem_free(hole, 4 * SZ_64K);
	end();
}

static void v2_windows(void)
{
	static const u32 shifts[] = {
		0, 11, 12, 13, 16, 21, 24, 28, 30, 34, 63, 64, 76, 144, ~0U,
	};
	long long start, starts[4] = {};
	unsigned int i, n;
	u32 levels;

	for (i = 0; i < sizeof(shifts) / sizeof(*shifts); i++) {
		if (!begin("v2 page sizes", TCE_V2))
			return;
		/* Of the sizes that the hardware has, each with some pages */
		answer(create(SZ_CREATE, 0, shifts[i],
			      shifts[i] < 40 ? 1ULL << shifts[i] << 10 : SZ_1G, 1),
		       "create, pages of 1 << %u", shifts[i]);
		end();
	}
	for (levels = 0; levels <= 7; levels++) {
		if (!begin("v2 levels", TCE_V2))
			return;
		answer(create(SZ_CREATE, 0, shift, 1ULL << shift << 14, levels),
		       "create, %u levels", levels);
		end();
	}
	if (!begin("v2 windows", TCE_V2))
		return;
	answer(create(8, 0, shift, SZ_16M, 1), "create, argsz");
	answer(create(SZ_CREATE, 1, shift, SZ_16M, 1), "create, flag");
	answer(create(SZ_CREATE, 0, shift, 0, 1), "create, no size");
	answer(create(SZ_CREATE, 0, shift, SZ_16M + 1, 1), "create, size");
	answer(create(SZ_CREATE, 0, shift, SZ_16M + page, 1), "create, odd size");
	answer(create(SZ_CREATE, 0, shift, page / 2, 1), "create, half a page");
	answer(tce_ioctl(c, VFIO_IOMMU_SPAPR_TCE_CREATE, NULL), "create, from nowhere");
	end();
	if (!begin("v2 windows", TCE_V2))
		return;
	answer(remove_window(8, 0, base), "remove, argsz");
	answer(remove_window(SZ_REMOVE, 1, base), "remove, flag");
	answer(remove_window(SZ_REMOVE, 0, base + page), "remove inside the default one");
	answer(remove_window(SZ_REMOVE, 0, TCE_WINDOW1), "remove what is not there");
	answer(tce_register(c, buf, BUF_SIZE), "register");
	for (n = 0; n < 4; n++) {
		start = create(SZ_CREATE, 0, shift, SZ_16M, 1);
		starts[n] = answer(start, "create window %u", n);
		if (start < 0 && start > -4096)
			break;
		answer(tce_map(c, start, buf, page, DMA_RW), "map in window %u", n);
	}
	answer(tce_map(c, base, buf, page, DMA_RW), "map in the default one");
	if (n) {
		answer(remove_window(SZ_REMOVE, 0, starts[0] + page), "remove inside");
		answer(remove_window(SZ_REMOVE, 0, starts[0]), "remove");
		answer(remove_window(SZ_REMOVE, 0, starts[0]), "remove again");
	}
	answer(tce_remove(c, base), "remove the default one");
	answer(tce_map(c, base, buf, page, DMA_RW), "map where it was");
	answer(tce_unmap(c, base, page), "unmap where it was");
	/* Two of the process's own: an LPAR's default window is not one of them */
	if (n)
		answer(remove_window(SZ_REMOVE, 0, starts[1]), "remove the other one");
	for (i = 0; i < 3; i++)
		answer(create(SZ_CREATE, 0, shift, SZ_16M, 1), "create own window %u", i);
	bad_eeh();
	end();
}

/* A request that fails: whose is the container then? */
static int first_map(void *arg)
{
	(void)arg;
	answer(tce_map(c, base + 1, buf, page, DMA_RW), "child: map that fails");
	fflush(stdout);

	return 0;
}

static void owner(void)
{
	if (!begin("owner", TCE_V2))
		return;
	run_child(first_map, NULL);
	answer(tce_register(c, buf, BUF_SIZE), "register");
	answer(tce_map(c, base, buf, page, DMA_RW), "map");
	answer(tce_group_unset(&dev), "unset container with maps");
	end();
}

static void qemu_v2_old(void)
{
	qemu_v2(true);
}

static void qemu_v2_new(void)
{
	qemu_v2(false);
}

static void dpdk_old(void)
{
	run_dpdk(true);
}

static void dpdk_new(void)
{
	run_dpdk(false);
}

/*
 * Each is a process of its own, so that what one leaves behind, such as memory
 * that stays registered, does not answer for the next. On an LPAR without this
 * series a group is of no use any more after its first window of a process's own:
 * all requests are -ENODEV. So those come last, and only one of them there.
 */
static void (* const sequences[])(void) = {
	qemu_v1, no_iommu, v1, owner, v2_memory, qemu_v2_new,
	qemu_v2_old, dpdk_old, dpdk_new, v2_windows,
};

#define LPAR_SEQUENCES	6

static int run(void *arg)
{
	void (* const *fn)(void) = arg;

	buf = mem_alloc(BUF_SIZE, SZ_64K, MEM_POPULATE);
	if (!buf)
		return -ENOMEM;
	(*fn)();
	fflush(stdout);

	return 0;
}

int main(void)
{
	bool ended = true;
	unsigned int i, n = sizeof(sequences) / sizeof(*sequences);

	ksft_print_header();
	if (tce_find_devs(&dev, 1) < 1)
		ksft_exit_skip("no PCI device to take: no edu, no VFIO_DEVICE\n");
	ksft_set_plan(1);
	shift = sys_tce_shift();
	page = 1ULL << shift;
	fflush(stdout);
	if (!sys_powernv())
		n = LPAR_SEQUENCES;
	for (i = 0; i < n; i++)
		ended &= !run_child(run, (void *)&sequences[i]);
	ksft_test_result(ended, "each request has an answer\n");
	ksft_finished();
}
