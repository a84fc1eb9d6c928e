#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The KUnit tests as a kernel developer runs them: by kunit.py, in a kernel with
# nothing else in it, on an emulated LPAR.  check-qemu and check-host run the same
# tests in the kernels that they have anyway.

. "$(dirname "$0")/lib.sh"

"$here/tree.sh" >&2
mkdir -p "$logs" "$CCACHE_DIR"
progress "kunit.py" "$logs/kunit" "$tree/tools/testing/kunit/kunit.py" run \
	--arch powerpc --cross_compile "$CROSS_COMPILE" --jobs "$JOBS" \
	--make_options "CC=ccache ${CROSS_COMPILE}gcc" --build_dir "$build/kunit" \
	--kunitconfig "$tree/arch/powerpc/kernel" || {
	tail -n 20 "$logs/kunit" >&2
	echo "not ok  kunit: kunit.py run --arch powerpc (build/log/kunit)"
}
# Without the line of each suite, which has signs around it
sed -n '/===/d; s/.*\[PASSED\] /ok      kunit: /p; s/.*\[FAILED\] /not ok  kunit: /p;
	s/.*\[\(SKIPPED\|CRASHED\)\] /not ok  kunit: \1 /p' "$logs/kunit"
