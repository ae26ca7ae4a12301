/*
 * VFIO containers on sPAPR: what lies on the bus besides windows
 *
 * Objects
 *   bus RAM      RAM that lies on the bus itself, not behind TCEs
 *
 * A listener on the PCI address space sees what *is* mapped there.  Of that,
 * windows are the business of the container as a mapper (spapr.c); the rest is
 * bus RAM, or something that devices of the host cannot use.
 *
 * Invariants
 *   - Where bus RAM lies on a guest window, devices reach the RAM or, if the
 *     host does not map it, nothing.  TCEs of host pages below it take effect
 *     when it goes.
 *   - While there is bus RAM no window is with KVM, which knows nothing of it.
 *
 * What can fail
 *   Beginning to listen, and mapping bus RAM in a window that is being added.
 *   What appears later and cannot be mapped is reported.
 *
 * Everything here runs under the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "spapr.h"
#include "trace.h"

struct VFIOBusRam {
    uint64_t iova;
    uint64_t size;
    void *vaddr;                /* valid until the section goes */
    IOMMUAccessFlags perm;
    QLIST_ENTRY(VFIOBusRam) next;
};

/* The host window that has all of a range, or NULL */
static VFIOHostWindow *vfio_spapr_find(const VFIOSpaprContainer *sc,
                                       uint64_t iova, uint64_t size)
{
    VFIOHostWindow *hw;

    QLIST_FOREACH(hw, &sc->windows, next) {
        if (iova >= hw->start && iova - hw->start < hw->size &&
            size <= hw->size - (iova - hw->start)) {
            return hw;
        }
    }
    return NULL;
}

/* The pages of a host window that bus RAM has a part of; false if none */
static bool vfio_spapr_pages(const VFIOHostWindow *hw, const VFIOBusRam *ram,
                             uint64_t *first, uint64_t *last)
{
    uint64_t in_page = (1ULL << hw->page_shift) - 1;

    *first = MAX(ram->iova & ~in_page, hw->start);
    *last = MIN((ram->iova + ram->size - 1) | in_page,
                hw->start + hw->size - 1);
    return *first <= *last;
}

bool vfio_spapr_bus_hides(const VFIOSpaprContainer *sc,
                          const SpaprDmaWindow *window, uint64_t iova,
                          uint64_t *size)
{
    const VFIOBusRam *ram;
    uint64_t first, last;

    QLIST_FOREACH(ram, &sc->bus_ram, next) {
        if (!vfio_spapr_pages(vfio_spapr_host_window(sc, window), ram, &first,
                              &last)) {
            continue;
        }
        if (iova >= first && iova <= last) {
            *size = MIN(*size, last - iova + 1);
            return true;
        }
        if (iova < first) {
            *size = MIN(*size, first - iova);
        }
    }
    return false;
}

/* Let TCEs below bus RAM have no effect, or let them have it again */
static void vfio_spapr_hide(VFIOSpaprContainer *sc, const VFIOBusRam *ram,
                            bool hide)
{
    VFIOHostWindow *hw;
    uint64_t first, last;

    QLIST_FOREACH(hw, &sc->windows, next) {
        if (vfio_spapr_pages(hw, ram, &first, &last)) {
            vfio_spapr_unmap_range(sc, first, last - first + 1);
            if (!hide) {
                /* What cannot be mapped faults, and was traced */
                spapr_dma_mapper_replay(&sc->mapper, hw->window, NULL);
            }
        }
    }
}

static bool vfio_spapr_map_bus_ram(VFIOSpaprContainer *sc,
                                   const VFIOBusRam *ram, Error **errp)
{
    ERRP_GUARD();
    int ret;

    if (!vfio_spapr_find(sc, ram->iova, ram->size)) {
        error_setg(errp, "RAM at 0x%" PRIx64 " of 0x%" PRIx64 " bytes on the"
                   " bus is not in a DMA window of the host, devices of the"
                   " host cannot use it: have a window there, for example by"
                   " the properties dma_win_addr and dma_win_size of the PCI"
                   " host bridge", ram->iova, ram->size);
        return false;
    }
    ret = vfio_spapr_host_map(&sc->host, ram->iova, ram->vaddr, ram->size,
                              ram->perm);
    if (ret) {
        error_setg_errno(errp, -ret, "host does not map RAM at 0x%" PRIx64
                         " of 0x%" PRIx64 " bytes on the bus", ram->iova,
                         ram->size);
    }
    return !ret;
}

bool vfio_spapr_bus_window_added(VFIOSpaprContainer *sc,
                                 const VFIOHostWindow *hw, Error **errp)
{
    const VFIOBusRam *ram;

    QLIST_FOREACH(ram, &sc->bus_ram, next) {
        const VFIOHostWindow *has = vfio_spapr_find(sc, ram->iova, ram->size);

        if (has == hw && !vfio_spapr_map_bus_ram(sc, ram, errp)) {
            return false;
        } else if (!has) {
            warn_report_once("vfio: RAM at 0x%" PRIx64 " of 0x%" PRIx64 " bytes"
                             " on the bus is not in a DMA window of the host,"
                             " devices of the host cannot use it", ram->iova,
                             ram->size);
        }
    }
    return true;
}

static bool vfio_spapr_add_bus_ram(VFIOSpaprContainer *sc,
                                   const MemoryRegionSection *section,
                                   Error **errp)
{
    VFIOBusRam *ram = g_new0(VFIOBusRam, 1);

    ram->iova = section->offset_within_address_space;
    ram->size = int128_get64(section->size);
    ram->vaddr = memory_region_get_ram_ptr(section->mr) +
                 section->offset_within_region;
    ram->perm = section->readonly ? IOMMU_RO : IOMMU_RW;
    /* Kept if it cannot be mapped: a window that comes later may have it */
    QLIST_INSERT_HEAD(&sc->bus_ram, ram, next);
    if (sc->started) {
        vfio_spapr_update_kvm(sc);
    }
    vfio_spapr_hide(sc, ram, true);
    /* While the guest has removed all windows nobody asked for one here */
    return QLIST_EMPTY(&sc->windows) || vfio_spapr_map_bus_ram(sc, ram, errp);
}

static void vfio_spapr_del_bus_ram(VFIOSpaprContainer *sc, uint64_t iova)
{
    VFIOBusRam *ram;

    QLIST_FOREACH(ram, &sc->bus_ram, next) {
        if (ram->iova == iova) {
            break;
        }
    }
    if (!ram) {
        return;
    }
    QLIST_REMOVE(ram, next);
    vfio_spapr_hide(sc, ram, false);
    if (sc->started) {
        vfio_spapr_update_kvm(sc);
    }
    g_free(ram);
}

/*
 * What lies on the bus besides windows.  BARs of other devices are left out,
 * which only peers would miss.
 */
static void vfio_spapr_region_add(MemoryListener *listener,
                                  MemoryRegionSection *section)
{
    VFIOSpaprContainer *sc = container_of(listener, VFIOSpaprContainer,
                                          listener);
    hwaddr start = section->offset_within_address_space;
    Error *err = NULL;

    if (sc->error) {
        return;
    }
    if (memory_region_is_ram(section->mr) &&
        !memory_region_is_ram_device(section->mr)) {
        vfio_spapr_add_bus_ram(sc, section, &err);
    } else if (memory_region_is_iommu(section->mr) &&
               !object_dynamic_cast(OBJECT(section->mr),
                                    TYPE_SPAPR_IOMMU_MEMORY_REGION)) {
        error_setg(&err, "IOMMU at 0x%" HWADDR_PRIx " is not a sPAPR DMA"
                   " window, devices of the host cannot use it", start);
    } else {
        trace_vfio_listener_region_skip("spapr", start, start +
            int128_get64(int128_sub(section->size, int128_one())));
    }
    if (!err) {
        return;
    }
    error_prepend(&err, "Region %s: ", memory_region_name(section->mr));
    if (sc->started) {
        error_report_err(err);
    } else {
        sc->error = err;
    }
}

static void vfio_spapr_region_del(MemoryListener *listener,
                                  MemoryRegionSection *section)
{
    vfio_spapr_del_bus_ram(container_of(listener, VFIOSpaprContainer, listener),
                           section->offset_within_address_space);
}

void vfio_spapr_bus_map_again(VFIOSpaprContainer *sc)
{
    const VFIOBusRam *ram;

    QLIST_FOREACH(ram, &sc->bus_ram, next) {
        Error *err = NULL;

        /* What lies in no window was not mapped before */
        if (vfio_spapr_find(sc, ram->iova, ram->size) &&
            !vfio_spapr_map_bus_ram(sc, ram, &err)) {
            error_reportf_err(err, "vfio: a device lost RAM on the bus when a"
                              " group left its container: ");
        }
    }
}

unsigned vfio_spapr_bus_count(const VFIOSpaprContainer *sc)
{
    const VFIOBusRam *ram;
    unsigned count = 0;

    QLIST_FOREACH(ram, &sc->bus_ram, next) {
        count++;
    }
    return count;
}

bool vfio_spapr_bus_listen(VFIOSpaprContainer *sc, AddressSpace *as,
                           Error **errp)
{
    sc->listener = (MemoryListener) {
        .name = "vfio-spapr",
        .region_add = vfio_spapr_region_add,
        .region_del = vfio_spapr_region_del,
        /* After RAM was registered, before that ends */
        .priority = MEMORY_LISTENER_PRIORITY_DEV_BACKEND,
    };
    memory_listener_register(&sc->listener, as);
    if (sc->error) {
        error_propagate(errp, g_steal_pointer(&sc->error));
        return false;
    }
    sc->started = true;
    return true;
}

void vfio_spapr_bus_unlisten(VFIOSpaprContainer *sc)
{
    memory_listener_unregister(&sc->listener);
}
