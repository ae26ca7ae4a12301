/*
 * sPAPR DMA windows: a window as an IOMMU memory region
 *
 * What the rest of QEMU sees of a window: a region on a bus that translates
 * each access, and IOMMU notifiers for those who keep translations but are no
 * mappers (vhost, VFIO on a host without TCEs).
 *
 * Words: the region starts at 0, thus addresses here are offsets into the
 * window and not bus addresses.
 *
 * Invariants:
 *  - an event that maps is about one page of the window, or a part of one where
 *    the notifier has only a part: who maps by pages can unmap by pages, which
 *    a host's IOMMU cannot in the middle of what was mapped in one go;
 *  - whatever a guest takes back is told, be it that the whole window goes;
 *    such events may be about many pages, and say nothing of where they led;
 *  - each event is an aligned power of two and in the range of its notifier.
 *
 * Locks: translation runs in an RCU read-side section of any thread; the rest
 * holds the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "exec/address-spaces.h"
#include "system/dma.h"
#include "hw/ppc/spapr.h"
#include "spapr_dma_private.h"
#include "trace.h"

/*
 * Tell one notifier of its share of a range.  Each has a part of the window
 * only, where something else lies on top of it, as the MSI doorbell does.
 */
static void notify_one(IOMMUNotifier *n, AddressSpace *as, uint64_t iova,
                       uint64_t target, uint64_t size, IOMMUAccessFlags perm)
{
    uint64_t from = MAX(iova, n->start);
    uint64_t last = MIN(iova + size - 1, n->end);
    IOMMUTLBEvent event = {
        .type = perm ? IOMMU_NOTIFIER_MAP : IOMMU_NOTIFIER_UNMAP,
        .entry = {
            .target_as = as,
            .perm = perm,
        },
    };

    for (; from <= last; from += event.entry.addr_mask + 1) {
        event.entry.iova = from;
        event.entry.addr_mask = dma_aligned_pow2_mask(from, last, 64);
        event.entry.translated_addr = perm ? target + (from - iova) : 0;
        memory_region_notify_iommu_one(n, &event);
        if (event.entry.addr_mask == UINT64_MAX) {
            break;
        }
    }
}

/* The same for a run, page by page */
static void notify_run(IOMMUNotifier *n, const SpaprDmaWindow *window,
                       const SpaprTceRun *run)
{
    uint64_t page = spapr_dma_bytes(window, 1);

    for (uint64_t i = 0; i < run->count; i++) {
        notify_one(n, window->target,
                   spapr_dma_bytes(window, run->index + i),
                   run->target + spapr_dma_bytes(window, i), page,
                   (IOMMUAccessFlags)run->perm);
    }
}

bool spapr_dma_space_notified(const SpaprDmaSpace *space)
{
    const SpaprDmaWindow *window;

    QLIST_FOREACH(window, &space->windows, next) {
        if (window->notified) {
            return true;
        }
    }
    return false;
}

void spapr_dma_notify_unmap(SpaprDmaWindow *window, uint64_t index,
                            uint64_t count)
{
    IOMMUNotifier *n;

    if (!window->notified ||
        !spapr_tce_store_extent(window->store, &index, &count)) {
        return;
    }
    IOMMU_NOTIFIER_FOREACH(n, &window->iommu) {
        notify_one(n, window->target, spapr_dma_bytes(window, index), 0,
                   spapr_dma_bytes(window, count), IOMMU_NONE);
    }
}

void spapr_dma_notify_map(SpaprDmaWindow *window, const SpaprTceBatch *batch)
{
    IOMMUNotifier *n;

    for (unsigned i = 0; window->notified && i < batch->n_runs; i++) {
        if (batch->runs[i].perm) {
            IOMMU_NOTIFIER_FOREACH(n, &window->iommu) {
                notify_run(n, window, &batch->runs[i]);
            }
        }
    }
}

/* Any thread, in an RCU read-side section */
static IOMMUTLBEntry region_translate(IOMMUMemoryRegion *iommu, hwaddr addr,
                                      IOMMUAccessFlags flag, int iommu_idx)
{
    SpaprDmaWindow *window = container_of(iommu, SpaprDmaWindow, iommu);
    SpaprTceStore *store = spapr_dma_store_read(window);
    IOMMUTLBEntry entry = {
        .target_as = window->target,
        .addr_mask = ~(hwaddr)0,
        .perm = IOMMU_NONE,
    };
    unsigned shift = store ? spapr_tce_store_page_shift(store) : 0;

    if (store && addr >> shift < spapr_tce_store_entries(store)) {
        uint64_t tce = spapr_tce_store_get(store, addr >> shift);

        entry.addr_mask = (1ULL << shift) - 1;
        entry.iova = addr & ~entry.addr_mask;
        entry.translated_addr = spapr_tce_target(tce, shift);
        entry.perm = (IOMMUAccessFlags)spapr_tce_perm(tce);
    }
    trace_spapr_iommu_xlate(window->liobn, addr, entry.translated_addr,
                            entry.perm, entry.addr_mask);
    return entry;
}

static void region_replay(IOMMUMemoryRegion *iommu, IOMMUNotifier *n)
{
    SpaprDmaWindow *window = container_of(iommu, SpaprDmaWindow, iommu);
    uint64_t index = 0;
    SpaprTceRun run;

    while (spapr_tce_store_next_run(window->store, UINT64_MAX, &index, &run)) {
        notify_run(n, window, &run);
    }
}

static uint64_t region_min_page_size(IOMMUMemoryRegion *iommu)
{
    SpaprDmaWindow *window = container_of(iommu, SpaprDmaWindow, iommu);

    return 1ULL << window->geometry.page_shift;
}

static AddressSpace *region_target(IOMMUMemoryRegion *iommu)
{
    return container_of(iommu, SpaprDmaWindow, iommu)->target;
}

/* Whoever has a notifier in one window will have one in the others */
static int region_notify_flag_changed(IOMMUMemoryRegion *iommu,
                                      IOMMUNotifierFlag old,
                                      IOMMUNotifierFlag new, Error **errp)
{
    SpaprDmaWindow *window = container_of(iommu, SpaprDmaWindow, iommu);

    if (new & IOMMU_NOTIFIER_DEVIOTLB_UNMAP) {
        error_setg(errp, "sPAPR DMA windows have no device IOTLB");
        error_append_hint(errp, "Switch ATS off on the device.\n");
        return -EINVAL;
    }
    window->notified = new != IOMMU_NOTIFIER_NONE;
    spapr_dma_kvm_update_space(window->space);
    return 0;
}

static void region_class_init(ObjectClass *klass, void *data)
{
    IOMMUMemoryRegionClass *imrc = IOMMU_MEMORY_REGION_CLASS(klass);

    imrc->translate = region_translate;
    imrc->replay = region_replay;
    imrc->get_min_page_size = region_min_page_size;
    imrc->get_target_as = region_target;
    imrc->notify_flag_changed = region_notify_flag_changed;
}

static const TypeInfo region_types[] = {
    {
        .name = TYPE_SPAPR_IOMMU_MEMORY_REGION,
        .parent = TYPE_IOMMU_MEMORY_REGION,
        .class_init = region_class_init,
    },
};

DEFINE_TYPES(region_types)
