/*
 * sPAPR DMA windows
 *
 * A window is a range of bus addresses of one DMA address space, cut into
 * pages of one size, each described by a TCE (translation control entry).
 * It is named by its LIOBN, which the guest passes with every hypercall.
 *
 * A window exists for the life of its owner (a PHB or a VIO device) and is
 * either disabled (no geometry, no store, nothing on the bus) or enabled.
 *
 * The windows of one address space make a SpaprDmaSpace.  Whoever keeps a
 * copy of them elsewhere is a mapper of that space (spapr_dma_mapper.h).
 *
 * Everything here runs under the BQL, except translation, which runs in an
 * RCU read-side section.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_PPC_SPAPR_DMA_WINDOW_H
#define HW_PPC_SPAPR_DMA_WINDOW_H

#include "exec/memory.h"
#include "hw/qdev-core.h"
#include "qapi/qapi-types-spapr-dma.h"
#include "qom/object.h"

/* The name is older than the code, and part of command lines and streams */
#define TYPE_SPAPR_DMA_WINDOW "spapr-tce-table"
OBJECT_DECLARE_SIMPLE_TYPE(SpaprDmaWindow, SPAPR_DMA_WINDOW)

#define TYPE_SPAPR_IOMMU_MEMORY_REGION "spapr-iommu-memory-region"

typedef struct SpaprDmaMachine SpaprDmaMachine;
typedef struct SpaprDmaSpace SpaprDmaSpace;
typedef struct SpaprTceBatch SpaprTceBatch;
typedef struct SpaprTceStore SpaprTceStore;

/**
 * SpaprDmaGeometry: where a window lies and how it is cut
 * @bus_offset: first bus address, a multiple of the page size
 * @page_shift: log2 of the page size in bytes
 * @entries: number of pages; 0 means that the window is disabled
 */
typedef struct SpaprDmaGeometry {
    uint64_t bus_offset;
    uint32_t page_shift;
    uint64_t entries;
} SpaprDmaGeometry;

/* Hypercalls on TCEs */
typedef enum SpaprDmaCall {
    SPAPR_DMA_PUT,
    SPAPR_DMA_PUT_INDIRECT,
    SPAPR_DMA_STUFF,
    SPAPR_DMA_GET,
    SPAPR_DMA_CALLS,
} SpaprDmaCall;

/**
 * SpaprDmaCounters: what has happened to a window since it was enabled
 * @calls: hypercalls that came to QEMU, refused ones included
 * @maps: runs that mappers have mapped, @mapped_pages their entries
 * @unmaps: ranges that mappers have unmapped, @unmapped_pages their entries
 * @refused: hypercalls that were refused
 */
typedef struct SpaprDmaCounters {
    uint64_t calls[SPAPR_DMA_CALLS];
    uint64_t maps;
    uint64_t mapped_pages;
    uint64_t unmaps;
    uint64_t unmapped_pages;
    uint64_t refused;
} SpaprDmaCounters;

/**
 * SpaprDmaRefusal: the last hypercall that was refused
 * @reason: why
 * @iova: bus address that the guest named
 * @count: how many entries
 * @container: the mapper that refused last, whatever came of it
 * @error: its errno
 *
 * @container and @error mean something if @reason is that of a host.
 */
typedef struct SpaprDmaRefusal {
    SpaprDmaRefusalReason reason;
    uint64_t iova;
    uint64_t count;
    uint32_t container;
    int error;
} SpaprDmaRefusal;

struct SpaprDmaWindow {
    DeviceState parent_obj;

    uint32_t liobn;              /* set once, before realize */
    SpaprDmaMachine *machine;    /* set once, before realize */
    SpaprDmaSpace *space;        /* set once, before realize */
    AddressSpace *target;        /* what TCEs lead to; changed by no one */
    struct SpaprVioDevice *vdev; /* set once; NULL on a PHB */
    bool bypass;                 /* VIO only: translation is switched off */
    bool def_win;                /* enabled as its PHB's default window */

    SpaprDmaGeometry geometry;   /* set while enabling, zero when disabled */
    uint64_t generation;         /* counts how often it was enabled */
    SpaprTceStore *store;        /* RCU; NULL when disabled */
    int kvm_fd;                  /* KVM's table, -1 if QEMU has hypercalls */
    SpaprDmaHandler handler;     /* who has them, and if not KVM, why */
    uint64_t *kvm_words;         /* mapping of that table */
    bool notified;               /* an IOMMU notifier wants every change */
    GPtrArray *mappers;          /* attached ones, in order of attachment */
    SpaprDmaCounters counters;   /* cleared while enabling */
    SpaprDmaRefusal refusal;     /* if one was counted */

    MemoryRegion root;           /* what the owner puts into its bus */
    IOMMUMemoryRegion iommu;     /* child of @root while enabled */

    bool sparse_migration;       /* property: do not care for QEMU 10.0 */
    struct SpaprDmaMigration *migration; /* what is in a stream */
    QLIST_ENTRY(SpaprDmaWindow) next;   /* in the space */
};

/**
 * spapr_dma_window_new: make a disabled window
 * @owner: device whose QOM child it becomes
 * @liobn: its number, unique in the machine
 * @as: the address space that the window will appear in
 * @errp: set if @liobn is taken
 *
 * Returns the window, which lives as long as @owner, or NULL.
 */
SpaprDmaWindow *spapr_dma_window_new(DeviceState *owner, uint32_t liobn,
                                     AddressSpace *as, Error **errp);

/**
 * spapr_dma_window_find: look a window up by the number a guest passes
 * @liobn: 64-bit register value; the upper half must be zero (PAPR)
 *
 * Returns NULL if there is none; the window may be disabled.
 */
SpaprDmaWindow *spapr_dma_window_find(uint64_t liobn);

/**
 * spapr_dma_window_enable: give a disabled window its geometry and publish it
 * @window: a disabled window
 * @geometry: where and how large; with entries
 * @errp: says what is wrong with the geometry, or who refused it
 *
 * First the geometry is checked, then the store is made and every mapper of
 * the space is attached, then the window becomes visible on the bus, and last
 * KVM is let at it.  If any step fails the earlier ones are undone in reverse,
 * nothing is left in any mapper, and false is returned.  KVM's refusal is no
 * failure.
 */
bool spapr_dma_window_enable(SpaprDmaWindow *window,
                             const SpaprDmaGeometry *geometry, Error **errp);

/**
 * spapr_dma_window_disable: take a window off the bus and drop its store
 * @window: enabled or not
 *
 * In reverse: the guest's CPUs, which may be storing TCEs by KVM, can do so
 * no more before anything of the host goes.
 */
void spapr_dma_window_disable(SpaprDmaWindow *window);

/**
 * spapr_dma_window_clear: make every page of a window fault
 * @window: enabled or not
 *
 * A window whose hypercalls KVM could handle is with KVM afterwards.
 */
void spapr_dma_window_clear(SpaprDmaWindow *window);

/**
 * spapr_dma_window_enabled: does the window exist on the bus?
 * @window: enabled or not
 */
static inline bool spapr_dma_window_enabled(const SpaprDmaWindow *window)
{
    return window->geometry.entries != 0;
}

/**
 * spapr_dma_window_size: bytes of bus address space that a window covers
 * @window: enabled or not; 0 is returned for one that is not
 */
static inline uint64_t spapr_dma_window_size(const SpaprDmaWindow *window)
{
    return window->geometry.entries << window->geometry.page_shift;
}

/**
 * spapr_dma_window_get_root: the region to put at address 0 of the bus
 * @window: enabled or not
 */
MemoryRegion *spapr_dma_window_get_root(SpaprDmaWindow *window);

/**
 * spapr_dma_window_put: carry out a request as a whole
 * @window: an enabled window
 * @batch: the words, which lie in the window; cut into runs if need be
 *
 * Everybody sees the same batch: it is checked, shown to the mappers, told to
 * IOMMU notifiers and stored.  Returns 0, or with nothing changed
 *   -EINVAL   a word with permission does not name RAM for the whole page
 *   -EIO      a mapper refuses, whatever its reason, and a page that cannot be
 *             mapped back either stays unmapped in it
 *   -ENOSPC   the TCEs of all windows take as much memory as they may, see
 *             spapr_dma_budget_limit()
 */
int spapr_dma_window_put(SpaprDmaWindow *window, SpaprTceBatch *batch);

/**
 * spapr_dma_window_put_one: carry out a request of one word
 * @window: an enabled window
 * @index: of an entry that lies in it
 * @tce: raw word
 *
 * Returns what spapr_dma_window_put() does for a batch of this word.  What is
 * refused is counted.
 */
int spapr_dma_window_put_one(SpaprDmaWindow *window, uint64_t index,
                             uint64_t tce);

/**
 * spapr_dma_window_restore: store words that were stored elsewhere before
 * @window: an enabled window
 * @index: first entry
 * @tces: raw words
 * @count: how many, at most %SPAPR_TCE_BATCH_MAX; all in the window
 *
 * For words that come with a migration, which nobody can refuse any more: they
 * may lead anywhere and take any memory.  Returns 0, or the negative errno of
 * the mapper that refused.
 */
int spapr_dma_window_restore(SpaprDmaWindow *window, uint64_t index,
                             const uint64_t *tces, uint64_t count);

/**
 * spapr_dma_window_clear_some: make pages of a range fault, as many as may be
 * @window: an enabled window
 * @index: first entry; @index + @count must lie in the window
 * @count: how many
 *
 * The cost is that of what was populated, or of every entry in a table that KVM
 * made.  Returns how many entries are done, which is less than @count if that
 * much work would keep the BQL for too long; the caller goes on from there.
 */
uint64_t spapr_dma_window_clear_some(SpaprDmaWindow *window, uint64_t index,
                                     uint64_t count);

/**
 * spapr_dma_ram_size: bytes of a window that maps all memory of the guest
 *
 * A power of two; what can be plugged later is in it.
 */
uint64_t spapr_dma_ram_size(void);

/**
 * spapr_dma_budget_limit: bytes that the TCEs of all windows may take
 *
 * A guest can have QEMU keep memory for what it stores, however little RAM
 * that names.  64 MiB, and 1/32 byte for each byte of RAM that is plugged:
 * with 4 KiB pages, the smallest, a table that maps all RAM takes 1/512.
 * What was cleared counts until nobody can look at it.  Tables that KVM made do
 * not count here, they count as locked memory.  What a window has when it
 * leaves KVM, or when it is migrated, is kept in any case.
 */
uint64_t spapr_dma_budget_limit(void);

/**
 * spapr_dma_ram_valid: is this range RAM from end to end?
 * @as: where
 * @addr: first address
 * @size: bytes; the range does not wrap
 */
bool spapr_dma_ram_valid(AddressSpace *as, uint64_t addr, uint64_t size);

/**
 * spapr_dma_dt: describe a window in the device tree
 * @fdt: the tree
 * @node_off: node that gets the property and the two cell counts
 * @propname: "ibm,dma-window" or "ibm,my-dma-window"
 * @liobn: number of the window
 * @bus_offset: first bus address
 * @size: bytes
 *
 * Returns 0 or a negative libfdt error.
 */
int spapr_dma_dt(void *fdt, int node_off, const char *propname,
                 uint32_t liobn, uint64_t bus_offset, uint64_t size);

#endif /* HW_PPC_SPAPR_DMA_WINDOW_H */
