/*
 * Faults on demand
 *
 * A rule is key=value words with commas between them:
 *
 *   ioctl=NAME     the call, by its name in the ledger; "any": every call
 *                  that can fail without the caller being wrong; "every":
 *                  those, and the calls that undo what others did
 *   container=N    only calls on the Nth container that was opened
 *   nth=N          from the Nth such call on, 1 if it is not said
 *   once           only the Nth
 *   then           counts only calls that come after one that failed by
 *                  another rule
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
#include <stdio.h>

typedef enum {
    CALL_OTHER,         /* fails only if a rule has its name */
    CALL_FALLIBLE,      /* may fail though the caller does nothing wrong */
    CALL_UNDOES,        /* takes back what another one did: no host refuses */
} CallKind;

/* Add the rule @text; NULL, or what is wrong with it (a constant) */
const char *fault_add(const char *text);

/* Drop all rules */
void fault_clear(void);

/**
 * fault_check - does a call fail
 * @call: its name
 * @container: number of its container, 0: none
 * @kind: which rules without a name it counts for
 * @result: set to the result of the call if it fails
 *
 * Counts the call for every rule that it matches.
 */
bool fault_check(const char *call, unsigned container, CallKind kind,
                 long *result);

/* The calls that failed by rules, in their order, as a list in JSON */
void fault_print(FILE *file);

/* Calls that count for "any" so far */
unsigned long fault_fallible_calls(void);

/* The number of an errno's name, 0: unknown */
int errno_number(const char *name);

/* The name of errno @number, or NULL */
const char *errno_name(int number);

#endif
