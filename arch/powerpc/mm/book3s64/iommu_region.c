// SPDX-License-Identifier: GPL-2.0-only
/*
 * Granules of a region of registered memory: pin the pages of the region and
 * find the largest granules that they form.
 */
#include <linux/gfp.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "iommu_region.h"

/* Pages to unpin between two calls of cond_resched() */
#define MM_IOMMU_UNPIN_PAGES	((unsigned long)SZ_64M >> PAGE_SHIFT)

/*
 * Pages are pinned and added in batches. Each batch may show that the granules
 * of a piece must be smaller than assumed so far.
 */

/**
 * region_alloc_pieces() - allocate the pieces of a region
 * @mem: a new region; @mem->ua and @mem->npages are set
 *
 * The pieces get their granules by region_pin(). A region that needs one piece
 * uses mm_iommu_table_group_mem_t::one and allocates nothing.
 *
 * Context: process, may sleep. The region is in no tree.
 *
 * Return: 0 or -ENOMEM.
 */
int region_alloc_pieces(struct mm_iommu_table_group_mem_t *mem)
{
	struct region_piece *pieces;
	unsigned int nr;

	mem->piece_shift = max(MM_IOMMU_PIECE_SHIFT,
			       PAGE_SHIFT + ilog2(mem->npages) + 1 -
			       MM_IOMMU_PIECES_SHIFT);
	mem->first_piece = mem->ua >> mem->piece_shift;
	nr = (region_last(mem) >> mem->piece_shift) - mem->first_piece + 1;
	if (nr == 1)
		return 0;

	pieces = kcalloc(nr, sizeof(*pieces), GFP_KERNEL_ACCOUNT);
	if (!pieces)
		return -ENOMEM;
	mem->pieces = pieces;
	mem->nr_pieces = nr;

	return 0;
}

static void piece_free_granules(struct region_piece *piece)
{
	unsigned long i;

	if (!piece->in_blocks) {
		kfree(piece->granules);
		return;
	}
	for (i = 0; i << MM_IOMMU_BLOCK_SHIFT < piece->nr; i++) {
		kfree(piece->blocks[i]);
		cond_resched();
	}
	kfree(piece->blocks);
}

static u64 *granules_alloc(unsigned long nr)
{
	return kmalloc_array(nr, sizeof(u64), GFP_KERNEL_ACCOUNT);
}

/* On failure the caller frees the blocks that were allocated */
static int piece_alloc_blocks(struct region_piece *piece)
{
	unsigned long i, left = piece->nr, nr;

	piece->in_blocks = true;
	piece->blocks = kcalloc(((left - 1) >> MM_IOMMU_BLOCK_SHIFT) + 1,
				sizeof(*piece->blocks), GFP_KERNEL_ACCOUNT);
	if (!piece->blocks) {
		piece->nr = 0;
		return -ENOMEM;
	}

	for (i = 0; left; i++, left -= nr) {
		nr = min(left, MM_IOMMU_BLOCK_GRANULES);
		piece->blocks[i] = granules_alloc(nr);
		if (!piece->blocks[i])
			return -ENOMEM;
		cond_resched();
	}

	return 0;
}

static int piece_alloc_granules(struct region_piece *piece)
{
	if (piece->nr > MM_IOMMU_BLOCK_GRANULES)
		return piece_alloc_blocks(piece);

	piece->granules = granules_alloc(piece->nr);

	return piece->granules ? 0 : -ENOMEM;
}

/* First and last user address of @mem in the piece of @ua */
static void piece_bounds(const struct mm_iommu_table_group_mem_t *mem,
			 unsigned long ua, unsigned long *start,
			 unsigned long *last)
{
	unsigned long mask = (1UL << mem->piece_shift) - 1;

	*start = max(mem->ua, ua & ~mask);
	*last = min(region_last(mem), ua | mask);
}

/*
 * Allocate granules of size 1 << @shift for a piece. Translate what is known so far,
 * up to the address @end in the piece, from the old granules.
 */
static int piece_set_shift(struct mm_iommu_table_group_mem_t *mem,
			   struct region_piece *piece, unsigned long end,
			   unsigned int shift)
{
	unsigned long mask = (1UL << shift) - 1, start, last, ua;
	struct region_piece new = { .shift = shift };

	piece_bounds(mem, end, &start, &last);
	new.first = start >> shift;
	new.nr = (last >> shift) - new.first + 1;
	if (piece_alloc_granules(&new)) {
		piece_free_granules(&new);
		return -ENOMEM;
	}

	for (ua = start; ua < end; ua = (ua | mask) + 1)
		*piece_granule(&new, ua) = (piece_hpa(piece, ua) - (ua & mask)) |
			(*piece_granule(piece, ua) & GRANULE_FOLIO_SHIFT);
	piece_free_granules(piece);
	*piece = new;
	mem->granule_shift = min_t(unsigned int, mem->granule_shift, shift);

	return 0;
}

/* The largest granule around @ua that the folio of @page allows */
static unsigned int page_granule_shift(struct page *page, unsigned long ua)
{
	unsigned long differ = ua ^ page_to_phys(page);
	unsigned int shift = folio_shift(page_folio(page));

	return differ ? min(shift, __ffs(differ)) : shift;
}

/* Count the leading @pages that follow each other in one folio */
static unsigned long pages_contiguous(struct page **pages, unsigned long nr)
{
	struct folio *folio = page_folio(pages[0]);
	unsigned long first = folio_page_idx(folio, pages[0]), i;

	nr = min(nr, folio_nr_pages(folio) - first);
	for (i = 1; i < nr; i++)
		if (pages[i] != folio_page(folio, first + i))
			break;

	return i;
}

/* Add @nr pages that belong to one piece; @ua is the address of the first */
static int piece_add_pages(struct mm_iommu_table_group_mem_t *mem,
			   unsigned long ua, struct page **pages,
			   unsigned long nr)
{
	struct region_piece *piece = region_piece(mem, ua);
	unsigned long start, last, at = ua, i, contig;
	unsigned int shift;
	u64 hpa, next = 0, folio;

	piece_bounds(mem, ua, &start, &last);
	shift = piece->granules ? piece->shift : mem->piece_shift;
	if (ua != start)
		next = piece_hpa(piece, ua - PAGE_SIZE) + PAGE_SIZE;

	for (i = 0; i < nr; i += contig) {
		contig = pages_contiguous(pages + i, nr - i);
		hpa = page_to_phys(pages[i]);
		shift = min(shift, page_granule_shift(pages[i], at));
		/* A granule must not span a gap in real addresses */
		if (at != start && hpa != next)
			shift = min_t(unsigned int, shift, __ffs(at));
		at += contig << PAGE_SHIFT;
		next = hpa + (contig << PAGE_SHIFT);
	}

	if ((!piece->granules || shift != piece->shift) &&
	    piece_set_shift(mem, piece, ua, shift))
		return -ENOMEM;

	for (i = 0; i < nr; i += contig) {
		folio = folio_shift(page_folio(pages[i]));
		*piece_granule(piece, ua) =
			(page_to_phys(pages[i]) - piece_offset(piece, ua)) | folio;
		contig = min(piece_rest(piece, ua) >> PAGE_SHIFT, nr - i);
		ua += contig << PAGE_SHIFT;
	}

	return 0;
}

/**
 * region_add_pages() - describe pages of a region
 * @mem: the region, with pieces from region_alloc_pieces()
 * @ua: user address of the first; those before it are described
 * @pages: the pages
 * @nr: how many
 *
 * Context: process, may sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int region_add_pages(struct mm_iommu_table_group_mem_t *mem, unsigned long ua,
		     struct page **pages, unsigned long nr)
{
	unsigned long start, last, some;
	int ret = 0;

	for (; nr && !ret; nr -= some) {
		piece_bounds(mem, ua, &start, &last);
		some = min(nr, (last - ua + 1) >> PAGE_SHIFT);
		ret = piece_add_pages(mem, ua, pages, some);
		pages += some;
		ua += some << PAGE_SHIFT;
	}

	return ret;
}

/**
 * region_unpin() - unpin pages of a region
 * @mem: a region that is in no tree
 * @npages: unpin so many system pages, from the start of the region
 *
 * Marks the pages dirty if a device was allowed to write to the region.
 *
 * Context: process, may sleep; without the registry's lock (R5). No device can
 * reach the pages (R1).
 */
void region_unpin(struct mm_iommu_table_group_mem_t *mem,
		  unsigned long npages)
{
	unsigned long ua = mem->ua, hpa, contig;

	while (npages) {
		hpa = region_hpa(mem, ua);
		contig = min3(piece_rest(region_piece(mem, ua), ua) >> PAGE_SHIFT,
			      npages, MM_IOMMU_UNPIN_PAGES);
		unpin_user_page_range_dirty_lock(pfn_to_page(hpa >> PAGE_SHIFT),
						 contig, READ_ONCE(mem->written));
		ua += contig << PAGE_SHIFT;
		npages -= contig;
		cond_resched();
	}
}

/* Pin up to @nr pages. Returns how many, -EINTR, -ENOMEM or -EFAULT */
static long region_pin_some(unsigned long ua, unsigned long nr,
			    struct page **pages)
{
	long pinned = pin_user_pages_fast(ua, nr, FOLL_WRITE | FOLL_LONGTERM,
					  pages);

	if (pinned > 0)
		return pinned;
	if (fatal_signal_pending(current))
		return -EINTR;

	return pinned == -ENOMEM ? -ENOMEM : -EFAULT;
}

/**
 * region_pin() - pin all pages of a region and set its granules
 * @mem: the region, with pieces from region_alloc_pieces()
 *
 * Context: process of @mem->mm, may sleep; without the registry's lock (R5). The
 * region is in no tree.
 *
 * Return: 0; -EFAULT when some of it cannot be pinned for writing; -ENOMEM;
 * -EINTR when the process is being killed. Nothing is pinned after an error; the
 * caller frees the pieces by region_free_pieces() in any case.
 */
int region_pin(struct mm_iommu_table_group_mem_t *mem)
{
	const unsigned long batch = PAGE_SIZE / sizeof(struct page *);
	unsigned long done = 0;
	struct page **pages;
	long pinned;
	int ret = 0;

	pages = (struct page **)__get_free_page(GFP_KERNEL);
	if (!pages)
		return -ENOMEM;

	while (done < mem->npages) {
		/* Pages that are present are pinned without a check for signals */
		if (fatal_signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		pinned = region_pin_some(mem->ua + (done << PAGE_SHIFT),
					 min(mem->npages - done, batch), pages);
		if (pinned < 0) {
			ret = pinned;
			break;
		}
		ret = region_add_pages(mem, mem->ua + (done << PAGE_SHIFT),
				       pages, pinned);
		if (ret) {
			unpin_user_pages(pages, pinned);
			break;
		}
		done += pinned;
		cond_resched();
	}
	free_page((unsigned long)pages);

	if (ret)
		region_unpin(mem, done);
	else
		mem->whole_shift = mem->granule_shift;

	return ret;
}

/**
 * region_free_pieces() - free pieces and granules
 * @mem: a region without readers; or one that failed to be made, at any step
 *
 * Context: process, may sleep.
 */
void region_free_pieces(struct mm_iommu_table_group_mem_t *mem)
{
	unsigned int i;

	for (i = 0; i < mem->nr_pieces; i++)
		piece_free_granules(mem->pieces + i);
	if (mem->pieces != &mem->one)
		kfree(mem->pieces);
}
