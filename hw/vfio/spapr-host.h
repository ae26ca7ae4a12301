/*
 * VFIO on sPAPR: what a host can be asked
 *
 * The seam between containers and the host.  All that the host is asked goes
 * through these calls, in words of their own; another way to a host (iommufd)
 * is another spapr-host.c.
 *
 * Each call returns 0, or the negative errno of what is a failure in any way:
 * the driver in Linux lets positive values escape that mean failure.
 *
 * Everything here runs under the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_VFIO_SPAPR_HOST_H
#define HW_VFIO_SPAPR_HOST_H

#include "exec/memory.h"

/**
 * VFIOSpaprHost: a container of the host
 * @fd: of /dev/vfio/vfio, with at least one group
 */
typedef struct VFIOSpaprHost {
    int fd;
} VFIOSpaprHost;

/**
 * VFIOSpaprInfo: what a host has
 * @start: bus address of the window that it comes with
 * @size: bytes of that
 * @page_sizes: bit n set: windows can be made in pages of 2^n bytes; 0 if none
 *              can be made
 * @max_windows: how many at once
 * @max_levels: of the table of one
 */
typedef struct VFIOSpaprInfo {
    uint64_t start;
    uint64_t size;
    uint64_t page_sizes;
    unsigned max_windows;
    unsigned max_levels;
} VFIOSpaprInfo;

/**
 * vfio_spapr_host_info: what does the host have?
 * @host: the container
 * @info: the answer
 */
int vfio_spapr_host_info(const VFIOSpaprHost *host, VFIOSpaprInfo *info);

/**
 * vfio_spapr_host_create: make a window in all groups of the container
 * @host: the container
 * @page_shift: log2 of its page size in bytes
 * @size: bytes, a power of two
 * @levels: of its table
 * @start: bus address that the host has chosen
 */
int vfio_spapr_host_create(const VFIOSpaprHost *host, unsigned page_shift,
                           uint64_t size, unsigned levels, uint64_t *start);

/**
 * vfio_spapr_host_remove: remove a window with all that is mapped in it
 * @host: the container
 * @start: its first bus address
 */
int vfio_spapr_host_remove(const VFIOSpaprHost *host, uint64_t start);

/**
 * vfio_spapr_host_map: let devices reach memory of this process
 * @host: the container
 * @iova: first bus address
 * @vaddr: first address of the memory, which is registered
 * @size: bytes, whole pages of the window
 * @perm: what devices may do
 */
int vfio_spapr_host_map(const VFIOSpaprHost *host, uint64_t iova,
                        const void *vaddr, uint64_t size,
                        IOMMUAccessFlags perm);

/**
 * vfio_spapr_host_unmap: undo that; holes are fine
 * @host: the container
 * @iova: first bus address
 * @size: bytes, whole pages of the window
 */
int vfio_spapr_host_unmap(const VFIOSpaprHost *host, uint64_t iova,
                          uint64_t size);

/**
 * vfio_spapr_host_register: have memory pinned, so that it can be mapped
 * @host: the container
 * @vaddr: first address, at a page of the host
 * @size: bytes, whole pages of the host
 */
int vfio_spapr_host_register(const VFIOSpaprHost *host, const void *vaddr,
                             uint64_t size);

/**
 * vfio_spapr_host_unregister: undo that, for the very same range
 * @host: the container
 * @vaddr: as it was registered
 * @size: the same
 */
int vfio_spapr_host_unregister(const VFIOSpaprHost *host, const void *vaddr,
                               uint64_t size);

/**
 * vfio_spapr_host_use: begin or end to use a window that the host comes with
 * @host: the container
 * @use: begin?
 */
int vfio_spapr_host_use(const VFIOSpaprHost *host, bool use);

/**
 * vfio_spapr_host_tell_kvm: have KVM update a group's window with its table
 * @group_fd: the group, which KVM knows
 * @table_fd: KVM's table; the window has the same bus addresses
 */
int vfio_spapr_host_tell_kvm(int group_fd, int table_fd);

#endif /* HW_VFIO_SPAPR_HOST_H */
