/*
 * sPAPR DMA windows
 *
 * Objects: a window (SpaprDmaWindow) has a geometry and, while it is enabled,
 * its TCEs (SpaprDmaTces): a sparse table of QEMU's own, or a flat one that
 * KVM made and that both of us write.  A mapper mirrors windows elsewhere.
 *
 * Invariants:
 *  - geometry, TCEs and mappers come and go together; a window is visible on
 *    the bus only after all of them are in place, and hidden before any goes;
 *  - no two enabled windows of one address space overlap;
 *  - a mapper that is attached maps exactly what the table says, unless it
 *    could not give back what a failed request had replaced; that is traced
 *    and the page faults;
 *  - a request changes the table only after every mapper has accepted it.
 *
 * Words: an entry's index counts from the window's start; an IOVA is a bus
 * address in a mapper's eyes.  The IOMMU memory region starts at 0, thus
 * IOMMU notifiers and translation see offsets into the window.
 *
 * Locks: the BQL, except for translation, which runs in an RCU read-side
 * section of any thread and touches nothing but SpaprDmaTces.  A table that
 * KVM made changes without any lock of ours while vCPUs run in KVM; where
 * that matters (window_freeze()) they are kept out of it.
 *
 * What can fail: enabling, attaching, and storing a TCE with permission.
 * Disabling, detaching and clearing cannot.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/range.h"
#include "qemu/rcu.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "exec/address-spaces.h"
#include "migration/qemu-file-types.h"
#include "migration/vmstate.h"
#include "system/accel-blocker.h"
#include "system/dma.h"
#include "system/kvm.h"
#include "kvm_ppc.h"
#include "hw/boards.h"
#include "hw/ppc/spapr.h"
#include "hw/ppc/spapr_dma_window.h"
#include "hw/ppc/spapr_vio.h"
#include "hw/qdev-properties.h"
#include "spapr_dma_tces.h"
#include "spapr_tce_table.h"
#include "trace.h"
#include <libfdt.h>

/* PAPR lets one hypercall name this many entries */
#define TCES_PER_HCALL 512

/* Clearing stops for a moment after so many entries that were populated */
#define TCES_PER_STEP (64 * SPAPR_TCE_LEAF_ENTRIES)

/*
 * Bytes of a table that any guest may fill, and the part of its RAM that it may
 * fill besides: eight times what it takes to map all RAM in the smallest pages
 */
#define TABLE_BYTES_ANY (64 * MiB)
#define TABLE_RAM_PART 64

/* More entries than this do not fit into the dense migration stream */
#define MIG_DENSE_MAX (1ULL << 31)

/* All windows, enabled or not; protected by the BQL */
static GHashTable *windows_by_liobn(void)
{
    static GHashTable *windows;

    if (!windows) {
        windows = g_hash_table_new(NULL, NULL);
    }
    return windows;
}

SpaprDmaWindow *spapr_dma_window_recent;

static QLIST_HEAD(, SpaprDmaMapper) mappers = QLIST_HEAD_INITIALIZER(mappers);

/* ---- KVM ---- */

static bool kvm_present(void)
{
    return kvm_enabled();
}

static bool kvm_updates_vfio(void)
{
    return kvmppc_has_cap_spapr_vfio();
}

static uint64_t *kvm_create_table(const SpaprDmaWindow *window, int *fd)
{
    const SpaprDmaGeometry *geometry = &window->geometry;

    return kvmppc_create_spapr_tce(window->liobn, geometry->page_shift,
                                   geometry->bus_offset, geometry->entries,
                                   fd, false);
}

static const SpaprDmaKvm real_kvm = {
    .present = kvm_present,
    .updates_vfio = kvm_updates_vfio,
    .create_table = kvm_create_table,
};

const SpaprDmaKvm *spapr_dma_kvm = &real_kvm;

/* ---- TCEs: which table, and how it goes away ---- */

static void release_block(gpointer block)
{
    QEMU_BUILD_BUG_ON(sizeof(struct rcu_head) > SPAPR_TCE_DEFER_ROOM);

    call_rcu1(block, (RCUCBFunc *)g_free);
}

static gpointer tces_free(gpointer opaque)
{
    SpaprDmaTces *tces = opaque;

    spapr_tce_table_free(tces->table);
    if (tces->kvm_words) {
        munmap(tces->kvm_words, tces->kvm_bytes);
    }
    g_free(tces);
    return NULL;
}

/*
 * Nobody can reach the table any more, so freeing it needs no lock, but RCU
 * calls back under the BQL, and a large table takes long.
 */
static void tces_reclaim(SpaprDmaTces *tces)
{
    GThread *thread = g_thread_try_new("free-tces", tces_free, tces, NULL);

    if (thread) {
        g_thread_unref(thread);
    } else {
        tces_free(tces);
    }
}

/*
 * KVM's table has to be closed now, or the LIOBN would stay taken, but a
 * reader may still look at the mapping: give it zeroes to look at.
 */
static void tces_release(SpaprDmaTces *tces, int fd)
{
    if (tces->kvm_words) {
        void *zeroes = mmap(tces->kvm_words, tces->kvm_bytes, PROT_READ,
                            MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (zeroes == MAP_FAILED) {
            warn_report_once("cannot detach a TCE table from KVM: %s",
                             strerror(errno));
        }
        close(fd);
    }
    call_rcu(tces, tces_reclaim, rcu);
}

/* Can KVM handle hypercalls for a window that this mapper mirrors? */
static bool mapper_bears_kvm(const SpaprDmaMapper *mapper)
{
    return !mapper->sees_all && spapr_dma_kvm->updates_vfio();
}

/*
 * Does an IOMMU notifier follow a window of this address space?  Whoever has
 * one in one window will have one in the others.
 */
static bool space_is_notified(const AddressSpace *as)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, windows_by_liobn());
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const SpaprDmaWindow *window = value;

        if (window->as == as && window->notified) {
            return true;
        }
    }
    return false;
}

static bool window_bears_kvm(const SpaprDmaWindow *window)
{
    const SpaprDmaMapper *mapper;

    if (!spapr_dma_kvm->present() || space_is_notified(window->as) ||
        window->geometry.entries > UINT32_MAX) {
        return false;
    }
    QLIST_FOREACH(mapper, &mappers, next) {
        if (mapper->as == window->as && !mapper_bears_kvm(mapper)) {
            return false;
        }
    }
    return true;
}

static SpaprDmaTces *tces_new(const SpaprDmaWindow *window, bool with_kvm,
                              int *fd)
{
    const SpaprDmaGeometry *geometry = &window->geometry;
    SpaprDmaTces *tces = g_new0(SpaprDmaTces, 1);

    tces->page_shift = geometry->page_shift;
    tces->most_bytes = TABLE_BYTES_ANY +
                       current_machine->maxram_size / TABLE_RAM_PART;
    *fd = -1;
    if (with_kvm) {
        tces->kvm_words = spapr_dma_kvm->create_table(window, fd);
    }
    if (tces->kvm_words) {
        tces->kvm_bytes = geometry->entries * sizeof(uint64_t);
        tces->table = spapr_tce_table_new_flat(tces->kvm_words,
                                               geometry->entries);
    } else {
        tces->table = spapr_tce_table_new(geometry->entries);
        spapr_tce_table_set_defer(tces->table, release_block);
    }
    trace_spapr_iommu_new_table(window->liobn, tces->table, *fd);
    return tces;
}

/* Copy what is populated; both tables have the same size */
static void table_copy(SpaprTceTable *to, const SpaprTceTable *from)
{
    uint64_t index = 0;
    SpaprTceSpan span;

    while (spapr_tce_table_next_span(from, &index, &span)) {
        spapr_tce_table_put(to, span.index, span.tces, span.count);
    }
}

/*
 * Keep vCPUs out of KVM, where they change its table without the BQL.  They
 * come to rest between two hypercalls, so the table and the copies that KVM
 * updates along with it agree meanwhile.  Does not release the BQL.
 */
static void window_freeze(const SpaprDmaWindow *window)
{
    if (window->fd >= 0) {
        accel_ioctl_inhibit_begin();
    }
}

static void window_thaw(const SpaprDmaWindow *window)
{
    if (window->fd >= 0) {
        accel_ioctl_inhibit_end();
    }
}

/*
 * Somebody is here now whom KVM cannot tell of what it handles by itself: have
 * all hypercalls come to us.
 */
static void window_leave_kvm(SpaprDmaWindow *window)
{
    SpaprDmaTces *old = window->tces, *tces;
    int no_fd;

    if (window->fd < 0) {
        return;
    }
    tces = tces_new(window, false, &no_fd);
    window_freeze(window);
    table_copy(tces->table, old->table);
    qatomic_rcu_set(&window->tces, tces);
    tces_release(old, window->fd);
    window_thaw(window);
    window->fd = no_fd;
}

/* ---- runs ---- */

static uint64_t window_iova(const SpaprDmaWindow *window, uint64_t index)
{
    return window->geometry.bus_offset + (index << window->geometry.page_shift);
}

static uint64_t window_bytes(const SpaprDmaWindow *window, uint64_t count)
{
    return count << window->geometry.page_shift;
}

/* The next run of the table that starts below @end, cut off there */
static bool window_next_run(const SpaprDmaWindow *window, uint64_t *index,
                            uint64_t end, SpaprTceRun *run)
{
    return spapr_tce_table_next_run_below(window->tces->table,
                                          window->geometry.page_shift, end,
                                          index, run);
}

static int mapper_map(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                      uint64_t index, const SpaprTceRun *run)
{
    SpaprDmaRun dma = {
        .iova = window_iova(window, index),
        .gpa = run->target,
        .size = window_bytes(window, run->count),
        .perm = (IOMMUAccessFlags)run->perm,
    };
    int ret = mapper->ops->map(mapper, window, &dma);

    trace_spapr_dma_window_map(window->liobn, dma.iova, dma.gpa, dma.size,
                               dma.perm, ret);
    return ret;
}

static void mapper_unmap(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                         uint64_t index, uint64_t count)
{
    uint64_t iova = window_iova(window, index);
    uint64_t size = window_bytes(window, count);

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

    if (spapr_dma_ram_valid(run->target, window_bytes(window, run->count))) {
        return mapper_map(mapper, window, run->index, run);
    }
    for (uint64_t i = 0; i < run->count; i++) {
        SpaprTceRun page = {
            .index = run->index + i,
            .count = 1,
            .target = run->target + window_bytes(window, i),
            .perm = run->perm,
        };

        if (spapr_dma_ram_valid(page.target, window_bytes(window, 1))) {
            int err = mapper_map(mapper, window, page.index, &page);

            ret = ret ?: err;
        }
    }
    return ret;
}

/* Let @mapper have what the table says about this range */
static int mapper_sync(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                       uint64_t index, uint64_t count)
{
    uint64_t end = index + count;
    SpaprTceRun run;
    int ret = 0;

    while (window_next_run(window, &index, end, &run)) {
        int err = mapper_map_stored(mapper, window, &run);

        ret = ret ?: err;
    }
    return ret;
}

/*
 * The smallest range within [*index, *index + *count) that covers all entries
 * with permission; false if there is none.
 */
static bool window_mapped_extent(const SpaprDmaWindow *window,
                                 uint64_t *index, uint64_t *count)
{
    uint64_t at = *index, end = *index + *count, last;
    SpaprTceRun run;

    if (!window_next_run(window, &at, end, &run)) {
        return false;
    }
    *index = run.index;
    do {
        last = run.index + run.count;
    } while (window_next_run(window, &at, end, &run));
    *count = last - *index;
    return true;
}

static void mappers_unmap(SpaprDmaWindow *window, uint64_t index,
                          uint64_t count)
{
    for (guint i = 0; i < window->mappers->len; i++) {
        mapper_unmap(g_ptr_array_index(window->mappers, i), window, index,
                     count);
    }
}

/* ---- IOMMU notifiers, for those who are not mappers (vhost) ---- */

/*
 * Tell one notifier of its share of a range, in aligned powers of two.  Each
 * has a part of the window only, where something else lies on top of it, as
 * the MSI doorbell does.
 */
static void notify_one(IOMMUNotifier *n, uint64_t iova, uint64_t target,
                       uint64_t size, IOMMUAccessFlags perm)
{
    uint64_t from = MAX(iova, n->start);
    uint64_t last = MIN(iova + size - 1, n->end);
    IOMMUTLBEvent event = {
        .type = perm ? IOMMU_NOTIFIER_MAP : IOMMU_NOTIFIER_UNMAP,
        .entry = {
            .target_as = &address_space_memory,
            .perm = perm,
        },
    };

    for (; from <= last; from += event.entry.addr_mask + 1) {
        uint64_t mask = dma_aligned_pow2_mask(from, last, 64);

        if (perm) {
            uint64_t to = target + (from - iova);

            mask &= dma_aligned_pow2_mask(to, to + (last - from), 64);
            event.entry.translated_addr = to;
        }
        event.entry.iova = from;
        event.entry.addr_mask = mask;
        memory_region_notify_iommu_one(n, &event);
    }
}

static void notify_range(SpaprDmaWindow *window, uint64_t iova,
                         uint64_t target, uint64_t size,
                         IOMMUAccessFlags perm)
{
    IOMMUNotifier *n;

    IOMMU_NOTIFIER_FOREACH(n, &window->iommu) {
        notify_one(n, iova, target, size, perm);
    }
}

static void notify_unmap(SpaprDmaWindow *window, uint64_t index,
                         uint64_t count)
{
    if (window->notified) {
        notify_range(window, window_bytes(window, index), 0,
                     window_bytes(window, count), IOMMU_NONE);
    }
}

static void notify_map(SpaprDmaWindow *window, uint64_t index,
                       const uint64_t *tces, uint64_t count)
{
    uint64_t pos = 0;
    SpaprTceRun run;

    while (spapr_tce_run_next(tces, count, window->geometry.page_shift, &pos,
                              &run)) {
        if (run.perm) {
            notify_range(window, window_bytes(window, index + run.index),
                         run.target, window_bytes(window, run.count),
                         (IOMMUAccessFlags)run.perm);
        }
    }
}

/* ---- entries ---- */

bool spapr_dma_ram_valid(uint64_t gpa, uint64_t size)
{
    RCU_READ_LOCK_GUARD();
    while (size) {
        hwaddr xlat, len = size;
        MemoryRegion *mr = address_space_translate(&address_space_memory, gpa,
                                                   &xlat, &len, false,
                                                   MEMTXATTRS_UNSPECIFIED);

        if (!memory_region_is_ram(mr)) {
            return false;
        }
        gpa += len;
        size -= len;
    }
    return true;
}

/* Do all of these words that have permission name boot RAM? */
static bool tces_in_boot_ram(const SpaprDmaWindow *window,
                             const uint64_t *tces, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (spapr_tce_perm(tces[i]) &&
            !spapr_dma_in_boot_ram(tces[i], window->geometry.page_shift)) {
            return false;
        }
    }
    return true;
}

bool spapr_dma_window_tces_valid(const SpaprDmaWindow *window,
                                 const uint64_t *tces, uint64_t count)
{
    uint64_t pos = 0;
    SpaprTceRun run;

    if (tces_in_boot_ram(window, tces, count)) {
        return true;
    }

    while (spapr_tce_run_next(tces, count, window->geometry.page_shift, &pos,
                              &run)) {
        if (run.perm &&
            !spapr_dma_ram_valid(run.target, window_bytes(window, run.count))) {
            return false;
        }
    }
    return true;
}

/* Show one mapper what is about to be stored */
static int mapper_apply(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                        uint64_t index, const uint64_t *tces, uint64_t count)
{
    uint64_t pos = 0;
    SpaprTceRun run;
    int ret = 0;

    while (!ret && spapr_tce_run_next(tces, count,
                                      window->geometry.page_shift, &pos,
                                      &run)) {
        uint64_t at = index + run.index, n = run.count;

        if (run.perm) {
            ret = mapper_map(mapper, window, at, &run);
        } else if (window_mapped_extent(window, &at, &n)) {
            mapper_unmap(mapper, window, at, n);
        }
    }
    return ret;
}

int spapr_dma_window_put(SpaprDmaWindow *window, uint64_t index,
                         const uint64_t *tces, uint64_t count)
{
    uint64_t old_index = index, old_count = count;
    int ret = 0;
    guint i;

    for (i = 0; !ret && i < window->mappers->len; i++) {
        ret = mapper_apply(g_ptr_array_index(window->mappers, i), window,
                           index, tces, count);
    }
    if (ret) {
        /* The table still has the old words: take everybody back to them */
        while (i--) {
            SpaprDmaMapper *mapper = g_ptr_array_index(window->mappers, i);

            mapper_unmap(mapper, window, index, count);
            mapper_sync(mapper, window, index, count);
        }
        return ret;
    }

    if (!window->notified) {
        spapr_tce_table_put(window->tces->table, index, tces, count);
        return 0;
    }
    if (window_mapped_extent(window, &old_index, &old_count)) {
        notify_unmap(window, old_index, old_count);
    }
    spapr_tce_table_put(window->tces->table, index, tces, count);
    notify_map(window, index, tces, count);
    return 0;
}

/*
 * The longest part of [@index, @index + @count) that can be cleared in one
 * step.  Holes are free, so that is all of it unless a lot is populated.
 */
static uint64_t window_step(const SpaprDmaWindow *window, uint64_t index,
                            uint64_t count)
{
    uint64_t at = index, seen = 0;
    SpaprTceSpan span;

    while (at - index < count &&
           spapr_tce_table_next_span(window->tces->table, &at, &span) &&
           span.index - index < count) {
        seen += span.count;
        if (seen >= TCES_PER_STEP) {
            return MIN(count, span.index + span.count - index);
        }
    }
    return count;
}

uint64_t spapr_dma_window_stuff(SpaprDmaWindow *window, uint64_t index,
                                uint64_t tce, uint64_t count)
{
    bool keep_bits = count <= TCES_PER_HCALL && !spapr_dma_window_full(window);
    uint64_t mapped = index, n;

    count = window_step(window, index, count);
    n = count;
    if ((window->notified || window->mappers->len) &&
        window_mapped_extent(window, &mapped, &n)) {
        mappers_unmap(window, mapped, n);
        notify_unmap(window, mapped, n);
    }
    if (tce && keep_bits) {
        spapr_tce_table_fill(window->tces->table, index, tce, count);
    } else {
        spapr_tce_table_clear(window->tces->table, index, count);
    }
    return count;
}

void spapr_dma_window_clear(SpaprDmaWindow *window)
{
    uint64_t entries = window->geometry.entries, done = 0;

    while (done < entries) {
        done += spapr_dma_window_stuff(window, done, 0, entries - done);
    }
}

/* ---- mappers ---- */

void spapr_dma_mapper_register(SpaprDmaMapper *mapper, AddressSpace *as)
{
    mapper->as = as;
    QLIST_INSERT_HEAD(&mappers, mapper, next);
}

void spapr_dma_mapper_unregister(SpaprDmaMapper *mapper)
{
    GHashTableIter iter;
    gpointer window;

    if (!mapper->as) {
        return;
    }
    g_hash_table_iter_init(&iter, windows_by_liobn());
    while (g_hash_table_iter_next(&iter, NULL, &window)) {
        spapr_dma_window_detach(window, mapper);
    }
    QLIST_REMOVE(mapper, next);
    mapper->as = NULL;
}

void spapr_dma_mappers_limit(const AddressSpace *as, SpaprDmaLimits *limits)
{
    SpaprDmaMapper *mapper;

    QLIST_FOREACH(mapper, &mappers, next) {
        if (mapper->as == as && mapper->ops->limits) {
            mapper->ops->limits(mapper, limits);
        }
    }
}

bool spapr_dma_mappers_can_start(const AddressSpace *as, uint64_t bus_offset)
{
    SpaprDmaMapper *mapper;

    QLIST_FOREACH(mapper, &mappers, next) {
        if (mapper->as == as && mapper->ops->can_start &&
            !mapper->ops->can_start(mapper, bus_offset)) {
            return false;
        }
    }
    return true;
}

bool spapr_dma_mappers_expect_ram(MemoryRegion *mr, Error **errp)
{
    SpaprDmaMapper *mapper;

    QLIST_FOREACH(mapper, &mappers, next) {
        if (mapper->ops->expect_ram &&
            !mapper->ops->expect_ram(mapper, mr, errp)) {
            return false;
        }
    }
    return true;
}

bool spapr_dma_window_replay(SpaprDmaWindow *window, SpaprDmaMapper *mapper,
                             Error **errp)
{
    int ret;

    window_freeze(window);
    ret = mapper_sync(mapper, window, 0, window->geometry.entries);
    window_thaw(window);
    if (ret) {
        error_setg_errno(errp, -ret, "cannot map all that the guest has "
                         "mapped in DMA window 0x%x", window->liobn);
        return false;
    }
    return true;
}

void spapr_dma_window_unmap_ram(SpaprDmaWindow *window,
                                SpaprDmaMapper *mapper, uint64_t gpa,
                                uint64_t size)
{
    uint32_t page_shift = window->geometry.page_shift;
    uint64_t index = 0;
    SpaprTceRun run;

    window_freeze(window);
    while (window_next_run(window, &index, window->geometry.entries, &run)) {
        uint64_t bytes = window_bytes(window, run.count), first, last;

        if (ranges_overlap(run.target, bytes, gpa, size)) {
            first = run.target < gpa ? gpa - run.target : 0;
            last = MIN(bytes, gpa + size - run.target) - 1;
            first >>= page_shift;
            last >>= page_shift;
            mapper_unmap(mapper, window, run.index + first, last - first + 1);
        }
    }
    window_thaw(window);
}

static void window_attached(SpaprDmaWindow *window, SpaprDmaMapper *mapper)
{
    g_ptr_array_add(window->mappers, mapper);
    trace_spapr_dma_window_attach(window->liobn, window->mappers->len);
}

bool spapr_dma_window_attach(SpaprDmaWindow *window, SpaprDmaMapper *mapper,
                             Error **errp)
{
    if (g_ptr_array_find(window->mappers, mapper, NULL)) {
        return true;
    }
    if (!mapper_bears_kvm(mapper)) {
        window_leave_kvm(window);
    }
    if (!mapper->ops->window_add(mapper, window, errp)) {
        return false;
    }
    if (!spapr_dma_window_replay(window, mapper, errp)) {
        mapper->ops->window_del(mapper, window);
        return false;
    }
    window_attached(window, mapper);
    return true;
}

void spapr_dma_window_detach(SpaprDmaWindow *window, SpaprDmaMapper *mapper)
{
    if (g_ptr_array_remove(window->mappers, mapper)) {
        mapper->ops->window_del(mapper, window);
        trace_spapr_dma_window_detach(window->liobn, window->mappers->len);
    }
}

static void window_detach_all(SpaprDmaWindow *window)
{
    while (window->mappers->len) {
        spapr_dma_window_detach(window, g_ptr_array_index(
                                    window->mappers, window->mappers->len - 1));
    }
}

/*
 * Attach all mappers of a window that is being enabled.  Nothing is mapped in
 * it, so nothing is replayed: to look for runs would touch each page of a
 * table that KVM allocates as it is touched.
 */
static bool window_attach_all(SpaprDmaWindow *window, Error **errp)
{
    SpaprDmaMapper *mapper;

    QLIST_FOREACH(mapper, &mappers, next) {
        if (mapper->as != window->as) {
            continue;
        }
        if (!mapper->ops->window_add(mapper, window, errp)) {
            window_detach_all(window);
            return false;
        }
        window_attached(window, mapper);
    }
    return true;
}

/* ---- life cycle ---- */

SpaprDmaWindow *spapr_dma_window_find(uint64_t liobn)
{
    if (liobn > UINT32_MAX) {
        return NULL;
    }
    spapr_dma_window_recent = g_hash_table_lookup(windows_by_liobn(),
                                                  GUINT_TO_POINTER(liobn));
    return spapr_dma_window_recent;
}

static bool geometry_check(const SpaprDmaWindow *window,
                           const SpaprDmaGeometry *g, Error **errp)
{
    GHashTableIter iter;
    gpointer value;
    uint64_t size;

    if (g->page_shift < SPAPR_TCE_PAGE_SHIFT || g->page_shift > 63 ||
        g->entries > SPAPR_TCE_TABLE_MAX_ENTRIES ||
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

    g_hash_table_iter_init(&iter, windows_by_liobn());
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        SpaprDmaWindow *other = value;

        if (other->as == window->as && spapr_dma_window_enabled(other) &&
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

/* Drop what window_prepare() made; nothing of it is visible any more */
static void window_unprepare(SpaprDmaWindow *window)
{
    SpaprDmaTces *tces = window->tces;

    window_detach_all(window);
    qatomic_rcu_set(&window->tces, NULL);
    tces_release(tces, window->fd);
    window->fd = -1;
    window->def_win = false;
    window->geometry = (SpaprDmaGeometry) { };
}

static bool window_prepare(SpaprDmaWindow *window,
                           const SpaprDmaGeometry *geometry, Error **errp)
{
    window->geometry = *geometry;
    window->generation++;
    qatomic_rcu_set(&window->tces,
                    tces_new(window, window_bears_kvm(window), &window->fd));
    if (!window_attach_all(window, errp)) {
        window_unprepare(window);
        return false;
    }
    return true;
}

bool spapr_dma_window_enable(SpaprDmaWindow *window,
                             const SpaprDmaGeometry *geometry, Error **errp)
{
    MemoryRegion *mr = MEMORY_REGION(&window->iommu);

    if (!geometry_check(window, geometry, errp) ||
        !window_prepare(window, geometry, errp)) {
        return false;
    }

    /* Each change of the memory map is worked out for all of the machine */
    memory_region_transaction_begin();
    memory_region_set_size(mr, spapr_dma_window_size(window));
    memory_region_add_subregion(&window->root, geometry->bus_offset, mr);
    memory_region_transaction_commit();
    trace_spapr_dma_window_enable(window->liobn, geometry->bus_offset,
                                  geometry->page_shift, geometry->entries,
                                  window->mappers->len, window->fd);
    return true;
}

void spapr_dma_window_disable(SpaprDmaWindow *window)
{
    MemoryRegion *mr = MEMORY_REGION(&window->iommu);

    if (!spapr_dma_window_enabled(window)) {
        return;
    }
    trace_spapr_dma_window_disable(window->liobn, window->geometry.bus_offset);
    memory_region_transaction_begin();
    memory_region_del_subregion(&window->root, mr);
    memory_region_set_size(mr, 0);
    memory_region_transaction_commit();
    window_unprepare(window);
}

MemoryRegion *spapr_dma_window_get_root(SpaprDmaWindow *window)
{
    return &window->root;
}

SpaprDmaWindow *spapr_dma_window_from_region(MemoryRegion *mr)
{
    if (!object_dynamic_cast(OBJECT(mr), TYPE_SPAPR_IOMMU_MEMORY_REGION)) {
        return NULL;
    }
    return container_of(mr, SpaprDmaWindow, iommu.parent_obj);
}

SpaprDmaWindow *spapr_dma_window_new(DeviceState *owner, uint32_t liobn,
                                     AddressSpace *as, Error **errp)
{
    g_autofree char *name = g_strdup_printf("tce-table-%x", liobn);
    SpaprDmaWindow *window;

    if (spapr_dma_window_find(liobn)) {
        error_setg(errp, "LIOBN 0x%x is in use already", liobn);
        error_append_hint(errp, "Give the device another index or address.\n");
        return NULL;
    }
    window = SPAPR_DMA_WINDOW(object_new(TYPE_SPAPR_DMA_WINDOW));
    window->liobn = liobn;
    window->as = as;
    object_property_add_child(OBJECT(owner), name, OBJECT(window));
    object_unref(OBJECT(window));
    qdev_realize(DEVICE(window), NULL, &error_abort); /* cannot fail */
    return window;
}

/* ---- migration ---- */

/*
 * The dense form is that of all QEMU versions since 2.3: the geometry and
 * every word of the window, zeroes included.  The sparse form has populated
 * spans only, in a subsection that other versions refuse.  It is used where
 * the user asks for it, and for a window that the dense form cannot express:
 * its count of entries has 32 bits, and a reader allocates all of them.  Both
 * forms are always understood.
 */

static int put_dense(QEMUFile *f, void *pv, size_t size,
                     const VMStateField *field, JSONWriter *vmdesc)
{
    SpaprDmaWindow *window = pv;
    uint64_t index = 0, done = 0;
    SpaprTceSpan span;
    bool more = window->mig_entries != 0;

    while (more) {
        more = spapr_tce_table_next_span(window->tces->table, &index, &span);
        for (; done < (more ? span.index : window->mig_entries); done++) {
            qemu_put_be64(f, 0);
        }
        for (uint64_t i = 0; more && i < span.count; i++, done++) {
            qemu_put_be64(f, span.tces[i]);
        }
    }
    return 0;
}

static int get_dense(QEMUFile *f, void *pv, size_t size,
                     const VMStateField *field)
{
    SpaprDmaWindow *window = pv;

    window->mig_table = spapr_tce_table_new(window->mig_entries);
    for (uint64_t i = 0; i < window->mig_entries; i++) {
        uint64_t tce = qemu_get_be64(f);

        if (tce) {
            spapr_tce_table_set(window->mig_table, i, tce);
        }
        if (!(i & 0xffff) && qemu_file_get_error(f)) {
            return -EIO;
        }
    }
    return 0;
}

static const VMStateInfo vmstate_info_tces_dense = {
    .name = "TCEs",
    .get = get_dense,
    .put = put_dense,
};

static int put_sparse(QEMUFile *f, void *pv, size_t size,
                      const VMStateField *field, JSONWriter *vmdesc)
{
    SpaprDmaWindow *window = pv;
    uint64_t index = 0;
    SpaprTceSpan span;

    while (spapr_tce_table_next_span(window->tces->table, &index, &span)) {
        qemu_put_be32(f, span.count);
        qemu_put_be64(f, span.index);
        for (uint64_t i = 0; i < span.count; i++) {
            qemu_put_be64(f, span.tces[i]);
        }
    }
    qemu_put_be32(f, 0);
    return 0;
}

static int get_sparse(QEMUFile *f, void *pv, size_t size,
                      const VMStateField *field)
{
    SpaprDmaWindow *window = pv;
    uint64_t entries = window->mig_sparse_entries;
    uint32_t count;

    if (window->mig_table) {
        error_report("migration stream has the TCEs of DMA window 0x%x in"
                     " both forms", window->liobn);
        return -EINVAL;
    }
    window->mig_table = spapr_tce_table_new(entries);
    while (window->mig_table && (count = qemu_get_be32(f))) {
        uint64_t index = qemu_get_be64(f);

        if (qemu_file_get_error(f)) {
            return -EIO;
        }
        if (count > SPAPR_TCE_LEAF_ENTRIES || index > entries ||
            count > entries - index) {
            error_report("migration stream has TCEs that DMA window 0x%x"
                         " cannot have", window->liobn);
            return -EINVAL;
        }
        while (count--) {
            spapr_tce_table_set(window->mig_table, index++, qemu_get_be64(f));
        }
    }
    return 0;
}

static const VMStateInfo vmstate_info_tces_sparse = {
    .name = "sparse TCEs",
    .get = get_sparse,
    .put = put_sparse,
};

static bool window_sparse_needed(void *opaque)
{
    SpaprDmaWindow *window = opaque;

    return window->geometry.entries > MIG_DENSE_MAX ||
           (window->sparse_migration && spapr_dma_window_enabled(window));
}

static int window_pre_save(void *opaque)
{
    SpaprDmaWindow *window = opaque;
    uint64_t entries = window->geometry.entries;
    bool sparse = window_sparse_needed(window);

    window->mig_entries = sparse ? 0 : entries;
    window->mig_sparse_entries = sparse ? entries : 0;
    window->mig_bus_offset = window->geometry.bus_offset;
    window->mig_page_shift = window->geometry.page_shift;
    trace_spapr_iommu_pre_save(window->liobn, window->mig_entries,
                               window->mig_bus_offset, window->mig_page_shift);
    return 0;
}

/* A stream leaves out what is as in a VIO device's window */
static int window_pre_load(void *opaque)
{
    SpaprDmaWindow *window = opaque;

    window->mig_entries = 0;
    window->mig_sparse_entries = 0;
    window->mig_bus_offset = 0;
    window->mig_page_shift = SPAPR_TCE_PAGE_SHIFT;
    g_clear_pointer(&window->mig_table, spapr_tce_table_free);
    return 0;
}

static int window_load_tces(SpaprDmaWindow *window)
{
    uint64_t index = 0;
    SpaprTceSpan span;

    while (spapr_tce_table_next_span(window->mig_table, &index, &span)) {
        int ret = spapr_dma_window_put(window, span.index, span.tces,
                                       span.count);

        if (ret) {
            error_report("DMA window 0x%x: cannot map what the source had "
                         "mapped: %s", window->liobn, strerror(-ret));
            return ret;
        }
        /* Give it back now, so that not all of it is there twice */
        spapr_tce_table_clear(window->mig_table, span.index, span.count);
    }
    return 0;
}

static int window_post_load(void *opaque, int version_id)
{
    SpaprDmaWindow *window = opaque;
    SpaprDmaGeometry geometry = {
        .bus_offset = window->mig_bus_offset,
        .page_shift = window->mig_page_shift,
        .entries = window->mig_entries ?: window->mig_sparse_entries,
    };
    g_autoptr(Error) err = NULL;
    bool def_win = window->def_win;
    int ret = 0;

    trace_spapr_iommu_post_load(window->liobn, window->geometry.entries,
                                geometry.entries, geometry.bus_offset,
                                geometry.page_shift);
    if (window->vdev) {
        spapr_vio_set_bypass(window->vdev, window->bypass);
    }
    if (window->geometry.bus_offset != geometry.bus_offset ||
        window->geometry.page_shift != geometry.page_shift ||
        window->geometry.entries != geometry.entries) {
        spapr_dma_window_disable(window);
    } else {
        spapr_dma_window_clear(window);
    }
    if (geometry.entries) {
        if (!spapr_dma_window_enabled(window) &&
            !spapr_dma_window_enable(window, &geometry, &err)) {
            error_report_err(g_steal_pointer(&err));
            ret = -EINVAL;
        } else {
            ret = window_load_tces(window);
        }
    }
    window->def_win = def_win && spapr_dma_window_enabled(window);
    g_clear_pointer(&window->mig_table, spapr_tce_table_free);
    return ret;
}

static bool window_geometry_needed(void *opaque)
{
    SpaprDmaWindow *window = opaque;

    return window->geometry.bus_offset ||
           window->geometry.page_shift != SPAPR_TCE_PAGE_SHIFT;
}

static const VMStateDescription vmstate_window_geometry = {
    .name = "spapr_iommu_ex",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = window_geometry_needed,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(mig_bus_offset, SpaprDmaWindow),
        VMSTATE_UINT32(mig_page_shift, SpaprDmaWindow),
        VMSTATE_END_OF_LIST()
    },
};

static const VMStateDescription vmstate_window_sparse = {
    .name = "spapr_iommu_sparse",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = window_sparse_needed,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(mig_sparse_entries, SpaprDmaWindow),
        {
            .name = "tces",
            .info = &vmstate_info_tces_sparse,
            .flags = VMS_SINGLE,
        },
        VMSTATE_END_OF_LIST()
    },
};

static const VMStateDescription vmstate_window = {
    .name = "spapr_iommu",
    .version_id = 3,
    .minimum_version_id = 2,
    .pre_save = window_pre_save,
    .pre_load = window_pre_load,
    .post_load = window_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32_EQUAL(liobn, SpaprDmaWindow, NULL),
        VMSTATE_UINT32(mig_entries, SpaprDmaWindow),
        VMSTATE_BOOL(bypass, SpaprDmaWindow),
        {
            .name = "tces",
            .info = &vmstate_info_tces_dense,
            .flags = VMS_SINGLE,
        },
        VMSTATE_BOOL_V(def_win, SpaprDmaWindow, 3),
        VMSTATE_END_OF_LIST()
    },
    .subsections = (const VMStateDescription * const []) {
        &vmstate_window_geometry,
        &vmstate_window_sparse,
        NULL
    }
};

/* ---- the window as a device ---- */

static void window_realize(DeviceState *dev, Error **errp)
{
    SpaprDmaWindow *window = SPAPR_DMA_WINDOW(dev);
    g_autofree char *root = g_strdup_printf("tce-root-%x", window->liobn);
    g_autofree char *iommu = g_strdup_printf("tce-iommu-%x", window->liobn);

    window->fd = -1;
    window->mappers = g_ptr_array_new();
    memory_region_init(&window->root, OBJECT(dev), root, UINT64_MAX);
    memory_region_init_iommu(&window->iommu, sizeof(window->iommu),
                             TYPE_SPAPR_IOMMU_MEMORY_REGION, OBJECT(dev),
                             iommu, 0);
    g_hash_table_insert(windows_by_liobn(), GUINT_TO_POINTER(window->liobn),
                        window);
    vmstate_register(VMSTATE_IF(dev), window->liobn, &vmstate_window, window);
}

static void window_unrealize(DeviceState *dev)
{
    SpaprDmaWindow *window = SPAPR_DMA_WINDOW(dev);

    vmstate_unregister(VMSTATE_IF(dev), &vmstate_window, window);
    spapr_dma_window_disable(window);
    g_clear_pointer(&window->mig_table, spapr_tce_table_free);
    g_hash_table_remove(windows_by_liobn(), GUINT_TO_POINTER(window->liobn));
    spapr_dma_window_recent = NULL;
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
    object_class_property_set_description(klass, "sparse-migration",
        "Send only what is mapped; QEMU 10.0 cannot receive that");
    /* Reason: part of a PHB or VIO device, which wires it up */
    dc->user_creatable = false;
}

/* ---- the window as a memory region ---- */

/* Any thread, in an RCU read-side section */
static IOMMUTLBEntry window_translate(IOMMUMemoryRegion *iommu, hwaddr addr,
                                      IOMMUAccessFlags flag, int iommu_idx)
{
    SpaprDmaWindow *window = container_of(iommu, SpaprDmaWindow, iommu);
    SpaprDmaTces *tces = qatomic_rcu_read(&window->tces);
    IOMMUTLBEntry entry = {
        .target_as = &address_space_memory,
        .addr_mask = ~(hwaddr)0,
        .perm = IOMMU_NONE,
    };

    if (tces &&
        addr >> tces->page_shift < spapr_tce_table_entries(tces->table)) {
        uint64_t tce = spapr_tce_table_get(tces->table,
                                           addr >> tces->page_shift);

        entry.addr_mask = (1ULL << tces->page_shift) - 1;
        entry.iova = addr & ~entry.addr_mask;
        entry.translated_addr = spapr_tce_target(tce, tces->page_shift);
        entry.perm = (IOMMUAccessFlags)spapr_tce_perm(tce);
    }
    trace_spapr_iommu_xlate(window->liobn, addr, entry.translated_addr,
                            entry.perm, entry.addr_mask);
    return entry;
}

static void window_notifier_replay(IOMMUMemoryRegion *iommu, IOMMUNotifier *n)
{
    SpaprDmaWindow *window = container_of(iommu, SpaprDmaWindow, iommu);
    uint64_t index = 0;
    SpaprTceRun run;

    while (window_next_run(window, &index, window->geometry.entries, &run)) {
        notify_one(n, window_bytes(window, run.index), run.target,
                   window_bytes(window, run.count),
                   (IOMMUAccessFlags)run.perm);
    }
}

static uint64_t window_min_page_size(IOMMUMemoryRegion *iommu)
{
    SpaprDmaWindow *window = container_of(iommu, SpaprDmaWindow, iommu);

    return 1ULL << window->geometry.page_shift;
}

static int window_notify_flag_changed(IOMMUMemoryRegion *iommu,
                                      IOMMUNotifierFlag old,
                                      IOMMUNotifierFlag new, Error **errp)
{
    SpaprDmaWindow *window = container_of(iommu, SpaprDmaWindow, iommu);

    if (new & IOMMU_NOTIFIER_DEVIOTLB_UNMAP) {
        error_setg(errp, "sPAPR DMA windows have no device IOTLB");
        error_append_hint(errp, "Switch ATS off on the device.\n");
        return -EINVAL;
    }
    window->notified = new != IOMMU_NOTIFIER_NONE;
    if (window->notified) {
        window_leave_kvm(window);
    }
    return 0;
}

static void window_region_class_init(ObjectClass *klass, void *data)
{
    IOMMUMemoryRegionClass *imrc = IOMMU_MEMORY_REGION_CLASS(klass);

    imrc->translate = window_translate;
    imrc->replay = window_notifier_replay;
    imrc->get_min_page_size = window_min_page_size;
    imrc->notify_flag_changed = window_notify_flag_changed;
}

static const TypeInfo window_types[] = {
    {
        .name = TYPE_SPAPR_DMA_WINDOW,
        .parent = TYPE_DEVICE,
        .instance_size = sizeof(SpaprDmaWindow),
        .class_init = window_class_init,
    },
    {
        .name = TYPE_SPAPR_IOMMU_MEMORY_REGION,
        .parent = TYPE_IOMMU_MEMORY_REGION,
        .class_init = window_region_class_init,
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
