/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * User-owned TCE tables: tables that map memory of a process for a device
 * that the process, or a guest of it, drives.
 */
#ifndef _ASM_POWERPC_IOMMU_USER_H
#define _ASM_POWERPC_IOMMU_USER_H

#include <linux/bitops.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/processor.h>

#include <asm/iommu.h>
#include <asm/tce.h>
#include <asm/tce_tree.h>

/*
 * An entry of the user shadow says what the TCE of the same index holds on to,
 * so that it can be given back when the TCE goes. Zero: nothing. Otherwise an
 * address, at least 4K aligned, and these bits.
 */
#define TCE_SHADOW_UA		0x1UL	/* a count of the region at this user address */
#define TCE_SHADOW_PIN		0x2UL	/* a pin of the page at this real address */
#define TCE_SHADOW_READ		0x4UL	/* the device may read there */
#define TCE_SHADOW_WRITE	0x8UL	/* the device may write there */
#define TCE_SHADOW_FLAGS	0xfffUL

/* The permissions of a TCE are kept as they are, but shifted */
#define TCE_SHADOW_PERM_SHIFT	2

struct dentry;

/* As many TCEs as a hypervisor takes in one list, which is aligned to its size */
#define TCE_BATCH_MAX		512

/**
 * struct tce_lock - the right to change the TCEs of a table
 * @lock: virtual mode waits for its turn here
 * @word: bit 0 is set while there is an owner, in either mode
 *
 * An owner in virtual mode may sleep. Real mode cannot wait for that: it only
 * tries, and leaves what it wanted to do to virtual mode. It keeps the lock
 * for some thousand instructions at most, and nothing takes its processor away,
 * so virtual mode may spin for it.
 */
struct tce_lock {
	struct mutex lock;	/* of owners in virtual mode */
	unsigned long word;
};

static inline void tce_lock_init(struct tce_lock *lock)
{
	mutex_init(&lock->lock);
	lock->word = 0;
}

static inline bool tce_trylock_rm(struct tce_lock *lock)
{
	return !test_and_set_bit_lock(0, &lock->word);
}

static inline void tce_unlock_rm(struct tce_lock *lock)
{
	clear_bit_unlock(0, &lock->word);
}

/* With the lock, for its turn after real mode */
static inline void tce_lock_bit(struct tce_lock *lock)
{
	while (unlikely(!tce_trylock_rm(lock)))
		cpu_relax();
}

static inline void tce_lock(struct tce_lock *lock)
{
	mutex_lock(&lock->lock);
	tce_lock_bit(lock);
}

/* The same; -EINTR when the caller is killed while it waits */
static inline int tce_lock_killable(struct tce_lock *lock)
{
	int ret = mutex_lock_killable(&lock->lock);

	if (!ret)
		tce_lock_bit(lock);

	return ret;
}

static inline void tce_unlock(struct tce_lock *lock)
{
	tce_unlock_rm(lock);
	mutex_unlock(&lock->lock);
}

/**
 * struct tce_debug_ref - who can reach a table, as debugfs tells it
 * @node: in user_table::debug_refs
 * @who: "container" or "kvm"
 * @pid: thread group that was at work when the holder came
 * @group: number of the IOMMU group on whose behalf it is there
 * @liobn: the guest's name of the table, if @who has guests
 *
 * Part of whatever it stands for, which has a reference of the table meanwhile.
 */
struct tce_debug_ref {
	struct list_head node;
	const char *who;
	pid_t pid;
	int group;
	u64 liobn;
};

/**
 * struct user_table - the part of an iommu_table that a process owns
 * @tbl: the table that this belongs to
 * @id: a number that no other table has had since the kernel was started
 * @mm: where counts, pins and charges are taken and given back; referenced
 * @lock: who may change TCEs and shadow
 * @revoked: the container is done with the table; nothing is mapped any more.
 *	    Changes under @lock
 * @account: what the levels of the table cost @mm
 * @tces: where a list for the hypervisor is put together, under @lock; NULL
 *	  where the hardware walks the table in memory
 * @node: in user_tables
 * @debug_refs: of struct tce_debug_ref, changes under user_tables_mutex
 * @dir: directory in debugfs; gone, with all readers, before the table goes
 */
struct user_table {
	struct iommu_table *tbl;
	unsigned long id;
	struct mm_struct *mm;
	struct tce_lock lock;
	bool revoked;
	struct tce_account account;
	__be64 *tces;
	struct list_head node;
	struct list_head debug_refs;
	struct dentry *dir;
};

struct mm_iommu_table_group_mem_t;

/**
 * struct tce_batch - TCEs that a guest wants to have, one after the other
 * @uas: for each the user address of its page and TCE_PCI_READ, TCE_PCI_WRITE;
 *	 0: to be unmapped
 * @nr: how many, at least 1
 * @page_shift: log2 of the size of a page; at least that of the IOMMU page, of
 *		which several may make one
 * @write_reads: a page that may be written may be read as well; set by
 *		 user_table_commit_batch() and user_table_store_batch_rm()
 * @mem: the region of one of the pages, while these are counted; or NULL
 */
struct tce_batch {
	const unsigned long *uas;
	unsigned long nr;
	unsigned int page_shift;
	bool write_reads;
	struct mm_iommu_table_group_mem_t *mem;
};

/**
 * tce_batch_page() - an IOMMU page of a list
 * @batch: the list
 * @page_shift: log2 of the IOMMU page size
 * @page: which, counted from where the list begins
 *
 * Return: its user address and permissions; 0: to be unmapped.
 */
static inline unsigned long
tce_batch_page(const struct tce_batch *batch,
	       unsigned int page_shift, unsigned long page)
{
	unsigned int split = batch->page_shift - page_shift;
	unsigned long ua = batch->uas[page >> split];

	if (!ua)
		return 0;
	if (batch->write_reads && (ua & TCE_PCI_WRITE))
		ua |= TCE_PCI_READ;

	return ua + ((page & ((1UL << split) - 1)) << page_shift);
}

/**
 * struct mm_iommu_bounds - the user addresses of a registered region
 * @mem: the region
 * @start: its first address
 * @size: its size in bytes; 0 for no region
 */
struct mm_iommu_bounds {
	struct mm_iommu_table_group_mem_t *mem;
	unsigned long start;
	unsigned long size;
};

/**
 * user_table_write_reads() - may a device read whatever it may write?
 * @tbl: a user-owned table
 *
 * As with the tables of the host: a device that does an atomic operation, or
 * reads back what it wrote to have it arrive, needs both. Where a hypervisor has
 * the TCEs it is told what was asked for, and decides.
 *
 * Return: true if TCE_PCI_WRITE comes with TCE_PCI_READ.
 */
static inline bool user_table_write_reads(const struct iommu_table *tbl)
{
	return tbl->it_tree.shadow;
}

/**
 * user_table_perm() - permissions of TCEs
 * @tbl: a user-owned table
 * @direction: what the device may do
 *
 * Return: permission bits of a TCE of @tbl.
 */
static inline unsigned long
user_table_perm(const struct iommu_table *tbl,
		enum dma_data_direction direction)
{
	unsigned long perm = iommu_direction_to_tce_perm(direction);

	if ((perm & TCE_PCI_WRITE) && user_table_write_reads(tbl))
		perm |= TCE_PCI_READ;

	return perm;
}

bool mm_iommu_find_bounds(struct mm_struct *mm,
			  struct mm_iommu_table_group_mem_t *hint,
			unsigned long ua, struct mm_iommu_bounds *bounds);
void mm_iommu_unref(struct mm_iommu_table_group_mem_t *mem,
		    unsigned long nr);
bool mm_iommu_try_unref(struct mm_iommu_table_group_mem_t *mem,
			unsigned long nr);
long mm_iommu_ref_batch(struct mm_struct *mm, struct tce_batch *batch,
			unsigned int page_shift);
void mm_iommu_unref_batch(struct mm_struct *mm, const struct tce_batch *batch,
			  unsigned int page_shift);
void mm_iommu_translate_batch(struct mm_struct *mm, const struct tce_batch *batch,
			      unsigned int page_shift, unsigned long first,
			unsigned long nr, __be64 *tces);
struct mm_iommu_table_group_mem_t *
mm_iommu_batch_region(struct mm_struct *mm, const struct tce_batch *batch,
		      unsigned int page_shift);

/**
 * struct mm_iommu_region_info - what there is to be told of a region
 * @ua: its first user address
 * @size: its size in bytes
 * @map_refs: how many IOMMU pages map it
 * @registrations: number of registrations
 * @granule_shift: log2 of what it is translated by
 * @device: device memory
 * @written: a device was allowed to write
 */
struct mm_iommu_region_info {
	unsigned long ua;
	unsigned long size;
	unsigned long map_refs;
	unsigned int registrations;
	unsigned int granule_shift;
	bool device;
	bool written;
};

bool mm_iommu_next_region(struct mm_struct *mm, unsigned long ua,
			  struct mm_iommu_region_info *info);

#ifdef CONFIG_SPAPR_TCE_IOMMU
/* All user-owned tables, and who holds them; for tce_debugfs.c, too */
extern struct mutex user_tables_mutex;
extern struct list_head user_tables;

int user_table_init(struct iommu_table *tbl, struct mm_struct *mm,
		    unsigned int levels, unsigned int max_levels,
			  bool in_memory);
void user_table_destroy(struct iommu_table *tbl);

long user_table_map(struct iommu_table *tbl, unsigned long entry,
		    unsigned long npages,
		    struct mm_iommu_table_group_mem_t *mem, unsigned long ua,
		    enum dma_data_direction direction);
long user_table_map_pinned(struct iommu_table *tbl, unsigned long entry,
			   unsigned long npages, const __be64 *tces);
int user_table_unmap(struct iommu_table *tbl, unsigned long entry,
		     unsigned long npages,
		     struct mm_iommu_table_group_mem_t *mem);
void user_table_revoke(struct iommu_table *tbl,
		       struct mm_iommu_table_group_mem_t *mem);
bool user_table_maps(struct iommu_table *tbl, unsigned long ua,
		     unsigned long size);

struct iommu_table *user_table_get(struct iommu_table_group *table_group,
				   struct mm_struct *mm,
					 unsigned int page_shift, u64 start,
					 u64 size);
int user_table_prepare_batch(struct iommu_table *tbl, unsigned long entry,
			     struct tce_batch *batch);
void user_table_cancel_batch(struct iommu_table *tbl,
			     const struct tce_batch *batch);
int user_table_commit_batch(struct iommu_table *tbl, unsigned long entry,
			    const struct tce_batch *batch);
bool user_table_can_store_rm(struct iommu_table *tbl, unsigned long entry,
			     unsigned long npages);
void user_table_store_batch_rm(struct iommu_table *tbl, unsigned long entry,
			       const struct tce_batch *batch);
bool user_table_unmap_rm(struct iommu_table *tbl, unsigned long entry,
			 unsigned long npages);
#else
static inline int user_table_init(struct iommu_table *tbl,
				  struct mm_struct *mm,
					unsigned int levels,
					unsigned int max_levels, bool in_memory)
{
	return -ENODEV;
}

static inline void user_table_destroy(struct iommu_table *tbl)
{
}
#endif /* CONFIG_SPAPR_TCE_IOMMU */

/* tce_debugfs.c */
#if defined(CONFIG_SPAPR_TCE_IOMMU) && defined(CONFIG_DEBUG_FS)
void tce_debugfs_add_table(struct user_table *user);
void tce_debugfs_remove_table(struct user_table *user);
void tce_debug_ref_add(struct iommu_table *tbl,
		       struct tce_debug_ref *holder, const char *who,
			   int group, u64 liobn);
void tce_debug_ref_remove(struct tce_debug_ref *holder);
#else
static inline void tce_debugfs_add_table(struct user_table *user)
{
}

static inline void tce_debugfs_remove_table(struct user_table *user)
{
}

static inline void tce_debug_ref_add(struct iommu_table *tbl,
				     struct tce_debug_ref *holder,
					 const char *who, int group, u64 liobn)
{
}

static inline void tce_debug_ref_remove(struct tce_debug_ref *holder)
{
}
#endif

/* Of the table operations of an LPAR */
int pseries_tce_store_batch(struct iommu_table *tbl, unsigned long entry,
			    unsigned long npages, const __be64 *tces);
int pseries_tce_clear_batch(struct iommu_table *tbl, unsigned long entry,
			    unsigned long npages);

#endif /* _ASM_POWERPC_IOMMU_USER_H */
