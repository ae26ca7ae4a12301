/*
 * sPAPR DMA windows
 *
 * Objects: a window (SpaprDmaWindow) has a geometry and, while it is enabled,
 * a store of TCEs: a sparse one of QEMU's own, or a flat one that KVM made and
 * that both of us write.  Mappers (spapr_dma_mapper.h) mirror it elsewhere.
 *
 * Invariants:
 *  - geometry, store and mappers come and go together; a window is visible on
 *    the bus only after all of them are in place, and hidden before any goes;
 *    KVM is let at it last, and is out of it before anything goes;
 *  - no two enabled windows of one space overlap;
 *  - the sparse stores of all windows take no more memory than the budget.
 *
 * Words: an entry's index counts from the window's start.
 *
 * What can fail: enabling a window, and storing a TCE with permission.
 * Disabling and clearing cannot.
 *
 * Locks: the BQL.  Others may read the store at the same time, in RCU read-side
 * sections (spapr_dma_iommu.c).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "qemu/range.h"
#include "qemu/rcu.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "exec/address-spaces.h"
#include "hw/boards.h"
#include "hw/core/cpu.h"
#include "hw/ppc/spapr.h"
#include "hw/ppc/spapr_dma_view.h"
#include "hw/qdev-properties.h"
#include "spapr_dma_private.h"
#include "trace.h"
#include <libfdt.h>

/* So much is looked at in a step, and clearing stops for a moment */
#define LEAVES_PER_STEP 64
#define TCES_PER_STEP (LEAVES_PER_STEP * SPAPR_TCE_LEAF_ENTRIES)

/* See spapr_dma_budget_limit() */
#define BUDGET_ANY (64 * MiB)
#define BUDGET_RAM_PART 32

/* ---- the machine's windows ---- */

static SpaprDmaMachine *machine_new(void)
{
    SpaprDmaMachine *machine = g_new0(SpaprDmaMachine, 1);

    machine->windows = g_hash_table_new(NULL, NULL);
    machine->spaces = g_hash_table_new(NULL, NULL);
    return machine;
}

SpaprDmaMachine *spapr_dma_machine(void)
{
    SpaprMachineState *spapr = (SpaprMachineState *)
        object_dynamic_cast(OBJECT(current_machine), TYPE_SPAPR_MACHINE);

    if (!spapr) {
        return NULL;
    }
    if (!spapr->dma) {
        spapr->dma = machine_new();
    }
    return spapr->dma;
}

SpaprDmaWindow *spapr_dma_window_find(uint64_t liobn)
{
    SpaprDmaMachine *machine = spapr_dma_machine();

    if (!machine || liobn > UINT32_MAX) {
        return NULL;
    }
    machine->recent = g_hash_table_lookup(machine->windows,
                                          GUINT_TO_POINTER(liobn));
    return machine->recent;
}

uint64_t spapr_dma_ram_size(void)
{
    const DeviceMemoryState *more = current_machine->device_memory;
    uint64_t end = current_machine->ram_size;

    if (more) {
        end = more->base + memory_region_size((MemoryRegion *)&more->mr);
    }
    return pow2ceil(end);
}

uint64_t spapr_dma_budget_limit(void)
{
    const DeviceMemoryState *plugged = current_machine->device_memory;
    uint64_t ram = current_machine->ram_size +
                   (plugged ? plugged->dimm_size : 0);

    return BUDGET_ANY + ram / BUDGET_RAM_PART;
}

/* May no more words be stored in a tree? */
static bool budget_spent(const SpaprDmaWindow *window)
{
    size_t used = qatomic_read(&window->machine->budget.used);

    return used > BUDGET_ANY && used > spapr_dma_budget_limit() &&
           window->kvm_fd < 0;
}

/*
 * What was cleared counts until its last reader is gone, and a TCG vCPU is one
 * until it leaves its loop: have them do that, for the guest's next try.
 */
static void budget_hurry(void)
{
    CPUState *cpu;

    CPU_FOREACH(cpu) {
        cpu_exit(cpu);
    }
}

/* ---- stores ---- */

static void release_block(void *block)
{
    QEMU_BUILD_BUG_ON(sizeof(struct rcu_head) > SPAPR_TCE_DEFER_ROOM);

    call_rcu1(block, (RCUCBFunc *)spapr_tce_block_free);
}

SpaprTceStore *spapr_dma_store_new(const SpaprDmaWindow *window)
{
    return spapr_tce_store_new(window->geometry.entries,
                               window->geometry.page_shift,
                               &window->machine->budget, release_block);
}

static gpointer store_free(gpointer store)
{
    spapr_tce_store_free(store);
    return NULL;
}

/*
 * Nobody can reach the store any more, so freeing it needs no lock, but RCU
 * calls back under the BQL, and a large store takes long.
 */
static void store_reclaim(void *store)
{
    GThread *thread = g_thread_try_new("free-tces", store_free, store, NULL);

    if (thread) {
        g_thread_unref(thread);
    } else {
        spapr_tce_store_free(store);
    }
}

void spapr_dma_window_set_store(SpaprDmaWindow *window, SpaprTceStore *store)
{
    SpaprTceStore *old = window->store;

    qatomic_rcu_set(&window->store, store);
    if (old) {
        call_rcu1((struct rcu_head *)old, (RCUCBFunc *)store_reclaim);
    }
}

/* ---- requests ---- */

bool spapr_dma_ram_valid(AddressSpace *as, uint64_t addr, uint64_t size)
{
    RCU_READ_LOCK_GUARD();
    while (size) {
        hwaddr xlat, len = size;
        MemoryRegion *mr = address_space_translate(as, addr, &xlat, &len,
                                                   false,
                                                   MEMTXATTRS_UNSPECIFIED);

        if (!memory_region_is_ram(mr)) {
            return false;
        }
        addr += len;
        size -= len;
    }
    return true;
}

/* Out of line as all that is rare, so that the usual case saves no register */
static __attribute__((noinline))
bool runs_valid(const SpaprDmaWindow *window, SpaprTceBatch *batch)
{
    spapr_tce_batch_cut(batch);
    for (unsigned i = 0; i < batch->n_runs; i++) {
        const SpaprTceRun *run = &batch->runs[i];

        if (run->perm &&
            !spapr_dma_ram_valid(window->target, run->target,
                                 spapr_dma_bytes(window, run->count))) {
            return false;
        }
    }
    return true;
}

/* RAM that the machine starts with lies at 0, and most TCEs point into it */
static inline bool batch_valid(const SpaprDmaWindow *window,
                               SpaprTceBatch *batch)
{
    return (window->target == &address_space_memory &&
            spapr_tce_batch_last(batch) < current_machine->ram_size) ||
           runs_valid(window, batch);
}

/* Is there no memory for this?  Zeroes take none, whatever is stored */
static __attribute__((noinline))
bool batch_too_much(const SpaprTceBatch *batch)
{
    uint64_t any = 0;

    for (uint64_t i = 0; i < batch->count; i++) {
        any |= batch->words[i];
    }
    if (any) {
        budget_hurry();
    }
    return any;
}

/* Show a request to those who may refuse or have to know, and store it */
static __attribute__((noinline))
int batch_show(SpaprDmaWindow *window, SpaprTceBatch *batch)
{
    bool held = spapr_dma_kvm_hold(window);
    int ret;

    spapr_tce_batch_cut(batch);
    ret = window->mappers->len ? spapr_dma_mappers_put(window, batch) : 0;
    if (!ret) {
        spapr_dma_notify_unmap(window, batch->index, batch->count);
        spapr_tce_store_put(window->store, batch->index, batch->words,
                            batch->count);
        spapr_dma_notify_map(window, batch);
    }
    spapr_dma_kvm_release(held);
    return ret;
}

static inline int batch_store(SpaprDmaWindow *window, SpaprTceBatch *batch)
{
    if (window->mappers->len || window->notified) {
        return batch_show(window, batch);
    }
    spapr_tce_store_put(window->store, batch->index, batch->words,
                        batch->count);
    return 0;
}

static inline QEMU_ALWAYS_INLINE
int put(SpaprDmaWindow *window, SpaprTceBatch *batch)
{
    if (!batch_valid(window, batch)) {
        return -EINVAL;
    }
    if (budget_spent(window) && batch_too_much(batch)) {
        return -ENOSPC;
    }
    return batch_store(window, batch) ? -EIO : 0;
}

static SpaprDmaRefusalReason why_refused(int error)
{
    switch (error) {
    case -EINVAL:
        return SPAPR_DMA_REFUSAL_REASON_TARGET;
    case -ENOSPC:
        return SPAPR_DMA_REFUSAL_REASON_TABLE_MEMORY;
    default:
        return SPAPR_DMA_REFUSAL_REASON_HOST;
    }
}

void spapr_dma_window_refused(SpaprDmaWindow *window,
                              SpaprDmaRefusalReason reason, uint64_t iova,
                              uint64_t count)
{
    window->counters.refused++;
    window->refusal.reason = reason;
    window->refusal.iova = iova;
    window->refusal.count = count;
}

/* Out of line, so that the usual case saves no register */
__attribute__((noinline))
void spapr_dma_put_refused(SpaprDmaWindow *window, uint64_t index,
                           uint64_t count, int error)
{
    spapr_dma_window_refused(window, why_refused(error),
                             spapr_dma_iova(window, index), count);
}

int spapr_dma_window_put(SpaprDmaWindow *window, SpaprTceBatch *batch)
{
    return put(window, batch);
}

/* The same code, in which the compiler sees that the batch has one word */
int spapr_dma_window_put_one(SpaprDmaWindow *window, uint64_t index,
                             uint64_t tce)
{
    SpaprTceBatch batch = {
        .words = &tce,
        .index = index,
        .count = 1,
        .page_shift = window->geometry.page_shift,
        .runs = window->machine->runs,
    };
    int ret = put(window, &batch);

    if (unlikely(ret)) {
        spapr_dma_put_refused(window, batch.index, 1, ret);
    }
    return ret;
}

int spapr_dma_window_restore(SpaprDmaWindow *window, uint64_t index,
                             const uint64_t *tces, uint64_t count)
{
    SpaprTceBatch batch = {
        .words = tces,
        .index = index,
        .count = count,
        .page_shift = window->geometry.page_shift,
        .runs = window->machine->runs,
    };

    return batch_store(window, &batch);
}

uint64_t spapr_dma_window_step(const SpaprDmaWindow *window, uint64_t index,
                               uint64_t count)
{
    uint64_t at = index, end = index + count, last = UINT64_MAX;
    unsigned leaves = 0;
    SpaprTceSpan span;

    if (window->kvm_fd >= 0) {
        return MIN(count, TCES_PER_STEP);
    }
    while (spapr_tce_store_next_span(window->store, end, &at, &span)) {
        uint64_t leaf = span.index / SPAPR_TCE_LEAF_ENTRIES;

        /* A leaf is looked at as a whole, however little is in it */
        leaves += leaf != last;
        last = leaf;
        if (leaves > LEAVES_PER_STEP) {
            return span.index - index;
        }
    }
    return count;
}

uint64_t spapr_dma_window_clear_some(SpaprDmaWindow *window, uint64_t index,
                                     uint64_t count)
{
    bool held = spapr_dma_kvm_hold(window);
    uint64_t mapped = index, n;

    n = count = spapr_dma_window_step(window, index, count);
    if (window->mappers->len &&
        spapr_tce_store_extent(window->store, &mapped, &n)) {
        spapr_dma_mappers_unmap(window, mapped, n);
    }
    spapr_dma_notify_unmap(window, index, count);
    spapr_tce_store_clear(window->store, index, count);
    spapr_dma_kvm_release(held);
    return count;
}

/*
 * What is with KVM is not cleared entry by entry, which would have the host
 * allocate all of the table, but gets a new table.
 */
void spapr_dma_window_clear(SpaprDmaWindow *window)
{
    uint64_t entries = window->geometry.entries, done = 0;

    if (window->kvm_fd >= 0) {
        spapr_dma_kvm_drop(window);
        spapr_dma_mappers_unmap(window, 0, entries);
    }
    while (done < entries) {
        done += spapr_dma_window_clear_some(window, done, entries - done);
    }
    spapr_dma_kvm_update(window);
}

/* ---- life cycle ---- */

static bool geometry_fits(const SpaprDmaWindow *window,
                          const SpaprDmaGeometry *g, Error **errp)
{
    uint64_t size;

    if (g->page_shift < SPAPR_TCE_PAGE_SHIFT || g->page_shift > 63 ||
        g->entries > SPAPR_TCE_STORE_MAX_ENTRIES ||
        g->entries > UINT64_MAX >> g->page_shift) {
        error_setg(errp, "DMA window 0x%x cannot have 0x%" PRIx64
                   " pages of 2^%u bytes", window->liobn, g->entries,
                   g->page_shift);
        return false;
    }
    size = g->entries << g->page_shift;
    if (g->bus_offset & ((1ULL << g->page_shift) - 1) ||
        g->bus_offset > UINT64_MAX - size) {
        error_setg(errp, "DMA window 0x%x of 0x%" PRIx64 " bytes cannot start "
                   "at 0x%" PRIx64, window->liobn, size, g->bus_offset);
        return false;
    }
    return true;
}

static bool geometry_is_free(const SpaprDmaWindow *window,
                             const SpaprDmaGeometry *g, Error **errp)
{
    uint64_t size = g->entries << g->page_shift;
    const SpaprDmaWindow *other;

    QLIST_FOREACH(other, &window->space->windows, next) {
        if (spapr_dma_window_enabled(other) &&
            ranges_overlap(g->bus_offset, size, other->geometry.bus_offset,
                           spapr_dma_window_size(other))) {
            error_setg(errp, "DMA window 0x%x at 0x%" PRIx64 " of 0x%" PRIx64
                       " bytes overlaps window 0x%x at 0x%" PRIx64,
                       window->liobn, g->bus_offset, size, other->liobn,
                       other->geometry.bus_offset);
            return false;
        }
    }
    return true;
}

static void forget_geometry(SpaprDmaWindow *window)
{
    spapr_dma_window_set_store(window, NULL);
    window->def_win = false;
    window->geometry = (SpaprDmaGeometry) { };
}

bool spapr_dma_window_enable(SpaprDmaWindow *window,
                             const SpaprDmaGeometry *geometry, Error **errp)
{
    MemoryRegion *mr = MEMORY_REGION(&window->iommu);

    if (!geometry_fits(window, geometry, errp) ||
        !geometry_is_free(window, geometry, errp)) {
        return false;
    }
    window->geometry = *geometry;
    window->generation++;
    window->counters = (SpaprDmaCounters) { };
    spapr_dma_window_set_store(window, spapr_dma_store_new(window));
    if (!spapr_dma_mappers_attach(window, errp)) {
        forget_geometry(window);
        return false;
    }

    /* Each change of the memory map is worked out for all of the machine */
    memory_region_transaction_begin();
    memory_region_set_size(mr, spapr_dma_window_size(window));
    memory_region_add_subregion(&window->root, geometry->bus_offset, mr);
    memory_region_transaction_commit();
    spapr_dma_kvm_update(window);
    trace_spapr_dma_window_enable(window->liobn, geometry->bus_offset,
                                  geometry->page_shift, geometry->entries,
                                  window->mappers->len, window->kvm_fd);
    return true;
}

void spapr_dma_window_disable(SpaprDmaWindow *window)
{
    MemoryRegion *mr = MEMORY_REGION(&window->iommu);

    if (!spapr_dma_window_enabled(window)) {
        return;
    }
    trace_spapr_dma_window_disable(window->liobn, window->geometry.bus_offset);
    spapr_dma_notify_unmap(window, 0, window->geometry.entries);
    memory_region_transaction_begin();
    memory_region_del_subregion(&window->root, mr);
    memory_region_set_size(mr, 0);
    memory_region_transaction_commit();
    spapr_dma_kvm_drop(window);
    spapr_dma_mappers_detach(window);
    forget_geometry(window);
}

MemoryRegion *spapr_dma_window_get_root(SpaprDmaWindow *window)
{
    return &window->root;
}

SpaprDmaWindow *spapr_dma_window_new(DeviceState *owner, uint32_t liobn,
                                     AddressSpace *as, Error **errp)
{
    g_autofree char *name = g_strdup_printf("tce-table-%x", liobn);
    SpaprDmaWindow *window;

    if (spapr_dma_window_find(liobn)) {
        error_setg(errp, "LIOBN 0x%x is in use already: give the device another"
                   " index or address", liobn);
        return NULL;
    }
    window = SPAPR_DMA_WINDOW(object_new(TYPE_SPAPR_DMA_WINDOW));
    window->liobn = liobn;
    window->machine = spapr_dma_machine();
    window->space = spapr_dma_space_get(as);
    window->target = &address_space_memory;
    object_property_add_child(OBJECT(owner), name, OBJECT(window));
    object_unref(OBJECT(window));
    qdev_realize(DEVICE(window), NULL, &error_abort); /* cannot fail */
    return window;
}

/* ---- the window as a device ---- */

/* In order of their numbers: some hosts want the default window first */
static void space_add_window(SpaprDmaSpace *space, SpaprDmaWindow *window)
{
    SpaprDmaWindow *last = QLIST_FIRST(&space->windows);

    while (last && QLIST_NEXT(last, next)) {
        last = QLIST_NEXT(last, next);
    }
    if (last) {
        QLIST_INSERT_AFTER(last, window, next);
    } else {
        QLIST_INSERT_HEAD(&space->windows, window, next);
    }
}

static void window_realize(DeviceState *dev, Error **errp)
{
    SpaprDmaWindow *window = SPAPR_DMA_WINDOW(dev);
    g_autofree char *root = g_strdup_printf("tce-root-%x", window->liobn);
    g_autofree char *iommu = g_strdup_printf("tce-iommu-%x", window->liobn);

    window->kvm_fd = -1;
    window->mappers = g_ptr_array_new();
    memory_region_init(&window->root, OBJECT(dev), root, UINT64_MAX);
    memory_region_init_iommu(&window->iommu, sizeof(window->iommu),
                             TYPE_SPAPR_IOMMU_MEMORY_REGION, OBJECT(dev),
                             iommu, 0);
    space_add_window(window->space, window);
    g_hash_table_insert(window->machine->windows,
                        GUINT_TO_POINTER(window->liobn), window);
    spapr_dma_migration_register(window);
}

static void window_unrealize(DeviceState *dev)
{
    SpaprDmaWindow *window = SPAPR_DMA_WINDOW(dev);

    spapr_dma_migration_unregister(window);
    spapr_dma_window_disable(window);
    g_hash_table_remove(window->machine->windows,
                        GUINT_TO_POINTER(window->liobn));
    window->machine->recent = NULL;
    QLIST_REMOVE(window, next);
    spapr_dma_space_put(window->space);
    g_ptr_array_unref(window->mappers);
}

static void window_reset(DeviceState *dev)
{
    spapr_dma_window_clear(SPAPR_DMA_WINDOW(dev));
}

static const Property window_properties[] = {
    DEFINE_PROP_BOOL("sparse-migration", SpaprDmaWindow, sparse_migration,
                     false),
};

static void window_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);

    dc->realize = window_realize;
    dc->unrealize = window_unrealize;
    device_class_set_legacy_reset(dc, window_reset);
    device_class_set_props(dc, window_properties);
    spapr_dma_window_class_view(klass);
    object_class_property_set_description(klass, "sparse-migration",
        "Send only what is mapped; QEMU 10.0 cannot receive that");
    /* Reason: part of a PHB or VIO device, which wires it up */
    dc->user_creatable = false;
}

static const TypeInfo window_types[] = {
    {
        .name = TYPE_SPAPR_DMA_WINDOW,
        .parent = TYPE_DEVICE,
        .instance_size = sizeof(SpaprDmaWindow),
        .class_init = window_class_init,
    },
};

DEFINE_TYPES(window_types)

/* ---- device tree ---- */

int spapr_dma_dt(void *fdt, int node_off, const char *propname,
                 uint32_t liobn, uint64_t bus_offset, uint64_t size)
{
    uint32_t cells[] = {
        cpu_to_be32(liobn),
        cpu_to_be32(bus_offset >> 32), cpu_to_be32(bus_offset),
        cpu_to_be32(size >> 32), cpu_to_be32(size),
    };
    int ret;

    ret = fdt_setprop_cell(fdt, node_off, "ibm,#dma-address-cells", 2);
    ret = ret ?: fdt_setprop_cell(fdt, node_off, "ibm,#dma-size-cells", 2);
    return ret ?: fdt_setprop(fdt, node_off, propname, cells, sizeof(cells));
}
