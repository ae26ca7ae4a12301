/*
 * Mapping and unmapping
 *
 * Nothing here reaches past the end of a table: the driver looks only at the
 * first page of a request, so that would be memory of the host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>

#include "abi.h"

static void arguments(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    uint8_t *memory = make_memory(MIB);
    const int fd = setup.container;
    const uint64_t io = 4 * KIB;
    struct vfio_iommu_type1_dma_map map = {
        .vaddr = (uintptr_t)memory, .size = io,
    };
    struct vfio_iommu_type1_dma_unmap unmap = { .size = io };

    check("MAP before REGISTER", do_map(fd, 0, memory, io, READ_WRITE),
          -EPERM);
    check("MAP before REGISTER at no address",
          call(fd, VFIO_IOMMU_MAP_DMA, NULL), -EPERM);
    check("MAP before REGISTER, no argsz",
          call(fd, VFIO_IOMMU_MAP_DMA, &map), -EPERM);
    check("UNMAP before REGISTER", do_unmap(fd, 0, io), -EPERM);
    check("UNMAP before REGISTER at no address",
          call(fd, VFIO_IOMMU_UNMAP_DMA, NULL), -EPERM);
    check("UNMAP before REGISTER, no argsz",
          call(fd, VFIO_IOMMU_UNMAP_DMA, &unmap), -EPERM);
    check("register", do_register(fd, memory, MIB), 0);
    check_arguments(fd, "MAP", VFIO_IOMMU_MAP_DMA, &map, sizeof(map));
    check("MAP with flag 4", do_map(fd, 0, memory, io, 7), -EINVAL);
    check("MAP with no flag", do_map(fd, 0, memory, io, 0), -EINVAL);
    check("MAP beyond the window", do_map(fd, START64, memory, io, 3),
          -ENXIO);
    check("MAP, size 1", do_map(fd, 0, memory, 1, 3), -EINVAL);
    check("MAP of nothing", do_map(fd, io, memory, 0, 3), 0);
    check("MAP from 1", do_map(fd, 0, memory + 1, io, 3), -EINVAL);
    check("MAP at 1", do_map(fd, 1, memory, io, 3), 1);
    check("MAP at 1 with no flag", do_map(fd, 1, memory, io, 0), -EINVAL);
    check("MAP of other memory", do_map(fd, io, memory + MIB, io, 3),
          -EINVAL);
    check("MAP to read", do_map(fd, 0, memory, io, 1), 0);
    check("MAP to write", do_map(fd, 0, memory, io, 2), 0);
    check_arguments(fd, "UNMAP", VFIO_IOMMU_UNMAP_DMA, &unmap,
                    sizeof(unmap));
    check("UNMAP, size 1", do_unmap(fd, 0, 1), -EINVAL);
    check("UNMAP at 1", do_unmap(fd, 1, io), 1);
    check("UNMAP beyond the window", do_unmap(fd, START64, io), -ENXIO);
    check("UNMAP of all", do_unmap(fd, 0, host.info.dma32_window_size), 0);
    check("UNMAP of nothing", do_unmap(fd, io, 0), 0);
    check("UNMAP of a hole", call(fd, VFIO_IOMMU_UNMAP_DMA, &unmap), 0);
    check("its size stays", unmap.size == io, 1);
}

/* Half of a MAP is good: what was mapped of it is cleared */
static void half(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    uint8_t *memory = make_memory(2 * MIB);
    const int fd = setup.container;

    check("register", do_register(fd, memory, MIB), 0);
    check("MAP of twice as much", do_map(fd, 0, memory, 2 * MIB, 3),
          -EINVAL);
    check("UNREGISTER", do_unregister(fd, memory, MIB), 0);
    check("nothing is mapped", do_register(fd, memory, MIB / 2), 0);
}

/* Nothing is changed from entry 0 on: POWER8 does not come back from this */
static void nothing_at_0(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    uint8_t *memory = make_memory(2 * MIB);
    const int fd = setup.container;

    check("register", do_register(fd, memory, MIB), 0);
    check("MAP of nothing", do_map(fd, 0, memory, 0, 3), 0);
    check("MAP of other memory",
          do_map(fd, 0, memory + MIB, host.page, 3), -EINVAL);
    check("UNMAP of nothing", do_unmap(fd, 0, 0), 0);
}

static void sizes(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    const unsigned host_shift = __builtin_ctzll(host.page);
    uint8_t *memory = make_memory(32 * MIB);
    const int fd = setup.container;
    uint64_t start = 0;
    char what[64];

    do_remove(fd, 0);
    check("register", do_register(fd, memory, 32 * MIB), 0);
    for (unsigned shift = 12; shift <= 24; shift++) {
        const uint64_t io = 1ull << shift;
        const long want = shift > host_shift ? -EINVAL : 0;
        /* a table is a page of the host at least */
        const uint64_t table = GIB / io > host.page / 8 ?
                               GIB : host.page / 8 * io;

        if (!(host.info.ddw.pgsizes >> shift & 1)) {
            continue;
        }
        snprintf(what, sizeof(what), "window with page shift %u", shift);
        check(what, do_create(fd, shift, GIB, 1, &start), 0);
        check("MAP of a page", do_map(fd, start + io, memory, io, 3), want);
        check("MAP at the end",
              do_map(fd, start + GIB - io, memory, io, 3), want);
        check("MAP in the rest of the table",
              do_map(fd, start + table - io, memory, io, 3), want);
        check("MAP behind it",
              do_map(fd, start + table, memory, io, 3), -ENXIO);
        check("UNMAP of both ends", do_unmap(fd, start, GIB), 0);
        check("MAP at half a page",
              do_map(fd, start + io / 2, memory, io, 3), 1);
        check("remove", do_remove(fd, start), 0);
    }
}

static void multi_level(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    /* POWER8 invalidates page by page, so not larger than this */
    const uint64_t size = 1ull << 31, io = 4 * KIB;
    uint8_t *memory = make_memory(MIB);
    const int fd = setup.container;

    do_remove(fd, 0);
    check("register", do_register(fd, memory, MIB), 0);
    check("create", do_create(fd, 12, size, 2, NULL), 0);
    check("MAP at 0", do_map(fd, 0, memory, MIB, 3), 0);
    check("MAP in the middle", do_map(fd, size / 2 - io, memory, 2 * io, 3),
          0);
    check("MAP at the end", do_map(fd, size - MIB, memory, MIB, 1), 0);
    check("UNMAP of a part", do_unmap(fd, size / 2, size / 4), 0);
    check("UNMAP of all", do_unmap(fd, 0, size), 0);
    check("UNREGISTER", do_unregister(fd, memory, MIB), 0);
    check("all were cleared", do_register(fd, memory, MIB / 2), 0);
}

void map_cases(void)
{
    run_case("map arguments", arguments);
    run_case("half a map", half);
    if (!host.spare) {
        run_case("nothing at 0", nothing_at_0);
    }
    run_case("page sizes", sizes);
    run_case("two levels", multi_level);
}
