/*
 * Registering memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <sys/mman.h>

#include "abi.h"

static void registering(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    uint8_t *memory = make_memory(MIB);
    const uint64_t page = host.page;
    const int fd = setup.container;

    check("UNREGISTER first of all", do_unregister(fd, memory, page),
          -EPERM);
    check("UNREGISTER first of all at no address",
          call(fd, VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, NULL), -EPERM);
    check("one page", do_register(fd, memory, page), 0);
    check("twice", do_register(fd, memory, page), -EBUSY);
    check("with the next one", do_register(fd, memory, 2 * page), -EINVAL);
    check("the next one", do_register(fd, memory + page, page), 0);
    check("UNREGISTER both as one", do_unregister(fd, memory, 2 * page),
          -ENOENT);
    check("UNREGISTER at 1", do_unregister(fd, memory + 1, page), -EINVAL);
    check("UNREGISTER a byte less", do_unregister(fd, memory, page - 1),
          -EINVAL);
    check("UNREGISTER", do_unregister(fd, memory, page), 0);
    check("UNREGISTER twice", do_unregister(fd, memory, page), -ENOENT);
    check("the other", do_unregister(fd, memory + page, page), 0);
    check("now both as one", do_register(fd, memory, 2 * page), 0);
    check("the first in it", do_register(fd, memory, page), -EINVAL);
    check("one of another", do_unregister(fd, memory, page), -ENOENT);
}

static void arguments(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    uint8_t *memory = make_memory(MIB);
    const uint64_t page = host.page;
    const int fd = setup.container;
    struct vfio_iommu_spapr_register_memory request = {
        .vaddr = (uintptr_t)memory, .size = page
    };

    check_arguments(fd, "REGISTER", VFIO_IOMMU_SPAPR_REGISTER_MEMORY,
                    &request, sizeof(request));
    check_arguments(fd, "UNREGISTER", VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY,
                    &request, sizeof(request));
    check("at 1", do_register(fd, memory + 1, page), -EINVAL);
    check("a byte more", do_register(fd, memory, page + 1), -EINVAL);
    check("wraps", do_register(fd, (void *)-page, 2 * page), -EINVAL);
    check("nothing", do_register(fd, memory, 0), -ENOMEM);
    check("so MAP is still off", do_map(fd, 0, memory, page, READ_WRITE),
          -EPERM);
}

static void holes(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    uint8_t *memory = make_memory(MIB);
    const uint64_t page = host.page;
    const int fd = setup.container;

    munmap(memory + 5 * page, page);
    mprotect(memory + 9 * page, page, PROT_READ);
    check("a hole", do_register(fd, memory + 5 * page, page), -EFAULT);
    check("from a hole on", do_register(fd, memory + 5 * page, 2 * page),
          -EFAULT);
    check("5 pages and a hole", do_register(fd, memory, 7 * page), 5);
    check("nothing of it stayed", do_register(fd, memory, 5 * page), 0);
    check("memory to read only", do_register(fd, memory + 9 * page, page),
          -EFAULT);
    check("3 pages and such", do_register(fd, memory + 6 * page, 4 * page),
          3);
}

/* Is the region free again: a part of it can be registered, or overlaps */
static long part(int fd, const uint8_t *memory)
{
    const long ret = do_register(fd, memory, host.page);

    if (!ret) {
        do_unregister(fd, memory, host.page);
    }
    return ret;
}

static void live(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    uint8_t *memory = make_memory(MIB);
    const int fd = setup.container;

    check("register", do_register(fd, memory, MIB), 0);
    check("map", do_map(fd, 0, memory, host.page, READ_WRITE), 0);
    check("UNREGISTER with a live mapping", do_unregister(fd, memory, MIB),
          0);
    check("it is held", part(fd, memory), -EINVAL);
    check("and not ours any more", do_unregister(fd, memory, MIB), -ENOENT);
    check("map more of it",
          do_map(fd, host.page, memory + host.page, host.page, READ_WRITE),
          0);
    check("registering it anew", do_register(fd, memory, MIB), 0);
    check("unmap", do_unmap(fd, 0, 2 * host.page), 0);
    check("UNREGISTER without mappings", do_unregister(fd, memory, MIB), 0);
    check("it stays held for good", part(fd, memory), -EINVAL);
}

static void counted(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    uint8_t *memory = make_memory(MIB);
    const uint64_t half = MIB / 2, page = host.page;
    const int fd = setup.container;

    check("first half", do_register(fd, memory, half), 0);
    check("second half", do_register(fd, memory + half, half), 0);
    check("map the first", do_map(fd, 0, memory, page, READ_WRITE), 0);
    check("the second over it", do_map(fd, 0, memory + half, page,
                                       READ_WRITE), 0);
    check("UNREGISTER the first", do_unregister(fd, memory, half), 0);
    check("it is free", part(fd, memory), 0);
    check("unmap", do_unmap(fd, 0, page), 0);
    check("unmap a hole", do_unmap(fd, 0, page), 0);
    check("UNREGISTER the second", do_unregister(fd, memory + half, half),
          0);
    check("it is free too", part(fd, memory + half), 0);
}

static void removed(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    uint8_t *memory = make_memory(MIB);
    const int fd = setup.container;

    check("register", do_register(fd, memory, MIB), 0);
    check("map", do_map(fd, 0, memory, MIB, READ_WRITE), 0);
    check("REMOVE clears", do_remove(fd, 0), 0);
    check("UNREGISTER", do_unregister(fd, memory, MIB), 0);
    check("it is free", part(fd, memory), 0);
}

void memory_cases(void)
{
    run_case("register", registering);
    run_case("register arguments", arguments);
    run_case("holes", holes);
    run_case("live mappings", live);
    run_case("mappings are counted", counted);
    run_case("window removed", removed);
}
