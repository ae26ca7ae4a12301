/*
 * A DMA engine
 *
 * Registers, 32 bits each, little endian, at offset 4 * number of BAR 0.  A
 * write to the doorbell runs the transfer to its end at once.  Addresses are
 * those of the bus and go through the IOMMU, page by page; device memory is
 * BAR 2.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_ENGINE_H
#define VFIO_MODEL_ENGINE_H

#include "model.h"

enum {
    ENGINE_ID = 0,              /* 0x444d4145 */
    ENGINE_SOURCE = 1,          /* low and high word */
    ENGINE_DESTINATION = 3,     /* low and high word */
    ENGINE_LENGTH = 5,          /* bytes, 1 to 16 MiB */
    ENGINE_DIRECTION = 6,
    ENGINE_DOORBELL = 7,
    ENGINE_RESULT = 8,
    ENGINE_DONE = 9,            /* bytes that were moved */
    ENGINE_INTERRUPT = 10,      /* 0: none, else 1 + vector */
    ENGINE_FAULT = 11,          /* bus address, low and high word */
    ENGINE_REGISTERS = 13,
};

enum {
    DIRECTION_COPY = 0,         /* bus to bus */
    DIRECTION_IN = 1,           /* bus to device memory */
    DIRECTION_OUT = 2,          /* device memory to bus */
};

enum {
    RESULT_IDLE = 0,
    RESULT_OK = 1,
    RESULT_READ_FAULT = 2,      /* no translation, or not for reading */
    RESULT_WRITE_FAULT = 3,
    RESULT_BAD_REQUEST = 4,     /* direction, length or device memory */
    RESULT_NO_MASTER = 5,       /* bus mastering is off */
    RESULT_MEMORY = 6,          /* translated, but nothing is there */
    RESULT_FROZEN = 7,          /* the group is frozen */
};

#define ENGINE_MAGIC 0x444d4145

/* Read or write @size bytes of the registers at @offset */
void engine_read(const Function *function, unsigned offset, void *to,
                 unsigned size);
void engine_write(Function *function, unsigned offset, const void *from,
                  unsigned size);

#endif
