// SPDX-License-Identifier: GPL-2.0
/*
 * All requests with numbers from the ends of their ranges: no other answer than an
 * error or success, and what succeeded can be undone.
 */
#include <string.h>

#include "abi.h"

/* What holds for both types */
FIXTURE_STATE_V1_V2(abi)

static const u64 extremes[] = {
	0, 1, 2, 0xfff, 0x1000, 0x10001, 0x7fffffff, 0x80000000, 0xffff0000,
	0xffffffff, BIT_ULL(32), BIT_ULL(47), BIT_ULL(52), BIT_ULL(55),
	BIT_ULL(59), BIT_ULL(59) - 1, BIT_ULL(63) - 1, BIT_ULL(63), -SZ_64K,
	-1ULL,
};

/* A request whose @field numbers, from @offset on, are to be replaced */
struct extreme {
	unsigned long request;
	const void *good;
	size_t size;
	struct {
		unsigned char offset;
		unsigned char size;
	} field[6];
};

#define FIELD32(type, name) { offsetof(type, name), sizeof(u32) }
#define FIELD64(type, name) { offsetof(type, name), sizeof(u64) }

static void undo(int c, unsigned long request, const void *arg)
{
	const struct vfio_iommu_spapr_register_memory *reg = arg;
	const struct vfio_iommu_spapr_tce_create *create = arg;
	const struct vfio_iommu_type1_dma_map *map = arg;

	if (request == VFIO_IOMMU_MAP_DMA)
		tce_unmap(c, map->iova, map->size);
	else if (request == VFIO_IOMMU_SPAPR_REGISTER_MEMORY)
		tce_unregister(c, (void *)(uintptr_t)reg->vaddr, reg->size);
	else if (request == VFIO_IOMMU_SPAPR_TCE_CREATE)
		tce_remove(c, create->start_addr);
}

static void put_extreme(void *arg, const struct extreme *x, unsigned int field, u64 val)
{
	/* the lower half comes first */
	memcpy(arg + x->field[field].offset, &val, x->field[field].size);
}

/* Any two fields at once; the answers that are known are tested elsewhere */
static void try_extremes(struct __test_metadata *_metadata, struct state *s,
			 const struct extreme *x)
{
	char arg[64];
	unsigned int f, g, i, j;
	int ret;

	for (f = 0; x->field[f].size; f++)
		for (g = f; x->field[g].size; g++)
			for (i = 0; i < ARRAY_SIZE(extremes); i++)
				for (j = 0; j < ARRAY_SIZE(extremes); j++) {
					if (f == g && i != j)
						continue;
					memcpy(arg, x->good, x->size);
					put_extreme(arg, x, f, extremes[i]);
					put_extreme(arg, x, g, extremes[j]);
					ret = tce_ioctl(s->c, x->request, arg);
					ASSERT_GE(0, ret);
					if (!ret)
						undo(s->c, x->request, arg);
				}
}

TEST_F_TIMEOUT(abi, extremes, 120)
{
	struct state *s = &self->s;
	const struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = DMA_RW,
		.vaddr = (uintptr_t)s->buf,
		.iova = s->base,
		.size = UNIT,
	};
	const struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = s->base,
		.size = UNIT,
	};
	const struct vfio_iommu_spapr_register_memory reg = {
		.argsz = sizeof(reg),
		.vaddr = (uintptr_t)s->buf,
		.size = BUF_SIZE,
	};
	const struct vfio_iommu_spapr_tce_create create = {
		.argsz = sizeof(create),
		.page_shift = 16,
		.window_size = SZ_1G,
		.levels = 1,
	};
	const struct vfio_iommu_spapr_tce_remove rem = {
		.argsz = sizeof(rem),
		.start_addr = TCE_WINDOW1,
	};
	const struct vfio_eeh_pe_op eeh = {
		.argsz = sizeof(eeh),
		.op = VFIO_EEH_PE_ENABLE,
	};
	const struct extreme requests[] = {
		{ VFIO_IOMMU_MAP_DMA, &map, sizeof(map), {
			FIELD32(typeof(map), argsz), FIELD32(typeof(map), flags),
			FIELD64(typeof(map), vaddr), FIELD64(typeof(map), iova),
			FIELD64(typeof(map), size) } },
		{ VFIO_IOMMU_UNMAP_DMA, &unmap, sizeof(unmap), {
			FIELD32(typeof(unmap), argsz), FIELD32(typeof(unmap), flags),
			FIELD64(typeof(unmap), iova), FIELD64(typeof(unmap), size) } },
		{ VFIO_IOMMU_SPAPR_REGISTER_MEMORY, &reg, sizeof(reg), {
			FIELD32(typeof(reg), argsz), FIELD32(typeof(reg), flags),
			FIELD64(typeof(reg), vaddr), FIELD64(typeof(reg), size) } },
		{ VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, &reg, sizeof(reg), {
			FIELD32(typeof(reg), argsz), FIELD32(typeof(reg), flags),
			FIELD64(typeof(reg), vaddr), FIELD64(typeof(reg), size) } },
		{ VFIO_IOMMU_SPAPR_TCE_CREATE, &create, sizeof(create), {
			FIELD32(typeof(create), argsz), FIELD32(typeof(create), flags),
			FIELD32(typeof(create), page_shift),
			FIELD64(typeof(create), window_size),
			FIELD32(typeof(create), levels) } },
		{ VFIO_EEH_PE_OP, &eeh, sizeof(eeh), {
			FIELD32(typeof(eeh), argsz), FIELD32(typeof(eeh), flags),
			FIELD32(typeof(eeh), op) } },
		/* comes last: it finds the window that is there */
		{ VFIO_IOMMU_SPAPR_TCE_REMOVE, &rem, sizeof(rem), {
			FIELD32(typeof(rem), argsz), FIELD32(typeof(rem), flags),
			FIELD64(typeof(rem), start_addr) } },
	};
	unsigned int i;
	u64 vmlck;

	ASSERT_EQ(0, ready(s, variant->type));
	/* the window that there is on the first map */
	ASSERT_EQ(0, tce_map(s->c, s->base, s->buf, UNIT, DMA_RW));
	ASSERT_EQ(0, tce_unmap(s->c, s->base, UNIT));
	vmlck = sys_vmlck();
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		/* as a hypervisor QEMU would take memory for all of a window */
		if (!sys_powernv() &&
		    (requests[i].request == VFIO_IOMMU_SPAPR_TCE_CREATE ||
		     requests[i].request == VFIO_IOMMU_SPAPR_TCE_REMOVE))
			continue;
		try_extremes(_metadata, s, &requests[i]);
		/* v1 does not charge by the page, and has no regions */
		ready(s, variant->type);
		if (requests[i].request == VFIO_IOMMU_SPAPR_TCE_REMOVE)
			continue;
		/* with all of the window its levels go, and come again */
		EXPECT_EQ(0, tce_map(s->c, s->base, s->buf, UNIT, DMA_RW));
		EXPECT_EQ(0, tce_unmap(s->c, s->base, UNIT));
		EXPECT_EQ(vmlck, sys_vmlck()) {
			TH_LOG("request %u", i);
		}
	}
}

TEST_HARNESS_MAIN
