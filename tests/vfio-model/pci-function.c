/*
 * PCI functions: configuration space and BARs
 *
 *          plain                    engine
 *   BAR 0  64 KiB memory, mapped    4 KiB registers of the DMA engine
 *   BAR 2  -                        64 KiB memory, mapped
 *   BAR 4  -                        4 KiB MSI-X table, pending bits at 2 KiB
 *   caps   power, MSI 4 vectors     power, MSI-X 4 vectors
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <string.h>

#include "pci-function.h"

#define POWER_CAP 0x40
#define MESSAGE_CAP 0x50
#define VECTORS 4

Bar pci_bar(const Function *function, unsigned index)
{
    static const Bar none, registers = { 0x1000, false };
    static const Bar memory = { 0x10000, true };

    if (function->kind == KIND_PLAIN) {
        return index == 0 ? memory : none;
    }
    return index == 0 || index == 4 ? registers : index == 2 ? memory : none;
}

static void put(Function *function, unsigned offset, unsigned size,
                uint32_t value, uint32_t mask)
{
    for (unsigned i = 0; i < size; i++) {
        function->config[offset + i] = value >> 8 * i;
        function->config_mask[offset + i] = mask >> 8 * i;
    }
}

static void add_message_capability(Function *function)
{
    if (function->kind == KIND_PLAIN) {
        put(function, MESSAGE_CAP, 2, PCI_CAP_ID_MSI, 0);
        /* 64-bit addresses; 4 vectors offered, as many enabled as set */
        put(function, MESSAGE_CAP + PCI_MSI_FLAGS, 2,
            PCI_MSI_FLAGS_64BIT | 2 << 1, PCI_MSI_FLAGS_ENABLE |
            PCI_MSI_FLAGS_QSIZE);
        put(function, MESSAGE_CAP + PCI_MSI_ADDRESS_LO, 4, 0, ~3u);
        put(function, MESSAGE_CAP + PCI_MSI_ADDRESS_HI, 4, 0, ~0u);
        put(function, MESSAGE_CAP + PCI_MSI_DATA_64, 2, 0, 0xffff);
        return;
    }
    put(function, MESSAGE_CAP, 2, PCI_CAP_ID_MSIX, 0);
    put(function, MESSAGE_CAP + PCI_MSIX_FLAGS, 2, VECTORS - 1,
        PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    put(function, MESSAGE_CAP + PCI_MSIX_TABLE, 4, 4, 0);
    put(function, MESSAGE_CAP + PCI_MSIX_PBA, 4, 0x800 | 4, 0);
}

void pci_reset(Function *function)
{
    memset(function->config, 0, sizeof(function->config));
    memset(function->config_mask, 0, sizeof(function->config_mask));
    memset(function->registers, 0, sizeof(function->registers));
    put(function, PCI_VENDOR_ID, 2, function->vendor, 0);
    put(function, PCI_DEVICE_ID, 2, function->device, 0);
    put(function, PCI_COMMAND, 2, 0, PCI_COMMAND_MEMORY |
        PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
        PCI_COMMAND_INTX_DISABLE);
    put(function, PCI_STATUS, 2, PCI_STATUS_CAP_LIST, 0);
    put(function, PCI_CLASS_REVISION, 4, 0x08010001, 0);
    put(function, PCI_SUBSYSTEM_VENDOR_ID, 2, function->vendor, 0);
    put(function, PCI_CAPABILITY_LIST, 1, POWER_CAP, 0);
    put(function, PCI_INTERRUPT_LINE, 1, 0, 0xff);
    put(function, PCI_INTERRUPT_PIN, 1, function->intx, 0);
    for (unsigned i = 0; i < BAR_COUNT; i++) {
        const uint32_t size = pci_bar(function, i).size;

        put(function, PCI_BASE_ADDRESS_0 + 4 * i, 4, 0, size ? -size : 0);
    }
    put(function, POWER_CAP, 2, PCI_CAP_ID_PM | MESSAGE_CAP << 8, 0);
    put(function, POWER_CAP + PCI_PM_PMC, 2, 3, 0);
    put(function, POWER_CAP + PCI_PM_CTRL, 2, PCI_PM_CTRL_NO_SOFT_RESET, 0);
    add_message_capability(function);
}

void pci_config_write(Function *function, unsigned offset, uint8_t value)
{
    const uint8_t mask = function->config_mask[offset];

    function->config[offset] &= ~mask;
    function->config[offset] |= value & mask;
}

bool pci_bus_master(const Function *function)
{
    return function->config[PCI_COMMAND] & PCI_COMMAND_MASTER;
}

unsigned pci_vectors(const Function *function, unsigned index)
{
    switch (index) {
    case VFIO_PCI_INTX_IRQ_INDEX:
        return function->intx;
    case VFIO_PCI_MSI_IRQ_INDEX:
        return function->kind == KIND_PLAIN ? VECTORS : 0;
    case VFIO_PCI_MSIX_IRQ_INDEX:
        return function->kind == KIND_ENGINE ? VECTORS : 0;
    case VFIO_PCI_REQ_IRQ_INDEX:
        return 1;
    default:
        return 0;
    }
}
