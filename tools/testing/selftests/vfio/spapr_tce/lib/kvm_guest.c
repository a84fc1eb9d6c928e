// SPDX-License-Identifier: GPL-2.0
/*
 * A bare guest and its container: see kvm_guest.h.
 */
#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "kvm_guest.h"

#define GUEST_CODE	0x1000
#define GUEST_PROG	0x10000		/* + as much for each VCPU */
#define GUEST_PROG_SIZE	0x10000

#define GUEST_DONE	0xf000		/* RTAS: KVM hands it to us */
#define GUEST_FP	0x3ff123456789abcdULL
#define GUEST_MSR_FP	BIT_ULL(13)

#define SC1		0x44000022
/*
 * Where the host is a guest itself, sc 1 of a guest of KVM PR, which runs in
 * problem state, goes to the host's hypervisor. KVM PR knows this illegal
 * instruction instead.
 */
#define SC1_PR		0x7c000268

/* r30: struct guest_prog */
static const u32 guest_code[] = {
	0x3bfe0010,	/* start: addi r31, r30, 16: calls */
	0xe87f0000,	/* next: ld r3, 0(r31) */
	0x2c230000,	/* cmpdi r3, 0 */
	0x4182004c,	/* beq done */
	0xe89f0008,	/* ld r4, 8(r31) */
	0xe8bf0010,	/* ld r5, 16(r31) */
	0xe8df0018,	/* ld r6, 24(r31) */
	0xe8ff0020,	/* ld r7, 32(r31) */
	0xcbff0048,	/* lfd f31, 72(r31): fp */
	SC1,
	0xdbff0048,	/* stfd f31, 72(r31) */
	0xf87f0028,	/* std r3, 40(r31): answer */
	0xf89f0030,	/* std r4, 48(r31): value */
	0x2c230000,	/* cmpdi r3, 0 */
	0x40820014,	/* bne other */
	0xe93f0038,	/* ld r9, 56(r31): good */
	0x39290001,	/* addi r9, r9, 1 */
	0xf93f0038,	/* std r9, 56(r31) */
	0x48000008,	/* b step */
	0xf87f0040,	/* other: std r3, 64(r31): other */
	0x3bff0050,	/* step: addi r31, r31, 80 */
	0x4bffffb0,	/* b next */
	0xe93e0008,	/* done: ld r9, 8(r30): rounds */
	0x39290001,	/* addi r9, r9, 1 */
	0xf93e0008,	/* std r9, 8(r30) */
	0xe93e0000,	/* ld r9, 0(r30): again */
	0x2c290000,	/* cmpdi r9, 0 */
	0x4082ff94,	/* bne start */
	0x38600000,	/* end: li r3, 0 */
	0x6063f000,	/* ori r3, r3, 0xf000: GUEST_DONE */
	SC1,
	0x4bfffff4,	/* b end */
};

/* ---- the machine -------------------------------------------------------- */

static const char *open_vm(struct guest *g, unsigned long type)
{
	struct kvm_create_device cd = { .type = KVM_DEV_TYPE_VFIO };

	g->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (g->kvm < 0)
		return "no KVM on this machine";
	if (tce_ioctl(g->kvm, KVM_CHECK_EXTENSION,
		      (void *)KVM_CAP_SPAPR_TCE_64) != 1)
		return "KVM has no TCE tables";
	g->vm = tce_ioctl(g->kvm, KVM_CREATE_VM, (void *)type);
	if (g->vm < 0)
		return g->hv ? "no KVM HV on this machine" :
			       "no KVM PR on this machine";
	if (tce_ioctl(g->vm, KVM_CREATE_DEVICE, &cd) < 0)
		return "KVM has no VFIO device";
	g->vfio = cd.fd;
	return NULL;
}

bool guest_takes_early(const struct guest *g)
{
	return g->hv && sys_powernv() && !access(GUEST_REAL_MODE, F_OK);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

const char *guest_open(struct guest *g, unsigned long type)
{
	const char *why;
	int i;

	memset(g, 0, sizeof(*g));
	g->kvm = -1;
	g->vm = -1;
	g->vfio = -1;
	g->c = -1;
	g->hv = type == KVM_VM_PPC_HV;
	for (i = 0; i < GUEST_VCPUS; i++)
		g->vcpu[i].fd = -1;
	tce_leak_start(&g->leak);

	g->ndevs = tce_find_devs(g->devs, TCE_MAX_DEVS);
	g->dev = &g->devs[0];
	why = g->ndevs ? open_vm(g, type) :
			 "no PCI device to take: no edu, no VFIO_DEVICE";
	if (!why) {
		g->mem = mem_alloc(GUEST_MEM, SZ_1M, MEM_POPULATE);
		if (!g->mem || guest_slot(g, 0, 0, g->mem, GUEST_MEM))
			why = "no memory for a guest";
	}
	if (why)
		guest_close(g);
	return why;
}

static int run_size(struct guest *g)
{
	return tce_ioctl(g->kvm, KVM_GET_VCPU_MMAP_SIZE, NULL);
}

void guest_close_vm(struct guest *g)
{
	int i;

	for (i = 0; i < GUEST_VCPUS; i++) {
		if (g->vcpu[i].run)
			munmap(g->vcpu[i].run, run_size(g));
		g->vcpu[i].run = NULL;
		close_fd(&g->vcpu[i].fd);
	}
	close_fd(&g->vfio);
	close_fd(&g->vm);
}

void guest_close(struct guest *g)
{
	if (g->ndevs)
		guest_unplug(g);
	guest_close_vm(g);
	close_fd(&g->kvm);
	mem_free(g->mem, GUEST_MEM);
	g->mem = NULL;
}

int guest_slot(struct guest *g, u32 slot, u64 gpa, void *va, u64 size)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)va,
	};

	return tce_ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &region);
}

/* ---- the container ------------------------------------------------------ */

int guest_new_window(struct guest *g, u32 shift, u64 size)
{
	g->shift = shift;
	g->size = size;
	return tce_create_any(g->c, shift, size, &g->start);
}

int guest_window(struct guest *g, u64 size)
{
	struct vfio_iommu_spapr_tce_info info;
	int ret;

	g->c = tce_open(g->dev, TCE_V2);
	if (g->c < 0)
		return g->c;
	ret = tce_register(g->c, g->mem, GUEST_LOOSE);
	if (!ret)
		ret = tce_get_info(g->c, &info);
	if (ret)
		return ret;

	if (sys_powernv()) {
		ret = tce_remove(g->c, info.dma32_window_start);
		return ret ?: guest_new_window(g, sys_tce_shift(), size);
	}
	/* An LPAR has its window; the first map makes it known */
	g->shift = 12;
	g->start = info.dma32_window_start;
	g->size = info.dma32_window_size;
	ret = tce_map(g->c, g->start, g->mem, SZ_64K, DMA_RW);
	return ret ?: tce_unmap(g->c, g->start, SZ_64K);
}

void guest_unplug(struct guest *g)
{
	tce_close(g->dev, g->c);
	g->c = -1;
}

/* ---- tables ------------------------------------------------------------- */

int guest_table(struct guest *g, u64 liobn, u32 shift, u64 offset, u64 pages)
{
	struct kvm_create_spapr_tce_64 args = {
		.liobn = liobn,
		.page_shift = shift,
		.offset = offset,
		.size = pages,
	};

	return tce_ioctl(g->vm, KVM_CREATE_SPAPR_TCE_64, &args);
}

int guest_window_table(struct guest *g, u64 liobn)
{
	return guest_table(g, liobn, g->shift, g->start >> g->shift,
			   g->size >> g->shift);
}

static int guest_vfio(struct guest *g, u64 attr, void *arg)
{
	struct kvm_device_attr da = {
		.group = KVM_DEV_VFIO_GROUP,
		.attr = attr,
		.addr = (uintptr_t)arg,
	};

	return tce_ioctl(g->vfio, KVM_SET_DEVICE_ATTR, &da);
}

int guest_group(struct guest *g, struct tce_dev *dev, u64 attr)
{
	return guest_vfio(g, attr, &dev->group);
}

int guest_attach(struct guest *g, struct tce_dev *dev, int tablefd)
{
	struct kvm_vfio_spapr_tce param = {
		.groupfd = dev->group,
		.tablefd = tablefd,
	};

	return guest_vfio(g, KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE, &param);
}

int guest_plug(struct guest *g, u64 liobn)
{
	int fd, ret;

	ret = guest_group(g, g->dev, KVM_DEV_VFIO_GROUP_ADD);
	if (ret)
		return ret;
	fd = guest_window_table(g, liobn);
	if (fd < 0)
		return fd;
	ret = guest_attach(g, g->dev, fd);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

/* ---- processors --------------------------------------------------------- */

/* The multi-TCE calls go to user space unless it says otherwise */
static int enable_hcall(struct guest *g, u64 nr)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_PPC_ENABLE_HCALL,
		.args = { nr, 1 },
	};

	return tce_ioctl(g->vm, KVM_ENABLE_CAP, &cap);
}

static int boot_vcpu(struct guest *g, int i)
{
	struct kvm_enable_cap papr = { .cap = KVM_CAP_PPC_PAPR };
	struct guest_vcpu *v = &g->vcpu[i];
	void *run;

	v->fd = tce_ioctl(g->vm, KVM_CREATE_VCPU, (void *)(long)i);
	if (v->fd < 0)
		return v->fd;
	run = mmap(NULL, run_size(g), PROT_READ | PROT_WRITE, MAP_SHARED,
		   v->fd, 0);
	if (run == MAP_FAILED)
		return -errno;
	v->run = run;
	v->prog_gpa = GUEST_PROG + i * GUEST_PROG_SIZE;
	v->prog = (void *)(g->mem + v->prog_gpa);
	return tce_ioctl(v->fd, KVM_ENABLE_CAP, &papr);
}

int guest_boot(struct guest *g)
{
	u32 order = 18, *code = (u32 *)(g->mem + GUEST_CODE);
	size_t i, n = sizeof(guest_code) / sizeof(*guest_code);
	int ret;

	for (i = 0; i < n; i++)
		code[i] = guest_code[i] == SC1 && !g->hv ? SC1_PR :
							   guest_code[i];
	/* Small, for it is cleared; a radix guest has none, KVM PR neither */
	if (g->hv && !sys_radix())
		tce_ioctl(g->vm, KVM_PPC_ALLOCATE_HTAB, &order);
	ret = enable_hcall(g, H_PUT_TCE_INDIRECT);
	if (!ret)
		ret = enable_hcall(g, H_STUFF_TCE);
	for (i = 0; !ret && i < GUEST_VCPUS; i++)
		ret = boot_vcpu(g, i);
	return ret;
}

static int set_calls(struct guest_vcpu *v, const struct guest_call *calls,
		     int n, bool again)
{
	struct kvm_regs regs = {
		.pc = GUEST_CODE,
		/* 64 bits, floating point, the byte order of this program */
		.msr = BIT_ULL(63) | GUEST_MSR_FP |
			(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__),
	};
	int i;

	if (n > GUEST_CALLS_MAX)
		return -E2BIG;
	regs.gpr[30] = v->prog_gpa;
	v->prog->rounds = 0;
	v->prog->again = again;
	memcpy(v->prog->calls, calls, n * sizeof(*calls));
	memset(v->prog->calls + n, 0, sizeof(*calls));
	for (i = 0; i < n; i++) {
		v->prog->calls[i].answer = H_NONE;
		v->prog->calls[i].fp = GUEST_FP;
	}
	return tce_ioctl(v->fd, KVM_SET_REGS, &regs);
}

/*
 * KVM_RUN, with something in the last floating-point and the last vector
 * register. Calls keep these two, and compilers know: what the guest has there
 * would be taken for what the caller had.
 */
static int run_once(struct guest_vcpu *v)
{
	static const u64 fp = 0x0123456789abcdef, vec = 0xfedcba9876543210;
	u64 vs31 = fp, vs63 = vec;
	long ret = v->fd;

	asm volatile("mtvsrd 31, %[vs31]\n\t"
		     "mtvsrd 63, %[vs63]\n\t"
		     "li 0, %[nr]\n\t"
		     "mr 3, %[ret]\n\t"
		     "mr 4, %[request]\n\t"
		     "li 5, 0\n\t"
		     "sc\n\t"
		     "bns+ 1f\n\t"
		     "neg 3, 3\n"
		     "1:\tmr %[ret], 3\n\t"
		     "mfvsrd %[vs31], 31\n\t"
		     "mfvsrd %[vs63], 63"
		     : [vs31] "+r" (vs31), [vs63] "+r" (vs63), [ret] "+r" (ret)
		     : [nr] "i" (__NR_ioctl), [request] "r" (KVM_RUN)
		     : "r0", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11",
		       "r12", "cr0", "ctr", "xer", "fr31", "v31", "memory");
	if (vs31 != fp || vs63 != vec) {
		printf("# KVM_RUN: %llx and %llx in registers of ours\n",
		       (u64)vs31, (u64)vs63);
		v->lost++;
	}
	return ret;
}

/* After a KVM_RUN; what the guest loads next is right again */
static void check_guest_fp(struct guest_vcpu *v)
{
	struct guest_call *call;

	for (call = v->prog->calls; call->args[0]; call++) {
		if (call->fp == GUEST_FP)
			continue;
		printf("# call %zd of the guest: %llx in a register of its\n",
		       call - v->prog->calls, call->fp);
		call->fp = GUEST_FP;
		v->guest_lost++;
	}
}

/* Until the guest has come to its end */
static int run_vcpu(struct guest_vcpu *v)
{
	struct kvm_run *run = v->run;
	int ret;

	for (;;) {
		ret = run_once(v);
		if (ret == -EINTR)
			continue;
		if (ret)
			return ret;
		if (run->exit_reason != KVM_EXIT_PAPR_HCALL) {
			printf("# the guest ended with exit %u\n",
			       run->exit_reason);
			return -EPROTO;
		}
		check_guest_fp(v);
		if (run->papr_hcall.nr == GUEST_DONE)
			return 0;
		v->user_call[0] = run->papr_hcall.nr;
		memcpy(v->user_call + 1, run->papr_hcall.args,
		       sizeof(v->user_call) - sizeof(*v->user_call));
		v->to_user++;
		run->papr_hcall.ret = H_USER;
	}
}

int guest_run(struct guest *g, struct guest_call *calls, int n)
{
	struct guest_vcpu *v = &g->vcpu[0];
	int ret = set_calls(v, calls, n, false);

	if (!ret)
		ret = run_vcpu(v);
	memcpy(calls, v->prog->calls, n * sizeof(*calls));
	return ret;
}

s64 guest_hcall(struct guest *g, u64 nr, u64 liobn, u64 ioba, u64 arg,
		u64 npages)
{
	struct guest_call call = CALL(nr, liobn, ioba, arg, npages);
	int ret = guest_run(g, &call, 1);

	return ret ? ret : call.answer;
}

s64 guest_get(struct guest *g, u64 liobn, u64 ioba)
{
	struct guest_call call = CALL(H_GET_TCE, liobn, ioba);
	int ret = guest_run(g, &call, 1);

	if (ret)
		return ret;
	return call.answer == H_SUCCESS ? (s64)call.value : call.answer;
}

u64 guest_list(int vcpu)
{
	return GUEST_LIST + vcpu * SZ_64K;
}

u64 *guest_list_of(struct guest *g, int vcpu)
{
	return (u64 *)(g->mem + guest_list(vcpu));
}

u64 guest_lost_registers(const struct guest *g)
{
	u64 lost = 0;
	int i;

	for (i = 0; i < GUEST_VCPUS; i++)
		lost += g->vcpu[i].lost + g->vcpu[i].guest_lost;
	return lost;
}

/* ---- threads ------------------------------------------------------------ */

static void *vcpu_thread(void *arg)
{
	struct guest_vcpu *v = arg;

	v->ret = run_vcpu(v);
	return NULL;
}

int guest_start(struct guest *g, int i, const struct guest_call *calls, int n)
{
	struct guest_vcpu *v = &g->vcpu[i];
	int ret = set_calls(v, calls, n, true);

	return ret ?: -pthread_create(&v->thread, NULL, vcpu_thread, v);
}

u64 guest_rounds(struct guest *g, int i)
{
	return __atomic_load_n(&g->vcpu[i].prog->rounds, __ATOMIC_ACQUIRE);
}

int guest_wait(struct guest *g, int i, u64 n)
{
	struct timespec moment = { .tv_nsec = 200000 };
	u64 end = guest_rounds(g, i) + n;
	int tries;

	for (tries = 0; tries < 50000; tries++) {
		if (guest_rounds(g, i) >= end)
			return 0;
		nanosleep(&moment, NULL);
	}
	return -ETIMEDOUT;
}

void guest_tell(struct guest *g, int i)
{
	__atomic_store_n(&g->vcpu[i].prog->again, 0, __ATOMIC_RELEASE);
}

int guest_stop(struct guest *g, int i)
{
	struct guest_vcpu *v = &g->vcpu[i];

	guest_tell(g, i);
	pthread_join(v->thread, NULL);
	return v->ret;
}
