// SPDX-License-Identifier: GPL-2.0
/*
 * A guest without an operating system, which starts two seconds after QEMU
 * and makes hypercalls about TCEs: qemu -M pseries,host-serial=MODE -bios
 * bare.bin.  The machine's serial number says what to do:
 *
 *   fill:SHIFT	  make a window of 1 << SHIFT bytes, map one page all over it until
 *		  there are no resources left, unmap, map again, remove the window
 *   storm:SHIFT  map and unmap there and in the default window, for ever
 *   unplug:SHIFT the same, with the device isolated, so that it can be unplugged
 *
 * Lines on the console begin with "bare: ".
 */
#include <stdalign.h>
#include <stdbool.h>

#include "bare.h"

#define H_PUT_TCE		0x20
#define H_PUT_TERM_CHAR		0x58
#define H_STUFF_TCE		0x138
#define H_PUT_TCE_INDIRECT	0x13c
#define H_RTAS			0xf000

#define FDT_BEGIN_NODE		1
#define FDT_END_NODE		2
#define FDT_PROP		3
#define FDT_NOP			4

#define ISOLATION_STATE		9001
#define DRC_TYPE_PCI		4

#define TCE_RW			3UL
#define LIST_MAX		512UL
#define TIME_BASE_HZ		512000000UL
/* Memory of this guest that is nothing but a target of TCEs */
#define RAM_START		(16UL << 20)
#define RAM_SIZE		(64UL << 20)
/* Maps of a fill that are remembered: every one */
#define FILL_MAX		131072UL

struct window {
	u32 liobn;
	u32 shift;
	u64 start;
	u64 pages;
};

static struct {
	const char *mode;
	u32 power_off;
	u32 set_indicator;
	u32 ddw[3];		/* query, create, remove */
	u32 buid[2];
	u32 drc;
	struct window low;
} machine;

static struct {
	u32 token, nargs, nret, args[16];
} rtas_args;

static alignas(4096) u64 list[LIST_MAX];

/* ---- console ------------------------------------------------------------ */

static alignas(8) char line[16];
static u32 line_len;

static void flush(void)
{
	u64 *w = (u64 *)line;

	while (line_len && hcall(H_PUT_TERM_CHAR, 0, line_len, w[0], w[1]))
		;
	line_len = 0;
}

static void put_char(char c)
{
	line[line_len++] = c;
	if (line_len == sizeof(line))
		flush();
}

static void put(const char *s)
{
	while (*s)
		put_char(*s++);
}

static void put_number(s64 n)
{
	char digits[24];
	u32 i = 0;

	if (n < 0) {
		put_char('-');
		n = -n;
	}
	do {
		digits[i++] = '0' + n % 10;
		n /= 10;
	} while (n);
	while (i)
		put_char(digits[--i]);
}

/* "bare: what: n" */
static void report(const char *what, s64 n)
{
	put("bare: ");
	put(what);
	put(": ");
	put_number(n);
	put("\r\n");
	flush();
}

/* ---- the device tree ---------------------------------------------------- */

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

/* The number behind @word and a colon, if @s begins so; else 0. */
static u64 number_after(const char *s, const char *word)
{
	u64 n = 0;

	while (*word && *s == *word) {
		s++;
		word++;
	}
	if (*word || *s++ != ':')
		return 0;
	while (*s >= '0' && *s <= '9')
		n = n * 10 + *s++ - '0';
	return n;
}

/* This program is big-endian, as the tree is. */
static void property(const char *name, const u32 *val, u32 *last_reg)
{
	if (same(name, "host-serial")) {
		machine.mode = (const char *)val;
	} else if (same(name, "power-off")) {
		machine.power_off = *val;
	} else if (same(name, "set-indicator")) {
		machine.set_indicator = *val;
	} else if (same(name, "reg")) {
		last_reg[0] = val[0];
		last_reg[1] = val[1];
	} else if (same(name, "ibm,ddw-applicable")) {
		machine.ddw[0] = val[0];
		machine.ddw[1] = val[1];
		machine.ddw[2] = val[2];
	} else if (same(name, "ibm,my-drc-index")) {
		if (*val >> 28 == DRC_TYPE_PCI)
			machine.drc = *val;
	} else if (same(name, "ibm,dma-window")) {
		machine.low.liobn = val[0];
		machine.low.shift = 12;
		machine.low.start = (u64)val[1] << 32 | val[2];
		machine.low.pages = ((u64)val[3] << 32 | val[4]) >> 12;
	}
}

/*
 * One host bridge and one device are expected, so it is enough to know which
 * node a "reg" belongs to: that of the bridge is the one seen in the node with
 * a DMA window; properties may come in any order.
 */
static void parse(const u8 *fdt)
{
	const u32 *head = (const u32 *)fdt;
	const u32 *p = (const u32 *)(fdt + head[2]);
	const char *strings = (const char *)fdt + head[3];
	u32 reg[2] = { 0, 0 }, len;
	bool bridge = false;
	const char *name;

	for (;;) {
		switch (*p++) {
		case FDT_BEGIN_NODE:
			if (bridge) {
				machine.buid[0] = reg[0];
				machine.buid[1] = reg[1];
				bridge = false;
			}
			for (name = (const char *)p; *name; name++)
				;
			p = (const u32 *)(((u64)name + 4) & ~3UL);
			break;
		case FDT_PROP:
			len = p[0];
			name = strings + p[1];
			property(name, p + 2, reg);
			bridge |= same(name, "ibm,dma-window");
			p += 2 + (len + 3) / 4;
			break;
		case FDT_END_NODE:
			if (bridge) {
				machine.buid[0] = reg[0];
				machine.buid[1] = reg[1];
				bridge = false;
			}
			break;
		case FDT_NOP:
			break;
		default:
			return;
		}
	}
}

/* ---- firmware ----------------------------------------------------------- */

/* Status of the call; what else it gives is behind that. */
static s64 rtas(u32 token, u32 nargs, u32 nret)
{
	rtas_args.token = token;
	rtas_args.nargs = nargs;
	rtas_args.nret = nret;
	if (hcall(H_RTAS, (u64)&rtas_args, 0, 0, 0))
		return -1;
	return (int)rtas_args.args[nargs];
}

static s64 window_create(struct window *w, u32 shift)
{
	s64 ret;

	rtas_args.args[0] = 0;
	rtas_args.args[1] = machine.buid[0];
	rtas_args.args[2] = machine.buid[1];
	rtas_args.args[3] = 16;
	rtas_args.args[4] = shift;
	ret = rtas(machine.ddw[1], 5, 4);
	w->liobn = rtas_args.args[6];
	w->shift = 16;
	w->start = (u64)rtas_args.args[7] << 32 | rtas_args.args[8];
	w->pages = 1UL << (shift - 16);
	return ret;
}

static s64 window_remove(const struct window *w)
{
	rtas_args.args[0] = w->liobn;
	return rtas(machine.ddw[2], 1, 1);
}

/* For as long, about, the host looks at what there is. */
static void pause(u32 seconds)
{
	u64 start = time_base();

	while (time_base() - start < seconds * TIME_BASE_HZ)
		;
}

static void power_off(void)
{
	report("power off", 0);
	rtas_args.args[0] = 0;
	rtas_args.args[1] = 0;
	rtas(machine.power_off, 2, 1);
	for (;;)
		;
}

static void need(const char *what, s64 ret)
{
	report(what, ret);
	if (ret)
		power_off();
}

/* ---- TCEs --------------------------------------------------------------- */

static u64 seed = 88172645463325252UL;

static u64 random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* A TCE of some page of the RAM. */
static u64 some_tce(u32 shift)
{
	u64 off = random() % RAM_SIZE & ~((1UL << shift) - 1);

	return (RAM_START + off) | TCE_RW;
}

static s64 put_tce(const struct window *w, u64 page, u64 tce)
{
	return hcall(H_PUT_TCE, w->liobn, w->start + (page << w->shift), tce, 0);
}

static s64 stuff_tce(const struct window *w, u64 page, u64 n)
{
	return hcall(H_STUFF_TCE, w->liobn, w->start + (page << w->shift), 0, n);
}

/* ---- what to do --------------------------------------------------------- */

/*
 * Page @i of a fill: each in a level of its own for as long as there are any,
 * in an order that has the highest levels filled first.
 */
static u64 fill_page(const struct window *w, u64 i)
{
	u64 page = 0;
	u64 bit;

	for (bit = w->pages >> 1; bit && i; bit >>= 1, i >>= 1)
		if (i & 1)
			page |= bit;
	return page;
}

static void fill(u32 shift)
{
	struct window w;
	u64 i, n, again;
	s64 ret = 0;

	need("create window", window_create(&w, shift));
	report("pages of the window", w.pages);
	for (n = 0; n < FILL_MAX; n++) {
		ret = put_tce(&w, fill_page(&w, n), some_tce(w.shift));
		if (ret)
			break;
	}
	report("mapped", n);
	report("then", ret);
	pause(2);
	/* What is there is not touched by what failed, and goes on. */
	ret = 0;
	for (i = 0; i < n && !ret; i++)
		ret = put_tce(&w, fill_page(&w, i), some_tce(w.shift));
	report("mapped over itself", ret);
	for (i = 0; i < n && !ret; i++)
		ret = stuff_tce(&w, fill_page(&w, i), 1);
	report("unmapped", ret);
	for (again = 0; again < n && !ret; again++)
		ret = put_tce(&w, fill_page(&w, again), some_tce(w.shift));
	report("mapped again", again);
	report("default window", put_tce(&machine.low, 0, some_tce(12)));
	need("remove window", window_remove(&w));
	/* ... and what it held can be had once more. */
	need("create window again", window_create(&w, shift));
	for (i = 0; i < n / 2 && !ret; i++)
		ret = put_tce(&w, fill_page(&w, i), some_tce(w.shift));
	report("mapped half of it", ret);
	put("bare: filled\r\n");
	flush();
}

static void storm(u32 shift)
{
	struct window both[2];
	u64 i, ops = 0, failed = 0;

	both[0] = machine.low;
	need("create window", window_create(&both[1], shift));
	put("bare: storming\r\n");
	flush();
	for (;; ops++) {
		const struct window *w = &both[random() & 1];
		/* In a part of it, so that pages are met again. */
		u64 page = random() % 4096;
		u64 n = 1 + random() % LIST_MAX;
		s64 ret;

		if (w == &both[1])
			page = (page & 15) * (w->pages / 16) + page;
		if (page + n > w->pages)
			continue;
		switch (random() & 3) {
		case 0:
			for (i = 0; i < n; i++)
				list[i] = some_tce(w->shift);
			ret = hcall(H_PUT_TCE_INDIRECT, w->liobn,
				    w->start + (page << w->shift), (u64)list, n);
			break;
		case 1:
			ret = stuff_tce(w, page, n);
			break;
		default:
			ret = put_tce(w, page, some_tce(w->shift));
			break;
		}
		if (ret && !failed++)
			report("first failure", ret);
	}
}

void bare_main(u8 *fdt)
{
	u64 shift;

	parse(fdt);
	put("bare: up\r\n");
	if (!machine.mode || !machine.ddw[1] || !machine.low.liobn) {
		put("bare: what to do, or with what?\r\n");
		power_off();
	}
	shift = number_after(machine.mode, "fill");
	if (shift)
		fill(shift);
	shift = number_after(machine.mode, "storm");
	if (shift)
		storm(shift);
	shift = number_after(machine.mode, "unplug");
	if (shift) {
		rtas_args.args[0] = ISOLATION_STATE;
		rtas_args.args[1] = machine.drc;
		rtas_args.args[2] = 0;
		need("isolate", rtas(machine.set_indicator, 3, 1));
		storm(shift);
	}
	power_off();
}
