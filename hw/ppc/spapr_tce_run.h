/*
 * TCE words, and runs of them
 *
 * A TCE (translation control entry) is a 64-bit word that says where one page
 * of a DMA window leads to and what a device may do there.  A *run* is a
 * stretch of neighbouring entries that can be mapped in one go: one
 * permission, contiguous targets.  A *batch* is one request of a guest: its
 * words, and the same once more as runs.
 *
 * This is the only place where a word is taken apart.  A request is cut into
 * runs once, by the first who wants runs, and all that follows works on these.
 * Where nobody wants them, because all is plain RAM and nobody mirrors the
 * window, cutting would be the larger part of the work (architecture.rst).
 *
 * This header needs the C library only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_PPC_SPAPR_TCE_RUN_H
#define HW_PPC_SPAPR_TCE_RUN_H

typedef struct SpaprTceBatch SpaprTceBatch;

/* PAPR lets one hypercall name this many entries; a list fills 4 KiB */
#define SPAPR_TCE_BATCH_MAX 512

/**
 * SpaprTceRun: neighbouring entries, same permission, contiguous target
 * @index: of the first entry, counted from the start of the window
 * @count: how many, at least 1
 * @target: address of the first page; 0 if @perm is 0
 * @perm: as spapr_tce_perm() has it
 */
typedef struct SpaprTceRun {
    uint64_t index;
    uint64_t count;
    uint64_t target;
    unsigned perm;
} SpaprTceRun;

/**
 * SpaprTceBatch: the words of one request and the runs that they make
 * @words: raw words of neighbouring entries
 * @index: of the first one's entry, counted from the start of the window
 * @count: how many words, 1 .. %SPAPR_TCE_BATCH_MAX
 * @page_shift: log2 of the page size in bytes, below 64
 * @runs: room for as many runs as there are words
 * @n_runs: how many runs there are, 0 before spapr_tce_batch_cut(); each word
 *          is in exactly one
 *
 * Words without permission make runs, too, with @perm and @target 0.
 */
struct SpaprTceBatch {
    const uint64_t *words;
    uint64_t index;
    uint64_t count;
    unsigned page_shift;
    unsigned n_runs;
    SpaprTceRun *runs;
};

/**
 * spapr_tce_perm: what a TCE lets a device do
 * @tce: raw word
 *
 * Returns 0 for nothing, 1 for read, 2 for write, 3 for both (PAPR numbers
 * these two bits 63 and 62).  QEMU's IOMMUAccessFlags have the same values.
 */
static inline unsigned spapr_tce_perm(uint64_t tce)
{
    return tce & 3;
}

/**
 * spapr_tce_target: guest physical address of the page that a TCE names
 * @tce: raw word
 * @page_shift: log2 of the page size in bytes, below 64
 *
 * PAPR reserves the bits between permission and page; they do not count.
 */
static inline uint64_t spapr_tce_target(uint64_t tce, unsigned page_shift)
{
    return tce >> page_shift << page_shift;
}

/**
 * spapr_tce_run_start: begin a run with one entry
 * @run: what becomes a run of one entry
 * @index: of the entry
 * @tce: its raw word
 * @page_shift: log2 of the page size in bytes, below 64
 */
static inline void spapr_tce_run_start(SpaprTceRun *run, uint64_t index,
                                       uint64_t tce, unsigned page_shift)
{
    run->index = index;
    run->count = 1;
    run->perm = spapr_tce_perm(tce);
    run->target = run->perm ? spapr_tce_target(tce, page_shift) : 0;
}

/**
 * spapr_tce_run_extend: make the entry behind a run part of it
 * @run: a run
 * @tce: raw word of the entry behind its last one
 * @page_shift: log2 of the page size in bytes, below 64
 *
 * Returns false, with @run as it was, if the entry belongs to the next run.
 * A target that wraps around to 0 does not continue the one before.
 */
static inline bool spapr_tce_run_extend(SpaprTceRun *run, uint64_t tce,
                                        unsigned page_shift)
{
    unsigned perm = spapr_tce_perm(tce);
    uint64_t next = run->target + (run->count << page_shift);

    if (perm != run->perm ||
        (perm && (!next || spapr_tce_target(tce, page_shift) != next))) {
        return false;
    }
    run->count++;
    return true;
}

/**
 * spapr_tce_batch_last: the last address that any word of a batch leads to
 * @batch: a batch, cut or not
 *
 * Returns 0 if no word has a permission.
 */
static inline uint64_t spapr_tce_batch_last(const SpaprTceBatch *batch)
{
    const uint64_t *word = batch->words, *end = word + batch->count;
    uint64_t last = 0;

    do {
        last = MAX(last, spapr_tce_perm(*word) ? *word : 0);
    } while (++word < end);
    return last ? last | ((UINT64_C(1) << batch->page_shift) - 1) : 0;
}

/**
 * spapr_tce_batch_cut: have the runs of a batch
 * @batch: a batch
 *
 * Does nothing if the batch was cut before.
 */
static inline void spapr_tce_batch_cut(SpaprTceBatch *batch)
{
    const uint64_t *words = batch->words;
    unsigned n = batch->n_runs;
    uint64_t i = 0;

    while (!batch->n_runs && i < batch->count) {
        SpaprTceRun *run = &batch->runs[n++];

        spapr_tce_run_start(run, batch->index + i, words[i],
                            batch->page_shift);
        do {
            i++;
        } while (i < batch->count &&
                 spapr_tce_run_extend(run, words[i], batch->page_shift));
    }
    batch->n_runs = n;
}

#endif /* HW_PPC_SPAPR_TCE_RUN_H */
