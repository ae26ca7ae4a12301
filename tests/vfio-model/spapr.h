/*
 * The sPAPR TCE driver of a container, versions 1 and 2
 *
 * A container has up to two windows, each a TCE table that all its groups
 * share.  Window 0 starts at dma32_start, window 1 at start64; which one a
 * CREATE gets is the first that is free.  The default window is announced
 * when the first group comes and made when something needs it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_SPAPR_H
#define VFIO_MODEL_SPAPR_H

#include "model.h"

/* Does the host offer @extension (VFIO_*): 0 or 1 */
long spapr_check_extension(uint64_t extension);

/* @group joins: 0, or -EINVAL, -EBUSY, -EPERM... with nothing changed */
long spapr_attach(Container *container, Group *group);

/* @group leaves */
void spapr_detach(Container *container, Group *group);

/* The last group has left: windows, registrations and charges go */
void spapr_release(Container *container);

/**
 * spapr_translate - where an access of a device goes
 * @group: the device's
 * @bus: address on the bus
 * @write: the device writes
 * @length: bytes wanted; lowered to those in the same page
 * @user: set to the address in the program
 *
 * Returns false if no TCE allows it.
 */
bool spapr_translate(const Group *group, uint64_t bus, bool write,
                     uint64_t *length, uint64_t *user);

#endif
