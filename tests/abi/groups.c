/*
 * Several groups, several containers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <unistd.h>

#include "abi.h"

static void shared(void)
{
    Setup setup = set_up(2, VFIO_SPAPR_TCE_v2_IOMMU);
    uint8_t *memory = make_memory(MIB);
    const int fd = setup.container;

    check("remove the default", do_remove(fd, 0), 0);
    check("one window for both", do_create(fd, 12, GIB, 1, NULL), 0);
    check("register", do_register(fd, memory, MIB), 0);
    check("map", do_map(fd, 0, memory, MIB, 3), 0);
    check("one leaves",
          call(setup.groups[1], VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
    check("UNREGISTER", do_unregister(fd, memory, MIB), 0);
    check("it took all mappings along",
          do_register(fd, memory, MIB / 2), 0);
    check("the window is still there",
          do_map(fd, 0, memory, host.page, 3), 0);
    check("it comes back", do_attach(setup.groups[1], fd), 0);
    check("remove the window", do_remove(fd, 0), 0);
    check("no default comes back", do_map(fd, 0, memory, host.page, 3),
          -ENXIO);
}

static void joining(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    const int fd = setup.container, second = open_group(1);

    check("first window", do_create(fd, 12, GIB, 1, NULL), 0);
    check("a group joins", do_attach(second, fd), 0);
    check("the first group leaves",
          call(setup.groups[0], VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
    check("the window stays", do_remove(fd, START64), 0);
    check("the second leaves",
          call(second, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
    check("and the driver is gone", do_remove(fd, 0), -EINVAL);
}

static void two_containers(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    const int first = setup.container, second = open_container();
    const int group = open_group(1);
    uint8_t *memory = make_memory(MIB);

    check("attach", do_attach(group, second), 0);
    check("set v2", call(second, VFIO_SET_IOMMU,
                         (void *)VFIO_SPAPR_TCE_v2_IOMMU), 0);
    check("register in the first", do_register(first, memory, MIB), 0);
    check("MAP needs a REGISTER here",
          do_map(second, 0, memory, host.page, 3), -EPERM);
    check("overlapping, in the second",
          do_register(second, memory, MIB / 2), -EINVAL);
    check("the other's", do_unregister(second, memory, MIB), -ENOENT);
    check("register in the second", do_register(second, memory, MIB), 0);
    check("map in both", do_map(first, 0, memory, MIB, 3), 0);
    check("map in both", do_map(second, 0, memory, MIB, 3), 0);
    check("UNREGISTER in the first", do_unregister(first, memory, MIB), 0);
    check("MAP there by the other's",
          do_map(first, MIB, memory, MIB, 3), 0);
    check("unmap there", do_unmap(first, 0, 2 * MIB), 0);
    check("unmap here", do_unmap(second, 0, MIB), 0);
    check("UNREGISTER here", do_unregister(second, memory, MIB), 0);
    check("it is free", do_register(second, memory, MIB / 2), 0);
}

/* Locked memory of a region is charged once, whoever registers it */
static void closed(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    uint8_t *memory = make_memory(MIB);

    check("register", do_register(setup.container, memory, MIB), 0);
    check("map", do_map(setup.container, 0, memory, MIB, 3), 0);
    check("unset", call(setup.groups[0], VFIO_GROUP_UNSET_CONTAINER, NULL),
          0);
    check("attach", do_attach(setup.groups[0], setup.container), 0);
    check("set v2", call(setup.container, VFIO_SET_IOMMU,
                         (void *)VFIO_SPAPR_TCE_v2_IOMMU), 0);
    check("all was released",
          do_register(setup.container, memory, MIB / 2), 0);
}

void group_cases(void)
{
    run_case("released", closed);
    if (host.count > 1) {
        run_case("two groups", shared);
        run_case("joining", joining);
        run_case("two containers", two_containers);
    }
}
