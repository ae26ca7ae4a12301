/*
 * Make a program believe in larger pages than this machine has
 *
 * A library to preload:
 *
 *   HOST_PAGE   bytes of a page of memory
 *   HUGE_PAGE   bytes of a page in files that are called *.huge: they look
 *               like files of hugetlbfs
 *
 * A multiple of the true size does no harm: whatever is aligned to it is
 * aligned for the kernel as well.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/vfs.h>
#include <unistd.h>

static long number(const char *name)
{
    const char *text = getenv(name);

    return text ? atol(text) : 0;
}

static long page_size(void)
{
    return number("HOST_PAGE") ?: getauxval(AT_PAGESZ);
}

int getpagesize(void)
{
    return page_size();
}

long sysconf(int name)
{
    static long (*real)(int);

    if (name == _SC_PAGESIZE) {
        return page_size();
    }
    if (!real) {
        real = (long (*)(int))dlsym(RTLD_NEXT, "sysconf");
    }
    return real(name);
}

int fstatfs(int fd, struct statfs *buf)
{
    static int (*real)(int, struct statfs *);
    char link[32], path[4096];
    ssize_t length;
    int ret;

    if (!real) {
        real = (int (*)(int, struct statfs *))dlsym(RTLD_NEXT, "fstatfs");
    }
    ret = real(fd, buf);
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof(path));
    if (!ret && number("HUGE_PAGE") && length > 5 &&
        !memcmp(path + length - 5, ".huge", 5)) {
        buf->f_type = HUGETLBFS_MAGIC;
        buf->f_bsize = number("HUGE_PAGE");
    }
    return ret;
}
