/*
 * Make a program believe in a host with pages of 64 KiB
 *
 * A library to preload.  POWER hosts have such pages, most machines that run
 * this comparison have smaller ones; and QEMU cuts a VFIO window into pages
 * no larger than what it thinks is the host's.  A multiple of the true size
 * does no harm: whatever is aligned to it is aligned for the kernel as well.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>

#define LARGE_PAGE 65536

int getpagesize(void)
{
    return LARGE_PAGE;
}

long sysconf(int name)
{
    static long (*real)(int);

    if (name == _SC_PAGESIZE) {
        return LARGE_PAGE;
    }
    if (!real) {
        real = (long (*)(int))dlsym(RTLD_NEXT, "sysconf");
    }
    return real(name);
}
