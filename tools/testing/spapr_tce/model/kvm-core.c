// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM's core, as far as TCE tables can tell: guests with memory slots, VCPUs
 * that make hypercalls in real mode and in virtual mode, descriptors, mappings.
 */
#include "kvm.h"

bool host_context_tracking;
bool host_trace_enabled;
bool host_tables_traced;
__thread struct host_paca host_paca;
unsigned long host_traced[2];

static pthread_mutex_t core_lock = PTHREAD_MUTEX_INITIALIZER;
LIST_HEAD(host_kvms);

void trace_kvm_tce_hcall(unsigned int hcall, unsigned long liobn,
			 unsigned long ioba, unsigned long npages, long ret,
			 bool real)
{
	virtual_only("a trace event");
	(void)hcall;
	(void)liobn;
	(void)ioba;
	(void)npages;
	(void)ret;
	__atomic_fetch_add(host_traced + real, 1, __ATOMIC_RELAXED);
}

void *memchr_inv(const void *start, int c, size_t size)
{
	const unsigned char *p = start;

	for (; size; size--, p++)
		if (*p != (unsigned char)c)
			return (void *)p;

	return NULL;
}

/*
 * SRCU.
 */

static __thread int srcu_depth;
static __thread struct srcu_struct *srcu_held[4];

int srcu_read_lock(struct srcu_struct *srcu)
{
	virtual_only(__func__);
	pthread_rwlock_rdlock(&srcu->lock);
	if (srcu_depth == ARRAY_SIZE(srcu_held))
		host_die("more SRCU sections than a thread may have\n");
	srcu_held[srcu_depth] = srcu;

	return srcu_depth++;
}

void srcu_read_unlock(struct srcu_struct *srcu, int idx)
{
	virtual_only(__func__);
	if (idx != --srcu_depth)
		host_die("an SRCU section ends that is not the last one\n");
	pthread_rwlock_unlock(&srcu->lock);
}

bool srcu_read_lock_held(const struct srcu_struct *srcu)
{
	int i;

	for (i = 0; i < srcu_depth; i++)
		if (srcu_held[i] == srcu)
			return true;

	return false;
}

void synchronize_srcu(struct srcu_struct *srcu)
{
	virtual_only(__func__);
	if (srcu_read_lock_held(srcu))
		host_die("a reader waits for itself\n");
	another_thread(host_preempt);
	pthread_rwlock_wrlock(&srcu->lock);
	pthread_rwlock_unlock(&srcu->lock);
}

/* What is to be called when the readers of one SRCU have gone; one at a time */
static struct {
	struct srcu_struct *srcu;
	struct rcu_head *head;
} srcu_call;

void host_srcu_barrier(void)
{
	struct rcu_head *head = srcu_call.head;

	if (!head)
		return;
	synchronize_srcu(srcu_call.srcu);
	srcu_call.head = NULL;
	head->func(head);
}

void call_srcu(struct srcu_struct *srcu, struct rcu_head *head,
	       void (*func)(struct rcu_head *head))
{
	virtual_only(__func__);
	WARN_ON(srcu_call.head);
	head->func = func;
	srcu_call.srcu = srcu;
	srcu_call.head = head;
}

void host_check_srcu(void)
{
#ifndef HOST_BENCH	/* which counts nothing */
	if (!srcu_depth && !host_mutexes && !rcu_read_ongoing())
		host_die("a list of SRCU is walked without it, and without RCU\n");
#endif
}

/*
 * Files. A process has few descriptors, and all processes share them.
 */

#define NR_FDS		32

/* A descriptor that was given out, but not filled */
static struct file unused_file;

static struct file *fds[NR_FDS];

struct fd fdget(unsigned int fd)
{
	struct file *file = NULL;

	pthread_mutex_lock(&core_lock);
	if (fd < NR_FDS && fds[fd] && fds[fd] != &unused_file)
		file = get_file(fds[fd]);
	pthread_mutex_unlock(&core_lock);

	return (struct fd){ file };
}

void fdput(struct fd f)
{
	if (f.file)
		fput(f.file);
}

int get_unused_fd_flags(unsigned int flags)
{
	int fd = -EMFILE, i;

	(void)flags;
	virtual_only(__func__);
	pthread_mutex_lock(&core_lock);
	for (i = 0; i < NR_FDS && fd < 0; i++)
		if (!fds[i])
			fd = i;
	if (fd >= 0 && fail_step())
		fd = -EMFILE;
	if (fd >= 0)
		fds[fd] = &unused_file;
	pthread_mutex_unlock(&core_lock);

	return fd;
}

static struct file *fd_take(unsigned int fd)
{
	struct file *file;

	pthread_mutex_lock(&core_lock);
	file = fds[fd];
	fds[fd] = NULL;
	pthread_mutex_unlock(&core_lock);

	return file;
}

void put_unused_fd(unsigned int fd)
{
	WARN_ON(fd_take(fd) != &unused_file);
}

void fd_install(unsigned int fd, struct file *file)
{
	pthread_mutex_lock(&core_lock);
	WARN_ON(fds[fd] != &unused_file);
	fds[fd] = file;
	pthread_mutex_unlock(&core_lock);
}

struct file *anon_inode_getfile(const char *name,
				const struct file_operations *fops, void *priv,
				int flags)
{
	struct file *file;

	(void)name;
	(void)flags;
	if (fail_step())
		return ERR_PTR(-ENFILE);
	file = calloc(1, sizeof(*file));
	file->f_op = fops;
	file->private_data = priv;
	file->count = 1;

	return file;
}

struct file *get_file(struct file *file)
{
	__atomic_fetch_add(&file->count, 1, __ATOMIC_SEQ_CST);

	return file;
}

void fput(struct file *file)
{
	virtual_only(__func__);
	if (__atomic_sub_fetch(&file->count, 1, __ATOMIC_SEQ_CST))
		return;
	if (file->f_op)
		file->f_op->release(NULL, file);
	free(file);
}

/* A descriptor of something else; for kvm_close() */
int kvm_open_other(void)
{
	static const struct file_operations none;
	int fd = get_unused_fd_flags(0);

	if (fd < 0)
		return fd;
	fd_install(fd, anon_inode_getfile("", &none, NULL, 0));
	fds[fd]->f_op = NULL;

	return fd;
}

void kvm_close(int fd)
{
	fput(fd_take(fd));
}

/*
 * Mappings. A fault has the mmap_lock, and to change a charge takes it.
 */

void release_fault_lock(struct vm_fault *vmf)
{
	(void)vmf;
	WARN_ON(!host_mmap_locked);
	host_mmap_locked = false;
}

void get_page(struct page *page)
{
	WARN_ON((unsigned long)page % PAGE_SIZE);
}

/**
 * kvm_fault() - user space touches what it has mapped of a table
 * @fd: the table
 * @pgoff: which page of it
 * @flags: of the fault
 * @page: where to put the page when 0 is returned
 *
 * Return: as a fault handler.
 */
vm_fault_t kvm_fault(int fd, unsigned long pgoff, unsigned int flags, u64 **page)
{
	struct fd f = fdget(fd);
	struct vm_area_struct vma = { .vm_file = f.file };
	struct vm_fault vmf = { .vma = &vma, .pgoff = pgoff, .flags = flags };
	vm_fault_t ret;
	bool dropped;

	WARN_ON(f.file->f_op->mmap(f.file, &vma));
	host_mmap_locked = true;
	ret = vma.vm_ops->fault(&vmf);
	/* Who wants to begin again has given up the lock, if he may, nobody else */
	dropped = (ret & VM_FAULT_RETRY) && !(flags & FAULT_FLAG_RETRY_NOWAIT);
	WARN_ON(host_mmap_locked == dropped);
	host_mmap_locked = false;
	fdput(f);
	if (!ret)
		*page = (u64 *)vmf.page;

	return ret;
}

/*
 * Guests.
 */

/* The module is loaded, after all that is built in */
static void __attribute__((constructor(210))) load_module(void)
{
	if (kvmppc_tce_init())
		host_die("KVM is not loaded\n");
}

/* A guest of the current process, without memory */
struct kvm *kvm_create(void)
{
	struct kvm *kvm = calloc(1, sizeof(*kvm));

	/* What was enabled for the guest: all */
	memset(kvm->arch.enabled_hcalls, 0xff, sizeof(kvm->arch.enabled_hcalls));

	kvm->mm = current->mm;
	mmgrab(kvm->mm);
	kvm->users = 1;
	pthread_rwlock_init(&kvm->srcu.lock, NULL);
	mutex_init(&kvm->arch.spapr_tce_lock);
	hash_init(kvm->arch.spapr_tce_tables);
	list_add_tail(&kvm->node, &host_kvms);

	return kvm;
}

void kvm_get_kvm(struct kvm *kvm)
{
	__atomic_fetch_add(&kvm->users, 1, __ATOMIC_SEQ_CST);
}

void kvm_put_kvm(struct kvm *kvm)
{
	if (__atomic_sub_fetch(&kvm->users, 1, __ATOMIC_SEQ_CST))
		return;
	if (!hash_empty(kvm->arch.spapr_tce_tables))
		host_die("a guest ends that has tables\n");
	/* What it runs after this is of a module that nothing keeps any more */
	WARN_ON(host_work_of_system());
	list_del(&kvm->node);
	mmdrop(kvm->mm);
	free(kvm);
}

/* Guest real addresses from @gpa on are user memory from @ua on */
void kvm_set_slot(struct kvm *kvm, unsigned int slot, unsigned long gpa,
		  unsigned long ua, unsigned long npages)
{
	kvm->memslots.slots[slot] = (struct kvm_memory_slot) {
		.base_gfn = gpa >> PAGE_SHIFT,
		.npages = npages,
		.userspace_addr = ua,
	};
}

struct kvm_memslots *kvm_memslots(struct kvm *kvm)
{
	virtual_only(__func__);
	if (!srcu_depth)
		host_die("memory slots are looked at without SRCU\n");

	return &kvm->memslots;
}

struct kvm_memslots *kvm_memslots_raw(struct kvm *kvm)
{
	return &kvm->memslots;
}

struct kvm_memory_slot *__gfn_to_memslot(struct kvm_memslots *slots, gfn_t gfn)
{
	struct kvm_memory_slot *slot;

	for (slot = slots->slots; slot < slots->slots + HOST_SLOTS; slot++)
		if (gfn - slot->base_gfn < slot->npages)
			return slot;

	return NULL;
}

unsigned long gfn_to_hva(struct kvm *kvm, gfn_t gfn)
{
	struct kvm_memory_slot *slot = __gfn_to_memslot(kvm_memslots(kvm), gfn);

	if (!slot || (slot->flags & KVM_MEMSLOT_INVALID))
		return KVM_HVA_ERR_BAD;

	return __gfn_to_hva_memslot(slot, gfn);
}

/* What the guest has at @gpa; NULL if it has nothing there */
void *kvm_guest_data(struct kvm *kvm, unsigned long gpa)
{
	struct kvm_memory_slot *slot;

	slot = __gfn_to_memslot(&kvm->memslots, gpa >> PAGE_SHIFT);
	if (!slot)
		return NULL;

	return host_user_data(kvm->mm,
			      __gfn_to_hva_memslot(slot, gpa >> PAGE_SHIFT) +
			      offset_in_page(gpa));
}

struct kvm_vcpu *kvm_vcpu_create(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu = calloc(1, sizeof(*vcpu));

	vcpu->kvm = kvm;

	return vcpu;
}

void kvm_vcpu_destroy(struct kvm_vcpu *vcpu)
{
	kfree(vcpu->arch.tce);
	free(vcpu);
}

static long hcall_virtual(struct kvm_vcpu *vcpu, unsigned int hcall,
			  const unsigned long *args)
{
	switch (hcall) {
	case H_PUT_TCE:
		return kvmppc_h_put_tce(vcpu, args[0], args[1], args[2]);
	case H_PUT_TCE_INDIRECT:
		return kvmppc_h_put_tce_indirect(vcpu, args[0], args[1],
						 args[2], args[3]);
	case H_STUFF_TCE:
		return kvmppc_h_stuff_tce(vcpu, args[0], args[1], args[2],
					  args[3]);
	default:
		return kvmppc_h_get_tce(vcpu, args[0], args[1]);
	}
}

static long hcall_real(struct kvm_vcpu *vcpu, unsigned int hcall,
		       const unsigned long *args)
{
	switch (hcall) {
	case H_PUT_TCE:
		return kvmppc_rm_h_put_tce(vcpu, args[0], args[1], args[2]);
	case H_PUT_TCE_INDIRECT:
		return kvmppc_rm_h_put_tce_indirect(vcpu, args[0], args[1],
						    args[2], args[3]);
	case H_STUFF_TCE:
		return kvmppc_rm_h_stuff_tce(vcpu, args[0], args[1], args[2],
					     args[3]);
	default:
		return kvmppc_rm_h_get_tce(vcpu, args[0], args[1]);
	}
}

/* With the guest's state where the host's belongs only few things can be done */
void host_check_state(const char *what)
{
	if (local_paca->kvm_hstate.in_guest != KVM_GUEST_MODE_NONE)
		host_die("%s, and an interrupt would take this for the guest\n",
			 what);
}

/* As the guest leaves its registers, of which the answer comes into the third */
static long hcall_early(struct kvm_vcpu *vcpu, unsigned int hcall,
			const unsigned long *args)
{
	long ret = H_TOO_HARD;
	unsigned long flags;
	int i;

	vcpu->arch.gpr[3] = hcall;
	for (i = 0; i < 4; i++)
		vcpu->arch.gpr[4 + i] = args[i];
	local_paca->kvm_hstate.in_guest = KVM_GUEST_MODE_HV_P9;
	local_irq_save(flags);
	rcu_read_lock();
	if (kvmppc_tce_hcall_early(vcpu))
		ret = vcpu->arch.gpr[3];
	rcu_read_unlock();
	local_irq_restore(flags);
	if (local_paca->kvm_hstate.in_guest != KVM_GUEST_MODE_HV_P9)
		host_die("an interrupt would not know that the guest's state is there\n");
	local_paca->kvm_hstate.in_guest = KVM_GUEST_MODE_NONE;

	return ret;
}

/* The guest runs, makes a hypercall, and leaves */
static long run_guest(struct kvm_vcpu *vcpu, enum kvm_mode mode,
		      unsigned int hcall, const unsigned long *args)
{
	int idx = srcu_read_lock(&vcpu->kvm->srcu);
	long ret;

	if (mode == KVM_EARLY || mode == KVM_EARLY_ONLY) {
		ret = hcall_early(vcpu, hcall, args);
	} else {
		host_enter_real_mode();
		ret = hcall_real(vcpu, hcall, args);
		host_leave_real_mode();
	}
	srcu_read_unlock(&vcpu->kvm->srcu, idx);
	kvmppc_tce_trace_flush(vcpu);

	return ret;
}

/**
 * kvm_hcall() - a guest makes a hypercall
 * @vcpu: its VCPU
 * @mode: where it is taken
 * @hcall: which
 * @a: first argument
 * @b: second argument
 * @c: third argument, if it has that
 * @d: fourth argument, if it has that
 *
 * Return: the answer; H_TOO_HARD goes to user space.
 */
long kvm_hcall(struct kvm_vcpu *vcpu, enum kvm_mode mode, unsigned int hcall,
	       unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	const unsigned long args[] = { a, b, c, d };
	bool tried = mode == KVM_TRIED || mode == KVM_EARLY;
	long ret = H_TOO_HARD;

	if (mode != KVM_VIRTUAL && mode != KVM_TRIED)
		ret = run_guest(vcpu, mode, hcall, args);
	if (ret != H_TOO_HARD || mode == KVM_REAL || mode == KVM_EARLY_ONLY)
		return ret;
	WRITE_ONCE(host_tables_traced, !tried);
	ret = hcall_virtual(vcpu, hcall, args);
	WRITE_ONCE(host_tables_traced, false);

	return ret;
}
