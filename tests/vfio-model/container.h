/*
 * Containers: what /dev/vfio/vfio opens
 *
 * A container lives as long as it has a descriptor or a group.  It gets a
 * driver with SET_IOMMU while it has groups, and loses it with its last one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_CONTAINER_H
#define VFIO_MODEL_CONTAINER_H

#include "model.h"

/* A new container with one reference, or NULL: no memory */
Container *container_open(void);

/* Drop a reference */
void container_put(Container *container);

/**
 * container_attach - a group joins
 * @container: with or without a driver, which may refuse
 * @group: without container
 *
 * Returns 0, or what the driver says.
 */
long container_attach(Container *container, Group *group);

/* @group leaves; the driver goes with the last one */
void container_detach(Group *group);

#endif
