/*
 * Test lines, and cases in processes of their own
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi.h"

/* Shared with the processes of the cases */
static struct {
    unsigned lines, failures;
} *counts;

static const char *case_name = "";

static void make_counts(void)
{
    if (!counts) {
        counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    }
}

const char *result_name(long result)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {
        { EPERM, "EPERM" }, { ENOENT, "ENOENT" }, { ENXIO, "ENXIO" },
        { EBADF, "EBADF" }, { ENOMEM, "ENOMEM" }, { EFAULT, "EFAULT" },
        { EBUSY, "EBUSY" }, { ENODEV, "ENODEV" }, { EINVAL, "EINVAL" },
        { ENOTTY, "ENOTTY" }, { ENOSPC, "ENOSPC" }, { EBADFD, "EBADFD" },
        { EIO, "EIO" }, { EEXIST, "EEXIST" }, { EOVERFLOW, "EOVERFLOW" },
        { ERANGE, "ERANGE" },
    };
    static char numbers[4][24];
    static unsigned next;

    for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (names[i].number == -result) {
            return names[i].name;
        }
    }
    next = (next + 1) % 4;
    snprintf(numbers[next], sizeof(*numbers), "%ld", result);
    return numbers[next];
}

void check(const char *what, long got, long want)
{
    make_counts();
    counts->lines++;
    if (got == want) {
        printf("ok %u - %s: %s: %s\n", counts->lines, case_name, what,
               result_name(got));
    } else {
        counts->failures++;
        printf("not ok %u - %s: %s: %s, expected %s\n", counts->lines,
               case_name, what, result_name(got), result_name(want));
    }
}

void note(const char *format, ...)
{
    va_list arguments;

    printf("# ");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

void run_case(const char *name, void (*body)(void))
{
    int status;
    pid_t child;

    make_counts();
    case_name = name;
    fflush(stdout);
    child = fork();
    if (!child) {
        body();
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, &status, 0);
    if (status) {
        check(WIFSIGNALED(status) ? "ended by signal" : "ended early",
              status, 0);
    }
}

int finish(void)
{
    make_counts();
    printf("1..%u\n", counts->lines);
    return counts->failures != 0;
}

long call(int fd, unsigned long request, const void *argument)
{
    const long ret = ioctl(fd, request, argument);

    return ret < 0 ? -errno : ret;
}
