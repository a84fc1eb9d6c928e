// SPDX-License-Identifier: GPL-2.0
/*
 * A TCG plugin for QEMU: instructions per function, for two kinds of requests
 * to the kernel.
 *
 *   -plugin profile.so,syms=FILE,out=FILE,map=FUNCTION,unmap=FUNCTION,skip=N
 *
 * syms has lines "address type name" sorted by address, as nm -n gives for the
 * text of a kernel. A request begins where a system call enters the kernel and
 * ends where the next one does, so the program's part of it is behind the
 * kernel's. It is one of map if FUNCTION was entered meanwhile, and so on; all
 * others are forgotten, and so is the first N of each kind, which fill caches,
 * and those which an interrupt or a fault came into.
 *
 * In out is a line "requests <of map> <of unmap>", the same with
 * "interrupted", and then a line for each function with its instructions in
 * all these requests together: of map, of unmap, and those of each that the
 * emulated PMU counts.
 *
 * Instructions are counted by blocks of them, which an exception may leave
 * early: but none does in what is not forgotten, except a system call.
 */
#include <endian.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

/* All of them, but for prefixed ones, which these kernels are built without */
#define INSN_BYTES	4
#define PAGE_BITS	12	/* of the emulator's pages */
#define KERNEL		0xc000000000000000ULL
#define VECTORS		0x100	/* from here ... */
#define VECTORS_END	0x1900
#define VIRT_VECTORS	0x4000	/* and the same again here */
#define SCV		0x3000
#define SC		0xc00
#define FIRMWARE	0x30000000ULL	/* where skiboot has moved itself */
#define FIRMWARE_END	0x40000000ULL
#define LOCAL_ENTRY	8	/* of a function, for who has the same TOC */
#define CPUS		8
#define LOG		4096

enum kind { MAP, UNMAP, KINDS, OTHER = KINDS };

enum mark { MARK_NONE, MARK_ENTER, MARK_DISTURB, MARK_MAP, MARK_UNMAP };

struct symbol {
	uint64_t va;
	uint64_t insns[KINDS];
	uint64_t pmu[KINDS];
	char name[64];
};

/* A translation of instructions. Those of QEMU come and go, these stay. */
struct block {
	uint64_t va;
	uint64_t insns;
	uint64_t times[KINDS];
	uint64_t pmu[KINDS];	/* of these times */
	bool pmu_ends;		/* it counts, as the last instruction is */
	bool pmu_pages;		/* ... if the next is in the same page */
	enum mark mark;
	struct block *next;
};

/* The request that a processor is in */
struct request {
	struct block *log[LOG];
	unsigned int len;
	enum kind kind;
	bool disturbed;
};

static struct symbol *syms;
static size_t nr_syms;
static uint64_t kernel_bytes;
static struct symbol firmware = { .name = "(firmware)" };
static struct symbol user = { .name = "(user)" };

static struct request requests[CPUS];
static uint64_t seen[KINDS], counted[KINDS], disturbed[KINDS];
static unsigned long skip;
static const char *entries[KINDS];
static const char *out;

/* Processors translate at the same time. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct block *blocks;

/* ---- symbols ------------------------------------------------------------ */

static int read_symbols(const char *path)
{
	FILE *f = fopen(path, "r");
	struct symbol sym = {};
	size_t room = 0;
	char type;

	if (!f)
		return -1;
	while (fscanf(f, "%lx %c %63s%*[^\n]", &sym.va, &type, sym.name) == 3) {
		if (nr_syms == room) {
			room = room ? 2 * room : 65536;
			syms = realloc(syms, room * sizeof(*syms));
			if (!syms)
				exit(1);
		}
		syms[nr_syms++] = sym;
	}
	fclose(f);
	if (!nr_syms)
		return -1;
	kernel_bytes = sym.va - KERNEL;
	return 0;
}

/* The last that is not behind @va, and of several there the first. */
static struct symbol *find_symbol(uint64_t va)
{
	size_t low = 0, high = nr_syms, mid;

	/* The kernel runs some of its code without translation. */
	if (va < kernel_bytes)
		va += KERNEL;
	if (va >= FIRMWARE && va < FIRMWARE_END)
		return &firmware;
	if (va < KERNEL)
		return &user;
	while (low < high) {
		mid = (low + high) / 2;
		if (syms[mid].va <= va)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low)
		return &syms[0];
	low--;
	while (low && syms[low - 1].va == syms[low].va)
		low--;
	return &syms[low];
}

/* ---- execution ---------------------------------------------------------- */

static void begin(struct request *r)
{
	r->len = 0;
	r->kind = OTHER;
	r->disturbed = false;
}

/* The last block is a system call, which the PMU does not count. */
static bool pmu_counts(const struct request *r, unsigned int i)
{
	const struct block *b = r->log[i];

	if (!b->pmu_ends || i + 1 == r->len)
		return false;
	return !b->pmu_pages ||
	       b->va >> PAGE_BITS == r->log[i + 1]->va >> PAGE_BITS;
}

static void end(const struct request *r)
{
	unsigned int i;

	if (r->kind == OTHER || seen[r->kind]++ < skip)
		return;
	if (r->disturbed) {
		disturbed[r->kind]++;
		return;
	}
	counted[r->kind]++;
	for (i = 0; i < r->len; i++) {
		r->log[i]->times[r->kind]++;
		r->log[i]->pmu[r->kind] += pmu_counts(r, i);
	}
}

/*
 * One processor at most is in requests of these kinds: nothing here needs a
 * lock.
 */
static void execute(unsigned int cpu, void *data)
{
	struct request *r = &requests[cpu % CPUS];
	struct block *b = data;

	switch (b->mark) {
	case MARK_ENTER:
		end(r);
		begin(r);
		break;
	case MARK_DISTURB:
		r->disturbed = true;
		break;
	case MARK_MAP:
		r->kind = MAP;
		break;
	case MARK_UNMAP:
		r->kind = UNMAP;
		break;
	case MARK_NONE:
		break;
	}
	if (r->len < LOG)
		r->log[r->len++] = b;
	else
		r->disturbed = true;
}

/*
 * QEMU 7.2 counts a block on its ways out, but not where it looks for the next
 * one by address - an indirect branch, or one to another page - nor where it
 * stops after a hint of priority (or x,x,x).
 */
static void pmu_rule(struct block *b, uint32_t insn)
{
	unsigned int op = insn >> 26, xo = insn >> 1 & 0x3ff;
	unsigned int s = insn >> 21 & 0x1f, a = insn >> 16 & 0x1f;
	bool indirect = op == 19 && (xo == 16 || xo == 528 || xo == 560);
	bool hint = op == 31 && xo == 444 && s == a && s == (insn >> 11 & 0x1f);

	b->pmu_ends = !indirect && !hint && op != 17;
	b->pmu_pages = op != 19;	/* returns from interrupts are not */
}

static bool enters(uint64_t va, enum kind kind)
{
	const struct symbol *sym = find_symbol(va);

	return (va == sym->va || va == sym->va + LOCAL_ENTRY) &&
	       !strcmp(sym->name, entries[kind]);
}

static enum mark mark(uint64_t va)
{
	uint64_t vector = va & ~KERNEL;

	if (vector == SCV && va >= KERNEL)
		return MARK_ENTER;
	if (vector >= VIRT_VECTORS && va >= KERNEL)
		vector -= VIRT_VECTORS;
	if (vector == SC)
		return MARK_ENTER;
	/* All are multiples of 0x20, and the code in them branches elsewhere. */
	if (vector >= VECTORS && vector < VECTORS_END && !(vector % 0x20))
		return MARK_DISTURB;
	if (va < KERNEL)
		return MARK_NONE;
	if (enters(va, MAP))
		return MARK_MAP;
	if (enters(va, UNMAP))
		return MARK_UNMAP;
	return MARK_NONE;
}

static void translate(uint64_t id, struct qemu_plugin_tb *tb)
{
	struct block *b = calloc(1, sizeof(*b));
	uint32_t last;

	(void)id;
	if (!b)
		exit(1);
	b->va = qemu_plugin_tb_vaddr(tb);
	b->insns = qemu_plugin_tb_n_insns(tb);
	b->mark = mark(b->va);
	memcpy(&last, qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, b->insns - 1)),
	       sizeof(last));
	pmu_rule(b, find_symbol(b->va) == &firmware ? be32toh(last) : le32toh(last));
	pthread_mutex_lock(&lock);
	b->next = blocks;
	blocks = b;
	pthread_mutex_unlock(&lock);
	qemu_plugin_register_vcpu_tb_exec_cb(tb, execute, NO_REGS, b);
}

/* ---- from beginning to end ---------------------------------------------- */

/* A block may go on in the next function. */
static void add(const struct block *b)
{
	struct symbol *sym;
	uint64_t i;
	int kind;

	for (i = 0; i < b->insns; i++) {
		sym = find_symbol(b->va + i * INSN_BYTES);
		for (kind = MAP; kind < KINDS; kind++) {
			sym->insns[kind] += b->times[kind];
			sym->pmu[kind] += b->pmu[kind];
		}
	}
}

static void put(FILE *f, const struct symbol *sym)
{
	if (sym->insns[MAP] || sym->insns[UNMAP])
		fprintf(f, "%s %lu %lu %lu %lu\n", sym->name, sym->insns[MAP],
			sym->insns[UNMAP], sym->pmu[MAP], sym->pmu[UNMAP]);
}

static void finish(uint64_t id, void *data)
{
	FILE *f = fopen(out, "w");
	struct block *b;
	size_t i;

	(void)id;
	(void)data;
	if (!f)
		return;
	for (b = blocks; b; b = b->next)
		if (b->times[MAP] || b->times[UNMAP])
			add(b);
	fprintf(f, "requests %lu %lu\n", counted[MAP], counted[UNMAP]);
	fprintf(f, "interrupted %lu %lu\n", disturbed[MAP], disturbed[UNMAP]);
	put(f, &user);
	put(f, &firmware);
	for (i = 0; i < nr_syms; i++)
		put(f, &syms[i]);
	fclose(f);
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc,
			       char **argv)
{
	const char *v, *names = NULL;
	int i;

	(void)info;
	for (i = 0; i < argc; i++) {
		v = value(argv[i], "syms");
		if (v)
			names = v;
		v = value(argv[i], "map");
		if (v)
			entries[MAP] = strdup(v);
		v = value(argv[i], "unmap");
		if (v)
			entries[UNMAP] = strdup(v);
		v = value(argv[i], "out");
		if (v)
			out = strdup(v);
		v = value(argv[i], "skip");
		if (v)
			skip = strtoul(v, NULL, 0);
	}
	if (!out || !entries[MAP] || !entries[UNMAP] || !names ||
	    read_symbols(names)) {
		fprintf(stderr, "profile: arguments or symbols are missing\n");
		return -1;
	}
	for (i = 0; i < CPUS; i++)
		begin(&requests[i]);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	qemu_plugin_register_atexit_cb(id, finish, NULL);
	return 0;
}
