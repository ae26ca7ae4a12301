/*
 * The DMA windows of one sPAPR PHB
 *
 * A PHB is one PE to its guest: all devices below it share the windows, up
 * to SPAPR_PCI_DMA_MAX_WINDOWS of them.  The *default window* is there from
 * the start, in 4 KiB pages below 4 GiB; the guest may remove it and create
 * others (DDW, dynamic DMA windows).
 *
 * All functions run under the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_PCI_HOST_SPAPR_PHB_DMA_H
#define HW_PCI_HOST_SPAPR_PHB_DMA_H

#include "hw/pci-host/spapr.h"
#include "hw/ppc/spapr_dma_mapper.h"

/* Subsection of a PHB's migration stream, sent in limited-address mode */
extern const VMStateDescription vmstate_spapr_phb_dma;

/* The default window, and as many others as there can be */
#define SPAPR_PHB_WINDOWS_WANTED (SPAPR_PCI_DMA_MAX_WINDOWS + 1)

/* No window has more TCEs, nor more bytes; the latter keeps it below 2^63 */
#define SPAPR_DDW_MAX_TCES (1ULL << 37)
#define SPAPR_DDW_MAX_SIZE (1ULL << 62)

/* Sizes of pages that ibm,query-pe-dma-window can name (LoPAR), as bits */
#define SPAPR_DDW_PAGE_SIZES \
    (1ULL << 12 | 1ULL << 16 | 1ULL << 21 | 1ULL << 24 | 1ULL << 25 | \
     1ULL << 26 | 1ULL << 27 | 1ULL << 28 | 1ULL << 34)

/* Where a dynamic window starts in limited-address mode */
#define SPAPR_DDW_LIMITED_ADDR (1ULL << 32)

/**
 * SpaprDdwResult: how a request for a window ended
 * @SPAPR_DDW_OK: done
 * @SPAPR_DDW_PARAMETER: the guest asked for what cannot be
 * @SPAPR_DDW_HOST: the host refused
 */
typedef enum SpaprDdwResult {
    SPAPR_DDW_OK,
    SPAPR_DDW_PARAMETER,
    SPAPR_DDW_HOST,
} SpaprDdwResult;

/**
 * spapr_phb_dma_class_init: what can be asked about the windows of any PHB
 * @klass: class of PHBs, whose properties are set
 */
void spapr_phb_dma_class_init(ObjectClass *klass);

/**
 * spapr_phb_dma_realize: make the PHB's windows, of which the default is there
 * @sphb: PHB whose address space and properties are set
 * @errp: set if a property or a LIOBN is unusable
 *
 * Returns false, with windows that spapr_phb_dma_unrealize() removes.
 */
bool spapr_phb_dma_realize(SpaprPhbState *sphb, Error **errp);

/**
 * spapr_phb_dma_unrealize: end the PHB's windows, and take them off its bus
 * @sphb: PHB, realized or partly so
 */
void spapr_phb_dma_unrealize(SpaprPhbState *sphb);

/**
 * SpaprDdwOffer: what a guest can get
 * @windows: how many more windows
 * @max_tces: TCEs of the largest one, of whatever page size
 * @page_sizes: bit n set means pages of 2^n bytes
 * @limits: who keeps these three from being more
 */
typedef struct SpaprDdwOffer {
    unsigned windows;
    uint64_t max_tces;
    uint64_t page_sizes;
    SpaprDmaLimits limits;
} SpaprDdwOffer;

/**
 * spapr_phb_window_offer: what spapr_phb_window_create() can deliver
 * @sphb: a realized PHB
 *
 * Holds in and out of limited-address mode, since a guest asks before it
 * changes the mode and not again, as Linux does.  Only for 16 GiB pages there
 * is no place in that mode: %SPAPR_DDW_LIMITED_ADDR is no multiple of them.
 */
SpaprDdwOffer spapr_phb_window_offer(SpaprPhbState *sphb);

/**
 * spapr_phb_tell_offer: warn, once for each reason, of too small an offer
 * @sphb: a realized PHB
 * @offer: what the guest is going to be told
 *
 * Too small for all of the guest's memory, while it has no window but the
 * default one.
 */
void spapr_phb_tell_offer(SpaprPhbState *sphb, const SpaprDdwOffer *offer);

/**
 * spapr_phb_page_sizes: what the property "pgsz" allows
 * @sphb: a PHB
 *
 * Returns a mask as in #SpaprDdwOffer.
 */
uint64_t spapr_phb_page_sizes(const SpaprPhbState *sphb);

/**
 * spapr_phb_limited_offered: does the PHB know limited-address mode?
 * @sphb: a realized PHB
 *
 * Devices that drive fewer address bits than a window at "dma64_win_addr"
 * needs can use one at %SPAPR_DDW_LIMITED_ADDR, if all hosts can place it and
 * the property "ddw-limited" is on: QEMU 10.0 cannot receive a guest in this
 * mode, so it is off for older machine types.
 */
bool spapr_phb_limited_offered(SpaprPhbState *sphb);

/**
 * spapr_phb_limited_limit: the same, and why not
 * @sphb: a realized PHB
 * @by: who is against it; set if it is not offered
 */
bool spapr_phb_limited_limit(SpaprPhbState *sphb, SpaprDmaLimiter *by);

/**
 * spapr_phb_window_is_default: is this the PHB's default window?
 * @sphb: a realized PHB
 * @window: a window of it, enabled or not
 */
bool spapr_phb_window_is_default(const SpaprPhbState *sphb,
                                 const SpaprDmaWindow *window);

/**
 * spapr_phb_windows_wanted: windows that the guest should be able to have
 * @sphb: a realized PHB
 * @wanted: the geometries, SPAPR_PHB_WINDOWS_WANTED at most
 *
 * The default one, and the dynamic ones that are there or, if there is none,
 * the one that Linux would make.  Returns how many.
 */
unsigned spapr_phb_windows_wanted(SpaprPhbState *sphb,
                                  SpaprDmaGeometry wanted[]);

/**
 * spapr_phb_windows_reset: what ibm,reset-pe-dma-window does
 * @sphb: a realized PHB
 * @limited: the mode to be in after it
 * @errp: set if the mode is not offered or the host refused a window
 *
 * Removes the dynamic windows.  The default window keeps what is mapped in it
 * if it is there, since other devices may use it; else it is restored.
 *
 * %SPAPR_DDW_PARAMETER: the mode is not offered, and nothing was changed;
 * %SPAPR_DDW_HOST: the dynamic windows are gone and the mode is as asked for,
 * but the default window could not be restored.
 */
SpaprDdwResult spapr_phb_windows_reset(SpaprPhbState *sphb, bool limited,
                                       Error **errp);

/**
 * spapr_phb_dma_dt: describe the PHB's windows
 * @sphb: a realized PHB
 * @fdt: device tree
 * @node: the PHB's node
 *
 * Writes "ibm,dma-window" and, with DDW, "ibm,ddw-applicable" and
 * "ibm,ddw-extensions".  Returns 0 or a libfdt error.
 */
int spapr_phb_dma_dt(SpaprPhbState *sphb, void *fdt, int node);

/**
 * spapr_phb_window_create: create a dynamic window
 * @sphb: a realized PHB
 * @page_shift: log2 of the page size in bytes; any value
 * @window_shift: log2 of the window size in bytes; any value
 * @window: the window that was created
 * @errp: the reason if it was not
 *
 * The window goes where there is room: at the default window's place if that
 * was removed, or at "dma64_win_addr" or its replacement in limited-address
 * mode.  It gets the lowest free LIOBN.
 */
SpaprDdwResult spapr_phb_window_create(SpaprPhbState *sphb,
                                       uint32_t page_shift,
                                       uint32_t window_shift,
                                       SpaprDmaWindow **window, Error **errp);

/**
 * spapr_phb_window_remove: remove a window
 * @liobn: its number; any value
 * @errp: the reason if it failed
 *
 * If this was the PHB's last window and not the default one, the default
 * window comes back (LoPAR 7.3.31).  %SPAPR_DDW_HOST means that the window
 * is gone but the default could not be restored.
 */
SpaprDdwResult spapr_phb_window_remove(uint32_t liobn, Error **errp);

#endif /* HW_PCI_HOST_SPAPR_PHB_DMA_H */
