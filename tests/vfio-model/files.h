/*
 * Which descriptors of the program belong to the model
 *
 * A descriptor is a real one, of an empty file or of a device's memory, so
 * the kernel keeps the numbers; this table says what it stands for.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_FILES_H
#define VFIO_MODEL_FILES_H

#include "model.h"

/* The file behind @fd, or NULL: not one of ours; needs no lock */
ModelFile *files_get(int fd);

/**
 * files_add - a new open file
 * @fd: descriptor, open, not in the table
 * @kind: what it is
 * @object: what it is of; the caller's reference moves here
 *
 * Returns false if there is no memory or @fd is beyond the table.
 */
bool files_add(int fd, FileKind kind, void *object);

/* @fd is a new descriptor of the file of @old, which may not be ours */
void files_dup(int old, int fd);

/* @fd is about to be closed, or replaced: drop what it stands for */
void files_close(int fd);

/* Close every descriptor, as the end of the process does */
void files_close_all(void);

#endif
