/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared helpers of the SPAPR TCE VFIO selftests, in lib/.
 *
 * Every wrapper of a system call here answers 0 (or what the call answered,
 * when that is positive) or a negative errno, so that a test is one line:
 *
 *	ASSERT_EQ(-EINVAL, tce_map(c, 0, buf, 0, PROT_RW));
 *
 * Nothing in this file knows about the test harness.
 */
#ifndef SPAPR_TCE_LIB_H
#define SPAPR_TCE_LIB_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <linux/vfio.h>

/* As in the kernel: not what <linux/types.h> makes of __u64 on powerpc. */
typedef long long s64;
typedef unsigned long long u64;
typedef unsigned int u32;
typedef unsigned short u16;

#define BIT_ULL(n)	(1ULL << (n))

#ifndef SZ_4K
#define SZ_4K		0x1000ULL
#define SZ_64K		0x10000ULL
#define SZ_1M		0x100000ULL
#define SZ_2M		0x200000ULL
#define SZ_16M		0x1000000ULL
#define SZ_256M		0x10000000ULL
#define SZ_512M		0x20000000ULL
#define SZ_1G		0x40000000ULL
#endif

#define DMA_R		VFIO_DMA_MAP_FLAG_READ	/* the device may read */
#define DMA_W		VFIO_DMA_MAP_FLAG_WRITE	/* the device may write */
#define DMA_RW		(DMA_R | DMA_W)

#define TCE_V1		VFIO_SPAPR_TCE_IOMMU
#define TCE_V2		VFIO_SPAPR_TCE_v2_IOMMU

/* The second DMA window of a powernv PE. */
#define TCE_WINDOW1	BIT_ULL(59)

#define TCE_MAX_DEVS	4

#define PCI_DEVICES	"/sys/bus/pci/devices"

/* ---- devices, groups, containers --------------------------------------- */

/**
 * struct tce_dev - a PCI device that a test may take
 * @bdf:	its address, "0000:01:00.0"
 * @group_id:	number of its IOMMU group
 * @edu:	QEMU's "edu" device, which does DMA when asked to
 * @group:	open group file, or -1
 * @device:	open device file, or -1
 * @bar0:	mapped registers of an edu device
 * @bar0_size:	size of that mapping
 * @config:	offset of the config region in @device
 */
struct tce_dev {
	char bdf[16];
	int group_id;
	bool edu;
	int group;
	int device;
	void *bar0;
	size_t bar0_size;
	u64 config;
};

/*
 * Fill @devs with at most @max devices, each in a group of its own, bound to
 * vfio-pci. Answers how many. The environment names the device on a machine
 * with real hardware: VFIO_DEVICE="0000:01:00.0[,0001:...]", already bound, or
 * VFIO_GROUP="5" to use the first function in that group. Otherwise all edu
 * devices are taken.
 */
int tce_find_devs(struct tce_dev *devs, int max);

/* Give a device to a driver */
int tce_bind(const char *bdf, const char *driver);
/* Take it from its driver, if it has one */
int tce_unbind(const char *bdf);
/* Remove it as if it were pulled out; find it again. */
int tce_unplug(const char *bdf);
int tce_replug(const char *bdf);
/* Fill @dev with the device, whatever its driver is */
int tce_dev_at(struct tce_dev *dev, const char *bdf);
/* All edu devices of the group of @dev, itself among them. Answers how many. */
int tce_group_devs(const struct tce_dev *dev, struct tce_dev *devs, int max);

int tce_container(void);				/* open a container */
int tce_group_open(struct tce_dev *dev);
void tce_group_close(struct tce_dev *dev);		/* and the device */
int tce_group_set(struct tce_dev *dev, int container);
int tce_group_unset(struct tce_dev *dev);
int tce_set_iommu(int container, unsigned long type);

/*
 * Open a container, put the group of @dev into it and set the IOMMU type.
 * Answers the container or -errno, with everything closed again.
 */
int tce_open(struct tce_dev *dev, unsigned long type);
/* Close the group (and device) of @dev and the container, in that order. */
void tce_close(struct tce_dev *dev, int container);

/*
 * Map BAR 0 of an edu device and enable bus mastering: by sysfs, since opening
 * the device file of VFIO, and closing it, resets the bus, which takes 5 seconds
 * each on powernv. The second one does it by VFIO all the same; for a device
 * that is not an edu it only opens the file.
 */
int tce_dev_open(struct tce_dev *dev);
int tce_dev_open_vfio(struct tce_dev *dev);
void tce_dev_close(struct tce_dev *dev);
/* Can it be told to do DMA? Opens it for that. */
bool tce_can_dma(struct tce_dev *dev);

/* ---- requests ----------------------------------------------------------- */

int tce_ioctl(int fd, unsigned long req, void *arg);	/* ret or -errno */

int tce_check_extension(int c, unsigned long ext);
int tce_get_info(int c, struct vfio_iommu_spapr_tce_info *info);
/* The biggest IOMMU page that the machine has and that is not over @max, or 0 */
unsigned int tce_iommu_shift(int c, size_t max);
int tce_enable(int c);
int tce_disable(int c);
int tce_register(int c, const void *va, u64 size);
int tce_unregister(int c, const void *va, u64 size);
int tce_map(int c, u64 iova, const void *va, u64 size, u32 prot);
int tce_unmap(int c, u64 iova, u64 size);
int tce_create(int c, u32 page_shift, u64 size, u32 levels,
	       u64 *start);
/* As tce_create() with levels = 1, 2 ... until it succeeds, as QEMU does. */
int tce_create_any(int c, u32 page_shift, u64 size, u64 *start);
int tce_remove(int c, u64 start);
int tce_eeh(int c, u32 op);

/* ---- the edu device ----------------------------------------------------- */

#define EDU_BUF_SIZE	4096	/* of the device */
#define EDU_MAX_LEN	4088	/* a transfer must be less than the buffer */

u32 edu_id(struct tce_dev *dev);		/* 0x010000ed when alive */
/* The device reads @len bytes at @iova into its buffer at @off. */
int edu_read_ram(struct tce_dev *dev, u64 iova, u32 off, u32 len);
/* The device writes @len bytes of its buffer from @off to @iova. */
int edu_write_ram(struct tce_dev *dev, u64 iova, u32 off, u32 len);
/* The device carries @len bytes from @src to @dst. */
int edu_copy(struct tce_dev *dev, u64 src, u64 dst, u32 len);
/* Start a transfer and do not wait; edu_wait() does. */
int edu_start(struct tce_dev *dev, bool to_ram, u64 iova, u32 off,
	      u32 len);
int edu_wait(struct tce_dev *dev);
/*
 * Make the device able to do DMA again after one that was refused, should the
 * platform have frozen its PE.
 */
int edu_recover(struct tce_dev *dev, int container);

/* ---- memory ------------------------------------------------------------- */

#define MEM_POPULATE	1	/* fault everything in */
#define MEM_THP		2	/* ask for transparent huge pages */
#define MEM_SHARED	4
#define MEM_RDONLY	8
#define MEM_HUGETLB(s)	(0x10 | ((s) << 8))	/* of pages of 1 << s bytes */

/* @align 0 is the system page. Answers NULL when it cannot be had. */
void *mem_alloc(size_t size, size_t align, unsigned int flags);
void mem_free(void *va, size_t size);
/*
 * Reserve @count hugetlb pages of 1 << @shift bytes; answers how many there
 * are now (0 where the size is unknown).
 */
long mem_hugetlb_reserve(unsigned int shift, long count);

/*
 * Memory in pages of at least 1 << @shift bytes, hugetlb or transparent. *@size
 * is rounded up and 0 is put in *@pool when nothing was taken from the hugetlb
 * pool, else the shift of the pool to be given back with mem_huge_free().
 * Answers NULL where the machine has no such pages.
 */
void *mem_huge(size_t *size, unsigned int shift, unsigned int *pool);
/* Does this machine have huge pages of any kind? */
bool mem_has_huge(void);
void mem_huge_free(void *va, size_t size, unsigned int pool);
/* Bytes of a transparent huge page, and of [@va, @va + @size) in such pages */
size_t mem_thp_size(void);
size_t mem_thp_bytes(const void *va, size_t size);
/* Physical address of a populated page, 0 where it cannot be known. */
u64 mem_phys(const void *va);

/* A pattern that depends on @seed and on the offset. */
void mem_fill(void *va, size_t size, u32 seed);
bool mem_check(const void *va, size_t size, u32 seed);

/* ---- what the kernel says ----------------------------------------------- */

int sys_read_file(const char *path, char *buf, size_t size);
int sys_write_file(const char *path, const char *text);
size_t sys_page_size(void);
/* The larger one of 4K and 64K that any memory can back, as a shift. */
u32 sys_tce_shift(void);
/*
 * Log2 of how many TCEs a window may have: 31, or what TCE_BITS says in the
 * environment. QEMU needs memory, 8 bytes for each, to be a hypervisor.
 */
unsigned int sys_tce_bits(void);
bool sys_powernv(void);
bool sys_radix(void);
bool sys_power8(void);
u64 sys_vmlck(void);		/* bytes; of this process */
u64 sys_vmlck_of(pid_t pid);
s64 sys_vmstat(const char *name);	/* -1 where there is no such line */
s64 sys_free_bytes(void);	/* with per-CPU lists and empty slabs of levels */
bool sys_slab_debug(void);	/* slab objects are padded: cost more */
s64 sys_level_bytes(void);	/* of levels, also of the host's; -1 unknown */
s64 sys_pinned(void);		/* pages pinned and not yet given back */
/* The same, after a moment for it to be @want: pages may go after a grace period */
s64 sys_pinned_wait(s64 want);
int sys_compact(void);		/* vm.compact_memory */
/*
 * Take the memory of /sys/devices/system/memory/memory@nr offline, or back. The
 * kernel gets @seconds for it, 0 is no limit; -EINTR when they are over.
 */
int sys_mem_block(int nr, bool online, unsigned int seconds);
void sys_mem_online_all(void);
/*
 * The NVMe disk that was made for these tests: its path and PCI address. Known
 * by its serial number, since no other disk may be written to.
 */
#define TEST_DISK_SERIAL	"spapr-tce"
bool sys_test_disk(char *path, size_t size, char *bdf, size_t bdf_size);
/* The kernel log from here on; did it warn or run out of memory since? */
int sys_klog_open(void);
bool sys_klog_warned(int fd);
/* How many of its messages since had @text */
int sys_klog_said(int fd, const char *text);
/* Forget what was traced, and trace @event ("spapr_tce/kvm_tce_hcall") or not */
int sys_trace(const char *event, bool on);
/* In how many lines of the trace there is @text */
int sys_traced(const char *text);

/**
 * struct tce_table_stat - one line of /sys/kernel/debug/spapr_tce/tables
 * @start:		bus address
 * @tces:		entries of the window
 * @hw_bytes:		bytes of hardware levels
 * @view_bytes:		bytes of user-address levels
 * @charged_pages:	system pages charged to locked_vm
 * @page_shift:		IOMMU page
 * @levels:		levels
 * @level_shift:	log2 of the bytes of one level
 */
struct tce_table_stat {
	u64 start;
	u64 tces;
	u64 hw_bytes;
	u64 view_bytes;
	u64 charged_pages;
	unsigned int page_shift;
	unsigned int levels;
	unsigned int level_shift;
};

/* Answers the number of tables in user hands or -errno (-ENOENT: no file). */
int tce_tables(struct tce_table_stat *st, int max);

/* ---- processes ---------------------------------------------------------- */

/* Run @fn(@arg) in a forked child; answers what it answered. */
int run_child(int (*fn)(void *arg), void *arg);
/*
 * In such a child, where the harness cannot be told: unless @ok say what is
 * wrong and end, which run_child() answers as -ECHILD.
 */
void child_check(bool ok, const char *what, const char *file, int line);
#define CHILD_CHECK(cond)	child_check(cond, #cond, __FILE__, __LINE__)
/* Become nobody without CAP_IPC_LOCK, with @memlock bytes to lock. */
int drop_to_user(u64 memlock);
int send_fd(int sock, int fd);
int recv_fd(int sock);

/**
 * struct tce_leak - what must be the same after a test as before it
 * @vmlck:	locked memory of this process
 * @pinned:	pinned pages of the system, -1 where unknown
 * @tables:	tables in user hands, negative where unknown
 * @levels:	bytes of all levels of tables, -1 where unknown
 */
struct tce_leak {
	u64 vmlck;
	s64 pinned;
	int tables;
	s64 levels;
};

void tce_leak_start(struct tce_leak *l);
/* Without levels, which take a while to count */
void tce_leak_start_quick(struct tce_leak *l);
/* NULL, or a sentence on what did not come back. Waits for it a moment. */
const char *tce_leak_check(const struct tce_leak *l);

/*
 * A kernel with its own checkers on takes its time: this many times that of
 * another one
 */
unsigned int sys_slowness(void);

/*
 * Failures: from fail_at(@n) on this thread fails at the @n-th place at which it
 * allocates memory or copies from or to user space, until fail_end(), which says
 * whether it did. fail_open() answers NULL, or why nothing can be made to fail.
 */
const char *fail_open(void);
void fail_close(void);
void fail_at(int n);
bool fail_end(void);

/*
 * Of all that this thread copies from or to user space the first @good copies work
 * and then @bad fail, until fail_copies_end(), which says how many of these were left.
 * Needs fail_open().
 */
void fail_copies(int good, int bad);
int fail_copies_end(void);

#endif /* SPAPR_TCE_LIB_H */
