/*
 * sPAPR TCE table: the words behind one DMA window
 *
 * A table is an array of 64-bit words, one TCE (translation control entry)
 * per page of its window, in host byte order.  It knows words only: no bus
 * address, no guest RAM, nobody who mirrors it.
 *
 * There are two backings behind the same calls:
 *
 *   sparse   a radix tree that holds what is not zero and nothing else, so
 *            that a window may be as large as a guest likes;
 *   flat     a view of an array that somebody else owns, such as the mapping
 *            that KVM hands out for its own table.
 *
 * Words used here: an entry's *index* counts from the start of the window.
 * A word without permission makes its page fault, whatever its other bits
 * say; they are kept, since the guest may read them back.  A word is
 * *populated* if it is not zero.  A *span* is a stretch of stored words; a
 * *run* is a stretch of entries that can be mapped in one go.
 *
 * Ranges: @index + @count may be anything.  What lies beyond the end of the
 * table reads as zero and is ignored when written, so that no argument can
 * do harm; a caller that has to tell its guest checks the range before.
 *
 * Locks: the caller serialises everything but spapr_tce_table_get(), which
 * may run at any time against one writer, provided that it runs in an RCU
 * read-side section and spapr_tce_table_set_defer() was given a function
 * that waits for such sections to end.
 *
 * Nothing fails but the allocation of a few KiB, which ends the process as
 * every small allocation does.
 *
 * This header and its source need GLib only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_PPC_SPAPR_TCE_TABLE_H
#define HW_PPC_SPAPR_TCE_TABLE_H

#define SPAPR_TCE_TABLE_MAX_ENTRIES (UINT64_C(1) << 52)

/* Words of a leaf; a span never crosses a multiple of it */
#define SPAPR_TCE_LEAF_ENTRIES 512

/* Bytes at the start of a released block that its receiver may use */
#define SPAPR_TCE_DEFER_ROOM (2 * sizeof(void *))

typedef struct SpaprTceTable SpaprTceTable;
typedef struct SpaprTceBlock SpaprTceBlock;

/**
 * SpaprTceDefer: takes over a block that readers may still look at
 * @block: free it with g_free() once no reader can know it any more; its
 *         first %SPAPR_TCE_DEFER_ROOM bytes are nobody's and suit a link
 */
typedef void (*SpaprTceDefer)(gpointer block);

/* What leaves and nodes have in common; nobody else's business */
struct SpaprTceBlock {
    char room[SPAPR_TCE_DEFER_ROOM];
    unsigned live;
};

/* The same for what leaves have */
typedef struct SpaprTceLeaf {
    SpaprTceBlock block;
    uint64_t words[SPAPR_TCE_LEAF_ENTRIES];
} SpaprTceLeaf;

/*
 * A table.  It is here only so that the most frequent calls need not be
 * calls; see the source for what must hold.
 */
struct SpaprTceTable {
    uint64_t hot_first;         /* which words @hot has, if @hot_count is */
    uint64_t hot_count;         /* not 0; both 0 if the table is flat */
    SpaprTceLeaf *hot;          /* looked at last, a hole has one as well */
    uint64_t populated;         /* sparse only */
    uint64_t entries;           /* set once */
    uint64_t *flat;             /* set once; NULL if sparse */
    unsigned top_level;         /* set once */
    SpaprTceDefer defer;        /* set before there is a reader */
    SpaprTceBlock *root;        /* NULL if the tree has no block */
    uint64_t bytes;             /* of all blocks */
    uint64_t idle;              /* first entry of the leaf that may be empty */
};

/**
 * SpaprTceSpan: stored words, the first and the last of them populated
 * @index: of the first word
 * @count: how many, 1 .. %SPAPR_TCE_LEAF_ENTRIES
 * @tces: the words; valid until the table is written
 */
typedef struct SpaprTceSpan {
    uint64_t index;
    uint64_t count;
    const uint64_t *tces;
} SpaprTceSpan;

/**
 * SpaprTceRun: neighbouring entries, same permission, contiguous target
 * @index: of the first entry
 * @count: how many, at least 1
 * @target: address of the first page; 0 if @perm is 0
 * @perm: as spapr_tce_perm() has it
 */
typedef struct SpaprTceRun {
    uint64_t index;
    uint64_t count;
    uint64_t target;
    unsigned perm;
} SpaprTceRun;

/**
 * spapr_tce_perm: what a TCE lets a device do
 * @tce: raw word
 *
 * Returns 0 for nothing, 1 for read, 2 for write, 3 for both (PAPR numbers
 * these two bits 63 and 62).  QEMU's IOMMUAccessFlags have the same values.
 */
static inline unsigned spapr_tce_perm(uint64_t tce)
{
    return tce & 3;
}

/**
 * spapr_tce_target: guest physical address of the page that a TCE names
 * @tce: raw word
 * @page_shift: log2 of the page size in bytes, below 64
 *
 * PAPR reserves the bits between permission and page; they do not count.
 */
static inline uint64_t spapr_tce_target(uint64_t tce, unsigned page_shift)
{
    return tce >> page_shift << page_shift;
}

/**
 * spapr_tce_table_new: make a sparse table of zeroes
 * @entries: 1 .. %SPAPR_TCE_TABLE_MAX_ENTRIES
 *
 * Returns NULL if @entries is outside of that.  A table that was never
 * written, or cleared as a whole, holds no memory but its handle.
 */
SpaprTceTable *spapr_tce_table_new(uint64_t entries);

/**
 * spapr_tce_table_new_flat: look at somebody's array as a table
 * @words: the array, aligned to 8 bytes; stays the caller's and must
 *         outlive the table; may be changed by others (as KVM does) at any
 *         time, word by word
 * @entries: 1 .. %SPAPR_TCE_TABLE_MAX_ENTRIES
 *
 * Returns NULL if @entries is outside of that.  On this backing, clearing,
 * iterating and counting cost what they cost on an array.
 */
SpaprTceTable *spapr_tce_table_new_flat(uint64_t *words, uint64_t entries);

/**
 * spapr_tce_table_set_defer: say what becomes of emptied blocks
 * @table: a table
 * @defer: takes over each block; without this call it is g_free()
 */
void spapr_tce_table_set_defer(SpaprTceTable *table, SpaprTceDefer defer);

/**
 * spapr_tce_table_free: free a table with all it holds, at once
 * @table: a table that no reader can reach any more, or NULL
 *
 * The function of spapr_tce_table_set_defer() is not asked.
 */
void spapr_tce_table_free(SpaprTceTable *table);

/**
 * spapr_tce_table_entries: number of entries that the table was made with
 * @table: a table
 */
static inline uint64_t spapr_tce_table_entries(const SpaprTceTable *table)
{
    return table->entries;
}

/**
 * spapr_tce_table_get: read one word
 * @table: a table
 * @index: which; 0 is returned beyond the end
 *
 * The only call that needs no lock; see the top of this file.
 */
uint64_t spapr_tce_table_get(const SpaprTceTable *table, uint64_t index);

/* What spapr_tce_table_look() does if it has to search */
uint64_t spapr_tce_table_look_up(SpaprTceTable *table, uint64_t index);

/* What spapr_tce_table_set() does if it has to search */
void spapr_tce_table_set_slow(SpaprTceTable *table, uint64_t index,
                              uint64_t tce);

/**
 * spapr_tce_table_look: read one word under the lock
 * @table: a table
 * @index: which; 0 is returned beyond the end
 *
 * Fast for neighbours of what was looked at last.
 */
static inline uint64_t spapr_tce_table_look(SpaprTceTable *table,
                                            uint64_t index)
{
    uint64_t slot = index - table->hot_first;

    if (slot < table->hot_count) {
        return table->hot->words[slot];
    }
    return spapr_tce_table_look_up(table, index);
}

/**
 * spapr_tce_table_set: write one word
 * @table: a table
 * @index: which
 * @tce: raw word
 *
 * Fast for neighbours of what was looked at last.
 */
static inline void spapr_tce_table_set(SpaprTceTable *table, uint64_t index,
                                       uint64_t tce)
{
    uint64_t slot = index - table->hot_first;

    if (slot < table->hot_count) {
        SpaprTceLeaf *leaf = table->hot;
        int change = (tce != 0) - (leaf->words[slot] != 0);

        /* An empty leaf, or one that gets empty, is not as simple */
        if (leaf->block.live && leaf->block.live + change) {
            leaf->block.live += change;
            table->populated += change;
            __atomic_store_n(&leaf->words[slot], tce, __ATOMIC_RELAXED);
            return;
        }
    }
    spapr_tce_table_set_slow(table, index, tce);
}

/**
 * spapr_tce_table_put: write neighbouring words
 * @table: a table
 * @index: the first
 * @tces: raw words
 * @count: how many
 */
void spapr_tce_table_put(SpaprTceTable *table, uint64_t index,
                         const uint64_t *tces, uint64_t count);

/**
 * spapr_tce_table_fill: write the same word many times
 * @table: a table
 * @index: the first
 * @tce: raw word
 * @count: how many; memory and time grow with it unless @tce is 0
 */
void spapr_tce_table_fill(SpaprTceTable *table, uint64_t index, uint64_t tce,
                          uint64_t count);

/**
 * spapr_tce_table_clear: write zeroes
 * @table: a table
 * @index: the first
 * @count: how many; the cost is that of the populated leaves in the range
 *
 * What becomes empty is released, but for one leaf: that which was cleared
 * word by word or in parts is likely to be filled again, so it stays until
 * another is emptied like that or a greater range is cleared.
 */
void spapr_tce_table_clear(SpaprTceTable *table, uint64_t index,
                           uint64_t count);

/**
 * spapr_tce_table_populated: number of words that are not zero
 * @table: a table; a flat one is counted word by word
 */
uint64_t spapr_tce_table_populated(const SpaprTceTable *table);

/**
 * spapr_tce_table_bytes: bytes that the tree holds
 * @table: a table; a flat one holds none
 */
static inline uint64_t spapr_tce_table_bytes(const SpaprTceTable *table)
{
    return table->bytes;
}

/**
 * spapr_tce_table_next_span: find the next stored words
 * @table: a table
 * @index: where to start; moved past what was found
 * @span: what was found
 *
 * Returns false, with @index and @span undefined, if there is no populated
 * word at or after @index.  All populated words are seen, each once, in
 * order; the table may be written between two calls.
 */
bool spapr_tce_table_next_span(const SpaprTceTable *table, uint64_t *index,
                               SpaprTceSpan *span);

/**
 * spapr_tce_table_next_run: find the next run that has a permission
 * @table: a table
 * @page_shift: log2 of the page size in bytes, below 64
 * @index: where to start; moved past what was found
 * @run: what was found
 *
 * A run is as long as it can be, across leaves; entries without permission
 * are passed over.  Returns false, with @index and @run undefined, if there
 * is none at or after @index.  The table may be written between two calls.
 */
bool spapr_tce_table_next_run(const SpaprTceTable *table, unsigned page_shift,
                              uint64_t *index, SpaprTceRun *run);

/**
 * spapr_tce_table_next_run_below: the same for a part of the table
 * @table: a table
 * @page_shift: log2 of the page size in bytes, below 64
 * @end: the first entry that does not count; may be beyond the table
 * @index: where to start; moved past what was found
 * @run: what was found, cut off at @end
 *
 * What lies at or after @end costs nothing, which matters where a small part
 * is looked at inside of a long run, or before a long hole of a flat table.
 */
bool spapr_tce_table_next_run_below(const SpaprTceTable *table,
                                    unsigned page_shift, uint64_t end,
                                    uint64_t *index, SpaprTceRun *run);

/**
 * spapr_tce_run_next: cut an array of words into runs
 * @tces: raw words
 * @count: how many
 * @page_shift: log2 of the page size in bytes, below 64
 * @pos: where to start; moved past what was found
 * @run: what was found, its index counted from @tces
 *
 * Unlike in spapr_tce_table_next_run(), neighbouring words without
 * permission make a run too, with @perm 0 and @target 0, so that the caller
 * sees each word in exactly one run.  Returns false if @pos is at the end.
 */
bool spapr_tce_run_next(const uint64_t *tces, uint64_t count,
                        unsigned page_shift, uint64_t *pos,
                        SpaprTceRun *run);

#endif /* HW_PPC_SPAPR_TCE_TABLE_H */
