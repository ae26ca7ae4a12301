/*
 * A host that refuses, or takes its time, for LD_PRELOAD in the emulated POWER
 * host
 *
 * The environment variable ODD says how, or while QEMU runs a file of that
 * name in /tmp/odd.  Of the first PHB:
 *   table     KVM makes no TCE table for the default window, as if the limit
 *             of locked memory were reached
 *   connect   KVM does not connect the table of the other window to hardware
 *   second    nor the table of the other window to a second group
 *   map       VFIO maps nothing
 *   stuff     KVM is not asked to handle H_STUFF_TCE
 *   slow      a thread that asks for a change of windows or registrations is
 *             away for a while when it was made, and before one is undone;
 *             so is a vCPU that has let go of a lock, the BQL above all, on
 *             its way into KVM (run QEMU with -name debug-threads=on)
 *   user      QEMU is run by an ordinary user
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <linux/kvm.h>
#include <linux/vfio.h>

#define DEFAULT_LIOBN 0x80000000u
#define BIG_LIOBN     0x80000001u
#define H_STUFF_TCE   0x138
#define AWAY_US       20000
#define ORDINARY_USER 1000

static int (*real_ioctl)(int, unsigned long, ...);
static int vfio_device = -1;    /* KVM's end of VFIO */
static int big_table = -1;      /* KVM's table of the other window */
static int first_group = -1;    /* that KVM connected that one to */

static bool odd(const char *how)
{
    const char *asked = getenv("ODD");
    char path[64];

    snprintf(path, sizeof(path), "/tmp/odd/%s", how);
    return (asked && !strcmp(asked, how)) || !access(path, F_OK);
}

static void __attribute__((constructor)) become_user(void)
{
    if (odd("user") && (setresgid(ORDINARY_USER, ORDINARY_USER,
                                  ORDINARY_USER) ||
                        setresuid(ORDINARY_USER, ORDINARY_USER,
                                  ORDINARY_USER))) {
        perror("odd-host");
        _exit(1);
    }
}

static const struct kvm_vfio_spapr_tce *connects_big(int fd,
                                                     unsigned long request,
                                                     const void *arg)
{
    const struct kvm_device_attr *attr = arg;
    const struct kvm_vfio_spapr_tce *tce;

    if (request != KVM_SET_DEVICE_ATTR || fd != vfio_device ||
        attr->group != KVM_DEV_VFIO_GROUP ||
        attr->attr != KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE) {
        return NULL;
    }
    tce = (const void *)attr->addr;
    return tce->tablefd == big_table ? tce : NULL;
}

/* Returns the errno to refuse a call with, or 0 */
static int refusal(int fd, unsigned long request, const void *arg)
{
    const struct kvm_vfio_spapr_tce *tce = connects_big(fd, request, arg);

    if (tce) {
        return odd("connect") ||
               (first_group >= 0 && tce->groupfd != first_group &&
                odd("second")) ? EPERM : 0;
    }
    if (request == KVM_CREATE_SPAPR_TCE_64) {
        const struct kvm_create_spapr_tce_64 *table = arg;

        return table->liobn == DEFAULT_LIOBN && odd("table") ? ENOMEM : 0;
    }
    if (request == KVM_ENABLE_CAP) {
        const struct kvm_enable_cap *cap = arg;

        return cap->cap == KVM_CAP_PPC_ENABLE_HCALL &&
               cap->args[0] == H_STUFF_TCE && odd("stuff") ? EINVAL : 0;
    }
    return request == VFIO_IOMMU_MAP_DMA && odd("map") ? ENOMEM : 0;
}

static void look_at_result(int fd, unsigned long request, const void *arg,
                           int ret)
{
    const struct kvm_vfio_spapr_tce *tce = connects_big(fd, request, arg);

    if (request == KVM_CREATE_DEVICE && !ret) {
        const struct kvm_create_device *device = arg;

        if (device->type == KVM_DEV_TYPE_VFIO) {
            vfio_device = device->fd;
        }
    } else if (request == KVM_CREATE_SPAPR_TCE_64 && ret >= 0) {
        const struct kvm_create_spapr_tce_64 *table = arg;

        if (table->liobn == BIG_LIOBN) {
            big_table = ret;
            first_group = -1;
        } else if (ret == big_table) {
            big_table = -1;
        }
    } else if (tce && !ret && first_group < 0) {
        first_group = tce->groupfd;
    }
}

/* Is the thread away before this call, if the host is slow? */
static bool away_before(unsigned long request)
{
    return request == VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY ||
           request == VFIO_IOMMU_SPAPR_TCE_REMOVE;
}

static bool away_after(int fd, unsigned long request)
{
    return away_before(request) || request == KVM_CREATE_SPAPR_TCE_64 ||
           (request == KVM_SET_DEVICE_ATTR && fd == vfio_device) ||
           request == VFIO_IOMMU_SPAPR_REGISTER_MEMORY ||
           request == VFIO_IOMMU_SPAPR_TCE_CREATE;
}

static void stay_away(void)
{
    const int error = errno;

    if (odd("slow")) {
        usleep(AWAY_US);
    }
    errno = error;
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
    if (away_before(request)) {
        stay_away();
    }
    ret = real_ioctl(fd, request, arg);
    look_at_result(fd, request, arg, ret);
    if (away_after(fd, request)) {
        stay_away();
    }
    return ret;
}

static bool is_vcpu(void)
{
    static __thread bool vcpu;
    char name[16] = "";

    if (!vcpu) {
        prctl(PR_GET_NAME, name);
        vcpu = !strncmp(name, "CPU ", 4);
    }
    return vcpu;
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    static int (*next)(pthread_mutex_t *);
    int ret;

    if (!next) {
        next = (int (*)(pthread_mutex_t *))
               dlsym(RTLD_NEXT, "pthread_mutex_unlock");
    }
    ret = next(mutex);
    if (is_vcpu()) {
        stay_away();
    }
    return ret;
}
