/*
 * Stands in for QEMU's header of this name where a unit test compiles one of
 * our plain sources without QEMU.  It promises what such a source may use:
 * the C library and GLib.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_UNIT_SHIM_OSDEP_H
#define TESTS_UNIT_SHIM_OSDEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <glib.h>

#endif /* TESTS_UNIT_SHIM_OSDEP_H */
