/*
 * Containers, groups and drivers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "abi.h"

#define V1 ((void *)VFIO_SPAPR_TCE_IOMMU)
#define V2 ((void *)VFIO_SPAPR_TCE_v2_IOMMU)
#define UNKNOWN _IO(VFIO_TYPE, VFIO_BASE + 99)

static void empty_container(void)
{
    const int fd = open_container();
    char what[40];

    check("API version", call(fd, VFIO_GET_API_VERSION, NULL),
          VFIO_API_VERSION);
    for (uintptr_t i = 0; i < 12; i++) {
        const bool there = i == VFIO_SPAPR_TCE_IOMMU || i == VFIO_EEH ||
                           i == VFIO_SPAPR_TCE_v2_IOMMU;

        snprintf(what, sizeof(what), "extension %u", (unsigned)i);
        check(what, call(fd, VFIO_CHECK_EXTENSION, (void *)i), there);
    }
    check("set v2 without a group", call(fd, VFIO_SET_IOMMU, V2), -EINVAL);
    check("GET_INFO without a driver",
          call(fd, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &host.info), -EINVAL);
    check("MAP without a driver", do_map(fd, 0, NULL, 0, 0), -EINVAL);
    check("unknown call without a driver", call(fd, UNKNOWN, NULL), -EINVAL);
    check("group call on a container",
          call(fd, VFIO_GROUP_UNSET_CONTAINER, NULL), -EINVAL);
}

static long status(int group)
{
    struct vfio_group_status status = { .argsz = sizeof(status) };
    const long ret = call(group, VFIO_GROUP_GET_STATUS, &status);

    return ret ? ret : status.flags;
}

static void groups(void)
{
    const int container = open_container(), group = open_group(0);
    const int null = open("/dev/null", O_RDWR);
    struct vfio_group_status small = { .argsz = 4 };
    char path[32];

    snprintf(path, sizeof(path), "/dev/vfio/%d", host.groups[0]);
    check("open twice", open(path, O_RDWR) < 0 ? -errno : 0, -EBUSY);
    check("status of a free group", status(group), VFIO_GROUP_FLAGS_VIABLE);
    check("status with argsz 4", call(group, VFIO_GROUP_GET_STATUS, &small),
          -EINVAL);
    check("status at no address", call(group, VFIO_GROUP_GET_STATUS, NULL),
          -EFAULT);
    check("unset without container",
          call(group, VFIO_GROUP_UNSET_CONTAINER, NULL), -EINVAL);
    check("unknown call", call(group, UNKNOWN, NULL), -ENOTTY);
    check("attach to -1", do_attach(group, -1), -EBADF);
    check("attach to a closed number", do_attach(group, 777), -EBADF);
    check("attach to /dev/null", do_attach(group, null), -EBADFD);
    check("attach to itself", do_attach(group, group), -EBADFD);
    check("attach at no address",
          call(group, VFIO_GROUP_SET_CONTAINER, NULL), -EFAULT);
    check("attach", do_attach(group, container), 0);
    check("attach twice", do_attach(group, container), -EINVAL);
    check("attach to /dev/null, attached", do_attach(group, null), -EINVAL);
    check("attach to -1, attached", do_attach(group, -1), -EBADF);
    check("status of an attached group", status(group),
          VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET);
    check("device without a driver",
          call(group, VFIO_GROUP_GET_DEVICE_FD, host.devices[0]), -EINVAL);
    check("no such device",
          call(group, VFIO_GROUP_GET_DEVICE_FD, "nothing"), -ENODEV);
    check("unset", call(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
    check("unset twice", call(group, VFIO_GROUP_UNSET_CONTAINER, NULL),
          -EINVAL);
    check("status afterwards", status(group), VFIO_GROUP_FLAGS_VIABLE);
}

static void drivers(void)
{
    const int container = open_container(), group = open_group(0);

    check("attach", do_attach(group, container), 0);
    check("set type1", call(container, VFIO_SET_IOMMU,
                            (void *)VFIO_TYPE1v2_IOMMU), -ENODEV);
    check("set nothing", call(container, VFIO_SET_IOMMU, NULL), -ENODEV);
    check("set 99", call(container, VFIO_SET_IOMMU, (void *)99), -ENODEV);
    check("set an extension", call(container, VFIO_SET_IOMMU,
                                   (void *)VFIO_EEH), -EINVAL);
    check("set v2", call(container, VFIO_SET_IOMMU, V2), 0);
    check("set v2 twice", call(container, VFIO_SET_IOMMU, V2), -EINVAL);
    check("set v1 over v2", call(container, VFIO_SET_IOMMU, V1), -EINVAL);
    check("ENABLE on v2", call(container, VFIO_IOMMU_ENABLE, NULL), -ENOTTY);
    check("DISABLE on v2", call(container, VFIO_IOMMU_DISABLE, NULL),
          -ENOTTY);
    check("unknown call", call(container, UNKNOWN, NULL), -ENOTTY);
    check("extension v1", call(container, VFIO_CHECK_EXTENSION, V1), 1);
    check("unset takes the driver along",
          call(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
    check("GET_INFO then",
          call(container, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &host.info),
          -EINVAL);
    check("attach again", do_attach(group, container), 0);
    check("set v1 now", call(container, VFIO_SET_IOMMU, V1), 0);
    check("REGISTER on v1", do_register(container, NULL, 0), -ENOTTY);
    check("UNREGISTER on v1", do_unregister(container, NULL, 0), -ENOTTY);
    check("CREATE on v1", do_create(container, 12, GIB, 1, NULL), -ENOTTY);
    check("REMOVE on v1", do_remove(container, 0), -ENOTTY);
}

static long info_flags(int container, uint32_t argsz)
{
    struct vfio_iommu_spapr_tce_info info = { .argsz = argsz, .flags = 77 };
    const long ret = call(container, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info);

    return ret ? ret : info.flags;
}

static void information(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);

    check("argsz 15", info_flags(setup.container, 15), -EINVAL);
    check("argsz 16", info_flags(setup.container, 16), 1);
    check("argsz of all", info_flags(setup.container, sizeof(host.info)), 1);
    check("argsz of more", info_flags(setup.container, 4096), 1);
    check("no address",
          call(setup.container, VFIO_IOMMU_SPAPR_TCE_GET_INFO, NULL),
          -EFAULT);
    check("default window at", host.info.dma32_window_start, 0);
    check("windows", host.info.ddw.max_dynamic_windows_supported, 2);
    check("levels", host.info.ddw.levels, 5);
    check("4K pages", host.info.ddw.pgsizes >> 12 & 1, 1);
    check("64K pages", host.info.ddw.pgsizes >> 16 & 1, 1);
    note("default window %u MiB, page sizes 0x%llx, host pages %u KiB",
         host.info.dma32_window_size >> 20,
         (unsigned long long)host.info.ddw.pgsizes,
         (unsigned)(host.page / KIB));
}

static void other_mm_body(int container)
{
    check("GET_INFO", info_flags(container, sizeof(host.info)), -EPERM);
    check("unknown call", call(container, UNKNOWN, NULL), -EPERM);
    check("MAP", do_map(container, 0, NULL, 0, READ_WRITE), -EPERM);
    check("REMOVE", do_remove(container, 0), -EPERM);
    check("version", call(container, VFIO_GET_API_VERSION, NULL), 0);
    check("extension", call(container, VFIO_CHECK_EXTENSION, V2), 1);
    fflush(stdout);
    _exit(0);
}

static void other_mm(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);

    check("CREATE makes it ours",
          do_create(setup.container, 12, GIB, 9, NULL), -EINVAL);
    fflush(stdout);
    if (!fork()) {
        other_mm_body(setup.container);
    }
    sleep(1);
    check("still works here", info_flags(setup.container, 16), 1);
}

static void closing(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    const int copy = dup(setup.container);
    char path[32];
    int device;

    snprintf(path, sizeof(path), "/dev/vfio/%d", host.groups[0]);
    close(setup.container);
    check("a copy works on", info_flags(copy, 16), 1);
    close(copy);
    check("the group keeps the container", status(setup.groups[0]), 3);
    device = call(setup.groups[0], VFIO_GROUP_GET_DEVICE_FD,
                  host.devices[0]);
    check("device", device >= 0, 1);
    check("unset with an open device",
          call(setup.groups[0], VFIO_GROUP_UNSET_CONTAINER, NULL), -EBUSY);
    close(setup.groups[0]);
    check("the device keeps the group",
          open(path, O_RDWR) < 0 ? -errno : 0, -EBUSY);
    close(device);
    setup.groups[0] = open_group(0);
    check("the group is free", status(setup.groups[0]), 1);
}

void core_cases(void)
{
    run_case("container", empty_container);
    run_case("group", groups);
    run_case("driver", drivers);
    run_case("info", information);
    run_case("other mm", other_mm);
    run_case("closing", closing);
}
