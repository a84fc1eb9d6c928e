// SPDX-License-Identifier: GPL-2.0-only
/*
 * Model memory, and processes that map it. Folios come from free lists, else from
 * what was never used; a freed one is reused last.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "host.h"

#define NR_ORDERS	16

struct page host_mem_map[HOST_PAGES];

static pthread_mutex_t page_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long page_next;
static struct {
	unsigned int head, tail;
	unsigned long pfn[HOST_PAGES];
} page_free[NR_ORDERS];

unsigned long page_to_phys(const struct page *page)
{
	return HOST_PHYS_BASE + ((page - host_mem_map) << PAGE_SHIFT);
}

struct page *pfn_to_page(unsigned long pfn)
{
	unsigned long i = pfn - (HOST_PHYS_BASE >> PAGE_SHIFT);

	if (i >= HOST_PAGES)
		host_die("%#lx is no page of user memory\n", pfn);

	return host_mem_map + i;
}

/* Its contents, which nobody but guests looks at */
static char *contents;

static void __attribute__((constructor(150))) contents_init(void)
{
	contents = mmap(NULL, (unsigned long)HOST_PAGES << PAGE_SHIFT,
			PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (contents == MAP_FAILED)
		host_die("no room for the contents of memory\n");
}

static char *page_contents(const struct page *page)
{
	return contents + ((unsigned long)(page - host_mem_map) << PAGE_SHIFT);
}

/* The kernel may read user memory; real mode asks later whose it was */
void *host_user_va(unsigned long pa)
{
	struct page *page = pfn_to_page(pa >> PAGE_SHIFT);

	host_preempt_real();

	return page_contents(page) + offset_in_page(pa);
}

/**
 * host_user_data() - what a user address maps
 * @mm: the process
 * @ua: the address
 *
 * Return: its contents, up to the end of the page; NULL for a hole.
 */
void *host_user_data(struct mm_struct *mm, unsigned long ua)
{
	unsigned long i = (ua - HOST_UA_BASE) >> PAGE_SHIFT;

	if (ua < HOST_UA_BASE || i >= HOST_UA_PAGES || !mm->pte[i].page)
		return NULL;

	return page_contents(mm->pte[i].page) + offset_in_page(ua);
}

/* All of model memory is unused again */
static void pages_reset(void)
{
	unsigned int order;

	memset(host_mem_map, 0, page_next * sizeof(*host_mem_map));
	page_next = 0;
	for (order = 0; order < NR_ORDERS; order++)
		page_free[order].head = page_free[order].tail;
}

static struct page *folio_alloc(struct mm_struct *mm, unsigned int order)
{
	unsigned long nr = 1UL << order, pfn, i;

	if (page_free[order].head - page_free[order].tail > 8) {
		pfn = page_free[order].pfn[page_free[order].tail++ % HOST_PAGES];
	} else {
		pfn = ALIGN(page_next, nr);
		page_next = pfn + nr;
		if (page_next > HOST_PAGES)
			host_die("out of model memory\n");
	}
	for (i = 0; i < nr; i++)
		host_mem_map[pfn + i] = (struct page) {
			.head = host_mem_map + pfn,
			.owner = mm,
		};
	host_mem_map[pfn].order = order;
	host_usage.pages += nr;

	return host_mem_map + pfn;
}

static void folio_put(struct page *page);

/* For tests that need pages and no process */
struct page *host_alloc_folio(unsigned int order)
{
	struct page *page = folio_alloc(NULL, order);

	page->users = 1;

	return page;
}

void host_free_folio(struct page *page)
{
	folio_put(page);
}

/* Nobody has any page of the folio of @page? Then it is free. */
static void folio_put(struct page *page)
{
	struct page *head = page->head;
	unsigned long nr = 1UL << head->order, i;
	unsigned int order = head->order;

	if (--head->users)
		return;
	for (i = 0; i < nr; i++) {
		WARN_ON(head[i].cached);
		head[i].owner = NULL;
	}
	page_free[order].pfn[page_free[order].head++ % HOST_PAGES] =
		head - host_mem_map;
	host_usage.pages -= nr;
}

/*
 * Processes.
 */

static void pte_set(struct mm_struct *mm, unsigned long i, struct page *page)
{
	mm->pte[i].page = page;
	mm->pte[i].readonly = false;
	page->head->users++;
}

static void map_folios(struct mm_struct *mm, unsigned long i, unsigned long end,
		       unsigned int order)
{
	struct page *page;
	unsigned long k;

	for (; i < end; i += 1UL << order) {
		page = folio_alloc(mm, order);
		for (k = 0; k < 1UL << order; k++)
			pte_set(mm, i + k, page + k);
	}
}

/* Swap, so that neighbours are not neighbours */
static void scatter(struct mm_struct *mm, unsigned long first, unsigned long nr)
{
	struct host_pte *pte = mm->pte + first;
	struct page *page;
	unsigned long i;

	for (i = 0; i < nr / 2; i += 2) {
		page = pte[i].page;
		pte[i].page = pte[nr - 1 - i].page;
		pte[nr - 1 - i].page = page;
	}
}

/**
 * mm_create() - make a process with memory of all kinds
 * @limit: its RLIMIT_MEMLOCK in pages
 *
 * Return: the process, to be given to mm_destroy().
 */
struct mm_struct *mm_create(unsigned long limit)
{
	struct mm_struct *mm = calloc(1, sizeof(*mm));
	struct page *page;
	unsigned long i;

	mm->count = 1;
	atomic_set(&mm->mm_users, 1);
	mm->limit = limit;
	mutex_init(&mm->mmap_lock);
	mm_iommu_init(mm);

	map_folios(mm, UA_SCATTERED, UA_HUGE, 0);
	scatter(mm, UA_SCATTERED, UA_CONTIGUOUS - UA_SCATTERED);
	map_folios(mm, UA_HUGE, UA_MEDIUM, ilog2(HOST_2M_PAGES));
	map_folios(mm, UA_MEDIUM, UA_SHIFTED, 4);
	page = folio_alloc(mm, 8);
	for (i = 0; i < 255; i++)
		pte_set(mm, UA_SHIFTED + i, page + 1 + i);
	map_folios(mm, UA_SHIFTED + 255, UA_ALIAS, 0);
	for (i = UA_HOLES; i < UA_ALIAS; i += 16) {
		mm_unmap(mm, i + 15, 1);
		mm->pte[i + 7].readonly = true;
	}
	for (i = UA_ALIAS; i < UA_END; i++)
		pte_set(mm, i, mm->pte[i - UA_ALIAS].page);

	return mm;
}

/**
 * mm_fill() - map more memory where nothing is
 * @mm: the process
 * @first: first page
 * @nr: how many
 * @order: of its folios; those of single pages are in no order
 */
void mm_fill(struct mm_struct *mm, unsigned long first, unsigned long nr,
	     unsigned int order)
{
	map_folios(mm, first, first + nr, order);
	if (!order)
		scatter(mm, first, nr);
}

/**
 * mm_unmap() - munmap() or MADV_DONTNEED
 * @mm: the process
 * @first: first page
 * @nr: how many
 */
void mm_unmap(struct mm_struct *mm, unsigned long first, unsigned long nr)
{
	struct page *page;

	pthread_mutex_lock(&page_lock);
	for (; nr; nr--, first++) {
		page = mm->pte[first].page;
		mm->pte[first].page = NULL;
		if (page)
			folio_put(page);
	}
	pthread_mutex_unlock(&page_lock);
}

/**
 * mm_remap() - replace memory by new single pages
 * @mm: the process
 * @first: first page
 * @nr: how many
 */
void mm_remap(struct mm_struct *mm, unsigned long first, unsigned long nr)
{
	mm_unmap(mm, first, nr);
	pthread_mutex_lock(&page_lock);
	map_folios(mm, first, first + nr, 0);
	pthread_mutex_unlock(&page_lock);
}

/**
 * mm_destroy() - a process ends
 * @mm: the process, of which nothing is registered any more
 */
void mm_destroy(struct mm_struct *mm)
{
	mm_unmap(mm, 0, HOST_UA_PAGES);
	mm_iommu_destroy(mm);
	if (mm->count != 1 || mm->locked_vm)
		host_die("a process ends with %d references, %ld pages charged\n",
			 mm->count, (long)mm->locked_vm);
	free(mm);
	if (!host_usage.pages)
		pages_reset();
}

bool host_dax;

unsigned long totalram_pages(void)
{
	return HOST_PAGES;
}

int __account_locked_vm(struct mm_struct *mm, unsigned long pages, bool inc,
			struct task_struct *task, bool bypass_rlim)
{
	int ret = 0;

	(void)task;
	(void)bypass_rlim;
	lockdep_assert_held(&mm->mmap_lock);
	mm->charges += inc;
	if (!inc) {
		WARN_ON(mm->locked_vm < pages);
		mm->locked_vm -= pages;
	} else if (mm->locked_vm + pages > mm->limit) {
		mm->refused = true;
		ret = -ENOMEM;
	} else if (fail_step()) {
		ret = -ENOMEM;
	} else {
		mm->locked_vm += pages;
	}

	return ret;
}

int account_locked_vm(struct mm_struct *mm, unsigned long pages, bool inc)
{
	int ret;

	mmap_write_lock(mm);
	ret = __account_locked_vm(mm, pages, inc, current, capable(CAP_IPC_LOCK));
	mmap_write_unlock(mm);

	return ret;
}

int pin_user_pages_fast(unsigned long start, int nr, unsigned int flags,
			struct page **pages)
{
	unsigned long i = (start - HOST_UA_BASE) >> PAGE_SHIFT;
	struct mm_struct *mm = current->mm;
	int done;

	WARN_ON(nr <= 0);
#ifndef HOST_BENCH	/* v1 of the base does not say that it is for long */
	WARN_ON(!(flags & FOLL_LONGTERM));
#endif
	if (mm_fault(mm))
		return -EINTR;
	pthread_mutex_lock(&page_lock);
	for (done = 0; done < nr; done++, i++) {
		if (start < HOST_UA_BASE || i >= HOST_UA_PAGES ||
		    !mm->pte[i].page ||
		    ((flags & FOLL_WRITE) && mm->pte[i].readonly) ||
		    fail_step())
			break;
		pages[done] = mm->pte[i].page;
		pages[done]->pins++;
		pages[done]->head->users++;
		host_usage.pins++;
	}
	pthread_mutex_unlock(&page_lock);

	return done ?: -EFAULT;
}

static void page_unpin(struct page *page, bool dirty)
{
	sleeper_only("a page is unpinned");
	WARN_ON(page->pins < 1);
	page->dirty |= dirty;
	host_usage.pins--;
	page->pins--;
	if (!page->pins && __atomic_load_n(&page->cached, __ATOMIC_RELAXED))
		host_die("page %#lx is unpinned while a device can reach it\n",
			 page_to_phys(page));
	folio_put(page);
}

void unpin_user_pages_dirty_lock(struct page **pages, unsigned long nr,
				 bool dirty)
{
	unsigned long i;

	pthread_mutex_lock(&page_lock);
	for (i = 0; i < nr; i++)
		page_unpin(pages[i], dirty);
	pthread_mutex_unlock(&page_lock);
}

void unpin_user_pages(struct page **pages, unsigned long nr)
{
	unpin_user_pages_dirty_lock(pages, nr, false);
}

void unpin_user_page(struct page *page)
{
	unpin_user_pages(&page, 1);
}

void unpin_user_page_range_dirty_lock(struct page *page, unsigned long nr,
				      bool dirty)
{
	unsigned long i;

	pthread_mutex_lock(&page_lock);
	for (i = 0; i < nr; i++)
		page_unpin(page + i, dirty);
	pthread_mutex_unlock(&page_lock);
}

/* Addresses below the first page fault, as does what a step says */
static bool copy_fails(const void *user)
{
	sleeper_only("a copy from or to user space");

	return (unsigned long)user < PAGE_SIZE || fail_step();
}

/* What another thread does when this one has copied something */
void (*host_copied)(void);

unsigned long copy_from_user(void *to, const void *from, unsigned long size)
{
	unsigned long ua = (unsigned long)from;

	if (copy_fails(from))
		return size;
	/* Arguments are where the host has them, memory of guests is not */
	if (ua - HOST_UA_BASE < HOST_UA_PAGES << PAGE_SHIFT) {
		if (mm_fault(current->mm))
			return size;
		from = host_user_data(current->mm, ua);
	}
	if (!from)
		return size;
	memcpy(to, from, size);
	another_thread(host_copied);

	return 0;
}

/* Where user memory is that @ua is in, or @ua if that is an argument of a test */
static void *user_data(unsigned long ua)
{
	if (ua - HOST_UA_BASE < HOST_UA_PAGES << PAGE_SHIFT)
		return host_user_data(current->mm, ua);

	return (void *)ua;
}

unsigned long copy_to_user(void *to, const void *from, unsigned long size)
{
	void *data = user_data((unsigned long)to);

	if (copy_fails(to) || !data)
		return size;
	if (data != to && mm_fault(current->mm))
		return size;
	memcpy(data, from, size);

	return 0;
}

/* Where the last copy without a fault failed for good */
static __thread const void *bad_answer;

/* What is stuck is not there, without a fault */
long copy_to_user_nofault(void *to, const void *from, unsigned long size)
{
	void *data = user_data((unsigned long)to);

	bad_answer = copy_fails(to) || !data ? to : NULL;
	if (bad_answer || (data != to && current->mm->stuck_fault))
		return -EFAULT;
	memcpy(data, from, size);

	return 0;
}

unsigned long fault_in_safe_writeable(const void *to, unsigned long size)
{
	virtual_only(__func__);

	return bad_answer == to || mm_fault(current->mm) ? size : 0;
}
