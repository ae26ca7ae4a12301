/*
 * sPAPR DMA windows: QMP commands
 *
 * Objects: owners of windows (hw/ppc/spapr_dma_view.h), wherever they are in
 * the QOM tree.  Nothing of pseries is needed here: other machines have no
 * owners.
 *
 * What can fail: to find a window, and an argument out of bounds.
 *
 * Locks: the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-spapr-dma.h"
#include "hw/ppc/spapr_dma_view.h"

#define RUNS_DEFAULT 256
#define RUNS_MAX 4096

/* What is being looked for */
typedef struct Search {
    bool count_kvm;
    SpaprDmaInfo *info;

    uint32_t liobn;
    uint64_t index;
    uint32_t max;
    SpaprDmaRunsInfo *runs;
} Search;

static SpaprDmaOwner *as_owner(Object *obj)
{
    return (SpaprDmaOwner *)object_dynamic_cast(obj, TYPE_SPAPR_DMA_OWNER);
}

static int describe(Object *obj, void *opaque)
{
    SpaprDmaOwner *owner = as_owner(obj);
    Search *search = opaque;

    if (owner) {
        SPAPR_DMA_OWNER_GET_CLASS(owner)->describe(owner, search->count_kvm,
                                                   search->info);
    }
    return 0;
}

SpaprDmaInfo *qmp_query_spapr_dma(bool has_count_kvm, bool count_kvm,
                                  Error **errp)
{
    Search search = {
        .count_kvm = has_count_kvm && count_kvm,
        .info = g_new0(SpaprDmaInfo, 1),
    };

    object_child_foreach_recursive(object_get_root(), describe, &search);
    return search.info;
}

/* Ends the walk when the window is found */
static int find_runs(Object *obj, void *opaque)
{
    SpaprDmaOwner *owner = as_owner(obj);
    Search *search = opaque;

    if (owner) {
        search->runs = SPAPR_DMA_OWNER_GET_CLASS(owner)->runs(
            owner, search->liobn, search->index, search->max);
    }
    return search->runs != NULL;
}

SpaprDmaRunsInfo *qmp_query_spapr_dma_runs(uint32_t liobn,
                                           bool has_index, uint64_t index,
                                           bool has_max, uint32_t max,
                                           Error **errp)
{
    Search search = {
        .liobn = liobn,
        .index = has_index ? index : 0,
        .max = has_max ? max : RUNS_DEFAULT,
    };

    if (!search.max || search.max > RUNS_MAX) {
        error_setg(errp, "'max' is %u but must be 1 to %u", search.max,
                   RUNS_MAX);
        return NULL;
    }
    object_child_foreach_recursive(object_get_root(), find_runs, &search);
    if (!search.runs) {
        error_setg(errp, "there is no DMA window 0x%x; query-spapr-dma lists"
                   " those that exist", liobn);
    }
    return search.runs;
}
