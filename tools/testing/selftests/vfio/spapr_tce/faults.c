// SPDX-License-Identifier: GPL-2.0
/*
 * Every request with a failure in it: at the first place where the kernel
 * allocates memory or copies from or to user space for it, at the second, and
 * so on until a request has no more such places. A request that fails changes
 * nothing and works when it is made again; one that gives back does not fail.
 *
 * And processes that are killed in the middle of all this.
 *
 * Needs a kernel with fault injection (CONFIG_FAULT_INJECTION_DEBUG_FS).
 */
#include <endian.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/wait.h>

#include "harness.h"
#include "kvm_guest.h"

#define UNIT		SZ_64K
#define BUF_SIZE	(16 * UNIT)
#define TCES		BIT_ULL(31)	/* of a large window */
/* No request has as many places to fail at */
#define PLACES		2000
#define KILLS		50

/* ---- what requests are made to ------------------------------------------ */

FIXTURE(faults)
{
	struct tce_leak leak;
	struct tce_dev devs[TCE_MAX_DEVS];
	struct tce_dev *dev;
	int ndevs;
	int c;
	void *buf;
	void *fresh;	/* of the same size, registered by no one */
	u64 start;
	u64 size;
	struct guest g;
	int table;
	int pipe[2];
};

FIXTURE_SETUP(faults)
{
	const char *why;

	self->c = -1;
	self->g.vm = -1;
	self->ndevs = tce_find_devs(self->devs, TCE_MAX_DEVS);
	if (!self->ndevs)
		SKIP(return, "no PCI device to take: no edu, no VFIO_DEVICE");
	self->dev = &self->devs[0];
	if (!sys_powernv())
		SKIP(return, "an LPAR host without memory for its own window stays without");
	why = fail_open();
	if (why)
		SKIP(return, "%s", why);
	self->size = TCES << sys_tce_shift();
	self->buf = mem_alloc(BUF_SIZE, UNIT, MEM_POPULATE);
	self->fresh = mem_alloc(BUF_SIZE, UNIT, 0);
	ASSERT_NE(NULL, self->buf);
	ASSERT_NE(NULL, self->fresh);
	tce_leak_start(&self->leak);
}

FIXTURE_TEARDOWN(faults)
{
	tce_close(self->dev, self->c);
	EXPECT_NO_LEAK(&self->leak);
	mem_free(self->buf, BUF_SIZE);
	mem_free(self->fresh, BUF_SIZE);
	fail_close();
}

/* ---- a sweep ------------------------------------------------------------ */

/**
 * struct request - what a sweep makes fail
 * @prepare:	what must be there before, 0 or what went wrong; may be NULL
 * @request:	0, or a negative errno
 * @undo:	@request and then @prepare; may be NULL
 * @gives_back:	it cannot fail, but for arguments that cannot be read
 * @grows:	when it fails a window or levels may stay that it made, empty
 */
struct request {
	int (*prepare)(struct _test_data_faults *self);
	int (*request)(struct _test_data_faults *self);
	int (*undo)(struct _test_data_faults *self);
	bool gives_back;
	bool grows;
};

static bool may_answer(const struct request *req, int ret)
{
	return ret == -EFAULT || (ret == -ENOMEM && !req->gives_back);
}

/* Answers at how many places @req can fail */
static int sweep(struct __test_metadata *_metadata, struct _test_data_faults *self,
		 const struct request *req)
{
	struct tce_leak first, before;
	const char *diff;
	bool failed = true;
	int n, ret;

	tce_leak_start_quick(&first);
	for (n = 0; failed && n < PLACES && _metadata->exit_code == KSFT_PASS; n++) {
		EXPECT_EQ(0, req->prepare ? req->prepare(self) : 0);
		tce_leak_start_quick(&before);
		fail_at(n + 1);
		ret = req->request(self);
		failed = fail_end();
		if (ret) {
			EXPECT_TRUE(failed && may_answer(req, ret));
			diff = req->grows ? NULL : tce_leak_check(&before);
			EXPECT_EQ(before.pinned, sys_pinned());
			EXPECT_EQ(NULL, diff) {
				TH_LOG("nothing was done, but %s", diff);
			}
			EXPECT_EQ(0, req->request(self));
		}
		EXPECT_EQ(0, req->undo ? req->undo(self) : 0);
		diff = tce_leak_check(&first);
		EXPECT_EQ(NULL, diff) {
			TH_LOG("all was undone, but %s", diff);
		}
		if (_metadata->exit_code != KSFT_PASS)
			TH_LOG("with a failure at place %d, answer %d", n + 1, ret);
	}
	EXPECT_GT(PLACES, n);
	/* It works, but that was not the question */
	if (n == 1 && _metadata->exit_code == KSFT_PASS)
		SKIP(return 0, "the kernel has no place to fail at");
	TH_LOG("%d places to fail at", n - 1);
	return n - 1;
}

/* ---- containers and groups ---------------------------------------------- */

static int open_files(struct _test_data_faults *self)
{
	self->c = tce_container();
	return self->c < 0 ? self->c : tce_group_open(self->dev);
}

static int close_files(struct _test_data_faults *self)
{
	tce_close(self->dev, self->c);
	self->c = -1;
	return 0;
}

static int set_group(struct _test_data_faults *self)
{
	return tce_group_set(self->dev, self->c);
}

TEST_F_TIMEOUT(faults, set_container, 200)
{
	const struct request req = { open_files, set_group, close_files };

	sweep(_metadata, self, &req);
}

static int prepare_v2(struct _test_data_faults *self)
{
	return open_files(self) ?: set_group(self);
}

static int set_v1(struct _test_data_faults *self)
{
	return tce_set_iommu(self->c, TCE_V1);
}

static int set_v2(struct _test_data_faults *self)
{
	return tce_set_iommu(self->c, TCE_V2);
}

TEST_F_TIMEOUT(faults, set_iommu_v1, 200)
{
	const struct request req = { prepare_v2, set_v1, close_files };

	sweep(_metadata, self, &req);
}

TEST_F_TIMEOUT(faults, set_iommu_v2, 200)
{
	const struct request req = { prepare_v2, set_v2, close_files };

	EXPECT_LE(2, sweep(_metadata, self, &req));
}

static int open_v2(struct _test_data_faults *self)
{
	return prepare_v2(self) ?: set_v2(self);
}

/* A container of v2 with registered memory and one sparse window */
static int open_window(struct _test_data_faults *self)
{
	return open_v2(self) ?:
	       tce_register(self->c, self->buf, BUF_SIZE) ?:
	       tce_remove(self->c, 0) ?:
	       tce_create_any(self->c, sys_tce_shift(), self->size, &self->start);
}

static u64 middle(struct _test_data_faults *self)
{
	return self->start + self->size / 2;
}

static int map_somewhat(struct _test_data_faults *self)
{
	return tce_map(self->c, self->start, self->buf, 4 * UNIT, DMA_RW) ?:
	       tce_map(self->c, middle(self) - 2 * UNIT, self->buf, 4 * UNIT, DMA_RW);
}

static int open_mapped(struct _test_data_faults *self)
{
	return open_window(self) ?: map_somewhat(self);
}

/* All that the process has of it goes */
static int close_all(struct _test_data_faults *self)
{
	return close_files(self);
}

TEST_F_TIMEOUT(faults, close, 200)
{
	const struct request req = { open_mapped, close_all, NULL, true };

	sweep(_metadata, self, &req);
}

static int unset_group(struct _test_data_faults *self)
{
	return tce_group_unset(self->dev);
}

TEST_F_TIMEOUT(faults, unset_container, 200)
{
	const struct request req = { open_mapped, unset_group, close_files, true };

	sweep(_metadata, self, &req);
}

/* Another group gets the windows and mappings that are there */

static int open_two(struct _test_data_faults *self)
{
	return open_mapped(self) ?: tce_group_open(&self->devs[1]);
}

static int set_second(struct _test_data_faults *self)
{
	return tce_group_set(&self->devs[1], self->c);
}

static int close_two(struct _test_data_faults *self)
{
	tce_group_close(&self->devs[1]);
	return close_files(self);
}

TEST_F_TIMEOUT(faults, set_second_container, 200)
{
	const struct request req = { open_two, set_second, close_two };

	if (self->ndevs < 2)
		SKIP(return, "no second group");
	sweep(_metadata, self, &req);
}

static int set_two(struct _test_data_faults *self)
{
	return open_two(self) ?: set_second(self);
}

static int unset_second(struct _test_data_faults *self)
{
	return tce_group_unset(&self->devs[1]);
}

TEST_F_TIMEOUT(faults, unset_second_container, 200)
{
	const struct request req = { set_two, unset_second, close_two, true };

	if (self->ndevs < 2)
		SKIP(return, "no second group");
	sweep(_metadata, self, &req);
}

/* ---- v2 ----------------------------------------------------------------- */

static int get_info(struct _test_data_faults *self)
{
	struct vfio_iommu_spapr_tce_info info;

	return tce_get_info(self->c, &info);
}

TEST_F_TIMEOUT(faults, get_info, 200)
{
	const struct request req = { NULL, get_info, NULL, true };

	ASSERT_EQ(0, open_v2(self));
	EXPECT_LE(2, sweep(_metadata, self, &req));
}

/* Memory that nobody has touched: its pages have to be made as well */

static int forget_fresh(struct _test_data_faults *self)
{
	return madvise(self->fresh, BUF_SIZE, MADV_DONTNEED) ? -errno : 0;
}

static int register_fresh(struct _test_data_faults *self)
{
	return tce_register(self->c, self->fresh, BUF_SIZE);
}

static int unregister_fresh(struct _test_data_faults *self)
{
	return tce_unregister(self->c, self->fresh, BUF_SIZE);
}

TEST_F_TIMEOUT(faults, register, 200)
{
	const struct request req = { forget_fresh, register_fresh, unregister_fresh };

	ASSERT_EQ(0, open_v2(self));
	EXPECT_LE(BUF_SIZE / sys_page_size(), sweep(_metadata, self, &req));
}

TEST_F_TIMEOUT(faults, unregister, 200)
{
	const struct request req = { register_fresh, unregister_fresh, NULL, true };

	ASSERT_EQ(0, open_v2(self));
	EXPECT_LE(1, sweep(_metadata, self, &req));
}

static int create(struct _test_data_faults *self)
{
	return tce_create(self->c, sys_tce_shift(), self->size, 2, &self->start);
}

static int remove_window(struct _test_data_faults *self)
{
	return tce_remove(self->c, self->start);
}

TEST_F_TIMEOUT(faults, create, 200)
{
	const struct request req = { NULL, create, remove_window };

	ASSERT_EQ(0, open_v2(self));
	ASSERT_EQ(0, tce_remove(self->c, 0));
	EXPECT_LE(4, sweep(_metadata, self, &req));
}

static int create_mapped(struct _test_data_faults *self)
{
	return create(self) ?: map_somewhat(self);
}

TEST_F_TIMEOUT(faults, remove, 200)
{
	const struct request req = { create_mapped, remove_window, NULL, true };

	ASSERT_EQ(0, open_v2(self));
	ASSERT_EQ(0, tce_register(self->c, self->buf, BUF_SIZE));
	ASSERT_EQ(0, tce_remove(self->c, 0));
	EXPECT_LE(1, sweep(_metadata, self, &req));
}

/* The default window is made by the first map. */

static int map_lazily(struct _test_data_faults *self)
{
	return tce_map(self->c, 0, self->buf, 4 * UNIT, DMA_RW);
}

static int open_registered(struct _test_data_faults *self)
{
	return open_v2(self) ?: tce_register(self->c, self->buf, BUF_SIZE);
}

TEST_F_TIMEOUT(faults, map_default_window, 200)
{
	const struct request req = { open_registered, map_lazily, close_files,
				      .grows = true };

	sweep(_metadata, self, &req);
}

/* Across the middle of a window, where a level of each depth begins */

static int map(struct _test_data_faults *self)
{
	return tce_map(self->c, middle(self) - 8 * UNIT, self->buf, BUF_SIZE, DMA_RW);
}

TEST_F_TIMEOUT(faults, map, 200)
{
	const struct request req = { create, map, remove_window };

	ASSERT_EQ(0, open_window(self));
	ASSERT_EQ(0, remove_window(self));
	EXPECT_LE(4, sweep(_metadata, self, &req));
}

static int unmap(struct _test_data_faults *self)
{
	return tce_unmap(self->c, middle(self) - 8 * UNIT, BUF_SIZE);
}

TEST_F_TIMEOUT(faults, unmap, 200)
{
	const struct request req = { map, unmap, NULL, true };

	ASSERT_EQ(0, open_window(self));
	/* its levels stay, so the first one is not like the others */
	ASSERT_EQ(0, map(self));
	ASSERT_EQ(0, unmap(self));
	EXPECT_LE(1, sweep(_metadata, self, &req));
}

/* What was mapped before is not touched by a map over it that fails. */
TEST_F_TIMEOUT(faults, map_over_mapped, 200)
{
	const struct request req = { NULL, map, NULL };

	ASSERT_EQ(0, open_window(self));
	if (self->dev->edu)
		ASSERT_EQ(0, tce_dev_open(self->dev));
	ASSERT_EQ(0, map(self));
	sweep(_metadata, self, &req);
	if (self->dev->edu) {
		mem_fill(self->buf, EDU_MAX_LEN, 1);
		ASSERT_EQ(0, edu_copy(self->dev, middle(self) - 8 * UNIT,
				      middle(self) + 7 * UNIT, EDU_MAX_LEN));
		EXPECT_TRUE(mem_check(self->buf + 15 * UNIT, EDU_MAX_LEN, 1));
	}
	EXPECT_EQ(-EBUSY, tce_unregister(self->c, self->buf, BUF_SIZE));
	EXPECT_EQ(0, tce_unmap(self->c, middle(self) - 8 * UNIT, BUF_SIZE));
	EXPECT_EQ(0, tce_unregister(self->c, self->buf, BUF_SIZE));
}

static int eeh_enable(struct _test_data_faults *self)
{
	return tce_eeh(self->c, VFIO_EEH_PE_ENABLE);
}

TEST_F_TIMEOUT(faults, eeh, 200)
{
	const struct request req = { NULL, eeh_enable, NULL };

	ASSERT_EQ(0, open_v2(self));
	if (tce_check_extension(self->c, VFIO_EEH) != 1)
		SKIP(return, "no EEH on this machine");
	EXPECT_LE(1, sweep(_metadata, self, &req));
}

/* ---- answers that cannot be copied -------------------------------------- */

/*
 * An answer is copied without a page fault, and after each of eight faults once more.
 * Then the request has failed, and has changed nothing.
 */
#define ANSWERS		9

static int answer_fails(struct __test_metadata *_metadata,
			struct _test_data_faults *self, int times,
			int (*request)(struct _test_data_faults *self))
{
	int ret;

	fail_copies(1, times);
	ret = request(self);
	EXPECT_EQ(0, fail_copies_end());
	EXPECT_EQ(times < ANSWERS ? 0 : -EFAULT, ret) {
		TH_LOG("an answer fails %d times", times);
	}
	return ret;
}

TEST_F_TIMEOUT(faults, get_info_answer, 200)
{
	int n;

	ASSERT_EQ(0, open_v2(self));
	for (n = 1; n <= ANSWERS; n++)
		answer_fails(_metadata, self, n, get_info);
}

TEST_F_TIMEOUT(faults, create_answer, 200)
{
	struct tce_leak before;
	int n;

	ASSERT_EQ(0, open_v2(self));
	ASSERT_EQ(0, tce_remove(self->c, 0));
	tce_leak_start_quick(&before);
	for (n = 1; n <= ANSWERS; n++) {
		if (answer_fails(_metadata, self, n, create)) {
			EXPECT_EQ(NULL, tce_leak_check(&before));
			ASSERT_EQ(0, create(self));
		}
		EXPECT_EQ(0, remove_window(self));
		EXPECT_EQ(NULL, tce_leak_check(&before));
	}
}

/* ---- v1 ----------------------------------------------------------------- */

static int open_v1(struct _test_data_faults *self)
{
	struct vfio_iommu_spapr_tce_info info;
	int ret = prepare_v2(self) ?: set_v1(self) ?:
		  tce_get_info(self->c, &info);

	self->start = info.dma32_window_start + SZ_1M;
	return ret;
}

static int enable(struct _test_data_faults *self)
{
	return tce_enable(self->c);
}

static int disable(struct _test_data_faults *self)
{
	return tce_disable(self->c);
}

TEST_F_TIMEOUT(faults, enable_v1, 200)
{
	const struct request req = { open_v1, enable, close_files };

	sweep(_metadata, self, &req);
}

static int open_enabled(struct _test_data_faults *self)
{
	return open_v1(self) ?: enable(self) ?: forget_fresh(self);
}

/* Every page is made, and pinned, by the map itself. */
static int map_v1(struct _test_data_faults *self)
{
	return tce_map(self->c, self->start, self->fresh, BUF_SIZE, DMA_RW);
}

TEST_F_TIMEOUT(faults, map_v1, 200)
{
	const struct request req = { open_enabled, map_v1, close_files,
				      .grows = true };

	EXPECT_LE(BUF_SIZE / sys_page_size(), sweep(_metadata, self, &req));
}

static int unmap_v1(struct _test_data_faults *self)
{
	return tce_unmap(self->c, self->start, BUF_SIZE);
}

TEST_F_TIMEOUT(faults, unmap_v1, 200)
{
	const struct request req = { map_v1, unmap_v1, NULL, true };

	ASSERT_EQ(0, open_enabled(self));
	ASSERT_EQ(0, map_v1(self));
	ASSERT_EQ(0, unmap_v1(self));
	EXPECT_LE(1, sweep(_metadata, self, &req));
}

static int open_mapped_v1(struct _test_data_faults *self)
{
	return open_enabled(self) ?: map_v1(self);
}

TEST_F_TIMEOUT(faults, disable_v1, 200)
{
	const struct request req = { open_mapped_v1, disable, close_files, true };

	sweep(_metadata, self, &req);
}

/* ---- guests ------------------------------------------------------------- */

/* A guest with a sparse window, whose group KVM knows; NULL, or what is missing */
static const char *open_guest(struct _test_data_faults *self)
{
	const char *missing = guest_open(&self->g, KVM_VM_PPC_HV);

	if (missing)
		missing = guest_open(&self->g, KVM_VM_PPC_PR);
	if (!missing && (guest_window(&self->g, self->size) ||
			 guest_group(&self->g, self->g.dev, KVM_DEV_VFIO_GROUP_ADD) ||
			 guest_boot(&self->g)))
		missing = "a window, kvm-vfio or VCPUs";
	return missing;
}

static bool has_guest(struct __test_metadata *_metadata, struct _test_data_faults *self)
{
	const char *missing = open_guest(self);

	if (missing)
		SKIP(return false, "no guest: %s", missing);
	return true;
}

static int add_table(struct _test_data_faults *self)
{
	self->table = guest_window_table(&self->g, LIOBN);
	return self->table < 0 ? self->table : 0;
}

static int close_table(struct _test_data_faults *self)
{
	return close(self->table) ? -errno : 0;
}

TEST_F_TIMEOUT(faults, kvm_create, 200)
{
	const struct request req = { NULL, add_table, close_table };

	if (!has_guest(_metadata, self))
		return;
	EXPECT_LE(3, sweep(_metadata, self, &req));
	guest_close(&self->g);
}

static int add_group(struct _test_data_faults *self)
{
	return guest_group(&self->g, self->g.dev, KVM_DEV_VFIO_GROUP_ADD);
}

static int del_group(struct _test_data_faults *self)
{
	return guest_group(&self->g, self->g.dev, KVM_DEV_VFIO_GROUP_DEL);
}

TEST_F_TIMEOUT(faults, kvm_group, 200)
{
	const struct request req = { NULL, add_group, del_group };

	if (!has_guest(_metadata, self))
		return;
	ASSERT_EQ(0, del_group(self));
	EXPECT_LE(1, sweep(_metadata, self, &req));
	guest_close(&self->g);
}

static int attach(struct _test_data_faults *self)
{
	return guest_attach(&self->g, self->g.dev, self->table);
}

TEST_F_TIMEOUT(faults, kvm_attach, 200)
{
	const struct request req = { add_table, attach, close_table };

	if (!has_guest(_metadata, self))
		return;
	EXPECT_LE(2, sweep(_metadata, self, &req));
	guest_close(&self->g);
}

/* By the kernel, which says that it cannot; for us it would be a signal. */
static int look_at_view(struct _test_data_faults *self)
{
	size_t size = 4 * SZ_64K, i;
	char *view = mmap(NULL, size, PROT_READ, MAP_SHARED, self->table, 0);
	int ret = 0;

	if (view == MAP_FAILED)
		return -errno;
	for (i = 0; i < size && !ret; i += SZ_64K)
		if (write(self->pipe[1], view + i, 1) != 1)
			ret = -errno;
	munmap(view, size);
	return ret;
}

TEST_F_TIMEOUT(faults, kvm_view, 200)
{
	const struct request req = { add_table, look_at_view, close_table,
				      .grows = true };

	if (!has_guest(_metadata, self))
		return;
	ASSERT_EQ(0, pipe(self->pipe));
	EXPECT_LE(4, sweep(_metadata, self, &req));
	close(self->pipe[0]);
	close(self->pipe[1]);
	guest_close(&self->g);
}

static int open_attached(struct _test_data_faults *self)
{
	struct guest *g = &self->g;
	int ret = 0;

	if (g->start == ~0ULL)
		ret = guest_new_window(g, g->shift, self->size);
	return ret ?: add_table(self) ?: attach(self);
}

static int close_attached(struct _test_data_faults *self)
{
	struct guest *g = &self->g;
	int ret = close_table(self);

	if (ret)
		return ret;
	ret = tce_remove(g->c, g->start);
	g->start = ~0ULL;
	return ret;
}

/* Every time another window, so that there is no level in it */
static bool has_guest_without_window(struct __test_metadata *_metadata,
				     struct _test_data_faults *self)
{
	if (!has_guest(_metadata, self))
		return false;
	EXPECT_EQ(0, tce_remove(self->g.c, self->g.start));
	self->g.start = ~0ULL;
	return true;
}

/* As an errno: H_USER is for user space to finish */
static int hcall(struct _test_data_faults *self, u64 nr, u64 ioba, u64 arg, u64 npages)
{
	s64 ret = guest_hcall(&self->g, nr, LIOBN, ioba, arg, npages);

	switch (ret) {
	case H_NOT_ENOUGH_RESOURCES:
		return -ENOMEM;
	case H_USER:
		return -EFAULT;
	default:
		return ret;
	}
}

static int put_list(struct _test_data_faults *self)
{
	struct guest *g = &self->g;
	u64 *list = guest_list_of(g, 0);
	unsigned int i;

	for (i = 0; i < 16; i++)
		list[i] = htobe64((GUEST_PAGE + i * SZ_64K) | TCE_RW);
	return hcall(self, H_PUT_TCE_INDIRECT,
		     g->start + g->size / 2 - 8 * BIT_ULL(g->shift),
		     guest_list(0), 16);
}

TEST_F_TIMEOUT(faults, kvm_put_indirect, 200)
{
	const struct request req = { open_attached, put_list, close_attached,
				      .grows = true };

	if (!has_guest_without_window(_metadata, self))
		return;
	EXPECT_LE(4, sweep(_metadata, self, &req));
	guest_close(&self->g);
}

static int put(struct _test_data_faults *self)
{
	return hcall(self, H_PUT_TCE, self->g.start, GUEST_PAGE | TCE_RW, 0);
}

TEST_F_TIMEOUT(faults, kvm_put, 200)
{
	const struct request req = { open_attached, put, close_attached,
				      .grows = true };

	if (!has_guest_without_window(_metadata, self))
		return;
	EXPECT_LE(4, sweep(_metadata, self, &req));
	guest_close(&self->g);
}

static int attached_and_put(struct _test_data_faults *self)
{
	return open_attached(self) ?: put_list(self);
}

static int stuff(struct _test_data_faults *self)
{
	struct guest *g = &self->g;

	return hcall(self, H_STUFF_TCE, g->start + g->size / 2 - 8 * BIT_ULL(g->shift),
		     0, 16);
}

TEST_F_TIMEOUT(faults, kvm_stuff, 200)
{
	const struct request req = { attached_and_put, stuff, close_attached };

	if (!has_guest_without_window(_metadata, self))
		return;
	sweep(_metadata, self, &req);
	guest_close(&self->g);
}

/* ---- killed ------------------------------------------------------------- */

/* All requests, each with a failure somewhere, again and again */
static void make_requests(struct _test_data_faults *self, unsigned int seed)
{
	int (* const requests[])(struct _test_data_faults *self) = {
		create, map, unmap, register_fresh, map_somewhat, get_info,
		unregister_fresh, remove_window, set_second, unset_second,
	};
	unsigned int i;

	fail_open();
	for (;;) {
		if (seed % 4 ? open_window(self) : open_mapped_v1(self)) {
			close_two(self);
			continue;
		}
		tce_group_open(&self->devs[1]);
		for (i = 0; i < 200; i++) {
			fail_at(1 + rand_r(&seed) % 16);
			requests[rand_r(&seed) % ARRAY_SIZE(requests)](self);
			fail_end();
		}
		close_two(self);
	}
}

/* Killed at any moment, a process leaves nothing and its groups are free. */
TEST_F_TIMEOUT(faults, kill, 400)
{
	const char *leak;
	struct timespec ts = { 0 };
	unsigned int i, j;
	pid_t pid;
	int c;

	if (self->ndevs < 2)
		SKIP(return, "no second group");
	for (i = 0; i < KILLS; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			make_requests(self, i);
		/* from before its first request to the middle of any */
		ts.tv_nsec = 1000000ULL * (i * i % 397);
		nanosleep(&ts, NULL);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, NULL, 0));
		/*
		 * Where memory failed while a group was given back, the host
		 * has no window of its own until the next time.
		 */
		for (j = 0; j < 2; j++) {
			c = tce_open(&self->devs[j], TCE_V2);
			ASSERT_LE(0, c) {
				TH_LOG("kill %u", i);
			}
			tce_close(&self->devs[j], c);
		}
		leak = tce_leak_check(&self->leak);
		ASSERT_EQ(NULL, leak) {
			TH_LOG("kill %u: %s", i, leak);
		}
	}
}

TEST_HARNESS_MAIN
