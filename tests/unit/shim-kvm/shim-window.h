/*
 * What hw/ppc/spapr_dma_kvm.c wants of QEMU, as far as a test without QEMU has
 * to have it: types that it only carries around, and functions that the test
 * has in their place.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_UNIT_SHIM_WINDOW_H
#define TESTS_UNIT_SHIM_WINDOW_H

#include <errno.h>
#include <unistd.h>
#include "qemu/atomic.h"
#include "qemu/queue.h"

#define CONFIG_POSIX 1

typedef uint64_t hwaddr;
typedef struct Error Error;
typedef struct DeviceState { int unused; } DeviceState;
typedef struct MemoryRegion { bool mapped; } MemoryRegion;
typedef struct IOMMUMemoryRegion { MemoryRegion parent; } IOMMUMemoryRegion;
typedef struct AddressSpace AddressSpace;

#define OBJECT_DECLARE_SIMPLE_TYPE(Type, NAME) typedef struct Type Type;
#define MEMORY_REGION(region) (&(region)->parent)

typedef enum { IOMMU_NONE, IOMMU_RO, IOMMU_WO, IOMMU_RW } IOMMUAccessFlags;

typedef enum { SPAPR_DMA_LIMIT_REASON__MAX = 1 } SpaprDmaLimitReason;
typedef enum { SPAPR_DMA_REFUSAL_REASON__MAX = 1 } SpaprDmaRefusalReason;
typedef enum {
    SPAPR_DMA_HANDLER_KVM,
    SPAPR_DMA_HANDLER_QEMU_NO_KVM,
    SPAPR_DMA_HANDLER_QEMU_NOTIFIERS,
    SPAPR_DMA_HANDLER_QEMU_CONTAINER,
    SPAPR_DMA_HANDLER_QEMU_NO_VFIO_IN_KVM,
    SPAPR_DMA_HANDLER_QEMU_TOO_LARGE,
    SPAPR_DMA_HANDLER_QEMU_KVM_NO_TABLE,
    SPAPR_DMA_HANDLER_QEMU_KVM_NO_CONNECT,
} SpaprDmaHandler;
typedef struct SpaprDmaContainerInfo SpaprDmaContainerInfo;
typedef struct SpaprDmaHostWindowInfo SpaprDmaHostWindowInfo;

/* Nothing is traced */
#define trace_spapr_dma_kvm_refused(...)
#define trace_spapr_dma_kvm_enter(...)
#define trace_spapr_dma_kvm_leave(...)

#define warn_report_once(...) g_error(__VA_ARGS__)
int qemu_memfd_create(const char *name, size_t size, bool hugetlb,
                      uint64_t hugetlbsize, unsigned int seals, Error **errp);

const char *error_get_pretty(const Error *err);
void error_free(Error *err);
bool memory_region_is_mapped(MemoryRegion *mr);
void accel_ioctl_inhibit_begin(void);
void accel_ioctl_inhibit_end(void);
size_t qemu_real_host_page_size(void);

/* The test brings its own KVM */
#define kvm_enabled() false
#define kvmppc_has_cap_spapr_vfio() false
#define kvmppc_create_spapr_tce(liobn, shift, ...) ((void)(shift), NULL)

#endif /* TESTS_UNIT_SHIM_WINDOW_H */
