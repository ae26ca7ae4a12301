/*
 * Interrupts of a function: eventfds that the program has handed in
 *
 * A function has one type of interrupt set up at a time, INTx, MSI or MSI-X;
 * the request interrupt stands beside them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_INTERRUPT_H
#define VFIO_MODEL_INTERRUPT_H

#include "model.h"

/* No interrupt is set up; for a function that was never opened */
void interrupt_init(Function *function);

/* Take all interrupts of @function down */
void interrupt_disable(Function *function);

/* Signal @vector of what is set up; nothing happens without an eventfd */
void interrupt_raise(Function *function, unsigned vector);

#endif
