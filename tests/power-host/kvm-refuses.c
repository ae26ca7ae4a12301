/*
 * A KVM that refuses, for LD_PRELOAD in the emulated POWER host
 *
 * The environment variable KVM_REFUSES says what, of the first PHB:
 *   table     a TCE table for the default window, as if the limit of locked
 *             memory were reached
 *   connect   to connect the table of the other window to hardware
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/kvm.h>

#define DEFAULT_LIOBN 0x80000000u
#define BIG_LIOBN     0x80000001u

static int (*real_ioctl)(int, unsigned long, ...);
static int vfio_device = -1;    /* KVM's end of VFIO */
static int big_table = -1;      /* KVM's table of the other window */

static bool asked_to_refuse(const char *what)
{
    const char *asked = getenv("KVM_REFUSES");

    return asked && !strcmp(asked, what);
}

/* Returns the errno to refuse a call with, or 0 */
static int refusal(int fd, unsigned long request, const void *arg)
{
    if (request == KVM_CREATE_SPAPR_TCE_64 && asked_to_refuse("table")) {
        const struct kvm_create_spapr_tce_64 *table = arg;

        return table->liobn == DEFAULT_LIOBN ? ENOMEM : 0;
    }
    if (request == KVM_SET_DEVICE_ATTR && fd == vfio_device &&
        asked_to_refuse("connect")) {
        const struct kvm_device_attr *attr = arg;
        const struct kvm_vfio_spapr_tce *tce = (const void *)attr->addr;

        return attr->group == KVM_DEV_VFIO_GROUP &&
               attr->attr == KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE &&
               tce->tablefd == big_table ? EPERM : 0;
    }
    return 0;
}

static void look_at_result(unsigned long request, const void *arg, int ret)
{
    if (request == KVM_CREATE_DEVICE && !ret) {
        const struct kvm_create_device *device = arg;

        if (device->type == KVM_DEV_TYPE_VFIO) {
            vfio_device = device->fd;
        }
    } else if (request == KVM_CREATE_SPAPR_TCE_64 && ret >= 0) {
        const struct kvm_create_spapr_tce_64 *table = arg;

        if (table->liobn == BIG_LIOBN) {
            big_table = ret;
        }
    }
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    void *arg;
    int ret;

    va_start(args, request);
    arg = va_arg(args, void *);
    va_end(args);
    ret = refusal(fd, request, arg);
    if (ret) {
        errno = ret;
        return -1;
    }
    if (!real_ioctl) {
        real_ioctl = (int (*)(int, unsigned long, ...))
                     dlsym(RTLD_NEXT, "ioctl");
    }
    ret = real_ioctl(fd, request, arg);
    look_at_result(request, arg, ret);
    return ret;
}
