/*
 * What hw/vfio/spapr-host.c asks Linux, and what it makes of the answers
 *
 * This program is the kernel: its ioctl() keeps the argument of the last call
 * and answers as a test wants.  Only what no model of a host shows is here,
 * above all KVM, which exists on POWER hosts only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <errno.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <linux/kvm.h>
#include <linux/vfio.h>
#include "spapr-host.h"
#include "hw/vfio/vfio-common.h"

#define CONTAINER   7
#define KVM_DEVICE  9

int vfio_kvm_device_fd = KVM_DEVICE;

static const VFIOSpaprHost host = { .fd = CONTAINER };
static char page[1];            /* whatever is mapped or registered */

/* The last call, and how the next ones are answered */
static int called_fd;
static unsigned long called;
static struct vfio_iommu_type1_dma_map map;
static struct vfio_iommu_spapr_register_memory registered;
static struct kvm_device_attr attr;
static struct kvm_vfio_spapr_tce connected;
static int answer, answer_errno;

int ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    void *argument;

    va_start(arguments, request);
    argument = va_arg(arguments, void *);
    va_end(arguments);
    called_fd = fd;
    called = request;
    if (request == VFIO_IOMMU_MAP_DMA) {
        map = *(struct vfio_iommu_type1_dma_map *)argument;
    } else if (request == VFIO_IOMMU_SPAPR_REGISTER_MEMORY) {
        registered = *(struct vfio_iommu_spapr_register_memory *)argument;
    } else if (request == KVM_SET_DEVICE_ATTR) {
        attr = *(struct kvm_device_attr *)argument;
        connected = *(struct kvm_vfio_spapr_tce *)(uintptr_t)attr.addr;
    }
    errno = answer_errno;
    return answer;
}

static void set_answer(int value, int error)
{
    answer = value;
    answer_errno = error;
}

/* KVM is told which group has which table */
static void test_tell_kvm(void)
{
    set_answer(0, 0);
    g_assert_cmpint(vfio_spapr_host_tell_kvm(20, 21), ==, 0);
    g_assert_cmpint(called_fd, ==, KVM_DEVICE);
    g_assert_cmphex(called, ==, KVM_SET_DEVICE_ATTR);
    g_assert_cmpuint(attr.group, ==, KVM_DEV_VFIO_GROUP);
    g_assert_cmpuint(attr.attr, ==, KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE);
    g_assert_cmpint(connected.groupfd, ==, 20);
    g_assert_cmpint(connected.tablefd, ==, 21);

    set_answer(-1, EBADF);
    g_assert_cmpint(vfio_spapr_host_tell_kvm(20, 21), ==, -EBADF);
}

static void test_map(void)
{
    static const struct {
        IOMMUAccessFlags perm;
        uint32_t flags;
    } perms[] = {
        { IOMMU_RO, VFIO_DMA_MAP_FLAG_READ },
        { IOMMU_WO, VFIO_DMA_MAP_FLAG_WRITE },
        { IOMMU_RW, VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(perms); i++) {
        set_answer(0, 0);
        g_assert_cmpint(vfio_spapr_host_map(&host, 0x5000, page, 0x1000,
                                            perms[i].perm), ==, 0);
        g_assert_cmpint(called_fd, ==, CONTAINER);
        g_assert_cmpuint(map.argsz, ==, sizeof(map));
        g_assert_cmphex(map.flags, ==, perms[i].flags);
        g_assert_cmphex(map.iova, ==, 0x5000);
        g_assert_cmphex(map.vaddr, ==, (uintptr_t)page);
        g_assert_cmphex(map.size, ==, 0x1000);
    }
    set_answer(1, 0);
    g_assert_cmpint(vfio_spapr_host_map(&host, 0, page, 0x1000, IOMMU_RW), ==,
                    -EINVAL);
    set_answer(-1, ENOMEM);
    g_assert_cmpint(vfio_spapr_host_map(&host, 0, page, 0x1000, IOMMU_RW), ==,
                    -ENOMEM);
}

/* Linux answers how many pages it has pinned when it could not pin the next */
static void test_register(void)
{
    set_answer(0, 0);
    g_assert_cmpint(vfio_spapr_host_register(&host, page, 0x4000), ==, 0);
    g_assert_cmphex(registered.vaddr, ==, (uintptr_t)page);
    g_assert_cmphex(registered.size, ==, 0x4000);
    set_answer(3, 0);
    g_assert_cmpint(vfio_spapr_host_register(&host, page, 0x4000), ==,
                    -EFAULT);
    set_answer(-1, ENOMEM);
    g_assert_cmpint(vfio_spapr_host_register(&host, page, 0x4000), ==,
                    -ENOMEM);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/spapr-vfio-host/tell-kvm", test_tell_kvm);
    g_test_add_func("/spapr-vfio-host/map", test_map);
    g_test_add_func("/spapr-vfio-host/register", test_register);
    return g_test_run();
}
