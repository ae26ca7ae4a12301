/*
 * Containers, groups and memory for the cases
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi.h"

#define ALIGNMENT (16 * MIB)

static int need(const char *what, long result)
{
    if (result < 0) {
        check(what, result, 0);
        fflush(stdout);
        _exit(1);
    }
    return result;
}

int open_container(void)
{
    return need("open /dev/vfio/vfio",
                open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
}

int open_group(unsigned number)
{
    char path[32];

    snprintf(path, sizeof(path), "/dev/vfio/%d", host.groups[number]);
    return need("open group", open(path, O_RDWR | O_CLOEXEC));
}

Setup set_up(unsigned groups, unsigned long type)
{
    Setup setup = { .container = open_container(), .count = groups };

    for (unsigned i = 0; i < groups; i++) {
        setup.groups[i] = open_group(i);
        need("attach group", do_attach(setup.groups[i], setup.container));
    }
    need("set IOMMU", call(setup.container, VFIO_SET_IOMMU, (void *)type));
    return setup;
}

uint8_t *make_memory(uint64_t size)
{
    uint8_t *memory = mmap(NULL, size + ALIGNMENT, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    need("mmap", memory == MAP_FAILED ? -1 : 0);
    memory += -(uintptr_t)memory & (ALIGNMENT - 1);
    memset(memory, 1, size);
    return memory;
}

bool find_info(void)
{
    const int container = open_container(), group = open_group(0);
    bool found;

    host.info.argsz = sizeof(host.info);
    found = !do_attach(group, container) &&
            !call(container, VFIO_SET_IOMMU,
                  (void *)VFIO_SPAPR_TCE_v2_IOMMU) &&
            !call(container, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &host.info) &&
            host.info.flags & VFIO_IOMMU_SPAPR_INFO_DDW;
    close(group);
    close(container);
    return found;
}

void check_arguments(int fd, const char *name, unsigned long request,
                     void *argument, uint32_t size)
{
    struct {
        uint32_t argsz, flags;
    } *header = argument;
    char what[64];

    snprintf(what, sizeof(what), "%s at no address", name);
    check(what, call(fd, request, NULL), -EFAULT);
    snprintf(what, sizeof(what), "%s with a short argsz", name);
    header->argsz = size - 1;
    check(what, call(fd, request, argument), -EINVAL);
    snprintf(what, sizeof(what), "%s with flags", name);
    header->argsz = size;
    header->flags = 1u << 31;
    check(what, call(fd, request, argument), -EINVAL);
    header->flags = 0;
}

long do_register(int container, const void *address, uint64_t size)
{
    struct vfio_iommu_spapr_register_memory memory = {
        sizeof(memory), 0, (uintptr_t)address, size
    };

    return call(container, VFIO_IOMMU_SPAPR_REGISTER_MEMORY, &memory);
}

long do_unregister(int container, const void *address, uint64_t size)
{
    struct vfio_iommu_spapr_register_memory memory = {
        sizeof(memory), 0, (uintptr_t)address, size
    };

    return call(container, VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, &memory);
}

long do_create(int container, unsigned page_shift, uint64_t size,
               unsigned levels, uint64_t *start)
{
    struct vfio_iommu_spapr_tce_create create = {
        .argsz = sizeof(create),
        .page_shift = page_shift,
        .window_size = size,
        .levels = levels,
    };
    const long ret = call(container, VFIO_IOMMU_SPAPR_TCE_CREATE, &create);

    if (start && !ret) {
        *start = create.start_addr;
    }
    return ret;
}

long do_remove(int container, uint64_t start)
{
    struct vfio_iommu_spapr_tce_remove remove = {
        .argsz = sizeof(remove), .start_addr = start
    };

    return call(container, VFIO_IOMMU_SPAPR_TCE_REMOVE, &remove);
}

long do_map(int container, uint64_t iova, const void *address, uint64_t size,
            uint32_t flags)
{
    struct vfio_iommu_type1_dma_map map = {
        sizeof(map), flags, (uintptr_t)address, iova, size
    };

    return call(container, VFIO_IOMMU_MAP_DMA, &map);
}

long do_unmap(int container, uint64_t iova, uint64_t size)
{
    struct vfio_iommu_type1_dma_unmap unmap = {
        .argsz = sizeof(unmap), .iova = iova, .size = size
    };

    return call(container, VFIO_IOMMU_UNMAP_DMA, &unmap);
}

long do_attach(int group, int container)
{
    return call(group, VFIO_GROUP_SET_CONTAINER, &container);
}

long do_eeh(int container, uint32_t op)
{
    struct vfio_eeh_pe_op eeh = { .argsz = sizeof(eeh), .op = op };

    return call(container, VFIO_EEH_PE_OP, &eeh);
}
