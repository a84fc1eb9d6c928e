/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel as drivers/iommu/generic_pt of 7.x sees it when it is compiled for
 * generic-pt.c, and nothing more; the headers that it includes are empty.
 */
#ifndef BENCH_GENERIC_PT_H
#define BENCH_GENERIC_PT_H

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef u64 dma_addr_t;
typedef u64 phys_addr_t;
typedef unsigned int gfp_t;
typedef unsigned long pgoff_t;
typedef struct { int counter; } atomic_t;
typedef struct { int locked; } spinlock_t;

#define U32_MAX			UINT32_MAX
#define U64_MAX			UINT64_MAX
#define PAGE_SHIFT		12
#define PAGE_SIZE		(1UL << PAGE_SHIFT)
#define BITS_PER_LONG		64
#define GFP_KERNEL		0
#define NUMA_NO_NODE		(-1)
#define CONFIG_X86		1
#define CONFIG_SMP		1

#define __maybe_unused		__attribute__((unused))
#define fallthrough		__attribute__((fallthrough))
#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)
#define BIT(n)			(1UL << (n))
#define BIT_ULL(n)		(1ULL << (n))
#define GENMASK_ULL(h, l)	((~0ULL << (l)) & (~0ULL >> (63 - (h))))
#define GENMASK(h, l)		GENMASK_ULL(h, l)
#define FIELD_GET(mask, v)	(((v) & (mask)) >> __builtin_ctzll(mask))
#define FIELD_PREP(mask, v)	(((u64)(v) << __builtin_ctzll(mask)) & (mask))
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof(*(a)))
#define ilog2(n)		(63 - __builtin_clzll(n))
#define ffs(n)			__builtin_ffs(n)
#define __ffs(n)		((unsigned long)__builtin_ctzl(n))
#define __ffs64(n)		((unsigned long)__builtin_ctzll(n))
#define ffz(n)			__ffs(~(n))
#define fls(n)			((n) ? 32 - __builtin_clz(n) : 0)
#define fls64(n)		((n) ? 64 - __builtin_clzll(n) : 0)
#define __fls(n)		(63 - __builtin_clzl(n))
#define min(a, b)		((a) < (b) ? (a) : (b))
#define max(a, b)		((a) > (b) ? (a) : (b))
#define min_t(t, a, b)		min((t)(a), (t)(b))
#define WARN_ON(x)		unlikely(x)
#define BUILD_BUG()		abort()
#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), v, __ATOMIC_RELAXED)
#define check_add_overflow(a, b, d)	__builtin_add_overflow(a, b, d)
#define memset_after(p, v, member) \
	memset(&(p)->member + 1, v, \
	       (char *)((p) + 1) - (char *)(&(p)->member + 1))
#define container_of(p, type, member) \
	((type *)((char *)(p) - offsetof(type, member)))
#define try_cmpxchg64_release(p, old, new) \
	__atomic_compare_exchange_n(p, old, new, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)
#define try_cmpxchg_release	try_cmpxchg64_release
/* For barriers as the kernel has them */
#define smp_mb()		__atomic_thread_fence(__ATOMIC_SEQ_CST)
#define dma_wmb()		__atomic_thread_fence(__ATOMIC_RELEASE)

#define CONCATENATE_(a, b)	a ## b
#define CONCATENATE(a, b)	CONCATENATE_(a, b)
#define __stringify_1(x...)	#x
#define __stringify(x...)	__stringify_1(x)
#define EXPORT_SYMBOL_NS_GPL(symbol, ns)
#define MODULE_LICENSE(x)
#define MODULE_DESCRIPTION(x)
#define MODULE_IMPORT_NS(x)

/* As include/linux/kconfig.h knows whether an option is 1 or not defined */
#define __ARG_PLACEHOLDER_1	0,
#define __take_second(ignored, val, ...)	val
#define ____is_defined(arg1)	__take_second(arg1 1, 0)
#define ___is_defined(val)	____is_defined(__ARG_PLACEHOLDER_##val)
#define __is_defined(x)		___is_defined(x)
#define IS_ENABLED(CONFIG_x)	__is_defined(CONFIG_x)

#define ERR_PTR(e)		((void *)(long)(e))
#define PTR_ERR(p)		((long)(p))
#define IS_ERR(p)		((unsigned long)(p) >= -4095UL)

#define __sme_set(x)		(x)
#define __sme_clr(x)		(x)
#define virt_to_phys(p)		((phys_addr_t)(uintptr_t)(p))
#define phys_to_virt(pa)	((void *)(uintptr_t)(pa))
#define __va(pa)		phys_to_virt(pa)
#define clflush_cache_range(p, n)	((void)(p), (void)(n))
#define spin_lock_irqsave(l, flags)	((void)(l), (void)((flags) = 0))
#define spin_unlock_irqrestore(l, flags) ((void)(l), (void)(flags))

struct list_head {
	struct list_head *next, *prev;
};

#define LIST_HEAD_INIT(name)	{ &(name), &(name) }

static inline void INIT_LIST_HEAD(struct list_head *list)
{
	list->next = list;
	list->prev = list;
}

static inline bool list_empty(const struct list_head *list)
{
	return list->next == list;
}

static inline void list_add_tail(struct list_head *new, struct list_head *head)
{
	new->next = head;
	new->prev = head->prev;
	head->prev->next = new;
	head->prev = new;
}

static inline void list_splice(const struct list_head *list, struct list_head *head)
{
	if (list_empty(list))
		return;
	list->next->prev = head;
	list->prev->next = head->next;
	head->next->prev = list->prev;
	head->next = list->next;
}

/* What it uses of the IOMMU API */

#define IOMMU_READ		BIT(0)
#define IOMMU_WRITE		BIT(1)
#define IOMMU_MMIO		BIT(4)
#define IOMMU_DIRTY_NO_CLEAR	BIT(0)
#define __IOMMU_DOMAIN_PAGING	1
#define IOMMU_PAGES_LIST_INIT(name) \
	((struct iommu_pages_list) { .pages = LIST_HEAD_INIT((name).pages) })

struct device;
struct folio;

struct iommu_pages_list {
	struct list_head pages;
};

struct iommu_iotlb_gather {
	unsigned long start;
	unsigned long end;
	size_t pgsize;
	struct iommu_pages_list freelist;
	bool queued;
	struct {
		u8 leaf_levels_bitmap;
		u8 table_levels_bitmap;
	} pt;
};

struct iommu_dirty_bitmap {
	void *bitmap;
	struct iommu_iotlb_gather *gather;
};

struct iommu_domain {
	unsigned int type;
	unsigned long pgsize_bitmap;
	bool is_iommupt;
	struct {
		dma_addr_t aperture_start;
		dma_addr_t aperture_end;
		bool force_aperture;
	} geometry;
};

static inline void iommu_iotlb_gather_init(struct iommu_iotlb_gather *gather)
{
	*gather = (struct iommu_iotlb_gather) {
		.start = ULONG_MAX,
		.freelist = IOMMU_PAGES_LIST_INIT(gather->freelist),
	};
}

#define iommu_iotlb_gather_queued(gather)	((gather) && (gather)->queued)

static inline bool iommu_iotlb_gather_is_disjoint(struct iommu_iotlb_gather *gather,
						  unsigned long iova, size_t size)
{
	return gather->end && (iova + size < gather->start || iova > gather->end + 1);
}

static inline void iommu_iotlb_gather_add_range(struct iommu_iotlb_gather *gather,
						unsigned long iova, size_t size)
{
	if (gather->start > iova)
		gather->start = iova;
	if (gather->end < iova + size - 1)
		gather->end = iova + size - 1;
}

void iommu_iotlb_sync(struct iommu_domain *domain, struct iommu_iotlb_gather *gather);
struct folio *virt_to_folio(const void *virt);
#define iova_bitmap_set(bitmap, iova, size)	((void)(bitmap))

#endif
