// SPDX-License-Identifier: GPL-2.0-only
/*
 * Paging domains on the model of the machine. Here is what the tests share; the tests
 * themselves are in domain/.
 */
#include <asm/iommu_domain.h>

#include "harness.h"

#define MAP_RW		(IOMMU_READ | IOMMU_WRITE)
#define RAM		(HOST_RAM + BIT(36))	/* somewhere in it */
#define LEAF		512UL		/* TCEs of a level */
#define NR_DEVS		3

struct iommu_table *glue_domain_table(struct iommu_domain *domain);

FIXTURE(domain)
{
	struct mm_struct *mm;
	struct device dev[NR_DEVS];
	struct iommu_domain *d;
	struct iommu_domain *other;
	long tables;
	long level_bytes;
};

static struct iommu_table_group *group_of(struct device *dev)
{
	return iommu_group_get_iommudata(dev->iommu_group);
}

static struct host_pe *pe_of(struct device *dev)
{
	return (struct host_pe *)dev->iommu_group;
}

static long block(struct device *dev)
{
	return group_of(dev)->ops->take_ownership(group_of(dev), dev);
}

static void give_back(struct device *dev)
{
	group_of(dev)->ops->release_ownership(group_of(dev), dev);
}

FIXTURE_SETUP(domain)
{
	int i;

	machine_init();
	self->mm = mm_create(1UL << 40);
	current->mm = self->mm;
	for (i = 0; i < NR_DEVS; i++)
		self->dev[i].iommu_group = host_group(host_pes + i);
	self->tables = host_usage.tables;
	self->level_bytes = host_usage.level_bytes;
	self->d = tce_domain_alloc(self->dev);
	self->other = tce_domain_alloc(self->dev + 1);
	ASSERT_FALSE(IS_ERR(self->d));
	ASSERT_FALSE(IS_ERR(self->other));
}

FIXTURE_TEARDOWN(domain)
{
	int i;

	for (i = 0; i < NR_DEVS; i++)
		give_back(self->dev + i);
	if (self->d)
		self->d->ops->free(self->d);
	if (self->other)
		self->other->ops->free(self->other);
	host_settle();
	EXPECT_EQ(host_usage.tables, self->tables);
	EXPECT_EQ(host_usage.level_bytes, self->level_bytes);
	world_check();
	mm_destroy(self->mm);
	machine_reset();
	host_test_ends();
}

static int map(struct iommu_domain *d, unsigned long index, unsigned long pa,
	       unsigned long nr, unsigned long *done)
{
	size_t mapped = 0;
	int ret;

	ret = d->ops->map_pages(d, index * PG, pa, PG, nr, MAP_RW, GFP_KERNEL,
				&mapped);
	if (mapped)
		d->ops->iotlb_sync_map(d, index * PG, mapped);
	if (done)
		*done = mapped / PG;

	return ret;
}

static unsigned long unmap(struct iommu_domain *d, unsigned long index,
			   unsigned long nr)
{
	struct iommu_iotlb_gather gather = { .start = ULONG_MAX };
	size_t size = d->ops->unmap_pages(d, index * PG, PG, nr, &gather);

	/* As 7.x does: what is empty is not flushed */
	if (gather.start < gather.end)
		d->ops->iotlb_sync(d, &gather);

	return size / PG;
}

static bool reaches(struct device *dev, unsigned long addr, long pa)
{
	return machine_dma(pe_of(dev), addr, false) == pa &&
		machine_dma(pe_of(dev), addr, true) == pa;
}

static bool dead(struct device *dev, unsigned long addr)
{
	return faults(pe_of(dev), addr);
}

/* Test if the bridge has cached the TCE of an address in window 0 */
static bool remembers(struct device *dev, unsigned long addr)
{
	struct host_pe *hpe = pe_of(dev);
	unsigned int i;

	for (i = 0; i < hpe->nr_tlb; i++)
		if (!hpe->tlb[i].window && hpe->tlb[i].index == addr / PG)
			return true;

	return false;
}

static long bytes_of(struct iommu_domain *d)
{
	return atomic_long_read(&glue_domain_table(d)->it_tree.bytes);
}

#include "domain/map.c"
#include "domain/levels.c"
#include "domain/owners.c"
#include "domain/random.c"

TEST_HARNESS_MAIN
