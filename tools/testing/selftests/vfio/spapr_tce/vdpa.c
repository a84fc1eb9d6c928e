// SPDX-License-Identifier: GPL-2.0
/*
 * A device that the kernel itself takes from the host's table to a paging domain,
 * with no owner in between: vhost-vdpa does so when its file is opened, and maps
 * with iommu_map(). A virtio entropy device writes what its queue asks for, so each
 * request is one DMA to a known address.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/vdpa.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "harness.h"

#define ENTROPY_ID	"0x1044"	/* the virtio device, as a PCI device */
#define NAME		"tce-test"
#define QUEUE_SIZE	8
#define LEN		256
#define RING_IOVA	SZ_1M
#define DATA_IOVA	BIT_ULL(36)
#define SECONDS		20

/* ---- vdpa's netlink messages ------------------------------------------------------ */

struct message {
	struct nlmsghdr nl;
	struct genlmsghdr genl;
	char attrs[1024];
};

static void message_start(struct message *m, u16 family, int cmd)
{
	memset(m, 0, sizeof(*m));
	m->nl.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
	m->nl.nlmsg_type = family;
	m->nl.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	m->genl.cmd = cmd;
	m->genl.version = 1;
}

static void message_add(struct message *m, u16 type, const char *text)
{
	struct nlattr *a = (void *)m + NLMSG_ALIGN(m->nl.nlmsg_len);

	a->nla_type = type;
	a->nla_len = NLA_HDRLEN + strlen(text) + 1;
	memcpy((char *)a + NLA_HDRLEN, text, strlen(text) + 1);
	m->nl.nlmsg_len = NLMSG_ALIGN(m->nl.nlmsg_len) + NLA_ALIGN(a->nla_len);
}

/* Send it, and wait for an answer, which replaces it; an error is the result */
static int message_send(struct message *m)
{
	struct nlmsgerr *err = (void *)&m->genl;
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC), ret;

	if (fd < 0)
		return -errno;
	ret = send(fd, m, m->nl.nlmsg_len, 0);
	if (ret > 0)
		ret = recv(fd, m, sizeof(*m), 0);
	ret = ret < 0 ? -errno : 0;
	close(fd);
	if (!ret && m->nl.nlmsg_type == NLMSG_ERROR)
		ret = err->error;

	return ret;
}

static int vdpa_family(void)
{
	struct message m;
	struct nlattr *a;
	int ret;

	message_start(&m, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	message_add(&m, CTRL_ATTR_FAMILY_NAME, VDPA_GENL_NAME);
	ret = message_send(&m);
	if (ret)
		return ret;
	for (a = (void *)m.attrs; (char *)a < (char *)&m + m.nl.nlmsg_len;
	     a = (void *)a + NLA_ALIGN(a->nla_len))
		if (a->nla_type == CTRL_ATTR_FAMILY_ID)
			return *(u16 *)((char *)a + NLA_HDRLEN);

	return -ENOENT;
}

static int vdpa_add(const char *bdf)
{
	int family = vdpa_family();
	struct message m;

	if (family < 0)
		return family;
	message_start(&m, family, VDPA_CMD_DEV_NEW);
	message_add(&m, VDPA_ATTR_MGMTDEV_BUS_NAME, "pci");
	message_add(&m, VDPA_ATTR_MGMTDEV_DEV_NAME, bdf);
	message_add(&m, VDPA_ATTR_DEV_NAME, NAME);

	return message_send(&m);
}

static int vdpa_del(void)
{
	int family = vdpa_family();
	struct message m;

	if (family < 0)
		return family;
	message_start(&m, family, VDPA_CMD_DEV_DEL);
	message_add(&m, VDPA_ATTR_DEV_NAME, NAME);

	return message_send(&m);
}

/* ---- the device ------------------------------------------------------------------- */

static bool find_entropy_device(char *bdf, size_t size)
{
	char path[512], id[16];
	struct dirent *e;
	bool found = false;
	DIR *d = opendir(PCI_DEVICES);

	while (d && !found && (e = readdir(d))) {
		snprintf(path, sizeof(path), PCI_DEVICES "/%s/device", e->d_name);
		if (sys_read_file(path, id, sizeof(id)) < 0 ||
		    strncmp(id, ENTROPY_ID, strlen(ENTROPY_ID)))
			continue;
		snprintf(bdf, size, "%.15s", e->d_name);
		found = true;
	}
	if (d)
		closedir(d);

	return found;
}

struct ring {
	struct vring_desc desc[QUEUE_SIZE];
	struct vring_avail avail;
	__virtio16 avail_ring[QUEUE_SIZE];
	char unused[SZ_4K];
	struct vring_used used;
	struct vring_used_elem used_ring[QUEUE_SIZE];
};

static int iotlb(int fd, int type, u64 iova, void *va, u64 size)
{
	struct vhost_msg_v2 msg = {
		.type = VHOST_IOTLB_MSG_V2,
		.iotlb = {
			.iova = iova,
			.size = size,
			.uaddr = (uintptr_t)va,
			.perm = VHOST_ACCESS_RW,
			.type = type,
		},
	};

	return write(fd, &msg, sizeof(msg)) == sizeof(msg) ? 0 : -errno;
}

static int set_status(int fd, unsigned char status)
{
	return tce_ioctl(fd, VHOST_VDPA_SET_STATUS, &status);
}

FIXTURE(vdpa)
{
	struct tce_leak leak;
	char bdf[16];
	char *buf;		/* a page for the ring, and one for data */
	struct ring *ring;
	unsigned char *data;
	int fd;
	int kick;
};

/* Open the device and start its queue: 0 or an error, with nothing undone */
static int start(struct _test_data_vdpa *self)
{
	u64 backend = BIT_ULL(VHOST_BACKEND_F_IOTLB_MSG_V2);
	u64 features = BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_F_ACCESS_PLATFORM);
	struct vhost_vring_state num = { .num = QUEUE_SIZE }, base = { }, on = { .num = 1 };
	struct vhost_vring_file kick = { .fd = self->kick };
	struct vhost_vring_addr addr = {
		.desc_user_addr = RING_IOVA + offsetof(struct ring, desc),
		.avail_user_addr = RING_IOVA + offsetof(struct ring, avail),
		.used_user_addr = RING_IOVA + offsetof(struct ring, used),
	};
	unsigned char status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
	int fd = open("/dev/vhost-vdpa-0", O_RDWR | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	self->fd = fd;
	memset(self->ring, 0, sizeof(*self->ring));
	ret = tce_ioctl(fd, VHOST_SET_OWNER, NULL);
	ret = ret ?: tce_ioctl(fd, VHOST_SET_BACKEND_FEATURES, &backend);
	ret = ret ?: iotlb(fd, VHOST_IOTLB_UPDATE, RING_IOVA, self->ring, SZ_64K);
	ret = ret ?: set_status(fd, status);
	ret = ret ?: tce_ioctl(fd, VHOST_SET_FEATURES, &features);
	status |= VIRTIO_CONFIG_S_FEATURES_OK;
	ret = ret ?: set_status(fd, status);
	ret = ret ?: tce_ioctl(fd, VHOST_SET_VRING_NUM, &num);
	ret = ret ?: tce_ioctl(fd, VHOST_SET_VRING_BASE, &base);
	ret = ret ?: tce_ioctl(fd, VHOST_SET_VRING_ADDR, &addr);
	ret = ret ?: tce_ioctl(fd, VHOST_SET_VRING_KICK, &kick);
	ret = ret ?: tce_ioctl(fd, VHOST_VDPA_SET_VRING_ENABLE, &on);

	return ret ?: set_status(fd, status | VIRTIO_CONFIG_S_DRIVER_OK);
}

static int stop(struct _test_data_vdpa *self)
{
	int ret = close(self->fd);

	self->fd = -1;

	return ret;
}

/* Ask for LEN bytes at @iova. Answers how many the device says it wrote, or an error */
static int ask_for(struct _test_data_vdpa *self, u64 iova)
{
	struct ring *r = self->ring;
	u16 n = r->avail.idx + 1;
	u64 one = 1;
	int i;

	r->desc[0].addr = iova;
	r->desc[0].len = LEN;
	r->desc[0].flags = VRING_DESC_F_WRITE;
	r->avail_ring[r->avail.idx % QUEUE_SIZE] = 0;
	__atomic_store_n(&r->avail.idx, n, __ATOMIC_RELEASE);
	if (write(self->kick, &one, sizeof(one)) != sizeof(one))
		return -errno;
	for (i = 0; i < 100 * SECONDS; i++) {
		if (__atomic_load_n(&r->used.idx, __ATOMIC_ACQUIRE) == n)
			return r->used_ring[(n - 1) % QUEUE_SIZE].len;
		usleep(10000);
	}

	return -ETIMEDOUT;
}

/* How many bytes of @data are not @was? */
static int changed(const unsigned char *data, size_t size, unsigned char was)
{
	int n = 0;

	while (size--)
		n += data[size] != was;

	return n;
}

FIXTURE_SETUP(vdpa)
{
	self->fd = -1;
	self->kick = -1;
	if (!find_entropy_device(self->bdf, sizeof(self->bdf)))
		SKIP(return, "no virtio entropy device");
	if (!sys_powernv())
		SKIP(return, "the IOMMU has no paging domains");
	if (tce_bind(self->bdf, "vp-vdpa"))
		SKIP(return, "no vp-vdpa driver");
	tce_leak_start(&self->leak);
	self->buf = mem_alloc(2 * SZ_64K, SZ_64K, MEM_POPULATE);
	ASSERT_NE(NULL, self->buf);
	self->ring = (void *)self->buf;
	self->data = (void *)self->buf + SZ_64K;
	self->kick = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, self->kick);
	ASSERT_EQ(0, vdpa_add(self->bdf));
}

FIXTURE_TEARDOWN(vdpa)
{
	if (!self->buf)
		return;
	if (self->fd >= 0)
		close(self->fd);
	close(self->kick);
	EXPECT_EQ(0, vdpa_del());
	EXPECT_EQ(0, tce_unbind(self->bdf));
	mem_free(self->buf, 2 * SZ_64K);
	EXPECT_NO_LEAK(&self->leak);
}

/* Three times, since what the way back to the host's table loses is missed then */
TEST_F_TIMEOUT(vdpa, entropy, 240)
{
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, start(self));
		ASSERT_EQ(0, iotlb(self->fd, VHOST_IOTLB_UPDATE, DATA_IOVA,
				   self->data, SZ_64K));
		memset(self->data, i, SZ_64K);
		ASSERT_EQ(LEN, ask_for(self, DATA_IOVA + SZ_4K));
		/* One random byte of 256 is what was there before */
		EXPECT_LT(LEN / 2, changed(self->data + SZ_4K, LEN, i));
		EXPECT_EQ(0, changed(self->data, SZ_4K, i));
		EXPECT_EQ(0, changed(self->data + SZ_4K + LEN,
				     SZ_64K - SZ_4K - LEN, i));
		ASSERT_EQ(0, stop(self));
	}
}

/* Where nothing is mapped any more the device writes nothing */
TEST_F_TIMEOUT(vdpa, unmapped, 240)
{
	ASSERT_EQ(0, start(self));
	ASSERT_EQ(0, iotlb(self->fd, VHOST_IOTLB_UPDATE, DATA_IOVA, self->data, SZ_64K));
	ASSERT_EQ(LEN, ask_for(self, DATA_IOVA));
	ASSERT_EQ(0, iotlb(self->fd, VHOST_IOTLB_INVALIDATE, DATA_IOVA, NULL, SZ_64K));
	memset(self->data, 0x5a, SZ_64K);
	/* It may say that it wrote */
	(void)ask_for(self, DATA_IOVA);
	EXPECT_EQ(0, changed(self->data, SZ_64K, 0x5a));
	ASSERT_EQ(0, stop(self));
}

/* The way back leads to the host's table: VFIO takes the group from there, and back */
TEST_F_TIMEOUT(vdpa, then_vfio, 240)
{
	struct tce_dev dev;
	int c;

	ASSERT_EQ(0, tce_dev_at(&dev, self->bdf));
	ASSERT_EQ(0, start(self));
	ASSERT_EQ(0, stop(self));
	ASSERT_EQ(0, vdpa_del());
	ASSERT_EQ(0, tce_bind(self->bdf, "vfio-pci"));
	c = tce_open(&dev, TCE_V2);
	EXPECT_LE(0, c);
	tce_close(&dev, c);
	ASSERT_EQ(0, tce_bind(self->bdf, "vp-vdpa"));
	ASSERT_EQ(0, vdpa_add(self->bdf));
	ASSERT_EQ(0, start(self));
	ASSERT_EQ(0, iotlb(self->fd, VHOST_IOTLB_UPDATE, DATA_IOVA, self->data, SZ_64K));
	EXPECT_EQ(LEN, ask_for(self, DATA_IOVA));
	ASSERT_EQ(0, stop(self));
}

TEST_HARNESS_MAIN
