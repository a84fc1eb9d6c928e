// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that make random requests on the same containers, and as VCPUs of one
 * guest random hypercalls in both modes, with DMA all the time; between rounds
 * all of them stop and the invariants are checked. Meant for ThreadSanitizer.
 *
 * threads [ROUNDS [SEED]]
 */
#include <unistd.h>

#include "kvm.h"

#define NR_THREADS	4
#define REQUESTS	300
#define MAX_PAGES	32

#define NR_CONTAINERS	3
#define LIOBN		9

static struct host_container c[NR_CONTAINERS];
static struct mm_struct *mm;
static struct kvm *kvm;
static int tablefd;
static pthread_barrier_t barrier;
static unsigned long rounds, requests;
static bool done;

static unsigned int seed;

static unsigned int pick(unsigned int *state, unsigned int below)
{
	*state = *state * 1103515245 + 12345;

	return (*state >> 12) % below;
}

static u64 pick_region(unsigned int *state)
{
	static const u16 starts[] = { UA_SCATTERED, UA_HUGE, UA_MEDIUM };

	return host_ua(starts[pick(state, 3)] + MAX_PAGES * pick(state, 2));
}

static u64 pick_iova(unsigned int *state)
{
	u64 window = pick(state, 3) ? 0 : 1UL << 59;

	return window + (pick(state, 64) << PAGE_SHIFT) + (pick(state, 4) << 28);
}

/* The guest's memory is what pick_region() picks, and some more */
static u64 pick_tce(unsigned int *state)
{
	u64 ua = pick_region(state) + ((u64)pick(state, MAX_PAGES) << PAGE_SHIFT);

	return pick(state, 6) ? (ua - host_ua(0)) | 3 : 0;
}

static void hypercall(unsigned int *state, struct kvm_vcpu *vcpu)
{
	enum kvm_mode mode = pick(state, 4) ? KVM_BOTH : KVM_VIRTUAL;
	/* At times one that comes and goes; see change_guest() */
	unsigned long liobn = LIOBN + !pick(state, 8);
	u64 ioba = (pick(state, 64) << PAGE_SHIFT) + (pick(state, 4) << 28);
	unsigned int nr = pick(state, 64) + 1, i;
	unsigned long gpa;
	u64 tce, *list;

	switch (pick(state, 8)) {
	case 0 ... 2:
		kvm_hcall(vcpu, mode, H_PUT_TCE, liobn, ioba, pick_tce(state), 0);
		break;
	case 3 ... 4:
		/* A page for the lists of each VCPU */
		gpa = (UA_CONTIGUOUS + vcpu->id) << PAGE_SHIFT;
		list = kvm_guest_data(kvm, gpa);
		tce = pick_tce(state);
		for (i = 0; i < nr; i++)
			list[i] = cpu_to_be64(tce + i * SZ_4K);
		kvm_hcall(vcpu, mode, H_PUT_TCE_INDIRECT, liobn, ioba, gpa, nr);
		break;
	case 5 ... 6:
		kvm_hcall(vcpu, mode, H_STUFF_TCE, liobn, ioba, 0, nr);
		break;
	default:
		kvm_hcall(vcpu, mode, H_GET_TCE, liobn, ioba, 0, 0);
		break;
	}
}

/* Groups of the guest come and go, and its tables */
static void change_guest(unsigned int *state)
{
	struct host_pe *hpe = host_pes + (pick(state, 2) ? 3 : 5);
	struct kvm_create_spapr_tce_64 args = {
		.liobn = LIOBN + pick(state, 2),
		.page_shift = 12,
		.size = 16,
	};
	u64 *page;
	int fd;

	switch (pick(state, 4)) {
	case 0:
		kvm_spapr_tce_release_iommu_group(kvm, host_group(hpe));
		break;
	case 1:
		fd = kvm_vm_ioctl_create_spapr_tce(kvm, &args);
		if (fd >= 0)
			kvm_close(fd);
		break;
	case 2:
		kvm_fault(tablefd, pick(state, 8), FAULT_FLAG_ALLOW_RETRY, &page);
		break;
	}
	kvm_spapr_tce_attach_iommu_group(kvm, tablefd, host_group(hpe));
}

/* The only group of a container leaves under requests, and comes back */
static void leave_and_come_back(struct host_container *who, struct host_pe *hpe)
{
	vfio_detach(who, hpe);
	if (vfio_attach(who, hpe) ||
	    vfio_set_iommu(who, VFIO_SPAPR_TCE_v2_IOMMU))
		host_die("the group does not come back\n");
}

/* Pages far apart, whose levels go again with all of a window, or at the limit */
static void map_far(unsigned int *state, struct host_container *who)
{
	u64 iova = (1UL << 59) + ((u64)pick(state, 64) << 30);

	switch (pick(state, 4)) {
	case 0 ... 1:
		req_map(who, iova, pick_region(state), PAGE_SIZE, RW);
		break;
	case 2:
		req_unmap(who, iova, SZ_64K);
		break;
	default:
		req_unmap(who, 1UL << 59, 1UL << (30 + pick(state, 16)));
		break;
	}
}

/* Whoever reads debugfs has the table for as long as that takes */
static void read_debugfs(unsigned int *state)
{
	struct host_pe *hpe = host_pes + pick(state, HOST_PES);
	struct iommu_table *tbl;
	struct seq_file m;

	tbl = user_table_get(host_group(hpe), mm, 16,
			     pick(state, 2) ? 1UL << 59 : 0, 0);
	if (IS_ERR(tbl))
		return;
	glue_table_show(tbl, pick(state, 2) ? "map" : "info", false, &m);
	iommu_tce_table_put(tbl);
}

static void request(unsigned int *state, struct kvm_vcpu *vcpu)
{
	struct host_container *who = c + pick(state, NR_CONTAINERS);
	u64 size = (u64)(pick(state, MAX_PAGES) + 1) << PAGE_SHIFT;

	switch (pick(state, 33)) {
	case 0 ... 4:
		req_map(who, pick_iova(state), pick_region(state), size, RW);
		break;
	case 5 ... 6:
		req_unmap(who, pick_iova(state), size);
		break;
	case 7:
		req_unmap(who, 0, SZ_1G);
		break;
	case 8 ... 9:
		req_register(who, pick_region(state), MAX_PAGES * PAGE_SIZE);
		break;
	case 10 ... 11:
		req_unregister(who, pick_region(state), MAX_PAGES * PAGE_SIZE);
		break;
	case 12:
		req_create(who, 16, 1UL << (30 + pick(state, 16)), 1, NULL);
		break;
	case 13:
		req_remove(who, pick(state, 4) ? 1UL << 59 : 0);
		break;
	case 14 ... 24:
		hypercall(state, vcpu);
		break;
	case 25:
		change_guest(state);
		break;
	case 26:
		/* One thread, so that it is there between rounds */
		if (!vcpu->id)
			leave_and_come_back(c + 2, host_pes + 5);
		break;
	case 27 ... 29:
		map_far(state, who);
		break;
	case 30:
		read_debugfs(state);
		break;
	default:
		machine_dma(host_pes + pick(state, HOST_PES), pick_iova(state), true);
		break;
	}
	if (!pick(state, 16))
		host_run_works();
}

static void *thread(void *arg)
{
	unsigned int state = seed + (unsigned long)arg, i;
	struct kvm_vcpu *vcpu = kvm_vcpu_create(kvm);

	vcpu->id = (unsigned long)arg;
	rcu_register_thread();
	current->mm = mm;
	for (;;) {
		pthread_barrier_wait(&barrier);
		if (done)
			break;
		for (i = 0; i < REQUESTS; i++)
			request(&state, vcpu);
		pthread_barrier_wait(&barrier);
	}
	kvm_vcpu_destroy(vcpu);
	rcu_unregister_thread();

	return NULL;
}

/* All containers again, whatever the last round left of them */
static void furnish(void)
{
	static const int pes[NR_CONTAINERS] = { 0, 3, 5 };
	int i;

	for (i = 0; i < NR_CONTAINERS; i++) {
		vfio_attach(c + i, host_pes + pes[i]);
		if (vfio_set_iommu(c + i, VFIO_SPAPR_TCE_v2_IOMMU))
			host_die("no container\n");
	}
	/* PEs that share the tables of the first two */
	vfio_attach(c, host_pes + 2);
	vfio_attach(c + 1, host_pes + 4);
}

static void close_all(void)
{
	int i;

	for (i = 0; i < NR_CONTAINERS; i++)
		vfio_close(c + i);
}

int main(int argc, char **argv)
{
	unsigned long nr = argc > 1 ? strtoul(argv[1], NULL, 0) : 100;
	pthread_t threads[NR_THREADS];
	struct kvm_create_spapr_tce_64 args = {
		.liobn = LIOBN,
		.page_shift = 12,
		.size = SZ_1G >> 12,
	};
	unsigned long i;

	seed = argc > 2 ? strtoul(argv[2], NULL, 0) : 1;
	machine_threads = true;
	machine_init();
	mm = mm_create(1UL << 40);
	current->mm = mm;
	world_check_containers(c, NR_CONTAINERS);
	kvm = kvm_create();
	kvm_set_slot(kvm, 0, 0, host_ua(0), UA_HOLES);
	tablefd = kvm_vm_ioctl_create_spapr_tce(kvm, &args);
	pthread_barrier_init(&barrier, NULL, NR_THREADS + 1);
	for (i = 0; i < NR_THREADS; i++)
		pthread_create(threads + i, NULL, thread, (void *)i);

	for (rounds = 0; rounds < nr; rounds++) {
		if (!(rounds % 16))
			furnish();
		/* At times there is little left, and levels have to go for others */
		mm->limit = rounds % 4 ? 1UL << 40 : mm->locked_vm + 8;
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		world_check();
		requests += NR_THREADS * REQUESTS;
		if (rounds % 16 == 15) {
			close_all();
			world_check();
		}
	}
	done = true;
	pthread_barrier_wait(&barrier);
	for (i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);

	close_all();
	kvm_close(tablefd);
	kvm_put_kvm(kvm);
	world_check();
	host_settle();
	mm_destroy(mm);
	machine_reset();
	world_check_empty();
	host_test_ends();
	printf("%lu rounds, %lu requests and DMAs of %d threads\n", rounds,
	       requests, NR_THREADS);

	return 0;
}
