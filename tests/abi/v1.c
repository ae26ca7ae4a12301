/*
 * Version 1 of the sPAPR driver
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <sys/mman.h>

#include "abi.h"

static void basics(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_IOMMU);
    struct vfio_iommu_spapr_tce_info info = { .argsz = sizeof(info) };
    uint8_t *memory = make_memory(MIB);
    const int fd = setup.container;
    const uint64_t io = 4 * KIB;

    check("GET_INFO", call(fd, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info), 0);
    check("no dynamic windows", info.flags, 0);
    check("nor their sizes", info.ddw.pgsizes || info.ddw.levels, 0);
    check("MAP before ENABLE", do_map(fd, 0, memory, io, 3), -EPERM);
    check("UNMAP before ENABLE", do_unmap(fd, 0, io), -EPERM);
    check("MAP before ENABLE at no address",
          call(fd, VFIO_IOMMU_MAP_DMA, NULL), -EPERM);
    check("UNMAP before ENABLE at no address",
          call(fd, VFIO_IOMMU_UNMAP_DMA, NULL), -EPERM);
    check("DISABLE before ENABLE", call(fd, VFIO_IOMMU_DISABLE, NULL), 0);
    check("ENABLE", call(fd, VFIO_IOMMU_ENABLE, NULL), 0);
    check("ENABLE twice", call(fd, VFIO_IOMMU_ENABLE, NULL), -EBUSY);
    check("MAP", do_map(fd, 0, memory, MIB, 3), 0);
    check("MAP over it", do_map(fd, io, memory, io, 1), 0);
    check("MAP at 1", do_map(fd, 1, memory, io, 3), 1);
    check("MAP, size 1", do_map(fd, 0, memory, 1, 3), -EINVAL);
    check("MAP from 1", do_map(fd, 0, memory + 1, io, 3), -EINVAL);
    check("MAP with no flag", do_map(fd, 0, memory, io, 0), -EINVAL);
    check("MAP elsewhere", do_map(fd, START64, memory, io, 3), -ENXIO);
    check("MAP of nothing there", do_map(fd, io, (void *)io, io, 3),
          -EFAULT);
    mprotect(memory, host.page, PROT_READ);
    check("MAP to write what cannot be", do_map(fd, io, memory, io, 3),
          -EFAULT);
    check("UNMAP", do_unmap(fd, 0, info.dma32_window_size), 0);
    check("DISABLE", call(fd, VFIO_IOMMU_DISABLE, NULL), 0);
    check("MAP after DISABLE", do_map(fd, 0, memory, io, 3), -EPERM);
    check("ENABLE again", call(fd, VFIO_IOMMU_ENABLE, NULL), 0);
}

static void one_group(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_IOMMU);

    check("second group", do_attach(open_group(1), setup.container), -EBUSY);
}

static void two_before(void)
{
    const int fd = open_container();

    check("first", do_attach(open_group(0), fd), 0);
    check("second", do_attach(open_group(1), fd), 0);
    check("set v1", call(fd, VFIO_SET_IOMMU, (void *)VFIO_SPAPR_TCE_IOMMU),
          -EBUSY);
    check("set v2", call(fd, VFIO_SET_IOMMU,
                         (void *)VFIO_SPAPR_TCE_v2_IOMMU), 0);
}

void v1_cases(void)
{
    run_case("v1", basics);
    if (host.count > 1) {
        run_case("v1: one group", one_group);
        run_case("v1: two groups before", two_before);
    }
}
