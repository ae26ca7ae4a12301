/*
 * Interrupts of a function
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "interrupt.h"
#include "ioctl-table.h"
#include "ledger.h"
#include "pci-function.h"
#include "user-memory.h"

#define NONE (-1)

void interrupt_init(Function *function)
{
    function->interrupt_type = NONE;
    function->vectors = 0;
    memset(function->eventfds, 0xff, sizeof(function->eventfds));
}

/* Set slot @fd to a reference of its own to @eventfd, or to nothing */
static long set_slot(int *fd, int eventfd)
{
    int copy = NONE;

    if (eventfd >= 0) {
        copy = syscall(SYS_fcntl, eventfd, F_DUPFD_CLOEXEC, 256);
        if (copy < 0) {
            return -errno;
        }
    }
    if (*fd >= 0) {
        syscall(SYS_close, *fd);
    }
    *fd = copy;
    return 0;
}

static void disable_type(Function *function, unsigned type)
{
    for (unsigned i = 0; i < MAX_VECTORS; i++) {
        set_slot(&function->eventfds[type][i], NONE);
    }
    if (function->interrupt_type == (int)type) {
        function->interrupt_type = NONE;
        function->vectors = 0;
    }
}

void interrupt_disable(Function *function)
{
    for (unsigned type = 0; type < MAX_IRQ_INDEX; type++) {
        disable_type(function, type);
    }
}

static void signal_slot(int fd)
{
    const uint64_t one = 1;

    if (fd >= 0 && syscall(SYS_write, fd, &one, sizeof(one)) > 0) {
        ledger_add(COUNT_INTERRUPTS, 1);
    }
}

void interrupt_raise(Function *function, unsigned vector)
{
    if (function->interrupt_type != NONE && vector < MAX_VECTORS) {
        signal_slot(function->eventfds[function->interrupt_type][vector]);
    }
}

long device_get_irq_info(ModelFile *file, IoctlArgument *argument)
{
    struct vfio_irq_info *info = (void *)argument->copy.bytes;
    const Function *function = file->object;

    if (info->index >= VFIO_PCI_NUM_IRQS ||
        info->index == VFIO_PCI_ERR_IRQ_INDEX) {
        return -EINVAL;         /* no PCI Express, so no error reports */
    }
    info->count = pci_vectors(function, info->index);
    info->flags = VFIO_IRQ_INFO_EVENTFD;
    if (info->index == VFIO_PCI_INTX_IRQ_INDEX) {
        info->flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
    } else {
        info->flags |= VFIO_IRQ_INFO_NORESIZE;
    }
    return 0;
}

/* Exactly one bit of @mask */
static bool one_bit(uint32_t flags, uint32_t mask)
{
    flags &= mask;
    return flags && !(flags & (flags - 1));
}

/* Bytes of data for each vector; negative: the request makes no sense */
static long check_set(const Function *function,
                      const struct vfio_irq_set *set)
{
    const uint32_t types = VFIO_IRQ_SET_DATA_TYPE_MASK;
    const uint32_t actions = VFIO_IRQ_SET_ACTION_TYPE_MASK;
    unsigned max, size;

    if (set->index >= VFIO_PCI_NUM_IRQS || set->flags & ~(types | actions) ||
        !one_bit(set->flags, types)) {
        return -EINVAL;
    }
    max = pci_vectors(function, set->index);
    if (set->start >= max || set->count > max - set->start) {
        return -EINVAL;
    }
    size = set->flags & VFIO_IRQ_SET_DATA_NONE ? 0 :
           set->flags & VFIO_IRQ_SET_DATA_BOOL ? 1 : sizeof(int32_t);
    if (size && (set->argsz - sizeof(*set) < (uint64_t)size * set->count ||
                 !set->count)) {
        return -EINVAL;
    }
    return size;
}

static long set_eventfds(Function *function, const struct vfio_irq_set *set,
                         const int32_t *fds)
{
    long ret = 0;

    for (unsigned i = 0; i < set->count && !ret; i++) {
        ret = set_slot(&function->eventfds[set->index][set->start + i],
                       fds[i]);
    }
    return ret;
}

static long trigger_by_eventfd(Function *function,
                               const struct vfio_irq_set *set,
                               const int32_t *fds)
{
    long ret;

    if (function->interrupt_type == (int)set->index) {
        /* the number of vectors is fixed once they are set up */
        if (set->start + set->count > function->vectors) {
            return -EINVAL;
        }
        return set_eventfds(function, set, fds);
    }
    ret = set_eventfds(function, set, fds);
    if (ret) {
        disable_type(function, set->index);
        return ret;
    }
    function->interrupt_type = set->index;
    function->vectors = set->start + set->count;
    return 0;
}

/* The request interrupt has one vector and is not set up as a whole */
static long trigger_request(Function *function,
                            const struct vfio_irq_set *set, const void *data)
{
    int *slot = &function->eventfds[set->index][0];
    const uint8_t *bools = data;

    if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
        return set_eventfds(function, set, data);
    }
    if (set->flags & VFIO_IRQ_SET_DATA_NONE && *slot < 0) {
        return -EINVAL;
    }
    if (!set->count) {
        return set_slot(slot, NONE);
    }
    if (set->flags & VFIO_IRQ_SET_DATA_NONE || bools[0]) {
        signal_slot(*slot);
    }
    return 0;
}

static long trigger(Function *function, const struct vfio_irq_set *set,
                    const void *data)
{
    const uint8_t *bools = data;
    const bool ours = function->interrupt_type == (int)set->index;

    if (!set->count) {
        disable_type(function, set->index);
        return 0;
    }
    if (!ours && function->interrupt_type != NONE) {
        return -EINVAL;
    }
    if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
        return trigger_by_eventfd(function, set, data);
    }
    if (!ours || set->start + set->count > function->vectors) {
        return -EINVAL;
    }
    for (unsigned i = 0; i < set->count; i++) {
        if (set->flags & VFIO_IRQ_SET_DATA_NONE || bools[i]) {
            signal_slot(function->eventfds[set->index][set->start + i]);
        }
    }
    return 0;
}

long device_set_irqs(ModelFile *file, IoctlArgument *argument)
{
    const struct vfio_irq_set *set = (void *)argument->copy.bytes;
    Function *function = file->object;
    int32_t data[MAX_VECTORS];
    const long size = check_set(function, set);

    if (size < 0) {
        return size;
    }
    if (size && user_read(data, argument->address + sizeof(*set),
                          size * set->count)) {
        return -EFAULT;
    }
    argument->size = 0;
    if (!one_bit(set->flags, VFIO_IRQ_SET_ACTION_TYPE_MASK)) {
        return -ENOTTY;         /* nothing answers to such an action */
    }
    if (set->flags & VFIO_IRQ_SET_ACTION_TRIGGER) {
        return set->index == VFIO_PCI_REQ_IRQ_INDEX ?
               trigger_request(function, set, data) :
               trigger(function, set, data);
    }
    if (set->index != VFIO_PCI_INTX_IRQ_INDEX) {
        return -ENOTTY;         /* messages cannot be masked from here */
    }
    return function->interrupt_type == VFIO_PCI_INTX_IRQ_INDEX ? 0 : -EINVAL;
}
