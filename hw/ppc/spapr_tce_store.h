/*
 * sPAPR TCE store: the words behind one DMA window
 *
 * A store is an array of 64-bit words, one TCE (translation control entry)
 * per page of its window, in host byte order.  It knows words and the size of
 * their pages: no bus address, no guest RAM, nobody who mirrors it.
 *
 * There are two backings behind the same calls:
 *
 *   sparse   a radix tree that holds what is not zero and nothing else, so
 *            that a window may be as large as a guest likes;
 *   flat     a view of an array that somebody else made, such as the mapping
 *            that KVM hands out for its own table.
 *
 * Words used here: an entry's *index* counts from the start of the window.
 * A word without permission makes its page fault, whatever its other bits
 * say; they are kept, since the guest may read them back.  A word is
 * *populated* if it is not zero.  A *span* is a stretch of stored words; a
 * *run* is a stretch of entries that can be mapped in one go.
 *
 * Ranges: @index + @count may be anything.  What lies beyond the end of the
 * store reads as zero and is ignored when written, so that no argument can
 * do harm; a caller that has to tell its guest checks the range before.
 *
 * Memory: several stores share a budget, which counts what their trees hold
 * and what is not theirs any more but waits for its last reader.  A store
 * only counts; whoever writes words looks at the budget before.
 *
 * Locks: the caller serialises everything but spapr_tce_store_get(), which
 * may run at any time against one writer, provided that it runs in an RCU
 * read-side section and the function given to spapr_tce_store_new() waits
 * for such sections to end.
 *
 * Nothing fails but the allocation of a few KiB, which ends the process as
 * every small allocation does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_PPC_SPAPR_TCE_STORE_H
#define HW_PPC_SPAPR_TCE_STORE_H

#include "spapr_tce_run.h"

#define SPAPR_TCE_STORE_MAX_ENTRIES (UINT64_C(1) << 52)

/* Words of a leaf; a span never crosses a multiple of it */
#define SPAPR_TCE_LEAF_ENTRIES 512

/* Bytes at the start of what is released that its receiver may use */
#define SPAPR_TCE_DEFER_ROOM (2 * sizeof(void *))

typedef struct SpaprTceStore SpaprTceStore;

/**
 * SpaprTceBudget: what several stores take together
 * @used: bytes of all trees, those that wait to be freed included; read it
 *        with qatomic_read()
 */
typedef struct SpaprTceBudget {
    size_t used;
} SpaprTceBudget;

/**
 * SpaprTceDefer: takes over a block that readers may still look at
 * @block: hand it to spapr_tce_block_free() once no reader can know it any
 *         more; its first %SPAPR_TCE_DEFER_ROOM bytes suit a link until then
 */
typedef void (*SpaprTceDefer)(void *block);

/**
 * SpaprTceWordsFree: gives the array of a flat store back to its maker
 */
typedef void (*SpaprTceWordsFree)(uint64_t *words, uint64_t entries);

/**
 * SpaprTceSpan: stored words, the first and the last of them populated
 * @index: of the first word
 * @count: how many, 1 .. %SPAPR_TCE_LEAF_ENTRIES
 * @tces: the words; valid until the store is written
 */
typedef struct SpaprTceSpan {
    uint64_t index;
    uint64_t count;
    const uint64_t *tces;
} SpaprTceSpan;

/**
 * spapr_tce_store_new: make a sparse store of zeroes
 * @entries: 1 .. %SPAPR_TCE_STORE_MAX_ENTRIES
 * @page_shift: log2 of the page size in bytes, below 64
 * @budget: where to count bytes; outlives all blocks of the store
 * @defer: takes over each emptied block; NULL if no reader goes without lock
 *
 * Returns NULL if @entries is outside of that.  A store that was never
 * written, or cleared as a whole, holds no memory but its handle.
 */
SpaprTceStore *spapr_tce_store_new(uint64_t entries, unsigned page_shift,
                                   SpaprTceBudget *budget,
                                   SpaprTceDefer defer);

/**
 * spapr_tce_store_new_flat: look at somebody's array as a store
 * @words: the array, aligned to 8 bytes; may be changed by others (as KVM
 *         does) at any time, word by word
 * @entries: 1 .. %SPAPR_TCE_STORE_MAX_ENTRIES
 * @page_shift: log2 of the page size in bytes, below 64
 * @free_words: called with the array when the store is freed; may be NULL
 *
 * Returns NULL if @entries is outside of that.  On this backing, clearing,
 * iterating and counting cost what they cost on an array.
 */
SpaprTceStore *spapr_tce_store_new_flat(uint64_t *words, uint64_t entries,
                                        unsigned page_shift,
                                        SpaprTceWordsFree free_words);

/**
 * spapr_tce_store_free: free a store with all it holds, at once
 * @store: a store that no reader can reach any more, or NULL; its first
 *         %SPAPR_TCE_DEFER_ROOM bytes may have been used as a link
 *
 * Needs no lock.
 */
void spapr_tce_store_free(void *store);

/**
 * spapr_tce_block_free: free a block that was released
 * @block: as a #SpaprTceDefer got it
 *
 * Needs no lock.
 */
void spapr_tce_block_free(void *block);

/**
 * spapr_tce_store_entries: number of entries that the store was made with
 * @store: a store
 */
uint64_t spapr_tce_store_entries(const SpaprTceStore *store);

/**
 * spapr_tce_store_page_shift: log2 of the size of a page in bytes
 * @store: a store
 */
unsigned spapr_tce_store_page_shift(const SpaprTceStore *store);

/**
 * spapr_tce_store_bytes: bytes that the tree holds
 * @store: a store; a flat one holds none
 */
size_t spapr_tce_store_bytes(const SpaprTceStore *store);

/**
 * spapr_tce_store_populated: number of words that are not zero
 * @store: a store; a flat one is counted word by word
 */
uint64_t spapr_tce_store_populated(const SpaprTceStore *store);

/**
 * spapr_tce_store_get: read one word
 * @store: a store
 * @index: which; 0 is returned beyond the end
 *
 * The only call that needs no lock; see the top of this file.
 */
uint64_t spapr_tce_store_get(const SpaprTceStore *store, uint64_t index);

/**
 * spapr_tce_store_look: read one word under the lock
 * @store: a store
 * @index: which; 0 is returned beyond the end
 *
 * Fast for neighbours of what was looked at or written last.
 */
uint64_t spapr_tce_store_look(SpaprTceStore *store, uint64_t index);

/**
 * spapr_tce_store_set: write one word
 * @store: a store
 * @index: which
 * @tce: raw word
 *
 * Fast for neighbours of what was looked at or written last.
 */
void spapr_tce_store_set(SpaprTceStore *store, uint64_t index, uint64_t tce);

/**
 * spapr_tce_store_put_many: write neighbouring words
 * @store: a store
 * @index: the first
 * @tces: raw words
 * @count: how many
 */
void spapr_tce_store_put_many(SpaprTceStore *store, uint64_t index,
                              const uint64_t *tces, uint64_t count);

/**
 * spapr_tce_store_put: write one word or neighbouring ones
 * @store: a store
 * @index: the first
 * @tces: raw words
 * @count: how many
 *
 * One word is as fast as with spapr_tce_store_set().
 */
static inline void spapr_tce_store_put(SpaprTceStore *store, uint64_t index,
                                       const uint64_t *tces, uint64_t count)
{
    if (count == 1) {
        spapr_tce_store_set(store, index, *tces);
    } else {
        spapr_tce_store_put_many(store, index, tces, count);
    }
}

/**
 * spapr_tce_store_clear: write zeroes
 * @store: a store
 * @index: the first
 * @count: how many; the cost is that of the populated leaves in the range
 *
 * What becomes empty is released, but for one leaf: that which was written
 * last stays, since it is likely to be filled again, until another is written
 * or it is cleared as a whole.
 */
void spapr_tce_store_clear(SpaprTceStore *store, uint64_t index,
                           uint64_t count);

/**
 * spapr_tce_store_next_span: find the next stored words
 * @store: a store
 * @end: the first entry that does not count; may be beyond the store
 * @index: where to start; moved past what was found
 * @span: what was found, cut off at @end
 *
 * Returns false, with @index and @span undefined, if there is no populated
 * word from @index on below @end.  All populated words are seen, each once,
 * in order; the store may be written between two calls.  What lies at or
 * after @end is not looked at: of a table that KVM made, a word that is looked
 * at costs memory of the host.
 */
bool spapr_tce_store_next_span(const SpaprTceStore *store, uint64_t end,
                               uint64_t *index, SpaprTceSpan *span);

/**
 * spapr_tce_store_next_run: find the next run that has a permission
 * @store: a store
 * @end: the first entry that does not count; may be beyond the store
 * @index: where to start; moved past what was found
 * @run: what was found, cut off at @end
 *
 * A run is as long as it can be, across leaves; entries without permission
 * are passed over.  Returns false, with @index and @run undefined, if there
 * is none.  The store may be written between two calls.
 */
bool spapr_tce_store_next_run(const SpaprTceStore *store, uint64_t end,
                              uint64_t *index, SpaprTceRun *run);

/**
 * spapr_tce_store_extent: what is mapped in a range
 * @store: a store
 * @index: in: first entry; out: the first that has permission
 * @count: in: how many; out: how many up to the last that has permission
 *
 * Returns false, with both as they were, if there is none.
 */
bool spapr_tce_store_extent(const SpaprTceStore *store, uint64_t *index,
                            uint64_t *count);

#endif /* HW_PPC_SPAPR_TCE_STORE_H */
