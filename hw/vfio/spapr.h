/*
 * VFIO containers on sPAPR: what the two kinds have in common
 *
 * A container is a mapper (hw/ppc/spapr_dma_mapper.h) of the DMA windows of
 * its PCI address space.  There are two kinds of host containers:
 *   v1   VFIO_SPAPR_TCE_IOMMU: one window that is there, pages are pinned as
 *        they are mapped
 *   v2   VFIO_SPAPR_TCE_v2_IOMMU: windows come and go, RAM is registered first
 *
 * Everything here runs under the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_VFIO_SPAPR_H
#define HW_VFIO_SPAPR_H

#include "hw/ppc/spapr_dma_mapper.h"
#include "hw/vfio/vfio-common.h"
#include "prereg.h"
#include "spapr-host.h"

/**
 * VFIOHostWindow: a TCE table of the host that mirrors one guest window
 * @window: the guest window
 * @start: bus address, equal to the guest's
 * @size: bytes
 * @page_shift: of the host's table
 * @levels: of the host's table
 *
 * All fields are set once, when the window is added.
 */
typedef struct VFIOHostWindow {
    SpaprDmaWindow *window;
    uint64_t start;
    uint64_t size;
    uint32_t page_shift;
    uint32_t levels;
    QLIST_ENTRY(VFIOHostWindow) next;
} VFIOHostWindow;

typedef struct VFIOBusRam VFIOBusRam;

OBJECT_DECLARE_TYPE(VFIOSpaprContainer, VFIOSpaprContainerClass,
                    VFIO_IOMMU_SPAPR)

struct VFIOSpaprContainer {
    VFIOContainer container;
    VFIOSpaprHost host;         /* set once, by setup */
    VFIOSpaprInfo info;         /* set once, by setup */
    SpaprDmaMapper mapper;
    MemoryListener listener;    /* of the PCI address space */
    VFIOPrereg prereg;          /* if the class says so */
    QLIST_HEAD(, VFIOHostWindow) windows;
    QLIST_HEAD(, VFIOBusRam) bus_ram;
    bool started;               /* what fails now cannot be taken back */
    Error *error;               /* the first failure before that */
    uint64_t maps_refused;      /* runs, for the trace */
};

struct VFIOSpaprContainerClass {
    VFIOIOMMUClass parent_class;

    /* RAM must be registered before it is mapped */
    bool registers_ram;

    /* KVM can update the host's tables along with its own */
    bool kvm_updates;

    /**
     * @open: begin to use the container, which has its info
     *
     * Returns false with @errp set and nothing to close.
     */
    bool (*open)(VFIOSpaprContainer *sc, Error **errp);
    void (*close)(VFIOSpaprContainer *sc);

    /**
     * @window_make: have a host window for a guest window
     *
     * @hw has the guest window and its place; the host's table is noted in
     * it.  Returns false with @errp set and nothing left.
     */
    bool (*window_make)(VFIOSpaprContainer *sc, VFIOHostWindow *hw,
                        Error **errp);
    void (*window_drop)(VFIOSpaprContainer *sc, const VFIOHostWindow *hw);

    /* As in SpaprDmaMapperOps */
    void (*limits)(const VFIOSpaprContainer *sc, SpaprDmaLimits *limits);
    bool (*can_start)(const VFIOSpaprContainer *sc, uint64_t bus_offset);

    /* May be NULL: yes */
    bool (*expect_ram)(VFIOSpaprContainer *sc, MemoryRegion *mr, Error **errp);

    /**
     * @can_share: can windows be in the group, too, that has just joined?
     *
     * May be NULL: yes
     */
    bool (*can_share)(VFIOSpaprContainer *sc);

    /* Add what the host locks for such windows */
    void (*locked)(const VFIOSpaprContainer *sc,
                   const SpaprDmaGeometry *windows, unsigned count,
                   SpaprDmaLocked *locked);

    /**
     * @describe: say what kind of host this is, and what memory is locked
     *
     * @info has a part for VFIO, with what all kinds have filled in.
     */
    void (*describe)(const VFIOSpaprContainer *sc,
                     SpaprDmaContainerInfo *info);
};

/**
 * vfio_spapr_host_window: the host window that mirrors a guest window
 * @sc: the container
 * @window: a window that the container is attached to
 */
VFIOHostWindow *vfio_spapr_host_window(const VFIOSpaprContainer *sc,
                                       const SpaprDmaWindow *window);

/**
 * vfio_spapr_update_kvm: let windows be with KVM, or take them out of it
 * @sc: the container, whose groups or bus RAM have changed
 */
void vfio_spapr_update_kvm(VFIOSpaprContainer *sc);

/**
 * vfio_spapr_unmap_range: make devices fault there
 * @sc: the container
 * @iova: first bus address
 * @size: bytes, whole pages of a host window
 *
 * Cannot fail; what the host refuses is reported once.
 */
void vfio_spapr_unmap_range(VFIOSpaprContainer *sc, uint64_t iova,
                            uint64_t size);

/* ---- spapr-bus.c ---- */

/**
 * vfio_spapr_bus_listen: see what lies on the bus besides windows
 * @sc: the container
 * @as: the PCI address space
 * @errp: set to the first thing that devices of the host cannot use
 *
 * What appears later and cannot be used is reported.
 */
bool vfio_spapr_bus_listen(VFIOSpaprContainer *sc, AddressSpace *as,
                           Error **errp);
void vfio_spapr_bus_unlisten(VFIOSpaprContainer *sc);

/**
 * vfio_spapr_bus_hides: does bus RAM lie on a window?
 * @sc: the container
 * @window: a window that the container is attached to
 * @iova: bus address in it
 * @size: bytes; cut to what has the same answer
 */
bool vfio_spapr_bus_hides(const VFIOSpaprContainer *sc,
                          const SpaprDmaWindow *window, uint64_t iova,
                          uint64_t *size);

/**
 * vfio_spapr_bus_window_added: map bus RAM that lies in a new host window
 * @sc: the container
 * @hw: the window, in the list
 * @errp: set if the host refuses
 */
bool vfio_spapr_bus_window_added(VFIOSpaprContainer *sc,
                                 const VFIOHostWindow *hw, Error **errp);

/* Map all bus RAM again, which a host may have unmapped; reports failures */
void vfio_spapr_bus_map_again(VFIOSpaprContainer *sc);

/* How many pieces of bus RAM there are */
unsigned vfio_spapr_bus_count(const VFIOSpaprContainer *sc);

#endif /* HW_VFIO_SPAPR_H */
