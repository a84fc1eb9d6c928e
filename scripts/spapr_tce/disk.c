// SPDX-License-Identifier: GPL-2.0
/*
 * Write a disk image whose content the test in the guest can work out: the
 * 8-byte little-endian word at byte offset 8 * i is splitmix64(i).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t splitmix64(uint64_t i)
{
	uint64_t z = (i + 1) * 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

int main(int argc, char **argv)
{
	uint64_t words = argc > 1 ? strtoull(argv[1], NULL, 0) / 8 : 0;
	uint64_t i;
	int b;

	for (i = 0; i < words; i++) {
		uint64_t w = splitmix64(i);

		for (b = 0; b < 64; b += 8)
			putchar(w >> b & 0xff);
	}
	return fflush(stdout) || ferror(stdout);
}
