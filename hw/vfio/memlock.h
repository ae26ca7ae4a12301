/*
 * VFIO on sPAPR: the limit of locked memory
 *
 * What devices of the host can reach is locked in memory, and so are some of
 * the host's tables; a process may lock only so much.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_VFIO_MEMLOCK_H
#define HW_VFIO_MEMLOCK_H

#include "hw/ppc/spapr_dma_mapper.h"

/**
 * vfio_memlock_remedy: say how much must be lockable, and how to allow it
 * @mapper: a container that could not lock what it needs (-ENOMEM)
 * @coming: bytes of RAM that the memory map does not show yet
 * @plugged: is that memory of which maxmem says how much there can be?
 *
 * Returns a part of a message, to be freed.  The sum is that of the machine
 * with all DMA windows, so that nothing else is missed after it is allowed.  If
 * the limit allows that much, the message names what else it can be.
 */
char *vfio_memlock_remedy(const SpaprDmaMapper *mapper, uint64_t coming,
                          bool plugged);

/**
 * vfio_memlock_left: how much more memory this process may lock
 * @used: bytes that are known to be locked; the kernel may know of more
 *
 * Returns bytes, or UINT64_MAX if there is no limit: none is set, the process
 * may exceed it (CAP_IPC_LOCK in the first user namespace, which is the only
 * one that counts for the kernel), or it cannot be found out.
 */
uint64_t vfio_memlock_left(uint64_t used);

#endif /* HW_VFIO_MEMLOCK_H */
