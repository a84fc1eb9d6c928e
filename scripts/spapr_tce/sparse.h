/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What 7.x asks of sparse and Debian's, 0.6.4, does not know: without it make
 * takes sparse for too old, and MODULE_LICENSE() for wrong.  Good enough for a
 * checker: it generates no code.
 */
#define __typeof_unqual__	__typeof__
#define __builtin_strlen(s)	(sizeof(s) - 1)
