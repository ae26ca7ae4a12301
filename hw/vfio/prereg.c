/*
 * VFIO: registration of guest RAM ahead of mapping
 *
 * Objects
 *   prereg   one follower of one address space, for one container
 *   range    (vaddr, size) as the host was told it, with the number of
 *            sections of the address space that show it; none yet if the RAM
 *            is only expected
 *
 * Invariants
 *   - A range is in the table if and only if the host has it registered.
 *   - A host undoes a registration only for the exact range that was made,
 *     and refuses ranges that overlap.  A section which is shown twice is
 *     therefore counted, not registered twice.
 *   - A section that could not be registered is not in the table, so that its
 *     removal does nothing.
 *   - What is unregistered is not mapped: the owner is told to unmap what is
 *     about to vanish.  Until KVM hears of that RAM's end, which is a moment
 *     later, a guest that maps RAM which it has given back can map it once
 *     more; its pages stay locked then until the container is closed.
 *   - A range that no section shows is there only until the main loop runs:
 *     what is plugged is shown before that.
 *   - No reference to a region is taken: while a section is visible the flat
 *     view holds one, and the listener hears of its removal before that ends.
 *
 * What can fail
 *   Registering.  While starting, that fails the start; if RAM is expected,
 *   it can still be refused.  Of other RAM there is nobody to tell but the
 *   log, which is told once; the guest learns when it maps what is not
 *   registered.  Unregistering cannot fail for the caller.
 *
 * Everything here runs under the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/capability.h>
#include <sys/resource.h>
#include "qapi/error.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qemu/units.h"
#include "hw/vfio/vfio-prereg.h"
#include "trace.h"

typedef struct VFIOPreregRange {
    uintptr_t vaddr;
    uint64_t size;              /* bytes */
    unsigned sections;
} VFIOPreregRange;

static guint vfio_prereg_hash(gconstpointer key)
{
    const VFIOPreregRange *range = key;
    gint64 vaddr = range->vaddr;

    return g_int64_hash(&vaddr);
}

static gboolean vfio_prereg_equal(gconstpointer a, gconstpointer b)
{
    const VFIOPreregRange *one = a, *other = b;

    return (one->vaddr == other->vaddr) & (one->size == other->size);
}

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

/* Is there nothing in this section that a device could be let at? */
static bool vfio_prereg_skips(const MemoryRegionSection *section)
{
    VFIOPreregRange range;

    if (!memory_region_is_ram(section->mr) ||
        memory_region_is_ram_device(section->mr)) {
        return true;
    }
    range = vfio_prereg_range(section);
    return section->readonly && !vfio_prereg_whole_pages(&range);
}

void vfio_memlock_hint(Error *const *errp, uint64_t bytes)
{
    g_autofree char *needed = size_to_str(bytes);
    g_autofree char *allowed = NULL;
    struct rlimit limit;

    getrlimit(RLIMIT_MEMLOCK, &limit); /* cannot fail */
    if (limit.rlim_cur == RLIM_INFINITY) {
        allowed = g_strdup("unlimited");
    } else {
        allowed = size_to_str(limit.rlim_cur);
    }
    error_append_hint(errp, "At least %s (%" PRIu64 " bytes) must be lockable,"
                      " the limit of this process (RLIMIT_MEMLOCK) is %s;\n"
                      "raise it with 'ulimit -l' or the hard_limit of libvirt."
                      "\n", needed, bytes, allowed);
}

/* The number after @name in @status, what /proc/self/status holds; or 0 */
static uint64_t status_number(const char *status, const char *name, int base)
{
    const char *at = strstr(status, name);
    uint64_t value = 0;

    if (at) {
        qemu_strtou64(at + strlen(name), &at, base, &value);
    }
    return value;
}

uint64_t vfio_memlock_left(uint64_t used)
{
    g_autofree char *status = NULL;
    struct rlimit limit;

    getrlimit(RLIMIT_MEMLOCK, &limit); /* cannot fail */
    if (limit.rlim_cur == RLIM_INFINITY ||
        !g_file_get_contents("/proc/self/status", &status, NULL, NULL) ||
        extract64(status_number(status, "\nCapEff:", 16), CAP_IPC_LOCK, 1)) {
        return UINT64_MAX;
    }
    used = MAX(used, status_number(status, "\nVmLck:", 10) * KiB);
    return limit.rlim_cur - MIN(used, limit.rlim_cur);
}

/* Tell the host of a range that it does not know yet */
static int vfio_prereg_register(VFIOPrereg *prereg,
                                const VFIOPreregRange *range)
{
    int ret = prereg->ops->register_ram(prereg->opaque, (void *)range->vaddr,
                                        range->size);

    trace_vfio_prereg_register(range->vaddr, range->size, ret);
    return ret;
}

static void vfio_prereg_unregister(VFIOPrereg *prereg,
                                   const VFIOPreregRange *range)
{
    int ret = prereg->ops->unregister_ram(prereg->opaque, (void *)range->vaddr,
                                          range->size);

    trace_vfio_prereg_unregister(range->vaddr, range->size, ret);
    if (ret) {
        warn_report_once("vfio: host memory 0x%" PRIxPTR "+0x%" PRIx64
                         " could not be unregistered and may stay locked: %s",
                         range->vaddr, range->size, strerror(-ret));
    }
}

/*
 * Have a range of RAM registered that may be so already.  Returns its entry
 * in the table, or NULL with @errp set.
 */
static VFIOPreregRange *vfio_prereg_add(VFIOPrereg *prereg,
                                        const VFIOPreregRange *range,
                                        const char *name, Error **errp)
{
    ERRP_GUARD();
    VFIOPreregRange *known = g_hash_table_lookup(prereg->ranges, range);
    int ret;

    if (known) {
        return known;
    }
    if (!vfio_prereg_whole_pages(range)) {
        error_setg(errp, "RAM \"%s\" of %" PRIu64 " bytes at host address"
                   " 0x%" PRIxPTR " does not fill whole host pages of %zu"
                   " bytes, which devices of the host need", name,
                   range->size, range->vaddr,
                   (size_t)qemu_real_host_page_size());
        error_append_hint(errp, "Make its size a multiple of the host's page"
                          " size, or use a host with smaller pages.\n");
        trace_vfio_prereg_register(range->vaddr, range->size, -EINVAL);
        return NULL;
    }

    ret = vfio_prereg_register(prereg, range);
    if (ret) {
        error_setg_errno(errp, -ret, "host refuses to register RAM \"%s\" of"
                         " %" PRIu64 " bytes for DMA", name, range->size);
        if (ret == -ENOMEM) {
            vfio_memlock_hint(errp, prereg->bytes + range->size);
        }
        return NULL;
    }
    known = g_new(VFIOPreregRange, 1);
    *known = *range;
    known->sections = 0;
    g_hash_table_add(prereg->ranges, known);
    prereg->bytes += range->size;
    return known;
}

static bool vfio_prereg_add_section(VFIOPrereg *prereg,
                                    const MemoryRegionSection *section,
                                    Error **errp)
{
    VFIOPreregRange range = vfio_prereg_range(section);
    VFIOPreregRange *known = vfio_prereg_add(prereg, &range,
                                             memory_region_name(section->mr),
                                             errp);

    if (known) {
        known->sections++;
    }
    return known;
}

static void vfio_prereg_region_add(MemoryListener *listener,
                                   MemoryRegionSection *section)
{
    VFIOPrereg *prereg = container_of(listener, VFIOPrereg, listener);
    hwaddr start = section->offset_within_address_space;
    Error *err = NULL;

    if (vfio_prereg_skips(section)) {
        trace_vfio_prereg_listener_region_add_skip(start,
            start + int128_get64(int128_sub(section->size, int128_one())));
        return;
    }
    if (prereg->error || vfio_prereg_add_section(prereg, section, &err)) {
        return;
    }
    if (!prereg->started) {
        prereg->error = err;
    } else if (!prereg->reported) {
        prereg->reported = true;
        error_append_hint(&err, "Devices of the host cannot access this RAM;"
                          " later failures of this kind are only traced.\n");
        error_report_err(err);
    } else {
        error_free(err);
    }
}

static void vfio_prereg_region_del(MemoryListener *listener,
                                   MemoryRegionSection *section)
{
    VFIOPrereg *prereg = container_of(listener, VFIOPrereg, listener);
    hwaddr start = section->offset_within_address_space;
    VFIOPreregRange range, *known;

    if (vfio_prereg_skips(section)) {
        trace_vfio_prereg_listener_region_del_skip(start,
            start + int128_get64(int128_sub(section->size, int128_one())));
        return;
    }
    range = vfio_prereg_range(section);
    known = g_hash_table_lookup(prereg->ranges, &range);
    if (!known) {
        return;
    }
    prereg->ops->unmap_ram(prereg->opaque, start, range.size);
    if (--known->sections) {
        return;
    }
    vfio_prereg_unregister(prereg, &range);
    prereg->bytes -= range.size;
    g_hash_table_remove(prereg->ranges, &range);
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
    if (vfio_prereg_skips(&section)) {
        return true;
    }
    qemu_bh_schedule(prereg->settle);
    range = vfio_prereg_range(&section);
    return vfio_prereg_add(prereg, &range, memory_region_name(mr), errp);
}

static gboolean vfio_prereg_drop_unseen(gpointer key, gpointer value,
                                        gpointer opaque)
{
    const VFIOPreregRange *range = value;
    VFIOPrereg *prereg = opaque;

    if (range->sections) {
        return false;
    }
    vfio_prereg_unregister(prereg, range);
    prereg->bytes -= range->size;
    return true;
}

/* Whatever was expected has come by now, or does not come */
static void vfio_prereg_settle(void *opaque)
{
    VFIOPrereg *prereg = opaque;

    g_hash_table_foreach_remove(prereg->ranges, vfio_prereg_drop_unseen,
                                prereg);
}

bool vfio_prereg_start(VFIOPrereg *prereg, AddressSpace *as,
                       const VFIOPreregOps *ops, void *opaque, Error **errp)
{
    *prereg = (VFIOPrereg) {
        .listener = {
            .name = "vfio-prereg",
            .region_add = vfio_prereg_region_add,
            .region_del = vfio_prereg_region_del,
        },
        .ops = ops,
        .opaque = opaque,
        .ranges = g_hash_table_new_full(vfio_prereg_hash, vfio_prereg_equal,
                                        g_free, NULL),
        .settle = qemu_bh_new(vfio_prereg_settle, prereg),
    };
    memory_listener_register(&prereg->listener, as);

    if (prereg->error) {
        error_propagate(errp, g_steal_pointer(&prereg->error));
        vfio_prereg_stop(prereg);
        return false;
    }
    prereg->started = true;
    return true;
}

void vfio_prereg_stop(VFIOPrereg *prereg)
{
    if (!prereg->ranges) {
        return;
    }
    memory_listener_unregister(&prereg->listener);
    vfio_prereg_settle(prereg);
    qemu_bh_delete(g_steal_pointer(&prereg->settle));
    g_hash_table_unref(g_steal_pointer(&prereg->ranges));
    prereg->bytes = 0;
    prereg->started = false;
}

uint64_t vfio_prereg_bytes(const VFIOPrereg *prereg)
{
    return prereg->bytes;
}
