/*
 * VFIO: locked memory
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
#include "qapi/error.h"
#include "qemu/bitops.h"
#include "qemu/cutils.h"
#include "qemu/units.h"
#include "memlock.h"

void vfio_memlock_hint(Error *const *errp, uint64_t bytes)
{
    g_autofree char *needed = size_to_str(bytes);
    g_autofree char *allowed = NULL;
    struct rlimit limit;

    getrlimit(RLIMIT_MEMLOCK, &limit); /* cannot fail */
    if (limit.rlim_cur == RLIM_INFINITY) {
        allowed = g_strdup("unlimited");
    } else {
        allowed = size_to_str(limit.rlim_cur);
    }
    error_append_hint(errp, "At least %s (%" PRIu64 " bytes) must be lockable,"
                      " the limit of this process (RLIMIT_MEMLOCK) is %s;\n"
                      "raise it with 'ulimit -l' or the hard_limit of libvirt."
                      "\n", needed, bytes, allowed);
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

uint64_t vfio_memlock_left(uint64_t used)
{
    g_autofree char *status = NULL;
    struct rlimit limit;

    getrlimit(RLIMIT_MEMLOCK, &limit); /* cannot fail */
    if (limit.rlim_cur == RLIM_INFINITY ||
        !g_file_get_contents("/proc/self/status", &status, NULL, NULL) ||
        extract64(status_number(status, "\nCapEff:", 16), CAP_IPC_LOCK, 1)) {
        return UINT64_MAX;
    }
    used = MAX(used, status_number(status, "\nVmLck:", 10) * KiB);
    return limit.rlim_cur - MIN(used, limit.rlim_cur);
}
