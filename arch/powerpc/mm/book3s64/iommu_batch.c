// SPDX-License-Identifier: GPL-2.0-only
/*
 * References and translation for batches of a guest. The pages of a batch may be
 * anywhere, but most batches stay in one region: try the region of one page for
 * the next page.
 */
#include <linux/mm.h>
#include <linux/rcupdate.h>

#include "iommu_region.h"

static unsigned long batch_ua(const struct tce_batch *batch, unsigned long i)
{
	return batch->uas[i] & ~(unsigned long)(TCE_PCI_READ | TCE_PCI_WRITE);
}

/* Test if a page of the batch lies in the region, and its IOMMU pages are backed */
static long region_check(struct mm_iommu_table_group_mem_t *mem,
			 unsigned long ua, const struct tce_batch *batch,
			 unsigned int page_shift)
{
	unsigned long size = 1UL << batch->page_shift;

	if (!mem || !mm_iommu_covers(mem, ua, size))
		return -EINVAL;
	if ((ua & ((1UL << page_shift) - 1)) ||
	    !region_backs(mem, ua, size >> page_shift, page_shift))
		return -EPERM;

	return 0;
}

/*
 * Reference the elements from *@first on that belong to one region, and set
 * *@first to the element behind them. Unchanged after an error.
 */
static long region_ref_batch(struct tce_batch *batch, unsigned int page_shift,
			     unsigned long *first)
{
	struct mm_iommu_table_group_mem_t *mem = NULL;
	unsigned long i, ua, nr = 0;
	bool write = false;
	long ret;

	for (i = *first; i < batch->nr; i++) {
		if (!batch->uas[i])
			continue;
		ua = batch_ua(batch, i);
		if (!mem)
			mem = region_at(batch->mm, ua);
		else if (!region_has(mem, ua))
			break;
		ret = region_check(mem, ua, batch, page_shift);
		if (ret)
			return ret;
		write |= batch->uas[i] & TCE_PCI_WRITE;
		nr++;
	}
	nr <<= batch->page_shift - page_shift;
	if (nr && !mm_iommu_ref(mem, nr, write))
		return -EINVAL;
	if (nr)
		batch->mem = mem;
	*first = i;

	return 0;
}

static void region_unref_batch(const struct tce_batch *batch,
			       unsigned int page_shift, unsigned long end)
{
	struct mm_iommu_bounds bounds = { };
	unsigned long i, ua, nr = 0;

	rcu_read_lock();
	for (i = 0; i < end; i++) {
		if (!batch->uas[i])
			continue;
		ua = batch_ua(batch, i);
		if (ua - bounds.start >= bounds.size) {
			if (nr)
				region_unref(bounds.mem, nr);
			nr = 0;
			if (WARN_ON_ONCE(!mm_iommu_find_bounds(batch->mm, NULL, ua,
							       &bounds)))
				break;
		}
		nr += 1UL << (batch->page_shift - page_shift);
	}
	if (nr)
		region_unref(bounds.mem, nr);
	rcu_read_unlock();
}

/**
 * mm_iommu_ref_batch() - reference the IOMMU pages of a batch
 * @batch: the batch; elements that are 0 need no reference. Sets @batch->mem
 * @page_shift: log2 of the IOMMU page size
 *
 * Context: any in virtual mode, does not sleep.
 *
 * Return: as mm_iommu_ref_range().
 */
long mm_iommu_ref_batch(struct tce_batch *batch, unsigned int page_shift)
{
	unsigned long done = 0;
	long ret = 0;

	batch->mem = NULL;
	rcu_read_lock();
	while (!ret && done < batch->nr)
		ret = region_ref_batch(batch, page_shift, &done);
	rcu_read_unlock();
	if (ret)
		region_unref_batch(batch, page_shift, done);

	return ret;
}

/**
 * mm_iommu_unref_batch() - drop the references of a batch
 * @batch: as for mm_iommu_ref_batch()
 * @page_shift: as for mm_iommu_ref_batch()
 *
 * Context: any in virtual mode, does not sleep. No TCE may refer to the pages by
 * these references (R1).
 */
void mm_iommu_unref_batch(const struct tce_batch *batch,
			  unsigned int page_shift)
{
	region_unref_batch(batch, page_shift, batch->nr);
}

/*
 * The rest of the file is for both modes, and follows R19.
 */

/**
 * mm_iommu_translate_batch() - translate a batch, or part of it, to TCEs
 * @batch: the batch, all of it referenced
 * @page_shift: log2 of the IOMMU page size
 * @first: first IOMMU page, counted from the start of the batch
 * @nr: how many
 * @tces: where to store the TCEs; 0 for elements that are 0
 *
 * Context: any, real mode included.
 */
void mm_iommu_translate_batch(const struct tce_batch *batch,
			      unsigned int page_shift, unsigned long first,
			      unsigned long nr, __be64 *tces)
{
	struct mm_iommu_table_group_mem_t *mem = batch->mem;
	unsigned long page, tce;

	rcu_read_lock();
	for (page = first; page < first + nr; page++, tces++) {
		tce = tce_batch_page(batch, page_shift, page);
		if (tce) {
			/* The references keep it (R2) */
			if (!mem || !region_has(mem, tce))
				mem = region_at(batch->mm, tce);
			tce = region_hpa(mem, tce);
		}
		tce_store(tces, tce);
	}
	rcu_read_unlock();
}

/* As region_check(), but fail where it would have to look at many granules */
static bool region_check_rm(struct mm_iommu_table_group_mem_t *mem,
			    unsigned long ua, const struct tce_batch *batch,
			    unsigned int page_shift)
{
	if (page_shift > mem->whole_shift &&
	    (mem->device || !region_has(mem, ua) ||
	     page_shift > region_piece(mem, ua)->shift))
		return false;

	return !region_check(mem, ua, batch, page_shift);
}

/**
 * mm_iommu_batch_region() - find the one region of all pages of a batch
 * @batch: the batch
 * @page_shift: log2 of the IOMMU page size
 *
 * Context: as mm_iommu_lookup().
 *
 * Return: the region in which all IOMMU pages lie, backed by folios as large; NULL
 * when there is no such region, or the batch maps nothing.
 */
struct mm_iommu_table_group_mem_t *
mm_iommu_batch_region(const struct tce_batch *batch, unsigned int page_shift)
{
	struct mm_iommu_table_group_mem_t *mem = NULL;
	unsigned long i, ua;

	rcu_read_lock();
	for (i = 0; i < batch->nr; i++) {
		if (!batch->uas[i])
			continue;
		ua = batch_ua(batch, i);
		if (!mem)
			mem = region_at(batch->mm, ua);
		if (!mem || !region_check_rm(mem, ua, batch, page_shift)) {
			mem = NULL;
			break;
		}
	}
	rcu_read_unlock();

	return mem;
}
