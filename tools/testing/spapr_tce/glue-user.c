// SPDX-License-Identifier: GPL-2.0-only
/* User-owned tables as they are */
#include "iommu_user.c"
