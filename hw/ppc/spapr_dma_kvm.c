/*
 * sPAPR DMA windows: those whose hypercalls KVM handles
 *
 * Objects: KVM's table of a window, which KVM writes and QEMU has mapped.  As
 * long as it is open, hypercalls that name the window's LIOBN do not come to
 * QEMU, and KVM updates all copies in the host that it was told of.
 *
 * Invariants:
 *  - KVM's table exists only while all of the host tables that it updates do:
 *    it is the last thing that is made and the first that goes;
 *  - whoever attaches to a window or leaves it finds the window out of KVM, or
 *    KVM was told already that his copy is gone.  Therefore an attachment that
 *    fails has nothing to undo in KVM;
 *  - a window is with KVM if all who mirror it bear that, nobody watches it by
 *    an IOMMU notifier, and KVM has made and connected a table.  That is looked
 *    at again whenever one of these comes or goes, and at a reset.
 *
 * KVM's refusal is no failure: QEMU handles the hypercalls then, which is
 * slower, and the guest sees no difference.
 *
 * A table is closed while a reader without a lock may look at it.  Its address
 * range stays until then, with a copy of what was in it.
 *
 * Locks: the BQL.  KVM changes its table without it; who copies from a table,
 * changes it along with what mirrors it, or makes or closes one, keeps vCPUs
 * out of KVM meanwhile.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/memfd.h"
#include "qapi/error.h"
#include "system/accel-blocker.h"
#include "system/kvm.h"
#include "kvm_ppc.h"
#include "hw/ppc/spapr.h"
#include "hw/ppc/spapr_dma_locked.h"
#include "hw/ppc/spapr_locked_size.h"
#include "spapr_dma_private.h"
#include "trace.h"
#ifdef CONFIG_POSIX
#include <sys/mman.h>
#endif

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

static const SpaprDmaKvmOps real_kvm = {
    .present = kvm_present,
    .updates_vfio = kvm_updates_vfio,
    .create_table = kvm_create_table,
};

static const SpaprDmaKvmOps *kvm = &real_kvm;

void spapr_dma_kvm_set_ops(const SpaprDmaKvmOps *ops)
{
    kvm = ops;
}

/*
 * vCPUs come to rest between two hypercalls, so the table and the copies that
 * KVM updates along with it agree meanwhile.
 */
void spapr_dma_freeze(void *unused)
{
    if (kvm->present() && !spapr_dma_machine()->frozen++) {
        accel_ioctl_inhibit_begin();
    }
}

void spapr_dma_thaw(void *unused)
{
    if (kvm->present() && !--spapr_dma_machine()->frozen) {
        accel_ioctl_inhibit_end();
    }
}

/* Without KVM's table only hypercalls change it, which wait for the BQL */
bool spapr_dma_kvm_hold(const SpaprDmaWindow *window)
{
    bool held = window->kvm_fd >= 0;

    if (held) {
        spapr_dma_freeze(NULL);
    }
    return held;
}

void spapr_dma_kvm_release(bool held)
{
    if (held) {
        spapr_dma_thaw(NULL);
    }
}

/* KVM's interface is told the entries in 32 bits */
static bool kvm_too_large(uint64_t entries)
{
    return entries > UINT32_MAX;
}

uint64_t spapr_dma_kvm_locked(uint64_t entries)
{
    return kvm->present() && !kvm_too_large(entries) ?
           spapr_locked_kvm_table(qemu_real_host_page_size(), entries) : 0;
}

/* Copy what is populated; both have the same size */
static void store_copy(SpaprTceStore *to, const SpaprTceStore *from)
{
    uint64_t index = 0;
    SpaprTceSpan span;

    while (spapr_tce_store_next_span(from, UINT64_MAX, &index, &span)) {
        spapr_tce_store_put(to, span.index, span.tces, span.count);
    }
}

#ifdef CONFIG_POSIX
static void table_unmap(uint64_t *words, uint64_t entries)
{
    munmap(words, entries * sizeof(uint64_t));
}

/* A file with what @store has, or -1 */
static int table_snapshot(const SpaprTceStore *store)
{
    size_t bytes = spapr_tce_store_entries(store) * sizeof(uint64_t);
    int fd = qemu_memfd_create("tce-table", bytes, false, 0, 0, NULL);
    uint64_t index = 0;
    SpaprTceSpan span;

    while (fd >= 0 &&
           spapr_tce_store_next_span(store, UINT64_MAX, &index, &span)) {
        size_t size = span.count * sizeof(uint64_t);

        if (pwrite(fd, span.tces, size, span.index * sizeof(uint64_t)) !=
            size) {
            close(fd);
            fd = -1;
        }
    }
    return fd;
}

/*
 * Let go of KVM's table, which is open as long as it is mapped.  Who still
 * reads @words finds what @store has.
 */
static void table_detach(uint64_t *words, const SpaprTceStore *store)
{
    size_t bytes = spapr_tce_store_entries(store) * sizeof(uint64_t);
    int fd = table_snapshot(store);
    int flags = MAP_FIXED | MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0);

    if (mmap(words, bytes, PROT_READ, flags, fd, 0) == MAP_FAILED) {
        warn_report_once("cannot detach a TCE table from KVM: %s",
                         strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
}
#else
static void table_unmap(uint64_t *words, uint64_t entries)
{
    g_assert_not_reached();
}

static void table_detach(uint64_t *words, const SpaprTceStore *store)
{
    g_assert_not_reached();
}
#endif

/* Who should have the hypercalls of a window, as far as that is up to us? */
static SpaprDmaHandler window_handler(const SpaprDmaWindow *window)
{
    const SpaprDmaMapper *mapper;

    if (!kvm->present()) {
        return SPAPR_DMA_HANDLER_QEMU_NO_KVM;
    }
    if (spapr_dma_space_notified(window->space)) {
        return SPAPR_DMA_HANDLER_QEMU_NOTIFIERS;
    }
    if (kvm_too_large(window->geometry.entries)) {
        return SPAPR_DMA_HANDLER_QEMU_TOO_LARGE;
    }
    QLIST_FOREACH(mapper, &window->space->mappers, next) {
        if (mapper->sees_all) {
            return SPAPR_DMA_HANDLER_QEMU_CONTAINER;
        }
        if (!kvm->updates_vfio()) {
            return SPAPR_DMA_HANDLER_QEMU_NO_VFIO_IN_KVM;
        }
    }
    return SPAPR_DMA_HANDLER_KVM;
}

/* Have KVM update the copies of all who mirror the window */
static bool window_connect(SpaprDmaWindow *window)
{
    Error *err = NULL;

    for (guint i = 0; i < window->mappers->len; i++) {
        SpaprDmaMapper *mapper = g_ptr_array_index(window->mappers, i);

        if (!mapper->ops->kvm_connect(mapper, window, &err)) {
            trace_spapr_dma_kvm_refused(window->liobn, error_get_pretty(err));
            warn_report_once("%s; QEMU handles hypercalls for this window,"
                             " which is slower", error_get_pretty(err));
            error_free(err);
            return false;
        }
    }
    return true;
}

static void window_enter(SpaprDmaWindow *window)
{
    uint64_t entries = window->geometry.entries;
    uint64_t *words;
    SpaprTceStore *store;

    spapr_dma_freeze(NULL);
    words = kvm->create_table(window, &window->kvm_fd);
    if (words) {
        store = spapr_tce_store_new_flat(words, entries,
                                         window->geometry.page_shift,
                                         table_unmap);
        store_copy(store, window->store);
        if (window_connect(window)) {
            window->kvm_words = words;
            spapr_dma_window_set_store(window, store);
        } else {
            spapr_tce_store_free(store);
            close(window->kvm_fd);
            window->kvm_fd = -1;
            window->handler = SPAPR_DMA_HANDLER_QEMU_KVM_NO_CONNECT;
        }
    } else {
        window->kvm_fd = -1;
        window->handler = SPAPR_DMA_HANDLER_QEMU_KVM_NO_TABLE;
    }
    spapr_dma_thaw(NULL);
    trace_spapr_dma_kvm_enter(window->liobn, window->kvm_fd);
}

static void window_leave(SpaprDmaWindow *window, bool keep)
{
    SpaprTceStore *old = window->store, *store = spapr_dma_store_new(window);

    spapr_dma_freeze(NULL);
    if (keep) {
        store_copy(store, old);
    }
    table_detach(window->kvm_words, store);
    close(window->kvm_fd);
    window->kvm_fd = -1;
    spapr_dma_window_set_store(window, store);
    spapr_dma_thaw(NULL);
    trace_spapr_dma_kvm_leave(window->liobn);
}

void spapr_dma_kvm_update(SpaprDmaWindow *window)
{
    bool mapped = memory_region_is_mapped(MEMORY_REGION(&window->iommu));
    bool bears;

    window->handler = window_handler(window);
    bears = mapped && window->handler == SPAPR_DMA_HANDLER_KVM;
    if (bears && window->kvm_fd < 0) {
        window_enter(window);
    } else if (!bears && window->kvm_fd >= 0) {
        window_leave(window, true);
    }
}

void spapr_dma_kvm_update_space(SpaprDmaSpace *space)
{
    SpaprDmaWindow *window;

    QLIST_FOREACH(window, &space->windows, next) {
        spapr_dma_kvm_update(window);
    }
}

void spapr_dma_kvm_drop(SpaprDmaWindow *window)
{
    if (window->kvm_fd >= 0) {
        window_leave(window, false);
    }
}
