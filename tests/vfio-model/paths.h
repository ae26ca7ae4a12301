/*
 * Paths that lead into the tree of the model
 *
 * The tree has dev/vfio and a piece of sys, generated for one run.  A path
 * of the program that starts with one of the known prefixes is looked up
 * there instead.  Nothing here takes the lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_PATHS_H
#define VFIO_MODEL_PATHS_H

#include <limits.h>

/**
 * path_redirect - where @path really is
 * @path: as the program gave it, may be NULL
 * @buffer: PATH_MAX bytes
 *
 * Returns @path or @buffer.
 */
const char *path_redirect(const char *path, char *buffer);

/* The part of @path behind /dev/vfio/, or NULL */
const char *path_vfio_name(const char *path);

/* The tree is at @directory, which stays valid */
void path_set_root(const char *directory);

#endif
