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
#include "user-memory.h"

#ifndef VFIO_UNMAP_ALL
#define VFIO_UNMAP_ALL 9
#define VFIO_DMA_UNMAP_FLAG_ALL (1 << 1)
#endif

#define ADDRESS_BITS 48         /* of the IOMMU */

typedef struct {
    uint64_t iova, size, user;
    uint32_t flags;
} Mapping;

struct Type1 {
    Mapping *mappings;          /* ascending, without overlap */
    unsigned count, room;
};

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
        if (!fault_check("pin", 0, false, &ret)) {
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
        if (!ret && fault_check("iommu_map", 0, false, &ret)) {
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
    ret = pin_and_map(&m);
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

/* A range must not begin or end inside a mapping */
static bool cuts(const Type1 *type1, unsigned first, unsigned last,
                 uint64_t iova, uint64_t end)
{
    const Mapping *m = type1->mappings;

    return first < last && (m[first].iova < iova ||
           m[last - 1].iova + (m[last - 1].size - 1) > end);
}

long type1_unmap(ModelFile *file, IoctlArgument *argument)
{
    struct vfio_iommu_type1_dma_unmap *unmap = (void *)argument->copy.bytes;
    const Container *container = file->object;
    const bool v2 = container->driver == DRIVER_TYPE1_V2;
    Type1 *type1 = container->type1;
    const uint64_t mask = (1ull << host.page_shift) - 1;
    const uint64_t end = unmap->iova + unmap->size - 1;
    const bool all = unmap->flags & VFIO_DMA_UNMAP_FLAG_ALL;
    unsigned first, last;

    if (unmap->flags & ~VFIO_DMA_UNMAP_FLAG_ALL ||
        (unmap->size | unmap->iova) & mask) {
        return -EINVAL;
    }
    if (all ? unmap->iova || unmap->size :
              !unmap->size || end < unmap->iova) {
        return -EINVAL;
    }
    first = all ? 0 : find(type1, unmap->iova);
    last = first;
    while (last < type1->count &&
           (all || type1->mappings[last].iova <= end)) {
        last++;
    }
    if (v2 && !all && cuts(type1, first, last, unmap->iova, end)) {
        return -EINVAL;
    }
    if (first < last && type1->mappings[first].iova < unmap->iova) {
        last = first;       /* version 1 stops at such a one */
    }
    unmap->size = remove_mappings(type1, first, last);
    return 0;
}

/* The information and its chain of capabilities, as one piece */
typedef struct {
    struct vfio_iommu_type1_info info;
    uint32_t pad;
    struct {
        struct vfio_info_cap_header header;
        uint32_t count, reserved;
        struct { uint64_t start, end; } ranges[2];
    } iova __attribute__((aligned(8)));
    struct {
        struct vfio_info_cap_header header;
        uint32_t available;
    } entries;
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
        .iova = {
            { VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 1,
              offsetof(Type1Info, entries) },
            2, 0,
            { { 0, 0xfedfffff }, { 0xfef00000, (1ull << ADDRESS_BITS) - 1 } }
        },
        .entries = {
            { VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, 1, 0 },
            host.dma_entries - type1->count
        },
    };
    uint32_t size = sizeof(full.info);

    full.info.flags |= VFIO_IOMMU_INFO_CAPS;
    if (out->argsz >= sizeof(full)) {
        full.info.cap_offset = offsetof(Type1Info, iova);
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
