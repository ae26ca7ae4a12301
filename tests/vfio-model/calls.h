/*
 * System calls of the program, as the shims hand them over
 *
 * Each of these answers for a descriptor or path that belongs to the model.
 * They take the lock themselves and return what a system call returns, with
 * -errno for a failure.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_CALLS_H
#define VFIO_MODEL_CALLS_H

#include <sys/types.h>

#include "files.h"

/* Open @name below /dev/vfio; @path is where it really is */
long call_open(const char *name, const char *path, int flags);

long call_close(int fd);

/* @fd is a new descriptor for the file of @old; returns @fd */
long call_dup(int old, long fd);

/* dup2 and dup3: what @fd was is closed */
long call_replace(int old, int fd, int flags);

long call_ioctl(int fd, unsigned long request, void *argument);
long call_access(int fd, void *buffer, size_t count, off_t offset,
                 int write);

/* The program may lock @bytes of memory */
void call_limit(uint64_t bytes);

long call_mmap(void *address, size_t length, int protection, int flags,
               int fd, off_t offset);

#endif
