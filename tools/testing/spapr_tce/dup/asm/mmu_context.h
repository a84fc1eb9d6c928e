/* SPDX-License-Identifier: GPL-2.0-only */
#include <asm/mm_iommu.h>
