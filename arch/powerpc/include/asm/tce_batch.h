/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Batches: what a guest asks for in one hypercall.
 */
#ifndef _ASM_POWERPC_TCE_BATCH_H
#define _ASM_POWERPC_TCE_BATCH_H

#include <linux/types.h>

#include <asm/tce.h>

struct mm_iommu_table_group_mem_t;
struct mm_struct;

/**
 * struct tce_batch - pages that a guest maps and unmaps, one after the other
 * @mm: whose memory
 * @uas: for each its user address and TCE_PCI_READ, TCE_PCI_WRITE; 0: to be
 *	 unmapped
 * @nr: how many, at least 1
 * @page_shift: log2 of the size of a page; at least that of the IOMMU page, of
 *		which several may make one
 * @write_reads: a page that may be written may be read as well; set by
 *		 user_table_commit_batch()
 * @mem: the region of one of the pages, while these are referenced; or NULL
 * @hpas: room for as many real addresses, which mm_iommu_resolve_batch() sets,
 *	  with permissions as in @uas
 * @nr_mapped: how many are not 0; set with them
 * @write: one of them may be written; set with them
 */
struct tce_batch {
	struct mm_struct *mm;
	const unsigned long *uas;
	unsigned long nr;
	unsigned int page_shift;
	bool write_reads;
	struct mm_iommu_table_group_mem_t *mem;
	unsigned long *hpas;
	unsigned long nr_mapped;
	bool write;
};

/**
 * tce_batch_page() - an IOMMU page of a batch
 * @batch: the batch
 * @page_shift: log2 of the IOMMU page size
 * @page: which, counted from where the batch begins
 *
 * Return: its user address and permissions; 0: to be unmapped.
 */
static inline unsigned long
tce_batch_page(const struct tce_batch *batch, unsigned int page_shift,
	       unsigned long page)
{
	unsigned int split = batch->page_shift - page_shift;
	unsigned long ua = batch->uas[page >> split];

	if (!ua)
		return 0;
	if (batch->write_reads && (ua & TCE_PCI_WRITE))
		ua |= TCE_PCI_READ;

	return ua + ((page & ((1UL << split) - 1)) << page_shift);
}

#endif /* _ASM_POWERPC_TCE_BATCH_H */
