/*
 * What the program did to the host
 *
 * Every call is counted by its name and result.  What is wrong although the
 * host let it pass is a violation: a bounded list of lines with numbers.
 * What is still there when all files are closed is a leak.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_LEDGER_H
#define VFIO_MODEL_LEDGER_H

#include <stdio.h>

#include "model.h"

typedef enum {
    COUNT_DMA_READS,        /* by functions, from the program's memory */
    COUNT_DMA_WRITES,
    COUNT_DMA_FAULTS,
    COUNT_INTERRUPTS,
    COUNT_PINNED,           /* host pages, ever */
    COUNT_UNPINNED,
    COUNT_MAPPED,           /* TCEs or type1 mappings, ever */
    COUNT_UNMAPPED,
    COUNT_IOMMU_MAPS,       /* type1: mappings given to the IOMMU */
    COUNT_IOMMU_UNMAPS,
    COUNT_HOT_RESETS,       /* EEH: of groups */
    COUNT_FUNDAMENTAL_RESETS,
    COUNT_END
} LedgerCount;

void ledger_call(const char *name, long result);
void ledger_add(LedgerCount which, uint64_t amount);
void ledger_violation(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Write everything as one JSON object to @file */
void ledger_print(FILE *file);

/**
 * ledger_finish - close the books
 * @path: where the JSON goes, NULL: nowhere
 *
 * Called when every file was closed.  Leaks and violations also go to
 * standard error, a line each.
 */
void ledger_finish(const char *path);

/* Remember what is live now, as "at_exit" of the JSON */
void ledger_snapshot(void);

#endif
