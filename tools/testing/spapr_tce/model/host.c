// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel around the files under test: memory, processes, work, RCU.
 */
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host.h"

#define NR_ORDERS	16

__thread struct task_struct host_task;
struct host_usage host_usage;
/* In a fault, until it gives that up */
__thread bool host_mmap_locked;

void host_die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fflush(NULL);
	abort();
}

/*
 * Failures.
 */

static unsigned long fail_countdown;
static unsigned int fail_more;
static bool fail_done;

/**
 * fail_arm() - make a step fail
 * @nth: which one from now on, 0 for none; fail_fired() then still tells about
 *	 the time before
 */
void fail_arm(unsigned long nth)
{
	fail_countdown = nth;
	fail_more = 0;
	if (nth)
		fail_done = false;
}

/**
 * fail_arm_from() - make a step fail, and some that follow
 * @nth: the first one from now on
 *
 * Not all: the maple tree, with some nodes in hand, asks for the rest until it
 * has them.
 */
void fail_arm_from(unsigned long nth)
{
	fail_arm(nth);
	fail_more = 16;
}

bool fail_fired(void)
{
	return fail_done;
}

bool fail_step(void)
{
	if (!fail_countdown || --fail_countdown)
		return false;
	fail_done = true;
	if (fail_more) {
		fail_more--;
		fail_countdown = 1;
	}

	return true;
}

/*
 * Real mode: a thread is in it between host_enter_real_mode() and
 * host_leave_real_mode(). What cannot be done there says so.
 */

#ifndef HOST_BENCH
void (*host_barrier)(void);
void (*host_resched)(void);
__thread bool host_real_mode;

void virtual_only(const char *what)
{
	if (host_real_mode)
		host_die("in real mode: %s\n", what);
}
#endif

/* The locks that a thread has, by kind; see below */
#define MAX_LOCKS_HELD		16

static __thread unsigned int locks_held[MAX_LOCKS_HELD];
static __thread unsigned int nr_locks_held;

/* What a test wants another thread to do now; that has locks of its own */
void another_thread(void (*fn)(void))
{
	unsigned int held[MAX_LOCKS_HELD], nr = nr_locks_held;

	if (!fn)
		return;
	memcpy(held, locks_held, sizeof(held));
	nr_locks_held = 0;
	fn();
	memcpy(locks_held, held, sizeof(held));
	nr_locks_held = nr;
}

/* What another thread does while this one spins */
void (*host_waits)(void);

/* Whoever waits, waits for another thread, and that for no long time */
void host_relax(void)
{
	static __thread unsigned long spins;

	another_thread(host_waits);
	if (++spins > 1UL << 25)
		host_die("who has the lock does not give it back\n");
	sched_yield();
}

/*
 * Locks.
 */

void host_mutex_init(struct mutex *m, const char *name)
{
	pthread_mutex_init(&m->lock, NULL);
	m->owner = NULL;
	m->name = name;
}

/* What another thread does while this one is about to lock or allocate */
void (*host_preempt)(void);

/* How many mutexes this thread has */
__thread unsigned int host_mutexes;

#ifdef HOST_BENCH
/* What the kernel does when nobody else has it, and nobody else is there */
void mutex_lock(struct mutex *m)
{
	WARN_ON(cmpxchg(&m->owner, NULL, (const void *)&host_task));
}

void mutex_unlock(struct mutex *m)
{
	WARN_ON(cmpxchg(&m->owner, (const void *)&host_task, NULL) != &host_task);
}

int mutex_lock_killable(struct mutex *m)
{
	mutex_lock(m);

	return 0;
}

void quiet_lock(struct mutex *m)
{
	mutex_lock(m);
}
#else
/* Within host_stuck(): others run while one waits for a stuck mm */
static __thread bool stuck_wait;

/*
 * The order of locks: which was taken inside of which, by name, in any test of
 * the program so far. Tests are children, so that is in memory that they share.
 */

#define MAX_LOCK_CLASSES	64

static struct lock_order {
	const char *names[MAX_LOCK_CLASSES];
	unsigned int nr;
	bool inside[MAX_LOCK_CLASSES][MAX_LOCK_CLASSES];
} *lock_order;
static pthread_mutex_t lock_order_lock = PTHREAD_MUTEX_INITIALIZER;

static void __attribute__((constructor(140))) lock_order_init(void)
{
	lock_order = mmap(NULL, sizeof(*lock_order), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (lock_order == MAP_FAILED)
		host_die("no room for the order of locks\n");
}

/* Names are in the program itself, at the same place in all of its children */
static unsigned int lock_class(const struct mutex *m)
{
	const char *name = m->name ?: "a lock without a name";
	unsigned int i;

	for (i = 0; i < lock_order->nr; i++)
		if (!strcmp(lock_order->names[i], name))
			return i;
	if (i == MAX_LOCK_CLASSES)
		host_die("too many kinds of locks\n");
	lock_order->names[lock_order->nr++] = name;

	return i;
}

/* Has @inner been taken inside of @outer, or inside of what was? */
static bool lock_is_inside(unsigned int inner, unsigned int outer,
			   unsigned int depth)
{
	unsigned int i;

	if (lock_order->inside[outer][inner])
		return true;
	for (i = 0; depth && i < lock_order->nr; i++)
		if (lock_order->inside[outer][i] &&
		    lock_is_inside(inner, i, depth - 1))
			return true;

	return false;
}

static void lock_order_add(unsigned int outer, unsigned int inner)
{
	if (lock_order->inside[outer][inner])
		return;
	if (outer == inner || lock_is_inside(outer, inner, 8))
		host_die("deadlock: <%s> is taken inside of <%s>, and the other way round\n",
			 lock_order->names[inner], lock_order->names[outer]);
	lock_order->inside[outer][inner] = true;
}

/* Before @m is waited for */
static void lock_order_take(const struct mutex *m)
{
	unsigned int class, i;

	pthread_mutex_lock(&lock_order_lock);
	class = lock_class(m);
	for (i = 0; i < nr_locks_held; i++)
		lock_order_add(locks_held[i], class);
	pthread_mutex_unlock(&lock_order_lock);
	if (nr_locks_held == MAX_LOCKS_HELD)
		host_die("too many locks are held\n");
	locks_held[nr_locks_held++] = class;
}

static void lock_order_drop(const struct mutex *m)
{
	unsigned int class, i;

	pthread_mutex_lock(&lock_order_lock);
	class = lock_class(m);
	pthread_mutex_unlock(&lock_order_lock);
	for (i = nr_locks_held; i--; )
		if (locks_held[i] == class)
			break;
	WARN_ON(i == UINT_MAX);
	memmove(locks_held + i, locks_held + i + 1,
		(--nr_locks_held - i) * sizeof(*locks_held));
}

static void mutex_take(struct mutex *m)
{
	if (stuck_wait && mutex_is_mine(m))
		host_die("a lock is wanted that somebody holds who waits for a stuck mm\n");
	WARN_ON(mutex_is_mine(m));
	lock_order_take(m);
	pthread_mutex_lock(&m->lock);
	__atomic_store_n(&m->owner, &host_task, __ATOMIC_RELAXED);
	host_mutexes++;
}

/* Who is killed does not wait, but takes what is free */
int mutex_lock_killable(struct mutex *m)
{
	virtual_only(__func__);
	another_thread(host_preempt);
	if (stuck_wait && mutex_is_mine(m) && current->killed)
		return -EINTR;
	if (current->killed && pthread_mutex_trylock(&m->lock))
		return -EINTR;
	if (current->killed)
		pthread_mutex_unlock(&m->lock);
	mutex_take(m);

	return 0;
}

/* For the model of who calls the code under test: nothing happens before */
void quiet_lock(struct mutex *m)
{
	mutex_take(m);
}

void mutex_lock(struct mutex *m)
{
	virtual_only(__func__);
	another_thread(host_preempt);
	mutex_take(m);
}

void mutex_unlock(struct mutex *m)
{
	WARN_ON(!mutex_is_mine(m));
	lock_order_drop(m);
	__atomic_store_n(&m->owner, NULL, __ATOMIC_RELAXED);
	host_mutexes--;
	pthread_mutex_unlock(&m->lock);
}
#endif

/* The model's own locks do not count in real mode */
void model_lock(struct mutex *m)
{
#ifdef HOST_BENCH
	mutex_lock(m);
#else
	if (!host_real_mode)
		another_thread(host_preempt);
	mutex_take(m);
#endif
}

void model_unlock(struct mutex *m)
{
	mutex_unlock(m);
}

bool mutex_is_mine(const struct mutex *m)
{
	return __atomic_load_n(&m->owner, __ATOMIC_RELAXED) == &host_task;
}

/*
 * mmap_lock. One that is stuck (a fault in memory of FUSE, or of a server that
 * does not answer) is got once host_stuck() has returned. Before that, host_stuck()
 * does what others do meanwhile. None of it may need a lock that is held by
 * whoever waits, nor wait for the same mm; and only the process itself may wait,
 * or a worker. So a test of a request that may wait is:
 *
 *	mm->stuck = true;
 *	host_stuck = others;	sets current->mm, makes requests of others
 *	request();		or host_run_works()
 *	EXPECT_FALSE(mm->stuck);	it has come to wait
 *
 * and of one that may not, with @mm of another process:
 *
 *	mm->stuck = true;
 *	request();
 *	EXPECT_TRUE(mm->stuck);
 *
 * With mm->stuck_fault it is a fault that does not end, and the mmap_lock is free.
 * host_stuck() clears either when it wants to be another thread of the process.
 */

/* What others do while somebody waits for a stuck mm */
void (*host_stuck)(void);

static void mm_wait(struct mm_struct *mm)
{
#ifndef HOST_BENCH
	struct mm_struct *mine = current->mm;
	bool killed = current->killed;

	if (stuck_wait)
		host_die("more than one waits for a stuck mm\n");
	if (mine && mine != mm)
		host_die("a process waits for the stuck mm of another\n");
	if (!host_stuck)
		host_die("nobody gets a stuck mm going again\n");
	stuck_wait = true;
	current->killed = false;
	another_thread(host_stuck);
	stuck_wait = false;
	current->mm = mine;
	/* Others may kill it */
	current->killed |= killed;
	mm->stuck = false;
	mm->stuck_fault = false;
#endif
}

/* A page of user memory is wanted; -EINTR if its owner is killed while it waits */
static int mm_fault(struct mm_struct *mm)
{
	if (!mm->stuck && !mm->stuck_fault)
		return 0;
	mm_wait(mm);

	return current->killed ? -EINTR : 0;
}

void mmap_write_lock(struct mm_struct *mm)
{
	virtual_only(__func__);
	WARN_ON(host_mmap_locked);
	if (mm->stuck)
		mm_wait(mm);
	model_lock(&mm->mmap_lock);
}

int mmap_write_lock_killable(struct mm_struct *mm)
{
	virtual_only(__func__);
	WARN_ON(host_mmap_locked);
	if (mm->stuck) {
		mm_wait(mm);
		if (current->killed)
			return -EINTR;
	}
	model_lock(&mm->mmap_lock);

	return 0;
}

void mmap_write_unlock(struct mm_struct *mm)
{
	model_unlock(&mm->mmap_lock);
}

/*
 * Allocators: those of tools/, which never fail, between our own checks (the
 * linker's --wrap). An allocation that must not fail is no step.
 */

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

	return !(gfp & __GFP_NOFAIL) && fail_step();
}

/* What this thread allocates does not count in host_usage.largest */
static __thread bool no_array;

void *__wrap_kmalloc(size_t size, gfp_t gfp)
{
	void *p;

	another_thread(host_preempt);
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

/*
 * Model memory. Folios come from free lists, else from what was never used;
 * a freed one is reused last.
 */

struct page host_mem_map[HOST_PAGES];

static pthread_mutex_t page_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long page_next;
static struct {
	unsigned int head, tail;
	unsigned long pfn[HOST_PAGES];
} page_free[NR_ORDERS];

unsigned long page_to_phys(const struct page *page)
{
	return HOST_PHYS_BASE + ((page - host_mem_map) << PAGE_SHIFT);
}

struct page *pfn_to_page(unsigned long pfn)
{
	unsigned long i = pfn - (HOST_PHYS_BASE >> PAGE_SHIFT);

	if (i >= HOST_PAGES)
		host_die("%#lx is no page of user memory\n", pfn);

	return host_mem_map + i;
}

/* Its contents, which nobody but guests looks at */
static char *contents;

static void __attribute__((constructor(150))) contents_init(void)
{
	contents = mmap(NULL, (unsigned long)HOST_PAGES << PAGE_SHIFT,
			PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (contents == MAP_FAILED)
		host_die("no room for the contents of memory\n");
}

static char *page_contents(const struct page *page)
{
	return contents + ((unsigned long)(page - host_mem_map) << PAGE_SHIFT);
}

/* The kernel may read user memory; real mode asks later whose it was */
void *host_user_va(unsigned long pa)
{
	struct page *page = pfn_to_page(pa >> PAGE_SHIFT);

	host_preempt_real();

	return page_contents(page) + offset_in_page(pa);
}

/**
 * host_user_data() - what a user address maps
 * @mm: the process
 * @ua: the address
 *
 * Return: its contents, up to the end of the page; NULL for a hole.
 */
void *host_user_data(struct mm_struct *mm, unsigned long ua)
{
	unsigned long i = (ua - HOST_UA_BASE) >> PAGE_SHIFT;

	if (ua < HOST_UA_BASE || i >= HOST_UA_PAGES || !mm->pte[i].page)
		return NULL;

	return page_contents(mm->pte[i].page) + offset_in_page(ua);
}

/* All of model memory is unused again */
static void pages_reset(void)
{
	unsigned int order;

	memset(host_mem_map, 0, page_next * sizeof(*host_mem_map));
	page_next = 0;
	for (order = 0; order < NR_ORDERS; order++)
		page_free[order].head = page_free[order].tail;
}

static struct page *folio_alloc(struct mm_struct *mm, unsigned int order)
{
	unsigned long nr = 1UL << order, pfn, i;

	if (page_free[order].head - page_free[order].tail > 8) {
		pfn = page_free[order].pfn[page_free[order].tail++ % HOST_PAGES];
	} else {
		pfn = ALIGN(page_next, nr);
		page_next = pfn + nr;
		if (page_next > HOST_PAGES)
			host_die("out of model memory\n");
	}
	for (i = 0; i < nr; i++)
		host_mem_map[pfn + i] = (struct page) {
			.head = host_mem_map + pfn,
			.owner = mm,
		};
	host_mem_map[pfn].order = order;
	host_usage.pages += nr;

	return host_mem_map + pfn;
}

/* Nobody has any page of the folio of @page? Then it is free. */
static void folio_put(struct page *page)
{
	struct page *head = page->head;
	unsigned long nr = 1UL << head->order, i;
	unsigned int order = head->order;

	if (--head->users)
		return;
	for (i = 0; i < nr; i++) {
		WARN_ON(head[i].cached);
		head[i].owner = NULL;
	}
	page_free[order].pfn[page_free[order].head++ % HOST_PAGES] =
		head - host_mem_map;
	host_usage.pages -= nr;
}

/*
 * Processes.
 */

static void pte_set(struct mm_struct *mm, unsigned long i, struct page *page)
{
	mm->pte[i].page = page;
	mm->pte[i].readonly = false;
	page->head->users++;
}

static void map_folios(struct mm_struct *mm, unsigned long i, unsigned long end,
		       unsigned int order)
{
	struct page *page;
	unsigned long k;

	for (; i < end; i += 1UL << order) {
		page = folio_alloc(mm, order);
		for (k = 0; k < 1UL << order; k++)
			pte_set(mm, i + k, page + k);
	}
}

/* Swap, so that neighbours are not neighbours */
static void scatter(struct mm_struct *mm, unsigned long first, unsigned long nr)
{
	struct host_pte *pte = mm->pte + first;
	struct page *page;
	unsigned long i;

	for (i = 0; i < nr / 2; i += 2) {
		page = pte[i].page;
		pte[i].page = pte[nr - 1 - i].page;
		pte[nr - 1 - i].page = page;
	}
}

/**
 * mm_create() - make a process with memory of all kinds
 * @limit: its RLIMIT_MEMLOCK in pages
 *
 * Return: the process, to be given to mm_destroy().
 */
struct mm_struct *mm_create(unsigned long limit)
{
	struct mm_struct *mm = calloc(1, sizeof(*mm));
	struct page *page;
	unsigned long i;

	mm->count = 1;
	mm->limit = limit;
	mutex_init(&mm->mmap_lock);
	mm_iommu_init(mm);

	map_folios(mm, UA_SCATTERED, UA_HUGE, 0);
	scatter(mm, UA_SCATTERED, UA_CONTIGUOUS - UA_SCATTERED);
	map_folios(mm, UA_HUGE, UA_MEDIUM, ilog2(HOST_2M_PAGES));
	map_folios(mm, UA_MEDIUM, UA_SHIFTED, 4);
	page = folio_alloc(mm, 8);
	for (i = 0; i < 255; i++)
		pte_set(mm, UA_SHIFTED + i, page + 1 + i);
	map_folios(mm, UA_SHIFTED + 255, UA_ALIAS, 0);
	for (i = UA_HOLES; i < UA_ALIAS; i += 16) {
		mm_unmap(mm, i + 15, 1);
		mm->pte[i + 7].readonly = true;
	}
	for (i = UA_ALIAS; i < UA_END; i++)
		pte_set(mm, i, mm->pte[i - UA_ALIAS].page);

	return mm;
}

/**
 * mm_fill() - map more memory where nothing is
 * @mm: the process
 * @first: first page
 * @nr: how many
 * @order: of its folios; those of single pages are in no order
 */
void mm_fill(struct mm_struct *mm, unsigned long first, unsigned long nr,
	     unsigned int order)
{
	map_folios(mm, first, first + nr, order);
	if (!order)
		scatter(mm, first, nr);
}

/**
 * mm_unmap() - munmap() or MADV_DONTNEED
 * @mm: the process
 * @first: first page
 * @nr: how many
 */
void mm_unmap(struct mm_struct *mm, unsigned long first, unsigned long nr)
{
	struct page *page;

	pthread_mutex_lock(&page_lock);
	for (; nr; nr--, first++) {
		page = mm->pte[first].page;
		mm->pte[first].page = NULL;
		if (page)
			folio_put(page);
	}
	pthread_mutex_unlock(&page_lock);
}

/**
 * mm_remap() - replace memory by new single pages
 * @mm: the process
 * @first: first page
 * @nr: how many
 */
void mm_remap(struct mm_struct *mm, unsigned long first, unsigned long nr)
{
	mm_unmap(mm, first, nr);
	pthread_mutex_lock(&page_lock);
	map_folios(mm, first, first + nr, 0);
	pthread_mutex_unlock(&page_lock);
}

/**
 * mm_destroy() - a process ends
 * @mm: the process, of which nothing is registered any more
 */
void mm_destroy(struct mm_struct *mm)
{
	mm_unmap(mm, 0, HOST_UA_PAGES);
	mm_iommu_destroy(mm);
	if (mm->count != 1 || mm->locked_vm)
		host_die("a process ends with %d references, %ld pages charged\n",
			 mm->count, (long)mm->locked_vm);
	free(mm);
	if (!host_usage.pages)
		pages_reset();
}

unsigned long totalram_pages(void)
{
	return HOST_PAGES;
}

int __account_locked_vm(struct mm_struct *mm, unsigned long pages, bool inc,
			struct task_struct *task, bool bypass_rlim)
{
	int ret = 0;

	(void)task;
	(void)bypass_rlim;
	lockdep_assert_held(&mm->mmap_lock);
	mm->charges += inc;
	if (!inc) {
		WARN_ON(mm->locked_vm < pages);
		mm->locked_vm -= pages;
	} else if (mm->locked_vm + pages > mm->limit) {
		mm->refused = true;
		ret = -ENOMEM;
	} else if (fail_step()) {
		ret = -ENOMEM;
	} else {
		mm->locked_vm += pages;
	}

	return ret;
}

int account_locked_vm(struct mm_struct *mm, unsigned long pages, bool inc)
{
	int ret;

	mmap_write_lock(mm);
	ret = __account_locked_vm(mm, pages, inc, current, capable(CAP_IPC_LOCK));
	mmap_write_unlock(mm);

	return ret;
}

int pin_user_pages_fast(unsigned long start, int nr, unsigned int flags,
			struct page **pages)
{
	unsigned long i = (start - HOST_UA_BASE) >> PAGE_SHIFT;
	struct mm_struct *mm = current->mm;
	int done;

	WARN_ON(nr <= 0);
#ifndef HOST_BENCH	/* v1 of the base does not say that it is for long */
	WARN_ON(!(flags & FOLL_LONGTERM));
#endif
	if (mm_fault(mm))
		return -EINTR;
	pthread_mutex_lock(&page_lock);
	for (done = 0; done < nr; done++, i++) {
		if (start < HOST_UA_BASE || i >= HOST_UA_PAGES ||
		    !mm->pte[i].page ||
		    ((flags & FOLL_WRITE) && mm->pte[i].readonly) ||
		    fail_step())
			break;
		pages[done] = mm->pte[i].page;
		pages[done]->pins++;
		pages[done]->head->users++;
		host_usage.pins++;
	}
	pthread_mutex_unlock(&page_lock);

	return done ?: -EFAULT;
}

static void page_unpin(struct page *page, bool dirty)
{
	virtual_only("a page is unpinned");
	WARN_ON(page->pins < 1);
	page->dirty |= dirty;
	host_usage.pins--;
	page->pins--;
	if (!page->pins && __atomic_load_n(&page->cached, __ATOMIC_RELAXED))
		host_die("page %#lx is unpinned while a device can reach it\n",
			 page_to_phys(page));
	folio_put(page);
}

void unpin_user_pages_dirty_lock(struct page **pages, unsigned long nr,
				 bool dirty)
{
	unsigned long i;

	pthread_mutex_lock(&page_lock);
	for (i = 0; i < nr; i++)
		page_unpin(pages[i], dirty);
	pthread_mutex_unlock(&page_lock);
}

void unpin_user_pages(struct page **pages, unsigned long nr)
{
	unpin_user_pages_dirty_lock(pages, nr, false);
}

void unpin_user_page(struct page *page)
{
	unpin_user_pages(&page, 1);
}

void unpin_user_page_range_dirty_lock(struct page *page, unsigned long nr,
				      bool dirty)
{
	unsigned long i;

	pthread_mutex_lock(&page_lock);
	for (i = 0; i < nr; i++)
		page_unpin(page + i, dirty);
	pthread_mutex_unlock(&page_lock);
}

/* Addresses below the first page fault, as does what a step says */
static bool copy_fails(const void *user)
{
	virtual_only("a copy from or to user space");

	return (unsigned long)user < PAGE_SIZE || fail_step();
}

/* What another thread does when this one has copied something */
void (*host_copied)(void);

unsigned long copy_from_user(void *to, const void *from, unsigned long size)
{
	unsigned long ua = (unsigned long)from;

	if (copy_fails(from))
		return size;
	/* Arguments are where the host has them, memory of guests is not */
	if (ua - HOST_UA_BASE < HOST_UA_PAGES << PAGE_SHIFT) {
		if (mm_fault(current->mm))
			return size;
		from = host_user_data(current->mm, ua);
	}
	if (!from)
		return size;
	memcpy(to, from, size);
	another_thread(host_copied);

	return 0;
}

unsigned long copy_to_user(void *to, const void *from, unsigned long size)
{
	if (copy_fails(to))
		return size;
	memcpy(to, from, size);

	return 0;
}

/*
 * Work: done when somebody waits for it, or when the test says so.
 */

struct workqueue_struct {
	struct mutex running;	/* held while a work is done */
	pthread_mutex_t lock;
	struct list_head works;
};

/* Those of the system, and those that somebody has made */
static struct workqueue_struct workqueues[4];
static unsigned int nr_workqueues;
struct workqueue_struct *system_unbound_wq;

struct workqueue_struct *host_alloc_workqueue(void)
{
	struct workqueue_struct *wq = workqueues + nr_workqueues++;

	mutex_init(&wq->running);
	pthread_mutex_init(&wq->lock, NULL);
	INIT_LIST_HEAD(&wq->works);

	return wq;
}

static void __attribute__((constructor(150))) host_workqueues_init(void)
{
	system_unbound_wq = host_alloc_workqueue();
}

bool queue_work(struct workqueue_struct *wq, struct work_struct *work)
{
	bool queued;

	virtual_only(__func__);
	pthread_mutex_lock(&wq->lock);
	queued = list_empty(&work->node);
	if (queued)
		list_add_tail(&work->node, &wq->works);
	pthread_mutex_unlock(&wq->lock);

	return queued;
}

static struct work_struct *next_work(struct workqueue_struct *wq)
{
	struct work_struct *work;

	pthread_mutex_lock(&wq->lock);
	work = list_first_entry_or_null(&wq->works, struct work_struct, node);
	if (work)
		list_del_init(&work->node);
	pthread_mutex_unlock(&wq->lock);

	return work;
}

void flush_workqueue(struct workqueue_struct *wq)
{
	struct work_struct *work;

	mutex_lock(&wq->running);
	while ((work = next_work(wq)))
		work->func(work);
	mutex_unlock(&wq->running);
}

/* Let workers do what they have; they are of no process */
void host_run_works(void)
{
	struct mm_struct *mine = current->mm;
	unsigned int i;

	current->mm = NULL;
	for (i = nr_workqueues; i--; )
		flush_workqueue(workqueues + i);
	current->mm = mine;
}

/* How many works wait for a worker */
unsigned long host_works(void)
{
	struct list_head *node;
	unsigned long nr = 0;
	unsigned int i;

	for (i = 0; i < nr_workqueues; i++) {
		pthread_mutex_lock(&workqueues[i].lock);
		list_for_each(node, &workqueues[i].works)
			nr++;
		pthread_mutex_unlock(&workqueues[i].lock);
	}

	return nr;
}

/* Work for when readers of RCU have gone */
static void rcu_work_func(struct rcu_head *rcu)
{
	struct rcu_work *rwork = container_of(rcu, struct rcu_work, rcu);

	queue_work(rwork->wq, &rwork->work);
}

bool queue_rcu_work(struct workqueue_struct *wq, struct rcu_work *rwork)
{
	rwork->wq = wq;
	call_rcu(&rwork->rcu, rcu_work_func);

	return true;
}

/* How often somebody slept */
unsigned long host_sleeps;

/*
 * Sleep until something else happens. Those that hold something up while an mm
 * is stuck cannot be waited for.
 */
int host_sleep(void)
{
	virtual_only(__func__);
	__atomic_fetch_add(&host_sleeps, 1, __ATOMIC_SEQ_CST);
	if (current->killed)
		return -ERESTARTSYS;
#ifndef HOST_BENCH
	if (stuck_wait)
		host_die("somebody sleeps until a stuck mm gets going\n");
#endif
	host_relax();

	return 0;
}

/* Until nothing is left to do behind the back of the test */
void host_settle(void)
{
	host_run_works();
	rcu_barrier();
	host_run_works();
}

void seq_printf(struct seq_file *m, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	m->len += vsnprintf(m->text + m->len, sizeof(m->text) - m->len, fmt, args);
	va_end(args);
	WARN_ON(m->len >= sizeof(m->text));
}

/*
 * RCU where liburcu is not.
 */

void host_free_rcu_16(struct rcu_head *head)
{
	kfree((char *)head - 16);
}

#ifndef HOST_URCU
static pthread_rwlock_t rcu_rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_mutex_t rcu_lock = PTHREAD_MUTEX_INITIALIZER;
static struct rcu_head *rcu_callbacks;
static __thread int rcu_depth;

#ifndef HOST_BENCH
void rcu_read_lock(void)
{
	if (!rcu_depth++)
		pthread_rwlock_rdlock(&rcu_rwlock);
}

void rcu_read_unlock(void)
{
	if (!--rcu_depth)
		pthread_rwlock_unlock(&rcu_rwlock);
}
#endif

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	virtual_only(__func__);
	head->func = func;
	pthread_mutex_lock(&rcu_lock);
	head->next = rcu_callbacks;
	rcu_callbacks = head;
	pthread_mutex_unlock(&rcu_lock);
}

void rcu_barrier(void)
{
	struct rcu_head *head, *next;

	WARN_ON(rcu_depth);
	pthread_mutex_lock(&rcu_lock);
	head = rcu_callbacks;
	rcu_callbacks = NULL;
	pthread_mutex_unlock(&rcu_lock);

	/* Every reader that could see them has gone when there is none at all */
	pthread_rwlock_wrlock(&rcu_rwlock);
	pthread_rwlock_unlock(&rcu_rwlock);
	for (; head; head = next) {
		next = head->next;
		head->func(head);
	}
}
#endif

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#ifdef HOST_GCOV
#include <gcov.h>
#endif

/*
 * A test is a child that leaves by _exit(): nobody would look for leaks or
 * write down what was run.
 */
void host_test_ends(void)
{
	host_settle();
	if (host_usage.slab)
		host_die("left: %ld objects of slabs\n", host_usage.slab);
#ifdef __SANITIZE_ADDRESS__
	__lsan_do_leak_check();
#endif
#ifdef HOST_GCOV
	__gcov_dump();
	__gcov_reset();
#endif
}

/*
 * ThreadSanitizer tells volatile accesses from others and takes READ_ONCE()
 * and WRITE_ONCE() for what they are: no race, and in order where they carry a
 * pointer.
 */
#ifdef __SANITIZE_THREAD__
#define VOLATILE(n)						\
void __tsan_volatile_read##n(void *p) { __tsan_acquire(p); }	\
void __tsan_volatile_write##n(void *p) { __tsan_release(p); }	\
void __tsan_unaligned_volatile_read##n(void *p) { __tsan_acquire(p); } \
void __tsan_unaligned_volatile_write##n(void *p) { __tsan_release(p); }
VOLATILE(1)
VOLATILE(2)
VOLATILE(4)
VOLATILE(8)
VOLATILE(16)
#endif
