/*
 * Test of the sPAPR TCE store against hand-made cases and a naive model
 *
 * The model is a hash store from index to non-zero word; what spans, runs
 * and bytes must be is worked out from its sorted entries, without a tree.
 *
 * Random cases print their seed; --seed=R02S... or the environment variable
 * SEED, with the string as printed, repeats them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "spapr_tce_store.h"

#define LEAF SPAPR_TCE_LEAF_ENTRIES
#define MAX_ENTRIES SPAPR_TCE_STORE_MAX_ENTRIES
#define MAX_WORDS 1200
#define MAX_MODEL 3000
#define STEPS 150

typedef struct Entry {
    uint64_t index;
    uint64_t tce;
} Entry;

typedef struct Fixture {
    SpaprTceStore *store;
    GHashTable *model;
    uint64_t entries;
    unsigned page_shift;
    bool flat;
} Fixture;

static SpaprTceBudget budget;

static SpaprTceStore *new_store(uint64_t entries)
{
    return spapr_tce_store_new(entries, 12, &budget, NULL);
}

/* The same word many times */
static void fill(SpaprTceStore *store, uint64_t index, uint64_t tce,
                 uint64_t count)
{
    uint64_t entries = spapr_tce_store_entries(store), n;
    uint64_t same[LEAF];

    for (unsigned i = 0; i < LEAF; i++) {
        same[i] = tce;
    }
    if (!tce) {
        spapr_tce_store_clear(store, index, count);
        return;
    }
    spapr_tce_store_put(store, index, same, MIN(count, LEAF));
    for (uint64_t done = LEAF; done < count && index + done < entries &&
         index < entries; done += n) {
        n = MIN(count - done, LEAF);
        spapr_tce_store_put(store, index + done, same, n);
    }
}

static uint64_t rand64(void)
{
    return (uint64_t)(uint32_t)g_test_rand_int() << 32 |
           (uint32_t)g_test_rand_int();
}

static uint64_t rand_below(uint64_t end)
{
    return rand64() % end;
}

/*
 * What one block costs, measured on tables that hold just that
 */
static uint64_t bytes_with_one_entry(uint64_t entries)
{
    SpaprTceStore *store = new_store(entries);
    uint64_t bytes;

    spapr_tce_store_set(store, 0, 3);
    bytes = spapr_tce_store_bytes(store);
    spapr_tce_store_free(store);
    return bytes;
}

static uint64_t leaf_bytes(void)
{
    return bytes_with_one_entry(LEAF);
}

static uint64_t node_bytes(void)
{
    return bytes_with_one_entry(LEAF + 1) - leaf_bytes();
}

/* Levels of nodes above the leaves */
static unsigned node_levels(uint64_t entries)
{
    unsigned levels = 0;

    for (uint64_t blocks = (entries - 1) / LEAF; blocks; blocks /= LEAF) {
        levels++;
    }
    return levels;
}

/*
 * Hand-made cases
 */

static void assert_span(SpaprTceStore *store, uint64_t *index,
                        uint64_t first, uint64_t count)
{
    SpaprTceSpan span;

    g_assert_true(spapr_tce_store_next_span(store, UINT64_MAX, index, &span));
    g_assert_cmphex(span.index, ==, first);
    g_assert_cmphex(span.count, ==, count);
    g_assert_cmphex(*index, ==, first + count);
    g_assert_cmphex(span.tces[0], ==, spapr_tce_store_get(store, first));
}

static void assert_no_span(SpaprTceStore *store, uint64_t index)
{
    SpaprTceSpan span;

    g_assert_false(spapr_tce_store_next_span(store, UINT64_MAX, &index, &span));
}

static void assert_run_is(const SpaprTceRun *run, uint64_t index,
                          uint64_t count, uint64_t target, unsigned perm)
{
    g_assert_cmphex(run->index, ==, index);
    g_assert_cmphex(run->count, ==, count);
    g_assert_cmphex(run->target, ==, target);
    g_assert_cmpuint(run->perm, ==, perm);
}

static void assert_run(SpaprTceStore *store, uint64_t *pos, uint64_t index,
                       uint64_t count, uint64_t target, unsigned perm)
{
    SpaprTceRun run;

    g_assert_true(spapr_tce_store_next_run(store, UINT64_MAX, pos, &run));
    assert_run_is(&run, index, count, target, perm);
    g_assert_cmphex(*pos, ==, index + count);
}

static void assert_no_run(SpaprTceStore *store, uint64_t pos)
{
    SpaprTceRun run;

    g_assert_false(spapr_tce_store_next_run(store, UINT64_MAX, &pos, &run));
}

static void assert_empty(SpaprTceStore *store)
{
    g_assert_cmpuint(spapr_tce_store_populated(store), ==, 0);
    g_assert_cmpuint(spapr_tce_store_bytes(store), ==, 0);
    assert_no_span(store, 0);
    assert_no_run(store, 0);
}

/* Nothing to be seen, and nothing left once it is cleared as a whole */
static void assert_empties(SpaprTceStore *store)
{
    assert_no_span(store, 0);
    assert_no_run(store, 0);
    g_assert_cmpuint(spapr_tce_store_populated(store), ==, 0);
    spapr_tce_store_clear(store, 0, UINT64_MAX);
    assert_empty(store);
}

static void put_run(SpaprTceStore *store, uint64_t index, uint64_t count,
                    uint64_t tce)
{
    for (uint64_t i = 0; i < count; i++) {
        spapr_tce_store_set(store, index + i, tce + (i << 12));
    }
}

static void test_decode(void)
{
    for (unsigned perm = 0; perm < 4; perm++) {
        g_assert_cmpuint(spapr_tce_perm(0x123456789abcd000 | perm), ==, perm);
        g_assert_cmpuint(spapr_tce_perm(0xfffffffffffffffc | perm), ==, perm);
    }
    g_assert_cmphex(spapr_tce_target(0x123456789abcdfff, 12), ==,
                    0x123456789abcd000);
    g_assert_cmphex(spapr_tce_target(0x123456789abcdfff, 16), ==,
                    0x123456789abc0000);
    g_assert_cmphex(spapr_tce_target(0x123456789abcdfff, 24), ==,
                    0x123456789a000000);
    g_assert_cmphex(spapr_tce_target(0xffffffffffffffff, 34), ==,
                    0xfffffffc00000000);
    g_assert_cmphex(spapr_tce_target(0xffffffffffffffff, 63), ==,
                    0x8000000000000000);
}

static void test_sizes(void)
{
    static const uint64_t good[] = { 1, LEAF, LEAF + 1, 1 << 18, MAX_ENTRIES };
    uint64_t words[4] = { 0 };

    g_assert_null(new_store(0));
    g_assert_null(new_store(MAX_ENTRIES + 1));
    g_assert_null(new_store(UINT64_MAX));
    g_assert_null(spapr_tce_store_new_flat(words, 0, 12, NULL));
    g_assert_null(spapr_tce_store_new_flat(words, MAX_ENTRIES + 1, 12, NULL));
    spapr_tce_store_free(NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(good); i++) {
        SpaprTceStore *store = new_store(good[i]);

        g_assert_cmphex(spapr_tce_store_entries(store), ==, good[i]);
        assert_empty(store);
        spapr_tce_store_free(store);
    }
}

/* Block sizes: words or children, and no more than a little beside them */
static void test_block_bytes(void)
{
    g_assert_cmpuint(leaf_bytes(), >=, LEAF * 8);
    g_assert_cmpuint(leaf_bytes(), <=, LEAF * 8 + 64);
    g_assert_cmpuint(node_bytes(), >=, LEAF * sizeof(void *));
    g_assert_cmpuint(node_bytes(), <=, LEAF * sizeof(void *) + 64);
    g_assert_cmpuint(bytes_with_one_entry(MAX_ENTRIES), ==,
                     leaf_bytes() + 5 * node_bytes());
}

static void test_edges(void)
{
    SpaprTceStore *store = new_store(MAX_ENTRIES);
    uint64_t last = MAX_ENTRIES - 1;
    uint64_t pos = 0;

    g_assert_cmphex(spapr_tce_store_get(store, 0), ==, 0);
    g_assert_cmphex(spapr_tce_store_get(store, last), ==, 0);
    spapr_tce_store_set(store, last, 0x5003);
    spapr_tce_store_set(store, 0, 0x6001);
    g_assert_cmphex(spapr_tce_store_get(store, last), ==, 0x5003);
    g_assert_cmphex(spapr_tce_store_get(store, last - 1), ==, 0);
    g_assert_cmphex(spapr_tce_store_get(store, 0), ==, 0x6001);
    g_assert_cmphex(spapr_tce_store_get(store, 1), ==, 0);
    g_assert_cmphex(spapr_tce_store_get(store, last - (last >> 9)), ==, 0);
    g_assert_cmpuint(spapr_tce_store_populated(store), ==, 2);
    g_assert_cmpuint(spapr_tce_store_bytes(store), ==,
                     2 * leaf_bytes() + 9 * node_bytes());
    assert_span(store, &pos, 0, 1);
    assert_span(store, &pos, last, 1);
    assert_no_span(store, pos);
    pos = 0;
    assert_run(store, &pos, 0, 1, 0x6000, 1);
    assert_run(store, &pos, last, 1, 0x5000, 3);
    assert_no_run(store, pos);
    spapr_tce_store_set(store, last, 0);
    g_assert_cmpuint(spapr_tce_store_bytes(store), ==,
                     2 * leaf_bytes() + 9 * node_bytes());
    spapr_tce_store_set(store, 0, 0);
    g_assert_cmpuint(spapr_tce_store_bytes(store), ==,
                     leaf_bytes() + 5 * node_bytes());
    assert_empties(store);
    spapr_tce_store_free(store);
}

/* Nothing beyond the end is written, and it reads as zero */
static void test_beyond_end(gconstpointer flat)
{
    uint64_t words[1000 + 24];
    SpaprTceStore *store;
    uint64_t tces[8];
    uint64_t pos = 1000;

    for (unsigned i = 0; i < 8; i++) {
        tces[i] = 0x1003 + (i << 12);
    }
    memset(words, 0, 1000 * 8);
    memset(words + 1000, 0xee, 24 * 8);
    store = flat ? spapr_tce_store_new_flat(words, 1000, 12, NULL)
                 : new_store(1000);
    spapr_tce_store_put(store, 996, tces, 8);
    g_assert_cmpuint(spapr_tce_store_populated(store), ==, 4);
    g_assert_cmphex(spapr_tce_store_get(store, 999), ==, 0x4003);
    g_assert_cmphex(spapr_tce_store_get(store, 1000), ==, 0);
    g_assert_cmphex(spapr_tce_store_get(store, UINT64_MAX), ==, 0);
    assert_no_span(store, pos);
    assert_no_span(store, UINT64_MAX);
    spapr_tce_store_put(store, UINT64_MAX, tces, 8);
    spapr_tce_store_set(store, 1000, 3);
    fill(store, 1000, 3, UINT64_MAX);
    fill(store, UINT64_MAX, 3, UINT64_MAX);
    spapr_tce_store_clear(store, 1000, UINT64_MAX);
    spapr_tce_store_put(store, 0, tces, 0);
    fill(store, 0, 3, 0);
    spapr_tce_store_clear(store, 996, 0);
    g_assert_cmpuint(spapr_tce_store_populated(store), ==, 4);
    fill(store, 998, 7, UINT64_MAX);
    g_assert_cmpuint(spapr_tce_store_populated(store), ==, 4);
    g_assert_cmphex(spapr_tce_store_get(store, 997), ==, 0x2003);
    g_assert_cmphex(spapr_tce_store_get(store, 999), ==, 7);
    spapr_tce_store_clear(store, 997, UINT64_MAX);
    g_assert_cmpuint(spapr_tce_store_populated(store), ==, 1);
    for (unsigned i = 1000; i < G_N_ELEMENTS(words); i++) {
        g_assert_cmphex(words[i], ==, 0xeeeeeeeeeeeeeeee);
    }
    spapr_tce_store_free(store);
}

static void test_leaf_boundaries(void)
{
    SpaprTceStore *store = new_store(1 << 18);
    uint64_t pos = 0;

    put_run(store, LEAF - 2, LEAF + 4, 0x10000003);
    g_assert_cmpuint(spapr_tce_store_bytes(store), ==,
                     3 * leaf_bytes() + node_bytes());
    assert_span(store, &pos, LEAF - 2, 2);
    assert_span(store, &pos, LEAF, LEAF);
    assert_span(store, &pos, 2 * LEAF, 2);
    assert_no_span(store, pos);
    pos = 0;
    assert_run(store, &pos, LEAF - 2, LEAF + 4, 0x10000000, 3);
    assert_no_run(store, pos);
    pos = LEAF + 100;
    assert_run(store, &pos, LEAF + 100, LEAF - 98, 0x10066000, 3);

    /* A hole that empties the leaf in the middle cuts the run */
    spapr_tce_store_clear(store, LEAF, LEAF);
    g_assert_cmpuint(spapr_tce_store_bytes(store), ==,
                     2 * leaf_bytes() + node_bytes());
    pos = 0;
    assert_run(store, &pos, LEAF - 2, 2, 0x10000000, 3);
    assert_run(store, &pos, 2 * LEAF, 2, 0x10202000, 3);
    assert_no_run(store, pos);
    spapr_tce_store_free(store);
}

/* One put of 512 words lies in two leaves at most */
static void test_put_two_leaves(void)
{
    SpaprTceStore *store = new_store(1 << 18);
    uint64_t tces[LEAF];

    for (unsigned i = 0; i < LEAF; i++) {
        tces[i] = 0x7000000000000003 + ((uint64_t)i << 12);
    }
    spapr_tce_store_put(store, 5 * LEAF - 1, tces, LEAF);
    g_assert_cmpuint(spapr_tce_store_populated(store), ==, LEAF);
    g_assert_cmpuint(spapr_tce_store_bytes(store), ==,
                     2 * leaf_bytes() + node_bytes());
    for (unsigned i = 0; i < LEAF; i++) {
        g_assert_cmphex(spapr_tce_store_get(store, 5 * LEAF - 1 + i), ==,
                        tces[i]);
    }
    memset(tces, 0, sizeof(tces));
    spapr_tce_store_put(store, 5 * LEAF - 1, tces, LEAF - 1);
    g_assert_cmpuint(spapr_tce_store_populated(store), ==, 1);
    spapr_tce_store_put(store, 5 * LEAF - 1, tces, LEAF);
    assert_empties(store);
    spapr_tce_store_put(store, 100, tces, LEAF);
    assert_empty(store);
    spapr_tce_store_free(store);
}

/* Words without permission are kept and spanned but belong to no run */
static void test_poison(void)
{
    SpaprTceStore *store = new_store(1 << 18);
    uint64_t pos = 0;

    fill(store, 10, 0xdead000000000000, 3);
    g_assert_cmphex(spapr_tce_store_get(store, 12), ==, 0xdead000000000000);
    g_assert_cmpuint(spapr_tce_store_populated(store), ==, 3);
    assert_no_run(store, 0);
    put_run(store, 13, 2, 0x8002);
    spapr_tce_store_set(store, 15, 0xa000);
    put_run(store, 16, 1, 0xb002);
    assert_span(store, &pos, 10, 7);
    assert_no_span(store, pos);
    pos = 0;
    assert_run(store, &pos, 13, 2, 0x8000, 2);
    assert_run(store, &pos, 16, 1, 0xb000, 2);
    assert_no_run(store, pos);
    spapr_tce_store_free(store);
}

static void test_run_cutting(void)
{
    SpaprTceStore *store = new_store(1 << 18);
    uint64_t pos = 0;

    put_run(store, 0, 4, 0x1003);
    spapr_tce_store_set(store, 4, 0x5001);      /* contiguous, less allowed */
    spapr_tce_store_set(store, 5, 0x6002);      /* contiguous, other way */
    spapr_tce_store_set(store, 6, 0x7003);
    spapr_tce_store_set(store, 7, 0x7003);      /* same page again */
    spapr_tce_store_set(store, 8, 0x6003);      /* backwards */
    spapr_tce_store_set(store, 9, 0x7ffb + 4);  /* reserved bits set */
    spapr_tce_store_set(store, 10, 0x8003);
    assert_run(store, &pos, 0, 4, 0x1000, 3);
    assert_run(store, &pos, 4, 1, 0x5000, 1);
    assert_run(store, &pos, 5, 1, 0x6000, 2);
    assert_run(store, &pos, 6, 1, 0x7000, 3);
    assert_run(store, &pos, 7, 1, 0x7000, 3);
    assert_run(store, &pos, 8, 3, 0x6000, 3);
    assert_no_run(store, pos);
    spapr_tce_store_free(store);
}

/* A part of a long run costs what the part is long, and ends where told */
static void test_run_below(void)
{
    SpaprTceStore *store = new_store(MAX_ENTRIES);
    uint64_t pos = LEAF - 1;
    SpaprTceRun run;

    put_run(store, 0, 4 * LEAF, 0x10003);
    g_assert_true(spapr_tce_store_next_run(store, 2 * LEAF + 1,
                                                 &pos, &run));
    assert_run_is(&run, LEAF - 1, LEAF + 2, 0x20f000, 3);
    g_assert_cmphex(pos, ==, 2 * LEAF + 1);
    g_assert_false(spapr_tce_store_next_run(store, pos, &pos, &run));
    pos = 4 * LEAF - 1;
    g_assert_true(spapr_tce_store_next_run(store, UINT64_MAX, &pos,
                                                 &run));
    assert_run_is(&run, 4 * LEAF - 1, 1, 0x80f000, 3);
    pos = 5;
    g_assert_false(spapr_tce_store_next_run(store, 5, &pos, &run));
    pos = 5;
    g_assert_false(spapr_tce_store_next_run(store, 0, &pos, &run));
    spapr_tce_store_free(store);
}

/* Cut an array of words into runs; returns how many there are */
static unsigned cut(SpaprTceRun *runs, const uint64_t *tces, uint64_t count,
                    uint64_t index, unsigned page_shift)
{
    SpaprTceBatch batch = {
        .words = tces,
        .index = index,
        .count = count,
        .page_shift = page_shift,
        .runs = runs,
    };
    unsigned n_runs;

    spapr_tce_batch_cut(&batch);
    n_runs = batch.n_runs;
    spapr_tce_batch_cut(&batch);
    g_assert_cmpuint(batch.n_runs, ==, n_runs);
    return n_runs;
}

static void test_target_wrap(void)
{
    static const uint64_t tces[] = {
        0xffffffffffffe003, 0xfffffffffffff003, 0x3, 0x1003,
    };
    SpaprTceStore *store = new_store(LEAF);
    uint64_t huge[] = { 0x8000000000000001, 0x1, 0x8000000000000001 };
    uint64_t pos = 0;
    SpaprTceRun runs[3];

    spapr_tce_store_put(store, 0, tces, 4);
    assert_run(store, &pos, 0, 2, 0xffffffffffffe000, 3);
    assert_run(store, &pos, 2, 2, 0, 3);
    assert_no_run(store, pos);
    spapr_tce_store_free(store);

    g_assert_cmpuint(cut(runs, huge, 3, 0, 63), ==, 2);
    assert_run_is(&runs[0], 0, 1, 0x8000000000000000, 1);
    assert_run_is(&runs[1], 1, 2, 0, 1);
}

static void test_array_runs(void)
{
    static const uint64_t tces[] = {
        0x0, 0xf000, 0xdead0000, 0x10003, 0x20003, 0x30001, 0x0, 0x40001,
        0x50003,
    };
    static const SpaprTceRun want[] = {
        { 0, 3, 0, 0 }, { 3, 2, 0x10000, 3 }, { 5, 1, 0x30000, 1 },
        { 6, 1, 0, 0 }, { 7, 1, 0x40000, 1 }, { 8, 1, 0x50000, 3 },
    };
    SpaprTceRun runs[9];

    g_assert_cmpuint(cut(runs, tces, 9, 0, 16), ==, G_N_ELEMENTS(want));
    for (unsigned i = 0; i < G_N_ELEMENTS(want); i++) {
        assert_run_is(&runs[i], want[i].index, want[i].count, want[i].target,
                      want[i].perm);
    }
    g_assert_cmpuint(cut(runs, tces, 0, 0, 16), ==, 0);
    g_assert_cmpuint(cut(runs, &tces[4], 5, 1000, 16), ==, 5);
    assert_run_is(&runs[0], 1000, 1, 0x20000, 3);
    assert_run_is(&runs[4], 1004, 1, 0x50000, 3);
}

/* What has no permission leads nowhere, and the bits between do not count */
static void test_batch_last(void)
{
    static const uint64_t tces[] = {
        0xfffffffffffff000, 0x10003, 0x2fff1, 0x8002, 0,
    };
    SpaprTceBatch batch = { .words = tces, .count = 5, .page_shift = 16 };

    g_assert_cmphex(spapr_tce_batch_last(&batch), ==, 0x2ffff);
    batch.page_shift = 12;
    g_assert_cmphex(spapr_tce_batch_last(&batch), ==, 0x2ffff);
    batch.count = 2;
    g_assert_cmphex(spapr_tce_batch_last(&batch), ==, 0x10fff);
    batch.count = 1;
    g_assert_cmphex(spapr_tce_batch_last(&batch), ==, 0);
    batch.words = &tces[4];
    g_assert_cmphex(spapr_tce_batch_last(&batch), ==, 0);
}

/* A walk of all 2^52 entries would not end; this does at once */
static void test_huge_ranges(void)
{
    SpaprTceStore *store = new_store(MAX_ENTRIES);
    uint64_t pos = 0;

    for (unsigned bit = 0; bit < 52; bit++) {
        spapr_tce_store_set(store, UINT64_C(1) << bit, 0x1003);
        spapr_tce_store_set(store, MAX_ENTRIES - (UINT64_C(1) << bit), 0x2003);
    }
    /* 2^51 was written twice, from either side */
    g_assert_cmpuint(spapr_tce_store_populated(store), ==, 103);
    for (unsigned bit = 0; bit < 52; bit++) {
        uint64_t index = UINT64_C(1) << bit;

        assert_run(store, &pos, index, 1, bit < 51 ? 0x1000 : 0x2000, 3);
    }
    spapr_tce_store_clear(store, 2, MAX_ENTRIES - 3);
    g_assert_cmpuint(spapr_tce_store_populated(store), ==, 2);
    g_assert_cmphex(spapr_tce_store_get(store, 1), ==, 0x1003);
    g_assert_cmphex(spapr_tce_store_get(store, MAX_ENTRIES - 1), ==, 0x2003);
    fill(store, 0, 0, UINT64_MAX);
    assert_empty(store);

    fill(store, MAX_ENTRIES - 100000, 0x9003, 100000);
    g_assert_cmpuint(spapr_tce_store_populated(store), ==, 100000);
    g_assert_cmpuint(spapr_tce_store_bytes(store), ==,
                     196 * leaf_bytes() + 5 * node_bytes());
    spapr_tce_store_clear(store, 0, MAX_ENTRIES);
    assert_empty(store);
    spapr_tce_store_free(store);
}

/* The owner of a flat array and the store see each other's words */
static void test_flat(void)
{
    g_autofree uint64_t *words = g_new0(uint64_t, 2000);
    SpaprTceStore *store = spapr_tce_store_new_flat(words, 2000, 12, NULL);
    uint64_t pos = 0;

    assert_empty(store);
    words[1999] = 0x2003;
    words[600] = 0x1003;
    g_assert_cmphex(spapr_tce_store_get(store, 1999), ==, 0x2003);
    spapr_tce_store_set(store, 601, 0x2003);
    fill(store, 602, 0x4001, 2);
    g_assert_cmphex(words[601], ==, 0x2003);
    g_assert_cmphex(words[603], ==, 0x4001);
    g_assert_cmpuint(spapr_tce_store_populated(store), ==, 5);
    g_assert_cmpuint(spapr_tce_store_bytes(store), ==, 0);
    assert_span(store, &pos, 600, 4);
    assert_span(store, &pos, 1999, 1);
    assert_no_span(store, pos);
    pos = 0;
    assert_run(store, &pos, 600, 2, 0x1000, 3);
    spapr_tce_store_clear(store, 601, 2);
    g_assert_cmphex(words[600], ==, 0x1003);
    g_assert_cmphex(words[601], ==, 0);
    g_assert_cmphex(words[602], ==, 0);
    g_assert_cmphex(words[603], ==, 0x4001);
    spapr_tce_store_free(store);
    g_assert_cmphex(words[603], ==, 0x4001);
}

/* Taking away what was found, while walking, ends with an empty store */
static void test_change_while_walking(void)
{
    SpaprTceStore *store = new_store(UINT64_C(1) << 40);
    uint64_t pos = 0;
    unsigned found = 0;
    SpaprTceSpan span;
    SpaprTceRun run;

    for (uint64_t i = 0; i < 100; i++) {
        put_run(store, i * 0x123456789, 700, 0x1003);
    }
    while (spapr_tce_store_next_span(store, UINT64_MAX, &pos, &span)) {
        spapr_tce_store_clear(store, span.index, span.count);
        found += span.count;
    }
    g_assert_cmpuint(found, ==, 70000);
    assert_empties(store);

    for (uint64_t i = 0; i < 100; i++) {
        put_run(store, i * 0x123456789, 700, 0x1003);
    }
    pos = found = 0;
    while (spapr_tce_store_next_run(store, UINT64_MAX, &pos, &run)) {
        spapr_tce_store_clear(store, run.index, run.count);
        found++;
    }
    g_assert_cmpuint(found, ==, 100);
    assert_empties(store);
    spapr_tce_store_free(store);
}

static GPtrArray *deferred;

static void defer_collect(void *block)
{
    memset(block, 0xff, SPAPR_TCE_DEFER_ROOM);
    g_ptr_array_add(deferred, block);
}

/* What is emptied goes to the hook, and only that */
static void test_defer(void)
{
    SpaprTceStore *store = spapr_tce_store_new(MAX_ENTRIES, 12, &budget,
                                               defer_collect);

    deferred = g_ptr_array_new_with_free_func(spapr_tce_block_free);
    fill(store, 0, 0x1003, 2 * LEAF);
    spapr_tce_store_set(store, MAX_ENTRIES - 1, 0x1003);
    spapr_tce_store_clear(store, 0, LEAF - 1);
    g_assert_cmpuint(deferred->len, ==, 0);
    spapr_tce_store_set(store, LEAF - 1, 0);
    g_assert_cmpuint(deferred->len, ==, 0);
    spapr_tce_store_clear(store, LEAF, LEAF);
    g_assert_cmpuint(deferred->len, ==, 1);
    spapr_tce_store_clear(store, 0, UINT64_MAX);
    g_assert_cmpuint(deferred->len, ==, 3 + 4 + 5);
    assert_empty(store);
    spapr_tce_store_set(store, 0, 3);
    spapr_tce_store_free(store);
    g_assert_cmpuint(deferred->len, ==, 3 + 4 + 5);
    g_ptr_array_unref(deferred);
}

/* D6: what waits for its readers counts as used, until it is freed */
static void test_budget(void)
{
    SpaprTceStore *store = spapr_tce_store_new(1 << 18, 12, &budget,
                                               defer_collect);
    SpaprTceStore *other = new_store(LEAF);

    deferred = g_ptr_array_new_with_free_func(spapr_tce_block_free);
    g_assert_cmpuint(budget.used, ==, 0);
    fill(store, 0, 0x1003, 4 * LEAF);
    spapr_tce_store_set(other, 0, 3);
    g_assert_cmpuint(budget.used, ==, 5 * leaf_bytes() + node_bytes());
    spapr_tce_store_clear(store, 0, UINT64_MAX);
    g_assert_cmpuint(spapr_tce_store_bytes(store), ==, 0);
    g_assert_cmpuint(budget.used, ==, 5 * leaf_bytes() + node_bytes());
    g_ptr_array_set_size(deferred, 2);
    g_assert_cmpuint(budget.used, ==, 3 * leaf_bytes());
    g_ptr_array_unref(deferred);
    g_assert_cmpuint(budget.used, ==, leaf_bytes());
    spapr_tce_store_free(store);
    spapr_tce_store_free(other);
    g_assert_cmpuint(budget.used, ==, 0);
}

/* One page mapped and unmapped again and again costs no block */
static void test_idle_leaf(void)
{
    SpaprTceStore *store = spapr_tce_store_new(1 << 18, 12, &budget,
                                               defer_collect);
    uint64_t path = leaf_bytes() + node_bytes();

    deferred = g_ptr_array_new_with_free_func(spapr_tce_block_free);
    for (uint64_t i = 0; i < 100; i++) {
        spapr_tce_store_set(store, 7 * LEAF + i, 0x1003);
        spapr_tce_store_set(store, 7 * LEAF + i, 0);
        put_run(store, 7 * LEAF + i, 16, 0x1003);
        spapr_tce_store_clear(store, 7 * LEAF + i, 16);
        g_assert_cmpuint(spapr_tce_store_bytes(store), ==, path);
        g_assert_cmpuint(spapr_tce_store_populated(store), ==, 0);
        assert_no_span(store, 0);
    }
    g_assert_cmpuint(deferred->len, ==, 0);

    /* There is one such leaf; filled again, it is none */
    spapr_tce_store_set(store, 9 * LEAF, 3);
    spapr_tce_store_set(store, 9 * LEAF, 0);
    g_assert_cmpuint(deferred->len, ==, 1);
    g_assert_cmpuint(spapr_tce_store_bytes(store), ==, path);
    spapr_tce_store_set(store, 9 * LEAF + 1, 3);
    spapr_tce_store_set(store, 3 * LEAF, 3);
    spapr_tce_store_set(store, 3 * LEAF, 0);
    g_assert_cmpuint(deferred->len, ==, 1);
    g_assert_cmphex(spapr_tce_store_get(store, 9 * LEAF + 1), ==, 3);
    g_assert_cmpuint(spapr_tce_store_bytes(store), ==, path + leaf_bytes());

    /* A leaf as a whole goes at once, and so does the empty one */
    spapr_tce_store_clear(store, 9 * LEAF, LEAF);
    g_assert_cmpuint(deferred->len, ==, 2);
    spapr_tce_store_clear(store, 3 * LEAF, LEAF);
    g_assert_cmpuint(deferred->len, ==, 4);
    assert_empty(store);
    spapr_tce_store_free(store);
    g_ptr_array_unref(deferred);
}

/* What was looked at last is seen as it is, however it came to be so */
static void test_look(void)
{
    SpaprTceStore *store = new_store(3 * LEAF - 5);
    uint64_t last = 3 * LEAF - 6;

    g_assert_cmphex(spapr_tce_store_look(store, last), ==, 0);
    fill(store, last - 1, 0x1003, 9);
    g_assert_cmphex(spapr_tce_store_look(store, last), ==, 0x1003);
    g_assert_cmphex(spapr_tce_store_look(store, last + 1), ==, 0);
    spapr_tce_store_set(store, last + 1, 3);
    g_assert_cmphex(spapr_tce_store_look(store, last + 1), ==, 0);
    g_assert_cmphex(spapr_tce_store_look(store, UINT64_MAX), ==, 0);
    g_assert_cmpuint(spapr_tce_store_populated(store), ==, 2);
    spapr_tce_store_clear(store, LEAF, UINT64_MAX);
    g_assert_cmphex(spapr_tce_store_look(store, last), ==, 0);
    spapr_tce_store_set(store, last, 0x2003);
    g_assert_cmphex(spapr_tce_store_look(store, last), ==, 0x2003);
    g_assert_cmphex(spapr_tce_store_get(store, last), ==, 0x2003);
    g_assert_cmphex(spapr_tce_store_look(store, 0), ==, 0);
    spapr_tce_store_set(store, LEAF - 1, 0x3003);
    g_assert_cmphex(spapr_tce_store_look(store, LEAF - 1), ==, 0x3003);
    g_assert_cmphex(spapr_tce_store_look(store, LEAF), ==, 0);
    g_assert_cmphex(spapr_tce_store_get(store, 0), ==, 0);
    spapr_tce_store_free(store);
}

/*
 * A reader without a lock
 */

#define RACE_ENTRIES (UINT64_C(1) << 27)
#define RACE_PLACES 64

typedef struct Race {
    SpaprTceStore *store;
    gint stop;
} Race;

static uint64_t race_place(unsigned i)
{
    return i * (RACE_ENTRIES / RACE_PLACES) / (1 + i % 3) + i % 2;
}

static gpointer race_reader(gpointer opaque)
{
    Race *race = opaque;
    uint64_t wrong = 0;

    for (unsigned i = 0; !g_atomic_int_get(&race->stop); i++) {
        uint64_t index = race_place(i % RACE_PLACES);
        uint64_t tce = spapr_tce_store_get(race->store, index);

        wrong += tce && tce != (index << 12 | 3);
    }
    return (gpointer)(uintptr_t)wrong;
}

static void test_reader(void)
{
    Race race = {
        .store = spapr_tce_store_new(RACE_ENTRIES, 12, &budget, defer_collect),
    };
    GThread *reader;

    deferred = g_ptr_array_new_with_free_func(spapr_tce_block_free);
    reader = g_thread_new("reader", race_reader, &race);
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t index = race_place(g_test_rand_int_range(0, RACE_PLACES));
        bool set = g_test_rand_int_range(0, 2);

        spapr_tce_store_set(race.store, index, set ? index << 12 | 3 : 0);
    }
    g_atomic_int_set(&race.stop, 1);
    g_assert_true(g_thread_join(reader) == NULL);
    spapr_tce_store_free(race.store);
    g_ptr_array_unref(deferred);
}

/*
 * The model
 */

static uint64_t model_get(Fixture *f, uint64_t index)
{
    uint64_t *tce = g_hash_table_lookup(f->model, &index);

    return tce ? *tce : 0;
}

static void model_set(Fixture *f, uint64_t index, uint64_t tce)
{
    if (index >= f->entries) {
        return;
    }
    if (tce) {
        g_hash_table_replace(f->model, g_memdup2(&index, sizeof(index)),
                             g_memdup2(&tce, sizeof(tce)));
    } else {
        g_hash_table_remove(f->model, &index);
    }
}

static void model_clear(Fixture *f, uint64_t first, uint64_t count)
{
    GHashTableIter iter;
    gpointer key;

    g_hash_table_iter_init(&iter, f->model);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        uint64_t index = *(uint64_t *)key;

        if (index >= first && index - first < count) {
            g_hash_table_iter_remove(&iter);
        }
    }
}

static gint entry_cmp(gconstpointer a, gconstpointer b)
{
    const Entry *x = a, *y = b;

    return x->index < y->index ? -1 : x->index > y->index;
}

static GArray *model_sorted(Fixture *f)
{
    GArray *sorted = g_array_new(false, false, sizeof(Entry));
    GHashTableIter iter;
    gpointer key, value;

    g_hash_table_iter_init(&iter, f->model);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        Entry entry = { *(uint64_t *)key, *(uint64_t *)value };

        g_array_append_val(sorted, entry);
    }
    g_array_sort(sorted, entry_cmp);
    return sorted;
}

static uint64_t page_of(uint64_t tce, unsigned page_shift)
{
    return tce - tce % (UINT64_C(1) << page_shift);
}

/* Does @b continue a run that @a is in? */
static bool joins(Entry a, Entry b, unsigned page_shift)
{
    uint64_t page = UINT64_C(1) << page_shift;

    if (b.index != a.index + 1 || a.tce % 4 != b.tce % 4) {
        return false;
    }
    return a.tce % 4 == 0 ||
           (page_of(b.tce, page_shift) != 0 &&
            page_of(b.tce, page_shift) - page == page_of(a.tce, page_shift));
}

/*
 * Comparing store and model
 */

static void check_gets(Fixture *f, GArray *sorted)
{
    for (unsigned i = 0; i < sorted->len; i++) {
        Entry *e = &g_array_index(sorted, Entry, i);

        g_assert_cmphex(spapr_tce_store_get(f->store, e->index), ==, e->tce);
        g_assert_cmphex(spapr_tce_store_get(f->store, e->index + 1), ==,
                        model_get(f, e->index + 1));
        g_assert_cmphex(spapr_tce_store_get(f->store, e->index - 1), ==,
                        model_get(f, e->index - 1));
        g_assert_cmphex(spapr_tce_store_look(f->store, e->index), ==, e->tce);
    }
    for (unsigned i = 0; i < 20; i++) {
        uint64_t index = rand_below(f->entries);

        g_assert_cmphex(spapr_tce_store_get(f->store, index), ==,
                        model_get(f, index));
        g_assert_cmphex(spapr_tce_store_look(f->store, index), ==,
                        model_get(f, index));
    }
}

/* Each leaf of the model from @start on is one span, its zeroes cut off */
static void check_spans(Fixture *f, GArray *sorted, uint64_t start)
{
    uint64_t pos = start;
    SpaprTceSpan span;
    unsigned i = 0, end;

    while (i < sorted->len && g_array_index(sorted, Entry, i).index < start) {
        i++;
    }
    for (; i < sorted->len; i = end) {
        uint64_t first = g_array_index(sorted, Entry, i).index;

        for (end = i; end < sorted->len; end++) {
            if (g_array_index(sorted, Entry, end).index / LEAF
                != first / LEAF) {
                break;
            }
        }
        g_assert_true(spapr_tce_store_next_span(f->store, UINT64_MAX, &pos,
                                                &span));
        g_assert_cmphex(span.index, ==, first);
        g_assert_cmphex(span.count, ==,
                        g_array_index(sorted, Entry, end - 1).index - first
                        + 1);
        g_assert_cmphex(pos, ==, span.index + span.count);
        for (uint64_t k = 0; k < span.count; k++) {
            g_assert_cmphex(span.tces[k], ==, model_get(f, first + k));
        }
    }
    g_assert_false(spapr_tce_store_next_span(f->store, UINT64_MAX, &pos,
                                             &span));
}

/* Runs of [@start, @stop), as if there were nothing outside of it */
static void check_runs(Fixture *f, GArray *sorted, uint64_t start,
                       uint64_t stop)
{
    uint64_t pos = start;
    SpaprTceRun run;
    unsigned i = 0, end, len = sorted->len;

    while (len && g_array_index(sorted, Entry, len - 1).index >= stop) {
        len--;
    }
    while (i < len && g_array_index(sorted, Entry, i).index < start) {
        i++;
    }
    for (; i < len; i = end) {
        Entry *e = &g_array_index(sorted, Entry, i);

        for (end = i + 1; end < len; end++) {
            if (!joins(e[end - 1 - i], e[end - i], f->page_shift)) {
                break;
            }
        }
        if (e->tce % 4 == 0) {
            continue;
        }
        g_assert_true(spapr_tce_store_next_run(f->store, stop, &pos, &run));
        assert_run_is(&run, e->index, end - i, page_of(e->tce, f->page_shift),
                      e->tce % 4);
        g_assert_cmphex(pos, ==, run.index + run.count);
    }
    g_assert_false(spapr_tce_store_next_run(f->store, stop, &pos, &run));
}

/* Is that one leaf with none or more of the nodes on the way to it? */
static bool is_path(uint64_t bytes, uint64_t entries)
{
    return bytes >= leaf_bytes() &&
           (bytes - leaf_bytes()) % node_bytes() == 0 &&
           (bytes - leaf_bytes()) / node_bytes() <= node_levels(entries);
}

/*
 * The tree holds exactly the blocks on the way to a populated word, and maybe
 * those on the way to one leaf that has none
 */
static void check_bytes(Fixture *f, GArray *sorted)
{
    uint64_t bytes = 0;

    for (unsigned level = 0; level <= node_levels(f->entries); level++) {
        uint64_t cover = UINT64_C(1) << 9 * (level + 1);
        uint64_t last = UINT64_MAX;

        for (unsigned i = 0; i < sorted->len; i++) {
            uint64_t block = g_array_index(sorted, Entry, i).index / cover;

            if (block != last) {
                bytes += level ? node_bytes() : leaf_bytes();
                last = block;
            }
        }
    }
    if (f->flat) {
        bytes = 0;
    } else if (is_path(spapr_tce_store_bytes(f->store) - bytes, f->entries)) {
        return;
    }
    g_assert_cmpuint(spapr_tce_store_bytes(f->store), ==, bytes);
}

static void check_all(Fixture *f)
{
    g_autoptr(GArray) sorted = model_sorted(f);

    g_assert_cmpuint(spapr_tce_store_populated(f->store), ==, sorted->len);
    check_gets(f, sorted);
    check_bytes(f, sorted);
    check_spans(f, sorted, 0);
    check_runs(f, sorted, 0, UINT64_MAX);
    if (sorted->len) {
        unsigned i = g_test_rand_int_range(0, sorted->len);
        uint64_t start = g_array_index(sorted, Entry, i).index;

        check_spans(f, sorted, start + g_test_rand_int_range(0, 3));
        start += g_test_rand_int_range(0, 3);
        check_runs(f, sorted, start, start + rand_below(2 * LEAF));
    }
}

/*
 * Random steps
 */

static uint64_t random_tce(unsigned page_shift)
{
    switch (g_test_rand_int_range(0, 4)) {
    case 0:
        return rand64() & ~UINT64_C(3);
    case 1:
        return rand64();
    case 2: /* in the last pages of all, so that a run wraps around */
        return page_of(-(rand_below(40) << page_shift), page_shift) | 3;
    default:
        return rand_below(1000) << page_shift | g_test_rand_int_range(0, 4);
    }
}

/* Stretches of zeroes, of one word, of words that differ and of pages */
static void random_words(uint64_t *tces, uint64_t count, unsigned page_shift)
{
    for (uint64_t i = 0; i < count;) {
        uint64_t n = 1 + rand_below(1 + rand_below(700));
        uint64_t step = g_test_rand_int_range(0, 3) ? 1 : 0;
        uint64_t tce = g_test_rand_int_range(0, 4) ? random_tce(page_shift)
                                                   : 0;

        n = MIN(n, count - i);
        for (uint64_t k = 0; k < n; k++) {
            tces[i + k] = tce ? tce + (k * step << page_shift) : 0;
        }
        i += n;
    }
}

/* Where something may go wrong: around the ends of blocks of all levels */
static uint64_t random_index(Fixture *f)
{
    uint64_t near = UINT64_C(1) << 9 * g_test_rand_int_range(0, 6);

    switch (g_test_rand_int_range(0, 8)) {
    case 0:
        return rand_below(f->entries);
    case 1:
        return f->entries - 1 - rand_below(MIN(f->entries, 2 * LEAF));
    case 2:
        return f->entries / 2;
    case 3:
        return f->entries + rand_below(4) - 2;
    case 4:
        return near - 1 - rand_below(MIN(near, LEAF));
    default:
        return near % f->entries + rand_below(100);
    }
}

static uint64_t random_long_count(void)
{
    unsigned shift = g_test_rand_int_range(0, 64);

    return g_test_rand_int_range(0, 2) ? rand_below(3 * LEAF)
                                       : rand64() >> shift;
}

static void random_step(Fixture *f)
{
    uint64_t index = random_index(f);
    uint64_t count = rand_below(MAX_WORDS);
    uint64_t tces[MAX_WORDS];

    random_words(tces, count, f->page_shift);
    switch (g_test_rand_int_range(0, 5)) {
    case 0:
        tces[0] = g_test_rand_int_range(0, 3) ? random_tce(f->page_shift) : 0;
        spapr_tce_store_set(f->store, index, tces[0]);
        model_set(f, index, tces[0]);
        break;
    case 1:
        tces[0] = random_tce(f->page_shift);
        fill(f->store, index, tces[0], count);
        for (uint64_t i = 0; i < count && index + i < f->entries; i++) {
            model_set(f, index + i, tces[0]);
        }
        break;
    case 2:
        count = random_long_count();
        spapr_tce_store_clear(f->store, index, count);
        model_clear(f, index, count);
        break;
    default:
        spapr_tce_store_put(f->store, index, tces, count);
        for (uint64_t i = 0; i < count && index + i < f->entries; i++) {
            model_set(f, index + i, tces[i]);
        }
        break;
    }
    if (g_hash_table_size(f->model) > MAX_MODEL) {
        spapr_tce_store_clear(f->store, f->entries / 2, UINT64_MAX);
        model_clear(f, f->entries / 2, UINT64_MAX);
        spapr_tce_store_clear(f->store, 0, f->entries);
        model_clear(f, 0, f->entries);
    }
}

static void random_steps(Fixture *f)
{
    f->model = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free,
                                     g_free);
    for (unsigned i = 0; i < STEPS; i++) {
        random_step(f);
        check_all(f);
    }
    spapr_tce_store_clear(f->store, 0, f->entries);
    assert_empty(f->store);
    spapr_tce_store_free(f->store);
    g_hash_table_destroy(f->model);
}

static void test_random_sparse(gconstpointer entries)
{
    static const unsigned page_shifts[] = { 12, 16, 24, 34 };
    Fixture f = { .entries = *(const uint64_t *)entries };

    f.page_shift = page_shifts[g_test_rand_int_range(0, 4)];
    f.store = spapr_tce_store_new(f.entries, f.page_shift, &budget, NULL);
    random_steps(&f);
}

static void test_random_flat(void)
{
    Fixture f = { .entries = 5000, .page_shift = 12, .flat = true };
    g_autofree uint64_t *words = g_new0(uint64_t, f.entries);

    f.store = spapr_tce_store_new_flat(words, f.entries, 12, NULL);
    random_steps(&f);
}

/* Each word is in one run, and a cut is where two words do not join */
static void test_random_array_runs(void)
{
    uint64_t tces[MAX_WORDS];
    SpaprTceRun runs[MAX_WORDS];

    for (unsigned round = 0; round < STEPS; round++) {
        uint64_t count = rand_below(MAX_WORDS), first = rand_below(1000);
        uint64_t done = 0;
        unsigned n;

        random_words(tces, count, 16);
        n = cut(runs, tces, count, first, 16);
        for (unsigned r = 0; r < n; r++) {
            unsigned perm = tces[done] % 4;
            uint64_t end = done + runs[r].count;

            g_assert_cmpuint(runs[r].count, >=, 1);
            g_assert_cmpuint(end, <=, count);
            assert_run_is(&runs[r], first + done, end - done,
                          perm ? page_of(tces[done], 16) : 0, perm);
            for (uint64_t i = done + 1; i <= end && i < count; i++) {
                g_assert_true(joins((Entry) { i - 1, tces[i - 1] },
                                    (Entry) { i, tces[i] }, 16)
                              == (i < end));
            }
            done = end;
        }
        g_assert_cmpuint(done, ==, count);
    }
}

static void add_tests(void)
{
    static const uint64_t entries[] = {
        1, LEAF - 1, LEAF, LEAF + 1, 1 << 18, (1 << 18) + 1,
        UINT64_C(1) << 27, UINT64_C(1) << 37, MAX_ENTRIES - 5, MAX_ENTRIES,
    };

    g_test_add_func("/spapr-tce-store/decode", test_decode);
    g_test_add_func("/spapr-tce-store/sizes", test_sizes);
    g_test_add_func("/spapr-tce-store/block-bytes", test_block_bytes);
    g_test_add_func("/spapr-tce-store/edges", test_edges);
    g_test_add_data_func("/spapr-tce-store/beyond-end/sparse", NULL,
                         test_beyond_end);
    g_test_add_data_func("/spapr-tce-store/beyond-end/flat", "flat",
                         test_beyond_end);
    g_test_add_func("/spapr-tce-store/leaf-boundaries", test_leaf_boundaries);
    g_test_add_func("/spapr-tce-store/put-two-leaves", test_put_two_leaves);
    g_test_add_func("/spapr-tce-store/poison", test_poison);
    g_test_add_func("/spapr-tce-store/run-cutting", test_run_cutting);
    g_test_add_func("/spapr-tce-store/run-below", test_run_below);
    g_test_add_func("/spapr-tce-store/target-wrap", test_target_wrap);
    g_test_add_func("/spapr-tce-store/array-runs", test_array_runs);
    g_test_add_func("/spapr-tce-store/batch-last", test_batch_last);
    g_test_add_func("/spapr-tce-store/huge-ranges", test_huge_ranges);
    g_test_add_func("/spapr-tce-store/flat", test_flat);
    g_test_add_func("/spapr-tce-store/change-while-walking",
                    test_change_while_walking);
    g_test_add_func("/spapr-tce-store/defer", test_defer);
    g_test_add_func("/spapr-tce-store/D6-budget", test_budget);
    g_test_add_func("/spapr-tce-store/idle-leaf", test_idle_leaf);
    g_test_add_func("/spapr-tce-store/look", test_look);
    g_test_add_func("/spapr-tce-store/reader", test_reader);
    g_test_add_func("/spapr-tce-store/random/array-runs",
                    test_random_array_runs);
    g_test_add_func("/spapr-tce-store/random/flat", test_random_flat);
    for (unsigned i = 0; i < G_N_ELEMENTS(entries); i++) {
        g_autofree char *path = g_strdup_printf(
            "/spapr-tce-store/random/sparse/%" G_GUINT64_FORMAT, entries[i]);

        g_test_add_data_func(path, &entries[i], test_random_sparse);
    }
}

int main(int argc, char **argv)
{
    const char *seed = g_getenv("SEED");
    g_autofree char *option = g_strdup_printf("--seed=%s", seed ?: "");
    g_autofree char **args = g_new0(char *, argc + 2);
    char **rest = args;
    int count = argc;

    memcpy(args, argv, argc * sizeof(*args));
    if (seed) {
        args[count++] = option;
    }
    g_test_init(&count, &rest, NULL);
    add_tests();
    return g_test_run();
}
