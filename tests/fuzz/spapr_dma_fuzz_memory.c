/*
 * Fuzz target for sPAPR DMA windows: what words take of the host
 *
 * Words: spent is the state in which a guest can have no more memory for what
 * it stores.  What waits is memory that nobody needs any more, but for a
 * reader that may still look at it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/rcu.h"
#include "hw/ppc/spapr.h"
#include "spapr_dma_fuzz.h"
#include <sanitizer/allocator_interface.h>

#define PHB_2           2               /* nobody mirrors it */
#define PAGE_SHIFT      16
#define PAGES_LOG2      25
#define TARGET          (1 * MiB)       /* of its pages */
#define TRIES           10000           /* of a millisecond each */

static uint64_t used_now(void)
{
    return qatomic_read(&spapr_dma_machine()->budget.used);
}

/* What windows take that KVM has no table of */
static RefMemory expected_memory(void)
{
    RefMemory sum = { };

    for (guint i = 0; i < ref->windows->len; i++) {
        const RefWindow *window = g_ptr_array_index(ref->windows, i);
        const SpaprDmaWindow *dma = spapr_dma_window_find(window->liobn);

        if (dma && dma->kvm_fd < 0) {
            RefMemory memory = ref_memory(window);

            sum.least += memory.least;
            sum.most += memory.most;
        }
    }
    return sum;
}

/* Large stores are freed by a thread of their own, after RCU's */
void check_memory(void)
{
    RefMemory expected = expected_memory();

    drain_call_rcu();
    for (int i = 0; i < TRIES && used_now() > expected.most; i++) {
        g_usleep(1000);
    }
    if (used_now() < expected.least || used_now() > expected.most) {
        fail("stores hold %" PRIu64 " bytes, which should be %" PRIu64 " to %"
             PRIu64, used_now(), expected.least, expected.most);
    }
}

/* ---- a window that has room for all that a guest may store ---- */

static const RefWindow *make_large(void)
{
    const RefPhb *phb = g_ptr_array_index(ref->phbs, PHB_2);
    uint32_t args[REF_RTAS_WORDS] = { 0, BUID(PHB_2) >> 32,
                                      (uint32_t)BUID(PHB_2), PAGE_SHIFT,
                                      PAGE_SHIFT + PAGES_LOG2 };

    rtas(REF_RESET, 3, args, 1);
    rtas(REF_CREATE, 5, args, 4);
    return &phb->windows[1];
}

static uint64_t ioba_of(const RefWindow *window, uint64_t page)
{
    return window->start + (page << window->shift);
}

/* H_PUT_TCE, and nothing is looked at; returns what was answered */
static int64_t put_blindly(const RefWindow *window, uint64_t page)
{
    uint64_t ioba = ioba_of(window, page);
    uint64_t r4 = window->liobn;
    int64_t ret = hcall(H_PUT_TCE, &r4, ioba, TARGET | 3, 0);

    if (!ret && ref_put(ref, window->liobn, ioba, TARGET | 3)) {
        fail("H_PUT_TCE should have been refused");
    }
    return ret;
}

/* Returns how many blocks there was memory for */
static uint64_t fill(const RefWindow *window)
{
    uint64_t limit = ref_memory_limit(ref), n = 0;
    size_t before = __sanitizer_get_current_allocated_bytes();

    while (put_blindly(window, n * REF_LIST_WORDS) == H_SUCCESS) {
        n++;
        if (n * 4096 > limit) {
            fail("%" PRIu64 " blocks of words, in %" PRIu64 " bytes at most",
                 n, limit);
        }
    }
    if (expected_memory().most < limit) {
        fail("refused with %" PRIu64 " bytes at most, of %" PRIu64,
             expected_memory().most, limit);
    }
    if (__sanitizer_get_current_allocated_bytes() - before < n * 4096) {
        fail("%" PRIu64 " blocks of words take less than their words", n);
    }
    return n;
}

/* Nothing that takes memory can be stored, and all else can */
static void while_spent(const RefWindow *window, uint64_t blocks)
{
    uint64_t empty = (blocks + 1) * REF_LIST_WORDS;

    ref->spent = true;
    put(window->liobn, ioba_of(window, empty), TARGET | 3);
    put(window->liobn, ioba_of(window, 1), TARGET | 1);
    put(window->liobn, ioba_of(window, empty), RAM_SIZE | 3);
    put(window->liobn, ioba_of(window, empty), 0);
    stuff(window->liobn, ioba_of(window, empty), TARGET | 2, 8, 1);
    stuff(window->liobn, ioba_of(window, empty), TARGET, 8, 1);
    stuff(window->liobn, ioba_of(window, 2), TARGET, 8, 1);
    ref->spent = false;
}

void op_spend(Input *in)
{
    bool reader = take(in, 1) & 1;
    const RefWindow *window = make_large();
    uint64_t blocks;

    check_memory();
    blocks = fill(window);
    begin("spend", window->liobn, blocks, reader, 0, 0);
    while_spent(window, blocks);
    if (reader) {
        rcu_read_lock();
    }
    stuff(window->liobn, window->start, 0, window->pages, blocks);
    if (reader) {
        while_spent(window, blocks);
        rcu_read_unlock();
    }
    check_memory();
    put(window->liobn, ioba_of(window, 1), TARGET | 3);
    stuff(window->liobn, window->start, 0, window->pages, 0);
}

/* ---- between two stretches of H_STUFF_TCE ---- */

static void replace_window(void)
{
    const RefWindow *window = make_large();

    put(window->liobn, ioba_of(window, window->pages - 1), TARGET | 3);
}

/* What is being cleared cannot be looked at yet */
static void put_at_end(void)
{
    const RefPhb *phb = g_ptr_array_index(ref->phbs, PHB_2);
    const RefWindow *window = &phb->windows[1];

    if (put_blindly(window, window->pages - 1) != H_SUCCESS) {
        fail("H_PUT_TCE is refused");
    }
}

void op_long_stuff(Input *in)
{
    unsigned kind = take(in, 1);
    const RefWindow *window = make_large();

    for (unsigned block = 0; block < 65 + kind; block++) {
        if (put_blindly(window, block * REF_LIST_WORDS) != H_SUCCESS) {
            fail("H_PUT_TCE is refused");
        }
    }
    between_stretches(kind & 1 ? replace_window : put_at_end);
    stuff(window->liobn, window->start, 0, window->pages - (~kind & 1), 0);
    between_stretches(NULL);
    check_tce(window->liobn, ioba_of(window, window->pages - 1));
    check_memory();
}
