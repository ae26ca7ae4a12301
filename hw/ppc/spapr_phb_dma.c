/*
 * The DMA windows of one sPAPR PHB
 *
 * Objects: the PHB's windows, numbered from 0, and its properties that say
 * where they may be: "dma_win_addr" and "dma_win_size" give the default
 * window, "dma64_win_addr" the place of a huge one, "pgsz" the page sizes.
 *
 * Invariants: number 0 is the default window's LIOBN, and no other window
 * has it unless the default was removed; enabled windows do not overlap.
 *
 * What can fail: whatever enables a window.  The windows that were there
 * before are not touched by a creation that fails.
 *
 * Locks: the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/host-utils.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "hw/pci-host/spapr_phb_dma.h"
#include "hw/ppc/spapr_dma_mapper.h"
#include "hw/ppc/spapr_dma_view.h"
#include "hw/ppc/spapr.h"
#include "migration/vmstate.h"
#include "trace.h"
#include <libfdt.h>

/* How many places there are for windows */
#define PHB_PLACES 2

/* Where a huge window goes on bare metal */
#define PHB_ANY_PLACE_64 (1ULL << 59)

/* The n-th window, or NULL if realize did not come that far */
static SpaprDmaWindow *phb_window(SpaprPhbState *sphb, unsigned n)
{
    return spapr_dma_window_find(sphb->dma_liobn[n]);
}

static SpaprDmaSpace *phb_space(SpaprPhbState *sphb)
{
    return phb_window(sphb, 0)->space;
}

static SpaprDmaWindow *phb_free_window(SpaprPhbState *sphb)
{
    for (unsigned n = 0; n < spapr_phb_windows_supported(sphb); n++) {
        SpaprDmaWindow *window = phb_window(sphb, n);

        if (!spapr_dma_window_enabled(window)) {
            return window;
        }
    }
    return NULL;
}

static unsigned phb_free_windows(SpaprPhbState *sphb)
{
    unsigned count = 0;

    for (unsigned n = 0; n < spapr_phb_windows_supported(sphb); n++) {
        count += !spapr_dma_window_enabled(phb_window(sphb, n));
    }
    return count;
}

static SpaprDmaGeometry phb_default_geometry(const SpaprPhbState *sphb)
{
    return (SpaprDmaGeometry) {
        .bus_offset = sphb->dma_win_addr,
        .page_shift = SPAPR_TCE_PAGE_SHIFT,
        .entries = sphb->dma_win_size >> SPAPR_TCE_PAGE_SHIFT,
    };
}

/*
 * A stream may have the flag set on any window, and that of QEMU 10.0 on one
 * that the guest created with the default one's number, so look at number and
 * geometry, too.
 */
static bool phb_is_like_default(const SpaprPhbState *sphb,
                                const SpaprDmaWindow *window)
{
    SpaprDmaGeometry geometry = phb_default_geometry(sphb);

    return window->geometry.bus_offset == geometry.bus_offset &&
           window->geometry.page_shift == geometry.page_shift &&
           window->geometry.entries == geometry.entries;
}

bool spapr_phb_window_is_default(const SpaprPhbState *sphb,
                                 const SpaprDmaWindow *window)
{
    return window->def_win && window->liobn == sphb->dma_liobn[0] &&
           phb_is_like_default(sphb, window);
}

/*
 * How many bytes a window that starts at @addr may have, 0 if none may start
 * there; @against is set if that is up to a mapper.  The end must fit in 64
 * bits.
 */
static uint64_t phb_room(SpaprPhbState *sphb, uint64_t addr,
                         const SpaprDmaMapper **against)
{
    uint64_t room = UINT64_MAX - addr;
    const SpaprDmaMapper *mapper = spapr_dma_space_cannot_start(phb_space(sphb),
                                                                addr);

    if (mapper) {
        *against = mapper;
        return 0;
    }
    for (unsigned n = 0; n < spapr_phb_windows_supported(sphb); n++) {
        SpaprDmaWindow *window = phb_window(sphb, n);
        uint64_t start = window->geometry.bus_offset;

        if (!spapr_dma_window_enabled(window)) {
            continue;
        }
        if (start > addr) {
            room = MIN(room, start - addr);
        } else if (addr - start < spapr_dma_window_size(window)) {
            return 0;
        }
    }
    return room;
}

/* The places that windows can start at, in the order they are tried */
static void phb_places(const SpaprPhbState *sphb, uint64_t places[PHB_PLACES])
{
    places[0] = sphb->dma_win_addr;
    places[1] = sphb->ddw_limited ? SPAPR_DDW_LIMITED_ADDR :
                                    sphb->dma64_win_addr;
}

/* First place that a window of @size bytes fits in; false if there is none */
static bool phb_find_place(SpaprPhbState *sphb, uint64_t size,
                           uint32_t page_shift, uint64_t *addr)
{
    uint64_t places[PHB_PLACES];
    const SpaprDmaMapper *against;

    phb_places(sphb, places);
    for (unsigned i = 0; i < PHB_PLACES; i++) {
        if (QEMU_IS_ALIGNED(places[i], 1ULL << page_shift) &&
            phb_room(sphb, places[i], &against) >= size) {
            *addr = places[i];
            return true;
        }
    }
    return false;
}

/*
 * Lower @limits to what the places allow.  If none is free the sizes are left
 * alone: they tell what there is once the guest has removed a window.
 */
static void phb_limit_to_places(SpaprPhbState *sphb, SpaprDmaLimits *limits)
{
    uint64_t places[PHB_PLACES], room[PHB_PLACES];
    const SpaprDmaMapper *against = NULL;
    unsigned usable = 0;

    phb_places(sphb, places);
    for (unsigned i = 0; i < PHB_PLACES; i++) {
        room[i] = i && places[i] == places[0] ?
                  0 : phb_room(sphb, places[i], &against);
        usable += room[i] != 0;
    }
    limits->asked = against;
    spapr_dma_limit_windows(limits, usable, SPAPR_DMA_LIMIT_REASON_PLACE);
    limits->asked = NULL;
    if (!limits->windows) {
        return;
    }
    for (uint64_t left = limits->page_sizes; left; left &= left - 1) {
        uint64_t page = left & -left, most = 0;

        for (unsigned i = 0; i < PHB_PLACES; i++) {
            if (QEMU_IS_ALIGNED(places[i], page) && room[i] >= page) {
                most = MAX(most, room[i]);
            }
        }
        if (most) {
            spapr_dma_limit_max_size(limits, most,
                                     SPAPR_DMA_LIMIT_REASON_PLACE);
        } else {
            spapr_dma_limit_page_sizes(limits, ~page,
                                       SPAPR_DMA_LIMIT_REASON_PLACE);
        }
    }
}

uint64_t spapr_phb_page_sizes(const SpaprPhbState *sphb)
{
    return sphb->page_size_mask & SPAPR_DDW_PAGE_SIZES;
}

/* What there could be if no window was in the way of another */
static SpaprDmaLimits phb_limits(SpaprPhbState *sphb)
{
    SpaprDmaLimits limits = {
        .page_sizes = spapr_phb_page_sizes(sphb),
        .max_size = SPAPR_DDW_MAX_SIZE,
        .max_tces = SPAPR_DDW_MAX_TCES,
        .windows = SPAPR_PCI_DMA_MAX_WINDOWS,
    };

    if (!sphb->ddw_enabled) {
        spapr_dma_limit_windows(&limits, 0, SPAPR_DMA_LIMIT_REASON_PROPERTY);
    }
    spapr_dma_limit_windows(&limits, phb_free_windows(sphb),
                            SPAPR_DMA_LIMIT_REASON_IN_USE);
    spapr_dma_space_limit(phb_space(sphb), &limits);
    return limits;
}

/* Who took the smallest page size away, if none is left */
static SpaprDmaLimiter no_page_size_by(const SpaprDmaLimits *limits)
{
    for (unsigned i = 0; i < ARRAY_SIZE(limits->page_sizes_by); i++) {
        if (limits->page_sizes_by[i].reason != SPAPR_DMA_LIMIT_REASON_MACHINE) {
            return limits->page_sizes_by[i];
        }
    }
    return (SpaprDmaLimiter) { .reason = SPAPR_DMA_LIMIT_REASON_PROPERTY };
}

static SpaprDdwOffer offer_of_limits(const SpaprDmaLimits *limits)
{
    SpaprDdwOffer offer = {
        .page_sizes = limits->page_sizes,
        .limits = *limits,
    };

    if (limits->page_sizes) {
        unsigned largest = 63 - clz64(limits->page_sizes);
        uint64_t most = limits->max_size >> largest;

        if (most < limits->max_tces) {
            offer.limits.max_tces_by = limits->max_size_by;
        }
        offer.max_tces = pow2floor(MIN(limits->max_tces, most));
    } else {
        offer.limits.max_tces_by = no_page_size_by(limits);
    }
    offer.windows = offer.max_tces ? limits->windows : 0;
    if (offer.windows < limits->windows) {
        offer.limits.windows_by = offer.limits.max_tces_by;
    }
    return offer;
}

SpaprDdwOffer spapr_phb_window_offer(SpaprPhbState *sphb)
{
    SpaprDmaLimits limits = phb_limits(sphb);

    phb_limit_to_places(sphb, &limits);
    return offer_of_limits(&limits);
}

static const char *limit_meaning(const SpaprPhbState *sphb,
                                 const SpaprDmaLimiter *by)
{
    static const char *const meaning[] = {
        [SPAPR_DMA_LIMIT_REASON_MACHINE] = "the machine has no more",
        [SPAPR_DMA_LIMIT_REASON_PROPERTY] =
            "a property of the PCI host bridge says so: see ddw and pgsz",
        [SPAPR_DMA_LIMIT_REASON_IN_USE] = "the guest has the others",
        [SPAPR_DMA_LIMIT_REASON_PLACE] = "there is no more room at"
            " dma64_win_addr: leave that property alone",
        [SPAPR_DMA_LIMIT_REASON_HOST_PAGE_SIZES] = "the host has no page size"
            " that fits: add 0x1000 or 0x10000 to pgsz, or back the guest's"
            " memory by larger pages",
        [SPAPR_DMA_LIMIT_REASON_HOST_TABLE] = "the host makes no larger"
            " tables: add larger pages to pgsz",
        [SPAPR_DMA_LIMIT_REASON_HOST_WINDOWS] = "the host has no more"
            " windows; a guest that removes the default one, as Linux does,"
            " gets one",
        [SPAPR_DMA_LIMIT_REASON_ONE_WINDOW] = "the host, or a device with"
            " x-spapr-v1=on, has one window only; a guest that removes the"
            " default one, as Linux does, gets it",
        [SPAPR_DMA_LIMIT_REASON_LOCKED_MEMORY] = "no more memory can be"
            " locked",
        [SPAPR_DMA_LIMIT_REASON_GUEST_MEMORY] = "its memory needs no more",
    };

    if (by->reason == SPAPR_DMA_LIMIT_REASON_PLACE && sphb->ddw_limited) {
        return "there is none at 4 GiB, where limited-address mode has it:"
               " reset the machine, which ends that mode";
    } else if (by->reason == SPAPR_DMA_LIMIT_REASON_PLACE && by->mapper) {
        return "the host starts no window at dma64_win_addr: leave that"
               " property alone, or set it to where the host does";
    }
    return meaning[by->reason];
}

/* Is there a window besides the default one? */
static bool phb_has_dynamic(SpaprPhbState *sphb)
{
    for (unsigned n = 0; n < spapr_phb_windows_supported(sphb); n++) {
        SpaprDmaWindow *window = phb_window(sphb, n);

        if (spapr_dma_window_enabled(window) &&
            !spapr_phb_window_is_default(sphb, window)) {
            return true;
        }
    }
    return false;
}

void spapr_phb_tell_offer(SpaprPhbState *sphb, const SpaprDdwOffer *offer)
{
    uint64_t wanted = spapr_dma_ram_size(), size = 0;
    const SpaprDmaLimiter *by = &offer->limits.windows_by;
    g_autofree char *remedy = NULL, *what = NULL;

    if (offer->windows) {
        size = offer->max_tces << (63 - clz64(offer->page_sizes));
        by = &offer->limits.max_tces_by;
    }
    if (size >= wanted || phb_has_dynamic(sphb) ||
        sphb->ddw_told & BIT(by->reason)) {
        return;
    }
    sphb->ddw_told |= BIT(by->reason);
    if (by->mapper && by->mapper->ops->remedy) {
        remedy = by->mapper->ops->remedy((SpaprDmaMapper *)by->mapper,
                                         by->reason);
    }
    what = size ? g_strdup_printf("DMA windows of 0x%" PRIx64 " bytes at most,"
                                  " of 0x%" PRIx64 " that its memory needs",
                                  size, wanted) :
                  g_strdup("no DMA window but the default one");
    warn_report("%s: the guest is offered %s: %s%s%s", sphb->dtbusname, what,
                limit_meaning(sphb, by),
                remedy ? "; " : "", remedy ?: "");
}

bool spapr_phb_limited_limit(SpaprPhbState *sphb, SpaprDmaLimiter *by)
{
    *by = (SpaprDmaLimiter) { .reason = SPAPR_DMA_LIMIT_REASON_PROPERTY };
    if (!sphb->ddw_enabled || !sphb->ddw_limited_allowed) {
        return false;
    }
    by->reason = SPAPR_DMA_LIMIT_REASON_PLACE;
    by->mapper = spapr_dma_space_cannot_start(phb_space(sphb),
                                              SPAPR_DDW_LIMITED_ADDR);
    return !by->mapper;
}

bool spapr_phb_limited_offered(SpaprPhbState *sphb)
{
    SpaprDmaLimiter by;

    return spapr_phb_limited_limit(sphb, &by);
}

SpaprDdwResult spapr_phb_window_create(SpaprPhbState *sphb,
                                       uint32_t page_shift,
                                       uint32_t window_shift,
                                       SpaprDmaWindow **window, Error **errp)
{
    SpaprDmaLimits limits = phb_limits(sphb);
    SpaprDdwOffer offer = offer_of_limits(&limits);
    SpaprDmaGeometry geometry = { .page_shift = page_shift };

    if (page_shift > 63 || !(offer.page_sizes & (1ULL << page_shift)) ||
        window_shift > 63 || window_shift < page_shift ||
        1ULL << (window_shift - page_shift) > offer.max_tces) {
        error_setg(errp, "no DMA window of 2^%u bytes in pages of 2^%u bytes;"
                   " on offer: page sizes 0x%" PRIx64 ", 0x%" PRIx64 " TCEs",
                   window_shift, page_shift, offer.page_sizes,
                   offer.max_tces);
        return SPAPR_DDW_PARAMETER;
    }
    geometry.entries = 1ULL << (window_shift - page_shift);

    *window = offer.windows ? phb_free_window(sphb) : NULL;
    if (!*window || !phb_find_place(sphb, 1ULL << window_shift, page_shift,
                                    &geometry.bus_offset)) {
        error_setg(errp, "no room for a DMA window of 2^%u bytes",
                   window_shift);
        return SPAPR_DDW_PARAMETER;
    }
    if (!spapr_dma_window_enable(*window, &geometry, errp)) {
        return SPAPR_DDW_HOST;
    }
    return SPAPR_DDW_OK;
}

/* What Linux makes: a window for all memory, in the largest pages there are */
static SpaprDmaGeometry phb_expected_geometry(SpaprPhbState *sphb)
{
    uint64_t sizes = phb_limits(sphb).page_sizes ?: spapr_phb_page_sizes(sphb);
    unsigned page_shift = 63 - clz64(sizes);

    return (SpaprDmaGeometry) {
        .bus_offset = sphb->dma64_win_addr,
        .page_shift = page_shift,
        .entries = MAX(spapr_dma_ram_size() >> page_shift, 1),
    };
}

unsigned spapr_phb_windows_wanted(SpaprPhbState *sphb,
                                  SpaprDmaGeometry wanted[])
{
    unsigned count = 0;

    wanted[count++] = phb_default_geometry(sphb);
    if (!sphb->ddw_enabled) {
        return count;
    }
    for (unsigned n = 0; n < spapr_phb_windows_supported(sphb); n++) {
        const SpaprDmaWindow *window = phb_window(sphb, n);

        /* The default one is like itself even while it is being made */
        if (spapr_dma_window_enabled(window) &&
            !phb_is_like_default(sphb, window)) {
            wanted[count++] = window->geometry;
        }
    }
    if (count == 1) {
        wanted[count++] = phb_expected_geometry(sphb);
    }
    return count;
}

/* Enable the default window, if it is not */
static bool phb_restore_default(SpaprPhbState *sphb, Error **errp)
{
    SpaprDmaWindow *window = phb_window(sphb, 0);
    SpaprDmaGeometry geometry = phb_default_geometry(sphb);

    if (spapr_phb_window_is_default(sphb, window)) {
        return true;
    }
    if (!spapr_dma_window_enable(window, &geometry, errp)) {
        return false;
    }
    window->def_win = true;
    return true;
}

SpaprDdwResult spapr_phb_window_remove(uint32_t liobn, Error **errp)
{
    SpaprDmaWindow *window = spapr_dma_window_find(liobn);
    SpaprPhbState *sphb = NULL;
    bool was_default;

    if (window) {
        /* It may be a VIO device's, which no RTAS call can remove */
        sphb = (SpaprPhbState *)
            object_dynamic_cast(OBJECT(window)->parent,
                                TYPE_SPAPR_PCI_HOST_BRIDGE);
    }
    if (!sphb || !sphb->ddw_enabled || !spapr_dma_window_enabled(window)) {
        error_setg(errp, "LIOBN 0x%x is no DMA window that can be removed",
                   liobn);
        return SPAPR_DDW_PARAMETER;
    }

    was_default = spapr_phb_window_is_default(sphb, window);
    spapr_dma_window_disable(window);
    if (!was_default &&
        phb_free_windows(sphb) == spapr_phb_windows_supported(sphb) &&
        !phb_restore_default(sphb, errp)) {
        return SPAPR_DDW_HOST;
    }
    return SPAPR_DDW_OK;
}

SpaprDdwResult spapr_phb_windows_reset(SpaprPhbState *sphb, bool limited,
                                       Error **errp)
{
    if (limited && !spapr_phb_limited_offered(sphb)) {
        error_setg(errp, "limited-address mode, with DMA windows at 0x%llx, is"
                   " not offered", SPAPR_DDW_LIMITED_ADDR);
        return SPAPR_DDW_PARAMETER;
    }
    for (unsigned n = 0; n < spapr_phb_windows_supported(sphb); n++) {
        SpaprDmaWindow *window = phb_window(sphb, n);

        if (!spapr_phb_window_is_default(sphb, window)) {
            spapr_dma_window_disable(window);
        }
    }
    sphb->ddw_limited = limited;
    return phb_restore_default(sphb, errp) ? SPAPR_DDW_OK : SPAPR_DDW_HOST;
}

void spapr_phb_dma_reset(SpaprPhbState *sphb)
{
    static uint64_t failures;
    Error *err = NULL;

    if (spapr_phb_windows_reset(sphb, false, &err) != SPAPR_DDW_OK) {
        failures++;
        trace_spapr_phb_no_default_window(sphb->buid, error_get_pretty(err),
                                          failures);
        /* A guest can reset as often as it likes */
        warn_report_once("%s has no default DMA window: %s; later failures"
                         " are only traced (spapr_phb_no_default_window)",
                         sphb->dtbusname, error_get_pretty(err));
        error_free(err);
    }
}

static bool phb_default_fits(const SpaprPhbState *sphb, Error **errp)
{
    const uint64_t page_mask = SPAPR_TCE_PAGE_SIZE - 1;

    if (!sphb->dma_win_size || (sphb->dma_win_addr & page_mask) ||
        (sphb->dma_win_size & page_mask) || sphb->dma_win_addr > 4 * GiB ||
        sphb->dma_win_size > 4 * GiB - sphb->dma_win_addr) {
        error_setg(errp, "default DMA window at 0x%" HWADDR_PRIx " of 0x%"
                   HWADDR_PRIx " bytes is not in 4 KiB pages below 4 GiB:"
                   " change dma_win_addr or dma_win_size, to 0 and 1G for"
                   " example", sphb->dma_win_addr, sphb->dma_win_size);
        return false;
    }
    return true;
}

/* Can there be any other window with these properties? */
static bool phb_dynamic_fit(const SpaprPhbState *sphb, Error **errp)
{
    uint64_t sizes = spapr_phb_page_sizes(sphb), smallest = sizes & -sizes;

    if (!sizes) {
        error_setg(errp, "pgsz=0x%" PRIx64 " has no page size for dynamic DMA"
                   " windows: add such as 0x1000, 0x10000, 0x200000 or"
                   " 0x1000000, or set ddw=off", sphb->page_size_mask);
        return false;
    }
    if (!QEMU_IS_ALIGNED(sphb->dma64_win_addr, smallest)) {
        error_setg(errp, "dma64_win_addr=0x%" PRIx64 " is not a multiple of"
                   " 0x%" PRIx64 ", the smallest page in pgsz: use 0x%llx, for"
                   " example", sphb->dma64_win_addr, smallest,
                   PHB_ANY_PLACE_64);
        return false;
    }
    if (UINT64_MAX - sphb->dma64_win_addr < smallest) {
        error_setg(errp, "dma64_win_addr=0x%" PRIx64 " leaves no room for a"
                   " page of 0x%" PRIx64 " bytes: use 0x%llx, for example",
                   sphb->dma64_win_addr, smallest, PHB_ANY_PLACE_64);
        return false;
    }
    return true;
}

bool spapr_phb_dma_realize(SpaprPhbState *sphb, Error **errp)
{
    if (!phb_default_fits(sphb, errp) ||
        (sphb->ddw_enabled && !phb_dynamic_fit(sphb, errp))) {
        return false;
    }
    for (unsigned n = 0; n < spapr_phb_windows_supported(sphb); n++) {
        SpaprDmaWindow *window;

        window = spapr_dma_window_new(DEVICE(sphb), sphb->dma_liobn[n],
                                      &sphb->iommu_as, errp);
        if (!window) {
            return false;
        }
        /* Below the MSI doorbell, which a huge window may reach */
        memory_region_add_subregion_overlap(&sphb->iommu_root, 0,
                                            spapr_dma_window_get_root(window),
                                            -1);
    }
    /* Whoever cannot mirror it is refused when it is plugged */
    return phb_restore_default(sphb, errp);
}

void spapr_phb_dma_unrealize(SpaprPhbState *sphb)
{
    for (unsigned n = 0; n < spapr_phb_windows_supported(sphb); n++) {
        SpaprDmaWindow *window = phb_window(sphb, n);

        if (window && window->space->as == &sphb->iommu_as) {
            memory_region_del_subregion(&sphb->iommu_root,
                                        spapr_dma_window_get_root(window));
            /* The PHB itself may be in use until RCU readers are done */
            object_unparent(OBJECT(window));
        }
    }
}

void spapr_phb_dma_class_init(ObjectClass *klass)
{
    static const struct {
        const char *name, *what;
    } properties[] = {
        { "dma_win_addr", "First bus address of the default DMA window" },
        { "dma_win_size", "Bytes of the default DMA window, such as 2G" },
        { "dma64_win_addr", "First bus address of the second DMA window" },
        { "ddw", "Let the guest create and remove DMA windows" },
        { "ddw-limited", "Let the guest have its second DMA window at 4 GiB,"
          " for devices with few address bits" },
        { "pgsz", "Page sizes of DMA windows that the guest creates, added up"
          " (as in 0x11000 for 4K and 64K)" },
    };

    spapr_dma_owner_class_init(klass);
    for (unsigned i = 0; i < ARRAY_SIZE(properties); i++) {
        object_class_property_set_description(klass, properties[i].name,
                                              properties[i].what);
    }
}

static bool phb_dma_needed(void *opaque)
{
    SpaprPhbState *sphb = opaque;

    return sphb->ddw_limited;
}

const VMStateDescription vmstate_spapr_phb_dma = {
    .name = "spapr_pci/dma",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = phb_dma_needed,
    .fields = (const VMStateField[]) {
        VMSTATE_BOOL(ddw_limited, SpaprPhbState),
        VMSTATE_END_OF_LIST()
    },
};

int spapr_phb_dma_dt(SpaprPhbState *sphb, void *fdt, int node)
{
    const uint32_t applicable[] = {
        cpu_to_be32(RTAS_IBM_QUERY_PE_DMA_WINDOW),
        cpu_to_be32(RTAS_IBM_CREATE_PE_DMA_WINDOW),
        cpu_to_be32(RTAS_IBM_REMOVE_PE_DMA_WINDOW),
    };
    const uint32_t extensions[] = {
        cpu_to_be32(3), /* cells that follow */
        cpu_to_be32(RTAS_IBM_RESET_PE_DMA_WINDOW),
        cpu_to_be32(1), /* the query has a form with 6 outputs */
        cpu_to_be32(spapr_phb_limited_offered(sphb)),
    };
    int ret;

    ret = spapr_dma_dt(fdt, node, "ibm,dma-window", sphb->dma_liobn[0],
                       sphb->dma_win_addr, sphb->dma_win_size);
    if (ret || !sphb->ddw_enabled) {
        return ret;
    }
    ret = fdt_setprop(fdt, node, "ibm,ddw-applicable", applicable,
                      sizeof(applicable));
    return ret ?: fdt_setprop(fdt, node, "ibm,ddw-extensions", extensions,
                              sizeof(extensions));
}
