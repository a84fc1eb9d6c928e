// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a page of a paging domain costs on this processor: iommu_domain_ops as
 * iommufd calls them, for ranges of memory that is in one piece.
 *
 * Usage: bench-domain [MS]
 *
 * A line for each size of range: pages, ns for each of them to map and to unmap,
 * instructions for each of them to map and to unmap ("-" where the processor does
 * not count them), bytes of levels when all was unmapped. The domain is never
 * empty meanwhile, as that of a guest is not; the last line is of one that is.
 */
/* asm/byteorder.h is empty here */
#define __LITTLE_ENDIAN_BITFIELD
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <asm/iommu_domain.h>

#include "host.h"

#define RAM	(HOST_RAM + BIT(36))
#define AT	(BIT(30) + 8 * PAGE_SIZE)

static struct iommu_domain *d;
static int counter = -1;
static u64 budget = 50000000;

static u64 now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);

	return t.tv_sec * 1000000000UL + t.tv_nsec;
}

static u64 instructions(void)
{
	u64 value = 0;

	if (counter >= 0 && read(counter, &value, sizeof(value)) < 0)
		return 0;

	return value;
}

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

static void bench(unsigned long nr, const char *what)
{
	u64 t[2] = { }, i[2] = { }, began = now(), t0, t1, i0, i1;
	unsigned long n = 0;

	while (now() - began < budget) {
		t0 = now();
		i0 = instructions();
		map(AT, nr);
		i1 = instructions();
		t1 = now();
		t[0] += t1 - t0;
		i[0] += i1 - i0;
		t0 = now();
		i0 = instructions();
		unmap(AT, nr);
		i1 = instructions();
		t1 = now();
		t[1] += t1 - t0;
		i[1] += i1 - i0;
		n += nr;
	}
	printf("%lu\t%s\t%.2f\t%.2f\t", nr, what, (double)t[0] / n,
	       (double)t[1] / n);
	if (counter < 0)
		printf("-\t-\n");
	else
		printf("%.2f\t%.2f\n", (double)i[0] / n, (double)i[1] / n);
}

int main(int argc, char **argv)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.exclude_kernel = 1,
	};
	struct device dev = { };
	unsigned long nr;

	if (argc > 1)
		budget = strtoul(argv[1], NULL, 0) * 1000000;
	counter = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	machine_init();
	dev.iommu_group = host_group(host_pes);
	d = tce_domain_alloc(&dev);
	if (IS_ERR(d) || tce_domain_attach(d, &dev))
		host_die("no domain\n");
	map(AT - PAGE_SIZE, 1);
	for (nr = 1; nr <= 65536; nr *= 4)
		bench(nr, "beside another");
	unmap(AT - PAGE_SIZE, 1);
	bench(SZ_1M / PAGE_SIZE, "alone");

	return 0;
}
