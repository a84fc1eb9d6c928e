/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The harness of the kernel's selftests around the model, and what all tests use.
 */
#ifndef _SPAPR_TCE_HARNESS_H
#define _SPAPR_TCE_HARNESS_H

#include "host.h"
#include "kvm.h"
#include "lpar.h"

#undef __used
#undef __packed
#undef __maybe_unused
#undef is_signed_type
#include "kselftest_harness.h"

/* A variant in one line: VARIANT(fixture, name, .member = value, ...); */
#define VARIANT(fixture, name, ...)					\
	FIXTURE_VARIANT_ADD(fixture, name) { __VA_ARGS__ }

/* Two variants that differ in one @member */
#define VARIANTS(fixture, type, member, a, a_value, b, b_value)		\
	FIXTURE_VARIANT(fixture) { type member; };			\
	VARIANT(fixture, a, .member = a_value);				\
	VARIANT(fixture, b, .member = b_value)

#define K64		0x10000UL
#define MB		0x100000UL
#define WINDOW1		BIT(59)
#define PG		PAGE_SIZE
#define UA(page)	host_ua(page)

static bool faults(struct host_pe *hpe, unsigned long addr)
{
	return machine_dma(hpe, addr, false) == -EFAULT &&
		machine_dma(hpe, addr, true) == -EFAULT;
}

#endif /* _SPAPR_TCE_HARNESS_H */
