// SPDX-License-Identifier: GPL-2.0-only
/* TCE tables of guests as they are, and a look into them */
#include "book3s_64_vio.c"

#include "kvm.h"

static void glue_table(struct kvmppc_spapr_tce_table *stt,
		       struct host_kvm_table *table)
{
	struct kvmppc_tce_link *link;

	*table = (struct host_kvm_table) {
		.liobn = stt->liobn,
		.page_shift = stt->page_shift,
		.offset = stt->offset,
		.size = stt->size,
		.mm = stt->account.mm,
		.charged = stt->account.bytes,
		.guest_tces = &stt->guest_tces,
		.locked = stt->lock.word,
	};
	list_for_each_entry(link, &stt->links, node) {
		if (table->nr_links == HOST_LINKS)
			host_die("more than %d links\n", HOST_LINKS);
		table->links[table->nr_links++] = link->tbl;
	}
}

/* A table of a guest that can be found, in the order of LIOBNs; false if none */
bool glue_kvm_next(struct kvm *kvm, unsigned long *liobn,
		   struct host_kvm_table *table)
{
	struct kvmppc_spapr_tce_table *stt, *next = NULL;
	int bucket;

	hash_for_each(kvm->arch.spapr_tce_tables, bucket, stt, node)
		if (stt->liobn >= *liobn && (!next || stt->liobn < next->liobn))
			next = stt;
	if (!next)
		return false;
	*liobn = next->liobn;
	glue_table(next, table);

	return true;
}

/* The lock of a table that is there */
struct tce_lock *glue_kvm_lock(struct kvm *kvm, unsigned long liobn)
{
	return &kvmppc_tce_find(kvm, liobn)->lock;
}

/* What the guest has put, without a look at what user space has mapped */
u64 glue_kvm_load(const struct host_kvm_table *table, unsigned long index)
{
	u64 *entry = (u64 *)tce_tree_walk(table->guest_tces, index);

	return entry ? READ_ONCE(*entry) : 0;
}
