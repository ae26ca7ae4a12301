/*
 * sPAPR DMA windows: what hypercalls for one entry go at directly
 *
 * H_PUT_TCE and H_GET_TCE are so short that calls from file to file would be
 * most of their cost.  What is stored here could as well be stored by the
 * functions of hw/ppc/spapr_dma_window.h, which are right in all cases.
 *
 * Locks: the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_PPC_SPAPR_DMA_TCES_H
#define HW_PPC_SPAPR_DMA_TCES_H

#include "qemu/rcu.h"
#include "hw/boards.h"
#include "hw/ppc/spapr_dma_window.h"
#include "spapr_tce_table.h"

/*
 * What translation needs, in one piece, so that a reader which saw the window
 * before it was disabled works on a consistent copy.
 */
struct SpaprDmaTces {
    struct rcu_head rcu;
    SpaprTceTable *table;
    uint32_t page_shift;
    uint64_t most_bytes;        /* that @table may grow to */
    uint64_t *kvm_words;        /* mapping behind @table if KVM made it */
    size_t kvm_bytes;
};

/*
 * What spapr_dma_window_find() found last, since a guest keeps to one window
 * for a while; NULL if nothing
 */
extern SpaprDmaWindow *spapr_dma_window_recent;

/**
 * spapr_dma_in_boot_ram: is a page in the RAM which the machine starts with?
 * @tce: raw word with permission
 * @page_shift: log2 of the page size in bytes
 *
 * That RAM lies at 0 without holes, and most TCEs point into it.
 */
static inline bool spapr_dma_in_boot_ram(uint64_t tce, unsigned page_shift)
{
    return tce >> page_shift < current_machine->ram_size >> page_shift;
}

/**
 * spapr_dma_window_full: has the guest stored as many TCEs as it may?
 * @window: an enabled window
 *
 * A table takes memory of the host for what the guest puts into it, however
 * little RAM it names.  The bound is several times what a guest needs to map
 * all that it can have.  A table that KVM made is never full here: it counts as
 * locked memory.
 */
static inline bool spapr_dma_window_full(const SpaprDmaWindow *window)
{
    return spapr_tce_table_bytes(window->tces->table) >
           window->tces->most_bytes;
}

/**
 * spapr_dma_window_put_quiet: store one TCE if there is nothing else to do
 * @window: an enabled window
 * @index: below the number of entries
 * @tce: raw word
 *
 * Returns false, with nothing done, if somebody must hear of the entry or it
 * has to be looked at more closely.
 */
static inline bool spapr_dma_window_put_quiet(SpaprDmaWindow *window,
                                              uint64_t index, uint64_t tce)
{
    if (window->mappers->len || window->notified ||
        spapr_dma_window_full(window) ||
        (spapr_tce_perm(tce) &&
         !spapr_dma_in_boot_ram(tce, window->geometry.page_shift))) {
        return false;
    }
    spapr_tce_table_set(window->tces->table, index, tce);
    return true;
}

#endif /* HW_PPC_SPAPR_DMA_TCES_H */
