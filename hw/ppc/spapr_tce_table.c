/*
 * sPAPR TCE table: the words behind one DMA window
 *
 * The sparse backing is a radix tree.  A leaf holds 512 neighbouring words,
 * a node 512 children.  All leaves are at level 0 and the root is at
 * @top_level, which is fixed by the number of entries; level 5 reaches
 * further than 2^52 entries, so a lookup is six steps at worst.
 *
 * Invariants, whenever no call is under way:
 *   - a leaf that is in the tree has a populated word, a node has a child;
 *     one leaf may be empty, that of entry @idle;
 *   - @live of a leaf counts its populated words, of a node its children;
 *   - @populated is the sum over the leaves, @bytes the size of all blocks;
 *   - @hot is the leaf of @hot_count entries from @hot_first on, or a leaf
 *     of zeroes if there is none.  Readers without a lock do not use it.
 * While a write is under way a block may be empty for a moment.
 *
 * Readers without a lock: a block is zeroed before it is linked, links are
 * sequentially consistent and words are loaded and stored whole, so a reader
 * sees each word as it was before or after a write.  A block that is
 * unlinked is handed to @defer.  Readers touch links and words, never @room
 * and @live.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "spapr_tce_table.h"

#define LEVEL_BITS 9
#define FANOUT (1 << LEVEL_BITS)

typedef SpaprTceBlock TceBlock;
typedef SpaprTceLeaf TceLeaf;

typedef struct TceNode {
    TceBlock block;
    TceBlock *children[FANOUT];
} TceNode;

/* What @hot is for a hole: nobody writes to it, since @live is 0 */
static TceLeaf hole_leaf;

G_STATIC_ASSERT(SPAPR_TCE_LEAF_ENTRIES == FANOUT);

static uint64_t word_load(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void word_store(uint64_t *word, uint64_t tce)
{
    __atomic_store_n(word, tce, __ATOMIC_RELAXED);
}

static TceBlock *link_load(TceBlock *const *link)
{
    return g_atomic_pointer_get((TceBlock **)link);
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

static size_t block_size(unsigned level)
{
    return level ? sizeof(TceNode) : sizeof(TceLeaf);
}

/* Number of entries in [@index, @index + @count) that exist */
static uint64_t clip(const SpaprTceTable *table, uint64_t index,
                     uint64_t count)
{
    return index < table->entries ? MIN(count, table->entries - index) : 0;
}

/* Number of those that are in the same leaf as @index */
static uint64_t clip_to_leaf(uint64_t index, uint64_t count)
{
    return MIN(count, FANOUT - index % FANOUT);
}

/*
 * Go down towards @index until there is nothing or a leaf is reached.
 * Returns that leaf, or NULL with @hole telling which entries around @index
 * are known to be zero, as a mask.
 */
static inline TceBlock *find_leaf(const SpaprTceTable *table, uint64_t index,
                                  uint64_t *hole)
{
    TceBlock *block = link_load(&table->root);
    unsigned level = table->top_level;

    for (; block && level; level--) {
        block = link_load(&as_node(block)->children[level_slot(index, level)]);
    }
    *hole = level_mask(level);
    return block;
}

/* The block behind @link, made and linked if there is none */
static TceBlock *need_block(SpaprTceTable *table, TceBlock **link,
                            TceBlock *parent, unsigned level)
{
    TceBlock *block = *link;

    if (!block) {
        block = g_malloc0(block_size(level));
        table->bytes += block_size(level);
        g_atomic_pointer_set(link, block);
        if (parent) {
            parent->live++;
        }
    }
    return block;
}

/* From now on spapr_tce_table_look() and _set() find @leaf at once */
static void make_hot(SpaprTceTable *table, uint64_t index, TceLeaf *leaf)
{
    table->hot_first = index - index % FANOUT;
    table->hot_count = clip(table, table->hot_first, FANOUT);
    table->hot = leaf;
}

/* The caller populates a word of it next */
static TceLeaf *need_leaf(SpaprTceTable *table, uint64_t index)
{
    unsigned level = table->top_level;
    TceBlock *block = need_block(table, &table->root, NULL, level);

    while (level) {
        TceNode *node = as_node(block);
        unsigned slot = level_slot(index, level);

        level--;
        block = need_block(table, &node->children[slot], block, level);
    }
    make_hot(table, index, as_leaf(block));
    return as_leaf(block);
}

static void leaf_store(SpaprTceTable *table, TceLeaf *leaf, unsigned slot,
                       uint64_t tce)
{
    int change = (tce != 0) - (leaf->words[slot] != 0);

    word_store(&leaf->words[slot], tce);
    leaf->block.live += change;
    table->populated += change;
}

static void leaf_put(SpaprTceTable *table, TceLeaf *leaf, unsigned slot,
                     const uint64_t *tces, uint64_t count)
{
    uint64_t *words = &leaf->words[slot];
    int change = 0;

    for (uint64_t i = 0; i < count; i++) {
        change += (tces[i] != 0) - (words[i] != 0);
        word_store(&words[i], tces[i]);
    }
    leaf->block.live += change;
    table->populated += change;
}

/* Zero [@first, @last] below @link and unlink what becomes empty */
static void clear_below(SpaprTceTable *table, TceBlock **link,
                        unsigned level, uint64_t first, uint64_t last)
{
    TceBlock *block = *link;
    unsigned slot = level_slot(first, level);
    unsigned end = level_slot(last, level);

    for (; block->live && slot <= end; slot++) {
        if (!level) {
            leaf_store(table, as_leaf(block), slot, 0);
        } else if (as_node(block)->children[slot]) {
            TceBlock **child = &as_node(block)->children[slot];
            uint64_t below = level_mask(level - 1);

            clear_below(table, child, level - 1,
                        slot == level_slot(first, level) ? first : 0,
                        slot == end ? last : below);
            block->live -= !*child;
        }
    }
    if (!block->live) {
        g_atomic_pointer_set(link, NULL);
        table->bytes -= block_size(level);
        if (&table->hot->block == block) {
            table->hot_count = 0;
        }
        table->defer(block);
    }
}

/*
 * The leaf of @index is empty now.  A guest that unmaps the last page of a
 * leaf will map one there soon: keep it, and let go of the one before.
 */
static void keep_idle(SpaprTceTable *table, uint64_t index)
{
    uint64_t old = table->idle;
    uint64_t hole;
    TceBlock *leaf;

    table->idle = index - index % FANOUT;
    if (old == table->idle) {
        return;
    }
    leaf = find_leaf(table, old, &hole);
    if (leaf && !leaf->live) {
        clear_below(table, &table->root, table->top_level, old, old);
    }
}

/* Zero words of one leaf, not all that it has */
static void clear_in_leaf(SpaprTceTable *table, uint64_t index,
                          uint64_t count)
{
    uint64_t hole;
    TceBlock *leaf = find_leaf(table, index, &hole);

    if (!leaf || !leaf->live) {
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        leaf_store(table, as_leaf(leaf), index % FANOUT + i, 0);
    }
    if (!leaf->live) {
        keep_idle(table, index);
    }
}

/* Are these entries part of one leaf, and not all of it? */
static bool within_leaf(const SpaprTceTable *table, uint64_t index,
                        uint64_t count)
{
    uint64_t first = index - index % FANOUT;

    return index - first + count <= FANOUT &&
           count < clip(table, first, FANOUT);
}

static void free_below(TceBlock *block, unsigned level)
{
    for (unsigned i = 0; level && i < FANOUT; i++) {
        if (as_node(block)->children[i]) {
            free_below(as_node(block)->children[i], level - 1);
        }
    }
    g_free(block);
}

static bool all_zero(const uint64_t *tces, uint64_t count)
{
    while (count && !tces[count - 1]) {
        count--;
    }
    return !count;
}

SpaprTceTable *spapr_tce_table_new(uint64_t entries)
{
    SpaprTceTable *table;

    if (!entries || entries > SPAPR_TCE_TABLE_MAX_ENTRIES) {
        return NULL;
    }
    table = g_new0(SpaprTceTable, 1);
    table->entries = entries;
    table->defer = g_free;
    while (entries - 1 > level_mask(table->top_level)) {
        table->top_level++;
    }
    return table;
}

SpaprTceTable *spapr_tce_table_new_flat(uint64_t *words, uint64_t entries)
{
    SpaprTceTable *table = spapr_tce_table_new(entries);

    if (table) {
        table->flat = words;
    }
    return table;
}

void spapr_tce_table_set_defer(SpaprTceTable *table, SpaprTceDefer defer)
{
    table->defer = defer;
}

void spapr_tce_table_free(SpaprTceTable *table)
{
    if (table && table->root) {
        free_below(table->root, table->top_level);
    }
    g_free(table);
}

uint64_t spapr_tce_table_get(const SpaprTceTable *table, uint64_t index)
{
    TceBlock *leaf;
    uint64_t hole;

    if (index >= table->entries) {
        return 0;
    }
    if (table->flat) {
        return word_load(&table->flat[index]);
    }
    leaf = find_leaf(table, index, &hole);
    return leaf ? word_load(&as_leaf(leaf)->words[index % FANOUT]) : 0;
}

uint64_t spapr_tce_table_look_up(SpaprTceTable *table, uint64_t index)
{
    uint64_t hole;
    TceBlock *leaf;

    if (table->flat || index >= table->entries) {
        return spapr_tce_table_get(table, index);
    }
    leaf = find_leaf(table, index, &hole);
    make_hot(table, index, leaf ? as_leaf(leaf) : &hole_leaf);
    return table->hot->words[index % FANOUT];
}

void spapr_tce_table_set_slow(SpaprTceTable *table, uint64_t index,
                              uint64_t tce)
{
    if (index >= table->entries) {
        return;
    }
    if (table->flat) {
        word_store(&table->flat[index], tce);
    } else if (tce) {
        leaf_store(table, need_leaf(table, index), index % FANOUT, tce);
    } else {
        spapr_tce_table_clear(table, index, 1);
    }
}

void spapr_tce_table_put(SpaprTceTable *table, uint64_t index,
                         const uint64_t *tces, uint64_t count)
{
    uint64_t n;

    if (count == 1) {
        spapr_tce_table_set(table, index, *tces);
        return;
    }
    count = clip(table, index, count);
    for (; count; index += n, tces += n, count -= n) {
        n = clip_to_leaf(index, count);
        if (table->flat) {
            for (uint64_t i = 0; i < n; i++) {
                word_store(&table->flat[index + i], tces[i]);
            }
        } else if (all_zero(tces, n)) {
            spapr_tce_table_clear(table, index, n);
        } else {
            leaf_put(table, need_leaf(table, index), index % FANOUT, tces, n);
        }
    }
}

void spapr_tce_table_fill(SpaprTceTable *table, uint64_t index, uint64_t tce,
                          uint64_t count)
{
    uint64_t same[FANOUT];
    uint64_t n;

    if (!tce) {
        spapr_tce_table_clear(table, index, count);
        return;
    }
    for (unsigned i = 0; i < FANOUT; i++) {
        same[i] = tce;
    }
    count = clip(table, index, count);
    for (; count; index += n, count -= n) {
        n = clip_to_leaf(index, count);
        spapr_tce_table_put(table, index, same, n);
    }
}

void spapr_tce_table_clear(SpaprTceTable *table, uint64_t index,
                           uint64_t count)
{
    count = clip(table, index, count);
    if (table->flat) {
        for (uint64_t i = 0; i < count; i++) {
            word_store(&table->flat[index + i], 0);
        }
    } else if (within_leaf(table, index, count)) {
        clear_in_leaf(table, index, count);
    } else if (count && table->root) {
        clear_below(table, &table->root, table->top_level, index,
                    index + count - 1);
    }
}

uint64_t spapr_tce_table_populated(const SpaprTceTable *table)
{
    uint64_t populated = 0;

    if (!table->flat) {
        return table->populated;
    }
    for (uint64_t i = 0; i < table->entries; i++) {
        populated += word_load(&table->flat[i]) != 0;
    }
    return populated;
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

/* The next span that lies below @end, cut off there */
static bool next_span_below(const SpaprTceTable *table, uint64_t end,
                            uint64_t *index, SpaprTceSpan *span)
{
    end = MIN(end, table->entries);
    while (*index < end) {
        uint64_t count = clip_to_leaf(*index, end - *index);
        uint64_t hole = FANOUT - 1;
        const uint64_t *words = NULL;

        if (table->flat) {
            words = &table->flat[*index];
        } else {
            TceBlock *leaf = find_leaf(table, *index, &hole);

            if (leaf) {
                words = &as_leaf(leaf)->words[*index % FANOUT];
            }
        }
        if (words && trim(words, *index, count, span)) {
            *index = span->index + span->count;
            return true;
        }
        *index = (*index | hole) + 1;
    }
    return false;
}

bool spapr_tce_table_next_span(const SpaprTceTable *table, uint64_t *index,
                               SpaprTceSpan *span)
{
    return next_span_below(table, table->entries, index, span);
}

/*
 * Where runs are cut: make @tce of entry @index part of @run, which begins
 * with it if @count is 0.  Returns false if it belongs to the next run.
 * A target that wraps around to 0 does not continue the one before.
 */
static bool run_take(SpaprTceRun *run, uint64_t index, uint64_t tce,
                     unsigned page_shift)
{
    unsigned perm = spapr_tce_perm(tce);
    uint64_t target = perm ? spapr_tce_target(tce, page_shift) : 0;
    uint64_t next = perm ? run->target + (run->count << page_shift) : 0;

    if (!run->count) {
        run->index = index;
        run->target = target;
        run->perm = perm;
    } else if (index != run->index + run->count || perm != run->perm ||
               target != next || (perm && !next)) {
        return false;
    }
    run->count++;
    return true;
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
        uint64_t tce = word_load(&span->tces[i]);
        bool skip = !run->count && !spapr_tce_perm(tce);

        if (!skip && !run_take(run, span->index + i, tce, page_shift)) {
            return false;
        }
        i++;
        if (run->perm) {
            i += run_ahead(run, tce, &span->tces[i], span->count - i,
                           page_shift);
        }
    }
    return true;
}

bool spapr_tce_table_next_run_below(const SpaprTceTable *table,
                                    unsigned page_shift, uint64_t end,
                                    uint64_t *index, SpaprTceRun *run)
{
    uint64_t pos = *index;
    SpaprTceSpan span;

    *run = (SpaprTceRun) { 0 };
    while (next_span_below(table, end, &pos, &span) &&
           run_take_span(run, &span, page_shift)) {
        /* the run may go on in the next span */
    }
    *index = run->index + run->count;
    return run->count;
}

bool spapr_tce_table_next_run(const SpaprTceTable *table, unsigned page_shift,
                              uint64_t *index, SpaprTceRun *run)
{
    return spapr_tce_table_next_run_below(table, page_shift, table->entries,
                                          index, run);
}

bool spapr_tce_run_next(const uint64_t *tces, uint64_t count,
                        unsigned page_shift, uint64_t *pos,
                        SpaprTceRun *run)
{
    uint64_t i = *pos;

    *run = (SpaprTceRun) { 0 };
    while (i < count) {
        uint64_t tce = word_load(&tces[i]);

        if (!run_take(run, i, tce, page_shift)) {
            break;
        }
        i++;
        if (run->perm) {
            i += run_ahead(run, tce, &tces[i], count - i, page_shift);
        }
    }
    *pos = i;
    return run->count;
}
