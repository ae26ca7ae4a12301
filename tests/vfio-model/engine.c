/*
 * A DMA engine
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <endian.h>
#include <inttypes.h>
#include <linux/vfio.h>
#include <string.h>

#include "device.h"
#include "engine.h"
#include "group.h"
#include "interrupt.h"
#include "ledger.h"
#include "pci-function.h"
#include "user-memory.h"

#define MEMORY_BAR 2
#define MAX_LENGTH (16u << 20)
#define CHUNK 4096

static uint64_t wide(const Function *function, unsigned number)
{
    return function->registers[number] |
           (uint64_t)function->registers[number + 1] << 32;
}

static uint32_t bus_fault(Function *function, uint64_t bus, bool write)
{
    function->registers[ENGINE_FAULT] = bus;
    function->registers[ENGINE_FAULT + 1] = bus >> 32;
    ledger_add(COUNT_DMA_FAULTS, 1);
    if (host.freeze) {
        function->group->eeh_state = VFIO_EEH_PE_STATE_STOPPED;
    }
    return write ? RESULT_WRITE_FAULT : RESULT_READ_FAULT;
}

/* Move up to @size bytes between @buffer and the bus: a result code */
static uint32_t bus_access(Function *function, uint64_t bus, uint8_t *buffer,
                           uint64_t size, bool write)
{
    uint64_t part, user;

    for (; size; size -= part, bus += part, buffer += part) {
        part = size;
        if (!group_translate(function->group, bus, write, &part, &user)) {
            return bus_fault(function, bus, write);
        }
        if (write ? user_write(user, buffer, part) :
                    user_read(buffer, user, part)) {
            ledger_violation("%s: DMA to 0x%" PRIx64 " hits 0x%" PRIx64
                             ", where the program has no memory any more",
                             function->name, bus, user);
            return RESULT_MEMORY;
        }
        ledger_add(write ? COUNT_DMA_WRITES : COUNT_DMA_READS, 1);
    }
    return RESULT_OK;
}

static uint32_t move(Function *function, uint64_t source,
                     uint64_t destination, uint64_t size, unsigned direction)
{
    uint8_t *memory = function->memory + MEMORY_BAR * BAR_STRIDE;
    uint8_t buffer[CHUNK];
    uint32_t result = RESULT_OK;

    if (direction == DIRECTION_OUT) {
        memcpy(buffer, memory + source, size);
    } else {
        result = bus_access(function, source, buffer, size, false);
    }
    if (result != RESULT_OK) {
        return result;
    }
    if (direction == DIRECTION_IN) {
        memcpy(memory + destination, buffer, size);
        return RESULT_OK;
    }
    return bus_access(function, destination, buffer, size, true);
}

static bool fits(const Function *function, uint64_t start, uint64_t length)
{
    const uint64_t size = pci_bar(function, MEMORY_BAR).size;

    return length <= size && start <= size - length;
}

static bool bad_request(const Function *function, uint64_t source,
                        uint64_t destination, uint32_t length,
                        unsigned direction)
{
    return !length || length > MAX_LENGTH || direction > DIRECTION_OUT ||
           (direction == DIRECTION_IN &&
            !fits(function, destination, length)) ||
           (direction == DIRECTION_OUT && !fits(function, source, length));
}

static uint32_t transfer(Function *function)
{
    const unsigned direction = function->registers[ENGINE_DIRECTION];
    const uint32_t length = function->registers[ENGINE_LENGTH];
    uint64_t source = wide(function, ENGINE_SOURCE);
    uint64_t destination = wide(function, ENGINE_DESTINATION);
    uint32_t *done = &function->registers[ENGINE_DONE];
    uint32_t result = RESULT_OK, part;

    *done = 0;
    if (bad_request(function, source, destination, length, direction)) {
        return RESULT_BAD_REQUEST;
    }
    if (!pci_bus_master(function)) {
        return RESULT_NO_MASTER;
    }
    while (*done < length && result == RESULT_OK) {
        if (function->group->eeh_state) {
            return RESULT_FROZEN;
        }
        part = length - *done < CHUNK ? length - *done : CHUNK;
        result = move(function, source + *done, destination + *done, part,
                      direction);
        *done += result == RESULT_OK ? part : 0;
    }
    return result;
}

void engine_read(const Function *function, unsigned offset, void *to,
                 unsigned size)
{
    uint32_t image[ENGINE_REGISTERS];

    for (unsigned i = 0; i < ENGINE_REGISTERS; i++) {
        image[i] = htole32(function->registers[i]);
    }
    image[ENGINE_ID] = htole32(ENGINE_MAGIC);
    memset(to, 0, size);
    if (offset < sizeof(image)) {
        memcpy(to, (uint8_t *)image + offset,
               size < sizeof(image) - offset ? size : sizeof(image) - offset);
    }
}

void engine_write(Function *function, unsigned offset, const void *from,
                  unsigned size)
{
    const uint8_t *bytes = from;
    bool doorbell = false;

    for (unsigned i = offset; i < offset + size; i++) {
        const unsigned number = i / 4, shift = i % 4 * 8;

        if (number < ENGINE_REGISTERS) {
            function->registers[number] &= ~(0xffu << shift);
            function->registers[number] |= (uint32_t)bytes[i - offset] <<
                                           shift;
            doorbell |= number == ENGINE_DOORBELL;
        }
    }
    if (doorbell) {
        function->registers[ENGINE_RESULT] = transfer(function);
        if (function->registers[ENGINE_INTERRUPT]) {
            interrupt_raise(function,
                            function->registers[ENGINE_INTERRUPT] - 1);
        }
    }
}
