/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lock of a table's TCEs: a mutex for owners that may sleep, and a spinlock for
 * those that may not.
 */
#ifndef _ASM_POWERPC_TCE_LOCK_H
#define _ASM_POWERPC_TCE_LOCK_H

#include <linux/atomic.h>
#include <linux/irqflags.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/processor.h>

#include <asm/reg.h>

/**
 * struct tce_lock - the right to change the TCEs of a table
 * @lock: serializes owners that may sleep
 * @word: 0, or what its owner may do: %TCE_LOCK_SPINS or %TCE_LOCK_SLEEPS
 *
 * An owner that holds the mutex may sleep. The other owners have interrupts off,
 * hold the lock for some forty thousand instructions at most and are not preempted,
 * so any thread may spin for them. With interrupts off do not spin for an owner
 * that may sleep, and only try a second lock while holding one.
 */
struct tce_lock {
	struct mutex lock;	/* of owners that may sleep */
	unsigned long word;
};

#define TCE_LOCK_SPINS		1UL
#define TCE_LOCK_SLEEPS		2UL

static inline void tce_lock_init(struct tce_lock *lock)
{
	mutex_init(&lock->lock);
	lock->word = 0;
}

/*
 * For assertions in code that runs in real mode as well, where nothing can warn. Test
 * irqs_disabled(), not lockdep_assert_irqs_disabled(): to lockdep interrupts are
 * enabled while a guest runs, and still are where its hypercalls are answered early.
 */
#define tce_assert_virtual(cond) \
	lockdep_assert(!(mfmsr() & MSR_DR) || (cond))

/* For owners with interrupts off. Returns false if somebody else has the lock */
static inline bool tce_trylock_rm(struct tce_lock *lock)
{
	tce_assert_virtual(irqs_disabled());

	return !cmpxchg_acquire(&lock->word, 0UL, TCE_LOCK_SPINS);
}

/* The same, but spin. Returns false if the lock has an owner that may sleep */
static inline bool tce_lock_spin_rm(struct tce_lock *lock)
{
	while (unlikely(!tce_trylock_rm(lock))) {
		if (READ_ONCE(lock->word) == TCE_LOCK_SLEEPS)
			return false;
		cpu_relax();
	}

	return true;
}

static inline void tce_unlock_rm(struct tce_lock *lock)
{
	/* Pairs with the cmpxchg_acquire() of the next owner */
	smp_store_release(&lock->word, 0UL);
}

/* With the mutex held, wait for an owner that does not sleep */
static inline void tce_lock_bit(struct tce_lock *lock)
{
	lockdep_assert_held(&lock->lock);
	while (unlikely(cmpxchg_acquire(&lock->word, 0UL, TCE_LOCK_SLEEPS)))
		cpu_relax();
}

/* For owners that may sleep */
static inline void tce_lock(struct tce_lock *lock)
{
	mutex_lock(&lock->lock);
	tce_lock_bit(lock);
}

/* The same. Returns 0, or -EINTR if the process is killed while it waits */
static inline int tce_lock_killable(struct tce_lock *lock)
{
	int ret = mutex_lock_killable(&lock->lock);

	if (!ret)
		tce_lock_bit(lock);

	return ret;
}

static inline void tce_unlock(struct tce_lock *lock)
{
	tce_unlock_rm(lock);
	mutex_unlock(&lock->lock);
}

/* Assert that the caller owns the lock by tce_lock(). lockdep sees no other owners */
static inline void tce_lock_assert_held(struct tce_lock *lock)
{
	lockdep_assert_held(&lock->lock);
}

/* Assert that the caller owns the lock, by tce_lock() or with interrupts off */
static inline void tce_lock_assert_owned(struct tce_lock *lock)
{
	tce_assert_virtual(READ_ONCE(lock->word) == TCE_LOCK_SPINS ?
			   irqs_disabled() : lockdep_is_held(&lock->lock));
}

#endif /* _ASM_POWERPC_TCE_LOCK_H */
