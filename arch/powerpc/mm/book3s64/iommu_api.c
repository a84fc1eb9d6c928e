// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registered memory: user memory that is pinned, charged and translated once,
 * so that mapping it for a device is a look-up and a count.
 *
 * An mm has regions, which never overlap, in a maple tree. A region comes into
 * the tree complete and leaves it when its last count is gone. Pinning and
 * unpinning may take minutes, or wait for a page fault that does not end, so
 * neither is done under the registry's lock: a region that is being made, or
 * taken apart, is on a list instead, where only other registrations see it.
 * Whoever wants the range of such a region waits until it has left the list.
 *
 *
 * - @registrations counts registrations (one per container) and changes under the
 *   registry's lock.
 * - @map_refs is one for being registered at all, plus one for every IOMMU page
 *   that maps memory of the region. It only rises from a value above zero, and
 *   only where the region stays: inside the RCU section in which it was looked
 *   up, or by a caller that has registered it and keeps it so. No other pointer
 *   without a count leaves such a section. Unregistering moves it from 1 to 0,
 *   or fails with the region as it was.
 *
 * A region whose registrations were dropped for good (the container was
 * closed) while something else still maps it, for example a table that KVM
 * holds, stays pinned, charged and in the tree until the last count goes. Then
 * the registry's worker removes it, or whoever wants to register there before;
 * it is freed when both are done with it.
 *
 * Pages are pinned for writing. Whether they are marked dirty when they are
 * unpinned depends on whether any map ever allowed a device to write.
 */
#include <linux/bits.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/log2.h>
#include <linux/maple_tree.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <asm/tce_user_table.h>
#include <asm/mmu_context.h>
#include <asm/tce.h>
#include <asm/tce_tree.h>

#define CREATE_TRACE_POINTS
#include <trace/events/spapr_tce.h>

/* Those that modules use */
EXPORT_TRACEPOINT_SYMBOL_GPL(kvm_tce_hcall);
EXPORT_TRACEPOINT_SYMBOL_GPL(tce_window_create);
EXPORT_TRACEPOINT_SYMBOL_GPL(tce_window_remove);

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

/* Instead of a real address: the region is ordinary memory */
#define MM_IOMMU_NO_DEVICE	(~0UL)

/* How much to unpin between two chances to reschedule */
#define MM_IOMMU_UNPIN_PAGES	((unsigned long)SZ_64M >> PAGE_SHIFT)

/* Frees regions, and removes those that were abandoned */
static struct workqueue_struct *mm_iommu_wq;

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

static unsigned long region_last(const struct mm_iommu_table_group_mem_t *mem)
{
	return mem->ua + (mem->npages << PAGE_SHIFT) - 1;
}

static struct region_piece *
region_piece(const struct mm_iommu_table_group_mem_t *mem, unsigned long ua)
{
	return mem->pieces + ((ua >> mem->piece_shift) - mem->first_piece);
}

static unsigned long piece_offset(const struct region_piece *piece,
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

static u64 *piece_granule(const struct region_piece *piece, unsigned long ua)
{
	unsigned long nr;

	return piece_granules(piece, ua, &nr);
}

static unsigned long piece_hpa(const struct region_piece *piece,
			       unsigned long ua)
{
	return (*piece_granule(piece, ua) & GRANULE_HPA) + piece_offset(piece, ua);
}

/* The part of the granule of @ua that lies behind it, in bytes */
static unsigned long piece_rest(const struct region_piece *piece,
				unsigned long ua)
{
	return (1UL << piece->shift) - piece_offset(piece, ua);
}

static unsigned long region_hpa(const struct mm_iommu_table_group_mem_t *mem,
				unsigned long ua)
{
	return piece_hpa(region_piece(mem, ua), ua);
}

/*
 * Building a region: pages come in batches, and each batch may show that the
 * granules of a piece must be smaller than was hoped so far.
 */

static int region_alloc_pieces(struct mm_iommu_table_group_mem_t *mem)
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

/* On failure the caller frees what there is */
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

/* The user addresses of @mem that the piece of @ua has */
static void piece_bounds(const struct mm_iommu_table_group_mem_t *mem,
			 unsigned long ua, unsigned long *start,
			 unsigned long *last)
{
	unsigned long mask = (1UL << mem->piece_shift) - 1;

	*start = max(mem->ua, ua & ~mask);
	*last = min(region_last(mem), ua | mask);
}

/* Gives the piece that ends before @ua granules of another size, or the first ones */
static int piece_set_shift(struct mm_iommu_table_group_mem_t *mem,
			   struct region_piece *piece, unsigned long start,
			   unsigned long last, unsigned long end,
			   unsigned int shift)
{
	struct region_piece new = { .shift = shift, .first = start >> shift };
	unsigned long mask = (1UL << shift) - 1, ua;

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

/*
 * A folio and the user address of one of its pages: how large a granule around
 * that address can be, as far as this folio goes.
 */
static unsigned int page_granule_shift(struct page *page, unsigned long ua)
{
	unsigned long differ = ua ^ page_to_phys(page);
	unsigned int shift = folio_shift(page_folio(page));

	return differ ? min(shift, __ffs(differ)) : shift;
}

/* How many of @pages, from the first on, follow each other in one folio */
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

/* Pages of one piece; @ua is the address of the first */
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
		/* A granule cannot go on across a break in real addresses */
		if (at != start && hpa != next)
			shift = min_t(unsigned int, shift, __ffs(at));
		at += contig << PAGE_SHIFT;
		next = hpa + (contig << PAGE_SHIFT);
	}

	if ((!piece->granules || shift != piece->shift) &&
	    piece_set_shift(mem, piece, start, last, ua, shift))
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

static int region_add_pages(struct mm_iommu_table_group_mem_t *mem,
			    unsigned long ua, struct page **pages,
			    unsigned long nr)
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

static void region_unpin(struct mm_iommu_table_group_mem_t *mem,
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

/* Pins up to @nr pages; a number of them, or an error for the caller of all */
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

static int region_pin(struct mm_iommu_table_group_mem_t *mem)
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
		/* Pages that are there are pinned without a look at signals */
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

/* Device memory is contiguous, and only its alignment limits IOMMU pages */
static int region_set_device(struct mm_iommu_table_group_mem_t *mem,
			     unsigned long hpa)
{
	struct region_piece *piece = mem->pieces;
	unsigned long differ = mem->ua ^ hpa;

	mem->piece_shift = GRANULE_SHIFT_ANY;
	mem->first_piece = mem->ua >> GRANULE_SHIFT_ANY;
	piece->shift = GRANULE_SHIFT_ANY;
	piece->first = mem->ua >> GRANULE_SHIFT_ANY;
	piece->nr = 1;
	if (piece_alloc_granules(piece))
		return -ENOMEM;

	piece->granules[0] = hpa - piece_offset(piece, mem->ua);
	mem->whole_shift = differ ? __ffs(differ) : GRANULE_SHIFT_ANY;
	mem->device = true;

	return 0;
}

static struct mm_iommu_table_group_mem_t *
region_alloc(struct mm_struct *mm, unsigned long ua, unsigned long npages)
{
	struct mm_iommu_table_group_mem_t *mem;

	mem = kzalloc(sizeof(*mem), GFP_KERNEL_ACCOUNT);
	if (!mem)
		return NULL;

	mmgrab(mm);
	mem->mm = mm;
	mem->ua = ua;
	mem->npages = npages;
	mem->registrations = 1;
	mem->granule_shift = GRANULE_SHIFT_ANY;
	mem->pieces = &mem->one;
	mem->nr_pieces = 1;
	atomic64_set(&mem->map_refs, 1);
	INIT_LIST_HEAD(&mem->changing);

	return mem;
}

/* The memory of a region; its mm, which it had a reference of, may be gone */
static void region_free(struct mm_iommu_table_group_mem_t *mem)
{
	unsigned int i;

	for (i = 0; i < mem->nr_pieces; i++)
		piece_free_granules(mem->pieces + i);
	if (mem->pieces != &mem->one)
		kfree(mem->pieces);
	kfree(mem);
}

static void region_free_work(struct work_struct *work)
{
	region_free(container_of(to_rcu_work(work),
				 struct mm_iommu_table_group_mem_t, free));
}

/*
 * Frees a region that was removed. With its reference the mm may go, and the
 * registry with it.
 */
static void region_retire(struct mm_iommu_table_group_mem_t *mem)
{
	struct mm_struct *mm = mem->mm;

	/*
	 * Readers may still look at it, but find no count to take. Not in a
	 * callback of RCU: a large region has many arrays.
	 */
	INIT_RCU_WORK(&mem->free, region_free_work);
	queue_rcu_work(mm_iommu_wq, &mem->free);
	mmdrop(mm);
}

/* Charges a region; -ENOMEM, or -EINTR if the process is killed meanwhile */
static int region_charge(struct mm_iommu_table_group_mem_t *mem)
{
	struct mm_struct *mm = mem->mm;
	int ret;

	if (mmap_write_lock_killable(mm))
		return -EINTR;
	ret = __account_locked_vm(mm, mem->npages, true, current,
				  capable(CAP_IPC_LOCK));
	mmap_write_unlock(mm);

	return ret;
}

/* Gives back what a region has, outside of the registry's lock */
static void region_unpin_all(struct mm_iommu_table_group_mem_t *mem)
{
	if (mem->device)
		return;
	region_unpin(mem, mem->npages);
	account_locked_vm(mem->mm, mem->npages, false);
}

/*
 * A region that is being made or taken apart: from here until region_changed()
 * others cannot have its range.
 */
static void region_changing(struct mm_iommu_registry *reg,
			    struct mm_iommu_table_group_mem_t *mem)
{
	lockdep_assert_held(&reg->lock);
	list_add(&mem->changing, &reg->changing);
}

static void region_changed(struct mm_iommu_registry *reg,
			   struct mm_iommu_table_group_mem_t *mem)
{
	lockdep_assert_held(&reg->lock);
	list_del_init(&mem->changing);
	WRITE_ONCE(reg->left, reg->left + 1);
	wake_up_all(&reg->wait);
}

/* Takes a region without counts out of the tree; region_take_apart() is next */
static void region_remove(struct mm_iommu_registry *reg,
			  struct mm_iommu_table_group_mem_t *mem)
{
	MA_STATE(mas, &reg->regions, mem->ua, region_last(mem));

	lockdep_assert_held(&reg->lock);

	/* Destruction cannot fail, and the tree may need a node for it */
	mas_store_gfp(&mas, NULL, GFP_KERNEL | __GFP_NOFAIL);
	mem->removed = true;
	region_changing(reg, mem);
}

/*
 * Gives back what a removed region has. Drops the lock meanwhile and has it again
 * then. Returns whether the caller is to retire the region, if it was abandoned;
 * else the worker will.
 */
static bool region_take_apart(struct mm_iommu_registry *reg,
			      struct mm_iommu_table_group_mem_t *mem)
{
	mutex_unlock(&reg->lock);
	region_unpin_all(mem);
	mutex_lock(&reg->lock);
	region_changed(reg, mem);

	return mem->reaped;
}

/* Removes an abandoned region, unless somebody else does; retires it if need be */
static void region_reap(struct mm_iommu_registry *reg,
			struct mm_iommu_table_group_mem_t *mem)
{
	mutex_lock(&reg->lock);
	mem->reaped = true;
	if (!mem->removed) {
		region_remove(reg, mem);
		region_take_apart(reg, mem);
	} else if (!list_empty(&mem->changing)) {
		/* Who takes it apart will see that it is his now */
		mem = NULL;
	}
	mutex_unlock(&reg->lock);
	if (mem)
		region_retire(mem);
}

/*
 * A region keeps the registry, so it is gone with the last one of the list. What
 * is abandoned meanwhile finds the list empty and queues the work once more.
 */
static void registry_reap_work(struct work_struct *work)
{
	struct mm_iommu_registry *reg;
	struct mm_iommu_table_group_mem_t *mem, *next;
	struct llist_node *list;

	reg = container_of(work, struct mm_iommu_registry, reap);
	list = llist_del_all(&reg->abandoned);
	llist_for_each_entry_safe(mem, next, list, abandoned) {
		region_reap(reg, mem);
		cond_resched();
	}
}

static bool region_ref(struct mm_iommu_table_group_mem_t *mem, unsigned long nr)
{
	return atomic64_add_unless(&mem->map_refs, nr, 0);
}

/*
 * The last count went, and no registration is left. One work for all regions of
 * the mm; until it is queued nobody takes the region off the list, and with the
 * region the registry stays.
 */
static noinline void region_abandon(struct mm_iommu_table_group_mem_t *mem)
{
	struct mm_iommu_registry *reg = mem->mm->context.iommu_registry;

	if (llist_add(&mem->abandoned, &reg->abandoned))
		queue_work(mm_iommu_wq, &reg->reap);
}

static void region_unref(struct mm_iommu_table_group_mem_t *mem, unsigned long nr)
{
	s64 left = atomic64_sub_return(nr, &mem->map_refs);

	if (!left)
		region_abandon(mem);
	WARN_ON_ONCE(left < 0);
}

static struct mm_iommu_registry *registry_get(struct mm_struct *mm)
{
	struct mm_iommu_registry *reg = READ_ONCE(mm->context.iommu_registry);
	struct mm_iommu_registry *old;

	if (reg || !mm_iommu_wq)
		return reg;

	reg = kzalloc(sizeof(*reg), GFP_KERNEL_ACCOUNT);
	if (!reg)
		return NULL;
	mutex_init(&reg->lock);
	mt_init_flags(&reg->regions, MT_FLAGS_USE_RCU | MT_FLAGS_LOCK_EXTERN);
	mt_set_external_lock(&reg->regions, &reg->lock);
	INIT_LIST_HEAD(&reg->changing);
	init_waitqueue_head(&reg->wait);
	init_llist_head(&reg->abandoned);
	INIT_WORK(&reg->reap, registry_reap_work);

	old = cmpxchg(&mm->context.iommu_registry, NULL, reg);
	if (old) {
		kfree(reg);
		reg = old;
	}

	return reg;
}

static bool region_has(const struct mm_iommu_table_group_mem_t *mem,
		       unsigned long ua)
{
	return ua - mem->ua < mem->npages << PAGE_SHIFT;
}

static struct mm_iommu_table_group_mem_t *region_walk(struct maple_tree *regions,
						      unsigned long ua)
{
	MA_STATE(mas, regions, ua, ua);

	return mas_walk(&mas);
}

/*
 * The region that has @ua in it; the caller is in an RCU section. mas_walk()
 * runs in real mode as well: it has no tracepoint and nodes are linear mapping.
 */
static struct mm_iommu_table_group_mem_t *region_at(struct mm_struct *mm,
						    unsigned long ua)
{
	struct mm_iommu_registry *reg = READ_ONCE(mm->context.iommu_registry);

	return reg ? region_walk(&reg->regions, ua) : NULL;
}

/* Nobody has a count of it any more, only the worker has not come to it yet */
static bool region_abandoned(const struct mm_iommu_table_group_mem_t *mem)
{
	return !mem->registrations && !atomic64_read(&mem->map_refs);
}

static bool region_is(const struct mm_iommu_table_group_mem_t *mem,
		      unsigned long ua, unsigned long npages, bool device)
{
	return mem->ua == ua && mem->npages == npages && mem->device == device;
}

/* The first region in the list that shares an address with the range */
static struct mm_iommu_table_group_mem_t *
registry_find_changing(struct mm_iommu_registry *reg, unsigned long ua,
		       unsigned long last)
{
	struct mm_iommu_table_group_mem_t *mem;

	lockdep_assert_held(&reg->lock);
	list_for_each_entry(mem, &reg->changing, changing)
		if (mem->ua <= last && region_last(mem) >= ua)
			return mem;

	return NULL;
}

/* Waits until a region has left the list, without the lock meanwhile */
static int registry_wait(struct mm_iommu_registry *reg)
{
	unsigned long left = reg->left;
	int ret;

	lockdep_assert_held(&reg->lock);
	mutex_unlock(&reg->lock);
	ret = wait_event_killable(reg->wait, READ_ONCE(reg->left) != left);
	mutex_lock(&reg->lock);

	return ret ? -EINTR : 0;
}

/*
 * Sees to it that nothing is about to change in the range, which what the caller
 * finds then is good for until he drops the lock. A region that is being made
 * there and is not the very same can only be in the way.
 */
static int registry_settle(struct mm_iommu_registry *reg, unsigned long ua,
			   unsigned long npages, bool device)
{
	unsigned long start, last = ua + (npages << PAGE_SHIFT) - 1;
	struct mm_iommu_table_group_mem_t *mem;
	int ret = 0;

	while (!ret) {
		start = ua;
		mem = mt_find(&reg->regions, &start, last);
		if (mem && region_abandoned(mem)) {
			region_remove(reg, mem);
			if (region_take_apart(reg, mem))
				region_retire(mem);
			continue;
		}
		mem = registry_find_changing(reg, ua, last);
		if (!mem)
			return 0;
		if (!mem->removed && !region_is(mem, ua, npages, device))
			return -EINVAL;
		ret = registry_wait(reg);
	}

	return ret;
}

/*
 * One more registration of the very same range, NULL when nothing is in the
 * way of a new region, else an error.
 */
static struct mm_iommu_table_group_mem_t *
region_reuse(struct mm_iommu_registry *reg, unsigned long ua,
	     unsigned long npages, bool device)
{
	unsigned long start = ua, last = ua + (npages << PAGE_SHIFT) - 1;
	struct mm_iommu_table_group_mem_t *mem;
	int ret;

	ret = registry_settle(reg, ua, npages, device);
	if (ret)
		return ERR_PTR(ret);

	mem = mt_find(&reg->regions, &start, last);
	if (!mem)
		return NULL;
	if (!region_is(mem, ua, npages, device))
		return ERR_PTR(-EINVAL);
	/* Unregistered, but something still maps it */
	if (!mem->registrations)
		return ERR_PTR(-EBUSY);
	mem->registrations++;

	return mem;
}

/*
 * A request that cannot be met had better not start to fault memory in. What
 * is not RAM in the first place (device DAX) does not count.
 */
static int region_check_size(struct mm_iommu_table_group_mem_t *mem)
{
	struct vm_area_struct *vma;
	bool dax;

	if (mem->npages <= totalram_pages())
		return 0;

	if (mmap_read_lock_killable(mem->mm))
		return -EINTR;
	vma = find_vma(mem->mm, mem->ua);
	dax = vma && vma_is_dax(vma);
	mmap_read_unlock(mem->mm);

	return dax ? 0 : -ENOMEM;
}

/* Charges and pins a region, without the registry's lock */
static int region_make(struct mm_iommu_table_group_mem_t *mem)
{
	int ret;

	ret = region_check_size(mem);
	if (ret)
		return ret;
	ret = region_charge(mem);
	if (ret)
		return ret;

	ret = region_alloc_pieces(mem);
	if (!ret)
		ret = region_pin(mem);
	if (ret)
		account_locked_vm(mem->mm, mem->npages, false);

	return ret;
}

static int region_publish(struct mm_iommu_registry *reg,
			  struct mm_iommu_table_group_mem_t *mem)
{
	MA_STATE(mas, &reg->regions, mem->ua, region_last(mem));

	lockdep_assert_held(&reg->lock);

	return mas_store_gfp(&mas, mem, GFP_KERNEL);
}

/*
 * Makes a region. Nobody sees it before it is complete, and nobody else may have
 * its range meanwhile. The caller has the lock, which is dropped in between.
 */
static int region_make_known(struct mm_iommu_registry *reg,
			     struct mm_iommu_table_group_mem_t *mem,
			     unsigned long dev_hpa)
{
	int ret;

	if (dev_hpa != MM_IOMMU_NO_DEVICE) {
		ret = region_set_device(mem, dev_hpa);
		return ret ? ret : region_publish(reg, mem);
	}

	region_changing(reg, mem);
	mutex_unlock(&reg->lock);
	ret = region_make(mem);
	mutex_lock(&reg->lock);
	if (!ret) {
		ret = region_publish(reg, mem);
		if (ret) {
			mutex_unlock(&reg->lock);
			region_unpin_all(mem);
			mutex_lock(&reg->lock);
		}
	}
	region_changed(reg, mem);

	return ret;
}

/* One more registration of a region, or a new one; the caller has the lock */
static struct mm_iommu_table_group_mem_t *
region_reuse_or_make(struct mm_iommu_registry *reg, struct mm_struct *mm,
		     unsigned long ua, unsigned long npages,
		     unsigned long dev_hpa)
{
	struct mm_iommu_table_group_mem_t *mem;
	int ret;

	mem = region_reuse(reg, ua, npages, dev_hpa != MM_IOMMU_NO_DEVICE);
	if (mem)
		return mem;

	mem = region_alloc(mm, ua, npages);
	if (!mem)
		return ERR_PTR(-ENOMEM);
	ret = region_make_known(reg, mem, dev_hpa);
	if (ret) {
		region_free(mem);
		/* Not the last one: the caller has another */
		mmdrop(mm);
		return ERR_PTR(ret);
	}

	return mem;
}

static long region_register(struct mm_struct *mm, unsigned long ua,
			    unsigned long npages, unsigned long dev_hpa,
			    struct mm_iommu_table_group_mem_t **pmem)
{
	struct mm_iommu_table_group_mem_t *mem;
	struct mm_iommu_registry *reg;
	unsigned long size, end;
	long ret;

	if (!npages || !PAGE_ALIGNED(ua) ||
	    check_shl_overflow(npages, PAGE_SHIFT, &size) ||
	    check_add_overflow(ua, size - 1, &end))
		return -EINVAL;

	reg = registry_get(mm);
	if (!reg)
		return -ENOMEM;

	if (mutex_lock_killable(&reg->lock))
		return -EINTR;
	mem = region_reuse_or_make(reg, mm, ua, npages, dev_hpa);
	ret = PTR_ERR_OR_ZERO(mem);
	trace_tce_region_register(ua, size, ret ? 0 : mem->registrations, ret);
	mutex_unlock(&reg->lock);
	if (!ret)
		*pmem = mem;

	return ret;
}

/**
 * mm_iommu_new() - register memory
 * @mm: whose memory, the current process's
 * @ua: user address, aligned to the system page size
 * @entries: size in system pages
 * @pmem: where to put the region
 *
 * A range that is registered already, with the same start and size, is
 * registered once more without further pins or charge. If another thread is just
 * registering it, wait for that one, and if the range is just being unpinned, for
 * the end of that.
 * Context: process, may sleep; takes the mmap_lock. A process that is being
 * killed does not wait.
 *
 * Return: 0; -EINVAL for a bad or partly registered range; -EBUSY when the
 * range was unregistered for good and is still mapped; -EFAULT when not
 * all of it can be pinned for writing; -ENOMEM when memory or RLIMIT_MEMLOCK
 * does not suffice; -EINTR when the process is being killed. Nothing is
 * pinned or charged after an error.
 */
long mm_iommu_new(struct mm_struct *mm, unsigned long ua, unsigned long entries,
		  struct mm_iommu_table_group_mem_t **pmem)
{
	return region_register(mm, ua, entries, MM_IOMMU_NO_DEVICE,
			       pmem);
}
EXPORT_SYMBOL_GPL(mm_iommu_new);

/**
 * mm_iommu_newdev() - register memory of a device that the process has mapped
 * @mm: the process's mm
 * @ua: user address, aligned to the system page size
 * @entries: size in system pages
 * @dev_hpa: its real address; the memory is contiguous and stays there
 * @pmem: where to put the region
 *
 * Neither pins nor charges. Context: process, may sleep.
 *
 * Return: 0, or -EINVAL, -EBUSY, -ENOMEM as mm_iommu_new().
 */
long mm_iommu_newdev(struct mm_struct *mm, unsigned long ua,
		     unsigned long entries, unsigned long dev_hpa,
		     struct mm_iommu_table_group_mem_t **pmem)
{
	if (!PAGE_ALIGNED(dev_hpa))
		return -EINVAL;

	return region_register(mm, ua, entries, dev_hpa, pmem);
}
EXPORT_SYMBOL_GPL(mm_iommu_newdev);

/**
 * mm_iommu_unregister() - unregister memory unless it is mapped
 * @mm: as registered
 * @mem: what mm_iommu_new() or mm_iommu_newdev() gave
 * @unmapped: the caller has looked: no table of its own maps the region
 *
 * Context: process, may sleep; takes the mmap_lock.
 *
 * Return: 0; -EBUSY when this is the last registration and some of the region
 * is mapped; -EAGAIN when it is not the last and the caller has not looked,
 * since counts do not tell its maps from those of others; -EINTR when the process
 * is being killed. After an error the region stays registered.
 */
long mm_iommu_unregister(struct mm_struct *mm,
			 struct mm_iommu_table_group_mem_t *mem, bool unmapped)
{
	struct mm_iommu_registry *reg = mm->context.iommu_registry;
	unsigned long ua = mem->ua, size = mem->npages << PAGE_SHIFT;
	bool last = false;
	unsigned int registrations;
	long ret = 0;

	if (mutex_lock_killable(&reg->lock))
		return -EINTR;
	registrations = mem->registrations - 1;
	if (mem->registrations > 1) {
		if (unmapped)
			mem->registrations--;
		else
			ret = -EAGAIN;
	} else if (atomic64_cmpxchg(&mem->map_refs, 1, 0) == 1) {
		mem->registrations = 0;
		last = true;
		region_remove(reg, mem);
		region_take_apart(reg, mem);
	} else {
		ret = -EBUSY;
	}
	trace_tce_region_unregister(ua, size, ret ? registrations + 1 : registrations, ret);
	mutex_unlock(&reg->lock);
	if (last)
		region_retire(mem);

	return ret;
}
EXPORT_SYMBOL_GPL(mm_iommu_unregister);

/**
 * mm_iommu_release() - unregister memory for good
 * @mm: as registered
 * @mem: what mm_iommu_new() or mm_iommu_newdev() gave
 *
 * For a container that goes away. When this is the last registration and
 * something still maps the region, the region goes with its last count.
 * Context: process, may sleep; takes the mmap_lock.
 */
void mm_iommu_release(struct mm_struct *mm,
		      struct mm_iommu_table_group_mem_t *mem)
{
	struct mm_iommu_registry *reg = mm->context.iommu_registry;
	bool last;

	mutex_lock(&reg->lock);
	trace_tce_region_unregister(mem->ua, mem->npages << PAGE_SHIFT,
				    mem->registrations - 1, 0);
	last = !--mem->registrations && atomic64_dec_and_test(&mem->map_refs);
	if (last) {
		region_remove(reg, mem);
		region_take_apart(reg, mem);
	}
	mutex_unlock(&reg->lock);
	if (last)
		region_retire(mem);
}
EXPORT_SYMBOL_GPL(mm_iommu_release);

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

static bool region_backs(struct mm_iommu_table_group_mem_t *mem,
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

/* Count @npages IOMMU pages of the region */
static __always_inline long region_ref_pages(struct mm_iommu_table_group_mem_t *mem,
					     unsigned long ua, unsigned long npages,
				       unsigned int page_shift, bool write)
{
	if (!region_backs(mem, ua, npages, page_shift))
		return -EPERM;

	return mm_iommu_ref(mem, npages, write) ? 0 : -EINVAL;
}

/*
 * The range operations that follow take a hint: a region, probably the one of
 * the range, that the caller has registered, so that it stays. What the hint
 * has all of is done at once, anything else goes from region to region.
 */

static bool region_hinted(const struct mm_iommu_table_group_mem_t *hint,
			  unsigned long ua, unsigned long npages,
			   unsigned int page_shift)
{
	return likely(hint && region_has(hint, ua) &&
		      npages <= (region_last(hint) - ua + 1) >> page_shift);
}

static noinline long region_ref_range(struct mm_struct *mm, unsigned long ua,
				      unsigned long npages,
				      unsigned int page_shift, bool write)
{
	struct mm_iommu_table_group_mem_t *mem;
	unsigned long done, next = ua, nr;
	long ret;

	for (done = 0; done < npages; done += nr, next += nr << page_shift) {
		rcu_read_lock();
		mem = region_at(mm, next);
		nr = mem ? region_pages(mem, next, npages - done, page_shift) : 0;
		ret = nr ? region_ref_pages(mem, next, nr, page_shift, write) : -EINVAL;
		rcu_read_unlock();
		if (ret) {
			mm_iommu_unref_range(mm, NULL, ua, done, page_shift);
			return ret;
		}
	}

	return 0;
}

/**
 * mm_iommu_ref_range() - count IOMMU pages about to be mapped
 * @mm: whose memory
 * @hint: a region, probably the one of @ua, that the caller has registered;
 *	   or NULL
 * @ua: user address, aligned to the IOMMU page size
 * @npages: how many IOMMU pages; may go on from one region into the next
 * @page_shift: log2 of the IOMMU page size
 * @write: a device may write to them
 *
 * With the counts mm_iommu_translate_range() will translate the range, until
 * mm_iommu_unref_range(). Context: any in virtual mode, does not sleep.
 *
 * Return: 0; -EINVAL when part of the range is not registered; -EPERM when
 * an IOMMU page is larger than what backs it. Nothing is counted then.
 */
long mm_iommu_ref_range(struct mm_struct *mm,
			struct mm_iommu_table_group_mem_t *hint,
			unsigned long ua, unsigned long npages,
			unsigned int page_shift, bool write)
{
	if (region_hinted(hint, ua, npages, page_shift))
		return region_ref_pages(hint, ua, npages, page_shift, write);

	return region_ref_range(mm, ua, npages, page_shift, write);
}

static noinline void region_unref_range(struct mm_struct *mm, unsigned long ua,
					unsigned long npages,
				      unsigned int page_shift)
{
	struct mm_iommu_table_group_mem_t *mem;
	unsigned long nr;

	for (; npages; npages -= nr, ua += nr << page_shift) {
		rcu_read_lock();
		mem = region_at(mm, ua);
		nr = mem ? region_pages(mem, ua, npages, page_shift) : 0;
		if (nr)
			region_unref(mem, nr);
		rcu_read_unlock();
		if (WARN_ON_ONCE(!nr))
			return;
	}
}

/**
 * mm_iommu_unref_range() - give back counts of IOMMU pages
 * @mm: whose memory
 * @hint: as for mm_iommu_ref_range()
 * @ua: user address, aligned to the IOMMU page size
 * @npages: how many IOMMU pages, each counted by mm_iommu_ref_range()
 * @page_shift: log2 of the IOMMU page size
 *
 * The hardware does not reach the pages any more. Context: any in virtual
 * mode, does not sleep.
 */
void mm_iommu_unref_range(struct mm_struct *mm,
			  struct mm_iommu_table_group_mem_t *hint,
			unsigned long ua, unsigned long npages,
			unsigned int page_shift)
{
	if (region_hinted(hint, ua, npages, page_shift))
		region_unref(hint, npages);
	else
		region_unref_range(mm, ua, npages, page_shift);
}

static noinline void region_translate(struct mm_iommu_table_group_mem_t *mem,
				      unsigned long ua, unsigned long npages,
				 unsigned int page_shift, unsigned long perm,
				 __be64 *tces)
{
	unsigned long size = 1UL << page_shift, step, granules, nr, hpa;
	const struct region_piece *piece;
	const u64 *granule;

	/* Many requests are for one page, and spend a good part of it here */
	if (npages == 1) {
		tce_store(tces, region_hpa(mem, ua) | perm);
		return;
	}

	while (npages) {
		piece = region_piece(mem, ua);
		granule = piece_granules(piece, ua, &granules);
		if (page_shift >= piece->shift) {
			/* A granule or several make one IOMMU page */
			step = size >> piece->shift;
			nr = (granules - 1) >> (page_shift - piece->shift);
			nr = min(npages, nr + 1);
			npages -= nr;
			ua += nr << page_shift;
			for (; nr; nr--, granule += step)
				tce_store(tces++, (*granule & GRANULE_HPA) | perm);
			continue;
		}

		for (; npages && granules; granules--) {
			nr = min(npages, piece_rest(piece, ua) >> page_shift);
			hpa = ((*granule++ & GRANULE_HPA) + piece_offset(piece, ua)) |
				perm;
			npages -= nr;
			ua += nr << page_shift;
			for (; nr; nr--, hpa += size)
				tce_store(tces++, hpa);
		}
	}
}

static noinline void region_translate_range(struct mm_struct *mm, unsigned long ua,
					    unsigned long npages,
				       unsigned int page_shift,
				       unsigned long perm, __be64 *tces)
{
	struct mm_iommu_table_group_mem_t *mem;
	unsigned long nr;

	rcu_read_lock();
	for (; npages; npages -= nr, ua += nr << page_shift, tces += nr) {
		/* The counts keep it */
		mem = region_at(mm, ua);
		nr = region_pages(mem, ua, npages, page_shift);
		region_translate(mem, ua, nr, page_shift, perm, tces);
	}
	rcu_read_unlock();
}

/**
 * mm_iommu_translate_range() - translate to TCEs
 * @mm: whose memory
 * @hint: as for mm_iommu_ref_range()
 * @ua: user address, aligned to the IOMMU page size
 * @npages: how many IOMMU pages, each counted by mm_iommu_ref_range()
 * @page_shift: log2 of the IOMMU page size
 * @perm: permission bits of the TCEs
 * @tces: where to put them
 *
 * Context: any in virtual mode, does not sleep.
 */
void mm_iommu_translate_range(struct mm_struct *mm,
			      struct mm_iommu_table_group_mem_t *hint,
			unsigned long ua, unsigned long npages,
			unsigned int page_shift, unsigned long perm,
			__be64 *tces)
{
	if (region_hinted(hint, ua, npages, page_shift))
		region_translate(hint, ua, npages, page_shift, perm, tces);
	else
		region_translate_range(mm, ua, npages, page_shift, perm, tces);
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

/*
 * Lists. Their pages may lie anywhere, but mostly in one region: what was found
 * for one is tried for the next.
 */

static unsigned long batch_ua(const struct tce_batch *batch,
			      unsigned long i)
{
	return batch->uas[i] & ~(unsigned long)(TCE_PCI_READ | TCE_PCI_WRITE);
}

/* Does the region have all of the page, in IOMMU pages that are backed? */
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

/* From element @first on, as long as they are of one region; where it ended */
static long region_ref_batch(struct mm_struct *mm, struct tce_batch *batch,
			     unsigned int page_shift, unsigned long *first)
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
			mem = region_at(mm, ua);
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

static void region_unref_batch(struct mm_struct *mm,
			       const struct tce_batch *batch,
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
			if (WARN_ON_ONCE(!mm_iommu_find_bounds(mm, NULL, ua, &bounds)))
				break;
		}
		nr += 1UL << (batch->page_shift - page_shift);
	}
	if (nr)
		region_unref(bounds.mem, nr);
	rcu_read_unlock();
}

/**
 * mm_iommu_ref_batch() - count the IOMMU pages of a list
 * @mm: whose memory
 * @batch: the list; elements that are 0 have none. Its region is set
 * @page_shift: log2 of the IOMMU page size
 *
 * Context: any in virtual mode, does not sleep.
 *
 * Return: as mm_iommu_ref_range().
 */
long mm_iommu_ref_batch(struct mm_struct *mm, struct tce_batch *batch,
			unsigned int page_shift)
{
	unsigned long done = 0;
	long ret = 0;

	batch->mem = NULL;
	rcu_read_lock();
	while (!ret && done < batch->nr)
		ret = region_ref_batch(mm, batch, page_shift, &done);
	rcu_read_unlock();
	if (ret)
		region_unref_batch(mm, batch, page_shift, done);

	return ret;
}

/**
 * mm_iommu_unref_batch() - give back the counts of a list
 * @mm: whose memory
 * @batch: as mm_iommu_ref_batch()
 * @page_shift: as mm_iommu_ref_batch()
 *
 * Context: any in virtual mode, does not sleep.
 */
void mm_iommu_unref_batch(struct mm_struct *mm, const struct tce_batch *batch,
			  unsigned int page_shift)
{
	region_unref_batch(mm, batch, page_shift, batch->nr);
}

/*
 * For real mode, where nothing sleeps, waits or is queued. What follows works
 * in virtual mode, too.
 */

/**
 * mm_iommu_translate_batch() - translate a list, or part of it, to TCEs
 * @mm: whose memory
 * @batch: the list, all of it counted
 * @page_shift: log2 of the IOMMU page size
 * @first: first IOMMU page, counted from where the list begins
 * @nr: how many
 * @tces: where to put them; 0 for an element that is
 *
 * Context: any, real mode included.
 */
void mm_iommu_translate_batch(struct mm_struct *mm, const struct tce_batch *batch,
			      unsigned int page_shift, unsigned long first,
			unsigned long nr, __be64 *tces)
{
	struct mm_iommu_table_group_mem_t *mem = batch->mem;
	unsigned long page, tce;

	rcu_read_lock();
	for (page = first; page < first + nr; page++, tces++) {
		tce = tce_batch_page(batch, page_shift, page);
		if (tce) {
			/* The counts keep it */
			if (!mem || !region_has(mem, tce))
				mem = region_at(mm, tce);
			tce = region_hpa(mem, tce);
		}
		tce_store(tces, tce);
	}
	rcu_read_unlock();
}

/* As region_check(), but to look at many granules is more than real mode should do */
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
 * mm_iommu_batch_region() - has one region all that a list wants to map?
 * @mm: whose memory
 * @batch: the list
 * @page_shift: log2 of the IOMMU page size
 *
 * Context: as mm_iommu_lookup().
 *
 * Return: the region, which has and backs all IOMMU pages; NULL when none does,
 * or the list maps nothing.
 */
struct mm_iommu_table_group_mem_t *
mm_iommu_batch_region(struct mm_struct *mm, const struct tce_batch *batch,
		      unsigned int page_shift)
{
	struct mm_iommu_table_group_mem_t *mem = NULL;
	unsigned long i, ua;

	rcu_read_lock();
	for (i = 0; i < batch->nr; i++) {
		if (!batch->uas[i])
			continue;
		ua = batch_ua(batch, i);
		if (!mem)
			mem = region_at(mm, ua);
		if (!mem || !region_check_rm(mem, ua, batch, page_shift)) {
			mem = NULL;
			break;
		}
	}
	rcu_read_unlock();

	return mem;
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

/**
 * mm_iommu_next_region() - for who shows what is registered
 * @mm: whose memory; the caller has a reference (mmgrab())
 * @ua: where to begin to look
 * @info: where to put the answer
 *
 * Regions may come and go meanwhile: what is told of one was so at some moment
 * of the call. Nobody waits for the caller. Context: process.
 *
 * Return: true; false when no region begins at @ua or behind it.
 */
bool mm_iommu_next_region(struct mm_struct *mm, unsigned long ua,
			  struct mm_iommu_region_info *info)
{
	struct mm_iommu_registry *reg = READ_ONCE(mm->context.iommu_registry);
	struct mm_iommu_table_group_mem_t *mem;
	unsigned long start = ua, map_refs;

	if (!reg)
		return false;

	rcu_read_lock();
	do
		mem = mt_find(&reg->regions, &start, ULONG_MAX);
	while (mem && mem->ua < ua);
	if (mem) {
		info->ua = mem->ua;
		info->size = mem->npages << PAGE_SHIFT;
		info->registrations = READ_ONCE(mem->registrations);
		map_refs = atomic64_read(&mem->map_refs);
		/* One of them stands for being registered */
		info->map_refs = map_refs - (map_refs && info->registrations);
		info->granule_shift = mem->granule_shift;
		info->device = mem->device;
		info->written = READ_ONCE(mem->written);
	}
	rcu_read_unlock();

	return mem;
}

static int __init mm_iommu_start(void)
{
	mm_iommu_wq = alloc_workqueue("mm_iommu", WQ_UNBOUND, 0);

	return mm_iommu_wq ? 0 : -ENOMEM;
}
core_initcall(mm_iommu_start);

/**
 * mm_iommu_init() - prepare a new mm
 * @mm: the mm; a forked one starts without regions
 */
void mm_iommu_init(struct mm_struct *mm)
{
	mm->context.iommu_registry = NULL;
}

/**
 * mm_iommu_destroy() - the end of an mm
 * @mm: the mm; its regions hold references, so it has none
 */
void mm_iommu_destroy(struct mm_struct *mm)
{
	struct mm_iommu_registry *reg = mm->context.iommu_registry;

	if (!reg)
		return;

	WARN_ON_ONCE(!mtree_empty(&reg->regions));
	WARN_ON_ONCE(!list_empty(&reg->changing));
	kfree(reg);
	mm->context.iommu_registry = NULL;
}
