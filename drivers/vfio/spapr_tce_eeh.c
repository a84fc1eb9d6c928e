// SPDX-License-Identifier: GPL-2.0-only
/*
 * EEH: each operation goes to every group. A state that is not normal is an
 * answer, not an error, and ends the round as an error does.
 */
#include <linux/err.h>
#include <linux/io.h>
#include <linux/uaccess.h>

#include <asm/eeh.h>

#include "spapr_tce.h"

static long tce_eeh_pe_op(struct eeh_pe *pe, const struct vfio_eeh_pe_op *op)
{
	static const int options[] = {
		[VFIO_EEH_PE_DISABLE] = EEH_OPT_DISABLE,
		[VFIO_EEH_PE_ENABLE] = EEH_OPT_ENABLE,
		[VFIO_EEH_PE_UNFREEZE_IO] = EEH_OPT_THAW_MMIO,
		[VFIO_EEH_PE_UNFREEZE_DMA] = EEH_OPT_THAW_DMA,
	};
	static const int resets[] = {
		[VFIO_EEH_PE_RESET_DEACTIVATE] = EEH_RESET_DEACTIVATE,
		[VFIO_EEH_PE_RESET_HOT] = EEH_RESET_HOT,
		[VFIO_EEH_PE_RESET_FUNDAMENTAL] = EEH_RESET_FUNDAMENTAL,
	};

	switch (op->op) {
	case VFIO_EEH_PE_DISABLE ... VFIO_EEH_PE_UNFREEZE_DMA:
		return eeh_pe_set_option(pe, options[op->op]);
	case VFIO_EEH_PE_RESET_DEACTIVATE ... VFIO_EEH_PE_RESET_FUNDAMENTAL:
		return eeh_pe_reset(pe, resets[op->op], true);
	case VFIO_EEH_PE_GET_STATE:
		return eeh_pe_get_state(pe);
	case VFIO_EEH_PE_CONFIGURE:
		return eeh_pe_configure(pe);
	case VFIO_EEH_PE_INJECT_ERR:
		return eeh_pe_inject_err(pe, op->err.type, op->err.func,
					 op->err.addr, op->err.mask);
	default:
		return -EINVAL;
	}
}

/*
 * Get the group that joined next after @seq, with a reference; NULL after the last.
 * Returns 0; -EINTR when the caller is being killed; -EPERM if another process has
 * become the owner since the request began.
 */
static int tce_next_group(struct tce_container *c, u64 *seq,
			  struct iommu_group **iommu_group)
{
	struct tce_group *grp;
	int ret = 0;

	*iommu_group = NULL;
	if (down_read_killable(&c->lock))
		return -EINTR;
	if (c->owner && c->owner != current->mm) {
		ret = -EPERM;
		goto unlock;
	}
	list_for_each_entry(grp, &c->groups, node) {
		if (grp->seq > *seq) {
			*seq = grp->seq;
			*iommu_group = iommu_group_ref_get(grp->iommu_group);
			break;
		}
	}
unlock:
	up_read(&c->lock);

	return ret;
}

static long tce_eeh_group(struct iommu_group *iommu_group,
			  const struct vfio_eeh_pe_op *op)
{
	struct eeh_pe *pe = eeh_iommu_group_to_pe(iommu_group);

	return pe ? tce_eeh_pe_op(pe, op) : -ENODEV;
}

static long tce_eeh_groups(struct tce_container *c,
			   const struct vfio_eeh_pe_op *op)
{
	struct iommu_group *iommu_group;
	long ret = -EINVAL;
	u64 seq = 0;
	int err;

	lockdep_assert_held(&c->eeh_lock);
	for (;;) {
		err = tce_next_group(c, &seq, &iommu_group);
		if (err)
			return err;
		if (!iommu_group)
			return ret;
		ret = tce_eeh_group(iommu_group, op);
		iommu_group_put(iommu_group);
		if (ret)
			return ret;
	}
}

/*
 * Copy all that the operation needs. Not under eeh_lock: a page fault may take
 * any time, and another process may become the owner meanwhile.
 */
static long tce_eeh_copy(struct vfio_eeh_pe_op *op, const void __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_eeh_pe_op, op);
	unsigned long errsz = offsetofend(struct vfio_eeh_pe_op, err.mask);

	if (copy_from_user(op, arg, minsz))
		return -EFAULT;
	if (op->argsz < minsz || op->flags)
		return -EINVAL;
	if (op->op != VFIO_EEH_PE_INJECT_ERR)
		return 0;

	if (op->argsz < errsz)
		return -EINVAL;
	if (copy_from_user((void *)op + minsz, arg + minsz, errsz - minsz))
		return -EFAULT;

	return 0;
}

/**
 * tce_eeh() - VFIO_EEH_PE_OP
 * @c: the container
 * @param: says where the user's struct vfio_eeh_pe_op is
 *
 * A group may leave in the middle of an operation, as a device may be unplugged in
 * the middle of one.
 *
 * Context: process, may sleep. The caller must not hold tce_container::lock: EEH locks
 * devices, and a device that is unbound is locked when its group leaves, which takes
 * that lock. Takes tce_container::eeh_lock.
 *
 * Return: 0 or the state of a PE; -EFAULT; -EINVAL for bad arguments or without a
 * group; -ENODEV for a group without a PE; -EPERM when another process has become the
 * owner; -EINTR when the process is killed while it waits; or an error of EEH.
 */
long tce_eeh(struct tce_container *c, struct tce_param *param)
{
	struct vfio_eeh_pe_op op;
	long ret;

	lockdep_assert_not_held(&c->lock);
	ret = tce_eeh_copy(&op, param->user);
	if (ret)
		return ret;

	if (mutex_lock_killable(&c->eeh_lock))
		return -EINTR;
	ret = tce_eeh_groups(c, &op);
	mutex_unlock(&c->eeh_lock);

	return ret;
}
