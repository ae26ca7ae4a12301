/*
 * The type1 driver of a container
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <linux/vfio.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"
#include "fault.h"
#include "frames.h"
#include "ioctl-table.h"
#include "ledger.h"
#include "prereg.h"
#include "type1.h"
#include "user-memory.h"

#ifndef VFIO_UNMAP_ALL
#define VFIO_UNMAP_ALL 9
#define VFIO_DMA_UNMAP_FLAG_ALL (1 << 1)
#endif

#define ADDRESS_BITS 48         /* of the IOMMU */

static long type1_check_extension(uint64_t extension)
{
    return extension == VFIO_TYPE1_IOMMU ||
           extension == VFIO_TYPE1v2_IOMMU || extension == VFIO_UNMAP_ALL;
}

static long type1_attach(Container *container, Group *group)
{
    if (!container->type1) {
        container->type1 = calloc(1, sizeof(*container->type1));
    }
    return container->type1 ? 0 : -ENOMEM;
}

static void type1_detach(Container *container, Group *group)
{
}

unsigned type1_mappings(const Container *container)
{
    return container->type1 ? container->type1->count : 0;
}

/* The first mapping that ends above @iova */
static unsigned find(const Type1 *type1, uint64_t iova)
{
    unsigned low = 0, high = type1->count;

    while (low < high) {
        const unsigned middle = (low + high) / 2;
        const Mapping *m = type1->mappings + middle;

        if (m->iova + (m->size - 1) < iova) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

MappingRange type1_range(const Type1 *type1, uint64_t iova, uint64_t end)
{
    MappingRange range = { .first = find(type1, iova) };

    range.last = range.first;
    while (range.last < type1->count &&
           type1->mappings[range.last].iova <= end) {
        range.last++;
    }
    return range;
}

bool type1_cuts(const Type1 *type1, MappingRange range, uint64_t iova,
                uint64_t end)
{
    const Mapping *m = type1->mappings;

    return range.first < range.last &&
           (m[range.first].iova < iova || m[range.last - 1].iova +
            (m[range.last - 1].size - 1) > end);
}

/* ---- the IOMMU: only how many pieces a mapping takes ---- */

static uint64_t piece_size(uint64_t iova, uint64_t physical, uint64_t size)
{
    uint64_t sizes = host.iommu_pages;
    uint64_t largest = 1ull << (63 - __builtin_clzll(size));

    sizes &= largest | (largest - 1);
    if (iova | physical) {
        largest = (iova | physical) & -(iova | physical);
        sizes &= largest | (largest - 1);
    }
    return sizes ? 1ull << (63 - __builtin_clzll(sizes)) :
                   1ull << host.page_shift;
}

/* Pieces of one run that is contiguous everywhere */
static uint64_t count_pieces(uint64_t iova, uint64_t physical, uint64_t size)
{
    uint64_t count = 0, piece;

    for (; size; size -= piece) {
        piece = piece_size(iova, physical, size);
        iova += piece;
        physical += piece;
        count++;
    }
    return count;
}

/* Length of the physically contiguous run at @user, at most @size */
static uint64_t run_length(uint64_t user, uint64_t size)
{
    const uint64_t page = 1ull << host.page_shift;
    const uint64_t physical = frame_address(user);
    uint64_t length = page;

    while (length < size &&
           frame_address(user + length) == physical + length) {
        length += page;
    }
    return length;
}

static uint64_t iommu_unmap(uint64_t iova, uint64_t user, uint64_t size)
{
    uint64_t pieces = 0, run;

    for (; size; size -= run) {
        run = run_length(user, size);
        pieces += count_pieces(iova, frame_address(user), run);
        iova += run;
        user += run;
    }
    ledger_add(COUNT_IOMMU_UNMAPS, pieces);
    return pieces;
}

/* ---- mapping ---- */

/* Charge and pin page by page; all or nothing for this run */
static long pin_run(uint64_t user, uint64_t size)
{
    const uint64_t page = 1ull << host.page_shift;
    uint64_t done;
    long ret = 0;

    for (done = 0; done < size && !ret; done += page) {
        if (!fault_check("pin", 0, CALL_OTHER, &ret)) {
            ret = memlock_charge(page);
        }
    }
    if (ret) {
        memlock_return(done - page);
        return ret;
    }
    ledger_add(COUNT_PINNED, host_pages(size));
    return 0;
}

static void unpin(uint64_t size)
{
    memlock_return(size);
    ledger_add(COUNT_UNPINNED, host_pages(size));
}

static long pin_and_map(const Mapping *m)
{
    const uint64_t page = 1ull << host.page_shift;
    const uint64_t there = m->flags & VFIO_DMA_MAP_FLAG_WRITE ?
                           user_writable(m->user, m->size) : m->size;
    uint64_t done = 0, run;
    long ret = 0;

    while (done < m->size && !ret) {
        if (there < done + page) {
            ret = -EFAULT;
            break;
        }
        run = run_length(m->user + done,
                         (m->size < there ? m->size : there) - done);
        run &= -page;
        ret = pin_run(m->user + done, run);
        if (!ret && fault_check("iommu_map", 0, CALL_OTHER, &ret)) {
            unpin(run);
        }
        if (!ret) {
            ledger_add(COUNT_IOMMU_MAPS,
                       count_pieces(m->iova + done,
                                    frame_address(m->user + done), run));
            done += run;
        }
    }
    if (ret && done) {
        iommu_unmap(m->iova, m->user, done);
        unpin(done);
    }
    return ret;
}

static long pin_and_track(const Type1 *type1, const Mapping *m)
{
    long ret = pin_and_map(m);

    if (!ret && type1->tracking) {
        ret = type1_dirty_allocate(m->size);
        if (ret) {
            iommu_unmap(m->iova, m->user, m->size);
            unpin(m->size);
        }
    }
    return ret;
}

static bool grow(Type1 *type1)
{
    unsigned room = type1->room ? type1->room * 2 : 64;
    Mapping *mappings;

    if (type1->count < type1->room) {
        return true;
    }
    mappings = realloc(type1->mappings, room * sizeof(*mappings));
    if (mappings) {
        type1->mappings = mappings;
        type1->room = room;
    }
    return mappings;
}

static long check_map(const struct vfio_iommu_type1_dma_map *map)
{
    const uint32_t flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
    const uint64_t mask = (1ull << host.page_shift) - 1;

    if (map->flags & ~flags || !(map->flags & flags) || !map->size ||
        (map->size | map->iova | map->vaddr) & mask) {
        return -EINVAL;
    }
    if (map->iova + map->size - 1 < map->iova ||
        map->vaddr + map->size - 1 < map->vaddr) {
        return -EOVERFLOW;
    }
    return 0;
}

long type1_map(ModelFile *file, IoctlArgument *argument)
{
    const struct vfio_iommu_type1_dma_map *map =
        (void *)argument->copy.bytes;
    Type1 *type1 = ((Container *)file->object)->type1;
    const Mapping m = { map->iova, map->size, map->vaddr, map->flags };
    unsigned place;
    long ret = check_map(map);

    if (ret) {
        return ret;
    }
    place = find(type1, m.iova);
    if (place < type1->count &&
        type1->mappings[place].iova <= m.iova + m.size - 1) {
        return -EEXIST;
    }
    if (type1->count >= host.dma_entries) {
        return -ENOSPC;
    }
    if ((m.iova + m.size - 1) >> ADDRESS_BITS) {
        return -EINVAL;
    }
    if (!grow(type1)) {
        return -ENOMEM;
    }
    ret = pin_and_track(type1, &m);
    if (ret) {
        return ret;
    }
    memmove(type1->mappings + place + 1, type1->mappings + place,
            (type1->count - place) * sizeof(m));
    type1->mappings[place] = m;
    type1->count++;
    ledger_add(COUNT_MAPPED, 1);
    return 0;
}

/* Unmap mappings @first to @last - 1: the bytes that were mapped */
static uint64_t remove_mappings(Type1 *type1, unsigned first, unsigned last)
{
    uint64_t bytes = 0;

    if (first == last) {
        return 0;           /* there may be no array yet */
    }
    for (unsigned i = first; i < last; i++) {
        const Mapping *m = type1->mappings + i;

        iommu_unmap(m->iova, m->user, m->size);
        unpin(m->size);
        bytes += m->size;
    }
    ledger_add(COUNT_UNMAPPED, last - first);
    memmove(type1->mappings + first, type1->mappings + last,
            (type1->count - last) * sizeof(*type1->mappings));
    type1->count -= last - first;
    return bytes;
}

static void type1_release(Container *container)
{
    if (container->type1) {
        remove_mappings(container->type1, 0, container->type1->count);
        free(container->type1->mappings);
        free(container->type1);
        container->type1 = NULL;
    }
}

static bool good_flags(uint32_t flags)
{
    const uint32_t bitmap = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
    const uint32_t all = VFIO_DMA_UNMAP_FLAG_ALL;

    return !(flags & ~(bitmap | all)) && flags != (bitmap | all);
}

static bool good_range(const struct vfio_iommu_type1_dma_unmap *unmap)
{
    const uint64_t mask = (1ull << host.page_shift) - 1;
    const uint64_t end = unmap->iova + unmap->size - 1;

    return unmap->flags & VFIO_DMA_UNMAP_FLAG_ALL ?
           !unmap->iova && !unmap->size :
           unmap->size && end >= unmap->iova &&
           !((unmap->size | unmap->iova) & mask);
}

/* The description of the bitmap, which follows the argument */
static long read_bitmap(const Type1 *type1, const IoctlArgument *argument,
                        struct vfio_bitmap *bitmap)
{
    const struct vfio_iommu_type1_dma_unmap *unmap =
        (void *)argument->copy.bytes;

    if (unmap->argsz < sizeof(*unmap) + sizeof(*bitmap)) {
        return -EINVAL;
    }
    if (user_read(bitmap, argument->address + sizeof(*unmap),
                  sizeof(*bitmap))) {
        return -EFAULT;
    }
    return type1_dirty_bitmap(type1, bitmap, unmap->size) ? 0 : -EINVAL;
}

/* What an UNMAP in a good range takes; false: it must not */
static bool choose(const Container *container,
                   const struct vfio_iommu_type1_dma_unmap *unmap,
                   MappingRange *range)
{
    const Type1 *type1 = container->type1;
    const uint64_t end = unmap->iova + unmap->size - 1;

    if (unmap->flags & VFIO_DMA_UNMAP_FLAG_ALL) {
        *range = (MappingRange) { 0, type1->count };
        return true;
    }
    *range = type1_range(type1, unmap->iova, end);
    if (container->driver == DRIVER_TYPE1_V2) {
        return !type1_cuts(type1, *range, unmap->iova, end);
    }
    if (range->first < range->last &&
        type1->mappings[range->first].iova < unmap->iova) {
        range->last = range->first;     /* version 1 stops at such a one */
    }
    return true;
}

long type1_unmap(ModelFile *file, IoctlArgument *argument)
{
    struct vfio_iommu_type1_dma_unmap *unmap = (void *)argument->copy.bytes;
    Container *container = file->object;
    const bool report = unmap->flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
    struct vfio_bitmap bitmap;
    MappingRange range;
    unsigned last;
    long ret = good_flags(unmap->flags) ? 0 : -EINVAL;

    if (!ret && report) {
        ret = read_bitmap(container->type1, argument, &bitmap);
    }
    if (ret) {
        return ret;
    }
    if (!good_range(unmap) || !choose(container, unmap, &range)) {
        return -EINVAL;
    }
    last = report ? type1_dirty_report(container->type1, range, unmap->iova,
                                       &bitmap) : range.last;
    /* what was reported goes, even if the next one cannot be */
    unmap->size = remove_mappings(container->type1, range.first, last);
    return last == range.last ? 0 : -EFAULT;
}

/* The information and its chain of capabilities, as one piece */
typedef struct {
    struct vfio_iommu_type1_info info;
    struct vfio_iommu_type1_info_cap_migration migration;
    struct {
        struct vfio_info_cap_header header;
        uint32_t available;
    } entries;
    struct {
        struct vfio_info_cap_header header;
        uint32_t count, reserved;
        struct { uint64_t start, end; } ranges[2];
    } iova __attribute__((aligned(8)));
} Type1Info;

long type1_get_info(ModelFile *file, IoctlArgument *argument)
{
    const Type1 *type1 = ((Container *)file->object)->type1;
    struct vfio_iommu_type1_info *out = (void *)argument->copy.bytes;
    Type1Info full = {
        .info = {
            .argsz = out->argsz,
            .flags = VFIO_IOMMU_INFO_PGSIZES,
            .iova_pgsizes = host.iommu_pages,
        },
        .migration = {
            { VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, 1,
              offsetof(Type1Info, entries) },
            0, 1ull << host.page_shift, DIRTY_BITMAP_MAX
        },
        .entries = {
            { VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, 1, offsetof(Type1Info, iova) },
            host.dma_entries - type1->count
        },
        .iova = {
            { VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 1, 0 },
            2, 0,
            { { 0, 0xfedfffff }, { 0xfef00000, (1ull << ADDRESS_BITS) - 1 } }
        },
    };
    uint32_t size = sizeof(full.info);

    full.info.flags |= VFIO_IOMMU_INFO_CAPS;
    if (out->argsz >= sizeof(full)) {
        full.info.cap_offset = offsetof(Type1Info, migration);
        size = sizeof(full);
    } else {
        size = out->argsz < size ? argument->size : size;
        full.info.argsz = sizeof(full);
    }
    argument->size = 0;
    return user_write(argument->address, &full, size);
}

static bool type1_translate(const Group *group, uint64_t bus, bool write,
                            uint64_t *length, uint64_t *user)
{
    const Type1 *type1 = group->container->type1;
    const unsigned i = find(type1, bus);
    const Mapping *m = type1->mappings + i;
    uint64_t left;

    if (i == type1->count || m->iova > bus ||
        !(m->flags & (write ? VFIO_DMA_MAP_FLAG_WRITE :
                              VFIO_DMA_MAP_FLAG_READ))) {
        return false;
    }
    left = m->size - (bus - m->iova);
    *length = *length < left ? *length : left;
    *user = m->user + (bus - m->iova);
    return true;
}

const IommuDriver type1_driver = {
    .check_extension = type1_check_extension,
    .attach = type1_attach,
    .detach = type1_detach,
    .release = type1_release,
    .translate = type1_translate,
};
