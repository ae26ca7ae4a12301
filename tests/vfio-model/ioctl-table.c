/*
 * Every ioctl that the model answers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <linux/vfio.h>
#include <stddef.h>
#include <unistd.h>

#include "fault.h"
#include "ioctl-table.h"
#include "ledger.h"
#include "user-memory.h"

#define UP_TO(type, field) \
    (offsetof(struct type, field) + sizeof(((struct type *)0)->field))

enum {
    TAKES_MM = 1,       /* the caller's mm becomes the container's */
    NEEDS_GROUP = 2,    /* -ENXIO without, before the argument is read */
    FALLIBLE = 4,       /* CALL_FALLIBLE */
    NO_ARGSZ = 8,       /* the argument does not start with argsz */
    NEEDS_MM = 16,      /* -EPERM without, before the argument is read */
    NEEDS_ENABLED = 32, /* the same for a container that is not enabled */
    UNDOES = 64,        /* CALL_UNDOES */
};

typedef struct {
    unsigned long request;
    const char *name;
    FileKind kind;
    unsigned drivers;       /* 0: any, or none */
    uint32_t size;          /* bytes read before the handler runs */
    unsigned flags;
    IoctlHandler *handler;
} IoctlEntry;

#define SPAPR (DRIVER_SPAPR_V1 | DRIVER_SPAPR_V2)
#define V1 DRIVER_SPAPR_V1
#define V2 DRIVER_SPAPR_V2

static const IoctlEntry entries[] = {
    { VFIO_GET_API_VERSION, "get_api_version", FILE_CONTAINER, 0, 0, 0,
      container_get_api_version },
    { VFIO_CHECK_EXTENSION, "check_extension", FILE_CONTAINER, 0, 0, 0,
      container_check_extension },
    { VFIO_SET_IOMMU, "set_iommu", FILE_CONTAINER, 0, 0, FALLIBLE,
      container_set_iommu },

    { VFIO_IOMMU_SPAPR_TCE_GET_INFO, "get_info", FILE_CONTAINER, SPAPR,
      UP_TO(vfio_iommu_spapr_tce_info, dma32_window_size), NEEDS_GROUP |
      FALLIBLE, spapr_get_info },
    { VFIO_IOMMU_MAP_DMA, "map", FILE_CONTAINER, SPAPR,
      UP_TO(vfio_iommu_type1_dma_map, size), NEEDS_ENABLED | FALLIBLE,
      spapr_map },
    { VFIO_IOMMU_UNMAP_DMA, "unmap", FILE_CONTAINER, SPAPR,
      UP_TO(vfio_iommu_type1_dma_unmap, size), NEEDS_ENABLED | UNDOES,
      spapr_unmap },
    { VFIO_IOMMU_SPAPR_REGISTER_MEMORY, "register", FILE_CONTAINER, V2,
      UP_TO(vfio_iommu_spapr_register_memory, size), TAKES_MM | FALLIBLE,
      spapr_register },
    { VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, "unregister", FILE_CONTAINER, V2,
      UP_TO(vfio_iommu_spapr_register_memory, size), NEEDS_MM | UNDOES,
      spapr_unregister },
    { VFIO_IOMMU_ENABLE, "enable", FILE_CONTAINER, V1, 0, FALLIBLE,
      spapr_enable },
    { VFIO_IOMMU_DISABLE, "disable", FILE_CONTAINER, V1, 0, UNDOES,
      spapr_disable },
    { VFIO_IOMMU_SPAPR_TCE_CREATE, "tce_create", FILE_CONTAINER, V2,
      UP_TO(vfio_iommu_spapr_tce_create, start_addr), TAKES_MM |
      NEEDS_GROUP | FALLIBLE, spapr_create },
    { VFIO_IOMMU_SPAPR_TCE_REMOVE, "tce_remove", FILE_CONTAINER, V2,
      UP_TO(vfio_iommu_spapr_tce_remove, start_addr), TAKES_MM |
      NEEDS_GROUP | UNDOES, spapr_remove },
    { VFIO_EEH_PE_OP, "eeh", FILE_CONTAINER, SPAPR, 0, 0, spapr_eeh },

    { VFIO_IOMMU_GET_INFO, "get_info", FILE_CONTAINER, DRIVER_TYPE1,
      UP_TO(vfio_iommu_type1_info, iova_pgsizes), FALLIBLE,
      type1_get_info },
    { VFIO_IOMMU_MAP_DMA, "map", FILE_CONTAINER, DRIVER_TYPE1,
      UP_TO(vfio_iommu_type1_dma_map, size), FALLIBLE, type1_map },
    { VFIO_IOMMU_UNMAP_DMA, "unmap", FILE_CONTAINER, DRIVER_TYPE1,
      UP_TO(vfio_iommu_type1_dma_unmap, size), UNDOES, type1_unmap },
    { VFIO_IOMMU_DIRTY_PAGES, "dirty_pages", FILE_CONTAINER, DRIVER_TYPE1_V1,
      0, 0, type1_v1_dirty_pages },
    { VFIO_IOMMU_DIRTY_PAGES, "dirty_pages", FILE_CONTAINER, DRIVER_TYPE1_V2,
      UP_TO(vfio_iommu_type1_dirty_bitmap, flags), 0, type1_dirty_pages },

    { VFIO_GROUP_GET_STATUS, "group_get_status", FILE_GROUP, 0,
      UP_TO(vfio_group_status, flags), FALLIBLE, group_get_status },
    { VFIO_GROUP_SET_CONTAINER, "set_container", FILE_GROUP, 0,
      sizeof(int32_t), NO_ARGSZ | FALLIBLE, group_set_container },
    { VFIO_GROUP_UNSET_CONTAINER, "unset_container", FILE_GROUP, 0, 0, UNDOES,
      group_unset_container },
    { VFIO_GROUP_GET_DEVICE_FD, "get_device", FILE_GROUP, 0, 0, FALLIBLE,
      group_get_device },

    { VFIO_DEVICE_GET_INFO, "device_get_info", FILE_DEVICE, 0,
      UP_TO(vfio_device_info, num_irqs), FALLIBLE, device_get_info },
    { VFIO_DEVICE_GET_REGION_INFO, "get_region_info", FILE_DEVICE, 0,
      UP_TO(vfio_region_info, offset), FALLIBLE, device_get_region_info },
    { VFIO_DEVICE_GET_IRQ_INFO, "get_irq_info", FILE_DEVICE, 0,
      UP_TO(vfio_irq_info, count), FALLIBLE, device_get_irq_info },
    { VFIO_DEVICE_SET_IRQS, "set_irqs", FILE_DEVICE, 0,
      UP_TO(vfio_irq_set, count), FALLIBLE, device_set_irqs },
    { VFIO_DEVICE_RESET, "reset", FILE_DEVICE, 0, 0, FALLIBLE,
      device_reset },
    { VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, "hot_reset_info", FILE_DEVICE, 0,
      UP_TO(vfio_pci_hot_reset_info, count), FALLIBLE,
      device_hot_reset_info },
    { VFIO_DEVICE_PCI_HOT_RESET, "hot_reset", FILE_DEVICE, 0,
      UP_TO(vfio_pci_hot_reset, count), FALLIBLE, device_hot_reset },
};

static const IoctlEntry *find_entry(const ModelFile *file,
                                    unsigned long request)
{
    const Container *container = file->object;
    const IoctlEntry *entry;

    for (entry = entries;
         entry < entries + sizeof(entries) / sizeof(*entries); entry++) {
        if (entry->request == request && entry->kind == file->kind &&
            (!entry->drivers || (entry->drivers & container->driver))) {
            return entry;
        }
    }
    return NULL;
}

/* A sPAPR container belongs to the first mm that changes its state */
static long check_mm(Container *container, const IoctlEntry *entry)
{
    if (container->driver & SPAPR) {
        if (container->mm && container->mm != getpid() &&
            !(entry && !entry->drivers)) {
            return -EPERM;
        }
        if (entry && (entry->flags & TAKES_MM)) {
            container->mm = getpid();
        }
    }
    return 0;
}

static long read_argument(const IoctlEntry *entry, IoctlArgument *argument)
{
    if (!entry->size) {
        return 0;
    }
    argument->size = entry->size;
    if (user_read(argument->copy.bytes, argument->address, entry->size)) {
        return -EFAULT;
    }
    return entry->flags & NO_ARGSZ || argument->copy.argsz >= entry->size ?
           0 : -EINVAL;
}

static CallKind call_kind(const IoctlEntry *entry)
{
    return entry->flags & FALLIBLE ? CALL_FALLIBLE :
           entry->flags & UNDOES ? CALL_UNDOES : CALL_OTHER;
}

static long run(ModelFile *file, const IoctlEntry *entry, uint64_t address)
{
    Container *container = file->object;
    IoctlArgument argument = { .address = address };
    long result = 0;

    if (entry->flags & NEEDS_GROUP && !container->groups) {
        return -ENXIO;
    }
    if ((entry->flags & NEEDS_MM && !container->mm) ||
        (entry->flags & NEEDS_ENABLED && !container->enabled)) {
        return -EPERM;
    }
    if (fault_check(entry->name,
                    file->kind == FILE_CONTAINER ? container->id : 0,
                    call_kind(entry), &result)) {
        return result;
    }
    result = read_argument(entry, &argument);
    if (result) {
        return result;
    }
    result = entry->handler(file, &argument);
    if (result >= 0 && argument.size && !(entry->flags & NO_ARGSZ) &&
        user_write(address, argument.copy.bytes, argument.size)) {
        return -EFAULT;
    }
    return result;
}

long ioctl_call(ModelFile *file, unsigned long request, uint64_t address)
{
    const IoctlEntry *entry = find_entry(file, (uint32_t)request);
    Container *container = file->object;
    long result = 0;

    if (file->kind == FILE_CONTAINER) {
        result = check_mm(container, entry);
    }
    if (!result && !entry) {
        /* without a driver a container knows no other calls at all */
        result = file->kind == FILE_CONTAINER && !container->driver ?
                 -EINVAL : -ENOTTY;
    }
    if (!result) {
        result = run(file, entry, address);
    }
    ledger_call(entry ? entry->name : "unknown", result);
    return result;
}
