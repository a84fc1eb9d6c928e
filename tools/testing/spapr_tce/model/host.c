// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel around the files under test: what fails, what is real mode, and the
 * end of a test. Locks are in locks.c, allocators in alloc.c, memory and processes in
 * memory.c, work and RCU in work.c.
 */
#include <stdarg.h>

#include "host.h"

__thread struct task_struct host_task;
struct host_usage host_usage;

void host_die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fflush(NULL);
	abort();
}

/*
 * Failures.
 */

static unsigned long fail_countdown;
static unsigned int fail_more;
static bool fail_done;

/**
 * fail_arm() - make a step fail
 * @nth: which one from now on, 0 for none; fail_fired() then still tells about
 *	 the time before
 */
void fail_arm(unsigned long nth)
{
	fail_countdown = nth;
	fail_more = 0;
	if (nth)
		fail_done = false;
}

/**
 * fail_arm_from() - make a step fail, and some that follow
 * @nth: the first one from now on
 *
 * Not all: the maple tree, with some nodes in hand, asks for the rest until it
 * has them.
 */
void fail_arm_from(unsigned long nth)
{
	fail_arm(nth);
	fail_more = 16;
}

bool fail_fired(void)
{
	return fail_done;
}

bool fail_step(void)
{
	if (!fail_countdown || --fail_countdown)
		return false;
	fail_done = true;
	if (fail_more) {
		fail_more--;
		fail_countdown = 1;
	}

	return true;
}

/*
 * Real mode: a thread is in it between host_enter_real_mode() and
 * host_leave_real_mode(). What cannot be done there says so.
 */

#ifndef HOST_BENCH
void (*host_barrier)(void);
void (*host_resched)(void);
__thread bool host_real_mode;

void virtual_only(const char *what)
{
	if (host_real_mode)
		host_die("in real mode: %s\n", what);
}

__thread bool host_irqs_off;

void sleeper_only(const char *what)
{
	virtual_only(what);
	if (host_irqs_off)
		host_die("with interrupts off: %s\n", what);
}
#endif

/* What another thread does while this one spins */
void (*host_waits)(void);

/* Whoever waits, waits for another thread, and that for no long time */
void host_relax(void)
{
	static __thread unsigned long spins;

	another_thread(host_waits);
	if (++spins > 1UL << 25)
		host_die("who has the lock does not give it back\n");
	sched_yield();
}

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#ifdef HOST_GCOV
#include <gcov.h>
#endif

/*
 * A test is a child that leaves by _exit(): nobody would look for leaks or
 * write down what was run.
 */
void host_test_ends(void)
{
	host_settle();
	if (host_usage.slab)
		host_die("left: %ld objects of slabs\n", host_usage.slab);
#ifdef __SANITIZE_ADDRESS__
	__lsan_do_leak_check();
#endif
#ifdef HOST_GCOV
	__gcov_dump();
	__gcov_reset();
#endif
}

/*
 * ThreadSanitizer tells volatile accesses from others and takes READ_ONCE()
 * and WRITE_ONCE() for what they are: no race, and in order where they carry a
 * pointer.
 */
#ifdef __SANITIZE_THREAD__
#define VOLATILE(n)						\
void __tsan_volatile_read##n(void *p) { __tsan_acquire(p); }	\
void __tsan_volatile_write##n(void *p) { __tsan_release(p); }	\
void __tsan_unaligned_volatile_read##n(void *p) { __tsan_acquire(p); } \
void __tsan_unaligned_volatile_write##n(void *p) { __tsan_release(p); }
VOLATILE(1)
VOLATILE(2)
VOLATILE(4)
VOLATILE(8)
VOLATILE(16)
#endif
