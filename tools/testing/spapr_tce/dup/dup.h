/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tools/include lacks and is here as the kernel has it.
 */
#ifndef _SPAPR_TCE_DUP_H
#define _SPAPR_TCE_DUP_H

#undef PAGE_SHIFT
#define PAGE_SHIFT		HOST_PAGE_SHIFT
#define PAGE_SIZE		(1UL << PAGE_SHIFT)
#define PAGE_MASK		(~(PAGE_SIZE - 1))
#define PAGE_ALIGNED(x)		IS_ALIGNED((unsigned long)(x), PAGE_SIZE)
#define offset_in_page(x)	((unsigned long)(x) & ~PAGE_MASK)
#define MAX_PAGE_ORDER		(PAGE_SHIFT == 16 ? 8 : 12)

#ifndef fallthrough
#define fallthrough		__attribute__((fallthrough))
#endif
#undef noinline
#define noinline		__attribute__((noinline))

struct kref {
	int count;
};

static inline void kref_init(struct kref *kref)
{
	__atomic_store_n(&kref->count, 1, __ATOMIC_RELAXED);
}

static inline int kref_put(struct kref *kref, void (*release)(struct kref *kref))
{
	int left = __atomic_sub_fetch(&kref->count, 1, __ATOMIC_SEQ_CST);

	WARN_ON(left < 0);
	if (!left)
		release(kref);

	return !left;
}

static inline int kref_get_unless_zero(struct kref *kref)
{
	int old = __atomic_load_n(&kref->count, __ATOMIC_RELAXED), seen;

	for (; old; old = seen) {
		seen = cmpxchg(&kref->count, old, old + 1);
		if (seen == old)
			return 1;
	}

	return 0;
}

struct work_struct {
	struct list_head node;
	struct workqueue_struct *wq;	/* where it was queued last */
	void (*func)(struct work_struct *work);
};

struct rcu_work {
	struct work_struct work;
	struct rcu_head rcu;
	struct workqueue_struct *wq;
};

#define to_rcu_work(w)		container_of(w, struct rcu_work, work)
#define INIT_RCU_WORK(rwork, fn)	INIT_WORK(&(rwork)->work, fn)

#define INIT_WORK(work, fn) do {		\
	INIT_LIST_HEAD(&(work)->node);		\
	(work)->wq = NULL;			\
	(work)->func = (fn);			\
} while (0)

struct llist_node {
	struct llist_node *next;
};

struct llist_head {
	struct llist_node *first;
};

#define init_llist_head(list)		((list)->first = NULL)
#define llist_del_all(list)		xchg(&(list)->first, NULL)

static inline bool llist_add(struct llist_node *new, struct llist_head *head)
{
	struct llist_node *first = READ_ONCE(head->first);

	do
		new->next = first;
	while (!__atomic_compare_exchange_n(&head->first, &first, new, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));

	return !first;
}

#define llist_for_each_entry_safe(pos, n, node, member)			\
	for (pos = llist_entry_safe(node, typeof(*pos), member);	\
	     pos && (n = llist_entry_safe(pos->member.next,		\
					  typeof(*pos), member), true);	\
	     pos = n)
#define llist_entry_safe(node, type, member) ({				\
	struct llist_node *_n = (node);					\
									\
	_n ? container_of(_n, type, member) : NULL;			\
})

enum dma_data_direction {
	DMA_BIDIRECTIONAL,
	DMA_TO_DEVICE,
	DMA_FROM_DEVICE,
	DMA_NONE,
};

static inline void list_add_rcu(struct list_head *new, struct list_head *head)
{
	new->next = head->next;
	new->prev = head;
	rcu_assign_pointer(head->next, new);
	new->next->prev = new;
}

/* Who is there goes on from there */
static inline void list_del_rcu(struct list_head *entry)
{
	entry->next->prev = entry->prev;
	rcu_assign_pointer(entry->prev->next, entry->next);
}

#define list_for_each_entry_rcu(pos, head, member)			\
	for (pos = list_entry(rcu_dereference((head)->next),		\
			      typeof(*pos), member);			\
	     &pos->member != (head);					\
	     pos = list_entry(rcu_dereference(pos->member.next),	\
			      typeof(*pos), member))

#endif /* _SPAPR_TCE_DUP_H */
