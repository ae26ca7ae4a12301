/*
 * The generated tree: dev/vfio and the part of sys that tells about groups
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_TREE_H
#define VFIO_MODEL_TREE_H

#include "topology.h"

/* Make the tree for @host in the empty directory @root; false: errno */
bool tree_make(const Host *host, const char *root);

/* Remove the directory @root with all in it; what is missing is fine */
void tree_remove(const char *root);

#endif
