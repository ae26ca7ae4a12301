/*
 * Test aid: DMA windows in surroundings that no pseries machine has
 *
 * Objects
 *   space    an address space.  The TCEs of one window lead to it instead of
 *            the guest's memory, or an IOMMU of this file does.
 *   region   something at an address of a space, or of the first PHB's bus, on
 *            top of what lies there.  It shows a part of a memory backend, or
 *            is an IOMMU that leads to another space.
 *
 *   watch    tells by its property "alive" whether an object has been freed.
 *            Which one is set by its property "object", a path.
 *
 * All are devices without a bus and are there from the start; a space comes
 * before what uses its window.  Whether a region is seen can be changed at any
 * time, by its property "shown".
 *
 * Everything here runs under the BQL, except translation.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "exec/address-spaces.h"
#include "hw/pci-host/spapr.h"
#include "hw/ppc/spapr.h"
#include "hw/ppc/spapr_dma_window.h"
#include "hw/qdev-properties.h"
#include "system/hostmem.h"

#define TYPE_AID_SPACE "spapr-dma-test-space"
OBJECT_DECLARE_SIMPLE_TYPE(AidSpace, AID_SPACE)

#define TYPE_AID_REGION "spapr-dma-test-region"
OBJECT_DECLARE_SIMPLE_TYPE(AidRegion, AID_REGION)

#define TYPE_AID_WATCH "spapr-dma-test-watch"
OBJECT_DECLARE_SIMPLE_TYPE(AidWatch, AID_WATCH)

#define TYPE_AID_IOMMU "spapr-dma-test-iommu"

#define AID_PAGE_SIZE 4096ULL

struct AidSpace {
    DeviceState parent_obj;

    uint32_t liobn;             /* property: whose TCEs lead here, or 0 */
    MemoryRegion root;
    AddressSpace as;
};

/* One of @memdev and @to is set; @offset is where it leads, in either */
struct AidRegion {
    DeviceState parent_obj;

    AidSpace *space;            /* properties; NULL: the bus */
    uint64_t addr;
    uint64_t size;
    bool readonly;
    HostMemoryBackend *memdev;
    AidSpace *to;
    uint64_t offset;
    bool shown;

    MemoryRegion ram;
    IOMMUMemoryRegion iommu;
};

struct AidWatch {
    DeviceState parent_obj;

    bool alive;
};

/* ---- spaces ---- */

static void space_realize(DeviceState *dev, Error **errp)
{
    AidSpace *space = AID_SPACE(dev);
    SpaprDmaWindow *window = spapr_dma_window_find(space->liobn);

    if (space->liobn && !window) {
        error_setg(errp, "no DMA window has LIOBN 0x%x", space->liobn);
        return;
    }
    memory_region_init(&space->root, OBJECT(dev), dev->id, UINT64_MAX);
    address_space_init(&space->as, &space->root, dev->id);
    if (window) {
        window->target = &space->as;
    }
}

static const Property space_properties[] = {
    DEFINE_PROP_UINT32("liobn", AidSpace, liobn, 0),
};

static void space_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);

    dc->realize = space_realize;
    device_class_set_props(dc, space_properties);
    dc->hotpluggable = false;
}

/* ---- regions ---- */

static MemoryRegion *region_mr(AidRegion *region)
{
    return region->to ? MEMORY_REGION(&region->iommu) : &region->ram;
}

static IOMMUTLBEntry iommu_translate(IOMMUMemoryRegion *iommu, hwaddr addr,
                                     IOMMUAccessFlags flag, int iommu_idx)
{
    AidRegion *region = container_of(iommu, AidRegion, iommu);
    hwaddr page = addr & ~(AID_PAGE_SIZE - 1);

    return (IOMMUTLBEntry) {
        .target_as = &region->to->as,
        .iova = page,
        .translated_addr = region->offset + page,
        .addr_mask = AID_PAGE_SIZE - 1,
        .perm = IOMMU_RW,
    };
}

static AddressSpace *iommu_target(IOMMUMemoryRegion *iommu)
{
    return &container_of(iommu, AidRegion, iommu)->to->as;
}

static void iommu_class_init(ObjectClass *klass, void *data)
{
    IOMMUMemoryRegionClass *imrc = IOMMU_MEMORY_REGION_CLASS(klass);

    imrc->translate = iommu_translate;
    imrc->get_target_as = iommu_target;
}

static void region_realize(DeviceState *dev, Error **errp)
{
    AidRegion *region = AID_REGION(dev);
    SpaprMachineState *spapr = SPAPR_MACHINE(current_machine);
    MemoryRegion *where = region->space ? &region->space->root :
                          &QLIST_FIRST(&spapr->phbs)->iommu_root;

    if (!region->memdev == !region->to) {
        error_setg(errp, "one of 'memdev' and 'to' must be given");
        return;
    }
    if (region->to) {
        memory_region_init_iommu(&region->iommu, sizeof(region->iommu),
                                 TYPE_AID_IOMMU, OBJECT(dev), dev->id,
                                 region->size);
    } else {
        memory_region_init_alias(&region->ram, OBJECT(dev), dev->id,
                                 host_memory_backend_get_memory(region->memdev),
                                 region->offset, region->size);
        memory_region_set_readonly(&region->ram, region->readonly);
    }
    memory_region_set_enabled(region_mr(region), region->shown);
    memory_region_add_subregion_overlap(where, region->addr,
                                        region_mr(region), 1);
}

static bool region_get_shown(Object *obj, Error **errp)
{
    return AID_REGION(obj)->shown;
}

static void region_set_shown(Object *obj, bool shown, Error **errp)
{
    AidRegion *region = AID_REGION(obj);

    region->shown = shown;
    if (DEVICE(obj)->realized) {
        memory_region_set_enabled(region_mr(region), shown);
    }
}

static void region_instance_init(Object *obj)
{
    AID_REGION(obj)->shown = true;
}

static const Property region_properties[] = {
    DEFINE_PROP_LINK("space", AidRegion, space, TYPE_AID_SPACE, AidSpace *),
    DEFINE_PROP_UINT64("addr", AidRegion, addr, 0),
    DEFINE_PROP_SIZE("size", AidRegion, size, 0),
    DEFINE_PROP_BOOL("readonly", AidRegion, readonly, false),
    DEFINE_PROP_LINK("memdev", AidRegion, memdev, TYPE_MEMORY_BACKEND,
                     HostMemoryBackend *),
    DEFINE_PROP_LINK("to", AidRegion, to, TYPE_AID_SPACE, AidSpace *),
    DEFINE_PROP_UINT64("offset", AidRegion, offset, 0),
};

static void region_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);

    dc->realize = region_realize;
    device_class_set_props(dc, region_properties);
    dc->hotpluggable = false;
    object_class_property_add_bool(klass, "shown", region_get_shown,
                                   region_set_shown);
}

/* ---- watches ---- */

/* The last thing that happens to an object is that its properties go */
static void watched_gone(Object *obj, const char *name, void *opaque)
{
    AID_WATCH(opaque)->alive = false;
}

static void watch_set_object(Object *obj, const char *path, Error **errp)
{
    Object *watched = object_resolve_path(path, NULL);

    if (!watched) {
        error_setg(errp, "no object is at '%s'", path);
        return;
    }
    AID_WATCH(obj)->alive = true;
    object_property_add(watched, "watched", "bool", NULL, NULL, watched_gone,
                        obj);
}

static bool watch_get_alive(Object *obj, Error **errp)
{
    return AID_WATCH(obj)->alive;
}

static void watch_class_init(ObjectClass *klass, void *data)
{
    DEVICE_CLASS(klass)->hotpluggable = false;
    object_class_property_add_str(klass, "object", NULL, watch_set_object);
    object_class_property_add_bool(klass, "alive", watch_get_alive, NULL);
}

static const TypeInfo aid_types[] = {
    {
        .name = TYPE_AID_SPACE,
        .parent = TYPE_DEVICE,
        .instance_size = sizeof(AidSpace),
        .class_init = space_class_init,
    }, {
        .name = TYPE_AID_REGION,
        .parent = TYPE_DEVICE,
        .instance_size = sizeof(AidRegion),
        .instance_init = region_instance_init,
        .class_init = region_class_init,
    }, {
        .name = TYPE_AID_WATCH,
        .parent = TYPE_DEVICE,
        .instance_size = sizeof(AidWatch),
        .class_init = watch_class_init,
    }, {
        .name = TYPE_AID_IOMMU,
        .parent = TYPE_IOMMU_MEMORY_REGION,
        .class_init = iommu_class_init,
    },
};

DEFINE_TYPES(aid_types)
