// SPDX-License-Identifier: GPL-2.0-only
/*
 * References and translation for batches of a guest. The pages of a batch may be
 * anywhere, but most batches stay in one region: try the region of one page for
 * the next page.
 */
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>

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

/* Reschedule after so many IOMMU pages, of which one element may have more */
#define BATCH_REF_PAGES	BIT(16)

/*
 * Reference elements from *@first on that belong to one region, and set *@first to the
 * element behind them. Unchanged after an error.
 */
static long region_ref_batch(struct tce_batch *batch, unsigned int page_shift,
			     unsigned long *first)
{
	struct mm_iommu_table_group_mem_t *mem = NULL;
	unsigned int split = batch->page_shift - page_shift;
	unsigned long i, ua, nr = 0;
	bool write = false;
	long ret;

	for (i = *first; i < batch->nr && nr << split < BATCH_REF_PAGES; i++) {
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
	nr <<= split;
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
 * Context: process, may sleep.
 *
 * Return: as mm_iommu_ref_range().
 */
long mm_iommu_ref_batch(struct tce_batch *batch, unsigned int page_shift)
{
	unsigned long done = 0;
	long ret = 0;

	batch->mem = NULL;
	while (!ret && done < batch->nr) {
		rcu_read_lock();
		ret = region_ref_batch(batch, page_shift, &done);
		rcu_read_unlock();
		if (!ret && done < batch->nr)
			cond_resched();
	}
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
 * Real mode uses the rest of this file as well (R19).
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
			/* The references keep the region (R2) */
			if (!mem || !region_has(mem, tce))
				mem = region_at(batch->mm, tce);
			tce = region_hpa(mem, tce);
		}
		tce_store(tces, tce);
	}
	rcu_read_unlock();
}

/*
 * For callers that do not sleep and have pages of one region: references are taken
 * with one atomic, and the region is found by a hint that the caller keeps without a
 * reference.
 */

/*
 * The region of @ua, mostly the hint. The caller must be in an RCU section.
 *
 * To remove a region takes it out of the tree, changes the generation, and frees the
 * region after a grace period. So a region found in the tree is valid in each RCU
 * section that reads the same generation as was read before that search.
 */
static __always_inline struct mm_iommu_table_group_mem_t *
region_hinted_at(struct mm_struct *mm, struct mm_iommu_hint *hint,
		 unsigned long ua)
{
	struct mm_iommu_registry *reg = READ_ONCE(mm->context.iommu_registry);

	region_assert_rcu();
	if (unlikely(!reg))
		return NULL;
	if (likely(hint->mem &&
		   hint->generation == READ_ONCE(reg->generation) &&
		   region_has(hint->mem, ua)))
		return hint->mem;

	/* Read it before the search, as explained above */
	hint->generation = smp_load_acquire(&reg->generation);
	hint->mem = region_walk(&reg->regions, ua);

	return hint->mem;
}

/**
 * mm_iommu_find_bounds_rm() - find the region of an address, and its bounds
 * @mm: whose memory
 * @hint: the region found last; set to the region of @ua
 * @ua: user address
 * @bounds: set to the region and its user addresses
 *
 * As mm_iommu_find_bounds(), with a hint that needs no registration.
 *
 * Context: as mm_iommu_find_bounds(). The caller must exclude other users of @hint.
 *
 * Return: true, or false when @ua is in no region.
 */
bool mm_iommu_find_bounds_rm(struct mm_struct *mm, struct mm_iommu_hint *hint,
			     unsigned long ua, struct mm_iommu_bounds *bounds)
{
	struct mm_iommu_table_group_mem_t *mem = region_hinted_at(mm, hint, ua);

	if (!mem)
		return false;
	bounds->mem = mem;
	bounds->start = mem->ua;
	bounds->size = mem->npages << PAGE_SHIFT;

	return true;
}

/*
 * A part of a region that is translated by one array of granules. The first granule
 * may begin below the region. A page of the batch is in the part if it begins at @ua
 * or less than @room bytes above.
 */
struct batch_part {
	const u64 *granules;
	unsigned long first;	/* user address of the first granule */
	unsigned long ua;	/* lowest user address of a page */
	unsigned long room;	/* bytes in which a page may begin */
	unsigned int shift;	/* log2 of the size of a granule */
};

static unsigned long part_hpa(const struct batch_part *part, unsigned long ua)
{
	unsigned long offset = ua - part->first;

	return (part->granules[offset >> part->shift] & GRANULE_HPA) +
		(offset & ((1UL << part->shift) - 1));
}

/* Find the part of the page at @ua. Returns false if the page is not backed there */
static noinline bool region_find_part(const struct mm_iommu_table_group_mem_t *mem,
				      unsigned long ua, unsigned long size,
				      struct batch_part *part)
{
	const struct region_piece *piece;
	unsigned long before, nr, last;

	if (!mem || !region_has(mem, ua))
		return false;
	piece = region_piece(mem, ua);
	if (size > 1UL << piece->shift)
		return false;
	before = (ua >> piece->shift) - piece->first;
	if (piece->in_blocks)
		before &= MM_IOMMU_BLOCK_GRANULES - 1;
	part->granules = piece_granules(piece, ua, &nr) - before;
	part->shift = piece->shift;
	part->first = ua - piece_offset(piece, ua) - (before << piece->shift);
	part->ua = max(part->first, mem->ua);
	last = ua - piece_offset(piece, ua) + (nr << piece->shift) - 1;
	last = min(last, region_last(mem));
	part->room = last - part->ua + 1;
	if (part->room < size)
		return false;
	part->room -= size - 1;

	return ua - part->ua < part->room;
}

/**
 * mm_iommu_resolve_batch_rm() - translate a batch whose pages are of one region
 * @hint: the region found last; set to the region of the batch
 * @batch: the batch; its @mem, @hpas, @nr_mapped and @write are set
 *
 * Takes no references. Each page must be contiguous in real memory and aligned there, so
 * that it can be mapped by IOMMU pages of any size up to its own.
 *
 * Context: as mm_iommu_find_bounds(). The caller must exclude other users of @hint.
 *
 * Return: true; false when a page is in no region or in another one, or is not
 * contiguous or not aligned.
 */
bool mm_iommu_resolve_batch_rm(struct mm_iommu_hint *hint, struct tce_batch *batch)
{
	unsigned long mask = (1UL << batch->page_shift) - 1, i, ua, perm;
	unsigned long nr_mapped = 0, perms = 0, *hpas = batch->hpas;
	struct mm_iommu_table_group_mem_t *mem = NULL;
	struct batch_part part = { }, found;

	for (i = 0; i < batch->nr; i++) {
		ua = batch->uas[i];
		perm = ua & (TCE_PCI_READ | TCE_PCI_WRITE);
		ua -= perm;
		if (!perm) {
			hpas[i] = 0;
			continue;
		}
		/* Copy it, so that the compiler keeps it in registers */
		if (ua - part.ua >= part.room) {
			if (!mem)
				mem = region_hinted_at(batch->mm, hint, ua);
			if (!region_find_part(mem, ua, mask + 1, &found))
				return false;
			part = found;
		}
		if (ua & mask)
			return false;
		hpas[i] = part_hpa(&part, ua) | perm;
		perms |= perm;
		nr_mapped++;
	}
	batch->mem = mem;
	batch->nr_mapped = nr_mapped;
	batch->write = perms & TCE_PCI_WRITE;

	return true;
}

/**
 * mm_iommu_ref_page_rm() - reference and translate one IOMMU page
 * @mm: whose memory
 * @hint: the region found last; set to the region of the page
 * @ua: user address of the page, with TCE_PCI_READ and TCE_PCI_WRITE
 * @page_shift: log2 of the IOMMU page size
 * @tce: set to its real address, with the same permissions
 *
 * Context: as mm_iommu_resolve_batch_rm().
 *
 * Return: true; false without a reference when no region has the page, or it is not
 * contiguous or not aligned there, or the region is being removed.
 */
bool mm_iommu_ref_page_rm(struct mm_struct *mm, struct mm_iommu_hint *hint,
			  unsigned long ua, unsigned int page_shift,
			  unsigned long *tce)
{
	unsigned long perm = ua & (TCE_PCI_READ | TCE_PCI_WRITE);
	unsigned long size = 1UL << page_shift;
	struct mm_iommu_table_group_mem_t *mem;
	const struct region_piece *piece;

	ua -= perm;
	mem = region_hinted_at(mm, hint, ua);
	if (!mem || region_last(mem) - ua < size - 1 || (ua & (size - 1)))
		return false;
	piece = region_piece(mem, ua);
	if (piece->shift < page_shift)
		return false;
	*tce = piece_hpa(piece, ua) | perm;

	return mm_iommu_ref(mem, 1, perm & TCE_PCI_WRITE);
}

/**
 * mm_iommu_try_unref_page_rm() - drop a reference unless it is the last
 * @mm: whose memory
 * @hint: the region found last; set to the region of the page
 * @ua: user address of the page
 *
 * For real mode, which must not drop the last reference (R20).
 *
 * Context: as mm_iommu_resolve_batch_rm().
 *
 * Return: true; or false with the reference kept, because it is the region's last.
 */
bool mm_iommu_try_unref_page_rm(struct mm_struct *mm, struct mm_iommu_hint *hint,
				unsigned long ua)
{
	struct mm_iommu_table_group_mem_t *mem = region_hinted_at(mm, hint, ua);

	return mem && mm_iommu_try_unref(mem, 1);
}
