/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KUnit's cases as a program of the host: enough for the *_kunit.c files of the
 * kernel's code for TCEs. It prints TAP, as the other tests do.
 */
#ifndef SHIM_KUNIT_TEST_H
#define SHIM_KUNIT_TEST_H

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#define KUNIT_PARAM_DESC_SIZE	128

/* What is undone when a test ends, the last one first */
struct kunit_action {
	struct kunit_action *next;
	void (*undo)(void *what);
	void *what;
};

struct kunit {
	struct kunit_action *actions;
	const void *param_value;
	bool failed;
	jmp_buf abort;
};

struct kunit_case {
	void (*run_case)(struct kunit *test);
	const char *name;
	const void *(*generate_params)(const void *prev, char *desc);
};

struct kunit_suite {
	const char name[256];
	struct kunit_case *test_cases;
};

#define KUNIT_CASE(fn)			{ .run_case = fn, .name = #fn }
#define KUNIT_CASE_PARAM(fn, gen)					\
	{ .run_case = fn, .name = #fn, .generate_params = gen }

#define KUNIT_ARRAY_PARAM(name, array, get_desc)			\
	static const void *name##_gen_params(const void *prev, char *desc) \
	{								\
		typeof(&(array)[0]) next = prev;			\
									\
		next = next ? next + 1 : (array);			\
		if (next - (array) >= (long)ARRAY_SIZE(array))		\
			return NULL;					\
		get_desc(next, desc);					\
		return next;						\
	}

#define kunit_binary(test, left, op, right, fatal, fmt, ...) do {	\
	typeof(left) left_ = (left);					\
	typeof(right) right_ = (right);					\
									\
	if (!(left_ op right_)) {					\
		printf("# %s:%d: %s %s %s: %#lx and %#lx " fmt "\n",	\
		       __FILE__, __LINE__, #left, #op, #right,		\
		       (unsigned long)left_, (unsigned long)right_,	\
		       ##__VA_ARGS__);					\
		(test)->failed = true;					\
		if (fatal)						\
			longjmp((test)->abort, 1);			\
	}								\
} while (0)

#define KUNIT_EXPECT_EQ(t, l, r)	kunit_binary(t, l, ==, r, false, "")
#define KUNIT_EXPECT_NE(t, l, r)	kunit_binary(t, l, !=, r, false, "")
#define KUNIT_EXPECT_LE(t, l, r)	kunit_binary(t, l, <=, r, false, "")
#define KUNIT_EXPECT_EQ_MSG(t, l, r, fmt, ...)				\
	kunit_binary(t, l, ==, r, false, fmt, ##__VA_ARGS__)
#define KUNIT_EXPECT_PTR_EQ(t, l, r)	KUNIT_EXPECT_EQ(t, l, r)
#define KUNIT_EXPECT_TRUE(t, c)		KUNIT_EXPECT_EQ(t, !!(c), 1)
#define KUNIT_EXPECT_FALSE(t, c)	KUNIT_EXPECT_EQ(t, !!(c), 0)
#define KUNIT_EXPECT_NULL(t, p)		KUNIT_EXPECT_EQ(t, p, NULL)
#define KUNIT_EXPECT_NOT_NULL(t, p)	KUNIT_EXPECT_NE(t, p, NULL)
#define KUNIT_ASSERT_EQ(t, l, r)	kunit_binary(t, l, ==, r, true, "")
#define KUNIT_ASSERT_LT(t, l, r)	kunit_binary(t, l, <, r, true, "")
#define KUNIT_ASSERT_NOT_NULL(t, p)	kunit_binary(t, p, !=, NULL, true, "")

static inline int kunit_add_action_or_reset(struct kunit *test,
					    void (*undo)(void *), void *what)
{
	struct kunit_action *action = calloc(1, sizeof(*action));

	*action = (struct kunit_action) { test->actions, undo, what };
	test->actions = action;

	return 0;
}

static inline void *kunit_kzalloc(struct kunit *test, size_t size, gfp_t gfp)
{
	void *new = calloc(1, size);

	kunit_add_action_or_reset(test, free, new);

	return new;
}

struct page *host_alloc_folio(unsigned int order);
void host_free_folio(struct page *page);

#define alloc_pages(gfp, order)		host_alloc_folio(order)
#define folio_put(folio)		host_free_folio((struct page *)(folio))

static void kunit_shim_undo(struct kunit *test)
{
	struct kunit_action *action;

	while ((action = test->actions)) {
		test->actions = action->next;
		action->undo(action->what);
		free(action);
	}
}

static void kunit_shim_case(const struct kunit_case *c, struct kunit *test)
{
	if (!setjmp(test->abort))
		c->run_case(test);
	kunit_shim_undo(test);
}

static bool kunit_shim_run(const struct kunit_case *c)
{
	char desc[KUNIT_PARAM_DESC_SIZE];
	struct kunit test = { };

	if (!c->generate_params) {
		kunit_shim_case(c, &test);
		return !test.failed;
	}
	while ((test.param_value = c->generate_params(test.param_value, desc))) {
		printf("# %s\n", desc);
		kunit_shim_case(c, &test);
	}

	return !test.failed;
}

static int kunit_shim_main(const struct kunit_suite *suite)
{
	const struct kunit_case *c = suite->test_cases;
	int nr = 0, failed = 0;
	bool ok;

	for (; c->run_case; c++) {
		ok = kunit_shim_run(c);
		failed += !ok;
		printf("%sok %d %s.%s\n", ok ? "" : "not ", ++nr, suite->name,
		       c->name);
	}
	printf("1..%d\n", nr);

	return !!failed;
}

extern struct kunit_suite *kunit_shim_suite;

#define kunit_test_suite(suite)						\
	struct kunit_suite *kunit_shim_suite = &(suite)

int main(void)
{
	return kunit_shim_main(kunit_shim_suite);
}

#endif /* SHIM_KUNIT_TEST_H */
