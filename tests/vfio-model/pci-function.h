/*
 * PCI functions: configuration space and BARs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_PCI_FUNCTION_H
#define VFIO_MODEL_PCI_FUNCTION_H

#include "model.h"

typedef struct {
    uint32_t size;          /* bytes; 0: there is no such BAR */
    bool mappable;
} Bar;

/* The BAR @index of @function */
Bar pci_bar(const Function *function, unsigned index);

/* Put the configuration space of @function into the state after reset */
void pci_reset(Function *function);

/* Write one byte of configuration space, as far as it can be written */
void pci_config_write(Function *function, unsigned offset, uint8_t value);

/* May @function start DMA */
bool pci_bus_master(const Function *function);

/* Interrupts of VFIO type @index (VFIO_PCI_*_IRQ_INDEX) */
unsigned pci_vectors(const Function *function, unsigned index);

#endif
