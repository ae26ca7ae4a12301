/*
 * Stands in for the trace events of hw/vfio in unit tests: they are not seen
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_UNIT_SHIM_TRACE_HW_VFIO_H
#define TESTS_UNIT_SHIM_TRACE_HW_VFIO_H

#define trace_vfio_spapr_map(...)           ((void)0)
#define trace_vfio_spapr_unmap(...)         ((void)0)
#define trace_vfio_spapr_group_attach(...)  ((void)0)

#endif /* TESTS_UNIT_SHIM_TRACE_HW_VFIO_H */
