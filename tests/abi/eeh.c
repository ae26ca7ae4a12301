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

void eeh_cases(void)
{
    run_case("EEH", operations);
}
