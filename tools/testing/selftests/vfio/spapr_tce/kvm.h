/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of KVM's side start from: a guest, its container and a window of
 * 1 GB.
 */
#ifndef SPAPR_TCE_KVM_H
#define SPAPR_TCE_KVM_H

#include "harness.h"
#include "kvm_guest.h"

#define LEN	EDU_MAX_LEN

FIXTURE(kvm)
{
	struct guest g;
};

VARIANTS_HV_PR(kvm);

FIXTURE_SETUP(kvm)
{
	const char *missing = guest_open(&self->g, variant->type);

	if (missing)
		SKIP(return, "%s", missing);
	ASSERT_EQ(0, guest_window(&self->g, SZ_1G));
}

FIXTURE_TEARDOWN(kvm)
{
	EXPECT_EQ(0, guest_lost_registers(&self->g));
	guest_close(&self->g);
	EXPECT_NO_LEAK(&self->g.leak);
	SKIP_UNASKED();
}

/* The guest's view, mapped; NULL if it cannot be */
static inline u64 *view_map(int fd, u64 tces)
{
	void *va = mmap(NULL, tces * sizeof(u64), PROT_READ | PROT_WRITE,
			MAP_SHARED, fd, 0);

	return va == MAP_FAILED ? NULL : va;
}

/* The TCEs of a view that are not 0 */
static inline u64 view_count(const u64 *view, u64 tces)
{
	u64 i, n = 0;

	for (i = 0; i < tces; i++)
		n += !!view[i];
	return n;
}

/* Does a device carry data from @a to @b, which are @mem_a and @mem_b? */
static inline bool carries(struct tce_dev *dev, u64 a, void *mem_a, u64 b,
			   void *mem_b, u32 seed)
{
	bool ok;

	if (!can_ask(dev))
		return true;
	if (tce_dev_open(dev))
		return false;
	mem_fill(mem_a, LEN, seed);
	mem_fill(mem_b, LEN, ~seed);
	ok = !edu_copy(dev, a, b, LEN) && mem_check(mem_b, LEN, seed);
	tce_dev_close(dev);
	return ok;
}

/* Does a write of the device to @iova leave @mem alone? */
static inline bool refused(struct guest *g, u64 iova, void *mem, u32 seed)
{
	bool ok;

	if (!can_ask(g->dev))
		return true;
	if (tce_dev_open(g->dev))
		return false;
	mem_fill(mem, LEN, seed);
	ok = !edu_write_ram(g->dev, iova, 0, LEN) &&
	     !edu_recover(g->dev, g->c) && mem_check(mem, LEN, seed);
	tce_dev_close(g->dev);
	return ok;
}

#endif /* SPAPR_TCE_KVM_H */
