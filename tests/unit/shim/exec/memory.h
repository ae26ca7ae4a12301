/*
 * Stands in for QEMU's header of this name in unit tests: what a device may do
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_UNIT_SHIM_MEMORY_H
#define TESTS_UNIT_SHIM_MEMORY_H

typedef enum IOMMUAccessFlags {
    IOMMU_NONE = 0,
    IOMMU_RO = 1,
    IOMMU_WO = 2,
    IOMMU_RW = 3,
} IOMMUAccessFlags;

#endif /* TESTS_UNIT_SHIM_MEMORY_H */
