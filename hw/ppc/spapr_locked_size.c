/*
 * Locked memory that tables of DMA windows take in Linux
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "hw/ppc/spapr_locked_size.h"

/* A block should not need more than 2^6 pages of the host in a row */
#define BLOCK_PAGES_SHIFT 6

/* Linux counts no table as smaller */
#define TABLE_LEAST 4096

/* What KVM has for a table besides its words fits in this */
#define KVM_HEAD 256

unsigned spapr_locked_levels(uint64_t host_page, unsigned max_levels,
                             uint64_t entries)
{
    unsigned block_shift = ctz64(host_page) + BLOCK_PAGES_SHIFT -
                           ctz64(sizeof(uint64_t));
    unsigned levels = DIV_ROUND_UP(ctz64(entries), block_shift);

    return MIN(MAX(levels, 1), max_levels);
}

uint64_t spapr_locked_host_table(uint64_t host_page, uint64_t entries,
                                 unsigned levels)
{
    unsigned level_shift = DIV_ROUND_UP(ctz64(entries), levels);
    uint64_t block = MAX(sizeof(uint64_t) << level_shift, host_page);
    uint64_t table = MAX(entries * sizeof(uint64_t), TABLE_LEAST);
    uint64_t bytes = 0;

    while (levels--) {
        bytes += ROUND_UP(table, block);
        /* The level above has a word for each block */
        table = MAX(table / block * sizeof(uint64_t), block);
    }
    return 2 * bytes;
}

uint64_t spapr_locked_kvm_table(uint64_t host_page, uint64_t entries)
{
    uint64_t words = ROUND_UP(entries * sizeof(uint64_t), host_page);
    uint64_t list = words / host_page * sizeof(uint64_t);

    return words + ROUND_UP(KVM_HEAD + list, host_page);
}
