// SPDX-License-Identifier: GPL-2.0-only
/*
 * Work, done when somebody waits for it or when the test says so; who sleeps; RCU
 * where liburcu is not.
 */
#include <stdarg.h>

#include "host.h"

struct workqueue_struct {
	struct mutex running;	/* held while a work is done */
	pthread_mutex_t lock;
	struct list_head works;
};

/* Those of the system, and those that somebody has made */
static struct workqueue_struct workqueues[5];
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
	__atomic_store_n(&work->wq, wq, __ATOMIC_RELAXED);
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

/* Whose work this thread does */
static __thread struct workqueue_struct *working;

void flush_workqueue(struct workqueue_struct *wq)
{
	struct work_struct *work;

	mutex_lock(&wq->running);
	working = wq;
	while ((work = next_work(wq)))
		work->func(work);
	working = NULL;
	mutex_unlock(&wq->running);
}

/* Of those that are made again: the last */
void destroy_workqueue(struct workqueue_struct *wq)
{
	flush_workqueue(wq);
	WARN_ON(wq != workqueues + --nr_workqueues);
}

/* Is this a work for which nobody waits before a module goes? */
bool host_work_of_system(void)
{
	return working == system_unbound_wq;
}

bool cancel_work_sync(struct work_struct *work)
{
	struct workqueue_struct *wq = __atomic_load_n(&work->wq, __ATOMIC_RELAXED);
	bool queued;

	if (!wq)
		return false;
	pthread_mutex_lock(&wq->lock);
	queued = !list_empty(&work->node);
	list_del_init(&work->node);
	pthread_mutex_unlock(&wq->lock);
	/* It may be running */
	mutex_lock(&wq->running);
	mutex_unlock(&wq->running);

	return queued;
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
	if (host_stuck_wait)
		host_die("somebody sleeps until a stuck mm gets going\n");
#endif
	host_relax();

	return 0;
}

/* Until nothing is left to do behind the back of the test */
void host_settle(void)
{
#ifndef HOST_BENCH	/* which has no guests */
	host_srcu_barrier();
#endif
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

int rcu_read_ongoing(void)
{
	return rcu_depth;
}
#endif

/* Every reader that could see what went has gone when there is none at all */
void synchronize_rcu(void)
{
	WARN_ON(rcu_depth);
	pthread_rwlock_wrlock(&rcu_rwlock);
	pthread_rwlock_unlock(&rcu_rwlock);
}

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

	pthread_mutex_lock(&rcu_lock);
	head = rcu_callbacks;
	rcu_callbacks = NULL;
	pthread_mutex_unlock(&rcu_lock);

	synchronize_rcu();
	for (; head; head = next) {
		next = head->next;
		head->func(head);
	}
}
#endif
