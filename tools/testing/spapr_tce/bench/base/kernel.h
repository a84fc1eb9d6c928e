/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel as the base's files see it: that of ours, and what only they need
 * of it (bench-base.c).
 */
#ifndef _SPAPR_TCE_SHIM_BASE_KERNEL_H
#define _SPAPR_TCE_SHIM_BASE_KERNEL_H

#include "../../custom/kernel.h"

#undef pr_debug
#define pr_debug(fmt, ...)	((void)0)
#define MODULE_AUTHOR(x)
#define MODULE_VERSION(x)
#define MODULE_ALIAS(x)
#define pr_warn(fmt, ...)	fprintf(stderr, fmt, ##__VA_ARGS__)

/* A POWER9 */
#define CPU_FTR_ARCH_207S	1
#define CPU_FTR_ARCH_300	2
#define cpu_has_feature(f)	((f) & (CPU_FTR_ARCH_207S | CPU_FTR_ARCH_300))

#define atomic64_inc_not_zero(v)	atomic64_add_unless(v, 1, 0)

#define INIT_LIST_HEAD_RCU(head)	INIT_LIST_HEAD(head)
#undef list_for_each_entry_rcu
#undef list_for_each_entry_lockless
#define list_for_each_entry_rcu(pos, head, member, cond...)		\
	for (pos = list_entry(READ_ONCE((head)->next), typeof(*pos), member); \
	     &pos->member != (head);					\
	     pos = list_entry(READ_ONCE(pos->member.next), typeof(*pos), member))
#define list_for_each_entry_lockless(pos, head, member)			\
	list_for_each_entry_rcu(pos, head, member)

#define __vmalloc(size, gfp)	kzalloc(size, GFP_KERNEL)
#define vzalloc(size)		kzalloc(size, GFP_KERNEL)
#define vfree(p)		kfree(p)

static inline int get_order(unsigned long size)
{
	return size > PAGE_SIZE ? ilog2((size - 1) >> PAGE_SHIFT) + 1 : 0;
}

#define compound_head(page)	((page)->head)
#define page_to_pfn(page)	(page_to_phys(page) >> PAGE_SHIFT)
#define PageHuge(page)		((page)->head->order != 0)
static inline unsigned int page_shift(struct page *page)
{
	return PAGE_SHIFT + page->head->order;
}

/* Atomic in the kernel, where it is one of many flags */
static inline void SetPageDirty(struct page *page)
{
	__atomic_fetch_or((unsigned char *)&page->head->dirty, 1,
			  __ATOMIC_RELAXED);
}

#define pin_user_pages(start, nr, flags, pages) \
	((long)pin_user_pages_fast(start, nr, flags, pages))

int of_property_count_u32_elems(const struct device_node *np, const char *name);
int iommu_group_id(struct iommu_group *group);

#endif
