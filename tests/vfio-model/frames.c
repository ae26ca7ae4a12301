/*
 * A simulated allocator of page frames
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "frames.h"
#include "model.h"

#define HUGE_SHIFT 21

/* Twice as far from the start: units of 1 << @shift never touch each other */
static uint64_t spread(uint64_t address, unsigned shift)
{
    const uint64_t inside = address & ((1ull << shift) - 1);

    return (address - inside) * 2 + inside;
}

uint64_t frame_address(uint64_t address)
{
    switch (host.frames) {
    case FRAMES_CONTIGUOUS:
        return address;
    case FRAMES_HUGE:
        return spread(address, HUGE_SHIFT);
    case FRAMES_MIXED:
        return spread(address, address >> HUGE_SHIFT & 1 ? HUGE_SHIFT :
                                                           host.page_shift);
    default:
        return spread(address, host.page_shift);
    }
}
