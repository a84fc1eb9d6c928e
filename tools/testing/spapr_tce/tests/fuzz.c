// SPDX-License-Identifier: GPL-2.0-only
/*
 * A byte string is a sequence of operations: requests of all kinds to
 * containers of both versions, groups that come and go, two processes, memory
 * that is unmapped, limits, failures and DMA. The reference says what each must
 * answer; behind each, the invariants hold and every device reaches exactly
 * what it must.
 */
#include "reference.h"

#define NR_MMS		2
/* Those that differ */
#define NR_PES		4

static struct host_container containers[REF_CONTAINERS];
static struct mm_struct *mms[NR_MMS];
static unsigned long total_ops;

struct input {
	const u8 *next, *end;
};

static u64 take(struct input *in, unsigned int bytes)
{
	u64 value = 0;

	while (bytes-- && in->next < in->end)
		value = value << 8 | *in->next++;

	return value;
}

/*
 * Values that mean something, more often than not.
 */

static u64 take_size(struct input *in)
{
	static const u64 units[] = { SZ_4K, SZ_64K, PAGE_SIZE, SZ_2M };
	u8 kind = take(in, 1);

	switch (kind >> 5) {
	case 7:
		return take(in, 8);
	case 6:
		return 1ULL << (kind & 31) << (take(in, 1) & 31);
	default:
		return units[kind & 3] * ((kind >> 2 & 15) + 1);
	}
}

static u64 take_iova(struct input *in)
{
	static const u64 strides[] = { SZ_4K, SZ_64K, SZ_2M, 1ULL << 34 };
	u8 kind = take(in, 1);
	u64 offset = strides[kind & 3] * take(in, 1);

	switch (kind >> 5) {
	case 7:
		return take(in, 8);
	case 6:
		return SZ_1G - offset;
	default:
		return (kind & 4 ? 1ULL << 59 : 0) + offset;
	}
}

static u64 take_ua(struct input *in)
{
	static const u16 starts[] = {
		UA_SCATTERED, UA_CONTIGUOUS, UA_HUGE, UA_MEDIUM, UA_SHIFTED,
		UA_HOLES, UA_ALIAS, UA_HUGE + HOST_2M_PAGES,
	};
	u8 kind = take(in, 1);

	switch (kind >> 5) {
	case 7:
		return take(in, 8);
	case 6:
		return host_ua(0) + take(in, 3) * 512;
	default:
		return host_ua(starts[kind & 7] + (kind >> 3 & 3) * 16 +
			       (take(in, 1) & 15));
	}
}

static u32 take_flags(struct input *in)
{
	u8 kind = take(in, 1);

	return kind & 0x80 ? take(in, 4) : kind & 0x40 ? kind & 3 : RW;
}

static u32 take_argsz(struct input *in, u32 good)
{
	u8 kind = take(in, 1);

	return kind & 0x80 ? kind & 0x7f : good;
}

/*
 * Requests.
 */

union argument {
	struct vfio_iommu_type1_dma_map map;
	struct vfio_iommu_type1_dma_unmap unmap;
	struct vfio_iommu_spapr_register_memory reg;
	struct vfio_iommu_spapr_tce_create create;
	struct vfio_iommu_spapr_tce_remove remove;
	struct vfio_iommu_spapr_tce_info info;
	struct vfio_eeh_pe_op eeh;
};

static unsigned int take_request(struct input *in, u8 op, union argument *arg)
{
	static const u8 shifts[] = { 12, 16, 21, 30 };

	memset(arg, 0, sizeof(*arg));
	switch (op) {
	case 0 ... 3:
		arg->map = (struct vfio_iommu_type1_dma_map) {
			.argsz = take_argsz(in, sizeof(arg->map)),
			.flags = take_flags(in),
			.vaddr = take_ua(in),
			.iova = take_iova(in),
			.size = take_size(in),
		};
		return VFIO_IOMMU_MAP_DMA;
	case 4 ... 5:
		arg->unmap = (struct vfio_iommu_type1_dma_unmap) {
			.argsz = take_argsz(in, sizeof(arg->unmap)),
			.iova = take_iova(in),
			.size = take_size(in),
		};
		return VFIO_IOMMU_UNMAP_DMA;
	case 6 ... 8:
		arg->reg = (struct vfio_iommu_spapr_register_memory) {
			.argsz = take_argsz(in, sizeof(arg->reg)),
			.vaddr = take_ua(in),
			.size = take_size(in),
		};
		return op == 8 ? VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY :
			VFIO_IOMMU_SPAPR_REGISTER_MEMORY;
	case 9:
		arg->create = (struct vfio_iommu_spapr_tce_create) {
			.argsz = take_argsz(in, sizeof(arg->create)),
			.page_shift = take(in, 1),
			.window_size = take_size(in),
			.levels = take(in, 1),
		};
		/* Half of the time something that can be had */
		if (arg->create.levels & 8) {
			arg->create.page_shift =
				shifts[arg->create.page_shift & 3];
			arg->create.levels = (arg->create.levels & 7) % 5 + 1;
			arg->create.window_size =
				1ULL << (arg->create.window_size % 48);
		}
		return VFIO_IOMMU_SPAPR_TCE_CREATE;
	case 10:
		arg->remove = (struct vfio_iommu_spapr_tce_remove) {
			.argsz = take_argsz(in, sizeof(arg->remove)),
			.start_addr = take_iova(in),
		};
		return VFIO_IOMMU_SPAPR_TCE_REMOVE;
	case 11:
		arg->info.argsz = take_argsz(in, sizeof(arg->info));
		return VFIO_IOMMU_SPAPR_TCE_GET_INFO;
	case 12:
		return take(in, 1) & 1 ? VFIO_IOMMU_ENABLE : VFIO_IOMMU_DISABLE;
	case 13:
		arg->eeh.argsz = take_argsz(in, sizeof(arg->eeh));
		arg->eeh.op = take(in, 1) & 15;
		return VFIO_EEH_PE_OP;
	default:
		/* Anything at all */
		for (op = 0; op < sizeof(*arg); op++)
			((u8 *)arg)[op] = take(in, 1);
		return _IO(VFIO_TYPE, take(in, 1));
	}
}

/* Failures and limits: what may be answered instead of what must be */
static bool may_answer(struct mm_struct *mm, long ret)
{
	if (fail_fired())
		return !ret || ret == -ENOMEM || ret == -EFAULT || ret == -EIO;

	return mm->refused && ret == -ENOMEM;
}

static void do_request(struct input *in, u8 op)
{
	u8 who = take(in, 1);
	struct ref_container *c = ref_containers + (who & 7) % REF_CONTAINERS;
	union argument arg;
	unsigned int cmd = take_request(in, op, &arg);
	const void *user = who >> 4 == 15 ? NULL : &arg;
	struct mm_struct *mm = current->mm;
	long want, ret;

	mm->refused = false;
	want = ref_ioctl(c, cmd, user);
	ret = vfio_ioctl(c->host, cmd, user);
	if (ret != want && !may_answer(mm, ret))
		host_die("request %#x answers %ld instead of %ld\n", cmd, ret,
			 want);
	/* Without a prediction there is no effect either */
	if (!ret && want)
		host_die("request %#x works instead of %ld\n", cmd, want);
	ref_commit(ret);
}

/*
 * What is not a request.
 */

static struct host_pe *take_pe(struct input *in)
{
	return host_pes + take(in, 1) % NR_PES;
}

static struct ref_container *container_with(struct host_pe *hpe)
{
	int i, k;

	for (i = 0; i < REF_CONTAINERS; i++)
		for (k = 0; k < containers[i].nr_groups; k++)
			if (containers[i].groups[k] == hpe)
				return ref_containers + i;

	return NULL;
}

static long predict_attach(struct ref_container *c, struct host_pe *hpe)
{
	int i;

	if (!c->open || !c->host->nr_groups)
		return 0;
	if (!c->v2)
		return -EBUSY;
	for (i = 0; i < 2; i++)
		if (c->windows[i].there &&
		    !(hpe->pe.table_group.pgsizes >> c->windows[i].shift & 1))
			return -EPERM;

	return 0;
}

static void do_attach(struct input *in)
{
	struct ref_container *c = ref_containers + take(in, 1) % REF_CONTAINERS;
	struct host_pe *hpe = take_pe(in);
	long want, ret;

	if (container_with(hpe))
		return;
	want = predict_attach(c, hpe);
	ret = vfio_attach(c->host, hpe);
	if (ret != want && !(fail_fired() && ret))
		host_die("attaching answers %ld instead of %ld\n", ret, want);
}

static void do_set_iommu(struct input *in)
{
	struct ref_container *c = ref_containers + take(in, 1) % REF_CONTAINERS;
	bool v2 = take(in, 1) & 3;
	long want = 0, ret;

	if (!c->host->nr_groups || c->open)
		want = -EINVAL;
	else if (!v2 && c->host->nr_groups > 1)
		want = -EBUSY;
	ret = vfio_set_iommu(c->host, v2 ? VFIO_SPAPR_TCE_v2_IOMMU :
			     VFIO_SPAPR_TCE_IOMMU);
	if (ret != want && !(fail_fired() && ret))
		host_die("VFIO_SET_IOMMU answers %ld instead of %ld\n", ret, want);
	if (!ret)
		ref_open(c, v2);
}

static void do_detach(struct input *in)
{
	struct host_pe *hpe = take_pe(in);
	struct ref_container *c = container_with(hpe);

	if (!c)
		return;
	vfio_detach(c->host, hpe);
	if (!c->host->nr_groups)
		ref_close(c);
}

static void do_close(struct input *in)
{
	struct ref_container *c = ref_containers + take(in, 1) % REF_CONTAINERS;

	vfio_close(c->host);
	ref_close(c);
}

static void do_dma(struct input *in)
{
	struct host_pe *hpe = take_pe(in);
	u64 addr = take_iova(in) + (take(in, 1) << 4);
	bool write = addr & 16;
	long want, got;

	if (!container_with(hpe))
		return;
	want = ref_dma(hpe, addr, write);
	got = machine_dma(hpe, addr, write);
	if (got != want)
		host_die("DMA of pe %u at %#lx reaches %#lx instead of %#lx\n",
			 hpe->pe.pe_number, (long)addr, got, want);
}

static void do_memory(struct input *in)
{
	unsigned long first = take(in, 2) % HOST_UA_PAGES;
	unsigned long nr = take(in, 1) % 32 + 1;

	nr = min(nr, HOST_UA_PAGES - first);
	if (first & 1)
		mm_unmap(current->mm, first, nr);
	else
		mm_remap(current->mm, first, nr);
}

static void do_limit(struct input *in)
{
	u8 more = take(in, 1);

	current->mm->limit = more & 1 ? 1UL << 40 : current->mm->locked_vm + more;
}

/* A short way to what most of the others need */
static void do_furnish(void)
{
	static const u16 starts[] = {
		UA_SCATTERED, UA_CONTIGUOUS, UA_HUGE, UA_MEDIUM,
	};
	struct vfio_iommu_spapr_register_memory reg = {
		.argsz = sizeof(reg),
		.size = 64 * PAGE_SIZE,
	};
	struct ref_container *c = ref_containers;
	unsigned int i;

	if (containers->nr_groups || container_with(host_pes))
		return;
	fail_arm(0);
	if (vfio_attach(containers, host_pes) ||
	    vfio_set_iommu(containers, VFIO_SPAPR_TCE_v2_IOMMU))
		host_die("no container to start with\n");
	ref_open(c, true);
	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		reg.vaddr = host_ua(starts[i]);
		ref_ioctl(c, VFIO_IOMMU_SPAPR_REGISTER_MEMORY, &reg);
		ref_commit(vfio_ioctl(containers,
				      VFIO_IOMMU_SPAPR_REGISTER_MEMORY, &reg));
	}
}

static void step(struct input *in)
{
	u8 op = take(in, 1) % 28;

	switch (op) {
	case 0 ... 14:
		do_request(in, op);
		break;
	case 15 ... 16:
		do_attach(in);
		break;
	case 17:
		do_set_iommu(in);
		break;
	case 18:
		do_detach(in);
		break;
	case 19:
		do_close(in);
		break;
	case 20 ... 21:
		do_dma(in);
		break;
	case 22:
		current->mm = mms[take(in, 1) & 1];
		break;
	case 23:
		do_memory(in);
		break;
	case 24:
		do_limit(in);
		break;
	case 25:
		/* For the operation that follows */
		fail_arm(take(in, 1) % 64 + 1);
		return;
	default:
		do_furnish();
		break;
	}
	fail_arm(0);
	total_ops++;
	host_settle();
	world_check();
	ref_check();
}

static void start(void)
{
	int i;

	machine_init();
	for (i = 0; i < NR_MMS; i++)
		mms[i] = mm_create(1UL << 40);
	current->mm = mms[0];
	memset(containers, 0, sizeof(containers));
	world_check_containers(containers, REF_CONTAINERS);
	ref_reset(containers);
}

static void finish(void)
{
	int i;

	fail_arm(0);
	for (i = 0; i < REF_CONTAINERS; i++)
		vfio_close(containers + i);
	ref_reset(containers);
	world_check();
	host_settle();
	for (i = 0; i < NR_MMS; i++)
		mm_destroy(mms[i]);
	machine_reset();
	world_check_empty();
}

static void print_total(void)
{
	fprintf(stderr, "operations: %lu\n", total_ops);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	atexit(print_total);

	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };

	start();
	while (in.next < in.end)
		step(&in);
	finish();

	return 0;
}
