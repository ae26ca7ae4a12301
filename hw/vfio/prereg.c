/*
 * VFIO: registration of guest RAM ahead of mapping
 *
 * Objects
 *   follower  listens to one address space for one container.  It has a number
 *             of users: the container, and each section of an IOMMU that
 *             translates to this address space, wherever it is seen
 *   section   what a follower was shown and has taken note of
 *   range     (vaddr, size) as the host was told it, with the number of
 *             sections that have a part of it; none yet if the RAM is only
 *             expected
 *
 * Invariants
 *   - A range is in the list if and only if the host has it registered.
 *   - A host undoes a registration only for the exact range that was made,
 *     and refuses ranges that overlap.  Of a section only what no range has is
 *     therefore registered; all that have a part of it count it.
 *   - RAM that could not be registered counts for no range.  Its end is told
 *     like any other, since hosts may map what another container registered.
 *   - A section that vanished counts until the memory map is complete again:
 *     RAM that is shown in other pieces then stays registered and mapped.
 *   - What is unregistered is not mapped: the owners of all containers are told
 *     to unmap what has vanished before any of them unregisters.  From when the
 *     first section vanishes to when the last follower of all is done nobody
 *     else maps, since what one container has unregistered can be mapped as
 *     long as another has it.
 *   - Followers make no ring.
 *   - A range that no section shows is there only until the main loop runs:
 *     what is plugged is shown before that.
 *   - No reference to a region is taken: while a section is visible the flat
 *     view holds one, and does until the next RCU grace period.
 *
 * What is left out
 *   What no host can pin: RAM that does not fill whole pages of the host, and
 *   what QEMU itself cannot write to, since hosts pin for writing.  A device is
 *   not refused for it, whether the RAM or the device comes first.
 *
 * What can fail
 *   Registering.  Where following begins, that fails the beginning; if RAM is
 *   expected, it can still be refused.  Of other RAM there is nobody to tell
 *   but the log, which is told once; the guest learns when it maps what is not
 *   registered.  Unregistering cannot fail for the caller.
 *
 * Everything here runs under the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qemu/range.h"
#include "qemu/rcu.h"
#include "exec/ramblock.h"
#include "prereg.h"
#include "trace.h"

typedef struct VFIOPreregRange {
    uintptr_t vaddr;
    uint64_t size;              /* bytes */
    unsigned sections;
    QLIST_ENTRY(VFIOPreregRange) next;
} VFIOPreregRange;

typedef struct VFIOPreregSection {
    hwaddr start;               /* in the address space */
    uint64_t size;              /* bytes */
    uintptr_t vaddr;            /* of RAM that is registered, else 0 */
    AddressSpace *target;       /* what an IOMMU translates to; NULL if RAM */
    QLIST_ENTRY(VFIOPreregSection) next;
} VFIOPreregSection;

typedef struct VFIOPreregFollower {
    MemoryListener listener;
    MemoryListener last;        /* ends what the first one of all began */
    VFIOPrereg *prereg;
    AddressSpace *as;
    unsigned users;
    QLIST_HEAD(, VFIOPreregSection) sections;
    QLIST_HEAD(, VFIOPreregSection) vanished;
    bool started;               /* what fails now cannot be taken back */
    Error *error;               /* the first failure before that */
    QLIST_ENTRY(VFIOPreregFollower) next;
} VFIOPreregFollower;

/* What is reported once each */
enum {
    PREREG_SMALL,               /* RAM does not fill whole host pages */
    PREREG_REFUSED,             /* RAM that the host refuses */
    PREREG_IOMMU,               /* an IOMMU whose target is not followed */
};

/*
 * Ranges
 */

/* Where the RAM of a section lies in this process */
static VFIOPreregRange vfio_prereg_range(const MemoryRegionSection *section)
{
    uintptr_t base = (uintptr_t)memory_region_get_ram_ptr(section->mr);

    return (VFIOPreregRange) {
        .vaddr = base + section->offset_within_region,
        .size = int128_get64(section->size),
    };
}

static bool vfio_prereg_whole_pages(const VFIOPreregRange *range)
{
    return QEMU_IS_ALIGNED(range->vaddr | range->size,
                           qemu_real_host_page_size());
}

/* Nobody can be told of what fails while the machine runs but the log */
static void vfio_prereg_report(VFIOPrereg *prereg, unsigned kind, Error *err)
{
    if (prereg->reported & BIT(kind)) {
        error_free(err);
        return;
    }
    prereg->reported |= BIT(kind);
    error_prepend(&err, "devices of the host cannot access some RAM, later"
                  " failures of this kind are only traced: ");
    error_report_err(err);
}

static void vfio_prereg_report_small(VFIOPrereg *prereg,
                                     const VFIOPreregRange *range,
                                     const char *name)
{
    Error *err = NULL;

    error_setg(&err, "RAM \"%s\" of %" PRIu64 " bytes at host address"
               " 0x%" PRIxPTR " does not fill whole host pages of %zu bytes,"
               " which devices of the host need", name, range->size,
               range->vaddr, (size_t)qemu_real_host_page_size());
    error_append_hint(&err, "Make its size a multiple of the host's page size,"
                      " or use a host with smaller pages.\n");
    vfio_prereg_report(prereg, PREREG_SMALL, err);
}

/* Is this memory that QEMU may write to? */
static bool vfio_prereg_writable(MemoryRegion *mr)
{
    return memory_region_is_ram(mr) && !memory_region_is_ram_device(mr) &&
           !(mr->ram_block->flags & RAM_READONLY);
}

/* Is there nothing in this section that a device could be let at? */
static bool vfio_prereg_skips(VFIOPrereg *prereg,
                              const MemoryRegionSection *section)
{
    VFIOPreregRange range;

    if (!vfio_prereg_writable(section->mr)) {
        return true;
    }
    range = vfio_prereg_range(section);
    if (vfio_prereg_whole_pages(&range)) {
        return false;
    }
    /* Nobody misses a ROM */
    if (!section->readonly) {
        vfio_prereg_report_small(prereg, &range,
                                 memory_region_name(section->mr));
    }
    return true;
}

/* Is RAM registered at @vaddr?  @size is cut to what has the same answer. */
static bool vfio_prereg_known(const VFIOPrereg *prereg, uintptr_t vaddr,
                              uint64_t *size)
{
    const VFIOPreregRange *known;

    QLIST_FOREACH(known, &prereg->ranges, next) {
        if (vaddr >= known->vaddr && vaddr - known->vaddr < known->size) {
            *size = MIN(*size, known->size - (vaddr - known->vaddr));
            return true;
        }
        if (vaddr < known->vaddr) {
            *size = MIN(*size, known->vaddr - vaddr);
        }
    }
    return false;
}

static void vfio_prereg_drop(VFIOPrereg *prereg, VFIOPreregRange *range)
{
    int ret = prereg->ops->unregister_ram(prereg->opaque, (void *)range->vaddr,
                                          range->size);

    trace_vfio_prereg_unregister(range->vaddr, range->size, ret);
    if (ret) {
        warn_report_once("vfio: host memory 0x%" PRIxPTR "+0x%" PRIx64
                         " could not be unregistered and may stay locked: %s",
                         range->vaddr, range->size, strerror(-ret));
    }
    prereg->bytes -= range->size;
    QLIST_REMOVE(range, next);
    g_free(range);
}

static void vfio_prereg_refused(const VFIOPrereg *prereg,
                                const VFIOPreregRange *range, const char *name,
                                uint64_t coming, bool plugged, int ret,
                                Error **errp)
{
    g_autofree char *remedy = NULL;

    if (ret == -ENOMEM && prereg->ops->remedy) {
        remedy = prereg->ops->remedy(prereg->opaque, coming, plugged);
    }
    error_setg(errp, "host refuses to register RAM \"%s\" of %" PRIu64 " bytes"
               " for DMA: %s%s%s", name, range->size, strerror(-ret),
               remedy ? "; " : "", remedy ?: "");
}

/* @coming and @plugged are for the remedy, see there */
static bool vfio_prereg_register(VFIOPrereg *prereg,
                                 const VFIOPreregRange *range,
                                 const char *name, uint64_t coming,
                                 bool plugged, Error **errp)
{
    VFIOPreregRange *known;
    int ret;

    ret = prereg->ops->register_ram(prereg->opaque, (void *)range->vaddr,
                                    range->size);
    trace_vfio_prereg_register(range->vaddr, range->size, ret);
    if (ret) {
        vfio_prereg_refused(prereg, range, name, coming, plugged, ret, errp);
        return false;
    }
    known = g_new0(VFIOPreregRange, 1);
    known->vaddr = range->vaddr;
    known->size = range->size;
    QLIST_INSERT_HEAD(&prereg->ranges, known, next);
    prereg->bytes += range->size;
    return true;
}

/* Have RAM registered, as far as it is not.  False: nothing has changed. */
static bool vfio_prereg_add(VFIOPrereg *prereg, const VFIOPreregRange *range,
                            const char *name, uint64_t coming, bool plugged,
                            Error **errp)
{
    VFIOPreregRange *before = QLIST_FIRST(&prereg->ranges);
    VFIOPreregRange piece = { .vaddr = range->vaddr };
    uint64_t left;

    for (left = range->size; left; left -= piece.size) {
        piece.size = left;
        if (!vfio_prereg_known(prereg, piece.vaddr, &piece.size) &&
            !vfio_prereg_register(prereg, &piece, name, coming, plugged,
                                  errp)) {
            while (QLIST_FIRST(&prereg->ranges) != before) {
                vfio_prereg_drop(prereg, QLIST_FIRST(&prereg->ranges));
            }
            return false;
        }
        piece.vaddr += piece.size;
    }
    return true;
}

/* One section more, or less if @by is -1, has a part of these ranges */
static void vfio_prereg_count(VFIOPrereg *prereg, uintptr_t vaddr,
                              uint64_t size, int by)
{
    VFIOPreregRange *range, *next;

    QLIST_FOREACH_SAFE(range, &prereg->ranges, next, next) {
        if (ranges_overlap(range->vaddr, range->size, vaddr, size)) {
            range->sections += by;
            if (!range->sections) {
                vfio_prereg_drop(prereg, range);
            }
        }
    }
}

/*
 * Followers
 */

static VFIOPreregFollower *vfio_prereg_follower(const VFIOPrereg *prereg,
                                                const AddressSpace *as)
{
    VFIOPreregFollower *follower;

    QLIST_FOREACH(follower, &prereg->followers, next) {
        if (follower->as == as) {
            return follower;
        }
    }
    return NULL;
}

static void vfio_prereg_end(VFIOPreregFollower *follower)
{
    QLIST_REMOVE(follower, next);
    memory_listener_unregister(&follower->listener);
    memory_listener_unregister(&follower->last);
    g_free(follower);
}

static void vfio_prereg_unfollow(VFIOPrereg *prereg, AddressSpace *as)
{
    VFIOPreregFollower *follower = vfio_prereg_follower(prereg, as);

    /* vfio_prereg_stop() ends followers whatever leads to them */
    if (follower && !--follower->users) {
        vfio_prereg_end(follower);
    }
}

/*
 * Sections
 */

/* What an IOMMU in @section translates to; NULL if that is not known */
static AddressSpace *vfio_prereg_target(const MemoryRegionSection *section)
{
    IOMMUMemoryRegion *iommu = IOMMU_MEMORY_REGION(section->mr);
    IOMMUMemoryRegionClass *class = IOMMU_MEMORY_REGION_GET_CLASS(iommu);

    return class->get_target_as ? class->get_target_as(iommu) : NULL;
}

static VFIOPreregSection *vfio_prereg_note(VFIOPreregFollower *follower,
                                           const MemoryRegionSection *section)
{
    VFIOPreregSection *note = g_new0(VFIOPreregSection, 1);

    note->start = section->offset_within_address_space;
    note->size = int128_get64(int128_min(section->size,
                                         int128_make64(UINT64_MAX)));
    QLIST_INSERT_HEAD(&follower->sections, note, next);
    return note;
}

static bool vfio_prereg_add_ram(VFIOPreregFollower *follower,
                                const MemoryRegionSection *section,
                                Error **errp)
{
    VFIOPreregRange range = vfio_prereg_range(section);
    VFIOPreregSection *note = vfio_prereg_note(follower, section);

    /* The memory map that has it is not there yet, but for the first one */
    if (!vfio_prereg_add(follower->prereg, &range,
                         memory_region_name(section->mr),
                         follower->started ? range.size : 0, false, errp)) {
        return false;
    }
    vfio_prereg_count(follower->prereg, range.vaddr, range.size, 1);
    note->vaddr = range.vaddr;
    return true;
}

/* Does what lies in @from lead to @to, or is it the same? */
static bool vfio_prereg_leads(const VFIOPrereg *prereg,
                              const AddressSpace *from, const AddressSpace *to)
{
    const VFIOPreregFollower *follower = vfio_prereg_follower(prereg, from);
    const VFIOPreregSection *note;

    if (from == to || !follower) {
        return from == to;
    }
    QLIST_FOREACH(note, &follower->sections, next) {
        if (note->target && vfio_prereg_leads(prereg, note->target, to)) {
            return true;
        }
    }
    return false;
}

static bool vfio_prereg_add_iommu(VFIOPreregFollower *follower,
                                  const MemoryRegionSection *section,
                                  Error **errp)
{
    AddressSpace *target = vfio_prereg_target(section);
    VFIOPreregSection *note;

    if (!target) {
        return true;
    }
    if (vfio_prereg_leads(follower->prereg, target, follower->as)) {
        error_setg(errp, "IOMMU \"%s\" leads back to where it lies, devices of"
                   " the host cannot use it",
                   memory_region_name(section->mr));
        return false;
    }
    note = vfio_prereg_note(follower, section);
    note->target = target;
    if (!vfio_prereg_follow(follower->prereg, target, errp)) {
        QLIST_REMOVE(note, next);
        g_free(note);
        return false;
    }
    return true;
}

static void vfio_prereg_region_add(MemoryListener *listener,
                                   MemoryRegionSection *section)
{
    VFIOPreregFollower *follower = container_of(listener, VFIOPreregFollower,
                                                listener);
    hwaddr start = section->offset_within_address_space;
    unsigned kind = PREREG_REFUSED;
    Error *err = NULL;
    bool ok;

    if (follower->error) {
        return;
    }
    if (memory_region_is_iommu(section->mr)) {
        kind = PREREG_IOMMU;
        ok = vfio_prereg_add_iommu(follower, section, &err);
    } else if (vfio_prereg_skips(follower->prereg, section)) {
        trace_vfio_prereg_listener_region_add_skip(start,
            start + int128_get64(int128_sub(section->size, int128_one())));
        return;
    } else {
        ok = vfio_prereg_add_ram(follower, section, &err);
    }
    if (!ok && follower->started) {
        vfio_prereg_report(follower->prereg, kind, err);
    } else if (!ok) {
        follower->error = err;
    }
}

static void vfio_prereg_region_del(MemoryListener *listener,
                                   MemoryRegionSection *section)
{
    VFIOPreregFollower *follower = container_of(listener, VFIOPreregFollower,
                                                listener);
    hwaddr start = section->offset_within_address_space;
    VFIOPreregSection *note;

    QLIST_FOREACH(note, &follower->sections, next) {
        if (note->start == start) {
            if (QLIST_EMPTY(&follower->vanished)) {
                follower->prereg->ops->freeze(follower->prereg->opaque);
            }
            QLIST_REMOVE(note, next);
            QLIST_INSERT_HEAD(&follower->vanished, note, next);
            return;
        }
    }
    trace_vfio_prereg_listener_region_del_skip(start,
        start + int128_get64(int128_sub(section->size, int128_one())));
}

/* Tell the owner, who maps through all IOMMUs on the way there at once */
static void vfio_prereg_tell(VFIOPrereg *prereg, AddressSpace *as,
                             uint64_t addr, uint64_t size)
{
    VFIOPreregFollower *follower;
    VFIOPreregSection *note;

    prereg->ops->vanished(prereg->opaque, as, addr, size);
    QLIST_FOREACH(follower, &prereg->followers, next) {
        QLIST_FOREACH(note, &follower->sections, next) {
            if (note->target == as) {
                vfio_prereg_tell(prereg, follower->as, note->start,
                                 note->size);
            }
        }
    }
}

static void vfio_prereg_commit(MemoryListener *listener)
{
    VFIOPreregFollower *follower = container_of(listener, VFIOPreregFollower,
                                                listener);
    const VFIOPreregSection *note;

    QLIST_FOREACH(note, &follower->vanished, next) {
        vfio_prereg_tell(follower->prereg, follower->as, note->start,
                         note->size);
    }
}

static void vfio_prereg_finish(MemoryListener *listener)
{
    VFIOPreregFollower *follower = container_of(listener, VFIOPreregFollower,
                                                last);
    VFIOPrereg *prereg = follower->prereg;
    VFIOPreregSection *note;

    if (QLIST_EMPTY(&follower->vanished)) {
        return;
    }
    while ((note = QLIST_FIRST(&follower->vanished))) {
        QLIST_REMOVE(note, next);
        if (note->target) {
            vfio_prereg_unfollow(prereg, note->target);
        } else if (note->vaddr) {
            vfio_prereg_count(prereg, note->vaddr, note->size, -1);
        }
        g_free(note);
    }
    prereg->ops->thaw(prereg->opaque);
}

bool vfio_prereg_follow(VFIOPrereg *prereg, AddressSpace *as, Error **errp)
{
    VFIOPreregFollower *follower = vfio_prereg_follower(prereg, as);

    if (follower) {
        follower->users++;
        return true;
    }
    follower = g_new0(VFIOPreregFollower, 1);
    follower->listener = (MemoryListener) {
        .name = "vfio-prereg",
        .region_add = vfio_prereg_region_add,
        .region_del = vfio_prereg_region_del,
        .commit = vfio_prereg_commit,
        /* Register before, unregister after all others */
        .priority = MEMORY_LISTENER_PRIORITY_MIN,
    };
    follower->last = (MemoryListener) {
        .name = "vfio-prereg-last",
        .commit = vfio_prereg_finish,
        /* After all that have the one above, before KVM, which freezes, too */
        .priority = MEMORY_LISTENER_PRIORITY_MIN + 1,
    };
    follower->prereg = prereg;
    follower->as = as;
    follower->users = 1;
    QLIST_INSERT_HEAD(&prereg->followers, follower, next);
    memory_listener_register(&follower->listener, as);
    memory_listener_register(&follower->last, as);

    if (follower->error) {
        error_propagate(errp, follower->error);
        vfio_prereg_end(follower);
        return false;
    }
    follower->started = true;
    return true;
}

/* Whatever was expected has come by now, or does not come */
static void vfio_prereg_settle(void *opaque)
{
    VFIOPrereg *prereg = opaque;
    VFIOPreregRange *range, *next;

    QLIST_FOREACH_SAFE(range, &prereg->ranges, next, next) {
        if (!range->sections) {
            vfio_prereg_drop(prereg, range);
        }
    }
}

bool vfio_prereg_expect(VFIOPrereg *prereg, MemoryRegion *mr, Error **errp)
{
    MemoryRegionSection section = {
        .size = int128_make64(memory_region_size(mr)),
        .readonly = mr->readonly,
    };
    VFIOPreregRange range;

    for (; mr->alias; mr = mr->alias) {
        section.offset_within_region += mr->alias_offset;
    }
    section.mr = mr;
    if (vfio_prereg_skips(prereg, &section)) {
        return true;
    }
    qemu_bh_schedule(prereg->settle);
    range = vfio_prereg_range(&section);
    return vfio_prereg_add(prereg, &range, memory_region_name(mr), range.size,
                           true, errp);
}

void vfio_prereg_init(VFIOPrereg *prereg, const VFIOPreregOps *ops,
                      void *opaque)
{
    *prereg = (VFIOPrereg) {
        .ops = ops,
        .opaque = opaque,
        .settle = qemu_bh_new(vfio_prereg_settle, prereg),
    };
}

void vfio_prereg_stop(VFIOPrereg *prereg)
{
    VFIOPreregFollower *follower;

    while ((follower = QLIST_FIRST(&prereg->followers))) {
        vfio_prereg_end(follower);
    }
    vfio_prereg_settle(prereg);
    qemu_bh_delete(g_steal_pointer(&prereg->settle));
}

uint64_t vfio_prereg_bytes(const VFIOPrereg *prereg)
{
    return prereg->bytes;
}

static bool vfio_prereg_add_wanted(Int128 start, Int128 size,
                                   const MemoryRegion *mr, hwaddr offset,
                                   void *opaque)
{
    GArray *wanted = opaque;
    MemoryRegionSection section = {
        .mr = (MemoryRegion *)mr,
        .offset_within_region = offset,
        .size = size,
    };

    if (vfio_prereg_writable(section.mr)) {
        VFIOPreregRange range = vfio_prereg_range(&section);

        if (vfio_prereg_whole_pages(&range)) {
            g_array_append_val(wanted, range);
        }
    }
    return false;
}

static int vfio_prereg_compare(const void *a, const void *b)
{
    const VFIOPreregRange *left = a, *right = b;

    return (left->vaddr > right->vaddr) - (left->vaddr < right->vaddr);
}

uint64_t vfio_prereg_wanted(const VFIOPrereg *prereg)
{
    g_autoptr(GArray) wanted = g_array_new(false, false,
                                           sizeof(VFIOPreregRange));
    const VFIOPreregFollower *follower;
    uintptr_t end = 0;
    uint64_t bytes = 0;

    WITH_RCU_READ_LOCK_GUARD() {
        QLIST_FOREACH(follower, &prereg->followers, next) {
            flatview_for_each_range(address_space_to_flatview(follower->as),
                                    vfio_prereg_add_wanted, wanted);
        }
    }
    /* RAM that is seen in several places is registered once */
    g_array_sort(wanted, vfio_prereg_compare);
    for (unsigned i = 0; i < wanted->len; i++) {
        const VFIOPreregRange *range = &g_array_index(wanted, VFIOPreregRange,
                                                      i);
        uintptr_t range_end = range->vaddr + range->size;

        if (range_end > end) {
            bytes += range_end - MAX(range->vaddr, end);
            end = range_end;
        }
    }
    return bytes;
}

unsigned vfio_prereg_ranges(const VFIOPrereg *prereg)
{
    const VFIOPreregRange *range;
    unsigned count = 0;

    QLIST_FOREACH(range, &prereg->ranges, next) {
        count++;
    }
    return count;
}
