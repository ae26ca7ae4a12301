/*
 * An iothread that is slow at just one place, for LD_PRELOAD in the emulated
 * POWER host
 *
 * After SIGUSR2 the next iothread of QEMU (run it with -name debug-threads=on)
 * that reads a word of a TCE table of KVM, not one of its first page, has to
 * wait, between looking up the table and reading the word, until the file
 * /tmp/odd/reader is gone, or for two minutes.  To that end nobody may read
 * these pages any more; any other thread that tries makes them readable again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define TABLES 8
#define HOST_PAGE 65536
#define PAUSE_US 10000
#define PAUSES 12000

typedef struct {
    char *start;
    size_t size;
} Table;

static Table tables[TABLES];

static Table *find_table(const void *address)
{
    for (int i = 0; i < TABLES; i++) {
        if (tables[i].start && (const char *)address >= tables[i].start &&
            (const char *)address - tables[i].start < tables[i].size) {
            return &tables[i];
        }
    }
    return NULL;
}

static void forget_table(const void *address)
{
    Table *table = find_table(address);

    if (table) {
        table->start = NULL;
    }
}

static void say(const char *text)
{
    (void)!write(STDERR_FILENO, text, strlen(text));
}

static void hold(void)
{
    say("slow-reader: held\n");
    for (int i = 0; i < PAUSES && !access("/tmp/odd/reader", F_OK); i++) {
        usleep(PAUSE_US);
    }
    say("slow-reader: goes on\n");
}

static void reads(int number, siginfo_t *info, void *context)
{
    Table *table = find_table(info->si_addr);
    char name[16] = "";

    if (!table) {
        /* Not ours: it happens once more, and ends QEMU */
        sigaction(SIGSEGV, &(struct sigaction) { .sa_handler = SIG_DFL }, NULL);
        return;
    }
    prctl(PR_GET_NAME, name);
    if (!strncmp(name, "IO ", 3)) {
        hold();
    }
    /* What is no table any more stays as it is */
    table = find_table(info->si_addr);
    if (table) {
        mprotect(table->start, table->size, PROT_READ | PROT_WRITE);
    }
}

static void start(int number)
{
    for (int i = 0; i < TABLES; i++) {
        if (tables[i].start && tables[i].size > HOST_PAGE) {
            mprotect(tables[i].start + HOST_PAGE, tables[i].size - HOST_PAGE,
                     PROT_NONE);
        }
    }
}

static bool is_table(int fd)
{
    char link[32], target[64];
    ssize_t length;

    if (fd < 0) {
        return false;
    }
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    length = readlink(link, target, sizeof(target) - 1);
    target[length < 0 ? 0 : length] = 0;
    return strstr(target, "kvm-spapr-tce");
}

void *mmap64(void *address, size_t size, int protection, int flags, int fd,
             off64_t offset)
{
    static void *(*next)(void *, size_t, int, int, int, off64_t);
    void *result;

    if (!next) {
        next = (void *(*)(void *, size_t, int, int, int, off64_t))
               dlsym(RTLD_NEXT, "mmap64");
        sigaction(SIGSEGV, &(struct sigaction) {
            .sa_sigaction = reads,
            .sa_flags = SA_SIGINFO | SA_NODEFER,
        }, NULL);
        sigaction(SIGUSR2, &(struct sigaction) { .sa_handler = start }, NULL);
    }
    result = next(address, size, protection, flags, fd, offset);
    if (result == MAP_FAILED) {
        return result;
    }
    forget_table(result);
    for (int i = 0; is_table(fd) && i < TABLES; i++) {
        if (!tables[i].start) {
            tables[i] = (Table) { result, size };
            break;
        }
    }
    return result;
}

int munmap(void *address, size_t size)
{
    static int (*next)(void *, size_t);

    if (!next) {
        next = (int (*)(void *, size_t))dlsym(RTLD_NEXT, "munmap");
    }
    forget_table(address);
    return next(address, size);
}
