/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where a pseries machine begins: QEMU puts the image of -bios at 0 and enters
 * it at 0x100, big-endian, in real mode, with the device tree's address in r3.
 */
#define STACK_TOP	0x100000

	.machine power8
	.abiversion 2

	.section .head, "ax"
	.globl _start
	.org 0x100
_start:
	lis	%r1, STACK_TOP@h
	li	%r0, 0
	stdu	%r0, -128(%r1)
	lis	%r2, .TOC.@ha
	addi	%r2, %r2, .TOC.@l
	bl	bare_main
	nop
1:	b	1b

/* s64 hcall(u64 nr, u64 a, u64 b, u64 c, u64 d) */
	.text
	.globl hcall
	.type hcall, @function
hcall:
	sc	1
	blr

/* u64 time_base(void) */
	.globl time_base
	.type time_base, @function
time_base:
	mfspr	%r3, 268
	blr

	.section .note.GNU-stack, "", @progbits
