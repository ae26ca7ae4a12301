/*
 * A TCE table of the host, as the powernv platform builds it
 *
 * A radix tree of 1 to 5 levels of equal width.  The first level is there
 * from the start, the others appear when an entry below them is written and
 * stay until the table is freed.  Next to each entry of the hardware table
 * stands the user address that it was made from, which is how the driver
 * finds the registration to drop.
 *
 * Words: an index counts entries from the start of the window; a hardware
 * entry is the address of the page with the permission in the low two bits,
 * 0 is no entry.  In the model the physical address of a page is its user
 * address.
 *
 * Everything here is called with the lock of the model held.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_TCE_TABLE_H
#define VFIO_MODEL_TCE_TABLE_H

#include "topology.h"

#define TCE_READ 1
#define TCE_WRITE 2

typedef struct {
    uint64_t hardware;
    uint64_t user;      /* the mirror; without permission bits */
} Tce;

struct TceTable {
    uint64_t start;             /* bus address; set once, as all down to... */
    uint64_t entries;
    unsigned page_shift;
    unsigned levels;
    unsigned level_bits;        /* log2 of the entries of one piece */
    uint64_t charged;           /* bytes of locked memory */
    Group *owner;               /* ...here: the group that it was made for */
    uint64_t live;              /* entries that are not 0 */
    uint64_t pieces;            /* pieces of all levels allocated */
    void *root;
};

/**
 * tce_table_bytes - locked memory that a table is charged with
 * @host_page_shift: log2 of the host's page size
 * @page_shift: log2 of the size of a TCE's page
 * @window_shift: log2 of the window's size, at least @page_shift
 * @levels: 1 to 5
 *
 * Twice the hardware table, because of the mirror, all levels rounded up.
 */
uint64_t tce_table_bytes(unsigned host_page_shift, unsigned page_shift,
                         unsigned window_shift, unsigned levels);

/**
 * tce_table_level_bits - log2 of the entries of one piece of a table
 *
 * Parameters as for tce_table_bytes().  A piece is at least a host page.
 */
unsigned tce_table_level_bits(unsigned host_page_shift, unsigned page_shift,
                              unsigned window_shift, unsigned levels);

/* A new empty table, or NULL: no memory */
TceTable *tce_table_new(uint64_t start, unsigned page_shift,
                        uint64_t entries, unsigned levels,
                        unsigned level_bits);

/* Free @table; its entries must have been cleared, NULL is allowed */
void tce_table_free(TceTable *table);

/* The entry at @index if the piece that holds it exists, else NULL */
Tce *tce_table_find(const TceTable *table, uint64_t index);

/* The same, with the missing pieces allocated; NULL: no memory */
Tce *tce_table_make(TceTable *table, uint64_t index);

/**
 * tce_table_clear - drop the entries of a range
 * @table: table
 * @index: first entry
 * @count: entries; the range must lie in the table
 * @drop: told about each entry that is not 0, before it is cleared
 * @opaque: for @drop
 *
 * Pieces that do not exist are skipped as a whole.
 */
void tce_table_clear(TceTable *table, uint64_t index, uint64_t count,
                     void (*drop)(void *opaque, const TceTable *table,
                                  const Tce *tce), void *opaque);

#endif
