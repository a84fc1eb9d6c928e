/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Charges to the RLIMIT_MEMLOCK of a process
 */
#ifndef _ASM_POWERPC_TCE_CHARGE_H
#define _ASM_POWERPC_TCE_CHARGE_H

struct mm_struct;

int tce_charge(struct mm_struct *mm, unsigned long pages);
int tce_charge_nowait(struct mm_struct *mm, unsigned long pages);
int tce_charge_wait(struct mm_struct *mm);
void tce_uncharge(struct mm_struct *mm, unsigned long pages);
void tce_charge_settle(struct mm_struct *mm);

#endif /* _ASM_POWERPC_TCE_CHARGE_H */
