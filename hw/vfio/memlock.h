/*
 * VFIO: locked memory
 *
 * What devices of the host can reach is locked in memory, and so are some of
 * the host's tables; a process may lock only so much.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_VFIO_MEMLOCK_H
#define HW_VFIO_MEMLOCK_H

/**
 * vfio_memlock_hint: tell what locked memory an operation needed
 * @errp: an error that is set, or NULL
 * @bytes: how much must be lockable, at least
 *
 * Appends the present limit of the process and the way to raise it.
 */
void vfio_memlock_hint(Error *const *errp, uint64_t bytes);

/**
 * vfio_memlock_left: how much more memory this process may lock
 * @used: bytes that are known to be locked; the kernel may know of more
 *
 * Returns bytes, or UINT64_MAX if there is no limit: none is set, the process
 * may exceed it (CAP_IPC_LOCK), or it cannot be found out.
 */
uint64_t vfio_memlock_left(uint64_t used);

#endif /* HW_VFIO_MEMLOCK_H */
