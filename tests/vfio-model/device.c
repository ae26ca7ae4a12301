/*
 * Device descriptors
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "device.h"
#include "engine.h"
#include "files.h"
#include "group.h"
#include "interrupt.h"
#include "ioctl-table.h"
#include "pci-function.h"
#include "user-memory.h"

#define MEMORY_SIZE (BAR_COUNT * BAR_STRIDE)

/* The memory is made once and stays, as that of a real device does */
static long make_memory(Function *function)
{
    int fd;

    if (function->memory) {
        return 0;
    }
    fd = memfd_create("vfio-device", MFD_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    function->memory_fd = syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 256);
    syscall(SYS_close, fd);
    if (function->memory_fd < 0 ||
        ftruncate(function->memory_fd, MEMORY_SIZE) < 0) {
        return -errno;
    }
    function->memory = (uint8_t *)syscall(SYS_mmap, NULL, MEMORY_SIZE,
                                          PROT_READ | PROT_WRITE, MAP_SHARED,
                                          function->memory_fd, 0);
    if (function->memory == MAP_FAILED) {
        function->memory = NULL;
        return -ENOMEM;
    }
    return 0;
}

long device_open(Function *function)
{
    long ret = make_memory(function);
    int fd;

    if (ret) {
        return ret;
    }
    fd = syscall(SYS_fcntl, function->memory_fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    if (!files_add(fd, FILE_DEVICE, function)) {
        syscall(SYS_close, fd);
        return -EMFILE;
    }
    if (!function->opens++) {
        interrupt_init(function);
        pci_reset(function);
    }
    function->group->holders++;
    return fd;
}

void device_put(Function *function)
{
    if (!--function->opens) {
        interrupt_disable(function);
        pci_reset(function);
    }
    group_put(function->group);
}

static long access_config(Function *function, uint8_t *bytes, size_t count,
                          uint64_t offset, bool write)
{
    if (offset >= sizeof(function->config)) {
        return -EINVAL;
    }
    if (count > sizeof(function->config) - offset) {
        count = sizeof(function->config) - offset;
    }
    for (size_t i = 0; i < count; i++) {
        if (write) {
            pci_config_write(function, offset + i, bytes[i]);
        } else {
            bytes[i] = function->config[offset + i];
        }
    }
    return count;
}

static bool mmio_frozen(const Group *group)
{
    return group->eeh_state != VFIO_EEH_PE_STATE_NORMAL &&
           group->eeh_state != VFIO_EEH_PE_STATE_STOPPED_DMA;
}

static long access_bar(Function *function, unsigned index, uint8_t *bytes,
                       size_t count, uint64_t offset, bool write)
{
    const uint64_t size = pci_bar(function, index).size;
    uint8_t *memory = function->memory + index * BAR_STRIDE + offset;

    if (offset >= size) {
        return -EINVAL;
    }
    count = count < size - offset ? count : size - offset;
    if (mmio_frozen(function->group)) {
        if (!write) {
            memset(bytes, 0xff, count);
        }
    } else if (function->kind == KIND_ENGINE && index == 0) {
        if (write) {
            engine_write(function, offset, bytes, count);
        } else {
            engine_read(function, offset, bytes, count);
        }
    } else if (write) {
        memcpy(memory, bytes, count);
    } else {
        memcpy(bytes, memory, count);
    }
    return count;
}

long device_access(Function *function, void *buffer, size_t count,
                   uint64_t offset, bool write)
{
    const uint64_t index = offset >> REGION_SHIFT;

    offset &= (1ull << REGION_SHIFT) - 1;
    if (index == VFIO_PCI_CONFIG_REGION_INDEX) {
        return access_config(function, buffer, count, offset, write);
    }
    return index < BAR_COUNT ? access_bar(function, index, buffer, count,
                                          offset, write) : -EINVAL;
}

long device_map_offset(const Function *function, uint64_t offset,
                       uint64_t length)
{
    const uint64_t index = offset >> REGION_SHIFT;
    Bar bar = { 0 };

    offset &= (1ull << REGION_SHIFT) - 1;
    if (index < BAR_COUNT) {
        bar = pci_bar(function, index);
    }
    if (!bar.mappable || length > bar.size || offset > bar.size - length) {
        return -EINVAL;
    }
    return index * BAR_STRIDE + offset;
}

long device_get_info(ModelFile *file, IoctlArgument *argument)
{
    struct vfio_device_info *info = (void *)argument->copy.bytes;

    info->flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
    info->num_regions = VFIO_PCI_NUM_REGIONS;
    info->num_irqs = VFIO_PCI_NUM_IRQS;
    return 0;
}

long device_get_region_info(ModelFile *file, IoctlArgument *argument)
{
    struct vfio_region_info *info = (void *)argument->copy.bytes;
    const Function *function = file->object;

    if (info->index >= VFIO_PCI_VGA_REGION_INDEX) {
        return -EINVAL;
    }
    info->flags = 0;
    info->cap_offset = 0;
    info->size = 0;
    info->offset = (uint64_t)info->index << REGION_SHIFT;
    if (info->index == VFIO_PCI_CONFIG_REGION_INDEX) {
        info->size = sizeof(function->config);
    } else if (info->index < BAR_COUNT) {
        const Bar bar = pci_bar(function, info->index);

        info->size = bar.size;
        info->flags = bar.mappable ? VFIO_REGION_INFO_FLAG_MMAP : 0;
    }
    if (info->size) {
        info->flags |= VFIO_REGION_INFO_FLAG_READ |
                       VFIO_REGION_INFO_FLAG_WRITE;
    }
    return 0;
}

long device_reset(ModelFile *file, IoctlArgument *argument)
{
    Function *function = file->object;

    memset(function->registers, 0, sizeof(function->registers));
    return 0;
}

static bool same_bus(const Function *a, const Function *b)
{
    return a->segment == b->segment && a->bus == b->bus;
}

/* The functions that a reset of the bus takes along */
long device_hot_reset_info(ModelFile *file, IoctlArgument *argument)
{
    struct vfio_pci_hot_reset_info *info = (void *)argument->copy.bytes;
    const Function *function = file->object, *other;
    struct vfio_pci_dependent_device device;
    const uint32_t room = (info->argsz - sizeof(*info)) / sizeof(device);
    uint32_t count = 0;

    for (other = host.functions; other; other = other->next) {
        if (!same_bus(function, other)) {
            continue;
        }
        device.group_id = other->group->number;
        device.segment = other->segment;
        device.bus = other->bus;
        device.devfn = other->slot << 3 | other->function;
        if (count < room &&
            user_write(argument->address + sizeof(*info) +
                       count * sizeof(device), &device, sizeof(device))) {
            return -EFAULT;
        }
        count++;
    }
    info->flags = 0;
    info->count = count;
    argument->size = 0;
    if (user_write(argument->address, info, sizeof(*info))) {
        return -EFAULT;
    }
    return count > room ? -ENOSPC : 0;
}

static bool holds(const ModelFile **owned, uint32_t count,
                  const Group *group)
{
    while (count && owned[count - 1]->object != group) {
        count--;
    }
    return count;
}

/* The caller shows that he owns all groups on the bus */
long device_hot_reset(ModelFile *file, IoctlArgument *argument)
{
    const struct vfio_pci_hot_reset *reset = (void *)argument->copy.bytes;
    const Function *function = file->object;
    const ModelFile *owned[16];
    Function *other;
    int32_t fds[16];

    argument->size = 0;
    if (reset->flags || !reset->count || reset->count > 16) {
        return -EINVAL;
    }
    if (user_read(fds, argument->address + sizeof(*reset),
                  reset->count * sizeof(*fds))) {
        return -EFAULT;
    }
    for (uint32_t i = 0; i < reset->count; i++) {
        owned[i] = files_get(fds[i]);
        if (!owned[i] || owned[i]->kind != FILE_GROUP) {
            return owned[i] ? -EINVAL : -EBADF;
        }
    }
    for (other = host.functions; other; other = other->next) {
        if (same_bus(function, other) &&
            !holds(owned, reset->count, other->group)) {
            return -EINVAL;
        }
    }
    for (other = host.functions; other; other = other->next) {
        if (same_bus(function, other)) {
            memset(other->registers, 0, sizeof(other->registers));
        }
    }
    return 0;
}
