/*
 * Faults on demand
 *
 * A rule is key=value words with commas between them:
 *
 *   ioctl=NAME     the call, by its name in the ledger; "any": every call
 *                  that can fail without the caller being wrong
 *   container=N    only calls on the Nth container that was opened
 *   nth=N          from the Nth such call on, 1 if it is not said
 *   once           only the Nth
 *   errno=NAME     how it fails
 *   return=N       or: what it returns
 *
 * A rule is checked before the call does anything, and after the caller's
 * right to call at all.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_FAULT_H
#define VFIO_MODEL_FAULT_H

#include <stdbool.h>

/* Add the rule @text; NULL, or what is wrong with it (a constant) */
const char *fault_add(const char *text);

/* Drop all rules */
void fault_clear(void);

/**
 * fault_check - does a call fail
 * @call: its name
 * @container: number of its container, 0: none
 * @fallible: it counts for "any"
 * @result: set to the result of the call if it fails
 *
 * Counts the call for every rule that it matches.
 */
bool fault_check(const char *call, unsigned container, bool fallible,
                 long *result);

/* Calls that count for "any" so far */
unsigned long fault_fallible_calls(void);

/* The number of an errno's name, 0: unknown */
int errno_number(const char *name);

/* The name of errno @number, or NULL */
const char *errno_name(int number);

#endif
