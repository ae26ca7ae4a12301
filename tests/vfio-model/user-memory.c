/*
 * Memory of the program under the model
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#include "user-memory.h"

int user_read(void *to, uint64_t from, size_t size)
{
    struct iovec local = { to, size };
    struct iovec remote = { (void *)(uintptr_t)from, size };

    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) ==
           (ssize_t)size ? 0 : -EFAULT;
}

int user_write(uint64_t to, const void *from, size_t size)
{
    struct iovec local = { (void *)from, size };
    struct iovec remote = { (void *)(uintptr_t)to, size };

    return process_vm_writev(getpid(), &local, 1, &remote, 1, 0) ==
           (ssize_t)size ? 0 : -EFAULT;
}

uint64_t user_writable(uint64_t address, uint64_t size)
{
    uint64_t start, end, reached = address;
    char line[512], mode[5];
    FILE *maps = fopen("/proc/self/maps", "re");

    if (!maps) {
        return 0;
    }
    while (reached - address < size && fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s", &start, &end,
                   mode) != 3 || end <= reached) {
            continue;
        }
        if (start > reached || mode[1] != 'w') {
            break;
        }
        reached = end;
    }
    fclose(maps);
    return reached - address < size ? reached - address : size;
}
