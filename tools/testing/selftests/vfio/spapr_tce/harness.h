/* SPDX-License-Identifier: GPL-2.0 */
/*
 * kselftest_harness.h, and what all tests here add to it.
 */
#ifndef SPAPR_TCE_HARNESS_H
#define SPAPR_TCE_HARNESS_H

#include "kselftest_harness.h"
#include "lib.h"

/* A variant in one line: VARIANT(fixture, name, .member = value, ...); */
#define VARIANT(fixture, name, ...)					\
	FIXTURE_VARIANT_ADD(fixture, name) { __VA_ARGS__ }

/* Two variants that differ in one number, their @type */
#define VARIANTS_TYPE(fixture, a, a_type, b, b_type)			\
	FIXTURE_VARIANT(fixture) { unsigned long type; };		\
	VARIANT(fixture, a, .type = a_type);				\
	VARIANT(fixture, b, .type = b_type)

#define VARIANTS_V1_V2(fixture)						\
	VARIANTS_TYPE(fixture, v1, TCE_V1, v2, TCE_V2)

/* The test fails if not all is as it was @before. */
#define EXPECT_NO_LEAK(before) do {					\
	const char *leak_ = tce_leak_check(before);			\
									\
	EXPECT_EQ(NULL, leak_) {					\
		TH_LOG("%s", leak_);					\
	}								\
} while (0)

/*
 * Only an edu does what it is asked to, and not every kernel says what tables cost.
 * Where a test had to go on without, it is skipped in the end: all else was as it should
 * be, but that is not what it is named for. Each test is a process of its own.
 */
static const char *unasked;

static inline bool can_ask(const struct tce_dev *dev)
{
	if (!dev->edu)
		unasked = "no edu device that could show what it reaches";
	return dev->edu;
}

/* At the end of a teardown. */
#define SKIP_UNASKED() do {						\
	if (unasked && _metadata->exit_code == KSFT_PASS)		\
		SKIP(break, "%s", unasked);				\
} while (0)

/* Kernels that check themselves take their time. */
#undef TEST_HARNESS_MAIN
#define TEST_HARNESS_MAIN						\
	int main(int argc, char **argv)					\
	{								\
		struct __fixture_metadata *f = __fixture_list;		\
		struct __test_metadata *t;				\
									\
		for (; f; f = f->next)					\
			for (t = f->tests; t; t = t->next)		\
				t->timeout *= sys_slowness();		\
		exit(test_harness_run(argc, argv));			\
	}

#endif /* SPAPR_TCE_HARNESS_H */
