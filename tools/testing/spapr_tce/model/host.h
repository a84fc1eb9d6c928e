/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The harness around the kernel code under test: failures on demand (host.c),
 * locks, allocators, memory and processes, work (the files of these names), host
 * bridges with devices (machine.c), VFIO's core (vfio-core.c) and the invariants
 * (world.c).
 */
#ifndef _SPAPR_TCE_HOST_H
#define _SPAPR_TCE_HOST_H

#include <asm/iommu.h>
#include "tce_user.h"
#include <asm/tce.h>

#include "pci.h"
#include "vfio.h"

/*
 * Failures: whatever may fail counts as a step, and a chosen step fails.
 */

void fail_arm(unsigned long nth);
void fail_arm_from(unsigned long nth);
bool fail_fired(void);
bool fail_step(void);

/* What is behind our own checks: --wrap of the linker */
void *__real_kmalloc(size_t size, gfp_t gfp);
void __real_kfree(void *p);
void *__real_kmem_cache_alloc_lru(struct kmem_cache *cache, struct list_lru *lru,
				  int gfp);
/* A number in 6.12, true or false in 7.x */
#define bulk_result	typeof(kmem_cache_alloc_bulk(NULL, 0, 0, NULL))
bulk_result __real_kmem_cache_alloc_bulk(struct kmem_cache *cache, gfp_t gfp,
					 size_t size, void **list);
void __real_kmem_cache_free(struct kmem_cache *cache, void *p);
void __real_kmem_cache_free_bulk(struct kmem_cache *cache, size_t size,
				 void **list);
#ifdef kmem_cache_create	/* 7.x, where the maple tree takes nodes by sheaves */
struct kmem_cache *__real___kmem_cache_create_args(const char *name, unsigned int size,
						   struct kmem_cache_args *args,
						   unsigned int flags);
struct slab_sheaf *__real_kmem_cache_prefill_sheaf(struct kmem_cache *cache, gfp_t gfp,
						   unsigned int size);
int __real_kmem_cache_refill_sheaf(struct kmem_cache *cache, gfp_t gfp,
				   struct slab_sheaf **sheaf, unsigned int size);
void *__real_kmem_cache_alloc_from_sheaf(struct kmem_cache *cache, gfp_t gfp,
					 struct slab_sheaf *sheaf);
#else
struct kmem_cache *__real_kmem_cache_create(const char *name, unsigned int size,
					    unsigned int align,
					    unsigned int flags,
					    void (*ctor)(void *));
#endif

/*
 * Memory and processes.
 */

#define HOST_UA_BASE		BIT(40)
#define HOST_2M_PAGES		(SZ_2M >> PAGE_SHIFT)

/* What a new process maps at which page */
enum host_layout {
	UA_SCATTERED = 0,	/* single pages in no order */
	UA_CONTIGUOUS = 256,	/* single pages that follow each other */
	UA_HUGE = 512,		/* 2M folios, aligned */
	UA_MEDIUM = 1024,	/* folios of 16 pages, aligned */
	UA_SHIFTED = 1536,	/* a large folio, but not aligned to it */
	UA_HOLES = 1792,	/* every 16th is missing, the 8th read-only */
	UA_ALIAS = 1920,	/* what is at UA_SCATTERED, once more */
	UA_END = 2048,		/* nothing */
};

struct mm_struct *mm_create(unsigned long limit);
void mm_destroy(struct mm_struct *mm);
void mm_fill(struct mm_struct *mm, unsigned long first, unsigned long nr,
	     unsigned int order);
void mm_unmap(struct mm_struct *mm, unsigned long first, unsigned long nr);
void mm_remap(struct mm_struct *mm, unsigned long first, unsigned long nr);
static inline unsigned long host_ua(unsigned long page)
{
	return HOST_UA_BASE + (page << PAGE_SHIFT);
}

void *host_user_data(struct mm_struct *mm, unsigned long ua);

void quiet_lock(struct mutex *m);
void another_thread(void (*fn)(void));

/* For those to whom one device of a group is as good as another */
extern struct device host_device;

extern void (*host_preempt)(void);
extern void (*host_copied)(void);
extern void (*host_preempt_rm)(void);
extern void (*host_waits)(void);
void host_check_state(const char *what);
extern void (*host_stuck)(void);
extern void (*host_unlocked)(void);
/* Within host_stuck(): others run while one waits for a stuck mm */
extern __thread bool host_stuck_wait;
int mm_fault(struct mm_struct *mm);
extern unsigned long host_sleeps;
extern unsigned int host_pe_messages;
extern __thread bool host_mmap_locked;
extern __thread unsigned int host_mutexes;
#ifdef HOST_BENCH
static inline void host_enter_real_mode(void) { }
static inline void host_leave_real_mode(void) { }
#else
void host_enter_real_mode(void);
void host_leave_real_mode(void);
#endif
void host_run_works(void);
bool host_work_of_system(void);
unsigned long host_works(void);
void host_settle(void);
void host_srcu_barrier(void);
void host_test_ends(void);

/* What is in use, for the end of a test to be zero */
struct host_usage {
	long slab;
	long largest;		/* object of a slab, so far, in bytes */
	long level_bytes;
	long level_pages;
	long stat[HOST_STATS];	/* what the kernel says of them */
	long pins;
	long pages;
	long tables;
};

extern struct host_usage host_usage;

/*
 * RAM of which the model has no contents, where domains map; a node ends inside.
 */

#define HOST_RAM	BIT(51)
#define HOST_RAM_NODE	(HOST_RAM + BIT(32))
#define HOST_RAM_END	BIT(52)

/*
 * Host bridges.
 */

#define HOST_PES	6

struct tve {
	unsigned int levels;
	unsigned long table;
	unsigned long level_size;
	unsigned long page_size;
	bool bypass;
};

/* What a bridge remembers of a TCE, 0 if it was empty, until it is killed */
struct host_tlb {
	unsigned int window;
	unsigned int shift;
	unsigned long index;
	unsigned long tce;
	unsigned long held;
	bool fetched;	/* with its line, by the visit that is under way */
};

/* A level that a bridge could have walked through */
struct host_link {
	unsigned int window;
	unsigned long level;
	unsigned long first, nr;	/* TCEs in it and below it */
	bool stale;			/* another one is there now */
};

struct host_pe {
	struct pnv_ioda_pe pe;
	struct tve tve[2];
	struct mutex lock;	/* windows and tlb */
	struct host_tlb *tlb;
	unsigned int nr_tlb;
	unsigned int max_tlb;
	struct host_link *links;
	unsigned int nr_links;
	unsigned int max_links;
	bool stale_links;	/* there are some */
	unsigned long kills;
	struct mutex device_lock;	/* of the PE's devices */
	struct mutex group_lock;	/* of its VFIO group */
	int group_refs;
	int eeh_calls;
	int eeh_last;
	int eeh_answer;
	bool stuck;
	bool no_iommudata;
	struct device *devs[2];	/* NULL: one of no interest */
};

extern struct host_pe host_pes[HOST_PES];
void links_kill(struct host_pe *hpe, unsigned int window, unsigned long first,
		unsigned long nr);
void links_follow(const struct host_pe *hpe, unsigned int window,
		  unsigned long index, unsigned long *level, unsigned int *depth);
void links_freed(struct host_pe *hpe, unsigned long level);
extern bool machine_removal_fails, machine_threads;
#ifdef HOST_BENCH
extern __thread unsigned long machine_kills;
#endif

struct host_table {
	struct list_head node;
	struct iommu_table tbl;
};

extern struct list_head host_tables;

unsigned long machine_shadow(struct iommu_table *tbl, unsigned long index);

struct iommu_table *machine_new_table(struct iommu_table_ops *ops);
void machine_init(void);
void machine_reset(void);
long machine_dma(struct host_pe *hpe, unsigned long addr, bool write);
void machine_check(void);
void machine_level_freed(const void *level);

typedef void (*tce_visit)(struct host_pe *hpe, unsigned int window,
			  unsigned int shift, unsigned long index,
			  unsigned long tce, void *priv);
void machine_visit_tces(struct host_pe *hpe, tce_visit fn, void *priv);

struct iommu_group *host_group(struct host_pe *hpe);

/*
 * VFIO's core, and the world as a whole.
 */

struct vfio_instance;

struct host_container {
	struct mutex lock;	/* VFIO's group_lock of the container */
	struct vfio_instance *instance;
	void *data;
	int nr_groups;
	struct host_pe *groups[HOST_PES];
};

extern const struct vfio_iommu_driver_ops *host_driver;

int vfio_set_iommu(struct host_container *c, unsigned long type);
int vfio_attach(struct host_container *c, struct host_pe *hpe);
void vfio_detach(struct host_container *c, struct host_pe *hpe);
void vfio_unbind(struct host_container *c, struct host_pe *hpe);
void vfio_close(struct host_container *c);
long vfio_ioctl(struct host_container *c, unsigned int cmd, const void *arg);

void world_check_containers(struct host_container *c, unsigned int nr);
void world_check(void);
void world_check_empty(void);

/* Requests, filled in; what they answer */
#define RW	(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

long req_map(struct host_container *c, u64 iova, u64 ua, u64 size, u32 flags);
long req_unmap(struct host_container *c, u64 iova, u64 size);
long req_register(struct host_container *c, u64 ua, u64 size);
long req_unregister(struct host_container *c, u64 ua, u64 size);
long req_create(struct host_container *c, u32 page_shift, u64 size, u32 levels,
		u64 *start);
long req_remove(struct host_container *c, u64 start);

u64 world_digest(struct mm_struct *mm);

/*
 * What the files under test keep to themselves (glue-*.c).
 */

struct host_region {
	struct mm_iommu_table_group_mem_t *mem;
	unsigned long ua;
	unsigned long npages;
	long mapped;
	unsigned int used;
	unsigned int granule_shift;
};

unsigned long glue_regions(struct mm_struct *mm, struct host_region *regions,
			   unsigned long max);
bool glue_region_at(struct mm_struct *mm, unsigned long ua,
		    struct host_region *region);

struct glue_container {
	struct mm_struct *mm;
	bool v2;
	bool enabled;
	bool default_pending;
	unsigned long enabled_pages;
	struct iommu_table *tables[IOMMU_TABLE_GROUP_MAX_TABLES];
	unsigned long nr_regions;
};

void glue_container_get(void *data, struct glue_container *state);
bool glue_table_is_mine(struct iommu_table *tbl);
void glue_tables_lock(void);
void glue_tables_unlock(void);
unsigned int glue_tables(void);
void glue_tables_show(struct seq_file *m);
extern void (*host_before_show)(void);
void glue_table_show(struct iommu_table *tbl, const char *file, bool lines,
		     struct seq_file *m);
struct iommu_domain;
bool glue_container_is_mine(void *data);
unsigned long glue_domain_taken(struct iommu_domain *domain);
void glue_domain_take(struct iommu_domain *domain, unsigned long index, unsigned long nr);
void glue_container_fdinfo(void *data, struct seq_file *m);

#ifndef HOST_BASE
/* Ranges, with what they are made of as arguments */
static inline long host_ref_range(struct mm_struct *mm,
				  struct mm_iommu_table_group_mem_t *hint,
				  unsigned long ua, unsigned long npages,
				  unsigned int page_shift, bool write)
{
	struct mm_iommu_range range = { mm, hint, ua, npages, page_shift };

	return mm_iommu_ref_range(&range, write);
}

static inline long host_ref_page(struct mm_struct *mm,
				 struct mm_iommu_table_group_mem_t *hint,
				 unsigned long ua, unsigned int page_shift,
				 unsigned long perm, unsigned long *tce)
{
	struct mm_iommu_range range = { mm, hint, ua, 1, page_shift };

	return mm_iommu_ref_page(&range, perm, tce);
}

static inline void host_unref_range(struct mm_struct *mm,
				    struct mm_iommu_table_group_mem_t *hint,
				    unsigned long ua, unsigned long npages,
				    unsigned int page_shift)
{
	struct mm_iommu_range range = { mm, hint, ua, npages, page_shift };

	mm_iommu_unref_range(&range);
}

static inline void host_translate_range(struct mm_struct *mm,
					struct mm_iommu_table_group_mem_t *hint,
					unsigned long ua, unsigned long npages,
					unsigned int page_shift,
					unsigned long perm, __be64 *tces)
{
	struct mm_iommu_range range = { mm, hint, ua, npages, page_shift };

	mm_iommu_translate_range(&range, perm, tces);
}
#endif

#endif
