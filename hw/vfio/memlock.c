/*
 * VFIO on sPAPR: the limit of locked memory
 *
 * Objects: the limit of this process (RLIMIT_MEMLOCK), and what the kernel has
 * counted against it so far.
 *
 * Nothing can fail: what cannot be found out is taken for no limit, since the
 * host will refuse what it must.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/capability.h>
#include <sys/resource.h>
#include "hw/boards.h"
#include "hw/mem/memory-device.h"
#include "hw/ppc/spapr_dma_locked.h"
#include "qemu/bitops.h"
#include "qemu/cutils.h"
#include "qemu/units.h"
#include "memlock.h"

/* Inode of /proc/self/ns/user in the first user namespace, Linux's ABI */
#define FIRST_USER_NAMESPACE 0xeffffffdU

/* A capability of another user namespace is none for the kernel's accounts */
static bool memlock_first_namespace(void)
{
    struct stat namespace;

    return stat("/proc/self/ns/user", &namespace) < 0 ||
           namespace.st_ino == FIRST_USER_NAMESPACE;
}

/* The number after @name in @status, what /proc/self/status holds; or 0 */
static uint64_t status_number(const char *status, const char *name, int base)
{
    const char *at = strstr(status, name);
    uint64_t value = 0;

    if (at) {
        qemu_strtou64(at + strlen(name), &at, base, &value);
    }
    return value;
}

/* What limits this process, in bytes, or UINT64_MAX; @locked is set then */
static uint64_t memlock_limit(uint64_t *locked)
{
    g_autofree char *status = NULL;
    struct rlimit limit;

    getrlimit(RLIMIT_MEMLOCK, &limit); /* cannot fail */
    if (limit.rlim_cur == RLIM_INFINITY ||
        !g_file_get_contents("/proc/self/status", &status, NULL, NULL) ||
        (extract64(status_number(status, "\nCapEff:", 16), CAP_IPC_LOCK, 1) &&
         memlock_first_namespace())) {
        return UINT64_MAX;
    }
    *locked = status_number(status, "\nVmLck:", 10) * KiB;
    return limit.rlim_cur;
}

uint64_t vfio_memlock_left(uint64_t used)
{
    uint64_t locked = 0;
    uint64_t limit = memlock_limit(&locked);

    return limit == UINT64_MAX ? UINT64_MAX :
           limit - MIN(MAX(used, locked), limit);
}

/* RAM that can still be plugged besides what is about to be */
static uint64_t memlock_pluggable(uint64_t plugging)
{
    uint64_t have = current_machine->ram_size + get_plugged_memory_size() +
                    plugging;

    return current_machine->maxram_size - MIN(have,
                                              current_machine->maxram_size);
}

char *vfio_memlock_remedy(const SpaprDmaMapper *mapper, uint64_t coming,
                          bool plugged)
{
    uint64_t pluggable = memlock_pluggable(plugged ? coming : 0), now;
    uint64_t limit = memlock_limit(&now);
    SpaprDmaLocked locked;
    uint64_t bytes = spapr_dma_locked(mapper, &locked) + coming;
    GString *text;

    if (limit >= bytes) {
        return g_strdup("the limit of locked memory allows what DMA windows"
                        " need: the host has too little free memory, or not"
                        " enough in one piece for a table, or QEMU locks other"
                        " memory, too, as with -overcommit mem-lock=on, or"
                        " failures have used it up");
    }
    text = g_string_new(NULL);
    g_string_append_printf(text, "this machine with its DMA windows locks %"
                           PRIu64 " bytes, the limit (RLIMIT_MEMLOCK) is %"
                           PRIu64 " bytes: raise it to that, as by"
                           " 'ulimit -l %" PRIu64 "' or"
                           " LimitMEMLOCK= of systemd; for each device in"
                           " another container add %" PRIu64 " bytes", bytes,
                           limit, DIV_ROUND_UP(bytes, KiB),
                           spapr_dma_locked_one_more(mapper));
    if (pluggable) {
        g_string_append_printf(text, ", and %" PRIu64 " to plug all memory up"
                               " to maxmem", pluggable);
    }
    g_string_append(text, "; with libvirt remove <hard_limit>, which limits"
                    " all memory of QEMU");
    return g_string_free(text, false);
}
