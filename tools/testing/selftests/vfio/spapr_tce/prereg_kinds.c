// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of other kinds than a process's own: what of it can be registered, and
 * that of what cannot be nothing stays pinned or charged.
 */
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "prereg.h"

/* @what must be refused with @want, and nothing be pinned or charged. */
static void refused(struct __test_metadata *_metadata, int c, const void *va,
		    size_t size, int want, const char *what)
{
	s64 pinned = sys_pinned();
	u64 vmlck = sys_vmlck();
	int ret = tce_register(c, va, size);

	EXPECT_EQ(want, ret)
		TH_LOG("%s: %d", what, ret);
	EXPECT_EQ(vmlck, sys_vmlck())
		TH_LOG("%s: VmLck changed", what);
	EXPECT_EQ(pinned, sys_pinned_wait(pinned))
		TH_LOG("%s: pages stay pinned", what);
	EXPECT_EQ(-ENOENT, tce_unregister(c, va, size))
		TH_LOG("%s: but it is registered", what);
}

TEST_F(prereg, read_only)
{
	size_t page = self->page;
	char *va = mem_alloc(4 * page, 0, MEM_POPULATE);
	char *ro = mem_alloc(4 * page, 0, MEM_RDONLY);

	ASSERT_NE(NULL, va);
	ASSERT_NE(NULL, ro);
	refused(_metadata, self->c, ro, 4 * page, -EFAULT, "never written");
	ASSERT_EQ(0, mprotect(va + 2 * page, page, PROT_READ));
	refused(_metadata, self->c, va, 4 * page, -EFAULT, "one page of four");
	refused(_metadata, self->c, va + 2 * page, page, -EFAULT, "one page");
	ASSERT_EQ(0, mprotect(va + 2 * page, page, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, tce_register(self->c, va, 4 * page));
}

TEST_F(prereg, hole)
{
	/* more than one batch of pages by any reckoning */
	size_t page = self->page, n = 1200, size = n * page;
	const size_t at[] = { 0, 1, n / 2, n - 2, n - 1 };
	char *va = mem_alloc(size, 0, 0);
	char what[32];
	unsigned int i;

	ASSERT_NE(NULL, va);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		snprintf(what, sizeof(what), "hole at page %zu", at[i]);
		ASSERT_EQ(0, munmap(va + at[i] * page, page));
		refused(_metadata, self->c, va, size, -EFAULT, what);
		ASSERT_NE(MAP_FAILED, mmap(va + at[i] * page, page,
					   PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS |
					   MAP_FIXED, -1, 0));
	}
	ASSERT_EQ(0, mprotect(va + 3 * page, page, PROT_NONE));
	refused(_metadata, self->c, va, size, -EFAULT, "PROT_NONE page");
	ASSERT_EQ(0, munmap(va, size));
	refused(_metadata, self->c, va, size, -EFAULT, "nothing there at all");
	refused(_metadata, self->c, NULL, size, -EFAULT, "address 0");
}

TEST_F(prereg, device_memory)
{
	struct tce_dev *dev = &self->devs[0];

	if (!tce_can_dma(dev))
		SKIP(return, "no device with a BAR to map");
	refused(_metadata, self->c, (void *)dev->bar0, self->page, -EFAULT,
		"a BAR of the device");
}

TEST_F(prereg, memfd)
{
	size_t page = self->page, size = 16 * page;
	int fd = memfd_create("spapr_tce", MFD_CLOEXEC);
	u64 word, vmlck = sys_vmlck();
	char *va;

	if (fd < 0)
		SKIP(return, "no memfd");
	ASSERT_EQ(0, ftruncate(fd, size));
	va = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, va);
	ASSERT_EQ(0, tce_register(self->c, va, size));
	EXPECT_EQ(vmlck + size, sys_vmlck());
	ASSERT_EQ(0, tce_map(self->c, 0, va, size, DMA_RW));
	if (tce_can_dma(&self->devs[0])) {
		mem_fill(va, page, 5);
		EXPECT_EQ(0, edu_copy(&self->devs[0], 0, 9 * page, 4088));
		/* what the device wrote is in the file */
		EXPECT_EQ(8, pread(fd, &word, 8, 9 * page));
		EXPECT_EQ(*(u64 *)va, word);
	}
	ASSERT_EQ(0, tce_unmap(self->c, 0, size));
	ASSERT_EQ(0, tce_unregister(self->c, va, size));

	/* past the end of the file there is nothing to pin */
	ASSERT_EQ(0, ftruncate(fd, size - page));
	refused(_metadata, self->c, va, size, -EFAULT, "past the end of file");
	munmap(va, size);
	close(fd);
}

/* A private mapping of a file is copied when written, and so when pinned. */
TEST_F(prereg, private_file)
{
	size_t page = self->page;
	int fd = memfd_create("spapr_tce", MFD_CLOEXEC);
	u64 word = 0, one = 1;
	char *va;

	if (fd < 0)
		SKIP(return, "no memfd");
	ASSERT_EQ(0, ftruncate(fd, 2 * page));
	ASSERT_EQ(8, pwrite(fd, &one, 8, page));
	va = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, va);
	ASSERT_EQ(0, tce_register(self->c, va, 2 * page));
	ASSERT_EQ(0, tce_map(self->c, 0, va, 2 * page, DMA_RW));
	mem_fill(va, page, 6);
	if (tce_can_dma(&self->devs[0])) {
		EXPECT_EQ(0, edu_copy(&self->devs[0], 0, page, 4088));
		EXPECT_TRUE(mem_check(va + page, 4088, 6));
	}
	EXPECT_EQ(8, pread(fd, &word, 8, page));
	EXPECT_EQ(one, word);
	close(fd);
}

/* A directory on a file system that writes pages back to a disk. */
static bool disk_dir(char *dir, size_t size)
{
	static const char * const types[] = { "ext4", "ext3", "ext2", "xfs",
					      "btrfs", "f2fs" };
	const char *named = getenv("SPAPR_TCE_DISK_DIR");
	struct mntent *m;
	bool found = false;
	unsigned int i;
	FILE *f;

	if (named) {
		snprintf(dir, size, "%s", named);
		return true;
	}
	f = setmntent("/proc/mounts", "r");
	while (f && !found && (m = getmntent(f))) {
		for (i = 0; i < ARRAY_SIZE(types); i++)
			found |= !strcmp(m->mnt_type, types[i]) &&
				 hasmntopt(m, "rw") && !access(m->mnt_dir, W_OK);
		if (found)
			snprintf(dir, size, "%s", m->mnt_dir);
	}
	if (f)
		endmntent(f);
	return found;
}

/*
 * A shared writable file on such a file system cannot be pinned for long: the
 * device would write behind the back of its dirty tracking.
 */
TEST_F(prereg, disk_file)
{
	size_t page = self->page, size = 4 * page;
	char path[4096], bdf[16];
	bool file = disk_dir(path, sizeof(path) - 32);
	char *va;
	int fd;

	if (file) {
		strcat(path, "/spapr_tce.XXXXXX");
		fd = mkstemp(path);
		ASSERT_LE(0, fd);
		unlink(path);
		ASSERT_EQ(0, ftruncate(fd, size));
	} else {
		/* a disk is a file of such a kind, too */
		if (!sys_test_disk(path, sizeof(path), bdf, sizeof(bdf)))
			SKIP(return, "no writable disk file system: set SPAPR_TCE_DISK_DIR");
		fd = open(path, O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, fd);
	}
	va = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, va);
	refused(_metadata, self->c, va, size, -EFAULT, "untouched file");
	if (file) {
		memset(va, 1, size);
		refused(_metadata, self->c, va, size, -EFAULT, "written file");
	}
	munmap(va, size);

	va = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, va);
	EXPECT_EQ(0, tce_register(self->c, va, size));
	close(fd);
}

TEST_HARNESS_MAIN
