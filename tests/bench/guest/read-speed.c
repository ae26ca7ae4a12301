/*
 * Read a disk past the page cache, and tell how fast that was
 *
 * usage: read-speed DISK MIB
 *
 * First MIB MiB in reads of 1 MiB one after the other, starting over at the
 * end of the disk, then an eighth of that in 4 KiB reads all over it.
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

static void *buffer;
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

static void tell(const char *what, uint64_t bytes, double start)
{
    printf("GUEST %s %.0f bytes/s\n", what, bytes / (now() - start));
}

int main(int argc, char **argv)
{
    uint64_t size, bytes, place = 1;
    double start;

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
    start = now();
    for (uint64_t done = 0; done < bytes; done += MIB) {
        get(done % size, MIB);
    }
    tell("sequential", bytes, start);
    start = now();
    for (uint64_t done = 0; done < bytes / 8; done += SMALL) {
        place = place * 6364136223846793005 + 1442695040888963407;
        get((place >> 20) % (size / SMALL) * SMALL, SMALL);
    }
    tell("random", bytes / 8, start);
    return 0;
}
