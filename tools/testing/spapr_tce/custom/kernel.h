/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel as the files under test see it, on the host: our own versions of
 * what tools/include lacks. Every compilation includes this first; headers
 * that would only say the same again are empty (see STUBS in the Makefile).
 * What is as the kernel has it is in dup/, what does nothing in stub/.
 * With HOST_BENCH nothing is checked that the kernel does not check, and one
 * thread is all there is.
 *
 * Physical addresses: user memory is model memory (struct page, without
 * contents) from HOST_PHYS_BASE on; kernel memory is host memory, at its host
 * address plus HOST_LINEAR_OFFSET. So no address is valid as the other kind.
 */
#ifndef _SPAPR_TCE_SHIM_KERNEL_H
#define _SPAPR_TCE_SHIM_KERNEL_H

/* What the configuration of a powernv kernel says */
#define CONFIG_64BIT			1
#define CONFIG_PPC64			1
#define CONFIG_PHYS_ADDR_T_64BIT	1
#define CONFIG_IOMMU_API		1
#define CONFIG_SPAPR_TCE_IOMMU		1
#define CONFIG_DEBUG_FS			1
#define CONFIG_EEH			1

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <linux/types.h>
#include <linux/kernel.h>
#include <linux/align.h>
#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/bitops.h>
#include <linux/bug.h>
#include <linux/compiler.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/numa.h>
#include <linux/overflow.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/rcupdate.h>
#include <uapi/linux/stddef.h>

/* tools/include is for programs of 32 bits, too */
#undef __ffs
#define __ffs(x)		((unsigned long)__builtin_ctzl(x))
#define __ilog2(x)		((int)(BITS_PER_LONG - 1 - __builtin_clzl(x)))
#define U64_MAX			((u64)~0ULL)
#ifndef BITS_PER_LONG_LONG
#define BITS_PER_LONG_LONG	64
#endif

#define order_base_2(n)		((n) > 1 ? ilog2((n) - 1) + 1 : 0)
#define min3(a, b, c)		min((typeof(a))min(a, b), c)
#undef min
#undef max
/* As in the kernel, constants of another type may be compared */
#define min(a, b)		({ __auto_type _a = (a); __auto_type _b = (b); \
				   _a < _b ? _a : _b; })
#define max(a, b)		({ __auto_type _a = (a); __auto_type _b = (b); \
				   _a > _b ? _a : _b; })
#undef min_t
#undef max_t
#define min_t(t, a, b)		min((t)(a), (t)(b))
#define max_t(t, a, b)		max((t)(a), (t)(b))
#define swap(a, b) do {							\
	typeof(a) swap_ = (a);						\
									\
	(a) = (b);							\
	(b) = swap_;							\
} while (0)
#define offsetofend(type, m)	(offsetof(type, m) + sizeof(((type *)0)->m))
#define check_shl_overflow(a, s, d) ({			\
	*(d) = (a) << (s);				\
	(*(d) >> (s)) != (a); })

/* A warning is a failure, with the history that led to it */
void __attribute__((noreturn, format(printf, 1, 2))) host_die(const char *fmt, ...);
#define panic(...)	host_die(__VA_ARGS__)
#undef WARN_ON_ONCE
#undef WARN_ON
#define WARN_ON(cond)		({ if (cond) host_die("%s:%d: WARN_ON(%s)\n", \
				   __FILE__, __LINE__, #cond); false; })
#define WARN_ON_ONCE(cond)	WARN_ON(cond)

/*
 * Atomics, for ThreadSanitizer to see.
 */

#undef cmpxchg
#undef xchg
#define cmpxchg(p, old, new) ({						\
	typeof(*(p)) _o = (old);					\
	__atomic_compare_exchange_n(p, &_o, new, false,			\
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
	_o; })
#define cmpxchg_acquire(p, old, new)	cmpxchg(p, old, new)
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
/*
 * What hangs on a load comes after it. host.c says that for all volatile loads, but
 * just before they are made, when what they see may not have been there yet.
 */
void __tsan_acquire(void *addr);
#undef READ_ONCE
#define READ_ONCE(x) ({							\
	union { typeof(x) value; char bytes[1]; } _loaded = { .bytes = { 0 } }; \
	__read_once_size(&(x), _loaded.bytes, sizeof(x));		\
	__tsan_acquire((void *)&(x));					\
	_loaded.value; })
#endif
#endif
#undef smp_load_acquire
/* What follows comes after the load */
#define smp_load_acquire(p)	__atomic_load_n(p, __ATOMIC_ACQUIRE)
#undef smp_store_release
/* What came before is there before the store */
#define smp_store_release(p, v)	__atomic_store_n(p, v, __ATOMIC_RELEASE)
#define xchg(p, new)		__atomic_exchange_n(p, new, __ATOMIC_SEQ_CST)

typedef struct {
	s64 counter;
} atomic64_t;

#define atomic_long_set(v, n)	__atomic_store_n(&(v)->counter, n, __ATOMIC_RELAXED)
#define atomic_long_read(v)	__atomic_load_n(&(v)->counter, __ATOMIC_RELAXED)
#define atomic_long_add(n, v)	((void)__atomic_fetch_add(&(v)->counter, n, __ATOMIC_RELAXED))
#define atomic_long_sub(n, v)	((void)__atomic_fetch_sub(&(v)->counter, n, __ATOMIC_RELAXED))
#define atomic_long_sub_return(n, v)	__atomic_sub_fetch(&(v)->counter, n, __ATOMIC_SEQ_CST)
#define atomic_long_set_release(v, n)	__atomic_store_n(&(v)->counter, n, __ATOMIC_RELEASE)
#define atomic_long_cond_read_relaxed(v, cond) ({			\
	long VAL;							\
									\
	while (VAL = atomic_long_read(v), !(cond))			\
		cpu_relax();						\
	VAL;								\
})
#define atomic_long_try_cmpxchg(v, old, new)				\
	__atomic_compare_exchange_n(&(v)->counter, old, new, false,	\
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
#define atomic_long_cmpxchg(v, old, new) ({				\
	long __old = (old);						\
									\
	atomic_long_try_cmpxchg(v, &__old, new);			\
	__old;								\
})
#define atomic64_set(v, n)	__atomic_store_n(&(v)->counter, n, __ATOMIC_RELAXED)
#define atomic64_read(v)	__atomic_load_n(&(v)->counter, __ATOMIC_RELAXED)
#define atomic64_sub_return(n, v) __atomic_sub_fetch(&(v)->counter, n, __ATOMIC_SEQ_CST)
#define atomic64_dec_and_test(v) (!atomic64_sub_return(1, v))

static inline s64 atomic64_cmpxchg(atomic64_t *v, s64 old, s64 new)
{
	return cmpxchg(&v->counter, old, new);
}

#undef mb
#undef smp_rmb
/* For barriers as the kernel has them, and more than enough */
#define smp_rmb()		__atomic_thread_fence(__ATOMIC_SEQ_CST)
#ifdef HOST_BENCH
#define mb()			smp_rmb()	/* full, too */
#else
/* What another thread does right there, on either side of which is all else */
extern void (*host_barrier)(void);
#define mb() do {	/* full, as smp_rmb() is here */		\
	void (*_fn)(void) = host_barrier;				\
	smp_rmb();	/* before what others do */			\
	if (_fn)							\
		_fn();							\
} while (0)
#endif
void host_relax(void);
#define cpu_relax()		host_relax()

static inline bool atomic64_add_unless(atomic64_t *v, s64 n, s64 unless)
{
	s64 old = atomic64_read(v), seen;

	for (; old != unless; old = seen) {
		seen = atomic64_cmpxchg(v, old, old + n);
		if (seen == old)
			return true;
	}

	return false;
}

#include "dup.h"

/* What may not be done in real mode; see host.c */
#ifdef HOST_BENCH
#define host_real_mode		false
#define virtual_only(what)	do { } while (0)
#define sleeper_only(what)	do { } while (0)
#define local_irq_save(flags)	do { (flags) = 0; } while (0)
#define local_irq_restore(flags) do { (void)(flags); } while (0)
#define irqs_disabled()		true
#else
extern __thread bool host_real_mode;
void virtual_only(const char *what);
/* Nor with interrupts off, which the model knows of this thread alone */
extern __thread bool host_irqs_off;
void sleeper_only(const char *what);
#define local_irq_save(flags) do {					\
	(flags) = host_irqs_off;					\
	host_irqs_off = true;						\
} while (0)
#define local_irq_restore(flags)	do { host_irqs_off = (flags); } while (0)
#define irqs_disabled()		host_irqs_off
#endif
#define MSR_DR			BIT(4)
#define mfmsr()			(host_real_mode ? 0 : MSR_DR)

#include "stub.h"

/*
 * Locks know their owner, and which others are taken inside of them: @name tells
 * those apart that are initialized at different places.
 */

struct mutex {
	pthread_mutex_t lock;
	const void *owner;
	const char *name;
};

void host_mutex_init(struct mutex *m, const char *name);
/* As in the kernel, what a header initializes is another one for each file */
#define mutex_init(m)		host_mutex_init(m, __BASE_FILE__ ": " #m)
void mutex_lock(struct mutex *m);
int mutex_lock_killable(struct mutex *m);
int mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);
void model_lock(struct mutex *m);
void model_unlock(struct mutex *m);
bool mutex_is_mine(const struct mutex *m);
#define DEFINE_MUTEX(m) \
	struct mutex m = { .lock = PTHREAD_MUTEX_INITIALIZER, .name = __FILE__ ": " #m }

/* Others may run before, as before a mutex */
void host_spin_lock(pthread_mutex_t *lock);
#undef spin_lock
#define spin_lock(lock)		host_spin_lock(lock)
void host_spin_unlock(pthread_mutex_t *lock);
#undef spin_unlock
#define spin_unlock(lock)	host_spin_unlock(lock)
/* It is not known by whom */
bool host_spin_is_taken(pthread_mutex_t *lock);
#define assert_spin_locked(lock)	WARN_ON(!host_spin_is_taken(lock))

/* Who shares it does not own it; @m, the first one, has its name and who does */
struct rw_semaphore {
	struct mutex m;
	pthread_rwlock_t lock;
	unsigned long shared;
};

void host_rwsem_init(struct rw_semaphore *sem, const char *name);
#define init_rwsem(sem)		host_rwsem_init(sem, __BASE_FILE__ ": " #sem)
int down_read_killable(struct rw_semaphore *sem);
void up_read(struct rw_semaphore *sem);
void down_write(struct rw_semaphore *sem);
int down_write_killable(struct rw_semaphore *sem);
void up_write(struct rw_semaphore *sem);
bool lock_is_mine(const void *lock);

#undef lockdep_assert_held
#ifdef HOST_BENCH
#define lockdep_assert_held(m)	((void)(m))
#define lockdep_assert_held_write(m)	((void)(m))
#define lockdep_assert_not_held(m)	((void)(m))
#define lockdep_assert(cond)	do { } while (0)
#define lockdep_is_held(m)	((void)(m), true)
#else
#define CONFIG_PROVE_LOCKING	1
#define lockdep_assert_held(m)	WARN_ON(!lock_is_mine(m))
#define lockdep_assert_held_write(sem)	WARN_ON(!mutex_is_mine(&(sem)->m))
#define lockdep_assert_not_held(m)	WARN_ON(lock_is_mine(m))
#define lockdep_assert(cond)	WARN_ON(!(cond))
#define lockdep_is_held(m)	lock_is_mine(m)
#endif

/*
 * Initcalls run before main().
 */

#define host_initcall(fn)						\
	static void __attribute__((constructor(200))) host_init_##fn(void) \
	{								\
		if (fn())						\
			host_die("%s failed\n", #fn);			\
	}
#define core_initcall(fn)	host_initcall(fn)
#define device_initcall(fn)	host_initcall(fn)
#undef module_init
#undef module_exit
#undef MODULE_LICENSE
#undef MODULE_DESCRIPTION
#define module_init(fn)		host_initcall(fn)
#define module_exit(fn)		void (*host_exit_##fn)(void) = fn
#define MODULE_LICENSE(x)
#define MODULE_DESCRIPTION(x)
#define THIS_MODULE		NULL
struct module;
#define module_put(module)	((void)(module))
#define MODULE_PARM_DESC(name, text)
/* For tests to change */
#define module_param_named(name, var, type, mode)	type *host_param_##name = &(var)

/*
 * Memory.
 */

/* A line of the cache, zeroed */
#define l1_dcache_bytes()	128
static inline void dcbz(void *addr)
{
	memset((void *)((unsigned long)addr & -128UL), 0, 128);
}

/* tools/lib/slab.c and tools/testing/shared/linux.c do the work (see host.c) */
#define kmem_cache_alloc_node(cache, gfp, nid)	kmem_cache_alloc(cache, gfp)
#define kvmalloc_array(n, size, gfp)		kvmalloc((n) * (size), gfp)
#undef kzalloc_node
#define kzalloc_node(size, gfp, nid)		kzalloc(size, gfp)
#define kmalloc_array(n, size, gfp)		kmalloc((n) * (size), gfp)
#undef kcalloc
#define kcalloc(n, size, gfp)			kzalloc((n) * (size), gfp)
#define __get_free_page(gfp)			host_get_free_page(gfp)
#define free_page(addr)				kfree((void *)(addr))

unsigned long host_get_free_page(gfp_t gfp);
void *kvmalloc(size_t size, gfp_t gfp);
void kvfree(void *p);
struct page *alloc_pages_node(int nid, gfp_t gfp, unsigned int order);
void free_pages(unsigned long addr, unsigned int order);
/* A page of kernel memory goes by its address */
#define page_address(page)	((void *)(page))
#define virt_to_page(p)		((struct page *)(p))

enum node_stat_item { NR_IOMMU_PAGES, NR_SECONDARY_PAGETABLE, HOST_STATS };

#define mod_node_page_state(node, item, nr)		host_stat_add(item, nr)
#define mod_lruvec_page_state(page, item, nr)		host_stat_add(item, nr)
void host_stat_add(enum node_stat_item item, long nr);

#define HOST_LINEAR_OFFSET	(1UL << 50)
#define HOST_PHYS_BASE		(1UL << 32)

void *host_user_va(unsigned long pa);

static inline unsigned long __pa(const void *p)
{
	return (unsigned long)p + HOST_LINEAR_OFFSET;
}

static inline void *__va(unsigned long pa)
{
#ifndef HOST_BENCH
	if (pa < HOST_LINEAR_OFFSET)
		return host_user_va(pa);
#endif

	return (void *)(pa - HOST_LINEAR_OFFSET);
}

#undef __pa
#define __pa(p)			__pa((const void *)(unsigned long)(p))

struct mm_struct;

/**
 * struct page - a page of model memory; a folio is its first page
 * @head: first page of the folio
 * @order: log2 of the number of pages of the folio, in the first page
 * @users: how many user addresses and pins hold the folio, in the first page
 * @pins: FOLL_PIN references
 * @owner: whose memory it is, until it is free
 * @cached: how many cached translations lead here
 * @dirty: marked dirty since it was allocated
 */
struct page {
	struct page *head;
	unsigned int order;
	int users;
	int pins;
	struct mm_struct *owner;
	int cached;
	bool dirty;
};

struct folio {
	struct page page;
};

extern struct page host_mem_map[];

unsigned long page_to_phys(const struct page *page);
struct page *pfn_to_page(unsigned long pfn);

static inline struct folio *page_folio(struct page *page)
{
	return (struct folio *)page->head;
}

static inline unsigned int folio_shift(const struct folio *folio)
{
	return PAGE_SHIFT + folio->page.order;
}

static inline unsigned long folio_nr_pages(const struct folio *folio)
{
	return 1UL << folio->page.order;
}

static inline unsigned long folio_page_idx(const struct folio *folio,
					   const struct page *page)
{
	return page - &folio->page;
}

#define folio_page(folio, n)	(&(folio)->page + (n))

#define FOLL_WRITE		0x01
#define FOLL_LONGTERM		0x100

int pin_user_pages_fast(unsigned long start, int nr, unsigned int flags,
			struct page **pages);
void unpin_user_page(struct page *page);
void unpin_user_pages(struct page **pages, unsigned long nr);
void unpin_user_pages_dirty_lock(struct page **pages, unsigned long nr,
				 bool dirty);
void unpin_user_page_range_dirty_lock(struct page *page, unsigned long nr,
				      bool dirty);
unsigned long totalram_pages(void);

/*
 * Processes.
 */

#include <asm/mmu.h>

/* The most that a process maps, in pages; and all that there is */
#ifdef HOST_BENCH
#define HOST_UA_PAGES		(1UL << 18)
#define HOST_PAGES		(1UL << 19)
#else
#define HOST_UA_PAGES		2048
#define HOST_PAGES		16384
#endif

/**
 * struct host_pte - what a user address maps
 * @page: NULL for a hole
 * @readonly: cannot be pinned for writing
 */
struct host_pte {
	struct page *page;
	bool readonly;
};

/**
 * struct mm_struct - a process's memory
 * @context: what the files under test keep in it
 * @mmap_lock: as the kernel's; readers exclude each other, too
 * @writes: odd while a writer has @mmap_lock
 * @contended: @mmap_lock is never free at once, but whoever waits gets it
 * @stuck: a page fault that does not end has @mmap_lock; see host_stuck
 * @stuck_fault: a page fault does not end, but has no lock
 * @count: references
 * @mm_users: as the kernel's; 0 when the process has ended
 * @locked_vm: what is charged, in pages
 * @limit: its RLIMIT_MEMLOCK in pages
 * @refused: a charge went over @limit
 * @charges: how often something was charged
 * @pte: what it maps from HOST_UA_BASE on
 */
struct mm_struct {
	struct host_mm_context context;
	struct mutex mmap_lock;
	unsigned int writes;
	bool contended;
	bool stuck;
	bool stuck_fault;
	int count;
	atomic_t mm_users;
	unsigned long locked_vm;
	unsigned long limit;
	bool refused;
	unsigned long charges;
	struct host_pte pte[HOST_UA_PAGES];
};

struct task_struct {
	struct mm_struct *mm;
	bool killed;
};

extern __thread struct task_struct host_task;
#define current				(&host_task)
#define task_tgid_nr(task)		((void)(task), 1)
#define fatal_signal_pending(task)	((task)->killed)
#ifdef HOST_BENCH
#define cond_resched()			do { } while (0)
#else
/* What another thread does then */
extern void (*host_resched)(void);
#define cond_resched() do {						\
	void (*_fn)(void) = host_resched;				\
	sleeper_only("cond_resched()");					\
	if (_fn)							\
		_fn();							\
} while (0)
#endif
#define might_sleep()			sleeper_only("might_sleep()")

#define mmgrab(mm)	((void)__atomic_fetch_add(&(mm)->count, 1, __ATOMIC_SEQ_CST))
#define mmdrop(mm)	WARN_ON(__atomic_sub_fetch(&(mm)->count, 1, __ATOMIC_SEQ_CST) < 1)

void mmap_write_lock(struct mm_struct *mm);
int mmap_write_lock_killable(struct mm_struct *mm);
/* Of nothing but an mmap_lock */
#define down_write_trylock(sem)						\
	host_mmap_trylock(container_of(sem, struct mm_struct, mmap_lock))
bool host_mmap_trylock(struct mm_struct *mm);
void mm_lock_seqcount_begin(struct mm_struct *mm);
#define mmap_assert_write_locked(mm)	lockdep_assert_held(&(mm)->mmap_lock)
void mmap_write_unlock(struct mm_struct *mm);
#define mmap_read_lock(mm)		mmap_write_lock(mm)
#define mmap_read_lock_killable(mm)	mmap_write_lock_killable(mm)
#define mmap_read_unlock(mm)		mmap_write_unlock(mm)
int account_locked_vm(struct mm_struct *mm, unsigned long pages, bool inc);
int __account_locked_vm(struct mm_struct *mm, unsigned long pages, bool inc,
			struct task_struct *task, bool bypass_rlim);

unsigned long copy_from_user(void *to, const void *from, unsigned long size);
unsigned long copy_to_user(void *to, const void *from, unsigned long size);
long copy_to_user_nofault(void *to, const void *from, unsigned long size);
unsigned long fault_in_safe_writeable(const void *to, unsigned long size);

/*
 * Work.
 */

struct workqueue_struct;
bool queue_rcu_work(struct workqueue_struct *wq, struct rcu_work *rwork);
extern struct workqueue_struct *system_unbound_wq;
#define alloc_workqueue(name, flags, max)	host_alloc_workqueue()
struct workqueue_struct *host_alloc_workqueue(void);
void destroy_workqueue(struct workqueue_struct *wq);
bool queue_work(struct workqueue_struct *wq, struct work_struct *work);
void flush_workqueue(struct workqueue_struct *wq);
#define schedule_work(work)		queue_work(system_unbound_wq, work)
bool cancel_work_sync(struct work_struct *work);

/*
 * Sleeping: whoever does looks again and again.
 */

typedef struct {
} wait_queue_head_t;

#ifndef ERESTARTSYS
#define ERESTARTSYS			512
#endif
int host_sleep(void);
#define wait_event_killable(wq, cond) ({		\
	int _ret = 0;					\
							\
	while (!(cond) && !_ret)			\
		_ret = host_sleep();			\
	_ret;						\
})

/*
 * debugfs: the show function is called by hand.
 */

struct seq_file {
	void *private;
	char text[16384];
	size_t len;
};

struct dentry;
struct inode;
struct file;
struct file_operations {
	void *owner;
	int (*show)(struct seq_file *m, void *unused);
	const struct seq_operations *seq;
	int (*mmap)(struct file *file, struct vm_area_struct *vma);
	int (*release)(struct inode *inode, struct file *file);
};

static inline struct dentry *debugfs_create_dir(const char *name, struct dentry *parent)
{
	return NULL;
}

static inline void debugfs_create_file(const char *name, unsigned int mode,
				       struct dentry *dir, void *data,
				       const struct file_operations *fops)
{
}

static inline void debugfs_remove(struct dentry *dir)
{
}

void __attribute__((format(printf, 2, 3)))
seq_printf(struct seq_file *m, const char *fmt, ...);
#define DEFINE_SHOW_ATTRIBUTE(name) \
	const struct file_operations name##_fops = { .show = name##_show }
struct seq_operations {
	void *(*start)(struct seq_file *m, loff_t *pos);
	void (*stop)(struct seq_file *m, void *v);
	void *(*next)(struct seq_file *m, void *v, loff_t *pos);
	int (*show)(struct seq_file *m, void *v);
};

#define SEQ_START_TOKEN		((void *)1)
#define SEQ_SKIP		1
#define seq_putc(m, c)		seq_printf(m, "%c", c)
#define DEFINE_SEQ_ATTRIBUTE(name) \
	const struct file_operations name##_fops = { .seq = &name##_sops }

/*
 * Devices, as far as asm/iommu.h and the PHB code name them.
 */

typedef u64 dma_addr_t;
#undef __attribute_const__
#define __attribute_const__	__attribute__((const))
#define ASM_CONST(x)		(x##UL)
#define PPC_BIT(n)		(1UL << (63 - (n)))

struct iommu_table;
struct iommu_group;
struct pci_controller_ops;

struct device_node {
	const u32 *tce_sizes;
	int nr_tce_sizes;
	struct property *properties;
	struct property *deadprops;
	struct device_node *parent;
	struct pci_dn *data;
};

struct device {
	struct iommu_group *iommu_group;
	struct {
		struct iommu_table *iommu_table_base;
		u64 dma_offset;
	} archdata;
};

int of_property_read_u32_index(const struct device_node *np, const char *name,
			       u32 index, u32 *value);

/* Real mode does this; another thread may do something before */
#define list_for_each_entry_lockless(pos, head, member)			\
	for (host_preempt_real(),					\
	     pos = list_entry(rcu_dereference((head)->next),		\
			      typeof(*pos), member);			\
	     &pos->member != (head);					\
	     pos = list_entry(rcu_dereference(pos->member.next),	\
			      typeof(*pos), member))
void host_preempt_real(void);

void *iommu_group_get_iommudata(struct iommu_group *group);
void iommu_group_set_iommudata(struct iommu_group *group, void *data,
			       void (*release)(void *data));
struct iommu_group *iommu_group_ref_get(struct iommu_group *group);
void iommu_group_put(struct iommu_group *group);
int iommu_group_id(struct iommu_group *group);

#include <asm/mmu_context.h>

#endif /* _SPAPR_TCE_SHIM_KERNEL_H */
