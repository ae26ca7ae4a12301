/*
 * Stands in for QEMU's header of this name in unit tests: what a device may do
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_UNIT_SHIM_MEMORY_H
#define TESTS_UNIT_SHIM_MEMORY_H

/* Bits: 1 reads, 2 writes */
typedef enum { IOMMU_NONE, IOMMU_RO, IOMMU_WO, IOMMU_RW } IOMMUAccessFlags;

#endif /* TESTS_UNIT_SHIM_MEMORY_H */
