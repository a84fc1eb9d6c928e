// SPDX-License-Identifier: GPL-2.0-only
/*
 * Charges to the RLIMIT_MEMLOCK of a process, for which its mmap_lock is needed.
 *
 * A process can hold its mmap_lock for any time: a page fault in memory of a FUSE
 * server ends when the server wants it to. So nobody waits for it who holds what
 * others need, or who cannot be killed:
 *
 * - A charge is asked for by the process itself. It waits if nobody waits for the
 *   process, else it fails, and is repeated after a wait without locks.
 * - What is uncharged while somebody holds the mmap_lock is owed to the process: its
 *   next charge pays that, or a worker.
 */
#include <linux/capability.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include <asm/tce_charge.h>

/**
 * struct tce_debt - what is owed to a process
 * @node: in tce_debts
 * @mm: the process, with a reference
 * @pages: how much
 * @pay: waits for the mmap_lock, and pays
 */
struct tce_debt {
	struct list_head node;
	struct mm_struct *mm;
	unsigned long pages;
	struct work_struct pay;
};

/* At most one for each mm */
static LIST_HEAD(tce_debts);
static DEFINE_SPINLOCK(tce_debts_lock);

static struct workqueue_struct *tce_debts_wq;

static struct tce_debt *tce_find_debt(struct mm_struct *mm)
{
	struct tce_debt *debt;

	assert_spin_locked(&tce_debts_lock);
	list_for_each_entry(debt, &tce_debts, node)
		if (debt->mm == mm)
			return debt;

	return NULL;
}

static void tce_pay_work(struct work_struct *work)
{
	struct tce_debt *debt = container_of(work, struct tce_debt, pay);
	struct mm_struct *mm = debt->mm;

	mmap_write_lock(mm);
	spin_lock(&tce_debts_lock);
	list_del(&debt->node);
	spin_unlock(&tce_debts_lock);
	__account_locked_vm(mm, debt->pages, false, current, true);
	mmap_write_unlock(mm);

	mmdrop(mm);
	kfree(debt);
}

static void tce_owe(struct mm_struct *mm, unsigned long pages)
{
	struct tce_debt *debt, *new;

	new = kmalloc(sizeof(*new), GFP_KERNEL | __GFP_NOFAIL);
	spin_lock(&tce_debts_lock);
	debt = tce_find_debt(mm);
	if (debt) {
		debt->pages += pages;
	} else {
		mmgrab(mm);
		new->mm = mm;
		new->pages = pages;
		INIT_WORK(&new->pay, tce_pay_work);
		list_add(&new->node, &tce_debts);
		queue_work(tce_debts_wq, &new->pay);
		new = NULL;
	}
	spin_unlock(&tce_debts_lock);
	kfree(new);
}

/* Pay what is owed before the worker does, who then finds 0 */
static void tce_pay(struct mm_struct *mm)
{
	unsigned long pages = 0;
	struct tce_debt *debt;

	mmap_assert_write_locked(mm);
	spin_lock(&tce_debts_lock);
	debt = tce_find_debt(mm);
	if (debt)
		swap(pages, debt->pages);
	spin_unlock(&tce_debts_lock);
	__account_locked_vm(mm, pages, false, current, true);
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
 * process is being killed.
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

/**
 * tce_charge_nowait() - charge locked memory to the current process if that is possible
 *			 at once
 * @mm: its mm
 * @pages: how much, in system pages
 *
 * Context: process.
 *
 * Return: 0; -ENOMEM when RLIMIT_MEMLOCK would be exceeded; -EAGAIN when somebody holds
 * the mmap_lock: drop all locks, call tce_charge_wait() and try again.
 */
int tce_charge_nowait(struct mm_struct *mm, unsigned long pages)
{
	if (!mmap_write_trylock(mm))
		return -EAGAIN;

	return tce_charge_and_unlock(mm, pages);
}
EXPORT_SYMBOL_GPL(tce_charge_nowait);

/**
 * tce_charge_wait() - wait until the current process can be charged
 * @mm: its mm
 *
 * Context: process, may sleep; takes the mmap_lock. The caller must hold no lock that
 * another process waits for.
 *
 * Return: 0; -EINTR when the process is being killed.
 */
int tce_charge_wait(struct mm_struct *mm)
{
	return tce_charge(mm, 0);
}
EXPORT_SYMBOL_GPL(tce_charge_wait);

/**
 * tce_uncharge() - uncharge locked memory of any process
 * @mm: its mm, of which the caller has a reference (mmgrab())
 * @pages: how much was charged, in system pages
 *
 * When somebody holds the mmap_lock, a worker does it as soon as that is free.
 *
 * Context: process, may sleep, but does not wait for the mmap_lock.
 */
void tce_uncharge(struct mm_struct *mm, unsigned long pages)
{
	if (!mmap_write_trylock(mm)) {
		tce_owe(mm, pages);
		return;
	}
	__account_locked_vm(mm, pages, false, current, true);
	mmap_write_unlock(mm);
}
EXPORT_SYMBOL_GPL(tce_uncharge);

/**
 * tce_charge_settle() - wait until all that was uncharged is uncharged
 * @mm: the mm of the current process
 *
 * For the end of a request that uncharges, when the caller has no lock any more: the
 * process sees the charge that it expects.
 *
 * Context: process, may sleep; takes the mmap_lock. Does not wait for it when the
 * process is being killed.
 */
void tce_charge_settle(struct mm_struct *mm)
{
	if (!list_empty_careful(&tce_debts))
		tce_charge_wait(mm);
}
EXPORT_SYMBOL_GPL(tce_charge_settle);

static int __init tce_charge_start(void)
{
	tce_debts_wq = alloc_workqueue("tce_charge", WQ_UNBOUND, 0);

	return tce_debts_wq ? 0 : -ENOMEM;
}
core_initcall(tce_charge_start);
