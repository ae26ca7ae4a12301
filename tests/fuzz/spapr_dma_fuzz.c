/*
 * Fuzz target: a guest that plays with its sPAPR DMA windows
 *
 * An input is a sequence of operations: RTAS calls, hypercalls, DMA, machine
 * resets, DIMMs that come and go, mappers that come, go and refuse.  Each is
 * done to the machine and to a reference model (spapr_dma_ref.h), and whatever
 * can be seen must be the same afterwards: return codes, r4, RTAS words, the
 * TCEs of the pages that were touched and of some others, what DMA reads and
 * writes, what the mappers were told, what memory words take, and how often a
 * call lets go of the BQL.  The first difference aborts.
 *
 * Objects: four PHBs (one without DDW, two with odd properties), a VIO device,
 * two DIMM slots, RAM of devices in three parts; two Mirrors, mappers of PHB 0
 * that keep a copy of all mappings; a Follower, a Type1 and a Cache, which are
 * IOMMU notifiers, for each window of PHB 0; and something that looks like KVM,
 * which makes tables of windows if it is on, and may have a vCPU of its own.
 * Numbers in an input mostly select something that exists ("n-th window, page
 * k"); some are taken raw.
 *
 * Every input ends with everything as it was at the beginning, by operations
 * that are checked as well, so that an input finds the same machine whatever
 * was run before.
 *
 * Targets:
 *   spapr-dma         libFuzzer makes the inputs, or replays the files named
 *   spapr-dma-random  random inputs until $SPAPR_DMA_OPS operations are done
 *                     (default 1000000), from $SPAPR_DMA_SEED
 * SPAPR_DMA_VERBOSE=1 prints every operation.
 *
 * Locks: everything runs with the BQL, mostly in the main thread.  The vCPU of
 * KVM runs without it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/main-loop.h"
#include "qemu/rcu.h"
#include "qemu/timer.h"
#include "qapi/error.h"
#include "qom/object_interfaces.h"
#include "exec/address-spaces.h"
#include "hw/boards.h"
#include "hw/mem/pc-dimm.h"
#include "hw/ppc/spapr.h"
#include "hw/ppc/spapr_drc.h"
#include "monitor/qdev.h"
#include "tests/qtest/libqtest.h"
#include "fuzz.h"
#include "spapr_dma_fuzz.h"
#include <sys/prctl.h>

#define VIO_SIZE        (256 * MiB)
#define RTAS_ARGS       0x8000
#define RTAS_RETS       0x8100
#define UNTOUCHED       0xdeadbeefU

static const RefPhb phb_properties[PHBS] = {
    { .index = 0, .ddw = true, .low_size = 1 * GiB,
      .high_addr = 1ULL << 59, .page_sizes = 0x1211000 },
    { .index = 1, .low_size = 1 * GiB, .high_addr = 1ULL << 59,
      .page_sizes = 0x1211000 },
    { .index = 2, .ddw = true, .low_addr = 2 * GiB, .low_size = 512 * MiB,
      .high_addr = 1ULL << 59, .page_sizes = 0x410011000 },
    { .index = 3, .ddw = true, .low_addr = 0x10000, .low_size = 0x3000,
      .high_addr = 0x40000000, .page_sizes = 0x201000 }, /* not 2^29 */
};

/* ---- the machine and its model ---- */

typedef struct Dimm {
    DeviceState *dev;           /* NULL if the slot is empty */
    bool seen;                  /* by a guest: it was there at a reset */
} Dimm;

RefMachine *ref;
SpaprMachineState *spapr;
SpaprPhbState *phbs[PHBS];
static Dimm dimms[DIMMS];
bool unplugged;

static uint64_t dimm_addr(unsigned slot)
{
    return DIMM_BASE + slot * DIMM_SIZE;
}

/* ---- operations: hypercalls ---- */

static RefWindow *take_window(Input *in)
{
    unsigned n = take(in, 1);

    /* Prefer PHB 0, which has mappers, and windows that are there */
    if (n & 1) {
        RefPhb *phb = g_ptr_array_index(ref->phbs, 0);
        RefWindow *window = &phb->windows[n >> 1 & 1];

        if (window->exists) {
            return window;
        }
    }
    n %= ref->windows->len;
    for (guint i = 0; i < ref->windows->len; i++) {
        RefWindow *window = g_ptr_array_index(ref->windows,
                                              (n + i) % ref->windows->len);

        if (window->exists) {
            return window;
        }
    }
    return g_ptr_array_index(ref->windows, n);
}

/* A number for a window, mostly that of @window */
static uint64_t take_liobn(Input *in, const RefWindow *window)
{
    switch (take(in, 1)) {
    case 0:
        return take(in, 8);
    case 1:
        return take(in, 4);
    case 2:
        return window->liobn | 1ULL << (32 + take_below(in, 32));
    case 3:
        window = g_ptr_array_index(ref->windows,
                                   take_below(in, ref->windows->len));
        return window->liobn;
    case 4:
        return window->liobn ^ 1;
    default:
        return window->liobn;
    }
}

/* A bus address, mostly of a page in @window and often near an end of it */
static uint64_t take_ioba(Input *in, const RefWindow *window)
{
    unsigned kind = take(in, 1);
    uint64_t page = 1ULL << window->shift, n;

    switch (kind % 8) {
    case 0:
        n = window->pages - take_below(in, 1024);
        break;
    case 1:
        n = take(in, 8) % (window->pages ?: 1);
        break;
    case 2:
        n = 512 * take_below(in, 1024);
        break;
    default:
        n = take_below(in, 2048);
        break;
    }
    switch (kind / 8) {
    case 0:
        return take(in, 8);
    case 1:
        return window->start + n * page + take(in, 2);
    case 2:
        return window->start - n * page;
    case 3:
        return n * page;
    default:
        return window->start + n * page;
    }
}

/*
 * In pages of no size all parts begin with a page.  One of them is read-only,
 * nothing follows the last.
 */
static const RefRange parts[] = {
    { PARTS_BASE, 10 * MiB + 36 * KiB, true, false },
    { PARTS_BASE + 10 * MiB + 36 * KiB, 22 * MiB - 40 * KiB, true, false },
    { PARTS_BASE + 32 * MiB - 4 * KiB, 4 * MiB + 4 * KiB, true, true },
};

/* Often where one part ends and another begins */
static uint64_t take_part_gpa(Input *in, uint64_t page)
{
    unsigned kind = take(in, 1);

    if (kind < 128) {
        return PARTS_BASE + take(in, 4) % PARTS_SIZE;
    }
    return parts[kind % ARRAY_SIZE(parts)].start +
           (int64_t)(kind / 4 % 4 - 2) * page;
}

/* A guest address, mostly of a page in RAM */
static uint64_t take_gpa(Input *in, unsigned shift)
{
    unsigned kind = take(in, 1);
    uint64_t page = 1ULL << shift;

    if (kind < 4) {
        return take(in, 8);
    }
    if (kind < 8) {                     /* near an end */
        uint64_t ends[] = { RAM_SIZE, DIMM_BASE, DIMM_BASE + DIMM_SIZE,
                            DIMM_BASE + 2 * DIMM_SIZE };

        return ends[kind - 4] + (take_below(in, 4) - 2) * page;
    }
    if (kind < 80) {                    /* a DIMM, mostly if it is there */
        uint64_t gpa = dimm_addr(take_below(in, DIMMS)) +
                       (take(in, 1) * 64 * KiB & -page);

        if (kind < 16 || ref_is_ram(ref, gpa, page)) {
            return gpa;
        }
    }
    if (kind >= 252) {
        return take_part_gpa(in, page) & -page;
    }
    if (kind < 168) {                   /* one of few, so that they repeat */
        return (2 + take(in, 1) % 62) * 64 * KiB & -page;
    }
    return take(in, 4) % RAM_SIZE & -page;
}

static uint64_t take_word(Input *in, const RefWindow *window)
{
    unsigned kind = take(in, 1);
    uint64_t word = take_gpa(in, window->shift) & ~3ULL;

    if (kind < 4) {
        word = take(in, 8);             /* anything */
    } else if (kind < 16) {
        word |= take(in, 2);            /* with bits that are ignored */
    }
    return kind < 16 ? word : word | kind % 4;
}

/* Have a mapper refuse what one of the words that come next points to */
static void take_refusal(Input *in, const RefWindow *window,
                         const uint64_t *words, uint64_t count)
{
    unsigned kind = take(in, 1);
    uint64_t n = take(in, 2), gpa;

    if (kind < 32 && count && count <= REF_LIST_WORDS &&
        window->phb == g_ptr_array_index(ref->phbs, 0)) {
        gpa = ref_target(window, words[n % count]);
        if (ref_is_ram(ref, gpa, 4096)) {
            refuse_gpa(&mirrors[kind & 1], gpa, kind & 2);
        }
    }
}

/* Is this for KVM?  In half of the cases it has it done by QEMU anyway */
static SpaprDmaWindow *kvm_handles(uint64_t liobn, uint64_t word)
{
    SpaprDmaWindow *window = spapr_dma_window_find(liobn);
    const RefPhb *phb = g_ptr_array_index(ref->phbs, 0);

    return window && window->kvm_fd >= 0 && !phb->refuse_gpa && word & 0x10000 ?
           window : NULL;
}

void put(uint64_t liobn, uint64_t ioba, uint64_t word)
{
    SpaprDmaWindow *kvm = kvm_handles(liobn, word);
    int64_t expected, ret;
    uint64_t r4 = liobn;

    begin(kvm ? "KVM H_PUT_TCE" : "H_PUT_TCE", liobn, ioba, word, 0, 0);
    expected = ref_put(ref, liobn, ioba, word);
    if (kvm && expected == H_SUCCESS) {
        ret = result(H_SUCCESS);
        kvm_put(kvm, (ioba - kvm->geometry.bus_offset) >>
                     kvm->geometry.page_shift, word);
    } else {
        ret = result(hcall(H_PUT_TCE, &r4, ioba, word, 0));
    }
    if (ret != expected) {
        fail("returned %" PRId64 ", not %" PRId64, ret, expected);
    }
    end_refusals();
    check_touched(liobn, ioba, 1, word >> 3);
}

static void op_put(Input *in)
{
    RefWindow *window = take_window(in);
    uint64_t liobn = take_liobn(in, window), ioba = take_ioba(in, window);
    uint64_t word = take_word(in, window);

    take_refusal(in, window, &word, 1);
    put(liobn, ioba, word);
}

static void op_get(Input *in)
{
    RefWindow *window = take_window(in);
    uint64_t liobn = take_liobn(in, window), ioba = take_ioba(in, window);

    begin("H_GET_TCE", liobn, ioba, 0, 0, 0);
    check_tce(liobn, ioba);
}

/* Neighbours in memory, or all the same, with a few words out of line */
static void take_list(Input *in, const RefWindow *window, uint64_t *words)
{
    unsigned kind = take(in, 1);
    uint64_t first = take_word(in, window);
    uint64_t step = kind & 1 ? 0 : 1ULL << (kind & 2 ? 12 : window->shift);

    for (unsigned i = 0; i < REF_LIST_WORDS; i++) {
        words[i] = first + i * step;
    }
    for (unsigned n = kind / 4 % 8; n; n--) {
        unsigned at = take(in, 2) % REF_LIST_WORDS;

        words[at] = take_word(in, window);
    }
    if (kind >= 192) {                  /* a hole */
        unsigned at = take(in, 2) % REF_LIST_WORDS;

        memset(&words[at], 0, (REF_LIST_WORDS - at) / 2 * sizeof(*words));
    }
}

static uint64_t take_count(Input *in, const RefWindow *window)
{
    unsigned kind = take(in, 1);

    switch (kind) {
    case 0:
        return take(in, 8);
    case 1:
        return window->pages;
    case 2:
        return 0;
    case 3 ... 10:
        return 511 + take_below(in, 4);
    default:
        return kind < 128 ? kind % 32 : take(in, 2) % (REF_LIST_WORDS + 1);
    }
}

/* A place for the list, which is filled as far as it is in RAM */
static uint64_t take_list_gpa(Input *in, const uint64_t *words)
{
    uint64_t be[REF_LIST_WORDS], gpa = take_gpa(in, 12);

    if (gpa % 4096 == 0 && ref_is_ram(ref, gpa, sizeof(be))) {
        for (unsigned i = 0; i < REF_LIST_WORDS; i++) {
            be[i] = cpu_to_be64(words[i]);
        }
        ram_write(gpa, be, sizeof(be));
    }
    return gpa;
}

static void op_put_list(Input *in)
{
    RefWindow *window = take_window(in);
    uint64_t liobn = take_liobn(in, window), ioba = take_ioba(in, window);
    uint64_t words[REF_LIST_WORDS], count = take_count(in, window), list;
    uint64_t r4 = liobn;
    int64_t expected, ret;

    /* A small window is filled as a guest would do it, mostly */
    if (count % 8 && window->pages < count) {
        count = window->pages;
    }
    take_list(in, window, words);
    list = take_list_gpa(in, words);
    take_refusal(in, window, words, count);

    begin("H_PUT_INDIRECT", liobn, ioba, list, count, words[0]);
    expected = ref_put_list(ref, liobn, ioba, list, words, count);
    ret = result(hcall(H_PUT_TCE_INDIRECT, &r4, ioba, list, count));
    if (ret != expected) {
        fail("returned %" PRId64 ", not %" PRId64, ret, expected);
    }
    end_refusals();
    for (unsigned i = 0; i < 4; i++) {
        check_touched(liobn, ioba, MIN(count, 1024), words[i * 128] >> 12);
    }
}

/* In how many stretches the BQL may be kept for that, at least */
static uint64_t stuff_stretches(uint64_t liobn, uint64_t ioba, uint64_t word,
                                uint64_t count)
{
    const RefWindow *window = ref_find(ref, liobn);
    uint64_t pages = 0;

    if (window && count > REF_LIST_WORDS && !(word & 3) &&
        ioba >= window->start) {
        pages = spapr_dma_window_find(liobn)->kvm_fd >= 0 ? count :
                ref_blocks(window, (ioba - window->start) >> window->shift,
                           count) * REF_LIST_WORDS;
    }
    return MAX(DIV_ROUND_UP(pages, PAGES_PER_STRETCH), 1);
}

void stuff(uint64_t liobn, uint64_t ioba, uint64_t word, uint64_t count,
           uint64_t salt)
{
    const SpaprDmaWindow *window = spapr_dma_window_find(liobn);
    uint64_t least = stuff_stretches(liobn, ioba, word, count);
    uint64_t generation = window ? window->generation : 0, r4 = liobn;
    int64_t expected, ret;

    begin("H_STUFF_TCE", liobn, ioba, word, count, 0);
    expected = ref_stuff(ref, liobn, ioba, word, count);
    ret = result(hcall(H_STUFF_TCE, &r4, ioba, word, count));
    if (ret != expected) {
        fail("returned %" PRId64 ", not %" PRId64, ret, expected);
    }
    /* A window that has gone meanwhile is no work */
    if (ret == H_SUCCESS && window->generation == generation &&
        stretches < least) {
        fail("had the BQL in %u stretches, not in %" PRIu64, stretches, least);
    }
    end_refusals();
    check_touched(liobn, ioba, count, salt);
}

static void op_stuff(Input *in)
{
    RefWindow *window = take_window(in);
    uint64_t liobn = take_liobn(in, window), ioba = take_ioba(in, window);
    uint64_t word = take_word(in, window), count = take_count(in, window);
    unsigned kind = take(in, 1);

    word &= kind < 16 ? ~0ULL : ~3ULL;
    if (kind > 128) {
        word = 0;
    }
    if (kind % 4 == 0) {
        count = take(in, 8) % (window->pages + 2);
    }
    stuff(liobn, ioba, word, count, take(in, 3));
}

static void op_dma(Input *in)
{
    RefWindow *window = take_window(in);
    uint64_t addr = take_ioba(in, window);
    unsigned kind = take(in, 1);
    unsigned p = window->phb ? window->phb->index : 0;

    if (kind & 2) {                     /* touch the next page, too */
        addr -= kind >> 5;
    } else {
        addr += take(in, 4) % (1ULL << window->shift);
    }
    begin(kind & 1 ? "DMA write" : "DMA read", p, addr, 0, 0, 0);
    check_dma(p, addr, kind & 1, 0x0123456789abcdefULL + run.ops);
}

/* ---- operations: RTAS ---- */

static const uint32_t rtas_tokens[] = {
    [REF_QUERY] = RTAS_IBM_QUERY_PE_DMA_WINDOW,
    [REF_CREATE] = RTAS_IBM_CREATE_PE_DMA_WINDOW,
    [REF_REMOVE] = RTAS_IBM_REMOVE_PE_DMA_WINDOW,
    [REF_RESET] = RTAS_IBM_RESET_PE_DMA_WINDOW,
};

static void rtas_raw(uint32_t token, uint32_t nargs, const uint32_t *args,
                     uint32_t nret, uint32_t *rets)
{
    uint32_t words[REF_RTAS_WORDS];

    for (unsigned i = 0; i < REF_RTAS_WORDS; i++) {
        words[i] = cpu_to_be32(args[i]);
    }
    ram_write(RTAS_ARGS, words, sizeof(words));
    for (unsigned i = 0; i < REF_RTAS_WORDS; i++) {
        words[i] = cpu_to_be32(UNTOUCHED);
    }
    ram_write(RTAS_RETS, words, sizeof(words));

    call_begin();
    spapr_rtas_call(POWERPC_CPU(first_cpu), spapr, token, nargs, RTAS_ARGS,
                    nret, RTAS_RETS);
    call_end();

    ram_read(RTAS_RETS, words, sizeof(words));
    for (unsigned i = 0; i < REF_RTAS_WORDS; i++) {
        rets[i] = be32_to_cpu(words[i]);
    }
}

void rtas(RefRtasCall call, uint32_t nargs, const uint32_t *args,
          uint32_t nret)
{
    static const char *const names[] = { "query", "create", "remove", "reset" };
    uint32_t rets[REF_RTAS_WORDS], expected[REF_RTAS_WORDS];

    begin(names[call], nargs, (uint64_t)args[0] << 32 | args[2], args[3],
          args[4], nret);
    for (unsigned i = 0; i < REF_RTAS_WORDS; i++) {
        expected[i] = UNTOUCHED;
    }
    ref_rtas(ref, call, nargs, args, nret, expected);
    vcpu_start();
    rtas_raw(rtas_tokens[call], nargs, args, nret, rets);
    vcpu_stop(true);
    result((int32_t)rets[0]);
    if (call == REF_CREATE && !rets[0]) {
        check_untouched(rets[1]);
    }
    for (unsigned i = 0; i < REF_RTAS_WORDS; i++) {
        if (rets[i] != expected[i]) {
            fail("output %u is 0x%x, not 0x%x", i, rets[i], expected[i]);
        }
    }
    end_refusals();
    if (call != REF_QUERY) {
        check_windows();
    }
}

/* How many, mostly @usual */
static uint32_t take_arity(Input *in, uint32_t usual)
{
    unsigned kind = take(in, 1);

    return kind < 4 ? 1 + take_below(in, REF_RTAS_WORDS - 1) : usual;
}

static void take_phb(Input *in, uint32_t *args)
{
    unsigned kind = take(in, 1);
    uint64_t buid = BUID(kind < 128 ? 0 : kind % ARRAY_SIZE(phb_properties));

    if (kind == 255) {
        buid = take(in, 8);
    }
    args[0] = kind > 250 ? take(in, 4) : 0;
    args[1] = buid >> 32;
    args[2] = buid;
}

static void op_query(Input *in)
{
    uint32_t args[REF_RTAS_WORDS] = { };
    uint32_t nargs = take_arity(in, 3), nret;

    take_phb(in, args);
    nret = take_arity(in, 5 + take_below(in, 2));
    rtas(REF_QUERY, nargs, args, nret);
    check_locked();
}

static void op_create(Input *in)
{
    static const uint8_t shifts[] = { 12, 16, 21, 24, 28, 29, 34 };
    uint32_t args[REF_RTAS_WORDS] = { };
    uint32_t nargs = take_arity(in, 5);
    unsigned kind;

    take_phb(in, args);
    kind = take(in, 1);
    args[3] = shifts[kind % ARRAY_SIZE(shifts)];
    if (kind < 16) {
        args[3] = take(in, kind & 1 ? 4 : 1);
    }
    kind = take(in, 1);
    args[4] = kind < 32 ? take(in, kind & 1 ? 4 : 1) :
              kind < 200 ? args[3] + kind % 20 : args[3] + kind % 50;
    rtas(REF_CREATE, nargs, args, take_arity(in, 4));
}

static void op_remove(Input *in)
{
    uint32_t args[REF_RTAS_WORDS] = { };
    uint32_t nargs = take_arity(in, 1);

    args[0] = take_liobn(in, take_window(in));
    rtas(REF_REMOVE, nargs, args, take_arity(in, 1));
}

static void op_reset(Input *in)
{
    uint32_t args[REF_RTAS_WORDS] = { };
    unsigned kind;

    take_phb(in, args);
    kind = take(in, 1);
    args[3] = kind < 240 ? 1 : take(in, 4);
    rtas(REF_RESET, take_arity(in, kind & 1 ? 4 : 3), args, take_arity(in, 1));
}

/* ---- operations: machine ---- */

static void machine_reset(void)
{
    begin("machine reset", 0, 0, 0, 0, 0);
    forget_refusals();
    ref_reset(ref);
    vcpu_start();
    qemu_system_reset(SHUTDOWN_CAUSE_GUEST_RESET);
    vcpu_stop(true);
    for (unsigned i = 0; i < DIMMS; i++) {
        dimms[i].seen = dimms[i].dev;
    }
    check_all();
}

static void dimm_plug(unsigned slot)
{
    g_autofree char *id = g_strdup_printf("dimm%u", slot);
    g_autofree char *mem = g_strdup_printf("mem%u", slot);
    Object *backend;
    DeviceState *dev;

    begin("plug", slot, 0, 0, 0, 0);
    backend = object_new_with_props("memory-backend-ram",
                                    object_get_objects_root(), mem,
                                    &error_abort, "size", "256M", NULL);
    dev = qdev_new(TYPE_PC_DIMM);
    qdev_set_id(dev, g_strdup(id), &error_abort);
    object_property_set_link(OBJECT(dev), PC_DIMM_MEMDEV_PROP, backend,
                             &error_abort);
    object_property_set_uint(OBJECT(dev), PC_DIMM_ADDR_PROP, dimm_addr(slot),
                             &error_abort);
    qdev_realize_and_unref(dev, NULL, &error_abort);
    dimms[slot] = (Dimm) { .dev = dev };
    ref_add_ram(ref, dimm_addr(slot), DIMM_SIZE);
}

/* What a guest does that gives memory back */
static void guest_release(uint32_t drc)
{
    uint32_t isolate[REF_RTAS_WORDS] = { RTAS_SENSOR_TYPE_ISOLATION_STATE,
                                         drc, 0 };
    uint32_t unuse[REF_RTAS_WORDS] = { RTAS_SENSOR_TYPE_ALLOCATION_STATE,
                                       drc, 0 };
    uint32_t rets[REF_RTAS_WORDS];

    rtas_raw(RTAS_SET_INDICATOR, 3, isolate, 1, rets);
    rtas_raw(RTAS_SET_INDICATOR, 3, unuse, 1, rets);
}

static bool window_has_dimm(const RefWindow *window, unsigned slot)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, window->words);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        uint64_t target = ref_target(window, (uint64_t)value);

        if (target - dimm_addr(slot) < DIMM_SIZE) {
            return true;
        }
    }
    return false;
}

/* Clear windows that point into a DIMM, as a guest should that lets it go */
static void guest_unmap(unsigned slot)
{
    for (guint i = 0; i < ref->windows->len; i++) {
        const RefWindow *window = g_ptr_array_index(ref->windows, i);

        if (window->exists && window_has_dimm(window, slot)) {
            stuff(window->liobn, window->start, 0, window->pages, 0);
        }
    }
}

static void dimm_unplug(unsigned slot, bool tidy)
{
    g_autofree char *mem = g_strdup_printf("mem%u", slot);
    Dimm *dimm = &dimms[slot];
    SpaprDrc *drc = spapr_drc_by_id(TYPE_SPAPR_DRC_LMB,
                                    dimm_addr(slot) / SPAPR_MEMORY_BLOCK_SIZE);

    if (tidy) {
        guest_unmap(slot);
    }
    begin("unplug", slot, dimm->seen, tidy, 0, 0);
    object_ref(OBJECT(dimm->dev));
    qdev_unplug(dimm->dev, &error_abort);
    if (dimm->seen) {
        guest_release(spapr_drc_index(drc));
    }
    if (OBJECT(dimm->dev)->parent) {
        fail("DIMM %u is still there", slot);
    }
    object_unref(OBJECT(dimm->dev));
    user_creatable_del(mem, &error_abort);
    dimm->dev = NULL;
    ref_del_ram(ref, dimm_addr(slot));
    unplugged |= !tidy;
}

static void op_dimm(Input *in)
{
    unsigned slot = take_below(in, DIMMS);
    bool tidy = take(in, 1) & 1;

    if (dimms[slot].dev) {
        dimm_unplug(slot, tidy);
    } else {
        dimm_plug(slot);
    }
    check_windows();
}

static void op_mirror(Input *in)
{
    unsigned kind = take(in, 1);
    Mirror *mirror = &mirrors[kind % MIRRORS];
    bool sees_all = kind & MIRRORS, one_window = kind >= 192;
    bool refuses_kvm = mirrors[0].refuse_kvm || mirrors[1].refuse_kvm;
    Reader reader;

    begin("mapper", mirror - mirrors, mirror->registered, sees_all, one_window,
          0);
    reader_begin(&reader);
    vcpu_start();
    if (mirror->registered) {
        mirror_leave(mirror);
    } else {
        mirror_join(mirror, sees_all, one_window);
    }
    vcpu_stop(false);
    reader_end(&reader);
    check_kvm(refuses_kvm);
    end_refusals();
    check_mirrors();
}

static void op_follower(Input *in)
{
    Follower *follower = &followers[take(in, 1) % ARRAY_SIZE(followers)];
    bool refuses_kvm = mirrors[0].refuse_kvm || mirrors[1].refuse_kvm;
    Reader reader;

    begin("notifier", follower - followers, follower->registered, 0, 0, 0);
    reader_begin(&reader);
    vcpu_start();
    if (follower->registered) {
        follower_leave(follower);
    } else {
        follower_join(follower);
    }
    vcpu_stop(false);
    reader_end(&reader);
    check_kvm(refuses_kvm);
    end_refusals();
    check_windows();
}

static void op_listener(Input *in)
{
    unsigned n = take(in, 1);
    bool refuses_kvm = mirrors[0].refuse_kvm || mirrors[1].refuse_kvm;

    begin("listener", n, 0, 0, 0, 0);
    vcpu_start();
    listener_change(n);
    vcpu_stop(false);
    check_kvm(refuses_kvm);
    end_refusals();
    check_windows();
}

/* Windows that are enabled from now on are KVM's, or are not */
static void op_kvm(void)
{
    kvm_on = !kvm_on;
    begin("KVM", kvm_on, 0, 0, 0, 0);
}

/* Arm one mapper, for the next operation */
static void op_refuse(Input *in)
{
    Mirror *mirror = &mirrors[take_below(in, MIRRORS)];
    unsigned kind = take(in, 1);
    uint64_t gpa = take_gpa(in, 12) & ~4095ULL;

    begin("refuse", mirror - mirrors, kind, gpa, 0, 0);
    forget_refusals();
    if (kind < 64) {
        mirror->refuse_window = true;
    } else if (kind < 68) {
        mirror->refuse_kvm = true;
    } else if (kind < 72) {
        mirror->no_limited = !mirror->no_limited;
    } else if (ref_is_ram(ref, gpa, 4096)) {
        refuse_gpa(mirror, gpa, kind & 1);
    }
    publish_refusals();
}

/* ---- inputs ---- */

static void step(Input *in)
{
    static const struct {
        unsigned weight;
        void (*op)(Input *in);
    } ops[] = {
        { 52, op_put }, { 54, op_put_list }, { 42, op_stuff }, { 6, op_get },
        { 40, op_dma }, { 6, op_query }, { 24, op_create }, { 7, op_remove },
        { 3, op_reset }, { 3, op_dimm }, { 3, op_mirror }, { 12, op_refuse },
    };
    unsigned kind = take(in, 1);

    for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
        if (kind < ops[i].weight) {
            ops[i].op(in);
            return;
        }
        kind -= ops[i].weight;
    }
    kind = take(in, 1);
    if (kind < 16) {
        machine_reset();
    } else if (kind < 96) {
        op_kvm();
    } else if (kind < 176) {
        op_follower(in);
    } else if (kind == 176) {
        op_spend(in);
    } else if (kind < 180) {
        op_long_stuff(in);
    } else if (kind < 212) {
        op_listener(in);
    } else {
        vcpu_on = !vcpu_on;
    }
}

/* Back to how it was at first */
static void restore(void)
{
    forget_refusals();
    vcpu_on = false;
    kvm_on = false;
    for (unsigned i = 0; i < MIRRORS; i++) {
        mirrors[i].no_limited = false;
    }
    publish_refusals();
    for (unsigned i = 0; i < ARRAY_SIZE(phb_properties); i++) {
        uint32_t args[REF_RTAS_WORDS] = { 0, BUID(i) >> 32, (uint32_t)BUID(i) };

        rtas(REF_RESET, 3, args, 1);
    }
    for (guint i = 0; i < ref->windows->len; i++) {
        const RefWindow *window = g_ptr_array_index(ref->windows, i);
        SpaprDmaWindow *dma = spapr_dma_window_find(window->liobn);

        if (dma) {      /* without DDW a PHB has one window only */
            spapr_dma_kvm_update(dma);
        }
    }
    check_kvm_closed();
    for (guint i = 0; i < ref->windows->len; i++) {
        const RefWindow *window = g_ptr_array_index(ref->windows, i);

        if (window->exists) {
            stuff(window->liobn, window->start, 0, window->pages, 0);
        }
    }
    for (unsigned i = 0; i < DIMMS; i++) {
        if (dimms[i].dev) {
            dimm_unplug(i, false);
        }
    }
    for (unsigned i = 0; i < MIRRORS; i++) {
        if (mirrors[i].registered && mirrors[i].mapper.sees_all) {
            mirror_leave(&mirrors[i]);
        }
        if (!mirrors[i].registered) {
            mirror_join(&mirrors[i], false, false);
        }
    }
    for (unsigned i = 0; i < ARRAY_SIZE(followers); i++) {
        if (followers[i].registered) {
            follower_leave(&followers[i]);
        }
    }
    listeners_leave();
    publish_refusals();
    check_windows();
    unplugged = false;
}

static void run_input(const uint8_t *data, size_t size)
{
    Input in = { data, size };

    run.input = data;
    run.input_size = size;
    while (in.left) {
        step(&in);
    }
    check_all();
    check_memory();
    restore();
    run.inputs++;
}

static void spapr_dma_fuzz(QTestState *s, const unsigned char *data,
                           size_t size)
{
    run_input(data, size);
    flush_events(s);
    if (run.inputs % 8 == 0) {
        drain_call_rcu();
    }
}

static uint64_t env_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text && *text ? g_ascii_strtoull(text, NULL, 0) : otherwise;
}

/* Everything in the first call, whatever libFuzzer has as its input */
static void spapr_dma_random(QTestState *s, const unsigned char *data,
                             size_t size)
{
    static bool done;
    uint64_t seed = env_number("SPAPR_DMA_SEED", get_clock_realtime());
    uint64_t ops = env_number("SPAPR_DMA_OPS", 1000000);
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    uint32_t bytes[1024];

    if (done) {
        return;
    }
    done = true;
    fprintf(stderr, "# SPAPR_DMA_SEED=%u SPAPR_DMA_OPS=%" PRIu64 "\n",
            (uint32_t)seed, ops);
    while (run.ops < ops) {
        for (unsigned i = 0; i < ARRAY_SIZE(bytes); i++) {
            bytes[i] = g_rand_int(rand);
        }
        run.input_name = g_strdup_printf("spapr-dma-%u-%" PRIu64,
                                         (uint32_t)seed, run.inputs);
        spapr_dma_fuzz(s, (uint8_t *)bytes, sizeof(bytes));
        g_free(run.input_name);
        run.input_name = NULL;
        print_progress();
    }
}

/* ---- setting up ---- */

static GString *spapr_dma_cmdline(FuzzTarget *t)
{
    return g_string_new(TARGET_NAME " -machine pseries,accel=qtest"
        " -nodefaults -display none -m 256M,slots=2,maxmem=2G"
        " -device spapr-vscsi,reg=0x71000003"
        " -device spapr-pci-host-bridge,index=1,ddw=off"
        " -device spapr-pci-host-bridge,index=2,dma_win_addr=0x80000000,"
        "dma_win_size=0x20000000,pgsz=0x410011000"
        " -device spapr-pci-host-bridge,index=3,dma_win_addr=0x10000,"
        "dma_win_size=0x3000,dma64_win_addr=0x40000000,pgsz=0x20201000");
}

/* DIMMs are touched here and there and go again: do not clear 2 MiB each */
static void no_huge_pages(void)
{
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
}

static void parts_setup(void)
{
    static MemoryRegion regions[ARRAY_SIZE(parts)];

    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        g_autofree char *name = g_strdup_printf("part%u", i);

        memory_region_init_ram(&regions[i], NULL, name, parts[i].size,
                               &error_abort);
        memory_region_set_readonly(&regions[i], parts[i].read_only);
        memory_region_add_subregion(get_system_memory(), parts[i].start,
                                    &regions[i]);
        ref_add_range(ref, parts[i]);
    }
}

static void spapr_dma_setup(QTestState *s)
{
    spapr = SPAPR_MACHINE(qdev_get_machine());
    ref = ref_new();
    ref_add_ram(ref, 0, RAM_SIZE);
    parts_setup();
    ref_add_vio(ref, VIO_LIOBN, VIO_SIZE);
    for (unsigned i = 0; i < ARRAY_SIZE(phb_properties); i++) {
        phbs[i] = spapr_pci_find_phb(spapr, BUID(i));
        g_assert(phbs[i]);
        ref_add_phb(ref, &phb_properties[i]);
    }
    lock_setup();
    kvm_setup();
    followers_setup();
    listeners_setup();
    mirrors_setup();
    run.verbose = env_number("SPAPR_DMA_VERBOSE", 0);
    run.since = get_clock();
    atexit(print_summary);
    machine_reset();
}

static void register_spapr_dma_targets(void)
{
    fuzz_add_target(&(FuzzTarget) {
        .name = "spapr-dma",
        .description = "sPAPR DMA windows against a reference model",
        .get_init_cmdline = spapr_dma_cmdline,
        .pre_vm_init = no_huge_pages,
        .pre_fuzz = spapr_dma_setup,
        .fuzz = spapr_dma_fuzz,
    });
    fuzz_add_target(&(FuzzTarget) {
        .name = "spapr-dma-random",
        .description = "the same with a number of random operations",
        .get_init_cmdline = spapr_dma_cmdline,
        .pre_vm_init = no_huge_pages,
        .pre_fuzz = spapr_dma_setup,
        .fuzz = spapr_dma_random,
    });
}

fuzz_target_init(register_spapr_dma_targets);
