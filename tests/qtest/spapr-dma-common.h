/*
 * sPAPR DMA windows: what the qtests of them share
 *
 * A SpaprDmaTest is a running pseries machine and one of its PHBs.  RTAS
 * calls go through the "rtas" qtest verb, hypercalls through "hcall", so no
 * guest code runs and every answer is that of one call.
 *
 * Statuses are returned to the caller, never checked here; only the
 * spapr_assert_*() functions check.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_SPAPR_DMA_COMMON_H
#define TESTS_SPAPR_DMA_COMMON_H

#include "qemu/units.h"
#include "libqtest.h"
#include "qobject/qdict.h"
#include "libqos/libqos-malloc.h"

/* PAPR: hypercalls and what they answer */
enum {
    H_GET_TCE = 0x1c,
    H_PUT_TCE = 0x20,
    H_STUFF_TCE = 0x138,
    H_PUT_TCE_INDIRECT = 0x13c,

    H_SUCCESS = 0,
    H_PARAMETER = -4,
    H_NOT_ENOUGH_RESOURCES = -44,
};

/* PAPR: statuses of RTAS calls */
enum {
    RTAS_OK = 0,
    RTAS_HW_ERROR = -1,
    RTAS_PARAM_ERROR = -3,
};

/* PAPR: permission bits of a TCE */
enum {
    TCE_NONE = 0,
    TCE_RO = 1,
    TCE_WO = 2,
    TCE_RW = 3,
};

/* What pseries promises about its first PHB */
#define BUID_PHB0       0x800000020000000ULL
#define LIOBN_DEFAULT   0x80000000U
#define LIOBN_64        0x80000001U
#define WINDOW_DEFAULT  0ULL
#define WINDOW_64       (1ULL << 59)
#define WINDOW_LIMITED  (1ULL << 32)    /* instead of 2^59, if asked for */
#define DEFAULT_SHIFT   30

/* What a word of an RTAS answer holds if the call did not write it */
#define RTAS_UNTOUCHED  0xdeadbeefU

/* Guest RAM of every machine that is booted here without an own -m */
#define TEST_RAM        (256 * MiB)

/**
 * SpaprDmaTest: a machine under test
 * @qts: the connection to it
 * @alloc: guest memory that nobody uses
 * @buid: the PHB that RTAS calls are about; the first one unless changed
 * @scratch: guest page for the arguments and answers of RTAS calls
 * @list: guest page for the list of H_PUT_TCE_INDIRECT
 */
typedef struct SpaprDmaTest {
    QTestState *qts;
    QGuestAllocator alloc;
    uint64_t buid;
    uint64_t scratch;
    uint64_t list;
} SpaprDmaTest;

/**
 * SpaprDdwQuery: answer of ibm,query-pe-dma-window; @status first
 */
typedef struct SpaprDdwQuery {
    int32_t status;
    uint32_t windows;
    uint64_t largest;
    uint32_t page_sizes;
    uint32_t migratable;
} SpaprDdwQuery;

/**
 * SpaprDdwWindow: answer of ibm,create-pe-dma-window; @status first
 */
typedef struct SpaprDdwWindow {
    int32_t status;
    uint32_t liobn;
    uint64_t addr;
} SpaprDdwWindow;

/**
 * spapr_dma_boot: start a pseries machine with 256 MiB and no devices
 * @fmt: more options
 */
SpaprDmaTest *spapr_dma_boot(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

/**
 * spapr_dma_boot_env: the same with the binary that a variable names
 * @env: environment variable, or NULL for the binary under test
 * @fmt: more options
 */
SpaprDmaTest *spapr_dma_boot_env(const char *env, const char *fmt, ...)
    G_GNUC_PRINTF(2, 3);

/**
 * spapr_dma_quit: stop the machine; it must still be alive
 */
void spapr_dma_quit(SpaprDmaTest *t);

/**
 * spapr_dma_memory: bytes of memory that QEMU has, or had
 * @field: VmRSS: or VmHWM: of proc(5)
 *
 * Returns 0 if QEMU has sanitizers (ASAN_BUILD), which keep what was freed.
 */
uint64_t spapr_dma_memory(SpaprDmaTest *t, const char *field);

/**
 * spapr_rtas: call any RTAS function
 * @nargs: how many of @args the call is told of
 * @nret: how many words of answer the call is told of, status included
 * @ret: the answer, eight words, %RTAS_UNTOUCHED where nothing was written
 *
 * Returns the status.
 */
int32_t spapr_rtas(SpaprDmaTest *t, const char *name,
                   uint32_t nargs, const uint32_t *args,
                   uint32_t nret, uint32_t *ret);

/**
 * spapr_ddw_query: ask what windows can be created
 * @nret: 5 or 6, the size of the answer
 */
SpaprDdwQuery spapr_ddw_query(SpaprDmaTest *t, uint32_t nret);

/**
 * spapr_ddw_create: ask for a window
 */
SpaprDdwWindow spapr_ddw_create(SpaprDmaTest *t, uint32_t page_shift,
                                uint32_t window_shift);

int32_t spapr_ddw_remove(SpaprDmaTest *t, uint32_t liobn);
int32_t spapr_ddw_reset(SpaprDmaTest *t);

/**
 * spapr_ddw_reset_mode: the reset call's form with a fourth argument
 * @mode: 1 asks for limited-address mode
 */
int32_t spapr_ddw_reset_mode(SpaprDmaTest *t, uint32_t mode);

int64_t spapr_put_tce(SpaprDmaTest *t, uint64_t liobn, uint64_t ioba,
                      uint64_t tce);

/**
 * spapr_get_tce: read an entry
 * @tce: set if the call succeeds
 */
int64_t spapr_get_tce(SpaprDmaTest *t, uint64_t liobn, uint64_t ioba,
                      uint64_t *tce);

/**
 * spapr_put_tce_indirect: put @count words of @tces into the list page, call
 *
 * At most 512 words are written to the page, whatever @count says.
 */
int64_t spapr_put_tce_indirect(SpaprDmaTest *t, uint64_t liobn, uint64_t ioba,
                               const uint64_t *tces, uint64_t count);

/**
 * spapr_put_tce_list: the same with a list that is in guest memory already
 */
int64_t spapr_put_tce_list(SpaprDmaTest *t, uint64_t liobn, uint64_t ioba,
                           uint64_t list, uint64_t count);

int64_t spapr_stuff_tce(SpaprDmaTest *t, uint64_t liobn, uint64_t ioba,
                        uint64_t tce, uint64_t count);

/**
 * spapr_assert_tce: an entry can be read and holds @tce
 */
void spapr_assert_tce(SpaprDmaTest *t, uint64_t liobn, uint64_t ioba,
                      uint64_t tce);

/**
 * spapr_assert_window: a window exists with exactly these bounds
 *
 * Looks at the first and the last page and at their outer neighbours, and
 * at the size of a page; leaves the content as it was.
 */
void spapr_assert_window(SpaprDmaTest *t, uint32_t liobn, uint64_t addr,
                         uint32_t page_shift, uint32_t window_shift);

/**
 * spapr_assert_no_window: no hypercall finds a window of this number
 */
void spapr_assert_no_window(SpaprDmaTest *t, uint32_t liobn);

/**
 * spapr_assert_default: the default window is there as the machine made it
 */
void spapr_assert_default(SpaprDmaTest *t);

/**
 * spapr_assert_available: this many more windows can be created
 */
void spapr_assert_available(SpaprDmaTest *t, uint32_t windows);

/**
 * spapr_migrated: wait until a migration of @qts has come so far
 * @status: as in query-migrate, "completed" for instance
 *
 * Returns false if it has failed.
 */
bool spapr_migrated(QTestState *qts, const char *status);

/**
 * spapr_view_owner: what query-spapr-dma tells of one owner of windows
 * @n: counts them from 0
 *
 * The caller has a reference to the answer.
 */
QDict *spapr_view_owner(SpaprDmaTest *t, unsigned n);

/**
 * spapr_view_locked: bytes that must be lockable, as query-spapr-dma has them
 * @what: a field of SpaprDmaLockedInfo
 */
uint64_t spapr_view_locked(SpaprDmaTest *t, const char *what);

/**
 * spapr_view_window: what query-spapr-dma tells of one window
 * @liobn: its number
 *
 * The same without "qom-path" and "table-bytes", of which the first leads to an
 * object with this number that says the same, and the second is not 0 if
 * something is stored.  Returns NULL if there is no such window.
 */
QDict *spapr_view_window(SpaprDmaTest *t, uint32_t liobn);

/**
 * spapr_view_runs: what query-spapr-dma-runs answers
 * @max: how many runs at most
 */
QDict *spapr_view_runs(SpaprDmaTest *t, uint32_t liobn, uint64_t index,
                       uint32_t max);

/**
 * spapr_assert_json: a part of an answer has exactly this content
 * @from: a dictionary, which stays the caller's
 * @path: keys with dots between them, counting members of lists from 0; "" is
 *        all of it
 * @fmt: JSON
 */
void spapr_assert_json(QDict *from, const char *path, const char *fmt, ...)
    G_GNUC_PRINTF(3, 4);

#endif /* TESTS_SPAPR_DMA_COMMON_H */
