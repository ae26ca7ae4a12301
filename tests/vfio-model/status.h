/*
 * What /proc/self tells a process that runs on the model's host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_STATUS_H
#define VFIO_MODEL_STATUS_H

#include <stdbool.h>
#include <sys/stat.h>

/* Is that /proc/self/status? */
bool status_is(const char *path);

/* Is that the user namespace, and does the host have it in one of its own? */
bool status_is_namespace(const char *path);

/**
 * status_set_namespace - let the user namespace be another than the first
 * @st: of the real one
 */
void status_set_namespace(struct stat *st);

/**
 * status_open - open a copy of /proc/self/status
 * @path: the file
 * @flags: of open()
 *
 * There VmLck has what the host has locked, too.  In a user namespace of its
 * own a process has all capabilities.
 *
 * Returns a descriptor, of the file itself if there can be no copy, or -1
 * with errno set.
 */
int status_open(const char *path, int flags);

#endif
