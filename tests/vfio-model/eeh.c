/*
 * EEH operations on the groups of a container
 *
 * The operation runs over the groups in turn and stops at the first result
 * that is not 0, so that a state is that of the first group that is not in
 * order.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <linux/vfio.h>

#include "ioctl-table.h"
#include "ledger.h"
#include "quirk.h"
#include "user-memory.h"

#define HEADER_SIZE 12      /* up to and with the operation */

static long set_state(Group *group, int state)
{
    group->eeh_state = state;
    return 0;
}

/* MMIO and DMA are thawed one by one; @other: only the other one is frozen */
static long thaw(Group *group, int other)
{
    const bool frozen = group->eeh_state == VFIO_EEH_PE_STATE_STOPPED ||
                        group->eeh_state == other;

    return set_state(group, frozen ? other : VFIO_EEH_PE_STATE_NORMAL);
}

/* Whoever takes over a PE gets one that works, unless it is under reset */
static long enable(Group *group)
{
    return group->eeh_state == VFIO_EEH_PE_STATE_RESET ? 0 :
           set_state(group, VFIO_EEH_PE_STATE_NORMAL);
}

/* On bare metal the state is the bridge's, which is not frozen by a reset */
static long reset(Group *group, LedgerCount kind)
{
    const bool normal = host.flavour != FLAVOUR_LPAR &&
                        quirk(QUIRK_RESET_NORMAL);

    ledger_add(kind, 1);
    return set_state(group, normal ? VFIO_EEH_PE_STATE_NORMAL :
                                     VFIO_EEH_PE_STATE_RESET);
}

static long inject(Group *group, uint64_t address, uint32_t argsz)
{
    struct vfio_eeh_pe_op op;

    if (argsz < sizeof(op)) {
        return -EINVAL;
    }
    if (user_read(&op, address, sizeof(op))) {
        return -EFAULT;
    }
    if (op.err.func > 19) {
        return -EINVAL;
    }
    if (op.err.type > 1) {
        return -ERANGE;
    }
    return set_state(group, VFIO_EEH_PE_STATE_STOPPED);
}

static long operate(Group *group, const struct vfio_eeh_pe_op *op,
                    uint64_t address)
{
    switch (op->op) {
    case VFIO_EEH_PE_DISABLE:
    case VFIO_EEH_PE_CONFIGURE:
        return 0;
    case VFIO_EEH_PE_ENABLE:
        return enable(group);
    case VFIO_EEH_PE_UNFREEZE_IO:
        return thaw(group, VFIO_EEH_PE_STATE_STOPPED_DMA);
    case VFIO_EEH_PE_UNFREEZE_DMA:
        return thaw(group, VFIO_EEH_PE_STATE_UNAVAIL);
    case VFIO_EEH_PE_GET_STATE:
        return group->eeh_state;
    case VFIO_EEH_PE_RESET_DEACTIVATE:
        return set_state(group, VFIO_EEH_PE_STATE_NORMAL);
    case VFIO_EEH_PE_RESET_HOT:
        return reset(group, COUNT_HOT_RESETS);
    case VFIO_EEH_PE_RESET_FUNDAMENTAL:
        return reset(group, COUNT_FUNDAMENTAL_RESETS);
    case VFIO_EEH_PE_INJECT_ERR:
        return inject(group, address, op->argsz);
    default:
        return -EINVAL;
    }
}

static long operate_on(Group *group, uint64_t address)
{
    struct vfio_eeh_pe_op op;

    if (!host.eeh) {
        return -ENODEV;
    }
    if (user_read(&op, address, HEADER_SIZE)) {
        return -EFAULT;
    }
    if (op.argsz < HEADER_SIZE || op.flags) {
        return -EINVAL;
    }
    return operate(group, &op, address);
}

long spapr_eeh(ModelFile *file, IoctlArgument *argument)
{
    const Container *container = file->object;
    Group *group;
    long ret = 0;

    for (group = container->groups; group && !ret;
         group = group->next_in_container) {
        ret = operate_on(group, argument->address);
    }
    return ret;
}
