/*
 * VFIO containers on sPAPR: host DMA windows and what is mapped in them
 *
 * Objects
 *   container    IOMMU groups of the host which share host windows
 *   host window  a TCE table of the host that mirrors one guest window, in
 *                every group of the container
 *   flavour      what VFIO_SPAPR_TCE_IOMMU ("v1": one fixed window, pages are
 *                pinned as they are mapped) and VFIO_SPAPR_TCE_v2_IOMMU ("v2":
 *                windows come and go, RAM is registered first) do differently
 *
 * A container is a mapper of the windows of its PCI address space (see
 * hw/ppc/spapr_dma_window.h), so a window that a guest creates asks it before
 * anybody sees the window.  Windows which were there first are shown by the
 * memory listener of the container, through @add_window.
 *
 * Invariants
 *   - RAM is registered before the first window exists and until the last is
 *     gone (v2), so what is mapped is always registered.
 *   - A host window is in the list if and only if the host has it and, where
 *     KVM handles hypercalls of the guest window, KVM knows the host window
 *     of every group.
 *   - A host window starts where its guest window starts, and its pages are
 *     not larger than the pages of the guest window.
 *   - The host chooses where a window starts: the lowest of its places that
 *     is not taken.  What its places are is found out once, by trying.
 *   - KVM never handles hypercalls for a window in a v1 container: it would
 *     map pages that this container has not pinned.
 *
 * What can fail
 *   Setting up, adding a window, a group that joins, RAM that is plugged in,
 *   mapping: each undoes its own steps.  Tearing down cannot; what the host
 *   refuses then is reported once.  An ioctl has succeeded only if it returned
 *   0, for the driver lets positive values escape that mean failure.
 *
 * Everything here runs under the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/ioctl.h>
#include <linux/kvm.h>
#include <linux/vfio.h>

#include "exec/address-spaces.h"
#include "hw/ppc/spapr_dma_window.h"
#include "hw/vfio/vfio-common.h"
#include "hw/vfio/vfio-prereg.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/host-utils.h"
#include "qemu/rcu.h"
#include "qemu/units.h"
#include "system/hostmem.h"
#include "trace.h"

/* Pages of a v1 container's only window */
#define VFIO_SPAPR_V1_PAGE_SHIFT 12

/* What it offers to guests: it is so small that larger pages would be few */
#define VFIO_SPAPR_V1_PAGE_SIZES (64 * KiB | 4 * KiB)

/* Places that a host has for windows */
#define VFIO_SPAPR_PLACES 2

/* The upper one on bare metal, as far as it could not be found out */
#define VFIO_SPAPR_PLACE_64 (1ULL << 59)

/* Locked memory per entry: the hardware's table, and the driver's own */
#define VFIO_SPAPR_ENTRY_BYTES 16ULL

/* Host pages that the upper levels and the ends of two tables may need */
#define VFIO_SPAPR_SLACK_PAGES 16

/* Linux makes no window on bare metal whose bus addresses need more bits */
#define VFIO_SPAPR_MAX_SHIFT 54

/* One level of a TCE table should not need more than 2^6 host pages in a row */
#define VFIO_SPAPR_LEVEL_PAGES_SHIFT 6

typedef struct VFIOSpaprContainer VFIOSpaprContainer;

/* All fields are set once, when the window is added */
typedef struct VFIOHostWindow {
    SpaprDmaWindow *window;     /* the guest window that it mirrors */
    uint64_t start;             /* bus address, equal to the guest's */
    uint64_t size;              /* bytes */
    uint32_t page_shift;        /* of the host's table */
    QLIST_ENTRY(VFIOHostWindow) next;
} VFIOHostWindow;

typedef struct VFIOSpaprFlavour {
    SpaprDmaMapperOps mapper_ops;
    bool prereg;                /* RAM must be registered before mapping */
    bool sees_all;              /* see SpaprDmaMapper */
    bool (*open)(VFIOSpaprContainer *sc, Error **errp);
    void (*close)(VFIOSpaprContainer *sc);
} VFIOSpaprFlavour;

struct VFIOSpaprContainer {
    VFIOContainer container;
    const VFIOSpaprFlavour *flavour;            /* set once, by setup */
    struct vfio_iommu_spapr_tce_info info;      /* set once, by setup */
    uint64_t places[VFIO_SPAPR_PLACES];         /* set once, by setup (v2) */
    unsigned places_known;                      /* set once, by setup (v2) */
    uint64_t maps_refused;      /* runs, for the trace */
    SpaprDmaMapper mapper;
    VFIOPrereg prereg;
    QLIST_HEAD(, VFIOHostWindow) windows;
};

OBJECT_DECLARE_SIMPLE_TYPE(VFIOSpaprContainer, VFIO_IOMMU_SPAPR)

/* Returns 0, or the negative errno of what is a failure in any way */
static int vfio_spapr_ioctl(const VFIOSpaprContainer *sc,
                            unsigned long request, void *arg)
{
    int ret = ioctl(sc->container.fd, request, arg);

    if (ret < 0) {
        return -errno;
    }
    return ret ? -EINVAL : 0;
}

static VFIOSpaprContainer *vfio_spapr_of_mapper(SpaprDmaMapper *mapper)
{
    return container_of(mapper, VFIOSpaprContainer, mapper);
}

/* The host window of a guest window that this container is attached to */
static VFIOHostWindow *vfio_spapr_find(VFIOSpaprContainer *sc,
                                       const SpaprDmaWindow *window)
{
    VFIOHostWindow *hw = QLIST_FIRST(&sc->windows);

    while (hw->window != window) {
        hw = QLIST_NEXT(hw, next);
    }
    return hw;
}

static void vfio_spapr_remember(VFIOSpaprContainer *sc, SpaprDmaWindow *window,
                                uint32_t page_shift)
{
    VFIOHostWindow *hw = g_new0(VFIOHostWindow, 1);

    hw->window = window;
    hw->start = window->geometry.bus_offset;
    hw->size = spapr_dma_window_size(window);
    hw->page_shift = page_shift;
    QLIST_INSERT_HEAD(&sc->windows, hw, next);
}

static void vfio_spapr_forget(VFIOHostWindow *hw)
{
    QLIST_REMOVE(hw, next);
    g_free(hw);
}

/*
 * Registration of RAM
 */

static int vfio_spapr_register_ram(void *opaque, void *vaddr, uint64_t size)
{
    const VFIOSpaprContainer *sc = opaque;
    struct vfio_iommu_spapr_register_memory reg = {
        .argsz = sizeof(reg),
        .vaddr = (uintptr_t)vaddr,
        .size = size,
    };
    int ret = ioctl(sc->container.fd, VFIO_IOMMU_SPAPR_REGISTER_MEMORY, &reg);

    if (ret < 0) {
        return -errno;
    }
    /* Positive: so many pages were pinned when the next one could not be */
    return ret ? -EFAULT : 0;
}

static int vfio_spapr_unregister_ram(void *opaque, void *vaddr, uint64_t size)
{
    struct vfio_iommu_spapr_register_memory reg = {
        .argsz = sizeof(reg),
        .vaddr = (uintptr_t)vaddr,
        .size = size,
    };

    return vfio_spapr_ioctl(opaque, VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, &reg);
}

/* Well-behaved guests have done so themselves */
static void vfio_spapr_unmap_ram(void *opaque, uint64_t gpa, uint64_t size)
{
    VFIOSpaprContainer *sc = opaque;
    VFIOHostWindow *hw;

    QLIST_FOREACH(hw, &sc->windows, next) {
        spapr_dma_window_unmap_ram(hw->window, &sc->mapper, gpa, size);
    }
}

static const VFIOPreregOps vfio_spapr_prereg_ops = {
    .register_ram = vfio_spapr_register_ram,
    .unregister_ram = vfio_spapr_unregister_ram,
    .unmap_ram = vfio_spapr_unmap_ram,
};

/*
 * Mapping
 */

static void vfio_spapr_unmap_range(VFIOSpaprContainer *sc, uint64_t iova,
                                   uint64_t size)
{
    struct vfio_iommu_type1_dma_unmap unmap = {
        .argsz = sizeof(unmap),
        .iova = iova,
        .size = size,
    };
    int ret = vfio_spapr_ioctl(sc, VFIO_IOMMU_UNMAP_DMA, &unmap);

    trace_vfio_spapr_unmap(sc->container.fd, iova, size, ret);
    /* A host window that does not exist yet (v1, nothing mapped) has nothing */
    if (ret && ret != -ENXIO) {
        warn_report_once("vfio: host did not unmap 0x%" PRIx64 "+0x%" PRIx64
                         ", a device may still reach that RAM: %s",
                         iova, size, strerror(-ret));
    }
}

static int vfio_spapr_map_piece(VFIOSpaprContainer *sc, uint64_t iova,
                                void *vaddr, uint64_t size, uint32_t flags)
{
    struct vfio_iommu_type1_dma_map map = {
        .argsz = sizeof(map),
        .flags = flags,
        .vaddr = (uintptr_t)vaddr,
        .iova = iova,
        .size = size,
    };
    int ret = vfio_spapr_ioctl(sc, VFIO_IOMMU_MAP_DMA, &map);

    trace_vfio_spapr_map(sc->container.fd, iova, map.vaddr, size, ret);
    return ret;
}

/*
 * Find what RAM lies at @gpa, if any.  @size is cut to what is contiguous from
 * there in this process.  ROM takes the permission to write out of @flags.
 * Memory of devices of the host cannot be mapped.
 *
 * Call it in an RCU read-side section, in which @vaddr is valid.
 */
static int vfio_spapr_resolve(uint64_t gpa, uint64_t *size, uint32_t *flags,
                              void **vaddr)
{
    hwaddr offset, len = *size;
    bool write = *flags & VFIO_DMA_MAP_FLAG_WRITE;
    MemoryRegion *mr = address_space_translate(&address_space_memory, gpa,
                                               &offset, &len, write,
                                               MEMTXATTRS_UNSPECIFIED);

    if (!memory_region_is_ram(mr) || memory_region_is_ram_device(mr)) {
        return -EFAULT;
    }
    if (mr->readonly) {
        *flags &= ~VFIO_DMA_MAP_FLAG_WRITE;
    }
    *vaddr = memory_region_get_ram_ptr(mr) + offset;
    *size = len;
    return *flags ? 0 : -EACCES;
}

static uint32_t vfio_spapr_map_flags(IOMMUAccessFlags perm)
{
    return (perm & IOMMU_RO ? VFIO_DMA_MAP_FLAG_READ : 0) |
           (perm & IOMMU_WO ? VFIO_DMA_MAP_FLAG_WRITE : 0);
}

/* A guest can repeat what fails: once for the log, always for the trace */
static void vfio_spapr_map_refused(VFIOSpaprContainer *sc,
                                   const SpaprDmaRun *run, int ret)
{
    sc->maps_refused++;
    trace_vfio_spapr_map_refused(sc->container.fd, run->iova, run->gpa,
                                 run->size, ret, sc->maps_refused);
    warn_report_once("vfio: guest memory 0x%" PRIx64 "+0x%" PRIx64 " is not"
                     " mapped for DMA at 0x%" PRIx64 ": %s; later failures are"
                     " only traced (vfio_spapr_map_refused)", run->gpa,
                     run->size, run->iova, strerror(-ret));
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
        uint32_t flags = vfio_spapr_map_flags(run->perm);
        void *vaddr;

        size = run->size - done;
        ret = vfio_spapr_resolve(run->gpa + done, &size, &flags, &vaddr);
        if (!ret) {
            ret = vfio_spapr_map_piece(sc, run->iova + done, vaddr, size,
                                       flags);
        }
    }
    if (ret) {
        vfio_spapr_unmap_range(sc, run->iova, run->size);
        vfio_spapr_map_refused(sc, run, ret);
    }
    return ret;
}

static void vfio_spapr_unmap(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                             uint64_t iova, uint64_t size)
{
    vfio_spapr_unmap_range(vfio_spapr_of_mapper(mapper), iova, size);
}

/*
 * KVM, which updates host windows by itself once it knows them
 */

static bool vfio_spapr_tell_kvm(const VFIOGroup *group,
                                const SpaprDmaWindow *window, Error **errp)
{
#ifdef CONFIG_KVM
    struct kvm_vfio_spapr_tce param = {
        .groupfd = group->fd,
        .tablefd = window->fd,
    };
    struct kvm_device_attr attr = {
        .group = KVM_DEV_VFIO_GROUP,
        .attr = KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE,
        .addr = (uintptr_t)&param,
    };

    if (window->fd < 0) {
        return true;
    }
    if (ioctl(vfio_kvm_device_fd, KVM_SET_DEVICE_ATTR, &attr)) {
        error_setg_errno(errp, errno, "KVM does not connect the DMA window of"
                         " LIOBN 0x%x at 0x%" PRIx64 " to group %d",
                         window->liobn, window->geometry.bus_offset,
                         group->groupid);
        return false;
    }
    trace_vfio_spapr_group_attach(param.groupfd, param.tablefd);
#endif
    return true;
}

static bool vfio_spapr_tell_kvm_groups(VFIOSpaprContainer *sc,
                                       const SpaprDmaWindow *window,
                                       Error **errp)
{
    VFIOGroup *group;

    QLIST_FOREACH(group, &sc->container.group_list, container_next) {
        if (!vfio_spapr_tell_kvm(group, window, errp)) {
            return false;
        }
    }
    return true;
}

/*
 * v2: windows of the host
 */

/*
 * The largest page that host, guest window and guest RAM can all live with,
 * or -1.  RAM counts since a host page must lie in one page of its backing.
 */
static int vfio_spapr_page_shift(const VFIOSpaprContainer *sc,
                                 uint32_t guest_shift)
{
    uint64_t most = MIN(1ULL << guest_shift,
                        (uint64_t)qemu_minrampagesize());
    uint64_t usable = sc->info.ddw.pgsizes & (most | (most - 1));

    return usable ? 63 - clz64(usable) : -1;
}

static bool vfio_spapr_choose_page(const VFIOSpaprContainer *sc,
                                   const SpaprDmaWindow *window,
                                   uint32_t *page_shift, Error **errp)
{
    ERRP_GUARD();
    uint32_t guest_shift = window->geometry.page_shift;
    int shift = vfio_spapr_page_shift(sc, guest_shift);

    if (shift < 0) {
        error_setg(errp, "host has no DMA page size that fits: it offers the"
                   " mask 0x%" PRIx64 ", the guest wants pages of 2^%u bytes,"
                   " RAM has pages of 0x%" PRIx64 " bytes",
                   (uint64_t)sc->info.ddw.pgsizes, guest_shift,
                   (uint64_t)qemu_minrampagesize());
        error_append_hint(errp, "Restrict what the guest may use with the"
                          " property pgsz of the PCI host bridge.\n");
        return false;
    }
    *page_shift = shift;
    return true;
}

static uint32_t vfio_spapr_max_levels(const VFIOSpaprContainer *sc)
{
    return MAX(sc->info.ddw.levels, 1);
}

/* How many levels keep each block of a table of 2^@entries_shift small */
static uint32_t vfio_spapr_levels(const VFIOSpaprContainer *sc,
                                  uint32_t entries_shift)
{
    uint32_t block_shift = ctz64(qemu_real_host_page_size()) +
                           VFIO_SPAPR_LEVEL_PAGES_SHIFT -
                           ctz64(sizeof(uint64_t));
    uint32_t levels = DIV_ROUND_UP(entries_shift, block_shift);

    return MIN(MAX(levels, 1), vfio_spapr_max_levels(sc));
}

/*
 * The largest window with such pages.  Linux on bare metal refuses a table
 * whose levels, of whole host pages each, could take more than a bus address
 * has.  Hosts with one level keep their limit to themselves until asked for
 * a window.
 */
static uint64_t vfio_spapr_max_size(const VFIOSpaprContainer *sc,
                                    uint32_t page_shift)
{
    uint32_t host_page = ctz64(qemu_real_host_page_size() / sizeof(uint64_t));
    uint32_t shift = VFIO_SPAPR_MAX_SHIFT;

    for (; shift > page_shift; shift--) {
        uint32_t entries_shift = shift - page_shift;
        uint32_t levels = vfio_spapr_levels(sc, entries_shift);
        uint32_t level_shift = MAX(DIV_ROUND_UP(entries_shift, levels),
                                   host_page);

        if (level_shift * levels + page_shift <= VFIO_SPAPR_MAX_SHIFT) {
            break;
        }
    }
    return 1ULL << shift;
}

static int vfio_spapr_remove(VFIOSpaprContainer *sc, uint64_t start)
{
    struct vfio_iommu_spapr_tce_remove remove = {
        .argsz = sizeof(remove),
        .start_addr = start,
    };
    int ret = vfio_spapr_ioctl(sc, VFIO_IOMMU_SPAPR_TCE_REMOVE, &remove);

    if (!ret) {
        trace_vfio_spapr_remove_window(start);
    }
    return ret;
}

static void vfio_spapr_remove_nofail(VFIOSpaprContainer *sc, uint64_t start)
{
    int ret = vfio_spapr_remove(sc, start);

    if (ret) {
        warn_report_once("vfio: host did not remove its DMA window at 0x%"
                         PRIx64 ", later ones may be refused: %s",
                         start, strerror(-ret));
    }
}

/*
 * Ask for a table, and again with more levels if only its shape can be what
 * is wrong.  Bounded by what the host knows, because every failure to
 * allocate leaves memory accounted as locked in some kernels.
 */
static int vfio_spapr_try_create(VFIOSpaprContainer *sc,
                                 struct vfio_iommu_spapr_tce_create *create)
{
    uint32_t most = vfio_spapr_max_levels(sc);
    int ret;

    for (;;) {
        ret = vfio_spapr_ioctl(sc, VFIO_IOMMU_SPAPR_TCE_CREATE, create);
        if ((ret != -ENOMEM && ret != -EINVAL) || create->levels >= most) {
            return ret;
        }
        warn_report_once("vfio: host cannot make a DMA window with %u levels,"
                         " trying up to %u; failures may use up the limit of"
                         " locked memory", create->levels, most);
        create->levels++;
    }
}

/* Locked memory that registered RAM and the tables of windows take */
static uint64_t vfio_spapr_locked(const VFIOSpaprContainer *sc)
{
    uint64_t bytes = vfio_prereg_bytes(&sc->prereg);
    const VFIOHostWindow *hw;

    QLIST_FOREACH(hw, &sc->windows, next) {
        bytes += (hw->size >> hw->page_shift) * VFIO_SPAPR_ENTRY_BYTES;
    }
    return bytes;
}

static void vfio_spapr_create_error(const VFIOSpaprContainer *sc,
                        const struct vfio_iommu_spapr_tce_create *create,
                        int ret, Error **errp)
{
    ERRP_GUARD();
    uint64_t entries = create->window_size >> create->page_shift;

    error_setg_errno(errp, -ret, "host cannot make a DMA window of 0x%" PRIx64
                     " bytes with pages of 2^%u bytes and %u of %u levels",
                     (uint64_t)create->window_size, create->page_shift,
                     create->levels, sc->info.ddw.levels);
    if (ret == -ENOMEM) {
        vfio_memlock_hint(errp, vfio_spapr_locked(sc) +
                          entries * VFIO_SPAPR_ENTRY_BYTES);
    } else if (ret == -ENOSPC) {
        error_append_hint(errp, "It offers %u windows at once.\n",
                          sc->info.ddw.max_dynamic_windows_supported);
    }
}

/* Make the smallest host window, and tell where the host has put it */
static bool vfio_spapr_create_small(VFIOSpaprContainer *sc, uint64_t *start)
{
    uint32_t page_shift = ctz64(sc->info.ddw.pgsizes);
    struct vfio_iommu_spapr_tce_create create = {
        .argsz = sizeof(create),
        .page_shift = page_shift,
        .window_size = (qemu_real_host_page_size() / sizeof(uint64_t)) <<
                       page_shift,
        .levels = 1,
    };
    int ret = vfio_spapr_ioctl(sc, VFIO_IOMMU_SPAPR_TCE_CREATE, &create);

    trace_vfio_spapr_probe_window(create.window_size, create.start_addr, ret);
    *start = create.start_addr;
    return !ret;
}

/*
 * Find the places that the host has for windows, while it has none.  A host
 * that cannot be asked this way has unknown ones.
 */
static void vfio_spapr_probe_places(VFIOSpaprContainer *sc)
{
    unsigned most = MIN(sc->info.ddw.max_dynamic_windows_supported,
                        VFIO_SPAPR_PLACES);
    unsigned n = 0;

    while (n < most && vfio_spapr_create_small(sc, &sc->places[n])) {
        n++;
    }
    sc->places_known = n;
    while (n--) {
        vfio_spapr_remove_nofail(sc, sc->places[n]);
    }
}

/*
 * The host takes its lowest place that is not taken.  If the guest wants the
 * other one, have a small window in the lowest meanwhile.
 */
static bool vfio_spapr_needs_placeholder(const VFIOSpaprContainer *sc,
                                         const SpaprDmaWindow *window)
{
    const VFIOHostWindow *hw;

    if (sc->places_known < 2 ||
        window->geometry.bus_offset != sc->places[1]) {
        return false;
    }
    QLIST_FOREACH(hw, &sc->windows, next) {
        if (hw->start == sc->places[0]) {
            return false;
        }
    }
    return true;
}

/* Make a host window that starts where the guest window does, or none */
static bool vfio_spapr_create(VFIOSpaprContainer *sc,
                              const SpaprDmaWindow *window,
                              uint32_t page_shift, Error **errp)
{
    ERRP_GUARD();
    uint64_t wanted = window->geometry.bus_offset;
    struct vfio_iommu_spapr_tce_create create = {
        .argsz = sizeof(create),
        .page_shift = page_shift,
        .window_size = spapr_dma_window_size(window),
    };
    int ret;

    if (!is_power_of_2(create.window_size)) {
        error_setg(errp, "host makes only DMA windows whose size is a power of"
                   " two, not of 0x%" PRIx64 " bytes",
                   (uint64_t)create.window_size);
        return false;
    }
    create.levels = vfio_spapr_levels(sc,
                                      ctz64(create.window_size) - page_shift);
    ret = vfio_spapr_try_create(sc, &create);
    if (ret) {
        vfio_spapr_create_error(sc, &create, ret, errp);
        return false;
    }
    trace_vfio_spapr_create_window(create.page_shift, create.levels,
                                   create.window_size, create.start_addr);
    if (create.start_addr == wanted) {
        return true;
    }

    vfio_spapr_remove_nofail(sc, create.start_addr);
    error_setg(errp, "host puts the DMA window at 0x%" PRIx64 ", the guest"
               " needs it at 0x%" PRIx64, (uint64_t)create.start_addr, wanted);
    error_append_hint(errp, "Set dma_win_addr or dma64_win_addr of the PCI"
                      " host bridge to what the host uses.\n");
    return false;
}

static bool vfio_spapr_v2_window_add(SpaprDmaMapper *mapper,
                                     SpaprDmaWindow *window, Error **errp)
{
    VFIOSpaprContainer *sc = vfio_spapr_of_mapper(mapper);
    uint64_t placeholder;
    uint32_t page_shift;
    bool held, made;

    if (!vfio_spapr_choose_page(sc, window, &page_shift, errp)) {
        return false;
    }
    held = vfio_spapr_needs_placeholder(sc, window) &&
           vfio_spapr_create_small(sc, &placeholder);
    made = vfio_spapr_create(sc, window, page_shift, errp);
    if (held) {
        vfio_spapr_remove_nofail(sc, placeholder);
    }
    if (!made) {
        return false;
    }
    if (!vfio_spapr_tell_kvm_groups(sc, window, errp)) {
        /* KVM may know it for some groups: a table that no group uses */
        vfio_spapr_remove_nofail(sc, window->geometry.bus_offset);
        return false;
    }
    vfio_spapr_remember(sc, window, page_shift);
    return true;
}

static void vfio_spapr_v2_window_del(SpaprDmaMapper *mapper,
                                     SpaprDmaWindow *window)
{
    VFIOSpaprContainer *sc = vfio_spapr_of_mapper(mapper);
    VFIOHostWindow *hw = vfio_spapr_find(sc, window);

    vfio_spapr_remove_nofail(sc, hw->start);
    vfio_spapr_forget(hw);
}

/*
 * How much of what may still be locked is there for a new table.  All
 * containers of the address space will want one like it.
 */
static uint64_t vfio_spapr_lockable(const VFIOSpaprContainer *sc)
{
    const VFIOContainerBase *bcontainer = &sc->container.bcontainer, *other;
    uint64_t left = vfio_memlock_left(vfio_spapr_locked(sc));
    unsigned containers = 0;

    QLIST_FOREACH(other, &bcontainer->space->containers, next) {
        containers++;
    }
    return left == UINT64_MAX ? left : left / containers;
}

/*
 * For how many pages of the guest a table can be made of @lockable bytes.
 * KVM's own table of the window has one word for each.
 */
static uint64_t vfio_spapr_most_tces(uint64_t lockable, uint32_t guest_shift,
                                     uint32_t page_shift)
{
    uint64_t slack = VFIO_SPAPR_SLACK_PAGES * qemu_real_host_page_size();

    if (lockable == UINT64_MAX) {
        return UINT64_MAX;
    }
    lockable -= MIN(lockable, slack);
    return lockable / ((VFIO_SPAPR_ENTRY_BYTES << (guest_shift - page_shift)) +
                       sizeof(uint64_t));
}

static void vfio_spapr_v2_limits(SpaprDmaMapper *mapper,
                                 SpaprDmaLimits *limits)
{
    const VFIOSpaprContainer *sc = vfio_spapr_of_mapper(mapper);
    uint64_t lockable = vfio_spapr_lockable(sc);
    uint64_t asked = limits->page_sizes;
    unsigned left = sc->info.ddw.max_dynamic_windows_supported;
    const VFIOHostWindow *hw;

    for (; asked; asked &= asked - 1) {
        uint32_t guest_shift = ctz64(asked);
        int page_shift = vfio_spapr_page_shift(sc, guest_shift);

        if (page_shift < 0) {
            limits->page_sizes &= ~(1ULL << guest_shift);
        } else {
            limits->max_size = MIN(limits->max_size,
                                   vfio_spapr_max_size(sc, page_shift));
            limits->max_tces = MIN(limits->max_tces,
                                   vfio_spapr_most_tces(lockable, guest_shift,
                                                        page_shift));
        }
    }
    QLIST_FOREACH(hw, &sc->windows, next) {
        left -= !!left;
    }
    limits->windows = MIN(limits->windows, left);
}

static bool vfio_spapr_v2_can_start(SpaprDmaMapper *mapper,
                                    uint64_t bus_offset)
{
    const VFIOSpaprContainer *sc = vfio_spapr_of_mapper(mapper);
    unsigned most = MIN(sc->info.ddw.max_dynamic_windows_supported,
                        VFIO_SPAPR_PLACES);

    for (unsigned i = 0; i < sc->places_known; i++) {
        if (bus_offset == sc->places[i]) {
            return true;
        }
    }
    return bus_offset == sc->info.dma32_window_start ||
           (sc->places_known < most && bus_offset == VFIO_SPAPR_PLACE_64);
}

/* Guests may map any RAM in any window: its pages must not be smaller */
static bool vfio_spapr_pages_fit(const VFIOSpaprContainer *sc,
                                 MemoryRegion *mr, Error **errp)
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
                       " pages of 2^%u bytes", memory_region_name(mr), page,
                       hw->start, hw->page_shift);
            error_append_hint(errp, "Back it by pages as large as those of the"
                              " RAM that the machine started with.\n");
            return false;
        }
    }
    return true;
}

static bool vfio_spapr_v2_expect_ram(SpaprDmaMapper *mapper, MemoryRegion *mr,
                                     Error **errp)
{
    VFIOSpaprContainer *sc = vfio_spapr_of_mapper(mapper);

    return vfio_spapr_pages_fit(sc, mr, errp) &&
           vfio_prereg_expect(&sc->prereg, mr, errp);
}

static bool vfio_spapr_v2_open(VFIOSpaprContainer *sc, Error **errp)
{
    ERRP_GUARD();
    int ret;

    if (!(sc->info.flags & VFIO_IOMMU_SPAPR_INFO_DDW) ||
        !sc->info.ddw.pgsizes) {
        error_setg(errp, "host offers VFIO_SPAPR_TCE_v2_IOMMU but no dynamic"
                   " DMA windows");
        error_append_hint(errp, "Use the property x-spapr-v1 of the"
                          " device.\n");
        return false;
    }
    /* A group comes with a default window, which takes a place that we need */
    ret = vfio_spapr_remove(sc, sc->info.dma32_window_start);
    if (ret) {
        error_setg_errno(errp, -ret, "host does not drop its default DMA"
                         " window at 0x%x", sc->info.dma32_window_start);
        return false;
    }
    vfio_spapr_probe_places(sc);
    return true;
}

static void vfio_spapr_v2_close(VFIOSpaprContainer *sc)
{
    /* The last window is gone, and the default one belongs to the group */
}

/*
 * v1: the one window that the host has
 */

static bool vfio_spapr_v1_window_add(SpaprDmaMapper *mapper,
                                     SpaprDmaWindow *window, Error **errp)
{
    VFIOSpaprContainer *sc = vfio_spapr_of_mapper(mapper);
    uint64_t start = window->geometry.bus_offset;
    uint64_t size = spapr_dma_window_size(window);
    uint64_t host_start = sc->info.dma32_window_start;
    uint64_t host_size = sc->info.dma32_window_size;

    if (start < host_start || size > host_size ||
        start - host_start > host_size - size) {
        error_setg(errp, "DMA window at 0x%" PRIx64 " of 0x%" PRIx64 " bytes"
                   " does not lie in the only one of the host at 0x%" PRIx64
                   " of 0x%" PRIx64 " bytes",
                   start, size, host_start, host_size);
        return false;
    }
    /* No guest has smaller pages, and no table in KVM beside @sees_all */
    vfio_spapr_remember(sc, window, VFIO_SPAPR_V1_PAGE_SHIFT);
    return true;
}

static void vfio_spapr_v1_window_del(SpaprDmaMapper *mapper,
                                     SpaprDmaWindow *window)
{
    VFIOSpaprContainer *sc = vfio_spapr_of_mapper(mapper);
    VFIOHostWindow *hw = vfio_spapr_find(sc, window);

    vfio_spapr_unmap_range(sc, hw->start, hw->size);
    vfio_spapr_forget(hw);
}

/* The only window can be the guest's default one, or follow it */
static void vfio_spapr_v1_limits(SpaprDmaMapper *mapper,
                                 SpaprDmaLimits *limits)
{
    const VFIOSpaprContainer *sc = vfio_spapr_of_mapper(mapper);

    limits->page_sizes &= VFIO_SPAPR_V1_PAGE_SIZES;
    limits->max_size = MIN(limits->max_size, sc->info.dma32_window_size);
    limits->windows = MIN(limits->windows, QLIST_EMPTY(&sc->windows));
}

static bool vfio_spapr_v1_can_start(SpaprDmaMapper *mapper,
                                    uint64_t bus_offset)
{
    const VFIOSpaprContainer *sc = vfio_spapr_of_mapper(mapper);
    uint64_t start = sc->info.dma32_window_start;

    return bus_offset >= start &&
           bus_offset - start < sc->info.dma32_window_size;
}

static bool vfio_spapr_v1_open(VFIOSpaprContainer *sc, Error **errp)
{
    ERRP_GUARD();
    int ret = vfio_spapr_ioctl(sc, VFIO_IOMMU_ENABLE, NULL);

    if (ret) {
        error_setg_errno(errp, -ret, "host does not enable its DMA window of"
                         " 0x%x bytes", sc->info.dma32_window_size);
        if (ret == -ENOMEM) {
            vfio_memlock_hint(errp, sc->info.dma32_window_size);
        }
        return false;
    }
    return true;
}

static void vfio_spapr_v1_close(VFIOSpaprContainer *sc)
{
    int ret = vfio_spapr_ioctl(sc, VFIO_IOMMU_DISABLE, NULL);

    if (ret) {
        warn_report_once("vfio: host did not disable a container: %s",
                         strerror(-ret));
    }
}

/*
 * The container
 */

static const VFIOSpaprFlavour vfio_spapr_v1 = {
    .mapper_ops = {
        .window_add = vfio_spapr_v1_window_add,
        .window_del = vfio_spapr_v1_window_del,
        .map = vfio_spapr_map,
        .unmap = vfio_spapr_unmap,
        .limits = vfio_spapr_v1_limits,
        .can_start = vfio_spapr_v1_can_start,
    },
    .prereg = false,
    .sees_all = true,
    .open = vfio_spapr_v1_open,
    .close = vfio_spapr_v1_close,
};

static const VFIOSpaprFlavour vfio_spapr_v2 = {
    .mapper_ops = {
        .window_add = vfio_spapr_v2_window_add,
        .window_del = vfio_spapr_v2_window_del,
        .map = vfio_spapr_map,
        .unmap = vfio_spapr_unmap,
        .limits = vfio_spapr_v2_limits,
        .can_start = vfio_spapr_v2_can_start,
        .expect_ram = vfio_spapr_v2_expect_ram,
    },
    .prereg = true,
    .sees_all = false,
    .open = vfio_spapr_v2_open,
    .close = vfio_spapr_v2_close,
};

static bool vfio_spapr_get_info(VFIOSpaprContainer *sc, Error **errp)
{
    int ret;

    sc->info = (struct vfio_iommu_spapr_tce_info) {
        .argsz = sizeof(sc->info),
    };
    ret = vfio_spapr_ioctl(sc, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &sc->info);
    if (ret) {
        error_setg_errno(errp, -ret, "host does not describe its DMA windows"
                         " (VFIO_IOMMU_SPAPR_TCE_GET_INFO)");
        return false;
    }
    sc->container.bcontainer.pgsizes =
        sc->info.flags & VFIO_IOMMU_SPAPR_INFO_DDW ?
        sc->info.ddw.pgsizes : 1UL << VFIO_SPAPR_V1_PAGE_SHIFT;
    return true;
}

static bool vfio_spapr_setup(VFIOContainerBase *bcontainer, Error **errp)
{
    VFIOSpaprContainer *sc = VFIO_IOMMU_SPAPR(bcontainer);
    bool v2 = sc->container.iommu_type == VFIO_SPAPR_TCE_v2_IOMMU;

    sc->flavour = v2 ? &vfio_spapr_v2 : &vfio_spapr_v1;
    if (!vfio_spapr_get_info(sc, errp)) {
        return false;
    }
    if (!sc->flavour->open(sc, errp)) {
        return false;
    }
    /* TCEs translate to system memory; registered before anything is mapped */
    if (sc->flavour->prereg &&
        !vfio_prereg_start(&sc->prereg, &address_space_memory,
                           &vfio_spapr_prereg_ops, sc, errp)) {
        sc->flavour->close(sc);
        return false;
    }
    sc->mapper.ops = &sc->flavour->mapper_ops;
    sc->mapper.sees_all = sc->flavour->sees_all;
    spapr_dma_mapper_register(&sc->mapper, bcontainer->space->as);
    return true;
}

static void vfio_spapr_release(VFIOContainerBase *bcontainer)
{
    VFIOSpaprContainer *sc = VFIO_IOMMU_SPAPR(bcontainer);

    spapr_dma_mapper_unregister(&sc->mapper);
    vfio_prereg_stop(&sc->prereg);
    sc->flavour->close(sc);
}

/*
 * Follow a section of the PCI address space.  Devices of the host reach only
 * what is behind TCEs.  That leaves out BARs of other devices, which only
 * peers would miss, but a machine with RAM right on its bus cannot work.
 */
static bool vfio_spapr_add_section(VFIOContainerBase *bcontainer,
                                   MemoryRegionSection *section, Error **errp)
{
    VFIOSpaprContainer *sc = VFIO_IOMMU_SPAPR(bcontainer);
    SpaprDmaWindow *window;

    if (memory_region_is_ram(section->mr) &&
        !memory_region_is_ram_device(section->mr)) {
        error_setg(errp, "RAM at 0x%" HWADDR_PRIx " is not behind a sPAPR DMA"
                   " window, devices of the host cannot use it",
                   section->offset_within_address_space);
        return false;
    }
    if (!memory_region_is_iommu(section->mr)) {
        trace_vfio_listener_region_skip("spapr",
            section->offset_within_address_space,
            section->offset_within_address_space +
            int128_get64(int128_sub(section->size, int128_one())));
        return true;
    }
    window = spapr_dma_window_from_region(section->mr);
    if (!window) {
        error_setg(errp, "IOMMU at 0x%" HWADDR_PRIx " is not a sPAPR DMA"
                   " window, devices of the host cannot use it",
                   section->offset_within_address_space);
        return false;
    }
    return spapr_dma_window_attach(window, &sc->mapper, errp);
}

static void vfio_spapr_del_section(VFIOContainerBase *bcontainer,
                                   MemoryRegionSection *section)
{
    SpaprDmaWindow *window = spapr_dma_window_from_region(section->mr);

    if (window) {
        spapr_dma_window_detach(window,
                                &VFIO_IOMMU_SPAPR(bcontainer)->mapper);
    }
}

/*
 * A host whose groups cannot share a window says so when it puts one into all
 * of them, which it has done to the new group if there is any.
 */
static bool vfio_spapr_can_share(VFIOSpaprContainer *sc)
{
    uint64_t start;

    if (!QLIST_EMPTY(&sc->windows) || !sc->places_known) {
        return true;
    }
    if (!vfio_spapr_create_small(sc, &start)) {
        return false;
    }
    vfio_spapr_remove_nofail(sc, start);
    return true;
}

/* The host has put its windows into the new group; KVM has to hear of that */
static bool vfio_spapr_group_joined(VFIOContainerBase *bcontainer,
                                    VFIOGroup *group, Error **errp)
{
    VFIOSpaprContainer *sc = VFIO_IOMMU_SPAPR(bcontainer);
    VFIOHostWindow *hw;

    if (!vfio_spapr_can_share(sc)) {
        error_setg(errp, "host makes no DMA window for several groups");
        return false;
    }
    QLIST_FOREACH(hw, &sc->windows, next) {
        if (!vfio_spapr_tell_kvm(group, hw->window, errp)) {
            return false;
        }
    }
    return true;
}

/* Linux 6.12 and later clear shared windows then, older ones do not */
static void vfio_spapr_group_left(VFIOContainerBase *bcontainer)
{
    VFIOSpaprContainer *sc = VFIO_IOMMU_SPAPR(bcontainer);
    VFIOHostWindow *hw;
    Error *err = NULL;

    QLIST_FOREACH(hw, &sc->windows, next) {
        if (!spapr_dma_window_replay(hw->window, &sc->mapper, &err)) {
            error_reportf_err(err, "vfio: a device lost DMA mappings when a"
                              " group left its container: ");
            err = NULL;
        }
    }
}

static void vfio_spapr_instance_init(Object *obj)
{
    QLIST_INIT(&VFIO_IOMMU_SPAPR(obj)->windows);
}

static void vfio_spapr_class_init(ObjectClass *klass, void *data)
{
    VFIOIOMMUClass *vioc = VFIO_IOMMU_CLASS(klass);

    vioc->setup = vfio_spapr_setup;
    vioc->release = vfio_spapr_release;
    vioc->add_window = vfio_spapr_add_section;
    vioc->del_window = vfio_spapr_del_section;
    vioc->group_joined = vfio_spapr_group_joined;
    vioc->group_left = vfio_spapr_group_left;
}

static const TypeInfo vfio_spapr_types[] = {
    {
        .name = TYPE_VFIO_IOMMU_SPAPR,
        .parent = TYPE_VFIO_IOMMU_LEGACY,
        .instance_size = sizeof(VFIOSpaprContainer),
        .instance_init = vfio_spapr_instance_init,
        .class_init = vfio_spapr_class_init,
    },
};

DEFINE_TYPES(vfio_spapr_types)
