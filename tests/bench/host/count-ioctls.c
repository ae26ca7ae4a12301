/*
 * Preloaded into QEMU on a host: count what it asks the host for
 *
 * At the end, each request that was made is a line of the file that the
 * environment variable IOCTLS names: its number in hexadecimal, and how often.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

/* Requests of Linux that a QEMU makes have 16 bits besides their size */
static uint64_t counts[1 << 16];

int ioctl(int fd, unsigned long request, ...)
{
    static int (*next)(int, unsigned long, ...);
    va_list more;
    void *argument;

    if (!next) {
        next = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
    }
    va_start(more, request);
    argument = va_arg(more, void *);
    va_end(more);
    __atomic_fetch_add(&counts[request & 0xffff], 1, __ATOMIC_RELAXED);
    return next(fd, request, argument);
}

static void __attribute__((destructor)) tell(void)
{
    const char *name = getenv("IOCTLS");
    FILE *out = name ? fopen(name, "w") : NULL;

    if (!out) {
        return;
    }
    for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        if (counts[i]) {
            fprintf(out, "%x %" PRIu64 "\n", i, counts[i]);
        }
    }
    fclose(out);
}
