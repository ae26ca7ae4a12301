/*
 * Fuzz target for sPAPR DMA windows: what else listens to IOMMU notifiers
 *
 * Objects, one of each for each window of PHB 0: a Type1, which does what a
 * VFIO container does on a host without TCEs, and a Cache, which does what
 * vhost does.  A Type1 maps host memory where it is told to; its host refuses
 * to map twice, and to unmap a part of what was mapped in one go.  The window
 * is cut in two for it, in the middle of a page if that is larger than 4 KiB.
 * A Cache looks a page up when a device uses it, hears of nothing but what is
 * unmapped, and relies on that.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/interval-tree.h"
#include "qemu/rcu.h"
#include "qapi/error.h"
#include "hw/ppc/spapr.h"
#include "spapr_dma_fuzz.h"

#define TYPE1_SPLIT     (32 * MiB + 44 * KiB)

Type1 type1s[REF_WINDOWS_PER_PHB];
Cache caches[REF_WINDOWS_PER_PHB];

typedef struct Pin {
    IntervalTreeNode range;
    uint64_t gpa;
    uint8_t *host;
    unsigned perm;
} Pin;

/* ---- type 1 ---- */

/* The first pin of a range, or NULL */
static Pin *pin_find(Type1 *type1, uint64_t iova, uint64_t last)
{
    IntervalTreeNode *node = interval_tree_iter_first(&type1->pins, iova,
                                                      last);

    return node ? container_of(node, Pin, range) : NULL;
}

static void type1_map(Type1 *type1, IOMMUTLBEntry *entry)
{
    uint64_t last = entry->iova + entry->addr_mask;
    bool read_only;
    void *host;
    Pin *pin;

    if (pin_find(type1, entry->iova, last)) {
        fail("type 1 is to map 0x%" PRIx64 " once more", entry->iova);
    }
    RCU_READ_LOCK_GUARD();
    if (!memory_get_xlat_addr(entry, &host, NULL, &read_only, NULL, NULL)) {
        return;                 /* no RAM, or that of two backends */
    }
    pin = g_new0(Pin, 1);
    pin->range.start = entry->iova;
    pin->range.last = last;
    pin->gpa = entry->translated_addr;
    pin->host = host;
    pin->perm = read_only ? entry->perm & IOMMU_RO : entry->perm;
    interval_tree_insert(&pin->range, &type1->pins);
    type1->pinned++;
}

static void type1_unmap(Type1 *type1, uint64_t iova, uint64_t last)
{
    Pin *pin;

    while ((pin = pin_find(type1, iova, last))) {
        if (pin->range.start < iova || pin->range.last > last) {
            fail("type 1 is to unmap a part of 0x%" PRIx64, pin->range.start);
        }
        interval_tree_remove(&pin->range, &type1->pins);
        type1->pinned--;
        g_free(pin);
    }
}

static void type1_notify(IOMMUNotifier *n, IOMMUTLBEntry *entry)
{
    Type1 *type1 = container_of(n, Type1Half, n)->type1;
    uint64_t last = entry->iova + entry->addr_mask;

    if (entry->iova < n->start || last > n->end) {
        fail("type 1 hears of 0x%" PRIx64 " to 0x%" PRIx64, entry->iova, last);
    }
    if (entry->perm) {
        type1_map(type1, entry);
    } else {
        type1_unmap(type1, entry->iova, last);
    }
}

/* What is left of a page up to @end; it is told in powers of two */
static uint64_t piece_size(uint64_t iova, uint64_t end)
{
    uint64_t size = iova & -iova ?: 1ULL << 63;

    while (size > end - iova) {
        size /= 2;
    }
    return size;
}

/* A host maps what has one address in it, as the word says */
static unsigned check_piece(Type1 *type1, uint64_t iova, uint64_t size,
                            uint64_t gpa, unsigned perm)
{
    const Pin *pin = pin_find(type1, iova, iova + size - 1);
    uint64_t last = iova + size - 1;

    if (!ref_is_writable(ref, gpa, size)) {
        perm &= 1;
    }
    if (!pin && !ref_in_one(ref, gpa, size)) {
        return 0;
    }
    if (!pin || pin->range.start != iova || pin->range.last != last ||
        pin->gpa != gpa || pin->perm != perm) {
        fail("type 1 has 0x%" PRIx64 " at 0x%" PRIx64 ", not 0x%" PRIx64,
             pin ? pin->gpa | pin->perm : 0, iova, gpa | perm);
    }
    return 1;
}

/* Returns in how many pieces a page should be there */
static unsigned check_type1_page(Type1 *type1, const RefWindow *window,
                                 uint64_t page, uint64_t word)
{
    uint64_t iova = page << window->shift, size, end;
    uint64_t gpa = ref_target(window, word);
    unsigned pieces = 0;

    end = iova + (1ULL << window->shift);
    for (; iova < end; iova += size, gpa += size) {
        size = piece_size(iova, iova < TYPE1_SPLIT ? MIN(end, TYPE1_SPLIT) :
                                                     end);
        pieces += check_piece(type1, iova, size, gpa, word & 3);
    }
    return pieces;
}

static void check_type1(Type1 *type1, const RefWindow *window)
{
    GHashTableIter iter;
    gpointer key, value;
    uint64_t pinned = 0;

    if (unplugged) {
        return;                 /* it has what was there, or nothing */
    }
    g_hash_table_iter_init(&iter, window->words);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        if ((uint64_t)value & 3) {
            pinned += check_type1_page(type1, window, (uint64_t)key,
                                       (uint64_t)value);
        }
    }
    if (type1->pinned != pinned) {
        fail("type 1 has %" PRIu64 " pages or parts of window 0x%x, not %"
             PRIu64, type1->pinned, window->liobn, pinned);
    }
}

static void half_register(Type1 *type1, unsigned half)
{
    IOMMUNotifier *n = &type1->halves[half].n;

    type1->halves[half].type1 = type1;
    iommu_notifier_init(n, type1_notify, IOMMU_NOTIFIER_IOTLB_EVENTS,
                        half ? TYPE1_SPLIT : 0,
                        half ? HWADDR_MAX : TYPE1_SPLIT - 1, 0);
    memory_region_register_iommu_notifier(MEMORY_REGION(&type1->window->iommu),
                                          n, &error_abort);
}

static void type1_join(Type1 *type1)
{
    type1->registered = true;
    for (unsigned half = 0; half < 2; half++) {
        half_register(type1, half);
    }
    for (unsigned half = 0;
         half < 2 && spapr_dma_window_enabled(type1->window); half++) {
        memory_region_iommu_replay(&type1->window->iommu,
                                   &type1->halves[half].n);
    }
}

static void type1_leave(Type1 *type1)
{
    for (unsigned half = 0; half < 2; half++) {
        memory_region_unregister_iommu_notifier(
            MEMORY_REGION(&type1->window->iommu), &type1->halves[half].n);
    }
    type1->registered = false;
    type1_unmap(type1, 0, UINT64_MAX);
}

void type1s_read(uint64_t addr, uint64_t size, const uint8_t *expected)
{
    for (int i = 0; i < REF_WINDOWS_PER_PHB && !unplugged; i++) {
        uint64_t at = addr - type1s[i].window->geometry.bus_offset;
        const Pin *pin = pin_find(&type1s[i], at, at);

        if (pin && pin->range.last - at >= size - 1 &&
            memcmp(pin->host + (at - pin->range.start), expected, size)) {
            fail("type 1 has other memory at 0x%" PRIx64, at);
        }
    }
}

/* ---- caches ---- */

static gboolean page_is_in(gpointer key, gpointer value, gpointer opaque)
{
    const uint64_t *range = opaque;

    return (uint64_t)key >= range[0] && (uint64_t)key <= range[1];
}

static void cache_notify(IOMMUNotifier *n, IOMMUTLBEntry *entry)
{
    Cache *cache = container_of(n, Cache, n);
    unsigned shift = cache->window->geometry.page_shift;
    uint64_t range[] = { entry->iova >> shift,
                         (entry->iova + entry->addr_mask) >> shift };

    if (entry->perm) {
        fail("who hears of nothing but unmapping is told of 0x%" PRIx64,
             entry->iova);
    }
    g_hash_table_foreach_remove(cache->pages, page_is_in, range);
}

void caches_use(uint64_t addr)
{
    for (int i = 0; i < REF_WINDOWS_PER_PHB; i++) {
        Cache *cache = &caches[i];
        IOMMUMemoryRegion *iommu = &cache->window->iommu;
        uint64_t at = addr - cache->window->geometry.bus_offset;
        IOMMUTLBEntry entry;

        if (!cache->registered || at >= spapr_dma_window_size(cache->window)) {
            continue;
        }
        rcu_read_lock();
        entry = memory_region_get_iommu_class_nocheck(iommu)->translate(
            iommu, at, IOMMU_NONE, 0);
        rcu_read_unlock();
        if (entry.perm) {
            g_hash_table_insert(cache->pages,
                (gpointer)(at >> cache->window->geometry.page_shift),
                (gpointer)(entry.translated_addr | entry.perm));
        }
    }
}

static void check_cache(const Cache *cache, const RefWindow *window)
{
    GHashTableIter iter;
    gpointer key, value;

    g_hash_table_iter_init(&iter, cache->pages);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        uint64_t word = ref_word(window, (uint64_t)key);

        if ((uint64_t)value != (ref_target(window, word) | (word & 3))) {
            fail("0x%" PRIx64 " is cached of page 0x%" PRIx64 " of window 0x%x,"
                 " not 0x%" PRIx64, (uint64_t)value, (uint64_t)key,
                 window->liobn, word);
        }
    }
}

static void cache_join(Cache *cache)
{
    iommu_notifier_init(&cache->n, cache_notify, IOMMU_NOTIFIER_UNMAP, 0,
                        HWADDR_MAX, 0);
    memory_region_register_iommu_notifier(MEMORY_REGION(&cache->window->iommu),
                                          &cache->n, &error_abort);
    cache->registered = true;
}

static void cache_leave(Cache *cache)
{
    memory_region_unregister_iommu_notifier(
        MEMORY_REGION(&cache->window->iommu), &cache->n);
    cache->registered = false;
    g_hash_table_remove_all(cache->pages);
}

/* ---- both ---- */

bool listener_present(void)
{
    for (int i = 0; i < REF_WINDOWS_PER_PHB; i++) {
        if (type1s[i].registered || caches[i].registered) {
            return true;
        }
    }
    return false;
}

void listener_change(unsigned n)
{
    Type1 *type1 = &type1s[n / 2 % REF_WINDOWS_PER_PHB];
    Cache *cache = &caches[n / 2 % REF_WINDOWS_PER_PHB];

    if (n & 1 && type1->registered) {
        type1_leave(type1);
    } else if (n & 1) {
        type1_join(type1);
    } else if (cache->registered) {
        cache_leave(cache);
    } else {
        cache_join(cache);
    }
}

void listeners_leave(void)
{
    for (unsigned n = 0; n < 2 * REF_WINDOWS_PER_PHB; n++) {
        if (n & 1 ? type1s[n / 2].registered : caches[n / 2].registered) {
            listener_change(n);
        }
    }
}

void check_listeners(void)
{
    RefPhb *phb = g_ptr_array_index(ref->phbs, 0);

    for (int i = 0; i < REF_WINDOWS_PER_PHB; i++) {
        const RefWindow *window = &phb->windows[i];

        if (!window->exists && (type1s[i].pinned ||
                                g_hash_table_size(caches[i].pages))) {
            fail("window 0x%x went, and there are still pages of it",
                 window->liobn);
        }
        if (type1s[i].registered) {
            check_type1(&type1s[i], window);
        }
        check_cache(&caches[i], window);
    }
}

void listeners_setup(void)
{
    for (unsigned i = 0; i < REF_WINDOWS_PER_PHB; i++) {
        SpaprDmaWindow *window = spapr_dma_window_find(phbs[0]->dma_liobn[i]);

        type1s[i].window = caches[i].window = window;
        caches[i].pages = g_hash_table_new(NULL, NULL);
    }
}
