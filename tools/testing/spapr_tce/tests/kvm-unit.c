// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCE tables of guests: each operation and each error path of KVM's, in virtual
 * mode, and in real mode or before the VCPU leaves its run loop, with virtual mode
 * for what is too hard there.
 */
#include "kvm/kvm-unit.h"

#include "kvm/table.c"
#include "kvm/attach.c"
#include "kvm/wait.c"
#include "kvm/hcall.c"
#include "kvm/several.c"
#include "kvm/real_mode.c"
#include "kvm/real_mode_race.c"
#include "kvm/early.c"
#include "kvm/both_modes.c"
#include "kvm/lists.c"
#include "kvm/levels.c"

TEST_HARNESS_MAIN
