/*
 * The type1 driver of a container, versions 1 and 2
 *
 * A mapping is what one MAP made; mappings do not overlap and are never cut:
 * version 2 refuses an UNMAP that would, version 1 takes all of each mapping
 * that begins in the range.
 * Its pages are pinned one by one and go to the IOMMU in the largest pieces
 * that physical contiguity, alignment and the IOMMU's page sizes allow.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_TYPE1_H
#define VFIO_MODEL_TYPE1_H

#include "model.h"

/* Does the host offer @extension (VFIO_*): 0 or 1 */
long type1_check_extension(uint64_t extension);

/* @group joins: 0 or -ENOMEM */
long type1_attach(Container *container, Group *group);

/* @group leaves */
void type1_detach(Container *container, Group *group);

/* The last group has left: all mappings go */
void type1_release(Container *container);

/* Mappings of @container now */
unsigned type1_mappings(const Container *container);

/* As spapr_translate() */
bool type1_translate(const Group *group, uint64_t bus, bool write,
                     uint64_t *length, uint64_t *user);

#endif
