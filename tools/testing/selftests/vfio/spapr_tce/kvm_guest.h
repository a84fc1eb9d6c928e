/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest of some 30 instructions that makes the hypercalls which it finds in a
 * list, and the VFIO container whose window it maps. Answers as those of lib.h.
 */
#ifndef SPAPR_TCE_KVM_GUEST_H
#define SPAPR_TCE_KVM_GUEST_H

#include <pthread.h>
#include <linux/kvm.h>

#include "lib.h"

#define H_SUCCESS		0
#define H_PARAMETER		(-4)
#define H_NOT_ENOUGH_RESOURCES	(-44)
/* What a guest here gets when user space, that is we, shall do it */
#define H_USER			9999
/* The answer as long as the call was not made */
#define H_NONE			9998

#define H_GET_TCE		0x1c
#define H_PUT_TCE		0x20
#define H_STUFF_TCE		0x138
#define H_PUT_TCE_INDIRECT	0x13c

#define TCE_READ		1
#define TCE_WRITE		2
#define TCE_RW			(TCE_READ | TCE_WRITE)

#define LIOBN			0x80000000ULL

/*
 * Memory of the guest, from guest real address 0: its program, lists, pages to
 * be mapped. All is one region of the container, but for the pages from
 * GUEST_LOOSE on, which a test may register one by one.
 */
#define GUEST_LIST		0x40000ULL	/* + a page for each VCPU */
#define GUEST_LIST_MAX		512
#define GUEST_PAGE		0x100000ULL
#define GUEST_LOOSE		0x300000ULL
#define GUEST_LOOSE_SIZE	0x80000ULL
#define GUEST_MEM		0x380000ULL
#define GUEST_CALLS_MAX		800

#define GUEST_VCPUS		2

/**
 * struct guest_call - a hypercall, as the guest reads and writes it
 * @args:	r3 to r7; the number of the call comes first
 * @answer:	r3 of the last time
 * @value:	and r4
 * @good:	how often it was H_SUCCESS
 * @other:	what it was when it was not, the last time
 * @fp:		loaded into a floating-point register before, stored from there
 *		afterwards
 */
struct guest_call {
	u64 args[5];
	s64 answer;
	u64 value;
	u64 good;
	s64 other;
	u64 fp;
};

#define CALL(...)	{ .args = { __VA_ARGS__ } }

/**
 * struct guest_prog - what a VCPU does
 * @again:	do not end, but begin again
 * @rounds:	how often the end of the list was reached
 * @calls:	the list; a call of number 0 ends it
 */
struct guest_prog {
	u64 again;
	u64 rounds;
	struct guest_call calls[];
};

/**
 * struct guest_vcpu - a VCPU
 * @fd:		of KVM, or -1
 * @run:	shared with KVM
 * @prog:	in the memory of the guest
 * @prog_gpa:	where there
 * @thread:	while it is started
 * @lost:	how often KVM_RUN left other values in registers of ours
 * @guest_lost:	how often a call of the guest did so in a register of its
 * @to_user:	hypercalls that KVM left to us
 * @user_call:	the last one of these
 * @ret:	what the thread ended with
 */
struct guest_vcpu {
	int fd;
	struct kvm_run *run;
	struct guest_prog *prog;
	u64 prog_gpa;
	pthread_t thread;
	u64 lost;
	u64 guest_lost;
	u64 to_user;
	u64 user_call[5];
	int ret;
};

/**
 * struct guest - a guest and a container
 * @leak:	what was there before
 * @devs:	devices
 * @ndevs:	how many
 * @dev:	the one whose group is in @c
 * @c:		the container
 * @shift:	log2 of the IOMMU page of its window
 * @start:	bus address of the window
 * @size:	of the window
 * @kvm:	file of /dev/kvm
 * @vm:		the guest
 * @vfio:	its kvm-vfio device
 * @hv:		not KVM PR
 * @mem:	memory
 * @vcpu:	processors
 */
struct guest {
	struct tce_leak leak;
	struct tce_dev devs[TCE_MAX_DEVS];
	int ndevs;
	struct tce_dev *dev;
	int c;
	u32 shift;
	u64 start;
	u64 size;
	int kvm;
	int vm;
	int vfio;
	bool hv;
	char *mem;
	struct guest_vcpu vcpu[GUEST_VCPUS];
};

/* The switch for hypercalls that end before the VCPU leaves its run loop */
#define GUEST_REAL_MODE	"/sys/module/book3s_64_vio_hv/parameters/tce_real_mode"

/*
 * A VM of @type (KVM_VM_PPC_HV or KVM_VM_PPC_PR) with its memory and no VCPU.
 * Answers NULL, or what is missing on this machine.
 */
const char *guest_open(struct guest *g, unsigned long type);
/* Can hypercalls end before the VCPU leaves its run loop? */
bool guest_takes_early(const struct guest *g);
/* All of it, whatever of it there is; the leak check is left to the caller. */
void guest_close(struct guest *g);
void guest_close_vm(struct guest *g);

/* A container with a window of @size, where the machine lets us choose. */
int guest_window(struct guest *g, u64 size);
/* Another window in place of it */
int guest_new_window(struct guest *g, u32 shift, u64 size);
/* Close the group and the container. */
void guest_unplug(struct guest *g);

/* Answers the file of a TCE table of @pages pages. */
int guest_table(struct guest *g, u64 liobn, u32 shift, u64 offset, u64 pages);
/* The same for all of the window */
int guest_window_table(struct guest *g, u64 liobn);
/* KVM_DEV_VFIO_GROUP_ADD or _DEL */
int guest_group(struct guest *g, struct tce_dev *dev, u64 attr);
int guest_attach(struct guest *g, struct tce_dev *dev, int tablefd);
/* Add the group, make a table and attach it; answers its file. */
int guest_plug(struct guest *g, u64 liobn);

/* More memory, from guest real address @gpa on */
int guest_slot(struct guest *g, u32 slot, u64 gpa, void *va, u64 size);

/* Make the VCPUs; the first one runs when asked to. */
int guest_boot(struct guest *g);
/* Let it make @n calls, into which the answers are put. */
int guest_run(struct guest *g, struct guest_call *calls, int n);
/* One call; its answer */
s64 guest_hcall(struct guest *g, u64 nr, u64 liobn, u64 ioba, u64 arg,
		u64 npages);
/* What H_GET_TCE says, or a negative answer; KVM PR does not have it */
s64 guest_get(struct guest *g, u64 liobn, u64 ioba);
/* The list of a VCPU, as a guest real address and for us */
u64 guest_list(int vcpu);
u64 *guest_list_of(struct guest *g, int vcpu);

/* How often KVM_RUN has left other values in registers of ours, or of the guest */
u64 guest_lost_registers(const struct guest *g);

/* Let VCPU @i make @n calls again and again, in a thread of its own. */
int guest_start(struct guest *g, int i, const struct guest_call *calls, int n);
u64 guest_rounds(struct guest *g, int i);
/* Wait until it has come to the end of its list @n times more. */
int guest_wait(struct guest *g, int i, u64 n);
/* Tell it to end when it comes to the end of its list. */
void guest_tell(struct guest *g, int i);
/* The same, and wait; answers what the thread ended with. */
int guest_stop(struct guest *g, int i);

#define VARIANTS_HV_PR(fixture)						\
	VARIANTS_TYPE(fixture, hv, KVM_VM_PPC_HV, pr, KVM_VM_PPC_PR)

#endif /* SPAPR_TCE_KVM_GUEST_H */
