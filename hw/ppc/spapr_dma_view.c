/*
 * sPAPR DMA windows: what there is to see of them
 *
 * Objects: an owner (a PCI host bridge or a virtual device), the windows that
 * are its QOM children, and the mappers of their space, which are called
 * containers in an answer.
 *
 * Here answers are put together from what the rooms know anyway.  Nothing is
 * kept for it, and nothing changes by looking.
 *
 * Invariants:
 *  - owners are in the order of their paths, windows and containers in that of
 *    their numbers, so that two answers can be compared;
 *  - a table that KVM made is not read unless somebody asks for it.
 *
 * Nothing can fail.
 *
 * Locks: the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "qapi/error.h"
#include "qapi/qapi-visit-spapr-dma.h"
#include "hw/pci-host/spapr_phb_dma.h"
#include "hw/ppc/spapr.h"
#include "hw/ppc/spapr_dma_locked.h"
#include "hw/ppc/spapr_dma_view.h"
#include "hw/ppc/spapr_vio.h"
#include "spapr_dma_private.h"

/* The machine waits while more than this would be counted: 128 MiB */
#define COUNT_KVM_MAX (1ULL << 24)

sizeList *spapr_dma_page_sizes(uint64_t mask)
{
    sizeList *list = NULL, **tail = &list;

    for (; mask; mask &= mask - 1) {
        QAPI_LIST_APPEND(tail, mask & -mask);
    }
    return list;
}

/* The PHB whose child a window is, or NULL */
static SpaprPhbState *window_phb(const SpaprDmaWindow *window)
{
    return (SpaprPhbState *)object_dynamic_cast(OBJECT(window)->parent,
                                                TYPE_SPAPR_PCI_HOST_BRIDGE);
}

/* ---- a window ---- */

static SpaprDmaWindowKind window_kind(const SpaprDmaWindow *window)
{
    const SpaprPhbState *sphb = window_phb(window);

    if (!sphb) {
        return SPAPR_DMA_WINDOW_KIND_VIO;
    }
    return spapr_phb_window_is_default(sphb, window) ?
           SPAPR_DMA_WINDOW_KIND_DEFAULT : SPAPR_DMA_WINDOW_KIND_DYNAMIC;
}

static uint32_t window_notifiers(SpaprDmaWindow *window)
{
    IOMMUNotifier *n;
    uint32_t count = 0;

    IOMMU_NOTIFIER_FOREACH(n, &window->iommu) {
        count++;
    }
    return count;
}

static SpaprDmaHostWindowInfoList *window_mirrors(const SpaprDmaWindow *window)
{
    SpaprDmaHostWindowInfoList *list = NULL, **at;

    for (guint i = 0; i < window->mappers->len; i++) {
        SpaprDmaMapper *mapper = g_ptr_array_index(window->mappers, i);
        SpaprDmaHostWindowInfo *info = g_new0(SpaprDmaHostWindowInfo, 1);

        info->container = mapper->id;
        if (mapper->ops->describe_window) {
            mapper->ops->describe_window(mapper, window, info);
        }
        /* A window that was enabled later met the newest mapper first */
        at = &list;
        while (*at && (*at)->value->container < mapper->id) {
            at = &(*at)->next;
        }
        QAPI_LIST_PREPEND(*at, info);
    }
    return list;
}

static SpaprDmaCountersInfo *window_counters(const SpaprDmaWindow *window)
{
    const SpaprDmaCounters *counters = &window->counters;
    SpaprDmaCountersInfo *info = g_new0(SpaprDmaCountersInfo, 1);

    info->put = counters->calls[SPAPR_DMA_PUT];
    info->put_indirect = counters->calls[SPAPR_DMA_PUT_INDIRECT];
    info->stuff = counters->calls[SPAPR_DMA_STUFF];
    info->get = counters->calls[SPAPR_DMA_GET];
    info->maps = counters->maps;
    info->mapped_pages = counters->mapped_pages;
    info->unmaps = counters->unmaps;
    info->unmapped_pages = counters->unmapped_pages;
    info->refused = counters->refused;
    return info;
}

static SpaprDmaRefusalInfo *window_refusal(const SpaprDmaWindow *window)
{
    const SpaprDmaRefusal *refusal = &window->refusal;
    SpaprDmaRefusalInfo *info;

    if (!window->counters.refused) {
        return NULL;
    }
    info = g_new0(SpaprDmaRefusalInfo, 1);
    info->reason = refusal->reason;
    info->address = refusal->iova;
    info->entries = refusal->count;
    if (refusal->reason == SPAPR_DMA_REFUSAL_REASON_HOST) {
        info->has_container = true;
        info->container = refusal->container;
        info->error = g_strdup(strerror(refusal->error));
    }
    return info;
}

static void window_store(const SpaprDmaWindow *window, bool count_kvm,
                         SpaprDmaWindowInfo *info)
{
    bool with_kvm = window->kvm_fd >= 0;

    info->has_populated = !with_kvm || (count_kvm &&
                          window->geometry.entries <= COUNT_KVM_MAX);
    if (info->has_populated) {
        info->populated = spapr_tce_store_populated(window->store);
    }
    info->table_bytes = with_kvm ?
                        window->geometry.entries * sizeof(uint64_t) :
                        spapr_tce_store_bytes(window->store);
}

/* Of an enabled window */
static SpaprDmaWindowInfo *window_info(SpaprDmaWindow *window, bool count_kvm)
{
    const SpaprDmaGeometry *geometry = &window->geometry;
    SpaprDmaWindowInfo *info = g_new0(SpaprDmaWindowInfo, 1);

    info->liobn = window->liobn;
    info->qom_path = object_get_canonical_path(OBJECT(window));
    info->kind = window_kind(window);
    info->first = geometry->bus_offset;
    info->last = geometry->bus_offset + spapr_dma_window_size(window) - 1;
    info->page_size = 1ULL << geometry->page_shift;
    info->entries = geometry->entries;
    window_store(window, count_kvm, info);
    info->handler = window->handler;
    info->notifiers = window_notifiers(window);
    info->containers = window_mirrors(window);
    info->counters = window_counters(window);
    info->last_refusal = window_refusal(window);
    return info;
}

/* ---- a PHB ---- */

static void fill_limit(SpaprDmaLimitInfo *info, const SpaprDmaLimiter *by)
{
    info->reason = by->reason;
    info->has_container = by->mapper;
    info->container = by->mapper ? by->mapper->id : 0;
}

static SpaprDmaLimitInfo *limit_info(const SpaprDmaLimiter *by)
{
    SpaprDmaLimitInfo *info = g_new0(SpaprDmaLimitInfo, 1);

    fill_limit(info, by);
    return info;
}

static SpaprDmaMissingPageSizeList *missing_sizes(uint64_t sizes,
                                                  const SpaprDmaLimits *limits)
{
    SpaprDmaMissingPageSizeList *list = NULL, **tail = &list;

    for (; sizes; sizes &= sizes - 1) {
        SpaprDmaMissingPageSize *missing = g_new0(SpaprDmaMissingPageSize, 1);

        missing->page_size = sizes & -sizes;
        fill_limit(qapi_SpaprDmaMissingPageSize_base(missing),
                   &limits->page_sizes_by[ctz64(sizes)]);
        QAPI_LIST_APPEND(tail, missing);
    }
    return list;
}

static SpaprDmaOfferInfo *offer_info(SpaprPhbState *sphb)
{
    SpaprDdwOffer offer = spapr_phb_window_offer(sphb);
    SpaprDmaOfferInfo *info = g_new0(SpaprDmaOfferInfo, 1);

    info->windows = offer.windows;
    info->windows_limit = limit_info(&offer.limits.windows_by);
    info->max_tces = offer.max_tces;
    info->max_tces_limit = limit_info(&offer.limits.max_tces_by);
    info->page_sizes = spapr_dma_page_sizes(offer.page_sizes);
    info->missing_page_sizes =
        missing_sizes(spapr_phb_page_sizes(sphb) & ~offer.page_sizes,
                      &offer.limits);
    return info;
}

static SpaprDmaPhbInfo *phb_info(SpaprPhbState *sphb)
{
    SpaprDmaPhbInfo *info = g_new0(SpaprDmaPhbInfo, 1);
    SpaprDmaLimiter by;

    info->buid = sphb->buid;
    info->dynamic = sphb->ddw_enabled;
    info->mode = sphb->ddw_limited ? SPAPR_DMA_MODE_LIMITED :
                                     SPAPR_DMA_MODE_NORMAL;
    info->limited_offered = spapr_phb_limited_limit(sphb, &by);
    info->limited_limit = info->limited_offered ? NULL : limit_info(&by);
    info->offer = offer_info(sphb);
    return info;
}

/* ---- an owner ---- */

/* What is being put together */
typedef struct View {
    SpaprDmaOwnerInfo *info;
    bool count_kvm;
    SpaprDmaWindow *any;        /* a window, enabled or not */
} View;

static int add_window(Object *child, void *opaque)
{
    SpaprDmaWindow *window = (SpaprDmaWindow *)
        object_dynamic_cast(child, TYPE_SPAPR_DMA_WINDOW);
    View *view = opaque;
    SpaprDmaWindowInfoList **at = &view->info->windows;

    if (!window) {
        return 0;
    }
    view->any = window;
    if (spapr_dma_window_enabled(window)) {
        while (*at && (*at)->value->liobn < window->liobn) {
            at = &(*at)->next;
        }
        QAPI_LIST_PREPEND(*at, window_info(window, view->count_kvm));
    }
    return 0;
}

static SpaprDmaContainerInfo *container_info(SpaprDmaMapper *mapper)
{
    SpaprDmaContainerInfo *info = g_new0(SpaprDmaContainerInfo, 1);

    info->id = mapper->id;
    info->kind = SPAPR_DMA_CONTAINER_KIND_OTHER;
    info->kvm_updates = !mapper->sees_all;
    if (mapper->ops->describe) {
        mapper->ops->describe(mapper, info);
    }
    return info;
}

/* The newest mapper is the first in the list of its space */
static SpaprDmaContainerInfoList *containers(const SpaprDmaSpace *space)
{
    SpaprDmaContainerInfoList *list = NULL;
    SpaprDmaMapper *mapper;

    QLIST_FOREACH(mapper, &space->mappers, next) {
        QAPI_LIST_PREPEND(list, container_info(mapper));
    }
    return list;
}

/* Returns NULL if the device is not realized, or can have no window */
static SpaprDmaOwnerInfo *owner_info(Object *owner, bool count_kvm)
{
    SpaprPhbState *sphb = (SpaprPhbState *)
        object_dynamic_cast(owner, TYPE_SPAPR_PCI_HOST_BRIDGE);
    SpaprDmaOwnerInfo *info = g_new0(SpaprDmaOwnerInfo, 1);
    View view = { .info = info, .count_kvm = count_kvm };

    if (qdev_is_realized(DEVICE(owner))) {
        object_child_foreach(owner, add_window, &view);
    }
    if (!view.any) {
        qapi_free_SpaprDmaOwnerInfo(info);
        return NULL;
    }
    info->name = sphb ? g_strdup(sphb->dtbusname) :
                        qdev_get_dev_path(DEVICE(owner));
    info->qom_path = object_get_canonical_path(owner);
    info->phb = sphb ? phb_info(sphb) : NULL;
    info->containers = containers(view.any->space);
    return info;
}

static SpaprDmaLockedInfo *locked_info(void)
{
    SpaprDmaLocked locked;
    uint64_t sum = spapr_dma_locked(NULL, &locked);
    SpaprDmaLockedInfo *info;

    if (!sum) {
        return NULL;
    }
    info = g_new0(SpaprDmaLockedInfo, 1);
    info->ram = locked.ram;
    info->host_tables = locked.host_tables;
    info->kvm_tables = locked.kvm_tables;
    info->sum = sum;
    return info;
}

static void owner_describe(SpaprDmaOwner *owner, bool count_kvm,
                           SpaprDmaInfo *info)
{
    SpaprDmaOwnerInfo *new = owner_info(OBJECT(owner), count_kvm);
    SpaprDmaOwnerInfoList **at = &info->owners;

    if (!new) {
        return;
    }
    while (*at && strcmp((*at)->value->qom_path, new->qom_path) < 0) {
        at = &(*at)->next;
    }
    QAPI_LIST_PREPEND(*at, new);
    info->has_table_bytes = info->has_max_table_bytes = true;
    info->table_bytes = qatomic_read(&spapr_dma_machine()->budget.used);
    info->max_table_bytes = spapr_dma_budget_limit();
    if (!info->locked_memory) {
        info->locked_memory = locked_info();
    }
}

/* ---- runs ---- */

static SpaprDmaRunInfo *run_info(const SpaprDmaWindow *window,
                                 const SpaprTceRun *run)
{
    static const SpaprDmaAccess access[] = {
        [IOMMU_RO] = SPAPR_DMA_ACCESS_READ,
        [IOMMU_WO] = SPAPR_DMA_ACCESS_WRITE,
        [IOMMU_RW] = SPAPR_DMA_ACCESS_READ_WRITE,
    };
    SpaprDmaRunInfo *info = g_new0(SpaprDmaRunInfo, 1);

    info->index = run->index;
    info->entries = run->count;
    info->iova = spapr_dma_iova(window, run->index);
    info->gpa = run->target;
    info->size = spapr_dma_bytes(window, run->count);
    info->access = access[run->perm];
    return info;
}

static SpaprDmaRunsInfo *window_runs(const SpaprDmaWindow *window,
                                     uint64_t index, uint32_t max)
{
    SpaprDmaRunsInfo *info = g_new0(SpaprDmaRunsInfo, 1);
    SpaprDmaRunInfoList **tail = &info->runs;
    uint64_t entries = window->geometry.entries, end;
    SpaprTceRun run;

    index = MIN(index, entries);
    end = index + spapr_dma_window_step(window, index, entries - index);
    while (max &&
           spapr_tce_store_next_run(window->store, end, &index, &run)) {
        QAPI_LIST_APPEND(tail, run_info(window, &run));
        max--;
    }
    info->next = max ? end : index;
    info->has_next = info->next < entries;
    return info;
}

static SpaprDmaRunsInfo *owner_runs(SpaprDmaOwner *owner, uint32_t liobn,
                                    uint64_t index, uint32_t max)
{
    SpaprDmaWindow *window = spapr_dma_window_find(liobn);

    if (!window || OBJECT(window)->parent != OBJECT(owner) ||
        !spapr_dma_window_enabled(window)) {
        return NULL;
    }
    return window_runs(window, index, max);
}

/* ---- properties ---- */

static void get_owner_info(Object *obj, Visitor *v, const char *name,
                           void *opaque, Error **errp)
{
    SpaprDmaOwnerInfo *info = owner_info(obj, false);

    if (info) {
        visit_type_SpaprDmaOwnerInfo(v, name, &info, errp);
        qapi_free_SpaprDmaOwnerInfo(info);
    } else {
        error_setg(errp, "this device has no DMA windows");
    }
}

static void get_window_info(Object *obj, Visitor *v, const char *name,
                            void *opaque, Error **errp)
{
    SpaprDmaWindow *window = SPAPR_DMA_WINDOW(obj);
    SpaprDmaWindowInfo *info;

    if (spapr_dma_window_enabled(window)) {
        info = window_info(window, false);
        visit_type_SpaprDmaWindowInfo(v, name, &info, errp);
        qapi_free_SpaprDmaWindowInfo(info);
    } else {
        error_setg(errp, "the guest has no DMA window 0x%x now",
                   window->liobn);
    }
}

void spapr_dma_owner_class_init(ObjectClass *klass)
{
    SpaprDmaOwnerClass *owner = SPAPR_DMA_OWNER_CLASS(klass);

    owner->describe = owner_describe;
    owner->runs = owner_runs;
    object_class_property_add(klass, "dma-info", "SpaprDmaOwnerInfo",
                              get_owner_info, NULL, NULL, NULL);
    object_class_property_set_description(klass, "dma-info",
        "DMA windows, as query-spapr-dma has them");
}

void spapr_dma_window_class_view(ObjectClass *klass)
{
    object_class_property_add(klass, "dma-info", "SpaprDmaWindowInfo",
                              get_window_info, NULL, NULL, NULL);
    object_class_property_set_description(klass, "dma-info",
        "This DMA window, as query-spapr-dma has it");
}

static const TypeInfo view_types[] = {
    {
        .name = TYPE_SPAPR_DMA_OWNER,
        .parent = TYPE_INTERFACE,
        .class_size = sizeof(SpaprDmaOwnerClass),
    },
};

DEFINE_TYPES(view_types)
