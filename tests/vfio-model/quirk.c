/*
 * Switches for the peculiarities of the real driver
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "quirk.h"

static struct {
    const char *name;
    bool on;
} quirks[QUIRK_COUNT] = {
    [QUIRK_PLUS_ONE] = { "plus-one", true },
    [QUIRK_POSITIVE_REGISTER] = { "positive-register", true },
    [QUIRK_SILENT_UNREGISTER] = { "silent-unregister", true },
    [QUIRK_DETACH_CLEARS] = { "detach-clears", true },
    [QUIRK_CREATE_LEAK] = { "create-leak", true },
    [QUIRK_RESET_NORMAL] = { "reset-normal", true },
    [QUIRK_OWN_TABLE] = { "own-table", false },
    [QUIRK_SHORT_INFO] = { "short-info", false },
    [QUIRK_V2_EPERM] = { "v2-eperm", false },
    [QUIRK_ENDLESS_KILL] = { "endless-kill", false },
};

bool quirk_set(const char *name)
{
    const bool on = strncmp(name, "no-", 3);

    for (int i = 0; i < QUIRK_COUNT; i++) {
        if (!strcmp(quirks[i].name, on ? name : name + 3)) {
            quirks[i].on = on;
            return true;
        }
    }
    return false;
}

bool quirk(Quirk number)
{
    return quirks[number].on;
}

const char *quirk_name(Quirk number)
{
    return quirks[number].name;
}
