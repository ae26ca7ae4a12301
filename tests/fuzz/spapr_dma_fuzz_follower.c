/*
 * Fuzz target for sPAPR DMA windows: followers, which are IOMMU notifiers
 *
 * There is one for each window of PHB 0.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/ppc/spapr.h"
#include "spapr_dma_fuzz.h"

Follower followers[REF_WINDOWS_PER_PHB];

/* One ends here and the next begins, as if something lay on the window */
#define FOLLOWER_SPLIT  (48 * MiB)

/* D15b: whoever follows a window that goes is told so of each page */
static void follower_refresh(Follower *follower)
{
    if (follower->generation != follower->window->generation) {
        follower->generation = follower->window->generation;
        if (g_hash_table_size(follower->pages)) {
            fail("window 0x%x went, and an IOMMU notifier has %u of its pages",
                 follower->window->liobn,
                 g_hash_table_size(follower->pages));
        }
    }
}

static gboolean page_is_below(gpointer key, gpointer value, gpointer opaque)
{
    const uint64_t *range = opaque;

    return (uint64_t)key - range[0] < range[1];
}

static void follower_notify(IOMMUNotifier *n, IOMMUTLBEntry *entry)
{
    Follower *follower = container_of(n, FollowerHalf, n)->follower;
    unsigned shift = follower->window->geometry.page_shift;
    uint64_t page = entry->iova >> shift;
    uint64_t count = (entry->addr_mask + 1) >> shift;
    uint64_t range[] = { page, count };

    follower_refresh(follower);
    if (!count || entry->iova & entry->addr_mask ||
        (entry->perm && entry->translated_addr & entry->addr_mask)) {
        fail("IOMMU event at 0x%" PRIx64 " to 0x%" PRIx64 ", mask 0x%" PRIx64,
             entry->iova, entry->translated_addr, entry->addr_mask);
    }
    /* D3: a host cannot take one page back of several mapped in one go */
    if (entry->perm && count != 1) {
        fail("an IOMMU event maps %" PRIu64 " pages", count);
    }
    if (!entry->perm) {
        g_hash_table_foreach_remove(follower->pages, page_is_below, range);
    }
    for (uint64_t i = 0; entry->perm && i < count; i++) {
        if (!g_hash_table_insert(follower->pages, (gpointer)(page + i),
                                 (gpointer)(entry->translated_addr +
                                            (i << shift) + entry->perm))) {
            fail("page 0x%" PRIx64 " is told to an IOMMU notifier twice",
                 page + i);
        }
    }
}

void check_followers(void)
{
    RefPhb *phb = g_ptr_array_index(ref->phbs, 0);

    for (int i = 0; i < REF_WINDOWS_PER_PHB; i++) {
        const RefWindow *window = &phb->windows[i];
        Follower *follower = &followers[i];
        uint64_t mapped = 0;
        GHashTableIter iter;
        gpointer key, value;

        if (!follower->registered || !window->exists) {
            continue;
        }
        follower_refresh(follower);
        g_hash_table_iter_init(&iter, window->words);
        while (g_hash_table_iter_next(&iter, &key, &value)) {
            uint64_t word = (uint64_t)value;
            uint64_t has = (uint64_t)g_hash_table_lookup(follower->pages, key);

            mapped += (word & 3) != 0;
            if (word & 3 && has != (ref_target(window, word) | (word & 3))) {
                fail("IOMMU notifier has 0x%" PRIx64 " at page 0x%" PRIx64
                     " of window 0x%x, not 0x%" PRIx64, has, (uint64_t)key,
                     window->liobn, word);
            }
        }
        if (g_hash_table_size(follower->pages) != mapped) {
            fail("IOMMU notifier has %u pages of window 0x%x, not %" PRIu64,
                 g_hash_table_size(follower->pages), window->liobn, mapped);
        }
    }
}

static bool follower_register(Follower *follower, unsigned half,
                              unsigned events)
{
    IOMMUNotifier *n = &follower->halves[half].n;

    follower->halves[half].follower = follower;
    iommu_notifier_init(n, follower_notify, events, half ? FOLLOWER_SPLIT : 0,
                        half ? HWADDR_MAX : FOLLOWER_SPLIT - 1, 0);
    return !memory_region_register_iommu_notifier(
        MEMORY_REGION(&follower->window->iommu), n, NULL);
}

void follower_join(Follower *follower)
{
    SpaprDmaWindow *window = follower->window;

    if (follower_register(follower, 0, IOMMU_NOTIFIER_DEVIOTLB_UNMAP)) {
        fail("window 0x%x lets ATS in", window->liobn);
    }
    for (unsigned half = 0; half < 2; half++) {
        if (!follower_register(follower, half, IOMMU_NOTIFIER_IOTLB_EVENTS)) {
            fail("window 0x%x lets no IOMMU notifier in", window->liobn);
        }
    }
    follower->registered = true;
    follower->generation = window->generation;
    if (window->kvm_fd >= 0) {
        fail("KVM handles window 0x%x with an IOMMU notifier", window->liobn);
    }
    for (unsigned half = 0; half < 2 && spapr_dma_window_enabled(window);
         half++) {
        memory_region_iommu_replay(&window->iommu, &follower->halves[half].n);
    }
}

void follower_leave(Follower *follower)
{
    for (unsigned half = 0; half < 2; half++) {
        memory_region_unregister_iommu_notifier(
            MEMORY_REGION(&follower->window->iommu),
            &follower->halves[half].n);
    }
    follower->registered = false;
    g_hash_table_remove_all(follower->pages);
}

void followers_setup(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(followers); i++) {
        followers[i].window = spapr_dma_window_find(phbs[0]->dma_liobn[i]);
        followers[i].pages = g_hash_table_new(NULL, NULL);
    }
}
