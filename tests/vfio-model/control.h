/*
 * A socket to talk to the model while the program runs
 *
 * One command per connection, a line:
 *   ledger         the ledger as JSON
 *   fault RULE     add a rule
 *   clear          drop all rules
 * Everything but the ledger is answered with "ok" or what is wrong.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_CONTROL_H
#define VFIO_MODEL_CONTROL_H

#include <stdbool.h>

/* Listen at @path, in a thread of its own */
bool control_start(const char *path);


#endif
