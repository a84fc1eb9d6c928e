// SPDX-License-Identifier: GPL-2.0-only
/*
 * Paging domains: who owns a PE, with a failure at every step from one to another.
 */

/* Whatever failed: nobody but the host has its bypass, and only as the host */
static bool state_is_sound(struct device *dev)
{
	struct host_pe *hpe = pe_of(dev);

	world_check();

	return hpe->pe.owner == PNV_PE_HOST || dead(dev, WINDOW1 + 0x1000);
}

static bool host_is_back(struct device *dev)
{
	struct host_pe *hpe = pe_of(dev);

	return hpe->pe.owner == PNV_PE_HOST &&
		reaches(dev, WINDOW1 + 0x1000, 0x1000) && hpe->tve[0].levels &&
		hpe->pe.table_group.tables[0] == hpe->pe.host_table;
}

enum { TO_HOST, TO_BLOCKED, TO_DOMAIN, TO_OTHER, TO_STATES };

static long go(struct _test_data_domain *self, int to)
{
	switch (to) {
	case TO_HOST:
		give_back(self->dev);
		return 0;
	case TO_BLOCKED:
		return block(self->dev);
	case TO_DOMAIN:
		return tce_domain_attach(self->d, self->dev);
	default:
		return tce_domain_attach(self->other, self->dev);
	}
}

/* What is to be dead, or back, in the state that the PE is in, whatever failed */
static bool state_is_right(struct _test_data_domain *self, bool failed)
{
	struct iommu_table_group *group = group_of(self->dev);
	struct host_pe *hpe = pe_of(self->dev);
	struct device *dev = self->dev;

	switch (hpe->pe.owner) {
	case PNV_PE_HOST:
		return dead(dev, 7 * PG) && dead(dev, 9 * PG) &&
			(failed || host_is_back(dev));
	case PNV_PE_BLOCKED:
		return dead(dev, WINDOW1 + 0x1000) && dead(dev, 7 * PG) &&
			dead(dev, 9 * PG) && dead(dev, 5 * PG);
	default:
		return dead(dev, WINDOW1 + 0x1000) && dead(dev, 5 * PG) &&
			(group->tables[0] == glue_domain_table(self->d) ?
			 reaches(dev, 7 * PG, RAM) && dead(dev, 9 * PG) :
			 reaches(dev, 9 * PG, RAM) && dead(dev, 7 * PG));
	}
}

/* One failure on the way, or all from a step on. Returns how many ways to fail */
static unsigned long transit(struct _test_data_domain *self, int from, int to,
			     void (*arm)(unsigned long nth))
{
	struct device *dev = self->dev;
	unsigned long n;
	bool fired;
	long ret;

	for (n = 1, fired = true; fired && n < 20; n++) {
		/* As if it had not been away before */
		pe_of(dev)->pe.host_bypass = false;
		if (go(self, from))
			return 0;
		arm(n);
		ret = go(self, to);
		fired = fail_fired();
		fail_arm(0);
		if (!state_is_sound(dev) || !state_is_right(self, fired) ||
		    (ret && !fired))
			return 0;
		/* Nothing is in the way of who tries again */
		if (go(self, to) || !state_is_sound(dev) ||
		    !state_is_right(self, fired))
			return 0;
		/* One more round finds what failed on the way to the host */
		give_back(dev);
		if (block(dev) || !state_is_right(self, false))
			return 0;
		give_back(dev);
		if (!state_is_right(self, false))
			return 0;
	}

	return n < 20 ? n - 1 : 0;
}

/* Each way from each state, with memory or firmware failing at each step */
TEST_F(domain, transitions)
{
	struct iommu_table *tbl = pe_of(self->dev)->pe.host_table;
	struct tce_spares taken = { };
	unsigned long ways = 0, n;
	int from, to;

	EXPECT_EQ(map(self->d, 7, RAM, 1, NULL), 0);
	EXPECT_EQ(map(self->other, 9, RAM, 1, NULL), 0);
	EXPECT_EQ(pnv_tce_build(tbl, 5, 1, (unsigned long)__va(RAM),
				DMA_BIDIRECTIONAL, 0), 0);
	tbl->it_ops->tce_kill(tbl, 5, 1);
	for (from = 0; from < TO_STATES; from++) {
		for (to = 0; to < TO_STATES; to++) {
			n = transit(self, from, to, fail_arm);
			EXPECT_GE(n, 1);
			ways += n;
			EXPECT_EQ(transit(self, from, to, fail_arm_from), n);
		}
	}
	/* Each step that can fail was one that did */
	EXPECT_GE(ways, 16 + 10);
	EXPECT_TRUE(reaches(self->dev, 5 * PG, RAM));
	pnv_tce_free(tbl, 5, 1);
	tce_tree_take(&tbl->it_tree, 0, tbl->it_size, true, &taken);
	tbl->it_ops->tce_kill(tbl, tbl->it_offset, tbl->it_size);
	tce_spares_return(&tbl->it_tree, &taken);
	EXPECT_EQ(unmap(self->d, 7, 1), 1);
	EXPECT_EQ(unmap(self->other, 9, 1), 1);
}

/* Two functions in one PE: the core hands them over one after the other */
TEST_F(domain, two_devices_of_a_group)
{
	struct device second = { .iommu_group = self->dev->iommu_group };
	struct iommu_domain *d = self->d;
	struct iommu_table *tbl = pe_of(self->dev)->pe.host_table;
	unsigned long kills, n;
	bool fired;
	long ret;

	EXPECT_EQ(map(d, 7, RAM, 1, NULL), 0);
	EXPECT_EQ(block(self->dev), 0);
	EXPECT_EQ(block(&second), 0);
	EXPECT_TRUE(dead(&second, WINDOW1 + 0x1000));
	EXPECT_EQ(tce_domain_attach(d, self->dev), 0);
	kills = pe_of(self->dev)->kills;
	/* It is there already, with one link and one reference */
	EXPECT_EQ(tce_domain_attach(d, &second), 0);
	EXPECT_EQ(pe_of(self->dev)->kills, kills);
	EXPECT_EQ(glue_domain_table(d)->it_kref.count, 2);
	EXPECT_TRUE(reaches(&second, 7 * PG, RAM));
	EXPECT_EQ(block(self->dev), 0);
	EXPECT_TRUE(dead(&second, 7 * PG));
	EXPECT_EQ(block(&second), 0);
	give_back(self->dev);
	EXPECT_TRUE(host_is_back(&second));
	EXPECT_EQ(second.archdata.iommu_table_base, NULL);
	give_back(&second);
	EXPECT_EQ(second.archdata.iommu_table_base, tbl);
	EXPECT_TRUE(host_is_back(self->dev));

	/* Where one cannot be attached the core puts both back */
	for (n = 1, fired = true; fired && n < 20; n++) {
		EXPECT_EQ(block(self->dev), 0);
		EXPECT_EQ(block(&second), 0);
		fail_arm(n);
		ret = tce_domain_attach(d, self->dev) ?:
			tce_domain_attach(d, &second);
		fired = fail_fired();
		fail_arm(0);
		EXPECT_EQ(fired, !!ret);
		if (ret) {
			EXPECT_EQ(block(self->dev), 0);
			EXPECT_EQ(block(&second), 0);
		}
		EXPECT_TRUE(dead(&second, WINDOW1 + 0x1000));
		EXPECT_EQ(dead(&second, 7 * PG), fired);
		give_back(self->dev);
		give_back(&second);
		EXPECT_TRUE(host_is_back(&second));
	}
	EXPECT_EQ(unmap(d, 7, 1), 1);
}

/* A device of the host that is reset was not away: it keeps a bypass by window 0 */
TEST_F(domain, a_reset_keeps_the_offset)
{
	struct device *dev = self->dev, sibling = *dev;

	/* As pci-ioda.c does when a driver asks for such a bypass */
	pe_of(dev)->pe.window0_bypass = true;
	dev->archdata.dma_offset = BIT(32);
	sibling.archdata.dma_offset = BIT(32);
	give_back(dev);
	EXPECT_EQ(dev->archdata.dma_offset, BIT(32));
	EXPECT_EQ(block(dev), 0);
	EXPECT_EQ(block(&sibling), 0);
	give_back(dev);
	give_back(&sibling);
	EXPECT_EQ(dev->archdata.dma_offset, WINDOW1);
	EXPECT_EQ(sibling.archdata.dma_offset, WINDOW1);
}

/* Firmware refuses to hand the PE over, and to give the host its bypass again */
TEST_F(domain, the_bypass_outlasts_two_refusals)
{
	struct device *dev = self->dev;
	unsigned long n;
	bool fired;

	for (n = 1, fired = true; fired && n < 20; n++) {
		/* As if it had not been away before */
		pe_of(dev)->pe.host_bypass = false;
		fail_arm_from(n);
		tce_domain_attach(self->d, dev);
		fired = fail_fired();
		fail_arm(0);
		give_back(dev);
		EXPECT_EQ(block(dev), 0);
		give_back(dev);
		EXPECT_TRUE(host_is_back(dev));
	}
	EXPECT_LT(n, 20);
	EXPECT_GT(n, 3);
}

/* The way back does not allocate, and finds the host's mappings */
TEST_F(domain, the_host_s_table_is_parked)
{
	struct device *dev = self->dev;
	struct iommu_table *tbl = pe_of(dev)->pe.host_table;
	struct tce_spares taken = { };

	EXPECT_EQ(pnv_tce_build(tbl, 5, 1, (unsigned long)__va(RAM),
				DMA_BIDIRECTIONAL, 0), 0);
	tbl->it_ops->tce_kill(tbl, 5, 1);
	EXPECT_TRUE(reaches(dev, 5 * PG, RAM));
	EXPECT_EQ(block(dev), 0);
	EXPECT_TRUE(dead(dev, 5 * PG));
	/* Its user does not know: what it unmaps meanwhile is not there later */
	EXPECT_EQ(pnv_tce_build(tbl, 6, 1, (unsigned long)__va(RAM),
				DMA_BIDIRECTIONAL, 0), 0);
	fail_arm_from(1);
	give_back(dev);
	fail_arm(0);
	EXPECT_EQ(pe_of(dev)->pe.host_table, tbl);
	EXPECT_EQ(tce_domain_attach(self->d, dev), 0);
	EXPECT_TRUE(dead(dev, 5 * PG));
	give_back(dev);
	EXPECT_TRUE(host_is_back(dev));
	EXPECT_EQ(pe_of(dev)->pe.host_table, tbl);
	EXPECT_TRUE(reaches(dev, 5 * PG, RAM));
	EXPECT_TRUE(reaches(dev, 6 * PG, RAM));
	pnv_tce_free(tbl, 5, 2);
	tbl->it_ops->tce_kill(tbl, 5, 2);
	EXPECT_TRUE(dead(dev, 5 * PG));
	tce_tree_take(&tbl->it_tree, 0, tbl->it_size, true, &taken);
	tbl->it_ops->tce_kill(tbl, tbl->it_offset, tbl->it_size);
	tce_spares_return(&tbl->it_tree, &taken);
}

TEST_F(domain, several_groups)
{
	struct iommu_domain *d = self->d;
	int i;

	for (i = 0; i < NR_DEVS; i++)
		EXPECT_EQ(tce_domain_attach(d, self->dev + i), 0);
	EXPECT_EQ(map(d, 3, RAM, 2, NULL), 0);
	for (i = 0; i < NR_DEVS; i++)
		EXPECT_TRUE(reaches(self->dev + i, 3 * PG, RAM));
	EXPECT_EQ(unmap(d, 3, 1), 1);
	for (i = 0; i < NR_DEVS; i++)
		EXPECT_TRUE(dead(self->dev + i, 3 * PG));
	EXPECT_EQ(block(self->dev), 0);
	EXPECT_TRUE(dead(self->dev, 4 * PG));
	EXPECT_TRUE(reaches(self->dev + 1, 4 * PG, RAM + PG));
	EXPECT_EQ(unmap(d, 4, 1), 1);
	EXPECT_TRUE(dead(self->dev + 1, 4 * PG));
}

/* A container has windows there, or a domain is */
TEST_F(domain, windows_of_a_container)
{
	static const struct tce_window_config windows[] = {
		{ .num = 0, .page_shift = 16, .size = SZ_1G, .levels = 1 },
		{ .num = 1, .page_shift = 16, .size = SZ_1G, .levels = 1 },
	};
	struct iommu_table_group *group = group_of(self->dev);
	struct iommu_table *tbl;
	int num;

	for (num = 0; num < 2; num++) {
		EXPECT_EQ(block(self->dev), 0);
		EXPECT_EQ(group->ops->create_user_table(group, &windows[num],
							self->mm, &tbl), 0);
		EXPECT_EQ(group->ops->set_window(group, num, tbl), 0);
		EXPECT_EQ(tce_domain_attach(self->d, self->dev), -EBUSY);
		EXPECT_EQ(group->ops->unset_window(group, num), 0);
		EXPECT_EQ(tce_domain_attach(self->d, self->dev), 0);
		EXPECT_EQ(group->ops->set_window(group, 0, tbl), -EBUSY);
		EXPECT_EQ(group->ops->set_window(group, 1, tbl), -EBUSY);
		iommu_tce_table_put(tbl);
	}
}

/* A PE goes with its last device, whatever its state is */
TEST_F(domain, unplug)
{
	struct host_pe *hpe = pe_of(self->dev);
	struct iommu_domain *d = self->d;
	int to;

	for (to = 0; to < TO_OTHER; to++) {
		EXPECT_EQ(go(self, to), 0);
		pnv_pci_ioda2_release_pe_dma(&hpe->pe);
		EXPECT_TRUE(hpe->no_iommudata);
		EXPECT_TRUE(dead(self->dev, WINDOW1 + 0x1000));
		EXPECT_TRUE(dead(self->dev, 0));
		EXPECT_TRUE(list_empty(&glue_domain_table(d)->it_group_list));
		EXPECT_EQ(tce_domain_attach(d, self->dev), -EINVAL);
		EXPECT_TRUE(IS_ERR(tce_domain_alloc(self->dev)));
		hpe->no_iommudata = false;
		hpe->pe.owner = PNV_PE_HOST;
		EXPECT_EQ(pnv_pci_ioda2_setup_default_config(&hpe->pe), 0);
		EXPECT_TRUE(host_is_back(self->dev));
	}
}

static int firmware_keeps(struct _test_data_domain *self, int to)
{
	struct host_pe *hpe = pe_of(self->dev);
	struct iommu_table *tbl = glue_domain_table(self->d);

	if (tce_domain_attach(self->d, self->dev) ||
	    map(self->d, 5, RAM, 1, NULL))
		return 1;
	machine_removal_fails = true;
	fail_arm_from(1);
	if (to == TO_HOST)
		give_back(self->dev);
	else if (block(self->dev))
		return 2;
	fail_arm(0);
	machine_removal_fails = false;
	if (!hpe->pe.window_stuck)
		return 3;
	/* The domain goes, and its table stays */
	if (unmap(self->d, 5, 1) != 1 || !dead(self->dev, 5 * PG))
		return 4;
	self->d->ops->free(self->d);
	self->d = NULL;
	if (tbl->it_kref.count != 1 || list_empty(&tbl->it_group_list))
		return 5;
	give_back(self->dev);
	if (block(self->dev) != -EIO ||
	    tce_domain_attach(self->other, self->dev) != -EIO)
		return 6;
	/* As if firmware had thought better of it, to end clean */
	kfree(list_first_entry(&tbl->it_group_list,
			       struct iommu_table_group_link, next));
	INIT_LIST_HEAD(&tbl->it_group_list);
	hpe->pe.window_stuck = false;
	hpe->stuck = false;
	if (to == TO_HOST)
		hpe->tve[0].levels = 0;
	iommu_tce_table_put(tbl);

	return 0;
}

TEST_F(domain, firmware_keeps_a_window_from_nobody)
{
	EXPECT_EQ(firmware_keeps(self, TO_BLOCKED), 0);
}

TEST_F(domain, firmware_keeps_a_window_from_the_host)
{
	EXPECT_EQ(firmware_keeps(self, TO_HOST), 0);
}

TEST_F(domain, reserved_regions)
{
	struct iommu_resv_region *r, *next;
	struct pnv_phb *phb = pe_of(self->dev)->pe.phb;
	u64 end[3] = { };
	LIST_HEAD(list);
	int n = 0;

	phb->ioda.m32_pci_base = 0x80000000;
	phb->ioda.m64_base = BIT(49);
	phb->ioda.m64_size = SZ_1G;
	fail_arm_from(1);
	tce_domain_get_resv_regions(self->dev, &list);
	fail_arm(0);
	list_for_each_entry_safe(r, next, &list, list) {
		if (n < 3)
			end[n] = r->start + r->length;
		if (r->type == IOMMU_RESV_MSI)
			EXPECT_EQ(r->start, 0xffff0000);
		n++;
		kfree(r);
	}
	EXPECT_EQ(n, 3);
	EXPECT_EQ(end[0], BIT(32));
	EXPECT_EQ(end[1], 0xffff0000);
	EXPECT_EQ(end[2], BIT(49) + SZ_1G);
	phb->ioda.m32_pci_base = 0;
	phb->ioda.m64_size = 0;
}

/* Who asks for a domain on 6.12 need not say for which device */
TEST_F(domain, alloc_for_no_device)
{
	EXPECT_EQ(PTR_ERR(tce_domain_alloc(NULL)), -EOPNOTSUPP);
}

/* After a reset the core cannot tell anybody that there was no memory */
TEST_F(domain, attach_needs_no_memory)
{
	unsigned long n;
	bool fired;

	for (n = 1, fired = true; fired && n < 20; n++) {
		EXPECT_EQ(block(self->dev), 0);
		fail_arm(n);
		EXPECT_NE(tce_domain_attach(self->d, self->dev), -ENOMEM);
		fired = fail_fired();
		fail_arm(0);
	}
	EXPECT_EQ(n, 3);
}

TEST_F(domain, alloc_fails)
{
	struct iommu_domain *d;
	unsigned long n;
	bool fired = true;

	for (n = 1; fired; n++) {
		fail_arm(n);
		d = tce_domain_alloc(self->dev);
		fired = fail_fired();
		fail_arm(0);
		EXPECT_EQ(fired, IS_ERR(d));
		if (!IS_ERR(d))
			d->ops->free(d);
		EXPECT_LT(n, 20);
	}
	EXPECT_GT(n, 3);
}
