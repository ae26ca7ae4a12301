/*
 * The sPAPR TCE driver of a container
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/vfio.h>
#include <string.h>
#include <unistd.h>

#include "driver.h"
#include "fault.h"
#include "ioctl-table.h"
#include "ledger.h"
#include "prereg.h"
#include "quirk.h"
#include "tce-table.h"
#include "user-memory.h"

#define MAX_LEVELS 5
#define MAX_TABLE_SHIFT 55      /* bus address bits of the bridge */

static uint64_t page_mask(unsigned page_shift)
{
    return (1ull << page_shift) - 1;
}

static long round_to_host_pages(uint64_t bytes)
{
    return bytes & ~page_mask(host.page_shift);
}

static long spapr_check_extension(uint64_t extension)
{
    return extension == VFIO_SPAPR_TCE_IOMMU ||
           extension == VFIO_SPAPR_TCE_v2_IOMMU ||
           (extension == VFIO_EEH && host.eeh);
}

/* ---- mappings ---- */

/* Version 1 pins page by page and has no regions to count in */
static void drop_mapping(void *opaque, const TceTable *table, const Tce *tce)
{
    const Container *container = opaque;
    Region *region;

    ledger_add(COUNT_UNMAPPED, 1);
    if (container->driver == DRIVER_SPAPR_V1) {
        ledger_add(COUNT_UNPINNED, 1);
        return;
    }
    region = prereg_find(tce->user, 1ull << table->page_shift);
    if (!region || !region->mapped) {
        ledger_violation("TCE of 0x%" PRIx64 " outlived its registration",
                         tce->user);
        return;
    }
    region->mapped--;
}

static void clear_table(Container *container, TceTable *table,
                        uint64_t index, uint64_t count)
{
    tce_table_clear(table, index, count, drop_mapping, container);
}

static TceTable *find_table(Container *container, uint64_t bus)
{
    for (int i = 0; i < MAX_WINDOWS; i++) {
        TceTable *table = container->tables[i];

        if (table && bus >= table->start &&
            (bus - table->start) >> table->page_shift < table->entries) {
            return table;
        }
    }
    return NULL;
}

/* ---- windows ---- */

static long set_window(Group *group, int number, TceTable *table)
{
    long result;

    if (fault_check("set_window", group->container ? group->container->id : 0,
                    CALL_FALLIBLE, &result)) {
        return result;
    }
    if ((host.flavour == FLAVOUR_LPAR || quirk(QUIRK_OWN_TABLE)) &&
        table->owner != group) {
        return -EPERM;
    }
    group->tables[number] = table;
    return 0;
}

/* 0: such a table cannot be */
static uint64_t table_bytes(unsigned page_shift, uint64_t window_size,
                            unsigned levels)
{
    const unsigned window_shift = 63 - __builtin_clzll(window_size | 1);

    if (host.flavour == FLAVOUR_LPAR) {
        return levels > 1 ? UINT32_MAX : window_size >> page_shift << 3;
    }
    if (!levels || levels > MAX_LEVELS || !window_size ||
        (window_size & (window_size - 1)) || window_shift < page_shift) {
        return 0;
    }
    return tce_table_bytes(host.page_shift, page_shift, window_shift, levels);
}

static bool has_upper_window(const Group *group)
{
    for (int i = 0; i < MAX_WINDOWS; i++) {
        if (group->tables[i] && group->tables[i]->start == host.start64) {
            return true;
        }
    }
    return false;
}

/*
 * Where a window of number @number starts, or why it cannot be.  A partition
 * asks its firmware for all but the default window, which keeps a place even
 * if it is not in use, so that there is one other at most.  Once it refuses,
 * the kernel never asks again for that group.
 */
static long place_window(Group *group, int number, unsigned page_shift,
                         uint64_t window_size, uint64_t *start)
{
    const bool default_window = !number && page_shift == 12 &&
                                window_size <= group->dma32_size;

    if (host.flavour != FLAVOUR_LPAR) {
        *start = number ? host.start64 : host.dma32_start;
        return 0;
    }
    if (window_size & (window_size - 1)) {
        return -EINVAL;
    }
    if (!number && has_upper_window(group)) {
        return -EPERM;
    }
    group->windows_failed |= !default_window && has_upper_window(group);
    *start = default_window ? host.dma32_start : host.start64;
    return group->windows_failed ? -ENODEV : 0;
}

/* The checks that are made after locked memory was charged */
static long build_table(Group *group, int number, unsigned page_shift,
                        uint64_t window_size, unsigned levels,
                        TceTable **result)
{
    const unsigned window_shift = 63 - __builtin_clzll(window_size | 1);
    const uint64_t least = 1ull << (host.page_shift - 3);
    uint64_t entries, start;
    unsigned bits;
    long ret;

    if (levels > host.levels) {
        return -EINVAL;
    }
    ret = place_window(group, number, page_shift, window_size, &start);
    if (ret) {
        return ret;
    }
    levels = levels ? levels : 1;
    bits = tce_table_level_bits(host.page_shift, page_shift, window_shift,
                                levels);
    if (bits * levels + page_shift >= MAX_TABLE_SHIFT &&
        host.flavour != FLAVOUR_LPAR) {
        return -EINVAL;
    }
    if (8ull << bits > host.contiguous && host.flavour != FLAVOUR_LPAR) {
        return -ENOMEM;
    }
    entries = window_size >> page_shift;
    if (entries < least && host.flavour != FLAVOUR_LPAR) {
        entries = least;        /* a small window is larger than asked for */
    }
    *result = tce_table_new(start, page_shift, entries, levels, bits);
    return *result ? 0 : -ENOMEM;
}

static long create_table(Group *group, int number, unsigned page_shift,
                         uint64_t window_size, unsigned levels,
                         TceTable **result)
{
    uint64_t bytes = table_bytes(page_shift, window_size, levels);
    long ret;

    if (!bytes) {
        return -EINVAL;
    }
    bytes = round_to_host_pages(bytes);
    ret = memlock_charge(bytes);
    if (ret) {
        return ret;
    }
    if (!fault_check("create_table", 0, CALL_FALLIBLE, &ret)) {
        ret = build_table(group, number, page_shift, window_size, levels,
                          result);
    }
    if (ret) {
        if (!quirk(QUIRK_CREATE_LEAK)) {
            memlock_return(bytes);
        }
        return ret;
    }
    (*result)->charged = bytes;
    (*result)->owner = group;
    return 0;
}

static void free_table(TceTable *table)
{
    memlock_return(table->charged);
    tce_table_free(table);
}

static long create_window(Container *container, unsigned page_shift,
                          uint64_t window_size, unsigned levels,
                          uint64_t *start)
{
    Group *first = container->groups, *group;
    TceTable *table = NULL;
    int number = 0;
    long ret;

    while (number < MAX_WINDOWS && container->tables[number]) {
        number++;
    }
    if (number == MAX_WINDOWS) {
        return -ENOSPC;
    }
    if (page_shift > 63 || !(first->page_sizes >> page_shift & 1)) {
        return -EINVAL;
    }
    ret = create_table(first, number, page_shift, window_size, levels,
                       &table);
    if (ret) {
        return ret;
    }
    for (group = first; group; group = group->next_in_container) {
        ret = set_window(group, number, table);
        if (ret) {
            for (first = container->groups; first != group;
                 first = first->next_in_container) {
                first->tables[number] = NULL;
            }
            free_table(table);
            return ret;
        }
    }
    container->tables[number] = table;
    *start = table->start;
    return 0;
}

static long make_default_window(Container *container)
{
    uint64_t start;
    long ret;

    if (!container->default_pending) {
        return 0;
    }
    if (!container->groups) {
        return -ENODEV;
    }
    ret = create_window(container, 12, container->groups->dma32_size, 1,
                        &start);
    container->default_pending = ret != 0;
    return ret;
}

static void remove_table(Container *container, int number)
{
    TceTable *table = container->tables[number];
    Group *group;

    for (group = container->groups; group; group = group->next_in_container) {
        group->tables[number] = NULL;
    }
    clear_table(container, table, 0, table->entries);
    container->tables[number] = NULL;
    free_table(table);
}

/* ---- groups ---- */

static void leave_windows(Group *group)
{
    memset(group->tables, 0, sizeof(group->tables));
}

static long spapr_attach(Container *container, Group *group)
{
    long ret;

    if (container->driver == DRIVER_SPAPR_V2 && !group->windows) {
        return quirk(QUIRK_V2_EPERM) ? -EPERM : -EINVAL;
    }
    if (container->driver == DRIVER_SPAPR_V1 && container->groups) {
        return -EBUSY;
    }
    for (int i = 0; i < MAX_WINDOWS; i++) {
        if (!container->tables[i]) {
            continue;
        }
        ret = set_window(group, i, container->tables[i]);
        if (ret) {
            leave_windows(group);
            return ret;
        }
    }
    if (!container->groups && !container->tables[0]) {
        container->default_pending = true;
    }
    return 0;
}

static void spapr_detach(Container *container, Group *group)
{
    for (int i = 0; quirk(QUIRK_DETACH_CLEARS) && i < MAX_WINDOWS; i++) {
        if (container->tables[i]) {
            clear_table(container, container->tables[i], 0,
                        container->tables[i]->entries);
        }
    }
    leave_windows(group);
}

static void disable(Container *container)
{
    if (container->enabled && container->driver == DRIVER_SPAPR_V1) {
        memlock_return(container->enable_charge);
        container->enable_charge = 0;
        container->enabled = false;
    }
}

static void spapr_release(Container *container)
{
    for (int i = 0; i < MAX_WINDOWS; i++) {
        if (container->tables[i]) {
            remove_table(container, i);
        }
    }
    prereg_release(container);
    disable(container);
    container->enabled = false;
    container->default_pending = false;
    container->mm = 0;
}

/* ---- ioctls ---- */

long spapr_get_info(ModelFile *file, IoctlArgument *argument)
{
    Container *container = file->object;
    struct vfio_iommu_spapr_tce_info *info = (void *)argument->copy.bytes;
    const Group *group = container->groups;
    const bool windows = group->windows &&
                         container->driver == DRIVER_SPAPR_V2;

    info->flags = 0;
    info->dma32_window_start = host.dma32_start;
    info->dma32_window_size = group->dma32_size;
    if (quirk(QUIRK_SHORT_INFO)) {
        return 0;
    }
    info->flags |= windows ? VFIO_IOMMU_SPAPR_INFO_DDW : 0;
    if (info->argsz < sizeof(*info)) {
        return 0;
    }
    memset(&info->ddw, 0, sizeof(info->ddw));
    if (windows) {
        info->ddw.pgsizes = group->page_sizes;
        info->ddw.max_dynamic_windows_supported = group->windows;
        info->ddw.levels = host.levels;
    }
    argument->size = sizeof(*info);
    return 0;
}

long spapr_register(ModelFile *file, IoctlArgument *argument)
{
    struct vfio_iommu_spapr_register_memory *memory =
        (void *)argument->copy.bytes;
    const uint64_t mask = page_mask(host.page_shift);

    if (memory->flags || memory->vaddr & mask || memory->size & mask ||
        memory->vaddr + memory->size < memory->vaddr) {
        return -EINVAL;
    }
    return prereg_register(file->object, memory->vaddr, memory->size);
}

long spapr_unregister(ModelFile *file, IoctlArgument *argument)
{
    struct vfio_iommu_spapr_register_memory *memory =
        (void *)argument->copy.bytes;
    const uint64_t mask = page_mask(host.page_shift);
    Container *container = file->object;

    if (memory->flags || memory->vaddr & mask || memory->size & mask) {
        return -EINVAL;
    }
    return prereg_unregister(container, memory->vaddr, memory->size);
}

long spapr_create(ModelFile *file, IoctlArgument *argument)
{
    struct vfio_iommu_spapr_tce_create *create =
        (void *)argument->copy.bytes;
    Container *container = file->object;
    uint64_t start;
    long ret;

    if (create->flags) {
        return -EINVAL;
    }
    ret = make_default_window(container);
    if (!ret) {
        ret = create_window(container, create->page_shift,
                            create->window_size, create->levels, &start);
    }
    if (!ret) {
        create->start_addr = start;
    }
    return ret;
}

long spapr_remove(ModelFile *file, IoctlArgument *argument)
{
    struct vfio_iommu_spapr_tce_remove *remove =
        (void *)argument->copy.bytes;
    Container *container = file->object;
    TceTable *table;

    if (remove->flags) {
        return -EINVAL;
    }
    if (container->default_pending && !remove->start_addr) {
        container->default_pending = false;
        return 0;
    }
    table = find_table(container, remove->start_addr);
    if (!table) {
        return -EINVAL;
    }
    if (table->start != remove->start_addr) {
        ledger_violation("window at 0x%" PRIx64 " removed by address 0x%"
                         PRIx64, table->start, (uint64_t)remove->start_addr);
    }
    remove_table(container, table == container->tables[1]);
    return 0;
}

long spapr_enable(ModelFile *file, IoctlArgument *argument)
{
    Container *container = file->object;
    uint64_t bytes;
    long ret;

    if (container->enabled) {
        return -EBUSY;
    }
    if (!container->groups) {
        return -ENODEV;
    }
    bytes = round_to_host_pages(container->groups->dma32_size);
    if (!bytes) {
        return -EPERM;
    }
    ret = memlock_charge(bytes);
    if (!ret) {
        container->mm = getpid();
        container->enable_charge = bytes;
        container->enabled = true;
    }
    return ret;
}

long spapr_disable(ModelFile *file, IoctlArgument *argument)
{
    disable(file->object);
    return 0;
}

/* Where a MAP or UNMAP goes: the table, or the error that comes first */
static long locate(Container *container, uint64_t iova, TceTable **table)
{
    const long ret = make_default_window(container);

    if (ret) {
        return ret;
    }
    *table = find_table(container, iova);
    return *table ? 0 : -ENXIO;
}

/* A misplaced iova: the driver returns a truth value as if it were a code */
static long misplaced(void)
{
    return quirk(QUIRK_PLUS_ONE) ? 1 : -EINVAL;
}

/* Pin the page at @user for @table: 0, or what pinning it says */
static long take_page(Container *container, const TceTable *table,
                      uint64_t user)
{
    const uint64_t size = 1ull << table->page_shift;
    Region *region;

    if (container->driver == DRIVER_SPAPR_V1) {
        if (user_writable(user, 1) != 1) {
            return -EFAULT;
        }
        if (size > host.backing) {
            return -EPERM;
        }
        ledger_add(COUNT_PINNED, 1);
        return 0;
    }
    region = prereg_find(user, size);
    if (!region || region->page_shift < table->page_shift) {
        return -EINVAL;
    }
    region->mapped++;
    return 0;
}

static long map_page(Container *container, TceTable *table, uint64_t index,
                     uint64_t user, unsigned permission)
{
    long ret;
    Tce *tce;

    ret = take_page(container, table, user);
    if (ret) {
        return ret;
    }
    if (fault_check("map_page", container->id, CALL_OTHER, &ret)) {
        tce = NULL;
    } else {
        ret = -ENOMEM;
        tce = tce_table_make(table, index);
    }
    if (!tce) {
        const Tce taken = { permission, user };

        drop_mapping(container, table, &taken);
        return ret;
    }
    if (tce->hardware) {
        drop_mapping(container, table, tce);
    } else {
        table->live++;
    }
    tce->hardware = user | permission;
    tce->user = user;
    ledger_add(COUNT_MAPPED, 1);
    return 0;
}

/* The driver looks at the first page only; keep the harm down */
static uint64_t inside(const TceTable *table, const char *call,
                       uint64_t index, uint64_t count)
{
    if (count <= table->entries - index) {
        return count;
    }
    ledger_violation("%s of %" PRIu64 " TCEs at %" PRIu64 " of %" PRIu64
                     ": beyond the table", call, count, index,
                     table->entries);
    return table->entries - index;
}

/*
 * On POWER8 the kernel tells the bridge of entries @index to @index + @count
 * - 1 by a store each, also if @count is 0.  Before entry 0 comes entry 2^64
 * - 1: the call never returns.  Here it does, and is put on record.
 */
static void tell_bridge(const TceTable *table, const char *call,
                        uint64_t index, uint64_t count)
{
    if (quirk(QUIRK_ENDLESS_KILL) && !table->start && !index && !count) {
        ledger_violation("%s that changed nothing from bus address 0 on: it "
                         "does not return", call);
    }
}

static long map_pages(Container *container, TceTable *table, uint64_t index,
                      uint64_t count, uint64_t user, unsigned permission)
{
    long ret = 0;
    uint64_t i;

    count = inside(table, "MAP", index, count);
    for (i = 0; i < count && !ret; i++) {
        ret = map_page(container, table, index + i, user, permission);
        user += 1ull << table->page_shift;
    }
    if (ret) {
        count = i - 1;
        clear_table(container, table, index, count);
    }
    tell_bridge(table, "MAP", index, count);
    return ret;
}

long spapr_map(ModelFile *file, IoctlArgument *argument)
{
    struct vfio_iommu_type1_dma_map *map = (void *)argument->copy.bytes;
    const uint32_t flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
    Container *container = file->object;
    TceTable *table;
    uint64_t mask;
    long ret;

    if (map->flags & ~flags) {
        return -EINVAL;
    }
    ret = locate(container, map->iova, &table);
    if (ret) {
        return ret;
    }
    mask = page_mask(table->page_shift);
    if (map->size & mask || map->vaddr & mask || !(map->flags & flags)) {
        return -EINVAL;
    }
    if (map->iova & mask) {
        return misplaced();
    }
    return map_pages(container, table,
                     (map->iova - table->start) >> table->page_shift,
                     map->size >> table->page_shift, map->vaddr,
                     map->flags & flags);
}

long spapr_unmap(ModelFile *file, IoctlArgument *argument)
{
    struct vfio_iommu_type1_dma_unmap *unmap = (void *)argument->copy.bytes;
    Container *container = file->object;
    uint64_t mask, index, count;
    TceTable *table;
    long ret;

    if (unmap->flags) {
        return -EINVAL;
    }
    ret = locate(container, unmap->iova, &table);
    if (ret) {
        return ret;
    }
    mask = page_mask(table->page_shift);
    if (unmap->size & mask) {
        return -EINVAL;
    }
    index = (unmap->iova - table->start) >> table->page_shift;
    count = unmap->size >> table->page_shift;
    if (unmap->iova & mask) {
        return misplaced();
    }
    count = inside(table, "UNMAP", index, count);
    clear_table(container, table, index, count);
    tell_bridge(table, "UNMAP", index, count);
    return 0;
}

static bool spapr_translate(const Group *group, uint64_t bus, bool write,
                            uint64_t *length, uint64_t *user)
{
    for (int i = 0; i < MAX_WINDOWS; i++) {
        const TceTable *table = group->tables[i];
        uint64_t offset, left;
        const Tce *tce;

        if (!table || bus < table->start ||
            (bus - table->start) >> table->page_shift >= table->entries) {
            continue;
        }
        tce = tce_table_find(table, (bus - table->start) >>
                                    table->page_shift);
        if (!tce || !(tce->hardware & (write ? TCE_WRITE : TCE_READ))) {
            return false;
        }
        offset = bus & page_mask(table->page_shift);
        left = (1ull << table->page_shift) - offset;
        *length = *length < left ? *length : left;
        *user = (tce->hardware & ~page_mask(table->page_shift)) + offset;
        return true;
    }
    return false;
}

const IommuDriver spapr_driver = {
    .check_extension = spapr_check_extension,
    .attach = spapr_attach,
    .detach = spapr_detach,
    .release = spapr_release,
    .translate = spapr_translate,
};
