/*
 * What the comparison of stores needs of one, the same for each
 *
 * STORE_FLAT chooses the flat mapping, else it is the product's radix tree.
 * If an interface changes, this file is all that has to follow.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_BENCH_STORE_STORE_H
#define TESTS_BENCH_STORE_STORE_H

/* Bytes that would wait for readers; they are freed at once here */
static uint64_t store_deferred;

#ifdef STORE_FLAT

#include "flat_store.h"

typedef FlatStore Store;

/* Returns NULL if there can be none of that size */
static inline Store *store_new(uint64_t entries)
{
    return flat_store_new(entries);
}

static inline void store_free(Store *store)
{
    flat_store_free(store);
}

/* Read as an IOMMU translates, without a lock */
static inline uint64_t store_get(Store *store, uint64_t index)
{
    return flat_store_get(store, index);
}

/* Read under the lock */
static inline uint64_t store_look(Store *store, uint64_t index)
{
    return flat_store_get(store, index);
}

static inline void store_set(Store *store, uint64_t index, uint64_t tce)
{
    flat_store_set(store, index, tce);
}

static inline void store_put(Store *store, uint64_t index,
                             const uint64_t *tces, uint64_t count)
{
    flat_store_put(store, index, tces, count);
}

static inline void store_clear(Store *store, uint64_t index, uint64_t count)
{
    flat_store_clear(store, index, count);
}

/* Move @index past the next populated words; returns how many, 0 at the end */
static inline uint64_t store_next(Store *store, uint64_t *index)
{
    FlatSpan span;

    return flat_store_next_span(store, index, &span) ? span.count : 0;
}

/* System calls about memory so far */
static inline unsigned store_calls(const Store *store)
{
    return store->calls;
}

#else

#include "spapr_tce_store.h"

typedef SpaprTceStore Store;

static SpaprTceBudget store_budget;

static inline void store_defer(void *block)
{
    size_t used = store_budget.used;

    spapr_tce_block_free(block);
    store_deferred += used - store_budget.used;
}

static inline Store *store_new(uint64_t entries)
{
    return spapr_tce_store_new(entries, 12, &store_budget, store_defer);
}

static inline void store_free(Store *store)
{
    spapr_tce_store_free(store);
}

static inline uint64_t store_get(Store *store, uint64_t index)
{
    return spapr_tce_store_get(store, index);
}

static inline uint64_t store_look(Store *store, uint64_t index)
{
    return spapr_tce_store_look(store, index);
}

static inline void store_set(Store *store, uint64_t index, uint64_t tce)
{
    spapr_tce_store_set(store, index, tce);
}

static inline void store_put(Store *store, uint64_t index,
                             const uint64_t *tces, uint64_t count)
{
    spapr_tce_store_put(store, index, tces, count);
}

static inline void store_clear(Store *store, uint64_t index, uint64_t count)
{
    spapr_tce_store_clear(store, index, count);
}

static inline uint64_t store_next(Store *store, uint64_t *index)
{
    SpaprTceSpan span;

    return spapr_tce_store_next_span(store, UINT64_MAX, index, &span)
        ? span.count : 0;
}

static inline unsigned store_calls(const Store *store)
{
    return 0;
}

#endif

#endif /* TESTS_BENCH_STORE_STORE_H */
