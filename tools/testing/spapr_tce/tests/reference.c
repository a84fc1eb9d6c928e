// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reference: what each request must answer, from the answers table of the
 * design, and what must be so afterwards. A request is predicted first and
 * takes effect here only when the code under test has answered 0, so failures
 * on demand need no second prediction.
 */
#include "reference.h"

struct ref_container ref_containers[REF_CONTAINERS];

static struct ref_region regions[REF_REGIONS];

/* The effect of the request that was predicted last */
static struct {
	struct ref_container *c;
	void (*apply)(struct ref_container *c);
	struct ref_extent extent;
	struct ref_region region;
	struct ref_window window;
	unsigned int num;
	bool first;	/* it makes the process the owner, if it works */
} pending;

/*
 * Extents.
 */

static void extent_add(struct ref_container *c, struct ref_extent extent)
{
	if (c->nr_extents == c->max_extents) {
		c->max_extents = c->max_extents * 2 ?: 16;
		c->extents = realloc(c->extents,
				     c->max_extents * sizeof(*c->extents));
	}
	c->extents[c->nr_extents++] = extent;
}

/* Forget a range of TCEs; what reaches into it is cut */
static void extents_cut(struct ref_container *c, unsigned int window,
			u64 index, u64 nr)
{
	unsigned int shift = c->windows[window].shift, i;
	struct ref_extent e, rest;

	for (i = c->nr_extents; i--; ) {
		e = c->extents[i];
		if (e.window != window || e.index >= index + nr ||
		    e.index + e.nr <= index)
			continue;
		c->extents[i] = c->extents[--c->nr_extents];
		if (e.index < index) {
			rest = e;
			rest.nr = index - e.index;
			extent_add(c, rest);
		}
		if (e.index + e.nr > index + nr) {
			rest = e;
			rest.index = index + nr;
			rest.nr = e.index + e.nr - rest.index;
			rest.ua = e.ua + ((rest.index - e.index) << shift);
			extent_add(c, rest);
		}
	}
}

static int extent_order(const void *a, const void *b)
{
	const struct ref_extent *x = a, *y = b;

	if (x->window != y->window)
		return x->window < y->window ? -1 : 1;

	return x->index < y->index ? -1 : x->index > y->index;
}

/* In order again, behind a request that has changed them */
static void extents_sort(struct ref_container *c)
{
	if (c->nr_extents)
		qsort(c->extents, c->nr_extents, sizeof(*c->extents),
		      extent_order);
}

static const struct ref_extent *extent_at(struct ref_container *c,
					  unsigned int window, u64 index)
{
	unsigned int low = 0, high = c->nr_extents, mid;
	struct ref_extent *e;

	while (low < high) {
		mid = (low + high) / 2;
		e = c->extents + mid;
		if (e->window < window ||
		    (e->window == window && e->index + e->nr <= index))
			low = mid + 1;
		else
			high = mid;
	}
	if (low == c->nr_extents)
		return NULL;
	e = c->extents + low;

	return e->window == window && index >= e->index ? e : NULL;
}

/*
 * Regions.
 */

static bool region_has(const struct ref_region *r, u64 ua)
{
	return ua - r->ua < (u64)r->npages << PAGE_SHIFT;
}

static struct ref_region *registered_at(struct ref_container *c, u64 ua)
{
	unsigned int i;

	for (i = 0; i < c->nr_regions; i++)
		if (region_has(c->regions[i], ua))
			return c->regions[i];

	return NULL;
}

static struct page *region_page(const struct ref_region *r, u64 ua)
{
	return r->pages[(ua - r->ua) >> PAGE_SHIFT];
}

static bool maps_region(struct ref_container *c, const struct ref_region *r)
{
	u64 size = (u64)r->npages << PAGE_SHIFT, bytes;
	struct ref_extent *e;
	unsigned int i;

	if (!c->v2)
		return false;
	for (i = 0; i < c->nr_extents; i++) {
		e = c->extents + i;
		bytes = e->nr << c->windows[e->window].shift;
		if (e->ua < r->ua + size && r->ua < e->ua + bytes)
			return true;
	}

	return false;
}

static void region_drop(struct ref_region *r)
{
	if (!--r->used) {
		free(r->pages);
		*r = (struct ref_region) { };
	}
}

/* Is one IOMMU page there in one piece, aligned, inside one folio? */
static bool page_backed(const struct ref_region *r, u64 ua, unsigned int shift)
{
	u64 size = 1ULL << shift, offset;
	struct page *first = region_page(r, ua);

	if (shift <= PAGE_SHIFT)
		return true;
	if (page_to_phys(first) & (size - 1))
		return false;
	for (offset = 0; offset < size; offset += PAGE_SIZE)
		if (region_page(r, ua + offset) != first + (offset >> PAGE_SHIFT) ||
		    region_page(r, ua + offset)->head != first->head)
			return false;

	return true;
}

/*
 * Requests. Each answers what the request must; 0 leaves its effect pending.
 */

static bool bad_range(u64 start, u64 size)
{
	return !size || start + size < start;
}

static void apply_default(struct ref_container *c)
{
	c->default_pending = false;
	c->windows[0] = (struct ref_window) {
		.there = true, .size = SZ_1G, .shift = 12,
	};
}

static long find_window(struct ref_container *c, u64 iova, u64 size)
{
	struct ref_window *w;
	int i;

	for (i = 0; i < 2; i++) {
		w = c->windows + i;
		if (!w->there || iova < w->start || iova - w->start >= w->size)
			continue;
		return size > w->size - (iova - w->start) ? -EINVAL : i;
	}

	return -ENXIO;
}

/* As if the default window were made already, for it will be */
static long find_window_made(struct ref_container *c, u64 iova, u64 size)
{
	struct ref_container with = *c;

	if (with.default_pending)
		apply_default(&with);

	return find_window(&with, iova, size);
}

static unsigned int window_shift(struct ref_container *c, unsigned int num)
{
	return c->windows[num].there ? c->windows[num].shift : 12;
}

static void apply_map(struct ref_container *c)
{
	struct ref_extent e = pending.extent, one;
	u64 i;

	if (c->default_pending)
		apply_default(c);
	extents_cut(c, e.window, e.index, e.nr);
	if (c->v2) {
		extent_add(c, e);
		return;
	}
	for (i = 0; i < e.nr; i++) {
		one = e;
		one.index += i;
		one.nr = 1;
		one.ua += i << c->windows[e.window].shift;
		one.page = c->mm->pte[(one.ua - HOST_UA_BASE) >> PAGE_SHIFT].page;
		extent_add(c, one);
	}
}

static long map_v1(struct ref_container *c, u64 ua, u64 size, bool write)
{
	u64 page = ua >> PAGE_SHIFT, end = (ua + size - 1) >> PAGE_SHIFT;
	struct host_pte *pte;

	for (; page <= end; page++) {
		if (page - (HOST_UA_BASE >> PAGE_SHIFT) >= HOST_UA_PAGES)
			return -EFAULT;
		pte = c->mm->pte + (page - (HOST_UA_BASE >> PAGE_SHIFT));
		if (!pte->page || (write && pte->readonly))
			return -EFAULT;
	}

	return 0;
}

static long map_v2(struct ref_container *c, u64 ua, u64 size, unsigned int shift)
{
	struct ref_region *r;
	u64 pos, nr, k;

	for (pos = ua; pos < ua + size; pos = r->ua + ((u64)r->npages << PAGE_SHIFT)) {
		r = registered_at(c, pos);
		if (!r)
			return -EINVAL;
	}
	for (pos = ua; pos < ua + size; pos += nr << shift) {
		r = registered_at(c, pos);
		nr = min((r->ua + ((u64)r->npages << PAGE_SHIFT) - pos) >> shift,
			 (ua + size - pos) >> shift);
		if (!nr)
			return -EINVAL;
		for (k = 0; k < nr; k++)
			if (!page_backed(r, pos + (k << shift), shift))
				return -EPERM;
	}

	return 0;
}

static long predict_map(struct ref_container *c, const void *arg)
{
	const struct vfio_iommu_type1_dma_map *map = arg;
	unsigned int shift;
	long ret, num;

	if (map->argsz < sizeof(*map) || !map->flags ||
	    (map->flags & ~(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)) ||
	    bad_range(map->iova, map->size) || bad_range(map->vaddr, map->size))
		return -EINVAL;
	if (!c->enabled)
		return -EPERM;
	num = find_window_made(c, map->iova, map->size);
	if (num < 0)
		return num;
	shift = window_shift(c, num);
	if ((map->iova | map->vaddr | map->size) & ((1ULL << shift) - 1))
		return -EINVAL;
	if (c->v2)
		ret = map_v2(c, map->vaddr, map->size, shift);
	else
		ret = map_v1(c, map->vaddr, map->size,
			     map->flags & VFIO_DMA_MAP_FLAG_WRITE);
	if (ret)
		return ret;

	pending.apply = apply_map;
	pending.extent = (struct ref_extent) {
		.window = num,
		.index = (map->iova - c->windows[num].start) >> shift,
		.nr = map->size >> shift,
		.ua = map->vaddr,
		/*
		 * The flags of VFIO and of a TCE are the same bits; what may
		 * be written may be read.
		 */
		.perm = map->flags | (map->flags & VFIO_DMA_MAP_FLAG_WRITE) >> 1,
	};

	return 0;
}

/* For that the default window need not be made */
static void apply_unmap(struct ref_container *c)
{
	extents_cut(c, pending.extent.window, pending.extent.index,
		    pending.extent.nr);
}

static long predict_unmap(struct ref_container *c, const void *arg)
{
	const struct vfio_iommu_type1_dma_unmap *unmap = arg;
	unsigned int shift;
	long num;

	if (unmap->argsz < offsetofend(struct vfio_iommu_type1_dma_unmap, size) ||
	    unmap->flags || bad_range(unmap->iova, unmap->size))
		return -EINVAL;
	if (!c->v2 && !c->enabled)
		return -EPERM;
	num = find_window_made(c, unmap->iova, unmap->size);
	if (num < 0)
		return num;
	shift = window_shift(c, num);
	if ((unmap->iova | unmap->size) & ((1ULL << shift) - 1))
		return -EINVAL;

	pending.apply = apply_unmap;
	pending.extent = (struct ref_extent) {
		.window = num,
		.index = (unmap->iova - c->windows[num].start) >> shift,
		.nr = unmap->size >> shift,
	};

	return 0;
}

static bool bad_region(const struct vfio_iommu_spapr_register_memory *reg)
{
	return reg->argsz < sizeof(*reg) || reg->flags ||
		((reg->vaddr | reg->size) & (PAGE_SIZE - 1)) ||
		bad_range(reg->vaddr, reg->size);
}

static int registered_exactly(struct ref_container *c, u64 ua, u64 size)
{
	unsigned int i;

	for (i = 0; i < c->nr_regions; i++)
		if (c->regions[i]->ua == ua &&
		    (u64)c->regions[i]->npages << PAGE_SHIFT == size)
			return i;

	return -1;
}

static void apply_register(struct ref_container *c)
{
	struct ref_region *r, *end = regions + REF_REGIONS;
	unsigned long i;

	for (r = regions; r < end; r++)
		if (r->used && r->mm == c->mm && r->ua == pending.region.ua)
			break;
	if (r == end) {
		for (r = regions; r->used; r++)
			;
		*r = pending.region;
		r->pages = malloc(r->npages * sizeof(*r->pages));
		for (i = 0; i < r->npages; i++)
			r->pages[i] = c->mm->pte[((r->ua - HOST_UA_BASE) >>
						  PAGE_SHIFT) + i].page;
	}
	r->used++;
	c->regions[c->nr_regions++] = r;
	c->enabled = true;
}

static long predict_register(struct ref_container *c, const void *arg)
{
	const struct vfio_iommu_spapr_register_memory *reg = arg;
	unsigned long npages = reg->size >> PAGE_SHIFT, i;
	struct ref_region *r;
	u64 first;

	if (bad_region(reg))
		return -EINVAL;
	if (registered_exactly(c, reg->vaddr, reg->size) >= 0)
		return -EBUSY;
	pending.apply = apply_register;
	pending.region = (struct ref_region) {
		.mm = c->mm, .ua = reg->vaddr, .npages = npages,
	};
	for (r = regions; r < regions + REF_REGIONS; r++) {
		if (!r->used || r->mm != c->mm ||
		    r->ua >= reg->vaddr + reg->size ||
		    reg->vaddr >= r->ua + ((u64)r->npages << PAGE_SHIFT))
			continue;
		/* The very same once more, or an overlap */
		return r->ua == reg->vaddr && r->npages == npages ? 0 : -EINVAL;
	}
	if (npages > HOST_PAGES || c->mm->locked_vm + npages > c->mm->limit)
		return -ENOMEM;
	first = (reg->vaddr - HOST_UA_BASE) >> PAGE_SHIFT;
	if (reg->vaddr < HOST_UA_BASE)
		return -EFAULT;
	for (i = 0; i < npages; i++)
		if (first + i >= HOST_UA_PAGES || !c->mm->pte[first + i].page ||
		    c->mm->pte[first + i].readonly)
			return -EFAULT;

	return 0;
}

static void apply_unregister(struct ref_container *c)
{
	region_drop(c->regions[pending.num]);
	c->regions[pending.num] = c->regions[--c->nr_regions];
}

static long predict_unregister(struct ref_container *c, const void *arg)
{
	const struct vfio_iommu_spapr_register_memory *reg = arg;
	int i;

	if (bad_region(reg))
		return -EINVAL;
	i = registered_exactly(c, reg->vaddr, reg->size);
	if (i < 0)
		return -ENOENT;
	if (maps_region(c, c->regions[i]))
		return -EBUSY;
	pending.num = i;
	pending.apply = apply_unregister;

	return 0;
}

static u64 page_sizes(struct ref_container *c)
{
	u64 sizes = ~0ULL;
	int i;

	for (i = 0; i < c->host->nr_groups; i++)
		sizes &= c->host->groups[i]->pe.table_group.pgsizes;

	return sizes;
}

/* Can a bridge walk a table of 1 << @bits TCEs with at least @levels levels? */
static bool walkable(unsigned int bits, unsigned int levels, unsigned int shift)
{
	unsigned int per;

	for (; levels <= 5; levels++) {
		per = max((bits + levels - 1) / levels, 9U);
		if (per + 3 <= PAGE_SHIFT + MAX_PAGE_ORDER &&
		    per * levels + shift <= 55)
			return true;
	}

	return false;
}

static void apply_create(struct ref_container *c)
{
	if (c->default_pending)
		apply_default(c);
	c->windows[pending.num] = pending.window;
}

static long predict_create(struct ref_container *c, const void *arg)
{
	const struct vfio_iommu_spapr_tce_create *create = arg;
	bool first = c->windows[0].there || c->default_pending;

	if (create->argsz < offsetofend(struct vfio_iommu_spapr_tce_create,
					start_addr) ||
	    create->flags || create->page_shift >= 64 ||
	    !(page_sizes(c) >> create->page_shift & 1) ||
	    !create->window_size ||
	    (create->window_size & (create->window_size - 1)) ||
	    !(create->window_size >> create->page_shift) ||
	    !create->levels || create->levels > 5)
		return -EINVAL;
	/* Whatever comes of it, the default window is made before */
	if (first && c->windows[1].there)
		return -ENOSPC;
	if (!walkable(ilog2(create->window_size) - create->page_shift,
		      create->levels, create->page_shift))
		return -EINVAL;

	pending.apply = apply_create;
	pending.num = first;
	pending.window = (struct ref_window) {
		.there = true,
		.start = first ? 1ULL << 59 : 0,
		.size = create->window_size,
		.shift = create->page_shift,
	};

	return 0;
}

static void apply_remove(struct ref_container *c)
{
	if (c->default_pending && !pending.num) {
		c->default_pending = false;
		return;
	}
	extents_cut(c, pending.num, 0, ~0ULL);
	c->windows[pending.num].there = false;
}

static long predict_remove(struct ref_container *c, const void *arg)
{
	const struct vfio_iommu_spapr_tce_remove *remove = arg;

	if (remove->argsz < offsetofend(struct vfio_iommu_spapr_tce_remove,
					start_addr) || remove->flags)
		return -EINVAL;
	pending.apply = apply_remove;
	for (pending.num = 0; pending.num < 2; pending.num++) {
		if (!pending.num && c->default_pending && !remove->start_addr)
			return 0;
		if (c->windows[pending.num].there &&
		    c->windows[pending.num].start == remove->start_addr)
			return 0;
	}

	return -EINVAL;
}

static void apply_nothing(struct ref_container *c)
{
	(void)c;
}

static long predict_info(struct ref_container *c, const void *arg)
{
	const struct vfio_iommu_spapr_tce_info *info = arg;

	(void)c;
	pending.apply = apply_nothing;

	return info->argsz < offsetofend(struct vfio_iommu_spapr_tce_info,
					 dma32_window_size) ? -EINVAL : 0;
}

/* The model's EEH always answers 0 */
static long predict_eeh(struct ref_container *c, const void *arg)
{
	const struct vfio_eeh_pe_op *op = arg;

	(void)c;
	pending.apply = apply_nothing;
	if (op->argsz < offsetofend(struct vfio_eeh_pe_op, op) || op->flags)
		return -EINVAL;
	switch (op->op) {
	case VFIO_EEH_PE_DISABLE ... VFIO_EEH_PE_CONFIGURE:
		return 0;
	case VFIO_EEH_PE_INJECT_ERR:
		return op->argsz < offsetofend(struct vfio_eeh_pe_op, err.mask) ?
			-EINVAL : 0;
	default:
		return -EINVAL;
	}
}

static void apply_enable(struct ref_container *c)
{
	c->enabled = true;
}

static long predict_enable(struct ref_container *c, const void *arg)
{
	(void)arg;
	if (c->enabled)
		return -EBUSY;
	pending.apply = apply_enable;

	return c->mm->locked_vm + (SZ_1G >> PAGE_SHIFT) > c->mm->limit ?
		-ENOMEM : 0;
}

static void apply_disable(struct ref_container *c)
{
	if (c->enabled)
		c->nr_extents = 0;
	c->enabled = false;
}

static long predict_disable(struct ref_container *c, const void *arg)
{
	(void)c;
	(void)arg;
	pending.apply = apply_disable;

	return 0;
}

static const struct {
	unsigned int cmd;
	bool v1, v2, looks, no_arg;
	long (*predict)(struct ref_container *c, const void *arg);
} requests[] = {
	{ VFIO_IOMMU_MAP_DMA, 1, 1, 0, 0, predict_map },
	{ VFIO_IOMMU_UNMAP_DMA, 1, 1, 0, 0, predict_unmap },
	{ VFIO_IOMMU_SPAPR_TCE_GET_INFO, 1, 1, 1, 0, predict_info },
	{ VFIO_EEH_PE_OP, 1, 1, 1, 0, predict_eeh },
	{ VFIO_IOMMU_ENABLE, 1, 0, 0, 1, predict_enable },
	{ VFIO_IOMMU_DISABLE, 1, 0, 0, 1, predict_disable },
	{ VFIO_IOMMU_SPAPR_REGISTER_MEMORY, 0, 1, 0, 0, predict_register },
	{ VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, 0, 1, 0, 0, predict_unregister },
	{ VFIO_IOMMU_SPAPR_TCE_CREATE, 0, 1, 0, 0, predict_create },
	{ VFIO_IOMMU_SPAPR_TCE_REMOVE, 0, 1, 0, 0, predict_remove },
};

/**
 * ref_ioctl() - predict a request
 * @c: the container
 * @cmd: its number
 * @arg: its argument, or what faults
 *
 * Return: what it must answer. Its effect waits for ref_commit().
 */
long ref_ioctl(struct ref_container *c, unsigned int cmd, const void *arg)
{
	unsigned int i;

	pending.c = c;
	pending.apply = NULL;
	pending.first = false;
	if (!c->open)
		return -EINVAL;
	/* Asks by number, not by address, and belongs to nobody */
	if (cmd == VFIO_CHECK_EXTENSION)
		return (long)arg == VFIO_SPAPR_TCE_IOMMU ||
			(long)arg == VFIO_SPAPR_TCE_v2_IOMMU ||
			(long)arg == VFIO_EEH;
	if (c->mm && c->mm != current->mm)
		return -EPERM;
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		if (requests[i].cmd != cmd ||
		    !(c->v2 ? requests[i].v2 : requests[i].v1))
			continue;
		if (!requests[i].looks && !c->mm) {
			c->mm = current->mm;
			pending.first = true;
		}
		if (!requests[i].no_arg && (unsigned long)arg < PAGE_SIZE)
			return -EFAULT;
		return requests[i].predict(c, arg);
	}

	return -ENOTTY;
}

/**
 * ref_commit() - a request was answered
 * @ret: with what
 */
void ref_commit(long ret)
{
	struct glue_container state;
	struct ref_container *c = pending.c;

	if (ret && pending.first)
		c->mm = NULL;
	if (!ret && pending.apply) {
		pending.apply(c);
		extents_sort(c);
	}
	/* A request may have made the default window and failed later */
	if (ret && c->open && c->default_pending) {
		glue_container_get(c->host->data, &state);
		if (!state.default_pending)
			apply_default(c);
	}
}

/*
 * Life of containers, which VFIO's core leads.
 */

void ref_open(struct ref_container *c, bool v2)
{
	c->open = true;
	c->v2 = v2;
	c->default_pending = true;
}

void ref_close(struct ref_container *c)
{
	struct host_container *host = c->host;

	while (c->nr_regions)
		region_drop(c->regions[--c->nr_regions]);
	free(c->extents);
	*c = (struct ref_container) { .host = host };
}

void ref_reset(struct host_container *containers)
{
	int i;

	for (i = 0; i < REF_CONTAINERS; i++) {
		ref_containers[i].host = containers + i;
		ref_close(ref_containers + i);
	}
}

/*
 * DMA.
 */

static struct ref_container *container_of_pe(struct host_pe *hpe)
{
	int i, k;

	for (i = 0; i < REF_CONTAINERS; i++)
		for (k = 0; k < ref_containers[i].host->nr_groups; k++)
			if (ref_containers[i].host->groups[k] == hpe)
				return ref_containers + i;

	return NULL;
}

static u64 extent_hpa(struct ref_container *c, const struct ref_extent *e, u64 index)
{
	u64 ua = e->ua + ((index - e->index) << c->windows[e->window].shift);
	struct page *page = e->page;

	if (!page)
		page = region_page(registered_at(c, ua), ua);

	return page_to_phys(page) + offset_in_page(ua);
}

/**
 * ref_dma() - predict a DMA
 * @hpe: PE of the device, in a container
 * @addr: PCI address
 * @write: it writes
 *
 * Return: the real address that it must reach, or -EFAULT.
 */
long ref_dma(struct host_pe *hpe, u64 addr, bool write)
{
	struct ref_container *c = container_of_pe(hpe);
	unsigned int num = (addr >> 59) & 1;
	struct ref_window *w = c->windows + num;
	const struct ref_extent *e;
	u64 index;

	if (!c->open || !w->there || addr < w->start || addr - w->start >= w->size)
		return -EFAULT;
	index = (addr - w->start) >> w->shift;
	e = extent_at(c, num, index);
	if (!e || !(e->perm & (write ? TCE_PCI_WRITE : TCE_PCI_READ)))
		return -EFAULT;

	return extent_hpa(c, e, index) | (addr & ((1ULL << w->shift) - 1));
}

/* Every translation of a PE, of which the bridge has just fetched all */
static void check_pe(struct ref_container *c, struct host_pe *hpe)
{
	const struct ref_extent *e;
	struct host_tlb *tlb;
	unsigned int i;
	u64 nr = 0, valid = 0;

	for (i = 0; i < c->nr_extents; i++)
		nr += c->extents[i].nr;
	for (i = 0; i < hpe->nr_tlb; i++) {
		tlb = hpe->tlb + i;
		e = extent_at(c, tlb->window, tlb->index);
		if (tlb->tce != (e ? extent_hpa(c, e, tlb->index) | e->perm : 0))
			host_die("pe %u: TCE %#lx of window %u is %#lx\n",
				 hpe->pe.pe_number, tlb->index, tlb->window,
				 tlb->tce);
		valid += !!tlb->tce;
	}
	if (nr != valid)
		host_die("pe %u has %lu TCEs instead of %lu\n",
			 hpe->pe.pe_number, (long)valid, (long)nr);
}

/**
 * ref_check() - compare all that devices can reach
 *
 * To be called behind world_check().
 */
void ref_check(void)
{
	struct ref_container *c;
	int i;

	for (c = ref_containers; c < ref_containers + REF_CONTAINERS; c++)
		for (i = 0; i < c->host->nr_groups; i++)
			check_pe(c, c->host->groups[i]);
}
