/*
 * Stands in for QEMU's header of this name; see shim-window.h
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "shim-window.h"
