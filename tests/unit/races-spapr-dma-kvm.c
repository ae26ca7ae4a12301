/*
 * Two vCPUs store TCEs while a window goes to KVM and comes back
 *
 * hw/ppc/spapr_dma_kvm.c and spapr_tce_store.c as they are, compiled with
 * ThreadSanitizer, which names each pair of accesses that nothing keeps apart.
 * What is around them is small and of this file: a KVM, an accel blocker, RCU
 * and one mapper, whose locks are the only ones there are.
 *
 * Objects: one window; two vCPUs, each of which stores ever larger numbers into
 * pages of its own, as KVM does as long as the window has a table, and else
 * under the BQL; a device that translates without a lock; and the main thread,
 * which has somebody come who has to see all, and go again.
 *
 * Invariants: the number that is seen in a page never becomes smaller, and when
 * all have stopped, each page has the last one in the window and in the copy.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/memfd.h"
#include "hw/ppc/spapr_locked_size.h"
#include "spapr_dma_private.h"
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sys/mman.h>

#define ENTRIES     4096
#define SCRATCH     2048            /* a leaf of each vCPU from here on */
#define VCPUS       2
#define PAGES       8               /* of each vCPU */
#define CHANGES     200             /* of who has the window */
#define PAGE_SHIFT  12
#define LEAST       100             /* stores of each vCPU by each way */

static SpaprDmaMachine machine;
static SpaprDmaSpace space;
static SpaprDmaMapper copy_mapper, watcher;
static SpaprDmaWindow window;
static pthread_mutex_t bql = PTHREAD_MUTEX_INITIALIZER;
static bool stop;
static uint64_t last[VCPUS][PAGES];
static unsigned by_kvm[VCPUS], by_qemu[VCPUS];      /* stores */

/* What the host has of the window; KVM and QEMU write to it */
static pthread_mutex_t copy_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t copy[ENTRIES];

/*
 * The kernel replaces a mapping for all threads at once, and what is there has
 * the same words before and after.
 */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:table_detach\n";
}

/* ---- what is around ---- */

static pthread_rwlock_t in_kvm =
    PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
static pthread_rwlock_t in_rcu =
    PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;

const char *error_get_pretty(const Error *err)
{
    return "";
}

void error_free(Error *err)
{
}

bool memory_region_is_mapped(MemoryRegion *mr)
{
    return mr->mapped;
}

size_t qemu_real_host_page_size(void)
{
    return 4096;
}

uint64_t spapr_locked_kvm_table(uint64_t host_page, uint64_t entries)
{
    return entries * sizeof(uint64_t);
}

int qemu_memfd_create(const char *name, size_t size, bool hugetlb,
                      uint64_t hugetlbsize, unsigned int seals, Error **errp)
{
    int fd = memfd_create(name, 0);

    g_assert(fd >= 0 && !ftruncate(fd, size));
    return fd;
}

void accel_ioctl_inhibit_begin(void)
{
    pthread_rwlock_wrlock(&in_kvm);
}

void accel_ioctl_inhibit_end(void)
{
    pthread_rwlock_unlock(&in_kvm);
}

SpaprDmaMachine *spapr_dma_machine(void)
{
    return &machine;
}

bool spapr_dma_space_notified(const SpaprDmaSpace *unused)
{
    return false;
}

/* What waits for its last reader; under the BQL, as all that writes stores */
static GPtrArray *blocks, *stores;

static void release_block(void *block)
{
    g_ptr_array_add(blocks, block);
}

SpaprTceStore *spapr_dma_store_new(const SpaprDmaWindow *w)
{
    return spapr_tce_store_new(ENTRIES, PAGE_SHIFT, &machine.budget,
                               release_block);
}

void spapr_dma_window_set_store(SpaprDmaWindow *w, SpaprTceStore *store)
{
    SpaprTceStore *old = w->store;

    qatomic_rcu_set(&w->store, store);
    g_ptr_array_add(stores, old);
}

/* Once all readers have been out, with the BQL */
static void reclaim(void)
{
    pthread_rwlock_wrlock(&in_rcu);
    pthread_rwlock_unlock(&in_rcu);
    g_ptr_array_set_size(blocks, 0);
    g_ptr_array_set_size(stores, 0);
}

/* ---- the copy, and KVM ---- */

static void copy_set(uint64_t index, uint64_t word)
{
    pthread_mutex_lock(&copy_lock);
    copy[index] = word;
    pthread_mutex_unlock(&copy_lock);
}

static bool copy_connect(SpaprDmaMapper *mapper, SpaprDmaWindow *w,
                         Error **errp)
{
    return true;
}

static const SpaprDmaMapperOps copy_ops = {
    .kvm_connect = copy_connect,
};

static bool fake_present(void)
{
    return true;
}

static uint64_t *fake_create_table(const SpaprDmaWindow *w, int *fd)
{
    void *words = mmap(NULL, ENTRIES * sizeof(uint64_t),
                       PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                       -1, 0);

    g_assert(words != MAP_FAILED);
    *fd = open("/dev/null", O_RDWR);
    g_assert(*fd >= 0);
    return words;
}

static const SpaprDmaKvmOps fake_kvm = {
    .present = fake_present,
    .updates_vfio = fake_present,
    .create_table = fake_create_table,
};

/* ---- vCPUs ---- */

/* The numbers look like TCEs, so that they may be mapped */
static uint64_t number_word(uint64_t number)
{
    return number << PAGE_SHIFT | 3;
}

static uint64_t page_of(unsigned vcpu, unsigned n)
{
    /* Neighbours are in one leaf, and in one cache line */
    return n * (SCRATCH / PAGES) + vcpu;
}

/* H_PUT_TCE in KVM; returns false if it has no such window */
static bool put_by_kvm(uint64_t index, uint64_t word)
{
    bool here;

    pthread_rwlock_rdlock(&in_kvm);
    here = window.kvm_fd >= 0;
    if (here) {
        qatomic_set(&window.kvm_words[index], word);
        copy_set(index, word);
    }
    pthread_rwlock_unlock(&in_kvm);
    return here;
}

/* The same in QEMU, which may find that KVM has the window by now */
static void put_by_qemu(uint64_t index, uint64_t word, uint64_t scratch)
{
    const uint64_t none = 0;
    bool held;

    pthread_mutex_lock(&bql);
    held = spapr_dma_kvm_hold(&window);
    copy_set(index, word);
    /* Once the leaf of @index is used, that of @scratch is empty and goes */
    spapr_tce_store_put(window.store, scratch, &word, 1);
    spapr_tce_store_put(window.store, scratch, &none, 1);
    spapr_tce_store_put(window.store, index, &word, 1);
    spapr_dma_kvm_release(held);
    pthread_mutex_unlock(&bql);
}

static void *vcpu(void *opaque)
{
    unsigned me = GPOINTER_TO_UINT(opaque);
    uint64_t number = 0;

    while (!qatomic_read(&stop)) {
        unsigned n = ++number % PAGES;
        uint64_t index = page_of(me, n), word = number_word(number);

        if (put_by_kvm(index, word)) {
            qatomic_inc(&by_kvm[me]);
        } else {
            put_by_qemu(index, word,
                        SCRATCH + me * SPAPR_TCE_LEAF_ENTRIES);
            qatomic_inc(&by_qemu[me]);
        }
        last[me][n] = word;
    }
    return NULL;
}

/* ---- a device ---- */

static void *device(void *unused)
{
    static uint64_t seen[VCPUS * PAGES];

    while (!qatomic_read(&stop)) {
        pthread_rwlock_rdlock(&in_rcu);
        for (unsigned i = 0; i < VCPUS * PAGES; i++) {
            SpaprTceStore *store = spapr_dma_store_read(&window);
            uint64_t word = spapr_tce_store_get(store, page_of(i / PAGES,
                                                               i % PAGES));

            spapr_tce_store_get(store, SCRATCH + i / PAGES *
                                       SPAPR_TCE_LEAF_ENTRIES);
            if (word < seen[i]) {
                g_error("page %u had 0x%" PRIx64 ", and 0x%" PRIx64 " again",
                        i, seen[i], word);
            }
            seen[i] = word;
        }
        pthread_rwlock_unlock(&in_rcu);
    }
    return NULL;
}

/* ---- who has the window ---- */

static void window_setup(void)
{
    spapr_dma_kvm_set_ops(&fake_kvm);
    blocks = g_ptr_array_new_with_free_func(spapr_tce_block_free);
    stores = g_ptr_array_new_with_free_func(spapr_tce_store_free);
    copy_mapper.ops = &copy_ops;
    QLIST_INSERT_HEAD(&space.mappers, &copy_mapper, next);
    QLIST_INSERT_HEAD(&space.windows, &window, next);
    window.space = &space;
    window.machine = &machine;
    window.geometry = (SpaprDmaGeometry) {
        .page_shift = PAGE_SHIFT,
        .entries = ENTRIES,
    };
    window.kvm_fd = -1;
    window.iommu.parent.mapped = true;
    window.mappers = g_ptr_array_new();
    g_ptr_array_add(window.mappers, &copy_mapper);
    window.store = spapr_dma_store_new(&window);
}

/* Somebody comes who has to see all, or goes */
static void change(bool comes)
{
    pthread_mutex_lock(&bql);
    watcher.sees_all = comes;
    spapr_dma_kvm_update_space(&space);
    g_assert((window.kvm_fd < 0) == comes);
    reclaim();
    pthread_mutex_unlock(&bql);
}

/* Has each vCPU stored often enough in each way? */
static bool enough(void)
{
    for (unsigned i = 0; i < VCPUS; i++) {
        if (qatomic_read(&by_kvm[i]) < LEAST ||
            qatomic_read(&by_qemu[i]) < LEAST) {
            return false;
        }
    }
    return true;
}

static void test_two_writers(void)
{
    pthread_t threads[VCPUS + 1];

    window_setup();
    watcher.ops = &copy_ops;
    QLIST_INSERT_HEAD(&space.mappers, &watcher, next);
    for (unsigned i = 0; i < VCPUS; i++) {
        pthread_create(&threads[i], NULL, vcpu, GUINT_TO_POINTER(i));
    }
    pthread_create(&threads[VCPUS], NULL, device, NULL);

    for (unsigned i = 0; i < CHANGES || !enough(); i++) {
        change(i & 1);
        g_usleep(200);
    }
    qatomic_set(&stop, true);
    for (unsigned i = 0; i < VCPUS + 1; i++) {
        pthread_join(threads[i], NULL);
    }
    for (unsigned i = 0; i < VCPUS * PAGES; i++) {
        uint64_t index = page_of(i / PAGES, i % PAGES);

        g_assert_cmphex(spapr_tce_store_look(window.store, index), ==,
                        last[i / PAGES][i % PAGES]);
        g_assert_cmphex(copy[index], ==, last[i / PAGES][i % PAGES]);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/spapr-dma-kvm/two-writers", test_two_writers);
    return g_test_run();
}
