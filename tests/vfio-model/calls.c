/*
 * System calls of the program
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "calls.h"
#include "container.h"
#include "device.h"
#include "fault.h"
#include "group.h"
#include "ioctl-table.h"
#include "ledger.h"

pthread_mutex_t model_lock = PTHREAD_MUTEX_INITIALIZER;

static void lock(void)
{
    pthread_mutex_lock(&model_lock);
}

static void unlock(void)
{
    pthread_mutex_unlock(&model_lock);
}

static long system_result(long result)
{
    return result < 0 ? -errno : result;
}

static long open_container(int fd)
{
    Container *container = container_open();

    if (container && files_add(fd, FILE_CONTAINER, container)) {
        return fd;
    }
    if (container) {
        container_put(container);
    }
    return -ENOMEM;
}

static long open_group(int fd, const char *name)
{
    Group *group = group_by_number(atoi(name));
    long ret = group ? group_open(group) : -ENODEV;

    if (!ret && !files_add(fd, FILE_GROUP, group)) {
        group_put(group);
        ret = -ENOMEM;
    }
    return ret ? ret : fd;
}

static long open_file(int fd, const char *name)
{
    const bool container = !strcmp(name, "vfio");
    const char *const call = container ? "open_container" : "open_group";
    long ret;

    if (!fault_check(call, 0, CALL_FALLIBLE, &ret)) {
        ret = container ? open_container(fd) : open_group(fd, name);
    }
    ledger_call(call, ret);
    return ret;
}

long call_open(const char *name, const char *path, int flags)
{
    long fd = system_result(syscall(SYS_openat, AT_FDCWD, path, flags, 0));
    long ret = fd;

    if (fd >= 0 && *name) {
        lock();
        ret = open_file(fd, name);
        unlock();
        if (ret < 0) {
            syscall(SYS_close, fd);
        }
    }
    return ret;
}

/* The model goes first: once the number is free another thread may get it */
long call_close(int fd)
{
    lock();
    files_close(fd);
    unlock();
    return system_result(syscall(SYS_close, fd));
}

long call_dup(int old, long fd)
{
    if (fd >= 0) {
        lock();
        files_dup(old, fd);
        unlock();
    }
    return fd;
}

long call_replace(int old, int fd, int flags)
{
    long ret;

    lock();
    ret = system_result(syscall(SYS_dup3, old, fd, flags));
    if (ret >= 0) {
        files_close(fd);
        files_dup(old, fd);
    }
    unlock();
    return ret;
}

long call_ioctl(int fd, unsigned long request, void *argument)
{
    ModelFile *file;
    long ret = -EBADF;

    lock();
    file = files_get(fd);
    if (file) {
        ret = ioctl_call(file, request, (uintptr_t)argument);
    }
    unlock();
    return ret;
}

long call_access(int fd, void *buffer, size_t count, off_t offset, int write)
{
    ModelFile *file;
    long ret = -EINVAL;

    lock();
    syscall(SYS_getppid);       /* what crossing into the kernel costs */
    file = files_get(fd);
    if (file && file->kind == FILE_DEVICE) {
        ret = device_access(file->object, buffer, count, offset, write);
    }
    unlock();
    return ret;
}

void call_limit(uint64_t bytes)
{
    lock();
    host.memlock = bytes;
    unlock();
}

long call_mmap(void *address, size_t length, int protection, int flags,
               int fd, off_t offset)
{
    ModelFile *file;
    long ret = -EINVAL;

    lock();
    file = files_get(fd);
    if (file && file->kind == FILE_DEVICE && flags & MAP_SHARED) {
        const Function *function = file->object;

        if (!fault_check("mmap", 0, CALL_FALLIBLE, &ret)) {
            ret = device_map_offset(function, offset, length);
        }
        ledger_call("mmap", ret < 0 ? ret : 0);
        if (ret >= 0) {
            ret = system_result(syscall(SYS_mmap, address, length,
                                        protection, flags,
                                        function->memory_fd, ret));
        }
    }
    unlock();
    return ret;
}
