// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a page of a paging domain costs on this processor: iommu_domain_ops as
 * iommufd calls them, for ranges of memory that is in one piece.
 *
 * Usage: bench-domain [MS [COUNT]]
 *
 * Lines as ranges.h says; with COUNT, instructions are counted. Then one that
 * begins with "sparse": bytes of the table with 16 TCEs spread over 128 TiB, bytes
 * when they were unmapped, bytes of its root.
 *
 * Usage: bench-domain stage STAGE [PAGES]
 *
 * For an emulator that counts instructions: what comes between the ends of stages 0
 * and 1 maps NR_MIB times a MiB, or so many pages, what comes between those of 1 and 2
 * unmaps it, and what comes then invalidates it once more, and nothing else.
 */
#include <asm/iommu_domain.h>

#include "host.h"
#include "ranges.h"

#define RAM	(HOST_RAM + BIT(36))

struct iommu_table *glue_domain_table(struct iommu_domain *domain);

static struct iommu_domain *d;

static void map(unsigned long iova, unsigned long nr)
{
	size_t mapped = 0;

	if (d->ops->map_pages(d, iova, RAM, PAGE_SIZE, nr,
			      IOMMU_READ | IOMMU_WRITE, GFP_KERNEL, &mapped))
		host_die("nothing mapped\n");
	d->ops->iotlb_sync_map(d, iova, mapped);
}

static void unmap(unsigned long iova, unsigned long nr)
{
	struct iommu_iotlb_gather gather = { .start = ULONG_MAX };

	if (d->ops->unmap_pages(d, iova, PAGE_SIZE, nr, &gather) !=
	    nr * PAGE_SIZE)
		host_die("not unmapped\n");
	d->ops->iotlb_sync(d, &gather);
}

static void print_sparse(void)
{
	struct tce_tree *tree = &glue_domain_table(d)->it_tree;
	long full;
	int i;

	for (i = 0; i < 16; i++)
		map(i * (BIT(47) / 16), 1);
	full = atomic_long_read(&tree->bytes);
	for (i = 0; i < 16; i++)
		unmap(i * (BIT(47) / 16), 1);
	printf("sparse\t%ld\t%ld\t%lu\n", full, atomic_long_read(&tree->bytes),
	       1UL << tree->level_shift);
}

#define NR_MIB	16

static void stages(int last, unsigned long nr)
{
	unsigned long at;
	int stage, i;

	for (stage = -2; stage <= last; stage++) {
		for (i = 0; i < NR_MIB; i++) {
			/* The page before it stays, and its leaf with it */
			at = AT + i * 2UL * SZ_1M;
			if (stage == -2)
				map(at - PAGE_SIZE, 1);
			else if (stage == -1 || stage == 1)
				map(at, nr);
			else if (stage == 3)
				d->ops->iotlb_sync_map(d, at, nr * PAGE_SIZE);
			else
				unmap(at, nr);
		}
	}
}

int main(int argc, char **argv)
{
	struct device dev = { };

	machine_init();
	dev.iommu_group = host_group(host_pes);
	d = tce_domain_alloc(&dev);
	if (IS_ERR(d) || tce_domain_attach(d, &dev))
		host_die("no domain\n");
	if (argc > 2 && !strcmp(argv[1], "stage")) {
		stages(atoi(argv[2]), argc > 3 ? strtoul(argv[3], NULL, 0) :
						 SZ_1M / PAGE_SIZE);
		return 0;
	}
	if (argc > 1)
		ranges_ns = strtoul(argv[1], NULL, 0) * 1000000;
	ranges_lines(argc > 2);
	print_sparse();

	return 0;
}
