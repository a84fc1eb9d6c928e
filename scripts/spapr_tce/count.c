// SPDX-License-Identifier: GPL-2.0
/*
 * A TCG plugin for QEMU that counts instructions, of guest, host and firmware:
 *
 *	out=FILE,below=ADDRESS		from one hypercall to the next: a line
 *					"address instructions" for each
 *	out=FILE,map=ADDRESS,unmap=ADDRESS,skip=N
 *					in two kinds of system calls, by block:
 *					"requests MAP UNMAP", then a line "address
 *					instructions-of-map -of-unmap" for each
 *	out=FILE,total=1		of a program (qemu-user): how many there were
 *
 * Hypercalls are the "sc 1" below an address where a small guest without
 * translation has them. A system call begins where one enters the kernel and ends
 * where the next one does, so the program's part of it comes last. It is one of map
 * if the function at that address was entered meanwhile; all others are forgotten,
 * and so are the first N of each kind, which fill caches, and those which an
 * interrupt or a fault came into. An exception may leave a block of instructions
 * early, but none does in what is not forgotten; a median does not care.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT		__attribute__((visibility("default")))
#define KERNEL		0xc000000000000000ULL
#define INSN_BYTES	4
#define LOCAL_ENTRY	8	/* of a function, for who has the same TOC */
#define CPUS		8
#define LOG		4096
#define SC1_LITTLE	0x44000022U

/* What is used of QEMU's interface to plugins */
struct qemu_plugin_insn;
struct qemu_plugin_tb;
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
		void (*cb)(uint64_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
		void (*cb)(unsigned int cpu, void *data), int flags, void *data);
void qemu_plugin_register_atexit_cb(uint64_t id,
		void (*cb)(uint64_t id, void *data), void *data);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb,
						 size_t i);
#if PLUGIN_VERSION < 3
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
#else
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t len);
#endif
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
EXPORT int qemu_plugin_version = PLUGIN_VERSION;

enum { MAP, UNMAP, OTHER };
enum mark { NONE, HCALL, ENTER, DISTURB, MAPS, UNMAPS };

/* A translation of instructions. Those of QEMU come and go, these stay. */
struct block {
	uint64_t va, insns, times[OTHER];
	enum mark mark;
	struct block *next;
};

static struct cpu {
	struct block *log[LOG];
	unsigned int len;
	int kind;
	bool disturbed;
	uint64_t insns, since, hcall;
} cpus[CPUS];

static struct block *blocks;
static uint64_t below, total, entry[OTHER], skip, seen[OTHER], requests[OTHER];
static FILE *out;

static void end_request(struct cpu *cpu)
{
	unsigned int i;

	if (cpu->kind != OTHER && seen[cpu->kind]++ >= skip && !cpu->disturbed) {
		requests[cpu->kind]++;
		for (i = 0; i < cpu->len; i++)
			cpu->log[i]->times[cpu->kind]++;
	}
	cpu->len = 0;
	cpu->kind = OTHER;
	cpu->disturbed = false;
}

/* One processor at most is in what counts: nothing here needs a lock. */
static void execute(unsigned int i, void *data)
{
	struct cpu *cpu = &cpus[i % CPUS];
	struct block *b = data;

	cpu->insns += b->insns;
	if (total)
		return;
	if (b->mark == HCALL) {
		if (cpu->hcall)
			fprintf(out, "%lx %lu\n", cpu->hcall, cpu->insns - cpu->since);
		cpu->hcall = b->va + (b->insns - 1) * INSN_BYTES;
		cpu->since = cpu->insns;
	} else if (b->mark == ENTER) {
		end_request(cpu);
	} else if (b->mark >= MAPS) {
		cpu->kind = b->mark - MAPS;
	}
	cpu->disturbed |= b->mark == DISTURB || cpu->len == LOG;
	if (cpu->len < LOG)
		cpu->log[cpu->len++] = b;
}

static bool is_hypercall(const struct qemu_plugin_insn *insn)
{
	uint32_t word = 0;

#if PLUGIN_VERSION < 3
	memcpy(&word, qemu_plugin_insn_data(insn), sizeof(word));
#else
	qemu_plugin_insn_data(insn, &word, sizeof(word));
#endif
	return word == SC1_LITTLE;
}

static enum mark mark(uint64_t va, const struct qemu_plugin_insn *last)
{
	uint64_t vector = va & ~KERNEL;
	int kind;

	if (total)
		return NONE;
	if (below)
		return va < below && is_hypercall(last) ? HCALL : NONE;
	if (vector == 0x3000 && va >= KERNEL)	/* scv */
		return ENTER;
	if (vector >= 0x4000 && va >= KERNEL)	/* the vectors with translation */
		vector -= 0x4000;
	if (vector == 0xc00)
		return ENTER;
	/* All are multiples of 0x20, and the code in them branches elsewhere. */
	if (vector >= 0x100 && vector < 0x1900 && !(vector % 0x20))
		return DISTURB;
	for (kind = MAP; kind < OTHER; kind++)
		if (va == entry[kind] || va == entry[kind] + LOCAL_ENTRY)
			return MAPS + kind;
	return NONE;
}

static void translate(uint64_t id, struct qemu_plugin_tb *tb)
{
	struct block *b = calloc(1, sizeof(*b));

	(void)id;
	if (!b)
		exit(1);
	b->va = qemu_plugin_tb_vaddr(tb);
	b->insns = qemu_plugin_tb_n_insns(tb);
	b->mark = mark(b->va, qemu_plugin_tb_get_insn(tb, b->insns - 1));
	/* Processors translate at the same time. */
	do
		b->next = __atomic_load_n(&blocks, __ATOMIC_RELAXED);
	while (!__sync_bool_compare_and_swap(&blocks, b->next, b));
	qemu_plugin_register_vcpu_tb_exec_cb(tb, execute, 0, b);
}

static void finish(uint64_t id, void *data)
{
	struct block *b;

	(void)id;
	(void)data;
	if (total)
		fprintf(out, "%lu\n", cpus[0].insns);
	else if (!below)
		fprintf(out, "requests %lu %lu\n", requests[MAP], requests[UNMAP]);
	for (b = blocks; b; b = b->next)
		if (b->times[MAP] || b->times[UNMAP])
			fprintf(out, "%lx %lu %lu\n", b->va, b->insns * b->times[MAP],
				b->insns * b->times[UNMAP]);
	fclose(out);
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	uint64_t *number[] = { &below, &entry[MAP], &entry[UNMAP], &skip, &total };
	const char *name[] = { "below=", "map=", "unmap=", "skip=", "total=" };
	int i, j;

	(void)info;
	for (i = 0; i < argc; i++) {
		for (j = 0; j < 5; j++)
			if (!strncmp(argv[i], name[j], strlen(name[j])))
				*number[j] = strtoull(argv[i] + strlen(name[j]), NULL, 0);
		if (!strncmp(argv[i], "out=", 4))
			out = fopen(argv[i] + 4, "w");
	}
	if (!out || (!below && !total && !(entry[MAP] && entry[UNMAP]))) {
		fprintf(stderr, "count: arguments are missing\n");
		return -1;
	}
	for (i = 0; i < CPUS; i++)
		cpus[i].kind = OTHER;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	qemu_plugin_register_atexit_cb(id, finish, NULL);
	return 0;
}
