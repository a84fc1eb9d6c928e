// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCE tables of guests: KVM_CREATE_SPAPR_TCE makes a table and a file that owns it,
 * whose mappings show guest_tces; KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE attaches the
 * hardware table of a group. book3s_64_vio.c explains the locks.
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
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/workqueue.h>

#include "book3s_64_vio.h"

/* Pages of 4 KiB to 16 GiB */
#define KVMPPC_TCE_SHIFT_MIN	12
#define KVMPPC_TCE_SHIFT_MAX	34

/*
 * Tables up to this size are charged when they are made, so that user space gets an
 * error from the ioctl, not a SIGBUS when it touches a page. The table of QEMU's
 * default window has 2 MiB. Of a larger table mostly a small part is touched.
 */
#define KVMPPC_TCE_PREPAID	SZ_4M

/*
 * Frees the tables that nobody waits for. A guest may end with its last table, and then
 * nothing keeps the module: to unload it waits for this workqueue.
 */
static struct workqueue_struct *kvmppc_tce_wq;

/* May free tables (R14) */
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
	kvm_get_kvm(kvm);

	return stt;
}

static void kvmppc_tce_free(struct kvmppc_spapr_tce_table *stt)
{
	struct kvm *kvm = stt->kvm;

	kvmppc_tce_free_links(&stt->links);
	tce_tree_destroy(&stt->guest_tces);
	kfree(stt);
	/* May be the last */
	kvm_put_kvm(kvm);
}

static void kvmppc_tce_free_work(struct work_struct *work)
{
	kvmppc_tce_free(container_of(to_rcu_work(work),
				     struct kvmppc_spapr_tce_table, free));
}

static void kvmppc_tce_readers_gone(struct rcu_head *rcu)
{
	struct kvmppc_spapr_tce_table *stt;

	stt = container_of(rcu, struct kvmppc_spapr_tce_table, rcu);
	INIT_RCU_WORK(&stt->free, kvmppc_tce_free_work);
	queue_rcu_work(kvmppc_tce_wq, &stt->free);
}

/*
 * A close waits until no hypercall uses the table, and has uncharged it when it
 * returns. But such a hypercall may be in a page fault of its process for any
 * time, so a close by another process or by a kernel thread does not wait.
 */
static bool kvmppc_tce_may_wait(struct kvmppc_spapr_tce_table *stt)
{
	struct mm_struct *mm = stt->kvm->mm;

	/*
	 * Whoever exits closes its files without an mm, as kernel threads do. If the
	 * guest's mm has no user left, the hypercalls have ended.
	 */
	return current->mm == mm || !atomic_read(&mm->mm_users);
}

static int kvmppc_tce_release(struct inode *inode, struct file *file)
{
	struct kvmppc_spapr_tce_table *stt = file->private_data;

	/* The table may never have been published */
	mutex_lock(&stt->kvm->arch.spapr_tce_lock);
	hash_del_rcu(&stt->node);
	mutex_unlock(&stt->kvm->arch.spapr_tce_lock);
	if (kvmppc_tce_may_wait(stt)) {
		synchronize_srcu(&stt->kvm->srcu);
		synchronize_rcu();
		kvmppc_tce_free(stt);
	} else {
		call_srcu(&stt->kvm->srcu, &stt->rcu, kvmppc_tce_readers_gone);
	}

	return 0;
}

/*
 * Test if a missing leaf, with the levels above it, would exceed RLIMIT_MEMLOCK. Good
 * enough to choose between two errors: locked_vm may change at any time.
 */
static bool kvmppc_tce_over_limit(struct kvmppc_spapr_tce_table *stt)
{
	unsigned long pages = tce_tree_levels(&stt->guest_tces) - 1;

	return !capable(CAP_IPC_LOCK) &&
		READ_ONCE(stt->kvm->mm->locked_vm) + pages >
		rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
}

/*
 * Make a leaf that is charged now. That takes the mmap_lock, which a fault holds: drop
 * it, make the leaf, and have the fault retried. If the leaf is missing in the retry,
 * or no retry is allowed, fail: with VM_FAULT_OOM for lack of memory, after which the
 * access is repeated; with SIGBUS for the limit, which would be exceeded each time. A
 * child that has inherited the mapping makes nothing at its parent's cost.
 */
static vm_fault_t kvmppc_tce_fault_make(struct vm_fault *vmf,
					struct kvmppc_spapr_tce_table *stt,
					unsigned long index)
{
	struct file *file = vmf->vma->vm_file;

	if (current->mm != stt->kvm->mm)
		return VM_FAULT_SIGBUS;
	/* The lock must be kept then, and nothing may wait */
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

	if (tce_tree_is_prepaid(&stt->guest_tces)) {
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
			     (u32)stt->liobn);
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
 * Allocates the first level of the table only. A table of up to %KVMPPC_TCE_PREPAID
 * bytes is charged in full at once, a larger one page by page as it is touched.
 *
 * Context: process, may sleep.
 *
 * Return: a file descriptor that owns the table and can be mapped; -EINVAL for
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

	/* From here on the file owns the table: fput() frees it */
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
 * Links to hardware tables.
 */

/* Update @only after a change of @links. The caller must hold the lock of @stt */
static void kvmppc_tce_find_only(struct kvmppc_spapr_tce_table *stt)
{
	struct kvmppc_tce_link *link = kvmppc_tce_next_table(stt, NULL);
	struct iommu_table *only = NULL;

	tce_lock_assert_held(&stt->lock);
	if (link && !kvmppc_tce_next_table(stt, link) &&
	    !kvmppc_tce_split(stt, link->tbl))
		only = link->tbl;
	WRITE_ONCE(stt->only, only);
}

/* Move links of @grp, and links to tables that were revoked, to @gone */
static void kvmppc_tce_cut_links(struct kvmppc_spapr_tce_table *stt,
				 struct iommu_group *grp,
				 struct list_head *gone)
{
	struct kvmppc_tce_link *link, *next;

	tce_lock_assert_held(&stt->lock);
	list_for_each_entry_safe(link, next, &stt->links, node)
		if (link->grp == grp || user_table_is_revoked(link->tbl))
			list_move(&link->node, gone);
}

/* Add a link, next to others of its table. Returns false if the same is there already */
static bool kvmppc_tce_add_link(struct kvmppc_spapr_tce_table *stt,
				struct kvmppc_tce_link *new)
{
	struct list_head *head = &stt->links;
	struct kvmppc_tce_link *link;

	tce_lock_assert_held(&stt->lock);
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
	struct kvmppc_tce_link *link;
	struct iommu_table *tbl;
	LIST_HEAD(gone);
	int ret;

	tbl = user_table_get(grp, stt->kvm->mm, stt->page_shift,
			     stt->offset << stt->page_shift,
			     stt->size << stt->page_shift);
	if (IS_ERR(tbl)) {
		pr_debug_ratelimited("LIOBN %llx: group %d has no window like that: error %pe\n",
				     stt->liobn, iommu_group_id(grp), tbl);
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
 * kvm_spapr_tce_attach_iommu_group() - link a guest's table to a group's
 * @kvm: the guest
 * @tablefd: a file descriptor from KVM_CREATE_SPAPR_TCE
 * @grp: a group in a VFIO container of the same process
 *
 * The group must have a window that starts where the guest's does, is as large
 * and has IOMMU pages of that size or smaller. What the guest has put so far is
 * not mapped there.
 *
 * Context: process, may sleep.
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
 * kvm_spapr_tce_release_iommu_group() - unlink all tables of a guest from a group's
 * @kvm: the guest
 * @grp: the group
 *
 * What the guest has mapped stays mapped: the tables belong to the container.
 *
 * Context: process, may sleep.
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

/**
 * kvmppc_tce_init() - prepare for tables of guests, when the module is loaded
 *
 * Context: process, may sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int kvmppc_tce_init(void)
{
	kvmppc_tce_wq = alloc_workqueue("kvm_tce", WQ_UNBOUND, 0);

	return kvmppc_tce_wq ? 0 : -ENOMEM;
}

/**
 * kvmppc_tce_exit() - finish the tables of guests that have ended
 *
 * The module is going to be unloaded.
 *
 * Context: process, may sleep.
 */
void kvmppc_tce_exit(void)
{
	destroy_workqueue(kvmppc_tce_wq);
}
