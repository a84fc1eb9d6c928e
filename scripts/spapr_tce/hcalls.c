// SPDX-License-Identifier: GPL-2.0
/*
 * A TCG plugin for QEMU: instructions from one hypercall of a guest to the next.
 *
 *	-plugin hcalls.so,out=FILE,below=ADDRESS
 *
 * Hypercalls are the "sc 1" instructions at addresses under "below", where a
 * small guest without translation has them. What a processor executes from one
 * of them to the next, of guest, host and firmware, belongs to the first. In
 * out is a line for each, in their order: address and number of instructions.
 * One processor at a time has such a guest.
 *
 * Instructions are counted by blocks of them, which an exception may leave
 * early; a median does not care.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "plugin.h"

#define SC1_LITTLE	0x44000022U
#define CPUS		8
#define INSN_BYTES	4

/* A translation of instructions; it may end with a hypercall */
struct block {
	uint64_t insns;
	uint64_t hcall;	/* address, or 0 */
};

struct cpu {
	uint64_t insns;
	uint64_t since;
	uint64_t last;	/* hypercall, or 0 */
};

static struct cpu cpus[CPUS];
static uint64_t below;
static FILE *out;

static void execute(unsigned int i, void *data)
{
	struct cpu *cpu = &cpus[i % CPUS];
	struct block *b = data;

	cpu->insns += b->insns;
	if (!b->hcall)
		return;
	if (cpu->last)
		fprintf(out, "%lx %lu\n", cpu->last, cpu->insns - cpu->since);
	cpu->last = b->hcall;
	cpu->since = cpu->insns;
}

static void translate(uint64_t id, struct qemu_plugin_tb *tb)
{
	struct block *b = calloc(1, sizeof(*b));
	uint64_t va = qemu_plugin_tb_vaddr(tb);
	uint32_t last;

	(void)id;
	if (!b)
		exit(1);
	b->insns = qemu_plugin_tb_n_insns(tb);
	va += (b->insns - 1) * INSN_BYTES;
	memcpy(&last, qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, b->insns - 1)),
	       sizeof(last));
	if (va < below && last == SC1_LITTLE)
		b->hcall = va;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, execute, NO_REGS, b);
}

static void finish(uint64_t id, void *data)
{
	(void)id;
	(void)data;
	fclose(out);
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc,
			       char **argv)
{
	const char *v;
	int i;

	(void)info;
	for (i = 0; i < argc; i++) {
		v = value(argv[i], "below");
		if (v)
			below = strtoul(v, NULL, 0);
		v = value(argv[i], "out");
		if (v)
			out = fopen(v, "w");
	}
	if (!out || !below) {
		fprintf(stderr, "hcalls: arguments are missing\n");
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	qemu_plugin_register_atexit_cb(id, finish, NULL);
	return 0;
}
