// SPDX-License-Identifier: GPL-2.0-only
/* Registered memory as it is, and a look at what it keeps to itself */
#include "iommu_api.c"

#include "host.h"

static void glue_region(struct mm_iommu_table_group_mem_t *mem,
			struct host_region *region)
{
	*region = (struct host_region) {
		.mem = mem,
		.ua = mem->ua,
		.npages = mem->npages,
		.mapped = atomic64_read(&mem->map_refs),
		.used = mem->registrations,
		.granule_shift = mem->granule_shift,
	};
}

/* All regions of @mm, of which there are at most @max; returns how many */
unsigned long glue_regions(struct mm_struct *mm, struct host_region *regions,
			   unsigned long max)
{
	struct mm_iommu_registry *reg = mm->context.iommu_registry;
	struct mm_iommu_table_group_mem_t *mem;
	unsigned long index = 0, nr = 0;

	if (!reg)
		return 0;
	mt_for_each(&reg->regions, mem, index, ULONG_MAX) {
		if (nr == max)
			host_die("more than %lu regions\n", max);
		glue_region(mem, regions + nr++);
	}

	return nr;
}

bool glue_region_at(struct mm_struct *mm, unsigned long ua,
		    struct host_region *region)
{
	struct mm_iommu_table_group_mem_t *mem;

	rcu_read_lock();
	mem = region_at(mm, ua);
	if (mem)
		glue_region(mem, region);
	rcu_read_unlock();

	return mem;
}
