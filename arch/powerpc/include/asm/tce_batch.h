/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Batches: the pages that one hypercall of a guest maps or unmaps, by their user
 * addresses.
 */
#ifndef _ASM_POWERPC_TCE_BATCH_H
#define _ASM_POWERPC_TCE_BATCH_H

#include <linux/types.h>

#include <asm/tce.h>

struct mm_iommu_table_group_mem_t;
struct mm_struct;

/**
 * struct tce_batch - pages for a contiguous range of a window
 * @mm: whose memory
 * @uas: for each page its user address, with TCE_PCI_READ and TCE_PCI_WRITE; 0: unmap
 *	 what is mapped there
 * @nr: number of pages, at least 1
 * @page_shift: log2 of the size of a page; at least that of the IOMMU page, of
 *		which several may make one
 * @write_reads: a page that may be written may be read as well; set by
 *		 user_table_commit_batch()
 * @mem: the region of one of the pages, valid while all are referenced; or NULL
 * @hpas: room for @nr real addresses; mm_iommu_resolve_batch_rm() sets them, with the
 *	  permissions in @uas, and 0 where that is 0
 * @nr_mapped: number of @hpas that are not 0; set with @hpas
 * @write: a device may write to any of the pages; set with @hpas
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
