/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For KVM's TCE tables: guests, their memory slots and VCPUs, files with their
 * descriptors and faults, and SRCU. What it takes to do it is in kvm-core.c.
 */
#ifndef _SPAPR_TCE_SHIM_KVM_HOST_H
#define _SPAPR_TCE_SHIM_KVM_HOST_H

#include <fcntl.h>

#include <linux/hashtable.h>

#include <asm/hvcall.h>

/* Fine for the answers of hypercalls, which is all that is wanted of it */
#define __user
#define __force

typedef u64 gfn_t;
typedef unsigned int vm_fault_t;

/*
 * SRCU: whoever waits for readers must not be one.
 */

struct srcu_struct {
	pthread_rwlock_t lock;
};

int srcu_read_lock(struct srcu_struct *srcu);
void srcu_read_unlock(struct srcu_struct *srcu, int idx);
bool srcu_read_lock_held(const struct srcu_struct *srcu);
void synchronize_srcu(struct srcu_struct *srcu);
void call_srcu(struct srcu_struct *srcu, struct rcu_head *head,
	       void (*func)(struct rcu_head *head));

/*
 * Hash tables that readers of SRCU look into.
 */

static inline void hash_insert_rcu(struct hlist_node *node,
				   struct hlist_head *head)
{
	struct hlist_node *first = head->first;

	node->next = first;
	node->pprev = &head->first;
	rcu_assign_pointer(head->first, node);
	if (first)
		first->pprev = &node->next;
}

static inline void hash_del_rcu(struct hlist_node *node)
{
	if (!node->pprev)
		return;
	rcu_assign_pointer(*node->pprev, node->next);
	if (node->next)
		node->next->pprev = node->pprev;
	node->pprev = NULL;
}

#define hash_add_rcu(table, node, key) \
	hash_insert_rcu(node, &(table)[hash_min(key, HASH_BITS(table))])

/* Readers must be inside SRCU, or keep who would free it out by a mutex */
void host_check_srcu(void);
#define hlist_for_each_entry_srcu(pos, head, member, cond)		\
	for (host_check_srcu(),						\
	     pos = hlist_entry_safe(rcu_dereference((head)->first),	\
				    typeof(*(pos)), member);		\
	     pos;							\
	     pos = hlist_entry_safe(rcu_dereference((pos)->member.next), \
				    typeof(*(pos)), member))

/*
 * Files.
 */

struct inode;

struct file {
	const struct file_operations *f_op;
	void *private_data;
	int count;
};

struct fd {
	struct file *file;
};

#define fd_file(f)		((f).file)
struct fd fdget(unsigned int fd);
void fdput(struct fd f);
int get_unused_fd_flags(unsigned int flags);
void put_unused_fd(unsigned int fd);
void fd_install(unsigned int fd, struct file *file);
struct file *anon_inode_getfile(const char *name,
				const struct file_operations *fops, void *priv,
				int flags);
struct file *get_file(struct file *file);
void fput(struct file *file);

/*
 * Mappings of files.
 */

#define VM_FAULT_OOM			0x1
#define VM_FAULT_SIGBUS			0x2
#define VM_FAULT_RETRY			0x400
#define FAULT_FLAG_ALLOW_RETRY		0x4
#define FAULT_FLAG_RETRY_NOWAIT		0x8
#define FAULT_FLAG_TRIED		0x20

struct vm_fault {
	struct vm_area_struct *vma;
	unsigned long pgoff;
	unsigned int flags;
	struct page *page;
};

struct vm_operations_struct {
	vm_fault_t (*fault)(struct vm_fault *vmf);
};

struct vm_area_struct {
	const struct vm_operations_struct *vm_ops;
	struct file *vm_file;
};

static inline bool fault_flag_allow_retry_first(unsigned int flags)
{
	return (flags & FAULT_FLAG_ALLOW_RETRY) && !(flags & FAULT_FLAG_TRIED);
}

void release_fault_lock(struct vm_fault *vmf);

void get_page(struct page *page);

#ifndef capable
#define CAP_IPC_LOCK		14
#define capable(cap)		((void)(cap), false)
#endif
#define RLIMIT_MEMLOCK		8
#define rlimit(what)		((void)(what), current->mm->limit << PAGE_SHIFT)

#define lockdep_off()	do { } while (0)
#define lockdep_on()	do { } while (0)

/*
 * Guests.
 */

#define KVM_MEMSLOT_INVALID	(1UL << 16)
#define HOST_SLOTS		8

struct kvm_memory_slot {
	gfn_t base_gfn;
	unsigned long npages;
	unsigned long userspace_addr;
	u32 flags;
};

struct kvm_memslots {
	struct kvm_memory_slot slots[HOST_SLOTS];
};

struct kvm {
	struct list_head node;
	struct mm_struct *mm;
	struct srcu_struct srcu;
	struct kvm_memslots memslots;
	int users;
	struct {
		struct mutex spapr_tce_lock;
		DECLARE_HASHTABLE(spapr_tce_tables, 8);
		unsigned long enabled_hcalls[4];
	} arch;
};

struct kvm_vcpu {
	struct kvm *kvm;
	unsigned long id;
	struct {
		struct kvmppc_tce_vcpu *tce;
		unsigned int nr_tce_calls;
		unsigned long gpr[32];
		struct {
			unsigned long msr;
		} shregs;
	} arch;
};

struct kvm_create_spapr_tce_64 {
	u64 liobn;
	u32 page_shift;
	u32 flags;
	u64 offset;
	u64 size;
};

#define kvmppc_ioba_validate(stt, ioba, npages)				\
	(iommu_tce_check_ioba((stt)->page_shift, (stt)->offset, (stt)->size, \
			      ioba, npages) ? H_PARAMETER : H_SUCCESS)

void kvm_get_kvm(struct kvm *kvm);
void kvm_put_kvm(struct kvm *kvm);

#define KVM_HVA_ERR_BAD		(~0UL)

static inline bool kvm_is_error_hva(unsigned long hva)
{
	return hva == KVM_HVA_ERR_BAD;
}

struct kvm_memslots *kvm_memslots(struct kvm *kvm);
struct kvm_memslots *kvm_memslots_raw(struct kvm *kvm);
struct kvm_memory_slot *__gfn_to_memslot(struct kvm_memslots *slots, gfn_t gfn);
unsigned long gfn_to_hva(struct kvm *kvm, gfn_t gfn);

static inline unsigned long
__gfn_to_hva_memslot(const struct kvm_memory_slot *slot, gfn_t gfn)
{
	return slot->userspace_addr + ((gfn - slot->base_gfn) << PAGE_SHIFT);
}

static inline void kvmppc_set_gpr(struct kvm_vcpu *vcpu, int num,
				  unsigned long value)
{
	vcpu->arch.gpr[num] = value;
}

static inline unsigned long kvmppc_get_gpr(struct kvm_vcpu *vcpu, int num)
{
	return vcpu->arch.gpr[num];
}

/* Before the VCPU has left its run loop */
#define MSR_PR			BIT(14)
#define MSR_TS_MASK		(BIT(33) | BIT(34))
#define KVM_GUEST_MODE_NONE	0
#define KVM_GUEST_MODE_HV_P9	4

struct host_paca {
	struct {
		u8 in_guest;
	} kvm_hstate;
};

extern __thread struct host_paca host_paca;
#define local_paca		(&host_paca)
#define radix_enabled()		true
#define SPRN_AMR		13
#define mfspr(nr)		0UL

/* As in the kernel, a name of a register and nothing else */
#define mtspr(nr, value)	host_mtspr_##nr(value)
static inline void host_mtspr_SPRN_AMR(unsigned long value)
{
}

#define isync()			do { } while (0)
bool kvmppc_tce_hcall_early(struct kvm_vcpu *vcpu);

/* Real mode's rules are checked where it begins */
#define guard(what)		guard_##what
#define guard_irqsave() \
	unsigned long host_flags __attribute__((cleanup(host_end_irqsave), unused)); \
	local_irq_save(host_flags)
static inline void host_end_irqsave(const unsigned long *flags)
{
	local_irq_restore(*flags);
}

#define guard_rcu() \
	const int host_rcu __attribute__((cleanup(host_end_rcu), unused)) = \
		(rcu_read_lock(), 0)
static inline void host_end_rcu(const int *rcu)
{
	rcu_read_unlock();
}

#define array_index_nospec(i, n) (i)
#define CONFIG_KVM_BOOK3S_HV_POSSIBLE	1

extern bool host_context_tracking;
#define context_tracking_enabled()	READ_ONCE(host_context_tracking)

int kvm_vm_ioctl_create_spapr_tce(struct kvm *kvm,
				  struct kvm_create_spapr_tce_64 *args);
long kvm_spapr_tce_attach_iommu_group(struct kvm *kvm, int tablefd,
				      struct iommu_group *grp);
void kvm_spapr_tce_release_iommu_group(struct kvm *kvm, struct iommu_group *grp);
void kvmppc_tce_trace_calls(struct kvm_vcpu *vcpu);
static inline void kvmppc_tce_trace_flush(struct kvm_vcpu *vcpu)
{
	if (vcpu->arch.nr_tce_calls)
		kvmppc_tce_trace_calls(vcpu);
}

int kvmppc_tce_init(void);
void kvmppc_tce_exit(void);

long kvmppc_h_put_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
		      unsigned long ioba, unsigned long tce);
long kvmppc_h_put_tce_indirect(struct kvm_vcpu *vcpu, unsigned long liobn,
			       unsigned long ioba, unsigned long tce_list,
			       unsigned long npages);
long kvmppc_h_stuff_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
			unsigned long ioba, unsigned long tce_value,
			unsigned long npages);
long kvmppc_h_get_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
		      unsigned long ioba);
long kvmppc_rm_h_put_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
			 unsigned long ioba, unsigned long tce);
long kvmppc_rm_h_put_tce_indirect(struct kvm_vcpu *vcpu, unsigned long liobn,
				  unsigned long ioba, unsigned long tce_list,
				  unsigned long npages);
long kvmppc_rm_h_stuff_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
			   unsigned long ioba, unsigned long tce_value,
			   unsigned long npages);
long kvmppc_rm_h_get_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
			 unsigned long ioba);

#endif
