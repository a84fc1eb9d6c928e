// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each operation and each error path, on the model of the machine: one program of
 * what is in unit/.
 */
#include "unit/unit.h"

#include "unit/register.c"
#include "unit/stuck.c"
#include "unit/charge.c"
#include "unit/abandoned.c"
#include "unit/region.c"
#include "unit/map.c"
#include "unit/window.c"
#include "unit/owner.c"
#include "unit/group.c"
#include "unit/batch.c"
#include "unit/kill.c"
#include "unit/version1.c"
#include "unit/lpar.c"
#include "unit/firmware.c"
#include "unit/debugfs.c"
#include "unit/tree.c"
#include "unit/levels.c"

TEST_HARNESS_MAIN
