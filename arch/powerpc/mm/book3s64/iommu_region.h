/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Private to the files of registered memory (iommu_*.c): the structure of a
 * region, how it is found and how it is referenced.
 *
 * R1, R2, ... are the invariants in Documentation/arch/powerpc/tce.rst.
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
#include <linux/rcupdate.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <asm/mm_iommu.h>
#include <asm/tce_batch.h>
#include <asm/tce_tree.h>

/*
 * Translation. A region is cut into pieces, at multiples of a power of two in
 * user addresses. Each piece has an array of granules. All granules of a piece
 * have one size, which may differ from that of other pieces: one small page makes
 * the array of its own piece long, and no other.
 *
 * Real mode reads the arrays, so they must be in the linear mapping (R19), even
 * for the largest region. An array of granules that exceeds a page is split into
 * blocks of a page each. Only the arrays of blocks and of pieces may be larger;
 * for 1 TiB of scattered pages the longest allocation is 24K with pages of 4K and
 * 12K with pages of 64K.
 */

/* The least size of a piece (smaller in tests, to have many pieces) */
#ifndef MM_IOMMU_PIECE_SHIFT
#define MM_IOMMU_PIECE_SHIFT	30
#endif
/* log2 of about the largest number of pieces of a region */
#define MM_IOMMU_PIECES_SHIFT	10

/* Granules of a block */
#ifndef MM_IOMMU_BLOCK_SHIFT
#define MM_IOMMU_BLOCK_SHIFT	(PAGE_SHIFT - 3)
#endif
#define MM_IOMMU_BLOCK_GRANULES	BIT(MM_IOMMU_BLOCK_SHIFT)

/*
 * A granule has its real address, and in the low bits the log2 of the size of
 * the folio that it belongs to.
 */
#define GRANULE_FOLIO_SHIFT	0x3fUL
#define GRANULE_HPA		(~(u64)0xfff)

/* Device memory is one granule of the largest size */
#define GRANULE_SHIFT_ANY	(BITS_PER_LONG - 1)

/**
 * struct region_piece - a part of a region, with granules of one size
 * @granules: the granules; the first may begin below the piece. NULL before the
 *	      first page is added
 * @blocks: the blocks of granules, if one block is not enough
 * @first: number of the first granule: its user address, shifted by @shift
 * @nr: number of granules
 * @shift: log2 of the size of a granule: every part of the piece of this size
 *	   that is naturally aligned in user addresses is physically contiguous
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
 * @changing: in mm_iommu_registry::changing while the region is being made or
 *	      taken apart (R5); else empty
 * @mm: whose memory it is; referenced
 * @ua: first user address, page aligned
 * @npages: size in system pages
 * @map_refs: number of IOMMU pages that map the region, plus one while it is
 *	      registered. Never rises from 0 (R2)
 * @registrations: number of registrations; changes under the registry's lock
 * @nr_pieces: number of @pieces
 * @first_piece: number of the first piece: @ua, shifted by @piece_shift
 * @piece_shift: log2 of the size of a piece
 * @granule_shift: that of the smallest granule of any piece
 * @whole_shift: all IOMMU pages up to this size are backed, everywhere in the
 *		 region; larger ones must be checked one by one
 * @written: a device was allowed to write
 * @removed: was removed from the tree
 * @reaped: the worker has taken it off the list of abandoned regions while
 *	    another thread was taking it apart: that thread must retire it
 * @pieces: the pieces, in order; the first may begin below @ua
 * @one: the piece of a region that has one only
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
	bool written;
	bool removed;
	bool reaped;
	struct region_piece *pieces;
	struct region_piece one;
};

/**
 * struct mm_iommu_registry - all regions of an mm; allocated with the first one
 * @lock: protects the fields below, and
 *	  mm_iommu_table_group_mem_t::registrations. Not held over anything that
 *	  may wait for the mmap_lock or for a page (R5)
 * @regions: the regions that can be mapped
 * @generation: how many regions have left @regions so far
 * @changing: the regions that are being made or taken apart
 * @left: how many regions have left @changing so far
 * @wait: wait here for @left to change
 * @abandoned: regions that have lost their last reference, for @reap. Lockless
 * @reap: removes abandoned regions
 */
struct mm_iommu_registry {
	struct mutex lock;	/* regions, changing, left, registrations */
	struct maple_tree regions;
	unsigned long generation;
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

/* The granule of @ua; *@nr: how many granules are adjacent from it on, itself included */
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

/* Bytes from @ua to the end of its granule */
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
 * Assert that a region that was found stays (R3). In real mode KVM has turned lockdep
 * off, and also where it answers hypercalls early: interrupts are off instead.
 */
static __always_inline void region_assert_rcu(void)
{
	RCU_LOCKDEP_WARN(!rcu_read_lock_held(), "registered memory used without RCU");
}

/*
 * The region of @ua, or NULL. The caller must be in an RCU section (R3). Runs in
 * real mode as well: mas_walk() has no tracepoint, and nodes are slab objects.
 */
static inline struct mm_iommu_table_group_mem_t *region_at(struct mm_struct *mm,
							   unsigned long ua)
{
	struct mm_iommu_registry *reg = READ_ONCE(mm->context.iommu_registry);

	region_assert_rcu();

	return reg ? region_walk(&reg->regions, ua) : NULL;
}

/*
 * Add references; with @write a device may write. Returns false when there is none left:
 * the region is going (R2).
 */
static __always_inline bool region_ref(struct mm_iommu_table_group_mem_t *mem,
				       unsigned long nr, bool write)
{
	if (!atomic64_add_unless(&mem->map_refs, nr, 0))
		return false;
	if (write && !READ_ONCE(mem->written))
		WRITE_ONCE(mem->written, true);

	return true;
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
int region_add_pages(struct mm_iommu_table_group_mem_t *mem, unsigned long ua,
		     struct page **pages, unsigned long nr);
int region_pin(struct mm_iommu_table_group_mem_t *mem);
void region_unpin(struct mm_iommu_table_group_mem_t *mem, unsigned long npages);

/* iommu_refs.c */
bool region_backs(struct mm_iommu_table_group_mem_t *mem, unsigned long ua,
		  unsigned long npages, unsigned int page_shift);

#endif /* _IOMMU_REGION_H */
