/*
 * VFIO containers on sPAPR: windows that a v2 host makes and removes
 *
 * VFIO_SPAPR_TCE_v2_IOMMU makes a window for each guest window, in pages that
 * the host, the guest's window and the guest's RAM can all live with.
 *
 * Words: a *place* is a bus address at which the host starts windows.  The
 * host chooses: bare metal the lowest of its places that is not taken; a
 * partition has one for the default window alone, and one for any other.  What
 * the places are is found out once, by trying, while the host has no window.
 *
 * What can fail: opening, and making a window.  Each undoes its own steps.
 * Removing cannot; what the host refuses then is reported once.
 *
 * Everything here runs under the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/host-utils.h"
#include "qemu/units.h"
#include "exec/cpu-common.h"
#include "exec/ramblock.h"
#include "hw/ppc/spapr_dma_locked.h"
#include "hw/ppc/spapr_dma_view.h"
#include "hw/ppc/spapr_locked_size.h"
#include "system/hostmem.h"
#include "memlock.h"
#include "spapr.h"
#include "trace.h"

/* Places that a host has for windows */
#define V2_PLACES 2

/* The upper one on bare metal, as far as it could not be found out */
#define V2_PLACE_64 (1ULL << 59)

/* A guest can have a window of this size, however little memory it has */
#define V2_ANY_SIZE (16 * GiB)

/* Guests that map all memory do it in no smaller pages if there are others */
#define V2_SANE_PAGE_SHIFT 16

/* Linux makes no window on bare metal whose bus addresses need more bits */
#define V2_MAX_SHIFT 54

typedef struct VFIOSpaprV2Container {
    VFIOSpaprContainer parent_obj;
    uint64_t places[V2_PLACES]; /* set once, by open */
    unsigned places_known;      /* set once, by open */
    bool apart;                 /* set once, by open: only default windows... */
    uint64_t other_place;       /* ...start elsewhere than here */
} VFIOSpaprV2Container;

OBJECT_DECLARE_SIMPLE_TYPE(VFIOSpaprV2Container, VFIO_IOMMU_SPAPR_V2)

/* What is asked of the host, for a message */
typedef struct V2Request {
    uint64_t size;
    uint32_t page_shift;
    uint32_t levels;
} V2Request;

/*
 * The largest page that host, guest window and guest RAM can all live with,
 * or -1.  RAM counts since a host page must lie in one page of its backing.
 */
static int v2_page_shift(const VFIOSpaprContainer *sc, uint32_t guest_shift)
{
    uint64_t most = MIN(1ULL << guest_shift,
                        (uint64_t)qemu_minrampagesize());
    uint64_t usable = sc->info.page_sizes & (most | (most - 1));

    return usable ? 63 - clz64(usable) : -1;
}

/*
 * The host allocates a table as it is filled.  If no limit of locked memory,
 * which counts all of it at once, keeps it small, have no window that is larger
 * than any guest needs.
 */
static uint64_t v2_sane_size(uint64_t lockable)
{
    return lockable != UINT64_MAX ? UINT64_MAX :
           MAX(2 * spapr_dma_ram_size(), V2_ANY_SIZE);
}

static bool v2_choose_page(const VFIOSpaprContainer *sc, VFIOHostWindow *hw,
                           Error **errp)
{
    ERRP_GUARD();
    uint32_t guest_shift = hw->window->geometry.page_shift;
    int shift = v2_page_shift(sc, guest_shift);

    if (shift < 0) {
        error_setg(errp, "host has no DMA page size that fits: it offers the"
                   " mask 0x%" PRIx64 ", the guest wants pages of 2^%u bytes,"
                   " RAM has pages of 0x%" PRIx64 " bytes; leave what does not"
                   " fit out of the property pgsz of the PCI host bridge, or"
                   " use x-spapr-v1=on of the device if this is about the"
                   " default window", sc->info.page_sizes, guest_shift,
                   (uint64_t)qemu_minrampagesize());
        return false;
    }
    hw->page_shift = shift;
    return true;
}

static uint32_t v2_max_levels(const VFIOSpaprContainer *sc)
{
    return MAX(sc->info.max_levels, 1);
}

static uint32_t v2_levels(const VFIOSpaprContainer *sc, uint64_t entries)
{
    return spapr_locked_levels(qemu_real_host_page_size(), v2_max_levels(sc),
                               entries);
}

static uint32_t v2_smallest_page(const VFIOSpaprContainer *sc)
{
    return ctz64(sc->info.page_sizes);
}

/*
 * Bytes of the host window for one of @size of the guest.  A host that has a
 * place for default windows alone goes by size and pages: one that is small,
 * in the smallest pages, would be taken for a default window.
 */
static uint64_t v2_host_size(const VFIOSpaprContainer *sc, uint64_t bus_offset,
                             uint32_t page_shift, uint64_t size)
{
    const VFIOSpaprV2Container *v2 = VFIO_IOMMU_SPAPR_V2((void *)sc);

    return v2->apart && bus_offset == v2->other_place &&
           page_shift == v2_smallest_page(sc) ?
           MAX(size, 2 * pow2ceil(sc->info.size)) : size;
}

/* Locked memory that a table takes */
static uint64_t v2_table(const VFIOSpaprContainer *sc, uint64_t entries)
{
    return spapr_locked_host_table(qemu_real_host_page_size(), entries,
                                   v2_levels(sc, entries));
}

/*
 * The largest window with such pages.  Linux on bare metal refuses a table
 * whose levels, of whole host pages each, could take more than a bus address
 * has.  Hosts with one level keep their limit to themselves until asked for
 * a window.
 */
static uint64_t v2_max_size(const VFIOSpaprContainer *sc, uint32_t page_shift)
{
    uint32_t host_page = ctz64(qemu_real_host_page_size() / sizeof(uint64_t));
    uint32_t shift = V2_MAX_SHIFT;

    for (; shift > page_shift; shift--) {
        uint32_t entries_shift = shift - page_shift;
        uint32_t levels = v2_levels(sc, 1ULL << entries_shift);
        uint32_t level_shift = MAX(DIV_ROUND_UP(entries_shift, levels),
                                   host_page);

        if (level_shift * levels + page_shift <= V2_MAX_SHIFT) {
            break;
        }
    }
    return 1ULL << shift;
}

static int v2_remove(VFIOSpaprContainer *sc, uint64_t start)
{
    int ret = vfio_spapr_host_remove(&sc->host, start);

    if (!ret) {
        trace_vfio_spapr_remove_window(start);
    }
    return ret;
}

static bool v2_remove_nofail(VFIOSpaprContainer *sc, uint64_t start)
{
    int ret = v2_remove(sc, start);

    if (ret) {
        warn_report_once("vfio: host did not remove its DMA window at 0x%"
                         PRIx64 ", later ones may be refused: %s",
                         start, strerror(-ret));
    }
    return !ret;
}

/*
 * Ask for a table, and again with more levels if only its shape can be what
 * is wrong.  Bounded by what the host knows, because every failure to
 * allocate leaves memory accounted as locked in some kernels.
 */
static int v2_try_create(VFIOSpaprContainer *sc, V2Request *want,
                         uint64_t *start)
{
    uint32_t most = v2_max_levels(sc);
    int ret;

    for (;;) {
        ret = vfio_spapr_host_create(&sc->host, want->page_shift, want->size,
                                     want->levels, start);
        if ((ret != -ENOMEM && ret != -EINVAL) || want->levels >= most) {
            return ret;
        }
        warn_report_once("vfio: host cannot make a DMA window with %u levels,"
                         " trying up to %u; failures may use up the limit of"
                         " locked memory", want->levels, most);
        want->levels++;
    }
}

/* Locked memory that registered RAM and the tables of windows take now */
static uint64_t v2_locked_now(const VFIOSpaprContainer *sc)
{
    uint64_t bytes = vfio_prereg_bytes(&sc->prereg);
    const VFIOHostWindow *hw;

    QLIST_FOREACH(hw, &sc->windows, next) {
        bytes += spapr_locked_host_table(qemu_real_host_page_size(),
                                         hw->size >> hw->page_shift,
                                         hw->levels);
    }
    return bytes;
}

static void v2_create_error(const VFIOSpaprContainer *sc,
                            const V2Request *want, int ret, Error **errp)
{
    g_autofree char *remedy = NULL;

    if (ret == -ENOMEM) {
        remedy = vfio_memlock_remedy(&sc->mapper, 0, false);
    } else if (ret == -ENOSPC) {
        remedy = g_strdup_printf("it offers %u windows at once",
                                 sc->info.max_windows);
    }
    error_setg(errp, "host cannot make a DMA window of 0x%" PRIx64 " bytes with"
               " pages of 2^%u bytes and %u of %u levels: %s%s%s", want->size,
               want->page_shift, want->levels, sc->info.max_levels,
               strerror(-ret), remedy ? "; " : "", remedy ?: "");
}

/* Make the smallest host window, and tell where the host has put it */
static bool v2_create_small(VFIOSpaprContainer *sc, uint32_t page_shift,
                            uint64_t *start)
{
    uint64_t size = (qemu_real_host_page_size() / sizeof(uint64_t)) <<
                    page_shift;
    int ret = vfio_spapr_host_create(&sc->host, page_shift, size, 1, start);

    trace_vfio_spapr_probe_window(size, *start, ret);
    return !ret;
}

/* A host that cannot be asked this way has unknown places */
static void v2_probe_places(VFIOSpaprContainer *sc)
{
    VFIOSpaprV2Container *v2 = VFIO_IOMMU_SPAPR_V2(sc);
    unsigned most = MIN(sc->info.max_windows, V2_PLACES);
    unsigned n = 0;

    while (n < most &&
           v2_create_small(sc, v2_smallest_page(sc), &v2->places[n])) {
        n++;
    }
    v2->places_known = n;
    while (n--) {
        v2_remove_nofail(sc, v2->places[n]);
    }
}

/* Does a window that cannot be a default one, by its pages, go elsewhere? */
static void v2_probe_apart(VFIOSpaprContainer *sc)
{
    VFIOSpaprV2Container *v2 = VFIO_IOMMU_SPAPR_V2(sc);
    uint64_t larger = sc->info.page_sizes & (sc->info.page_sizes - 1);

    if (v2->places_known && larger &&
        v2_create_small(sc, ctz64(larger), &v2->other_place)) {
        v2_remove_nofail(sc, v2->other_place);
        v2->apart = v2->other_place != v2->places[0];
    }
}

/*
 * The host takes its lowest place that is not taken.  If the guest wants the
 * other one, have a small window in the lowest meanwhile.
 */
static bool v2_needs_placeholder(VFIOSpaprContainer *sc,
                                 const VFIOHostWindow *hw)
{
    const VFIOSpaprV2Container *v2 = VFIO_IOMMU_SPAPR_V2(sc);
    const VFIOHostWindow *other;

    if (v2->places_known < 2 || hw->start != v2->places[1]) {
        return false;
    }
    QLIST_FOREACH(other, &sc->windows, next) {
        if (other->start == v2->places[0]) {
            return false;
        }
    }
    return true;
}

/* Make a host window that starts where the guest window does, or none */
static bool v2_create(VFIOSpaprContainer *sc, VFIOHostWindow *hw, Error **errp)
{
    ERRP_GUARD();
    uint64_t most = v2_sane_size(vfio_memlock_left(0));
    uint64_t wanted = hw->start, start;
    V2Request want = {
        .size = hw->size,
        .page_shift = hw->page_shift,
    };
    int ret;

    if (want.size > most) {
        error_setg(errp, "DMA window of 0x%" PRIx64 " bytes is too large for"
                   " devices of the host: the guest's memory needs no more"
                   " than 0x%" PRIx64, want.size, most);
        return false;
    }
    if (!is_power_of_2(want.size)) {
        error_setg(errp, "host makes only DMA windows whose size is a power of"
                   " two, not of 0x%" PRIx64 " bytes", want.size);
        return false;
    }
    hw->size = want.size = v2_host_size(sc, wanted, want.page_shift, want.size);
    want.levels = v2_levels(sc, want.size >> want.page_shift);
    ret = v2_try_create(sc, &want, &start);
    if (ret) {
        v2_create_error(sc, &want, ret, errp);
        return false;
    }
    trace_vfio_spapr_create_window(want.page_shift, want.levels, want.size,
                                   start);
    hw->levels = want.levels;
    if (start == wanted) {
        return true;
    }

    v2_remove_nofail(sc, start);
    error_setg(errp, "host puts the DMA window at 0x%" PRIx64 ", the guest"
               " needs it at 0x%" PRIx64 ": set dma_win_addr or dma64_win_addr"
               " of the PCI host bridge to where the host puts it; or, if the"
               " guest is in limited-address mode, plug the device before it"
               " boots", start, wanted);
    return false;
}

static bool v2_window_make(VFIOSpaprContainer *sc, VFIOHostWindow *hw,
                           Error **errp)
{
    uint64_t placeholder;
    bool held, made;

    if (!v2_choose_page(sc, hw, errp)) {
        return false;
    }
    held = v2_needs_placeholder(sc, hw) &&
           v2_create_small(sc, v2_smallest_page(sc), &placeholder);
    made = v2_create(sc, hw, errp);
    if (held) {
        v2_remove_nofail(sc, placeholder);
    }
    return made;
}

/* If the host keeps the window, devices must not find anything in it */
static void v2_window_drop(VFIOSpaprContainer *sc, const VFIOHostWindow *hw)
{
    if (!v2_remove_nofail(sc, hw->start)) {
        vfio_spapr_unmap_range(sc, hw->start, hw->size);
    }
}

/* All containers of the address space will want a table like this one's */
static unsigned v2_containers(const VFIOSpaprContainer *sc)
{
    const VFIOContainerBase *bcontainer = VFIO_IOMMU(sc), *other;
    unsigned containers = 0;

    QLIST_FOREACH(other, &bcontainer->space->containers, next) {
        containers++;
    }
    return containers;
}

/* For how many pages of the guest tables can be made of @lockable bytes */
static uint64_t v2_most_tces(const VFIOSpaprContainer *sc, uint64_t lockable,
                             uint32_t guest_shift, uint32_t page_shift)
{
    const VFIOSpaprV2Container *v2 = VFIO_IOMMU_SPAPR_V2((void *)sc);
    const uint64_t most = 1ULL << (V2_MAX_SHIFT - guest_shift);
    const unsigned containers = v2_containers(sc);
    uint64_t tces = most;

    for (; tces; tces >>= 1) {
        uint64_t size = v2_host_size(sc, v2->other_place, page_shift,
                                     tces << guest_shift);

        if (containers * v2_table(sc, size >> page_shift) +
            spapr_dma_kvm_locked(tces) <= lockable) {
            break;
        }
    }
    return tces < most ? tces : UINT64_MAX;
}

static void v2_limits(const VFIOSpaprContainer *sc, SpaprDmaLimits *limits)
{
    uint64_t lockable = vfio_memlock_left(v2_locked_now(sc));
    uint64_t asked = limits->page_sizes;
    unsigned left = sc->info.max_windows;
    const VFIOHostWindow *hw;

    for (; asked; asked &= asked - 1) {
        uint32_t guest_shift = ctz64(asked);
        int page_shift = v2_page_shift(sc, guest_shift);

        if (page_shift < 0) {
            spapr_dma_limit_page_sizes(limits, ~(1ULL << guest_shift),
                SPAPR_DMA_LIMIT_REASON_HOST_PAGE_SIZES);
        } else {
            spapr_dma_limit_max_size(limits, v2_max_size(sc, page_shift),
                                     SPAPR_DMA_LIMIT_REASON_HOST_TABLE);
            spapr_dma_limit_max_tces(limits,
                                     v2_most_tces(sc, lockable, guest_shift,
                                                  page_shift),
                                     SPAPR_DMA_LIMIT_REASON_LOCKED_MEMORY);
        }
    }
    if (limits->page_sizes) {
        spapr_dma_limit_max_tces(limits, v2_sane_size(lockable) >>
                                 MIN(V2_SANE_PAGE_SHIFT,
                                     63 - clz64(limits->page_sizes)),
                                 SPAPR_DMA_LIMIT_REASON_GUEST_MEMORY);
    }
    QLIST_FOREACH(hw, &sc->windows, next) {
        left -= !!left;
    }
    spapr_dma_limit_windows(limits, left, SPAPR_DMA_LIMIT_REASON_HOST_WINDOWS);
}

static bool v2_can_start(const VFIOSpaprContainer *sc, uint64_t bus_offset)
{
    const VFIOSpaprV2Container *v2 = VFIO_IOMMU_SPAPR_V2((void *)sc);
    unsigned most = MIN(sc->info.max_windows, V2_PLACES);

    if (v2->apart) {
        return bus_offset == v2->other_place;
    }
    for (unsigned i = 0; i < v2->places_known; i++) {
        if (bus_offset == v2->places[i]) {
            return true;
        }
    }
    return bus_offset == sc->info.start ||
           (v2->places_known < most && bus_offset == V2_PLACE_64);
}

/* Guests may map any RAM in any window: its pages must not be smaller */
static bool v2_pages_fit(const VFIOSpaprContainer *sc, MemoryRegion *mr,
                         Error **errp)
{
    ERRP_GUARD();
    ram_addr_t offset;
    RAMBlock *block = qemu_ram_block_from_host(memory_region_get_ram_ptr(mr),
                                               false, &offset);
    uint64_t page = qemu_ram_pagesize(block);
    const VFIOHostWindow *hw;

    QLIST_FOREACH(hw, &sc->windows, next) {
        if (page < 1ULL << hw->page_shift) {
            error_setg(errp, "RAM \"%s\" has pages of 0x%" PRIx64 " bytes, but"
                       " the host's DMA window at 0x%" PRIx64 " takes only"
                       " pages of 2^%u bytes: back it by pages as large as"
                       " those of the RAM that the machine started with",
                       memory_region_name(mr), page, hw->start,
                       hw->page_shift);
            return false;
        }
    }
    return true;
}

static bool v2_expect_ram(VFIOSpaprContainer *sc, MemoryRegion *mr,
                          Error **errp)
{
    return v2_pages_fit(sc, mr, errp) &&
           vfio_prereg_expect(&sc->prereg, mr, errp);
}

/*
 * A host whose groups cannot share a window says so when it puts one into all
 * of them, which it has done to the new group if there is any.
 */
static bool v2_can_share(VFIOSpaprContainer *sc)
{
    uint64_t start;

    if (!QLIST_EMPTY(&sc->windows) ||
        !VFIO_IOMMU_SPAPR_V2(sc)->places_known) {
        return true;
    }
    if (!v2_create_small(sc, v2_smallest_page(sc), &start)) {
        return false;
    }
    v2_remove_nofail(sc, start);
    return true;
}

static bool v2_open(VFIOSpaprContainer *sc, Error **errp)
{
    ERRP_GUARD();
    int ret;

    if (!sc->info.page_sizes) {
        error_setg(errp, "host offers VFIO_SPAPR_TCE_v2_IOMMU but no dynamic"
                   " DMA windows: use the property x-spapr-v1 of the device");
        return false;
    }
    /* A group comes with a default window, which takes a place that we need */
    ret = v2_remove(sc, sc->info.start);
    if (ret) {
        error_setg_errno(errp, -ret, "host does not drop its default DMA"
                         " window at 0x%" PRIx64, sc->info.start);
        return false;
    }
    v2_probe_places(sc);
    v2_probe_apart(sc);
    return true;
}

static void v2_close(VFIOSpaprContainer *sc)
{
    /* The last window is gone, and the default one belongs to the group */
}

static void v2_locked(const VFIOSpaprContainer *sc,
                      const SpaprDmaGeometry *windows, unsigned count,
                      SpaprDmaLocked *locked)
{
    locked->ram = MAX(locked->ram, vfio_prereg_wanted(&sc->prereg));
    for (unsigned n = 0; n < count; n++) {
        uint32_t guest_shift = windows[n].page_shift;
        int page_shift = v2_page_shift(sc, guest_shift);

        if (page_shift >= 0) {
            locked->host_tables += v2_table(sc,
                v2_host_size(sc, windows[n].bus_offset, page_shift,
                             pow2ceil(windows[n].entries) << guest_shift) >>
                page_shift);
        }
    }
}

static void v2_describe(const VFIOSpaprContainer *sc,
                        SpaprDmaContainerInfo *info)
{
    SpaprDmaVfioInfo *vfio = info->vfio;
    SpaprDmaRegistrationInfo *ram = g_new0(SpaprDmaRegistrationInfo, 1);

    info->kind = SPAPR_DMA_CONTAINER_KIND_VFIO_V2;
    vfio->page_sizes = spapr_dma_page_sizes(sc->info.page_sizes);
    vfio->max_windows = sc->info.max_windows;
    vfio->max_levels = v2_max_levels(sc);
    vfio->locked = v2_locked_now(sc);
    vfio->registration = ram;
    ram->ranges = vfio_prereg_ranges(&sc->prereg);
    ram->bytes = vfio_prereg_bytes(&sc->prereg);
}

static void v2_class_init(ObjectClass *klass, void *data)
{
    VFIOSpaprContainerClass *class = VFIO_IOMMU_SPAPR_CLASS(klass);

    class->registers_ram = true;
    class->kvm_updates = true;
    class->open = v2_open;
    class->close = v2_close;
    class->window_make = v2_window_make;
    class->window_drop = v2_window_drop;
    class->limits = v2_limits;
    class->can_start = v2_can_start;
    class->expect_ram = v2_expect_ram;
    class->can_share = v2_can_share;
    class->locked = v2_locked;
    class->describe = v2_describe;
}

static const TypeInfo v2_types[] = {
    {
        .name = TYPE_VFIO_IOMMU_SPAPR_V2,
        .parent = TYPE_VFIO_IOMMU_SPAPR,
        .instance_size = sizeof(VFIOSpaprV2Container),
        .class_init = v2_class_init,
    },
};

DEFINE_TYPES(v2_types)
