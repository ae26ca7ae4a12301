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
#include "hw/ppc/spapr_dma_window.h"

/*
 * No window has more TCEs.  It is what ibm,query-pe-dma-window promises, and
 * keeps a window of the largest page that a guest can do with, 16 MiB, below
 * bus address 2^62.
 */
#define SPAPR_DDW_MAX_TCES (1ULL << 37)

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
 * spapr_phb_dma_realize: make the PHB's windows, disabled
 * @sphb: PHB whose address space and properties are set
 * @errp: set if a property or a LIOBN is unusable
 *
 * Returns false, with windows that spapr_phb_dma_unrealize() removes.
 */
bool spapr_phb_dma_realize(SpaprPhbState *sphb, Error **errp);

/**
 * spapr_phb_dma_unrealize: take the windows off the PHB's bus
 * @sphb: PHB, realized or partly so
 */
void spapr_phb_dma_unrealize(SpaprPhbState *sphb);

/**
 * spapr_phb_dma_default: remove all windows and restore the default one
 * @sphb: a realized PHB
 * @errp: set if the host refused the default window
 */
bool spapr_phb_dma_default(SpaprPhbState *sphb, Error **errp);

/**
 * spapr_phb_dma_dt: describe the PHB's windows
 * @sphb: a realized PHB
 * @fdt: device tree
 * @node: the PHB's node
 *
 * Writes "ibm,dma-window" and, with DDW, "ibm,ddw-applicable" and
 * "ibm,ddw-extensions" (LoPAR B.6.9.1).  Returns 0 or a libfdt error.
 */
int spapr_phb_dma_dt(SpaprPhbState *sphb, void *fdt, int node);

/**
 * spapr_phb_windows_available: how many more windows can be created
 * @sphb: a realized PHB
 */
unsigned spapr_phb_windows_available(SpaprPhbState *sphb);

/**
 * spapr_phb_window_create: create a dynamic window
 * @sphb: a realized PHB
 * @page_shift: log2 of the page size in bytes; any value
 * @window_shift: log2 of the window size in bytes; any value
 * @window: the window that was created
 * @errp: the reason if it was not
 *
 * The window goes where there is room: at the default window's place if that
 * was removed, or at "dma64_win_addr".  It gets the lowest free LIOBN.
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
