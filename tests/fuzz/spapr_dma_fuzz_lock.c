/*
 * Fuzz target for sPAPR DMA windows: the BQL during a call
 *
 * Objects: a call is a hypercall or an RTAS call.  A stretch is a part of one
 * that has the BQL.  The other vCPU is a thread that waits until a call lets
 * go of the BQL, takes it, and has the call wait until it is done.
 *
 * Thus what happens between two stretches does not depend on how busy the
 * machine is.
 *
 * Locks: each thread has its own call.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "qemu/rcu.h"
#include "qemu/timer.h"
#include "hw/ppc/spapr.h"
#include "spapr_dma_fuzz.h"

__thread unsigned stretches;

static __thread bool in_call;
static __thread int64_t since;  /* CPU time when the stretch began */

static void (*other_does)(void);
static QemuSemaphore other_goes, other_done;

static int64_t cpu_clock(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return ts.tv_sec * NANOSECONDS_PER_SECOND + ts.tv_nsec;
}

static void stretch_begin(void)
{
    stretches++;
    since = cpu_clock();
}

static void stretch_end(void)
{
    int64_t ns = cpu_clock() - since;

    if (ns > run.longest) {
        run.longest = ns;
        run.longest_op = *last_op();
    }
}

void call_begin(void)
{
    stretches = 0;
    in_call = true;
    stretch_begin();
}

void call_end(void)
{
    stretch_end();
    in_call = false;
}

/* Whoever takes the BQL comes here */
static void take_bql(QemuMutex *bql, const char *file, int line)
{
    if (in_call) {
        stretch_end();
        if (other_does) {
            qemu_sem_post(&other_goes);
            qemu_sem_wait(&other_done);
        }
    }
    qemu_mutex_lock_impl(bql, file, line);
    if (in_call) {
        stretch_begin();
    }
}

static void *other_vcpu(void *unused)
{
    rcu_register_thread();
    for (;;) {
        void (*what)(void);

        qemu_sem_wait(&other_goes);
        bql_lock();
        what = other_does;
        other_does = NULL;
        what();
        bql_unlock();
        qemu_sem_post(&other_done);
    }
}

void between_stretches(void (*what)(void))
{
    other_does = what;
}

void lock_setup(void)
{
    static QemuThread thread;

    qemu_sem_init(&other_goes, 0);
    qemu_sem_init(&other_done, 0);
    bql_mutex_lock_func = take_bql;
    qemu_thread_create(&thread, "other vCPU", other_vcpu, NULL,
                       QEMU_THREAD_DETACHED);
}
