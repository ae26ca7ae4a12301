/*
 * The other store: TCE words in one flat, reserved mapping
 *
 * This is what the product's radix tree is compared with, complete enough to
 * take its place on a Linux host of 64 bits: the same words, ranges, locks and
 * spans, see the header of the tree.  Nothing but the comparison uses it.
 *
 * The words lie in address space that is reserved and not populated; the
 * kernel adds a page with the first word that is written to it.  A page whose
 * last word is cleared is given back, but for one: the page that was emptied
 * last is likely to be filled again.
 *
 * Words used here: a *page* is a page of the host, 512 words or (of 64 KiB)
 * 8192.  A page is *held* if it has a populated word or is the idle one.  A
 * *region* is as many pages as one page can count in 16 bits each, 8 MiB of
 * words.  What a region holds beside its words (that page of counts, and the
 * page tables) is given back when it holds no page any more.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_BENCH_STORE_FLAT_STORE_H
#define TESTS_BENCH_STORE_FLAT_STORE_H

/* A span never crosses a multiple of it */
#define FLAT_STORE_SPAN 512

typedef struct FlatStore FlatStore;

typedef struct FlatSpan {
    uint64_t index;
    uint64_t count;
    const uint64_t *tces;
} FlatSpan;

struct FlatStore {
    uint64_t entries;           /* set once */
    uint64_t *words;            /* set once */
    uint16_t *live;             /* populated words of each page; set once, */
                                /* NULL if the words are somebody else's */
    uint16_t *regions;          /* pages that each region holds */
    unsigned page_bits;         /* log2 of the words of a page */
    unsigned region_bits;       /* log2 of the pages of a region */
    uint64_t populated;
    uint64_t held;              /* pages */
    uint64_t held_regions;
    uint64_t idle;              /* page that is held and empty, or NO_PAGE */
    uint8_t *map;               /* all of the mapping, words and counts */
    size_t map_size;
    size_t live_offset;         /* in the part of @map that is used */
    int fd;                     /* -1 if the mapping is private */
    unsigned calls;             /* system calls about the mapping */
};

/* Returns NULL if the host has no address space for that many */
FlatStore *flat_store_new(uint64_t entries);
FlatStore *flat_store_new_on(uint64_t *words, uint64_t entries);
void flat_store_free(FlatStore *store);

void flat_store_set_slow(FlatStore *store, uint64_t index, uint64_t tce);
void flat_store_put(FlatStore *store, uint64_t index, const uint64_t *tces,
                    uint64_t count);
void flat_store_fill(FlatStore *store, uint64_t index, uint64_t tce,
                     uint64_t count);
void flat_store_clear(FlatStore *store, uint64_t index, uint64_t count);
uint64_t flat_store_populated(const FlatStore *store);
uint64_t flat_store_bytes(const FlatStore *store);
bool flat_store_next_span(const FlatStore *store, uint64_t *index,
                          FlatSpan *span);

/*
 * Populated words in the page of @index.  Reading a hole would make the kernel
 * add page tables, or a page if the mapping is shared; so look from the top.
 */
static inline unsigned flat_store_live(const FlatStore *store, uint64_t page)
{
    return __atomic_load_n(&store->regions[page >> store->region_bits],
                           __ATOMIC_ACQUIRE)
        ? __atomic_load_n(&store->live[page], __ATOMIC_ACQUIRE) : 0;
}

/* The only call that needs no lock */
static inline uint64_t flat_store_get(const FlatStore *store, uint64_t index)
{
    if (index >= store->entries ||
        (store->live && !flat_store_live(store, index >> store->page_bits))) {
        return 0;
    }
    return __atomic_load_n(&store->words[index], __ATOMIC_RELAXED);
}

static inline void flat_store_set(FlatStore *store, uint64_t index,
                                  uint64_t tce)
{
    if (index < store->entries && store->live) {
        uint64_t page = index >> store->page_bits;
        unsigned live = flat_store_live(store, page);

        if (live) {
            int change = (tce != 0) - (store->words[index] != 0);

            /* A page that gets empty is not as simple */
            if (live + change) {
                __atomic_store_n(&store->words[index], tce, __ATOMIC_RELAXED);
                __atomic_store_n(&store->live[page], live + change,
                                 __ATOMIC_RELEASE);
                store->populated += change;
                return;
            }
        }
    }
    flat_store_set_slow(store, index, tce);
}

#endif /* TESTS_BENCH_STORE_FLAT_STORE_H */
