/*
 * VFIO containers on sPAPR: the one window that a v1 host has
 *
 * VFIO_SPAPR_TCE_IOMMU has one window, in 4 KiB pages, which is there from the
 * start and stays.  A guest window lies in it.  Pages are pinned as they are
 * mapped, and nothing is registered.
 *
 * Invariant: KVM never handles hypercalls for a window in such a container: it
 * would map pages that this container has not pinned.
 *
 * Everything here runs under the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/units.h"
#include "hw/ppc/spapr_dma_locked.h"
#include "memlock.h"
#include "spapr.h"

#define V1_PAGE_SHIFT 12

/* What is offered to guests: it is so small that larger pages would be few */
#define V1_PAGE_SIZES (64 * KiB | 4 * KiB)

static bool v1_window_make(VFIOSpaprContainer *sc, VFIOHostWindow *hw,
                           Error **errp)
{
    const VFIOSpaprInfo *info = &sc->info;
    uint64_t start = hw->start, size = hw->size;

    if (start < info->start || size > info->size ||
        start - info->start > info->size - size) {
        error_setg(errp, "DMA window at 0x%" PRIx64 " of 0x%" PRIx64 " bytes"
                   " does not lie in the only one of the host at 0x%" PRIx64
                   " of 0x%" PRIx64 " bytes",
                   start, size, info->start, info->size);
        return false;
    }
    hw->page_shift = V1_PAGE_SHIFT;
    hw->levels = 1;
    return true;
}

static void v1_window_drop(VFIOSpaprContainer *sc, const VFIOHostWindow *hw)
{
    vfio_spapr_unmap_range(sc, hw->start, hw->size);
}

/* The only window can be the guest's default one, or follow it */
static void v1_limits(const VFIOSpaprContainer *sc, SpaprDmaLimits *limits)
{
    const SpaprDmaLimitReason why = SPAPR_DMA_LIMIT_REASON_ONE_WINDOW;

    spapr_dma_limit_page_sizes(limits, V1_PAGE_SIZES, why);
    spapr_dma_limit_max_size(limits, sc->info.size, why);
    spapr_dma_limit_windows(limits, QLIST_EMPTY(&sc->windows), why);
}

/*
 * The host counts all that its window could map when it is enabled, and the
 * window's table when something is mapped for the first time.
 */
static uint64_t v1_bytes(const VFIOSpaprContainer *sc)
{
    uint64_t size = sc->info.size;

    return size + spapr_locked_host_table(qemu_real_host_page_size(),
                                          size >> V1_PAGE_SHIFT, 1);
}

static void v1_describe(const VFIOSpaprContainer *sc,
                        SpaprDmaContainerInfo *info)
{
    info->kind = SPAPR_DMA_CONTAINER_KIND_VFIO_V1;
    info->vfio->max_windows = 1;
    info->vfio->max_levels = 1;
    info->vfio->locked = v1_bytes(sc);
}

static void v1_locked(const VFIOSpaprContainer *sc,
                      const SpaprDmaGeometry *windows, unsigned count,
                      SpaprDmaLocked *locked)
{
    locked->host_tables += v1_bytes(sc);
}

static bool v1_can_start(const VFIOSpaprContainer *sc, uint64_t bus_offset)
{
    return bus_offset >= sc->info.start &&
           bus_offset - sc->info.start < sc->info.size;
}

static bool v1_open(VFIOSpaprContainer *sc, Error **errp)
{
    int ret = vfio_spapr_host_use(&sc->host, true);

    if (ret) {
        g_autofree char *remedy = ret != -ENOMEM ? NULL :
                                  vfio_memlock_remedy(&sc->mapper, 0, false);

        error_setg(errp, "host does not enable its DMA window of 0x%" PRIx64
                   " bytes: %s%s%s", sc->info.size, strerror(-ret),
                   remedy ? "; " : "", remedy ?: "");
        return false;
    }
    VFIO_IOMMU(sc)->pgsizes = 1ULL << V1_PAGE_SHIFT;
    return true;
}

static void v1_close(VFIOSpaprContainer *sc)
{
    int ret = vfio_spapr_host_use(&sc->host, false);

    if (ret) {
        warn_report_once("vfio: host did not disable a container: %s",
                         strerror(-ret));
    }
}

static void v1_class_init(ObjectClass *klass, void *data)
{
    VFIOSpaprContainerClass *class = VFIO_IOMMU_SPAPR_CLASS(klass);

    class->open = v1_open;
    class->close = v1_close;
    class->window_make = v1_window_make;
    class->window_drop = v1_window_drop;
    class->limits = v1_limits;
    class->can_start = v1_can_start;
    class->locked = v1_locked;
    class->describe = v1_describe;
}

static const TypeInfo v1_types[] = {
    {
        .name = TYPE_VFIO_IOMMU_SPAPR_V1,
        .parent = TYPE_VFIO_IOMMU_SPAPR,
        .class_init = v1_class_init,
    },
};

DEFINE_TYPES(v1_types)
