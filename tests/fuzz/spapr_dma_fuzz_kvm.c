/*
 * Fuzz target for sPAPR DMA windows: something that looks like KVM
 *
 * It makes tables of windows if it is on, and stores TCEs in them without a
 * word to anybody, as KVM does with H_PUT_TCE.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/rcu.h"
#include "hw/ppc/spapr.h"
#include "hw/ppc/spapr_dma_locked.h"
#include "system/accel-blocker.h"
#include "spapr_dma_fuzz.h"
#include <sys/mman.h>

#define KVM_TABLE       "spapr-dma-kvm-table"
#define KVM_ENTRIES     (1ULL << 18)    /* it makes no larger tables */

bool kvm_on;
static GHashTable *kvm_tables;  /* SpaprDmaWindow to its newest table */

static bool fuzz_kvm_present(void)
{
    return kvm_on;
}

static bool fuzz_kvm_updates_vfio(void)
{
    return true;
}

static uint64_t *fuzz_kvm_create_table(const SpaprDmaWindow *window, int *fd)
{
    uint64_t entries = window->geometry.entries;
    void *words;

    if (entries > KVM_ENTRIES) {
        return NULL;
    }
    words = mmap(NULL, entries * sizeof(uint64_t), PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    *fd = memfd_create(KVM_TABLE, MFD_CLOEXEC);
    if (words == MAP_FAILED || *fd < 0) {
        fail("no memory for a table");
    }
    g_hash_table_insert(kvm_tables, (gpointer)window, words);
    return words;
}

static const SpaprDmaKvmOps fuzz_kvm = {
    .present = fuzz_kvm_present,
    .updates_vfio = fuzz_kvm_updates_vfio,
    .create_table = fuzz_kvm_create_table,
};

/* KVM allocates a table as it is touched, and a new one is empty */
void check_untouched(uint32_t liobn)
{
    const SpaprDmaWindow *window = spapr_dma_window_find(liobn);
    size_t bytes = window->geometry.entries * sizeof(uint64_t);
    unsigned char resident[KVM_ENTRIES * sizeof(uint64_t) / 4096] = { };

    if (window->kvm_fd < 0) {
        return;
    }
    if (mincore(g_hash_table_lookup(kvm_tables, window), bytes, resident)) {
        fail("mincore: %s", strerror(errno));
    }
    if (memchr(resident, 1, sizeof(resident))) {
        fail("KVM's table of new window 0x%x was looked at", liobn);
    }
}

/* No table of KVM may be open; call when no window can have one */
void check_kvm_closed(void)
{
    GDir *dir = g_dir_open("/proc/self/fd", 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_strdup_printf("/proc/self/fd/%s", name);
        g_autofree char *link = g_file_read_link(path, NULL);

        if (link && strstr(link, KVM_TABLE)) {
            fail("file descriptor %s is a table that nobody has", name);
        }
    }
    g_dir_close(dir);
}

void kvm_setup(void)
{
    kvm_tables = g_hash_table_new(NULL, NULL);
    spapr_dma_kvm_set_ops(&fuzz_kvm);
    accel_blocker_init();               /* as KVM does */
}

/* What KVM does with H_PUT_TCE: nobody hears of it, but it updates copies */
void kvm_put(SpaprDmaWindow *window, uint64_t page, uint64_t word)
{
    uint64_t *words = g_hash_table_lookup(kvm_tables, window);
    uint64_t mask = (1ULL << window->geometry.page_shift) - 1;

    words[page] = word;
    for (int i = 0; i < MIRRORS; i++) {
        MirrorWindow *mw = g_hash_table_lookup(mirrors[i].windows, window);

        if (mw && mw->connected != window->kvm_fd) {
            fail("KVM does not update a copy of window 0x%x", window->liobn);
        }
        if (mw && word & 3) {
            g_hash_table_insert(mw->pages, (gpointer)page,
                                (gpointer)((word & ~mask) | (word & 3)));
        } else if (mw) {
            g_hash_table_remove(mw->pages, (gpointer)page);
        }
    }
}

/* May KVM handle hypercalls of this window of PHB 0, and can it? */
static bool kvm_should(const SpaprDmaWindow *window)
{
    bool should = kvm_on && spapr_dma_window_enabled(window) &&
                  window->geometry.entries <= KVM_ENTRIES;

    for (int i = 0; i < MIRRORS; i++) {
        should &= !mirrors[i].registered || !mirrors[i].mapper.sees_all;
    }
    for (int i = 0; i < REF_WINDOWS_PER_PHB; i++) {
        should &= !followers[i].registered;
    }
    should &= !listener_present();
    return should;
}

/*
 * D22: a window that had to leave KVM comes back as soon as it may.  To be
 * called after somebody came or went, with @refused if KVM refused one.
 */
void check_kvm(bool refused)
{
    for (int i = 0; i < REF_WINDOWS_PER_PHB; i++) {
        const SpaprDmaWindow *window = followers[i].window;
        bool should = kvm_should(window);

        if (should ? window->kvm_fd < 0 && !refused : window->kvm_fd >= 0) {
            fail("window 0x%x is%s with KVM", window->liobn,
                 should ? " not" : "");
        }
    }
}

/* What is with KVM now is in the sum of what must be lockable */
void check_locked(void)
{
    const SpaprDmaWindow *window;
    SpaprDmaLocked locked;
    uint64_t least = 0;
    GHashTableIter iter;
    void *space;

    g_hash_table_iter_init(&iter, spapr_dma_machine()->spaces);
    while (g_hash_table_iter_next(&iter, NULL, &space)) {
        QLIST_FOREACH(window, &((SpaprDmaSpace *)space)->windows, next) {
            if (window->kvm_fd >= 0) {
                least += spapr_dma_kvm_locked(window->geometry.entries);
            }
        }
    }
    spapr_dma_locked(NULL, &locked);
    if (locked.kvm_tables < least || (!kvm_on && locked.kvm_tables)) {
        fail("tables of KVM are said to lock %" PRIu64 " bytes, %" PRIu64
             " do", locked.kvm_tables, least);
    }
}

void reader_begin(Reader *reader)
{
    rcu_read_lock();
    for (int i = 0; i < REF_WINDOWS_PER_PHB; i++) {
        reader->stores[i] = spapr_dma_store_read(followers[i].window);
    }
}

void reader_end(const Reader *reader)
{
    RefPhb *phb = g_ptr_array_index(ref->phbs, 0);

    for (int i = 0; i < REF_WINDOWS_PER_PHB; i++) {
        const RefWindow *window = &phb->windows[i];
        GHashTableIter iter;
        gpointer key, value;
        int n = 0;

        g_hash_table_iter_init(&iter, window->words);
        while (window->exists && n++ < 64 &&
               g_hash_table_iter_next(&iter, &key, &value)) {
            uint64_t tce = spapr_tce_store_get(reader->stores[i],
                                               (uint64_t)key);

            if (tce != (uint64_t)value) {
                fail("page 0x%" PRIx64 " of window 0x%x was 0x%" PRIx64
                     " for a moment, not 0x%" PRIx64, (uint64_t)key,
                     window->liobn, tce, (uint64_t)value);
            }
        }
    }
    rcu_read_unlock();
}
