/*
 * EEH operations
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "abi.h"

static void operations(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    const int fd = setup.container;
    struct vfio_eeh_pe_op op = { .argsz = 8 };

    check("no address", call(fd, VFIO_EEH_PE_OP, NULL), -EFAULT);
    check("argsz 8", call(fd, VFIO_EEH_PE_OP, &op), -EINVAL);
    op.argsz = sizeof(op);
    op.flags = 1;
    check("flags", call(fd, VFIO_EEH_PE_OP, &op), -EINVAL);
    op.flags = 0;
    op.argsz = 12;
    op.op = VFIO_EEH_PE_INJECT_ERR;
    check("inject with a short argsz", call(fd, VFIO_EEH_PE_OP, &op),
          -EINVAL);
    check("operation 10", do_eeh(fd, 10), -EINVAL);
    check("enable", do_eeh(fd, VFIO_EEH_PE_ENABLE), 0);
    check("state", do_eeh(fd, VFIO_EEH_PE_GET_STATE),
          VFIO_EEH_PE_STATE_NORMAL);
    check("unfreeze IO", do_eeh(fd, VFIO_EEH_PE_UNFREEZE_IO), 0);
    check("unfreeze DMA", do_eeh(fd, VFIO_EEH_PE_UNFREEZE_DMA), 0);
    check("configure", do_eeh(fd, VFIO_EEH_PE_CONFIGURE), 0);
    check("disable", do_eeh(fd, VFIO_EEH_PE_DISABLE), 0);
}

static long inject(int fd, uint32_t type, uint32_t function)
{
    struct vfio_eeh_pe_op op = {
        .argsz = sizeof(op),
        .op = VFIO_EEH_PE_INJECT_ERR,
        .err = { .type = type, .func = function },
    };

    return call(fd, VFIO_EEH_PE_OP, &op);
}

/* What is right depends on the firmware: an emulated bridge says EIO */
static void injecting(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    const int fd = setup.container;

    check("type 2", inject(fd, 2, 0), -ERANGE);
    check("function 20", inject(fd, 0, 20), -EINVAL);
    check("both wrong", inject(fd, 2, 20), -EINVAL);
    check("state", do_eeh(fd, VFIO_EEH_PE_GET_STATE),
          VFIO_EEH_PE_STATE_NORMAL);
}

/* A fundamental reset is a matter of the firmware, too */
static void resetting(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    const int fd = setup.container;

    check("hot", do_eeh(fd, VFIO_EEH_PE_RESET_HOT), 0);
    check("state under reset", do_eeh(fd, VFIO_EEH_PE_GET_STATE),
          VFIO_EEH_PE_STATE_NORMAL);
    check("deactivate", do_eeh(fd, VFIO_EEH_PE_RESET_DEACTIVATE), 0);
    check("state", do_eeh(fd, VFIO_EEH_PE_GET_STATE),
          VFIO_EEH_PE_STATE_NORMAL);
    check("configure", do_eeh(fd, VFIO_EEH_PE_CONFIGURE), 0);
}

void eeh_cases(void)
{
    run_case("EEH", operations);
    run_case("EEH: errors", injecting);
    run_case("EEH: reset", resetting);
}
