/*
 * Locked memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi.h"

/* Lock no more than @bytes; a program with CAP_IPC_LOCK has no limit */
static void limit(uint64_t bytes)
{
    struct __user_cap_header_struct header = {
        _LINUX_CAPABILITY_VERSION_3, 0
    };
    struct __user_cap_data_struct data[2];
    struct rlimit rlimit = { bytes, bytes };

    setrlimit(RLIMIT_MEMLOCK, &rlimit);
    if (!syscall(SYS_capget, &header, data)) {
        data[0].effective &= ~(1u << CAP_IPC_LOCK);
        syscall(SYS_capset, &header, data);
    }
}

static void registering(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    uint8_t *memory = make_memory(4 * MIB);
    const int fd = setup.container;

    limit(2 * MIB);
    check("more than the limit",
          do_register(fd, memory, 2 * MIB + host.page), -ENOMEM);
    check("the limit", do_register(fd, memory, 2 * MIB), 0);
    check("a page more",
          do_register(fd, memory + 2 * MIB, host.page), -ENOMEM);
    check("give it back", do_unregister(fd, memory, 2 * MIB), 0);
    check("now that page",
          do_register(fd, memory + 2 * MIB, host.page), 0);
    check("overlap, seen after the charge",
          do_register(fd, memory + MIB, MIB + host.page), -EINVAL);
    check("which was given back",
          do_register(fd, memory, 2 * MIB - host.page), 0);
}

/* A table of 2^18 entries on one level, and its mirror */
#define TABLE (2 * 8 * 256 * KIB)

static void tables(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    const int fd = setup.container;

    do_remove(fd, 0);
    limit(TABLE - host.page);
    check("a page too little", do_create(fd, 12, GIB, 1, NULL), -ENOMEM);
    limit(TABLE);
    check("the limit", do_create(fd, 12, GIB, 1, NULL), 0);
    check("a small one", do_create(fd, 16, GIB, 1, NULL), -ENOMEM);
    check("remove", do_remove(fd, 0), 0);
    check("create again", do_create(fd, 12, GIB, 1, NULL), 0);
    check("remove again", do_remove(fd, 0), 0);
}

static void leak(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    const int fd = setup.container;

    do_remove(fd, 0);
    limit(64 * MIB);
    check("a window that cannot be", do_create(fd, 16, 1ull << 36, 5, NULL),
          (13 * 5 + 16 >= 55 && host.page == 64 * KIB) ? -EINVAL :
          (9 * 5 + 16 >= 55) ? -EINVAL : 0);
    limit(TABLE);
    check("it keeps its charge", do_create(fd, 12, GIB, 1, NULL), -ENOMEM);
}

static void default_window(void)
{
    Setup setup = set_up(1, VFIO_SPAPR_TCE_v2_IOMMU);
    uint8_t *memory = make_memory(MIB);
    const int fd = setup.container;

    limit(MIB);
    check("register", do_register(fd, memory, MIB), 0);
    check("no room for the default window", do_map(fd, 0, memory, host.page,
                                                   3), -ENOMEM);
    check("nor here", do_create(fd, 16, GIB, 1, NULL), -ENOMEM);
    check("give up on it", do_remove(fd, 0), 0);
    check("no window at all", do_map(fd, 0, memory, host.page, 3), -ENXIO);
}

void limit_cases(void)
{
    run_case("limit: memory", registering);
    run_case("limit: tables", tables);
    run_case("limit: leak", leak);
    run_case("limit: default window", default_window);
}
