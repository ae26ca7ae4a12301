/*
 * VFIO containers on sPAPR: what is mapped in host DMA windows
 *
 * Objects
 *   container    IOMMU groups of the host which share host windows
 *   host window  a TCE table of the host that mirrors one guest window, in
 *                every group of the container
 *
 * A container is a mapper of the windows of its PCI address space (see
 * hw/ppc/spapr_dma_mapper.h): a window that a guest creates asks it before
 * anybody sees the window, and windows which were there first are replayed to
 * it.  Two listeners stand beside that: one sees what *is* mapped on the PCI
 * address space besides windows (spapr-bus.c), the other, for containers that
 * register RAM (prereg.c), what *could* be mapped.
 *
 * Invariants
 *   - RAM is registered before it is mapped and until it is unmapped.
 *   - A host window is in the list if and only if the host has it.
 *   - A host window starts where its guest window starts, and its pages are
 *     not larger than the pages of the guest window.
 *
 * What can fail
 *   Setting up, adding a window, a group that joins, RAM that is plugged in,
 *   mapping: each undoes its own steps.  Tearing down cannot; what the host
 *   refuses then is reported once.
 *
 * Everything here runs under the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/range.h"
#include "qemu/rcu.h"
#include "memlock.h"
#include "spapr.h"
#include "trace.h"

static VFIOSpaprContainer *vfio_spapr_of_mapper(SpaprDmaMapper *mapper)
{
    return container_of(mapper, VFIOSpaprContainer, mapper);
}

VFIOHostWindow *vfio_spapr_host_window(const VFIOSpaprContainer *sc,
                                       const SpaprDmaWindow *window)
{
    VFIOHostWindow *hw = QLIST_FIRST(&sc->windows);

    while (hw->window != window) {
        hw = QLIST_NEXT(hw, next);
    }
    return hw;
}

/*
 * Mapping
 */

void vfio_spapr_unmap_range(VFIOSpaprContainer *sc, uint64_t iova,
                            uint64_t size)
{
    int ret = vfio_spapr_host_unmap(&sc->host, iova, size);

    /* A host window that does not exist yet (v1, nothing mapped) has nothing */
    if (ret && ret != -ENXIO) {
        warn_report_once("vfio: host did not unmap 0x%" PRIx64 "+0x%" PRIx64
                         ", a device may still reach that RAM: %s",
                         iova, size, strerror(-ret));
    }
}

/*
 * Find what RAM lies at @gpa, if any.  @size is cut to what is contiguous from
 * there in this process.  ROM takes the permission to write out of @perm.
 * Memory of devices of the host cannot be mapped.
 *
 * Call it in an RCU read-side section, in which @vaddr is valid.
 */
static int vfio_spapr_resolve(AddressSpace *as, uint64_t gpa, uint64_t *size,
                              IOMMUAccessFlags *perm, void **vaddr)
{
    hwaddr offset, len = *size;
    MemoryRegion *mr = address_space_translate(as, gpa, &offset, &len,
                                               *perm & IOMMU_WO,
                                               MEMTXATTRS_UNSPECIFIED);

    if (!memory_region_is_ram(mr) || memory_region_is_ram_device(mr)) {
        return -EFAULT;
    }
    if (mr->readonly) {
        *perm &= ~IOMMU_WO;
    }
    *vaddr = memory_region_get_ram_ptr(mr) + offset;
    *size = len;
    return *perm ? 0 : -EACCES;
}

/* A guest can repeat what fails: once for the log, always for the trace */
static void vfio_spapr_map_refused(VFIOSpaprContainer *sc,
                                   const SpaprDmaRun *run, int ret)
{
    sc->maps_refused++;
    trace_vfio_spapr_map_refused(sc->host.fd, run->iova, run->gpa, run->size,
                                 ret, sc->maps_refused);
    warn_report_once("vfio: guest memory 0x%" PRIx64 "+0x%" PRIx64 " is not"
                     " mapped for DMA at 0x%" PRIx64 ": %s; later failures are"
                     " only traced (vfio_spapr_map_refused)", run->gpa,
                     run->size, run->iova, strerror(-ret));
}

static void vfio_spapr_unmap(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                             uint64_t iova, uint64_t size)
{
    VFIOSpaprContainer *sc = vfio_spapr_of_mapper(mapper);
    uint64_t done, n;

    for (done = 0; done < size; done += n) {
        n = size - done;
        if (!vfio_spapr_bus_hides(sc, window, iova + done, &n)) {
            vfio_spapr_unmap_range(sc, iova + done, n);
        }
    }
}

static int vfio_spapr_map(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                          const SpaprDmaRun *run)
{
    VFIOSpaprContainer *sc = vfio_spapr_of_mapper(mapper);
    uint64_t done, size;
    int ret = 0;

    /* Pieces that are too small for a host page are refused by the host */
    RCU_READ_LOCK_GUARD();
    for (done = 0; !ret && done < run->size; done += size) {
        IOMMUAccessFlags perm = run->perm;
        void *vaddr;

        size = run->size - done;
        if (vfio_spapr_bus_hides(sc, window, run->iova + done, &size)) {
            continue;
        }
        ret = vfio_spapr_resolve(window->target, run->gpa + done, &size, &perm,
                                 &vaddr);
        if (!ret) {
            ret = vfio_spapr_host_map(&sc->host, run->iova + done, vaddr, size,
                                      perm);
        }
    }
    if (ret) {
        vfio_spapr_unmap(mapper, window, run->iova, run->size);
        vfio_spapr_map_refused(sc, run, ret);
    }
    return ret;
}

/* KVM would map below bus RAM what a guest stores there */
void vfio_spapr_update_kvm(VFIOSpaprContainer *sc)
{
    bool kvm_updates = VFIO_IOMMU_SPAPR_GET_CLASS(sc)->kvm_updates;

    spapr_dma_mapper_set_sees_all(&sc->mapper, !kvm_updates ||
                                  !QLIST_EMPTY(&sc->bus_ram));
}

/*
 * Windows
 */

static void vfio_spapr_window_del(SpaprDmaMapper *mapper,
                                  SpaprDmaWindow *window)
{
    VFIOSpaprContainer *sc = vfio_spapr_of_mapper(mapper);
    VFIOHostWindow *hw = vfio_spapr_host_window(sc, window);

    VFIO_IOMMU_SPAPR_GET_CLASS(sc)->window_drop(sc, hw);
    QLIST_REMOVE(hw, next);
    g_free(hw);
}

static bool vfio_spapr_window_add(SpaprDmaMapper *mapper,
                                  SpaprDmaWindow *window, Error **errp)
{
    VFIOSpaprContainer *sc = vfio_spapr_of_mapper(mapper);
    VFIOHostWindow *hw = g_new0(VFIOHostWindow, 1);

    hw->window = window;
    hw->start = window->geometry.bus_offset;
    hw->size = spapr_dma_window_size(window);
    if (!VFIO_IOMMU_SPAPR_GET_CLASS(sc)->window_make(sc, hw, errp)) {
        g_free(hw);
        return false;
    }
    QLIST_INSERT_HEAD(&sc->windows, hw, next);
    if (!vfio_spapr_bus_window_added(sc, hw, errp)) {
        vfio_spapr_window_del(mapper, window);
        return false;
    }
    return true;
}

static bool vfio_spapr_kvm_connect(SpaprDmaMapper *mapper,
                                   SpaprDmaWindow *window, Error **errp)
{
    VFIOSpaprContainer *sc = vfio_spapr_of_mapper(mapper);
    VFIOGroup *group;

    QLIST_FOREACH(group, &sc->container.group_list, container_next) {
        int ret = vfio_spapr_host_tell_kvm(group->fd, window->kvm_fd);

        if (ret) {
            error_setg_errno(errp, -ret, "KVM does not connect the DMA window"
                             " of LIOBN 0x%x at 0x%" PRIx64 " to group %d",
                             window->liobn, window->geometry.bus_offset,
                             group->groupid);
            return false;
        }
    }
    return true;
}

static void vfio_spapr_limits(SpaprDmaMapper *mapper, SpaprDmaLimits *limits)
{
    VFIOSpaprContainer *sc = vfio_spapr_of_mapper(mapper);

    VFIO_IOMMU_SPAPR_GET_CLASS(sc)->limits(sc, limits);
}

static bool vfio_spapr_can_start(SpaprDmaMapper *mapper, uint64_t bus_offset)
{
    VFIOSpaprContainer *sc = vfio_spapr_of_mapper(mapper);

    return VFIO_IOMMU_SPAPR_GET_CLASS(sc)->can_start(sc, bus_offset);
}

static bool vfio_spapr_expect_ram(SpaprDmaMapper *mapper, MemoryRegion *mr,
                                  Error **errp)
{
    VFIOSpaprContainer *sc = vfio_spapr_of_mapper(mapper);
    VFIOSpaprContainerClass *class = VFIO_IOMMU_SPAPR_GET_CLASS(sc);

    return !class->expect_ram || class->expect_ram(sc, mr, errp);
}

static bool vfio_spapr_locked(const SpaprDmaMapper *mapper,
                              const SpaprDmaGeometry *windows, unsigned count,
                              SpaprDmaLocked *locked)
{
    VFIOSpaprContainer *sc = vfio_spapr_of_mapper((SpaprDmaMapper *)mapper);
    VFIOSpaprContainerClass *class = VFIO_IOMMU_SPAPR_GET_CLASS(sc);

    class->locked(sc, windows, count, locked);
    return class->kvm_updates;
}

static char *vfio_spapr_remedy(SpaprDmaMapper *mapper,
                               SpaprDmaLimitReason reason)
{
    return reason == SPAPR_DMA_LIMIT_REASON_LOCKED_MEMORY ?
           vfio_memlock_remedy(mapper, 0, false) : NULL;
}

/*
 * What there is to see
 */

/* The order of the list of groups is that of no operator */
static intList *vfio_spapr_groups(const VFIOSpaprContainer *sc)
{
    intList *list = NULL, **at;
    const VFIOGroup *group;

    QLIST_FOREACH(group, &sc->container.group_list, container_next) {
        at = &list;
        while (*at && (*at)->value < group->groupid) {
            at = &(*at)->next;
        }
        QAPI_LIST_PREPEND(*at, group->groupid);
    }
    return list;
}

static void vfio_spapr_describe(SpaprDmaMapper *mapper,
                                SpaprDmaContainerInfo *info)
{
    VFIOSpaprContainer *sc = vfio_spapr_of_mapper(mapper);
    SpaprDmaVfioInfo *vfio = g_new0(SpaprDmaVfioInfo, 1);
    uint64_t left;

    info->vfio = vfio;
    vfio->fd = sc->host.fd;
    vfio->groups = vfio_spapr_groups(sc);
    vfio->maps_refused = sc->maps_refused;
    vfio->bus_ram = vfio_spapr_bus_count(sc);
    VFIO_IOMMU_SPAPR_GET_CLASS(sc)->describe(sc, info);
    left = vfio_memlock_left(vfio->locked);
    vfio->has_lockable = left != UINT64_MAX;
    vfio->lockable = vfio->has_lockable ? left : 0;
}

static void vfio_spapr_describe_window(SpaprDmaMapper *mapper,
                                       const SpaprDmaWindow *window,
                                       SpaprDmaHostWindowInfo *info)
{
    VFIOSpaprContainer *sc = vfio_spapr_of_mapper(mapper);
    const VFIOHostWindow *hw = vfio_spapr_host_window(sc, window);

    info->has_start = info->has_size = true;
    info->has_page_size = info->has_levels = true;
    info->start = hw->start;
    info->size = hw->size;
    info->page_size = 1ULL << hw->page_shift;
    info->levels = hw->levels;
}

static const SpaprDmaMapperOps vfio_spapr_mapper_ops = {
    .window_add = vfio_spapr_window_add,
    .window_del = vfio_spapr_window_del,
    .map = vfio_spapr_map,
    .unmap = vfio_spapr_unmap,
    .kvm_connect = vfio_spapr_kvm_connect,
    .limits = vfio_spapr_limits,
    .can_start = vfio_spapr_can_start,
    .expect_ram = vfio_spapr_expect_ram,
    .locked = vfio_spapr_locked,
    .remedy = vfio_spapr_remedy,
    .describe = vfio_spapr_describe,
    .describe_window = vfio_spapr_describe_window,
};

/*
 * Registration of RAM
 */

static int vfio_spapr_register_ram(void *opaque, void *vaddr, uint64_t size)
{
    const VFIOSpaprContainer *sc = opaque;

    return vfio_spapr_host_register(&sc->host, vaddr, size);
}

static int vfio_spapr_unregister_ram(void *opaque, void *vaddr, uint64_t size)
{
    const VFIOSpaprContainer *sc = opaque;

    return vfio_spapr_host_unregister(&sc->host, vaddr, size);
}

static char *vfio_spapr_register_remedy(void *opaque, uint64_t coming,
                                        bool plugged)
{
    const VFIOSpaprContainer *sc = opaque;

    return vfio_memlock_remedy(&sc->mapper, coming, plugged);
}

/* Well-behaved guests have unmapped it themselves */
static void vfio_spapr_vanished(void *opaque, AddressSpace *as, uint64_t addr,
                                uint64_t size)
{
    VFIOSpaprContainer *sc = opaque;

    spapr_dma_mapper_renew(&sc->mapper, as, addr, size);
}

static const VFIOPreregOps vfio_spapr_prereg_ops = {
    .register_ram = vfio_spapr_register_ram,
    .unregister_ram = vfio_spapr_unregister_ram,
    .remedy = vfio_spapr_register_remedy,
    .vanished = vfio_spapr_vanished,
    .freeze = spapr_dma_freeze,
    .thaw = spapr_dma_thaw,
};

/* What could be mapped: on the bus, and behind windows that may come */
static bool vfio_spapr_follow(VFIOSpaprContainer *sc, SpaprDmaSpace *space,
                              Error **errp)
{
    SpaprDmaWindow *window;

    QLIST_FOREACH(window, &space->windows, next) {
        if (!vfio_prereg_follow(&sc->prereg, window->target, errp)) {
            return false;
        }
    }
    return vfio_prereg_follow(&sc->prereg, space->as, errp);
}

/*
 * The container
 */

static bool vfio_spapr_get_info(VFIOSpaprContainer *sc, Error **errp)
{
    int ret = vfio_spapr_host_info(&sc->host, &sc->info);

    if (ret) {
        error_setg_errno(errp, -ret, "host does not describe its DMA windows"
                         " (VFIO_IOMMU_SPAPR_TCE_GET_INFO)");
        return false;
    }
    VFIO_IOMMU(sc)->pgsizes = sc->info.page_sizes ?:
                              qemu_real_host_page_size();
    return true;
}

static void vfio_spapr_release(VFIOContainerBase *bcontainer)
{
    VFIOSpaprContainer *sc = VFIO_IOMMU_SPAPR(bcontainer);
    VFIOSpaprContainerClass *class = VFIO_IOMMU_SPAPR_GET_CLASS(sc);

    sc->started = false;
    spapr_dma_mapper_unregister(&sc->mapper);
    vfio_spapr_bus_unlisten(sc);
    if (class->registers_ram) {
        vfio_prereg_stop(&sc->prereg);
    }
    class->close(sc);
}

static bool vfio_spapr_setup(VFIOContainerBase *bcontainer, Error **errp)
{
    VFIOSpaprContainer *sc = VFIO_IOMMU_SPAPR(bcontainer);
    VFIOSpaprContainerClass *class = VFIO_IOMMU_SPAPR_GET_CLASS(sc);
    SpaprDmaSpace *space = spapr_dma_space_find(bcontainer->space->as);

    sc->host.fd = sc->container.fd;
    if (!space) {
        error_setg(errp, "device is not on a bus with sPAPR DMA windows");
        return false;
    }
    spapr_dma_mapper_init(&sc->mapper, &vfio_spapr_mapper_ops, space);
    if (!vfio_spapr_get_info(sc, errp) || !class->open(sc, errp)) {
        return false;
    }
    if (class->registers_ram) {
        vfio_prereg_init(&sc->prereg, &vfio_spapr_prereg_ops, sc);
    }
    if ((class->registers_ram && !vfio_spapr_follow(sc, space, errp)) ||
        !spapr_dma_mapper_register(&sc->mapper, errp) ||
        !vfio_spapr_bus_listen(sc, space->as, errp)) {
        vfio_spapr_release(bcontainer);
        return false;
    }
    return true;
}

/*
 * The host has put its windows into the new group.  KVM is told of all groups
 * anew: if it refuses one, it forgets them all.
 */
static bool vfio_spapr_group_joined(VFIOContainerBase *bcontainer,
                                    VFIOGroup *group, Error **errp)
{
    VFIOSpaprContainer *sc = VFIO_IOMMU_SPAPR(bcontainer);
    VFIOSpaprContainerClass *class = VFIO_IOMMU_SPAPR_GET_CLASS(sc);

    if (QLIST_NEXT(group, container_next) && class->can_share &&
        !class->can_share(sc)) {
        trace_vfio_spapr_group_apart(group->groupid);
        error_setg(errp, "host makes no DMA window for several groups");
        return false;
    }
    spapr_dma_mapper_set_sees_all(&sc->mapper, true);
    vfio_spapr_update_kvm(sc);
    return true;
}

/* Linux 6.12 and later clear shared windows then, older ones do not */
static void vfio_spapr_group_left(VFIOContainerBase *bcontainer)
{
    VFIOSpaprContainer *sc = VFIO_IOMMU_SPAPR(bcontainer);
    VFIOHostWindow *hw;
    Error *err = NULL;

    QLIST_FOREACH(hw, &sc->windows, next) {
        if (!spapr_dma_mapper_replay(&sc->mapper, hw->window, &err)) {
            error_reportf_err(err, "vfio: a device lost DMA mappings when a"
                              " group left its container: ");
            err = NULL;
        }
    }
    vfio_spapr_bus_map_again(sc);
    /* KVM may have refused a window because of the one that has left */
    vfio_spapr_update_kvm(sc);
}

static void vfio_spapr_instance_init(Object *obj)
{
    VFIOSpaprContainer *sc = VFIO_IOMMU_SPAPR(obj);

    QLIST_INIT(&sc->windows);
    QLIST_INIT(&sc->bus_ram);
}

static void vfio_spapr_class_init(ObjectClass *klass, void *data)
{
    VFIOIOMMUClass *vioc = VFIO_IOMMU_CLASS(klass);

    vioc->own_listener = true;
    vioc->setup = vfio_spapr_setup;
    vioc->release = vfio_spapr_release;
    vioc->group_joined = vfio_spapr_group_joined;
    vioc->group_left = vfio_spapr_group_left;
}

static const TypeInfo vfio_spapr_types[] = {
    {
        .name = TYPE_VFIO_IOMMU_SPAPR,
        .parent = TYPE_VFIO_IOMMU_LEGACY,
        .abstract = true,
        .instance_size = sizeof(VFIOSpaprContainer),
        .instance_init = vfio_spapr_instance_init,
        .class_size = sizeof(VFIOSpaprContainerClass),
        .class_init = vfio_spapr_class_init,
    },
};

DEFINE_TYPES(vfio_spapr_types)
