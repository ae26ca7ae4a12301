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

static SpaprPhbState *space_phb(const SpaprDmaSpace *space)
{
    const SpaprDmaWindow *any = QLIST_FIRST(&space->windows);

    return any ? (SpaprPhbState *)
                 object_dynamic_cast(OBJECT(any)->parent,
                                     TYPE_SPAPR_PCI_HOST_BRIDGE) : NULL;
}

/*
 * Windows that the guest has or can be expected to make; returns how many.  A
 * VIO device has one, which is what it is.
 */
static unsigned wanted_windows(const SpaprDmaSpace *space,
                               SpaprDmaGeometry wanted[])
{
    const SpaprDmaWindow *only = QLIST_FIRST(&space->windows);
    SpaprPhbState *sphb = space_phb(space);

    if (sphb) {
        return spapr_phb_windows_wanted(sphb, wanted);
    }
    if (!only || !spapr_dma_window_enabled(only)) {
        return 0;
    }
    wanted[0] = only->geometry;
    return 1;
}

static void add_kvm(const SpaprDmaGeometry *wanted, unsigned count,
                    SpaprDmaLocked *locked)
{
    for (unsigned n = 0; n < count; n++) {
        locked->kvm_tables += spapr_dma_kvm_locked(wanted[n].entries);
    }
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
    SpaprDmaGeometry wanted[SPAPR_PHB_WINDOWS_WANTED];
    unsigned count = wanted_windows(space, wanted);
    const SpaprDmaMapper *mapper;
    bool kvm = true;

    QLIST_FOREACH(mapper, &space->mappers, next) {
        kvm &= add_mapper(mapper, wanted, count, locked);
        joining = joining == mapper ? NULL : joining;
    }
    if (joining) {
        kvm &= add_mapper(joining, wanted, count, locked);
    }
    if (kvm) {
        add_kvm(wanted, count, locked);
    }
}

/* Does KVM have this window, or would it if it could lock more? */
static bool with_kvm(const SpaprDmaWindow *window)
{
    return spapr_dma_window_enabled(window) &&
           (window->handler == SPAPR_DMA_HANDLER_KVM ||
            window->handler == SPAPR_DMA_HANDLER_QEMU_KVM_NO_TABLE);
}

static void add_unmirrored(const SpaprDmaSpace *space, SpaprDmaLocked *locked)
{
    SpaprDmaGeometry wanted[SPAPR_PHB_WINDOWS_WANTED];
    const SpaprDmaWindow *window;

    QLIST_FOREACH(window, &space->windows, next) {
        if (with_kvm(window)) {
            add_kvm(wanted, wanted_windows(space, wanted), locked);
            return;
        }
    }
}

uint64_t spapr_dma_locked(const SpaprDmaMapper *joining,
                          SpaprDmaLocked *locked)
{
    GHashTableIter iter;
    void *value;

    *locked = (SpaprDmaLocked) { };
    g_hash_table_iter_init(&iter, spapr_dma_machine()->spaces);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const SpaprDmaSpace *space = value;
        bool here = joining && joining->home == space;

        if (here || !QLIST_EMPTY(&space->mappers)) {
            add_mirrored(space, here ? joining : NULL, locked);
        } else {
            add_unmirrored(space, locked);
        }
    }
    return locked->ram + locked->host_tables + locked->kvm_tables;
}

/* Is there a PHB where a device of the host can still come? */
static bool free_phb(const SpaprDmaSpace *but)
{
    GHashTableIter iter;
    void *value;

    g_hash_table_iter_init(&iter, spapr_dma_machine()->spaces);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const SpaprDmaSpace *space = value;

        if (space != but && QLIST_EMPTY(&space->mappers) && space_phb(space)) {
            return true;
        }
    }
    return false;
}

uint64_t spapr_dma_locked_one_more(const SpaprDmaMapper *mapper)
{
    SpaprDmaGeometry wanted[SPAPR_PHB_WINDOWS_WANTED];
    unsigned count = wanted_windows(mapper->home, wanted);
    SpaprDmaLocked locked = { };

    /* KVM's tables for a PHB that is there already have been counted */
    if (add_mapper(mapper, wanted, count, &locked) && !free_phb(mapper->home)) {
        add_kvm(wanted, count, &locked);
    }
    return locked.host_tables + locked.kvm_tables;
}
