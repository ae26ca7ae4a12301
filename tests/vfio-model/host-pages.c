/*
 * Make a program believe in larger pages than this machine has
 *
 * A library to preload:
 *
 *   HOST_PAGE   bytes of a page of memory, a multiple of the true size
 *   HUGE_PAGE   bytes of a page in files that are called *.huge: they look
 *               like files of hugetlbfs
 *
 * What the program aligns to such pages is aligned for the kernel as well.
 * The other way round, memory that the kernel gives is moved to where such a
 * page could be.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#undef _FILE_OFFSET_BITS    /* it gives functions other names */
#include <dlfcn.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

/* The name that a function has for programs with large files */
#define ALIAS(name) __attribute__((alias(name)))

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

typedef void *MapFunction(void *, size_t, int, int, int, off_t);

/* Map a page more than asked for, and give back what is too much */
static void *map_aligned(MapFunction *map, size_t length, int protection,
                         int flags, int fd, off_t offset)
{
    const uintptr_t page = page_size(), small = getauxval(AT_PAGESZ);
    const size_t whole = (length + small - 1) & -small;
    char *got = map(NULL, whole + page, protection, flags, fd, offset);
    char *start = (char *)(((uintptr_t)got + page - 1) & -page);

    if (got == MAP_FAILED) {
        return got;
    }
    if (start > got) {
        munmap(got, start - got);
    }
    munmap(start + whole, got + page - start);
    return start;
}

void *mmap(void *address, size_t length, int protection, int flags, int fd,
           off_t offset)
{
    static MapFunction *real;

    if (!real) {
        real = (MapFunction *)dlsym(RTLD_NEXT, "mmap");
    }
    if (address || !(flags & MAP_ANONYMOUS)) {
        return real(address, length, protection, flags, fd, offset);
    }
    return map_aligned(real, length, protection, flags, fd, offset);
}

ALIAS("mmap") void *mmap64(void *address, size_t length, int protection,
                           int flags, int fd, off64_t offset);

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

ALIAS("fstatfs") int fstatfs64(int fd, struct statfs64 *buf);
