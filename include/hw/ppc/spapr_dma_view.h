/*
 * sPAPR DMA windows: who can tell of them
 *
 * An *owner* is a device with windows: a PCI host bridge or a virtual device.
 * Each implements the interface below; who wants to see all windows of a
 * machine looks for it in the QOM tree, and finds none in other machines.  So
 * the QMP commands (spapr_dma_qmp.c) need nothing of pseries.
 *
 * Words of the answers are in qapi/spapr-dma.json.
 *
 * Everything here runs under the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_PPC_SPAPR_DMA_VIEW_H
#define HW_PPC_SPAPR_DMA_VIEW_H

#include "qapi/qapi-types-spapr-dma.h"
#include "qom/object.h"

#define TYPE_SPAPR_DMA_OWNER "spapr-dma-owner"

typedef struct SpaprDmaOwner SpaprDmaOwner;
typedef struct SpaprDmaOwnerClass SpaprDmaOwnerClass;
DECLARE_CLASS_CHECKERS(SpaprDmaOwnerClass, SPAPR_DMA_OWNER,
                       TYPE_SPAPR_DMA_OWNER)

struct SpaprDmaOwnerClass {
    InterfaceClass parent_class;

    /**
     * @describe: add an owner to what is told of the machine
     *
     * @info is complete but for owners that come later.  @count_kvm says that
     * tables that KVM made are to be counted, too.  Adds nothing if @owner is
     * not realized or can have no window.
     */
    void (*describe)(SpaprDmaOwner *owner, bool count_kvm, SpaprDmaInfo *info);

    /**
     * @runs: tell what is mapped in a window
     *
     * From the entry @index on, at most @max runs, and not more than can be
     * found in a moment.  Returns NULL if @owner has no enabled window @liobn.
     */
    SpaprDmaRunsInfo *(*runs)(SpaprDmaOwner *owner, uint32_t liobn,
                              uint64_t index, uint32_t max);
};

/**
 * spapr_dma_owner_class_init: make a class of devices owners of windows
 * @klass: a class with the interface %TYPE_SPAPR_DMA_OWNER
 *
 * Its windows are those that are children of the device.  What @describe tells
 * of one owner is its read-only property "dma-info", too.
 */
void spapr_dma_owner_class_init(ObjectClass *klass);

/**
 * spapr_dma_window_class_view: give windows a read-only property "dma-info"
 * @klass: the class of windows
 */
void spapr_dma_window_class_view(ObjectClass *klass);

/**
 * spapr_dma_page_sizes: a mask as a list
 * @mask: bit n set means 2^n bytes
 *
 * Returns the sizes in bytes, ascending.
 */
sizeList *spapr_dma_page_sizes(uint64_t mask);

#endif /* HW_PPC_SPAPR_DMA_VIEW_H */
