/*
 * A simulated allocator of page frames
 *
 * Which frame backs a page is a fixed function of the page's address and of
 * the layout that the topology asks for, so that runs are reproducible and
 * nothing has to be remembered.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_FRAMES_H
#define VFIO_MODEL_FRAMES_H

#include <stdint.h>

/* The physical address of the page at @address, a multiple of host pages */
uint64_t frame_address(uint64_t address);

#endif
