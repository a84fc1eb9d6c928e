/* SPDX-License-Identifier: GPL-2.0 */
/* What bare.S and bare.c have of each other */
#ifndef _BARE_H
#define _BARE_H

#include <stdint.h>

typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;
typedef uint8_t u8;

s64 hcall(u64 nr, u64 a, u64 b, u64 c, u64 d);
u64 time_base(void);
void bare_main(u8 *fdt);

#endif /* _BARE_H */
