/*
 * How the command tells the library what to do: environment variables
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_ENVIRONMENT_H
#define VFIO_MODEL_ENVIRONMENT_H

#define ENV_ROOT "VFIO_MODEL_ROOT"          /* the generated tree */
#define ENV_TOPOLOGY "VFIO_MODEL_TOPOLOGY"
#define ENV_FAULTS "VFIO_MODEL_FAULTS"      /* rules, ';' between them */
#define ENV_QUIRKS "VFIO_MODEL_QUIRKS"      /* names, ',' between them */
#define ENV_LEDGER "VFIO_MODEL_LEDGER"      /* file for the JSON */
#define ENV_CONTROL "VFIO_MODEL_CONTROL"    /* socket */
#define ENV_PID "VFIO_MODEL_PID"            /* the program itself */

#endif
