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
 * An entry of the user view says what the TCE of the same index holds on to,
 * so that it can be given back when the TCE goes. Zero: nothing. Otherwise an
 * address, at least 4K aligned, and these bits.
 */
#define IOMMU_VIEW_UA		0x1UL	/* a count of the region at this user address */
#define IOMMU_VIEW_PIN		0x2UL	/* a pin of the page at this real address */
#define IOMMU_VIEW_READ		0x4UL	/* the device may read there */
#define IOMMU_VIEW_WRITE	0x8UL	/* the device may write there */
#define IOMMU_VIEW_FLAGS	0xfffUL

/* The permissions of a TCE are kept as they are, but shifted */
#define IOMMU_VIEW_PERM_SHIFT	2

struct dentry;

/* As many TCEs as a hypervisor takes in one list, which is aligned to its size */
#define IOMMU_USER_LIST		512

/**
 * struct tce_claim - the right to change the TCEs of a table
 * @lock: virtual mode waits for its turn here
 * @word: bit 0 is set while there is an owner, in either mode
 *
 * An owner in virtual mode may sleep. Real mode cannot wait for that: it only
 * tries, and leaves what it wanted to do to virtual mode. It keeps the claim
 * for some thousand instructions at most, and nothing takes its processor away,
 * so virtual mode may spin for it.
 */
struct tce_claim {
	struct mutex lock;	/* of owners in virtual mode */
	unsigned long word;
};

static inline void tce_claim_init(struct tce_claim *claim)
{
	mutex_init(&claim->lock);
	claim->word = 0;
}

static inline bool tce_claim_try_rm(struct tce_claim *claim)
{
	return !test_and_set_bit_lock(0, &claim->word);
}

static inline void tce_unclaim_rm(struct tce_claim *claim)
{
	clear_bit_unlock(0, &claim->word);
}

/* With the lock, for its turn after real mode */
static inline void tce_claim_word(struct tce_claim *claim)
{
	while (unlikely(!tce_claim_try_rm(claim)))
		cpu_relax();
}

static inline void tce_claim(struct tce_claim *claim)
{
	mutex_lock(&claim->lock);
	tce_claim_word(claim);
}

/* The same; -EINTR when the caller is killed while it waits */
static inline int tce_claim_killable(struct tce_claim *claim)
{
	int ret = mutex_lock_killable(&claim->lock);

	if (!ret)
		tce_claim_word(claim);

	return ret;
}

static inline void tce_unclaim(struct tce_claim *claim)
{
	tce_unclaim_rm(claim);
	mutex_unlock(&claim->lock);
}

/**
 * struct iommu_user_holder - who can reach a table, as debugfs tells it
 * @node: in iommu_table_user::holders
 * @who: "container" or "kvm"
 * @pid: thread group that was at work when the holder came
 * @group: number of the IOMMU group on whose behalf it is there
 * @liobn: the guest's name of the table, if @who has guests
 *
 * Part of whatever it stands for, which has a reference of the table meanwhile.
 */
struct iommu_user_holder {
	struct list_head node;
	const char *who;
	pid_t pid;
	int group;
	u64 liobn;
};

/**
 * struct iommu_table_user - the part of an iommu_table that a process owns
 * @tbl: the table that this belongs to
 * @id: a number that no other table has had since the kernel was started
 * @mm: where counts, pins and charges are taken and given back; referenced
 * @claim: who may change TCEs and view
 * @closed: the container is done with the table; nothing is mapped any more.
 *	    Changes under @claim
 * @account: what the levels of the table cost @mm
 * @tces: where a list for the hypervisor is put together, under @claim; NULL
 *	  where the hardware walks the table in memory
 * @node: in iommu_user_tables
 * @holders: of struct iommu_user_holder, changes under iommu_user_lock
 * @dir: directory in debugfs; gone, with all readers, before the table goes
 */
struct iommu_table_user {
	struct iommu_table *tbl;
	unsigned long id;
	struct mm_struct *mm;
	struct tce_claim claim;
	bool closed;
	struct tce_account account;
	__be64 *tces;
	struct list_head node;
	struct list_head holders;
	struct dentry *dir;
};

struct mm_iommu_table_group_mem_t;

/**
 * struct iommu_user_list - TCEs that a guest wants to have, one after the other
 * @uas: for each the user address of its page and TCE_PCI_READ, TCE_PCI_WRITE;
 *	 0: to be unmapped
 * @nr: how many, at least 1
 * @page_shift: log2 of the size of a page; at least that of the IOMMU page, of
 *		which several may make one
 * @write_reads: a page that may be written may be read as well; set by
 *		 iommu_user_commit_list() and iommu_user_put_list_rm()
 * @mem: the region of one of the pages, while these are counted; or NULL
 */
struct iommu_user_list {
	const unsigned long *uas;
	unsigned long nr;
	unsigned int page_shift;
	bool write_reads;
	struct mm_iommu_table_group_mem_t *mem;
};

/**
 * iommu_user_list_page() - an IOMMU page of a list
 * @list: the list
 * @page_shift: log2 of the IOMMU page size
 * @page: which, counted from where the list begins
 *
 * Return: its user address and permissions; 0: to be unmapped.
 */
static inline unsigned long
iommu_user_list_page(const struct iommu_user_list *list,
		     unsigned int page_shift, unsigned long page)
{
	unsigned int split = list->page_shift - page_shift;
	unsigned long ua = list->uas[page >> split];

	if (!ua)
		return 0;
	if (list->write_reads && (ua & TCE_PCI_WRITE))
		ua |= TCE_PCI_READ;

	return ua + ((page & ((1UL << split) - 1)) << page_shift);
}

/**
 * struct mm_iommu_span - the user addresses of a registered region
 * @mem: the region
 * @start: its first address
 * @size: its size in bytes; 0 for no region
 */
struct mm_iommu_span {
	struct mm_iommu_table_group_mem_t *mem;
	unsigned long start;
	unsigned long size;
};

/**
 * iommu_user_write_reads() - may a device read whatever it may write?
 * @tbl: a user-owned table
 *
 * As with the tables of the host: a device that does an atomic operation, or
 * reads back what it wrote to have it arrive, needs both. Where a hypervisor has
 * the TCEs it is told what was asked for, and decides.
 *
 * Return: true if TCE_PCI_WRITE comes with TCE_PCI_READ.
 */
static inline bool iommu_user_write_reads(const struct iommu_table *tbl)
{
	return tbl->it_tree.view;
}

/**
 * iommu_user_tce_perm() - permissions of TCEs
 * @tbl: a user-owned table
 * @direction: what the device may do
 *
 * Return: permission bits of a TCE of @tbl.
 */
static inline unsigned long
iommu_user_tce_perm(const struct iommu_table *tbl,
		    enum dma_data_direction direction)
{
	unsigned long perm = iommu_direction_to_tce_perm(direction);

	if ((perm & TCE_PCI_WRITE) && iommu_user_write_reads(tbl))
		perm |= TCE_PCI_READ;

	return perm;
}

bool mm_iommu_find_span(struct mm_struct *mm,
			struct mm_iommu_table_group_mem_t *guess,
			unsigned long ua, struct mm_iommu_span *span);
void mm_iommu_put_pages(struct mm_iommu_table_group_mem_t *mem,
			unsigned long nr);
bool mm_iommu_try_put_pages(struct mm_iommu_table_group_mem_t *mem,
			    unsigned long nr);
long mm_iommu_get_list(struct mm_struct *mm, struct iommu_user_list *list,
		       unsigned int page_shift);
void mm_iommu_put_list(struct mm_struct *mm, const struct iommu_user_list *list,
		       unsigned int page_shift);
void mm_iommu_fill_list(struct mm_struct *mm, const struct iommu_user_list *list,
			unsigned int page_shift, unsigned long first,
			unsigned long nr, __be64 *tces);
struct mm_iommu_table_group_mem_t *
mm_iommu_check_list(struct mm_struct *mm, const struct iommu_user_list *list,
		    unsigned int page_shift);

/**
 * struct mm_iommu_region_info - what there is to be told of a region
 * @ua: its first user address
 * @size: its size in bytes
 * @mapped: how many IOMMU pages map it
 * @used: number of registrations
 * @unit_shift: log2 of what it is translated by
 * @device: device memory
 * @written: a device was allowed to write
 */
struct mm_iommu_region_info {
	unsigned long ua;
	unsigned long size;
	unsigned long mapped;
	unsigned int used;
	unsigned int unit_shift;
	bool device;
	bool written;
};

bool mm_iommu_next_region(struct mm_struct *mm, unsigned long ua,
			  struct mm_iommu_region_info *info);

#ifdef CONFIG_SPAPR_TCE_IOMMU
/* All user-owned tables, and who holds them; for tce_debugfs.c, too */
extern struct mutex iommu_user_lock;
extern struct list_head iommu_user_tables;

int iommu_user_init_table(struct iommu_table *tbl, struct mm_struct *mm,
			  unsigned int levels, unsigned int max_levels,
			  bool in_memory);
void iommu_user_destroy_table(struct iommu_table *tbl);

long iommu_user_map(struct iommu_table *tbl, unsigned long entry,
		    unsigned long npages,
		    struct mm_iommu_table_group_mem_t *mem, unsigned long ua,
		    enum dma_data_direction direction);
long iommu_user_map_pinned(struct iommu_table *tbl, unsigned long entry,
			   unsigned long npages, const __be64 *tces);
int iommu_user_unmap(struct iommu_table *tbl, unsigned long entry,
		     unsigned long npages,
		     struct mm_iommu_table_group_mem_t *mem);
void iommu_user_close_table(struct iommu_table *tbl,
			    struct mm_iommu_table_group_mem_t *mem);
bool iommu_user_maps(struct iommu_table *tbl, unsigned long ua,
		     unsigned long size);

struct iommu_table *iommu_user_get_table(struct iommu_table_group *table_group,
					 struct mm_struct *mm,
					 unsigned int page_shift, u64 start,
					 u64 size);
int iommu_user_prepare_list(struct iommu_table *tbl, unsigned long entry,
			    struct iommu_user_list *list);
void iommu_user_cancel_list(struct iommu_table *tbl,
			    const struct iommu_user_list *list);
int iommu_user_commit_list(struct iommu_table *tbl, unsigned long entry,
			   const struct iommu_user_list *list);
bool iommu_user_can_put_rm(struct iommu_table *tbl, unsigned long entry,
			   unsigned long npages);
void iommu_user_put_list_rm(struct iommu_table *tbl, unsigned long entry,
			    const struct iommu_user_list *list);
bool iommu_user_unmap_rm(struct iommu_table *tbl, unsigned long entry,
			 unsigned long npages);
#else
static inline int iommu_user_init_table(struct iommu_table *tbl,
					struct mm_struct *mm,
					unsigned int levels,
					unsigned int max_levels, bool in_memory)
{
	return -ENODEV;
}

static inline void iommu_user_destroy_table(struct iommu_table *tbl)
{
}
#endif /* CONFIG_SPAPR_TCE_IOMMU */

/* tce_debugfs.c */
#if defined(CONFIG_SPAPR_TCE_IOMMU) && defined(CONFIG_DEBUG_FS)
void tce_debugfs_add_table(struct iommu_table_user *user);
void tce_debugfs_remove_table(struct iommu_table_user *user);
void iommu_user_add_holder(struct iommu_table *tbl,
			   struct iommu_user_holder *holder, const char *who,
			   int group, u64 liobn);
void iommu_user_remove_holder(struct iommu_user_holder *holder);
#else
static inline void tce_debugfs_add_table(struct iommu_table_user *user)
{
}

static inline void tce_debugfs_remove_table(struct iommu_table_user *user)
{
}

static inline void iommu_user_add_holder(struct iommu_table *tbl,
					 struct iommu_user_holder *holder,
					 const char *who, int group, u64 liobn)
{
}

static inline void iommu_user_remove_holder(struct iommu_user_holder *holder)
{
}
#endif

/* Of the table operations of an LPAR */
int pseries_tce_put_list(struct iommu_table *tbl, unsigned long entry,
			 unsigned long npages, const __be64 *tces);
int pseries_tce_stuff(struct iommu_table *tbl, unsigned long entry,
		      unsigned long npages);

#endif /* _ASM_POWERPC_IOMMU_USER_H */
