/*
 * VFIO on sPAPR: what a host can be asked, of Linux' container driver
 *
 * Each function is one ioctl.  Nothing is remembered here and nothing is
 * decided.
 *
 * Everything here runs under the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/ioctl.h>
#include <linux/kvm.h>
#include <linux/vfio.h>

#include "hw/vfio/vfio-common.h"
#include "spapr-host.h"
#include "trace.h"

static int host_ioctl(int fd, unsigned long request, void *arg)
{
    int ret = ioctl(fd, request, arg);

    return ret < 0 ? -errno : ret;
}

/* A positive answer means failure, but not of which kind */
static int failed_as(int ret, int error)
{
    return ret > 0 ? error : ret;
}

int vfio_spapr_host_info(const VFIOSpaprHost *host, VFIOSpaprInfo *info)
{
    struct vfio_iommu_spapr_tce_info said = { .argsz = sizeof(said) };
    int ret = host_ioctl(host->fd, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &said);

    *info = (VFIOSpaprInfo) {
        .start = said.dma32_window_start,
        .size = said.dma32_window_size,
    };
    if (said.flags & VFIO_IOMMU_SPAPR_INFO_DDW) {
        info->page_sizes = said.ddw.pgsizes;
        info->max_windows = said.ddw.max_dynamic_windows_supported;
        info->max_levels = said.ddw.levels;
    }
    return failed_as(ret, -EINVAL);
}

int vfio_spapr_host_create(const VFIOSpaprHost *host, unsigned page_shift,
                           uint64_t size, unsigned levels, uint64_t *start)
{
    struct vfio_iommu_spapr_tce_create create = {
        .argsz = sizeof(create),
        .page_shift = page_shift,
        .window_size = size,
        .levels = levels,
    };
    int ret = host_ioctl(host->fd, VFIO_IOMMU_SPAPR_TCE_CREATE, &create);

    *start = create.start_addr;
    return failed_as(ret, -EINVAL);
}

int vfio_spapr_host_remove(const VFIOSpaprHost *host, uint64_t start)
{
    struct vfio_iommu_spapr_tce_remove remove = {
        .argsz = sizeof(remove),
        .start_addr = start,
    };
    int ret = host_ioctl(host->fd, VFIO_IOMMU_SPAPR_TCE_REMOVE, &remove);

    return failed_as(ret, -EINVAL);
}

int vfio_spapr_host_map(const VFIOSpaprHost *host, uint64_t iova,
                        const void *vaddr, uint64_t size,
                        IOMMUAccessFlags perm)
{
    struct vfio_iommu_type1_dma_map map = {
        .argsz = sizeof(map),
        .flags = (perm & IOMMU_RO ? VFIO_DMA_MAP_FLAG_READ : 0) |
                 (perm & IOMMU_WO ? VFIO_DMA_MAP_FLAG_WRITE : 0),
        .vaddr = (uintptr_t)vaddr,
        .iova = iova,
        .size = size,
    };
    int ret = host_ioctl(host->fd, VFIO_IOMMU_MAP_DMA, &map);

    ret = failed_as(ret, -EINVAL);
    trace_vfio_spapr_map(host->fd, iova, map.vaddr, size, ret);
    return ret;
}

int vfio_spapr_host_unmap(const VFIOSpaprHost *host, uint64_t iova,
                          uint64_t size)
{
    struct vfio_iommu_type1_dma_unmap unmap = {
        .argsz = sizeof(unmap),
        .iova = iova,
        .size = size,
    };
    int ret = host_ioctl(host->fd, VFIO_IOMMU_UNMAP_DMA, &unmap);

    ret = failed_as(ret, -EINVAL);
    trace_vfio_spapr_unmap(host->fd, iova, size, ret);
    return ret;
}

static int host_registration(const VFIOSpaprHost *host, unsigned long request,
                             const void *vaddr, uint64_t size)
{
    struct vfio_iommu_spapr_register_memory reg = {
        .argsz = sizeof(reg),
        .vaddr = (uintptr_t)vaddr,
        .size = size,
    };

    return host_ioctl(host->fd, request, &reg);
}

int vfio_spapr_host_register(const VFIOSpaprHost *host, const void *vaddr,
                             uint64_t size)
{
    int ret = host_registration(host, VFIO_IOMMU_SPAPR_REGISTER_MEMORY, vaddr,
                                size);

    /* Positive: so many pages were pinned when the next one could not be */
    return failed_as(ret, -EFAULT);
}

int vfio_spapr_host_unregister(const VFIOSpaprHost *host, const void *vaddr,
                               uint64_t size)
{
    int ret = host_registration(host, VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY,
                                vaddr, size);

    return failed_as(ret, -EINVAL);
}

int vfio_spapr_host_use(const VFIOSpaprHost *host, bool use)
{
    int ret = host_ioctl(host->fd, use ? VFIO_IOMMU_ENABLE :
                                         VFIO_IOMMU_DISABLE, NULL);

    return failed_as(ret, -EINVAL);
}

int vfio_spapr_host_tell_kvm(int group_fd, int table_fd)
{
    int ret = -ENOSYS;
#ifdef CONFIG_KVM
    struct kvm_vfio_spapr_tce param = {
        .groupfd = group_fd,
        .tablefd = table_fd,
    };
    struct kvm_device_attr attr = {
        .group = KVM_DEV_VFIO_GROUP,
        .attr = KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE,
        .addr = (uintptr_t)&param,
    };

    ret = host_ioctl(vfio_kvm_device_fd, KVM_SET_DEVICE_ATTR, &attr);
    if (!ret) {
        trace_vfio_spapr_group_attach(group_fd, table_fd);
    }
#endif
    return failed_as(ret, -EINVAL);
}
