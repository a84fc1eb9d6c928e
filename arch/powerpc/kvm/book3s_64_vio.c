// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCE tables of guests, in virtual mode: H_PUT_TCE, H_PUT_TCE_INDIRECT,
 * H_STUFF_TCE, H_GET_TCE, and the tables themselves.
 *
 * A guest names a table by its LIOBN. Behind it are the user-owned tables of
 * the groups that were attached, or none when the device is an emulated one.
 * What the guest puts is kept in a table, which user space maps and H_GET_TCE
 * reads; a hardware table gets the same as far as it translates.
 *
 * A hypercall first validates all that it was given, then reserves what it
 * needs (levels of the table; counts and levels of each hardware table), and
 * then commits, which cannot fail. So several tables behind one LIOBN are all
 * changed or none. Answers:
 *
 * H_PARAMETER			the guest is wrong
 * H_TOO_HARD			user space can do it: an unknown LIOBN, memory
 *				that is in no slot or is not registered, a TCE
 *				with reserved bits; or the process is being
 *				killed and the guest sees no answer any more
 * H_NOT_ENOUGH_RESOURCES	no memory, or RLIMIT_MEMLOCK, for a level
 * H_HARDWARE			the hypervisor of an LPAR refused a TCE
 *
 * Locks: kvm->srcu keeps what is found by LIOBN, kvm_arch::spapr_tce_lock what
 * is to be found; kvmppc_spapr_tce_table::lock lets one hypercall change a table
 * at a time; inside it the locks of the hardware tables, one after the other.
 * Each of these is of one guest, and so of one process: to wait for memory of
 * that process with one of them stalls no other.
 */
#define pr_fmt(fmt) "spapr_tce: " fmt

#include <linux/anon_inodes.h>
#include <linux/capability.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/iommu.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <trace/events/spapr_tce.h>

#include "book3s_64_vio.h"

/* Pages of 4 KiB to 16 GiB */
#define KVMPPC_TCE_SHIFT_MIN	12
#define KVMPPC_TCE_SHIFT_MAX	34

/*
 * User space cannot tell why a page of a table is not there, so tables up to this
 * size are paid for when they are made. That is the 2 MiB of QEMU's default
 * window and more; tables of huge windows are hardly ever touched all over.
 */
#define KVMPPC_TCE_PREPAID	SZ_4M

/*
 * Tables.
 */

/* May free tables, so it waits for the mmap_lock of the guest's process */
static void kvmppc_tce_free_links(struct list_head *links)
{
	struct kvmppc_tce_link *link, *next;

	list_for_each_entry_safe(link, next, links, node) {
		tce_debug_ref_remove(&link->debug_ref);
		iommu_tce_table_put(link->tbl);
		kfree(link);
	}
}

static struct kvmppc_spapr_tce_table *
kvmppc_tce_alloc(struct kvm *kvm, const struct kvm_create_spapr_tce_64 *args)
{
	bool prepay = args->size <= KVMPPC_TCE_PREPAID / sizeof(u64);
	struct kvmppc_spapr_tce_table *stt;
	int ret;

	stt = kzalloc(sizeof(*stt), GFP_KERNEL_ACCOUNT);
	if (!stt)
		return ERR_PTR(-ENOMEM);

	stt->kvm = kvm;
	stt->liobn = args->liobn;
	stt->page_shift = args->page_shift;
	stt->offset = args->offset;
	stt->size = args->size;
	tce_lock_init(&stt->lock);
	INIT_LIST_HEAD(&stt->links);
	tce_account_init(&stt->account, kvm->mm);
	ret = tce_tree_init_paged(&stt->guest_tces, args->size, &stt->account, prepay);
	if (ret) {
		kfree(stt);
		return ERR_PTR(ret);
	}
	mmgrab(kvm->mm);
	kvm_get_kvm(kvm);

	return stt;
}

static void kvmppc_tce_free(struct kvmppc_spapr_tce_table *stt)
{
	struct mm_struct *mm = stt->account.mm;

	kvmppc_tce_free_links(&stt->links);
	tce_tree_destroy(&stt->guest_tces);
	mmdrop(mm);
	kvm_put_kvm(stt->kvm);
	kfree(stt);
}

static int kvmppc_tce_release(struct inode *inode, struct file *file)
{
	struct kvmppc_spapr_tce_table *stt = file->private_data;

	/* The table may never have been published */
	mutex_lock(&stt->kvm->arch.spapr_tce_lock);
	hash_del_rcu(&stt->node);
	mutex_unlock(&stt->kvm->arch.spapr_tce_lock);
	synchronize_srcu(&stt->kvm->srcu);
	kvmppc_tce_free(stt);

	return 0;
}

/*
 * Would another leaf, with all levels that lead there, exceed RLIMIT_MEMLOCK?
 * Good enough to choose an answer: locked_vm may change meanwhile.
 */
static bool kvmppc_tce_over_limit(struct kvmppc_spapr_tce_table *stt)
{
	unsigned long pages = stt->guest_tces.levels - 1;

	return !capable(CAP_IPC_LOCK) &&
		READ_ONCE(stt->account.mm->locked_vm) + pages >
		rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
}

/*
 * To pay for a level takes the mmap_lock, which a fault holds already: drop it,
 * add the level, and let the fault begin again. Where that has been tried, or is
 * not allowed, the fault fails. No memory may be a matter of time, and the fault
 * is repeated; a limit is not, and would be hit for ever.
 */
static vm_fault_t kvmppc_tce_fault_make(struct vm_fault *vmf,
					struct kvmppc_spapr_tce_table *stt,
					unsigned long index)
{
	struct file *file = vmf->vma->vm_file;

	/* The caller does not wait, and keeps the lock */
	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	if (!fault_flag_allow_retry_first(vmf->flags))
		return kvmppc_tce_over_limit(stt) ? VM_FAULT_SIGBUS :
						    VM_FAULT_OOM;

	get_file(file);
	release_fault_lock(vmf);
	tce_tree_make(&stt->guest_tces, index, GFP_KERNEL);
	fput(file);

	return VM_FAULT_RETRY;
}

static vm_fault_t kvmppc_tce_fault(struct vm_fault *vmf)
{
	struct kvmppc_spapr_tce_table *stt = vmf->vma->vm_file->private_data;
	unsigned long per_page = PAGE_SIZE / sizeof(u64);
	unsigned long index = vmf->pgoff * per_page;
	__be64 *leaf;

	if (vmf->pgoff >= DIV_ROUND_UP(stt->size, per_page))
		return VM_FAULT_SIGBUS;

	if (stt->guest_tces.prepaid) {
		leaf = tce_tree_make(&stt->guest_tces, index, GFP_KERNEL);
		if (!leaf)
			return VM_FAULT_OOM;
	} else {
		leaf = tce_tree_walk(&stt->guest_tces, index);
		if (!leaf)
			return kvmppc_tce_fault_make(vmf, stt, index);
	}

	vmf->page = virt_to_page(leaf);
	get_page(vmf->page);

	return 0;
}

static const struct vm_operations_struct kvmppc_tce_vm_ops = {
	.fault = kvmppc_tce_fault,
};

static int kvmppc_tce_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_ops = &kvmppc_tce_vm_ops;

	return 0;
}

static const struct file_operations kvmppc_tce_fops = {
	.owner = THIS_MODULE,
	.mmap = kvmppc_tce_mmap,
	.release = kvmppc_tce_release,
};

static int kvmppc_tce_publish(struct kvmppc_spapr_tce_table *stt)
{
	struct mutex *lock = &stt->kvm->arch.spapr_tce_lock;
	int ret = -EBUSY;

	if (mutex_lock_killable(lock))
		return -EINTR;
	if (!kvmppc_tce_find(stt->kvm, stt->liobn)) {
		hash_add_rcu(stt->kvm->arch.spapr_tce_tables, &stt->node,
			     (unsigned long)stt->liobn);
		ret = 0;
	}
	mutex_unlock(lock);

	return ret;
}

static bool kvmppc_tce_args_valid(const struct kvm_create_spapr_tce_64 *args)
{
	u64 end;

	return args->size &&
		args->page_shift >= KVMPPC_TCE_SHIFT_MIN &&
		args->page_shift <= KVMPPC_TCE_SHIFT_MAX &&
		!check_add_overflow(args->offset, args->size, &end) &&
		end <= U64_MAX >> args->page_shift;
}

/**
 * kvm_vm_ioctl_create_spapr_tce() - KVM_CREATE_SPAPR_TCE, KVM_CREATE_SPAPR_TCE_64
 * @kvm: the guest
 * @args: what the table shall be
 *
 * Nothing but the first level of the table is allocated. A table of up to
 * %KVMPPC_TCE_PREPAID bytes is charged whole, so that all of it can be touched;
 * a larger one as its pages are. Context: process, may sleep.
 *
 * Return: a file descriptor that owns the table and maps the table; -EINVAL for
 * arguments out of range; -EBUSY when the LIOBN is taken; -ENOMEM when memory
 * or RLIMIT_MEMLOCK does not suffice; -EMFILE, -ENFILE; -EINTR when the process
 * is killed while it waits.
 */
int kvm_vm_ioctl_create_spapr_tce(struct kvm *kvm,
				  struct kvm_create_spapr_tce_64 *args)
{
	struct kvmppc_spapr_tce_table *stt;
	struct file *file;
	int fd, ret;

	if (!kvmppc_tce_args_valid(args))
		return -EINVAL;

	fd = get_unused_fd_flags(O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return fd;

	stt = kvmppc_tce_alloc(kvm, args);
	if (IS_ERR(stt)) {
		ret = PTR_ERR(stt);
		goto put_fd;
	}

	file = anon_inode_getfile("kvm-spapr-tce", &kvmppc_tce_fops, stt,
				  O_RDWR);
	if (IS_ERR(file)) {
		kvmppc_tce_free(stt);
		ret = PTR_ERR(file);
		goto put_fd;
	}

	/* From here on the file owns it */
	ret = kvmppc_tce_publish(stt);
	if (ret) {
		fput(file);
		goto put_fd;
	}
	fd_install(fd, file);

	return fd;

put_fd:
	put_unused_fd(fd);

	return ret;
}

/*
 * Hardware tables behind them.
 */

/* With the lock, when @links have changed */
static void kvmppc_tce_find_only(struct kvmppc_spapr_tce_table *stt)
{
	struct kvmppc_tce_link *link = kvmppc_tce_next_table(stt, NULL);
	struct iommu_table *only = NULL;

	if (link && !kvmppc_tce_next_table(stt, link) &&
	    !kvmppc_tce_split(stt, link->tbl))
		only = link->tbl;
	WRITE_ONCE(stt->only, only);
}

/* Move links that are of no use to @gone: to @grp, or to tables of the past */
static void kvmppc_tce_cut_links(struct kvmppc_spapr_tce_table *stt,
				 struct iommu_group *grp,
				 struct list_head *gone)
{
	struct kvmppc_tce_link *link, *next;

	list_for_each_entry_safe(link, next, &stt->links, node)
		if (link->grp == grp || user_table_is_revoked(link->tbl))
			list_move(&link->node, gone);
}

/* False if it is there already */
static bool kvmppc_tce_add_link(struct kvmppc_spapr_tce_table *stt,
				struct kvmppc_tce_link *new)
{
	struct list_head *head = &stt->links;
	struct kvmppc_tce_link *link;

	list_for_each_entry(link, &stt->links, node) {
		if (link->tbl != new->tbl)
			continue;
		if (link->grp == new->grp)
			return false;
		head = &link->node;
	}
	list_add(&new->node, head);

	return true;
}

static long kvmppc_tce_attach(struct kvmppc_spapr_tce_table *stt,
			      struct iommu_group *grp)
{
	struct iommu_table_group *table_group = iommu_group_get_iommudata(grp);
	struct kvmppc_tce_link *link;
	struct iommu_table *tbl;
	LIST_HEAD(gone);
	int ret;

	if (!table_group)
		return -ENODEV;

	tbl = user_table_get(table_group, stt->kvm->mm, stt->page_shift,
			     stt->offset << stt->page_shift,
				   stt->size << stt->page_shift);
	if (IS_ERR(tbl)) {
		pr_debug_ratelimited("LIOBN %llx: group %d has no window like that: error %ld\n",
				     stt->liobn, iommu_group_id(grp),
				     PTR_ERR(tbl));
		return PTR_ERR(tbl);
	}

	link = kzalloc(sizeof(*link), GFP_KERNEL_ACCOUNT);
	if (!link) {
		iommu_tce_table_put(tbl);
		return -ENOMEM;
	}
	link->grp = grp;
	link->tbl = tbl;
	tce_debug_ref_add(tbl, &link->debug_ref, "kvm", iommu_group_id(grp),
			  stt->liobn);

	ret = tce_lock_killable(&stt->lock);
	if (ret) {
		list_add(&link->node, &gone);
	} else {
		kvmppc_tce_cut_links(stt, NULL, &gone);
		if (!kvmppc_tce_add_link(stt, link))
			list_add(&link->node, &gone);
		kvmppc_tce_find_only(stt);
		tce_unlock(&stt->lock);
	}
	kvmppc_tce_free_links(&gone);

	return ret;
}

/**
 * kvm_spapr_tce_attach_iommu_group() - put a group's table behind a guest's
 * @kvm: the guest
 * @tablefd: what KVM_CREATE_SPAPR_TCE gave
 * @grp: a group that a VFIO container of the same process has
 *
 * The group must have a window that starts where the guest's does, is as large
 * and has IOMMU pages of that size or smaller. What the guest has put so far is
 * not copied. Context: process, may sleep.
 *
 * Return: 0, also when it is attached already; -EBADF; -EINVAL when @tablefd is
 * something else or no window fits; -EPERM when that is another process's;
 * -ENODEV when the group has no tables at all; -ENOMEM; -EINTR when the process
 * is killed while it waits for a hypercall.
 */
long kvm_spapr_tce_attach_iommu_group(struct kvm *kvm, int tablefd,
				      struct iommu_group *grp)
{
	struct kvmppc_spapr_tce_table *stt;
	struct fd f = fdget(tablefd);
	long ret = -EINVAL;

	if (!fd_file(f))
		return -EBADF;

	if (fd_file(f)->f_op == &kvmppc_tce_fops) {
		stt = fd_file(f)->private_data;
		if (stt->kvm == kvm)
			ret = kvmppc_tce_attach(stt, grp);
	}
	fdput(f);

	return ret;
}
EXPORT_SYMBOL_GPL(kvm_spapr_tce_attach_iommu_group);

/**
 * kvm_spapr_tce_release_iommu_group() - undo it, for all tables of a guest
 * @kvm: the guest
 * @grp: the group
 *
 * What the guest has mapped stays in the group's tables, which are the
 * container's. Context: process, may sleep.
 */
void kvm_spapr_tce_release_iommu_group(struct kvm *kvm, struct iommu_group *grp)
{
	struct kvmppc_spapr_tce_table *stt;
	LIST_HEAD(gone);
	int bucket;

	mutex_lock(&kvm->arch.spapr_tce_lock);
	hash_for_each(kvm->arch.spapr_tce_tables, bucket, stt, node) {
		tce_lock(&stt->lock);
		kvmppc_tce_cut_links(stt, grp, &gone);
		kvmppc_tce_find_only(stt);
		tce_unlock(&stt->lock);
	}
	mutex_unlock(&kvm->arch.spapr_tce_lock);
	kvmppc_tce_free_links(&gone);
}
EXPORT_SYMBOL_GPL(kvm_spapr_tce_release_iommu_group);

/*
 * Hypercalls.
 */

static long kvmppc_tce_answer(int ret)
{
	switch (ret) {
	case 0:
		return H_SUCCESS;
	case -ENOMEM:
		return H_NOT_ENOUGH_RESOURCES;
	case -EPERM:	/* a page that is not backed by one as large */
		return H_PARAMETER;
	case -EINTR:	/* the process is being killed */
	case -EINVAL:	/* not registered; a container of v1 may still map it */
		return H_TOO_HARD;
	default:
		return H_HARDWARE;
	}
}

static void kvmppc_tce_cancel(struct kvmppc_spapr_tce_table *stt,
			      const struct tce_batch *batch,
			      struct kvmppc_tce_link *end)
{
	struct kvmppc_tce_link *link = NULL;

	while ((link = kvmppc_tce_next_table(stt, link))) {
		if (link == end)
			break;
		user_table_cancel_batch(link->tbl, batch);
	}
}

static int kvmppc_tce_prepare(struct kvmppc_spapr_tce_table *stt,
			      unsigned long ioba,
			      struct tce_batch *batch)
{
	struct kvmppc_tce_link *link = NULL;
	int ret;

	while ((link = kvmppc_tce_next_table(stt, link))) {
		ret = user_table_prepare_batch(link->tbl,
					       ioba >> link->tbl->it_page_shift,
					      batch);
		if (ret) {
			kvmppc_tce_cancel(stt, batch, link);
			return ret;
		}
	}

	return 0;
}

static int kvmppc_tce_commit(struct kvmppc_spapr_tce_table *stt,
			     unsigned long ioba,
			     const struct tce_batch *batch)
{
	struct kvmppc_tce_link *link = NULL;
	int ret = 0, err;

	while ((link = kvmppc_tce_next_table(stt, link))) {
		err = user_table_commit_batch(link->tbl,
					      ioba >> link->tbl->it_page_shift,
					     batch);
		if (err)
			ret = err;
	}

	return ret;
}

/* All that @tces says, which is @uas for the hardware, or nothing of it */
static long kvmppc_tce_put(struct kvmppc_spapr_tce_table *stt,
			   unsigned long ioba, const u64 *tces,
			   const unsigned long *uas, unsigned long nr)
{
	struct tce_batch batch = {
		.mm = stt->kvm->mm,
		.uas = uas,
		.nr = nr,
		.page_shift = stt->page_shift,
	};
	unsigned long index = kvmppc_tce_index(stt, ioba);
	struct tce_iter iter = { .tree = &stt->guest_tces };
	int ret;

	/* May wait for the process's memory, so not with the lock */
	ret = tce_iter_reserve(&iter, index, nr, GFP_KERNEL);
	if (!ret)
		ret = tce_lock_killable(&stt->lock);
	if (ret)
		return kvmppc_tce_answer(ret);

	ret = kvmppc_tce_prepare(stt, ioba, &batch);
	if (!ret)
		ret = kvmppc_tce_commit(stt, ioba, &batch);
	if (!ret)
		kvmppc_tce_store(&iter, index, nr, tces);
	tce_unlock(&stt->lock);

	return kvmppc_tce_answer(ret);
}

/* Entries of one hardware table between two looks at what else there is to do */
#define KVMPPC_TCE_PART		BIT(20)

/* How many of @nr TCEs to unmap at once; with the lock */
static unsigned long kvmppc_tce_part(struct kvmppc_spapr_tce_table *stt,
				     unsigned long nr)
{
	struct kvmppc_tce_link *link = NULL;
	unsigned int split = 0;

	if (nr == 1)
		return 1;
	while ((link = kvmppc_tce_next_table(stt, link)))
		split = max(split, kvmppc_tce_split(stt, link->tbl));

	return min(nr, max(KVMPPC_TCE_PART >> split, 1UL));
}

/* Let another one run; stop when the process is being killed */
static int kvmppc_tce_pause(void)
{
	cond_resched();

	return fatal_signal_pending(current) ? -EINTR : 0;
}

/* Unmap TCEs in all hardware tables; with the lock */
static int kvmppc_tce_unmap(struct kvmppc_spapr_tce_table *stt,
			    unsigned long ioba, unsigned long nr)
{
	struct kvmppc_tce_link *link = NULL;
	int ret = 0;

	while (!ret && (link = kvmppc_tce_next_table(stt, link)))
		ret = user_table_unmap(link->tbl,
				       ioba >> link->tbl->it_page_shift,
				       nr << kvmppc_tce_split(stt, link->tbl),
				       NULL);

	return ret;
}

/*
 * Unmap @nr pages, and let the table say @tce of them. Part by part, so that at
 * any moment but within a part the table says what the hardware tables have.
 */
static long kvmppc_tce_stuff(struct kvmppc_spapr_tce_table *stt,
			     unsigned long ioba, u64 tce, unsigned long nr)
{
	unsigned long index = kvmppc_tce_index(stt, ioba), part;
	struct tce_iter iter = { .tree = &stt->guest_tces };
	int ret;

	/*
	 * What is not there is 0. Without memory for the mark it is lost; to
	 * unmap must not fail for that.
	 */
	if (tce)
		tce_iter_reserve(&iter, index, nr, GFP_KERNEL);

	ret = tce_lock_killable(&stt->lock);
	if (ret)
		return kvmppc_tce_answer(ret);
	do {
		part = kvmppc_tce_part(stt, nr);
		ret = kvmppc_tce_unmap(stt, ioba, part);
		if (ret)
			break;
		kvmppc_tce_fill(&iter, index, part, tce);
		ioba += part << stt->page_shift;
		index += part;
		nr -= part;
	} while (nr && !(ret = kvmppc_tce_pause()));
	tce_unlock(&stt->lock);

	return kvmppc_tce_answer(ret);
}

/* The same for a list of marks, which maps nothing */
static long kvmppc_tce_stuff_list(struct kvmppc_spapr_tce_table *stt,
				  unsigned long ioba, const u64 *tces,
				  unsigned long nr)
{
	unsigned long index = kvmppc_tce_index(stt, ioba);
	struct tce_iter iter = { .tree = &stt->guest_tces };
	int ret;

	if (memchr_inv(tces, 0, nr * sizeof(*tces)))
		tce_iter_reserve(&iter, index, nr, GFP_KERNEL);

	ret = tce_lock_killable(&stt->lock);
	if (ret)
		return kvmppc_tce_answer(ret);
	ret = kvmppc_tce_unmap(stt, ioba, nr);
	if (!ret)
		kvmppc_tce_store(&iter, index, nr, tces);
	tce_unlock(&stt->lock);

	return kvmppc_tce_answer(ret);
}

static long kvmppc_put_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
			   unsigned long ioba, u64 tce)
{
	struct kvmppc_spapr_tce_table *stt = kvmppc_tce_find(vcpu->kvm, liobn);
	unsigned long ua;
	long ret;

	if (!stt)
		return H_TOO_HARD;

	ret = kvmppc_ioba_validate(stt, ioba, 1);
	if (ret)
		return ret;
	ret = kvmppc_tce_to_ua(stt, kvm_memslots(vcpu->kvm), tce, &ua);
	if (ret)
		return ret;
	if (!ua)
		return kvmppc_tce_stuff(stt, ioba, tce, 1);

	return kvmppc_tce_put(stt, ioba, &tce, &ua, 1);
}

static struct kvmppc_tce_vcpu *kvmppc_tce_vcpu(struct kvm_vcpu *vcpu)
{
	if (!vcpu->arch.tce)
		vcpu->arch.tce = kzalloc(sizeof(*vcpu->arch.tce),
					 GFP_KERNEL_ACCOUNT);

	return vcpu->arch.tce;
}

/* The list is read once: the guest may change it at any moment */
static long kvmppc_tce_read_list(struct kvm_vcpu *vcpu, unsigned long tce_list,
				 unsigned long nr, u64 *tces)
{
	gfn_t gfn = tce_list >> PAGE_SHIFT;
	struct kvm_memory_slot *slot;
	unsigned long hva, i;

	slot = __gfn_to_memslot(kvm_memslots(vcpu->kvm), gfn);
	if (!slot)
		return H_PARAMETER;
	/* On its way to somewhere else; user space knows where */
	if (slot->flags & KVM_MEMSLOT_INVALID)
		return H_TOO_HARD;

	hva = __gfn_to_hva_memslot(slot, gfn);
	if (copy_from_user(tces, (void __user *)(hva + offset_in_page(tce_list)),
			   nr * sizeof(*tces)))
		return H_TOO_HARD;

	for (i = 0; i < nr; i++)
		tces[i] = be64_to_cpu((__force __be64)tces[i]);

	return H_SUCCESS;
}

static long kvmppc_put_tce_indirect(struct kvm_vcpu *vcpu, unsigned long liobn,
				    unsigned long ioba, unsigned long tce_list,
				    unsigned long npages)
{
	struct kvmppc_spapr_tce_table *stt = kvmppc_tce_find(vcpu->kvm, liobn);
	struct kvmppc_tce_vcpu *tce;
	long ret;

	if (!stt)
		return H_TOO_HARD;

	ret = kvmppc_tce_check_list(stt, ioba, tce_list, npages);
	if (ret || !npages)
		return ret;

	tce = kvmppc_tce_vcpu(vcpu);
	if (!tce)
		return H_NOT_ENOUGH_RESOURCES;

	ret = kvmppc_tce_read_list(vcpu, tce_list, npages, tce->tces);
	if (ret)
		return ret;
	ret = kvmppc_tce_to_uas(stt, kvm_memslots(vcpu->kvm), tce->tces, npages,
				tce->uas);
	if (ret)
		return ret;
	if (!memchr_inv(tce->uas, 0, npages * sizeof(*tce->uas)))
		return kvmppc_tce_stuff_list(stt, ioba, tce->tces, npages);

	return kvmppc_tce_put(stt, ioba, tce->tces, tce->uas, npages);
}

static long kvmppc_stuff_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
			     unsigned long ioba, u64 tce_value,
			     unsigned long npages)
{
	struct kvmppc_spapr_tce_table *stt = kvmppc_tce_find(vcpu->kvm, liobn);
	long ret;

	if (!stt)
		return H_TOO_HARD;

	ret = kvmppc_tce_check_stuff(stt, ioba, tce_value, npages);
	if (ret || !npages)
		return ret;

	return kvmppc_tce_stuff(stt, ioba, tce_value, npages);
}

static long kvmppc_get_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
			   unsigned long ioba)
{
	struct kvmppc_spapr_tce_table *stt = kvmppc_tce_find(vcpu->kvm, liobn);
	long ret;

	if (!stt)
		return H_TOO_HARD;

	ret = kvmppc_ioba_validate(stt, ioba, 1);
	if (!ret)
		kvmppc_set_gpr(vcpu, 4,
			       kvmppc_tce_load(stt, kvmppc_tce_index(stt, ioba)));

	return ret;
}

/**
 * kvmppc_tce_trace_flush() - report what real mode did
 * @vcpu: the VCPU, which has left the guest
 *
 * Context: process.
 */
void kvmppc_tce_trace_flush(struct kvm_vcpu *vcpu)
{
	struct kvmppc_tce_vcpu *tce = vcpu->arch.tce;
	struct kvmppc_tce_call *call;

	if (!tce)
		return;
	for (call = tce->calls; call < tce->calls + tce->nr_calls; call++)
		trace_kvm_tce_hcall(call->hcall, call->liobn, call->ioba,
				    call->npages, call->ret, true);
	tce->nr_calls = 0;
}
EXPORT_SYMBOL_GPL(kvmppc_tce_trace_flush);

/* Real mode needs somewhere to remember what is to be traced */
static void kvmppc_tce_trace(struct kvm_vcpu *vcpu, unsigned int hcall,
			     unsigned long liobn, unsigned long ioba,
			     unsigned long npages, long ret)
{
	if (!trace_kvm_tce_hcall_enabled())
		return;
	kvmppc_tce_vcpu(vcpu);
	trace_kvm_tce_hcall(hcall, liobn, ioba, npages, ret, false);
}

/**
 * kvmppc_h_put_tce() - H_PUT_TCE
 * @vcpu: the VCPU
 * @liobn: which table
 * @ioba: PCI address of a page in its window
 * @tce: guest real address of the page to map there, and permissions; without
 *	 these the page is unmapped
 *
 * Context: process, may sleep; the VCPU's thread.
 *
 * Return: the answer for the guest; H_TOO_HARD: user space shall give it.
 */
long kvmppc_h_put_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
		      unsigned long ioba, unsigned long tce)
{
	int idx = srcu_read_lock(&vcpu->kvm->srcu);
	long ret = kvmppc_tce_try_put(vcpu, liobn, ioba, tce);

	if (ret == H_TOO_HARD)
		ret = kvmppc_put_tce(vcpu, liobn, ioba, tce);

	srcu_read_unlock(&vcpu->kvm->srcu, idx);
	kvmppc_tce_trace(vcpu, H_PUT_TCE, liobn, ioba, 1, ret);

	return ret;
}
EXPORT_SYMBOL_GPL(kvmppc_h_put_tce);

/**
 * kvmppc_h_put_tce_indirect() - H_PUT_TCE_INDIRECT
 * @vcpu: the VCPU
 * @liobn: which table
 * @ioba: PCI address of the first page
 * @tce_list: guest real address of TCEs as for H_PUT_TCE, aligned to 4K
 * @npages: how many, 512 at most
 *
 * Context: process, may sleep; the VCPU's thread.
 *
 * Return: as kvmppc_h_put_tce().
 */
long kvmppc_h_put_tce_indirect(struct kvm_vcpu *vcpu, unsigned long liobn,
			       unsigned long ioba, unsigned long tce_list,
			       unsigned long npages)
{
	int idx = srcu_read_lock(&vcpu->kvm->srcu);
	long ret = kvmppc_tce_try_put_indirect(vcpu, liobn, ioba, tce_list,
					       npages);

	if (ret == H_TOO_HARD)
		ret = kvmppc_put_tce_indirect(vcpu, liobn, ioba, tce_list,
					      npages);

	srcu_read_unlock(&vcpu->kvm->srcu, idx);
	kvmppc_tce_trace(vcpu, H_PUT_TCE_INDIRECT, liobn, ioba, npages, ret);

	return ret;
}
EXPORT_SYMBOL_GPL(kvmppc_h_put_tce_indirect);

/**
 * kvmppc_h_stuff_tce() - H_STUFF_TCE
 * @vcpu: the VCPU
 * @liobn: which table
 * @ioba: PCI address of the first page
 * @tce_value: what H_GET_TCE shall give of them; has no permissions
 * @npages: how many pages to unmap
 *
 * Context: process, may sleep; the VCPU's thread.
 *
 * Return: as kvmppc_h_put_tce().
 */
long kvmppc_h_stuff_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
			unsigned long ioba, unsigned long tce_value,
			unsigned long npages)
{
	int idx = srcu_read_lock(&vcpu->kvm->srcu);
	long ret = kvmppc_tce_try_stuff(vcpu, liobn, ioba, tce_value, npages);

	if (ret == H_TOO_HARD)
		ret = kvmppc_stuff_tce(vcpu, liobn, ioba, tce_value, npages);

	srcu_read_unlock(&vcpu->kvm->srcu, idx);
	kvmppc_tce_trace(vcpu, H_STUFF_TCE, liobn, ioba, npages, ret);

	return ret;
}
EXPORT_SYMBOL_GPL(kvmppc_h_stuff_tce);

/**
 * kvmppc_h_get_tce() - H_GET_TCE
 * @vcpu: the VCPU; gets the TCE in its register 4
 * @liobn: which table
 * @ioba: PCI address of a page in its window
 *
 * Context: process, may sleep; the VCPU's thread.
 *
 * Return: as kvmppc_h_put_tce().
 */
long kvmppc_h_get_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
		      unsigned long ioba)
{
	int idx = srcu_read_lock(&vcpu->kvm->srcu);
	long ret = kvmppc_get_tce(vcpu, liobn, ioba);

	srcu_read_unlock(&vcpu->kvm->srcu, idx);
	kvmppc_tce_trace(vcpu, H_GET_TCE, liobn, ioba, 1, ret);

	return ret;
}
EXPORT_SYMBOL_GPL(kvmppc_h_get_tce);
