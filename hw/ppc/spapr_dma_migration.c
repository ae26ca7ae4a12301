/*
 * sPAPR DMA windows: migration
 *
 * Objects: what one window has in a stream (SpaprDmaMigration).  It is filled
 * from the window before it is sent, and made true of the window after it was
 * received; nothing of it is valid in between.
 *
 * The dense form is that of all QEMU versions since 2.3: the geometry and
 * every word of the window, zeroes included.  The sparse form has populated
 * spans only, in a subsection that other versions refuse.  It is used where
 * the user asks for it, and for a window for which the dense form makes no
 * sense: a reader allocates all entries, and the guest stands still until all
 * are read.  The user is told of such a window before anything is sent.  Both
 * forms are always understood.
 *
 * What can fail: loading, if the stream is wrong, or if this host cannot have
 * the window or cannot map what the source had mapped.
 *
 * Locks: the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qapi/error.h"
#include "hw/ppc/spapr.h"
#include "hw/ppc/spapr_vio.h"
#include "migration/misc.h"
#include "migration/qemu-file-types.h"
#include "migration/vmstate.h"
#include "spapr_dma_private.h"
#include "trace.h"

/* More entries than this do not fit into the dense form */
#define DENSE_MAX (1ULL << 31)

/* So many entries, 8 MiB, can be sent in the dense form in any case */
#define DENSE_CHEAP (1ULL << 20)

typedef struct SpaprDmaMigration {
    SpaprDmaWindow *window;
    uint32_t liobn;
    uint32_t entries;           /* of the dense form, 0 if not used */
    uint64_t sparse_entries;    /* of the sparse form, 0 if not used */
    uint64_t bus_offset;
    uint32_t page_shift;
    bool bypass;
    bool def_win;
    SpaprTceStore *store;       /* what was received; NULL if nothing */
    SpaprTceBudget budget;      /* of @store, which is never given to guests */
    NotifierWithReturn starts;
    bool told;                  /* that others cannot receive the window */
} SpaprDmaMigration;

static int put_dense(QEMUFile *f, void *pv, size_t size,
                     const VMStateField *field, JSONWriter *vmdesc)
{
    SpaprDmaMigration *mig = pv;
    uint64_t index = 0, done = 0;
    SpaprTceSpan span;
    bool more = mig->entries != 0;

    while (more) {
        more = spapr_tce_store_next_span(mig->window->store, UINT64_MAX,
                                         &index, &span);
        for (; done < (more ? span.index : mig->entries); done++) {
            qemu_put_be64(f, 0);
        }
        for (uint64_t i = 0; more && i < span.count; i++, done++) {
            qemu_put_be64(f, span.tces[i]);
        }
    }
    return 0;
}

static void receive_store(SpaprDmaMigration *mig, uint64_t entries)
{
    mig->store = spapr_tce_store_new(entries, SPAPR_TCE_PAGE_SHIFT,
                                     &mig->budget, NULL);
}

static int get_dense(QEMUFile *f, void *pv, size_t size,
                     const VMStateField *field)
{
    SpaprDmaMigration *mig = pv;

    receive_store(mig, mig->entries);
    for (uint64_t i = 0; i < mig->entries; i++) {
        uint64_t tce = qemu_get_be64(f);

        if (tce) {
            spapr_tce_store_set(mig->store, i, tce);
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
    SpaprDmaMigration *mig = pv;
    uint64_t index = 0;
    SpaprTceSpan span;

    while (spapr_tce_store_next_span(mig->window->store, UINT64_MAX, &index,
                                     &span)) {
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
    SpaprDmaMigration *mig = pv;
    uint64_t entries = mig->sparse_entries;
    uint32_t count;

    if (mig->store) {
        error_report("migration stream has the TCEs of DMA window 0x%x in"
                     " both forms", mig->liobn);
        return -EINVAL;
    }
    receive_store(mig, entries);
    while (mig->store && (count = qemu_get_be32(f))) {
        uint64_t index = qemu_get_be64(f);

        if (qemu_file_get_error(f)) {
            return -EIO;
        }
        if (count > SPAPR_TCE_LEAF_ENTRIES || index > entries ||
            count > entries - index) {
            error_report("migration stream has TCEs that DMA window 0x%x"
                         " cannot have", mig->liobn);
            return -EINVAL;
        }
        while (count--) {
            spapr_tce_store_set(mig->store, index++, qemu_get_be64(f));
        }
    }
    return 0;
}

static const VMStateInfo vmstate_info_tces_sparse = {
    .name = "sparse TCEs",
    .get = get_sparse,
    .put = put_sparse,
};

/*
 * A window is made for a guest's memory.  One that is much larger is all zeroes
 * but for a few words.
 */
static bool dense_is_absurd(const SpaprDmaWindow *window)
{
    uint64_t entries = window->geometry.entries;

    return entries > DENSE_MAX ||
           (entries > DENSE_CHEAP &&
            spapr_dma_window_size(window) > 2 * spapr_dma_ram_size());
}

static bool sparse_needed(void *opaque)
{
    const SpaprDmaMigration *mig = opaque;
    const SpaprDmaWindow *window = mig->window;

    return dense_is_absurd(window) ||
           (window->sparse_migration && spapr_dma_window_enabled(window));
}

/* Whoever asked for the sparse form knows what it means */
static void tell_of_sparse(SpaprDmaMigration *mig)
{
    const SpaprDmaWindow *window = mig->window;

    if (mig->told || window->sparse_migration || !dense_is_absurd(window)) {
        return;
    }
    mig->told = true;
    warn_report("DMA window 0x%x of 0x%" PRIx64 " entries is far larger than"
                " the guest's memory; it is sent in a form (spapr_iommu_sparse)"
                " that a QEMU without it refuses: for such a destination,"
                " reset the guest first", window->liobn,
                window->geometry.entries);
}

/* Before the stream begins, while the user can still do something else */
static int migration_starts(NotifierWithReturn *notifier, MigrationEvent *event,
                            Error **errp)
{
    if (event->type == MIG_EVENT_PRECOPY_SETUP) {
        tell_of_sparse(container_of(notifier, SpaprDmaMigration, starts));
    }
    return 0;
}

static bool geometry_needed(void *opaque)
{
    const SpaprDmaMigration *mig = opaque;

    return mig->window->geometry.bus_offset ||
           mig->window->geometry.page_shift != SPAPR_TCE_PAGE_SHIFT;
}

static int window_pre_save(void *opaque)
{
    SpaprDmaMigration *mig = opaque;
    const SpaprDmaWindow *window = mig->window;
    uint64_t entries = window->geometry.entries;
    bool sparse = sparse_needed(mig);

    tell_of_sparse(mig);
    mig->entries = sparse ? 0 : entries;
    mig->sparse_entries = sparse ? entries : 0;
    mig->bus_offset = window->geometry.bus_offset;
    mig->page_shift = window->geometry.page_shift;
    mig->bypass = window->bypass;
    mig->def_win = window->def_win;
    trace_spapr_iommu_pre_save(mig->liobn, mig->entries, mig->bus_offset,
                               mig->page_shift);
    return 0;
}

/* A stream leaves out what is as in a VIO device's window */
static int window_pre_load(void *opaque)
{
    SpaprDmaMigration *mig = opaque;

    mig->entries = 0;
    mig->sparse_entries = 0;
    mig->bus_offset = 0;
    mig->page_shift = SPAPR_TCE_PAGE_SHIFT;
    mig->def_win = mig->window->def_win;    /* version 2 does not tell */
    g_clear_pointer(&mig->store, spapr_tce_store_free);
    return 0;
}

static int load_tces(SpaprDmaMigration *mig)
{
    SpaprDmaWindow *window = mig->window;
    uint64_t index = 0;
    SpaprTceSpan span;

    while (spapr_tce_store_next_span(mig->store, UINT64_MAX, &index, &span)) {
        int ret = spapr_dma_window_restore(window, span.index, span.tces,
                                           span.count);

        if (ret) {
            error_report("DMA window 0x%x: cannot map what the source had "
                         "mapped: %s", window->liobn, strerror(-ret));
            return ret;
        }
        /* Give it back now, so that not all of it is there twice */
        spapr_tce_store_clear(mig->store, span.index, span.count);
    }
    return 0;
}

/* Have the window enabled with the geometry that was received, and empty */
static int load_geometry(SpaprDmaMigration *mig)
{
    SpaprDmaWindow *window = mig->window;
    SpaprDmaGeometry geometry = {
        .bus_offset = mig->bus_offset,
        .page_shift = mig->page_shift,
        .entries = mig->entries ?: mig->sparse_entries,
    };
    Error *err = NULL;

    trace_spapr_iommu_post_load(window->liobn, window->geometry.entries,
                                geometry.entries, geometry.bus_offset,
                                geometry.page_shift);
    if (window->geometry.bus_offset != geometry.bus_offset ||
        window->geometry.page_shift != geometry.page_shift ||
        window->geometry.entries != geometry.entries) {
        spapr_dma_window_disable(window);
    } else {
        spapr_dma_window_clear(window);
    }
    if (geometry.entries && !spapr_dma_window_enabled(window) &&
        !spapr_dma_window_enable(window, &geometry, &err)) {
        error_report_err(err);
        return -EINVAL;
    }
    return 0;
}

static int window_post_load(void *opaque, int version_id)
{
    SpaprDmaMigration *mig = opaque;
    SpaprDmaWindow *window = mig->window;
    int ret;

    window->bypass = mig->bypass;
    if (window->vdev) {
        spapr_vio_set_bypass(window->vdev, mig->bypass);
    }
    ret = load_geometry(mig);
    if (!ret && spapr_dma_window_enabled(window)) {
        ret = load_tces(mig);
    }
    window->def_win = mig->def_win && spapr_dma_window_enabled(window);
    g_clear_pointer(&mig->store, spapr_tce_store_free);
    return ret;
}

static const VMStateDescription vmstate_window_geometry = {
    .name = "spapr_iommu_ex",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = geometry_needed,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(bus_offset, SpaprDmaMigration),
        VMSTATE_UINT32(page_shift, SpaprDmaMigration),
        VMSTATE_END_OF_LIST()
    },
};

static const VMStateDescription vmstate_window_sparse = {
    .name = "spapr_iommu_sparse",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = sparse_needed,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(sparse_entries, SpaprDmaMigration),
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
        VMSTATE_UINT32_EQUAL(liobn, SpaprDmaMigration, NULL),
        VMSTATE_UINT32(entries, SpaprDmaMigration),
        VMSTATE_BOOL(bypass, SpaprDmaMigration),
        {
            .name = "tces",
            .info = &vmstate_info_tces_dense,
            .flags = VMS_SINGLE,
        },
        VMSTATE_BOOL_V(def_win, SpaprDmaMigration, 3),
        VMSTATE_END_OF_LIST()
    },
    .subsections = (const VMStateDescription * const []) {
        &vmstate_window_geometry,
        &vmstate_window_sparse,
        NULL
    }
};

void spapr_dma_migration_register(SpaprDmaWindow *window)
{
    SpaprDmaMigration *mig = g_new0(SpaprDmaMigration, 1);

    mig->window = window;
    mig->liobn = window->liobn;
    window->migration = mig;
    migration_add_notifier(&mig->starts, migration_starts);
    vmstate_register(VMSTATE_IF(window), window->liobn, &vmstate_window, mig);
}

void spapr_dma_migration_unregister(SpaprDmaWindow *window)
{
    SpaprDmaMigration *mig = window->migration;

    vmstate_unregister(VMSTATE_IF(window), &vmstate_window, mig);
    migration_remove_notifier(&mig->starts);
    spapr_tce_store_free(mig->store);
    g_free(mig);
}
