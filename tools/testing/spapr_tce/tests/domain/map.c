// SPDX-License-Identifier: GPL-2.0-only
/*
 * Paging domains: maps and unmaps, and what is refused.
 */

TEST_F(domain, map_and_unmap)
{
	struct iommu_domain *d = self->d;
	unsigned long last = (d->geometry.aperture_end + 1) / PG - 1;
	unsigned long at[] = { 0, 1, LEAF - 3, LEAF * LEAF - 3, last - 7 };
	unsigned int i;

	EXPECT_EQ(d->pgsize_bitmap, PG);
	EXPECT_TRUE(d->geometry.force_aperture);
	EXPECT_EQ(d->geometry.aperture_start, 0);
	EXPECT_EQ(last, (1UL << 36) - 1);
	ASSERT_EQ(tce_domain_attach(d, self->dev), 0);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		EXPECT_TRUE(dead(self->dev, at[i] * PG));
		EXPECT_EQ(map(d, at[i], RAM, 8, NULL), 0);
		EXPECT_TRUE(reaches(self->dev, at[i] * PG, RAM));
		EXPECT_TRUE(reaches(self->dev, (at[i] + 7) * PG, RAM + 7 * PG));
		EXPECT_EQ(d->ops->iova_to_phys(d, (at[i] + 7) * PG + 5),
			  RAM + 7 * PG + 5);
		EXPECT_EQ(unmap(d, at[i], 8), 8);
		EXPECT_TRUE(dead(self->dev, at[i] * PG));
		EXPECT_TRUE(dead(self->dev, (at[i] + 7) * PG));
		EXPECT_EQ(d->ops->iova_to_phys(d, at[i] * PG), 0);
		EXPECT_EQ(d->ops->iova_to_phys(d, at[i] * PG + 5), 0);
		EXPECT_EQ(unmap(d, at[i], 8), 0);
	}
	EXPECT_EQ(d->ops->iova_to_phys(d, (last + 1) * PG), 0);
	EXPECT_EQ(unmap(d, last, 2), 0);
}

TEST_F(domain, what_cannot_be_mapped)
{
	struct iommu_domain *d = self->d;
	unsigned long last = (d->geometry.aperture_end + 1) / PG - 1, done;
	size_t mapped = 0;

	EXPECT_EQ(map(d, last, RAM, 2, &done), -ERANGE);
	EXPECT_EQ(map(d, last + 1, RAM, 1, &done), -ERANGE);
	EXPECT_EQ(map(d, WINDOW1 / PG, RAM, 1, &done), -ERANGE);
	EXPECT_EQ(map(d, 1, RAM, ULONG_MAX / PG, &done), -ERANGE);
	EXPECT_EQ(map(d, 0, HOST_RAM_END, 1, &done), -EINVAL);
	EXPECT_EQ(map(d, 0, HOST_RAM_END - PG, 2, &done), -EINVAL);
	EXPECT_EQ(done, 0);
	EXPECT_EQ(d->ops->map_pages(d, 0, RAM, PG, 1, MAP_RW | IOMMU_MMIO,
				    GFP_KERNEL, &mapped), -EINVAL);
	EXPECT_EQ(d->ops->map_pages(d, 0, RAM, PG, 1, IOMMU_CACHE, GFP_KERNEL,
				    &mapped), -EINVAL);
	EXPECT_EQ(mapped, 0);
	/* From one node to the next */
	EXPECT_EQ(map(d, 0, HOST_RAM_NODE - PG, 2, &done), 0);
	EXPECT_EQ(done, 2);
	EXPECT_EQ(unmap(d, 0, 2), 2);
	EXPECT_EQ(bytes_of(d), 4096);
}

TEST_F(domain, permissions)
{
	struct iommu_domain *d = self->d;
	struct host_pe *hpe = pe_of(self->dev);
	size_t mapped = 0;

	ASSERT_EQ(tce_domain_attach(d, self->dev), 0);
	EXPECT_EQ(d->ops->map_pages(d, 0, RAM, PG, 1, IOMMU_READ, GFP_KERNEL,
				    &mapped), 0);
	EXPECT_EQ(d->ops->map_pages(d, PG, RAM, PG, 1, IOMMU_WRITE, GFP_KERNEL,
				    &mapped), 0);
	EXPECT_EQ(mapped, 2 * PG);
	EXPECT_EQ(machine_dma(hpe, 0, false), (long)RAM);
	EXPECT_EQ(machine_dma(hpe, 0, true), -EFAULT);
	EXPECT_TRUE(reaches(self->dev, PG, RAM));
	EXPECT_EQ(unmap(d, 0, 2), 2);
}

/* All before what is there is mapped, told, and can be unmapped */
TEST_F(domain, over_what_is_mapped)
{
	struct iommu_domain *d = self->d;
	unsigned long done, at;

	for (at = LEAF - 4; at < LEAF + 4; at++) {
		EXPECT_EQ(map(d, at, RAM, 1, NULL), 0);
		EXPECT_EQ(map(d, LEAF - 4, RAM + SZ_1G, 8, &done), -EADDRINUSE);
		EXPECT_EQ(done, at - (LEAF - 4));
		EXPECT_EQ(unmap(d, LEAF - 4, done), done);
		EXPECT_EQ(d->ops->iova_to_phys(d, at * PG), RAM);
		EXPECT_EQ(unmap(d, LEAF - 4, 8), at == LEAF - 4);
		EXPECT_EQ(unmap(d, at, LEAF + 4 - at), at != LEAF - 4);
		EXPECT_EQ(bytes_of(d), 4096);
	}
}

/* An unmap ends where something is not mapped: in a leaf, and between two */
TEST_F(domain, unmap_with_holes)
{
	struct iommu_domain *d = self->d;

	EXPECT_EQ(map(d, LEAF - 2, RAM, 4, NULL), 0);
	EXPECT_EQ(unmap(d, LEAF - 1, 1), 1);
	EXPECT_EQ(unmap(d, LEAF - 2, 4), 1);
	EXPECT_EQ(unmap(d, LEAF - 2, 4), 0);
	EXPECT_EQ(map(d, 3 * LEAF - 1, RAM, 1, NULL), 0);
	EXPECT_EQ(unmap(d, LEAF, 2 * LEAF), 2);
	EXPECT_EQ(unmap(d, 3 * LEAF - 1, 3 * LEAF), 1);
	/* Where it begins there is no leaf */
	EXPECT_EQ(map(d, 2 * LEAF, RAM, 1, NULL), 0);
	EXPECT_EQ(unmap(d, LEAF, 2 * LEAF), 0);
	EXPECT_EQ(unmap(d, 2 * LEAF, 1), 1);
	EXPECT_EQ(bytes_of(d), 4096);
}

TEST_F(domain, map_without_memory)
{
	struct iommu_domain *d = self->d;
	unsigned long n, done;
	int ret;

	EXPECT_EQ(map(d, LEAF * LEAF * LEAF - 1, RAM, 1, NULL), 0);
	for (n = 1; n < 100; n++) {
		fail_arm(n);
		ret = map(d, LEAF * LEAF - 600, RAM, 1200, &done);
		fail_arm(0);
		if (!ret)
			break;
		EXPECT_EQ(ret, -ENOMEM);
		EXPECT_EQ(done, 0);
		EXPECT_EQ(unmap(d, LEAF * LEAF - 600, 1200), 0);
		EXPECT_EQ(bytes_of(d), 4 * 4096);
	}
	EXPECT_GT(n, 5);
	EXPECT_EQ(done, 1200);
	/* To give back takes no memory */
	fail_arm_from(1);
	EXPECT_EQ(unmap(d, LEAF * LEAF - 600, 1200), 1200);
	fail_arm(0);
	EXPECT_EQ(unmap(d, LEAF * LEAF * LEAF - 1, 1), 1);
	EXPECT_EQ(bytes_of(d), 4096);
}
