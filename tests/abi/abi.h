/*
 * The VFIO interface of a host, asked call by call
 *
 * Each case runs in a process of its own, so it starts with no locked memory
 * and leaves no open files.  Each check is a TAP line that carries the
 * result, so transcripts of two hosts can be compared line by line; what may
 * differ between them (sizes, addresses) only goes into comments.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_ABI_H
#define TESTS_ABI_H

#include <linux/vfio.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define START64 (1ull << 59)

#define MAX_DEVICES 4

/*
 * What takes some hosts hours.  On POWER8 the kernel tells the bridge of
 * changed entries by a store each, in a partition it clears a table by a
 * hypercall each; emulated, 2^20 of them take seconds.  And on POWER8, if
 * nothing at all was changed from entry 0 on, by a MAP whose first page fails
 * or of size 0, the kernel counts from 0 to -1: such calls go elsewhere, but
 * for one case.
 */
#define LARGEST_TABLE (host.spare ? 20 : 31)   /* 2^n entries */

/* What the program was told, and what it finds out once */
typedef struct {
    const char *devices[MAX_DEVICES];   /* PCI addresses */
    int groups[MAX_DEVICES];            /* their IOMMU groups */
    unsigned count;
    uint64_t page;                      /* of the host, bytes */
    bool spare;                         /* LARGEST_TABLE */
    struct vfio_iommu_spapr_tce_info info;  /* version 2 */
} Host;

extern Host host;

/* ---- harness.c ---- */

/* One line: did @got come out as @want */
void check(const char *what, long got, long want);

/* A comment */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Run @body as case @name in a process of its own */
void run_case(const char *name, void (*body)(void));

/* The plan line; returns the exit status */
int finish(void);

/* ioctl() with -errno for a failure */
long call(int fd, unsigned long request, const void *argument);

/* The name of an errno or the number, for a result; static storage */
const char *result_name(long result);

/* ---- setup.c: these end the case if they fail ---- */

typedef struct {
    int container;
    int groups[MAX_DEVICES];
    unsigned count;
} Setup;

int open_container(void);
int open_group(unsigned number);

/* A container with @groups groups and the driver for @type */
Setup set_up(unsigned groups, unsigned long type);

/* @size bytes of touched memory, aligned to 16 MiB */
uint8_t *make_memory(uint64_t size);

/* Fill in host.info; false: there are no dynamic windows */
bool find_info(void);

/* ---- calls with their arguments spelled out, 0 or -errno or odd ---- */

long do_register(int container, const void *address, uint64_t size);
long do_unregister(int container, const void *address, uint64_t size);
long do_create(int container, unsigned page_shift, uint64_t size,
               unsigned levels, uint64_t *start);
long do_remove(int container, uint64_t start);
long do_map(int container, uint64_t iova, const void *address, uint64_t size,
            uint32_t flags);
long do_unmap(int container, uint64_t iova, uint64_t size);
long do_attach(int group, int container);
long do_eeh(int container, uint32_t op);

/*
 * What holds for each call @name with an argument that begins with argsz and
 * flags: no address, an argsz below @size, an unknown flag.  Leaves @argument
 * with an argsz of @size and without flags.
 */
void check_arguments(int fd, const char *name, unsigned long request,
                     void *argument, uint32_t size);

#define READ_WRITE (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

/* ---- the cases ---- */

void core_cases(void);
void window_cases(void);
void memory_cases(void);
void map_cases(void);
void limit_cases(void);
void group_cases(void);
void v1_cases(void);
void eeh_cases(void);
void device_cases(void);

/**
 * random_sequence - print the transcript of random calls
 * @seed: of the sequence
 * @operations: how many, in episodes of a process each
 */
void random_sequence(uint64_t seed, unsigned long operations);

#endif
