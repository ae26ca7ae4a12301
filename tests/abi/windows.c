/*
 * Creating and removing windows
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>

#include "abi.h"

/* Where a new window starts: 0, 64 for 2^59, -errno, or 1 for elsewhere */
static long place(int container, unsigned page_shift, uint64_t size,
                  unsigned levels)
{
    uint64_t start;
    const long ret = do_create(container, page_shift, size, levels, &start);

    return ret ? ret : !start ? 0 : start == START64 ? 64 : 1;
}

static void slots(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    const int fd = setup.container;

    check("remove the pending default", do_remove(fd, 0), 0);
    check("nothing left at 0", do_remove(fd, 0), -EINVAL);
    check("first", place(fd, 16, GIB, 1), 0);
    check("second", place(fd, 16, GIB, 1), 64);
    check("third", place(fd, 16, GIB, 1), -ENOSPC);
    check("remove beyond the first", do_remove(fd, GIB), -EINVAL);
    check("remove beyond the second", do_remove(fd, START64 + GIB), -EINVAL);
    check("remove before the second", do_remove(fd, START64 - 1), -EINVAL);
    check("remove inside the first", do_remove(fd, GIB - 1), 0);
    check("its place is taken first", place(fd, 12, GIB, 1), 0);
    check("remove the second", do_remove(fd, START64), 0);
    check("remove it twice", do_remove(fd, START64), -EINVAL);
    check("remove the first", do_remove(fd, 0), 0);
    check("a large one lands at 0", place(fd, 16, 1ull << 36, 1), 0);
}

static void pending(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    const int fd = setup.container;

    check("create with the default pending", place(fd, 16, GIB, 1), 64);
    check("so both are used", place(fd, 16, GIB, 1), -ENOSPC);
    check("the default is real", do_remove(fd, 0), 0);
    check("and gone", do_remove(fd, 0), -EINVAL);
}

static void pending_and_failed(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    const int fd = setup.container;

    check("a failing create", place(fd, 16, GIB, 0), -EINVAL);
    check("has made the default", place(fd, 16, GIB, 1), 64);
}

static void arguments(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    const int fd = setup.container;
    struct vfio_iommu_spapr_tce_create create = {
        .page_shift = 16, .window_size = GIB, .levels = 1,
    };
    struct vfio_iommu_spapr_tce_remove remove = { 0 };

    check_arguments(fd, "CREATE", VFIO_IOMMU_SPAPR_TCE_CREATE, &create,
                    sizeof(create));
    check_arguments(fd, "REMOVE", VFIO_IOMMU_SPAPR_TCE_REMOVE, &remove,
                    sizeof(remove));
    check("none of them touched the default", do_remove(fd, 0), 0);
    check("page shift 0", place(fd, 0, GIB, 1), -EINVAL);
    check("page shift 11", place(fd, 11, GIB, 1), -EINVAL);
    check("page shift 13", place(fd, 13, GIB, 1), -EINVAL);
    check("page shift 63", place(fd, 63, GIB, 1), -EINVAL);
    check("0 levels", place(fd, 16, GIB, 0), -EINVAL);
    check("6 levels", place(fd, 16, GIB, 6), -EINVAL);
    check("size 3 GiB", place(fd, 16, 3 * GIB, 1), -EINVAL);
    check("size 1 GiB and a byte", place(fd, 16, GIB + 1, 1), -EINVAL);
    check("good at last", place(fd, 16, GIB, 1), 0);
}

/* Levels against sizes; what a bridge cannot address is refused */
static void levels(void)
{
    static const unsigned pages[] = { 12, 16, 21, 24, 28, 30 };
    static const unsigned windows[] = { 30, 33, 36, 39, 42 };
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    const int fd = setup.container;
    const unsigned host_shift = __builtin_ctzll(host.page);
    uint64_t start;
    unsigned bits;
    char what[80];
    long want;

    do_remove(fd, 0);
    for (unsigned i = 0; i < 30; i++) {
        const unsigned page = pages[i / 5], window = windows[i % 5];

        if (!(host.info.ddw.pgsizes >> page & 1) ||
            window - page > LARGEST_TABLE) {
            continue;
        }
        for (unsigned n = 1; n <= 5; n++) {
            bits = (window - page + n - 1) / n;
            bits = bits < host_shift - 3 ? host_shift - 3 : bits;
            want = bits * n + page >= 55 ? -EINVAL :
                   bits + 3 > 24 ? -ENOMEM : 0;
            snprintf(what, sizeof(what),
                     "page shift %u, window shift %u, %u levels", page,
                     window, n);
            start = 0;
            check(what, do_create(fd, page, 1ull << window, n, &start), want);
            do_remove(fd, start);
        }
    }
}

void window_cases(void)
{
    run_case("levels", levels);
    run_case("window arguments", arguments);
    /* In a partition, its kernel makes no more windows once one failed */
    if (host.info.ddw.levels > 1) {
        run_case("pending", pending);
        run_case("pending and failed", pending_and_failed);
        run_case("slots", slots);
    }
}
