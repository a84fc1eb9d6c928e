// SPDX-License-Identifier: GPL-2.0-only
/*
 * Locks: they know their owner, and in which order they were taken. The mmap_lock
 * can be stuck.
 */
#include <sys/mman.h>

#include "host.h"

/* In a fault, until it gives that up */
__thread bool host_mmap_locked;

/* The locks that a thread has, by kind; see below */
#define MAX_LOCKS_HELD		16

static __thread unsigned int locks_held[MAX_LOCKS_HELD];
static __thread unsigned int nr_locks_held;

/* What a test wants another thread to do now; that has locks of its own */
void another_thread(void (*fn)(void))
{
	unsigned int held[MAX_LOCKS_HELD], nr = nr_locks_held;
	unsigned long flags;

	if (!fn)
		return;
	memcpy(held, locks_held, sizeof(held));
	nr_locks_held = 0;
	local_irq_save(flags);
	local_irq_restore(false);
	fn();
	local_irq_restore(flags);
	memcpy(locks_held, held, sizeof(held));
	nr_locks_held = nr;
}

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
/* What the kernel does when nobody else has it; a little while is all that one has */
void mutex_lock(struct mutex *m)
{
	while (cmpxchg(&m->owner, NULL, (const void *)&host_task))
		cpu_relax();
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

int mutex_trylock(struct mutex *m)
{
	mutex_lock(m);

	return 1;
}

void quiet_lock(struct mutex *m)
{
	mutex_lock(m);
}

int down_read_killable(struct rw_semaphore *sem)
{
	WARN_ON(sem->m.owner);
	__atomic_add_fetch(&sem->shared, 1, __ATOMIC_ACQUIRE);

	return 0;
}

void up_read(struct rw_semaphore *sem)
{
	__atomic_sub_fetch(&sem->shared, 1, __ATOMIC_RELEASE);
}

void down_write(struct rw_semaphore *sem)
{
	mutex_lock(&sem->m);
	WARN_ON(sem->shared);
}

int down_write_killable(struct rw_semaphore *sem)
{
	down_write(sem);

	return 0;
}

void up_write(struct rw_semaphore *sem)
{
	mutex_unlock(&sem->m);
}
#else
/* Others run while this thread waits: for a stuck mm, or for memory */
__thread bool host_stuck_wait;

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
	if (host_stuck_wait && mutex_is_mine(m))
		host_die("a lock is wanted that somebody holds who waits\n");
	WARN_ON(mutex_is_mine(m));
	lock_order_take(m);
	pthread_mutex_lock(&m->lock);
	__atomic_store_n(&m->owner, &host_task, __ATOMIC_RELAXED);
	host_mutexes++;
}

int mutex_trylock(struct mutex *m)
{
	if (pthread_mutex_trylock(&m->lock))
		return 0;
	lock_order_take(m);
	__atomic_store_n(&m->owner, &host_task, __ATOMIC_RELAXED);
	host_mutexes++;

	return 1;
}

/* Who is killed does not wait, but takes what is free */
int mutex_lock_killable(struct mutex *m)
{
	sleeper_only(__func__);
	another_thread(host_preempt);
	if (host_stuck_wait && mutex_is_mine(m) && current->killed)
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
	sleeper_only(__func__);
	another_thread(host_preempt);
	mutex_take(m);
}

/* What others do while this thread has given a mutex back, and still looks at it */
void (*host_unlocked)(void);

void mutex_unlock(struct mutex *m)
{
	WARN_ON(!mutex_is_mine(m));
	lock_order_drop(m);
	__atomic_store_n(&m->owner, NULL, __ATOMIC_RELAXED);
	host_mutexes--;
	pthread_mutex_unlock(&m->lock);
	if (READ_ONCE(host_unlocked)) {
		another_thread(host_unlocked);
		(void)READ_ONCE(m->owner);
	}
}

/*
 * Semaphores for one writer or many readers. What another thread does in place of
 * this one may share what this one shares.
 */

#define MAX_SHARED		4

static __thread void *shared[MAX_SHARED];

/* Put @to where @from is */
static bool shared_set(void *from, void *to)
{
	int i;

	for (i = 0; i < MAX_SHARED; i++) {
		if (shared[i] == from) {
			shared[i] = to;
			return true;
		}
	}

	return false;
}

static bool is_shared(const void *sem)
{
	int i;

	for (i = 0; i < MAX_SHARED; i++)
		if (shared[i] == sem)
			return true;

	return false;
}

/* A mutex, or a semaphore, which begins with one */
bool lock_is_mine(const void *lock)
{
	return mutex_is_mine(lock) || is_shared(lock);
}

int down_read_killable(struct rw_semaphore *sem)
{
	bool mine = mutex_is_mine(&sem->m);

	sleeper_only(__func__);
	another_thread(host_preempt);
	if (host_stuck_wait && mine && current->killed)
		return -EINTR;
	if (host_stuck_wait && mine)
		host_die("a lock is wanted that somebody holds who waits\n");
	WARN_ON(mine || (!host_stuck_wait && is_shared(sem)));
	lock_order_take(&sem->m);
	if (pthread_rwlock_tryrdlock(&sem->lock)) {
		if (current->killed) {
			lock_order_drop(&sem->m);
			return -EINTR;
		}
		pthread_rwlock_rdlock(&sem->lock);
	}
	if (!shared_set(NULL, sem))
		host_die("too many semaphores are shared\n");
	host_mutexes++;

	return 0;
}

void up_read(struct rw_semaphore *sem)
{
	WARN_ON(!shared_set(sem, NULL));
	lock_order_drop(&sem->m);
	host_mutexes--;
	pthread_rwlock_unlock(&sem->lock);
}

int down_write_killable(struct rw_semaphore *sem)
{
	bool mine = lock_is_mine(sem);

	sleeper_only(__func__);
	another_thread(host_preempt);
	if (host_stuck_wait && mine && current->killed)
		return -EINTR;
	if (host_stuck_wait && mine)
		host_die("a lock is wanted that somebody holds who waits\n");
	WARN_ON(mine);
	lock_order_take(&sem->m);
	if (pthread_rwlock_trywrlock(&sem->lock)) {
		if (current->killed) {
			lock_order_drop(&sem->m);
			return -EINTR;
		}
		pthread_rwlock_wrlock(&sem->lock);
	}
	__atomic_store_n(&sem->m.owner, &host_task, __ATOMIC_RELAXED);
	host_mutexes++;

	return 0;
}

void down_write(struct rw_semaphore *sem)
{
	bool killed = current->killed;

	current->killed = false;
	down_write_killable(sem);
	current->killed = killed;
}

void up_write(struct rw_semaphore *sem)
{
	WARN_ON(!mutex_is_mine(&sem->m));
	lock_order_drop(&sem->m);
	__atomic_store_n(&sem->m.owner, NULL, __ATOMIC_RELAXED);
	host_mutexes--;
	pthread_rwlock_unlock(&sem->lock);
}
#endif

void host_rwsem_init(struct rw_semaphore *sem, const char *name)
{
	host_mutex_init(&sem->m, name);
	pthread_rwlock_init(&sem->lock, NULL);
	sem->shared = 0;
}

void host_spin_lock(pthread_mutex_t *lock)
{
#ifndef HOST_BENCH
	if (!host_real_mode)
		another_thread(host_preempt);
#endif
	pthread_mutex_lock(lock);
}

void host_spin_unlock(pthread_mutex_t *lock)
{
#ifndef HOST_BENCH
	WARN_ON(!host_spin_is_taken(lock));
#endif
	pthread_mutex_unlock(lock);
}

bool host_spin_is_taken(pthread_mutex_t *lock)
{
	if (pthread_mutex_trylock(lock))
		return true;
	pthread_mutex_unlock(lock);

	return false;
}

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

	if (host_stuck_wait)
		host_die("more than one waits for a stuck mm\n");
	if (mine && mine != mm)
		host_die("a process waits for the stuck mm of another\n");
	if (!host_stuck)
		host_die("nobody gets a stuck mm going again\n");
	host_stuck_wait = true;
	current->killed = false;
	another_thread(host_stuck);
	host_stuck_wait = false;
	current->mm = mine;
	/* Others may kill it */
	current->killed |= killed;
	mm->stuck = false;
	mm->stuck_fault = false;
#endif
}

/* A page of user memory is wanted; -EINTR if its owner is killed while it waits */
int mm_fault(struct mm_struct *mm)
{
	if (!mm->stuck && !mm->stuck_fault)
		return 0;
	mm_wait(mm);

	return current->killed ? -EINTR : 0;
}

/* Readers of VMAs see a write by the parity of this */
void mm_lock_seqcount_begin(struct mm_struct *mm)
{
	WARN_ON(mm->writes++ & 1);
}

void mmap_write_lock(struct mm_struct *mm)
{
	sleeper_only(__func__);
	WARN_ON(host_mmap_locked);
	if (mm->stuck)
		mm_wait(mm);
	model_lock(&mm->mmap_lock);
	mm_lock_seqcount_begin(mm);
}

int mmap_write_lock_killable(struct mm_struct *mm)
{
	sleeper_only(__func__);
	WARN_ON(host_mmap_locked);
	if (mm->stuck) {
		mm_wait(mm);
		if (current->killed)
			return -EINTR;
	}
	model_lock(&mm->mmap_lock);
	mm_lock_seqcount_begin(mm);

	return 0;
}

bool host_mmap_trylock(struct mm_struct *mm)
{
	sleeper_only(__func__);

	if (mm->stuck || mm->contended || host_mmap_locked)
		return false;

	return mutex_trylock(&mm->mmap_lock);
}

void mmap_write_unlock(struct mm_struct *mm)
{
	WARN_ON(!(mm->writes++ & 1));
	model_unlock(&mm->mmap_lock);
}
