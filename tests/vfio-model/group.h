/*
 * IOMMU groups: what /dev/vfio/N opens
 *
 * A group is opened by one at a time.  Open devices hold the group open, and
 * it leaves its container when the last holder goes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_GROUP_H
#define VFIO_MODEL_GROUP_H

#include "model.h"

/* The group of this number, or NULL */
Group *group_by_number(int number);

/* Open @group: 0, or -EBUSY */
long group_open(Group *group);

/* Drop a holder of @group */
void group_put(Group *group);

/* Where an access of a device of @group goes; see spapr_translate() */
bool group_translate(const Group *group, uint64_t bus, bool write,
                     uint64_t *length, uint64_t *user);

#endif
