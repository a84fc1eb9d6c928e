/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of registered memory share: what a region is made of, and how
 * it is found and referenced.
 */
#ifndef _IOMMU_REGION_H
#define _IOMMU_REGION_H

#include <linux/bits.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/maple_tree.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <asm/mm_iommu.h>
#include <asm/tce_batch.h>
#include <asm/tce_tree.h>

/*
 * What a region is translated by. A region is cut into pieces, at multiples of
 * a power of two in user addresses; a piece has an array of granules. All granules of
 * a piece are equally large, those of another piece need not be: one small page
 * makes the array of its own piece long, and no other.
 *
 * Real mode reads the arrays, so they must be in the linear mapping, and that
 * for the largest region: none is larger than a page, except lists of pages and
 * of pieces, which are three orders of magnitude shorter. An array of granules that
 * needs more is made of blocks, of a page each. For 1 TiB of scattered pages of
 * 4K the longest allocation is 24K, for pages of 64K 12K.
 */

/* A piece is at least so large (tests have smaller ones, to have many) */
#ifndef MM_IOMMU_PIECE_SHIFT
#define MM_IOMMU_PIECE_SHIFT	30
#endif
/* ... and a region has about so many pieces at most */
#define MM_IOMMU_PIECES_SHIFT	10

/* Units of a block */
#ifndef MM_IOMMU_BLOCK_SHIFT
#define MM_IOMMU_BLOCK_SHIFT	(PAGE_SHIFT - 3)
#endif
#define MM_IOMMU_BLOCK_GRANULES	BIT(MM_IOMMU_BLOCK_SHIFT)

/*
 * A granule: its real address, and in the bits below PAGE_SHIFT the log2 of the
 * size of the folio that it belongs to.
 */
#define GRANULE_FOLIO_SHIFT	0x3fUL
#define GRANULE_HPA		(~(u64)0xfff)

/* Device memory is one granule, as large as can be */
#define GRANULE_SHIFT_ANY		(BITS_PER_LONG - 1)

/**
 * struct region_piece - a part of a region, with granules of one size
 * @granules: the granules, the first may begin below the piece; NULL before the first
 *	   page is known
 * @blocks: where they are, if they are more than a block
 * @first: number of the first granule: its user address, shifted by @shift
 * @nr: number of granules
 * @shift: log2 of the size of a granule: every part of the piece that is so large
 *	   and naturally aligned in user addresses is physically contiguous
 * @in_blocks: @blocks is in use, not @granules
 */
struct region_piece {
	union {
		u64 *granules;
		u64 **blocks;
	};
	unsigned long first;
	u32 nr;
	u8 shift;
	bool in_blocks;
};

/**
 * struct mm_iommu_table_group_mem_t - a registered region
 * @free: frees the region when readers have gone
 * @abandoned: in mm_iommu_registry::abandoned
 * @changing: in mm_iommu_registry::changing, or empty
 * @mm: whose memory it is; referenced
 * @ua: first user address, page aligned
 * @npages: size in system pages
 * @map_refs: one plus the number of IOMMU pages that map the region
 * @registrations: number of registrations
 * @nr_pieces: number of @pieces
 * @first_piece: number of the first piece: @ua, shifted by @piece_shift
 * @piece_shift: log2 of the size of a piece
 * @granule_shift: that of the smallest granule of any piece
 * @whole_shift: any IOMMU page up to this size is backed, everywhere in the
 *	region; larger ones must be looked at
 * @device: device memory: neither pinned nor charged
 * @written: a device was allowed to write
 * @removed: not in the tree any more, after having been there
 * @reaped: the worker has met it on the list of those abandoned, and leaves it to
 *	whoever is taking it apart
 * @pieces: the pieces, in order; the first may begin below @ua
 * @one: the only piece, where that is enough
 */
struct mm_iommu_table_group_mem_t {
	struct rcu_work free;
	struct llist_node abandoned;
	struct list_head changing;
	struct mm_struct *mm;
	unsigned long ua;
	unsigned long npages;
	atomic64_t map_refs;
	unsigned int registrations;
	unsigned int nr_pieces;
	unsigned long first_piece;
	u8 piece_shift;
	u8 granule_shift;
	u8 whole_shift;
	bool device;
	bool written;
	bool removed;
	bool reaped;
	struct region_piece *pieces;
	struct region_piece one;
};

/**
 * struct mm_iommu_registry - all regions of an mm; made with the first of them
 * @lock: of what follows, and of mm_iommu_table_group_mem_t::used. Never held
 *	  over anything that may wait for the mmap_lock or for a page
 * @regions: those that can be mapped
 * @changing: those that are being made, or taken apart
 * @left: how many have left @changing; wait for it to change at @wait
 * @wait: who waits for a region to leave @changing
 * @abandoned: regions that have lost their last count, for @reap
 * @reap: removes them
 */
struct mm_iommu_registry {
	struct mutex lock;	/* see above */
	struct maple_tree regions;
	struct list_head changing;
	unsigned long left;
	wait_queue_head_t wait;
	struct llist_head abandoned;
	struct work_struct reap;
};

static inline unsigned long region_last(const struct mm_iommu_table_group_mem_t *mem)
{
	return mem->ua + (mem->npages << PAGE_SHIFT) - 1;
}

static inline struct region_piece *
region_piece(const struct mm_iommu_table_group_mem_t *mem, unsigned long ua)
{
	return mem->pieces + ((ua >> mem->piece_shift) - mem->first_piece);
}

static inline unsigned long piece_offset(const struct region_piece *piece,
					 unsigned long ua)
{
	return ua & ((1UL << piece->shift) - 1);
}

/* The granule of @ua; *@nr is how many follow in memory, with itself */
static __always_inline u64 *piece_granules(const struct region_piece *piece,
					   unsigned long ua, unsigned long *nr)
{
	unsigned long i = (ua >> piece->shift) - piece->first;
	unsigned long offset = i & (MM_IOMMU_BLOCK_GRANULES - 1);

	*nr = piece->nr - i;
	if (likely(!piece->in_blocks))
		return piece->granules + i;

	*nr = min(*nr, MM_IOMMU_BLOCK_GRANULES - offset);

	return piece->blocks[i >> MM_IOMMU_BLOCK_SHIFT] + offset;
}

static inline u64 *piece_granule(const struct region_piece *piece, unsigned long ua)
{
	unsigned long nr;

	return piece_granules(piece, ua, &nr);
}

static inline unsigned long piece_hpa(const struct region_piece *piece,
				      unsigned long ua)
{
	return (*piece_granule(piece, ua) & GRANULE_HPA) + piece_offset(piece, ua);
}

/* The part of the granule of @ua that lies behind it, in bytes */
static inline unsigned long piece_rest(const struct region_piece *piece,
				       unsigned long ua)
{
	return (1UL << piece->shift) - piece_offset(piece, ua);
}

static inline unsigned long region_hpa(const struct mm_iommu_table_group_mem_t *mem,
				       unsigned long ua)
{
	return piece_hpa(region_piece(mem, ua), ua);
}

static inline bool region_has(const struct mm_iommu_table_group_mem_t *mem,
			      unsigned long ua)
{
	return ua - mem->ua < mem->npages << PAGE_SHIFT;
}

static inline struct mm_iommu_table_group_mem_t *region_walk(struct maple_tree *regions,
							     unsigned long ua)
{
	MA_STATE(mas, regions, ua, ua);

	return mas_walk(&mas);
}

/*
 * The region that has @ua in it; the caller is in an RCU section. mas_walk()
 * runs in real mode as well: it has no tracepoint and nodes are linear mapping.
 */
static inline struct mm_iommu_table_group_mem_t *region_at(struct mm_struct *mm,
							   unsigned long ua)
{
	struct mm_iommu_registry *reg = READ_ONCE(mm->context.iommu_registry);

	return reg ? region_walk(&reg->regions, ua) : NULL;
}

/* Add references, unless the region is on its way out */
static inline bool region_ref(struct mm_iommu_table_group_mem_t *mem,
			      unsigned long nr)
{
	return atomic64_add_unless(&mem->map_refs, nr, 0);
}

void region_abandon(struct mm_iommu_table_group_mem_t *mem);

static inline void region_unref(struct mm_iommu_table_group_mem_t *mem,
				unsigned long nr)
{
	s64 left = atomic64_sub_return(nr, &mem->map_refs);

	if (!left)
		region_abandon(mem);
	WARN_ON_ONCE(left < 0);
}

/* iommu_region.c */
int region_alloc_pieces(struct mm_iommu_table_group_mem_t *mem);
void region_free_pieces(struct mm_iommu_table_group_mem_t *mem);
int region_pin(struct mm_iommu_table_group_mem_t *mem);
void region_unpin(struct mm_iommu_table_group_mem_t *mem, unsigned long npages);
int region_set_device(struct mm_iommu_table_group_mem_t *mem,
		      unsigned long hpa);

/* iommu_refs.c */
bool region_backs(struct mm_iommu_table_group_mem_t *mem, unsigned long ua,
		  unsigned long npages, unsigned int page_shift);

#endif /* _IOMMU_REGION_H */
