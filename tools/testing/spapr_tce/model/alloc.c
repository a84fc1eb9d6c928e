// SPDX-License-Identifier: GPL-2.0-only
/*
 * Allocators: those of tools/, which never fail, between our own checks (the linker's
 * --wrap). An allocation that must not fail is no step.
 */
#include "host.h"

static pthread_mutex_t usage_lock = PTHREAD_MUTEX_INITIALIZER;

static void usage_add(long *counter, long n)
{
	pthread_mutex_lock(&usage_lock);
	*counter += n;
	pthread_mutex_unlock(&usage_lock);
}

static void usage_max(long *counter, long n)
{
	pthread_mutex_lock(&usage_lock);
	*counter = max(*counter, n);
	pthread_mutex_unlock(&usage_lock);
}

static bool alloc_fails(gfp_t gfp)
{
	virtual_only("an allocation");
	another_thread(host_preempt);

	return !(gfp & __GFP_NOFAIL) && fail_step();
}

/* What this thread allocates does not count in host_usage.largest */
static __thread bool no_array;

void *__wrap_kmalloc(size_t size, gfp_t gfp)
{
	void *p;

	if (alloc_fails(gfp))
		return NULL;
	usage_add(&host_usage.slab, 1);
	if (!no_array)
		usage_max(&host_usage.largest, size);
	if (size < SZ_4K || !is_power_of_2(size))
		return __real_kmalloc(size, gfp | __GFP_DIRECT_RECLAIM);

	/* Aligned to its size, as in the kernel */
	p = aligned_alloc(size, size);
	memset(p, gfp & __GFP_ZERO ? 0 : 0xaa, size);

	return p;
}

/* Of one page, which is no array */
unsigned long host_get_free_page(gfp_t gfp)
{
	void *p;

	no_array = true;
	p = kmalloc(PAGE_SIZE, gfp);
	no_array = false;

	return (unsigned long)p;
}

void __wrap_kfree(void *p)
{
	virtual_only("kfree()");
	if (p)
		usage_add(&host_usage.slab, -1);
	__real_kfree(p);
}

void *kvmalloc(size_t size, gfp_t gfp)
{
	/* As the kernel has it */
	return size > INT_MAX ? NULL : kmalloc(size, gfp);
}

void kvfree(void *p)
{
	kfree(p);
}

#ifndef HOST_BENCH
/* The CPU holds up RCU for as long as it is in the guest */
void host_enter_real_mode(void)
{
	rcu_read_lock();
	host_real_mode = true;
}

void host_leave_real_mode(void)
{
	host_real_mode = false;
	rcu_read_unlock();
}
#endif

/* What another thread does while this one, in real mode, is about to */
void (*host_preempt_rm)(void);

void host_preempt_real(void)
{
#ifndef HOST_BENCH
	if (!host_preempt_rm || !host_real_mode)
		return;
	host_real_mode = false;
	another_thread(host_preempt_rm);
	host_real_mode = true;
#endif
}

/* The caches of levels, which are told apart by their names */
static struct {
	struct kmem_cache *cache;
	unsigned int size;
} level_caches[4];

static unsigned int level_size(struct kmem_cache *cache)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(level_caches); i++)
		if (level_caches[i].cache == cache)
			return level_caches[i].size;

	return 0;
}

static struct kmem_cache *level_cache_add(const char *name, unsigned int size,
					  struct kmem_cache *cache)
{
	unsigned int i;

	if (!strncmp(name, "tce_", 4)) {
		for (i = 0; level_caches[i].cache; i++)
			;
		level_caches[i].cache = cache;
		level_caches[i].size = size;
	}

	return cache;
}

#ifdef kmem_cache_create
struct kmem_cache *__wrap___kmem_cache_create_args(const char *name, unsigned int size,
						   struct kmem_cache_args *args,
						   unsigned int flags)
{
	return level_cache_add(name, size,
			       __real___kmem_cache_create_args(name, size, args, flags));
}

struct slab_sheaf *__wrap_kmem_cache_prefill_sheaf(struct kmem_cache *cache, gfp_t gfp,
						   unsigned int size)
{
	if (alloc_fails(gfp))
		return NULL;

	return __real_kmem_cache_prefill_sheaf(cache, gfp | __GFP_DIRECT_RECLAIM, size);
}

int __wrap_kmem_cache_refill_sheaf(struct kmem_cache *cache, gfp_t gfp,
				   struct slab_sheaf **sheaf, unsigned int size)
{
	if (alloc_fails(gfp))
		return -ENOMEM;

	return __real_kmem_cache_refill_sheaf(cache, gfp | __GFP_DIRECT_RECLAIM,
					      sheaf, size);
}

/* What a sheaf has left goes back with it, and was in no use */
void *__wrap_kmem_cache_alloc_from_sheaf(struct kmem_cache *cache, gfp_t gfp,
					 struct slab_sheaf *sheaf)
{
	void *p = __real_kmem_cache_alloc_from_sheaf(cache, gfp, sheaf);

	if (p)
		usage_add(&host_usage.slab, 1);

	return p;
}
#else
struct kmem_cache *__wrap_kmem_cache_create(const char *name, unsigned int size,
					    unsigned int align,
					    unsigned int flags,
					    void (*ctor)(void *))
{
	return level_cache_add(name, size,
			       __real_kmem_cache_create(name, size, align, flags, ctor));
}
#endif

void *__wrap_kmem_cache_alloc_lru(struct kmem_cache *cache, struct list_lru *lru,
				  int gfp)
{
	if (alloc_fails(gfp))
		return NULL;
	usage_add(level_size(cache) ? &host_usage.level_bytes : &host_usage.slab,
		  level_size(cache) ?: 1);

	return __real_kmem_cache_alloc_lru(cache, lru, gfp | __GFP_DIRECT_RECLAIM);
}

bulk_result __wrap_kmem_cache_alloc_bulk(struct kmem_cache *cache, gfp_t gfp,
					 size_t size, void **list)
{
	if (alloc_fails(gfp))
		return 0;
	usage_add(&host_usage.slab, size);

	return __real_kmem_cache_alloc_bulk(cache, gfp | __GFP_DIRECT_RECLAIM,
					    size, list);
}

void __wrap_kmem_cache_free(struct kmem_cache *cache, void *p)
{
	virtual_only("kmem_cache_free()");
	if (level_size(cache))
		machine_level_freed(p);
	usage_add(level_size(cache) ? &host_usage.level_bytes : &host_usage.slab,
		  -(long)(level_size(cache) ?: 1));
	__real_kmem_cache_free(cache, p);
}

void __wrap_kmem_cache_free_bulk(struct kmem_cache *cache, size_t size,
				 void **list)
{
	virtual_only("kmem_cache_free_bulk()");
	usage_add(&host_usage.slab, -(long)size);
	__real_kmem_cache_free_bulk(cache, size, list);
}

struct page *alloc_pages_node(int nid, gfp_t gfp, unsigned int order)
{
	size_t size = PAGE_SIZE << order;
	void *p;

	(void)nid;
#ifndef HOST_BENCH
	/* The base zeroes by itself */
	WARN_ON(!(gfp & __GFP_ZERO));
#endif
	if (order > MAX_PAGE_ORDER || alloc_fails(gfp))
		return NULL;
	if (posix_memalign(&p, size, size))
		host_die("out of memory\n");
	memset(p, 0, size);
	usage_add(&host_usage.level_bytes, size);
	usage_add(&host_usage.level_pages, 1L << order);

	return p;
}

void free_pages(unsigned long addr, unsigned int order)
{
	virtual_only(__func__);
	machine_level_freed((void *)addr);
	usage_add(&host_usage.level_bytes, -(long)(PAGE_SIZE << order));
	usage_add(&host_usage.level_pages, -(1L << order));
	free((void *)addr);
}

void host_stat_add(enum node_stat_item item, long nr)
{
	usage_add(host_usage.stat + item, nr);
}

/* The maple tree's cache, before the initcalls */
void maple_tree_init(void);

static void __attribute__((constructor(150))) host_maple_tree_init(void)
{
	maple_tree_init();
}
