/*
 * Locked memory and registered regions
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "ledger.h"
#include "prereg.h"
#include "quirk.h"
#include "user-memory.h"

Region *regions;

static uint64_t locked, peak;

long memlock_charge(uint64_t bytes)
{
    if (bytes > host.memlock || locked > host.memlock - bytes) {
        return -ENOMEM;
    }
    locked += bytes;
    peak = locked > peak ? locked : peak;
    return 0;
}

void memlock_return(uint64_t bytes)
{
    if (bytes > locked) {
        ledger_violation("%" PRIu64 " bytes of locked memory returned, only "
                         "%" PRIu64 " charged", bytes, locked);
        bytes = locked;
    }
    locked -= bytes;
}

uint64_t memlock_bytes(void)
{
    return locked;
}

uint64_t memlock_peak(void)
{
    return peak;
}

static Region *find_exact(uint64_t address, uint64_t size)
{
    Region *region = regions;

    while (region && (region->address != address || region->size != size)) {
        region = region->next;
    }
    return region;
}

Region *prereg_find(uint64_t address, uint64_t size)
{
    Region *region;

    for (region = regions; region; region = region->next) {
        if (region->address <= address && size <= region->size &&
            address - region->address <= region->size - size) {
            break;
        }
    }
    return region;
}

static bool overlaps(uint64_t address, uint64_t size)
{
    Region *region;

    for (region = regions; region; region = region->next) {
        if (region->address < address + size &&
            address < region->address + region->size) {
            return true;
        }
    }
    return false;
}

/* Pages are pinned first; that the region overlaps is noticed afterwards */
static long pin(uint64_t address, uint64_t size)
{
    const uint64_t reached = user_writable(address, size);
    const uint64_t pages = host_pages(reached);

    if (reached < size) {
        return pages && quirk(QUIRK_POSITIVE_REGISTER) ? (long)pages :
                                                         -EFAULT;
    }
    return overlaps(address, size) ? -EINVAL : 0;
}

static long new_region(uint64_t address, uint64_t size, Region **result)
{
    Region *region;
    long ret;

    if (!size) {
        return -ENOMEM;     /* there is no array of 0 pages */
    }
    ret = memlock_charge(size);
    if (ret) {
        return ret;
    }
    ret = pin(address, size);
    region = ret ? NULL : calloc(1, sizeof(*region));
    if (!region) {
        memlock_return(size);
        return ret ? ret : -ENOMEM;
    }
    region->address = address;
    region->size = size;
    region->page_shift = __builtin_ctzll(address | size | host.backing);
    region->next = regions;
    regions = region;
    ledger_add(COUNT_PINNED, host_pages(size));
    *result = region;
    return 0;
}

static void free_region(Region *region)
{
    Region **link = &regions;

    while (*link != region) {
        link = &(*link)->next;
    }
    *link = region->next;
    memlock_return(region->size);
    ledger_add(COUNT_UNPINNED, host_pages(region->size));
    free(region);
}

/* Drop one use; -EBUSY if it was the last and pages are mapped */
static long put_region(Region *region)
{
    if (--region->used) {
        return 0;
    }
    if (region->mapped) {
        region->used = 1;
        return -EBUSY;
    }
    free_region(region);
    return 0;
}

static Registration **find_registration(Container *container,
                                        const Region *region)
{
    Registration **link = &container->registrations;

    while (*link && (*link)->region != region) {
        link = &(*link)->next;
    }
    return link;
}

long prereg_register(Container *container, uint64_t address, uint64_t size)
{
    Registration *registration;
    Region *region = find_exact(address, size);
    long ret;

    if (region && *find_registration(container, region)) {
        return -EBUSY;
    }
    registration = calloc(1, sizeof(*registration));
    if (!registration) {
        return -ENOMEM;
    }
    if (!region) {
        ret = new_region(address, size, &region);
        if (ret) {
            free(registration);
            return ret;
        }
    }
    region->used++;
    registration->region = region;
    registration->next = container->registrations;
    container->registrations = registration;
    container->enabled = true;
    return 0;
}

/*
 * The driver looks the region up with a reference of its own, so what fails
 * with -EBUSY is the drop of that one, after the registration is gone.
 */
long prereg_unregister(Container *container, uint64_t address, uint64_t size)
{
    Region *region = find_exact(address, size);
    Registration **link, *registration;

    if (!region) {
        return -ENOENT;
    }
    link = find_registration(container, region);
    registration = *link;
    if (!registration) {
        return -ENOENT;
    }
    if (region->used == 1 && region->mapped) {
        ledger_violation("unregistered 0x%" PRIx64 "+0x%" PRIx64 " with %"
                         PRIu64 " TCEs still mapped", address, size,
                         region->mapped);
        if (!quirk(QUIRK_SILENT_UNREGISTER)) {
            return -EBUSY;
        }
    }
    *link = registration->next;
    free(registration);
    put_region(region);
    return 0;
}

void prereg_release(Container *container)
{
    Registration *registration;

    while ((registration = container->registrations)) {
        container->registrations = registration->next;
        put_region(registration->region);
        free(registration);
    }
}
