/*
 * /proc/self/status of a process whose memory the model's host has locked
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_STATUS_H
#define VFIO_MODEL_STATUS_H

#include <stdbool.h>

/* Is that the file? */
bool status_is(const char *path);

/**
 * status_open - open a copy in which VmLck has what the host has locked, too
 * @path: the file
 * @flags: of open()
 *
 * Returns a descriptor, of the file itself if there can be no copy, or -1
 * with errno set.
 */
int status_open(const char *path, int flags);

#endif
