/*
 * Stands in for QEMU's header of this name in unit tests: KVM's VFIO device
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_UNIT_SHIM_VFIO_COMMON_H
#define TESTS_UNIT_SHIM_VFIO_COMMON_H

#define CONFIG_KVM

extern int vfio_kvm_device_fd;

#endif /* TESTS_UNIT_SHIM_VFIO_COMMON_H */
