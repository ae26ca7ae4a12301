/*
 * Drives one store of TCE words, so that another program can compare it
 *
 *   drive cost OPERATION PLACE BITS COUNT    page faults, system calls of one
 *   drive memory BITS COUNT                  MiB while COUNT words come and go
 *   drive churn BITS LEAVES ROUNDS           MiB while leaves come and go
 *   drive fill BITS                          seconds to free a full table
 *   drive walk BITS COUNT                    a walk of COUNT scattered words
 *   drive make BITS [lock]                   can there be that many entries?
 *   drive check SEED                         against a hash table
 *
 * A table has 2^BITS entries.  Each prints lines of NAME VALUE.
 *
 * What `cost` measures is what happens in the functions named measured_*, and
 * measured_nothing is what it costs to get there.  PLACE is
 *
 *   hot    in the leaf of the one before (512 words at a time: the same 512)
 *   cold   in another leaf than the one before, which is there
 *   new    in a leaf that is not there
 *   last   the only word of another leaf than the one before
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include "store.h"

#define LEAF 512
#define MIB (1 << 20)

static uint64_t block_near[LEAF];       /* neighbouring targets */
static uint64_t block_far[LEAF];        /* scattered ones */
static uint64_t sink;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* Of the kernel, to put memory behind an address */
static unsigned faults(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

/*
 * Cost
 */

typedef void Measured(Store *store, uint64_t index);

static void __attribute__((noinline)) measured_nothing(Store *store,
                                                       uint64_t index)
{
    __asm__ volatile("" : : "r"(store), "r"(index) : "memory");
}

static void __attribute__((noinline)) measured_put(Store *store,
                                                   uint64_t index)
{
    store_set(store, index, index << 12 | 3);
}

static void __attribute__((noinline)) measured_unput(Store *store,
                                                     uint64_t index)
{
    store_set(store, index, 0);
}

static void __attribute__((noinline)) measured_get(Store *store,
                                                   uint64_t index)
{
    sink = store_look(store, index);
}

static void __attribute__((noinline)) measured_translate(Store *store,
                                                         uint64_t index)
{
    sink = store_get(store, index);
}

static void __attribute__((noinline)) measured_put_near(Store *store,
                                                        uint64_t index)
{
    store_put(store, index, block_near, LEAF);
}

static void __attribute__((noinline)) measured_put_far(Store *store,
                                                       uint64_t index)
{
    store_put(store, index, block_far, LEAF);
}

static void __attribute__((noinline)) measured_stuff(Store *store,
                                                     uint64_t index)
{
    store_clear(store, index, LEAF);
}

static const struct {
    const char *name;
    Measured *measured;
    bool whole;             /* all of a leaf */
    bool clears;
} operations[] = {
    { .name = "nothing", measured_nothing },
    { .name = "put", measured_put },
    { .name = "unput", measured_unput, .clears = true },
    { .name = "get", measured_get },
    { .name = "translate", measured_translate },
    { .name = "indirect-near", measured_put_near, .whole = true },
    { .name = "indirect-far", measured_put_far, .whole = true },
    { .name = "stuff", measured_stuff, .whole = true, .clears = true },
};

/* Leaves in an order that no cache foresees */
static uint64_t leaf_of(uint64_t i, uint64_t leaves, uint64_t count)
{
    uint64_t stride = MAX(leaves / count, 1);

    return i * 40503 % count * stride % leaves;
}

static void cost(const char *name, const char *place, unsigned bits,
                 uint64_t count)
{
    uint64_t leaves = UINT64_C(1) << (bits - 9);
    Store *store = store_new(UINT64_C(1) << bits);
    bool hot = !strcmp(place, "hot"), new = !strcmp(place, "new"),
         last = !strcmp(place, "last");
    uint64_t all_faults = 0, all_calls = 0;
    unsigned op = 0;

    while (op < G_N_ELEMENTS(operations) &&
           strcmp(operations[op].name, name)) {
        op++;
    }
    if (op == G_N_ELEMENTS(operations) || !store) {
        exit(2);
    }
    for (uint64_t i = 0; !new && i < count; i++) {
        uint64_t index = leaf_of(i, leaves, count) * LEAF;

        if (last) {
            store_set(store, index + i % LEAF, 3);
        } else {
            store_put(store, index, block_near, LEAF);
        }
    }
    for (uint64_t i = 0; i < count; i++) {
        uint64_t index = leaf_of(hot ? 1 : i, leaves, count) * LEAF;
        unsigned start_faults, start_calls;

        if (hot && operations[op].clears) {
            store_put(store, index, block_near, LEAF);
        }
        if (hot) {
            store_look(store, index);
        }
        if (!operations[op].whole) {
            index += i % LEAF;
        }
        start_faults = faults();
        start_calls = store_calls(store);
        operations[op].measured(store, index);
        all_calls += store_calls(store) - start_calls;
        all_faults += faults() - start_faults;
    }
    printf("faults %.2f\ncalls %.2f\n", (double)all_faults / count,
           (double)all_calls / count);
    store_free(store);
}

/*
 * Memory
 */

typedef struct Memory {
    double resident;        /* pages, shared ones included */
    double tables;          /* page tables */
} Memory;

static double status(const char *name)
{
    g_autofree char *text = NULL;
    const char *line;

    if (!g_file_get_contents("/proc/self/status", &text, NULL, NULL)) {
        exit(2);
    }
    line = strstr(text, name);
    return line ? g_ascii_strtod(line + strlen(name), NULL) / 1024 : 0;
}

static Memory base, peak;

static Memory memory(void)
{
    Memory m = { status("VmRSS:") - base.resident,
                 status("VmPTE:") - base.tables };

    return m;
}

static Memory report(const char *when)
{
    Memory m = memory();

    printf("%s.resident %.1f\n%s.tables %.1f\n", when, m.resident, when,
           m.tables);
    return m;
}

static void take_peak(void)
{
    Memory m = memory();

    if (m.resident + m.tables > peak.resident + peak.tables) {
        peak = m;
    }
}

static void memory_of(unsigned bits, uint64_t count)
{
    uint64_t stride = (UINT64_C(1) << bits) / count;
    Store *store;

    base = memory();
    store = store_new(UINT64_C(1) << bits);
    if (!store) {
        exit(2);
    }
    report("made");
    for (uint64_t i = 0; i < count; i++) {
        store_set(store, i * stride, i << 12 | 3);
    }
    report("filled");
    for (uint64_t i = 0; i < count; i++) {
        store_set(store, i * stride, 0);
    }
    malloc_trim(4 * MIB);       /* as QEMU's RCU thread does */
    report("cleared");
    store_clear(store, 0, UINT64_MAX);
    for (uint64_t i = 0; i < 200000; i++) {
        sink += store_get(store, i * 12345678901 % (UINT64_C(1) << bits));
    }
    report("read");
    store_free(store);
    report("freed");
}

/* As a guest does that wants QEMU to hold much: other leaves in each round */
static void churn(unsigned bits, uint64_t leaves, unsigned rounds)
{
    uint64_t stride = (UINT64_C(1) << bits) / leaves / LEAF * LEAF;
    Store *store;
    double start;

    base = memory();
    store = store_new(UINT64_C(1) << bits);
    if (!store) {
        exit(2);
    }
    start = now();
    for (unsigned round = 0; round < rounds; round++) {
        uint64_t shift = round * stride / rounds / LEAF * LEAF;

        for (uint64_t i = 0; i < leaves; i++) {
            store_set(store, i * stride + shift, i << 12 | 3);
        }
        take_peak();
        for (uint64_t i = 0; i < leaves; i++) {
            store_clear(store, i * stride + shift, LEAF - 1);
        }
        take_peak();
    }
    printf("seconds %.3f\n", now() - start);
    printf("peak.resident %.1f\npeak.tables %.1f\n", peak.resident,
           peak.tables);
    printf("deferred %.1f\n", (double)store_deferred / MIB);
    report("after");
    store_free(store);
}

/*
 * The rest
 */

static void fill(unsigned bits)
{
    uint64_t entries = UINT64_C(1) << bits;
    Store *store;
    double start;

    base = memory();
    store = store_new(entries);
    start = now();
    for (uint64_t i = 0; i < entries; i += LEAF) {
        store_put(store, i, block_near, LEAF);
    }
    printf("fill %.3f\n", now() - start);
    report("full");
    start = now();
    store_free(store);
    printf("free %.3f\n", now() - start);
}

static uint64_t __attribute__((noinline)) measured_walk(Store *store)
{
    uint64_t index = 0, found = 0;

    while (store_next(store, &index)) {
        found++;
    }
    return found;
}

static void walk(unsigned bits, uint64_t count)
{
    Store *store = store_new(UINT64_C(1) << bits);

    for (uint64_t i = 0; i < count; i++) {
        store_set(store, i * ((UINT64_C(1) << bits) / count), 3);
    }
    if (measured_walk(store) != count) {
        exit(2);
    }
    store_free(store);
}

static void make(unsigned bits, bool lock)
{
    Store *store;

    base = memory();
    if (lock && mlockall(MCL_CURRENT | MCL_FUTURE)) {
        exit(2);
    }
    store = store_new(UINT64_C(1) << bits);
    printf("made %d\n", store != NULL);
    if (!store) {
        return;
    }
    store_set(store, (UINT64_C(1) << bits) - 1, 3);
    if (store_get(store, (UINT64_C(1) << bits) - 1) != 3) {
        exit(2);
    }
    report("one");
    store_free(store);
}

static uint64_t random_below(GRand *rand, uint64_t end)
{
    return ((uint64_t)g_rand_int(rand) << 32 | g_rand_int(rand)) % end;
}

static void expect(bool right, const char *what, uint64_t index)
{
    if (!right) {
        printf("wrong %s at %" G_GUINT64_FORMAT "\n", what, index);
        exit(1);
    }
}

/* Sizes around those of a page and a region, and places that crowd */
static void check(uint32_t seed)
{
    static const uint64_t sizes[] = {
        1, 511, 513, 5000, 1 << 18, (1 << 20) + 1, UINT64_C(3) << 22,
        UINT64_C(1) << 37,
    };
    static uint64_t zeroes[3 * LEAF];
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);

    for (unsigned size = 0; size < G_N_ELEMENTS(sizes); size++) {
        uint64_t entries = sizes[size];
        GHashTable *model = g_hash_table_new_full(g_int64_hash, g_int64_equal,
                                                  g_free, NULL);
        Store *store = store_new(entries);

        for (unsigned step = 0; step < 20000; step++) {
            uint64_t crowd = random_below(rand, 12) << random_below(rand, 34);
            uint64_t index = (crowd + random_below(rand, 3 * LEAF)) % entries;
            uint64_t count = random_below(rand, 3 * LEAF), seen = 0, pos = 0;
            uint64_t kind = random_below(rand, 8), tce = step + 1, n;
            GHashTableIter iter;
            gpointer key;

            if (step % 4 == 0) {
                index = entries - 1 -
                        random_below(rand, MIN(entries, 3 * LEAF));
                count = entries - index - (step % 3 && index + 1 < entries);
            }
            if (kind < 4) {
                count = 1;
                tce = kind < 2 ? tce : 0;
                store_set(store, index, tce);
            } else if (kind < 6) {
                tce = 0;
                if (step % 4) {
                    count <<= step % 999 ? random_below(rand, 20) : 40;
                }
                store_clear(store, index, count);
            } else {
                g_autofree uint64_t *tces = g_memdup2(zeroes, sizeof(zeroes));

                for (uint64_t i = 0; i < count; i++) {
                    tces[i] = tce;
                }
                store_put(store, index, tces, count);
            }
            if (tce) {
                for (uint64_t i = index; i < MIN(index + count, entries);
                     i++) {
                    g_hash_table_insert(model, g_memdup2(&i, sizeof(i)),
                                        (gpointer)(uintptr_t)tce);
                }
            }
            g_hash_table_iter_init(&iter, model);
            while (!tce && g_hash_table_iter_next(&iter, &key, NULL)) {
                uint64_t at = *(uint64_t *)key;

                if (at >= index && at - index < count) {
                    g_hash_table_iter_remove(&iter);
                }
            }
            if (step % 50) {
                continue;
            }
            while ((n = store_next(store, &pos))) {
                for (uint64_t i = pos - n; i < pos; i++) {
                    tce = store_get(store, i);
                    expect(tce == (uintptr_t)g_hash_table_lookup(model, &i),
                           "word", i);
                    expect(tce == store_look(store, i), "look", i);
                    seen += tce != 0;
                }
            }
            expect(seen == g_hash_table_size(model), "walk", seen);
        }
        store_free(store);
        g_hash_table_destroy(model);
    }
    printf("right 1\n");
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    unsigned bits = argc > 2 ? atoi(argv[2]) : 0;

    for (unsigned i = 0; i < LEAF; i++) {
        block_near[i] = (uint64_t)i << 12 | 3;
        block_far[i] = (uint64_t)(i * 40503 % 65536) << 12 | 3;
    }
    if (!strcmp(what, "cost") && argc == 6) {
        cost(argv[2], argv[3], atoi(argv[4]), atoi(argv[5]));
    } else if (!strcmp(what, "memory") && argc == 4) {
        memory_of(bits, atoi(argv[3]));
    } else if (!strcmp(what, "churn") && argc == 5) {
        churn(bits, atoi(argv[3]), atoi(argv[4]));
    } else if (!strcmp(what, "fill") && argc == 3) {
        fill(bits);
    } else if (!strcmp(what, "walk") && argc == 4) {
        walk(bits, atoi(argv[3]));
    } else if (!strcmp(what, "make")) {
        make(bits, argc > 3);
    } else if (!strcmp(what, "check")) {
        check(bits);
    } else {
        fprintf(stderr, "usage: see the top of drive.c\n");
        return 2;
    }
    return 0;
}
