#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The kselftests and the clients on kernels that check themselves: KASAN,
# lockdep, kmemleak, fault injection and others (CONFIG=debug), and KCSAN.  It
# takes hours, so the check itself is without it.

. "$(dirname "$0")/lib.sh"

CONFIG=debug "$here/check-qemu.sh"
CONFIG=kcsan "$here/check-qemu.sh"
CONFIG=debug "$here/check-clients.sh"
