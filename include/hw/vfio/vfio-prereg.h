/*
 * VFIO: registration of guest RAM ahead of mapping
 *
 * Some host IOMMU drivers map only memory that they were told of before: the
 * pages are pinned and counted once, and mapping becomes cheap.  A VFIOPrereg
 * follows an address space, which is the one that a guest IOMMU translates
 * *to*, and keeps exactly the RAM that is visible there registered.
 *
 * A container type that wants this starts one before its first mapping and
 * stops it after its last; a type that does not simply starts none.
 *
 * Everything here runs under the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_VFIO_VFIO_PREREG_H
#define HW_VFIO_VFIO_PREREG_H

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
     * @unmap_ram: unmap what is mapped to RAM that is about to vanish
     *
     * @addr and @size (bytes) are its place in the address space.  Called
     * before it is unregistered, since a host that has it mapped forgets the
     * range then but keeps its pages locked.
     */
    void (*unmap_ram)(void *opaque, uint64_t addr, uint64_t size);
} VFIOPreregOps;

/**
 * VFIOPrereg: one follower of one address space
 *
 * To be embedded, with all fields private to prereg.c.
 */
typedef struct VFIOPrereg {
    MemoryListener listener;
    const VFIOPreregOps *ops;   /* set once, by start */
    void *opaque;               /* set once, by start */
    GHashTable *ranges;         /* what is registered; NULL when stopped */
    uint64_t bytes;             /* sum of @ranges */
    QEMUBH *settle;             /* drops what was expected in vain */
    Error *error;               /* the first failure of start */
    bool started;               /* start has succeeded */
    bool reported;              /* a later failure was reported */
} VFIOPrereg;

/**
 * vfio_prereg_start: register the RAM of an address space, now and later
 * @prereg: zeroed or stopped
 * @as: address space that holds guest RAM
 * @ops: how to register
 * @opaque: first argument of @ops
 * @errp: set to the reason why some RAM could not be registered
 *
 * Regions that are not RAM, or that belong to a device of the host, are
 * skipped; so is ROM which does not fill whole host pages.
 *
 * Returns false, with nothing registered, if any RAM cannot be registered.
 * RAM that appears later unexpectedly and cannot be is reported once and stays
 * unregistered: the host then refuses to map it.
 */
bool vfio_prereg_start(VFIOPrereg *prereg, AddressSpace *as,
                       const VFIOPreregOps *ops, void *opaque, Error **errp);

/**
 * vfio_prereg_expect: register RAM that is about to become visible
 * @prereg: started
 * @mr: all of it will be seen in the address space as one section
 * @errp: set to the reason why it cannot be registered
 *
 * If no section shows it when the main loop runs next, it is unregistered
 * again.  Returns false with nothing changed.
 */
bool vfio_prereg_expect(VFIOPrereg *prereg, MemoryRegion *mr, Error **errp);

/**
 * vfio_prereg_stop: unregister everything and stop following
 * @prereg: started or not; nothing of its RAM may be mapped any more, since
 *          hosts forget a range that is mapped without unpinning it
 */
void vfio_prereg_stop(VFIOPrereg *prereg);

/**
 * vfio_prereg_bytes: how much is registered now
 * @prereg: started or not
 */
uint64_t vfio_prereg_bytes(const VFIOPrereg *prereg);

/**
 * vfio_memlock_hint: tell what locked memory an operation needed
 * @errp: an error that is set, or NULL
 * @bytes: how much must be lockable, at least
 *
 * Appends the present limit of the process and the way to raise it.
 */
void vfio_memlock_hint(Error *const *errp, uint64_t bytes);

/**
 * vfio_memlock_left: how much more memory this process may lock
 * @used: bytes that are known to be locked; the kernel may know of more
 *
 * Returns bytes, or UINT64_MAX if there is no limit: none is set, the process
 * may exceed it (CAP_IPC_LOCK), or it cannot be found out.
 */
uint64_t vfio_memlock_left(uint64_t used);

#endif /* HW_VFIO_VFIO_PREREG_H */
