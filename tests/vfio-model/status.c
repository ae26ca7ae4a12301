/*
 * What /proc/self tells a process that runs on the model's host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "model.h"
#include "prereg.h"
#include "status.h"

#define LOCKED "VmLck:"
#define CAPABILITIES "CapEff:"

/* An inode that no first user namespace has */
#define OTHER_NAMESPACE 0xf0000123u

bool status_is(const char *path)
{
    return path && !strcmp(path, "/proc/self/status");
}

bool status_is_namespace(const char *path)
{
    return host.userns && path && !strcmp(path, "/proc/self/ns/user");
}

void status_set_namespace(struct stat *st)
{
    st->st_ino = OTHER_NAMESPACE;
}

/* Other lines are as the kernel has them */
static void copy(FILE *from, FILE *to)
{
    char line[4096];

    while (fgets(line, sizeof(line), from)) {
        uint64_t kib;

        if (sscanf(line, LOCKED " %" SCNu64, &kib) == 1) {
            fprintf(to, LOCKED "\t%8" PRIu64 " kB\n",
                    kib + memlock_bytes() / 1024);
        } else if (host.userns &&
                   !strncmp(line, CAPABILITIES, strlen(CAPABILITIES))) {
            fputs(CAPABILITIES "\t000001ffffffffff\n", to);
        } else {
            fputs(line, to);
        }
    }
}

int status_open(const char *path, int flags)
{
    int real = syscall(SYS_openat, AT_FDCWD, path, flags, 0), fd, copied;
    FILE *from, *to;

    if (real < 0) {
        return real;
    }
    fd = memfd_create("status", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
    copied = fd < 0 ? -1 : syscall(SYS_dup, fd);
    from = fdopen(real, "r");
    to = copied < 0 ? NULL : fdopen(copied, "w");
    if (!from || !to) {
        return real;
    }
    copy(from, to);
    fclose(from);
    fclose(to);
    lseek(fd, 0, SEEK_SET);
    return fd;
}
