/*
 * sPAPR DMA windows: QMP command
 *
 * Objects: owners of windows (hw/ppc/spapr_dma_view.h), wherever they are in
 * the QOM tree.  Nothing of pseries is needed here: other machines have no
 * owners.
 *
 * Nothing can fail.
 *
 * Locks: the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-spapr-dma.h"
#include "hw/ppc/spapr_dma_view.h"

/* What is being looked for */
typedef struct Search {
    bool count_kvm;
    SpaprDmaInfo *info;
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
