/*
 * sPAPR DMA windows: what their files want of each other
 *
 * Nobody but hw/ppc/spapr_dma_*.c, spapr_tce_hcall.c and tests within QEMU's
 * process include this.
 *
 * Locks: the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_PPC_SPAPR_DMA_PRIVATE_H
#define HW_PPC_SPAPR_DMA_PRIVATE_H

#include "hw/ppc/spapr_dma_mapper.h"
#include "hw/ppc/spapr_dma_window.h"
#include "spapr_tce_store.h"

/**
 * SpaprDmaMachine: what all windows of a machine have in common
 * @windows: by LIOBN, enabled or not
 * @recent: what spapr_dma_window_find() found last, since a guest keeps to one
 *          window for a while; NULL if nothing
 * @spaces: #SpaprDmaSpace by address space
 * @budget: what the sparse stores of all windows hold
 * @frozen: how many times vCPUs are kept out of KVM
 * @words: room for a request's words
 * @runs: room for its runs
 */
struct SpaprDmaMachine {
    GHashTable *windows;
    SpaprDmaWindow *recent;
    GHashTable *spaces;
    SpaprTceBudget budget;
    unsigned frozen;
    uint64_t words[SPAPR_TCE_BATCH_MAX];
    SpaprTceRun runs[SPAPR_TCE_BATCH_MAX];
};

/* That of the machine that runs, NULL if it can have no windows */
SpaprDmaMachine *spapr_dma_machine(void);

/* ---- spapr_dma_window.c ---- */

/* A sparse store for @window */
SpaprTceStore *spapr_dma_store_new(const SpaprDmaWindow *window);

/**
 * spapr_dma_window_set_store: give a window another store
 * @window: a window
 * @store: what translation sees from now on; may be NULL
 *
 * The old one, if any, is freed once no reader can look at it any more.
 */
void spapr_dma_window_set_store(SpaprDmaWindow *window, SpaprTceStore *store);

/* The store as a reader without a lock sees it; it may be NULL */
static inline SpaprTceStore *spapr_dma_store_read(const SpaprDmaWindow *window)
{
    /* The macro cannot do with a type that it does not know */
    return qatomic_rcu_read((void *const *)&window->store);
}

/**
 * spapr_dma_window_refused: count a hypercall that is refused
 * @window: whose
 * @reason: why; what the host said was noted by spapr_dma_mappers_put()
 * @iova: bus address that the guest named
 * @count: how many entries
 */
void spapr_dma_window_refused(SpaprDmaWindow *window,
                              SpaprDmaRefusalReason reason, uint64_t iova,
                              uint64_t count);

/* The same for entries in a window: spapr_dma_window_put() has said @error */
void spapr_dma_put_refused(SpaprDmaWindow *window, uint64_t index,
                           uint64_t count, int error);

/**
 * spapr_dma_window_step: what can be looked at in a moment
 * @window: an enabled window
 * @index: first entry
 * @count: how many there are from there, not beyond the window
 *
 * The longest part of that, at least one entry if there is any.  Holes of a
 * sparse store are free; of a table that KVM made, each entry counts, and none
 * behind the part is looked at.
 */
uint64_t spapr_dma_window_step(const SpaprDmaWindow *window, uint64_t index,
                               uint64_t count);

/* The bus address of an entry */
static inline uint64_t spapr_dma_iova(const SpaprDmaWindow *window,
                                      uint64_t index)
{
    return window->geometry.bus_offset + (index << window->geometry.page_shift);
}

/* Bytes of so many pages */
static inline uint64_t spapr_dma_bytes(const SpaprDmaWindow *window,
                                       uint64_t count)
{
    return count << window->geometry.page_shift;
}

/* ---- spapr_dma_mapper.c ---- */

/* The space of @as, made if there is none; freed with its last user */
SpaprDmaSpace *spapr_dma_space_get(AddressSpace *as);
void spapr_dma_space_put(SpaprDmaSpace *space);

/**
 * spapr_dma_mappers_attach: have all mappers of the space mirror a window
 * @window: a window that is being enabled; nothing is stored in it
 * @errp: the reason of the one that refused; then none has it
 */
bool spapr_dma_mappers_attach(SpaprDmaWindow *window, Error **errp);

/* The reverse, for a window that is being disabled and is not with KVM */
void spapr_dma_mappers_detach(SpaprDmaWindow *window);

/**
 * spapr_dma_mappers_put: show the mappers of a window a request
 * @window: an enabled window whose store still has the old words
 * @batch: the request
 *
 * Returns 0, or the negative errno of the first that refused, which is noted
 * in the window; then all are taken back to what the store says.
 */
int spapr_dma_mappers_put(SpaprDmaWindow *window, const SpaprTceBatch *batch);

/* Have all mappers of a window forget a range; at least one entry */
void spapr_dma_mappers_unmap(SpaprDmaWindow *window, uint64_t index,
                             uint64_t count);

/* ---- spapr_dma_iommu.c ---- */

/* Does an IOMMU notifier follow a window of this space? */
bool spapr_dma_space_notified(const SpaprDmaSpace *space);

/* Tell notifiers that what is mapped in a range is going to be not */
void spapr_dma_notify_unmap(SpaprDmaWindow *window, uint64_t index,
                            uint64_t count);

/* Tell notifiers of a request that was stored */
void spapr_dma_notify_map(SpaprDmaWindow *window, const SpaprTceBatch *batch);

/* ---- spapr_dma_kvm.c ---- */

/**
 * SpaprDmaKvmOps: what windows want of KVM
 * @present: is the machine run by KVM?
 * @updates_vfio: does KVM update the tables of VFIO along with its own?
 * @create_table: have KVM handle the hypercalls of a window.  Returns a
 *                mapping of the table, of one word per entry and all zero, and
 *                stores the table's file descriptor; or NULL if KVM makes none
 */
typedef struct SpaprDmaKvmOps {
    bool (*present)(void);
    bool (*updates_vfio)(void);
    uint64_t *(*create_table)(const SpaprDmaWindow *window, int *fd);
} SpaprDmaKvmOps;

/* For a test that takes KVM's place */
void spapr_dma_kvm_set_ops(const SpaprDmaKvmOps *ops);

/**
 * spapr_dma_kvm_update: take a window out of KVM or let it in
 * @window: a window that is visible, or a disabled one
 *
 * As those who mirror or watch the space can have it.  What is stored stays.
 */
void spapr_dma_kvm_update(SpaprDmaWindow *window);

/* The same for all windows of a space */
void spapr_dma_kvm_update_space(SpaprDmaSpace *space);

/**
 * spapr_dma_kvm_drop: close KVM's table of a window, if it has one
 * @window: a window; empty afterwards if it was with KVM
 *
 * When this returns, no vCPU can change what mirrors the window any more but
 * by a hypercall that waits for the BQL.
 */
void spapr_dma_kvm_drop(SpaprDmaWindow *window);

/**
 * spapr_dma_kvm_hold: keep vCPUs from changing what is stored in a window
 * @window: a window
 *
 * To be called before words are compared with what mirrors the window, or
 * changed along with it.  Returns what spapr_dma_kvm_release() wants.
 */
bool spapr_dma_kvm_hold(const SpaprDmaWindow *window);
void spapr_dma_kvm_release(bool held);

/* ---- spapr_dma_migration.c ---- */

void spapr_dma_migration_register(SpaprDmaWindow *window);
void spapr_dma_migration_unregister(SpaprDmaWindow *window);

#endif /* HW_PPC_SPAPR_DMA_PRIVATE_H */
