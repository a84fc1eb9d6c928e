// SPDX-License-Identifier: GPL-2.0
/*
 * What VFIO_SPAPR_TCE_v2_IOMMU adds: memory that is registered, windows that are
 * made and removed; the answers to every kind of bad argument.
 */
#define _GNU_SOURCE
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "abi.h"

FIXTURE_STATE(v2, setup, TCE_V2)

FIXTURE_STATE(ddw, setup_ddw)

/* ---- REGISTER, UNREGISTER ----------------------------------------------- */

TEST_F(v2, register_args)
{
	struct vfio_iommu_spapr_register_memory reg = {
		.vaddr = (uintptr_t)self->s.buf,
		.size = BUF_SIZE,
	};
	const unsigned long req[] = {
		VFIO_IOMMU_SPAPR_REGISTER_MEMORY,
		VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY,
	};
	u64 page = sys_page_size();
	void *buf = self->s.buf;
	unsigned int i, bit;

	for (i = 0; i < ARRAY_SIZE(req); i++) {
		for (reg.argsz = 0; reg.argsz < sizeof(reg); reg.argsz++)
			EXPECT_EQ(-EINVAL, tce_ioctl(self->s.c, req[i], &reg));
		for (bit = 0; bit < 32; bit++) {
			reg.flags = 1U << bit;
			EXPECT_EQ(-EINVAL, tce_ioctl(self->s.c, req[i], &reg));
		}
		reg.flags = 0;
		EXPECT_EQ(-EFAULT, tce_ioctl(self->s.c, req[i], NULL));
	}

	EXPECT_EQ(-EINVAL, tce_register(self->s.c, buf, 0));
	EXPECT_EQ(-EINVAL, tce_register(self->s.c, buf + 1, page));
	EXPECT_EQ(-EINVAL, tce_register(self->s.c, buf + page / 2, page));
	EXPECT_EQ(-EINVAL, tce_register(self->s.c, buf, page + 1));
	EXPECT_EQ(-EINVAL, tce_register(self->s.c, buf, page / 2));
	EXPECT_EQ(-EINVAL, tce_register(self->s.c, buf, -page));
	EXPECT_EQ(-EINVAL, tce_register(self->s.c, buf,
					-(u64)(uintptr_t)buf));
	EXPECT_EQ(-EINVAL, tce_register(self->s.c, (void *)-page, 2 * page));
	EXPECT_EQ(self->s.leak.vmlck, sys_vmlck());

	EXPECT_EQ(0, tce_register(self->s.c, buf, BUF_SIZE));
	EXPECT_EQ(-EINVAL, tce_unregister(self->s.c, buf, 0));
	EXPECT_EQ(-EINVAL, tce_unregister(self->s.c, buf + 1, BUF_SIZE));
	EXPECT_EQ(-EINVAL, tce_unregister(self->s.c, buf, BUF_SIZE + 1));
	EXPECT_EQ(-EINVAL, tce_unregister(self->s.c, buf, -page));
	EXPECT_EQ(BUF_SIZE, sys_vmlck() - self->s.leak.vmlck);
	EXPECT_EQ(0, tce_unregister(self->s.c, buf, BUF_SIZE));
}

TEST_F(v2, register_twice)
{
	void *buf = self->s.buf;

	EXPECT_EQ(0, tce_register(self->s.c, buf + UNIT, 4 * UNIT));
	EXPECT_EQ(-EBUSY, tce_register(self->s.c, buf + UNIT, 4 * UNIT));
	EXPECT_EQ(-EINVAL, tce_register(self->s.c, buf + UNIT, 2 * UNIT));
	EXPECT_EQ(-EINVAL, tce_register(self->s.c, buf + 2 * UNIT, 2 * UNIT));
	EXPECT_EQ(-EINVAL, tce_register(self->s.c, buf, 2 * UNIT));
	EXPECT_EQ(-EINVAL, tce_register(self->s.c, buf + 4 * UNIT, 2 * UNIT));
	EXPECT_EQ(-EINVAL, tce_register(self->s.c, buf, 8 * UNIT));
	EXPECT_EQ(4 * UNIT, sys_vmlck() - self->s.leak.vmlck);
	EXPECT_EQ(0, tce_register(self->s.c, buf, UNIT));
	EXPECT_EQ(0, tce_register(self->s.c, buf + 5 * UNIT, UNIT));
	EXPECT_EQ(0, tce_unregister(self->s.c, buf + UNIT, 4 * UNIT));
	EXPECT_EQ(-ENOENT, tce_unregister(self->s.c, buf + UNIT, 4 * UNIT));
	EXPECT_EQ(0, tce_register(self->s.c, buf + UNIT, 4 * UNIT));
}

TEST_F(v2, register_unpinnable)
{
	u64 page = sys_page_size();
	void *mem;

	mem = mem_alloc(8 * page, 0, MEM_POPULATE);
	ASSERT_NE(NULL, mem);
	ASSERT_EQ(0, munmap(mem + 4 * page, page));
	EXPECT_EQ(-EFAULT, tce_register(self->s.c, mem + 4 * page, page));
	EXPECT_EQ(-EFAULT, tce_register(self->s.c, mem, 8 * page));
	EXPECT_EQ(-EFAULT, tce_register(self->s.c, mem + 4 * page, 4 * page));
	EXPECT_EQ(-EFAULT, tce_register(self->s.c, mem, 5 * page));
	EXPECT_EQ(self->s.leak.vmlck, sys_vmlck());
	EXPECT_EQ(self->s.leak.pinned, sys_pinned_wait(self->s.leak.pinned));
	EXPECT_EQ(0, tce_register(self->s.c, mem, 4 * page));
	EXPECT_EQ(0, tce_unregister(self->s.c, mem, 4 * page));
	mem_free(mem, 4 * page);
	mem_free(mem + 5 * page, 3 * page);
}

TEST_F(v2, register_over_limit)
{
	ASSERT_EQ(0, drop_to_user(4 * UNIT));
	EXPECT_EQ(-ENOMEM, tce_register(self->s.c, self->s.buf, BUF_SIZE));
	EXPECT_EQ(self->s.leak.vmlck, sys_vmlck());
	EXPECT_EQ(self->s.leak.pinned, sys_pinned_wait(self->s.leak.pinned));
	EXPECT_EQ(0, tce_register(self->s.c, self->s.buf, 2 * UNIT));
}

TEST_F(v2, unregister)
{
	void *buf = self->s.buf;

	EXPECT_EQ(-ENOENT, tce_unregister(self->s.c, buf, BUF_SIZE));
	EXPECT_EQ(0, tce_register(self->s.c, buf, BUF_SIZE));
	EXPECT_EQ(-ENOENT, tce_unregister(self->s.c, buf, UNIT));
	EXPECT_EQ(-ENOENT, tce_unregister(self->s.c, buf + UNIT,
					  BUF_SIZE - UNIT));
	EXPECT_EQ(-ENOENT, tce_unregister(self->s.c, buf, 2 * BUF_SIZE));
	EXPECT_EQ(0, tce_unregister(self->s.c, buf, BUF_SIZE));
	EXPECT_EQ(-ENOENT, tce_unregister(self->s.c, buf, BUF_SIZE));
}

TEST_F(v2, unregister_mapped)
{
	ASSERT_EQ(0, tce_register(self->s.c, self->s.buf, BUF_SIZE));
	ASSERT_EQ(0, tce_map(self->s.c, self->s.base, self->s.buf, UNIT, DMA_RW));
	EXPECT_EQ(-EBUSY, tce_unregister(self->s.c, self->s.buf, BUF_SIZE));
	EXPECT_EQ(-EBUSY, tce_unregister(self->s.c, self->s.buf, BUF_SIZE));
	/* and it stays usable */
	EXPECT_EQ(-EBUSY, tce_register(self->s.c, self->s.buf, BUF_SIZE));
	EXPECT_EQ(0, tce_map(self->s.c, self->s.base + UNIT, self->s.buf + UNIT, UNIT,
			     DMA_RW));
	EXPECT_EQ(0, tce_unmap(self->s.c, self->s.base, UNIT));
	EXPECT_EQ(-EBUSY, tce_unregister(self->s.c, self->s.buf, BUF_SIZE));
	EXPECT_EQ(0, tce_unmap(self->s.c, self->s.base + UNIT, UNIT));
	EXPECT_EQ(0, tce_unregister(self->s.c, self->s.buf, BUF_SIZE));
	EXPECT_EQ(-ENOENT, tce_unregister(self->s.c, self->s.buf, BUF_SIZE));
}

/* ---- TCE_CREATE, TCE_REMOVE --------------------------------------------- */

TEST_F(ddw, create_argsz_flags)
{
	const u32 full = sizeof(struct vfio_iommu_spapr_tce_create);
	struct vfio_iommu_spapr_tce_create create = {
		.page_shift = 16,
		.window_size = SZ_1G,
		.levels = 1,
	};
	unsigned int bit;

	for (create.argsz = 0; create.argsz < full; create.argsz++)
		EXPECT_EQ(-EINVAL, tce_ioctl(self->s.c,
					     VFIO_IOMMU_SPAPR_TCE_CREATE,
					     &create));
	for (bit = 0; bit < 32; bit++) {
		create.flags = 1U << bit;
		EXPECT_EQ(-EINVAL, tce_ioctl(self->s.c,
					     VFIO_IOMMU_SPAPR_TCE_CREATE,
					     &create));
	}
	EXPECT_EQ(-EFAULT, tce_ioctl(self->s.c, VFIO_IOMMU_SPAPR_TCE_CREATE,
				     NULL));
}

TEST_F(ddw, create_page_shift)
{
	const u32 shifts[] = { 64 + 12, 64 + 16, 128 + 12, 128 + 16, 256 + 16,
			       0x10000 + 16, 0x80000000 + 16, 0xffffffff };
	u32 shift;
	unsigned int i;

	for (shift = 0; shift < 64; shift++)
		if (!(self->s.info.ddw.pgsizes & BIT_ULL(shift)))
			EXPECT_EQ(-EINVAL, tce_create(self->s.c, shift, SZ_1G, 1,
						      NULL));
	for (i = 0; i < ARRAY_SIZE(shifts); i++)
		EXPECT_EQ(-EINVAL, tce_create(self->s.c, shifts[i], SZ_1G, 1,
					      NULL));
}

TEST_F(ddw, create_size_levels)
{
	u32 most = self->s.info.ddw.levels > 1 ? self->s.info.ddw.levels : 5;
	u32 levels[] = { 0, most + 1, 64, 0x80000000, 0xffffffff };
	unsigned int i;

	EXPECT_EQ(-EINVAL, tce_create(self->s.c, 16, 0, 1, NULL));
	EXPECT_EQ(-EINVAL, tce_create(self->s.c, 16, SZ_64K / 2, 1, NULL));
	EXPECT_EQ(-EINVAL, tce_create(self->s.c, 16, SZ_4K, 1, NULL));
	EXPECT_EQ(-EINVAL, tce_create(self->s.c, 16, 3 * SZ_1G, 1, NULL));
	EXPECT_EQ(-EINVAL, tce_create(self->s.c, 16, SZ_1G + SZ_64K, 1, NULL));
	EXPECT_EQ(-EINVAL, tce_create(self->s.c, 16, SZ_1G - 1, 1, NULL));
	EXPECT_EQ(-EINVAL, tce_create(self->s.c, 16, ~0ULL, 1, NULL));
	/* more than a bus address can say */
	EXPECT_EQ(-EINVAL, tce_create(self->s.c, 16, BIT_ULL(63), 5, NULL));
	EXPECT_EQ(-EINVAL, tce_create(self->s.c, 12, BIT_ULL(60), 5, NULL));
	for (i = 0; i < ARRAY_SIZE(levels); i++)
		EXPECT_EQ(-EINVAL, tce_create(self->s.c, 16, SZ_1G, levels[i],
					      NULL));
}

/* The address cannot be told: then there must be no window. */
TEST_F(ddw, create_copy_out_fails)
{
	struct vfio_iommu_spapr_tce_create *create;
	int i;

	create = mem_alloc(SZ_64K, SZ_64K, 0);
	ASSERT_NE(NULL, create);
	create->argsz = sizeof(*create);
	create->page_shift = 16;
	create->window_size = SZ_1G;
	create->levels = 1;
	ASSERT_EQ(0, mprotect(create, SZ_64K, PROT_READ));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-EFAULT, tce_ioctl(self->s.c,
					     VFIO_IOMMU_SPAPR_TCE_CREATE,
					     create));
	ASSERT_EQ(0, mprotect(create, SZ_64K, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, tce_ioctl(self->s.c, VFIO_IOMMU_SPAPR_TCE_CREATE, create));
	EXPECT_EQ(0, tce_remove(self->s.c, create->start_addr));
	mem_free(create, SZ_64K);
}

/* Memory that can be read and is there for writing after a page fault only */
TEST_F(ddw, answers_after_a_fault)
{
	struct vfio_iommu_spapr_tce_create create = {
		.argsz = sizeof(create), .page_shift = 16,
		.window_size = SZ_1G, .levels = 1,
	};
	struct vfio_iommu_spapr_tce_info info = { .argsz = sizeof(info) };
	size_t page = sys_page_size();
	int fd = memfd_create("answers", MFD_CLOEXEC);
	void *mem;

	ASSERT_LE(0, fd);
	ASSERT_EQ(sizeof(create), pwrite(fd, &create, sizeof(create), 0));
	ASSERT_EQ(sizeof(info), pwrite(fd, &info, sizeof(info), page));
	mem = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	EXPECT_EQ(0, tce_ioctl(self->s.c, VFIO_IOMMU_SPAPR_TCE_CREATE, mem));
	memcpy(&create, mem, sizeof(create));
	EXPECT_EQ(0, tce_remove(self->s.c, create.start_addr));
	EXPECT_EQ(0, tce_ioctl(self->s.c, VFIO_IOMMU_SPAPR_TCE_GET_INFO, mem + page));
	EXPECT_EQ(0, memcmp(&self->s.info, mem + page, sizeof(info)));
	munmap(mem, 2 * page);
	close(fd);
}

/*
 * A second window of one kind may be refused, as on an LPAR. That is nobody's loss:
 * the next one is made as ever.
 */
TEST_F(ddw, create_after_refused)
{
	u64 start, second;
	int i;

	ASSERT_EQ(0, tce_remove(self->s.c, self->s.info.dma32_window_start));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, tce_create_any(self->s.c, 16, SZ_1G, &start));
		if (!tce_create_any(self->s.c, 16, SZ_1G, &second))
			EXPECT_EQ(0, tce_remove(self->s.c, second));
		EXPECT_EQ(0, tce_remove(self->s.c, start));
	}
}

TEST_F(ddw, create_no_space)
{
	u64 start[2] = { 1, 1 };
	unsigned int i, n;
	u64 charge;

	/* pseries: once refused a window, a device is never given one again */
	if (!sys_powernv())
		SKIP(return, "no second window on this machine");
	n = self->s.info.ddw.max_dynamic_windows_supported;
	if (n > ARRAY_SIZE(start))
		SKIP(return, "more than two windows");
	ASSERT_EQ(0, tce_remove(self->s.c, self->s.info.dma32_window_start));
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, tce_create_any(self->s.c, 16, SZ_1G, &start[i]));
	EXPECT_EQ(0, start[0]);
	EXPECT_EQ(TCE_WINDOW1, start[1]);
	charge = sys_vmlck();
	EXPECT_EQ(-ENOSPC, tce_create(self->s.c, 16, SZ_1G, 1, NULL));
	EXPECT_EQ(-ENOSPC, tce_create(self->s.c, 16, SZ_64K, 1, NULL));
	/* what is wrong is wrong, with or without space */
	EXPECT_EQ(-EINVAL, tce_create(self->s.c, 144, SZ_1G, 1, NULL));
	EXPECT_EQ(-EINVAL, tce_create(self->s.c, 16, SZ_1G, 0, NULL));
	EXPECT_EQ(charge, sys_vmlck());
	while (n--)
		EXPECT_EQ(0, tce_remove(self->s.c, start[n]));
}

/* The default window is there when it is wanted first. */
TEST_F(ddw, create_after_default)
{
	u64 start = 1;

	if (self->s.info.ddw.max_dynamic_windows_supported < 2 ||
	    !sys_powernv())
		SKIP(return, "the machine places its windows elsewhere");
	ASSERT_EQ(0, ready(&self->s, TCE_V2));
	EXPECT_EQ(0, tce_create_any(self->s.c, sys_tce_shift(), SZ_1G, &start));
	EXPECT_EQ(TCE_WINDOW1, start);
	EXPECT_EQ(0, tce_map(self->s.c, self->s.base, self->s.buf, UNIT, DMA_RW));
	EXPECT_EQ(0, tce_map(self->s.c, start, self->s.buf, UNIT, DMA_RW));
	EXPECT_EQ(-ENOSPC, tce_create(self->s.c, 16, SZ_1G, 1, NULL));
	EXPECT_EQ(0, tce_remove(self->s.c, 0));
	EXPECT_EQ(-ENXIO, tce_map(self->s.c, self->s.base, self->s.buf, UNIT,
				  DMA_RW));
	EXPECT_EQ(0, tce_create_any(self->s.c, sys_tce_shift(), SZ_1G, &start));
	EXPECT_EQ(0, start);
}

TEST_F(ddw, remove_args)
{
	const u32 full = sizeof(struct vfio_iommu_spapr_tce_remove);
	struct vfio_iommu_spapr_tce_remove rem = {};
	unsigned int bit;

	for (rem.argsz = 0; rem.argsz < full; rem.argsz++)
		EXPECT_EQ(-EINVAL, tce_ioctl(self->s.c,
					     VFIO_IOMMU_SPAPR_TCE_REMOVE,
					     &rem));
	for (bit = 0; bit < 32; bit++) {
		rem.flags = 1U << bit;
		EXPECT_EQ(-EINVAL, tce_ioctl(self->s.c,
					     VFIO_IOMMU_SPAPR_TCE_REMOVE,
					     &rem));
	}
	EXPECT_EQ(-EFAULT, tce_ioctl(self->s.c, VFIO_IOMMU_SPAPR_TCE_REMOVE,
				     NULL));
}

/* Only the very start of a window names it. */
TEST_F(ddw, remove_start)
{
	u64 start = 1;

	ASSERT_EQ(0, ready(&self->s, TCE_V2));
	ASSERT_EQ(0, tce_remove(self->s.c, self->s.info.dma32_window_start));
	ASSERT_EQ(0, tce_create_any(self->s.c, sys_tce_shift(), SZ_1G, &start));
	EXPECT_EQ(-EINVAL, tce_remove(self->s.c, start + SZ_64K));
	EXPECT_EQ(-EINVAL, tce_remove(self->s.c, start + 1));
	EXPECT_EQ(-EINVAL, tce_remove(self->s.c, start + SZ_1G - 1));
	EXPECT_EQ(-EINVAL, tce_remove(self->s.c, start + SZ_1G));
	EXPECT_EQ(-EINVAL, tce_remove(self->s.c, ~0ULL));
	if (start != TCE_WINDOW1)
		EXPECT_EQ(-EINVAL, tce_remove(self->s.c, TCE_WINDOW1));
	EXPECT_EQ(0, tce_map(self->s.c, start, self->s.buf, UNIT, DMA_RW));
	EXPECT_EQ(0, tce_remove(self->s.c, start));
	EXPECT_EQ(-EINVAL, tce_remove(self->s.c, start));
	/* nothing holds the memory any more */
	EXPECT_EQ(0, tce_unregister(self->s.c, self->s.buf, BUF_SIZE));
}

TEST_F(ddw, remove_default_first)
{
	ASSERT_EQ(0, ready(&self->s, TCE_V2));
	EXPECT_EQ(0, tce_remove(self->s.c, self->s.info.dma32_window_start));
	EXPECT_EQ(-EINVAL, tce_remove(self->s.c, self->s.info.dma32_window_start));
	EXPECT_EQ(-ENXIO, tce_map(self->s.c, self->s.base, self->s.buf, UNIT,
				  DMA_RW));
	EXPECT_EQ(-ENXIO, tce_unmap(self->s.c, self->s.base, UNIT));
}

/* A window is exactly as large as asked. */
TEST_F(ddw, window_is_exact)
{
	u64 start, size;

	ASSERT_EQ(0, ready(&self->s, TCE_V2));
	ASSERT_EQ(0, tce_remove(self->s.c, self->s.info.dma32_window_start));
	for (size = SZ_64K; size <= SZ_1G; size <<= 2) {
		ASSERT_EQ(0, tce_create_any(self->s.c, sys_tce_shift(), size, &start));
		EXPECT_EQ(0, tce_map(self->s.c, start + size - SZ_64K, self->s.buf,
				     SZ_64K, DMA_RW));
		EXPECT_EQ(-ENXIO, tce_map(self->s.c, start + size, self->s.buf,
					  SZ_64K, DMA_RW)) {
			TH_LOG("window of %llu", size);
		}
		EXPECT_EQ(-EINVAL, tce_map(self->s.c, start + size - SZ_64K,
					   self->s.buf, 2 * SZ_64K, DMA_RW));
		EXPECT_EQ(0, tce_remove(self->s.c, start));
	}
}

TEST_HARNESS_MAIN
