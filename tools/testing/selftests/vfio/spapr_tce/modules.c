// SPDX-License-Identifier: GPL-2.0
/*
 * VFIO and KVM as modules, as distributions have them: a module in use cannot be
 * unloaded and goes on working, one that is not can, and works when it is loaded
 * again. The files are in /modules; where they are not, modprobe finds them.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "kvm_guest.h"

#define ROUNDS		3
#define SECONDS		5
#define BUF_SIZE	SZ_1M

/* In an order in which they can be loaded */
static const char * const all[] = {
	"vfio", "vfio_iommu_spapr_tce", "vfio-pci-core", "vfio-pci",
	"kvm", "kvm-hv", "kvm-pr",
};

#define ALL		ARRAY_SIZE(all)

/* The kernel's name of a module: as its file's, with _ for each - */
static void module_name(char *name, size_t size, const char *file)
{
	char *p;

	snprintf(name, size, "%s", file);
	for (p = name; *p; p++)
		if (*p == '-')
			*p = '_';
}

static bool loaded(const char *file)
{
	char name[64], path[128];

	module_name(name, sizeof(name), file);
	/* What is built in may have a directory there, but no refcnt */
	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", name);
	return !access(path, F_OK);
}

static int unload(const char *file)
{
	char name[64];

	module_name(name, sizeof(name), file);
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

static int load(const char *file)
{
	char path[128];
	int fd, ret;

	snprintf(path, sizeof(path), "/modules/%s.ko", file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		snprintf(path, sizeof(path), "modprobe %s", file);
		return system(path) ? -ENOENT : 0;
	}
	ret = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return ret;
}

FIXTURE(modules)
{
	struct tce_leak leak;
	struct tce_dev devs[TCE_MAX_DEVS];
	bool had[ALL];		/* when the test began */
	int c;
	void *buf;
};

FIXTURE_SETUP(modules)
{
	int i;

	self->c = -1;
	for (i = 0; i < ALL; i++)
		self->had[i] = loaded(all[i]);
	if (!self->had[0])
		SKIP(return, "VFIO is built in");
	for (i = 0; i < 4; i++)
		ASSERT_TRUE(self->had[i]);
	if (!tce_find_devs(self->devs, TCE_MAX_DEVS))
		SKIP(return, "no PCI device to take: no edu, no VFIO_DEVICE");
	tce_leak_start(&self->leak);
	self->buf = mem_alloc(BUF_SIZE, SZ_64K, MEM_POPULATE);
	ASSERT_NE(NULL, self->buf);
}

FIXTURE_TEARDOWN(modules)
{
	int i;

	tce_close(&self->devs[0], self->c);
	mem_free(self->buf, BUF_SIZE);
	/* What a test that failed took away */
	for (i = 0; i < ALL; i++)
		if (self->had[i] && !loaded(all[i]))
			load(all[i]);
	EXPECT_NO_LEAK(&self->leak);
}

/* A container with memory; 0 or what its first request that failed answered */
static int use(struct _test_data_modules *self)
{
	int ret;

	self->c = tce_open(&self->devs[0], TCE_V2);
	if (self->c < 0)
		return self->c;
	ret = tce_register(self->c, self->buf, BUF_SIZE);
	return ret;
}

/* Map and unmap in its default window */
static int map(struct _test_data_modules *self)
{
	struct vfio_iommu_spapr_tce_info info;
	int ret;

	ret = tce_get_info(self->c, &info);
	if (!ret)
		ret = tce_map(self->c, info.dma32_window_start, self->buf, SZ_64K,
			      DMA_RW);
	return ret ?: tce_unmap(self->c, info.dma32_window_start, SZ_64K);
}

static void done(struct _test_data_modules *self)
{
	tce_close(&self->devs[0], self->c);
	self->c = -1;
}

TEST_F(modules, in_use)
{
	int i;

	ASSERT_EQ(0, use(self));
	ASSERT_EQ(0, tce_dev_open_vfio(&self->devs[0]));
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(-EWOULDBLOCK, unload(all[i])) {
			TH_LOG("%s", all[i]);
		}
	}
	EXPECT_EQ(0, map(self));
}

/* A VM holds the module of its kind, and KVM the group of a container */
TEST_F(modules, kvm_in_use)
{
	struct guest g;
	const char *missing;
	bool hv = true;
	int table;

	missing = guest_open(&g, KVM_VM_PPC_HV);
	if (missing) {
		hv = false;
		guest_close(&g);
		missing = guest_open(&g, KVM_VM_PPC_PR);
	}
	if (missing) {
		guest_close(&g);
		SKIP(return, "%s", missing);
	}
	EXPECT_EQ(-EWOULDBLOCK, unload(hv ? "kvm-hv" : "kvm-pr"));
	EXPECT_EQ(-EWOULDBLOCK, unload("kvm"));

	EXPECT_EQ(0, guest_window(&g, SZ_1G));
	table = guest_plug(&g, 1);
	EXPECT_LE(0, table);
	EXPECT_EQ(-EWOULDBLOCK, unload("vfio_iommu_spapr_tce"));
	guest_unplug(&g);
	/* Its kvm-vfio device has the group's file still */
	EXPECT_EQ(-EWOULDBLOCK, unload("vfio"));
	EXPECT_EQ(-EWOULDBLOCK, unload(hv ? "kvm-hv" : "kvm-pr"));
	guest_close(&g);
	/* The table of its own has the VM, too */
	EXPECT_EQ(-EWOULDBLOCK, unload(hv ? "kvm-hv" : "kvm-pr"));
	close(table);
	EXPECT_EQ(0, unload(hv ? "kvm-hv" : "kvm-pr"));
	EXPECT_EQ(0, load(hv ? "kvm-hv" : "kvm-pr"));
}

TEST_F(modules, load_again)
{
	int i, round;

	for (round = 0; round < ROUNDS; round++) {
		for (i = ALL - 1; i >= 0; i--) {
			if (!self->had[i])
				continue;
			ASSERT_EQ(0, unload(all[i])) {
				TH_LOG("%s", all[i]);
			}
			EXPECT_FALSE(loaded(all[i]));
		}
		EXPECT_NE(0, access("/dev/vfio/vfio", F_OK));
		EXPECT_EQ(self->leak.pinned, sys_pinned_wait(self->leak.pinned));
		for (i = 0; i < ALL; i++) {
			if (!self->had[i])
				continue;
			ASSERT_EQ(0, load(all[i])) {
				TH_LOG("%s", all[i]);
			}
		}
		/* New ones of the same name */
		ASSERT_NE(0, tce_find_devs(self->devs, TCE_MAX_DEVS));
		ASSERT_EQ(0, use(self));
		EXPECT_EQ(0, map(self));
		done(self);
	}
}

struct user {
	struct _test_data_modules *self;
	bool stop;
	int bad;
	unsigned int good;
};

static void *use_over_and_over(void *arg)
{
	struct user *u = arg;
	int ret;

	while (!__atomic_load_n(&u->stop, __ATOMIC_ACQUIRE)) {
		ret = use(u->self);
		/* No driver there for such a container, or no more */
		if ((ret == -EINVAL || ret == -ENODEV) && u->self->c < 0)
			continue;
		if (!ret)
			ret = map(u->self);
		done(u->self);
		if (ret)
			u->bad = ret;
		else
			u->good++;
	}
	return NULL;
}

/* The driver comes and goes while somebody wants it all the time. */
TEST_F(modules, unload_in_a_storm)
{
	const char *driver = "vfio_iommu_spapr_tce";
	unsigned int refused = 0, gone = 0;
	struct user u = { .self = self };
	time_t end = time(NULL) + SECONDS;
	pthread_t thread;
	int ret;

	ASSERT_EQ(0, pthread_create(&thread, NULL, use_over_and_over, &u));
	while (time(NULL) < end) {
		ret = unload(driver);
		if (ret == -EWOULDBLOCK) {
			refused++;
			continue;
		}
		EXPECT_EQ(0, ret);
		EXPECT_EQ(0, load(driver));
		gone++;
		usleep(10000);
	}
	__atomic_store_n(&u.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, u.bad);
	EXPECT_NE(0, u.good);
	EXPECT_NE(0, refused);
	EXPECT_NE(0, gone);
}

TEST_HARNESS_MAIN
