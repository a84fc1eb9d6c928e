/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SPAPR_TCE_SHIM_LINUX_KERNEL_H
#define _SPAPR_TCE_SHIM_LINUX_KERNEL_H

#include_next <linux/kernel.h>

/* tools/testing knows 4K pages only */
#undef PAGE_SHIFT
#define PAGE_SHIFT	HOST_PAGE_SHIFT

#endif
