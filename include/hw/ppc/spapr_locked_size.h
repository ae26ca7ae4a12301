/*
 * Locked memory that tables of DMA windows take in Linux
 *
 * Nothing but arithmetic, for QEMU and for who plans a machine without one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_PPC_SPAPR_LOCKED_SIZE_H
#define HW_PPC_SPAPR_LOCKED_SIZE_H

/**
 * spapr_locked_levels: levels that a host's table should have
 * @host_page: bytes of a page of the host's memory, a power of two
 * @max_levels: what the host can do, at least 1
 * @entries: how many, a power of two
 *
 * Returns the fewest that keep each block of the table small, since a block
 * must be contiguous.
 */
unsigned spapr_locked_levels(uint64_t host_page, unsigned max_levels,
                             uint64_t entries);

/**
 * spapr_locked_host_table: what VFIO counts for a table of the host
 * @host_page: bytes of a page of the host's memory, a power of two
 * @entries: how many, a power of two
 * @levels: of the table
 *
 * Returns bytes.  Bare metal (pnv_pci_ioda2_get_table_size() in Linux) counts
 * all blocks of all levels as if they were there, twice: there is a copy for
 * VFIO.  A partition counts half of it.
 */
uint64_t spapr_locked_host_table(uint64_t host_page, uint64_t entries,
                                 unsigned levels);

/**
 * spapr_locked_kvm_table: what KVM counts for its own table of a window
 * @host_page: bytes of a page of the host's memory, a power of two
 * @entries: how many
 *
 * Returns bytes: a word for each entry, and a list of the pages they fill.
 */
uint64_t spapr_locked_kvm_table(uint64_t host_page, uint64_t entries);

#endif /* HW_PPC_SPAPR_LOCKED_SIZE_H */
