/*
 * Random sequences of calls
 *
 * A sequence is cut into episodes, each a process with a fresh container.
 * The transcript has a line per call: what was asked, in terms that do not
 * depend on the host's addresses, and what came back.  Nothing is judged
 * here: two transcripts of the same seed are compared.
 *
 * Left out is what breaks a real host: a MAP or UNMAP past the end of a
 * window.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi.h"

#define EPISODE 500
#define MEMORY (4 * MIB)
#define UNIT (64 * KIB)         /* a multiple of every host page */

typedef struct {
    uint64_t random;
    int containers[2];
    int groups[2];
    uint8_t *memory;
    struct {
        uint64_t size;          /* 0: no window */
        unsigned page_shift;
    } windows[2][2];            /* what we know, per container and slot */
} Episode;

/* splitmix64 */
static uint64_t next(Episode *e)
{
    uint64_t z = e->random += 0x9e3779b97f4a7c15ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static uint64_t below(Episode *e, uint64_t limit)
{
    return next(e) % limit;
}

/* One in @n */
static bool rarely(Episode *e, unsigned n)
{
    return !below(e, n);
}

static void step_register(Episode *e, unsigned c)
{
    uint64_t size = rarely(e, 8) ? 2 * UNIT : rarely(e, 8) ? UNIT : MIB;
    uint64_t offset = below(e, MEMORY / size) * size;
    const bool on = below(e, 5) < 3;

    if (rarely(e, 24)) {
        offset += 512;
    }
    if (rarely(e, 24)) {
        size += 512;
    }
    printf("%s %u %llx+%llx", on ? "register" : "unregister", c,
           (unsigned long long)offset, (unsigned long long)size);
    printf(" = %s\n", result_name((on ? do_register : do_unregister)
           (e->containers[c], e->memory + offset, size)));
}

/* Mostly small: an emulated host clears 2^20 entries in seconds */
static unsigned choose_window(Episode *e, unsigned page)
{
    const unsigned window = rarely(e, 12) ? 40 : rarely(e, 12) ? 31 :
                            26 + below(e, 4);

    return window - page > LARGEST_TABLE ? 26 : window;
}

static void step_create(Episode *e, unsigned c)
{
    static const unsigned shifts[] = { 12, 12, 12, 16, 16, 16, 21, 13 };
    const unsigned page = shifts[below(e, 8)];
    const unsigned window = choose_window(e, page);
    const unsigned levels = rarely(e, 4) ? below(e, 7) : 1 + below(e, 2);
    uint64_t start = 0;
    long ret;

    ret = do_create(e->containers[c], page, 1ull << window, levels, &start);
    printf("create %u page %u window %u levels %u = %s", c, page, window,
           levels, result_name(ret));
    printf(ret ? "\n" : " at %llx\n", (unsigned long long)start);
    if (!ret) {
        e->windows[c][start != 0].size = 1ull << window;
        e->windows[c][start != 0].page_shift = page;
    }
}

static void step_remove(Episode *e, unsigned c)
{
    const unsigned slot = below(e, 2);
    uint64_t start = slot ? START64 : 0;
    long ret;

    if (rarely(e, 8)) {
        start += 1ull << (12 + below(e, 30));
    }
    ret = do_remove(e->containers[c], start);
    printf("remove %u %llx = %s\n", c, (unsigned long long)start,
           result_name(ret));
    if (!ret) {
        e->windows[c][slot].size = 0;
    }
}

/* An iova that MAP can bear: the run ends in the window it starts in */
static uint64_t choose_iova(Episode *e, unsigned c, uint64_t size)
{
    const unsigned slot = below(e, 2);
    uint64_t window = e->windows[c][slot].size;
    uint64_t iova;

    if (!window) {
        /* slot 0 may hold the default window, which is 1 GiB at least */
        window = GIB;
    }
    /* often near the start, so that mappings meet */
    iova = below(e, rarely(e, 2) ? 2 * MIB : window - size) & -(4 * KIB);
    if (!rarely(e, 8)) {
        iova &= -UNIT;
    }
    if (host.spare && !slot && !iova) {
        iova = UNIT;
    }
    return (slot ? START64 : 0) + iova;
}

static void step_map(Episode *e, unsigned c)
{
    uint64_t size = (1 + below(e, 16)) << (rarely(e, 2) ? 12 : 16);
    const uint64_t iova = choose_iova(e, c, size + MIB);
    uint64_t offset = below(e, (MEMORY - MIB) / UNIT) * UNIT;
    const uint32_t flags = rarely(e, 16) ? below(e, 8) : 1 + below(e, 3);

    if (rarely(e, 20)) {
        offset += 256;
    }
    printf("map %u %llx from %llx+%llx %u = %s\n", c,
           (unsigned long long)iova, (unsigned long long)offset,
           (unsigned long long)size, flags,
           result_name(do_map(e->containers[c], iova, e->memory + offset,
                              size, flags)));
}

static void step_unmap(Episode *e, unsigned c)
{
    uint64_t size = UNIT << below(e, 10);
    const unsigned slot = below(e, 2);
    uint64_t iova = slot ? START64 : 0;

    if (rarely(e, 6) && e->windows[c][slot].size) {
        size = e->windows[c][slot].size;
    } else {
        iova = choose_iova(e, c, size + MIB);
    }
    printf("unmap %u %llx+%llx = %s\n", c, (unsigned long long)iova,
           (unsigned long long)size,
           result_name(do_unmap(e->containers[c], iova, size)));
}

static void step_group(Episode *e, unsigned c)
{
    const unsigned group = below(e, host.count > 1 ? 2 : 1);
    const bool on = rarely(e, 2);
    long ret;

    ret = on ? do_attach(e->groups[group], e->containers[c]) :
               call(e->groups[group], VFIO_GROUP_UNSET_CONTAINER, NULL);
    printf("%s %u %u = %s\n", on ? "attach" : "unset", group, c,
           result_name(ret));
    for (unsigned i = 0; i < 2; i++) {
        ret = call(e->containers[i], VFIO_SET_IOMMU,
                   (void *)VFIO_SPAPR_TCE_v2_IOMMU);
        printf("set v2 %u = %s\n", i, result_name(ret));
        if (!ret) {
            memset(e->windows[i], 0, sizeof(e->windows[i]));
        }
    }
}

static void step(Episode *e)
{
    const unsigned c = rarely(e, 4);
    const unsigned which = below(e, 100);

    if (which < 25) {
        step_register(e, c);
    } else if (which < 34) {
        step_create(e, c);
    } else if (which < 37) {
        step_remove(e, c);
    } else if (which < 78) {
        step_map(e, c);
    } else if (which < 99) {
        step_unmap(e, c);
    } else {
        step_group(e, c);
    }
}

static void run_episode(uint64_t seed, unsigned steps)
{
    Episode e = { .random = seed };

    printf("episode %llu\n", (unsigned long long)seed);
    e.memory = make_memory(MEMORY);
    for (unsigned i = 0; i < 2; i++) {
        e.containers[i] = open_container();
        e.groups[i] = i < host.count ? open_group(i) : -1;
        do_attach(e.groups[i], e.containers[i]);
        call(e.containers[i], VFIO_SET_IOMMU,
             (void *)VFIO_SPAPR_TCE_v2_IOMMU);
        /* the default window is large as these go */
        if (!rarely(&e, 4)) {
            do_remove(e.containers[i], 0);
        }
    }
    while (steps--) {
        step(&e);
    }
}

void random_sequence(uint64_t seed, unsigned long operations)
{
    int status;

    for (unsigned long done = 0; done < operations; done += EPISODE) {
        fflush(stdout);
        if (!fork()) {
            run_episode(seed * 1000003 + done / EPISODE, EPISODE);
            fflush(stdout);
            _exit(0);
        }
        wait(&status);
        if (status) {
            printf("not ok: ended with status 0x%x\n", status);
        }
    }
}
