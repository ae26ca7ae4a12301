/*
 * Stands in for QEMU's header of this name where a unit test compiles one of
 * our plain sources without QEMU.  It promises what such a source may use:
 * the C library, GLib, and those of QEMU's headers that need no more, such as
 * qemu/atomic.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_UNIT_SHIM_OSDEP_H
#define TESTS_UNIT_SHIM_OSDEP_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <glib.h>

#define CONFIG_ATOMIC64 1
#define qemu_build_assert(test) G_STATIC_ASSERT(test)
#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
#define ROUND_UP(n, d) (DIV_ROUND_UP(n, d) * (d))
#include "qemu/compiler.h"

#endif /* TESTS_UNIT_SHIM_OSDEP_H */
