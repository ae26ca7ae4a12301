/*
 * The mappings of a type1 container
 *
 * type1.c makes and removes them; type1-dirty.c tells which pages a device
 * may have written to.  The model's devices are such that the IOMMU cannot
 * tell, and their driver does not: then each page that is mapped counts as
 * dirty, in every report anew.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_TYPE1_H
#define VFIO_MODEL_TYPE1_H

#include <linux/vfio.h>

#include "model.h"

#define DIRTY_BITMAP_MAX (256ull << 20)     /* bytes */

typedef struct {
    uint64_t iova, size, user;
    uint32_t flags;
} Mapping;

struct Type1 {
    Mapping *mappings;          /* ascending, without overlap */
    unsigned count, room;
    bool tracking;              /* of dirty pages */
};

/* Some mappings that follow each other, by their numbers; @last is outside */
typedef struct {
    unsigned first, last;
} MappingRange;

/* Those with an address from @iova to @end */
MappingRange type1_range(const Type1 *type1, uint64_t iova, uint64_t end);

/* Does one of @range begin before @iova or end after @end? */
bool type1_cuts(const Type1 *type1, MappingRange range, uint64_t iova,
                uint64_t end);

/**
 * type1_dirty_allocate - the bitmap of one mapping
 * @size: of the mapping
 *
 * Linux has one for each mapping while pages are tracked.  The model needs
 * none, but fails as Linux does.
 */
long type1_dirty_allocate(uint64_t size);

/**
 * type1_dirty_bitmap - may the bits of a range go there
 * @type1: the container's mappings
 * @bitmap: what the program says about its bitmap
 * @size: of the range
 *
 * True if pages are tracked and the bitmap is large enough, with a bit for
 * each page of the host.
 */
bool type1_dirty_bitmap(const Type1 *type1, const struct vfio_bitmap *bitmap,
                        uint64_t size);

/**
 * type1_dirty_report - write the bits of mappings
 * @type1: the container's mappings
 * @range: the mappings, none of which begins before @iova
 * @iova: address of the first bit
 * @bitmap: checked by type1_dirty_bitmap() for all of @range
 *
 * Returns the number of the mapping whose bits could not be written, or
 * @range.last.
 */
unsigned type1_dirty_report(const Type1 *type1, MappingRange range,
                            uint64_t iova, const struct vfio_bitmap *bitmap);

#endif
