/*
 * The other store: TCE words in one flat, reserved mapping
 *
 * Invariants, whenever no call is under way, for a store that owns its words:
 *   - a page that is not held is a hole of the mapping, or zero;
 *   - @live of a page counts its populated words and is not looked at in a
 *     region that holds no page;
 *   - a page is held if its @live is not 0, or if it is @idle;
 *   - @regions counts the held pages of each region, @held those of all,
 *     @held_regions the regions whose count is not 0.
 *
 * Readers without a lock look at @regions, @live and the word, in this order,
 * and a writer publishes them the other way around.  A page that goes away
 * below a reader reads as zero, which is what was stored last, so nothing
 * waits for readers.  In a private mapping such a read costs at most a page
 * table.  In a shared one it costs a page, which stays until the region is
 * given back: to be exact, holes would have to be punched by RCU there.
 *
 * Page tables are the larger half of a mapping with one word here and there.
 * MADV_DONTNEED leaves them (before Linux 6.14, and on most architectures
 * after it), so a region is given back by mapping it anew.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "qemu/osdep.h"
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>
#include "flat_store.h"

#define NO_PAGE UINT64_MAX

/* Page tables of a region: each entry of one is 8 bytes, as a word is */
#define REGION_TABLES 4

/* What the words of a page table map is a stretch without other mappings */
#define TABLE_PAGES 512

#ifdef FLAT_STORE_SHARED
#define SHARED_ONLY true
#else
#define SHARED_ONLY false
#endif

#ifdef FLAT_STORE_PAGE
static size_t page_size(void)
{
    return FLAT_STORE_PAGE;
}
#else
static size_t page_size(void)
{
    return getauxval(AT_PAGESZ);
}
#endif

static uint64_t word_load(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void word_store(uint64_t *word, uint64_t tce)
{
    __atomic_store_n(word, tce, __ATOMIC_RELAXED);
}

static uint64_t round_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

static uint64_t clip(const FlatStore *store, uint64_t index, uint64_t count)
{
    return index < store->entries ? MIN(count, store->entries - index) : 0;
}

/*
 * The mapping
 */

static uint8_t *map_words(FlatStore *store, void *where, size_t size,
                          size_t offset)
{
    int fixed = where ? MAP_FIXED : 0;
    void *map;

    if (store->fd < 0) {
        map = mmap(where, size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed,
                   -1, 0);
    } else {
        map = mmap(where, size, PROT_READ | PROT_WRITE, MAP_SHARED | fixed,
                   store->fd, offset);
    }
    store->calls++;
    if (map == MAP_FAILED) {
        return NULL;
    }
    /* One word must not cost 2 MiB */
    store->calls++;
    madvise(map, size, MADV_NOHUGEPAGE);
    return map;
}

/* vm.overcommit_memory=2 counts a private mapping as if it were populated */
static bool map_shared(FlatStore *store)
{
    store->fd = memfd_create("tce", MFD_CLOEXEC);
    if (store->fd < 0 || ftruncate(store->fd, store->map_size) < 0) {
        return false;
    }
    store->map = map_words(store, NULL, store->map_size, 0);
    return store->map;
}

/* Give back what the mapping holds in whole pages, but not its page tables */
static void discard(FlatStore *store, void *where, size_t size)
{
    store->calls++;
    if (store->fd < 0) {
        madvise(where, size, MADV_DONTNEED);
    } else {
        madvise(where, size, MADV_REMOVE);
    }
}

/* Give back all that some regions hold; they hold no page any more */
static void discard_regions(FlatStore *store, uint64_t first, uint64_t count)
{
    unsigned bits = store->region_bits + store->page_bits + 3;
    uint8_t *words = (uint8_t *)store->words;
    size_t from = first << bits;
    size_t size = MIN(count << bits, store->live_offset - from);

    if (store->fd >= 0) {
        discard(store, words + from, size);
    }
    if (!map_words(store, words + from, size,
                   words + from - store->map)) {
        discard(store, words + from, size);
    }
    discard(store, words + store->live_offset + first * page_size(),
            count * page_size());
}

/*
 * Pages
 */

/* The caller has put a word into a page that had none */
static void page_filled(FlatStore *store, uint64_t page)
{
    uint16_t *region = &store->regions[page >> store->region_bits];

    if (page == store->idle) {
        store->idle = NO_PAGE;
        return;
    }
    store->held++;
    store->held_regions += !*region;
    __atomic_store_n(region, *region + 1, __ATOMIC_RELEASE);
}

static void release_page(FlatStore *store, uint64_t page)
{
    uint16_t *region = &store->regions[page >> store->region_bits];

    store->held--;
    __atomic_store_n(region, *region - 1, __ATOMIC_RELEASE);
    if (*region) {
        discard(store, &store->words[page << store->page_bits], page_size());
    } else {
        store->held_regions--;
        discard_regions(store, page >> store->region_bits, 1);
    }
}

static void keep_idle(FlatStore *store, uint64_t page)
{
    uint64_t old = store->idle;

    store->idle = page;
    if (old != NO_PAGE) {
        release_page(store, old);
    }
}

/* @change words more than before are populated in @page, which had @live */
static void page_changed(FlatStore *store, uint64_t page, unsigned live,
                         int change)
{
    if (!live && change) {
        page_filled(store, page);
    }
    store->populated += change;
    __atomic_store_n(&store->live[page], live + change, __ATOMIC_RELEASE);
    if (live && !(live + change)) {
        keep_idle(store, page);
    }
}

static void put_in_page(FlatStore *store, uint64_t index,
                        const uint64_t *tces, uint64_t count)
{
    uint64_t page = index >> store->page_bits;
    unsigned live = flat_store_live(store, page);
    uint64_t *words = &store->words[index];
    uint64_t i = 0;
    int change = 0;

    if (!live) {
        while (i < count && !tces[i]) {
            i++;
        }
        if (i == count) {
            return;
        }
        /* A write first, or the kernel would map its page of zeroes */
        word_store(&words[i], tces[i]);
        change = 1;
        i++;
    }
    for (; i < count; i++) {
        change += (tces[i] != 0) - (words[i] != 0);
        word_store(&words[i], tces[i]);
    }
    page_changed(store, page, live, change);
}

static void clear_in_page(FlatStore *store, uint64_t index, uint64_t count)
{
    uint64_t page = index >> store->page_bits;
    unsigned live = flat_store_live(store, page);
    uint64_t *words = &store->words[index];
    int change = 0;

    if (!live) {
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        change -= words[i] != 0;
        word_store(&words[i], 0);
    }
    page_changed(store, page, live, change);
}

/* The first of @counts at or after @i, and before @end, that is not 0 */
static uint64_t next_count(const uint16_t *counts, uint64_t i, uint64_t end)
{
    while (i < end && !counts[i]) {
        uint64_t four;

        memcpy(&four, &counts[i & ~UINT64_C(3)], sizeof(four));
        i = four ? i + 1 : (i | 3) + 1;
    }
    return MIN(i, end);
}

/* The first page at or after @page, and before @end, that is populated */
static uint64_t next_page(const FlatStore *store, uint64_t page, uint64_t end)
{
    unsigned bits = store->region_bits;

    while (page < end) {
        uint64_t region = page >> bits, stop = (region + 1) << bits;

        if (!store->regions[region]) {
            page = next_count(store->regions, region,
                              ((end - 1) >> bits) + 1) << bits;
            continue;
        }
        stop = MIN(stop, end);
        page = next_count(store->live, page, stop);
        if (page < stop) {
            return page;
        }
    }
    return end;
}

/* Pages [@first, @end) get empty and none of them stays */
static void clear_pages(FlatStore *store, uint64_t first, uint64_t end)
{
    unsigned bits = store->region_bits;
    uint64_t mask = (UINT64_C(1) << bits) - 1;
    uint64_t page, held = store->held;

    for (page = first; (page = next_page(store, page, end)) < end; page++) {
        store->populated -= store->live[page];
        __atomic_store_n(&store->live[page], 0, __ATOMIC_RELEASE);
        store->regions[page >> bits]--;
        store->held_regions -= !store->regions[page >> bits];
        store->held--;
    }
    if (store->idle >= first && store->idle < end) {
        store->regions[store->idle >> bits]--;
        store->held_regions -= !store->regions[store->idle >> bits];
        store->held--;
        store->idle = NO_PAGE;
    }
    if (held == store->held) {
        return;
    }

    /* Regions at both ends may hold pages still, those between them do not */
    while (first < end && (first & mask || (first | mask) >= end)) {
        uint64_t stop = MIN((first | mask) + 1, end);

        if (!store->regions[first >> bits]) {
            discard_regions(store, first >> bits, 1);
        } else {
            discard(store, &store->words[first << store->page_bits],
                    (stop - first) * page_size());
        }
        first = stop;
    }
    if (first < end) {
        discard_regions(store, first >> bits, (end - first) >> bits);
        if (end & mask) {
            first = end & ~mask;
            if (!store->regions[first >> bits]) {
                discard_regions(store, first >> bits, 1);
            } else {
                discard(store, &store->words[first << store->page_bits],
                        (end - first) * page_size());
            }
        }
    }
}

/*
 * Calls
 */

FlatStore *flat_store_new(uint64_t entries)
{
    uint64_t page = page_size(), page_words = page / sizeof(uint64_t);
    uint64_t pages, live, aligned = TABLE_PAGES * page;
    FlatStore *store;

    if (!entries || entries > SIZE_MAX / 2 / sizeof(uint64_t) - 4 * aligned) {
        return NULL;
    }
    pages = round_up(round_up(entries, page_words) / page_words, TABLE_PAGES);
    live = round_up(pages * sizeof(uint16_t), page);
    store = g_new0(FlatStore, 1);
    store->fd = -1;
    store->entries = entries;
    store->idle = NO_PAGE;
    store->page_bits = __builtin_ctzll(page_words);
    store->region_bits = __builtin_ctzll(page / sizeof(uint16_t));
    store->live_offset = pages * page;
    store->map_size = store->live_offset + live + aligned;
    if (!SHARED_ONLY) {
        store->map = map_words(store, NULL, store->map_size, 0);
    }
    if (!store->map && !map_shared(store)) {
        flat_store_free(store);
        return NULL;
    }
    store->words = (uint64_t *)round_up((uintptr_t)store->map, aligned);
    store->live = (uint16_t *)((uint8_t *)store->words + store->live_offset);
    store->regions = g_new0(uint16_t, round_up(live / page, 4));
    return store;
}

FlatStore *flat_store_new_on(uint64_t *words, uint64_t entries)
{
    FlatStore *store;

    if (!entries || entries > SIZE_MAX / sizeof(uint64_t)) {
        return NULL;
    }
    store = g_new0(FlatStore, 1);
    store->fd = -1;
    store->entries = entries;
    store->words = words;
    store->idle = NO_PAGE;
    store->page_bits = 9;
    return store;
}

void flat_store_free(FlatStore *store)
{
    if (!store) {
        return;
    }
    if (store->map) {
        munmap(store->map, store->map_size);
    }
    if (store->fd >= 0) {
        close(store->fd);
    }
    g_free(store->regions);
    g_free(store);
}

void flat_store_set_slow(FlatStore *store, uint64_t index, uint64_t tce)
{
    flat_store_put(store, index, &tce, 1);
}

static uint64_t clip_to_page(const FlatStore *store, uint64_t index,
                             uint64_t count)
{
    uint64_t page_words = UINT64_C(1) << store->page_bits;

    return MIN(count, page_words - index % page_words);
}

/* Word by word, and no page is given back but the idle one */
static void clear_words(FlatStore *store, uint64_t index, uint64_t count)
{
    uint64_t n;

    for (; count; index += n, count -= n) {
        n = clip_to_page(store, index, count);
        if (store->live) {
            clear_in_page(store, index, n);
        } else {
            for (uint64_t i = 0; i < n; i++) {
                word_store(&store->words[index + i], 0);
            }
        }
    }
}

void flat_store_put(FlatStore *store, uint64_t index, const uint64_t *tces,
                    uint64_t count)
{
    uint64_t n;

    count = clip(store, index, count);
    for (; count; index += n, tces += n, count -= n) {
        n = clip_to_page(store, index, count);
        if (store->live) {
            put_in_page(store, index, tces, n);
        } else {
            for (uint64_t i = 0; i < n; i++) {
                word_store(&store->words[index + i], tces[i]);
            }
        }
    }
}

void flat_store_fill(FlatStore *store, uint64_t index, uint64_t tce,
                     uint64_t count)
{
    uint64_t same[FLAT_STORE_SPAN];
    uint64_t n;

    if (!tce) {
        flat_store_clear(store, index, count);
        return;
    }
    for (unsigned i = 0; i < FLAT_STORE_SPAN; i++) {
        same[i] = tce;
    }
    count = clip(store, index, count);
    for (; count; index += n, count -= n) {
        n = MIN(count, FLAT_STORE_SPAN - index % FLAT_STORE_SPAN);
        flat_store_put(store, index, same, n);
    }
}

void flat_store_clear(FlatStore *store, uint64_t index, uint64_t count)
{
    uint64_t page_words = UINT64_C(1) << store->page_bits;
    uint64_t first, end;

    count = clip(store, index, count);
    if (!count) {
        return;
    }
    first = round_up(index, page_words);
    end = index + count == store->entries
        ? round_up(store->entries, page_words)
        : (index + count) / page_words * page_words;
    /* What is done with one page is likely to be done again */
    if (!store->live ||
        (first + page_words >= end && count < store->entries)) {
        clear_words(store, index, count);
        return;
    }
    clear_words(store, index, first - index);
    clear_pages(store, first / page_words, end / page_words);
    if (end < index + count) {
        clear_words(store, end, index + count - end);
    }
}

uint64_t flat_store_populated(const FlatStore *store)
{
    uint64_t populated = 0;

    if (store->live) {
        return store->populated;
    }
    for (uint64_t i = 0; i < store->entries; i++) {
        populated += word_load(&store->words[i]) != 0;
    }
    return populated;
}

/* What the kernel may hold for it at most, page tables included */
uint64_t flat_store_bytes(const FlatStore *store)
{
    uint64_t tables = MIN(store->held, store->held_regions * REGION_TABLES);

    return (store->held + store->held_regions + tables) * page_size();
}

static bool trim(const uint64_t *words, uint64_t index, uint64_t count,
                 FlatSpan *span)
{
    while (count && !word_load(words)) {
        words++;
        index++;
        count--;
    }
    while (count > 1 && !word_load(&words[count - 1])) {
        count--;
    }
    *span = (FlatSpan) { index, count, words };
    return count;
}

bool flat_store_next_span(const FlatStore *store, uint64_t *index,
                          FlatSpan *span)
{
    uint64_t last = (store->entries - 1) >> store->page_bits;

    while (*index < store->entries) {
        uint64_t page = *index >> store->page_bits;
        uint64_t count = FLAT_STORE_SPAN - *index % FLAT_STORE_SPAN;

        if (store->live && !flat_store_live(store, page)) {
            *index = next_page(store, page, last + 1) << store->page_bits;
            continue;
        }
        count = clip(store, *index, count);
        if (trim(&store->words[*index], *index, count, span)) {
            *index = span->index + span->count;
            return true;
        }
        *index += count;
    }
    return false;
}
