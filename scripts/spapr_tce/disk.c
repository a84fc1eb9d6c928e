// SPDX-License-Identifier: GPL-2.0
/*
 * Write a disk image whose content the test in the guest can work out: the
 * 8-byte little-endian word at byte offset 8 * i is splitmix64(i).
 */
#include <endian.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	uint64_t words = argc > 1 ? strtoull(argv[1], NULL, 0) / 8 : 0;

	for (uint64_t i = 0; i < words; i++) {
		uint64_t z = (i + 1) * 0x9e3779b97f4a7c15ULL;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
		z = htole64(z ^ (z >> 31));
		fwrite(&z, sizeof(z), 1, stdout);
	}
	return fflush(stdout) || ferror(stdout);
}
