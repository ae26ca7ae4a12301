/*
 * A KVM that refuses, for LD_PRELOAD in the emulated POWER host
 *
 * KVM makes no TCE table for the default window of the first PHB, as if the
 * limit of locked memory were reached, and does not connect any other to
 * hardware.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <linux/kvm.h>

#define DEFAULT_LIOBN 0x80000000u

static int (*real_ioctl)(int, unsigned long, ...);
static int vfio_device = -1;    /* KVM's end of VFIO */

static int refuses(int fd, unsigned long request, const void *arg)
{
    if (request == KVM_CREATE_SPAPR_TCE_64) {
        const struct kvm_create_spapr_tce_64 *table = arg;

        return table->liobn == DEFAULT_LIOBN ? ENOMEM : 0;
    }
    if (request == KVM_SET_DEVICE_ATTR && fd == vfio_device) {
        const struct kvm_device_attr *what = arg;

        return what->group == KVM_DEV_VFIO_GROUP &&
               what->attr == KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE ? EPERM : 0;
    }
    return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    void *arg;
    int ret;

    va_start(args, request);
    arg = va_arg(args, void *);
    va_end(args);
    if (refuses(fd, request, arg)) {
        errno = refuses(fd, request, arg);
        return -1;
    }
    if (!real_ioctl) {
        real_ioctl = (int (*)(int, unsigned long, ...))
                     dlsym(RTLD_NEXT, "ioctl");
    }
    ret = real_ioctl(fd, request, arg);
    if (request == KVM_CREATE_DEVICE && !ret) {
        const struct kvm_create_device *device = arg;

        if (device->type == KVM_DEV_TYPE_VFIO) {
            vfio_device = device->fd;
        }
    }
    return ret;
}
