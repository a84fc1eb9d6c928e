/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * RCU by liburcu (HOST_URCU), or by a lock: ThreadSanitizer does not see the
 * fences of liburcu, which also is not there for other processors; or by there
 * being one thread (HOST_BENCH). Always callbacks run in rcu_barrier() at the
 * latest.
 */
#ifndef _SPAPR_TCE_SHIM_RCUPDATE_H
#define _SPAPR_TCE_SHIM_RCUPDATE_H

#ifdef HOST_URCU

#include_next <linux/rcupdate.h>

#else /* !HOST_URCU */

struct rcu_head {
	struct rcu_head *next;
	void (*func)(struct rcu_head *head);
};

#ifdef HOST_BENCH
/* As in a kernel without preemption: nothing, in its place */
static inline void rcu_read_lock(void)
{
	__asm__ __volatile__("" : : : "memory");
}

static inline void rcu_read_unlock(void)
{
	__asm__ __volatile__("" : : : "memory");
}
#else
void rcu_read_lock(void);
void rcu_read_unlock(void);
int rcu_read_ongoing(void);
#endif
#undef synchronize_rcu	/* nothing, in tools/include */
void synchronize_rcu(void);
void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head));
void rcu_barrier(void);
#define rcu_register_thread()		do { } while (0)
#define rcu_unregister_thread()		do { } while (0)

/*
 * A pointer that is published carries what was written before with it. The
 * maple tree is compiled without ThreadSanitizer, so it is told in words.
 */
#ifdef __SANITIZE_THREAD__
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#else
#define __tsan_acquire(addr)		do { } while (0)
#define __tsan_release(addr)		do { } while (0)
#endif
#define rcu_assign_pointer(p, v) do {				\
	__tsan_release((void *)&(p));				\
	__atomic_store_n(&(p), v, __ATOMIC_RELEASE);		\
} while (0)
#define rcu_dereference(p) ({					\
	__auto_type _rcu_p = __atomic_load_n(&(p), __ATOMIC_ACQUIRE); \
	__tsan_acquire((void *)&(p));				\
	_rcu_p; })
#define rcu_dereference_raw(p)		rcu_dereference(p)
#define rcu_dereference_check(p, c)	rcu_dereference(p)
#define rcu_dereference_protected(p, c)	rcu_dereference(p)
#define RCU_INIT_POINTER(p, v)		do { (p) = (v); } while (0)

#include <urcu/uatomic.h>

#endif /* HOST_URCU */

#ifdef HOST_BENCH
#define RCU_LOCKDEP_WARN(cond, what)	do { } while (0)
#else
#define rcu_read_lock_held()		(rcu_read_ongoing() != 0)
#define RCU_LOCKDEP_WARN(cond, what)	WARN_ON(cond)
#endif

/* Callers exclude each other */
#define rcu_replace_pointer(p, v, c) ({				\
	typeof(p) _rcu_old = (p);				\
	rcu_assign_pointer(p, v);				\
	_rcu_old; })

/* A callback that gets the start of the object by its offset */
#define kfree_rcu(p, field)						\
	call_rcu(&(p)->field, offsetof(typeof(*(p)), field) == 16 ?	\
		 host_free_rcu_16 : (void (*)(struct rcu_head *))abort)
void host_free_rcu_16(struct rcu_head *head);

#endif
