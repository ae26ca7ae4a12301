/*
 * Where the real driver differs from what its documentation says, or where
 * versions of it differ from each other
 *
 * Each quirk is a switch.  Its name turns it on, "no-" and its name off;
 * without a word the model behaves as Linux 6.12 does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_QUIRK_H
#define VFIO_MODEL_QUIRK_H

#include <stdbool.h>

typedef enum {
    QUIRK_PLUS_ONE,             /* MAP, UNMAP: +1 for a misplaced iova */
    QUIRK_POSITIVE_REGISTER,    /* REGISTER: pages, if pinned half way */
    QUIRK_SILENT_UNREGISTER,    /* UNREGISTER: 0 although pages are mapped */
    QUIRK_DETACH_CLEARS,        /* a leaving group clears shared tables */
    QUIRK_CREATE_LEAK,          /* a failed CREATE keeps its charge */
    QUIRK_RESET_NORMAL,         /* EEH: a group under reset is "normal" */
    QUIRK_OWN_TABLE,            /* a group takes only tables made for it */
    QUIRK_SHORT_INFO,           /* GET_INFO leaves the window part alone */
    QUIRK_V2_EPERM,             /* v2 without dynamic windows: -EPERM */
    QUIRK_ENDLESS_KILL,         /* MAP, UNMAP of no entry at 0: for ever */
    QUIRK_COUNT
} Quirk;

/* Turn quirk [no-]@name on or off; false: there is none of this name */
bool quirk_set(const char *name);

bool quirk(Quirk number);

/* The name of quirk @number, below QUIRK_COUNT */
const char *quirk_name(Quirk number);

#endif
