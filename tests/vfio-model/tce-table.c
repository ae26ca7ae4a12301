/*
 * A TCE table of the host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>

#include "tce-table.h"

typedef void DropTce(void *opaque, const TceTable *table, const Tce *tce);

static uint64_t max64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

unsigned tce_table_level_bits(unsigned host_page_shift, unsigned page_shift,
                              unsigned window_shift, unsigned levels)
{
    const unsigned bits = (window_shift - page_shift + levels - 1) / levels;

    return max64(bits, host_page_shift - 3);
}

uint64_t tce_table_bytes(unsigned host_page_shift, unsigned page_shift,
                         unsigned window_shift, unsigned levels)
{
    const uint64_t piece = 8ull << tce_table_level_bits(host_page_shift,
                                    page_shift, window_shift, levels);
    uint64_t level = max64(0x1000, 8ull << (window_shift - page_shift));
    uint64_t total = 0;

    for (; levels; levels--) {
        total += (level + piece - 1) & -piece;
        level = max64(level / piece * 8, piece);
    }
    return 2 * total;
}

/* Entries are calloc'ed, so a large piece costs only the pages it uses */
static void *new_piece(TceTable *table, unsigned level)
{
    void *piece = calloc(1ull << table->level_bits,
                         level ? sizeof(void *) : sizeof(Tce));

    table->pieces += !!piece;
    return piece;
}

TceTable *tce_table_new(uint64_t start, unsigned page_shift,
                        uint64_t entries, unsigned levels,
                        unsigned level_bits)
{
    TceTable *table = calloc(1, sizeof(*table));

    if (!table) {
        return NULL;
    }
    table->start = start;
    table->page_shift = page_shift;
    table->entries = entries;
    table->levels = levels;
    table->level_bits = level_bits;
    table->root = new_piece(table, levels - 1);
    if (!table->root) {
        free(table);
        return NULL;
    }
    return table;
}

static void free_piece(const TceTable *table, void *piece, unsigned level)
{
    void **children = piece;

    if (!piece) {
        return;
    }
    for (uint64_t i = 0; level && i < 1ull << table->level_bits; i++) {
        free_piece(table, children[i], level - 1);
    }
    free(piece);
}

void tce_table_free(TceTable *table)
{
    if (table) {
        free_piece(table, table->root, table->levels - 1);
        free(table);
    }
}

/* The number of @index among the children of its piece at @level */
static uint64_t slot(const TceTable *table, uint64_t index, unsigned level)
{
    return index >> level * table->level_bits &
           ((1ull << table->level_bits) - 1);
}

Tce *tce_table_find(const TceTable *table, uint64_t index)
{
    void *piece = table->root;

    for (unsigned level = table->levels - 1; level && piece; level--) {
        piece = ((void **)piece)[slot(table, index, level)];
    }
    return piece ? (Tce *)piece + slot(table, index, 0) : NULL;
}

Tce *tce_table_make(TceTable *table, uint64_t index)
{
    void *piece = table->root, **child;

    for (unsigned level = table->levels - 1; level; level--) {
        child = (void **)piece + slot(table, index, level);
        if (!*child) {
            *child = new_piece(table, level - 1);
        }
        if (!*child) {
            return NULL;
        }
        piece = *child;
    }
    return (Tce *)piece + slot(table, index, 0);
}

static void clear_entry(TceTable *table, Tce *tce, DropTce *drop,
                        void *opaque)
{
    if (tce->hardware) {
        drop(opaque, table, tce);
        tce->hardware = 0;
        tce->user = 0;
        table->live--;
    }
}

void tce_table_clear(TceTable *table, uint64_t index, uint64_t count,
                     DropTce *drop, void *opaque)
{
    const uint64_t end = index + count;
    unsigned level;
    void *piece;

    while (index < end && table->live) {
        piece = table->root;
        for (level = table->levels - 1; level && piece; level--) {
            piece = ((void **)piece)[slot(table, index, level)];
        }
        if (piece) {
            clear_entry(table, (Tce *)piece + slot(table, index, 0), drop,
                        opaque);
            index++;
        } else {
            /* what is missing is the piece at @level: go on behind it */
            level = (level + 1) * table->level_bits;
            if (level >= 64) {
                break;
            }
            index = ((index >> level) + 1) << level;
        }
    }
}
