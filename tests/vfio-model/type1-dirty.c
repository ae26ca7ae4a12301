/*
 * The type1 driver: tracking of dirty pages
 *
 * A bitmap is of 64-bit words in the program's memory, a bit for each page of
 * the host, the first for the start of the range that was asked for.  Bits go
 * out by mapping and in whole words.  Of the word where a mapping begins, what
 * was set stays set if the mapping does not begin with the word; all else in
 * its words is written anew, and words without a mapping are left alone.  So
 * mappings that share a word add up, and a bitmap has to be zeroed before.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <linux/vfio.h>
#include <stddef.h>

#include "fault.h"
#include "ioctl-table.h"
#include "type1.h"
#include "user-memory.h"

#define WORD_BITS 64
#define CHUNK_WORDS 512

/* Bits @start to @end - 1 of a bitmap, as far as they are in word @word */
static uint64_t word_of(uint64_t word, uint64_t start, uint64_t end)
{
    const uint64_t low = word * WORD_BITS;
    uint64_t bits = ~0ull;

    if (start > low) {
        bits <<= start - low;
    }
    if (end < low + WORD_BITS) {
        bits &= (1ull << (end - low)) - 1;
    }
    return bits;
}

/* Set bits @start to @end - 1, of which @start is in the first word */
static long write_bits(uint64_t address, uint64_t start, uint64_t end)
{
    const uint64_t words = (end + WORD_BITS - 1) / WORD_BITS;
    uint64_t chunk[CHUNK_WORDS], kept = 0, done, count;

    if (start && user_read(&kept, address, sizeof(kept))) {
        return -EFAULT;
    }
    for (done = 0; done < words; done += count) {
        count = words - done < CHUNK_WORDS ? words - done : CHUNK_WORDS;
        for (uint64_t i = 0; i < count; i++) {
            chunk[i] = word_of(done + i, start, end);
        }
        chunk[0] |= done ? 0 : kept;
        if (user_write(address + done * sizeof(*chunk), chunk,
                       count * sizeof(*chunk))) {
            return -EFAULT;
        }
    }
    return 0;
}

unsigned type1_dirty_report(const Type1 *type1, MappingRange range,
                            uint64_t iova, const struct vfio_bitmap *bitmap)
{
    const uint64_t data = (uintptr_t)bitmap->data;
    unsigned i;

    for (i = range.first; i < range.last; i++) {
        const Mapping *m = type1->mappings + i;
        const uint64_t bit = host_pages(m->iova - iova);
        const uint64_t start = bit % WORD_BITS;

        if (write_bits(data + bit / WORD_BITS * sizeof(uint64_t), start,
                       start + host_pages(m->size))) {
            break;
        }
    }
    return i;
}

/* Is it for a program at all: the upper half of addresses is the kernel's */
static bool is_user_range(uint64_t address, uint64_t size)
{
    return address + size >= address && !((address + size) >> 63);
}

bool type1_dirty_bitmap(const Type1 *type1, const struct vfio_bitmap *bitmap,
                        uint64_t size)
{
    const uint64_t pages = host_pages(size);
    const uint64_t words = pages / WORD_BITS + !!(pages % WORD_BITS);

    return type1->tracking && pages &&
           bitmap->pgsize == 1ull << host.page_shift &&
           bitmap->size <= DIRTY_BITMAP_MAX &&
           bitmap->size >= words * sizeof(uint64_t) &&
           is_user_range((uintptr_t)bitmap->data, bitmap->size);
}

long type1_dirty_allocate(uint64_t size)
{
    long ret = 0;

    if (host_pages(size) > INT32_MAX) {
        return -EINVAL;
    }
    fault_check("dirty_bitmap", 0, CALL_FALLIBLE, &ret);
    return ret;
}

static long start_tracking(Type1 *type1)
{
    long ret = 0;

    if (type1->tracking) {
        return 0;
    }
    for (unsigned i = 0; i < type1->count && !ret; i++) {
        ret = type1_dirty_allocate(type1->mappings[i].size);
    }
    type1->tracking = !ret;
    return ret;
}

static long get_bitmap(const Type1 *type1, const IoctlArgument *argument)
{
    const uint32_t head = offsetof(struct vfio_iommu_type1_dirty_bitmap, data);
    const uint64_t mask = (1ull << host.page_shift) - 1;
    struct vfio_iommu_type1_dirty_bitmap_get get;
    MappingRange range;
    uint64_t end;

    if (argument->copy.argsz < head + sizeof(get)) {
        return -EINVAL;
    }
    if (user_read(&get, argument->address + head, sizeof(get))) {
        return -EFAULT;
    }
    /* a range must not even reach the end of all addresses */
    if (get.iova + get.size < get.iova || (get.iova | get.size) & mask ||
        !type1_dirty_bitmap(type1, &get.bitmap, get.size)) {
        return -EINVAL;
    }
    end = get.iova + get.size - 1;
    range = type1_range(type1, get.iova, end);
    if (type1_cuts(type1, range, get.iova, end)) {
        return -EINVAL;
    }
    return type1_dirty_report(type1, range, get.iova, &get.bitmap) ==
           range.last ? 0 : -EFAULT;
}

long type1_dirty_pages(ModelFile *file, IoctlArgument *argument)
{
    const struct vfio_iommu_type1_dirty_bitmap *dirty =
        (void *)argument->copy.bytes;
    Type1 *type1 = ((Container *)file->object)->type1;

    argument->size = 0;     /* nothing of it goes back */
    switch (dirty->flags) {
    case VFIO_IOMMU_DIRTY_PAGES_FLAG_START:
        return start_tracking(type1);
    case VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP:
        type1->tracking = false;
        return 0;
    case VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP:
        return get_bitmap(type1, argument);
    default:
        return -EINVAL;
    }
}

long type1_v1_dirty_pages(ModelFile *file, IoctlArgument *argument)
{
    return -EACCES;
}
