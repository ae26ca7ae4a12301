/*
 * Read a disk past the page cache, and tell how fast that was
 *
 * usage: read-speed DISK MIB
 *
 * MIB MiB in reads of 1 MiB one after the other, starting over at the end of
 * the disk, then an eighth of that in 4 KiB reads all over it.  Each is done
 * in rounds, of which the best counts: the others were disturbed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MIB (1 << 20)
#define SMALL 4096
#define ROUNDS 8

static void *buffer;
static uint64_t size;         /* of the disk, rounded down to 1 MiB */
static int disk;

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void get(uint64_t at, uint64_t size)
{
    if (pread(disk, buffer, size, at) != (ssize_t)size) {
        perror("read-speed");
        exit(1);
    }
}

/* The next place for a read of @step bytes, in order or anywhere */
static uint64_t next(uint64_t at, uint64_t step)
{
    static uint64_t random = 1;

    if (step == MIB) {
        return (at + step) % size;
    }
    random = random * 6364136223846793005 + 1442695040888963407;
    return (random >> 20) % (size / step) * step;
}

static void measure(const char *what, uint64_t bytes, uint64_t step)
{
    double best = 0;
    uint64_t at = 0;

    for (int round = 0; round < ROUNDS; round++) {
        const double start = now();
        double speed;

        for (uint64_t done = 0; done < bytes / ROUNDS; done += step) {
            get(at, step);
            at = next(at, step);
        }
        speed = bytes / ROUNDS / (now() - start);
        best = speed > best ? speed : best;
    }
    printf("GUEST %s %.0f bytes/s\n", what, best);
}

int main(int argc, char **argv)
{
    uint64_t bytes;

    if (argc != 3 || sscanf(argv[2], "%" SCNu64, &bytes) != 1) {
        fprintf(stderr, "usage: read-speed DISK MIB\n");
        return 1;
    }
    bytes *= MIB;
    disk = open(argv[1], O_RDONLY | O_DIRECT);
    size = disk < 0 ? 0 : (uint64_t)lseek(disk, 0, SEEK_END) / MIB * MIB;
    buffer = aligned_alloc(65536, MIB);
    if (!size || !buffer) {
        perror(argv[1]);
        return 1;
    }
    measure("sequential", bytes, MIB);
    measure("random", bytes / 8, SMALL);
    return 0;
}
