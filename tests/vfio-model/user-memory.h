/*
 * Memory of the program under the model, seen as a kernel sees it
 *
 * Addresses come from the program and may be anything; nothing here faults.
 * Each copy is one real system call, so an intercepted call costs what a
 * crossing into the kernel costs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_USER_MEMORY_H
#define VFIO_MODEL_USER_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Copy @size bytes from the program; 0 or -EFAULT, then @to is undefined */
int user_read(void *to, uint64_t from, size_t size);

/* Copy @size bytes to the program; 0 or -EFAULT, possibly partly done */
int user_write(uint64_t to, const void *from, size_t size);

/* Bytes from @address on, at most @size, that are mapped and writable */
uint64_t user_writable(uint64_t address, uint64_t size);

#endif
