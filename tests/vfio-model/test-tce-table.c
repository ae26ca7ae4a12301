/*
 * The model's TCE table against an array, and what skipping is worth
 *
 * usage: test-tce-table [SEED]
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "tce-table.h"

#define SMALL 4096              /* entries of the table with an array */

static unsigned lines, failures;
static uint64_t state;

static void check(bool good, const char *what)
{
    printf("%sok %u - %s\n", good ? "" : "not ", ++lines, what);
    failures += !good;
}

/* splitmix64 */
static uint64_t next(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static void count_drop(void *opaque, const TceTable *table, const Tce *tce)
{
    ++*(uint64_t *)opaque;
}

static bool same(const TceTable *table, const uint64_t *array)
{
    uint64_t live = 0;

    for (uint64_t i = 0; i < SMALL; i++) {
        const Tce *tce = tce_table_find(table, i);

        if ((tce ? tce->hardware : 0) != array[i]) {
            return false;
        }
        live += array[i] != 0;
    }
    return live == table->live;
}

static void set(TceTable *table, uint64_t index, uint64_t value)
{
    Tce *tce = tce_table_make(table, index);

    table->live += !tce->hardware;
    tce->hardware = value;
    tce->user = value;
}

static void random_against_array(unsigned levels)
{
    TceTable *table = tce_table_new(0, 12, SMALL, levels,
                                    (12 + levels - 1) / levels);
    uint64_t array[SMALL] = { 0 }, dropped, expected;
    bool good = true;
    char what[64];

    for (int step = 0; step < 3000 && good; step++) {
        const uint64_t index = next() % SMALL;
        const uint64_t count = next() % (SMALL - index) + 1;

        if (next() % 8) {
            array[index] = next() | 1;
            set(table, index, array[index]);
            continue;
        }
        expected = dropped = 0;
        for (uint64_t i = index; i < index + count; i++) {
            expected += array[i] != 0;
            array[i] = 0;
        }
        tce_table_clear(table, index, count, count_drop, &dropped);
        good = dropped == expected && same(table, array);
    }
    tce_table_free(table);
    snprintf(what, sizeof(what), "random steps, %u levels", levels);
    check(good, what);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* What a clear costs that looks at each entry */
static uint64_t walk(const TceTable *table)
{
    uint64_t found = 0;

    for (uint64_t i = 0; i < table->entries; i++) {
        const Tce *tce = tce_table_find(table, i);

        found += tce && tce->hardware;
    }
    return found;
}

/* 2^30 entries, 32 GiB of 64K pages mapped in 64 places */
static void skipping(void)
{
    const uint64_t entries = 1ull << 30, mapped = 1ull << 19;
    TceTable *table = tce_table_new(0, 16, entries, 5, 13);
    uint64_t dropped = 0;
    double start, walked, cleared;

    for (uint64_t i = 0; i < mapped; i++) {
        set(table, (i >> 13) * (entries / 64) + (i & 8191), 4096 | 3);
    }
    start = now();
    check(walk(table) == mapped, "a walk finds all");
    walked = now() - start;
    start = now();
    tce_table_clear(table, 0, entries, count_drop, &dropped);
    cleared = now() - start;
    check(dropped == mapped && !table->live, "a clear drops all");
    printf("# walk %.3f s, clear %.3f s: %.0f times\n", walked, cleared,
           walked / cleared);
    tce_table_free(table);
}

static void sizes(void)
{
    check(tce_table_bytes(16, 12, 30, 1) == 2 * (8ull << 18),
          "1 GiB with 4K pages");
    check(tce_table_bytes(16, 16, 30, 1) == 2 * (8ull << 14),
          "1 GiB with 64K pages");
    check(tce_table_bytes(16, 16, 20, 1) == 2 * 65536,
          "a host page at least");
    check(tce_table_bytes(12, 12, 30, 2) == 2 * ((8ull << 18) + 4096),
          "two levels");
}

int main(int argc, char **argv)
{
    unsigned long seed = time(NULL);

    if (argc > 1 && sscanf(argv[1], "%lu", &seed) != 1) {
        fprintf(stderr, "usage: test-tce-table [SEED]\n");
        return 2;
    }
    state = seed;
    printf("# seed %lu\n", seed);
    for (unsigned levels = 1; levels <= 5; levels++) {
        random_against_array(levels);
    }
    sizes();
    skipping();
    printf("1..%u\n", lines);
    return failures != 0;
}
