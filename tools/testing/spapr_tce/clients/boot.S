/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The boot sector of a disk that is passed through to a PC, whose firmware then
 * reads 256 KiB of it and writes them to another place, piece by piece, and reads
 * again what it wrote. Says on the serial port what cksum(1) would say of both, in
 * hexadecimal, and turns the machine off.
 */
	.set	FROM, 0x8000		/* sectors of 512 bytes, as in iommufd.sh */
	.set	TO, 0x14000
	.set	PIECE, 64
	.set	PIECES, 8
	.set	BUFFER, 0x1000		/* a segment */
	.set	COM1, 0x3f8
	.set	PM1_CNT, 0x604		/* where SeaBIOS has it on q35 */

	.code16
	.globl	_start
_start:	ljmp	$0, $1f
1:	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %ss
	movw	$_start, %sp
	movb	%dl, disk
	pushw	$BUFFER
	popw	%es
	cld
	movw	$hello, %si
	call	puts

1:	movb	$0x42, %ah		/* read */
	movl	from, %edx
	movw	$sums, %bp
	call	piece
	movb	$0x43, %ah		/* write */
	movl	to, %edx
	call	int13
	xorw	%ax, %ax
	xorw	%di, %di
	movw	$PIECE * 256, %cx
	rep stosw
	movb	$0x42, %ah
	movl	to, %edx
	movw	$sums + 4, %bp
	call	piece
	addw	$PIECE, from
	addw	$PIECE, to
	decb	left
	jnz	1b

	movw	$read, %si
	movw	$sums, %bp
	call	say
	movw	$wrote, %si
	movw	$sums + 4, %bp
	call	say
off:	movw	$newline, %si
	call	puts
	movw	$PM1_CNT, %dx
	movw	$0x2000, %ax
	outw	%ax, %dx
2:	hlt
	jmp	2b

failed:	movw	$error, %si
	call	puts
	jmp	off

/* int13: %ah what to do with the sectors from %edx on, and memory from %es:0 on */
int13:	movl	%edx, lba
	movb	disk, %dl
	movw	$packet, %si
	int	$0x13
	jc	failed
	ret

/* piece: the same, and count it in the checksum at %bp */
piece:	call	int13
	movl	(%bp), %eax
	xorw	%si, %si
3:	movb	%es:(%si), %dl
	call	byte
	incw	%si
	cmpw	$PIECE * 512, %si
	jne	3b
	movl	%eax, (%bp)
	ret

/* byte: %dl into the checksum %eax */
byte:	shll	$24, %edx
	xorl	%edx, %eax
	movb	$8, %cl
4:	shll	%eax
	jnc	5f
	xorl	$0x04c11db7, %eax
5:	decb	%cl
	jnz	4b
	ret

/* say: text %si and the checksum at %bp, with the length of all pieces at its end */
say:	call	puts
	movl	(%bp), %eax
	movw	$length, %si
	movb	$3, %ch
6:	movb	(%si), %dl
	incw	%si
	call	byte
	decb	%ch
	jnz	6b
	notl	%eax
	movl	%eax, %ebx
	movb	$8, %ch
7:	roll	$4, %ebx
	movb	%bl, %al
	andb	$15, %al
	addb	$'0', %al
	cmpb	$'9', %al
	jbe	8f
	addb	$'a' - '9' - 1, %al
8:	call	putc
	decb	%ch
	jnz	7b
	ret

putc:	movw	$COM1 + 5, %dx
	movb	%al, %ah
9:	inb	%dx, %al
	testb	$0x20, %al
	jz	9b
	movb	%ah, %al
	movw	$COM1, %dx
	outb	%al, %dx
	ret
puts:	lodsb
	testb	%al, %al
	jz	9f
	call	putc
	jmp	puts
9:	ret

packet:	.byte	16, 0
	.word	PIECE, 0, BUFFER
lba:	.long	0, 0
from:	.long	FROM
to:	.long	TO
length:	.byte	PIECE * PIECES * 512 & 255, PIECE * PIECES * 512 >> 8 & 255
	.byte	PIECE * PIECES * 512 >> 16
left:	.byte	PIECES
disk:	.byte	0
sums:	.long	0, 0
hello:	.asciz	"boot: started\r\n"
read:	.asciz	"boot: read "
wrote:	.asciz	" wrote "
error:	.asciz	"boot: the firmware failed"
newline: .asciz	"\r\n"
	.org	510
	.word	0xaa55
