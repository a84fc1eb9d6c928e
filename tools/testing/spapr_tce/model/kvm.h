/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KVM's core (kvm-core.c), and what its TCE tables keep to themselves
 * (glue-kvm.c).
 */
#ifndef _SPAPR_TCE_KVM_H
#define _SPAPR_TCE_KVM_H

#include <linux/kvm_host.h>
#include <trace/events/spapr_tce.h>

#include "host.h"

enum kvm_mode {
	KVM_VIRTUAL,	/* all of it where it may sleep */
	KVM_REAL,
	KVM_BOTH,	/* in real mode, and what is too hard there, in virtual mode */
	KVM_TRIED,	/* in virtual mode, first without sleeping */
	KVM_EARLY,	/* the same, and first of all in the run loop of the VCPU */
	KVM_EARLY_ONLY,
};

extern struct list_head host_kvms;
extern unsigned long host_traced[2];

struct kvm *kvm_create(void);
void kvm_set_slot(struct kvm *kvm, unsigned int slot, unsigned long gpa,
		  unsigned long ua, unsigned long npages);
void *kvm_guest_data(struct kvm *kvm, unsigned long gpa);
struct kvm_vcpu *kvm_vcpu_create(struct kvm *kvm);
void kvm_vcpu_destroy(struct kvm_vcpu *vcpu);
long kvm_hcall(struct kvm_vcpu *vcpu, enum kvm_mode mode, unsigned int hcall,
	       unsigned long a, unsigned long b, unsigned long c, unsigned long d);
vm_fault_t kvm_fault(int fd, unsigned long pgoff, unsigned int flags, u64 **page);
int kvm_open_other(void);
void kvm_close(int fd);

#define HOST_LINKS	8

struct host_kvm_table {
	u64 liobn;
	u32 page_shift;
	u64 offset;
	u64 size;
	struct mm_struct *mm;
	unsigned long charged;
	struct tce_tree *guest_tces;
	bool locked;
	unsigned int nr_links;
	struct iommu_table *links[HOST_LINKS];
};

bool glue_kvm_next(struct kvm *kvm, unsigned long *liobn,
		   struct host_kvm_table *table);
struct tce_lock *glue_kvm_lock(struct kvm *kvm, unsigned long liobn);
u64 glue_kvm_load(const struct host_kvm_table *table, unsigned long index);

#endif
