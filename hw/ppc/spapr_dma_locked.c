/*
 * sPAPR DMA windows: how much memory the host has to lock
 *
 * Objects: none of its own.  The owner of a space says which windows there can
 * be, its mappers what they lock for these; tables that KVM has for other
 * windows are added.
 *
 * Nothing can fail.
 *
 * Locks: the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci-host/spapr_phb_dma.h"
#include "hw/ppc/spapr.h"
#include "hw/ppc/spapr_dma_locked.h"
#include "spapr_dma_private.h"

/* Windows that the guest has or can be expected to make; returns how many */
static unsigned wanted_windows(const SpaprDmaSpace *space,
                               SpaprDmaGeometry wanted[])
{
    const SpaprDmaWindow *any = QLIST_FIRST(&space->windows);
    SpaprPhbState *sphb = (SpaprPhbState *)
        object_dynamic_cast(OBJECT(any)->parent, TYPE_SPAPR_PCI_HOST_BRIDGE);

    return sphb ? spapr_phb_windows_wanted(sphb, wanted) : 0;
}

/* Returns whether it leaves hypercalls to KVM */
static bool add_mapper(const SpaprDmaMapper *mapper,
                       const SpaprDmaGeometry *wanted, unsigned count,
                       SpaprDmaLocked *locked)
{
    return !mapper->ops->locked ||
           mapper->ops->locked(mapper, wanted, count, locked);
}

static void add_mirrored(const SpaprDmaSpace *space,
                         const SpaprDmaMapper *joining, SpaprDmaLocked *locked)
{
    SpaprDmaGeometry wanted[SPAPR_PCI_DMA_MAX_WINDOWS];
    unsigned count = wanted_windows(space, wanted);
    const SpaprDmaMapper *mapper;
    bool with_kvm = true;

    QLIST_FOREACH(mapper, &space->mappers, next) {
        with_kvm &= add_mapper(mapper, wanted, count, locked);
        joining = joining == mapper ? NULL : joining;
    }
    if (joining) {
        with_kvm &= add_mapper(joining, wanted, count, locked);
    }
    for (unsigned n = 0; with_kvm && n < count; n++) {
        locked->kvm_tables += spapr_dma_kvm_locked(wanted[n].entries);
    }
}

static void add_unmirrored(const SpaprDmaSpace *space, SpaprDmaLocked *locked)
{
    const SpaprDmaWindow *window;

    QLIST_FOREACH(window, &space->windows, next) {
        if (window->kvm_fd >= 0) {
            locked->kvm_tables +=
                spapr_dma_kvm_locked(window->geometry.entries);
        }
    }
}

uint64_t spapr_dma_locked(const SpaprDmaMapper *joining,
                          SpaprDmaLocked *locked)
{
    bool locks = false;
    GHashTableIter iter;
    void *value;

    *locked = (SpaprDmaLocked) { };
    g_hash_table_iter_init(&iter, spapr_dma_machine()->spaces);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const SpaprDmaSpace *space = value;
        bool here = joining && joining->home == space;

        if (here || !QLIST_EMPTY(&space->mappers)) {
            add_mirrored(space, here ? joining : NULL, locked);
            locks = true;
        } else {
            add_unmirrored(space, locked);
        }
    }
    return locks ? locked->ram + locked->host_tables + locked->kvm_tables : 0;
}

uint64_t spapr_dma_locked_one_more(const SpaprDmaMapper *mapper)
{
    SpaprDmaGeometry wanted[SPAPR_PCI_DMA_MAX_WINDOWS];
    unsigned count = wanted_windows(mapper->home, wanted);
    SpaprDmaLocked locked = { };

    /* If it is on another PHB, KVM has the default window's table there, too */
    if (add_mapper(mapper, wanted, count, &locked) && count > 1) {
        locked.kvm_tables = spapr_dma_kvm_locked(wanted[1].entries);
    }
    return locked.host_tables + locked.kvm_tables;
}
