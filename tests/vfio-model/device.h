/*
 * Device descriptors: what GET_DEVICE_FD opens
 *
 * A region of a device is found at offset (index << 40) of its descriptor,
 * as vfio-pci has it.  The memory of all BARs is one anonymous file, BAR n
 * at n * BAR_STRIDE, so that a region can really be mapped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_DEVICE_H
#define VFIO_MODEL_DEVICE_H

#include "model.h"

#define BAR_STRIDE 0x10000
#define REGION_SHIFT 40

/* A new descriptor of @function, in the table of files, or -errno */
long device_open(Function *function);

/* The last descriptor of one open is gone */
void device_put(Function *function);

/**
 * device_access - read or write a region
 * @function: of an open device
 * @buffer: bytes
 * @count: how many; fewer are done at the end of the region
 * @offset: of the descriptor
 * @write: direction
 *
 * Returns the bytes done, or -EINVAL.
 */
long device_access(Function *function, void *buffer, size_t count,
                   uint64_t offset, bool write);

/**
 * device_map_offset - where a mapping of a region lies
 * @offset: of the descriptor, @length: bytes
 *
 * Returns the offset in the memory of the device, or -EINVAL.
 */
long device_map_offset(const Function *function, uint64_t offset,
                       uint64_t length);

#endif
