/*
 * Fuzz target for sPAPR DMA windows: something that looks like KVM
 *
 * It makes tables of windows if it is on, and stores TCEs in them without a
 * word to anybody, as KVM does with H_PUT_TCE.
 *
 * A second vCPU, which is a thread, does so while the main thread has windows,
 * mappers and notifiers come and go.  It keeps to the first pages of windows,
 * and to what KVM's ioctls are kept out by; what it stored last must be there
 * afterwards.
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
static unsigned tables_made[REF_WINDOWS_PER_PHB];

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
    for (int i = 0; i < REF_WINDOWS_PER_PHB; i++) {
        tables_made[i] += window == followers[i].window;
    }
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

    if (window->kvm_fd < 0 || vcpu_has_stored()) {
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

void kvm_put(SpaprDmaWindow *window, uint64_t page, uint64_t word)
{
    uint64_t *words = g_hash_table_lookup(kvm_tables, window);
    uint64_t mask = (1ULL << window->geometry.page_shift) - 1;

    qatomic_set(&words[page], word);
    qemu_mutex_lock(&mirrors_lock);
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
    qemu_mutex_unlock(&mirrors_lock);
}

/* ---- the second vCPU ---- */

/* Pages of each window, the first ones, are its own while it runs */
#define VCPU_PAGES      16

typedef struct VcpuPut {
    uint64_t word;              /* 0: none */
    unsigned tables_made;       /* of its window, when that was done */
} VcpuPut;

bool vcpu_on;

static struct {
    QemuSemaphore go, stored, stopped;
    bool runs;
    bool started;               /* for this operation */
    VcpuPut last[REF_WINDOWS_PER_PHB][VCPU_PAGES];
} vcpu;

/* One H_PUT_TCE, if KVM has the window */
static void vcpu_put(unsigned i, uint64_t page, uint64_t word)
{
    SpaprDmaWindow *window = followers[i].window;

    accel_ioctl_begin();
    if (window->kvm_fd >= 0 && page < window->geometry.entries) {
        kvm_put(window, page, word);
        vcpu.last[i][page] = (VcpuPut) { word, tables_made[i] };
    }
    accel_ioctl_end();
}

static void *vcpu_thread(void *unused)
{
    uint64_t n = 0;

    for (;;) {
        qemu_sem_wait(&vcpu.go);
        for (unsigned done = 0; qatomic_read(&vcpu.runs); done++, n++) {
            /* A target that is RAM in pages of any size */
            vcpu_put(n % REF_WINDOWS_PER_PHB, n / 2 % VCPU_PAGES,
                     (1 + n % 15) * 16 * MiB | 3);
            if (done == 2 * VCPU_PAGES) {
                qemu_sem_post(&vcpu.stored);
            }
        }
        qemu_sem_post(&vcpu.stopped);
    }
}

void vcpu_start(void)
{
    memset(vcpu.last, 0, sizeof(vcpu.last));
    /* What it stores must not be refused */
    vcpu.started = vcpu_on && kvm_on && !mirrors[0].refuse_gpa &&
                   !mirrors[1].refuse_gpa;
    if (vcpu.started) {
        qatomic_set(&vcpu.runs, true);
        qemu_sem_post(&vcpu.go);
        qemu_sem_wait(&vcpu.stored);
    }
}

/* Is the table that it stored in there, or was all of it kept anyway? */
static bool put_counts(unsigned i, const VcpuPut *put, bool clears)
{
    return !clears || (followers[i].window->kvm_fd >= 0 &&
                       put->tables_made == tables_made[i]);
}

void vcpu_stop(bool clears)
{
    const RefPhb *phb = g_ptr_array_index(ref->phbs, 0);

    if (!vcpu.started) {
        return;
    }
    qatomic_set(&vcpu.runs, false);
    qemu_sem_wait(&vcpu.stopped);
    for (unsigned n = 0; n < REF_WINDOWS_PER_PHB * VCPU_PAGES; n++) {
        unsigned i = n / VCPU_PAGES, page = n % VCPU_PAGES;
        const RefWindow *window = &phb->windows[i];
        const VcpuPut *put = &vcpu.last[i][page];

        if (put->word && put_counts(i, put, clears) &&
            ref_put(ref, window->liobn,
                    window->start + ((uint64_t)page << window->shift),
                    put->word)) {
            fail("KVM has window 0x%x, which is not there", window->liobn);
        }
    }
}

bool vcpu_has_stored(void)
{
    return vcpu.started;
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

            if (vcpu.started && (uint64_t)key < VCPU_PAGES) {
                continue;
            }
            if (tce != (uint64_t)value) {
                fail("page 0x%" PRIx64 " of window 0x%x was 0x%" PRIx64
                     " for a moment, not 0x%" PRIx64, (uint64_t)key,
                     window->liobn, tce, (uint64_t)value);
            }
        }
    }
    rcu_read_unlock();
}

void kvm_setup(void)
{
    static QemuThread thread;

    kvm_tables = g_hash_table_new(NULL, NULL);
    spapr_dma_kvm_set_ops(&fuzz_kvm);
    accel_blocker_init();               /* as KVM does */
    qemu_sem_init(&vcpu.go, 0);
    qemu_sem_init(&vcpu.stored, 0);
    qemu_sem_init(&vcpu.stopped, 0);
    qemu_thread_create(&thread, "second vCPU", vcpu_thread, NULL,
                       QEMU_THREAD_DETACHED);
}

/* What KVM does with H_PUT_TCE: nobody hears of it, but it updates copies */
