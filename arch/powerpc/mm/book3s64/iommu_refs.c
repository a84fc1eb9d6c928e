// SPDX-License-Identifier: GPL-2.0-only
/*
 * References to registered memory, and its translation to TCEs.
 */
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>

#include "iommu_region.h"

/**
 * mm_iommu_covers() - does a region have all of a range in it?
 * @mem: a region that the caller has registered
 * @ua: user address
 * @size: size in bytes, at least 1
 *
 * Context: any.
 *
 * Return: true if it does.
 */
bool mm_iommu_covers(struct mm_iommu_table_group_mem_t *mem, unsigned long ua,
		     unsigned long size)
{
	return region_has(mem, ua) && size - 1 <= region_last(mem) - ua;
}
EXPORT_SYMBOL_GPL(mm_iommu_covers);

/*
 * An IOMMU page that is larger than the granule: is it one contiguous, aligned
 * part of a single folio all the same?
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

static noinline bool region_backs_all(struct mm_iommu_table_group_mem_t *mem,
				      unsigned long ua, unsigned long npages,
				      unsigned int page_shift)
{
	if (mem->device)
		return false;

	for (; npages; npages--, ua += 1UL << page_shift)
		if (page_shift > region_piece(mem, ua)->shift &&
		    !region_backs_page(mem, ua, page_shift))
			return false;

	return true;
}

bool region_backs(struct mm_iommu_table_group_mem_t *mem,
		  unsigned long ua, unsigned long npages,
			 unsigned int page_shift)
{
	return page_shift <= mem->whole_shift ||
	       region_backs_all(mem, ua, npages, page_shift);
}

/* How many of @npages IOMMU pages from @ua on lie wholly in the region */
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

/* The caller has registered the hint, so it is tried first, and stays */
static __always_inline void region_part_first(struct region_part *part,
					      const struct mm_iommu_range *range)
{
	struct mm_iommu_table_group_mem_t *hint = range->hint;

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
 * Visit a range region by region, in an RCU section. Ends before memory that is
 * not registered: then part->left is not 0.
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

/* Undo what mm_iommu_ref_range() did before it failed with @left to do */
static noinline void region_unref_done(const struct mm_iommu_range *range,
				       unsigned long left)
{
	struct mm_iommu_range done = *range;

	done.npages -= left;
	if (done.npages)
		mm_iommu_unref_range(&done);
}

/**
 * mm_iommu_ref_range() - reference IOMMU pages about to be mapped
 * @range: the pages
 * @write: a device may write to them
 *
 * With the references mm_iommu_translate_range() will translate the range,
 * until mm_iommu_unref_range(). Context: any in virtual mode, does not sleep.
 *
 * Return: 0; -EINVAL when part of the range is not registered; -EPERM when
 * an IOMMU page is larger than what backs it. Nothing is referenced then.
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
 * The hardware does not reach the pages any more. Context: any in virtual
 * mode, does not sleep.
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

/* IOMMU pages at least as large as a granule: one or several make a page */
static __be64 *piece_translate_large(const u64 *granule, unsigned long step,
				     unsigned long nr, unsigned long perm,
				     __be64 *tces)
{
	for (; nr; nr--, granule += step)
		tce_store(tces++, (*granule & GRANULE_HPA) | perm);

	return tces;
}

/* IOMMU pages smaller than a granule, in one */
static __be64 *piece_translate_small(unsigned long hpa, unsigned long size,
				     unsigned long nr, __be64 *tces)
{
	for (; nr; nr--, hpa += size)
		tce_store(tces++, hpa);

	return tces;
}

static noinline void region_translate(struct region_part part,
				      unsigned int page_shift,
				      unsigned long perm, __be64 *tces)
{
	unsigned long size = 1UL << page_shift, granules, nr, hpa;
	const struct region_piece *piece;
	const u64 *granule;

	while (part.nr) {
		piece = region_piece(part.mem, part.ua);
		granule = piece_granules(piece, part.ua, &granules);
		if (page_shift >= piece->shift) {
			nr = (granules - 1) >> (page_shift - piece->shift);
			nr = min(part.nr, nr + 1);
			tces = piece_translate_large(granule,
						     size >> piece->shift, nr,
						     perm, tces);
			part.nr -= nr;
			part.ua += nr << page_shift;
			continue;
		}

		for (; part.nr && granules; granules--) {
			nr = min(part.nr, piece_rest(piece, part.ua) >> page_shift);
			hpa = (*granule++ & GRANULE_HPA) +
				piece_offset(piece, part.ua);
			tces = piece_translate_small(hpa | perm, size, nr, tces);
			part.nr -= nr;
			part.ua += nr << page_shift;
		}
	}
}

/**
 * mm_iommu_translate_range() - translate to TCEs
 * @range: the pages, each referenced by mm_iommu_ref_range()
 * @perm: permission bits of the TCEs
 * @tces: where to put them
 *
 * Context: any in virtual mode, does not sleep.
 */
void mm_iommu_translate_range(const struct mm_iommu_range *range,
			      unsigned long perm, __be64 *tces)
{
	struct region_part part;

	/* The references keep the regions */
	rcu_read_lock();
	for_each_region_part(&part, range) {
		/* Many requests are for one page, and spend much of it here */
		if (part.nr == 1)
			tce_store(tces, region_hpa(part.mem, part.ua) | perm);
		else
			region_translate(part, range->page_shift, perm, tces);
		tces += part.nr;
	}
	rcu_read_unlock();
}

/**
 * mm_iommu_find_bounds() - which user addresses a region has
 * @mm: whose memory
 * @hint: the region, if it is known; else NULL
 * @ua: user address in it
 * @bounds: where to put the answer
 *
 * For who gives back counts of many pages here and there: pages of a bounds are
 * pages of one region. Context: an RCU section, real mode included; the bounds is
 * good until it ends.
 *
 * Return: true, or false when no region has @ua.
 */
bool mm_iommu_find_bounds(struct mm_struct *mm,
			  struct mm_iommu_table_group_mem_t *hint,
			unsigned long ua, struct mm_iommu_bounds *bounds)
{
	struct mm_iommu_table_group_mem_t *mem = hint;

	if (!mem || !region_has(mem, ua))
		mem = region_at(mm, ua);
	if (!mem)
		return false;
	bounds->mem = mem;
	bounds->start = mem->ua;
	bounds->size = mem->npages << PAGE_SHIFT;

	return true;
}

/**
 * mm_iommu_unref() - give back counts of one region
 * @mem: the region
 * @nr: how many IOMMU pages
 *
 * Context: an RCU section that has begun before, virtual mode.
 */
void mm_iommu_unref(struct mm_iommu_table_group_mem_t *mem,
		    unsigned long nr)
{
	region_unref(mem, nr);
}

/**
 * mm_iommu_lookup() - find the region of a range
 * @mm: whose memory
 * @ua: user address
 * @size: size in bytes
 *
 * Context: any, real mode included. The caller is in an RCU section, or on a
 * CPU that holds one up; the region is safe to use only inside that section, or
 * with a count of it.
 *
 * Return: the region that has all of the range in it, or NULL.
 */
struct mm_iommu_table_group_mem_t *mm_iommu_lookup(struct mm_struct *mm,
						   unsigned long ua,
						   unsigned long size)
{
	struct mm_iommu_table_group_mem_t *mem;

	rcu_read_lock();
	mem = region_at(mm, ua);
	rcu_read_unlock();

	return mem && mm_iommu_covers(mem, ua, size) ? mem : NULL;
}
EXPORT_SYMBOL_GPL(mm_iommu_lookup);

/**
 * mm_iommu_ua_to_hpa() - translate one address
 * @mem: the region
 * @ua: user address in it
 * @pageshift: log2 of the size of the IOMMU page that begins there
 * @hpa: where to put the real address
 *
 * Context: as mm_iommu_lookup().
 *
 * Return: 0, or -EFAULT when the page is not in the region or not backed by
 * one that is as large.
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
 * mm_iommu_is_ram() - may the kernel read what it translates?
 * @mem: the region
 *
 * Context: as mm_iommu_lookup(). When the read is done, ask again: memory of a
 * region that has lost its last count meanwhile may have become another's.
 *
 * Return: true if the region is ordinary memory and pinned.
 */
bool mm_iommu_is_ram(struct mm_iommu_table_group_mem_t *mem)
{
	/* Pairs with the full barrier of the atomic that takes the last count */
	smp_rmb();

	return !mem->device && atomic64_read(&mem->map_refs);
}
EXPORT_SYMBOL_GPL(mm_iommu_is_ram);

/**
 * mm_iommu_ref() - count IOMMU pages of one region
 * @mem: the region
 * @nr: how many
 * @write: a device may write to them
 *
 * Context: as mm_iommu_lookup().
 *
 * Return: true, or false when the region is on its way out.
 */
bool mm_iommu_ref(struct mm_iommu_table_group_mem_t *mem,
		  unsigned long nr, bool write)
{
	if (!region_ref(mem, nr))
		return false;
	if (write && !READ_ONCE(mem->written))
		WRITE_ONCE(mem->written, true);

	return true;
}
EXPORT_SYMBOL_GPL(mm_iommu_ref);

/**
 * mm_iommu_try_unref() - give back counts of one region, but no last one
 * @mem: the region
 * @nr: how many IOMMU pages
 *
 * Context: as mm_iommu_lookup().
 *
 * Return: true; or false with the counts as they were, because the region would
 * go with them.
 */
bool mm_iommu_try_unref(struct mm_iommu_table_group_mem_t *mem,
			unsigned long nr)
{
	return atomic64_add_unless(&mem->map_refs, -(s64)nr, nr);
}
