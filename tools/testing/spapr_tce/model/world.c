// SPDX-License-Identifier: GPL-2.0-only
/*
 * The invariants that hold whenever no request is under way.
 */
#include "kvm.h"

#define MAX_REGIONS	256
#define MAX_MMS		8

struct count {
	struct host_region region;
	long tces;
};

struct process {
	struct mm_struct *mm;
	struct count counts[MAX_REGIONS];
	unsigned long nr;
	unsigned long charge;
	long pins;
};

static struct process processes[MAX_MMS];
static unsigned int nr_processes;

static struct process *process_of(struct mm_struct *mm)
{
	static struct host_region regions[MAX_REGIONS];
	struct process *p;
	unsigned long i;

	for (p = processes; p < processes + nr_processes; p++)
		if (p->mm == mm)
			return p;
	if (nr_processes == MAX_MMS)
		host_die("too many processes\n");
	nr_processes++;
	p->mm = mm;
	p->charge = 0;
	p->pins = 0;
	p->nr = glue_regions(mm, regions, MAX_REGIONS);
	for (i = 0; i < p->nr; i++) {
		p->counts[i] = (struct count) { .region = regions[i] };
		p->charge += regions[i].npages;
		p->pins += regions[i].npages;
	}

	return p;
}

static struct count *count_at(struct process *p, unsigned long ua)
{
	struct count *c;

	for (c = p->counts; c < p->counts + p->nr; c++)
		if (ua - c->region.ua < c->region.npages << PAGE_SHIFT)
			return c;

	return NULL;
}

/* All that a TCE lets the device reach is pinned memory of one folio */
static void check_reach(struct iommu_table *tbl, unsigned long tce)
{
	unsigned long hpa = tce & ~0xfffUL, i;
	unsigned long nr = max(IOMMU_PAGE_SIZE(tbl) >> PAGE_SHIFT, 1UL);
	struct page *page = pfn_to_page(hpa >> PAGE_SHIFT), *head = page->head;

	if (hpa & (IOMMU_PAGE_SIZE(tbl) - 1))
		host_die("TCE %#lx is not aligned\n", tce);
	for (i = 0; i < nr; i++)
		if (page[i].head != head || page[i].pins < 1 ||
		    page[i].owner != tbl->it_user->mm)
			host_die("TCE %#lx reaches page %#lx, which is not the process's\n",
				 tce, page_to_phys(page + i));
}

static void check_tce(struct host_pe *hpe, unsigned int window,
		      unsigned int shift, unsigned long index,
		      unsigned long tce, void *priv)
{
	struct iommu_table *tbl = hpe->pe.table_group.tables[window];

	(void)priv;
	if (hpe->stuck)
		return;
	if (!tbl || tbl->it_page_shift != shift)
		host_die("pe %u uses a table that is not its own\n",
			 hpe->pe.pe_number);
	if (index >= tbl->it_size)
		host_die("TCE %#lx lies beyond its window\n", index);
	if (!tbl->it_user)
		return;

	check_reach(tbl, tce);
	if (!machine_shadow(tbl, index))
		host_die("TCE %#lx holds nothing\n", index);
}

static void check_pe(struct host_pe *hpe)
{
	unsigned int window;

	if (hpe->pe.owner != PNV_PE_HOST && !hpe->stuck)
		for (window = 0; window < 2; window++)
			if (hpe->tve[window].bypass ||
			    (hpe->tve[window].levels &&
			     (!hpe->pe.table_group.tables[window] ||
			      (!hpe->pe.table_group.tables[window]->it_user &&
			       (window || hpe->pe.owner != PNV_PE_DOMAIN)))))
				host_die("pe %u reaches memory of the host\n",
					 hpe->pe.pe_number);
	machine_visit_tces(hpe, check_tce, NULL);
}

/* What the view of a table holds, and that a TCE is there for each of it */
static void check_shadow(struct iommu_table *tbl)
{
	struct process *p = process_of(tbl->it_user->mm);
	struct tce_iter iter = { .tree = &tbl->it_tree };
	__be64 *entry, *shadow;
	struct count *count;
	unsigned long i;

	for_each_tce_leaf(&iter, 0, tbl->it_size) {
		for (i = 0; i < iter.nr; i++) {
			entry = iter.entry + i;
			shadow = tce_tree_shadow(&tbl->it_tree, entry);
			if (!*shadow)
				continue;
			if (!*entry)
				host_die("nothing is mapped at %#lx, but something has a shadow\n",
					 iter.index + i);
			if (tce_load(shadow) & TCE_SHADOW_PIN) {
				p->pins++;
				continue;
			}
			count = count_at(p, tce_load(shadow) & ~TCE_SHADOW_FLAGS);
			if (!count)
				host_die("TCE %#lx maps what is not registered\n",
					 iter.index + i);
			count->tces++;
		}
	}
}

static void check_table(struct iommu_table *tbl)
{
	struct process *p;
	unsigned long bytes = atomic_long_read(&tbl->it_tree.bytes);

	if (!tbl->it_user)
		return;
	p = process_of(tbl->it_user->mm);
	if (tbl->it_user->lock.word)
		host_die("a table is locked, and nobody does anything\n");
	if (bytes != tbl->it_user->account.bytes)
		host_die("a table of %lu bytes is charged as %lu\n", bytes,
			 tbl->it_user->account.bytes);
	p->charge += DIV_ROUND_UP(bytes, PAGE_SIZE);
	check_shadow(tbl);
}

static void check_process(struct process *p)
{
	struct count *c;

	for (c = p->counts; c < p->counts + p->nr; c++)
		if (c->region.mapped != !!c->region.used + c->tces)
			host_die("mapped is %ld with %ld TCEs, %u registrations\n",
				 c->region.mapped, c->tces, c->region.used);
	if (p->mm->locked_vm != p->charge)
		host_die("%lu pages are charged, %lu used\n", p->mm->locked_vm,
			 p->charge);
}

/* As large as a view may be that is paid for when it is made */
#define GUEST_TCES_PREPAID	0x400000UL

/* Bytes that a view of system pages is to be charged as */
static unsigned long guest_tces_charge(const struct host_kvm_table *table)
{
	unsigned long per_page = PAGE_SIZE / sizeof(u64), n = table->size, pages = 0;

	if (n * sizeof(u64) > GUEST_TCES_PREPAID)
		return atomic_long_read(&table->guest_tces->bytes);
	do {
		n = DIV_ROUND_UP(n, per_page);
		pages += n;
	} while (n > 1);

	return pages * PAGE_SIZE;
}

/* Tables of guests; returns what their views take */
static long check_kvm(struct kvm *kvm)
{
	struct host_kvm_table table;
	unsigned long liobn, bytes, charge;
	long sum = 0;

	for (liobn = 0; glue_kvm_next(kvm, &liobn, &table); liobn++) {
		bytes = atomic_long_read(&table.guest_tces->bytes);
		charge = guest_tces_charge(&table);
		if (charge != table.charged || bytes > charge)
			host_die("a view of %lu bytes is charged as %lu, not %lu\n",
				 bytes, table.charged, charge);
		if (table.locked)
			host_die("LIOBN %#lx is locked, and nobody does anything\n",
				 liobn);
		process_of(table.mm)->charge += DIV_ROUND_UP(charge, PAGE_SIZE);
		sum += bytes;
	}

	return sum;
}

/* Containers whose charges and tables count; see world_check() */
static struct host_container *world_containers;
static unsigned int world_nr;

void world_check_containers(struct host_container *c, unsigned int nr)
{
	world_containers = c;
	world_nr = nr;
}

/**
 * world_check() - the invariants
 *
 * Dies with what is wrong. No request is under way.
 */
void world_check(void)
{
	struct glue_container state;
	struct host_table *table;
	long bytes = 0, pins = 0;
	struct kvm *kvm;
	unsigned int i;

	host_run_works();
	machine_check();
	nr_processes = 0;
	for (i = 0; i < HOST_PES; i++)
		check_pe(host_pes + i);
	list_for_each_entry(table, &host_tables, node) {
		bytes += atomic_long_read(&table->tbl.it_tree.bytes);
		check_table(&table->tbl);
	}
	list_for_each_entry(kvm, &host_kvms, node)
		bytes += check_kvm(kvm);
	for (i = 0; i < world_nr; i++) {
		if (!world_containers[i].data)
			continue;
		glue_container_get(world_containers[i].data, &state);
		if (state.mm)
			process_of(state.mm)->charge += state.enabled_pages;
	}
	for (i = 0; i < nr_processes; i++) {
		check_process(processes + i);
		pins += processes[i].pins;
	}
	if (bytes != host_usage.level_bytes)
		host_die("levels take %ld bytes, tables have %ld\n",
			 host_usage.level_bytes, bytes);
	for (i = 0; i < HOST_STATS; i++)
		if (host_usage.stat[i] != host_usage.level_pages)
			host_die("levels take %ld pages, %ld are in statistics\n",
				 host_usage.level_pages, host_usage.stat[i]);
	if (pins != host_usage.pins)
		host_die("%ld pins, %ld are accounted for\n", host_usage.pins,
			 pins);
}

/**
 * world_check_empty() - everything has been given back
 */
void world_check_empty(void)
{
	world_check();
	if (!list_empty(&host_kvms))
		host_die("left: a guest\n");
	if (host_usage.pins || host_usage.level_bytes || host_usage.tables)
		host_die("left: %ld pins, %ld bytes of levels, %ld tables\n",
			 host_usage.pins, host_usage.level_bytes,
			 host_usage.tables);
}

static u64 digest_add(u64 digest, u64 value)
{
	return (digest ^ value) * 0x100000001b3UL + (digest >> 29);
}

static void digest_tce(struct host_pe *hpe, unsigned int window,
		       unsigned int shift, unsigned long index,
		       unsigned long tce, void *priv)
{
	u64 *digest = priv;

	*digest = digest_add(*digest, hpe->pe.pe_number * 2 + window);
	*digest = digest_add(*digest, index << shift);
	*digest = digest_add(*digest, tce);
}

/* What guests have put, and what is behind it */
static u64 digest_kvm(struct kvm *kvm, u64 digest)
{
	struct host_kvm_table table;
	unsigned long liobn, i;
	struct tce_iter iter;
	u64 *leaf;

	for (liobn = 0; glue_kvm_next(kvm, &liobn, &table); liobn++) {
		digest = digest_add(digest, liobn);
		for (i = 0; i < table.nr_links; i++)
			digest = digest_add(digest, (unsigned long)table.links[i]);
		iter = (struct tce_iter){ .tree = table.guest_tces };
		for_each_tce_leaf(&iter, 0, table.size) {
			leaf = (u64 *)iter.entry;
			for (i = 0; i < iter.nr; i++)
				if (leaf[i])
					digest = digest_add(digest_add(digest, iter.index + i),
							    leaf[i]);
		}
	}

	return digest;
}

/**
 * world_digest() - one number for all that a request can change
 * @mm: whose charge and regions count
 *
 * What devices reach, charges, regions, containers; not which levels are there.
 *
 * Return: the number, the same for the same state.
 */
u64 world_digest(struct mm_struct *mm)
{
	static struct host_region regions[MAX_REGIONS];
	struct glue_container state;
	u64 digest = mm->locked_vm;
	unsigned long nr, i;
	struct kvm *kvm;

	for (i = 0; i < HOST_PES; i++)
		machine_visit_tces(host_pes + i, digest_tce, &digest);
	nr = glue_regions(mm, regions, MAX_REGIONS);
	for (i = 0; i < nr; i++) {
		digest = digest_add(digest, regions[i].ua);
		digest = digest_add(digest, regions[i].npages);
		digest = digest_add(digest, regions[i].mapped * 8 + regions[i].used);
	}
	for (i = 0; i < world_nr; i++) {
		if (!world_containers[i].data)
			continue;
		glue_container_get(world_containers[i].data, &state);
		digest = digest_add(digest, state.enabled * 2 + state.default_pending);
		digest = digest_add(digest, state.enabled_pages);
		digest = digest_add(digest, state.nr_regions);
		digest = digest_add(digest, (unsigned long)state.tables[0]);
		digest = digest_add(digest, (unsigned long)state.tables[1]);
	}

	list_for_each_entry(kvm, &host_kvms, node)
		digest = digest_kvm(kvm, digest);

	return digest_add(digest, host_usage.pins);
}
