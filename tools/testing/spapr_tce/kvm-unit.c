// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCE tables of guests: each operation and each error path of KVM's, in virtual
 * mode, and in real mode with virtual mode for what is too hard there.
 */
#include <unistd.h>

#include "kvm.h"

#undef __used
#undef __packed
#undef __maybe_unused
#undef is_signed_type
#include "kselftest_harness.h"

#define P4		SZ_4K
#define K64		0x10000UL
#define MB		0x100000UL
#define WINDOW1		BIT(59)
#define PG		PAGE_SIZE
#define HELD_RW		(TCE_SHADOW_UA | TCE_SHADOW_READ | TCE_SHADOW_WRITE)
#define UA(page)	host_ua(page)
#define TCE_RW		(TCE_PCI_READ | TCE_PCI_WRITE)

/* Guest real addresses: of memory that is registered, in three regions */
#define GPA(page)	((unsigned long)(page) << PAGE_SHIFT)
#define GPA_REGION_2	GPA(UA_CONTIGUOUS)
#define GPA_HUGE	GPA(UA_HUGE)
/* ... of memory that is not, of a slot that goes, of nothing */
#define GPA_STRANGE	GPA(UA_MEDIUM)
#define GPA_INVALID	GPA(UA_SHIFTED)
#define GPA_NOTHING	GPA(UA_END)
/* Where guests have their lists */
#define GPA_LIST	GPA(300)

#define LIOBN		0x80000001UL
/* A page of 64K is more than one of 4K, and so is one of 2M of 64K */
#define BIG_SHIFT	16
#define NR_TCES		4096UL

/* PEs: what real mode can do is for bridges like PHB3 */
#define PHB3		(host_pes + 3)
#define PHB3_SAME	(host_pes + 4)
#define PHB3_OTHER	(host_pes + 5)
#define PHB4		host_pes

FIXTURE(kvm)
{
	struct mm_struct *mm;
	struct mm_struct *other;
	struct host_container c[3];
	struct kvm *kvm;
	struct kvm_vcpu *vcpu;
	int fds[8];
	int nr_fds;
	bool mirrored;
	u64 digest;
};

FIXTURE_VARIANT(kvm)
{
	enum kvm_mode mode;
};

FIXTURE_VARIANT_ADD(kvm, virtual)
{
	.mode = KVM_VIRTUAL,
};

FIXTURE_VARIANT_ADD(kvm, real)
{
	.mode = KVM_BOTH,
};

/* A container with a window of 4K pages at 0 */
static void furnish(struct host_container *c, struct host_pe *hpe)
{
	vfio_attach(c, hpe);
	vfio_set_iommu(c, VFIO_SPAPR_TCE_v2_IOMMU);
	req_remove(c, 0);
	if (req_create(c, 12, NR_TCES * P4, 1, NULL))
		host_die("no window\n");
}

static void set_up_guest(struct kvm *kvm)
{
	kvm_set_slot(kvm, 0, 0, UA(0), UA_MEDIUM);
	kvm_set_slot(kvm, 1, GPA_STRANGE, UA(UA_MEDIUM), 512);
	kvm_set_slot(kvm, 2, GPA_INVALID, UA(0), 16);
	kvm->memslots.slots[2].flags = KVM_MEMSLOT_INVALID;
}

static int create_table(struct kvm *kvm, u64 liobn, u32 page_shift, u64 offset,
			u64 size)
{
	struct kvm_create_spapr_tce_64 args = {
		.liobn = liobn,
		.page_shift = page_shift,
		.offset = offset,
		.size = size,
	};

	return kvm_vm_ioctl_create_spapr_tce(kvm, &args);
}

static long attach(struct kvm *kvm, int fd, struct host_pe *hpe)
{
	return kvm_spapr_tce_attach_iommu_group(kvm, fd, host_group(hpe));
}

static void release(struct kvm *kvm, struct host_pe *hpe)
{
	kvm_spapr_tce_release_iommu_group(kvm, host_group(hpe));
}

FIXTURE_SETUP(kvm)
{
	machine_init();
	self->mm = mm_create(1UL << 40);
	self->other = mm_create(1UL << 40);
	current->mm = self->mm;
	memset(self->c, 0, sizeof(self->c));
	world_check_containers(self->c, 3);
	furnish(self->c, PHB3);
	ASSERT_EQ(req_register(self->c, UA(0), 256 * PG), 0);
	ASSERT_EQ(req_register(self->c, UA(UA_CONTIGUOUS), 256 * PG), 0);
	ASSERT_EQ(req_register(self->c, UA(UA_HUGE), 512 * PG), 0);
	self->kvm = kvm_create();
	set_up_guest(self->kvm);
	self->vcpu = kvm_vcpu_create(self->kvm);
	self->fds[0] = create_table(self->kvm, LIOBN, 12, 0, NR_TCES);
	ASSERT_GE(self->fds[0], 0);
	self->nr_fds = 1;
	/* So that real mode has something to put lists in */
	kvm_hcall(self->vcpu, KVM_VIRTUAL, H_PUT_TCE_INDIRECT, LIOBN, 0,
		  GPA_LIST, 1);
	world_check();
}

FIXTURE_TEARDOWN(kvm)
{
	int i;

	host_preempt = NULL;
	host_preempt_rm = NULL;
	host_waits = NULL;
	host_copied = NULL;
	host_stuck = NULL;
	kvm_vcpu_destroy(self->vcpu);
	for (i = 0; i < self->nr_fds; i++)
		kvm_close(self->fds[i]);
	kvm_put_kvm(self->kvm);
	for (i = 0; i < 3; i++)
		vfio_close(self->c + i);
	world_check();
	host_settle();
	mm_destroy(self->mm);
	mm_destroy(self->other);
	machine_reset();
	world_check_empty();
	host_test_ends();
}

static bool faults(struct host_pe *hpe, unsigned long addr)
{
	return machine_dma(hpe, addr, false) == -EFAULT &&
		machine_dma(hpe, addr, true) == -EFAULT;
}

/* Where memory of a guest is; -1 if it is nowhere */
static long hpa_of(struct kvm *kvm, unsigned long gpa)
{
	struct kvm_memory_slot *slot;
	unsigned long ua, i;

	slot = __gfn_to_memslot(&kvm->memslots, gpa >> PAGE_SHIFT);
	if (!slot)
		return -1;
	ua = __gfn_to_hva_memslot(slot, gpa >> PAGE_SHIFT);
	i = (ua - HOST_UA_BASE) >> PAGE_SHIFT;

	return page_to_phys(kvm->mm->pte[i].page) + offset_in_page(gpa);
}

/* One TCE of the guest against all that it stands for in a hardware table */
static void check_mirror_of(struct kvm *kvm, const struct host_kvm_table *table,
			    struct iommu_table *tbl, unsigned long i)
{
	unsigned int split = table->page_shift - tbl->it_page_shift;
	u64 tce = glue_kvm_load(table, i), want, got;
	unsigned long k;

	for (k = 0; k < 1UL << split; k++) {
		want = tce & TCE_RW ? hpa_of(kvm, (tce & ~(u64)TCE_RW) +
					     (k << tbl->it_page_shift)) |
			(tce & TCE_PCI_WRITE ? TCE_RW : TCE_PCI_READ) : 0;
		got = pnv_tce_get(tbl, ((table->offset + i) << split) + k);
		if (got != want)
			host_die("%#lx is put at %#lx, and there is %#lx instead of %#lx\n",
				 tce, i, got, want);
	}
}

/* What the guest has put is what the hardware has, everywhere */
static void check_mirrors(struct kvm *kvm)
{
	struct host_kvm_table table;
	unsigned long liobn, i;
	unsigned int link;

	for (liobn = 0; glue_kvm_next(kvm, &liobn, &table); liobn++)
		for (link = 0; link < table.nr_links; link++)
			for (i = 0; i < table.size; i++)
				check_mirror_of(kvm, &table, table.links[link], i);
}

#define CHECK() do {				\
	world_check();				\
	if (self->mirrored)			\
		check_mirrors(self->kvm);	\
} while (0)

/* What fails changes nothing, except that levels may have been added */
#define EXPECT_FAILS(error, call) do {				\
	self->digest = state(self->mm);				\
	EXPECT_EQ(call, error);					\
	EXPECT_EQ(state(self->mm), self->digest);		\
	CHECK();						\
} while (0)

#define EXPECT_WORKS(call) do {		\
	EXPECT_EQ(call, 0);		\
	CHECK();			\
} while (0)

/* All that a request can change, but for charges */
static u64 state(struct mm_struct *mm)
{
	unsigned long charged = mm->locked_vm;
	u64 digest;

	mm->locked_vm = 0;
	digest = world_digest(mm);
	mm->locked_vm = charged;

	return digest;
}

#define EXPECT_REACHES(hpe, addr, gpa) \
	EXPECT_EQ(machine_dma(hpe, addr, false), hpa_of(self->kvm, gpa))
#define EXPECT_FAULTS(hpe, addr)	EXPECT_TRUE(faults(hpe, addr))

#define HCALL(...)	kvm_hcall(self->vcpu, variant->mode, __VA_ARGS__)
#define PUT(liobn, ioba, tce)	HCALL(H_PUT_TCE, liobn, ioba, tce, 0)
#define STUFF(liobn, ioba, tce, nr)	HCALL(H_STUFF_TCE, liobn, ioba, tce, nr)
#define LIST(liobn, ioba, list, nr) \
	HCALL(H_PUT_TCE_INDIRECT, liobn, ioba, list, nr)
#define IN_REAL_MODE(hcall, a, b, c, d) \
	kvm_hcall(self->vcpu, KVM_REAL, hcall, a, b, c, d)

/* What H_GET_TCE gives, in either mode */
static u64 get_tce(struct kvm_vcpu *vcpu, enum kvm_mode mode,
		   unsigned long liobn, unsigned long ioba)
{
	vcpu->arch.gpr[4] = ~0UL;
	if (kvm_hcall(vcpu, mode, H_GET_TCE, liobn, ioba, 0, 0))
		return ~0UL;

	return vcpu->arch.gpr[4];
}

#define GET(liobn, ioba)	get_tce(self->vcpu, variant->mode, liobn, ioba)

/* The guest writes a list; TCEs that rise by a page */
static void write_list(struct kvm *kvm, unsigned long gpa, u64 tce,
		       unsigned long step, unsigned int nr)
{
	u64 *list = kvm_guest_data(kvm, gpa);

	for (; nr--; tce += step)
		*list++ = cpu_to_be64(tce);
}

static void write_one(struct kvm *kvm, unsigned long gpa, unsigned int i, u64 tce)
{
	((u64 *)kvm_guest_data(kvm, gpa))[i] = cpu_to_be64(tce);
}

static long mapped_at(struct mm_struct *mm, unsigned long ua)
{
	struct host_region region;

	return glue_region_at(mm, ua, &region) ? region.mapped : 0;
}

/*
 * KVM_CREATE_SPAPR_TCE_64.
 */

TEST_F(kvm, create_arguments)
{
	static const struct {
		u32 page_shift;
		u64 offset, size;
	} bad[] = {
		{ 12, 0, 0 },
		{ 11, 0, 1 },
		{ 35, 0, 1 },
		{ 144, 0, 1 },
		{ 12, ~0ULL, 1 },
		{ 12, 1, ~0ULL },
		{ 12, 1ULL << 51, 1ULL << 51 },
		{ 12, 0, 1ULL << 52 },
		{ 34, 0, 1ULL << 30 },
	};
	unsigned long charged = self->mm->locked_vm;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_FAILS(-EINVAL, create_table(self->kvm, 7, bad[i].page_shift,
						   bad[i].offset, bad[i].size));
	EXPECT_EQ(self->mm->locked_vm, charged);
	self->fds[1] = create_table(self->kvm, 7, 34, 0, (1ULL << 30) - 1);
	EXPECT_GE(self->fds[1], 0);
	self->fds[2] = create_table(self->kvm, 8, 12, (1ULL << 52) - 2, 1);
	EXPECT_GE(self->fds[2], 0);
	self->nr_fds = 3;
	CHECK();
	/* Of each there is but the first level */
	EXPECT_EQ(self->mm->locked_vm, charged + 2);
}

TEST_F(kvm, create_twice)
{
	unsigned long charged = self->mm->locked_vm;

	EXPECT_FAILS(-EBUSY, create_table(self->kvm, LIOBN, 16, 0, 1));
	EXPECT_EQ(self->mm->locked_vm, charged);
	EXPECT_WORKS(PUT(LIOBN, 0, GPA(1) | TCE_RW));
	kvm_close(self->fds[0]);
	EXPECT_EQ(PUT(LIOBN, 0, GPA(1) | TCE_RW), H_TOO_HARD);
	self->fds[0] = create_table(self->kvm, LIOBN, 16, 0, 1);
	EXPECT_GE(self->fds[0], 0);
	EXPECT_EQ(GET(LIOBN, 0), 0);
}

TEST_F(kvm, create_without_descriptors)
{
	int others[64], nr = 0;

	while ((others[nr] = kvm_open_other()) >= 0)
		nr++;
	EXPECT_FAILS(-EMFILE, create_table(self->kvm, 7, 12, 0, 1));
	kvm_close(others[--nr]);
	self->fds[1] = create_table(self->kvm, 7, 12, 0, 1);
	EXPECT_GE(self->fds[1], 0);
	self->nr_fds = 2;
	while (nr)
		kvm_close(others[--nr]);
}

TEST_F(kvm, create_beyond_the_limit)
{
	self->mm->limit = self->mm->locked_vm;
	EXPECT_FAILS(-ENOMEM, create_table(self->kvm, 7, 12, 0, 1));
	self->mm->limit++;
	self->fds[1] = create_table(self->kvm, 7, 12, 0, 1);
	EXPECT_GE(self->fds[1], 0);
	self->nr_fds = 2;
	CHECK();
}

/* A descriptor may outlive its guest, and the other way round */
TEST_F(kvm, release_in_any_order)
{
	struct kvm *second = kvm_create();
	int fd = create_table(second, LIOBN, 12, 0, NR_TCES);

	set_up_guest(second);
	ASSERT_GE(fd, 0);
	EXPECT_WORKS(attach(second, fd, PHB3));
	kvm_put_kvm(second);
	world_check();
	kvm_close(fd);
	world_check();
	/* With the container gone before the tables */
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	EXPECT_WORKS(PUT(LIOBN, 0, GPA(1) | TCE_RW));
	vfio_close(self->c);
	world_check();
	EXPECT_GT(self->mm->locked_vm, 1);
	kvm_close(self->fds[0]);
	self->nr_fds = 0;
	EXPECT_EQ(self->mm->locked_vm, 0);
}

static pthread_t closer;
static int closer_fd;

static void *close_it(void *mm)
{
	rcu_register_thread();
	current->mm = mm;
	kvm_close(closer_fd);
	rcu_unregister_thread();

	return NULL;
}

/* On another CPU; it must not come to its end before this hypercall does */
static void begin_to_close(void)
{
	host_preempt = NULL;
	host_preempt_rm = NULL;
	pthread_create(&closer, NULL, close_it, current->mm);
	usleep(20000);
}

TEST_F(kvm, close_under_a_hypercall)
{
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	EXPECT_WORKS(PUT(LIOBN, 0, GPA(1) | TCE_RW));
	closer_fd = self->fds[0];
	self->nr_fds = 0;
	if (variant->mode == KVM_VIRTUAL)
		host_preempt = begin_to_close;
	else
		host_preempt_rm = begin_to_close;
	EXPECT_EQ(PUT(LIOBN, 0, 0), 0);
	pthread_join(closer, NULL);
	EXPECT_EQ(PUT(LIOBN, 0, 0), H_TOO_HARD);
	CHECK();
	EXPECT_FAULTS(PHB3, 0);
}

/*
 * What user space maps of a table.
 */

/* Entries of a view that is too large to be paid for when it is made */
#define MANY	BIT(20)
/* Levels that its first leaf needs */
#define STEP	(PAGE_SHIFT == 12 ? 2 : 1)
#define AGAIN	FAULT_FLAG_ALLOW_RETRY
#define TRIED	(FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_TRIED)
#define NOWAIT	(FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_RETRY_NOWAIT)

TEST_F(kvm, fault_on_demand)
{
	const u64 per_page = PG / 8;
	unsigned long charged;
	u64 *page = NULL;
	int fd;

	fd = create_table(self->kvm, 7, 12, 0, MANY - 1);
	ASSERT_GE(fd, 0);
	self->fds[1] = fd;
	self->nr_fds = 2;
	charged = self->mm->locked_vm;
	EXPECT_EQ(kvm_fault(fd, MANY / per_page, AGAIN, &page), VM_FAULT_SIGBUS);
	EXPECT_EQ(kvm_fault(fd, ~0UL, AGAIN, &page), VM_FAULT_SIGBUS);
	/* Not where nobody may wait; who does not want to comes again */
	EXPECT_EQ(kvm_fault(fd, 2, 0, &page), VM_FAULT_OOM);
	EXPECT_EQ(kvm_fault(fd, 2, NOWAIT, &page), VM_FAULT_RETRY);
	EXPECT_EQ(kvm_fault(fd, 2, TRIED, &page), VM_FAULT_OOM);
	EXPECT_EQ(self->mm->locked_vm, charged);
	EXPECT_EQ(kvm_fault(fd, 2, AGAIN, &page), VM_FAULT_RETRY);
	EXPECT_EQ(self->mm->locked_vm, charged + STEP);
	CHECK();
	EXPECT_EQ(kvm_fault(fd, 2, TRIED, &page), 0);
	ASSERT_NE(page, NULL);
	EXPECT_EQ(self->mm->locked_vm, charged + STEP);
	/* It is what the guest has put, and what it gets */
	EXPECT_WORKS(PUT(7, (2 * per_page + 5) * P4, GPA(3) | TCE_PCI_READ));
	EXPECT_EQ(page[5], GPA(3) | TCE_PCI_READ);
	page[6] = GPA(9) | TCE_RW;
	EXPECT_EQ(GET(7, (2 * per_page + 6) * P4), GPA(9) | TCE_RW);
	/* What the guest made is there without another charge */
	EXPECT_WORKS(PUT(7, 0, GPA(3) | TCE_PCI_READ));
	EXPECT_EQ(kvm_fault(fd, 0, 0, &page), 0);
	EXPECT_EQ(page[0], GPA(3) | TCE_PCI_READ);
}

/* A limit is hit for good; memory may be there the next time */
TEST_F(kvm, fault_without_memory)
{
	int fd = create_table(self->kvm, 7, 12, 0, MANY);
	u64 *page;

	ASSERT_GE(fd, 0);
	self->fds[1] = fd;
	self->nr_fds = 2;
	/* A level that leads to the leaf is not enough either */
	self->mm->limit = self->mm->locked_vm + STEP - 1;
	EXPECT_EQ(kvm_fault(fd, 2, AGAIN, &page), VM_FAULT_RETRY);
	EXPECT_EQ(kvm_fault(fd, 2, TRIED, &page), VM_FAULT_SIGBUS);
	EXPECT_EQ(kvm_fault(fd, 2, 0, &page), VM_FAULT_SIGBUS);
	CHECK();
	self->mm->limit++;
	fail_arm(1);
	EXPECT_EQ(kvm_fault(fd, 2, AGAIN, &page), VM_FAULT_RETRY);
	EXPECT_TRUE(fail_fired());
	fail_arm(0);
	EXPECT_EQ(kvm_fault(fd, 2, TRIED, &page), VM_FAULT_OOM);
	CHECK();
	EXPECT_EQ(kvm_fault(fd, 2, AGAIN, &page), VM_FAULT_RETRY);
	EXPECT_EQ(kvm_fault(fd, 2, TRIED, &page), 0);
}

/* A view up to 4 MiB is paid for whole, and can be touched all over */
TEST_F(kvm, fault_prepaid)
{
	const u64 sizes[] = { 1, PG / 8, PG / 8 + 1, 3 * PG / 8 - 1, MANY / 2 };
	unsigned long before = self->mm->locked_vm, pages, n;
	unsigned int i;
	u64 *page;
	int fd;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (pages = 0, n = sizes[i]; n > 1 || !pages; pages += n)
			n = DIV_ROUND_UP(n, PG / 8);
		self->mm->limit = before + pages - 1;
		EXPECT_FAILS(-ENOMEM, create_table(self->kvm, 7, 12, 0, sizes[i]));
		EXPECT_EQ(self->mm->locked_vm, before);
		self->mm->limit++;
		fd = create_table(self->kvm, 7, 12, 0, sizes[i]);
		ASSERT_GE(fd, 0);
		EXPECT_EQ(self->mm->locked_vm, before + pages);
		for (n = 0; n < DIV_ROUND_UP(sizes[i] * 8, PG); n++)
			EXPECT_EQ(kvm_fault(fd, n, n & 1 ? 0 : NOWAIT, &page), 0);
		EXPECT_EQ(kvm_fault(fd, n, AGAIN, &page), VM_FAULT_SIGBUS);
		CHECK();
		/* The guest needs no more either */
		EXPECT_WORKS(PUT(7, (sizes[i] - 1) * P4, GPA(1) | TCE_RW));
		EXPECT_EQ(self->mm->locked_vm, before + pages);
		kvm_close(fd);
		EXPECT_EQ(self->mm->locked_vm, before);
	}
	/* Memory itself is another matter */
	fd = create_table(self->kvm, 7, 12, 0, 100);
	kvm_close(fd);
	fail_arm(1);
	EXPECT_LT(create_table(self->kvm, 7, 12, 0, 100), 0);
	for (n = 2; fail_fired(); n++) {
		EXPECT_EQ(self->mm->locked_vm, before);
		fail_arm(n);
		fd = create_table(self->kvm, 7, 12, 0, 100);
	}
	fail_arm(0);
	EXPECT_GT(n, 4);
	kvm_close(fd);
	self->mm->limit = 1UL << 40;
	fd = create_table(self->kvm, 7, 12, 0, PG / 4);
	self->fds[1] = fd;
	self->nr_fds = 2;
	fail_arm(1);
	EXPECT_EQ(kvm_fault(fd, 1, AGAIN, &page), VM_FAULT_OOM);
	fail_arm(0);
	EXPECT_EQ(kvm_fault(fd, 1, AGAIN, &page), 0);
}

/* A table of one page has no level but the first */
TEST_F(kvm, fault_of_a_small_table)
{
	u64 *page = NULL;

	self->fds[1] = create_table(self->kvm, 7, 12, 5, 1);
	self->nr_fds = 2;
	EXPECT_EQ(kvm_fault(self->fds[1], 0, 0, &page), 0);
	ASSERT_NE(page, NULL);
	EXPECT_WORKS(PUT(7, 5 * P4, GPA(1) | TCE_RW));
	EXPECT_EQ(page[0], GPA(1) | TCE_RW);
	EXPECT_EQ(kvm_fault(self->fds[1], 1, FAULT_FLAG_ALLOW_RETRY, &page),
		  VM_FAULT_SIGBUS);
}

/*
 * Attach and release.
 */

TEST_F(kvm, attach_arguments)
{
	int other = kvm_open_other();
	struct kvm *second;
	int fd;

	EXPECT_FAILS(-EBADF, attach(self->kvm, 31, PHB3));
	EXPECT_FAILS(-EINVAL, attach(self->kvm, other, PHB3));
	kvm_close(other);
	/* A group that no container has, and one whose windows are elsewhere */
	EXPECT_FAILS(-EINVAL, attach(self->kvm, self->fds[0], PHB4));
	self->fds[1] = create_table(self->kvm, 1, 12, 1, NR_TCES - 1);
	EXPECT_FAILS(-EINVAL, attach(self->kvm, self->fds[1], PHB3));
	self->fds[2] = create_table(self->kvm, 2, 12, 0, NR_TCES + 1);
	EXPECT_FAILS(-EINVAL, attach(self->kvm, self->fds[2], PHB3));
	self->nr_fds = 3;
	PHB3->no_iommudata = true;
	EXPECT_FAILS(-ENODEV, attach(self->kvm, self->fds[0], PHB3));
	PHB3->no_iommudata = false;
	/* A table of another guest; another process's group */
	second = kvm_create();
	EXPECT_FAILS(-EINVAL, attach(second, self->fds[0], PHB3));
	kvm_put_kvm(second);
	current->mm = self->other;
	second = kvm_create();
	fd = create_table(second, LIOBN, 12, 0, NR_TCES);
	EXPECT_FAILS(-EPERM, attach(second, fd, PHB3));
	kvm_close(fd);
	kvm_put_kvm(second);
	current->mm = self->mm;
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
}

TEST_F(kvm, attach_page_sizes)
{
	/* Pages of the guest may be larger than those of the bridge, no smaller */
	EXPECT_WORKS(req_create(self->c, 16, 1UL << 30, 1, NULL));
	self->fds[1] = create_table(self->kvm, 1, 12, WINDOW1 >> 12, 16);
	self->fds[2] = create_table(self->kvm, 2, 16, WINDOW1 >> 16, 16);
	self->fds[3] = create_table(self->kvm, 3, 21, WINDOW1 >> 21, 16);
	self->fds[4] = create_table(self->kvm, 4, 16, 0, NR_TCES / 16);
	self->nr_fds = 5;
	EXPECT_FAILS(-EINVAL, attach(self->kvm, self->fds[1], PHB3));
	EXPECT_WORKS(attach(self->kvm, self->fds[2], PHB3));
	EXPECT_WORKS(attach(self->kvm, self->fds[4], PHB3));
	self->mirrored = true;
	EXPECT_WORKS(PUT(2, WINDOW1 + 3 * K64, GPA_HUGE | TCE_RW));
	EXPECT_REACHES(PHB3, WINDOW1 + 3 * K64 + 77, GPA_HUGE + 77);
	EXPECT_WORKS(PUT(2, WINDOW1 + 3 * K64, 0));
	EXPECT_FAULTS(PHB3, WINDOW1 + 3 * K64);
	EXPECT_WORKS(PUT(2, WINDOW1 + 3 * K64, GPA_HUGE | TCE_RW));
	EXPECT_WORKS(PUT(4, 3 * K64, (GPA_HUGE + K64) | TCE_PCI_READ));
	EXPECT_REACHES(PHB3, 3 * K64 + 5 * P4, GPA_HUGE + K64 + 5 * P4);
	EXPECT_EQ(machine_dma(PHB3, 3 * K64, true), -EFAULT);
	self->mirrored = false;
	/* The same window by another LIOBN */
	EXPECT_WORKS(attach(self->kvm, self->fds[3], PHB3));
	EXPECT_WORKS(PUT(3, WINDOW1 + SZ_2M, GPA_HUGE | TCE_RW));
	EXPECT_REACHES(PHB3, WINDOW1 + SZ_2M + 9 * K64, GPA_HUGE + 9 * K64);
	EXPECT_WORKS(STUFF(3, WINDOW1, 0, 2));
	EXPECT_FAULTS(PHB3, WINDOW1 + 3 * K64);
	EXPECT_FAULTS(PHB3, WINDOW1 + SZ_2M);
}

static unsigned int links_of(struct kvm *kvm, unsigned long liobn)
{
	struct host_kvm_table table = { };

	glue_kvm_next(kvm, &liobn, &table);

	return table.nr_links;
}

TEST_F(kvm, attach_twice_and_release)
{
	EXPECT_WORKS(vfio_attach(self->c, PHB3_SAME));
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	EXPECT_EQ(links_of(self->kvm, LIOBN), 1);
	/* The same table for another group: it is written once */
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3_SAME));
	EXPECT_EQ(links_of(self->kvm, LIOBN), 2);
	EXPECT_WORKS(PUT(LIOBN, P4, GPA(1) | TCE_RW));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 2);
	EXPECT_REACHES(PHB3, P4, GPA(1));
	EXPECT_REACHES(PHB3_SAME, P4, GPA(1));
	release(self->kvm, PHB3);
	EXPECT_EQ(links_of(self->kvm, LIOBN), 1);
	EXPECT_WORKS(PUT(LIOBN, 2 * P4, GPA(2) | TCE_RW));
	EXPECT_REACHES(PHB3, 2 * P4, GPA(2));
	release(self->kvm, PHB3_SAME);
	EXPECT_EQ(links_of(self->kvm, LIOBN), 0);
	release(self->kvm, PHB3_SAME);
	/* What is mapped is the container's; what comes is the guest's alone */
	EXPECT_WORKS(PUT(LIOBN, 2 * P4, 0));
	EXPECT_WORKS(PUT(LIOBN, 3 * P4, GPA(3) | TCE_RW));
	EXPECT_REACHES(PHB3, 2 * P4, GPA(2));
	EXPECT_FAULTS(PHB3, 3 * P4);
	EXPECT_EQ(GET(LIOBN, 3 * P4), GPA(3) | TCE_RW);
}

/* A window that was removed takes nothing, and goes with the next attach */
TEST_F(kvm, attach_behind_a_removed_window)
{
	long tables = host_usage.tables;

	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	EXPECT_WORKS(PUT(LIOBN, P4, GPA(1) | TCE_RW));
	EXPECT_WORKS(req_remove(self->c, 0));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 1);
	EXPECT_WORKS(PUT(LIOBN, 2 * P4, GPA(2) | TCE_RW));
	EXPECT_EQ(GET(LIOBN, 2 * P4), GPA(2) | TCE_RW);
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 1);
	EXPECT_EQ(host_usage.tables, tables);
	EXPECT_FAILS(-EINVAL, attach(self->kvm, self->fds[0], PHB3));
	EXPECT_WORKS(req_create(self->c, 12, NR_TCES * P4, 1, NULL));
	EXPECT_EQ(host_usage.tables, tables + 1);
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	EXPECT_EQ(host_usage.tables, tables);
	EXPECT_EQ(links_of(self->kvm, LIOBN), 1);
	EXPECT_WORKS(PUT(LIOBN, 3 * P4, GPA(3) | TCE_RW));
	EXPECT_REACHES(PHB3, 3 * P4, GPA(3));
	/* Or when some other group leaves */
	EXPECT_WORKS(req_remove(self->c, 0));
	release(self->kvm, PHB4);
	EXPECT_EQ(host_usage.tables, tables - 1);
}

static struct host_container *raced_container;
static struct kvm_vcpu *raced_vcpu;
static int locks_before;
static long raced_answer;
static void (*raced_action)(void);

static void intrude(void);

/* At the n-th place where this thread could be preempted, and once */
static void intrude(void)
{
	if (locks_before--)
		return;
	host_preempt = NULL;
	locks_before = 0;
	raced_action();
}

static struct iommu_table *window_of(struct host_container *c)
{
	struct glue_container state;

	glue_container_get(c->data, &state);

	return state.tables[0];
}

/* Who has to wait for the lock comes later */
static void remove_window(void)
{
	if (window_of(raced_container)->it_user->lock.word)
		host_preempt = intrude;
	else
		req_remove(raced_container, 0);
}

TEST_F(kvm, attach_while_the_window_is_removed)
{
	int n;

	raced_container = self->c;
	raced_action = remove_window;
	for (n = 0; !host_preempt; n++) {
		locks_before = n;
		host_preempt = intrude;
		attach(self->kvm, self->fds[0], PHB3);
		if (host_preempt)
			break;
		CHECK();
		EXPECT_WORKS(PUT(LIOBN, 3 * P4, GPA(3) | TCE_RW));
		EXPECT_FAULTS(PHB3, 3 * P4);
		EXPECT_EQ(mapped_at(self->mm, UA(0)), 1);
		EXPECT_WORKS(req_create(self->c, 12, NR_TCES * P4, 1, NULL));
		release(self->kvm, PHB3);
	}
	host_preempt = NULL;
	EXPECT_GT(n, 2);
}

TEST_F(kvm, put_while_the_window_is_removed)
{
	int n;

	raced_container = self->c;
	raced_action = remove_window;
	write_list(self->kvm, GPA_LIST, GPA(1) | TCE_RW, P4, 16);
	for (n = 0; !host_preempt; n++) {
		EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
		locks_before = n;
		host_preempt = intrude;
		EXPECT_EQ(kvm_hcall(self->vcpu, KVM_VIRTUAL, H_PUT_TCE_INDIRECT,
				    LIOBN, 0, GPA_LIST, 16), 0);
		if (host_preempt)
			break;
		CHECK();
		EXPECT_EQ(mapped_at(self->mm, UA(0)), 1);
		EXPECT_WORKS(req_create(self->c, 12, NR_TCES * P4, 1, NULL));
	}
	host_preempt = NULL;
	EXPECT_GT(n, 2);
}

/*
 * A guest that is not done for long stalls no other.
 */

struct background {
	pthread_t thread;
	struct mm_struct *mm;
	struct kvm *kvm;
	struct host_pe *hpe;
	int fd;
};

static void *release_it(void *arg)
{
	struct background *b = arg;

	rcu_register_thread();
	current->mm = b->mm;
	release(b->kvm, b->hpe);
	rcu_unregister_thread();

	return NULL;
}

static void *create_and_close(void *arg)
{
	struct background *b = arg;

	rcu_register_thread();
	current->mm = b->mm;
	b->fd = create_table(b->kvm, LIOBN, 12, 0, NR_TCES);
	release(b->kvm, b->hpe);
	if (b->fd >= 0)
		kvm_close(b->fd);
	rcu_unregister_thread();

	return NULL;
}

static bool ends_soon(pthread_t thread)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 2;

	return !pthread_timedjoin_np(thread, NULL, &until);
}

TEST_F(kvm, guests_do_not_wait_for_each_other)
{
	struct background slow = { .mm = self->mm, .kvm = self->kvm, .hpe = PHB3 };
	struct background quick = { .mm = self->other, .hpe = PHB4 };
	struct tce_lock *lock;
	bool done;
	int srcu;

	srcu = srcu_read_lock(&self->kvm->srcu);
	lock = glue_kvm_lock(self->kvm, LIOBN);
	srcu_read_unlock(&self->kvm->srcu, srcu);
	current->mm = self->other;
	quick.kvm = kvm_create();
	current->mm = self->mm;
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	/* A hypercall of the first guest takes its time; a group leaves meanwhile */
	tce_lock(lock);
	pthread_create(&slow.thread, NULL, release_it, &slow);
	usleep(20000);
	pthread_create(&quick.thread, NULL, create_and_close, &quick);
	done = ends_soon(quick.thread);
	EXPECT_TRUE(done);
	EXPECT_EQ(pthread_tryjoin_np(slow.thread, NULL), EBUSY);
	tce_unlock(lock);
	pthread_join(slow.thread, NULL);
	if (!done)
		pthread_join(quick.thread, NULL);
	EXPECT_GE(quick.fd, 0);
	kvm_put_kvm(quick.kvm);
	CHECK();
}

/*
 * What others do while a hypercall waits for the mmap_lock of its process.
 */

static struct {
	struct mm_struct *other;
	struct kvm *kvm;
	struct kvm_vcpu *vcpu;
	int fd;
	long answers[3];
	int done;
} stuck;

/* Another process has a guest, and lets it go */
static void run_another_guest(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm *kvm;
	int fd;

	current->mm = stuck.other;
	kvm = kvm_create();
	set_up_guest(kvm);
	vcpu = kvm_vcpu_create(kvm);
	fd = create_table(kvm, 7, 16, WINDOW1 >> 16, 1UL << 24);
	WARN_ON(fd < 0);
	WARN_ON(kvm_hcall(vcpu, KVM_BOTH, H_PUT_TCE, 7, WINDOW1, GPA_HUGE | TCE_RW, 0));
	WARN_ON(kvm_hcall(vcpu, KVM_BOTH, H_STUFF_TCE, 7, WINDOW1, 0, 1UL << 24));
	release(kvm, PHB4);
	kvm_close(fd);
	kvm_vcpu_destroy(vcpu);
	kvm_put_kvm(kvm);
	stuck.done++;
}

/* Other threads of the same process want the table, and are killed */
static void be_killed_waiting(void)
{
	current->killed = true;
	stuck.answers[0] = kvm_hcall(stuck.vcpu, KVM_VIRTUAL, H_PUT_TCE, 7, WINDOW1,
				     GPA_HUGE | TCE_RW, 0);
	stuck.answers[1] = kvm_hcall(stuck.vcpu, KVM_VIRTUAL, H_STUFF_TCE, 7,
				     WINDOW1, 0, 5);
	stuck.answers[2] = attach(stuck.kvm, stuck.fd, PHB3);
	stuck.done++;
	/* The signal does not get to the one that waits before the mm is free */
	current->killed = false;
}

/* @meanwhile: comes when the hypercall waits, and has the lock of its table */
static void put_when_stuck(struct __test_metadata *_metadata, struct kvm *kvm,
			   struct kvm_vcpu *vcpu, struct host_container *c,
			   int fd, void (*meanwhile)(void))
{
	unsigned int i;
	u64 *page;

	ASSERT_EQ(req_create(c, 16, 1UL << 40, 3, NULL), 0);
	ASSERT_EQ(attach(kvm, fd, PHB3), 0);
	/* The view is there, so it is the hardware's levels that are paid for */
	ASSERT_EQ(kvm_fault(fd, 0, AGAIN, &page), VM_FAULT_RETRY);
	stuck.kvm = kvm;
	stuck.vcpu = kvm_vcpu_create(kvm);
	stuck.fd = fd;
	stuck.done = 0;
	kvm->mm->stuck = true;
	host_stuck = meanwhile;
	/* Levels may be less than a page, of which some are paid for already */
	for (i = 0; i < 8 && kvm->mm->stuck; i++)
		EXPECT_EQ(kvm_hcall(vcpu, KVM_BOTH, H_PUT_TCE, 7,
				    WINDOW1 + (1024 * i + 3) * K64,
				    GPA_HUGE | TCE_RW, 0), 0);
	host_stuck = NULL;
	current->killed = false;
	EXPECT_FALSE(kvm->mm->stuck);
	EXPECT_EQ(stuck.done, 1);
	kvm_vcpu_destroy(stuck.vcpu);
	world_check();
}

TEST_F(kvm, stuck_guest_stalls_no_other)
{
	self->fds[1] = create_table(self->kvm, 7, 16, WINDOW1 >> 16, 1UL << 24);
	self->nr_fds = 2;
	stuck.other = self->other;
	put_when_stuck(_metadata, self->kvm, self->vcpu, self->c, self->fds[1],
		       run_another_guest);
	EXPECT_REACHES(PHB3, WINDOW1 + 3 * K64, GPA_HUGE);
}

TEST_F(kvm, killed_while_the_table_is_changed)
{
	int i;

	self->fds[1] = create_table(self->kvm, 7, 16, WINDOW1 >> 16, 1UL << 24);
	self->nr_fds = 2;
	put_when_stuck(_metadata, self->kvm, self->vcpu, self->c, self->fds[1],
		       be_killed_waiting);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(stuck.answers[i], H_TOO_HARD);
	EXPECT_EQ(stuck.answers[2], -EINTR);
	EXPECT_FAULTS(PHB3, WINDOW1);
	EXPECT_EQ(links_of(self->kvm, 7), 1);
	EXPECT_REACHES(PHB3, WINDOW1 + 3 * K64, GPA_HUGE);
}

static struct kvm *watched_kvm;
static unsigned int watched, watched_locks;

/* This thread is about to wait, or might be: with a lock? */
static void watch_locks(void)
{
	struct host_kvm_table table;
	unsigned long liobn;

	watched++;
	for (liobn = 0; glue_kvm_next(watched_kvm, &liobn, &table); liobn++)
		watched_locks += table.locked;
}

/* To pay for the view waits for memory of the process, and nobody for that */
TEST_F(kvm, view_grows_without_the_lock)
{
	self->fds[1] = create_table(self->kvm, 7, 12, 0, MANY);
	self->nr_fds = 2;
	watched_kvm = self->kvm;
	watched = 0;
	watched_locks = 0;
	write_list(self->kvm, GPA_LIST, GPA(1) | TCE_RW, P4, 16);
	host_preempt = watch_locks;
	EXPECT_EQ(PUT(7, 0, GPA(1) | TCE_RW), 0);
	EXPECT_EQ(LIST(7, MANY / 2 * P4, GPA_LIST, 16), 0);
	EXPECT_EQ(STUFF(7, MANY / 4 * P4, 8, 16), 0);
	host_preempt = NULL;
	EXPECT_GE(watched, 3);
	EXPECT_EQ(watched_locks, 0);
}

/*
 * Hypercalls.
 */

TEST_F(kvm, put)
{
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	self->mirrored = true;
	EXPECT_WORKS(PUT(LIOBN, 0, GPA(1) | TCE_RW));
	EXPECT_WORKS(PUT(LIOBN, P4, GPA(1) | TCE_PCI_READ));
	EXPECT_WORKS(PUT(LIOBN, 2 * P4, GPA(1) | TCE_PCI_WRITE));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 4);
	EXPECT_EQ(machine_dma(PHB3, P4, true), -EFAULT);
	EXPECT_REACHES(PHB3, 2 * P4, GPA(1));
	EXPECT_EQ(GET(LIOBN, 2 * P4), GPA(1) | TCE_PCI_WRITE);
	/* Over what is mapped, of the same and of another region */
	EXPECT_WORKS(PUT(LIOBN, P4, GPA(2) | TCE_RW));
	EXPECT_WORKS(PUT(LIOBN, P4, (GPA_HUGE + P4) | TCE_RW));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 3);
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 2);
	EXPECT_REACHES(PHB3, P4 + 5, GPA_HUGE + P4 + 5);
	EXPECT_EQ(req_unregister(self->c, UA(UA_HUGE), 512 * PG), -EBUSY);
	/* Away with it */
	EXPECT_WORKS(PUT(LIOBN, P4, 0));
	EXPECT_FAULTS(PHB3, P4);
	EXPECT_EQ(GET(LIOBN, P4), 0);
	EXPECT_WORKS(PUT(LIOBN, 0, 0xabc000));
	EXPECT_EQ(GET(LIOBN, 0), 0xabc000);
	EXPECT_FAULTS(PHB3, 0);
	EXPECT_WORKS(req_unregister(self->c, UA(UA_HUGE), 512 * PG));
	EXPECT_WORKS(PUT(LIOBN, (NR_TCES - 1) * P4, GPA(4) | TCE_RW));
	EXPECT_REACHES(PHB3, (NR_TCES - 1) * P4, GPA(4));
}

TEST_F(kvm, put_marks_dirty)
{
	struct page *page = self->mm->pte[3].page;

	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	EXPECT_WORKS(PUT(LIOBN, 0, GPA(3) | TCE_PCI_READ));
	EXPECT_WORKS(PUT(LIOBN, 0, 0));
	EXPECT_WORKS(req_unregister(self->c, UA(0), 256 * PG));
	EXPECT_FALSE(page->dirty);
	EXPECT_WORKS(req_register(self->c, UA(0), 256 * PG));
	EXPECT_WORKS(PUT(LIOBN, 0, GPA(3) | TCE_PCI_WRITE));
	EXPECT_WORKS(PUT(LIOBN, 0, 0));
	EXPECT_WORKS(req_unregister(self->c, UA(0), 256 * PG));
	EXPECT_TRUE(page->dirty);
}

/* Arguments are judged in the same way, with a group and without one */
TEST_F(kvm, malformed)
{
	const unsigned long end = NR_TCES * P4, list = GPA_LIST;
	int attached;

	write_list(self->kvm, list, GPA(1) | TCE_RW, P4, 512);
	self->fds[1] = create_table(self->kvm, 7, 12, 16, 16);
	self->nr_fds = 2;
	for (attached = 0; attached < 2; attached++) {
		/* No such table */
		EXPECT_FAILS(H_TOO_HARD, PUT(LIOBN + 1, 0, GPA(1) | TCE_RW));
		EXPECT_FAILS(H_TOO_HARD, LIST(LIOBN + 1, 0, list, 1));
		EXPECT_FAILS(H_TOO_HARD, STUFF(LIOBN + 1, 0, 0, 1));
		EXPECT_FAILS(H_TOO_HARD, HCALL(H_GET_TCE, LIOBN + 1, 0, 0, 0));
		EXPECT_FAILS(H_TOO_HARD, HCALL(H_GET_TCE, LIOBN | BIT(40), 0, 0, 0));
		/* Not in the window */
		EXPECT_FAILS(H_PARAMETER, PUT(LIOBN, 1, GPA(1) | TCE_RW));
		EXPECT_FAILS(H_PARAMETER, PUT(LIOBN, P4 / 2, GPA(1) | TCE_RW));
		EXPECT_FAILS(H_PARAMETER, PUT(LIOBN, end, GPA(1) | TCE_RW));
		EXPECT_FAILS(H_PARAMETER, PUT(LIOBN, ~0xfffUL, GPA(1) | TCE_RW));
		EXPECT_FAILS(H_PARAMETER, PUT(7, 15 * P4, GPA(1) | TCE_RW));
		EXPECT_FAILS(H_PARAMETER, PUT(7, 32 * P4, GPA(1) | TCE_RW));
		EXPECT_FAILS(H_PARAMETER, LIST(LIOBN, 8, list, 1));
		EXPECT_FAILS(H_PARAMETER, LIST(LIOBN, end - P4, list, 2));
		EXPECT_FAILS(H_PARAMETER, LIST(7, 24 * P4, list, 9));
		EXPECT_FAILS(H_PARAMETER, STUFF(LIOBN, 8, 0, 1));
		EXPECT_FAILS(H_PARAMETER, STUFF(LIOBN, end - P4, 0, 2));
		EXPECT_FAILS(H_PARAMETER, STUFF(LIOBN, 0, 0, ~0UL));
		EXPECT_FAILS(H_PARAMETER, STUFF(LIOBN, P4, 0, ~0UL));
		EXPECT_FAILS(H_PARAMETER, STUFF(7, 16 * P4, 0, -16UL));
		EXPECT_FAILS(H_PARAMETER, HCALL(H_GET_TCE, LIOBN, 8, 0, 0));
		EXPECT_FAILS(H_PARAMETER, HCALL(H_GET_TCE, LIOBN, end, 0, 0));
		/* Not a list */
		EXPECT_FAILS(H_PARAMETER, LIST(LIOBN, 0, list, 513));
		EXPECT_FAILS(H_PARAMETER, LIST(LIOBN, 0, list, ~0UL));
		EXPECT_FAILS(H_PARAMETER, LIST(LIOBN, 0, list + 8, 1));
		EXPECT_FAILS(H_PARAMETER, LIST(LIOBN, 0, GPA_NOTHING, 1));
		EXPECT_FAILS(H_TOO_HARD, LIST(LIOBN, 0, GPA_INVALID, 1));
		/* Not to be stuffed */
		EXPECT_FAILS(H_PARAMETER, STUFF(LIOBN, 0, GPA(1) | TCE_PCI_READ, 1));
		EXPECT_FAILS(H_PARAMETER, STUFF(LIOBN, 0, TCE_PCI_WRITE, 1));
		/* Reserved bits */
		EXPECT_FAILS(H_TOO_HARD, PUT(LIOBN, 0, (GPA(1) + 0x800) | TCE_RW));
		EXPECT_FAILS(H_TOO_HARD, PUT(LIOBN, 0, (GPA(1) + 4) | TCE_RW));
		/* Nowhere */
		EXPECT_FAILS(H_TOO_HARD, PUT(LIOBN, 0, GPA_NOTHING | TCE_RW));
		EXPECT_FAILS(H_TOO_HARD, PUT(LIOBN, 0, GPA_INVALID | TCE_RW));
		EXPECT_FAILS(H_TOO_HARD, PUT(LIOBN, 0, BIT(62) | TCE_RW));
		/* Nothing to do */
		EXPECT_FAILS(H_SUCCESS, LIST(LIOBN, 0, list, 0));
		EXPECT_FAILS(H_SUCCESS, STUFF(LIOBN, 0, 0, 0));
		EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	}
	/* Behind a group it must be registered */
	EXPECT_FAILS(H_TOO_HARD, PUT(LIOBN, 0, GPA_STRANGE | TCE_RW));
	release(self->kvm, PHB3);
	EXPECT_WORKS(PUT(LIOBN, 0, GPA_STRANGE | TCE_RW));
}

/* A list goes through as a whole or not at all */
TEST_F(kvm, list)
{
	static const struct {
		u64 tce;
		long answer;
	} wrong[] = {
		{ GPA_NOTHING | TCE_RW, H_TOO_HARD },
		{ GPA_STRANGE | TCE_RW, H_TOO_HARD },
		{ 0x801 | TCE_RW, H_TOO_HARD },
	};
	static const unsigned int places[] = { 0, 1, 255, 511 };
	unsigned int i, k;

	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	self->mirrored = true;
	write_list(self->kvm, GPA_LIST, GPA_HUGE | TCE_RW, P4, 512);
	EXPECT_WORKS(LIST(LIOBN, 8 * P4, GPA_LIST, 512));
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 513);
	EXPECT_EQ(GET(LIOBN, (8 + 511) * P4), (GPA_HUGE + 511 * P4) | TCE_RW);
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		for (k = 0; k < ARRAY_SIZE(places); k++) {
			write_list(self->kvm, GPA_LIST, GPA(2) | TCE_RW, P4, 512);
			write_one(self->kvm, GPA_LIST, places[k], wrong[i].tce);
			EXPECT_FAILS(wrong[i].answer,
				     LIST(LIOBN, 100 * P4, GPA_LIST, 512));
		}
	}
	/* Over what is there, with gaps, backwards, of two regions, one often */
	write_list(self->kvm, GPA_LIST, GPA(255) | TCE_RW, -P4, 64);
	write_list(self->kvm, GPA_LIST + 64 * 8, GPA(256) | TCE_PCI_READ, P4, 64);
	write_list(self->kvm, GPA_LIST + 128 * 8, 0, 0, 10);
	write_list(self->kvm, GPA_LIST + 138 * 8, GPA(7) | TCE_RW, 0, 10);
	write_list(self->kvm, GPA_LIST + 148 * 8, GPA(254) | TCE_RW, P4,
		   3 * PG / P4);
	EXPECT_WORKS(LIST(LIOBN, 200 * P4, GPA_LIST, 148 + 3 * PG / P4));
	EXPECT_FAULTS(PHB3, (200 + 128) * P4);
	EXPECT_WORKS(LIST(LIOBN, 3000 * P4, GPA_LIST, 148));
	EXPECT_WORKS(STUFF(LIOBN, 0, 0, NR_TCES));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 1);
	EXPECT_EQ(mapped_at(self->mm, UA(256)), 1);
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 1);
}

/* The list may be anywhere in the guest's memory */
TEST_F(kvm, list_of_strange_memory)
{
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	self->mirrored = true;
	write_list(self->kvm, GPA_STRANGE + PG - P4, GPA(2) | TCE_RW, P4, 512);
	EXPECT_WORKS(LIST(LIOBN, 0, GPA_STRANGE + PG - P4, 512));
	/* ... but must be there */
	mm_unmap(self->mm, UA_MEDIUM, 1);
	EXPECT_FAILS(H_TOO_HARD, LIST(LIOBN, 0, GPA_STRANGE, 4));
}

static struct kvm *list_owner;

/* The guest changes what was just read */
static void change_list(void)
{
	write_list(list_owner, GPA_LIST, GPA_NOTHING | TCE_RW, 0, 64);
}

TEST_F(kvm, list_is_read_once)
{
	list_owner = self->kvm;
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	self->mirrored = true;
	write_list(self->kvm, GPA_LIST, GPA(2) | TCE_RW, P4, 64);
	host_copied = change_list;
	EXPECT_WORKS(kvm_hcall(self->vcpu, KVM_VIRTUAL, H_PUT_TCE_INDIRECT,
			       LIOBN, 0, GPA_LIST, 64));
	EXPECT_EQ(GET(LIOBN, 63 * P4), (GPA(2) + 63 * P4) | TCE_RW);
	host_copied = NULL;
	/* Real mode and virtual mode each read what is there then */
	EXPECT_WORKS(STUFF(LIOBN, 0, 0, 64));
	write_list(self->kvm, GPA_LIST, GPA(2) | TCE_RW, P4, 64);
	host_preempt_rm = change_list;
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_LIST, 64));
	host_preempt_rm = NULL;
}

TEST_F(kvm, stuff)
{
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	self->mirrored = true;
	write_list(self->kvm, GPA_LIST, GPA_HUGE | TCE_RW, P4, 512);
	EXPECT_WORKS(LIST(LIOBN, 0, GPA_LIST, 512));
	EXPECT_WORKS(LIST(LIOBN, 1000 * P4, GPA_LIST, 512));
	EXPECT_WORKS(STUFF(LIOBN, 100 * P4, 0xfff000, 300));
	EXPECT_REACHES(PHB3, 99 * P4, GPA_HUGE + 99 * P4);
	EXPECT_FAULTS(PHB3, 100 * P4);
	EXPECT_EQ(GET(LIOBN, 100 * P4), 0xfff000);
	EXPECT_EQ(GET(LIOBN, 399 * P4), 0xfff000);
	EXPECT_EQ(GET(LIOBN, 400 * P4), (GPA_HUGE + 400 * P4) | TCE_RW);
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 1 + 1024 - 300);
	/* More than real mode does at once */
	EXPECT_WORKS(STUFF(LIOBN, 0, 0, NR_TCES));
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 1);
	EXPECT_WORKS(STUFF(LIOBN, 3000 * P4, 8, NR_TCES - 3000));
	EXPECT_EQ(GET(LIOBN, (NR_TCES - 1) * P4), 8);
}

/* To clear what is not there takes no memory */
TEST_F(kvm, clear_nothing)
{
	long levels;

	EXPECT_WORKS(req_create(self->c, 16, 1UL << 40, 3, NULL));
	self->fds[1] = create_table(self->kvm, 7, 16, WINDOW1 >> 16, 1UL << 24);
	self->nr_fds = 2;
	EXPECT_WORKS(attach(self->kvm, self->fds[1], PHB3));
	levels = host_usage.level_bytes;
	EXPECT_WORKS(STUFF(7, WINDOW1, 0, 1UL << 24));
	EXPECT_WORKS(STUFF(7, WINDOW1 + K64, 0, 5));
	EXPECT_WORKS(PUT(7, WINDOW1 + 7 * K64, 0));
	EXPECT_EQ(GET(7, WINDOW1 + 9 * K64), 0);
	EXPECT_EQ(host_usage.level_bytes, levels);
}

/* A page of the guest may be several of the bridge's */
TEST_F(kvm, split_pages)
{
	struct page *page = self->mm->pte[UA_HUGE].page;

	self->fds[1] = create_table(self->kvm, 7, BIG_SHIFT, 0,
				    NR_TCES * P4 >> BIG_SHIFT);
	self->nr_fds = 2;
	EXPECT_WORKS(attach(self->kvm, self->fds[1], PHB3));
	self->mirrored = true;
	EXPECT_WORKS(PUT(7, K64, (GPA_HUGE + K64) | TCE_RW));
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 17);
	EXPECT_REACHES(PHB3, K64 + 15 * P4 + 9, GPA_HUGE + K64 + 15 * P4 + 9);
	/* Scattered memory serves as well: each part is translated */
	EXPECT_WORKS(PUT(7, 2 * K64, GPA(16) | TCE_RW));
	EXPECT_REACHES(PHB3, 2 * K64 + 15 * P4, GPA(16) + 15 * P4);
	write_list(self->kvm, GPA_LIST, (GPA_HUGE + K64) | TCE_RW, K64, 30);
	write_one(self->kvm, GPA_LIST, 17, 0);
	EXPECT_WORKS(LIST(7, 4 * K64, GPA_LIST, 20));
	EXPECT_WORKS(LIST(7, 40 * K64, GPA_LIST, 30));
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 1 + 16 + 19 * 16 + 29 * 16);
	EXPECT_WORKS(STUFF(7, 4 * K64, 0x10000, 3));
	EXPECT_FAULTS(PHB3, 6 * K64 + 15 * P4);
	EXPECT_REACHES(PHB3, 7 * K64, GPA_HUGE + 4 * K64);
	EXPECT_FAILS(H_TOO_HARD, PUT(7, K64, (GPA_HUGE + P4) | TCE_RW));
	EXPECT_FAILS(H_PARAMETER, PUT(7, P4, GPA_HUGE | TCE_RW));
	/* The last page of a region that ends in the middle of one of 64K */
	EXPECT_WORKS(STUFF(7, 0, 0, 256));
	EXPECT_WORKS(req_unregister(self->c, UA(0), 256 * PG));
	EXPECT_WORKS(req_register(self->c, UA(0), 17 * PG));
	if (PAGE_SHIFT == 12)
		EXPECT_FAILS(H_TOO_HARD, PUT(7, K64, GPA(16) | TCE_RW));
	EXPECT_FALSE(page->dirty);
}

/* A page of the bridge must be backed by one as large */
TEST_F(kvm, page_larger_than_its_backing)
{
	unsigned int shift = PAGE_SHIFT + 4;

	EXPECT_WORKS(vfio_attach(self->c + 1, PHB4));
	EXPECT_WORKS(vfio_set_iommu(self->c + 1, VFIO_SPAPR_TCE_v2_IOMMU));
	shift = PAGE_SHIFT == 12 ? 16 : 21;
	EXPECT_WORKS(req_create(self->c + 1, shift, 1UL << 32, 1, NULL));
	self->fds[1] = create_table(self->kvm, 7, shift, WINDOW1 >> shift, 16);
	self->nr_fds = 2;
	EXPECT_WORKS(attach(self->kvm, self->fds[1], PHB4));
	self->mirrored = true;
	EXPECT_FAILS(H_PARAMETER, PUT(7, WINDOW1, TCE_RW));
	EXPECT_FAILS(H_PARAMETER, PUT(7, WINDOW1, GPA_REGION_2 | TCE_RW));
	EXPECT_WORKS(PUT(7, WINDOW1, GPA_HUGE | TCE_RW));
	EXPECT_REACHES(PHB4, WINDOW1 + 5 * P4, GPA_HUGE + 5 * P4);
	/* The guest's address may be aligned and the process's not */
	kvm_set_slot(self->kvm, 3, BIT(40), UA(UA_HUGE + 1), 64);
	EXPECT_FAILS(H_PARAMETER, PUT(7, WINDOW1, BIT(40) | TCE_RW));
}

/*
 * Several hardware tables behind one LIOBN.
 */

TEST_F(kvm, two_tables)
{
	unsigned long charged;

	furnish(self->c + 1, PHB3_OTHER);
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3_OTHER));
	self->mirrored = true;
	write_list(self->kvm, GPA_LIST, GPA_HUGE | TCE_RW, P4, 300);
	EXPECT_WORKS(PUT(LIOBN, 0, GPA_HUGE | TCE_RW));
	EXPECT_WORKS(LIST(LIOBN, P4, GPA_LIST, 300));
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 1 + 2 * 301);
	EXPECT_REACHES(PHB3, P4, GPA_HUGE);
	EXPECT_REACHES(PHB3_OTHER, P4, GPA_HUGE);
	EXPECT_WORKS(STUFF(LIOBN, 0, 0, 100));
	EXPECT_FAULTS(PHB3, P4);
	EXPECT_FAULTS(PHB3_OTHER, P4);
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 1 + 2 * 201);
	/* No memory for the second: the first has nothing either */
	charged = self->mm->locked_vm;
	EXPECT_FAILS(H_TOO_HARD, PUT(LIOBN, 0, GPA_STRANGE | TCE_RW));
	EXPECT_EQ(self->mm->locked_vm, charged);
	/* One of them has something there by VFIO */
	EXPECT_EQ(req_map(self->c, 0, UA(2), P4, RW), 0);
	EXPECT_WORKS(PUT(LIOBN, 0, GPA(1) | TCE_RW));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 3);
}

/* A second table with larger pages refuses what the first one would take */
TEST_F(kvm, two_tables_all_or_none)
{
	/* Which may be of more than one region, besides */
	const long refused = PAGE_SHIFT == 12 ? H_TOO_HARD : H_PARAMETER;
	int fd = create_table(self->kvm, 7, 21, WINDOW1 >> 21, 4);

	self->fds[1] = fd;
	self->nr_fds = 2;
	EXPECT_WORKS(req_create(self->c, 12, SZ_2M * 4, 1, NULL));
	vfio_attach(self->c + 1, PHB4);
	vfio_set_iommu(self->c + 1, VFIO_SPAPR_TCE_v2_IOMMU);
	EXPECT_WORKS(req_create(self->c + 1, 21, SZ_2M * 4, 1, NULL));
	EXPECT_WORKS(attach(self->kvm, fd, PHB4));
	EXPECT_WORKS(attach(self->kvm, fd, PHB3));
	self->mirrored = true;
	kvm_set_slot(self->kvm, 3, BIT(40), UA(0), 512);
	EXPECT_FAILS(refused, PUT(7, WINDOW1, BIT(40) | TCE_RW));
	EXPECT_WORKS(PUT(7, WINDOW1 + SZ_2M, GPA_HUGE | TCE_RW));
	EXPECT_REACHES(PHB3, WINDOW1 + SZ_2M + 511 * P4, GPA_HUGE + 511 * P4);
	EXPECT_REACHES(PHB4, WINDOW1 + SZ_2M + 511 * P4, GPA_HUGE + 511 * P4);
	EXPECT_WORKS(STUFF(7, WINDOW1, 0, 4));
	/* The same the other way round */
	release(self->kvm, PHB4);
	EXPECT_WORKS(attach(self->kvm, fd, PHB4));
	EXPECT_FAILS(refused, PUT(7, WINDOW1, BIT(40) | TCE_RW));
}

TEST_F(kvm, limit)
{
	unsigned long charged, n;
	long ret = -1;

	EXPECT_WORKS(req_create(self->c, 16, 1UL << 40, 3, NULL));
	self->fds[1] = create_table(self->kvm, 7, 16, WINDOW1 >> 16, 1UL << 24);
	self->nr_fds = 2;
	EXPECT_WORKS(attach(self->kvm, self->fds[1], PHB3));
	self->mirrored = false;
	write_list(self->kvm, GPA_LIST, GPA_HUGE | TCE_RW, K64, 16);
	/* Each time there is a page more, until it suffices */
	for (n = 0; ret && n < 64; n++) {
		charged = self->mm->locked_vm;
		self->mm->limit = charged + n;
		self->digest = state(self->mm);
		ret = LIST(7, WINDOW1 + (1UL << 36) - 5 * K64, GPA_LIST, 16);
		CHECK();
		if (!ret)
			break;
		EXPECT_EQ(ret, H_NOT_ENOUGH_RESOURCES);
		EXPECT_EQ(state(self->mm), self->digest);
	}
	EXPECT_GE(n, 2);
	EXPECT_REACHES(PHB3, WINDOW1 + (1UL << 36), GPA_HUGE + 5 * K64);
	self->mm->limit = self->mm->locked_vm;
	EXPECT_FAILS(H_NOT_ENOUGH_RESOURCES, PUT(7, WINDOW1, GPA_HUGE | TCE_RW));
	EXPECT_WORKS(STUFF(7, WINDOW1, 0, 1UL << 24));
}

/* To unmap does not fail for want of memory: it is the mark that is lost */
TEST_F(kvm, limit_of_marks)
{
	const unsigned long there = WINDOW1 + (1UL << 36), absent = WINDOW1 + (1UL << 38);
	long levels;

	EXPECT_WORKS(req_create(self->c, 16, 1UL << 40, 3, NULL));
	self->fds[1] = create_table(self->kvm, 7, 16, WINDOW1 >> 16, 1UL << 24);
	self->nr_fds = 2;
	EXPECT_WORKS(attach(self->kvm, self->fds[1], PHB3));
	EXPECT_WORKS(PUT(7, there, GPA_HUGE | TCE_RW));
	EXPECT_WORKS(PUT(7, there + K64, GPA_HUGE | TCE_RW));
	/* Mapped by VFIO, where the view has nothing */
	EXPECT_EQ(req_map(self->c, absent, UA(UA_HUGE), 16 * K64, RW), 0);
	self->mm->limit = self->mm->locked_vm;
	EXPECT_WORKS(STUFF(7, absent, 8, 1));
	EXPECT_EQ(GET(7, absent), 0);
	EXPECT_FAULTS(PHB3, absent);
	EXPECT_WORKS(PUT(7, absent + K64, 0xabc000));
	EXPECT_EQ(GET(7, absent + K64), 0);
	EXPECT_FAULTS(PHB3, absent + K64);
	write_list(self->kvm, GPA_LIST, 0x10000, K64, 8);
	EXPECT_WORKS(LIST(7, absent + 2 * K64, GPA_LIST, 8));
	EXPECT_EQ(GET(7, absent + 3 * K64), 0);
	EXPECT_FAULTS(PHB3, absent + 9 * K64);
	/* Where there is something, it is kept */
	EXPECT_WORKS(STUFF(7, there, 0x50000, 1));
	EXPECT_EQ(GET(7, there), 0x50000);
	EXPECT_WORKS(STUFF(7, WINDOW1, 8, 1UL << 24));
	EXPECT_EQ(GET(7, there + K64), 8);
	EXPECT_FAULTS(PHB3, there + K64);
	EXPECT_FAULTS(PHB3, absent + 15 * K64);
	/* With something to map in it, a list does fail */
	write_one(self->kvm, GPA_LIST, 3, GPA_HUGE | TCE_RW);
	EXPECT_FAILS(H_NOT_ENOUGH_RESOURCES, LIST(7, absent, GPA_LIST, 8));
	/* The same without memory as such */
	self->mm->limit += 64;
	EXPECT_EQ(req_map(self->c, absent, UA(UA_HUGE), 16 * K64, RW), 0);
	fail_arm(1);
	EXPECT_WORKS(PUT(7, absent, 0x10000));
	EXPECT_TRUE(fail_fired());
	fail_arm(0);
	EXPECT_EQ(GET(7, absent), 0);
	EXPECT_FAULTS(PHB3, absent);
	EXPECT_REACHES(PHB3, absent + K64, GPA_HUGE + K64);
	/* A list of nothing makes nothing */
	levels = host_usage.level_bytes;
	write_list(self->kvm, GPA_LIST, 0, 0, 8);
	EXPECT_WORKS(LIST(7, absent, GPA_LIST, 8));
	EXPECT_FAULTS(PHB3, absent + 7 * K64);
	EXPECT_EQ(host_usage.level_bytes, levels);
}

/*
 * Who is killed while a huge range is unmapped ends soon, and has a view that
 * says what is mapped still.
 */
TEST_F(kvm, stuff_while_being_killed)
{
	const unsigned long part = 1UL << 20;

	EXPECT_WORKS(req_create(self->c, 12, 4 * part * P4, 1, NULL));
	self->fds[1] = create_table(self->kvm, 7, 12, WINDOW1 >> 12, 4 * part);
	self->nr_fds = 2;
	EXPECT_WORKS(attach(self->kvm, self->fds[1], PHB3));
	EXPECT_WORKS(PUT(7, WINDOW1, GPA_HUGE | TCE_RW));
	EXPECT_WORKS(PUT(7, WINDOW1 + 3 * part * P4, GPA_HUGE | TCE_RW));
	current->killed = true;
	EXPECT_EQ(STUFF(7, WINDOW1, 0, 4 * part), H_TOO_HARD);
	/* A single page is not worth looking for a signal */
	EXPECT_WORKS(PUT(7, WINDOW1 + P4, 0));
	current->killed = false;
	world_check();
	EXPECT_EQ(GET(7, WINDOW1), 0);
	EXPECT_FAULTS(PHB3, WINDOW1);
	EXPECT_EQ(GET(7, WINDOW1 + 3 * part * P4), GPA_HUGE | TCE_RW);
	EXPECT_REACHES(PHB3, WINDOW1 + 3 * part * P4, GPA_HUGE);
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 2);
	EXPECT_WORKS(STUFF(7, WINDOW1, 0, 4 * part));
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 1);
}

/* Where lists are kept is for a VCPU to have when it needs it */
TEST_F(kvm, vcpu_without_memory)
{
	struct kvm_vcpu *vcpu = kvm_vcpu_create(self->kvm);

	/* A mark, for which there is a level then */
	write_one(self->kvm, GPA_LIST, 0, 0x1000);
	EXPECT_EQ(kvm_hcall(vcpu, KVM_REAL, H_PUT_TCE_INDIRECT, LIOBN, 0,
			    GPA_LIST, 1), H_TOO_HARD);
	fail_arm(1);
	EXPECT_EQ(kvm_hcall(vcpu, KVM_BOTH, H_PUT_TCE_INDIRECT, LIOBN, 0,
			    GPA_LIST, 1), H_NOT_ENOUGH_RESOURCES);
	fail_arm(0);
	EXPECT_EQ(kvm_hcall(vcpu, KVM_BOTH, H_PUT_TCE_INDIRECT, LIOBN, 0,
			    GPA_LIST, 1), H_SUCCESS);
	EXPECT_EQ(kvm_hcall(vcpu, KVM_REAL, H_PUT_TCE_INDIRECT, LIOBN, 0,
			    GPA_LIST, 1), H_SUCCESS);
	kvm_vcpu_destroy(vcpu);
}

TEST_F(kvm, trace)
{
	struct kvm_vcpu *vcpu = kvm_vcpu_create(self->kvm);
	unsigned long real = variant->mode != KVM_VIRTUAL;

	host_trace_enabled = true;
	host_traced[0] = 0;
	host_traced[1] = 0;
	/* Real mode has nowhere to remember it, the first time */
	EXPECT_EQ(kvm_hcall(vcpu, variant->mode, H_GET_TCE, LIOBN, 0, 0, 0), 0);
	EXPECT_EQ(host_traced[0], 1);
	EXPECT_EQ(host_traced[1], 0);
	EXPECT_EQ(kvm_hcall(vcpu, variant->mode, H_GET_TCE, LIOBN, 0, 0, 0), 0);
	EXPECT_EQ(host_traced[real], 2 - real);
	host_trace_enabled = false;
	EXPECT_EQ(kvm_hcall(vcpu, variant->mode, H_GET_TCE, LIOBN, 0, 0, 0), 0);
	EXPECT_EQ(host_traced[0] + host_traced[1], 2);
	kvm_vcpu_destroy(vcpu);
}

/* A guest that does not leave for long fills what is remembered */
TEST_F(kvm, trace_is_full)
{
	int idx, n;

	host_trace_enabled = true;
	idx = srcu_read_lock(&self->kvm->srcu);
	host_enter_real_mode();
	for (n = 0; n < 1000; n++)
		if (kvmppc_rm_h_get_tce(self->vcpu, LIOBN, 0))
			break;
	host_leave_real_mode();
	srcu_read_unlock(&self->kvm->srcu, idx);
	EXPECT_EQ(n, 192);
	host_traced[1] = 0;
	kvmppc_tce_trace_flush(self->vcpu);
	EXPECT_EQ(host_traced[1], 192);
	EXPECT_EQ(IN_REAL_MODE(H_GET_TCE, LIOBN, 0, 0, 0), H_SUCCESS);
	host_trace_enabled = false;
}

/*
 * What real mode does, and what it does not. These end in real mode.
 */

/* Attached, with all levels that the first TCEs need */
static void prepare_for_real_mode(struct kvm *kvm, struct kvm_vcpu *vcpu, int fd,
				  struct host_pe *hpe)
{
	attach(kvm, fd, hpe);
	write_list(kvm, GPA_LIST, GPA(1) | TCE_RW, 0, 512);
	kvm_hcall(vcpu, KVM_VIRTUAL, H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_LIST, 512);
	kvm_hcall(vcpu, KVM_VIRTUAL, H_PUT_TCE_INDIRECT, LIOBN, 512 * P4,
		  GPA_LIST, 512);
	kvm_hcall(vcpu, KVM_VIRTUAL, H_STUFF_TCE, LIOBN, 0, 0, 1024);
}

#define PREPARE() do {							\
	prepare_for_real_mode(self->kvm, self->vcpu, self->fds[0], PHB3); \
	self->mirrored = true;						\
	CHECK();							\
} while (0)

TEST_F(kvm, real_mode_puts)
{
	unsigned long charged;

	PREPARE();
	charged = self->mm->locked_vm;
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA(1) | TCE_RW, 0));
	EXPECT_REACHES(PHB3, 7, GPA(1) + 7);
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, P4, GPA(1) | TCE_PCI_READ, 0));
	EXPECT_EQ(machine_dma(PHB3, P4, true), -EFAULT);
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 3);
	EXPECT_EQ(get_tce(self->vcpu, KVM_REAL, LIOBN, P4), GPA(1) | TCE_PCI_READ);
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 2 * P4, GPA(1) | TCE_PCI_WRITE, 0));
	EXPECT_REACHES(PHB3, 2 * P4, GPA(1));
	EXPECT_EQ(get_tce(self->vcpu, KVM_REAL, LIOBN, 2 * P4), GPA(1) | TCE_PCI_WRITE);
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 2 * P4, 0, 0));
	/* What is there is for virtual mode to replace */
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA(2) | TCE_RW, 0));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA(1) | TCE_RW, 0));
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, 0x1000, 0));
	EXPECT_FAULTS(PHB3, 0);
	EXPECT_EQ(get_tce(self->vcpu, KVM_REAL, LIOBN, 0), 0x1000);
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 2);
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, P4, 0, 0));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 1);
	EXPECT_EQ(self->mm->locked_vm, charged);
}

TEST_F(kvm, real_mode_puts_lists)
{
	PREPARE();
	write_list(self->kvm, GPA_LIST, GPA_HUGE | TCE_RW, P4, 512);
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 5 * P4, GPA_LIST, 512));
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 513);
	EXPECT_REACHES(PHB3, (5 + 511) * P4, GPA_HUGE + 511 * P4);
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 516 * P4,
					      GPA_LIST, 2));
	EXPECT_WORKS(IN_REAL_MODE(H_STUFF_TCE, LIOBN, 5 * P4, 0, 512));
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 1);
	/* With gaps, backwards, some more than once */
	write_list(self->kvm, GPA_LIST, GPA(100) | TCE_PCI_READ, -P4, 20);
	write_list(self->kvm, GPA_LIST + 20 * 8, 0x5000, 0, 20);
	write_list(self->kvm, GPA_LIST + 40 * 8, GPA(9) | TCE_PCI_WRITE, 0, 20);
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 500 * P4, GPA_LIST, 60));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 41);
	EXPECT_REACHES(PHB3, 540 * P4, GPA(9));
	EXPECT_WORKS(IN_REAL_MODE(H_STUFF_TCE, LIOBN, 500 * P4, 0, 10));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 31);
	/* Zeros alone */
	write_list(self->kvm, GPA_LIST, 0, 0, 20);
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_LIST, 20));
}

TEST_F(kvm, real_mode_marks_dirty)
{
	struct page *page = self->mm->pte[3].page;

	PREPARE();
	/* The list that prepared it was for writing */
	EXPECT_WORKS(req_unregister(self->c, UA(0), 256 * PG));
	EXPECT_WORKS(req_register(self->c, UA(0), 256 * PG));
	page->dirty = false;
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA(3) | TCE_PCI_READ, 0));
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, 0, 0));
	EXPECT_WORKS(req_unregister(self->c, UA(0), 256 * PG));
	EXPECT_FALSE(page->dirty);
	EXPECT_WORKS(req_register(self->c, UA(0), 256 * PG));
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA(3) | TCE_PCI_WRITE, 0));
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, 0, 0));
	EXPECT_WORKS(req_unregister(self->c, UA(0), 256 * PG));
	EXPECT_TRUE(page->dirty);
}

TEST_F(kvm, too_hard_for_real_mode)
{
	struct mm_iommu_table_group_mem_t *mem;

	PREPARE();
	/* Of two regions, of none, of one that is none of the guest's */
	write_list(self->kvm, GPA_LIST, GPA(1) | TCE_RW, P4, 20);
	write_one(self->kvm, GPA_LIST, 19, GPA_HUGE | TCE_RW);
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_LIST, 20));
	write_one(self->kvm, GPA_LIST, 19, GPA_STRANGE | TCE_RW);
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_LIST, 20));
	write_one(self->kvm, GPA_LIST, 0, GPA_STRANGE | TCE_RW);
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_LIST, 20));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA_STRANGE | TCE_RW, 0));
	/* A list that is not registered, or is device memory */
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_STRANGE, 20));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_NOTHING, 20));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_INVALID, 20));
	ASSERT_EQ(mm_iommu_newdev(self->mm, UA(UA_MEDIUM), 512, 5UL << 40, &mem), 0);
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_STRANGE, 20));
	EXPECT_EQ(mm_iommu_unregister(self->mm, mem, true), 0);
	/* Where levels are missing */
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE, LIOBN, 4000 * P4, GPA(1) | TCE_RW, 0));
	write_list(self->kvm, GPA_LIST, GPA(1) | TCE_RW, P4, 512);
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 1020 * P4,
					      GPA_LIST, 5));
	/* Too much at once */
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_STUFF_TCE, LIOBN, 0, 0, 513));
	/* What keeps RCU from knowing of this CPU */
	host_context_tracking = true;
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA(1) | TCE_RW, 0));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_LIST, 5));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_STUFF_TCE, LIOBN, 0, 0, 1));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_GET_TCE, LIOBN, 0, 0, 0));
	host_context_tracking = false;
}

/* Where the view has a leaf and the table has none, and the other way round */
TEST_F(kvm, real_mode_misses_levels)
{
	int fd = create_table(self->kvm, 7, 16, WINDOW1 >> 16, 1UL << 24);
	const unsigned long far = WINDOW1 + (1UL << 36);

	self->fds[1] = fd;
	self->nr_fds = 2;
	EXPECT_WORKS(req_create(self->c, 16, 1UL << 40, 3, NULL));
	EXPECT_WORKS(kvm_hcall(self->vcpu, KVM_VIRTUAL, H_PUT_TCE, 7, far, 8, 0));
	EXPECT_WORKS(attach(self->kvm, fd, PHB3));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE, 7, far, GPA_HUGE | TCE_RW, 0));
	EXPECT_WORKS(req_map(self->c, WINDOW1, UA(UA_HUGE), K64, RW));
	EXPECT_WORKS(req_unmap(self->c, WINDOW1, K64));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE, 7, WINDOW1, GPA_HUGE | TCE_RW, 0));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_STUFF_TCE, 7, WINDOW1, 8, 1));
	/* Nothing is there to clear */
	EXPECT_WORKS(IN_REAL_MODE(H_STUFF_TCE, 7, WINDOW1 + (1UL << 38), 0, 500));
	EXPECT_WORKS(IN_REAL_MODE(H_GET_TCE, 7, WINDOW1 + (1UL << 38), 0, 0));
}

/* Bridges whose kills take firmware: nothing is written before that is known */
TEST_F(kvm, real_mode_and_phb4)
{
	PREPARE();
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, P4, GPA(1) | TCE_RW, 0));
	/* A PE of one of them joins */
	EXPECT_WORKS(vfio_attach(self->c, PHB4));
	write_list(self->kvm, GPA_LIST, GPA(1) | TCE_RW, P4, 20);
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA(2) | TCE_RW, 0));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 9 * P4, GPA_LIST, 20));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_STUFF_TCE, LIOBN, P4, 0, 1));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE, LIOBN, P4, 0, 0));
	EXPECT_REACHES(PHB4, P4, GPA(1));
	EXPECT_WORKS(STUFF(LIOBN, P4, 0, 1));
	EXPECT_FAULTS(PHB4, P4);
	vfio_detach(self->c, PHB4);
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, P4, GPA(1) | TCE_RW, 0));
}

TEST_F(kvm, real_mode_two_tables)
{
	PREPARE();
	furnish(self->c + 1, PHB3_OTHER);
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3_OTHER));
	/* The second has no levels, so the first gets nothing */
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA(1) | TCE_RW, 0));
	EXPECT_WORKS(PUT(LIOBN, 0, GPA(1) | TCE_RW));
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, 0, 0));
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA(2) | TCE_RW, 0));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 3);
	EXPECT_REACHES(PHB3, 0, GPA(2));
	EXPECT_REACHES(PHB3_OTHER, 0, GPA(2));
	/* Something is in the way in one of them */
	EXPECT_WORKS(req_register(self->c + 1, UA(0), 256 * PG));
	EXPECT_WORKS(IN_REAL_MODE(H_STUFF_TCE, LIOBN, 0, 0, 8));
	self->mirrored = false;
	EXPECT_WORKS(req_map(self->c + 1, P4, UA(0), P4, RW));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_PUT_TCE, LIOBN, P4, GPA(1) | TCE_RW, 0));
	EXPECT_WORKS(IN_REAL_MODE(H_STUFF_TCE, LIOBN, 0, 0, 8));
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, P4, GPA(1) | TCE_RW, 0));
}

/* Two groups of one table: it is locked and written once, and killed for both */
TEST_F(kvm, real_mode_shared_table)
{
	PREPARE();
	EXPECT_WORKS(vfio_attach(self->c, PHB3_SAME));
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3_SAME));
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA(1) | TCE_RW, 0));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 2);
	EXPECT_REACHES(PHB3, 0, GPA(1));
	EXPECT_REACHES(PHB3_SAME, 0, GPA(1));
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, 0, 0));
	EXPECT_FAULTS(PHB3, 0);
	EXPECT_FAULTS(PHB3_SAME, 0);
}

/* A third group comes whose table is the first one's */
TEST_F(kvm, real_mode_three_groups)
{
	PREPARE();
	furnish(self->c + 1, PHB3_OTHER);
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3_OTHER));
	EXPECT_WORKS(vfio_attach(self->c, PHB3_SAME));
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3_SAME));
	EXPECT_EQ(links_of(self->kvm, LIOBN), 3);
	EXPECT_WORKS(PUT(LIOBN, 0, GPA(1) | TCE_RW));
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, 0, 0));
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA(1) | TCE_RW, 0));
	EXPECT_EQ(mapped_at(self->mm, UA(0)), 3);
}

TEST_F(kvm, real_mode_splits_pages)
{
	int fd = create_table(self->kvm, 7, 21, 0, NR_TCES * P4 >> 21);
	int big = create_table(self->kvm, 8, 24, 0, NR_TCES * P4 >> 24);

	self->fds[1] = fd;
	self->fds[2] = big;
	self->nr_fds = 3;
	EXPECT_WORKS(attach(self->kvm, fd, PHB3));
	EXPECT_WORKS(attach(self->kvm, big, PHB3));
	EXPECT_WORKS(kvm_hcall(self->vcpu, KVM_VIRTUAL, H_PUT_TCE, 7, SZ_2M,
			       GPA_HUGE | TCE_RW, 0));
	EXPECT_WORKS(IN_REAL_MODE(H_STUFF_TCE, 7, SZ_2M, 0, 1));
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 1);
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, 7, SZ_2M, GPA_HUGE | TCE_RW, 0));
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 513);
	EXPECT_REACHES(PHB3, SZ_2M + 511 * P4 + 1, GPA_HUGE + 511 * P4 + 1);
	/* A page that ends behind its slot */
	kvm_set_slot(self->kvm, 3, BIT(40), UA(UA_HUGE), 8);
	EXPECT_FAILS(H_TOO_HARD, PUT(7, 2 * SZ_2M, BIT(40) | TCE_RW));
	/* Two of them are too many at once */
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_STUFF_TCE, 7, SZ_2M, 0, 2));
	EXPECT_FAILS(H_TOO_HARD, IN_REAL_MODE(H_STUFF_TCE, 8, 0, 0, 1));
	EXPECT_WORKS(IN_REAL_MODE(H_STUFF_TCE, 7, SZ_2M, 0, 1));
}

/*
 * The last count of a region is for virtual mode to give back: the TCE goes,
 * and the view says so until then.
 */
TEST_F(kvm, real_mode_leaves_the_last_count)
{
	struct host_region region;

	PREPARE();
	furnish(self->c + 1, PHB3_OTHER);
	EXPECT_WORKS(req_register(self->c + 1, UA(UA_MEDIUM), 16 * PG));
	write_list(self->kvm, GPA_LIST, GPA_STRANGE | TCE_RW, P4, 5);
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_LIST, 5));
	vfio_close(self->c + 1);
	CHECK();
	EXPECT_EQ(mapped_at(self->mm, UA(UA_MEDIUM)), 5);
	/* It is going, and may be mapped as long as it has not gone */
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 5 * P4, GPA_STRANGE | TCE_RW, 0));
	EXPECT_WORKS(IN_REAL_MODE(H_STUFF_TCE, LIOBN, 0, 0, 4));
	EXPECT_EQ(mapped_at(self->mm, UA(UA_MEDIUM)), 2);
	EXPECT_EQ(IN_REAL_MODE(H_STUFF_TCE, LIOBN, 0, 0, 8), H_TOO_HARD);
	EXPECT_FAULTS(PHB3, 4 * P4);
	EXPECT_FAULTS(PHB3, 5 * P4);
	EXPECT_EQ(machine_shadow(window_of(self->c), 4), (UA(UA_MEDIUM) + 4 * P4) | HELD_RW);
	EXPECT_EQ(machine_shadow(window_of(self->c), 5), UA(UA_MEDIUM) | HELD_RW);
	EXPECT_EQ(mapped_at(self->mm, UA(UA_MEDIUM)), 2);
	/* Nothing can be mapped over what is held */
	EXPECT_EQ(IN_REAL_MODE(H_PUT_TCE, LIOBN, 5 * P4, GPA(1) | TCE_RW, 0), H_TOO_HARD);
	EXPECT_WORKS(kvm_hcall(self->vcpu, KVM_VIRTUAL, H_STUFF_TCE, LIOBN, 0, 0, 8));
	host_settle();
	EXPECT_FALSE(glue_region_at(self->mm, UA(UA_MEDIUM), &region));
	CHECK();
}

/* The same, with both modes together, and over the container's end */
TEST_F(kvm, last_count)
{
	struct host_region region;

	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3));
	self->mirrored = true;
	furnish(self->c + 1, PHB3_OTHER);
	EXPECT_WORKS(req_register(self->c + 1, UA(UA_MEDIUM), 16 * PG));
	EXPECT_WORKS(PUT(LIOBN, 0, GPA_STRANGE | TCE_RW));
	EXPECT_WORKS(PUT(LIOBN, P4, GPA_STRANGE | TCE_RW));
	vfio_close(self->c + 1);
	CHECK();
	EXPECT_WORKS(PUT(LIOBN, 0, 0));
	EXPECT_WORKS(PUT(LIOBN, P4, GPA(1) | TCE_RW));
	host_settle();
	EXPECT_FALSE(glue_region_at(self->mm, UA(UA_MEDIUM), &region));
	EXPECT_FAILS(H_TOO_HARD, PUT(LIOBN, 0, GPA_STRANGE | TCE_RW));
}

static unsigned long raced_ua;
static long raced_unregister;

/* On another CPU, while this one is in real mode */
static void unregister_it(void)
{
	host_preempt_rm = NULL;
	raced_unregister = req_unregister(raced_container, raced_ua, 512 * PG);
}

/* Memory goes while real mode is about to map it, or to read a list from it */
TEST_F(kvm, real_mode_and_memory_that_goes)
{
	raced_container = self->c;
	PREPARE();
	write_list(self->kvm, GPA_HUGE, GPA(1) | TCE_RW, P4, 20);
	raced_ua = UA(UA_HUGE);
	host_preempt_rm = unregister_it;
	EXPECT_EQ(IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_HUGE, 20), H_TOO_HARD);
	EXPECT_EQ(host_preempt_rm, NULL);
	EXPECT_EQ(raced_unregister, 0);
	CHECK();
	EXPECT_EQ(mapped_at(self->mm, UA(UA_HUGE)), 0);
}

TEST_F(kvm, real_mode_and_memory_that_would_go)
{
	long ret;

	raced_container = self->c;
	PREPARE();
	raced_ua = UA(UA_HUGE);
	host_preempt_rm = unregister_it;
	ret = IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA_HUGE | TCE_RW, 0);
	EXPECT_EQ(host_preempt_rm, NULL);
	/* It goes before there is a count, or not at all */
	if (ret)
		EXPECT_EQ(ret, H_TOO_HARD);
	EXPECT_EQ(raced_unregister, ret ? 0 : -EBUSY);
	CHECK();
}

/* Other memory comes to where real mode has just looked */
static void replace_memory(void)
{
	const unsigned long size = 512 * PG;

	if (locks_before--)
		return;
	host_preempt_rm = NULL;
	if (req_unregister(raced_container, UA(UA_HUGE), size))
		return;
	if (!req_unregister(raced_container + 1, UA(UA_HUGE), size)) {
		mm_remap(current->mm, UA_HUGE, 512);
		req_register(raced_container + 1, UA(UA_HUGE), size);
	}
	req_register(raced_container, UA(UA_HUGE), size);
}

TEST_F(kvm, real_mode_and_memory_that_is_replaced)
{
	int fd = create_table(self->kvm, 7, 16, WINDOW1 >> 16, 64), n;

	self->fds[1] = fd;
	self->nr_fds = 2;
	raced_container = self->c;
	furnish(self->c + 1, PHB3_OTHER);
	EXPECT_WORKS(req_register(self->c + 1, UA(UA_HUGE), 512 * PG));
	EXPECT_WORKS(req_create(self->c, 12, 64 * K64, 1, NULL));
	EXPECT_WORKS(req_create(self->c + 1, 16, 64 * K64, 1, NULL));
	/* The one with larger pages comes first */
	EXPECT_WORKS(attach(self->kvm, fd, PHB3));
	EXPECT_WORKS(attach(self->kvm, fd, PHB3_OTHER));
	for (n = 0; !host_preempt_rm; n++) {
		EXPECT_WORKS(STUFF(7, WINDOW1, 0, 64));
		EXPECT_WORKS(req_unregister(self->c, UA(UA_HUGE), 512 * PG));
		EXPECT_WORKS(req_unregister(self->c + 1, UA(UA_HUGE), 512 * PG));
		mm_unmap(self->mm, UA_HUGE, 512);
		mm_fill(self->mm, UA_HUGE, 512, ilog2(HOST_2M_PAGES));
		EXPECT_WORKS(req_register(self->c, UA(UA_HUGE), 512 * PG));
		EXPECT_WORKS(req_register(self->c + 1, UA(UA_HUGE), 512 * PG));
		EXPECT_WORKS(kvm_hcall(self->vcpu, KVM_VIRTUAL, H_PUT_TCE, 7,
				       WINDOW1, GPA_HUGE | TCE_RW, 0));
		EXPECT_WORKS(STUFF(7, WINDOW1, 0, 1));
		locks_before = n;
		host_preempt_rm = replace_memory;
		IN_REAL_MODE(H_PUT_TCE, 7, WINDOW1, GPA_HUGE | TCE_RW, 0);
		CHECK();
	}
	host_preempt_rm = NULL;
	EXPECT_GT(n, 2);
}

/*
 * Real mode in the middle of what others do to the same table.
 */

static unsigned int intruder_hcall;
static unsigned long intruder_args[4];

/* Who is refused tries again, which must change nothing */
static void intrude_in_real_mode(void)
{
	int tries = 2;

	do {
		raced_answer = kvm_hcall(raced_vcpu, KVM_REAL, intruder_hcall,
					 intruder_args[0], intruder_args[1],
					 intruder_args[2], intruder_args[3]);
	} while (raced_answer == H_TOO_HARD && --tries);
}

enum raced_request {
	RACED_MAP,
	RACED_UNMAP,
	RACED_CLOSE,
	RACED_PUT,
	RACED_LIST,
	RACED_STUFF,
	RACED_REQUESTS,
};

static long raced_request(struct host_container *c, struct kvm_vcpu *vcpu,
			  enum raced_request what)
{
	switch (what) {
	case RACED_MAP:
		return req_map(c, 0, UA(8), max(16 * P4, PG), RW);
	case RACED_UNMAP:
		return req_unmap(c, 0, 16 * PG);
	case RACED_CLOSE:
		return req_remove(c, 0);
	case RACED_PUT:
		return kvm_hcall(vcpu, KVM_VIRTUAL, H_PUT_TCE, LIOBN, 2 * P4,
				 GPA(3) | TCE_RW, 0);
	case RACED_LIST:
		return kvm_hcall(vcpu, KVM_VIRTUAL, H_PUT_TCE_INDIRECT, LIOBN,
				 0, GPA_LIST, 16);
	default:
		return kvm_hcall(vcpu, KVM_VIRTUAL, H_STUFF_TCE, LIOBN, 0, 0, 16);
	}
}

TEST_F(kvm, real_mode_in_the_middle)
{
	static const unsigned long intruders[][5] = {
		{ H_PUT_TCE, LIOBN, 2 * P4, GPA(5) | TCE_RW },
		{ H_PUT_TCE, LIOBN, 2 * P4, 0 },
		{ H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_LIST, 16 },
		{ H_STUFF_TCE, LIOBN, 0, 0, 16 },
	};
	unsigned int answers[2] = { 0 }, k, before;
	enum raced_request what;
	int n;

	PREPARE();
	raced_vcpu = kvm_vcpu_create(self->kvm);
	kvm_hcall(raced_vcpu, KVM_VIRTUAL, H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_LIST, 1);
	raced_action = intrude_in_real_mode;
	for (what = 0; what < RACED_REQUESTS; what++) {
		for (k = 0; k < 2 * ARRAY_SIZE(intruders); k++) {
			intruder_hcall = intruders[k / 2][0];
			memcpy(intruder_args, intruders[k / 2] + 1,
			       sizeof(intruder_args));
			for (n = 0; n < 100; n++) {
				prepare_for_real_mode(self->kvm, self->vcpu,
						      self->fds[0], PHB3);
				write_list(self->kvm, GPA_LIST, GPA(4) | TCE_RW,
					   P4, 16);
				for (before = 0; before < k % 2; before++)
					raced_request(self->c, self->vcpu, RACED_LIST);
				locks_before = n;
				host_preempt = intrude;
				EXPECT_EQ(raced_request(self->c, self->vcpu, what), 0);
				if (host_preempt)
					break;
				/* With VFIO's maps the guest has nothing to do */
				if (what >= RACED_PUT)
					check_mirrors(self->kvm);
				/* Whatever was too hard is done now */
				if (raced_answer == H_TOO_HARD)
					kvm_hcall(raced_vcpu, KVM_VIRTUAL,
						  intruder_hcall,
						  intruder_args[0],
						  intruder_args[1],
						  intruder_args[2],
						  intruder_args[3]);
				answers[raced_answer == H_TOO_HARD]++;
				world_check();
				if (what == RACED_CLOSE)
					EXPECT_EQ(req_create(self->c, 12,
							     NR_TCES * P4, 1, NULL), 0);
			}
			host_preempt = NULL;
			EXPECT_GT(n, 1);
			if (what == RACED_CLOSE)
				EXPECT_EQ(req_create(self->c, 12, NR_TCES * P4,
						     1, NULL), 0);
		}
	}
	EXPECT_GT(answers[0], 20);
	EXPECT_GT(answers[1], 20);
	kvm_vcpu_destroy(raced_vcpu);
}

/* Virtual mode owns the guest's table while it allocates */
TEST_F(kvm, real_mode_while_virtual_mode_sleeps)
{
	unsigned int refused = 0;
	int n;

	PREPARE();
	raced_vcpu = kvm_vcpu_create(self->kvm);
	raced_action = intrude_in_real_mode;
	intruder_hcall = H_PUT_TCE;
	intruder_args[0] = LIOBN;
	intruder_args[1] = 0;
	intruder_args[2] = GPA(5) | TCE_RW;
	for (n = 0; !host_preempt; n++) {
		locks_before = n;
		host_preempt = intrude;
		EXPECT_EQ(kvm_hcall(self->vcpu, KVM_VIRTUAL, H_PUT_TCE, LIOBN,
				    P4, GPA(1) | TCE_RW, 0), 0);
		if (host_preempt)
			break;
		CHECK();
		refused += raced_answer == H_TOO_HARD;
		EXPECT_EQ(STUFF(LIOBN, 0, 0, 2), 0);
	}
	host_preempt = NULL;
	/* It comes in time only before virtual mode has begun */
	EXPECT_EQ(refused, (unsigned int)n - 1);
	kvm_vcpu_destroy(raced_vcpu);
}

static struct tce_lock *kept_lock;
static unsigned int waits;

static void let_go(void)
{
	waits++;
	tce_unlock_rm(kept_lock);
}

/* ... and waits for what real mode has begun with a hardware table */
TEST_F(kvm, virtual_mode_waits_for_real_mode)
{
	enum raced_request what;

	prepare_for_real_mode(self->kvm, self->vcpu, self->fds[0], PHB3);
	write_list(self->kvm, GPA_LIST, GPA(4) | TCE_RW, P4, 16);
	kept_lock = &window_of(self->c)->it_user->lock;
	for (what = 0; what < RACED_REQUESTS; what++) {
		if (what == RACED_CLOSE)
			continue;
		waits = 0;
		EXPECT_EQ(tce_trylock_rm(kept_lock), true);
		host_waits = let_go;
		EXPECT_EQ(raced_request(self->c, self->vcpu, what), 0);
		host_waits = NULL;
		EXPECT_EQ(waits, 1);
		EXPECT_EQ(kept_lock->word, 0);
	}
}

/*
 * Real mode, and what is too hard for it in virtual mode, is the same as
 * virtual mode alone.
 */

#define SCRIPT_STEPS	400

struct script_step {
	u64 state;
	u64 tce;
	long answer;
	unsigned long charged;
};

static unsigned int pick(unsigned int *seed, unsigned int below)
{
	*seed = *seed * 1103515245 + 12345;

	return (*seed >> 12) % below;
}

/* What is in tables and regions, but no address of the host */
static void digest_one(struct host_pe *hpe, unsigned int window,
		       unsigned int shift, unsigned long index,
		       unsigned long tce, void *priv)
{
	u64 *digest = priv;
	unsigned long held;

	if (tce >= HOST_LINEAR_OFFSET)
		return;
	held = machine_shadow(hpe->pe.table_group.tables[window], index);
	*digest = (*digest ^ (hpe->pe.pe_number + (index << shift))) * 0x100000001b3UL;
	*digest = (*digest ^ tce) * 0x100000001b3UL;
	*digest = (*digest ^ held) * 0x100000001b3UL + (*digest >> 29);
}

static u64 comparable(struct mm_struct *mm)
{
	static struct host_region regions[64];
	u64 digest = host_usage.level_bytes;
	unsigned long nr, i;

	for (i = 0; i < HOST_PES; i++)
		machine_visit_tces(host_pes + i, digest_one, &digest);
	nr = glue_regions(mm, regions, 64);
	for (i = 0; i < nr; i++)
		digest = (digest ^ (regions[i].ua + regions[i].mapped)) *
			0x100000001b3UL;

	return digest ^ host_usage.pins;
}

static unsigned long script_gpa(unsigned int *seed)
{
	static const unsigned long starts[] = {
		0, GPA(250), GPA_REGION_2, GPA_HUGE, GPA_HUGE, GPA_STRANGE,
	};
	unsigned int kind = pick(seed, 40);

	if (kind == 0)
		return GPA_NOTHING;
	if (kind == 1)
		return 0x800;

	return starts[pick(seed, ARRAY_SIZE(starts) - !!pick(seed, 8))] +
		(unsigned long)pick(seed, 32) * P4;
}

static u64 script_tce(unsigned int *seed)
{
	unsigned long gpa = script_gpa(seed);

	if (!pick(seed, 12))
		return pick(seed, 2) ? 0 : 0x7000;

	return gpa | (pick(seed, 3) ? TCE_RW : 1 + pick(seed, 2));
}

/* The same requests for the same @seed, whatever the mode */
static void script(struct kvm *kvm, struct kvm_vcpu *vcpu, enum kvm_mode mode,
		   struct host_container *c, unsigned int seed,
		   struct script_step *steps)
{
	unsigned long liobn, ioba, nr, i;
	struct script_step *step;
	unsigned int what;
	u64 tce;

	for (step = steps; step < steps + SCRIPT_STEPS; step++) {
		what = pick(&seed, 20);
		liobn = LIOBN + pick(&seed, 3);
		ioba = liobn == LIOBN ? pick(&seed, 1030) * P4 :
			pick(&seed, 40) * K64;
		if (!pick(&seed, 50))
			ioba += pick(&seed, 2) ? 8 : NR_TCES * P4;
		nr = 1 + pick(&seed, pick(&seed, 4) ? 16 : 512);
		step->tce = 0;
		step->answer = 0;
		tce = script_tce(&seed);
		switch (what) {
		case 0 ... 6:
			step->answer = kvm_hcall(vcpu, mode, H_PUT_TCE, liobn,
						 ioba, tce, 0);
			break;
		case 7 ... 11:
			write_list(kvm, GPA_LIST, tce, P4, nr);
			for (i = pick(&seed, 4); i; i--)
				write_one(kvm, GPA_LIST, pick(&seed, nr),
					  script_tce(&seed));
			step->answer = kvm_hcall(vcpu, mode, H_PUT_TCE_INDIRECT,
						 liobn, ioba, GPA_LIST, nr);
			break;
		case 12 ... 15:
			step->answer = kvm_hcall(vcpu, mode, H_STUFF_TCE, liobn,
						 ioba, pick(&seed, 3) ? 0 : tce, nr);
			break;
		case 16:
			/* A container that has a part in it comes or goes */
			if (c[1].data)
				vfio_close(c + 1);
			else
				furnish(c + 1, PHB3_OTHER);
			break;
		case 17:
			req_register(c + 1, UA(UA_MEDIUM), 512 * PG);
			break;
		case 18:
			if (pick(&seed, 2))
				req_map(c, 0, UA(16), 4 * PG, RW);
			else
				req_unmap(c, 0, 16 * PG);
			break;
		}
		if (!kvm_hcall(vcpu, mode, H_GET_TCE, liobn, ioba, 0, 0))
			step->tce = vcpu->arch.gpr[4];
		world_check();
		step->state = comparable(kvm->mm);
		step->charged = kvm->mm->locked_vm;
	}
}

TEST_F_TIMEOUT(kvm, same_in_both_modes, 120)
{
	static struct script_step steps[2][SCRIPT_STEPS];
	struct kvm_vcpu *vcpu;
	struct mm_struct *mm;
	unsigned int seed, i;
	struct kvm *kvm;
	int fds[3], k;

	/* Of the fixture nothing is wanted */
	for (seed = 0; seed < 4; seed++) {
		for (k = 0; k < 2; k++) {
			kvm_vcpu_destroy(self->vcpu);
			kvm_close(self->fds[0]);
			kvm_put_kvm(self->kvm);
			vfio_close(self->c);
			host_settle();
			mm_destroy(self->mm);
			mm_destroy(self->other);
			world_check();

			mm = mm_create(1UL << 40);
			self->mm = mm;
			self->other = mm_create(1UL << 40);
			current->mm = mm;
			furnish(self->c, PHB3);
			req_register(self->c, UA(0), 256 * PG);
			req_register(self->c, UA(UA_CONTIGUOUS), 256 * PG);
			req_register(self->c, UA(UA_HUGE), 512 * PG);
			kvm = kvm_create();
			set_up_guest(kvm);
			vcpu = kvm_vcpu_create(kvm);
			fds[0] = create_table(kvm, LIOBN, 12, 0, NR_TCES);
			fds[1] = create_table(kvm, LIOBN + 1, 16, 0, NR_TCES / 16);
			fds[2] = create_table(kvm, LIOBN + 2, 16, 0, NR_TCES / 16);
			attach(kvm, fds[0], PHB3);
			attach(kvm, fds[1], PHB3);
			script(kvm, vcpu, k ? variant->mode : KVM_VIRTUAL,
			       self->c, seed, steps[k]);
			kvm_close(fds[1]);
			kvm_close(fds[2]);
			vfio_close(self->c + 1);
			self->kvm = kvm;
			self->vcpu = vcpu;
			self->fds[0] = fds[0];
		}
		for (i = 0; i < SCRIPT_STEPS; i++) {
			ASSERT_EQ(steps[0][i].answer, steps[1][i].answer)
				TH_LOG("seed %u, step %u", seed, i);
			ASSERT_EQ(steps[0][i].tce, steps[1][i].tce);
			ASSERT_EQ(steps[0][i].charged, steps[1][i].charged)
				TH_LOG("seed %u, step %u", seed, i);
			ASSERT_EQ(steps[0][i].state, steps[1][i].state)
				TH_LOG("seed %u, step %u", seed, i);
		}
	}
}

TEST_HARNESS_MAIN
