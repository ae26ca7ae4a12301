/*
 * Test of hw/ppc/spapr_locked_size.c: what tables of DMA windows lock
 *
 * The numbers are worked out by hand from what Linux counts.  The power-host
 * tier compares some of them with a kernel.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/ppc/spapr_locked_size.h"

#define K(n)    ((uint64_t)(n) << 10)
#define M(n)    ((uint64_t)(n) << 20)
#define ENTRIES(shift) ((uint64_t)1 << (shift))

/* A block of a table has at most 64 pages of the host, if there are levels */
static void test_levels(void)
{
    static const struct {
        uint64_t host_page;
        unsigned max_levels, shift, levels;
    } tables[] = {
        { K(4), 5, 0, 1 }, { K(4), 5, 1, 1 }, { K(4), 5, 15, 1 },
        { K(4), 5, 16, 2 }, { K(4), 5, 30, 2 }, { K(4), 5, 31, 3 },
        { K(4), 2, 31, 2 }, { K(4), 1, 31, 1 },
        { K(64), 5, 19, 1 }, { K(64), 5, 20, 2 }, { K(64), 5, 38, 2 },
        { K(64), 5, 39, 3 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(tables); i++) {
        g_assert_cmpuint(spapr_locked_levels(tables[i].host_page,
                                             tables[i].max_levels,
                                             ENTRIES(tables[i].shift)), ==,
                         tables[i].levels);
    }
}

static void test_host_table(void)
{
    static const struct {
        uint64_t host_page;
        unsigned shift, levels;
        uint64_t once;
    } tables[] = {
        /* One level: words, in whole pages of the host, which are blocks */
        { K(4), 18, 1, M(2) },
        { K(4), 9, 1, K(4) },
        { K(4), 0, 1, K(4) },
        { K(64), 13, 1, K(64) },
        { K(64), 12, 1, K(64) },
        { K(64), 0, 1, K(64) },
        /* 512 blocks of 512 words, and one that has 512 words for them */
        { K(4), 18, 2, M(2) + K(4) },
        /* 2^10 words a block, half of that would do for the upper one */
        { K(4), 19, 2, M(4) + K(8) },
        /* Blocks of a level of 2^5 words take a page all the same */
        { K(4), 10, 2, K(8) + K(4) },
        { K(64), 18, 2, M(2) + K(64) },
        /* 2^9 words a block: 2^18 blocks, 2^9 for these, one */
        { K(4), 27, 3, M(1024) + M(2) + K(4) },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(tables); i++) {
        /* VFIO has a copy */
        g_assert_cmpuint(spapr_locked_host_table(tables[i].host_page,
                                                 ENTRIES(tables[i].shift),
                                                 tables[i].levels), ==,
                         2 * tables[i].once);
    }
}

/* Words, and a list of the pages that they fill behind a head */
static void test_kvm_table(void)
{
    static const struct {
        uint64_t host_page, entries, bytes;
    } tables[] = {
        { K(4), 1, K(4) + K(4) },
        { K(4), 513, K(8) + K(4) },
        /* Up to 480 pages have room in the list's first one */
        { K(4), 480 * 512, K(4) * 480 + K(4) },
        { K(4), 481 * 512, K(4) * 481 + K(8) },
        { K(4), ENTRIES(18), M(2) + K(8) },
        { K(64), ENTRIES(18), M(2) + K(64) },
        { K(64), ENTRIES(26), M(512) + K(128) },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(tables); i++) {
        g_assert_cmpuint(spapr_locked_kvm_table(tables[i].host_page,
                                                tables[i].entries), ==,
                         tables[i].bytes);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    g_test_add_func("/spapr-locked-size/levels", test_levels);
    g_test_add_func("/spapr-locked-size/host-table", test_host_table);
    g_test_add_func("/spapr-locked-size/kvm-table", test_kvm_table);
    return g_test_run();
}
