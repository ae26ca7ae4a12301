/*
 * What a container does depends on its driver
 *
 * A host has the sPAPR drivers or the type1 drivers, never both; which
 * version of them a container has is in container->driver.
 *
 * spapr_driver: a container has up to two windows, each a TCE table that all
 * its groups share.  Window 0 starts at dma32_start, window 1 at start64;
 * which one a CREATE gets is the first that is free.  The default window is
 * announced when the first group comes and made when something needs it.
 *
 * type1_driver: a mapping is what one MAP made; mappings do not overlap and
 * are never cut: version 2 refuses an UNMAP that would, version 1 takes all
 * of each mapping that begins in the range.  Its pages are pinned one by one
 * and go to the IOMMU in the largest pieces that physical contiguity,
 * alignment and the IOMMU's page sizes allow.  While version 2 tracks dirty
 * pages, all that are mapped are dirty.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_DRIVER_H
#define VFIO_MODEL_DRIVER_H

#include "model.h"

typedef struct {
    /* Does the host offer @extension (VFIO_*): 0 or 1 */
    long (*check_extension)(uint64_t extension);

    /* @group joins: 0, or an error with nothing changed */
    long (*attach)(Container *container, Group *group);

    /* @group leaves */
    void (*detach)(Container *container, Group *group);

    /* The last group has left: windows, mappings, charges go */
    void (*release)(Container *container);

    /*
     * Where an access of a device of @group goes.  @length, bytes wanted, is
     * lowered to those in the same page or mapping, @user set to the address
     * in the program.  False: nothing allows it.
     */
    bool (*translate)(const Group *group, uint64_t bus, bool write,
                      uint64_t *length, uint64_t *user);
} IommuDriver;

extern const IommuDriver spapr_driver, type1_driver;

static inline const IommuDriver *host_driver(void)
{
    return host.flavour == FLAVOUR_TYPE1 ? &type1_driver : &spapr_driver;
}

/* Mappings of @container now, 0 if it is not type1's */
unsigned type1_mappings(const Container *container);

#endif
