/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files under test use and what need not do anything here.
 */
#ifndef _SPAPR_TCE_STUB_H
#define _SPAPR_TCE_STUB_H

/* What is said to an admin goes nowhere, but not in real mode either */
static inline void __attribute__((format(printf, 1, 2)))
host_no_printk(const char *fmt, ...)
{
}

#define pr_warn_ratelimited(...) do {		\
	virtual_only("printk");			\
	host_no_printk(__VA_ARGS__);		\
} while (0)
#define pr_debug_ratelimited(...)	pr_warn_ratelimited(__VA_ARGS__)

#undef __read_mostly
#define __read_mostly
#undef __init
#undef __exit
#define __init
#define __exit

/* All that a process has mapped is device DAX, or nothing is */
struct vm_area_struct;
extern bool host_dax;
#define find_vma(mm, addr) \
	((void)(mm), (void)(addr), (struct vm_area_struct *)&host_dax)
#define vma_is_dax(vma)		(*(const bool *)(vma))

/* Who is there has no privileges */
#define CAP_IPC_LOCK			14
#define capable(cap)			((void)(cap), false)

/* Who sleeps looks again and again: see wait_event_killable() */
#define init_waitqueue_head(wq)		((void)(wq))
#define wake_up_all(wq)			((void)(wq))

/* Allocators know neither nodes nor leaks */
#define SLAB_NOLEAKTRACE			0
#define page_pgdat(page)				NULL

#define ____cacheline_aligned_in_smp
#define __iomem

#define mutex_destroy(m)	do { } while (0)

#define WQ_UNBOUND		0

#endif /* _SPAPR_TCE_STUB_H */
