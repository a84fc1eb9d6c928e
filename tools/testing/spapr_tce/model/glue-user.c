// SPDX-License-Identifier: GPL-2.0-only
/* User-owned tables as they are */
#include "tce_user_table.c"
