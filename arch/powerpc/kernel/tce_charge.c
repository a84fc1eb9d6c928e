// SPDX-License-Identifier: GPL-2.0-only
/*
 * Charges to the RLIMIT_MEMLOCK of a process, which need its mmap_lock.
 *
 * A process can hold its mmap_lock for any time: a page fault in memory of a FUSE
 * server ends when the server wants it to. So nobody waits for it who has a lock that
 * others need:
 *
 * - What cannot be charged at once is refused with -EAGAIN. The request drops its
 *   locks, waits, is charged in advance, and is repeated (struct tce_credit).
 * - What cannot be uncharged at once is owed to the process (struct tce_debt). Whoever
 *   has the mmap_lock next pays it: a worker, the next charge, or the end of the
 *   request that has uncharged.
 */
#include <linux/capability.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/panic.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include <asm/tce_charge.h>

/**
 * struct tce_debt - what is owed to a process
 * @node: in tce_debts, until it is paid
 * @mm: the process, with a reference
 * @pages: how much
 * @pay: pays if nobody else has, and frees the debt
 */
struct tce_debt {
	struct list_head node;
	struct mm_struct *mm;
	unsigned long pages;
	struct work_struct pay;
};

/* At most one debt for each mm; one credit for each request that has to wait */
static LIST_HEAD(tce_debts);
static LIST_HEAD(tce_credits);
static DEFINE_SPINLOCK(tce_charge_lock);	/* both lists, what is in them, how many */

/* How many there are, for who looks without the lock: mostly there is none */
unsigned int tce_nr_debts;
EXPORT_SYMBOL_GPL(tce_nr_debts);
static unsigned int tce_nr_credits;

/*
 * How often a request is repeated. It needs more than it was charged in advance only if
 * others have taken what it found before, or if RLIMIT_MEMLOCK does not suffice.
 */
#define TCE_CREDIT_WAITS	16

static struct workqueue_struct *tce_charge_wq;

static bool tce_mmap_trylock(struct mm_struct *mm)
{
	if (!down_write_trylock(&mm->mmap_lock))
		return false;
	/* As mmap_write_unlock() expects it */
	mm_lock_seqcount_begin(mm);

	return true;
}

static struct tce_debt *tce_find_debt(struct mm_struct *mm)
{
	struct tce_debt *debt;

	assert_spin_locked(&tce_charge_lock);
	list_for_each_entry(debt, &tce_debts, node)
		if (debt->mm == mm)
			return debt;

	return NULL;
}

/* Pay what is owed to a process */
static void tce_pay(struct mm_struct *mm)
{
	struct tce_debt *debt;

	mmap_assert_write_locked(mm);
	spin_lock(&tce_charge_lock);
	debt = tce_find_debt(mm);
	if (debt) {
		__account_locked_vm(mm, debt->pages, false, current, true);
		list_del_init(&debt->node);
		WRITE_ONCE(tce_nr_debts, tce_nr_debts - 1);
	}
	spin_unlock(&tce_charge_lock);
}

static void tce_pay_work(struct work_struct *work)
{
	struct tce_debt *debt = container_of(work, struct tce_debt, pay);
	struct mm_struct *mm = debt->mm;

	/*
	 * May take any time. Nobody kills a worker, but the detector of hung tasks
	 * passes over a sleep that a signal could end.
	 */
	if (mmap_write_lock_killable(mm))
		mmap_write_lock(mm);
	tce_pay(mm);
	mmap_write_unlock(mm);
	mmdrop(mm);
	kfree(debt);
}

static void tce_owe(struct mm_struct *mm, unsigned long pages)
{
	struct tce_debt *debt, *new;

	new = kmalloc(sizeof(*new), GFP_KERNEL | __GFP_NOFAIL);
	spin_lock(&tce_charge_lock);
	debt = tce_find_debt(mm);
	if (debt) {
		debt->pages += pages;
	} else {
		mmgrab(mm);
		new->mm = mm;
		new->pages = pages;
		INIT_WORK(&new->pay, tce_pay_work);
		list_add(&new->node, &tce_debts);
		WRITE_ONCE(tce_nr_debts, tce_nr_debts + 1);
		queue_work(tce_charge_wq, &new->pay);
		new = NULL;
	}
	spin_unlock(&tce_charge_lock);
	kfree(new);
}

/* The credit of the current task, which only the task itself changes; or NULL */
static struct tce_credit *tce_find_credit(void)
{
	struct tce_credit *credit;

	assert_spin_locked(&tce_charge_lock);
	list_for_each_entry(credit, &tce_credits, node)
		if (credit->task == current)
			return credit;

	return NULL;
}

/*
 * A request that could not be charged for all that it needs gives back what it was
 * charged for: keep that for its repetition, which needs it again.
 */
static bool tce_return_credit(struct mm_struct *mm, unsigned long pages)
{
	struct tce_credit *credit;
	bool returned;

	spin_lock(&tce_charge_lock);
	credit = tce_find_credit();
	returned = credit && credit->mm == mm;
	if (returned)
		credit->pages += pages;
	spin_unlock(&tce_charge_lock);

	return returned;
}

/**
 * tce_uncharge() - uncharge locked memory of any process
 * @mm: its mm, of which the caller has a reference (mmgrab())
 * @pages: how much was charged, in system pages
 *
 * When somebody holds the mmap_lock, that is done as soon as the lock is free. A request
 * with a struct tce_credit has the pages in its credit until it ends.
 *
 * Context: process, may sleep (it may allocate), but does not wait for the mmap_lock.
 */
void tce_uncharge(struct mm_struct *mm, unsigned long pages)
{
	if (READ_ONCE(tce_nr_credits) && tce_return_credit(mm, pages))
		return;
	if (!tce_mmap_trylock(mm)) {
		tce_owe(mm, pages);
		return;
	}
	__account_locked_vm(mm, pages, false, current, true);
	mmap_write_unlock(mm);
}
EXPORT_SYMBOL_GPL(tce_uncharge);

/**
 * __tce_charge_settle() - pay what is owed to the current process
 * @mm: its mm
 *
 * Context: process, may sleep; takes the mmap_lock. Does not wait for it when the
 * process is being killed. The caller must hold no lock that another process waits for.
 */
void __tce_charge_settle(struct mm_struct *mm)
{
	bool owed;

	spin_lock(&tce_charge_lock);
	owed = tce_find_debt(mm);
	spin_unlock(&tce_charge_lock);
	if (!owed || mmap_write_lock_killable(mm))
		return;
	tce_pay(mm);
	mmap_write_unlock(mm);
}
EXPORT_SYMBOL_GPL(__tce_charge_settle);

/* Who has the mmap_lock needs no credit, and RLIMIT_MEMLOCK must not count it */
static void tce_drop_credit(struct mm_struct *mm)
{
	struct tce_credit *credit;

	mmap_assert_write_locked(mm);
	spin_lock(&tce_charge_lock);
	credit = tce_find_credit();
	if (credit && credit->mm == mm) {
		__account_locked_vm(mm, credit->pages, false, current, true);
		credit->pages = 0;
	}
	spin_unlock(&tce_charge_lock);
}

/* The caller has the mmap_lock, which is dropped */
static int tce_charge_and_unlock(struct mm_struct *mm, unsigned long pages)
{
	int ret;

	tce_pay(mm);
	ret = __account_locked_vm(mm, pages, true, current,
				  capable(CAP_IPC_LOCK));
	mmap_write_unlock(mm);

	return ret;
}

/**
 * tce_charge() - charge locked memory to the current process
 * @mm: its mm
 * @pages: how much, in system pages
 *
 * Context: process, may sleep; takes the mmap_lock. Does not wait for it when the
 * process is being killed. The caller must hold no lock that another process waits for.
 *
 * Return: 0; -ENOMEM when RLIMIT_MEMLOCK would be exceeded; -EINTR when the process is
 * being killed.
 */
int tce_charge(struct mm_struct *mm, unsigned long pages)
{
	if (mmap_write_lock_killable(mm))
		return -EINTR;

	return tce_charge_and_unlock(mm, pages);
}
EXPORT_SYMBOL_GPL(tce_charge);

/*
 * Use a credit of the current task. Returns 0, the -ENOMEM that the task got when it
 * waited, or -EAGAIN if there is too little: then the task will wait for that much.
 */
static int tce_use_credit(unsigned long pages)
{
	struct tce_credit *credit;
	int ret = -EAGAIN;

	spin_lock(&tce_charge_lock);
	credit = tce_find_credit();
	if (credit && credit->pages >= pages) {
		credit->pages -= pages;
		ret = 0;
	} else if (credit) {
		ret = credit->ret ?: -EAGAIN;
		credit->ret = 0;
		credit->wanted = pages - credit->pages;
	}
	spin_unlock(&tce_charge_lock);

	return ret;
}

/**
 * tce_charge_nowait() - charge locked memory to the current process, at once or not
 * @mm: its mm
 * @pages: how much, in system pages
 *
 * Context: process.
 *
 * Return: 0; -ENOMEM when RLIMIT_MEMLOCK would be exceeded; -EAGAIN when somebody holds
 * the mmap_lock: drop all locks and repeat the request with a struct tce_credit.
 */
int tce_charge_nowait(struct mm_struct *mm, unsigned long pages)
{
	if (READ_ONCE(tce_nr_credits)) {
		int ret = tce_use_credit(pages);

		if (ret != -EAGAIN)
			return ret;
	}
	if (!tce_mmap_trylock(mm))
		return -EAGAIN;
	if (READ_ONCE(tce_nr_credits))
		tce_drop_credit(mm);

	return tce_charge_and_unlock(mm, pages);
}
EXPORT_SYMBOL_GPL(tce_charge_nowait);

/**
 * tce_credit_begin() - begin to repeat a request that could not be charged at once
 * @credit: for tce_credit_wait() and tce_credit_end()
 * @mm: the mm of the current process
 *
 * Context: process.
 */
void tce_credit_begin(struct tce_credit *credit, struct mm_struct *mm)
{
	credit->task = current;
	credit->mm = mm;
	credit->wanted = 0;
	credit->pages = 0;
	credit->ret = 0;
	credit->waits = 0;
	spin_lock(&tce_charge_lock);
	list_add(&credit->node, &tce_credits);
	WRITE_ONCE(tce_nr_credits, tce_nr_credits + 1);
	spin_unlock(&tce_charge_lock);
}
EXPORT_SYMBOL_GPL(tce_credit_begin);

/**
 * tce_credit_wait() - charge what the request could not be charged
 * @credit: from tce_credit_begin()
 *
 * The repeated request uses that. If RLIMIT_MEMLOCK would be exceeded, the repeated
 * request gets that error where it is charged, where it can give levels back.
 *
 * Context: process, may sleep; takes the mmap_lock. The caller must hold no lock that
 * another process waits for.
 *
 * Return: 0; -EINTR when the process is being killed; -ENOMEM when the request was
 * repeated in vain too often.
 */
int tce_credit_wait(struct tce_credit *credit)
{
	if (++credit->waits > TCE_CREDIT_WAITS)
		return -ENOMEM;
	if (mmap_write_lock_killable(credit->mm))
		return -EINTR;
	credit->ret = tce_charge_and_unlock(credit->mm, credit->wanted);
	if (!credit->ret)
		credit->pages += credit->wanted;

	return 0;
}
EXPORT_SYMBOL_GPL(tce_credit_wait);

/**
 * tce_credit_end() - end a request that was repeated, and uncharge what it did not need
 * @credit: from tce_credit_begin()
 *
 * Context: process, may sleep.
 */
void tce_credit_end(struct tce_credit *credit)
{
	spin_lock(&tce_charge_lock);
	list_del(&credit->node);
	WRITE_ONCE(tce_nr_credits, tce_nr_credits - 1);
	spin_unlock(&tce_charge_lock);
	if (credit->pages)
		tce_uncharge(credit->mm, credit->pages);
}
EXPORT_SYMBOL_GPL(tce_credit_end);

static int __init tce_charge_start(void)
{
	tce_charge_wq = alloc_workqueue("tce_charge", WQ_UNBOUND, 0);
	if (!tce_charge_wq)
		panic("no memory for the work of TCE tables\n");

	return 0;
}
core_initcall(tce_charge_start);
