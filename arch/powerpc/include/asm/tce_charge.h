/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Charges to the RLIMIT_MEMLOCK of a process
 */
#ifndef _ASM_POWERPC_TCE_CHARGE_H
#define _ASM_POWERPC_TCE_CHARGE_H

#include <linux/compiler.h>
#include <linux/list.h>
#include <linux/types.h>

struct mm_struct;
struct task_struct;

/**
 * struct tce_credit - what a request was charged in advance
 * @node: in a list of all
 * @task: whose request
 * @mm: the mm of its process
 * @wanted: what could not be charged at once, in system pages
 * @pages: what was charged, and is not used yet, in system pages
 * @ret: the error of that charge, until the request has got it
 * @waits: how often the request has waited
 *
 * A request that got -EAGAIN does, with no locks held:
 *
 *	tce_credit_begin(&credit, current->mm);
 *	do {
 *		ret = request();
 *		if (ret != -EAGAIN)
 *			break;
 *		ret = tce_credit_wait(&credit);
 *	} while (!ret);
 *	tce_credit_end(&credit);
 */
struct tce_credit {
	struct list_head node;
	struct task_struct *task;
	struct mm_struct *mm;
	unsigned long wanted;
	unsigned long pages;
	int ret;
	unsigned int waits;
};

extern unsigned int tce_nr_debts;

int tce_charge(struct mm_struct *mm, unsigned long pages);
int tce_charge_nowait(struct mm_struct *mm, unsigned long pages);
void tce_credit_begin(struct tce_credit *credit, struct mm_struct *mm);
int tce_credit_wait(struct tce_credit *credit);
void tce_credit_end(struct tce_credit *credit);
void tce_uncharge(struct mm_struct *mm, unsigned long pages);
void __tce_charge_settle(struct mm_struct *mm);

/* At the end of a request, without locks: the process sees the charge it expects */
static inline void tce_charge_settle(struct mm_struct *mm)
{
	if (unlikely(READ_ONCE(tce_nr_debts)))
		__tce_charge_settle(mm);
}

#endif /* _ASM_POWERPC_TCE_CHARGE_H */
