/*
 * Locked memory: the account of the program, and the regions that it has
 * registered for DMA
 *
 * A region belongs to the program (its mm), not to a container.  It counts
 * its users (registrations by containers) and its mappings (TCEs that point
 * into it).  Regions never overlap.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_PREREG_H
#define VFIO_MODEL_PREREG_H

#include "model.h"

typedef struct Region Region;

struct Region {
    Region *next;
    uint64_t address, size;     /* bytes, multiples of host pages */
    unsigned page_shift;        /* largest TCE page that it can back */
    uint64_t used;              /* registrations; 0 only on its way out */
    uint64_t mapped;            /* TCEs */
};

/* A container's reference to a region */
struct Registration {
    Registration *next;
    Region *region;
};

extern Region *regions;

/* Charge @bytes, a multiple of host pages: 0, or -ENOMEM over the limit */
long memlock_charge(uint64_t bytes);

/* Give @bytes back */
void memlock_return(uint64_t bytes);

/* Bytes charged now, and the largest value so far */
uint64_t memlock_bytes(void);
uint64_t memlock_peak(void);

/* REGISTER_MEMORY and UNREGISTER_MEMORY, arguments unchecked */
long prereg_register(Container *container, uint64_t address, uint64_t size);
long prereg_unregister(Container *container, uint64_t address,
                       uint64_t size);

/* Drop every registration of @container, as when it is released */
void prereg_release(Container *container);

/* The region that holds all of [@address, @address + @size), or NULL */
Region *prereg_find(uint64_t address, uint64_t size);

#endif
