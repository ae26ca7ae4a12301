/*
 * Fuzz target for sPAPR DMA windows: the run, and what to say of it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "hw/ppc/spapr.h"
#include "spapr_dma_fuzz.h"

#define PROGRESS        500000          /* operations */

FuzzRun run;

Op *last_op(void)
{
    return &run.history[run.ops % HISTORY];
}

static void print_op(const Op *op)
{
    fprintf(stderr, "# %-14s", op->name);
    for (int i = 0; i < ARRAY_SIZE(op->args); i++) {
        fprintf(stderr, " 0x%" PRIx64, op->args[i]);
    }
    fprintf(stderr, " -> %" PRId64 "\n", op->ret);
}

void G_NORETURN G_GNUC_PRINTF(1, 2) fail(const char *fmt, ...)
{
    va_list ap;

    for (uint64_t i = run.ops < HISTORY ? 1 : run.ops - HISTORY + 1;
         i <= run.ops; i++) {
        print_op(&run.history[i % HISTORY]);
    }
    fprintf(stderr, "# operation %" PRIu64 ": ", run.ops);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    if (run.input_name) {
        g_file_set_contents(run.input_name, (const char *)run.input,
                            run.input_size, NULL);
        fprintf(stderr, "# input saved as %s\n", run.input_name);
    }
    abort();
}

void begin(const char *name, uint64_t a0, uint64_t a1, uint64_t a2,
                  uint64_t a3, uint64_t a4)
{
    run.ops++;
    *last_op() = (Op) { .name = name, .args = { a0, a1, a2, a3, a4 } };
    if (run.verbose) {
        print_op(last_op());
    }
}

/* Count what the operation was answered */
int64_t result(int64_t ret)
{
    Op *op = last_op();
    int i = 0;

    op->ret = ret;
    while (run.tallies[i].name && run.tallies[i].name != op->name) {
        i++;
    }
    run.tallies[i].name = op->name;
    run.tallies[i].done += ret == 0;
    run.tallies[i].wrong += ret == H_PARAMETER || ret == REF_RTAS_PARAMETER;
    run.tallies[i].refused += ret == H_NOT_ENOUGH_RESOURCES ||
                              ret == REF_RTAS_HARDWARE;
    return ret;
}

static void print_rate(const char *prefix)
{
    double seconds = (get_clock() - run.since) / 1e9;

    fprintf(stderr, "# %s%" PRIu64 " operations in %" PRIu64 " inputs, "
            "%.0f s, %.0f operations/s\n", prefix, run.ops, run.inputs,
            seconds, run.ops / seconds);
}

/* Sometimes, for those who wait */
void print_progress(void)
{
    static uint64_t next = PROGRESS;

    if (run.ops >= next) {
        print_rate("so far ");
        next += PROGRESS;
    }
}

void print_summary(void)
{
    print_rate("");
    for (int i = 0; run.tallies[i].name; i++) {
        fprintf(stderr, "# %-14s %" PRIu64 " done, %" PRIu64 " wrong, %"
                PRIu64 " refused by the host\n", run.tallies[i].name,
                run.tallies[i].done, run.tallies[i].wrong,
                run.tallies[i].refused);
    }
    if (run.longest) {
        fprintf(stderr, "# BQL kept longest for: %.0f us of CPU time\n",
                run.longest / 1e3);
        print_op(&run.longest_op);
    }
}

/* ---- input ---- */

/* Little-endian number of so many bytes; zeroes follow the last one */
uint64_t take(Input *in, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes && in->left; i++) {
        value |= (uint64_t)*in->data++ << (8 * i);
        in->left--;
    }
    return value;
}

uint64_t take_below(Input *in, uint64_t bound)
{
    unsigned bytes = bound <= 0x100 ? 1 : bound <= 0x10000 ? 2 : 8;

    return bound ? take(in, bytes) % bound : 0;
}
