/*
 * sPAPR DMA windows: who mirrors them
 *
 * Objects: a space has the windows of one address space and the mappers that
 * are registered for it.  A mapper is attached to each enabled window.
 *
 * Invariants:
 *  - a mapper that is attached maps exactly what the store says, unless it
 *    could not give back what a failed request had replaced, or RAM was
 *    unplugged below it; that page faults;
 *  - a request is stored only after every mapper has accepted it;
 *  - whoever is attached or detached, KVM does not update his copy then (see
 *    spapr_dma_kvm.c).
 *
 * Words: an IOVA is a bus address in a mapper's eyes.
 *
 * What can fail: registering, attaching, and mapping.  Unregistering,
 * detaching and unmapping cannot.
 *
 * Locks: the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "qemu/range.h"
#include "qapi/error.h"
#include "hw/ppc/spapr.h"
#include "spapr_dma_private.h"
#include "trace.h"

/* ---- spaces ---- */

SpaprDmaSpace *spapr_dma_space_find(const AddressSpace *as)
{
    SpaprDmaMachine *machine = spapr_dma_machine();

    return machine ? g_hash_table_lookup(machine->spaces, as) : NULL;
}

SpaprDmaSpace *spapr_dma_space_get(AddressSpace *as)
{
    SpaprDmaSpace *space = spapr_dma_space_find(as);

    if (!space) {
        space = g_new0(SpaprDmaSpace, 1);
        space->as = as;
        g_hash_table_insert(spapr_dma_machine()->spaces, as, space);
    }
    return space;
}

void spapr_dma_space_put(SpaprDmaSpace *space)
{
    if (QLIST_EMPTY(&space->windows) && QLIST_EMPTY(&space->mappers)) {
        g_hash_table_remove(spapr_dma_machine()->spaces, space->as);
        g_free(space);
    }
}

/* ---- one mapper, one run ---- */

static int mapper_map(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                      const SpaprTceRun *run)
{
    SpaprDmaRun dma = {
        .iova = spapr_dma_iova(window, run->index),
        .gpa = run->target,
        .size = spapr_dma_bytes(window, run->count),
        .perm = (IOMMUAccessFlags)run->perm,
    };
    int ret = mapper->ops->map(mapper, window, &dma);

    if (!ret) {
        window->counters.maps++;
        window->counters.mapped_pages += run->count;
    }
    trace_spapr_dma_window_map(window->liobn, dma.iova, dma.gpa, dma.size,
                               dma.perm, ret);
    return ret;
}

static void mapper_unmap(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                         uint64_t index, uint64_t count)
{
    uint64_t iova = spapr_dma_iova(window, index);
    uint64_t size = spapr_dma_bytes(window, count);

    window->counters.unmaps++;
    window->counters.unmapped_pages += count;
    trace_spapr_dma_window_unmap(window->liobn, iova, size);
    mapper->ops->unmap(mapper, window, iova, size);
}

/*
 * Map a run that was stored some time ago.  Memory may have been unplugged
 * since then; its pages are left out and fault.
 */
static int mapper_map_stored(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                             const SpaprTceRun *run)
{
    int ret = 0;

    if (spapr_dma_ram_valid(window->target, run->target,
                            spapr_dma_bytes(window, run->count))) {
        return mapper_map(mapper, window, run);
    }
    for (uint64_t i = 0; i < run->count; i++) {
        SpaprTceRun page = {
            .index = run->index + i,
            .count = 1,
            .target = run->target + spapr_dma_bytes(window, i),
            .perm = run->perm,
        };

        if (spapr_dma_ram_valid(window->target, page.target,
                                spapr_dma_bytes(window, 1))) {
            int err = mapper_map(mapper, window, &page);

            ret = ret ?: err;
        }
    }
    return ret;
}

/* Let @mapper have what the store says about this range */
static int mapper_sync(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                       uint64_t index, uint64_t count)
{
    uint64_t end = index + count;
    SpaprTceRun run;
    int ret = 0;

    while (spapr_tce_store_next_run(window->store, end, &index, &run)) {
        int err = mapper_map_stored(mapper, window, &run);

        ret = ret ?: err;
    }
    return ret;
}

/* ---- requests ---- */

/*
 * The table still has the old words: take a mapper back to them.  It was shown
 * the first @n_runs runs of @batch.
 */
static void mapper_take_back(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                             const SpaprTceBatch *batch, unsigned n_runs)
{
    if (n_runs) {
        const SpaprTceRun *last = &batch->runs[n_runs - 1];
        uint64_t count = last->index + last->count - batch->index;

        mapper_unmap(mapper, window, batch->index, count);
        mapper_sync(mapper, window, batch->index, count);
    }
}

/* Returns how many mappers were shown a run: the last one refused if @ret */
static guint mappers_put_run(SpaprDmaWindow *window, const SpaprTceRun *run,
                             int *ret)
{
    uint64_t index = run->index, count = run->count;
    guint i;

    if (!run->perm) {
        if (spapr_tce_store_extent(window->store, &index, &count)) {
            spapr_dma_mappers_unmap(window, index, count);
        }
        return window->mappers->len;
    }
    for (i = 0; !*ret && i < window->mappers->len; i++) {
        *ret = mapper_map(g_ptr_array_index(window->mappers, i), window, run);
    }
    return i;
}

int spapr_dma_mappers_put(SpaprDmaWindow *window, const SpaprTceBatch *batch)
{
    guint shown = 0;
    int ret = 0;
    unsigned n;

    for (n = 0; !ret && n < batch->n_runs; n++) {
        shown = mappers_put_run(window, &batch->runs[n], &ret);
    }
    if (ret) {
        const SpaprDmaMapper *refuser =
            g_ptr_array_index(window->mappers, shown - 1);

        window->refusal.container = refuser->id;
        window->refusal.error = -ret;
    }
    for (guint i = 0; ret && i < window->mappers->len; i++) {
        mapper_take_back(g_ptr_array_index(window->mappers, i), window, batch,
                         i < shown ? n : n - 1);
    }
    return ret;
}

void spapr_dma_mappers_unmap(SpaprDmaWindow *window, uint64_t index,
                             uint64_t count)
{
    for (guint i = 0; i < window->mappers->len; i++) {
        mapper_unmap(g_ptr_array_index(window->mappers, i), window, index,
                     count);
    }
}

/* ---- attaching ---- */

static bool mapper_attach(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                          Error **errp)
{
    if (!mapper->ops->window_add(mapper, window, errp)) {
        return false;
    }
    if (!spapr_dma_mapper_replay(mapper, window, errp)) {
        mapper->ops->window_del(mapper, window);
        return false;
    }
    g_ptr_array_add(window->mappers, mapper);
    trace_spapr_dma_window_attach(window->liobn, window->mappers->len);
    return true;
}

static void mapper_detach(SpaprDmaMapper *mapper, SpaprDmaWindow *window)
{
    if (g_ptr_array_remove(window->mappers, mapper)) {
        mapper->ops->window_del(mapper, window);
        trace_spapr_dma_window_detach(window->liobn, window->mappers->len);
    }
}

bool spapr_dma_mappers_attach(SpaprDmaWindow *window, Error **errp)
{
    SpaprDmaMapper *mapper;

    QLIST_FOREACH(mapper, &window->space->mappers, next) {
        if (!mapper_attach(mapper, window, errp)) {
            spapr_dma_mappers_detach(window);
            return false;
        }
    }
    return true;
}

void spapr_dma_mappers_detach(SpaprDmaWindow *window)
{
    while (window->mappers->len) {
        mapper_detach(g_ptr_array_index(window->mappers,
                                        window->mappers->len - 1), window);
    }
}

void spapr_dma_mapper_init(SpaprDmaMapper *mapper,
                           const SpaprDmaMapperOps *ops, SpaprDmaSpace *space)
{
    mapper->ops = ops;
    mapper->home = space;
}

bool spapr_dma_mapper_register(SpaprDmaMapper *mapper, Error **errp)
{
    SpaprDmaSpace *space = mapper->home;
    SpaprDmaWindow *window;

    mapper->sees_all = true;
    mapper->space = space;
    mapper->id = space->next_id++;
    QLIST_INSERT_HEAD(&space->mappers, mapper, next);
    spapr_dma_kvm_update_space(space);
    QLIST_FOREACH(window, &space->windows, next) {
        if (spapr_dma_window_enabled(window) &&
            !mapper_attach(mapper, window, errp)) {
            spapr_dma_mapper_unregister(mapper);
            return false;
        }
    }
    return true;
}

void spapr_dma_mapper_unregister(SpaprDmaMapper *mapper)
{
    SpaprDmaSpace *space = mapper->space;
    SpaprDmaWindow *window;

    if (!space) {
        return;
    }
    /* KVM was told that the copy goes, but a vCPU may still be at it */
    spapr_dma_freeze(NULL);
    QLIST_FOREACH(window, &space->windows, next) {
        mapper_detach(mapper, window);
    }
    spapr_dma_thaw(NULL);
    QLIST_REMOVE(mapper, next);
    mapper->space = NULL;
    spapr_dma_kvm_update_space(space);
    spapr_dma_space_put(space);
}

void spapr_dma_mapper_set_sees_all(SpaprDmaMapper *mapper, bool sees_all)
{
    mapper->sees_all = sees_all;
    spapr_dma_kvm_update_space(mapper->space);
}

bool spapr_dma_mapper_replay(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                             Error **errp)
{
    bool held = spapr_dma_kvm_hold(window);
    int ret = mapper_sync(mapper, window, 0, window->geometry.entries);

    spapr_dma_kvm_release(held);
    if (ret) {
        error_setg_errno(errp, -ret, "cannot map all that the guest has "
                         "mapped in DMA window 0x%x", window->liobn);
        return false;
    }
    return true;
}

/* Map anew what leads to a range of the target, as far as RAM is there */
static void mapper_renew(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                         uint64_t addr, uint64_t size)
{
    uint32_t page_shift = window->geometry.page_shift;
    uint64_t index = 0;
    SpaprTceRun run;

    while (spapr_tce_store_next_run(window->store, UINT64_MAX, &index, &run)) {
        uint64_t bytes = spapr_dma_bytes(window, run.count), first, last;

        if (ranges_overlap(run.target, bytes, addr, size)) {
            first = run.target < addr ? addr - run.target : 0;
            last = MIN(bytes, addr + size - run.target) - 1;
            first >>= page_shift;
            last >>= page_shift;
            first += run.index;
            last += run.index;
            mapper_unmap(mapper, window, first, last - first + 1);
            mapper_sync(mapper, window, first, last - first + 1);
        }
    }
}

void spapr_dma_mapper_renew(SpaprDmaMapper *mapper, const AddressSpace *as,
                            uint64_t addr, uint64_t size)
{
    SpaprDmaWindow *window;

    if (!mapper->space) {
        return;
    }
    QLIST_FOREACH(window, &mapper->space->windows, next) {
        if (window->target == as &&
            g_ptr_array_find(window->mappers, mapper, NULL)) {
            mapper_renew(mapper, window, addr, size);
        }
    }
}

/* ---- questions to all ---- */

void spapr_dma_space_limit(const SpaprDmaSpace *space, SpaprDmaLimits *limits)
{
    SpaprDmaMapper *mapper;

    QLIST_FOREACH(mapper, &space->mappers, next) {
        if (mapper->ops->limits) {
            limits->asked = mapper;
            mapper->ops->limits(mapper, limits);
        }
    }
    limits->asked = NULL;
}

static SpaprDmaLimiter limiter(const SpaprDmaLimits *limits,
                               SpaprDmaLimitReason reason)
{
    return (SpaprDmaLimiter) { .reason = reason, .mapper = limits->asked };
}

void spapr_dma_limit_page_sizes(SpaprDmaLimits *limits, uint64_t page_sizes,
                                SpaprDmaLimitReason reason)
{
    uint64_t gone = limits->page_sizes & ~page_sizes;

    limits->page_sizes &= page_sizes;
    for (; gone; gone &= gone - 1) {
        limits->page_sizes_by[ctz64(gone)] = limiter(limits, reason);
    }
}

void spapr_dma_limit_max_size(SpaprDmaLimits *limits, uint64_t max_size,
                              SpaprDmaLimitReason reason)
{
    if (max_size < limits->max_size) {
        limits->max_size = max_size;
        limits->max_size_by = limiter(limits, reason);
    }
}

void spapr_dma_limit_max_tces(SpaprDmaLimits *limits, uint64_t max_tces,
                              SpaprDmaLimitReason reason)
{
    if (max_tces < limits->max_tces) {
        limits->max_tces = max_tces;
        limits->max_tces_by = limiter(limits, reason);
    }
}

void spapr_dma_limit_windows(SpaprDmaLimits *limits, unsigned windows,
                             SpaprDmaLimitReason reason)
{
    if (windows < limits->windows) {
        limits->windows = windows;
        limits->windows_by = limiter(limits, reason);
    }
}

const SpaprDmaMapper *spapr_dma_space_cannot_start(const SpaprDmaSpace *space,
                                                   uint64_t bus_offset)
{
    SpaprDmaMapper *mapper;

    QLIST_FOREACH(mapper, &space->mappers, next) {
        if (mapper->ops->can_start &&
            !mapper->ops->can_start(mapper, bus_offset)) {
            return mapper;
        }
    }
    return NULL;
}

bool spapr_dma_mappers_expect_ram(MemoryRegion *mr, Error **errp)
{
    SpaprDmaMapper *mapper;
    SpaprDmaSpace *space;
    GHashTableIter iter;

    g_hash_table_iter_init(&iter, spapr_dma_machine()->spaces);
    while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&space)) {
        QLIST_FOREACH(mapper, &space->mappers, next) {
            if (mapper->ops->expect_ram &&
                !mapper->ops->expect_ram(mapper, mr, errp)) {
                return false;
            }
        }
    }
    return true;
}
