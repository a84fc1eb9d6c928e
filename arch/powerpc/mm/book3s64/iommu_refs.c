// SPDX-License-Identifier: GPL-2.0-only
/*
 * References to registered memory, and its translation to TCEs.
 */
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>

#include "iommu_region.h"

/**
 * mm_iommu_covers() - test if a range lies in a region
 * @mem: the region; registered by the caller, or safe to use by R3
 * @ua: user address
 * @size: size in bytes, at least 1
 *
 * Context: any, real mode included.
 *
 * Return: true if all of the range lies in the region.
 */
bool mm_iommu_covers(struct mm_iommu_table_group_mem_t *mem, unsigned long ua,
		     unsigned long size)
{
	return region_has(mem, ua) && size - 1 <= region_last(mem) - ua;
}

/*
 * Test if an IOMMU page that is larger than a granule is nevertheless a
 * contiguous and aligned part of a single folio.
 */
static bool region_backs_page(struct mm_iommu_table_group_mem_t *mem,
			      unsigned long ua, unsigned int page_shift)
{
	const struct region_piece *piece = region_piece(mem, ua);
	unsigned long size = 1UL << page_shift, offset = 0;
	u64 first = *piece_granule(piece, ua);

	if ((first & GRANULE_FOLIO_SHIFT) < page_shift ||
	    (first & GRANULE_HPA & (size - 1)))
		return false;

	do {
		piece = region_piece(mem, ua + offset);
		if (*piece_granule(piece, ua + offset) != first + offset)
			return false;
		offset += 1UL << piece->shift;
	} while (offset < size);

	return true;
}

/* How many IOMMU pages from @ua on begin in the same piece */
static unsigned long region_pages_of_piece(struct mm_iommu_table_group_mem_t *mem,
					   unsigned long ua,
					   unsigned int page_shift)
{
	unsigned long size = 1UL << mem->piece_shift;
	unsigned long left = size - (ua & (size - 1));

	return ((left - 1) >> page_shift) + 1;
}

/*
 * IOMMU pages no larger than the granules of their piece are backed. In any
 * other piece some are not: only parts of two are looked at page by page.
 */
static noinline bool region_backs_all(struct mm_iommu_table_group_mem_t *mem,
				      unsigned long ua, unsigned long npages,
				      unsigned int page_shift)
{
	unsigned long nr;

	for (; npages; npages -= nr, ua += nr << page_shift) {
		nr = 1;
		if (page_shift <= region_piece(mem, ua)->shift)
			nr = min(npages, region_pages_of_piece(mem, ua,
							       page_shift));
		else if (!region_backs_page(mem, ua, page_shift))
			return false;
	}

	return true;
}

/**
 * region_backs() - test if IOMMU pages are backed by folios as large
 * @mem: the region
 * @ua: user address of the first IOMMU page
 * @npages: how many, all of them inside @mem
 * @page_shift: log2 of the IOMMU page size
 *
 * An IOMMU page that is larger than its folio would let a device reach memory
 * outside of the region.
 *
 * Context: as mm_iommu_find_bounds().
 *
 * Return: true if each IOMMU page is a contiguous, aligned part of one folio.
 */
bool region_backs(struct mm_iommu_table_group_mem_t *mem,
		  unsigned long ua, unsigned long npages,
			 unsigned int page_shift)
{
	return page_shift <= mem->whole_shift ||
	       region_backs_all(mem, ua, npages, page_shift);
}

/* Count the IOMMU pages, of @npages from @ua on, that lie wholly in the region */
static unsigned long region_pages(const struct mm_iommu_table_group_mem_t *mem,
				  unsigned long ua, unsigned long npages,
				  unsigned int page_shift)
{
	return min(npages, (region_last(mem) - ua + 1) >> page_shift);
}

/**
 * struct region_part - the part of a range that lies in one region
 * @mem: the region
 * @ua: where the part begins
 * @nr: how many IOMMU pages it has; 0 when nothing is registered at @ua
 * @left: how many the range has from @ua on
 */
struct region_part {
	struct mm_iommu_table_group_mem_t *mem;
	unsigned long ua;
	unsigned long nr;
	unsigned long left;
};

static noinline void region_part_find(struct region_part *part,
				      const struct mm_iommu_range *range)
{
	part->mem = region_at(range->mm, part->ua);
	part->nr = !part->mem ? 0 :
		region_pages(part->mem, part->ua, part->left,
			     range->page_shift);
}

/* Try the hint first: the caller has registered it, so it stays (R3) */
static __always_inline void region_part_first(struct region_part *part,
					      const struct mm_iommu_range *range)
{
	struct mm_iommu_table_group_mem_t *hint = range->hint;

	region_assert_rcu();
	part->ua = range->ua;
	part->left = range->npages;
	if (likely(hint && region_has(hint, range->ua))) {
		part->mem = hint;
		part->nr = region_pages(hint, range->ua, range->npages,
					range->page_shift);
		if (likely(part->nr))
			return;
	}
	region_part_find(part, range);
}

static __always_inline void region_part_next(struct region_part *part,
					     const struct mm_iommu_range *range)
{
	part->ua += part->nr << range->page_shift;
	part->left -= part->nr;
	part->nr = 0;
	if (unlikely(part->left))
		region_part_find(part, range);
}

/*
 * Visit a range region by region. The caller must be in an RCU section (R3). The
 * loop ends at memory that is not registered, with part->left not 0.
 */
#define for_each_region_part(part, range) \
	for (region_part_first(part, range); (part)->nr; \
	     region_part_next(part, range))

static __always_inline long region_ref_part(const struct region_part *part,
					    unsigned int page_shift, bool write)
{
	if (!region_backs(part->mem, part->ua, part->nr, page_shift))
		return -EPERM;

	return mm_iommu_ref(part->mem, part->nr, write) ? 0 : -EINVAL;
}

/* Drop what mm_iommu_ref_range() has referenced before it failed, @left pages short */
static noinline void region_unref_done(const struct mm_iommu_range *range,
				       unsigned long left)
{
	struct mm_iommu_range done = *range;

	done.npages -= left;
	if (done.npages)
		mm_iommu_unref_range(&done);
}

/**
 * mm_iommu_ref_range() - reference IOMMU pages that are to be mapped
 * @range: the pages
 * @write: a device may write to them
 *
 * The references keep the regions pinned and translated (R2) until
 * mm_iommu_unref_range().
 *
 * Context: any in virtual mode, does not sleep.
 *
 * Return: 0; -EINVAL when part of the range is not registered; -EPERM when
 * an IOMMU page is larger than what backs it. Nothing is referenced after an
 * error.
 */
long mm_iommu_ref_range(const struct mm_iommu_range *range, bool write)
{
	struct region_part part;
	long ret = 0;

	rcu_read_lock();
	for_each_region_part(&part, range) {
		ret = region_ref_part(&part, range->page_shift, write);
		if (ret)
			break;
	}
	rcu_read_unlock();
	if (likely(!part.left))
		return 0;

	region_unref_done(range, part.left);

	return ret ? ret : -EINVAL;
}

/**
 * mm_iommu_unref_range() - drop references to IOMMU pages
 * @range: the pages, each referenced by mm_iommu_ref_range()
 *
 * The caller must have cleared or replaced the TCEs of the pages, and killed them
 * (R1).
 *
 * Context: any in virtual mode, does not sleep.
 */
void mm_iommu_unref_range(const struct mm_iommu_range *range)
{
	struct region_part part;

	rcu_read_lock();
	for_each_region_part(&part, range)
		region_unref(part.mem, part.nr);
	rcu_read_unlock();
	WARN_ON_ONCE(part.left);
}

/* IOMMU pages of one or several granules each */
static __be64 *piece_translate_large(const u64 *granule, unsigned long step,
				     unsigned long nr, unsigned long perm,
				     __be64 *tces)
{
	for (; nr; nr--, granule += step)
		tce_store(tces++, (*granule & GRANULE_HPA) | perm);

	return tces;
}

/* IOMMU pages smaller than a granule, all in one granule */
static __be64 *piece_translate_small(unsigned long hpa, unsigned long size,
				     unsigned long nr, __be64 *tces)
{
	for (; nr; nr--, hpa += size)
		tce_store(tces++, hpa);

	return tces;
}

static noinline void region_translate(const struct region_part *part,
				      unsigned int page_shift,
				      unsigned long perm, __be64 *tces)
{
	unsigned long ua = part->ua, left = part->nr, granules, nr, hpa;
	unsigned long size = 1UL << page_shift;
	const struct region_piece *piece;
	const u64 *granule;

	while (left) {
		piece = region_piece(part->mem, ua);
		granule = piece_granules(piece, ua, &granules);
		if (page_shift >= piece->shift) {
			nr = (granules - 1) >> (page_shift - piece->shift);
			nr = min(left, nr + 1);
			tces = piece_translate_large(granule,
						     size >> piece->shift, nr,
						     perm, tces);
			left -= nr;
			ua += nr << page_shift;
			continue;
		}

		for (; left && granules; granules--) {
			nr = min(left, piece_rest(piece, ua) >> page_shift);
			hpa = (*granule++ & GRANULE_HPA) +
				piece_offset(piece, ua);
			tces = piece_translate_small(hpa | perm, size, nr, tces);
			left -= nr;
			ua += nr << page_shift;
		}
	}
}

/**
 * mm_iommu_translate_range() - translate IOMMU pages to TCEs
 * @range: the pages, each referenced by mm_iommu_ref_range()
 * @perm: permission bits of the TCEs
 * @tces: where to store the TCEs
 *
 * Context: any in virtual mode, does not sleep.
 */
void mm_iommu_translate_range(const struct mm_iommu_range *range,
			      unsigned long perm, __be64 *tces)
{
	struct region_part part;

	/* The references keep the regions (R2) */
	rcu_read_lock();
	for_each_region_part(&part, range) {
		region_translate(&part, range->page_shift, perm, tces);
		tces += part.nr;
	}
	rcu_read_unlock();
}

static noinline struct mm_iommu_table_group_mem_t *
region_find(struct mm_struct *mm, unsigned long ua)
{
	return region_at(mm, ua);
}

/* The region of @ua. The caller must be in an RCU section; @hint stays (R3) */
static __always_inline struct mm_iommu_table_group_mem_t *
region_hinted(struct mm_struct *mm, struct mm_iommu_table_group_mem_t *hint,
	      unsigned long ua)
{
	region_assert_rcu();

	return hint && region_has(hint, ua) ? hint : region_find(mm, ua);
}

/* mm_iommu_ref_page() of any page. The caller must be in an RCU section */
static noinline long region_find_page(const struct mm_iommu_range *range,
				      unsigned long perm, unsigned long *tce)
{
	unsigned int page_shift = range->page_shift;
	struct mm_iommu_table_group_mem_t *mem;
	unsigned long ua = range->ua;

	mem = region_hinted(range->mm, range->hint, ua);
	if (!mem || !region_pages(mem, ua, 1, page_shift))
		return -EINVAL;
	if (!region_backs(mem, ua, 1, page_shift))
		return -EPERM;
	if (!region_ref(mem, 1, perm & TCE_PCI_WRITE))
		return -EINVAL;
	*tce = region_hpa(mem, ua) | perm;

	return 0;
}

/**
 * mm_iommu_ref_page() - reference and translate a single IOMMU page
 * @range: the page; @range->npages is 1
 * @perm: permission bits of its TCE
 * @tce: set to the TCE
 *
 * mm_iommu_ref_range() and mm_iommu_translate_range() with one search, for the
 * request that is made most often.
 *
 * Context: any in virtual mode, does not sleep.
 *
 * Return: as mm_iommu_ref_range().
 */
long mm_iommu_ref_page(const struct mm_iommu_range *range, unsigned long perm,
		       unsigned long *tce)
{
	struct mm_iommu_table_group_mem_t *mem = range->hint;
	unsigned long ua = range->ua;
	long ret;

	/* The caller has registered the hint, so it stays (R3) */
	if (likely(mem && region_has(mem, ua) &&
		   region_pages(mem, ua, 1, range->page_shift) &&
		   range->page_shift <= mem->whole_shift)) {
		if (!region_ref(mem, 1, perm & TCE_PCI_WRITE))
			return -EINVAL;
		*tce = region_hpa(mem, ua) | perm;
		return 0;
	}

	rcu_read_lock();
	ret = region_find_page(range, perm, tce);
	rcu_read_unlock();

	return ret;
}

/**
 * mm_iommu_unref_page() - drop the reference of a single IOMMU page
 * @mm: whose memory
 * @hint: a region that the caller has registered, probably that of @ua; or NULL
 * @ua: user address of the page
 *
 * Context: as mm_iommu_unref_range(), which says what must be true of the TCE.
 *
 * Return: true, or false when @ua is in no region.
 */
bool mm_iommu_unref_page(struct mm_struct *mm,
			 struct mm_iommu_table_group_mem_t *hint,
			 unsigned long ua)
{
	struct mm_iommu_table_group_mem_t *mem;

	rcu_read_lock();
	mem = region_hinted(mm, hint, ua);
	if (mem)
		region_unref(mem, 1);
	rcu_read_unlock();

	return mem;
}

/**
 * mm_iommu_find_bounds() - find the region of an address, and its bounds
 * @mm: whose memory
 * @hint: a region that the caller has registered, probably that of @ua; or NULL
 * @ua: user address
 * @bounds: set to the region and its user addresses
 *
 * Lets callers drop references of many pages in batches, one per region.
 *
 * Context: any, real mode included. The caller must be in an RCU section, which in
 * real mode means that interrupts are off and RCU waits for this CPU. The region and
 * the bounds may be used only inside that section, or with a reference (R3).
 *
 * Return: true, or false when @ua is in no region.
 */
bool mm_iommu_find_bounds(struct mm_struct *mm,
			  struct mm_iommu_table_group_mem_t *hint,
			unsigned long ua, struct mm_iommu_bounds *bounds)
{
	struct mm_iommu_table_group_mem_t *mem = region_hinted(mm, hint, ua);

	if (!mem)
		return false;
	bounds->mem = mem;
	bounds->start = mem->ua;
	bounds->size = mem->npages << PAGE_SHIFT;

	return true;
}

/**
 * mm_iommu_unref() - drop references of one region
 * @mem: the region
 * @nr: how many IOMMU pages
 *
 * Context: any in virtual mode, does not sleep. The caller must be in the RCU
 * section in which it looked the region up: the region may be removed with its
 * last reference (R3).
 */
void mm_iommu_unref(struct mm_iommu_table_group_mem_t *mem,
		    unsigned long nr)
{
	region_assert_rcu();
	region_unref(mem, nr);
}

/**
 * mm_iommu_ua_to_hpa() - translate one address
 * @mem: the region
 * @ua: user address in it
 * @pageshift: log2 of the size of the IOMMU page that begins there
 * @hpa: set to the real address of @ua
 *
 * Context: as mm_iommu_find_bounds().
 *
 * Return: 0, or -EFAULT when the IOMMU page is not in the region or is larger than
 * what backs it.
 */
long mm_iommu_ua_to_hpa(struct mm_iommu_table_group_mem_t *mem,
			unsigned long ua, unsigned int pageshift,
			unsigned long *hpa)
{
	unsigned long page = ua & ~((1UL << pageshift) - 1);

	if (page < mem->ua || page > region_last(mem) ||
	    !region_pages(mem, page, 1, pageshift) ||
	    !region_backs(mem, page, 1, pageshift))
		return -EFAULT;

	*hpa = region_hpa(mem, ua);

	return 0;
}
EXPORT_SYMBOL_GPL(mm_iommu_ua_to_hpa);

/**
 * mm_iommu_is_pinned() - test if the kernel may read the memory of a region
 * @mem: the region
 *
 * The caller must test again after it has read: the memory of a region that lost
 * its last reference meanwhile may belong to somebody else by then.
 *
 * Context: as mm_iommu_find_bounds().
 *
 * Return: true if the region is still pinned.
 */
bool mm_iommu_is_pinned(struct mm_iommu_table_group_mem_t *mem)
{
	/* Pairs with the full barrier of the atomic that drops the last reference */
	smp_rmb();

	return atomic64_read(&mem->map_refs);
}
EXPORT_SYMBOL_GPL(mm_iommu_is_pinned);

/**
 * mm_iommu_ref() - reference IOMMU pages of one region
 * @mem: the region
 * @nr: how many
 * @write: a device may write to them
 *
 * Context: as mm_iommu_find_bounds().
 *
 * Return: true, or false when the region is being removed (R2).
 */
bool mm_iommu_ref(struct mm_iommu_table_group_mem_t *mem,
		  unsigned long nr, bool write)
{
	return region_ref(mem, nr, write);
}
EXPORT_SYMBOL_GPL(mm_iommu_ref);

/**
 * mm_iommu_try_unref() - drop references of one region unless one is the last
 * @mem: the region
 * @nr: how many IOMMU pages
 *
 * For real mode, which must not drop the last reference (R20).
 *
 * Context: as mm_iommu_find_bounds().
 *
 * Return: true; or false with no reference dropped, because one of them is the
 * last.
 */
bool mm_iommu_try_unref(struct mm_iommu_table_group_mem_t *mem,
			unsigned long nr)
{
	return atomic64_add_unless(&mem->map_refs, -(s64)nr, nr);
}
