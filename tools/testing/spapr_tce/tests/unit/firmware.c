// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows of an LPAR: hand-over between the host and a process, by firmware of
 * different age.
 */
#include <linux/pci.h>

#include "tce_handover.h"
#include "tce_window.h"
#include "unit.h"

FIXTURE(firmware)
{
	struct mm_struct *mm;
	struct host_container c;
	struct iommu_table **host;
	u64 digest;
};

FIXTURE_VARIANT(firmware)
{
	enum firmware_kind kind;
};

VARIANT(firmware, resets, .kind = FIRMWARE_RESETS);
VARIANT(firmware, no_reset, .kind = FIRMWARE_NO_RESET);
VARIANT(firmware, one_window, .kind = FIRMWARE_ONE_WINDOW);

FIXTURE_SETUP(firmware)
{
	machine_init();
	self->mm = mm_create(1UL << 40);
	current->mm = self->mm;
	lpar_boot(LPAR_ALL, variant->kind);
	if (variant->kind == FIRMWARE_ONE_WINDOW)
		lpar_pe.pe.table_group.max_dynamic_windows_supported = -1;
	self->host = lpar_pe.pe.table_group.tables;
	memset(&self->c, 0, sizeof(self->c));
	world_check_containers(&self->c, 1);
}

static void come(struct host_container *c)
{
	WARN_ON(vfio_attach(c, &lpar_pe));
	WARN_ON(vfio_set_iommu(c, VFIO_SPAPR_TCE_v2_IOMMU));
}

static struct iommu_table *base_of(int dev)
{
	return lpar_devs[dev].dev.archdata.iommu_table_base;
}

/* The host has the default window, and all devices use its table */
static void check_host(void)
{
	struct iommu_table *tbl = lpar_pe.pe.table_group.tables[0];

	WARN_ON(!firmware.has_default);
	WARN_ON(firmware.dynamic);
	WARN_ON(!firmware_described("ibm,dma-window"));
	WARN_ON(firmware_described("linux,dma64-ddr-window-info"));
	WARN_ON(!tbl || tbl->it_user || tbl->it_size != LPAR_TCES);
	WARN_ON(lpar_pe.pe.table_group.tables[1]);
	WARN_ON(lpar_pe.pe.table_group.user_owned);
	WARN_ON(base_of(0) != tbl || base_of(1) != tbl);
}

/* Neither device has anything of the host, whose TCEs are gone */
static void check_taken(enum firmware_kind kind, unsigned int times)
{
	WARN_ON(lpar_pe.pe.table_group.tables[0]);
	WARN_ON(base_of(0) || base_of(1));
	WARN_ON(!lpar_pe.pe.table_group.user_owned);
	/* What cannot be made again is not removed, but cleared */
	WARN_ON(firmware.has_default != (kind != FIRMWARE_RESETS));
	WARN_ON(firmware_described("ibm,dma-window") != firmware.has_default);
	WARN_ON(firmware.cleared != (kind == FIRMWARE_RESETS ? 0 : times));
}

FIXTURE_TEARDOWN(firmware)
{
	vfio_close(&self->c);
	world_check();
	check_host();
	host_settle();
	mm_destroy(self->mm);
	machine_reset();
	world_check_empty();
	host_test_ends();
}

TEST_F(firmware, handover)
{
	unsigned int n, dead = 0;

	check_host();
	for (n = 1; n <= 20; n++) {
		come(&self->c);
		check_taken(variant->kind, n);
		EXPECT_WORKS(req_register(&self->c, UA(0), 16 * PG));
		EXPECT_WORKS(req_map(&self->c, 0, UA(0), PG, RW));
		EXPECT_EQ(lpar.tces[0][0], hpa_of(self->mm, UA(0)) + 3);
		EXPECT_TRUE(firmware.has_default);
		EXPECT_EQ(base_of(0), NULL);
		vfio_close(&self->c);
		world_check();
		check_host();
		EXPECT_EQ(lpar.tces[0][0], 0);
		if (n == 1)
			dead = firmware_dead_properties();
		EXPECT_EQ(firmware_dead_properties(), dead);
	}
}

/* As QEMU: the default window goes, and a large one comes; in each place */
TEST_F(firmware, dynamic_window)
{
	unsigned int n, dead = 0;
	u64 at = 0;

	for (n = 0; n < 10; n++) {
		come(&self->c);
		EXPECT_WORKS(req_register(&self->c, UA(UA_HUGE), 64 * PG));
		EXPECT_WORKS(req_map(&self->c, 0, UA(UA_HUGE), PG, RW));
		if (variant->kind == FIRMWARE_ONE_WINDOW) {
			EXPECT_EQ(req_create(&self->c, 16, MB, 1, NULL), -ENOSPC);
			vfio_close(&self->c);
			continue;
		}
		if (n & 1) {
			EXPECT_WORKS(req_remove(&self->c, 0));
			EXPECT_EQ(firmware.has_default, variant->kind != FIRMWARE_RESETS);
			EXPECT_EQ(lpar.tces[0][0], 0);
		}
		EXPECT_WORKS(req_create(&self->c, 16, BIT(20 + n % 3), 1, &at));
		EXPECT_EQ(at, BIT(59));
		EXPECT_TRUE(firmware.dynamic);
		EXPECT_EQ(firmware_described_shift(), 20 + n % 3);
		EXPECT_WORKS(req_map(&self->c, at, UA(UA_HUGE), K64, RW));
		EXPECT_EQ(lpar.tces[1][0], hpa_of(self->mm, UA(UA_HUGE)) + 3);
		/* Not while the other one would go with a reset */
		if (n & 1)
			EXPECT_NE(req_create(&self->c, 12, MB, 1, NULL), 0);
		if (n & 2) {
			EXPECT_WORKS(req_remove(&self->c, at));
			EXPECT_FALSE(firmware.dynamic);
			EXPECT_EQ(lpar.tces[1][0], 0);
			/* The default window, smaller */
			if (n & 1) {
				EXPECT_WORKS(req_create(&self->c, 12, MB, 1, &at));
				EXPECT_EQ(at, 0);
				EXPECT_TRUE(firmware.has_default);
				EXPECT_WORKS(req_map(&self->c, MB - SZ_4K, UA(UA_HUGE), SZ_4K, RW));
				EXPECT_EQ(lpar.tces[0][MB / SZ_4K - 1],
					  hpa_of(self->mm, UA(UA_HUGE)) + 3);
			}
		}
		vfio_close(&self->c);
		check_host();
		world_check();
		if (n == 3)
			dead = firmware_dead_properties();
		if (n >= 3)
			EXPECT_EQ(firmware_dead_properties(), dead);
	}
}

/* What is wrong with a window is found before there is one, and nothing is left of it */
TEST_F(firmware, refused)
{
	const struct tce_window_config good = {
		.num = 1, .page_shift = 16, .size = MB, .levels = 1
	}, odd = {
		.num = 1, .page_shift = 16, .size = 3 * K64, .levels = 1
	};
	struct iommu_table_group *group = &lpar_pe.pe.table_group;
	struct iommu_group *devices = group->group;
	struct iommu_table *tbl;
	u64 at;

	come(&self->c);
	/* A container asks for nothing of that kind */
	EXPECT_EQ(group->ops->create_user_table(group, &odd, self->mm, &tbl), -EINVAL);
	/* All devices of the group have gone */
	group->group = NULL;
	EXPECT_EQ(group->ops->create_user_table(group, &good, self->mm, &tbl), -ENODEV);
	EXPECT_EQ(group->ops->unset_window(group, 0), -ENODEV);
	group->group = devices;
	EXPECT_EQ(group->ops->unset_window(group, 0), 0);
	if (variant->kind == FIRMWARE_ONE_WINDOW)
		SKIP(return, "no window but the default one");

	firmware.mute = true;
	EXPECT_EQ(req_create(&self->c, 16, MB, 1, &at), -ENODEV);
	firmware.mute = false;
	EXPECT_EQ(req_create(&self->c, 16, 2 * LPAR_TCES * K64, 1, &at), -EINVAL);
	EXPECT_WORKS(req_create(&self->c, 16, LPAR_TCES * K64, 1, &at));
	EXPECT_EQ(lpar.tces[1][0], 0);
	/* The default window would be made with a reset */
	EXPECT_WORKS(req_remove(&self->c, 0));
	EXPECT_EQ(req_create(&self->c, 12, MB, 1, &at), -EPERM);
	EXPECT_EQ(req_create(&self->c, 16, MB, 1, &at), -EPERM);
	EXPECT_WORKS(req_remove(&self->c, BIT(59)));
	/* One dynamic window, wherever it is */
	EXPECT_WORKS(req_create(&self->c, 16, MB, 1, &at));
	EXPECT_EQ(req_create(&self->c, 16, MB, 1, &at), -ENOSPC);
	EXPECT_TRUE(firmware.dynamic);
}

/* Windows that could not be found go with the reset, and their tables with them */
TEST_F(firmware, windows_stay)
{
	if (variant->kind != FIRMWARE_RESETS)
		SKIP(return, "the machine places its windows elsewhere");
	come(&self->c);
	EXPECT_WORKS(req_register(&self->c, UA(0), 16 * PG));
	EXPECT_WORKS(req_map(&self->c, 0, UA(0), PG, RW));
	EXPECT_WORKS(req_create(&self->c, 16, MB, 1, NULL));
	firmware.keeps = true;
	vfio_close(&self->c);
	firmware.keeps = false;
	world_check();
	check_host();
	EXPECT_EQ(host_usage.tables, (long)HOST_PES + 1);
}

/* A device without a PE is handed to nobody, and others are not harmed by that */
TEST_F(firmware, stray_device)
{
	firmware_stray(0, true);
	EXPECT_EQ(vfio_attach(&self->c, &lpar_pe), -ENODEV);
	firmware_stray(0, false);
	check_host();
	come(&self->c);
}

/* All of the window at once; what there is no memory for cannot be pinned */
TEST_F(firmware, version1)
{
	WARN_ON(vfio_attach(&self->c, &lpar_pe));
	WARN_ON(vfio_set_iommu(&self->c, VFIO_SPAPR_TCE_IOMMU));
	EXPECT_WORKS(vfio_ioctl(&self->c, VFIO_IOMMU_ENABLE, NULL));
	EXPECT_EQ(req_map(&self->c, 0, UA(UA_END - 1), LPAR_TCES * SZ_4K, RW), -EFAULT);
	EXPECT_EQ(req_map(&self->c, 0, UA(UA_END - 1), (LPAR_TCES + 1) * SZ_4K, RW), -EINVAL);
	EXPECT_EQ(host_usage.pins, 0);
}

/* Whichever step fails, the host has its window, at the latest when it gets it again */
TEST_F(firmware, every_step)
{
	unsigned long n;
	long ret;
	u64 at;

	for (n = 1;; n++) {
		come(&self->c);
		WARN_ON(req_register(&self->c, UA(0), 16 * PG));
		fail_arm(n);
		ret = req_map(&self->c, 0, UA(0), PG, RW);
		if (!ret && variant->kind != FIRMWARE_ONE_WINDOW)
			ret = req_create(&self->c, 16, MB, 1, &at);
		if (!fail_fired())
			break;
		fail_arm(0);
		world_check();
		if (variant->kind == FIRMWARE_ONE_WINDOW)
			EXPECT_WORKS(req_map(&self->c, 0, UA(0), PG, RW));
		vfio_close(&self->c);
		check_host();
	}
	fail_arm(0);
	EXPECT_EQ(ret, 0);
	EXPECT_GT(n, 3);
}

/* There is no memory when the host gets it again: the next hand-over makes it */
TEST_F(firmware, no_memory_for_the_host)
{
	unsigned long n;
	bool whole;

	for (n = 1;; n++) {
		come(&self->c);
		WARN_ON(req_register(&self->c, UA(0), PG));
		WARN_ON(req_map(&self->c, 0, UA(0), PG, RW));
		fail_arm(n);
		vfio_close(&self->c);
		whole = !fail_fired();
		fail_arm(0);
		if (whole)
			break;
		EXPECT_EQ(base_of(0), self->host[0]);
		EXPECT_EQ(base_of(1), self->host[0]);
		come(&self->c);
		EXPECT_EQ(self->host[0], NULL);
		vfio_close(&self->c);
		check_host();
	}
	EXPECT_GE(n, 2);
}

/* ... and none when a process gets it: it does not, or the host gets it again */
TEST_F(firmware, no_memory_for_the_process)
{
	unsigned long n;
	bool whole;
	int ret;

	for (n = 1;; n++) {
		lpar_boot(LPAR_ALL, variant->kind);
		fail_arm_from(n);
		ret = vfio_attach(&self->c, &lpar_pe);
		whole = !fail_fired();
		fail_arm(0);
		if (whole)
			break;
		if (!ret)
			vfio_detach(&self->c, &lpar_pe);
		check_host();
	}
	EXPECT_EQ(ret, 0);
	EXPECT_GE(n, variant->kind == FIRMWARE_RESETS ? 4 : 1);
	WARN_ON(vfio_set_iommu(&self->c, VFIO_SPAPR_TCE_v2_IOMMU));
}

/* A device or bus that appears while a process owns the group changes nothing */
TEST_F(firmware, device_appears)
{
	unsigned int set_up;

	come(&self->c);
	set_up = firmware.set_up;
	pseries_dma_dev_setup(lpar_devs + 1);
	pseries_dma_bus_setup(lpar_devs[0].dn->parent->data->phb->bus);
	EXPECT_EQ(firmware.set_up, set_up);
	EXPECT_EQ(firmware.added, 1);
	EXPECT_EQ(base_of(1), NULL);
	EXPECT_WORKS(req_register(&self->c, UA(0), PG));
	EXPECT_WORKS(req_map(&self->c, 0, UA(0), PG, RW));
	pseries_dma_dev_setup(lpar_devs + 1);
	EXPECT_EQ(base_of(1), NULL);
	EXPECT_EQ(lpar.tces[0][0], hpa_of(self->mm, UA(0)) + 3);
	vfio_close(&self->c);
	check_host();
	/* The host's group: it gets the host's table */
	pseries_dma_dev_setup(lpar_devs + 1);
	EXPECT_EQ(firmware.set_up, set_up + 1);
	EXPECT_EQ(base_of(1), self->host[0]);
	pseries_dma_bus_setup(lpar_devs[0].dn->parent->data->phb->bus);
	EXPECT_EQ(firmware.set_up, set_up + 2);
}
