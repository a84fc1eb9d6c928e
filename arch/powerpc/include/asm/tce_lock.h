/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lock of a table's TCEs: a mutex that real mode can try.
 */
#ifndef _ASM_POWERPC_TCE_LOCK_H
#define _ASM_POWERPC_TCE_LOCK_H

#include <linux/bitops.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/processor.h>

/**
 * struct tce_lock - the right to change the TCEs of a table
 * @lock: serializes owners in virtual mode
 * @word: bit 0 is set while there is an owner, in either mode
 *
 * An owner in virtual mode may sleep. Real mode cannot wait for that: it tries
 * the lock, and leaves its work to virtual mode if that fails. It holds the
 * lock for a few thousand instructions at most and is not preempted, so
 * virtual mode may spin for it.
 */
struct tce_lock {
	struct mutex lock;	/* of owners in virtual mode */
	unsigned long word;
};

static inline void tce_lock_init(struct tce_lock *lock)
{
	mutex_init(&lock->lock);
	lock->word = 0;
}

static inline bool tce_trylock_rm(struct tce_lock *lock)
{
	return !test_and_set_bit_lock(0, &lock->word);
}

static inline void tce_unlock_rm(struct tce_lock *lock)
{
	clear_bit_unlock(0, &lock->word);
}

/* With the mutex held, wait for an owner in real mode */
static inline void tce_lock_bit(struct tce_lock *lock)
{
	while (unlikely(!tce_trylock_rm(lock)))
		cpu_relax();
}

static inline void tce_lock(struct tce_lock *lock)
{
	mutex_lock(&lock->lock);
	tce_lock_bit(lock);
}

/* Returns -EINTR when the caller is killed while it waits */
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

/* In virtual mode */
static inline void tce_lock_assert_held(struct tce_lock *lock)
{
	lockdep_assert_held(&lock->lock);
}

#endif /* _ASM_POWERPC_TCE_LOCK_H */
