/*
 * Shims: the library calls that the model takes over
 *
 * A descriptor that is not ours, and a path that is not in our tree, goes on
 * as it came.  Calls on descriptors go to the kernel directly, so that they
 * work before anything is initialised; calls on paths that are more than a
 * system call go to the next library.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
/* Here open is open and open64 is open64, and nothing is wrapped */
#undef _FORTIFY_SOURCE
#undef _FILE_OFFSET_BITS
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "calls.h"
#include "paths.h"
#include "status.h"

#define SHIM __attribute__((visibility("default")))
#define ALIAS(name) __attribute__((visibility("default"), alias(name)))

/* The next definition of function @name, looked up once */
static void *next_of(void **cache, const char *name)
{
    if (!*cache) {
        *cache = dlsym(RTLD_NEXT, name);
    }
    return *cache;
}

static long result(long value)
{
    if (value < 0 && value > -4096) {
        errno = -value;
        return -1;
    }
    return value;
}

/* ---- descriptors ---- */

static int do_open(int directory, const char *path, int flags, mode_t mode)
{
    char buffer[PATH_MAX];
    const char *real = path_redirect(path, buffer);
    const char *name = path_vfio_name(path);

    if (name) {
        return result(call_open(name, real, flags));
    }
    if (status_is(path)) {
        return status_open(path, flags);
    }
    return syscall(SYS_openat, directory, real, flags, mode);
}

static mode_t mode_of(int flags, va_list arguments)
{
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

SHIM int open(const char *path, int flags, ...)
{
    va_list arguments;
    mode_t mode;

    va_start(arguments, flags);
    mode = mode_of(flags, arguments);
    va_end(arguments);
    return do_open(AT_FDCWD, path, flags, mode);
}

SHIM int openat(int directory, const char *path, int flags, ...)
{
    va_list arguments;
    mode_t mode;

    va_start(arguments, flags);
    mode = mode_of(flags, arguments);
    va_end(arguments);
    return do_open(directory, path, flags, mode);
}

ALIAS("open") int open64(const char *path, int flags, ...);
ALIAS("openat") int openat64(int directory, const char *path, int flags, ...);

SHIM int __open_2(const char *path, int flags)
{
    return do_open(AT_FDCWD, path, flags, 0);
}

SHIM int __openat_2(int directory, const char *path, int flags)
{
    return do_open(directory, path, flags, 0);
}

ALIAS("__open_2") int __open64_2(const char *path, int flags);
ALIAS("__openat_2") int __openat64_2(int directory, const char *path,
                                     int flags);

SHIM int close(int fd)
{
    return files_get(fd) ? result(call_close(fd)) : syscall(SYS_close, fd);
}

SHIM int dup(int fd)
{
    return call_dup(fd, syscall(SYS_dup, fd));
}

SHIM int dup3(int old, int fd, int flags)
{
    return result(call_replace(old, fd, flags));
}

SHIM int dup2(int old, int fd)
{
    return old == fd ? (syscall(SYS_fcntl, fd, F_GETFD) < 0 ? -1 : fd) :
                       dup3(old, fd, 0);
}

SHIM int fcntl(int fd, int command, ...)
{
    va_list arguments;
    void *argument;
    long ret;

    va_start(arguments, command);
    argument = va_arg(arguments, void *);
    va_end(arguments);
    ret = syscall(SYS_fcntl, fd, command, argument);
    return command == F_DUPFD || command == F_DUPFD_CLOEXEC ?
           call_dup(fd, ret) : ret;
}

ALIAS("fcntl") int fcntl64(int fd, int command, ...);

SHIM int ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    void *argument;

    va_start(arguments, request);
    argument = va_arg(arguments, void *);
    va_end(arguments);
    return files_get(fd) ? result(call_ioctl(fd, request, argument)) :
                           syscall(SYS_ioctl, fd, request, argument);
}

SHIM ssize_t pread(int fd, void *buffer, size_t count, off_t offset)
{
    return files_get(fd) ?
           result(call_access(fd, buffer, count, offset, 0)) :
           syscall(SYS_pread64, fd, buffer, count, offset);
}

SHIM ssize_t pwrite(int fd, const void *buffer, size_t count, off_t offset)
{
    return files_get(fd) ?
           result(call_access(fd, (void *)buffer, count, offset, 1)) :
           syscall(SYS_pwrite64, fd, buffer, count, offset);
}

ALIAS("pread") ssize_t pread64(int fd, void *buffer, size_t count,
                               off64_t offset);
ALIAS("pwrite") ssize_t pwrite64(int fd, const void *buffer, size_t count,
                                 off64_t offset);

SHIM ssize_t __pread_chk(int fd, void *buffer, size_t count, off_t offset,
                         size_t size)
{
    if (count > size) {
        abort();
    }
    return pread(fd, buffer, count, offset);
}

ALIAS("__pread_chk") ssize_t __pread64_chk(int fd, void *buffer,
                                           size_t count, off_t offset,
                                           size_t size);

/* The limit of locked memory is the model's */
SHIM int getrlimit(__rlimit_resource_t resource, struct rlimit *limit)
{
    const int ret = syscall(SYS_prlimit64, 0, resource, NULL, limit);

    if (!ret && resource == RLIMIT_MEMLOCK && host.page_shift) {
        limit->rlim_cur = host.memlock;
        limit->rlim_max = host.memlock > host.memlock_max ? host.memlock :
                                                            host.memlock_max;
    }
    return ret;
}

ALIAS("getrlimit") int getrlimit64(__rlimit_resource_t resource,
                                   struct rlimit64 *limit);

SHIM int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
    if (resource != RLIMIT_MEMLOCK || !host.page_shift) {
        return syscall(SYS_prlimit64, 0, resource, limit, NULL);
    }
    call_limit(limit->rlim_cur);
    return 0;
}

ALIAS("setrlimit") int setrlimit64(__rlimit_resource_t resource,
                                   const struct rlimit64 *limit);

SHIM void *mmap(void *address, size_t length, int protection, int flags,
                int fd, off_t offset)
{
    return (void *)(files_get(fd) ?
                    result(call_mmap(address, length, protection, flags, fd,
                                     offset)) :
                    syscall(SYS_mmap, address, length, protection, flags, fd,
                            offset));
}

ALIAS("mmap") void *mmap64(void *address, size_t length, int protection,
                           int flags, int fd, off64_t offset);

/* ---- paths ---- */

SHIM int stat(const char *path, struct stat *st)
{
    char buffer[PATH_MAX];
    const int ret = syscall(SYS_newfstatat, AT_FDCWD,
                            path_redirect(path, buffer), st, 0);

    if (!ret && status_is_namespace(path)) {
        status_set_namespace(st);
    }
    return ret;
}

SHIM int lstat(const char *path, struct stat *st)
{
    char buffer[PATH_MAX];

    return syscall(SYS_newfstatat, AT_FDCWD, path_redirect(path, buffer), st,
                   AT_SYMLINK_NOFOLLOW);
}

SHIM int fstatat(int directory, const char *path, struct stat *st, int flags)
{
    char buffer[PATH_MAX];

    return syscall(SYS_newfstatat, directory, path_redirect(path, buffer),
                   st, flags);
}

ALIAS("stat") int stat64(const char *path, struct stat64 *st);
ALIAS("lstat") int lstat64(const char *path, struct stat64 *st);
ALIAS("fstatat") int fstatat64(int directory, const char *path,
                               struct stat64 *st, int flags);

SHIM int access(const char *path, int mode)
{
    char buffer[PATH_MAX];

    return syscall(SYS_faccessat, AT_FDCWD, path_redirect(path, buffer),
                   mode);
}

SHIM ssize_t readlink(const char *path, char *target, size_t size)
{
    char buffer[PATH_MAX];

    return syscall(SYS_readlinkat, AT_FDCWD, path_redirect(path, buffer),
                   target, size);
}

SHIM ssize_t __readlink_chk(const char *path, char *target, size_t size,
                            size_t room)
{
    if (size > room) {
        abort();
    }
    return readlink(path, target, size);
}

SHIM char *realpath(const char *path, char *resolved)
{
    static void *cache;
    char buffer[PATH_MAX];
    char *(*next)(const char *, char *) =
        next_of(&cache, "realpath");

    return next(path_redirect(path, buffer), resolved);
}

SHIM char *__realpath_chk(const char *path, char *resolved, size_t size)
{
    if (resolved && size < PATH_MAX) {
        abort();
    }
    return realpath(path, resolved);
}

SHIM DIR *opendir(const char *path)
{
    static void *cache;
    char buffer[PATH_MAX];
    DIR *(*next)(const char *) =
        next_of(&cache, "opendir");

    return next(path_redirect(path, buffer));
}

SHIM FILE *fopen(const char *path, const char *mode)
{
    static void *cache;
    char buffer[PATH_MAX];
    FILE *(*next)(const char *, const char *) =
        next_of(&cache, "fopen");

    return next(path_redirect(path, buffer), mode);
}

ALIAS("fopen") FILE *fopen64(const char *path, const char *mode);
