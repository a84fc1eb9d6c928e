// SPDX-License-Identifier: GPL-2.0
/*
 * A TCE table of the guest is attached to a group and so to the hardware tables
 * behind it: to one, to several, to one of smaller pages. Who holds what, and what
 * is left when everything has been closed.
 */
#include <endian.h>
#include <fcntl.h>
#include <unistd.h>

#include "kvm.h"

/* A table of the guest that fits the window, and some that do not. */
TEST_F(kvm, attach)
{
	struct guest *g = &self->g;
	u64 first = g->start >> g->shift, pages = g->size >> g->shift;
	const struct {
		u32 shift;
		u64 offset;
		u64 pages;
	} bad[] = {
		{ g->shift, first + 1, pages },
		{ g->shift, first + 1, pages - 1 },
		{ g->shift, first, pages + 1 },
		{ g->shift, first, BIT_ULL(30) },
		/* a guest's page must not be smaller than the hardware's */
		{ g->shift == 12 ? 13 : 12, g->start >> 12, pages * 1024 },
	};
	int fd, null = open("/dev/null", O_RDWR);
	unsigned int i;

	fd = guest_window_table(g, LIOBN);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOENT, guest_attach(g, g->dev, fd));
	ASSERT_EQ(0, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_ADD));
	EXPECT_EQ(-EINVAL, guest_attach(g, g->dev, null));
	EXPECT_EQ(-EBADF, guest_attach(g, g->dev, 12345));
	EXPECT_EQ(0, guest_attach(g, g->dev, fd));
	EXPECT_EQ(0, guest_attach(g, g->dev, fd));
	close(fd);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		fd = guest_table(g, LIOBN, bad[i].shift, bad[i].offset,
				 bad[i].pages);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-EINVAL, guest_attach(g, g->dev, fd)) {
			TH_LOG("arguments %u", i);
		}
		close(fd);
	}
	fd = guest_table(g, LIOBN, g->shift, first, pages / 2);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, guest_attach(g, g->dev, fd));
	/* the other direction is not disturbed */
	EXPECT_EQ(0, tce_map(g->c, g->start, g->mem, SZ_64K, DMA_RW));
	EXPECT_EQ(-EBUSY, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	EXPECT_EQ(0, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_DEL));
	EXPECT_EQ(-ENOENT, guest_attach(g, g->dev, fd));
	close(fd);
	close(null);
}

/* A group may come and go, or stay to the end, without a table */
TEST_F(kvm, group_without_table)
{
	struct guest *g = &self->g;
	int klog = sys_klog_open();

	ASSERT_EQ(0, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_ADD));
	ASSERT_EQ(-EEXIST, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_ADD));
	ASSERT_EQ(0, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_DEL));
	ASSERT_EQ(-ENOENT, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_DEL));
	ASSERT_EQ(0, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_ADD));
	EXPECT_FALSE(sys_klog_warned(klog));
	close(klog);
}

/* Another guest's table is no table of this one. */
TEST_F(kvm, attach_foreign)
{
	struct guest *g = &self->g, other = *g;
	int fd;

	other.vm = tce_ioctl(g->kvm, KVM_CREATE_VM, (void *)variant->type);
	ASSERT_LE(0, other.vm);
	ASSERT_EQ(0, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_ADD));
	fd = guest_window_table(&other, LIOBN);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, guest_attach(g, g->dev, fd));
	close(other.vm);
	EXPECT_EQ(-EINVAL, guest_attach(g, g->dev, fd));
	close(fd);
}

/* The window is removed while KVM still has it. */
TEST_F(kvm, remove_attached)
{
	struct guest *g = &self->g;
	int fd;

	if (!sys_powernv())
		SKIP(return, "the window is the machine's");
	fd = guest_plug(g, LIOBN);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, tce_map(g->c, g->start, g->mem, SZ_64K, DMA_RW));
	EXPECT_EQ(0, tce_remove(g->c, g->start));
	EXPECT_EQ(-ENXIO, tce_map(g->c, g->start, g->mem, SZ_64K, DMA_RW));
	close(fd);
	EXPECT_EQ(0, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_DEL));
	EXPECT_EQ(0, tce_unregister(g->c, g->mem, GUEST_LOOSE));
}

/* Closed in the order that nobody would choose. */
TEST_F(kvm, close_container_first)
{
	struct guest *g = &self->g;
	int fd = guest_plug(g, LIOBN);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, tce_map(g->c, g->start, g->mem, SZ_64K, DMA_RW));
	close(g->c);
	g->c = -1;
	tce_group_close(g->dev);
	close(g->vm);
	g->vm = -1;
	close(fd);
}

/* Two names of one window: one table, two views. */
TEST_F(kvm, two_liobns)
{
	struct guest *g = &self->g;
	u64 *view[2];
	int fd[2];

	fd[0] = guest_plug(g, LIOBN);
	ASSERT_LE(0, fd[0]);
	fd[1] = guest_window_table(g, LIOBN + 1);
	ASSERT_LE(0, fd[1]);
	ASSERT_EQ(0, guest_attach(g, g->dev, fd[1]));
	ASSERT_EQ(0, guest_boot(g));
	view[0] = view_map(fd[0], 1);
	view[1] = view_map(fd[1], 1);
	ASSERT_NE(NULL, view[0]);
	ASSERT_NE(NULL, view[1]);

	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, g->start,
					 GUEST_PAGE | TCE_RW, 0));
	EXPECT_EQ(0, view[1][0]);
	/* over it */
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN + 1, g->start,
					 (GUEST_PAGE + SZ_64K) | TCE_RW, 0));
	EXPECT_EQ(GUEST_PAGE | TCE_RW, view[0][0]);
	EXPECT_EQ(-EBUSY, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	/* the name that is left goes on */
	munmap(view[1], 8);
	close(fd[1]);
	EXPECT_EQ(H_USER, guest_hcall(g, H_PUT_TCE, LIOBN + 1, g->start, 0, 0));
	EXPECT_EQ(-EBUSY, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_STUFF_TCE, LIOBN, g->start, 0,
					 1));
	EXPECT_EQ(0, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	munmap(view[0], 8);
	close(fd[0]);
}

/* ---- pages larger than the hardware's ----------------------------------- */

#define GUEST_LARGE	SZ_256M
#define LARGE_SIZE	(2 * SZ_16M)

TEST_F(kvm, large_pages)
{
	struct guest *g = &self->g;
	const u64 big = SZ_16M, m = SZ_1M, s = g->start;
	const u64 a = s + 3 * big, b = s + 5 * big;
	u64 *list = guest_list_of(g, 0), i;
	char *mem;
	int fd;

	/* aligned as badly as it may be */
	mem = mem_alloc(LARGE_SIZE + SZ_64K, SZ_16M, MEM_POPULATE);
	ASSERT_NE(NULL, mem);
	mem += SZ_64K;
	ASSERT_EQ(0, guest_slot(g, 1, GUEST_LARGE, mem, LARGE_SIZE));
	ASSERT_EQ(0, guest_slot(g, 2, SZ_512M, mem, m + m / 2));
	ASSERT_EQ(0, tce_register(g->c, mem, LARGE_SIZE));
	ASSERT_EQ(0, guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_ADD));
	ASSERT_EQ(0, guest_boot(g));

	fd = guest_table(g, LIOBN, 24, s >> 24, g->size >> 24);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, guest_attach(g, g->dev, fd));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, a,
					 GUEST_LARGE | TCE_RW, 0));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, b,
					 (GUEST_LARGE + big) | TCE_RW, 0));
	EXPECT_EQ(H_PARAMETER, guest_hcall(g, H_PUT_TCE, LIOBN, a + m,
					   GUEST_LARGE | TCE_RW, 0));
	EXPECT_EQ(H_USER, guest_hcall(g, H_PUT_TCE, LIOBN, a,
				      (GUEST_LARGE + m) | TCE_RW, 0));
	EXPECT_TRUE(carries(g->dev, a, mem, b + big - SZ_4K,
			    mem + 2 * big - SZ_4K, 1));
	EXPECT_TRUE(carries(g->dev, a + big - SZ_4K, mem + big - SZ_4K, b,
			    mem + big, 2));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, a, 0, 0));
	EXPECT_EQ(-EBUSY, tce_unregister(g->c, mem, LARGE_SIZE));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_STUFF_TCE, LIOBN, s, 0,
					 g->size >> 24));
	EXPECT_TRUE(refused(g, b + big - SZ_64K, mem + 2 * big - SZ_64K, 3));
	EXPECT_EQ(0, tce_unregister(g->c, mem, LARGE_SIZE));
	ASSERT_EQ(0, tce_register(g->c, mem, LARGE_SIZE));
	close(fd);

	fd = guest_table(g, LIOBN, 20, s >> 20, g->size >> 20);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, guest_attach(g, g->dev, fd));
	/* a page that leaves its slot in the middle */
	EXPECT_EQ(H_USER, guest_hcall(g, H_PUT_TCE, LIOBN, s,
				      (SZ_512M + m) | TCE_RW, 0));
	/* 32 pages, backwards */
	for (i = 0; i < 32; i++)
		list[i] = htobe64((GUEST_LARGE + (31 - i) * m) | TCE_RW);
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE_INDIRECT, LIOBN, s,
					 guest_list(0), 32));
	EXPECT_TRUE(carries(g->dev, s, mem + 31 * m, s + 32 * m - SZ_4K,
			    mem + m - SZ_4K, 4));
	for (i = 0; i < 32; i++)
		EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, s + i * m,
						 0, 0));
	EXPECT_EQ(0, tce_unregister(g->c, mem, LARGE_SIZE));
	close(fd);
	mem_free(mem - SZ_64K, LARGE_SIZE + SZ_64K);
}

/* ---- several tables ----------------------------------------------------- */

/* A second container with a window as large, at the same address */
static int second_window(struct guest *g, u32 shift)
{
	struct vfio_iommu_spapr_tce_info info;
	u64 start;
	int c, ret;

	c = tce_open(&g->devs[1], TCE_V2);
	if (c < 0)
		return c;
	ret = tce_get_info(c, &info);
	if (!ret)
		ret = tce_remove(c, info.dma32_window_start);
	if (!ret)
		ret = tce_create_any(c, shift, g->size, &start);
	if (!ret && start != g->start)
		ret = -ENXIO;
	if (!ret)
		return c;
	tce_close(&g->devs[1], c);
	return ret;
}

/* One call of the guest, and two devices see it. */
TEST_F(kvm, two_tables)
{
	struct guest *g = &self->g;
	u64 page = BIT_ULL(g->shift), s = g->start;
	char *a = g->mem + GUEST_PAGE, *b = a + SZ_64K;
	int fd, c;

	if (g->ndevs < 2 || !sys_powernv())
		SKIP(return, "no second group with a window like the first's");
	c = second_window(g, g->shift);
	ASSERT_LE(0, c);
	fd = guest_plug(g, LIOBN);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, guest_group(g, &g->devs[1], KVM_DEV_VFIO_GROUP_ADD));
	ASSERT_EQ(0, guest_attach(g, &g->devs[1], fd));
	ASSERT_EQ(0, guest_boot(g));
	guest_list_of(g, 0)[0] = htobe64(GUEST_PAGE | TCE_RW);
	guest_list_of(g, 0)[1] = htobe64((GUEST_PAGE + SZ_64K) | TCE_RW);
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE_INDIRECT, LIOBN, s,
					 guest_list(0), 2));
	EXPECT_TRUE(carries(&g->devs[0], s, a, s + page, b, 1));
	EXPECT_TRUE(carries(&g->devs[1], s, a, s + page, b, 2));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, s, 0, 0));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_STUFF_TCE, LIOBN, s, 0, 2));
	EXPECT_EQ(0, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	ASSERT_EQ(0, tce_register(g->c, g->mem, GUEST_LOOSE));

	/* one of them goes; what it had mapped goes with it */
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, s,
					 GUEST_PAGE | TCE_RW, 0));
	tce_close(&g->devs[1], c);
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE, LIOBN, s, 0, 0));
	EXPECT_EQ(0, tce_unregister(g->c, g->mem, GUEST_LOOSE));
	close(fd);
}

/*
 * The second table has larger pages than the memory has: what it refuses is
 * not in the first one either, whichever of them is asked first.
 */
TEST_F(kvm, two_tables_all_or_none)
{
	struct vfio_iommu_spapr_tce_info info;
	struct guest *g = &self->g;
	struct tce_dev *first, *second;
	u32 shift = g->shift + 1;
	int fd, c, order;
	u64 big, *list;
	char *mem;

	if (g->ndevs < 2 || !sys_powernv())
		SKIP(return, "no second group with a window like the first's");
	ASSERT_EQ(0, tce_get_info(g->c, &info));
	while (shift < 26 && !(info.ddw.pgsizes & BIT_ULL(shift)))
		shift++;
	if (shift >= 26)
		SKIP(return, "no larger IOMMU pages");
	big = BIT_ULL(shift);
	c = second_window(g, shift);
	ASSERT_LE(0, c);
	mem = mem_alloc(LARGE_SIZE, big, MEM_POPULATE);
	ASSERT_NE(NULL, mem);
	ASSERT_EQ(0, guest_slot(g, 1, GUEST_LARGE, mem, LARGE_SIZE));
	ASSERT_EQ(0, tce_register(g->c, mem, LARGE_SIZE));
	ASSERT_EQ(0, guest_boot(g));
	ASSERT_EQ(0, guest_group(g, &g->devs[0], KVM_DEV_VFIO_GROUP_ADD));
	ASSERT_EQ(0, guest_group(g, &g->devs[1], KVM_DEV_VFIO_GROUP_ADD));
	list = guest_list_of(g, 0);
	list[0] = htobe64((GUEST_LARGE + big) | TCE_RW);
	list[1] = htobe64(GUEST_LARGE | TCE_RW);
	for (order = 0; order < 2; order++) {
		first = &g->devs[order];
		second = &g->devs[!order];
		fd = guest_table(g, LIOBN, shift, g->start >> shift,
				 g->size >> shift);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, guest_attach(g, first, fd));
		ASSERT_EQ(0, guest_attach(g, second, fd));
		EXPECT_EQ(H_PARAMETER, guest_hcall(g, H_PUT_TCE, LIOBN,
						   g->start,
						   GUEST_LARGE | TCE_RW, 0));
		EXPECT_EQ(H_PARAMETER, guest_hcall(g, H_PUT_TCE_INDIRECT, LIOBN,
						   g->start, guest_list(0), 2));
		if (g->hv)
			EXPECT_EQ(0, guest_get(g, LIOBN, g->start));
		EXPECT_EQ(0, tce_unregister(g->c, mem, LARGE_SIZE));
		ASSERT_EQ(0, tce_register(g->c, mem, LARGE_SIZE));
		close(fd);
	}
	/* without the second one it is fine */
	fd = guest_table(g, LIOBN, shift, g->start >> shift, g->size >> shift);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, guest_attach(g, &g->devs[0], fd));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_PUT_TCE_INDIRECT, LIOBN, g->start,
					 guest_list(0), 2));
	EXPECT_EQ(-EBUSY, tce_unregister(g->c, mem, LARGE_SIZE));
	EXPECT_EQ(H_SUCCESS, guest_hcall(g, H_STUFF_TCE, LIOBN, g->start, 0,
					 2));
	EXPECT_EQ(0, tce_unregister(g->c, mem, LARGE_SIZE));
	close(fd);
	tce_close(&g->devs[1], c);
	mem_free(mem, LARGE_SIZE);
}

TEST_HARNESS_MAIN
