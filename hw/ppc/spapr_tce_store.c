/*
 * sPAPR TCE store: the words behind one DMA window
 *
 * The sparse backing is a radix tree.  A leaf holds 512 neighbouring words,
 * a node 512 children.  All leaves are at level 0 and the root is at
 * @top_level, which is fixed by the number of entries; level 5 reaches
 * further than 2^52 entries, so a lookup is six steps at worst.
 *
 * Invariants, whenever no call is under way:
 *   - a leaf that is in the tree has a populated word, unless it is @hot; a
 *     node has a child;
 *   - @live of a leaf counts its populated words, of a node its children;
 *   - @populated is the sum over the leaves, @bytes the size of all blocks;
 *   - @hot is a leaf of the tree, that of @hot_count entries from @hot_first
 *     on, or @hot_count is 0.  Readers without a lock do not use it.
 * While a write is under way a block may be empty for a moment.
 *
 * Readers without a lock: a block is zeroed before it is linked, and words
 * are loaded and stored whole, so a reader sees each word as it was before or
 * after a write.  A block that is unlinked is handed to @defer.  Readers touch
 * links and words, never what stands before them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "spapr_tce_store.h"

#define LEVEL_BITS 9
#define FANOUT (1 << LEVEL_BITS)

/* What leaves and nodes have in common */
typedef struct TceBlock {
    char room[SPAPR_TCE_DEFER_ROOM];
    SpaprTceBudget *budget;
    unsigned size;
    unsigned live;
} TceBlock;

typedef struct TceLeaf {
    TceBlock block;
    uint64_t words[FANOUT];
} TceLeaf;

typedef struct TceNode {
    TceBlock block;
    TceBlock *children[FANOUT];
} TceNode;

struct SpaprTceStore {
    char room[SPAPR_TCE_DEFER_ROOM];
    uint64_t hot_first;
    uint64_t hot_count;
    TceLeaf *hot;
    uint64_t populated;         /* sparse only */
    uint64_t entries;           /* set once */
    unsigned page_shift;        /* set once */
    unsigned top_level;         /* set once */
    uint64_t *flat;             /* set once; NULL if sparse */
    SpaprTceWordsFree free_words;
    SpaprTceDefer defer;        /* set once */
    SpaprTceBudget *budget;     /* set once; NULL if flat */
    TceBlock *root;             /* NULL if the tree has no block */
    size_t bytes;
};

QEMU_BUILD_BUG_ON(SPAPR_TCE_LEAF_ENTRIES != FANOUT);

static uint64_t word_load(const uint64_t *word)
{
    return qatomic_read_u64(word);
}

static void word_store(uint64_t *word, uint64_t tce)
{
    qatomic_set_u64(word, tce);
}

/* Bits of an index that tell entries below one block of @level apart */
static uint64_t level_mask(unsigned level)
{
    return (UINT64_C(1) << (level + 1) * LEVEL_BITS) - 1;
}

static unsigned level_slot(uint64_t index, unsigned level)
{
    return (index >> level * LEVEL_BITS) % FANOUT;
}

static TceLeaf *as_leaf(TceBlock *block)
{
    return (TceLeaf *)block;
}

static TceNode *as_node(TceBlock *block)
{
    return (TceNode *)block;
}

/* Number of entries in [@index, @index + @count) that exist */
static uint64_t clip(const SpaprTceStore *store, uint64_t index,
                     uint64_t count)
{
    return index < store->entries ? MIN(count, store->entries - index) : 0;
}

/* Number of those that are in the same leaf as @index */
static uint64_t clip_to_leaf(uint64_t index, uint64_t count)
{
    return MIN(count, FANOUT - index % FANOUT);
}

/* The leaf of entry @index, NULL if there is none */
static inline TceLeaf *find_leaf(const SpaprTceStore *store, uint64_t index)
{
    TceBlock *block = qatomic_rcu_read(&store->root);

    for (unsigned level = store->top_level; block && level; level--) {
        TceBlock **link = &as_node(block)->children[level_slot(index, level)];

        block = qatomic_rcu_read(link);
    }
    return as_leaf(block);
}

/*
 * The same under the lock, but a hole is skipped: @index is moved up to a leaf,
 * or, with NULL, up to where there may be the next one.
 */
static TceLeaf *next_leaf(const SpaprTceStore *store, uint64_t *index)
{
    TceBlock *block = store->root;
    unsigned level = store->top_level;

    if (!block) {
        *index = UINT64_MAX;
    }
    while (block && level) {
        TceBlock **children = as_node(block)->children;
        unsigned slot = level_slot(*index, level);

        if (!children[slot]) {
            while (slot < FANOUT && !children[slot]) {
                slot++;
            }
            *index &= ~level_mask(level);
            *index += slot * (level_mask(level - 1) + 1);
        }
        block = slot < FANOUT ? children[slot] : NULL;
        level--;
    }
    return as_leaf(block);
}

/* The block behind @link, made and linked if there is none */
static TceBlock *need_block(SpaprTceStore *store, TceBlock **link,
                            TceBlock *parent, unsigned level)
{
    TceBlock *block = *link;
    size_t size = level ? sizeof(TceNode) : sizeof(TceLeaf);

    if (!block) {
        block = g_malloc0(size);
        block->budget = store->budget;
        block->size = size;
        store->bytes += size;
        qatomic_add(&store->budget->used, size);
        qatomic_rcu_set(link, block);
        if (parent) {
            parent->live++;
        }
    }
    return block;
}

void spapr_tce_block_free(void *opaque)
{
    TceBlock *block = opaque;

    qatomic_sub(&block->budget->used, block->size);
    g_free(block);
}

/* Take an empty block out of the tree */
static void drop_block(SpaprTceStore *store, TceBlock **link)
{
    TceBlock *block = *link;

    qatomic_rcu_set(link, NULL);
    store->bytes -= block->size;
    if (store->hot == as_leaf(block)) {
        store->hot_count = 0;
        store->hot = NULL;
    }
    store->defer(block);
}

static void leaf_store(SpaprTceStore *store, TceLeaf *leaf, unsigned slot,
                       uint64_t tce)
{
    int change = (tce != 0) - (leaf->words[slot] != 0);

    leaf->block.live += change;
    store->populated += change;
    word_store(&leaf->words[slot], tce);
}

static void leaf_put(SpaprTceStore *store, TceLeaf *leaf, unsigned slot,
                     const uint64_t *tces, uint64_t count)
{
    uint64_t *words = &leaf->words[slot];
    int change = 0;

    for (uint64_t i = 0; i < count; i++) {
        change += (tces[i] != 0) - (words[i] != 0);
        word_store(&words[i], tces[i]);
    }
    leaf->block.live += change;
    store->populated += change;
}

/* Zero some words of a leaf */
static void leaf_clear(SpaprTceStore *store, TceLeaf *leaf, unsigned slot,
                       uint64_t count)
{
    unsigned live = 0;

    for (uint64_t *word = &leaf->words[slot]; count; word++, count--) {
        live += *word != 0;
        word_store(word, 0);
    }
    leaf->block.live -= live;
    store->populated -= live;
}

/* Zero [@first, @last] below @link and unlink what becomes empty */
static void clear_below(SpaprTceStore *store, TceBlock **link,
                        unsigned level, uint64_t first, uint64_t last)
{
    TceBlock *block = *link;
    unsigned slot = level_slot(first, level);
    unsigned end = level_slot(last, level);

    if (!level) {
        leaf_clear(store, as_leaf(block), slot, end - slot + 1);
    }
    for (; level && block->live && slot <= end; slot++) {
        if (as_node(block)->children[slot]) {
            TceBlock **child = &as_node(block)->children[slot];
            uint64_t below = level_mask(level - 1);

            clear_below(store, child, level - 1,
                        slot == level_slot(first, level) ? first : 0,
                        slot == end ? last : below);
            block->live -= !*child;
        }
    }
    if (!block->live) {
        drop_block(store, link);
    }
}

/*
 * From now on the leaf of @index is found at once, and may be empty.  A guest
 * that unmaps the last page of a leaf will map one there soon; it is let go of
 * when the guest has gone elsewhere.
 */
static void make_hot(SpaprTceStore *store, uint64_t index, TceLeaf *leaf)
{
    uint64_t old = store->hot_first;
    bool idle = store->hot_count && store->hot != leaf &&
                !store->hot->block.live;

    store->hot_first = index - index % FANOUT;
    store->hot_count = clip(store, store->hot_first, FANOUT);
    store->hot = leaf;
    if (idle) {
        clear_below(store, &store->root, store->top_level, old, old);
    }
}

/* The caller populates a word of it next */
static TceLeaf *need_leaf(SpaprTceStore *store, uint64_t index)
{
    unsigned level = store->top_level;
    TceBlock *block = need_block(store, &store->root, NULL, level);

    while (level) {
        TceNode *node = as_node(block);
        unsigned slot = level_slot(index, level);

        level--;
        block = need_block(store, &node->children[slot], block, level);
    }
    make_hot(store, index, as_leaf(block));
    return as_leaf(block);
}

static void free_below(TceBlock *block, unsigned level)
{
    for (unsigned i = 0; level && i < FANOUT; i++) {
        if (as_node(block)->children[i]) {
            free_below(as_node(block)->children[i], level - 1);
        }
    }
    spapr_tce_block_free(block);
}

static bool all_zero(const uint64_t *tces, uint64_t count)
{
    while (count && !tces[count - 1]) {
        count--;
    }
    return !count;
}

SpaprTceStore *spapr_tce_store_new(uint64_t entries, unsigned page_shift,
                                   SpaprTceBudget *budget,
                                   SpaprTceDefer defer)
{
    SpaprTceStore *store;

    if (!entries || entries > SPAPR_TCE_STORE_MAX_ENTRIES) {
        return NULL;
    }
    store = g_new0(SpaprTceStore, 1);
    store->entries = entries;
    store->page_shift = page_shift;
    store->budget = budget;
    store->defer = defer ?: spapr_tce_block_free;
    while (entries - 1 > level_mask(store->top_level)) {
        store->top_level++;
    }
    return store;
}

SpaprTceStore *spapr_tce_store_new_flat(uint64_t *words, uint64_t entries,
                                        unsigned page_shift,
                                        SpaprTceWordsFree free_words)
{
    SpaprTceStore *store = spapr_tce_store_new(entries, page_shift, NULL, NULL);

    if (store) {
        store->flat = words;
        store->free_words = free_words;
    }
    return store;
}

void spapr_tce_store_free(void *opaque)
{
    SpaprTceStore *store = opaque;

    if (store && store->root) {
        free_below(store->root, store->top_level);
    }
    if (store && store->free_words) {
        store->free_words(store->flat, store->entries);
    }
    g_free(store);
}

uint64_t spapr_tce_store_entries(const SpaprTceStore *store)
{
    return store->entries;
}

unsigned spapr_tce_store_page_shift(const SpaprTceStore *store)
{
    return store->page_shift;
}

size_t spapr_tce_store_bytes(const SpaprTceStore *store)
{
    return store->bytes;
}

uint64_t spapr_tce_store_populated(const SpaprTceStore *store)
{
    uint64_t populated = store->populated;

    for (uint64_t i = 0; store->flat && i < store->entries; i++) {
        populated += word_load(&store->flat[i]) != 0;
    }
    return populated;
}

uint64_t spapr_tce_store_get(const SpaprTceStore *store, uint64_t index)
{
    TceLeaf *leaf;

    if (index >= store->entries) {
        return 0;
    }
    if (store->flat) {
        return word_load(&store->flat[index]);
    }
    leaf = find_leaf(store, index);
    return leaf ? word_load(&leaf->words[index % FANOUT]) : 0;
}

/* Out of line, so that the usual case saves no register */
static __attribute__((noinline))
uint64_t look_up(SpaprTceStore *store, uint64_t index)
{
    TceLeaf *leaf;

    if (store->flat || index >= store->entries) {
        return spapr_tce_store_get(store, index);
    }
    leaf = find_leaf(store, index);
    if (!leaf) {
        return 0;
    }
    make_hot(store, index, leaf);
    return leaf->words[index % FANOUT];
}

uint64_t spapr_tce_store_look(SpaprTceStore *store, uint64_t index)
{
    uint64_t slot = index - store->hot_first;

    return slot < store->hot_count ? store->hot->words[slot] :
                                     look_up(store, index);
}

static __attribute__((noinline))
void set_slow(SpaprTceStore *store, uint64_t index, uint64_t tce)
{
    if (index >= store->entries) {
        return;
    }
    if (store->flat) {
        word_store(&store->flat[index], tce);
    } else if (tce || find_leaf(store, index)) {
        leaf_store(store, need_leaf(store, index), index % FANOUT, tce);
    }
}

void spapr_tce_store_set(SpaprTceStore *store, uint64_t index, uint64_t tce)
{
    uint64_t slot = index - store->hot_first;

    if (slot < store->hot_count) {
        leaf_store(store, store->hot, slot, tce);
    } else {
        set_slow(store, index, tce);
    }
}

void spapr_tce_store_put_many(SpaprTceStore *store, uint64_t index,
                              const uint64_t *tces, uint64_t count)
{
    uint64_t n;

    count = clip(store, index, count);
    for (; count; index += n, tces += n, count -= n) {
        n = clip_to_leaf(index, count);
        if (store->flat) {
            for (uint64_t i = 0; i < n; i++) {
                word_store(&store->flat[index + i], tces[i]);
            }
        } else if (all_zero(tces, n)) {
            spapr_tce_store_clear(store, index, n);
        } else {
            leaf_put(store, need_leaf(store, index), index % FANOUT, tces, n);
        }
    }
}

/* Are these entries part of one leaf, and not all of it? */
static bool within_leaf(const SpaprTceStore *store, uint64_t index,
                        uint64_t count)
{
    uint64_t first = index - index % FANOUT;

    return index - first + count <= FANOUT &&
           count < clip(store, first, FANOUT);
}

/* Zero words of one leaf, not all that it has */
static void clear_in_leaf(SpaprTceStore *store, uint64_t index,
                          uint64_t count)
{
    TceLeaf *leaf = find_leaf(store, index);

    if (!leaf) {
        return;
    }
    make_hot(store, index, leaf);
    leaf_clear(store, leaf, index % FANOUT, count);
}

void spapr_tce_store_clear(SpaprTceStore *store, uint64_t index,
                           uint64_t count)
{
    count = clip(store, index, count);
    if (store->flat) {
        for (uint64_t i = 0; i < count; i++) {
            word_store(&store->flat[index + i], 0);
        }
    } else if (within_leaf(store, index, count)) {
        clear_in_leaf(store, index, count);
    } else if (count && store->root) {
        clear_below(store, &store->root, store->top_level, index,
                    index + count - 1);
    }
}

/* The populated stretch of @count words, which begin at entry @index */
static bool trim(const uint64_t *words, uint64_t index, uint64_t count,
                 SpaprTceSpan *span)
{
    while (count && !word_load(words)) {
        words++;
        index++;
        count--;
    }
    while (count > 1 && !word_load(&words[count - 1])) {
        count--;
    }
    span->index = index;
    span->count = count;
    span->tces = words;
    return count;
}

bool spapr_tce_store_next_span(const SpaprTceStore *store, uint64_t end,
                               uint64_t *index, SpaprTceSpan *span)
{
    end = MIN(end, store->entries);
    while (*index < end) {
        const uint64_t *words = store->flat ? &store->flat[*index] : NULL;
        uint64_t count;

        if (!store->flat) {
            TceLeaf *leaf = next_leaf(store, index);

            if (!leaf || *index >= end) {
                continue;
            }
            words = &leaf->words[*index % FANOUT];
        }
        count = clip_to_leaf(*index, end - *index);
        if (trim(words, *index, count, span)) {
            *index = span->index + span->count;
            return true;
        }
        *index += count;
    }
    return false;
}

/*
 * Most words of a long run are the one before plus a page.  Make those of
 * them that follow @tce, the last of @run, part of it; returns how many.
 */
static uint64_t run_ahead(SpaprTceRun *run, uint64_t tce,
                          const uint64_t *tces, uint64_t count,
                          unsigned page_shift)
{
    uint64_t page = UINT64_C(1) << page_shift, n = 0;

    while (n < count && word_load(&tces[n]) == tce + page &&
           tce + page > tce) {
        tce += page;
        n++;
    }
    run->count += n;
    return n;
}

/* Returns false if @run ends inside of @span */
static bool run_take_span(SpaprTceRun *run, const SpaprTceSpan *span,
                          unsigned page_shift)
{
    for (uint64_t i = 0; i < span->count;) {
        uint64_t tce = word_load(&span->tces[i]), index = span->index + i;

        if (!run->count) {
            if (spapr_tce_perm(tce)) {
                spapr_tce_run_start(run, index, tce, page_shift);
            }
        } else if (index != run->index + run->count ||
                   !spapr_tce_run_extend(run, tce, page_shift)) {
            return false;
        }
        i++;
        if (run->count) {
            i += run_ahead(run, tce, &span->tces[i], span->count - i,
                           page_shift);
        }
    }
    return true;
}

bool spapr_tce_store_next_run(const SpaprTceStore *store, uint64_t end,
                              uint64_t *index, SpaprTceRun *run)
{
    uint64_t pos = *index;
    SpaprTceSpan span;

    *run = (SpaprTceRun) { };
    while (spapr_tce_store_next_span(store, end, &pos, &span) &&
           run_take_span(run, &span, store->page_shift)) {
        /* the run may go on in the next span */
    }
    *index = run->index + run->count;
    return run->count;
}

bool spapr_tce_store_extent(const SpaprTceStore *store, uint64_t *index,
                            uint64_t *count)
{
    uint64_t at = *index, end = *index + *count, last;
    SpaprTceRun run;

    if (!spapr_tce_store_next_run(store, end, &at, &run)) {
        return false;
    }
    *index = run.index;
    do {
        last = run.index + run.count;
    } while (spapr_tce_store_next_run(store, end, &at, &run));
    *count = last - *index;
    return true;
}
