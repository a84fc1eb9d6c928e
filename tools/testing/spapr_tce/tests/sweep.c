// SPDX-License-Identifier: GPL-2.0-only
/*
 * Allocation-failure sweep: each request once for every step of it that can
 * fail (allocation, pin, charge, firmware call, copy), with that one failing.
 * What then fails has changed nothing, and the same request works afterwards.
 */
#include "kvm.h"

#undef __used
#undef __packed
#undef __maybe_unused
#undef is_signed_type
#include "kselftest_harness.h"

#define K64		0x10000UL
#define PG		PAGE_SIZE
#define UA(page)	host_ua(page)
#define WINDOW1		BIT(59)

static struct host_container c[2];
static struct mm_struct *mm;
static struct kvm *kvm;
static struct kvm_vcpu *vcpu;
static int tablefd;

static void world_begin(void)
{
	machine_init();
	mm = mm_create(1UL << 40);
	current->mm = mm;
	memset(c, 0, sizeof(c));
	world_check_containers(c, 2);
}

static void world_end(void)
{
	int i;

	if (kvm) {
		kvm_vcpu_destroy(vcpu);
		if (tablefd >= 0)
			kvm_close(tablefd);
		kvm_put_kvm(kvm);
		kvm = NULL;
	}
	for (i = 0; i < 2; i++)
		vfio_close(c + i);
	world_check();
	mm_destroy(mm);
	machine_reset();
	world_check_empty();
}

/* A container of version 2 with two groups, nothing else */
static void fresh(void)
{
	vfio_attach(c, host_pes);
	vfio_set_iommu(c, VFIO_SPAPR_TCE_v2_IOMMU);
	vfio_attach(c, host_pes + 1);
}

/* The same of this process, though there is nothing in it */
static void owned(void)
{
	fresh();
	req_register(c, UA(0), PG);
	req_unregister(c, UA(0), PG);
}

/* The same with memory, both windows and some maps */
static void furnished(void)
{
	fresh();
	req_register(c, UA(UA_HUGE), 256 * PG);
	req_register(c, UA(UA_HUGE + 256), 256 * PG);
	req_map(c, 0, UA(UA_HUGE), 8 * PG, RW);
	req_create(c, 16, 1UL << 47, 2, NULL);
	req_map(c, WINDOW1, UA(UA_HUGE), 2 * K64, RW);
}

/* ... and levels that nothing is mapped in, which have to go for others */
static void at_the_limit(void)
{
	unsigned int i;

	furnished();
	for (i = 0; i < 16; i++) {
		req_map(c, WINDOW1 + (1UL << 46) + ((u64)i << 36), UA(UA_HUGE), K64, RW);
		req_unmap(c, WINDOW1 + (1UL << 46) + ((u64)i << 36), K64);
	}
	mm->limit = mm->locked_vm;
}

static void furnished_v1(void)
{
	char arg[16] = { 0 };

	vfio_attach(c, host_pes);
	vfio_set_iommu(c, VFIO_SPAPR_TCE_IOMMU);
	vfio_ioctl(c, VFIO_IOMMU_ENABLE, arg);
	req_map(c, 0, UA(0), 8 * PG, RW);
}

static void groups_only(void)
{
	vfio_attach(c, host_pes);
	vfio_attach(c, host_pes + 1);
}

static long op_register(void)
{
	return req_register(c, UA(0), 500 * PG);
}

static long op_register_mixed(void)
{
	return req_register(c, UA(UA_HUGE + 3), 700 * PG);
}

static long op_register_many(void)
{
	unsigned long i;
	long ret = 0;

	for (i = 0; i < 64 && !ret; i++)
		ret = req_register(c, UA(i * 2), PG);
	if (!ret)
		return 0;
	fail_arm(0);
	while (i-- > 1)
		req_unregister(c, UA((i - 1) * 2), PG);

	return ret;
}

static long op_unregister(void)
{
	return req_unregister(c, UA(UA_HUGE + 256), 256 * PG);
}

static long op_map(void)
{
	return req_map(c, 0x20000000, UA(UA_HUGE + 100), 300 * PG, RW);
}

static long op_map_over(void)
{
	return req_map(c, 0, UA(UA_HUGE + 300), 8 * PG, RW);
}

static long op_map_sparse(void)
{
	return req_map(c, WINDOW1 + (1UL << 45) + (1UL << 30) - K64,
		       UA(UA_HUGE), 2 * K64, RW);
}

/* A leaf for each 512 pages: more than is left of the last page that is charged */
static long op_map_at_the_limit(void)
{
	long ret = 0;
	int i;

	for (i = 0; !ret && i < 8; i++)
		ret = req_map(c, WINDOW1 + (1UL << 45) + ((u64)i << 30) - K64,
			      UA(UA_HUGE), 2 * K64, RW);

	return ret;
}

static long op_map_v1(void)
{
	return req_map(c, 4 * PG, UA(100), 40 * PG, RW);
}

static long op_map_v1_far(void)
{
	return req_map(c, 0x30000000, UA(100), 4 * PG, RW);
}

static long op_unmap(void)
{
	return req_unmap(c, 0, SZ_1G);
}

static long op_create(void)
{
	return req_create(c, 16, 1UL << 47, 3, NULL);
}

static long op_remove(void)
{
	return req_remove(c, 0);
}

static long op_enable(void)
{
	char arg[16] = { 0 };

	return vfio_ioctl(c, VFIO_IOMMU_ENABLE, arg);
}

static long op_set_iommu(void)
{
	return vfio_set_iommu(c, VFIO_SPAPR_TCE_v2_IOMMU);
}

/* Who joins gets all windows, or does not join */
static long op_attach(void)
{
	struct iommu_table **theirs = host_pes[0].pe.table_group.tables;
	struct iommu_table **its = host_pes[2].pe.table_group.tables;
	long ret = vfio_attach(c, host_pes + 2);

	if (!ret && (its[0] != theirs[0] || its[1] != theirs[1]))
		host_die("a group has joined without a window\n");

	return ret;
}

static long op_attach_first(void)
{
	return vfio_attach(c + 1, host_pes + 3);
}

static void without_default(void)
{
	fresh();
	req_remove(c, 0);
}

static void v1_disabled(void)
{
	vfio_attach(c, host_pes);
	vfio_set_iommu(c, VFIO_SPAPR_TCE_IOMMU);
}

/* A guest with memory, whose table has those of two containers behind it */
static void guest(void)
{
	kvm = kvm_create();
	kvm_set_slot(kvm, 0, 0, UA(0), UA_MEDIUM);
	vcpu = kvm_vcpu_create(kvm);
	tablefd = -1;
}

static long kvm_table(void)
{
	struct kvm_create_spapr_tce_64 args = {
		.liobn = 5,
		.page_shift = 16,
		.offset = WINDOW1 >> 16,
		.size = 1UL << 31,
	};

	tablefd = kvm_vm_ioctl_create_spapr_tce(kvm, &args);

	return min(tablefd, 0);
}

static void guest_with_windows(void)
{
	int i;

	guest();
	for (i = 0; i < 2; i++) {
		vfio_attach(c + i, host_pes + (i ? 5 : 3));
		vfio_set_iommu(c + i, VFIO_SPAPR_TCE_v2_IOMMU);
		req_register(c + i, UA(UA_HUGE), 512 * PG);
		req_create(c + i, i ? 12 : 16, 1UL << 47, 2, NULL);
	}
	kvm_table();
}

static void guest_with_groups(void)
{
	guest_with_windows();
	kvm_spapr_tce_attach_iommu_group(kvm, tablefd, host_group(host_pes + 3));
	kvm_spapr_tce_attach_iommu_group(kvm, tablefd, host_group(host_pes + 5));
}

static long op_kvm_table(void)
{
	return kvm_table();
}

static long op_kvm_attach(void)
{
	return kvm_spapr_tce_attach_iommu_group(kvm, tablefd,
						host_group(host_pes + 3));
}

/* What failed is to be named as the other requests do */
static long answer(long ret)
{
	switch (ret) {
	case H_SUCCESS:
		return 0;
	case H_NOT_ENOUGH_RESOURCES:
		return -ENOMEM;
	case H_TOO_HARD:
		return -EFAULT;
	default:
		return ret;
	}
}

#define GPA_HUGE	((unsigned long)UA_HUGE << PAGE_SHIFT)

static long op_put(void)
{
	return answer(kvm_hcall(vcpu, KVM_BOTH, H_PUT_TCE, 5,
				WINDOW1 + (1UL << 45), GPA_HUGE | 3, 0));
}

/* With a TCE, and its levels are in real mode's reach */
static void guest_with_tces(void)
{
	guest_with_groups();
	op_put();
}

/* Over the end of a leaf of the view, and of each table */
static long op_put_list(void)
{
	u64 *list = kvm_guest_data(kvm, GPA_HUGE + 64 * PG);
	int i;

	for (i = 0; i < 30; i++)
		list[i] = cpu_to_be64((GPA_HUGE + i * K64) | 3);

	return answer(kvm_hcall(vcpu, KVM_BOTH, H_PUT_TCE_INDIRECT, 5,
				WINDOW1 + (1UL << 45) - 15 * K64,
				GPA_HUGE + 64 * PG, 30));
}

static long op_stuff(void)
{
	return answer(kvm_hcall(vcpu, KVM_BOTH, H_STUFF_TCE, 5, WINDOW1,
				0, 1UL << 31));
}

static long op_stuff_value(void)
{
	return answer(kvm_hcall(vcpu, KVM_BOTH, H_STUFF_TCE, 5,
				WINDOW1 + (1UL << 45) - 15 * K64, 8, 30));
}

static long op_fault(void)
{
	unsigned int flags = FAULT_FLAG_ALLOW_RETRY;
	vm_fault_t ret;
	u64 *page;

	do {
		ret = kvm_fault(tablefd, 12345, flags, &page);
		flags |= FAULT_FLAG_TRIED;
	} while (ret == VM_FAULT_RETRY);

	return ret ? -ENOMEM : 0;
}

FIXTURE(sweep) { };

FIXTURE_VARIANT(sweep)
{
	void (*setup)(void);	/* what must be there */
	long (*request)(void);
	bool lazy;		/* what succeeded before it fails may stay */
};

FIXTURE_SETUP(sweep) { }
FIXTURE_TEARDOWN(sweep) { }

FIXTURE_VARIANT_ADD(sweep, register)
{
	.setup = fresh,
	.request = op_register,
};

FIXTURE_VARIANT_ADD(sweep, register_mixed_sizes)
{
	.setup = fresh,
	.request = op_register_mixed,
};

FIXTURE_VARIANT_ADD(sweep, register_many)
{
	.setup = fresh,
	.request = op_register_many,
	.lazy = true,
};

FIXTURE_VARIANT_ADD(sweep, unregister)
{
	.setup = furnished,
	.request = op_unregister,
};

FIXTURE_VARIANT_ADD(sweep, map)
{
	.setup = furnished,
	.request = op_map,
};

FIXTURE_VARIANT_ADD(sweep, map_over)
{
	.setup = furnished,
	.request = op_map_over,
};

FIXTURE_VARIANT_ADD(sweep, map_sparse)
{
	.setup = furnished,
	.request = op_map_sparse,
};

FIXTURE_VARIANT_ADD(sweep, map_at_the_limit)
{
	.setup = at_the_limit,
	.request = op_map_at_the_limit,
	.lazy = true,
};

FIXTURE_VARIANT_ADD(sweep, map_v1)
{
	.setup = furnished_v1,
	.request = op_map_v1,
};

FIXTURE_VARIANT_ADD(sweep, map_v1_far)
{
	.setup = furnished_v1,
	.request = op_map_v1_far,
};

FIXTURE_VARIANT_ADD(sweep, unmap)
{
	.setup = furnished,
	.request = op_unmap,
};

FIXTURE_VARIANT_ADD(sweep, unmap_of_nothing)
{
	.setup = fresh,
	.request = op_unmap,
};

FIXTURE_VARIANT_ADD(sweep, create)
{
	.setup = without_default,
	.request = op_create,
};

FIXTURE_VARIANT_ADD(sweep, create_makes_default)
{
	.setup = owned,
	.request = op_create,
	.lazy = true,
};

/* Who is not the owner before is not the owner of a default window either */
FIXTURE_VARIANT_ADD(sweep, create_first_of_all)
{
	.setup = fresh,
	.request = op_create,
};

FIXTURE_VARIANT_ADD(sweep, remove)
{
	.setup = furnished,
	.request = op_remove,
};

FIXTURE_VARIANT_ADD(sweep, enable)
{
	.setup = v1_disabled,
	.request = op_enable,
};

FIXTURE_VARIANT_ADD(sweep, set_iommu)
{
	.setup = groups_only,
	.request = op_set_iommu,
};

FIXTURE_VARIANT_ADD(sweep, attach)
{
	.setup = furnished,
	.request = op_attach,
};

FIXTURE_VARIANT_ADD(sweep, attach_first)
{
	.setup = furnished,
	.request = op_attach_first,
};

FIXTURE_VARIANT_ADD(sweep, kvm_table)
{
	.setup = guest,
	.request = op_kvm_table,
};

FIXTURE_VARIANT_ADD(sweep, kvm_attach)
{
	.setup = guest_with_windows,
	.request = op_kvm_attach,
};

FIXTURE_VARIANT_ADD(sweep, kvm_put)
{
	.setup = guest_with_groups,
	.request = op_put,
	.lazy = true,
};

FIXTURE_VARIANT_ADD(sweep, kvm_put_list)
{
	.setup = guest_with_groups,
	.request = op_put_list,
	.lazy = true,
};

FIXTURE_VARIANT_ADD(sweep, kvm_put_list_over)
{
	.setup = guest_with_tces,
	.request = op_put_list,
	.lazy = true,
};

FIXTURE_VARIANT_ADD(sweep, kvm_stuff)
{
	.setup = guest_with_tces,
	.request = op_stuff,
};

FIXTURE_VARIANT_ADD(sweep, kvm_stuff_value)
{
	.setup = guest_with_tces,
	.request = op_stuff_value,
	.lazy = true,
};

FIXTURE_VARIANT_ADD(sweep, kvm_fault)
{
	.setup = guest_with_windows,
	.request = op_fault,
};

static void sweep(struct __test_metadata *_metadata,
		  const FIXTURE_VARIANT(sweep) * variant,
		  void (*arm)(unsigned long nth))
{
	unsigned long nth, failed = 0;
	bool fired = true;
	u64 before;
	long ret;

	for (nth = 1; fired; nth++) {
		world_begin();
		variant->setup();
		world_check();
		before = world_digest(mm);

		arm(nth);
		ret = variant->request();
		fired = fail_fired();
		fail_arm(0);
		world_check();
		if (ret) {
			failed++;
			EXPECT_TRUE(fired);
			EXPECT_TRUE(ret == -ENOMEM || ret == -EFAULT ||
				    ret == -EIO || ret == -EMFILE ||
				    ret == -ENFILE);
			if (!variant->lazy)
				EXPECT_EQ(world_digest(mm), before);
			EXPECT_EQ(variant->request(), 0)
				TH_LOG("step %lu: not even the second time", nth);
			world_check();
		}
		world_end();
	}
	host_test_ends();
	TH_LOG("%lu steps, the request failed at %lu", nth - 2, failed);
}

TEST_F_TIMEOUT(sweep, every_step, 300)
{
	sweep(_metadata, variant, fail_arm);
}

/* What is tried a second time fails a second time */
TEST_F_TIMEOUT(sweep, every_step_and_some_more, 300)
{
	sweep(_metadata, variant, fail_arm_from);
}

TEST_HARNESS_MAIN
