// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of all kinds, and patterns in it: see lib.h.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib.h"

void *mem_alloc(size_t size, size_t align, unsigned int flags)
{
	size_t page = sys_page_size();
	int prot = PROT_READ | (flags & MEM_RDONLY ? 0 : PROT_WRITE);
	int mflags = flags & MEM_SHARED ? MAP_SHARED : MAP_PRIVATE;
	uintptr_t base, start;
	unsigned int shift;
	void *va;

	if (flags & MEM_HUGETLB(0)) {
		shift = flags >> 8;
		page = (size_t)1 << shift;
		size = (size + page - 1) & ~(page - 1);
		va = mmap(NULL, size, prot,
			  mflags | MAP_ANONYMOUS | MAP_HUGETLB |
			  (shift << MAP_HUGE_SHIFT), -1, 0);
		if (va == MAP_FAILED)
			return NULL;
		if (flags & MEM_POPULATE)
			memset(va, 0, size);
		return va;
	}

	size = (size + page - 1) & ~(page - 1);
	if (align < page)
		align = page;
	/* Reserve more than enough, then lay the memory on the aligned part. */
	va = mmap(NULL, size + align, PROT_NONE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (va == MAP_FAILED)
		return NULL;
	base = (uintptr_t)va;
	start = (base + align - 1) & ~((uintptr_t)align - 1);
	if (start > base)
		munmap(va, start - base);
	munmap((void *)(start + size), base + align - start);

	va = mmap((void *)start, size, prot,
		  mflags | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (va == MAP_FAILED) {
		munmap((void *)start, size);
		return NULL;
	}
	madvise(va, size, flags & MEM_THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	if (flags & MEM_POPULATE) {
		char *p = va;
		size_t i;

		for (i = 0; i < size; i += page)
			if (flags & MEM_RDONLY)
				__atomic_load_n(p + i, __ATOMIC_RELAXED);
			else
				__atomic_store_n(p + i, 0, __ATOMIC_RELAXED);
	}
	return va;
}

void mem_free(void *va, size_t size)
{
	size_t page = sys_page_size();

	if (va)
		munmap(va, (size + page - 1) & ~(page - 1));
}

/* Is the kernel's memory map virtually contiguous? */
static bool sys_vmemmap(void)
{
	char line[512];
	bool found = false;
	FILE *f = fopen("/proc/kallsyms", "re");

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, " vmemmap_populate\n");
	if (f)
		fclose(f);

	return found;
}

long mem_hugetlb_reserve(unsigned int shift, long count)
{
	char path[512], buf[32];

	snprintf(path, sizeof(path),
		 "/sys/kernel/mm/hugepages/hugepages-%llukB/nr_hugepages",
		 (1ULL << shift) >> 10);
	snprintf(buf, sizeof(buf), "%ld", count);
	/*
	 * Without SPARSEMEM_VMEMMAP, which distributions have, gigantic pages can
	 * only be used when the machine was booted with some: to make them at run
	 * time crashes 6.12 on pseries (alloc_contig_range).
	 */
	if (shift < 30 || sys_vmemmap())
		sys_write_file(path, buf);
	return sys_read_file(path, buf, sizeof(buf)) ? 0 : atol(buf);
}

size_t mem_thp_bytes(const void *va, size_t size)
{
	unsigned long start = 0, end = 0, kb;
	bool inside = false;
	size_t sum = 0;
	char line[512];
	FILE *f = fopen("/proc/self/smaps", "r");

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start < (uintptr_t)va + size &&
				 end > (uintptr_t)va;
		else if (inside &&
			 sscanf(line, "AnonHugePages: %lu kB", &kb) == 1)
			sum += kb << 10;
	}
	fclose(f);
	return sum;
}

size_t mem_thp_size(void)
{
	char buf[32];

	if (sys_read_file("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size",
			  buf, sizeof(buf)))
		return 0;
	return atol(buf);
}

bool mem_has_huge(void)
{
	return mem_thp_size() || !access("/sys/kernel/mm/hugepages", F_OK);
}

void *mem_huge(size_t *size, unsigned int shift, unsigned int *pool)
{
	const unsigned int shifts[4] = { 21, 24, 30, 34 };
	unsigned int i;
	size_t page, len;
	void *va;

	*pool = 0;
	for (i = 0; i < 4; i++) {
		page = (size_t)1 << shifts[i];
		len = (*size + page - 1) & ~(page - 1);
		if (shifts[i] < shift || len > SZ_1G)
			continue;
		if (mem_hugetlb_reserve(shifts[i], len >> shifts[i]) <
		    (long)(len >> shifts[i])) {
			mem_hugetlb_reserve(shifts[i], 0);
			continue;
		}
		va = mem_alloc(len, 0, MEM_HUGETLB(shifts[i]) | MEM_POPULATE);
		if (va) {
			*pool = shifts[i];
			*size = len;
			return va;
		}
		mem_hugetlb_reserve(shifts[i], 0);
	}

	page = mem_thp_size();
	if (page < (size_t)1 << shift)
		return NULL;
	len = (*size + page - 1) & ~(page - 1);
	va = mem_alloc(len, page, MEM_THP | MEM_POPULATE);
	if (va && mem_thp_bytes(va, len) < len) {
		mem_free(va, len);
		va = NULL;
	}
	*size = len;
	return va;
}

void mem_huge_free(void *va, size_t size, unsigned int pool)
{
	if (va)
		munmap(va, size);
	if (pool)
		mem_hugetlb_reserve(pool, 0);
}

u64 mem_phys(const void *va)
{
	size_t page = sys_page_size();
	u64 entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (pread(fd, &entry, 8, (uintptr_t)va / page * 8) != 8)
		entry = 0;
	close(fd);
	if (!(entry & BIT_ULL(63)))
		return 0;
	return (entry & (BIT_ULL(55) - 1)) * page + (uintptr_t)va % page;
}

static u64 mem_word(u32 seed, size_t i)
{
	return ((u64)seed << 32 | 0x5a5a0001) * 0x9e3779b97f4a7c15ULL +
		i * 0xd1342543de82ef95ULL;
}

void mem_fill(void *va, size_t size, u32 seed)
{
	u64 *p = va;
	size_t i;

	for (i = 0; i < size / 8; i++)
		p[i] = mem_word(seed, i);
}

bool mem_check(const void *va, size_t size, u32 seed)
{
	const u64 *p = va;
	size_t i;

	for (i = 0; i < size / 8; i++)
		if (p[i] != mem_word(seed, i))
			return false;
	return true;
}
