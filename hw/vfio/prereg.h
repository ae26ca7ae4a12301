/*
 * VFIO: registration of guest RAM ahead of mapping
 *
 * Some host IOMMU drivers map only memory that they were told of before: the
 * pages are pinned and counted once, and mapping becomes cheap.  What is mapped
 * shows on the bus of the devices.  What *could* be mapped is something else:
 * all RAM of the address spaces that IOMMUs on that bus translate to, and what
 * lies on the bus itself.  A VFIOPrereg keeps just that RAM registered.
 *
 * A container type that wants this has one for each container and follows its
 * address spaces before its first mapping; a type that does not has none.
 *
 * Everything here runs under the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_VFIO_PREREG_H
#define HW_VFIO_PREREG_H

#include "exec/memory.h"

/**
 * VFIOPreregOps: how a range of this process is made known to the host
 *
 * @vaddr and @size (bytes) are multiples of the host's page size.
 */
typedef struct VFIOPreregOps {
    /**
     * @register_ram: returns 0, or a negative errno with nothing registered
     */
    int (*register_ram)(void *opaque, void *vaddr, uint64_t size);

    /**
     * @unregister_ram: undo that, for the very same range
     *
     * Returns 0 or a negative errno, which is reported and has no other
     * consequence.
     */
    int (*unregister_ram)(void *opaque, void *vaddr, uint64_t size);

    /**
     * @remedy: say how the host is made to lock more; may be NULL
     *
     * @coming bytes of RAM are not in the memory map yet; @plugged tells
     * whether it is memory that maxmem makes room for.  Returns a part of a
     * message, to be freed.
     */
    char *(*remedy)(void *opaque, uint64_t coming, bool plugged);

    /**
     * @vanished: unmap what leads to something that has vanished
     *
     * @addr and @size (bytes) were its place in @as, or are that of an IOMMU
     * that led to it.  The memory map is complete again; what leads to RAM by
     * it may be unmapped for a moment.  Called before RAM is unregistered,
     * since a host that has it mapped forgets the range then but keeps its
     * pages locked.
     */
    void (*vanished)(void *opaque, AddressSpace *as, uint64_t addr,
                     uint64_t size);

    /**
     * @freeze: from now on nobody but the caller maps anything, until @thaw
     *
     * Called before the memory map changes and after @vanished and
     * @unregister_ram, between which a range must not be mapped again.  Calls
     * nest: several containers see the same change.
     */
    void (*freeze)(void *opaque);
    void (*thaw)(void *opaque);
} VFIOPreregOps;

/**
 * VFIOPrereg: what is registered for one container
 *
 * To be embedded, with all fields private to prereg.c.
 */
typedef struct VFIOPrereg {
    const VFIOPreregOps *ops;   /* set once, by init */
    void *opaque;               /* set once, by init */
    QLIST_HEAD(, VFIOPreregFollower) followers;
    QLIST_HEAD(, VFIOPreregRange) ranges;
    uint64_t bytes;             /* sum of @ranges */
    QEMUBH *settle;             /* drops what was expected in vain */
    unsigned reported;          /* a bit for each kind of failure that was */
} VFIOPrereg;

/**
 * vfio_prereg_init: nothing is registered yet
 * @prereg: to be used
 * @ops: how to register
 * @opaque: first argument of @ops
 */
void vfio_prereg_init(VFIOPrereg *prereg, const VFIOPreregOps *ops,
                      void *opaque);

/**
 * vfio_prereg_follow: register the RAM of an address space, now and later
 * @prereg: initialized
 * @as: the bus of devices, or what an IOMMU on it translates to
 * @errp: set to the reason why some RAM could not be registered
 *
 * Regions that are not RAM, or that belong to a device of the host, are
 * skipped; so is what does not fill whole host pages, which is reported once
 * unless it is ROM, and what QEMU itself may only read.  What an IOMMU that
 * is seen in @as translates to (get_target_as() of its class) is followed, too,
 * as long as it is seen; that must not lead back to @as.
 *
 * Returns false, with nothing changed, if any RAM cannot be registered.  RAM
 * that appears later unexpectedly and cannot be is reported once, and so is an
 * IOMMU whose target cannot be followed.  It stays unregistered.  The host then
 * refuses to map it, unless another container of this process has it
 * registered.
 */
bool vfio_prereg_follow(VFIOPrereg *prereg, AddressSpace *as, Error **errp);

/**
 * vfio_prereg_expect: register RAM that is about to become visible
 * @prereg: initialized
 * @mr: all of it will be seen in a followed address space as one section
 * @errp: set to the reason why it cannot be registered
 *
 * If no section shows it when the main loop runs next, it is unregistered
 * again.  Returns false with nothing changed.
 */
bool vfio_prereg_expect(VFIOPrereg *prereg, MemoryRegion *mr, Error **errp);

/**
 * vfio_prereg_stop: unregister everything and follow nothing
 * @prereg: initialized; nothing of that RAM may be mapped any more, since hosts
 *          forget a range that is mapped without unpinning it
 */
void vfio_prereg_stop(VFIOPrereg *prereg);

/**
 * vfio_prereg_bytes: how much is registered now
 * @prereg: initialized
 */
uint64_t vfio_prereg_bytes(const VFIOPrereg *prereg);

/**
 * vfio_prereg_wanted: how much would be registered if nothing was refused
 * @prereg: initialized
 */
uint64_t vfio_prereg_wanted(const VFIOPrereg *prereg);

/**
 * vfio_prereg_ranges: in how many pieces
 * @prereg: initialized
 */
unsigned vfio_prereg_ranges(const VFIOPrereg *prereg);

#endif /* HW_VFIO_PREREG_H */
