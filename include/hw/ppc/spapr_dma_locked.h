/*
 * sPAPR DMA windows: how much memory the host has to lock
 *
 * The host locks the RAM that devices of the host reach, and counts tables of
 * windows as locked, too.  One sum of all that is used by messages, by what is
 * offered to guests, and by the view.
 *
 * Everything here runs under the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_PPC_SPAPR_DMA_LOCKED_H
#define HW_PPC_SPAPR_DMA_LOCKED_H

#include "hw/ppc/spapr_dma_mapper.h"

/**
 * SpaprDmaLocked: bytes that a machine has to lock
 * @ram: what devices of the host reach; the host counts it once
 * @host_tables: tables of the host, of all containers
 * @kvm_tables: tables of KVM
 *
 * Each PHB with a container is given its default window and, if it has dynamic
 * ones, a second one that maps all memory of the guest, whether the guest has
 * made that yet or not.
 */
struct SpaprDmaLocked {
    uint64_t ram;
    uint64_t host_tables;
    uint64_t kvm_tables;
};

/**
 * spapr_dma_locked: what this machine has to lock
 * @joining: a mapper that is not registered yet, with its operations and space
 *           set; NULL if there is none
 * @locked: the answer
 *
 * Returns the sum.
 */
uint64_t spapr_dma_locked(const SpaprDmaMapper *joining,
                          SpaprDmaLocked *locked);

/**
 * spapr_dma_locked_one_more: what another container would add
 * @mapper: a mapper like that one's, registered or not
 *
 * Returns bytes, enough for one on a PHB that is still to come.
 */
uint64_t spapr_dma_locked_one_more(const SpaprDmaMapper *mapper);

/**
 * spapr_dma_kvm_locked: what KVM counts for its table of a window
 * @entries: of the window
 *
 * Returns bytes, 0 if the machine is not run by KVM.
 */
uint64_t spapr_dma_kvm_locked(uint64_t entries);

#endif /* HW_PPC_SPAPR_DMA_LOCKED_H */
