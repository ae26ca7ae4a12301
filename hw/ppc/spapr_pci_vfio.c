/*
 * EEH on a sPAPR PHB with devices of the host
 *
 * EEH isolates a partitionable endpoint (PE) after an error: the guest reads
 * its state, unfreezes, resets and configures it by RTAS calls on the PHB.
 *
 * Objects: the guest sees one PE per PHB.  In the host each IOMMU group is
 * one; those of the PHB lie in one or more VFIO containers.
 *
 * A call concerns all groups of all containers:
 *   - the state is the worst of all;
 *   - anything else is done to every container, and if it fails for any, the
 *     first error is the answer.  Each can be repeated, so the guest may.
 *
 * What the host makes of that: it walks the groups of one container and stops
 * at the first whose result is not 0.  For the state, 0 means normal, so what
 * one container answers is normal only if all of its groups are; among
 * several that are not, the first one answers for it.  For the other calls
 * only an error is not 0, and what follows it in that container is left as it
 * was, which nobody can tell from outside.
 *
 * What can fail: every call, by the host's refusal, which is an RTAS status
 * for the guest, one line in the log, and always a trace event.
 *
 * Locks: the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/ioctl.h>
#include <linux/vfio.h>
#include "hw/pci-host/spapr.h"
#include "hw/pci/msix.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pci_device.h"
#include "hw/ppc/spapr.h"
#include "hw/vfio/vfio-common.h"
#include "qemu/error-report.h"
#include "trace.h"
#include CONFIG_DEVICES

/* Descriptors of the VFIO containers that have devices of this PHB */
static GArray *eeh_containers(SpaprPhbState *sphb)
{
    GArray *fds = g_array_new(false, false, sizeof(int));
#ifdef CONFIG_VFIO_PCI
    VFIOAddressSpace *space = vfio_get_address_space(&sphb->iommu_as);
    VFIOContainerBase *base;

    QLIST_FOREACH(base, &space->containers, next) {
        if (object_dynamic_cast(OBJECT(base), TYPE_VFIO_IOMMU_SPAPR)) {
            VFIOContainer *container = VFIO_IOMMU_LEGACY(base);

            g_array_append_val(fds, container->fd);
        }
    }
    vfio_put_address_space(space);
#endif
    return fds;
}

static int eeh_ioctl(int fd, uint32_t op)
{
    struct vfio_eeh_pe_op pe_op = { .argsz = sizeof(pe_op), .op = op };
    int ret = ioctl(fd, VFIO_EEH_PE_OP, &pe_op);

    ret = ret < 0 ? -errno : ret;
    trace_spapr_eeh_op(fd, op, ret);
    if (ret < 0) {
        warn_report_once("host refuses EEH operation %u on a container, the"
                         " guest is told so: %s; later refusals are only"
                         " traced (spapr_eeh_op)", op, strerror(-ret));
    }
    return ret;
}

/* Returns 0, or the first error, after all containers were asked */
static int eeh_operate(SpaprPhbState *sphb, uint32_t op)
{
    g_autoptr(GArray) fds = eeh_containers(sphb);
    int ret = fds->len ? 0 : -ENODEV;

    for (guint i = 0; i < fds->len; i++) {
        int one = eeh_ioctl(g_array_index(fds, int, i), op);

        ret = ret ?: MIN(one, 0);
    }
    return ret;
}

bool spapr_phb_eeh_available(SpaprPhbState *sphb)
{
    g_autoptr(GArray) fds = eeh_containers(sphb);

    for (guint i = 0; i < fds->len; i++) {
        if (ioctl(g_array_index(fds, int, i), VFIO_CHECK_EXTENSION,
                  VFIO_EEH) <= 0) {
            return false;
        }
    }
    return fds->len;
}

/* Leave nothing frozen for whoever boots next */
void spapr_phb_vfio_reset(DeviceState *qdev)
{
    eeh_operate(SPAPR_PCI_HOST_BRIDGE(qdev), VFIO_EEH_PE_ENABLE);
}

/*
 * State
 */

/* How far a PE is from working */
static unsigned eeh_badness(int state)
{
    switch (state) {
    case RTAS_EEH_PE_STATE_NORMAL:
        return 0;
    case RTAS_EEH_PE_STATE_RESET:
        return 1;
    case RTAS_EEH_PE_STATE_STOPPED_DMA:
        return 2;
    case RTAS_EEH_PE_STATE_STOPPED_IO_DMA:
        return 3;
    default:
        return 4;
    }
}

/* VFIO numbers the states as PAPR does */
int spapr_phb_vfio_eeh_get_state(SpaprPhbState *sphb, int *state)
{
    g_autoptr(GArray) fds = eeh_containers(sphb);

    QEMU_BUILD_BUG_ON(VFIO_EEH_PE_STATE_NORMAL != RTAS_EEH_PE_STATE_NORMAL ||
                      VFIO_EEH_PE_STATE_UNAVAIL != RTAS_EEH_PE_STATE_UNAVAIL);
    *state = RTAS_EEH_PE_STATE_NORMAL;
    for (guint i = 0; i < fds->len; i++) {
        int one = eeh_ioctl(g_array_index(fds, int, i),
                            VFIO_EEH_PE_GET_STATE);

        if (one < 0) {
            return RTAS_OUT_PARAM_ERROR;
        }
        if (eeh_badness(one) > eeh_badness(*state)) {
            *state = one;
        }
    }
    return fds->len ? RTAS_OUT_SUCCESS : RTAS_OUT_PARAM_ERROR;
}

/*
 * Options
 */

static bool eeh_is_host_device(PCIDevice *pdev)
{
    return object_dynamic_cast(OBJECT(pdev), "vfio-pci");
}

static void eeh_look_for_host_device(PCIBus *bus, PCIDevice *pdev,
                                     void *found)
{
    *(bool *)found |= eeh_is_host_device(pdev);
}

/*
 * Is there a device of the host on the bus that @addr names?  The function
 * number is not looked at: Linux before 5.10 passes that of a device, later
 * ones that of the PE, and either takes an error for "no EEH".
 */
static bool eeh_covers(SpaprPhbState *sphb, uint32_t addr)
{
    bool found = false;

    pci_for_each_device(PCI_HOST_BRIDGE(sphb)->bus, extract32(addr, 16, 8),
                        eeh_look_for_host_device, &found);
    return found;
}

int spapr_phb_vfio_eeh_set_option(SpaprPhbState *sphb, unsigned int addr,
                                  int option)
{
    static const uint32_t ops[] = {
        [RTAS_EEH_DISABLE] = VFIO_EEH_PE_DISABLE,
        [RTAS_EEH_ENABLE] = VFIO_EEH_PE_ENABLE,
        [RTAS_EEH_THAW_IO] = VFIO_EEH_PE_UNFREEZE_IO,
        [RTAS_EEH_THAW_DMA] = VFIO_EEH_PE_UNFREEZE_DMA,
    };

    if (option < 0 || option >= ARRAY_SIZE(ops) ||
        (option == RTAS_EEH_ENABLE && !eeh_covers(sphb, addr))) {
        return RTAS_OUT_PARAM_ERROR;
    }
    return eeh_operate(sphb, ops[option]) ? RTAS_OUT_HW_ERROR :
                                            RTAS_OUT_SUCCESS;
}

/*
 * Reset
 */

/* The host's device forgets its MSI-X table, so must ours: it is a cache */
static void eeh_forget_msix(PCIBus *bus, PCIDevice *pdev, void *unused)
{
    uint32_t control = pdev->msix_cap + PCI_MSIX_FLAGS;

    if (!eeh_is_host_device(pdev)) {
        return;
    }
    if (msix_enabled(pdev)) {
        uint32_t flags = pdev->config_read(pdev, control, 2);

        pdev->config_write(pdev, control, flags & ~PCI_MSIX_FLAGS_ENABLE, 2);
    }
    msix_reset(pdev);
}

static void eeh_forget_msix_of_bus(PCIBus *bus, void *unused)
{
    pci_for_each_device_under_bus(bus, eeh_forget_msix, NULL);
}

int spapr_phb_vfio_eeh_reset(SpaprPhbState *sphb, int option)
{
    uint32_t op;

    if (option == RTAS_SLOT_RESET_DEACTIVATE) {
        op = VFIO_EEH_PE_RESET_DEACTIVATE;
    } else if (option == RTAS_SLOT_RESET_HOT) {
        op = VFIO_EEH_PE_RESET_HOT;
    } else if (option == RTAS_SLOT_RESET_FUNDAMENTAL) {
        op = VFIO_EEH_PE_RESET_FUNDAMENTAL;
    } else {
        return RTAS_OUT_PARAM_ERROR;
    }
    if (option != RTAS_SLOT_RESET_DEACTIVATE) {
        pci_for_each_bus(PCI_HOST_BRIDGE(sphb)->bus, eeh_forget_msix_of_bus,
                         NULL);
    }
    return eeh_operate(sphb, op) ? RTAS_OUT_HW_ERROR : RTAS_OUT_SUCCESS;
}

int spapr_phb_vfio_eeh_configure(SpaprPhbState *sphb)
{
    return eeh_operate(sphb, VFIO_EEH_PE_CONFIGURE) ? RTAS_OUT_PARAM_ERROR :
                                                      RTAS_OUT_SUCCESS;
}
