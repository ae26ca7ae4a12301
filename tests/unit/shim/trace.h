/*
 * Stands in for a directory's trace.h in unit tests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "trace/trace-hw_vfio.h"
