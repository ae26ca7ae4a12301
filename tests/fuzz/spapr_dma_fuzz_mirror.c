/*
 * Fuzz target for sPAPR DMA windows: mirrors, which are mappers of PHB 0
 *
 * Each keeps a copy of all mappings, as a VFIO container does, and refuses
 * what it is told to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/lockable.h"
#include "qapi/error.h"
#include "hw/ppc/spapr.h"
#include "spapr_dma_fuzz.h"

/* The only window of a host that has one */
#define ONE_WINDOW_SIZE (2 * GiB)
#define ONE_WINDOW_PAGE_SIZES 0x11000

Mirror mirrors[MIRRORS];
QemuMutex mirrors_lock;

static void mirror_window_free(gpointer opaque)
{
    MirrorWindow *mw = opaque;

    g_hash_table_unref(mw->pages);
    g_free(mw);
}

static bool mirror_window_add(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                              Error **errp)
{
    Mirror *mirror = container_of(mapper, Mirror, mapper);
    MirrorWindow *mw;

    if (window->kvm_fd >= 0) {
        fail("KVM handles window 0x%x that a mapper is being attached to",
             window->liobn);
    }
    if (mirror->refuse_window) {
        mirror->refuse_window = false;
        error_setg(errp, "this test refuses window 0x%x", window->liobn);
        return false;
    }
    if (mirror->one_window &&
        (g_hash_table_size(mirror->windows) ||
         window->geometry.bus_offset + spapr_dma_window_size(window) >
         ONE_WINDOW_SIZE)) {
        error_setg(errp, "this host has no window for 0x%x", window->liobn);
        return false;
    }
    mw = g_new0(MirrorWindow, 1);
    mw->geometry = window->geometry;
    mw->connected = -1;
    mw->pages = g_hash_table_new(NULL, NULL);
    QEMU_LOCK_GUARD(&mirrors_lock);
    if (!g_hash_table_insert(mirror->windows, window, mw)) {
        fail("window 0x%x was added to a mapper twice", window->liobn);
    }
    return true;
}

static void mirror_window_del(SpaprDmaMapper *mapper, SpaprDmaWindow *window)
{
    Mirror *mirror = container_of(mapper, Mirror, mapper);

    QEMU_LOCK_GUARD(&mirrors_lock);
    if (!g_hash_table_remove(mirror->windows, window)) {
        fail("window 0x%x was deleted from a mapper that does not have it",
             window->liobn);
    }
}

/* The mapper's view of a window; @iova and @size must be pages of it */
static MirrorWindow *mirror_range(Mirror *mirror, SpaprDmaWindow *window,
                                  uint64_t iova, uint64_t size)
{
    MirrorWindow *mw = g_hash_table_lookup(mirror->windows, window);
    uint64_t mask, offset, bytes;

    if (!mw) {
        fail("a mapper hears of window 0x%x, which it does not have",
             window->liobn);
    }
    mask = (1ULL << mw->geometry.page_shift) - 1;
    offset = iova - mw->geometry.bus_offset;
    bytes = mw->geometry.entries << mw->geometry.page_shift;
    if (!size || (iova | size) & mask || offset >= bytes ||
        size > bytes - offset) {
        fail("window 0x%x has no pages at 0x%" PRIx64 ", 0x%" PRIx64 " bytes",
             window->liobn, iova, size);
    }
    return mw;
}

static uint64_t mirror_page(const MirrorWindow *mw, uint64_t iova)
{
    return (iova - mw->geometry.bus_offset) >> mw->geometry.page_shift;
}

static int mirror_map(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                      const SpaprDmaRun *dma)
{
    Mirror *mirror = container_of(mapper, Mirror, mapper);
    MirrorWindow *mw = mirror_range(mirror, window, dma->iova, dma->size);
    uint64_t page = 1ULL << mw->geometry.page_shift;
    uint64_t first = mirror_page(mw, dma->iova);

    if (!dma->perm || dma->perm & ~IOMMU_RW || dma->gpa & (page - 1)) {
        fail("run of permission %d at 0x%" PRIx64, dma->perm, dma->gpa);
    }
    if (!ref_is_ram(ref, dma->gpa, dma->size)) {
        fail("run of 0x%" PRIx64 " bytes at 0x%" PRIx64 " is not RAM",
             dma->size, dma->gpa);
    }
    QEMU_LOCK_GUARD(&mirrors_lock);
    if (mirror->refuse_gpa >= dma->gpa && mirror->refuse_gpa &&
        mirror->refuse_gpa - dma->gpa < dma->size) {
        if (!mirror->refuse_always) {
            mirror->refuse_gpa = 0;
        }
        mirror->refused = true;
        for (uint64_t i = 0; i < dma->size / page; i++) {
            g_hash_table_remove(mw->pages, (gpointer)(first + i));
        }
        return -ENOMEM;
    }
    for (uint64_t i = 0; i < dma->size / page; i++) {
        g_hash_table_insert(mw->pages, (gpointer)(first + i),
                            (gpointer)((dma->gpa + i * page) | dma->perm));
    }
    return 0;
}

static void mirror_unmap(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                         uint64_t iova, uint64_t size)
{
    Mirror *mirror = container_of(mapper, Mirror, mapper);
    MirrorWindow *mw = mirror_range(mirror, window, iova, size);
    uint64_t first = mirror_page(mw, iova);
    uint64_t count = size >> mw->geometry.page_shift;
    GHashTableIter iter;
    gpointer key;

    QEMU_LOCK_GUARD(&mirrors_lock);
    g_hash_table_iter_init(&iter, mw->pages);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        if ((uint64_t)key - first < count) {
            g_hash_table_iter_remove(&iter);
        }
    }
}

static bool mirror_kvm_connect(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                               Error **errp)
{
    Mirror *mirror = container_of(mapper, Mirror, mapper);
    MirrorWindow *mw = g_hash_table_lookup(mirror->windows, window);

    if (!mw || window->kvm_fd < 0) {
        fail("KVM is to update window 0x%x, which it does not have",
             window->liobn);
    }
    if (mirror->refuse_kvm) {
        mirror->refuse_kvm = false;
        error_setg(errp, "this test does not connect window 0x%x",
                   window->liobn);
        return false;
    }
    mw->connected = window->kvm_fd;
    return true;
}

static bool mirror_can_start(SpaprDmaMapper *mapper, uint64_t bus_offset)
{
    Mirror *mirror = container_of(mapper, Mirror, mapper);

    return mirror->one_window ? bus_offset < ONE_WINDOW_SIZE :
           !mirror->no_limited || bus_offset != 1ULL << 32;
}

static void mirror_limits(SpaprDmaMapper *mapper, SpaprDmaLimits *limits)
{
    Mirror *mirror = container_of(mapper, Mirror, mapper);
    const SpaprDmaLimitReason why = SPAPR_DMA_LIMIT_REASON_ONE_WINDOW;

    if (mirror->one_window) {
        spapr_dma_limit_page_sizes(limits, ONE_WINDOW_PAGE_SIZES, why);
        spapr_dma_limit_max_size(limits, ONE_WINDOW_SIZE, why);
        spapr_dma_limit_windows(limits,
                                !g_hash_table_size(mirror->windows), why);
    }
}

static const SpaprDmaMapperOps mirror_ops = {
    .window_add = mirror_window_add,
    .window_del = mirror_window_del,
    .map = mirror_map,
    .unmap = mirror_unmap,
    .kvm_connect = mirror_kvm_connect,
    .limits = mirror_limits,
    .can_start = mirror_can_start,
};

/* Tell the model what the mirrors are going to refuse */
void publish_refusals(void)
{
    RefPhb *phb = g_ptr_array_index(ref->phbs, 0);

    phb->refuse_window = false;
    phb->refuse_gpa = 0;
    phb->limited_ok = true;
    phb->one_window = 0;
    for (int i = 0; i < MIRRORS; i++) {
        Mirror *mirror = &mirrors[i];

        if (mirror->registered) {
            phb->refuse_window |= mirror->refuse_window;
            phb->refuse_gpa = mirror->refuse_gpa ?: phb->refuse_gpa;
            phb->limited_ok &= !mirror->no_limited && !mirror->one_window;
            if (mirror->one_window) {
                phb->one_window = ONE_WINDOW_SIZE;
            }
        }
    }
}

void forget_refusals(void)
{
    for (int i = 0; i < MIRRORS; i++) {
        mirrors[i].refuse_window = false;
        mirrors[i].refuse_kvm = false;
        mirrors[i].refuse_gpa = 0;
        mirrors[i].refuse_always = false;
        mirrors[i].refused = false;
    }
    publish_refusals();
}

void refuse_gpa(Mirror *mirror, uint64_t gpa, bool always)
{
    forget_refusals();
    mirror->refuse_gpa = gpa;
    mirror->refuse_always = always;
    publish_refusals();
}

static bool window_has_gpa(const RefWindow *window, uint64_t gpa)
{
    GHashTableIter iter;
    gpointer key, value;

    g_hash_table_iter_init(&iter, window->words);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        uint64_t word = (uint64_t)value, page = 1ULL << window->shift;
        uint64_t target = ref_target(window, word);

        if (word & 3 && gpa - target < page && ref_is_ram(ref, target, page)) {
            return true;
        }
    }
    return false;
}

/*
 * Whether a mapper still has a page whose memory was unplugged below it is
 * undefined; also if memory appears there again.
 */
static bool word_mirrored(const RefWindow *window, uint64_t word)
{
    return word & 3 && (!unplugged || ref_target(window, word) < DIMM_BASE);
}

static void check_mirrored_page(const MirrorWindow *mw,
                                const RefWindow *window, uint64_t page)
{
    uint64_t word = ref_word(window, page);
    uint64_t has = (uint64_t)g_hash_table_lookup(mw->pages, (gpointer)page);

    if (word_mirrored(window, word) ?
        has != (ref_target(window, word) | (word & 3)) :
        has && !(word & 3)) {
        fail("mapper has 0x%" PRIx64 " at page 0x%" PRIx64 " of window 0x%x, "
             "not 0x%" PRIx64, has, page, window->liobn, word);
    }
}

/* Every page that a mirror has must be mapped, and vice versa */
static void check_mirror_window(Mirror *mirror, const RefWindow *window)
{
    SpaprDmaWindow *dma = spapr_dma_window_find(window->liobn);
    MirrorWindow *mw = g_hash_table_lookup(mirror->windows, dma);
    GHashTableIter iter;
    gpointer key;

    if (!!mw != window->exists) {
        fail("mapper %s window 0x%x", mw ? "has" : "does not have",
             window->liobn);
    }
    if (!mw) {
        return;
    }
    g_hash_table_iter_init(&iter, window->words);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        check_mirrored_page(mw, window, (uint64_t)key);
    }
    g_hash_table_iter_init(&iter, mw->pages);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        check_mirrored_page(mw, window, (uint64_t)key);
    }
}

void check_mirrors(void)
{
    RefPhb *phb = g_ptr_array_index(ref->phbs, 0);

    for (int m = 0; m < MIRRORS; m++) {
        for (int i = 0; mirrors[m].registered && i < REF_WINDOWS_PER_PHB; i++) {
            check_mirror_window(&mirrors[m], &phb->windows[i]);
        }
    }
}

/* Pages that could not be mapped back come back now */
static void mirror_repair(Mirror *mirror)
{
    RefPhb *phb = g_ptr_array_index(ref->phbs, 0);

    for (int i = 0; i < REF_WINDOWS_PER_PHB; i++) {
        const RefWindow *window = &phb->windows[i];
        Error *err = NULL;

        if (window->exists &&
            !spapr_dma_mapper_replay(&mirror->mapper,
                                     spapr_dma_window_find(window->liobn),
                                     &err)) {
            fail("replay: %s", error_get_pretty(err));
        }
    }
}

/* To be called after each operation that a mirror may have refused */
void end_refusals(void)
{
    for (int i = 0; i < MIRRORS; i++) {
        Mirror *mirror = &mirrors[i];
        bool repair = mirror->registered && mirror->refuse_always &&
                      mirror->refused;

        mirror->refuse_gpa = 0;
        if (repair) {
            mirror_repair(mirror);
        }
    }
    forget_refusals();
}

/* Has PHB 0 a window that lets no mapper in as it is armed? */
static bool mirror_will_refuse(const Mirror *mirror)
{
    RefPhb *phb = g_ptr_array_index(ref->phbs, 0);

    unsigned windows = 0;

    for (int i = 0; i < REF_WINDOWS_PER_PHB; i++) {
        const RefWindow *window = &phb->windows[i];

        if (window->exists && mirror->one_window &&
            (windows++ || window->start + (window->pages << window->shift) >
                          ONE_WINDOW_SIZE)) {
            return true;
        }
        if (window->exists &&
            (mirror->refuse_window ||
             (mirror->refuse_gpa &&
              window_has_gpa(window, mirror->refuse_gpa)))) {
            return true;
        }
    }
    return false;
}

void mirror_join(Mirror *mirror, bool sees_all, bool one_window)
{
    bool expected, ok;

    mirror->one_window = one_window;
    expected = !mirror_will_refuse(mirror);

    spapr_dma_mapper_init(&mirror->mapper, &mirror_ops,
                          spapr_dma_space_find(&phbs[0]->iommu_as));
    ok = spapr_dma_mapper_register(&mirror->mapper, NULL);
    if (ok != expected) {
        fail("a mapper was registered: %d", ok);
    }
    if (!ok && g_hash_table_size(mirror->windows)) {
        fail("%u windows left in a mapper", g_hash_table_size(mirror->windows));
    }
    mirror->registered = ok;
    if (ok) {
        spapr_dma_mapper_set_sees_all(&mirror->mapper, sees_all || one_window);
    }
}

void mirror_leave(Mirror *mirror)
{
    spapr_dma_mapper_unregister(&mirror->mapper);
    spapr_dma_mapper_unregister(&mirror->mapper);   /* harmless */
    mirror->registered = false;
    if (g_hash_table_size(mirror->windows)) {
        fail("%u windows left in a mapper", g_hash_table_size(mirror->windows));
    }
}

void mirrors_setup(void)
{
    qemu_mutex_init(&mirrors_lock);
    for (unsigned i = 0; i < MIRRORS; i++) {
        mirrors[i].windows = g_hash_table_new_full(NULL, NULL, NULL,
                                                   mirror_window_free);
        mirror_join(&mirrors[i], false, false);
    }
}
