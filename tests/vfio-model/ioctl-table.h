/*
 * Every ioctl that the model answers
 *
 * One table gives number, name, the files it is for, the drivers that a
 * container has to have for it, the bytes that argsz has to cover, and the
 * handler.  Handlers get a copy of the first bytes of the argument and give
 * a result; what they wrote into the copy goes back to the program only if
 * they succeed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_IOCTL_TABLE_H
#define VFIO_MODEL_IOCTL_TABLE_H

#include "model.h"

/* The argument of one call */
typedef struct {
    uint64_t address;       /* of the argument, or the argument itself */
    union {
        uint32_t argsz;
        uint8_t bytes[128];
        uint64_t align;
    } copy;                 /* the first bytes of it, as the table says */
    uint32_t size;          /* how many; a handler may raise it */
} IoctlArgument;

typedef long IoctlHandler(ModelFile *file, IoctlArgument *argument);

/**
 * ioctl_call - answer one ioctl
 * @file: an open file of the model
 * @request: number
 * @address: argument
 *
 * Order: is the call known here, the caller's mm, faults, the argument's
 * bytes, argsz, the handler, the way back.  -ENOTTY for what is unknown.
 */
long ioctl_call(ModelFile *file, unsigned long request, uint64_t address);

IoctlHandler container_get_api_version, container_check_extension,
             container_set_iommu;
IoctlHandler spapr_get_info, spapr_map, spapr_unmap, spapr_register,
             spapr_unregister, spapr_enable, spapr_disable, spapr_create,
             spapr_remove, spapr_eeh;
IoctlHandler type1_get_info, type1_map, type1_unmap, type1_dirty_pages,
             type1_v1_dirty_pages;
IoctlHandler group_get_status, group_set_container, group_unset_container,
             group_get_device;
IoctlHandler device_get_info, device_get_region_info, device_get_irq_info,
             device_set_irqs, device_reset, device_hot_reset_info,
             device_hot_reset;

#endif
